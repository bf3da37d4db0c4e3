"""Servers, volumes, keys, fleets and shares -> compute, blockstorage and sharedfilesystem resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.clouds import FlavorChoice, aws_instance_type
from toolkit.intents.compute import Files, Fleet, KeyPair, Server, Volume
from toolkit.outcomes import Disposition, Loss, Option, Task, text
from toolkit.plan.moves import variable
from toolkit.plan.names import slug
from toolkit.program import Config, Lookup, Node, Out, Value
from toolkit.targets.openstack.network import groups_on

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target

_REFUSED = "/+=@"
SHARE_TYPE = "standard-1az"
"""The type of shares that a plan asks for: OVHcloud's, and configuration of the stack elsewhere."""
MOST = 255
"""Characters in a key or value of Nova's metadata."""


def volume(intent: Volume, t: Target) -> Iterator[object]:
    """A Cinder volume of the nearest class; what its class cannot give is a loss."""
    choice = t.cloud.volume_type_for(
        intent.kind, intent.size_gib, intent.iops, intent.throughput, intent.encrypted
    )
    words = {
        "iops": ("Iops", "{missing} IOPS"),
        "mb_s": ("Throughput", "{missing} MB/s"),
        "size_gb": ("Size", "{missing} GB"),
        "encrypted": ("Encrypted", "encryption"),
    }
    for what, missing in choice.shortfall.items():
        field, unit = words[what]
        yield Loss(
            field,
            text(
                "{name} lacks {what} against the source ({kind}).",
                name=choice.name,
                what=text(unit, missing=missing),
                kind=intent.kind,
            ),
            "blocker" if what == "size_gb" else "major",
        )
    props: dict[str, Value] = {
        "name": intent.name,
        "size": intent.size_gib,
        "volume_type": _class(choice.name, intent.kind, intent.encrypted),
    }
    kept, losses = metadata(intent.tags)
    yield from losses
    if kept:
        props["metadata"] = kept
    yield Node(
        type="openstack.blockstorage.Volume", origin=intent.origin, tier="data", topic="storage", props=props, protect=True,
        units={"volumes": 1, "volume_gb": intent.size_gib},
    )  # fmt: skip


def _class(name: str, kind: str, encrypted: bool) -> Config:
    return Config(
        f"volume-type-{kind}{'-encrypted' if encrypted else ''}",
        name,
        doc=f"Volume type for EBS {kind}.",
    )


def metadata(tags: Mapping[str, str]) -> tuple[dict[str, str], list[Loss]]:
    """Tags that Nova accepts, and a loss for each that it would refuse at apply."""
    kept: dict[str, str] = {}
    losses: list[Loss] = []
    for name, value in sorted(tags.items()):
        if name.startswith("aws:") or name == "Name":
            continue
        if any(char in _REFUSED for char in name) or len(name) > MOST or len(value) > MOST:
            losses.append(
                Loss(
                    "Tags.Key",
                    text(
                        "The tag {name} is refused by the target (its characters or its length).",
                        name=name[:60],
                    ),
                )
            )
        else:
            kept[name] = value
    return kept, losses


def key_pair(intent: KeyPair, t: Target) -> Iterator[object]:
    """Always with the operator's public key: without one Nova would make a private key and put it into the state."""
    yield Node(
        type="openstack.compute.Keypair", origin=intent.origin, tier="network", topic="keys",
        props={"name": intent.name, "public_key": Config("operator-public-key", doc="The operator's SSH public key, one line.")},
    )  # fmt: skip


def _flavor(t: Target, subject: str, name: str, type_name: str) -> FlavorChoice | None:
    """The nearest flavor; ARM and bare metal without a counterpart become decisions."""
    kind = aws_instance_type(type_name)
    if kind is None:
        return t.cloud.flavor_for(2, 4)
    choice = t.cloud.flavor_for(
        kind.vcpu,
        kind.ram_gib,
        gpu=kind.gpus,
        gpu_model=kind.gpu_model,
        arch=kind.arch,
        bare_metal=kind.metal,
        burstable=False,
    ) or (
        t.cloud.flavor_for(kind.vcpu, kind.ram_gib, gpu=kind.gpus, arch=kind.arch)
        if kind.gpus
        else None
    )
    if choice is None and (kind.arch != "x86_64" or kind.metal):
        near = t.cloud.flavor_for(kind.vcpu, kind.ram_gib)
        what = "ARM" if kind.arch != "x86_64" else text("bare metal")
        taken = t.ctx.decide(
            subject, "architecture", text("{cloud} has no {what} flavor for {name} ({type}): what then?", cloud=t.cloud.product, what=what, name=name, type=type_name),
            (
                Option("x86", text("The nearest x86-64 server{flavor}", flavor=f", {near.name}" if near else ""), "Software has to be built for x86-64; images and binaries of ARM do not start."),
                Option("elsewhere", "Another provider with that architecture", "One more contract and network; planned by hand."),
            ),
            "x86", "Most software is there for both.", t.cloud.known("flavors.architecture", "flavors.arch", "flavors.arm"),
        )  # fmt: skip
        return near if taken == "x86" else None
    return choice


