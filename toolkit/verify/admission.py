"""Rules of a security group -> the traffic they admit, as a set; two texts that admit the same are equal."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FULL = 65535
"""Ports, ICMP types and codes all run from 0 to here, so that a rule for any protocol holds every other one."""
NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4, "ipv6-encap": 41,
    "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46,
    "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Neutron's names of IP protocols -> their numbers (IANA), as in the Networking API's security-group-rule reference."""
WITH_PORTS = {6, 17, 33, 132, 136}

Interval = tuple[int, int]
Box = tuple[Interval, Interval, Interval, Interval]
"""Protocols x ports (or ICMP types) x ICMP codes x peer addresses; each interval has both its ends."""
Side = tuple[str, str, str]
"""Direction, ethertype, and the peer group's id; empty where the peer is a range of addresses."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What one rule admits: `box` on one `side`."""

    side: Side
    box: Box

    def __str__(self) -> str:
        direction, ethertype, group = self.side
        protocol, first, second, peer = self.box
        words = [direction, ethertype, _protocol(protocol), *_ports(protocol, first, second)]
        word = "from" if direction == "ingress" else "to"
        return f"{' '.join(words)} {word} {_peer(ethertype, group, peer)}"


def admitted(rule: Mapping[str, Any]) -> Admitted:
    """One rule, in the Networking API's words -> what it admits.

    Raises ValueError for a protocol that has neither a known name nor a number, or an address that is none.
    """
    ethertype = str(rule.get("ethertype") or "IPv4")
    protocol = _number(rule.get("protocol"), ethertype)
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    first: Interval = (0, FULL)
    second: Interval = (0, FULL)
    if protocol in {1, 58}:
        first = (int(low), int(low)) if low is not None else first
        second = (int(high), int(high)) if high is not None else second
    elif low is not None or high is not None:
        start = int(low if low is not None else 0)
        # port 0 carries nothing: 1-65535 and all ports are the same
        first = (0 if start <= 1 else start, int(high) if high is not None else FULL)
    group = rule.get("remote_group_id") or rule.get("remote_address_group_id") or ""
    span: Interval = (0, (1 << (32 if ethertype == "IPv4" else 128)) - 1)
    if not group and rule.get("remote_ip_prefix"):
        net = ipaddress.ip_network(str(rule["remote_ip_prefix"]), strict=False)
        span = (int(net[0]), int(net[-1]))
    return Admitted(
        (str(rule["direction"]), ethertype, str(group)),
        ((0, 255) if protocol is None else (protocol, protocol), first, second, span),
    )


def asked(rule: Mapping[str, Any]) -> Admitted:
    """The same of a rule of the plan, as it reaches the API: the provider never sends a bound of 0 (measured).

    The plan writes a code of 0 for any code of an ICMP type, since the provider wants both bounds.
    """
    bounds = ("port_range_min", "port_range_max")
    return admitted({name: held for name, held in rule.items() if name not in bounds or held})


def _number(protocol: Any, ethertype: str) -> int | None:
    if protocol in (None, "", "any", "0", 0):
        return None
    word = str(protocol).lower()
    if word == "icmp" and ethertype == "IPv6":
        word = "icmpv6"
    number = NUMBERS.get(word)
    return int(word) if number is None else number


def beyond(some: Iterable[Admitted], others: Sequence[Admitted]) -> Iterator[tuple[int, Admitted]]:
    """What each of `some` admits that no one of `others` does: (its place among them, the rest)."""
    held: dict[Side, list[Box]] = {}
    for each in others:
        held.setdefault(each.side, []).append(each.box)
    same = set(others)
    for number, each in enumerate(some):
        if each in same:
            continue
        rest = [each.box]
        for box in held.get(each.side, ()):
            rest = [piece for old in rest for piece in _without(old, box)]
            if not rest:
                break
        for piece in rest:
            yield number, Admitted(each.side, piece)


def _without(box: Box, hole: Box) -> Iterator[Box]:
    """A box minus another: at most two pieces a dimension, none of them overlapping."""
    if any(b[0] > h[1] or b[1] < h[0] for b, h in zip(box, hole, strict=True)):
        yield box
        return
    rest: list[Interval] = list(box)
    for axis, (low, high) in enumerate(hole):
        start, stop = rest[axis]
        if start < low:
            yield _as_box(rest, axis, (start, low - 1))
        if stop > high:
            yield _as_box(rest, axis, (high + 1, stop))
        rest[axis] = (max(start, low), min(stop, high))


def _as_box(parts: list[Interval], axis: int, interval: Interval) -> Box:
    held = [*parts[:axis], interval, *parts[axis + 1 :]]
    return held[0], held[1], held[2], held[3]


def _protocol(span: Interval) -> str:
    if span == (0, 255):
        return "any protocol"
    if span[0] != span[1]:
        return f"protocols {span[0]}-{span[1]}"
    return next(
        (name for name, number in NUMBERS.items() if number == span[0]), f"protocol {span[0]}"
    )


def _ports(protocol: Interval, first: Interval, second: Interval) -> list[str]:
    if protocol[0] != protocol[1] or (first, second) == ((0, FULL), (0, FULL)):
        return []
    if protocol[0] in {1, 58}:
        return [f"type {_span(first)}", *([f"code {_span(second)}"] if second != (0, FULL) else [])]
    return [_span(first)]


def _span(span: Interval) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def _peer(ethertype: str, group: str, span: Interval) -> str:
    if group:
        return f"the group {group}"
    kind = ipaddress.IPv4Address if ethertype == "IPv4" else ipaddress.IPv6Address
    whole = 32 if ethertype == "IPv4" else 128
    size = span[1] - span[0] + 1
    if size & (size - 1) == 0 and span[0] % size == 0:
        return f"{kind(span[0])}/{whole + 1 - size.bit_length()}"
    return f"{kind(span[0])}-{kind(span[1])}"
