"""Laws over all rules, offline, from botocore's own model and the Pulumi SDKs' own signatures."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from tests.support import cases, shapes
from toolkit.estate import models
from toolkit.estate.model import Estate, Resource
from toolkit.rule import Rule
from toolkit.rules import load
from toolkit.targets import realise
from toolkit.translate import Context, fate_tree, translate

RULES = load()
CASES = cases.all_cases()
CARRIED = [
    (type_, path)
    for type_, rule in RULES.items()
    if rule.tier == 1
    for path in sorted(rule.carried)
]


@pytest.fixture(params=RULES.values(), ids=list(RULES))
def rule(request: pytest.FixtureRequest) -> Rule:
    found: Rule = request.param
    return found


def _fate(rule: Rule, path: str) -> bool:
    tree, has = fate_tree(rule), False
    for member in path.split("."):
        if member not in tree:
            return has
        tree = tree[member]
        has = has or "" in tree
    return has


def test_every_field_has_a_fate(rule: Rule) -> None:
    members = shapes.record_members(rule.fetch)
    if rule.tier == 1:
        wanted = {leaf for name, shape in members.items() for leaf in shapes.leaves(shape, name)}
    else:
        wanted = set(members)
    missing = sorted(path for path in wanted if not _fate(rule, path))
    assert not missing, f"no fate for: {' '.join(missing)}"


def test_every_fate_is_of_a_field(rule: Rule) -> None:
    members = shapes.record_members(rule.fetch)
    known: set[str] = set()
    for name, shape in members.items():
        for leaf in shapes.leaves(shape, name):
            parts = leaf.split(".")
            known.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
    maps = {leaf for name, shape in members.items() for leaf in shapes.leaves(shape, name)}
    fated = {*rule.carried, *rule.lost, *rule.noise, *rule.volatile}
    strange = sorted(
        path
        for path in fated
        if path not in known and not any(path.startswith(f"{leaf}.") for leaf in maps)
    )
    assert not strange, f"botocore knows no: {' '.join(strange)}"


def test_the_fetch_is_botocores(rule: Rule) -> None:
    fetch = rule.fetch
    output = shapes.at(shapes.operation(fetch.service, fetch.operation).output_shape, fetch.path)
    if output.type_name == "structure":
        for part in fetch.id.split("+"):
            assert part.startswith("^") or part.split(".")[0] in shapes.record_members(fetch), (
                fetch.id
            )
    inputs = shapes.operation(fetch.service, fetch.operation).input_shape
    for parameter in (*fetch.params, *fetch.each_params):
        assert inputs is not None
        assert parameter in inputs.members, parameter
    for detail in fetch.details:
        inputs = shapes.operation(detail.service or fetch.service, detail.operation).input_shape
        for parameter in (*detail.params, *detail.constants):
            assert inputs is not None
            assert parameter in inputs.members, f"{detail.operation}({parameter})"
        shapes.detail_shape(fetch, detail)
    if fetch.each:
        assert fetch.each in RULES, f"{fetch.each} has no rule"


def test_the_model_that_discovery_reads_is_botocores(rule: Rule) -> None:
    """Cut down, and yet the same request and the same answer of every call."""
    fetch = rule.fetch
    asked = [(fetch.service, fetch.operation)]
    asked += [(detail.service or fetch.service, detail.operation) for detail in fetch.details]
    for service, operation in asked:
        cut, whole = models.service(service, operation), shapes.service(service)
        assert len(cut.operation_names) < len(whole.operation_names)
        name = {xform_name(each): each for each in cut.operation_names}[operation]
        for side in ("input_shape", "output_shape"):
            ours, theirs = (getattr(m.operation_model(name), side) for m in (cut, whole))
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert list(shapes.leaves(ours, "")) == list(shapes.leaves(theirs, ""))


def test_every_rule_has_a_case(rule: Rule) -> None:
    assert list((cases.CASES / rule.type.replace(".", "_")).glob("*.json")), "no case"


@pytest.mark.parametrize("path", CASES, ids=[f"{p.parent.name}/{p.stem}" for p in CASES])
def test_case(path: Path, request: pytest.FixtureRequest) -> None:
    case = cases.load(path)
    assert case["source"]["type"].replace(".", "_") == path.parent.name
    assert case.get("why"), "a case says why it is there"
    found = {cloud: cases.outcome(case, cloud) for cloud in cases.clouds_of(case)}
    if isinstance(case.get("cloud", "openstack"), str):
        found = found[cases.clouds_of(case)[0]]
    found = json.loads(json.dumps(found, sort_keys=True))
    if request.config.getoption("--golden"):
        case["expect"] = found
        path.write_text(json.dumps(case, indent=2, ensure_ascii=False) + "\n")
    assert found == case.get("expect")
    assert found, "a case whose source is neither planned nor explained"


@pytest.mark.parametrize("path", CASES, ids=[f"{p.parent.name}/{p.stem}" for p in CASES])
def test_case_is_what_aws_could_return(path: Path) -> None:
    case = cases.load(path)
    for raw in (case["source"], *case.get("others", ())):
        known = shapes.record_members(RULES[raw["type"]].fetch)
        _check_members(raw["record"], known, raw["type"], exempt=case.get("unknown_fields", ()))


def _check_members(value: Any, members: Any, where: str, exempt: Any = ()) -> None:
    for name, held in value.items():
        if name in exempt:
            continue
        assert name in members, f"{where}: AWS returns no {name}"
        _check(held, members[name], f"{where}.{name}")


def _check(value: Any, shape: Any, where: str) -> None:
    match shape.type_name:
        case "structure":
            assert isinstance(value, dict), where
            if shape.members:
                _check_members(value, shape.members, where)
        case "list":
            assert isinstance(value, list), where
            for element in value:
                _check(element, shape.member, where)
        case "map":
            assert isinstance(value, dict), where
        case "boolean":
            assert isinstance(value, bool), where
        case "integer" | "long" | "float" | "double":
            assert isinstance(value, (int, float)), where
        case _:
            assert isinstance(value, (str, dict)), where


def _leaf_mutations(record: Any, path: list[str]) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every leaf that a path leads to."""
    if isinstance(record, list):
        for number, element in enumerate(record):
            if path or isinstance(element, (dict, list)):
                yield from _leaf_mutations(element, path)
            else:
                yield record, number
    elif isinstance(record, dict):
        names = [path[0]] if path and path[0] in record else ([] if path else list(record))
        for name in names:
            held = record[name]
            if isinstance(held, (dict, list)) and held:
                yield from _leaf_mutations(held, path[1:])
            elif not path[1:]:
                yield record, name


