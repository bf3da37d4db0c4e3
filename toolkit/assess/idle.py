"""Things that look alive -> what answers nobody, is started by nobody, or is kept nowhere twice."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Finding, text

if TYPE_CHECKING:
    from toolkit.estate.model import Estate, Resource
    from toolkit.plan.graph import Graph

_NFS = 2049


def idle(estate: Estate, graph: Graph) -> Iterator[tuple[str, Finding]]:
    """Empty target groups, workflows without a start, shares nobody can mount, volumes without a copy, resolvers."""
    yield from _targets(estate, graph)
    yield from _workflows(estate, graph)
    yield from _shares(estate)
    yield from _volumes(estate)
    yield from _resolvers(estate)


def _unread(estate: Estate, near: Resource, operation: str) -> bool:
    """Whether an operation failed where a resource is: what it would have told is unknown, not absent."""
    return any(
        gap.operation == operation and (gap.account, gap.region) == (near.account, near.region)
        for gap in estate.gaps
    )


def _targets(estate: Estate, graph: Graph) -> Iterator[tuple[str, Finding]]:
    for group in estate.of("aws.elbv2.target_group"):
        if group.record.get("Targets") or _unread(estate, group, "describe_target_health"):
            continue
        leading, filled = [], False
        for edge in graph.incoming.get(group.key, ()):
            source = estate.by_key[edge.src]
            if source.type == "aws.elbv2.rule":
                leading += [
                    value
                    for condition in source.record.get("Conditions") or []
                    for value in condition.get("Values") or []
                ] or [source.name]
            elif source.type == "aws.elbv2.listener":
                leading.append(source.name)
            else:
                filled = True
        if leading and not filled:
            yield (
                group.key,
                Finding(
                    "targets-none",
                    "warning",
                    text(
                        "{name} has no server, yet {paths} lead to it: callers get an error today.",
                        name=group.name,
                        paths=", ".join(sorted(set(leading))),
                    ),
                ),
            )


def _workflows(estate: Estate, graph: Graph) -> Iterator[tuple[str, Finding]]:
    for machine in estate.of("aws.stepfunctions.state_machine"):
        if not graph.incoming.get(machine.key):
            yield (
                machine.key,
                Finding(
                    "workflow-unstarted",
                    "warning",
                    text(
                        "Nothing that was read starts {name}: find out who does, before it moves without its clock.",
                        name=machine.name,
                    ),
                ),
            )


def _shares(estate: Estate) -> Iterator[tuple[str, Finding]]:
    for share in estate.of("aws.efs.file_system"):
        nics = [
            estate.find("aws.ec2.network_interface", each.get("NetworkInterfaceId"), share)
            for each in share.record.get("MountTargets") or []
        ]
        ids = {
            each.get("GroupId")
            for nic in nics
            if nic is not None
            for each in nic.record.get("Groups") or []
        }
        groups = [
            estate.find("aws.ec2.security_group", each, share) for each in sorted(map(str, ids))
        ]
        worn = [each for each in groups if each is not None]
        if not nics or None in nics or not worn or len(worn) != len(groups):
            continue
        if not any(
            _admits(rule, _NFS) for each in worn for rule in each.record.get("IpPermissions") or []
        ):
            yield (
                share.key,
                Finding(
                    "share-closed",
                    "warning",
                    text(
                        "The groups of {name} ({groups}) admit no NFS (tcp 2049): nothing can mount it today.",
                        name=share.name,
                        groups=", ".join(
                            sorted(str(g.record.get("GroupName", g.name)) for g in worn)
                        ),
                    ),
                ),
            )


def _admits(rule: Mapping[str, Any], port: int) -> bool:
    if rule.get("IpProtocol") == "-1":
        return True
    return rule.get("IpProtocol") in ("tcp", "6") and rule.get("FromPort", 0) <= port <= rule.get(
        "ToPort", 65535
    )


def _volumes(estate: Estate) -> Iterator[tuple[str, Finding]]:
    copied = {str(each.record.get("VolumeId")) for each in estate.of("aws.ec2.snapshot")}
    for volume in estate.of("aws.ec2.volume"):
        servers = [
            estate.find("aws.ec2.instance", each.get("InstanceId"), volume)
            for each in volume.record.get("Attachments") or []
        ]
        lasting = [s for s in servers if s is not None and _outlives(volume, s)]
        if (
            lasting
            and volume.id not in copied
            and not _unread(estate, volume, "describe_snapshots")
        ):
            yield (
                volume.key,
                Finding(
                    "volume-no-snapshot",
                    "warning",
                    text(
                        "No snapshot of {name} ({size} GiB, on {server}) was read: make one before anybody touches it.",
                        name=volume.name,
                        size=volume.record.get("Size", 0),
                        server=lasting[0].name,
                    ),
                ),
            )


def _outlives(volume: Resource, server: Resource) -> bool:
    """Whether a volume is meant to stay when its server goes: data, not a disk that is made with it."""
    return "aws:autoscaling:groupName" not in server.tags and any(
        (device.get("Ebs") or {}).get("VolumeId") == volume.id
        and not (device.get("Ebs") or {}).get("DeleteOnTermination")
        for device in server.record.get("BlockDeviceMappings") or []
    )


def _resolvers(estate: Estate) -> Iterator[tuple[str, Finding]]:
    mine = {
        str(each.get("PrivateIpAddress"))
        for nic in estate.of("aws.ec2.network_interface")
        for each in nic.record.get("PrivateIpAddresses") or []
    }
    vpcs = estate.of("aws.ec2.vpc")
    for options in estate.of("aws.ec2.dhcp_options"):
        using = [vpc for vpc in vpcs if vpc.record.get("DhcpOptionsId") == options.id]
        for entry in options.record.get("DhcpConfigurations") or []:
            if entry.get("Key") != "domain-name-servers" or not using:
                continue
            for each in entry.get("Values") or []:
                address = str(each.get("Value"))
                if address in mine or _aws_resolver(address, using):
                    continue
                yield (
                    options.key,
                    Finding(
                        "resolver-unknown",
                        "warning",
                        text(
                            "Servers of {vpcs} ask the name server {address}, which is nothing that was read: find it, or names fail at the target.",
                            vpcs=", ".join(vpc.name for vpc in using),
                            address=address,
                        ),
                    ),
                )


def _aws_resolver(address: str, vpcs: list[Resource]) -> bool:
    """AmazonProvidedDNS by name, by its link-local address, or as the second address of the network."""
    try:
        asked = ipaddress.ip_address(address)
    except ValueError:
        return True
    if asked.is_link_local:
        return True
    nets = [ipaddress.ip_network(str(v.record.get("CidrBlock", "0.0.0.0/32"))) for v in vpcs]
    return any(asked == net.network_address + 2 for net in nets if net.version == asked.version)
