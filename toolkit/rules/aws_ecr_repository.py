"""ECR repository -> a repository of the provider's registry or of one's own; images are copied by digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Registry
from toolkit.outcomes import Loss, Move, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The repository by name; what pulls from it must be told the new address."""
    record = source.record
    yield Registry(
        origin=source.key,
        name=record["repositoryName"],
        immutable=str(record.get("imageTagMutability", "")).startswith("IMMUTABLE"),
    )
    yield Move("registry", text("the images of {name}", name=record["repositoryName"]))
    if policy := (record.get("Policy") or {}).get("policyText"):
        yield Loss(
            "Policy.policyText",
            text(
                "The repository's policy ({n} characters) becomes members and robots of the registry's project.",
                n=len(policy),
            ),
            "major",
        )
    if cleanup := (record.get("Lifecycle") or {}).get("lifecyclePolicyText"):
        yield Loss(
            "Lifecycle.lifecyclePolicyText",
            text(
                "The rule that cleans up old images ({n} characters) is written anew as a retention rule.",
                n=len(cleanup),
            ),
        )
    if (record.get("imageScanningConfiguration") or {}).get("scanOnPush"):
        yield Loss(
            "imageScanningConfiguration.scanOnPush",
            "Scanning on push is the new registry's (Trivy in Harbor); findings of the past stay behind.",
        )


_GONE = ("RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException")

RULE = Rule(
    type="aws.ecr.repository",
    title="ECR repository",
    service="ecr",
    fetch=Fetch(
        "ecr",
        "describe_repositories",
        "repositories[]",
        id="repositoryName",
        arn="repositoryArn",
        tags="Tags",
        details=(
            Detail(
                "get_repository_policy",
                {"repositoryName": "repositoryName"},
                into="Policy",
                absent=_GONE,
            ),
            Detail(
                "get_lifecycle_policy",
                {"repositoryName": "repositoryName"},
                into="Lifecycle",
                absent=_GONE,
            ),
            Detail(
                "list_tags_for_resource",
                {"resourceArn": "repositoryArn"},
                into="Tags",
                path="tags[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "repositoryName imageTagMutability imageScanningConfiguration.scanOnPush Policy.policyText Lifecycle.lifecyclePolicyText"
    ),
    lost={
        "encryptionConfiguration.kmsKey": "Layers are no longer encrypted by KMS.",
        "imageTagMutabilityExclusionFilters": Lost(
            "Exceptions from immutable tags are set up anew."
        ),
        "Tags": "Repositories carry no tags there.",
    },
    noise=noise(
        id="repositoryArn registryId repositoryUri Policy.registryId Policy.repositoryName Lifecycle.registryId Lifecycle.repositoryName",
        timestamp="createdAt Lifecycle.lastEvaluatedAt",
        internal="encryptionConfiguration.encryptionType",
    ),
)