def _distance(choice: FlavorChoice, type_name: str) -> Iterator[Loss]:
    kind = aws_instance_type(type_name)
    if kind is None:
        return
    more = choice.flavor.vcpu - kind.vcpu, round(choice.flavor.ram_gb - kind.ram_gib, 1)
    if more != (0, 0):
        yield Loss(
            "InstanceType",
            text(
                "{flavor} has {vcpu} vCPU and {ram} GB against {was} and {had} of {type}.",
                flavor=choice.name,
                vcpu=choice.flavor.vcpu,
                ram=choice.flavor.ram_gb,
                was=kind.vcpu,
                had=kind.ram_gib,
                type=type_name,
            ),
        )


def _image(t: Target, distribution: str) -> Lookup:
    known = t.cloud.images.get(distribution) or t.cloud.images.get("debian12")
    return Lookup(
        "openstack.images.get_image",
        (
            ("name", Config(f"image-{distribution}", known, doc=f"Image for {distribution}.")),
            ("most_recent", True),
        ),
    )


def _zone(t: Target, subnet: str | None) -> dict[str, Value]:
    """A zone per server where the cloud has several: instances are not spread by themselves."""
    region = next((each for each in t.cloud.regions if each.name == t.ctx.target_region), None)
    home = t.ctx.estate.by_key.get(subnet or "")
    if region is None or len(region.zones) < 2 or home is None:
        return {}
    letter = str(home.record.get("AvailabilityZone", "a"))[-1:]
    number = (ord(letter) - ord("a")) % len(region.zones) if letter.isalpha() else 0
    return {
        "availability_zone": Config(
            f"zone-{letter or 'a'}",
            region.zones[number],
            doc=f"Zone for what was in zone {letter} at AWS.",
        )
    }


def server(intent: Server, t: Target) -> Iterator[object]:
    """Flavor, disk, ports in order, volumes in order."""
    choice = _flavor(t, intent.origin, intent.name, intent.instance_type)
    if choice is None:
        yield Loss(
            "InstanceType",
            text(
                "No flavor of {cloud} is as large as {type}: ask the provider for one, or split the load.",
                cloud=t.cloud.product,
                type=intent.instance_type or text("it"),
            ),
            "blocker",
        )
        return
    yield from _distance(choice, intent.instance_type)
    ports = [out for key in intent.ports if (out := t.out(key)) is not None]
    if not ports:
        yield Loss(
            "NetworkInterfaces.NetworkInterfaceId",
            "None of its interfaces is planned: it has no network to be put into.",
            "blocker",
        )
        return
    kept, losses = metadata(intent.tags)
    yield from losses
    props: dict[str, Value] = {
        "name": intent.name,
        "flavor_name": Config(
            f"flavor-{slug(intent.name) or 'server'}",
            choice.name,
            doc=f"{intent.instance_type} at AWS.",
        ),
        "networks": [{"port": out} for out in ports],
    }
    if kept:
        props["metadata"] = kept
    if not intent.distribution.startswith("windows"):
        props["key_pair"] = _key(t, intent.key, intent.origin)
    home = t.ctx.estate.by_key.get(intent.ports[0])
    props |= _zone(
        t, t.ctx.key("aws.ec2.subnet", home.record.get("SubnetId"), home) if home else None
    )
    units: dict[str, float] = {
        "instances": 1,
        "cores": choice.flavor.vcpu,
        "ram_gb": choice.flavor.ram_gb,
    }
    label = slug(intent.name) or "server"
    windows_floor = 60 if intent.distribution.startswith("windows") else 0
    size = max(intent.root_gib, windows_floor)
    if intent.boot == "volume":
        moved = Config(
            f"{label}-root-volume-id",
            doc=text(
                "Id of the volume that the root disk of {name} was moved to.", name=intent.name
            ),
        )
        props["block_devices"] = [_device(moved, "volume")]
        # the move makes it, not a stack; the project's quota holds it all the same
        units |= {"volumes": 1, "volume_gb": size}
    else:
        source: Value = (
            _image(t, intent.distribution)
            if intent.boot == "rebuild"
            else Config(
                f"{label}-image-id",
                doc=text("Id of the image that {name} was moved to.", name=intent.name),
            )
        )
        if choice.flavor.disk_gb == 0 or choice.flavor.disk_gb < size:
            yield Node(
                type="openstack.blockstorage.Volume", origin=intent.origin, role="boot", tier="servers", topic="servers", protect=True,
                props={"name": f"{intent.name}-boot", "size": size, "image_id": source, "volume_type": _class(t.cloud.volume_type_for("gp2", size).name, "gp2", False)}, units={"volumes": 1, "volume_gb": size},
            )  # fmt: skip
            props["block_devices"] = [_device(Out(intent.origin, "boot"), "volume")]
        else:
            props["image_id"] = source
    if not intent.running:
        props["power_state"] = "shutoff"
    yield Node(
        type="openstack.compute.Instance",
        origin=intent.origin,
        tier="servers",
        topic="servers",
        props=props,
        units=units,
        ignore_changes=("image_id",) if "image_id" in props else (),
    )
    before: tuple[Out, ...] = ()
    for number, key in enumerate(intent.volumes, start=1):
        out = t.out(key)
        if out is None:
            continue
        yield Node(
            type="openstack.compute.VolumeAttach", origin=intent.origin, role=f"volume-{number}", tier="servers", topic="servers",
            props={"instance_id": Out(intent.origin), "volume_id": out}, depends_on=before,
        )  # fmt: skip
        before = (Out(intent.origin, f"volume-{number}"),)


