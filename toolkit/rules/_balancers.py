"""What balancers share: who may connect, what an action means, what members are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.entry import Probe
from toolkit.outcomes import Loss, text

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def allowed(ctx: Context, source: Resource, groups: Iterable[str]) -> tuple[str, ...]:
    """CIDRs that the balancer's groups let in on any port; empty where everybody may."""
    cidrs: set[str] = set()
    for id_ in groups:
        group = ctx.estate.find("aws.ec2.security_group", id_, source)
        for permission in group.record.get("IpPermissions", []) if group else []:
            cidrs |= {
                each["CidrIp"] for each in permission.get("IpRanges", []) if each.get("CidrIp")
            }
            for each in permission.get("PrefixListIds", []):
                held = ctx.estate.find(
                    "aws.ec2.managed_prefix_list", each.get("PrefixListId"), source
                )
                cidrs |= {
                    entry["Cidr"]
                    for entry in (held.record.get("Entries", []) if held else [])
                    if entry.get("Cidr")
                }
    return () if "0.0.0.0/0" in cidrs else tuple(sorted(cidrs))


def action(
    ctx: Context, source: Resource, actions: Iterable[Mapping[str, Any]], member: str
) -> tuple[dict[str, Any], list[Loss]]:
    """(pool, redirect, redirect_code or reject; losses) of a list of actions, the last of which decides."""
    held: dict[str, Any] = {}
    losses: list[Loss] = []
    for each in sorted(actions, key=lambda a: a.get("Order", 0)):
        kind = each.get("Type")
        if kind == "forward":
            groups = (each.get("ForwardConfig") or {}).get("TargetGroups") or (
                [{"TargetGroupArn": each["TargetGroupArn"]}] if each.get("TargetGroupArn") else []
            )
            best: Mapping[str, Any] = max(groups, key=lambda g: g.get("Weight") or 1, default={})
            if len(groups) > 1:
                losses.append(
                    Loss(
                        f"{member}.ForwardConfig.TargetGroups.Weight",
                        text(
                            "Weights are not carried: everything goes to the group with the largest of {n}.",
                            n=len(groups),
                        ),
                        "major",
                    )
                )
            held = {
                "pool": ctx.key("aws.elbv2.target_group", best.get("TargetGroupArn"), source) or ""
            }
        elif kind == "redirect":
            config = each.get("RedirectConfig") or {}
            protocol = (
                str(config.get("Protocol", "#{protocol}")).replace("#{protocol}", "https").lower()
            )
            host, path = config.get("Host", "#{host}"), config.get("Path", "/#{path}")
            if "#{host}" in host and path == "/#{path}":
                held = {
                    "redirect": f"{protocol}://",
                    "redirect_code": 301
                    if str(config.get("StatusCode", "")).endswith("301")
                    else 302,
                }
            else:
                held = {
                    "redirect": f"{protocol}://{host.replace('#{host}', '')}{path.replace('/#{path}', '')}",
                    "redirect_code": 301
                    if str(config.get("StatusCode", "")).endswith("301")
                    else 302,
                }
            if config.get("Query", "#{query}") != "#{query}" or config.get("Port") not in (
                None,
                "443",
                "80",
                "#{port}",
            ):
                losses.append(
                    Loss(
                        f"{member}.RedirectConfig.Port",
                        text(
                            "The redirect's port and query ({port}, {query}) are not carried.",
                            port=config.get("Port", "-"),
                            query=config.get("Query", "-"),
                        ),
                    )
                )
        elif kind == "fixed-response":
            config = each.get("FixedResponseConfig") or {}
            held = {"reject": True}
            if str(config.get("StatusCode")) != "403":
                losses.append(
                    Loss(
                        f"{member}.FixedResponseConfig.StatusCode",
                        text(
                            "Octavia answers 403 instead of {code} {body}.",
                            code=config.get("StatusCode", "?"),
                            body=config.get("MessageBody", ""),
                        ),
                        "major",
                    )
                )
        else:
            losses.append(
                Loss(
                    f"{member}.Type",
                    text(
                        "Octavia does not know the action {kind}: sign-in has to be the application's or a proxy's.",
                        kind=str(kind),
                    ),
                    "major",
                )
            )
    return held, losses


def probe(record: Mapping[str, Any]) -> Probe | None:
    """A target group's health check."""
    if record.get("HealthCheckEnabled") is False:
        return None
    kind = {"HTTP": "HTTP", "HTTPS": "HTTPS", "TCP": "TCP", "TLS": "TLS-HELLO"}.get(
        record.get("HealthCheckProtocol") or "TCP", "TCP"
    )
    matcher = record.get("Matcher") or {}
    return Probe(
        kind, record.get("HealthCheckPath") or "/", matcher.get("HttpCode") or matcher.get("GrpcCode") or "200", record.get("HealthCheckIntervalSeconds") or 30, record.get("HealthCheckTimeoutSeconds") or 5,
        record.get("UnhealthyThresholdCount") or 3, record.get("HealthyThresholdCount") or 3,
    )  # fmt: skip


def members(
    ctx: Context, source: Resource, targets: Iterable[Mapping[str, Any]], port: int
) -> Iterator[tuple[str, int]]:
    """(key of a port or fleet, or an address; port of the member)."""
    for each in targets:
        id_, at = str(each.get("Id", "")), each.get("Port") or port
        instance = ctx.estate.find("aws.ec2.instance", id_, source)
        if instance is not None:
            if instance.tags.get("aws:autoscaling:groupName"):
                continue
            nics = sorted(
                instance.record.get("NetworkInterfaces", []),
                key=lambda n: (n.get("Attachment") or {}).get("DeviceIndex", 0),
            )
            key = (
                ctx.key("aws.ec2.network_interface", nics[0].get("NetworkInterfaceId"), source)
                if nics
                else None
            )
            if key:
                yield key, at
        elif id_ and not id_.startswith(("arn:", "i-")):
            yield id_, at
