"""The demo of the suite as `make suite-demo` runs it: installed on one throw-away host, tried, saved, lost with its disk, restored.

Whom the hosts contact is recorded from before their boot on, and what is installed is read: no host is outside the client's own.
What stands in: the host is a systemd-nspawn container, the second provider is restic's own server on another one. What cannot be had
here (Nextcloud's and Element's archives, Jitsi's packages) is left out by name, and the smoke tests say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import root
from tests.support.missing import missing
from tests.support.suite import WITHOUT, as_much_as_can_be, came_back, ended, loaded
from toolkit.lab.folder import LabError
from toolkit.lab.packages import check_machine

pytestmark = [pytest.mark.slow, pytest.mark.hosts, pytest.mark.timeout(3600)]


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    root()
    try:
        check_machine()
    except LabError as error:
        missing(error.message)
    monkeypatch.setenv("REPATRIA_DEMO_BED", os.environ.get("REPATRIA_DEMO_BED", "e2e"))
    monkeypatch.setenv("REPATRIA_CONTACTS", str(tmp_path / "seen"))
    module = loaded()
    try:
        yield module
    finally:
        subprocess.run([*module.HOSTS, "down", module.BED], check=False)


def repatria(*words: str, given: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [Path(sys.executable).with_name("repatria"), "suite", *words, "--json"], input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 3), f"{words}: {done.returncode}\n{done.stderr[-4000:]}"
    held: dict[str, Any] = json.loads(done.stdout)
    return held


def smoke(demo: Any, folder: Path) -> dict[str, str]:
    """Check -> how it ended; whoever fails says why."""
    words = [demo.REPATRIA, "suite", "smoke", "-C", str(folder), "--json"]
    done = subprocess.run([*demo.HOSTS, "run", demo.BED, *words], capture_output=True, text=True, check=False)  # fmt: skip
    return ended(done)


def outside(demo: Any, folder: Path) -> dict[str, list[str]]:
    """Hosts outside the client's own in what is installed now, and in what was contacted since the first boot -> where they were seen."""
    seen = sorted((folder.parent / "seen").glob("*.jsonl"))
    assert {path.stem.rpartition("-")[0] for path in seen} == {demo.HOST, "vault"}
    said = repatria("lint", "--hosts", "-C", str(folder), *(word for path in seen for word in ("--contacts", str(path))))  # fmt: skip
    assert said["unread"] == []
    assert said["files"] > 200
    assert said["lines"] >= len(seen), "each host had its packages from somewhere"
    return {row["host"]: [place["file"] for place in row["places"]] for row in said["contacts"]}


def planted(demo: Any, folder: Path) -> None:
    """That the lint is red where it must be: a server of somebody else's in a file, and one that is really asked for."""
    place = "/etc/prosody/conf.d/planted.cfg.lua"
    text = 'external_services = {{ type = "stun", host = "stun.l.google.com", port = 3478 }}'
    enter = [*demo.HOSTS, "exec", demo.BED, demo.HOST]
    subprocess.run([*enter, "sh", "-c", f"cat > {place}"], input=text, text=True, check=True)
    subprocess.run([*enter, "getent", "hosts", "telemetry.example-foreign.com"], check=False)
    subprocess.run([*enter, "bash", "-c", "timeout 1 bash -c 'exec 3<>/dev/tcp/8.8.8.8/443'"], check=False)  # fmt: skip
    said = repatria("contacts", "-C", str(folder), "--stop")
    assert said["unread"] == []
    assert {row["host"]: row["ports"] for row in said["contacts"]} == {"telemetry.example-foreign.com": [], "8.8.8.8": [443]}  # fmt: skip
    assert (folder / f"contacts/{demo.HOST}.jsonl").exists()
    found = outside(demo, folder)
    assert {host: files for host, files in found.items() if host == "stun.l.google.com"} == {"stun.l.google.com": [f"{demo.HOST}{place}"]}  # fmt: skip
    assert set(found) == {"stun.l.google.com", "telemetry.example-foreign.com", "8.8.8.8"}
    subprocess.run([*enter, "rm", place], check=True)


def test_it_works_asks_nobody_outside_and_comes_back(demo: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bakery"
    assert demo.up(folder) == 3
    first = smoke(demo, folder)
    as_much_as_can_be(first)

    again = repatria("apply", "-C", str(folder), "--no-stack", *WITHOUT)  # fmt: skip
    assert again["play"]["changed"] == 0, again["play"]
    status = repatria("status", "-C", str(folder))
    assert status["problems"] == []

    subprocess.run([demo.REPATRIA, "suite", "contacts", "-C", str(folder), "--start", "--minutes", "30"], check=True)  # fmt: skip
    assert repatria("drill", "start", "-C", str(folder))["complete"]
    assert smoke(demo, folder) == first
    assert outside(demo, folder) == {}
    planted(demo, folder)

    subprocess.run([*demo.HOSTS, "kill", demo.BED, demo.HOST], check=True)
    demo.host(folder)
    repatria("apply", "-C", str(folder), "--no-stack", *WITHOUT, "--new-host", demo.HOST)  # fmt: skip
    back = repatria("restore", "-C", str(folder), given="bakery\n")
    assert back["ok"]
    drill = repatria("drill", "finish", "-C", str(folder))
    came_back(drill)
    assert smoke(demo, folder) == first
