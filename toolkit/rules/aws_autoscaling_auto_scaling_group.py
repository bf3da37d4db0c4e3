"""Auto Scaling group -> a fixed number of like servers; how many is a decision, scaling by itself is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.compute import Fleet
from toolkit.outcomes import Loss, Option, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._servers import about_type, decoded, distribution, user_data

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Its lower bound of servers, so that a scale-out of yesterday changes nothing in the plan."""
    record = source.record
    low, high = record.get("MinSize", 0), record.get("MaxSize", 1)
    spec = (
        record.get("LaunchTemplate")
        or (
            ((record.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}).get(
                "LaunchTemplateSpecification"
            )
        )
        or {}
    )
    template = ctx.estate.find("aws.ec2.launch_template", spec.get("LaunchTemplateId"), source)
    if template is None and spec.get("LaunchTemplateName"):
        template = next(
            (
                each
                for each in ctx.estate.where(
                    "aws.ec2.launch_template", "LaunchTemplateName", spec["LaunchTemplateName"]
                )
                if each.region == source.region
            ),
            None,
        )
    data = (
        ((template.record.get("Version") or [{}])[0].get("LaunchTemplateData") or {})
        if template
        else {}
    )
    choice = ctx.decide(
        source.key, "group-size", text("How many servers does {name} get ({low} to {high} at AWS)?", name=record["AutoScalingGroupName"], low=low, high=high),
        (
            Option("min", text("{n}, its lower bound", n=max(1, low)), "Cheapest; peaks hurt."),
            Option("middle", text("{n}, half way", n=max(1, (low + high + 1) // 2)), "Room for most days."),
            Option("max", text("{n}, its upper bound", n=max(1, high)), "Safe on every day, paid on every day."),
        ),
        "middle" if high > low else "min", "Nothing scales by itself at the target; half way between the bounds carries most days.",
    )  # fmt: skip
    count = {"min": max(1, low), "middle": max(1, (low + high + 1) // 2), "max": max(1, high)}[
        choice
    ]
    subnets = tuple(
        key
        for each in sorted(str(record.get("VPCZoneIdentifier") or "").split(","))
        if (key := ctx.key("aws.ec2.subnet", each.strip(), source))
    )
    interfaces = data.get("NetworkInterfaces") or []
    groups = data.get("SecurityGroupIds") or [
        g for each in interfaces for g in each.get("Groups", [])
    ]
    known, _ = distribution(ctx, data.get("ImageId"), {}, source)
    content = decoded(data.get("UserData"))
    root = max(
        [
            0,
            *(
                (each.get("Ebs") or {}).get("VolumeSize") or 0
                for each in data.get("BlockDeviceMappings", [])
            ),
        ]
    )
    yield Fleet(
        origin=source.key, name=record["AutoScalingGroupName"], instance_type=data.get("InstanceType", ""), distribution=known, root_gib=root or 8, count=count, subnets=subnets,
        firewalls=tuple(key for each in groups if (key := ctx.key("aws.ec2.security_group", each, source))), key=data.get("KeyName", ""), user_data=content, tags={k: v for k, v in source.tags.items() if not k.startswith("aws:")},
    )  # fmt: skip
    yield from about_type(
        source.name, data.get("InstanceType", ""), {"spot": bool(data.get("InstanceMarketOptions"))}
    )
    yield from user_data(record["AutoScalingGroupName"], content)
    if template is None:
        yield Loss(
            "LaunchTemplate.LaunchTemplateId",
            "Its launch template was not read: type, image and groups are unknown.",
            "major",
        )
    if high > low:
        yield Loss(
            "MaxSize",
            text(
                "It no longer grows by itself up to {high}; servers are added by hand or by a scaler of your own.",
                high=high,
            ),
            "major",
        )
    if record.get("MixedInstancesPolicy"):
        yield Loss(
            "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId",
            "Several types become one flavor.",
        )
    if record.get("HealthCheckType") not in (None, "EC2"):
        yield Loss(
            "HealthCheckType",
            "The balancer takes sick servers out, but nobody replaces them.",
            "major",
        )
    if record.get("WarmPoolConfiguration"):
        yield Loss("WarmPoolConfiguration", "Warm servers in waiting end.")


RULE = Rule(
    type="aws.autoscaling.auto_scaling_group",
    title="Auto Scaling group",
    service="auto_scaling",
    fetch=Fetch(
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups[]",
        id="AutoScalingGroupName",
        arn="AutoScalingGroupARN",
    ),
    translate=translate,
    carried=fields(
        "AutoScalingGroupName MinSize MaxSize VPCZoneIdentifier LaunchTemplate.LaunchTemplateId LaunchTemplate.LaunchTemplateName MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId HealthCheckType Tags.Key Tags.Value"
    ),
    lost={
        "LaunchConfigurationName": Lost(
            "Launch configurations are not read; move it to a launch template first.", "blocker"
        ),
        "MaxInstanceLifetime": "Servers are not replaced by age.",
        "CapacityRebalance": "Spot ends.",
        "WarmPoolConfiguration": "Warm servers in waiting end.",
        "PlacementGroup": "The placement group becomes a server group at best.",
        "MixedInstancesPolicy.InstancesDistribution": "Spot and on-demand are no longer mixed.",
        "MixedInstancesPolicy.LaunchTemplate.Overrides": "Several types become one flavor.",
    },
    noise=noise(
        id="AutoScalingGroupARN ServiceLinkedRoleARN Tags.ResourceId Tags.ResourceType AvailabilityZoneIds MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName",
        timestamp="CreatedTime",
        internal="LaunchTemplate.Version MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version DefaultCooldown HealthCheckGracePeriod SuspendedProcesses EnabledMetrics TerminationPolicies NewInstancesProtectedFromScaleIn Context DesiredCapacityType DefaultInstanceWarmup InstanceMaintenancePolicy DeletionProtection "
        "AvailabilityZoneDistribution AvailabilityZoneImpairmentPolicy CapacityReservationSpecification InstanceLifecyclePolicy Operator Tags.PropagateAtLaunch",
        derived="AvailabilityZones LoadBalancerNames TargetGroupARNs TrafficSources Status",
    ),
    volatile=fields("DesiredCapacity PredictedCapacity Instances WarmPoolSize"),
    unordered=fields("AvailabilityZones TargetGroupARNs Tags"),
)
