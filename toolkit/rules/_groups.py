"""Groups and their members -> the access lists they live under, and the balancers among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.plan.names import slug
from toolkit.rules._paths import access_list, open_both_ways

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def narrow_list(ctx: Context, subnet: Resource | None) -> Resource | None:
    """The access list of a subnet, or None where it lets everything pass."""
    acl = access_list(ctx, subnet)
    return None if acl is None or open_both_ways(acl) else acl


def form(acl: Resource | None) -> str:
    """The role of the form that a group takes under an access list: its key, which no tag moves."""
    return f"in {acl.key}" if acl else ""


def label(acl: Resource | None) -> str:
    """The same in words."""
    if acl is None:
        return ""
    return f"in-{slug(acl.name) if acl.name != acl.id else 'list'}"


def lists_of_members(
    ctx: Context, group: Resource, members: Sequence[Resource]
) -> list[Resource | None]:
    """The lists under which a group's members live, None for an open one; at least one.

    Groups of Auto Scaling groups and databases count for every subnet of the VPC that has a
    narrow list, since their members come and go.
    """
    subnets = {str(each.record.get("SubnetId")) for each in members}
    found: dict[str, Resource | None] = {}
    for each in ctx.estate.where("aws.ec2.subnet", "VpcId", str(group.record.get("VpcId"))):
        acl = narrow_list(ctx, each)
        if each.id in subnets or not members or acl:
            found[form(acl)] = acl
    return [found[key] for key in sorted(found)] or [None]


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
