"""Commands and processes as the boxes need them: output or the reason, and the end of a process made sure."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class CommandError(Exception):
    """A command failed; its text is what it wrote."""


def run(*words: object, check: bool = True) -> str:
    """Run a command. Raises CommandError unless `check` is off."""
    argv = [str(word) for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # fmt: skip
    if check and done.returncode:
        raise CommandError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def tell(*words: object) -> None:
    """A line of the daemon's log."""
    print(time.strftime("%H:%M:%S"), *words, flush=True, file=sys.stdout)


def alive(pid: int, word: str) -> bool:
    """Whether a process is the one whose command line holds `word`: numbers are used again."""
    try:
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def child(pid: int) -> int:
    """The first child of a process. Raises OSError or IndexError where there is none."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def end(pid: int, word: str, seconds: float) -> None:
    """Ask a process to end, and end it by force after `seconds`."""
    for sent, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        if not alive(pid, word):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sent)
        limit = time.monotonic() + patience
        while alive(pid, word) and time.monotonic() < limit:
            collect()
            time.sleep(0.05)


def collect() -> None:
    """Collect children that have ended, so that none stays as a zombie."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
