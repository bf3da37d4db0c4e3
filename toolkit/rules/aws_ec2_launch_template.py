"""Launch template -> absorbed by the group that starts from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """What it says becomes the servers of its groups."""
    held = (source.record.get("Version") or [{}])[0]
    data = held.get("LaunchTemplateData") or {}
    named = source.record.get("LaunchTemplateName", source.name)
    said = text(
        "{name}: {type} from {image} with the key {key}."
        if data.get("KeyName")
        else "{name}: {type} from {image} without a key.",
        name=named,
        type=data.get("InstanceType") or text("no type"),
        image=hit.name
        if (hit := ctx.estate.find("aws.ec2.image", data.get("ImageId"), source))
        else text("a public image")
        if data.get("ImageId")
        else text("no image"),
        key=data.get("KeyName") or "",
    )
    users = ctx.estate.having("aws.autoscaling.auto_scaling_group", _templates, source.id)
    if users:
        yield Disposition("absorbed", said, into=users[0].key)
    else:
        yield Disposition(
            "retire",
            text(
                "No group read here starts from it. {said}",
                said=said,
            ),
        )


def _templates(group: Resource) -> Iterator[object]:
    record = group.record
    mixed = (record.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    for spec in (record.get("LaunchTemplate"), mixed.get("LaunchTemplateSpecification")):
        yield (spec or {}).get("LaunchTemplateId")


RULE = Rule(
    type="aws.ec2.launch_template",
    title="Launch template",
    service="auto_scaling",
    fetch=Fetch(
        "ec2",
        "describe_launch_templates",
        "LaunchTemplates[]",
        id="LaunchTemplateId",
        name="LaunchTemplateName",
        arn="arn:{partition}:ec2:{region}:{account}:launch-template/{id}",
        details=(
            Detail(
                "describe_launch_template_versions",
                {},
                into="Version",
                path="LaunchTemplateVersions[]",
                match="LaunchTemplateId",
                constants={"Versions": ["$Default"]},
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "LaunchTemplateName Version.LaunchTemplateData.InstanceType Version.LaunchTemplateData.ImageId Version.LaunchTemplateData.KeyName"
    ),
    lost={
        "Version.LaunchTemplateData.InstanceRequirements": Lost(
            "Choosing among types by need ends; one flavor is chosen.", "major"
        ),
        "Version.LaunchTemplateData.InstanceMarketOptions": "Spot ends; the successor costs the list price.",
        "Version.LaunchTemplateData.IamInstanceProfile": Lost(
            "There are no instance roles.", "major"
        ),
        "Version.LaunchTemplateData.EnclaveOptions": "Enclaves have no successor.",
        "Version.LaunchTemplateData.LicenseSpecifications": "Licences have to be settled anew.",
        "Version.LaunchTemplateData.Placement": "Placement is chosen anew.",
    },
    noise=noise(
        id="LaunchTemplateId Version.LaunchTemplateId Version.LaunchTemplateName CreatedBy Version.CreatedBy",
        timestamp="CreateTime Version.CreateTime",
        internal="DefaultVersionNumber LatestVersionNumber Operator Tags Version.VersionNumber Version.VersionDescription Version.DefaultVersion Version.Operator",
        derived="Version.LaunchTemplateData",
    ),
)
