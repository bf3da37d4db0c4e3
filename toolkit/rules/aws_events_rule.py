"""EventBridge rule -> a timer or a subscription; AWS's own events simply end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A schedule is easy, an event of AWS's own has no successor."""
    record = source.record
    if record.get("ManagedBy"):
        yield Disposition(
            "retire", text("{service} made this rule for itself.", service=record["ManagedBy"])
        )
        return
    targets = ", ".join(
        sorted(each.get("Arn", "").rsplit(":", 1)[-1] for each in record.get("Targets", []))
    ) or text("nothing")
    if record.get("ScheduleExpression"):
        yield way_out(
            ctx,
            "eventbridge",
            text(
                "Runs {targets} at {when}: a systemd timer or a CronJob.",
                targets=targets,
                when=record["ScheduleExpression"],
            ),
        )
        return
    yield way_out(ctx, "eventbridge", text("Sends matching events to {targets}.", targets=targets))
    pattern = record.get("EventPattern") or ""
    if '"aws.' in pattern:
        yield Loss(
            "EventPattern",
            "Events that AWS services send end with AWS; what reacts to them must be triggered otherwise.",
            "major",
        )


RULE = Rule(
    type="aws.events.rule",
    title="EventBridge rule",
    service="eventbridge",
    tier=2,
    fetch=Fetch(
        "events",
        "list_rules",
        "Rules[]",
        id="Name",
        arn="Arn",
        params={"Limit": 100},
        details=(
            Detail(
                "list_targets_by_rule",
                {"Rule": "Name", "EventBusName": "EventBusName"},
                into="Targets",
                path="Targets[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields("ScheduleExpression EventPattern Targets ManagedBy"),
    lost={"RoleArn": "The timer or consumer gets a credential of its own."},
    noise=noise(id="Name Arn", derived="State Description EventBusName"),
)
