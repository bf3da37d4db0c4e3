"""Balancers, certificates, zones and records -> Octavia, Barbican, Designate or the provider's own DNS."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.compute import Fleet
from toolkit.intents.entry import Backend, Balancer, Certificate, Listener, Records, Route, Zone
from toolkit.outcomes import Disposition, Loss, Option, Task, Text, joined, text
from toolkit.plan.names import slug
from toolkit.program import Config, Lookup, Node, Out, Render, Value

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target


def certificate(intent: Certificate, t: Target) -> Iterator[object]:
    """A secret that holds key and chain as PKCS#12, set by the operator once it is issued."""
    if not t.cloud.has("barbican"):
        yield Disposition(
            "replatform",
            text("Kept on the servers that use it ({names}).", names=", ".join(intent.names)),
            way_out="lego or certbot on each server",
            work="Issue, install, renew by timer.",
        )
        return
    yield Node(
        type="openstack.keymanager.SecretV1", origin=intent.origin, tier="data", topic="certificates", protect=True,
        props={
            "name": intent.name, "secret_type": "opaque", "payload_content_type": "application/octet-stream", "payload_content_encoding": "base64",
            "payload": Config(f"certificate-{slug(intent.name)}", secret=True, doc=text("Key and chain for {names}, PKCS#12 in base64.", names=", ".join(intent.names))),
        },
    )  # fmt: skip


def balancer(intent: Balancer, t: Target) -> Iterator[object]:
    """The balancer itself; without Octavia a pair of HAProxy servers is a person's work."""
    if not t.cloud.has("octavia"):
        yield Task(
            "haproxy",
            text("Build a HAProxy pair with keepalived in place of {name}", name=intent.name),
            text("{cloud} has no load balancer in the catalogue.", cloud=t.cloud.product),
            lead_days=10,
            role="network",
            check="sudo haproxy -c -f /etc/haproxy/haproxy.cfg",
            expected="The configuration is valid on both; with one of the two stopped the address still answers within 5 seconds.",
            undo="Stop both; nobody's traffic goes there before the switch.",
            minutes=240,
        )
        yield Disposition(
            "replatform",
            "A pair of servers with HAProxy.",
            way_out="HAProxy and keepalived",
            work="Order two servers, install, write its listeners and pools.",
        )
        return
    subnet = next((key for key in intent.subnets if t.node(key)), None)
    if subnet is None:
        yield Loss("AvailabilityZones.SubnetId", "None of its subnets is planned.", "blocker")
        return
    props: dict[str, Any] = {
        "name": intent.name,
        "vip_subnet_id": t.out(subnet),
        "admin_state_up": True,
    }
    sizes = t.cloud.profile.get("load_balancer_flavors") or []
    if sizes:
        size = t.ctx.decide(
            intent.origin, "balancer-size", text("How large is the balancer {name}?", name=intent.name),
            [Option(each, text("Size {size}", size=each), "Bandwidth and price grow with it; resizing may mean making it anew.") for each in sizes], sizes[0],
            "Nothing measured says that it needs more.", t.cloud.known("managed_services.load_balancer", "prices.load_balancer_eur_month"),
        )  # fmt: skip
        props["flavor_id"] = Lookup(
            "openstack.loadbalancer.get_flavor_v2",
            (
                (
                    "name",
                    Config(
                        f"balancer-flavor-{slug(intent.name)}",
                        size,
                        doc="Size of the load balancer.",
                    ),
                ),
            ),
            "flavor_id",
        )
    yield Node(
        type="openstack.loadbalancer.LoadBalancer",
        origin=intent.origin,
        tier="entry",
        topic="loadbalancer",
        props=props,
        units={"load_balancers": 1, "ports": 1},
    )
    if t.cloud.name == "infomaniak":
        yield Task(
            "balancer-role",
            "Give the migration's credential the role load-balancer_member",
            "Octavia at Infomaniak needs a role of its own.",
            lead_days=2,
            role="security",
            command='openstack role add --user "${OS_USERNAME:?}" --project "${OS_PROJECT_NAME:?}" load-balancer_member',
            check="openstack loadbalancer list",
            expected="The check ends with exit code 0, with or without rows.",
            undo='openstack role remove --user "${OS_USERNAME:?}" --project "${OS_PROJECT_NAME:?}" load-balancer_member (stacks with load balancers can then not be built).',
            minutes=10,
        )


