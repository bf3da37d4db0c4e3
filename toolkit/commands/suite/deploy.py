"""The suite on its hosts: built, installed, looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from toolkit.commands.suite import suite
from toolkit.console import FOLDER, JSON, Look, answer, at, say, then

FILE = click.Path(path_type=Path, dir_okay=False)


INVENTORY = click.option("--inventory", type=click.Path(path_type=Path, exists=True), help="Hosts that exist already, with all variables, in place of the plan's inventory; no stack is built.")  # fmt: skip
ARTEFACTS = click.option("--artefacts", "store", type=click.Path(path_type=Path, file_okay=False), help="Folder of what `suite artefacts fetch` brought.")  # fmt: skip
CHECK = click.option("--check", is_flag=True, help="Say what would change, and change nothing.")


@suite.command()
@FOLDER
@INVENTORY
@click.option("--no-stack", is_flag=True, help="Leave the infrastructure as it is; install only.")
@click.option("--stack-only", is_flag=True, help="Build the infrastructure, and enter no host.")
@ARTEFACTS
@click.option("--from", "begin", metavar="PART", default="", help="Go on from this part of the playbook, such as `nextcloud`.")  # fmt: skip
@click.option("--only", metavar="PART", multiple=True, help="Only this part; may be repeated.")
@click.option("--without", metavar="PART", multiple=True, help="Leave this part out, where what it needs cannot be had; may be repeated.")  # fmt: skip
@click.option("--new-host", "new", metavar="HOST", multiple=True, help="This host is another machine than before: learn its SSH key anew.")  # fmt: skip
@click.option("--refresh", is_flag=True, help="Ask the cloud first what still stands, and build anew what was lost there.")  # fmt: skip
@click.option("--wait-dns", metavar="MINUTES", type=click.FloatRange(0, 1440), default=60, show_default=True, help="Wait so long for names that somebody else's zone holds.")  # fmt: skip
@CHECK
@click.option("--yes", is_flag=True, help="Build what the preview shows without asking.")
@JSON
def apply(
    folder: Path, inventory: Path | None, no_stack: bool, stack_only: bool, store: Path | None, begin: str, only: tuple[str, ...], without: tuple[str, ...], new: tuple[str, ...],
    refresh: bool, wait_dns: float, check: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Build the stack, then install the suite. Run again, it changes only what differs. Exit code 3: a part was left out."""
    from toolkit.suite import deploy, pages

    if stack_only and (no_stack or inventory):
        raise click.UsageError("--stack-only goes with neither --no-stack nor --inventory")

    def agree(lines: list[str]) -> bool:
        for line in lines:
            say(f"  {line}")
        return yes or (sys.stdin.isatty() and click.confirm(f"{len(lines)} changes of the infrastructure?", err=True))  # fmt: skip

    done = deploy.apply(
        deploy.Request(
            folder, inventory=inventory, stack=not (no_stack or inventory), artefacts=store, begin=begin, only=only, without=without, new=new,
            install=not stack_only, refresh=refresh, check=check, wait_dns=wait_dns * 60, say=say, agree=agree,
        )
    )  # fmt: skip
    answer(done, as_json, pages.applied)
    if done["stack"] and done["stack"]["stopped"]:
        say("nothing was built: --yes, or an answer on a terminal, is needed")
        raise Look
    if stack_only:
        then(f"`repatria suite apply{at(folder)}` installs what runs on it")
        return
    then(f"`repatria suite smoke{at(folder)}`")
    if done["partly"] or done["without"]:
        raise Look


@suite.command()
@FOLDER
@INVENTORY
@JSON
def status(folder: Path, inventory: Path | None, as_json: bool) -> None:
    """Ask every host: services, disks, certificates, backups. Exit code 3: something is wrong."""
    from toolkit.suite import status as room

    said = room.status(folder, inventory)
    answer(said, as_json, room.table)
    if said["problems"]:
        raise Look


