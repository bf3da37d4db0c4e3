"""Verify: on what the lab answered once (every fault put in by hand), and on the lab itself."""

from __future__ import annotations

import copy
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import toolkit
from toolkit.cli import run
from toolkit.plan.mark import HOW
from toolkit.render.verification import verification_markdown
from toolkit.verify.admission import admitted, asked, beyond
from toolkit.verify.check import document, must_look, wanted
from toolkit.verify.compare import Comparison, planned_resources
from toolkit.verify.kinds import KINDS
from toolkit.verify.links import linked
from toolkit.verify.probe import probe
from toolkit.verify.reach import MOST_FORBIDDEN, paths, record, try_all
from toolkit.verify.reading import LISTINGS
from toolkit.verify.report import verification_table
from toolkit.verify.unplanned import PARTS
from toolkit.verify.values import SECRET, settings
from toolkit.workspace import plan_digest

HERE = Path(__file__).parent / "verify"
SCHEMAS = Path(toolkit.__file__).parent / "schemas"
PLACE = ("brasserie", "RegionOne")
There = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    """The demo company's plan for a plain OpenStack cloud, as it was made real on the lab."""
    held: dict[str, Any] = json.loads((HERE / "plan.json").read_text())
    return held


@pytest.fixture(scope="module")
def recorded() -> There:
    """What the lab (OpenStack Zed) answered when that plan had been made real, as `reading` hands it on."""
    held: There = json.loads((HERE / "there.json").read_text())
    return held


@pytest.fixture
def there(recorded: There) -> There:
    return copy.deepcopy(recorded)


def config(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        stack: {k: SECRET if isinstance(v, dict) else v for k, v in held.items()}
        for stack, held in plan["config"].items()
    }


def verified(plan: dict[str, Any], there: There, stack: str = "") -> dict[str, Any]:
    return document(plan, Comparison(plan, {PLACE: there}, config(plan)), stack)


def one(there: There, listing: str, name: str) -> dict[str, Any]:
    return next(each for each in there[listing] if each["name"] == name)


def kinds(said: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["kind"], each["name"], each["property"]) for each in said["findings"]}


# ------------------------------------------------------------------------------------ as planned


def test_what_was_made_is_as_planned(plan: dict[str, Any], there: There) -> None:
    said = verified(plan, there)
    assert said["findings"] == []
    assert {each["state"] for each in said["stacks"]} == {"as planned"}
    assert said["totals"]["there"] == said["totals"]["resources"] == sum(len(each["resources"]) for each in plan["stacks"])  # fmt: skip
    assert said["totals"]["compared"] > 900
    assert not must_look(said)


def test_what_is_not_compared_is_told_with_its_reason(plan: dict[str, Any], there: There) -> None:
    said = verified(plan, there)
    assert {f"{each['type']}.{each['property']}" for each in said["not_compared"]} == {
        "openstack.keymanager.SecretV1.payload",
        "openstack.keymanager.SecretV1.metadata",
        "openstack.keymanager.SecretV1.payload_content_encoding",
    }


def test_nothing_there_is_not_there_yet_and_no_finding(plan: dict[str, Any], there: There) -> None:
    empty = {name: [] for name in there} | {name: there[name] for name in ("flavors", "images")}
    said = verified(plan, empty)
    assert {each["state"] for each in said["stacks"]} == {"not there yet"}
    assert said["findings"] == []
    assert must_look(said)


# ------------------------------------------------------------------------------ put in by hand


def rule(there: There, group: str, **wanted: Any) -> dict[str, Any]:
    return next(
        each for each in one(there, "security_groups", group)["rules"]
        if all(each[name] == value for name, value in wanted.items())
    )  # fmt: skip


def widened(there: There) -> None:
    rule(there, "shop-db", protocol="tcp", port_range_min=5432)["port_range_max"] = 5433


def gone_rule(there: There) -> None:
    group = one(there, "security_groups", "shop-db")
    group["rules"].remove(rule(there, "shop-db", protocol="tcp", port_range_min=5432))


