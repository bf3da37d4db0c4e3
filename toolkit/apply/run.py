"""The saved plan, step by step -> the target; stops at the first failure and before whatever a person must do."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from toolkit import stage
from toolkit.apply.confirmed import Confirmation, read_confirmed
from toolkit.apply.order import Choice, Todo, is_set, todos
from toolkit.apply.places import Places
from toolkit.apply.recover import RUN, Case, Recovered, Unclear, end_leftovers, recover, twice
from toolkit.console import at
from toolkit.engines.outcome import Outcome
from toolkit.errors import (  # fmt: skip
    ConfigError,
    EngineError,
    FileError,
    StaleError,
    TargetError,
    ToolkitError,
)
from toolkit.journal import Entry, Journal, alone, hide
from toolkit.messages import tell

Ask = Callable[[str, str], str]
"""(what is asked, the answer that goes on) -> what was typed."""
ROOM = 64 << 20
"""Bytes that must be free for the state: the largest stack of 300 resources takes some 2 MiB, its backups as much again."""
LEVELS = ("create", "update", "replace", "delete")


@dataclass
class Request:
    """What `repatria apply` was asked for, and how it talks to whoever asked."""

    folder: Path
    choice: Choice
    yes: bool = False
    confirmed: Path | None = None
    ask: Ask | None = None
    note: Callable[[str], None] = lambda _: None
    show: Callable[[Sequence[Mapping[str, Any]]], None] = lambda _: None
    event: Callable[[Any], None] = lambda _: None

    @property
    def command(self) -> str:
        """The same command, to continue with."""
        given = f" --confirmed {shlex.quote(str(self.confirmed))}" if self.confirmed else ""
        return f"repatria apply{self.choice.words()}{at(self.folder)}{given}"


@dataclass
class Report:
    """What one run did. `stopped` says why it did not go on, or is None where all of it is done."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    previews: list[dict[str, Any]] = field(default_factory=list)
    recovered: list[dict[str, Any]] = field(default_factory=list)
    stopped: dict[str, Any] | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    failure: ToolkitError | None = None
    interrupted: bool = False
    total: int = 0
    done_before: int = 0

    def json(self) -> dict[str, Any]:
        """The answer of `repatria apply`."""
        count = [step["state"] for step in self.steps]
        return {
            "steps": self.steps, "previews": self.previews, "recovered": self.recovered, "stopped": self.stopped,
            "findings": self.findings,
            "totals": {
                "steps": self.total, "done_before": self.done_before, "built": count.count("done"),
                "confirmed": count.count("confirmed"), "failed": count.count("failed"),
                "open": self.total - self.done_before - count.count("done") - count.count("confirmed"),
            },
        }  # fmt: skip


def apply(request: Request) -> Report:
    """Run the steps. Raises ToolkitError where nothing can be begun: a stale plan, another apply at work, no engine.

    What goes wrong later is in the report (`stopped`, `failure`), and in the journal.
    """
    with alone(request.folder, f"apply{request.choice.words()}"):
        plan, _ = stage.read_fresh_plan(request.folder)
        run = secrets.token_hex(6)
        journal = Journal(request.folder, plan["header"]["body"], run)
        os.environ[RUN] = run
        return _Run(request, plan, journal).walk()


@dataclass
class _Stop(Exception):  # noqa: N818 - how the walk ends, not an error
    why: str
    says: str
    todo: Todo | None = None
    hint: str = ""
    failure: ToolkitError | None = None


