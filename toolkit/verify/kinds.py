"""Resource type of the plan -> how it is listed, found and compared; a table, and the few ways in which values agree.

`tests/test_verify.py` holds the table against what the targets emit: every type has a row, every
property is compared or says why it can't be read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Agree = Callable[[Any, Any], bool]
"""(planned, found) -> do they mean the same?"""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A planned value that several objects of the target fulfil: images of one name, old and new."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is found and compared.

    `listing` is where its objects are (`reading.LISTINGS`, or made of them by `links.linked`); `key` the
    properties that identify it where it carries no mark: its name and its parent. `implied` is what
    holds where the plan is silent: a gateway that nobody planned is as wrong as a missing one. `ranked`
    is a property that only says an order among those with the same parent (property -> parent's property).
    """

    listing: str
    key: tuple[str, ...]
    compared: Mapping[str, Agree]
    implied: Mapping[str, Any] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    ranked: Mapping[str, str] = field(default_factory=dict)


def same(planned: Any, found: Any) -> bool:
    """Equal; text and numbers alike, as configuration is text."""
    if isinstance(planned, OneOf):
        return found in planned.ids
    if isinstance(planned, bool) or isinstance(found, bool):
        return bool(_truth(planned) == _truth(found))
    if planned in (None, "") or found in (None, ""):
        return planned in (None, "") and found in (None, "")
    return str(planned) == str(found)


def _truth(value: Any) -> Any:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return value


def holds(planned: Any, found: Any) -> bool:
    """All that is planned is there; others may have added to it (tags, metadata)."""
    if isinstance(planned, Mapping):
        have = {str(k).lower(): str(v) for k, v in (found or {}).items()}
        return all(have.get(str(k).lower()) == str(v) for k, v in planned.items())
    return set(planned or ()) <= set(found or ())


def unordered(planned: Any, found: Any) -> bool:
    """The same members in any order."""
    return sorted(map(str, planned or ())) == sorted(map(str, found or ()))


def ordered(planned: Any, found: Any) -> bool:
    """The same members in the same order: the first name server is asked first."""
    return [str(each) for each in planned or ()] == [str(each) for each in found or ()]


def headers(planned: Any, found: Any) -> bool:
    """The same names with the same values; values are text at the target."""
    return {k: str(v).lower() for k, v in (planned or {}).items()} == {
        k: str(v).lower() for k, v in (found or {}).items()
    }


def network(planned: Any, found: Any) -> bool:
    """The same range of addresses, however it is written."""
    return bool(planned and found) and _net(planned) == _net(found)


def networks(planned: Any, found: Any) -> bool:
    """The same ranges in any order."""
    return sorted(map(_net, planned or ()), key=str) == sorted(map(_net, found or ()), key=str)


def _net(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(value), strict=False)


def address(planned: Any, found: Any) -> bool:
    """The same address, however it is written."""
    if not planned or not found:
        return same(planned, found)
    try:
        return ipaddress.ip_address(str(planned)) == ipaddress.ip_address(str(found))
    except ValueError:
        return same(planned, found)


def pools(planned: Any, found: Any) -> bool:
    """The same allocation pools in any order."""
    return unordered(
        [f"{each['start']}-{each['end']}" for each in planned or ()],
        [f"{each['start']}-{each['end']}" for each in found or ()],
    )


def fixed_ips(planned: Any, found: Any) -> bool:
    """As many addresses as planned, each in its subnet, and the very one where the plan names it."""
    rest = [(str(each["subnet_id"]), str(each["ip_address"])) for each in found or ()]
    named = sorted(planned or (), key=lambda each: "ip_address" not in each)
    for each in named:
        hit = next(
            (
                one for one in rest
                if one[0] == str(each.get("subnet_id")) and each.get("ip_address") in (None, one[1])
            ), None,
        )  # fmt: skip
        if hit is None:
            return False
        rest.remove(hit)
    return not rest


def pairs(planned: Any, found: Any) -> bool:
    """The same foreign addresses; their MAC is the port's own where none is planned."""
    return networks(
        [each["ip_address"] for each in planned or ()], [each["ip_address"] for each in found or ()]
    )


def no_groups(planned: Any, found: Any) -> bool:
    """`no_security_groups`: true means that there is none."""
    return not planned or not found


def public_key(planned: Any, found: Any) -> bool:
    """The same key; its comment is nobody's concern."""
    return str(planned).split()[:2] == str(found).split()[:2]


