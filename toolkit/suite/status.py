"""Hosts of a suite, as they are -> one answer: what is wrong is named, and everything else is said to be well."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from toolkit import journal
from toolkit.errors import ConfigError
from toolkit.suite import ground, play, vault

BOOK = "status.yml"
FULL = 0.85
"""Part of a disk from which on somebody should look."""
DAYS = 14
"""Certificates that end sooner: the renewal has failed for two weeks then."""
HOURS = 26
"""A nightly backup is older than this only when one is missing."""


def status(folder: Path, inventory: Path | None = None) -> dict[str, Any]:
    """Ask every host. Raises ConfigError where there is no inventory."""
    held = inventory or folder / "inventory"
    if not held.exists():
        raise ConfigError(f"there is no {held}", "`repatria suite plan` writes one.")
    run_dir = Path(tempfile.mkdtemp(prefix="repatria-status-"))
    try:
        result = play.run(
            BOOK, held, variables={"suite_run_dir": str(run_dir)}, vault=vault.password(folder), known_hosts=folder / ground.KNOWN,
        )  # fmt: skip
        hosts = {
            path.stem: orjson.loads(path.read_bytes()) for path in sorted(run_dir.glob("*.json"))
        }
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
    silent = {each["host"]: each["message"] for each in result.faults}
    problems = [f"{host}: does not answer: {said}" for host, said in sorted(silent.items()) if host not in hosts]  # fmt: skip
    for host, said in hosts.items():
        problems += [f"{host}: {each}" for each in _wrong(said)]
    return {"hosts": hosts, "silent": silent, "problems": problems, "last": last(folder)}


def _wrong(said: Mapping[str, Any]) -> Iterator[str]:
    for unit, state in sorted(said["units"].items()):
        if state == "failed":
            yield f"{unit} has failed"
    for place, disk in sorted(said["disks"].items()):
        if disk["used"] >= FULL:
            yield f"{place} is {disk['used']:.0%} full"
    for name, days in sorted(said["certificates"].items()):
        if not isinstance(days, (int, float)):
            yield f"{name}: {days}"
        elif days < DAYS:
            yield f"{name} ends in {days:.0f} days" if days > 0 else f"{name} has ended"
    for name, hours in sorted(said["backups"].items()):
        if hours > HOURS:
            yield f"the last good backup is {hours:.0f} h old ({name})"


def last(folder: Path) -> dict[str, dict[str, str]]:
    """Step of the suite -> how it ended last, from the journal."""
    found = {}
    for entry in journal.read(folder):
        if entry.step.startswith("suite:") and entry.step.count(":") == 1:
            found[entry.step.partition(":")[2]] = {"event": entry.event, "when": entry.when.isoformat(timespec="seconds"), "who": entry.who}  # fmt: skip
    return found


def table(document: Mapping[str, Any]) -> str:
    """A line a host, then what is wrong."""
    lines = []
    for name, said in document["hosts"].items():
        running = sum(state == "active" for state in said["units"].values())
        fullest = max((disk["used"] for disk in said["disks"].values()), default=0)
        days = [each for each in said["certificates"].values() if isinstance(each, (int, float))]
        ends = f"{min(days):.0f} days" if days else "-"
        lines.append(f"{name:<12} {said['state']:<10} {running:>3} services  fullest disk {fullest:.0%}  certificates {ends}")  # fmt: skip
    lines += [f"{step}: {held['event']} {held['when']} by {held['who']}" for step, held in document["last"].items()]  # fmt: skip
    return "\n".join([*lines, *(f"look: {each}" for each in document["problems"])]) or "no host"
