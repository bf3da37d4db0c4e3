"""Plan -> the one list of steps: the runbook prints it, and what applies and rehearses walks it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from toolkit.outcomes import Move, Task, Text, text
from toolkit.plan.answers import Answers
from toolkit.plan.moves import LARGE_GB, Engine, commands
from toolkit.plan.names import slug

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

MB_PER_SECOND = 100
"""What copies are estimated with: 80 % of one line of 1 Gbit/s."""
DELTA = 0.1
"""The part of the first pass that the last one copies, where its engine only copies what changed."""


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

    @cached_property
    def rewire_of(self) -> Mapping[str, list[dict[str, Any]]]:
        """Application -> its entries of `rewire`."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self.rewire:
            found.setdefault(entry["application"], []).append(entry)
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

    `instead` is another way to do it, `files` (path -> content) are what its commands read.
    `person` marks what no machine may do by itself; `role` is a key of `[people]`. `turn` marks the
    point of no return. Steps of one wave run in the order of the list; `needs` names others.
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
        return out


@dataclass(slots=True)
class _Ids:
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


def steps(m: Material) -> list[Step]:
    """All steps, wave by wave; before a wave, longest lead time first."""
    ids = _Ids()
    stack_wave = _stack_waves(m)
    stacks_of: dict[int, list[Stack]] = {}
    for stack in m.stacks:
        stacks_of.setdefault(stack_wave[stack.name], []).append(stack)
    found: list[Step] = []
    foundation: dict[str, str] = {}
    for wave in m.waves:
        mine = stacks_of.get(wave.number, [])
        answers = Answers.of(m, wave)
        before = [*_orders(m, wave, ids, answers), *_tasks(m, wave, ids)]
        before.sort(key=lambda step: -step.lead_days)
        built = list(_build(mine, wave, ids, foundation, ("network", "data"), "before"))
        moves = _moves(m, wave)
        first = list(_copies(m, wave, ids, moves, built))
        ready = [*before, *built, *first]
        during = list(_during(m, wave, ids, mine, moves, ready, foundation, answers))
        turns = [step.id for step in [*found, *during] if step.turn]
        found += [*ready, *during, *_after(m, wave, ids, during, moves, turns)]
    return found


def _stack_waves(m: Material) -> dict[str, int]:
    """A stack belongs to the first wave that uses it, and never before the stacks it needs."""
    wave_of = {key: wave.number for wave in m.waves for key in wave.keys}
    last = max((wave.number for wave in m.waves), default=1)
    waves = {
        stack.name: (last if stack.tier == "dns" else min(
            (wave_of.get(each.node.origin, last) for each in stack.resources), default=last))
        for stack in m.stacks
    }  # fmt: skip
    for stack in reversed(m.stacks):
        for need in stack.needs:
            waves[need] = min(waves[need], waves[stack.name])
    return waves


# ------------------------------------------------------------------------------------------- before


