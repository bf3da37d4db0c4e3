"""A plan and snapshots of its places -> findings: missing, different, twice; pure, reads only its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from toolkit.outcomes import Text, text
from toolkit.plan.mark import HOW
from toolkit.verify.admission import Admitted, admitted, asked, beyond
from toolkit.verify.kinds import KINDS, Kind, OneOf, by_admission
from toolkit.verify.links import linked
from toolkit.verify.reading import Object, Snapshot
from toolkit.verify.values import Unknown, Values

FindingKind = Literal["missing", "different", "twice", "admits more", "admits less", "not planned", "does not answer", "answers"]  # fmt: skip
Place = tuple[str, str]
"""Project and region of a stack."""

RULE, GROUP = "openstack.networking.SecGroupRule", "openstack.networking.SecGroup"
DEFAULT_RULES = tuple(
    {"direction": "egress", "ethertype": family, "protocol": None} for family in ("IPv4", "IPv6")
)
"""What Neutron puts into a new group by itself, where `delete_default_rules` does not take it out."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One resource of plan.json and where it belongs."""

    stack: str
    place: Place
    name: str
    type: str
    origin: str
    props: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `planned` and `found` are JSON; `because` names the planned resource it follows from."""

    kind: FindingKind
    stack: str
    name: str
    type: str
    origin: str
    id: str = ""
    property: str = ""
    planned: Any = None
    found: Any = None
    because: str = ""

    def json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Seen:
    """What one resource turned out to be: the object, and its properties that could not be compared."""

    found: Object | None
    compared: int = 0
    unread: list[tuple[str, Text]] = field(default_factory=list)


def planned_resources(plan: Mapping[str, Any]) -> Iterator[Planned]:
    """Every resource of the plan, by stack."""
    for stack in plan["stacks"]:
        place = (str(stack["place"]["project"]), str(stack["place"]["region"]))
        for each in stack["resources"]:
            yield Planned(
                stack["name"], place, each["name"], each["type"], each["origin"], each["props"], tuple(each.get("ignore_changes", ())),
            )  # fmt: skip


class Comparison:
    """Finds each planned resource in the snapshot of its place and compares it. Nothing is compared twice."""

    def __init__(
        self,
        plan: Mapping[str, Any],
        snapshots: Mapping[Place, Snapshot],
        config: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.there = {place: linked(each) for place, each in snapshots.items()}
        self.config = config
        self.planned = {each.name: each for each in planned_resources(plan)}
        self._found: dict[str, list[Object]] = {}
        self._indexes: dict[tuple[Place, str, tuple[str, ...]], dict[tuple[str, ...], list[Object]]] = {}  # fmt: skip
        self._marks: dict[tuple[Place, str], dict[tuple[str, str], list[Object]]] = {}
        self._values: dict[str, Values] = {}

    # ------------------------------------------------------------------------------- finding

    def readable(self, planned: Planned) -> bool:
        """Whether its type is one of the table and its place was read."""
        return planned.type in KINDS and planned.place in self.there

    def find(self, name: str) -> Object | None:
        """The object of a logical name, or None. Raises Unknown where nobody looks for it here."""
        planned = self.planned.get(name)
        if planned is None or not self.readable(planned):
            raise Unknown(text("It refers to {name}, which is not read here.", name=name))
        found = self.all_found(planned)
        return found[0] if found else None

    def all_found(self, planned: Planned) -> list[Object]:
        """Every object that could be this resource: by mark, else by name and parent."""
        held = self._found.get(planned.name)
        if held is None:
            # a reference that leads back here finds nothing, rather than no end
            self._found[planned.name] = []
            held = self._found[planned.name] = self._look(planned)
        return held

    def _look(self, planned: Planned) -> list[Object]:
        kind, how = KINDS[planned.type], HOW.get(planned.type)
        marks = self._marked(planned.place, planned.type) if how else {}
        hits = marks.get(_cut(how, planned.stack, planned.name), [])
        if len(hits) > 1:
            # marks have at most 60 characters: two long names may share one
            near = self._by_key(planned, kind)
            hits = [each for each in hits if each in near] or hits
        if hits or not kind.key:
            return hits
        return [each for each in self._by_key(planned, kind) if _mark(how, each) is None]

    def _by_key(self, planned: Planned, kind: Kind) -> list[Object]:
        wanted = {**{k: v for k, v in kind.implied.items() if k in kind.key}, **planned.props}
        names = tuple(name for name in kind.key if name in wanted)
        values = self.values(planned.stack)
        try:
            resolved = {name: values.of(wanted[name]) for name in names}
        except Unknown:
            return []
        exact = tuple(name for name in names if not isinstance(resolved[name], OneOf))
        index = self._index(planned.place, kind.listing, exact)
        return index.get(tuple(_plain(resolved[name]) for name in exact), [])

    def children(self, place: Place, listing: str, by: str, parent: str) -> list[Object]:
        """The objects of a listing whose property `by` says `parent`."""
        return self._index(place, listing, (by,)).get((parent,), [])

    def _index(
        self, place: Place, listing: str, names: tuple[str, ...]
    ) -> dict[tuple[str, ...], list[Object]]:
        key = (place, listing, names)
        if key not in self._indexes:
            made: dict[tuple[str, ...], list[Object]] = {}
            for each in self.there[place].get(listing, []):
                made.setdefault(tuple(_plain(each.get(name)) for name in names), []).append(each)
            self._indexes[key] = made
        return self._indexes[key]

    def _marked(self, place: Place, type_: str) -> dict[tuple[str, str], list[Object]]:
        key = (place, type_)
        if key not in self._marks:
            made: dict[tuple[str, str], list[Object]] = {}
            for each in self.there[place].get(KINDS[type_].listing, []):
                mark = _mark(HOW.get(type_), each)
                if mark is not None:
                    made.setdefault(mark, []).append(each)
            self._marks[key] = made
        return self._marks[key]

    def values(self, stack: str) -> Values:
        """The resolver of one stack."""
        if stack not in self._values:
            place = next(each.place for each in self.planned.values() if each.stack == stack)
            self._values[stack] = Values(
                self.config.get(stack, {}), self.there.get(place, {}), self.find
            )
        return self._values[stack]

    # ----------------------------------------------------------------------------- comparing

    def look(self, planned: Planned) -> tuple[Seen, list[Finding]]:
        """One resource (rules are looked at by group, see `group`): what was seen, what differs."""
        found = self.all_found(planned)
        if not found:
            return Seen(None), [finding(planned, "missing", because=self._because(planned))]
        seen, findings = Seen(found[0]), []
        if len(found) > 1:
            findings.append(finding(planned, "twice", id=found[0]["id"], found=sorted(each["id"] for each in found)))  # fmt: skip
        for name, wanted in self._wanted(planned):
            why = KINDS[planned.type].unread.get(name)
            if why is not None:
                seen.unread.append((name, text(why)))
                continue
            agree = KINDS[planned.type].compared[name]
            if agree is by_admission:
                continue
            try:
                value = self.values(planned.stack).of(wanted)
            except Unknown as unknown:
                seen.unread.append((name, unknown.why))
                continue
            have = found[0].get(name)
            if name in KINDS[planned.type].ranked:
                value, have = self._ranks(planned, name)
            if agree(value, have):
                seen.compared += 1
            elif name in planned.ignored and not self._listed_image(planned, have):
                seen.unread.append((name, text("It may change at the target, and its image is not listed any more.")))  # fmt: skip
            else:
                seen.compared += 1
                shown = list(value.ids) if isinstance(value, OneOf) else value
                findings.append(finding(planned, "different", id=found[0]["id"], property=name, planned=shown, found=have))  # fmt: skip
        return seen, findings

    def _wanted(self, planned: Planned) -> Iterator[tuple[str, Any]]:
        kind = KINDS[planned.type]
        yield from planned.props.items()
        yield from ((k, v) for k, v in kind.implied.items() if k not in planned.props)

    def _ranks(self, planned: Planned, name: str) -> tuple[int, int]:
        """The place of a resource among its planned siblings, in the plan and at the target."""
        parent = KINDS[planned.type].ranked[name]
        siblings = [
            each for each in self._siblings[planned.type, str(planned.props[parent])]
            if name in each.props and self.all_found(each)
        ]  # fmt: skip
        wanted = sorted(siblings, key=lambda each: (int(each.props[name]), each.name))
        real = sorted(siblings, key=lambda each: (int(self.all_found(each)[0][name]), each.name))
        return wanted.index(planned) + 1, real.index(planned) + 1

    @cached_property
    def _siblings(self) -> Mapping[tuple[str, str], list[Planned]]:
        found: dict[tuple[str, str], list[Planned]] = {}
        for each in self.planned.values():
            for parent in KINDS[each.type].ranked.values() if each.type in KINDS else ():
                found.setdefault((each.type, str(each.props[parent])), []).append(each)
        return found

    def _listed_image(self, planned: Planned, id_: Any) -> bool:
        return any(each["id"] == id_ for each in self.there[planned.place].get("images", []))

    def _because(self, planned: Planned) -> str:
        """The planned resource without which this one can't be there either."""
        for value in planned.props.values():
            for name in _references(value):
                held = self.planned.get(name)
                if held is not None and self.readable(held) and not self.all_found(held):
                    return self._because(held) or name
        return ""

    # -------------------------------------------------------------------------- rules as sets

    @cached_property
    def rules_of(self) -> Mapping[str, list[Planned]]:
        """Logical name of a group -> its planned rules."""
        found: dict[str, list[Planned]] = {}
        for each in self.planned.values():
            if each.type == RULE:
                group = each.props["security_group_id"]
                found.setdefault(group["$ref"] if isinstance(group, dict) else group, []).append(each)  # fmt: skip
        return found

    def group(self, planned: Planned) -> tuple[dict[str, Seen], list[Finding]]:
        """A security group's planned rules against its real ones, as sets of traffic: per rule what was seen, what differs."""
        found = next(iter(self.all_found(planned)), None)
        rules = self.rules_of.get(planned.name, [])
        if found is None:
            because = self._because(planned) or planned.name
            return {each.name: Seen(None) for each in rules}, [finding(each, "missing", because=because) for each in rules]  # fmt: skip
        seen: dict[str, Seen] = {}
        wanted: list[Admitted] = []
        owners: list[Planned] = []
        unknown = False
        for each in rules:
            try:
                wanted.append(asked(self.values(each.stack).of(dict(each.props))))
                owners.append(each)
                seen[each.name] = Seen(found, compared=1)
            except Unknown as why:
                unknown = True
                seen[each.name] = Seen(found, unread=[("security_group_id", why.why)])
        if planned.props.get("delete_default_rules") is not True:
            wanted += [admitted(each) for each in DEFAULT_RULES]
        real = [admitted(each) for each in found["rules"]]
        findings: list[Finding] = []
        for number, rest in beyond(wanted, real):
            owner = owners[number] if number < len(owners) else planned
            findings.append(finding(owner, "admits less", id=found["id"], property="rules", planned=str(rest)))  # fmt: skip
            if owner is not planned:
                seen[owner.name].found = None
        if not unknown:
            for number, rest in beyond(real, wanted):
                rule = found["rules"][number]
                findings.append(finding(planned, "admits more", id=found["id"], property="rules", found={"rule": rule["id"], "admits": str(rest)}))  # fmt: skip
        return seen, findings


