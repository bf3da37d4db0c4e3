"""What this machine has of what the tool needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, say, then

MARKS = {"ok": "ok", "absent": "not here", "broken": "broken"}


@click.command()
@FOLDER
@JSON
def doctor(folder: Path, as_json: bool) -> None:
    """Say what each part of the tool needs, what is there, and the command that gets the rest."""
    from toolkit.doctor import doctor as look

    held = look(folder)
    answer(held.json(), as_json, _table)
    if held.missing:
        names = ", ".join(part.name for part in held.missing)
        say(f"`repatria {held.next}` is next and lacks {names}")
        then(f"get what is missing, then `repatria doctor{at(folder)}` again")
        raise Look
    then(f"`repatria {held.next}{at(folder) if held.next != 'init' else ' DIR --target CLOUD'}`")


def _table(document: Any) -> str:
    lines = []
    for part in document["parts"]:
        mark = MARKS[part["state"]]
        if part["needed"] and part["state"] != "ok":
            mark = "MISSING" if part["state"] == "absent" else "BROKEN"
        lines.append(f"{mark:<8}  {part['name']:<15} {part['found']}")
        if part["get"]:
            lines.append(f"{'':10}{'':<16}for {part['serves']}: {part['get']}")
    return "\n".join(lines)