def _orders(m: Material, wave: Wave, ids: _Ids, answers: Answers) -> Iterator[Step]:
    number = wave.number
    if number == 1:
        asked = m.quotas.requests
        if asked:
            wanted = ", ".join(
                f"{q.kind} {q.needed}{f' in {q.place}' if q.place else ''}" for q in asked
            )
            yield Step(
                id=ids.new(number, "quota"), wave=number, phase="before", person=True, role="owner", lead_days=10,
                title=text("Ask {cloud} for larger quotas", cloud=m.cloud.product),
                why="The plan does not fit into the default quotas; raising them takes the provider days, and may take credit.",
                command=f"openstack quota show {shlex.quote(m.config.project or 'PROJECT')}" if m.cloud.kind == "openstack" else "",
                expected=text("At least: {wanted}.", wanted=wanted),
                undo="None needed: a larger quota costs nothing by itself.",
            )  # fmt: skip
        yield Step(
            id=ids.new(number, "egress-terms"), wave=number, phase="before", person=True, role="owner", lead_days=60,
            title="Ask AWS for its terms of leaving",
            why="AWS reduces or waives transfer fees for customers who leave, but only on request before the data moves; the window is counted from its answer.",
            expected="A written answer with a start date and an end date.",
            undo="None needed.",
        )  # fmt: skip
        yield Step(
            id=ids.new(number, "credential"), wave=number, phase="before", person=True, role="security", lead_days=5,
            title=text("Create a credential of its own for this migration at {cloud}", cloud=m.cloud.product),
            why="It is limited to the project, can be revoked alone, and shows in the provider's log what the migration did.",
            command="openstack application credential create repatria --role member --role load-balancer_member --role creator"
            if m.cloud.kind == "openstack" else "",
            expected="An id and a secret; put them into clouds.yaml, never into this repository.",
            check="openstack token issue" if m.cloud.kind == "openstack" else "",
            undo="openstack application credential delete repatria" if m.cloud.kind == "openstack" else "Revoke the token.",
        )  # fmt: skip
    yield Step(
        id=ids.new(number, "announce"), wave=number, phase="before", person=True, role="communication", lead_days=7,
        title="Announce the window to users and partners",
        why="People forgive an announced interruption; the template is at the end of this runbook.",
        expected="Sent, and every team that depends on these applications has answered.",
        undo="Send the same people the new date.",
    )  # fmt: skip
    if answers.lowered:
        yield Step(
            id=ids.new(number, "dns-ttl"), wave=number, phase="before", role="network", lead_days=answers.remembered_days + 1,
            title="Lower the TTL of the records that will change to 60 s",
            why=text("Resolvers keep the old answer for as long as the old TTL said: here up to {hours} h. That long before the switch it must be lowered.", hours=answers.remembered_hours),
            command=answers.command("ttl"), check=answers.asked(answers.lowered, ttl=True),
            expected="The command ends by itself once all name servers have it; each answer then shows a TTL of at most 60.",
            undo=text("{command}", command=answers.command("ttl-undo")), files=answers.files("ttl", "ttl-undo"),
            minutes=15, about=tuple(each.key for each in answers.lowered),
        )  # fmt: skip


DELEGATION = "delegation"


def _tasks(m: Material, wave: Wave, ids: _Ids) -> Iterator[Step]:
    """Equal tasks of one wave become one step that names what it is about."""
    groups: dict[tuple[str, str], tuple[Task, list[str]]] = {}
    for key in wave.keys:
        for task in m.said[key].tasks:
            if task.code == DELEGATION:
                continue  # after the last switch: until then the new zone does not have all answers
            groups.setdefault((task.code, str(task.what)), (task, []))[1].append(key)
    for (code, _), (task, keys) in sorted(groups.items()):
        names = ", ".join(m.estate.by_key[key].name for key in keys[:8])
        yield Step(
            id=ids.new(wave.number, f"{code}-{m.estate.by_key[keys[0]].name}"), wave=wave.number, phase="before",
            person=True, role=task.role, lead_days=task.lead_days, title=task.what, why=task.why,
            expected=task.check if str(task.check) else text("Done, and written down, for {names}.", names=names.rstrip(".")),
            undo="None needed before the switch: the source runs on.", about=tuple(keys),
        )  # fmt: skip


def _build(
    stacks: Iterable[Stack],
    wave: Wave,
    ids: _Ids,
    built: dict[str, str],
    tiers: tuple[str, ...],
    phase: Phase,
    after: tuple[str, ...] = (),
) -> Iterator[Step]:
    for stack in stacks:
        if stack.tier not in tiers:
            continue
        folder = shlex.quote(f"stacks/{stack.name}")
        id_ = ids.new(wave.number, f"build-{stack.name}")
        holds = any(each.node.protect for each in stack.resources)
        yield Step(
            id=id_, wave=wave.number, phase=phase,
            title=text("Build the stack {name} ({count} resources)", name=stack.name, count=len(stack.resources)),
            why=_WHY_STACK[stack.tier],
            command=f"pulumi -C {folder} up --stack main",
            expected=text("{count} resources created, none changed, none deleted.", count=len(stack.resources)),
            check=f"pulumi -C {folder} preview --stack main --expect-no-changes",
            undo=text("pulumi -C stacks/{name} destroy --stack main (what holds data or an address is protected: unprotect it by name first, and only while it is empty).", name=stack.name)
            if holds else text("pulumi -C stacks/{name} destroy --stack main", name=stack.name),
            minutes=round(1 + len(stack.resources) * 3 / 60, 1),
            basis="3 seconds per resource and one minute per stack; the rehearsal measures it.",
            needs=tuple(dict.fromkeys((*after, *(built[need] for need in stack.needs if need in built)))),
        )  # fmt: skip
        built[stack.name] = id_


