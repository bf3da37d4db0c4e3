"""ElastiCache cluster -> Valkey or Memcached; members of a replication group are absorbed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Cache
from toolkit.outcomes import Disposition, Loss, Move, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._databases import size_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A single cluster becomes a cache of its own."""
    record = source.record
    if parent := record.get("ReplicationGroupId"):
        yield Disposition(
            "absorbed",
            text(
                "A node of {parent} ({kind}, {version}).",
                parent=parent,
                kind=record.get("CacheNodeType", "?"),
                version=record.get("EngineVersion", "?"),
            ),
            into=ctx.key("aws.elasticache.replication_group", parent, source) or "",
        )
        return
    memcached = record.get("Engine") == "memcached"
    vcpu, ram = size_of(record.get("CacheNodeType"))
    nodes = record.get("NumCacheNodes", 1)
    subnet_group = ctx.estate.find(
        "aws.elasticache.cache_subnet_group", record.get("CacheSubnetGroupName"), source
    )
    port = (record.get("ConfigurationEndpoint") or {}).get("Port") or next(
        (
            n["Endpoint"]["Port"]
            for n in record.get("CacheNodes", [])
            if (n.get("Endpoint") or {}).get("Port")
        ),
        None,
    )
    yield Cache(
        origin=source.key, name=record["CacheClusterId"], engine="memcached" if memcached else "valkey", version=record.get("EngineVersion", ""), vcpu=vcpu, ram_gib=ram,
        shards=nodes if memcached else 1, nodes=1, port=port or (11211 if memcached else 6379), tls=bool(record.get("TransitEncryptionEnabled")),
        subnets=tuple(k for e in (subnet_group.record.get("Subnets", []) if subnet_group else []) if (k := ctx.key("aws.ec2.subnet", e.get("SubnetIdentifier"), source))),
        groups=tuple(k for e in record.get("SecurityGroups", []) if (k := ctx.key("aws.ec2.security_group", e.get("SecurityGroupId"), source))),
    )  # fmt: skip
    yield Move("cache", text("the contents of {name}", name=source.name))
    if memcached and nodes > 1:
        yield Loss(
            "NumCacheNodes",
            "Auto discovery of nodes is AWS's own: clients get a list of addresses.",
        )


RULE = Rule(
    type="aws.elasticache.cache_cluster",
    title="ElastiCache cluster",
    service="elasticache",
    fetch=Fetch(
        "elasticache",
        "describe_cache_clusters",
        "CacheClusters[]",
        id="CacheClusterId",
        arn="ARN",
        tags="Tags",
        params={"ShowCacheNodeInfo": True},
        details=(
            Detail(
                "list_tags_for_resource",
                {"ResourceName": "ARN"},
                into="Tags",
                path="TagList[]",
                absent=("CacheClusterNotFound", "InvalidARN"),
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "CacheClusterId ReplicationGroupId Engine EngineVersion CacheNodeType NumCacheNodes CacheSubnetGroupName SecurityGroups.SecurityGroupId ConfigurationEndpoint.Port CacheNodes.Endpoint.Port TransitEncryptionEnabled"
    ),
    lost={
        "AuthTokenEnabled": "The token cannot be read; the successor gets a new one from the secret store.",
        "NotificationConfiguration.TopicArn": "Notices of the cache's events end.",
        "SnapshotRetentionLimit": "Snapshots are set up anew.",
        "LogDeliveryConfigurations": "Logs no longer go to CloudWatch or Firehose.",
        "CacheParameterGroup.CacheParameterGroupName": "Settings of the parameter group have to be compared by hand.",
        "CacheSecurityGroups": "Groups of EC2-Classic say nothing today.",
        "NetworkType": Lost("IPv6 is not carried.", unless="ipv4"),
        "Tags": "Tags are not carried by this resource.",
    },
    noise=noise(
        id="ARN CacheNodes.CacheNodeId",
        timestamp="CacheClusterCreateTime AuthTokenLastModifiedDate",
        internal="ClientDownloadLandingPage PreferredMaintenanceWindow PreferredOutpostArn AutoMinorVersionUpgrade SnapshotWindow ReplicationGroupLogDeliveryEnabled IpDiscovery TransitEncryptionMode AtRestEncryptionEnabled NotificationConfiguration",
        derived="CacheClusterStatus PreferredAvailabilityZone PendingModifiedValues CacheNodes ConfigurationEndpoint.Address SecurityGroups.Status CacheParameterGroup",
    ),
    unordered=fields("SecurityGroups"),
)
