"""DB parameter group -> settings of the databases that use it; AWS's own defaults are retired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._databases import settings

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


_AWS_ONLY = ("rds.", "aurora_", "awslogs")


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """What somebody set is carried by the database; what only RDS knows is a loss."""
    name = source.record["DBParameterGroupName"]
    users = [each.key for each in ctx.estate.having("aws.rds.db_instance", _groups, name)]
    chosen = settings(source.record)
    if name.startswith("default."):
        yield Disposition(
            "absorbed" if users else "retire",
            "The engine's own defaults.",
            into=users[0] if users else "",
        )
        return
    for parameter in sorted(chosen):
        if parameter.startswith(_AWS_ONLY):
            yield Loss(
                "Parameters.ParameterName",
                text(
                    "{parameter} = {value} is a setting of RDS, not of the engine.",
                    parameter=parameter,
                    value=chosen[parameter],
                ),
            )
    said = ", ".join(
        f"{parameter} = {chosen[parameter]}" for parameter in sorted(chosen)[:20]
    ) or text("nothing set")
    if users:
        yield Disposition(
            "absorbed",
            text(
                "Settings of the database for {family}: {settings}.",
                family=source.record.get("DBParameterGroupFamily", "?"),
                settings=said,
            ),
            into=users[0],
        )
    else:
        yield Disposition("retire", text("No database uses it ({settings}).", settings=said))


def _groups(database: Resource) -> Iterator[object]:
    for each in database.record.get("DBParameterGroups", []):
        yield each.get("DBParameterGroupName")


RULE = Rule(
    type="aws.rds.db_parameter_group",
    title="DB parameter group",
    service="rds",
    fetch=Fetch(
        "rds",
        "describe_db_parameter_groups",
        "DBParameterGroups[]",
        id="DBParameterGroupName",
        arn="DBParameterGroupArn",
        details=(
            Detail(
                "describe_db_parameters",
                {"DBParameterGroupName": "DBParameterGroupName"},
                into="Parameters",
                path="Parameters[]",
                constants={"Source": "user"},
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "DBParameterGroupName DBParameterGroupFamily Parameters.ParameterName Parameters.ParameterValue"
    ),
    noise=noise(id="DBParameterGroupArn", derived="Description Parameters"),
    unordered=fields("Parameters"),
)
