"""A rendered stack and an operation -> what Pulumi's engine did, as data; each in a process of its own.

The engine is the user's `pulumi` or the one that `make engine` built. Programs run inline, by the Automation API,
so no language plugin is needed (`toolkit.engines.program` is the other end). Events are read, never prose. Nothing
but the target and the state's backend is contacted.
"""

from __future__ import annotations

import contextlib
import functools
import graphlib
import importlib.metadata
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
from toolkit.engines.state import PROJECT_STACK, Lock, State, state_of
from toolkit.errors import EngineError
from toolkit.workspace import PLAN, read_plan, write

__all__ = [
    "Change", "Engine", "Event", "Failure", "Lock", "Outcome", "Output", "Pending", "Stacks", "Status", "break_lock", "cancel",
    "destroy", "export_state", "import_resources", "import_state", "locate", "lock_of", "outputs", "pending", "preview",
    "preview_destroy", "program", "refresh", "rekey", "set_config", "up",
]  # fmt: skip

OnEvent = Callable[[Event], None]
PLUGINS = frozenset({"openstack"})
"""Packages of stacks for which a plugin can be had here; stacks of others are reported as not run."""
_BUILD = "`make engine` in a checkout builds it (Go, minutes, once); `repatria doctor` says what is there."


# ----------------------------------------------------------------------------------------- the engine


@dataclass(frozen=True, slots=True)
class Engine:
    """A Pulumi that can run our stacks. `home` is its PULUMI_HOME, which holds the plugin."""

    pulumi: Path
    home: Path
    version: str
    plugin: str
    source: str
    """`REPATRIA_ENGINE`, `PATH` or `cache`."""


def locate() -> Engine:
    """The engine: the folder in REPATRIA_ENGINE, `pulumi` on the PATH with its plugin, or what `make engine` built.

    Supported is Pulumi 3 from the version of the installed `pulumi` package on, with the OpenStack plugin of the
    version of `pulumi-openstack`. Raises EngineError that says what was found and what is missing.
    """
    wanted, plugin = _wanted()
    notes = []
    named = os.environ.get("REPATRIA_ENGINE")
    if named:
        engine, note = _try(Path(named) / "bin" / "pulumi", Path(named) / "home", "REPATRIA_ENGINE")
        if engine is None:
            raise EngineError(f"REPATRIA_ENGINE: {note}", _BUILD)
        return engine
    found = shutil.which("pulumi")
    if found is not None:
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        engine, note = _try(Path(found), home, "PATH")
        if engine is not None:
            return engine
        notes.append(note)
    for folder in _built():
        engine, note = _try(folder / "bin" / "pulumi", folder / "home", "cache")
        if engine is not None:
            return engine
        notes.append(note)
    raise EngineError(
        f"there is no Pulumi engine ({'; '.join(notes)})" if notes
        else f"there is no Pulumi engine: Pulumi {wanted} with its OpenStack plugin {plugin} is needed",
        _BUILD,
    )  # fmt: skip


def _wanted() -> tuple[str, str]:
    return importlib.metadata.version("pulumi"), importlib.metadata.version("pulumi-openstack")


def _built() -> list[Path]:
    """Engines in the cache of `engine/build.py`, the one that was asked for last first."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"
    marks = (base / "repatria" / "engine").glob("*/engine.json")
    return [mark.parent for mark in sorted(marks, key=lambda each: each.stat().st_mtime, reverse=True)]  # fmt: skip


def _try(pulumi: Path, home: Path, source: str) -> tuple[Engine | None, str]:
    wanted, plugin = _wanted()
    held = home / "plugins" / f"resource-openstack-v{plugin}" / "pulumi-resource-openstack"
    version = _version(pulumi)
    if not version:
        return None, f"{pulumi} does not run"
    if not re.fullmatch(r"3\.\d+\.\d+.*", version) or _number(version) < _number(wanted):
        return None, f"{pulumi} is {version}, and 3 from {wanted} on is needed"
    if not os.access(held, os.X_OK):
        return None, f"{pulumi} is {version}, without the OpenStack plugin {plugin} in {home}"
    return Engine(pulumi.absolute(), home.absolute(), version, plugin, source), ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])


@functools.cache
def _version(pulumi: Path) -> str:
    """What `pulumi version` says, or nothing where it does not run."""
    try:
        said = subprocess.run(
            [pulumi, "version"], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, **_QUIET},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip().removeprefix("v") if said.returncode == 0 else ""


_QUIET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",  # `locate` has looked
    # a Pulumi.main.yaml that lost its salt still opens the state
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
}
"""Nothing is asked of anybody but the target and the state's backend."""


# ----------------------------------------------------------------------------------------- the stacks