def ports(planned: Any, found: Any) -> bool:
    """A server has the planned ports and no others; their order can't be read back."""
    return unordered([each["port"] for each in planned or ()], found)


def disks(planned: Any, found: Any) -> bool:
    """Each planned boot disk is attached."""
    return {str(each["uuid"]) for each in planned or ()} <= set(found or ())


def in_groups(planned: Any, found: Any) -> bool:
    """The server is a member of each server group that the plan hints at."""
    return {str(each["group"]) for each in planned or () if "group" in each} <= set(found or ())


def persistence(planned: Any, found: Any) -> bool:
    """The same kind of stickiness; what else the target fills in is its own."""
    return holds(planned, found) if planned else not found


def usable(planned: Any, found: Any) -> bool:
    """A volume that Cinder made: neither in error nor on its way."""
    return found in planned


def by_admission(planned: Any, found: Any) -> bool:
    """Never asked: rules are compared as a set, group by group (`admission`)."""
    raise NotImplementedError


_LB = {"name": same, "admin_state_up": same, "tags": holds}

KINDS: Mapping[str, Kind] = {
    "openstack.networking.Network": Kind(
        "networks", ("name",), {"name": same, "admin_state_up": same, "tags": holds},
    ),
    "openstack.networking.Subnet": Kind(
        "subnets", ("name", "network_id"), {
            "name": same, "network_id": same, "cidr": network, "ip_version": same, "gateway_ip": address, "enable_dhcp": same,
            "allocation_pools": pools, "dns_nameservers": ordered, "host_routes": unordered, "tags": holds,
        }, implied={"dns_nameservers": [], "host_routes": []},
    ),
    "openstack.networking.Router": Kind(
        "routers", ("name",), {"name": same, "admin_state_up": same, "external_network_id": same, "tags": holds},
        implied={"external_network_id": None},
    ),
    "openstack.networking.RouterInterface": Kind(
        "router_interfaces", ("router_id", "subnet_id", "port_id"), {"router_id": same, "subnet_id": same, "port_id": same}, needs=("ports", "routers"),
    ),
    "openstack.networking.RouterRoute": Kind(
        "routes", ("router_id", "destination_cidr"), {"router_id": same, "destination_cidr": network, "next_hop": address}, needs=("routers",),
    ),
    "openstack.networking.SecGroup": Kind(
        "security_groups", ("name",), {
            "name": same, "description": same, "tags": holds, "delete_default_rules": by_admission, "stateful": same,
        }, implied={"stateful": True},
    ),
    "openstack.networking.SecGroupRule": Kind(
        "rules", (), dict.fromkeys(
            ("security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"), by_admission,
        ), unread={"description": "Rules are compared by what they admit, not by their text."}, needs=("security_groups",),
    ),
    "openstack.networking.Port": Kind(
        "ports", ("name", "network_id"), {
            "name": same, "network_id": same, "fixed_ips": fixed_ips, "admin_state_up": same, "port_security_enabled": same,
            "security_group_ids": unordered, "no_security_groups": no_groups, "allowed_address_pairs": pairs, "tags": holds,
        }, implied={"port_security_enabled": True, "allowed_address_pairs": []},
    ),
    "openstack.networking.FloatingIp": Kind(
        "floating_ips", (), {"pool": same, "description": same, "tags": holds}, needs=("networks",),
    ),
    "openstack.networking.FloatingIpAssociate": Kind(
        "bindings", ("floating_ip",), {"floating_ip": address, "port_id": same, "fixed_ip": address}, needs=("floating_ips",),
    ),
    "openstack.compute.Keypair": Kind("key_pairs", ("name",), {"name": same, "public_key": public_key}),
    "openstack.compute.ServerGroup": Kind("server_groups", ("name",), {"name": same, "policies": same}),
    "openstack.compute.Instance": Kind(
        "servers", ("name",), {
            "name": same, "flavor_name": same, "image_id": same, "key_pair": same, "networks": ports, "metadata": holds, "availability_zone": same,
            "power_state": same, "block_devices": disks, "scheduler_hints": in_groups,
        }, implied={"power_state": "active"}, needs=("flavors", "images", "ports", "volumes", "server_groups"),
    ),
    "openstack.compute.VolumeAttach": Kind(
        "attachments", ("volume_id",), {"instance_id": same, "volume_id": same}, needs=("volumes",),
    ),
    "openstack.blockstorage.Volume": Kind(
        "volumes", ("name",), {"name": same, "size": same, "volume_type": same, "metadata": holds, "image_id": same, "status": usable},
        implied={"status": ["available", "in-use"]}, needs=("volume_images", "images"),
    ),
    "openstack.objectstorage.Container": Kind(
        "containers", ("name",), {"name": same, "versioning": same, "metadata": holds, "container_read": same},
        implied={"container_read": "", "versioning": False},
    ),
    "openstack.keymanager.SecretV1": Kind(
        "secrets", ("name",), {"name": same, "secret_type": same, "payload_content_type": same}, unread={
            "payload": "Secrets are never read back.",
            "payload_content_encoding": "It says how the payload travelled, not how it is kept.",
            "metadata": "The secret store tells metadata one secret at a time; it is read only where two have one name.",
        },
    ),
    "openstack.loadbalancer.LoadBalancer": Kind(
        "load_balancers", ("name",), {**_LB, "vip_subnet_id": same, "flavor_id": same, "provisioning_status": same},
        implied={"provisioning_status": "ACTIVE"}, needs=("load_balancer_flavors",),
    ),
    "openstack.loadbalancer.Listener": Kind(
        "listeners", ("name", "loadbalancer_id"), {
            **_LB, "loadbalancer_id": same, "protocol": same, "protocol_port": same, "default_pool_id": same, "default_tls_container_ref": same,
            "insert_headers": headers, "allowed_cidrs": networks, "timeout_client_data": same, "timeout_member_data": same,
        }, implied={"default_pool_id": None, "allowed_cidrs": []},
    ),
    "openstack.loadbalancer.Pool": Kind(
        "pools", ("name", "loadbalancer_id"), {**_LB, "loadbalancer_id": same, "protocol": same, "lb_method": same, "persistence": persistence},
        implied={"persistence": None},
    ),
    "openstack.loadbalancer.Member": Kind(
        "members", ("pool_id", "address", "protocol_port"), {
            **_LB, "pool_id": same, "address": address, "protocol_port": same, "subnet_id": same, "weight": same, "backup": same,
        }, implied={"admin_state_up": True, "weight": 1, "backup": False}, needs=("pools",),
    ),
    "openstack.loadbalancer.Monitor": Kind(
        "monitors", ("pool_id",), {
            "name": same, "pool_id": same, "type": same, "delay": same, "timeout": same, "max_retries": same, "max_retries_down": same,
            "url_path": same, "expected_codes": same, "http_method": same, "admin_state_up": same,
        },
    ),
    "openstack.loadbalancer.L7PolicyV2": Kind(
        "l7_policies", ("name", "listener_id"), {
            "name": same, "listener_id": same, "action": same, "position": same, "redirect_prefix": same, "redirect_http_code": same,
            "redirect_pool_id": same, "description": same, "admin_state_up": same,
        }, ranked={"position": "listener_id"},  # Octavia numbers them anew, without gaps
    ),
    "openstack.loadbalancer.L7RuleV2": Kind(
        "l7_rules", ("l7policy_id", "type", "compare_type", "key", "value"), {
            "l7policy_id": same, "type": same, "compare_type": same, "key": same, "value": same, "invert": same,
        }, implied={"key": None, "invert": False}, needs=("l7_policies",),
    ),
    "openstack.dns.Zone": Kind(
        "zones", ("name",), {"name": same, "email": same, "ttl": same, "description": same},
    ),
    "openstack.dns.RecordSet": Kind(
        "record_sets", ("zone_id", "name", "type"), {
            "zone_id": same, "name": same, "type": same, "ttl": same, "records": unordered, "description": same,
        }, needs=("zones",),
    ),
    "openstack.sharedfilesystem.ShareNetwork": Kind(
        "share_networks", ("name",), {"name": same, "description": same, "neutron_net_id": same, "neutron_subnet_id": same},
    ),
    "openstack.sharedfilesystem.Share": Kind(
        "shares", ("name",), {"name": same, "size": same, "share_proto": same, "share_type": same, "share_network_id": same, "metadata": holds},
    ),
    "openstack.sharedfilesystem.ShareAccess": Kind(
        "share_accesses", ("share_id", "access_to"), {"share_id": same, "access_type": same, "access_to": network, "access_level": same}, needs=("shares",),
    ),
}  # fmt: skip
"""Every OpenStack type that the targets emit. Sources: the API references of the services, and what the lab returns."""
