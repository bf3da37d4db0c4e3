"""Stacks that were applied -> nothing, last first; what holds data or an address goes only when it was said so, and named."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit import workspace
from toolkit.apply.order import digest_of, stack_of
from toolkit.apply.places import Places, looking
from toolkit.apply.recover import RUN, Case, Recovered, Unclear, end_leftovers, recover
from toolkit.apply.run import unfinished
from toolkit.console import at
from toolkit.engines.outcome import name_of
from toolkit.errors import ConfigError, EngineError, FileError, TargetError, ToolkitError
from toolkit.journal import Journal, alone, hide

DATA = frozenset(
    {
        "openstack:blockstorage/volume:Volume", "openstack:objectstorage/container:Container", "openstack:keymanager/secretV1:SecretV1",
        "openstack:sharedfilesystem/share:Share", "openstack:database/instance:Instance", "openstack:images/image:Image",
        "openstack:dns/zone:Zone",
    }
)  # fmt: skip
"""Types that hold data whether the plan protects them or not."""


@dataclass
class Request:
    """What `repatria destroy` was asked for, and how it talks to whoever asked."""

    folder: Path
    stack: str = ""
    including_data: bool = False
    yes: bool = False
    ask: Callable[[str, str], str] | None = None
    note: Callable[[str], None] = lambda _: None
    show: Callable[[Sequence[Mapping[str, Any]]], None] = lambda _: None
    event: Callable[[Any], None] = lambda _: None

    @property
    def command(self) -> str:
        """The same command, to continue with."""
        stack = f" {self.stack}" if self.stack else ""
        data = " --including-data" if self.including_data else ""
        return f"repatria destroy{stack}{at(self.folder)}{data}"


@dataclass
class Report:
    """What one run took away. `failure` says why it did not go on."""

    stacks: list[dict[str, Any]] = field(default_factory=list)
    recovered: list[dict[str, Any]] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    failure: ToolkitError | None = None
    interrupted: bool = False

    def json(self) -> dict[str, Any]:
        """The answer of `repatria destroy`."""
        return {
            "stacks": self.stacks, "recovered": self.recovered, "not_run": self.not_run,
            "totals": {
                "destroyed": sum(each["state"] == "destroyed" for each in self.stacks),
                "resources": sum(each["deleted"] for each in self.stacks),
                "left": sum(each["state"] != "destroyed" for each in self.stacks),
            },
        }  # fmt: skip


def destroy(request: Request) -> Report:
    """Take away one stack or all. Raises ToolkitError before anything is taken away: others use it, it holds
    data and that was not said, the name was not typed, somebody else is at work.
    """
    with alone(request.folder, "destroy"):
        # not refused where it is stale: what is to go was built from an older plan anyway
        plan = workspace.read_plan(request.folder / workspace.PLAN)
        run = secrets.token_hex(6)
        journal = Journal(request.folder, plan["header"]["body"], run)
        os.environ[RUN] = run
        held = _Run(request, plan, journal)
        try:
            return held.walk()
        finally:
            held.places.close()


@dataclass(frozen=True, slots=True)
class _Held:
    """A resource of the state that holds data or an address."""

    stack: str
    urn: str
    token: str
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.token.rsplit(':', 1)[-1]} {self.name}"


class _Run:
    def __init__(self, request: Request, plan: Mapping[str, Any], journal: Journal) -> None:
        from toolkit.engines import pulumi as engine

        self.request, self.plan, self.journal, self.engine = request, plan, journal, engine
        self.folder = request.folder
        self.stacks = {stack["name"]: stack for stack in plan["stacks"]}
        self.steps = {stack_of(step): step for step in plan["steps"] if stack_of(step)}
        self.places = Places(self.stacks)
        self.earlier = {entry.run for entry in journal.entries} - {journal.run}
        self.report = Report()

    def walk(self) -> Report:
        names = self._chosen()
        if not names:
            return self.report
        self.engine.locate()
        end_leftovers(self.earlier, self.request.note)
        for name in names:
            recover(self._case(name))
        names = [name for name in names if self._resources(name)]
        held = self._holding(names)
        self._preview(names)
        self._agree(names, held)
        for name in names:
            if not self._one(name, [each for each in held if each.stack == name]):
                break
        return self.report

    def _chosen(self) -> list[str]:
        """The stacks that have something, what needs others before what it needs. Raises where others use it."""
        stacks = self.engine.Stacks(self.folder, self.plan)
        wanted = self.request.stack
        if wanted:
            stacks[wanted]
        there = {name for name in stacks.names() if self._anything(name)}
        if wanted:
            users = sorted(name for name in there if wanted in self.stacks[name]["needs"])
            if users:
                raise ToolkitError(
                    f"{wanted} is still used by {', '.join(users)}",
                    f"`repatria destroy {users[0]}{at(self.folder)}` first.",
                )
        order = [name for name in reversed(stacks.order()) if name in there]
        chosen = [name for name in order if not wanted or name == wanted]
        self.report.not_run = sorted(
            name for name in (chosen if wanted else self.stacks)
            if self.stacks[name]["package"] not in self.engine.PLUGINS
        )  # fmt: skip
        return [name for name in chosen if name not in self.report.not_run]

    def _anything(self, stack: str) -> bool:
        """Something is in its state, or its last attempt may have left something."""
        from toolkit.engines.state import state_of

        checkpoint = state_of(self.folder).checkpoint(stack) or {}
        return bool(
            self._resources(stack) or checkpoint.get("pending_operations")
            or (checkpoint and unfinished(stack, self.journal.entries))
        )  # fmt: skip

    def _resources(self, stack: str) -> list[dict[str, Any]]:
        """What the engine's state has of a stack, without the engine's own."""
        from toolkit.engines.state import state_of

        checkpoint = state_of(self.folder).checkpoint(stack) or {}
        return [
            each for each in checkpoint.get("resources") or ()
            if each.get("custom") and not each["type"].startswith("pulumi:") and not each.get("external")
        ]  # fmt: skip

    def _case(self, stack: str) -> Case:
        return Case(
            self.folder, self.plan, stack, self.journal.entries, lambda: self.places.connect(stack),
            self.places.environment(stack), self.request.note, unfinished=unfinished(stack, self.journal.entries),
            record=lambda found: self._record(stack, found),
        )  # fmt: skip

    def _record(self, stack: str, found: Recovered) -> None:
        self.journal.add("recovered", self._step(stack), stack=stack, of=self._of(stack), **found.json())  # fmt: skip
        self.report.recovered.append({"stack": stack, **found.json()})

    def _step(self, stack: str) -> str:
        return str(self.steps[stack]["id"])

    def _of(self, stack: str) -> str:
        return digest_of(self.steps[stack], self.stacks[stack], self.folder)

    # ------------------------------------------------------------------------------------- before it is agreed

    def _holding(self, names: Sequence[str]) -> list[_Held]:
        """What holds data or an address. Raises ToolkitError where that was not said."""
        planned = {
            resource["name"]
            for name in names
            for resource in self.stacks[name]["resources"]
            if resource.get("protect")
        }
        found = [
            _Held(name, each["urn"], each["type"], name_of(each["urn"]), str(each.get("id", "")))
            for name in names for each in self._resources(name)
            if each.get("protect") or each["type"] in DATA or name_of(each["urn"]) in planned
        ]  # fmt: skip
        if found and not self.request.including_data:
            shown = ", ".join(f"{each} ({each.stack})" for each in found[:8])
            raise ToolkitError(
                f"{len(found)} resources hold data or an address: {shown}{' ...' if len(found) > 8 else ''}",
                f"What is in them is lost for good, and an address does not come back. If that is meant: `{self.request.command} --including-data`.",
            )
        return found

    def _preview(self, names: Sequence[str]) -> None:
        found = []
        for name in names:
            resources = self._resources(name)
            found.append(
                {
                    "stack": name, "delete": len(resources),
                    "data": [
                        f"{each['type'].rsplit(':', 1)[-1]} {name_of(each['urn'])}" for each in resources
                        if each.get("protect") or each["type"] in DATA
                    ],
                }
            )  # fmt: skip
        self.request.show(found)

    def _agree(self, names: Sequence[str], held: Sequence[_Held]) -> None:
        """Have the project's name typed: always where there is data, else unless --yes was given."""
        if not names or (self.request.yes and not held):
            return
        for project, mine in self.places.projects(names).items():
            data = [str(each) for each in held if each.stack in mine]
            lost = f" with {len(data)} that hold data or an address ({', '.join(data[:5])}{' ...' if len(data) > 5 else ''})" if data else ""  # fmt: skip
            question = f"Type the name of the target project, {project}, to DESTROY {', '.join(mine)}{lost}"
            answer = self.request.ask(question, project) if self.request.ask else ""
            if answer.strip() != project:
                self.journal.add("refused", self._step(mine[0]), stack=mine[0], project=project, destroy=True)  # fmt: skip
                raise ToolkitError(
                    f"{answer.strip()!r} is not {project!r}: nothing was destroyed",
                    "Type the project's name as it is shown.",
                )

    # -------------------------------------------------------------------------------------------- one stack

    def _one(self, stack: str, held: Sequence[_Held]) -> bool:
        """Take a stack away; False where that failed."""
        step, of = self._step(stack), self._of(stack)
        before = len(self._resources(stack))
        self.journal.add("begun", step, stack=stack, of=of, destroy=True, resources=before, data=len(held))  # fmt: skip
        self.request.note(f"{stack}: destroying ({before} resources)")
        started = time.monotonic()
        try:
            if held:
                self._let_go(stack, held)
            outcome = self.engine.destroy(
                self.folder, stack, environment=self.places.environment(stack), on_event=self.request.event
            )  # fmt: skip
            if not outcome.ok:
                raise TargetError(
                    f"{stack} was not destroyed: {outcome.faults}",
                    "What is gone stays gone. Mend what it says, then run the same command again: it goes on from there.",
                )
            if left := self._resources(stack):
                raise TargetError(
                    f"{stack}: {len(left)} resources are still in the state",
                    "Run the same command again.",
                )
        except KeyboardInterrupt:
            self.journal.add("interrupted", step, stack=stack, of=of, destroy=True)
            self._add(stack, "interrupted", before, started)
            self.report.interrupted = True
            return False
        except (EngineError, TargetError, ConfigError, FileError, Unclear) as error:
            says = hide(error.message)
            self.journal.add("failed", step, stack=stack, of=of, destroy=True, message=says)
            self._add(stack, "failed", before, started, message=says)
            self.report.failure = type(error)(says, hide(error.hint))
            return False
        seconds = round(time.monotonic() - started, 1)
        self.journal.add("destroyed", step, stack=stack, of=of, resources=before, seconds=seconds)
        self._add(stack, "destroyed", before, started)
        return True

    def _add(self, stack: str, state: str, before: int, started: float, **more: Any) -> None:
        deleted = before - len(self._resources(stack))
        seconds = round(time.monotonic() - started, 1)
        self.report.stacks.append({"stack": stack, "state": state, "deleted": deleted, "seconds": seconds, **more})  # fmt: skip

    def _let_go(self, stack: str, held: Sequence[_Held]) -> None:
        """Unprotect what was agreed on, and empty the containers among it: the target refuses to delete a full one."""
        state = self.engine.export_state(self.folder, stack)
        urns = {each.urn for each in held}
        changed = False
        for resource in state["deployment"].get("resources") or ():
            if resource["urn"] in urns and resource.pop("protect", False):
                changed = True
        if changed:
            self.engine.import_state(self.folder, stack, state)
        for each in held:
            if each.token == "openstack:objectstorage/container:Container":  # noqa: S105 - a type
                self._empty(stack, each)

    def _empty(self, stack: str, container: _Held) -> None:
        """Delete every object of a container, of a versioned one every version."""
        from urllib.parse import quote

        from openstack.exceptions import NotFoundException

        with looking():
            api = self.places.connect(stack).object_store
            path = f"/{quote(container.id, safe='')}"
            self.request.note(f"{stack}: emptying the container {container.id}")
            while True:
                answer = api.get(
                    path, params={"format": "json", "versions": "true", "limit": "1000"}
                )
                if answer.status_code in (400, 404):
                    answer = api.get(path, params={"format": "json", "limit": "1000"})
                objects = answer.json() if answer.status_code == 200 else []
                if not objects:
                    return
                for each in objects:
                    version = each.get("version_id")
                    query = f"?version-id={quote(version)}" if version and version != "null" else ""
                    try:
                        api.delete(f"{path}/{quote(each['name'], safe='')}{query}")
                    except NotFoundException:
                        continue
