"""Raw boto3 records and a flow -> whether AWS lets it and its answer pass, and where it stops.

Sources: Amazon VPC User Guide (security groups, network ACLs, route tables, NAT gateways, internet
gateways) and VPC Peering Guide, as published in 2025. What the records cannot tell is refused with
a reason that says so: what a guest forwards (NAT instances, appliances), transit and VPN gateways,
service endpoints, regional NAT gateways, account-wide Block Public Access.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from tests.reference import Flow, Internet, Nic, Verdict

Record = Mapping[str, Any]
Prefix = tuple[int, int, int]
"""Family, first and last address as integers."""
Port = int | tuple[int, int]

ANY, ICMP, TCP, UDP, ICMPV6 = -1, 1, 6, 17, 58
NUMBERS = {"-1": ANY, "icmp": ICMP, "tcp": TCP, "udp": UDP, "icmpv6": ICMPV6}
ECHOES = {(ICMP, 8): 0, (ICMP, 13): 14, (ICMP, 17): 18, (ICMPV6, 128): 129}
NAT_PROTOCOLS = frozenset({TCP, UDP, ICMP})


@lru_cache(maxsize=65536)
def _prefix(text: str) -> Prefix:
    net = ip_network(text, strict=False)
    return net.version, int(net.network_address), int(net.broadcast_address)


@lru_cache(maxsize=65536)
def _address(text: str) -> tuple[int, int]:
    address = ip_address(text)
    return address.version, int(address)


def _number(protocol: str | int) -> int:
    if isinstance(protocol, int):
        return protocol
    found = NUMBERS.get(protocol)
    return int(protocol) if found is None else found


@dataclass(frozen=True, slots=True)
class _Permit:
    """A permission of a security group; `low` and `high` are type and code for ICMP."""

    group: str
    protocol: int
    low: int
    high: int
    prefixes: tuple[Prefix, ...]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of a network ACL."""

    number: int
    protocol: int
    low: int
    high: int
    prefix: Prefix
    allow: bool


@dataclass(frozen=True, slots=True)
class _Route:
    prefix: Prefix
    kind: str
    target: str
    live: bool


@dataclass(frozen=True, slots=True)
class _Subnet:
    id: str
    vpc: str
    ingress: tuple[_Entry, ...]
    egress: tuple[_Entry, ...]
    routes: tuple[_Route, ...]


@dataclass(frozen=True, slots=True)
class _Interface:
    id: str
    subnet: _Subnet
    addresses: Mapping[int, tuple[int, ...]]
    public: frozenset[int]
    groups: frozenset[str]
    ingress: tuple[_Permit, ...]
    egress: tuple[_Permit, ...]


@dataclass(frozen=True, slots=True)
class _Nat:
    subnet: _Subnet
    usable: bool


@dataclass(frozen=True, slots=True)
class _Peering:
    vpcs: frozenset[str]
    active: bool
    one_region: bool


class _Refused(Exception):  # noqa: N818  a verdict on its way up, not an error
    pass


class World:
    """An index over the records of one account.

    `records` has the lists of the Describe calls under their own result keys: Vpcs, Subnets,
    RouteTables, InternetGateways, NatGateways, NetworkAcls, SecurityGroups, NetworkInterfaces,
    Addresses, VpcPeeringConnections; and `PrefixListEntries`, one {PrefixListId, Entries} for each
    list read with GetManagedPrefixListEntries, whose answer does not name its list.
    Raises KeyError for an interface whose subnet or group is not among the records.
    """

    __slots__ = ("edge_routes", "gateways", "interfaces", "nats", "peerings")

    def __init__(self, records: Mapping[str, list[dict[str, Any]]]) -> None:
        def read(key: str) -> list[dict[str, Any]]:
            return records.get(key, [])

        lists = {
            one["PrefixListId"]: tuple(_prefix(entry["Cidr"]) for entry in one["Entries"])
            for one in read("PrefixListEntries")
        }
        self.gateways = {
            (one["InternetGatewayId"], bond["VpcId"])
            for one in read("InternetGateways")
            for bond in one.get("Attachments", ())
            if bond.get("State") in {"available", "attached"}
        }
        self.peerings = {
            one["VpcPeeringConnectionId"]: _peering(one) for one in read("VpcPeeringConnections")
        }
        subnets = _subnets(read("Subnets"), read("RouteTables"), read("NetworkAcls"), lists)
        self.edge_routes = {
            bond["GatewayId"]: _routes(table, lists)
            for table in read("RouteTables")
            for bond in table.get("Associations", ())
            if "GatewayId" in bond
        }
        self.nats = {
            one["NatGatewayId"]: _Nat(
                subnets[one["SubnetId"]],
                one.get("State", "available") == "available"
                and one.get("ConnectivityType", "public") == "public"
                and any("PublicIp" in each for each in one.get("NatGatewayAddresses", ())),
            )
            for one in read("NatGateways")
            if one.get("SubnetId") in subnets
        }
        groups = {one["GroupId"]: one for one in read("SecurityGroups")}
        leased: dict[str, set[str]] = {}
        for one in read("Addresses"):
            if "NetworkInterfaceId" in one:
                leased.setdefault(one["NetworkInterfaceId"], set()).add(one["PrivateIpAddress"])
        self.interfaces = {
            one["NetworkInterfaceId"]: _interface(
                one, subnets, groups, lists, leased.get(one["NetworkInterfaceId"], set())
            )
            for one in read("NetworkInterfaces")
        }


