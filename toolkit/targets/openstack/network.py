"""Networks -> Neutron: one router with a gateway for what may get out, one without for what may not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.network import (
    Binding,
    Firewall,
    FirewallRules,
    Link,
    Network,
    Port,
    PublicAddress,
    Routers,
    Subnet,
)
from toolkit.outcomes import Loss, Option, text
from toolkit.plan.names import slug
from toolkit.program import Config, Lookup, Node, Out
from toolkit.rules._paths import way_of

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target

EDGE, INNER = "edge", "inner"


def external(t: Target) -> Lookup:
    """The external network, by its configured name."""
    name = Config(
        "external-network", t.cloud.external_network, doc="Network that leads to the internet."
    )
    return Lookup("openstack.networking.get_network", (("name", name), ("external", True)))


def network(intent: Network, t: Target) -> Iterator[object]:
    """One network per VPC: its subnets share it, groups on every port keep them apart."""
    yield Node(
        type="openstack.networking.Network", origin=intent.origin, tier="network", topic="network", vpc=intent.origin,
        props={"name": intent.name, "admin_state_up": True}, units={"networks": 1},
    )  # fmt: skip
    if len(intent.tags) > 1:
        yield Loss(
            "Tags.Key",
            text(
                "Networks carry the plan's own tags, not {tags}.",
                tags=", ".join(f"{k}={v}" for k, v in sorted(intent.tags.items()) if k != "Name"),
            ),
        )


def subnet(intent: Subnet, t: Target) -> Iterator[object]:
    """Same addresses; the first ones that AWS kept for itself serve router and DHCP here."""
    held = t.intent(intent.network, Network)
    if held is None or t.node(intent.network) is None:
        yield Loss("VpcId", "Its network is not planned.", "blocker")
        return
    net = ipaddress.IPv4Network(intent.cidr, strict=False)
    least = int(t.cloud.profile["min_subnet_prefix"])
    if net.prefixlen > least:
        yield Loss(
            "CidrBlock",
            text(
                "{cidr} is smaller than the /{least} that the target's own services need.",
                cidr=intent.cidr,
                least=least,
            ),
            "blocker",
        )
        return
    cidr: Any = str(net)
    props: dict[str, Any] = {
        "name": intent.name, "network_id": t.out(intent.network), "cidr": cidr, "ip_version": 4, "gateway_ip": str(net[1]),
        "enable_dhcp": True, "allocation_pools": [{"start": a, "end": b} for a, b in _pools(net, intent.reserved if held.keep else ())],
    }  # fmt: skip
    if not held.keep:
        props["cidr"] = Config(
            f"cidr-{slug(intent.name)}",
            str(net),
            doc=f"New addresses for {intent.name}; {net} at AWS.",
        )
        del props["gateway_ip"], props["allocation_pools"]
    if intent.dns:
        props["dns_nameservers"] = list(intent.dns)
    # a DHCP port belongs to the network and has an address in each of its subnets: one per agent
    first = not any(t.node(each.origin) for each in t.within(Subnet, intent.network))
    dhcp = {"ports": int(t.cloud.profile["dhcp_ports"])} if first else {}
    yield Node(
        type="openstack.networking.Subnet", origin=intent.origin, tier="network", topic="network", vpc=intent.network, props=props,
        units={"subnets": 1, **dhcp},
    )  # fmt: skip
    if len(intent.tags) > 1:
        yield Loss(
            "Tags.Key",
            text(
                "Subnets carry the plan's own tags, not {tags}.",
                tags=", ".join(f"{k}={v}" for k, v in sorted(intent.tags.items()) if k != "Name"),
            ),
        )


def _pools(net: ipaddress.IPv4Network, reserved: tuple[str, ...]) -> list[tuple[str, str]]:
    """Allocation pools: everything but network, broadcast, router (.1), inner router (.3) and kept addresses."""
    taken = {int(net[0]), int(net[1]), int(net[3]), int(net[-1])}
    taken |= {
        int(ipaddress.IPv4Address(each)) for each in reserved if ipaddress.IPv4Address(each) in net
    }
    pools: list[tuple[str, str]] = []
    start = int(net[0])
    for stop in [*sorted(taken), int(net[-1])]:
        if stop - 1 >= start and start not in taken:
            pools.append((str(ipaddress.IPv4Address(start)), str(ipaddress.IPv4Address(stop - 1))))
        start = stop + 1
    return pools


def routers(intent: Routers, t: Target) -> Iterator[object]:
    """Edge router for subnets with a way out, inner router for isolated ones, routes between the two.

    One router with a gateway for all would hand isolated subnets the internet through its SNAT.
    """
    subnets = [each for each in t.within(Subnet, intent.network) if t.node(each.origin)]
    if not subnets:
        return
    open_ = [each for each in subnets if each.reach != "isolated"]
    closed = [each for each in subnets if each.reach == "isolated"]
    if open_:
        props: dict[str, Any] = {
            "name": f"{intent.name}-edge",
            "admin_state_up": True,
            "external_network_id": external(t),
        }
        yield _router(intent, EDGE, props)
        if any(each.reach == "public" for each in open_):
            yield from _public_egress(intent, t)
    if closed:
        yield _router(intent, INNER, {"name": f"{intent.name}-inner", "admin_state_up": True})
    for role, group in ((EDGE, open_), (INNER, closed)):
        for each in group:
            yield Node(
                type="openstack.networking.RouterInterface", origin=each.origin, role="router", tier="network", topic="network", vpc=intent.network,
                props={"router_id": Out(intent.origin, role), "subnet_id": t.out(each.origin)}, units={"ports": 1},
            )  # fmt: skip
    if open_ and closed:
        yield from _between(intent, t, open_, closed)


def _router(intent: Routers, role: str, props: dict[str, Any]) -> Node:
    return Node(
        type="openstack.networking.Router",
        origin=intent.origin,
        role=role,
        tier="network",
        topic="network",
        vpc=intent.network,
        props=props,
        units={"routers": 1},
    )


def _public_egress(intent: Routers, t: Target) -> Iterator[object]:
    t.ctx.decide(
        intent.origin, "public-egress", text("May servers without a public address in the public subnets of {name} reach the internet?", name=intent.name),
        (
            Option("admit", "Yes", "The router translates their addresses; at AWS they could not get out. Groups still limit where to."),
            Option("review", "No: narrow their groups first", "The plan stays as it is; egress rules of those groups must be narrowed before apply."),
        ),
        "admit", "Neutron's router translates for every subnet on it, and turning that off is the provider's right.",
        t.cloud.known("networks.router"),
    )  # fmt: skip
    yield Loss(
        "RouteTables",
        "Servers without a public address in public subnets can get out through the router; at AWS they cannot.",
        "minor",
    )


def _between(
    intent: Routers, t: Target, open_: list[Subnet], closed: list[Subnet]
) -> Iterator[object]:
    link = open_[0]
    net = ipaddress.IPv4Network(link.cidr, strict=False)
    whole = t.intent(intent.network, Network)
    fixed: dict[str, Any] = {"subnet_id": t.out(link.origin)}
    foot: Any = Out(intent.origin, "inner-port", "all_fixed_ips[0]")
    if whole is not None and whole.keep:
        foot = fixed["ip_address"] = str(net[3])
    yield Node(
        type="openstack.networking.Port", origin=intent.origin, role="inner-port", tier="network", topic="network", vpc=intent.network,
        props={"name": f"{intent.name}-inner", "network_id": t.out(intent.network), "fixed_ips": [fixed], "admin_state_up": True, "port_security_enabled": False},
        units={"ports": 1}, comment="The inner router's foot in a subnet of the edge router: .3 is free, AWS kept it for itself." if "ip_address" in fixed
        else "The inner router's foot in a subnet of the edge router, at an address that Networking picks.",
    )  # fmt: skip
    yield Node(
        type="openstack.networking.RouterInterface", origin=intent.origin, role="inner-link", tier="network", topic="network", vpc=intent.network,
        props={"router_id": Out(intent.origin, INNER), "port_id": Out(intent.origin, "inner-port")},
    )  # fmt: skip
    edge = t.node(link.origin)
    assert edge is not None  # noqa: S101 - it was planned above
    for each in closed:
        yield Node(
            type="openstack.networking.RouterRoute", origin=each.origin, role="route", tier="network", topic="network", vpc=intent.network,
            props={"router_id": Out(intent.origin, EDGE), "destination_cidr": _range(t, each), "next_hop": foot},
            depends_on=(Out(intent.origin, "inner-link"), *(Out(o.origin, "router") for o in open_[:1])),
        )  # fmt: skip
    for each in open_[1:]:
        yield Node(
            type="openstack.networking.RouterRoute", origin=each.origin, role="route", tier="network", topic="network", vpc=intent.network,
            props={"router_id": Out(intent.origin, INNER), "destination_cidr": _range(t, each), "next_hop": _gate(t, link)},
            depends_on=(Out(intent.origin, "inner-link"),),
        )  # fmt: skip


def _range(t: Target, subnet_: Subnet) -> Any:
    """Where routes to a subnet lead: its addresses, or the new ones where its network is renumbered."""
    whole = t.intent(subnet_.network, Network)
    kept = whole is None or whole.keep
    return subnet_.cidr if kept else Out(subnet_.origin, "", "cidr")


def _gate(t: Target, subnet_: Subnet) -> Any:
    """The address of a subnet's own router in it."""
    whole = t.intent(subnet_.network, Network)
    if whole is not None and whole.keep:
        return str(ipaddress.IPv4Network(subnet_.cidr, strict=False)[1])
    return Out(subnet_.origin, "", "gateway_ip")


