"""What a rule or a target says of a resource: intents, nodes, losses, dispositions, findings, moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from toolkit.intents import Intent
from toolkit.program import Node

if TYPE_CHECKING:
    from toolkit.rule import Severity

DispositionKind = Literal[
    "rehost", "replatform", "repurchase", "refactor", "retire", "retain", "absorbed"
]
FindingSeverity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for people: an English message id with `{named}` holes, filled at render time.

    The message id is the key of every other language's catalogue. A hole may hold a Text of its
    own: words of ours are told in the reader's language, names stay as they are.
    """

    msg: str
    args: Mapping[str, Text | str | int | float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.msg.format(**self.args) if self.args else self.msg

    def json(self) -> str | dict[str, Any]:
        """A plain string where there is nothing to fill."""
        if not self.args:
            return self.msg
        return {"msg": self.msg, "args": {name: _held(each) for name, each in self.args.items()}}


def _held(value: Text | str | int | float) -> Any:
    """A message without holes stays one, so that its words are not taken for a name."""
    if not isinstance(value, Text):
        return value
    return {"msg": value.msg, "args": {name: _held(each) for name, each in value.args.items()}}


def text(msg: str, **args: Text | str | int | float) -> Text:
    """`text("{n} ports", n=3)`: what is said, apart from what it is said about."""
    return Text(msg, args)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something of the source that the target will not have. `field` is a path in the record."""

    field: str
    reason: Text | str
    severity: Severity = "minor"


@dataclass(frozen=True, slots=True)
class Disposition:
    """What becomes of a resource, and why. At most one per resource (the last one said holds).

    `into` is the key of the resource that carries it (absorbed). `way_out` names the product or
    open-source system, `work` the work that it means, `alternatives` what else was weighed.
    """

    kind: DispositionKind
    reason: Text | str
    into: str = ""
    way_out: Text | str = ""
    work: Text | str = ""
    alternatives: tuple[Text | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a good consultant would point out. `code` is stable: `bucket-public`."""

    code: str
    severity: FindingSeverity
    says: Text | str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """Data that has to travel before the servers start.

    `mover` is what moves it; `gb` its size in GB where the estate tells, else None; `facts` feeds
    the step's command (names on both sides, engine, version), never a secret.
    """

    mover: Literal[
        "objects",
        "volume",
        "image",
        "database",
        "cache",
        "files",
        "registry",
        "dns",
        "secrets",
        "queue",
        "mail",
        "identity",
    ]
    what: Text | str
    gb: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """Work that only a person can do, or that must be ordered; becomes a step of the runbook.

    `code` groups equal tasks. `lead_days` is how long before the wave it has to start.
    """

    code: str
    what: Text | str
    why: Text | str
    lead_days: int = 0
    role: str = "operator"
    check: Text | str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is written beside the stack for people to read; nothing runs it."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Option:
    """One way to decide. `id` is what the user writes into `decisions.yaml`."""

    id: str
    label: Text | str
    consequence: Text | str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice with its reasons. `chosen_by` is `default` or the person named in `decisions.yaml`."""

    id: str
    subject: str
    topic: str
    question: Text | str
    options: tuple[Option, ...]
    chosen: str
    why: Text | str
    facts: tuple[str, ...] = ()
    chosen_by: str = "default"


Outcome = Intent | Node | Loss | Disposition | Finding | Move | Task | Attachment
