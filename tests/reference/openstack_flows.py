"""Planned nodes and a flow -> whether an OpenStack cloud lets it and its answer pass, and why.

Read as the cloud will see it, not as the plan means it: the OpenStack provider never sends a port
bound of 0, so `port_range_min=0` is the same as no bound (measured; an ICMP type 0 rule admits all
of ICMP). Where the plan leaves something open (an address that the cloud will choose, a group or
network that exists already), the answer that admits more is taken: this module looks for widening.
Sources: Neutron API reference and administration guide (security groups, routers, port security),
Octavia API reference, 2025.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from tests.reference import Flow, Internet, Nic, Verdict

Span = tuple[int, int, int]
"""Family, first and last address: one address, a prefix, or where an address will be chosen."""
Port = int | tuple[int, int]

NAMES = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51}
NAMES |= {"ipv6-icmp": 58, "icmpv6": 58, "ospf": 89, "vrrp": 112, "sctp": 132, "udplite": 136}
PORTED = frozenset({6, 17, 33, 132, 136})
ECHO = {8: 0, 13: 14, 17: 18, 128: 129}
LISTENER_NUMBERS = {"UDP": 17, "SCTP": 132}
HOPS = 8


@lru_cache(maxsize=65536)
def _span(text: str) -> Span:
    net = ip_network(text, strict=False)
    return net.version, int(net.network_address), int(net.broadcast_address)


def _meets(one: Span, other: Span) -> bool:
    return one[0] == other[0] and one[1] <= other[2] and other[1] <= one[2]


def _inside(small: Span, big: Span) -> bool:
    return small[0] == big[0] and big[1] <= small[1] and small[2] <= big[2]


@dataclass(frozen=True, slots=True)
class _Allow:
    """A security group rule as Neutron stores it. `low` -1: no bound; for ICMP type and code."""

    name: str
    family: int
    protocol: int
    low: int
    high: int
    spans: tuple[Span, ...] | None
    group: str


@dataclass(frozen=True, slots=True)
class _Subnet:
    name: str
    network: str
    span: Span
    gateway: int | None
    host_routes: tuple[tuple[Span, int], ...]


@dataclass(frozen=True, slots=True)
class _Router:
    name: str
    external: bool
    snat: bool
    legs: tuple[tuple[_Subnet, int], ...]
    """Attached subnets with the router's address in each."""
    routes: tuple[tuple[Span, int], ...]


@dataclass(frozen=True, slots=True)
class _Port:
    name: str
    network: str
    up: bool
    guarded: bool
    """Port security: off means no group and no anti-spoofing."""
    on_internet: bool
    addresses: Mapping[int, tuple[tuple[Span, str], ...]]
    groups: frozenset[str]
    ingress: tuple[_Allow, ...]
    egress: tuple[_Allow, ...]
    stateful: bool
    public: tuple[Span | None, ...]
    """Fixed addresses behind floating IPs; None is the first one."""


class _Refused(Exception):  # noqa: N818  a verdict on its way up, not an error
    pass


DefaultGroup = Literal["allow all", "same group"]


