"""Networks -> what Cloud Temple's people set up on order, looked up by name; firewalls go onto the hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.network import (
    Binding,
    Firewall,
    FirewallRules,
    Link,
    Network,
    Opening,
    Port,
    PublicAddress,
    Routers,
    Subnet,
)
from toolkit.outcomes import Disposition, Loss, Task, text
from toolkit.program import Node

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target


def network(intent: Network, t: Target) -> Iterator[object]:
    """A VPC with its private networks is ordered: the provider creates none."""
    nets = ", ".join(f"{each.name} {each.cidr}" for each in t.within(Subnet, intent.origin))
    yield Task(
        "network-order", text("Order the VPC {name} ({cidrs}) with the private networks {nets}", name=intent.name, cidrs=", ".join(intent.cidrs), nets=nets or "none"),
        "Nothing in the provider's interface creates a VPC, a private network, a gateway or a route.", lead_days=15, role="network",
        check=text("The private networks show under their names in the console."),
    )  # fmt: skip
    if len(intent.tags) > 1:
        yield Loss("Tags.Key", "Networks have no tags there.")
    yield Disposition(
        "replatform",
        "Ordered, then looked up by name.",
        way_out="VPC of Cloud Temple",
        work="Order it, wait for it, write its names into the configuration.",
    )


def subnet(intent: Subnet, t: Target) -> Iterator[object]:
    """Part of the order of its VPC."""
    if intent.dns:
        yield Loss(
            "VpcId",
            text(
                "The name servers {servers} are set in the servers.", servers=", ".join(intent.dns)
            ),
        )
    said = {
        "public": "with public addresses",
        "outbound": "with a way out",
        "isolated": "without a way out",
    }[intent.reach]
    tags = (
        f"; tags: {', '.join(f'{k}={v}' for k, v in sorted(intent.tags.items()) if k != 'Name')}"
        if len(intent.tags) > 1
        else ""
    )
    yield Disposition(
        "replatform",
        text(
            "Private network {cidr}, {said}, ordered with its VPC{tags}.",
            cidr=intent.cidr,
            said=said,
            tags=tags,
        ),
        into=intent.network,
        way_out="Private network of the VPC",
    )


def routers(intent: Routers, t: Target) -> Iterator[object]:
    """The gateway of the ordered VPC: which networks may get out is part of the order."""
    closed = [each.name for each in t.within(Subnet, intent.network) if each.reach == "isolated"]
    if closed:
        yield Task(
            "isolated-networks",
            text("Keep {names} without a way to the internet", names=", ".join(closed)),
            "At AWS they have no default route; check that the ordered gateway does not translate for them.",
            lead_days=15,
            role="network",
        )


def link(intent: Link, t: Target) -> Iterator[object]:
    """Routing between VPCs is ordered."""
    yield Task(
        "link-order",
        text(
            "Order routing between {a} and {b}",
            a=", ".join(intent.near_cidrs),
            b=", ".join(intent.far_cidrs),
        ),
        "The provider's interface creates no routes.",
        lead_days=15,
        role="network",
    )
    yield Disposition(
        "replatform",
        "Routing between the two is ordered.",
        way_out="One VPC with several private networks, or a firewall server",
    )


def firewall(intent: Firewall, t: Target) -> Iterator[object]:
    """No groups there: the same openings as a host firewall on every server that had the group."""
    lines = [_nft(each, t) for each in intent.openings]
    yield Task(
        "host-firewall", text("Put the host firewall {name} on its servers: {rules}", name=intent.name, rules="; ".join(lines) or "nothing passes"),
        text("Cloud Temple has no security groups: nftables on each host, by Ansible, closed by default. {said}", said=intent.description), lead_days=5, role="security",
    )  # fmt: skip
    yield Disposition(
        "replatform",
        "A firewall on each host instead of a group on each port.",
        way_out="nftables by Ansible",
        work="Roll out firewall/<server>.yaml, which lies beside the stack of the servers, before they get addresses.",
    )


def _nft(each: Opening, t: Target) -> str:
    """One opening in words that become an nftables rule."""
    peer = t.ctx.estate.by_key[each.peer].name if "|" in each.peer else each.peer
    ports = (
        ""
        if each.first is None
        else f" {each.first}" + (f"-{each.last}" if each.last not in (None, each.first) else "")
    )
    why = f" ({each.why})" if each.why else ""
    return f"{'from' if each.direction == 'ingress' else 'to'} {peer} {each.protocol}{ports}{why}"


def nothing(intent: FirewallRules, t: Target) -> Iterator[object]:
    """The openings are said with their firewall."""
    return iter(())


def port(intent: Port, t: Target) -> Iterator[object]:
    """Part of its server: the adapter is made with it."""
    groups = ", ".join(t.ctx.estate.by_key[key].name for key in intent.firewalls)
    yield Disposition(
        "absorbed", text("An adapter of its server in {subnet} with {addresses}; host firewalls {groups}.", subnet=t.ctx.estate.by_key[intent.subnet].name, addresses=", ".join(intent.addresses) or "an address from the pool", groups=groups or "none"),
    )  # fmt: skip
    if intent.forwards:
        yield Loss(
            "SourceDestCheck",
            "Whether an adapter may pass on foreign traffic is not settled there; ask.",
            "major",
        )


def public_address(intent: PublicAddress, t: Target) -> Iterator[object]:
    """A floating IP; the platform chooses the address."""
    props: dict[str, Any] = (
        {"description": " ".join(intent.name.split())[:200]} if intent.name else {}
    )
    yield Node(
        type="cloudtemple.VpcFloatingIp",
        origin=intent.origin,
        role=intent.role,
        tier="network",
        topic="addresses",
        props=props,
        protect=True,
    )


def binding(intent: Binding, t: Target) -> Iterator[object]:
    """A person binds it: the static address behind it exists only once the server's adapter has its hardware address."""
    yield Task(
        "bind-address",
        text(
            "Bind the public address of {name} to its server{private}",
            name=intent.name or "it",
            private=f" ({intent.private})" if intent.private else "",
        ),
        "The binding needs the static address of the adapter, which exists only after the server does.",
        lead_days=0,
        role="network",
    )


REALISE: Mapping[type[Intent], Realise] = {
    Network: network, Subnet: subnet, Routers: routers, Link: link, Firewall: firewall, FirewallRules: nothing, Port: port,
    PublicAddress: public_address, Binding: binding,
}  # fmt: skip
