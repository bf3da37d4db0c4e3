"""Events of apply and destroy -> journal.jsonl: one fsynced line each, only ever appended; a line that a crash cut off is told."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from toolkit import workspace
from toolkit.errors import FileError, ToolkitError

JOURNAL = "journal.jsonl"
LOCK = Path(".repatria") / "apply.lock"
SCHEMA = 1

Event = Literal[
    "begun", "done", "failed", "interrupted", "confirmed", "refused", "continued", "recovered", "waiting", "destroyed", "torn",
]  # fmt: skip
"""What can happen to a step; `torn` says that the bytes before it are a line that a crash cut off."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who runs this, and on what: enough to know later whether that process still lives.

    `boot` is the kernel's id of this boot, `space` the namespace that process ids count in; both
    are empty where the system does not tell, and then nothing is ever taken for dead.
    """

    who: str
    host: str
    boot: str
    space: str
    pid: int


@cache
def actor() -> Actor:
    """This process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    host = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = space = ""
    return Actor(f"{user}@{host}", host, boot, space, os.getpid())


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `of` is the digest of what the step is made of: a changed step is another step.

    `plan` is the digest of the plan's body, `run` tells the lines of one command apart.
    """

    event: Event
    when: datetime
    who: str
    host: str
    boot: str
    space: str
    pid: int
    run: str
    plan: str
    step: str = ""
    stack: str = ""
    of: str = ""
    says: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """The open journal of a workspace. Raises FileError where it cannot be trusted."""

    def __init__(self, folder: Path, plan: str, run: str) -> None:
        self.path = folder / JOURNAL
        self.plan = plan
        self.run = run
        held = workspace.read_optional(self.path)
        self.entries, torn, self._last = _parse(self.path, held)
        self._open = bool(held) and not held.endswith(b"\n")
        if torn:
            self._append("torn", cut=torn + self._open)

    def add(
        self, event: Event, step: str = "", *, stack: str = "", of: str = "", **says: Any
    ) -> Entry:
        """Write one event and return when it is on the disk. Raises FileError: no room, no permission."""
        return self._append(event, step=step, stack=stack, of=of, says=says)

    def _append(
        self, event: Event, *, step: str = "", stack: str = "", of: str = "",
        says: Mapping[str, Any] | None = None, cut: int = 0,
    ) -> Entry:  # fmt: skip
        me = actor()
        now = datetime.now(UTC)
        line: dict[str, Any] = {
            "schema": SCHEMA, "event": event, "when": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "who": me.who, "host": me.host, "boot": me.boot, "space": me.space, "pid": me.pid, "run": self.run,
            "plan": self.plan, "before": self._last,
        }  # fmt: skip
        rest = {"step": step, "stack": stack, "of": of, "says": says, "cut": cut}
        line |= {name: value for name, value in rest.items() if value}
        data = orjson.dumps(line, option=orjson.OPT_SORT_KEYS)
        new = not self.path.exists()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)  # fmt: skip
            try:
                # one write, and a line of its own even where the last one was cut off
                left = memoryview(b"\n" * self._open + data + b"\n")
                while left:
                    left = left[os.write(handle, left) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            if new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise workspace.write_error(self.path, error) from error
        self._last, self._open = _link(data), False
        entry = _entry(line)
        self.entries.append(entry)
        return entry


def read(folder: Path) -> list[Entry]:
    """What happened so far, oldest first; empty before the first apply. Raises FileError where damaged."""
    path = folder / JOURNAL
    return _parse(path, workspace.read_optional(path))[0]


def _parse(path: Path, data: bytes) -> tuple[list[Entry], int, str]:
    """Entries, the bytes at the end that a crash left, and the link that the next line carries.

    Each line carries a digest of the one before it, so that a line taken out, put in or changed is seen.
    """
    entries: list[Entry] = []
    bad: list[tuple[int, bytes]] = []
    last = ""
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        held = _whole(line)
        if held is None:
            bad.append((number, line))
            continue
        if bad and held.get("cut") != sum(len(each) for _, each in bad):
            raise _damaged(path, bad[0][0], "it is no line of a journal")
        bad.clear()
        if held.get("schema") != SCHEMA:
            raise FileError(
                f"{path}:{number}: schema {held.get('schema')!r}; this version reads {SCHEMA}",
                "Use the version of repatria that wrote it.",
            )
        if held.get("before") != last:
            raise _damaged(path, number, "it does not follow the line before it")
        try:
            entries.append(_entry(held))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, number, f"it is no line of a journal ({error})") from error
        last = _link(line.rstrip(b"\n"))
    for number, line in bad:
        if not _cut(line):
            raise _damaged(path, number, "it is no line of a journal")
    return entries, sum(len(each) for _, each in bad), last


def _whole(line: bytes) -> dict[str, Any] | None:
    """The object of a line that was written to its end: no beginning of one is an object."""
    with contextlib.suppress(orjson.JSONDecodeError):
        held = orjson.loads(line)
        if isinstance(held, dict):
            return held
    return None


def _cut(line: bytes) -> bool:
    """Whether that is how a line begins, and nothing or zeros after it: what a crash leaves at the end."""
    return b'{"before":'.startswith(line.rstrip(b"\n").rstrip(b"\0")[:10])


def _damaged(path: Path, number: int, why: str) -> FileError:
    return FileError(
        f"{path}:{number}: {why}",
        "The journal is only ever appended to: take it back from Git (`git log -p journal.jsonl` shows the change). "
        "What was built is still known to the engine's state.",
    )


def _link(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]


def _entry(line: Mapping[str, Any]) -> Entry:
    if line["event"] not in get_args(Event):
        raise ValueError(f"event {line['event']!r}")
    when = datetime.fromisoformat(line["when"])
    if when.tzinfo is None:
        raise ValueError("a time without its zone")
    says = line.get("says", {})
    if not isinstance(says, dict):
        raise TypeError("says is no map")
    return Entry(
        event=line["event"], when=when, who=str(line["who"]), host=str(line["host"]), boot=str(line["boot"]),
        space=str(line["space"]), pid=int(line["pid"]), run=str(line["run"]), plan=str(line["plan"]),
        step=str(line.get("step", "")), stack=str(line.get("stack", "")), of=str(line.get("of", "")), says=says,
    )  # fmt: skip


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---------------------------------------------------------------------------------------- one at once


@contextlib.contextmanager
def alone(folder: Path, command: str) -> Iterator[None]:
    """Hold the workspace for one apply or destroy; the kernel lets go of it however the process ends.

    Raises ToolkitError that names who holds it.
    """
    path = folder / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise workspace.write_error(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = os.read(handle, 4096).decode("utf-8", "replace").strip()
            raise ToolkitError(
                f"another one is at work in this workspace: {held or 'its name is not written yet'}",
                "Wait for it to end, then run the same command again: it goes on from there.",
            ) from None
        me = actor()
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        with contextlib.suppress(
            OSError
        ):  # only told to others; a full disk is told where it matters
            os.ftruncate(handle, 0)
            os.write(handle, f"`repatria {command}` by {me.who}, process {me.pid}, since {now}\n".encode())  # fmt: skip
        yield
    finally:
        os.close(handle)


# ------------------------------------------------------------------------------------------- secrets

_TOKEN = re.compile(r"\bgAAAA[\w=-]{20,}")
_NAMED = re.compile(
    r"""(?ix) ( ["']? \b (?: [\w-]* (?: password | passphrase | secret | token | admin_?pass | private_?key ) ) ["']? \s* [:=] \s* )
        (?: "[^"]*" | '[^']*' | [^\s,;}{)\]"']+ )"""
)
_SECRET_WORDS = ("PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "ACCESS_KEY", "API_KEY")
_HIDDEN = "[hidden]"


def hide(said: str, also: Sequence[str] = ()) -> str:
    """What an engine or an API said, without secrets: tokens, values called so, and those of this environment."""
    known = {
        value
        for name, value in os.environ.items()
        if len(value) >= 4 and any(word in name.upper() for word in _SECRET_WORDS)
        and not name.upper().endswith(("_FILE", "_PATH"))
    }  # fmt: skip
    for secret in sorted({*known, *(each for each in also if len(each) >= 4)}, key=len, reverse=True):  # fmt: skip
        said = said.replace(secret, _HIDDEN)
    said = _TOKEN.sub(_HIDDEN, said)
    return _NAMED.sub(lambda hit: f"{hit[1]}{_HIDDEN}", said)