def _mutated(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value * 3 + 17, 0, 1]
        case str():
            return [f"{value}x", "", "other", *(v for v in _SWAPS if v != value)]
        case _:
            return [None]


_GONE = object()
_SWAPS = (
    "10.99.0.0/24", "192.0.2.77", "0.0.0.0/0", "::/0", "tcp", "udp", "icmp", "-1", "gp2", "io1", "default", "dedicated",
    "running", "stopped", "available", "active", "enabled", "disabled", "Enabled", "Disabled", "none", "allow", "deny",
    "instance", "ip", "HTTP", "HTTPS", "TCP", "m5.4xlarge", "arm64", "x86_64", "internal", "internet-facing", "A", "CNAME",
    "postgres", "mysql", "redis", "true", "false", "2", "Allow", "Deny", "*", "blackhole", "public-write", "IMPORTED",
    "PendingDeletion", "private", "deleted", "failed", "lambda", "AWS", "off", "verify", "HTTP_301", "HTTP_302", "vgw-1", "/dev/sda1", "subnet-pub", "subnet-data",
)  # fmt: skip


@pytest.mark.parametrize(("type_", "path"), CARRIED, ids=[f"{t}:{p}" for t, p in CARRIED])
def test_what_is_carried_changes_the_plan(type_: str, path: str) -> None:
    present = False
    unchanged: list[str] = []
    for file in sorted((cases.CASES / type_.replace(".", "_")).glob("*.json")):
        case = cases.load(file)
        spots = list(_leaf_mutations(case["source"]["record"], path.split(".")))
        if not spots and not _has(case["source"]["record"], path.split(".")):
            continue
        present = True
        for cloud in dict.fromkeys((*cases.clouds_of(case), "ovhcloud")):
            before = cases.everything(case, cloud)
            for number in range(len(spots)):
                changed = copy.deepcopy(case)
                container, name = list(
                    _leaf_mutations(changed["source"]["record"], path.split("."))
                )[number]
                for value in (*_mutated(container[name]), _GONE):
                    if value is _GONE:
                        del container[name]
                    else:
                        container[name] = value
                    _retag(changed)
                    if cases.everything(changed, cloud) != before:
                        return
                unchanged.append(f"{file.name}:{name}")
    assert present, "carried, but in no case"
    raise AssertionError(
        f"carried, but no change of it changes the plan: {', '.join(unchanged[:5])}"
    )


def _has(record: Any, path: list[str]) -> bool:
    if isinstance(record, list):
        return any(_has(element, path) for element in record)
    return (
        isinstance(record, dict)
        and path[0] in record
        and (len(path) == 1 or _has(record[path[0]], path[1:]))
    )


