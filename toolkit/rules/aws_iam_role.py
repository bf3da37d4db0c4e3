"""IAM role -> a documented identity by who may assume it: a workload, a person, a partner, AWS itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Finding, Loss, Outcome, Task, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._identity import (
    AUTHORIZATION,
    allowed,
    application_credential,
    trusted,
    unasked,
)

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Workloads get an application credential; roles of AWS's own services go with AWS."""
    record = source.record
    name, path = record["RoleName"], record.get("Path", "/")
    who = trusted(record.get("AssumeRolePolicyDocument"))
    if path.startswith("/aws-service-role/") or path.startswith("/aws-reserved/"):
        yield Disposition(
            "retire", text("AWS made {name} for itself ({path}).", name=name, path=path)
        )
        return
    own = [each for each in who if not each.endswith(".amazonaws.com")]
    partners = sorted(
        {account for each in own if (account := _account(each)) and account != source.account}
    )
    if "*" in own:
        yield Finding("role-open", "critical", text("Anybody may assume {name}.", name=name))
    if partners:
        known = {r.account for r in ctx.estate}
        foreign = [each for each in partners if each not in known]
        yield Finding(
            "role-cross-account",
            "warning",
            text(
                "{name} may be assumed from {accounts}{note}; that access ends with AWS.",
                name=name,
                accounts=", ".join(partners),
                note=text(" (not among the accounts read)") if foreign else "",
            ),
        )
        bare = {_account(each) for each in unasked(record.get("AssumeRolePolicyDocument"))}
        if careless := [each for each in foreign if each in bare]:
            yield Finding(
                "role-unconditional",
                "warning",
                text(
                    "{name} asks {accounts} for no external id: anybody there, and whoever is tricked there, can use it.",
                    name=name,
                    accounts=", ".join(careless),
                ),
            )
    may = allowed(record, "RolePolicyList")
    services = [
        each.removesuffix(".amazonaws.com") for each in who if each.endswith(".amazonaws.com")
    ]
    if own and not services:
        yield Task(
            "role-people",
            text("Give those who assume {name} their access at the target", name=name),
            "Roles cannot be assumed across clouds; people and partners get accounts, pipelines get tokens.",
            lead_days=10,
            role="security",
            settings=((text("who"), ", ".join(own)), (text("at AWS it may"), may)),
            expected="Each of them has signed in at the target once, or has said in writing that they no longer need it.",
            undo="Take the accounts away again; the role at AWS still works.",
            minutes=20 * len(own),
            basis="20 minutes for each who assumes it, estimated",
        )
    else:
        yield Task(
            "workload-credential",
            text("Create an application credential in place of the role {name}", name=name),
            "There are no roles for servers or functions at the target: an application credential, kept in the secret store.",
            lead_days=5,
            role="security",
            settings=(
                (text("used by"), ", ".join(services) or text("nobody")),
                (text("at AWS it may"), may),
            ),
            **application_credential(name),
        )
    if record.get("Tags"):
        yield Loss(
            "Tags",
            text(
                "Conditions on tags ({tags}) have no successor.",
                tags=", ".join(f"{t.get('Key')}={t.get('Value')}" for t in record["Tags"]),
            ),
        )
    yield Disposition(
        "refactor",
        "Policies are never translated into permissions that look alike.",
        way_out="Application credentials, Keycloak groups",
        work="Give each workload a credential of its own with the roles it needs.",
    )


def _account(principal: str) -> str:
    if principal.isdigit() and len(principal) == 12:
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 4 and principal.startswith("arn:") else ""


RULE = Rule(
    type="aws.iam.role",
    title="IAM role",
    service="iam",
    fetch=Fetch(
        "iam",
        "get_account_authorization_details",
        "RoleDetailList[]",
        id="RoleName",
        arn="Arn",
        scope="global",
        params=AUTHORIZATION,
    ),
    translate=translate,
    carried=fields(
        "RoleName Path AssumeRolePolicyDocument RolePolicyList.PolicyDocument AttachedManagedPolicies.PolicyName Tags.Key Tags.Value"
    ),
    lost={
        "PermissionsBoundary": Lost(
            "A boundary has no successor; keep roles narrow instead.", "major"
        )
    },
    noise=noise(
        id="RoleId Arn AttachedManagedPolicies.PolicyArn",
        timestamp="CreateDate",
        derived="RolePolicyList.PolicyName InstanceProfileList",
    ),
    volatile=fields("RoleLastUsed"),
)
