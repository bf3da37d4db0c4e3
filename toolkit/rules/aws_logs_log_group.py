"""Log group -> a log store of one's own; history is archived or lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Retention says what the law or the team expects; the history does not move by itself."""
    days = source.record.get("retentionInDays")
    yield way_out(
        ctx,
        "cloudwatch",
        text("Logs kept {days}.", days=text("{n} days", n=days) if days else text("for ever")),
    )
    if not days or days >= 365:
        yield Loss(
            "retentionInDays",
            "History is meant to be kept long: export it to object storage before the account is closed.",
            "major",
        )
    if source.record.get("metricFilterCount"):
        yield Loss(
            "metricFilterCount",
            text(
                "{n} metric filters have to become rules of the log store.",
                n=source.record["metricFilterCount"],
            ),
        )


RULE = Rule(
    type="aws.logs.log_group",
    title="CloudWatch log group",
    service="cloudwatch",
    tier=2,
    fetch=Fetch("logs", "describe_log_groups", "logGroups[]", id="logGroupName", arn="arn"),
    translate=translate,
    carried=fields("retentionInDays metricFilterCount"),
    lost={"kmsKeyId": "Logs are no longer encrypted by KMS."},
    noise=noise(
        id="logGroupName arn logGroupArn",
        timestamp="creationTime",
        internal="dataProtectionStatus inheritedProperties logGroupClass deletionProtectionEnabled bearerTokenAuthenticationEnabled retentionPolicyName",
    ),
    volatile=fields("storedBytes"),
)
