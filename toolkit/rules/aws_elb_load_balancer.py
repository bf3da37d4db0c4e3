"""Classic load balancer -> Octavia load balancer, a listener and a pool per port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Backend, Balancer, Listener, Probe
from toolkit.intents.network import Binding, PublicAddress
from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._balancers import allowed, cut_off, facing_subnets, members

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Everything that one record says: balancer, listeners, pools."""
    record = source.record
    name = record["LoadBalancerName"]
    subnets = tuple(
        key
        for each in record.get("Subnets", [])
        if (key := ctx.key("aws.ec2.subnet", each, source))
    )
    facing = record.get("Scheme", "internet-facing") == "internet-facing"
    subnets, public = facing_subnets(ctx, subnets, facing)
    if facing and not public:
        yield from cut_off("Scheme", name)
    yield Balancer(
        origin=source.key,
        name=name,
        subnets=subnets,
        public=public,
    )
    if public:
        yield PublicAddress(
            origin=source.key, role="address", name=name, port=subnets[0] if subnets else ""
        )
        yield Binding(
            origin=source.key, role="bound", name=name, address=source.key, port=source.key
        )
    health = record.get("HealthCheck") or {}
    kind, _, rest = str(health.get("Target", "TCP:80")).partition(":")
    probe = Probe(
        {"HTTP": "HTTP", "HTTPS": "HTTPS"}.get(kind, "TCP"),
        f"/{rest.partition('/')[2]}",
        "200",
        health.get("Interval", 30),
        health.get("Timeout", 5),
        health.get("UnhealthyThreshold", 3),
        health.get("HealthyThreshold", 3),
    )
    policies = record.get("Policies") or {}
    sticky = any(each.get("PolicyName") for each in policies.get("LBCookieStickinessPolicies", []))
    for each in record.get("ListenerDescriptions", []):
        held = each.get("Listener") or {}
        port, said = held.get("LoadBalancerPort", 80), str(held.get("Protocol", "TCP")).upper()
        inside = str(held.get("InstanceProtocol", said)).upper()
        protocol = {
            "HTTP": "HTTP",
            "HTTPS": "TERMINATED_HTTPS",
            "SSL": "TERMINATED_HTTPS",
            "TCP": "TCP",
        }.get(said, "TCP")
        yield Backend(
            origin=source.key, role=f"pool-{port}", name=f"{name}-{port}", balancer=source.key, protocol={"HTTP": "HTTP", "HTTPS": "HTTPS"}.get(inside, "TCP"), sticky=sticky,  # type: ignore[arg-type]
            members=tuple(members(ctx, source, [{"Id": i.get("InstanceId")} for i in record.get("Instances", [])], held.get("InstancePort", port))), probe=probe,
        )  # fmt: skip
        may, losses = allowed(ctx, source, record.get("SecurityGroups", []), subnets, "tcp", port)
        yield from losses
        yield Listener(
            origin=source.key, role=f"listener-{port}", name=f"{name}-{port}", balancer=source.key, protocol=protocol, port=port, allowed=may, pool=f"{source.key}#pool-{port}",  # type: ignore[arg-type]
            certificate=ctx.key("aws.acm.certificate", held.get("SSLCertificateId"), source) or "",
        )  # fmt: skip
    for each in policies.get("AppCookieStickinessPolicies", []):
        yield Loss(
            "Policies.AppCookieStickinessPolicies.CookieName",
            text(
                "Sticking by the application's cookie {cookie} has to be set in the pool by hand.",
                cookie=each.get("CookieName", "?"),
            ),
            "major",
        )
    if len(subnets) > 1:
        yield Loss(
            "Subnets", text("It had an address in {n} subnets; Octavia has one.", n=len(subnets))
        )


RULE = Rule(
    type="aws.elb.load_balancer",
    title="Classic load balancer",
    service="elb",
    fetch=Fetch(
        "elb",
        "describe_load_balancers",
        "LoadBalancerDescriptions[]",
        id="LoadBalancerName",
        arn="arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/{id}",
        tags="TagSet.Tags",
        details=(
            Detail(
                "describe_tags",
                {"LoadBalancerNames": "LoadBalancerName"},
                into="TagSet",
                path="TagDescriptions[]",
                batch=20,
                match="LoadBalancerName",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "LoadBalancerName Scheme Subnets SecurityGroups Instances.InstanceId HealthCheck.Target HealthCheck.Interval HealthCheck.Timeout HealthCheck.UnhealthyThreshold HealthCheck.HealthyThreshold ListenerDescriptions.Listener.Protocol "
        "ListenerDescriptions.Listener.LoadBalancerPort ListenerDescriptions.Listener.InstanceProtocol ListenerDescriptions.Listener.InstancePort ListenerDescriptions.Listener.SSLCertificateId Policies.AppCookieStickinessPolicies.CookieName Policies.LBCookieStickinessPolicies.PolicyName"
    ),
    lost={
        "Policies.LBCookieStickinessPolicies.CookieExpirationPeriod": "How long a session sticks is the balancer's own.",
        "Policies.OtherPolicies": "Ciphers and proxy policies are set anew.",
        "BackendServerDescriptions.PolicyNames": Lost(
            "Checking of members' certificates is set anew.", "major"
        ),
        "TagSet": "Load balancers carry the plan's own tags.",
    },
    noise=noise(
        id="CanonicalHostedZoneName CanonicalHostedZoneNameID Policies.AppCookieStickinessPolicies.PolicyName",
        timestamp="CreatedTime",
        internal="ListenerDescriptions.PolicyNames BackendServerDescriptions.InstancePort",
        derived="DNSName AvailabilityZones VPCId SourceSecurityGroup",
    ),
    unordered=fields("Instances SecurityGroups AvailabilityZones"),
)
