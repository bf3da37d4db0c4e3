"""Random AWS networks -> raw records, the flows worth asking about, and how a target differs.

The records have the output shapes of botocore's EC2 model (a test holds that). Nothing here decides
what passes: that is `aws_flows` and `openstack_flows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.reference import (
    Endpoint,
    Family,
    Flow,
    Internet,
    Nic,
    Verdict,
    aws_flows,
    openstack_flows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Record = dict[str, Any]
Records = dict[str, list[Record]]

KEYS = {
    "Vpcs": "DescribeVpcs",
    "Subnets": "DescribeSubnets",
    "RouteTables": "DescribeRouteTables",
    "InternetGateways": "DescribeInternetGateways",
    "EgressOnlyInternetGateways": "DescribeEgressOnlyInternetGateways",
    "NatGateways": "DescribeNatGateways",
    "NetworkAcls": "DescribeNetworkAcls",
    "SecurityGroups": "DescribeSecurityGroups",
    "NetworkInterfaces": "DescribeNetworkInterfaces",
    "Addresses": "DescribeAddresses",
    "VpcPeeringConnections": "DescribeVpcPeeringConnections",
    "PrefixLists": "DescribeManagedPrefixLists",
}
"""Result key -> the operation that answers with it. `PrefixListEntries` is the odd one out."""


def no_records() -> Records:
    return {key: [] for key in [*KEYS, "PrefixListEntries"]}


def vpc(name: str, cidr: str, cidr6: str = "") -> Record:
    made: Record = {
        "VpcId": name,
        "CidrBlock": cidr,
        "State": "available",
        "OwnerId": "111122223333",
        "InstanceTenancy": "default",
        "IsDefault": False,
        "CidrBlockAssociationSet": [{"CidrBlock": cidr, "CidrBlockState": {"State": "associated"}}],
    }
    if cidr6:
        made["Ipv6CidrBlockAssociationSet"] = [
            {"Ipv6CidrBlock": cidr6, "Ipv6CidrBlockState": {"State": "associated"}}
        ]
    return made


def subnet(name: str, vpc_id: str, cidr: str, cidr6: str = "") -> Record:
    made: Record = {
        "SubnetId": name,
        "VpcId": vpc_id,
        "CidrBlock": cidr,
        "AvailabilityZone": "eu-west-3a",
        "State": "available",
        "MapPublicIpOnLaunch": False,
    }
    if cidr6:
        made["Ipv6CidrBlockAssociationSet"] = [
            {"Ipv6CidrBlock": cidr6, "Ipv6CidrBlockState": {"State": "associated"}}
        ]
    return made


def route(to: str, **target: str) -> Record:
    """`route("0.0.0.0/0", GatewayId="igw-1")`; `to` is a CIDR of either family or a prefix list."""
    key = "DestinationCidrBlock"
    if to.startswith("pl-"):
        key = "DestinationPrefixListId"
    elif ":" in to:
        key = "DestinationIpv6CidrBlock"
    return {key: to, "State": "active", "Origin": "CreateRoute", **target}


def route_table(
    name: str, vpc_id: str, routes: Iterable[Record], *subnets: str, main: bool = False
) -> Record:
    bonds: list[Record] = [
        {"Main": False, "SubnetId": one, "RouteTableId": name} for one in subnets
    ]
    if main:
        bonds.append({"Main": True, "RouteTableId": name})
    return {"RouteTableId": name, "VpcId": vpc_id, "Routes": list(routes), "Associations": bonds}


def internet_gateway(name: str, *vpcs: str) -> Record:
    bonds = [{"VpcId": one, "State": "attached"} for one in vpcs]
    return {"InternetGatewayId": name, "Attachments": bonds}


def nat_gateway(name: str, vpc_id: str, subnet_id: str, private: str, public: str) -> Record:
    address = {"AllocationId": f"eipalloc-{name}", "PrivateIp": private, "PublicIp": public}
    return {
        "NatGatewayId": name,
        "VpcId": vpc_id,
        "SubnetId": subnet_id,
        "State": "available",
        "ConnectivityType": "public",
        "NatGatewayAddresses": [address],
    }


def entry(
    number: int,
    action: str,
    cidr: str = "0.0.0.0/0",
    protocol: str = "-1",
    ports: tuple[int, int] | None = None,
    *,
    egress: bool = False,
) -> Record:
    """A line of a network ACL; for protocol 1 and 58 `ports` are ICMP type and code."""
    made: Record = {
        "RuleNumber": number,
        "RuleAction": action,
        "Protocol": protocol,
        "Egress": egress,
        "Ipv6CidrBlock" if ":" in cidr else "CidrBlock": cidr,
    }
    if ports is not None and protocol in {"1", "58"}:
        made["IcmpTypeCode"] = {"Type": ports[0], "Code": ports[1]}
    elif ports is not None:
        made["PortRange"] = {"From": ports[0], "To": ports[1]}
    return made


def open_entries() -> list[Record]:
    """What a default network ACL allows: everything, both ways, both families."""
    return [
        entry(number, "allow", cidr, egress=egress)
        for egress in (False, True)
        for number, cidr in ((100, "0.0.0.0/0"), (101, "::/0"))
    ]


def last_entries() -> list[Record]:
    """The `*` lines that AWS adds and nobody can remove."""
    return [
        entry(number, "deny", cidr, egress=egress)
        for egress in (False, True)
        for number, cidr in ((32767, "0.0.0.0/0"), (32768, "::/0"))
    ]


def network_acl(
    name: str, vpc_id: str, entries: Iterable[Record], *subnets: str, default: bool = False
) -> Record:
    bonds = [
        {"NetworkAclAssociationId": f"aclassoc-{one}", "NetworkAclId": name, "SubnetId": one}
        for one in subnets
    ]
    return {
        "NetworkAclId": name,
        "VpcId": vpc_id,
        "IsDefault": default,
        "Entries": [*entries, *last_entries()],
        "Associations": bonds,
    }


def permission(protocol: str, ports: tuple[int, int] | None = None, *sources: str) -> Record:
    """`sources`: CIDRs of either family, `sg-...` and `pl-...`; `ports` are type and code for ICMP."""
    made: Record = {
        "IpProtocol": protocol,
        "IpRanges": [{"CidrIp": one} for one in sources if "." in one],
        "Ipv6Ranges": [{"CidrIpv6": one} for one in sources if ":" in one],
        "PrefixListIds": [{"PrefixListId": one} for one in sources if one.startswith("pl-")],
        "UserIdGroupPairs": [
            {"GroupId": one, "UserId": "111122223333"} for one in sources if one.startswith("sg-")
        ],
    }
    if ports is not None:
        made["FromPort"], made["ToPort"] = ports
    return made


def security_group(
    name: str, vpc_id: str, ingress: Iterable[Record], egress: Iterable[Record]
) -> Record:
    return {
        "GroupId": name,
        "GroupName": name,
        "Description": name,
        "OwnerId": "111122223333",
        "VpcId": vpc_id,
        "IpPermissions": list(ingress),
        "IpPermissionsEgress": list(egress),
    }


def interface(
    name: str,
    subnet_record: Record,
    address: str,
    groups: Iterable[str],
    *,
    public: str = "",
    address6: str = "",
) -> Record:
    own: Record = {"PrivateIpAddress": address, "Primary": True}
    if public:
        own["Association"] = {"PublicIp": public, "IpOwnerId": "amazon"}
    return {
        "NetworkInterfaceId": name,
        "SubnetId": subnet_record["SubnetId"],
        "VpcId": subnet_record["VpcId"],
        "Status": "in-use",
        "InterfaceType": "interface",
        "SourceDestCheck": True,
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [own],
        "Ipv6Addresses": [{"Ipv6Address": address6}] if address6 else [],
        "Groups": [{"GroupId": one, "GroupName": one} for one in groups],
    }


def peering(name: str, one: str, other: str, code: str = "active") -> Record:
    return {
        "VpcPeeringConnectionId": name,
        "RequesterVpcInfo": {"VpcId": one, "Region": "eu-west-3"},
        "AccepterVpcInfo": {"VpcId": other, "Region": "eu-west-3"},
        "Status": {"Code": code},
    }


def prefix_list(name: str, *cidrs: str) -> tuple[Record, Record]:
    """The record of DescribeManagedPrefixLists, and the entries under the list's id."""
    listed = {"PrefixListId": name, "PrefixListName": name, "State": "create-complete"}
    return listed, {"PrefixListId": name, "Entries": [{"Cidr": one} for one in cidrs]}


