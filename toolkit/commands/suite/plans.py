"""Answers, sizes, papers, and what of them reaches outside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from toolkit.commands.suite import suite
from toolkit.console import FOLDER, JSON, Look, answer, at, say, then

FILE = click.Path(path_type=Path, dir_okay=False)


@suite.command()
@click.argument("client")
@click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), default=Path()
)
@click.option("--answers", type=FILE, help="Take the answers from this file instead of asking.")
def init(client: str, folder: Path, answers: Path | None) -> None:
    """Write suite.toml, the answers of a CLIENT. Asks on a terminal; never overwrites."""
    from toolkit.suite.init import init as make

    def ask(question: str, default: str) -> str:
        typed: str = click.prompt(question, default=default, show_default=bool(default), err=True)
        return typed

    click.echo(str(make(client, folder, answers=answers, ask=ask if sys.stdin.isatty() else None)))
    then(f"`repatria suite plan{at(folder)}`")


@suite.command()
@FOLDER
@click.option("--answers", type=FILE, help="Size from this file, and write nothing.")
@JSON
def plan(folder: Path, answers: Path | None, as_json: bool) -> None:
    """Size the suite: suite.json, suite.md, inventory/ and stacks/suite/. Creates nothing at the target."""
    from toolkit.suite import pages
    from toolkit.suite.answers import FILE as ANSWERS
    from toolkit.suite.answers import load
    from toolkit.suite.plan import plan as size
    from toolkit.suite.write import write

    document = size(load(answers or folder / ANSWERS))
    for path in [] if answers else write(folder, document):
        say(f"wrote {path}")
    answer(document, as_json, pages.table)
    if answers:
        then(f"`repatria suite init {document['answers']['client']} DIR --answers {answers}`")
    else:
        then(f"read {folder / 'suite.md'}, ask for the quotas it names, and commit")
    if pages.must_look(document):
        raise Look


@suite.command()
@FOLDER
@click.option(
    "--check", is_flag=True, help="Write nothing; exit code 3 where the papers are not up to date."
)
def papers(folder: Path, check: bool) -> None:
    """Write the runbooks and the handover binder into papers/, in the languages of suite.toml.

    Made from suite.json and, where there is one, drill.json: the result of the last restore drill.
    """
    from toolkit.suite.papers.write import differs, write

    if check:
        stale = differs(folder)
        click.echo("\n".join(str(path) for path in stale) or "The papers are up to date.")
        if stale:
            then(f"`repatria suite papers{at(folder)}`")
            raise Look
        return
    for path in write(folder):
        say(f"wrote {path}")
    then(f"read {folder / 'papers'}, print the binder, and commit")


@suite.command()
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path, exists=True))
@FOLDER
@click.option("--hosts", is_flag=True, help="The settings that are installed on the hosts of the workspace, fetched for this.")  # fmt: skip
@click.option("--inventory", type=click.Path(path_type=Path, exists=True), help="Hosts in place of the workspace's inventory.")  # fmt: skip
@click.option(
    "--answers", type=FILE, help="suite.toml: what is the client's own, and what is allowed (default with --hosts: that of the workspace)."
)  # fmt: skip
@click.option("--contacts", "logs", type=FILE, multiple=True, help="JSON lines of what services really contacted; may be repeated.")  # fmt: skip
@JSON
def lint(
    paths: tuple[Path, ...], folder: Path, hosts: bool, inventory: Path | None, answers: Path | None, logs: tuple[Path, ...], as_json: bool
) -> None:  # fmt: skip
    """Find hosts outside the client's own in rendered files, on the hosts, and in the log of what was contacted.

    \b
    Exit code 3: a host that no [[allow]] of suite.toml names, or a file that could not be read.
    """
    from toolkit.assess import sovereignty
    from toolkit.suite import outside
    from toolkit.suite.answers import load
    from toolkit.suite.read import files, log

    if not (paths or logs or hosts):
        raise click.UsageError("name files or folders, a log with --contacts, or --hosts")
    if hosts:
        own = outside.own(folder, answers)
        held = outside.settings(folder, inventory)
    else:
        own = sovereignty.of_answers(load(answers)) if answers else sovereignty.Own()
        held = outside.Installed()
    document = sovereignty.lint(files(paths) | held.files, own, [log(each) for each in logs], held.pristine)  # fmt: skip
    document["unread"] += held.unread
    document["kept_there"] = held.kept_there
    answer(document, as_json, sovereignty.table)
    _judged(document, "take each host out of the configuration, or allow it in suite.toml with a reason, then lint again")  # fmt: skip


@suite.command()
@FOLDER
@click.option("--inventory", type=click.Path(path_type=Path, exists=True), help="Hosts in place of the workspace's inventory.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0.05, 24 * 60), default=10, show_default=True, help="Record so long; with --start, at most so long.")  # fmt: skip
@click.option("--start", "only", flag_value="begin", help="Begin to record, and return.")
@click.option("--stop", "only", flag_value="end", help="End what --start began, and look at it.")
@JSON
def contacts(folder: Path, inventory: Path | None, minutes: float, only: str | None, as_json: bool) -> None:  # fmt: skip
    """Record on every host whom its services contact, then lint that; the logs are kept in contacts/.

    \b
    Work with the suite meanwhile: repatria suite smoke, a backup, a conference.
    Exit code 3: a host that no [[allow]] of suite.toml names, or a host or packets that were not recorded.
    """
    from toolkit.assess import sovereignty
    from toolkit.suite import outside

    asked = outside.Recording(folder, inventory, minutes, (only,) if only else ("begin", "wait", "end"), say)  # fmt: skip
    if not only:
        say(f"recording for {minutes:g} minutes")
    try:
        document = outside.record(asked)
    except KeyboardInterrupt:
        say(f"the hosts record on for {minutes:g} minutes at most; `repatria suite contacts{at(folder)} --stop` ends it")  # fmt: skip
        raise
    if document is None:
        then(f"work with the suite, then `repatria suite contacts{at(folder)} --stop`")
        return
    answer(document, as_json, sovereignty.table)
    _judged(document, "find out what contacts each host, and take it out or allow it in suite.toml with a reason")  # fmt: skip


def _judged(document: dict[str, Any], what: str) -> None:
    """Exit code 3 where somebody must look."""
    if document["contacts"] or document["unread"]:
        then(what)
        raise Look
