"""EFS -> a share of the cloud where it has one, else an NFS server: elastic size becomes a fixed one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.compute import Files
from toolkit.outcomes import Loss, Move, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Half as much again as it holds today, at least 100 GiB."""
    record = source.record
    held = (record.get("SizeInBytes") or {}).get("Value") or 0
    measured = ctx.measures.get(source.key, {}).get("StoredBytes", held)
    targets = record.get("MountTargets", [])
    subnets = tuple(
        sorted(
            {
                key
                for each in targets
                if (key := ctx.key("aws.ec2.subnet", each.get("SubnetId"), source))
            }
        )
    )
    groups: list[str] = []
    for each in targets:
        interface = ctx.estate.find(
            "aws.ec2.network_interface", each.get("NetworkInterfaceId"), source
        )
        groups += [
            key
            for g in (interface.record.get("Groups", []) if interface else [])
            if (key := ctx.key("aws.ec2.security_group", g.get("GroupId"), source))
        ]
    yield Files(
        origin=source.key,
        name=record.get("Name") or source.name,
        gib=max(100, round(measured * 1.5 / 2**30)),
        subnets=subnets,
        firewalls=tuple(sorted(set(groups))),
    )
    yield Move(
        "files",
        text("the files of {name}", name=record.get("Name") or source.name),
        gb=measured / 1e9 if measured else None,
    )
    if record.get("ThroughputMode") not in (None, "bursting"):
        yield Loss(
            "ThroughputMode",
            text(
                "{mode} throughput{speed} becomes what the server or share gives.",
                mode=record["ThroughputMode"],
                speed=text(" ({n} MiB/s)", n=record["ProvisionedThroughputInMibps"])
                if record.get("ProvisionedThroughputInMibps")
                else "",
            ),
        )
    for each in record.get("AccessPoints", []):
        yield Loss(
            "AccessPoints.Name",
            text(
                "The access point {name} ({path}) becomes an exported folder.",
                name=each.get("Name", "?"),
                path=(each.get("RootDirectory") or {}).get("Path", "/"),
            ),
        )


RULE = Rule(
    type="aws.efs.file_system",
    title="EFS file system",
    service="efs",
    fetch=Fetch(
        "efs",
        "describe_file_systems",
        "FileSystems[]",
        id="FileSystemId",
        name="Name",
        arn="FileSystemArn",
        details=(
            Detail(
                "describe_mount_targets",
                {"FileSystemId": "FileSystemId"},
                into="MountTargets",
                path="MountTargets[]",
            ),
            Detail(
                "describe_access_points",
                {"FileSystemId": "FileSystemId"},
                into="AccessPoints",
                path="AccessPoints[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "Name ThroughputMode ProvisionedThroughputInMibps MountTargets.SubnetId MountTargets.NetworkInterfaceId AccessPoints.Name AccessPoints.RootDirectory.Path"
    ),
    lost={
        "KmsKeyId": "The target encrypts with its own keys.",
        "AvailabilityZoneName": "It was kept in one zone only.",
        "AccessPoints.PosixUser": "The user that an access point forces has to be set by the export.",
        "AccessPoints.RootDirectory.CreationInfo": "Folders are made by hand.",
        "FileSystemProtection.ReplicationOverwriteProtection": Lost(
            "Replication is set up anew.", unless="ENABLED"
        ),
        "PerformanceMode": Lost("Max I/O mode has no successor.", unless="generalPurpose"),
        "Tags": "Shares carry the plan's own tags.",
    },
    noise=noise(
        id="FileSystemId FileSystemArn OwnerId CreationToken AvailabilityZoneId MountTargets.OwnerId MountTargets.MountTargetId MountTargets.FileSystemId MountTargets.AvailabilityZoneId AccessPoints.ClientToken AccessPoints.AccessPointId AccessPoints.AccessPointArn AccessPoints.FileSystemId AccessPoints.OwnerId",
        timestamp="CreationTime",
        internal="AccessPoints.Tags",
        derived="LifeCycleState NumberOfMountTargets Encrypted MountTargets.LifeCycleState MountTargets.IpAddress MountTargets.Ipv6Address MountTargets.AvailabilityZoneName MountTargets.VpcId AccessPoints.LifeCycleState",
    ),
    volatile=fields("SizeInBytes"),
)
