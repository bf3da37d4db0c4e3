"""Results -> a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table(document: Mapping[str, Any]) -> str:
    """A line for each check, then what was left behind, then the sum."""
    wide = max((len(each["id"]) for each in document["checks"]), default=0)
    lines = []
    for each in document["checks"]:
        ms = f"{each['ms']:>6} ms" if each["status"] != "not run" else " " * 9
        said = each["detail"] + (f" (accepted: {each['accepted']})" if each["accepted"] else "")
        lines.append(f"{each['status']:<8} {each['id']:<{wide}} {ms}  {said or each['what']}")
    lines += [f"left behind: {each}" for each in document["left"]]
    return "\n".join([*lines, "", total(document)])


def total(document: Mapping[str, Any]) -> str:
    """The sum in a line."""
    held = document["summary"]
    said = f"{held['ok']} ok, {held['failed']} failed, {held['not_run']} not run"
    if held["accepted"]:
        said += f" ({held['accepted']} of them accepted)"
    if held["asked"] < held["known"]:
        said += f"; {held['asked']} of {held['known']} checks were asked for"
    return said
