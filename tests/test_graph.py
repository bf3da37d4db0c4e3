"""Who refers to whom: names that repeat across networks mean the one that is near, or nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import cases
from toolkit.estate.model import Estate, Resource
from toolkit.plan.graph import connect

NAME = "ip-10-0-0-7.eu-west-1.compute.internal"


def server(id_: str, vpc: str, **more: Any) -> Resource:
    """An instance that has the name."""
    raw = {"type": "aws.ec2.instance", "id": id_, "record": {"VpcId": vpc, "PrivateDnsName": NAME}}
    return cases.resource({**raw, **more})


def user(record: dict[str, Any]) -> Resource:
    """A function that names it."""
    said = {"Environment": {"Variables": {"DB": f"postgres://{NAME}:5432/shop"}}}
    return cases.resource({"type": "aws.lambda.function", "id": "f", "record": {**said, **record}})


def meant(*resources: Resource) -> list[str]:
    """The ids that the function refers to."""
    estate = Estate({}, tuple(sorted(resources, key=lambda each: each.key)))
    return [
        estate.by_key[edge.dst].id
        for edge in connect(estate).edges
        if edge.src.startswith("aws.lambda")
    ]


A, B = server("i-a", "vpc-a"), server("i-b", "vpc-b")
FAR = server("i-far", "vpc-far", account="999999999999")


@pytest.mark.parametrize("vpc", ["a", "b"])
def test_a_name_means_the_server_of_ones_own_network(vpc: str) -> None:
    assert meant(A, B, FAR, user({"VpcConfig": {"VpcId": f"vpc-{vpc}"}})) == [f"i-{vpc}"]


def test_else_the_only_one_of_the_account_and_region() -> None:
    assert meant(B, FAR, user({"VpcConfig": {"VpcId": "vpc-c"}})) == ["i-b"]
    assert meant(B, FAR, user({})) == ["i-b"]
    assert meant(FAR, user({})) == ["i-far"]


def test_an_ambiguous_name_means_nobody() -> None:
    assert meant(A, B, user({})) == []
    assert meant(FAR, server("i-us", "vpc-us", region="us-east-1"), user({})) == []


def test_an_interface_is_not_another_one_than_its_server() -> None:
    card = cases.resource(
        {"type": "aws.ec2.network_interface", "id": "eni-a", "record": {"VpcId": "vpc-a", "PrivateDnsName": NAME}}
    )  # fmt: skip
    assert meant(A, card, user({})) == ["i-a"]


def test_servers_of_one_name_do_not_need_each_other() -> None:
    assert connect(Estate({}, (A, B, FAR))).edges == ()
