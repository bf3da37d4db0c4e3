"""Routes, access lists and groups together -> what may pass; an access list is subtracted, never ignored."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolkit.intents.network import Opening, Reach

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
EPHEMERAL = (1024, 65535)
_NAMES = {
    "6": "tcp",
    "17": "udp",
    "1": "icmp",
    "58": "ipv6-icmp",
    "icmpv6": "ipv6-icmp",
    "-1": "any",
}
_SPLIT = ("tcp", "udp", "icmp")
"""What `any protocol` is taken apart into where only some protocols are denied; the rest is refused."""


@dataclass(frozen=True, slots=True)
class Box:
    """Traffic of one protocol between a range of ports and a network."""

    protocol: str
    first: int
    last: int
    net: Net


def protocol_of(value: object) -> str:
    """AWS's protocol, a name or a number, as `tcp`, `udp`, `icmp`, `ipv6-icmp`, `any` or a number."""
    text = str(value)
    return _NAMES.get(text, text)


def network_of(cidr: object) -> Net | None:
    """A CIDR, or None where it is none."""
    try:
        return ipaddress.ip_network(str(cidr), strict=False)
    except ValueError:
        return None


# ------------------------------------------------------------------------------------------- routes


def route_table(ctx: Context, subnet: Resource) -> Resource | None:
    """The route table of a subnet: the one associated with it, else the main one of its VPC."""
    main = None
    for table in ctx.estate.where("aws.ec2.route_table", "VpcId", str(subnet.record.get("VpcId"))):
        for each in table.record.get("Associations", []):
            if each.get("SubnetId") == subnet.id:
                return table
            if each.get("Main"):
                main = table
    return main


def reach_of(ctx: Context, subnet: Resource) -> Reach:
    """Where a subnet's default route leads: to an internet gateway, to something that translates, nowhere."""
    table = route_table(ctx, subnet)
    for route in table.record.get("Routes", []) if table else []:
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole":
            if str(route.get("GatewayId", "")).startswith("igw-"):
                return "public"
            if route.get("NatGatewayId"):
                return "outbound"
    return "isolated"


# -------------------------------------------------------------------------------------- access lists


def access_list(ctx: Context, subnet: Resource | None) -> Resource | None:
    """The network ACL of a subnet, or None where it was not read."""
    if subnet is None:
        return None
    default = None
    for acl in ctx.estate.where("aws.ec2.network_acl", "VpcId", str(subnet.record.get("VpcId"))):
        if any(each.get("SubnetId") == subnet.id for each in acl.record.get("Associations", [])):
            return acl
        if acl.record.get("IsDefault"):
            default = acl
    return default


def open_both_ways(acl: Resource | None) -> bool:
    """Whether an ACL lets everything pass (AWS's default): the first entry each way allows all."""
    if acl is None:
        return True
    for egress in (False, True):
        entries = _entries(acl, egress)
        v4 = [e for e in entries if e.get("CidrBlock")]
        if (
            not v4
            or v4[0].get("RuleAction") != "allow"
            or v4[0].get("CidrBlock") != "0.0.0.0/0"
            or protocol_of(v4[0].get("Protocol")) != "any"
        ):
            return False
    return True


def _entries(acl: Resource, egress: bool) -> list[Mapping[str, Any]]:
    held = [each for each in acl.record.get("Entries", []) if bool(each.get("Egress")) == egress]
    return sorted(held, key=lambda each: each.get("RuleNumber", 32767))


def passed(boxes: Sequence[Box], acl: Resource, egress: bool) -> list[Box]:
    """What an ACL lets pass of some traffic in one direction: entries in order, the first match counts."""
    left, out = list(boxes), []
    for entry in _entries(acl, egress):
        net = network_of(entry.get("CidrBlock") or entry.get("Ipv6CidrBlock"))
        if net is None:
            continue
        first, last = _ports(entry)
        rest: list[Box] = []
        for box in left:
            inside, outside = _cut(box, protocol_of(entry.get("Protocol")), first, last, net)
            if entry.get("RuleAction") == "allow":
                out += inside
            rest += outside
        left = rest
        if not left:
            break
    return out


def _ports(entry: Mapping[str, Any]) -> tuple[int, int]:
    if protocol_of(entry.get("Protocol")) in ("icmp", "ipv6-icmp"):
        held = entry.get("IcmpTypeCode") or {}
        kind = held.get("Type", -1)
        return (0, 255) if kind in (-1, None) else (kind, kind)
    held = entry.get("PortRange") or {}
    return held.get("From", 0), held.get("To", 65535)