def detached(there: There) -> None:
    one(there, "volumes", "intranet-wiki-data")["attachments"] = []
    server = one(there, "servers", "intranet-wiki")
    server["volumes"].remove(one(there, "volumes", "intranet-wiki-data")["id"])


def server_gone(there: There) -> None:
    there["servers"].remove(one(there, "servers", "shop-web-1"))


def record_changed(there: There) -> None:
    one(there, "record_sets", "api.lumiere.example.")["records"] = ["green.lumiere.example."]


def gateway(there: There) -> None:
    one(there, "subnets", "shop-app-a")["gateway_ip"] = "10.20.10.254"


def moved(there: There) -> None:
    port = one(there, "ports", "shop-web-1")
    bound = next(each for each in there["floating_ips"] if "name=shop-bastion" in each["tags"])
    bound |= {"port_id": port["id"], "fixed_ip": port["all_fixed_ips"][0]}


def unplanned_server(there: There) -> None:
    network = one(there, "networks", "shop")
    there["servers"].append({**one(there, "servers", "shop-web-1"), "id": "s-1", "name": "miner", "metadata": {}, "volumes": []})  # fmt: skip
    there["ports"].append({**one(there, "ports", "shop-web-1"), "id": "p-1", "name": "", "tags": [], "network_id": network["id"], "device_id": "s-1"})  # fmt: skip


def inner_gateway(there: There) -> None:
    external = one(there, "networks", "public")["id"]
    one(there, "routers", "shop-inner")["external_network_id"] = external


def open_bucket(there: There) -> None:
    one(there, "containers", "lumiere-invoices")["container_read"] = ".r:*,.rlistings"


def guarded_at_last(there: There) -> None:
    port = next(each for each in there["ports"] if "name=shop-sessions-port-1" in each["tags"])
    assert port["security_group_ids"] == []
    port["security_group_ids"] = [one(there, "security_groups", "shop-db")["id"]]


def pairs(there: There) -> None:
    one(there, "ports", "shop-web-1")["allowed_address_pairs"] = [{"ip_address": "0.0.0.0/0", "mac_address": "x"}]  # fmt: skip


def twice(there: There) -> None:
    there["volumes"].append({**one(there, "volumes", "intranet-wiki-data"), "id": "v-2", "attachments": []})  # fmt: skip


def listener_open(there: There) -> None:
    one(there, "listeners", "intranet-443")["allowed_cidrs"] = []


def policies_swapped(there: There) -> None:
    first, second = (one(there, "l7_policies", name) for name in ("shop-https-443-10", "shop-https-443-20"))  # fmt: skip
    first["position"], second["position"] = second["position"], first["position"]


def unplanned_router(there: There) -> None:
    port = one(there, "ports", "shop-web-1")
    there["ports"].append({**port, "id": "p-2", "name": "", "tags": [], "device_id": "r-9", "device_owner": "network:router_interface"})  # fmt: skip


def unplanned_floating_ip(there: There) -> None:
    port = one(there, "ports", "shop-web-2")
    there["floating_ips"].append({**there["floating_ips"][0], "id": "f-9", "tags": [], "address": "198.51.100.99", "port_id": port["id"], "fixed_ip": port["all_fixed_ips"][0]})  # fmt: skip


def orphan(there: There) -> None:
    there["routers"].append({**one(there, "routers", "shop-edge"), "id": "r-2", "tags": ["stack=shop-network", "name=shop-old"], "routes": []})  # fmt: skip


def other_network(there: There) -> None:
    one(there, "load_balancers", "shop")["vip_subnet_id"] = one(there, "subnets", "shop-app-a")["id"]  # fmt: skip


def broken_volume(there: There) -> None:
    one(there, "volumes", "shop-orders-1-data")["status"] = "error"


def server_stopped(there: There) -> None:
    one(there, "servers", "shop-web-1")["vm_state"] = "stopped"


def record_added(there: There) -> None:
    there["record_sets"].append({**one(there, "record_sets", "api.lumiere.example."), "id": "x", "name": "old.lumiere.example.", "description": None})  # fmt: skip


