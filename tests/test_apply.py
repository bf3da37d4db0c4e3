"""apply without a target: the order of steps, what a person confirms, what is refused before anything is begun."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

import toolkit
from tests.support.small import small_workspace
from toolkit import cli, program
from toolkit.apply import recover
from toolkit.apply.confirmed import read_confirmed
from toolkit.apply.find import knows
from toolkit.apply.order import Choice, Todo, todos
from toolkit.engines.pulumi import PLUGINS
from toolkit.errors import FileError, ToolkitError
from toolkit.journal import Journal, alone, read

RUN = "0123456789ab"
SCHEMAS = Path(toolkit.__file__).parent / "schemas"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("small")
    return folder, small_workspace(folder, "p")


@pytest.fixture
def workspace(made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # fmt: skip
    """A copy of the small workspace, in an environment without any credentials or engine."""
    folder = tmp_path / "ws"
    shutil.copytree(made[0], folder)
    for name in ("OS_CLOUD", "OS_CLIENT_CONFIG_FILE", "REPATRIA_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def plan(made: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    return made[1]


def _todos(plan: dict[str, Any], folder: Path) -> dict[str, Todo]:
    return {todo.id: todo for todo in todos(plan, folder, read(folder), PLUGINS)}


def _confirm(path: Path, steps: list[str], **more: str) -> Path:
    lines = [{"step": step, "name": "Nora Klein", "time": "2026-02-01T10:00:00+01:00", **more} for step in steps]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


# ------------------------------------------------------------------------------------------- the order


def test_who_does_a_step(plan: dict[str, Any], workspace: Path) -> None:
    found = _todos(plan, workspace)
    assert found["w01-announce"].by == "person"
    assert found["w01-build-shop-network"].by == "apply"
    assert found["w01-copy-disk-data-volume"].by == "hand"
    assert "no engine" in found["w01-copy-disk-data-volume"].why_hand
    assert [todo.id for todo in found.values() if todo.done] == ["w01-configure-shared-network"]
    assert not any(todo.begun for todo in found.values())


def test_a_stack_without_plugin_is_done_by_hand(plan: dict[str, Any], workspace: Path) -> None:
    found = {todo.id: todo for todo in todos(plan, workspace, [], ["ovh"])}
    assert found["w01-build-shop-network"].by == "hand"
    assert found["w01-build-shop-network"].why_hand == "there is no plugin for openstack here"


def _done(plan: dict[str, Any], folder: Path, *steps: str, **says: Any) -> Journal:
    journal = Journal(folder, plan["header"]["body"], RUN)
    for step in steps:
        todo = _todos(plan, folder)[step]
        event = "done" if todo.stack else "confirmed"
        journal.add(event, step, stack=todo.stack, of=todo.of, **says)
    return journal


def test_done_is_what_the_journal_says_of_the_step_as_it_is_now(
    plan: dict[str, Any], workspace: Path
) -> None:
    _done(plan, workspace, "w01-announce", "w01-build-shop-network")
    found = _todos(plan, workspace)
    assert found["w01-announce"].done
    assert found["w01-build-shop-network"].done
    other = json.loads(json.dumps(plan))
    announce = next(step for step in other["steps"] if step["id"] == "w01-announce")
    announce["why"] = "told better"
    assert _todos(other, workspace)["w01-announce"].done
    announce["title"] = "Announce something else"
    assert not _todos(other, workspace)["w01-announce"].done


@pytest.mark.parametrize("file", ["network.py", "overrides.py", "Pulumi.main.yaml"])
def test_a_stack_that_was_changed_is_open_again(
    plan: dict[str, Any], workspace: Path, file: str
) -> None:
    _done(plan, workspace, "w01-build-shop-network")
    with (workspace / "stacks/shop-network" / file).open("a") as held:
        held.write("# changed\n")
    assert not _todos(plan, workspace)["w01-build-shop-network"].done


def test_what_the_engine_writes_is_no_change(plan: dict[str, Any], workspace: Path) -> None:
    _done(plan, workspace, "w01-build-shop-network")
    path = workspace / "stacks/shop-network/Pulumi.main.yaml"
    path.write_text(f"encryptionsalt: v1:abc\n{path.read_text()}")
    cache = workspace / "stacks/shop-network/__pycache__"
    cache.mkdir()
    (cache / "network.pyc").write_bytes(b"x")
    assert _todos(plan, workspace)["w01-build-shop-network"].done


def test_a_stack_is_open_again_once_its_upstream_changed(
    plan: dict[str, Any], workspace: Path
) -> None:
    _done(plan, workspace, "w01-build-shop-network", "w01-build-shared-servers")
    journal = _done(plan, workspace, "w01-build-shop-network", changes=0)
    assert _todos(plan, workspace)["w01-build-shared-servers"].done
    _done(plan, workspace, "w01-build-shop-network", changes=1)
    assert not _todos(plan, workspace)["w01-build-shared-servers"].done
    assert _todos(plan, workspace)["w01-build-shop-network"].done
    del journal


SET = "w01-configure-shared-network"


@pytest.mark.parametrize(
    ("content", "done"),
    [
        ("config: {}\n", False),
        ("config:\n  shared-network:operator-public-key: ssh-ed25519 A\n", True),
        ("config:\n  shared-network:operator-public-key:\n", False),
        ('config:\n  shared-network:operator-public-key: ""\n', False),
        ("config:\n  other:operator-public-key: ssh-ed25519 A\n", False),
        ("config: [\n", False),
        ("config: []\n", False),
        ("config: text\n", False),
    ],
)
def test_settings_are_set_once_the_file_has_each(
    plan: dict[str, Any], workspace: Path, content: str, done: bool
) -> None:
    assert _todos(plan, workspace)[SET].done
    (workspace / "stacks/shared-network/Pulumi.main.yaml").write_text(content)
    assert _todos(plan, workspace)[SET].done is done
    (workspace / "stacks/shared-network/Pulumi.main.yaml").unlink()
    assert not _todos(plan, workspace)[SET].done


def test_an_id_set_before_the_disk_was_moved_is_not_enough(
    plan: dict[str, Any], workspace: Path
) -> None:
    other = json.loads(json.dumps(plan))
    step = next(step for step in other["steps"] if step["id"] == SET)
    step["needs"] = ["w01-announce"]
    assert not _todos(other, workspace)[SET].done
    _done(other, workspace, "w01-announce")
    assert _todos(other, workspace)[SET].done
    other["steps"].remove(step)
    other["steps"].insert(0, step)  # what it needs comes later in the list
    assert not _todos(other, workspace)[SET].done


def test_no_stack_is_built_that_was_not_agreed_on(
    plan: dict[str, Any], workspace: Path, tmp_path: Path
) -> None:
    """Steps that are confirmed in a run may complete the settings of a stack: it is seen ahead, or not built."""
    from toolkit.apply.run import Request, _Run, _Stop

    other = json.loads(json.dumps(plan))
    step = next(step for step in other["steps"] if step["id"] == SET)
    step["needs"] = ["w01-announce"]
    first = [each["id"] for each in other["steps"] if "run" not in each and each["id"] != SET]
    file = _confirm(tmp_path / "done.jsonl", first)
    run = _Run(Request(workspace, Choice(), yes=True, confirmed=file), other, Journal(workspace, other["header"]["body"], RUN))  # fmt: skip
    assert not run.by_id[SET].done
    run._read_confirmed()
    ahead = [todo.stack for todo in run._ahead()]
    assert "shared-network" in ahead
    with pytest.raises(_Stop) as stopped:
        run._build(run.by_id["w01-build-shared-network"])
    assert stopped.value.why == "unseen"
    assert not any(entry.event == "begun" for entry in read(workspace))
    (workspace / "stacks/shared-network/Pulumi.main.yaml").write_text("config: {}\n")
    assert "shared-network" not in [todo.stack for todo in run._ahead()]


def test_what_was_destroyed_is_open_again(plan: dict[str, Any], workspace: Path) -> None:
    journal = _done(plan, workspace, "w01-build-shop-network", "w01-build-shared-servers")
    journal.add("begun", "w01-build-shared-servers", stack="shared-servers", destroy=True)
    assert not _todos(plan, workspace)["w01-build-shared-servers"].done
    assert _todos(plan, workspace)["w01-build-shop-network"].done
    journal.add("destroyed", "w01-build-shop-network", stack="shop-network")
    assert not _todos(plan, workspace)["w01-build-shop-network"].done


def test_a_choice_of_steps(plan: dict[str, Any], workspace: Path) -> None:
    every = todos(plan, workspace, [], PLUGINS)
    assert Choice().of(plan, every) == every
    assert Choice(wave=1).of(plan, every) == every
    assert [t.id for t in Choice("shop-network").of(plan, every)] == ["w01-build-shop-network"]
    servers = [todo.id for todo in Choice("shared-servers").of(plan, every)]
    assert servers[-1] == "w01-build-shared-servers"
    assert {"w01-go", "w01-freeze", "w01-build-shop-network"} <= set(servers)
    assert "w01-rewire" not in servers
    with pytest.raises(ToolkitError, match="no wave 7"):
        Choice(wave=7).of(plan, every)
    with pytest.raises(ToolkitError, match="no stack 'shop-netwrk'") as told:
        Choice("shop-netwrk").of(plan, every)
    assert told.value.hint == "Did you mean shop-network?"


# --------------------------------------------------------------------------------------- what people did

STEPS = {"w01-announce": "", "w01-credential": "", "w01-build-x": "apply does it itself"}
GOOD = {"step": "w01-announce", "name": "Nora Klein", "time": "2026-03-01T09:30:00+01:00"}


def test_confirmations_of_both_kinds(tmp_path: Path) -> None:
    lines, listed = tmp_path / "a.jsonl", tmp_path / "a.yaml"
    lines.write_text(json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, "step": "w01-credential", "note": "id 7"}))  # fmt: skip
    listed.write_text(
        "- step: w01-announce\n  name: Nora Klein\n  time: 2026-03-01T09:30:00+01:00\n"
        "- {step: w01-credential, name: Nora Klein, time: '2026-03-01T09:30:00+01:00', note: id 7}\n"
    )
    whole = tmp_path / "a.json"
    whole.write_text(json.dumps([GOOD, {**GOOD, "step": "w01-credential", "note": "id 7"}]))
    found = read_confirmed(lines, STEPS, NOW)
    assert found == read_confirmed(listed, STEPS, NOW) == read_confirmed(whole, STEPS, NOW)
    assert found["w01-credential"].note == "id 7"
    assert found["w01-announce"].time.astimezone(UTC).hour == 8
    schema = json.loads((SCHEMAS / "confirmed.json").read_text())
    jsonschema.validate(GOOD, schema)
    assert read_confirmed(_confirm(tmp_path / "none", []), STEPS, NOW) == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"step": "w01-anounce"},
            "the plan has no step 'w01-anounce' (did you mean w01-announce?)",
        ),
        ({"step": "w01-build-x"}, "w01-build-x cannot be confirmed: apply does it itself"),
        ({"name": "  "}, "no name says who did it"),
        ({"time": "yesterday"}, "'yesterday' is no time"),
        ({"time": "2026-03-01T09:30:00"}, "'2026-03-01T09:30:00' does not say its time zone"),
        ({"time": "2026-03-01T12:06:00Z"}, "'2026-03-01T12:06:00Z' is still to come"),
        ({"time": 7}, "not an entry with texts"),
        ({"sign": "x"}, "unknown: sign"),
        ({"step": "w01-credential"}, "w01-credential is confirmed a second time"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps({**GOOD, 'step': 'w01-credential'})}\n\n{json.dumps({**GOOD, **change})}\n")  # fmt: skip
    with pytest.raises(FileError) as told:
        read_confirmed(path, STEPS, NOW)
    assert f"line 3: {says}" in told.value.message


def test_every_fault_is_told_at_once_in_yaml_too(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "# what was done\n- step: w01-nobody\n  time: 2026-03-01\n- just text\n- step: [a]\n"
    )
    with pytest.raises(FileError) as told:
        read_confirmed(path, STEPS, NOW)
    for says in ("line 2: the plan has no step", "line 2: no name", "line 2: '2026-03-01' does not say", "line 4: not an entry", "line 5: not an entry"):  # fmt: skip
        assert says in told.value.message
    for content, says in (("- a: [", "line 2: no YAML"), ("step: x\n", "line 1: not a list"), ('{"step": \n', "line 1: no JSON")):  # fmt: skip
        path.write_text(content + ("\n" if content.endswith("[") else ""))
        with pytest.raises(FileError, match=says):
            read_confirmed(path, STEPS, NOW)


# ---------------------------------------------------------------------------------------- the command


def _run(*arguments: str) -> int:
    return cli.run(list(arguments))


def test_it_stops_before_a_persons_step_and_says_what_to_do(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("apply", "-C", str(workspace), "--yes") == 3
    said = capsys.readouterr()
    assert "a person's step: w01-egress-terms, Ask AWS for its terms of leaving" in said.out
    assert "expected: A written answer with a start date and an end date." in said.out
    assert "1 of 23 steps done" in said.out
    assert f"next: `repatria apply -C {workspace}`" in said.err
    assert [(entry.event, entry.step) for entry in read(workspace)] == [("waiting", "w01-egress-terms")]  # fmt: skip
    assert _run("apply", "-C", str(workspace), "--yes") == 3
    assert len(read(workspace)) == 1


def test_what_people_did_is_written_down_once(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _confirm(tmp_path / "done.jsonl", ["w01-egress-terms", "w01-announce"])
    assert _run("apply", "-C", str(workspace), "--confirmed", str(file), "--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert [step["state"] for step in found["steps"]] == ["confirmed", "confirmed"]
    assert found["stopped"]["step"] == "w01-credential"
    assert found["stopped"]["command"].startswith("openstack application credential create")
    assert found["totals"] == {
        "steps": 23, "done_before": 1, "built": 0, "confirmed": 2, "failed": 0, "open": 20,
    }  # fmt: skip
    line = next(entry for entry in read(workspace) if entry.event == "confirmed")
    assert line.says == {"name": "Nora Klein", "time": "2026-02-01T10:00:00+01:00"}
    assert _run("apply", "-C", str(workspace), "--confirmed", str(file)) == 3
    assert sum(entry.event == "confirmed" for entry in read(workspace)) == 2


def test_a_stack_waits_for_what_it_needs_and_that_is_no_error(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("apply", "shared-servers", "-C", str(workspace), "--yes", "--json") == 3
    stopped = json.loads(capsys.readouterr().out)["stopped"]
    assert stopped["why"] == "person"
    plan = json.loads((workspace / "plan.json").read_text())
    by_hand = [step["id"] for step in plan["steps"] if "run" not in step]
    _done(plan, workspace, *by_hand[: by_hand.index("w01-freeze")])
    assert _run("apply", "shared-servers", "-C", str(workspace), "--yes", "--json") == 3
    stopped = json.loads(capsys.readouterr().out)["stopped"]
    assert (stopped["why"], stopped["says"]) == ("waits", "shared-servers waits for shared-network")
    assert "repatria apply shared-network" in stopped["hint"]


def test_what_may_not_be_confirmed(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    file = _confirm(tmp_path / "done.jsonl", ["w01-build-shop-network", "w01-x"])
    assert _run("apply", "-C", str(workspace), "--confirmed", str(file)) == 1
    said = capsys.readouterr().err
    assert "line 1: w01-build-shop-network cannot be confirmed: apply does it itself" in said
    assert "line 2: the plan has no step 'w01-x'" in said
    assert read(workspace) == []


def test_a_stale_plan_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = workspace / "repatria.toml"
    toml.write_text(toml.read_text().replace('project = "p"', 'project = "q"'))
    assert _run("apply", "shop-network", "-C", str(workspace), "--yes") == 1
    said = capsys.readouterr().err
    assert "plan.json is stale: config changed since" in said
    assert not (workspace / "journal.jsonl").exists()


def test_stacks_that_are_not_what_the_plan_renders_to_are_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (workspace / "stacks/shop-network/network.py").open("a") as held:
        held.write("# mine\n")
    assert _run("apply", "shop-network", "-C", str(workspace), "--yes") == 1
    said = capsys.readouterr().err
    assert "stacks/shop-network/network.py: generated, and changed by hand" in said
    assert "overrides.py" in said
    (workspace / "stacks/shop-network/network.py").unlink()
    assert _run("apply", "shop-network", "-C", str(workspace), "--yes") == 1
    assert "not what the plan renders to: stacks/shop-network/network.py" in capsys.readouterr().err
    # another stack's files are not what this one is built from; without an engine it then ends there
    assert _run("apply", "shared-data", "-C", str(workspace), "--yes") == 1
    assert "there is no Pulumi engine" in capsys.readouterr().err


def test_required_settings_stop_it_before_anything_is_built(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace / "stacks/shared-network/Pulumi.main.yaml"
    path.write_text("config: {}\n")
    # somebody says that it is set, and it is not
    _done(
        json.loads((workspace / "plan.json").read_text()), workspace, "w01-configure-shared-network"
    )
    assert _run("apply", "shared-network", "-C", str(workspace), "--yes", "--json") == 3
    stopped = json.loads(capsys.readouterr().out)["stopped"]
    assert stopped["why"] == "config"
    assert "operator-public-key (The operator's SSH public key, one line.)" in stopped["says"]
    assert stopped["hint"] == f"`repatria set shared-network operator-public-key -C {workspace}`"
    assert not any(entry.event == "begun" for entry in read(workspace))


def test_two_at_once(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with alone(workspace, "apply --wave 1"):
        assert _run("apply", "-C", str(workspace), "--yes") == 1
        assert "`repatria apply --wave 1` by " in capsys.readouterr().err
        assert _run("destroy", "-C", str(workspace), "--yes") == 1
        assert "another one is at work" in capsys.readouterr().err


def test_a_stack_and_a_wave_are_too_much(workspace: Path) -> None:
    assert _run("apply", "shop-network", "--wave", "1", "-C", str(workspace)) == 2


def test_nothing_to_destroy(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("destroy", "-C", str(workspace), "--yes") == 0
    assert "nothing is there" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------ the finders


def test_every_type_that_the_targets_emit_can_be_found_again() -> None:
    import re

    root = Path(toolkit.__file__).parent
    types = set()
    for path in [*(root / "targets").rglob("*.py"), *(root / "plan").glob("*.py")]:
        types |= set(re.findall(r'"(openstack\.[a-z]+\.[A-Z]\w+)"', path.read_text()))
    assert len(types) > 25
    assert [each for each in sorted(types) if not knows(program.token_of(each))] == []


# ------------------------------------------------------------------------------------- what a dead run left


def _lock(**change: Any) -> Any:
    from toolkit.engines.state import Lock
    from toolkit.journal import actor

    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    held = {
        "who": "a",
        "host": actor().host,
        "pid": gone.pid,
        "time": datetime.now(UTC),
        "path": "x",
    }
    return Lock(**{**held, **change})


def test_only_a_lock_of_this_boot_and_a_dead_process_is_broken(workspace: Path) -> None:
    from toolkit.apply.recover import may_break

    assert not may_break(_lock(), [])
    begun = Journal(workspace, f"sha256:{'a' * 64}", RUN).add("begun", "w01-build-x", stack="x")
    assert may_break(_lock(), [begun])
    assert not may_break(_lock(pid=os.getpid()), [begun])
    assert not may_break(_lock(host="elsewhere"), [begun])
    for change in ({"boot": "another"}, {"space": "pid:[1]"}, {"host": "elsewhere"}, {"event": "confirmed"}):  # fmt: skip
        assert not may_break(_lock(), [replace(begun, **change)]), change
    before = _lock(time=begun.when - timedelta(minutes=5))
    assert not may_break(before, [begun])


def test_what_a_dead_run_left_running_is_ended_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from toolkit.apply import recover

    monkeypatch.setattr(recover, "GRACE", 1.0)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"

    def start(run: str) -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, recover.RUN: run}, stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        return child

    left, other = start("aaaaaaaaaaaa"), start("bbbbbbbbbbbb")
    try:
        said: list[str] = []
        assert recover.end_leftovers({"cccccccccccc"}, said.append) == 0
        assert recover.end_leftovers({"aaaaaaaaaaaa"}, said.append) == 1
        assert left.wait(timeout=5) == -signal.SIGKILL
        assert other.poll() is None
        assert said == ["an earlier run left 1 processes at work: waiting for them to end"]
    finally:
        for child in (left, other):
            child.kill()
            child.communicate()


@pytest.mark.parametrize(
    ("changed", "freed"),
    [
        ({}, True),
        ({"initErrors": None}, False),  # it is whole
        ({"protect": False}, False),
        ({"created": "2026-03-01T09:00:00.5Z", "modified": "2026-03-01T09:00:00.5Z"}, False),  # older than the attempt
        ({"modified": "2026-03-01T10:03:00.1Z"}, False),  # it was whole once and changed since
    ],
)  # fmt: skip
def test_only_what_failed_in_its_very_create_loses_its_protection(
    tmp_path: Path, changed: dict[str, Any], freed: bool
) -> None:
    begun = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    entry = SimpleNamespace(stack="data", event="begun", when=begun)
    case = recover.Case(
        tmp_path, {}, "data", [entry], lambda: None, {}, print, unfinished=True, record=print
    )  # type: ignore[list-item]
    made = {
        "urn": "urn:pulumi:main::data::t::secret", "protect": True, "initErrors": ["500"],
        "created": "2026-03-01T10:02:00.920298339Z", "modified": "2026-03-01T10:02:00.920298339Z",
    }  # fmt: skip
    assert recover._half_made(case, [{**made, **changed}]) == ({made["urn"]} if freed else set())


def test_what_stands_on_a_changed_stack_is_seen_ahead_too(
    plan: dict[str, Any], workspace: Path, tmp_path: Path
) -> None:
    from toolkit.apply.run import Request, _Run

    journal = Journal(workspace, plan["header"]["body"], RUN)
    for todo in _todos(plan, workspace).values():
        event = "done" if todo.by == "apply" else "confirmed"
        journal.add(event, todo.id, stack=todo.stack, of=todo.of, **({"changes": 1} if event == "done" else {"name": "Nora", "time": "2026-03-01T09:30:00+01:00"}))  # fmt: skip
    run = _Run(Request(workspace, Choice(), yes=True), plan, Journal(workspace, plan["header"]["body"], RUN))  # fmt: skip
    assert run._ahead() == []
    (workspace / "stacks/shop-network/network.py").write_text("# changed\n")
    run = _Run(Request(workspace, Choice(), yes=True), plan, Journal(workspace, plan["header"]["body"], RUN))  # fmt: skip
    needing = {each["name"] for each in plan["stacks"] if "shop-network" in each["needs"]}
    assert needing
    assert {"shop-network", *needing} <= {todo.stack for todo in run._ahead()}
    alone = _Run(Request(workspace, Choice("shop-network"), yes=True), plan, Journal(workspace, plan["header"]["body"], RUN))  # fmt: skip
    assert [todo.stack for todo in alone._ahead()] == ["shop-network"]
