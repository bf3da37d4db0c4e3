"""Routes, access lists and groups together -> what may pass; an access list is subtracted, never ignored."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from toolkit.intents.network import Opening, Reach
from toolkit.outcomes import Option, Text, text

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
_SPLIT = {4: ("tcp", "udp", "icmp"), 6: ("tcp", "udp", "ipv6-icmp")}
"""What `any protocol` is taken apart into where only some protocols are denied; the rest is refused."""
_SAID = {
    "icmp": (3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 17, 18),
    "ipv6-icmp": (1, 2, 3, 4, 128, 129, 133, 134, 135, 136),
}
"""ICMP types in use: a range of types is written out as these, as a rule holds one type; 0 is never sent."""
_PRIVATE = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
    )
)


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
            kind = _kind(ctx, subnet, route)
            if kind == "public":
                return "public"
            if kind.startswith("nat-"):
                return "outbound"
    return "isolated"


def _kind(ctx: Context, subnet: Resource, route: Mapping[str, Any]) -> str:
    """What a route of a subnet leads to: local, public, service, nothing, or a NAT gateway or peering by its id."""
    if route.get("State") == "blackhole":
        return "nothing"
    gateway = str(route.get("GatewayId") or "")
    if gateway == "local":
        return "local"
    if route.get("NatGatewayId"):
        nat = str(route["NatGatewayId"])
        return nat if _translates(ctx, subnet, nat) else "nothing"
    if route.get("VpcPeeringConnectionId"):
        return str(route["VpcPeeringConnectionId"])
    if gateway.startswith("vpce-") and route.get("DestinationPrefixListId"):
        return "service"
    if gateway.startswith("igw-"):
        held = ctx.estate.find("aws.ec2.internet_gateway", gateway, subnet)
        bonds = held.record.get("Attachments", []) if held else None
        vpc = subnet.record.get("VpcId")
        return (
            "public"
            if bonds is None or any(each.get("VpcId") == vpc for each in bonds)
            else "nothing"
        )
    return "nothing"


def _translates(ctx: Context, subnet: Resource, id_: object) -> bool:
    """Whether a NAT gateway leads to the internet; one that was not read is taken to."""
    nat = ctx.estate.find("aws.ec2.nat_gateway", id_, subnet)
    if nat is None:
        return True
    if nat.record.get("State", "available") != "available":
        return False
    if nat.record.get("ConnectivityType", "public") != "public":
        return False
    home = ctx.estate.find("aws.ec2.subnet", nat.record.get("SubnetId"), nat)
    table = route_table(ctx, home) if home else None
    return (
        home is None
        or table is None
        or any(
            str(route.get("GatewayId", "")).startswith("igw-")
            and _kind(ctx, home, route) == "public"
            for route in table.record.get("Routes", [])
        )
    )


def unreachable(ctx: Context, subnet: Resource | None) -> bool:
    """Whether no public address in a subnet can be reached: it is known where its routes lead, and not to a gateway."""
    return (
        subnet is not None
        and route_table(ctx, subnet) is not None
        and reach_of(ctx, subnet) != "public"
    )


def _routes(ctx: Context, table: Resource) -> list[tuple[Any, Mapping[str, Any]]]:
    """(IPv4 network, route) of a table, in the order in which they are tried."""
    ranked: list[tuple[int, int, int, Any, Mapping[str, Any]]] = []
    for order, route in enumerate(table.record.get("Routes", [])):
        nets = [network_of(route.get("DestinationCidrBlock"))]
        listed = ctx.estate.find(
            "aws.ec2.managed_prefix_list", route.get("DestinationPrefixListId"), table
        )
        if listed is not None:
            nets = [network_of(each.get("Cidr")) for each in listed.record.get("Entries", [])]
        late = 2 if route.get("Origin") == "EnableVgwRoutePropagation" else int(listed is not None)
        ranked += [
            (-net.prefixlen, late, order, net, route)
            for net in nets
            if net is not None and net.version == 4
        ]
    return [(net, route) for *_, net, route in sorted(ranked, key=lambda row: row[:3])]


def _served(
    net: Any, routes: Sequence[tuple[Any, str]], good: Collection[str]
) -> tuple[list[Any], list[Any]]:
    """(parts of a network that the routes lead to something good, the other parts)."""
    left: list[Any] = [net]
    yes: list[Any] = []
    no: list[Any] = []
    for prefix, kind in routes:
        rest: list[Any] = []
        for part in left:
            if not part.overlaps(prefix):
                rest.append(part)
                continue
            inside = part if part.subnet_of(prefix) else prefix
            (yes if kind in good else no).append(inside)
            if inside != part:
                rest += part.address_exclude(prefix)
        left = rest
    return yes, no + left


def peers_of(ctx: Context, vpc: str, near: Resource) -> Iterator[tuple[str, list[Any]]]:
    """(id of an active peering connection, the IPv4 networks on its other side) of a VPC."""
    for each in ctx.estate.of("aws.ec2.vpc_peering_connection"):
        sides = [each.record.get(key) or {} for key in ("RequesterVpcInfo", "AccepterVpcInfo")]
        if (each.record.get("Status") or {}).get("Code") not in (None, "active"):
            continue
        for mine, other in (sides, sides[::-1]):
            if mine.get("VpcId") == vpc and ctx.key("aws.ec2.vpc", other.get("VpcId"), near):
                cidrs = [one.get("CidrBlock") for one in other.get("CidrBlockSet", [])]
                nets = [network_of(one) for one in cidrs or [other.get("CidrBlock")]]
                yield each.id, [net for net in nets if net is not None and net.version == 4]


def cidrs_of(vpc: Mapping[str, Any]) -> list[str]:
    """The IPv4 blocks of a VPC."""
    held = vpc.get("CidrBlockAssociationSet")
    listed = (
        [str(each["CidrBlock"]) for each in held if each.get("CidrBlock")]
        if isinstance(held, list)
        else []
    )
    return listed or [str(vpc.get("CidrBlock"))]


# ---------------------------------------------------------------------------------------------- ways


@dataclass(frozen=True, slots=True)
class Way:
    """What stands between a subnet and others at AWS and not at the target: so it narrows the groups there.

    `acl`: its access list, where narrow. `table`: its route table, where networks that the router of
    the target reaches are not reached (`barred_out`) or not answered (`barred_in`). `nats`: each NAT
    gateway that its routes name, with the access list of the subnet it is in, where narrow;
    `nat_only`: only the protocols that AWS's gateway passes shall pass.
    """

    acl: Resource | None = None
    table: Resource | None = None
    barred_in: tuple[Any, ...] = ()
    barred_out: tuple[Any, ...] = ()
    nats: tuple[tuple[str, Resource | None], ...] = ()
    nat_only: bool = False
    routes: tuple[tuple[Any, str], ...] = ()
    home: Any = None

    @property
    def role(self) -> str:
        """Its name by the keys of what makes it narrow, which no tag moves; "" where nothing does."""
        parts = [f"in {self.acl.key}"] if self.acl else []
        if self.table:
            parts.append(f"by {self.table.key}")
        lists = [f"{nat} in {acl.key}" for nat, acl in self.nats if acl]
        if lists:
            parts.append(f"from {self.home} through {' and '.join(lists)}")
        if self.nat_only:
            parts.append("translated")
        return " ".join(parts)


def way_of(ctx: Context, subnet: Resource | None) -> Way:
    """The way out of and into a subnet, worked out once."""
    if subnet is None:
        return Way()
    if (known := ctx.memo.get(f"way {subnet.key}")) is not None:
        return cast("Way", known)
    ctx.memo[f"way {subnet.key}"] = way = _way(ctx, subnet)
    return way


def _way(ctx: Context, subnet: Resource) -> Way:
    acl = access_list(ctx, subnet)
    own_list = None if open_both_ways(acl) else acl
    table = route_table(ctx, subnet)
    vpc = ctx.estate.find("aws.ec2.vpc", subnet.record.get("VpcId"), subnet)
    if table is None or vpc is None:
        return Way(own_list)
    routes = tuple((net, _kind(ctx, subnet, route)) for net, route in _routes(ctx, table))
    barred: list[Any] = []
    known: list[Any] = list(_PRIVATE)
    if any(kind == "local" for _, kind in routes):
        for own in map(network_of, cidrs_of(vpc.record)):
            if own is not None and any(net.overlaps(own) for net, _ in routes):
                barred += _served(own, routes, {"local"})[1]
                known.append(own)
    for id_, nets in peers_of(ctx, vpc.id, subnet):
        known += nets
        for net in nets:
            barred += _served(net, routes, {id_})[1]
    reach = reach_of(ctx, subnet)
    stopped: list[Any] = []
    deaf: list[Any] = []
    nats: list[tuple[str, Resource | None]] = []
    if reach != "isolated":
        whole = ipaddress.IPv4Network("0.0.0.0/0")
        used = sorted({kind for _, kind in routes if kind.startswith("nat-")})
        stopped = _served(whole, routes, {"public", "service", *used})[1]
        if reach == "public":
            deaf = _served(whole, routes, {"public", "service"})[1]
        for id_ in used:
            gateway = ctx.estate.find("aws.ec2.nat_gateway", id_, subnet)
            home = gateway and ctx.estate.find(
                "aws.ec2.subnet", gateway.record.get("SubnetId"), gateway
            )
            beyond = route_table(ctx, home) if home else None
            if home and beyond:
                onward = [(net, _kind(ctx, home, route)) for net, route in _routes(ctx, beyond)]
                for part in _served(whole, routes, {id_})[0]:
                    stopped += _served(part, onward, {"public"})[1]
            acl = access_list(ctx, home)
            nats.append((id_, None if open_both_ways(acl) else acl))
    out = tuple(ipaddress.collapse_addresses([*barred, *_public(stopped, known)]))
    into = tuple(ipaddress.collapse_addresses([*barred, *_public(deaf, known)]))
    return Way(
        own_list, table if out or into else None, into, out, tuple(nats),
        bool(nats) and nat_protocols(ctx, vpc) == "refuse", routes, network_of(subnet.record.get("CidrBlock")),
    )  # fmt: skip


def _public(nets: Iterable[Any], known: Iterable[Any]) -> list[Any]:
    """The parts of networks that are the internet's: a private one that no route leads to is nowhere."""
    others = [(each, "known") for each in sorted(known, key=lambda net: -net.prefixlen)]
    return [part for net in nets for part in _served(net, others, {"known"})[1]]


