"""Network interface -> port; what AWS made for its own services goes with them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.network import Binding, Port, PublicAddress
from toolkit.outcomes import Disposition, Finding, Loss, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._interfaces import owner_of, unused
from toolkit.rules._paths import network_of, unreachable

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A port with the same addresses; one of a group's or a service's own is absorbed, an unused one retired."""
    record = source.record
    instance = ctx.estate.find(
        "aws.ec2.instance", (record.get("Attachment") or {}).get("InstanceId"), source
    )
    owner = owner_of(ctx, source)
    if owner is not None:
        yield Disposition("absorbed", text("It goes with {name}.", name=owner.name), into=owner.key)
        return
    if record.get("RequesterManaged") or record.get("InterfaceType", "interface") not in (
        "interface",
        "efa",
        "trunk",
    ):
        yield Disposition(
            "absorbed",
            text(
                "AWS made it for a service of its own ({what}).",
                what=record.get("Description") or record.get("InterfaceType", "?"),
            ),
        )
        return
    if instance is not None:
        state = (instance.record.get("State") or {}).get("Name")
        manager = next(
            (
                tag
                for tag in ("aws:autoscaling:groupName", "eks:nodegroup-name")
                if instance.tags.get(tag)
            ),
            None,
        )
        if manager or state in ("terminated", "shutting-down"):
            yield Disposition(
                "absorbed", text("It goes with {name}.", name=instance.name), into=instance.key
            )
            return
    if unused(ctx, source):
        yield Finding(
            "interface-unused",
            "info",
            text(
                "{name} is attached to nothing and keeps {addresses} from others.",
                name=source.name,
                addresses=", ".join(_addresses(record)),
            ),
        )
        yield Disposition("retire", "Attached to nothing.")
        return
    subnet = ctx.key("aws.ec2.subnet", record.get("SubnetId"), source)
    if subnet is None:
        yield Loss(
            "SubnetId", "Its subnet was not read, so there is no network to put it into.", "blocker"
        )
        return
    net = network_of(ctx.estate.by_key[subnet].record.get("CidrBlock"))
    kept: list[str] = []
    for each in _addresses(record):
        if net is None or ipaddress.ip_address(each) in net:
            kept.append(each)
            continue
        yield Loss(
            "PrivateIpAddress"
            if each == record.get("PrivateIpAddress")
            else "PrivateIpAddresses.PrivateIpAddress",
            text(
                "The address {ip} is not in its subnet's {cidr}, where no port can have it: it is dropped.",
                ip=each,
                cidr=str(net),
            ),
            "major",
        )
    public = (record.get("Association") or {}).get("PublicIp")
    held = ctx.estate.find(
        "aws.ec2.address", (record.get("Association") or {}).get("AllocationId"), source
    )
    plain = (
        source.name if source.name != source.id else f"{ctx.estate.by_key[subnet].name}-interface"
    )
    name = instance.name if instance is not None else plain
    device = (record.get("Attachment") or {}).get("DeviceIndex", 0)
    yield Port(
        origin=source.key, name=f"{name}-{device}" if device else name, subnet=subnet, addresses=tuple(kept),
        firewalls=tuple(key for each in record.get("Groups", []) if (key := ctx.key("aws.ec2.security_group", each.get("GroupId"), source))),
        forwards=record.get("SourceDestCheck") is False, public=bool(public) and held is None and not unreachable(ctx, ctx.estate.by_key[subnet]),
    )  # fmt: skip
    if public and held is None and unreachable(ctx, ctx.estate.by_key[subnet]):
        yield Loss(
            "Association.PublicIp",
            text(
                "The public address {ip} ends: no route of its subnet leads to an internet gateway, so nobody reaches it.",
                ip=public,
            ),
        )
    elif public and held is None:
        yield PublicAddress(
            origin=source.key, role="address", name=f"{name}-public", port=source.key
        )
        yield Binding(
            origin=source.key,
            role="binding",
            name=f"{name}-public",
            address=source.key,
            port=source.key,
        )
        yield Loss("Association.PublicIp", text("The public address {ip} changes.", ip=public))
    for each in record.get("Ipv6Addresses", []):
        yield Loss(
            "Ipv6Addresses.Ipv6Address",
            text("The IPv6 address {ip} is not carried.", ip=each.get("Ipv6Address", "?")),
            "major",
        )


def _addresses(record: Mapping[str, Any]) -> list[str]:
    """The private IPv4 addresses, the primary one first."""
    primary = record.get("PrivateIpAddress")
    found = {each.get("PrivateIpAddress") for each in record.get("PrivateIpAddresses", [])}
    return [*([primary] if primary else []), *sorted(str(x) for x in found - {primary, None, ""})]


RULE = Rule(
    type="aws.ec2.network_interface",
    title="Network interface",
    service="vpc",
    fetch=Fetch(
        "ec2",
        "describe_network_interfaces",
        "NetworkInterfaces[]",
        id="NetworkInterfaceId",
        tags="TagSet",
        arn="arn:{partition}:ec2:{region}:{account}:network-interface/{id}",
    ),
    translate=translate,
    carried=fields(
        "SubnetId PrivateIpAddress PrivateIpAddresses.PrivateIpAddress Groups.GroupId SourceDestCheck RequesterManaged InterfaceType Description Status Attachment.InstanceId Attachment.DeviceIndex Association.PublicIp Association.AllocationId Ipv6Addresses.Ipv6Address"
    ),
    lost={
        "Ipv4Prefixes": Lost("Address prefixes (for pods) are not carried.", "major"),
        "Ipv6Prefixes": Lost("Address prefixes (for pods) are not carried.", "major"),
        "MacAddress": "The hardware address is new; licences that are bound to it break.",
        "ConnectionTrackingConfiguration.TcpEstablishedTimeout": "Time-outs of connections are the provider's.",
        "ConnectionTrackingConfiguration.UdpStreamTimeout": "Time-outs of connections are the provider's.",
        "ConnectionTrackingConfiguration.UdpTimeout": "Time-outs of connections are the provider's.",
        "Association.CustomerOwnedIp": "Outposts addresses end.",
        "Association.CarrierIp": "Carrier addresses end.",
        "OutpostArn": Lost("Outposts have no successor.", "major"),
        "Attachment.EnaSrdSpecification": "ENA Express ends.",
        "Ipv6Native": Lost("IPv6-only interfaces are not carried.", "major"),
        "AssociatedSubnets": "Interfaces in several subnets are not carried.",
        "TagSet": "Ports carry the plan's own tags.",
    },
    noise=noise(
        id="NetworkInterfaceId OwnerId RequesterId Association.AssociationId Association.IpOwnerId Attachment.AttachmentId Attachment.InstanceOwnerId Groups.GroupName AvailabilityZoneId",
        timestamp="Attachment.AttachTime",
        internal="Attachment.DeleteOnTermination Attachment.NetworkCardIndex Attachment.EnaQueueCount DenyAllIgwTraffic Operator PublicIpDnsNameOptions ConnectionTrackingConfiguration Ipv6Addresses Ipv6Address",
        derived="Association Attachment.Status AvailabilityZone PrivateDnsName PublicDnsName PrivateIpAddresses VpcId",
    ),
    unordered=fields("Groups"),
)