_WHY_STACK = {
    "network": "Networks, routers and groups come first: everything else stands on them.",
    "data": "What will hold data must exist before data is moved into it.",
    "servers": "Servers start only now, from data that has arrived.",
    "entry": "Load balancers and public addresses open the door last.",
    "dns": "Zones and records point at what now answers.",
}


# -------------------------------------------------------------------------------------------- moves


def _moves(m: Material, wave: Wave) -> list[tuple[Resource, Move]]:
    return [(m.estate.by_key[key], move) for key in wave.keys for move in m.said[key].moves]


def _gb(m: Material, resource: Resource, move: Move) -> float | None:
    measured = m.measures.get(resource.key, {})
    for metric in ("BucketSizeBytes", "DatabaseBytes", "StoredBytes"):
        if metric in measured:
            return round(measured[metric] / 1e9, 3)
    return move.gb


def _copies(
    m: Material, wave: Wave, ids: _Ids, moves: list[tuple[Resource, Move]], built: list[Step]
) -> Iterator[Step]:
    """The first pass, while everybody works."""
    needs = tuple(step.id for step in built)
    for resource, move in moves:
        engine = commands(move, resource, _target_name(m, resource))
        if engine.window == "only":
            continue
        gb = _gb(m, resource, move)
        size = text("size unknown") if gb is None else text("{gb} GB", gb=round(gb, 1))
        yield Step(
            id=ids.new(wave.number, f"copy-{resource.name}-{move.mover}"), wave=wave.number, phase="before",
            title=text("Copy {what} ({size})", what=move.what, size=size),
            why=engine.why, command=engine.copy, expected=engine.expected, check=engine.check, undo=engine.undo,
            minutes=_minutes(gb), person=engine.person, role=engine.role, basis=_basis(gb), needs=needs, about=(resource.key,),
            files=engine.files, **_instead(engine, gb, during=False),
        )  # fmt: skip


def _last_copies(
    m: Material, wave: Wave, ids: _Ids, moves: list[tuple[Resource, Move]], freeze: str
) -> Iterator[Step]:
    """The pass while the source is frozen: only what its engine does there, and as long as it then takes."""
    for resource, move in moves:
        engine = commands(move, resource, _target_name(m, resource), last=True)
        if engine.window == "none" or _is_log(m, resource):
            continue
        delta, gb = engine.window == "delta", _gb(m, resource, move)
        minutes = engine.minutes if engine.minutes is not None else _minutes(gb, delta=delta)
        yield Step(
            id=ids.new(wave.number, f"last-copy-{resource.name}-{move.mover}"), wave=wave.number, phase="during",
            title=engine.title or text("Copy {what}: the last pass, {name} is frozen", what=move.what, name=resource.name),
            why=engine.why, command=engine.copy, expected=engine.expected, check=engine.check, undo=engine.undo_last,
            minutes=minutes, person=engine.person, role=engine.role, basis=_basis(gb, delta=delta, again=True),
            needs=(freeze,), about=(resource.key,), files=engine.files, **_instead(engine, gb, during=True),
        )  # fmt: skip


def _minutes(gb: float | None, *, delta: bool = False) -> float | None:
    if gb is None:
        return None
    return round(max(1.0, gb * 1000 / MB_PER_SECOND / 60 * (DELTA if delta else 1)), 1)


def _basis(gb: float | None, *, delta: bool = False, again: bool = False) -> Text | str:
    if gb is None:
        return ""
    size = round(gb, 1)
    if delta:
        return text("a tenth of {gb} GB at {speed} MB/s, assumed; the rehearsal measures it", gb=size, speed=MB_PER_SECOND)  # fmt: skip
    if again:
        return text("{gb} GB at {speed} MB/s, everything again", gb=size, speed=MB_PER_SECOND)
    return text("{gb} GB at {speed} MB/s", gb=size, speed=MB_PER_SECOND)


def _instead(engine: Engine, gb: float | None, *, during: bool) -> dict[str, Any]:
    """The alternative of a step, where it is worth its trouble; a size that is not known may be large."""
    if engine.instead is None or (gb is not None and gb < LARGE_GB):
        return {}
    command = engine.instead.during if during else engine.instead.before
    return {"instead": engine.instead.why, "instead_command": command}


def _is_log(m: Material, resource: Resource) -> bool:
    """A bucket that others log into, or that is called so: nothing at the target waits for its last objects."""
    return bool({"log", "logs", "cloudtrail"} & set(slug(resource.name).split("-"))) or any(
        "logging" in edge.field.casefold() or "access_logs" in edge.field.casefold()
        for edge in m.graph.incoming.get(resource.key, ())
    )


