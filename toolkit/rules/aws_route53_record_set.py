"""Record set -> the same records; aliases become addresses, routing policies one answer, and both are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Records
from toolkit.outcomes import Disposition, Finding, Loss, Outcome, text
from toolkit.plan.graph import bare_host
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


_POLICIES = (
    "Weight",
    "Region",
    "Failover",
    "GeoLocation",
    "MultiValueAnswer",
    "CidrRoutingConfig",
    "GeoProximityLocation",
    "AZAffinity",
)
DAY = 86400


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """NS and SOA of the zone itself are the new host's; of several answers the first or heaviest stays."""
    record = source.record
    zone = ctx.estate.find("aws.route53.hosted_zone", source.id.split(" ", 1)[0], source)
    name, kind = record["Name"].replace("\\052", "*"), record.get("Type", "A")
    if zone is not None and kind in ("NS", "SOA") and name == zone.record.get("Name"):
        yield Disposition("absorbed", "The new DNS host writes its own.", into=zone.key)
        return
    if zone is None:
        yield Loss("Name", "Its zone was not read.", "blocker")
        return
    policy = next((each for each in _POLICIES if record.get(each) not in (None, False)), None)
    if policy and not _stays(source, ctx, policy):
        yield Loss(
            policy,
            text(
                "Of the answers for {name} this one ({set}: {how}) is not carried: the target gives one answer to everybody.",
                name=name,
                set=record.get("SetIdentifier", "?"),
                how=f"{policy} {record[policy]}",
            ),
            "major",
        )
        yield Disposition("retire", "Another answer of the same name stays.")
        return
    if policy:
        yield Loss(
            policy,
            text(
                "{name} gave answers by {policy} ({how}); from now on everybody gets this one.",
                name=name,
                policy=policy,
                how=record[policy],
            ),
            "major",
        )
    ttl = record.get("TTL") or 300
    if ttl > DAY:
        yield Finding(
            "ttl-long",
            "warning",
            text(
                "{name} may be remembered for {hours} hours: lower it that long before the switch.",
                name=name,
                hours=ttl // 3600,
            ),
        )
    values = tuple(each["Value"] for each in record.get("ResourceRecords", []) if each.get("Value"))
    target = ""
    alias = record.get("AliasTarget") or {}
    if alias.get("DNSName"):
        host = bare_host(alias["DNSName"])
        for type_ in ("aws.elbv2.load_balancer", "aws.elb.load_balancer"):
            target = target or next(
                (each.key for each in ctx.estate.having(type_, _hosts, host)),
                "",
            )
        if not target:
            yield Loss(
                "AliasTarget.DNSName",
                text(
                    "{name} is an alias of {host}, which has no address of its own at the target; write the record when its successor has one.",
                    name=name,
                    host=host,
                ),
                "major",
            )
            yield Disposition(
                "replatform",
                text("An alias of {host}.", host=host),
                way_out="A record with the address of its successor",
                work="Write it once the successor answers.",
                into=zone.key,
            )
            return
    addresses = [
        a for each in values for a in ctx.estate.where("aws.ec2.address", "PublicIp", each)
    ]
    address = min(addresses, key=lambda a: (a.type, a.account, a.region, a.id), default=None)
    if address is not None and kind == "A":
        target = address.key
    yield Records(
        origin=source.key,
        name=name,
        zone=zone.key,
        kind=kind,
        ttl=min(ttl, DAY),
        values=values,
        target=target,
    )
    if record.get("HealthCheckId"):
        yield Loss("HealthCheckId", "Nobody checks its health before answering any more.", "major")


def _hosts(balancer: Resource) -> Iterator[object]:
    yield bare_host(str(balancer.record.get("DNSName", "")))


def _stays(source: Resource, ctx: Context, policy: str) -> bool:
    zone = source.id.split(" ", 1)[0]
    rivals = [
        each for each in ctx.estate.where("aws.route53.record_set", "Name", str(source.record.get("Name")))
        if each.id.split(" ", 1)[0] == zone and each.record.get("Type") == source.record.get("Type")
    ]  # fmt: skip
    best = max(
        rivals,
        key=lambda each: (
            each.record.get("Weight") or 0,
            each.record.get("Failover") == "PRIMARY",
            each.record.get("Region") or "",
            each.key,
        ),
    )
    return best.key == source.key


RULE = Rule(
    type="aws.route53.record_set",
    title="Route 53 records",
    service="route53",
    fetch=Fetch(
        "route53",
        "list_resource_record_sets",
        "ResourceRecordSets[]",
        id="^Id+Name+Type+SetIdentifier",
        name="Name",
        arn="",
        scope="global",
        each="aws.route53.hosted_zone",
        each_params={"HostedZoneId": "Id"},
    ),
    translate=translate,
    carried=fields(
        "Name Type TTL ResourceRecords.Value AliasTarget.DNSName Weight Failover Region SetIdentifier HealthCheckId"
    ),
    lost={
        "GeoLocation": "Answers by place end.",
        "MultiValueAnswer": "Several healthy answers become plain ones.",
        "CidrRoutingConfig": "Answers by network end.",
        "GeoProximityLocation": "Answers by distance end.",
        "AZAffinity": "Answers by zone end.",
        "TrafficPolicyInstanceId": "Traffic policies end.",
    },
    noise=noise(id="AliasTarget.HostedZoneId", internal="AliasTarget.EvaluateTargetHealth"),
)
