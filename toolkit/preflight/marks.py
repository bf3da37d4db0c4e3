"""Objects at the target -> which of them this plan made already, by the stack and name that each carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.preflight.needs import Needs
    from toolkit.preflight.seen import Seen

_BRACKETS = re.compile(r"\[([^\[\]/]+)/([^\[\]/]+)\]$")
TAG = 60
"""Characters of a tag of Neutron's; `toolkit.plan.mark` cuts there."""


@dataclass(frozen=True)
class Marks:
    """(stack, name) of every planned resource, and the ids of what carries one of them, by kind of FETCHES."""

    planned: frozenset[tuple[str, str]]
    ids: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, needs: Needs, seen: Seen) -> Marks:
        """What of the seen is the plan's own."""
        planned = frozenset(
            form
            for each in needs.things
            for form in (each.marks, (f"stack={each.stack}"[:TAG], f"name={each.name}"[:TAG]))
        )
        ids = {
            kind: frozenset(str(o.id) for o in seen[kind] if _mark(o) in planned)
            for kind in ("networks", "subnets", "ports", "routers", "groups", "addresses", "balancers", "servers", "volumes", "zones", "listeners", "pools", "l7policies")
            if kind in seen
        }  # fmt: skip
        return cls(planned, ids)

    def own(self, kind: str, held: Any) -> bool:
        """Whether an object was made by this plan."""
        return str(held.id) in self.ids.get(kind, frozenset())

    def count(self, kind: str) -> int:
        return len(self.ids.get(kind, frozenset()))


def _mark(held: Any) -> tuple[str, str] | None:
    """Who an object says it is: by its tags, its metadata or its description."""
    tags = [each for each in getattr(held, "tags", None) or () if isinstance(each, str)]
    stack = next((each for each in tags if each.startswith("stack=")), "")
    name = next((each for each in tags if each.startswith("name=")), "")
    if stack and name:
        return stack, name
    metadata = getattr(held, "metadata", None)
    if isinstance(metadata, Mapping) and "repatria-stack" in metadata:
        return str(metadata["repatria-stack"]), str(metadata.get("repatria-name", ""))
    found = _BRACKETS.search(str(getattr(held, "description", None) or ""))
    return (found[1], found[2]) if found else None