FAULTS: list[tuple[Callable[[There], None], set[tuple[str, str, str]]]] = [
    (widened, {("admits more", "shop-db", "rules")}),
    (gone_rule, {("admits less", "shop-db-in-tcp-5432-from-shop-web", "rules")}),
    (detached, {("missing", "intranet-wiki-volume-1", "")}),
    (server_gone, {("missing", "shop-web-1", "")}),
    (record_changed, {("different", "api-lumiere-example", "records")}),
    (gateway, {("different", "shop-app-a", "gateway_ip")}),
    (moved, {("different", "shop-bastion-binding", "port_id"), ("different", "shop-bastion-binding", "fixed_ip")}),
    (unplanned_server, {("not planned", "shop", "")}),
    (inner_gateway, {("different", "shop-inner", "external_network_id")}),
    (open_bucket, {("different", "lumiere-invoices", "container_read")}),
    (guarded_at_last, {("different", "shop-sessions-port-1", "no_security_groups")}),
    (pairs, {("different", "shop-web-port-1", "allowed_address_pairs")}),
    (twice, {("twice", "intranet-wiki-data", "")}),
    (listener_open, {("different", "intranet-load-balancer-listener-443", "allowed_cidrs")}),
    (policies_swapped, {("different", "shop-https-443-10", "position"), ("different", "shop-https-443-20", "position")}),
    (unplanned_router, {("not planned", "shop", "")}),
    (unplanned_floating_ip, {("not planned", "shop-web-port-2", "")}),
    (orphan, {("not planned", "shop-old", "")}),
    (other_network, {("different", "shop-load-balancer", "vip_subnet_id")}),
    (broken_volume, {("different", "shop-orders-data-1", "status")}),
    (server_stopped, {("different", "shop-web-1", "power_state")}),
    (record_added, {("not planned", "lumiere-example", "")}),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=lambda each: getattr(each, "__name__", ""))  # fmt: skip
def test_a_fault_is_found_and_named_and_nothing_else(
    plan: dict[str, Any],
    there: There,
    fault: Callable[[There], None],
    expected: set[tuple[str, str, str]],
) -> None:
    fault(there)
    said = verified(plan, there)
    assert kinds(said) == expected, said["findings"]
    assert all(each["id"] for each in said["findings"] if each["kind"] != "missing")
    assert all(each["origin"] for each in said["findings"] if each["name"] != "shop-old")
    assert must_look(said)
    assert {each["state"] for each in said["stacks"]} == {"as planned", "different"}


def test_a_rule_in_two_halves_admits_the_same(plan: dict[str, Any], there: There) -> None:
    group = one(there, "security_groups", "shop-bastion")
    whole = rule(there, "shop-bastion", direction="ingress", port_range_min=22)
    group["rules"].remove(whole)
    group["rules"] += [{**whole, "id": half, "remote_ip_prefix": half} for half in ("0.0.0.0/1", "128.0.0.0/1")]  # fmt: skip
    assert verified(plan, there)["findings"] == []
    group["rules"].pop()
    (found,) = verified(plan, there)["findings"]
    assert (found["kind"], found["planned"]) == ("admits less", "ingress IPv4 tcp 22 from 128.0.0.0/1")  # fmt: skip


def test_what_follows_from_a_missing_server_names_it(plan: dict[str, Any], there: There) -> None:
    there["servers"].remove(one(there, "servers", "intranet-wiki"))
    volume = one(there, "volumes", "intranet-wiki-data")
    volume["attachments"] = []
    said = verified(plan, there)
    follows = {each["name"]: each["because"] for each in said["findings"]}
    assert follows == {"intranet-wiki": "", "intranet-wiki-volume-1": "intranet-wiki"}


def test_ports_of_services_are_explained_by_what_they_serve(
    plan: dict[str, Any], there: There
) -> None:
    said = {each["what"]: each["count"] for each in verified(plan, there)["explained"]}
    assert said["DHCP of the network"] >= 6
    assert said["interface of a planned router"] == 19
    assert said["address of a planned load balancer"] == 2


def test_one_stack_alone(plan: dict[str, Any], there: There) -> None:
    gateway(there)
    assert kinds(verified(plan, there, "shop-network")) == {("different", "shop-app-a", "gateway_ip")}  # fmt: skip
    assert kinds(verified(plan, there, "shop-servers")) == set()


