"""The demo company, out of AWS (moto) and onto the lab in a cloud's likeness: refused, allowed, applied, verified, changed, unmade."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import openstack
import pytest
from openstack.config import OpenStackConfig

from tests.support.cloud import Project
from tests.support.killer import run as command
from tests.support.lab import alike, until
from toolkit.cli import run
from toolkit.demo import embedded_aws, fill, rehearsal
from toolkit.engines.pulumi import PLUGINS
from toolkit.init import init
from toolkit.lab.folder import Lab
from toolkit.verify.reach import NOT_IN
from toolkit.workspace import PLAN, read_plan

pytestmark = [
    pytest.mark.lab, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(2400),
    # openstacksdk's own, of what it will drop some day
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]  # fmt: skip
PROJECT = "e2e"


@contextmanager
def customer(lab: Lab) -> Iterator[Project]:
    """The project as its user sees it."""
    config = OpenStackConfig(config_files=[str(lab.clouds)], load_envvars=False)
    user = openstack.connection.Connection(config=config.get_one(PROJECT))
    admin = openstack.connection.Connection(config=config.get_one("lab-admin"))
    held = Project(PROJECT, user.current_project_id, lab.clouds, user, admin, "")
    try:
        yield held
    except BaseException:
        with suppress(Exception):  # what failed is what is to be read, not what it left
            held.empty()
        raise
    finally:
        user.close()
        admin.close()


class Answers:
    """Runs commands in the workspace and keeps what they print."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, command: str, *words: str) -> tuple[int, dict[str, Any]]:
        self.capsys.readouterr()
        code = run([command, "-C", str(self.folder), "--json", *words])
        said = self.capsys.readouterr()
        assert code in (0, 3), f"{command}: {code}\n{said.err[-4000:]}"
        return code, json.loads(said.out)


def touched(said: dict[str, Any]) -> dict[str, int]:
    """What a preview says would happen, sums that are not 0."""
    return {op: said["totals"][op] for op in ("create", "update", "replace", "delete") if said["totals"][op]}  # fmt: skip


@pytest.mark.parametrize("cloud", ["ovhcloud", "infomaniak"])
def test_the_company_leaves_for(
    cloud: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Answers(tmp_path / "exit", capsys)
    folder = ask.folder
    with alike(cloud, PROJECT) as lab, embedded_aws() as aws, customer(lab) as project:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith("OS_")]:
            monkeypatch.delenv(name)
        company = fill(aws.endpoint_url)
        region = project.user.config.region_name
        init(folder, target=cloud, region=region, project=PROJECT)
        read = [word for role in company.role_arns for word in ("--role-arn", role)]
        read += [word for each in company.regions for word in ("--region", each)]
        ask("discover", *read)
        ask("plan")
        ask("render")
        plan = read_plan(folder / PLAN)
        for name, value in rehearsal.credentials(folder, lab).items():
            monkeypatch.setenv(name, value)
        nothing = project.counts(every=True)

        # the default quotas are too small: said before anything is made, to the unit
        code, said = ask("preflight")
        refused = {each["kind"] for each in said["requests"]}
        assert code == 3
        assert refused, said
        if cloud == "infomaniak":
            assert {"ports", "instances"} <= refused
        assert run(["apply", "-C", str(folder), "--yes", "--confirmed", str(rehearsal.confirmations(folder, plan))]) == 3  # fmt: skip
        assert project.counts(every=True) == nothing, "a refused apply makes nothing"
        rehearsal.raise_quotas(folder, lab, print)
        assert not ask("preflight")[1]["requests"], "exactly what was asked for is enough"

        # applied, and the same again changes nothing
        rehearsal.stand_ins(folder, plan, print)
        code, said = ask("apply", "--yes", "--confirmed", str(rehearsal.confirmations(folder, plan)))  # fmt: skip
        built = [each for each in plan["stacks"] if each["package"] in PLUGINS]
        assert (code, said["totals"]["built"], said["totals"]["open"]) == (0, len(built), 0), said["stopped"]  # fmt: skip
        for again in (ask("preview"), ask("preview", "--refresh")):
            assert touched(again[1]) == {}
            assert again[1]["totals"]["same"] >= sum(len(each["resources"]) for each in built)
        code, said = ask("verify")
        assert (code, said["findings"]) == (0, [])
        if lab.settings.boxes:
            _paths_are_as_planned(folder, lab, _behind(plan, "shop-db"))

        # one change at AWS is one change at the target
        _open_a_port(aws.endpoint_url, plan)
        ask("discover", *read)
        ask("plan")
        code, said = ask("diff", "--against", str(_kept(folder, plan)))
        assert code == 3
        assert said["changes"]
        ask("render")
        code, said = ask("verify")
        assert code == 3, "what is planned and not yet there is told"
        before = project.counts(every=True)
        plan = read_plan(folder / PLAN)
        code, said = ask("apply", "--yes", "--confirmed", str(rehearsal.confirmations(folder, plan)))  # fmt: skip
        assert code == 0, said["stopped"]
        after = project.counts(every=True)
        made = sum(step.get("create", 0) for step in said["steps"])
        assert made
        assert {k: after[k] - before[k] for k in after if after[k] != before[k]} == {"rule": made}
        assert not any(
            step.get(op) for step in said["steps"] for op in ("update", "replace", "delete")
        )
        assert ask("verify")[0] == 0

        # and nothing of it is left
        ended = command(
            ["destroy", "-C", str(folder), "--including-data"], dict(os.environ), f"{PROJECT}\n"
        )
        assert ended.code == 0, ended.err
        _no_stand_ins(project)
        assert project.counts(every=True) == nothing