def _ranges(t: Target, network_: str, cidrs: tuple[str, ...]) -> list[tuple[str, str, Any]]:
    """(role, label, range) of everything on a side of a link: AWS's blocks, or each subnet's new addresses."""
    whole = t.intent(network_, Network)
    if whole is None or whole.keep:
        return [(slug(cidr), "", cidr) for cidr in cidrs]
    return [
        (each.origin, slug(each.name), _range(t, each))
        for each in t.within(Subnet, network_)
        if t.node(each.origin)
    ]


def link(intent: Link, t: Target) -> Iterator[object]:
    """A port of the far network's router in the near one, at an address that Networking picks, and routes both ways."""
    near, far = t.intent(intent.near, Routers), t.intent(intent.far, Routers)
    near_open, far_open = _first(t, intent.near), _first(t, intent.far)
    if near is None or far is None or near_open is None or far_open is None:
        yield Loss(
            "AccepterVpcInfo.VpcId",
            "One side has no subnet with a router, so there is nothing to link.",
            "major",
        )
        return
    far_role = EDGE if far_open.reach != "isolated" else INNER
    near_role = EDGE if near_open.reach != "isolated" else INNER
    foot = Out(intent.origin, "port", "all_fixed_ips[0]")
    gate = _gate(t, near_open)
    yield Node(
        type="openstack.networking.Port", origin=intent.origin, role="port", tier="network", topic="network", vpc=intent.near,
        props={"name": intent.name, "network_id": t.out(intent.near), "fixed_ips": [{"subnet_id": t.out(near_open.origin)}], "admin_state_up": True, "port_security_enabled": False}, units={"ports": 1},
        comment="The address is Networking's choice, out of what servers do not keep: any number of links may end in one subnet.",
    )  # fmt: skip
    yield Node(
        type="openstack.networking.RouterInterface", origin=intent.origin, role="interface", tier="network", topic="network", vpc=intent.near,
        props={"router_id": Out(intent.far, far_role), "port_id": Out(intent.origin, "port")},
    )  # fmt: skip
    for key, label, cidr in _ranges(t, intent.far, intent.far_cidrs):
        yield Node(
            type="openstack.networking.RouterRoute", origin=intent.origin, role=f"to-{key}", label=f"to-{label}" if label else "", tier="network", topic="network", vpc=intent.near,
            props={"router_id": Out(intent.near, near_role), "destination_cidr": cidr, "next_hop": foot}, depends_on=(Out(intent.origin, "interface"), Out(near_open.origin, "router")),
        )  # fmt: skip
    for each in t.within(Subnet, intent.near):
        if (
            each.origin != near_open.origin
            and (each.reach == "isolated") == (near_open.reach == "isolated")
            and t.node(each.origin)
        ):
            yield Node(
                type="openstack.networking.RouterRoute", origin=intent.origin, role=f"back-{slug(each.cidr)}", tier="network", topic="network", vpc=intent.near,
                props={"router_id": Out(intent.far, far_role), "destination_cidr": _range(t, each), "next_hop": gate}, depends_on=(Out(intent.origin, "interface"),),
            )  # fmt: skip
    yield Loss(
        "Status.Code",
        "The link joins the routed subnets of both sides; isolated subnets are not linked.",
    )


