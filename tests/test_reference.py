"""The referee of network security, judged by hand-worked truth and by laws it must obey itself.

`source` of a case is the documented behaviour it rests on: Amazon VPC User Guide (UG), VPC Peering
Guide (PG), Neutron administration guide and API reference (N), the OpenStack provider (P).
"""

from __future__ import annotations

import ast
import ipaddress
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference import Flow, Internet, Nic, aws_flows, openstack_flows, worlds
from tests.reference.worlds import Records, entry, permission, route

NET = Internet("203.0.113.99")
NET6 = Internet("2001:db8:eeee::1")
ANY = ("0.0.0.0/0", "::/0")


def nic(name: str) -> Nic:
    return Nic(f"eni-{name}")


def tcp(src: Any, dst: Any, port: int = 443, family: Any = 4, src_port: int = 50000) -> Flow:
    return Flow(src, dst, "tcp", port, family, src_port)


def ping(src: Any, dst: Any, family: Any = 4) -> Flow:
    return Flow(
        src, dst, "icmp" if family == 4 else "icmpv6", (8 if family == 4 else 128, 0), family
    )


# One AWS account, worked out by hand: a public, a private and an isolated subnet, and a peer VPC.


def account() -> Records:
    records = worlds.no_records()
    subnets = {
        "pub": worlds.subnet("subnet-pub", "vpc-a", "10.0.0.0/24", "2001:db8:a:0::/64"),
        "priv": worlds.subnet("subnet-priv", "vpc-a", "10.0.1.0/24", "2001:db8:a:1::/64"),
        "iso": worlds.subnet("subnet-iso", "vpc-a", "10.0.2.0/24"),
        "peer": worlds.subnet("subnet-peer", "vpc-b", "10.1.0.0/24"),
        "far": worlds.subnet("subnet-far", "vpc-c", "10.2.0.0/24"),
    }
    records["Subnets"] = list(subnets.values())
    records["Vpcs"] = [
        worlds.vpc("vpc-a", "10.0.0.0/16", "2001:db8:a::/56"),
        worlds.vpc("vpc-b", "10.1.0.0/16"),
        worlds.vpc("vpc-c", "10.2.0.0/16"),
    ]
    records["InternetGateways"] = [worlds.internet_gateway("igw-a", "vpc-a")]
    records["NatGateways"] = [
        worlds.nat_gateway("nat-a", "vpc-a", "subnet-pub", "10.0.0.5", "192.0.2.5")
    ]
    records["VpcPeeringConnections"] = [
        worlds.peering("pcx-ab", "vpc-a", "vpc-b"),
        worlds.peering("pcx-bc", "vpc-b", "vpc-c"),
    ]
    a = [route("10.0.0.0/16", **worlds.LOCAL), route("2001:db8:a::/56", **worlds.LOCAL)]
    a.append(route("10.1.0.0/16", VpcPeeringConnectionId="pcx-ab"))
    out = [route("0.0.0.0/0", GatewayId="igw-a"), route("::/0", GatewayId="igw-a")]
    nat = [route("0.0.0.0/0", NatGatewayId="nat-a")]
    nat.append(route("::/0", EgressOnlyInternetGatewayId="eigw-a"))
    records["RouteTables"] = [
        worlds.route_table("rtb-main", "vpc-a", a, main=True),
        worlds.route_table("rtb-pub", "vpc-a", a + out, "subnet-pub"),
        worlds.route_table("rtb-priv", "vpc-a", a + nat, "subnet-priv"),
        worlds.route_table(
            "rtb-b",
            "vpc-b",
            [
                route("10.1.0.0/16", **worlds.LOCAL),
                route("10.0.0.0/16", VpcPeeringConnectionId="pcx-ab"),
                route("10.2.0.0/16", VpcPeeringConnectionId="pcx-bc"),
            ],
            main=True,
        ),
        worlds.route_table(
            "rtb-c",
            "vpc-c",
            [
                route("10.2.0.0/16", **worlds.LOCAL),
                route("10.0.0.0/16", VpcPeeringConnectionId="pcx-bc"),
            ],
            main=True,
        ),
    ]
    records["RouteTables"] = deepcopy(records["RouteTables"])
    open_ = worlds.open_entries
    records["NetworkAcls"] = [
        worlds.network_acl("acl-pub", "vpc-a", open_(), "subnet-pub"),
        worlds.network_acl("acl-priv", "vpc-a", open_(), "subnet-priv"),
        worlds.network_acl("acl-a", "vpc-a", open_(), "subnet-iso", default=True),
        worlds.network_acl("acl-b", "vpc-b", open_(), "subnet-peer", default=True),
        worlds.network_acl("acl-c", "vpc-c", open_(), "subnet-far", default=True),
    ]
    everything = [permission("-1", None, *ANY)]
    web = [permission("tcp", (443, 443), *ANY), permission("tcp", (8000, 8010), "sg-web")]
    db = [permission("tcp", (5432, 5432), "sg-web", "sg-peer"), permission("udp", (53, 53), "pl-1")]
    listed, members = worlds.prefix_list("pl-1", "10.0.0.0/24", "10.0.1.16/32")
    records["PrefixLists"], records["PrefixListEntries"] = [listed], [members]
    records["SecurityGroups"] = [
        worlds.security_group("sg-web", "vpc-a", web, everything),
        worlds.security_group("sg-db", "vpc-a", db, []),
        worlds.security_group("sg-none", "vpc-a", [], everything),
        worlds.security_group("sg-peer", "vpc-b", everything, everything),
        worlds.security_group("sg-far", "vpc-c", everything, everything),
    ]
    records["NetworkInterfaces"] = [
        worlds.interface(
            "eni-web",
            subnets["pub"],
            "10.0.0.16",
            ["sg-web"],
            public="192.0.2.16",
            address6="2001:db8:a::16",
        ),
        worlds.interface("eni-bare", subnets["pub"], "10.0.0.17", ["sg-web"]),
        worlds.interface(
            "eni-app", subnets["priv"], "10.0.1.16", ["sg-web"], address6="2001:db8:a:1::16"
        ),
        worlds.interface("eni-db", subnets["iso"], "10.0.2.16", ["sg-db"]),
        worlds.interface("eni-cron", subnets["iso"], "10.0.2.17", ["sg-none"]),
        worlds.interface("eni-peer", subnets["peer"], "10.1.0.16", ["sg-peer"]),
        worlds.interface("eni-far", subnets["far"], "10.2.0.16", ["sg-far"]),
    ]
    return records


