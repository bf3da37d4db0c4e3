"""The suite's answers and sizes: faults with their place, figures that are their formulas, growth that replaces nothing."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import sys
import tomllib
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.cli import run
from toolkit.errors import ConfigError, FileError
from toolkit.suite import formulas, layout
from toolkit.suite.answers import FIELDS, load, parse
from toolkit.suite.init import text as suite_toml
from toolkit.suite.inventory import ALL, inventory
from toolkit.suite.pages import markdown, must_look, zone
from toolkit.suite.plan import plan
from toolkit.suite.sizing import page
from toolkit.suite.write import read

ROOT = Path(__file__).parents[1]
TOWNS = {n: ROOT / f"tests/estates/town-{n}/suite.toml" for n in (20, 300, 600, 3000, 10000)}
CLOUDS = {"ovhcloud": "GRA11", "infomaniak": "dc3-a", "openstack": "RegionOne"}
SCHEMAS = ROOT / "toolkit/schemas"


@cache
def town(n: int) -> dict[str, Any]:
    return plan(load(TOWNS[n]))


def raw(**changes: Any) -> dict[str, Any]:
    """Answers of 300 people; `people__users=5` sets one of a table, None takes it out."""
    held = tomllib.loads(TOWNS[300].read_text())
    for name, value in changes.items():
        table, _, key = name.rpartition("__")
        where = held.setdefault(table, {}) if table else held
        if value is None:
            where.pop(key or name)
        else:
            where[key or name] = value
    return held


def faults(**changes: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(raw(**changes), Path())
    return raised.value.message


# ------------------------------------------------------------------------------------------ answers


def test_every_fault_is_named_at_once_with_its_place() -> None:
    said = faults(
        client="Mairie", domain="example", people__users=0, people__conference_peak="many", mail__port=25, target__region="GRA99",
        target__operators=["0.0.0.0/0"], federation__mode="of", dns__helt="x", backup__region="dc9",
    )  # fmt: skip
    for place in (
        "client", "domain", "people.users", "people.conference_peak", "mail.port", "GRA99", "target.operators", "federation.mode",
        "dns.helt is unknown (did you mean dns.held?)", "dc9",
    ):  # fmt: skip
        assert place in said, place
    assert "did you mean off?" in said


@pytest.mark.parametrize(
    "domain",
    [
        "a b.org", "-a.org", "a-.org", "a..org", "example.org.", " example.org", "192.0.2.1", "x" * 64 + ".org", "a.org\nrm -rf", "$(id).org",
        "a.org;id", "`id`.org", "a'.org", '"a".org', "{{ 7*7 }}.org", "../a.org", "exämple.org", "a.org/x", "*.example.org", "", 7, None,
        ["a.org"], "a.org\u202e", "<b>.org", "a" * 250 + ".org",
    ],
)  # fmt: skip
def test_a_hostile_domain_goes_no_further(domain: Any) -> None:
    changed = raw()
    changed["domain"] = domain
    if domain is None:
        del changed["domain"]
    with pytest.raises(ConfigError, match="domain"):
        parse(changed, Path())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("client", "../x"), ("client", "a" * 33), ("client", "x;id"), ("client", "-x"), ("client", ""), ("names__cloud", "a.b"),
        ("names__cloud", "a b"), ("names__meet", "cloud"), ("mail__host", "relay example.org"), ("mail__user", "a\nb"), ("mail__user", "a b"),
        ("mail__sender", "nobody"), ("target__region", "a\"b"), ("target__os_cloud", "x: y"), ("target__network", "10.0.0.0/16"),
        ("target__network", "8.8.8.0/24"), ("target__network", "10.0.0.1/24"), ("target__operators", []), ("target__operators", ["x"]),
        ("target__key", "ssh-ed25519 AAAA\nssh-rsa BBBB"), ("directory__url", "https://user:secret@example.org"), ("directory__kind", "ad"),
        ("people__users", True), ("people__users", 10_001), ("people__files_gb", float("nan")), ("people__files_gb", -1),
        ("people__biggest_room", 61), ("languages", []), ("languages", ["de"]), ("backup__cloud", None), ("backup__cloud", "aws"),
        ("applications__nextcloud", "yes"), ("applications__idp", False), ("retention__backup_days", 0), ("federation__mode", "list"),
        ("dns__held", "target"), ("target__cloud", "aws"), ("mail__host", None), ("mail__password", "hunter2"), ("allow", [{"host": "a.b"}]),
        ("allow", [{"host": "a.example", "reason": "x\ny"}]), ("allow", {"host": "a"}), ("people", 7), ("surprise", 1), ("schema", 2),
        ("target__cloud_file", "x.yaml"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(place: str, value: Any) -> None:
    said = faults(**{place: value})
    table, _, name = place.rpartition("__")
    assert (name or place) in said or table in said, said


@pytest.mark.parametrize(("peak", "room"), [(1, 2), (2, 2), (10, 10), (25, 25), (60, 25)])
def test_the_biggest_room_that_nobody_gave_is_never_a_fault(
    tmp_path: Path, peak: int, room: int
) -> None:
    held = parse(raw(people__biggest_room=None, people__conference_peak=peak), tmp_path)
    assert held.biggest_room == room
    (tmp_path / "suite.toml").write_text(suite_toml(held, tmp_path))
    assert load(tmp_path / "suite.toml") == held
    assert "biggest_room" in faults(people__biggest_room=max(3, peak + 1), people__conference_peak=peak)  # fmt: skip


def test_a_secret_in_the_file_is_refused_and_not_repeated() -> None:
    said = faults(mail__password="hunter2", target__api_token="abc")
    assert "mail.password: no secret belongs into this file" in said
    assert "hunter2" not in said
    assert "target.api_token: no secret" in said


def test_a_second_place_is_another_place() -> None:
    said = faults(backup__cloud="ovhcloud", backup__region="GRA11")
    assert "second provider or region" in said
    parse(raw(backup__cloud="ovhcloud", backup__region="SBG5"), Path())


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
        max_leaves=4,
    ),
    st.sampled_from([*FIELDS, "allow", "people", "target", "x"]),
)  # fmt: skip
def test_no_answer_is_a_crash(value: Any, place: str) -> None:
    held = raw()
    table, _, name = place.rpartition(".")
    where = held.setdefault(table, {}) if table else held
    where[name] = value
    with contextlib.suppress(ConfigError):
        parse(held, Path())


def test_the_file_that_init_writes_says_the_same(tmp_path: Path) -> None:
    changes = {
        "allow": [{"host": "acme.example.net", "reason": 'a "quoted" reason, \\ and \u00e9'}],
        "directory": {"kind": "ldap", "url": "ldaps://dc.example.org:636", "base_dn": "dc=example,dc=org"},
        "target__key": "ssh-ed25519 " + "A" * 68 + " me@host",
        "tls": {"mode": "acme", "directory": "https://acme.example.net/directory", "email": "it@example.org"},
        "time": {"servers": ["ntp.example.net", "192.0.2.7"]},
        "packages": {"mirror": "http://mirror.example.net:8080/debian", "security": "https://mirror.example.net/debian-security"},
    }  # fmt: skip
    before = parse(raw(**changes), tmp_path)
    (tmp_path / "suite.toml").write_text(suite_toml(before, tmp_path))
    assert load(tmp_path / "suite.toml") == before


def test_servers_of_the_time_and_archives_reach_the_hosts_by_the_inventory() -> None:
    packages = {"mirror": "http://mirror.example.net/debian", "security": "http://mirror.example.net/debian-security"}  # fmt: skip
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!unsafe", lambda _, node: node.value)
    answers = parse(raw(time={"servers": ["ntp.example.net"]}, packages=packages), Path())
    held = yaml.load(inventory(plan(answers))[ALL], loader)  # noqa: S506 - a safe one
    assert (held["suite_time_servers"], held["suite_packages"]) == (["ntp.example.net"], packages)
    plain = plan(parse(raw(), Path()))["answers"]
    assert (len(plain["time_servers"]), plain["packages"]) == (3, {"mirror": "", "security": ""})
    for wrong, fault in (
        ({"packages": {"mirror": packages["mirror"]}}, "go together"), ({"packages": {"mirror": "ftp://x.fr/", "security": "http://x.fr/"}}, "packages.mirror"),
        ({"time": {"servers": []}}, "time.servers: is empty"), ({"time": {"servers": ["a b"]}}, "time.servers"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=fault):
            parse(raw(**wrong), Path())


def test_init_and_plan_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "w"
    words = ["suite", "init", "town-300", str(folder), "--answers", str(TOWNS[300])]
    assert run(words) == 0
    assert "next: `repatria suite plan" in capsys.readouterr().err
    before = (folder / "suite.toml").read_bytes()
    assert run(words) == 1
    assert "is there already" in capsys.readouterr().err
    assert (folder / "suite.toml").read_bytes() == before
    assert run(["suite", "init", "other", str(tmp_path / "o"), "--answers", str(TOWNS[300])]) == 1
    assert not (tmp_path / "o").exists()
    assert run(["suite", "init", "town", str(tmp_path / "p")]) == 1, "no terminal, no answers"
    capsys.readouterr()
    assert run(["suite", "plan", "-C", str(folder), "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said == read(folder)
    held = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert run(["suite", "plan", "-C", str(folder)]) == 3
    assert "wrote" not in capsys.readouterr().err
    assert held == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert run(["suite", "plan", "-C", str(tmp_path)]) == 1
    assert "suite init" in capsys.readouterr().err


def test_plan_from_answers_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["suite", "plan", "--answers", str(TOWNS[3000]), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["answers"]["users"] == 3000
    assert not list(tmp_path.iterdir())


def test_asking_gives_the_same_as_a_file(tmp_path: Path) -> None:
    from toolkit.suite.init import QUESTIONS, init

    typed = {
        "domain": "example.org", "people.users": "40", "people.files_gb": "2.5", "mail.host": "relay.example.org",
        "mail.sender": "suite@example.org", "target.region": "GRA11", "target.operators": "192.0.2.0/24, 198.51.100.7/32",
        "backup.region": "dc3-a",
    }  # fmt: skip
    answers = iter(typed.get(place, default) for place, _, default in QUESTIONS)
    path = init("club", tmp_path, answers=None, ask=lambda *_: next(answers))
    held = load(path)
    assert (held.users, held.files_gb, held.mail["port"]) == (40, 2.5, 587)
    assert held.operators == ("192.0.2.0/24", "198.51.100.7/32")


def test_a_wrong_answer_is_asked_again_and_nothing_typed_is_lost(tmp_path: Path) -> None:
    from toolkit.suite.init import QUESTIONS, TYPED, init

    typed = {
        "Domain of the client": ["exa mple.org", "example.org"], "People with an account": ["forty", "40"],
        "Mail relay of the client": ["relay.example.org"], "Sender of the suite's mail": ["suite@example.org"],
        "Its region": ["GRA99", "dc3-a"], "Networks that may use SSH, with commas between": ["192.0.2.0/24"],
    }  # fmt: skip
    asked: list[str] = []

    def ask(question: str, default: str) -> str:
        asked.append(question)
        name = next(q for _, q, _ in QUESTIONS if question.endswith(q))
        return typed[name].pop(0) if typed.get(name) else default

    with pytest.raises(ConfigError, match="GRA99") as raised:  # only the catalogue knows
        init("club", tmp_path, answers=None, ask=ask)
    assert any("'forty' is no whole number" in each for each in asked)
    assert TYPED in raised.value.hint
    assert not (tmp_path / "suite.toml").exists()
    kept = tmp_path / TYPED
    kept.write_text(kept.read_text().replace("GRA99", "GRA11"))
    assert load(init("club", tmp_path, answers=kept, ask=None)).users == 40

    def stubborn(question: str, default: str) -> str:
        return "no" if question.endswith("People with an account") else ask(question, default)

    with pytest.raises(ConfigError, match=r"people\.users"):
        init("club", tmp_path / "b", answers=None, ask=stubborn)


# ------------------------------------------------------------------------------------------ figures


@pytest.mark.parametrize("n", TOWNS)
def test_each_figure_is_its_formula(n: int) -> None:
    """Evaluated anew from the text and the inputs in the file, by other means than the evaluator's."""
    import math

    for name, figure in town(n)["figures"].items():
        scope = {
            "ceil": lambda v: math.ceil(round(v, 9)),
            "floor": lambda v: math.floor(round(v, 9)),
            "min": min,
            "max": max,
        }
        for table in formulas.TABLES.values():
            scope[table.name] = lambda v, rows=table.rows: next(
                held for limit, held in rows if v <= limit
            )  # type: ignore[misc]
        value = eval(figure["formula"], {"__builtins__": {}}, {**scope, **figure["inputs"]})  # noqa: S307 - of this repository
        assert round(float(value), 3) == figure["value"], name
        for given_, held in figure["inputs"].items():
            known = town(n)["figures"].get(given_)
            assert known is None or known["value"] == held, f"{name}: {given_}"


