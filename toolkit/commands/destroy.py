"""What was applied is taken away again."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, cut_short, say, then


@click.command()
@click.argument("stack", default="")
@FOLDER
@click.option("--including-data", is_flag=True, help="Also what holds data or an address: lost for good.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask for the project's name where no data is lost.")  # fmt: skip
@JSON
def destroy(stack: str, folder: Path, including_data: bool, yes: bool, as_json: bool) -> None:
    """Take away STACK, or all stacks, the last built first. The source at AWS is not touched.

    \b
    Refuses what another stack still uses, and, without --including-data, anything that holds
    data or an address; with it the project's name has to be typed even with --yes.
    """
    from toolkit import destroy as room
    from toolkit.apply import pages
    from toolkit.apply.recover import Unclear
    from toolkit.apply.watch import watch

    with watch() as seen:
        request = room.Request(
            folder, stack, including_data=including_data, yes=yes, ask=pages.ask, note=seen.note,
            show=lambda found: say(pages.going(found)), event=seen.event,
        )  # fmt: skip
        try:
            report = room.destroy(request)
        except Unclear as unclear:
            say(f"a person must look: {unclear.message}")
            then(unclear.hint)
            raise Look from unclear
    answer(report.json(), as_json, pages.destroyed)
    cut_short(report.interrupted, report.failure, request.command)
    then(f"`repatria state{at(folder)}`")
