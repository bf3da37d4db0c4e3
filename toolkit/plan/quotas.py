"""Units of all nodes -> what the target must allow, and the request where its default is too small."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.plan.assemble import Stack

KINDS = (
    "instances", "cores", "ram_gb", "ports", "networks", "subnets", "routers", "security_groups",
    "security_group_rules", "volumes", "volume_gb", "floating_ips", "load_balancers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quota:
    """One kind: what the plan needs, the catalogue's default (None: unknown), what to ask for (0: nothing)."""

    kind: str
    place: str
    needed: int
    default: int | None
    request: int


@dataclass(frozen=True, slots=True)
class Quotas:
    """All kinds per place (project/region; "" where there is one)."""

    kinds: tuple[Quota, ...]

    def json(self) -> dict[str, Any]:
        """plan.json's `quotas`."""
        return {
            "kinds": [
                {
                    "kind": q.kind,
                    "place": q.place,
                    "needed": q.needed,
                    "default": q.default,
                    "request": q.request,
                }
                for q in self.kinds
            ]
        }

    @property
    def requests(self) -> tuple[Quota, ...]:
        return tuple(quota for quota in self.kinds if quota.request)


def sum_up(stacks: Iterable[Stack], cloud: Cloud) -> Quotas:
    """Sum what nodes take per place. `default` groups come with a project: they count too.

    A kind whose default is unknown is asked for as well: the provider may say that it is enough.
    """
    sums: dict[str, dict[str, float]] = {}
    for stack in stacks:
        place = sums.setdefault(stack.place, {})
        for placed in stack.resources:
            for kind, amount in placed.node.units.items():
                place[kind] = place.get(kind, 0) + amount
    return Quotas(
        tuple(
            quota
            for place, held in sorted(sums.items())
            for kind in KINDS
            if (quota := _quota(kind, place, held, cloud.quotas)) is not None
        )
    )


def _quota(
    kind: str, place: str, held: Mapping[str, float], quotas: Mapping[str, int | None]
) -> Quota | None:
    needed = round(held.get(kind, 0))
    if kind == "security_groups" and needed:
        needed += 1
    if not needed:
        return None
    default = quotas.get(kind)
    short = default is not None and default >= 0 and needed > default
    return Quota(kind, place, needed, default, needed if short else 0)
