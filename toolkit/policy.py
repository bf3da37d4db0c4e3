"""Rules and the engine's own calls -> the least IAM policies that let them be made; no `*` in an action."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import botocore.loaders
import botocore.model
from botocore import xform_name

from toolkit.rule import Rule
from toolkit.rules import load

MOST = 6144
"""Characters of a managed policy, white space not counted (AWS)."""
ENGINE = (
    "sts:GetCallerIdentity", "sts:AssumeRole", "ec2:DescribeRegions", "organizations:ListAccounts", "resource-explorer-2:Search",
    "tag:GetResources", "config:DescribeConfigurationRecorders", "config:GetDiscoveredResourceCounts", "cloudwatch:GetMetricData",
)  # fmt: skip
_PREFIX = {
    "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "efs": "elasticfilesystem", "stepfunctions": "states", "sesv2": "ses",
    "opensearch": "es", "cognito-idp": "cognito-idp", "cloudwatch": "cloudwatch", "apigatewayv2": "apigateway", "resourcegroupstaggingapi": "tag",
}  # fmt: skip
_S3 = {
    "ListBuckets": "ListAllMyBuckets", "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration", "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketCors": "GetBucketCORS", "GetBucketReplication": "GetReplicationConfiguration", "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification", "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
}  # fmt: skip


def action(service: str, operation: str) -> str:
    """`("elbv2", "describe_load_balancers")` -> `elasticloadbalancing:DescribeLoadBalancers`.

    IAM's names differ from the API's for S3 and API Gateway (AWS's service authorization reference).
    """
    model = _model(service)
    name = {xform_name(each): each for each in model.operation_names}[operation]
    prefix = _PREFIX.get(service) or model.signing_name
    if service == "s3":
        return f"s3:{_S3.get(name, name)}"
    if service in ("apigateway", "apigatewayv2"):
        return "apigateway:GET"
    return f"{prefix}:{name}"


def actions(rules: Iterable[Rule]) -> list[str]:
    """Every action that discovery may need, sorted."""
    found = set(ENGINE)
    for rule in rules:
        fetch = rule.fetch
        found.update(fetch.action.split() or [action(fetch.service, fetch.operation)])
        found.update(
            action(detail.service or fetch.service, detail.operation) for detail in fetch.details
        )
    return sorted(found)


def policies() -> list[dict[str, Any]]:
    """As many policies as AWS's limit needs, each whole services where they fit."""
    made: list[dict[str, Any]] = []
    part: list[str] = []
    for each in actions(load().values()):
        if part and len(_compact(_policy([*part, each]))) > MOST:
            made.append(_policy(part))
            part = []
        part.append(each)
    return [*made, _policy(part)]


def _policy(part: list[str]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "RepatriaReads", "Effect": "Allow", "Action": part, "Resource": "*"}],
    }


def _compact(policy: dict[str, Any]) -> str:
    return json.dumps(policy, separators=(",", ":"))


_models: dict[str, botocore.model.ServiceModel] = {}


def _model(service: str) -> botocore.model.ServiceModel:
    if service not in _models:
        _models[service] = botocore.model.ServiceModel(
            botocore.loaders.Loader().load_service_model(service, "service-2"), service
        )
    return _models[service]
