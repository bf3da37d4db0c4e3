"""What a rule or a target says of a resource: intents, nodes, losses, dispositions, findings, moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
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
        return {"msg": self.msg, "args": {name: held(each) for name, each in self.args.items()}}


def held(value: Text | str | int | float) -> Any:
    """What fills a hole or a table: a message without holes stays one, so that its words are not taken for a name."""
    if not isinstance(value, Text):
        return value
    return {"msg": value.msg, "args": {name: held(each) for name, each in value.args.items()}}


def text(msg: str, **args: Text | str | int | float) -> Text:
    """`text("{n} ports", n=3)`: what is said, apart from what it is said about."""
    return Text(msg, args)


def joined(parts: Iterable[Text | str], mark: str = ", ") -> Text | str:
    """Names and words of ours side by side, each and the mark between them told in the reader's language.

    Names alone with commas stay one plain string; nothing at all is "".
    """
    said = tuple(parts)
    if len(said) < 2:
        return said[0] if said else ""
    if mark == ", " and all(isinstance(each, str) for each in said):
        return mark.join(map(str, said))
    holes = {f"part_{number}": each for number, each in enumerate(said, start=1)}
    return Text("{mark}".join(f"{{{name}}}" for name in holes), {**holes, "mark": Text(mark)})


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


MB_PER_SECOND = 100
"""What copies are estimated with: 80 % of one line of 1 Gbit/s."""
HANDS = "hands-on time, estimated"
"""What minutes rest on where nothing better can be said: nobody has measured it, and waiting for others is the lead time."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work that only a person can do, or that must be ordered; becomes a step of the runbook.

    `what` is a short imperative sentence; details are `settings` (name -> value, shown as a table:
    a Text is words of ours, a plain string a name or a value of somebody's) or belong into `why`. `code` groups equal tasks. `lead_days` is how long before the wave it has
    to start. `expected` is what can be seen when it is done, `check` the command that shows it,
    `command` what does it where a command exists. `minutes` None reads 'unknown', and `basis` then
    says why nothing sound can be said. `after_build` is work on what its subject's stack makes,
    `in_window` what has to wait for the last copies. `gives` is the command that prints what the
    stack's required setting gets: then it comes before that stack is built, in whichever wave.

    Raises ValueError where minutes are unknown without a reason, or nothing can be observed.
    """

    code: str
    what: Text | str
    why: Text | str
    lead_days: int = 0
    role: str = "operator"
    _: KW_ONLY
    expected: Text | str
    minutes: float | None
    basis: Text | str = HANDS
    command: str = ""
    check: str = ""
    undo: Text | str = "None needed before the switch: the source runs on."
    settings: tuple[tuple[Text | str, Text | str], ...] = ()
    after_build: bool = False
    in_window: bool = False
    gives: str = ""

    def __post_init__(self) -> None:
        if not str(self.expected):
            raise ValueError(f"{self.code}: nothing tells that it is done")
        if self.minutes is None and (not str(self.basis) or self.basis == HANDS):
            raise ValueError(f"{self.code}: unknown minutes need a reason")


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
