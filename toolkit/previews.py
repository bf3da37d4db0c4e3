"""A workspace and the engine -> what applying would change, as the document that `repatria preview` prints."""

from __future__ import annotations

import concurrent.futures
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit import show
from toolkit.console import at
from toolkit.engines import pulumi
from toolkit.engines.outcome import OPS, Outcome
from toolkit.engines.state import state_of
from toolkit.progress import Progress

AT_ONCE = 2
"""Engines side by side: each is a process of its own with Python, the engine and the plugin."""
LOUD = ("delete", "replace")


def run(
    folder: Path, stack: str = "", *, refresh: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Preview one stack or all, in the plan's order. Raises EngineError where the engine cannot be had.

    A stack that waits for another, or for its configuration, is in the answer with its reason and is no error.
    """
    stacks = pulumi.Stacks.of(folder)
    names = [name for name in stacks.order() if not stack or name == stack]
    if stack:
        stacks[stack]
    pulumi.locate()
    state_of(folder).passphrase()  # asked once, before several processes would
    seen = progress or Progress()
    seen.start(len(names))

    def one(name: str) -> Outcome:
        runs = stacks[name]["package"] in pulumi.PLUGINS
        place = stacks.environment(name) if runs else None
        held = pulumi.preview(folder, name, refresh=refresh, environment=place)
        seen.unit(name, held.touched)
        return held

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(one, name) for name in names]
        try:
            concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_EXCEPTION)
            outcomes = [each.result() for each in waiting]
        except BaseException:
            for each in waiting:
                each.cancel()
            pulumi.cancel()
            raise
    return document(outcomes, folder, stacks)


def document(outcomes: list[Outcome], folder: Path, stacks: pulumi.Stacks) -> dict[str, Any]:
    """Outcomes -> the answer: stacks in order, and the sums over them."""
    listed = []
    for outcome in outcomes:
        held = outcome.json()
        settings = stacks.settings(outcome.stack) if outcome.missing else {}
        held["set_with"] = [
            f"`repatria set {outcome.stack} {shlex.quote(name)}{at(folder)}`"
            for name in outcome.missing
        ]
        held["needs_setting"] = [
            {"name": name, "doc": settings[name]["doc"], "secret": settings[name]["secret"]}
            for name in outcome.missing
        ]
        listed.append(held)
    totals = {op: sum(outcome.count(op) for outcome in outcomes) for op in OPS}
    return {
        "stacks": listed,
        "totals": {
            **totals,
            "stacks": len(outcomes),
            "previewed": sum(outcome.ok for outcome in outcomes),
            "failed": sum(outcome.status == "failed" for outcome in outcomes),
            "waits": sum(bool(outcome.waits_for) for outcome in outcomes),
            "unset": sum(bool(outcome.missing) for outcome in outcomes),
            "not_run": sum(outcome.status == "not-run" for outcome in outcomes),
        },
    }


def must_look(found: Mapping[str, Any]) -> bool:
    """Something would be lost, or could not be previewed for a reason that a person has to mend."""
    totals = found["totals"]
    return bool(totals["delete"] or totals["replace"] or totals["failed"] or totals["unset"])


def work(found: Mapping[str, Any]) -> bool:
    """Whether applying would do anything that is known by now."""
    totals = found["totals"]
    return bool(totals["waits"] or any(totals[op] for op in OPS if op not in ("same", "read")))


def table(found: Mapping[str, Any]) -> str:
    """The answer as people read it: a line a stack, what would be lost, then the rest that would happen."""
    shown = ("create", "update", "replace", "delete", "same")
    parts = [
        show.table(
            [
                (
                    each["stack"],
                    *(each["counts"].get(op, "") if each["ok"] else "" for op in shown),
                    _is(each),
                )
                for each in found["stacks"]
            ],
            ("stack", *shown, "is"),
        )
    ]
    happens = [
        (each["stack"], change)
        for each in found["stacks"]
        for change in each["changes"]
        if change["op"] not in ("same", "read")
    ]
    for op in LOUD:
        rows = [_change(stack, change) for stack, change in happens if change["op"] == op]
        if rows:
            parts.append(f"{_LOUD[op]}: {len(rows)}\n{show.table(rows, _HEAD)}")
    rows = [
        (change["op"], *_change(stack, change))
        for stack, change in happens
        if change["op"] not in LOUD
    ]
    if rows:
        parts.append(show.table(rows, ("", *_HEAD)))
    for each in found["stacks"]:
        said = [
            f"{each['stack']}{': ' + failure['name'] if failure['name'] else ''}: {line}"
            for failure in each["failures"]
            for line in failure["message"].splitlines()
            if line.strip()
        ] + [
            f"{each['stack']}: set {need['name']} ({'secret; ' if need['secret'] else ''}{need['doc']})"
            for need in each["needs_setting"]
        ]
        if said:
            parts.append("\n".join(map(show.printable, said)))
    totals = found["totals"]
    counts = [f"{totals[op]} {word}" for op, word in _WORDS.items() if totals[op]]
    also = [f"{totals[key]} {word}" for key, word in _ALSO.items() if totals[key]]
    parts.append(
        f"{', '.join(counts) or 'nothing'}; {totals['previewed']} of {totals['stacks']} stacks previewed"
        + (f", {', '.join(also)}" if also else "")
    )
    return "\n\n".join(parts)


_LOUD = {"delete": "DELETED", "replace": "REPLACED, which deletes what it is now"}
_HEAD = ("stack", "resource", "kind", "application", "from", "because of")
_WORDS = {
    "create": "to create", "update": "to update", "replace": "to REPLACE", "delete": "to DELETE", "same": "unchanged",
}  # fmt: skip
_ALSO = {
    "waits": "wait for another stack", "unset": "need configuration", "failed": "refused", "not_run": "not run (no plugin here)",
}  # fmt: skip


def _is(each: Mapping[str, Any]) -> str:
    if each["ok"]:
        return f"{each['seconds']:.1f} s"
    words = {"failed": "refused, see below", "not-run": "not run"}
    said = [words[each["status"]]] if each["status"] in words else []
    if each["waits_for"]:
        said.append(f"waits for {', '.join(each['waits_for'])}")
    if each["missing"]:
        said.append(
            f"needs {len(each['missing'])} setting{'s' if len(each['missing']) > 1 else ''}"
        )
    return "; ".join(said)


def _change(stack: str, change: Mapping[str, Any]) -> tuple[str, ...]:
    origin = change["origin"].split("|")
    came = f"{origin[0]} {origin[-1]}" if len(origin) > 1 else "nothing in the plan"
    return (
        stack, change["name"], change["type"].split(":")[-1], change["application"] or "-", came,
        ", ".join(change["diffs"]),
    )  # fmt: skip
