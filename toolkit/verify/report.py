"""A verification -> the table on stdout, in English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from toolkit.show import table

MOST = 60
"""Characters of a value in the table; the JSON has all of it."""


def verification_table(said: Mapping[str, Any]) -> str:
    """Stacks, then findings, then the paths that were tried."""
    return "\n\n".join(_parts(said))


def _parts(said: Mapping[str, Any]) -> Iterator[str]:
    yield table(
        [
            (each["name"], each["state"], each["there"], each["resources"], each["compared"], each["findings"])
            for each in said["stacks"]
        ],
        ("stack", "state", "there", "planned", "properties", "findings"),
    )  # fmt: skip
    if said["findings"]:
        yield table([_row(each) for each in said["findings"]], ("finding", "stack", "name", "what", "planned", "found", "from AWS", "id"))  # fmt: skip
    for reason in dict.fromkeys(each["reason"] for each in said["stacks"] if each["reason"]):
        names = [each["name"] for each in said["stacks"] if each["reason"] == reason]
        yield f"not run: {', '.join(names)}\n{reason}"
    if said["reach"]:
        tried = said["reach"]
        yield f"paths: {tried['answered']} of {tried['allowed']} allowed ones answered; {tried['silent']} of {tried['forbidden']} forbidden ones stayed silent"  # fmt: skip
    totals = said["totals"]
    states = ", ".join(f"{count} {state}" for state, count in totals["stacks"].items() if count)
    yield f"{totals['there']} of {totals['resources']} resources there, {totals['compared']} properties compared; stacks: {states}"  # fmt: skip


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    what = each["property"] or each["type"].rsplit(".", 1)[-1]
    if each["because"] and each["because"] != each["name"]:
        what = f"{what} (follows from {each['because']})"
    origin = each["origin"].split("|")
    source = f"{origin[0]} {origin[-1]}" if each["origin"] else ""
    empty = "nothing" if each["kind"] == "different" else ""
    return (
        each["kind"], each["stack"], each["name"], what, short(each["planned"]) or empty, short(each["found"]) or empty, short(source), each["id"],
    )  # fmt: skip


def short(value: Any) -> str:
    """A value in one line of at most `MOST` characters."""
    if value is None:
        return ""
    said = (
        value
        if isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    )
    return said if len(said) <= MOST else f"{said[: MOST - 1]}…"
