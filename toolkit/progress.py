"""What is going on -> a live line on a terminal, JSON lines when piped, nothing for who does not listen."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import IO


@dataclass
class Progress:
    """Counts of one run; safe to call from many threads. As it stands it is silent."""

    units: int = 0
    done: int = 0
    records: int = 0
    calls: int = 0
    since: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def start(self, units: int) -> None:
        with self.lock:
            self.units = units
        self.tell("")

    def call(self) -> None:
        with self.lock:
            self.calls += 1

    def unit(self, name: str, records: int) -> None:
        with self.lock:
            self.done += 1
            self.records += records
        self.tell(name)

    def note(self, message: str) -> None:
        """Something a person should know while it happens."""

    def tell(self, name: str) -> None:
        """Show the counts."""

    def end(self) -> None:
        """Leave the terminal as it was."""

    @property
    def left(self) -> float | None:
        """Seconds left, by the units done so far."""
        if not self.done:
            return None
        return (time.monotonic() - self.since) / self.done * (self.units - self.done)


@dataclass
class _Live(Progress):
    stream: IO[str] | None = None
    shown: float = 0.0

    def tell(self, name: str) -> None:
        now = time.monotonic()
        if self.stream is None or (now - self.shown < 0.1 and self.done < self.units):
            return
        self.shown = now
        left = self.left
        rest = "" if left is None else f", {left:.0f} s left"
        self.stream.write(
            f"\r\x1b[2K{self.done}/{self.units} parts, {self.records} resources, {self.calls} calls{rest}  {name}"[
                :160
            ]
        )
        self.stream.flush()

    def note(self, message: str) -> None:
        if self.stream is not None:
            self.stream.write(f"\r\x1b[2K{message}\n")

    def end(self) -> None:
        if self.stream is not None:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()


@dataclass
class _Lines(Progress):
    stream: IO[str] | None = None

    def tell(self, name: str) -> None:
        self._line(
            {
                "progress": {
                    "units": self.units,
                    "done": self.done,
                    "records": self.records,
                    "calls": self.calls,
                    "part": name,
                }
            }
        )

    def note(self, message: str) -> None:
        self._line({"note": message})

    def _line(self, document: object) -> None:
        if self.stream is not None:
            with self.lock:
                self.stream.write(json.dumps(document) + "\n")


def for_stream(stream: IO[str]) -> Progress:
    """The kind that fits a stream: live on a terminal, JSON lines elsewhere."""
    return _Live(stream=stream) if stream.isatty() else _Lines(stream=stream)
