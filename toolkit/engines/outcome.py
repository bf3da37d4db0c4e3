"""What the engine said, event by event -> what happened to each resource, and whether it went well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Op = Literal["create", "update", "replace", "delete", "same", "read", "refresh", "import"]
OPS: tuple[Op, ...] = ("delete", "replace", "update", "create", "import", "refresh", "read", "same")
"""In the order in which people should see them."""
Status = Literal["done", "failed", "cancelled", "waits", "unset", "not-run"]

_OP: Mapping[str, Op] = {
    "create": "create", "update": "update", "delete": "delete", "same": "same", "replace": "replace",
    "create-replacement": "replace", "delete-replaced": "replace", "read": "read", "read-replacement": "read",
    "refresh": "refresh", "discard": "delete", "discard-replaced": "replace", "remove-pending-replace": "same",
    "import": "import", "import-replacement": "replace",
}  # fmt: skip
"""The engine's steps -> what became of the resource (pulumi/sdk, `apitype.OpType`)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that the engine said, as it said it. `kind`: begun, done, failed (a step), said (a message)."""

    kind: str
    stack: str
    urn: str = ""
    type: str = ""
    op: Op = "same"
    message: str = ""
    severity: str = ""

    @property
    def name(self) -> str:
        """The logical name."""
        return name_of(self.urn)


@dataclass(frozen=True, slots=True)
class Change:
    """What happened, or would happen, to one resource. `diffs` are property paths; `origin` its AWS key, if planned."""

    urn: str
    type: str
    name: str
    op: Op
    diffs: tuple[str, ...] = ()
    origin: str = ""
    application: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the engine or the cloud said went wrong. `urn` is empty where it concerns no resource."""

    urn: str
    message: str


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a stack. A secret one never shows by accident."""

    value: Any = field(repr=False)
    secret: bool = False

    def shown(self) -> Any:
        """For people and answers."""
        return "[secret]" if self.secret else self.value


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one operation on one stack ended.

    `status`: done; failed (see `failures`); cancelled (by `cancel`, cleanly); waits (an upstream stack has no outputs yet, see `waits_for`); unset
    (configuration is missing, see `missing`); not-run (no plugin for its cloud here). `reason` says it in words.
    """

    stack: str
    operation: str
    status: Status
    changes: tuple[Change, ...] = ()
    failures: tuple[Failure, ...] = ()
    outputs: Mapping[str, Output] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    waits_for: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """The engine did what was asked."""
        return self.status == "done"

    @property
    def faults(self) -> str:
        """Every failure with its resource, in one line; the reason where the engine names none."""
        said = [f"{name_of(each.urn)}: {each.message}" if each.urn else each.message for each in self.failures]  # fmt: skip
        return " | ".join(" ".join(each.split()) for each in said or [self.reason])

    def count(self, *ops: Op) -> int:
        """Resources to which one of these happened."""
        return sum(change.op in ops for change in self.changes)

    @property
    def touched(self) -> int:
        """Resources that something happened to."""
        return len(self.changes) - self.count("same", "read")

    def json(self) -> dict[str, Any]:
        """As commands answer it."""
        return {
            "stack": self.stack, "operation": self.operation, "status": self.status, "ok": self.ok, "reason": self.reason,
            "waits_for": list(self.waits_for), "missing": list(self.missing), "seconds": round(self.seconds, 2),
            "counts": {op: count for op in OPS if (count := self.count(op))},
            "changes": [
                {
                    "urn": change.urn, "type": change.type, "name": change.name, "op": change.op, "diffs": list(change.diffs),
                    "origin": change.origin, "application": change.application,
                }
                for change in self.changes
            ],
            "failures": [{"urn": each.urn, "name": name_of(each.urn), "message": each.message} for each in self.failures],
            "outputs": {name: held.shown() for name, held in sorted(self.outputs.items())},
        }  # fmt: skip


def name_of(urn: str) -> str:
    """`urn:pulumi:main::project::type::name` -> name."""
    return urn.split("::", 3)[-1] if urn else ""


def event_of(stack: str, line: Mapping[str, Any]) -> Event | None:
    """A line of the child -> Event; None for what concerns nobody."""
    if line["kind"] in ("begun", "done", "failed"):
        if line["type"].startswith("pulumi:"):
            return None
        return Event(line["kind"], stack, line["urn"], line["type"], _OP[line["op"]])
    if line["kind"] == "said" and line["message"].strip():
        return Event("said", stack, line["urn"], message=plain(line["message"]), severity=line["severity"])  # fmt: skip
    return None


def changes_of(
    lines: Iterable[Mapping[str, Any]], about: Mapping[str, tuple[str, str]], *, planned: bool
) -> tuple[Change, ...]:
    """Lines of the child -> one change a resource, by name.

    `about` is logical name -> (AWS key, application). With `planned` (a preview) what was begun counts; else only
    what was done, and a refresh counts as what it found: the engine says `refresh` when it begins one and the
    result when it ends it.
    """
    held: dict[str, Change] = {}
    lost: set[str] = set()
    """What a refresh did not find any more: made anew, it is created, and replaces nothing."""
    for line in lines:
        kind = line["kind"]
        if kind not in ("begun", "done") or line["type"].startswith("pulumi:"):
            continue
        if kind == "begun" and not planned:
            continue
        op = _OP[line["op"]]
        urn = line["urn"]
        before = held.get(urn)
        if before is not None and (before.op, op, kind) == ("refresh", "delete", "done"):
            lost.add(urn)
        elif urn in lost and op == "create":
            before = None
        diffs = tuple(line["diffs"])
        if before is not None:
            diffs = tuple(sorted({*before.diffs, *diffs}))
            # reading comes first and says nothing of what follows
            if "refresh" in (before.op, op):
                op = op if before.op == "refresh" else before.op
            else:
                op = min(before.op, op, key=OPS.index)
            both = {before.op, _OP[line["op"]]}
            if both == {"create", "delete"} or "replace" in both:
                op = "replace"
        name = name_of(urn)
        origin, application = about.get(name, ("", ""))
        held[urn] = Change(urn, line["type"], name, op, diffs, origin, application, line.get("id", ""))  # fmt: skip
    return tuple(sorted(held.values(), key=lambda change: (change.name, change.urn)))


def failures_of(lines: Iterable[Mapping[str, Any]]) -> tuple[Failure, ...]:
    """What was said with severity `error`, once each, and steps that failed without a word."""
    held: dict[tuple[str, str], Failure] = {}
    silent: list[str] = []
    for line in lines:
        if line["kind"] == "said" and line["severity"] == "error":
            message = plain(line["message"]).strip()
            held.setdefault((line["urn"], message), Failure(line["urn"], message))
        elif line["kind"] == "failed":
            silent.append(line["urn"])
    told = {urn for urn, _ in held if urn}
    silent = [urn for urn in silent if urn not in told]
    # that the whole failed too goes without saying where a resource says why
    spoken = [each for each in held.values() if each.urn or not (told or silent)]
    return (*spoken, *(Failure(urn, "the operation failed") for urn in silent))


def plain(message: str) -> str:
    """A message without the engine's colour tags (`<{%reset%}>`)."""
    while "<{%" in message:
        before, _, rest = message.partition("<{%")
        message = before + rest.partition("%}>")[2]
    return message
