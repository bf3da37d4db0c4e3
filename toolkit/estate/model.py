"""What AWS has -> resources and gaps; an identity is (type, account, region, id) and never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

GapReason = Literal["denied", "throttled", "unavailable", "error", "no-rule", "truncated"]

GLOBAL = "global"


def key_of(type_: str, account: str, region: str, id_: str) -> str:
    """The one string that names an AWS resource in every stage file: `type|account|region|id`."""
    return f"{type_}|{account}|{region}|{id_}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One AWS resource as it was read. `record` is AWS's own answer, untouched but for redactions.

    Detail calls are merged into the record under the key that the rule names (`into`).
    """

    type: str
    id: str
    arn: str
    account: str
    region: str
    name: str
    tags: Mapping[str, str]
    record: Mapping[str, Any]
    key: str = field(init=False, repr=False, compare=False)
    """Made once: it is asked for a hundred times, and everything that holds it then shares it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", key_of(self.type, self.account, self.region, self.id))

    def line(self) -> dict[str, Any]:
        """The resource as a line of `estate.jsonl`."""
        return {
            "kind": "resource",
            "type": self.type,
            "id": self.id,
            "arn": self.arn,
            "account": self.account,
            "region": self.region,
            "name": self.name,
            "tags": dict(self.tags),
            "record": self.record,
        }


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """What could not be read. `count` is how many resources are known to be there, or None."""

    service: str
    operation: str
    account: str
    region: str
    reason: GapReason
    detail: str
    count: int | None = field(default=None, compare=False)

    def line(self) -> dict[str, Any]:
        """The gap as a line of `estate.jsonl`."""
        out: dict[str, Any] = {
            "kind": "gap",
            "service": self.service,
            "operation": self.operation,
            "account": self.account,
            "region": self.region,
            "reason": self.reason,
            "detail": self.detail,
        }
        if self.count is not None:
            out["count"] = self.count
        return out


@dataclass(frozen=True)
class Estate:
    """Everything that was read, sorted by identity; look-ups are by index, never by scan."""

    header: Mapping[str, Any]
    resources: tuple[Resource, ...]
    gaps: tuple[Gap, ...] = ()

    @cached_property
    def by_key(self) -> Mapping[str, Resource]:
        return {resource.key: resource for resource in self.resources}

    @cached_property
    def by_arn(self) -> Mapping[str, Resource]:
        return {resource.arn: resource for resource in self.resources if resource.arn}

    @cached_property
    def _by_type(self) -> Mapping[str, tuple[Resource, ...]]:
        groups: dict[str, list[Resource]] = {}
        for resource in self.resources:
            groups.setdefault(resource.type, []).append(resource)
        return {type_: tuple(group) for type_, group in groups.items()}

    @cached_property
    def _by_type_and_id(self) -> Mapping[tuple[str, str], tuple[Resource, ...]]:
        groups: dict[tuple[str, str], list[Resource]] = {}
        for resource in self.resources:
            groups.setdefault((resource.type, resource.id), []).append(resource)
        return {pair: tuple(group) for pair, group in groups.items()}

    @cached_property
    def _children(self) -> dict[tuple[str, str], Mapping[str, tuple[Resource, ...]]]:
        return {}

    @cached_property
    def _having(
        self,
    ) -> dict[
        tuple[str, Callable[[Resource], Iterable[object]]], Mapping[object, tuple[Resource, ...]]
    ]:
        return {}

    @property
    def types(self) -> Iterable[str]:
        return self._by_type.keys()

    def of(self, type_: str) -> tuple[Resource, ...]:
        """All resources of one type, sorted by identity."""
        return self._by_type.get(type_, ())

    def find(self, type_: str, id_: object, near: Resource | None = None) -> Resource | None:
        """The resource with this id; of several (a name used in two regions) the one `near` it.

        `id_` may be an ARN. Anything that is no string, or was not read, gives None.
        """
        if not isinstance(id_, str) or not id_:
            return None
        if id_.startswith("arn:") and (hit := self.by_arn.get(id_)) is not None:
            return hit if hit.type == type_ else None
        hits = self._by_type_and_id.get((type_, id_), ())
        if len(hits) <= 1 or near is None:
            return hits[0] if hits else None
        return min(
            hits, key=lambda hit: 2 * (hit.region != near.region) + (hit.account != near.account)
        )

    def where(self, type_: str, member: str, value: str) -> tuple[Resource, ...]:
        """Resources of a type whose top-level record member equals a value; indexed at first use."""
        index = self._children.get((type_, member))
        if index is None:
            groups: dict[str, list[Resource]] = {}
            for resource in self.of(type_):
                held = resource.record.get(member)
                if isinstance(held, str):
                    groups.setdefault(held, []).append(resource)
            index = {held: tuple(group) for held, group in groups.items()}
            self._children[type_, member] = index
        return index.get(value, ())

    def having(
        self, type_: str, marks: Callable[[Resource], Iterable[object]], value: object
    ) -> tuple[Resource, ...]:
        """Resources of a type among whose marks a value is, sorted by identity; indexed at first use.

        `marks` is a function of a module: a lambda would be indexed anew at every call.
        """
        index = self._having.get((type_, marks))
        if index is None:
            groups: dict[object, list[Resource]] = {}
            for resource in self.of(type_):
                for held in dict.fromkeys(marks(resource)):
                    groups.setdefault(held, []).append(resource)
            index = {held: tuple(group) for held, group in groups.items()}
            self._having[type_, marks] = index
        return index.get(value, ())

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources)

    def __len__(self) -> int:
        return len(self.resources)
