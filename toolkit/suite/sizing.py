"""Formulas and tables -> `docs/sizing.md`: what is printed is what is evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.suite.formulas import ANSWERS, FORMULAS, SOURCES, TABLES, tables_of

_STATUS = {
    "read": "the source says it",
    "inferred": "it follows from what was read",
    "unverified": "our judgement; a load test of the installed suite decides",
}


def page(examples: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, with a column for each example (title -> plan)."""
    return "\n".join(_lines(examples)) + "\n"


def _lines(examples: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "# How the suite is sized"
    yield ""
    yield "Made from `toolkit/suite/formulas.py`: each formula below is the text that `repatria suite plan` evaluates, so this page"
    yield "and `suite.json` cannot differ. `suite.json` holds each figure with its formula, what went in, sources and status."
    yield ""
    for status, meaning in _STATUS.items():
        number = sum(each.status == status for each in FORMULAS)
        yield f"- `{status}` ({number} figures): {meaning}."
    yield ""
    yield "More users never give less of anything, and a host or volume of a smaller client is there, by the same name, for a larger"
    yield "one: growing resizes. Where a job moves to a host of its own (stage), its volume goes with it; `suite.json` says in `next`"
    yield "at how many users. A host that lost a job stays as large as it was (`kept`)."
    yield ""
    yield "## Examples"
    yield ""
    yield "From `tests/estates/town-*/suite.toml`; prices are list prices of the catalogue, excluding tax."
    yield ""
    yield _row("", *examples)
    yield _row("---", *("--:" for _ in examples))
    plans = list(examples.values())
    yield _row("hosts", *(len(p["hosts"]) for p in plans))
    yield _row("vCPU of their flavors", *(_sum(p, "vcpu") for p in plans))
    yield _row("GB of memory of their flavors", *(_sum(p, "gb") for p in plans))
    yield _row("GB of volumes", *(sum(v["gb"] for v in p["volumes"]) for p in plans))
    yield _row("GB of backups", *(p["backup"]["gb"] if p["backup"] else 0 for p in plans))
    yield _row("Mbit/s of conferences at peak", *(p["network"]["mbit"]["bridge"] for p in plans))
    yield _row("a month", *(f"{p['cost']['month']} {p['cost']['currency']}" for p in plans))
    yield _row("items without a price", *(p["cost"]["unpriced"] for p in plans))
    yield ""
    yield "## Answers that formulas use"
    yield ""
    yield _row("name", "meaning")
    yield _row("---", "---")
    yield from (_row(f"`{name}`", meaning) for name, meaning in ANSWERS.items())
    yield ""
    yield "## Formulas"
    yield ""
    yield _row("name", "unit", "formula", "what it is", "status", "source", *examples)
    yield _row(*("---" for _ in range(6)), *("--:" for _ in examples))
    for formula in FORMULAS:
        sources = dict.fromkeys([*formula.sources, *(s for name in tables_of(formula.text) for s in TABLES[name].sources)])  # fmt: skip
        yield _row(
            f"`{formula.name}`", formula.unit, f"`{formula.text}`", formula.says, formula.status, ", ".join(sources),
            *(p["figures"][formula.name]["value"] for p in plans),
        )  # fmt: skip
    yield ""
    yield "## Tables"
    yield ""
    yield "The first row whose limit is not below the number holds."
    yield ""
    for table in TABLES.values():
        yield f"### `{table.name}`"
        yield ""
        yield _row(f"{table.of} up to", table.unit, "source")
        yield _row("--:", "--:", "---")
        for limit, value in table.rows:
            yield _row(f"{limit:,}", f"{value:g}", "ours: unverified" if limit <= table.ours else ", ".join(table.sources))  # fmt: skip
        yield ""
        if table.note:
            yield table.note
            yield ""
    yield "## Sources"
    yield ""
    yield _row("id", "what", "where", "dated")
    yield _row("---", "---", "---", "---")
    yield from (_row(s.id, s.title, s.where, s.seen) for s in SOURCES.values())


def _row(*cells: object) -> str:
    return f"| {' | '.join(re.sub(r'[|]', '&#124;', str(cell)) for cell in cells)} |"


def _sum(plan: Mapping[str, Any], what: str) -> float:
    total = sum((host["flavor"] or host["need"])[what] for host in plan["hosts"])
    return int(total) if float(total).is_integer() else round(total, 2)
