"""SQS queue -> a queue of a broker of one's own: drained, not copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from toolkit.outcomes import Disposition, Finding, Loss, Move, Option, Outcome, Task, Text, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """ElasticMQ keeps the API, RabbitMQ keeps the reliability: a decision either way."""
    held = source.record.get("Attributes") or {}
    fifo = held.get("FifoQueue") == "true"
    dead = "deadLetterTargetArn" in (held.get("RedrivePolicy") or "")
    broker = ctx.decide(
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
        "broker", text("Set up the queue {name} at the broker", name=source.name),
        "The target has no managed queue in the catalogue.", lead_days=10,
        settings=(
            (text("a message is visible again after"), text("{n} s", n=held.get("VisibilityTimeout", "30"))), (text("kept for"), text("{n} s", n=held.get("MessageRetentionPeriod", "345600"))),
            (text("delayed by"), text("{n} s", n=held.get("DelaySeconds", "0"))), (text("size of a message, at most"), text("{n} bytes", n=held.get("MaximumMessageSize", "262144"))),
            (text("long poll"), text("{n} s", n=held.get("ReceiveMessageWaitTimeSeconds", "0"))), *(((text("dead letters"), held["RedrivePolicy"]),) if dead else ()),
        ),
        **(_rabbit if broker == "rabbitmq" else _elastic)(source.name, held),
    )  # fmt: skip
    if fifo:
        yield Finding(
            "queue-fifo",
            "warning",
            text(
                "{name} promises order and exactly-once within 5 minutes{content}; check what the consumers rely on.",
                name=source.name,
                content=text(", by content")
                if held.get("ContentBasedDeduplication") == "true"
                else "",
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


class _Made(TypedDict):
    """What the step that makes the queue is told by."""

    command: str
    check: str
    expected: Text
    undo: Text
    minutes: float


_EXPECTED = text(
    "The check shows the queue with the settings of the table; a test message went in and came out."
)


def _rabbit(name: str, held: Mapping[str, Any]) -> _Made:
    """A quorum queue. RabbitMQ hides a message until its consumer answers, so there is no visibility time to set."""
    arguments: dict[str, Any] = {"x-message-ttl": 1000 * int(held.get("MessageRetentionPeriod", "345600"))}  # fmt: skip
    policy = json.loads(held.get("RedrivePolicy") or "{}")
    if policy.get("deadLetterTargetArn"):
        arguments |= {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": str(policy["deadLetterTargetArn"]).rpartition(":")[2],
            "x-delivery-limit": int(policy.get("maxReceiveCount", 10)),
        }
    called, told = shlex.quote(f"name={name}"), shlex.quote(f"arguments={json.dumps(arguments, sort_keys=True)}")  # fmt: skip
    return {
        "command": f"rabbitmqadmin declare queue {called} durable=true queue_type=quorum {told}",
        "check": "rabbitmqadmin --format=pretty_json list queues name durable arguments",
        "expected": _EXPECTED,
        "undo": text("{command} (only while it is empty).", command=f"rabbitmqadmin delete queue {called}"),
        "minutes": 15,
    }  # fmt: skip


def _elastic(name: str, held: Mapping[str, Any]) -> _Made:
    """ElasticMQ answers to the commands of SQS, at an address of its own."""
    named = ("VisibilityTimeout", "DelaySeconds", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "FifoQueue", "ContentBasedDeduplication")  # fmt: skip
    attributes = {each: held[each] for each in named if held.get(each)}
    ask, called = 'aws --endpoint-url "${BROKER_URL:?}" sqs', shlex.quote(name)
    url = (
        f'--queue-url "$({ask} get-queue-url --queue-name {called} --query QueueUrl --output text)"'
    )
    told = f" --attributes {shlex.quote(json.dumps(attributes, sort_keys=True))}" if attributes else ""  # fmt: skip
    return {
        "command": f"{ask} create-queue --queue-name {called}{told}",
        "check": f"{ask} get-queue-attributes {url} --attribute-names All",
        "expected": _EXPECTED,
        "undo": text("{command} (only while it is empty).", command=f"{ask} delete-queue {url}"),
        "minutes": 15,
    }


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