def finding(about: Planned, kind: FindingKind, /, **said: Any) -> Finding:
    """A finding about a planned resource."""
    return Finding(kind, about.stack, about.name, about.type, about.origin, **said)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _cut(how: str | None, stack: str, name: str) -> tuple[str, str]:
    if how == "tags":
        return f"stack={stack}"[:60], f"name={name}"[:60]
    return stack, name


def _mark(how: str | None, each: Mapping[str, Any]) -> tuple[str, str] | None:
    """The mark that an object carries, or None. Of tags it is the tags themselves, cut as they are."""
    if how == "tags":
        tags = each.get("tags") or ()
        stack = next((tag for tag in tags if tag.startswith("stack=")), "")
        name = next((tag for tag in tags if tag.startswith("name=")), "")
    elif how == "metadata":
        held = each.get("metadata") or {}
        stack, name = held.get("repatria-stack", ""), held.get("repatria-name", "")
    elif how == "description":
        _, _, last = str(each.get("description") or "").rpartition("[")
        stack, _, name = last.removesuffix("]").partition("/") if last.endswith("]") else ("", "", "")  # fmt: skip
    else:
        return None
    return (stack, name) if stack and name else None


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        else:
            for each in value.values():
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def marks_of(
    planned: Iterable[Planned],
) -> Mapping[str, frozenset[tuple[str, str]]]:
    """Type -> every mark that the plan gives."""
    found: dict[str, set[tuple[str, str]]] = {}
    for each in planned:
        if each.type in HOW:
            found.setdefault(each.type, set()).add(_cut(HOW[each.type], each.stack, each.name))
    return {type_: frozenset(marks) for type_, marks in found.items()}


def mark_on(type_: str, each: Mapping[str, Any]) -> tuple[str, str] | None:
    """The mark that an object of a type carries, or None."""
    return _mark(HOW.get(type_), each)
