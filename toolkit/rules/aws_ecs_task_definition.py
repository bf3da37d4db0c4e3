"""ECS task definition -> the pod's template: images, ports, sizes, secrets by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Disposition, Loss, Outcome, Task, Text, joined, text
from toolkit.plan.names import slug
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """What a person needs to write the manifest; values of the environment are in the rewiring list."""
    held = source.record.get("Task") or {}
    containers = held.get("containerDefinitions", [])
    said = joined((_container(each) for each in containers), "; ")
    family = str(held.get("family", source.name))
    yield Task(
        "container-template",
        text("Write the pod template of {family}", family=family),
        "Task definitions do not run elsewhere.",
        lead_days=10,
        settings=((text("containers"), said or text("none")),),
        check=f"kubectl apply --dry-run=server -f {slug(family) or 'pod'}.yaml",
        expected="The cluster accepts the manifest; images, ports and limits are those in the table.",
        minutes=30 * max(1, len(containers)),
        basis="30 minutes per container, estimated",
    )
    names = sorted({e.get("name", "") for c in containers for e in c.get("environment", [])})
    if names:
        yield Loss(
            "Task.containerDefinitions.environment.name",
            text(
                "{n} environment variables ({names}) are carried by hand; some name AWS.",
                n=len(names),
                names=", ".join(names[:20]),
            ),
        )
    secrets = sorted({e.get("name", "") for c in containers for e in c.get("secrets", [])})
    if secrets:
        yield Loss(
            "Task.containerDefinitions.secrets.name",
            text(
                "The secrets {names} come from the target's store instead.",
                names=", ".join(secrets),
            ),
            "major",
        )
    if (held.get("runtimePlatform") or {}).get("cpuArchitecture") == "ARM64":
        yield Loss(
            "Task.runtimePlatform.cpuArchitecture",
            "Built for ARM; images must be built for x86-64.",
            "major",
        )
    if any(
        (v.get("efsVolumeConfiguration") or {}).get("fileSystemId") for v in held.get("volumes", [])
    ):
        yield Loss(
            "Task.volumes.efsVolumeConfiguration.fileSystemId",
            "Its EFS volume becomes a shared file system of the target, mounted by NFS.",
            "major",
        )
    yield Disposition(
        "replatform",
        text(
            "{cpu} CPU units, {memory} MiB, {mode} network.",
            cpu=held.get("cpu", "?"),
            memory=held.get("memory", "?"),
            mode=held.get("networkMode", "bridge"),
        ),
        way_out="Kubernetes pod template, or a Compose file on a server",
        work="Write it, replace secrets and logging, test.",
    )


def _container(held: dict[str, Any]) -> Text:
    ports = ", ".join(
        f"{p.get('containerPort')}/{p.get('protocol', 'tcp')}" for p in held.get("portMappings", [])
    )
    memory = held.get("memory") or held.get("memoryReservation") or "?"
    return text(
        "{name} from {image} (CPU {cpu}, {memory} MiB{ports})", name=held.get("name", "?"), image=held.get("image", "?"), cpu=held.get("cpu", 0), memory=memory,
        ports=text(", ports {ports}", ports=ports) if ports else "",
    )  # fmt: skip


RULE = Rule(
    type="aws.ecs.task_definition",
    title="ECS task definition",
    service="ecs",
    fetch=Fetch(
        "ecs",
        "list_task_definitions",
        "taskDefinitionArns[]",
        id="Task.family",
        arn="taskDefinitionArn",
        element="taskDefinitionArn",
        params={"status": "ACTIVE", "sort": "DESC"},
        details=(
            Detail(
                "describe_task_definition",
                {"taskDefinition": "taskDefinitionArn"},
                into="Task",
                path="taskDefinition",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "Task.family Task.cpu Task.memory Task.networkMode Task.containerDefinitions.name Task.containerDefinitions.image Task.containerDefinitions.cpu Task.containerDefinitions.memory Task.containerDefinitions.memoryReservation "
        "Task.containerDefinitions.portMappings.containerPort Task.containerDefinitions.portMappings.protocol Task.containerDefinitions.environment.name Task.containerDefinitions.secrets.name "
        "Task.runtimePlatform.cpuArchitecture Task.volumes.efsVolumeConfiguration.fileSystemId"
    ),
    lost={
        "Task.taskRoleArn": "There are no roles for tasks; pods get credentials from the secret store.",
        "Task.executionRoleArn": "Pulling images needs a pull secret.",
        "Task.containerDefinitions.logConfiguration": "Logs no longer go to CloudWatch; the cluster's collector takes them.",
        "Task.containerDefinitions.firelensConfiguration": "Log routing is written anew.",
        "Task.volumes": "Volumes are declared anew.",
        "Task.placementConstraints": "Placement becomes affinity.",
        "Task.proxyConfiguration": Lost("App Mesh ends.", "major"),
        "Task.inferenceAccelerators": Lost("Elastic Inference has no successor.", "major"),
        "Task.ephemeralStorage": "Scratch space is the pod's own.",
        "Task.pidMode": "Sharing of processes is set in the pod.",
        "Task.ipcMode": "Sharing of memory is set in the pod.",
        "Task.enableFaultInjection": "Fault injection ends.",
        "Task.trustedExecutionConfiguration": Lost("Enclaves have no successor.", "major"),
    },
    noise=noise(
        id="taskDefinitionArn Task.taskDefinitionArn Task.volumes.name",
        timestamp="Task.registeredAt Task.deregisteredAt Task.deleteRequestedAt",
        internal="Task.requiresAttributes Task.compatibilities Task.requiresCompatibilities Task.registeredBy Task.runtimePlatform.operatingSystemFamily",
        derived="Task.revision Task.status Task.containerDefinitions",
    ),
)
