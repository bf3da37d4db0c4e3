"""RDS instance -> managed database of the same engine where the cloud has it, else a server with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from toolkit.intents.data import Database
from toolkit.outcomes import Disposition, Finding, Loss, Move, Option, Outcome, Task, Text, text
from toolkit.plan.names import slug
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._databases import PORTS, ended, engine_of, outsiders, settings, size_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Members of an Aurora cluster and replicas are absorbed; the rest becomes a database with its own move."""
    record = source.record
    if cluster := record.get("DBClusterIdentifier"):
        into = ctx.key("aws.rds.db_cluster", cluster, source)
        yield Disposition(
            "absorbed", text("A member of the cluster {cluster}.", cluster=cluster), into=into or ""
        )
        return
    if primary := record.get("ReadReplicaSourceDBInstanceIdentifier"):
        held = ctx.estate.find("aws.rds.db_instance", primary, source)
        choice = _replica(source, ctx, held.name if held else primary)
        yield Disposition(
            "absorbed" if choice == "node" else "retire",
            text("A read replica of {primary}.", primary=primary),
            into=held.key if held else "",
        )
        return
    engine = engine_of(record.get("Engine", ""))
    version = record.get("EngineVersion", "")
    vcpu, ram = size_of(record.get("DBInstanceClass"))
    replicas = [
        held
        for each in record.get("ReadReplicaDBInstanceIdentifiers", [])
        if (held := ctx.estate.find("aws.rds.db_instance", each, source)) is not None
    ]
    nodes = (2 if record.get("MultiAZ") else 1) + sum(
        _replica(each, ctx, source.name) == "node" for each in replicas
    )
    parameters = {
        name: value
        for each in record.get("DBParameterGroups", [])
        if (
            held := ctx.estate.find(
                "aws.rds.db_parameter_group", each.get("DBParameterGroupName"), source
            )
        )
        is not None
        for name, value in settings(held.record).items()
    }
    group = record.get("DBSubnetGroup") or {}
    subnets = tuple(
        key
        for each in group.get("Subnets", [])
        if (key := ctx.key("aws.ec2.subnet", each.get("SubnetIdentifier"), source))
    )
    groups = tuple(
        key
        for each in record.get("VpcSecurityGroups", [])
        if (key := ctx.key("aws.ec2.security_group", each.get("VpcSecurityGroupId"), source))
    )
    endpoint = record.get("Endpoint") or {}
    yield Database(
        origin=source.key, name=record["DBInstanceIdentifier"], engine=engine, version=version, source_engine=record.get("Engine", ""),
        vcpu=vcpu, ram_gib=ram, storage_gib=record.get("AllocatedStorage", 20), storage_kind=record.get("StorageType", "gp2"),
        iops=record.get("Iops", 0), throughput=record.get("StorageThroughput", 0), encrypted=bool(record.get("StorageEncrypted")), nodes=nodes,
        port=endpoint.get("Port") or record.get("DbInstancePort") or PORTS[engine], database=record.get("DBName") or "",
        user=record.get("MasterUsername", ""), backup_days=record.get("BackupRetentionPeriod", 0), subnets=subnets, groups=groups, parameters=parameters,
    )  # fmt: skip
    yield Move(
        "database", text("the {engine} database {name}", engine=record.get("Engine", "?"), name=source.name), gb=record.get("AllocatedStorage", 20) * 1.073741824,
        facts={"engine": engine, "version": version},
    )  # fmt: skip
    if engine == "other":
        yield Loss(
            "Engine",
            text(
                "{engine} {license} has no managed successor and no free engine that reads its data.",
                engine=record.get("Engine", "?"),
                license=f"({record['LicenseModel']})" if record.get("LicenseModel") else "",
            ),
            "blocker",
        )
    elif engine in ("postgresql", "mysql", "mariadb"):
        yield Task(
            "logical-replication", text("Turn on logical replication in {name}'s parameter group and reboot it", name=source.name),
            "A short window needs replication, and the parameter only holds after a reboot.", lead_days=7, role="database",
            **_logical(source, engine),
        )  # fmt: skip
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
    if record.get("PubliclyAccessible"):
        admitted = len(groups) != len(record.get("VpcSecurityGroups", [])) or any(
            outsiders(ctx.estate.by_key[each].record) for each in groups
        )
        yield Finding(
            "database-public",
            "critical" if admitted else "info",
            text(
                "{name} has a public address; at the target it has none."
                if admitted
                else "{name} asks for a public address, though its groups admit nobody from outside; at the target it has none.",
                name=source.name,
            ),
        )
        yield Loss(
            "PubliclyAccessible",
            "It gets no public address; who needs one goes through a bastion or a tunnel.",
            "minor",
        )
    if not record.get("BackupRetentionPeriod"):
        yield Finding(
            "database-no-backup",
            "critical",
            text("{name} has no automatic backups.", name=source.name),
        )
    if not record.get("MultiAZ"):
        yield Finding(
            "database-single-zone",
            "warning",
            text(
                "{name} is in one zone only; when that fails, it is gone until restored.",
                name=source.name,
            ),
        )
    if record.get("IAMDatabaseAuthenticationEnabled"):
        yield Loss(
            "IAMDatabaseAuthenticationEnabled",
            "Sign-in by IAM ends; users get passwords from the secret store.",
            "major",
        )
    if record.get("MaxAllocatedStorage"):
        yield Loss(
            "MaxAllocatedStorage",
            text(
                "Storage grew by itself up to {max} GiB; at the target it is watched and grown by hand.",
                max=record["MaxAllocatedStorage"],
            ),
        )


