"""Stage files -> the answers of show, explain, plan, diff, render, catalog and demo, as data and as tables."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import FileError
from toolkit.messages import tell

if TYPE_CHECKING:
    from toolkit.estate.model import Estate


def table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> str:
    """Columns as wide as their widest cell, numbers to the right; control characters made visible."""
    text = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(head), *text]) for n in range(len(head))]
    right = [
        all(isinstance(row[n], (int, float)) for row in rows) and bool(rows)
        for n in range(len(head))
    ]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ).rstrip()

    return "\n".join(
        [line(head), line(["-" * width for width in widths]), *(line(row) for row in text)]
    )


def printable(text: str) -> str:
    """Text from AWS as one harmless line: no control character reaches the terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


# ------------------------------------------------------------------------------------ discover, show


def discovered_table(document: Mapping[str, Any]) -> str:
    """Counts per type, then the gaps."""
    rows = [(type_, count) for type_, count in sorted(document["counts"].items())]
    text = table([*rows, ("in all", sum(count for _, count in rows))], ("type", "resources"))
    if document["gaps"]:
        gaps = Counter((g["service"], g["operation"], g["reason"]) for g in document["gaps"])
        text += "\n\n" + table(
            [(*name, count) for name, count in sorted(gaps.items())],
            ("not read", "operation", "because", "times"),
        )
    return text


def find(estate: Estate, what: str) -> tuple[str, list[Any]]:
    """("type", ...) or ("resource", ...) that a word names: a type, an id, an ARN, a key or a name.

    Raises FileError with the nearest names where nothing fits.
    """
    if estate.of(what):
        return "type", list(estate.of(what))
    if what in estate.by_key:
        return "resource", [estate.by_key[what]]
    if what in estate.by_arn:
        return "resource", [estate.by_arn[what]]
    hits = [resource for resource in estate if what in (resource.id, resource.name)]
    if hits:
        return "resource", hits
    words = {*estate.types, *(r.name for r in estate), *(r.id for r in estate)}
    close = difflib.get_close_matches(what, sorted(words), n=3)
    raise FileError(
        f"the estate has no {printable(what)}",
        f"Did you mean {', '.join(map(printable, close))}?"
        if close
        else "`repatria show` lists the types that are there.",
    )


def show(estate: Estate, what: str) -> dict[str, Any]:
    """What is there: counts per type and the gaps, or the resources that a word names."""
    if not what:
        counts = Counter((r.type, r.account, r.region) for r in estate)
        return {
            "kind": "overview",
            "types": [
                {"type": t, "account": a, "region": r, "count": n}
                for (t, a, r), n in sorted(counts.items())
            ],
            "gaps": [{k: v for k, v in gap.line().items() if k != "kind"} for gap in estate.gaps],
        }
    kind, hits = find(estate, what)
    if kind == "type" or len(hits) > 1:
        return {
            "kind": "list",
            "resources": [
                {
                    "type": r.type,
                    "id": r.id,
                    "name": r.name,
                    "account": r.account,
                    "region": r.region,
                }
                for r in hits
            ],
        }
    return {
        "kind": "resource",
        "resource": {k: v for k, v in hits[0].line().items() if k != "kind"},
    }


def show_table(document: Mapping[str, Any]) -> str:
    match document["kind"]:
        case "overview":
            text = table(
                [(t["type"], t["account"], t["region"], t["count"]) for t in document["types"]],
                ("type", "account", "region", "count"),
            )
            if document["gaps"]:
                text += "\n\n" + table(
                    [
                        (g["service"], g["account"], g["region"], g["reason"], g["detail"][:80])
                        for g in document["gaps"]
                    ],
                    ("not read", "account", "region", "because", "detail"),
                )
            return text
        case "list":
            return table(
                [
                    (r["type"], r["name"], r["id"], r["account"], r["region"])
                    for r in document["resources"]
                ],
                ("type", "name", "id", "account", "region"),
            )
        case _:
            import yaml

            return yaml.safe_dump(
                document["resource"], sort_keys=False, allow_unicode=True, width=100
            ).rstrip()


# ------------------------------------------------------------------------------------------ explain


