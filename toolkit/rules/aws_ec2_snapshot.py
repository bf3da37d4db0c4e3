"""EBS snapshot -> absorbed by its image, or kept at AWS until its retention ends: it cannot be copied as such."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._kept import keep_copy

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Backups do not move; the data does. A snapshot behind an image goes with the image."""
    record = source.record
    for image in ctx.estate.having("aws.ec2.image", _snapshots, source.id):
        yield Disposition(
            "absorbed", text("The disk of the image {name}.", name=image.name), into=image.key
        )
        return
    volume = ctx.estate.find("aws.ec2.volume", record.get("VolumeId"), source)
    said = text(
        "{size} GiB of {volume}{note}.",
        size=record.get("VolumeSize", "?"),
        volume=volume.name if volume else text("a volume that is gone"),
        note=text(": {said}", said=record["Description"]) if record.get("Description") else "",
    )
    if volume is not None:
        yield Disposition(
            "retain",
            said,
            way_out="New backups at the target",
            work="Keep it until its retention ends; restore it at AWS while that is possible.",
        )
    else:
        yield Disposition("retire", said)
        yield from keep_copy(ctx, source, gib=record.get("VolumeSize"), snapshots=(source.id,))


def _snapshots(image: Resource) -> Iterator[object]:
    for each in image.record.get("BlockDeviceMappings", []):
        yield (each.get("Ebs") or {}).get("SnapshotId")


RULE = Rule(
    type="aws.ec2.snapshot",
    title="EBS snapshot",
    service="ami",
    fetch=Fetch(
        "ec2",
        "describe_snapshots",
        "Snapshots[]",
        id="SnapshotId",
        arn="arn:{partition}:ec2:{region}:{account}:snapshot/{id}",
        params={"OwnerIds": ["self"]},
    ),
    translate=translate,
    carried=fields("VolumeId VolumeSize Description"),
    lost={
        "KmsKeyId": "It can only be read while KMS answers.",
        "StorageTier": Lost(
            "An archived snapshot takes days to restore.", "major", unless="standard"
        ),
        "AssociatedKmsKeys": "It can only be read while KMS answers.",
    },
    noise=noise(
        id="SnapshotId OwnerId OwnerAlias OutpostArn DataEncryptionKeyId",
        timestamp="StartTime RestoreExpiryTime CompletionTime",
        internal="SseType TransferType CompletionDurationMinutes AvailabilityZone Tags",
        derived="State StateMessage Encrypted FullSnapshotSizeInBytes",
    ),
    volatile=fields("Progress"),
)