def _cut(box: Box, protocol: str, first: int, last: int, net: Net) -> tuple[list[Box], list[Box]]:
    """(what of a box an entry matches, what is left of it)."""
    if box.net.version != net.version or not box.net.overlaps(net):
        return [], [box]
    if protocol != "any" and box.protocol == "any":
        inside: list[Box] = []
        outside: list[Box] = []
        for each in _SPLIT:
            a, b = _cut(
                replace(box, protocol=each, first=0, last=255 if each == "icmp" else 65535),
                protocol,
                first,
                last,
                net,
            )
            inside += a
            outside += b
        return inside, outside
    if protocol not in ("any", box.protocol):
        return [], [box]
    low, high = (
        (box.first, box.last) if protocol == "any" else (max(box.first, first), min(box.last, last))
    )
    if low > high:
        return [], [box]
    outside = []
    if box.first < low:
        outside.append(replace(box, last=low - 1))
    if high < box.last:
        outside.append(replace(box, first=high + 1))
    whole: Any = box.net
    if whole.subnet_of(net):
        return [replace(box, first=low, last=high)], outside
    outside += [replace(box, first=low, last=high, net=part) for part in whole.address_exclude(net)]
    return [replace(box, first=low, last=high, net=net)], outside


def narrowed(opening: Opening, acl: Resource, vpc: Sequence[str]) -> tuple[list[Opening], bool]:
    """(an opening as an ACL leaves it, whether anything was taken away).

    Access lists keep no state: the answers must pass as well, on every ephemeral port. An opening
    to members of a group is kept whole where the ACL lets it pass for the whole VPC, else dropped.
    """
    egress = opening.direction == "egress"
    if network_of(opening.peer) is None:
        nets = [net for net in map(network_of, vpc) if net is not None and net.version == 4]
        kept = [part for net in nets for part in _narrow(opening, acl, egress, net)[0]]
        whole = all(not _narrow(opening, acl, egress, net)[1] for net in nets)
        return ([opening], False) if whole and kept else ([], True)
    net = network_of(opening.peer)
    assert net is not None  # noqa: S101 - checked above
    return _narrow(opening, acl, egress, net)


def _narrow(opening: Opening, acl: Resource, egress: bool, net: Net) -> tuple[list[Opening], bool]:
    box = _box(opening, net)
    forward = passed([box], acl, egress)
    out: list[Opening] = []
    for part in forward:
        out += [
            _opening(opening, replace(part, net=answered))
            for answered in _answered(part, acl, egress)
        ]
    return _merged(out), sum(_size(o) for o in _merged(out)) != _size(
        opening if network_of(opening.peer) else replace(opening, peer=str(net))
    )


def _answered(box: Box, acl: Resource, egress: bool) -> list[Net]:
    """The networks of a box whose answers pass the other way."""
    if box.protocol in ("tcp", "udp"):
        back = Box(box.protocol, *EPHEMERAL, box.net)
    elif box.protocol in ("icmp", "ipv6-icmp"):
        back = Box(box.protocol, 0, 255, box.net)
    else:
        back = Box(box.protocol, 0, 65535, box.net)
    allowed = passed([back], acl, not egress)
    return [
        each.net
        for each in allowed
        if (each.first, each.last) == (back.first, back.last) and each.protocol == back.protocol
    ]


def _box(opening: Opening, net: Net) -> Box:
    if opening.protocol in ("icmp", "ipv6-icmp"):
        return Box(
            opening.protocol,
            opening.first if opening.first is not None else 0,
            opening.first if opening.first is not None else 255,
            net,
        )
    return Box(
        opening.protocol,
        opening.first if opening.first is not None else 0,
        opening.last if opening.last is not None else 65535,
        net,
    )


def _opening(old: Opening, box: Box) -> Opening:
    if box.protocol in ("icmp", "ipv6-icmp"):
        everything = (box.first, box.last) == (0, 255)
        return replace(
            old,
            protocol=box.protocol,
            first=None if everything else box.first,
            last=old.last if not everything else None,
            peer=str(box.net),
        )
    everything = (box.first, box.last) == (0, 65535)
    return replace(
        old,
        protocol=box.protocol,
        first=None if everything else box.first,
        last=None if everything else box.last,
        peer=str(box.net),
    )


def _size(opening: Opening) -> int:
    net = network_of(opening.peer)
    ports = (
        65536
        if opening.first is None
        else (opening.last if opening.last is not None else opening.first) - opening.first + 1
    )
    scale = {"any": 4}.get(opening.protocol, 1)
    return (net.num_addresses if net else 1) * ports * scale