Change = Callable[[Records], Any]


def same(records: Records) -> None:
    """The account as it is."""


def line(acl: str, *args: Any, egress: bool = False) -> Change:
    """Adds a line to an ACL of the account."""

    def change(records: Records) -> None:
        found = next(one for one in records["NetworkAcls"] if one["NetworkAclId"] == acl)
        found["Entries"].append(entry(*args, egress=egress))

    return change


def lines(acl: str, *entries: dict[str, Any]) -> Change:
    """Replaces all lines of an ACL but the last ones."""

    def change(records: Records) -> None:
        found = next(one for one in records["NetworkAcls"] if one["NetworkAclId"] == acl)
        found["Entries"] = [*entries, *worlds.last_entries()]

    return change


def admit(group: str, *args: Any) -> Change:
    """Adds an inbound permission to a group."""

    def change(records: Records) -> None:
        found = next(one for one in records["SecurityGroups"] if one["GroupId"] == group)
        found["IpPermissions"].append(permission(*args))

    return change


def egress(group: str, *permissions: dict[str, Any]) -> Change:
    def change(records: Records) -> None:
        found = next(one for one in records["SecurityGroups"] if one["GroupId"] == group)
        found["IpPermissionsEgress"] = list(permissions)

    return change


def routed(table: str, *routes: dict[str, Any]) -> Change:
    """Adds routes to a table, in the place of those with the same destination."""

    def change(records: Records) -> None:
        found = next(one for one in records["RouteTables"] if one["RouteTableId"] == table)
        new = {one.get("DestinationCidrBlock") for one in routes}
        kept = [one for one in found["Routes"] if one.get("DestinationCidrBlock") not in new]
        found["Routes"] = [*kept, *routes]

    return change


def setting(key: str, index: int, **values: Any) -> Change:
    return lambda records: records[key][index].update(values)


def both(*changes: Change) -> Change:
    def change(records: Records) -> None:
        for each in changes:
            each(records)

    return change


DEAD = {**route("203.0.113.0/24", GatewayId="igw-a"), "State": "blackhole"}
IN_443 = entry(100, "allow", "0.0.0.0/0", "6", (443, 443))
OUT_ALL = entry(100, "allow", egress=True)
ELASTIC = {
    "PublicIp": "192.0.2.17",
    "AllocationId": "eipalloc-1",
    "NetworkInterfaceId": "eni-bare",
    "PrivateIpAddress": "10.0.0.17",
    "Domain": "vpc",
}

