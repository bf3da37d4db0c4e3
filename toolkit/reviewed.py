"""Git's HEAD -> the plan that was last reviewed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import orjson

from toolkit.errors import FileError
from toolkit.workspace import PLAN, SCHEMA


def reviewed_plan(folder: Path) -> dict[str, Any]:
    """`plan.json` as it stands in the HEAD of the workspace's Git repository.

    Raises FileError where there is no repository, no commit, or no plan in it.
    """
    hint = "Commit plan.json once it is reviewed, or name another plan with --against."
    try:
        done = subprocess.run(
            ["git", "-C", str(folder.resolve()), "show", f"HEAD:./{PLAN}"],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise FileError("git is not installed", hint) from None
    if done.returncode != 0:
        raise FileError("Git holds no reviewed plan.json here", hint)
    try:
        document: dict[str, Any] = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        raise FileError("the plan.json in Git's HEAD is no JSON", hint) from None
    if not isinstance(document, dict) or document.get("kind") != "plan":
        raise FileError("the plan.json in Git's HEAD is no plan", hint)
    if document.get("schema") != SCHEMA:
        raise FileError(
            f"the plan.json in Git's HEAD has schema {document.get('schema')!r}; this version reads {SCHEMA}",
            hint,
        )
    return document