class World:
    """An index over planned nodes: {"type", "name", "props"}, references as {"$ref", "attr"}.

    `default_group` is what a port without explicit groups gets: OVHcloud's `default` group allows
    everything both ways; plain Neutron admits egress and its own members. `ipv6_routed`: whether
    the cloud routes the IPv6 prefixes of private networks behind an external gateway.
    `problems` lists rules that Neutron refuses (they exist in the plan and never in the cloud).
    """

    __slots__ = ("ipv6_routed", "members", "ports", "problems", "routers", "subnets")

    def __init__(
        self,
        nodes: Iterable[Mapping[str, Any]],
        *,
        default_group: DefaultGroup = "allow all",
        ipv6_routed: bool = True,
    ) -> None:
        kinds: dict[str, dict[str, Mapping[str, Any]]] = {}
        for node in nodes:
            kind = node["type"].removeprefix("openstack.")
            kinds.setdefault(kind, {})[node["name"]] = node["props"]
        self.ipv6_routed = ipv6_routed
        self.problems: list[str] = []
        networking = {
            kind.removeprefix("networking."): found
            for kind, found in kinds.items()
            if kind.startswith("networking.")
        }
        balancers = {
            kind.removeprefix("loadbalancer."): found
            for kind, found in kinds.items()
            if kind.startswith("loadbalancer.")
        }
        self.subnets = _subnets(networking)
        rules, stateless = _groups(networking, self.problems, default_group)
        self.ports = _ports(networking, self.subnets, rules, stateless)
        self.ports |= _vips(balancers, networking, self.subnets, self.ports)
        self.routers = _routers(networking, self.subnets, self.ports)
        members: dict[str, list[Span]] = {}
        pairs = {
            name: [
                _span(pair["ip_address"])
                for pair in props.get("allowed_address_pairs") or ()
                if isinstance(pair.get("ip_address"), str)
            ]
            for name, props in networking.get("Port", {}).items()
        }
        for port in self.ports.values():
            spans = [span for found in port.addresses.values() for span, _ in found]
            for group in port.groups:
                # A chosen address is one address: the port is matched by name, not by its range.
                exact = [span for span in spans if span[1] == span[2]]
                members.setdefault(group, []).extend(exact + pairs.get(port.name, []))
        self.members = {group: tuple(spans) for group, spans in members.items()}


def _ref(value: Any) -> str:
    """The logical name that is referred to; "" for nothing; the value itself if it is no node."""
    if isinstance(value, Mapping) and "$ref" in value:
        return str(value["$ref"])
    return "" if value is None else str(value)


def _address(value: Any) -> int | None:
    return int(ip_address(value)) if isinstance(value, str) and value else None


def _subnets(nodes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, _Subnet]:
    told: dict[str, list[tuple[Span, int]]] = {}
    for props in nodes.get("SubnetRoute", {}).values():
        hop = _address(props["next_hop"])
        if hop is not None:
            told.setdefault(_ref(props["subnet_id"]), []).append(
                (_span(props["destination_cidr"]), hop)
            )
    found = {}
    for name, props in nodes.get("Subnet", {}).items():
        span = _span(props["cidr"])
        gateway = None
        if not props.get("no_gateway"):
            gateway = _address(props.get("gateway_ip")) or span[1] + 1
        found[name] = _Subnet(
            name, _ref(props["network_id"]), span, gateway, _ranked(told.get(name, []))
        )
    return found


def _ranked(routes: list[tuple[Span, int]]) -> tuple[tuple[Span, int], ...]:
    return tuple(sorted(routes, key=lambda route: (route[0][2] - route[0][1], route)))


def _groups(
    nodes: Mapping[str, Mapping[str, Mapping[str, Any]]],
    problems: list[str],
    default_group: DefaultGroup,
) -> tuple[dict[tuple[str, str], list[_Allow]], set[str]]:
    """Rules by (group, direction), where group "" is the project's default; and stateless ones."""
    lists = {
        name: tuple(_span(text) for text in props.get("addresses") or ())
        for name, props in nodes.get("AddressGroup", {}).items()
    }
    rules: dict[tuple[str, str], list[_Allow]] = {}
    everything = [_Allow("default rule", family, -1, -1, -1, None, "") for family in (4, 6)]
    for name, props in nodes.get("SecGroup", {}).items():
        if not props.get("delete_default_rules"):
            rules[name, "egress"] = list(everything)
    rules["", "egress"] = list(everything)
    rules["", "ingress"] = (
        list(everything)
        if default_group == "allow all"
        else [_Allow("default rule", family, -1, -1, -1, (), "default") for family in (4, 6)]
    )
    for name, props in nodes.get("SecGroupRule", {}).items():
        problem, rule = _stored(name, props, lists)
        if rule is None:
            problems.append(f"{name}: {problem}")
            continue
        group = _ref(props["security_group_id"])
        rules.setdefault((group, props["direction"]), []).append(rule)
    groups = nodes.get("SecGroup", {})
    return rules, {name for name, props in groups.items() if props.get("stateful") is False}


