"""Preflight against a real OpenStack: each thing that is wrong is found and named, and the requested quotas are the ones it takes."""

from __future__ import annotations

import contextlib
import copy
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request as Call
from urllib.request import urlopen

import pytest
import yaml

from tests.support import lab as labs
from tests.support.serve import serving
from toolkit import cli, clouds
from toolkit.init import init
from toolkit.plan.mark import mark
from toolkit.preflight import Report, check
from toolkit.stage import plan as make_plan
from toolkit.stage import render

if TYPE_CHECKING:
    from tests.support.demo import Demo
    from tests.support.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
RUN = secrets.token_hex(3)
"""Another name in each run: flavors and volume types are the whole lab's."""
FLAVOR, IMAGE, TYPE, NETWORK = f"pf-{RUN}-2-4", f"pf Debian {RUN}", f"pf-{RUN}-fast", "public"
ZONE = f"preflight-{RUN}.example."


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.project(tmp_path_factory.mktemp("lab"), "preflight") as held:
        held.flavor(FLAVOR, 2, 4096, 20)
        held.image(IMAGE, min_disk=10)
        held.volume_type(TYPE)
        yield held


@pytest.fixture(autouse=True)
def _signed_in(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OS_CLOUD", "OS_AUTH_URL", "OS_REGION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(lab.clouds))


def config(name: str, default: Any = None, **more: Any) -> dict[str, Any]:
    return {"$config": name, "doc": "", **({"default": default} if default is not None else {}), **more}  # fmt: skip


def ref(name: str, attr: str = "id") -> dict[str, Any]:
    return {"$ref": name, "attr": attr}


def outside(name: str = NETWORK) -> dict[str, Any]:
    args = {"name": config("external-network", name), "external": True}
    return {"$lookup": "openstack.networking.get_network", "args": args, "attr": "id"}


def small(lab: Lab) -> dict[str, Any]:
    """A plan as `repatria plan` writes it, cut to what preflight reads: one of each kind."""
    image = {"$lookup": "openstack.images.get_image", "args": {"name": config("image-debian12", IMAGE)}, "attr": "id"}  # fmt: skip
    resources = [
        ("openstack.networking.Network", "shop", {"name": "shop"}),
        ("openstack.networking.Subnet", "shop-a", {"name": "shop-a", "cidr": "10.77.0.0/24", "network_id": ref("shop")}),
        ("openstack.networking.Subnet", "shop-b", {"name": "shop-b", "cidr": "10.77.1.0/24", "network_id": ref("shop")}),
        ("openstack.networking.Router", "shop-edge", {"name": "shop-edge", "external_network_id": outside()}),
        ("openstack.networking.RouterInterface", "shop-a-router", {"router_id": ref("shop-edge"), "subnet_id": ref("shop-a")}),
        ("openstack.networking.RouterInterface", "shop-b-router", {"router_id": ref("shop-edge"), "subnet_id": ref("shop-b")}),
        ("openstack.networking.SecGroup", "web", {"name": "web", "delete_default_rules": True}),
        ("openstack.networking.SecGroupRule", "web-in", {"security_group_id": ref("web"), "direction": "ingress"}),
        ("openstack.networking.Port", "web-1-port", {"name": "web-1", "network_id": ref("shop")}),
        ("openstack.networking.FloatingIp", "web-ip", {"pool": config("floating-ip-pool", NETWORK)}),
        ("openstack.compute.Keypair", "operator", {"name": "operator", "public_key": config("operator-public-key")}),
        ("openstack.blockstorage.Volume", "web-1-boot", {"name": "web-1-boot", "size": 20, "image_id": image, "volume_type": config("volume-type-gp3", TYPE)}),
        ("openstack.compute.Instance", "web-1", {"name": "web-1", "flavor_name": config("flavor-web-1", FLAVOR), "key_pair": ref("operator", "name"), "networks": [{"port": ref("web-1-port")}], "block_devices": [{"uuid": ref("web-1-boot"), "source_type": "volume"}]}),
        ("openstack.loadbalancer.LoadBalancer", "web-lb", {"name": "web-lb", "vip_subnet_id": ref("shop-a")}),
        ("openstack.objectstorage.Container", "photos", {"name": config("bucket-photos", "pf-photos")}),
        ("openstack.keymanager.SecretV1", "token", {"name": "token", "payload": config("secret-token", secret=True)}),
        ("openstack.dns.Zone", "zone", {"name": ZONE, "email": "dns@shop.example"}),
    ]  # fmt: skip
    needed = {
        "instances": 1, "cores": 2, "ram_gb": 4, "ports": 5, "networks": 1, "subnets": 2, "routers": 1, "security_groups": 2,
        "security_group_rules": 6, "volumes": 1, "volume_gb": 20, "floating_ips": 1, "load_balancers": 1,
    }  # fmt: skip
    stack = {
        "name": "shop", "place": {"project": lab.name, "region": lab.own.config.region_name},
        "resources": [mark({"type": t, "name": n, "origin": "o", "props": p}, "shop") for t, n, p in resources],
    }  # fmt: skip
    return {
        "header": {"target": {"kind": "openstack", "product": "The lab"}},
        "stacks": [stack],
        "quotas": {"kinds": [{"kind": k, "place": "", "needed": n, "default": None, "request": 0} for k, n in needed.items()]},
    }  # fmt: skip


