"""Route 53 zone -> a zone where the target has DNS, else a DNS host of one's own: the first thing to move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Zone
from toolkit.outcomes import Finding, Loss, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A public zone must exist outside AWS before anything else does."""
    record = source.record
    name = record.get("Name") or source.name
    private = bool((record.get("Config") or {}).get("PrivateZone"))
    networks = tuple(
        key
        for each in (record.get("Zone") or {}).get("VPCs", [])
        if (key := ctx.key("aws.ec2.vpc", each.get("VPCId"), source))
    )
    yield Zone(origin=source.key, name=name, private=private, networks=networks)
    if private:
        names = ", ".join(ctx.estate.by_key[key].name for key in networks) or "no network read"
        yield Finding(
            "zone-private",
            "info",
            text(
                "{name} answers only inside {networks}: it needs a resolver of your own there.",
                name=name,
                networks=names,
            ),
        )
    else:
        servers = ", ".join(
            ((record.get("Zone") or {}).get("DelegationSet") or {}).get("NameServers", [])
        ) or text("AWS's name servers")
        yield Task(
            "delegation",
            text("Have the registrar delegate {name} to the new name servers", name=name),
            "If AWS is cut off the zone is gone with it. It leaves after the last switch: before that the new zone lacks the answers of the waves to come. A DS record at the registrar must go first: with it, answers that are not signed are refused.",
            lead_days=14,
            role="network",
            settings=((text("name servers today"), servers),),
            expected="No line says `differs`; then the registrar changes the delegation, and the check names the new servers.",
            undo="Have the old name servers delegated again: the zone at AWS is unchanged until it is deleted.",
            minutes=30,
        )
    if record.get("LinkedService"):
        yield Loss(
            "LinkedService.ServicePrincipal",
            text(
                "{service} writes into this zone; its successor must.",
                service=record["LinkedService"].get("ServicePrincipal") or text("A service"),
            ),
            "major",
        )


RULE = Rule(
    type="aws.route53.hosted_zone",
    title="Route 53 zone",
    service="route53",
    fetch=Fetch(
        "route53",
        "list_hosted_zones",
        "HostedZones[]",
        id="Id",
        name="Name",
        arn="",
        scope="global",
        details=(Detail("get_hosted_zone", {"Id": "Id"}, into="Zone"),),
    ),
    translate=translate,
    carried=fields(
        "Name Config.PrivateZone Zone.VPCs.VPCId Zone.DelegationSet.NameServers LinkedService.ServicePrincipal"
    ),
    lost={"Features.AcceleratedRecoveryStatus": Lost("Accelerated recovery ends with Route 53.")},
    noise=noise(
        id="Id CallerReference Zone.DelegationSet.Id Zone.DelegationSet.CallerReference",
        internal="Config Features LinkedService.Description Zone.HostedZone Zone.VPCs.VPCRegion",
    ),
    volatile=fields("ResourceRecordSetCount"),
)