def test_what_another_interface_makes_is_not_run(plan: dict[str, Any], there: There) -> None:
    changed = copy.deepcopy(plan)
    stack = next(each for each in changed["stacks"] if each["name"] == "website-data")
    stack["package"] = "ovh"
    stack["resources"][0]["type"] = "ovh.cloudproject.Storage"
    there["containers"].remove(one(there, "containers", "www-lumiere-example"))
    said = verified(changed, there)
    (told,) = [each for each in said["stacks"] if each["name"] == "website-data"]
    assert told["state"] == "not run"
    assert "OVHcloud" in told["reason"]
    assert not must_look(said)
    for each in changed["stacks"]:
        each["package"] = "ovh"
    alone = document(changed, Comparison(changed, {}, {}))
    assert {each["state"] for each in alone["stacks"]} == {"not run"}
    assert must_look(alone), "nothing was looked at, so nothing is proven"


def test_what_is_left_behind_of_a_stack_that_is_gone(plan: dict[str, Any], there: There) -> None:
    stack = next(each for each in plan["stacks"] if each["name"] == "website-data")
    assert len(stack["resources"]) == 1
    one(there, "containers", "www-lumiere-example")["metadata"]["repatria-name"] = "old-name"
    one(there, "containers", "www-lumiere-example")["name"] = "old"
    said = verified(plan, there)
    assert {(each["kind"], each["name"]) for each in said["findings"]} == {("not planned", "old-name")}  # fmt: skip
    assert [each["state"] for each in said["stacks"] if each["name"] == "website-data"] == ["not there yet"]  # fmt: skip


# ---------------------------------------------------------------------------------- rules as sets


def admits(*rules: dict[str, Any]) -> list[Any]:
    return [admitted({"direction": "ingress", "ethertype": "IPv4", **each}) for each in rules]


