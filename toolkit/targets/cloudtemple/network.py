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
from toolkit.outcomes import Disposition, Loss, Task, Text, joined, text
from toolkit.program import Node
from toolkit.rules._paths import FROM_BALANCER

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target


def network(intent: Network, t: Target) -> Iterator[object]:
    """A VPC with its private networks is ordered: the provider creates none."""
    nets = ", ".join(f"{each.name} {each.cidr}" for each in t.within(Subnet, intent.origin))
    yield Task(
        "network-order", text("Order the VPC {name} with its private networks", name=intent.name),
        "Nothing in the provider's interface creates a VPC, a private network, a gateway or a route.", lead_days=15, role="network",
        settings=((text("addresses"), ", ".join(intent.cidrs)), (text("private networks"), nets or text("none")), *(((text("keeps its addresses"), text("no: agree on new ones first")),) if not intent.keep else ())),
        expected="The private networks show under their names in the console.", undo="Cancel the order; nothing is in them yet.", minutes=45,
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
        text(
            "; tags: {tags}",
            tags=", ".join(f"{k}={v}" for k, v in sorted(intent.tags.items()) if k != "Name"),
        )
        if len(intent.tags) > 1
        else ""
    )
    yield Disposition(
        "replatform",
        text(
            "Private network {cidr}, {said}, ordered with its VPC{tags}.",
            cidr=intent.cidr,
            said=text(said),
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
            expected="From a machine in each of them, `curl --max-time 5` to an address on the internet times out.",
            undo="None needed.",
            minutes=20,
        )


def link(intent: Link, t: Target) -> Iterator[object]:
    """Routing between VPCs is ordered."""
    yield Task(
        "link-order",
        text("Order the routing of {name}", name=intent.name),
        "The provider's interface creates no routes.",
        lead_days=15,
        role="network",
        settings=(
            (text("between"), _ranges(t, intent.near, intent.near_cidrs)),
            (text("and"), _ranges(t, intent.far, intent.far_cidrs)),
        ),
        expected="A machine on each side answers a ping from the other; others do not.",
        undo="Cancel the order; the sides do not reach each other then.",
        minutes=30,
    )
    yield Disposition(
        "replatform",
        "Routing between the two is ordered.",
        way_out="One VPC with several private networks, or a firewall server",
    )


def _ranges(t: Target, network_: str, cidrs: tuple[str, ...]) -> Text | str:
    """The ranges of one side; those of AWS mean nothing where the network is renumbered."""
    held = t.intent(network_, Network)
    if held is None or held.keep:
        return ", ".join(cidrs)
    return text(
        "the new addresses of {name}; {cidrs} at AWS", name=held.name, cidrs=", ".join(cidrs)
    )


def firewall(intent: Firewall, t: Target) -> Iterator[object]:
    """No groups there: the same openings as a host firewall on every server that had the group."""
    lines = [_nft(each, t) for each in intent.openings]
    yield Task(
        "host-firewall", text("Put the host firewall {name} on its servers", name=intent.name),
        text("Cloud Temple has no security groups: nftables on each host, by Ansible, closed by default.{description}", description=text(' Its description at AWS: "{said}".', said=intent.description) if intent.description else ""), lead_days=5, role="security",
        settings=((text("what passes"), joined(lines, "; ") or text("nothing")),), check="sudo nft list ruleset",
        expected="The rules on each server are those of the table, and the last one drops.", undo="Load the rules that the server had before; keep it off the network until then.", minutes=20,
    )  # fmt: skip
    yield Disposition(
        "replatform",
        "A firewall on each host instead of a group on each port.",
        way_out="nftables by Ansible",
        work="Roll out firewall/<server>.yaml, which lies beside the stack of the servers, before they get addresses.",
    )


def _nft(each: Opening, t: Target) -> Text:
    """One opening in words that become an nftables rule."""
    peer = t.ctx.estate.by_key[each.peer].name if "|" in each.peer else each.peer
    ports = (
        ""
        if each.first is None
        else f" {each.first}" + (f"-{each.last}" if each.last not in (None, each.first) else "")
    )
    why = text(each.why) if each.why == FROM_BALANCER else each.why
    return text(
        "from {peer} {what}{why}" if each.direction == "ingress" else "to {peer} {what}{why}",
        peer=peer,
        what=text("everything") if each.protocol == "any" else f"{each.protocol}{ports}",
        why=text(" ({why})", why=why) if why else "",
    )


def nothing(intent: FirewallRules, t: Target) -> Iterator[object]:
    """The openings are said with their firewall."""
    return iter(())


def port(intent: Port, t: Target) -> Iterator[object]:
    """Part of its server: the adapter is made with it."""
    groups = ", ".join(t.ctx.estate.by_key[key].name for key in intent.firewalls)
    yield Disposition(
        "absorbed", text("An adapter of its server in {subnet} with {addresses}; host firewalls {groups}." if groups else "An adapter of its server in {subnet} with {addresses}, without a host firewall.", subnet=t.ctx.estate.by_key[intent.subnet].name, addresses=", ".join(intent.addresses) or text("an address from the pool"), groups=groups),
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
        text("Bind the public address of {name} to its server", name=intent.name or text("it")),
        "The binding needs the static address of the adapter, which exists only after the server does.",
        role="network",
        settings=(((text("private address"), intent.private),) if intent.private else ()),
        expected="The console shows the binding, and the server answers at the public address.",
        undo="Unbind it.",
        minutes=10,
        after_build=True,
    )


REALISE: Mapping[type[Intent], Realise] = {
    Network: network, Subnet: subnet, Routers: routers, Link: link, Firewall: firewall, FirewallRules: nothing, Port: port,
    PublicAddress: public_address, Binding: binding,
}  # fmt: skip
