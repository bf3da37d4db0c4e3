"""What holds data behind a service: databases, caches, buckets, registries, clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from toolkit.intents import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Database(Intent):
    """A relational database. `vcpu` and `ram_gib` are None where its class is unknown; storage in GiB."""

    RANK: ClassVar[int] = 61

    engine: Literal["postgresql", "mysql", "mariadb", "other"]
    version: str
    source_engine: str
    vcpu: int | None
    ram_gib: float | None
    storage_gib: int
    storage_kind: str
    iops: int
    throughput: int
    encrypted: bool
    nodes: int
    port: int
    database: str
    user: str
    backup_days: int
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache(Intent):
    """An in-memory store. `nodes` per shard includes the primary."""

    RANK: ClassVar[int] = 61

    engine: Literal["valkey", "memcached"]
    version: str
    vcpu: int | None
    ram_gib: float | None
    shards: int
    nodes: int
    port: int
    tls: bool
    subnets: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket(Intent):
    """Object storage. The name may have to change: names are unique per provider."""

    RANK: ClassVar[int] = 45

    versioning: bool
    encryption: str
    public_read: bool
    cors_origins: tuple[str, ...]
    cors_headers: tuple[str, ...]
    index: str
    error: str
    expire_days: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry(Intent):
    """A repository of container images."""

    RANK: ClassVar[int] = 45

    immutable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Intent):
    """Like nodes of a cluster. Sizes are counts of nodes."""

    RANK: ClassVar[int] = 62

    cluster: str
    instance_type: str
    fewest: int
    most: int
    wanted: int
    disk_gib: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Intent):
    """A Kubernetes cluster."""

    RANK: ClassVar[int] = 61

    version: str
    subnets: tuple[str, ...]
    public_api: bool
    api_cidrs: tuple[str, ...]
