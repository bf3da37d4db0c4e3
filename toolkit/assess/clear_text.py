"""User data, environments and headers -> passwords that stand in them in clear text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Finding, text
from toolkit.plan.graph import strings

if TYPE_CHECKING:
    from toolkit.estate.model import Estate, Resource

_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)[\"']?\s*[=:]\s*[\"']?\[redacted ")
_SECRET = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret|token|api_?key|(access|secret|private)_?key|credentials?)$"
)
"""Names that hold a secret: where every value is redacted only the name tells."""


def clear_text(estate: Estate) -> Iterator[tuple[str, Finding]]:
    """One finding for each resource, with the names of what it holds and never a value."""
    for type_, found in (
        ("aws.ec2.instance", _user_data),
        ("aws.ec2.launch_template", _user_data),
        ("aws.lambda.function", _variables),
        ("aws.ecs.task_definition", _containers),
        ("aws.cloudfront.distribution", _headers),
    ):
        for resource in estate.of(type_):
            if "aws:autoscaling:groupName" in resource.tags:
                continue
            if names := sorted(set(found(resource))):
                yield (
                    resource.key,
                    Finding(
                        "secret-clear",
                        "warning",
                        text(
                            "{name} holds {names} in clear text: change it at the move and keep it in the secret store.",
                            name=resource.name,
                            names=", ".join(names),
                        ),
                    ),
                )


def _user_data(resource: Resource) -> Iterator[str]:
    for field, value in strings(resource.record):
        if field.endswith("UserData"):
            yield from _ASSIGNED.findall(value)


def _variables(resource: Resource) -> Iterator[str]:
    held = (resource.record.get("Environment") or {}).get("Variables") or {}
    yield from (name for name in held if _SECRET.search(name))


def _containers(resource: Resource) -> Iterator[str]:
    for container in (resource.record.get("Task") or {}).get("containerDefinitions") or []:
        for each in container.get("environment") or []:
            name = str(each.get("name"))
            if str(each.get("value")).startswith("[redacted ") and _SECRET.search(name):
                yield name


def _headers(resource: Resource) -> Iterator[str]:
    for origin in (resource.record.get("Origins") or {}).get("Items") or []:
        for each in (origin.get("CustomHeaders") or {}).get("Items") or []:
            if _SECRET.search(str(each.get("HeaderName")).replace("-", "_")):
                yield str(each["HeaderName"])