AWS_CASES: dict[str, tuple[Change, Flow, bool, str]] = {
    # Public addresses and gateways
    "in, public": (
        same,
        tcp(NET, nic("web")),
        True,
        "UG internet gateways: public address + route",
    ),
    "in, port above": (same, tcp(NET, nic("web"), 444), False, "UG security groups: allow list"),
    "in, port below": (same, tcp(NET, nic("web"), 442), False, "UG security groups: allow list"),
    "in, udp": (same, Flow(NET, nic("web"), "udp", 443), False, "UG: rules are per protocol"),
    "in, no public": (same, tcp(NET, nic("bare")), False, "UG: a public address is needed"),
    "out, no public": (
        same,
        tcp(nic("bare"), NET),
        False,
        "UG: IGW translates public addresses only",
    ),
    "in, elastic": (
        lambda r: r["Addresses"].append(ELASTIC),
        tcp(NET, nic("bare")),
        True,
        "UG Elastic IP",
    ),
    "in, gateway as EC2 says it": (
        lambda r: r["InternetGateways"][0]["Attachments"][0].update(State="available"),
        tcp(NET, nic("web")),
        True,
        "EC2 answers `available` where its own model says `attached`",
    ),
    "in, gateway detaching": (
        lambda r: r["InternetGateways"][0]["Attachments"][0].update(State="detaching"),
        tcp(NET, nic("web")),
        False,
        "EC2 API: attachment state",
    ),
    "out, public": (same, tcp(nic("web"), NET), True, "UG internet gateways"),
    "in, public in private subnet": (
        setting(
            "NetworkInterfaces",
            1,
            SubnetId="subnet-priv",
            PrivateIpAddresses=[
                {
                    "PrivateIpAddress": "10.0.1.17",
                    "Primary": True,
                    "Association": {"PublicIp": "192.0.2.9"},
                }
            ],
        ),
        tcp(NET, nic("bare")),
        False,
        "UG: the subnet's route leads to NAT, the answer is lost",
    ),
    "igw elsewhere": (
        lambda r: r["InternetGateways"].__setitem__(0, worlds.internet_gateway("igw-a", "vpc-b")),
        tcp(NET, nic("web")),
        False,
        "UG: the gateway must be attached to this VPC",
    ),
    "out, isolated": (same, tcp(nic("cron"), NET), False, "UG: main table has no default route"),
    # NAT
    "nat out": (same, tcp(nic("app"), NET), True, "UG NAT gateways: outbound"),
    "nat in": (same, tcp(NET, nic("app")), False, "UG NAT gateways: nothing unsolicited comes in"),
    "nat gre": (same, Flow(nic("app"), NET, 47), False, "UG NAT gateways: TCP, UDP and ICMP only"),
    "nat ping": (same, ping(nic("app"), NET), True, "UG NAT gateways: ICMP passes"),
    "nat gone": (
        setting("NatGateways", 0, State="deleted"),
        tcp(nic("app"), NET),
        False,
        "UG NAT: available",
    ),
    "nat private": (
        setting("NatGateways", 0, ConnectivityType="private"),
        tcp(nic("app"), NET),
        False,
        "UG NAT gateways: private ones do not reach the Internet",
    ),
    "nat in a subnet without gateway": (
        setting("NatGateways", 0, SubnetId="subnet-iso"),
        tcp(nic("app"), NET),
        False,
        "UG NAT gateways: its subnet needs a route to the internet gateway",
    ),
    "nat subnet's acl, request": (
        line("acl-pub", 10, "deny", "10.0.1.0/24"),
        tcp(nic("app"), NET),
        False,
        "UG NAT troubleshooting: the ACL of the NAT gateway's subnet applies",
    ),
    "nat subnet's acl, answer": (
        line("acl-pub", 10, "deny", "0.0.0.0/0", "6", (1024, 65535)),
        tcp(nic("app"), NET),
        False,
        "UG ephemeral ports: a NAT gateway takes answers on 1024-65535",
    ),
    # Network ACLs
    "deny first": (
        line("acl-pub", 10, "deny", "203.0.113.0/24"),
        tcp(NET, nic("web")),
        False,
        "UG ACL: the lowest number that matches decides",
    ),
    "deny late": (
        line("acl-pub", 200, "deny", "203.0.113.0/24"),
        tcp(NET, nic("web")),
        True,
        "UG ACL: rule 100 allows before rule 200 is read",
    ),
    "deny another": (
        line("acl-pub", 10, "deny", "203.0.113.98/32"),
        tcp(NET, nic("web")),
        True,
        "UG ACL: CIDR",
    ),
    "inbound deny kills answers": (
        line("acl-pub", 10, "deny", "203.0.113.0/24"),
        tcp(nic("web"), NET),
        False,
        "UG ACL: stateless, so the answer to what the server asks is denied too",
    ),
    "no ephemeral in": (
        lines("acl-pub", IN_443, OUT_ALL),
        tcp(nic("web"), NET),
        False,
        "UG ephemeral ports: answers come to 1024-65535, only 443 is let in",
    ),
    "no ephemeral out": (
        lines("acl-pub", IN_443, entry(100, "allow", "0.0.0.0/0", "6", (443, 443), egress=True)),
        tcp(NET, nic("web")),
        False,
        "UG ephemeral ports: answers leave to 1024-65535",
    ),
    "ephemeral out": (
        lines("acl-pub", IN_443, entry(9, "allow", "0.0.0.0/0", "6", (1024, 65535), egress=True)),
        tcp(NET, nic("web")),
        True,
        "UG ephemeral ports",
    ),
    "ephemeral, low port": (
        lines("acl-pub", IN_443, entry(9, "allow", "0.0.0.0/0", "6", (32768, 65535), egress=True)),
        tcp(NET, nic("web"), src_port=1025),
        False,
        "UG ephemeral ports: the client picks it",
    ),
    "acl udp is not tcp": (
        line("acl-pub", 10, "deny", "0.0.0.0/0", "17", (0, 65535)),
        tcp(NET, nic("web")),
        True,
        "UG ACL: protocol numbers",
    ),
    "acl last rule": (lines("acl-pub", OUT_ALL), tcp(NET, nic("web")), False, "UG ACL: * denies"),
    "acl is IPv4 only": (
        lines("acl-pub", entry(100, "allow"), OUT_ALL),
        tcp(NET6, nic("web"), family=6),
        False,
        "UG ACL: IPv6 needs lines of its own",
    ),
    "acl not inside a subnet": (
        lines("acl-pub"),
        tcp(nic("web"), nic("bare"), 8000),
        True,
        "UG ACL: evaluated when traffic enters and leaves the subnet, not within it",
    ),
    "acl between subnets": (
        line("acl-priv", 10, "deny", "10.0.0.0/24", "6", (8000, 8000)),
        tcp(nic("web"), nic("app"), 8000),
        False,
        "UG ACL: inbound of the destination's subnet",
    ),
    "acl between subnets, answer": (
        line("acl-priv", 10, "deny", "10.0.0.0/24", "6", (1024, 65535), egress=True),
        tcp(nic("web"), nic("app"), 8000),
        False,
        "UG ACL: stateless",
    ),
    "acl ping answer": (
        both(
            admit("sg-web", "icmp", (8, -1), "0.0.0.0/0"),
            line("acl-pub", 10, "deny", "0.0.0.0/0", "1", (0, -1), egress=True),
        ),
        ping(NET, nic("web")),
        False,
        "UG ACL: the echo reply is ICMP type 0",
    ),
    # Security groups
    "group reference": (
        same,
        tcp(nic("app"), nic("db"), 5432),
        True,
        "UG SG: members of the group",
    ),
    "group reference, outsider": (
        same,
        tcp(nic("cron"), nic("db"), 5432),
        False,
        "UG SG: not a member",
    ),
    "stateful": (
        same,
        tcp(nic("web"), nic("db"), 5432),
        True,
        "UG SG: answers pass without an egress rule",
    ),
    "no egress rule": (same, tcp(nic("db"), nic("web")), False, "UG SG: egress is an allow list"),
    "self reference": (same, tcp(nic("web"), nic("bare"), 8010), True, "UG SG: self reference"),
    "self reference is no implicit rule": (
        same,
        tcp(nic("web"), nic("bare"), 8011),
        False,
        "UG SG: members get nothing by default",
    ),
    "reference is for private addresses": (
        admit("sg-web", "tcp", (22, 22), "sg-web"),
        tcp(Internet("192.0.2.17"), nic("web"), 22),
        False,
        "UG SG: a reference matches private addresses, not public ones",
    ),
    "prefix list": (same, Flow(nic("web"), nic("db"), "udp", 53), True, "UG prefix lists"),
    "prefix list, outside": (
        same,
        Flow(nic("cron"), nic("db"), "udp", 53),
        False,
        "UG prefix lists",
    ),
    "egress reference": (
        egress("sg-web", permission("tcp", (5432, 5432), "sg-db")),
        tcp(nic("app"), nic("db"), 5432),
        True,
        "UG SG: outbound rules refer to groups too",
    ),
    "egress reference, other": (
        egress("sg-web", permission("tcp", (5432, 5432), "sg-none")),
        tcp(nic("app"), nic("db"), 5432),
        False,
        "UG SG: outbound rules refer to groups too",
    ),
    "union of groups": (
        setting("NetworkInterfaces", 4, Groups=[{"GroupId": "sg-none"}, {"GroupId": "sg-web"}]),
        tcp(nic("web"), nic("cron"), 8000),
        True,
        "UG SG: rules of all groups add up",
    ),
    "icmp all": (
        admit("sg-web", "icmp", (-1, -1), "0.0.0.0/0"),
        ping(NET, nic("web")),
        True,
        "EC2 API: -1 all",
    ),
    "icmp type 0 is no request": (
        admit("sg-web", "icmp", (0, -1), "0.0.0.0/0"),
        ping(NET, nic("web")),
        False,
        "EC2 API: type",
    ),
    "icmp code": (
        admit("sg-web", "icmp", (3, 4), "0.0.0.0/0"),
        Flow(NET, nic("web"), "icmp", (3, 3)),
        False,
        "EC2 API: ToPort is the code",
    ),
    "icmp code hit": (
        admit("sg-web", "icmp", (3, 4), "0.0.0.0/0"),
        Flow(NET, nic("web"), "icmp", (3, 4)),
        True,
        "EC2 API: ToPort is the code",
    ),
    "port zero": (
        admit("sg-web", "tcp", (0, 0), "0.0.0.0/0"),
        tcp(NET, nic("web"), 22),
        False,
        "EC2 API: 0-0 is port 0 and no other",
    ),
    "protocol -1 admits IPv6": (
        admit("sg-web", "-1", None, "::/0"),
        ping(NET6, nic("web"), 6),
        True,
        "EC2 API: -1",
    ),
    "IPv4 rule is not IPv6": (
        admit("sg-web", "tcp", (22, 22), "0.0.0.0/0"),
        tcp(NET6, nic("web"), 22, 6),
        False,
        "UG SG: families have rules of their own",
    ),
    "protocol number": (
        admit("sg-web", "47", None, "203.0.113.0/24"),
        Flow(NET, nic("web"), 47),
        True,
        "EC2 API",
    ),
    # IPv6
    "IPv6 in": (same, tcp(NET6, nic("web"), family=6), True, "UG: IPv6 addresses are public"),
    "IPv6 egress only, out": (
        same,
        tcp(nic("app"), NET6, family=6),
        True,
        "UG egress-only gateway",
    ),
    "IPv6 egress only, in": (
        same,
        tcp(NET6, nic("app"), family=6),
        False,
        "UG egress-only gateway",
    ),
    "IPv6 to a transit gateway": (
        routed("rtb-priv", route("::/0", TransitGatewayId="tgw-1")),
        tcp(nic("app"), NET6, family=6),
        False,
        "what stands behind it is not in the records: refused",
    ),
    "IPv6, none": (same, tcp(NET6, nic("bare"), family=6), False, "UG: no IPv6 address"),
    # Routes
    "blackhole": (
        routed("rtb-pub", DEAD),
        tcp(NET, nic("web")),
        False,
        "UG routes: blackhole, most specific",
    ),
    "blackhole beside": (
        routed("rtb-pub", DEAD),
        tcp(Internet("198.51.100.1"), nic("web")),
        True,
        "UG: longest prefix",
    ),
    "more specific to an appliance": (
        routed("rtb-pub", route("10.0.1.0/24", NetworkInterfaceId="eni-cron")),
        tcp(nic("web"), nic("app"), 8000),
        False,
        "UG middlebox: more specific than local",
    ),
    # Peering
    "peering": (same, tcp(nic("peer"), nic("web")), True, "PG: routes on both sides"),
    "peering, group": (
        same,
        tcp(nic("peer"), nic("db"), 5432),
        True,
        "PG: reference to peer groups",
    ),
    "peering, group across Regions": (
        lambda r: r["VpcPeeringConnections"][0]["AccepterVpcInfo"].update(Region="eu-west-1"),
        tcp(nic("peer"), nic("db"), 5432),
        False,
        "PG: no reference across Regions",
    ),
    "peering pending": (
        setting("VpcPeeringConnections", 0, Status={"Code": "pending-acceptance"}),
        tcp(nic("peer"), nic("web")),
        False,
        "PG: active only",
    ),
    "peering, no way back": (
        routed("rtb-pub", route("10.1.0.0/16", GatewayId="igw-a")),
        tcp(nic("peer"), nic("web")),
        False,
        "PG: both tables need the route",
    ),
    "peering is not transitive": (
        routed("rtb-pub", route("10.2.0.0/16", VpcPeeringConnectionId="pcx-ab")),
        tcp(nic("web"), nic("far")),
        False,
        "PG: no transitive peering",
    ),
    "peering is not transitive, one way": (
        routed("rtb-pub", route("10.2.0.0/16", VpcPeeringConnectionId="pcx-ab")),
        Flow(nic("web"), nic("far"), "icmp", (3, 4)),
        False,
        "PG: no transitive peering, answer or none",
    ),
    "peering, no edge": (
        routed("rtb-b", route("0.0.0.0/0", VpcPeeringConnectionId="pcx-ab")),
        tcp(nic("peer"), NET),
        False,
        "PG: no edge to edge routing through a gateway",
    ),
}