@pytest.mark.parametrize(
    ("some", "others"),
    [
        ([{"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}], [{"protocol": "6"}]),
        ([{"remote_ip_prefix": "0.0.0.0/0"}], [{}]),
        ([{"protocol": "any"}], [{"protocol": None}]),
        ([{"protocol": "tcp", "port_range_min": 80, "port_range_max": 90}], [{"protocol": "tcp", "port_range_min": 80, "port_range_max": 85}, {"protocol": "tcp", "port_range_min": 84, "port_range_max": 90}]),
        ([{"remote_ip_prefix": "10.0.0.0/8"}], [{"remote_ip_prefix": "10.0.0.0/9"}, {"remote_ip_prefix": "10.128.0.0/9"}, {"remote_ip_prefix": "10.3.0.0/16", "protocol": "udp"}]),
        ([{"ethertype": "IPv6", "protocol": "icmp"}], [{"ethertype": "IPv6", "protocol": "ipv6-icmp"}]),
        ([{"protocol": "icmp", "port_range_min": 8}], [{"protocol": "icmp", "port_range_min": 8, "port_range_max": None}]),
        ([{"remote_ip_prefix": "10.1.2.3/16"}], [{"remote_ip_prefix": "10.1.0.0/16"}]),
    ],
)  # fmt: skip
def test_two_texts_that_admit_the_same(some: Any, others: Any) -> None:
    assert list(beyond(admits(*some), admits(*others))) == []
    assert list(beyond(admits(*others), admits(*some))) == []


@pytest.mark.parametrize(
    ("some", "others", "says"),
    [
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 90}, {"protocol": "tcp", "port_range_min": 80, "port_range_max": 89}, "ingress IPv4 tcp 90 from 0.0.0.0/0"),
        ({"protocol": "tcp"}, {"protocol": "udp"}, "ingress IPv4 tcp from 0.0.0.0/0"),
        ({"remote_group_id": "g"}, {"remote_ip_prefix": "0.0.0.0/0"}, "ingress IPv4 any protocol from the group g"),
        ({"direction": "egress"}, {}, "egress IPv4 any protocol to 0.0.0.0/0"),
        ({"ethertype": "IPv6"}, {}, "ingress IPv6 any protocol from ::/0"),
        ({"protocol": "icmp"}, {"protocol": "icmp", "port_range_min": 0, "port_range_max": None}, "ingress IPv4 icmp type 1-65535 from 0.0.0.0/0"),
    ],
)  # fmt: skip
def test_what_one_admits_beyond_the_other(some: Any, others: Any, says: str) -> None:
    assert [str(each) for _, each in beyond(admits(some), admits(others))] == [says]


def test_sets_of_traffic_against_every_packet() -> None:
    """Small worlds: the difference of two sets of rules is the difference of what they admit, packet by packet."""
    import random

    draw = random.Random(7)

    def some() -> dict[str, Any]:
        low = draw.randint(2, 9)
        return {
            "protocol": draw.choice(["tcp", "udp", None]), "remote_ip_prefix": f"10.0.0.{draw.choice([0, 4, 8])}/{draw.choice([29, 30, 32])}",
        } | ({"port_range_min": low, "port_range_max": low + draw.randint(0, 4)} if draw.random() < 0.8 else {})  # fmt: skip

    def lets(held: list[Any], number: int, port: int, peer: int) -> bool:
        return any(
            all(low <= value <= high for (low, high), value in zip(each.box, (number, port, 0, peer), strict=True))
            for each in held
        )  # fmt: skip

    base = 10 << 24
    for _ in range(100):
        one_, other = ([{**some()} for _ in range(draw.randint(1, 4))] for _ in range(2))
        for each in (*one_, *other):
            if each["protocol"] is None:
                each.pop("port_range_min", None)
                each.pop("port_range_max", None)
        mine, theirs = admits(*one_), admits(*other)
        rest = [each for _, each in beyond(mine, theirs)]
        for number in (6, 17, 47):
            for port in range(15):
                for peer in range(base, base + 16):
                    packet = (number, port, peer)
                    assert lets(rest, *packet) == (lets(mine, *packet) and not lets(theirs, *packet))  # fmt: skip


# ------------------------------------------------------------------------------------- the table


def emitted() -> dict[str, set[str]]:
    """Type -> properties of every OpenStack resource in the cases' expectations and the recorded plan."""
    found: dict[str, set[str]] = {}
    cases = Path(__file__).parent / "cases"
    for path in cases.glob("*/*.json"):
        for each in _nodes(json.loads(path.read_text())):
            found.setdefault(each["type"], set()).update(each["props"])
    for each in planned_resources(json.loads((HERE / "plan.json").read_text())):
        found.setdefault(each.type, set()).update(each.props)
    return {type_: props for type_, props in found.items() if type_.startswith("openstack.")}


def _nodes(value: Any) -> Any:
    if isinstance(value, dict):
        if str(value.get("type", "")).startswith("openstack.") and "props" in value:
            yield value
        for each in value.values():
            yield from _nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)


def test_every_type_and_property_that_a_target_emits_has_its_place_in_the_table() -> None:
    seen = emitted()
    assert len(seen) >= 27
    source = "\n".join(path.read_text() for path in (Path(toolkit.__file__).parent / "targets/openstack").glob("*.py"))  # fmt: skip
    import re

    assert set(re.findall(r'type="(openstack\.[\w.]+)"', source)) == KINDS.keys()
    for type_, props in seen.items():
        known = {*KINDS[type_].compared, *KINDS[type_].unread}
        marks = {"tags": {"tags"}, "metadata": {"metadata"}, "description": {"description"}}
        assert props | marks.get(str(HOW.get(type_)), set()) <= known, type_


def test_the_table_agrees_with_itself() -> None:
    for type_, kind in KINDS.items():
        assert not kind.compared.keys() & kind.unread.keys(), type_
        assert {*kind.key, *kind.implied, *kind.ranked} <= kind.compared.keys(), type_
        assert all(need in LISTINGS for need in kind.needs), type_
    assert {part[2] for parts in PARTS.values() for part in parts} | PARTS.keys() <= KINDS.keys()
    assert set(HOW) & {"openstack"} == set()
    assert {type_ for type_ in HOW if type_.startswith("openstack.")} <= KINDS.keys()


