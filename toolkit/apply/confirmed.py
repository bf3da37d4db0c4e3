"""What people did -> step, name, time: a file of JSON lines or a YAML list, refused with its line numbers."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from toolkit.errors import FileError

AHEAD = timedelta(minutes=5)
"""How far in the future a time may be: clocks differ."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Somebody did a step that apply does not do itself."""

    step: str
    name: str
    time: datetime
    note: str = ""


def read_confirmed(
    path: Path, steps: Mapping[str, str], now: datetime | None = None
) -> dict[str, Confirmation]:
    """Step id -> who did it and when.

    `steps` is each step that may be confirmed with "", each other one with the reason why not.
    Raises FileError that lists every fault with its line: a step that the plan does not have or that
    apply does itself, a time that is none, has no zone or is to come, no name, a step said twice.
    """
    try:
        said = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",
            "Check the path and its permissions.",
        ) from error
    now = now or datetime.now(UTC)
    faults: list[str] = []
    found: dict[str, Confirmation] = {}
    for line, held in _entries(said, faults):
        confirmation = _confirmation(held, steps, now, line, faults)
        if confirmation is None:
            continue
        if confirmation.step in found:
            faults.append(f"line {line}: {confirmation.step} is confirmed a second time")
        found[confirmation.step] = confirmation
    if faults:
        raise FileError(
            f"{path} cannot be followed: " + "; ".join(faults),
            'Each entry has step, name and time, such as {"step": "w01-announce", "name": "Nora Klein", "time": "2026-03-01T09:30:00+01:00"}.',
        )
    return found


def _entries(said: str, faults: list[str]) -> Iterator[tuple[int, Any]]:
    """(line, entry) of JSON lines, else of a YAML list (which a JSON list is, too)."""
    if said.lstrip().startswith("{"):
        for number, line in enumerate(said.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                yield number, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                faults.append(f"line {number}: no JSON ({error})")
        return
    import yaml

    try:
        root = yaml.compose(said, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        faults.append(f"{where}no YAML ({problem})")
        return
    if root is None:
        return
    if not isinstance(root, yaml.SequenceNode):
        faults.append(f"line {root.start_mark.line + 1}: not a list of entries")
        return
    for node in root.value:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        # as it is written: YAML would make a time of a text without its zone
        held: Any = {
            key.value: value.value
            for key, value in pairs
            if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
        }
        yield node.start_mark.line + 1, held if len(held) == len(pairs) and pairs else None


def _confirmation(
    held: Any, steps: Mapping[str, str], now: datetime, line: int, faults: list[str]
) -> Confirmation | None:
    if not isinstance(held, dict) or not all(isinstance(each, str) for each in held.values()):
        faults.append(f"line {line}: not an entry with texts for step, name and time")
        return None
    before = len(faults)
    if unknown := sorted(held.keys() - {"step", "name", "time", "note"}):
        faults.append(f"line {line}: unknown: {', '.join(unknown)}")
    step, name = held.get("step", "").strip(), " ".join(held.get("name", "").split())
    if step not in steps:
        close = difflib.get_close_matches(step, steps, n=1, cutoff=0.6)
        faults.append(
            f"line {line}: the plan has no step {step!r}"
            + (f" (did you mean {close[0]}?)" if close else "")
        )
    elif steps[step]:
        faults.append(f"line {line}: {step} cannot be confirmed: {steps[step]}")
    if not name:
        faults.append(f"line {line}: no name says who did it")
    time = None
    try:
        time = datetime.fromisoformat(held.get("time", "").strip())
    except ValueError:
        faults.append(f"line {line}: {held.get('time', '')!r} is no time (ISO 8601)")
    if time is not None and time.tzinfo is None:
        faults.append(f"line {line}: {held['time']!r} does not say its time zone")
    elif time is not None and time > now + AHEAD:
        faults.append(f"line {line}: {held['time']!r} is still to come")
    if len(faults) > before or time is None:
        return None
    return Confirmation(step, name, time, " ".join(held.get("note", "").split()))