def _replica(replica: Resource, ctx: Context, primary: str) -> str:
    """`drop` or `node`; asked by the replica and by its primary, whichever is translated first."""
    return ctx.decide(
        replica.key, "replica", text("Does {name} stay a read replica of {primary}?", name=replica.name, primary=primary),
        (Option("drop", "Not built: the primary carries its reads", "Check the load first."), Option("node", "One more node of the successor", "Costs one more node.")),
        "drop", "Nothing read here says how much it is asked.",
    )  # fmt: skip


class _Made(TypedDict):
    """What the step that turns on replication is told by."""

    command: str
    check: str
    expected: Text
    undo: Text
    minutes: float | None
    basis: Text


def _logical(source: Resource, engine: str) -> _Made:
    """The parameter of the group in use; a default group cannot be changed, so another is put in its place first."""
    region, name = shlex.quote(source.region), shlex.quote(source.name)
    groups = [each.get("DBParameterGroupName", "") for each in source.record.get("DBParameterGroups", [])]  # fmt: skip
    group = groups[0] if groups and not groups[0].startswith("default.") else ""
    parameter, value, query = (
        ("rds.logical_replication", "1", "show wal_level") if engine == "postgresql" else ("binlog_format", "ROW", "select @@binlog_format")
    )  # fmt: skip
    told = f"ParameterName={parameter},ParameterValue={value},ApplyMethod=pending-reboot"
    aws = f"aws --region {region} rds"
    lines: list[str] = []
    if not group:
        group = f"{slug(source.name)}-repatria"
        family = f"$({aws} describe-db-engine-versions --engine {shlex.quote(str(source.record.get('Engine', engine)))} --engine-version {shlex.quote(str(source.record.get('EngineVersion', '')))} --query 'DBEngineVersions[0].DBParameterGroupFamily' --output text)"
        lines += [
            f'{aws} create-db-parameter-group --db-parameter-group-name {group} --db-parameter-group-family "{family}" --description repatria',
            f"{aws} modify-db-instance --db-instance-identifier {name} --db-parameter-group-name {group} --apply-immediately",
            f"{aws} wait db-instance-available --db-instance-identifier {name}",
        ]
    lines += [
        f"{aws} modify-db-parameter-group --db-parameter-group-name {shlex.quote(group)} --parameters {told}",
        f"{aws} reboot-db-instance --db-instance-identifier {name}",
        f"{aws} wait db-instance-available --db-instance-identifier {name}",
    ]
    service = slug(source.name)
    check = (
        f"psql service={service}-aws -Atc '{query}'"
        if engine == "postgresql"
        else f"mysql --defaults-file=\"$HOME\"/.{service}-aws.cnf -Ne '{query}'"
    )
    return {
        "command": " &&\n".join(lines),
        "check": check,
        "expected": text("The check prints `{value}`. The reboot interrupts everybody who uses it: agree on the minute.", value="logical" if engine == "postgresql" else value),
        "undo": text("Set the parameter back and reboot once more."),
        "minutes": 15,
        "basis": text("the reboot takes a minute or two; the rest is waiting for the parameter group, estimated"),
    }  # fmt: skip