def test_each_compared_property_is_in_what_the_lab_answered(
    plan: dict[str, Any], recorded: There
) -> None:
    """A property that no object has would agree with nothing, or with everything."""
    there = linked(recorded)
    for type_ in {each.type for each in planned_resources(plan)}:
        kind = KINDS[type_]
        if kind.listing == "rules":
            continue
        have = {name for each in there[kind.listing] for name in each}
        assert kind.compared.keys() - {"delete_default_rules"} <= have, type_


def test_only_what_is_needed_is_listed(plan: dict[str, Any]) -> None:
    zone = [each for each in planned_resources(plan) if each.type == "openstack.dns.Zone"]
    assert wanted(zone) == ["zones", "record_sets"]


# ---------------------------------------------------------------------------------------- files


def test_document_fits_its_schema(plan: dict[str, Any], there: There) -> None:
    gateway(there)
    widened(there)
    said = {"schema": 1, **verified(plan, there)}
    jsonschema.validate(said, json.loads((SCHEMAS / "verification.json").read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**said, "stacks": [{}]}, json.loads((SCHEMAS / "verification.json").read_text()))  # fmt: skip


def test_the_page_names_what_differs_in_both_languages(plan: dict[str, Any], there: There) -> None:
    gateway(there)
    said = verified(plan, there)
    english = verification_markdown({**said, "language": "en"}).decode()
    french = verification_markdown({**said, "language": "fr"}).decode()
    assert "`shop-app-a`: It is not as planned." in english
    assert "`10.20.10.254`" in english
    assert "aws.ec2.subnet" in english
    assert "Différent de ce qui est prévu." in french
    assert "Findings" not in french
    for reason in {each["reason"] for each in said["not_compared"]}:
        assert reason in english.replace("\\", "")
        assert reason not in french.replace("\\", "")


def test_the_table_shows_stacks_and_findings(plan: dict[str, Any], there: There) -> None:
    gateway(there)
    shown = verification_table(verified(plan, there))
    assert "shop-network" in shown
    assert "10.20.10.254" in shown
    assert "1 different" in shown


def test_hostile_names_stay_harmless(plan: dict[str, Any], there: There) -> None:
    unplanned_server(there)
    there["servers"][-1]["name"] = "x`|<script>\x1b[31m\n# owned"
    said = verified(plan, there)
    page = verification_markdown({**said, "language": "en"}).decode()
    assert "\n# owned" not in page
    assert "\x1b" not in verification_table(said)


def test_configuration_overrules_the_plan(tmp_path: Path) -> None:
    folder = tmp_path / "stacks/shop"
    folder.mkdir(parents=True)
    (folder / "Pulumi.main.yaml").write_text(
        "config:\n  shop:flavor: big\n  other:flavor: small\n  shop:word:\n    secure: v1:abc\n"
    )
    assert settings(tmp_path, "shop") == {"flavor": "big", "word": SECRET}
    assert settings(tmp_path, "none") == {}


# ---------------------------------------------------------------------------------------- paths


def test_paths_follow_the_planned_groups(plan: dict[str, Any], there: There) -> None:
    tried = {
        (each.source.planned.name if each.source else "", each.to.planned.name, each.port): each.allowed
        for each in paths(Comparison(plan, {PLACE: there}, config(plan)))
    }  # fmt: skip
    assert tried["", "shop-bastion-instance", 22]
    assert tried["", "shop-load-balancer", 443]
    assert tried["shop-web-1", "shop-orders-server-2", 5432]
    assert tried["shop-bastion-instance", "shop-web-1", 22]
    assert ("intranet-wiki", "shop-web-1", 22) not in tried, "another network"
    assert ("shop-web-1", "shop-blog-server-1", 22) in tried or ("shop-web-2", "shop-blog-server-1", 22) in tried  # fmt: skip
    assert not any(allowed for (source, to, port), allowed in tried.items() if to.startswith("shop-orders") and port == 22)  # fmt: skip
    assert sum(not allowed for allowed in tried.values()) <= MOST_FORBIDDEN


