"""Groups and their members -> the access lists they live under, and the balancers among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.plan.names import slug
from toolkit.rules._paths import Way, way_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def label(way: Way) -> str:
    """What makes the form of a group in some subnet, in words."""
    parts = []
    if way.acl:
        parts.append(f"in-{slug(way.acl.name) if way.acl.name != way.acl.id else 'list'}")
    if way.table:
        parts.append(f"by-{slug(way.table.name) if way.table.name != way.table.id else 'routes'}")
    if way.nat_only or any(acl for _, acl in way.nats):
        parts.append("translated")
    return "-".join(parts)


def ways_of_members(ctx: Context, group: Resource, members: Sequence[Resource]) -> list[Way]:
    """The ways of the subnets in which a group's members live, each once; at least one.

    Narrow ones count for every subnet of the VPC, since members of Auto Scaling groups and
    databases come and go.
    """
    subnets = {str(each.record.get("SubnetId")) for each in members}
    found: dict[str, Way] = {}
    for each in ctx.estate.where("aws.ec2.subnet", "VpcId", str(group.record.get("VpcId"))):
        way = way_of(ctx, each)
        if each.id in subnets or not members or way.role:
            found[way.role] = way
    return [found[key] for key in sorted(found)] or [Way()]


def balancer_subnets(ctx: Context, group: str) -> list[str]:
    """The CIDRs of the subnets in which a balancer that wears a group may have its address."""
    id_ = ctx.estate.by_key[group].id
    cidrs: set[str] = set()
    for balancer in ctx.estate.having("aws.elbv2.load_balancer", _worn, id_):
        zones = balancer.record.get("AvailabilityZones", [])
        cidrs |= _cidrs(ctx, balancer, [each.get("SubnetId") for each in zones[:1]])
    for balancer in ctx.estate.having("aws.elb.load_balancer", _worn, id_):
        cidrs |= _cidrs(ctx, balancer, balancer.record.get("Subnets", [])[:1])
    return sorted(cidrs)


def _worn(balancer: Resource) -> Sequence[object]:
    held: Sequence[object] = balancer.record.get("SecurityGroups", [])
    return held


def _cidrs(ctx: Context, near: Resource, ids: Sequence[object]) -> set[str]:
    hits = [ctx.estate.find("aws.ec2.subnet", id_, near) for id_ in ids]
    return {
        str(hit.record["CidrBlock"])
        for hit in hits
        if hit is not None and hit.record.get("CidrBlock")
    }
