"""OIDC provider -> the same trust, set up at Keycloak or replaced by tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Finding, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A cluster's own issuer goes with the cluster; a pipeline's issuer needs a new way in."""
    held = source.record.get("Provider") or {}
    url = held.get("Url") or source.id.split("oidc-provider/", 1)[-1]
    audiences = ", ".join(held.get("ClientIDList", [])) or text("any audience")
    if ".eks." in url or "oidc.eks" in url:
        yield Disposition(
            "absorbed",
            text(
                "The cluster's own issuer ({audiences}); pods get credentials from the secret store instead.",
                audiences=audiences,
            ),
        )
        return
    if "github" in url or "gitlab" in url:
        yield Finding(
            "pipeline-trust",
            "warning",
            text(
                "Pipelines of {url} ({audiences}) reach AWS without a password; at the target they need a token.",
                url=url,
                audiences=audiences,
            ),
        )
    yield Task(
        "federation",
        text("Let the pipelines of {url} in at the target", url=url),
        "OpenStack federates with OIDC only where the provider set it up; otherwise pipelines get application credentials.",
        lead_days=10,
        role="security",
        settings=((text("audiences"), audiences),),
        command='openstack federation protocol list --identity-provider "${IDENTITY_PROVIDER:?}"',
        expected="One pipeline has run against the target with a credential of its own; no key of AWS is in its settings.",
        undo="Revoke the pipeline's credential at the target.",
        minutes=60,
    )
    yield Disposition(
        "refactor",
        "Trust in an issuer is set up anew.",
        way_out="Keycloak as broker, or application credentials",
        work="Replace role assumption in every pipeline.",
    )


RULE = Rule(
    type="aws.iam.open_id_connect_provider",
    title="OIDC provider",
    service="iam",
    fetch=Fetch(
        "iam",
        "list_open_id_connect_providers",
        "OpenIDConnectProviderList[]",
        id="Arn",
        name="Provider.Url",
        arn="Arn",
        scope="global",
        tags="Provider.Tags",
        details=(
            Detail(
                "get_open_id_connect_provider", {"OpenIDConnectProviderArn": "Arn"}, into="Provider"
            ),
        ),
    ),
    translate=translate,
    carried=fields("Provider.Url Provider.ClientIDList"),
    noise=noise(
        id="Arn Provider.IdentityCenterInstanceArn Provider.IdentityStoreArn",
        timestamp="Provider.CreateDate",
        internal="IsTrustedIdentityPropagationEnabled Provider.ThumbprintList Provider.Tags Provider.ContextProvider",
    ),
)
