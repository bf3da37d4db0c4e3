"""Own AMI -> image at the target, exported and converted once; what nothing starts from is retired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Move, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._kept import keep_copy

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Moved where something starts from it."""
    record = source.record
    users = [
        *ctx.estate.where("aws.ec2.instance", "ImageId", source.id),
        *ctx.estate.having("aws.ec2.launch_template", _images, source.id),
    ]
    name = record.get("Name") or source.name
    disks = [each["Ebs"] for each in record.get("BlockDeviceMappings", []) if each.get("Ebs")]
    if not users:
        yield Disposition("retire", text("Nothing read here starts from {name}.", name=name))
        if held := [str(disk["SnapshotId"]) for disk in disks if disk.get("SnapshotId")]:
            sizes = [disk.get("VolumeSize") for disk in disks]
            yield from keep_copy(
                ctx, source, gib=sum(sizes) if all(sizes) else None, snapshots=tuple(held)
            )
        return
    yield Move(
        "image",
        text("the image {name} ({system})", name=name, system=record["PlatformDetails"])
        if record.get("PlatformDetails")
        else text("the image {name}", name=name),
        gb=sum(d.get("VolumeSize", 0) for d in disks) or None,
    )
    if record.get("Architecture") == "arm64":
        yield Loss("Architecture", "An ARM image starts on no flavor of the target.", "major")
    if record.get("BootMode") not in (None, "legacy-bios"):
        yield Loss(
            "BootMode",
            text("{mode} has to be set as a property of the image.", mode=record["BootMode"]),
        )
    if [p for p in record.get("ProductCodes", []) if p.get("ProductCodeId")]:
        yield Loss(
            "ProductCodes.ProductCodeId", "AWS refuses to export a Marketplace image.", "blocker"
        )
    yield Disposition(
        "replatform",
        text(
            "{users} start from {name}.", users=", ".join(sorted(u.name for u in users)), name=name
        ),
        way_out="An image at the target, or a catalogue image and Ansible",
        work="Export, convert with virtio drivers, register; or rebuild.",
    )


def _images(template: Resource) -> Iterator[object]:
    yield ((template.record.get("Version") or [{}])[0].get("LaunchTemplateData") or {}).get(
        "ImageId"
    )


RULE = Rule(
    type="aws.ec2.image",
    title="Machine image (AMI)",
    service="ami",
    fetch=Fetch(
        "ec2",
        "describe_images",
        "Images[]",
        id="ImageId",
        name="Name",
        arn="arn:{partition}:ec2:{region}:{account}:image/{id}",
        params={"Owners": ["self"]},
    ),
    translate=translate,
    carried=fields(
        "Name PlatformDetails Architecture BootMode BlockDeviceMappings.Ebs.VolumeSize BlockDeviceMappings.Ebs.SnapshotId ProductCodes.ProductCodeId"
    ),
    lost={
        "TpmSupport": "A virtual TPM has to be asked for.",
        "Public": Lost("It was public; its successor is private."),
        "ImdsSupport": "The metadata service of the target is another.",
    },
    noise=noise(
        id="ImageId OwnerId KernelId RamdiskId SourceInstanceId SourceImageId PublicSsmParameterName ProductCodes.ProductCodeType",
        timestamp="CreationDate DeprecationTime",
        internal="UsageOperation EnaSupport Hypervisor ImageOwnerAlias SriovNetSupport VirtualizationType DeregistrationProtection ImageAllowed SourceImageRegion FreeTierEligible ImageWatermarks ScanResults InstanceTypeSpecification Tags",
        derived="Description RootDeviceName RootDeviceType StateReason ImageLocation State ImageType Platform BlockDeviceMappings ProductCodes",
    ),
    volatile=fields("LastLaunchedTime"),
)
