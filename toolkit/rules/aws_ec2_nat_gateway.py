"""NAT gateway -> source translation of the router; its public address is gone, and somebody may rely on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Finding, Loss, Outcome, Task, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._paths import nat_protocols

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Absorbed by the router; partners who allow its address are told."""
    record = source.record
    vpc = ctx.key("aws.ec2.vpc", record.get("VpcId"), source)
    if record.get("State") in ("deleted", "failed", "deleting"):
        yield Disposition("retire", text("It is {state}.", state=record["State"]))
        return
    addresses = sorted(
        each["PublicIp"] for each in record.get("NatGatewayAddresses", []) if each.get("PublicIp")
    )
    if record.get("ConnectivityType") == "private":
        yield Loss(
            "ConnectivityType", "Translation between private networks is not carried.", "major"
        )
    if addresses:
        yield Finding(
            "nat-address",
            "warning",
            text(
                "Partners may allow {addresses} in their firewalls: what leaves {name} has another address afterwards.",
                addresses=", ".join(addresses),
                name=source.name,
            ),
        )
        yield Loss(
            "NatGatewayAddresses.PublicIp",
            text(
                "{addresses} stay with AWS; the router's address is new and dies with the router.",
                addresses=", ".join(addresses),
            ),
            "major",
        )
        yield Task(
            "partners-allow",
            text(
                "Tell partners who allow {addresses} the new address",
                addresses=", ".join(addresses),
            ),
            "Firewalls of others change at their pace.",
            lead_days=21,
            role="communication",
            expected="Every partner has confirmed that both addresses pass, the old and the new one.",
            undo="Tell them that the old address stays.",
            minutes=30,
        )
    network = ctx.estate.find("aws.ec2.vpc", record.get("VpcId"), source)
    if network is not None and nat_protocols(ctx, network) == "admit":
        yield Loss(
            "ConnectivityType",
            "It drops all but TCP, UDP and ICMP; the router lets pass what the groups do.",
        )
    yield Disposition("absorbed", "The router translates addresses itself.", into=vpc or "")


RULE = Rule(
    type="aws.ec2.nat_gateway",
    title="NAT gateway",
    service="nat_gateway",
    fetch=Fetch(
        "ec2",
        "describe_nat_gateways",
        "NatGateways[]",
        id="NatGatewayId",
        arn="arn:{partition}:ec2:{region}:{account}:natgateway/{id}",
    ),
    translate=translate,
    carried=fields("VpcId State NatGatewayAddresses.PublicIp ConnectivityType"),
    lost={"AttachedAppliances": Lost("The firewall on the way is not carried.", "major")},
    noise=noise(
        id="NatGatewayId NatGatewayAddresses.AllocationId NatGatewayAddresses.NetworkInterfaceId NatGatewayAddresses.AssociationId RouteTableId",
        timestamp="CreateTime DeleteTime",
        internal="ProvisionedBandwidth AvailabilityMode AutoScalingIps AutoProvisionZones Tags",
        derived="FailureCode FailureMessage NatGatewayAddresses SubnetId",
    ),
)
