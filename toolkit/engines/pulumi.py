"""A rendered stack and an operation -> what Pulumi's engine did, as data; each in a process of its own.

The engine is the user's `pulumi` or the one that `make engine` built. Programs run inline, by the Automation API,
so no language plugin is needed (`toolkit.engines.program` is the other end). Events are read, never prose. Nothing
but the target and the state's backend is contacted.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.engines.installed import QUIET, Engine, locate
from toolkit.engines.outcome import (
    Change,
    Event,
    Failure,
    Outcome,
    Output,
    Status,
    changes_of,
    event_of,
    failures_of,
    name_of,
)
from toolkit.engines.stacks import Stacks, yaml_of
from toolkit.engines.state import PROJECT_STACK, Lock, State, state_of
from toolkit.errors import EngineError
from toolkit.workspace import write

__all__ = [
    "Change", "Engine", "Event", "Failure", "Lock", "Outcome", "Output", "Pending", "Stacks", "Status", "break_lock", "cancel",
    "destroy", "export_state", "import_resources", "import_state", "locate", "lock_of", "outputs", "pending", "preview",
    "preview_destroy", "program", "refresh", "rekey", "set_config", "up",
]  # fmt: skip

OnEvent = Callable[[Event], None]
PLUGINS = frozenset({"openstack"})
"""Packages of stacks for which a plugin can be had here; stacks of others are reported as not run."""


# --------------------------------------------------------------------------------------- operations


def preview(
    folder: Path, stack: str, *, refresh: bool = False, targets: Sequence[str] = (),
    on_event: OnEvent | None = None, environment: Mapping[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """What `up` would do. With `refresh` the target is read first, so that changes by hand show.

    `targets` are URNs; `environment` stands in place of the process's own OS_* (`Stacks.environment`). Never raises
    for what the program, the plan or the cloud refuses (that is in the Outcome), but EngineError where the engine is
    missing, the state cannot be opened or is locked, and KeyboardInterrupt after a clean cancel.
    """
    return _operate(folder, stack, "preview", {"refresh": refresh or None, "target": list(targets) or None}, on_event, environment)  # fmt: skip


def up(
    folder: Path, stack: str, *, targets: Sequence[str] = (), parallel: int | None = None,
    on_event: OnEvent | None = None, environment: Mapping[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """Make it so. Raises as `preview`; a failure half way keeps what was done in the state."""
    return _operate(folder, stack, "up", {"target": list(targets) or None, "parallel": parallel}, on_event, environment)  # fmt: skip


def refresh(
    folder: Path, stack: str, *, targets: Sequence[str] = (),
    on_event: OnEvent | None = None, environment: Mapping[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """Read the target into the state; changes are what differed. `targets` are URNs. Raises as `preview`."""
    return _operate(folder, stack, "refresh", {"target": list(targets) or None}, on_event, environment)  # fmt: skip


def destroy(
    folder: Path, stack: str, *, targets: Sequence[str] = (), exclude_protected: bool = False,
    on_event: OnEvent | None = None, environment: Mapping[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """Unmake it. What is protected makes it fail, or stays with `exclude_protected`. Raises as `preview`."""
    arguments = {"target": list(targets) or None, "exclude_protected": exclude_protected or None}
    return _operate(folder, stack, "destroy", arguments, on_event, environment)


def preview_destroy(
    folder: Path, stack: str, *, on_event: OnEvent | None = None, environment: Mapping[str, str] | None = None
) -> Outcome:  # fmt: skip
    """What `destroy` would do. Raises as `preview`."""
    return _operate(folder, stack, "preview-destroy", {}, on_event, environment)


def import_resources(
    folder: Path, stack: str, resources: Sequence[tuple[str, str, str]], *,
    on_event: OnEvent | None = None, environment: Mapping[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """Take what exists into the state: (type token, logical name, id at the target). Raises as `preview`."""
    held = [{"type": type_, "name": name, "id": id_} for type_, name, id_ in resources]
    return _operate(folder, stack, "import", {"resources": held}, on_event, environment)


def program(
    work: Path, stack: str, operation: str, state: State, *,
    arguments: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None, on_event: OnEvent | None = None,
) -> Outcome:  # fmt: skip
    """Run a program that is of no plan, such as the suite's: `operation` is preview, up, refresh, destroy, preview-destroy or outputs.

    `work` is its folder, `stack` the name in its Pulumi.<stack>.yaml. Raises EngineError as the others.
    """
    engine, started = locate(), time.monotonic()
    request = {"operation": operation, "stack": stack, "folder": str(work.absolute()), "arguments": dict(arguments or {})}  # fmt: skip
    lines, end = _child(request, _environment(engine, state, environment), stack, on_event)
    return _outcome(state, stack, operation, lines, end, {}, started)


def outputs(folder: Path, stack: str) -> dict[str, Output]:
    """Outputs of a stack, secrets decrypted; empty where it was never applied. Raises EngineError."""
    if state_of(folder).outputs(stack) is None:
        return {}
    return dict(_operate(folder, stack, "outputs", {}, None, None).outputs)


def _operate(
    folder: Path, stack: str, operation: str, arguments: Mapping[str, Any], on_event: OnEvent | None,
    environment: Mapping[str, str] | None,
) -> Outcome:  # fmt: skip
    started = time.monotonic()
    stacks = Stacks.of(folder)
    waiting = _before(stacks, stack, operation)
    if waiting is not None:
        return waiting
    state = state_of(folder)
    engine = locate()
    if operation in ("preview", "up", "import"):
        ensure(folder, stack)
    given = {name: held for name, held in arguments.items() if held is not None}
    request = {
        "operation": operation, "stack": PROJECT_STACK, "folder": str(stacks.path(stack)), "arguments": given,
    }  # fmt: skip
    with _language(_environment(engine, state, environment), operation) as whole:
        lines, end = _child(request, whole, stack, on_event)
    return _outcome(state, stack, operation, lines, end, stacks.about(stack), started)


def _outcome(
    state: State, stack: str, operation: str, lines: list[dict[str, Any]], end: Mapping[str, Any],
    about: Mapping[str, tuple[str, str]], started: float,
) -> Outcome:  # fmt: skip
    """What the child said -> Outcome. Raises EngineError where the engine refused before it began."""
    failures = failures_of(lines)
    cancelled = not end["ok"] and end["cancelled"]
    if not end["ok"] and not failures and not cancelled:
        raise _why(state, stack, end)
    changes = changes_of(lines, about, planned=operation.startswith("preview"))
    held = {name: Output(each["value"], each["secret"]) for name, each in end.get("outputs", {}).items()}  # fmt: skip
    status: Status = "done" if end["ok"] else "cancelled" if cancelled else "failed"
    reason = {
        "failed": f"{len(failures)} refused" if len(failures) > 1 else "refused",
        "cancelled": "cancelled: what was under way was ended, the state is written and the lock given back",
    }.get(status, "")
    return Outcome(
        stack, operation, status, changes, failures, held, time.monotonic() - started, reason
    )


def _before(stacks: Stacks, stack: str, operation: str) -> Outcome | None:
    """What can be known before the engine runs: no plugin, an upstream without outputs, missing configuration."""
    held = stacks[stack]
    if held["package"] not in PLUGINS:
        return Outcome(
            stack, operation, "not-run",
            reason=f"there is no plugin for {held['package']} here; `pulumi {operation.partition('-')[0]}` in its folder runs it where there is one",
        )  # fmt: skip
    state = state_of(stacks.folder)
    if operation in ("refresh", "destroy", "preview-destroy") and state.checkpoint(stack) is None:
        return Outcome(stack, operation, "done", reason="it was never applied")
    if operation not in ("preview", "up"):
        return None
    waits = []
    for name, wanted in sorted(stacks.upstream(stack).items()):
        given = state.outputs(name)
        if given is None or not wanted <= given.keys():
            waits.append(name)
    missing = stacks.missing(stack)
    reasons = []
    if waits:
        reasons.append(f"waits for {', '.join(waits)}")
    if missing:
        reasons.append(f"needs {', '.join(missing)} in Pulumi.{PROJECT_STACK}.yaml")
    if reasons:
        return Outcome(
            stack, operation, "waits" if waits else "unset", reason="; ".join(reasons), waits_for=tuple(waits),
            missing=missing,
        )  # fmt: skip
    return None


def _environment(engine: Engine, state: State, extra: Mapping[str, str] | None) -> dict[str, str]:
    """The whole environment of an engine's process; `extra` stands in place of every OS_* of this one."""
    own = {
        name: held for name, held in os.environ.items()
        if not (extra is not None and name.startswith("OS_")) and name not in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_ACCESS_TOKEN", "PYTHONPATH")
    }  # fmt: skip
    return {
        **own, **(extra or {}), **QUIET, **state.environment(), "PULUMI_HOME": str(engine.home),
        "PATH": os.pathsep.join((str(engine.pulumi.parent), own.get("PATH", os.defpath))),
    }  # fmt: skip


