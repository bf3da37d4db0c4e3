"""EKS node group -> node pool with its flavor; its servers belong to the pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Pool
from toolkit.outcomes import Finding, Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The first instance type counts; capacity follows the scaling bounds."""
    held = source.record.get("Nodegroup") or {}
    scaling, types = held.get("scalingConfig") or {}, held.get("instanceTypes") or ["t3.medium"]
    yield Pool(
        origin=source.key, name=source.record["nodegroupName"], cluster=ctx.key("aws.eks.cluster", held.get("clusterName"), source) or "", instance_type=types[0],
        fewest=scaling.get("minSize", 1), most=scaling.get("maxSize", 1), wanted=max(scaling.get("minSize", 1), 1), disk_gib=held.get("diskSize", 20), labels=held.get("labels") or {},
    )  # fmt: skip
    if len(types) > 1:
        yield Loss(
            "Nodegroup.instanceTypes",
            text(
                "Only {first} is mapped; {others} were alternatives.",
                first=types[0],
                others=", ".join(types[1:]),
            ),
        )
    if held.get("capacityType") == "SPOT":
        yield Loss(
            "Nodegroup.capacityType",
            "Spot nodes have no successor: the pool costs the list price.",
            "major",
        )
    if "ARM" in str(held.get("amiType", "")):
        yield Finding(
            "arm",
            "warning",
            text("{name} runs on ARM: images have to be built for x86-64.", name=source.name),
        )
    if held.get("taints"):
        yield Loss(
            "Nodegroup.taints.key",
            text(
                "Taints ({names}) are set on the new nodes by hand.",
                names=", ".join(
                    f"{t.get('key')}={t.get('value', '')}:{t.get('effect')}" for t in held["taints"]
                ),
            ),
        )


RULE = Rule(
    type="aws.eks.nodegroup",
    title="EKS node group",
    service="eks",
    fetch=Fetch(
        "eks",
        "list_nodegroups",
        "nodegroups[]",
        id="nodegroupName",
        arn="Nodegroup.nodegroupArn",
        tags="Nodegroup.tags",
        each="aws.eks.cluster",
        each_params={"clusterName": "name"},
        details=(
            Detail(
                "describe_nodegroup",
                {"nodegroupName": "nodegroupName", "clusterName": "^name"},
                into="Nodegroup",
                path="nodegroup",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "nodegroupName Nodegroup.clusterName Nodegroup.instanceTypes Nodegroup.scalingConfig.minSize Nodegroup.scalingConfig.maxSize Nodegroup.diskSize Nodegroup.labels Nodegroup.capacityType Nodegroup.amiType "
        "Nodegroup.taints.key Nodegroup.taints.value Nodegroup.taints.effect"
    ),
    lost={
        "Nodegroup.remoteAccess.ec2SshKey": "SSH to nodes is the provider's matter.",
        "Nodegroup.remoteAccess.sourceSecurityGroups": "SSH to nodes is the provider's matter.",
        "Nodegroup.nodeRole": "Nodes have no role; pods get credentials from the secret store.",
        "Nodegroup.launchTemplate": Lost(
            "Settings of the launch template do not reach managed nodes.", "major"
        ),
        "Nodegroup.warmPoolConfig.enabled": "Warm pools have no successor.",
    },
    noise=noise(
        id="Nodegroup.nodegroupName Nodegroup.nodegroupArn",
        timestamp="Nodegroup.createdAt Nodegroup.modifiedAt",
        internal="Nodegroup.version Nodegroup.releaseVersion Nodegroup.updateConfig Nodegroup.nodeRepairConfig Nodegroup.resources Nodegroup.tags Nodegroup.warmPoolConfig",
        derived="Nodegroup.status Nodegroup.subnets",
    ),
    volatile=fields("Nodegroup.health Nodegroup.scalingConfig.desiredSize"),
)