def _stored(
    name: str, props: Mapping[str, Any], lists: Mapping[str, tuple[Span, ...]]
) -> tuple[str, _Allow | None]:
    family = 6 if props["ethertype"] == "IPv6" else 4
    named = str(props.get("protocol") or "any").lower()
    protocol = -1 if named in {"any", "0"} else NAMES.get(named, -2)
    if protocol == -2:
        if not named.isdigit() or int(named) > 255:
            return f"protocol {named} is not known", None
        protocol = int(named)
    if protocol == 1 and family == 6:
        protocol = 58  # Neutron reads icmp in an IPv6 rule as ipv6-icmp
    # The provider leaves out a bound of 0, so the cloud sees no bound.
    low = int(props.get("port_range_min") or 0) or -1
    high = int(props.get("port_range_max") or 0) or -1
    if protocol in {1, 58}:
        if high != -1 and low == -1:
            return "an ICMP code without its type is refused", None
        if max(low, high) > 255:
            return "ICMP type and code end at 255", None
    elif (low, high) != (-1, -1):
        if protocol not in PORTED:
            return "this protocol has no ports", None
        if low == -1 or high == -1 or low > high:
            return "a range with one bound, or upside down, is refused", None
    prefix, group = props.get("remote_ip_prefix"), _ref(props.get("remote_group_id"))
    listed = _ref(props.get("remote_address_group_id"))
    if sum(map(bool, (prefix, group, listed))) > 1:
        return "only one kind of remote is accepted", None
    spans: tuple[Span, ...] | None = None
    if prefix:
        spans = (_span(prefix),)
        if spans[0][0] != family:
            return f"{prefix} is not {props['ethertype']}", None
    elif listed:
        spans = lists[listed]
    elif group:
        spans = ()
    return "", _Allow(name, family, protocol, low, high, spans, group)


def _ports(
    nodes: Mapping[str, Mapping[str, Mapping[str, Any]]],
    subnets: Mapping[str, _Subnet],
    rules: Mapping[tuple[str, str], list[_Allow]],
    stateless: set[str],
) -> dict[str, _Port]:
    networks = nodes.get("Network", {})
    own_groups = nodes.get("SecGroup", {})
    public = _floating(nodes)
    later: dict[str, Mapping[str, Any]] = {
        _ref(props["port_id"]): props for props in nodes.get("PortSecGroupAssociate", {}).values()
    }
    found = {}
    for name, props in nodes.get("Port", {}).items():
        network = _ref(props["network_id"])
        # A network that the plan does not make exists already: the provider's public one.
        settings = networks.get(network, {"external": True})
        guarded = props.get("port_security_enabled")
        if guarded is None:
            guarded = settings.get("port_security_enabled", True) is not False
        asked = [_ref(each) for each in props.get("security_group_ids") or ()]
        if name in later:
            more = [_ref(each) for each in later[name]["security_group_ids"]]
            asked = more if later[name].get("enforce") else asked + more
        if not asked and not props.get("no_security_groups"):
            asked = [""]
        mine = [each if each in own_groups else "" for each in asked]
        found[name] = _Port(
            name,
            network,
            props.get("admin_state_up") is not False
            and settings.get("admin_state_up") is not False,
            bool(guarded),
            bool(settings.get("external")),
            _addresses(props, network, subnets),
            frozenset(each or "default" for each in mine),
            tuple(rule for each in mine for rule in rules.get((each, "ingress"), ())),
            tuple(rule for each in mine for rule in rules.get((each, "egress"), ())),
            not any(each in stateless for each in mine),
            tuple(public.get(name, ())),
        )
    return found


