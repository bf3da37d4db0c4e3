"""Moves of a wave -> its copies: the first pass while everybody works, the last one while the source is frozen."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.compute import Server
from toolkit.outcomes import HANDS, MB_PER_SECOND, Move, Text, text
from toolkit.plan.moves import LARGE_GB, Engine, commands, device, is_root, root_volume
from toolkit.plan.names import slug
from toolkit.plan.step import Ids, Material, Phase, Step

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.plan.waves import Wave


DELTA = 0.1
"""The part of the first pass that the last one copies, where its engine only copies what changed."""


NO_SIZE = "its size is in no record that was read; `repatria discover --measures` reads that of buckets and databases"
"""Why a copy has no estimate."""


def of_wave(m: Material, wave: Wave) -> list[tuple[Resource, Move]]:
    """Each move of a wave with what it moves."""
    return [(m.estate.by_key[key], move) for key in wave.keys for move in m.said[key].moves]


def size_gb(m: Material, resource: Resource, move: Move) -> float | None:
    """GB that were measured, or that the move knows; None where neither is."""
    measured = m.measures.get(resource.key, {})
    for metric in ("BucketSizeBytes", "DatabaseBytes", "StoredBytes"):
        if metric in measured:
            return round(measured[metric] / 1e9, 3)
    return move.gb


def handed_over(
    m: Material,
    wave: Wave,
    ids: Ids,
    moves: list[tuple[Resource, Move]],
    after: list[Step],
    phase: Phase,
) -> Iterator[Step]:
    """A volume is attached to one server at a time: the server that copies gets it before, and gives it back in the window."""
    for resource, move in moves:
        if move.mover != "volume":
            continue
        target = m.target_name(resource)
        name = shlex.quote(root_volume(target) if is_root(resource, move) else target)
        hang = f'openstack server add volume "${{COPY_SERVER:?}}" {name}'
        take = f'openstack server remove volume "${{COPY_SERVER:?}}" {name}'
        what = (
            text("the root disk of {name}", name=resource.name)
            if is_root(resource, move)
            else text("the volume {name}", name=resource.name)
        )
        if phase == "before":
            # with the root disk's own volume: it is no stack's, so its step is about the server
            needs = tuple(step.id for step in after if not step.about or resource.key in step.about)
            yield Step(
                id=ids.new(wave.number, f"attach-{m.logical_name(resource.key)}"), wave=wave.number, phase=phase, title=text("Attach {what} to the server that copies", what=what),
                why="Blocks are written on a server at the target, as if to a disk of its own.", command=hang, check=f"openstack volume show {name} -f json -c attachments",
                expected=text("The check names the device: set ${variable} to it.", variable=device(m.disks[resource.key])), undo=text("{command} (only before the copy, or after it has ended).", command=take),
                minutes=2, basis=HANDS, needs=needs, about=(resource.key,),
            )  # fmt: skip
        else:
            yield Step(
                id=ids.new(wave.number, f"detach-{m.logical_name(resource.key)}"), wave=wave.number, phase=phase,
                title=text("Detach {what} from the server that copied", what=what), why="A volume is attached to one server at a time; the one that is built next could not have it.",
                command=take, check=f"openstack volume show {name} -f value -c status", expected="It is available.", undo=text("{command} (then copy again).", command=hang), minutes=1, basis=HANDS,
                needs=tuple(step.id for step in after if resource.key in step.about), about=(resource.key,),
            )  # fmt: skip


def first(
    m: Material, wave: Wave, ids: Ids, moves: list[tuple[Resource, Move]], built: list[Step], hung: Mapping[str, Step],
) -> Iterator[Step]:  # fmt: skip
    """The first pass, while everybody works."""
    needs = tuple(step.id for step in built)
    for resource, move in moves:
        engine = commands(
            move, resource, m.target_name(resource), disk=m.disks.get(resource.key, "")
        )
        if engine.window == "only" or (move.mover == "secrets" and (resource.key, "") in m.placed):
            continue  # a secret that a stack makes is carried into that stack's configuration
        gb = size_gb(m, resource, move)
        size = text("size unknown") if gb is None else text("{gb} GB", gb=round(gb, 1))
        yield Step(
            id=ids.new(wave.number, f"copy-{m.logical_name(resource.key)}-{move.mover}"), wave=wave.number, phase="before",
            title=text("Copy {what} ({size})", what=move.what, size=size),
            why=engine.why, command=engine.copy, expected=engine.expected, check=engine.check, undo=engine.undo,
            minutes=minutes_for(gb), person=engine.person, role=engine.role, basis=basis_for(gb), about=(resource.key,),
            needs=(*needs, *((hung[resource.key].id,) if move.mover == "volume" and resource.key in hung else ())),
            files=engine.files, **_instead(engine, gb, during=False),
        )  # fmt: skip


def disk(m: Material, wave: Wave, ids: Ids, resource: Resource) -> Iterator[Step]:
    """The volume that a root disk is copied to."""
    name = shlex.quote(root_volume(m.target_name(resource)))
    size = next(
        (intent.root_gib for intent in m.said[resource.key].intents if isinstance(intent, Server)),
        8,
    )
    yield Step(
        id=ids.new(wave.number, f"disk-{m.logical_name(resource.key)}"), wave=wave.number, phase="before", title=text("Create the volume for the root disk of {name}", name=resource.name),
        why="No stack makes it: the server is built from it, so it must be there, filled, before the server is.",
        command=f"openstack volume create --size {size} --bootable {name}", expected=text("A volume of {size} GiB, available.", size=size),
        check=f"openstack volume show {name} -f value -c status -c size", undo=text("openstack volume delete {name}", name=name), minutes=2, basis=HANDS, about=(resource.key,),
    )  # fmt: skip


def last(
    m: Material, wave: Wave, ids: Ids, moves: list[tuple[Resource, Move]], freeze: str
) -> Iterator[Step]:
    """The pass while the source is frozen: only what its engine does there, and as long as it then takes."""
    for resource, move in moves:
        engine = commands(
            move, resource, m.target_name(resource), disk=m.disks.get(resource.key, ""), last=True
        )
        if engine.window == "none" or is_log(m, resource):
            continue
        delta, gb = engine.window == "delta", size_gb(m, resource, move)
        minutes = engine.minutes if engine.minutes is not None else minutes_for(gb, delta=delta)
        yield Step(
            id=ids.new(wave.number, f"last-copy-{m.logical_name(resource.key)}-{move.mover}"), wave=wave.number, phase="during",
            title=engine.title or text("Copy {what}: the last pass, {name} is frozen", what=move.what, name=resource.name),
            why=engine.why, command=engine.copy, expected=engine.expected, check=engine.check, undo=engine.undo_last,
            minutes=minutes, person=engine.person, role=engine.role, basis=basis_for(gb, delta=delta, again=True) if engine.minutes is None else HANDS,
            needs=(freeze,), about=(resource.key,), files=engine.files, **_instead(engine, gb, during=True),
        )  # fmt: skip


def minutes_for(gb: float | None, *, delta: bool = False) -> float | None:
    """How long such a copy takes; None where its size is not known."""
    if gb is None:
        return None
    return round(max(1.0, gb * 1000 / MB_PER_SECOND / 60 * (DELTA if delta else 1)), 1)


def basis_for(gb: float | None, *, delta: bool = False, again: bool = False) -> Text | str:
    """What these minutes rest on."""
    if gb is None:
        return NO_SIZE
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


def is_log(m: Material, resource: Resource) -> bool:
    """A bucket that others log into, or that is called so: nothing at the target waits for its last objects."""
    return bool({"log", "logs", "cloudtrail"} & set(slug(resource.name).split("-"))) or any(
        "logging" in edge.field.casefold() or "access_logs" in edge.field.casefold()
        for edge in m.graph.incoming.get(resource.key, ())
    )
