"""The target admits no flow that the source refuses, and what it refuses besides is said: over whole paths.

Worlds of the referee are translated by the real rules and the real target; the referee, which shares
no code with them, compares. What is wider must be one of the two ways out that the plan asks a
decision for; what is narrower must be answered by a loss of something on its path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference import Flow, Internet, Nic, aws_flows, openstack_flows, worlds
from tests.reference.worlds import Records, entry, permission, route
from tests.support import cases
from toolkit.clouds import load as load_cloud
from toolkit.estate.model import Estate
from toolkit.intents.network import Firewall, Subnet
from toolkit.program import Config, Lookup, Node, Out
from toolkit.rules import load as load_rules
from toolkit.targets import Target, realise
from toolkit.targets.openstack.network import groups_on
from toolkit.translate import Context, Override, Translation, translate

TYPES = {
    "Vpcs": ("aws.ec2.vpc", "VpcId"),
    "Subnets": ("aws.ec2.subnet", "SubnetId"),
    "RouteTables": ("aws.ec2.route_table", "RouteTableId"),
    "InternetGateways": ("aws.ec2.internet_gateway", "InternetGatewayId"),
    "NatGateways": ("aws.ec2.nat_gateway", "NatGatewayId"),
    "NetworkAcls": ("aws.ec2.network_acl", "NetworkAclId"),
    "SecurityGroups": ("aws.ec2.security_group", "GroupId"),
    "NetworkInterfaces": ("aws.ec2.network_interface", "NetworkInterfaceId"),
    "Addresses": ("aws.ec2.address", "AllocationId"),
    "VpcPeeringConnections": ("aws.ec2.vpc_peering_connection", "VpcPeeringConnectionId"),
    "PrefixLists": ("aws.ec2.managed_prefix_list", "PrefixListId"),
    "Instances": ("aws.ec2.instance", "InstanceId"),
    "LoadBalancers": ("aws.elbv2.load_balancer", "LoadBalancerArn"),
    "Listeners": ("aws.elbv2.listener", "ListenerArn"),
    "LaunchTemplates": ("aws.ec2.launch_template", "LaunchTemplateId"),
    "AutoScalingGroups": ("aws.autoscaling.auto_scaling_group", "AutoScalingGroupName"),
    "DBInstances": ("aws.rds.db_instance", "DBInstanceIdentifier"),
    "DBClusters": ("aws.rds.db_cluster", "DBClusterIdentifier"),
}
RULES = load_rules()
NET = "203.0.113.99"


# From records to nodes


@dataclass(frozen=True)
class Moved:
    """A world after translation: what was said of each record, and the nodes as the referee reads them."""

    said: Mapping[str, Translation]
    nodes: list[dict[str, Any]]
    ports: Mapping[str, str]
    ctx: Context

    def losses(self, *ids: str) -> list[str]:
        """What was said to be lost of some records."""
        return [
            str(loss.reason)
            for key, each in self.said.items()
            if key.rsplit("|", 1)[1] in ids
            for loss in each.losses
        ]

    def decided(self, topic: str) -> list[str]:
        """The subjects, by id, of the decisions of a topic."""
        held = self.ctx.decisions.values()
        return [each.subject.rsplit("|", 1)[1] for each in held if each.topic == topic]


def estate(records: Mapping[str, list[dict[str, Any]]]) -> Estate:
    """The records as discovery files them: peerings know their blocks, lists hold their entries."""
    blocks = {one["VpcId"]: one["CidrBlock"] for one in records["Vpcs"]}
    entries = {one["PrefixListId"]: one["Entries"] for one in records["PrefixListEntries"]}
    found = []
    for key, (type_, id_) in TYPES.items():
        for one in records.get(key, ()):
            held = dict(one)
            if key == "VpcPeeringConnections":
                for side in ("RequesterVpcInfo", "AccepterVpcInfo"):
                    held[side] = {**one[side], "CidrBlock": blocks[one[side]["VpcId"]]}
            if key == "NetworkInterfaces" and "Association" in one["PrivateIpAddresses"][0]:
                # AWS repeats the public address of the first private one at the top.
                held["Association"] = one["PrivateIpAddresses"][0]["Association"]
            if key == "PrefixLists":
                held["Entries"] = entries.get(one["PrefixListId"], [])
            name = one.get("GroupName") or one[id_]
            found.append(
                cases.resource({"type": type_, "id": one[id_], "name": name, "record": held})
            )
    return Estate({}, tuple(sorted(found, key=lambda each: each.key)))


def plain(value: Any) -> Any:
    """A node's value as the referee reads it."""
    match value:
        case Out():
            return {"$ref": f"{value.origin}#{value.role}", "attr": value.attr}
        case Config():
            return value.default
        case Lookup():
            return value.function
        case dict():
            return {key: plain(held) for key, held in value.items()}
        case list() | tuple():
            return [plain(held) for held in value]
        case _:
            return value


def named(node: Node) -> dict[str, Any]:
    name = f"{node.origin}#{node.role}"
    return {"type": node.type, "name": name, "props": plain(node.props)}


def moved(
    records: Mapping[str, list[dict[str, Any]]], cloud: str = "openstack", **overrides: str
) -> Moved:
    """Records -> what the real translator makes of them; a crash of a rule fails here."""
    chosen = {f"{topic.replace('_', '-')}:*": Override(to) for topic, to in overrides.items()}
    ctx = Context(estate=estate(records), cloud=load_cloud(cloud), overrides=chosen)
    said = translate(ctx, RULES)
    nodes, _ = realise(ctx, said)
    crashes = [str(x.reason) for each in said.values() for x in each.losses if x.field == "*"]
    assert not crashes, crashes
    made = {node.origin for node in nodes if node.type == "openstack.networking.Port"}
    ids = [one["NetworkInterfaceId"] for one in records["NetworkInterfaces"]]
    keys = {id_: ctx.key("aws.ec2.network_interface", id_) for id_ in ids}
    ports = {id_: f"{key}#" for id_, key in keys.items() if key in made}
    return Moved(said, answered([named(node) for node in nodes]), ports, ctx)


