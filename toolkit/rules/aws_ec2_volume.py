"""EBS volume -> block volume of the nearest class, its blocks moved before the servers start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.compute import Volume
from toolkit.outcomes import Disposition, Finding, Move, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._kept import keep_copy

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Data volumes become volumes; root volumes go with their server; unattached ones are retired."""
    record = source.record
    size = record.get("Size", 1)
    attached = [each for each in record.get("Attachments", []) if each.get("InstanceId")]
    if not attached:
        yield Finding(
            "volume-unattached",
            "info",
            text("No instance uses this volume of {size} GiB.", size=size),
        )
        yield Disposition("retire", "Attached to nothing.")
        yield from keep_copy(ctx, source, gib=size, volume=source.id)
        return
    server = ctx.estate.find("aws.ec2.instance", attached[0]["InstanceId"], source)
    if server is not None:
        state = (server.record.get("State") or {}).get("Name")
        kept = ctx.overrides.get(f"stopped:{server.key}")
        if server.tags.get("aws:autoscaling:groupName") or server.tags.get("eks:nodegroup-name"):
            yield Disposition(
                "absorbed",
                text("It goes with {name}, a member of a group.", name=server.name),
                into=server.key,
            )
            return
        if state == "stopped" and not (kept and kept.choose == "keep"):
            yield Disposition(
                "retire", text("{name}, which uses it, is stopped.", name=server.name)
            )
            yield from keep_copy(ctx, source, gib=size, volume=source.id)
            return
        if attached[0].get("Device") == server.record.get("RootDeviceName"):
            yield Disposition(
                "absorbed",
                text(
                    "The root disk of {name}, {size} GiB: built anew or moved, as the server's decision says.",
                    name=server.name,
                    size=size,
                ),
                into=server.key,
            )
            return
    yield Volume(
        origin=source.key, name=source.name, size_gib=size, kind=record.get("VolumeType", "gp2"), iops=record.get("Iops") or 0, throughput=record.get("Throughput") or 0,
        encrypted=bool(record.get("Encrypted")), tags=source.tags,
    )  # fmt: skip
    yield Move("volume", text("the blocks of {name}", name=source.name), gb=size * 1.073741824)


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
    ),
    translate=translate,
    carried=fields(
        "Size VolumeType Encrypted Iops Throughput Attachments.InstanceId Attachments.Device Tags.Key Tags.Value"
    ),
    lost={
        "MultiAttachEnabled": Lost(
            "One volume on several servers needs a clustered file system.", "major"
        ),
        "KmsKeyId": "The target encrypts with its own keys; the KMS key stays behind.",
    },
    noise=noise(
        id="VolumeId VolumeArn OwnerId SnapshotId SourceVolumeId OutpostArn AvailabilityZoneId",
        timestamp="CreateTime Attachments.AttachTime",
        internal="FastRestored SseType Operator VolumeInitializationRate",
        derived="State AvailabilityZone Attachments",
    ),
)
