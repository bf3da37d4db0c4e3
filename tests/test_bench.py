"""The bench at a tiny size: its parts hold together, and the number of calls is what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import discover, engine, plan, start
from tests.bench.estate import generate
from tests.bench.part import Figure, table
from tests.support.engine import engine as found


def test_generated_estates_are_the_same_every_time_and_as_large_as_asked() -> None:
    first, second = generate(400), generate(400)
    assert [each.line() for each in first] == [each.line() for each in second]
    assert len(first) == len({each.key for each in first}) == 400


def test_discovery_needs_hardly_more_calls_than_the_api_itself(tmp_path: Path) -> None:
    figures, told = discover.measure(
        tmp_path / "w", scale=0.05, latency=0.0, rate=0.0, only=frozenset({"sqs", "ssm"}),
        types=("aws.sqs.queue", "aws.ssm.parameter"), regions=("eu-west-1",),
    )  # fmt: skip
    assert told["records"] == told["records in the list calls"] == 4 + 10
    calls = next(each for each in figures if each.what == "calls")
    enabled = 1  # which regions are: a person's wrong region is told before anything is read
    assert calls.figure == calls.floor + enabled >= 1 + (1 + 2 * 4) + 1 + enabled, told["over"]
    assert calls.ok


def test_planning_grows_with_the_estate_and_not_faster(tmp_path: Path) -> None:
    figures, told = plan.measure(tmp_path, small=120, large=240)
    assert [each.part for each in figures] == ["plan"] * 3
    assert {count: len(runs) for count, runs in told["runs"].items()} == {"120": 2, "240": 1}
    assert (tmp_path / "240" / "plan.html").exists()


def test_start_is_measured_against_its_peer() -> None:
    figures, told = start.measure(repeat=1)
    assert len(told["runs"]["ours"]) == len(told["runs"]["peer"]) == 2
    assert figures[0].ratio > 0


def test_a_missed_goal_is_told_in_both_forms() -> None:
    missed = Figure("plan", "wall", 3.0, 1.0, 2.0, "s")
    assert missed.json() == {"part": "plan", "what": "wall", "figure": 3.0, "floor": 1.0, "goal": 2.0, "unit": "s", "ratio": 3.0, "ok": False}  # fmt: skip
    assert table([missed]).splitlines()[1].split() == ["plan", "wall", "3", "s", "1", "s", "3.00", "2", "NO"]  # fmt: skip


@pytest.mark.engine
def test_both_programs_make_the_same_resources(tmp_path: Path) -> None:
    found()
    figures, told = engine.measure(tmp_path, resources=21, repeat=1)
    assert told["resources"] == 21
    assert [each.what for each in figures] == ["preview of 21 resources", "up of 21 resources"]
