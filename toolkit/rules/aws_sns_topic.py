"""SNS topic -> an exchange of the same broker; each kind of subscriber finds its own way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Disposition, Loss, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


_WAYS = {
    "sqs": "a binding to the queue",
    "lambda": "a consumer of its own",
    "http": "a webhook sent by the application",
    "https": "a webhook sent by the application",
    "email": "mail by the application's own relay",
    "email-json": "mail by the application's own relay",
    "sms": "a European SMS gateway",
    "application": "a push gateway of your own (ntfy, UnifiedPush)",
    "firehose": "a consumer that writes to object storage",
}


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The topic becomes an exchange; subscriptions become bindings, consumers or messages by other means."""
    held = source.record.get("Attributes") or {}
    for each in source.record.get("Subscriptions", []):
        protocol = each.get("Protocol", "")
        queue = ctx.estate.find("aws.sqs.queue", each.get("Endpoint"), source)
        yield Task(
            "subscription",
            text("Replace the {protocol} subscription of {topic}", protocol=protocol, topic=source.name),
            "The broker does not know this kind of subscriber.", lead_days=5,
            settings=((text("to"), queue.name if queue else each.get("Endpoint", "?")), (text("becomes"), text(_WAYS.get(protocol, "other means")))),
            expected="A message published at the broker has arrived there.", minutes=30,
        )  # fmt: skip
        if protocol in ("sms", "application"):
            yield Loss(
                "Subscriptions.Protocol",
                text("{protocol} messages need a third party.", protocol=protocol),
                "major",
            )
        if protocol in ("http", "https"):
            yield Loss(
                "Subscriptions.Protocol",
                "Receivers that verify SNS signatures must verify another one.",
            )
    if held.get("FifoTopic") == "true":
        yield Loss(
            "Attributes.FifoTopic",
            "Order across subscribers is the broker's per queue, not per group.",
            "major",
        )
    if held.get("DisplayName"):
        yield Task(
            "sender-name",
            text("Send as {name}", name=held["DisplayName"]),
            "Subscribers know the sender by this name.",
            expected="A message from the new sender shows this name.",
            minutes=10,
        )
    yield Disposition(
        "refactor",
        "No provider in the catalogue has a managed publish/subscribe service.",
        way_out="RabbitMQ exchange or NATS subject",
        work="Publish to the broker; give each kind of subscriber its own way.",
    )


def _others_subscribe(record: Mapping[str, Any]) -> bool:
    """Whether the topic has more subscriptions than this account's own, which the one list names."""
    counted = record.get("Attributes")
    if not counted:
        return True
    own = [s for s in record.get("Subscriptions", ()) if s.get("SubscriptionArn") != "Deleted"]
    there = (counted.get("SubscriptionsConfirmed"), counted.get("SubscriptionsPending"))
    return sum(int(number or 0) for number in there) > len(own)


RULE = Rule(
    type="aws.sns.topic",
    title="SNS topic",
    service="sns",
    fetch=Fetch(
        "sns",
        "list_topics",
        "Topics[]",
        id="TopicArn",
        arn="TopicArn",
        details=(
            Detail(
                "get_topic_attributes",
                {"TopicArn": "TopicArn"},
                into="Attributes",
                path="Attributes",
            ),
            Detail(
                "list_subscriptions",
                {},
                into="Subscriptions",
                path="Subscriptions[]",
                match="TopicArn",
            ),
            Detail(
                "list_subscriptions_by_topic",
                {"TopicArn": "TopicArn"},
                into="Subscriptions",
                path="Subscriptions[]",
                when=_others_subscribe,
            ),
            Detail(
                "list_tags_for_resource", {"ResourceArn": "TopicArn"}, into="Tags", path="Tags[]"
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "Subscriptions.Protocol Subscriptions.Endpoint Attributes.FifoTopic Attributes.DisplayName"
    ),
    lost={
        "Attributes.Policy": "Who may publish becomes users and permissions of the broker.",
        "Attributes.DeliveryPolicy": "Retries towards webhooks are the application's own.",
        "Attributes.KmsMasterKeyId": "Messages are no longer encrypted by KMS; use TLS and an encrypted volume.",
        "Attributes.ContentBasedDeduplication": "Consumers must be idempotent.",
        "Tags": "Exchanges carry no tags.",
    },
    noise=noise(
        id="TopicArn Attributes.TopicArn Attributes.Owner Subscriptions.SubscriptionArn Subscriptions.Owner Subscriptions.TopicArn",
        derived="Attributes.EffectiveDeliveryPolicy Attributes",
    ),
    unordered=fields("Subscriptions"),
    volatile=fields(
        "Attributes.SubscriptionsConfirmed Attributes.SubscriptionsPending Attributes.SubscriptionsDeleted"
    ),
)
