"""Groups -> the ways of the subnets in which they are worn, and the balancers among their members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.plan.names import slug
from toolkit.rules._paths import Way, cidrs_of, way_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context

    _Subnets = Callable[[Context, Resource], Iterable[object]]


def label(way: Way) -> str:
    """What makes the form of a group in some subnet, in words."""
    parts = []
    if way.acl:
        parts.append(f"in-{slug(way.acl.name) if way.acl.name != way.acl.id else 'list'}")
    if way.table:
        parts.append(f"by-{slug(way.table.name) if way.table.name != way.table.id else 'routes'}")
    if way.nat_only or any(acl for _, acl in way.nats):
        parts.append("translated")
    return "-".join(parts)


def ways_of(ctx: Context, group: Resource) -> list[Way]:
    """The ways of the subnets in which a group can be worn, each once; the plain one where nobody wears it.

    Every way of its VPC where somebody wears it in subnets that are not known.
    """
    worn = _worn_in(ctx, group)
    found: dict[str, Way] = {}
    for each in ctx.estate.where("aws.ec2.subnet", "VpcId", str(group.record.get("VpcId"))):
        if worn is None or each.id in worn:
            way = way_of(ctx, each)
            found[way.role] = way
    return [found[key] for key in sorted(found)] or [Way()]


def places_of(ctx: Context, group: Resource) -> list[str]:
    """The IPv4 blocks in which members of a group can be: of the subnets where it is worn, else of its whole VPC."""
    worn = _worn_in(ctx, group)
    subnets = ctx.estate.where("aws.ec2.subnet", "VpcId", str(group.record.get("VpcId")))
    known = [str(each.record["CidrBlock"]) for each in subnets if worn and each.id in worn and each.record.get("CidrBlock")]  # fmt: skip
    if worn and len(known) == len(worn):
        return sorted(known)
    vpc = ctx.estate.find("aws.ec2.vpc", group.record.get("VpcId"), group)
    return cidrs_of(vpc.record) if vpc else []


def _worn_in(ctx: Context, group: Resource) -> set[str] | None:
    """The ids of the subnets of all that wears a group; None where one wears it and its subnets are not known."""
    found: set[str] = set()
    for type_, groups, subnets in _WEARERS:
        for wearer in ctx.estate.having(type_, groups, group.id):
            ids = {str(each) for each in subnets(ctx, wearer)}
            if not ids:
                return None
            found |= ids
    return found


def at(path: str) -> Callable[[Resource], Iterator[object]]:
    """What stands at a path of a record, lists taken apart."""
    members = path.split(".")

    def held(value: object, left: Sequence[str]) -> Iterator[object]:
        if isinstance(value, list):
            for each in value:
                yield from held(each, left)
        elif not left:
            yield from () if value in (None, "") else (value,)
        elif isinstance(value, dict):
            yield from held(value.get(left[0]), left[1:])

    return lambda resource: held(dict(resource.record), members)


def _in(path: str) -> _Subnets:
    """The subnets that a wearer's own record names."""
    held = at(path)
    return lambda _, wearer: held(wearer)


def _by_group(type_: str, name: str) -> _Subnets:
    """The subnets of the group of subnets that a wearer names."""
    named, listed = at(name), at("Subnets.SubnetIdentifier")

    def subnets(ctx: Context, wearer: Resource) -> Iterator[object]:
        for each in named(wearer):
            held = ctx.estate.find(type_, each, wearer)
            yield from listed(held) if held else ()

    return subnets


_GROWS = at("VPCZoneIdentifier")
_NODES = at("Nodegroup.subnets")
_SPECS = ("LaunchTemplate", "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification")


def _marks(*paths: str) -> Callable[[Resource], Iterator[object]]:
    parts = [at(path) for path in paths]
    return lambda resource: (each for part in parts for each in part(resource))


_STARTED = _marks(*(f"{s}.LaunchTemplate{end}" for s in _SPECS for end in ("Id", "Name")))
_NODED = _marks("Nodegroup.launchTemplate.id", "Nodegroup.launchTemplate.name")


