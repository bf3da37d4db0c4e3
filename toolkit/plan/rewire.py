"""Free texts and records -> every AWS endpoint, ARN, role and address that something still points at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Text, text
from toolkit.plan.graph import bare_host, free, strings

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.estate.model import Estate, Resource
    from toolkit.plan.applications import Applications
    from toolkit.plan.graph import Graph

_HOST = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9.-]*\.amazonaws\.com(?:\.cn)?(?:/[0-9]{12}/[A-Za-z0-9_.-]+)?"
)
_IMAGE = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/[a-z0-9._/-]+")
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])")
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[0-9]*:[A-Za-z0-9_./:*@+=,-]+")
_METADATA = "169.254.169.254"
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


def rewire(
    estate: Estate,
    graph: Graph,
    applications: Applications,
    cloud: Cloud,
) -> list[dict[str, Any]]:
    """plan.json's `rewire`: sorted by application; each value once per place it stands in."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for resource, field, kind, value, replaced in (
        *_mentions(estate, graph, cloud),
        *_names(estate, graph),
        *_buckets(estate, cloud),
        *_roles(estate),
        *_addresses(estate),
        *_certificates(estate),
    ):
        entry = {
            "application": applications.of[resource.key],
            "subject": resource.key,
            "where": f"{resource.name} ({resource.type}) {field}",
            "kind": kind,
            "value": value,
            "replaced_by": replaced.json() if isinstance(replaced, Text) else replaced,
        }
        found.setdefault((resource.key, field, value), entry)
    return sorted(
        found.values(),
        key=lambda e: (e["application"], e["subject"], e["kind"], e["value"], e["where"]),
    )


_Entry = tuple["Resource", str, str, str, "Text | str"]


def _mentions(estate: Estate, graph: Graph, cloud: Cloud) -> Iterator[_Entry]:
    known = {edge.value: edge.dst for edge in graph.edges}
    hosts = {bare_host(edge.value): edge.dst for edge in graph.edges if edge.kind == "dns"}
    images = {
        str(each.record.get("repositoryUri")): each.key for each in estate.of("aws.ecr.repository")
    }
    for key, field, value in graph.mentions:
        resource = estate.by_key[key]
        if _of_a_group(resource):
            continue
        for match in _IMAGE.finditer(value):  # repositories share their host: the path tells
            yield (
                resource,
                field,
                "endpoint",
                match[0],
                _new_home(estate, images.get(match[0]), cloud),
            )
        for match in _HOST.finditer(value):
            host = match[0]
            if _IMAGE.match(value, match.start()):
                continue
            hit = (
                known.get(host)
                or hosts.get(bare_host(host))
                or hosts.get(host.split("/", 1)[0].lower())
            )
            yield resource, field, "endpoint", host, _new_home(estate, hit, cloud)
        if "Policy" not in field and "Document" not in field:
            for match in _ARN.finditer(value):
                arn = match[0].rstrip(":*")
                role = ":role/" in arn
                yield (
                    resource,
                    field,
                    "role" if role else "arn",
                    arn,
                    (
                        "A credential of its own at the target; there are no roles to assume."
                        if role
                        else _new_home(
                            estate,
                            known.get(arn) or getattr(estate.by_arn.get(arn), "key", None),
                            cloud,
                        )
                    ),
                )
        if _METADATA in value:
            yield (
                resource,
                field,
                "metadata",
                _METADATA,
                (
                    "The target's metadata service answers at the same address with other paths and no credentials."
                ),
            )


def _of_a_group(resource: Resource) -> bool:
    """Members of an Auto Scaling group say what their launch template says."""
    return bool(resource.tags.get("aws:autoscaling:groupName"))


def _new_home(estate: Estate, key: str | None, cloud: Cloud) -> Text | str:
    if key is None:
        return text(
            "A service of {cloud} or one of your own; nothing in the estate has this name.",
            cloud=cloud.product,
        )
    hit = estate.by_key[key]
    return text("The new address of {name} ({type}).", name=hit.name, type=hit.type)


