"""The demo company through the whole pipeline, for all four targets: sums, secrets, programs, pages."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import yaml

import toolkit
from tests.support.demo import TARGETS, Demo
from toolkit import workspace
from toolkit.cli import run
from toolkit.plan.names import holds_raw_id
from toolkit.stage import plan, render

SCHEMAS = Path(toolkit.__file__).parent / "schemas"
ROOT = Path(__file__).parents[1]


def test_two_readings_of_an_unchanged_estate_are_byte_identical(demo: Demo) -> None:
    assert demo.first == demo.second


def test_no_planted_secret_reaches_any_file(demo: Demo) -> None:
    assert len(demo.company.secrets) >= 8
    for path in demo.root.rglob("*"):
        if path.is_file() and path.name != "redaction.key":
            content = path.read_bytes()
            for secret in demo.company.secrets:
                assert secret.encode() not in content, path


@pytest.mark.parametrize("target", TARGETS)
def test_sums_agree_and_the_plan_fits_its_schema(demo: Demo, target: str) -> None:
    document = demo.plans[target]
    totals = document["totals"]
    assert (
        totals["read"] == totals["planned"] + totals["explained"] == len(document["items"]) >= 150
    )
    assert totals["applications"] >= 6
    assert totals["decisions"] >= 25
    assert totals["losses"] >= 25
    jsonschema.validate(
        orjson.loads(orjson.dumps(document)), json.loads((SCHEMAS / "plan.json").read_text())
    )


def test_other_files_fit_their_schemas(demo: Demo) -> None:
    folder = demo.root / "ovhcloud"
    lines = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "estate.json").read_text()))
    for line in (folder / workspace.ESTATE).read_bytes().splitlines():
        lines.validate(orjson.loads(line))
    for name in ("names", "decisions"):
        held = yaml.safe_load((folder / f"{name}.yaml").read_text())
        jsonschema.validate(held, json.loads((SCHEMAS / f"{name}.json").read_text()))


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_crashed_and_no_raw_id_is_a_value(demo: Demo, target: str) -> None:
    document = demo.plans[target]
    crashed = [
        loss
        for item in document["items"]
        for loss in item["losses"]
        if "crashed" in str(loss["reason"])
    ]
    assert not crashed

    def strings(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for held in value.values():
                yield from strings(held)
        elif isinstance(value, list):
            for held in value:
                yield from strings(held)

    found = {
        s
        for stack in document["stacks"]
        for r in stack["resources"]
        for s in strings(r["props"])
        if holds_raw_id(s)
    }
    assert not found


@pytest.mark.parametrize("target", TARGETS)
def test_planning_and_rendering_again_changes_nothing(demo: Demo, target: str) -> None:
    folder = demo.root / target
    before = (folder / workspace.PLAN).read_bytes()
    plan(folder)
    assert (folder / workspace.PLAN).read_bytes() == before
    assert render(folder, check=True).differs == []


def test_renaming_everything_moves_nothing(demo: Demo, tmp_path: Path) -> None:
    source = demo.root / "openstack"
    for name in (workspace.CONFIG, workspace.NAMES, workspace.MEASURES):
        shutil.copy(source / name, tmp_path / name)
    estate = workspace.read_estate(source / workspace.ESTATE)
    lines = []
    for resource in estate:
        line = orjson.loads(orjson.dumps(resource.line()))
        line["tags"] = {
            key: value if key.startswith("aws:") else f"changed {value}"
            for key, value in line["tags"].items()
        }
        line["name"] = f"changed {line['name']}"
        lines.append(line)
    workspace.write_estate(tmp_path / workspace.ESTATE, {}, lines)
    after = plan(tmp_path).document

    def seats(document: dict[str, Any]) -> dict[str, str]:
        return {r["name"]: s["name"] for s in document["stacks"] for r in s["resources"]}

    old, new = seats(demo.plans["openstack"]), seats(after)
    assert {name: stack for name, stack in new.items() if name in old} == {
        name: stack for name, stack in old.items() if name in new
    }
    assert set(new) == set(old)


@pytest.mark.parametrize("target", TARGETS)
def test_programs_are_clean_and_formatted(demo: Demo, target: str) -> None:
    folder = demo.root / target
    for command in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "stacks"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("target", TARGETS)
def test_programs_are_typed(demo: Demo, target: str, tmp_path: Path) -> None:
    """mypy --strict; Cloud Temple's package is generated on the operator's machine, so it is any."""
    extra = ["--ignore-missing-imports"] if target == "cloudtemple" else []
    cache = tmp_path / "cache"

    def one(folder: Path) -> str:
        command = [sys.executable, "-m", "mypy", "--strict", *extra, f"--cache-dir={cache}"]
        command += ["--no-sqlite-cache", "--no-error-summary", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        for module in folder.glob("*.py"):  # the next program has modules of the same names
            for held in cache.glob(f"*/{module.stem}.*"):
                held.unlink()
        return "" if done.returncode == 0 else f"{folder.name}: {done.stdout}{done.stderr}"

    folders = sorted((demo.root / target / "stacks").iterdir())
    faults = [each for each in map(one, folders) if each]
    assert not faults, "\n".join(faults)[:3000]


def _run_stack(folder: Path, config: dict[str, str], upstream: list[str]) -> list[dict[str, Any]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "UPSTREAM": json.dumps(upstream),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "tests/support/mocks.py"), str(folder), json.dumps(config)], capture_output=True, text=True, timeout=120, env=environment, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{folder.name}: {done.stderr[-2500:]}"
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_every_program_makes_what_the_plan_says(demo: Demo, target: str) -> None:
    document = demo.plans[target]
    names = {r["name"] for stack in document["stacks"] for r in stack["resources"]}
    upstream = sorted(
        {
            f"{name}.{attr}"
            for name in names
            for attr in (
                "id",
                "name",
                "address",
                "secret_ref",
                "vip_port_id",
                "ip_address",
                "all_fixed_ips[0]",
            )
        }
    )

    def one(stack: dict[str, Any]) -> None:
        folder = demo.root / target / "stacks" / stack["name"]
        required = {
            f"{stack['name']}:{held['$config']}": "value"
            for r in stack["resources"]
            for held in _configs(r["props"])
            if "default" not in held
        }
        made = _run_stack(folder, required, upstream)
        assert sorted(each["name"] for each in made) == sorted(
            r["name"] for r in stack["resources"]
        )
        types = {r["name"]: r["type"].rsplit(".", 1)[-1] for r in stack["resources"]}
        assert all(each["token"].rsplit(":", 1)[-1] == types[each["name"]] for each in made)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, document["stacks"]))


def _configs(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "$config" in value:
            yield value
        else:
            for held in value.values():
                yield from _configs(held)
    elif isinstance(value, list):
        for held in value:
            yield from _configs(held)


@pytest.mark.parametrize("target", ["ovhcloud", "infomaniak", "openstack"])
def test_every_property_is_one_that_the_sdk_takes(demo: Demo, target: str) -> None:
    for stack in demo.plans[target]["stacks"]:
        for resource in stack["resources"]:
            package, *modules, cls = resource["type"].split(".")
            held = getattr(importlib.import_module(".".join([f"pulumi_{package}", *modules])), cls)
            known = set(inspect.signature(held._internal_init).parameters)
            assert set(resource["props"]) <= known, resource["type"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_printed_command_of_ours_parses(demo: Demo, target: str) -> None:
    from toolkit.cli import commands

    for step in demo.plans[target]["steps"]:
        for command in (step["command"], step["check"]):
            if command.startswith("repatria "):
                commands.make_context("repatria", command.split()[1:], resilient_parsing=True)
    ids = [step["id"] for step in demo.plans[target]["steps"]]
    assert len(ids) == len(set(ids))
    assert all(need in ids for step in demo.plans[target]["steps"] for need in step["needs"])
    turns = {step["wave"] for step in demo.plans[target]["steps"] if step["turn"]}
    assert turns == {wave["number"] for wave in demo.plans[target]["waves"]}


def test_rewire_names_what_points_at_aws_and_nothing_of_its_own(demo: Demo) -> None:
    found = demo.plans["openstack"]["rewire"]
    assert {each["kind"] for each in found} == {
        "endpoint", "arn", "role", "metadata", "address", "allow-list", "certificate",
    }  # fmt: skip
    where = {(each["where"].split(" (", 1)[0], each["kind"], each["value"]) for each in found}
    assert ("shop-web", "metadata", "169.254.169.254") in where
    queue = "sqs.eu-west-1.amazonaws.com/111122223333/invoices.fifo"
    assert any(name == "shop-web" and value.endswith(queue) for name, _, value in where)
    own = ("aws.rds.", "aws.sqs.", "aws.elbv2.load_balancer", "aws.efs.")
    assert not [
        each for each in found if each["subject"].startswith(own) and each["kind"] == "endpoint"
    ]


def test_a_changed_generated_file_is_told_and_kept(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = demo.root / "openstack"
    file = folder / "stacks/shop-network/network.py"
    before = file.read_bytes()
    file.write_bytes(before + b"# mine\n")
    try:
        assert run(["render", "-C", str(folder)]) == 3
        assert "network.py" in capsys.readouterr().out
        assert file.read_bytes().endswith(b"# mine\n")
    finally:
        file.write_bytes(before)


def test_the_answers_of_the_commands(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(demo.root / "openstack")
    for arguments, code in (
        (["show", "-C", folder], 0), (["show", "-C", folder, "aws.ec2.vpc"], 0), (["show", "-C", folder, "shop"], 0), (["explain", "-C", folder, "shop-orders"], 0),
        (["plan", "-C", folder], 3), (["render", "-C", folder, "--check"], 0), (["show", "-C", folder, "no-such-thing"], 1),
    ):  # fmt: skip
        assert run(arguments) == code, arguments
    capsys.readouterr()
    assert run(["plan", "-C", folder, "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == 1
    assert answer["totals"]["read"] == demo.plans["openstack"]["totals"]["read"]