def _first(t: Target, network_: str) -> Subnet | None:
    held = [each for each in t.within(Subnet, network_) if t.node(each.origin)]
    return next((each for each in held if each.reach != "isolated"), held[0] if held else None)


def firewall(intent: Firewall, t: Target) -> Iterator[object]:
    """The group alone; its rules follow when every group exists."""
    whole = t.intent(intent.network, Network)
    if whole is not None and not whole.keep:
        stale = sorted(
            {
                each.peer
                for each in intent.openings
                if "|" not in each.peer and _renumbered(t, intent.network, each.peer)[0][2] == each.peer
                and any(_overlap(each.peer, cidr) for cidr in whole.cidrs)
            }
        )  # fmt: skip
        if stale:
            yield Loss(
                "IpPermissions.IpRanges.CidrIp",
                text("{cidrs} are addresses of the network that is renumbered, and no whole subnets of it: write the new ones into the rules.", cidrs=", ".join(stale)),
                "major",
            )  # fmt: skip
    yield Node(
        type="openstack.networking.SecGroup", origin=intent.origin, role=intent.role, label=intent.label, tier="network", topic="security", vpc=intent.network,
        props={"name": intent.name, "description": _plain(intent.description), "delete_default_rules": True}, units={"security_groups": 1},
    )  # fmt: skip


