"""plan.json -> plan.html: one file with its data, style and script inside; nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from jinja2 import Environment, StrictUndefined

from toolkit.init import template
from toolkit.messages import tell
from toolkit.render.pictures import dispositions_svg, timeline_svg, topology_svg


def plan_html(plan: Mapping[str, Any]) -> bytes:
    """The page. Names from AWS travel as JSON data and as escaped text, never as markup."""
    language = plan["header"]["language"]

    def t(message: Any, **args: Any) -> str:
        return tell(
            {"msg": message, "args": args} if isinstance(message, str) else message, language
        )

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = template("plan/plan.css"), template("plan/plan.js")
    page = environment.from_string(template("plan/plan.html.j2")).render(
        plan=plan, t=t, language=language, style=style, script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        data=_data(plan, t), words=_words(t),
        topology=topology_svg(plan, t), timeline=timeline_svg(plan, t), dispositions=dispositions_svg(plan, t),
        decisions=_decisions(plan), critical=[
            (item["subject"], finding) for item in plan["items"] for finding in item["findings"] if finding["severity"] == "critical"
        ],
        blockers=[(item["subject"], loss) for item in plan["items"] for loss in item["losses"] if loss["severity"] == "blocker"],
    )  # fmt: skip
    return page.encode()


def _data(plan: Mapping[str, Any], t: Any) -> str:
    """Rows for the tables, as JSON that cannot end its script element. Texts are stored once and referred to by number."""
    texts: dict[str, int] = {}

    def ref(message: Any) -> int:
        said = t(message)
        return texts.setdefault(said, len(texts))

    resources = [
        [
            ref(item["subject"]["name"]), ref(item["subject"]["type"]), ref(item["subject"]["region"]), ref(item["subject"]["account"]), ref(item["application"]),
            item["wave"], ref(item["disposition"]), ref(item["reason"]), [[ref(b["type"].split(".", 1)[1]), ref(b["name"]), ref(b["stack"])] for b in item["becomes"]],
        ]
        for item in plan["items"]
    ]  # fmt: skip
    losses = [
        [number, ref(loss["severity"]), ref(loss["field"]), ref(loss["reason"])]
        for number, item in enumerate(plan["items"])
        for loss in item["losses"]
    ]
    findings = [
        [number, ref(finding["severity"]), ref(finding["code"]), ref(finding["says"])]
        for number, item in enumerate(plan["items"])
        for finding in item["findings"]
    ]
    body = orjson.dumps(
        {"texts": list(texts), "resources": resources, "losses": losses, "findings": findings}
    )
    return (
        body.decode()
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def _words(t: Any) -> str:
    names = (
        "blocker",
        "major",
        "minor",
        "critical",
        "warning",
        "info",
        "of",
        "shown",
        "more",
        "becomes",
    )
    return orjson.dumps({name: t(name) for name in names}).decode().replace("<", "\\u003c")


def _decisions(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Decisions of one topic with the same answer and options together, largest group first."""
    names = {
        "|".join(str(item["subject"][part]) for part in ("type", "account", "region", "id")): item[
            "subject"
        ]["name"]
        for item in plan["items"]
    }
    groups: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}
    for decision in plan["decisions"]:
        key = (
            decision["topic"],
            decision["chosen"],
            tuple(option["id"] for option in decision["options"]),
        )
        held = groups.setdefault(key, {"first": decision, "names": []})
        held["names"].append(names.get(decision["subject"], decision["subject"]))
    return [
        groups[key]
        for key in sorted(groups, key=lambda key: (key[0], -len(groups[key]["names"]), key))
    ]
