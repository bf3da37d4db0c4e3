"""`drill.json`, what the last restore drill of a workspace showed -> checked values; hostile or half files are refused.

{"schema": 1, "when": "2026-11-26T03:00:00Z", "rto_seconds": 1260, "rpo_seconds": 3600, "ok": true,
 "canaries": [{"application": "nextcloud", "ok": true}, ...]}: RTO from the loss to working again, RPO from the set to the loss.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

from toolkit import workspace
from toolkit.errors import FileError

FILE = "drill.json"
_WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


def read(folder: Path) -> dict[str, Any] | None:
    """The last drill, or None where there is no file. Raises FileError with what is wrong in it."""
    path = folder / FILE
    data = workspace.read_optional(path)
    if not data:
        return None
    try:
        held = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise FileError(f"{path} is no JSON: {error}", _HINT) from None
    wrong = fault(held)
    if wrong:
        raise FileError(f"{path}: {wrong}", _HINT)
    return dict(held)


_HINT = "Run the drill again: it writes this file. Or remove it: the papers then say that there was none."


def fault(held: Any) -> str:
    """What is wrong with it, or ""."""
    if not isinstance(held, dict) or held.get("schema") != 1:
        return f"schema is {held.get('schema')!r}; this version reads 1" if isinstance(held, dict) else "is no object"  # fmt: skip
    if not isinstance(held.get("when"), str) or not _WHEN.fullmatch(held["when"]):
        return "when is no time in ISO 8601 with its zone"
    for name in ("rto_seconds", "rpo_seconds"):
        value = held.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 10**9:
            return f"{name} is no number of seconds"
    if not isinstance(held.get("ok"), bool):
        return "ok is neither true nor false"
    canaries = held.get("canaries")
    if not isinstance(canaries, list):
        return "canaries is no list"
    for each in canaries:
        if not isinstance(each, dict) or not isinstance(each.get("ok"), bool) or not isinstance(each.get("application"), str) or not _WORD.fullmatch(each["application"]):  # fmt: skip
            return "canaries: each needs application and ok"
    if held["ok"] and not (canaries and all(each["ok"] for each in canaries)):
        return "ok is true, and not every canary was found"
    return ""