def answered(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes with what only the cloud knows: a subnet's new range (here AWS's, its default) and gateway, and feet of routers, the last of a pool that are free."""
    subnets = {
        one["name"]: one["props"] for one in nodes if one["type"].endswith("networking.Subnet")
    }
    for one in nodes:
        for member in ("next_hop", "destination_cidr", "remote_ip_prefix"):
            said = one["props"].get(member)
            if isinstance(said, dict) and said["attr"] in ("cidr", "gateway_ip"):
                net = ip_network(subnets[said["$ref"]]["cidr"])
                one["props"][member] = str(net) if said["attr"] == "cidr" else str(net[1])
    hops = {
        one["props"]["next_hop"]["$ref"]
        for one in nodes
        if one["type"].endswith("RouterRoute") and isinstance(one["props"]["next_hop"], dict)
    }
    taken = {each.get("ip_address") for one in nodes for each in one["props"].get("fixed_ips", [])}
    picked: dict[str, str] = {}
    for one in nodes:
        if one["name"] in hops:
            (fixed,) = one["props"]["fixed_ips"]
            home = subnets[fixed["subnet_id"]["$ref"]]
            pools = home.get("allocation_pools") or [{"end": str(ip_network(home["cidr"])[-2])}]
            last = ip_address(pools[-1]["end"])
            while str(last) in taken:
                last -= 1
            fixed["ip_address"] = picked[one["name"]] = str(last)
            taken.add(str(last))
    for one in nodes:
        hop = one["props"].get("next_hop")
        if isinstance(hop, dict):
            one["props"]["next_hop"] = picked[hop["$ref"]]
    return nodes


def compared(records: Records, m: Moved, cloud: str = "openstack") -> worlds.Difference:
    """The referee's word, with what the cloud gives to a port without groups."""
    default: openstack_flows.DefaultGroup = "allow all" if cloud == "ovhcloud" else "same group"
    return worlds.compare(records, m.nodes, m.ports, asked(records), default_group=default)


def asked(records: Records) -> Iterator[Flow]:
    """The referee's flows, and those of an interface's further addresses."""
    second = {
        one["NetworkInterfaceId"]: one["PrivateIpAddresses"][1]["PrivateIpAddress"]
        for one in records["NetworkInterfaces"]
        if len(one["PrivateIpAddresses"]) > 1
    }
    for flow in worlds.flows(records):
        yield flow
        if flow.family == 6:
            continue
        if isinstance(flow.src, Nic) and flow.src.id in second:
            yield replace(flow, src=Nic(flow.src.id, second[flow.src.id]))
        if isinstance(flow.dst, Nic) and flow.dst.id in second:
            yield replace(flow, dst=Nic(flow.dst.id, second[flow.dst.id]))


# What is said of a difference

STATED = {
    "translates public addresses only": (
        "public-egress",
        "Servers without a public address in public subnets can get out through the router; at AWS they cannot.",
    ),
    "a NAT gateway carries TCP, UDP and ICMP only": (
        "nat-protocols",
        "It drops all but TCP, UDP and ICMP; the router lets pass what the groups do.",
    ),
}
"""Why AWS refuses -> the topic of the decision and the loss that say that the target does not."""
ASIDE = frozenset(
    {"AvailabilityZone", "Tags.Key", "PublicIp", "NatGatewayAddresses.PublicIp", "RouteTables"}
)
"""Losses of every subnet, network and address that say nothing of what is refused."""


def unstated(records: Records, m: Moved, difference: worlds.Difference) -> list[Any]:
    """The widenings that no decision asks about and no loss states."""
    home = {one["NetworkInterfaceId"]: one["VpcId"] for one in records["NetworkInterfaces"]}
    nats: dict[str, set[str]] = {}
    for one in records["NatGateways"]:
        nats.setdefault(one["VpcId"], set()).add(one["NatGatewayId"])
    found = []
    for flow, before, after in difference.widened:
        reason = before[-1].partition(": ")[2]
        topic, loss = next((v for k, v in STATED.items() if k in reason), ("", ""))
        vpc = home[flow.src.id] if isinstance(flow.src, Nic) else ""
        told = m.losses(vpc, *nats.get(vpc, ()))
        if (
            not topic
            or not isinstance(flow.dst, Internet)
            or vpc not in m.decided(topic)
            or loss not in told
        ):
            found.append((flow, before, after))
    return found


def path(flow: Flow, records: Records) -> set[str]:
    """The ids of all that a flow passes: its ends, their groups, subnets, lists, tables, networks, gateways."""
    ends = {end.id for end in (flow.src, flow.dst) if isinstance(end, Nic)}
    nics = [one for one in records["NetworkInterfaces"] if one["NetworkInterfaceId"] in ends]
    vpcs = {one["VpcId"] for one in nics}
    subnets = {one["SubnetId"] for one in nics}
    subnets |= {one["SubnetId"] for one in records["NatGateways"] if one["VpcId"] in vpcs}
    ids = ends | vpcs | subnets | {each["GroupId"] for one in nics for each in one["Groups"]}
    for key, id_ in (("RouteTables", "RouteTableId"), ("NetworkAcls", "NetworkAclId")):
        for one in records[key]:
            bonds = one["Associations"]
            whole = one.get("IsDefault") or any(each.get("Main") for each in bonds)
            mine = whole or any(each.get("SubnetId") in subnets for each in bonds)
            if mine and one["VpcId"] in vpcs:
                ids.add(one[id_])
    if len(vpcs) > 1:
        ids |= {one["VpcPeeringConnectionId"] for one in records["VpcPeeringConnections"]}
    return ids


def unsaid(records: Records, m: Moved, difference: worlds.Difference) -> list[Any]:
    """The narrowings on whose path no loss says anything that could be meant."""
    found = []
    held = {
        key.rsplit("|", 1)[1]: [
            ("IPv6" in str(loss.reason), loss)
            for loss in each.losses
            if loss.field not in ASIDE
            and "lets pass what" not in str(loss.reason)
            and not str(loss.reason).endswith("changes.")
        ]
        for key, each in m.said.items()
    }
    for flow, before, after in difference.narrowed:
        on = [each for id_ in path(flow, records) for each in held.get(id_, ())]
        if not any(flow.family == 6 or not six for six, _ in on):
            found.append((flow, before, after))
    return found


# Worlds that also have what the referee's lack


