"""Servers and what they start from: volumes, images, keys, groups of like servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from toolkit.intents import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Intent):
    """A block device. Size in GiB, throughput in MiB/s."""

    RANK: ClassVar[int] = 40

    size_gib: int
    kind: str
    iops: int
    throughput: int
    encrypted: bool
    tags: Mapping[str, str] = field(default_factory=dict)
