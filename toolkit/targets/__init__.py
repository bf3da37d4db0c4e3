"""Intents -> nodes of one cloud, in order of rank; a target is a folder of functions, found by walking it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.intents import Intent
from toolkit.outcomes import Loss, Text
from toolkit.program import Node, Out

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.translate import Context, Translation

I = TypeVar("I", bound=Intent)  # noqa: E741
Realise = Callable[[Any, "Target"], Iterator[object]]


@dataclass
class Target:
    """What a realising function may look at: the context, all intents, the nodes made so far."""

    ctx: Context
    intents: Mapping[str, tuple[Intent, ...]]
    nodes: dict[tuple[str, str], Node] = field(default_factory=dict)
    _kinds: dict[type[Intent], list[Any]] = field(default_factory=dict)
    _networks: dict[type[Intent], dict[object, list[Any]]] = field(default_factory=dict)

    @property
    def cloud(self) -> Cloud:
        return self.ctx.cloud

    def intent(self, key: str | None, kind: type[I]) -> I | None:
        """The intent of this kind that a resource became, or None."""
        for intent in self.intents.get(key or "", ()):
            if isinstance(intent, kind):
                return intent
        return None

    def all(self, kind: type[I]) -> Iterator[I]:
        """Every intent of a kind, in order of identity."""
        held = self._kinds.get(kind)
        if held is None:
            held = self._kinds[kind] = [
                intent
                for group in self.intents.values()
                for intent in group
                if isinstance(intent, kind)
            ]
        return iter(held)

    def within(self, kind: type[I], network: object) -> Sequence[I]:
        """Every intent of a kind that is of one network, in order of identity."""
        index = self._networks.get(kind)
        if index is None:
            index = self._networks[kind] = {}
            for intent in self.all(kind):
                index.setdefault(getattr(intent, "network", None), []).append(intent)
        return index.get(network, ())

    def node(self, key: str | None, role: str = "") -> Node | None:
        """A node made by an intent of lower rank (or earlier in the same rank), or None."""
        return self.nodes.get((key or "", role))

    def out(self, key: str | None, role: str = "", attr: str = "id") -> Out | None:
        """A reference to such a node, or None where nothing was planned for it."""
        return Out(key, role, attr) if key and (key, role) in self.nodes else None


@cache
def realisers(kind: str) -> Mapping[type[Intent], Realise]:
    """Intent type -> function, from every module of `toolkit/targets/<kind>/`.

    Raises ValueError where two modules claim one intent.
    """
    package = importlib.import_module(f"{__name__}.{kind}")
    found: dict[type[Intent], Realise] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        if module.name.startswith("_"):
            continue
        for intent, realise in importlib.import_module(
            f"{package.__name__}.{module.name}"
        ).REALISE.items():
            if intent in found:
                raise ValueError(f"{kind}: two modules realise {intent.__name__}")
            found[intent] = realise
    return found


def realise(ctx: Context, said: Mapping[str, Translation]) -> tuple[list[Node], Target]:
    """All nodes, in the order in which they may refer to each other.

    What a target says besides (losses, findings, moves, tasks, a disposition) is filed with the
    resource that the intent came from. An intent that the target does not know, or on which it
    crashes, becomes a loss that names it.
    """
    target = Target(ctx, {key: tuple(each.intents) for key, each in said.items() if each.intents})
    functions = realisers(ctx.cloud.kind)
    ordered = sorted(
        (intent for group in target.intents.values() for intent in group),
        key=lambda intent: intent.RANK,
    )
    for intent in ordered:
        filed = said[intent.origin]
        function = functions.get(type(intent))
        if function is None:
            filed.losses.append(
                Loss(
                    "*",
                    Text(
                        "{cloud} has nothing for a {noun} in this version.",
                        {"cloud": ctx.cloud.product, "noun": type(intent).__name__},
                    ),
                    "major",
                )
            )
            continue
        try:
            for outcome in function(intent, target):
                if isinstance(outcome, Node):
                    if (outcome.origin, outcome.role) in target.nodes:
                        raise ValueError(f"two nodes for {outcome.origin} {outcome.role!r}")
                    target.nodes[outcome.origin, outcome.role] = outcome
                elif not filed.take(outcome):
                    raise TypeError(f"a target may not yield {type(outcome).__name__}")
        except Exception as error:  # noqa: BLE001 - the crash fence; it ends up in the plan
            filed.losses.append(
                Loss(
                    "*",
                    Text(
                        "Planning this {noun} crashed: {error}",
                        {
                            "noun": type(intent).__name__,
                            "error": f"{type(error).__name__}: {error}",
                        },
                    ),
                    "blocker",
                )
            )
    return list(target.nodes.values()), target
