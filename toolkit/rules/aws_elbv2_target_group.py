"""Target group -> pool with its members and health monitor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Backend
from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.plan.graph import strings
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._balancers import listener_of, members, probe

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Members are servers, addresses, or a whole Auto Scaling group."""
    record = source.record
    balancer = next(
        (
            key
            for arn in record.get("LoadBalancerArns", [])
            if (key := ctx.key("aws.elbv2.load_balancer", arn, source))
        ),
        None,
    )
    balancer = balancer or next(
        (
            ctx.key("aws.elbv2.load_balancer", listener.record.get("LoadBalancerArn"), source)
            for listener in ctx.estate.having("aws.elbv2.listener", _forwarded, source.id)
        ),
        None,
    )
    balancer = balancer or next(
        (
            ctx.key("aws.elbv2.load_balancer", listener.record.get("LoadBalancerArn"), source)
            for each in ctx.estate.having("aws.elbv2.rule", _forwarded, source.id)
            if (listener := listener_of(ctx, each)) is not None
        ),
        None,
    )
    if balancer is None:
        yield Disposition("retire", "No load balancer that was read forwards to it.")
        return
    if record.get("TargetType") in ("lambda", "alb"):
        yield Loss(
            "TargetType",
            text(
                "Targets of the kind {kind} cannot be members of a pool.", kind=record["TargetType"]
            ),
            "major",
        )
        yield Disposition(
            "refactor",
            "What it forwards to has another form at the target.",
            way_out="A service behind the balancer",
            work="Build the service, then add it as a member.",
        )
        return
    port = record.get("Port") or 80
    targets = [each.get("Target") or {} for each in record.get("Targets", [])]
    fleets = [
        (each.key, port)
        for each in ctx.estate.having(
            "aws.autoscaling.auto_scaling_group", _target_groups, source.id
        )
    ]
    attributes = {each.get("Key"): each.get("Value") for each in record.get("Attributes", [])}
    protocol = {
        "HTTP": "HTTP",
        "HTTPS": "HTTPS",
        "TCP": "TCP",
        "TLS": "TCP",
        "UDP": "UDP",
        "TCP_UDP": "TCP",
    }.get(record.get("Protocol") or "HTTP", "TCP")
    yield Backend(
        origin=source.key, name=record["TargetGroupName"], balancer=balancer, protocol=protocol, members=(*fleets, *members(ctx, source, targets, port)), probe=probe(record), sticky=attributes.get("stickiness.enabled") == "true",  # type: ignore[arg-type]
    )  # fmt: skip
    if not fleets and not targets:
        yield Loss("Targets.Target.Id", "It has no member today; the pool starts empty.")
    if record.get("ProtocolVersion") not in (None, "HTTP1"):
        yield Loss(
            "ProtocolVersion",
            text("{version} to the members becomes HTTP/1.1.", version=record["ProtocolVersion"]),
            "major",
        )
    if attributes.get("slow_start.duration_seconds") not in (None, "0"):
        yield Loss("Attributes", "Members no longer start slowly.")
    if record.get("HealthCheckPort") not in (None, "traffic-port"):
        yield Loss(
            "HealthCheckPort",
            text(
                "Health is asked at the port {port} of each member.", port=record["HealthCheckPort"]
            ),
        )


def _target_groups(fleet: Resource) -> Iterator[object]:
    yield from fleet.record.get("TargetGroupARNs", [])


def _forwarded(source: Resource) -> Iterator[object]:
    """Every word in the actions of a listener or a rule; the ARNs of target groups among them."""
    for member in ("DefaultActions", "Actions"):
        for _, held in strings(source.record.get(member)):
            yield held


RULE = Rule(
    type="aws.elbv2.target_group",
    title="Target group",
    service="elb",
    fetch=Fetch(
        "elbv2",
        "describe_target_groups",
        "TargetGroups[]",
        id="TargetGroupArn",
        name="TargetGroupName",
        arn="TargetGroupArn",
        tags="TagSet.Tags",
        details=(
            Detail(
                "describe_target_health",
                {"TargetGroupArn": "TargetGroupArn"},
                into="Targets",
                path="TargetHealthDescriptions[]",
            ),
            Detail(
                "describe_target_group_attributes",
                {"TargetGroupArn": "TargetGroupArn"},
                into="Attributes",
                path="Attributes[]",
            ),
            Detail(
                "describe_tags",
                {"ResourceArns": "TargetGroupArn"},
                into="TagSet",
                path="TagDescriptions[]",
                batch=20,
                match="ResourceArn",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "TargetGroupName Protocol Port LoadBalancerArns TargetType ProtocolVersion HealthCheckProtocol HealthCheckPort HealthCheckEnabled HealthCheckIntervalSeconds HealthCheckTimeoutSeconds HealthyThresholdCount UnhealthyThresholdCount HealthCheckPath Matcher.HttpCode "
        "Targets.Target.Id Targets.Target.Port Attributes.Key Attributes.Value"
    ),
    lost={
        "Matcher.GrpcCode": "gRPC codes are not asked for.",
        "TagSet": "Pools carry the plan's own tags.",
        "TargetControlPort": "Optimised balancing by the target ends.",
    },
    noise=noise(
        id="TargetGroupArn Targets.Target.QuicServerId",
        internal="IpAddressType",
        derived="VpcId Targets.Target.AvailabilityZone Targets.HealthCheckPort",
    ),
    volatile=fields("Targets.TargetHealth Targets.AnomalyDetection Targets.AdministrativeOverride"),
    unordered=fields("Targets LoadBalancerArns"),
)
