"""EKS cluster -> managed Kubernetes where the cloud has it; workloads are deployed again, volumes copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Cluster
from toolkit.outcomes import Finding, Loss, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._databases import ended

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The control plane; node groups are resources of their own."""
    held = source.record.get("Cluster") or {}
    net = held.get("resourcesVpcConfig") or {}
    cidrs = tuple(net.get("publicAccessCidrs", []))
    yield Cluster(
        origin=source.key, name=source.record["name"], version=held.get("version", ""),
        subnets=tuple(key for each in net.get("subnetIds", []) if (key := ctx.key("aws.ec2.subnet", each, source))),
        public_api=bool(net.get("endpointPublicAccess", True)), api_cidrs=cidrs,
    )  # fmt: skip
    if net.get("endpointPublicAccess") and (not cidrs or "0.0.0.0/0" in cidrs):
        yield Finding(
            "api-public",
            "warning",
            text("The API of {name} answers the whole internet.", name=source.name),
        )
    if date := ended("kubernetes", held.get("version") or ""):
        yield Finding(
            "engine-ended",
            "warning",
            text(
                "{engine} {version} has had no community support since {date}: move to a current release on the way.",
                engine="Kubernetes",
                version=held["version"],
                date=date,
            ),
        )
    service = (held.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr")
    yield Task(
        "workloads",
        text("Deploy the workloads of {name} again and copy their volumes", name=source.name),
        "Manifests move; pods' roles, load balancer annotations, EBS volumes and ECR pull secrets do not.",
        lead_days=20,
        settings=(((text("services had"), service),) if service else ()),
        command="kubectl get deployments,statefulsets,daemonsets,cronjobs,services,ingresses,persistentvolumeclaims --all-namespaces",
        check="kubectl get pods --all-namespaces --field-selector=status.phase!=Running,status.phase!=Succeeded",
        expected="The check lists no pod, and each volume has the files that it had.",
        undo="Delete the workloads at the target; the cluster at AWS runs on.",
        minutes=None,
        basis="how many workloads run in the cluster is not read",
    )
    if issuer := ((held.get("identity") or {}).get("oidc") or {}).get("issuer"):
        yield Loss(
            "Cluster.identity.oidc.issuer",
            text(
                "Pods that get roles by the issuer {host} need credentials from the secret store.",
                host=issuer.split("//", 1)[-1].split("/", 1)[0],
            ),
            "major",
        )
    mode = (held.get("accessConfig") or {}).get("authenticationMode")
    if mode:
        yield Loss(
            "Cluster.accessConfig.authenticationMode",
            text("Sign-in by IAM ({mode}) becomes OIDC by Keycloak.", mode=mode),
            "major",
        )


RULE = Rule(
    type="aws.eks.cluster",
    title="EKS cluster",
    service="eks",
    fetch=Fetch(
        "eks",
        "list_clusters",
        "clusters[]",
        id="name",
        arn="Cluster.arn",
        tags="Cluster.tags",
        details=(Detail("describe_cluster", {"name": "name"}, into="Cluster", path="cluster"),),
    ),
    translate=translate,
    carried=fields(
        "name Cluster.version Cluster.resourcesVpcConfig.subnetIds Cluster.resourcesVpcConfig.endpointPublicAccess Cluster.resourcesVpcConfig.publicAccessCidrs "
        "Cluster.kubernetesNetworkConfig.serviceIpv4Cidr Cluster.identity.oidc.issuer Cluster.accessConfig.authenticationMode"
    ),
    lost={
        "Cluster.roleArn": "There are no roles for the control plane.",
        "Cluster.resourcesVpcConfig.securityGroupIds": "Groups of the control plane are the provider's.",
        "Cluster.resourcesVpcConfig.endpointPrivateAccess": "Whether the API has a private address is the provider's choice.",
        "Cluster.logging": "Logs of the control plane no longer go to CloudWatch.",
        "Cluster.encryptionConfig": "Secrets are no longer encrypted by KMS.",
        "Cluster.outpostConfig": Lost("Outposts have no successor.", "major"),
        "Cluster.connectorConfig": "A connected cluster runs elsewhere already.",
        "Cluster.remoteNetworkConfig": Lost("Hybrid nodes have to be joined anew.", "major"),
        "Cluster.computeConfig.enabled": Lost(
            "Auto mode ends: node pools are yours to size.", "major"
        ),
        "Cluster.storageConfig": "Block storage comes from the provider's own driver.",
        "Cluster.kubernetesNetworkConfig.ipFamily": Lost(
            "IPv6 of pods is not carried.", "major", unless="ipv4"
        ),
        "Cluster.kubernetesNetworkConfig.serviceIpv6Cidr": Lost(
            "IPv6 of services is not carried.", "major"
        ),
        "Cluster.kubernetesNetworkConfig.elasticLoadBalancing": "Load balancers come from the provider's own controller.",
        "Cluster.deletionProtection": "The target protects it in Pulumi instead.",
        "Cluster.kubeApiServerConfig": "Settings of the API server are the provider's.",
        "Cluster.kubeSchedulerConfig": "Settings of the scheduler are the provider's.",
        "Cluster.kubeControllerManagerConfig": "Settings of the controllers are the provider's.",
        "Cluster.controlPlaneScalingConfig": "The size of the control plane is the provider's plan.",
    },
    noise=noise(
        id="Cluster.name Cluster.arn Cluster.id Cluster.endpoint Cluster.clientRequestToken Cluster.resourcesVpcConfig.clusterSecurityGroupId",
        timestamp="Cluster.createdAt",
        internal="Cluster.certificateAuthority Cluster.platformVersion Cluster.upgradePolicy Cluster.zonalShiftConfig Cluster.accessConfig Cluster.computeConfig Cluster.resourcesVpcConfig.controlPlaneEgressMode Cluster.tags",
        derived="Cluster.status Cluster.resourcesVpcConfig.vpcId",
    ),
    volatile=fields("Cluster.health"),
)