def _device(source: Value, kind: str) -> dict[str, Value]:
    return {
        "uuid": source,
        "source_type": kind,
        "destination_type": "volume",
        "boot_index": 0,
        "delete_on_termination": False,
    }


def _key(t: Target, name: str, near: str) -> Value:
    held = t.ctx.estate.find("aws.ec2.key_pair", name, t.ctx.estate.by_key[near]) if name else None
    out = t.out(held.key, attr="name") if held is not None else None
    return out if out is not None else Config("key-pair", doc="Name of the operator's key pair.")


def fleet(intent: Fleet, t: Target) -> Iterator[object]:
    """Ports `port-1`.. and servers `1`.., spread over the subnets and kept apart by a server group."""
    choice = _flavor(t, intent.origin, intent.name, intent.instance_type)
    subnets = [key for key in intent.subnets if t.node(key)]
    if choice is None:
        yield Loss(
            "LaunchTemplate.LaunchTemplateId",
            text(
                "No flavor of {cloud} is as large as {type}.",
                cloud=t.cloud.product,
                type=intent.instance_type,
            ),
            "blocker",
        )
        return
    if not subnets:
        yield Loss("VPCZoneIdentifier", "None of its subnets is planned.", "blocker")
        return
    yield from _distance(choice, intent.instance_type)
    kept, losses = metadata(intent.tags)
    yield from losses
    yield Node(
        type="openstack.compute.ServerGroup",
        origin=intent.origin,
        role="apart",
        tier="servers",
        topic="servers",
        props={"name": intent.name, "policies": "soft-anti-affinity"},
    )
    flavor = Config(
        f"flavor-{slug(intent.name) or 'fleet'}", choice.name, doc=f"{intent.instance_type} at AWS."
    )
    for number in range(1, intent.count + 1):
        subnet = subnets[(number - 1) % len(subnets)]
        place = t.node(subnet)
        groups = groups_on(t, intent.firewalls, subnet)
        port: dict[str, Value] = {
            "name": f"{intent.name}-{number}",
            "network_id": place.props["network_id"] if place else None,
            "fixed_ips": [{"subnet_id": t.out(subnet)}],
            "admin_state_up": True,
        }
        port |= {"security_group_ids": groups} if groups else {"no_security_groups": True}
        yield Node(
            type="openstack.networking.Port",
            origin=intent.origin,
            role=f"port-{number}",
            tier="servers",
            topic="ports",
            props=port,
            units={"ports": 1},
        )
        props: dict[str, Value] = {
            "name": f"{intent.name}-{number}", "flavor_name": flavor, "networks": [{"port": Out(intent.origin, f"port-{number}")}],
            "scheduler_hints": [{"group": Out(intent.origin, "apart")}], "key_pair": _key(t, intent.key, intent.origin), **_zone(t, subnet),
        }  # fmt: skip
        if kept:
            props["metadata"] = kept
        units: dict[str, float] = {
            "instances": 1,
            "cores": choice.flavor.vcpu,
            "ram_gb": choice.flavor.ram_gb,
        }
        if choice.flavor.disk_gb < intent.root_gib:
            yield Node(
                type="openstack.blockstorage.Volume", origin=intent.origin, role=f"boot-{number}", tier="servers", topic="servers",
                props={"name": f"{intent.name}-{number}-boot", "size": intent.root_gib, "image_id": _image(t, intent.distribution), "volume_type": _class(t.cloud.volume_type_for("gp2", intent.root_gib).name, "gp2", False)}, units={"volumes": 1, "volume_gb": intent.root_gib},
            )  # fmt: skip
            props["block_devices"] = [_device(Out(intent.origin, f"boot-{number}"), "volume")]
        else:
            props["image_id"] = _image(t, intent.distribution)
        yield Node(
            type="openstack.compute.Instance",
            origin=intent.origin,
            role=str(number),
            tier="servers",
            topic="servers",
            props=props,
            units=units,
            ignore_changes=("image_id",) if "image_id" in props else (),
        )


