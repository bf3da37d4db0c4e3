"""A stack -> its wave, the step that sets what it needs, and the one that builds it; servers wait for the wave that moves their data."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Text, text
from toolkit.plan.moves import is_root, root_volume, secret_value
from toolkit.plan.step import Ids, Material, Phase, Step
from toolkit.program import Config as Setting
from toolkit.program import Lookup, Render

if TYPE_CHECKING:
    from toolkit.plan.assemble import Stack
    from toolkit.plan.waves import Wave


def waves(m: Material) -> dict[str, int]:
    """The wave in which a stack is built.

    Networks and what will hold data belong to the first wave that uses them. Servers and what stands
    in front of them wait for the wave that moves their data, and for the servers that they need.
    """
    wave_of = {key: wave.number for wave in m.waves for key in wave.keys}
    last = max((wave.number for wave in m.waves), default=1)
    early = {stack.name for stack in m.stacks if stack.tier in ("network", "data")}
    waves = {
        stack.name: (last if stack.tier == "dns" else min(
            (wave_of.get(each.node.origin, last) for each in stack.resources), default=last))
        for stack in m.stacks
    }  # fmt: skip
    for stack in m.stacks:
        if stack.name not in early:
            moved = [wave_of[key] for each in stack.resources if (key := each.node.origin) in wave_of and m.said[key].moves]  # fmt: skip
            waves[stack.name] = max([waves[stack.name], *moved, *(waves[need] for need in stack.needs if need not in early)])  # fmt: skip
    for stack in reversed(m.stacks):
        for need in stack.needs:
            if need in early:
                waves[need] = min(waves[need], waves[stack.name])
    return waves


def started(built: list[Step], installed: list[Step]) -> list[Step]:
    """What early work stands on has to be built as early."""
    days = {
        need: step.lead_days
        for step in sorted(installed, key=lambda step: step.lead_days)
        for need in step.needs
    }
    for step in reversed(built):
        for need in step.needs:
            days[need] = max(days.get(need, 0), days.get(step.id, 0))
    return [replace(step, lead_days=max(step.lead_days, days.get(step.id, 0))) for step in built]


def _settings(value: Any) -> Iterator[Setting]:
    """Every configuration value in a property, lookups included."""
    match value:
        case Setting():
            yield value
        case Lookup():
            for _, each in value.args:
                yield from _settings(each)
        case Render():
            yield from _settings(value.parts)
        case dict():
            yield from _settings(list(value.values()))
        case list() | tuple():
            for each in value:
                yield from _settings(each)


def listed(stack: str) -> str:
    """The command that lists a stack's settings: the check of the one step that sets them, and of no other."""
    return f"pulumi -C {shlex.quote(f'stacks/{stack}')} config --stack main"


def configured(
    m: Material, wave: Wave, ids: Ids, stack: Stack, copied: Mapping[str, str]
) -> Iterator[Step]:
    """What a stack cannot be built without: ids of what was moved, and values that only the operator has."""
    folder = f"pulumi -C {shlex.quote(f'stacks/{stack.name}')}"
    wanted: dict[str, tuple[Setting, str]] = {}
    for each in stack.resources:
        for setting in _settings(each.node.props):
            if setting.default is None:
                wanted.setdefault(setting.name, (setting, each.node.origin))
    if not wanted:
        return
    lines = [f"{folder} install", f"{folder} stack select main --create"]
    table: list[tuple[str, Text]] = []
    needs: list[str] = []
    for name, (setting, origin) in sorted(wanted.items()):
        found = _found(m, origin, name)
        table.append((name, setting.doc if isinstance(setting.doc, Text) else text(setting.doc)))
        if found and setting.secret:
            # printf is the shell's own: the value is in no list of processes
            lines += [f"VALUE=$({found})", ': "${VALUE:?}"', f'printf %s "$VALUE" | {folder} config set --secret {name} --stack main']  # fmt: skip
        elif found:
            lines += [
                f"ID=$({found})",
                ': "${ID:?}"',
                f'{folder} config set {name} "$ID" --stack main',
            ]
            needs += [copied[origin]] if origin in copied else []
        else:
            lines.append(
                f"{folder} config set {'--secret ' if setting.secret else ''}{name} --stack main"
            )
    by_hand = any(
        setting.secret or not _found(m, origin, name) for name, (setting, origin) in wanted.items()
    )
    moved = tuple(
        sorted({origin for name, (_, origin) in wanted.items() if _found(m, origin, name)})
    )
    yield Step(
        id=ids.new(wave.number, f"configure-{stack.name}"), wave=wave.number, phase="before", person=by_hand,
        role="security" if any(setting.secret for setting, _ in wanted.values()) else "operator", about=moved,
        title=text("Set what the stack {name} needs", name=stack.name),
        why="The stack has no default for these: a server must not be built from the wrong disk, and keys and passwords are yours. Where a command gives no value, it asks for it.",
        command=" &&\n".join(lines), expected="The check lists each of these with a value; secrets show as [secret].", check=listed(stack.name),
        undo=text("{command}", command=" &&\n".join(f"{folder} config rm {name} --stack main" for name in sorted(wanted))),
        minutes=2 * len(wanted), basis="two minutes per value, estimated", needs=tuple(dict.fromkeys(needs)), settings=tuple(table),
    )  # fmt: skip


