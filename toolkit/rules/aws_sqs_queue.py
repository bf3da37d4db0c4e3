"""SQS queue -> a queue of a broker of one's own: drained, not copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Finding, Loss, Move, Option, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """ElasticMQ keeps the API, RabbitMQ keeps the reliability: a decision either way."""
    held = source.record.get("Attributes") or {}
    fifo = held.get("FifoQueue") == "true"
    dead = "deadLetterTargetArn" in (held.get("RedrivePolicy") or "")
    ctx.decide(
        source.key, "queue", text("What takes the place of the queue {name}?", name=source.name),
        (
            Option("rabbitmq", "RabbitMQ quorum queue", "Replicated and mature; producers and consumers change their client library."),
            Option("elasticmq", "ElasticMQ", "Speaks SQS, so applications change only the endpoint; one node, no replication."),
        ),
        "rabbitmq" if fifo or dead else "elasticmq",
        "Order and dead letters matter here, and RabbitMQ keeps both." if fifo or dead else "A simple queue: the endpoint is all that changes.",
    )  # fmt: skip
    yield Move(
        "queue", text("the messages of {name}", name=source.name), facts={"fifo": str(fifo).lower()}
    )
    yield Task(
        "broker", text("Set up the queue {name} at the broker: visible again after {visibility} s, kept {keep} s, delayed {delay} s, up to {size} bytes, long poll {wait} s{dead}",
                       name=source.name, visibility=held.get("VisibilityTimeout", "30"), keep=held.get("MessageRetentionPeriod", "345600"),
                       delay=held.get("DelaySeconds", "0"), size=held.get("MaximumMessageSize", "262144"), wait=held.get("ReceiveMessageWaitTimeSeconds", "0"),
                       dead=f", dead letters as in {held['RedrivePolicy']}" if dead else ""),
        "The target has no managed queue in the catalogue.", lead_days=10,
    )  # fmt: skip
    if fifo:
        yield Finding(
            "queue-fifo",
            "warning",
            text(
                "{name} promises order and exactly-once within 5 minutes{content}; check what the consumers rely on.",
                name=source.name,
                content=", by content" if held.get("ContentBasedDeduplication") == "true" else "",
            ),
        )
        yield Loss(
            "Attributes",
            text(
                "Deduplication within 5 minutes (scope {scope}, limit {limit}) has no successor; consumers must be idempotent.",
                scope=held.get("DeduplicationScope", "queue"),
                limit=held.get("FifoThroughputLimit", "perQueue"),
            ),
            "major",
        )
    if held.get("Policy"):
        yield Loss(
            "Attributes",
            text(
                "The queue's policy ({length} characters) becomes users and permissions of the broker.",
                length=len(held["Policy"]),
            ),
        )
    if held.get("KmsMasterKeyId"):
        yield Loss(
            "Attributes",
            "Messages are no longer encrypted by KMS; use TLS and an encrypted volume.",
        )
    yield Disposition(
        "refactor",
        "No provider in the catalogue has a managed queue.",
        way_out="RabbitMQ, or ElasticMQ where the SQS API must stay",
        work="Run a broker, change endpoints and credentials, drain, switch.",
    )


RULE = Rule(
    type="aws.sqs.queue",
    title="SQS queue",
    service="sqs",
    fetch=Fetch(
        "sqs",
        "list_queues",
        "QueueUrls[]",
        id="QueueUrl",
        arn="Attributes.QueueArn",
        tags="Tags",
        details=(
            Detail(
                "get_queue_attributes",
                {"QueueUrl": "QueueUrl"},
                into="Attributes",
                path="Attributes",
                constants={"AttributeNames": ["All"]},
            ),
            Detail("list_queue_tags", {"QueueUrl": "QueueUrl"}, into="Tags", path="Tags"),
        ),
    ),
    translate=translate,
    carried=fields(
        "Attributes.VisibilityTimeout Attributes.MessageRetentionPeriod Attributes.DelaySeconds Attributes.MaximumMessageSize "
        "Attributes.ReceiveMessageWaitTimeSeconds Attributes.RedrivePolicy Attributes.FifoQueue Attributes.ContentBasedDeduplication "
        "Attributes.DeduplicationScope Attributes.FifoThroughputLimit Attributes.Policy Attributes.KmsMasterKeyId"
    ),
    lost={
        "Attributes.RedriveAllowPolicy": "Which queues may send dead letters here is set at the broker.",
        "Attributes.KmsDataKeyReusePeriodSeconds": Lost("Goes with KMS.", unless="300"),
        "Tags": "Queues of a broker carry no tags.",
    },
    noise=noise(
        id="QueueUrl Attributes.QueueArn",
        timestamp="Attributes.CreatedTimestamp Attributes.LastModifiedTimestamp",
        internal="Attributes.SqsManagedSseEnabled",
        derived="Attributes",
    ),
    volatile=fields(
        "Attributes.ApproximateNumberOfMessages Attributes.ApproximateNumberOfMessagesDelayed Attributes.ApproximateNumberOfMessagesNotVisible"
    ),
)
