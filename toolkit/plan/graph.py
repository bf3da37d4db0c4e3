"""Records -> who refers to whom, by ids, ARNs, DNS names and security-group edges, with the field it stands in."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from toolkit.estate.model import Estate, Resource

Kind = Literal["id", "arn", "dns", "name", "text"]
_Find = Callable[[str], "tuple[str, Kind] | None"]

PLACEMENT = frozenset(
    {
        "aws.ec2.vpc", "aws.ec2.subnet", "aws.ec2.route_table", "aws.ec2.network_acl", "aws.ec2.internet_gateway",
        "aws.ec2.dhcp_options", "aws.ec2.key_pair", "aws.rds.db_subnet_group", "aws.elasticache.cache_subnet_group",
        "aws.organizations.account", "aws.iam.policy",
    }
)  # fmt: skip
"""Being in the same VPC or subnet is a place, not a dependency."""

_NAMED = {
    "KeyName": "aws.ec2.key_pair",
    "DBInstanceIdentifier": "aws.rds.db_instance",
    "DBClusterIdentifier": "aws.rds.db_cluster",
    "DBSubnetGroupName": "aws.rds.db_subnet_group",
    "DBParameterGroupName": "aws.rds.db_parameter_group",
    "CacheParameterGroupName": "aws.elasticache.cache_parameter_group",
    "CacheSubnetGroupName": "aws.elasticache.cache_subnet_group",
    "ReplicationGroupId": "aws.elasticache.replication_group",
    "AutoScalingGroupName": "aws.autoscaling.auto_scaling_group",
    "LaunchTemplateName": "aws.ec2.launch_template",
    "InstanceProfileName": "aws.iam.instance_profile",
    "RoleName": "aws.iam.role",
    "TargetBucket": "aws.s3.bucket",
    "clusterName": "aws.eks.cluster",
    "TableName": "aws.dynamodb.table",
    "StreamName": "aws.kinesis.stream",
    "LoadBalancerName": "aws.elb.load_balancer",
    "FileSystemId": "aws.efs.file_system",
    "UserPoolId": "aws.cognito_idp.user_pool",
    "logGroupName": "aws.logs.log_group",
    "awslogs-group": "aws.logs.log_group",
}  # fmt: skip
"""Members that hold another resource's name -> the type it is a name of (AWS's own member names)."""

_RAW = re.compile(r"(?:[a-z]+-)+[0-9a-f]{8}(?:[0-9a-f]{9})?")
_TOKEN = re.compile(
    r"arn:[A-Za-z0-9_.:/*@+=,-]+|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?:/[A-Za-z0-9_./-]+)?|(?:[a-z]+-)+[0-9a-f]{8,17}"
)
_ENDPOINTS = (
    ("DNSName",), ("Endpoint", "Address"), ("ReaderEndpoint",), ("ConfigurationEndpoint", "Address"), ("DomainName",),
    ("QueueUrl",), ("endpoint",), ("Endpoint",), ("PrivateDnsName",), ("PublicDnsName",), ("repositoryUri",),
    ("Url",), ("ApiEndpoint",), ("CacheClusterEndpoint", "Address"), ("Domain", "Endpoint"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """`src` refers to `dst` (keys); `field` is where in the record of `src`, `value` what stands there."""

    src: str
    dst: str
    kind: Kind
    field: str
    value: str


@dataclass(frozen=True)
class Graph:
    """All edges, sorted by source, and the look-ups over them."""

    edges: tuple[Edge, ...]
    mentions: tuple[tuple[str, str, str], ...] = ()
    """(key, field, text) of every free text that names AWS: an endpoint, an ARN, the metadata service."""

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        return _grouped(self.edges, "src")

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        return _grouped(self.edges, "dst")


def _grouped(edges: tuple[Edge, ...], end: str) -> Mapping[str, tuple[Edge, ...]]:
    groups: dict[str, list[Edge]] = {}
    for edge in edges:
        groups.setdefault(getattr(edge, end), []).append(edge)
    return {key: tuple(group) for key, group in groups.items()}


def connect(estate: Estate) -> Graph:
    """Every reference between resources of the estate, each (source, target, field) once."""
    index = _index(estate)
    private = _private(estate)
    names = _name_index(estate)
    edges: list[Edge] = []
    mentions: list[tuple[str, str, str]] = []
    for resource in estate:
        seen: set[tuple[str, str]] = set()
        find = _finder(resource, index, private)
        for field, value in strings(resource.record):
            if (
                len(value) > 9
                and ("amazonaws.com" in value or "arn:aws" in value or _METADATA in value)
                and free(field)
                and bare_host(value) not in _endpoints(resource)
            ):
                mentions.append((resource.key, field, value))
            for dst, kind, token in _hits(resource, field, value, find, names):
                if dst != resource.key and (dst, field) not in seen:
                    seen.add((dst, field))
                    edges.append(Edge(resource.key, dst, kind, field, token))
    return Graph(tuple(edges), tuple(mentions))


_METADATA = "169.254.169.254"
_FREE = (
    "UserData", "Environment", "environment", "containerDefinitions", "definition", "ResourceRecords", "Tags", "tags",
    "Description", "description", "Variables", "Origins", "Parameters", "stageVariables", "AliasTarget", "Policy",
    "Document", "Comment", "Value", "Endpoint", "RedirectAllRequestsTo", "OptionValue",
)  # fmt: skip


def free(field: str) -> bool:
    """Whether people write what stands in a field, so that it has to be rewritten by hand."""
    return any(part.startswith(_FREE) for part in field.split("."))


def strings(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Every string of a record with its dotted path; user data is read as the text that it encodes."""
    found: list[tuple[str, str]] = []
    _strings(value, path, found)
    return found


