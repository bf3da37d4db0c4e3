"""A project's limits by the catalogue's words (`ram_gb=64`) <-> the quotas of Nova, Neutron, Cinder and Octavia."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.lab.folder import LabError
from toolkit.lab.identity import Session

UNLIMITED = -1
KINDS: Mapping[str, tuple[str, str, int]] = {
    "instances": ("compute", "instances", 1), "cores": ("compute", "cores", 1), "ram_gb": ("compute", "ram", 1024),
    "networks": ("network", "network", 1), "subnets": ("network", "subnet", 1), "ports": ("network", "port", 1),
    "routers": ("network", "router", 1), "floating_ips": ("network", "floatingip", 1),
    "security_groups": ("network", "security_group", 1), "security_group_rules": ("network", "security_group_rule", 1),
    "volumes": ("block-storage", "volumes", 1), "volume_gb": ("block-storage", "gigabytes", 1),
    "load_balancers": ("load-balancer", "load_balancer", 1),
}  # fmt: skip
"""Kind as plan.json names it -> service, its own word, its units in one of ours. Sources: the services' API references."""


def default(cloud: Session, project: str, quotas: Mapping[str, int | None]) -> None:
    """Set every kind to the catalogue's default; where the catalogue knows none, nothing is limited."""
    known = {kind: quotas.get(kind) for kind in KINDS}
    change(cloud, project, {k: UNLIMITED if v is None else v for k, v in known.items()})


def change(cloud: Session, project: str, limits: Mapping[str, int]) -> None:
    """Set these kinds and leave the others. Raises LabError for a kind that no service knows, or a refusal."""
    unknown = sorted(set(limits) - set(KINDS))
    if unknown:
        raise LabError(f"no quota is called {', '.join(unknown)}", f"Known: {', '.join(KINDS)}.")
    bodies: dict[str, dict[str, int]] = {}
    for kind, limit in limits.items():
        service, word, unit = KINDS[kind]
        bodies.setdefault(service, {})[word] = limit if limit < 0 else limit * unit
    for service, body in bodies.items():
        if service == "load-balancer" and not _balances(cloud):
            continue
        path, wrapped = _call(service, project, body)
        reply = _client(cloud, service).put(path, json=wrapped)
        if reply.status_code >= 400:
            raise LabError(f"the quota could not be set: {service} answers HTTP {reply.status_code} {reply.text[:200]}")  # fmt: skip


def read(cloud: Session, project: str) -> dict[str, int]:
    """The limits of a project by our words; -1: none."""
    said: dict[str, dict[str, Any]] = {}
    for service in {service for service, _, _ in KINDS.values()}:
        if service == "load-balancer" and not _balances(cloud):
            continue
        path, wrapped = _call(service, project, {})
        said[service] = _client(cloud, service).get(path).json()[next(iter(wrapped))]
    found = {}
    for kind, (service, word, unit) in KINDS.items():
        if service in said:
            limit = said[service][word]
            found[kind] = UNLIMITED if limit is None or limit < 0 else limit // unit
    return found


def _call(service: str, project: str, body: Mapping[str, int]) -> tuple[str, dict[str, Any]]:
    match service:
        case "network":
            return f"/quotas/{project}", {"quota": dict(body)}
        case "load-balancer":
            return f"/lbaas/quotas/{project}", {"quota": dict(body)}
        case "compute":
            return f"/os-quota-sets/{project}", {"quota_set": {**body, "force": True} if body else {}}  # fmt: skip
        case _:
            return f"/os-quota-sets/{project}", {"quota_set": dict(body)}


def _client(cloud: Session, service: str) -> Any:
    return getattr(cloud, {"load-balancer": "load_balancer", "block-storage": "block_storage"}.get(service, service))  # fmt: skip


def _balances(cloud: Session) -> bool:
    """Whether the cloud has load balancers at all: a profile may lack them."""
    return cloud.endpoint_for("load-balancer") is not None
