"""ALB or NLB -> Octavia load balancer with one address; zones, logs and protections are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Balancer
from toolkit.intents.network import Binding, PublicAddress
from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._balancers import cut_off, facing_subnets

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """One address in its first subnet; a floating IP where it faced the internet."""
    record = source.record
    name = record.get("LoadBalancerName") or source.name
    zones = record.get("AvailabilityZones", [])
    subnets = tuple(
        key for each in zones if (key := ctx.key("aws.ec2.subnet", each.get("SubnetId"), source))
    )
    attributes = {each.get("Key"): each.get("Value") for each in record.get("Attributes", [])}
    facing = record.get("Scheme", "internet-facing") == "internet-facing"
    subnets, public = facing_subnets(ctx, subnets, facing)
    if facing and not public:
        yield from cut_off("Scheme", name)
    idle = int(attributes.get("idle_timeout.timeout_seconds") or 60)
    yield Balancer(
        origin=source.key,
        name=name,
        subnets=subnets,
        public=public,
        idle_seconds=idle,
    )
    if public:
        yield PublicAddress(
            origin=source.key,
            role="address",
            name=name,
            port=subnets[0] if subnets else "",
        )
        yield Binding(
            origin=source.key,
            role="bound",
            name=name,
            address=source.key,
            port=source.key,
        )
    if len(zones) > 1:
        yield Loss(
            "AvailabilityZones.SubnetId",
            text(
                "It had an address in {n} zones ({zones}); Octavia has one address and moves it when a node fails.",
                n=len(zones),
                zones=", ".join(sorted(str(z.get("ZoneName", "?")) for z in zones)),
            ),
        )
    if any(a.get("AllocationId") for z in zones for a in z.get("LoadBalancerAddresses", [])):
        yield Loss(
            "AvailabilityZones.LoadBalancerAddresses.AllocationId",
            "Its fixed addresses stay with AWS.",
            "major",
        )
    if record.get("Type") == "gateway":
        yield Loss("Type", "Gateway balancers have no successor.", "blocker")
    if record.get("Type") == "network":
        yield Loss(
            "Type",
            "Members no longer see the address of the client: use the PROXY protocol.",
            "major",
        )
    for name, says in (
        ("access_logs.s3.enabled", text("Access logs to {bucket} end.", bucket="S3")),
        ("deletion_protection.enabled", "It is protected by Pulumi instead."),
        ("waf.fail_open.enabled", "The web firewall in front of it ends."),
    ):
        if attributes.get(name) == "true":
            yield Loss("Attributes", says)
    if record.get("IpAddressType") not in (None, "ipv4"):
        yield Loss("IpAddressType", "Its IPv6 addresses are not carried.", "major")


RULE = Rule(
    type="aws.elbv2.load_balancer",
    title="Load balancer (ALB, NLB)",
    service="elb",
    fetch=Fetch(
        "elbv2",
        "describe_load_balancers",
        "LoadBalancers[]",
        id="LoadBalancerArn",
        name="LoadBalancerName",
        arn="LoadBalancerArn",
        tags="TagSet.Tags",
        details=(
            Detail(
                "describe_load_balancer_attributes",
                {"LoadBalancerArn": "LoadBalancerArn"},
                into="Attributes",
                path="Attributes[]",
            ),
            Detail(
                "describe_tags",
                {"ResourceArns": "LoadBalancerArn"},
                into="TagSet",
                path="TagDescriptions[]",
                batch=20,
                match="ResourceArn",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "LoadBalancerName Scheme Type SecurityGroups AvailabilityZones.SubnetId AvailabilityZones.ZoneName AvailabilityZones.LoadBalancerAddresses.AllocationId Attributes.Key Attributes.Value IpAddressType"
    ),
    lost={
        "CustomerOwnedIpv4Pool": "Outposts addresses end.",
        "IpamPools.Ipv4IpamPoolId": "Address pools of AWS are not carried.",
        "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": Lost(
            "PrivateLink ends.", unless="off"
        ),
        "TagSet": "Load balancers carry the plan's own tags.",
    },
    noise=noise(
        id="LoadBalancerArn CanonicalHostedZoneId AvailabilityZones.OutpostId",
        timestamp="CreatedTime",
        internal="EnablePrefixForIpv6SourceNat AvailabilityZones.SourceNatIpv6Prefixes",
        derived="DNSName VpcId State AvailabilityZones.LoadBalancerAddresses",
    ),
    unordered=fields("SecurityGroups"),
)