def _strings(value: Any, path: str, found: list[tuple[str, str]]) -> None:
    if isinstance(value, str):
        if value:
            encoded = path.endswith(("UserData", "UserData.Value"))
            found.append((path, decoded(value) if encoded else value))
    elif isinstance(value, dict):
        for name, held in value.items():
            if isinstance(held, (str, dict, list)):
                _strings(held, f"{path}.{name}" if path else str(name), found)
    elif isinstance(value, list):
        for held in value:
            if isinstance(held, (str, dict, list)):
                _strings(held, path, found)


def decoded(text: str) -> str:
    """Base64 as the text it holds, or the text itself where it is none."""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return text


def _index(estate: Estate) -> dict[str, tuple[str, Kind]]:
    index: dict[str, tuple[str, Kind]] = {}
    for resource in estate:
        if resource.arn:
            index.setdefault(resource.arn, (resource.key, "arn"))
        if _RAW.fullmatch(resource.id):
            index.setdefault(resource.id, (resource.key, "id"))
        inner = _inner(resource)
        for name in _endpoints(resource):
            if name != inner:
                index.setdefault(name, (resource.key, "dns"))
    return index


def _inner(resource: Resource) -> str:
    """Its name inside of its VPC, which others have as well: it is made of a private address."""
    held = resource.record.get("PrivateDnsName")
    return bare_host(held) if isinstance(held, str) and "." in held else ""


def _private(estate: Estate) -> dict[str, list[Resource]]:
    """Name inside of a VPC -> who has it, one of each VPC: an instance rather than its interface."""
    found: dict[str, dict[tuple[str, str, object], Resource]] = {}
    for resource in estate:
        if name := _inner(resource):
            place = (resource.account, resource.region, _vpc(resource))
            found.setdefault(name, {}).setdefault(place, resource)
    return {name: list(held.values()) for name, held in found.items()}


def _vpc(resource: Resource) -> object:
    record = resource.record
    for member in ("VpcConfig", "DBSubnetGroup"):
        held = record.get(member)
        if isinstance(held, Mapping) and held.get("VpcId"):
            return held["VpcId"]
    return record.get("VpcId")


def _finder(
    resource: Resource,
    index: Mapping[str, tuple[str, Kind]],
    private: Mapping[str, Sequence[Resource]],
) -> _Find:
    """A name or id as `resource` means it: of names that repeat, the one in its VPC, else the only one near it."""
    place = (resource.account, resource.region)

    def find(name: str) -> tuple[str, Kind] | None:
        if (hit := index.get(name)) is not None:
            return hit
        if not (known := private.get(name)):
            return None
        near = [each for each in known if (each.account, each.region) == place]
        vpc = _vpc(resource)
        same = [each for each in near if vpc and _vpc(each) == vpc]
        held = same or near or known
        return (held[0].key, "dns") if len(held) == 1 else None

    return find


_ADDRESSES = ("A", "AAAA", "CNAME")


def _endpoints(resource: Resource) -> Iterator[str]:
    for path in _ENDPOINTS:
        held: Any = resource.record
        for member in path:
            held = held.get(member) if isinstance(held, Mapping) else None
        if isinstance(held, str) and "." in held and resource.type != "aws.acm.certificate":
            yield bare_host(held)
    if resource.type == "aws.route53.record_set" and resource.record.get("Type") in _ADDRESSES:
        yield bare_host(str(resource.record.get("Name", "")))
    if resource.type == "aws.s3.bucket":
        for form in (
            "{0}.s3.amazonaws.com", "{0}.s3.{1}.amazonaws.com", "{0}.s3-website-{1}.amazonaws.com",
            "{0}.s3-website.{1}.amazonaws.com",
        ):  # fmt: skip
            yield form.format(resource.id, resource.region)
        yield f"arn:aws:s3:::{resource.id}"


def bare_host(text: str) -> str:
    """A DNS name or URL without scheme, port and trailing dot; a queue and an image keep their path."""
    text = text.split("://", 1)[-1].rstrip(".")
    host, slash, path = text.partition("/")
    host = host.split(":", 1)[0].lower().removeprefix("dualstack.")
    if ".dkr.ecr." in host:
        path = path.split("@", 1)[0].split(":", 1)[0]
        return f"{host}/{path}"
    return f"{host}/{path}" if slash and path and host.startswith("sqs.") else host


def _name_index(estate: Estate) -> dict[tuple[str, str, str], str]:
    return {
        (resource.type, resource.account, resource.id): resource.key
        for type_ in sorted(set(_NAMED.values()))
        for resource in estate.of(type_)
    }


def _hits(
    resource: Resource,
    field: str,
    value: str,
    find: _Find,
    names: Mapping[tuple[str, str, str], str],
) -> Iterator[tuple[str, Kind, str]]:
    if (hit := find(value)) is not None:
        yield hit[0], hit[1], value
        return
    member = field.rsplit(".", 1)[-1]
    if (type_ := _NAMED.get(member)) is not None:
        if (key := names.get((type_, resource.account, value))) is not None:
            yield key, "name", value
        return
    if len(value) < 9 or not ("." in value or "arn:" in value or "-" in value):
        return
    if (len(value) > 12 and any(mark in value for mark in (".", "arn:"))) or "\n" in value:
        for token in _TOKEN.findall(value):
            found = find(token)
            if found is None and "." in token:
                found = find(bare_host(token)) or find(token.split("/", 1)[0].lower())
            if found is None and token.startswith("arn:"):
                found = find(token.split("/*", 1)[0]) or find(token.rstrip(":*"))
            if found is not None:
                yield found[0], "text" if found[1] != "dns" else "dns", token
