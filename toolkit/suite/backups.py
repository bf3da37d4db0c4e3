"""Backup sets, their way back, and the drill that proves it: playbooks run, their results read, the last drill written down."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from toolkit import journal, workspace
from toolkit.errors import ConfigError, FileError
from toolkit.suite import deploy, play
from toolkit.suite.papers.drill import FILE as DRILL

RUNS = ".repatria/runs"
PLANTED = ".repatria/drill"
"""What the drill that is under way has planted, a file a host; it is gone when the drill has ended."""


def backup(request: deploy.Request) -> dict[str, Any]:
    """Make a set now. Returns the playbook's result; raises TargetError where a part is not in it."""
    return _with_result(request, "backup.yml", "backup-*.json", {})


def restore(request: deploy.Request, set_: str = "newest", parts: Sequence[str] = ()) -> dict[str, Any]:  # fmt: skip
    """Put a set in the place of what the applications hold. Raises TargetError; parts that came back stay."""
    variables: dict[str, Any] = {"suite_restore_set": set_}
    if parts:
        variables["suite_restore_parts"] = list(parts)
    held = _with_result(request, "restore.yml", "restore-*.json", variables)
    workspace.write(request.folder / f"{RUNS}/last-restore.json", orjson.dumps(held, option=orjson.OPT_INDENT_2))  # fmt: skip
    return held


def start(request: deploy.Request) -> dict[str, Any]:
    """Plant the drill's marks in every application, then make a set. From now on the hosts may be lost."""
    folder = request.folder / PLANTED
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    deploy.book(replace(request, variables={"suite_canary": "plant", "suite_run_dir": str(folder.absolute())}), "canary.yml")  # fmt: skip
    held = backup(request)
    told = {"set": held["set"], "since": _now()}
    workspace.write(folder / "drill.json", orjson.dumps(told))
    return held


def finish(request: deploy.Request, lost: datetime | None = None) -> dict[str, Any]:
    """Look for the marks and write `drill.json`. `lost`: when the hosts were lost; else when the first `suite apply` after the set began.

    Returns the drill; `ok` is false where a mark is not as it was planted. Raises ConfigError where no drill was started.
    """
    folder = request.folder / PLANTED
    try:
        began = orjson.loads((folder / "drill.json").read_bytes())
        back = orjson.loads((request.folder / f"{RUNS}/last-restore.json").read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {error.filename}: no drill was started here, or nothing was restored since",
            "`repatria suite drill start`, then lose a host, `repatria suite apply`, `repatria suite restore`, and this again.",
        ) from None
    since = datetime.fromisoformat(began["since"])
    gone = lost or _lost(request.folder, since)
    with contextlib.suppress(play.Failed):  # which marks are gone is in the files
        deploy.book(replace(request, variables={"suite_canary": "check", "suite_run_dir": str(folder.absolute())}), "canary.yml")  # fmt: skip
    now = datetime.now(UTC)
    canaries = _canaries(folder)
    drill = {
        "schema": 1, "when": _now(), "set": back["set"], "ok": bool(canaries) and all(each["ok"] for each in canaries) and bool(back["ok"]),
        "rto_seconds": round((now - gone).total_seconds()), "rpo_seconds": max(0, round((gone - _time_of(back["set"])).total_seconds())),
        "canaries": canaries,
    }  # fmt: skip
    workspace.write(request.folder / DRILL, orjson.dumps(drill, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")  # fmt: skip
    if drill["ok"]:
        shutil.rmtree(folder, ignore_errors=True)
    return drill


def _canaries(folder: Path) -> list[dict[str, Any]]:
    """One row a part of each host that something was planted in."""
    rows: dict[str, bool] = {}
    for path in sorted(folder.glob("planted-*.json")):
        host = path.stem.removeprefix("planted-")
        try:
            said = orjson.loads((folder / f"check-{host}.json").read_bytes())
        except FileNotFoundError:
            said = {"ok": False, "said": "the host did not answer"}
        for key in orjson.loads(path.read_bytes()):
            part = key.partition(":")[0]
            rows[part] = rows.get(part, True) and (said["ok"] or not (key in said["said"] or "not as planted" not in said["said"]))  # fmt: skip
    return [{"application": part, "ok": ok} for part, ok in sorted(rows.items())]


def _lost(folder: Path, since: datetime) -> datetime:
    for entry in journal.read(folder):
        if entry.event == "begun" and entry.step == "suite:site" and entry.when >= since:
            return entry.when
    return since


def _time_of(set_: str) -> datetime:
    return datetime.strptime(set_[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _with_result(request: deploy.Request, book: str, pattern: str, variables: Mapping[str, Any]) -> dict[str, Any]:  # fmt: skip
    folder = request.folder / RUNS
    made = deploy.leaving(replace(request, variables=variables), book, folder, pattern) or sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)[-1:]  # fmt: skip
    if not made:
        raise FileError(f"{book} left no result in {folder}", "Run the same command again.")
    held: dict[str, Any] = orjson.loads(made[-1].read_bytes())
    return held


def table(document: Mapping[str, Any]) -> str:
    """A set, a restore or a drill in lines."""
    lines = [f"set {document['set']}"]
    lines += [
        f"{host}: {'stored' if said['store'] == 0 else 'FAILED'}"
        for host, said in document.get("hosts", {}).items()
    ]
    lines += [
        f"{each['part']} on {each['host']}: {'back' if each['ok'] else 'FAILED'}"
        for each in document.get("parts", ())
    ]
    lines += [
        f"{each['application']}: {'as it was' if each['ok'] else 'NOT as it was'}"
        for each in document.get("canaries", ())
    ]
    if "rto_seconds" in document:
        lines.append(f"working again after {document['rto_seconds']} s (RTO), {document['rpo_seconds']} s of work lost (RPO)")  # fmt: skip
    return "\n".join(lines)