def firewall_rules(intent: FirewallRules, t: Target) -> Iterator[object]:
    """Every opening of every group of one network, each once, under a name made of what it says."""
    forwarding = _forwarding(t, intent.origin)
    for held in t.within(Firewall, intent.origin):
        seen: set[str] = set()
        for each in held.openings:
            peers: list[tuple[str, str, dict[str, Any]]] = []
            if each.peer in forwarding:
                # Neutron counts the foreign addresses that a member may send from as members.
                peers = [
                    (slug(address), slug(address), {"remote_ip_prefix": f"{address}/32"})
                    for address in forwarding[each.peer]
                ]
            elif "|" in each.peer:
                peers = [
                    (f"{f.origin}#{f.role}", slug(f"{'from' if each.direction == 'ingress' else 'to'}-{f.name}"), {"remote_group_id": Out(f.origin, f.role)})
                    for f in t.intents.get(each.peer, ()) if isinstance(f, Firewall)
                ]  # fmt: skip
            else:
                peers = [
                    (key if "|" in key else slug(key), slug(label), {"remote_ip_prefix": cidr})
                    for key, label, cidr in _renumbered(t, intent.origin, each.peer)
                ]
            for key, words, peer in peers:
                bounds = (
                    ""
                    if each.first is None
                    else f"-{each.first}"
                    + (f"-{each.last}" if each.last not in (None, each.first) else "")
                )
                what = f"{'in' if each.direction == 'ingress' else 'out'}-{each.protocol}{bounds}-{'v6-' if each.family == 6 else ''}"
                role = f"{held.role + ' ' if held.role else ''}{what}{key}"
                label = f"{held.label + '-' if held.label else ''}{what}{words}"
                if role in seen:
                    continue
                seen.add(role)
                props: dict[str, Any] = {
                    "security_group_id": Out(held.origin, held.role), "direction": each.direction, "ethertype": f"IPv{each.family}", **peer,
                }  # fmt: skip
                if each.protocol != "any":
                    props["protocol"] = each.protocol
                if each.first is not None:
                    props["port_range_min"] = each.first
                    # the provider wants both bounds; a code of 0 it never sends, which Neutron reads as any code
                    props["port_range_max"] = 0 if each.last is None else each.last
                if each.why:
                    props["description"] = _plain(each.why)
                yield Node(
                    type="openstack.networking.SecGroupRule", origin=held.origin, role=role, label=label if label != role else "", tier="network", topic="security", vpc=held.network,
                    props=props, units={"security_group_rules": 1},
                )  # fmt: skip