def _timeouts(t: Target, key: str) -> dict[str, Any]:
    held = t.intent(key, Balancer)
    milliseconds = (held.idle_seconds if held else 60) * 1000
    return {"timeout_client_data": milliseconds, "timeout_member_data": milliseconds}


def backend(intent: Backend, t: Target) -> Iterator[object]:
    """Pool, members and monitor."""
    if t.node(intent.balancer) is None:
        yield Disposition(
            "replatform",
            "A pool of the HAProxy pair.",
            into=intent.balancer,
            way_out="HAProxy backend",
            work=_words(intent, t),
        )
        return
    role = intent.role
    props: dict[str, Any] = {
        "name": intent.name,
        "loadbalancer_id": t.out(intent.balancer),
        "protocol": intent.protocol,
        "lb_method": "ROUND_ROBIN",
        "admin_state_up": True,
    }
    if intent.sticky:
        props["persistence"] = {
            "type": "SOURCE_IP" if intent.protocol in ("TCP", "UDP") else "HTTP_COOKIE"
        }
    yield Node(
        type="openstack.loadbalancer.Pool",
        origin=intent.origin,
        role=role,
        tier="entry",
        topic="loadbalancer",
        props=props,
    )
    prefix = f"{role}-" if role else ""
    for target, port in intent.members:
        held = t.ctx.estate.by_key.get(target)
        who = slug(held.name if held else target) or "target"
        for number, (address, subnet) in enumerate(_addresses(t, target), start=1):
            yield Node(
                type="openstack.loadbalancer.Member", origin=intent.origin, role=f"{prefix}member {target} {port} {number}", label=f"{prefix}member-{who}-{number}", tier="entry", topic="loadbalancer",
                props={"name": f"{intent.name}-{who}-{number}", "pool_id": Out(intent.origin, role), "address": address, "protocol_port": port, **({"subnet_id": subnet} if subnet else {})},
            )  # fmt: skip
    if (probe := intent.probe) is not None:
        monitor: dict[str, Any] = {
            "name": intent.name, "pool_id": Out(intent.origin, role), "type": probe.kind, "delay": max(probe.interval, probe.timeout), "timeout": min(probe.timeout, probe.interval), "max_retries": min(10, probe.rise),
            "max_retries_down": min(10, probe.fall), "admin_state_up": True,
        }  # fmt: skip
        if probe.kind in ("HTTP", "HTTPS"):
            monitor |= {
                "url_path": probe.path,
                "expected_codes": probe.codes.replace(" ", ""),
                "http_method": "GET",
            }
        yield Node(
            type="openstack.loadbalancer.Monitor",
            origin=intent.origin,
            role=f"{prefix}monitor",
            tier="entry",
            topic="loadbalancer",
            props=monitor,
        )


def _words(intent: Backend, t: Target) -> Text:
    names = [
        t.ctx.estate.by_key[key].name if key in t.ctx.estate.by_key else key
        for key, _ in intent.members
    ]
    said = intent.probe
    check = (
        text(
            "; health: {check} every {interval} s within {timeout} s, {fall} down, {rise} up",
            check=f"{said.kind} {said.path} {said.codes}",
            interval=said.interval,
            timeout=said.timeout,
            fall=said.fall,
            rise=said.rise,
        )
        if said
        else ""
    )
    ports = ", ".join(str(port) for port in sorted({port for _, port in intent.members}))
    return text(
        "{protocol} to {names} ({ports}){sticky}{check}." if names else "{protocol} to no member yet{sticky}{check}.", protocol=intent.protocol, names=", ".join(names), ports=ports,
        sticky=text(", sticky") if intent.sticky else "", check=check,
    )  # fmt: skip


def _addresses(t: Target, target: str) -> Iterator[tuple[Any, Any]]:
    """(address, subnet) of the members that a key or an address stands for."""
    if t.intent(target, Fleet) is not None:
        number = 1
        while (port := t.node(target, f"port-{number}")) is not None:
            yield (
                Out(target, f"port-{number}", "all_fixed_ips[0]"),
                port.props["fixed_ips"][0]["subnet_id"],
            )
            number += 1
    elif (port := t.node(target)) is not None:
        yield Out(target, "", "all_fixed_ips[0]"), port.props["fixed_ips"][0]["subnet_id"]
    elif "|" not in target:
        yield target, None


def _pool(t: Target, pool: str) -> Out | None:
    key, _, role = pool.partition("#")
    return t.out(key, role)