@contextlib.contextmanager
def _language(environment: Mapping[str, str], operation: str) -> Iterator[dict[str, str]]:
    """The environment with a language plugin in it, for `pulumi import`, which runs no program and yet wants one."""
    if operation != "import" or shutil.which("pulumi-language-python", path=environment["PATH"]):
        yield dict(environment)
        return
    with tempfile.TemporaryDirectory(prefix="repatria-language-") as folder:
        script = Path(folder) / "pulumi-language-python"
        script.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m toolkit.engines.language "$@"\n',
            "utf-8",
        )
        script.chmod(0o700)
        yield {**environment, "PATH": os.pathsep.join((folder, environment["PATH"]))}


# ------------------------------------------------------------------------------------ the child process


_running: set[subprocess.Popen[bytes]] = set()
_running_lock = threading.Lock()


def cancel() -> None:
    """Ask every operation that runs in this process to end cleanly; each still gives its outcome or raises."""
    with _running_lock:
        children = list(_running)
    for child in children:
        _cancel(child)


def _cancel(child: subprocess.Popen[bytes]) -> None:
    """The end of its stdin is the wish to cancel; a second wish is the engine's own second interrupt."""
    if child.stdin is not None and not child.stdin.closed:
        with contextlib.suppress(OSError):
            child.stdin.close()
    elif child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGINT)


