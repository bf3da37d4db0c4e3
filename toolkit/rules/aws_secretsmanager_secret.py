"""Secrets Manager secret -> secret at the target; the value is carried by a person, never read here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.secrets import Secret
from toolkit.outcomes import Finding, Loss, Move, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Same name, value by required secret configuration; rotation has to be rebuilt."""
    record = source.record
    yield Secret(
        origin=source.key,
        name=record["Name"],
        description=record.get("Description", ""),
        rotated=bool(record.get("RotationEnabled")),
    )
    yield Move("secrets", text("the value of {name}", name=record["Name"]))
    if record.get("RotationEnabled"):
        function = ctx.estate.find("aws.lambda.function", record.get("RotationLambdaARN"), source)
        rules = record.get("RotationRules") or {}
        yield Loss(
            "RotationEnabled",
            text(
                "Rotation{every} by {function} stops; nothing at the target rotates it.",
                every=text(" every {n} days", n=rules["AutomaticallyAfterDays"])
                if rules.get("AutomaticallyAfterDays")
                else text(" on {schedule}", schedule=rules["ScheduleExpression"])
                if rules.get("ScheduleExpression")
                else "",
                function=function.name
                if function
                else text("a Lambda function")
                if record.get("RotationLambdaARN")
                else "AWS",
            ),
            "major",
        )
        yield Task(
            "secret-rotation",
            text("Rotate {name} by a job of your own", name=record["Name"]),
            "The rotation function stays in AWS.",
            role="security",
            expected="The job has run once: the secret's value is new, and the application still signs in.",
            minutes=120,
        )
    if record.get("OwningService"):
        yield Finding(
            "secret-managed",
            "info",
            text(
                "{service} made and manages this secret; its successor at the target makes its own.",
                service=record["OwningService"],
            ),
        )


RULE = Rule(
    type="aws.secretsmanager.secret",
    title="Secrets Manager secret",
    service="secretsmanager",
    fetch=Fetch("secretsmanager", "list_secrets", "SecretList[]", id="Name", arn="ARN"),
    translate=translate,
    carried=fields(
        "Name Description RotationEnabled RotationLambdaARN RotationRules.AutomaticallyAfterDays RotationRules.ScheduleExpression OwningService"
    ),
    lost={
        "KmsKeyId": "The target encrypts secrets with its own key.",
        "RotationRules.Duration": "The window of rotation goes with rotation itself.",
        "ExternalSecretRotationMetadata": "Rotation of a partner's secret by AWS stops; ask the partner.",
        "ExternalSecretRotationRoleArn": "Rotation of a partner's secret by AWS stops; ask the partner.",
        "PrimaryRegion": "Replicas in other regions are not made at the target.",
        "Tags": "Barbican secrets have no tags.",
        "Type": "The partner's type of the secret says nothing outside AWS.",
    },
    noise=noise(id="ARN", timestamp="CreatedDate DeletedDate", internal="SecretVersionsToStages"),
    volatile=fields("LastRotatedDate LastChangedDate LastAccessedDate NextRotationDate"),
)