def change(plan: dict[str, Any], name: str, **props: Any) -> dict[str, Any]:
    """The plan with properties of one resource changed."""
    plan = copy.deepcopy(plan)
    next(r for r in plan["stacks"][0]["resources"] if r["name"] == name)["props"].update(props)
    return plan


def only(plan: dict[str, Any], *modules: str) -> dict[str, Any]:
    """The plan cut to resources of these modules: what is not needed is not asked for either."""
    plan = copy.deepcopy(plan)
    stack = plan["stacks"][0]
    stack["resources"] = [r for r in stack["resources"] if r["type"].split(".")[1] in modules]
    return plan


def serious(report: Report) -> list[tuple[str, str]]:
    return [(f.code, f.subject) for f in report.findings if f.severity != "advice"]


def test_what_fits_is_green_and_takes_few_calls(lab: Lab, tmp_path: Path) -> None:
    report = check(small(lab), tmp_path)
    assert not serious(report), report.findings
    assert {f.code for f in report.findings} == {"application-credential", "unset"}
    assert not report.look
    assert not report.requests
    assert report.letters == {}
    few = report.calls
    many = small(lab)
    stack = many["stacks"][0]
    port = next(r for r in stack["resources"] if r["name"] == "web-1-port")
    stack["resources"] += [{**port, "name": f"p-{n}"} for n in range(10_000)]
    # twice: beside other tests a single call was once seen to be asked again
    assert min(check(many, tmp_path).calls for _ in range(2)) <= few


def test_every_name_that_the_target_lacks_is_found(lab: Lab, tmp_path: Path) -> None:
    moved = "11111111-2222-3333-4444-555555555555"
    image = {"$lookup": "openstack.images.get_image", "args": {"name": config("image-debian12", "pf Debain")}, "attr": "id"}  # fmt: skip
    plan = small(lab)
    boot = next(r for r in plan["stacks"][0]["resources"] if r["name"] == "web-1-boot")
    for name, props in (
        ("slow", {"volume_type": config("volume-type-gp3", "pf-fats")}), ("misspelt", {"image_id": image}), ("tiny", {"size": 5}),
    ):  # fmt: skip
        plan["stacks"][0]["resources"].append({**boot, "name": name, "props": {**boot["props"], "name": name, **props}})  # fmt: skip
    for name, props in (
        ("web-1", {"flavor_name": config("flavor-web-1", "pf-2-5"), "availability_zone": config("zone-a", "nova-9"), "key_pair": config("key-pair", "jonas"),
                   "block_devices": [{"uuid": config("web-1-root-volume-id", moved), "source_type": "volume"}]}),
        ("shop-edge", {"external_network_id": outside("Ext-Net-9")}), ("web-ip", {"pool": config("floating-ip-pool", "Ext-Net-8")}),
        ("web-lb", {"loadbalancer_provider": "f5"}),
    ):  # fmt: skip
        plan = change(plan, name, **props)
    report = check(plan, tmp_path)
    hints = {
        ("flavor", "pf-2-5"): (FLAVOR, "web-1"), ("volume-type", "pf-fats"): (TYPE, "slow"), ("image", "pf Debain"): (IMAGE, "misspelt"),
        ("image", IMAGE): ("larger", "tiny"), ("external-network", "Ext-Net-9"): (NETWORK, "shop-edge"),
        ("external-network", "Ext-Net-8"): ("floating-ip-pool", "web-ip"), ("zone", "nova-9"): ("nova", "web-1"), ("key-pair", "jonas"): ("key-pair", "web-1"),
        ("balancer-provider", "f5"): ("amphora", "web-lb"), ("moved-volume", moved): ("web-1-root-volume-id", "web-1"),
    }  # fmt: skip
    assert sorted(serious(report)) == sorted(hints), report.findings
    for found in report.findings:
        if found.severity != "advice":
            hint, who = hints[found.code, found.subject]
            assert hint in found.hint
            assert f"shop/{who}" in found.says
            assert found.place == f"{lab.name}/{lab.own.config.region_name}"
    assert report.look


