"""What is known of the engine without one: states, locks, settings, and events made into outcomes."""

from __future__ import annotations

import datetime
import gzip
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import estate
from toolkit.cli import run
from toolkit.config import parse
from toolkit.engines import installed, pulumi
from toolkit.engines.outcome import changes_of, event_of, failures_of, plain
from toolkit.engines.state import Lock, State, state_of
from toolkit.errors import ConfigError, EngineError, FileError
from toolkit.init import init
from toolkit.previews import document, must_look, table
from toolkit.stage import plan, render

ENGINE = Path(__file__).parent.parent / "engine"
URN = "urn:pulumi:main::s::openstack:networking/port:Port::{}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned and rendered workspace of one application."""
    folder = tmp_path_factory.mktemp("engine")
    init(folder, target="openstack", project="p")
    estate.write(folder, 114)
    plan(folder)
    render(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "w"))


def step(kind: str, op: str, name: str = "a", *diffs: str, type_: str = "x:y:Z") -> dict[str, Any]:
    """A line as the child writes it."""
    return {"kind": kind, "urn": URN.format(name), "type": type_, "op": op, "diffs": list(diffs), "id": ""}  # fmt: skip


# ------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("steps", "op"),
    [
        (["create"], "create"),
        (["same"], "same"),
        (["create-replacement", "replace", "delete-replaced"], "replace"),
        (["delete-replaced", "replace", "create-replacement"], "replace"),
        (["delete", "create"], "replace"),
        (["refresh", "update"], "update"),
        (["refresh", "same"], "same"),
        (["refresh"], "refresh"),
        (["discard"], "delete"),
    ],
)
def test_steps_of_a_resource_become_one_change(steps: list[str], op: str) -> None:
    (change,) = changes_of([step("begun", each, "a", "x") for each in steps], {}, planned=True)
    assert (change.op, change.name, change.diffs) == (op, "a", ("x",))


def test_what_a_refresh_does_not_find_is_made_anew_and_replaces_nothing() -> None:
    seen = [("begun", "refresh"), ("done", "delete")]
    (gone,) = changes_of([step(kind, op, "a", "x") for kind, op in seen], {}, planned=True)
    assert gone.op == "delete"
    (made,) = changes_of([step(kind, op, "a", "x") for kind, op in (*seen, ("begun", "create"), ("done", "create"))], {}, planned=True)  # fmt: skip
    assert (made.op, made.diffs) == ("create", ("x",))


def test_what_was_begun_and_not_done_is_no_change_of_an_update() -> None:
    lines = [step("begun", "create", "a"), step("begun", "create", "b"), step("done", "create", "a"), step("failed", "create", "b")]  # fmt: skip
    assert [each.name for each in changes_of(lines, {}, planned=False)] == ["a"]
    assert [each.name for each in changes_of(lines, {}, planned=True)] == ["a", "b"]
    assert [each.urn for each in failures_of(lines)] == [URN.format("b")]


def test_providers_and_the_stack_itself_are_no_resources() -> None:
    lines = [step("begun", "create", type_="pulumi:providers:openstack"), step("begun", "read", type_="pulumi:pulumi:StackReference")]  # fmt: skip
    assert changes_of(lines, {}, planned=True) == ()
    assert event_of("s", lines[0]) is None


def test_a_message_is_told_once_and_without_colours() -> None:
    said = {"kind": "said", "severity": "error", "urn": URN.format("a"), "message": "<{%fg 1%}>no<{%reset%}>\n"}  # fmt: skip
    warned = {**said, "severity": "warning"}
    (failure,) = failures_of([said, warned, said, step("failed", "create")])
    assert (failure.message, failure.urn) == ("no", URN.format("a"))
    assert plain("a<{%reset") == "a"


def test_that_the_whole_failed_is_said_only_where_nothing_else_is() -> None:
    whole = {"kind": "said", "severity": "error", "urn": "", "message": "update failed"}
    one = {**whole, "urn": URN.format("a"), "message": "quota"}
    assert [each.message for each in failures_of([one, whole])] == ["quota"]
    assert [each.message for each in failures_of([whole])] == ["update failed"]


