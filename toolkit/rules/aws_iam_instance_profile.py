"""Instance profile -> absorbed by its role: the door through which servers got it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The role is what counts; without one the profile is empty."""
    roles = [each["RoleName"] for each in source.record.get("Roles", []) if each.get("RoleName")]
    role = ctx.key("aws.iam.role", roles[0], source) if roles else None
    if role:
        yield Disposition(
            "absorbed",
            text("Servers get a credential in place of the role {role}.", role=roles[0]),
            into=role,
        )
    else:
        yield Disposition(
            "retire",
            text(
                "{name} holds no role that was read{role}.",
                name=source.record["InstanceProfileName"],
                role=f" ({roles[0]})" if roles else "",
            ),
        )


RULE = Rule(
    type="aws.iam.instance_profile",
    title="IAM instance profile",
    service="iam",
    fetch=Fetch(
        "iam",
        "list_instance_profiles",
        "InstanceProfiles[]",
        id="InstanceProfileName",
        arn="Arn",
        scope="global",
    ),
    translate=translate,
    carried=fields("InstanceProfileName Roles.RoleName"),
    noise=noise(
        id="InstanceProfileId Arn", timestamp="CreateDate", internal="Path Tags", derived="Roles"
    ),
    volatile=fields("Roles.RoleLastUsed"),
)