class _Run:
    def __init__(self, request: Request, plan: Mapping[str, Any], journal: Journal) -> None:
        from toolkit.engines import pulumi as engine

        self.request, self.plan, self.journal = request, plan, journal
        self.engine = engine
        self.folder = request.folder
        self.stacks = {stack["name"]: stack for stack in plan["stacks"]}
        self.language = str(plan["header"].get("language", "en"))
        self.report = Report()
        self.built: dict[str, Recovered] = {}
        self.confirmations: dict[str, Confirmation] = {}
        self.digests: dict[str, str] = {}
        self.unseen: set[str] = set()
        self.agreed: set[str] = set()
        self.earlier = {entry.run for entry in journal.entries} - {journal.run}
        self.places = Places(self.stacks)
        self._reread()

    def _reread(self) -> None:
        self.every = todos(self.plan, self.folder, self.journal.entries, self.engine.PLUGINS, self.digests)  # fmt: skip
        self.by_id = {todo.id: todo for todo in self.every}
        self.chosen = self.request.choice.of(self.plan, self.every)

    # ------------------------------------------------------------------------------------------ the walk

    def walk(self) -> Report:
        self.report.total = len(self.chosen)
        before = {todo.id for todo in self.chosen if todo.done}
        self.report.done_before = len(before)
        self._read_confirmed()
        try:
            self._prepare()
            for id_ in [todo.id for todo in self.chosen]:
                todo = self.by_id[id_]
                if not todo.done:
                    self._step(todo)
                elif (
                    id_ not in before
                ):  # what a stack needs was set, and only waited for the steps before
                    self.report.done_before += 1
        except _Stop as stop:
            self._stopped(stop)
        except KeyboardInterrupt:
            self.report.interrupted = True
        finally:
            self.places.close()
        return self.report

    def _read_confirmed(self) -> None:
        if self.request.confirmed is None:
            return
        why = {todo.id: "apply does it itself" if todo.by == "apply" else "" for todo in self.every}
        self.confirmations = read_confirmed(self.request.confirmed, why)

    def _ahead(self) -> list[Todo]:
        """The stacks that this run will come to, as far as can be known before it: up to the first stop."""
        done = {todo.id for todo in self.every if todo.done}
        found: list[Todo] = []
        for todo in self.chosen:
            if todo.done and not self._reopens(todo, found):
                continue
            if any(need not in done for need in todo.step["needs"]):
                break
            if todo.by == "apply":
                if not self.request.choice.builds(todo) or self.engine.Stacks(self.folder, self.plan).missing(todo.stack):  # fmt: skip
                    break
                found.append(todo)
            elif todo.id not in self.confirmations and not (
                todo.sets and is_set(self.engine.Stacks(self.folder, self.plan), todo.sets)
            ):
                break
            done.add(todo.id)
        return found

    def _reopens(self, todo: Todo, ahead: Sequence[Todo]) -> bool:
        """A stack that was built, and stands on one that this run may change: then it is open again."""
        return (
            todo.by == "apply"
            and self.request.choice.builds(todo)
            and not {each.stack for each in ahead}.isdisjoint(self.stacks[todo.stack]["needs"])
        )

    def _prepare(self) -> None:
        """Everything that must be known before the first stack is built: disk, leftovers, target, preview, the word."""
        ahead = self._ahead()
        if not ahead:
            return
        self._check_rendered(ahead)
        self.engine.locate()
        self._room()
        end_leftovers(self.earlier, self.request.note)
        for todo in ahead:
            self._recover(todo)
        self._preflight(ahead)
        self._preview(ahead)
        self._agree(ahead)
        self.agreed = {todo.stack for todo in ahead}

    def _room(self) -> None:
        """Measured: a disk that fills up while the engine writes its state leaves a torn one. Raises FileError."""
        from toolkit.engines.state import state_of

        parts = urlsplit(state_of(self.folder).url)
        if parts.scheme != "file":
            return
        place = Path(unquote(parts.path))
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < ROOM:
            raise FileError(
                f"only {free >> 20} MiB are free where the state is kept ({place})",
                f"Make room for {ROOM >> 20} MiB: a state that cannot be written whole would be lost. Nothing was begun.",
            )

    def _check_rendered(self, ahead: Sequence[Todo]) -> None:
        report = stage.render(self.folder, ("stacks",), check=True)
        mine = tuple(f"stacks/{todo.stack}/" for todo in ahead)
        old = [path for path in report.differs if path.startswith(mine)]
        changed = [path for path in report.changed_by_user if path.startswith(mine)]
        if old:
            raise StaleError(
                f"{len(old)} files of stacks/ are not what the plan renders to: {', '.join(old[:3])}{' ...' if len(old) > 3 else ''}",
                f"Run `repatria render{at(self.folder)}`, review, then run the same command again.",
            )
        if changed:
            raise FileError(
                f"{', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''}: generated, and changed by hand, so that nobody reviewed what would be built",
                "Move the change to overrides.py of that stack, delete the file, and `repatria render` writes it again.",
            )

    def _preflight(self, ahead: Sequence[Todo]) -> None:
        """Look at the target for the stacks that come: what another one would fail at does not stop these."""
        from toolkit.preflight import check

        names = {todo.stack for todo in ahead}
        if self.request.choice == Choice():
            names = set(self.stacks)
        plan = {**self.plan, "stacks": [self.stacks[name] for name in self.stacks if name in names]}
        report = check(plan, self.folder)
        self.report.findings = [each.json() for each in report.findings]
        if report.errors:
            says = "; ".join(each.says for each in report.errors[:5])
            raise _Stop(
                "preflight", f"apply would fail at {len(report.errors)} things: {says}", ahead[0],
                f"`repatria preflight{at(self.folder)}` says it all, with what to ask the provider for.",
            )  # fmt: skip

    # ---------------------------------------------------------------------------------- what is about to be

    def _preview(self, ahead: Sequence[Todo]) -> None:
        coming: set[str] = set()
        for todo in ahead:
            if coming & set(self.stacks[todo.stack]["needs"]):
                self.unseen.add(todo.stack)
            coming.add(todo.stack)
            held: dict[str, Any] = {"stack": todo.stack, "step": todo.id}
            with self._told(todo, began=False):
                outcome = self.engine.preview(
                    self.folder, todo.stack, environment=self.places.environment(todo.stack)
                )
            held["waits_for"] = list(outcome.waits_for)
            if outcome.waits_for:
                held["planned"] = len(self.stacks[todo.stack]["resources"])
            elif not outcome.ok:
                raise self._failed(todo, outcome, "cannot be previewed", began=False)
            else:
                held |= {op: outcome.count(op) for op in (*LEVELS, "same")}  # type: ignore[arg-type]
            held["lost"] = _lost(outcome)
            self.report.previews.append(held)

    def _look_again(self, todo: Todo) -> None:
        """What could not be previewed before it was agreed on, or has changed since, must not take anything away unseen."""
        if todo.stack not in self.unseen:
            return
        with self._told(todo, began=False):
            outcome = self.engine.preview(
                self.folder, todo.stack, environment=self.places.environment(todo.stack)
            )
        if not outcome.ok:
            raise self._failed(todo, outcome, "cannot be previewed", began=False)
        seen: list[Any] = []
        for each in self.report.previews:
            if each["stack"] == todo.stack:
                seen = each["lost"]
        new = [each for each in _lost(outcome) if each not in seen]
        if new:
            says = ", ".join(f"{each['op']} {each['name']}" for each in new)
            raise _Stop(
                "unseen", f"now that what it needs is built, {todo.stack} would {says}, which nobody has seen yet", todo,
                f"`{self.request.command}` previews it again, and asks.",
            )  # fmt: skip

    def _agree(self, ahead: Sequence[Todo]) -> None:
        """Show what will happen, and have the project's name typed: a reflex types y, not a name."""
        self.request.show(self.report.previews)
        if self.request.yes:
            return
        for project, names in self.places.projects(todo.stack for todo in ahead).items():
            question = (
                f"Type the name of the target project, {project}, to build {', '.join(names)}"
            )
            answer = self.request.ask(question, project) if self.request.ask else ""
            if answer.strip() != project:
                self.journal.add("refused", ahead[0].id, stack=ahead[0].stack, of=ahead[0].of, project=project)  # fmt: skip
                raise _Stop("refused", f"{answer.strip()!r} is not {project!r}: nothing was built", ahead[0])  # fmt: skip

    # ----------------------------------------------------------------------------------------------- a step

    def _step(self, todo: Todo) -> None:
        waits = [need for need in todo.step["needs"] if not self.by_id[need].done]
        if waits:
            names = [self.by_id[need].stack or need for need in waits]
            raise _Stop("waits", f"{todo.stack or todo.id} waits for {', '.join(names)}", todo)
        if todo.by == "apply":
            if not self.request.choice.builds(todo):
                raise _Stop(
                    "waits", f"{self.request.choice.stack} waits for {todo.stack}", todo,
                    f"`repatria apply {todo.stack}{at(self.folder)}` builds it.",
                )  # fmt: skip
            self._build(todo)
        elif todo.id in self.confirmations:
            self._confirm(todo, self.confirmations[todo.id])
        else:
            raise _Stop(todo.by, self._title(todo), todo)

    def _confirm(self, todo: Todo, said: Confirmation) -> None:
        when = said.time.isoformat()
        note = {"note": said.note} if said.note else {}
        self.journal.add("confirmed", todo.id, stack=todo.stack, of=todo.of, name=said.name, time=when, **note)  # fmt: skip
        self._add(todo, "confirmed", name=said.name, time=when)
        self._reread()

    def _build(self, todo: Todo) -> None:
        """One stack: recovered, configured, built, and checked by a second preview that changes nothing."""
        stack = todo.stack
        self._configured(todo)
        if stack not in self.agreed:  # its settings were set while this ran
            raise _Stop("unseen", f"{stack} can be built now, and nobody has seen its preview yet", todo, f"`{self.request.command}` previews it, and asks.")  # fmt: skip
        self._recover(todo)
        self._look_again(todo)
        self.journal.add("continued" if todo.begun else "begun", todo.id, stack=stack, of=todo.of)
        self.request.note(f"{stack}: building ({len(self.stacks[stack]['resources'])} resources)")
        started = time.monotonic()
        try:
            with self._told(todo):
                environment = self.places.environment(stack)
                outcome = self._up(stack, environment)
                if not outcome.ok:
                    raise self._failed(todo, outcome, "was not built")
                check = self.engine.preview(self.folder, stack, environment=environment)
                if not check.ok:
                    raise self._failed(todo, check, "cannot be checked")
                if check.touched:
                    raise self._changes(todo, check)
                twice(self._case(todo))
        except KeyboardInterrupt:
            self.journal.add("interrupted", todo.id, stack=stack, of=todo.of)
            self._add(todo, "interrupted")
            raise
        counts = {op: outcome.count(op) for op in LEVELS if outcome.count(op)}  # type: ignore[arg-type]
        seconds = round(time.monotonic() - started, 1)
        self.journal.add("done", todo.id, stack=stack, of=todo.of, changes=outcome.touched, seconds=seconds, **counts)  # fmt: skip
        self._add(todo, "done", seconds=seconds, **counts)
        self.request.note(f"{stack}: built and checked in {seconds} s")
        self._reread()

    def _up(self, stack: str, environment: Mapping[str, str]) -> Outcome:
        """Build; where all that failed is a quota, once more with one object at a time.

        Neutron counts an object in the making twice, as used and as reserved, so that side by side it refuses the last
        ones of a quota that is exactly enough (seen with routers). A quota that is too small fails the second time too.
        """
        built: Callable[..., Outcome] = partial(self.engine.up, self.folder, stack, environment=environment, on_event=self.request.event)  # fmt: skip
        first = built()
        if not first.failures or not all(_QUOTA.search(each.message) for each in first.failures):
            return first
        self.request.note(f"{stack}: the target says that a quota is used up; once more, one object at a time")  # fmt: skip
        second = built(parallel=1)
        made = tuple(each for each in first.changes if each.op not in ("same", "read"))
        rest = {each.urn for each in made}
        changes = (*made, *(each for each in second.changes if each.urn not in rest or each.op != "same"))  # fmt: skip
        return replace(second, changes=changes, seconds=first.seconds + second.seconds)

    def _configured(self, todo: Todo) -> None:
        stacks = self.engine.Stacks(self.folder, self.plan)
        missing = stacks.missing(todo.stack)
        if missing:
            settings = stacks.settings(todo.stack)
            says = "; ".join(f"{name} ({settings[name]['doc']})" for name in missing)
            raise _Stop(
                "config", f"{todo.stack} needs {says}", todo,
                " ".join(f"`repatria set {todo.stack} {shlex.quote(name)}{at(self.folder)}`" for name in missing),
            )  # fmt: skip

    def _recover(self, todo: Todo) -> None:
        if todo.stack in self.built:
            return
        with self._told(todo, began=False):
            self.built[todo.stack] = recover(self._case(todo))

    def _record(self, todo: Todo, found: Recovered) -> None:
        self.journal.add("recovered", todo.id, stack=todo.stack, of=todo.of, **found.json())
        self.report.recovered.append({"stack": todo.stack, **found.json()})
        self._reread()

    def _case(self, todo: Todo) -> Case:
        return Case(
            self.folder, self.plan, todo.stack, self.journal.entries, lambda: self.places.connect(todo.stack),
            self.places.environment(todo.stack), self.request.note, unfinished=unfinished(todo.stack, self.journal.entries),
            record=lambda found: self._record(todo, found),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------- when it goes wrong

    @contextmanager
    def _told(self, todo: Todo, *, began: bool = True) -> Iterator[None]:
        """Every expected failure of a stack -> the journal, and the end of the walk."""
        try:
            yield
        except Unclear as error:
            raise self._stop_at(todo, "unclear", error, began=began) from error
        except (EngineError, TargetError, ConfigError, FileError) as error:
            raise self._stop_at(todo, "failed", error, began=began) from error

    def _stop_at(self, todo: Todo, why: str, error: ToolkitError, *, began: bool) -> _Stop:
        says = hide(error.message)
        if began:
            self.journal.add("failed", todo.id, stack=todo.stack, of=todo.of, message=says)
            self._add(todo, "failed", message=says)
        failure = None if why == "unclear" else type(error)(says, hide(error.hint))
        return _Stop(why, says, todo, hide(error.hint), failure)

    def _failed(self, todo: Todo, outcome: Any, what: str, *, began: bool = True) -> _Stop:
        if outcome.missing:
            return _Stop("config", f"{todo.stack} {outcome.reason}", todo)
        counts = {op: outcome.count(op) for op in LEVELS if outcome.count(op)} if began else {}
        error = TargetError(
            f"{todo.stack} {what}: {outcome.faults}",
            "What was built is in the state and stays. Mend what it says, then run the same command again: it goes on from there.",
        )
        if began and counts:
            self.request.note(f"{todo.stack}: {counts} before it failed")
        return self._stop_at(todo, "failed", error, began=began)

    def _changes(self, todo: Todo, check: Any) -> _Stop:
        names = ", ".join(
            f"{change.op} {change.name}{f' ({chr(44).join(change.diffs)})' if change.diffs else ''}"
            for change in check.changes if change.op not in ("same", "read")
        )  # fmt: skip
        error = TargetError(
            f"{todo.stack} was built, but its check finds changes again: {names}",
            "Somebody changes it meanwhile, or the target does not keep what it is told: `repatria preview --refresh` shows which.",
        )
        return self._stop_at(todo, "failed", error, began=True)

    def _stopped(self, stop: _Stop) -> None:
        todo = stop.todo
        held: dict[str, Any] = {"why": stop.why, "says": stop.says, "hint": stop.hint, "continue": self.request.command}  # fmt: skip
        if todo is not None:
            step = todo.step
            held |= {
                "step": todo.id, "wave": step["wave"], "stack": todo.stack, "role": step["role"],
                "title": self._title(todo), "command": step["command"], "expected": tell(step["expected"], self.language),
                "check": step["check"], "lead_days": step["lead_days"], "by": todo.by, "why_hand": todo.why_hand,
                "turn": step["turn"],
            }  # fmt: skip
            who = self.plan["header"]["people"].get(step["role"], {})
            held["who"] = who.get("name", "")
            last = self.journal.entries[-1] if self.journal.entries else None
            if stop.why in ("person", "hand", "waits", "config", "unclear", "unseen") and not (
                last is not None and last.event == "waiting" and (last.step, last.of) == (todo.id, todo.of)
            ):  # fmt: skip
                self.journal.add("waiting", todo.id, stack=todo.stack, of=todo.of, why=stop.why)
        self.report.stopped = held
        self.report.failure = stop.failure

    def _add(self, todo: Todo, state: str, **more: Any) -> None:
        self.report.steps.append(
            {"id": todo.id, "wave": todo.step["wave"], "stack": todo.stack, "state": state, "title": self._title(todo), **more}
        )  # fmt: skip

    def _title(self, todo: Todo) -> str:
        return tell(todo.step["title"], self.language)


_QUOTA = re.compile(r"OverQuota|[Qq]uota exceeded|VolumeLimitExceeded|[Qq]uota .*has been met")
"""How Neutron, Nova, Cinder, Octavia and Manila say it."""


def _lost(outcome: Any) -> list[dict[str, str]]:
    """What an outcome takes away."""
    return [
        {"op": change.op, "name": change.name, "type": change.type, "origin": change.origin}
        for change in outcome.changes
        if change.op in ("delete", "replace")
    ]


def unfinished(stack: str, entries: Sequence[Entry]) -> bool:
    """Whether the last attempt on a stack did not end well, so that something may be at the target unknown to the state."""
    last = ""
    for entry in entries:
        if entry.stack == stack and entry.event in (
            "begun", "continued", "done", "failed", "interrupted", "destroyed",
        ):  # fmt: skip
            last = entry.event
    return last not in ("", "done", "destroyed")