def _elsewhere(draw: st.DrawFn, records: Records, table: dict[str, Any]) -> None:
    """A route that few estates have: half a default, a part of the network, of a peer, through a guest."""
    index = table["VpcId"].removeprefix("vpc-")
    targets: list[dict[str, str]] = [
        {"GatewayId": f"igw-{index}"},
        {"NetworkInterfaceId": "eni-appliance"},
        {"TransitGatewayId": "tgw-1"},
        *({"NatGatewayId": one["NatGatewayId"]} for one in records["NatGateways"]),
        *(
            {"VpcPeeringConnectionId": one["VpcPeeringConnectionId"]}
            for one in records["VpcPeeringConnections"]
        ),
    ]
    places = ["0.0.0.0/1", "198.51.100.0/24", "203.0.113.0/25", worlds.PREFIX_LIST]
    places += [f"10.{index}.1.0/24", "10.0.0.0/25", "10.1.1.0/24"]
    to, chosen = draw(st.sampled_from(places)), draw(st.sampled_from(targets))
    kept = [one for one in table["Routes"] if one.get("DestinationCidrBlock") != to]
    if draw(st.integers(0, 5)) == 0:
        kept = [one for one in kept if one.get("DestinationCidrBlock") != "0.0.0.0/0"]
    table["Routes"] = [*kept, route(to, **chosen)]


def _second_address(records: Records, nic: dict[str, Any], number: int) -> None:
    """A second private address with an Elastic IP."""
    private = str(ip_address(nic["PrivateIpAddress"]) + 100)
    public, id_ = f"192.0.2.{100 + number}", f"eipalloc-{number}"
    bond = {"PublicIp": public, "AllocationId": id_, "IpOwnerId": "111122223333"}
    nic["PrivateIpAddresses"].append(
        {"PrivateIpAddress": private, "Primary": False, "Association": bond}
    )
    records["Addresses"].append(
        {
            "AllocationId": id_,
            "AssociationId": f"eipassoc-{number}",
            "PublicIp": public,
            "Domain": "vpc",
            "NetworkInterfaceId": nic["NetworkInterfaceId"],
            "PrivateIpAddress": private,
        }
    )


@st.composite
def estates(draw: st.DrawFn) -> Records:
    """Worlds of the referee; half of them with a few things that few estates have."""
    records = draw(worlds.aws_worlds())
    if draw(st.booleans()):
        return records
    for table in records["RouteTables"]:
        if draw(st.integers(0, 2)) == 0:
            _elsewhere(draw, records, table)
    for number, nic in enumerate(records["NetworkInterfaces"]):
        if draw(st.integers(0, 4)) == 0:
            _second_address(records, nic, number)
        nic["SourceDestCheck"] = draw(st.integers(0, 5)) > 0
    if records["NatGateways"] and draw(st.integers(0, 4)) == 0:
        records["NatGateways"][0]["State"] = draw(st.sampled_from(["deleted", "pending"]))
    if draw(st.integers(0, 6)) == 0:
        records["InternetGateways"][0]["Attachments"] = []
    for group in records["SecurityGroups"]:
        if draw(st.integers(0, 5)) == 0:
            group["GroupName"] = "default"
        if draw(st.integers(0, 5)) == 0:
            group["IpPermissions"].append(permission("0", None, "0.0.0.0/0"))
    return records


# The property


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def explicit(nodes: list[dict[str, Any]]) -> list[str]:
    """What leaves to a cloud's defaults what may pass."""
    feet = {
        (node["props"].get("port_id") or {}).get("$ref")
        for node in nodes
        if node["type"] == "openstack.networking.RouterInterface"
    }
    found = []
    for node in nodes:
        props = node["props"]
        if node["type"] == "openstack.networking.Port":
            guarded = bool(props.get("security_group_ids")) != bool(props.get("no_security_groups"))
            if props.get("port_security_enabled") is False:
                guarded = node["name"] in feet
            if not guarded:
                found.append(f"{node['name']}: no group of its own")
        if node["type"] == "openstack.networking.SecGroup":
            if props.get("delete_default_rules") is not True:
                found.append(f"{node['name']}: keeps the default rules")
            if props["name"] == "default":
                found.append(f"{node['name']}: the name of the project's own group")
        if node["type"] == "openstack.networking.SecGroupRule":
            bounds = {props.get("port_range_min"), props.get("port_range_max")}
            if str(props.get("protocol")) in {"icmp", "1", "ipv6-icmp", "icmpv6", "58"}:
                bounds = {
                    props.get("port_range_min")
                }  # a code of 0 stands for any code: both bounds must be there
            if 0 in bounds:
                found.append(f"{node['name']}: a bound of 0 is never sent")
    return found


@given(estates())
@bounded(300)
def test_no_path_is_wider_and_what_is_narrower_is_said(records: Records) -> None:
    m = moved(records)
    difference = compared(records, m)
    assert unstated(records, m, difference) == []
    assert difference.refused_rules == ()
    assert unsaid(records, m, difference) == []
    assert explicit(m.nodes) == []


@given(estates())
@bounded(100)
def test_no_path_is_wider_where_the_defaults_admit_everything(records: Records) -> None:
    m = moved(records, "ovhcloud")
    difference = compared(records, m, "ovhcloud")
    assert unstated(records, m, difference) == []
    assert difference.refused_rules == ()
    assert explicit(m.nodes) == []


@given(estates())
@bounded(100)
def test_behind_a_nat_gateway_the_answer_no_leaves_nothing_wider(records: Records) -> None:
    m = moved(records, nat_protocols="refuse")
    wide = [each for each in compared(records, m).widened if "a NAT gateway" in each[1][-1]]
    assert wide == []


def test_the_worlds_are_worth_asking() -> None:
    """Flows are admitted at both, refused at both, and each kind of stated widening occurs."""
    seen = {"admitted": 0, "narrowed": 0, **dict.fromkeys(STATED, 0)}

    @given(estates())
    @bounded(60)
    def count(records: Records) -> None:
        found = compared(records, moved(records))
        narrowed = sum(flow.family == 4 for flow, _, _ in found.narrowed)
        seen["admitted"] += found.admitted - len(found.narrowed)
        seen["narrowed"] += narrowed
        for _, before, _ in found.widened:
            for reason in STATED:
                seen[reason] += reason in before[-1]

    count()
    assert min(seen.values()) > 0, seen
    assert seen["admitted"] > 5 * seen["narrowed"]


# Traps, one by one, in an account made for them: a public, a private and an isolated subnet