def _behind(plan: dict[str, Any], group: str) -> set[str]:
    """Servers whose port is in this group, or in the part of it that a stack of its own holds."""
    made = [each for stack in plan["stacks"] if stack["package"] in PLUGINS for each in stack["resources"]]  # fmt: skip
    ports = {
        each["name"] for each in made
        if any(held["$ref"].split("-in-")[0] == group for held in each["props"].get("security_group_ids", ()))
    }  # fmt: skip
    return {
        each["name"] for each in made
        if each["type"].endswith("compute.Instance")
        and any(held.get("port", {}).get("$ref") in ports for held in each["props"]["networks"])
    }  # fmt: skip


def _paths_are_as_planned(folder: Path, lab: Lab, databases: set[str]) -> None:
    """From inside the lab, where floating IPs answer: SSH with the operator's key, allowed paths, and a sample of forbidden ones."""
    words = ["lab", "run", "--lab", str(lab.folder), "--", str(Path(sys.executable).with_name("repatria")), "verify", "-C", str(folder), "--json", "--user", "debian", "--reach", str(folder / rehearsal.DEMO_KEY)]  # fmt: skip

    def tried() -> dict[str, Any] | None:
        ended = command(words, dict(os.environ))
        assert ended.code in (0, 3), ended.err
        said: dict[str, Any] = json.loads(ended.out)
        return (
            said if all(each["reason"] != NOT_IN for each in said["reach"]["not_tried"]) else None
        )

    said = until(tried, 240, "every server lets the operator in whom the plan lets in")
    # the lab's balancers are Octavia's own without a data plane: no more than their addresses are there
    wrong = [each for each in said["findings"] if each["type"] != "openstack.loadbalancer.LoadBalancer"]  # fmt: skip
    assert wrong == []
    paths = said["reach"]["paths"]
    # on OVHcloud they are of its own API, which the lab has not
    assert bool(databases) == (lab.settings.like == "infomaniak")
    into = [each for each in paths if each["to"] in databases and each["from"] not in databases]
    allowed = {(re.sub(r"-\d+$", "", each["from"]), each["port"]) for each in into if each["allowed"] and each["answer"] != "silent"}  # fmt: skip
    asking = {(name, port) for name in ("shop-web", "shop-invoices") for port in (3306, 5432)}
    assert allowed == (asking if databases else set()), into
    assert any(not each["allowed"] for each in into) == bool(databases), "something must not get there"  # fmt: skip
    assert any(not each["from"] and each["port"] == 22 and each["answer"] == "open" for each in paths), "SSH from outside"  # fmt: skip


def _kept(folder: Path, plan: dict[str, Any]) -> Path:
    """The plan that was applied, as its reviewers keep it."""
    from toolkit.workspace import canonical

    path = folder.parent / "reviewed.json"
    path.write_bytes(canonical(plan) + b"\n")
    return path


def _open_a_port(endpoint: str, plan: dict[str, Any]) -> None:
    """One more rule in a group that is planned, from inside its own network."""
    group = next(
        item["subject"] for item in plan["items"]
        if item["subject"]["type"] == "aws.ec2.security_group" and item["becomes"] and item["subject"]["name"] == "shop-db"
    )  # fmt: skip
    # boto3's own default session keeps the keys of the first company of this process
    ec2 = boto3.Session().client("ec2", region_name=group["region"], endpoint_url=endpoint)
    ec2.authorize_security_group_ingress(
        GroupId=group["id"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 9187, "ToPort": 9187, "IpRanges": [{"CidrIp": "10.20.0.0/24"}]}],
    )  # fmt: skip


def _no_stand_ins(project: Project) -> None:
    """The demo's empty images and volumes are not the plan's: whoever made them removes them."""
    for image in project.user.image.images(owner=project.id):
        project.user.image.delete_image(image)
    for key in project.user.compute.keypairs():
        if key.name == rehearsal.KEY:
            project.user.compute.delete_keypair(key)
    for volume in project.user.block_storage.volumes():
        project.user.block_storage.delete_volume(volume)
        project.user.block_storage.wait_for_delete(volume, interval=1, wait=60)
