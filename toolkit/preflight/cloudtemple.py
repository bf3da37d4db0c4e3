"""A plan and Cloud Temple's own API -> the same report; no call was ever made to the real one.

Paths and members are those that the provider's published client (Cloud-Temple/terraform-provider-cloudtemple,
2026-07) reads: a personal access token is changed for a JWT of five minutes, lists are bare JSON arrays.
Standard library only. The tests answer with the shapes that client's own tests record.
"""

from __future__ import annotations

import difflib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from toolkit.clouds import load
from toolkit.preflight.letter import letters
from toolkit.preflight.needs import Unset, add, filled, lookups, users, values
from toolkit.preflight.openstack import SKEW_ERROR, SKEW_WARNING
from toolkit.preflight.report import Finding, Report, Request, Severity

LOGIN = "/iam/v2/auth/personal_access_token"
LISTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "cloudtemple.get_public_cloud_vm_availability_zone": ("zone", "availability zone", ("/vm_instances/v1/availability_zones",)),
    "cloudtemple.get_public_cloud_vm_template": ("image", "template", ("/vm_instances/v1/templates", "/vm_instances/v1/images")),
    "cloudtemple.get_public_cloud_vm_instance_family": ("family", "instance family", ("/vm_instances/v1/instance_families",)),
    "cloudtemple.get_public_cloud_vm_backup_policy": ("backup-policy", "backup policy", ("/vm_instances/v1/backup_policies",)),
    "cloudtemple.get_public_cloud_vm_network": ("network", "network", ("/vm_instances/v1/networks",)),
    "storage_type": ("volume-type", "storage type", ("/vm_instances/v1/storage_types",)),
}  # fmt: skip
"""Lookup of a stack -> code, words, where the names are; a second path is where a newer API has moved them."""
QUOTAS = "/vm_instances/v1/quotas"
SECONDS = 60.0
INSTANCE, DISK = "cloudtemple.PublicCloudVmInstance", "cloudtemple.PublicCloudVmDisk"


@dataclass
class _Needs:
    names: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    settings: dict[str, list[str]] = field(default_factory=dict)
    unset: dict[str, list[str]] = field(default_factory=dict)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    cores: int = 0
    ram_gb: int = 0
    storage_gb: int = 0


def look(plan: Mapping[str, Any], folder: Path) -> Report:
    """The report for a plan that goes to Cloud Temple. What the API fails to say becomes a finding."""
    n = _needs(plan, folder)
    place = str(plan["header"]["target"].get("project") or "")
    held = _Api()
    findings: list[Finding] = []
    checked: list[str] = []
    unchecked = [
        "whether any of this is right at the real Cloud Temple: no call was ever made to it",
        "servers that an earlier run made: VM Instances carry no tags, so their share of a quota counts twice",
        "the share of the servers' own disks in the storage quota",
        "private networks and firewalls: they are ordered, not created",
    ]

    def say(code: str, subject: str, says: str, hint: str, severity: Severity = "error") -> None:
        findings.append(Finding(code, place, subject, says, hint, severity))

    requests: list[Request] = []
    fault = held.sign_in()
    if fault:
        say("sign-in", "credentials", *fault)
        unchecked.append("everything else: nobody could sign in")
    else:
        checked += ["credentials"]
        _names(held, n, say, checked, unchecked)
        requests = _quotas(held, n, place, say, checked)
    if held.ahead is not None and abs(held.ahead) >= SKEW_WARNING:
        way = "ahead of" if held.ahead > 0 else "behind"
        say("clock", "this machine", f"the clock of this machine is {abs(held.ahead):.0f} s {way} the target's",
            "Set it by NTP: a token there lives five minutes only.", "error" if abs(held.ahead) >= SKEW_ERROR else "warning")  # fmt: skip
    checked.append("clock")
    for function, subjects in sorted(n.unknown.items()):
        unchecked.append(f"{function} of {users(subjects)}")
    if n.unset:
        say("unset", users(sorted(n.unset), 4), f"{len(n.unset)} values of stacks are not set yet",
            "Each stack's Pulumi.main.yaml says which; `repatria apply` stops before a stack that lacks one.", "advice")  # fmt: skip
    product = str(plan["header"]["target"]["product"])
    return Report(product, tuple(findings), tuple(checked), tuple(unchecked), tuple(requests), letters(product, requests), held.calls)  # fmt: skip


