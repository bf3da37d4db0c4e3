"""The checks of the files against real WebDAV and CalDAV servers (see `tests/support/files.py` for what is not Nextcloud there)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.files import USER, Files, files
from tests.support.smoke import Asked, Authority, Gate, Said, body, forward, reds, smoke_toml, tried
from toolkit.smoke.nextcloud import CHECKS

pytestmark = [pytest.mark.slow]
NAME = "cloud.smoke.test"


@dataclass(frozen=True)
class Cloud:
    folder: Path
    authority: Authority
    gate: Gate
    files: Files
    occ: Path

    def config(self, folder: Path, **changes: Any) -> Path:
        held = {"url": f"https://{NAME}", "user": USER, "password": self.files.password, "occ": [str(self.occ)]}  # fmt: skip
        return smoke_toml(folder, ca_file=self.authority.file, connect=self.gate.connect(), nextcloud={**held, **changes})  # fmt: skip

    def says(self, name: str, value: str) -> None:
        """What `occ` prints of a setting."""
        (self.folder / "occ.d" / name).write_text(value + "\n")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    authority = Authority(folder)
    occ = folder / "occ"
    (folder / "occ.d").mkdir()
    occ.write_text('#!/bin/sh\nset -eu\n[ "${1#config:}" != "$1" ]\nfor last; do :; done\nexec cat "$0.d/$last"\n')  # fmt: skip
    occ.chmod(0o755)
    with files(folder) as site, Gate(authority, {NAME: site}) as gate:
        held = Cloud(folder, authority, gate, site, occ)
        held.says("memcache.locking", r"\OC\Memcache\Redis")
        yield held


@pytest.fixture(autouse=True)
def fresh(cloud: Cloud) -> None:
    cloud.says("lastcron", str(int(time.time()) - 60))


def test_what_a_person_does_with_files(cloud: Cloud, tmp_path: Path) -> None:
    got = tried(cloud.config(tmp_path), "nextcloud")
    assert {name: held for name, held in got.items() if held[0] != "ok"} == {}
    assert len(got) == 12


Fault = Callable[[Cloud, ExitStack], dict[str, Any] | None]


def breaks(path: str, **how: Any) -> Fault:
    def fault(cloud: Cloud, stack: ExitStack) -> None:
        stack.enter_context(cloud.gate.broken(path, **how))

    return fault


def switch(name: str, value: bool) -> Fault:
    def fault(cloud: Cloud, stack: ExitStack) -> None:
        stack.callback(setattr, cloud.files, name, not value)
        setattr(cloud.files, name, value)

    return fault


def _any_password(cloud: Cloud, stack: ExitStack) -> None:
    def site(asked: Asked) -> Said:
        return forward(cloud.files.dav, Asked(asked.method, asked.host, asked.path, {**asked.headers, "authorization": cloud.files.authorization}, asked.body))  # fmt: skip

    stack.enter_context(cloud.gate.broken("/remote.php/dav/files/", method="PROPFIND", site=site))


def _occ(name: str, value: str) -> Fault:
    def fault(cloud: Cloud, stack: ExitStack) -> None:
        before = (cloud.folder / "occ.d" / name).read_text().strip()
        stack.callback(cloud.says, name, before)
        cloud.says(name, value)

    return fault


_NOTHING = b'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:"/>'
FAULTS: dict[str, Fault] = {
    "nextcloud.status": breaks("^/status.php", change=body(lambda held: {**held, "maintenance": True})),
    "nextcloud.sign-in": lambda _cloud, _stack: {"password": "another one"},
    "nextcloud.wrong-password": _any_password,
    "nextcloud.upload": breaks("/five.bin", method="GET", change=lambda said: Said(200, said.headers, said.body[:-1] + b"?")),
    "nextcloud.upload-chunked": switch("loses_a_piece", True),
    "nextcloud.mtime": switch("keeps_mtime", False),
    "nextcloud.share": switch("ends_shares", False),
    "nextcloud.calendar": breaks("/calendars/", method="REPORT", said=Said(207, {}, _NOTHING)),
    "nextcloud.well-known": breaks("/.well-known/carddav", said=Said(404)),
    "nextcloud.protected-paths": breaks("^/config/config.php", said=Said(200, body=b"<?php $CONFIG = array();")),
    "nextcloud.background-job": _occ("lastcron", str(int(time.time()) - 3600)),
    "nextcloud.locking": _occ("memcache.locking", r"\OC\Memcache\APCu"),
}  # fmt: skip
_LARGE = {"nextcloud.upload", "nextcloud.upload-chunked"}
"""What takes seconds is tried with its own fault alone, and by the tests of all."""
_FILES = {f"nextcloud.{each}" for each in ("mtime", "share", "calendar")}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_turns_its_own_check_red(cloud: Cloud, tmp_path: Path, name: str) -> None:
    with ExitStack() as stack:
        changes = FAULTS[name](cloud, stack) or {}
        got = tried(
            cloud.config(tmp_path, **changes),
            *({each for each in FAULTS if each not in _LARGE} | {name}),
        )
        cloud.files.shares.clear()
    assert reds(got) == {name}, got
    assert {each for each, held in got.items() if held[0] == "not run"} == (_FILES if name == "nextcloud.sign-in" else set())  # fmt: skip


def test_every_check_has_its_fault() -> None:
    assert set(FAULTS) == {check.id for check in CHECKS}


def test_nothing_is_left(cloud: Cloud, tmp_path: Path) -> None:
    """Also after a fault: no file, no trash, no share, no calendar, no piece of an upload."""
    with cloud.gate.broken("/thirty.bin", method="GET", said=Said(500)), cloud.gate.broken("/calendars/", method="REPORT", said=Said(500)):  # fmt: skip
        tried(cloud.config(tmp_path), "nextcloud")
    assert list(cloud.files.folder.iterdir()) == []
    assert (cloud.files.trash, cloud.files.shares, cloud.files.uploads) == ([], {}, {})
    assert [each for each in (cloud.folder / "calendars").rglob("*.ics") if ".Radicale.cache" not in each.parts] == []  # fmt: skip
    assert not [each for each in (cloud.folder / "calendars").rglob("smoke-*") if ".Radicale.cache" not in each.parts]  # fmt: skip


def test_what_cannot_be_deleted_is_told(cloud: Cloud, tmp_path: Path) -> None:
    from toolkit.smoke.check import chosen, must_look, run
    from toolkit.smoke.settings import load

    with cloud.gate.broken("/files/ada/smoke-[0-9a-f]+$", method="DELETE", said=Said(423)):
        document = run(chosen(CHECKS, ["nextcloud.mtime"]), load(cloud.config(tmp_path)))
    assert document["summary"]["failed"] == 0
    assert re.search(r"folder smoke-[0-9a-f]+: .* 423", document["left"][0])
    assert must_look(document)


def test_without_occ_what_only_the_host_knows_is_not_run(cloud: Cloud, tmp_path: Path) -> None:
    got = tried(cloud.config(tmp_path, occ=[]), "nextcloud.background-job", "nextcloud.locking")
    assert got == {
        "nextcloud.background-job": ("not run", "nextcloud.occ is not set"),
        "nextcloud.locking": ("not run", "neither nextcloud.occ nor nextcloud.serverinfo_token is set"),
    }  # fmt: skip
    token = cloud.files.serverinfo_token
    assert tried(cloud.config(tmp_path, occ=[], serverinfo_token=token), "nextcloud.locking")["nextcloud.locking"][0] == "ok"  # fmt: skip
    gone = tried(cloud.config(tmp_path, occ=["/nowhere/occ"]), "nextcloud.background-job")
    assert gone["nextcloud.background-job"][0] == "not run"
