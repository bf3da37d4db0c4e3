"""Lambda function -> a container on Knative of one's own; its triggers and its role go with AWS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Every event source, layer and role is told: they vanish with their services."""
    record = source.record
    sources = [each.get("EventSourceArn", "") for each in record.get("EventSources", [])]
    names = [
        hit.name if (hit := ctx.estate.by_arn.get(arn)) else arn.rsplit(":", 1)[-1]
        for arn in sources
        if arn
    ]
    yield way_out(
        ctx,
        "lambda",
        text(
            "{runtime}, {memory} MB, up to {timeout} s{triggers}.",
            runtime=record.get("Runtime") or record.get("PackageType") or text("container image"),
            memory=record.get("MemorySize", 128),
            timeout=record.get("Timeout", 3),
            triggers=text(", fed by {names}", names=", ".join(sorted(names))) if names else "",
        ),
    )
    if names:
        yield Loss(
            "EventSources",
            text(
                "Nothing delivers events from {names} any more; a consumer has to fetch them.",
                names=", ".join(sorted(names)),
            ),
            "major",
        )
    if record.get("Layers"):
        yield Loss(
            "Layers",
            text("{n} layers have to go into the container image.", n=len(record["Layers"])),
        )
    if record.get("VpcConfig", {}).get("SubnetIds"):
        yield Loss(
            "VpcConfig",
            "Its interfaces in the VPC go; the cluster's nodes take their place in the groups.",
        )
    if record.get("Architectures") == ["arm64"]:
        yield Loss("Architectures", "Built for ARM; the image must be built for x86-64.")
    if names := sorted((record.get("Environment") or {}).get("Variables") or {}):
        yield Task(
            "function-environment",
            text("Carry the environment of {function} over", function=source.name),
            "Its values name AWS endpoints and secrets; the rewiring list has each.",
            settings=((text("variables"), ", ".join(names)),),
            expected="The successor's settings have each of these variables; secrets come from the secret store.",
            minutes=5 * len(names),
            basis="5 minutes per variable, estimated",
        )


RULE = Rule(
    type="aws.lambda.function",
    title="Lambda function",
    service="lambda",
    tier=2,
    fetch=Fetch(
        "lambda",
        "list_functions",
        "Functions[]",
        id="FunctionName",
        arn="FunctionArn",
        tags="Tags",
        details=(
            Detail(
                "list_event_source_mappings",
                {"FunctionName": "FunctionName"},
                into="EventSources",
                path="EventSourceMappings[]",
            ),
            Detail("list_tags", {"Resource": "FunctionArn"}, into="Tags", path="Tags"),
        ),
    ),
    translate=translate,
    carried=fields(
        "Runtime PackageType MemorySize Timeout Environment EventSources Layers VpcConfig Architectures"
    ),
    lost={
        "Role": "There are no roles for functions; the service gets a credential of its own.",
        "DeadLetterConfig": "Failed events must be kept by the consumer.",
        "TracingConfig": "X-Ray traces end; OpenTelemetry takes their place.",
        "FileSystemConfigs": "The file system has to be mounted by the cluster.",
        "EphemeralStorage": "Scratch space is the container's.",
        "SnapStart": "Start-up snapshots do not exist elsewhere.",
        "KMSKeyArn": "The environment is no longer encrypted by KMS.",
        "DurableConfig": "Durable execution is Lambda's own; Temporal is the nearest.",
        "CapacityProviderConfig": "Capacity is the cluster's.",
        "TenancyConfig": "Isolation per tenant has to be built.",
    },
    noise=noise(
        id="FunctionName FunctionArn RevisionId MasterArn SigningProfileVersionArn SigningJobArn",
        timestamp="LastModified",
        internal="CodeSha256 ConfigSha256 RuntimeVersionConfig RuntimeConfig LoggingConfig AcceleratorConfig Version Tags",
        derived="CodeSize Handler Description State StateReason StateReasonCode LastUpdateStatus LastUpdateStatusReason LastUpdateStatusReasonCode ImageConfigResponse",
    ),
)
