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
        text(
            "Design what connects {count} networks in place of {name}{note}",
            count=len(hung),
            name=source.name,
            note=f" ({record['Description']})" if record.get("Description") else "",
        ),
        "Routes between networks of several projects need a hub of your own or the provider's private backbone.",
        lead_days=30,
        role="network",
    )
    asn = (record.get("Options") or {}).get("AmazonSideAsn")
    yield Disposition(
        "refactor",
        text("A hub with the ASN {asn}.", asn=asn or "unknown"),
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