def listener(intent: Listener, t: Target) -> Iterator[object]:
    """A port with its default: a pool, a redirect, or nothing."""
    if t.node(intent.balancer) is None:
        yield Disposition(
            "replatform", text("A port of the HAProxy pair: {protocol} {port}{to}.", protocol=intent.protocol, port=intent.port, to=text(", redirects {code} to {to}", code=intent.redirect_code, to=intent.redirect) if intent.redirect else text(", refuses") if intent.reject else ""), into=intent.balancer,
            way_out="HAProxy frontend", work=text("Forwards to {name}.", name=t.ctx.estate.by_key[intent.pool.partition("#")[0]].name) if intent.pool else "",
        )  # fmt: skip
        return
    if intent.allowed == ():
        says = text(
            "Nobody may connect to port {port}: no group lets anything in.", port=intent.port
        )
        yield Loss("ListenerDescriptions", says) if intent.role else Disposition("retire", says)
        return
    props: dict[str, Any] = {
        "name": intent.name, "loadbalancer_id": t.out(intent.balancer), "protocol": intent.protocol, "protocol_port": intent.port, "admin_state_up": True, **_timeouts(t, intent.balancer),
    }  # fmt: skip
    if intent.protocol in ("HTTP", "TERMINATED_HTTPS"):
        props["insert_headers"] = {
            "X-Forwarded-For": "true",
            "X-Forwarded-Port": "true",
            "X-Forwarded-Proto": "true",
        }
    if intent.allowed is not None:
        props["allowed_cidrs"] = list(intent.allowed)
    if intent.protocol == "TERMINATED_HTTPS":
        secret = t.out(intent.certificate, attr="secret_ref")
        props["default_tls_container_ref"] = secret or Config(
            f"{slug(intent.name)}-certificate-ref",
            doc="Reference of the certificate in the secret store.",
        )
    pool = _pool(t, intent.pool) if intent.pool else None
    if pool is not None:
        props["default_pool_id"] = pool
    yield Node(
        type="openstack.loadbalancer.Listener",
        origin=intent.origin,
        role=intent.role,
        tier="entry",
        topic="loadbalancer",
        props=props,
    )
    if intent.redirect or intent.reject:
        policy: dict[str, Any] = {
            "name": f"{intent.name}-default",
            "listener_id": Out(intent.origin, intent.role),
            # Octavia counts from 1 without gaps and answers with that
            "position": 1 + sum(each.listener == intent.origin for each in t.all(Route)),
            "admin_state_up": True,
            **_outcome(intent, intent.balancer, t),
        }
        if _hostless(intent.redirect):
            yield Loss("DefaultActions.RedirectConfig.Host", _ONE_HOST, "major")
        yield Node(
            type="openstack.loadbalancer.L7PolicyV2",
            origin=intent.origin,
            role="default",
            tier="entry",
            topic="loadbalancer",
            props=policy,
        )
        yield Node(
            type="openstack.loadbalancer.L7RuleV2", origin=intent.origin, role="default-all", tier="entry", topic="loadbalancer",
            props={"l7policy_id": Out(intent.origin, "default"), "type": "PATH", "compare_type": "STARTS_WITH", "value": "/"},
        )  # fmt: skip


_ONE_HOST = "Octavia redirects to one host name, not to that of each request; set it, or redirect in the web server."


def _hostless(redirect: str) -> bool:
    """`https://` or `https:///path`: to whatever host was asked for, which Octavia has no word for."""
    return redirect.partition("://")[2][:1] in ("", "/") and bool(redirect)


def _outcome(intent: Listener | Route, balancer_: str, t: Target) -> dict[str, Any]:
    if not intent.redirect:
        return {"action": "REJECT"}
    prefix: Value = intent.redirect
    if _hostless(prefix):
        scheme, _, path = intent.redirect.partition("://")
        names = [
            name.removeprefix("*.")
            for each in t.all(Listener)
            if each.balancer == balancer_ and each.certificate
            if (held := t.intent(each.certificate, Certificate)) is not None
            for name in held.names
        ]
        host = Config(
            f"{slug(intent.name)}-redirect-host", names[0] if names else None,
            doc=f"Host name that {intent.name} redirects to.",
        )  # fmt: skip
        prefix = Render((f"{scheme}://", host, *((path,) if path else ())))
    return {
        "action": "REDIRECT_PREFIX",
        "redirect_prefix": prefix,
        "redirect_http_code": intent.redirect_code or 302,
    }


