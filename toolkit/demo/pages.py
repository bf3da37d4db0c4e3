"""The demo's answer as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.show import plan_table, printable, table


def demo_table(document: Mapping[str, Any]) -> str:
    """The plan's table, then where AWS was imitated, then the times; then what was built, where it was."""
    lines: list[str] = []
    if "aws" in document:
        recorded = ", ".join(document["aws"]["recorded"]) or "nothing"
        lines += [
            plan_table(document), "",
            f"AWS was imitated by moto {document['aws']['moto']}; from recorded shapes: {recorded}",
            _times(document["seconds"]), f"the plan: {document['folder']}/plan.html",
        ]  # fmt: skip
    if "rehearsal" in document:
        lines += ["", *_rehearsal(document["rehearsal"])]
    return "\n".join(lines)


def _times(seconds: Mapping[str, float]) -> str:
    return table([(stage, round(each, 1)) for stage, each in seconds.items()], ("stage", "seconds"))


def _rehearsal(said: Mapping[str, Any]) -> list[str]:
    done = said["applied"]
    lines = [_times(said["seconds"]), ""]
    lines += [
        f"quota raised as asked: {each['kind']} from {each['limit']} to {each['request']}"
        for each in said["quotas_raised"]
    ]
    stand_ins = sorted(set(said["stood_in"].values()))
    if stand_ins:
        lines.append(
            f"stood in for {len(said['stood_in'])} settings: {', '.join(stand_ins)}; no data was moved"
        )
    lines.append(
        f"steps of people and other engines, confirmed in nobody's name: {done['confirmed']}"
    )
    if said["not_run"]:
        lines.append(f"not run, no plugin for them here: {', '.join(said['not_run'])}")
    lines += [
        f"  {each['kind']}: {printable(each['name'])} in {each['stack']}: {printable(str(each['found']))}" for each in said["differences"][:20]
    ]  # fmt: skip
    lines.append(
        f"applied, {said['changes_on_second_preview']} changes on the second preview, "
        + ("verified" if said["verified"] else f"{len(said['differences'])} differences")
    )
    return lines
