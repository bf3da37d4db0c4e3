"""What the drill makes of its playbooks' results: the files that they leave, read as they are; no host here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from toolkit.errors import ConfigError
from toolkit.journal import Journal
from toolkit.suite import backups, deploy
from toolkit.suite.papers.drill import fault


def planted(folder: Path, host: str, *keys: str) -> Path:
    path = folder / backups.PLANTED
    path.mkdir(parents=True, exist_ok=True)
    (path / f"planted-{host}.json").write_bytes(orjson.dumps(dict.fromkeys(keys, "mark")))
    return path


def checked(folder: Path, host: str, said: str = "") -> None:
    (folder / backups.PLANTED / f"check-{host}.json").write_bytes(orjson.dumps({"ok": not said, "said": said}))  # fmt: skip


def test_every_part_of_every_host_has_its_row(tmp_path: Path) -> None:
    path = planted(
        tmp_path, "app-1", "nextcloud:nextcloud", "nextcloud:/srv/nextcloud", "idp:keycloak"
    )
    planted(tmp_path, "chat-1", "synapse:synapse")
    checked(tmp_path, "app-1", "not as planted: nextcloud:/srv/nextcloud")
    checked(tmp_path, "chat-1")
    assert backups._canaries(path) == [
        {"application": "idp", "ok": True},
        {"application": "nextcloud", "ok": False},
        {"application": "synapse", "ok": True},
    ]


def test_a_host_that_says_nothing_has_lost_everything(tmp_path: Path) -> None:
    path = planted(tmp_path, "app-1", "idp:keycloak")
    assert backups._canaries(path) == [{"application": "idp", "ok": False}]
    checked(tmp_path, "app-1", "nothing was planted")
    assert backups._canaries(path) == [{"application": "idp", "ok": False}]


def test_hosts_are_lost_when_the_next_apply_begins(tmp_path: Path) -> None:
    since = datetime.now(UTC)
    assert backups._lost(tmp_path, since) == since
    journal = Journal(tmp_path, "sha256:0", "run")
    journal.add("begun", "suite:backup")
    entry = journal.add("begun", "suite:site")
    journal.add("begun", "suite:site")
    assert backups._lost(tmp_path, since.replace(microsecond=0)) == entry.when


def test_a_drill_that_was_not_started_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no drill was started"):
        backups.finish(deploy.Request(tmp_path))


def test_what_is_written_is_what_the_papers_read() -> None:
    drill = {
        "schema": 1, "when": backups._now(), "set": "20261126T030000Z", "ok": True, "rto_seconds": 400, "rpo_seconds": 60,
        "canaries": [{"application": "idp", "ok": True}],
    }  # fmt: skip
    assert fault(drill) == ""
    assert backups._time_of(drill["set"]) == datetime(2026, 11, 26, 3, tzinfo=UTC)
