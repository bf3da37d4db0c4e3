"""Customer gateway -> the other end of the tunnel: it stays, and is told the new address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Absorbed by the VPN that names it."""
    record = source.record
    users = ctx.estate.where("aws.ec2.vpn_connection", "CustomerGatewayId", source.id)
    said = text(
        "The office's end {ip} (ASN {asn}{device}).",
        ip=record.get("IpAddress", "?"),
        asn=record.get("BgpAsn") or record.get("BgpAsnExtended") or text("unknown"),
        device=f", {record['DeviceName']}" if record.get("DeviceName") else "",
    )
    if users:
        yield Disposition("absorbed", said, into=users[0].key)
    else:
        yield Disposition("retire", text("No VPN uses it. {said}", said=said))


RULE = Rule(
    type="aws.ec2.customer_gateway",
    title="Customer gateway",
    service="site_vpn",
    fetch=Fetch(
        "ec2",
        "describe_customer_gateways",
        "CustomerGateways[]",
        id="CustomerGatewayId",
        arn="arn:{partition}:ec2:{region}:{account}:customer-gateway/{id}",
    ),
    translate=translate,
    carried=fields("IpAddress BgpAsn DeviceName"),
    noise=noise(
        id="CustomerGatewayId CertificateArn", internal="Type Tags", derived="State BgpAsnExtended"
    ),
)