@pytest.mark.parametrize("name", AWS_CASES)
def test_aws_truth(name: str) -> None:
    change, flow, allowed, source = AWS_CASES[name]
    records = account()
    change(records)
    verdict = aws_flows.admits(aws_flows.World(records), flow)
    assert verdict.allowed is allowed, (source, verdict.why)


# A target, worked out by hand: two networks behind one router with SNAT, one apart.


Nodes = dict[str, dict[str, Any]]


def ref(name: str) -> dict[str, str]:
    return {"$ref": name, "attr": "id"}


def node(nodes: Nodes, kind: str, name: str, **props: Any) -> None:
    space = (
        "loadbalancer" if kind in {"LoadBalancer", "Listener", "Pool", "Member"} else "networking"
    )
    nodes[name] = {"type": f"openstack.{space}.{kind}", "name": name, "props": props}


def rule(nodes: Nodes, name: str, group: str, **props: Any) -> None:
    props = {"direction": "ingress", "ethertype": "IPv4", **props}
    node(nodes, "SecGroupRule", name, security_group_id=ref(group), **props)


def project() -> Nodes:
    nodes: Nodes = {}
    for name, cidr in (("pub", "10.0.0.0/24"), ("priv", "10.0.1.0/24"), ("iso", "10.0.2.0/24")):
        node(nodes, "Network", f"net-{name}", admin_state_up=True)
        node(nodes, "Subnet", f"subnet-{name}", network_id=ref(f"net-{name}"), cidr=cidr)
    node(nodes, "Router", "router", external_network_id="ext")
    for name in ("pub", "priv"):
        props = {"router_id": ref("router"), "subnet_id": ref(f"subnet-{name}")}
        node(nodes, "RouterInterface", f"leg-{name}", **props)
    for name in ("web", "db", "none"):
        node(nodes, "SecGroup", name, delete_default_rules=True)
    rule(nodes, "web-443", "web", protocol="tcp", port_range_min=443, port_range_max=443)
    rule(nodes, "web-out", "web", direction="egress")
    rule(nodes, "web-out6", "web", direction="egress", ethertype="IPv6")
    limits = {"protocol": "tcp", "port_range_min": 5432, "port_range_max": 5440}
    rule(nodes, "db-5432", "db", remote_group_id=ref("web"), **limits)
    hosts = [("web", "pub", 16, "web"), ("bare", "pub", 17, "web"), ("app", "priv", 16, "web")]
    hosts += [("db", "priv", 17, "db"), ("cron", "priv", 18, "none"), ("iso", "iso", 16, "web")]
    for name, home, number, group in hosts:
        base = {"pub": 0, "priv": 1, "iso": 2}[home]
        fixed = {"subnet_id": ref(f"subnet-{home}"), "ip_address": f"10.0.{base}.{number}"}
        port: dict[str, Any] = {"network_id": ref(f"net-{home}"), "fixed_ips": [fixed]}
        port["security_group_ids"] = [ref(group)]
        node(nodes, "Port", f"eni-{name}", **port)
    node(nodes, "FloatingIp", "fip-web", pool="ext", port_id=ref("eni-web"))
    return nodes


