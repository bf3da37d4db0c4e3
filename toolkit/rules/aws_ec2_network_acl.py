"""Network ACL -> subtracted from the groups of its subnets: nothing at the target denies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Disposition, Loss, Outcome, joined, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._paths import open_both_ways

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """An open list is absorbed; a narrow one narrows the groups of its subnets."""
    vpc = ctx.key("aws.ec2.vpc", source.record.get("VpcId"), source)
    subnets = [
        hit.name
        for each in source.record.get("Associations", [])
        if (hit := ctx.estate.find("aws.ec2.subnet", each.get("SubnetId"), source))
    ]
    if not subnets and not source.record.get("IsDefault"):
        yield Disposition("retire", "No subnet uses it.")
        return
    if open_both_ways(source):
        yield Disposition("absorbed", "It lets everything pass.", into=vpc or "")
        return
    denies = [
        text("out {rule}" if e.get("Egress") else "in {rule}", rule=_rule(e))
        for e in source.record.get("Entries", []) if e.get("RuleAction") == "deny" and e.get("RuleNumber") != 32767
    ]  # fmt: skip
    yield Loss(
        "Entries.RuleAction",
        text(
            "It is not carried as a list: what it denies in {subnets} is left out of the groups there ({denies}).",
            subnets=", ".join(sorted(subnets)) or text("its subnets"),
            denies=joined(denies, "; ") or text("all that it does not allow"),
        ),
    )
    yield Disposition(
        "absorbed",
        text(
            "Its {count} entries narrow the groups of {subnets}.",
            count=len(source.record.get("Entries", [])),
            subnets=", ".join(sorted(subnets)) or text("its subnets"),
        ),
        into=vpc or "",
    )


def _rule(entry: Mapping[str, Any]) -> str:
    """Number, protocol, ports and range of an entry, as AWS writes them."""
    ports, icmp = entry.get("PortRange") or {}, entry.get("IcmpTypeCode") or {}
    return f"#{entry.get('RuleNumber')} {entry.get('Protocol')} {ports.get('From', '')}-{ports.get('To', '')} {icmp.get('Type', '')} {entry.get('CidrBlock') or entry.get('Ipv6CidrBlock')}"


RULE = Rule(
    type="aws.ec2.network_acl",
    title="Network ACL",
    service="network_acl",
    fetch=Fetch(
        "ec2",
        "describe_network_acls",
        "NetworkAcls[]",
        id="NetworkAclId",
        arn="arn:{partition}:ec2:{region}:{account}:network-acl/{id}",
    ),
    translate=translate,
    carried=fields(
        "VpcId IsDefault Associations.SubnetId Entries.CidrBlock Entries.Egress Entries.IcmpTypeCode.Type Entries.PortRange.From Entries.PortRange.To Entries.Protocol Entries.RuleAction Entries.RuleNumber"
    ),
    noise=noise(
        id="NetworkAclId OwnerId Associations.NetworkAclAssociationId Associations.NetworkAclId",
        internal="Tags Entries.IcmpTypeCode.Code Entries.Ipv6CidrBlock",
    ),
    unordered=fields("Associations Entries"),
)