@suite.command()
@FOLDER
@click.argument("name", default="")
@JSON
def secret(folder: Path, name: str, as_json: bool) -> None:
    """List the names of the suite's secrets, or keep the one called NAME: asked for, or from stdin. Never shows one."""
    from toolkit.suite import vault

    if name:
        value = click.prompt(name, hide_input=True, confirmation_prompt=True, err=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")  # fmt: skip
        vault.put(folder, name, value)
        say(f"{name} is in {folder / vault.FILE}, encrypted")
        return
    held = vault.read(folder)
    rows = [{"name": each, "role": said["role"], "what": said["what"], "there": each in held} for each, said in sorted(vault.needs().items())]  # fmt: skip
    rows += [{"name": each, "role": "", "what": what, "there": each in held} for each, what in vault.GIVEN.items()]  # fmt: skip
    answer({"secrets": rows}, as_json, lambda said: "\n".join(f"{'kept' if row['there'] else '-':<5} {row['name']:<32} {row['what']}" for row in said["secrets"]))  # fmt: skip


@suite.command()
@FOLDER
@INVENTORY
@JSON
def backup(folder: Path, inventory: Path | None, as_json: bool) -> None:
    """Make one set over all applications now, besides the nightly ones."""
    from toolkit.suite import backups, deploy

    held = backups.backup(deploy.Request(folder, inventory=inventory, say=say))
    answer(held, as_json, backups.table)
    then(f"`repatria suite drill start{at(folder)}` proves that it comes back")


@suite.command()
@FOLDER
@INVENTORY
@click.option("--set", "set_", metavar="ID", default="newest", show_default=True, help="The set that comes back.")  # fmt: skip
@click.option("--part", "parts", metavar="NAME", multiple=True, help="Only this application; may be repeated.")  # fmt: skip
@JSON
def restore(folder: Path, inventory: Path | None, set_: str, parts: tuple[str, ...], as_json: bool) -> None:  # fmt: skip
    """Put a set in the place of what the applications hold now. Asks for the client's name."""
    from toolkit.suite import backups, deploy, write

    client = write.read(folder)["answers"]["client"]
    _named(client, f"what {', '.join(parts) or 'every application'} holds now is replaced by the set {set_}")  # fmt: skip
    held = backups.restore(deploy.Request(folder, inventory=inventory, say=say), set_, parts)
    answer(held, as_json, backups.table)
    then(f"`repatria suite smoke{at(folder)}`")


@suite.group()
def drill() -> None:
    """Prove that a backup comes back: start, lose a host, suite apply, suite restore, finish."""


@drill.command()
@FOLDER
@INVENTORY
@JSON
def start(folder: Path, inventory: Path | None, as_json: bool) -> None:
    """Plant marks in every application, then make a set."""
    from toolkit.suite import backups, deploy

    answer(backups.start(deploy.Request(folder, inventory=inventory, say=say)), as_json, backups.table)  # fmt: skip
    then(f"lose a host, then `repatria suite apply{at(folder)} --refresh` (--new-host HOST, where no stack made it), `repatria suite restore{at(folder)}`, `repatria suite drill finish{at(folder)}`")  # fmt: skip


@drill.command()
@FOLDER
@INVENTORY
@click.option("--lost", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="When the hosts were lost, such as 2026-11-26T09:00:00+01:00 (default: when `suite apply` began).")  # fmt: skip
@JSON
def finish(folder: Path, inventory: Path | None, lost: Any, as_json: bool) -> None:
    """Look for the marks, and write drill.json. Exit code 3: one is not as it was."""
    from toolkit.suite import backups, deploy

    held = backups.finish(deploy.Request(folder, inventory=inventory, say=say), lost)
    answer(held, as_json, backups.table)
    then(f"`repatria suite papers{at(folder)}`: the binder shows the drill")
    if not held["ok"]:
        raise Look


@suite.command()
@FOLDER
@INVENTORY
@ARTEFACTS
@click.option("--from", "installed", metavar="VERSION", required=True, help="Nextcloud's version that is installed (`occ status`).")  # fmt: skip
@click.option("--to", "wanted", metavar="VERSION", default="", help="The version to end with (default: that of artefacts.yml).")  # fmt: skip
@click.option("--plan", "only_plan", is_flag=True, help="Say the steps, and do none.")
@JSON
def upgrade(
    folder: Path, inventory: Path | None, store: Path | None, installed: str, wanted: str, only_plan: bool, as_json: bool
) -> None:  # fmt: skip
    """Upgrade Nextcloud, one major version at a time; other applications come with `suite apply`."""
    from toolkit.suite import artefacts, deploy
    from toolkit.suite import upgrade as room

    known = artefacts.load()["nextcloud"]
    steps = room.chain(installed, wanted or known.version)
    document = {"from": installed, "to": wanted or known.version, "steps": [{"from": s.start, "to": s.version, "latest": s.latest} for s in steps]}  # fmt: skip
    answer(document, as_json, lambda _: "\n".join(f"{s.start} -> {s.version}" for s in steps) or "nothing to do")  # fmt: skip
    if only_plan or not steps:
        return
    name = known.file.replace(known.version, "{}")
    wishes = [{"version": s.version, "artefact": name.format(s.version), "signature": f"{name.format(s.version)}.asc", "latest": s.latest} for s in steps]  # fmt: skip
    deploy.book(deploy.Request(folder, inventory=inventory, artefacts=store, say=say, variables={"nextcloud_steps": wishes}), "upgrade.yml", ["nextcloud"])  # fmt: skip
    then(f"`repatria suite smoke{at(folder)} --only nextcloud`")


@suite.group()
def person() -> None:
    """One person of the suite: their data handed out, or erased everywhere."""


MATRIX = click.option("--matrix-user", metavar="@NAME:DOMAIN", default="", help="The account in the chat, where it has another name.")  # fmt: skip


@person.command()
@click.argument("name")
@FOLDER
@INVENTORY
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder that a new one for this export goes into (default: .repatria/people of the workspace).")  # fmt: skip
@MATRIX
@JSON
def export(folder: Path, inventory: Path | None, name: str, to: Path | None, matrix_user: str, as_json: bool) -> None:  # fmt: skip
    """Everything that the suite holds of NAME, as files here. Exit code 3: something could not be had, and is named."""
    from toolkit.suite import deploy, people

    held = people.export(deploy.Request(folder, inventory=inventory, say=say), name, to, matrix_user)  # fmt: skip
    answer(held, as_json, people.table)
    then("hand it over on a way that the person chose, then delete the folder")
    if not held["complete"] or any(each.get("not_given") for each in held["parts"].values()):
        raise Look


@person.command()
@click.argument("name")
@FOLDER
@INVENTORY
@MATRIX
@JSON
def erase(folder: Path, inventory: Path | None, name: str, matrix_user: str, as_json: bool) -> None:
    """NAME out of every application, for good. Asks for the name. Exit code 3: an application was not asked."""
    from toolkit.suite import deploy, people

    people.known(name)
    _typed(name, f"what every application holds of {name} is erased; there is no way back but a restore", "The person's name")  # fmt: skip
    held = people.erase(deploy.Request(folder, inventory=inventory, say=say), name, matrix_user)
    answer(held, as_json, people.table)
    then("a line in the client's register: who, when, what was erased")
    if not held["complete"]:
        raise Look


def _named(client: str, what: str) -> None:
    """Go on only where somebody types the client's name."""
    _typed(client, what, "The client's name")


def _typed(name: str, what: str, asked: str) -> None:
    say(f"{name}: {what}")
    typed = click.prompt(asked, err=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if typed != name:
        raise click.UsageError(f"that is not {name!r}: nothing was changed")
