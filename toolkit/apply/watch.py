"""What the engine says while it works -> one line a moment on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from toolkit.console import progress
from toolkit.journal import hide
from toolkit.progress import Progress
from toolkit.show import printable


@dataclass
class Watch:
    """Notes and events to a progress line."""

    seen: Progress

    def note(self, message: str) -> None:
        """Something that a person should know now."""
        self.seen.note(printable(hide(message)))

    def event(self, event: Any) -> None:
        """A step of the engine: begun counts as a part to do, done as a part done."""
        if event.kind == "begun":
            self.seen.units += 1
        elif event.kind == "done":
            self.seen.unit(printable(f"{event.stack}: {event.op} {event.name}"), int(event.op not in ("same", "read")))  # fmt: skip
        elif event.kind == "said" and event.severity in ("warning", "error"):
            self.note(f"{event.stack}: {event.name + ': ' if event.name else ''}{event.message.strip()}")  # fmt: skip


@contextmanager
def watch() -> Iterator[Watch]:
    """A watch that leaves the terminal as it was."""
    seen = progress()
    try:
        yield Watch(seen)
    finally:
        seen.end()
