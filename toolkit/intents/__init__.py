"""The neutral nouns between AWS and every target; one module per family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Something that must exist at the target, whatever the cloud.

    `origin` is the key of the AWS resource it came from, `name` the name people know it by. Other
    resources are referred to by their key. `RANK` orders the realisation: an intent may look at
    the nodes of every lower rank.
    """

    RANK: ClassVar[int] = 50

    origin: str
    name: str
    role: str = ""
    """Tells apart several intents of one origin; part of the logical name."""
