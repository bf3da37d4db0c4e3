"""CloudFront -> caches of one's own or a European CDN; what ran at the edge is told."""

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
    """Where it fetches from, and what it did on the way."""
    record = source.record
    origins = ", ".join(
        sorted(
            each.get("DomainName", "") for each in (record.get("Origins") or {}).get("Items", [])
        )
    )
    yield way_out(
        ctx, "cloudfront", text("In front of {origins}.", origins=origins or text("nothing"))
    )
    yield Loss(
        "DomainName",
        "Its points of presence all over the world end; far users wait longer.",
        "major",
    )
    cache = record.get("DefaultCacheBehavior") or {}
    if (cache.get("LambdaFunctionAssociations") or {}).get("Quantity") or (
        cache.get("FunctionAssociations") or {}
    ).get("Quantity"):
        yield Loss(
            "DefaultCacheBehavior",
            "Functions at the edge have to become the application's or the proxy's.",
            "major",
        )
    if (cache.get("TrustedSigners") or {}).get("Enabled") or (
        cache.get("TrustedKeyGroups") or {}
    ).get("Enabled"):
        yield Loss(
            "DefaultCacheBehavior",
            "Signed addresses have to be signed and checked by your own servers.",
            "major",
        )
    if record.get("WebACLId"):
        yield Loss("WebACLId", "The web firewall in front of it ends.", "major")


RULE = Rule(
    type="aws.cloudfront.distribution",
    title="CloudFront distribution",
    service="cloudfront",
    tier=2,
    fetch=Fetch(
        "cloudfront",
        "list_distributions",
        "DistributionList.Items[]",
        id="Id",
        name="DomainName",
        arn="ARN",
        scope="global",
    ),
    translate=translate,
    carried=fields("Origins DefaultCacheBehavior WebACLId"),
    noise=noise(
        id="Id ARN ETag AnycastIpListId",
        timestamp="LastModifiedTime",
        derived="Status DomainName Comment Enabled",
        internal="Aliases OriginGroups CacheBehaviors CustomErrorResponses PriceClass ViewerCertificate Restrictions HttpVersion IsIPV6Enabled AliasICPRecordals Staging ConnectionMode ViewerMtlsConfig ConnectionFunctionAssociation",
    ),
)
