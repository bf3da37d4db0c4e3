"""Checks -> results: each with its own time, what it needs, and a cleaning up that also Ctrl-C does not skip."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import FrameType
from typing import Any, TypeVar

from toolkit.smoke.settings import Settings
from toolkit.smoke.web import Web

OK, FAILED, NOT_RUN = "ok", "failed", "not run"
CLEANING = 20.0
"""Seconds that cleaning up after one check may take."""

T = TypeVar("T")


class Failed(Exception):  # noqa: N818 - an outcome, told to the reader as it is
    """The suite did something else than a person expects."""


class NotRun(Exception):  # noqa: N818 - an outcome
    """The check could not be tried, and this is why."""


class _Late(BaseException):
    """The time of a check is over; no `except Exception` may hold it."""


@dataclass
class Trial:
    """What checks share: settings, the web client, what earlier checks have made, and what has to be undone."""

    settings: Settings
    web: Web
    made: dict[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    _after: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    _at_end: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    def later(self, what: str, undo: Callable[[], object], *, at_end: bool = False) -> None:
        """Undo this after the check, or after all of them; `what` is told where that fails."""
        (self._at_end if at_end else self._after).append((what, undo))

    def secret(self, value: str) -> str:
        """Never print this; returns it."""
        if len(value) >= 4:
            self.secrets.add(value)
        return value

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What an earlier check has made, or made now."""
        if name not in self.made:
            self.made[name] = make()
        held: T = self.made[name]
        return held

    def clean(self, *, at_end: bool = False) -> list[str]:
        """Undo in reverse order; returns what was left behind, with its reason."""
        held, left = (self._at_end if at_end else self._after), []
        while held:
            what, undo = held.pop()
            try:
                with limit(CLEANING):
                    undo()
            except _Late:
                left.append(f"{what}: no answer within {CLEANING:g} s")
            except Exception as error:  # noqa: BLE001 - the next one has to be undone all the same
                left.append(f"{what}: {told(error)}")
        return left

    def hide(self, text: str) -> str:
        """The text without any secret of the settings or of a session."""
        for value in sorted({*self.settings.secrets(), *self.secrets}, key=len, reverse=True):
            text = text.replace(value, "***")
        return " ".join(text.split())[:400]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a person does, or must not be able to do. `run` returns a word on what was seen, or raises."""

    id: str
    what: str
    run: Callable[[Trial], str | None]
    seconds: float = 20.0
    needs: tuple[str, ...] = ()
    """Checks that have to be ok before."""
    wants: tuple[str, ...] = ()
    """Settings without which there is nothing to try."""
    applies: Callable[[Settings], bool] = lambda _: True
    """False where the answers ask for the opposite (federation that is off): then it is not listed."""

    @property
    def application(self) -> str:
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Result:
    """`status` is ok, failed or not run; `accepted` is the reason for which a `not run` is no matter."""

    id: str
    what: str
    status: str
    ms: int
    detail: str
    accepted: str = ""

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id, "what": self.what, "status": self.status, "ms": self.ms, "detail": self.detail,
            "accepted": self.accepted,
        }  # fmt: skip


def expect(holds: object, otherwise: str) -> None:
    """Raise Failed with what was seen."""
    if not holds:
        raise Failed(otherwise)


def chosen(checks: Sequence[Check], only: Iterable[str]) -> list[Check]:
    """The checks of these patterns (`matrix.*`) and what they need, in their order. Raises KeyError for one that names none."""
    patterns = tuple(only)
    if not patterns:
        return list(checks)
    by_id = {check.id: check for check in checks}
    wanted: list[str] = []
    for pattern in patterns:
        hits = [each for each in by_id if fnmatchcase(each, pattern) or each.startswith(f"{pattern}.")]  # fmt: skip
        if not hits:
            raise KeyError(pattern)
        wanted += hits
    held = set()
    while wanted:
        each = wanted.pop()
        if each not in held:
            held.add(each)
            wanted += by_id[each].needs
    return [check for check in checks if check.id in held]


def run(
    checks: Sequence[Check],
    settings: Settings,
    *,
    total: int | None = None,
    seen: Callable[[Result], object] = lambda _: None,
) -> dict[str, Any]:
    """Try the checks in order -> the document of results. Cleans up whatever ends it."""
    trial = Trial(settings, Web(settings.connect, settings.ca_file))
    results: dict[str, Result] = {}
    left: list[str] = []
    listed = [check for check in checks if check.applies(settings)]
    try:
        for check in listed:
            result = _one(check, trial, results)
            results[check.id] = result
            seen(result)
    finally:
        left = [trial.hide(each) for each in trial.clean(at_end=True)]
    count = {status: sum(each.status == status for each in results.values()) for status in (OK, FAILED, NOT_RUN)}  # fmt: skip
    accepted = sum(bool(each.accepted) for each in results.values())
    return {
        "kind": "smoke",
        "checks": [each.json() for each in results.values()],
        "left": left,
        "summary": {
            "ok": count[OK], "failed": count[FAILED], "not_run": count[NOT_RUN], "accepted": accepted,
            "asked": len(listed), "known": len(listed) if total is None else total,
        },
    }  # fmt: skip


def must_look(document: Mapping[str, Any]) -> bool:
    """Something failed, was not run without an accepted reason, or was left behind: a partial suite never looks whole."""
    held = document["summary"]
    return bool(held["failed"] or held["not_run"] > held["accepted"] or document["left"] or not held["asked"])  # fmt: skip


def _one(check: Check, trial: Trial, results: Mapping[str, Result]) -> Result:
    began = time.monotonic()

    def result(status: str, detail: str) -> Result:
        accepted = trial.settings.accepted(check.id) if status == NOT_RUN else ""
        ms = round((time.monotonic() - began) * 1000)
        return Result(check.id, check.what, status, ms, trial.hide(detail), accepted)

    if reason := _unready(check, trial.settings, results):
        return result(NOT_RUN, reason)
    trial.web.seconds = check.seconds
    status, detail = OK, ""
    try:
        with limit(check.seconds):
            detail = check.run(trial) or ""
    except NotRun as why:
        status, detail = NOT_RUN, str(why)
    except _Late:
        status, detail = FAILED, f"not done within {check.seconds:g} s"
    except Exception as error:  # noqa: BLE001 - one check that breaks is a result, the others go on
        status, detail = FAILED, told(error)
    finally:
        left = trial.clean()
    if left:
        status, detail = FAILED, "; ".join([*([detail] if detail else []), *(f"left behind: {each}" for each in left)])  # fmt: skip
    return result(status, detail)


def _unready(check: Check, settings: Settings, results: Mapping[str, Result]) -> str:
    if not settings.has(check.application):
        return f"not installed: no [{check.application}] in the settings"
    for place in check.wants:
        if not settings.get(place):
            return f"{place} is not set"
    for need in check.needs:
        if results[need].status != OK:
            return f"needs {need}, which is {results[need].status}"
    return ""


def told(error: Exception) -> str:
    """An exception -> a sentence, with the kind where its words alone say nothing."""
    match error:
        case Failed():
            return str(error)
        case ssl.SSLCertVerificationError():
            return f"the certificate is refused: {error.verify_message}"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return f"{type(error).__name__}: {error.strerror or error}"
        case json.JSONDecodeError():
            return f"the answer is no JSON: {error}"
        case http.client.HTTPException():
            return f"broken answer: {type(error).__name__}: {error}"
        case _:
            return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """End what is inside after so many seconds, whatever it waits for (main thread alone; elsewhere sockets' times hold)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_number: int, _frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    began = time.monotonic()
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(0.01, outer - (time.monotonic() - began)))


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: what was made in the suite is taken away first."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
