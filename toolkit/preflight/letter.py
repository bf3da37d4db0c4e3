"""Quotas that are too small -> the text to send to the provider's support, English and French, exact numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from toolkit.messages import LANGUAGES, tell
from toolkit.outcomes import Text, text
from toolkit.preflight.report import Request

KINDS: dict[str, Text] = {
    "instances": text("servers"),
    "cores": text("virtual processors (cores)"),
    "ram_gb": text("memory (GiB)"),
    "ports": text("ports"),
    "networks": text("networks"),
    "subnets": text("subnets"),
    "routers": text("routers"),
    "security_groups": text("security groups"),
    "security_group_rules": text("rules of security groups"),
    "volumes": text("volumes"),
    "volume_gb": text("space of volumes (GiB)"),
    "gb_of_one_volume": text("space of one volume (GiB)"),
    "floating_ips": text("floating IP addresses"),
    "load_balancers": text("load balancers"),
    "listeners": text("listeners of load balancers"),
    "pools": text("pools of load balancers"),
    "members": text("members of a pool of load balancers"),
    "health_monitors": text("health monitors of load balancers"),
    "l7policies": text("L7 policies of load balancers"),
    "l7rules": text("L7 rules of load balancers"),
    "key_pairs": text("key pairs"),
    "server_groups": text("server groups"),
    "server_group_members": text("members of a server group"),
    "zones": text("DNS zones"),
    "secrets": text("secrets"),
}


def letters(product: str, requests: Iterable[Request]) -> dict[str, str]:
    """Language -> text; empty where nothing is asked for."""
    held = list(requests)
    if not held:
        return {}
    return {language: _letter(product, held, language) for language in LANGUAGES}


def _letter(product: str, requests: list[Request], language: str) -> str:
    def t(message: Text) -> str:
        return tell(message, language)

    lines = [
        t(text("Subject: raising quotas of a project at {product}", product=product)),
        "",
        t(text("Hello,")),
        "",
        t(text("we are moving servers to {product} and need higher quotas. Please set these limits:", product=product)),
    ]  # fmt: skip
    for place in dict.fromkeys(each.place for each in requests):
        project, _, region = place.partition("/")
        lines += ["", t(text("Project {project}, region {region}", project=project or "-", region=region or "-"))]  # fmt: skip
        lines += [f"- {_line(each, t)}" for each in requests if each.place == place]
    lines += [
        "",
        t(text("The numbers are the new limits in total, counted from what we will create and what the project holds today.")),
        t(text("Please tell us when they hold, or what else you need from us.")),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _line(request: Request, t: Callable[[Text], str]) -> str:
    kind, _, of = request.kind.partition(" of ")
    words = t(KINDS[kind]) if kind in KINDS else request.kind
    what = f"{words} ({of})" if of else words
    return t(text("{what}: {request} (today {limit})", what=what, request=request.request, limit=request.limit))  # fmt: skip