def files(intent: Files, t: Target) -> Iterator[object]:
    """A Manila share where the cloud has them, else an NFS server to be installed."""
    options = [
        Option("server", "An NFS server of your own", "Plain and portable; a single machine.")
    ]
    if t.cloud.has("manila"):
        options.insert(
            0,
            Option(
                "share",
                text("A share of {cloud}", cloud=t.cloud.product),
                "Kept by the provider, in one zone.",
            ),
        )
    choice = t.ctx.decide(
        intent.origin,
        "files",
        text("What holds the files of {name}?", name=intent.name),
        options,
        options[0].id,
        "The catalogue has shared file systems."
        if t.cloud.has("manila")
        else "The catalogue has no shared file systems.",
        t.cloud.known("managed_services.file_storage"),
    )
    subnet = next((key for key in intent.subnets if t.node(key)), None)
    if choice == "share":
        props: dict[str, Value] = {
            "name": intent.name,
            "share_proto": "NFS",
            "size": intent.gib,
            "share_type": Config("share-type", SHARE_TYPE, doc="Type of shared file systems."),
        }
        place = t.node(subnet)
        if place is not None and subnet:
            yield Node(
                type="openstack.sharedfilesystem.ShareNetwork",
                origin=intent.origin,
                role="network",
                tier="data",
                topic="storage",
                props={
                    "name": intent.name,
                    "neutron_net_id": place.props["network_id"],
                    "neutron_subnet_id": t.out(subnet),
                },
            )
            props["share_network_id"] = Out(intent.origin, "network")
        yield Node(
            type="openstack.sharedfilesystem.Share",
            origin=intent.origin,
            tier="data",
            topic="storage",
            props=props,
            protect=True,
        )
        cidr = place.props.get("cidr") if place else None
        if isinstance(cidr, str):
            yield Node(
                type="openstack.sharedfilesystem.ShareAccess",
                origin=intent.origin,
                role="access",
                tier="data",
                topic="storage",
                props={
                    "share_id": Out(intent.origin),
                    "access_type": "ip",
                    "access_to": cidr,
                    "access_level": "rw",
                },
            )
        yield Loss(
            "SizeInBytes", text("It grew by itself; the share has {gib} GiB.", gib=intent.gib)
        )
        return
    groups = ", ".join(t.ctx.estate.by_key[key].name for key in intent.firewalls)
    yield Node(
        type="openstack.blockstorage.Volume", origin=intent.origin, role="data", tier="data", topic="storage", protect=True,
        props={"name": f"{intent.name}-files", "size": intent.gib, "volume_type": _class(t.cloud.volume_type_for("gp3", intent.gib).name, "gp3", False)}, units={"volumes": 1, "volume_gb": intent.gib},
    )  # fmt: skip
    yield Task(
        "nfs-server",
        text("Install an NFS server for {name}", name=intent.name),
        "The target has no shared file system.",
        lead_days=5,
        settings=(
            (
                text("volume"),
                text("{name}-files, {gib} GiB", name=intent.name, gib=intent.gib),
            ),
            *(((text("reachable as these groups say"), groups),) if groups else ()),
        ),
        check=f'showmount --exports "${{{variable("NFS", intent.name)}:?}}"',
        expected="The check lists the export, and a client has written a file and read it back.",
        undo="Unmount it at the clients and remove the export; its volume stays.",
        minutes=90,
        after_build=True,
    )
    yield Disposition(
        "replatform",
        text("A volume of {gib} GiB behind an NFS server.", gib=intent.gib),
        way_out="NFS server on a volume",
        work="Install, copy, mount.",
    )


REALISE: Mapping[type[Intent], Realise] = {
    Volume: volume,
    KeyPair: key_pair,
    Server: server,
    Fleet: fleet,
    Files: files,
}
