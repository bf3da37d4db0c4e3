"""What preflight says: findings, what was looked at, what to ask the provider for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "advice"]
"""error: apply would fail. warning: it would go through, but somebody should look. advice: no reason to stop."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the plan needs it. `code` is stable, `place` is project/region, `subject` what it is about."""

    code: str
    place: str
    subject: str
    says: str
    hint: str
    severity: Severity = "error"

    def json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "place": self.place,
            "subject": self.subject,
            "says": self.says,
            "hint": self.hint,
            "severity": self.severity,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """A quota that is too small. `limit` is what holds now, `used` what is taken by others than this plan,

    `needed` what the whole plan takes, `request` the limit to ask for: used + needed, to the unit.
    """

    kind: str
    place: str
    limit: int
    used: int
    needed: int
    request: int

    def json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "place": self.place,
            "limit": self.limit,
            "used": self.used,
            "needed": self.needed,
            "request": self.request,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of preflight. `letters` is the text for the provider's support by language, empty where nothing is asked.

    `unchecked` says what nobody could look at, and why; it is no fault, but no proof either.
    """

    target: str
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()
    letters: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What apply would fail at."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def look(self) -> bool:
        """Whether a person has to look: an error or a warning, never mere advice."""
        return any(each.severity != "advice" for each in self.findings)

    def json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "findings": [each.json() for each in self.findings],
            "checked": list(self.checked),
            "unchecked": list(self.unchecked),
            "requests": [each.json() for each in self.requests],
            "letters": dict(self.letters),
            "calls": self.calls,
        }
