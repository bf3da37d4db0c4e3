"""CloudWatch alarm -> a Prometheus rule where the metric still exists."""

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
    """What it watches decides whether anything can take its place."""
    record = source.record
    watched = (
        f"{record.get('Namespace', '')} {record.get('MetricName', '')}".strip()
        or "a formula over metrics"
    )
    yield way_out(ctx, "cloudwatch", text("Watches {watched}.", watched=watched))
    if record.get("Metrics"):
        yield Loss("Metrics", "Metric math has to be written as an expression of Prometheus.")
    if record.get("AlarmActions"):
        yield Loss(
            "AlarmActions",
            "Actions of AWS (scaling, recovery, topics) end; Alertmanager only notifies.",
        )


RULE = Rule(
    type="aws.cloudwatch.alarm",
    title="CloudWatch alarm",
    service="cloudwatch",
    tier=2,
    fetch=Fetch("cloudwatch", "describe_alarms", "MetricAlarms[]", id="AlarmName", arn="AlarmArn"),
    translate=translate,
    carried=fields("Namespace MetricName Metrics AlarmActions"),
    noise=noise(
        id="AlarmName AlarmArn",
        timestamp="AlarmConfigurationUpdatedTimestamp",
        internal="EvaluateLowSampleCountPercentile ThresholdMetricId WarmUpConfiguration",
        derived="AlarmDescription ActionsEnabled OKActions InsufficientDataActions Statistic ExtendedStatistic Dimensions Period Unit EvaluationPeriods DatapointsToAlarm "
        "Threshold ComparisonOperator TreatMissingData EvaluationWindow EvaluationCriteria EvaluationInterval ActionConfiguration",
    ),
    volatile=fields(
        "StateValue StateReason StateReasonData StateUpdatedTimestamp StateTransitionedTimestamp EvaluationState"
    ),
)
