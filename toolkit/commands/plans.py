"""The plan: made, explained, compared, rendered."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.console import FOLDER, JSON, TARGETS, Look, answer, at, say, then


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--target", type=TARGETS, required=True, help="Where to go.")
@click.option("--region", default="", help="Region of the target.")
@click.option("--project", default="", help="Project (tenant) at the target.")
@click.option(
    "--cloud-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Catalogue file of another OpenStack cloud.",
)
def init(folder: Path, target: str, region: str, project: str, cloud_file: Path | None) -> None:
    """Make a workspace: repatria.toml, .gitignore and a README. Never overwrites."""
    from toolkit.init import init as make

    for path in make(folder, target=target, region=region, project=project, cloud_file=cloud_file):
        click.echo(str(path))
    then(
        f"edit {folder / 'repatria.toml'}, then `repatria discover -C {folder}`"
        if folder != Path()
        else "edit repatria.toml, then `repatria discover`"
    )


@click.command()
@click.argument("what")
@FOLDER
@JSON
def explain(what: str, folder: Path, as_json: bool) -> None:
    """Explain what becomes of a TYPE, or of one resource (ID or NAME), and why, with the facts."""
    from toolkit import show as pages

    answer(pages.explain(folder, what), as_json, pages.explain_table)


@click.command()
@FOLDER
@click.option("--target", type=TARGETS, help="Plan for this cloud instead of repatria.toml's.")
@JSON
def plan(folder: Path, target: str | None, as_json: bool) -> None:
    """Plan the way out: plan.json, names.yaml and decisions.yaml. Creates nothing."""
    from toolkit import show as pages
    from toolkit.stage import plan as run

    made = run(folder, target or "")
    answer(pages.plan_summary(made.document), as_json, pages.plan_table)
    for id_ in made.document["misfits"]:
        say(f"warning: decisions.yaml: {id_} does not fit any more; the default holds")
    then(f"look through decisions.yaml, then `repatria render{at(folder)}`")
    if pages.must_look(made.document):
        raise Look


@click.command()
@FOLDER
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Another plan.json (default: Git's HEAD).",
)
@JSON
def diff(folder: Path, against: Path | None, as_json: bool) -> None:
    """Say what changed since the last reviewed plan: the one in Git's HEAD, or --against."""
    from toolkit import show as pages
    from toolkit.plan.diff import compare
    from toolkit.reviewed import reviewed_plan
    from toolkit.workspace import PLAN, read_plan

    now = read_plan(folder / PLAN)
    before = read_plan(against) if against else reviewed_plan(folder)
    found = compare(before, now)
    answer(found, as_json, pages.diff_table)
    then(f"`repatria render{at(folder)}`, then commit")
    if found["changes"]:
        raise Look


@click.command()
@FOLDER
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["stacks", "markdown", "html", "runbooks", "csv"]),
    help="Only these (default: all).",
)  # fmt: skip
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit 3 where the folder is not what would be written.",
)
@JSON
def render(folder: Path, formats: tuple[str, ...], check: bool, as_json: bool) -> None:
    """Write plan.md, plan.html, runbooks/, stacks/ and losses.csv from the saved plan."""
    from toolkit import show as pages
    from toolkit.stage import FORMATS
    from toolkit.stage import render as run

    report = run(folder, formats or FORMATS, check=check)
    answer(report.json(), as_json, pages.render_table)
    if not check:
        then("open plan.html, review, commit; `repatria diff` shows what the next plan changes")
    if report.changed_by_user or (check and report.differs):
        raise Look