RULE = Rule(
    type="aws.rds.db_instance",
    title="RDS instance",
    service="rds",
    fetch=Fetch(
        "rds",
        "describe_db_instances",
        "DBInstances[]",
        id="DBInstanceIdentifier",
        arn="DBInstanceArn",
        tags="TagList",
    ),
    translate=translate,
    carried=fields(
        "DBInstanceIdentifier DBInstanceClass Engine EngineVersion AllocatedStorage StorageType Iops StorageThroughput StorageEncrypted MultiAZ MasterUsername DBName "
        "Endpoint.Port DbInstancePort BackupRetentionPeriod VpcSecurityGroups.VpcSecurityGroupId DBSubnetGroup.Subnets.SubnetIdentifier DBParameterGroups.DBParameterGroupName "
        "PubliclyAccessible DBClusterIdentifier ReadReplicaSourceDBInstanceIdentifier ReadReplicaDBInstanceIdentifiers IAMDatabaseAuthenticationEnabled MaxAllocatedStorage LicenseModel"
    ),
    lost={
        "OptionGroupMemberships.OptionGroupName": "Options of the engine (audit, TDE, timezone) are set up anew.",
        "CharacterSetName": "The character set is chosen when the database is made; check it before the copy.",
        "NcharCharacterSetName": "The character set is chosen when the database is made; check it before the copy.",
        "Timezone": "The time zone of the server is set up anew.",
        "DomainMemberships": Lost("Sign-in by Active Directory has to be set up anew.", "major"),
        "MonitoringRoleArn": "Enhanced monitoring ends; the exporter of the engine takes its place.",
        "PerformanceInsightsEnabled": "Performance Insights ends; pg_stat_statements or the performance schema remain.",
        "EnabledCloudwatchLogsExports": "Logs no longer go to CloudWatch.",
        "DeletionProtection": "The target protects it in Pulumi instead.",
        "AssociatedRoles": Lost(
            "Features that used a role (import from S3, Lambda calls) end.", "major"
        ),
        "MasterUserSecret.SecretArn": "AWS no longer rotates the main password; it goes into the secret store.",
        "KmsKeyId": "The target encrypts with its own keys.",
        "ActivityStreamKinesisStreamName": Lost("The audit stream ends.", "major"),
        "ProcessorFeatures": "Cores cannot be switched off to save licences.",
        "CustomIamInstanceProfile": Lost("RDS Custom has no successor.", "major"),
        "TdeCredentialArn": Lost(
            "Transparent encryption by the engine must be turned off before the copy.", "major"
        ),
        "AdditionalStorageVolumes.AllocatedStorage": Lost(
            "Additional volumes must be counted into the one volume.", "major"
        ),
        "DBSecurityGroups.DBSecurityGroupName": "Groups of EC2-Classic say nothing today.",
        "DBInstanceAutomatedBackupsReplications": "Backups in another region are set up anew.",
        "MultiTenant": "Several tenant databases become several databases.",
        "DedicatedLogVolume": "The log shares the volume of the data.",
        "ReadReplicaDBClusterIdentifiers": "An Aurora replica of this instance is not built.",
        "ReadReplicaSourceDBClusterIdentifier": "It no longer follows a cluster.",
        "CopyTagsToSnapshot": "Backups of the target have no tags.",
        "NetworkType": Lost("IPv6 of the database is not carried.", unless="IPV4"),
        "CustomerOwnedIpEnabled": "Outposts addresses end.",
    },
    noise=noise(
        id="DBInstanceArn DbiResourceId DBSystemId Endpoint.HostedZoneId ListenerEndpoint PrimaryEndpoint EnhancedMonitoringResourceArn AwsBackupRecoveryPointArn DBCapacityReservationIdentifier",
        timestamp="InstanceCreateTime ResumeFullAutomationModeTime AutomaticRestartTime CertificateDetails.ValidTill",
        internal="UpgradeRolloutOrder PreferredBackupWindow PreferredMaintenanceWindow AutoMinorVersionUpgrade CACertificateIdentifier CertificateDetails PromotionTier MonitoringInterval DatabaseInsightsMode "
        "PerformanceInsightsKMSKeyId PerformanceInsightsRetentionPeriod AutomationMode ActivityStreamStatus ActivityStreamKmsKeyId ActivityStreamMode ActivityStreamEngineNativeAuditFieldsIncluded "
        "ActivityStreamPolicyStatus BackupTarget IsStorageConfigUpgradeAvailable EngineLifecycleSupport VPCNetworkingEnabled StorageEncryptionType ReplicaMode StorageVolumeStatus StorageOperationStatus",
        derived="DBInstanceStatus Endpoint.Address AvailabilityZone SecondaryAvailabilityZone StatusInfos PendingModifiedValues DBSubnetGroup TagList VpcSecurityGroups.Status DBParameterGroups.ParameterApplyStatus "
        "DBSecurityGroups.Status OptionGroupMemberships.Status AdditionalStorageVolumes MasterUserSecret",
    ),
    volatile=fields("LatestRestorableTime PercentProgress StorageOperationPercentProgress"),
    unordered=fields("VpcSecurityGroups"),
)
