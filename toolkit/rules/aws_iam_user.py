"""IAM user -> a person in Keycloak or a machine's application credential; never permissions that look alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Finding, Loss, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._identity import (
    AUTHORIZATION,
    allowed,
    application_credential,
    keycloak_create,
    keycloak_delete,
    keycloak_find,
    keycloak_join,
)

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Documented and created by hand: what an AWS policy means has no twin at the target."""
    record = source.record
    name, groups = record["UserName"], sorted(record.get("GroupList", []))
    may = allowed(record, "UserPolicyList")
    machine = (
        any(
            word in name.casefold()
            for word in ("deploy", "ci", "bot", "svc", "service", "backup", "app")
        )
        and not groups
    )
    tags = ", ".join(
        f"{t['Key']}={t['Value']}"
        for t in record.get("Tags", [])
        if t.get("Key") and t.get("Value") is not None
    )
    if machine:
        yield Task(
            "machine-credential",
            text("Create an application credential for {name}", name=name),
            "A machine needs a credential of its own, limited to one project and its roles.",
            lead_days=5,
            role="security",
            settings=((text("at AWS it may"), may),),
            **application_credential(name),
        )
    else:
        yield Task(
            "person-account",
            text("Create {name} in Keycloak", name=name),
            "People sign in through one identity provider; roles at the target follow from groups.",
            lead_days=10,
            role="security",
            settings=(
                (text("groups"), ", ".join(groups) or text("none")),
                (text("at AWS it may"), may),
                *(((text("tags"), tags),) if tags else ()),
            ),
            command=" &&\n".join(
                (
                    keycloak_create("users", username=name, enabled="true"),
                    *(keycloak_join(name, group) for group in groups),
                )
            ),
            check=keycloak_find("users", name),
            expected="The check shows an id, and the person has signed in once with a second factor.",
            undo=text(
                "{command} (the user at AWS is unchanged).", command=keycloak_delete("users", name)
            ),
            minutes=10,
        )
    if boundary := (record.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"):
        yield Loss(
            "PermissionsBoundary",
            text(
                "The boundary {name} has no successor; keep roles narrow instead.",
                name=boundary.rsplit("/", 1)[-1],
            ),
            "major",
        )
    if "AdministratorAccess" in str(may):
        yield Finding(
            "user-administrator",
            "warning",
            text("{name} may do everything at AWS; decide anew who may at the target.", name=name),
        )
    yield Disposition(
        "refactor",
        "Policies are never translated into permissions that look alike.",
        way_out="Keycloak for people, application credentials for machines",
        work="Decide roles per project; create accounts; hand out credentials through the secret store.",
    )


RULE = Rule(
    type="aws.iam.user",
    title="IAM user",
    service="iam",
    fetch=Fetch(
        "iam",
        "get_account_authorization_details",
        "UserDetailList[]",
        id="UserName",
        arn="Arn",
        scope="global",
        params=AUTHORIZATION,
    ),
    translate=translate,
    carried=fields(
        "UserName GroupList AttachedManagedPolicies.PolicyName UserPolicyList.PolicyDocument PermissionsBoundary.PermissionsBoundaryArn Tags.Key Tags.Value"
    ),
    noise=noise(
        id="UserId Arn AttachedManagedPolicies.PolicyArn",
        timestamp="CreateDate",
        internal="PermissionsBoundary.PermissionsBoundaryType",
        derived="Path UserPolicyList.PolicyName",
    ),
)
