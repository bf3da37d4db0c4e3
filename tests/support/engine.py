"""What tests of the engine need: the engine itself, and something small to run on it."""

from __future__ import annotations

from pathlib import Path

from tests.bench import estate
from tests.support.missing import missing
from toolkit.engines import pulumi
from toolkit.errors import EngineError
from toolkit.init import init
from toolkit.stage import plan, render
from toolkit.workspace import ESTATE, write_estate


def engine() -> pulumi.Engine:
    """The engine. Where there is none the test is skipped, and fails in CI."""
    try:
        return pulumi.locate()
    except EngineError as error:
        missing(f"{error.message}; {error.hint}")


def workspace(folder: Path) -> Path:
    """A small estate planned and rendered: a VPC with a subnet, three groups, a bastion with a public address."""
    init(folder, target="openstack", project="p")
    wanted = {f"app0000{end}" for end in ("", "-public-a", "-igw", "-main", "-public", "-balancer", "-web", "-bastion", "-bastion-00")}  # fmt: skip
    held = [
        each
        for each in estate.generate(114)
        if each.name in wanted and each.type.startswith("aws.ec2.")
    ]
    header = {
        "source": {"partition": "aws", "accounts": ["100000000000"], "regions": ["eu-west-1"]},
        "partition": "aws", "types": sorted({each.type for each in held}), "repatria": "test",
    }  # fmt: skip
    write_estate(folder / ESTATE, header, [each.line() for each in held])
    plan(folder)
    render(folder)
    return folder