Edit = Callable[[Nodes], Any]


def kept(nodes: Nodes) -> None:
    """The project as it is."""


def put(name: str, **props: Any) -> Edit:
    return lambda nodes: nodes[name]["props"].update(props)


def drop(*names: str) -> Edit:
    return lambda nodes: [nodes.pop(name) for name in names]


def add(kind: str, name: str, **props: Any) -> Edit:
    return lambda nodes: node(nodes, kind, name, **props)


def more(group: str, **props: Any) -> Edit:
    return lambda nodes: rule(nodes, "more", group, **props)


def edits(*each: Edit) -> Edit:
    return lambda nodes: [edit(nodes) for edit in each]


TWO_ROUTERS = edits(
    add("Router", "inner"),
    add("RouterInterface", "leg-iso", router_id=ref("inner"), subnet_id=ref("subnet-iso")),
    add(
        "Port",
        "joint",
        network_id=ref("net-pub"),
        security_group_ids=[],
        fixed_ips=[{"subnet_id": ref("subnet-pub"), "ip_address": "10.0.0.254"}],
    ),
    add("RouterInterface", "leg-joint", router_id=ref("inner"), port_id=ref("joint")),
    add(
        "RouterRoute",
        "to-rest",
        router_id=ref("inner"),
        destination_cidr="0.0.0.0/0",
        next_hop="10.0.0.1",
    ),
)
BACK = add(
    "RouterRoute",
    "back",
    router_id=ref("router"),
    destination_cidr="10.0.2.0/24",
    next_hop="10.0.0.254",
)
BALANCER = edits(
    add("LoadBalancer", "lb", vip_subnet_id=ref("subnet-pub"), vip_address="10.0.0.80"),
    add(
        "Listener",
        "lb-443",
        loadbalancer_id=ref("lb"),
        protocol="HTTPS",
        protocol_port=443,
        allowed_cidrs=["203.0.113.0/24"],
    ),
    add("FloatingIp", "fip-lb", pool="ext", port_id={"$ref": "lb", "attr": "vip_port_id"}),
)