def signs_in() -> tuple[str, str] | None:
    """Whether the API takes the personal access token: None, or (what is wrong, hint)."""
    return _Api().sign_in()


def _needs(plan: Mapping[str, Any], folder: Path) -> _Needs:
    n = _Needs()
    for stack in plan["stacks"]:
        own = values(folder / "stacks" / stack["name"] / "Pulumi.main.yaml", stack["name"])
        for resource in stack["resources"]:
            used: dict[str, Any] = {}
            props = filled(resource["props"], own, used)
            subject = f"{stack['name']}/{resource['name']}"
            for name, value in used.items():
                setting = f"{stack['name']}:{name}"
                if isinstance(value, Unset):
                    n.unset.setdefault(setting, []).append(subject)
                elif isinstance(value, str) and setting not in n.settings.setdefault(value, []):
                    n.settings[value].append(setting)
            for function, args in lookups(props):
                if function in LISTS:
                    add(n.names.setdefault(function, {}), args.get("name"), subject)
                else:
                    add(n.unknown, function, subject)
            if resource["type"] == INSTANCE:
                n.cores += int(props["cpu"])
                n.ram_gb += int(props["memory"])
            elif resource["type"] == DISK:
                n.storage_gb += int(props["size"])
                add(n.names.setdefault("storage_type", {}), props.get("storage_type"), subject)
    return n


def _names(held: _Api, n: _Needs, say: Any, checked: list[str], unchecked: list[str]) -> None:
    for function, wanted in sorted(n.names.items()):
        code, words, paths = LISTS[function]
        try:
            path, rows = held.first(paths)
            names = [str(row["name"]) for row in rows if row.get("isEnabled", True)]
        except _Fault as fault:
            say("api", words, f"the list of {words}s could not be read: {fault}", fault.hint)
            unchecked.append(f"{words}s")
            continue
        except (KeyError, TypeError, AttributeError):
            say("api", words, f"the list of {words}s has another shape than the published client reads", "The API has changed: ask for a newer version of this tool.")  # fmt: skip
            unchecked.append(f"{words}s")
            continue
        checked.append(f"{words}s ({len(wanted)})")
        if path != paths[0]:
            say("provider", words, f"the API has moved its {words}s to {path}, where the pinned provider 1.10.0 does not look",
                "Pin a provider that knows the new path before apply.", "warning")  # fmt: skip
        for name, subjects in sorted(wanted.items()):
            times = names.count(name)
            if times == 1:
                continue
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or sorted(names)[:5]
            where = f" Set another in {users(n.settings[name])}." if n.settings.get(name) else ""
            what = f"no {words} {name!r}" if not times else f"{times} {words}s called {name!r}"
            say(code, name, f"the target has {what}; {users(subjects)} need it", (f"It has {', '.join(near)}." if near else f"It shows no {words} at all.") + where)  # fmt: skip