def explain(folder: Path, what: str) -> dict[str, Any]:
    """What becomes of a type (from the rules), or of a resource (from a plan made on the fly)."""
    from toolkit.rules import load as load_rules

    rules = load_rules()
    if what in rules:
        from toolkit.coverage import coverage

        row = next(row for row in coverage()["types"] if row["type"] == what)
        return {"kind": "type", **row}
    if not (folder / "estate.jsonl").exists() and what.startswith("aws."):
        close = difflib.get_close_matches(what, rules, n=3)
        raise FileError(
            f"no rule knows {what}",
            f"Did you mean {', '.join(close)}?"
            if close
            else "`repatria coverage` lists the types.",
        )
    from toolkit.stage import dry, inputs, read_estate

    _, hits = find(read_estate(folder), what)
    document = dry(folder).document
    cloud = inputs(folder).cloud
    wanted = {hit.key for hit in hits}
    items = [item for item in document["items"] if _key(item) in wanted]
    names = {each["name"] for item in items for each in item["becomes"]}
    decisions = [d for d in document["decisions"] if d["subject"] in wanted]
    facts = sorted({path for d in decisions for path in d["facts"]})
    return {
        "kind": "resource",
        "items": items,
        "resources": [
            r for stack in document["stacks"] for r in stack["resources"] if r["name"] in names
        ],
        "decisions": decisions,
        "facts": [_fact(cloud.fact(path)) for path in facts],
    }


def _key(item: Mapping[str, Any]) -> str:
    s = item["subject"]
    return f"{s['type']}|{s['account']}|{s['region']}|{s['id']}"


def _fact(fact: Any) -> dict[str, Any]:
    return {
        "path": fact.path, "value": fact.value, "status": fact.status,
        "source": [str(each) for each in fact.source], "seen": fact.seen,
    }  # fmt: skip


def explain_table(document: Mapping[str, Any]) -> str:
    lines: list[str] = []
    if document["kind"] == "type":
        lines += [f"{document['type']}: {document['title']} (tier {document['tier']})", ""]
        lines += [f"read by   {', '.join(document['calls'])}"]
        for kind, classes in sorted(document["becomes"].items()):
            lines.append(f"becomes   {', '.join(classes)} ({kind})")
        if document["lost"]:
            lines += ["", table(list(document["lost"].items()), ("lost", "because"))]
        return "\n".join(lines)
    for item in document["items"]:
        s = item["subject"]
        lines += [
            f"{printable(s['name'])} ({s['type']} {s['id']}, {s['region']}, account {s['account']})"
        ]
        lines += [f"  {item['disposition']}: {tell(item['reason'])}"]
        lines += [f"  application {item['application'] or '-'}, wave {item['wave'] or '-'}"]
        lines += [
            f"  becomes {each['type']} {each['name']} in {each['stack']}"
            for each in item["becomes"]
        ]
        if item.get("way_out"):
            lines.append(f"  way out: {tell(item['way_out'])}")
            if item.get("work"):
                lines.append(f"  work: {tell(item['work'])}")
        lines += [
            f"  loses {x['field']} ({x['severity']}): {tell(x['reason'])}" for x in item["losses"]
        ]
        lines += [
            f"  found {x['code']} ({x['severity']}): {tell(x['says'])}" for x in item["findings"]
        ]
        lines.append("")
    for decision in document["decisions"]:
        lines += [f"decision {decision['id']}", f"  {tell(decision['question'])}"]
        for option in decision["options"]:
            mark = "*" if option["id"] == decision["chosen"] else " "
            lines.append(f"  {mark} {option['id']}: {tell(option['label'])}")
            if option["consequence"]:
                lines.append(f"      {tell(option['consequence'])}")
        lines += [f"  because {tell(decision['why'])} (by {decision['chosen_by']})", ""]
    for f in document["facts"]:
        lines += [
            f"fact {f['path']} ({f['status']}{', seen ' + f['seen'] if f['seen'] else ''})",
            f"  {_short(f['value'])}",
            f"  {', '.join(f['source']) or 'no source'}",
        ]
    return "\n".join(lines).rstrip()


# --------------------------------------------------------------------------------------------- plan


def must_look(document: Mapping[str, Any]) -> bool:
    """Gaps, blockers or decisions that no longer fit: exit 3."""
    totals = document["totals"]
    return bool(totals["gaps"] or totals["by_severity"].get("blocker") or document["misfits"])


