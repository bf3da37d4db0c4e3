"""A case file -> the estate it describes, and what the plan says of its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.clouds import load as load_cloud
from toolkit.estate.model import Estate, Resource
from toolkit.outcomes import Task, Text
from toolkit.program import Config, Lookup, Node, Out, Render
from toolkit.rules import load as load_rules
from toolkit.targets import realise
from toolkit.translate import Context, Override, Translation, translate

CASES = Path(__file__).parents[1] / "cases"


def resource(raw: Mapping[str, Any]) -> Resource:
    """A resource as a case writes it, with the usual account and region filled in."""
    account, region = raw.get("account", "111122223333"), raw.get("region", "eu-west-1")
    return Resource(
        type=raw["type"],
        id=raw["id"],
        arn=raw.get("arn", f"arn:aws:test:{region}:{account}:{raw['type']}/{raw['id']}"),
        account=account,
        region=region,
        name=raw.get("name", raw["id"]),
        tags=raw.get("tags", {}),
        record=raw["record"],
    )


def load(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text())
    return case


def all_cases() -> list[Path]:
    return sorted(CASES.glob("*/*.json"))


def clouds_of(case: Mapping[str, Any]) -> list[str]:
    cloud = case.get("cloud", "openstack")
    return [cloud] if isinstance(cloud, str) else list(cloud)


def run(case: Mapping[str, Any], cloud: str) -> tuple[dict[str, Translation], list[Node], Context]:
    resources = [resource(case["source"]), *(resource(other) for other in case.get("others", ()))]
    ctx = Context(
        estate=Estate({}, tuple(sorted(resources, key=lambda each: each.key))),
        cloud=load_cloud(cloud),
        settings=case.get("settings", {}),
        overrides={k: Override(**v) for k, v in case.get("overrides", {}).items()},
        measures=case.get("measures", {}),
    )
    said = translate(ctx, load_rules())
    nodes, _ = realise(ctx, said)
    return said, nodes, ctx


def shown(value: Any) -> Any:
    """A node's value as JSON, references by key and role."""
    match value:
        case Out():
            return {"$out": f"{value.origin}#{value.role}", "attr": value.attr}
        case Config():
            return {
                "$config": value.name,
                "default": value.default,
                "secret": value.secret,
                "doc": str(value.doc),
            }
        case Lookup():
            return {
                "$lookup": value.function,
                "args": {k: shown(v) for k, v in value.args},
                "attr": value.attr,
            }
        case Render():
            return {"$concat": [shown(part) for part in value.parts]}
        case Text():
            return str(value)
        case dict():
            return {k: shown(v) for k, v in value.items()}
        case list() | tuple():
            return [shown(v) for v in value]
        case _:
            return value


def node_shown(node: Node) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": node.type,
        "role": node.role,
        "tier": node.tier,
        "props": shown(node.props),
    }
    if node.label:
        out["label"] = node.label
    if node.protect:
        out["protect"] = True
    if node.depends_on:
        out["depends_on"] = [shown(each) for each in node.depends_on]
    if node.ignore_changes:
        out["ignore_changes"] = list(node.ignore_changes)
    if node.comment:
        out["comment"] = node.comment
    if node.units:
        out["units"] = node.units
    return out


def said_shown(translation: Translation) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if translation.losses:
        out["losses"] = sorted(f"{x.severity} {x.field}: {x.reason}" for x in translation.losses)
    if translation.findings:
        out["findings"] = [f"{x.severity} {x.code}: {x.says}" for x in translation.findings]
    if translation.moves:
        out["moves"] = [
            {"mover": x.mover, "what": str(x.what), "gb": x.gb, "facts": dict(x.facts)}
            for x in translation.moves
        ]
    if translation.tasks:
        out["tasks"] = [_task_shown(each) for each in translation.tasks]
    if (said := translation.disposition) is not None:
        out["disposition"] = (
            f"{said.kind}: {said.reason}"
            + (f" -> {said.into}" if said.into else "")
            + (f" [{said.way_out}]" if said.way_out else "")
            + (f" {{{said.work}}}" if said.work else "")
        )
    attachments = getattr(translation, "attachments", None)
    if attachments:
        out["attachments"] = {each.path: each.content for each in attachments}
    return out


def _task_shown(task: Task) -> dict[str, Any]:
    """A task as a reviewer reads it; what is empty is left out."""
    shown: dict[str, Any] = {
        "task": f"{task.code} ({task.lead_days} d, {task.role}): {task.what} {task.why}",
        "settings": {str(name): str(value) for name, value in task.settings},
        "command": task.command,
        "expected": str(task.expected),
        "check": task.check,
        "undo": str(task.undo),
        "takes": f"{'unknown' if task.minutes is None else f'{task.minutes:g} min'}: {task.basis}",
        "order": "after its stack is built" if task.after_build else "",
    }
    return {name: value for name, value in shown.items() if value}


def outcome(case: Mapping[str, Any], cloud: str) -> dict[str, Any]:
    """What the plan says of the case's source on one cloud: the `expect` of a case."""
    said, nodes, ctx = run(case, cloud)
    key = resource(case["source"]).key
    out = said_shown(said[key])
    if mine := [node_shown(node) for node in nodes if node.origin == key]:
        out["nodes"] = mine
    if chosen := {
        d.id.removesuffix(f":{key}"): {
            "chosen": d.chosen,
            "options": [o.id for o in d.options],
            "why": str(d.why),
        }
        for d in ctx.decisions.values()
        if d.subject == key
    }:
        out["decisions"] = chosen
    return out


def everything(case: Mapping[str, Any], cloud: str) -> str:
    """The whole outcome, all resources included, as one text: what a mutation must change."""
    said, nodes, ctx = run(case, cloud)
    return json.dumps(
        [
            [said_shown(each) for each in said.values()],
            [node_shown(node) for node in nodes],
            [
                [
                    d.id,
                    d.chosen,
                    str(d.question),
                    str(d.why),
                    [[o.id, str(o.label), str(o.consequence)] for o in d.options],
                ]
                for d in ctx.decisions.values()
            ],
        ],
        sort_keys=True,
        default=str,
    )
