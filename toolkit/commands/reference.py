"""What the tool knows and shows of itself."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.console import JSON, TARGETS, Look, answer, progress, say, then


@click.command()
@JSON
def coverage(as_json: bool) -> None:
    """Print the table of AWS types: what is read, what it becomes, what is lost."""
    from toolkit.coverage import coverage as table
    from toolkit.coverage import markdown

    answer(table(), as_json, markdown)


@click.command()
@click.argument("provider", required=False)
@click.option(
    "--cloud-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A catalogue file of your own.",
)
@JSON
def catalog(provider: str | None, cloud_file: Path | None, as_json: bool) -> None:
    """Print the catalogue's facts of a PROVIDER with source and date, and what is unverified."""
    from toolkit import show as pages

    answer(pages.catalog(provider, cloud_file), as_json, pages.catalog_table)


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("out/demo")
)
@click.option("--target", type=TARGETS, default="ovhcloud", help="Where the demo company goes.")
@click.option(
    "--apply",
    "onto",
    type=click.Choice(["lab"]),
    help="Also build it: on the lab, a real OpenStack of this machine.",
)
@JSON
def demo(folder: Path, target: str, onto: str | None, as_json: bool) -> None:
    """Fill an embedded AWS with a company, then run every stage on it. No account needed."""
    from toolkit.demo import pages
    from toolkit.demo.run import run

    answered = run(folder, target, onto=onto or "", say=say, progress=progress())
    answer(answered, as_json, pages.demo_table)
    if not onto:
        then(
            f"open {folder / 'plan.html'}, or `repatria demo {folder} --apply lab` to build it on a lab"
        )
        return
    then(f"`repatria verify -C {folder}`, `repatria destroy -C {folder} --including-data`")
    if answered["rehearsal"]["look"]:
        raise Look


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL; e.g. `repatria completion bash >> ~/.bashrc`."""
    from click.shell_completion import get_completion_class

    cls = get_completion_class(shell)
    if cls is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(
        cls(
            click.get_current_context().find_root().command, {}, "repatria", "_REPATRIA_COMPLETE"
        ).source()
    )
