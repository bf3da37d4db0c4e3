"""Servers, volumes, images and keys -> compute, blockstorage and images resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.intents.compute import Volume
from toolkit.outcomes import Loss, text
from toolkit.program import Config, Node

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target


def volume(intent: Volume, t: Target) -> Iterator[object]:
    """A Cinder volume of the nearest class; what its class cannot give is a loss."""
    choice = t.cloud.volume_type_for(
        intent.kind, intent.size_gib, intent.iops, intent.throughput, intent.encrypted
    )
    for what, missing in choice.shortfall.items():
        yield Loss(
            {"iops": "Iops", "mb_s": "Throughput"}.get(what, what),
            text(
                "{name} gives {missing} {what} less than the source.",
                name=choice.name,
                missing=missing,
                what=what,
            ),
            "major",
        )
    yield Node(
        type="openstack.blockstorage.Volume",
        origin=intent.origin,
        tier="data",
        topic="storage",
        props={
            "name": intent.name,
            "size": intent.size_gib,
            "volume_type": Config(
                f"volume-type-{intent.kind}", choice.name, doc=f"Volume type for EBS {intent.kind}."
            ),
            "metadata": dict(intent.tags),
        },
        protect=True,
        units={"volumes": 1, "volume_gb": intent.size_gib},
    )


REALISE: Mapping[type[Intent], Realise] = {Volume: volume}
