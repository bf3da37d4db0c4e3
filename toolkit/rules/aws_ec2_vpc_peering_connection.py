"""VPC peering -> a router that reaches both networks, where routes on both sides say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.network import Link
from toolkit.outcomes import Disposition, Finding, Loss, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._paths import network_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Both networks read and routed: a link. Anything else is told."""
    record = source.record
    state = (record.get("Status") or {}).get("Code")
    if state not in (None, "active"):
        yield Disposition("retire", text("It is {state}.", state=str(state)))
        return
    sides = []
    for member in ("RequesterVpcInfo", "AccepterVpcInfo"):
        info = record.get(member) or {}
        cidrs = [
            each["CidrBlock"] for each in info.get("CidrBlockSet", []) if each.get("CidrBlock")
        ] or ([info["CidrBlock"]] if info.get("CidrBlock") else [])
        sides.append(
            (ctx.estate.find("aws.ec2.vpc", info.get("VpcId"), source), tuple(cidrs), info)
        )
    (near, near_cidrs, near_info), (far, far_cidrs, far_info) = sides
    if near is None or far is None:
        yield Loss(
            "AccepterVpcInfo.VpcId",
            text(
                "The other side ({owner}, {region}) was not read: build a tunnel to it.",
                owner=far_info.get("OwnerId", "?"),
                region=far_info.get("Region", "?"),
            ),
            "major",
        )
        yield Disposition(
            "replatform",
            "One side is not part of this estate.",
            way_out="WireGuard or strongSwan between the two",
            work="Agree on keys, networks and routes with the other side.",
        )
        return
    nets = [
        (a, b) for a in map(network_of, near_cidrs) for b in map(network_of, far_cidrs) if a and b
    ]
    if any(a.overlaps(b) for a, b in nets if a.version == b.version):
        yield Finding(
            "peering-overlap",
            "critical",
            text("{a} and {b} overlap, yet are peered.", a=near.name, b=far.name),
        )
        yield Loss(
            "RequesterVpcInfo.CidrBlock",
            "Overlapping networks cannot be linked; one has to be renumbered.",
            "blocker",
        )
        return
    if near_info.get("Region") != far_info.get("Region"):
        yield Loss(
            "AccepterVpcInfo.Region",
            text(
                "It crossed regions ({a}, {b}); both sides land where the plan maps them.",
                a=near_info.get("Region", "?"),
                b=far_info.get("Region", "?"),
            ),
        )
    first, second = sorted((near, far), key=lambda each: each.key)
    a, b = (near_cidrs, far_cidrs) if first.key == near.key else (far_cidrs, near_cidrs)
    yield Link(
        origin=source.key,
        name=source.name,
        near=second.key,
        far=first.key,
        near_cidrs=b,
        far_cidrs=a,
    )


RULE = Rule(
    type="aws.ec2.vpc_peering_connection",
    title="VPC peering",
    service="vpc_peering",
    fetch=Fetch(
        "ec2",
        "describe_vpc_peering_connections",
        "VpcPeeringConnections[]",
        id="VpcPeeringConnectionId",
        arn="arn:{partition}:ec2:{region}:{account}:vpc-peering-connection/{id}",
    ),
    translate=translate,
    carried=fields(
        "Status.Code RequesterVpcInfo.VpcId AccepterVpcInfo.VpcId RequesterVpcInfo.CidrBlock AccepterVpcInfo.CidrBlock RequesterVpcInfo.CidrBlockSet.CidrBlock AccepterVpcInfo.CidrBlockSet.CidrBlock RequesterVpcInfo.Region AccepterVpcInfo.Region AccepterVpcInfo.OwnerId"
    ),
    lost={
        "RequesterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc": "Names of the other side are resolved by your own DNS.",
        "AccepterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc": "Names of the other side are resolved by your own DNS.",
        "RequesterVpcInfo.Ipv6CidrBlockSet": Lost(
            "IPv6 between the networks is not carried.", "major"
        ),
        "AccepterVpcInfo.Ipv6CidrBlockSet": Lost(
            "IPv6 between the networks is not carried.", "major"
        ),
        "Tags": "The link is routers and routes, without tags of its own.",
    },
    noise=noise(
        id="VpcPeeringConnectionId RequesterVpcInfo.OwnerId",
        timestamp="ExpirationTime",
        internal="RequesterVpcInfo.PeeringOptions AccepterVpcInfo.PeeringOptions MultipathResilienceStatus",
        derived="Status.Message",
    ),
)
