"""Estate -> intents, losses, decisions; a rule that crashes costs only the record it crashed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from toolkit.intents import Intent
from toolkit.outcomes import (
    Attachment,
    Decision,
    Disposition,
    Finding,
    Loss,
    Move,
    Option,
    Task,
    Text,
)
from toolkit.rule import Lost, Rule

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.estate.model import Estate, Resource


@dataclass(frozen=True, slots=True)
class Override:
    """What a person wrote into `decisions.yaml`."""

    choose: str
    by: str = ""
    why: str = ""


@dataclass
class Context:
    """All that a rule or a target may look at, and where its decisions are kept. No I/O."""

    estate: Estate
    cloud: Cloud
    target_region: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    misfits: list[str] = field(default_factory=list)
    memo: dict[str, Any] = field(default_factory=dict)
    """What was worked out once from the estate and holds for the whole run."""

    def key(self, type_: str, id_: object, near: Resource | None = None) -> str | None:
        """The key of a resource that was read, or None: refer to others only through this."""
        hit = self.estate.find(type_, id_, near)
        return hit.key if hit else None

    def decide(
        self,
        subject: str,
        topic: str,
        question: Text | str,
        options: Iterable[Option],
        default: str,
        why: Text | str,
        facts: Iterable[str] = (),
    ) -> str:
        """Record a choice about a resource and return what holds: the user's, else the default.

        The decision's id is `<topic>:<key of the subject>`; an override for `<topic>:*` holds for
        every decision of that topic which offers the option. An override that names no option is
        kept aside in `misfits` and reported; the default then holds.
        """
        id_ = f"{topic}:{subject}"
        offered = tuple(options)
        known = {option.id for option in offered}
        if default not in known:
            raise ValueError(f"{id_}: default {default!r} is not among its options")
        chosen, by = default, "default"
        for name in (id_, f"{topic}:*"):
            if (override := self.overrides.get(name)) is None:
                continue
            if override.choose in known:
                chosen, by = override.choose, override.by or "decisions.yaml"
                break
            if name == id_ and id_ not in self.misfits:
                self.misfits.append(id_)
        self.decisions[id_] = Decision(
            id=id_, subject=subject, topic=topic, question=question, options=offered,
            chosen=chosen, why=why, facts=tuple(facts), chosen_by=by,
        )  # fmt: skip
        return chosen


@dataclass(slots=True)
class Translation:
    """What was said of one resource."""

    intents: list[Intent] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    disposition: Disposition | None = None

    def take(self, outcome: object) -> bool:
        """File an outcome; False where it is not one of ours (a target's node)."""
        match outcome:
            case Intent():
                self.intents.append(outcome)
            case Loss():
                if outcome not in self.losses:
                    self.losses.append(outcome)
            case Disposition():
                self.disposition = outcome
            case Finding():
                self.findings.append(outcome)
            case Move():
                self.moves.append(outcome)
            case Task():
                self.tasks.append(outcome)
            case Attachment():
                self.attachments.append(outcome)
            case _:
                return False
        return True


def translate(ctx: Context, rules: Mapping[str, Rule]) -> dict[str, Translation]:
    """Every resource of the estate -> what its rule says, field accounting included.

    A crash of a rule becomes a blocker loss that names the rule; the rest goes on.
    """
    said: dict[str, Translation] = {}
    for resource in ctx.estate:
        translation = said[resource.key] = Translation()
        rule = rules.get(resource.type)
        if rule is None:
            translation.losses.append(
                Loss("*", "No rule of this version knows this type.", "major")
            )
            translation.disposition = Disposition(
                "retain", "Unknown to this version; look at it by hand."
            )
            continue
        try:
            for outcome in rule.translate(resource, ctx):
                if not translation.take(outcome):
                    raise TypeError(f"a rule may not yield {type(outcome).__name__}")
        except Exception as error:  # noqa: BLE001 - the crash fence; it ends up in the plan
            translation.intents.clear()
            translation.losses.append(
                Loss(
                    "*",
                    Text(
                        "The rule of {type} crashed on this record: {error}",
                        {"type": rule.type, "error": f"{type(error).__name__}: {error}"},
                    ),
                    "blocker",
                )
            )
            translation.disposition = Disposition(
                "retain", "The rule crashed; plan this one by hand."
            )
        for loss in account(rule, resource.record):
            if not any(said_loss.field == loss.field for said_loss in translation.losses):
                translation.losses.append(loss)
    return said


# --------------------------------------------------------------------- one fate for every field

_Fate = Mapping[str, Any]
_CARRIED, _NOISE = "carried", "noise"


@cache
def _fates(rule_type: str) -> _Fate:
    from toolkit.rules import load

    return fate_tree(load()[rule_type])


def fate_tree(rule: Rule) -> _Fate:
    """The rule's fates as nested maps: member -> {"": fate of it, <member>: ...}."""
    tree: dict[str, Any] = {}
    for path, fate in (
        *((path, _CARRIED) for path in rule.carried),
        *((path, _NOISE) for path in (*rule.noise, *rule.volatile)),
        *((path, why if isinstance(why, Lost) else Lost(why)) for path, why in rule.lost.items()),
    ):
        node = tree
        for member in path.split("."):
            node = node.setdefault(member, {})
        node[""] = fate
    return tree


def account(rule: Rule, record: Mapping[str, Any]) -> Iterator[Loss]:
    """The losses that follow from the rule's fates: fields it declares lost, and unknown ones."""
    tree = _fates(rule.type)
    for member, value in record.items():
        below = tree.get(member)
        if below is None:
            if value not in (None, "", [], {}, False):
                yield Loss(member, "Unknown to this version of the rule.", "minor")
        elif len(below) > 1 or below.get("") not in (_CARRIED, _NOISE):
            yield from _account(below, value, member, None)


def _account(tree: _Fate, value: Any, path: str, inherited: object) -> Iterator[Loss]:
    fate = tree.get("", inherited)
    if value is None or value in ("", [], {}):
        return
    if isinstance(fate, Lost) and len(tree) == 1:
        if value is not False and value != fate.unless:
            yield Loss(path, fate.reason, fate.severity)
        return
    if isinstance(value, dict) and len(tree) > 1:
        for member, held in value.items():
            below = tree.get(member)
            if below is not None:
                yield from _account(below, held, f"{path}.{member}", fate)
            elif fate is None and held not in (None, "", [], {}, False):
                yield Loss(f"{path}.{member}", "Unknown to this version of the rule.", "minor")
            elif isinstance(fate, Lost) and held not in (None, "", [], {}, False, fate.unless):
                yield Loss(path, fate.reason, fate.severity)
    elif isinstance(value, list) and len(tree) > 1:
        seen: set[str] = set()
        for element in value:
            for loss in _account(tree, element, path, inherited):
                if loss.field not in seen:
                    seen.add(loss.field)
                    yield loss
