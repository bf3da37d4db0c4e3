"""Servers -> VM Instances of Cloud Temple's shared cloud; everything is looked up by name, networks come by order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.clouds import aws_instance_type
from toolkit.intents.compute import Files, Fleet, KeyPair, Server, Volume
from toolkit.outcomes import Disposition, Loss, Task, Text, text
from toolkit.plan.moves import variable
from toolkit.plan.names import slug
from toolkit.program import Config, Lookup, Node, Out
from toolkit.targets.cloudtemple._firewall import host_firewall
from toolkit.targets.openstack.data import UNITS

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target

MOST_GB = 2048
"""GB that one disk may have."""


def _named(function: str, config: str, default: str | None, doc: Text | str) -> Lookup:
    return Lookup(f"cloudtemple.{function}", (("name", Config(config, default, doc=doc)),))


def _instance(t: Target, intent: Server | Fleet, role: str, name: str) -> Iterator[object]:
    kind = aws_instance_type(intent.instance_type)
    vcpu, ram = (kind.vcpu, kind.ram_gib) if kind else (2, 4.0)
    choice = t.cloud.flavor_for(vcpu, ram)
    if choice is None:
        yield Loss(
            "InstanceType",
            text(
                "No size of VM Instances is as large as {type}; the dedicated blades of IaaS OpenSource may be.",
                type=intent.instance_type or text("it"),
            ),
            "blocker",
        )
        return
    flavor = choice.flavor
    if (flavor.vcpu, flavor.ram_gb) != (vcpu, ram):
        yield Loss(
            "InstanceType",
            text(
                "{flavor} has {vcpu} vCPU and {gb} GB against {was} and {had}.",
                flavor=flavor.name,
                vcpu=flavor.vcpu,
                gb=flavor.ram_gb,
                was=vcpu,
                had=ram,
            ),
        )
    if kind is not None and kind.arch != "x86_64":
        yield Loss("InstanceType", "There is no ARM: software has to be built for x86-64.", "major")
    family = {"dev": "Development", "gp": "General Purpose", "perf": "Performance"}[flavor.family]
    image = t.cloud.images.get(intent.distribution) or t.cloud.images["debian13"]
    yield Node(
        type="cloudtemple.PublicCloudVmInstance", origin=intent.origin, role=role, tier="servers", topic="servers",
        props={
            "name": name, "power_state": "on", "cpu": flavor.vcpu, "memory": int(flavor.ram_gb),
            "availability_zone_id": _named("get_public_cloud_vm_availability_zone", "availability-zone", "fr1-az01", "Zone of the servers."),
            "template_id": _named("get_public_cloud_vm_template", f"template-{intent.distribution}", image, f"Template for {intent.distribution}."),
            "instance_family_id": _named("get_public_cloud_vm_instance_family", f"family-{flavor.family}", family, "Family of the servers."),
            "backup_policy_id": _named("get_public_cloud_vm_backup_policy", "backup-policy", None, text("Backup policy; 'No Backup' exists.")),
            "os_network_adapters": [{"device_index": 0, "network_id": _named("get_public_cloud_vm_network", "backbone-network", None, text("Private Backbone network that every server needs at creation."))}],
            "cloud_init": {"cloud_config": Config("cloud-config", doc="Cloud-init as plain YAML, with the operator's public key.")},
        }, units={"instances": 1, "cores": flavor.vcpu, "ram_gb": flavor.ram_gb}, ignore_changes=("cloud_init",),
    )  # fmt: skip


def server(intent: Server, t: Target) -> Iterator[object]:
    """Rebuilt from a template: no image and no root disk of AWS can be brought in."""
    made = list(_instance(t, intent, "", intent.name))
    yield from made
    if not any(isinstance(each, Node) for each in made):
        return
    yield from host_firewall(intent, t)
    for number, key in enumerate(intent.ports, start=1):
        home = t.ctx.estate.by_key[key]
        vpc = t.ctx.estate.find("aws.ec2.subnet", home.record.get("SubnetId"), home)
        label = slug(vpc.name) if vpc else "network"
        props: dict[str, Any] = {
            "virtual_machine_id": Out(intent.origin), "device_index": number,
            "network_id": _named("get_public_cloud_vm_network", f"network-{label}", vpc.name if vpc else None, text("Private network of the ordered VPC.")),
        }  # fmt: skip
        if home.record.get("PrivateIpAddress"):
            props["ip_address"] = home.record["PrivateIpAddress"]
        yield Node(
            type="cloudtemple.PublicCloudVmNetworkAdapter",
            origin=intent.origin,
            role=f"adapter-{number}",
            tier="servers",
            topic="servers",
            props=props,
        )
    for number, key in enumerate(intent.volumes, start=1):
        held = t.intent(key, Volume)
        if held is None:
            continue
        if held.size_gib > MOST_GB:
            yield Loss(
                "BlockDeviceMappings.Ebs.VolumeId",
                text(
                    "{name} has {size} GiB; a disk there has at most {most}: split it.",
                    name=held.name,
                    size=held.size_gib,
                    most=MOST_GB,
                ),
                "blocker",
            )
            continue
        choice = t.cloud.volume_type_for(
            held.kind, held.size_gib, held.iops, held.throughput, held.encrypted
        )
        yield Node(
            type="cloudtemple.PublicCloudVmDisk", origin=intent.origin, role=f"disk-{number}", tier="servers", topic="servers", protect=True,
            props={"virtual_machine_id": Out(intent.origin), "name": held.name, "size": held.size_gib, "storage_type": choice.name}, units={"volumes": 1, "volume_gb": held.size_gib},
        )  # fmt: skip
    if len(intent.tags) > 1:
        yield Loss(
            "Tags.Key",
            text(
                "VM Instances have no tags ({names}).",
                names=", ".join(sorted(k for k in intent.tags if k != "Name")),
            ),
        )
    if not intent.running:
        yield Task(
            "switch-off",
            text("Switch {name} off after it was made", name=intent.name),
            "It is stopped at AWS.",
            expected="The console shows it as stopped.",
            undo="Start it.",
            minutes=5,
            after_build=True,
        )


def fleet(intent: Fleet, t: Target) -> Iterator[object]:
    """As many like servers."""
    for number in range(1, intent.count + 1):
        yield from _instance(t, intent, str(number), f"{intent.name}-{number}")
    yield from host_firewall(intent, t)
    groups = ", ".join(t.ctx.estate.by_key[key].name for key in intent.firewalls)
    subnets = ", ".join(t.ctx.estate.by_key[key].name for key in intent.subnets)
    yield Task(
        "fleet-network",
        text("Give the servers of {name} their adapters and host firewalls", name=intent.name),
        "Their networks are ordered first.",
        role="network",
        settings=(
            (text("networks"), subnets or text("their network")),
            (text("host firewalls"), groups or text("none")),
        ),
        check="sudo nft list ruleset",
        expected="Each server has an address in one of these networks, and its rules are those of its firewalls.",
        undo="Remove the adapters; nobody's traffic goes there before the switch.",
        minutes=15 * intent.count,
        basis="15 minutes per server, estimated",
        after_build=True,
    )
    if intent.tags:
        yield Loss(
            "Tags.Key",
            text(
                "VM Instances have no tags ({names}).",
                names=", ".join(f"{k}={v}" for k, v in sorted(intent.tags.items())),
            ),
        )


def volume(intent: Volume, t: Target) -> Iterator[object]:
    """A disk there belongs to its server and is made with it; what its class lacks is told here."""
    choice = t.cloud.volume_type_for(
        intent.kind, intent.size_gib, intent.iops, intent.throughput, intent.encrypted
    )
    for what, missing in choice.shortfall.items():
        yield Loss(
            {"iops": "Iops", "mb_s": "Throughput", "size_gb": "Size", "encrypted": "Encrypted"}[
                what
            ],
            text("{name} is not encrypted.", name=choice.name)
            if what == "encrypted"
            else text(
                "{name} lacks {missing} {what} against the source.",
                name=choice.name,
                missing=missing,
                what=text(UNITS[what]),
            ),
            "major",
        )
    yield Disposition(
        "absorbed",
        text(
            "A disk of {size} GiB ({name}) of its server.", size=intent.size_gib, name=choice.name
        ),
    )


def key_pair(intent: KeyPair, t: Target) -> Iterator[object]:
    """Keys go into cloud-init."""
    yield Disposition(
        "absorbed",
        text(
            "The operator's public key in cloud-init takes the place of {name}.", name=intent.name
        ),
    )


def files(intent: Files, t: Target) -> Iterator[object]:
    """An NFS server of one's own."""
    yield Task(
        "nfs-server",
        text("Order a server for the files of {name}", name=intent.name),
        "There is no shared file system.",
        lead_days=10,
        settings=((text("storage"), text("{n} GiB", n=intent.gib)),),
        check=f'showmount --exports "${{{variable("NFS", intent.name)}:?}}"',
        expected="The check lists the export, and a client has written a file and read it back.",
        undo="Cancel the order; nothing uses it yet.",
        minutes=120,
    )
    yield Disposition(
        "replatform",
        "A server of your own with NFS.",
        way_out="NFS server on a VM Instance",
        work="Order, install, copy, mount.",
    )


REALISE: Mapping[type[Intent], Realise] = {
    Server: server,
    Fleet: fleet,
    Volume: volume,
    KeyPair: key_pair,
    Files: files,
}
