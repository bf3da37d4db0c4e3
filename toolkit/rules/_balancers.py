"""What balancers share: who may connect, what an action means, what members are."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolkit.intents.entry import Probe
from toolkit.intents.network import Opening
from toolkit.outcomes import Finding, Loss, Outcome, text
from toolkit.rules._paths import along, openings_of, unreachable, way_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def allowed(
    ctx: Context,
    source: Resource,
    groups: Iterable[str],
    subnets: Sequence[str],
    protocol: str,
    port: int,
) -> tuple[tuple[str, ...] | None, list[Loss]]:
    """(CIDRs that may connect to a port, losses): None where everybody may, () where nobody.

    The groups of the balancer, the access lists and the routes of its subnets are taken together, as on AWS.
    Members of a group that is referred to count by the addresses they have today.
    """
    ids, losses, found = list(groups), [], []
    for id_ in ids:
        group = ctx.estate.find("aws.ec2.security_group", id_, source)
        if group is None:
            losses.append(
                Loss(
                    "SecurityGroups",
                    "One of its groups was not read; what it let pass is refused.",
                    "major",
                )
            )
            continue
        for each in openings_of(ctx, group):
            if not isinstance(each, Opening):
                losses.append(Loss("SecurityGroups", each[1], "major"))
            elif each.direction == "ingress" and each.family == 4 and _meets(each, protocol, port):
                peers = [each.peer]
                if "|" in each.peer:
                    peers = _members_of(ctx, each.peer)
                    losses.append(
                        Loss(
                            "SecurityGroups",
                            text(
                                "Members of {group} may connect from the {n} addresses they have today; new members are added by hand.",
                                group=ctx.estate.by_key[each.peer].name,
                                n=len(peers),
                            ),
                            "major",
                        )
                    )
                found += [
                    replace(each, protocol=protocol, first=port, last=port, peer=peer)
                    for peer in peers
                ]
    if not ids:
        found = [Opening("ingress", protocol, port, port, "0.0.0.0/0")]
    ways = {way.role: way for way in (way_of(ctx, ctx.estate.by_key.get(key)) for key in subnets)}
    for _, way in sorted(ways.items()):
        found = [part for each in found for part in along(each, way, ())[0]]
    nets = [ipaddress.IPv4Network(each.peer, strict=False) for each in found]
    cidrs = tuple(str(net) for net in ipaddress.collapse_addresses(nets))
    return (None if "0.0.0.0/0" in cidrs else cidrs), losses


def facing_subnets(
    ctx: Context, subnets: tuple[str, ...], facing: bool
) -> tuple[tuple[str, ...], bool]:
    """(subnets, those that face the internet first; whether a public address reaches it).

    AWS gives an internet-facing balancer public addresses in each of its subnets, whatever their
    routes; answers leave only where a route leads to an internet gateway. One Octavia address
    stands for all of them, so it goes where one did work; where none did, it gets no public one.
    """
    if not facing:
        return subnets, False
    reached = [key for key in subnets if not unreachable(ctx, ctx.estate.by_key[key])]
    others = [key for key in subnets if key not in reached]
    return (*reached, *others), bool(reached) or not subnets


def cut_off(field: str, name: str) -> Iterator[Outcome]:
    """What is said of an internet-facing balancer that nobody on the internet reaches."""
    says = text(
        "{name} is internet-facing, yet no route of its subnets leads to an internet gateway: nobody outside reaches it, so it gets no public address.",
        name=name,
    )
    yield Finding("balancer-unreachable", "warning", says)
    yield Loss(field, says, "major")


def _meets(each: Opening, protocol: str, port: int) -> bool:
    if each.protocol not in ("any", protocol):
        return False
    return each.first is None or each.first <= port <= (each.last or each.first)


def _members_of(ctx: Context, group: str) -> list[str]:
    held = ctx.estate.by_key[group]
    return sorted(
        f"{nic.record['PrivateIpAddress']}/32"
        for nic in ctx.estate.where(
            "aws.ec2.network_interface", "VpcId", str(held.record.get("VpcId"))
        )
        if nic.record.get("PrivateIpAddress")
        and any(each.get("GroupId") == held.id for each in nic.record.get("Groups", []))
    )


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


def listener_of(ctx: Context, rule: Resource) -> Resource | None:
    """The listener of a listener rule: a rule's ARN begins with its listener's."""
    hits = ctx.estate.having("aws.elbv2.listener", _rule_path, rule.id.rsplit("/", 1)[0])
    return hits[0] if hits else None


def _rule_path(listener: Resource) -> Iterator[object]:
    yield listener.id.replace(":listener/", ":listener-rule/")


def listener_name(ctx: Context, listener: Resource) -> str:
    """Its balancer's name with protocol and port: listeners have no name of their own."""
    record = listener.record
    held = ctx.estate.find("aws.elbv2.load_balancer", record.get("LoadBalancerArn"), listener)
    return f"{held.name if held else 'listener'}-{str(record.get('Protocol', 'HTTP')).lower()}-{record.get('Port', 80)}"


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
