"""The whole estate -> what a good consultant would point out beyond single resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.assess.clear_text import clear_text
from toolkit.assess.dependencies import dependencies
from toolkit.assess.exposure import exposure
from toolkit.assess.idle import idle
from toolkit.assess.names import names
from toolkit.assess.sharing import sharing
from toolkit.outcomes import Finding

if TYPE_CHECKING:
    from toolkit.estate.model import Estate
    from toolkit.plan.applications import Applications
    from toolkit.plan.graph import Graph


def assess(
    estate: Estate, graph: Graph, applications: Applications
) -> Iterator[tuple[str, Finding]]:
    """(key, finding) in a stable order."""
    yield from dependencies(estate, graph, applications)
    yield from exposure(estate, graph)
    yield from names(estate)
    yield from idle(estate, graph)
    yield from sharing(estate, graph, applications)
    yield from clear_text(estate)
