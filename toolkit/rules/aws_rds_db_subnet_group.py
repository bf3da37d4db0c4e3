"""DB subnet group -> absorbed: the database names its subnets itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Carried by the databases that use it; unused ones are retired."""
    name = source.record["DBSubnetGroupName"]
    users = [
        each.key
        for each in (
            *ctx.estate.having("aws.rds.db_instance", _group, name),
            *ctx.estate.where("aws.rds.db_cluster", "DBSubnetGroup", name),
        )
    ]
    subnets = [
        hit.name
        for each in source.record.get("Subnets", [])
        if (hit := ctx.estate.find("aws.ec2.subnet", each.get("SubnetIdentifier"), source))
    ]
    if users:
        yield Disposition(
            "absorbed",
            text(
                "Its subnets ({subnets}) are the database's own.",
                subnets=", ".join(subnets) or text("no subnets read"),
            ),
            into=users[0],
        )
    else:
        yield Disposition(
            "retire",
            text(
                "No database uses it ({subnets}).",
                subnets=", ".join(subnets) or text("no subnets read"),
            ),
        )


def _group(database: Resource) -> Iterator[object]:
    yield (database.record.get("DBSubnetGroup") or {}).get("DBSubnetGroupName")


RULE = Rule(
    type="aws.rds.db_subnet_group",
    title="DB subnet group",
    service="rds",
    fetch=Fetch(
        "rds",
        "describe_db_subnet_groups",
        "DBSubnetGroups[]",
        id="DBSubnetGroupName",
        arn="DBSubnetGroupArn",
    ),
    translate=translate,
    carried=fields("DBSubnetGroupName Subnets.SubnetIdentifier"),
    noise=noise(
        id="DBSubnetGroupArn",
        internal="SupportedNetworkTypes",
        derived="DBSubnetGroupDescription VpcId SubnetGroupStatus Subnets",
    ),
    unordered=fields("Subnets"),
)
