"""EC2 instance -> server of the nearest flavor; how its disk comes to be is a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.clouds import aws_instance_type
from toolkit.intents.compute import Server
from toolkit.outcomes import Disposition, Finding, Loss, Move, Option, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._servers import about_type, boot_choice, decoded, distribution, user_data

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A server with its ports and volumes in order; members of a group go with the group."""
    record = source.record
    state = (record.get("State") or {}).get("Name", "running")
    if state in ("terminated", "shutting-down"):
        yield Disposition("retire", text("It is {state}.", state=state))
        return
    for tag, type_, says in (
        (
            "aws:autoscaling:groupName",
            "aws.autoscaling.auto_scaling_group",
            "A member of the group {name}.",
        ),
        ("eks:nodegroup-name", "aws.eks.nodegroup", "A member of the node group {name}."),
    ):
        if source.tags.get(tag):
            yield Disposition(
                "absorbed",
                text(says, name=source.tags[tag]),
                into=ctx.key(type_, source.tags[tag], source) or "",
            )
            return
    if state == "stopped":
        yield Finding(
            "instance-stopped",
            "info",
            text(
                "{name} is stopped ({why}).",
                name=source.name,
                why=record.get("StateTransitionReason") or text("no reason given"),
            ),
        )
        if ctx.decide(
            source.key, "stopped", text("{name} is stopped: what becomes of it?", name=source.name),
            (Option("retire", "Not moved", "A last copy of its volumes is kept, as the decision of each says."), Option("keep", "Moved, and stopped there too", "Costs storage.")),
            "retire", "A stopped server that nobody starts is a candidate to retire.",
        ) == "retire":  # fmt: skip
            yield Disposition("retire", "It is stopped.")
            return
    kind, type_name = (
        aws_instance_type(record.get("InstanceType", "")),
        record.get("InstanceType", ""),
    )
    known, own = distribution(ctx, record.get("ImageId"), record, source)
    root = record.get("RootDeviceName")
    devices = sorted(
        ((each.get("DeviceName", ""), ctx.estate.find("aws.ec2.volume", (each.get("Ebs") or {}).get("VolumeId"), source)) for each in record.get("BlockDeviceMappings", [])),
        key=lambda pair: str(pair[0]),
    )  # fmt: skip
    data = tuple(volume.key for device, volume in devices if volume is not None and device != root)
    root_volume = next(
        (volume for device, volume in devices if volume is not None and device == root), None
    )
    boot = boot_choice(
        ctx,
        source.key,
        source.name,
        own_image=own,
        stateful=bool(data) or source.tags.get("stateful") == "true",
        windows=known.startswith("windows"),
    )
    ports: list[tuple[int, str]] = []
    for each in record.get("NetworkInterfaces", []):
        key = ctx.key("aws.ec2.network_interface", each.get("NetworkInterfaceId"), source)
        if key is None:
            yield Loss(
                "NetworkInterfaces.NetworkInterfaceId",
                "One of its interfaces was not read; it is not attached.",
                "major",
            )
        else:
            ports.append(((each.get("Attachment") or {}).get("DeviceIndex", 0), key))
    content = decoded(record.get("UserData"))
    yield Server(
        origin=source.key, name=source.name, instance_type=type_name, distribution=known, boot=boot,  # type: ignore[arg-type]
        root_gib=root_volume.record.get("Size", 8) if root_volume else 8, ports=tuple(key for _, key in sorted(ports)), volumes=data, key=record.get("KeyName", ""),
        running=state == "running", user_data=content, tags=source.tags,
    )  # fmt: skip
    if boot == "image":
        yield Move(
            "image",
            text("the image of {name}", name=source.name),
            gb=root_volume.record.get("Size") if root_volume else None,
            facts={"image": str(record.get("ImageId", ""))},
        )
    elif boot == "volume":
        yield Move(
            "volume",
            text("the root disk of {name}", name=source.name),
            gb=root_volume.record.get("Size") if root_volume else None,
            facts={"volume": root_volume.id} if root_volume else {},
        )
    yield from about_type(
        source.name, type_name, {"spot": record.get("InstanceLifecycle") == "spot"}
    )
    yield from user_data(source.name, content)
    if record.get("Architecture") == "arm64" or (kind and kind.arch == "arm64"):
        yield Finding(
            "arm",
            "warning",
            text(
                "{name} runs on ARM ({arch}).",
                name=source.name,
                arch=record.get("Architecture", "arm64"),
            ),
        )
    if (
        known == "rocky9"
        and "amazon"
        in str(ctx.estate.find("aws.ec2.image", record.get("ImageId"), source) or "").casefold()
    ):
        yield Loss(
            "ImageId", "Amazon Linux has no image elsewhere; Rocky Linux 9 is nearest.", "major"
        )
    if (record.get("IamInstanceProfile") or {}).get("Arn"):
        profile = record["IamInstanceProfile"]["Arn"].rsplit("/", 1)[-1]
        yield Finding(
            "instance-role",
            "warning",
            text(
                "{name} gets credentials from the role behind {profile}; there are none at the target.",
                name=source.name,
                profile=profile,
            ),
        )
        yield Loss(
            "IamInstanceProfile.Arn",
            "Credentials from the metadata service end; an application credential from the secret store takes their place.",
            "major",
        )
    placement = record.get("Placement") or {}
    if placement.get("Tenancy") not in (None, "default"):
        yield Loss(
            "Placement.Tenancy",
            text(
                "It was alone on its host ({tenancy}); ask the provider for dedicated hosts.",
                tenancy=placement["Tenancy"],
            ),
            "major",
        )
    if placement.get("GroupName"):
        yield Loss(
            "Placement.GroupName",
            text(
                "The placement group {group} becomes a server group at best.",
                group=placement["GroupName"],
            ),
        )
    if (record.get("HibernationOptions") or {}).get("Configured"):
        yield Loss("HibernationOptions.Configured", "It no longer hibernates.")
    if (record.get("EnclaveOptions") or {}).get("Enabled"):
        yield Loss("EnclaveOptions.Enabled", "Enclaves have no successor.", "major")
    if [p for p in record.get("ProductCodes", []) if p.get("ProductCodeId")]:
        yield Loss(
            "ProductCodes.ProductCodeId",
            "It was bought on the Marketplace: the licence ends and its image cannot be exported.",
            "major",
        )
    if known.startswith("windows"):
        yield Finding(
            "windows",
            "warning",
            text(
                "{name} runs Windows: settle the licence with the provider before the move.",
                name=source.name,
            ),
        )


