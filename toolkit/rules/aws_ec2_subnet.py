"""Subnet -> subnet of the network; what its routes reach decides which router it is on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.network import Subnet
from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._paths import reach_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Same addresses; one subnet per zone is kept as one subnet."""
    record = source.record
    vpc = ctx.estate.find("aws.ec2.vpc", record.get("VpcId"), source)
    if vpc is None:
        yield Loss(
            "VpcId", "Its VPC was not read, so there is no network to put it into.", "blocker"
        )
        return
    busy = ctx.estate.where("aws.ec2.network_interface", "VpcId", vpc.id)
    if record.get("DefaultForAz") and vpc.record.get("IsDefault") and not busy:
        yield Disposition("retire", "A part of AWS's default VPC; no interface is in it.")
        return
    if record.get("Ipv6Native") or not record.get("CidrBlock"):
        yield Loss(
            "Ipv6Native", "It has IPv6 only; the target's networks here are IPv4.", "blocker"
        )
        return
    dhcp = ctx.estate.find("aws.ec2.dhcp_options", vpc.record.get("DhcpOptionsId"), source)
    servers = tuple(
        value["Value"] for each in (dhcp.record.get("DhcpConfigurations", []) if dhcp else []) if each.get("Key") == "domain-name-servers"
        for value in each.get("Values", []) if value.get("Value") and value["Value"] != "AmazonProvidedDNS"
    )  # fmt: skip
    addresses = tuple(sorted(
        each.record["PrivateIpAddress"] for each in ctx.estate.where("aws.ec2.network_interface", "SubnetId", source.id) if each.record.get("PrivateIpAddress")
    ))  # fmt: skip
    yield Subnet(
        origin=source.key, name=source.name, network=vpc.key, cidr=record["CidrBlock"], zone=record.get("AvailabilityZone", ""),
        reach=reach_of(ctx, source), dns=servers, reserved=addresses, tags=source.tags,
    )  # fmt: skip
    if record.get("AvailabilityZone"):
        yield Loss(
            "AvailabilityZone",
            text(
                "It was tied to the zone {zone}; networks of the target span zones.",
                zone=record["AvailabilityZone"],
            ),
        )
    for each in record.get("Ipv6CidrBlockAssociationSet", []):
        if each.get("Ipv6CidrBlock"):
            yield Loss(
                "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock",
                text(
                    "The IPv6 network {cidr} belongs to AWS and is not carried.",
                    cidr=each["Ipv6CidrBlock"],
                ),
                "major",
            )


RULE = Rule(
    type="aws.ec2.subnet",
    title="Subnet",
    service="vpc",
    fetch=Fetch("ec2", "describe_subnets", "Subnets[]", id="SubnetId", arn="SubnetArn"),
    translate=translate,
    carried=fields(
        "VpcId CidrBlock AvailabilityZone DefaultForAz Ipv6Native Ipv6CidrBlockAssociationSet.Ipv6CidrBlock Tags.Key Tags.Value"
    ),
    lost={
        "OutpostArn": Lost("Outposts have no successor.", "major"),
        "CustomerOwnedIpv4Pool": Lost("Outposts have no successor.", "major"),
        "EnableDns64": "DNS64 for IPv6-only servers ends.",
        "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord": "Servers are not found by AWS's own names any more.",
        "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsAAAARecord": "Servers are not found by AWS's own names any more.",
        "BlockPublicAccessStates.InternetGatewayBlockMode": Lost(
            "The block of public access is carried only as far as routes and groups say so.",
            unless="off",
        ),
    },
    noise=noise(
        id="SubnetId SubnetArn OwnerId AvailabilityZoneId",
        internal="EnableLniAtDeviceIndex MapCustomerOwnedIpOnLaunch AssignIpv6AddressOnCreation PrivateDnsNameOptionsOnLaunch Type NetworkFirewallConnectivityType Ipv6CidrBlockAssociationSet BlockPublicAccessStates",
        derived="State MapPublicIpOnLaunch",
    ),
    volatile=fields("AvailableIpAddressCount"),
)
