"""Aurora or Multi-AZ cluster -> database of the engine below; Aurora's storage moves only logically."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Database
from toolkit.outcomes import Finding, Loss, Move, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._databases import PORTS, ended, engine_of, size_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Size and nodes follow from the members; serverless capacity from its upper bound."""
    record = source.record
    engine, version = (
        engine_of(record.get("Engine", "")),
        _community(record.get("EngineVersion", "")),
    )
    members = [
        held for each in record.get("DBClusterMembers", [])
        if (held := ctx.estate.find("aws.rds.db_instance", each.get("DBInstanceIdentifier"), source)) is not None
    ]  # fmt: skip
    writer = next(
        (
            e.get("DBInstanceIdentifier")
            for e in record.get("DBClusterMembers", [])
            if e.get("IsClusterWriter")
        ),
        None,
    )
    first = next((held for held in members if held.id == writer), members[0] if members else None)
    vcpu, ram = size_of(
        record.get("DBClusterInstanceClass")
        or (first.record.get("DBInstanceClass") if first else None)
    )
    serverless = (record.get("ServerlessV2ScalingConfiguration") or {}).get("MaxCapacity") or (
        record.get("ScalingConfigurationInfo") or {}
    ).get("MaxCapacity")
    if vcpu is None and serverless:
        vcpu, ram = max(1, round(serverless / 2)), float(serverless * 2)
        yield Loss(
            "ServerlessV2ScalingConfiguration.MaxCapacity",
            text(
                "It scaled up to {max} capacity units by itself; the successor has that size all the time.",
                max=serverless,
            ),
            "major",
        )
    group = ctx.estate.find("aws.rds.db_subnet_group", record.get("DBSubnetGroup"), source)
    subnets = tuple(
        key for each in (group.record.get("Subnets", []) if group else [])
        if (key := ctx.key("aws.ec2.subnet", each.get("SubnetIdentifier"), source))
    )  # fmt: skip
    groups = tuple(
        key
        for each in record.get("VpcSecurityGroups", [])
        if (key := ctx.key("aws.ec2.security_group", each.get("VpcSecurityGroupId"), source))
    )
    measured = ctx.measures.get(source.key, {}).get("DatabaseBytes")
    storage = (
        max(20, round(measured * 1.5 / 2**30)) if measured else record.get("AllocatedStorage") or 0
    )
    yield Database(
        origin=source.key, name=record["DBClusterIdentifier"], engine=engine, version=version, source_engine=record.get("Engine", ""),
        vcpu=vcpu, ram_gib=ram, storage_gib=storage if storage > 1 else 100, storage_kind=record.get("StorageType") or "gp3", iops=record.get("Iops", 0), throughput=record.get("StorageThroughput", 0),
        encrypted=bool(record.get("StorageEncrypted")), nodes=max(1, len(record.get("DBClusterMembers", []))), port=record.get("Port") or PORTS[engine],
        database=record.get("DatabaseName") or "", user=record.get("MasterUsername", ""), backup_days=record.get("BackupRetentionPeriod", 0),
        subnets=subnets, groups=groups,
    )  # fmt: skip
    yield Move(
        "database",
        text("the {engine} cluster {name}", engine=record.get("Engine", "?"), name=source.name),
        gb=measured / 1e9 if measured else None,
        facts={"engine": engine, "version": version},
    )
    if record.get("Engine", "").startswith("aurora"):
        yield Loss(
            "Engine",
            "Aurora's storage cannot be copied: only a logical dump or replication leaves it, and Aurora's own SQL (load from S3, Lambda calls, backtrack) ends.",
            "major",
        )
        if storage <= 1:
            yield Loss(
                "AllocatedStorage",
                "Aurora does not say how much it stores; 100 GiB are planned until measured.",
                "major",
            )
    if date := ended(engine, version):
        yield Finding(
            "engine-ended",
            "warning",
            text(
                "{engine} {version} has had no community support since {date}: move to a current release on the way.",
                engine=engine,
                version=version,
                date=date,
            ),
        )
    if record.get("IAMDatabaseAuthenticationEnabled"):
        yield Loss(
            "IAMDatabaseAuthenticationEnabled",
            "Sign-in by IAM ends; users get passwords from the secret store.",
            "major",
        )
    if record.get("ReaderEndpoint") and len(record.get("DBClusterMembers", [])) > 1:
        yield Loss(
            "ReaderEndpoint",
            "The reader endpoint spread reads by itself; a proxy or the application has to.",
        )
    if record.get("GlobalClusterIdentifier"):
        yield Loss("GlobalClusterIdentifier", "Copies in other regions end.", "major")


def _community(version: str) -> str:
    """Aurora MySQL says `8.0.mysql_aurora.3.04.0`; what counts is the engine's own version."""
    return version.split(".mysql_aurora", 1)[0]