def _merged(openings: list[Opening]) -> list[Opening]:
    """The same openings with neighbouring networks put together, sorted."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    sample: dict[tuple[Any, ...], Opening] = {}
    for each in openings:
        net = network_of(each.peer)
        if net is None:
            continue
        key = (each.direction, each.protocol, each.first, each.last, each.family)
        groups.setdefault(key, []).append(net)
        sample[key] = each
    return [
        replace(sample[key], peer=str(net))
        for key in sorted(groups, key=str)
        for net in ipaddress.collapse_addresses(groups[key])
    ]


# ------------------------------------------------------------------------------------------- groups


def openings_of(ctx: Context, group: Resource) -> Iterator[Opening | tuple[str, str]]:
    """The openings of a security group, or (field, reason) of what cannot be said at the target."""
    for direction, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        for permission in group.record.get(member, []):
            yield from _permission(ctx, group, direction, member, permission)


def _permission(
    ctx: Context, group: Resource, direction: Any, member: str, permission: Mapping[str, Any]
) -> Iterator[Opening | tuple[str, str]]:
    protocol = protocol_of(permission.get("IpProtocol", "-1"))
    first, last = permission.get("FromPort"), permission.get("ToPort")
    peers: list[tuple[str, int, str]] = [
        *(
            (each["CidrIp"], 4, each.get("Description", ""))
            for each in permission.get("IpRanges", [])
            if each.get("CidrIp")
        ),
        *(
            (each["CidrIpv6"], 6, each.get("Description", ""))
            for each in permission.get("Ipv6Ranges", [])
            if each.get("CidrIpv6")
        ),
    ]
    for each in permission.get("PrefixListIds", []):
        held = ctx.estate.find("aws.ec2.managed_prefix_list", each.get("PrefixListId"), group)
        entries = held.record.get("Entries", []) if held else []
        if not entries:
            yield (
                f"{member}.PrefixListIds.PrefixListId",
                f"A list of AWS's own addresses ({held.name if held else 'not read'}) means nothing at the target; what it let pass is refused.",
            )
        for entry in entries:
            net = network_of(entry.get("Cidr"))
            if net is not None:
                peers.append((str(net), net.version, entry.get("Description", "")))
    for each in permission.get("UserIdGroupPairs", []):
        other = ctx.estate.find("aws.ec2.security_group", each.get("GroupId"), group)
        if (
            other is None
            or each.get("VpcPeeringConnectionId")
            or other.record.get("VpcId") != group.record.get("VpcId")
        ):
            yield (
                f"{member}.UserIdGroupPairs.GroupId",
                f"A reference to a group of another VPC or one that was not read ({other.name if other else 'unknown'}) cannot be kept; its members are refused.",
            )
            continue
        peers.append((other.key, 4, each.get("Description", "")))
    for peer, family, why in peers:
        for ranged in _ranges(protocol, first, last):
            if isinstance(ranged, str):
                yield f"{member}.FromPort", ranged
            else:
                kind = "ipv6-icmp" if protocol == "icmp" and family == 6 else protocol
                yield Opening(
                    direction,
                    kind,
                    ranged[0],
                    ranged[1],
                    peer,
                    6 if family == 6 else 4,
                    why,
                )


def _ranges(
    protocol: str, first: int | None, last: int | None
) -> Iterator[tuple[int | None, int | None] | str]:
    """Port bounds as the target can say them: a bound of 0 is never sent, so it must never be needed."""
    if protocol == "any":
        yield None, None
    elif protocol in ("icmp", "ipv6-icmp"):
        kind, code = (
            first if first not in (None, -1) else None,
            last if last not in (None, -1) else None,
        )
        if kind is None:
            yield None, None
        elif kind == 0 or code == 0:
            yield f"ICMP type {kind} code {code if code is not None else 'any'} cannot be told apart from every type; it is refused (answers to one's own pings still come)."
        else:
            yield kind, code
    elif protocol in ("tcp", "udp"):
        low, high = (
            first if first is not None and first >= 0 else 0,
            last if last is not None and last >= 0 else 65535,
        )
        if (low, high) == (0, 65535):
            yield None, None
        elif high == 0:
            yield f"{protocol} port 0 alone cannot be said; it is refused."
        else:
            if low == 0:
                yield f"{protocol} port 0 of the range 0-{high} is refused."
            yield max(low, 1), high
    else:
        yield None, None
