"""Site-to-site VPN -> a tunnel from a server of one's own, with new keys on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, Task, Text, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._paths import cidrs_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The other end must be configured anew; its keys were never read."""
    record = source.record
    if record.get("State") in ("deleted", "deleting"):
        yield Disposition("retire", text("It is {state}.", state=record["State"]))
        return
    peer = ctx.estate.find("aws.ec2.customer_gateway", record.get("CustomerGatewayId"), source)
    options = record.get("Options") or {}
    routes = ", ".join(
        sorted(
            each["DestinationCidrBlock"]
            for each in record.get("Routes", [])
            if each.get("DestinationCidrBlock")
        )
    ) or text("those that it announces")
    versions = sorted(
        {
            v["Value"]
            for t in options.get("TunnelOptions", [])
            for v in t.get("IkeVersions", [])
            if v.get("Value")
        }
    )
    yield Task(
        "vpn", text("Build the tunnel to {peer} anew", peer=peer.name if peer else text("the other side")),
        "Keys and addresses of the tunnel stay with AWS; the other side changes its configuration in the same window.", lead_days=21, role="network",
        settings=(
            (text("tunnels"), str(len(options.get("TunnelOptions", [])) or 2)), (text("networks behind it"), routes),
            (text("networks on this side"), _near(source, ctx)), (text("routing"), text("static") if options.get("StaticRoutesOnly") else "BGP"),
            *(((text("key exchange"), ", ".join(versions)),) if versions else ()),
        ),
        check="sudo swanctl --list-sas", minutes=None, basis="the other side changes its configuration at its own pace",
        expected="Every tunnel is ESTABLISHED, and a host behind it answers from each network of this side.",
        undo="Take the new tunnel down; the one at AWS is still up.",
    )  # fmt: skip
    yield Loss(
        "Options.TunnelOptions.OutsideIpAddress",
        text(
            "The tunnel's public ends ({ends}) change.",
            ends=", ".join(
                t["OutsideIpAddress"]
                for t in options.get("TunnelOptions", [])
                if t.get("OutsideIpAddress")
            )
            or text("addresses not read"),
        ),
        "major",
    )
    if options.get("EnableAcceleration"):
        yield Loss("Options.EnableAcceleration", "Acceleration over AWS's network ends.")
    yield Disposition(
        "replatform",
        "No provider of the catalogue has a managed VPN that a program can create.",
        way_out="strongSwan or WireGuard on a server with two ports",
        work="Exchange keys with the other side, build, test fail-over.",
    )


def _near(source: Resource, ctx: Context) -> Text | str:
    """The ranges of the networks whose routes lead into the tunnel: new ones where a network is renumbered."""
    gateway = source.record.get("VpnGatewayId")
    tables = [
        *ctx.estate.having("aws.ec2.route_table", _gateways, gateway),
    ] if gateway else []  # fmt: skip
    found = {held.key: held for table in tables if (held := ctx.estate.find("aws.ec2.vpc", table.record.get("VpcId"), table)) is not None}  # fmt: skip
    said: list[str] = []
    moved: list[str] = []
    for key, vpc in sorted(found.items()):
        decision = ctx.decisions.get(f"keep-addresses:{key}")
        if decision is not None and decision.chosen == "renumber":
            moved.append(vpc.name)
        else:
            said += cidrs_of(vpc.record)
    if moved:
        return text("the new addresses of {names} (`cidr-...` in their stack){others}", names=", ".join(moved), others="".join(f", {each}" for each in said))  # fmt: skip
    return ", ".join(said) or text("those whose routes lead into it; no such route was read")


def _gateways(table: Resource) -> Iterator[object]:
    for each in table.record.get("PropagatingVgws", []):
        yield each.get("GatewayId")
    for each in table.record.get("Routes", []):
        yield each.get("GatewayId")


RULE = Rule(
    type="aws.ec2.vpn_connection",
    title="VPN connection",
    service="site_vpn",
    fetch=Fetch(
        "ec2",
        "describe_vpn_connections",
        "VpnConnections[]",
        id="VpnConnectionId",
        arn="arn:{partition}:ec2:{region}:{account}:vpn-connection/{id}",
    ),
    translate=translate,
    carried=fields(
        "State CustomerGatewayId VpnGatewayId Routes.DestinationCidrBlock Options.StaticRoutesOnly Options.TunnelOptions.OutsideIpAddress Options.TunnelOptions.IkeVersions.Value Options.EnableAcceleration"
    ),
    lost={
        "Options.LocalIpv4NetworkCidr": Lost(
            "Which networks the tunnel carried is written anew.", unless="0.0.0.0/0"
        ),
        "Options.RemoteIpv4NetworkCidr": Lost(
            "Which networks the tunnel carried is written anew.", unless="0.0.0.0/0"
        ),
        "Options.LocalIpv6NetworkCidr": Lost(
            "IPv6 through the tunnel is not carried.", unless="::/0"
        ),
        "Options.RemoteIpv6NetworkCidr": Lost(
            "IPv6 through the tunnel is not carried.", unless="::/0"
        ),
        "Options.TunnelOptions.Phase1EncryptionAlgorithms": "Ciphers are agreed on anew.",
        "Options.TunnelOptions.Phase2EncryptionAlgorithms": "Ciphers are agreed on anew.",
        "CoreNetworkArn": Lost("Cloud WAN has no successor.", "major"),
    },
    noise=noise(
        id="VpnConnectionId TransitGatewayId VpnConcentratorId CoreNetworkAttachmentArn PreSharedKeyArn",
        internal="Category Type Options.OutsideIpAddressType Options.TransportTransitGatewayAttachmentId Options.TunnelInsideIpVersion Options.TunnelBandwidth CustomerGatewayConfiguration Options.TunnelOptions Tags",
        derived="GatewayAssociationState Routes.Source Routes.State",
    ),
    volatile=fields("VgwTelemetry"),
)
