"""VPCs that go to one project -> those whose addresses overlap: side by side they work, linked they never do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Finding, text
from toolkit.rules._paths import cidrs_of, network_of

if TYPE_CHECKING:
    from toolkit.estate.model import Estate, Resource

_Range = tuple[int, int, str, "Resource"]


def addresses(
    estate: Estate, place: Callable[[Resource], str | None]
) -> Iterator[tuple[str, Finding]]:
    """One finding for each VPC with an overlap; `place`: which project and region it goes to, None if nowhere."""
    together: dict[str, list[_Range]] = {}
    for vpc in estate.of("aws.ec2.vpc"):
        where = place(vpc)
        if where is None:
            continue
        for net in map(network_of, cidrs_of(vpc.record)):
            if net is not None and net.version == 4:
                together.setdefault(where, []).append((int(net[0]), -int(net[-1]), str(net), vpc))
    found: dict[str, list[tuple[str, Resource]]] = {}
    for ranges in together.values():
        for outer, inner in _nested(sorted(ranges, key=lambda r: (r[0], r[1], r[3].key))):
            if outer[3].key != inner[3].key:
                found.setdefault(inner[3].key, []).append((outer[2], outer[3]))
                found.setdefault(outer[3].key, []).append((inner[2], inner[3]))
    for key, others in sorted(found.items()):
        names = [f"{other.name} ({cidr})" for cidr, other in others]
        yield (
            key,
            Finding(
                "addresses-clash",
                "warning",
                text(
                    "{name} overlaps with {others}{more} in the same project: they run side by side, but no route or link can join them until one is renumbered.",
                    name=estate.by_key[key].name,
                    others=", ".join(names[:3]),
                    more=text(" and {n} more", n=len(names) - 3) if len(names) > 3 else "",
                ),
            ),
        )


def _nested(ranges: list[_Range]) -> Iterator[tuple[_Range, _Range]]:
    """(outermost, each inside it): two CIDR blocks are nested or apart, never half over each other."""
    outer: _Range | None = None
    for each in ranges:
        if outer is not None and each[0] <= -outer[1]:
            yield outer, each
        else:
            outer = each