def _target_name(m: Material, resource: Resource) -> str:
    placed = m.placed.get((resource.key, ""))
    if placed is not None:
        name = placed.node.props.get("name")
        return name if isinstance(name, str) else placed.name
    return resource.name


# ------------------------------------------------------------------------------------ during, after


def _during(
    m: Material, wave: Wave, ids: _Ids, stacks: list[Stack], moves: list[tuple[Resource, Move]],
    ready: list[Step], foundation: dict[str, str], answers: Answers,
) -> Iterator[Step]:  # fmt: skip
    number = wave.number
    apps = ", ".join(wave.applications)
    go = Step(
        id=ids.new(number, "go"), wave=number, phase="during", person=True, role="approver",
        title="Decide: go or not", why="Everything before was harmless to the source. From here users notice.",
        expected="Every step before is done and checked; everybody in the table of roles can be reached.", undo="Do not start; nothing has changed for users.",
        minutes=10, needs=tuple(step.id for step in ready),
    )  # fmt: skip
    yield go
    freeze = Step(
        id=ids.new(number, "freeze"), wave=number, phase="during", person=True, role="operator",
        title=text("Freeze {apps}: stop writers, show the maintenance page", apps=apps),
        why="What is written after the last copy would be lost.",
        expected="No new rows, objects or messages for five minutes.",
        undo="Start the writers again; the source is complete.", minutes=10, needs=(go.id,),
        about=tuple(key for key in wave.keys if key.split("|", 1)[0] in WRITERS),
    )  # fmt: skip
    last = list(_last_copies(m, wave, ids, moves, freeze.id))
    if last:
        yield freeze
        yield from last
    arrived = tuple(step.id for step in last) or (go.id,)
    built = list(_build(stacks, wave, ids, foundation, ("servers", "entry"), "during", arrived))
    yield from built
    seen = [*last, *built]
    rewired = [entry for name in wave.applications for entry in m.rewire_of.get(name, ())]
    if rewired:
        wired = Step(
            id=ids.new(number, "rewire"), wave=number, phase="during", person=True, role="operator",
            title=text("Rewire {apps}: {count} places still name AWS", apps=apps, count=len(rewired)),
            why="An application that still calls AWS works today and fails on the day that matters; the list is at the end of this runbook.",
            expected="No place in the list names AWS any more.",
            undo="Write the old values back: the list has them.", minutes=5.0 * len(rewired), basis="5 minutes per place",
            needs=tuple(step.id for step in built) or arrived,
        )  # fmt: skip
        yield wired
        seen.append(wired)
    checked = Step(
        id=ids.new(number, "check"), wave=number, phase="during", person=True, role="owner",
        title=text("Check {apps} at the target, by its new address, before anyone else sees it", apps=apps),
        why="A fault found now costs minutes; after the switch it costs the way back.",
        expected="The owner has done what a user does, end to end, and says yes.",
        undo="Unfreeze the source and stop here; users never saw the target." if last else "Stop here; users never saw the target.",
        minutes=30, needs=tuple(step.id for step in seen) or (go.id,),
    )  # fmt: skip
    yield checked
    dns = list(_build(stacks, wave, ids, foundation, ("dns",), "during", (checked.id,)))
    yield from dns
    needs = (checked.id, *(step.id for step in dns))
    if answers.changed:
        yield Step(
            id=ids.new(number, "switch"), wave=number, phase="during", person=True, role="approver", turn=True,
            title=text("Point of no return: switch DNS for {apps}", apps=apps),
            why="From the first write at the target on, going back means moving data back.",
            command=answers.command("switch"), check=answers.asked(answers.changed),
            expected=text("The command ends by itself once all name servers have it; within 60 s they answer with the new addresses for {names}.", names=", ".join(answers.names)),
            undo=text("{command} (then open the source, and first copy back what was written at the target: without that it is lost).", command=answers.command("switch-undo")),
            files=answers.files("switch", "switch-undo"), minutes=5, needs=needs, about=tuple(each.key for each in answers.changed),
        )  # fmt: skip
    else:
        yield Step(
            id=ids.new(number, "open"), wave=number, phase="during", person=True, role="approver", turn=True,
            title=text("Point of no return: open {apps} for writing at the target", apps=apps),
            why="From the first write at the target on, going back means moving data back.",
            expected="The first write is seen at the target.",
            undo="Stop writers, copy back what was written, open the source.", minutes=5, needs=needs,
        )  # fmt: skip


