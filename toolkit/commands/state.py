"""The state that Pulumi keeps of the target: where it is, who holds it, exported, encrypted anew; and settings of stacks."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from toolkit.console import FOLDER, JSON, answer, at, say, then


@click.group(invoke_without_command=True)
@FOLDER
@JSON
@click.pass_context
def state(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Say where the state is, which stacks it holds, and who holds them."""
    ctx.obj = folder
    if ctx.invoked_subcommand is not None:
        return
    from toolkit import states

    answer(states.describe(folder), as_json, states.table)
    then(f"`repatria preview{at(folder)}`")


@state.command()
@click.argument("stack")
@click.pass_obj
def export(folder: Path, stack: str) -> None:
    """Print the state of STACK as JSON, secrets encrypted, as `pulumi stack export` does."""
    import orjson

    from toolkit.engines import pulumi

    click.echo(
        orjson.dumps(pulumi.export_state(folder, stack), option=orjson.OPT_INDENT_2).decode()
    )
    say("It holds names, addresses and places of files; keep it as you keep the workspace.")
    then(f"`repatria preview {stack}{at(folder)}`")


@state.command()
@click.argument("stack")
@click.option("--yes", is_flag=True, help="Do not ask where the holder cannot be seen from here.")
@click.pass_obj
def unlock(folder: Path, stack: str, yes: bool) -> None:
    """Break the lock that a dead engine left on STACK. A holder that still runs is left alone."""
    from toolkit import states

    held = states.unlock(
        folder, stack,
        sure=lambda lock: yes or click.confirm(
            f"{lock.who}@{lock.host} cannot be seen from here. Is its process {lock.pid} gone?", err=True
        ),
    )  # fmt: skip
    click.echo(f"{stack}: lock of {held.who}@{held.host}, process {held.pid}, broken" if held else f"{stack}: not locked")  # fmt: skip
    then(f"`repatria preview {stack} --refresh{at(folder)}`")


@state.command()
@click.option("--new-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="File with the new passphrase (default: ask).")  # fmt: skip
@click.pass_obj
def rekey(folder: Path, new_file: Path | None) -> None:
    """Encrypt the state of every stack, and its secret settings, with a new passphrase."""
    from toolkit import states

    if new_file is not None:
        phrase = new_file.read_text("utf-8").strip()
    else:
        phrase = click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    for name in states.rekey(folder, phrase):
        click.echo(f"{name}: encrypted anew")
    say(
        "From now on the new passphrase opens them: put it where the old one was, and keep a copy elsewhere."
    )
    then(f"`repatria state{at(folder)}`")


@click.command(name="set")
@click.argument("stack")
@click.argument("name")
@click.argument("value", required=False)
@FOLDER
def setting(stack: str, name: str, value: str | None, folder: Path) -> None:
    """Set NAME in STACK's Pulumi.main.yaml; what the plan calls a secret is asked for, or read from stdin, and encrypted."""
    from toolkit import states

    secret = states.is_secret(folder, stack, name)
    if secret and value is not None:
        raise click.UsageError("a secret is not given on the command line: leave VALUE out, it is asked for or read from stdin")  # fmt: skip
    if value is None:
        if sys.stdin.isatty():
            value = str(click.prompt(name, hide_input=secret, err=True))
        else:
            value = sys.stdin.read().removesuffix("\n")
    left = states.set_value(folder, stack, name, value, secret=secret)
    click.echo(f"{stack}: {name} is set" + (", encrypted" if secret else ""))
    then(
        f"`repatria set {stack} {left[0]}{at(folder)}`"
        if left
        else f"`repatria preview {stack}{at(folder)}`"
    )
