"""suite.json and drill.json of a workspace -> `papers/`, in every language of the answers; same input, same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from toolkit import workspace
from toolkit.outcomes import text
from toolkit.suite.papers import drill as drills
from toolkit.suite.papers import pages
from toolkit.suite.papers.binder import sections
from toolkit.suite.papers.content import Picture
from toolkit.suite.papers.picture import architecture
from toolkit.suite.papers.runbooks import runbooks
from toolkit.suite.write import read

FOLDER = "papers"


def papers(document: Mapping[str, Any], drill: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Path below the workspace -> content. Pure."""
    document = orjson.loads(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))  # as in the file
    files: dict[str, bytes] = {}
    for language in document["answers"]["languages"]:
        files |= one(document, drill, language, pages.teller(language))
    return files


def one(document: Mapping[str, Any], drill: Mapping[str, Any] | None, language: str, t: pages.Teller) -> dict[str, bytes]:  # fmt: skip
    """The papers in one language."""
    root = f"{FOLDER}/{language}"
    books = runbooks(document)
    title = text("Suite of {client}", client=document["answers"]["client"])
    says = text("Architecture: who reaches which host, and what stands on it")
    picture = Picture(architecture(document, t), "architecture.svg", says)
    parts = sections(document, drill, picture)
    return {
        f"{root}/architecture.svg": architecture(document, t, alone=True).encode() + b"\n",
        f"{root}/binder.html": pages.html(title, parts, books, language, version("repatria"), t),
        f"{root}/binder.md": pages.markdown(title, parts, books, t),
        **{f"{root}/runbooks/{book.id}.md": pages.runbook_markdown(book, t) for book in books},
    }


def write(folder: Path) -> list[Path]:
    """Write what changed and return its paths; what is no paper of today's goes. Raises FileError."""
    files = _of(folder)
    for path in _stale(folder, files):
        path.unlink()
    return [folder / name for name, data in files.items() if workspace.write(folder / name, data)]


def differs(folder: Path) -> list[Path]:
    """The papers that are missing, other than they would be made now, or too many. Raises FileError."""
    files = _of(folder)
    other = [folder / name for name, data in files.items() if workspace.read_optional(folder / name) != data]  # fmt: skip
    return sorted([*other, *_stale(folder, files)])


def _of(folder: Path) -> dict[str, bytes]:
    return papers(read(folder), drills.read(folder))


def _stale(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Runbooks and binders of a language or an occasion that is no more; other files in the folder are the client's."""
    made = ("*/binder.md", "*/binder.html", "*/architecture.svg", "*/runbooks/*.md")
    known = [path for pattern in made for path in (folder / FOLDER).glob(pattern)]
    return sorted(path for path in known if path.relative_to(folder).as_posix() not in files)
