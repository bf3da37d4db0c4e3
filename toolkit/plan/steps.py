"""Plan -> the one list of steps: the runbook prints it, and what applies and rehearses walks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.plan import copies, cutover, stacks, tasks
from toolkit.plan.answers import Answers
from toolkit.plan.moves import is_root
from toolkit.plan.step import Ids, Material, Step

if TYPE_CHECKING:
    from toolkit.plan.assemble import Stack


def steps(m: Material) -> Iterator[Step]:
    """All steps, wave by wave; before a wave, longest lead time first. One wave is held at a time."""
    ids = Ids()
    stack_wave = stacks.waves(m)
    stacks_of: dict[int, list[Stack]] = {}
    for stack in m.stacks:
        stacks_of.setdefault(stack_wave[stack.name], []).append(stack)
    foundation: dict[str, str] = {}
    turns: list[str] = []  # of all waves so far
    due = tasks.due(m, stack_wave)
    for wave in m.waves:
        mine = stacks_of.get(wave.number, [])
        answers = Answers.of(m, wave)
        before = [*tasks.orders(m, wave, ids, answers), *tasks.by_hand(m, wave, ids, due)]
        before.sort(key=lambda step: -step.lead_days)
        moves = copies.of_wave(m, wave)
        early = [stack for stack in mine if stack.tier in ("network", "data")]
        late = [stack for stack in mine if stack.tier not in ("network", "data")]
        told = {
            stack.name: step
            for stack in early
            for step in stacks.configured(m, wave, ids, stack, {})
        }
        built = list(
            stacks.build(early, wave, ids, foundation, ("network", "data"), "before", told=told)
        )
        installed = list(tasks.installed(m, wave, ids, foundation))
        built = stacks.started([*told.values(), *built], installed)
        disks = {move.facts["volume"]: step for resource, move in moves if is_root(resource, move) for step in copies.disk(m, wave, ids, resource)}  # fmt: skip
        hung = list(copies.handed_over(m, wave, ids, moves, [*built, *disks.values()], "before"))
        first = list(
            copies.first(
                m,
                wave,
                ids,
                moves,
                [*built, *installed],
                {key: step for step in hung for key in step.about},
            )
        )
        images = {key: step.id for step in first for key in step.about}
        told = {
            stack.name: step
            for stack in late
            for step in stacks.configured(m, wave, ids, stack, images)
        }
        ready = [*before, *built, *installed, *disks.values(), *hung, *first, *told.values()]
        # what others stand on starts as early as they do, so this keeps needs before what needs them
        ready.sort(key=lambda step: -step.lead_days)
        kept = tuple(step.id for step in before if step.id.startswith(f"w{wave.number:02}-keep-"))
        during = list(cutover.during(m, wave, ids, mine, moves, ready, foundation, answers, told))
        turns += [step.id for step in during if step.turn]
        yield from ready
        yield from during
        yield from cutover.after(m, wave, ids, during, moves, turns, kept)