RULE = Rule(
    type="aws.rds.db_cluster",
    title="RDS cluster (Aurora)",
    service="aurora",
    fetch=Fetch(
        "rds",
        "describe_db_clusters",
        "DBClusters[]",
        id="DBClusterIdentifier",
        arn="DBClusterArn",
        tags="TagList",
    ),
    translate=translate,
    carried=fields(
        "DBClusterIdentifier Engine EngineVersion DBClusterMembers.DBInstanceIdentifier DBClusterMembers.IsClusterWriter DBClusterInstanceClass DBSubnetGroup VpcSecurityGroups.VpcSecurityGroupId "
        "AllocatedStorage StorageType Iops StorageThroughput StorageEncrypted Port DatabaseName MasterUsername BackupRetentionPeriod IAMDatabaseAuthenticationEnabled ReaderEndpoint GlobalClusterIdentifier "
        "ServerlessV2ScalingConfiguration.MaxCapacity ScalingConfigurationInfo.MaxCapacity"
    ),
    lost={
        "CharacterSetName": "The character set is chosen when the database is made; check it before the copy.",
        "DBClusterParameterGroup": "Settings of the cluster's parameter group have to be compared by hand.",
        "CustomEndpoints": "Custom endpoints become addresses of single nodes.",
        "ReplicationSourceIdentifier": "It no longer follows another cluster.",
        "ReadReplicaIdentifiers": "Replicas in other regions are not built.",
        "DBClusterOptionGroupMemberships.DBClusterOptionGroupName": "Options of the engine are set up anew.",
        "KmsKeyId": "The target encrypts with its own keys.",
        "AssociatedRoles": Lost(
            "Features that used a role (import from S3, Lambda calls) end.", "major"
        ),
        "BacktrackWindow": Lost("Backtracking ends; restores take their place.", "major"),
        "EnabledCloudwatchLogsExports": "Logs no longer go to CloudWatch.",
        "ActivityStreamKinesisStreamName": Lost("The audit stream ends.", "major"),
        "HttpEndpointEnabled": Lost("The Data API ends; applications need a connection.", "major"),
        "DomainMemberships": Lost("Sign-in by Active Directory has to be set up anew.", "major"),
        "MasterUserSecret.SecretArn": "AWS no longer rotates the main password; it goes into the secret store.",
        "DeletionProtection": "The target protects it in Pulumi instead.",
        "MonitoringRoleArn": "Enhanced monitoring ends; the exporter of the engine takes its place.",
        "PerformanceInsightsEnabled": "Performance Insights ends; pg_stat_statements or the performance schema remain.",
        "LimitlessDatabase.MinRequiredACU": Lost("Sharding by AWS ends.", "blocker"),
        "RdsCustomClusterConfiguration": Lost("RDS Custom has no successor.", "major"),
        "GlobalWriteForwardingRequested": "Writes are no longer forwarded from other regions.",
        "CrossAccountClone": "Clones into other accounts end.",
        "PubliclyAccessible": "It gets no public address; who needs one goes through a bastion or a tunnel.",
        "NetworkType": Lost("IPv6 of the database is not carried.", unless="IPV4"),
        "ScalingConfigurationInfo.AutoPause": "It no longer pauses when idle.",
    },
    noise=noise(
        id="DBClusterArn DbClusterResourceId HostedZoneId CloneGroupId DBSystemId AwsBackupRecoveryPointArn",
        timestamp="ClusterCreateTime IOOptimizedNextAllowedModificationTime AutomaticRestartTime",
        internal="UpgradeRolloutOrder PreferredBackupWindow PreferredMaintenanceWindow EngineMode AutoMinorVersionUpgrade ActivityStreamMode ActivityStreamStatus ActivityStreamKmsKeyId CopyTagsToSnapshot "
        "GlobalWriteForwardingStatus ServerlessV2PlatformVersion MonitoringInterval DatabaseInsightsMode PerformanceInsightsKMSKeyId PerformanceInsightsRetentionPeriod LocalWriteForwardingStatus "
        "ClusterScalabilityType CertificateDetails EngineLifecycleSupport VPCNetworkingEnabled InternetAccessGatewayEnabled StorageEncryptionType LimitlessDatabase ServerlessV2ScalingConfiguration ScalingConfigurationInfo",
        derived="AvailabilityZones Status StatusInfos Endpoint MultiAZ DBClusterMembers.DBClusterParameterGroupStatus DBClusterMembers.PromotionTier VpcSecurityGroups.Status "
        "DBClusterOptionGroupMemberships.Status PendingModifiedValues TagList MasterUserSecret",
    ),
    volatile=fields(
        "LatestRestorableTime EarliestRestorableTime EarliestBacktrackTime BacktrackConsumedChangeRecords PercentProgress Capacity"
    ),
    unordered=fields("DBClusterMembers VpcSecurityGroups AvailabilityZones"),
)