OPENSTACK_CASES: dict[str, tuple[Edit, Flow, bool, str]] = {
    "in, floating": (kept, tcp(NET, nic("web")), True, "N: floating IP + rule"),
    "in, other port": (kept, tcp(NET, nic("web"), 444), False, "N: allow list"),
    "in, no floating": (kept, tcp(NET, nic("bare")), False, "N: SNAT lets nothing in"),
    "out, snat": (kept, tcp(nic("bare"), NET), True, "N: SNAT without a floating IP"),
    "out, no snat": (put("router", enable_snat=False), tcp(nic("bare"), NET), False, "N: SNAT off"),
    "out, floating, no snat": (
        put("router", enable_snat=False),
        tcp(nic("web"), NET),
        True,
        "N: a floating IP needs no SNAT",
    ),
    "out, no gateway": (
        put("router", external_network_id=None),
        tcp(nic("bare"), NET),
        False,
        "N: no external network",
    ),
    "router down": (
        put("router", admin_state_up=False),
        tcp(NET, nic("web")),
        False,
        "N: admin state",
    ),
    "no leg": (drop("leg-pub"), tcp(NET, nic("web")), False, "N: the floating IP needs the router"),
    "subnet without gateway": (
        put("subnet-pub", no_gateway=True),
        tcp(nic("web"), NET),
        False,
        "N: no_gateway",
    ),
    "associated": (
        add("FloatingIpAssociate", "bond", floating_ip="x", port_id=ref("eni-bare")),
        tcp(NET, nic("bare")),
        True,
        "P: FloatingIpAssociate",
    ),
    "group reference": (kept, tcp(nic("web"), nic("db"), 5432), True, "N: remote group, routed"),
    "group reference, range end": (kept, tcp(nic("web"), nic("db"), 5440), True, "N: range"),
    "group reference, above": (kept, tcp(nic("web"), nic("db"), 5441), False, "N: range"),
    "group reference, outsider": (
        edits(more("none", direction="egress")),
        tcp(nic("cron"), nic("db"), 5432),
        False,
        "N: remote",
    ),
    "stateful": (kept, tcp(nic("app"), nic("db"), 5432), True, "N: answers pass"),
    "stateless": (
        put("db", stateful=False),
        tcp(nic("app"), nic("db"), 5432),
        False,
        "N stateless groups: the answer needs a rule of its own",
    ),
    "no egress": (kept, tcp(nic("db"), nic("web")), False, "N: delete_default_rules"),
    "default egress": (
        put("db", delete_default_rules=False),
        tcp(nic("db"), nic("web")),
        True,
        "N: a new group lets everything out",
    ),
    "no router": (
        kept,
        tcp(nic("web"), nic("iso")),
        False,
        "N: networks are apart without a router",
    ),
    "two routers": (
        edits(TWO_ROUTERS, BACK),
        tcp(nic("iso"), nic("app")),
        True,
        "N: router routes",
    ),
    "two routers, no way back": (
        TWO_ROUTERS,
        tcp(nic("iso"), nic("app")),
        False,
        "N: the answer has no route",
    ),
    "two routers, out": (
        edits(TWO_ROUTERS, BACK),
        tcp(nic("iso"), NET),
        True,
        "N: SNAT by out leg",
    ),
    "host route away": (
        add(
            "SubnetRoute",
            "gone",
            subnet_id=ref("subnet-priv"),
            destination_cidr="10.0.0.0/24",
            next_hop="10.0.1.200",
        ),
        tcp(nic("app"), nic("web")),
        False,
        "N: host routes come before the gateway",
    ),
    "default group": (
        put("eni-bare", security_group_ids=[]),
        tcp(nic("app"), nic("bare"), 22),
        True,
        "OVHcloud: the default group allows everything",
    ),
    "no groups at all": (
        put("eni-bare", security_group_ids=[], no_security_groups=True),
        tcp(nic("app"), nic("bare"), 22),
        False,
        "N: port security without a group drops",
    ),
    "port security off": (
        put("eni-db", port_security_enabled=False),
        tcp(nic("app"), nic("db"), 22),
        True,
        "N: no filter",
    ),
    "port security off on the network": (
        put("net-priv", port_security_enabled=False),
        tcp(nic("web"), nic("db"), 22),
        True,
        "N: ports inherit it",
    ),
    "port down": (
        put("eni-web", admin_state_up=False),
        tcp(NET, nic("web")),
        False,
        "N: admin state",
    ),
    "union of groups": (
        put("eni-db", security_group_ids=[ref("db"), ref("web")]),
        tcp(nic("app"), nic("db")),
        True,
        "N: groups add up",
    ),
    "tcp 0-0 is all of tcp": (
        more("db", protocol="tcp", port_range_min=0, port_range_max=0),
        tcp(nic("app"), nic("db"), 22),
        True,
        "P: a bound of 0 is not sent",
    ),
    "icmp type 0 is all of icmp": (
        more("web", protocol="icmp", port_range_min=0, port_range_max=0),
        ping(NET, nic("web")),
        True,
        "P: a bound of 0 is not sent",
    ),
    "icmp code 0 is every code": (
        more("web", protocol="icmp", port_range_min=3, port_range_max=0),
        Flow(NET, nic("web"), "icmp", (3, 4)),
        True,
        "P: a bound of 0 is not sent",
    ),
    "icmp type": (
        more("web", protocol="icmp", port_range_min=3),
        ping(NET, nic("web")),
        False,
        "N: type",
    ),
    "tcp 0-65535 is refused": (
        more("db", protocol="tcp", port_range_min=0, port_range_max=65535),
        tcp(nic("app"), nic("db"), 22),
        False,
        "P + N: one bound arrives, the API refuses it",
    ),
    "any protocol": (more("web", protocol=None), Flow(NET, nic("web"), 47), True, "N: null is any"),
    "ethertype": (more("web", ethertype="IPv6"), tcp(NET, nic("web"), 22), False, "N: ethertype"),
    "prefix": (
        more("web", remote_ip_prefix="203.0.113.0/24"),
        tcp(NET, nic("web"), 22),
        True,
        "N: prefix",
    ),
    "prefix, outside": (
        more("web", remote_ip_prefix="203.0.113.0/26"),
        tcp(NET, nic("web"), 22),
        False,
        "N: prefix",
    ),
    "pairs widen a remote group": (
        edits(
            put("eni-app", allowed_address_pairs=[{"ip_address": "0.0.0.0/0"}]),
            more("web", remote_group_id=ref("web")),
        ),
        tcp(NET, nic("web"), 22),
        True,
        "N: allowed address pairs count as addresses of the group",
    ),
    "public network": (
        put(
            "eni-bare",
            network_id="Ext-Net",
            fixed_ips=[{"subnet_id": "ext-subnet", "ip_address": "192.0.2.17"}],
        ),
        tcp(NET, nic("bare")),
        True,
        "OVHcloud: a port on the public network needs no router",
    ),
    "balancer": (BALANCER, tcp(NET, Nic("lb")), True, "Octavia: listener"),
    "balancer, other source": (
        BALANCER,
        tcp(Internet("198.51.100.1"), Nic("lb")),
        False,
        "Octavia: allowed_cidrs",
    ),
    "balancer, other port": (BALANCER, tcp(NET, Nic("lb"), 80), False, "Octavia: listener port"),
    "member": (
        edits(BALANCER, more("db", remote_ip_prefix="10.0.0.0/24")),
        tcp(Nic("lb"), nic("db"), 80),
        True,
        "Octavia: members are reached from the VIP's subnet",
    ),
}