# Random networks

LOCAL = {"GatewayId": "local", "Origin": "CreateRouteTable"}
PORTS = st.sampled_from([0, 1, 22, 80, 443, 1023, 1024, 5432, 8080, 50000, 65535])
PREFIX_LIST = "pl-1"
OUTSIDE = ("198.51.100.0/24", "203.0.113.7/32", "0.0.0.0/0", "2001:db8:ffff::/48", "::/0")


@st.composite
def permissions(draw: st.DrawFn, sources: tuple[str, ...]) -> Record:
    chosen = draw(st.lists(st.sampled_from(sources), min_size=1, max_size=2, unique=True))
    kind = draw(st.sampled_from(["tcp", "tcp", "tcp", "udp", "icmp", "icmpv6", "-1", "47"]))
    if kind in {"tcp", "udp"}:
        low, high = sorted((draw(PORTS), draw(PORTS)))
        return permission(kind, (low, high), *chosen)
    if kind in {"icmp", "icmpv6"}:
        return permission(
            kind, draw(st.sampled_from([(-1, -1), (0, 0), (8, -1), (128, 0)])), *chosen
        )
    return permission(kind, None, *chosen)


@st.composite
def entries(draw: st.DrawFn, inside: tuple[str, ...]) -> list[Record]:
    """Lines with unique numbers in no order; often enough the open ones, so that flows remain."""
    made = [] if draw(st.integers(0, 3)) == 0 else [dict(one) for one in open_entries()]
    for one in made:
        one["RuleNumber"] += 400
    numbers = draw(st.lists(st.integers(1, 400), max_size=5, unique=True))
    for number in numbers:
        protocol = draw(st.sampled_from(["6", "6", "17", "1", "-1"]))
        ports = None
        if protocol in {"6", "17"}:
            low, high = sorted((draw(PORTS), draw(PORTS)))
            ports = (low, high)
        elif protocol == "1":
            ports = draw(st.sampled_from([(-1, -1), (8, -1), (0, 0)]))
        cidr = draw(st.sampled_from((*inside, *OUTSIDE)))
        if protocol == "1" and ":" in cidr:
            protocol = "58"
        action = draw(st.sampled_from(["deny", "allow"]))
        made.append(entry(number, action, cidr, protocol, ports, egress=draw(st.booleans())))
    return made


