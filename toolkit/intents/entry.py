"""The ways in: load balancers with what they forward to, certificates, zones and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from toolkit.intents import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(Intent):
    """A certificate with its private key, issued anew: neither leaves AWS."""

    RANK: ClassVar[int] = 45

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer(Intent):
    """A load balancer with one address. `subnets` are keys; the first that is planned holds it."""

    RANK: ClassVar[int] = 70

    subnets: tuple[str, ...]
    public: bool
    idle_seconds: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener(Intent):
    """A port of a balancer. `pool` is the key of what it forwards to, `redirect` an address instead."""

    RANK: ClassVar[int] = 72

    balancer: str
    protocol: Literal["HTTP", "TERMINATED_HTTPS", "TCP", "UDP"]
    port: int
    allowed: tuple[str, ...] | None = None
    """CIDRs that may connect; None: everybody; empty: nobody."""
    certificate: str = ""
    pool: str = ""
    redirect: str = ""
    redirect_code: int = 0
    reject: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """How a pool asks its members whether they live. Seconds; codes like `200-299`."""

    kind: str
    path: str
    codes: str
    interval: int
    timeout: int
    fall: int
    rise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend(Intent):
    """Members behind a balancer: (key of a port or fleet, or an address; port of the member)."""

    RANK: ClassVar[int] = 71

    balancer: str
    protocol: Literal["HTTP", "HTTPS", "TCP", "UDP", "PROXY"]
    members: tuple[tuple[str, int], ...]
    probe: Probe | None = None
    sticky: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Intent):
    """A rule of a listener: where all conditions hold, forward, redirect or reject."""

    RANK: ClassVar[int] = 73

    listener: str
    position: int
    conditions: tuple[tuple[str, str, str, str], ...]
    """(kind: HOST_NAME, PATH, HEADER; comparison; key; value)."""
    pool: str = ""
    redirect: str = ""
    redirect_code: int = 0
    reject: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone(Intent):
    """A DNS zone."""

    RANK: ClassVar[int] = 90

    private: bool
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Records(Intent):
    """A set of records. `target` is the key of what an alias pointed at."""

    RANK: ClassVar[int] = 92

    zone: str
    kind: str
    ttl: int
    values: tuple[str, ...] = field(default=())
    target: str = ""
