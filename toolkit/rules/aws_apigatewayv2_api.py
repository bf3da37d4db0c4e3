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
            note=f" ({source.record['Description']})" if source.record.get("Description") else "",
        ),
    )
    yield Loss(
        "Description",
        "Authorizers, usage plans and mapping templates do not travel with the OpenAPI export.",
        "major",
    )


RULE = Rule(
    type="aws.apigatewayv2.api",
    title="API of API Gateway",
    service="apigateway",
    tier=2,
    fetch=Fetch(
        "apigatewayv2",
        "get_apis",
        "Items[]",
        id="ApiId",
        name="Name",
        arn="arn:{partition}:apigateway:{region}::/apis/{id}",
        tags="Tags",
    ),
    translate=translate,
    carried=fields("Description"),
    noise=noise(
        id="ApiId",
        timestamp="CreatedDate",
        internal="ApiGatewayManaged ApiKeySelectionExpression CorsConfiguration DisableSchemaValidation DisableExecuteApiEndpoint ImportInfo IpAddressType RouteSelectionExpression Tags Version Warnings",
        derived="ApiEndpoint Name ProtocolType",
    ),
)
