"""Units of all nodes -> what the target must allow, and the request where its default is too small."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.program import Out

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.plan.assemble import Stack

KINDS = (
    "instances", "cores", "ram_gb", "ports", "networks", "subnets", "routers", "security_groups",
    "security_group_rules", "volumes", "volume_gb", "floating_ips", "load_balancers",
)  # fmt: skip


DEFAULT_GROUPS, DEFAULT_RULES = 1, 4
"""The group `default` that a project has from the start, and its rules."""
NEW_RULES = 2
"""Rules that a new group is born with; they count until the engine removes them."""


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
    """Sum what nodes take per place, and what Neutron takes besides (measured on Zed).

    Not counted there, so not here: ports of a router's gateway and of a floating IP. Counted: one
    DHCP port per network and agent, a port per interface of a router, a balancer's address.
    """
    sums: dict[str, dict[str, float]] = {}
    rules: dict[str, dict[Out, int]] = {}
    for stack in stacks:
        place = sums.setdefault(stack.place, {})
        groups = rules.setdefault(stack.place, {})
        for placed in stack.resources:
            node = placed.node
            for kind, amount in node.units.items():
                place[kind] = place.get(kind, 0) + amount
            if node.type == "openstack.networking.SecGroup":
                groups.setdefault(Out(node.origin, node.role), 0)
            group = node.props.get("security_group_id")
            if node.type == "openstack.networking.SecGroupRule" and isinstance(group, Out):
                groups[group] = groups.get(group, 0) + 1
    for name, groups in rules.items():
        if groups:
            sums[name]["security_groups"] = sums[name].get("security_groups", 0) + DEFAULT_GROUPS
            sums[name]["security_group_rules"] = DEFAULT_RULES + sum(
                max(NEW_RULES, count) for count in groups.values()
            )
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
    if not needed:
        return None
    default = quotas.get(kind)
    short = default is not None and default >= 0 and needed > default
    return Quota(kind, place, needed, default, needed if short else 0)
