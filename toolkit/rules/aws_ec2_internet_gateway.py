"""Internet gateway -> the external gateway of the VPC's router."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Absorbed by the network it was attached to."""
    vpcs = [
        hit
        for each in source.record.get("Attachments", [])
        if (hit := ctx.estate.find("aws.ec2.vpc", each.get("VpcId"), source))
    ]
    if vpcs:
        yield Disposition(
            "absorbed",
            text("The router of {name} has a gateway of its own.", name=vpcs[0].name),
            into=vpcs[0].key,
        )
    else:
        yield Disposition("retire", "It is attached to nothing.")


RULE = Rule(
    type="aws.ec2.internet_gateway",
    title="Internet gateway",
    service="vpc",
    fetch=Fetch(
        "ec2",
        "describe_internet_gateways",
        "InternetGateways[]",
        id="InternetGatewayId",
        arn="arn:{partition}:ec2:{region}:{account}:internet-gateway/{id}",
    ),
    translate=translate,
    carried=fields("Attachments.VpcId"),
    noise=noise(id="InternetGatewayId OwnerId", internal="Tags", derived="Attachments.State"),
)