def plan_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """The totals of a plan with its target, cost and quota requests."""
    return {
        "target": document["header"]["target"],
        "totals": document["totals"],
        "cost": document["cost"],
        "quota_requests": [q for q in document["quotas"]["kinds"] if q.get("request")],
        "misfits": document["misfits"],
    }


def plan_table(document: Mapping[str, Any]) -> str:
    totals, cost, target = document["totals"], document["cost"], document["target"]
    rows: list[tuple[str, object]] = [
        ("target", f"{target['product']} {target['region']}"),
        ("resources read", totals["read"]),
        ("  planned", totals["planned"]),
        ("  explained", totals["explained"]),
        ("target resources", f"{totals['creates']} in {totals['stacks']} stacks"),
        ("applications", totals["applications"]),
        ("waves", totals["waves"]),
        ("decisions", totals["decisions"]),
        ("losses", ", ".join(f"{n} {s}" for s, n in totals["by_severity"].items()) or "0"),
        ("gaps", totals["gaps"]),
        (
            "list price a month",
            f"{cost['total_month']:.2f} {cost['currency']} excluding tax ({cost['unpriced']} items without a price)"
            if any(line["month"] is not None for line in cost["lines"]) or not cost["unpriced"]
            else f"unknown: none of {cost['unpriced']} items has a price in the catalogue",
        ),
    ]
    for kind, number in totals["by_disposition"].items():
        rows.append((f"  {kind}", number))
    text = table([(name, str(value)) for name, value in rows], ("plan", ""))
    if document["quota_requests"]:
        text += "\n\n" + table(
            [
                (
                    q["kind"],
                    q["needed"],
                    "unknown" if q["default"] is None else q["default"],
                    q["request"],
                )
                for q in document["quota_requests"]
            ],
            ("quota", "needed", "default", "ask for"),
        )
    return text


def diff_table(document: Mapping[str, Any]) -> str:
    if not document["changes"]:
        return "no change since the reviewed plan"
    sign = {"added": "+", "removed": "-", "changed": "~"}
    lines = []
    for change in document["changes"]:
        danger = "  ! data or an address" if change.get("dangerous") else ""
        where = f" in {change['stack']}" if "stack" in change else ""
        lines.append(
            f"{sign[change['change']]} {change['what']} {printable(change['name'])}{where}{danger}"
        )
        for field, values in change.get("fields", {}).items():
            lines.append(f"    {field}: {_short(values['before'])} -> {_short(values['now'])}")
    cost = document["cost"]
    lines.append("")
    lines.append(f"list price a month: {cost['before']} -> {cost['now']} {cost['currency']}")
    return "\n".join(lines)


def _short(value: object) -> str:
    text = printable(str(value))
    return text if len(text) <= 100 else f"{text[:97]}..."


def render_table(document: Mapping[str, Any]) -> str:
    rows = [
        (name, len(document[name]))
        for name in ("written", "unchanged", "removed", "differs", "changed_by_user")
    ]
    text = table(rows, ("files", "count"))
    for name, says in (
        ("changed_by_user", "changed by hand, not overwritten; move the change to overrides.py"),
        ("differs", "not what the plan renders to"),
    ):
        for path in document[name]:
            text += f"\n{printable(path)}: {says}"
    return text


# ------------------------------------------------------------------------------------ catalog, demo


def catalog(provider: str | None, cloud_file: Path | None) -> dict[str, Any]:
    """The providers, or the facts of one."""
    from toolkit import clouds

    if provider is None and cloud_file is None:
        return {
            "providers": [
                {
                    "provider": name,
                    "product": clouds.load(name).product,
                    "kind": clouds.load(name).kind,
                }
                for name in clouds.providers()
            ]
        }
    cloud = clouds.load(provider or "openstack", cloud_file)
    return {"provider": cloud.name, "facts": [_fact(fact) for fact in cloud.facts()]}


def catalog_table(document: Mapping[str, Any]) -> str:
    if "providers" in document:
        return table(
            [(p["provider"], p["product"], p["kind"]) for p in document["providers"]],
            ("provider", "product", "kind"),
        )
    facts: Iterable[Mapping[str, Any]] = document["facts"]
    return table(
        [
            (
                f["path"],
                _short(f["value"]),
                f["status"] if f["status"] != "unverified" else "! unverified",
                f["seen"] or "",
                ", ".join(f["source"])[:80],
            )
            for f in facts
        ],
        ("fact", "value", "status", "seen", "source"),
    )
