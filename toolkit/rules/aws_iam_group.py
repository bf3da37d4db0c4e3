"""IAM group -> a group in Keycloak whose members get roles at the target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._identity import (
    AUTHORIZATION,
    allowed,
    keycloak_create,
    keycloak_delete,
    keycloak_find,
)

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The group stays a group; what it may do is decided anew."""
    record = source.record
    name = record["GroupName"]
    yield Task(
        "group",
        text("Create the group {name} in Keycloak and give it its roles", name=name),
        "Roles at the target are given to groups, not to people.",
        lead_days=12,
        role="security",
        settings=((text("at AWS it may"), allowed(record, "GroupPolicyList")),),
        command=keycloak_create("groups", name=name),
        check=keycloak_find("groups", name),
        expected="The check shows its id; the project's roles are mapped to the group.",
        undo=text("{command} (nobody is in it yet).", command=keycloak_delete("groups", name)),
        minutes=15,
    )
    yield Disposition(
        "refactor",
        "Policies are never translated into permissions that look alike.",
        way_out="Keycloak group with roles of the project",
        work="Agree on the roles with the owner of the group.",
    )


RULE = Rule(
    type="aws.iam.group",
    title="IAM group",
    service="iam",
    fetch=Fetch(
        "iam",
        "get_account_authorization_details",
        "GroupDetailList[]",
        id="GroupName",
        arn="Arn",
        scope="global",
        params=AUTHORIZATION,
    ),
    translate=translate,
    carried=fields("GroupName AttachedManagedPolicies.PolicyName GroupPolicyList.PolicyDocument"),
    noise=noise(
        id="GroupId Arn AttachedManagedPolicies.PolicyArn",
        timestamp="CreateDate",
        derived="Path GroupPolicyList.PolicyName",
    ),
)