def test_the_users_own_values_count(lab: Lab, tmp_path: Path) -> None:
    plan = change(only(small(lab), "compute", "keymanager"), "web-1", flavor_name=config("flavor-web-1", "no-such"))  # fmt: skip
    values = tmp_path / "stacks/shop/Pulumi.main.yaml"
    values.parent.mkdir(parents=True)
    values.write_text(f"config:\n  shop:flavor-web-1: {FLAVOR}\n  shop:secret-token: {{secure: v1:x}}\n  shop:operator-public-key: ssh-ed25519 AAAA\n")  # fmt: skip
    report = check(plan, tmp_path)
    assert not serious(report)
    assert "unset" not in {f.code for f in report.findings}


def test_quotas_are_refused_and_the_request_is_what_it_takes(lab: Lab, tmp_path: Path) -> None:
    plan = small(lab)
    wide = {"instances": 10, "cores": 20, "ram_gb": 50, "ports": 500, "networks": 100, "subnets": 100, "routers": 10, "floating_ips": 50, "security_groups": 10, "security_group_rules": 100, "volumes": 10, "volume_gb": 1000, "gb_of_one_volume": -1, "load_balancers": -1, "zones": 10, "key_pairs": 100}  # fmt: skip
    lab.quota(instances=0, cores=1, ram_gb=3, ports=4, networks=0, subnets=1, routers=0, floating_ips=0, security_groups=1, security_group_rules=4, volumes=0, volume_gb=19, gb_of_one_volume=10, load_balancers=0, zones=0)  # fmt: skip
    try:
        report = check(plan, tmp_path)
        asked = {r.kind: r.request for r in report.requests}
        assert asked == {
            "instances": 1, "cores": 2, "ram_gb": 4, "ports": 5, "networks": 1, "subnets": 2, "routers": 1, "floating_ips": 1, "security_groups": 2,
            "security_group_rules": 6, "volumes": 1, "volume_gb": 20, "gb_of_one_volume": 20, "load_balancers": 1, "zones": 1,
        }  # fmt: skip
        assert {s for c, s in serious(report) if c == "quota"} == set(asked)
        assert "- ports: 5 (today 4)" in report.letters["en"]
        assert "- routeurs\u00a0: 1 (aujourd’hui 0)" in report.letters["fr"]
        assert lab.name in report.letters["fr"]
        lab.quota(**{**asked, "ports": 4}, key_pairs=0)
        assert {r.kind for r in check(plan, tmp_path).requests} == {"ports", "key_pairs"}
        lab.quota(ports=5, key_pairs=1)
        assert not serious(check(plan, tmp_path))
    finally:
        lab.quota(**wide)


