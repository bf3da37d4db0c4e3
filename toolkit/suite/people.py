"""One person of a suite: their data handed out, or erased everywhere. The playbooks do it; their results are read and told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from toolkit.console import at
from toolkit.errors import ConfigError, FileError
from toolkit.suite import deploy, play
from toolkit.suite.backups import RUNS

EXPORTS = ".repatria/people"
"""Where exports go when nothing else is said: out of Git, as everything below `.repatria`."""
NAME = re.compile(r"[a-z0-9][a-z0-9._@+=-]{0,126}")
"""A login name as the sign-on has it. The playbooks hold it to the same."""


def export(request: deploy.Request, name: str, to: Path | None = None, matrix_user: str = "") -> dict[str, Any]:  # fmt: skip
    """Everything that the suite holds of `name`, as files in a new folder below `to`. Returns the manifest and where it is.

    `complete` is false where an application was not asked. Raises ConfigError for a name that is none, TargetError.
    """
    folder = (to or request.folder / EXPORTS).absolute()
    known(name)
    made = _run(
        request,
        "export",
        name,
        folder,
        f"{_glob(name)}/manifest.json",
        {"matrix_user": matrix_user},
    )
    held: dict[str, Any] = orjson.loads(made.read_bytes())
    files = held.pop("files")
    return {**held, "folder": str(made.parent), "files": len(files), "bytes": sum(each["bytes"] for each in files)}  # fmt: skip


def erase(request: deploy.Request, name: str, matrix_user: str = "") -> dict[str, Any]:
    """`name` out of every application. Returns what was done and what stays; a second time nothing is left to do.

    `complete` is false where an application was not asked. Raises ConfigError for a name that is none, TargetError.
    """
    folder = (request.folder / RUNS).absolute()
    known(name)
    made = _run(
        request,
        "erase",
        name,
        folder,
        f"erase-{_glob(name)}.json",
        {"matrix_user": matrix_user, "confirm": name},
    )
    held: dict[str, Any] = orjson.loads(made.read_bytes())
    return held


def known(name: str) -> None:
    """Raises ConfigError unless `name` can be a login name."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no login name",
            "It has lower case letters, digits and . _ @ + = -, and begins with a letter or digit: as the sign-on shows it.",
        )


def _glob(name: str) -> str:
    """Results of this person: the time is sixteen characters, so that `ada` does not find those of `ada-2`."""
    return f"{name}-{'[0-9]' * 8}T{'[0-9]' * 6}Z"


def _run(request: deploy.Request, deed: str, name: str, folder: Path, pattern: str, variables: Mapping[str, str]) -> Path:  # fmt: skip
    wanted = {"user": name, **variables, **request.variables}
    try:
        made = deploy.leaving(replace(request, variables=wanted), f"user_{deed}.yml", folder, pattern)  # fmt: skip
    except play.Failed as error:
        again = f"repatria suite person {deed} {name}{at(request.folder)}"
        raise play.Failed(error.message, f"What was done stays. Mend what it says, then `{again}` goes on.") from None  # fmt: skip
    if not made:
        raise FileError(f"user_{deed}.yml left no result in {folder}", "Run the same command again.")  # fmt: skip
    return made[-1]


def table(document: Mapping[str, Any]) -> str:
    """An export or an erasure in lines."""
    lines = [f"{part}: {said['state']}" for part, said in sorted(document["parts"].items())]
    lines += [
        f"not given, {part}: {each['what']}: {each['why']}"
        for part, said in sorted(document["parts"].items())
        for each in said.get("not_given", ())
    ]
    if "folder" in document:
        lines.append(f"{document['files']} files, {document['bytes']} bytes, in {document['folder']}")  # fmt: skip
    if document.get("nothing_left"):
        lines.append(f"nothing left of {document['user']}")
    lines += [f"stays: {each}" for each in document.get("stays", ())]
    return "\n".join(lines)
