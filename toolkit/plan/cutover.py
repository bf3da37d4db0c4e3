"""A wave's window and what comes after it -> steps: freeze, last copies, build, check, the point of no return, retire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.outcomes import Move, text
from toolkit.plan import copies, stacks, tasks
from toolkit.plan.answers import Answers
from toolkit.plan.moves import commands
from toolkit.plan.step import Ids, Material, Step

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.plan.assemble import Stack
    from toolkit.plan.waves import Wave


WRITERS = frozenset(
    {
        "aws.ec2.instance", "aws.autoscaling.auto_scaling_group", "aws.ecs.service", "aws.lambda.function", "aws.events.rule",
        "aws.stepfunctions.state_machine", "aws.eks.cluster", "aws.apigateway.rest_api", "aws.apigatewayv2.api",
    }
)  # fmt: skip
"""What writes by itself, and so has to stop at the freeze."""


def during(
    m: Material, wave: Wave, ids: Ids, mine: list[Stack], moves: list[tuple[Resource, Move]],
    ready: list[Step], foundation: dict[str, str], answers: Answers, told: Mapping[str, Step],
) -> Iterator[Step]:  # fmt: skip
    """The window, from the decision to go on to the point of no return. `ready` is what comes before, `told` configures stacks."""
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
    last = list(copies.last(m, wave, ids, moves, freeze.id))
    if last:
        yield freeze
        yield from last
        handed = list(copies.handed_over(m, wave, ids, moves, last, "during"))
        yield from handed
        last += handed
    arrived = tuple(step.id for step in last) or (go.id,)
    built = list(
        stacks.build(mine, wave, ids, foundation, ("servers", "entry"), "during", arrived, told)
    )
    yield from built
    installed = list(tasks.installed(m, wave, ids, foundation, "during", arrived))
    yield from installed
    seen = [*last, *built, *installed]
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
    dns = list(stacks.build(mine, wave, ids, foundation, ("dns",), "during", (checked.id,), told))
    yield from dns
    needs = (checked.id, *(step.id for step in dns))
    if answers.changed:
        yield Step(
            id=ids.new(number, "switch"), wave=number, phase="during", person=True, role="approver", turn=True,
            title=text("Point of no return: switch DNS for {apps}", apps=apps),
            why="From the first write at the target on, going back means moving data back.",
            command=answers.command("switch"), check=answers.asked(answers.changed),
            expected=text("The command ends by itself once all name servers have it; within 60 s they answer with the new addresses for {names}.", names=", ".join(answers.names)),
            undo=text("{command} (then copy back to the source what was written at the target, or it is lost, and open the source again).", command=answers.command("switch-undo")),
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


def after(
    m: Material, wave: Wave, ids: Ids, during: list[Step], moves: list[tuple[Resource, Move]],
    turns: list[str], kept: tuple[str, ...],
) -> Iterator[Step]:  # fmt: skip
    """What follows the switch, until AWS is switched off. `turns` are the points of no return so far, `kept` the last copies."""
    number = wave.number
    last = tuple(step.id for step in during[-1:])
    apps = ", ".join(wave.applications)
    for resource, move in moves:
        if move.mover == "objects" and copies.is_log(m, resource):
            engine = commands(move, resource, m.target_name(resource))
            yield Step(
                id=ids.new(number, f"late-copy-{m.logical_name(resource.key)}"), wave=number, phase="after",
                title=text("Copy {what} that came since the first copy", what=move.what), why="Only logs are written there: nothing in the window waits for them.",
                # never sync here: the target has objects of its own by now
                command=engine.copy.replace("rclone sync", "rclone copy", 1), expected=engine.expected, check=engine.check,
                undo="None needed.", minutes=copies.minutes_for(copies.size_gb(m, resource, move), delta=True), basis=copies.basis_for(copies.size_gb(m, resource, move), delta=True), needs=last, about=(resource.key,),
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
        undo="Start it again; after deletion there is no way back.", needs=(*kept, watch.id, backup.id),
        basis="30 days of waiting; how long deleting takes depends on what is left",
    )  # fmt: skip


def _delegations(m: Material, wave: Wave, ids: Ids, turns: list[str]) -> Iterator[Step]:
    """Zones leave AWS last: before that the new ones lack the answers of the waves to come."""
    for key in sorted(m.said):
        for task in m.said[key].tasks:
            if task.code == tasks.DELEGATION:
                names = Answers.every(m, key)
                yield Step(
                    id=ids.new(wave.number, f"{tasks.DELEGATION}-{m.logical_name(key)}"), wave=wave.number, phase="after",
                    person=True, role=task.role, title=task.what, why=task.why, command=names.compared, check=names.delegated,
                    expected=task.expected, undo=task.undo, minutes=task.minutes, basis=task.basis, settings=task.settings, files=names.listed, needs=tuple(turns), about=(key,),
                )  # fmt: skip