def route(intent: Route, t: Target) -> Iterator[object]:
    """A policy with its rules; all of them must hold."""
    if t.node(intent.listener) is None:
        said = joined(
            (
                f"{kind} {key} {how} {value}".replace("  ", " ")
                for kind, how, key, value in intent.conditions
            ),
            "; ",
        )
        to = (
            t.ctx.estate.by_key[intent.pool.partition("#")[0]].name
            if intent.pool
            else f"{intent.redirect_code} {intent.redirect}"
            if intent.redirect
            else text("refused")
        )
        yield Disposition(
            "replatform",
            text(
                "Rule {n} of the HAProxy pair: {said} to {to}.", n=intent.position, said=said, to=to
            ),
            into=intent.listener,
            way_out="HAProxy acl and use_backend",
        )
        return
    pool = _pool(t, intent.pool) if intent.pool else None
    if intent.pool and pool is None:
        yield Loss("Actions.TargetGroupArn", "The pool it forwards to is not planned.", "major")
        return
    props: dict[str, Any] = {
        "name": intent.name,
        "listener_id": t.out(intent.listener),
        "position": 1
        + sum(
            each.listener == intent.listener and each.position < intent.position
            for each in t.all(Route)
        ),
        "admin_state_up": True,
    }
    props |= (
        {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool}
        if pool is not None
        else _outcome(intent, getattr(t.intent(intent.listener, Listener), "balancer", ""), t)
    )
    if pool is None and _hostless(intent.redirect):
        yield Loss("Actions.RedirectConfig.Host", _ONE_HOST, "major")
    yield Node(
        type="openstack.loadbalancer.L7PolicyV2",
        origin=intent.origin,
        tier="entry",
        topic="loadbalancer",
        props=props,
    )
    for number, (kind, how, key, value) in enumerate(intent.conditions, start=1):
        rule: dict[str, Any] = {
            "l7policy_id": Out(intent.origin),
            "type": kind,
            "compare_type": how,
            "value": value,
        }
        if key:
            rule["key"] = key
        yield Node(
            type="openstack.loadbalancer.L7RuleV2",
            origin=intent.origin,
            role=f"rule-{number}",
            tier="entry",
            topic="loadbalancer",
            props=rule,
        )


def zone(intent: Zone, t: Target) -> Iterator[object]:
    """A Designate zone; the provider's own DNS where it has no Designate; a resolver of one's own for private zones."""
    if intent.private:
        networks = ", ".join(t.ctx.estate.by_key[key].name for key in intent.networks) or text(
            "its networks"
        )
        yield Task(
            "private-dns",
            text("Run a resolver for the private zone {name}", name=intent.name),
            "No provider of the catalogue has private zones.",
            lead_days=10,
            role="network",
            settings=((text("handed out by DHCP in"), networks),),
            check=f'dig +short @"${{RESOLVER:?}}" SOA {shlex.quote(intent.name)}',
            expected="The check answers with the zone's SOA, and a new server has the resolver in /etc/resolv.conf.",
            undo="Hand out the old resolvers again and renew the leases.",
            minutes=120,
        )
        yield Disposition(
            "replatform",
            "A private zone needs a resolver of your own.",
            way_out="CoreDNS, Knot or PowerDNS in the network",
            work="Install two, load the zone, set the subnets' name servers.",
        )
        return
    if t.cloud.has("designate"):
        yield Node(
            type="openstack.dns.Zone", origin=intent.origin, tier="dns", topic="dns", protect=True,
            props={"name": intent.name, "email": Config("dns-contact", doc="Mail address of who answers for the zones."), "ttl": 300},
        )  # fmt: skip
        return
    if t.cloud.managed.get("dns"):
        yield Task(
            "zone-order",
            text(
                "Order the DNS zone {name} at {cloud}",
                name=intent.name.rstrip("."),
                cloud=t.cloud.product,
            ),
            "The zone is a product of its own; its records are planned.",
            lead_days=7,
            role="network",
            check=f'dig +short @"${{NEW_NAME_SERVER:?}}" SOA {shlex.quote(intent.name.rstrip("."))}',
            expected="The new name server answers with an SOA; nothing is delegated to it yet.",
            undo="Cancel the order; nobody asks it yet.",
            minutes=20,
        )
        yield Disposition(
            "replatform",
            "Ordered at the provider; records follow by its own API.",
            way_out=text("DNS of {cloud}", cloud=t.cloud.product),
            work="Order it, apply the records, change the delegation.",
        )
        return
    yield Task(
        "zone-host",
        text("Move the zone {name} to another DNS host", name=intent.name.rstrip(".")),
        text("{cloud} has no DNS in the catalogue.", cloud=t.cloud.product),
        lead_days=14,
        role="network",
        check=f'dig +short @"${{NEW_NAME_SERVER:?}}" SOA {shlex.quote(intent.name.rstrip("."))}',
        expected="The new name server answers with an SOA; nothing is delegated to it yet.",
        undo="Remove the zone there; nobody asks it yet.",
        minutes=60,
    )
    yield Disposition(
        "replatform",
        "A DNS host of your own or another provider's.",
        way_out="PowerDNS or Knot, or a European DNS host",
        work="Export, import, compare answers, change the delegation.",
    )


