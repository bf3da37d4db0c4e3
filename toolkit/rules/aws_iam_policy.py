"""Managed policy of one's own -> a line in the mapping of permissions; AWS's own policies are not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Disposition, Finding, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._identity import AUTHORIZATION, services

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Said in words for who designs roles at the target."""
    record = source.record
    name = record.get("PolicyName", source.name)
    current: dict[str, Any] = next(
        (v for v in record.get("PolicyVersionList", []) if v.get("IsDefaultVersion")), {}
    )
    touched = services(current.get("Document"))
    if "*" in touched:
        yield Finding(
            "policy-everything",
            "warning",
            text("{name} allows everything.", name=name),
        )
    users = record.get("AttachmentCount", 0)
    if not users:
        yield Finding("policy-unused", "info", text("Nothing has {name} attached.", name=name))
    yield Disposition(
        "refactor" if users else "retire",
        text(
            "Allows something in {services}; attached {users} times. {said}",
            services=", ".join(touched) or text("nothing"),
            users=users,
            said=record.get("Description", ""),
        ),
        way_out="Roles of the project, decided anew",
        work="Read it with its owner and decide which role means the same." if users else "",
    )


RULE = Rule(
    type="aws.iam.policy",
    title="IAM policy",
    service="iam",
    fetch=Fetch(
        "iam",
        "get_account_authorization_details",
        "Policies[]",
        id="Arn",
        name="PolicyName",
        arn="Arn",
        scope="global",
        params=AUTHORIZATION,
    ),
    translate=translate,
    carried=fields(
        "PolicyName AttachmentCount PolicyVersionList.Document PolicyVersionList.IsDefaultVersion"
    ),
    noise=noise(
        id="PolicyId Arn PolicyVersionList.VersionId",
        timestamp="CreateDate UpdateDate PolicyVersionList.CreateDate",
        internal="IsAttachable Path DefaultVersionId",
        derived="PermissionsBoundaryUsageCount Description",
    ),
)
