"""Policy, ACL and access block of a bucket together -> whether anybody on the internet may read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.outcomes import Text, text
from toolkit.rules._identity import several, statements

_EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")
_NARROWING = (
    "sourcevpce",
    "sourcevpc",
    "sourceip",
    "principalorgid",
    "principalaccount",
    "sourcearn",
    "sourceaccount",
    "userid",
    "principalarn",
    "vpcsourceip",
)
_READING = ("s3:getobject", "s3:get*", "s3:*", "*", "s3:listbucket", "s3:list*")


def public(record: Mapping[str, Any]) -> Text | None:
    """How anybody may read the bucket, in words; None where nobody unknown may."""
    block = record.get("PublicAccessBlock") or {}
    if not block.get("RestrictPublicBuckets") and any(
        _open(each) for each in statements(record.get("Policy"))
    ):
        return text("its policy admits everybody")
    if not block.get("IgnorePublicAcls"):
        for grant in record.get("Acl") or []:
            uri = (grant.get("Grantee") or {}).get("URI") or ""
            if uri.endswith(_EVERYBODY) and grant.get("Permission") in (
                "READ",
                "FULL_CONTROL",
                "WRITE",
            ):
                return text(
                    "its ACL grants {permission} to everybody", permission=grant["Permission"]
                )
    return None


def only_read(record: Mapping[str, Any]) -> bool:
    """Whether everybody may read and nothing more, as they may of a website."""
    actions = (
        action.casefold()
        for each in statements(record.get("Policy"))
        if _open(each)
        for action in several(each.get("Action"))
    )
    return all(action.startswith(("s3:get", "s3:list")) for action in actions) and not any(
        ((grant.get("Grantee") or {}).get("URI") or "").endswith(_EVERYBODY)
        and grant.get("Permission") not in ("READ", "READ_ACP")
        for grant in record.get("Acl") or []
    )


def restricted(policy: Any) -> bool:
    """Whether a policy admits everybody, but only from some network or account."""
    return any(_everybody(each) and _narrowed(each) for each in statements(policy))


def _open(statement: Mapping[str, Any]) -> bool:
    actions = {action.casefold() for action in several(statement.get("Action"))}
    return _everybody(statement) and not _narrowed(statement) and bool(actions & set(_READING))


def _everybody(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    values = several(principal.get("AWS")) if isinstance(principal, Mapping) else several(principal)
    return statement.get("Effect") == "Allow" and "*" in values


def _narrowed(statement: Mapping[str, Any]) -> bool:
    held = statement.get("Condition") or {}
    names = [
        name.casefold().split(":", 1)[-1]
        for each in held.values()
        if isinstance(each, Mapping)
        for name in each
    ]
    return any(name in _NARROWING for name in names)
