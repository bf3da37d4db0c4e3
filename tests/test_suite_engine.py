"""The landing zone on the real engine and the real OpenStack plugin: what growing would do to what is there.

The plugin itself decides between an update and a replacement. No cloud stands behind it: a sign-in and one lookup
are answered by a server of the test, and the state before is what the program registered, with the attributes that
OpenStack adds. That the cloud then does what the plugin asks is not shown here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.engine import engine
from tests.support.serve import serving
from tests.test_suite_stack import KEY, answers, registered
from toolkit.suite.answers import parse
from toolkit.suite.plan import plan
from toolkit.suite.stack import FOLDER

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
HOSTNAMES = {
    "identity": "/v3", "network": "/network", "compute": "/compute/v2.1", "block-storage": "/volume/v3/p", "object-store": "/object/v1/p",
}  # fmt: skip


class Cloud(BaseHTTPRequestHandler):
    """Keystone's token and Neutron's external network; all else is not found."""

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def _say(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Subject-Token", "token")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.endswith("/auth/tokens"):
            self._say(404, {})
            return
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        owner = {"id": "p", "name": "p", "domain": {"id": "default", "name": "Default"}}
        catalog = [
            {"type": kind, "name": kind, "id": kind, "endpoints": [{"id": kind, "interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": here + path}]}
            for kind, path in HOSTNAMES.items()
        ]  # fmt: skip
        self._say(201, {"token": {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "user": owner, "project": owner, "roles": [], "catalog": catalog}})  # fmt: skip

    def do_GET(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_address[1]}/v3/"
        if self.path.startswith("/network/v2.0/networks?"):
            self._say(200, {"networks": [{"id": "found-id", "name": "public", "router:external": True, "subnets": []}]})  # fmt: skip
        elif self.path in ("/", "/v3", "/v3/"):
            version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": here}]}
            self._say(300, {"versions": {"values": [version]}})
        else:
            self._say(404, {})


@pytest.fixture
def sign_in(tmp_path: Path) -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    entry = {
        "auth": {"auth_url": f"http://127.0.0.1:{server.server_address[1]}/v3", "username": "u", "password": "p", "project_name": "p", "user_domain_name": "Default", "project_domain_name": "Default"},
        "region_name": "RegionOne",
    }  # fmt: skip
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"first": entry, "second": entry}}))
    with serving(server):
        yield {"OS_CLIENT_CONFIG_FILE": str(file)}


def preview(folder: Path, environment: Mapping[str, str], state: list[dict[str, Any]] | None) -> dict[str, Any]:  # fmt: skip
    found = engine()
    (folder / "state").mkdir(exist_ok=True)
    file = folder / "before.json"
    file.write_text(json.dumps(state))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "tests/support/landing.py"), str(folder / FOLDER), "town", str(file) if state else "-"],
        capture_output=True, text=True, timeout=500, check=False,
        env={
            "PATH": f"{found.pulumi.parent}:{os.environ['PATH']}", "HOME": str(folder), "PULUMI_HOME": str(found.home), "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test", "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true", "PYTHONDONTWRITEBYTECODE": "1", **environment,
        },
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    held: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not held["said"]
    return held


def state_of(found: Mapping[tuple[str, str], dict[str, Any]], tokens: Mapping[str, str]) -> list[dict[str, Any]]:  # fmt: skip
    """What Pulumi would hold after the first `up`: inputs, and outputs with what OpenStack adds."""
    base = "urn:pulumi:town::suite"
    parent = f"{base}::pulumi:pulumi:Stack::suite-town"
    state: list[dict[str, Any]] = [{"urn": parent, "custom": False, "type": "pulumi:pulumi:Stack"}]
    of = {}
    for name, cloud in (("default_5_5_1", "first"), ("backup", "second")):
        urn = f"{base}::pulumi:providers:openstack::{name}"
        inputs = {"cloud": cloud, "region": "RegionOne", "version": "5.5.1"}
        state.append({"urn": urn, "custom": True, "id": f"{name}-id", "type": "pulumi:providers:openstack", "inputs": inputs, "outputs": inputs})  # fmt: skip
        of[name] = f"{urn}::{name}-id"
    for (kind, name), props in found.items():
        added: dict[str, Any] = {"allTags": [], "region": "RegionOne"}
        if kind in ("Network", "Router"):
            added["availabilityZoneHints"] = []
        elif kind == "Subnet":
            added |= {"noGateway": False, "serviceTypes": []}
        elif kind == "Volume":
            added |= {"attachments": [], "volumeRetypePolicy": "never"}
        elif kind == "FloatingIp":
            added["address"] = "192.0.2.9"
        elif kind == "Port":
            added |= {"allFixedIps": [props["fixedIps"][0]["ipAddress"]], "allSecurityGroupIds": props["securityGroupIds"], "dnsAssignments": []}  # fmt: skip
        elif kind == "Instance":
            wire = {"accessNetwork": False, "fixedIpV4": "", "fixedIpV6": "", "mac": "", "name": "", "uuid": ""}  # fmt: skip
            added |= {
                "allMetadata": props["metadata"], "forceDelete": False, "powerState": "active", "securityGroups": [], "stopBeforeDestroy": False,
                "networks": [{**wire, **props["networks"][0]}],
            }  # fmt: skip
        state.append(
            {
                "urn": f"{base}::{tokens[kind]}::{name}", "custom": True, "id": f"{name}-id", "type": tokens[kind], "inputs": props,
                "outputs": {**props, **added, "id": f"{name}-id"}, "parent": parent, "protect": kind in ("Volume", "FloatingIp", "Container"),
                "provider": of["backup" if kind == "Container" else "default_5_5_1"],
            }
        )  # fmt: skip
    return state


def lab_answers(users: int, peak: int) -> dict[str, Any]:
    target = {"cloud": "openstack", "region": "RegionOne", "os_cloud": "first", "operators": ["192.0.2.0/24"], "key": KEY}  # fmt: skip
    held = answers(users, peak, target=target)
    held["backup"] = {"cloud": "openstack", "region": "RegionOne", "os_cloud": "second"}
    return held


@pytest.mark.parametrize(("before", "after"), [((300, 60), (600, 120)), ((1000, 60), (1001, 60))])
def test_growing_on_the_real_engine(tmp_path: Path, sign_in: dict[str, str], before: tuple[int, int], after: tuple[int, int]) -> None:  # fmt: skip
    engine()
    small = registered(tmp_path, plan(parse(lab_answers(*before), tmp_path)))
    first = preview(tmp_path, sign_in, None)
    made = [s for s in first["steps"] if s["type"] not in ("Stack", "openstack")]
    assert {s["op"] for s in made} == {"create"}
    assert {(s["type"], s["name"]) for s in made} == set(small)
    state = state_of(small, {s["type"]: s["token"] for s in made})

    def steps() -> list[dict[str, Any]]:
        held = preview(tmp_path, sign_in, state)["steps"]
        return [s for s in held if s["op"] != "same" and s["type"] != "openstack"]

    assert steps() == [], "the same answers change nothing"
    registered(tmp_path, plan(parse(lab_answers(*after), tmp_path)))
    grown = steps()
    kept = {"Instance", "Volume", "FloatingIp", "Network", "Subnet", "Router", "Port", "Container"}
    for step in grown:
        assert step["type"] not in kept or step["op"] in ("create", "update"), step
    sizes = {(s["type"], *s["diffs"]) for s in grown if s["op"] == "update"}
    if before == (300, 60):
        assert {s["op"] for s in grown} == {"update"}
        assert sizes == {("Instance", "flavorName"), ("Volume", "size")}
    else:
        moved = {s["name"] for s in grown if s["type"] == "VolumeAttach" and s["op"] == "replace"}
        assert moved == {"files-1"}
        assert {s["type"] for s in grown if s["op"] == "delete"} == {"SecGroupRule"}
