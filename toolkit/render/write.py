"""Rendered files -> the user's folder; what they changed by hand is told, never overwritten."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from toolkit import workspace
from toolkit.errors import FileError

MANIFEST = "rendered.json"
"""Committed with the rest, so that a colleague's clone knows what was rendered last."""
JOURNAL = Path(".repatria") / "rendering"
"""What a render is about to write, there until its manifest is: what a cut left half done is known as ours."""
_AT_ONCE = 500
"""Files that one line-up of the journal, and so one fsync, announces."""
_WRITERS = 4
"""Threads that make files while nothing else runs: making one waits for the file system and not for Python."""


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
    begun = _journal(root)
    if not check:
        _sweep(root, begun)
    report = Report()
    now: dict[str, str] = {}
    once: set[str] = set()
    waiting: list[_File] = []
    for path, content, kind in files:
        mark = _mark(content)
        held = _held(f"{root}/{path}")
        if kind == "once":
            once.add(path)
            if held is None or (path in begun and held != content and _torn(held, content)):
                (report.differs if check else report.written).append(path)
                if not check:
                    waiting.append(_File(path, content, mark, new=held is None))
            else:
                report.unchanged.append(path)
            continue
        now[path] = mark
        if held == content:
            report.unchanged.append(path)
        elif held is not None and not (
            _mark(held) in (known.get(path), *begun.get(path, ()))
            or (path in begun and _torn(held, content))
        ):
            report.changed_by_user.append(path)
            now[path] = known.get(path, "")
        elif check:
            report.differs.append(path)
        else:
            waiting.append(_File(path, content, mark, new=held is None))
            report.written.append(path)
            if len(waiting) >= _AT_ONCE:
                _write(root, waiting)
                waiting.clear()
    _write(root, waiting)
    rendered = {_top(path) for path in now}
    for path in sorted({*known, *begun} - set(now) - once):
        if _top(path) not in rendered:  # another format: it was not asked for this time
            if path in known:
                now[path] = known[path]
            continue
        target = root / path
        if not target.is_file():
            continue
        held = target.read_bytes()
        empty = path in begun and not held
        if not empty and _mark(held) not in (known.get(path), *begun.get(path, ())):
            report.changed_by_user.append(path)
        elif check:
            report.differs.append(path)
        else:
            target.unlink()
            report.removed.append(path)
            _prune(target.parent, root)
    if not check:
        if (root / JOURNAL).exists():
            os.sync()  # the manifest vouches for files that are on the disk
        workspace.write(
            root / MANIFEST,
            orjson.dumps(now, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n",
        )
        (root / JOURNAL).unlink(missing_ok=True)
    return report


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be written; `new` where nothing is there yet."""

    path: str
    content: bytes
    mark: str
    new: bool

    def write(self, root: Path) -> None:
        if self.new and len(self.content) <= workspace.PAGE:
            workspace.create(root / self.path, self.content)
            return
        with workspace.replacing(root / self.path, durable=False) as file:
            file.write(self.content)


def _write(root: Path, files: Sequence[_File]) -> None:
    """Announce files, then write them without an fsync each: they can be rendered again."""
    if not files:
        return
    path = root / JOURNAL
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as journal:
            # a line that was cut off stands alone
            journal.write(b"\n")
            journal.writelines(orjson.dumps([each.path, each.mark]) + b"\n" for each in files)
            journal.flush()
            os.fsync(journal.fileno())
    except OSError as error:
        raise workspace.write_error(path, error) from error

    def some(part: Sequence[_File]) -> None:
        for each in part:
            each.write(root)

    share = -(-len(files) // _WRITERS)  # neighbours stay together: a folder has one lock
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(some, (files[n : n + share] for n in range(0, len(files), share))))


def _journal(root: Path) -> dict[str, set[str]]:
    """Path -> digests that renders which did not end were to write."""
    begun: dict[str, set[str]] = {}
    try:
        lines = (root / JOURNAL).read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            name, mark = orjson.loads(line)
        except (orjson.JSONDecodeError, ValueError, TypeError):
            continue
        if isinstance(name, str) and ".." not in name and name[:1] != "/":
            begun.setdefault(name, set()).add(str(mark))
    return begun


def _sweep(root: Path, begun: Mapping[str, object]) -> None:
    """Remove the temporaries that a killed render left beside what it was replacing."""
    for folder in {os.path.dirname(path) for path in begun}:  # noqa: PTH120
        with contextlib.suppress(OSError), os.scandir(root / folder) as entries:
            for entry in entries:
                name = workspace.replaced(entry.name)
                if name and f"{folder}/{name}".lstrip("/") in begun:
                    (root / folder / entry.name).unlink()


def _torn(held: bytes, content: bytes) -> bool:
    """Whether that is what a power cut leaves of a file: its beginning, and nothing or zeros after it."""
    return content.startswith(held.rstrip(b"\0"))


def _held(path: str) -> bytes | None:
    """What is in a file; None where none is."""
    if not os.path.isfile(path):  # noqa: PTH113 - asked 64,000 times
        return None
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()


def _top(path: str) -> str:
    return path.split("/", 1)[0]


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
