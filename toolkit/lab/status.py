"""A lab -> what is up in it, of which version, with how much memory, and what is amiss."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Any

from toolkit.lab import daemons, identity, namespace, packages
from toolkit.lab.folder import Lab, LabError

VERSIONS = {
    "keystone": "keystone", "placement": "placement-api", "glance": "glance-api", "nova": "nova-api", "neutron": "neutron-server",
    "cinder": "cinder-api", "swift": "swift-proxy", "octavia": "octavia-api", "designate": "designate-api",
    "barbican": "barbican-api", "heat": "heat-api", "manila": "manila-api",
}  # fmt: skip
"""Service -> the Debian package whose version it has."""


def status(lab: Lab) -> dict[str, Any]:
    """The lab's state as JSON: memory in MiB (PSS of all its processes), `amiss` in words, empty when all is well."""
    pid = namespace.supervisor(lab)
    document: dict[str, Any] = {
        "folder": str(lab.folder), "up": pid is not None, "like": lab.settings.like, "ports": lab.settings.ports,
        "clouds": str(lab.clouds), "projects": list(lab.projects()), "boxes": lab.settings.boxes, "daemons": [], "services": [],
        "memory_mib": 0, "processes": 0, "amiss": [],
    }  # fmt: skip
    if pid is None:
        document["amiss"].append("the lab is not up")
        return document
    amiss: list[str] = document["amiss"]
    now = time.time()
    for name, state in namespace.ask(lab, "list").items():
        document["daemons"].append({"name": name, "up": state["up"], "seconds": round(now - state["since"]), "status": state["status"]})  # fmt: skip
        if not state["up"]:
            amiss.append(f"{name} ended with status {state['status']}: {namespace.tail(lab, name, 1)}")  # fmt: skip
    document["memory_mib"], document["processes"] = _memory(lab)
    for name, package in VERSIONS.items():
        if lab.has(name):
            up = daemons.answers(lab, name)
            document["services"].append({"name": name, "url": lab.url(name, ""), "answers": up, "version": packages.version(package)})  # fmt: skip
            if not up:
                amiss.append(f"{name} does not answer at {lab.url(name, '')}")
    if not lab.did("up"):
        amiss.append("it was never brought up to its end")
    if not any(each.startswith("keystone") for each in amiss):
        amiss += _reports(lab)
    return document


def _reports(lab: Lab) -> list[str]:
    """What Nova, Neutron, Cinder and Manila say of their own parts."""
    import openstack.exceptions

    try:
        cloud = identity.connect(lab)
        return [
            *(f"{s['binary']} does not report to Manila" for s in identity.shares(lab, cloud, "services") if s["state"] != "up"),
            *(f"{s.binary} on {s.host} does not report to Nova" for s in cloud.compute.services() if s.state != "up"),
            *(f"{a.binary} does not report to Neutron" for a in cloud.network.agents() if not a.is_alive),
            *(f"{s.binary} does not report to Cinder" for s in cloud.block_storage.services() if s.state != "up"),
        ]  # fmt: skip
    except (openstack.exceptions.SDKException, LabError) as error:
        return [f"the operator's calls fail: {error}"]


def _memory(lab: Lab) -> tuple[int, int]:
    """MiB of all processes (proportional set size: shared pages are counted once), and their number."""
    pid = namespace.supervisor(lab)
    own = _space(Path(f"/proc/{pid}"))
    kib = count = 0
    for path in Path("/proc").glob("[0-9]*"):
        if own is None or own not in _spaces(path):
            continue
        count += 1
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", (path / "smaps_rollup").read_text(), re.MULTILINE)
            kib += int(found[1]) if found else 0
    return round(kib / 1024), count


def _space(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        return str((path / "ns/pid").readlink())
    return None


def _spaces(path: Path) -> set[str]:
    """The process namespaces that a process and its forebears are in: a box has one of its own below the lab's."""
    found: set[str] = set()
    for _ in range(64):
        space = _space(path)
        if space is not None:
            found.add(space)
        with contextlib.suppress(OSError, TypeError):
            parent = re.search(r"^PPid:\s+(\d+)", (path / "status").read_text(), re.MULTILINE)
            if parent and int(parent[1]) > 1:
                path = Path(f"/proc/{parent[1]}")
                continue
        break
    return found