@st.composite
def aws_worlds(draw: st.DrawFn) -> Records:
    """1-2 VPCs, 1-4 subnets each public, private or isolated, 1-5 groups, 2-6 interfaces."""
    records = no_records()
    count = draw(st.integers(1, 2))
    vpcs = [f"vpc-{index}" for index in range(count)]
    six = draw(st.booleans())
    peered = count == 2 and draw(st.booleans())
    listed, members = prefix_list(PREFIX_LIST, "198.51.100.64/26", "10.0.0.0/24")
    records["PrefixLists"].append(listed)
    records["PrefixListEntries"].append(members)
    if peered:
        code = draw(st.sampled_from(["active", "active", "pending-acceptance"]))
        records["VpcPeeringConnections"].append(peering("pcx-1", vpcs[0], vpcs[1], code))
    for index, name in enumerate(vpcs):
        _vpc_parts(draw, records, index, name, six, peered)
    names = [f"sg-{index}" for index in range(draw(st.integers(1, 5)))]
    homes = {name: draw(st.sampled_from(vpcs)) for name in names}
    for name in vpcs:
        if name not in homes.values():
            homes[f"sg-of-{name}"] = name
    inside = tuple(one["CidrBlock"] for one in records["Subnets"])
    for name, home in homes.items():
        near = tuple(each for each, where in homes.items() if peered or where == home)
        sources = (*near, *near, *inside, *OUTSIDE, PREFIX_LIST)
        ingress = draw(st.lists(permissions(sources), max_size=3))
        egress = [permission("-1", None, "0.0.0.0/0", "::/0")]
        if draw(st.integers(0, 3)) == 0:
            egress = draw(st.lists(permissions(sources), max_size=2))
        records["SecurityGroups"].append(security_group(name, home, ingress, egress))
    for index in range(draw(st.integers(2, 6))):
        place = draw(st.sampled_from(records["Subnets"]))
        own = [name for name, where in homes.items() if where == place["VpcId"]]
        groups = draw(st.lists(st.sampled_from(own), min_size=1, max_size=2, unique=True))
        address6 = ""
        if six and draw(st.booleans()):
            net = place["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
            address6 = str(ip_network(net)[16 + index])
        records["NetworkInterfaces"].append(
            interface(
                f"eni-{index}",
                place,
                str(ip_network(place["CidrBlock"])[16 + index]),
                groups,
                public=f"192.0.2.{16 + index}" if draw(st.booleans()) else "",
                address6=address6,
            )
        )
    return records


def _vpc_parts(
    draw: st.DrawFn, records: Records, index: int, name: str, six: bool, peered: bool
) -> None:
    cidr, cidr6 = f"10.{index}.0.0/16", f"2001:db8:{index}::/56" if six else ""
    records["Vpcs"].append(vpc(name, cidr, cidr6))
    gateway = f"igw-{index}"
    records["InternetGateways"].append(internet_gateway(gateway, name))
    kinds = draw(
        st.lists(
            st.sampled_from(["public", "public", "private", "isolated"]), min_size=1, max_size=4
        )
    )
    subnets = [
        subnet(
            f"subnet-{index}-{number}",
            name,
            f"10.{index}.{number}.0/24",
            f"2001:db8:{index}:{number:x}::/64" if six else "",
        )
        for number in range(len(kinds))
    ]
    records["Subnets"] += subnets
    base = [route(cidr, **LOCAL)] + ([route(cidr6, **LOCAL)] if six else [])
    if peered and draw(st.integers(0, 3)):
        base.append(route(f"10.{1 - index}.0.0/16", VpcPeeringConnectionId="pcx-1"))
    outward: dict[str, list[Record]] = {"isolated": [], "public": [], "private": []}
    outward["public"] = [route("0.0.0.0/0", GatewayId=gateway)]
    if six:
        outward["public"].append(route("::/0", GatewayId=gateway))
        outward["private"].append(route("::/0", EgressOnlyInternetGatewayId=f"eigw-{index}"))
        bonds = [{"VpcId": name, "State": "attached"}]
        records["EgressOnlyInternetGateways"].append(
            {"EgressOnlyInternetGatewayId": f"eigw-{index}", "Attachments": bonds}
        )
    if "public" in kinds:
        home = subnets[kinds.index("public")]
        nat = f"nat-{index}"
        records["NatGateways"].append(
            nat_gateway(nat, name, home["SubnetId"], f"10.{index}.0.5", f"192.0.2.{5 + index}")
        )
        outward["private"].append(route("0.0.0.0/0", NatGatewayId=nat))
    main = draw(st.sampled_from(["isolated", "public", "private"]))
    if draw(st.integers(0, 4)) == 0:
        blackhole = route("198.51.100.128/25", NetworkInterfaceId="eni-gone")
        blackhole["State"] = "blackhole"
        outward["public"].append(blackhole)
    for kind, routes in outward.items():
        own = [
            one["SubnetId"]
            for one, asked in zip(subnets, kinds, strict=True)
            if asked == kind != main
        ]
        if own or kind == main:
            table = route_table(f"rtb-{index}-{kind}", name, base + routes, *own, main=kind == main)
            records["RouteTables"].append(table)
    inside = tuple(one["CidrBlock"] for one in subnets)
    fenced = draw(st.lists(st.sampled_from(subnets), max_size=1))
    ids = [one["SubnetId"] for one in fenced]
    rest = [one["SubnetId"] for one in subnets if one["SubnetId"] not in ids]
    records["NetworkAcls"].append(
        network_acl(f"acl-{index}-default", name, open_entries(), *rest, default=True)
    )
    if ids:
        lines = draw(entries(inside))
        records["NetworkAcls"].append(network_acl(f"acl-{index}-own", name, lines, *ids))


# Flows worth asking about

PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
SIZES = {"tcp": 65535, "udp": 65535}
NAMED = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}


