"""What every command has in common: the answer on stdout, the rest on stderr, the options that all share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from toolkit.progress import Progress

TARGETS = click.Choice(["ovhcloud", "infomaniak", "cloudtemple", "openstack"])


class Look(Exception):  # noqa: N818 - not an error: finished, and a person must look
    """The command finished, and somebody has to look at what it said: exit code 3."""


def say(message: str) -> None:
    """A line for the person, on stderr, so that stdout stays the answer."""
    click.echo(message, err=True)


def then(command: str) -> None:
    """Name the next command."""
    say(f"next: {command}")


def answer(document: Any, as_json: bool, table: Callable[[Any], str]) -> None:
    """Print the answer: JSON with a schema number, or the table rendered from that same JSON."""
    if as_json:
        import orjson

        click.echo(
            orjson.dumps(
                {"schema": 1, **document}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
            ).decode()
        )
    else:
        click.echo(table(document))


def cut_short(interrupted: bool, failure: Exception | None, command: str) -> None:
    """Raise what ended a run before its end, if anything did, after naming the command that continues it."""
    ended = KeyboardInterrupt() if interrupted else failure
    if ended is not None:
        say(f"continue with: {command}")
        raise ended


JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
FOLDER = click.option(
    "-C", "--workspace", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    envvar="REPATRIA_WORKSPACE", help="The workspace (default: this folder).",
)  # fmt: skip


def progress() -> Progress:
    """Progress on stderr: a live line on a terminal, JSON lines when piped."""
    from toolkit.progress import for_stream

    return for_stream(sys.stderr)


def at(folder: Path) -> str:
    """` -C FOLDER` for a command that is named next, or nothing in the folder itself."""
    return "" if folder == Path() else f" -C {shlex.quote(str(folder))}"