def nat_protocols(ctx: Context, vpc: Resource) -> str:
    """Whether what no NAT gateway of AWS passes may pass the router: `admit` or `refuse`."""
    return ctx.decide(
        vpc.key, "nat-protocols", text("May servers behind the NAT gateways of {name} send more than TCP, UDP and ICMP to the internet?", name=vpc.name),
        (
            Option("admit", "Yes, as their groups say", "The router translates every protocol; AWS's NAT gateway drops all but these three."),
            Option("refuse", "No", "Groups behind NAT gateways get a form of their own that names the three protocols."),
        ),
        "admit", "Hardly anything else is sent to the internet, and groups stay as short as they are.",
    )  # fmt: skip


def along(opening: Opening, way: Way, places: Sequence[str]) -> tuple[list[Opening], set[str]]:
    """(an opening as a way leaves it, by what it was cut: `acl`, `routes`, `nat`).

    `places`: where the members can be, for an opening to a group.
    """
    cut: set[str] = set()
    kept = [opening]
    for part, name in ((_by_routes, "routes"), (_by_list, "acl"), (_by_nat, "nat")):
        after: list[Opening] = []
        for each in kept:
            left, less = part(each, way, places)
            after += left
            if less:
                cut.add(name)
        kept = after
    return list(dict.fromkeys(kept)), cut