def _peering(record: Record) -> _Peering:
    ask, accept = record["RequesterVpcInfo"], record["AccepterVpcInfo"]
    return _Peering(
        frozenset({ask["VpcId"], accept["VpcId"]}),
        record["Status"]["Code"] == "active",
        ask.get("Region") == accept.get("Region"),
    )


def _subnets(
    subnets: Iterable[Record],
    tables: Iterable[Record],
    acls: Iterable[Record],
    lists: Mapping[str, tuple[Prefix, ...]],
) -> dict[str, _Subnet]:
    own_table: dict[str, Record] = {}
    main_table: dict[str, Record] = {}
    for table in tables:
        for bond in table.get("Associations", ()):
            if "SubnetId" in bond:
                own_table[bond["SubnetId"]] = table
            elif bond.get("Main"):
                main_table[table["VpcId"]] = table
    own_acl: dict[str, Record] = {}
    default_acl: dict[str, Record] = {}
    for acl in acls:
        if acl.get("IsDefault"):
            default_acl[acl["VpcId"]] = acl
        for bond in acl.get("Associations", ()):
            own_acl[bond["SubnetId"]] = acl
    found = {}
    for one in subnets:
        key, vpc = one["SubnetId"], one["VpcId"]
        acl = own_acl.get(key) or default_acl.get(vpc) or {}
        table = own_table.get(key) or main_table.get(vpc) or {}
        found[key] = _Subnet(
            key, vpc, _entries(acl, False), _entries(acl, True), _routes(table, lists)
        )
    return found


def _entries(acl: Record, egress: bool) -> tuple[_Entry, ...]:
    entries = []
    for one in acl.get("Entries", ()):
        if one["Egress"] != egress:
            continue
        protocol = _number(one["Protocol"])
        low, high = -1, -1
        if protocol in {TCP, UDP}:
            ports = one.get("PortRange", {"From": 0, "To": 65535})
            low, high = ports["From"], ports["To"]
        elif protocol in {ICMP, ICMPV6}:
            kind = one.get("IcmpTypeCode", {})
            low, high = kind.get("Type", -1), kind.get("Code", -1)
        cidr = one.get("CidrBlock") or one["Ipv6CidrBlock"]
        allow = one["RuleAction"] == "allow"
        entries.append(_Entry(one["RuleNumber"], protocol, low, high, _prefix(cidr), allow))
    return tuple(sorted(entries, key=lambda entry: (entry.number, entry.allow)))


ROUTE_KINDS = (
    ("NatGatewayId", "nat"),
    ("VpcPeeringConnectionId", "peering"),
    ("EgressOnlyInternetGatewayId", "egress-only"),
    ("TransitGatewayId", "transit gateway"),
    ("NetworkInterfaceId", "interface"),
    ("InstanceId", "interface"),
)


