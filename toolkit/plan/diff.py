"""Two plans -> what changed between them, resource by resource; order and digests do not count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of the second plan against the first, grouped for people and machines.

    Each change: `what` (target resource, source, decision, gap, ...), `change` (added, removed,
    changed), `name`, and for a change the differing fields with both values. `dangerous` marks the
    removal of a target resource that holds data or an address.
    """
    changes = [
        *_resources(before, now),
        *_keyed(
            "source",
            before["items"],
            now["items"],
            _subject,
            ("disposition", "becomes", "losses", "findings"),
        ),
        *_keyed(
            "decision",
            before["decisions"],
            now["decisions"],
            lambda d: str(d["id"]),
            ("chosen", "options"),
        ),
        *_keyed("gap", before["gaps"], now["gaps"], _gap, ("detail", "count")),
        *_keyed(
            "application",
            before["applications"],
            now["applications"],
            lambda a: str(a["name"]),
            ("members",),
        ),
        *_keyed(
            "step",
            before["steps"],
            now["steps"],
            lambda s: str(s["id"]),
            ("command", "needs", "wave"),
        ),
    ]
    counts: dict[str, int] = {}
    for change in changes:
        name = f"{change['what']} {change['change']}"
        counts[name] = counts.get(name, 0) + 1
    cost = {
        "before": before["cost"].get("total_month"), "now": now["cost"].get("total_month"),
        "currency": now["cost"].get("currency"),
    }  # fmt: skip
    return {"changes": changes, "counts": dict(sorted(counts.items())), "cost": cost}


def _subject(item: Mapping[str, Any]) -> str:
    subject = item["subject"]
    return "|".join(str(subject[part]) for part in ("type", "account", "region", "id"))


def _gap(gap: Mapping[str, Any]) -> str:
    return " ".join(
        str(gap[part]) for part in ("service", "operation", "account", "region", "reason", "detail")
    )


def _flat(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        resource["name"]: {**resource, "stack": stack["name"]}
        for stack in plan["stacks"]
        for resource in stack["resources"]
    }


def _resources(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    old, new = _flat(before), _flat(now)
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if a is None and b is not None:
            yield {
                "what": "target",
                "change": "added",
                "name": name,
                "type": b["type"],
                "stack": b["stack"],
            }
        elif b is None and a is not None:
            yield {
                "what": "target", "change": "removed", "name": name, "type": a["type"], "stack": a["stack"],
                "dangerous": bool(a.get("protect")),
            }  # fmt: skip
        elif a is not None and b is not None and a != b:
            fields = {
                path: {"before": left, "now": right}
                for path, left, right in _differences(
                    {**a["props"], "(stack)": a["stack"], "(type)": a["type"]},
                    {**b["props"], "(stack)": b["stack"], "(type)": b["type"]},
                )
            }
            if fields:
                yield {
                    "what": "target", "change": "changed", "name": name, "type": b["type"], "stack": b["stack"],
                    "fields": fields, "dangerous": "(stack)" in fields or "(type)" in fields,
                }  # fmt: skip


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    for name in sorted({*a, *b}):
        if a.get(name) != b.get(name):
            yield name, a.get(name), b.get(name)


def _keyed(
    what: str,
    before: Iterable[Mapping[str, Any]],
    now: Iterable[Mapping[str, Any]],
    key: Callable[[Mapping[str, Any]], str],
    watched: tuple[str, ...],
) -> Iterable[dict[str, Any]]:
    old, new = {key(each): each for each in before}, {key(each): each for each in now}
    for name in sorted({*old, *new}):
        if name not in old:
            yield {"what": what, "change": "added", "name": name}
        elif name not in new:
            yield {"what": what, "change": "removed", "name": name}
        else:
            fields = {
                field: {"before": old[name].get(field), "now": new[name].get(field)}
                for field in watched
                if old[name].get(field) != new[name].get(field)
            }
            if fields:
                yield {"what": what, "change": "changed", "name": name, "fields": fields}
