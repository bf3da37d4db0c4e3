"""DHCP options -> name servers of the subnets; the rest has to go into the servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Name servers are carried by the subnets, other options are told."""
    users = ctx.estate.where("aws.ec2.vpc", "DhcpOptionsId", source.id)
    for each in source.record.get("DhcpConfigurations", []):
        values = ", ".join(value["Value"] for value in each.get("Values", []) if value.get("Value"))
        key = each.get("Key", "?")
        if key == "domain-name-servers":
            continue
        if key == "domain-name" and values.endswith((".compute.internal", "ec2.internal")):
            continue
        yield Loss(
            "DhcpConfigurations.Key",
            text(
                "{key} = {values} is no longer handed out; servers get it by Ansible.",
                key=key,
                values=values,
            ),
        )
    if users:
        yield Disposition(
            "absorbed",
            text(
                "Its name servers ({servers}) go to the subnets of {names}.",
                names=", ".join(sorted(u.name for u in users)),
                servers=", ".join(
                    v["Value"]
                    for e in source.record.get("DhcpConfigurations", [])
                    if e.get("Key") == "domain-name-servers"
                    for v in e.get("Values", [])
                    if v.get("Value")
                )
                or "AWS's own",
            ),
            into=users[0].key,
        )
    else:
        yield Disposition("retire", "No VPC uses it.")


RULE = Rule(
    type="aws.ec2.dhcp_options",
    title="DHCP options",
    service="vpc",
    fetch=Fetch(
        "ec2",
        "describe_dhcp_options",
        "DhcpOptions[]",
        id="DhcpOptionsId",
        arn="arn:{partition}:ec2:{region}:{account}:dhcp-options/{id}",
    ),
    translate=translate,
    carried=fields("DhcpConfigurations.Key DhcpConfigurations.Values.Value"),
    noise=noise(id="DhcpOptionsId OwnerId", internal="Tags"),
)