@pytest.mark.parametrize("name", OPENSTACK_CASES)
def test_openstack_truth(name: str) -> None:
    edit, flow, allowed, source = OPENSTACK_CASES[name]
    nodes = project()
    edit(nodes)
    verdict = openstack_flows.admits(openstack_flows.World(nodes.values()), flow)
    assert verdict.allowed is allowed, (source, verdict.why)


def test_plain_default_group_admits_its_own_members_only() -> None:
    nodes = project()
    for name in ("eni-bare", "eni-cron"):
        nodes[name]["props"]["security_group_ids"] = []
    world = openstack_flows.World(nodes.values(), default_group="same group")
    assert openstack_flows.admits(world, tcp(nic("cron"), nic("bare"))).allowed
    assert not openstack_flows.admits(world, tcp(nic("app"), nic("bare"))).allowed


def test_rules_that_neutron_refuses_are_named() -> None:
    nodes = project()
    rule(nodes, "half", "web", protocol="tcp", port_range_min=0, port_range_max=80)
    rule(nodes, "gre", "web", protocol="gre", port_range_min=1, port_range_max=2)
    rule(nodes, "mixed", "web", ethertype="IPv6", remote_ip_prefix="10.0.0.0/8")
    problems = openstack_flows.World(nodes.values()).problems
    assert [one.split(":")[0] for one in problems] == ["half", "gre", "mixed"]


# Laws that the evaluators obey

SOME = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def admitted(records: Records, asked: list[Flow]) -> list[bool]:
    world = aws_flows.World(records)
    return [aws_flows.admits(world, flow).allowed for flow in asked]