def account(**lists: list[dict[str, Any]]) -> Records:
    """One VPC; `pub`, `priv`, `iso` replace the entries of the access list of that subnet."""
    records = worlds.no_records()
    records["Vpcs"] = [worlds.vpc("vpc-a", "10.0.0.0/16")]
    subnets = {
        name: worlds.subnet(f"subnet-{name}", "vpc-a", f"10.0.{number}.0/24")
        for number, name in enumerate(("pub", "priv", "iso"))
    }
    records["Subnets"] = list(subnets.values())
    records["InternetGateways"] = [worlds.internet_gateway("igw-a", "vpc-a")]
    nat = worlds.nat_gateway("nat-a", "vpc-a", "subnet-pub", "10.0.0.5", "192.0.2.5")
    records["NatGateways"] = [nat]
    local = route("10.0.0.0/16", **worlds.LOCAL)
    records["RouteTables"] = [
        worlds.route_table("rtb-iso", "vpc-a", [local], main=True),
        worlds.route_table(
            "rtb-pub", "vpc-a", [local, route("0.0.0.0/0", GatewayId="igw-a")], "subnet-pub"
        ),
        worlds.route_table(
            "rtb-priv", "vpc-a", [local, route("0.0.0.0/0", NatGatewayId="nat-a")], "subnet-priv"
        ),
    ]
    records["NetworkAcls"] = [
        worlds.network_acl(
            f"acl-{name}", "vpc-a", lists.get(name, worlds.open_entries()), f"subnet-{name}"
        )
        for name in subnets
    ]
    world = [permission("-1", None, "0.0.0.0/0")]
    web = [permission("tcp", (443, 443), "0.0.0.0/0")]
    app = [permission("tcp", (8080, 8080), "sg-web")]
    records["SecurityGroups"] = [
        worlds.security_group("sg-web", "vpc-a", web, world),
        worlds.security_group("sg-app", "vpc-a", app, world),
        worlds.security_group("sg-other", "vpc-a", [], world),
    ]
    records["NetworkInterfaces"] = [
        worlds.interface("eni-web", subnets["pub"], "10.0.0.16", ["sg-web"], public="192.0.2.16"),
        worlds.interface("eni-bare", subnets["pub"], "10.0.0.17", ["sg-other"]),
        worlds.interface("eni-app", subnets["priv"], "10.0.1.16", ["sg-app"]),
        worlds.interface("eni-cron", subnets["iso"], "10.0.2.16", ["sg-other"]),
    ]
    return records


def admitted(
    records: Records, src: str, dst: str, port: Any, protocol: str | int = "tcp", **overrides: str
) -> tuple[bool, bool]:
    """(AWS, target): whether a flow passes; names of interfaces, else addresses of the internet."""
    m = moved(records, **overrides)
    ends = [Nic(each) if each.startswith("eni-") else Internet(each) for each in (src, dst)]
    flow = Flow(ends[0], ends[1], protocol, port)
    before = aws_flows.admits(aws_flows.World(records), flow).allowed
    found = worlds.compare(records, m.nodes, m.ports, [flow], default_group="same group")
    return before, (before or bool(found.widened)) and not found.narrowed


def group(records: Records, name: str) -> dict[str, Any]:
    return next(one for one in records["SecurityGroups"] if one["GroupId"] == name)


def test_the_account_is_the_same_at_both() -> None:
    records = account()
    assert admitted(records, NET, "eni-web", 443) == (True, True)
    assert admitted(records, NET, "eni-web", 80) == (False, False)
    assert admitted(records, "eni-web", "eni-app", 8080) == (True, True)
    assert admitted(records, "eni-bare", "eni-app", 8080) == (False, False)
    assert admitted(records, "eni-app", NET, 443) == (True, True)


def test_an_inbound_deny_kills_the_answers_to_what_a_server_asks() -> None:
    deny = entry(10, "deny", "203.0.113.0/24", "6", (1024, 65535))
    records = account(pub=[deny, *worlds.open_entries()])
    assert admitted(records, "eni-web", NET, 443) == (False, False)
    assert admitted(records, "eni-web", "198.51.100.9", 443) == (True, True)
    assert any("access list acl-pub" in each for each in moved(records).losses("sg-web"))
    # Through the NAT gateway in that subnet as well: its answers come in there.
    assert admitted(records, "eni-app", NET, 443) == (False, False)
    assert any("nat-a" in each for each in moved(records).losses("sg-app"))


def test_a_list_that_denies_where_no_member_is_leaves_the_opening_to_a_group() -> None:
    deny = [entry(10, "deny", "10.0.2.0/24", "6", (0, 65535))]
    records = account(priv=[*deny, *worlds.open_entries()])
    assert admitted(records, "eni-web", "eni-app", 8080) == (True, True)
    assert admitted(records, "eni-cron", "eni-app", 8080) == (False, False)
    # one member where it denies: a group cannot be let in by halves, so none of it is, and that is said
    moved_there = next(each for each in records["NetworkInterfaces"] if each["NetworkInterfaceId"] == "eni-cron")  # fmt: skip
    moved_there["Groups"].append({"GroupId": "sg-web", "GroupName": "sg-web"})
    assert admitted(records, "eni-cron", "eni-app", 8080) == (False, False)
    assert admitted(records, "eni-web", "eni-app", 8080) == (True, False)
    assert any("access list acl-priv" in each for each in moved(records).losses("sg-app"))


def test_a_server_without_address_in_a_public_subnet_gets_out_and_that_is_stated() -> None:
    records = account()
    assert admitted(records, "eni-bare", NET, 443) == (False, True)
    m = moved(records)
    assert m.decided("public-egress") == ["vpc-a"]
    assert STATED["translates public addresses only"][1] in m.losses("vpc-a")


def test_nat_gateways_pass_three_protocols_and_the_router_more_unless_told() -> None:
    records = account()
    assert admitted(records, "eni-app", NET, 0, 47) == (False, True)
    assert admitted(records, "eni-app", NET, 0, 47, nat_protocols="refuse") == (False, False)
    assert admitted(records, "eni-app", NET, 443, nat_protocols="refuse") == (True, True)
    assert moved(records).decided("nat-protocols") == ["vpc-a"]


@pytest.mark.parametrize(
    ("what", "ports"),
    [
        ("icmp", (0, 0)), ("icmp", (0, -1)), ("icmp", (8, 0)), ("tcp", (0, 0)), ("udp", (0, 0)),
        ("tcp", (0, 22)), ("udp", (0, 65534)),
    ],
)  # fmt: skip
def test_a_bound_of_0_never_becomes_everything(what: str, ports: tuple[int, int]) -> None:
    records = account()
    group(records, "sg-web")["IpPermissions"] = [permission(what, ports, "0.0.0.0/0")]
    m = moved(records)
    found = compared(records, m)
    assert unstated(records, m, found) == []
    assert found.refused_rules == ()
    assert explicit(m.nodes) == []
    assert found.narrowed
    assert unsaid(records, m, found) == []


