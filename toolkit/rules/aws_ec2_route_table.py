"""Route table -> absorbed by the routers; routes that nothing at the target can follow are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._paths import route_table

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


_HARD = {
    "TransitGatewayId": "a transit gateway", "NetworkInterfaceId": "a network interface", "InstanceId": "an instance", "LocalGatewayId": "a local gateway",
    "CarrierGatewayId": "a carrier gateway", "CoreNetworkArn": "a core network", "EgressOnlyInternetGatewayId": "an egress-only gateway",
}  # fmt: skip


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Default routes choose the router of each subnet; peering routes become links; the rest is told."""
    vpc = ctx.key("aws.ec2.vpc", source.record.get("VpcId"), source)
    users = [
        s.name
        for s in ctx.estate.where("aws.ec2.subnet", "VpcId", str(source.record.get("VpcId")))
        if (t := route_table(ctx, s)) is not None and t.key == source.key
    ]
    live = [r for r in source.record.get("Routes", []) if r.get("State") != "blackhole"]
    if not any(r.get("DestinationCidrBlock") == "0.0.0.0/0" for r in live):
        some = sorted(
            str(r["DestinationCidrBlock"])
            for r in live
            if r.get("DestinationCidrBlock")
            and (r.get("NatGatewayId") or str(r.get("GatewayId", "")).startswith("igw-"))
        )
        if some and users:
            yield Loss(
                "Routes.DestinationCidrBlock",
                text(
                    "It leads to {nets} on the internet and has no default route: its subnets get no way out.",
                    nets=", ".join(some),
                ),
                "major",
            )
    for route in source.record.get("Routes", []):
        to = (
            route.get("DestinationCidrBlock")
            or route.get("DestinationIpv6CidrBlock")
            or route.get("DestinationPrefixListId")
            or "?"
        )
        if route.get("State") == "blackhole":
            yield Loss("Routes.State", text("The route to {to} leads nowhere today.", to=to))
            continue
        for member, says in _HARD.items():
            if route.get(member) and not (
                member == "InstanceId" and route.get("NetworkInterfaceId")
            ):
                yield Loss(
                    f"Routes.{member}",
                    text(
                        "The route to {to} through {what} is not carried.", to=to, what=text(says)
                    ),
                    "major",
                )
        if str(route.get("GatewayId", "")).startswith("vgw-"):
            yield Loss(
                "Routes.GatewayId",
                text("The route to {to} through the VPN gateway needs the new VPN server.", to=to),
                "major",
            )
        if route.get("DestinationIpv6CidrBlock") and str(route.get("GatewayId", "")).startswith(
            "igw-"
        ):
            yield Loss(
                "Routes.DestinationIpv6CidrBlock", "IPv6 to the internet is not carried.", "major"
            )
        if (
            route.get("VpcPeeringConnectionId")
            and ctx.key("aws.ec2.vpc_peering_connection", route["VpcPeeringConnectionId"], source)
            is None
        ):
            yield Loss(
                "Routes.VpcPeeringConnectionId",
                text("The peering that leads to {to} was not read.", to=to),
                "major",
            )
    if any(each.get("GatewayId") for each in source.record.get("PropagatingVgws", [])):
        yield Loss(
            "PropagatingVgws.GatewayId",
            "Routes learnt from the VPN gateway have to be written down.",
            "major",
        )
    if users and vpc:
        yield Disposition(
            "absorbed",
            text("The routers of its VPC do this for {subnets}.", subnets=", ".join(sorted(users))),
            into=vpc,
        )
    else:
        yield Disposition("retire", "No subnet uses it.")


RULE = Rule(
    type="aws.ec2.route_table",
    title="Route table",
    service="vpc",
    fetch=Fetch(
        "ec2",
        "describe_route_tables",
        "RouteTables[]",
        id="RouteTableId",
        arn="arn:{partition}:ec2:{region}:{account}:route-table/{id}",
    ),
    translate=translate,
    carried=fields(
        "VpcId Associations.SubnetId Associations.Main Routes.DestinationCidrBlock Routes.DestinationIpv6CidrBlock Routes.GatewayId Routes.NatGatewayId Routes.State Routes.TransitGatewayId Routes.NetworkInterfaceId "
        "Routes.InstanceId Routes.VpcPeeringConnectionId Routes.EgressOnlyInternetGatewayId PropagatingVgws.GatewayId"
    ),
    lost={
        "Routes.DestinationPrefixListId": "Routes to AWS's own services go the usual way.",
        "Routes.LocalGatewayId": "Outposts have no successor.",
        "Routes.CarrierGatewayId": "Wavelength zones have no successor.",
        "Routes.CoreNetworkArn": "Cloud WAN has no successor.",
        "Routes.OdbNetworkArn": "Oracle Database@AWS has no successor.",
        "Routes.IgwFirewall": "The network firewall on the way is not carried.",
        "Associations.GatewayId": "Routing of what enters by a gateway is not carried.",
        "Associations.PublicIpv4Pool": "Address pools of AWS are not carried.",
        "Tags": "It becomes part of the routers and has no tags of its own.",
    },
    noise=noise(
        id="RouteTableId OwnerId Associations.RouteTableAssociationId Associations.RouteTableId Routes.InstanceOwnerId",
        internal="Routes.Origin Routes.IpAddress",
        derived="Associations.AssociationState",
    ),
    unordered=fields("Associations Routes"),
)