def _routes(table: Record, lists: Mapping[str, tuple[Prefix, ...]]) -> tuple[_Route, ...]:
    """Most specific first; then a CIDR before a prefix list before a propagated route."""
    ranked: list[tuple[int, int, int, _Route]] = []
    for order, one in enumerate(table.get("Routes", ())):
        cidr = one.get("DestinationCidrBlock") or one.get("DestinationIpv6CidrBlock")
        prefixes = (
            (_prefix(cidr),) if cidr else lists.get(one.get("DestinationPrefixListId", ""), ())
        )
        rank = 2 if one.get("Origin") == "EnableVgwRoutePropagation" else 0 if cidr else 1
        kind, target = _target(one)
        live = one.get("State", "active") == "active"
        for prefix in prefixes:
            width = prefix[2] - prefix[1]
            ranked.append((width, rank, order, _Route(prefix, kind, target, live)))
    ranked.sort(key=lambda row: row[:3])
    return tuple(row[3] for row in ranked)


def _target(route: Record) -> tuple[str, str]:
    for key, kind in ROUTE_KINDS:
        if route.get(key):
            return kind, route[key]
    gateway = route.get("GatewayId", "")
    if gateway == "local":
        return "local", ""
    return ("internet" if gateway.startswith("igw-") else "other gateway"), gateway


def _interface(
    record: Record,
    subnets: Mapping[str, _Subnet],
    groups: Mapping[str, Record],
    lists: Mapping[str, tuple[Prefix, ...]],
    leased: set[str],
) -> _Interface:
    privates = sorted(
        record.get("PrivateIpAddresses", ()), key=lambda one: not one.get("Primary", False)
    )
    mine = [groups[one["GroupId"]] for one in record.get("Groups", ())]
    public = leased | {
        one["PrivateIpAddress"] for one in privates if "PublicIp" in one.get("Association", {})
    }
    return _Interface(
        record["NetworkInterfaceId"],
        subnets[record["SubnetId"]],
        {
            4: tuple(_address(one["PrivateIpAddress"])[1] for one in privates),
            6: tuple(_address(one["Ipv6Address"])[1] for one in record.get("Ipv6Addresses", ())),
        },
        frozenset(_address(text)[1] for text in public),
        frozenset(one["GroupId"] for one in mine),
        tuple(_permits(mine, "IpPermissions", lists)),
        tuple(_permits(mine, "IpPermissionsEgress", lists)),
    )


def _permits(
    groups: Iterable[Record], key: str, lists: Mapping[str, tuple[Prefix, ...]]
) -> Iterator[_Permit]:
    for group in groups:
        for one in group.get(key, ()):
            prefixes = [_prefix(each["CidrIp"]) for each in one.get("IpRanges", ())]
            prefixes += [_prefix(each["CidrIpv6"]) for each in one.get("Ipv6Ranges", ())]
            for each in one.get("PrefixListIds", ()):
                prefixes += lists.get(each["PrefixListId"], ())
            yield _Permit(
                group["GroupId"],
                _number(one["IpProtocol"]),
                one.get("FromPort", -1),
                one.get("ToPort", -1),
                tuple(prefixes),
                frozenset(each["GroupId"] for each in one.get("UserIdGroupPairs", ())),
            )


def _covers(rule: _Permit | _Entry, protocol: int, port: Port) -> bool:
    if rule.protocol == ANY:
        return True
    if rule.protocol != protocol:
        return False
    if isinstance(port, tuple):
        return rule.low == -1 or (rule.low == port[0] and rule.high in {-1, port[1]})
    if protocol in {TCP, UDP}:
        return rule.low == -1 or rule.low <= port <= rule.high
    return True


def _group(
    name: str,
    permits: tuple[_Permit, ...],
    asked: tuple[int, Port],
    peer: tuple[int, int],
    peer_groups: frozenset[str],
) -> str:
    protocol, port = asked
    family, address = peer
    for permit in permits:
        if not _covers(permit, protocol, port):
            continue
        if not permit.groups.isdisjoint(peer_groups):
            return f"{name}: {permit.group} admits the group"
        for prefix in permit.prefixes:
            if prefix[0] == family and prefix[1] <= address <= prefix[2]:
                return f"{name}: {permit.group} admits the address"
    raise _Refused(f"{name}: no rule of its security groups admits it")


