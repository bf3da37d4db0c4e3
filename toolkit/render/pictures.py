"""plan.json -> plain SVG: networks before and after, waves over time, what becomes of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

MOST_NETWORKS = 12
MOST_SUBNETS = 9


def _text(x: float, y: float, words: object, *, cls: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{cls}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str, room: int) -> str:
    return words if len(words) <= room else f"{words[: room - 1]}…"


def dispositions_svg(plan: Mapping[str, Any], t: Any) -> Markup:
    """One bar, split by disposition; each part is named and counted in the legend."""
    counts: Mapping[str, int] = plan["totals"]["by_disposition"]
    total = sum(counts.values()) or 1
    parts, legend, x = [], [], 0.0
    for number, (kind, count) in enumerate(
        sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    ):
        width = 760 * count / total
        parts.append(
            f'<rect x="{x:.1f}" y="0" width="{max(width - 2, 1):.1f}" height="28" rx="3" class="d-{kind}"><title>{escape(t(kind))}: {count}</title></rect>'
        )
        column, row = number % 4, number // 4
        legend.append(
            f'<rect x="{column * 190}" y="{44 + row * 22}" width="12" height="12" rx="2" class="d-{kind}"/>'
        )
        legend.append(_text(column * 190 + 18, 54 + row * 22, f"{t(kind)} {count}", cls="small"))
        x += width
    height = 66 + (len(counts) - 1) // 4 * 22
    said = ", ".join(f"{t(kind)} {count}" for kind, count in counts.items())
    return Markup(
        f'<svg viewBox="0 0 760 {height}" role="img" aria-label="{escape(said)}">{"".join(parts)}{"".join(legend)}</svg>'
    )


def timeline_svg(plan: Mapping[str, Any], t: Any) -> Markup:
    """Waves one under the other: days of preparation to the left of the window, what needs what by lines."""
    waves: Sequence[Mapping[str, Any]] = plan["waves"]
    lead: dict[int, int] = {}
    hours: dict[int, float] = {}
    for step in plan["steps"]:
        lead[step["wave"]] = max(lead.get(step["wave"], 0), step["lead_days"])
        if step["phase"] == "during":
            hours[step["wave"]] = hours.get(step["wave"], 0) + (step["minutes"] or 0) / 60
    most = max([1, *lead.values()])
    rows, left, window = [], 190.0, 150.0
    for number, wave in enumerate(waves):
        y = 34 + number * 34
        days = lead.get(wave["number"], 0)
        width = 330 * days / most
        start = left + 330 - width
        names = ", ".join(wave["applications"])
        rows.append(_text(0, y + 15, _short(f"{wave['number']}  {names}", 26), cls="label"))
        rows.append(
            f'<rect x="{start:.1f}" y="{y}" width="{width:.1f}" height="20" rx="3" class="prepare"><title>{escape(t("{days} days of preparation", days=days))}</title></rect>'
        )
        rows.append(
            _text(left + 326, y + 14, t("{days} days", days=days), cls="small inside", anchor="end")
        )
        span = min(window, 24 + hours.get(wave["number"], 0) * 8)
        rows.append(
            f'<rect x="{left + 334:.1f}" y="{y}" width="{span:.1f}" height="20" rx="3" class="window"><title>{escape(names)}</title></rect>'
        )
        rows.append(
            _text(left + 340, y + 14, f"{hours.get(wave['number'], 0):.1f} h", cls="small inside")
        )
        needs = ", ".join(str(need) for need in wave["needs"])
        if needs:
            rows.append(
                _text(left + 334 + span + 8, y + 14, t("after {needs}", needs=needs), cls="small")
            )
    height = 44 + len(waves) * 34
    head = _text(left + 326, 18, t("preparation"), cls="small", anchor="end") + _text(
        left + 334, 18, t("window"), cls="small"
    )
    label = t("{n} waves with their preparation and windows", n=len(waves))
    return Markup(
        f'<svg viewBox="0 0 760 {height}" role="img" aria-label="{escape(label)}">{head}{"".join(rows)}</svg>'
    )


def topology_svg(plan: Mapping[str, Any], t: Any) -> Markup:
    """Each VPC with its subnets on the left, the networks it becomes on the right."""
    vpcs = [
        item
        for item in plan["items"]
        if item["subject"]["type"] == "aws.ec2.vpc" and item["becomes"]
    ][:MOST_NETWORKS]
    by_name = {
        resource["name"]: resource for stack in plan["stacks"] for resource in stack["resources"]
    }
    stack_of = {
        resource["name"]: stack["name"]
        for stack in plan["stacks"]
        for resource in stack["resources"]
    }
    rows: list[str] = []
    y = 30.0
    for item in vpcs:
        stack = item["becomes"][0]["stack"]
        members = [name for name, held in stack_of.items() if held == stack]
        subnets = [
            by_name[name] for name in members if by_name[name]["type"].endswith("networking.Subnet")
        ]
        routers = [name for name in members if by_name[name]["type"].endswith("networking.Router")]
        groups = [name for name in members if by_name[name]["type"].endswith("networking.SecGroup")]
        shown = subnets[:MOST_SUBNETS]
        height = 54 + max(1, len(shown)) * 20
        subject = item["subject"]
        rows.append(f'<rect x="0" y="{y:g}" width="330" height="{height:g}" rx="6" class="box"/>')
        rows.append(
            _text(12, y + 20, _short(f"{subject['name']} · {subject['region']}", 42), cls="label")
        )
        rows.append(_text(12, y + 36, "VPC", cls="small"))
        rows.append(f'<path d="M334 {y + height / 2:g} h84 m-8 -5 l8 5 l-8 5" class="arrow"/>')
        rows.append(
            f'<rect x="424" y="{y:g}" width="336" height="{height:g}" rx="6" class="box target"/>'
        )
        rows.append(_text(436, y + 20, _short(stack, 42), cls="label"))
        rows.append(
            _text(
                436,
                y + 36,
                t("{routers} routers, {groups} groups", routers=len(routers), groups=len(groups)),
                cls="small",
            )
        )
        for number, subnet in enumerate(shown):
            cidr = subnet["props"].get("cidr")
            words = f"{cidr if isinstance(cidr, str) else ''}  {subnet['name']}"
            rows.append(_text(12, y + 54 + number * 20, _short(words, 46), cls="small"))
            rows.append(_text(436, y + 54 + number * 20, _short(words, 46), cls="small"))
        if len(subnets) > len(shown):
            rows.append(
                _text(318, y + 20, f"+{len(subnets) - len(shown)}", cls="small", anchor="end")
            )
        y += height + 14
    head = _text(0, 16, "AWS", cls="label") + _text(
        424, 16, plan["header"]["target"]["product"], cls="label"
    )
    label = t("{n} networks before and after", n=len(vpcs))
    return Markup(
        f'<svg viewBox="0 0 760 {y:g}" role="img" aria-label="{escape(label)}">{head}{"".join(rows)}</svg>'
    )
