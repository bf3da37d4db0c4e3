"""botocore's own example responses, read by the engine as they come from AWS, planned without a crash."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.model import Shape

from tests.support import cases
from toolkit.clouds import load as load_cloud
from toolkit.estate.engine import GLOBAL, Place, Reader
from toolkit.estate.model import Estate
from toolkit.estate.redact import Redactor
from toolkit.progress import Progress
from toolkit.rule import Rule
from toolkit.rules import load
from toolkit.targets import realise
from toolkit.translate import Context, translate

RULES = load()
PARTIAL = {
    "aws.ec2.address": "one example is of EC2-Classic, which ended: an address without an allocation",
    "aws.ecs.cluster": "what is listed and what is described are different clusters in the examples",
    "aws.ecs.service": "what is listed and what is described are different services in the examples",
}
"""Examples with a record that cannot be named: it is a gap, and the rest is read."""


@cache
def _examples(service: str) -> dict[str, list[dict[str, Any]]]:
    """Operation -> the outputs that botocore ships for it, typed as a parser would hand them on."""
    loader = botocore.session.get_session().get_component("data_loader")
    try:
        version = loader.determine_latest_version(service, "service-2")
        held = loader.load_service_model(service, "examples-1", version)["examples"]
    except botocore.exceptions.UnknownServiceError:
        return {}
    except botocore.exceptions.DataNotFoundError:
        return {}
    return {
        operation: [each["output"] for each in cases if each.get("output")]
        for operation, cases in held.items()
    }


def _with_example() -> list[Rule]:
    found = []
    for rule in RULES.values():
        model = boto3.client(rule.fetch.service, "eu-west-1").meta.method_to_api_mapping
        if _examples(rule.fetch.service).get(model[rule.fetch.operation]):
            found.append(rule)
    return found


def _typed(value: Any, shape: Shape | None) -> Any:
    """Times in the examples are text or numbers; a parser hands on datetimes and bytes."""
    if shape is None:
        return value
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            return {k: _typed(v, shape.members.get(k)) for k, v in value.items()}  # type: ignore[attr-defined]
        case "list" if isinstance(value, list):
            return [_typed(each, shape.member) for each in value]  # type: ignore[attr-defined]
        case "map" if isinstance(value, dict):
            return {k: _typed(v, shape.value) for k, v in value.items()}  # type: ignore[attr-defined]
        case "timestamp":
            return botocore.utils.parse_timestamp(value)
        case "blob":
            return str(value).encode()
        case _:
            return value


class _Canned(Reader):
    """The reader with botocore's examples where the network would be; what has none is empty."""

    def _pages(self, service: str, operation: str, params: Any) -> Any:  # noqa: ARG002
        client = boto3.client(service, "eu-west-1")
        name = client.meta.method_to_api_mapping[operation]
        shape = client.meta.service_model.operation_model(name).output_shape
        for output in _examples(service).get(name, [])[:1]:
            yield _typed(deepcopy(output), shape)


def test_most_services_ship_examples() -> None:
    assert len(_with_example()) >= 30


@pytest.mark.parametrize("rule", _with_example(), ids=lambda rule: rule.type)
def test_botocores_own_examples_are_read_and_planned(rule: Rule, tmp_path: Any) -> None:
    parents = []
    wanted = rule
    while wanted.fetch.each:
        wanted = RULES[wanted.fetch.each]
        parents.append(wanted)
    place = Place(boto3.Session(), "111122223333", GLOBAL if rule.fetch.scope == "global" else "eu-west-1", "aws", "us-east-1")  # fmt: skip
    redactor = Redactor(b"0" * 32)
    with ThreadPoolExecutor(2) as pool:
        reader = _Canned(place, rule.fetch.service, (*parents, rule), redactor, Progress(), pool)
        lines = list(reader.read())
    gaps = [line for line in lines if line["kind"] == "gap"]
    assert {gap["reason"] for gap in gaps} == ({"error"} if rule.type in PARTIAL else set()), gaps
    read = [cases.resource(line) for line in lines if line["kind"] == "resource"]
    mine = [each for each in read if each.type == rule.type]
    lacking = sum(gap.get("count") or 1 for gap in gaps if rule.type in gap["detail"])
    times = len(reader.raw[rule.fetch.each]) if rule.fetch.each else 1
    assert len(mine) + lacking == _expected(rule) * times, "its example was not read"
    json.dumps([each.line() for each in mine])
    for cloud in ("openstack", "cloudtemple"):
        ordered = {each.key: each for each in read}
        estate = Estate({}, tuple(ordered[key] for key in sorted(ordered)))
        ctx = Context(estate=estate, cloud=load_cloud(cloud))
        said = translate(ctx, RULES)
        realise(ctx, said)
        for key, each in said.items():
            reasons = [str(loss.reason) for loss in each.losses]
            assert not [r for r in reasons if "crashed" in r], (key, reasons)
            if RULES[estate.by_key[key].type].tier == 1:
                assert not [r for r in reasons if "Unknown to this version" in r], (key, reasons)
            assert each.intents or each.disposition or each.losses, f"{key}: not explained"


def _expected(rule: Rule) -> int:
    """Records in the example, after what the rule leaves out on purpose."""
    from toolkit.estate.engine import walk

    client = boto3.client(rule.fetch.service, "eu-west-1")
    name = client.meta.method_to_api_mapping[rule.fetch.operation]
    output = _examples(rule.fetch.service)[name][0]
    return sum(
        rule.fetch.keep is None or not isinstance(each, dict) or rule.fetch.keep(each)
        for each in walk(output, rule.fetch.path)
    )