def test_a_connection_is_open_closed_or_silent() -> None:
    """Real sockets; silence is a listener whose queue is full, so that the kernel drops the next SYN."""
    with socket.socket() as listening, socket.socket() as bound, socket.socket() as full:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        bound.bind(("127.0.0.1", 0))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        ports = [each.getsockname()[1] for each in (listening, bound, full)]
        told = [probe("127.0.0.1", port, 1.0) for port in ports]
        for each in waiting:
            each.close()
    assert told == ["open", "closed", "silent"]


NAMESPACES = pytest.mark.skipif(
    os.geteuid() != 0
    or (not all(map(shutil.which, ("ip", "iptables"))) and not os.environ.get("CI")),
    reason="network namespaces need root, ip and iptables",
)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Three network namespaces on one wire: `op` (here), `web` and `db`; what each lets in is iptables', as a host's groups are."""
    word = secrets.token_hex(3)
    names = {name: f"rv{word}{name}" for name in ("op", "web", "db")}
    lets = {"web": ("192.0.2.1", 22), "db": ("192.0.2.2", 5432)}
    servers: list[subprocess.Popen[bytes]] = []

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        for name in names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names["op"], "link", "add", "wire", "type", "bridge")
        ip("-n", names["op"], "link", "set", "wire", "up")
        ip("-n", names["op"], "addr", "add", "192.0.2.1/24", "dev", "wire")
        for number, name in enumerate(("web", "db"), start=2):
            ip("-n", names["op"], "link", "add", f"to{name}", "type", "veth", "peer", "name", "eth0", "netns", names[name])  # fmt: skip
            ip("-n", names["op"], "link", "set", f"to{name}", "master", "wire", "up")
            ip("-n", names[name], "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
            ip("-n", names[name], "link", "set", "eth0", "up")
            peer, port = lets[name]
            rules = [["-P", "INPUT", "DROP"], ["-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT"], ["-A", "INPUT", "-p", "tcp", "-s", peer, "--dport", str(port), "-j", "ACCEPT"]]  # fmt: skip
            for rule_ in rules:
                subprocess.run(["ip", "netns", "exec", names[name], "iptables", "-w", *rule_], check=True)  # fmt: skip
            code = "import socket,time\nfor p in (22,5432):\n s=socket.socket();s.bind(('0.0.0.0',p));s.listen();globals()[f's{p}']=s\nprint('up',flush=True);time.sleep(600)"  # fmt: skip
            servers.append(subprocess.Popen(["ip", "netns", "exec", names[name], sys.executable, "-c", code], stdout=subprocess.PIPE))  # fmt: skip
            assert servers[-1].stdout is not None
            assert servers[-1].stdout.readline() == b"up\n"
        yield names
    finally:
        for server in servers:
            server.kill()
            server.wait()
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@NAMESPACES
def test_paths_are_tried_from_here_and_from_server_to_server(
    machines: dict[str, str], tmp_path: Path
) -> None:
    """Real sockets and real drops; only SSH itself is a script that enters the namespace instead of the machine."""
    door = tmp_path / "ssh"
    door.write_text(f'#!/bin/sh\nfor last; do :; done\nwhile [ "$1" != "debian@192.0.2.2" ]; do shift; done; shift\nexec ip netns exec {machines["web"]} sh -c "$*"\n')  # fmt: skip
    door.chmod(0o755)
    program = """
import json, sys
from pathlib import Path
from toolkit.verify.compare import Planned
from toolkit.verify.reach import End, Path_, try_all
def end(name, address, floating=""):
    return End(Planned("s", ("p", "r"), name, "openstack.compute.Instance", "", {}), address, "net", frozenset(), (), floating)
