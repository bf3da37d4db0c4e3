"""Nodes and prices of the catalogue -> the list price per month, and the count of what has none. No guess."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.clouds import monthly
from toolkit.program import Config, Lookup

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.plan.assemble import Stack
    from toolkit.program import Node
    from toolkit.translate import Translation

FREE = frozenset(
    {
        "Network", "Subnet", "RouterInterface", "RouterRoute", "SubnetRoute", "SecGroup", "SecGroupRule", "Port", "Keypair",
        "VolumeAttach", "FloatingIpAssociate", "ServerGroup", "Listener", "Pool", "Member", "Members", "Monitor", "L7PolicyV2",
        "L7RuleV2", "Zone", "RecordSet", "SecretV1", "ContainerV1", "AddressGroup", "ZoneRecord", "InterfaceAttach", "ShareAccess",
        "PublicCloudVmNetworkAdapter", "VpcStaticIp", "VpcFloatingIpBinding", "Role", "Project", "ApplicationCredential",
        "PortSecGroupAssociate", "AddressScope", "User", "S3Credential", "S3Policy",
    }
)  # fmt: skip
"""Classes that no provider of the catalogue bills by themselves."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is billed: `month` is None where the catalogue has no price. Currency excluding tax."""

    what: str
    items: int
    count: float
    each_month: float | None
    fact: str
    status: str
    seen: str | None

    @property
    def month(self) -> float | None:
        return None if self.each_month is None else round(self.each_month * self.count, 2)


@dataclass(frozen=True, slots=True)
class Cost:
    """The sum of all lines that have a price; `unpriced` counts the items of those that have none."""

    currency: str
    lines: tuple[Line, ...]

    def json(self) -> dict[str, Any]:
        """plan.json's `cost`."""
        seen = sorted({line.seen for line in self.lines if line.seen and line.month is not None})
        return {
            "currency": self.currency,
            "total_month": round(sum(line.month or 0 for line in self.lines), 2),
            "unpriced": sum(line.items for line in self.lines if line.month is None),
            "seen": seen[0] if seen else None,
            "lines": [
                {
                    "what": line.what, "items": line.items, "count": round(line.count, 2), "each_month": line.each_month, "month": line.month,
                    "fact": line.fact, "status": line.status, "seen": line.seen,
                }
                for line in self.lines
            ],
        }  # fmt: skip


def price(stacks: Iterable[Stack], cloud: Cloud, said: Mapping[str, Translation]) -> Cost:
    """Sum the catalogue's prices over all nodes, and over objects whose size was measured."""
    counts: dict[tuple[str, str], float] = {}
    units: dict[tuple[str, str], float | None] = {}
    items: dict[tuple[str, str], int] = {}
    for stack in stacks:
        for placed in stack.resources:
            for kind, name, amount, each in _billed(placed.node, cloud):
                counts[kind, name] = counts.get((kind, name), 0) + amount
                units[kind, name] = each
                items[kind, name] = items.get((kind, name), 0) + 1
    stored = sum(
        move.gb or 0 for told in said.values() for move in told.moves if move.mover == "objects"
    )
    if stored:
        counts["object_gb", "GB of objects"] = stored
        items["object_gb", "GB of objects"] = 1
        units["object_gb", "GB of objects"] = cloud.prices.get("object_gb")
    return Cost(
        cloud.currency,
        tuple(
            Line(name, items[kind, name], count, _rounded(units[kind, name]), *_basis(cloud, kind))
            for (kind, name), count in sorted(counts.items())
        ),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _basis(cloud: Cloud, kind: str) -> tuple[str, str, str | None]:
    """The fact of this kind's price; `prices` is that of volumes, and of a cloud that tells no others."""
    topic = f"price_{kind}"
    path = cloud.about(topic)
    if path == topic:
        path = (
            cloud.about("prices")
            if kind.startswith("volume ") or cloud.prices.get(kind) is not None
            else ""
        )
    found = cloud.known(path)
    if not found:
        return path, "unverified", None
    fact = cloud.fact(path)
    return path, fact.status, fact.seen


def _billed(node: Node, cloud: Cloud) -> Iterator[tuple[str, str, float, float | None]]:
    """(kind, name, count, price per month of one) of what a node costs."""
    cls = node.type.rsplit(".", 1)[-1]
    if cls in FREE:
        return
    if cls == "Instance" and node.type.startswith("openstack.compute"):
        name = _default(node.props.get("flavor_name")) or _lookup_name(node.props.get("flavor_id"))
        flavor = next((each for each in cloud.flavors if each.name == name), None)
        yield "flavor", f"server {name or '?'}", 1, monthly(flavor.price_hour) if flavor else None
        for device in node.props.get("block_devices", []):
            if isinstance(device, dict) and isinstance(device.get("volume_size"), int):
                yield from _volume(cloud, None, device["volume_size"])
    elif cls == "Volume":
        yield from _volume(
            cloud, _default(node.props.get("volume_type")), node.props.get("size", 0)
        )
    elif cls == "FloatingIp":
        yield "floating_ip", "public address", 1, cloud.prices.get("floating_ip")
    elif cls == "Router":
        if node.props.get("external_network_id") is not None:
            yield "router", "router with a gateway", 1, cloud.prices.get("router")
    elif cls == "LoadBalancer":
        yield "load_balancer", "load balancer", 1, cloud.prices.get("load_balancer")
    elif cls in ("Container", "Storage", "ObjectStorageBucket"):
        return
    elif cls == "ContainerRegistry":
        yield "registry", "container registry", 1, cloud.prices.get("registry")
    elif cls == "Kube":
        yield "kubernetes", "Kubernetes control plane", 1, cloud.prices.get("kubernetes")
    elif cls == "KubeNodePool":
        name = _default(node.props.get("flavor_name"))
        flavor = next((each for each in cloud.flavors if each.name == name), None)
        yield (
            "flavor",
            f"node {name or '?'}",
            float(node.props.get("desired_nodes", 1)),
            monthly(flavor.price_hour) if flavor else None,
        )
    else:
        yield "other", node.type, 1, None


def _volume(
    cloud: Cloud, name: str | None, size: Any
) -> Iterator[tuple[str, str, float, float | None]]:
    found = next(
        (each for each in cloud.volume_types if name in (each.name, each.encrypted)),
        cloud.volume_types[0],
    )
    amount = float(size) if isinstance(size, (int, float)) else float(_default_number(size))
    yield f"volume {found.name}", f"GB of volume {found.name}", amount, found.month_gb


def _default(value: Any) -> str | None:
    if isinstance(value, Config):
        return str(value.default) if value.default is not None else None
    return value if isinstance(value, str) else None


def _default_number(value: Any) -> float:
    return (
        float(value.default)
        if isinstance(value, Config) and isinstance(value.default, int)
        else 0.0
    )


def _lookup_name(value: Any) -> str | None:
    if isinstance(value, Lookup):
        return _default(dict(value.args).get("name"))
    return None