def questions(records: Records) -> list[tuple[str | int, int | tuple[int, int]]]:
    """Protocols and ports at the edges of every rule: one below, first, last, one above."""
    found: set[tuple[str, int, int]] = {("tcp", 443, -1), ("udp", 53, -1), ("icmp", 8, 0)}
    bounds = [
        (one["IpProtocol"], one.get("FromPort"), one.get("ToPort"))
        for group in records["SecurityGroups"]
        for key in ("IpPermissions", "IpPermissionsEgress")
        for one in group[key]
    ]
    for acl in records["NetworkAcls"]:
        for one in acl["Entries"]:
            ports, kind = one.get("PortRange", {}), one.get("IcmpTypeCode", {})
            first = ports.get("From", kind.get("Type"))
            last = ports.get("To", kind.get("Code"))
            bounds.append((one["Protocol"], first, last))
    for protocol, first, last in bounds:
        name = NAMED.get(protocol, protocol)
        if name in SIZES and first is not None:
            edges = {first - 1, first, last, last + 1}
            found |= {(name, port, -1) for port in edges if 0 <= port <= SIZES[name]}
        elif name in {"icmp", "icmpv6"}:
            kinds = {0, 8, 128} if first in {None, -1} else {max(first - 1, 0), first, first + 1}
            codes = {0, 1} if last in {None, -1} else {last, last + 1}
            found |= {(name, kind, code) for kind in kinds for code in codes}
        elif name.isdigit():
            found.add((name, 0, -1))
    return [
        (int(name) if name.isdigit() else name, port if code == -1 else (port, code))
        for name, port, code in sorted(found)
    ]


