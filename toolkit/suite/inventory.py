"""The plan of a suite -> an Ansible inventory: groups are roles, sizes are variables with the names that roles take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from toolkit.suite.layout import NEED

PREFIXES = {
    "edge": ("edge_",),
    "nextcloud": ("nextcloud_",),
    "files": (),
    "cache": ("cache_",),
    "postgres_apps": ("postgres_apps_",),
    "postgres_chat": ("postgres_chat_",),
    "synapse": ("synapse_",),
    "element_web": (),
    "jitsi": ("jitsi_",),
    "jitsi_bridge": ("bridge_", "receive_"),
    "turn": ("turn_",),
    "idp": ("idp_",),
    "monitoring": ("metrics_days",),
    "backup": (),
}
"""Role -> how the names of its figures begin."""
HEAD = "# Made by `repatria suite plan` from suite.toml; made again by it. What is yours goes into other files beside this one.\n"
_SIZES = ("_vcpu", "_volume_gb", "_memory")
"""Ends of figures that are of the infrastructure, not of a role."""


ALL = "inventory/group_vars/all/suite.yml"
"""A folder, so that what the stack and the vault know of all hosts stands beside it, in files of their own."""


def inventory(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Path -> content of `inventory/`."""
    files = {
        "inventory/hosts.yml": _hosts(document),
        ALL: _all(document),
    }
    for role in NEED:
        if any(role == each["role"] for host in document["hosts"] for each in host["roles"]):
            held = _role(role, document)
            if held:
                files[f"inventory/group_vars/{role}.yml"] = held
    return {path: _yaml(held) for path, held in files.items()}


class _Unsafe(str):
    """A person's sentence: Ansible must never evaluate what looks like a template in it."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Plain YAML, with Ansible's `!unsafe` where it is needed."""


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def _yaml(held: Mapping[str, Any]) -> bytes:
    text = yaml.dump(dict(held), Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=120)
    return (HEAD + text).encode()


def _hosts(document: Mapping[str, Any]) -> dict[str, Any]:
    gate = next(h["name"] for h in document["hosts"] if any(r["role"] == "edge" for r in h["roles"]))  # fmt: skip
    hosts: dict[str, Any] = {}
    groups: dict[str, Any] = {"gate": {"hosts": {gate: {}}}, "inner": {"hosts": {}}}
    for host in document["hosts"]:
        hosts[host["name"]] = {
            "ansible_host": host["address"],
            "suite_address": host["address"],
            "suite_public": host["public"],
            "suite_memory_gb": {each["role"]: each["gb"] for each in host["roles"] if each["gb"]},
            "suite_volumes": [
                {"name": v["name"], "mount": v["mount"]}
                for v in document["volumes"]
                if v["host"] == host["name"]
            ],
            "suite_ports": _ports(host["kind"], document),
        }
        if host["name"] == gate:
            hosts[gate]["ansible_host"] = "{{ suite_gate }}"
        else:
            groups["inner"]["hosts"][host["name"]] = {}
        for each in host["roles"]:
            groups.setdefault(each["role"], {"hosts": {}})["hosts"][host["name"]] = {}
    groups["inner"]["vars"] = {"ansible_ssh_common_args": "-o ProxyJump={{ ansible_user }}@{{ suite_gate }}"}  # fmt: skip
    return {"all": {"hosts": hosts, "children": groups}}


def _ports(kind: str, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What nftables lets in: the same table as the security groups, sources as networks."""
    of = {
        peer: sorted(f"{h['address']}/32" for h in document["hosts"] if h["kind"] == peer)
        for peer in {h["kind"] for h in document["hosts"]}
    } | {"anyone": ["0.0.0.0/0"], "operators": list(document["answers"]["operators"])}
    return [
        {"protocol": p["protocol"], "first": p["first"], "last": p["last"], "from": of[p["source"]]}
        for p in document["ports"]
        if p["kind"] == kind
    ]


def _all(document: Mapping[str, Any]) -> dict[str, Any]:
    answers = document["answers"]
    return {
        "ansible_user": document["stack"]["user"],
        "suite_client": answers["client"],
        "suite_domain": answers["domain"],
        "suite_names": {
            service: f"{label}.{answers['domain']}"
            for service, label in answers["names"].items()
            if label in {record["name"] for record in document["dns"]["records"]}
        },
        "suite_languages": list(answers["languages"]),
        "suite_applications": dict(answers["applications"]),
        "suite_mail": dict(answers["mail"]),
        "suite_logs_days": answers["logs_days"],
        "suite_backup_days": answers["backup_days"],
        "suite_backup": document["backup"] or {},
        "suite_directory": {n: _Unsafe(each) for n, each in answers["directory"].items()},
        "suite_tls": dict(answers["tls"]),
        "suite_time_servers": list(answers["time_servers"]),
        "suite_packages": dict(answers["packages"]),
        "suite_federation": answers["federation"],
        "suite_federation_servers": list(answers["federation_servers"]),
        "suite_allow": [
            {n: _Unsafe(text) for n, text in each.items()} for each in answers["allow"]
        ],
    }


def _role(role: str, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: figure["value"]
        for name, figure in document["figures"].items()
        if name.startswith(PREFIXES[role]) and not name.endswith(_SIZES)
    }
