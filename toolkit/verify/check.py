"""A workspace and its target -> the verification: a document that table, JSON and verify.md are rendered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.outcomes import Text
from toolkit.verify.compare import (
    GROUP,
    RULE,
    Comparison,
    Finding,
    Place,
    Planned,
    Seen,
    planned_resources,
)
from toolkit.verify.kinds import KINDS
from toolkit.verify.reading import LISTINGS, Snapshot
from toolkit.verify.unplanned import PARTS, Strangers, strangers
from toolkit.verify.values import Unknown, Values, settings

STATES = ("as planned", "different", "not there yet", "not run")

MADE_OF = {
    "router_interfaces": ("ports",), "routes": ("routers",), "attachments": ("volumes",), "bindings": ("floating_ips",), "rules": ("security_groups",),
}  # fmt: skip
"""A derived listing -> the ones that it is made of."""
NOT_READ = {
    "ovh": "It is made by OVHcloud's own API; this version reads the target by OpenStack's.",
    "cloudtemple": "It is made by Cloud Temple's own API; this version reads the target by OpenStack's.",
}
"""Package of a stack -> why nobody looks."""


def wanted(planned: Iterable[Planned]) -> list[str]:
    """The listings that these resources, what they refer to and what may hang on them are found in."""
    names: dict[str, None] = {}
    for type_ in dict.fromkeys(each.type for each in planned if each.type in KINDS):
        kind = KINDS[type_]
        parts = [part for part, _, _ in PARTS.get(type_, ())]
        for name in (kind.listing, *kind.needs, *parts):
            names.update(dict.fromkeys(MADE_OF.get(name, (name,))))
    if "networks" in names:
        names |= dict.fromkeys(("ports", "servers"))
    return [name for name in LISTINGS if name in names]


def planned_names(
    planned: Sequence[Planned], config: Mapping[str, Mapping[str, Any]]
) -> dict[str, frozenset[str]]:
    """Listing -> the planned names in it, for listings that go by parent."""
    found: dict[str, set[str]] = {name: set() for name in LISTINGS}
    for each in planned:
        if each.type in KINDS and "name" in each.props:
            try:
                name = Values(config.get(each.stack, {}), {}, lambda _: None).of(each.props["name"])
            except Unknown:
                continue
            found.setdefault(KINDS[each.type].listing, set()).add(str(name))
    return {listing: frozenset(names) for listing, names in found.items()}


def read_places(
    plan: Mapping[str, Any],
    config: Mapping[str, Mapping[str, Any]],
    places: Iterable[Place],
) -> dict[Place, Snapshot]:
    """Every given place of the plan, read. Raises TargetError."""
    from toolkit.config import Place as Where
    from toolkit.engines.openstack import connect
    from toolkit.engines.openstack import places as all_places
    from toolkit.verify.reading import read

    planned = list(planned_resources(plan))
    alone = len(all_places(plan["stacks"])) == 1
    found = {}
    for place in places:
        mine = [each for each in planned if each.place == place]
        found[place] = read(
            connect(Where(*place), alone=alone), wanted(mine), planned_names(mine, config)
        )
    return found


def verify(
    folder: Path, plan: Mapping[str, Any], stack: str = ""
) -> tuple[dict[str, Any], Comparison]:
    """The plan of a workspace against its target: the document (without `reach`), and what it was found with.

    `stack` looks at one stack only. Raises ToolkitError for an unknown stack, TargetError where the
    target can't be read.
    """
    stacks = [each["name"] for each in plan["stacks"]]
    if stack and stack not in stacks:
        raise ToolkitError(
            f"the plan has no stack {stack}", f"It has: {', '.join(stacks) or 'none'}."
        )
    config = {name: settings(folder, name) for name in stacks}
    readable = [each for each in plan["stacks"] if each["package"] not in NOT_READ]
    places = dict.fromkeys(
        (str(each["place"]["project"]), str(each["place"]["region"]))
        for each in readable if not stack or each["name"] == stack
    )  # fmt: skip
    snapshots = read_places(plan, config, places)
    comparison = Comparison(plan, snapshots, config)
    return document(plan, comparison, stack), comparison


def document(plan: Mapping[str, Any], comparison: Comparison, stack: str = "") -> dict[str, Any]:
    """What the comparison says, as JSON; see `toolkit/schemas/verification.json`."""
    seen, found = _looked_at(comparison, stack)
    managed = [each for each in comparison.planned.values() if each.type.split(".", 1)[0] in NOT_READ]  # fmt: skip
    strange = strangers(comparison, managed)
    found += [each for each in strange.findings if not stack or each.stack == stack]
    stacks = [
        _stack(each, seen, found) for each in plan["stacks"] if not stack or each["name"] == stack
    ]
    gone = {each["name"] for each in stacks if each["state"] == "not there yet"}
    # what is left behind of a stack that is not there is told all the same
    shown = sorted((each for each in found if each.stack not in gone or each.kind == "not planned"), key=_order)  # fmt: skip
    return {
        "kind": "verification",
        "target": dict(plan["header"]["target"]),
        "plan": plan["header"]["body"],
        "stacks": stacks,
        "findings": [each.json() for each in shown],
        "explained": _explained(strange),
        "not_compared": _not_compared(comparison, seen, gone),
        "reach": None,
        "totals": _totals(stacks, shown),
    }


def must_look(said: Mapping[str, Any]) -> bool:
    """A difference, a stack that is not there yet, or nothing that could be read at all."""
    if all(each["state"] == "not run" for each in said["stacks"]):
        return True
    return bool(said["findings"]) or any(each["state"] == "not there yet" for each in said["stacks"])  # fmt: skip


def _looked_at(comparison: Comparison, stack: str) -> tuple[dict[str, Seen], list[Finding]]:
    seen: dict[str, Seen] = {}
    found: list[Finding] = []
    for planned in comparison.planned.values():
        if planned.type == RULE or not comparison.readable(planned):
            continue
        mine = not stack or planned.stack == stack
        if mine:
            seen[planned.name], findings = comparison.look(planned)
            found += findings
        if planned.type == GROUP:
            rules, findings = comparison.group(planned)
            seen |= {name: each for name, each in rules.items() if not stack or comparison.planned[name].stack == stack}  # fmt: skip
            found += [each for each in findings if not stack or each.stack == stack]
    return seen, found


def _stack(
    stack: Mapping[str, Any], seen: Mapping[str, Seen], found: Iterable[Finding]
) -> dict[str, Any]:
    names = [each["name"] for each in stack["resources"]]
    there = sum(1 for name in names if name in seen and seen[name].found is not None)
    mine = [each for each in found if each.stack == stack["name"]]
    if stack["package"] in NOT_READ:
        state, there, mine = "not run", 0, []
    elif not there:
        state, mine = "not there yet", [each for each in mine if each.kind == "not planned"]
    else:
        state = "different" if mine else "as planned"
    return {
        "name": stack["name"], "tier": stack["tier"], "place": dict(stack["place"]), "state": state, "resources": len(names), "there": there,
        "compared": sum(seen[name].compared for name in names if name in seen), "findings": len(mine), "reason": NOT_READ.get(stack["package"], ""),
    }  # fmt: skip


def _order(each: Finding) -> tuple[Any, ...]:
    return each.stack, bool(each.because), each.name, each.kind, each.property, each.id, str(each.planned)  # fmt: skip


def _explained(strange: Strangers) -> list[dict[str, Any]]:
    return [{"what": what, "count": count} for what, count in sorted(strange.explained.items())]


def _not_compared(
    comparison: Comparison, seen: Mapping[str, Seen], gone: Iterable[str]
) -> list[dict[str, Any]]:
    """Property and reason -> how often, and a first example; what a missing resource leaves open is not told twice."""
    held: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, property_, why in _open(comparison, seen, set(gone)):
        key = (comparison.planned[name].type, property_, str(why))
        first = {
            "type": key[0],
            "property": property_,
            "reason": why.json(),
            "count": 0,
            "example": name,
        }
        held.setdefault(key, first)["count"] += 1
    return [each for _, each in sorted(held.items())]


def _open(
    comparison: Comparison, seen: Mapping[str, Seen], gone: set[str]
) -> Iterator[tuple[str, str, Text]]:
    for name, each in seen.items():
        if comparison.planned[name].stack not in gone:
            for property_, why in each.unread:
                yield name, property_, why


def _totals(stacks: Sequence[Mapping[str, Any]], found: Sequence[Finding]) -> dict[str, Any]:
    return {
        "stacks": {state: sum(each["state"] == state for each in stacks) for state in STATES},
        "resources": sum(each["resources"] for each in stacks),
        "there": sum(each["there"] for each in stacks),
        "compared": sum(each["compared"] for each in stacks),
        "findings": dict(sorted(Counter(each.kind for each in found).items())),
    }