def test_what_is_left_beside_a_deny_has_no_bound_of_0() -> None:
    lines = [
        entry(1, "deny", "0.0.0.0/0", "6", (80, 80)),
        entry(2, "deny", "0.0.0.0/0", "1", (8, -1)),
        entry(3, "allow", "203.0.113.0/24", "1", (0, 0)),
    ]
    records = account(pub=[*lines, *worlds.open_entries()])
    group(records, "sg-web")["IpPermissions"] = [permission("-1", None, "0.0.0.0/0")]
    m = moved(records)
    found = compared(records, m)
    assert unstated(records, m, found) == []
    assert found.refused_rules == ()
    assert explicit(m.nodes) == []
    assert admitted(records, NET, "eni-web", 79) == (True, True)
    assert admitted(records, NET, "eni-web", 80) == (False, False)
    assert admitted(records, NET, "eni-web", (3, 4), "icmp")[1]


def test_denies_are_subtracted_from_allows() -> None:
    deny = entry(10, "deny", "203.0.113.0/24", "6", (0, 1000))
    records = account(pub=[deny, *worlds.open_entries()])
    assert admitted(records, NET, "eni-web", 443) == (False, False)
    assert admitted(records, "203.0.112.255", "eni-web", 443) == (True, True)
    assert admitted(records, "203.0.114.0", "eni-web", 443) == (True, True)


def test_without_a_default_route_there_is_no_path_to_the_internet() -> None:
    records = account()
    assert admitted(records, "eni-cron", NET, 443) == (False, False)
    m = moved(records)
    target = openstack_flows.World(m.nodes)
    verdict = openstack_flows.admits(
        target, Flow(Nic(m.ports["eni-cron"]), Internet(NET), "tcp", 443)
    )
    assert "no route there" in verdict.why[-1], "the path is missing, whatever the groups say"
    assert admitted(records, "eni-cron", "eni-web", 443) == (True, True)


@pytest.mark.parametrize("name", ["priv", "iso"])
def test_a_public_address_where_no_gateway_leads_is_not_bound(name: str) -> None:
    records = account()
    place = next(one for one in records["Subnets"] if one["SubnetId"] == f"subnet-{name}")
    address = f"{place['CidrBlock'].removesuffix('0/24')}40"
    records["NetworkInterfaces"].append(
        worlds.interface("eni-odd", place, address, ["sg-web"], public="192.0.2.40")
    )
    assert admitted(records, NET, "eni-odd", 443) == (False, False)
    assert any("nobody reaches it" in each for each in moved(records).losses("eni-odd"))


def test_a_route_to_nowhere_is_no_way_out() -> None:
    records = account()
    dead = {**route("203.0.113.0/24", NetworkInterfaceId="eni-gone"), "State": "blackhole"}
    for table in records["RouteTables"][1:]:
        table["Routes"].append(dead)
    assert admitted(records, NET, "eni-web", 443) == (False, False)
    assert admitted(records, "eni-web", NET, 443) == (False, False)
    assert admitted(records, "eni-app", NET, 443) == (False, False)
    assert admitted(records, "eni-app", "198.51.100.9", 443) == (True, True)
    assert any(
        "no route leads to 203.0.113.0/24" in each for each in moved(records).losses("sg-web")
    )


def test_a_group_called_default_is_one_of_its_own() -> None:
    records = account()
    group(records, "sg-web")["GroupName"] = "default"
    for cloud in ("openstack", "ovhcloud"):
        m = moved(records, cloud)
        assert explicit(m.nodes) == []
        assert unstated(records, m, compared(records, m, cloud)) == []
    assert admitted(records, NET, "eni-web", 80) == (False, False)
    assert admitted(records, NET, "eni-web", 443) == (True, True)


def peers(*routed: str) -> Records:
    """The account and a second network, peered; the tables named know the way."""
    records = account()
    other = worlds.subnet("subnet-far", "vpc-b", "10.1.0.0/24")
    records["Vpcs"].append(worlds.vpc("vpc-b", "10.1.0.0/16"))
    records["Subnets"].append(other)
    records["VpcPeeringConnections"] = [worlds.peering("pcx-ab", "vpc-a", "vpc-b")]
    back = [route("10.1.0.0/16", **worlds.LOCAL), route("10.0.0.0/16", VpcPeeringConnectionId="pcx-ab")]  # fmt: skip
    for table in records["RouteTables"]:
        if table["RouteTableId"] in routed:
            table["Routes"] = [*table["Routes"], route("10.1.0.0/16", VpcPeeringConnectionId="pcx-ab")]  # fmt: skip
    records["RouteTables"].append(worlds.route_table("rtb-far", "vpc-b", back, main=True))
    records["NetworkAcls"].append(
        worlds.network_acl("acl-b", "vpc-b", worlds.open_entries(), "subnet-far", default=True)
    )
    near = [permission("tcp", (22, 22), "10.0.0.0/16"), permission("tcp", (9000, 9000), "sg-web")]
    world = [permission("-1", None, "0.0.0.0/0")]
    records["SecurityGroups"].append(worlds.security_group("sg-far", "vpc-b", near, world))
    records["NetworkInterfaces"].append(worlds.interface("eni-far", other, "10.1.0.16", ["sg-far"]))
    return records


def test_a_peer_is_reached_from_where_routes_say_so_alone() -> None:
    records = peers("rtb-priv")
    assert admitted(records, "eni-app", "eni-far", 22) == (True, True)
    assert admitted(records, "eni-web", "eni-far", 22) == (False, False)


