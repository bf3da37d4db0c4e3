"""Preflight where no lab is needed: what a plan needs, which entry is whose, Cloud Temple's recorded shapes, sums."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.serve import serving
from toolkit.clouds import load
from toolkit.config import Place
from toolkit.engines import openstack as target
from toolkit.errors import FileError, TargetError
from toolkit.plan.assemble import Placed, Stack
from toolkit.plan.mark import mark
from toolkit.plan.quotas import sum_up
from toolkit.preflight import check
from toolkit.preflight.letter import KINDS, letters
from toolkit.preflight.needs import Unset, needs, values
from toolkit.preflight.report import Request
from toolkit.program import Node, Out

URL = "http://127.0.0.1:9/v3"


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a clouds.yaml; nothing of the machine's own sign-ins is seen."""
    for name in ("OS_CLOUD", "OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_REGION_NAME", "OS_CLIENT_SECURE_FILE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))

    def write(**entries: dict[str, Any]) -> Path:
        file.write_text(yaml.safe_dump({"clouds": entries}))
        return file

    return write


def by_password(project: str, region: str = "R1") -> dict[str, Any]:
    auth = {"auth_url": URL, "username": "u", "password": "hunter2hunter2", "project_name": project}
    return {"auth": auth, "region_name": region}


APP = {"auth_type": "v3applicationcredential", "auth": {"auth_url": URL, "application_credential_id": "i", "application_credential_secret": "hunter2hunter2"}}  # fmt: skip


# ---------------------------------------------------------------------------- which entry is whose


def test_a_place_finds_its_own_entry(clouds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clouds(main=by_password("shop"), other=by_password("analytics"), intranet=APP)
    assert target.entry(Place("analytics", "R1")).name == "other"
    assert target.entry(Place("intranet", "")).name == "intranet"
    assert target.entry(Place("intranet", "")).kind == "v3applicationcredential"
    monkeypatch.setenv("OS_CLOUD", "main")
    assert target.entry(Place("shop", "R1")).name == "main"
    assert target.entry(Place("analytics", "R1")).name == "other", "OS_CLOUD's is another project's"
    assert target.entry(Place("", "")).name == "main"
    assert target.entry(Place("unheard", ""), alone=True).name == "main"


@pytest.mark.parametrize(
    ("cloud", "place", "alone", "says"),
    [
        ("main", Place("unheard", ""), False, "no credentials for the project unheard"),
        ("", Place("unheard", ""), True, "several entries"),
        ("gone", Place("shop", ""), False, "OS_CLOUD names gone"),
        ("", Place("twice", ""), False, "several entries of clouds.yaml are for the project twice"),
    ],
)
def test_what_is_not_clear_is_refused(
    clouds: Any, monkeypatch: pytest.MonkeyPatch, cloud: str, place: Place, alone: bool, says: str
) -> None:
    clouds(main=by_password("shop"), a=by_password("twice"), b=by_password("twice"))
    if cloud:
        monkeypatch.setenv("OS_CLOUD", cloud)
    with pytest.raises(TargetError) as error:
        target.entry(place, alone=alone)
    assert says in error.value.message
    assert error.value.hint
    assert "hunter2" not in error.value.message + error.value.hint


def test_of_several_the_one_in_that_region_is_taken(clouds: Any) -> None:
    clouds(a=by_password("twice", "R1"), b=by_password("twice", "R2"))
    assert target.entry(Place("twice", "R2")).name == "b"


def test_a_child_gets_the_entry_and_no_secret(clouds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = clouds(main=by_password("shop"), other=by_password("analytics"))
    monkeypatch.setenv("OS_CLOUD", "main")
    assert target.environment(Place("analytics", "R9")) == {
        "OS_CLOUD": "other", "OS_CLIENT_CONFIG_FILE": str(file), "OS_REGION_NAME": "R9",
    }  # fmt: skip


def test_variables_alone_are_an_entry_of_their_own(
    tmp_path: Path, clouds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    for name, value in {"OS_AUTH_URL": URL, "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "shop", "OS_REGION_NAME": "R1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    held = target.entry(Place("shop", ""))
    assert (held.name, held.file, held.project, held.region) == ("envvars", "", "shop", "R1")
    said = target.environment(Place("shop", "R2"))
    assert said["OS_REGION_NAME"] == "R2"
    assert said["OS_PASSWORD"] == "p"
    with pytest.raises(TargetError):
        target.entry(Place("other", ""))


@pytest.mark.parametrize("content", ["clouds: [", "- a\n- b\n", "clouds:\n  a: 3\n"])
def test_a_damaged_file_is_told(clouds: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "clouds.yaml").write_text(content)
    with pytest.raises(TargetError) as error:
        target.entry(Place("shop", ""))
    assert error.value.hint


def test_places_are_each_named_once() -> None:
    stacks = [{"place": {"project": p, "region": r}} for p, r in (("b", "1"), ("a", "1"), ("b", "1"))]  # fmt: skip
    assert target.places(stacks) == (Place("a", "1"), Place("b", "1"))


# ------------------------------------------------------------------------------ how a sign-in fails


@contextlib.contextmanager
def keystone(answer: bytes | None, certificate: Path | None = None) -> Iterator[str]:
    """A socket that says one thing to everybody (None: nothing at all), with TLS where there is a certificate."""

    class Talk(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if answer is None:
                stop.wait(5)
                return
            # all of it is read, and the line is said to end: what closes sooner may reset what the client still sends
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.wfile.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    stop = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Talk)
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}/v3"
        finally:
            stop.set()


def own_certificate(folder: Path) -> Path:
    """A certificate that signs itself, as of an authority that nobody knows."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "own.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form) + made.public_bytes(serialization.Encoding.PEM))  # fmt: skip
    return file


@pytest.mark.parametrize(
    ("answer", "tls", "says", "hint"),
    [
        (None, False, "does not answer in time", "network"),
        (b"", True, "certificate is not trusted", "cacert"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False, "the target fails (HTTP 503)", "status page"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", False, "does not lead to Keystone", "auth_url"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, "does not answer as OpenStack does", "auth_url"),
    ],
)  # fmt: skip
def test_each_way_that_a_sign_in_fails_has_its_hint(
    clouds: Any, tmp_path: Path, answer: bytes | None, tls: bool, says: str, hint: str
) -> None:
    with keystone(answer, own_certificate(tmp_path) if tls else None) as url:
        held = by_password("shop")
        clouds(main={**held, "auth": {**held["auth"], "auth_url": url}})
        with pytest.raises(TargetError) as error:
            target.connect(Place("shop", "R1"), seconds=0.5 if answer is None else 20)
    assert says in error.value.message
    assert hint in error.value.hint
    assert error.value.hint
    assert "hunter2" not in error.value.message + error.value.hint


def test_nobody_there_and_an_entry_that_is_not_complete(clouds: Any) -> None:
    clouds(main=by_password("shop"))
    with pytest.raises(TargetError, match="does not answer") as error:
        target.connect(Place("shop", ""), seconds=1)
    assert "auth_url" in error.value.hint
    clouds(main={"auth": {"username": "u", "password": "p", "project_name": "shop"}})
    with pytest.raises(TargetError, match="not complete") as error:
        target.connect(Place("shop", ""))
    assert "auth_url" in error.value.hint


# -------------------------------------------------------------------------------- what a plan needs


def test_values_of_the_user_go_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.main.yaml"
    assert values(file, "shop") == {}
    file.write_text("config:\n  shop:a: one\n  shop:b: {secure: v1}\n  other:a: two\n")
    held = values(file, "shop")
    assert held["a"] == "one"
    assert held["other:a"] == "two"
    assert "v1" not in repr(held)
    for damaged in ("config: [\n", "config: text\n", "- 1\n"):
        file.write_text(damaged)
        with pytest.raises(FileError) as error:
            values(file, "shop")
        assert error.value.hint


def test_a_value_without_default_is_known_as_unset(tmp_path: Path) -> None:
    resource = {"type": "openstack.compute.Keypair", "name": "k", "origin": "o", "props": {"name": "k", "public_key": {"$config": "operator-public-key"}}}  # fmt: skip
    plan = {"stacks": [{"name": "s", "place": {"project": "p", "region": "r"}, "resources": [mark(resource, "s")]}], "quotas": {"kinds": []}}  # fmt: skip
    held = needs(plan, tmp_path)[0]
    assert held.unset == {"s:operator-public-key": ["s/k"]}
    assert isinstance(held.things[0].props["public_key"], Unset)


def test_sums_hold_what_neutron_counts_besides() -> None:
    """Measured: `default` and its four rules come with a project, a new group has two until they are removed."""

    def node(type_: str, role: str, props: dict[str, Any], **units: float) -> Placed:
        return Placed(Node(type=f"openstack.networking.{type_}", origin="o", tier="network", topic="t", role=role, props=props, units=units), role, "s")  # fmt: skip

    def rules(count: int, group: str) -> list[Placed]:
        return [node("SecGroupRule", f"{group}{n}", {"security_group_id": Out("o", group)}, security_group_rules=1) for n in range(count)]  # fmt: skip

    stack = Stack("s", "network", "g", "openstack", "")
    stack.resources += [node("SecGroup", each, {}, security_groups=1) for each in ("a", "b", "c")]
    stack.resources += [*rules(5, "a"), *rules(1, "b")]
    found = {q.kind: q.needed for q in sum_up([stack], load("openstack")).kinds}
    assert found == {"security_groups": 4, "security_group_rules": 4 + 5 + 2 + 2}


def test_the_letter_has_every_kind_in_both_languages() -> None:
    asked = [Request(kind, "shop/GRA11", 1, 0, 2, 2) for kind in KINDS]
    said = letters("OVHcloud", [*asked, Request("volume_gb of fast", "shop/GRA11", 5, 0, 9, 9)])
    assert said["en"].count("(today 1)") == len(KINDS)
    assert "- space of volumes (GiB) (fast): 9 (today 5)" in said["en"]
    assert "- ports\u00a0: 2 (aujourd’hui 1)" in said["fr"]
    assert "routers" not in said["fr"]
    assert letters("OVHcloud", []) == {}


# ------------------------------------------------------------------------------------ Cloud Temple

RECORDED: dict[str, Any] = {
    "/api/vm_instances/v1/availability_zones": [{"name": "fr1-az01", "description": None, "id": "az-1", "regionId": "reg-1", "isEnabled": True, "compatibleFamilies": [{"id": "fam-1", "name": "Development"}], "createdAt": "2026-04-14T12:51:04Z", "updatedAt": "2026-04-14T12:51:04Z"}, {"name": "fr1-az02", "id": "az-2", "regionId": "reg-1", "isEnabled": False}],
    "/api/vm_instances/v1/templates": [{"id": "tpl-1", "name": "Debian 13", "osFamily": "linux", "osName": "Debian", "osVersion": "13", "diskSizesGb": [38, 50], "compatibleFamilies": ["fam-1"], "icon": ""}],
    "/api/vm_instances/v1/instance_families": [{"id": "fam-1", "name": "Development", "description": "Development familly", "vcpuMin": 1, "vcpuMax": 16, "ramMinGb": 2, "ramMaxGb": 24}],
    "/api/vm_instances/v1/backup_policies": [{"id": "bp-1", "name": "No Backup", "description": "", "retention": 30, "scheduleCron": "0 20 * * *", "scheduleWindowStartHour": 20, "scheduleWindowDurationMinutes": 240}],
    "/api/vm_instances/v1/networks": [{"id": "n-1", "name": "backbone"}, {"id": "n-2", "name": "shop-a", "vpc": {"id": "v", "name": "shop", "privateNetwork": {"id": "p", "name": "shop-a"}}}],
    "/api/vm_instances/v1/storage_types": [{"id": "st-1", "name": "Standard"}],
    "/api/vm_instances/v1/quotas": {"vcpuLimit": 100, "ramLimitMb": 204800, "storageLimitGb": 500, "vcpuUsed": 7, "ramUsedMb": 10240, "storageUsedGb": 148},
}  # fmt: skip
"""Shapes that the published client's own tests record (2026-07), with names of ours."""
SECRET = "45f25b78-ae4f-4146-85e0-6627ab91047d"


class CloudTemple:
    """A server with the recorded shapes; `broken` overrules paths by (status, body)."""

    def __init__(self) -> None:
        self.broken: dict[str, tuple[int, Any]] = {}
        self.shift = 0.0
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(("POST", self.path))
                good = self.path == "/api/iam/v2/auth/personal_access_token" and body == {"id": "id", "secret": SECRET}  # fmt: skip
                self.say(*(200, b"eyJh.eyJi.sig") if good else (401, b"{}"))

            def do_GET(self) -> None:
                outer.asked.append(("GET", self.path))
                if self.headers["Authorization"] != "Bearer eyJh.eyJi.sig":
                    return self.say(401, b"{}")
                status, body = outer.broken.get(self.path, (200 if self.path in RECORDED else 404, RECORDED.get(self.path)))  # fmt: skip
                return self.say(status, body if isinstance(body, bytes) else json.dumps(body).encode())  # fmt: skip

            def say(self, status: int, body: bytes) -> None:
                import time

                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + outer.shift, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def temple(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudTemple]:
    held = CloudTemple()
    monkeypatch.setenv("CLOUDTEMPLE_HTTP_ADDR", f"127.0.0.1:{held.server.server_port}")
    monkeypatch.setenv("CLOUDTEMPLE_HTTP_SCHEME", "http")
    monkeypatch.setenv("CLOUDTEMPLE_CLIENT_ID", "id")
    monkeypatch.setenv("CLOUDTEMPLE_SECRET_ID", SECRET)
    with serving(held.server):
        yield held


def look_up(function: str, name: Any) -> dict[str, Any]:
    return {"$lookup": f"cloudtemple.get_public_cloud_vm_{function}", "args": {"name": name}, "attr": "id"}  # fmt: skip


def temple_plan(**changed: Any) -> dict[str, Any]:
    names = {"availability_zone": "fr1-az01", "template": "Debian 13", "instance_family": "Development", "backup_policy": "No Backup", "network": "backbone"} | changed  # fmt: skip
    instance = {
        "name": "web-1", "cpu": changed.get("cpu", 4), "memory": changed.get("memory", 16), "power_state": "on",
        **{f"{each}_id": look_up(each, {"$config": each, "default": names[each]}) for each in ("availability_zone", "template", "instance_family", "backup_policy")},
        "os_network_adapters": [{"device_index": 0, "network_id": look_up("network", names["network"])}],
    }  # fmt: skip
    disk = {"name": "data", "size": changed.get("size", 100), "storage_type": changed.get("storage", "Standard")}  # fmt: skip
    resources = [("cloudtemple.PublicCloudVmInstance", "web-1", instance), ("cloudtemple.PublicCloudVmDisk", "data", disk)]  # fmt: skip
    return {
        "header": {"target": {"kind": "cloudtemple", "product": "Cloud Temple", "project": ""}},
        "stacks": [{"name": "shop", "place": {"project": "", "region": ""}, "resources": [{"type": t, "name": n, "origin": "o", "props": p} for t, n, p in resources]}],
        "quotas": {"kinds": []},
    }  # fmt: skip


def test_cloud_temple_with_everything_there(temple: CloudTemple, tmp_path: Path) -> None:
    report = check(temple_plan(), tmp_path)
    assert report.findings == ()
    assert report.calls == len(temple.asked) == 8
    assert any("no call was ever made" in each for each in report.unchecked)


@pytest.mark.parametrize(
    ("changed", "code", "subject", "says"),
    [
        ({"availability_zone": "fr1-az02"}, "zone", "fr1-az02", "fr1-az01"),
        ({"template": "Debian 12"}, "image", "Debian 12", "Debian 13"),
        ({"instance_family": "General Purpose"}, "family", "General Purpose", "Development"),
        ({"backup_policy": "Daily"}, "backup-policy", "Daily", "No Backup"),
        ({"network": "shop-b"}, "network", "shop-b", "shop-a"),
        ({"storage": "Enterprise"}, "volume-type", "Enterprise", "Standard"),
        ({"cpu": 94}, "quota", "cores", "101"),
        ({"memory": 191}, "quota", "ram_gb", "201"),
        ({"size": 353}, "quota", "volume_gb", "501"),
    ],
)
def test_cloud_temple_lacks_something(temple: CloudTemple, tmp_path: Path, changed: dict[str, Any], code: str, subject: str, says: str) -> None:  # fmt: skip
    report = check(temple_plan(**changed), tmp_path)
    assert [(f.code, f.subject) for f in report.findings] == [(code, subject)]
    assert says in report.findings[0].hint
    assert report.look


def test_cloud_temple_quotas_that_just_suffice(temple: CloudTemple, tmp_path: Path) -> None:
    assert check(temple_plan(cpu=93, memory=190, size=352), tmp_path).findings == ()


def test_cloud_temples_faults_are_findings(temple: CloudTemple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    temple.broken = {
        "/api/vm_instances/v1/networks": (500, "x"), "/api/vm_instances/v1/backup_policies": (200, b"<html>"),
        "/api/vm_instances/v1/quotas": (200, {"vcpu": 1}), "/api/vm_instances/v1/instance_families": (200, {"families": []}),
    }  # fmt: skip
    report = check(temple_plan(template="Debian 12"), tmp_path)
    assert sorted((f.code, f.subject) for f in report.findings) == [
        ("api", "backup policy"), ("api", "instance family"), ("api", "network"), ("api", "quotas"), ("image", "Debian 12"),
    ]  # fmt: skip
    temple.broken = {"/api/vm_instances/v1/templates": (404, None), "/api/vm_instances/v1/images": (200, RECORDED["/api/vm_instances/v1/templates"])}  # fmt: skip
    assert [(f.code, f.severity) for f in check(temple_plan(), tmp_path).findings] == [("provider", "warning")]  # fmt: skip
    temple.broken, temple.shift = {}, 90
    assert [(f.code, f.severity) for f in check(temple_plan(), tmp_path).findings] == [("clock", "warning")]  # fmt: skip
    temple.shift = 0
    monkeypatch.setenv("CLOUDTEMPLE_SECRET_ID", "not-this-one")
    report = check(temple_plan(), tmp_path)
    assert [f.code for f in report.findings] == ["sign-in"]
    assert "not-this-one" not in json.dumps(report.json())
    monkeypatch.delenv("CLOUDTEMPLE_SECRET_ID")
    assert "CLOUDTEMPLE_SECRET_ID" in check(temple_plan(), tmp_path).findings[0].hint
    monkeypatch.setenv("CLOUDTEMPLE_SECRET_ID", SECRET)
    monkeypatch.setenv("CLOUDTEMPLE_HTTP_ADDR", "127.0.0.1:9")
    assert "does not answer" in check(temple_plan(), tmp_path).findings[0].says


# ------------------------------------------------------------------------------- what is routed


def test_ranges_clash_only_where_they_are_routed_together(tmp_path: Path) -> None:
    """Objects in the SDK's own shapes: a twin elsewhere is none, on the plan's router it is an error, behind another a warning."""
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port
    from openstack.network.v2.router import Router
    from openstack.network.v2.subnet import Subnet

    from toolkit.preflight.marks import Marks
    from toolkit.preflight.routes import clashes
    from toolkit.preflight.seen import Seen

    resources = [
        {"type": "openstack.networking.Subnet", "name": "a", "origin": "o", "props": {"name": "a", "cidr": "10.77.0.0/24"}},
        {"type": "openstack.networking.Router", "name": "edge", "origin": "o", "props": {"name": "edge"}},
    ]  # fmt: skip
    plan = {"stacks": [{"name": "s", "place": {"project": "p", "region": "r"}, "resources": [mark(r, "s") for r in resources]}], "quotas": {"kinds": []}}  # fmt: skip
    held = needs(plan, tmp_path)[0]

    def foot(router: str, subnet: str) -> Port:
        return Port(id=f"{router}-{subnet}", device_owner="network:router_interface", device_id=router, fixed_ips=[{"subnet_id": subnet, "ip_address": "10.0.0.1"}])  # fmt: skip

    def found(*ports: Port) -> list[tuple[str, str]]:
        seen = Seen("p")
        seen.held = {
            "networks": [Network(id=f"n{n}", name=f"n{n}") for n in (1, 2)], "ports": list(ports),
            "subnets": [Subnet(id="twin", name="twin", cidr="10.77.0.0/25", network_id="n1"), Subnet(id="mid", name="mid", cidr="10.1.0.0/24", network_id="n2")],
            "routers": [Router(id="r1", name="edge", tags=["stack=s", "name=edge"], routes=[]), Router(id="r2", name="other", tags=[], routes=[])],
        }  # fmt: skip
        return [(f.subject, f.severity) for f in clashes(held, seen, Marks.of(held, seen))]

    assert found() == []
    assert found(foot("r2", "twin")) == []
    assert found(foot("r1", "twin")) == [("s/a", "error")]
    assert found(foot("r1", "mid"), foot("r2", "mid"), foot("r2", "twin")) == [("s/a", "warning")]
