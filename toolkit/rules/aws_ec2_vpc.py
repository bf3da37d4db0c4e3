"""VPC -> private network with its routers; whether its addresses stay is a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.network import FirewallRules, Network, Routers
from toolkit.outcomes import Disposition, Loss, Option, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The network; a default VPC that nothing lives in is retired."""
    record = source.record
    if record.get("IsDefault") and not ctx.estate.where(
        "aws.ec2.network_interface", "VpcId", source.id
    ):
        yield Disposition("retire", "AWS's default VPC; no interface is in it.")
        return
    cidrs = tuple(
        each["CidrBlock"] for each in record.get("CidrBlockAssociationSet", [])
        if each.get("CidrBlock") and (each.get("CidrBlockState") or {}).get("State", "associated") == "associated"
    ) or ((record["CidrBlock"],) if record.get("CidrBlock") else ())  # fmt: skip
    keep = ctx.decide(
        source.key, "keep-addresses", text("Does {name} ({cidrs}) keep its private addresses?", name=source.name, cidrs=", ".join(cidrs)),
        (
            Option("keep", "Keep them", "The whole VPC cuts over at once: a plain tunnel between equal networks is impossible."),
            Option("renumber", "Renumber", "Waves may be smaller, with a tunnel between old and new; hard-coded addresses break."),
        ),
        "keep", "Applications with hard-coded addresses go on working.",
    )  # fmt: skip
    yield Network(
        origin=source.key, name=source.name, cidrs=cidrs, keep=keep == "keep", tags=source.tags
    )
    yield Routers(origin=source.key, name=source.name, network=source.key)
    yield FirewallRules(origin=source.key, name=source.name)
    if record.get("InstanceTenancy") not in (None, "default"):
        yield Loss(
            "InstanceTenancy",
            text(
                "Servers were alone on their hosts ({tenancy}); ask the provider for dedicated hosts.",
                tenancy=record["InstanceTenancy"],
            ),
            "major",
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
    type="aws.ec2.vpc",
    title="VPC",
    service="vpc",
    fetch=Fetch(
        "ec2",
        "describe_vpcs",
        "Vpcs[]",
        id="VpcId",
        arn="arn:{partition}:ec2:{region}:{account}:vpc/{id}",
    ),
    translate=translate,
    carried=fields(
        "CidrBlock CidrBlockAssociationSet.CidrBlock CidrBlockAssociationSet.CidrBlockState.State InstanceTenancy IsDefault Ipv6CidrBlockAssociationSet.Ipv6CidrBlock Tags.Key Tags.Value"
    ),
    lost={
        "EncryptionControl.Mode": Lost(
            "Encryption between servers by the network ends; use TLS.", "major"
        ),
        "NetworkFirewallAssociations": Lost(
            "The network firewall in front of it is not carried.", "major"
        ),
        "BlockPublicAccessStates.InternetGatewayBlockMode": Lost(
            "The block of public access is carried only as far as routes and groups say so.",
            unless="off",
        ),
    },
    noise=noise(
        id="VpcId OwnerId CidrBlockAssociationSet.AssociationId",
        internal="EncryptionControl Ipv6CidrBlockAssociationSet BlockPublicAccessStates",
        derived="State DhcpOptionsId CidrBlockAssociationSet.CidrBlockState",
    ),
)
