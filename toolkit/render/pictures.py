"""plan.json -> plain SVG: networks before and after, waves over time, what becomes of everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from toolkit.render.summary import calendar, duration

MOST_NETWORKS = 12
MOST_SUBNETS = 8
MOST_WAVES = 60


def _text(x: float, y: float, words: object, *, cls: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{cls}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str, room: int) -> str:
    return words if len(words) <= room else f"{words[: room - 1]}…"


def _svg(
    name: str, width: float, height: float, title: str, body: list[str], *, aspect: str = "xMidYMid"
) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="{aspect}" role="img" aria-labelledby="{name}-title" class="{name}">'
        f'<title id="{name}-title">{escape(title)}</title>{"".join(body)}</svg>'
    )


def dispositions_svg(plan: Mapping[str, Any], t: Any) -> Markup:
    """One bar, split by disposition; the page's legend names and counts each part."""
    counts: Mapping[str, int] = plan["totals"]["by_disposition"]
    total = sum(counts.values()) or 1
    parts, x = [], 0.0
    for kind, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        width = 1000 * count / total
        parts.append(
            f'<rect x="{x:.1f}" y="0" width="{max(width - 3, 2):.1f}" height="22" class="d-{escape(kind)}"/>'
        )
        x += width
    said = ", ".join(f"{t(kind)} {count}" for kind, count in counts.items())
    return _svg("bar", 1000, 22, said, parts, aspect="none")


def timeline_svg(plan: Mapping[str, Any], t: Any) -> Markup:
    """Waves one under the other on one axis of days: preparation, then the window."""
    waves = calendar(plan)[:MOST_WAVES]
    last = max([1, *(wave["opens"] for wave in waves)])
    left, width, top, row = 210.0, 560.0, 44.0, 30.0
    height = top + len(waves) * row + 12
    step = next((n for n in (1, 2, 5, 7, 14, 15, 30, 60, 90, 180) if last / n <= 8), 365)
    body = []
    for day in range(0, last + 1, step):
        x = left + width * day / last
        body.append(
            f'<line x1="{x:.1f}" y1="{top - 12:g}" x2="{x:.1f}" y2="{height - 8:g}" class="grid"/>'
        )
        body.append(_text(x, top - 20, t("day {n}", n=day), cls="small", anchor="middle"))
    for number, wave in enumerate(waves):
        y = top + number * row
        opens = left + width * wave["opens"] / last
        starts = left + width * (wave["opens"] - wave["lead"]) / last
        told = ", ".join(wave["applications"])
        body.append(_text(22, y + 14, wave["number"], cls="label", anchor="end"))
        body.append(_text(34, y + 14, _short(told, 24), cls="label"))
        about = t(
            "{names}: {days} days of preparation, then a window of {time}",
            names=told,
            days=wave["lead"],
            time=duration(wave["minutes"], t),
        )
        body.append(
            f'<g><title>{escape(about)}</title><rect x="{starts:.1f}" y="{y + 5:g}" width="{max(opens - starts, 1):.1f}" height="10" class="prepare"/>'
            f'<rect x="{opens - 4:.1f}" y="{y + 1:g}" width="8" height="18" rx="2" class="window"/></g>'
        )
        body.append(_text(opens + 12, y + 14, duration(wave["minutes"], t), cls="small"))
    return _svg(
        "timeline",
        left + width + 70,
        height,
        t("{n} waves with their preparation and windows", n=len(plan["waves"])),
        body,
    )


def topology_svg(plan: Mapping[str, Any], t: Any) -> Markup:
    """Each VPC with its subnets on the left, the networks it becomes on the right."""
    every = [
        item
        for item in plan["items"]
        if item["subject"]["type"] == "aws.ec2.vpc" and item["becomes"]
    ]
    by_name: dict[str, Mapping[str, Any]] = {}
    members: dict[str, list[Mapping[str, Any]]] = {}
    for stack in plan["stacks"]:
        members[stack["name"]] = stack["resources"]
        by_name |= {resource["name"]: resource for resource in stack["resources"]}
    named = {
        each["name"]: item["subject"]["name"]
        for item in plan["items"]
        if item["subject"]["type"] == "aws.ec2.subnet"
        for each in item["becomes"]
    }
    half, gap = 360.0, 76.0
    right = half + gap
    body: list[str] = [
        _text(0, 14, t("before"), cls="over"),
        _text(0, 34, "AWS", cls="label big"),
        _text(right, 14, t("after"), cls="over"),
        _text(right, 34, plan["header"]["target"]["product"], cls="label big"),
    ]
    y = 54.0
    for item in every[:MOST_NETWORKS]:
        stack = item["becomes"][0]["stack"]
        held = members.get(stack, [])
        subnets = [each for each in held if each["type"].endswith("networking.Subnet")]
        routers = sum(each["type"].endswith("networking.Router") for each in held)
        groups = sum(each["type"].endswith("networking.SecGroup") for each in held)
        shown = subnets[:MOST_SUBNETS]
        rest = len(subnets) - len(shown)
        height = 62 + (len(shown) + bool(rest)) * 19 + (4 if shown else -12)
        subject = item["subject"]
        body.append(f'<rect x="1" y="{y:g}" width="{half:g}" height="{height:g}" rx="8" class="box"/>')  # fmt: skip
        body.append(f'<rect x="{right:g}" y="{y:g}" width="{half:g}" height="{height:g}" rx="8" class="box target"/>')  # fmt: skip
        body.append(f'<path d="M{half + 14:g} {y + 28:g} h{gap - 30:g} m-7 -5 l7 5 l-7 5" class="arrow"/>')  # fmt: skip
        body.append(_text(16, y + 25, _short(subject["name"], 30), cls="label"))
        body.append(_text(16, y + 43, f"VPC, {subject['region']}", cls="small"))
        body.append(_text(right + 16, y + 25, _short(stack, 30), cls="label"))
        body.append(
            _text(
                right + 16,
                y + 43,
                t("routers: {routers}, security groups: {groups}", routers=routers, groups=groups),
                cls="small",
            )
        )
        for number, subnet in enumerate(shown):
            cidr = subnet["props"].get("cidr")
            line = y + 66 + number * 19
            for x, name in ((16, named.get(subnet["name"], "")), (right + 16, subnet["name"])):
                body.append(_text(x, line, cidr if isinstance(cidr, str) else "", cls="small mono"))
                body.append(_text(x + 124, line, _short(name, 30), cls="small"))
        if rest:
            line = y + 66 + len(shown) * 19
            body += [
                _text(x, line, t("and {n} more subnets", n=rest), cls="small")
                for x in (16, right + 16)
            ]
        y += height + 14
    if len(every) > MOST_NETWORKS:
        body.append(_text(0, y + 8, t("and {n} more networks", n=len(every) - MOST_NETWORKS), cls="small"))  # fmt: skip
        y += 18
    label = t("{n} networks before and after", n=len(every))
    return _svg("topology", right + half + 2, y, label, body)
