"""One AWS type -> how it is read, what becomes of it, and one fate for every field AWS returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.outcomes import Outcome
    from toolkit.translate import Context

Severity = Literal["minor", "major", "blocker"]
NoiseKind = Literal["id", "timestamp", "internal", "derived"]
Scope = Literal["regional", "global"]


def fields(paths: str) -> frozenset[str]:
    """Field paths from a space-separated text. A path is dotted; lists are transparent.

    `BlockDeviceMappings.Ebs.VolumeId` is that member of every element. A path covers everything
    below it that has no fate of its own.
    """
    return frozenset(paths.split())


def noise(
    *, id: str = "", timestamp: str = "", internal: str = "", derived: str = ""
) -> Mapping[str, NoiseKind]:
    """Fields that mean nothing outside AWS, by kind: an id, a time, AWS-internal, or derived."""
    kinds: tuple[tuple[NoiseKind, str], ...] = (
        ("id", id),
        ("timestamp", timestamp),
        ("internal", internal),
        ("derived", derived),
    )
    return {path: kind for kind, paths in kinds for path in paths.split()}


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a field cannot be carried. Silent where the value is empty or equals `unless`."""

    reason: str
    severity: Severity = "minor"
    unless: Any = None


@dataclass(frozen=True, slots=True)
class Detail:
    """One more call per record (or per batch of records), merged into the record under `into`.

    `params` maps a request member to a member of the record (dotted), or with `^` before it to one
    of the parent's record (see `Fetch.each`). With `batch` > 0 the one
    parameter is a list, filled from up to `batch` records, and `match` names the member of each
    answer that equals the record's value. With `match` alone one list call serves all records: each
    gets the list of answers whose `match` equals its id. `path` is the part of the response to keep ("" keeps
    all of it but ResponseMetadata). `absent` lists the error codes that mean "not there".
    `when` names a record member that must be truthy, or is asked about the record. `known` names a
    member in which the list call may have given the answer already: it then moves to `into`, unasked. `every` names a list in the record (dotted): one call
    per element, whose members go before the record's in `params`; `into` gets the list of answers.
    """

    operation: str
    params: Mapping[str, str]
    into: str
    path: str = ""
    absent: tuple[str, ...] = ()
    batch: int = 0
    match: str = ""
    when: str | Callable[[Mapping[str, Any]], bool] = ""
    known: str = ""
    service: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)
    every: str = ""

    @property
    def each(self) -> bool:
        """Whether it is a call per record."""
        return not self.batch and not self.match


@dataclass(frozen=True, slots=True)
class Fetch:
    """How a type is listed. The engine, the IAM policy and the contract tests all read this.

    `path` leads through the response to the list (`Reservations[].Instances[]`); elements that
    are plain strings become `{<element>: string}` (`element` defaults to the id). `id` and `name`
    are members of the record (dotted), read after the details (a name may be words with members in
    braces, `{Protocol} {Port}`); several ids joined by `+` make one, and with `^` before it
    an id is the parent's;
    `arn` is a member, or a template over {partition} {region} {account} {id}. `tags` is a member
    that holds a list of Key/Value pairs or a map. `each` lists per parent resource: the parent's
    type, and request member -> parent's record member. `keep` keeps a record only if it is true
    (AWS's own managed policies, other people's images). Types with the same operation and `params`
    share one listing.
    """

    service: str
    operation: str
    path: str
    id: str
    name: str = ""
    arn: str = ""
    tags: str = "Tags"
    params: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope = "regional"
    each: str = ""
    each_params: Mapping[str, str] = field(default_factory=dict)
    details: tuple[Detail, ...] = ()
    keep: Callable[[Mapping[str, Any]], bool] | None = None
    element: str = ""
    region_from: str = ""
    """Member that holds the resource's own region, where it is listed globally (S3)."""
    action: str = ""
    """IAM action where it is not `<prefix>:<Operation>`; several separated by spaces."""
    unavailable: tuple[str, ...] = ()
    """Error codes that mean the service is not enabled or not offered here (no gap)."""


Translate = Callable[["Resource", "Context"], "Iterator[Outcome]"]

_TYPE = re.compile(r"aws(\.[a-z0-9_]+){2}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Everything Repatria knows about one AWS type.

    Raises ValueError at import where a field has two fates.
    """

    type: str
    title: str
    fetch: Fetch
    translate: Translate
    carried: frozenset[str]
    lost: Mapping[str, str | Lost] = field(default_factory=dict)
    noise: Mapping[str, NoiseKind] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()
    """Fields that change by themselves: they go to `observed.jsonl`, outside every digest."""
    unordered: frozenset[str] = frozenset()
    """Lists whose order means nothing: sorted before they are written."""
    tier: Literal[1, 2] = 1
    service: str = ""
    """Key of the AWS service in the catalogue's mapping (`clouds/services.yaml`)."""

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.type):
            raise ValueError(f"{self.type!r} is not aws.<service>.<noun>")
        fates = [*self.carried, *self.lost, *self.noise, *self.volatile]
        twice = sorted({path for path in fates if fates.count(path) > 1})
        if twice:
            raise ValueError(f"{self.type}: two fates for {', '.join(twice)}")
