"""Figures -> hosts with roles and addresses, volumes, open ports. A name, once given, holds for every larger size."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from toolkit.outcomes import Text, text
from toolkit.suite.formulas import Figure

FIRST = {
    "edge": 10, "app": 20, "db": 50, "chatdb": 52, "chat": 55, "meet": 60, "turn": 65, "idp": 70, "ops": 75, "files": 80, "bridge": 100,
}  # fmt: skip
"""Kind of host -> the last byte of its first address in the network of 24 bits; no kind grows into the next."""
POOL = (251, 254)
"""What DHCP may give out: hosts have fixed addresses below it."""
NEED = {
    "edge": ("edge_vcpu", "edge_gb"),
    "nextcloud": ("nextcloud_vcpu", "nextcloud_gb"),
    "files": ("files_vcpu", "files_gb_memory"),
    "cache": ("cache_vcpu", "cache_gb"),
    "postgres_apps": ("postgres_apps_vcpu", "postgres_apps_gb"),
    "postgres_chat": ("postgres_chat_vcpu", "postgres_chat_gb"),
    "synapse": ("synapse_vcpu", "synapse_gb"),
    "element_web": (),
    "jitsi": ("jitsi_vcpu", "jitsi_gb"),
    "jitsi_bridge": ("bridge_vcpu", "bridge_gb"),
    "turn": ("turn_vcpu", "turn_gb"),
    "idp": ("idp_vcpu", "idp_gb"),
    "monitoring": ("monitoring_vcpu", "monitoring_gb"),
    "backup": ("backup_vcpu", "backup_gb_memory"),
}
"""Role -> the figures of what it takes on a host; none where it is a few files that the edge gives out."""
ROLES = tuple(NEED)


@dataclass(frozen=True, slots=True)
class Host:
    """A server: `kind` is its name without the number, and its security group's."""

    name: str
    kind: str
    address: str
    roles: tuple[str, ...]
    public: str
    """Name of its floating IP, or nothing."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume belongs to a role and goes with it. `work`: files (large, slow) or database (small, many IOPS)."""

    name: str
    role: str
    gb: int
    work: str
    mount: str


@dataclass(frozen=True, slots=True)
class Port:
    """Open on hosts of a kind, for `source`: `anyone`, `operators`, or a kind of host."""

    kind: str
    role: str
    protocol: str
    first: int
    last: int
    source: str
    why: Text


def hosts(figures: Mapping[str, Figure], network: str) -> tuple[Host, ...]:
    """The hosts for these figures, each role with what it needs somewhere, in the order of their names."""
    value = {name: figure.value for name, figure in figures.items()}
    stage, apart = value["stage"], bool(value["bridge_apart"])
    on = [role for role in ROLES if _installed(role, value)]
    placed: dict[str, list[str]] = {}
    for role in on:
        for name in _places(role, int(stage), apart, value):
            placed.setdefault(name, []).append(role)
    base = ipaddress.IPv4Network(network).network_address
    found = []
    for name, roles in placed.items():
        kind, _, number = name.rpartition("-")
        address = str(base + FIRST[kind] + int(number) - 1)
        found.append(Host(name, kind, address, tuple(roles), _public(name, roles)))
    return tuple(sorted(found, key=lambda host: (list(FIRST).index(host.kind), int(host.name.rpartition("-")[2]))))  # fmt: skip


def _installed(role: str, value: Mapping[str, float]) -> bool:
    match role:
        case "edge":
            return True
        case "cache":
            return bool(value["nextcloud_vcpu"] or value["synapse_vcpu"])
        case "element_web":
            return bool(value["synapse_vcpu"])
        case "backup":
            return bool(value["backup_vcpu"])
        case _:
            return bool(value[NEED[role][0]])


def _places(role: str, stage: int, apart: bool, value: Mapping[str, float]) -> list[str]:
    if role == "jitsi_bridge":
        return [f"bridge-{n}" for n in range(1, int(value["bridges"]) + 1)] if apart else ["app-1"]
    if stage == 1:
        return ["app-1"]
    if role == "nextcloud":
        return [f"app-{n}" for n in range(1, int(value["app_hosts"]) + 1)]
    own = {
        "postgres_apps": "db-1", "postgres_chat": "chatdb-1", "synapse": "chat-1", "jitsi": "meet-1", "turn": "turn-1", "idp": "idp-1",
        "monitoring": "ops-1", "backup": "ops-1",
    }  # fmt: skip
    late = {"edge": "edge-1", "element_web": "edge-1", "files": "files-1", "cache": "files-1"}
    return [own.get(role) or ("app-1" if stage == 2 else late[role])]


def _public(name: str, roles: list[str]) -> str:
    """An address stays with its job, so that names in the DNS stay what they are."""
    if "edge" in roles:
        return "edge"
    if "turn" in roles:
        return "turn"
    return name if "jitsi_bridge" in roles else ""


def volumes(figures: Mapping[str, Figure], most_gb: Mapping[str, int | None]) -> tuple[Volume, ...]:
    """The volumes; one that is larger than the cloud's largest is several, of which only the last one grows."""
    found = []
    for name, role, figure, work, mount in (
        ("files", "files", "files_volume_gb", "files", "/srv/nextcloud"),
        ("media", "synapse", "media_volume_gb", "files", "/srv/synapse"),
        ("postgres-apps", "postgres_apps", "postgres_apps_volume_gb", "database", "/srv/postgres-apps"),
        ("postgres-chat", "postgres_chat", "postgres_chat_volume_gb", "database", "/srv/postgres-chat"),
        ("metrics", "monitoring", "metrics_volume_gb", "files", "/srv/prometheus"),
    ):  # fmt: skip
        left, number, most = int(figures[figure].value), 1, most_gb[work]
        while left > 0:
            part = min(left, most) if most else left
            found.append(Volume(f"{name}-{number}", role, part, work, mount))
            left, number = left - part, number + 1
    return tuple(found)


