"""ECS cluster -> Kubernetes or containers on servers: a decision for the whole cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Option, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """One decision for everything that runs in it."""
    record = source.record
    providers = ", ".join(sorted(record.get("capacityProviders", []))) or text("unknown")
    choice = ctx.decide(
        source.key, "containers", text("Where do the containers of {name} run?", name=record["clusterName"]),
        (
            Option("kubernetes", "Managed Kubernetes", "Scales and heals; task definitions become Deployments."),
            Option("servers", "Containers on servers, by Ansible", "Fewer parts; you place and restart them."),
        ),
        "kubernetes", text("Capacity today: {providers}.", providers=providers),
    )  # fmt: skip
    insights = next(
        (
            each.get("value")
            for each in record.get("settings", [])
            if each.get("name") == "containerInsights"
        ),
        None,
    )
    if insights not in (None, "disabled"):
        yield Loss("settings.value", "Container Insights ends; Prometheus takes its place.")
    yield Disposition(
        "replatform",
        "No provider in the catalogue speaks the ECS API.",
        way_out="Managed Kubernetes" if choice == "kubernetes" else "Podman or Docker on servers",
        work="Rewrite task definitions, secrets, logging and discovery; test each service.",
    )


RULE = Rule(
    type="aws.ecs.cluster",
    title="ECS cluster",
    service="ecs",
    fetch=Fetch(
        "ecs",
        "list_clusters",
        "clusterArns[]",
        id="clusterName",
        arn="clusterArn",
        tags="tags",
        element="clusterArn",
        details=(
            Detail(
                "describe_clusters",
                {"clusters": "clusterArn"},
                into="",
                path="clusters[]",
                batch=100,
                match="clusterArn",
                constants={"include": ["TAGS", "SETTINGS"]},
            ),
        ),
    ),
    translate=translate,
    carried=fields("clusterName capacityProviders settings.name settings.value"),
    lost={
        "configuration.executeCommandConfiguration": "Shells in containers are kubectl exec or podman exec.",
        "configuration.managedStorageConfiguration": "Scratch disks are no longer encrypted by KMS.",
        "serviceConnectDefaults.namespace": Lost(
            "Names of Service Connect become names of Kubernetes services.", "major"
        ),
        "defaultCapacityProviderStrategy.capacityProvider": "Where tasks go by default follows from the node pools.",
    },
    noise=noise(
        id="clusterArn",
        internal="attachments attachmentsStatus tags",
        derived="status defaultCapacityProviderStrategy",
    ),
    volatile=fields(
        "registeredContainerInstancesCount runningTasksCount pendingTasksCount activeServicesCount statistics"
    ),
    unordered=fields("capacityProviders"),
)
