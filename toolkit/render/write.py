"""Rendered files -> the user's folder; what they changed by hand is told, never overwritten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from toolkit import workspace
from toolkit.errors import FileError

MANIFEST = "rendered.json"
"""Committed with the rest, so that a colleague's clone knows what was rendered last."""


@dataclass(slots=True)
class Report:
    """What became of the files. Paths are relative to the workspace."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    changed_by_user: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The answer of `repatria render`."""
        return {name: sorted(paths) for name, paths in asdict(self).items()}


def write_tree(
    root: Path, files: Iterable[tuple[str, bytes, str]], *, check: bool = False
) -> Report:
    """Write files (path, content, "generated" | "once"); with `check` only compare.

    A generated file that is neither what was rendered last nor what is rendered now was changed by
    the user: it stays. Files of the last render that are no longer rendered go, unless changed.
    """
    known = _manifest(root)
    report = Report()
    now: dict[str, str] = {}
    for path, content, kind in files:
        target = root / path
        mark = _mark(content)
        held = target.read_bytes() if target.is_file() else None
        if kind == "once":
            if held is None:
                (report.differs if check else report.written).append(path)
                if not check:
                    workspace.write(target, content)
            else:
                report.unchanged.append(path)
            continue
        now[path] = mark
        if held == content:
            report.unchanged.append(path)
        elif held is not None and _mark(held) != known.get(path):
            report.changed_by_user.append(path)
            now[path] = known.get(path, "")
        elif check:
            report.differs.append(path)
        else:
            workspace.write(target, content)
            report.written.append(path)
    for path in sorted(set(known) - set(now)):
        top = path.split("/", 1)[0]
        if not any(each.split("/", 1)[0] == top for each in now):
            now[path] = known[path]
            continue
        target = root / path
        if not target.is_file():
            continue
        if _mark(target.read_bytes()) != known[path]:
            report.changed_by_user.append(path)
        elif check:
            report.differs.append(path)
        else:
            target.unlink()
            report.removed.append(path)
            _prune(target.parent, root)
    if not check:
        workspace.write(
            root / MANIFEST,
            orjson.dumps(now, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n",
        )
    return report


def _mark(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _manifest(root: Path) -> dict[str, str]:
    path = root / MANIFEST
    try:
        held = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise FileError(
            f"{path} cannot be read: {error}",
            "Remove it: the next render then compares with what is on disk only.",
        ) from error
    if not isinstance(held, dict) or not all(isinstance(mark, str) for mark in held.values()):
        raise FileError(
            f"{path} is no map of files to digests",
            "Remove it: the next render then compares with what is on disk only.",
        )
    return {name: mark for name, mark in held.items() if ".." not in name and name[:1] != "/"}


def _prune(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