def outsiders(records: Records) -> list[str]:
    """Internet addresses at the edges of every CIDR that some rule or route names."""
    texts: set[str] = {"203.0.113.99/32", "2001:db8:eeee::1/128"}
    for group in records["SecurityGroups"]:
        for one in [*group["IpPermissions"], *group["IpPermissionsEgress"]]:
            texts |= {each["CidrIp"] for each in one["IpRanges"]}
            texts |= {each["CidrIpv6"] for each in one["Ipv6Ranges"]}
    for acl in records["NetworkAcls"]:
        texts |= {one.get("CidrBlock") or one["Ipv6CidrBlock"] for one in acl["Entries"]}
    for table in records["RouteTables"]:
        for one in table["Routes"]:
            cidr = one.get("DestinationCidrBlock") or one.get("DestinationIpv6CidrBlock")
            texts |= {cidr} if cidr else set()
    for listed in records["PrefixListEntries"]:
        texts |= {one["Cidr"] for one in listed["Entries"]}
    own = [ip_network(one["CidrBlock"]) for one in records["Vpcs"]]
    for one in records["Vpcs"]:
        blocks = one.get("Ipv6CidrBlockAssociationSet", ())
        own += [ip_network(each["Ipv6CidrBlock"]) for each in blocks]
    edges = set()
    for text in texts:
        net = ip_network(text)
        if net.prefixlen:
            edges |= {net[0], net[-1], net[-1] + 1}
    return [
        str(address)
        for address in sorted(edges, key=lambda each: (each.version, int(each)))
        if not any(address in net for net in (*PRIVATE, *own)) and not address.is_multicast
    ]