def test_every_step_of_the_engine_has_its_word() -> None:
    from pulumi.automation import OpType

    assert {event_of("s", step("begun", op.value)).op for op in OpType} <= {
        "create",
        "update",
        "replace",
        "delete",
        "same",
        "read",
        "refresh",
        "import",
    }


# --------------------------------------------------------------------------------------------- stacks


def test_order_puts_what_a_stack_needs_before_it(made: Path) -> None:
    stacks = pulumi.Stacks.of(made)
    order = stacks.order()
    assert sorted(order) == list(stacks.names())
    for name in order:
        assert all(order.index(need) < order.index(name) for need in stacks[name]["needs"])
    assert set(stacks.upstream("app0000-servers")) == {"app0000-data", "app0000-network", "shared-network"}  # fmt: skip


def test_outputs_that_are_required_are_those_that_the_program_exports(made: Path) -> None:
    stacks = pulumi.Stacks.of(made)
    wanted: dict[str, set[str]] = {}
    for name in stacks.names():
        for home, keys in stacks.upstream(name).items():
            wanted.setdefault(home, set()).update(keys)
    assert wanted
    for home, keys in wanted.items():
        text = (made / "stacks" / home / "outputs.py").read_text("utf-8")
        assert all(f'"{key}"' in text for key in keys)


def test_missing_settings_are_those_that_the_file_does_not_set(folder: Path) -> None:
    stacks = pulumi.Stacks.of(folder)
    assert stacks.missing("shared-network") == ("operator-public-key",)
    assert stacks.missing("app0000-network") == ()
    path = folder / "stacks" / "shared-network" / "Pulumi.main.yaml"
    path.write_text('config:\n  shared-network:operator-public-key: "ssh-ed25519 A"\n')
    assert stacks.missing("shared-network") == ()
    path.write_text("config: [1]\n")
    with pytest.raises(EngineError, match="not a map"):
        stacks.missing("shared-network")


def test_the_plan_is_read_once_and_again_when_it_changed(folder: Path) -> None:
    first = pulumi.Stacks.of(folder)
    assert pulumi.Stacks.of(folder) is first
    toml = folder / "repatria.toml"
    toml.write_text(toml.read_text().replace('project = "p"', 'project = "q"'))
    plan(folder)
    assert pulumi.Stacks.of(folder)["shared-network"]["place"]["project"] == "q"
    (folder / "plan.json").unlink()
    with pytest.raises(FileError):
        pulumi.Stacks.of(folder)


def test_an_unknown_stack_is_told_with_the_nearest_name(made: Path) -> None:
    with pytest.raises(EngineError, match="no stack") as told:
        pulumi.Stacks.of(made)["app0000-netwrk"]
    assert "app0000-network" in told.value.hint


def test_a_stack_that_waits_or_lacks_settings_is_no_error(folder: Path) -> None:
    held = pulumi.preview(folder, "app0000-servers")
    assert held.status == "waits"
    assert held.waits_for == ("app0000-data", "app0000-network", "shared-network")
    assert "app0000-app-00-image-id" in held.missing
    asked = pulumi.preview(folder, "shared-network")
    assert (asked.status, asked.missing) == ("unset", ("operator-public-key",))
    found = document([held, asked], folder, pulumi.Stacks.of(folder))
    assert must_look(found)
    assert "waits for app0000-data" in table(found)
    assert "repatria set shared-network operator-public-key" in found["stacks"][1]["set_with"][0]


