"""Organization account -> a project at the target, as the workspace maps it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Projects are mapped in repatria.toml."""
    if source.record.get("Status") not in (None, "ACTIVE"):
        yield Disposition(
            "retire", text("The account is {status}.", status=str(source.record["Status"]).lower())
        )
        return
    yield Disposition(
        "replatform",
        text(
            "The account {name} goes into the project that `repatria.toml` maps it to.",
            name=source.record.get("Name", source.name),
        ),
        way_out="A project of the target",
        work="Decide who owns it; close the account only after its data has left.",
    )


RULE = Rule(
    type="aws.organizations.account",
    title="Organization account",
    service="iam",
    tier=2,
    fetch=Fetch(
        "organizations",
        "list_accounts",
        "Accounts[]",
        id="Id",
        name="Name",
        arn="Arn",
        scope="global",
        unavailable=("AWSOrganizationsNotInUseException",),
    ),
    translate=translate,
    carried=fields("Name Status"),
    noise=noise(
        id="Id Arn Paths",
        timestamp="JoinedTimestamp",
        internal="Email JoinedMethod",
        derived="State",
    ),
)
