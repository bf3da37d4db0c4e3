"""CloudFormation stack -> the grouping of what it made; the template stays a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """What it made is planned resource by resource; the stack itself has no successor but Pulumi's."""
    if str(source.record.get("StackStatus", "")).startswith("DELETE"):
        yield Disposition("retire", text("It is {status}.", status=source.record["StackStatus"]))
        return
    yield Disposition(
        "absorbed",
        text(
            "What {name} made is planned by itself and grouped as one application.",
            name=source.record.get("StackName", source.name),
        ),
    )


RULE = Rule(
    type="aws.cloudformation.stack",
    title="CloudFormation stack",
    service="cloudtrail",
    tier=2,
    fetch=Fetch("cloudformation", "describe_stacks", "Stacks[]", id="StackName", arn="StackId"),
    translate=translate,
    carried=fields("StackName StackStatus"),
    noise=noise(
        id="StackId ChangeSetId RootId ParentId RoleARN LastOperations",
        timestamp="CreationTime DeletionTime LastUpdatedTime",
        internal="AliasName DeploymentConfig RollbackConfiguration DisableRollback NotificationARNs TimeoutInMinutes Capabilities Tags EnableTerminationProtection RetainExceptOnCreate DeletionMode DetailedStatus StackStatusReason",
        derived="Description Parameters Outputs",
    ),
    volatile=fields("DriftInformation"),
)