@dataclass(frozen=True)
class Stacks:
    """The stacks of a workspace, as its saved plan has them."""

    folder: Path
    plan: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> Stacks:
        """Read plan.json, once for as long as it is the same file. Raises FileError."""
        try:
            seen = (folder / PLAN).stat()
        except OSError:
            return cls(folder, read_plan(folder / PLAN))
        return _stacks(folder, seen.st_ino, seen.st_mtime_ns, seen.st_size)

    @functools.cached_property
    def _by_name(self) -> dict[str, Mapping[str, Any]]:
        return {stack["name"]: stack for stack in self.plan["stacks"]}

    def names(self) -> tuple[str, ...]:
        """Every stack, by name."""
        return tuple(sorted(self._by_name))

    def order(self) -> tuple[str, ...]:
        """Every stack, what it needs before it."""
        graph = graphlib.TopologicalSorter({name: self[name]["needs"] for name in self.names()})
        return tuple(graph.static_order())

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """A stack of plan.json. Raises EngineError for a name that the plan lacks."""
        try:
            return self._by_name[name]
        except KeyError:
            import difflib

            close = difflib.get_close_matches(name, self._by_name, n=1)
            raise EngineError(
                f"the plan has no stack {name!r}",
                f"Did you mean {close[0]}?" if close else f"It has {', '.join(self.names())}.",
            ) from None

    def path(self, name: str) -> Path:
        """The rendered folder. Raises EngineError where it is not there."""
        self[name]
        path = self.folder.resolve() / "stacks" / name
        if not (path / "Pulumi.yaml").is_file() or not (path / "__main__.py").is_file():
            raise EngineError(f"{path} is no rendered stack", "`repatria render` writes it.")
        return path

    @functools.cached_property
    def _home(self) -> dict[str, str]:
        return {resource["name"]: stack["name"] for stack in self.plan["stacks"] for resource in stack["resources"]}  # fmt: skip

    def upstream(self, name: str) -> dict[str, set[str]]:
        """Stacks that it reads from -> the outputs that it requires of them."""
        found: dict[str, set[str]] = {}
        for resource in self[name]["resources"]:
            for held in _marked(resource["props"], "$ref"):
                home = self._home[held["$ref"]]
                if home != name:
                    found.setdefault(home, set()).add(f"{held['$ref']}.{held['attr']}")
        return found

    def settings(self, name: str) -> dict[str, dict[str, Any]]:
        """Configuration that it reads: name -> {required, secret, doc}."""
        found: dict[str, dict[str, Any]] = {}
        for resource in self[name]["resources"]:
            for held in _marked(resource["props"], "$config"):
                secret = bool(held.get("secret"))
                found[held["$config"]] = {
                    "required": secret or "default" not in held, "secret": secret, "doc": held.get("doc", ""),
                }  # fmt: skip
        return found

    def missing(self, name: str) -> tuple[str, ...]:
        """Required configuration that Pulumi.main.yaml does not set; a key without a value sets nothing."""
        required = [key for key, held in self.settings(name).items() if held["required"]]
        if not required:
            return ()
        path = self.path(name) / f"Pulumi.{PROJECT_STACK}.yaml"
        held = _yaml(path).get("config") or {}
        if not isinstance(held, dict):
            raise EngineError(f"{path}: `config` is not a map", "Compare with what `repatria render` writes elsewhere.")  # fmt: skip
        return tuple(sorted(key for key in required if held.get(f"{name}:{key}") in (None, "")))

    def environment(self, name: str) -> dict[str, str]:
        """The OS_* of a stack's place, for `environment` of the operations. Raises TargetError."""
        from toolkit.config import Place
        from toolkit.engines.openstack import environment, places

        held = self[name]["place"]
        alone = len(places(self.plan["stacks"])) == 1
        return environment(Place(held["project"], held["region"]), alone=alone)

    def about(self, name: str) -> dict[str, tuple[str, str]]:
        """Logical name -> (AWS key, application), for each resource of a stack."""
        application = self._applications
        return {
            resource["name"]: (resource["origin"], application.get(resource["origin"], ""))
            for resource in self[name]["resources"]
        }

    @functools.cached_property
    def _applications(self) -> dict[str, str]:
        return {
            "|".join(item["subject"][part] for part in ("type", "account", "region", "id")): item["application"]
            for item in self.plan["items"]
        }  # fmt: skip


@functools.lru_cache(maxsize=4)
def _stacks(folder: Path, *_: int) -> Stacks:
    """A large plan takes seconds to read, and every operation on a stack needs it."""
    return Stacks(folder, read_plan(folder / PLAN))


def _marked(value: Any, mark: str) -> Iterator[Mapping[str, Any]]:
    """Every `{mark: ...}` inside a property's value."""
    if isinstance(value, dict):
        if mark in value:
            yield value
        for held in value.values():
            yield from _marked(held, mark)
    elif isinstance(value, list):
        for held in value:
            yield from _marked(held, mark)


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        held = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EngineError(f"{path} cannot be read: {error}", "Mend it, or compare with the last commit.") from error  # fmt: skip
    return held if isinstance(held, dict) else {}


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
        **own, **(extra or {}), **_QUIET, **state.environment(), "PULUMI_HOME": str(engine.home),
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
    return str(_yaml(path).get("encryptionsalt") or "")


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
    salt = _yaml(path).get("encryptionsalt")
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
