"""A real OpenStack on this machine: brought up, looked at, entered, taken down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.console import JSON, Look, answer, say, then

LAB = click.option(
    "--lab", "folder", type=click.Path(path_type=Path, file_okay=False), envvar="REPATRIA_LAB",
    default=Path("/var/lib/repatria/lab"), show_default=True, help="The folder that holds the lab.",
)  # fmt: skip


@click.group()
def lab() -> None:
    """Rehearse on a real OpenStack of this machine: no account, no bill, no route out.

    Needs root on Debian 12; see docs/lab.md for what it is and what it is not.
    """


@lab.command()
@LAB
@click.option("--like", help="A cloud of the catalogue to look like (default: a plain OpenStack).")
@click.option("--region", help="The cloud's region to look like (default: its first).")
@click.option(
    "--cloud-file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Look like the cloud of this catalogue file.",
)  # fmt: skip
@click.option("--project", help="The customer's project and user (default: demo).")
@click.option("--ports", type=click.IntRange(1024, 22000), help="Added to each standard port (default: 10000).")  # fmt: skip
@click.option("--external", metavar="CIDR", help="The floating IPs' network (default: 198.51.100.0/24).")  # fmt: skip
@click.option("--without", "without", multiple=True, metavar="SERVICE", help="Leave out swift, octavia, designate, barbican, heat or manila.")  # fmt: skip
@click.option("--boxes", is_flag=True, default=None, help="Every server is a real machine with SSH; from then on.")  # fmt: skip
@JSON
def up(
    folder: Path, like: str | None, region: str | None, cloud_file: Path | None, project: str | None, ports: int | None,
    external: str | None, without: tuple[str, ...], boxes: bool | None, as_json: bool,
) -> None:  # fmt: skip
    """Bring the lab up, continue an interrupted one, or give it another cloud's face."""
    from toolkit.lab.folder import SERVICES, find_or_new
    from toolkit.lab.lifecycle import up as run
    from toolkit.lab.show import up_table

    if unknown := sorted(set(without) - set(SERVICES)):
        raise click.UsageError(
            f"--without {unknown[0]}: only {', '.join(SERVICES)} can be left out"
        )
    before = find_or_new(folder)
    if like or cloud_file:
        region = region or ""
    made = find_or_new(
        folder, like=like or ("openstack" if cloud_file else None), region=region, project=project, ports=ports,
        cloud_file=str(cloud_file.absolute()) if cloud_file else ("" if like else None), external=_network(external),
        services=tuple(s for s in SERVICES if s not in without) if without else None, boxes=boxes,
    )  # fmt: skip
    known = (before.folder / "lab.json").exists()
    answer(run(made, say, before=before if known else None), as_json, up_table)
    then(f"export OS_CLIENT_CONFIG_FILE={made.clouds} OS_CLOUD=lab")


def _network(text: str | None) -> str | None:
    import ipaddress

    if text is None:
        return None
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise click.UsageError(f"--external: {error}") from error
    if network.version != 4 or network.prefixlen > 28:
        raise click.UsageError("--external must be an IPv4 network of /28 or larger")
    return str(network)


@lab.command()
@LAB
def down(folder: Path) -> None:
    """Take the lab down; its data stays, and `up` continues it."""
    from toolkit.lab.lifecycle import down as run

    if not run(folder, say):
        say("the lab was down already")
    then("`repatria lab up` brings it back, `repatria lab purge` removes it")


@lab.command()
@LAB
def purge(folder: Path) -> None:
    """Take the lab down and remove all that is in it."""
    from toolkit.lab.lifecycle import purge as run

    run(folder, say)
    then("`repatria lab up` makes a new one")


@lab.command()
@LAB
@JSON
def status(folder: Path, as_json: bool) -> None:
    """Say what is up, with versions, memory, endpoints and what does not report. Exit 3 if anything is amiss."""
    from toolkit.lab.folder import find
    from toolkit.lab.show import status_table
    from toolkit.lab.status import status as look

    document: dict[str, Any] = look(find(folder))
    answer(document, as_json, status_table)
    then("`repatria lab up` starts what is missing" if document["amiss"] else "`repatria lab run CMD` reaches its floating IPs")  # fmt: skip
    if document["amiss"]:
        raise Look


@lab.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@LAB
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(folder: Path, command: tuple[str, ...]) -> None:
    """Run a COMMAND in the lab's network: floating IPs answer there, the APIs too, and nothing else."""
    from toolkit.lab.enter import run as enter
    from toolkit.lab.folder import find

    enter(find(folder), list(command))


@lab.command()
@LAB
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
def connect(folder: Path, host: str, port: int) -> None:
    """Join stdin and stdout to a HOST and PORT in the lab: ssh -o ProxyCommand='repatria lab connect %h %p'."""
    from toolkit.lab.enter import connect as enter
    from toolkit.lab.folder import find

    enter(find(folder), host, port)


@lab.command()
@LAB
@click.argument("name")
@click.option("--remove", is_flag=True, help="Remove the project and its user; it must be empty.")
def project(folder: Path, name: str, remove: bool) -> None:
    """Make one more project with a customer's rights and the profile's default quotas."""
    from toolkit.lab.folder import find
    from toolkit.lab.projects import add
    from toolkit.lab.projects import remove as take

    found = find(folder)
    if remove:
        take(found, name)
        then("`repatria lab status`")
    else:
        add(found, name)
        then(f"export OS_CLIENT_CONFIG_FILE={found.clouds} OS_CLOUD={name}")


@lab.command()
@LAB
@click.option("--project", "name", help="Whose (default: the lab's first project).")
@click.argument("limits", nargs=-1, metavar="[KIND=LIMIT]...")
@JSON
def quota(folder: Path, name: str | None, limits: tuple[str, ...], as_json: bool) -> None:
    """Show a project's quotas, or set some, as a provider does on request: routers=10 ports=80."""
    from toolkit.lab.folder import find
    from toolkit.lab.projects import quotas
    from toolkit.lab.show import quota_table

    wanted: dict[str, int] = {}
    for each in limits:
        kind, equals, limit = each.partition("=")
        if not equals or not limit.lstrip("-").isdigit() or int(limit) < -1:
            raise click.UsageError(f"{each}: write KIND=LIMIT with a number; -1 is no limit")
        wanted[kind] = int(limit)
    answer(quotas(find(folder), name or "", wanted), as_json, quota_table)
    then("`repatria preflight` measures a plan against them" if not limits else "`repatria lab quota`")  # fmt: skip


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})  # fmt: skip
@LAB
@click.argument("server")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def enter_box(folder: Path, server: str, command: tuple[str, ...]) -> None:
    """Run a COMMAND (default: a shell) in the box of a SERVER, as root."""
    from toolkit.lab.enter import box
    from toolkit.lab.folder import find

    box(find(folder), server, list(command))