def _retag(case: dict[str, Any]) -> None:
    """Tags of a resource are read from its record, so a mutated record has mutated tags."""
    source = case["source"]
    rule = RULES[source["type"]]
    raw = source["record"].get(rule.fetch.tags)
    if isinstance(raw, list):
        tags = {}
        for pair in raw:
            if isinstance(pair, dict):
                name = pair.get("Key", pair.get("key", pair.get("TagKey")))
                tags[str(name)] = str(
                    pair.get("Value", pair.get("value", pair.get("TagValue", "")))
                )
        source["tags"] = tags
    elif isinstance(raw, dict):
        source["tags"] = {str(k): str(v) for k, v in raw.items()}


@pytest.mark.parametrize("full", [True, False], ids=["every-field", "no-optional-field"])
def test_reads_what_the_model_allows(rule: Rule, full: bool) -> None:
    """A record with every field, and one with none, is planned or explained without a crash."""
    record = {
        name: shapes.sample(shape, full=full)
        for name, shape in shapes.record_members(rule.fetch).items()
        if full or name in {part.split(".")[0] for part in rule.fetch.id.split("+")}
    }
    resource = Resource(
        rule.type, "id-1", "arn:aws:x:::id-1", "111122223333", "eu-west-1", "name", {}, record
    )
    for cloud in ("openstack", "cloudtemple"):
        ctx = Context(estate=Estate({}, (resource,)), cloud=cases.load_cloud(cloud))
        said = translate(ctx, RULES)
        realise(ctx, said)
        losses = said[resource.key].losses
        assert not [x for x in losses if "crashed" in str(x.reason)], losses
        assert not [x for x in losses if "Unknown to this version" in str(x.reason)], losses
        known = said[resource.key]
        blocked = any(loss.severity == "blocker" for loss in losses)
        assert known.intents or known.disposition or blocked, "neither planned nor explained"


def _sdk_class(type_: str) -> Any:
    package, *modules, cls = type_.split(".")
    return getattr(importlib.import_module(".".join([f"pulumi_{package}", *modules])), cls)


def _arguments(cls: Any) -> set[str]:
    return set(inspect.signature(cls._internal_init).parameters) - {
        "__self__",
        "resource_name",
        "opts",
        "__props__",
    }


def test_every_property_is_the_sdks() -> None:
    from toolkit.clouds import cloudtemple_schema

    schema = cloudtemple_schema()
    wrong: set[str] = set()
    for path in CASES:
        case = cases.load(path)
        for cloud in cases.clouds_of(case):
            _, nodes, _ = cases.run(case, cloud)
            for node in nodes:
                if node.type.startswith("cloudtemple."):
                    held = schema["resources"].get(node.type.split(".")[1])
                    if held is None:
                        wrong.add(node.type)
                        continue
                    known = {p.get("py", name) for name, p in held["properties"].items()}
                else:
                    known = _arguments(_sdk_class(node.type))
                wrong |= {f"{node.type}.{name}" for name in node.props if name not in known}
    assert not wrong


def _imports(path: Path) -> list[str]:
    """The modules that a file really imports; text of a template is none."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
    return found


def test_the_middle_imports_no_sdk() -> None:
    root = Path(__file__).parents[1] / "toolkit"
    forbidden = re.compile(
        r"(boto3|botocore|pulumi\w*|ansible_runner|libcloud|requests|socket|subprocess|time|urllib\.request|http)(\.|$)"
    )
    pure = [root / "rule.py", root / "outcomes.py", root / "program.py", root / "translate.py"]
    for folder in ("rules", "intents", "targets", "plan", "assess", "render", "clouds"):
        pure += sorted((root / folder).rglob("*.py"))
    assert len(pure) > 30
    found = {
        str(path.relative_to(root)): [m for m in _imports(path) if forbidden.match(m)]
        for path in pure
    }
    assert not {name: hits for name, hits in found.items() if hits}


def test_no_raw_id_in_a_value() -> None:
    from toolkit.plan.names import holds_raw_id

    def strings(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for held in value.values():
                yield from strings(held)
        elif isinstance(value, (list, tuple)):
            for held in value:
                yield from strings(held)

    wrong: set[str] = set()
    for path in CASES:
        case = cases.load(path)
        if case.get("hostile"):
            continue
        for cloud in cases.clouds_of(case):
            for node in cases.run(case, cloud)[1]:
                wrong |= {f"{path.stem}: {s}" for s in strings(node.props) if holds_raw_id(s)}
    assert not wrong