RULE = Rule(
    type="aws.ec2.instance",
    title="EC2 instance",
    service="ec2",
    fetch=Fetch(
        "ec2",
        "describe_instances",
        "Reservations[].Instances[]",
        id="InstanceId",
        arn="arn:{partition}:ec2:{region}:{account}:instance/{id}",
        details=(
            Detail(
                "describe_instance_attribute",
                {"InstanceId": "InstanceId"},
                into="UserData",
                path="UserData.Value",
                constants={"Attribute": "userData"},
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "InstanceType ImageId PlatformDetails Platform Architecture State.Name RootDeviceName BlockDeviceMappings.DeviceName BlockDeviceMappings.Ebs.VolumeId NetworkInterfaces.NetworkInterfaceId NetworkInterfaces.Attachment.DeviceIndex "
        "KeyName UserData IamInstanceProfile.Arn Placement.Tenancy Placement.GroupName HibernationOptions.Configured EnclaveOptions.Enabled InstanceLifecycle ProductCodes.ProductCodeId StateTransitionReason Tags.Key Tags.Value"
    ),
    lost={
        "Placement.HostId": Lost("Its dedicated host has no successor.", "major"),
        "Placement.HostResourceGroupArn": Lost("Its dedicated host has no successor.", "major"),
        "Placement.PartitionNumber": "Partitions of a placement group have no successor.",
        "CpuOptions.AmdSevSnp": Lost("Encrypted memory is not offered.", "major"),
        "CpuOptions.ThreadsPerCore": Lost("Turning threads off is not offered.", unless=2),
        "CpuOptions.NestedVirtualization": "Nested virtualisation depends on the provider.",
        "CapacityReservationId": "Reserved capacity ends.",
        "CapacityBlockId": "Reserved capacity ends.",
        "ElasticGpuAssociations": "Elastic graphics ended.",
        "ElasticInferenceAcceleratorAssociations": "Elastic Inference ended.",
        "Licenses": Lost("Licence configurations have to be settled anew.", "major"),
        "TpmSupport": "A virtual TPM has to be asked for.",
        "BootMode": Lost("UEFI boot has to be set on the image.", unless="legacy-bios"),
        "MaintenanceOptions.AutoRecovery": Lost(
            "Recovery on another host is the provider's.", unless="default"
        ),
        "OutpostArn": Lost("Outposts have no successor.", "major"),
        "SecondaryInterfaces": Lost("Secondary interfaces are not carried.", "major"),
        "PrivateDnsNameOptions.EnableResourceNameDnsARecord": "It is not found by AWS's own name any more.",
        "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord": "It is not found by AWS's own name any more.",
    },
    noise=noise(
        id="InstanceId ClientToken SpotInstanceRequestId KernelId RamdiskId IamInstanceProfile.Id BlockDeviceMappings.Ebs.VolumeOwnerId Placement.GroupId Placement.AvailabilityZoneId UsageOperation",
        timestamp="LaunchTime UsageOperationUpdateTime",
        internal="EbsOptimized EnaSupport Hypervisor SriovNetSupport VirtualizationType AmiLaunchIndex Monitoring MetadataOptions NetworkPerformanceOptions Operator CapacityReservationSpecification CpuOptions CurrentInstanceBootMode MaintenanceOptions Placement HibernationOptions EnclaveOptions ProductCodes PrivateDnsNameOptions",
        derived="RootDeviceType SecurityGroups SourceDestCheck StateReason State BlockDeviceMappings NetworkInterfaces PrivateDnsName PublicDnsName SubnetId VpcId PrivateIpAddress PublicIpAddress Ipv6Address",
    ),
    unordered=fields("SecurityGroups NetworkInterfaces BlockDeviceMappings"),
)