def test_any_number_of_peerings_end_in_one_network_and_none_moves_another() -> None:
    records = peers("rtb-pub", "rtb-priv")
    before = linked(moved(records), "pcx-ab")
    third = worlds.subnet("subnet-0", "vpc-0", "10.2.0.0/24")
    records["Vpcs"].append(worlds.vpc("vpc-0", "10.2.0.0/16"))
    records["Subnets"].append(third)
    records["VpcPeeringConnections"].append(worlds.peering("pcx-0b", "vpc-0", "vpc-b"))
    there = [route("10.2.0.0/16", **worlds.LOCAL), route("10.1.0.0/16", VpcPeeringConnectionId="pcx-0b")]  # fmt: skip
    records["RouteTables"].append(worlds.route_table("rtb-0", "vpc-0", there, main=True))
    back = next(one for one in records["RouteTables"] if one["RouteTableId"] == "rtb-far")
    back["Routes"].append(route("10.2.0.0/16", VpcPeeringConnectionId="pcx-0b"))
    records["NetworkAcls"].append(
        worlds.network_acl("acl-0", "vpc-0", worlds.open_entries(), "subnet-0", default=True)
    )
    world = [permission("-1", None, "0.0.0.0/0")]
    records["SecurityGroups"].append(worlds.security_group("sg-0", "vpc-0", [], world))
    records["NetworkInterfaces"].append(worlds.interface("eni-0", third, "10.2.0.16", ["sg-0"]))
    group(records, "sg-far")["IpPermissions"].append(permission("tcp", (22, 22), "10.2.0.0/16"))
    m = moved(records)
    feet = [
        each["ip_address"]
        for one in m.nodes
        if one["type"].endswith("networking.Port") and "peering_connection|" in one["name"]
        for each in one["props"]["fixed_ips"]
    ]
    assert len(feet) == len(set(feet)) == 2
    assert admitted(records, "eni-web", "eni-far", 22) == (True, True)
    assert admitted(records, "eni-0", "eni-far", 22) == (True, True)
    assert admitted(records, "eni-0", "eni-web", 443) == (False, False)
    assert linked(m, "pcx-ab") == before


def linked(m: Moved, id_: str) -> dict[str, dict[str, Any]]:
    """What a peering became, without the addresses that the cloud picks."""
    picked = ("next_hop", "fixed_ips")
    return {
        one["name"]: {key: held for key, held in one["props"].items() if key not in picked}
        for one in m.nodes
        if f"|{id_}#" in one["name"]
    }


def test_a_reference_to_a_group_of_a_peer_is_refused_and_said() -> None:
    records = peers("rtb-pub", "rtb-priv")
    assert admitted(records, "eni-web", "eni-far", 22) == (True, True)
    assert admitted(records, "eni-web", "eni-far", 9000) == (True, False)
    assert any("group of another VPC" in each for each in moved(records).losses("sg-far"))


def test_a_prefix_list_of_aws_is_refused_and_said() -> None:
    records = account()
    listed, members = worlds.prefix_list("pl-1", "203.0.113.0/24")
    records["PrefixLists"] = [{**listed, "OwnerId": "AWS", "PrefixListName": "com.amazonaws.s3"}]
    group(records, "sg-web")["IpPermissions"] = [permission("tcp", (443, 443), "pl-1")]
    m = moved(records)
    assert any("means nothing at the target" in each for each in m.losses("sg-web"))
    records["PrefixListEntries"] = [members]
    before = aws_flows.admits(
        aws_flows.World(records), Flow(Internet(NET), Nic("eni-web"), "tcp", 443)
    )
    assert before.allowed
    target = openstack_flows.World(m.nodes)
    assert not openstack_flows.admits(
        target, Flow(Internet(NET), Nic(m.ports["eni-web"]), "tcp", 443)
    ).allowed


def test_protocol_0_is_not_every_protocol() -> None:
    records = account()
    group(records, "sg-web")["IpPermissions"] = [permission("0", None, "0.0.0.0/0")]
    assert admitted(records, NET, "eni-web", 443) == (False, False)
    assert any("Protocol 0" in each for each in moved(records).losses("sg-web"))


def balanced() -> Records:
    """The account with a balancer in the public subnet, which alone may speak to `app`."""
    records = account()
    arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/shop/1"
    world = [permission("-1", None, "0.0.0.0/0")]
    few = [permission("tcp", (443, 443), "203.0.113.0/24")]
    records["SecurityGroups"].append(worlds.security_group("sg-lb", "vpc-a", few, world))
    group(records, "sg-app")["IpPermissions"] = [permission("tcp", (8080, 8080), "sg-lb")]
    place = records["Subnets"][0]
    card = worlds.interface("eni-lb", place, "10.0.0.30", ["sg-lb"], public="192.0.2.30")
    records["NetworkInterfaces"].append({**card, "RequesterManaged": True, "InterfaceType": "network_load_balancer"})  # fmt: skip
    records["LoadBalancers"] = [
        {
            "LoadBalancerArn": arn,
            "LoadBalancerName": "shop",
            "Type": "application",
            "VpcId": "vpc-a",
            "Scheme": "internet-facing",
            "SecurityGroups": ["sg-lb"],
            "AvailabilityZones": [{"SubnetId": "subnet-pub", "ZoneName": "eu-west-1a"}],
        }
    ]
    records["Listeners"] = [
        {
            "ListenerArn": arn.replace("loadbalancer", "listener", 1),
            "LoadBalancerArn": arn,
            "Port": 443,
            "Protocol": "TCP",
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": "none"}],
        }
    ]
    return records


def test_members_admit_the_subnet_of_their_balancer_and_that_is_asked() -> None:
    records = balanced()
    assert admitted(records, "eni-bare", "eni-app", 8080) == (False, True)
    m = moved(records)
    assert m.decided("balancer-members") == ["sg-app"]
    assert admitted(records, "eni-cron", "eni-app", 8080) == (False, False)
    refused = admitted(records, "eni-bare", "eni-app", 8080, balancer_members="refuse")
    assert refused == (False, False)


def test_a_balancer_admits_whom_its_groups_admit() -> None:
    records = balanced()
    m = moved(records)
    vip = next(one["name"] for one in m.nodes if one["type"].endswith("LoadBalancer"))
    ports = {**m.ports, "eni-lb": vip}
    asked = [
        Flow(Internet(each), Nic("eni-lb"), "tcp", port)
        for each in (NET, "198.51.100.9", "203.0.114.0")
        for port in (443, 80)
    ]
    found = worlds.compare(records, m.nodes, ports, asked, default_group="same group")
    assert found.admitted == 1
    assert found.widened == found.narrowed == ()


def test_a_balancer_admits_nobody_to_whom_no_route_leads() -> None:
    records = balanced()
    group(records, "sg-lb")["IpPermissions"] = [permission("tcp", (443, 443), "0.0.0.0/0")]
    dead = {**route("203.0.113.0/25", NetworkInterfaceId="eni-gone"), "State": "blackhole"}
    table = next(one for one in records["RouteTables"] if one["RouteTableId"] == "rtb-pub")
    table["Routes"].append(dead)
    m = moved(records)
    vip = next(one["name"] for one in m.nodes if one["type"].endswith("LoadBalancer"))
    asked = [Flow(Internet(each), Nic("eni-lb"), "tcp", 443) for each in (NET, "203.0.113.200")]
    found = worlds.compare(
        records, m.nodes, {**m.ports, "eni-lb": vip}, asked, default_group="same group"
    )
    assert found.admitted == 1
    assert found.widened == found.narrowed == ()


