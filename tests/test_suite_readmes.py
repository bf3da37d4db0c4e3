"""README.md of the collection and its roles is what meta/ says, all of it, and no description can break a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from toolkit.suite.books import roles
from toolkit.suite.readmes import readme, readmes

ROLES = sorted(path for path in roles().iterdir() if path.is_dir())
NASTY = "a | b\nc `d|e` <script>alert(1)</script> *f* _g_ [h](http://i) C(j|k) \\"


def _tables(text: str) -> dict[str, list[list[str]]]:
    """Heading -> its rows, head first, as a reader of Markdown sees the cells."""
    found: dict[str, list[list[str]]] = {}
    heading, tokens = "", MarkdownIt("commonmark").enable("table").parse(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[at + 1].content
        elif token.type == "tr_open":
            found.setdefault(heading, []).append([])
        elif token.type in ("th_open", "td_open"):
            seen = "".join(each.content for each in tokens[at + 1].children or ())
            found[heading][-1].append(seen)
    return found


def _paths(options: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in options.items():
        path = f"{before}{name}"
        yield path, option
        yield from _paths(option.get("options", {}), f"{path}[]." if option["type"] == "list" else f"{path}.")  # fmt: skip


def _specs(role: Path) -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    return held["argument_specs"]  # type: ignore[no-any-return]


def test_files_are_recorded(request: pytest.FixtureRequest) -> None:
    collection = roles().parent
    made = readmes(collection)
    if request.config.getoption("--golden"):
        for path, text in made.items():
            (collection / path).write_text(text)
    held = {str(path.relative_to(collection)): path.read_text() for path in collection.rglob("README.md")}  # fmt: skip
    assert held == made, "make golden writes what meta/ says"


@pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])
def test_every_argument_is_told(role: Path) -> None:
    tables = _tables((role / "README.md").read_text())
    specs = _specs(role)
    main = specs["main"]["options"]
    for name, spec in specs.items():
        heading = "Variables" if name == "main" else f"Entry point `{name}`"
        if name != "main" and spec["options"] == main:
            assert heading not in tables, "the same variables are told once"
            continue
        rows = tables[heading]
        assert rows[0] == ["variable", "type", "default", "meaning"]
        assert [row[0] for row in rows[1:]] == [path for path, _ in _paths(spec["options"])]
        for row, (path, option) in zip(rows[1:], _paths(spec["options"]), strict=True):
            assert row[1].startswith("list of" if option["type"] == "list" else option["type"]), path  # fmt: skip
            assert all(str(choice).lower() in row[1].lower() for choice in option.get("choices", ())), path  # fmt: skip
            assert (row[2] == "required") == bool(option.get("required")), path
            assert len(row[3]) > 2, path


@pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])
def test_every_secret_is_told(role: Path) -> None:
    made = role / "meta/secrets.yml"
    needed = {each["name"] for each in (yaml.safe_load(made.read_text()) if made.exists() else None) or ()}  # fmt: skip
    for spec in _specs(role).values():
        needed |= {path for path, option in _paths(spec["options"]) if option.get("no_log")}
    told = _tables((role / "README.md").read_text()).get("Secrets", [[]])[1:]
    assert {row[0] for row in told} == needed
    assert all(row[1] == "given" or row[1].startswith("made, ") for row in told)


@pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])
def test_defaults_are_those_that_the_role_has(role: Path) -> None:
    """What a template computes is told in words by the spec; all else is the same in both files."""
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    known = {name: option for spec in _specs(role).values() for name, option in spec["options"].items()}  # fmt: skip
    assert set(defaults) <= set(known)
    for name, option in known.items():
        if option.get("required") or "{{" in str(defaults.get(name)):
            continue
        assert defaults[name] == option.get("default", ""), name


def test_ports_are_those_that_the_suite_opens() -> None:
    seen = {
        role.name: [row[0] for row in _tables((role / "README.md").read_text()).get("Ports", [])[1:]]
        for role in ROLES
    }  # fmt: skip
    assert seen["turn"] == ["tcp 80", "tcp 3478", "udp 3478", "tcp 5349", "udp 49152-65535"]
    assert {"tcp 5432", "tcp 5433"} <= set(seen["postgres"]), "both clusters are of one role"
    assert "udp 10000" in seen["jitsi_bridge"]
    assert "udp 10000" not in seen["jitsi"], "a name that begins alike is another role"


def test_every_unit_that_a_role_confines_has_a_budget_that_a_scenario_holds() -> None:
    """A role that makes or changes a service says how exposed it may be, and tells it; what is tried is tried on hosts."""
    tried: set[str] = set()
    for verify in Path(__file__).parents[1].glob("molecule/*/verify.yml"):
        for play in yaml.safe_load(verify.read_text()):
            tried |= set(play.get("vars", {}).get("exposure_roles", ()))
    budgets = {path.parents[1].name: yaml.safe_load(path.read_text()) for path in roles().glob("*/meta/exposure.yml")}  # fmt: skip
    confining = {path.relative_to(roles()).parts[0] for path in roles().glob("*/[ft]*/*") if path.is_file() and re.search("^(Protect|Restrict|ProcSubset)", path.read_text(), re.MULTILINE)}  # fmt: skip
    assert confining == set(budgets) == tried
    for role, rows in budgets.items():
        told = _tables((roles() / role / "README.md").read_text())["Units"][1:]
        assert [(row[0], row[1]) for row in told] == [(each["unit"], str(each["most"])) for each in rows]  # fmt: skip
        for each in rows:
            assert set(each) - {"why", "untried"} == {"unit", "most"}
            assert 0 < each["most"] < 5
            assert each["most"] <= 2 or each.get("why") or each.get("untried"), each["unit"]


def test_no_description_breaks_a_table(tmp_path: Path) -> None:
    """A pipe, a line end, HTML or a link in a description, a default or a choice stays text of its own cell."""
    role = tmp_path / "nasty"
    for folder in ("meta", "defaults"):
        (role / folder).mkdir(parents=True)
    option = {"type": "str", "choices": [NASTY, "plain"], "default": NASTY, "description": NASTY}
    spec = {"short_description": NASTY, "description": [NASTY, NASTY], "options": {"nasty_word": {**option, "no_log": True}}}  # fmt: skip
    spec["options"]["nasty_list"] = {"type": "list", "elements": "dict", "description": NASTY, "options": {"inner": option}}  # fmt: skip
    (role / "meta/argument_specs.yml").write_text(yaml.safe_dump({"argument_specs": {"main": spec}}, sort_keys=False))  # fmt: skip
    (role / "meta/main.yml").write_text(yaml.safe_dump({"galaxy_info": {"min_ansible_version": "2.18", "platforms": [{"name": "Debian", "versions": ["trixie"]}]}}))  # fmt: skip
    (role / "meta/secrets.yml").write_text(yaml.safe_dump([{"name": "nasty_key", "kind": "hex", "length": 64, "what": NASTY}]))  # fmt: skip
    (role / "defaults/main.yml").write_text("---\n")
    text = readme(role)
    tables = _tables(text)
    assert [[len(row) for row in rows] for rows in tables.values()] == [[4, 4, 4, 4], [3, 3, 3]]
    assert [row[0] for row in tables["Variables"]] == ["variable", "nasty_word", "nasty_list", "nasty_list[].inner"]  # fmt: skip
    said = "a | b c d|e <script>alert(1)</script> *f* _g_ [h](http://i) j|k \\"
    assert tables["Variables"][1][3] == said
    assert tables["Secrets"][1][2] == said
    assert "<script>" not in MarkdownIt("commonmark").enable("table").render(text)
