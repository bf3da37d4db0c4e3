"""Kinesis stream -> Kafka: the same idea with another protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Shards become partitions; producers and consumers are rewritten."""
    held = source.record.get("Summary") or {}
    yield way_out(
        ctx,
        "kinesis",
        text(
            "{shards} shards, kept {hours} h, {consumers} registered consumers: a topic with as many partitions.",
            shards=held.get("OpenShardCount", "?"),
            hours=held.get("RetentionPeriodHours", 24),
            consumers=held.get("ConsumerCount", 0),
        ),
    )
    if held.get("EncryptionType") == "KMS":
        yield Loss(
            "Summary.EncryptionType",
            "Records are no longer encrypted by KMS; use TLS and encrypted volumes.",
        )


RULE = Rule(
    type="aws.kinesis.stream",
    title="Kinesis stream",
    service="kinesis",
    tier=2,
    fetch=Fetch(
        "kinesis",
        "list_streams",
        "StreamSummaries[]",
        id="StreamName",
        arn="StreamARN",
        tags="Tags",
        details=(
            Detail(
                "describe_stream_summary",
                {"StreamName": "StreamName"},
                into="Summary",
                path="StreamDescriptionSummary",
            ),
            Detail(
                "list_tags_for_stream", {"StreamName": "StreamName"}, into="Tags", path="Tags[]"
            ),
        ),
    ),
    translate=translate,
    carried=fields("Summary"),
    noise=noise(
        id="StreamName StreamARN",
        timestamp="StreamCreationTimestamp",
        internal="Tags",
        derived="StreamStatus StreamModeDetails",
    ),
)
