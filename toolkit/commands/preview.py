"""The engine's own answer: what applying would create, change, replace and delete."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, progress, then


@click.command()
@click.argument("stack", default="")
@FOLDER
@click.option(
    "--refresh", is_flag=True, help="Read the target first, so that changes made by hand show."
)
@JSON
def preview(stack: str, folder: Path, refresh: bool, as_json: bool) -> None:
    """Ask the engine what STACK (default: all) would create, update, replace and delete. Changes nothing.

    Exit code 3 where something would be deleted or replaced, or the engine refuses it.
    """
    from toolkit import previews

    seen = progress()
    found = previews.run(folder, stack, refresh=refresh, progress=seen)
    seen.end()
    answer(found, as_json, previews.table)
    if found["totals"]["unset"]:
        then(next(command for each in found["stacks"] for command in each["set_with"]))
    else:
        then(
            f"`repatria apply{at(folder)}`"
            if previews.work(found)
            else f"`repatria verify{at(folder)}`"
        )
    if previews.must_look(found):
        raise Look