def test_who_passes_on_the_traffic_of_others_is_named_by_address() -> None:
    records = account()
    records["NetworkInterfaces"][0]["SourceDestCheck"] = False
    m = moved(records)
    assert unstated(records, m, compared(records, m)) == []
    assert admitted(records, "eni-web", "eni-app", 8080) == (True, True)
    assert admitted(records, "eni-bare", "eni-app", 8080) == (False, False)
    assert any("name the addresses" in each for each in m.losses("eni-web"))
    renumbered = moved(records, keep_addresses="renumber")
    assert any("admit those addresses too" in each for each in renumbered.losses("eni-web"))


def test_rules_of_a_renumbered_network_name_its_new_ranges() -> None:
    """At its default, AWS's own ranges, a renumbered network admits nothing that the kept one refuses."""
    records = account()

    def rules(m: Moved) -> dict[tuple[Any, ...], list[IPv4Network]]:
        found: dict[tuple[Any, ...], list[IPv4Network]] = {}
        for node in m.nodes:
            held = node["props"]
            if node["type"].endswith("SecGroupRule") and "remote_ip_prefix" in held and held["ethertype"] == "IPv4":  # fmt: skip
                key = (held["security_group_id"]["$ref"], held["direction"], held.get("protocol"), held.get("port_range_min"), held.get("port_range_max"))  # fmt: skip
                found.setdefault(key, []).append(IPv4Network(held["remote_ip_prefix"]))
        return found

    kept, new = rules(moved(records)), rules(moved(records, keep_addresses="renumber"))
    assert kept
    for key, nets in new.items():
        assert all(any(net.subnet_of(wide) for wide in kept[key]) for net in nets), key


