"""The list of steps: what needs what, how long it takes, what undo takes back, and commands that run as printed."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import demo_plan
from toolkit.render.runbooks import runbooks
from toolkit.render.summary import calendar

Step = dict[str, Any]


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    return demo_plan()


@pytest.fixture(scope="module")
def steps(plan: dict[str, Any]) -> dict[str, Step]:
    return {step["id"]: step for step in plan["steps"]}


def _one(steps: dict[str, Step], end: str) -> Step:
    found = [step for id_, step in steps.items() if id_.split("-", 1)[1] == end]
    assert len(found) == 1, (end, [step["id"] for step in found])
    return found[0]


def _behind(steps: dict[str, Step], id_: str) -> set[str]:
    """Everything that a step needs, and what that needs."""
    found: set[str] = set()
    open_ = list(steps[id_]["needs"])
    while open_:
        need = open_.pop()
        if need not in found:
            found.add(need)
            open_ += steps[need]["needs"]
    return found


# ---------------------------------------------------------------------------------------- the graph


def test_needs_name_steps_that_come_earlier(plan: dict[str, Any]) -> None:
    """The list is an order of work: what a step needs stands above it, in this wave or in an earlier one."""
    seen: set[str] = set()
    for step in plan["steps"]:
        assert set(step["needs"]) <= seen, step["id"]
        seen.add(step["id"])
    assert len(seen) == len(plan["steps"])


def test_everything_in_the_window_waits_for_the_decision(steps: dict[str, Step]) -> None:
    for id_, step in steps.items():
        go = f"w{step['wave']:02}-go"
        if step["phase"] == "before":
            assert id_ in steps[go]["needs"], id_
        elif id_ != go:
            assert go in _behind(steps, id_), id_


def test_nothing_is_copied_for_the_last_time_before_the_freeze(steps: dict[str, Step]) -> None:
    last = [id_ for id_ in steps if "-last-copy-" in id_]
    assert len(last) > 10
    for id_ in last:
        assert f"w{steps[id_]['wave']:02}-freeze" in steps[id_]["needs"]


def test_the_switch_waits_for_every_check_and_what_follows_for_the_switch(
    plan: dict[str, Any], steps: dict[str, Step]
) -> None:
    for wave in plan["waves"]:
        mine = [step for step in plan["steps"] if step["wave"] == wave["number"]]
        turns = [step for step in mine if step["turn"]]
        assert len(turns) == 1
        before = {s["id"] for s in mine if s["phase"] != "after"} - {turns[0]["id"]}
        assert before <= _behind(steps, turns[0]["id"])
        for step in mine:
            if step["phase"] == "after":
                assert turns[0]["id"] in _behind(steps, step["id"])


# ---------------------------------------------------------------------------------------- estimates


def test_a_dump_in_the_window_takes_as_long_as_the_first(steps: dict[str, Step]) -> None:
    for what in ("shop-orders-database", "shop-invoices-data-volume"):
        first, last = _one(steps, f"copy-{what}"), _one(steps, f"last-copy-{what}")
        assert first["minutes"] == last["minutes"] == pytest.approx(35.8, abs=0.1)
        assert "everything again" in last["basis"]["msg"]


def test_only_engines_that_carry_changes_are_quicker_in_the_window(steps: dict[str, Step]) -> None:
    first = _one(steps, "copy-lumiere-archive-2019-objects")
    last = _one(steps, "last-copy-lumiere-archive-2019-objects")
    assert last["minutes"] == pytest.approx(first["minutes"] / 10, abs=0.1)
    assert "assumed" in last["basis"]["msg"]
    for id_, step in steps.items():
        if "-last-copy-" in id_ and "assumed" in str(step["basis"]):
            assert step["command"].startswith(("rclone sync", "rsync", "while IFS"))


def test_the_calendar_counts_what_the_window_takes(
    plan: dict[str, Any], steps: dict[str, Step]
) -> None:
    wave = _one(steps, "last-copy-shop-orders-database")["wave"]
    told = next(each for each in calendar(plan) if each["number"] == wave)
    known = sum(s["minutes"] or 0 for s in plan["steps"] if s["wave"] == wave and s["phase"] == "during")  # fmt: skip
    assert told["minutes"] == known > 2 * 35


def test_registries_and_logs_are_not_copied_in_the_window(steps: dict[str, Step]) -> None:
    assert _one(steps, "copy-shop-web-registry")
    assert not [id_ for id_ in steps if re.search(r"last-copy-.*(registry|lumiere-logs)", id_)]
    late = _one(steps, "late-copy-lumiere-logs")
    assert late["phase"] == "after"
    assert late["command"].startswith("rclone copy ")


def test_a_large_database_is_offered_replication(steps: dict[str, Step]) -> None:
    first = _one(steps, "copy-shop-orders-database")["instead"]
    last = _one(steps, "last-copy-shop-orders-database")["instead"]
    assert "create subscription" in first["command"]
    assert "drop subscription" in last["command"]
    assert "setval" in _one(steps, "copy-shop-orders-database")["files"]["runbooks/sql/postgres-sequences.sql"]  # fmt: skip


def test_a_queue_is_drained_and_a_table_read_again_in_the_window(steps: dict[str, Step]) -> None:
    drained = _one(steps, "last-copy-shop-orders-queue")
    assert drained["phase"] == "during"
    assert "get-queue-attributes" in drained["command"]
    assert "dynamodb scan" in _one(steps, "last-copy-sales-database")["command"]


# --------------------------------------------------------------------------------------------- undo

DESTROYS = re.compile(r"\b(purge|delete|drop|destroy|rm|empty)\b", re.IGNORECASE)


def _says(message: Any) -> str:
    return message if isinstance(message, str) else str(message["msg"])


def test_no_undo_of_a_last_pass_takes_the_first_copy_with_it(steps: dict[str, Step]) -> None:
    for id_, step in steps.items():
        assert "purge" not in _says(step["undo"]), id_
        if "-last-copy-" in id_ and not _says(step["undo"]).startswith("Nothing to take back"):
            assert not DESTROYS.search(_says(step["undo"]).replace("delete the snapshot", "")), id_


def test_a_last_pass_never_writes_over_the_first_ones_files(steps: dict[str, Step]) -> None:
    """pg_dump and mydumper refuse a folder that is there."""
    first, last = (_one(steps, f"{each}-shop-orders-database")["command"] for each in ("copy", "last-copy"))  # fmt: skip
    assert "shop-orders.first.dump" in first
    assert "first" not in last


def test_two_volumes_never_share_a_device(steps: dict[str, Step]) -> None:
    found = re.compile(r'of="\$(\w+)"')
    devices = [hit[1] for id_, s in steps.items() if "-copy-" in id_ and "last-" not in id_ and (hit := found.search(s["command"]))]  # fmt: skip
    assert len(devices) > 2
    assert len(set(devices)) == len(devices)


# ---------------------------------------------------------------------------------------------- DNS


def _written(plan: dict[str, Any], root: Path) -> None:
    for path, content in runbooks(plan):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def _run(command: str, root: Path, **variables: str) -> tuple[int, list[dict[str, Any]]]:
    """Runs a printed command with an `aws` that keeps the batches it is sent, and a `pulumi` that knows one address."""
    tools = root / "tools"
    tools.mkdir(exist_ok=True)
    sent = root / "sent"
    sent.unlink(missing_ok=True)
    (tools / "aws").write_text(
        '#!/bin/bash\ncase "$2" in change-resource-record-sets)\n'
        '  batch=$6; [ "${batch#file://}" = "$batch" ] || batch=$(cat "${batch#file://}")\n'
        f"  printf '%s\\0' \"$batch\" >> {sent}; echo /change/C1;;\n"
        '  wait) [ "$5" = /change/C1 ];; esac\n'
    )
    (tools / "pulumi").write_text('#!/bin/bash\n[ "$3 $4" = "stack output" ] && echo 203.0.113.7\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", **variables}
    done = subprocess.run(["bash", "-c", command], cwd=root, env=env, timeout=20, check=False)
    batches = sent.read_text().split("\0")[:-1] if sent.exists() else []
    return done.returncode, [json.loads(each) for each in batches]


def test_the_switch_runs_as_printed_and_its_undo_takes_it_back(
    plan: dict[str, Any], steps: dict[str, Step], tmp_path: Path
) -> None:
    switch = next(s for id_, s in steps.items() if id_.endswith("-switch") and "stack output" in s["command"])  # fmt: skip
    _written(plan, tmp_path)
    code, batches = _run(switch["command"], tmp_path)
    assert code == 0
    sets = [c["ResourceRecordSet"] for each in batches for c in each["Changes"]]
    assert sets
    for each in sets:
        assert each["ResourceRecords"] == [{"Value": "203.0.113.7"}]
        assert each["TTL"] == 60
        assert "AliasTarget" not in each
        assert each["Name"].rstrip(".") in switch["check"]
    code, back = _run(switch["undo"]["args"]["command"], tmp_path)
    assert code == 0
    old = [c["ResourceRecordSet"] for each in back for c in each["Changes"]]
    assert [each["Name"] for each in old] == [each["Name"] for each in sets]
    assert all(each.get("AliasTarget") or each["ResourceRecords"] != [{"Value": "203.0.113.7"}] for each in old)  # fmt: skip


def test_a_switch_without_its_new_address_changes_nothing(
    plan: dict[str, Any], steps: dict[str, Step], tmp_path: Path
) -> None:
    """www is an alias of a CDN: only a person knows what answers instead."""
    switch = next(s for id_, s in steps.items() if id_.endswith("-switch") and "stack output" not in s["command"])  # fmt: skip
    _written(plan, tmp_path)
    code, batches = _run(switch["command"], tmp_path)
    assert code != 0
    assert batches == []
    wanted = re.findall(r"\$\{(NEW_\w+):\?", switch["command"])
    runbook = (tmp_path / f"runbooks/wave-{switch['wave']:02}.md").read_text()
    assert wanted
    assert all(f"- `${name}`: the new address" in runbook for name in wanted)
    code, batches = _run(switch["command"], tmp_path, **dict.fromkeys(wanted, "203.0.113.9"))
    assert code == 0
    assert "203.0.113.9" in json.dumps(batches)


def test_a_long_ttl_is_lowered_in_time_and_put_back(
    plan: dict[str, Any], steps: dict[str, Step], tmp_path: Path
) -> None:
    lower = next(step for id_, step in steps.items() if id_.endswith("-dns-ttl"))
    _written(plan, tmp_path)
    code, batches = _run(lower["command"], tmp_path)
    assert code == 0
    low = {c["ResourceRecordSet"]["Name"]: c["ResourceRecordSet"] for b in batches for c in b["Changes"]}  # fmt: skip
    assert {each["TTL"] for each in low.values()} == {60}
    _, back = _run(lower["undo"]["args"]["command"], tmp_path)
    old = {c["ResourceRecordSet"]["Name"]: c["ResourceRecordSet"] for b in back for c in b["Changes"]}  # fmt: skip
    longest = max(each["TTL"] for each in old.values())
    assert lower["lead_days"] * 86400 > longest > 60
    for name, each in old.items():
        assert {**each, "TTL": 60} == low[name]


def test_the_zone_is_delegated_after_the_last_switch(
    plan: dict[str, Any], steps: dict[str, Step]
) -> None:
    step = next(step for id_, step in steps.items() if "-delegation-" in id_)
    assert step["wave"] == plan["waves"][-1]["number"]
    assert step["phase"] == "after"
    assert set(step["needs"]) == {s["id"] for s in plan["steps"] if s["turn"]}
    assert "shop.lumiere.example. A\n" in step["files"]["runbooks/dns/lumiere-example-names.txt"]


def test_every_command_is_bash(steps: dict[str, Step]) -> None:
    for id_, step in steps.items():
        for command in (step["command"], step["check"], step.get("instead", {}).get("command", "")):
            done = subprocess.run(
                ["bash", "-n", "-c", command], capture_output=True, timeout=20, check=False
            )
            assert done.returncode == 0, (id_, done.stderr)


# --------------------------------------------------------------------------------------- the runbook


def test_many_needs_are_told_as_a_run(plan: dict[str, Any]) -> None:
    said = dict(runbooks(plan))["runbooks/wave-09.md"].decode()
    assert re.search(r"needs: steps 1 to \d+", said)


def test_one_is_told_in_the_singular(plan: dict[str, Any]) -> None:
    for language, wrong in (("en", r"\b1 (resources|places|networks|steps|days)\b"), ("fr", r"\b1 (ressources|étapes|jours|emplacements|réseaux)\b")):  # fmt: skip
        told = copy.deepcopy(plan)
        told["header"]["language"] = language
        for name, content in runbooks(told):
            if name.endswith(".md"):
                assert not re.search(wrong, content.decode()), name
