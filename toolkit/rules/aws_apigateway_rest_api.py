"""API of API Gateway -> Kong, APISIX or Traefik: the OpenAPI export is what travels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Authorizers, keys and mapping templates have to be written anew."""
    yield way_out(
        ctx,
        "apigateway",
        text(
            "The API {name}{note}.",
            name=source.name,
            note=f" ({source.record['description']})" if source.record.get("description") else "",
        ),
    )
    yield Loss(
        "description",
        "Authorizers, usage plans and mapping templates do not travel with the OpenAPI export.",
        "major",
    )


RULE = Rule(
    type="aws.apigateway.rest_api",
    title="API of API Gateway",
    service="apigateway",
    tier=2,
    fetch=Fetch(
        "apigateway",
        "get_rest_apis",
        "items[]",
        id="id",
        name="name",
        arn="arn:{partition}:apigateway:{region}::/restapis/{id}",
        tags="tags",
    ),
    translate=translate,
    carried=fields("description"),
    noise=noise(
        id="id rootResourceId",
        timestamp="createdDate",
        internal="version warnings binaryMediaTypes minimumCompressionSize apiKeySource policy tags disableExecuteApiEndpoint securityPolicy endpointAccessMode",
        derived="name apiStatus apiStatusMessage endpointConfiguration",
    ),
)
