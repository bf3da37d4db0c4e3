"""Words of the referee: who talks to whom, and what is said about it; data only, no judgement.

The referee shares no code with what it judges. `aws_flows` reads raw AWS records, `openstack_flows`
reads planned nodes, and neither imports the other: agreement between them means something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface: its AWS id, or the logical name of the port at the target.

    `address` picks one of several; empty means the first of the flow's family.
    """

    id: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Internet:
    """An address that belongs to neither side. A path between two public addresses is two flows."""

    address: str


Endpoint = Nic | Internet


@dataclass(frozen=True, slots=True)
class Flow:
    """A request and the answer it expects.

    `protocol`: tcp, udp, icmp, icmpv6 or an IP protocol number. `port`: the destination port; for
    ICMP the pair (type, code); ignored for other protocols. `src_port`: where the answer goes; the
    default lies in the ephemeral ranges of Linux, Windows and NAT gateways alike.
    """

    src: Endpoint
    dst: Endpoint
    protocol: str | int
    port: int | tuple[int, int] = 0
    family: Family = 4
    src_port: int = 50000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Admitted when request and answer both pass; `why` is the way taken, or ends in the refusal."""

    allowed: bool
    why: tuple[str, ...]
