"""A step of the runbook, and everything that steps are made from; a step's id is the same on every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from toolkit.outcomes import Text, held
from toolkit.plan.moves import is_root, root_volume
from toolkit.plan.names import is_raw_id, slug

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.config import Config
    from toolkit.estate.model import Estate, Resource
    from toolkit.outcomes import Decision
    from toolkit.plan.applications import Applications
    from toolkit.plan.assemble import Placed, Stack
    from toolkit.plan.graph import Graph
    from toolkit.plan.quotas import Quotas
    from toolkit.plan.waves import Wave
    from toolkit.translate import Translation


Phase = Literal["before", "during", "after"]


PHASES: tuple[Phase, ...] = ("before", "during", "after")


@dataclass(frozen=True)
class Material:
    """Everything that the steps are made from."""

    estate: Estate
    config: Config
    cloud: Cloud
    said: Mapping[str, Translation]
    stacks: list[Stack]
    placed: Mapping[tuple[str, str], Placed]
    applications: Applications
    waves: list[Wave]
    quotas: Quotas
    rewire: list[dict[str, Any]]
    decisions: Mapping[str, Decision]
    graph: Graph
    measures: Mapping[str, Mapping[str, float]]

    def target_name(self, resource: Resource) -> str:
        """What a resource is called at the target; its own name where no stack makes it."""
        placed = self.placed.get((resource.key, ""))
        if placed is not None:
            name = placed.node.props.get("name")
            return name if isinstance(name, str) else placed.name
        return resource.name

    def logical_name(self, key: str) -> str:
        """A name for ids of steps: what nobody named is called by its stack's name or its kind, never by an id of AWS's."""
        resource = self.estate.by_key[key]
        if not is_raw_id(resource.name):
            return resource.name
        placed = self.placed.get((key, ""))
        return placed.name if placed is not None else resource.type.rpartition(".")[2]

    @cached_property
    def disks(self) -> Mapping[str, str]:
        """Key of what is moved block by block -> the name of its volume as variables and files have it, each once."""
        found: dict[str, str] = {}
        taken: set[str] = set()
        for key in sorted(self.said):
            for move in self.said[key].moves:
                if move.mover == "volume":
                    resource = self.estate.by_key[key]
                    target = self.target_name(resource)
                    whole = root_volume(target) if is_root(resource, move) else target
                    # short enough that no number is cut off where it is made a variable
                    base = slug(whole, 40) or "volume"
                    number, name = 1, base
                    while name in taken:
                        number += 1
                        name = f"{base}-{number}"
                    taken.add(name)
                    found[key] = name
        return found

    @cached_property
    def rewire_of(self) -> Mapping[str, list[dict[str, Any]]]:
        """Application -> its entries of `rewire`."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self.rewire:
            found.setdefault(entry["application"], []).append(entry)
        return found

    @cached_property
    def homes(self) -> Mapping[str, Mapping[str, str]]:
        """Key -> the stacks that hold its resources, each with its tier."""
        tiers = {stack.name: stack.tier for stack in self.stacks}
        found: dict[str, dict[str, str]] = {}
        for (origin, _), placed in self.placed.items():
            found.setdefault(origin, {})[placed.stack] = tiers[placed.stack]
        return found

    @cached_property
    def named(self) -> Mapping[str, list[str]]:
        """Key -> the DNS records that name it, by a name of AWS's or by its public address."""
        found: dict[str, list[str]] = {}
        addresses = {
            str(held): resource.key
            for type_, field_ in (("aws.ec2.instance", "PublicIpAddress"), ("aws.ec2.address", "PublicIp"))
            for resource in self.estate.of(type_)
            if (held := resource.record.get(field_))
        }  # fmt: skip
        for record in self.estate.of("aws.route53.record_set"):
            named = [edge.dst for edge in self.graph.outgoing.get(record.key, ())]
            values = [each.get("Value") for each in record.record.get("ResourceRecords") or ()]
            named += [addresses[value] for value in values if value in addresses]
            for key in dict.fromkeys(named):
                if not key.startswith(("aws.route53.", "aws.ec2.vpc|")):
                    found.setdefault(key, []).append(record.key)
        return found


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `minutes` None reads 'unknown'; `lead_days` is how long before the wave it starts.

    `instead` is another way to do it, `files` (path -> content) are what its commands read, `settings` (name, value) what is to be set.
    `person` marks what no machine may do by itself; `role` is a key of `[people]`. `turn` marks the
    point of no return. Steps of one wave run in the order of the list; `needs` names others.
    `run` names the stack that the step builds: what a program reads, where people read `command`.
    """

    id: str
    wave: int
    phase: Phase
    title: Text | str
    why: Text | str
    command: str = ""
    expected: Text | str = ""
    check: str = ""
    undo: Text | str = ""
    minutes: float | None = None
    basis: Text | str = ""
    needs: tuple[str, ...] = ()
    lead_days: int = 0
    person: bool = False
    role: str = "operator"
    turn: bool = False
    about: tuple[str, ...] = ()
    instead: Text | str = ""
    instead_command: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[tuple[Text | str, Text | str], ...] = ()
    run: str = ""

    def json(self) -> dict[str, Any]:
        """One of plan.json's `steps`."""

        def told(message: Text | str) -> Any:
            return message.json() if isinstance(message, Text) else message

        out = {
            "id": self.id, "wave": self.wave, "phase": self.phase, "title": told(self.title), "why": told(self.why),
            "command": self.command, "expected": told(self.expected), "check": self.check, "undo": told(self.undo),
            "minutes": self.minutes, "basis": told(self.basis), "needs": list(self.needs), "lead_days": self.lead_days,
            "person": self.person, "role": self.role, "turn": self.turn, "about": list(self.about),
        }  # fmt: skip
        if self.instead:
            out["instead"] = {"why": told(self.instead), "command": self.instead_command}
        if self.files:
            out["files"] = dict(self.files)
        if self.settings:
            out["settings"] = [[held(name), held(value)] for name, value in self.settings]
        if self.run:
            out["run"] = {"stack": self.run}
        return out


@dataclass(slots=True)
class Ids:
    """Step ids: readable, unique, and the same on every run."""

    taken: set[str] = field(default_factory=set)

    def new(self, wave: int, what: str) -> str:
        base = f"w{wave:02}-{slug(what)}"
        number, id_ = 1, base
        while id_ in self.taken:
            number += 1
            id_ = f"{base}-{number}"
        self.taken.add(id_)
        return id_
