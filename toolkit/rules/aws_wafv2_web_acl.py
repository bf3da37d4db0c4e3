"""Web ACL -> ModSecurity or a European service in front: rules are written anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Managed rule groups are AWS's own."""
    yield way_out(
        ctx,
        "wafv2",
        text(
            "The web firewall {name}{note}.",
            name=source.name,
            note=f" ({source.record['Description']})" if source.record.get("Description") else "",
        ),
    )


RULE = Rule(
    type="aws.wafv2.web_acl",
    title="Web ACL",
    service="waf",
    tier=2,
    fetch=Fetch(
        "wafv2",
        "list_web_acls",
        "WebACLs[]",
        id="Id",
        name="Name",
        arn="ARN",
        params={"Scope": "REGIONAL"},
    ),
    translate=translate,
    carried=fields("Description"),
    noise=noise(id="Id ARN LockToken", derived="Name"),
)
