"""The AWS side: what may be read, reading it, looking at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, progress, say, then


@click.command()
@click.option("--part", type=click.IntRange(min=1), help="Print only this managed policy.")
def policy(part: int | None) -> None:
    """Print the least-privilege read-only IAM policies that discover needs, as JSON."""
    import orjson

    from toolkit.policy import policies

    found = policies()
    if part is not None and part > len(found):
        raise click.UsageError(f"there are {len(found)} policies, no #{part}")
    shown: Any = found[part - 1] if part else found
    click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    say(
        f"{len(found)} managed policies, each within AWS's 6,144 characters; attach all of them to the reading role"
    )
    then("`repatria discover`")


@click.command()
@FOLDER
@click.option(
    "--profile", "profiles", multiple=True, help="AWS profile; may be given several times."
)
@click.option(
    "--role-arn", "role_arns", multiple=True, help="Role to assume; may be given several times."
)
@click.option(
    "--org-role", default="", help="Role name to assume in every account of the Organization."
)
@click.option("--region", "regions", multiple=True, help="AWS region; may be given several times.")
@click.option("--all-regions", is_flag=True, help="Every region that the account has enabled.")
@click.option("--type", "types", multiple=True, help="Only these AWS types, e.g. aws.ec2.instance.")
@click.option(
    "--fresh", is_flag=True, help="Do not continue an interrupted run; read everything again."
)
@click.option("--measures", is_flag=True, help="Also read 14 days of CloudWatch sizes and traffic.")
@JSON
def discover(
    folder: Path, profiles: tuple[str, ...], role_arns: tuple[str, ...], org_role: str, regions: tuple[str, ...],
    all_regions: bool, types: tuple[str, ...], fresh: bool, measures: bool, as_json: bool,
) -> None:  # fmt: skip
    """Read the AWS estate into estate.jsonl. Changes nothing in AWS, reads no secret."""
    from toolkit.config import load
    from toolkit.discover import Request
    from toolkit.discover import discover as run
    from toolkit.show import discovered_table

    config = load(folder)
    request = Request(
        profiles=profiles or config.profiles,
        role_arns=role_arns or config.role_arns,
        org_role=org_role or config.org_role,
        regions=regions or config.regions,
        all_regions=all_regions or (config.all_regions and not regions),
        types=types or config.types,
        fresh=fresh,
        measures=measures,
    )
    outcome = run(folder, request, progress=progress())
    answer(outcome.json(), as_json, discovered_table)
    then(f"`repatria plan{at(folder)}`")
    if outcome.gaps:
        raise Look


@click.command()
@click.argument("what", default="")
@FOLDER
@JSON
def show(what: str, folder: Path, as_json: bool) -> None:
    """Show what is in the estate: all types, or one TYPE, ID or NAME."""
    from toolkit import show as pages
    from toolkit.stage import read_estate

    answer(pages.show(read_estate(folder), what), as_json, pages.show_table)
    then(f"`repatria explain{at(folder)} {what or 'ID'}`")
