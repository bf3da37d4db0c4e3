"""The landing zone's program: it makes what the plan says, and what grows is not replaced.

Under Pulumi's mocks here; on the real engine and OpenStack at the end (marks `engine` and `lab`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolkit.suite.answers import parse
from toolkit.suite.plan import plan
from toolkit.suite.stack import FOLDER, configuration
from toolkit.suite.write import write

ROOT = Path(__file__).parents[1]
KEY = "ssh-ed25519 " + "A" * 68 + " first"


def answers(users: int, peak: int, **changes: Mapping[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = {
        "client": "town", "domain": "town.example.org", "people": {"users": users, "conference_peak": peak, "biggest_room": 10},
        "mail": {"host": "relay.example.org", "user": "suite", "sender": "suite@town.example.org"},
        "target": {"cloud": "infomaniak", "region": "dc3-a", "operators": ["192.0.2.0/24", "198.51.100.9/32"], "key": KEY},
        "backup": {"cloud": "ovhcloud", "region": "GRA11", "os_cloud": "second"},
    }  # fmt: skip
    for name, value in changes.items():
        held[name] = {**held.get(name, {}), **value}
    return held


def registered(folder: Path, document: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """(token, name) -> properties, as the program in the workspace registers them."""
    write(folder, document)
    held = yaml.safe_load((folder / FOLDER / "Pulumi.town.yaml").read_text())["config"]
    config = {name: value if isinstance(value, str) else json.dumps(value) for name, value in held.items()}  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "UPSTREAM": "[]", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "tests/support/mocks.py"), str(folder / FOLDER), json.dumps(config)],
        capture_output=True, text=True, timeout=120, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2500:]
    found = json.loads(done.stdout.splitlines()[-1])
    by_name = {(each["token"].rpartition(":")[2], each["name"]): each["props"] for each in found}
    assert len(by_name) == len(found)
    return by_name


def of(found: Mapping[tuple[str, str], dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: props for (token, name), props in found.items() if token == kind}


@pytest.mark.parametrize(("users", "peak"), [(20, 10), (300, 60), (3000, 400)])
def test_the_program_makes_what_the_plan_says(tmp_path: Path, users: int, peak: int) -> None:
    document = plan(parse(answers(users, peak), tmp_path))
    found = registered(tmp_path, document)
    hosts = {host["name"]: host for host in document["hosts"]}
    assert {n: p["flavorName"] for n, p in of(found, "Instance").items()} == {n: h["flavor"]["name"] for n, h in hosts.items()}  # fmt: skip
    ports = of(found, "Port")
    assert {n: p["fixedIps"][0]["ipAddress"] for n, p in ports.items()} == {n: h["address"] for n, h in hosts.items()}  # fmt: skip
    assert {n: p["securityGroupIds"] for n, p in ports.items()} == {n: [f"{h['kind']}-id"] for n, h in hosts.items()}  # fmt: skip
    assert {n: p["size"] for n, p in of(found, "Volume").items()} == {v["name"]: v["gb"] for v in document["volumes"]}  # fmt: skip
    assert {n: p["instanceId"] for n, p in of(found, "VolumeAttach").items()} == {
        v["name"]: f"{v['host']}-id" for v in document["volumes"]
    }
    assert {n: p["portId"] for n, p in of(found, "FloatingIpAssociate").items()} == {
        a["name"]: f"{a['host']}-id" for a in document["addresses"]
    }
    assert set(of(found, "FloatingIp")) == {a["name"] for a in document["addresses"]}
    assert set(of(found, "Container")) == {"backup"}
    assert not of(found, "RecordSet"), "the zone is held elsewhere"
    units = {each["kind"]: each["needed"] for each in document["quotas"]}
    assert units["instances"] == len(of(found, "Instance"))
    assert units["security_groups"] == len(of(found, "SecGroup")) + 1
    assert units["security_group_rules"] == len(of(found, "SecGroupRule")) + 2 * len(of(found, "SecGroup")) + 4  # fmt: skip


@pytest.mark.parametrize(("users", "peak"), [(20, 10), (300, 60), (3000, 400)])
def test_groups_are_exactly_the_table_of_ports(tmp_path: Path, users: int, peak: int) -> None:
    document = plan(parse(answers(users, peak), tmp_path))
    rules = {
        (p["securityGroupId"], p["protocol"], p["portRangeMin"], p["portRangeMax"], p.get("remoteIpPrefix") or p["remoteGroupId"])
        for p in of(registered(tmp_path, document), "SecGroupRule").values()
    }  # fmt: skip
    expected = set()
    for port in document["ports"]:
        remotes = {"anyone": ["0.0.0.0/0"], "operators": document["answers"]["operators"]}.get(
            port["source"], [f"{port['source']}-id"]
        )
        expected |= {(f"{port['kind']}-id", port["protocol"], port["first"], port["last"], each) for each in remotes}  # fmt: skip
    assert rules == expected


def test_growing_changes_sizes_and_names_nothing_anew(tmp_path: Path) -> None:
    small = registered(tmp_path, plan(parse(answers(300, 60), tmp_path)))
    large = registered(tmp_path, plan(parse(answers(600, 120), tmp_path)))
    assert small.keys() == large.keys()
    changed = {
        (kind, prop)
        for (kind, name), props in small.items()
        for prop in props.keys() | large[kind, name].keys()
        if props.get(prop) != large[kind, name].get(prop)
    }
    assert changed == {("Instance", "flavorName"), ("Volume", "size")}


def test_a_job_that_moves_takes_its_volume_and_its_address_along(tmp_path: Path) -> None:
    small = registered(tmp_path, plan(parse(answers(1000, 60), tmp_path)))
    large = registered(tmp_path, plan(parse(answers(1001, 60), tmp_path)))
    gone = {key for key in small.keys() - large.keys() if key[0] != "SecGroupRule"}
    assert not gone
    assert large["VolumeAttach", "files-1"]["instanceId"] == "files-1-id" != small["VolumeAttach", "files-1"]["instanceId"]  # fmt: skip
    assert large["FloatingIpAssociate", "edge"]["portId"] == "edge-1-id"


def test_records_are_made_where_the_zone_is_at_the_target(tmp_path: Path) -> None:
    document = plan(parse(answers(300, 60, dns={"held": "target"}), tmp_path))
    records = of(registered(tmp_path, document), "RecordSet")
    assert {p["name"] for p in records.values()} == {
        f"{name}.town.example.org." for name in ("cloud", "meet", "matrix", "chat", "login", "turn")
    }
    assert all(p["records"] == ["192.0.2.9"] for p in records.values())


def test_a_host_without_a_disk_starts_from_a_volume(tmp_path: Path) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text(
        "schema: 1\nprovider: bare\nproduct: Bare\nkind: openstack\nregions: [{name: R, country: CH}]\n"
        "flavors: [[one, 16, 64, 0, 0, '', null, read]]\nprofile: {volume_types: [{name: ssd}], images: {debian13: D}}\n"
    )
    target = {"cloud": "openstack", "cloud_file": "bare.yaml", "region": "R"}
    document = plan(parse(answers(20, 10, target=target), tmp_path))
    instance = of(registered(tmp_path, document), "Instance")["app-1"]
    assert instance["blockDevices"][0]["volumeSize"] == 20
    assert "imageName" not in instance
    volumes = {each["kind"]: each["needed"] for each in document["quotas"]}
    assert volumes["volumes"] == len(document["volumes"]) + 1


def test_what_is_the_users_stays(tmp_path: Path) -> None:
    document = plan(parse(answers(300, 60), tmp_path))
    write(tmp_path, document)
    config = tmp_path / FOLDER / "Pulumi.town.yaml"
    held = yaml.safe_load(config.read_text())
    held["encryptionsalt"] = "v1:abc"
    held["config"] |= {"other:setting": "mine", "suite:key-name": "ours", "suite:gone": "1"}
    config.write_text(yaml.safe_dump(held))
    (tmp_path / FOLDER / "overrides.py").write_text("mine = True\n")
    (tmp_path / FOLDER / "network.py").write_text("")
    write(tmp_path, document)
    after = yaml.safe_load(config.read_text())
    assert after["encryptionsalt"] == "v1:abc"
    assert (after["config"]["other:setting"], after["config"]["suite:key-name"]) == ("mine", "ours")
    assert "suite:gone" not in after["config"]
    assert (tmp_path / FOLDER / "overrides.py").read_text() == "mine = True\n"
    assert (tmp_path / FOLDER / "network.py").read_bytes() == (ROOT / FOLDER / "network.py").read_bytes()  # fmt: skip


def test_the_program_reads_every_setting_that_is_written() -> None:
    read = (ROOT / FOLDER / "settings.py").read_text()
    document = plan(parse(answers(300, 60, dns={"held": "target"}), Path()))
    for name in configuration(document):
        if name.startswith("suite:"):
            assert f'"{name.removeprefix("suite:")}"' in read, name
