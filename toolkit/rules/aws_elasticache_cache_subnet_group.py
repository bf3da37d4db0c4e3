"""Cache subnet group -> absorbed: the cache names its subnets itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Carried by the caches that use it."""
    name = source.record["CacheSubnetGroupName"]
    users = ctx.estate.where("aws.elasticache.cache_cluster", "CacheSubnetGroupName", name)
    subnets = [
        hit.name
        for each in source.record.get("Subnets", [])
        if (hit := ctx.estate.find("aws.ec2.subnet", each.get("SubnetIdentifier"), source))
    ]
    if users:
        yield Disposition(
            "absorbed",
            text(
                "Its subnets ({subnets}) are the cache's own.",
                subnets=", ".join(subnets) or text("no subnets read"),
            ),
            into=users[0].key,
        )
    else:
        yield Disposition(
            "retire",
            text(
                "No cache uses it ({subnets}).",
                subnets=", ".join(subnets) or text("no subnets read"),
            ),
        )


RULE = Rule(
    type="aws.elasticache.cache_subnet_group",
    title="Cache subnet group",
    service="elasticache",
    fetch=Fetch(
        "elasticache",
        "describe_cache_subnet_groups",
        "CacheSubnetGroups[]",
        id="CacheSubnetGroupName",
        arn="ARN",
    ),
    translate=translate,
    carried=fields("CacheSubnetGroupName Subnets.SubnetIdentifier"),
    noise=noise(
        id="ARN",
        internal="SupportedNetworkTypes",
        derived="CacheSubnetGroupDescription VpcId Subnets",
    ),
    unordered=fields("Subnets"),
)