web, db = end("web", "192.0.2.2", "192.0.2.2"), end("db", "192.0.2.3")
tried = [Path_(None, web, "192.0.2.2", 22, True), Path_(None, web, "192.0.2.2", 5432, False), Path_(web, db, "192.0.2.3", 5432, True), Path_(web, db, "192.0.2.3", 22, False), Path_(db, web, "192.0.2.2", 22, False)]
done, untold = try_all(tried, Path("key"), "debian", Path("hosts"))
print(json.dumps([[each.json() for each in done], untold]))
"""
    run_ = subprocess.run(
        ["ip", "netns", "exec", machines["op"], sys.executable, "-c", program], capture_output=True, check=False, timeout=120,
        cwd=Path(__file__).parents[1], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert run_.returncode == 0, run_.stderr.decode()
    done, untold = json.loads(run_.stdout)
    assert {(each["from"], each["port"]): each["answer"] for each in done} == {
        ("", 22): "open", ("", 5432): "silent", ("web", 5432): "open", ("web", 22): "silent",
    }  # fmt: skip
    assert untold == [{"from": "db", "paths": 1, "reason": "the plan admits no SSH to it from web"}]


def test_a_path_that_is_not_as_allowed_is_a_finding(
    plan: dict[str, Any], there: There, tmp_path: Path
) -> None:
    """The addresses are turned to this machine: of two allowed ones one listens, and a forbidden one listens too."""
    comparison = Comparison(plan, {PLACE: there}, config(plan))
    with socket.socket() as listening, socket.socket() as full:
        for each in (listening, full):
            each.bind(("127.0.0.1", 0))
        listening.listen()
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        here = [each for each in paths(comparison) if each.source is None and each.allowed][:3]
        open_, silent = listening.getsockname()[1], full.getsockname()[1]
        tried = [
            replace(here[0], address="127.0.0.1", port=open_), replace(here[1], address="127.0.0.1", port=silent),
            replace(here[2], address="127.0.0.1", port=open_, allowed=False),
        ]  # fmt: skip
        said = verified(plan, there)
        done, untold = try_all(tried, tmp_path / "key", "debian", tmp_path / "hosts")
        record(said, done, untold)
        for each in waiting:
            each.close()
    assert {(each["kind"], each["property"]) for each in said["findings"]} == {("does not answer", f"tcp {silent}"), ("answers", f"tcp {open_}")}  # fmt: skip
    assert must_look(said)
    assert (said["reach"]["allowed"], said["reach"]["answered"], said["reach"]["forbidden"], said["reach"]["silent"]) == (2, 1, 1, 0)  # fmt: skip
    jsonschema.validate({"schema": 1, **said}, json.loads((SCHEMAS / "verification.json").read_text()))  # fmt: skip


# -------------------------------------------------------------------------------------- command


@pytest.fixture
def folder(plan: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with that plan, and no credentials anywhere."""
    body = {"kind": "plan", "schema": 1, "stacks": plan["stacks"]}
    header = {"target": plan["header"]["target"], "made_from": {}, "body": plan_digest(body)}
    (tmp_path / "plan.json").write_text(json.dumps({**body, "header": header}))
    for name in [each for each in os.environ if each.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_unknown_stack_is_refused_with_the_known_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "-C", str(folder), "--stack", "nope"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "error: the plan has no stack nope" in told.err
    assert "hint: It has: archive-network" in told.err


def test_a_damaged_configuration_is_refused_with_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "stacks/dns/Pulumi.main.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("config: [unclosed")
    assert run(["verify", "-C", str(folder)]) == 1
    assert f"error: {path} cannot be read" in capsys.readouterr().err


def test_without_a_plan_or_credentials_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "-C", str(folder)]) == 1
    assert "credentials" in capsys.readouterr().err
    (folder / "plan.json").unlink()
    assert run(["verify", "-C", str(folder)]) == 1
    assert "hint: `repatria plan` writes it." in capsys.readouterr().err
    assert not (folder / "verify.md").exists()


def test_help_needs_no_sdk() -> None:
    code = "import sys; from toolkit.cli import run; run(['verify', '--help']); print({'openstack', 'libcloud', 'pulumi'} & set(sys.modules))"  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "set()"


def test_a_code_of_0_in_the_plan_is_any_code_and_at_the_target_it_is_code_0() -> None:
    echo = {"direction": "ingress", "ethertype": "IPv4", "protocol": "icmp", "port_range_min": 8}
    every = admitted(echo)
    assert asked({**echo, "port_range_max": 0}) == every
    assert admitted({**echo, "port_range_max": 0}) != every
    assert asked({**echo, "port_range_max": 3}) == admitted({**echo, "port_range_max": 3})
