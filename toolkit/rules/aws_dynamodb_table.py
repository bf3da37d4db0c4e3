"""DynamoDB table -> PostgreSQL or ScyllaDB: a decision, since the model of the data decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Move, Option, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Keys, indexes and streams say how far the table is from a relational one."""
    table = source.record.get("Table") or {}
    indexes = len(table.get("GlobalSecondaryIndexes") or []) + len(
        table.get("LocalSecondaryIndexes") or []
    )
    keys = ", ".join(key.get("AttributeName", "") for key in table.get("KeySchema", []))
    ctx.decide(
        source.key, "table", text("What takes the place of the table {name}?", name=source.name),
        (
            Option("postgresql", "PostgreSQL with JSONB", "Managed at most clouds; the data access has to be written again."),
            Option("alternator", "ScyllaDB with Alternator", "Keeps most of the DynamoDB API; three servers to run."),
        ),
        "alternator" if indexes > 1 else "postgresql",
        text("Keys {keys}, {indexes} indexes.", keys=keys or text("unknown"), indexes=indexes),
    )  # fmt: skip
    yield way_out(
        ctx,
        "dynamodb",
        text(
            "A table with keys {keys} and {indexes} indexes.",
            keys=keys or text("unknown"),
            indexes=indexes,
        ),
    )
    yield Move("database", text("the items of {name}", name=source.name))
    if (table.get("StreamSpecification") or {}).get("StreamEnabled"):
        yield Loss(
            "Table.StreamSpecification",
            "Nothing streams changes; consumers must be fed by the application or by change capture.",
            "major",
        )
    if (source.record.get("TimeToLive") or {}).get("TimeToLiveStatus") == "ENABLED":
        yield Loss(
            "TimeToLive", "Items no longer expire by themselves; a job has to delete them.", "major"
        )
    if table.get("Replicas"):
        yield Loss(
            "Table.Replicas",
            text("{n} replicas in other regions end.", n=len(table["Replicas"])),
            "major",
        )


RULE = Rule(
    type="aws.dynamodb.table",
    title="DynamoDB table",
    service="dynamodb",
    tier=2,
    fetch=Fetch(
        "dynamodb",
        "list_tables",
        "TableNames[]",
        id="TableName",
        arn="Table.TableArn",
        tags="Tags",
        details=(
            Detail("describe_table", {"TableName": "TableName"}, into="Table", path="Table"),
            Detail(
                "describe_time_to_live",
                {"TableName": "TableName"},
                into="TimeToLive",
                path="TimeToLiveDescription",
            ),
            Detail(
                "list_tags_of_resource",
                {"ResourceArn": "Table.TableArn"},
                into="Tags",
                path="Tags[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields("Table TimeToLive"),
    noise=noise(id="TableName", internal="Tags"),
    volatile=fields("Table.ItemCount Table.TableSizeBytes Table.WarmThroughput"),
)
