"""Security group -> group with explicit rules, once per way of the subnets in which it can be worn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.network import Firewall, Opening
from toolkit.outcomes import Disposition, Finding, Loss, Option, Outcome, joined, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._groups import balancer_subnets, label, places_of, ways_of
from toolkit.rules._paths import FROM_BALANCER, Way, along, cidrs_of, openings_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Only what AWS lets pass, and only what the target can say without letting more pass."""
    record = source.record
    vpc = ctx.estate.find("aws.ec2.vpc", record.get("VpcId"), source)
    if vpc is None:
        yield Loss(
            "VpcId", "Its VPC was not read, so there is no network to put it into.", "blocker"
        )
        return
    members = [
        e
        for e in ctx.estate.having("aws.ec2.network_interface", _worn, source.id)
        if e.record.get("VpcId") == vpc.id
    ]
    if vpc.record.get("IsDefault") and not ctx.estate.where(
        "aws.ec2.network_interface", "VpcId", vpc.id
    ):
        yield Disposition("retire", "A part of AWS's default VPC; no interface is in it.")
        return
    name = (
        f"{vpc.name}-default"
        if record.get("GroupName") == "default"
        else record.get("GroupName") or source.name
    )
    openings: list[Opening] = []
    for each in openings_of(ctx, source):
        if isinstance(each, Opening):
            openings += _through_balancers(each, source, ctx)
        else:
            yield Loss(each[0], each[1], "minor" if "port 0" in str(each[1]) else "major")
    forms: dict[str, Firewall] = {}
    ways = ways_of(ctx, source)
    places: dict[str, list[str]] = {}
    if any(way.role for way in ways):  # else nothing narrows, wherever members are
        peers = {e.peer: ctx.estate.by_key.get(e.peer) for e in openings if "|" in e.peer}
        places = {key: places_of(ctx, peer) for key, peer in peers.items() if peer is not None}
    for way in ways:
        kept, cut = [], set()
        for each in openings:
            parts, less = along(each, way, places.get(each.peer) or cidrs_of(vpc.record))
            kept += parts
            cut |= less
        yield from _losses(way, cut)
        # A way that takes nothing from this group needs no form of its own.
        role, said = (way.role, label(way)) if cut else ("", "")
        before = forms[role].ways if role in forms else ()
        forms[role] = Firewall(
            origin=source.key, role=role, name=f"{name}-{said}" if said else name, network=vpc.key,
            description=record.get("Description", ""), openings=tuple(kept), label=said, ways=(*before, way.role),
        )  # fmt: skip
    yield from forms.values()
    world = sorted(
        {
            _port(each)
            for each in openings
            if each.direction == "ingress" and each.peer in ("0.0.0.0/0", "::/0")
        }
        - {"tcp 80", "tcp 443"}
    )
    if world and members:
        yield Finding(
            "group-open",
            "critical" if {"tcp 22", "tcp 3389", "everything"} & set(world) else "warning",
            text(
                "The whole internet may reach {ports} behind {name}.",
                ports=joined(text(each) if each == "everything" else each for each in world),
                name=name,
            ),
        )


def _losses(way: Way, cut: set[str]) -> Iterator[Loss]:
    if way.acl and "acl" in cut:
        yield Loss(
            "IpPermissions.IpRanges.CidrIp",
            text(
                "In subnets under the access list {acl} it lets less pass, as that list denies.",
                acl=way.acl.name,
            ),
        )
    if way.table and "routes" in cut:
        yield Loss(
            "IpPermissions.IpRanges.CidrIp",
            text(
                "In subnets of the route table {table} it lets less pass, as no route leads to {nets}.",
                table=way.table.name,
                nets=", ".join(map(str, sorted({*way.barred_in, *way.barred_out}))),
            ),
        )
    if way.nats and "nat" in cut:
        yield Loss(
            "IpPermissionsEgress.IpRanges.CidrIp",
            text(
                "Behind {nats} it lets less pass, as a NAT gateway and the access list of its subnet do.",
                nats=", ".join(nat for nat, _ in way.nats),
            ),
        )


def _port(each: Opening) -> str:
    if each.protocol == "any":
        return "everything"
    return (
        each.protocol
        if each.first is None
        else f"{each.protocol} {each.first}"
        + (f"-{each.last}" if each.last not in (None, each.first) else "")
    )


def _through_balancers(each: Opening, source: Resource, ctx: Context) -> Iterator[Opening]:
    """A reference to a balancer's group also admits the subnets of its address: Octavia comes from there."""
    yield each
    if each.direction != "ingress" or "|" not in each.peer:
        return
    subnets = balancer_subnets(ctx, each.peer)
    if not subnets:
        return
    other = ctx.estate.by_key[each.peer]
    choice = ctx.decide(
        source.key, "balancer-members", text("May the balancer behind {group} reach {name} from its whole subnet?", group=other.name, name=source.name),
        (
            Option("admit", "Admit the subnet of its address", text("Everything in {subnets} may reach these ports, not the balancer alone.", subnets=", ".join(subnets))),
            Option("refuse", "Refuse", "The balancer reaches no member until rules are written by hand."),
        ),
        "admit", "Octavia reaches members from ports of its own, which no group of yours has.",
    )  # fmt: skip
    if choice == "admit":
        for cidr in subnets:
            yield Opening("ingress", each.protocol, each.first, each.last, cidr, 4, FROM_BALANCER)


def _worn(interface: Resource) -> Iterator[object]:
    for each in interface.record.get("Groups", []):
        yield each.get("GroupId")


RULE = Rule(
    type="aws.ec2.security_group",
    title="Security group",
    service="security_group",
    fetch=Fetch(
        "ec2",
        "describe_security_groups",
        "SecurityGroups[]",
        id="GroupId",
        name="GroupName",
        arn="arn:{partition}:ec2:{region}:{account}:security-group/{id}",
    ),
    translate=translate,
    carried=fields(
        " ".join(
            ["VpcId", "GroupName", "Description"]
            + [
                f"{m}.{f}"
                for m in ("IpPermissions", "IpPermissionsEgress")
                for f in (
                    "IpProtocol",
                    "FromPort",
                    "ToPort",
                    "IpRanges.CidrIp",
                    "Ipv6Ranges.CidrIpv6",
                    "PrefixListIds.PrefixListId",
                    "UserIdGroupPairs.GroupId",
                    "UserIdGroupPairs.VpcPeeringConnectionId",
                    "IpRanges.Description",
                )
            ]
        )
    ),
    noise=noise(
        id="GroupId OwnerId SecurityGroupArn",
        internal="Tags",
        derived="IpPermissions IpPermissionsEgress",
    ),
    unordered=fields(
        "IpPermissions IpPermissionsEgress IpPermissions.IpRanges IpPermissions.UserIdGroupPairs IpPermissionsEgress.IpRanges IpPermissionsEgress.UserIdGroupPairs IpPermissions.Ipv6Ranges IpPermissionsEgress.Ipv6Ranges"
    ),
)
