"""Groups and their members -> the access lists they live under, and the balancers among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.plan.names import slug
from toolkit.rules._paths import access_list, open_both_ways

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def variant_of(ctx: Context, subnet: Resource | None) -> tuple[str, Resource | None]:
    """(name of a group's form in a subnet, the access list there); "" where the list is open."""
    acl = access_list(ctx, subnet)
    if acl is None or open_both_ways(acl):
        return "", None
    lists = sorted(
        each.id
        for each in ctx.estate.where("aws.ec2.network_acl", "VpcId", str(acl.record.get("VpcId")))
    )
    named = slug(acl.name) if acl.name != acl.id else ""
    return f"in-{named or f'list-{lists.index(acl.id) + 1}'}", acl


def lists_of_members(
    ctx: Context, group: Resource, members: Sequence[Resource]
) -> list[tuple[str, Resource | None]]:
    """The forms that a group takes: one per access list of its members, at least one.

    Groups of Auto Scaling groups and databases count for every subnet of the VPC that has a
    narrow list, since their members come and go.
    """
    subnets = {str(each.record.get("SubnetId")) for each in members}
    found: dict[str, Resource | None] = {}
    for each in ctx.estate.where("aws.ec2.subnet", "VpcId", str(group.record.get("VpcId"))):
        variant, acl = variant_of(ctx, each)
        if each.id in subnets or not members or variant:
            found[variant] = acl
    return sorted(found.items(), key=lambda pair: pair[0]) or [("", None)]


def balancer_subnets(ctx: Context, group: str) -> list[str]:
    """The CIDRs of the subnets in which a balancer that wears a group may have its address."""
    id_ = ctx.estate.by_key[group].id
    cidrs: set[str] = set()
    for balancer in ctx.estate.of("aws.elbv2.load_balancer"):
        if id_ in balancer.record.get("SecurityGroups", []):
            zones = balancer.record.get("AvailabilityZones", [])
            cidrs |= _cidrs(ctx, balancer, [each.get("SubnetId") for each in zones[:1]])
    for balancer in ctx.estate.of("aws.elb.load_balancer"):
        if id_ in balancer.record.get("SecurityGroups", []):
            cidrs |= _cidrs(ctx, balancer, balancer.record.get("Subnets", [])[:1])
    return sorted(cidrs)


def _cidrs(ctx: Context, near: Resource, ids: Sequence[object]) -> set[str]:
    hits = [ctx.estate.find("aws.ec2.subnet", id_, near) for id_ in ids]
    return {
        str(hit.record["CidrBlock"])
        for hit in hits
        if hit is not None and hit.record.get("CidrBlock")
    }
