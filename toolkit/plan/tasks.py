"""Orders and work by hand -> steps; equal tasks of one wave are one step that names what it is about."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.outcomes import HANDS, Task, joined, text
from toolkit.plan.step import Ids, Material, Phase, Step

if TYPE_CHECKING:
    from toolkit.plan.answers import Answers
    from toolkit.plan.waves import Wave


def orders(m: Material, wave: Wave, ids: Ids, answers: Answers) -> Iterator[Step]:
    """What is asked for, announced and lowered before a wave; what holds for all of them is in the first."""
    number = wave.number
    if number == 1:
        asked = m.quotas.requests
        if asked:
            wanted = joined(
                text("{kind} {needed} in {place}", kind=text(q.kind), needed=q.needed, place=q.place) if q.place
                else text("{kind} {needed}", kind=text(q.kind), needed=q.needed)
                for q in asked
            )  # fmt: skip
            yield Step(
                id=ids.new(number, "quota"), wave=number, phase="before", person=True, role="owner", lead_days=10,
                title=text("Ask {cloud} for larger quotas", cloud=m.cloud.product),
                why="The plan does not fit into the default quotas; raising them takes the provider days, and may take credit.",
                command=f"openstack quota show {shlex.quote(m.config.project or 'PROJECT')}" if m.cloud.kind == "openstack" else "",
                expected=text("At least: {wanted}.", wanted=wanted),
                undo="None needed: a larger quota costs nothing by itself.", minutes=30, basis=HANDS,
            )  # fmt: skip
        yield Step(
            id=ids.new(number, "egress-terms"), wave=number, phase="before", person=True, role="owner", lead_days=60,
            title="Ask AWS for its terms of leaving",
            why="AWS reduces or waives transfer fees for customers who leave, but only on request before the data moves; the window is counted from its answer.",
            expected="A written answer with a start date and an end date.",
            undo="None needed.", minutes=60, basis=HANDS,
        )  # fmt: skip
        yield Step(
            id=ids.new(number, "credential"), wave=number, phase="before", person=True, role="security", lead_days=5,
            title=text("Create a credential of its own for this migration at {cloud}", cloud=m.cloud.product),
            why="It is limited to the project, can be revoked alone, and shows in the provider's log what the migration did.",
            command="openstack application credential create repatria --role member --role load-balancer_member --role creator"
            if m.cloud.kind == "openstack" else "",
            expected="An id and a secret; put them into clouds.yaml, never into this repository.",
            check="openstack token issue" if m.cloud.kind == "openstack" else "",
            undo="openstack application credential delete repatria" if m.cloud.kind == "openstack" else "Revoke the token.", minutes=15, basis=HANDS,
        )  # fmt: skip
    yield Step(
        id=ids.new(number, "announce"), wave=number, phase="before", person=True, role="communication", lead_days=7,
        title="Announce the window to users and partners",
        why="People forgive an announced interruption; the template is at the end of this runbook.",
        expected="Sent, and every team that depends on these applications has answered.",
        undo="Send the same people the new date.", minutes=30, basis=HANDS,
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


def by_hand(
    m: Material, wave: Wave, ids: Ids, due: Mapping[int, list[tuple[str, Task]]]
) -> Iterator[Step]:
    """Equal tasks of one wave become one step that names what it is about."""
    groups: dict[tuple[str, str], list[tuple[Task, list[str]]]] = {}
    for key, task in due.get(wave.number, ()):
        same = groups.setdefault((task.code, str(task.what)), [])
        known = next((keys for each, keys in same if each == task), None)
        if known is None:
            same.append((task, [key]))
        else:
            known.append(key)
    for (code, _), same in sorted(groups.items()):
        for task, keys in same:
            yield Step(
                id=ids.new(wave.number, f"{code}-{m.logical_name(keys[0])}"), wave=wave.number, phase="before",
                person=True, role=task.role, lead_days=task.lead_days, title=task.what, why=task.why, command=task.command,
                expected=task.expected, check=task.check, undo=task.undo, minutes=task.minutes, basis=task.basis, about=tuple(keys),
                settings=task.settings,
            )  # fmt: skip


def due(m: Material, stack_wave: Mapping[str, int]) -> Mapping[int, list[tuple[str, Task]]]:
    """Wave -> the tasks before its stacks are built: what a stack is fed with comes in that stack's wave."""
    found: dict[int, list[tuple[str, Task]]] = {}
    for wave in m.waves:
        for key in wave.keys:
            for task in m.said[key].tasks:
                if task.code == DELEGATION or task.after_build or task.in_window:
                    continue  # the first one follows the last switch: until then the new zone does not have all answers
                placed = m.placed.get((key, "")) if task.gives else None
                number = stack_wave[placed.stack] if placed is not None else wave.number
                found.setdefault(number, []).append((key, task))
    return found


def installed(
    m: Material,
    wave: Wave,
    ids: Ids,
    built: Mapping[str, str],
    phase: Phase = "before",
    after: tuple[str, ...] = (),
) -> Iterator[Step]:
    """Work on what a stack of this phase makes: it needs the step that builds it."""
    for key in wave.keys:
        for task in m.said[key].tasks:
            if not (task.after_build or (task.in_window and phase == "during")):
                continue
            stacks = {} if task.in_window else m.homes.get(key, {})
            # of what is built in both phases the later one is waited for; what no stack makes comes before
            late = [name for name, tier in stacks.items() if tier not in ("network", "data")]
            if phase != ("during" if late or task.in_window else "before"):
                continue
            yield Step(
                id=ids.new(wave.number, f"{task.code}-{m.logical_name(key)}"), wave=wave.number, phase=phase,
                person=True, role=task.role, lead_days=task.lead_days if phase == "before" else 0, title=task.what, why=task.why, command=task.command,
                expected=task.expected, check=task.check, undo=task.undo, minutes=task.minutes, basis=task.basis, about=(key,), settings=task.settings,
                needs=(*after, *(built[name] for name in (late or stacks) if name in built)),
            )  # fmt: skip