def test_formulas_are_arithmetic_of_known_names_and_sources() -> None:
    known = set(formulas.ANSWERS)
    allowed = (
        ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Name, ast.Load, ast.Constant, ast.operator,
        ast.unaryop, ast.boolop, ast.cmpop,
    )  # fmt: skip
    for formula in formulas.FORMULAS:
        for node in ast.walk(ast.parse(formula.text, mode="eval")):
            assert isinstance(node, allowed), (formula.name, node)
            if isinstance(node, ast.Name):
                assert (
                    node.id in known
                    or node.id in formulas.TABLES
                    or node.id in ("ceil", "floor", "min", "max")
                ), (formula.name, node.id)
        assert set(formula.sources) <= set(formulas.SOURCES), formula.name
        assert formula.status in ("read", "inferred", "unverified")
        assert formula.status != "read" or formula.sources or formulas.tables_of(formula.text), (
            formula.name
        )
        assert formula.name not in known
        known.add(formula.name)
    for table in formulas.TABLES.values():
        assert list(table.rows) == sorted(table.rows), table.name
        assert set(table.sources) <= set(formulas.SOURCES), table.name


PUBLISHED = [
    # (users, open federation, figure, value): read off the sources by hand
    (500, False, "synapse_vcpu", 2), (500, False, "synapse_gb", 2), (500, False, "postgres_chat_vcpu", 1), (500, False, "postgres_chat_gb", 4),
    (500, True, "synapse_vcpu", 5), (500, True, "synapse_gb", 4.5), (500, True, "postgres_chat_gb", 8), (2500, False, "synapse_vcpu", 6),
    (2500, False, "synapse_gb", 5.65), (2500, True, "synapse_gb", 8.15), (2500, True, "postgres_chat_gb", 24), (10000, False, "synapse_vcpu", 10),
    (10000, True, "synapse_vcpu", 15), (10000, True, "synapse_gb", 11.65), (10000, True, "postgres_chat_vcpu", 10),
    (10000, True, "postgres_chat_gb", 32), (501, False, "synapse_vcpu", 6), (10000, False, "synapse_cache_max_mb", 1019),
]  # fmt: skip