def _child(
    request: Mapping[str, Any], environment: Mapping[str, str], stack: str, on_event: OnEvent | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run a request in a process and a session of its own, so that a Ctrl-C reaches the engine once and from here.

    Returns what it said and how it ended. Raises EngineError where it ended without saying so, KeyboardInterrupt after
    an interrupt, once the engine has let go.
    """
    lines: list[dict[str, Any]] = []
    end: dict[str, Any] | None = None
    interrupted = False
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as said, os.fdopen(reader, encoding="utf-8") as pipe:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "toolkit.engines.program", str(writer)],
                stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, pass_fds=(writer,), env=dict(environment),
                cwd=request["folder"], start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(writer)
        wishes = child.stdin
        assert wishes is not None  # noqa: S101 - a pipe was asked for
        with _running_lock:
            _running.add(child)
        try:
            with contextlib.suppress(BrokenPipeError):
                wishes.write(json.dumps(request).encode() + b"\n")
                wishes.flush()
            while True:
                try:
                    line = pipe.readline()
                    if not line:
                        break
                    held = json.loads(line)
                    if held["kind"] == "end":
                        end = held
                        continue
                    lines.append(held)
                    if on_event is not None and (event := event_of(stack, held)) is not None:
                        on_event(event)
                except KeyboardInterrupt:
                    interrupted = True
                    _cancel(child)
            child.wait()
        except BaseException:
            _cancel(child)
            child.wait()
            raise
        finally:
            with _running_lock:
                _running.discard(child)
            if not wishes.closed:
                with contextlib.suppress(OSError):
                    wishes.close()
        if interrupted:
            raise KeyboardInterrupt
        if end is None:
            said.seek(max(0, said.seek(0, os.SEEK_END) - 2000))
            tail = said.read().decode(errors="replace").strip().splitlines()[-5:]
            raise EngineError(
                f"the engine's process for {stack} ended without an answer (exit {child.returncode})"
                + (f": {' | '.join(tail)}" if tail else ""),
                "What it had done is in the state; run the same command again. `repatria state` shows a lock that it may have left.",
            )
    return lines, end


def _why(state: State, stack: str, end: Mapping[str, Any]) -> EngineError:
    """What an engine that refused before it began means to the user."""
    if end["error"] == "ConcurrentUpdateError":
        held = state.lock(stack)
        if held is None:
            return EngineError(f"{stack} was locked by somebody who has ended since", "Run the same command again.")  # fmt: skip
        return locked(stack, held)
    salt = _salt(state, stack)
    if salt and not state.opens(salt):
        return EngineError(
            f"the passphrase does not open the state of {stack}",
            "It is another one than the stack was made with: check PULUMI_CONFIG_PASSPHRASE(_FILE) or [state] passphrase_file. Nothing was changed.",
        )
    text = " ".join(_stderr(end["said"]).split())
    return EngineError(f"the engine refuses {stack}: {text[-1500:] or end['error']}", "Nothing was changed.")  # fmt: skip


def locked(stack: str, held: Lock) -> EngineError:
    """The message for a stack that somebody works on."""
    words = {
        "alive": "It is at work: wait for it.",
        "dead": "Its process is gone: `repatria state unlock` breaks the lock, and `repatria apply` does so by itself.",
        "elsewhere": "It runs on another machine: ask there before `repatria state unlock`.",
    }
    return EngineError(
        f"{stack} is locked by {held.who}@{held.host}, process {held.pid}, since {held.time:%Y-%m-%d %H:%M:%S %Z}",
        words[held.holder],
    )


def _stderr(said: str) -> str:
    """The stderr part of the Automation API's account of a command."""
    return said.partition("stderr:")[2] or said


def _salt(state: State, stack: str) -> str:
    path = state.folder / "stacks" / stack / f"Pulumi.{PROJECT_STACK}.yaml"
    return str(yaml_of(path).get("encryptionsalt") or "")


# ------------------------------------------------------------------------------------------- the state


@dataclass(frozen=True, slots=True)
class Pending:
    """An operation that was under way when the engine died. `op` is creating, updating, deleting, reading or importing."""

    urn: str
    type: str
    op: str
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The logical name."""
        return name_of(self.urn)


def export_state(folder: Path, stack: str) -> dict[str, Any]:
    """The state of a stack as `pulumi stack export` gives it (secrets stay encrypted). Raises EngineError."""
    said = _pulumi(folder, stack, ["stack", "export", "--stack", PROJECT_STACK])
    return dict(json.loads(said))


def import_state(folder: Path, stack: str, state: Mapping[str, Any]) -> None:
    """Put a state in place of the one that is there. Raises EngineError."""
    _pulumi(folder, stack, ["stack", "import", "--stack", PROJECT_STACK], json.dumps(state))


def pending(state: Mapping[str, Any]) -> tuple[Pending, ...]:
    """Operations that a state (of `export_state`) still calls under way."""
    found = (state.get("deployment") or {}).get("pending_operations") or ()
    return tuple(
        Pending(each["resource"]["urn"], each["resource"]["type"], each["type"], each["resource"].get("inputs") or {})
        for each in found
    )  # fmt: skip


def lock_of(folder: Path, stack: str) -> Lock | None:
    """Who holds a stack, or None. `holder` of it says whether that process still runs."""
    return state_of(folder).lock(stack)


def break_lock(folder: Path, stack: str) -> None:
    """Take the lock of a stack away (`pulumi cancel`). Whoever calls it has made sure that its holder is gone."""
    _pulumi(folder, stack, ["cancel", "--yes", PROJECT_STACK])


def set_config(folder: Path, stack: str, name: str, value: str, *, secret: bool) -> None:
    """Set a value in Pulumi.main.yaml, a secret one encrypted. The value goes by stdin, never by argv."""
    ensure(folder, stack)
    path = Stacks.of(folder).path(stack) / f"Pulumi.{PROJECT_STACK}.yaml"
    text = path.read_text("utf-8")
    if "\nconfig: {}\n" in f"\n{text}":
        # the engine would go on in that style, one long line, below which the comments mean nothing
        write(
            path, re.sub(r"^config: \{\}$", "config:", text, count=1, flags=re.MULTILINE).encode()
        )
    flag = "--secret" if secret else "--plaintext"
    _pulumi(folder, stack, ["config", "set", flag, "--stack", PROJECT_STACK, name], value)


def rekey(folder: Path, stack: str, passphrase: str) -> None:
    """Encrypt state and configuration of a stack with another passphrase. Raises EngineError."""
    _pulumi(folder, stack, ["stack", "change-secrets-provider", "--stack", PROJECT_STACK, "passphrase"], passphrase + "\n")  # fmt: skip


def ensure(folder: Path, stack: str) -> None:
    """Make the (empty) state of a stack where there is none; Pulumi.main.yaml gets its salt as a last line and no more.

    Left to itself the engine drops the comments of a file that sets nothing yet.
    """
    if state_of(folder).checkpoint(stack) is not None:
        return
    path = Stacks.of(folder).path(stack) / f"Pulumi.{PROJECT_STACK}.yaml"
    before = path.read_text("utf-8") if path.is_file() else ""
    _pulumi(folder, stack, ["stack", "init", "--stack", PROJECT_STACK, "--no-select"])
    salt = yaml_of(path).get("encryptionsalt")
    if before and salt and "encryptionsalt:" not in before:
        line = "" if before.endswith("\n") else "\n"
        write(path, f"{before}{line}encryptionsalt: {salt}\n".encode())


def _pulumi(folder: Path, stack: str, arguments: Sequence[str], given: str = "") -> str:
    """Run the CLI in a stack's folder. Raises EngineError with what it said on stderr."""
    stacks = Stacks.of(folder)
    state, engine = state_of(folder), locate()
    said = subprocess.run(
        [engine.pulumi, *arguments, "--non-interactive", "--color", "never"], input=given, cwd=stacks.path(stack),
        capture_output=True, text=True, env=_environment(engine, state, None), check=False,
    )  # fmt: skip
    if said.returncode:
        held = state.lock(stack)
        if held is not None and arguments[0] != "cancel":
            raise locked(stack, held)
        raise _why(state, stack, {"error": "CommandError", "said": f"stderr:{said.stderr}"})
    return said.stdout