def test_stacks_without_a_plugin_are_not_run_and_counted(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ovh"
    init(folder, target="ovhcloud", project="p")
    estate.write(folder, 114)
    plan(folder)
    render(folder)
    stacks = pulumi.Stacks.of(folder)
    foreign = [name for name in stacks.names() if stacks[name]["package"] == "ovh"]
    assert foreign
    held = pulumi.preview(folder, foreign[0])
    assert held.status == "not-run"
    found = document([held], folder, stacks)
    assert found["totals"]["not_run"] == 1
    assert not must_look(found)


# ---------------------------------------------------------------------------------------------- state


def test_state_lies_in_the_workspace_unless_told_otherwise(folder: Path) -> None:
    assert state_of(folder).url == (folder.resolve() / ".repatria" / "state").as_uri()
    toml = folder / "repatria.toml"
    toml.write_text(toml.read_text() + '\n[state]\nbackend = "s3://b?endpoint=http://x"\npassphrase_file = "p"\n')  # fmt: skip
    held = state_of(folder)
    assert (held.url, held.ours, held.passphrase_file) == ("s3://b?endpoint=http://x", False, folder / "p")  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "says"),
    [("https://app.pulumi.com", "starts with"), ("s3://key:secret@b", "holds credentials")],
)
def test_a_backend_that_cannot_be_is_refused(backend: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        parse({"target": {"cloud": "openstack"}, "state": {"backend": backend}}, tmp_path)


def test_state_is_described_and_settings_are_known(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = folder / ".repatria" / "state" / ".pulumi" / "stacks" / "gone"
    home.mkdir(parents=True)
    (home / "main.json").write_text('{"checkpoint": {"latest": null}}')
    assert run(["state", "--json", "-C", str(folder)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["unplanned"] == ["gone"]
    assert {each["stack"] for each in told["stacks"]} == set(pulumi.Stacks.of(folder).names())
    assert all(each["resources"] == 0 < each["planned"] for each in told["stacks"])
    assert run(["set", "shared-network", "operator-publik-key", "x", "-C", str(folder)]) == 1
    assert "operator-public-key?" in capsys.readouterr().err
    secret = next(name for name, held in pulumi.Stacks.of(folder).settings("app0000-data").items() if held["secret"])  # fmt: skip
    assert run(["set", "app0000-data", secret, "on-the-command-line", "-C", str(folder)]) == 2


def test_the_passphrase_comes_from_the_first_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "p"
    file.write_text("word\n")
    with pytest.raises(EngineError, match="no passphrase"):
        State(tmp_path, "file:///x").passphrase(ask=False)
    assert State(tmp_path, "file:///x", file).passphrase() == {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}  # fmt: skip
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "typed")
    assert State(tmp_path, "file:///x", file).passphrase() == {"PULUMI_CONFIG_PASSPHRASE": "typed"}
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "none"))
    with pytest.raises(EngineError, match="cannot be read"):
        State(tmp_path, "file:///x", file).passphrase()


SALT = "v1:GH3H5qy5NMQ=:v1:1PXf0Y4asEnn/MCW:3O3F91GKSoyyhDQU+Kz2QZFGdCdkkQ=="
"""As Pulumi 3.259.0 wrote it for the passphrase `x`."""


def test_a_passphrase_is_held_against_the_engines_own_salt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    assert State(tmp_path, "file:///x").opens(SALT)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "y")
    assert not State(tmp_path, "file:///x").opens(SALT)
    assert not State(tmp_path, "file:///x").opens("v1:nothing")


def test_a_checkpoint_is_read_plain_or_packed_and_refused_where_damaged(tmp_path: Path) -> None:
    state = State(tmp_path, tmp_path.as_uri())
    assert state.outputs("s") is None
    home = tmp_path / ".pulumi" / "stacks" / "s"
    home.mkdir(parents=True)
    held = {"checkpoint": {"latest": {"resources": [{"type": "pulumi:pulumi:Stack", "outputs": {"a.id": "1"}}]}}}  # fmt: skip
    (home / "main.json.gz").write_bytes(gzip.compress(json.dumps(held).encode()))
    assert state.outputs("s") == {"a.id": "1"}
    assert list(state.stacks()) == ["s"]
    (home / "main.json").write_text('{"checkpoint": {"latest": null}}')
    assert state.outputs("s") is None
    (home / "main.json").write_text('{"checkp')
    with pytest.raises(EngineError, match="damaged"):
        state.outputs("s")


def _lock(pid: int, when: float, host: str = "") -> Lock:
    return Lock("u", host or socket.gethostname(), pid, datetime.datetime.fromtimestamp(when, datetime.UTC), "")  # fmt: skip