def _by_routes(opening: Opening, way: Way, places: Sequence[str]) -> tuple[list[Opening], bool]:
    barred = way.barred_out if opening.direction == "egress" else way.barred_in
    net: Any = network_of(opening.peer)
    if net is None:
        own = [each for each in map(network_of, places) if each is not None]
        met = any(each.version == 4 and each.overlaps(bar) for each in own for bar in barred)
        return ([] if met else [opening]), met
    if net.version == 6 or not any(net.overlaps(bar) for bar in barred):
        return [opening], False
    _, left = _served(net, [(bar, "barred") for bar in barred], {"barred"})
    return [replace(opening, peer=str(each)) for each in ipaddress.collapse_addresses(left)], True


def _by_list(opening: Opening, way: Way, places: Sequence[str]) -> tuple[list[Opening], bool]:
    return ([opening], False) if way.acl is None else narrowed(opening, way.acl, places)


def _by_nat(opening: Opening, way: Way, places: Sequence[str]) -> tuple[list[Opening], bool]:
    """What goes out through a NAT gateway also passes the list of its subnet, in and out."""
    net = network_of(opening.peer)
    lists = [(id_, acl) for id_, acl in way.nats if acl or way.nat_only]
    if opening.direction == "ingress" or net is None or net.version == 6 or not lists:
        return [opening], False
    kept: list[Opening] = []
    less = False
    for id_, acl in lists:
        asked = [replace(opening, peer=str(each)) for each in _served(net, way.routes, {id_})[0]]
        if opening.protocol == "any":
            less = less or bool(asked)
            asked = [replace(each, protocol=kind) for each in asked for kind in _SPLIT[4]]
        known = [each for each in asked if each.protocol in _SPLIT[4]]
        less = less or len(known) != len(asked)
        out = known if acl is None else _merged([o for e in known for o in _twice(e, acl, way)])
        less = less or sum(map(_size, out)) != sum(map(_size, known))
        kept += out
    if not less:
        return [opening], False
    _, past = _served(net, way.routes, {id_ for id_, _ in lists})
    rest = [replace(opening, peer=str(each)) for each in ipaddress.collapse_addresses(past)]
    return [*rest, *_merged(kept)], True


