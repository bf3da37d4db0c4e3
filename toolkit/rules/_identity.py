"""IAM documents -> what people must know of them: who is trusted, what is allowed, in words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict
from urllib.parse import unquote

from toolkit.outcomes import Text, joined, text

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


def allowed(record: Mapping[str, Any], inline: str) -> Text | str:
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
    parts = [*names, *([text("own rules for {services}", services=", ".join(own))] if own else [])]
    return joined(parts, "; ") or text("nothing by itself")


_REALM = '-r "${REALM:?}"'
_QUERY = {"users": "username", "groups": "search"}


def keycloak_create(kind: str, **settings: str) -> str:
    """The command that makes a user or a group in Keycloak's realm `$REALM`."""
    held = " ".join(f"-s {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
    return f"kcadm.sh create {kind} {_REALM} {held}"


def keycloak_find(kind: str, name: str) -> str:
    """The command that prints the id of one user or group, found by its whole name; nothing where there is none."""
    asked = shlex.quote(f"{_QUERY[kind]}={name}")
    return (
        f"kcadm.sh get {kind} {_REALM} -q {asked} -q exact=true --fields id --format csv --noquotes"
    )


def keycloak_delete(kind: str, name: str) -> str:
    """The command that takes such a one away again."""
    return f'kcadm.sh delete {kind}/"$({keycloak_find(kind, name)})" {_REALM}'


def keycloak_join(user: str, group: str) -> str:
    """The command that puts a user into a group that an earlier step made."""
    member, held = keycloak_find("users", user), keycloak_find("groups", group)
    return f'kcadm.sh update users/"$({member})"/groups/"$({held})" {_REALM} -n -b "{{}}"'


class Made(TypedDict):
    """What a step that makes an application credential is told by."""

    command: str
    check: str
    expected: Text
    undo: Text
    minutes: float


def application_credential(name: str) -> Made:
    """The commands for a credential of a machine's own; its secret is shown once, by the first of them."""
    called = shlex.quote(name)
    return {
        "command": f"openstack application credential create {called} --role member",
        "check": f"openstack application credential show {called} -f value -c name -c roles",
        "expected": text("Its id and secret are in the secret store, and {name} has signed in with them once.", name=name),
        "undo": text("openstack application credential delete {called} (the credential at AWS still works).", called=called),
        "minutes": 15,
    }  # fmt: skip
