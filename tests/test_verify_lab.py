"""Verify on the real lab: a part of the demo company made real by hand, changed by hand, and each change found."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.support.deploy import Deployment
from tests.support.lab import Lab, project
from toolkit.cli import run
from toolkit.init import init
from toolkit.verify import reading
from toolkit.verify.reading import LISTINGS
from toolkit.workspace import plan_digest

pytestmark = [
    pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning"),  # of the SDK, about itself
]  # fmt: skip

HERE = Path(__file__).parent / "verify"
STACKS = ("shared-network", "intranet-network", "intranet-data", "intranet-servers", "intranet-entry", "website-data", "invoicing-data", "dns")  # fmt: skip
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfl8dh6kZ3bD0vS0vJ4VnY1lqfXJmHqfP9tqH9k3vQe operator"


class Real:
    """A workspace and the part of its plan that is real on the lab."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder = folder
        self.cloud = lab.own
        self.plan = self._plan(lab.name)
        config = {
            "operator-public-key": KEY, "dns-contact": "dns@lumiere.example", "flavor-intranet-files": "m1.small",
            "secret-invoicing-smtp": "lab", **{f"bucket-{name}": f"{lab.name}-{name}" for name in ("www-lumiere-example", "lumiere-invoices")},
            "intranet-files-root-volume-id": self._disk("files"), "intranet-wiki-root-volume-id": self._disk("wiki"),
        }  # fmt: skip
        self._workspace(lab.name, config)
        self.deployed = Deployment(self.cloud, config)
        self.made = self.deployed.made

    def _plan(self, name: str) -> dict[str, Any]:
        held = json.loads((HERE / "plan.json").read_text())
        zone = f"{name}.example."
        stacks = [copy.deepcopy(each) for each in held["stacks"] if each["name"] in STACKS]
        for stack in stacks:
            if stack["name"] == "dns":
                stack["resources"] = json.loads(json.dumps([
                    each for each in stack["resources"] if "$ref" not in json.dumps(each["props"].get("records", ""))
                ]).replace("lumiere.example.", zone))  # fmt: skip
        body: dict[str, Any] = {"kind": "plan", "schema": 1, "stacks": stacks}
        for stack in stacks:
            stack["place"] = {"project": name, "region": self.cloud.config.region_name}
        header = {"target": held["header"]["target"], "made_from": {}, "body": plan_digest(body)}
        return {**body, "header": header}

    def _disk(self, name: str) -> str:
        volume = self.cloud.block_storage.create_volume(name=f"{name}-root", size=1)
        self.cloud.block_storage.wait_for_status(volume, "available", interval=1, wait=120)
        self.cloud.block_storage.set_volume_bootable_status(volume, True)
        return str(volume.id)

    def _workspace(self, name: str, config: dict[str, str]) -> None:
        init(self.folder, target="openstack", project=name)
        (self.folder / "plan.json").write_text(json.dumps(self.plan))
        for stack in self.plan["stacks"]:
            asked = json.dumps(stack["resources"])
            mine = {
                f"{stack['name']}:{key}": {"secure": "v1:x"} if key.startswith("secret-") else value
                for key, value in config.items() if f'"$config": "{key}"' in asked
            }  # fmt: skip
            path = self.folder / "stacks" / stack["name"] / "Pulumi.main.yaml"
            path.parent.mkdir(parents=True)
            path.write_text(yaml.safe_dump({"config": mine}))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with project(tmp_path_factory.mktemp("lab"), "verify") as held:
        held.quota(security_groups=20, volume_gb=5000, security_group_rules=200)
        yield held


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Real]:
    held = Real(tmp_path_factory.mktemp("workspace") / "exit", lab)
    try:
        held.deployed.apply(held.plan)
        yield held
    finally:
        held.deployed.destroy()


@pytest.fixture
def verify(
    real: Real, lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(lab.clouds))
    monkeypatch.delenv("OS_CLOUD", raising=False)

    def ask(*more: str) -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        code = run(["verify", "-C", str(real.folder), "--json", *more])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else {}, err

    return ask


def found(said: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["kind"], each["name"], each["property"]) for each in said["findings"]}


