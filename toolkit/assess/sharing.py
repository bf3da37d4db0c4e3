"""Keys, roles and topics -> one thing that many hold, or that carries what was not meant for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Finding, text
from toolkit.plan.applications import SHARED

if TYPE_CHECKING:
    from toolkit.estate.model import Estate, Resource
    from toolkit.plan.applications import Applications
    from toolkit.plan.graph import Graph


def sharing(
    estate: Estate, graph: Graph, applications: Applications
) -> Iterator[tuple[str, Finding]]:
    """Key pairs and roles of several applications; topics that feed dead letters or mix in alarms."""
    yield from _keys(estate, applications)
    yield from _roles(estate, graph, applications)
    yield from _dead_letters(estate)
    yield from _alarms(estate)


def _keys(estate: Estate, applications: Applications) -> Iterator[tuple[str, Finding]]:
    opened: dict[str, list[Resource]] = {}
    for server in estate.of("aws.ec2.instance"):
        pair = estate.find("aws.ec2.key_pair", server.record.get("KeyName"), server)
        if pair is not None:
            opened.setdefault(pair.key, []).append(server)
    for key, servers in sorted(opened.items()):
        users = sorted({applications.of[each.key] for each in servers})
        if len(users) > 1:
            yield (
                key,
                Finding(
                    "key-shared",
                    "warning",
                    text(
                        "One private key ({name}) opens {count} servers of {users}: give each application its own at the target.",
                        name=estate.by_key[key].name,
                        count=len(servers),
                        users=", ".join(users),
                    ),
                ),
            )


def _roles(
    estate: Estate, graph: Graph, applications: Applications
) -> Iterator[tuple[str, Finding]]:
    for role in estate.of("aws.iam.role"):
        held = [role.key]
        users: dict[str, set[str]] = {}
        while held:
            for edge in graph.incoming.get(held.pop(), ()):
                source = estate.by_key[edge.src]
                if source.type == "aws.iam.instance_profile":
                    held.append(source.key)
                elif not source.type.startswith("aws.iam."):
                    users.setdefault(applications.of[source.key], set()).add(source.key)
        users.pop(SHARED, None)
        if len(users) > 1:
            yield (
                role.key,
                Finding(
                    "role-shared",
                    "warning",
                    text(
                        "{count} things of {users} act as {name}: give each application a credential of its own.",
                        count=sum(map(len, users.values())),
                        users=", ".join(sorted(users)),
                        name=role.name,
                    ),
                ),
            )


def _dead_letters(estate: Estate) -> Iterator[tuple[str, Finding]]:
    failed: dict[str, str] = {}
    for queue in estate.of("aws.sqs.queue"):
        try:
            policy = json.loads((queue.record.get("Attributes") or {}).get("RedrivePolicy") or "{}")
        except ValueError:
            continue
        if isinstance(policy, dict) and isinstance(policy.get("deadLetterTargetArn"), str):
            failed.setdefault(policy["deadLetterTargetArn"], queue.name)
    for type_, member, field in (
        ("aws.sns.topic", "Subscriptions", "Endpoint"),
        ("aws.events.rule", "Targets", "Arn"),
    ):
        for source in estate.of(type_):
            for each in source.record.get(member) or []:
                arn = each.get(field)
                if arn in failed:
                    yield (
                        source.key,
                        Finding(
                            "dead-letters-fed",
                            "warning",
                            text(
                                "{name} delivers into {queue}, where {other} puts what failed: probably {other} is meant.",
                                name=source.name,
                                queue=str(arn).rsplit(":", 1)[-1],
                                other=failed[arn],
                            ),
                            (f"{member}.{field}",),
                        ),
                    )


def _alarms(estate: Estate) -> Iterator[tuple[str, Finding]]:
    alarms: dict[str, list[str]] = {}
    for alarm in estate.of("aws.cloudwatch.alarm"):
        for arn in alarm.record.get("AlarmActions") or []:
            alarms.setdefault(str(arn), []).append(alarm.name)
    for topic in estate.of("aws.sns.topic"):
        queues = sorted(
            str(each.get("Endpoint")).rsplit(":", 1)[-1]
            for each in topic.record.get("Subscriptions") or []
            if each.get("Protocol") in ("sqs", "firehose")
        )
        if topic.arn in alarms and queues:
            yield (
                topic.key,
                Finding(
                    "alarms-mixed",
                    "warning",
                    text(
                        "Alarms ({alarms}) go to {name}, which feeds {queues}: they arrive there as if the application had sent them.",
                        alarms=", ".join(sorted(alarms[topic.arn])),
                        name=topic.name,
                        queues=", ".join(queues),
                    ),
                ),
            )