def _addresses(
    props: Mapping[str, Any], network: str, subnets: Mapping[str, _Subnet]
) -> dict[int, tuple[tuple[Span, str], ...]]:
    found: dict[int, tuple[tuple[Span, str], ...]] = {4: (), 6: ()}
    if props.get("no_fixed_ip"):
        return found
    fixed = props.get("fixed_ips") or [
        {"subnet_id": {"$ref": one.name}} for one in subnets.values() if one.network == network
    ]
    for one in fixed:
        subnet = subnets.get(_ref(one.get("subnet_id")))
        text = one.get("ip_address")
        if isinstance(text, str):
            span = _span(text)
            if subnet is None:
                subnet = next(
                    (
                        each
                        for each in subnets.values()
                        if each.network == network and _inside(span, each.span)
                    ),
                    None,
                )
        elif subnet is not None:
            span = subnet.span
        else:
            continue
        found[span[0]] += ((span, subnet.name if subnet else ""),)
    if not fixed:
        found = {4: ((_span("0.0.0.0/0"), ""),), 6: ((_span("::/0"), ""),)}
    return found


def _floating(
    nodes: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, list[Span | None]]:
    found: dict[str, list[Span | None]] = {}
    bonds = [*nodes.get("FloatingIp", {}).values(), *nodes.get("FloatingIpAssociate", {}).values()]
    for props in bonds:
        port = _ref(props.get("port_id"))
        if port:
            fixed = props.get("fixed_ip")
            found.setdefault(port, []).append(_span(fixed) if isinstance(fixed, str) else None)
    return found


def _vips(
    balancers: Mapping[str, Mapping[str, Mapping[str, Any]]],
    nodes: Mapping[str, Mapping[str, Mapping[str, Any]]],
    subnets: Mapping[str, _Subnet],
    ports: Mapping[str, _Port],
) -> dict[str, _Port]:
    """A load balancer as a port: its listeners are its rules; members see any address nearby."""
    public = _floating(nodes)
    found = {}
    for name, props in balancers.get("LoadBalancer", {}).items():
        rules = []
        for listener, asked in balancers.get("Listener", {}).items():
            if _ref(asked["loadbalancer_id"]) != name or asked.get("admin_state_up") is False:
                continue
            number = LISTENER_NUMBERS.get(asked["protocol"], 6)
            port = int(asked["protocol_port"])
            allowed = asked.get("allowed_cidrs") or ("0.0.0.0/0", "::/0")
            rules += [
                _Allow(listener, span[0], number, port, port, (span,), "")
                for span in map(_span, allowed)
            ]
        own = ports.get(_ref(props.get("vip_port_id")))
        if own is not None:
            addresses, network = own.addresses, own.network
        else:
            subnet = subnets.get(_ref(props.get("vip_subnet_id")))
            network = subnet.network if subnet else _ref(props.get("vip_network_id"))
            fixed = {"subnet_id": {"$ref": subnet.name}} if subnet else {}
            if isinstance(props.get("vip_address"), str):
                fixed["ip_address"] = props["vip_address"]
            addresses = _addresses({"fixed_ips": [fixed] if fixed else []}, network, subnets)
        found[name] = _Port(
            name,
            network,
            props.get("admin_state_up") is not False,
            True,
            network not in nodes.get("Network", {}),
            addresses,
            frozenset(),
            tuple(rules),
            tuple(_Allow("amphora", family, -1, -1, -1, None, "") for family in (4, 6)),
            True,
            tuple(public.get(name, own.public if own else ())),
        )
    return found


def _routers(
    nodes: Mapping[str, Mapping[str, Mapping[str, Any]]],
    subnets: Mapping[str, _Subnet],
    ports: Mapping[str, _Port],
) -> tuple[_Router, ...]:
    legs: dict[str, list[tuple[_Subnet, int]]] = {}
    for props in nodes.get("RouterInterface", {}).values():
        router = _ref(props["router_id"])
        subnet = subnets.get(_ref(props.get("subnet_id")))
        if subnet is not None and subnet.gateway is not None:
            legs.setdefault(router, []).append((subnet, subnet.gateway))
        port = ports.get(_ref(props.get("port_id")))
        if port is not None:
            for family in (4, 6):
                legs.setdefault(router, []).extend(
                    (subnets[name], span[1]) for span, name in port.addresses[family] if name
                )
    told: dict[str, list[tuple[Span, int]]] = {}
    for props in nodes.get("RouterRoute", {}).values():
        hop = _address(props["next_hop"])
        if hop is not None:
            told.setdefault(_ref(props["router_id"]), []).append(
                (_span(props["destination_cidr"]), hop)
            )
    return tuple(
        _Router(
            name,
            bool(props.get("external_network_id")),
            props.get("enable_snat") is not False,
            tuple(legs.get(name, ())),
            _ranked(told.get(name, [])),
        )
        for name, props in nodes.get("Router", {}).items()
        if props.get("admin_state_up") is not False
    )