def records(intent: Records, t: Target) -> Iterator[object]:
    """Plain records; an address that moves becomes the new one."""
    held = t.intent(intent.zone, Zone)
    if held is None or held.private:
        yield Disposition(
            "replatform",
            text(
                "{kind} {values} in the private resolver.",
                kind=intent.kind,
                values=", ".join(intent.values) or text("the new address"),
            ),
            into=intent.zone,
            way_out="The resolver of the private zone",
        )
        return
    address = _moved(t, intent.target) if intent.target else None
    values: list[Any] = (
        [address] if address is not None else [_value(intent.kind, each) for each in intent.values]
    )
    if intent.target and address is None:
        yield Loss(
            "AliasTarget.DNSName",
            "What it points at has no address in this plan; write it when it has one.",
            "major",
        )
        yield Disposition(
            "replatform",
            "Written once its target has an address.",
            into=intent.zone,
            way_out="A record by hand",
        )
        return
    if t.node(intent.zone) is not None:
        yield Node(
            type="openstack.dns.RecordSet", origin=intent.origin, tier="dns", topic="dns",
            props={"zone_id": t.out(intent.zone), "name": intent.name, "type": intent.kind, "ttl": intent.ttl, "records": [_designate(intent.kind, each) for each in values]},
        )  # fmt: skip
        return
    if t.cloud.managed.get("dns"):
        root = held.name.rstrip(".")
        sub = intent.name.rstrip(".").removesuffix(root).rstrip(".")
        for number, value in enumerate(values, start=1):
            yield Node(
                type="ovh.domain.ZoneRecord", origin=intent.origin, role="" if len(values) == 1 else str(number), tier="dns", topic="dns",
                props={"zone": root, "subdomain": sub, "fieldtype": intent.kind, "ttl": intent.ttl, "target": value},
            )  # fmt: skip
        return
    yield Disposition(
        "replatform",
        text(
            "{kind} {values}, TTL {ttl}, at the new DNS host.",
            kind=intent.kind,
            values=", ".join(intent.values) or text("the new address"),
            ttl=intent.ttl,
        ),
        into=intent.zone,
        way_out="A record at the new DNS host",
    )


def _moved(t: Target, target: str) -> Out | None:
    """The new public address of a balancer or an elastic IP."""
    for role in ("address", ""):
        node = t.node(target, role)
        if node is not None and node.type.endswith(("FloatingIp", "VpcFloatingIp")):
            return Out(
                target,
                role,
                "address" if node.type.endswith("networking.FloatingIp") else "ip_address",
            )
    return None


def _value(kind: str, value: str) -> str:
    """Names end in a dot; texts keep their quotes."""
    if kind in ("CNAME", "NS", "PTR") and not value.endswith("."):
        return f"{value}."
    if kind in ("MX", "SRV") and not value.endswith("."):
        return f"{value}."
    return value


def _designate(kind: str, value: Any) -> Any:
    """A CAA value without its quotes: Designate (Zed, measured) refuses `0 issue "ca.example"` with 400."""
    if kind == "CAA" and isinstance(value, str):
        flags, _, rest = value.partition(" ")
        tag, _, said = rest.partition(" ")
        return f"{flags} {tag} {said.strip().removeprefix(chr(34)).removesuffix(chr(34))}"
    return value


REALISE: Mapping[type[Intent], Realise] = {
    Certificate: certificate, Balancer: balancer, Backend: backend, Listener: listener, Route: route, Zone: zone, Records: records,
}  # fmt: skip
