"""Hosts of a suite -> the settings that they hold, and whom they contact while it is recorded; both for the lint, neither changes a host."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from toolkit import workspace
from toolkit.assess import sovereignty
from toolkit.errors import ConfigError, FileError
from toolkit.suite import ground, play, vault
from toolkit.suite.answers import FILE, load
from toolkit.suite.books import roles

SETTINGS, CONTACTS = "settings.yml", "contacts.yml"
FOLDER = "contacts"
"""Of the workspace: HOST.jsonl of the last recording."""
MANIFEST = ".manifest.json"


@dataclass(slots=True)
class Installed:
    """The settings of all hosts: `files` by HOST/path, those of them that are as shipped, what stayed on the hosts, what was not read."""

    files: dict[str, bytes] = field(default_factory=dict)
    pristine: list[str] = field(default_factory=list)
    kept_there: list[str] = field(default_factory=list)
    unread: list[dict[str, Any]] = field(default_factory=list)


def own(folder: Path, answers: Path | None = None) -> sovereignty.Own:
    """What is the client's, by the answers, and by the addresses that the stack gave its hosts."""
    told = yaml.safe_load(workspace.read_optional(folder / ground.OUTPUTS)) or {}
    addresses = {str(each) for each in (told.get("suite_addresses") or {}).values()} | {str(told.get("suite_gate", ""))}  # fmt: skip
    return sovereignty.of_answers(load(answers or folder / FILE), frozenset(addresses - {""}))


def rendered() -> list[str]:
    """What roles write outside /etc, as they say themselves."""
    return sorted({each for path in roles().glob("*/meta/rendered.yml") for each in yaml.safe_load(path.read_text("utf-8"))})  # fmt: skip


def settings(folder: Path, inventory: Path | None = None) -> Installed:
    """Fetch the settings of every host; they hold passwords, and are in memory alone, for as long as this takes."""
    held = Installed()
    with _private() as place:
        result = play.run(
            SETTINGS, _hosts(folder, inventory), variables={"suite_run_dir": str(place), "suite_rendered": rendered()},
            vault=vault.password(folder), known_hosts=folder / ground.KNOWN,
        )  # fmt: skip
        for path in sorted(place.glob("*.tar.gz")):
            unpack(path.name.removesuffix(".tar.gz"), path.read_bytes(), held)
    read = {path.partition("/")[0] for path in held.files}
    held.unread += [each for each in _silent(result, SETTINGS, "not read") if each["file"] not in read]  # fmt: skip
    if not held.files and not held.unread:
        raise ConfigError("the inventory has no host", "`repatria suite plan` writes one.")
    return held


def unpack(host: str, data: bytes, held: Installed) -> None:
    """The archive of a host. Raises FileError where it is none: a host is believed no more than that."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                found = archive.extractfile(member) if member.isreg() else None
                if found is not None:
                    files[member.name] = found.read()
        told = orjson.loads(files.pop(MANIFEST))
        held.pristine += [f"{host}{path}" for path in told["pristine"]]
        held.kept_there += [f"{host}{path}" for path in (*told["secret"], *told["compiled"])]
        held.unread += [{"file": f"{host}{path}", "why": why} for path, why in told["unread"]]
    except (tarfile.TarError, EOFError, OSError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"what {host} sent is no archive of settings: {error}", "Run the same command again; see whether its disk is full.") from error  # fmt: skip
    held.files |= {f"{host}/{path}": content for path, content in files.items()}


@dataclass(frozen=True, slots=True)
class Recording:
    """What is asked for: `steps` of begin, wait, end."""

    folder: Path
    inventory: Path | None = None
    minutes: float = 10.0
    steps: Sequence[str] = ("begin", "wait", "end")
    say: Callable[[str], None] = print


def record(asked: Recording) -> dict[str, Any] | None:
    """Record on every host; where it ends, the answer of the lint over what was contacted, and the logs in `contacts/`."""
    who = own(asked.folder)
    with _private() as place:
        result = play.run(
            CONTACTS, _hosts(asked.folder, asked.inventory), tags=asked.steps, variables={"suite_run_dir": str(place), "suite_minutes": asked.minutes},
            vault=vault.password(asked.folder), known_hosts=asked.folder / ground.KNOWN,
            said=lambda each: asked.say(f"{each.name:<8} {', '.join(sorted(each.hosts))}") if each.hosts else None,
        )  # fmt: skip
        logs = {path.name: path.read_bytes() for path in sorted(place.glob("*.jsonl"))}
    silent = _silent(result, CONTACTS, "records nothing")
    if "end" not in asked.steps:
        if silent:
            raise play.failed(result, "repatria suite contacts --start")
        return None
    for name, data in logs.items():
        workspace.write(asked.folder / FOLDER / name, data, private=True)
    hosts = {host for each in result.plays if each.name == "end" for host in each.hosts}
    silent += [{"file": host, "why": "there is no record on it"} for host in sorted(hosts - {name.removesuffix(".jsonl") for name in logs} - {each["file"] for each in silent})]  # fmt: skip
    document = sovereignty.lint({}, who, [(f"{FOLDER}/{name}", data) for name, data in logs.items()])  # fmt: skip
    document["unread"] += silent
    return document


def _silent(result: play.Result, book: str, what: str) -> list[dict[str, Any]]:
    """Hosts with a fault, each with its first."""
    first: dict[str, str] = {}
    for each in result.faults:
        first.setdefault(each["host"] or book, each["message"])
    return [{"file": host, "why": f"{what}: {why}"} for host, why in first.items()]


def _hosts(folder: Path, inventory: Path | None) -> Path:
    held = inventory or folder / "inventory"
    if not held.exists():
        raise ConfigError(f"there is no {held}", "`repatria suite plan` writes one.")
    return held


@contextmanager
def _private() -> Iterator[Path]:
    """A folder for this user alone, in memory where there is one, that is gone afterwards."""
    place = tempfile.mkdtemp(prefix="repatria-outside-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)  # fmt: skip # noqa: S108
    try:
        yield Path(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
