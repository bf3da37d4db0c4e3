"""Files and folders that were named -> their bytes by path; links are not followed, and what cannot be read is an error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from toolkit.assess.contacts import MOST_BYTES
from toolkit.errors import FileError

_SKIPPED = frozenset([".git", "__pycache__"])


def files(paths: Iterable[Path]) -> dict[str, bytes]:
    """Path as given -> content; of a file above the limit no more than shows that it is above. Raises FileError."""
    return {path.as_posix(): _bytes(path) for given in paths for path in _walk(given)}


def log(path: Path) -> tuple[str, bytes]:
    """A log of contacts: its name and its content, however long. Raises FileError."""
    try:
        return path.as_posix(), path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}", "Check the path and its permissions.") from error  # fmt: skip


def _walk(given: Path) -> Iterator[Path]:
    if not given.is_dir():
        yield given
        return

    def fail(error: OSError) -> None:
        raise FileError(f"{error.filename} cannot be read: {error.strerror}", "Check its permissions.") from error  # fmt: skip

    for folder, names, held in os.walk(given, onerror=fail):
        names[:] = sorted(name for name in names if name not in _SKIPPED)
        for name in sorted(held):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise FileError(f"{path} is no regular file", "Name files or folders.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}", "Check the path and its permissions.") from error  # fmt: skip