def _filtered(
    world: World,
    port: _Port,
    direction: str,
    asked: tuple[int, Port],
    peer: Span,
    peer_port: _Port | None,
) -> str:
    if not port.guarded:
        return f"{port.name}: port security is off"
    protocol, number = asked
    for rule in port.ingress if direction == "ingress" else port.egress:
        if rule.family != peer[0] or (rule.protocol not in {-1, protocol}):
            continue
        if rule.protocol != -1 and rule.low != -1:
            if isinstance(number, tuple):
                if rule.low != number[0] or rule.high not in {-1, number[1]}:
                    continue
            elif not rule.low <= number <= rule.high:
                continue
        if rule.group:
            mine = peer_port is not None and rule.group in peer_port.groups
            spans = world.members.get(rule.group, ())
            if not mine and not any(_inside(peer, span) for span in spans):
                continue
        elif rule.spans is not None and not any(_meets(peer, span) for span in rule.spans):
            continue
        return f"{port.name}: {rule.name} admits it"
    raise _Refused(f"{port.name}: no {direction} rule of its groups admits it")


def _card(world: World, nic: Nic, family: int) -> tuple[_Port, Span, str]:
    port = world.ports[nic.id]
    if not port.up:
        raise _Refused(f"{nic.id}: it is down")
    for span, subnet in port.addresses[family]:
        if not nic.address or _inside(_span(nic.address), span):
            return port, _span(nic.address) if nic.address else span, subnet
    raise _Refused(f"{nic.id}: it has no such IPv{family} address")


def _first_hop(world: World, subnet: _Subnet, to: Span) -> _Router:
    hop = subnet.gateway
    for span, told in subnet.host_routes:
        if _meets(to, span):
            hop = told
            break
    if hop is None:
        raise _Refused(f"{subnet.name}: no gateway")
    return _holder(world, subnet, hop)


def _holder(world: World, subnet: _Subnet, address: int) -> _Router:
    for router in world.routers:
        for leg, mine in router.legs:
            if mine == address and leg is subnet:
                return router
    raise _Refused(f"{subnet.name}: no router that is up answers at its gateway address")


def _delivered(world: World, subnet: _Subnet, to: Span, target: _Subnet | None) -> _Router:
    """The last router on the way from `subnet` to `target`, or to the outside if that is None."""
    router = _first_hop(world, subnet, to)
    return _onward(world, router, to, target)


def _onward(world: World, router: _Router, to: Span, target: _Subnet | None) -> _Router:
    for _ in range(HOPS):
        if target is not None and any(leg is target for leg, _ in router.legs):
            return router
        hop = next((told for span, told in router.routes if _meets(to, span)), None)
        if hop is None:
            if target is None and router.external:
                return router
            raise _Refused(f"{router.name}: no route there")
        leg = next((leg for leg, _ in router.legs if leg.span[1] <= hop <= leg.span[2]), None)
        if leg is None:
            raise _Refused(f"{router.name}: the next hop is on none of its subnets")
        router = _holder(world, leg, hop)
    raise _Refused(f"{router.name}: the routes go in a circle")


