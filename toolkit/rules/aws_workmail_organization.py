"""WorkMail -> a European mail host; mailboxes travel by IMAP."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Move, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Mail is bought, not built."""
    record = source.record
    if record.get("State") not in (None, "Active"):
        yield Disposition(
            "retire", text("The organization is {state}.", state=str(record["State"]).lower())
        )
        return
    yield way_out(
        ctx,
        "workmail",
        text("Mailboxes of {domain}.", domain=record.get("DefaultMailDomain") or source.name),
    )
    yield Move(
        "mail",
        text("the mailboxes of {domain}", domain=record.get("DefaultMailDomain") or source.name),
    )
    yield Task(
        "mail-switch",
        text("Switch the MX of {domain}", domain=record.get("DefaultMailDomain") or source.name),
        "Mail follows the MX; both hosts receive until every resolver has the new one. Lower the record's TTL to 60 s days before.",
        role="network",
        check=f"dig +short MX {shlex.quote(str(record.get('DefaultMailDomain') or source.name))}",
        expected="Every resolver answers with the new host, and a message from outside has arrived there.",
        undo="Put the old MX back; mail that the new host got in between is copied by hand.",
        minutes=30,
        in_window=True,
    )


RULE = Rule(
    type="aws.workmail.organization",
    title="WorkMail organization",
    service="workmail",
    tier=2,
    fetch=Fetch(
        "workmail",
        "list_organizations",
        "OrganizationSummaries[]",
        id="OrganizationId",
        name="Alias",
        arn="arn:{partition}:workmail:{region}:{account}:organization/{id}",
    ),
    translate=translate,
    carried=fields("State DefaultMailDomain"),
    noise=noise(id="OrganizationId", derived="Alias ErrorMessage"),
)