@pytest.mark.parametrize("file", cases.all_cases(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_port_of_every_case_has_groups_of_its_own(file: Any) -> None:
    case = json.loads(file.read_text())
    for cloud in cases.clouds_of(case):
        _, nodes, _ = cases.run(case, cloud)
        assert explicit([named(node) for node in nodes]) == []


# A group has the forms of the subnets in which it can be worn, and no other


def forms(records: Records) -> dict[str, list[str]]:
    """Group -> the lists and tables that its forms are for; "" is the plain one."""
    ctx = Context(estate=estate(records), cloud=load_cloud("openstack"))
    return {
        key.rsplit("|", 1)[1]: sorted(
            each.label for each in said.intents if isinstance(each, Firewall)
        )
        for key, said in translate(ctx, RULES).items()
        if "security_group|" in key
    }


def narrow() -> Records:
    """The account with a list that denies the isolated subnet something."""
    return account(
        iso=[entry(10, "deny", "203.0.113.0/24", "6", (0, 1000)), *worlds.open_entries()]
    )


def test_a_group_has_a_form_for_each_way_it_is_worn_in() -> None:
    records = narrow()
    list_ = "in-list"
    assert forms(account()) == {"sg-web": [""], "sg-app": [""], "sg-other": [""]}
    assert forms(records) == {"sg-web": [""], "sg-app": [""], "sg-other": ["", list_]}
    records["NetworkInterfaces"] = [
        one for one in records["NetworkInterfaces"] if one["SubnetId"] == "subnet-iso"
    ]
    assert forms(records) == {"sg-web": [""], "sg-app": [""], "sg-other": [list_]}


def template(records: Records, *subnets: str, groups: int = 1) -> None:
    """A launch template that names sg-web, and groups in some subnets that start from it."""
    data = {"InstanceType": "t3.small", "SecurityGroupIds": ["sg-web"]}
    records["LaunchTemplates"] = [
        {"LaunchTemplateId": "lt-1", "Version": [{"LaunchTemplateData": data}]}
    ]
    records["AutoScalingGroups"] = [
        {
            "AutoScalingGroupName": f"fleet-{number}",
            "LaunchTemplate": {"LaunchTemplateId": "lt-1"},
            "MinSize": 2,
            "MaxSize": 2,
            "VPCZoneIdentifier": ",".join(subnets),
        }
        for number in range(groups)
    ]


@pytest.mark.parametrize(
    ("subnets", "groups", "found"),
    [
        (("subnet-pub",), 1, 1),
        (("subnet-pub", "subnet-iso"), 1, 2),
        ((), 1, 2),
        ((), 0, 2),
    ],
)
def test_a_fleet_wears_its_groups_in_its_subnets_alone(
    subnets: tuple[str, ...], groups: int, found: int
) -> None:
    records = narrow()
    template(records, *subnets, groups=groups)
    assert len(forms(records)["sg-web"]) == found


def test_a_database_wears_its_groups_in_the_subnets_of_its_group() -> None:
    records = narrow()
    worn = [{"VpcSecurityGroupId": "sg-app"}]
    held = [{"SubnetIdentifier": "subnet-iso"}]
    records["DBInstances"] = [
        {"DBInstanceIdentifier": "db", "Engine": "postgres", "VpcSecurityGroups": worn, "DBSubnetGroup": {"Subnets": held}}
    ]  # fmt: skip
    assert len(forms(records)["sg-app"]) == 2
    del records["DBInstances"]
    records["DBClusters"] = [
        {"DBClusterIdentifier": "db", "Engine": "aurora-postgresql", "VpcSecurityGroups": worn, "DBSubnetGroup": "not-read"}
    ]  # fmt: skip
    assert len(forms(records)["sg-app"]) == 2, "where its subnets are not known it keeps every way"
    assert len(forms(records)["sg-web"]) == 1


def test_where_a_form_is_missing_no_other_stands_in_for_it() -> None:
    records = narrow()
    m = moved(records)
    form = Firewall.along(
        m.said[m.ctx.key("aws.ec2.security_group", "sg-web") or ""].intents, "in some list"
    )
    assert form is None
    target = Target(m.ctx, {key: tuple(said.intents) for key, said in m.said.items()})
    keys = (m.ctx.key("aws.ec2.security_group", "sg-web") or "",)
    target.nodes[keys[0], ""] = Node(
        "openstack.networking.SecGroup", keys[0], "", "network", "", {}
    )
    iso, pub = (m.ctx.key("aws.ec2.subnet", f"subnet-{name}") for name in ("iso", "pub"))
    assert len(groups_on(target, keys, pub)) == 1
    assert groups_on(target, keys, iso) == []


# Cloud Temple has no groups: the same openings on each host


def served(records: Records) -> dict[str, list[dict[str, Any]]]:
    """The records with a server behind each interface."""
    cards = records["NetworkInterfaces"]
    bonds = [(one, one["NetworkInterfaceId"].replace("eni-", "i-")) for one in cards]
    return {
        **records,
        "NetworkInterfaces": [{**one, "Attachment": {"InstanceId": id_}} for one, id_ in bonds],
        "Instances": [
            {
                "InstanceId": id_,
                "InstanceType": "t3.small",
                "State": {"Name": "running"},
                "NetworkInterfaces": [{"NetworkInterfaceId": one["NetworkInterfaceId"]}],
            }
            for one, id_ in bonds
        ],
    }


def host_files(m: Moved) -> dict[str, dict[str, Any]]:
    """Interface -> its adapter in the host firewall of its server."""
    found = {}
    for key, said in m.said.items():
        for each in said.attachments:
            if each.path.startswith("firewall/"):
                (adapter,) = yaml.safe_load(each.content)["host_firewall"]
                found[key.rsplit("|", 1)[1].replace("i-", "eni-", 1)] = adapter
    return found


def passes(adapter: dict[str, Any], direction: str, flow: Flow, peer: str) -> bool:
    """Whether a host firewall lets a request pass; it keeps state, so answers follow."""
    for each in adapter["allowed"]:
        if each["direction"] != direction or each["protocol"] not in ("any", str(flow.protocol)):
            continue
        if not any(ip_address(peer) in ip_network(cidr) for cidr in each["peers"]):
            continue
        first, last = each["first"], each["last"]
        if isinstance(flow.port, tuple):
            if first in (None, flow.port[0]) and last in (None, flow.port[1]):
                return True
        elif first is None or first <= flow.port <= last:
            return True
    return False


def host_admits(files: Mapping[str, dict[str, Any]], flow: Flow) -> bool:
    """A flow where the ordered networks route everything: the hosts alone decide."""

    def address(end: Any) -> str:
        return files[end.id]["addresses"][0] if isinstance(end, Nic) else end.address

    out, into = flow.src, flow.dst
    return (not isinstance(out, Nic) or passes(files[out.id], "egress", flow, address(into))) and (
        not isinstance(into, Nic) or passes(files[into.id], "ingress", flow, address(out))
    )


def ordered(records: Records, flow: Flow, before: tuple[str, ...]) -> bool:
    """Whether AWS refuses for want of a way, which is ordered with the networks and no host's matter."""
    if isinstance(flow.src, Nic) and isinstance(flow.dst, Nic):
        home = {one["NetworkInterfaceId"]: one["VpcId"] for one in records["NetworkInterfaces"]}
        pairs = [
            {one["RequesterVpcInfo"]["VpcId"], one["AccepterVpcInfo"]["VpcId"]}
            for one in records["VpcPeeringConnections"]
            if one["Status"]["Code"] == "active"
        ]
        ends = {home[flow.src.id], home[flow.dst.id]}
        return len(ends) > 1 and ends not in pairs
    ways = ("public address", "no route", "no way to the Internet", "NAT gateway", "the way back", "not attached")  # fmt: skip
    return any(each in before[-1] for each in ways)


def closed(records: Records, m: Moved) -> set[str]:
    """The interfaces whose subnets are ordered without a way out."""
    shut = {
        key.rsplit("|", 1)[1]
        for key, each in m.said.items()
        for intent in each.intents
        if isinstance(intent, Subnet) and intent.reach == "isolated"
    }
    cards = records["NetworkInterfaces"]
    return {one["NetworkInterfaceId"] for one in cards if one["SubnetId"] in shut}


@given(estates())
@bounded(60)
def test_no_host_firewall_is_wider(records: Records) -> None:
    m = moved(served(records), "cloudtemple")
    files, shut = host_files(m), closed(records, m)
    assert set(files) == {one["NetworkInterfaceId"] for one in records["NetworkInterfaces"]}
    source = aws_flows.World(records)
    for flow in worlds.flows(records):
        if flow.family == 6 or not host_admits(files, flow):
            continue
        ends = (flow.src, flow.dst)
        if any(isinstance(each, Internet) for each in ends) and any(
            isinstance(each, Nic) and each.id in shut for each in ends
        ):
            continue
        before = aws_flows.admits(source, flow)
        assert before.allowed or ordered(records, flow, before.why), (flow, before.why)


def test_a_host_firewall_names_members_by_address_and_subtracts_denies() -> None:
    deny = entry(10, "deny", "203.0.113.0/24", "6", (0, 1000))
    m = moved(served(account(pub=[deny, *worlds.open_entries()])), "cloudtemple")
    files = host_files(m)
    assert files["eni-app"]["addresses"] == ["10.0.1.16"]
    inbound = [x for x in files["eni-app"]["allowed"] if x["direction"] == "ingress"]
    assert inbound == [
        {"direction": "ingress", "protocol": "tcp", "first": 8080, "last": 8080, "peers": ["10.0.0.16/32"]}
    ]  # fmt: skip
    web = [each for each in files["eni-web"]["allowed"] if each["direction"] == "ingress"]
    assert {(each["protocol"], each["first"], each["last"]) for each in web} == {("tcp", 443, 443)}
    peers = [ip_network(cidr) for each in web for cidr in each["peers"]]
    assert not any(ip_address(NET) in each for each in peers)
    assert any(ip_address("203.0.112.255") in each for each in peers)


def test_a_fleet_has_the_openings_of_servers_in_each_of_its_subnets() -> None:
    records = narrow()
    template(records, "subnet-pub", "subnet-iso")
    m = moved(records, "cloudtemple")
    (said,) = (said for key, said in m.said.items() if "auto_scaling_group|" in key)
    (file,) = (each for each in said.attachments if each.path == "firewall/fleets/fleet-0.yaml")
    iso, pub = sorted(
        yaml.safe_load(file.content)["host_firewall"],
        key=lambda one: one["addresses"],
        reverse=True,
    )
    assert (pub["addresses"], iso["addresses"]) == (["10.0.0.0/24"], ["10.0.2.0/24"])
    request = Flow(Internet(NET), Nic("fleet"), "tcp", 443)
    assert passes(pub, "ingress", request, NET)
    assert not passes(iso, "ingress", request, NET)
    assert passes(iso, "ingress", request, "198.51.100.9")
    server = host_files(moved(served(account()), "cloudtemple"))["eni-web"]
    assert pub["allowed"] == server["allowed"]