def flows(records: Records) -> Iterator[Flow]:
    """Every pair of interfaces and Internet addresses, asked every question, in a fixed order."""
    asked = questions(records)
    families: dict[str, list[Family]] = {
        one["NetworkInterfaceId"]: [4, 6] if one["Ipv6Addresses"] else [4]
        for one in records["NetworkInterfaces"]
    }
    outside = [(text, ip_address(text).version) for text in outsiders(records)]
    pairs: list[tuple[Endpoint, Endpoint, Family]] = []
    for one, mine in families.items():
        for family in mine:
            pairs += [
                (Nic(one), Nic(other), family)
                for other, theirs in families.items()
                if other != one and family in theirs
            ]
            for text, version in outside:
                if version == family:
                    pairs.append((Nic(one), Internet(text), family))
                    pairs.append((Internet(text), Nic(one), family))
    for src, dst, family in pairs:
        for protocol, port in asked:
            if protocol != ("icmpv6" if family == 4 else "icmp"):
                yield Flow(src, dst, protocol, port, family)


# The comparison


@dataclass(frozen=True, slots=True)
class Difference:
    """How a target differs from AWS: (flow, why AWS, why the target) each.

    `widened`: the target admits what AWS refuses; must be empty. `narrowed`: AWS admits it, the
    target refuses; must be declared as losses. `refused_rules`: rules that Neutron will not take.
    """

    widened: tuple[tuple[Flow, tuple[str, ...], tuple[str, ...]], ...]
    narrowed: tuple[tuple[Flow, tuple[str, ...], tuple[str, ...]], ...]
    refused_rules: tuple[str, ...]
    asked: int
    admitted: int


def compare(
    records: Records,
    nodes: Iterable[Mapping[str, Any]],
    eni_to_port: Mapping[str, str],
    asked: Iterable[Flow] | None = None,
    *,
    default_group: openstack_flows.DefaultGroup = "allow all",
    ipv6_routed: bool = True,
) -> Difference:
    """(AWS records, planned nodes, interface id -> port name) -> what is wider, what is narrower.

    An interface without port is absent at the target: nothing of it is admitted there. `asked`
    replaces the flows of `flows(records)`.
    """
    source = aws_flows.World(records)
    target = openstack_flows.World(nodes, default_group=default_group, ipv6_routed=ipv6_routed)
    widened, narrowed = [], []
    count = admitted = 0
    for flow in flows(records) if asked is None else asked:
        count += 1
        before = aws_flows.admits(source, flow)
        admitted += before.allowed
        src, dst = _carried(flow.src, eni_to_port), _carried(flow.dst, eni_to_port)
        if src is None or dst is None:
            after = Verdict(False, ("an end has no port at the target",))
        else:
            there = Flow(src, dst, flow.protocol, flow.port, flow.family, flow.src_port)
            after = openstack_flows.admits(target, there)
        if after.allowed and not before.allowed:
            widened.append((flow, before.why, after.why))
        elif before.allowed and not after.allowed:
            narrowed.append((flow, before.why, after.why))
    return Difference(tuple(widened), tuple(narrowed), tuple(target.problems), count, admitted)


def _carried(end: Endpoint, eni_to_port: Mapping[str, str]) -> Endpoint | None:
    if isinstance(end, Internet):
        return end
    port = eni_to_port.get(end.id)
    return None if port is None else Nic(port, end.address)