def test_what_was_made_is_as_planned(real: Real, verify: Any) -> None:
    code, said, err = verify()
    assert (code, said["findings"]) == (0, []), err
    assert {each["state"] for each in said["stacks"]} == {"as planned"}
    assert said["totals"]["there"] == said["totals"]["resources"] == len(real.made)
    page = (real.folder / "verify.md").read_text()
    assert "None: what is there is what was planned." in page
    assert "next: commit verify.md" in err


def test_calls_are_bulk(real: Real, verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list a kind, and one call for each container, pool and policy: never one a port, server, rule or record."""
    seen: list[str] = []
    send = requests.Session.send

    def counted(
        session: requests.Session, request: requests.PreparedRequest, **more: Any
    ) -> requests.Response:
        seen.append(f"{request.method} {request.url}")
        return send(session, request, **more)

    monkeypatch.setattr(requests.Session, "send", counted)
    assert verify()[0] == 0
    types = [each["type"].rsplit(".", 1)[-1] for stack in real.plan["stacks"] for each in stack["resources"]]  # fmt: skip
    parents = sum(types.count(name) for name in ("Container", "Pool", "L7PolicyV2"))
    signing_in = 8
    assert len(seen) <= len(LISTINGS) + parents + signing_in, seen
    for name in ("Port", "Instance", "SecGroupRule", "RecordSet", "Volume"):
        ids = {real.made[each["name"]]["id"] for stack in real.plan["stacks"] for each in stack["resources"] if each["type"].endswith(f".{name}")}  # fmt: skip
        assert not [call for call in seen if any(id_ and str(id_) in call for id_ in ids)], name


def test_pages_are_turned(real: Real, verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 1)
    code, said, _ = verify()
    assert (code, said["findings"]) == (0, [])


def test_a_rule_widened_by_hand(real: Real, verify: Any) -> None:
    group = real.made["intranet-web"]["id"]
    rule = real.cloud.network.create_security_group_rule(
        security_group_id=group, direction="ingress", ether_type="IPv4", protocol="tcp", port_range_min=443, port_range_max=443, remote_ip_prefix="0.0.0.0/0"
    )  # fmt: skip
    try:
        code, said, _ = verify()
    finally:
        real.cloud.network.delete_security_group_rule(rule)
    assert code == 3
    assert {each["kind"] for each in said["findings"]} == {"admits more"}
    assert {(each["name"], each["id"], each["found"]["rule"]) for each in said["findings"]} == {("intranet-web", group, rule.id)}  # fmt: skip
    assert all("tcp 443 from" in each["found"]["admits"] for each in said["findings"])
    assert all(each["origin"].startswith("aws.ec2.security_group|") for each in said["findings"])


def test_a_rule_replaced_by_an_equivalent_pair(real: Real, verify: Any) -> None:
    network, group = real.cloud.network, real.made["intranet-web"]["id"]
    whole = next(each for each in network.security_group_rules(security_group_id=group) if each.remote_ip_prefix == "203.0.113.16/28")  # fmt: skip
    network.delete_security_group_rule(whole)
    same = {"security_group_id": group, "direction": "ingress", "ether_type": "IPv4", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}  # fmt: skip
    halves = [network.create_security_group_rule(**same, remote_ip_prefix=half) for half in ("203.0.113.16/29", "203.0.113.24/29")]  # fmt: skip
    try:
        code, said, _ = verify()
        assert (code, said["findings"]) == (0, [])
        network.delete_security_group_rule(halves.pop())
        code, said, _ = verify()
        assert code == 3
        (one,) = said["findings"]
        assert (one["kind"], one["planned"]) == ("admits less", "ingress IPv4 tcp 443 from 203.0.113.24/29")  # fmt: skip
        assert one["name"] == "intranet-web-in-tcp-443-203-0-113-16-28"
    finally:
        for half in halves:
            network.delete_security_group_rule(half)
        network.create_security_group_rule(**same, remote_ip_prefix="203.0.113.16/28")


def test_a_volume_detached(real: Real, verify: Any) -> None:
    server, volume = real.made["intranet-wiki"]["id"], real.made["intranet-wiki-data"]["id"]
    real.cloud.compute.delete_volume_attachment(server, volume)
    real.cloud.block_storage.wait_for_status(real.cloud.block_storage.get_volume(volume), "available", interval=1, wait=120)  # fmt: skip
    try:
        code, said, _ = verify()
    finally:
        real.cloud.compute.create_volume_attachment(server, volume_id=volume)
        real.cloud.block_storage.wait_for_status(real.cloud.block_storage.get_volume(volume), "in-use", interval=1, wait=120)  # fmt: skip
    assert (code, found(said)) == (3, {("missing", "intranet-wiki-volume-1", "")})


def test_a_record_changed(real: Real, verify: Any) -> None:
    record, zone = real.made["api-lumiere-example"]["id"], real.made["lumiere-example"]["id"]
    held = real.cloud.dns.get_recordset(record, zone)
    real.cloud.dns.update_recordset(held, records=["evil.example."])
    try:
        code, said, _ = verify()
    finally:
        real.cloud.dns.update_recordset(held, records=["blue." + _zone(real)])
    assert (code, found(said)) == (3, {("different", "api-lumiere-example", "records")})
    assert said["findings"][0]["found"] == ["evil.example."]


def _zone(real: Real) -> str:
    return str(next(each for stack in real.plan["stacks"] for each in stack["resources"] if each["type"] == "openstack.dns.Zone")["props"]["name"])  # fmt: skip


def test_a_gateway_changed(real: Real, verify: Any) -> None:
    subnet = real.made["intranet-app-a"]["id"]
    real.cloud.network.update_subnet(subnet, gateway_ip=None)
    try:
        code, said, _ = verify("--stack", "intranet-network")
    finally:
        real.cloud.network.update_subnet(subnet, gateway_ip="10.30.10.1")
    assert (code, found(said)) == (3, {("different", "intranet-app-a", "gateway_ip")})
    assert said["findings"][0]["id"] == subnet


def test_a_floating_ip_moved(real: Real, verify: Any) -> None:
    """To a port that somebody made for it: both are told, the port as one that nobody planned."""
    network, ip = real.cloud.network, real.made["intranet-load-balancer-bound"]["id"]
    vip, public = real.made["intranet-load-balancer"]["vip_port_id"], real.made["intranet-public-a"]["id"]  # fmt: skip
    port = network.create_port(network_id=real.made["intranet"]["id"], fixed_ips=[{"subnet_id": public}])  # fmt: skip
    try:
        network.update_ip(ip, port_id=port.id)
        code, said, _ = verify()
    finally:
        network.update_ip(ip, port_id=vip)
        network.delete_port(port)
    moved = ("different", "intranet-load-balancer-bound", "port_id")
    assert (code, found(said)) == (3, {moved, ("not planned", "intranet", "")})
    assert {each["id"] for each in said["findings"]} == {ip, port.id}


def test_an_unplanned_server_in_a_planned_network(real: Real, verify: Any) -> None:
    compute = real.cloud.compute
    server = compute.create_server(
        name="miner", flavor_id=compute.find_flavor("m1.small").id, image_id=real.cloud.image.find_image("Debian 12").id,
        networks=[{"uuid": real.made["intranet"]["id"]}],
    )  # fmt: skip
    try:
        compute.wait_for_server(server, wait=300, interval=1)
        code, said, _ = verify()
    finally:
        compute.delete_server(server)
        compute.wait_for_delete(server, wait=120, interval=1)
    assert code == 3
    (one,) = said["findings"]
    assert (one["kind"], one["name"], one["type"], one["id"]) == ("not planned", "intranet", "openstack.compute.Instance", server.id)  # fmt: skip
    assert one["found"]["name"] == "miner"


def test_a_server_deleted(real: Real, verify: Any) -> None:
    """The last one: nobody puts the server back."""
    server = real.made["intranet-wiki"]["id"]
    real.cloud.compute.delete_server(server)
    real.cloud.compute.wait_for_delete(real.cloud.compute.get_server(server), wait=120, interval=1)
    code, said, err = verify()
    assert code == 3
    follows = {each["name"]: (each["kind"], each["because"]) for each in said["findings"]}
    assert follows == {"intranet-wiki": ("missing", ""), "intranet-wiki-volume-1": ("missing", "intranet-wiki")}  # fmt: skip
    assert "next: mend what differs" in err


def test_credentials_that_are_refused(
    real: Real, verify: Any, lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "clouds.yaml"
    held = yaml.safe_load(lab.clouds.read_text())
    held["clouds"][lab.name]["auth"]["password"] = "wrong"
    wrong.write_text(yaml.safe_dump(held))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(wrong))
    code, said, err = verify()
    assert (code, said) == (1, {})
    assert "error: the target refuses the credentials" in err
    assert "hint:" in err
