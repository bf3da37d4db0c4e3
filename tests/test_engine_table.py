"""Our OpenStack plugin and the Python SDK from PyPI name every type and every property alike."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi._types as types
import pulumi_openstack
import pytest

from tests.support.cases import all_cases, clouds_of, load, run
from tests.support.engine import engine
from toolkit.program import token_of

pytestmark = pytest.mark.engine
TARGET = Path(__file__).parent.parent / "toolkit" / "targets" / "openstack"


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, dict[str, Any]]]:
    """What the built plugin says of itself."""
    held = engine()
    plugin = held.home / "plugins" / f"resource-openstack-v{held.plugin}"
    said = subprocess.run(
        [plugin / "pulumi-resource-openstack", "-table"], capture_output=True, check=True
    )
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(said.stdout)
    return found


def sdk(token: str) -> type[pulumi.CustomResource]:
    """`openstack:networking/network:Network` -> the class of pulumi_openstack."""
    module = token.split(":")[1].split("/", maxsplit=1)[0]
    held = importlib.import_module(f"pulumi_openstack.{module}")
    found: type[pulumi.CustomResource] = getattr(held, token.split(":")[2])
    return found


def _said() -> set[str]:
    """Every `openstack.MODULE.NAME` that our OpenStack realisers say, read from their sources."""
    constants = {
        node.value
        for path in TARGET.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {each for each in constants if each.startswith("openstack.") and each.count(".") == 2}


def emitted() -> set[str]:
    """Every type that they write."""
    return {token_of(each) for each in _said() if each.split(".")[2][:1].isupper()}


def looked_up() -> set[str]:
    """Every function that they read with."""
    return {each for each in _said() if each.split(".")[2].startswith("get_")}


def args_class(resource: type[pulumi.CustomResource]) -> type:
    """`Network` -> `NetworkArgs`, the class of its inputs."""
    module = importlib.import_module(resource.__module__)
    found: type = getattr(module, f"{resource.__name__}Args")
    return found


def objects(kind: Any) -> Iterator[type]:
    """Classes of nested inputs inside a type hint."""
    if isinstance(kind, type) and types.is_input_type(kind):
        yield kind
    for inner in typing.get_args(kind):
        yield from objects(inner)


def inputs_of(args: type) -> dict[str, Any]:
    """Pulumi's name of each input -> None, or the inputs of the object that it holds."""
    names = types.input_type_py_to_pulumi_names(args)
    hints = types.input_type_types(args)
    held: dict[str, Any] = {}
    for name in names.values():
        inner = next(objects(hints[name]), None)
        held[name] = inputs_of(inner) if inner else None
    return held


def mapped(properties: dict[str, Any], *, inner: bool = False) -> dict[str, Any]:
    """The same of the plugin's table. An object has one class for both ways, so what is only read is in it too."""
    return {
        name: mapped(held["object"], inner=True) if held.get("object") else None
        for name, held in properties.items()
        if inner or held.get("input")
    }


def test_the_plugin_maps_every_type_and_function_of_the_sdk(
    table: dict[str, dict[str, dict[str, Any]]],
) -> None:
    """But for aliases: types that have moved keep their old token (`index/...`) in the SDK."""
    root = Path(str(pulumi_openstack.__file__)).parent
    known = {
        found
        for path in root.rglob("*.py")
        for found in re.findall(
            r"'(openstack:[A-Za-z0-9/]+:[A-Za-z0-9]+)'", path.read_text("utf-8")
        )
    }
    assert len(known) > 150
    missing = known - table["resources"].keys() - table["functions"].keys()
    assert {token for token in missing if not token.startswith("openstack:index/")} == set()
    assert table["resources"].keys() | table["functions"].keys() <= known


def test_the_realisers_write_types_that_were_found() -> None:
    assert len(emitted()) > 20
    assert "openstack:networking/network:Network" in emitted()
    assert "openstack.images.get_image" in looked_up()


@pytest.mark.parametrize("token", sorted(emitted()))
def test_type_and_every_input_agree_with_the_sdk(
    token: str, table: dict[str, dict[str, dict[str, Any]]]
) -> None:
    resource = sdk(token)
    assert resource.pulumi_type == token  # type: ignore[attr-defined]
    assert token in table["resources"], f"the plugin lacks {token}"
    assert mapped(table["resources"][token]) == inputs_of(args_class(resource))


