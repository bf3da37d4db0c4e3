"""Planned ranges and the networks that are routed together with them -> clashes; an equal range elsewhere is none.

Routed together is: what a planned network's own router reaches already (an interface that somebody
added, and the routers behind that), and the external network that the plan's routers lead to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toolkit.preflight.report import Finding

if TYPE_CHECKING:
    from toolkit.preflight.marks import Marks
    from toolkit.preflight.needs import Needs
    from toolkit.preflight.seen import Seen

INTERFACES = "network:router_interface"
"""device_owner of a router's foot in a network; distributed and highly available ones begin with it or with `network:ha_router`."""
Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def clashes(needs: Needs, seen: Seen, marks: Marks) -> Iterator[Finding]:
    """An error where Neutron would refuse or the internet's side would be hidden, a warning where routes would be doubtful."""
    if not {"subnets", "ports", "routers", "networks"} <= seen.held.keys():
        return
    planned = [(thing, net) for thing, net in needs.subnets()]
    own = marks.ids["subnets"]
    ranges = {str(s.id): net for s in seen["subnets"] if (net := _net(s.cidr)) is not None}
    names = {str(s.id): str(s.name or s.id) for s in seen["subnets"]}
    networks = {str(n.id): n for n in seen["networks"]}
    network_of = {str(s.id): str(s.network_id) for s in seen["subnets"]}

    def say(thing: Any, net: Net, other: str, cidr: Net, how: str, severity: Any) -> Finding:
        return Finding(
            "address", needs.where, thing.subject,
            f"{thing.subject} ({net}) overlaps with {other} ({cidr}), {how}",
            "Renumber one of them (decision `addresses`), or take the other away from that router.", severity,
        )  # fmt: skip

    outside = {
        str(s.id) for s in seen["subnets"]
        if (n := networks.get(str(s.network_id))) is not None and n.is_router_external and str(n.name) in needs.networks
    }  # fmt: skip
    for thing, net in planned:
        for id_ in sorted(outside):
            if id_ in ranges and _overlap(net, ranges[id_]):
                yield say(thing, net, f"{names[id_]} of the external network {networks[network_of[id_]].name}", ranges[id_], "which its router leads to", "error")  # fmt: skip
    feet: dict[str, set[str]] = {}
    for port in seen["ports"]:
        if str(port.device_owner).startswith((INTERFACES, "network:ha_router_replicated")):
            for fixed in port.fixed_ips or ():
                feet.setdefault(str(port.device_id), set()).add(str(fixed["subnet_id"]))
    routers = {str(r.id): r for r in seen["routers"]}
    home = {each.stack for each, _ in planned}
    told: set[tuple[str, str]] = set()
    for start in sorted(marks.ids["routers"]):
        stack = _stack(routers[start])
        if home and stack not in {f"stack={each}"[:60] for each in home}:
            continue
        here = [(t, n) for t, n in planned if f"stack={t.stack}"[:60] == stack]
        for thing, net in here:
            for id_, far in _reached(start, feet, network_of):
                if id_ in own or id_ in outside or id_ not in ranges or not _overlap(net, ranges[id_]):  # fmt: skip
                    continue
                if (thing.subject, id_) in told:
                    continue
                told.add((thing.subject, id_))
                how = f"which the router {routers[start].name} has already" if not far else f"which is reached from the router {routers[start].name} by another router"  # fmt: skip
                yield say(thing, net, names[id_], ranges[id_], how, "warning" if far else "error")
            for route in routers[start].routes or ():
                to = _net(str(route.get("destination")))
                if to is not None and to.prefixlen and _overlap(net, to) and to != net and not _planned_route(to, planned):  # fmt: skip
                    yield say(thing, net, f"the route to {to} by {route.get('nexthop')}", to, f"which the router {routers[start].name} has", "warning")  # fmt: skip


def _planned_route(to: Net, planned: list[tuple[Any, Net]]) -> bool:
    return any(to == net for _, net in planned)


def _reached(start: str, feet: dict[str, set[str]], network_of: dict[str, str]) -> Iterator[tuple[str, bool]]:  # fmt: skip
    """(subnet, whether another router lies between) of all that a router reaches."""
    direct = feet.get(start, set())
    yield from ((each, False) for each in sorted(direct))
    seen, routers, todo = set(direct), {start}, set(direct)
    while todo:
        nets = {network_of.get(each) for each in todo}
        next_ = {
            r for r, subnets in feet.items()
            if r not in routers and any(network_of.get(each) in nets for each in subnets)
        }  # fmt: skip
        routers |= next_
        todo = {each for r in next_ for each in feet[r]} - seen
        seen |= todo
        yield from ((each, True) for each in sorted(todo))


def _stack(router: Any) -> str:
    return next((each for each in router.tags or () if each.startswith("stack=")), "")


def _overlap(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _net(cidr: str) -> Net | None:
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None
