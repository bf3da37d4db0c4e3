"""Groups of a server -> variables of its host firewall; what they do not name is refused, both ways."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from toolkit.intents.compute import Server
from toolkit.intents.network import Firewall, Opening, Port
from toolkit.outcomes import Attachment, Loss, text
from toolkit.plan.names import slug
from toolkit.rules._paths import way_of

if TYPE_CHECKING:
    from toolkit.targets import Target

_HEAD = """# Host firewall of {name}: variables for Ansible. Closed by default in both directions; answers pass.
# `addresses` are those of the adapter that the entries hold for; for ICMP `first` is the type, `last` the code.
"""


def host_firewall(intent: Server, t: Target) -> Iterator[object]:
    """One file per server: each adapter with what its groups let pass, members of groups by address."""
    adapters: list[dict[str, Any]] = []
    strangers: set[str] = set()
    for key in intent.ports:
        held = t.intent(key, Port)
        if held is None:
            continue
        allowed: dict[tuple[Any, ...], set[str]] = {}
        for each in _openings(held, t):
            peers, unknown = _peers(each, t)
            strangers |= unknown
            if peers:
                said = (each.direction, each.protocol, each.first, each.last)
                allowed.setdefault(said, set()).update(peers)
        adapters.append(
            {
                "addresses": list(held.addresses),
                "allowed": [
                    {
                        "direction": direction,
                        "protocol": protocol,
                        "first": first,
                        "last": last,
                        "peers": _collapsed(allowed[direction, protocol, first, last]),
                    }
                    for direction, protocol, first, last in sorted(allowed, key=str)
                ],
            }
        )
    content = yaml.safe_dump({"host_firewall": adapters}, sort_keys=False, default_flow_style=None)
    head = _HEAD.format(name=" ".join(intent.name.split()))
    yield Attachment(f"firewall/{_file(intent, t)}.yaml", f"{head}{content}")
    if strangers:
        yield Loss(
            "SecurityGroups",
            text(
                "Its host firewall knows the members of {groups} by the addresses of servers alone: fleets, balancers and databases among them are added by hand.",
                groups=", ".join(sorted(strangers)),
            ),
            "major",
        )


def _file(intent: Server, t: Target) -> str:
    """The server's name, with a number where another has the same."""
    name = slug(intent.name) or "server"
    same = [each.origin for each in t.all(Server) if (slug(each.name) or "server") == name]
    place = sorted(same).index(intent.origin)
    return f"{name}-{place + 1}" if place else name


def _openings(port: Port, t: Target) -> Iterator[Opening]:
    """What the groups of a port let pass in its subnet, as their forms for its way say."""
    role = way_of(t.ctx, t.ctx.estate.by_key.get(port.subnet)).role
    for key in port.firewalls:
        held = Firewall.along(t.intents.get(key, ()), role)
        yield from held.openings if held else ()


def _peers(opening: Opening, t: Target) -> tuple[set[str], set[str]]:
    """(CIDRs, names of groups some members of which have no address yet) of an opening."""
    if opening.family == 6:
        return set(), set()
    if "|" not in opening.peer:
        return {opening.peer}, set()
    group = t.ctx.estate.by_key[opening.peer]
    members = [each for each in t.all(Port) if opening.peer in each.firewalls]
    known = {each.origin for each in members}
    others = [
        each
        for each in t.ctx.estate.where(
            "aws.ec2.network_interface", "VpcId", str(group.record.get("VpcId"))
        )
        if each.key not in known
        and any(one.get("GroupId") == group.id for one in each.record.get("Groups", []))
    ]
    addresses = {f"{address}/32" for each in members for address in each.addresses}
    return addresses, {group.name} if others else set()


def _collapsed(peers: set[str]) -> list[str]:
    nets = [ipaddress.IPv4Network(each, strict=False) for each in peers]
    return [str(each) for each in ipaddress.collapse_addresses(nets)]
