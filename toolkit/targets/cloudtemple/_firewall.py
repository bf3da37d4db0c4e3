"""Groups of a server or fleet -> variables of its host firewall; what they do not name is refused, both ways."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from toolkit.intents.compute import Fleet, Server
from toolkit.intents.network import Firewall, Opening, Port, Subnet
from toolkit.outcomes import Attachment, Loss, text
from toolkit.plan.names import slug
from toolkit.rules._paths import way_of

if TYPE_CHECKING:
    from toolkit.targets import Target

_HEAD = """# Host firewall of {name}: variables for Ansible. Closed by default in both directions; answers pass.
# `addresses` are those of the adapter that the entries hold for, or the network that it is in; for ICMP `first` is the type, `last` the code.
"""


def host_firewall(intent: Server | Fleet, t: Target) -> Iterator[object]:
    """One file per server or fleet: each adapter with what its groups let pass, members of groups by address."""
    adapters: list[dict[str, Any]] = []
    strangers: set[str] = set()
    for addresses, subnet, firewalls in _adapters(intent, t):
        allowed: dict[tuple[Any, ...], set[str]] = {}
        for each in _openings(subnet, firewalls, t):
            peers, unknown = _peers(each, t)
            strangers |= unknown
            if peers:
                said = (each.direction, each.protocol, each.first, each.last)
                allowed.setdefault(said, set()).update(peers)
        adapters.append(
            {
                "addresses": addresses,
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
            "SecurityGroups" if isinstance(intent, Server) else "LaunchTemplate.LaunchTemplateId",
            text(
                "Its host firewall knows the members of {groups} by the addresses of servers alone: fleets, balancers and databases among them are added by hand.",
                groups=", ".join(sorted(strangers)),
            ),
            "major",
        )


def _adapters(
    intent: Server | Fleet, t: Target
) -> Iterator[tuple[list[str], str, tuple[str, ...]]]:
    """(addresses, key of the subnet, groups) of each adapter; those of a fleet have any address of a subnet."""
    if isinstance(intent, Server):
        for key in intent.ports:
            held = t.intent(key, Port)
            if held is not None:
                yield list(held.addresses), held.subnet, held.firewalls
        return
    for key in intent.subnets:
        subnet = t.intent(key, Subnet)
        if subnet is not None:
            yield [subnet.cidr], key, intent.firewalls


def _file(intent: Server | Fleet, t: Target) -> str:
    """Its name, with a number where another of its kind has the same; fleets lie apart from servers."""
    name = slug(intent.name) or "server"
    same = [each.origin for each in t.all(type(intent)) if (slug(each.name) or "server") == name]
    place = sorted(same).index(intent.origin)
    folder = "fleets/" if isinstance(intent, Fleet) else ""
    return f"{folder}{name}-{place + 1}" if place else f"{folder}{name}"


def _openings(subnet: str, firewalls: tuple[str, ...], t: Target) -> Iterator[Opening]:
    """What groups let pass in a subnet, as their forms for its way say."""
    role = way_of(t.ctx, t.ctx.estate.by_key.get(subnet)).role
    for key in firewalls:
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
