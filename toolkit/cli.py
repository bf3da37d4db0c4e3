"""Arguments -> one stage -> an answer on stdout, progress on stderr, an exit code. No logic here."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit import __version__
from toolkit.errors import InternalError, ToolkitError

if TYPE_CHECKING:
    from toolkit.progress import Progress

DONE, FAILED, USAGE, LOOK, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130
ENVIRONMENT = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE,
    errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR,
)  # fmt: skip
"""What the machine, not this program, refuses: exit code 1."""
TARGETS = click.Choice(["ovhcloud", "infomaniak", "cloudtemple", "openstack"])


class Look(Exception):  # noqa: N818 - not an error: finished, and a person must look
    """The command finished, and somebody has to look at what it said: exit code 3."""


def say(message: str) -> None:
    """A line for the person, on stderr, so that stdout stays the answer."""
    click.echo(message, err=True)


def then(command: str) -> None:
    """Name the next command."""
    say(f"next: {command}")


def answer(document: Any, as_json: bool, table: Callable[[Any], str]) -> None:
    """Print the answer: JSON with a schema number, or the table rendered from that same JSON."""
    if as_json:
        import orjson

        click.echo(
            orjson.dumps(
                {"schema": 1, **document}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
            ).decode()
        )
    else:
        click.echo(table(document))


_JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_FOLDER = click.option(
    "-C", "--workspace", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    envvar="REPATRIA_WORKSPACE", help="The workspace (default: this folder).",
)  # fmt: skip


def _progress() -> Progress:
    from toolkit.progress import for_stream

    return for_stream(sys.stderr)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="repatria")
@click.option("-v", "--verbose", is_flag=True, help="Debug messages on stderr.")
def commands(verbose: bool) -> None:
    """Read an AWS estate, plan its way onto a European cloud, write what people review and run.

    \b
    Usual order: init, discover, plan, render; then review the folder as a pull request.
    Exit codes: 0 done, 1 failed, 2 usage, 3 done but look at it, 70 bug, 130 interrupted.
    """
    if verbose:
        import logging

        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(name)s %(message)s")
        for noisy in ("botocore", "boto3", "urllib3", "werkzeug"):
            logging.getLogger(noisy).setLevel(logging.INFO)


@commands.command()
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


@commands.command()
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


@commands.command()
@_FOLDER
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
@_JSON
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
    outcome = run(folder, request, progress=_progress())
    answer(outcome.json(), as_json, discovered_table)
    then(f"`repatria plan{_at(folder)}`")
    if outcome.gaps:
        raise Look


@commands.command()
@click.argument("what", default="")
@_FOLDER
@_JSON
def show(what: str, folder: Path, as_json: bool) -> None:
    """Show what is in the estate: all types, or one TYPE, ID or NAME."""
    from toolkit import show as pages
    from toolkit.stage import read_estate

    answer(pages.show(read_estate(folder), what), as_json, pages.show_table)
    then(f"`repatria explain{_at(folder)} {what or 'ID'}`")


@commands.command()
@click.argument("what")
@_FOLDER
@_JSON
def explain(what: str, folder: Path, as_json: bool) -> None:
    """Explain what becomes of a TYPE, or of one resource (ID or NAME), and why, with the facts."""
    from toolkit import show as pages

    answer(pages.explain(folder, what), as_json, pages.explain_table)


@commands.command()
@_FOLDER
@click.option("--target", type=TARGETS, help="Plan for this cloud instead of repatria.toml's.")
@_JSON
def plan(folder: Path, target: str | None, as_json: bool) -> None:
    """Plan the way out: plan.json, names.yaml and decisions.yaml. Creates nothing."""
    from toolkit import show as pages
    from toolkit.stage import plan as run

    made = run(folder, target or "")
    answer(pages.plan_summary(made.document), as_json, pages.plan_table)
    for id_ in made.document["misfits"]:
        say(f"warning: decisions.yaml: {id_} does not fit any more; the default holds")
    then(f"look through decisions.yaml, then `repatria render{_at(folder)}`")
    if pages.must_look(made.document):
        raise Look


@commands.command()
@_FOLDER
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Another plan.json (default: Git's HEAD).",
)
@_JSON
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
    then(f"`repatria render{_at(folder)}`, then commit")
    if found["changes"]:
        raise Look


@commands.command()
@_FOLDER
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["stacks", "markdown", "html", "runbooks", "csv"]),
    help="Only these (default: all).",
)  # fmt: skip
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit 3 where the folder is not what would be written.",
)
@_JSON
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


@commands.command()
@_JSON
def coverage(as_json: bool) -> None:
    """Print the table of AWS types: what is read, what it becomes, what is lost."""
    from toolkit.coverage import coverage as table
    from toolkit.coverage import markdown

    answer(table(), as_json, markdown)


@commands.command()
@click.argument("provider", required=False)
@click.option(
    "--cloud-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A catalogue file of your own.",
)
@_JSON
def catalog(provider: str | None, cloud_file: Path | None, as_json: bool) -> None:
    """Print the catalogue's facts of a PROVIDER with source and date, and what is unverified."""
    from toolkit import show as pages

    answer(pages.catalog(provider, cloud_file), as_json, pages.catalog_table)


@commands.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("out/demo")
)
@click.option("--target", type=TARGETS, default="ovhcloud", help="Where the demo company goes.")
@_JSON
def demo(folder: Path, target: str, as_json: bool) -> None:
    """Fill an embedded AWS with a company, then run every stage on it. No account needed."""
    from toolkit import show as pages
    from toolkit.demo.run import run

    answer(run(folder, target, say=say, progress=_progress()), as_json, pages.demo_table)
    then(f"open {folder / 'plan.html'}")


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL; e.g. `repatria completion bash >> ~/.bashrc`."""
    from click.shell_completion import get_completion_class

    cls = get_completion_class(shell)
    if cls is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(cls(commands, {}, "repatria", "_REPATRIA_COMPLETE").source())


def _at(folder: Path) -> str:
    import shlex

    return "" if folder == Path() else f" -C {shlex.quote(str(folder))}"


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and turns every ending into its exit code."""
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    color = False if os.environ.get("NO_COLOR") else None
    try:
        commands.main(
            args=list(argv) if argv is not None else None,
            prog_name="repatria",
            standalone_mode=False,
            color=color,
        )
    except Look:
        return LOOK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        say("\ninterrupted; run the same command again to continue")
        return INTERRUPTED
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except InternalError as error:
        return _bug(error)
    except ToolkitError as error:
        say(f"error: {error.message}")
        if error.hint:
            say(f"hint: {error.hint}")
        return FAILED
    except OSError as error:
        if error.errno not in ENVIRONMENT:
            return _bug(error)
        say(f"error: {error.strerror}" + (f": {error.filename}" if error.filename else ""))
        say("hint: this is the machine's answer; nothing that was there is lost, run it again.")
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last fence; it is written down and exits 70
        return _bug(error)
    return DONE


def _bug(error: Exception) -> int:
    import platform
    import tempfile

    try:
        handle, name = tempfile.mkstemp(prefix="repatria-bug-", suffix=".log")
        with os.fdopen(handle, "w") as log:
            log.write(
                f"repatria {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
            )
            log.write("".join(traceback.format_exception(error)))
    except OSError as full:
        name = f"what follows (no log could be written: {full.strerror})"
        say("".join(traceback.format_exception(error)))
    say(f"bug: {type(error).__name__}: {error}")
    say(
        f"hint: this is ours, not yours; please report it with {name} (read it first: it may hold names of your estate)"
    )
    return BUG