@pytest.mark.parametrize(("users", "open_", "name", "value"), PUBLISHED)
def test_published_figures_hold(users: int, open_: bool, name: str, value: float) -> None:
    mode = "on" if open_ else "off"
    made = plan(parse(raw(people__users=users, federation__mode=mode), Path()))
    assert made["figures"][name]["value"] == value


@pytest.mark.parametrize(
    ("peak", "room", "bridges"),
    [
        (60, 25, 1),
        (121, 25, 1),
        (122, 25, 2),
        (200, 2, 1),
        (201, 2, 2),
        (400, 10, 4),
        (10000, 100, 82),
    ],
)
def test_bridges_follow_people_and_bandwidth(peak: int, room: int, bridges: int) -> None:
    """122 x 4.1 Mbit/s is above half of 1 Gbit/s; 200 people that see one picture of 2.5 Mbit/s are not."""
    made = plan(parse(raw(people__conference_peak=peak, people__biggest_room=room), Path()))
    assert sum(h["kind"] == "bridge" for h in made["hosts"]) == bridges


def test_the_sizing_page_is_the_formulas(request: pytest.FixtureRequest) -> None:
    made = page({f"{n:,}": town(n) for n in TOWNS})
    path = ROOT / "docs/sizing.md"
    if request.config.getoption("--golden"):
        path.write_text(made)
    assert path.read_text() == made, "make it again: pytest tests/test_suite.py --golden"


