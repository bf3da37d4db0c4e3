"""Transit gateway attachment -> absorbed by the design of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Which network hung on which hub."""
    record = source.record
    hub = ctx.key("aws.ec2.transit_gateway", record.get("TransitGatewayId"), source)
    what = ctx.estate.find("aws.ec2.vpc", record.get("ResourceId"), source)
    yield Disposition(
        "absorbed",
        text(
            "It hung {what} ({kind}, {state}) on the hub.",
            what=what.name if what else record.get("ResourceId", "?"),
            kind=record.get("ResourceType", "?"),
            state=record.get("State", "?"),
        ),
        into=hub or "",
    )


RULE = Rule(
    type="aws.ec2.transit_gateway_attachment",
    title="Transit gateway attachment",
    service="transit_gateway",
    fetch=Fetch(
        "ec2",
        "describe_transit_gateway_attachments",
        "TransitGatewayAttachments[]",
        id="TransitGatewayAttachmentId",
        arn="arn:{partition}:ec2:{region}:{account}:transit-gateway-attachment/{id}",
    ),
    translate=translate,
    carried=fields("TransitGatewayId ResourceId ResourceType State"),
    noise=noise(
        id="TransitGatewayAttachmentId TransitGatewayOwnerId ResourceOwnerId",
        timestamp="CreationTime",
        internal="Association Tags NatGatewaySupport",
    ),
)
