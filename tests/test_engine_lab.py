"""The engine on a real OpenStack: made, seen, changed by hand, changed in the program, unmade; and its accidents."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud import project
from tests.support.engine import engine, workspace
from tests.support.lab import folder as lab
from tests.support.lab import root, until
from toolkit.cli import run
from toolkit.engines import pulumi
from toolkit.engines.state import _asked
from toolkit.errors import EngineError
from toolkit.lab import namespace, profile
from toolkit.lab.folder import find

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.timeout(1800),
    # the SDK warns of itself
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
    ),
]
NETWORK, SERVERS, ENTRY = "app0000-network", "app0000-servers", "app0000-entry"
SLEEPY = """
import pathlib, time

def register():
    pathlib.Path("begun").touch()
    time.sleep(120)

def after():
    pass
"""
"""An overrides.py that keeps the engine busy before it makes anything."""


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A project of its own in the lab."""
    engine()
    with project(tmp_path_factory.mktemp("lab"), f"engine-test-{os.getpid()}") as held:
        yield held.environment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace(tmp_path_factory.mktemp("w") / "w")


@pytest.fixture(autouse=True)
def environment(signed_in: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", *(n for n in os.environ if n.startswith("OS_"))):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name, value in signed_in.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a word")
    _asked.clear()


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Path:
    """A workspace without a state."""
    import shutil

    return Path(shutil.copytree(made, tmp_path / "f", ignore=shutil.ignore_patterns("state")))


def cloud() -> Any:
    import openstack

    return openstack.connect()


def ok(outcome: pulumi.Outcome) -> pulumi.Outcome:
    assert outcome.ok, [(each.urn, each.message) for each in outcome.failures] or outcome.reason
    return outcome


def counts(outcome: pulumi.Outcome) -> dict[str, int]:
    held: dict[str, int] = ok(outcome).json()["counts"]
    return held


