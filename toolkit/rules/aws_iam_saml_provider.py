"""SAML provider -> Keycloak with the same identity provider behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The company's identity provider stays; what trusts it changes."""
    name = source.record["Arn"].rsplit("/", 1)[-1]
    yield Task(
        "federation",
        text("Connect Keycloak to the identity provider behind {name}", name=name),
        "Its metadata is exchanged anew; signing keys differ.",
        lead_days=10,
        role="security",
        check='kcadm.sh get identity-provider/instances -r "${REALM:?}" --fields alias,providerId,enabled',
        expected="The provider is listed and enabled, and one person has signed in through it.",
        undo="Remove the provider in Keycloak; signing in at AWS is unchanged.",
        minutes=120,
    )
    yield Disposition(
        "replatform",
        text("People keep signing in at the company's own provider ({name}).", name=name),
        way_out="Keycloak as service provider",
        work="Exchange metadata, map groups, test with one person.",
    )


RULE = Rule(
    type="aws.iam.saml_provider",
    title="SAML provider",
    service="iam",
    fetch=Fetch(
        "iam", "list_saml_providers", "SAMLProviderList[]", id="Arn", arn="Arn", scope="global"
    ),
    translate=translate,
    carried=fields("Arn"),
    noise=noise(timestamp="ValidUntil CreateDate", internal="IsTrustedIdentityPropagationEnabled"),
)
