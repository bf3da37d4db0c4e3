"""ElastiCache replication group -> Valkey, managed where the cloud has it, else on servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Cache
from toolkit.outcomes import Finding, Loss, Move, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._databases import size_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Redis and Valkey both become Valkey; shards and replicas are kept."""
    record = source.record
    groups_, nodes = (
        record.get("NodeGroups", []),
        max([1, *(len(g.get("NodeGroupMembers", [])) for g in record.get("NodeGroups", []))]),
    )
    listed = [
        hit
        for id_ in record.get("MemberClusters", [])
        if (hit := ctx.estate.find("aws.elasticache.cache_cluster", id_, source)) is not None
    ]
    members = listed or [
        each
        for each in ctx.estate.where(
            "aws.elasticache.cache_cluster", "ReplicationGroupId", source.id
        )
        if (each.account, each.region) == (source.account, source.region)
    ]
    first = members[0].record if members else {}
    vcpu, ram = size_of(record.get("CacheNodeType") or first.get("CacheNodeType"))
    subnet_group = ctx.estate.find(
        "aws.elasticache.cache_subnet_group", first.get("CacheSubnetGroupName"), source
    )
    shards = max(1, len(groups_)) if record.get("ClusterEnabled") else 1
    port = (
        next(
            (
                g["PrimaryEndpoint"]["Port"]
                for g in groups_
                if (g.get("PrimaryEndpoint") or {}).get("Port")
            ),
            None,
        )
        or (record.get("ConfigurationEndpoint") or {}).get("Port")
        or 6379
    )
    yield Cache(
        origin=source.key, name=record["ReplicationGroupId"], engine="valkey", version=first.get("EngineVersion", ""), vcpu=vcpu, ram_gib=ram,
        shards=shards, nodes=max(nodes, len(members) if shards == 1 else 1), port=port, tls=bool(record.get("TransitEncryptionEnabled")),
        subnets=tuple(k for e in (subnet_group.record.get("Subnets", []) if subnet_group else []) if (k := ctx.key("aws.ec2.subnet", e.get("SubnetIdentifier"), source))),
        groups=tuple(k for e in first.get("SecurityGroups", []) if (k := ctx.key("aws.ec2.security_group", e.get("SecurityGroupId"), source))),
    )  # fmt: skip
    yield Move("cache", text("the contents of {name}", name=source.name))
    if shards > 1:
        yield Loss(
            "ClusterEnabled",
            text(
                "{shards} shards: clients of the cluster protocol must reach every node of the successor.",
                shards=shards,
            ),
        )
    if record.get("AuthTokenEnabled"):
        yield Loss(
            "AuthTokenEnabled",
            "The token cannot be read; the successor gets a new one from the secret store.",
        )
    if not (record.get("SnapshotRetentionLimit") or 0):
        yield Loss(
            "SnapshotRetentionLimit", "It has no snapshots: what is only here is lost with it."
        )
        if record.get("AutomaticFailover") not in ("enabled", "enabling"):
            yield Finding(
                "cache-unsaved",
                "warning",
                text(
                    "{name} has neither snapshots nor failover: what it holds is gone when its node fails, and at the switch unless it is copied; where these are sessions, everybody is signed out.",
                    name=source.name,
                ),
            )
    if record.get("AutomaticFailover") == "enabled" or record.get("MultiAZ") == "enabled":
        yield Loss(
            "AutomaticFailover",
            "Failover is Sentinel's or the cluster's own; test it before relying on it.",
        )


RULE = Rule(
    type="aws.elasticache.replication_group",
    title="ElastiCache replication group",
    service="elasticache",
    fetch=Fetch(
        "elasticache",
        "describe_replication_groups",
        "ReplicationGroups[]",
        id="ReplicationGroupId",
        arn="ARN",
        tags="Tags",
        details=(
            Detail(
                "list_tags_for_resource",
                {"ResourceName": "ARN"},
                into="Tags",
                path="TagList[]",
                absent=("CacheClusterNotFound", "ReplicationGroupNotFoundFault", "InvalidARN"),
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "ReplicationGroupId CacheNodeType MemberClusters NodeGroups.PrimaryEndpoint.Port ConfigurationEndpoint.Port ClusterEnabled TransitEncryptionEnabled "
        "AuthTokenEnabled SnapshotRetentionLimit AutomaticFailover MultiAZ"
    ),
    lost={
        "GlobalReplicationGroupInfo.GlobalReplicationGroupId": Lost(
            "Copies in other regions end.", "major"
        ),
        "KmsKeyId": "The target encrypts with its own keys.",
        "UserGroupIds": Lost(
            "Users and access lists have to be written into Valkey's own ACL file.", "major"
        ),
        "LogDeliveryConfigurations": "Logs no longer go to CloudWatch or Firehose.",
        "DataTiering": Lost(
            "Data tiering to SSD ends: everything must fit into memory.", "major", unless="disabled"
        ),
        "NodeGroups.Slots": "Slots are spread evenly again.",
        "NetworkType": Lost("IPv6 is not carried.", unless="ipv4"),
        "Tags": "Tags are not carried by this resource.",
        "Durability": Lost(
            "Durable writes end; what may not be lost belongs into a database.",
            "major",
            unless="none",
        ),
    },
    noise=noise(
        id="NodeGroups.NodeGroupMembers.CacheNodeId ARN NodeGroups.NodeGroupId NodeGroups.NodeGroupMembers.CacheClusterId",
        timestamp="AuthTokenLastModifiedDate ReplicationGroupCreateTime",
        internal="AutoMinorVersionUpgrade MemberClustersOutpostArns IpDiscovery TransitEncryptionMode ClusterMode SnapshottingClusterId SnapshotWindow StorageEncryptionType AtRestEncryptionEnabled EffectiveDurability",
        derived="Description Status PendingModifiedValues NodeGroups ConfigurationEndpoint.Address Engine GlobalReplicationGroupInfo",
    ),
    unordered=fields("MemberClusters"),
)
