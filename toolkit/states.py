"""What `repatria state` and `repatria set` do: state described, unlocked, encrypted anew; settings set."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from toolkit import show
from toolkit.engines import pulumi
from toolkit.engines.state import Lock, state_of
from toolkit.errors import EngineError


def describe(folder: Path) -> dict[str, Any]:
    """Where the state is, and for each stack of the plan what it holds. Raises EngineError."""
    stacks, state = pulumi.Stacks.of(folder), state_of(folder)
    held = set(state.stacks())
    rows = []
    for name in stacks.order():
        latest = state.checkpoint(name) if name in held else None
        lock = state.lock(name)
        rows.append(
            {
                "stack": name,
                "resources": sum(
                    not each["type"].startswith("pulumi:")
                    for each in (latest or {}).get("resources") or ()
                ),
                "planned": len(stacks[name]["resources"]),
                "pending": len((latest or {}).get("pending_operations") or ()),
                "lock": lock.json() if lock else None,
            }
        )
    return {
        "backend": state.url,
        "in_workspace": state.ours,
        "passphrase_file": str(state.passphrase_file) if state.passphrase_file else None,
        "stacks": rows,
        "unplanned": sorted(held - set(stacks.names())),
    }


def table(found: Mapping[str, Any]) -> str:
    """`describe` as people read it."""
    rows = [
        (
            each["stack"], f"{each['resources']} of {each['planned']}", each["pending"] or "",
            f"{each['lock']['who']}@{each['lock']['host']} ({each['lock']['holder']}), process {each['lock']['pid']}, since {each['lock']['time']}" if each["lock"] else "",
        )
        for each in found["stacks"]
    ]  # fmt: skip
    lines = [
        f"state: {show.printable(found['backend'])}" + (" (in this workspace; not in Git, so back it up)" if found["in_workspace"] else ""),
        f"passphrase: {found['passphrase_file'] or 'from PULUMI_CONFIG_PASSPHRASE(_FILE), or asked for'}",
        "",
        show.table(rows, ("stack", "resources", "pending", "held by")),
    ]  # fmt: skip
    if found["unplanned"]:
        lines += [
            "",
            f"in the state and not in the plan: {show.printable(', '.join(found['unplanned']))}",
        ]
    return "\n".join(lines)


def unlock(folder: Path, stack: str, *, sure: Callable[[Lock], bool]) -> Lock | None:
    """Break a lock whose holder is dead, or elsewhere and somebody is sure; returns it, or None where there is none.

    Raises EngineError for a holder that is alive.
    """
    pulumi.Stacks.of(folder)[stack]
    held = pulumi.lock_of(folder, stack)
    if held is None:
        return None
    if held.holder == "alive" or (held.holder == "elsewhere" and not sure(held)):
        raise pulumi.locked(stack, held)
    pulumi.break_lock(folder, stack)
    return held


def rekey(folder: Path, passphrase: str) -> Iterator[str]:
    """Encrypt each stack that has a state anew; yields its name. Raises EngineError."""
    if not passphrase:
        raise EngineError(
            "the new passphrase is empty", "Give one; without it anybody reads the secrets."
        )
    stacks, held = pulumi.Stacks.of(folder), set(state_of(folder).stacks())
    for name in stacks.order():
        if name in held:
            pulumi.rekey(folder, name, passphrase)
            yield name


def is_secret(folder: Path, stack: str, name: str) -> bool:
    """Whether the plan calls a setting of a stack secret. Raises EngineError for one that it does not read."""
    known = pulumi.Stacks.of(folder).settings(stack)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise EngineError(
            f"{stack} reads no setting {name!r}",
            f"Did you mean {close[0]}?"
            if close
            else f"It reads {', '.join(sorted(known)) or 'none'}.",
        )
    return bool(known[name]["secret"])


def set_value(folder: Path, stack: str, name: str, value: str, *, secret: bool) -> tuple[str, ...]:
    """Set a value; returns the required settings that are still missing. Raises EngineError."""
    if not value:
        raise EngineError(
            f"the value of {name} is empty", "Give it as the last argument or on stdin."
        )
    pulumi.set_config(folder, stack, name, value, secret=secret)
    return pulumi.Stacks.of(folder).missing(stack)
