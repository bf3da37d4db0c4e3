"""ECS service -> a Deployment with its replicas and ports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, Task, text
from toolkit.plan.names import slug
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """How many, where, behind which balancer."""
    record = source.record
    cluster = ctx.estate.find("aws.ecs.cluster", record.get("clusterArn"), source)
    balancers = [
        f"{b.get('containerName', '?')}:{b.get('containerPort', '?')}"
        for b in record.get("loadBalancers", [])
    ]
    kind = (
        record.get("launchType")
        or ", ".join(
            each.get("capacityProvider", "") for each in record.get("capacityProviderStrategy", [])
        )
        or "EC2"
    )
    task = str(record.get("taskDefinition", "")).rsplit("/", 1)[-1]
    net = (record.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    groups = [
        hit.name
        for id_ in net.get("securityGroups", [])
        if (hit := ctx.estate.find("aws.ec2.security_group", id_, source))
    ]
    subnets = [
        hit.name
        for id_ in net.get("subnets", [])
        if (hit := ctx.estate.find("aws.ec2.subnet", id_, source))
    ]
    deployment = slug(record["serviceName"]) or "service"
    yield Task(
        "container-service", text("Run the containers of {name}", name=record["serviceName"]),
        "Services of ECS become Deployments, or units on servers, as the cluster's decision says.", lead_days=10,
        settings=(
            (text("copies"), str(record.get("desiredCount", 1))), (text("containers"), task), (text("ran on"), kind), (text("subnets"), ", ".join(subnets) or text("not read")),
            (text("groups"), ", ".join(groups) or text("none")), *(((text("behind the balancer"), ", ".join(balancers)),) if balancers else ()),
        ),
        check=f"kubectl rollout status deployment/{deployment} --timeout=5m",
        expected="As many copies are ready as it had; on servers, the unit is active on each of them.", minutes=60,
    )  # fmt: skip
    if net.get("assignPublicIp") == "ENABLED":
        yield Loss(
            "networkConfiguration.awsvpcConfiguration.assignPublicIp",
            "Tasks no longer have public addresses; traffic comes through the balancer.",
        )
    grace = record.get("healthCheckGracePeriodSeconds")
    yield Disposition(
        "replatform",
        text(
            "A service of {cluster}{grace}.",
            cluster=cluster.name if cluster else "ECS",
            grace=text(", left alone for {n} s after its start", n=grace) if grace else "",
        ),
        way_out="Kubernetes Deployment and Service",
        work="Write the manifests; carry secrets and logging over.",
        into=cluster.key if cluster else "",
    )


RULE = Rule(
    type="aws.ecs.service",
    title="ECS service",
    service="ecs",
    fetch=Fetch(
        "ecs",
        "list_services",
        "serviceArns[]",
        id="serviceName",
        arn="serviceArn",
        tags="tags",
        element="serviceArn",
        each="aws.ecs.cluster",
        each_params={"cluster": "clusterArn"},
        details=(
            Detail(
                "describe_services",
                {"services": "serviceArn", "cluster": "^clusterArn"},
                into="",
                path="services[]",
                batch=10,
                match="serviceArn",
                constants={"include": ["TAGS"]},
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "serviceName clusterArn desiredCount taskDefinition launchType capacityProviderStrategy.capacityProvider loadBalancers.containerName loadBalancers.containerPort "
        "networkConfiguration.awsvpcConfiguration.subnets networkConfiguration.awsvpcConfiguration.securityGroups networkConfiguration.awsvpcConfiguration.assignPublicIp healthCheckGracePeriodSeconds"
    ),
    lost={
        "serviceRegistries": Lost("Cloud Map names become names of Kubernetes services.", "major"),
        "deploymentConfiguration.alarms.alarmNames": "Alarms no longer stop a rollout.",
        "deploymentConfiguration.strategy": Lost(
            "Blue/green and canary need a controller of your own.", unless="ROLLING"
        ),
        "deploymentConfiguration.lifecycleHooks": "Hooks of a rollout are written anew.",
        "placementConstraints": "Placement becomes affinity.",
        "placementStrategy": "Placement becomes affinity.",
        "schedulingStrategy": Lost("One task per node becomes a DaemonSet.", unless="REPLICA"),
        "deploymentController.type": Lost("Rollouts by CodeDeploy end.", "major", unless="ECS"),
        "enableExecuteCommand": "Shells in containers are kubectl exec.",
        "roleArn": "The role towards the balancer ends.",
    },
    noise=noise(
        id="serviceArn loadBalancers.targetGroupArn loadBalancers.loadBalancerName currentServiceDeployment",
        timestamp="createdAt",
        internal="loadBalancers.advancedConfiguration platformVersion platformFamily deploymentConfiguration createdBy enableECSManagedTags propagateTags availabilityZoneRebalancing resourceManagementType tags",
        derived="status capacityProviderStrategy taskSets currentServiceRevisions",
    ),
    volatile=fields("runningCount pendingCount deployments events"),
    unordered=fields("networkConfiguration.awsvpcConfiguration.subnets"),
)