def ports(held: tuple[Host, ...], monitoring: bool) -> tuple[Port, ...]:
    """Every port that somebody else than the host itself may reach, once; all else is closed.

    IPv4 alone. What is sent is not limited here: answers of the applications go anywhere.
    """
    by_role = {role: [host for host in held if role in host.roles] for role in ROLES}
    found: dict[tuple[str, str, int, int, str], Port] = {}

    def open_(role: str, protocol: str, first: int, last: int, source: str, why: Text) -> None:
        here = by_role[role]
        for kind in dict.fromkeys(host.kind for host in here):
            for peer in _sources(source, here, by_role):
                key = (kind, protocol, first, last, peer)
                found.setdefault(key, Port(kind, role, protocol, first, last, peer, why))

    for role, protocol, first, last, source, why in wanted():
        open_(role, protocol, first, last, source, why)
    gate = by_role["edge"][0].kind
    for kind in dict.fromkeys(host.kind for host in held):
        found[kind, "tcp", 22, 22, "operators" if kind == gate else gate] = Port(
            kind, "baseline", "tcp", 22, 22, "operators" if kind == gate else gate,
            text("SSH of the operators") if kind == gate else text("SSH, by way of the host {name}", name=by_role["edge"][0].name),
        )  # fmt: skip
        watchers = [host.kind for host in by_role["monitoring"]] if monitoring else []
        for watcher in watchers:
            if watcher != kind:
                found[kind, "tcp", 9100, 9100, watcher] = Port(kind, "baseline", "tcp", 9100, 9100, watcher, text("measurements of the host"))  # fmt: skip
    order = list(FIRST)
    return tuple(sorted(found.values(), key=lambda p: (order.index(p.kind), p.protocol, p.first, p.source)))  # fmt: skip


def _sources(source: str, here: list[Host], by_role: Mapping[str, list[Host]]) -> Iterator[str]:
    if source not in by_role:
        yield source
        return
    for kind in dict.fromkeys(host.kind for host in by_role[source]):
        peers = [host for host in by_role[source] if host.kind == kind]
        if peers != here or len(here) > 1:  # alone on one host they meet on the loopback
            yield kind


def wanted() -> Iterator[tuple[str, str, int, int, str, Text]]:
    """(role, protocol, first, last, source, why): a source is a role, or `anyone`."""
    yield ("edge", "tcp", 80, 80, "anyone", text("sent on to 443, and certificates"))
    yield ("edge", "tcp", 443, 443, "anyone", text("every application, and chat between servers (by delegation, not 8448)"))  # fmt: skip
    yield ("turn", "tcp", 80, 80, "anyone", text("certificates (its name leads here, not to the edge)"))  # fmt: skip
    yield ("turn", "tcp", 3478, 3478, "anyone", text("TURN and STUN"))
    yield ("turn", "udp", 3478, 3478, "anyone", text("TURN and STUN"))
    yield ("turn", "tcp", 5349, 5349, "anyone", text("TURN over TLS"))
    yield ("turn", "udp", 49152, 65535, "anyone", text("relayed sound and pictures"))
    yield ("jitsi_bridge", "udp", 10000, 10000, "anyone", text("sound and pictures of conferences, and between bridges"))  # fmt: skip
    yield ("jitsi_bridge", "tcp", 8080, 8080, "monitoring", text("health and measurements of the bridge"))  # fmt: skip
    yield ("jitsi", "tcp", 5222, 5222, "jitsi_bridge", text("bridges report to prosody"))
    yield ("jitsi", "tcp", 8443, 8443, "edge", text("web of the conferences"))
    yield ("jitsi", "tcp", 8888, 8888, "monitoring", text("health of jicofo"))
    yield ("nextcloud", "tcp", 8444, 8444, "edge", text("Nextcloud"))
    yield ("idp", "tcp", 8445, 8445, "edge", text("sign-on"))
    yield ("idp", "tcp", 9000, 9000, "monitoring", text("health and measurements of the sign-on"))
    yield ("synapse", "tcp", 8008, 8008, "edge", text("chat; one port for all of its processes"))
    yield ("synapse", "tcp", 9001, 9001, "monitoring", text("measurements of the chat"))
    yield ("postgres_apps", "tcp", 5432, 5432, "nextcloud", text("database"))
    yield ("postgres_apps", "tcp", 5432, 5432, "idp", text("database"))
    yield ("postgres_apps", "tcp", 9187, 9187, "monitoring", text("measurements of the database"))
    yield ("postgres_chat", "tcp", 5433, 5433, "synapse", text("database"))
    yield ("postgres_chat", "tcp", 9188, 9188, "monitoring", text("measurements of the database"))
    yield ("cache", "tcp", 6379, 6379, "nextcloud", text("sessions and locks, with a password"))
    yield ("cache", "tcp", 6379, 6379, "synapse", text("stream between the chat's processes, with a password"))  # fmt: skip
    yield ("files", "tcp", 2049, 2049, "nextcloud", text("files over NFS 4"))
    yield ("edge", "tcp", 9113, 9113, "monitoring", text("measurements of nginx"))
