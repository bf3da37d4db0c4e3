"""A planned resource -> the same with its stack and logical name in its tags, metadata or description."""

from __future__ import annotations

from typing import Any, Literal

How = Literal["tags", "metadata", "description"]

HOW: dict[str, How] = {
    **dict.fromkeys(
        (
            "openstack.networking.Network", "openstack.networking.Subnet", "openstack.networking.Router", "openstack.networking.SecGroup",
            "openstack.networking.Port", "openstack.networking.FloatingIp", "openstack.loadbalancer.LoadBalancer", "openstack.loadbalancer.Listener",
            "openstack.loadbalancer.Pool", "openstack.loadbalancer.Member",
        ), "tags",
    ),
    **dict.fromkeys(
        (
            "openstack.blockstorage.Volume", "openstack.compute.Instance", "openstack.keymanager.SecretV1", "openstack.objectstorage.Container",
            "openstack.sharedfilesystem.Share",
        ), "metadata",
    ),
    **dict.fromkeys(
        (
            "openstack.networking.SecGroupRule", "openstack.loadbalancer.L7PolicyV2", "openstack.dns.Zone", "openstack.dns.RecordSet",
            "openstack.sharedfilesystem.ShareNetwork", "ovh.cloudproject.Database", "cloudtemple.VpcFloatingIp",
        ), "description",
    ),
}  # fmt: skip
"""Class -> where it says who it is, so that it can be found again without the state."""


def mark(resource: dict[str, Any], stack: str) -> dict[str, Any]:
    """The resource with its mark; classes that can carry none are returned as they are.

    Neutron's tags have at most 60 characters and no commas; both marks are slugs.
    """
    how = HOW.get(resource["type"])
    name, props = resource["name"], resource["props"]
    if how == "tags":
        props["tags"] = [*props.get("tags", []), f"stack={stack}"[:60], f"name={name}"[:60]]
    elif how == "metadata":
        props["metadata"] = {
            **props.get("metadata", {}),
            "repatria-stack": stack,
            "repatria-name": name,
        }
    elif how == "description":
        said = props.get("description")
        own = f"[{stack}/{name}]"
        props["description"] = f"{said} {own}" if isinstance(said, str) and said else own
    return resource
