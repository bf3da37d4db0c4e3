"""plan.json -> plan.html: one file with its data, style and script inside; nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from jinja2 import Environment, StrictUndefined

from toolkit.init import template
from toolkit.render.pictures import dispositions_svg, timeline_svg, topology_svg
from toolkit.render.summary import MEANING, billed, decimal, duration, needed, summary, teller

SECTIONS = (
    ("sums", "In short"), ("decide", "Decisions"), ("networks", "Networks"), ("waves", "Waves"), ("cost", "Cost"), ("losses", "Losses"),
    ("findings", "Findings"), ("rewire", "Rewiring"), ("gaps", "Not read"), ("resources", "Resources"),
)  # fmt: skip
MOST_LISTED = 12


def plan_html(plan: Mapping[str, Any]) -> bytes:
    """The page. Names from AWS travel as JSON data and as escaped text, never as markup."""
    t = teller(plan)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = template("plan/plan.css"), template("plan/plan.js")
    page = environment.from_string(template("plan/plan.html.j2")).render(
        plan=plan, t=t, language=plan["header"]["language"], style=style, script=script,
        script_hash=_hash(script), style_hash=_hash(style), sections=SECTIONS, most=MOST_LISTED, meaning=MEANING, billed=lambda what: billed(what, t),
        data=_json(_data(plan, t)), words=_json(_words(t)), told=summary(plan), needed=needed,
        number=lambda value, digits=0: decimal(value, digits, t), time=lambda minutes: duration(minutes, t),
        topology=topology_svg(plan, t), timeline=timeline_svg(plan, t), dispositions=dispositions_svg(plan, t),
        kinds=sorted(plan["totals"]["by_disposition"].items(), key=lambda pair: (-pair[1], pair[0])),
    )  # fmt: skip
    return page.encode()


def _hash(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _json(value: Any) -> str:
    """JSON that cannot end its script element."""
    return (
        orjson.dumps(value)
        .decode()
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def _data(plan: Mapping[str, Any], t: Any) -> dict[str, Any]:
    """Rows for the tables; each text is stored once and referred to by number."""
    texts: dict[str, int] = {}

    def ref(said: str) -> int:
        return texts.setdefault(said, len(texts))

    resources = [
        [
            ref(item["subject"]["name"]), ref(item["subject"]["type"]), ref(item["subject"]["region"]), ref(item["subject"]["account"]),
            ref(item["application"]), item["wave"], ref(item["disposition"]), ref(t(item["reason"])),
            [[ref(b["type"].split(".", 1)[1]), ref(b["name"]), ref(b["stack"])] for b in item["becomes"]], ref(item["subject"]["id"]),
        ]
        for item in plan["items"]
    ]  # fmt: skip
    return {
        "resources": resources,
        "losses": [
            [number, ref(loss["severity"]), ref(loss["field"]), ref(t(loss["reason"]))]
            for number, item in enumerate(plan["items"])
            for loss in item["losses"]
        ],
        "findings": [
            [number, ref(finding["severity"]), ref(finding["code"]), ref(t(finding["says"]))]
            for number, item in enumerate(plan["items"])
            for finding in item["findings"]
        ],
        "rewire": [
            [ref(each["application"]), ref(each["where"]), ref(each["value"]), ref(t(each["replaced_by"]))]
            for each in plan["rewire"]
        ],
        "texts": list(texts),
    }  # fmt: skip


def _words(t: Any) -> dict[str, str]:
    names = (
        "blocker", "major", "minor", "critical", "warning", "info", "rehost", "replatform", "repurchase", "refactor", "retire", "retain",
        "absorbed", "becomes", "and {n} more", "{hits} of {all} match, {shown} shown", "All {all}, {shown} shown", "Nothing matches.", "none", ":",
    )  # fmt: skip
    return {name: t({"msg": name, "args": {hole: f"{{{hole}}}" for hole in ("n", "hits", "all", "shown")}}) for name in names}  # fmt: skip
