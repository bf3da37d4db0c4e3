"""Networks, subnets, routers, firewalls, ports and public addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from toolkit.intents import Intent

Reach = Literal["public", "outbound", "isolated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Intent):
    """A private network with its subnets' common matters. `keep` says whether addresses stay."""

    RANK: ClassVar[int] = 10

    cidrs: tuple[str, ...]
    keep: bool
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Intent):
    """A subnet. `reach`: public (addresses of its own), outbound (through NAT), or isolated."""

    RANK: ClassVar[int] = 20

    network: str
    cidr: str
    zone: str
    reach: Reach
    dns: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routers(Intent):
    """The routers of a network: one with a gateway for what may get out, one without for the rest."""

    RANK: ClassVar[int] = 25

    network: str


@dataclass(frozen=True, slots=True)
class Opening:
    """One thing that a firewall lets pass. Ports inclusive, None for all; for ICMP type and code.

    `peer` is a CIDR, or the key of the firewall whose members are meant.
    """

    direction: Literal["ingress", "egress"]
    protocol: str
    first: int | None
    last: int | None
    peer: str
    family: Literal[4, 6] = 4
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall(Intent):
    """A named set of openings, put on ports; what is in none is refused.

    One group takes several forms in subnets with different access lists: their roles name the list
    by its key, `label` says it in words. `ways` are the roles of the ways along which a form holds:
    in a subnet of any other it must not be worn.
    """

    RANK: ClassVar[int] = 30

    network: str
    description: str
    openings: tuple[Opening, ...]
    label: str = ""
    ways: tuple[str, ...] = ("",)

    @staticmethod
    def along(forms: Iterable[object], way: str) -> Firewall | None:
        """The form of a group that holds along a way, or None: no other may stand in for it."""
        held = (each for each in forms if isinstance(each, Firewall) and way in each.ways)
        return next(held, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRules(Intent):
    """The openings of a network's firewalls: made after all firewalls, since they refer to each other."""

    RANK: ClassVar[int] = 35


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAddress(Intent):
    """An address of the internet. `port` is the key of what it is bound to, if anything."""

    RANK: ClassVar[int] = 38

    port: str = ""
    private: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port(Intent):
    """A network interface in a subnet with its addresses and firewalls."""

    RANK: ClassVar[int] = 55

    subnet: str
    addresses: tuple[str, ...]
    firewalls: tuple[str, ...]
    forwards: bool = False
    """Whether it passes on traffic that is not its own (a router, a VPN server)."""
    public: bool = False
    """Whether AWS gave it a public address that no resource of its own stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding(Intent):
    """A public address on a port, once both exist."""

    RANK: ClassVar[int] = 75

    address: str
    port: str
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Intent):
    """Two networks that reach each other."""

    RANK: ClassVar[int] = 28

    near: str
    far: str
    near_cidrs: tuple[str, ...]
    far_cidrs: tuple[str, ...]
