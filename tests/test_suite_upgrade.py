"""Nextcloud's way from version to version: no major version is skipped, none is left too early, none is gone back to."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ConfigError
from toolkit.suite.upgrade import RELEASES, Release, Step, blocked, chain, pages

COLLECTION = Path(__file__).parents[1] / "playbooks/ansible_collections/repatria/suite"
version = st.builds("{}.0.{}".format, st.integers(31, 35), st.integers(0, 20))


def number(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def test_from_31_to_35_by_the_last_release_of_each() -> None:
    assert [(s.start, s.version, s.latest) for s in chain("31.0.4", "35.0.2")] == [
        ("31.0.4", "31.0.14", ""),
        ("31.0.14", "32.0.15", "31.0.14"),
        ("32.0.15", "33.0.9", "32.0.15"),
        ("33.0.9", "34.0.4", "33.0.9"),
        ("34.0.4", "35.0.2", "34.0.4"),
    ]


@pytest.mark.parametrize(
    ("installed", "wanted", "versions"),
    [
        ("34.0.4", "34.0.4", []),
        ("34.0.1", "34.0.2", ["34.0.2"]),
        ("33.0.9", "34.0.4", ["34.0.4"]),
        ("31.0.20", "32.0.15", ["32.0.15"]),  # newer than the table: stays, and is left from there
        ("32.0.1", "33.0.0", ["32.0.15", "33.0.0"]),
    ],
)
def test_chain(installed: str, wanted: str, versions: list[str]) -> None:
    assert [step.version for step in chain(installed, wanted)] == versions


@pytest.mark.parametrize(("installed", "wanted"), [("35.0.2", "34.0.4"), ("34.0.4", "34.0.3")])
def test_never_back(installed: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match="cannot go back"):
        chain(installed, wanted)


def test_a_major_version_that_is_not_known_is_not_jumped_over() -> None:
    known = {major: RELEASES[major] for major in (31, 33)}
    with pytest.raises(ConfigError, match="Nextcloud 32"):
        chain("31.0.14", "33.0.9", known)
    with pytest.raises(ConfigError, match="no version"):
        chain("31.0", "33.0.9")


@given(version, version)
def test_any_way_is_one_that_nextcloud_allows(installed: str, wanted: str) -> None:
    if number(wanted) < number(installed):
        with pytest.raises(ConfigError):
            chain(installed, wanted)
        return
    steps = chain(installed, wanted)
    assert [s.start for s in steps] + [wanted] == [installed] + [s.version for s in steps]
    for step in steps:
        assert number(step.version) > number(step.start)
        assert number(step.version)[0] - number(step.start)[0] <= 1
        if step.major:
            last = RELEASES[number(step.start)[0]].version
            assert step.latest == step.start
            assert number(step.start) >= number(last)


def test_the_table_is_whole_and_sourced() -> None:
    assert list(RELEASES) == list(range(min(RELEASES), max(RELEASES) + 1))
    for major, release in RELEASES.items():
        assert number(release.version)[0] == major
        assert release.source
        assert release.seen
    assert isinstance(RELEASES[31], Release)


def test_applications_that_would_be_lost() -> None:
    step = Step("31.0.14", "32.0.15", "31.0.14")
    assert blocked(step, {"fits": 32, "old": 31, "gone": None, "newer": 34}) == ("gone", "old")
    assert blocked(step, {"fits": 32}) == ()


def test_pages_say_room_and_steps() -> None:
    text = pages(chain("31.0.14", "33.0.9"), release_mb=700, database_mb=1001)
    assert "1. 31.0.14 -> 32.0.15 (next major version)" in text
    assert "2. 32.0.15 -> 33.0.9" in text
    assert "1400 MB for 2 releases" in text
    assert "1202 MB for a dump" in text
    assert pages((), 700, 1000).startswith("Nothing to do")


def filters() -> ModuleType:
    path = COLLECTION / "plugins/filter/nextcloud.py"
    spec = importlib.util.spec_from_file_location("nextcloud_filters", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_drift_is_what_differs_and_nothing_else() -> None:
    drift = filters().nextcloud_drift
    wanted = {
        "system": {"a": 1, "list": ["x", "y"], "gone": None, "new": "n", "old": True},
        "apps": {"core": {"mode": "cron", "number": 5, "away": None}, "none": {"k": "v"}},
    }
    has = {
        "system": {"a": 1, "list": ["y", "x"], "gone": "still", "old": True, "other": 3},
        "apps": {"core": {"mode": "ajax", "number": "5"}},
    }
    assert drift(wanted, "a warning\n" + json.dumps(has)) == [
        "apps/core/mode",
        "apps/none/k",
        "system/gone",
        "system/list",
        "system/new",
    ]
    for key, value in itertools.chain(wanted["system"].items()):
        has["system"].pop(key, None) if value is None else has["system"].update({key: value})
    has["apps"] = {"core": {"mode": "cron", "number": 5}, "none": {"k": "v"}}
    assert drift(wanted, json.dumps(has)) == []


@pytest.mark.parametrize(
    ("most", "refused"), [("31", True), ("32", False), ("33", False), ("", True)]
)
def test_applications_made_for_older_versions(most: str, refused: bool) -> None:
    text = f"<info><dependencies><php min-version='8.0' max-version='99'/><nextcloud min-version=\"30\" max-version=\"{most}\"/></dependencies></info>"
    read = [{"item": {"name": "app"}, "content": base64.b64encode(text.encode()).decode()}]
    assert filters().nextcloud_made_for_older(read, "32.0.15") == (["app"] if refused else [])
