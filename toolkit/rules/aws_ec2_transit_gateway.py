"""Transit gateway -> a hub to design: OpenStack has routers, not a hub between projects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """How many networks hang on it says how much there is to design."""
    record = source.record
    hung = ctx.estate.where("aws.ec2.transit_gateway_attachment", "TransitGatewayId", source.id)
    yield Task(
        "hub",
        text("Design what connects the networks in place of {name}", name=source.name),
        "Routes between networks of several projects need a hub of your own or the provider's private backbone.",
        lead_days=30,
        role="network",
        settings=(
            (text("networks on it"), str(len(hung))),
            *(((text("description"), record["Description"]),) if record.get("Description") else ()),
        ),
        expected="A drawing with every network, its addresses and its next hop; the owner has signed it.",
        minutes=None,
        basis="it depends on whether the networks land in one project, and on what the provider's backbone offers",
    )
    asn = (record.get("Options") or {}).get("AmazonSideAsn")
    yield Disposition(
        "refactor",
        text("A hub with the ASN {asn}.", asn=asn or text("unknown")),
        way_out="One router with interfaces in each network; vRack at OVHcloud; VyOS or OPNsense as a hub",
        work="Draw the routes that exist, decide which are needed, build, test.",
    )


RULE = Rule(
    type="aws.ec2.transit_gateway",
    title="Transit gateway",
    service="transit_gateway",
    fetch=Fetch(
        "ec2",
        "describe_transit_gateways",
        "TransitGateways[]",
        id="TransitGatewayId",
        arn="TransitGatewayArn",
    ),
    translate=translate,
    carried=fields("Description Options.AmazonSideAsn"),
    lost={
        "Options.TransitGatewayCidrBlocks": "Addresses of the hub itself are chosen anew.",
        "Options.MulticastSupport": "Multicast between networks ends.",
        "Tags": "There is nothing to tag.",
    },
    noise=noise(
        id="TransitGatewayId TransitGatewayArn OwnerId Options.AssociationDefaultRouteTableId Options.PropagationDefaultRouteTableId",
        timestamp="CreationTime",
        internal="Options.AutoAcceptSharedAttachments Options.DefaultRouteTableAssociation Options.DefaultRouteTablePropagation Options.VpnEcmpSupport Options.DnsSupport Options.SecurityGroupReferencingSupport Options.EncryptionSupport",
        derived="State",
    ),
)
