"""Nodes -> named resources in an acyclic graph of stacks, at most 300 each; old names stay put."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from toolkit.errors import InternalError
from toolkit.outcomes import Loss, Text
from toolkit.plan.names import Entry, Names, holds_raw_id, slug
from toolkit.program import TIERS, Config, Lookup, Node, Out, Render, token_of

MOST_PER_STACK = 300
"""A file backend slows down steeply past this (measured: 500 no-op resources 30 s, 1,000 96 s)."""
FILL_TO = 280
"""New resources go elsewhere from here on, so that what is there can grow a little."""
MOST_TOGETHER = 20
"""The nodes of one origin stay in one stack up to this many; then each is placed by itself."""


@dataclass(slots=True)
class Placed:
    """A node with its logical name and stack."""

    node: Node
    name: str
    stack: str


@dataclass(slots=True)
class Stack:
    """One Pulumi program to be. `needs` are the stacks whose outputs it reads."""

    name: str
    tier: str
    group: str
    package: str
    place: str
    resources: list[Placed] = field(default_factory=list)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """What assembly must know of an origin: a label for its name, its application, its place."""

    label: Mapping[str, str]
    application: Mapping[str, str]
    place: Mapping[str, str]
    vpc: Mapping[str, str]


def references(value: Any) -> Iterator[Out]:
    """Every Out inside a value."""
    if isinstance(value, Out):
        yield value
    elif isinstance(value, dict):
        for held in value.values():
            yield from references(held)
    elif isinstance(value, (list, tuple)):
        for held in value:
            yield from references(held)
    elif isinstance(value, Lookup):
        for _, held in value.args:
            yield from references(held)
    elif isinstance(value, Render):
        for held in value.parts:
            yield from references(held)


def _refs(node: Node) -> list[Out]:
    return [*references(node.props), *node.depends_on]


def without_dangling(nodes: Iterable[Node]) -> tuple[list[Node], dict[str, list[Loss]]]:
    """Nodes all of whose references exist; what had to go is a blocker of its origin.

    A node that points at nothing would fail at apply, half way through.
    """
    kept = list(nodes)
    losses: dict[str, list[Loss]] = {}
    while True:
        known = {(node.origin, node.role) for node in kept}
        good: list[Node] = []
        for node in kept:
            missing = next(
                (out for out in _refs(node) if (out.origin, out.role) not in known), None
            )
            if missing is None:
                good.append(node)
            else:
                losses.setdefault(node.origin, []).append(
                    Loss(
                        "*",
                        Text(
                            "{type} cannot be planned: it needs {other}, which was not read or not planned.",
                            {"type": node.type, "other": missing.origin},
                        ),
                        "blocker",
                    )
                )
        if len(good) == len(kept):
            return kept, losses
        kept = good


def assemble(nodes: list[Node], names: Names, labels: Labels) -> list[Stack]:
    """Stacks in an order in which they can be applied. Adds to `names` what is new.

    Raises InternalError where the stacks would form a cycle.
    """
    by_origin: dict[str, list[Node]] = {}
    for node in nodes:
        by_origin.setdefault(node.origin, []).append(node)
    _assign_names(by_origin, names, labels)
    stacks = _assign_stacks(nodes, names, labels)
    return _ordered(stacks)


def _node_name(entry: Entry, node: Node) -> str:
    role = entry.labels.get(node.role, node.role)
    return f"{entry.name}-{role}" if role else entry.name


def _assign_names(by_origin: Mapping[str, list[Node]], names: Names, labels: Labels) -> None:
    taken = {entry.name for entry in names.entries.values()}
    for origin, group in by_origin.items():
        if origin in names.entries:
            held = names.entries[origin]
            taken.update(f"{held.name}-{label}" for label in held.labels.values())
            taken.update(_node_name(held, node) for node in group if not _unlabelled(held, node))
    free: dict[tuple[str, str], int] = {}
    """The first number not known to be taken, per wanted name and noun: `rule-10` comes a thousand times."""
    for origin in sorted(by_origin):
        group = by_origin[origin]
        if origin in names.entries:
            _assign_labels(names.entries[origin], group, taken)
            continue
        wanted = slug(labels.label.get(origin, ""))
        if not wanted or holds_raw_id(wanted):
            wanted = origin.split("|", 1)[0].split(".")[-1].replace("_", "-")
            near = slug(
                labels.label.get(labels.vpc.get(origin, ""), "")
                or labels.application.get(origin, "")
            )
            wanted = f"{near}-{wanted}" if near and not holds_raw_id(near) else wanted
        number = free.get((wanted, _noun(origin)), 1)
        while _candidate(wanted, origin, number) in taken:
            number += 1
        free[wanted, _noun(origin)] = number
        while True:
            entry = Entry(_candidate(wanted, origin, number))
            _assign_labels(entry, group, set())
            mine = {entry.name, *(_node_name(entry, node) for node in group)}
            if not mine & taken:
                break
            number += 1
        names.entries[origin] = entry
        taken |= mine


def _unlabelled(entry: Entry, node: Node) -> bool:
    return bool(node.label) and node.role not in entry.labels


def _assign_labels(entry: Entry, group: Iterable[Node], taken: set[str]) -> None:
    """Words for the roles that are made of identities; two roles with the same words are numbered."""
    mine = {f"{entry.name}-{label}" for label in entry.labels.values()}
    for node in group:
        if not _unlabelled(entry, node):
            continue
        plain = slug(node.label, 80)
        wanted = plain if plain and not holds_raw_id(plain) else "part"
        label, number = wanted, 1
        while (whole := f"{entry.name}-{label}") in taken or whole in mine:
            number += 1
            label = f"{wanted}-{number}"
        entry.labels[node.role] = label
        mine.add(whole)
    taken |= mine


def _candidate(wanted: str, origin: str, number: int) -> str:
    """The wanted name, then with its AWS noun, then with a number."""
    noun = _noun(origin)
    if number == 1:
        return wanted
    return f"{wanted}-{noun}" if number == 2 else f"{wanted}-{noun}-{number - 1}"


def _noun(origin: str) -> str:
    return origin.split("|", 1)[0].rsplit(".", maxsplit=1)[-1].replace("_", "-")


def _package(node: Node) -> str:
    return node.type.split(".", 1)[0]


def _assign_stacks(nodes: list[Node], names: Names, labels: Labels) -> dict[str, Stack]:
    stacks: dict[str, Stack] = {}
    where: dict[tuple[str, str], str] = {}
    main = max(
        ("openstack", "cloudtemple"), key=lambda p: sum(_package(node) == p for node in nodes)
    )
    home: dict[str, tuple[str, str, str, str, str]] = {}
    many_places = len({labels.place.get(node.origin, "") for node in nodes}) > 1

    def base_of(node: Node) -> str:
        package = _package(node)
        place = labels.place.get(node.origin, "")
        if node.tier == "dns":
            group = "dns"
        elif node.tier == "network":
            vpc = names.entries.get(node.vpc)
            group = vpc.name if vpc else "shared"
        else:
            group = slug(labels.application.get(node.origin, "")) or "shared"
        kind = node.tier if package == main else "managed" if node.tier != "dns" else "api"
        name = "dns" if (group, kind) == ("dns", "dns") else f"{group}-{kind}"
        if many_places and place and node.tier != "dns":
            name = f"{name}-{slug(place)}"
        home[name] = (node.tier, group, package, place, name)
        return name

    def tier_key(node: Node) -> str:
        return node.tier if _package(node) == main else f"{node.tier}/{_package(node)}"

    crowd: dict[tuple[str, str], int] = {}
    size: dict[str, int] = {}
    known: dict[str, list[str]] = {}

    def note(stack: str) -> None:
        root = known.setdefault(_root(stack), [])
        if stack not in root:
            root.append(stack)
            root.sort(key=_number)

    for node in nodes:
        entry, key = names.entries[node.origin], tier_key(node)
        crowd[node.origin, key] = crowd.get((node.origin, key), 0) + 1
        held = entry.parts.get(f"{key}:{node.role}")
        if held is None and not _crowded(entry, key):
            held = entry.stacks.get(key)
        if held:
            size[held] = size.get(held, 0) + 1
            note(held)

    for node in nodes:
        entry, key = names.entries[node.origin], tier_key(node)
        part, base = f"{key}:{node.role}", base_of(node)
        stack = entry.parts.get(part)
        apart = crowd[node.origin, key] > MOST_TOGETHER or _crowded(entry, key)
        if stack is None and not apart:
            stack = entry.stacks.get(key)
        root = _root(stack or base)
        floor = max(
            (
                _number(seat)
                for out in _refs(node)
                if (seat := where.get((out.origin, out.role))) is not None and _root(seat) == root
            ),
            default=1,
        )
        if stack is None or _number(stack) < floor:
            need = 1 if apart or key in entry.stacks else crowd[node.origin, key]
            seats = known.get(root, [])
            stack = next(
                (s for s in seats if _number(s) >= floor and size.get(s, 0) + need <= FILL_TO), None
            )
            if stack is None:
                number = max([floor, *(_number(s) + 1 for s in seats)])
                stack = root if number == 1 else f"{root}--{number}"
                note(stack)
            size[stack] = size.get(stack, 0) + need
            if apart or key in entry.stacks:
                entry.parts[part] = stack
            entry.stacks.setdefault(key, stack)
        where[node.origin, node.role] = stack
        if stack not in stacks:
            tier, group, package, place, _ = home[base]
            stacks[stack] = Stack(stack, tier, group, package, place)
        stacks[stack].resources.append(Placed(node, _node_name(entry, node), stack))

    for stack_ in stacks.values():
        needs = {
            where[out.origin, out.role] for placed in stack_.resources for out in _refs(placed.node)
        }
        stack_.needs = tuple(sorted(needs - {stack_.name}))
    return stacks


def _crowded(entry: Entry, key: str) -> bool:
    return any(part.startswith(f"{key}:") for part in entry.parts)


def _root(stack: str) -> str:
    return stack.split("--", 1)[0]


def _number(stack: str) -> int:
    return int(stack.split("--", 1)[1]) if "--" in stack else 1


def _ordered(stacks: Mapping[str, Stack]) -> list[Stack]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(stacks)
    graph.add_edges_from((need, stack.name) for stack in stacks.values() for need in stack.needs)
    rank: dict[str, int] = {tier: number for number, tier in enumerate(TIERS)}
    try:
        order = list(
            nx.lexicographical_topological_sort(
                graph, key=lambda name: f"{rank[stacks[name].tier]}{_root(name)}{_number(name):06}"
            )
        )
    except nx.NetworkXUnfeasible:
        cycle = " -> ".join(edge[0] for edge in nx.find_cycle(graph))
        raise InternalError(
            f"the stacks form a cycle: {cycle}", "Please report this with the names of the stacks."
        ) from None
    return [stacks[name] for name in order]


def index(stacks: Iterable[Stack]) -> dict[tuple[str, str], Placed]:
    """(origin, role) -> where that node went."""
    return {(p.node.origin, p.node.role): p for stack in stacks for p in stack.resources}


def encode(value: Any, placed: Mapping[tuple[str, str], Placed]) -> Any:
    """A value as JSON for plan.json: `{"$ref": logical name, "attr": ...}` and its kin."""
    match value:
        case Out():
            return {"$ref": placed[value.origin, value.role].name, "attr": value.attr}
        case Config():
            out: dict[str, Any] = {"$config": value.name, "doc": str(value.doc)}
            if value.default is not None:
                out["default"] = value.default
            if value.secret:
                out["secret"] = True
            return out
        case Lookup():
            return {
                "$lookup": value.function,
                "args": {k: encode(v, placed) for k, v in value.args},
                "attr": value.attr,
            }
        case Render():
            return {"$concat": [encode(part, placed) for part in value.parts]}
        case dict():
            return {k: encode(v, placed) for k, v in value.items()}
        case list() | tuple():
            return [encode(v, placed) for v in value]
        case _:
            return value


def resource_json(placed: Placed, where: Mapping[tuple[str, str], Placed]) -> dict[str, Any]:
    """One resource of `plan.json`'s `stacks`."""
    node = placed.node
    out: dict[str, Any] = {
        "type": node.type,
        "token": token_of(node.type),
        "name": placed.name,
        "origin": node.origin,
        "topic": node.topic,
        "props": encode(node.props, where),
    }
    if node.protect:
        out["protect"] = True
    if node.depends_on:
        out["depends_on"] = [where[out_.origin, out_.role].name for out_ in node.depends_on]
    if node.ignore_changes:
        out["ignore_changes"] = list(node.ignore_changes)
    if node.delete_before_replace:
        out["delete_before_replace"] = True
    if node.comment:
        out["comment"] = node.comment
    return out