# ------------------------------------------------------------------------------------------- growth

ANSWERS = st.fixed_dictionaries(
    {
        "active_percent": st.sampled_from([5, 30, 60, 100]), "files_gb": st.sampled_from([0, 1, 5, 50]), "mode": st.sampled_from(["on", "off"]),
        "cloud": st.sampled_from(list(CLOUDS)), "off": st.sets(st.sampled_from(["nextcloud", "jitsi", "matrix", "monitoring"]), max_size=2),
        "idp": st.booleans(), "room": st.sampled_from([2, 25]), "backup": st.booleans(),
    }
)  # fmt: skip


def grown(held: dict[str, Any], users: int, peak: int) -> dict[str, Any]:
    jitsi = "jitsi" not in held["off"]
    matrix = "matrix" not in held["off"]
    return plan(
        parse(
            raw(
                people={"users": users, "conference_peak": peak if jitsi else 0, "biggest_room": held["room"], "active_percent": held["active_percent"], "files_gb": held["files_gb"]},
                federation__mode=held["mode"] if matrix else "off",
                target__cloud=held["cloud"], target__region=CLOUDS[held["cloud"]],
                backup={"enabled": held["backup"], "cloud": "cloudtemple", "region": "FR1"},
                applications={**dict.fromkeys(held["off"], False), "idp": held["idp"]},
                directory={"kind": "oidc", "url": "https://id.example.org"},
            ),
            Path(),
        )
    )  # fmt: skip


SIZES = st.one_of(st.integers(1, 10_000), st.sampled_from([20, 50, 51, 300, 600, 1000, 1001, 2500, 2501, 10_000]))  # fmt: skip
PEAKS = st.one_of(st.integers(25, 2_000), st.sampled_from([25, 26, 50, 51, 200, 201]))


@settings(max_examples=120, deadline=None)
@given(ANSWERS, st.tuples(SIZES, SIZES), st.tuples(PEAKS, PEAKS))
def test_more_people_never_get_less_of_anything(held: dict[str, Any], users: tuple[int, int], peaks: tuple[int, int]) -> None:  # fmt: skip
    small = grown(held, min(users), min(peaks))
    large = grown(held, max(users), max(peaks))
    for name, figure in small["figures"].items():
        if name not in NO_MEASURE:
            assert large["figures"][name]["value"] >= figure["value"], name
    hosts = {host["name"]: host for host in large["hosts"]}
    for host in small["hosts"]:
        later = hosts[host["name"]]  # a host that is there stays there, at its address
        assert later["address"] == host["address"]
        assert later["need"]["vcpu"] >= host["need"]["vcpu"], host["name"]
        assert later["need"]["gb"] >= host["need"]["gb"], host["name"]
        if host["flavor"] and later["flavor"]:
            for what in ("vcpu", "gb", "disk_gb"):  # Nova does not shrink a disk
                assert later["flavor"][what] >= host["flavor"][what], (host["name"], what)
        assert later["system_volume_gb"] == host["system_volume_gb"] or not later["flavor"]
    volumes = {volume["name"]: volume for volume in large["volumes"]}
    for volume in small["volumes"]:
        later = volumes[volume["name"]]
        assert later["gb"] >= volume["gb"]
        assert (later["type"], later["role"], later["mount"]) == (
            volume["type"],
            volume["role"],
            volume["mount"],
        )
    assert {a["name"] for a in small["addresses"]} <= {a["name"] for a in large["addresses"]}
    assert small["dns"]["records"][0] == large["dns"]["records"][0]
    for quota, more in zip(small["quotas"], large["quotas"], strict=True):
        assert more["needed"] >= quota["needed"], quota["kind"]
    for kind in ("edge", "bridge", "turn"):
        assert large["network"]["mbit"][kind] >= small["network"]["mbit"][kind]