def _names(estate: Estate, graph: Graph) -> Iterator[_Entry]:
    """DNS names of resources that stand in free fields without an AWS domain in them."""
    for edge in graph.edges:
        if edge.kind == "dns" and free(edge.field) and "amazonaws.com" not in edge.value:
            hit = estate.by_key[edge.dst]
            yield (
                estate.by_key[edge.src],
                edge.field,
                "endpoint",
                edge.value,
                text("The new address of {name} ({type}).", name=hit.name, type=hit.type),
            )


def _buckets(estate: Estate, cloud: Cloud) -> Iterator[_Entry]:
    """`s3://name` in what people wrote: no domain of AWS stands in it, and the tools ask AWS all the same."""
    for type_ in (
        "aws.ec2.instance",
        "aws.ec2.launch_template",
        "aws.ecs.task_definition",
        "aws.ssm.parameter",
        "aws.stepfunctions.state_machine",
    ):
        for resource in estate.of(type_):
            for field, value in strings(resource.record):
                if "s3://" not in value or not free(field):
                    continue
                for name in _BUCKET.findall(value):
                    hit = estate.find("aws.s3.bucket", name, resource)
                    home = _new_home(estate, hit.key if hit else None, cloud)
                    yield resource, field, "endpoint", f"s3://{name}", home


def _roles(estate: Estate) -> Iterator[_Entry]:
    for type_, path in (
        ("aws.ec2.instance", ("IamInstanceProfile", "Arn")),
        ("aws.lambda.function", ("Role",)),
        ("aws.ecs.task_definition", ("taskRoleArn",)),
    ):
        for resource in estate.of(type_):
            held: Any = resource.record
            for member in path:
                held = held.get(member) if isinstance(held, Mapping) else None
            if isinstance(held, str) and held and not _of_a_group(resource):
                yield (
                    resource,
                    ".".join(path),
                    "role",
                    held,
                    (
                        "An application credential from the target's secret store; there are no instance roles."
                    ),
                )


def _addresses(estate: Estate) -> Iterator[_Entry]:
    """Public addresses of the estate that DNS, groups or tags name: they change, and somebody may rely on them."""
    mine: dict[str, Resource] = {}
    for resource in estate.of("aws.ec2.address"):
        if isinstance(resource.record.get("PublicIp"), str):
            mine[resource.record["PublicIp"]] = resource
    for resource in estate.of("aws.ec2.instance"):
        if isinstance(resource.record.get("PublicIpAddress"), str):
            mine.setdefault(resource.record["PublicIpAddress"], resource)
    for gateway in estate.of("aws.ec2.nat_gateway"):
        for address in gateway.record.get("NatGatewayAddresses") or []:
            if isinstance(address, Mapping) and isinstance(address.get("PublicIp"), str):
                mine.setdefault(address["PublicIp"], gateway)
    if not mine:
        return
    for type_ in (
        "aws.route53.record_set",
        "aws.route53.hosted_zone",
        "aws.ec2.security_group",
        "aws.s3.bucket",
    ):
        for resource in estate.of(type_):
            for field, value in strings(resource.record):
                for match in _IPV4.findall(value):
                    if match in mine:
                        yield (
                            resource,
                            field,
                            "address",
                            match,
                            text(
                                "The new address of {name}; lower the TTL first and tell partners who allow it.",
                                name=mine[match].name,
                            ),
                        )
    for address, resource in sorted(mine.items()):
        for name, value in sorted(resource.tags.items()):
            folded = f"{name} {value}".casefold()
            if any(word in folded for word in ("partner", "allow", "whitelist", "firewall")):
                yield (
                    resource,
                    f"Tags.{name}",
                    "allow-list",
                    address,
                    text(
                        'A new address; its note says "{note}": tell them before the switch.',
                        note=value,
                    ),
                )


def _certificates(estate: Estate) -> Iterator[_Entry]:
    for resource in estate.of("aws.acm.certificate"):
        certificate = resource.record.get("Certificate") or {}
        for option in certificate.get("DomainValidationOptions") or []:
            if isinstance(option, Mapping) and option.get("ValidationMethod") == "DNS":
                record = option.get("ResourceRecord")
                yield (
                    resource,
                    "Certificate.DomainValidationOptions",
                    "certificate",
                    str(
                        record.get("Name")
                        if isinstance(record, Mapping)
                        else option.get("DomainName")
                    ),
                    "A new certificate, validated at the new DNS; ACM's own cannot be exported.",
                )
