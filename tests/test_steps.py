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

from tests.support import cases
from tests.support.pages import demo_plan
from toolkit.outcomes import Task
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


# ------------------------------------------------------------------------------------- work by hand


def test_every_step_says_what_is_seen_and_how_long_it_takes(steps: dict[str, Step]) -> None:
    """A step without an estimate says why there is none; a title is a line, its details are a table."""
    for id_, step in steps.items():
        assert step["expected"], id_
        assert step["undo"], id_
        if step["minutes"] is None:
            assert step["basis"], id_
        title = _says(step["title"])
        assert len(title) < 90, title
        assert "Done, and written down" not in _says(step["expected"]), id_


def test_every_task_of_every_rule_can_be_checked() -> None:
    """Over all cases and clouds: a table instead of a long title, a reason where no minutes are told, commands that are bash."""
    seen: set[str] = set()
    for file in cases.all_cases():
        case = cases.load(file)
        for cloud in cases.clouds_of(case):
            for told in cases.run(case, cloud)[0].values():
                for task in told.tasks:
                    seen.add(task.code)
                    assert str(task.expected), task.code
                    assert str(task.basis), task.code
                    assert len(task.what if isinstance(task.what, str) else task.what.msg) < 75, (
                        task.what
                    )
                    for command in (task.command, task.check, task.gives):
                        _is_bash(command, task.code)
    assert len(seen) > 40


def test_no_work_is_told_twice(plan: dict[str, Any]) -> None:
    told = [
        json.dumps([s["title"], s["about"], s["settings"] if "settings" in s else s["command"]])
        for s in plan["steps"]
        if s["person"] and s["about"]
    ]
    assert len(told) == len(set(told))


def test_a_task_without_minutes_or_sight_is_refused() -> None:
    with pytest.raises(ValueError, match="need a reason"):
        Task("x", "Do it", "Because.", expected="It is done.", minutes=None)
    with pytest.raises(ValueError, match="nothing tells"):
        Task("x", "Do it", "Because.", expected="", minutes=5)


# ------------------------------------------------------------------------------------ configuration


def test_a_server_is_built_after_its_image_is_known(steps: dict[str, Step]) -> None:
    told = [
        step
        for id_, step in steps.items()
        if "-configure-" in id_ and "image show" in step["command"]
    ]
    assert len(told) > 1
    for step in told:
        stack = step["title"]["args"]["name"]
        built = _one(steps, f"build-{stack}")
        assert step["id"] in built["needs"]
        assert built["wave"] == step["wave"]
        copies = [need for need in step["needs"] if re.search("-copy-.*-image$", need)]
        assert copies
        for name in re.findall(r"openstack image show (\S+) -f value -c id", step["command"]):
            assert any(
                f"openstack image create {name} " in steps[need]["command"] for need in copies
            )


def test_every_setting_without_default_is_set_before_its_stack(
    plan: dict[str, Any], steps: dict[str, Step]
) -> None:
    def wanted(value: Any) -> set[str]:
        if isinstance(value, dict):
            if "$config" in value:
                return {value["$config"]} if value.get("default") is None else set()
            return set().union(*map(wanted, value.values())) if value else set()
        return set().union(*map(wanted, value)) if isinstance(value, list) and value else set()

    some = False
    for stack in plan["stacks"]:
        built = _one(steps, f"build-{stack['name']}")
        for name in wanted(stack["resources"]):
            some = True
            found = [
                steps[need] for need in built["needs"] if f"-configure-{stack['name']}" in need
            ]
            assert len(found) == 1, (stack["name"], name)
            assert re.search(rf"config set (--secret )?{re.escape(name)} ", found[0]["command"])
            assert f"config rm {name} --stack main" in found[0]["undo"]["args"]["command"]
    assert some


def test_an_id_that_is_not_there_sets_nothing(steps: dict[str, Step], tmp_path: Path) -> None:
    """`openstack image show` of what was never copied prints nothing: the stack keeps asking for its id."""
    step = next(
        s for id_, s in steps.items() if "-configure-" in id_ and "image show" in s["command"]
    )
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "openstack").write_text('#!/bin/bash\n[ -n "$IMAGE" ] && echo "$IMAGE"\n')
    (tools / "pulumi").write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/said\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    for image, sets in (("", False), ("0f1b0202", True)):
        env = {"PATH": f"{tools}:{os.environ['PATH']}", "IMAGE": image}
        done = subprocess.run(
            ["bash", "-c", step["command"]],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode == 0) == sets
        assert ("config set" in (tmp_path / "said").read_text()) == sets


