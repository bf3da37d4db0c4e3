"""What a person does with the suite."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.commands.suite import suite
from toolkit.console import FOLDER, JSON, Look, answer, at, say, then

FILE = click.Path(path_type=Path, dir_okay=False)


@suite.command()
@FOLDER
@click.option("--config", type=FILE, help="Settings and passwords (default: smoke.toml of the workspace).")  # fmt: skip
@click.option("--only", multiple=True, metavar="CHECK", help="Only these: an id, an application, or a pattern (matrix.*). May be repeated.")  # fmt: skip
@click.option("--write-config", is_flag=True, help="Write smoke.toml from suite.json, to fill in; tries nothing.")  # fmt: skip
@JSON
def smoke(folder: Path, config: Path | None, only: tuple[str, ...], write_config: bool, as_json: bool) -> None:  # fmt: skip
    """Try what a person does with the suite, and what nobody may do; cleans up after itself.

    Exit code 3 where a check failed, could not be run, or left something behind.
    """
    from fnmatch import fnmatchcase

    from toolkit.errors import ConfigError
    from toolkit.smoke import settings as file
    from toolkit.smoke.check import chosen, must_look, run, terminable
    from toolkit.smoke.checks import checks
    from toolkit.smoke.report import table, total
    from toolkit.suite.write import PLAN, read

    if write_config:
        path = file.write_config(folder, read(folder))
        click.echo(str(path))
        then(f"fill in the passwords, then `repatria suite smoke{at(folder)}`")
        return
    try:
        settings = file.load(config or folder / file.FILE, read(folder) if (folder / PLAN).exists() else None)  # fmt: skip
    except ConfigError as error:
        raise click.UsageError(f"{error.message}\nhint: {error.hint}") from None
    for row in settings.accept:
        if not any(fnmatchcase(check.id, row["check"]) for check in checks()):
            raise click.UsageError(f"[[accept]] {row['check']}: no check is named so; docs/smoke.md lists them")  # fmt: skip
    try:
        asked = chosen(checks(), only)
    except KeyError as error:
        raise click.BadParameter(f"no check is named {error.args[0]!r}; docs/smoke.md lists them", param_hint="--only") from None  # fmt: skip
    total_known = sum(check.applies(settings) for check in checks())
    with terminable():
        document = run(asked, settings, total=total_known, seen=lambda got: say(f"{got.status:<8} {got.id}") if as_json else None)  # fmt: skip
    answer(document, as_json, table)
    if must_look(document):
        say(total(document))
        again = next((f" --only {each['id']}" for each in document["checks"] if each["status"] == "failed"), "")  # fmt: skip
        then(f"look at what is not ok, then `repatria suite smoke{at(folder)}{again}`")
        raise Look
    then("keep this result with the handover papers")
