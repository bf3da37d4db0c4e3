"""botocore's own model -> the fields of a record, and records with every field or with none."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.loaders
import botocore.model
from botocore import xform_name

from toolkit.rule import Detail, Fetch

_LOADER = botocore.loaders.Loader()


@cache
def service(name: str) -> botocore.model.ServiceModel:
    return botocore.model.ServiceModel(_LOADER.load_service_model(name, "service-2"), name)


def operation(service_name: str, name: str) -> botocore.model.OperationModel:
    """The operation whose boto3 method is `name`. Raises KeyError where there is none."""
    model = service(service_name)
    by_method = {xform_name(each): each for each in model.operation_names}
    return model.operation_model(by_method[name])


def at(shape: botocore.model.Shape | None, path: str) -> botocore.model.Shape:
    """The shape that a path like `Reservations[].Instances[]` leads to."""
    for step in path.split(".") if path else ():
        member = step.removesuffix("[]")
        assert shape is not None
        if shape.type_name == "map":
            shape = shape.value
        else:
            shape = shape.members[member]
        if step.endswith("[]"):
            shape = shape.member
    assert shape is not None
    return shape


def record_members(fetch: Fetch) -> dict[str, botocore.model.Shape]:
    """Member -> shape of the record that a fetch makes, its details included."""
    shape = at(operation(fetch.service, fetch.operation).output_shape, fetch.path)
    members: dict[str, botocore.model.Shape] = (
        dict(shape.members)
        if shape.type_name == "structure"
        else {fetch.element or fetch.id: shape}
    )
    for detail in fetch.details:
        part = detail_shape(fetch, detail)
        if detail.every:
            held = {"type": "list", "member": {"shape": part.name}}
            part = botocore.model.ListShape(f"{part.name}s", held, part._shape_resolver)
        if detail.into:
            members[detail.into] = part
        else:
            members.update(part.members)
    return members


def detail_shape(fetch: Fetch, detail: Detail) -> botocore.model.Shape:
    output = operation(detail.service or fetch.service, detail.operation).output_shape
    return at(output, detail.path if detail.batch else detail.path.removesuffix("[]"))


def leaves(shape: botocore.model.Shape, path: str, stack: tuple[str, ...] = ()) -> Iterator[str]:
    """Every leaf path below a shape; a map and a recursion count as leaves."""
    if shape.type_name == "structure" and shape.members and shape.name not in stack:
        for name, member in shape.members.items():
            if path == "" and name == "ResponseMetadata":
                continue
            yield from leaves(member, f"{path}.{name}" if path else name, (*stack, shape.name))
    elif shape.type_name == "list" and shape.name not in stack:
        yield from leaves(shape.member, path, (*stack, shape.name))
    else:
        yield path


def sample(shape: botocore.model.Shape, *, full: bool, stack: tuple[str, ...] = ()) -> Any:
    """A value of this shape: every optional member present, or every one absent."""
    match shape.type_name:
        case "structure":
            if shape.name in stack:
                return {}
            return {
                name: sample(member, full=full, stack=(*stack, shape.name))
                for name, member in shape.members.items()
                if full or name in shape.required_members
            }
        case "list":
            return (
                [sample(shape.member, full=full, stack=stack)]
                if full and shape.name not in stack
                else []
            )
        case "map":
            return {"key": sample(shape.value, full=full, stack=stack)} if full else {}
        case "boolean":
            return True
        case "integer" | "long":
            return 7
        case "float" | "double":
            return 7.5
        case "timestamp":
            return datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC).isoformat()
        case "blob":
            return "YmxvYg=="
        case _:
            return shape.enum[0] if getattr(shape, "enum", None) else "text"
