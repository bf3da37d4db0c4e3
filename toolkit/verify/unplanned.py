"""What stands in the plan's networks, balancers, zones and servers and nobody planned; a service's own ports are explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolkit.verify.compare import RULE, Comparison, Finding, Place, Planned, mark_on, marks_of
from toolkit.verify.kinds import KINDS
from toolkit.verify.links import INTERFACES
from toolkit.verify.reading import Object
from toolkit.verify.values import Unknown

SERVER, PORT, NETWORK = (
    "openstack.compute.Instance", "openstack.networking.Port", "openstack.networking.Network",
)  # fmt: skip
BALANCER, ROUTER = "openstack.loadbalancer.LoadBalancer", "openstack.networking.Router"

PARTS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    NETWORK: (("subnets", "network_id", "openstack.networking.Subnet"),),
    ROUTER: (
        ("routes", "router_id", "openstack.networking.RouterRoute"),
        ("router_interfaces", "router_id", "openstack.networking.RouterInterface"),
    ),
    SERVER: (("attachments", "instance_id", "openstack.compute.VolumeAttach"),),
    PORT: (("bindings", "port_id", "openstack.networking.FloatingIpAssociate"),),
    BALANCER: (
        ("listeners", "loadbalancer_id", "openstack.loadbalancer.Listener"),
        ("pools", "loadbalancer_id", "openstack.loadbalancer.Pool"),
    ),
    "openstack.loadbalancer.Listener": (("l7_policies", "listener_id", "openstack.loadbalancer.L7PolicyV2"),),
    "openstack.loadbalancer.L7PolicyV2": (("l7_rules", "l7policy_id", "openstack.loadbalancer.L7RuleV2"),),
    "openstack.loadbalancer.Pool": (
        ("members", "pool_id", "openstack.loadbalancer.Member"),
        ("monitors", "pool_id", "openstack.loadbalancer.Monitor"),
    ),
    "openstack.dns.Zone": (("record_sets", "zone_id", "openstack.dns.RecordSet"),),
    "openstack.sharedfilesystem.Share": (("share_accesses", "share_id", "openstack.sharedfilesystem.ShareAccess"),),
}  # fmt: skip
"""Planned type -> what may hang on it: listing, the property that names the parent, the type it would be."""

SERVICES: Mapping[str, str] = {
    "network:dhcp": "DHCP of the network",
    "network:distributed": "metadata and DHCP of the network (OVN)",
    "network:router_gateway": "gateway of a router",
    "network:router_centralized_snat": "address translation of a planned router",
    "network:router_ha_interface": "failover between the hosts of a planned router",
    "network:floatingip": "floating IP",
    "network:floatingip_agent_gateway": "floating IPs of a host",
    "manila:share": "shared file system",
}
"""`device_owner` of ports that services put into a network by themselves (Networking API), and what they are for."""


Ours = dict[tuple[Place, str, str], Planned]
"""(place, listing, id) -> the planned resource that this object is."""


@dataclass(slots=True)
class Strangers:
    """Findings `not planned`, and how many ports each service explains."""

    findings: list[Finding] = field(default_factory=list)
    explained: dict[str, int] = field(default_factory=dict)


def strangers(comparison: Comparison, managed: Sequence[Planned] = ()) -> Strangers:
    """Everything that hangs on what the plan made and that the plan does not know.

    `managed` are planned resources of other interfaces (a provider's databases, clusters): ports of
    another project in their networks are theirs.
    """
    out = Strangers()
    ours: Ours = {}
    for planned in comparison.planned.values():
        if comparison.readable(planned) and planned.type != RULE:
            for each in comparison.all_found(planned):
                ours.setdefault((planned.place, KINDS[planned.type].listing, each["id"]), planned)
    disks = _boot_disks(comparison)
    vips = _vips(comparison)
    ports_of = {port: balancer for (_, balancer), port in vips.items()}
    for (place, _, id_), planned in ours.items():
        hangs = [(part, by, id_, type_) for part, by, type_ in PARTS.get(planned.type, ())]
        if planned.type == BALANCER and (vip := vips.get((place, id_))):
            hangs += [(part, by, vip, type_) for part, by, type_ in PARTS[PORT]]
        for part, by, parent, type_ in hangs:
            for each in comparison.children(place, part, by, parent):
                if (place, part, each["id"]) in ours or _natural(part, each, planned):
                    continue
                if part == "attachments" and each["volume_id"] in disks.get(
                    planned.name, {each["volume_id"]}
                ):
                    continue
                out.findings.append(_extra(planned, type_, each))
        if planned.type == NETWORK:
            _ports(comparison, planned, id_, ours, ports_of, managed, out)
    out.findings += _orphans(comparison, ours)
    out.findings = list({(each.type, each.id): each for each in out.findings}.values())
    return out


def _natural(part: str, each: Object, planned: Planned) -> bool:
    """What the target puts there by itself: the records that make a zone a zone."""
    return part == "record_sets" and each["type"] in ("NS", "SOA") and each["name"] == planned.props.get("name")  # fmt: skip


def _boot_disks(comparison: Comparison) -> dict[str, set[str]]:
    """Logical name of a server -> the volumes that its boot disks are; absent where that can't be told."""
    found: dict[str, set[str]] = {}
    for planned in comparison.planned.values():
        if planned.type == SERVER and comparison.readable(planned):
            try:
                held = comparison.values(planned.stack).of(planned.props.get("block_devices", []))
            except Unknown:
                continue
            found[planned.name] = {str(each["uuid"]) for each in held}
    return found


def _vips(comparison: Comparison) -> dict[tuple[Place, str], str]:
    """(place, id of a planned balancer) -> its port."""
    return {
        (planned.place, each["id"]): each["vip_port_id"]
        for planned in comparison.planned.values()
        if planned.type == BALANCER and comparison.readable(planned)
        for each in comparison.all_found(planned)
    }


def _ports(
    comparison: Comparison, network: Planned, id_: str, ours: Ours, vips: Mapping[str, str], managed: Sequence[Planned], out: Strangers,
) -> None:  # fmt: skip
    place = network.place
    there = comparison.there[place]
    servers = {each["id"]: each for each in there.get("servers", [])}
    projects = {each["project_id"] for each in there.get("networks", []) if each["id"] == id_}
    theirs = [each.name for each in managed if _mentions(each.props, network.name)]
    for port in comparison.children(place, "ports", "network_id", id_):
        owner, device = port["device_owner"] or "", port["device_id"] or ""
        if (place, "ports", port["id"]) in ours:
            continue
        if port["id"] in vips:
            _count(out, "address of a planned load balancer")
        elif owner in INTERFACES:
            if (place, "router_interfaces", port["id"]) in ours:
                _count(out, "interface of a planned router")
            elif (
                place,
                "routers",
                device,
            ) not in ours:  # one of a planned router is found as its part
                out.findings.append(_extra(network, ROUTER, {"id": device, "name": device, "all_fixed_ips": port["all_fixed_ips"]}))  # fmt: skip
        elif owner in SERVICES:
            _count(out, SERVICES[owner])
        elif theirs and port["project_id"] not in projects:
            _count(out, "managed product of the provider")
        elif (place, "servers", device) in ours:
            out.findings.append(_extra(ours[place, "servers", device], PORT, port))
        elif device in servers:
            out.findings.append(_extra(network, SERVER, {**servers[device], "all_fixed_ips": port["all_fixed_ips"]}))  # fmt: skip
        else:
            out.findings.append(_extra(network, PORT, port))


def _orphans(comparison: Comparison, ours: Ours) -> Iterator[Finding]:
    """Objects that carry a mark of one of the plan's stacks and that no plan has any more."""
    marks = marks_of(comparison.planned.values())
    stacks = {each.stack: each for each in comparison.planned.values()}
    cut = {f"stack={name}"[:60]: name for name in stacks} | {name: name for name in stacks}
    for type_, kind in KINDS.items():
        for place, there in comparison.there.items():
            for each in there.get(kind.listing, []):
                mark = mark_on(type_, each)
                if (
                    mark is None
                    or mark[0] not in cut
                    or (place, kind.listing, each["id"]) in ours
                    or mark in marks.get(type_, ())
                ):
                    continue
                stack = cut[mark[0]]
                yield Finding(
                    "not planned", stack, mark[1].removeprefix("name="), type_, "", id=each["id"], found=_shown(each),
                )  # fmt: skip


def _mentions(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == name or any(_mentions(each, name) for each in value.values())
    return isinstance(value, list) and any(_mentions(each, name) for each in value)


def _count(out: Strangers, what: str) -> None:
    out.explained[what] = out.explained.get(what, 0) + 1


def _extra(parent: Planned, type_: str, each: Object) -> Finding:
    """A finding on the planned parent, about an object of a type that hangs on it."""
    return Finding(
        "not planned", parent.stack, parent.name, type_, parent.origin, id=each["id"], found=_shown(each), because=parent.name,
    )  # fmt: skip


def _shown(each: Object) -> dict[str, Any]:
    """What people need to recognise an object."""
    wanted = (
        "name", "type", "records", "cidr", "destination_cidr", "next_hop", "address", "protocol", "protocol_port", "floating_ip", "fixed_ip", "all_fixed_ips",
        "volume_id", "instance_id", "device_owner", "subnet_id",
    )  # fmt: skip
    return {name: each[name] for name in wanted if each.get(name)}
