"""Names and mail -> records that point at what will be gone, or that keep the next step from working."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Finding, text

if TYPE_CHECKING:
    from toolkit.estate.model import Estate
    from toolkit.plan.graph import Graph

_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


def exposure(estate: Estate, graph: Graph) -> Iterator[tuple[str, Finding]]:
    """Certificates in use, CAA and SPF records that name AWS, groups nobody wears."""
    for record in estate.of("aws.route53.record_set"):
        values = [each.get("Value", "") for each in record.record.get("ResourceRecords", [])]
        if record.record.get("Type") == "CAA" and any("amazon" in value for value in values):
            yield (
                record.key,
                Finding(
                    "caa-amazon",
                    "warning",
                    text(
                        "{name} lets only Amazon issue certificates: add the new authority before the switch.",
                        name=record.name,
                    ),
                ),
            )
        if record.record.get("Type") == "TXT" and any("amazonses.com" in value for value in values):
            yield (
                record.key,
                Finding(
                    "spf-ses",
                    "warning",
                    text(
                        "SPF of {name} names SES; the new relay must be in it before mail leaves from there.",
                        name=record.name,
                    ),
                ),
            )
        if record.record.get("Type") == "TXT" and any(
            "v=spf1" in value and _IPV4.search(value) for value in values
        ):
            yield (
                record.key,
                Finding(
                    "spf-address",
                    "info",
                    text("SPF of {name} names addresses that change.", name=record.name),
                ),
            )
    worn = {
        group.get("GroupId")
        for nic in estate.of("aws.ec2.network_interface")
        for group in nic.record.get("Groups", [])
    }
    for group in estate.of("aws.ec2.security_group"):
        referenced = [
            e
            for e in graph.incoming.get(group.key, ())
            if e.src != group.key and not e.src.startswith("aws.ec2.security_group|")
        ]
        if group.id not in worn and not referenced and group.record.get("GroupName") != "default":
            yield (
                group.key,
                Finding(
                    "group-unworn",
                    "info",
                    text(
                        "Nothing that was read wears the group {name}.",
                        name=group.record.get("GroupName", group.name),
                    ),
                ),
            )