NO_MEASURE = {"overlap"}
"""A share that the sum of one host is taken at; what it gives is measured by the hosts."""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_from_300_to_600_only_sizes_change(cloud: str) -> None:
    def at(n: int) -> dict[str, Any]:
        held = tomllib.loads(TOWNS[n].read_text())
        held["target"] |= {"cloud": cloud, "region": CLOUDS[cloud]}
        held["backup"]["cloud"], held["backup"]["region"] = "openstack", "two"
        return plan(parse(held, Path()))

    small, large = at(300), at(600)
    for what in ("hosts", "volumes"):
        assert [e["name"] for e in small[what]] == [e["name"] for e in large[what]]
    assert [v["host"] for v in small["volumes"]] == [v["host"] for v in large["volumes"]]
    assert (small["ports"], small["addresses"]) == (large["ports"], large["addresses"])
    changed = [
        a["name"]
        for a, b in zip(small["hosts"], large["hosts"], strict=True)
        if a["flavor"] != b["flavor"]
    ]
    assert {"db-1", "chat-1"} <= set(changed)
    assert all(
        b["gb"] > a["gb"] or a["role"] == "monitoring"
        for a, b in zip(small["volumes"], large["volumes"], strict=True)
    )


def test_what_moves_next_is_said_and_true() -> None:
    made = town(300)
    at = made["next"]["users"]
    assert at == 1001
    before, after = (plan(parse(raw(people__users=n), Path())) for n in (at - 1, at))
    where = [{r["role"]: {h["name"] for h in p["hosts"] if r in h["roles"] or any(x["role"] == r["role"] for x in h["roles"])} for h in p["hosts"] for r in h["roles"]} for p in (before, after)]  # fmt: skip
    moved = {role for role in where[0] if where[0][role] - where[1][role]}
    assert moved == {each["role"] for each in made["next"]["moves"]}
    assert town(3000)["next"] is None


def test_a_volume_keeps_its_class_when_it_grows(tmp_path: Path) -> None:
    """Where IOPS come by the GB a large volume could do with a cheaper class: that would be another volume."""
    (tmp_path / "own.yaml").write_text(
        "schema: 1\nprovider: own\nproduct: Own\nkind: openstack\nregions: [{name: R, country: FI}]\n"
        "flavors: [[one, 64, 512, 50, 0, '', 1.0, read]]\nprofile: {volume_types: [{name: scaled, iops_per_gb: 20, month_gb: 0.01},"
        " {name: flat, max_iops: 3000, month_gb: 0.09}]}\n"
    )
    target = {"cloud": "openstack", "cloud_file": "own.yaml", "region": "R", "operators": ["192.0.2.1"]}  # fmt: skip
    made = [plan(parse(raw(target=target, people__users=n), tmp_path)) for n in (100, 3000)]
    sizes = [next(v for v in each["volumes"] if v["role"] == "postgres_apps") for each in made]
    assert sizes[0]["gb"] * 20 < 3000 < sizes[1]["gb"] * 20
    assert [each["type"] for each in sizes] == ["flat", "flat"]


