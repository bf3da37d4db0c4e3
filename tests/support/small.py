"""A workspace of one server: its estate, planned and rendered for a plain OpenStack; what tests of apply build."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.cases import CASES, resource
from toolkit import workspace
from toolkit.init import init
from toolkit.stage import plan, render

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2uqX0pwlfW0Ue7b1bAJ0xkLhmuLx1dlAqmA0ZBV7Pb operator"
OFFER = "boot:aws.ec2.instance|111122223333|eu-west-1|i-1"


TINY = frozenset({"vpc-1", "subnet-app", "sg-web"})
"""What a workspace of one network and one group is made from."""


def small_workspace(folder: Path, project: str, *, only: Iterable[str] = ()) -> dict[str, Any]:
    """A server and what it stands on, with everything configured; returns the plan. `only` are AWS ids (all, where empty)."""
    answers = "" if only else f'schema: 1\ndecisions:\n  "{OFFER}":\n    choose: rebuild\n'
    return _workspace(folder, project, _server(frozenset(only)), answers)


def names_workspace(folder: Path, project: str) -> dict[str, Any]:
    """A zone with records and some buckets, named after the project: they are unique in a whole cloud."""
    zone = f"{project}.example."
    resources: list[dict[str, Any]] = [
        {
            "type": "aws.route53.hosted_zone", "id": "/hostedzone/Z1", "name": zone, "region": "global",
            "record": {"Id": "/hostedzone/Z1", "Name": zone, "Config": {"PrivateZone": False}},
        },
        *(
            {
                "type": "aws.route53.record_set", "id": f"/hostedzone/Z1 {name}.{zone} A", "name": f"{name}.{zone}", "region": "global",
                "record": {"Name": f"{name}.{zone}", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": f"192.0.2.{number}"}]},
            }
            for number, name in enumerate(("www", "mail", "shop", "wiki", "files", "cloud"), start=1)
        ),
        *(
            {"type": "aws.s3.bucket", "id": f"{project}-{name}", "region": "eu-west-1", "record": {"Name": f"{project}-{name}"}}
            for name in ("assets", "backup", "invoices", "mail", "photos")
        ),
    ]  # fmt: skip
    return _workspace(folder, project, resources, "")


def _workspace(folder: Path, project: str, resources: list[dict[str, Any]], answers: str) -> dict[str, Any]:  # fmt: skip
    init(folder, target="openstack", region="RegionOne", project=project)
    with (folder / "repatria.toml").open("a") as file:
        file.write('\n[state]\npassphrase_file = ".repatria/passphrase"\n')
    (folder / ".repatria").mkdir(mode=0o700, exist_ok=True)
    (folder / ".repatria/passphrase").write_text("only for this test\n")
    lines = [resource(each).line() for each in resources]
    workspace.write_estate(folder / workspace.ESTATE, {"source": {"kind": "test"}}, lines)
    if answers:
        (folder / workspace.DECISIONS).write_text(answers)
    made = plan(folder).document
    render(folder)
    configure(folder, made)
    return made


def _server(only: frozenset[str]) -> list[dict[str, Any]]:
    """The case of a server that has everything, with rules in its group."""
    case = json.loads((CASES / "aws_ec2_instance/boot_rebuild.json").read_text())
    every = [case["source"], *case["others"]]
    resources = [each for each in every if not only or each["id"] in only]
    for each in resources:
        if each["type"] == "aws.ec2.security_group":
            each["record"]["IpPermissions"] = [
                {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
                for port in ((22,) if only else (22, 80, 443))
            ]  # fmt: skip
        if each["type"] == "aws.ec2.volume":
            each["record"]["Size"] = 1
    return resources


VALUES = {"operator-public-key": KEY, "dns-contact": "hostmaster@example.org"}
"""What these stacks require; flavors and images are those of the lab."""


def configure(folder: Path, made: dict[str, Any]) -> None:
    """Set what is required, and the lab's one small flavor."""
    for stack in made["stacks"]:
        path = folder / "stacks" / stack["name"] / "Pulumi.main.yaml"
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            key = line.strip("# ").partition(":")[2].partition(":")[0].strip()
            if key in VALUES and "..." in line:
                lines[number] = f"  {stack['name']}:{key}: {json.dumps(VALUES[key])}"
            if key.startswith("flavor-"):
                lines[number] = f"  {stack['name']}:{key}: m1.small"
        if any(line.startswith("  ") and not line.strip().startswith("#") for line in lines):
            lines = ["config:" if line == "config: {}" else line for line in lines]
        path.write_text("\n".join(lines) + "\n")