def _twice(opening: Opening, acl: Resource, way: Way) -> Iterator[Opening]:
    """What passes the list of a NAT gateway's subnet towards the gateway and out again, with its answers."""
    if way.home is None:
        return
    for part in passed([_box(opening, _net(opening))], acl, True):
        for piece in passed([replace(part, net=way.home)], acl, False):
            if piece.net != way.home or way.home not in _answered(piece, acl, False):
                continue
            for answered in _answered(replace(piece, net=part.net), acl, True):
                yield from _openings(opening, replace(piece, net=answered))


def _net(opening: Opening) -> Net:
    return ipaddress.ip_network(opening.peer)


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
            if entry.get("RuleAction") != "allow":
                rest += outside
            elif _one_code(entry):
                # An ACL tells codes apart, a box does not: what is allowed for one code stays refused.
                rest.append(box)
            else:
                out += inside
                rest += outside
        left = rest
        if not left:
            break
    return out


def _one_code(entry: Mapping[str, Any]) -> bool:
    return (entry.get("IcmpTypeCode") or {}).get("Code", -1) not in (-1, None) and protocol_of(
        entry.get("Protocol")
    ) in ("icmp", "ipv6-icmp")


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
        for each in _SPLIT[box.net.version]:
            a, b = _cut(
                replace(box, protocol=each, first=0, last=255 if "icmp" in each else 65535),
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


def narrowed(opening: Opening, acl: Resource, places: Sequence[str]) -> tuple[list[Opening], bool]:
    """(an opening as an ACL leaves it, whether anything was taken away).

    Access lists keep no state: the answers must pass as well, on every ephemeral port. An opening
    to members of a group is kept whole where the ACL lets it pass wherever they can be, else dropped.
    """
    egress = opening.direction == "egress"
    if network_of(opening.peer) is None:
        nets = [net for net in map(network_of, places) if net is not None and net.version == 4]
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
        nets = _answered(part, acl, egress)
        for answered in nets:
            out += _openings(opening, replace(part, net=answered))
        if part.protocol == "any":
            # Answers of one protocol that are denied do not stop those of another.
            unanswered = _served(part.net, [(each, "answered") for each in nets], {"answered"})[1]
            for kind in _SPLIT[part.net.version]:
                last = 255 if "icmp" in kind else 65535
                for each in unanswered:
                    box = replace(part, protocol=kind, first=0, last=last, net=each)
                    for answered in _answered(box, acl, egress):
                        out += _openings(opening, replace(box, net=answered))
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


def _openings(old: Opening, box: Box) -> list[Opening]:
    """A box as the target can say it: one ICMP type a rule, and no bound of 0, which is never sent."""
    kept = replace(old, protocol=box.protocol, peer=str(box.net))
    if box.protocol in ("icmp", "ipv6-icmp"):
        if (box.first, box.last) == (0, 255):
            return [replace(kept, first=None, last=None)]
        if old.protocol == box.protocol and old.first is not None:
            return [kept]
        return [
            replace(kept, first=kind, last=None)
            for kind in _SAID[box.protocol]
            if box.first <= kind <= box.last
        ]
    if (box.first, box.last) == (0, 65535):
        return [replace(kept, first=None, last=None)]
    if box.last == 0:
        return []
    return [replace(kept, first=max(box.first, 1), last=box.last)]


def _size(opening: Opening) -> int:
    net = network_of(opening.peer)
    ports = 65536
    if opening.first is not None:
        icmp = opening.protocol in ("icmp", "ipv6-icmp")
        last = opening.first if icmp or opening.last is None else opening.last
        ports = last - opening.first + 1
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

FROM_BALANCER = "from the load balancer"
"""Why an opening that no group of AWS has is there: the balancer's own ports reach its members."""


def openings_of(ctx: Context, group: Resource) -> Iterator[Opening | tuple[str, Text | str]]:
    """The openings of a security group, or (field, reason) of what cannot be said at the target."""
    for direction, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        for permission in group.record.get(member, []):
            yield from _permission(ctx, group, direction, member, permission)


def _permission(
    ctx: Context, group: Resource, direction: Any, member: str, permission: Mapping[str, Any]
) -> Iterator[Opening | tuple[str, Text | str]]:
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
                text(
                    "A list of AWS's own addresses ({name}) means nothing at the target; what it let pass is refused.",
                    name=held.name if held else text("not read"),
                ),
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
                text(
                    "A reference to a group of another VPC ({name}) cannot be kept; its members are refused.",
                    name=other.name,
                )
                if other
                else "A reference to a group that was not read cannot be kept; its members are refused.",
            )
            continue
        peers.append((other.key, 4, each.get("Description", "")))
    if protocol == "0":
        yield (
            f"{member}.IpProtocol",
            "Protocol 0 alone cannot be said: it means every protocol at the target; it is refused.",
        )
        return
    for peer, family, why in peers:
        if protocol == ("ipv6-icmp" if family == 4 else "icmp"):
            yield (
                f"{member}.IpProtocol",
                text(
                    "IPv{family} does not carry {protocol}; the target refuses such a rule, and nothing needs it.",
                    family=family,
                    protocol=protocol,
                ),
            )
            continue
        for ranged in _ranges(protocol, first, last):
            if isinstance(ranged, Text):
                yield f"{member}.FromPort", ranged
            else:
                yield Opening(
                    direction,
                    protocol,
                    ranged[0],
                    ranged[1],
                    peer,
                    6 if family == 6 else 4,
                    why,
                )


def _ranges(
    protocol: str, first: int | None, last: int | None
) -> Iterator[tuple[int | None, int | None] | Text]:
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
            yield text(
                "ICMP type {kind}, code {code}, cannot be told apart from every type; it is refused (answers to one's own pings still come)."
                if code is not None
                else "ICMP type {kind} cannot be told apart from every type; it is refused (answers to one's own pings still come).",
                kind=kind,
                code=code or 0,
            )
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
            yield text("{protocol} port 0 alone cannot be said; it is refused.", protocol=protocol)
        else:
            if low == 0:
                yield text(
                    "{protocol} port 0 of the range 0-{high} is refused.",
                    protocol=protocol,
                    high=high,
                )
            yield max(low, 1), high
    else:
        yield None, None
