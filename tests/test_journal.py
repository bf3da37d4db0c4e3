"""The journal: appended and fsynced, cut lines known, changed lines refused, one writer at a time, no secret in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import toolkit
from toolkit.errors import FileError, ToolkitError
from toolkit.journal import JOURNAL, Journal, alone, hide, read

PLAN = f"sha256:{'a' * 64}"
SCHEMA = json.loads((Path(toolkit.__file__).parent / "schemas/journal.json").read_text())


def _journal(folder: Path, run: str = "0123456789ab") -> Journal:
    return Journal(folder, PLAN, run)


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / JOURNAL).read_bytes().splitlines()]


def test_each_event_is_a_line_of_the_schema(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.add("begun", "w01-build-shop-network", stack="shop-network", of=PLAN)
    journal.add("done", "w01-build-shop-network", stack="shop-network", of=PLAN, seconds=1.5)
    for line in _lines(tmp_path):
        jsonschema.validate(line, SCHEMA)
    held = read(tmp_path)
    assert [each.event for each in held] == ["begun", "done"]
    assert held == journal.entries
    assert held[1].says == {"seconds": 1.5}
    assert (tmp_path / JOURNAL).stat().st_mode & 0o777 == 0o600


def test_it_is_only_appended_to(tmp_path: Path) -> None:
    _journal(tmp_path).add("begun", "w01-a")
    before = (tmp_path / JOURNAL).read_bytes()
    _journal(tmp_path, "ba9876543210").add("done", "w01-a")
    assert (tmp_path / JOURNAL).read_bytes().startswith(before)
    assert [line["run"] for line in _lines(tmp_path)] == ["0123456789ab", "ba9876543210"]


def test_a_line_cut_anywhere_is_known_and_a_new_one_started(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.add("begun", "w01-a", says="{}")
    whole = (tmp_path / JOURNAL).read_bytes()
    journal.add("done", "w01-a", seconds=1)
    both = (tmp_path / JOURNAL).read_bytes()
    for end in (*range(len(whole) + 1, len(both) - 1, 9), len(both) - 2, len(both) - 1):
        (tmp_path / JOURNAL).write_bytes(both[:end])
        # without its newline the last line says everything all the same
        kept = ["begun", "done"] if end == len(both) - 1 else ["begun"]
        assert [each.event for each in read(tmp_path)] == kept, end
        again = _journal(tmp_path)
        again.add("continued", "w01-a")
        kept += ["continued"] if "done" in kept else ["torn", "continued"]
        assert [each.event for each in read(tmp_path)] == kept, end
        assert (tmp_path / JOURNAL).read_bytes().startswith(both[:end])


def test_a_repair_that_is_cut_itself_is_repaired(tmp_path: Path) -> None:
    _journal(tmp_path).add("begun", "w01-a")
    held = (tmp_path / JOURNAL).read_bytes()
    torn = held + held[:40]
    (tmp_path / JOURNAL).write_bytes(torn)
    _journal(tmp_path)
    repaired = (tmp_path / JOURNAL).read_bytes()
    for end in (*range(len(torn), len(repaired) - 1, 9), len(repaired) - 2):
        (tmp_path / JOURNAL).write_bytes(repaired[:end])
        _journal(tmp_path).add("done", "w01-a")
        assert [each.event for each in read(tmp_path)] == ["begun", "torn", "done"], end


def test_zeros_that_a_power_cut_leaves_are_known(tmp_path: Path) -> None:
    _journal(tmp_path).add("begun", "w01-a")
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"before":"12\0\0\0\0')
    _journal(tmp_path).add("done", "w01-a")
    assert [each.event for each in read(tmp_path)] == ["begun", "torn", "done"]


@pytest.mark.parametrize("kind", ["changed", "removed", "put in", "garbage", "foreign tail"])
def test_what_somebody_changed_is_refused_with_its_line(tmp_path: Path, kind: str) -> None:
    journal = _journal(tmp_path)
    for step in ("w01-a", "w01-b", "w01-c"):
        journal.add("confirmed", step, name="Claire")
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    if kind == "changed":
        lines[1] = lines[1].replace(b"Claire", b"Nobody")
    elif kind == "removed":
        del lines[1]
    elif kind == "put in":
        lines.insert(1, lines[0])
    elif kind == "garbage":
        lines[1] = lines[1][:50] + b"\n"
    else:
        lines.append(b"done by hand\n")
    (tmp_path / JOURNAL).write_bytes(b"".join(lines))
    where = {"changed": 3, "removed": 2, "put in": 2, "garbage": 2, "foreign tail": 4}[kind]
    with pytest.raises(FileError, match=f"journal.jsonl:{where}:") as told:
        _journal(tmp_path)
    assert "git log" in told.value.hint
    assert (tmp_path / JOURNAL).read_bytes() == b"".join(lines)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    _journal(tmp_path).add("begun", "w01-a")
    held = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(held.replace(b'"schema":1', b'"schema":2'))
    with pytest.raises(FileError, match="schema 2; this version reads 1"):
        read(tmp_path)


def test_a_full_disk_is_told_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """RLIMIT_FSIZE is a disk that is full after so many bytes: the line is cut where it ends."""
    _journal(tmp_path).add("begun", "w01-a")
    size = (tmp_path / JOURNAL).stat().st_size
    code = (
        "import resource,signal,sys\n"
        "from pathlib import Path\n"
        "from toolkit.errors import FileError\n"
        "from toolkit.journal import Journal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 100}, {size + 100}))\n"
        f"journal = Journal(Path({str(tmp_path)!r}), {PLAN!r}, '0123456789ab')\n"
        "try: journal.add('done', 'w01-a')\n"
        "except FileError as error: print(error.message)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no room left on the disk" in said.stdout
    assert (tmp_path / JOURNAL).stat().st_size == size + 100
    _journal(tmp_path).add("done", "w01-a")
    assert [each.event for each in read(tmp_path)] == ["begun", "torn", "done"]


def test_two_at_once_are_told_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom toolkit.journal import alone\n"
        f"with alone(Path({str(tmp_path)!r}), 'apply'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ToolkitError, match=f"process {other.pid}") as told, alone(tmp_path, "apply"):  # fmt: skip
            pass
        assert "run the same command again" in told.value.hint
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    deadline = time.monotonic() + 5
    while True:
        try:
            with alone(tmp_path, "apply"):
                return
        except ToolkitError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "correct horse")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "battery")
    token = f"gAAAAA{'x' * 40}"
    said = hide(
        f'refused: correct horse, battery; X-Auth-Token: {token} {{"adminPass": "aB3$ dE", "token": "t0p", "name": "shop"}} '
        "secret=hush5 application_credential_secret='very quiet' and a file-secret",
        also=["file-secret"],
    )
    for secret in ("correct horse", "battery", token, "aB3$ dE", "t0p", "hush5", "very quiet", "file-secret"):  # fmt: skip
        assert secret not in said
    assert '"name": "shop"' in said
    assert (
        hide("Quota exceeded for resources: ['port'].") == "Quota exceeded for resources: ['port']."
    )
