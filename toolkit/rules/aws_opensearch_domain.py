"""OpenSearch domain -> the same engine, managed where the cloud has it, else on servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Move, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Same engine; what AWS wrapped around it is told."""
    held = source.record.get("Domain") or {}
    cluster = held.get("ClusterConfig") or {}
    volume = (held.get("EBSOptions") or {}).get("VolumeSize")
    nodes = cluster.get("InstanceCount", 1)
    yield way_out(
        ctx,
        "opensearch",
        text(
            "{engine}, {nodes} nodes of {kind}{size}.",
            engine=held.get("EngineVersion", "OpenSearch"),
            nodes=nodes,
            kind=cluster.get("InstanceType", "?"),
            size=text(" with {n} GiB each", n=volume) if volume else "",
        ),
    )
    yield Move(
        "database",
        text("the indexes of {name}", name=source.name),
        gb=volume * nodes * 1.073741824 if volume else None,
    )
    if cluster.get("WarmEnabled"):
        yield Loss(
            "Domain.ClusterConfig",
            "UltraWarm nodes have no successor; warm indexes need normal nodes.",
            "major",
        )
    if (held.get("CognitoOptions") or {}).get("Enabled"):
        yield Loss("Domain.CognitoOptions", "Dashboards sign in by Keycloak instead of Cognito.")
    if held.get("AccessPolicies"):
        yield Loss(
            "Domain.AccessPolicies", "IAM access becomes users and roles of the engine.", "major"
        )


RULE = Rule(
    type="aws.opensearch.domain",
    title="OpenSearch domain",
    service="opensearch",
    tier=2,
    fetch=Fetch(
        "opensearch",
        "list_domain_names",
        "DomainNames[]",
        id="DomainName",
        arn="Domain.ARN",
        tags="Tags",
        details=(
            Detail(
                "describe_domains",
                {"DomainNames": "DomainName"},
                into="Domain",
                path="DomainStatusList[]",
                batch=5,
                match="DomainName",
            ),
            Detail("list_tags", {"ARN": "Domain.ARN"}, into="Tags", path="TagList[]"),
        ),
    ),
    translate=translate,
    carried=fields("Domain"),
    noise=noise(id="DomainName", internal="Tags", derived="EngineType"),
)