def test_made_seen_changed_by_hand_and_unmade(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run through everything, on one small estate."""
    stacks = pulumi.Stacks.of(made)
    c = cloud()
    key = c.compute.create_keypair(name="operations").name
    set_ = ["-C", str(made)]

    # before anything: what can be previewed is, what waits says so
    assert run(["preview", "--json", "-C", str(made)]) == 3  # the key pair is not set yet
    found = json.loads(capsys.readouterr().out)
    by_name = {each["stack"]: each for each in found["stacks"]}
    planned = len(stacks[NETWORK]["resources"])
    assert by_name[NETWORK]["counts"] == {"create": planned}
    assert by_name[SERVERS]["status"] == "waits"
    assert by_name[ENTRY]["waits_for"] == [NETWORK, SERVERS]
    assert all(change["origin"] and change["application"] for change in by_name[NETWORK]["changes"])

    assert stacks.missing(SERVERS) == ("key-pair",)
    assert run(["set", SERVERS, "key-pair", key, *set_]) == 0
    flavor = next(name for name in stacks.settings(SERVERS) if name.startswith("flavor-"))
    assert run(["set", SERVERS, flavor, "m1.small", *set_]) == 0

    seen: list[pulumi.Event] = []
    up = ok(pulumi.up(made, NETWORK, on_event=seen.append))
    assert counts(up) == {"create": planned}
    assert {event.name for event in seen if event.kind == "done"} == {r["name"] for r in stacks[NETWORK]["resources"]}  # fmt: skip
    assert set(up.outputs) >= stacks.upstream(SERVERS)[NETWORK]
    assert pulumi.outputs(made, NETWORK) == up.outputs
    ok(pulumi.up(made, SERVERS))
    ok(pulumi.up(made, ENTRY))

    # nothing comes back from the cloud otherwise than it was written
    capsys.readouterr()
    assert run(["preview", "--json", "-C", str(made)]) == 0
    again = json.loads(capsys.readouterr().out)["totals"]
    assert (again["same"], again["previewed"]) == (sum(len(stacks[n]["resources"]) for n in stacks.names()), 3)  # fmt: skip
    assert not any(again[op] for op in ("create", "update", "replace", "delete"))
    for name in stacks.order():
        assert set(counts(pulumi.refresh(made, name))) == {"same"}, name

    # a rule removed by hand, a router renamed: seen with --refresh, and only then
    group = next(g for g in c.network.security_groups() if g.name == "app0000-bastion")
    rule = next(r for r in c.network.security_group_rules(security_group_id=group.id) if r.port_range_min == 22)  # fmt: skip
    c.network.delete_security_group_rule(rule)
    c.network.update_router(next(iter(c.network.routers())), name="by-hand")
    assert set(counts(pulumi.preview(made, NETWORK))) == {"same"}
    drift = {each.name: each for each in ok(pulumi.preview(made, NETWORK, refresh=True)).changes if each.op != "same"}  # fmt: skip
    assert {name: each.op for name, each in drift.items()} == {
        "app0000-edge": "update", "app0000-bastion-in-tcp-22-203-0-113-0-28": "create",
    }  # fmt: skip
    assert drift["app0000-edge"].diffs == ("name",)
    ok(pulumi.refresh(made, NETWORK))
    mended = ok(pulumi.up(made, NETWORK))
    assert (mended.count("create"), mended.count("update")) == (1, 1)

    # a change that replaces stands out and asks somebody to look
    program = made / "stacks" / NETWORK / "overrides.py"
    text = program.read_text("utf-8")
    program.write_text(text.replace("    return props\n", '    if name == "app0000-bastion-in-tcp-22-203-0-113-0-28":\n        props["portRangeMin"] = props["portRangeMax"] = 2222\n    return props\n', 1))  # fmt: skip
    capsys.readouterr()
    assert run(["preview", NETWORK, "-C", str(made)]) == 3
    assert "REPLACED" in capsys.readouterr().out
    program.write_text(text)

    # what is protected is not unmade by accident
    ok(pulumi.destroy(made, ENTRY))
    ok(pulumi.destroy(made, SERVERS))
    refused = pulumi.destroy(made, NETWORK)
    assert refused.status == "failed"
    assert "protect" in " ".join(each.message for each in refused.failures)
    state = pulumi.export_state(made, NETWORK)
    for resource in state["deployment"]["resources"]:
        resource.pop("protect", None)
    pulumi.import_state(made, NETWORK, state)
    ok(pulumi.destroy(made, NETWORK))
    assert list(c.network.networks(project_id=c.current_project_id)) == []
    assert [s.name for s in c.compute.servers()] == []
    c.compute.delete_keypair(key)


def test_what_the_cloud_refuses_is_told_with_the_resource(fresh: Path) -> None:
    program = fresh / "stacks" / NETWORK / "overrides.py"
    text = program.read_text("utf-8")
    program.write_text(text.replace("    return props\n", '    if name == "app0000":\n        props["name"] = "x" * 300\n    return props\n', 1))  # fmt: skip
    held = pulumi.up(fresh, NETWORK, targets=[f"urn:pulumi:main::{NETWORK}::openstack:networking/network:Network::app0000"])  # fmt: skip
    assert held.status == "failed"
    assert {each.urn.rpartition("::")[2] for each in held.failures if "255" in each.message} == {"app0000"}  # fmt: skip
    program.write_text("raise RuntimeError('the program breaks')\n")
    broken = pulumi.preview(fresh, NETWORK)
    assert broken.status == "failed"
    assert "the program breaks" in broken.failures[0].message


def test_another_passphrase_is_told_as_such(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(pulumi.preview(fresh, NETWORK))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    with pytest.raises(EngineError, match="passphrase does not open"):
        pulumi.preview(fresh, NETWORK)


def test_the_users_file_gets_one_line_and_keeps_the_rest(fresh: Path) -> None:
    rendered = (fresh / "stacks" / NETWORK / "Pulumi.main.yaml").read_text().partition("encryptionsalt:")[0]  # fmt: skip
    for text in ("# Head.\nconfig: {}\n  # Said.\n  # a:b: ...\n", rendered):
        path = fresh / "stacks" / (NETWORK if "external" in text else ENTRY) / "Pulumi.main.yaml"
        path.write_text(text)
        pulumi.ensure(fresh, path.parent.name)
        held = path.read_text()
        assert held.startswith(text)
        assert held.removeprefix(text).startswith("encryptionsalt: v1:")
        assert held.count("\n") == text.count("\n") + 1


def test_secrets_go_by_stdin_and_are_encrypted_anew(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh / "stacks" / NETWORK / "Pulumi.main.yaml"
    pulumi.set_config(fresh, NETWORK, "word", "s3cr3t", secret=True)
    first = path.read_text()
    assert "s3cr3t" not in first
    assert "secure:" in first
    (tmp_path / "new").write_text("new word\n")
    assert run(["state", "-C", str(fresh), "rekey", "--new-file", str(tmp_path / "new")]) == 0
    with pytest.raises(EngineError, match="passphrase does not open"):
        pulumi.set_config(fresh, NETWORK, "other", "x", secret=True)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "new word")
    assert pulumi._pulumi(fresh, NETWORK, ["config", "get", "word", "--stack", "main"]).strip() == "s3cr3t"  # fmt: skip
    assert path.read_text() != first


def sleepy(folder: Path) -> Path:
    """Make the stack's program sleep; gives the file that says that it began."""
    home = folder / "stacks" / NETWORK
    (home / "overrides.py").write_text(SLEEPY)
    return home / "begun"


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[int]:
    """Another thread's `up` holds the lock; a cancel ends it and gives the lock back. Gives the process that the lock names."""
    begun = sleepy(folder)
    outcomes: list[pulumi.Outcome] = []
    first = threading.Thread(target=lambda: outcomes.append(pulumi.up(folder, NETWORK)))
    first.start()
    until(begun.exists, 120, "the program began")
    lock = pulumi.lock_of(folder, NETWORK)
    assert lock is not None
    assert lock.holder == "alive"
    try:
        yield lock.pid
    finally:
        asked = time.monotonic()
        pulumi.cancel()
        first.join(60)
    assert time.monotonic() - asked < 30
    assert [each.status for each in outcomes] == ["cancelled"]
    assert pulumi.lock_of(folder, NETWORK) is None


def test_two_at_once_the_second_is_told_who_and_a_cancel_gives_the_lock_back(fresh: Path) -> None:
    with at_work(fresh) as pid:
        with pytest.raises(EngineError, match=f"process {pid}"):
            pulumi.up(fresh, NETWORK)
        assert run(["state", "-C", str(fresh), "unlock", NETWORK]) == 1
        assert pulumi.lock_of(fresh, NETWORK) is not None


def started(folder: Path) -> subprocess.Popen[bytes]:
    """`pulumi.up` in a process of its own, as the apply of somebody else."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from pathlib import Path; from toolkit.engines import pulumi; pulumi.up(Path({str(folder)!r}), {NETWORK!r})"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_parent_that_is_killed_lets_go_of_the_stack(fresh: Path) -> None:
    begun = sleepy(fresh)
    parent = started(fresh)
    until(begun.exists, 120, "the program began")
    assert pulumi.lock_of(fresh, NETWORK) is not None
    parent.kill()
    parent.wait()
    until(lambda: pulumi.lock_of(fresh, NETWORK) is None, 60, "the lock was given back")


def test_a_ctrl_c_ends_cleanly(fresh: Path) -> None:
    begun = sleepy(fresh)
    parent = started(fresh)
    until(begun.exists, 120, "the program began")
    parent.send_signal(signal.SIGINT)
    assert parent.wait(60) not in (0, -signal.SIGKILL)
    assert pulumi.lock_of(fresh, NETWORK) is None


def test_an_engine_that_is_killed_leaves_a_lock_that_is_known_as_dead(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = sleepy(fresh)
    raised: list[BaseException] = []

    def first() -> None:
        try:
            pulumi.up(fresh, NETWORK)
        except EngineError as error:
            raised.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    until(begun.exists, 120, "the program began")
    lock = pulumi.lock_of(fresh, NETWORK)
    assert lock is not None
    os.killpg(os.getpgid(lock.pid), signal.SIGKILL)
    thread.join(60)
    assert "ended without an answer" in str(raised[0])
    until(lambda: lock.holder == "dead", 30, "the holder is dead")
    with pytest.raises(EngineError, match="is locked by") as told:
        pulumi.up(fresh, NETWORK)
    assert "unlock" in told.value.hint
    assert run(["state", "-C", str(fresh), "unlock", NETWORK]) == 0
    assert "broken" in capsys.readouterr().out
    assert pulumi.lock_of(fresh, NETWORK) is None


def test_an_object_that_the_state_lacks_is_taken_in(fresh: Path) -> None:
    c = cloud()
    group = c.network.create_security_group(name="app0000-web")
    try:
        held = ok(pulumi.import_resources(fresh, NETWORK, [("openstack:networking/secGroup:SecGroup", "app0000-web", group.id)]))  # fmt: skip
        urns = {each["urn"]: each["id"] for each in pulumi.export_state(fresh, NETWORK)["deployment"]["resources"] if each.get("id")}  # fmt: skip
        assert urns[f"urn:pulumi:main::{NETWORK}::openstack:networking/secGroup:SecGroup::app0000-web"] == group.id  # fmt: skip
        assert held.failures == ()
        seen = {each.name: each.op for each in ok(pulumi.preview(fresh, NETWORK)).changes}
        assert seen["app0000-web"] != "create"
        assert seen["app0000-bastion"] == "create"
    finally:
        c.network.delete_security_group(group)


def test_state_in_a_bucket_of_an_object_store(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's Swift by its S3 API: state, locks and outputs are read there as in a folder."""
    import boto3
    from botocore.config import Config

    c = cloud()
    pair = c.identity.post(f"/users/{c.current_user_id}/credentials/OS-EC2", json={"tenant_id": c.current_project_id}).json()["credential"]  # fmt: skip
    endpoint = c.object_store.get_endpoint().partition("/v1/")[0]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair["access"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair["secret"])
    bucket, signed = f"state-{os.getpid()}", profile.load("openstack", "", "").signing_region
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name=signed, config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"))  # fmt: skip
    s3.create_bucket(Bucket=bucket)
    toml = fresh / "repatria.toml"
    toml.write_text(f'{toml.read_text()}\n[state]\nbackend = "s3://{bucket}/repatria?endpoint={endpoint}&region={signed}&s3ForcePathStyle=true"\n')  # fmt: skip
    (fresh / "stacks" / NETWORK / "stack.py").write_text('import pulumi\npulumi.export("app0000.id", "n")\n')  # fmt: skip
    try:
        up = ok(pulumi.up(fresh, NETWORK))
        assert up.outputs["app0000.id"].value == "n"
        state = pulumi.state_of(fresh)
        assert list(state.stacks()) == [NETWORK]
        assert state.outputs(NETWORK) == {"app0000.id": "n"}
        assert not (fresh / ".repatria" / "state").exists()
        assert pulumi.export_state(fresh, NETWORK)["deployment"]["resources"]
        with at_work(fresh):
            pass
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(EngineError, match="cannot be read"):
            pulumi.state_of(fresh).lock(NETWORK)
    finally:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair["secret"])
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", ()):
                s3.delete_object(Bucket=bucket, Key=each["Key"])
        s3.delete_bucket(Bucket=bucket)


def test_nothing_but_the_target_is_asked(fresh: Path) -> None:
    """Preview and up where no route leads anywhere but to the lab: nothing fails, nothing waits."""
    root()
    inside = ["nsenter", f"--net=/proc/{namespace.supervisor(find(lab()))}/ns/net", sys.executable, "-c"]  # fmt: skip
    reach = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"
    refused = subprocess.run([*inside, reach], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in refused.stderr
    said = subprocess.run(
        [
            *inside,
            ("import sys, json; from pathlib import Path; from toolkit.engines import pulumi\n"
            f"folder = Path({str(fresh)!r})\n"
            f"one = pulumi.preview(folder, {NETWORK!r})\n"
            f"two = pulumi.up(folder, {NETWORK!r}, targets=['urn:pulumi:main::{NETWORK}::openstack:networking/secGroup:SecGroup::app0000-web'])\n"
            f"three = pulumi.destroy(folder, {NETWORK!r})\n"
            "print(json.dumps([one.json(), two.json(), three.json()]))"),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one, two, three = json.loads(said.stdout)
    assert one["ok"]
    assert two["counts"]["create"] == 1  # what is not aimed at counts as the same
    assert three["counts"] == {"delete": 1}
