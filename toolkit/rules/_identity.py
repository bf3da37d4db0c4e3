"""IAM documents -> what people must know of them: who is trusted, what is allowed, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

AUTHORIZATION = {"Filter": ["User", "Group", "Role", "LocalManagedPolicy"]}
"""Users, groups, roles and own policies are listed together: one listing serves their four types."""


def statements(document: Any) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy, whether it came as text, URL-encoded text or a document."""
    if isinstance(document, str):
        try:
            document = json.loads(unquote(document) if document.startswith("%") else document)
        except ValueError:
            return
    if isinstance(document, Mapping):
        held = document.get("Statement", [])
        for each in held if isinstance(held, list) else [held]:
            if isinstance(each, Mapping):
                yield each


def several(value: Any) -> list[str]:
    """One text or a list of texts, as a list."""
    return (
        [value]
        if isinstance(value, str)
        else [each for each in value if isinstance(each, str)]
        if isinstance(value, list)
        else []
    )


def trusted(document: Any) -> list[str]:
    """Who may assume a role: service names, account ids, provider ARNs, `*`."""
    found: list[str] = []
    for each in statements(document):
        if each.get("Effect") != "Allow":
            continue
        principal = each.get("Principal")
        values = several(principal) if isinstance(principal, str) else []
        if isinstance(principal, Mapping):
            values = [value for held in principal.values() for value in several(held)]
        found += values
    return sorted(set(found))


def unasked(document: Any) -> list[str]:
    """Who may assume a role without an external id or another condition."""
    free = [each for each in statements(document) if not each.get("Condition")]
    return trusted({"Statement": free})


def services(document: Any) -> list[str]:
    """The AWS services that a policy allows something in, `*` for everything."""
    found: set[str] = set()
    for each in statements(document):
        if each.get("Effect") == "Allow":
            found.update(action.split(":", 1)[0] for action in several(each.get("Action")))
            if "NotAction" in each:
                found.add("*")
    return sorted(found)


def allowed(record: Mapping[str, Any], inline: str) -> str:
    """What an identity may do, in one phrase: names of policies and the services of inline ones."""
    names = [
        each["PolicyName"]
        for each in record.get("AttachedManagedPolicies", [])
        if each.get("PolicyName")
    ]
    own = sorted(
        {
            service
            for each in record.get(inline, [])
            for service in services(each.get("PolicyDocument"))
        }
    )
    parts = [*names, *([f"own rules for {', '.join(own)}"] if own else [])]
    return "; ".join(parts) or "nothing by itself"