def _quotas(held: _Api, n: _Needs, place: str, say: Any, checked: list[str]) -> list[Request]:
    found: list[Request] = []
    try:
        quota = held.get(QUOTAS)
        rows = [
            ("cores", int(quota["vcpuLimit"]), int(quota["vcpuUsed"]), n.cores, 1),
            ("ram_gb", int(quota["ramLimitMb"]), int(quota["ramUsedMb"]), n.ram_gb * 1024, 1024),
            ("volume_gb", int(quota["storageLimitGb"]), int(quota["storageUsedGb"]), n.storage_gb, 1),
        ]  # fmt: skip
    except _Fault as fault:
        say("api", "quotas", f"the quotas could not be read: {fault}", fault.hint)
        return found
    except (KeyError, TypeError, ValueError):
        say("api", "quotas", "the quotas have another shape than the published client reads", "The API has changed: ask for a newer version of this tool.")  # fmt: skip
        return found
    for kind, limit, used, needed, unit in rows:
        if needed and used + needed > limit:
            one = Request(kind, place, limit // unit, _up(used, unit), _up(needed, unit), _up(used + needed, unit))  # fmt: skip
            found.append(one)
            say("quota", kind, f"the quota {kind} is {one.limit}; the plan takes {one.needed} beside {one.used} that are used",
                f"Ask the provider for {one.request}; the text to send is in the answer.")  # fmt: skip
    checked.append(f"quotas ({len(rows)})")
    return found


def _up(amount: int, unit: int) -> int:
    return -(-amount // unit)


class _Fault(Exception):  # noqa: N818 - what the API said; it becomes a finding
    def __init__(self, says: str, hint: str, status: int = 0) -> None:
        super().__init__(says)
        self.hint = hint
        self.status = status


class _Api:
    """One sign-in. The token is kept in memory only and stands in no message."""

    def __init__(self) -> None:
        catalogue = str(load("cloudtemple").fact("identity.api_base").value)
        address = os.environ.get("CLOUDTEMPLE_HTTP_ADDR", "")
        scheme = os.environ.get("CLOUDTEMPLE_HTTP_SCHEME", "https")
        self.base = f"{scheme}://{address.rstrip('/')}/api" if address else catalogue
        self.token = ""
        self.begun = 0.0
        self.calls = 0
        self.ahead: float | None = None

    def sign_in(self) -> tuple[str, str] | None:
        """None, or (what is wrong, hint)."""
        id_, secret = os.environ.get("CLOUDTEMPLE_CLIENT_ID"), os.environ.get("CLOUDTEMPLE_SECRET_ID")  # fmt: skip
        if not id_ or not secret:
            return "no credentials of the target were found", "Set CLOUDTEMPLE_CLIENT_ID and CLOUDTEMPLE_SECRET_ID to a personal access token of the console."  # fmt: skip
        try:
            said = self._call("POST", LOGIN, {"id": id_, "secret": secret})
        except _Fault as fault:
            return str(fault), fault.hint
        token = said.decode("utf-8", "replace").strip().strip('"')
        if token.count(".") != 2:
            return "the target's answer to the sign-in is no token", "The API has changed: ask for a newer version of this tool."  # fmt: skip
        self.token, self.begun = token, time.monotonic()
        return None

    def get(self, path: str) -> Any:
        """A JSON document. Signs in anew where the five minutes are nearly over. Raises _Fault."""
        if time.monotonic() - self.begun > 240 and (fault := self.sign_in()):
            raise _Fault(*fault)
        try:
            return json.loads(self._call("GET", path))
        except ValueError as error:
            raise _Fault(f"{path} answered no JSON", "The API has changed: ask for a newer version of this tool.") from error  # fmt: skip

    def first(self, paths: tuple[str, ...]) -> tuple[str, list[dict[str, Any]]]:
        """The first of the paths that exists, and its list."""
        for path in paths[:-1]:
            try:
                return path, self.get(path)
            except _Fault as fault:
                if fault.status != 404:
                    raise
        return paths[-1], self.get(paths[-1])

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> bytes:
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "repatria"}  # fmt: skip
        if self.token and body is None:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, headers, method=method)  # noqa: S310 - https unless the operator says otherwise
        begun = time.time()
        self.calls += 1
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                if said := answer.headers.get("Date"):
                    middle = (begun + time.time()) / 2
                    self.ahead = middle - (parsedate_to_datetime(said).timestamp() + 0.5)
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (401, 403):
                    raise _Fault(f"the target refuses the credentials (HTTP {error.code} at {path})", "A personal access token ends after at most twelve months and may lack a role: make a new one in the console.", error.code) from None  # fmt: skip
                raise _Fault(f"HTTP {error.code} at {path}", "Look at the provider's status page, then run the same command again.", error.code) from None  # fmt: skip
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise _Fault(f"the target does not answer: {reason}", "Check CLOUDTEMPLE_HTTP_ADDR and the network, then run the same command again.") from None  # fmt: skip