def _found(m: Material, origin: str, name: str) -> str:
    """The command that prints the id of what was moved for a server, or "" for a value that only a person has."""
    resource = m.estate.by_key.get(origin)
    if resource is None:
        return ""
    for task in m.said[origin].tasks:
        if task.gives:
            return task.gives
    for move in m.said[origin].moves:
        if move.mover == "secrets":
            return secret_value(resource)
        target = m.target_name(resource)
        if move.mover == "image" and name.endswith("-image-id"):
            return f"openstack image show {shlex.quote(target)} -f value -c id"
        if is_root(resource, move) and name.endswith("-root-volume-id"):
            return f"openstack volume show {shlex.quote(root_volume(target))} -f value -c id"
    return ""


def build(
    stacks: Iterable[Stack],
    wave: Wave,
    ids: Ids,
    built: dict[str, str],
    tiers: tuple[str, ...],
    phase: Phase,
    after: tuple[str, ...] = (),
    told: Mapping[str, Step] = MappingProxyType({}),
) -> Iterator[Step]:
    """`told` has the step that sets a stack's configuration; before the window it is one of these."""
    for stack in stacks:
        if stack.tier not in tiers:
            continue
        folder = shlex.quote(f"stacks/{stack.name}")
        id_ = ids.new(wave.number, f"build-{stack.name}")
        holds = any(each.node.protect for each in stack.resources)
        wanted = (told[stack.name].id,) if stack.name in told else ()
        yield Step(
            id=id_, wave=wave.number, phase=phase,
            title=text("Build the stack {name} ({count} resources)", name=stack.name, count=len(stack.resources)),
            why=_WHY_STACK[stack.tier],
            command=f"pulumi -C {folder} install &&\npulumi -C {folder} stack select main --create &&\npulumi -C {folder} up --stack main",
            expected=text("{count} resources created, none changed, none deleted.", count=len(stack.resources)),
            check=f"pulumi -C {folder} preview --stack main --expect-no-changes",
            undo=text("pulumi -C stacks/{name} destroy --stack main (what holds data or an address is protected: unprotect it by name first, and only while it is empty).", name=stack.name)
            if holds else text("pulumi -C stacks/{name} destroy --stack main", name=stack.name),
            minutes=round(1 + len(stack.resources) * 3 / 60, 1),
            basis="3 seconds per resource and one minute per stack; the rehearsal measures it.",
            needs=tuple(dict.fromkeys((*after, *wanted, *(built[need] for need in stack.needs if need in built)))),
            run=stack.name,
        )  # fmt: skip
        built[stack.name] = id_


_WHY_STACK = {
    "network": "Networks, routers and groups come first: everything else stands on them.",
    "data": "What will hold data must exist before data is moved into it.",
    "servers": "Servers start only now, from data that has arrived.",
    "entry": "Load balancers and public addresses open the door last.",
    "dns": "Zones and records point at what now answers.",
}