def test_what_exists_already_is_told_apart_from_the_plans_own(lab: Lab, tmp_path: Path) -> None:
    plan, net = small(lab), lab.own.network
    network = net.create_network(name="shop")
    volume = lab.own.block_storage.create_volume(name="web-1-boot", size=1)
    group = net.create_security_group(name="web")
    lab.own.object_store.create_container("pf-photos")
    lab.own.compute.create_keypair(name="operator")
    zone = lab.own.dns.create_zone(name=ZONE, email="a@b.example")
    try:
        report = check(plan, tmp_path)
        found = {(f.code, f.subject, f.severity) for f in report.findings if f.severity != "advice"}
        assert found == {
            ("name", "shop", "warning"), ("name", "web-1-boot", "warning"), ("name", "web", "warning"), ("name", "pf-photos", "error"),
            ("name", ZONE, "error"), ("key-pair-taken", "operator", "error"),
        }  # fmt: skip
        lab.own.block_storage.set_volume_metadata(volume, **{"repatria-stack": "shop", "repatria-name": "web-1-boot"})  # fmt: skip
        for each in (network, group):
            net.set_tags(each, ["stack=shop", f"name={each.name}"])
        lab.own.object_store.post("/pf-photos", headers={"X-Container-Meta-Repatria-Stack": "shop", "X-Container-Meta-Repatria-Name": "photos"})  # fmt: skip
        lab.own.dns.update_zone(zone, description="[shop/zone]")
        lab.quota(networks=1, security_groups=2)
        again = check(plan, tmp_path)
        assert serious(again) == [("key-pair-taken", "operator")], again.findings
        lab.quota(networks=0)
        assert [(r.used, r.request) for r in check(plan, tmp_path).requests] == [(0, 1)]
    finally:
        lab.quota(networks=100, security_groups=10)
        labs.empty(lab.own, lab.project)


def test_addresses_clash_only_where_they_are_routed_together(lab: Lab, tmp_path: Path) -> None:
    plan, net = small(lab), lab.own.network
    other = net.create_network(name="other")
    twin = net.create_subnet(network_id=other.id, name="twin", cidr="10.77.1.0/25", ip_version=4)
    try:
        assert not serious(check(plan, tmp_path)), "the same range elsewhere is no clash"
        router = net.create_router(name="shop-edge")
        net.set_tags(router, ["stack=shop", "name=shop-edge"])
        lab.interface(router.id, subnet_id=twin.id)
        report = check(plan, tmp_path)
        assert serious(report) == [("address", "shop/shop-b")]
        said = next(f for f in report.findings if f.code == "address")
        assert "twin" in said.says
        assert "10.77.1.0/25" in said.says
        assert said.severity == "error"
    finally:
        labs.empty(lab.own, lab.project)
    lab.external("pf-outside", "10.77.0.128/25")
    report = check(change(plan, "shop-edge", external_network_id=outside("pf-outside")), tmp_path)
    if any(s for s in lab.own.network.subnets() if str(s.cidr) == "10.77.0.128/25"):
        assert serious(report) == [("address", "shop/shop-a")]
    else:  # Neutron shows subnets of an external network only to those who share it
        assert not serious(report)


