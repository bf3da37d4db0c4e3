"""repatria doctor: each part is really looked for, and only what the next step needs is a fault."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from toolkit import cli
from toolkit import doctor as rooms
from toolkit.doctor import STEPS, Part, doctor
from toolkit.init import init


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing: an empty PATH and home, no sign-in of any cloud, no lab, no engine."""
    for name in [each for each in os.environ if each.startswith(("OS_", "AWS_", "CLOUDTEMPLE_", "REPATRIA_"))]:  # fmt: skip
        monkeypatch.delenv(name)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty))
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(empty / "clouds.yaml"))
    monkeypatch.setenv("REPATRIA_LAB", str(empty))


def parts(folder: Path) -> dict[str, Part]:
    return {part.name: part for part in doctor(folder).parts}


def program(folder: Path, name: str, script: str) -> None:
    file = folder / "empty" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_a_bare_machine_is_ready_to_begin(tmp_path: Path) -> None:
    held = doctor(tmp_path)
    assert held.next == "init"
    assert held.missing == ()
    found = {part.name: part for part in held.parts}
    assert {n for n, p in found.items() if p.state == "absent"} >= {"git", "workspace", "aws", "target", "engine", "go", "lab", "chromium"}  # fmt: skip
    assert all(part.get for part in held.parts if part.state != "ok"), "each has a command"
    assert all(not part.get for part in held.parts if part.state == "ok")
    assert found["engine"].get == "make engine"


def test_what_the_next_step_needs_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    folder = tmp_path / "w"
    init(folder, target="openstack", project="p")
    assert cli.run(["doctor", "-C", str(folder), "--json"]) == 3
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["schema"], document["next"], document["ready"]) == (1, "discover", False)
    assert [p["name"] for p in document["parts"] if p["needed"] and p["state"] != "ok"] == ["aws"]
    assert "aws" in said.err
    credentials = tmp_path / "empty/.aws/credentials"
    credentials.parent.mkdir()
    credentials.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = hunter2hunter2\n")  # fmt: skip
    assert cli.run(["doctor", "-C", str(folder)]) == 0
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert f"repatria discover -C {folder}" in said.err
    for name in ("estate.jsonl", "plan.json", "rendered.json"):
        (folder / name).write_text("{}")
    held = doctor(folder)
    assert held.next == "preview"
    assert {part.name for part in held.missing} == {"workspace", "target", "engine"}
    assert cli.run(["doctor", "-C", str(folder)]) == 3
    assert "BROKEN" in capsys.readouterr().out


def test_steps_of_parts_are_steps_of_the_way(tmp_path: Path) -> None:
    for name, serves, steps, _ in rooms._looks(tmp_path):
        assert set(steps) <= set(STEPS), name
        assert serves


def test_programs_are_run_and_not_believed(tmp_path: Path) -> None:
    program(tmp_path, "git", "echo git version 9.9")
    program(tmp_path, "chromium", "echo no display >&2; exit 3")
    program(tmp_path, "go", "echo go version go1.21.5 linux/amd64")
    found = parts(tmp_path)
    assert found["git"].state == "ok"
    assert "9.9" in found["git"].found
    assert found["chromium"].state == "broken"
    assert "no display" in found["chromium"].found
    assert found["go"].state == "broken"
    assert "1.26" in found["go"].found
    program(tmp_path, "go", "echo go version go1.27.0 linux/amd64")
    assert parts(tmp_path)["go"].state == "ok"


def test_an_engine_of_the_users_own_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    import importlib.metadata

    wanted, plugin = (importlib.metadata.version(each) for each in ("pulumi", "pulumi-openstack"))
    program(tmp_path, "pulumi", "echo v3.1.0")
    held = parts(tmp_path)["engine"]
    assert held.state == "absent"
    assert "3.1.0" in held.found
    home = tmp_path / "pulumi"
    file = home / f"plugins/resource-openstack-v{plugin}/pulumi-resource-openstack"
    file.parent.mkdir(parents=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    monkeypatch.setenv("PULUMI_HOME", str(home))
    other = tmp_path / "bin"
    other.mkdir()
    (other / "pulumi").write_text(f"#!/bin/sh\necho v{wanted}\n")
    (other / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", str(other))
    held = parts(tmp_path)["engine"]
    assert held.state == "ok"
    assert "PATH" in held.found


def test_a_lab_is_up_where_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    monkeypatch.setenv("REPATRIA_LAB", str(lab))
    (lab / "clouds.yaml").write_text("clouds: {lab: {}}")
    assert parts(tmp_path)["lab"].state == "broken"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v3"
        (lab / "clouds.yaml").write_text(f"clouds: {{lab: {{auth: {{auth_url: '{url}'}}}}}}")
        held = parts(tmp_path)["lab"]
        assert held.state == "ok"
        assert url in held.found
    held = parts(tmp_path)["lab"]
    assert held.state == "absent"
    assert "down" in held.found


def test_credentials_that_do_not_work_are_broken(tmp_path: Path) -> None:
    (tmp_path / "empty/clouds.yaml").write_text(
        "clouds: {p: {auth: {auth_url: 'http://127.0.0.1:9/v3', username: u, password: hunter2hunter2, project_name: p}, region_name: R}}"
    )
    held = parts(tmp_path)["target"]
    assert held.state == "broken"
    assert "does not answer" in held.found
    assert "hunter2" not in held.found + held.get
    assert not held.needed


@pytest.mark.parametrize(
    ("held", "bound", "good"),
    [
        ("3.259.0", "==3.259.0", True), ("3.259.1", "==3.259.0", False), ("8.2", ">=8.2", True), ("8.1.9", ">=8.2", False),
        ("2.4", ">=2.4.0", True), ("4.22.0", "<5", True), ("5.0", "<5", False), ("1.4.5", "~=1.4.2", True), ("1.5.0", "~=1.4.2", False),
        ("1.0", "!=1.0", False),
    ],
)  # fmt: skip
def test_versions_are_compared_by_number(held: str, bound: str, good: bool) -> None:
    assert rooms._satisfies(held, bound) is good


def test_a_package_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    asked: list[Any] = ["click>=999", "no-such-package-of-ours", "moto[all]>=5 ; extra == 'demo'", "orjson"]  # fmt: skip
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: asked)
    held = doctor(tmp_path)
    assert [part.name for part in held.missing] == ["packages"]
    assert "click is" in held.missing[0].found
    assert "no-such-package-of-ours is not there" in held.missing[0].found
    assert "moto" not in held.missing[0].found


def test_help_needs_no_cloud() -> None:
    import subprocess

    code = "import sys; from toolkit.cli import run; run(['--help']); print([m for m in ('boto3', 'openstack', 'pulumi') if m in sys.modules], file=sys.stderr)"  # fmt: skip
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr.strip() == "[]"
    assert "preflight" in said.stdout
    assert "doctor" in said.stdout
