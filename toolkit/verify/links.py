"""Lists as the APIs give them -> the same with what they say of each other: interfaces, routes, attachments, bindings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from toolkit.verify.reading import Object, Snapshot

INTERFACES = ("network:router_interface", "network:ha_router_replicated_interface", "network:router_interface_distributed")  # fmt: skip
"""`device_owner` of a port by which a router stands in a subnet (Networking API: plain, HA, distributed)."""
STATES = {"active": "active", "stopped": "shutoff"}
"""Nova's vm_state -> Pulumi's power_state; others (error, paused, ...) are named as they are."""


def linked(there: Snapshot) -> Snapshot:
    """A new snapshot with the derived listings and fields that `kinds.KINDS` compares; reads only its argument."""
    by_id = {name: {each["id"]: each for each in held} for name, held in there.items()}

    def name_of(listing: str, id_: Any) -> Any:
        return by_id.get(listing, {}).get(id_, {}).get("name", id_)

    ports = there.get("ports", [])
    volumes = there.get("volumes", [])
    attachments = [
        {"id": f"{volume['id']} at {server}", "name": volume["name"], "volume_id": volume["id"], "instance_id": server}
        for volume in volumes for server in volume["attachments"]
    ]  # fmt: skip
    on_server = _grouped(ports, "device_id", "id")
    disks = _grouped(attachments, "instance_id", "volume_id")
    member_of: dict[str, list[str]] = {}
    for group in there.get("server_groups", []):
        for member in group["members"]:
            member_of.setdefault(member, []).append(group["id"])
    made_from = {each["id"]: each["image_id"] for each in there.get("volume_images", [])}
    out = dict(there)
    out["servers"] = [
        {
            **each, "flavor_name": name_of("flavors", each["flavor_id"]), "networks": on_server.get(each["id"], []),
            "power_state": STATES.get(each["vm_state"], each["vm_state"]),
            "block_devices": [*{*each["volumes"], *disks.get(each["id"], [])}], "scheduler_hints": member_of.get(each["id"], []),
        }
        for each in there.get("servers", [])
    ]  # fmt: skip
    out["ports"] = [{**each, "no_security_groups": each["security_group_ids"]} for each in ports]
    out["volumes"] = [{**each, "image_id": made_from.get(each["id"])} for each in volumes]
    out["floating_ips"] = [
        {**each, "pool": name_of("networks", each["floating_network_id"])}
        for each in there.get("floating_ips", [])
    ]
    out["attachments"] = attachments
    out["router_interfaces"] = list(_interfaces(ports))
    out["routes"] = [
        {
            "id": f"{router['id']} {route['destination']}", "name": f"{router['name']} {route['destination']}", "router_id": router["id"],
            "destination_cidr": route["destination"], "next_hop": route["nexthop"],
        }
        for router in there.get("routers", []) for route in router["routes"] or ()
    ]  # fmt: skip
    out["bindings"] = [
        {"id": each["id"], "name": each["address"], "floating_ip": each["address"], "port_id": each["port_id"], "fixed_ip": each["fixed_ip"]}
        for each in there.get("floating_ips", []) if each["port_id"]
    ]  # fmt: skip
    return out


def _interfaces(ports: Iterable[Object]) -> Iterator[Object]:
    for port in ports:
        if port["device_owner"] in INTERFACES:
            subnets = [each["subnet_id"] for each in port["fixed_ips"] or ()]
            yield {
                "id": port["id"], "name": port["name"] or port["id"], "router_id": port["device_id"], "port_id": port["id"],
                "subnet_id": subnets[0] if subnets else None, "network_id": port["network_id"],
            }  # fmt: skip


def _grouped(objects: Iterable[Mapping[str, Any]], by: str, what: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in objects:
        if each[by]:
            found.setdefault(str(each[by]), []).append(str(each[what]))
    return found