def test_credentials_and_roles(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, user, identity = only(small(lab), "keymanager", "loadbalancer"), lab.user, lab.own.identity  # fmt: skip
    file = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))

    def sign_in(**entries: Any) -> Report:
        lab.write(file, **entries)
        return check(plan, tmp_path)

    def app(made: Any) -> dict[str, Any]:
        auth = {"auth_url": lab.auth["auth_url"], "application_credential_id": made.id, "application_credential_secret": made.secret}  # fmt: skip
        return {**lab.entry(), "auth": auth, "auth_type": "v3applicationcredential"}

    wrong = sign_in(**{lab.name: lab.entry(password="not-this-one")})
    assert serious(wrong) == [("sign-in", "credentials")]
    assert "not-this-one" not in json.dumps(wrong.json())
    assert serious(sign_in(**{lab.name: lab.entry(auth_url="http://127.0.0.1:9/v3")})) == [("sign-in", "credentials")]  # fmt: skip
    elsewhere = sign_in(**{lab.name: {**lab.entry(), "region_name": "RegionOne"}})
    assert not serious(elsewhere)
    now = datetime.now(UTC)
    made = identity.create_application_credential(user, name="all", roles=[{"name": r} for r in labs.ROLES])  # fmt: skip
    good = sign_in(**{lab.name: app(made)})
    assert {f.code for f in good.findings} == {"unset"}
    soon = identity.create_application_credential(user, name="soon", roles=[{"name": r} for r in labs.ROLES], expires_at=(now + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S"))  # fmt: skip
    assert serious(sign_in(**{lab.name: app(soon)})) == [("application-credential", lab.name)]
    few = identity.create_application_credential(user, name="few", roles=[{"name": "member"}])
    assert serious(sign_in(**{lab.name: app(few)})) == [("roles", "key-manager"), ("roles", "load-balancer")]  # fmt: skip
    identity.delete_application_credential(user, made)
    gone = sign_in(**{lab.name: app(made)})
    assert serious(gone) == [("sign-in", "credentials")]
    assert "revoked" in gone.findings[0].hint
    admin = yaml.safe_load((labs.folder() / "clouds.yaml").read_text())["clouds"]["lab-admin"]
    mighty = sign_in(someone=admin)
    assert ("least-privilege", "admin") in serious(mighty)
    assert ("project", lab.name) in serious(mighty)


def test_a_region_that_the_target_lacks(lab: Lab, tmp_path: Path) -> None:
    plan = small(lab)
    plan["stacks"][0]["place"]["region"] = "GRA11"
    report = check(plan, tmp_path)
    assert serious(report) == [("sign-in", "credentials")]
    assert "GRA11" in report.findings[0].says
    assert "RegionOne" in report.findings[0].says


def test_two_places_find_their_own_entries(lab: Lab, tmp_path: Path) -> None:
    plan = only(small(lab), "objectstorage")
    other = copy.deepcopy(plan["stacks"][0])
    other |= {"name": "else", "place": {"project": "analytics", "region": "RegionOne"}}
    plan["stacks"].append(other)
    report = check(plan, tmp_path)
    assert [(f.code, f.place) for f in report.findings if f.severity == "error"] == [("sign-in", "analytics/RegionOne")]  # fmt: skip
    assert lab.name in report.findings[0].hint
    assert "shop" not in {f.subject for f in report.findings}


# ------------------------------------------------------------------------- in front of the target

Answer = Callable[[str, int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]
"""(path, status, headers, body) of the real answer -> what is sent on."""


@contextlib.contextmanager
def before(url: str, answer: Answer) -> Iterator[str]:  # fmt: skip
    """A proxy in front of one service: every answer goes through `answer(path, status, headers, body)`."""

    class Proxy(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            sent = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding")}  # fmt: skip
            call = Call(url + self.path, data=body, headers=sent, method=self.command)  # noqa: S310
            try:
                with urlopen(call, timeout=60) as got:  # noqa: S310
                    status, headers, content = got.status, dict(got.headers), got.read()
            except OSError as error:
                status, headers, content = getattr(error, "code", 502), dict(getattr(error, "headers", {})), error.read() if hasattr(error, "read") else b""  # fmt: skip
            status, headers, content = answer(self.path, status, headers, content)
            self.send_response_only(status)
            for key, value in headers.items():
                if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_HEAD = _pass  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            return

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Proxy)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(("seconds", "severity"), [(-90, "warning"), (1200, "error"), (5, None)])
def test_a_wrong_clock(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, severity: str | None
) -> None:
    def shifted(_: str, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        said = headers.get("Date")
        now = parsedate_to_datetime(said) if said else datetime.now(UTC)
        return status, {**headers, "Date": format_datetime(now - timedelta(seconds=seconds), usegmt=True)}, body  # fmt: skip

    base = lab.auth["auth_url"].removesuffix("/v3")
    with before(base, shifted) as url:
        lab.write(tmp_path / "c.yaml", **{lab.name: lab.entry(auth_url=f"{url}/v3")})
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "c.yaml"))
        report = check(only(small(lab), "objectstorage"), tmp_path)
    assert [f.severity for f in report.findings if f.code == "clock"] == ([severity] if severity else [])  # fmt: skip
    if severity:
        said = next(f.says for f in report.findings if f.code == "clock")
        assert ("ahead" if seconds > 0 else "behind") in said


@contextlib.contextmanager
def led_past(lab: Lab, service: str, file: Path, answer: Answer) -> Iterator[None]:
    """A clouds.yaml by which one service of Keystone's catalogue is reached through `answer`."""
    url = str(lab.own.session.get_endpoint(service_type=service, interface="public"))
    root = "/".join(url.split("/")[:3])
    with before(root, answer) as there:

        def led(_: str, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
            return status, headers, body.replace(root.encode(), there.encode())

        with before(lab.auth["auth_url"].removesuffix("/v3"), led) as keystone:
            lab.write(file, **{lab.name: lab.entry(auth_url=f"{keystone}/v3")})
            yield


def test_a_failing_service_is_one_finding_and_the_rest_goes_on(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "c.yaml"))
    plan = change(only(small(lab), "compute", "blockstorage"), "web-1", flavor_name="no-such")
    with led_past(lab, "block-storage", tmp_path / "c.yaml", lambda _p, _s, h, _b: (500, h, b"broken")):  # fmt: skip
        report = check(plan, tmp_path)
    assert serious(report) == [("api", "block-storage"), ("flavor", "no-such")], report.findings
    assert any("volume" in each for each in report.unchecked)
    assert "500" in next(f.says for f in report.findings if f.code == "api")


@pytest.mark.parametrize("status", [403, 404])
def test_a_quota_that_is_hidden_is_no_fault(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def hides(path: str, was: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        return (status, headers, b"{}") if "quota" in path else (was, headers, body)

    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "c.yaml"))
    with led_past(lab, "block-storage", tmp_path / "c.yaml", hides):
        report = check(only(small(lab), "blockstorage"), tmp_path)
    assert not serious(report), report.findings
    assert any(each.startswith("volume quotas") for each in report.unchecked)


def test_a_service_that_is_not_there(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def without(path: str, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        if path.endswith("/auth/tokens") and body:
            held = json.loads(body)
            held["token"]["catalog"] = [s for s in held["token"]["catalog"] if s["type"] not in ("dns", "load-balancer")]  # fmt: skip
            body = json.dumps(held).encode()
        return status, headers, body

    with before(lab.auth["auth_url"].removesuffix("/v3"), without) as url:
        lab.write(tmp_path / "c.yaml", **{lab.name: lab.entry(auth_url=f"{url}/v3")})
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "c.yaml"))
        report = check(only(small(lab), "dns", "loadbalancer", "objectstorage"), tmp_path)
    assert serious(report) == [("service", "dns"), ("service", "load-balancer")]


# --------------------------------------------------------------------------------- the demo company


def infomaniak(lab: Lab, estate: Path, folder: Path) -> dict[str, Any]:
    """The demo company on a cloud with Infomaniak's sizes, images, quotas; region and external network are the lab's."""
    raw = yaml.safe_load((Path(clouds.__file__).parent / "infomaniak.yaml").read_text())
    raw |= {"provider": "openstack", "regions": [{"name": lab.own.config.region_name}]}
    raw["profile"] |= {"external_network": NETWORK, "floating_pool": NETWORK}
    folder.mkdir()
    (folder / "cloud.yaml").write_text(yaml.safe_dump(raw))
    init(folder, target="openstack", region=str(lab.own.config.region_name), project=lab.name, cloud_file=folder / "cloud.yaml")  # fmt: skip
    shutil.copy(estate, folder / "estate.jsonl")
    document = make_plan(folder).document
    render(folder)
    return document


@pytest.mark.slow
def test_infomaniaks_quotas_refuse_the_demo_and_the_requested_ones_hold_it(
    lab: Lab, demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "w"
    plan = infomaniak(lab, demo.root / "infomaniak/estate.jsonl", folder)
    cloud = clouds.load("infomaniak")
    sizes = {f.name: f for f in cloud.flavors}
    named = {v["default"] for s in plan["stacks"] for r in s["resources"] for v in _configs(r["props"]) if v["$config"].startswith("flavor-")}  # fmt: skip
    for name in sorted(named):
        lab.flavor(name, sizes[name].vcpu, int(sizes[name].ram_gb * 1024), sizes[name].disk_gb)
    lab.image(cloud.images["debian12"])
    for each in cloud.volume_types:
        lab.volume_type(each.name)
    lab.quota(**{k: v for k, v in cloud.quotas.items() if v is not None and k != "load_balancers"})
    capsys.readouterr()
    assert cli.run(["preflight", "-C", str(folder), "--json"]) == 3
    first = json.loads(capsys.readouterr().out)
    assert first["schema"] == 1
    assert {f["code"] for f in first["findings"] if f["severity"] == "error"} == {"quota"}
    asked = {r["kind"]: r["request"] for r in first["requests"]}
    assert {"ports", "instances"} <= asked.keys()
    foreseen = {q["kind"]: q["request"] for q in plan["quotas"]["kinds"] if q["request"]}
    assert asked == foreseen, "what the plan says offline is what the target says"
    lab.quota(**asked)
    assert cli.run(["preflight", "-C", str(folder), "--json"]) == 0
    capsys.readouterr()
    lab.quota(**{kind: value - 1 for kind, value in asked.items()})
    less = {r.kind for r in check(plan, folder).requests}
    assert less == set(asked), "to the unit: one less of any is too little"
    lab.quota(**asked)
    try:
        build_network(lab, plan)
        used = lab.own.network.get(f"/quotas/{lab.project}/details").json()["quota"]
        needed = {q["kind"]: q["needed"] for q in plan["quotas"]["kinds"]}
        agents = int(cloud.profile["dhcp_ports"])
        here = sum(p.device_owner == "network:dhcp" for p in lab.own.network.ports(project_id=lab.project))  # fmt: skip
        assert here == needed["networks"], "the lab has one DHCP agent"
        assert used["port"]["used"] + here * (agents - 1) == needed["ports"]
        assert used["security_group"]["used"] == needed["security_groups"]
        assert 0 <= needed["security_group_rules"] - used["security_group_rule"]["used"] <= 10
        for kind, word in (("networks", "network"), ("subnets", "subnet"), ("routers", "router"), ("floating_ips", "floatingip")):  # fmt: skip
            assert used[word]["used"] == needed[kind]
        again = check(plan, folder)
        assert not again.requests, "what the plan made itself is not counted twice"
        assert not [f for f in again.findings if f.severity == "error"], again.findings
    finally:
        labs.empty(lab.own, lab.project)


def _configs(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "$config" in value:
            yield value
        for each in value.values():
            yield from _configs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _configs(each)


def build_network(lab: Lab, plan: dict[str, Any]) -> None:
    """Make everything of a plan that counts at Neutron, in the plan's order: within the quotas, or it raises."""
    net, made = lab.own.network, {}
    outer = net.find_network(NETWORK).id
    todo = [r for s in plan["stacks"] for r in s["resources"]]

    def value(held: Any) -> Any:
        if isinstance(held, dict) and "$ref" in held:
            return made[held["$ref"]]
        if isinstance(held, dict) and "$config" in held:
            return held["default"]
        if isinstance(held, dict):
            return {k: value(v) for k, v in held.items()}
        return [value(v) for v in held] if isinstance(held, list) else held

    order = ["Network", "Subnet", "Router", "SecGroup", "SecGroupRule", "Port", "RouterInterface", "FloatingIp", "LoadBalancer"]  # fmt: skip
    for kind in order:
        for each in todo:
            module, _, class_ = each["type"].rpartition(".")
            if class_ != kind or module not in ("openstack.networking", "openstack.loadbalancer"):
                continue
            props = {k: v for k, v in each["props"].items() if k != "external_network_id"}
            props = value(props)
            tags = props.pop("tags", None)
            match kind:
                case "Network":
                    thing = net.create_network(**props)
                case "Subnet":
                    props["is_dhcp_enabled"] = props.pop("enable_dhcp", True)
                    thing = net.create_subnet(**props)
                case "Router":
                    gateway = {"external_gateway_info": {"network_id": outer}} if "external_network_id" in each["props"] else {}  # fmt: skip
                    thing = net.create_router(**props, **gateway)
                case "SecGroup":
                    props.pop("delete_default_rules")
                    thing = net.create_security_group(**props)
                    for rule in list(thing.security_group_rules):
                        net.delete_security_group_rule(rule["id"])
                case "SecGroupRule":
                    props["ether_type"] = props.pop("ethertype", "IPv4")
                    thing = net.create_security_group_rule(**props)
                case "Port":
                    if props.pop("no_security_groups", False):
                        props["security_group_ids"] = []
                    props["is_port_security_enabled"] = props.pop("port_security_enabled", True)
                    if not props["is_port_security_enabled"]:
                        props["security_group_ids"] = []
                    thing = net.create_port(**props)
                case "RouterInterface":
                    where = {"port_id": props["port_id"]} if "port_id" in props else {"subnet_id": props["subnet_id"]}  # fmt: skip
                    lab.interface(props["router_id"], **where)
                    continue
                case "FloatingIp":
                    thing = net.create_ip(floating_network_id=outer, description=props.get("description", ""))  # fmt: skip
                case _:
                    thing = lab.own.load_balancer.create_load_balancer(name=props["name"], vip_subnet_id=props["vip_subnet_id"], tags=tags or [])  # fmt: skip
                    thing = lab.own.load_balancer.wait_for_load_balancer(thing.id, interval=1, wait=60)  # fmt: skip
            made[each["name"]] = thing.id
            if tags and kind != "LoadBalancer":
                net.set_tags(thing, tags)
