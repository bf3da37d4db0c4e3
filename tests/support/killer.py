"""`repatria apply` as a process of its own -> killed at a point, whole or only its parent; what a power cut and an OOM killer do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass
class Ended:
    """How a run ended; `code` is negative where a signal ended it."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, object]:
        """What `--json` printed."""
        found: dict[str, object] = json.loads(self.out)
        return found


def run(arguments: list[str], environment: Mapping[str, str], given: str = "") -> Ended:
    """A command to its end."""
    done = subprocess.run(
        [_command(), *arguments],
        input=given, capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


def _command() -> str:
    return str(Path(sys.executable).with_name("repatria"))


def during(
    arguments: list[str], environment: Mapping[str, str], noted: str, do: Callable[[], None]
) -> Ended:  # fmt: skip
    """A command to its end, with something done at the moment that it notes so."""
    with subprocess.Popen(
        [_command(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    ) as child:  # fmt: skip
        assert child.stderr is not None
        said = []
        for line in child.stderr:
            said.append(line)
            if noted in line:
                do()
                break
        out, err = child.communicate(timeout=900)
        return Ended(child.returncode, out, "".join(said) + err)


def killed(
    arguments: list[str], environment: Mapping[str, str], *, after: int, delay: float, whole: bool,
    sent: signal.Signals = signal.SIGKILL, noted: str = "building",
) -> Ended:  # fmt: skip
    """Start a command and end it `delay` seconds after its `after`-th progress line that follows the note `noted`.

    `whole` kills every process that it started, too, wherever they are; else they are left alone.
    """
    with subprocess.Popen(
        [_command(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment}, start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        assert child.stdout is not None
        said: list[str] = []
        seen = -1
        for line in child.stderr:
            said.append(line)
            if seen < 0 and noted in line:
                seen = 0
            elif seen >= 0 and '"progress"' in line:
                seen += 1
            if seen >= after:
                break
        time.sleep(delay)
        if whole:
            tree = _tree(child.pid)
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(sent)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, sent)
        out, err = child.communicate(timeout=300)
        return Ended(child.returncode, out, "".join(said) + err)


def _tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, stopped first so that none starts another meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        found = [root, *root.children(recursive=True)]
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        found += [each for each in root.children(recursive=True) if each not in found]
        return found
    return []
