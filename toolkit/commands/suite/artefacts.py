"""What the roles install that Debian does not have."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.commands.suite import suite
from toolkit.console import JSON, Look, answer, say, then

FILE = click.Path(path_type=Path, dir_okay=False)


PLACE = click.argument(
    "place", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
OF = click.option("--artefacts", "file", type=FILE, help="Another list than that of the playbooks.")


@suite.group()
def artefacts() -> None:
    """What the roles install that Debian does not have: bring it onto this machine, and check it.

    DIR is ~/.cache/repatria/artefacts where none is given.
    """


@artefacts.command("list")
@OF
@JSON
def list_(file: Path | None, as_json: bool) -> None:
    """Name, version, licence and source of each artefact."""
    from toolkit.suite.artefacts import SOURCES, load

    rows = [
        {"name": each.name, "version": each.version, "licence": each.licence, "what": each.what, "from": next(getattr(each, s) for s in SOURCES if getattr(each, s))}
        for each in load(file).values()
    ]  # fmt: skip
    answer({"artefacts": rows}, as_json, lambda held: "\n".join(f"{r['name']} {r['version']} ({r['licence']}): {r['what']}" for r in held["artefacts"]))  # fmt: skip
    then("`repatria suite artefacts fetch DIR`")


@artefacts.command()
@PLACE
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--mirror", default="", envvar="REPATRIA_MIRROR", help="Ask this server for the same paths instead of the makers' own.")  # fmt: skip
@OF
@JSON
def fetch(
    place: Path | None, names: tuple[str, ...], mirror: str, file: Path | None, as_json: bool
) -> None:
    """Fetch the artefacts (or those NAMEd) into DIR; what is there and right stays. Exit code 3: some are missing."""
    from toolkit.suite.artefacts import fetch as bring
    from toolkit.suite.artefacts import folder, load, some, table

    into = place or folder()
    rows = bring(some(load(file), names), into, mirror=mirror, root=file.parent if file else None, said=say)  # fmt: skip
    answer({"folder": str(into), "artefacts": rows}, as_json, table)
    then(f"`repatria suite artefacts check {into}`")
    if any(row["state"] != "ready" for row in rows):
        raise Look


@artefacts.command()
@PLACE
@click.argument("names", metavar="[NAME]...", nargs=-1)
@OF
@JSON
def check(place: Path | None, names: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    """Check what is in DIR by checksums and signatures, without any network. Exit code 3: something is missing."""
    from toolkit.suite.artefacts import check as look
    from toolkit.suite.artefacts import folder, load, some, table

    into = place or folder()
    rows = look(some(load(file), names), into)
    answer({"folder": str(into), "artefacts": rows}, as_json, table)
    if any(row["state"] != "ready" for row in rows):
        then(f"`repatria suite artefacts fetch {into}`")
        raise Look
    then(f"set `suite_artefacts: {into.absolute()}` in the inventory")
