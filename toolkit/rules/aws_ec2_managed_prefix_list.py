"""Managed prefix list -> written out in the groups that name it; AWS's own lists mean nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Entries become rules of each group."""
    record = source.record
    if record.get("OwnerId") == "AWS" or str(record.get("PrefixListName", "")).startswith(
        "com.amazonaws."
    ):
        yield Disposition(
            "retire", text("AWS's own list ({name}).", name=record.get("PrefixListName", "?"))
        )
        return
    entries = [
        f"{each['Cidr']}{' ' + each['Description'] if each.get('Description') else ''}"
        for each in record.get("Entries", [])
        if each.get("Cidr")
    ]
    yield Disposition(
        "absorbed",
        text(
            "Written out where {name} is used: {entries}.",
            name=record.get("PrefixListName", source.name),
            entries=", ".join(sorted(entries)) or text("it is empty"),
        ),
    )


RULE = Rule(
    type="aws.ec2.managed_prefix_list",
    title="Managed prefix list",
    service="security_group",
    fetch=Fetch(
        "ec2",
        "describe_managed_prefix_lists",
        "PrefixLists[]",
        id="PrefixListId",
        name="PrefixListName",
        arn="PrefixListArn",
        keep=lambda record: record.get("OwnerId") != "AWS",
        details=(
            Detail(
                "get_managed_prefix_list_entries",
                {"PrefixListId": "PrefixListId"},
                into="Entries",
                path="Entries[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields("PrefixListName OwnerId Entries.Cidr Entries.Description"),
    noise=noise(
        id="PrefixListId PrefixListArn IpamPrefixListResolverTargetId",
        internal="AddressFamily MaxEntries Version Tags IpamPrefixListResolverSyncEnabled",
        derived="State StateMessage",
    ),
    unordered=fields("Entries"),
)