SHRUNK = [
    (lambda a: a["people"].update(users=60), "files-1"),
    (lambda a: a["applications"].update(jitsi=False), "meet-1"),
    (lambda a: a["target"].update(network="10.30.0.0/24"), "network"),
    (lambda a: a["target"].update(region="SBG5"), "region"),
    (lambda a: a.update(client="other"), "client"),
    (lambda a: a["people"].update(files_gb=1), "files-1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "named"), SHRUNK)
def test_what_would_shrink_or_replace_is_refused(tmp_path: Path, change: Any, named: str, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert run(["suite", "init", "town-300", str(tmp_path), "--answers", str(TOWNS[300])]) == 0
    assert run(["suite", "plan", "-C", str(tmp_path)]) == 3
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "suite.toml"}  # fmt: skip
    held = raw(applications={"nextcloud": True})
    change(held)
    (tmp_path / "suite.toml").write_text(suite_toml(parse(held, tmp_path), tmp_path))
    capsys.readouterr()
    assert run(["suite", "plan", "-C", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert named in said
    assert "hint:" in said
    assert before == {p: p.read_bytes() for p in before}
    (tmp_path / "suite.json").unlink()  # nothing had been built
    assert run(["suite", "plan", "-C", str(tmp_path)]) == 3


def test_growth_in_a_workspace_is_planned_and_a_damaged_plan_is_not_guessed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    for n in (20, 300, 600, 3000):
        held = raw(people=tomllib.loads(TOWNS[n].read_text())["people"])
        (tmp_path / "suite.toml").write_text(suite_toml(parse(held, tmp_path), tmp_path))
        assert run(["suite", "plan", "-C", str(tmp_path)]) == 3, n
    (tmp_path / "suite.json").write_text("{}")
    capsys.readouterr()
    assert run(["suite", "plan", "-C", str(tmp_path)]) == 1
    assert "from Git" in capsys.readouterr().err
    assert (tmp_path / "suite.json").read_text() == "{}"


# -------------------------------------------------------------------------------------------- hosts


def test_one_host_for_twenty_and_the_same_roles_for_ten_thousand() -> None:
    assert [host["name"] for host in town(20)["hosts"]] == ["app-1"]
    roles = [{r["role"] for h in town(n)["hosts"] for r in h["roles"]} for n in TOWNS]
    assert all(each == set(layout.ROLES) for each in roles)
    assert len(town(10000)["hosts"]) > 20


def test_addresses_are_unique_and_inside_the_network_up_to_the_largest() -> None:
    made = plan(
        parse(
            raw(
                people={
                    "users": 10000,
                    "active_percent": 100,
                    "conference_peak": 10000,
                    "biggest_room": 100,
                }
            ),
            Path(),
        )
    )
    addresses = [host["address"] for host in made["hosts"]]
    assert len(set(addresses)) == len(addresses) > 100
    for host in made["hosts"]:
        last = int(host["address"].rpartition(".")[2])
        kinds = list(layout.FIRST)
        ends = {
            k: min(
                [v for v in layout.FIRST.values() if v > layout.FIRST[k]], default=layout.POOL[0]
            )
            for k in kinds
        }
        assert layout.FIRST[host["kind"]] <= last < ends[host["kind"]], host["name"]


def test_a_flavor_gives_what_is_needed_and_says_its_price_with_its_date() -> None:
    for n in TOWNS:
        for host in town(n)["hosts"]:
            flavor, need = host["flavor"], host["need"]
            assert flavor["vcpu"] >= need["vcpu"]
            assert flavor["gb"] * 1.05 >= need["gb"]
            assert flavor["month"] is None or (flavor["seen"] and flavor["source"])


def test_a_need_above_the_largest_flavor_stands_in_the_way() -> None:
    made = plan(parse(raw(people={"users": 10000, "conference_peak": 60}, target__cloud="infomaniak", target__region="dc3-a", backup__cloud="ovhcloud", backup__region="GRA11"), Path()))  # fmt: skip
    assert [each["name"] for each in made["hosts"] if each["flavor"] is None] == ["db-1"]
    assert [each["args"]["host"] for each in made["blockers"]] == ["db-1"]
    assert must_look(made)
    assert not town(300)["blockers"]


def test_a_cloud_that_is_no_openstack_says_so_and_gets_no_stack(tmp_path: Path) -> None:
    answers = raw(target__cloud="cloudtemple", target__region="FR1")
    made = plan(parse(answers, tmp_path))
    assert any("no OpenStack" in str(each) for each in made["blockers"])
    from toolkit.suite.write import write

    assert not any("stacks" in path.parts for path in write(tmp_path, made))


def test_quotas_are_asked_for_where_the_default_is_too_small() -> None:
    made = plan(parse(raw(target__cloud="infomaniak", target__region="dc3-a", backup__cloud="ovhcloud", backup__region="GRA11"), Path()))  # fmt: skip
    held = {each["kind"]: each for each in made["quotas"]}
    assert held["cores"]["request"] == sum(h["flavor"]["vcpu"] for h in made["hosts"]) > 20
    assert held["volume_gb"]["request"] == sum(v["gb"] for v in made["volumes"]) > 1000
    assert held["instances"] == {"kind": "instances", "needed": 9, "default": 10, "request": 0}
    assert b"`cores` | 20 |" in markdown(made)


def test_volumes_above_the_largest_are_several() -> None:
    files = [v for v in town(10000)["volumes"] if v["role"] == "files"]
    assert [v["gb"] for v in files] == [12288] * 4 + [57500 - 4 * 12288]
    assert sum(v["gb"] for v in files) == town(10000)["figures"]["files_volume_gb"]["value"]


# -------------------------------------------------------------------------------------------- ports

REACH = {
    # who must reach whom for a login, a file, a call, a message: (role, role, port, protocol)
    ("edge", "nextcloud", 8444, "tcp"), ("edge", "jitsi", 8443, "tcp"), ("edge", "idp", 8445, "tcp"), ("edge", "synapse", 8008, "tcp"),
    ("nextcloud", "postgres_apps", 5432, "tcp"), ("idp", "postgres_apps", 5432, "tcp"), ("synapse", "postgres_chat", 5433, "tcp"),
    ("nextcloud", "cache", 6379, "tcp"), ("jitsi_bridge", "jitsi", 5222, "tcp"), ("nextcloud", "files", 2049, "tcp"),
    ("monitoring", "jitsi_bridge", 8080, "tcp"),
}  # fmt: skip
WORLD = {
    "edge": {("tcp", 80, 80), ("tcp", 443, 443)},
    "turn": {
        ("tcp", 80, 80),
        ("tcp", 3478, 3478),
        ("udp", 3478, 3478),
        ("tcp", 5349, 5349),
        ("udp", 49152, 65535),
    },
    "jitsi_bridge": {("udp", 10000, 10000)},
}


@pytest.mark.parametrize("n", TOWNS)
def test_ports_are_what_the_roles_need_and_the_world_sees_three_roles(n: int) -> None:
    made = town(n)
    kinds = {
        role: {h["kind"] for h in made["hosts"] if any(r["role"] == role for r in h["roles"])}
        for role in layout.ROLES
    }
    hosts = {
        role: {h["name"] for h in made["hosts"] if any(r["role"] == role for r in h["roles"])}
        for role in layout.ROLES
    }
    open_ = {(p["kind"], p["protocol"], p["first"], p["source"]) for p in made["ports"]}
    for source, target, port, protocol in REACH:
        if hosts[source] == hosts[target]:
            continue  # the loopback
        for peer in kinds[source]:
            for kind in kinds[target]:
                assert (kind, protocol, port, peer) in open_, (source, target)
    seen: dict[str, set[tuple[str, int, int]]] = {}
    for port in made["ports"]:
        if port["source"] == "anyone":
            seen.setdefault(port["kind"], set()).add(
                (port["protocol"], port["first"], port["last"])
            )
    expected: dict[str, set[tuple[str, int, int]]] = {}
    for role, those in WORLD.items():
        for kind in kinds[role]:
            expected.setdefault(kind, set()).update(those)
    assert seen == expected
    assert sum(p["source"] == "operators" for p in made["ports"]) == 1, "one host is the way in"
    for host in made["hosts"]:
        assert any(p["kind"] == host["kind"] and p["first"] == 22 for p in made["ports"])


def test_an_application_that_is_off_opens_nothing() -> None:
    made = plan(parse(raw(applications={"jitsi": False, "matrix": False}), Path()))
    assert {p["first"] for p in made["ports"] if p["source"] == "anyone"} == {80, 443}
    assert [a["name"] for a in made["addresses"]] == ["edge"]
    assert {r["name"] for r in made["dns"]["records"]} == {"cloud", "login"}


# ------------------------------------------------------------------------------------ files and papers


@pytest.mark.parametrize("n", TOWNS)
def test_files_keep_their_schema(n: int) -> None:
    made = json.loads(json.dumps(town(n)))
    schema = json.loads((SCHEMAS / "suite.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(made)
    broken = deepcopy(made)
    del broken["hosts"][0]["need"]
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))
    answers = json.loads((SCHEMAS / "suite-answers.json").read_text())
    jsonschema.Draft202012Validator(answers).validate(tomllib.loads(TOWNS[n].read_text()))


def test_the_schema_of_answers_knows_the_fields_that_are_read() -> None:
    schema = json.loads((SCHEMAS / "suite-answers.json").read_text())
    places = set()
    for name, held in schema["properties"].items():
        if held.get("type") == "object":
            places |= {f"{name}.{inner}" for inner in held["properties"]}
            assert held["additionalProperties"] is False
        else:
            places.add(name)
    assert places - {"schema", "allow"} == set(FIELDS)


def test_a_plan_edited_by_hand_is_refused(tmp_path: Path) -> None:
    from toolkit.suite.write import write

    write(tmp_path, town(300))
    assert read(tmp_path) == json.loads(json.dumps(town(300)))
    held = json.loads((tmp_path / "suite.json").read_text())
    held["hosts"][0]["need"]["vcpu"] = 1
    (tmp_path / "suite.json").write_text(json.dumps(held))
    with pytest.raises(FileError, match="edited by hand"):
        read(tmp_path)


def test_same_answers_same_bytes() -> None:
    code = "import sys,orjson;from pathlib import Path;from toolkit.suite.answers import load;from toolkit.suite.plan import plan;sys.stdout.buffer.write(orjson.dumps(plan(load(Path(sys.argv[1]))),option=orjson.OPT_SORT_KEYS))"
    runs = [
        subprocess.run([sys.executable, "-c", code, str(TOWNS[3000])], capture_output=True, check=True, cwd=ROOT, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] != b""


def test_the_zone_fragment_names_every_service_and_fills_in_what_is_known() -> None:
    made = town(300)
    unknown = zone(made)
    assert unknown.startswith("$ORIGIN town.example.org.\n")
    assert not re.search(r"^[a-z]", unknown.split("\n", 1)[1], re.MULTILINE), (
        "no record without an address"
    )
    filled = zone(made, {"edge": "203.0.113.7", "turn": "203.0.113.8"})
    assert "cloud 300 IN A 203.0.113.7\n" in filled
    assert "turn 300 IN A 203.0.113.8\n" in filled
    assert filled.count(" IN A ") == 6


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_paper_is_in_the_clients_language(language: str) -> None:
    made = plan(
        parse(raw(languages=[language], allow=[{"host": "a.example", "reason": "<b>|`x`"}]), Path())
    )
    paper = markdown(made).decode()
    assert ("Ports ouverts" in paper) == (language == "fr")
    assert ("Open ports" in paper) == (language == "en")
    assert "<b>" not in paper
    for host in made["hosts"]:
        assert f"`{host['name']}`" in paper


def test_the_inventory_is_one_that_ansible_reads(tmp_path: Path) -> None:
    from toolkit.suite.write import write

    write(tmp_path, town(3000))
    binary = Path(sys.executable).parent / "ansible-inventory"
    said = subprocess.run([binary, "-i", str(tmp_path / "inventory"), "--list"], capture_output=True, text=True, check=True, cwd=tmp_path)  # fmt: skip
    held = json.loads(said.stdout)
    assert "[WARNING]" not in said.stderr
    assert set(layout.ROLES) <= set(held)
    assert held["nextcloud"]["hosts"] == ["app-1", "app-2"]
    of = held["_meta"]["hostvars"]
    assert of["app-2"]["nextcloud_fpm_max_children"] == 96
    assert of["db-1"]["postgres_apps_shared_buffers_mb"] == 16000
    assert "ProxyJump" in of["db-1"]["ansible_ssh_common_args"]
    assert of["edge-1"]["ansible_host"] == "{{ suite_gate }}"
    ports = {(p["protocol"], p["first"]): p["from"] for p in of["db-1"]["suite_ports"]}
    assert (ports["tcp", 22], ports["tcp", 9187]) == (["10.20.0.10/32"], ["10.20.0.75/32"])
    clients = sorted(a for p in of["db-1"]["suite_ports"] if p["first"] == 5432 for a in p["from"])
    assert clients == ["10.20.0.20/32", "10.20.0.21/32", "10.20.0.70/32"]
    assert "password" not in (tmp_path / "inventory/group_vars/all/suite.yml").read_text()


def test_a_sentence_is_never_evaluated_by_ansible(tmp_path: Path) -> None:
    from toolkit.suite.write import write

    mark = tmp_path / "mark"
    hostile = "{{ lookup('pipe', 'touch MARK') }}".replace("MARK", str(mark))
    directory = {"kind": "ldap", "url": "ldaps://dc.example.org", "base_dn": hostile}
    allow = [{"host": "a.example", "reason": hostile}]
    write(tmp_path, plan(parse(raw(directory=directory, allow=allow), tmp_path)))
    binary = Path(sys.executable).parent / "ansible"
    said = subprocess.run(
        [binary, "-i", str(tmp_path / "inventory"), "app-1", "-e", "suite_gate=192.0.2.1", "-c", "local", "-m", "debug", "-a", "msg={{ suite_allow }}{{ suite_directory }}"],
        capture_output=True, text=True, cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    assert said.stdout.count("lookup(") == 2
    assert not mark.exists()


def test_a_role_that_is_gone_leaves_no_variables_and_yours_stay(tmp_path: Path) -> None:
    from toolkit.suite.write import write

    write(tmp_path, town(300))
    own = tmp_path / "inventory/group_vars/own.yml"
    own.write_text("mine: true\n")
    assert (tmp_path / "inventory/group_vars/jitsi.yml").exists()
    (tmp_path / "suite.json").unlink()  # nothing has been built: a host may go
    write(tmp_path, plan(parse(raw(applications={"jitsi": False}), tmp_path)))
    assert not (tmp_path / "inventory/group_vars/jitsi.yml").exists()
    assert own.exists()


def test_every_file_is_yaml_and_holds_no_secret(tmp_path: Path) -> None:
    from toolkit.suite.write import write

    write(tmp_path, town(300))
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!unsafe", lambda _, node: node.value)
    for path in tmp_path.rglob("*.y*ml"):
        assert yaml.load(path.read_text(), Loader=loader), path  # noqa: S506 - a SafeLoader
        assert not re.search(r"(?i)(password|secret|token)\w*:", path.read_text()), path


@pytest.mark.parametrize(
    ("tls", "fault"),
    [
        ({"mode": "acme"}, "tls.directory"),
        ({"mode": "acme", "directory": "https://acme.example.net/directory"}, "tls.email"),
        ({"mode": "acme", "directory": "http://acme.example.net/", "email": "it@example.org"}, "tls.directory"),
        ({"directory": "https://acme.example.net/directory"}, 'tls.mode = "acme"'),
        ({"mode": "letsencrypt"}, "tls.mode"),
    ],
)  # fmt: skip
def test_an_authority_from_outside_is_named_whole_or_not_at_all(tls: dict[str, str], fault: str) -> None:  # fmt: skip
    with pytest.raises(ConfigError, match=re.escape(fault)):
        parse(raw(tls=tls), Path())
    good = {"mode": "acme", "directory": "https://acme.example.net/directory", "email": "it@example.org"}  # fmt: skip
    assert plan(parse(raw(tls=good), Path()))["answers"]["tls"] == good