def admits(world: World, flow: Flow) -> Verdict:
    """(world, flow) -> admitted or not, and why.

    Raises KeyError for a port that the world does not have, TypeError for a flow between two
    Internet addresses.
    """
    why: list[str] = []
    protocol = flow.protocol if isinstance(flow.protocol, int) else NAMES[flow.protocol]
    asked = (protocol, flow.port)
    answer: tuple[int, Port] | None = (protocol, flow.src_port)
    if isinstance(flow.port, tuple):
        echo = ECHO.get(flow.port[0]) if protocol in {1, 58} else None
        answer = None if echo is None else (protocol, (echo, 0))
    try:
        if protocol == (58 if flow.family == 4 else 1):
            raise _Refused(f"IPv{flow.family} does not carry protocol {protocol}")
        if isinstance(flow.src, Nic) and isinstance(flow.dst, Nic):
            _between(world, flow, asked, answer, why)
        elif isinstance(flow.src, Nic) and isinstance(flow.dst, Internet):
            _out(world, flow.src, _span(flow.dst.address), asked, answer, why)
        elif isinstance(flow.src, Internet) and isinstance(flow.dst, Nic):
            _in(world, _span(flow.src.address), flow.dst, asked, answer, why)
        else:
            raise TypeError("one end of a flow must be a port")
    except _Refused as refused:
        return Verdict(False, (*why, str(refused)))
    return Verdict(True, tuple(why))


def _between(
    world: World,
    flow: Flow,
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
) -> None:
    assert isinstance(flow.src, Nic)
    assert isinstance(flow.dst, Nic)
    src, here, home = _card(world, flow.src, flow.family)
    dst, there, away = _card(world, flow.dst, flow.family)
    if home and away and home != away:
        one, other = world.subnets[home], world.subnets[away]
        why.append(f"through {_delivered(world, one, there, other).name}")
        if answer:
            _delivered(world, other, here, one)
    elif src.network != dst.network:
        raise _Refused(f"{src.name} and {dst.name}: no router between their networks")
    why.append(_filtered(world, src, "egress", asked, there, dst))
    why.append(_filtered(world, dst, "ingress", asked, here, src))
    if answer and not dst.stateful:
        why.append(_filtered(world, dst, "egress", answer, here, src))
    if answer and not src.stateful:
        why.append(_filtered(world, src, "ingress", answer, there, dst))


def _floats(port: _Port, mine: Span) -> bool:
    first = port.addresses[4][0][0] if port.addresses[4] else None
    return any((fixed or first) == mine for fixed in port.public)


def _out(
    world: World,
    nic: Nic,
    there: Span,
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
) -> None:
    port, here, home = _card(world, nic, there[0])
    if not port.on_internet:
        if not home:
            raise _Refused(f"{port.name}: its subnet is not known")
        subnet = world.subnets[home]
        router = _delivered(world, subnet, there, None)
        if here[0] == 6:
            if not world.ipv6_routed:
                raise _Refused(f"{router.name}: the cloud does not route private IPv6 prefixes")
        elif not router.snat and not _floats(port, here):
            raise _Refused(f"{router.name}: SNAT is off and {port.name} has no floating IP")
        if answer:
            _onward(world, router, here, subnet)
        why.append(f"out through {router.name}")
    why.append(_filtered(world, port, "egress", asked, there, None))
    if answer and not port.stateful:
        why.append(_filtered(world, port, "ingress", answer, there, None))


def _in(
    world: World,
    there: Span,
    nic: Nic,
    asked: tuple[int, Port],
    answer: tuple[int, Port] | None,
    why: list[str],
) -> None:
    port, here, home = _card(world, nic, there[0])
    if not port.on_internet:
        if here[0] == 4 and not _floats(port, here):
            raise _Refused(f"{port.name}: it has no floating IP")
        if not home:
            raise _Refused(f"{port.name}: its subnet is not known")
        router = _delivered(world, world.subnets[home], there, None)
        if here[0] == 6 and not world.ipv6_routed:
            raise _Refused(f"{router.name}: the cloud does not route private IPv6 prefixes")
        if here[0] == 4 and not any(leg.name == home for leg, _ in router.legs):
            # Neutron ties a floating IP to the router that joins its subnet to the outside.
            raise _Refused(f"{router.name}: it is not attached to {home}")
        why.append(f"in through {router.name}")
    why.append(_filtered(world, port, "ingress", asked, there, None))
    if answer and not port.stateful:
        why.append(_filtered(world, port, "egress", answer, there, None))
