"""Servers and what they start from: volumes, images, keys, groups of like servers, shared files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair(Intent):
    """A key by which operators get in. Its public part is the operator's own."""

    RANK: ClassVar[int] = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(Intent):
    """A machine. `ports` and `volumes` are keys, in the order in which they are attached.

    `boot`: rebuild from a catalogue image, from its moved image, or from its moved root volume.
    """

    RANK: ClassVar[int] = 60

    instance_type: str
    distribution: str
    boot: Literal["rebuild", "image", "volume"]
    root_gib: int
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    key: str = ""
    running: bool = True
    user_data: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet(Intent):
    """Like servers behind one name: `count` of them, spread over subnets."""

    RANK: ClassVar[int] = 60

    instance_type: str
    distribution: str
    root_gib: int
    count: int
    subnets: tuple[str, ...]
    firewalls: tuple[str, ...]
    key: str = ""
    user_data: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files(Intent):
    """A file system that several servers mount."""

    RANK: ClassVar[int] = 61

    gib: int
    subnets: tuple[str, ...]
    firewalls: tuple[str, ...]