def _acl(
    subnet: _Subnet, egress: bool, asked: tuple[int, Port], peer: tuple[int, int], what: str
) -> str:
    protocol, port = asked
    family, address = peer
    way = "out of" if egress else "into"
    for entry in subnet.egress if egress else subnet.ingress:
        prefix = entry.prefix
        if (
            prefix[0] == family
            and prefix[1] <= address <= prefix[2]
            and _covers(entry, protocol, port)
        ):
            if entry.allow:
                return f"{what} {way} {subnet.id}: rule {entry.number} allows"
            raise _Refused(f"{what} {way} {subnet.id}: rule {entry.number} denies")
    raise _Refused(f"{what} {way} {subnet.id}: no rule of its ACL matches")


def _route(routes: tuple[_Route, ...], to: tuple[int, int], where: str) -> _Route:
    family, address = to
    for route in routes:
        prefix = route.prefix
        if prefix[0] == family and prefix[1] <= address <= prefix[2]:
            if not route.live:
                raise _Refused(f"{where}: the route is a blackhole")
            return route
    raise _Refused(f"{where}: no route")


def _card(world: World, nic: Nic, family: int) -> tuple[_Interface, tuple[int, int]]:
    card = world.interfaces[nic.id]
    mine = card.addresses[family]
    if nic.address:
        asked = _address(nic.address)
        if asked[0] != family or asked[1] not in mine:
            raise _Refused(f"{nic.id}: {nic.address} is not an IPv{family} address of it")
        return card, asked
    if not mine:
        raise _Refused(f"{nic.id}: it has no IPv{family} address")
    return card, (family, mine[0])


def admits(world: World, flow: Flow) -> Verdict:
    """(world, flow) -> admitted or not, and why.

    Raises KeyError for an interface that the world does not have, TypeError for a flow between two
    Internet addresses.
    """
    protocol = _number(flow.protocol)
    why: list[str] = []
    asked = (protocol, flow.port)
    answer: tuple[int, Port] | None
    if isinstance(flow.port, tuple):
        echo = ECHOES.get((protocol, flow.port[0]))
        answer = None if echo is None else (protocol, (echo, 0))
    else:
        answer = (protocol, flow.src_port)
    try:
        if protocol == (ICMPV6 if flow.family == 4 else ICMP):
            raise _Refused(f"IPv{flow.family} does not carry protocol {protocol}")
        if isinstance(flow.src, Nic) and isinstance(flow.dst, Nic):
            _within(world, flow, asked, answer, why)
        elif isinstance(flow.src, Nic) and isinstance(flow.dst, Internet):
            _outward(world, flow.src, _address(flow.dst.address), asked, answer, why)
        elif isinstance(flow.src, Internet) and isinstance(flow.dst, Nic):
            _inward(world, _address(flow.src.address), flow.dst, asked, answer, why)
        else:
            raise TypeError("one end of a flow must be a network interface")
    except _Refused as refused:
        return Verdict(False, (*why, str(refused)))
    return Verdict(True, tuple(why))


def _within(
    world: World,
    flow: Flow,
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
) -> None:
    assert isinstance(flow.src, Nic)
    assert isinstance(flow.dst, Nic)
    src, here = _card(world, flow.src, flow.family)
    dst, there = _card(world, flow.dst, flow.family)
    home, away = src.subnet, dst.subnet
    named_src, named_dst = src.groups, dst.groups
    if home.vpc != away.vpc:
        peering = _crossing(world, home, away, there)
        if answer and _crossing(world, away, home, here) is not peering:
            raise _Refused(f"{away.id}: the answer takes another peering connection")
        why.append("over a peering connection")
        if not peering.one_region:
            # A group can be referenced across a peering connection within one Region only.
            named_src = named_dst = frozenset()
    elif home is not away:
        _local(home, there)
        if answer:
            _local(away, here)
        why.append("local route")
    why.append(_group(src.id, src.egress, asked, there, named_dst))
    if home is not away:
        # An ACL stands at the border of its subnet: it does not see traffic inside.
        why.append(_acl(home, True, asked, there, "request"))
        why.append(_acl(away, False, asked, here, "request"))
    why.append(_group(dst.id, dst.ingress, asked, here, named_src))
    if answer and home is not away:
        why.append(_acl(away, True, answer, here, "answer"))
        why.append(_acl(home, False, answer, there, "answer"))