def _renumbered(t: Target, network_: str, peer: str) -> list[tuple[str, str, Any]]:
    """(key, label, range) that a rule names: AWS's, or the new ranges of the subnets that it is made of.

    Ranges of another renumbered network, and parts of a subnet, have no new ones that could be known:
    they stay, admit nobody there, and the firewall says so.
    """
    whole = t.intent(network_, Network)
    net = ipaddress.ip_network(peer, strict=False)
    if whole is None or whole.keep or net.prefixlen == 0 or net.version != 4:
        return [(peer, peer, peer)]
    inside = [
        each
        for each in t.within(Subnet, network_)
        if t.node(each.origin) and ipaddress.IPv4Network(each.cidr, strict=False).subnet_of(net)
    ]
    if not inside or not any(net.overlaps(ipaddress.IPv4Network(c, strict=False)) for c in whole.cidrs):  # fmt: skip
        return [(peer, peer, peer)]
    outside = [] if any(net.subnet_of(ipaddress.IPv4Network(c, strict=False)) for c in whole.cidrs) else [(peer, peer, peer)]  # fmt: skip
    return [*outside, *((each.origin, each.name, _range(t, each)) for each in inside)]


def _forwarding(t: Target, network_: str) -> dict[str, list[str]]:
    """Groups with a member that passes on the traffic of others -> the addresses of their members."""
    whole = t.intent(network_, Network)
    if whole is None or not whole.keep:
        return {}
    keys = {key for each in t.all(Port) if each.forwards for key in each.firewalls}
    return {
        key: sorted(
            {address for each in t.all(Port) if key in each.firewalls for address in each.addresses}
        )
        for key in keys
    }


def _overlap(a: str, b: str) -> bool:
    one, other = ipaddress.ip_network(a, strict=False), ipaddress.ip_network(b, strict=False)
    return one.version == other.version and one.prefixlen > 0 and one.overlaps(other)


def _plain(words: str) -> str:
    return " ".join(words.split())[:200]


def groups_on(t: Target, keys: tuple[str, ...], subnet_key: str | None) -> list[Out]:
    """The groups for a port in a subnet: of each the form that holds along that subnet's way, else none."""
    role = way_of(t.ctx, t.ctx.estate.by_key.get(subnet_key or "")).role
    found: list[Out] = []
    for key in keys:
        form = Firewall.along(t.intents.get(key, ()), role)
        out = t.out(key, form.role) if form else None
        if out is not None:
            found.append(out)
    return found


def guarded(t: Target, keys: tuple[str, ...], subnet_key: str | None) -> dict[str, Any]:
    """The groups of a port, or that it has none: what is left open, clouds fill with a group of their own."""
    groups = groups_on(t, keys, subnet_key)
    return {"security_group_ids": groups} if groups else {"no_security_groups": True}


