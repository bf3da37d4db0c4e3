"""Elastic IP -> floating IP: an address stays an address, but it is another one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.network import Binding, PublicAddress
from toolkit.outcomes import Disposition, Finding, Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._interfaces import owner_of, unused
from toolkit.rules._paths import unreachable

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Bound to a port: a floating IP. Of a NAT gateway or balancer: theirs. Unused: retired."""
    record = source.record
    address = record.get("PublicIp", "?")
    interface = ctx.estate.find(
        "aws.ec2.network_interface", record.get("NetworkInterfaceId"), source
    )
    nat = next(iter(ctx.estate.having("aws.ec2.nat_gateway", _allocations, source.id)), None)
    if nat is not None:
        yield Disposition(
            "absorbed",
            text(
                "The address {ip} of the NAT gateway {name}: the router has its own.",
                ip=address,
                name=nat.name,
            ),
            into=nat.key,
        )
        return
    if record.get("ServiceManaged") or (
        interface is not None
        and (interface.record.get("RequesterManaged") or owner_of(ctx, interface) is not None)
    ):
        yield Disposition(
            "absorbed",
            text("The address {ip} of a service that AWS runs.", ip=address),
            into=interface.key if interface else "",
        )
        return
    if (
        not record.get("AssociationId")
        and not record.get("InstanceId")
        and not record.get("NetworkInterfaceId")
    ):
        yield Finding(
            "address-unused", "info", text("{ip} is bound to nothing and is billed.", ip=address)
        )
        yield Disposition("retire", "Bound to nothing.")
        return
    if interface is not None and unused(ctx, interface):
        yield Finding(
            "address-unused",
            "info",
            text(
                "{ip} is bound to an interface that is attached to nothing, and is billed.",
                ip=address,
            ),
        )
        yield Disposition("retire", "Its interface is attached to nothing.")
        return
    place = interface and ctx.estate.find(
        "aws.ec2.subnet", interface.record.get("SubnetId"), interface
    )
    if interface is not None and unreachable(ctx, place):
        yield Loss(
            "NetworkInterfaceId",
            text(
                "{ip} ends: no route of the subnet it is in leads to an internet gateway, so nobody reaches it.",
                ip=address,
            ),
        )
        yield Disposition("retire", "Nobody reaches it.")
        return
    name = source.name if source.name != source.id else ""
    yield PublicAddress(
        origin=source.key,
        name=name,
        port=interface.key if interface else "",
        private=record.get("PrivateIpAddress", ""),
        tags=source.tags,
    )
    if interface is not None:
        yield Binding(
            origin=source.key,
            role="binding",
            name=name,
            address=source.key,
            port=interface.key,
            private=record.get("PrivateIpAddress", ""),
        )
    else:
        yield Loss(
            "NetworkInterfaceId", "What it is bound to was not read; it stays unbound.", "major"
        )
    yield Loss(
        "PublicIp",
        text(
            "{ip} stays with AWS; DNS, partners' firewalls and certificates that name it must change.",
            ip=address,
        ),
        "major",
    )


def _allocations(gateway: Resource) -> Iterator[object]:
    for each in gateway.record.get("NatGatewayAddresses", []):
        yield each.get("AllocationId")


RULE = Rule(
    type="aws.ec2.address",
    title="Elastic IP",
    service="elastic_ip",
    fetch=Fetch(
        "ec2",
        "describe_addresses",
        "Addresses[]",
        id="AllocationId",
        arn="arn:{partition}:ec2:{region}:{account}:elastic-ip/{id}",
    ),
    translate=translate,
    carried=fields(
        "PublicIp AssociationId NetworkInterfaceId PrivateIpAddress InstanceId ServiceManaged"
    ),
    lost={
        "CustomerOwnedIp": "Outposts addresses end.",
        "CustomerOwnedIpv4Pool": "Outposts addresses end.",
        "CarrierIp": "Carrier addresses end.",
        "Tags": "Floating IPs carry the plan's own tags.",
    },
    noise=noise(
        id="AllocationId NetworkInterfaceOwnerId",
        internal="Domain PublicIpv4Pool NetworkBorderGroup",
        derived="SubnetId",
    ),
)