def _local(subnet: _Subnet, to: tuple[int, int]) -> None:
    route = _route(subnet.routes, to, subnet.id)
    if route.kind != "local":
        raise _Refused(f"{subnet.id}: routed to {route.kind} {route.target}, not local")


def _crossing(world: World, home: _Subnet, away: _Subnet, to: tuple[int, int]) -> _Peering:
    route = _route(home.routes, to, home.id)
    if route.kind != "peering":
        raise _Refused(f"{home.id}: routed to {route.kind}, which does not lead to {away.vpc}")
    peering = world.peerings.get(route.target)
    if peering is None or not peering.active:
        raise _Refused(f"{route.target}: the peering connection is not active")
    if peering.vpcs != {home.vpc, away.vpc}:
        raise _Refused(f"{route.target}: peering is not transitive")
    return peering


def _attached(world: World, subnet: _Subnet, route: _Route) -> None:
    if (route.target, subnet.vpc) not in world.gateways:
        raise _Refused(f"{route.target}: not attached to {subnet.vpc}")


def _outward(
    world: World,
    nic: Nic,
    there: tuple[int, int],
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
) -> None:
    card, here = _card(world, nic, there[0])
    home = card.subnet
    route = _route(home.routes, there, home.id)
    why.append(_group(card.id, card.egress, asked, there, frozenset()))
    why.append(_acl(home, True, asked, there, "request"))
    if route.kind == "internet":
        _attached(world, home, route)
        if here[0] == 4 and here[1] not in card.public:
            raise _Refused(f"{card.id}: an internet gateway translates public addresses only")
        if answer:
            _edge(world, route.target, here)
    elif route.kind == "nat":
        _translated(world, card, here, there, asked, answer, why, route.target)
    elif route.kind != "egress-only" or here[0] == 4:
        raise _Refused(f"{home.id}: routed to {route.kind} {route.target}, no way to the Internet")
    if answer:
        why.append(_acl(home, False, answer, there, "answer"))


def _translated(
    world: World,
    card: _Interface,
    here: tuple[int, int],
    there: tuple[int, int],
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
    target: str,
) -> None:
    nat = world.nats.get(target)
    if nat is None or not nat.usable:
        raise _Refused(f"{target}: not an available public NAT gateway in a subnet")
    if here[0] == 6:
        raise _Refused(f"{target}: IPv6 passes a NAT gateway only to reach IPv4")
    if asked[0] not in NAT_PROTOCOLS:
        raise _Refused(f"{target}: a NAT gateway carries TCP, UDP and ICMP only")
    route = _route(nat.subnet.routes, there, nat.subnet.id)
    if route.kind != "internet":
        raise _Refused(f"{nat.subnet.id}: the NAT gateway's own subnet leads to {route.kind}")
    _attached(world, nat.subnet, route)
    apart = nat.subnet is not card.subnet
    if apart:
        why.append(_acl(nat.subnet, False, asked, here, "request"))
    why.append(_acl(nat.subnet, True, asked, there, "request"))
    if answer:
        why.append(_acl(nat.subnet, False, answer, there, "answer"))
        if apart:
            why.append(_acl(nat.subnet, True, answer, here, "answer"))


def _edge(world: World, gateway: str, to: tuple[int, int]) -> None:
    routes = world.edge_routes.get(gateway)
    if routes is not None and _route(routes, to, gateway).kind != "local":
        raise _Refused(f"{gateway}: ingress is routed to an appliance, which is not evaluated")


def _inward(
    world: World,
    there: tuple[int, int],
    nic: Nic,
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
) -> None:
    card, here = _card(world, nic, there[0])
    home = card.subnet
    if here[0] == 4 and here[1] not in card.public:
        raise _Refused(f"{card.id}: it has no public address")
    # The request needs a gateway; the route back is what makes the subnet public.
    route = _route(home.routes, there, home.id)
    if route.kind != "internet":
        raise _Refused(f"{home.id}: the way back leads to {route.kind}, not to the gateway")
    _attached(world, home, route)
    _edge(world, route.target, here)
    why.append(_acl(home, False, asked, there, "request"))
    why.append(_group(card.id, card.ingress, asked, there, frozenset()))
    if answer:
        why.append(_acl(home, True, answer, there, "answer"))
