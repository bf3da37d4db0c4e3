"""The entry point: finds the commands, runs one, turns every ending into its exit code. No logic here."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence

import click

from toolkit import __version__
from toolkit import commands as rooms
from toolkit.console import Look, say
from toolkit.errors import InternalError, ToolkitError

DONE, FAILED, USAGE, LOOK, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130
ENVIRONMENT = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE,
    errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR,
)  # fmt: skip
"""What the machine, not this program, refuses: exit code 1."""


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


def _found() -> Iterator[click.Command]:
    """The commands that modules of `toolkit.commands` make; those of a group come with their group."""
    for room in pkgutil.iter_modules(rooms.__path__):
        module = importlib.import_module(f"{rooms.__name__}.{room.name}")
        made = [
            each
            for each in vars(module).values()
            if isinstance(each, click.Command) and each.callback is not None
            and each.callback.__module__ == module.__name__
        ]  # fmt: skip
        inner = [each for group in made if isinstance(group, click.Group) for each in group.commands.values()]  # fmt: skip
        yield from (each for each in made if each not in inner)


for _command in _found():
    commands.add_command(_command)


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
    import traceback

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
