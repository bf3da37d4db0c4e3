"""The saved plan becomes real, step by step."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, cut_short, say, then


@click.command()
@click.argument("stack", default="")
@FOLDER
@click.option("--wave", type=click.IntRange(min=1), help="Only the steps of this wave.")
@click.option("--yes", is_flag=True, help="Do not ask for the project's name. Skips nothing else.")
@click.option(
    "--confirmed", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="What people did: step, name and time, as JSON lines or a YAML list.",
)  # fmt: skip
@JSON
def apply(
    stack: str, folder: Path, wave: int | None, yes: bool, confirmed: Path | None, as_json: bool
) -> None:
    """Run the plan's steps in order: all, those of one wave, or one STACK with what it needs.

    \b
    Each stack is previewed, built, and checked by a second preview that changes nothing.
    Stops at the first failure (exit code 1) and before what a person does (exit code 3);
    the same command continues, also after a crash. journal.jsonl tells what happened.
    """
    if stack and wave:
        raise click.UsageError("either a STACK or --wave, not both")
    from toolkit.apply import pages, run
    from toolkit.apply.order import Choice
    from toolkit.apply.watch import watch

    with watch() as seen:
        request = run.Request(
            folder, Choice(stack, wave or 0), yes=yes, confirmed=confirmed, ask=pages.ask,
            note=seen.note, show=lambda previews: say(pages.previews(previews)), event=seen.event,
        )  # fmt: skip
        report = run.apply(request)
    answer(report.json(), as_json, pages.applied)
    cut_short(report.interrupted, report.failure, request.command)
    if report.stopped is not None:
        then(report.stopped["hint"] or f"`{request.command}`")
        raise Look
    then(f"`repatria verify{at(folder)}`")
