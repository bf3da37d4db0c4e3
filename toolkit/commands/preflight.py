"""Before anything is created: does the target have what the plan names?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, say, then


@click.command()
@FOLDER
@JSON
def preflight(folder: Path, as_json: bool) -> None:
    """Check the saved plan against the live target: credentials, names, quotas, clashes. Creates nothing."""
    from toolkit.preflight import preflight as run

    report = run(folder)
    answer(report.json(), as_json, _table)
    errors = len(report.errors)
    if errors:
        say(f"{errors} of the findings would make apply fail")
        then(f"mend them, then `repatria preflight{at(folder)}` again")
    else:
        then(f"`repatria preview{at(folder)}`")
    if report.look:
        raise Look


def _table(document: Any) -> str:
    many = len({each["place"] for each in document["findings"]}) > 1
    lines = [f"Preflight at {document['target']}: checked {', '.join(document['checked'])}.", ""]
    for severity in ("error", "warning", "advice"):
        for each in document["findings"]:
            if each["severity"] == severity:
                where = f" [{each['place']}]" if many else ""
                lines += [f"{severity}: {each['code']}: {each['says']}{where}", f"    {each['hint']}"]  # fmt: skip
    if not document["findings"]:
        lines.append("Nothing found.")
    if document["unchecked"]:
        lines += ["", "Not looked at:", *(f"- {each}" for each in document["unchecked"])]
    for text in document["letters"].values():
        lines += ["", "-" * 78, text.rstrip()]
    return "\n".join(lines)