def port(intent: Port, t: Target) -> Iterator[object]:
    """A port with its addresses and groups; without any group it lets nothing pass."""
    place = t.node(intent.subnet)
    held = t.intent(intent.subnet, Subnet)
    whole = t.intent(held.network, Network) if held else None
    if place is None or held is None or whole is None:
        yield Loss("SubnetId", "Its subnet is not planned.", "blocker")
        return
    fixed: list[dict[str, Any]] = [
        {"subnet_id": t.out(intent.subnet), **({"ip_address": each} if whole.keep else {})}
        for each in (intent.addresses or ("",))[: None if whole.keep else 1]
    ]
    if not intent.addresses:
        fixed = [{"subnet_id": t.out(intent.subnet)}]
    props: dict[str, Any] = {
        "name": intent.name,
        "network_id": place.props["network_id"],
        "fixed_ips": fixed,
        "admin_state_up": True,
        **guarded(t, intent.firewalls, intent.subnet),
    }
    if "no_security_groups" in props:
        yield Loss(
            "Groups.GroupId",
            "None of its groups is planned: nothing passes until one is set.",
            "major",
        )
    if intent.forwards:
        props["allowed_address_pairs"] = [{"ip_address": cidr} for cidr in whole.cidrs]
        yield Loss(
            "SourceDestCheck",
            text(
                "It may pass on traffic of {cidrs}; groups that name one of its groups name the addresses of its servers instead, and fleets and databases in it are added by hand."
                if whole.keep
                else "It may pass on traffic of {cidrs}; groups that name its own group then admit those addresses too.",
                cidrs=", ".join(whole.cidrs),
            ),
            "major",
        )
    yield Node(
        type="openstack.networking.Port",
        origin=intent.origin,
        role=intent.role,
        tier="servers",
        topic="ports",
        props=props,
        units={"ports": 1},
    )


def public_address(intent: PublicAddress, t: Target) -> Iterator[object]:
    """A floating IP: it exists before what it will be bound to, so that DNS can be prepared."""
    props: dict[str, Any] = {
        "pool": Config("floating-ip-pool", t.cloud.floating_pool, doc="Pool of public addresses.")
    }
    if intent.name:
        props["description"] = _plain(intent.name)
    home = t.ctx.estate.by_key.get(intent.port)
    vpc = t.ctx.key("aws.ec2.vpc", home.record.get("VpcId"), home) if home is not None else None
    yield Node(
        type="openstack.networking.FloatingIp", origin=intent.origin, role=intent.role, tier="network", topic="addresses", vpc=vpc or "", props=props, protect=True,
        depends_on=((Out(vpc, EDGE),) if vpc and t.node(vpc, EDGE) else ()), units={"floating_ips": 1},
    )  # fmt: skip


def binding(intent: Binding, t: Target) -> Iterator[object]:
    """The address on the port."""
    role = next(
        (
            each.role
            for each in t.intents.get(intent.address, ())
            if isinstance(each, PublicAddress)
        ),
        "",
    )
    place = t.node(intent.port)
    if place is None or t.node(intent.address, role) is None:
        return
    bound = Out(intent.port, "", "vip_port_id" if place.type.endswith("LoadBalancer") else "id")
    props: dict[str, Any] = {"floating_ip": Out(intent.address, role, "address"), "port_id": bound}
    place = t.node(intent.port)
    if (
        intent.private
        and place is not None
        and any(
            each.get("ip_address") == intent.private for each in place.props.get("fixed_ips", [])
        )
    ):
        props["fixed_ip"] = intent.private
    yield Node(
        type="openstack.networking.FloatingIpAssociate",
        origin=intent.origin,
        role=intent.role,
        tier="entry",
        topic="addresses",
        props=props,
    )


REALISE: Mapping[type[Intent], Realise] = {
    Network: network, Subnet: subnet, Routers: routers, Link: link, Firewall: firewall, FirewallRules: firewall_rules, Port: port,
    PublicAddress: public_address, Binding: binding,
}  # fmt: skip
