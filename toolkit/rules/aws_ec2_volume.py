"""EBS volume -> block volume of the nearest class, its blocks moved before the servers start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.compute import Volume
from toolkit.outcomes import Disposition, Finding, Move, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Same size, nearest class; a volume that nothing uses is a candidate to retire."""
    record = source.record
    attached = [each for each in record.get("Attachments", []) if each.get("InstanceId")]
    if not attached:
        yield Finding(
            "volume-unattached",
            "info",
            text("No instance uses this volume of {size} GiB.", size=record["Size"]),
        )
        yield Disposition("retire", text("Attached to nothing."))
        return
    yield Volume(
        origin=source.key,
        name=source.name,
        size_gib=record["Size"],
        kind=record.get("VolumeType", "gp2"),
        iops=record.get("Iops", 0),
        throughput=record.get("Throughput", 0),
        encrypted=record.get("Encrypted", False),
        tags=source.tags,
    )
    yield Move(
        "volume", text("the blocks of {name}", name=source.name), gb=record["Size"] * 1.073741824
    )


RULE = Rule(
    type="aws.ec2.volume",
    title="EBS volume",
    service="ebs",
    fetch=Fetch(
        "ec2",
        "describe_volumes",
        "Volumes[]",
        id="VolumeId",
        arn="arn:{partition}:ec2:{region}:{account}:volume/{id}",
    ),  # fmt: skip
    translate=translate,
    carried=fields(
        "Size VolumeType Encrypted Iops Throughput Attachments.InstanceId Tags.Key Tags.Value"
    ),
    lost={
        "MultiAttachEnabled": Lost(
            "One volume on several servers needs a clustered file system.", "major"
        ),
        "KmsKeyId": "The target encrypts with its own keys; the KMS key stays behind.",
    },
    noise=noise(
        id="VolumeId SnapshotId SourceVolumeId OutpostArn AvailabilityZoneId",
        timestamp="CreateTime Attachments.AttachTime",
        internal="FastRestored SseType Operator VolumeInitializationRate",
        derived="State AvailabilityZone Attachments",
    ),
)