@pytest.mark.parametrize("token", sorted(emitted()))
def test_every_output_agrees_with_the_sdk(
    token: str, table: dict[str, dict[str, dict[str, Any]]]
) -> None:
    outputs = {
        held.fget._pulumi_name
        for held in vars(sdk(token)).values()
        if isinstance(held, property) and hasattr(held.fget, "_pulumi_name")
    }
    assert set(table["resources"][token]) == outputs


@pytest.mark.parametrize("path", sorted(looked_up()))
def test_every_function_is_the_plugins(
    path: str, table: dict[str, dict[str, dict[str, Any]]]
) -> None:
    module, name = path.split(".")[1:]
    source = importlib.import_module(
        getattr(importlib.import_module(f"pulumi_openstack.{module}"), name).__module__
    )
    text = Path(str(source.__file__)).read_text("utf-8")
    token = next(known for known in table["functions"] if f"'{known}'" in text)
    declared = {
        held.fget._pulumi_name
        for held in vars(
            getattr(
                source, "Get" + "".join(part.title() for part in name.split("_")[1:]) + "Result"
            )
        ).values()
        if isinstance(held, property) and hasattr(held.fget, "_pulumi_name")
    }
    assert declared - {"id"} == set(table["functions"][token]) - {"id"}


def broken(token: str, given: set[str], table: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Laws between the fields of a type that a resource with these (Terraform's names) breaks."""
    found = []
    for held in table["resources"][token].values():
        name = held["terraform"]
        if held.get("required") and name not in given:
            found.append(f"{name} is required")
        if name in given:
            found += [f"{name} needs {each}" for each in held.get("requiredWith", ()) if "." not in each and each not in given]  # fmt: skip
            found += [f"{name} conflicts with {each}" for each in held.get("conflictsWith", ()) if each in given]  # fmt: skip
        one = held.get("exactlyOneOf", ())
        if one and not any("." in each for each in one) and len(given & set(one)) != 1:
            found.append(f"exactly one of {', '.join(one)}")
        least = held.get("atLeastOneOf", ())
        if least and not any("." in each for each in least) and not given & set(least):
            found.append(f"at least one of {', '.join(least)}")
    return found


def test_what_the_cases_plan_keeps_the_providers_laws_between_fields(
    table: dict[str, dict[str, dict[str, Any]]],
) -> None:
    """Every node of every case: what the provider would refuse before it asked the cloud."""
    seen: Counter[str] = Counter()
    wrong: set[str] = set()
    for path in all_cases():
        case = load(path)
        for cloud in clouds_of(case):
            for node in run(case, cloud)[1]:
                if not node.type.startswith("openstack."):
                    continue
                token = token_of(node.type)
                names = types.input_type_py_to_pulumi_names(args_class(sdk(token)))
                fields = table["resources"][token]
                given = {fields[names[prop]]["terraform"] for prop, value in node.props.items() if value is not None}  # fmt: skip
                seen[token] += 1
                wrong |= {f"{path.parent.name}/{path.stem}: {node.role or node.type}: {each}" for each in broken(token, given, table)}  # fmt: skip
    assert sum(seen.values()) > 500
    assert wrong == set()


def test_a_law_that_is_broken_is_seen(table: dict[str, dict[str, dict[str, Any]]]) -> None:
    """An ICMP rule with a type and no code was refused by the provider, in a stack that mocks had passed."""
    token = "openstack:networking/secGroupRule:SecGroupRule"
    given = {"direction", "ethertype", "security_group_id", "protocol", "port_range_min"}
    assert broken(token, given, table) == ["port_range_min needs port_range_max"]
    assert broken(token, given | {"port_range_max"}, table) == []
    assert broken(token, given - {"direction", "port_range_min"}, table) == ["direction is required"]  # fmt: skip


def test_a_name_that_differs_is_seen(table: dict[str, dict[str, dict[str, Any]]]) -> None:
    """The comparison itself: one property called otherwise in the plugin, nested or not, is a difference."""
    token = "openstack:networking/subnet:Subnet"
    wanted = inputs_of(args_class(sdk(token)))
    assert set(wanted["allocationPools"]) == {"start", "end"}
    changed = json.loads(json.dumps(table["resources"][token]))
    changed["allocationPools"]["object"]["begin"] = changed["allocationPools"]["object"].pop(
        "start"
    )
    assert mapped(changed) != wanted
    assert pulumi_openstack.__name__ == "pulumi_openstack"
