"""The answers of apply and destroy as people read them; each table is made from the JSON that is printed otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from toolkit.errors import ToolkitError
from toolkit.show import printable, table


def ask(question: str, wanted: str) -> str:
    """Have a word typed. Raises ToolkitError where nobody is there to type it."""
    try:
        return str(click.prompt(question, err=True, default="", show_default=False))
    except click.Abort as error:
        if _interrupted(error):
            raise KeyboardInterrupt from None
        raise ToolkitError(
            f"nobody typed {wanted!r}: nothing was done",
            "Run it in a terminal, or with --yes once the preview was read.",
        ) from None


def _interrupted(error: click.Abort) -> bool:
    held: BaseException | None = error.__context__ or error.__cause__
    return isinstance(held, KeyboardInterrupt)


def previews(found: Sequence[Mapping[str, Any]]) -> str:
    """What is about to be: a line a stack, then what would be lost."""
    shown = ("create", "update", "replace", "delete", "same")
    rows = [
        (each["stack"], f"{each['planned']} planned", "", "", "", "", f"waits for {', '.join(each['waits_for'])}")
        if each["waits_for"] else (each["stack"], *(each[op] or "" for op in shown), "")
        for each in found
    ]  # fmt: skip
    text = table(rows, ("stack", *shown, ""))
    for each in found:
        for lost in each.get("lost", ()):
            text += f"\n{lost['op'].upper()}: {printable(lost['name'])} in {each['stack']}"
    return text


def applied(document: Mapping[str, Any]) -> str:
    """What was done in this run, and what is next."""
    parts = []
    rows = [
        (step["id"], step["state"], step.get("seconds", ""), _counts(step), step.get("name", ""))
        for step in document["steps"]
    ]
    if rows:
        parts.append(table(rows, ("step", "is", "seconds", "resources", "by")))
    parts += ["\n".join(_recovered(each)) for each in document["recovered"]]
    stopped = document["stopped"]
    if stopped is not None:
        parts.append("\n".join(_stopped(stopped)))
    totals = document["totals"]
    parts.append(
        f"{totals['done_before'] + totals['built'] + totals['confirmed']} of {totals['steps']} steps done"
        + (f" ({totals['built']} built and {totals['confirmed']} confirmed now)" if rows else "")
    )
    return "\n\n".join(parts)


def _counts(step: Mapping[str, Any]) -> str:
    words = ("create", "update", "replace", "delete")
    return ", ".join(f"{step[word]} {word}d" for word in words if step.get(word)) or (
        "none changed" if step["state"] == "done" else ""
    )


def _recovered(each: Mapping[str, Any]) -> list[str]:
    lines = [f"{each['stack']}: taken up again after a crash"]
    if each["unlocked"]:
        lines.append("  the lock of a dead process was broken")
    lines += [f"  found at the target and taken in: {printable(said)}" for said in each["adopted"]]
    lines += [f"  half made, deleted, to be made anew: {printable(said)}" for said in each["removed"]]  # fmt: skip
    if each["freed"]:
        lines.append(f"  half made, to be made anew: {printable(', '.join(each['freed']))}")
    if each["cleared"]:
        lines.append(f"  begun and never made: {printable(', '.join(each['cleared']))}")
    if each["refreshed"]:
        lines.append(f"  read from the target: {len(each['refreshed'])}")
    return lines


def _stopped(stopped: Mapping[str, Any]) -> list[str]:
    why = stopped["why"]
    head = {
        "person": "a person's step", "hand": "to be done by hand", "waits": "waits", "config": "needs a setting",
        "failed": "failed", "unclear": "a person must look", "refused": "not agreed", "preflight": "preflight",
        "unseen": "not yet seen",
    }[why]  # fmt: skip
    lines = [f"{head}: {printable(stopped['says'])}"]
    if "step" in stopped and why in ("person", "hand"):
        who = f"{stopped['role']}{' (' + stopped['who'] + ')' if stopped['who'] else ''}"
        lines[0] = f"{head}: {stopped['step']}, {printable(stopped['title'])}"
        lines.append(f"  who: {printable(who)}")
        if stopped["turn"]:
            lines.append("  POINT OF NO RETURN: from here on, going back means moving data back")
        if stopped["why_hand"]:
            lines.append(f"  why by hand: {stopped['why_hand']}")
        lines += [
            f"  {name}: {printable(stopped[name])}" for name in ("command", "expected", "check") if stopped[name]
        ]  # fmt: skip
        lines.append(
            f'  then, in a file for --confirmed: {{"step": "{stopped["step"]}", "name": "WHO", "time": "WHEN"}}'
        )
    return lines


# --------------------------------------------------------------------------------------------- destroy


def going(found: Sequence[Mapping[str, Any]]) -> str:
    """What is about to go: a line a stack, then what holds data or an address."""
    text = table([(each["stack"], each["delete"]) for each in found], ("stack", "DELETED"))
    for each in found:
        for held in each["data"]:
            text += f"\nDATA OR ADDRESS: {printable(held)} in {each['stack']}"
    return text


def destroyed(document: Mapping[str, Any]) -> str:
    """What is gone."""
    rows = [
        (each["stack"], each["state"], each["deleted"], each["seconds"])
        for each in document["stacks"]
    ]
    parts = [table(rows, ("stack", "is", "deleted", "seconds"))] if rows else ["nothing is there"]
    parts += ["\n".join(_recovered(each)) for each in document["recovered"]]
    if document["not_run"]:
        parts.append(f"not run, no plugin here: {', '.join(document['not_run'])}")
    return "\n\n".join(parts)