def _of_template(ctx: Context, template: Resource) -> Iterator[object]:
    """The subnets of all that starts servers from a launch template; none where one's are not known."""
    found: list[object] = []
    for mark in (template.id, template.record.get("LaunchTemplateName")):
        for each in ctx.estate.having("aws.autoscaling.auto_scaling_group", _STARTED, mark):
            zones = [part.strip() for held in _GROWS(each) for part in str(held).split(",")]
            if not any(zones):
                return
            found += zones
        for each in ctx.estate.having("aws.eks.nodegroup", _NODED, mark):
            nodes = list(_NODES(each))
            if not nodes:
                return
            found += nodes
    yield from found


_VERSION = "Version.LaunchTemplateData"
_WEARERS: tuple[tuple[str, Callable[[Resource], Iterable[object]], _Subnets], ...] = (
    ("aws.ec2.network_interface", at("Groups.GroupId"), _in("SubnetId")),
    ("aws.ec2.instance", at("SecurityGroups.GroupId"), _in("SubnetId")),
    (
        "aws.ec2.launch_template",
        _marks(f"{_VERSION}.SecurityGroupIds", f"{_VERSION}.NetworkInterfaces.Groups"),
        _of_template,
    ),
    (
        "aws.rds.db_instance",
        at("VpcSecurityGroups.VpcSecurityGroupId"),
        _in("DBSubnetGroup.Subnets.SubnetIdentifier"),
    ),
    (
        "aws.rds.db_cluster",
        at("VpcSecurityGroups.VpcSecurityGroupId"),
        _by_group("aws.rds.db_subnet_group", "DBSubnetGroup"),
    ),
    (
        "aws.elasticache.cache_cluster",
        at("SecurityGroups.SecurityGroupId"),
        _by_group("aws.elasticache.cache_subnet_group", "CacheSubnetGroupName"),
    ),
    ("aws.elbv2.load_balancer", at("SecurityGroups"), _in("AvailabilityZones.SubnetId")),
    ("aws.elb.load_balancer", at("SecurityGroups"), _in("Subnets")),
    ("aws.ec2.vpc_endpoint", at("Groups.GroupId"), _in("SubnetIds")),
    (
        "aws.opensearch.domain",
        at("Domain.VPCOptions.SecurityGroupIds"),
        _in("Domain.VPCOptions.SubnetIds"),
    ),
    ("aws.lambda.function", at("VpcConfig.SecurityGroupIds"), _in("VpcConfig.SubnetIds")),
    (
        "aws.ecs.service",
        at("networkConfiguration.awsvpcConfiguration.securityGroups"),
        _in("networkConfiguration.awsvpcConfiguration.subnets"),
    ),
    (
        "aws.eks.cluster",
        _marks(
            "Cluster.resourcesVpcConfig.securityGroupIds",
            "Cluster.resourcesVpcConfig.clusterSecurityGroupId",
        ),
        _in("Cluster.resourcesVpcConfig.subnetIds"),
    ),
)
"""What wears groups: its type, the groups in its record, its subnets. EFS's wearers are its interfaces."""


def balancer_subnets(ctx: Context, group: str) -> list[str]:
    """The CIDRs of the subnets in which a balancer that wears a group may have its address."""
    id_ = ctx.estate.by_key[group].id
    cidrs: set[str] = set()
    for balancer in ctx.estate.having("aws.elbv2.load_balancer", _worn, id_):
        zones = balancer.record.get("AvailabilityZones", [])
        cidrs |= _cidrs(ctx, balancer, [each.get("SubnetId") for each in zones[:1]])
    for balancer in ctx.estate.having("aws.elb.load_balancer", _worn, id_):
        cidrs |= _cidrs(ctx, balancer, balancer.record.get("Subnets", [])[:1])
    return sorted(cidrs)


def _worn(balancer: Resource) -> Sequence[object]:
    held: Sequence[object] = balancer.record.get("SecurityGroups", [])
    return held


def _cidrs(ctx: Context, near: Resource, ids: Sequence[object]) -> set[str]:
    hits = [ctx.estate.find("aws.ec2.subnet", id_, near) for id_ in ids]
    return {
        str(hit.record["CidrBlock"])
        for hit in hits
        if hit is not None and hit.record.get("CidrBlock")
    }
