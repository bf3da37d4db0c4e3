"""The plan of a suite -> `stacks/suite/`: a copy of the hand-written program, configured; `overrides.py` is the client's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import FileError
from toolkit.messages import tell

FOLDER = "stacks/suite"
OWN = "overrides.py"
PROJECT = "suite"


def program() -> dict[str, bytes]:
    """The program's files: `stacks/suite/` beside the package in a checkout, inside it when installed."""
    for root in (resources.files("toolkit") / FOLDER, Path(__file__).parents[2] / FOLDER):
        if root.is_dir():
            return {
                each.name: each.read_bytes()
                for each in sorted(root.iterdir(), key=lambda held: held.name)
                if (each.is_file() and not each.name.startswith(("Pulumi.", "."))) or each.name == "Pulumi.yaml"
            }  # fmt: skip
    raise FileError("the program of the suite's stack is not installed", "Reinstall repatria.")


def files(folder: Path, document: Mapping[str, Any]) -> dict[str, bytes]:
    """Path -> content. What Pulumi itself keeps in the configuration (salt, other settings) stays."""
    held = {f"{FOLDER}/{name}": data for name, data in program().items()}
    if (folder / FOLDER / OWN).exists():
        del held[f"{FOLDER}/{OWN}"]
    name = f"{FOLDER}/Pulumi.{document['answers']['client']}.yaml"
    held[name] = _merged(folder / name, configuration(document))
    return held


def configuration(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the program reads: keys `suite:*`, and the cloud to sign in at where the answers name one."""
    answers, network, backup = document["answers"], document["network"], document["backup"]
    config: dict[str, Any] = {
        "client": answers["client"],
        "image": document["stack"]["image"],
        "key": answers["key"],
        "cidr": network["cidr"],
        "gateway": network["gateway"],
        "pool": network["pool"],
        "external-network": network["external"],
        "floating-pool": document["stack"]["floating_pool"],
        "volume-zone": document["stack"]["volume_zone"],
        "operators": list(answers["operators"]),
        "hosts": [
            {
                "name": host["name"],
                "kind": host["kind"],
                "address": host["address"],
                "flavor": host["flavor"]["name"] if host["flavor"] else "",
                "public": host["public"],
                "system-gb": host["system_volume_gb"],
                "roles": [each["role"] for each in host["roles"]],
            }
            for host in document["hosts"]
        ],
        "volumes": [
            {name: volume[name] for name in ("name", "role", "host", "gb", "type", "mount")}
            for volume in document["volumes"]
        ],
        "ports": [
            {**{name: port[name] for name in ("kind", "protocol", "first", "last", "source")}, "why": tell(port["why"])}
            for port in document["ports"]
        ],
    }  # fmt: skip
    if document["stack"]["designate"]:
        config["zone"] = answers["domain"]
        config["records"] = [
            {name: record[name] for name in ("name", "ttl", "address")}
            for record in document["dns"]["records"]
        ]
    if backup and backup["made_by"] == "stack":
        config["backup"] = {
            "container": backup["container"],
            "region": backup["region"],
            "os-cloud": backup["os_cloud"],
        }
    held = {f"{PROJECT}:{name}": value for name, value in config.items() if value != ""}
    if answers["os_cloud"]:
        held["openstack:cloud"] = answers["os_cloud"]
    if answers["region"]:
        held["openstack:region"] = answers["region"]
    return held


def _merged(path: Path, config: Mapping[str, Any]) -> bytes:
    try:
        before = yaml.safe_load(path.read_text("utf-8")) or {}
        kept = dict(before.get("config") or {})
    except FileNotFoundError:
        before, kept = {}, {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:  # fmt: skip
        raise FileError(
            f"{path} cannot be read: {error}", "It holds what opens the stack's secrets: mend it by hand."
        ) from error  # fmt: skip
    ours = {"suite:key-name", *config}
    kept = {name: value for name, value in kept.items() if not name.startswith(f"{PROJECT}:") or name in ours}  # fmt: skip
    return yaml.safe_dump({**before, "config": {**kept, **config}}, sort_keys=True, allow_unicode=True, width=120).encode()  # fmt: skip