def test_a_lock_is_dead_only_where_that_is_certain() -> None:
    now = datetime.datetime.now(datetime.UTC).timestamp()
    assert _lock(os.getpid(), now + 5).holder == "alive"
    assert _lock(os.getpid(), 1_000_000_000).holder == "dead"  # before this host's boot
    assert _lock(os.getpid(), now, "elsewhere.example").holder == "elsewhere"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert _lock(gone.pid, now).holder == "dead"
    younger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        # the lock was taken by another process of that number, before this one began
        assert _lock(younger.pid, now - 60).holder == "dead"
        assert _lock(younger.pid, now + 5).holder == "alive"
    finally:
        younger.communicate(b"\n")


def test_locks_are_read_with_gos_nanoseconds(tmp_path: Path) -> None:
    home = tmp_path / ".pulumi" / "locks" / "organization" / "s" / "main"
    home.mkdir(parents=True)
    state = State(tmp_path, tmp_path.as_uri())
    assert state.lock("s") is None
    (home / "1.json").write_text('{"pid":7,"username":"root","hostname":"h","timestamp":"2026-11-25T23:12:30.206940372+01:00"}')  # fmt: skip
    held = state.lock("s")
    assert held is not None
    assert (held.pid, held.who, held.time.hour, held.time.microsecond) == (7, "root", 23, 206940)
    (home / "1.json").write_text("torn")
    torn = state.lock("s")
    assert torn is not None
    assert torn.holder == "elsewhere"


# --------------------------------------------------------------------------------------- engine/build


def _build() -> Any:
    spec = importlib.util.spec_from_file_location("engine_build", ENGINE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_versions_that_are_built_are_those_of_the_packages() -> None:
    build = _build()
    wanted, plugin = installed.wanted_versions()
    assert (build.cli_version(), build.PLUGIN_VERSION) == (wanted, plugin)


def test_any_input_makes_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = _build()
    copy = Path(shutil.copytree(ENGINE, tmp_path / "engine"))
    monkeypatch.setattr(build, "HERE", copy)
    first = build.key()
    assert first == build.key()
    for name in build.INPUTS:
        held = (copy / name).read_bytes()
        (copy / name).write_bytes(held + b" ")
        assert build.key() != first, name
        (copy / name).write_bytes(held)
    files = {str(path.relative_to(ENGINE)) for path in ENGINE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}  # fmt: skip
    assert files == {*build.INPUTS, "build.py"}


def test_without_go_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, ENGINE / "build.py"], capture_output=True, text=True, check=False,
        env={"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert said.returncode == 1
    assert "no `go` on the PATH" in said.stderr
    assert not (tmp_path / "cache").exists()


def test_a_build_that_fails_leaves_no_engine(tmp_path: Path) -> None:
    """A `go` that writes half a binary and fails, then one that writes a binary of another version."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    environment = {"PATH": f"{go.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}  # fmt: skip
    base = '#!/bin/sh\n[ "$1" = env ] && { echo go1.26.8; exit 0; }\nwhile [ "$1" != -o ]; do shift; done\n'
    for rest, says in (
        ('echo half > "$2"; exit 2\n', "could not be built"),
        ('printf "#!/bin/sh\\necho v0.0.1\\n" > "$2"; chmod +x "$2"\n', "were meant"),
    ):
        go.write_text(base + rest)
        go.chmod(0o755)
        said = subprocess.run([sys.executable, ENGINE / "build.py"], capture_output=True, text=True, check=False, env=environment)  # fmt: skip
        assert said.returncode == 1
        assert says in said.stderr
        assert [path.name for path in (tmp_path / "cache" / "repatria" / "engine").iterdir()] == ["lock"]  # fmt: skip


def test_an_engine_that_is_named_and_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPATRIA_ENGINE", str(tmp_path))
    with pytest.raises(EngineError, match="does not run"):
        pulumi.locate()
    old = tmp_path / "bin" / "pulumi"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho v3.100.0\n")
    old.chmod(0o755)
    installed._version.cache_clear()
    with pytest.raises(EngineError, match="is needed"):
        pulumi.locate()
    old.write_text(f"#!/bin/sh\necho v{installed.wanted_versions()[0]}\n")
    installed._version.cache_clear()
    with pytest.raises(EngineError, match="without the OpenStack plugin"):
        pulumi.locate()


def test_without_an_engine_the_hint_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPATRIA_ENGINE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EngineError) as told:
        pulumi.locate()
    assert "make engine" in told.value.hint
