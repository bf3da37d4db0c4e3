"""botocore's own data -> the same, read once for all sessions; a service is cut to the calls that discovery makes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from botocore import xform_name
from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel

from toolkit.rules import load

_BESIDES = {
    "ec2": ("describe_regions",), "organizations": ("list_accounts",), "cloudwatch": ("get_metric_data",),
    "s3": ("head_bucket",), "config": ("describe_configuration_recorders", "get_discovered_resource_counts"), "resource-explorer-2": ("search",),
    "resourcegroupstaggingapi": ("get_resources",),
}  # fmt: skip
"""Calls that no rule names; S3's is botocore's own, to follow a redirection."""


@cache
def _wanted() -> dict[str, frozenset[str]]:
    found = {service: set(operations) for service, operations in _BESIDES.items()}
    for rule in load().values():
        fetch = rule.fetch
        found.setdefault(fetch.service, set()).add(fetch.operation)
        for detail in fetch.details:
            found.setdefault(detail.service or fetch.service, set()).add(detail.operation)
    return {service: frozenset(operations) for service, operations in found.items()}


class _Files(JSONFileLoader):  # type: ignore[misc]
    """Files are read once, whatever the number of sessions: whole, the models would fill hundreds of MiB."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}
        self._lock = threading.Lock()

    def load_file(self, file_path: str) -> Any:
        with self._lock:
            if file_path not in self._held:
                self._held[file_path] = _cut(Path(file_path), _read(Path(file_path)))
            return self._held[file_path]


FILES = _Files()


def service(name: str, operation: str) -> ServiceModel:
    """The model of a service with that operation in it (the boto3 method's name)."""
    return _cut_service(name) if operation in _wanted().get(name, ()) else _whole_service(name)


@cache
def _cut_service(name: str) -> ServiceModel:
    return ServiceModel(_loader().load_service_model(name, "service-2"), name)


@cache
def _whole_service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


@cache
def _loader() -> Loader:
    return Loader(file_loader=FILES)


def _read(path: Path) -> Any:
    plain, packed = Path(f"{path}.json"), Path(f"{path}.json.gz")
    if plain.is_file():
        return orjson.loads(plain.read_bytes())
    return orjson.loads(gzip.decompress(packed.read_bytes())) if packed.is_file() else None


def _cut(path: Path, held: Any) -> Any:
    """A service's model without what no rule asks, and without its manual."""
    wanted = _wanted().get(path.parent.parent.name)
    if held is None or wanted is None or path.name != "service-2":
        return held
    operations = {
        name: {member: value for member, value in told.items() if member != "documentation"}
        for name, told in held["operations"].items()
        if xform_name(name) in wanted
    }
    shapes: dict[str, Any] = {}
    waiting = list(_named(operations))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = _undocumented(held["shapes"][name])
            waiting += _named(shapes[name])
    return {**held, "operations": operations, "shapes": shapes, "documentation": ""}


def _named(value: Any) -> Iterator[str]:
    """The shapes that a part of a model refers to."""
    if isinstance(value, dict):
        shape = value.get("shape")
        if isinstance(shape, str):
            yield shape
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each)


def _undocumented(shape: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in shape.items() if name != "documentation"}
    for members in ("members", "member", "key", "value"):
        held = told.get(members)
        if isinstance(held, dict):
            told[members] = (
                {name: _undocumented(each) for name, each in held.items()}
                if members == "members"
                else _undocumented(held)
            )
    return told