@st.composite
def sampled(draw: st.DrawFn) -> tuple[Records, list[Flow]]:
    """A network and at most 600 of its flows, spread evenly."""
    records = draw(worlds.aws_worlds())
    asked = list(worlds.flows(records))
    step = max(1, len(asked) // 600)
    return records, asked[draw(st.integers(0, step - 1)) :: step]


@SOME
@given(sampled(), st.data())
def test_one_more_permission_takes_nothing_away(
    pair: tuple[Records, list[Flow]], data: st.DataObject
) -> None:
    records, asked = pair
    before = admitted(records, asked)
    group = data.draw(st.sampled_from(records["SecurityGroups"]))
    key = data.draw(st.sampled_from(["IpPermissions", "IpPermissionsEgress"]))
    group[key].append(data.draw(worlds.permissions(("0.0.0.0/0", "::/0", group["GroupId"]))))
    after = admitted(records, asked)
    assert all(now for was, now in zip(before, after, strict=True) if was)


@SOME
@given(sampled(), st.data())
def test_one_more_denial_gives_nothing(
    pair: tuple[Records, list[Flow]], data: st.DataObject
) -> None:
    records, asked = pair
    for group in records["SecurityGroups"]:
        # Open groups: the ACLs decide.
        for key in ("IpPermissions", "IpPermissionsEgress"):
            group[key] = [permission("-1", None, *ANY)]
    acl = data.draw(st.sampled_from(records["NetworkAcls"]))
    if data.draw(st.booleans()):
        closed = data.draw(st.booleans())
        acl["Entries"] = [one for one in acl["Entries"] if one["Egress"] is not closed]
    before = admitted(records, asked)
    cidr = data.draw(st.sampled_from(worlds.OUTSIDE))
    way = data.draw(st.booleans())
    taken = {one["RuleNumber"] for one in acl["Entries"]}
    free = data.draw(st.integers(1, 999).filter(lambda one: one not in taken))
    acl["Entries"].append(entry(free, "deny", cidr, egress=way))
    after = admitted(records, asked)
    assert all(was for was, now in zip(before, after, strict=True) if now)


@SOME
@given(sampled())
def test_numbers_of_an_acl_count_by_their_order_only(pair: tuple[Records, list[Flow]]) -> None:
    records, asked = pair
    before = admitted(records, asked)
    for acl in records["NetworkAcls"]:
        for one in acl["Entries"]:
            if one["RuleNumber"] < 32767:
                one["RuleNumber"] = one["RuleNumber"] * 7 + 3
        acl["Entries"].reverse()
    assert admitted(records, asked) == before


@SOME
@given(st.sampled_from(["web", "db", "none"]), st.sampled_from(["ingress", "egress"]), st.data())
def test_one_more_neutron_rule_takes_nothing_away(
    group: str, direction: str, data: st.DataObject
) -> None:
    nodes = project()
    ports = [one for one in nodes if one.startswith("eni-")]
    asked = [
        tcp(Nic(one), Nic(other), port)
        for one in ports
        for other in ports
        if one != other
        for port in (22, 443, 5432)
    ]
    asked += [tcp(NET, Nic(one), port) for one in ports for port in (22, 443)]
    world = openstack_flows.World(nodes.values())
    before = [openstack_flows.admits(world, flow).allowed for flow in asked]
    limits = data.draw(st.sampled_from([{}, {"port_range_min": 22, "port_range_max": 80}]))
    remote = data.draw(st.sampled_from([{}, {"remote_ip_prefix": "10.0.0.0/16"}]))
    rule(nodes, "new", group, direction=direction, protocol="tcp", **limits, **remote)
    world = openstack_flows.World(nodes.values())
    after = [openstack_flows.admits(world, flow).allowed for flow in asked]
    assert all(now for was, now in zip(before, after, strict=True) if was)
    assert any(before)
    assert not all(before)


# The random networks, and the comparison

SHAPES = botocore.session.get_session().get_service_model("ec2")


def misshapen(value: Any, shape: Any, where: str) -> list[str]:
    """What of `value` botocore's output shape does not have."""
    if shape.type_name == "structure":
        return [
            text
            for key, each in value.items()
            for text in (
                misshapen(each, shape.members[key], f"{where}.{key}")
                if key in shape.members
                else [f"{where}.{key}"]
            )
        ]
    if shape.type_name == "list":
        return [text for each in value for text in misshapen(each, shape.member, f"{where}[]")]
    kinds: dict[str, type] = {"string": str, "integer": int, "boolean": bool}
    expected = kinds[shape.type_name]
    allowed = getattr(shape, "enum", None)
    if type(value) is not expected or (allowed and value not in allowed):
        return [f"{where}: {value!r}"]
    return []


def wrong_shapes(records: Records) -> list[str]:
    found = []
    for key, operation in worlds.KEYS.items():
        shape = SHAPES.operation_model(operation).output_shape.members[key]
        found += misshapen(records[key], shape, key)
    entries = SHAPES.operation_model("GetManagedPrefixListEntries").output_shape.members["Entries"]
    for one in records["PrefixListEntries"]:
        found += misshapen(one["Entries"], entries, "Entries")
    return found


@SOME
@given(worlds.aws_worlds())
def test_random_networks_have_the_shapes_of_botocore(records: Records) -> None:
    assert wrong_shapes(records) == []


def test_a_wrong_shape_is_seen() -> None:
    records = account()
    assert wrong_shapes(records) == []
    records["Subnets"][0]["Color"] = "blue"
    records["NatGateways"][0]["State"] = "asleep"
    assert wrong_shapes(records) == ["Subnets[].Color", "NatGateways[].State: 'asleep'"]


def flat_target(records: Records, *, open_: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Every interface on one network, in a group that admits everything or nothing."""
    nodes: Nodes = {}
    node(nodes, "Network", "net")
    node(nodes, "Subnet", "subnet", network_id=ref("net"), cidr="10.0.0.0/8")
    node(nodes, "Router", "router", external_network_id="ext")
    node(nodes, "RouterInterface", "leg", router_id=ref("router"), subnet_id=ref("subnet"))
    node(nodes, "SecGroup", "all", delete_default_rules=True)
    if open_:
        rule(nodes, "in", "all")
        rule(nodes, "out", "all", direction="egress")
    names = {}
    for one in records["NetworkInterfaces"]:
        name = names[one["NetworkInterfaceId"]] = f"port-{one['NetworkInterfaceId']}"
        fixed = {"subnet_id": ref("subnet"), "ip_address": one["PrivateIpAddress"]}
        props = {"network_id": ref("net"), "security_group_ids": [ref("all")]}
        node(nodes, "Port", name, fixed_ips=[fixed], **props)
        node(nodes, "FloatingIp", f"fip-{name}", pool="ext", port_id=ref(name))
    return list(nodes.values()), names


def test_an_open_target_is_caught_and_a_closed_one_only_loses() -> None:
    records = account()
    for one in records["NetworkInterfaces"]:
        one["Ipv6Addresses"] = []
    opened = worlds.compare(records, *flat_target(records, open_=True))
    assert opened.narrowed == ()
    assert opened.asked == opened.admitted + len(opened.widened)
    closed = worlds.compare(records, *flat_target(records, open_=False))
    assert closed.widened == ()
    assert len(closed.narrowed) == closed.admitted == opened.admitted > 0


@SOME
@given(worlds.aws_worlds())
def test_a_closed_target_is_never_wider(records: Records) -> None:
    nodes, names = flat_target(records, open_=False)
    asked = list(worlds.flows(records))[::7]
    difference = worlds.compare(records, nodes, names, asked)
    assert difference.widened == ()
    assert len(difference.narrowed) == difference.admitted


def test_flows_ask_at_the_edges_of_rules() -> None:
    asked = set(worlds.questions(account()))
    assert {("tcp", port) for port in (442, 443, 444, 7999, 8000, 8010, 8011)} <= asked
    assert list(worlds.flows(account())) == list(worlds.flows(account()))


def test_thousands_of_flows_are_quick() -> None:
    records = account()
    source, asked = aws_flows.World(records), list(worlds.flows(records))
    target = openstack_flows.World(project().values())
    start = time.process_time()
    for flow in asked:
        aws_flows.admits(source, flow)
    aws = (time.process_time() - start) / len(asked)
    start = time.process_time()
    for _ in range(1000):
        openstack_flows.admits(target, tcp(nic("app"), nic("db"), 5432))
    openstack = (time.process_time() - start) / 1000
    start = time.process_time()
    for number in range(1000):
        ipaddress.ip_network(f"10.0.{number % 256}.0/24")
    network = (time.process_time() - start) / 1000
    # About one each: a guard against scanning the world, not a benchmark.
    assert max(aws, openstack) < 60 * network


# The judge is independent


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for one in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(one, ast.Import):
            found |= {each.name for each in one.names}
        elif isinstance(one, ast.ImportFrom):
            assert one.level == 0, path
            found.add(str(one.module))
            found |= {f"{one.module}.{each.name}" for each in one.names}
    return found


def test_the_judge_shares_no_code() -> None:
    folder = Path(__file__).parent / "reference"
    seen = {path.stem: imports(path) for path in sorted(folder.glob("*.py"))}
    assert set(seen) == {"__init__", "aws_flows", "openstack_flows", "worlds"}
    for name, found in seen.items():
        assert not [one for one in found if one.split(".")[0] == "toolkit"], name
    words = {f"tests.reference.{one}" for one in ("Flow", "Internet", "Nic", "Verdict")}
    for name in ("aws_flows", "openstack_flows"):
        assert {one for one in seen[name] if one.startswith("tests")} == {"tests.reference", *words}
    assert not [one for one in seen["__init__"] if one.startswith("tests")]