def test_no_secret_is_in_a_list_of_processes(steps: dict[str, Step]) -> None:
    told = [
        step
        for id_, step in steps.items()
        if "-configure-" in id_ and "get-secret-value" in step["command"]
    ]
    assert told
    for step in told:
        assert step["role"] == "security"
        assert 'printf %s "$VALUE" | pulumi' in step["command"]
        assert not re.search(r'config set --secret \S+ "', step["command"])


def test_a_volume_is_attached_to_one_server_at_a_time(steps: dict[str, Step]) -> None:
    taken = {id_: step for id_, step in steps.items() if "-detach-" in id_}
    assert len(taken) > 2
    for id_, step in taken.items():
        name = id_.split("-detach-", 1)[1]
        assert _one(steps, f"attach-{name}")["id"] in _behind(steps, id_)
        assert any("-last-copy-" in need for need in step["needs"])
    for id_, step in steps.items():
        if re.search(r"-build-.*-servers$", id_):
            mine = [each for each, held in taken.items() if held["wave"] == step["wave"]]
            assert set(mine) <= _behind(steps, id_)


def test_what_is_retired_is_kept_before_it_is_deleted(
    plan: dict[str, Any], steps: dict[str, Step]
) -> None:
    kept = {id_: step for id_, step in steps.items() if re.match(r"w\d+-keep-", id_)}
    assert any("coldsnap" in step["command"] for step in kept.values())
    for id_, step in kept.items():
        assert id_ in _behind(steps, f"w{step['wave']:02}-retire")
    volumes = {
        "|".join(item["subject"][part] for part in ("type", "account", "region", "id"))
        for item in plan["items"]
        if item["disposition"] == "retire"
        and item["subject"]["type"] in ("aws.ec2.volume", "aws.ec2.image")
    }
    assert volumes
    decided = {
        each["subject"]: each["chosen"]
        for each in plan["decisions"]
        if each["topic"] == "keep-copy"
    }
    assert volumes == {key for key in decided if not key.startswith("aws.ec2.snapshot|")}
    about = {key for step in kept.values() for key in step["about"]}
    assert {key for key, chosen in decided.items() if chosen != "none"} <= about


def test_the_list_of_the_preparation_is_in_the_order_of_its_starts(plan: dict[str, Any]) -> None:
    for wave in plan["waves"]:
        days = [
            s["lead_days"]
            for s in plan["steps"]
            if s["wave"] == wave["number"] and s["phase"] == "before"
        ]
        assert days == sorted(days, reverse=True)


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
    assert {"DEVICE_SHOP_INVOICES_ROOT", "DEVICE_SHOP_INVOICES_DATA"} <= set(devices)


def test_ids_of_steps_are_no_ids_of_aws(steps: dict[str, Step]) -> None:
    """A plan of the same company, read anew from another account, is told and confirmed by the same ids."""
    parts = [
        part for id_ in steps for part in re.findall(r"(?:vol|snap|ami|eni|i)-[0-9a-f]{8,17}", id_)
    ]
    assert not parts
    assert _one(steps, "keep-volume")["about"][0].startswith("aws.ec2.volume|")


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


def _is_bash(command: str, where: str) -> None:
    if command:
        done = subprocess.run(
            ["bash", "-n", "-c", command], capture_output=True, timeout=20, check=False
        )
        assert done.returncode == 0, (where, done.stderr)


def test_every_command_is_bash(steps: dict[str, Step]) -> None:
    for id_, step in steps.items():
        for command in (step["command"], step["check"], step.get("instead", {}).get("command", "")):
            _is_bash(command, id_)


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


def test_a_step_that_builds_a_stack_says_so_in_data(plan: dict[str, Any]) -> None:
    """`apply` reads `run` and never a command; each stack is built by exactly one step."""
    built = [step["run"]["stack"] for step in plan["steps"] if "run" in step]
    assert sorted(built) == sorted(stack["name"] for stack in plan["stacks"])
    assert all(("run" in step) == ("-build-" in step["id"]) for step in plan["steps"])
    place = {name: n for n, name in enumerate(built)}
    assert all(
        place[need] < place[stack["name"]] for stack in plan["stacks"] for need in stack["needs"]
    )


def test_a_runbook_names_the_command_that_builds_a_stack(plan: dict[str, Any]) -> None:
    said = b"".join(content for path, content in runbooks(plan) if path.endswith(".md")).decode()
    for stack in plan["stacks"]:
        assert f"`repatria apply {stack['name']}` runs it" in said