WRITERS = frozenset(
    {
        "aws.ec2.instance", "aws.autoscaling.auto_scaling_group", "aws.ecs.service", "aws.lambda.function", "aws.events.rule",
        "aws.stepfunctions.state_machine", "aws.eks.cluster", "aws.apigateway.rest_api", "aws.apigatewayv2.api",
    }
)  # fmt: skip
"""What writes by itself, and so has to stop at the freeze."""


def _after(
    m: Material, wave: Wave, ids: _Ids, during: list[Step], moves: list[tuple[Resource, Move]],
    turns: list[str],
) -> Iterator[Step]:  # fmt: skip
    number = wave.number
    last = tuple(step.id for step in during[-1:])
    apps = ", ".join(wave.applications)
    for resource, move in moves:
        if move.mover == "objects" and _is_log(m, resource):
            engine = commands(move, resource, _target_name(m, resource))
            yield Step(
                id=ids.new(number, f"late-copy-{resource.name}"), wave=number, phase="after",
                title=text("Copy {what} that came since the first copy", what=move.what), why="Only logs are written there: nothing in the window waits for them.",
                # never sync here: the target has objects of its own by now
                command=engine.copy.replace("rclone sync", "rclone copy", 1), expected=engine.expected, check=engine.check,
                undo="None needed.", minutes=_minutes(_gb(m, resource, move), delta=True), needs=last, about=(resource.key,),
            )  # fmt: skip
    watch = Step(
        id=ids.new(number, "watch"), wave=number, phase="after", role="operator", person=True,
        title=text("Watch {apps} for a day", apps=apps),
        why="Load, cron jobs and partners come back at their own hours.",
        expected="No error that the source did not have; nobody still asks the old addresses.",
        undo="See the point of no return: the way back stays open while the source is kept.", minutes=1440, needs=last,
    )  # fmt: skip
    yield watch
    backup = Step(
        id=ids.new(number, "backup"), wave=number, phase="after", role="operator", person=True,
        title=text("Back up {apps} at the target and restore it once", apps=apps),
        why="The source's backups end with the source; a backup that was never restored is a hope.",
        expected="A restored copy, compared with the original, and the time it took.", undo="None needed.", minutes=120, needs=last,
    )  # fmt: skip
    yield backup
    yield Step(
        id=ids.new(number, "done"), wave=number, phase="after", role="communication", person=True,
        title="Tell users and partners that it is done", why="They are waiting, and partners must remove the old addresses from their lists.",
        expected="Sent.", undo="None needed.", minutes=15, needs=last,
    )  # fmt: skip
    if wave is m.waves[-1]:
        yield from _delegations(m, wave, ids, turns)
    zones = any(key.startswith("aws.route53.hosted_zone|") for key in wave.keys)
    yield Step(
        id=ids.new(number, "retire"), wave=number, phase="after", role="owner", person=True,
        title=text("Stop {apps} at AWS, keep it for 30 days, then delete it", apps=apps),
        why="Until then it is the way back; after that it is only cost and risk. DNS zones stay until the last wave has delegated them." if zones
        else "Until then it is the way back; after that it is only cost and risk.",
        expected="Nothing asked for it in those 30 days.",
        undo="Start it again; after deletion there is no way back.", needs=(watch.id, backup.id),
    )  # fmt: skip


def _delegations(m: Material, wave: Wave, ids: _Ids, turns: list[str]) -> Iterator[Step]:
    """Zones leave AWS last: before that the new ones lack the answers of the waves to come."""
    for key in sorted(m.said):
        for task in m.said[key].tasks:
            if task.code == DELEGATION:
                names = Answers.every(m, key)
                yield Step(
                    id=ids.new(wave.number, f"{DELEGATION}-{m.estate.by_key[key].name}"), wave=wave.number, phase="after",
                    person=True, role=task.role, title=task.what, why=task.why, command=names.compared, check=names.delegated,
                    expected="No line says `differs`; then the registrar changes the delegation, and the check names the new servers.",
                    undo="Have the old name servers delegated again: the zone at AWS is unchanged until it is deleted.",
                    files=names.listed, needs=tuple(turns), about=(key,),
                )  # fmt: skip
