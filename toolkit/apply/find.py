"""A resource whose create was cut off -> the objects at the target that may be it, by their marks, else by name, parent and time.

The provider sets Neutron's tags and Barbican's metadata by a second call (terraform-provider-openstack 3.4.0), so an object
can be there without its mark: then its name, its parent and its age must fit, and it must carry no mark at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openstack.connection

SKEW = timedelta(minutes=2)
"""How far the target's clock may be behind ours."""
MARKS = ("repatria-stack", "repatria-name")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource that should be there: the engine's token and its properties as the engine names them."""

    urn: str
    token: str
    name: str
    props: Mapping[str, Any] = field(repr=False)

    def text(self, name: str) -> str:
        """A property as text; "" where it is not known."""
        held = self.props.get(name)
        return held if isinstance(held, str) else ""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that fits. `id` is the engine's id of it; `marked`: it says itself that it is the one.

    `old` is what an unmarked object is when it is older than the attempt, or of unknown age: a stranger, maybe.
    """

    id: str
    says: str
    marked: bool
    old: bool = False
    status: str = ""


@dataclass
class Target:
    """One project in one region, each kind of object listed at most once."""

    connection: openstack.connection.Connection
    lists: dict[tuple[str, ...], list[Any]] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """The id of the project that the credentials are for."""
        return str(self.connection.current_project_id)

    def all(self, *key: str, of: Callable[[], Iterable[Any]]) -> list[Any]:
        """A listing, kept: a recovery looks for up to 300 resources."""
        if key not in self.lists:
            self.lists[key] = list(of())
        return self.lists[key]

    def forget(self) -> None:
        """Look again."""
        self.lists.clear()


def knows(token: str) -> bool:
    """Whether objects of this type can be found again."""
    return token in _FINDERS


def find(target: Target, wanted: Wanted, since: datetime | None) -> list[Found]:
    """Objects at the target that may be the wanted one; marked ones alone where there are any.

    `since` is when the attempt began (None: unknown). Raises what openstacksdk raises.
    """
    found = every(target, wanted, since)
    return [each for each in found if each.marked] or found


def every(target: Target, wanted: Wanted, since: datetime | None) -> list[Found]:
    """All that fit, with and without a mark."""
    return list(_FINDERS[wanted.token](target, wanted, since))


# ------------------------------------------------------------------------------------------- how to tell


def _time(said: Any) -> datetime | None:
    if not isinstance(said, str) or not said:
        return None
    try:
        time = datetime.fromisoformat(said)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _old(each: Any, since: datetime | None) -> bool:
    made = _time(getattr(each, "created_at", None))
    return made is None or since is None or made < since - SKEW


def _says(kind: str, each: Any, id_: str = "") -> str:
    name, made = getattr(each, "name", "") or "", getattr(each, "created_at", "") or ""
    return f"{kind} {name} ({id_ or each.id}{f', made {made}' if made else ''})".replace("  ", " ")


def _status(each: Any) -> str:
    for name in ("status", "provisioning_status"):
        held = getattr(each, name, None)
        if isinstance(held, str):
            return held.upper()
    return ""


def _by_tags(
    kind: str, objects: Iterable[Any], wanted: Wanted, since: datetime | None,
    same: Callable[[Any], bool] | None = None,
) -> Iterator[Found]:  # fmt: skip
    """Marked by its tags; or without any, and then of the same name and parent."""
    tags = set(wanted.props.get("tags") or ())
    for each in objects:
        held = set(each.tags or ())
        if tags and tags <= held:
            yield Found(each.id, _says(kind, each), marked=True, status=_status(each))
        elif not held and (same(each) if same is not None else each.name == wanted.text("name")):
            yield Found(each.id, _says(kind, each), marked=False, old=_old(each, since), status=_status(each))  # fmt: skip


def _by_metadata(
    kind: str, objects: Iterable[Any], wanted: Wanted, id_of: Callable[[Any], str] = lambda each: str(each.id)
) -> Iterator[Found]:  # fmt: skip
    """Marked by metadata that came with the create itself: without it, it is not the one."""
    given = wanted.props.get("metadata")
    marks = {name: given[name] for name in MARKS if name in given} if isinstance(given, Mapping) else {}  # fmt: skip
    for each in objects:
        held = each.metadata or {}
        if marks and all(held.get(name) == value for name, value in marks.items()):
            yield Found(id_of(each), _says(kind, each, id_of(each)), marked=True, status=_status(each))  # fmt: skip


def _by_description(
    kind: str, objects: Iterable[Any], wanted: Wanted, id_of: Callable[[Any], str] = lambda each: str(each.id)
) -> Iterator[Found]:  # fmt: skip
    """Marked by a description that came with the create itself."""
    said = wanted.text("description")
    for each in objects:
        if said and (each.description or "") == said:
            yield Found(id_of(each), _says(kind, each, id_of(each)), marked=True, status=_status(each))  # fmt: skip


# --------------------------------------------------------------------------------------------- networking


def _network(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    api = target.connection.network
    held = target.all("networks", of=lambda: api.networks(project_id=target.project))
    return _by_tags("network", held, wanted, since)


def _subnet(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    api = target.connection.network
    held = target.all("subnets", of=lambda: api.subnets(project_id=target.project))

    def same(each: Any) -> bool:
        return (each.name, each.network_id, each.cidr) == (
            wanted.text("name"), wanted.text("networkId"), wanted.text("cidr"),
        )  # fmt: skip

    return _by_tags("subnet", held, wanted, since, same)


def _router(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    api = target.connection.network
    held = target.all("routers", of=lambda: api.routers(project_id=target.project))
    return _by_tags("router", held, wanted, since)


def _group(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    api = target.connection.network
    held = target.all("groups", of=lambda: api.security_groups(project_id=target.project))
    return _by_tags("security group", held, wanted, since)


def _ports(target: Target) -> list[Any]:
    api = target.connection.network
    return target.all("ports", of=lambda: api.ports(project_id=target.project))


def _port(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    def same(each: Any) -> bool:
        return (each.name, each.network_id) == (wanted.text("name"), wanted.text("networkId"))

    return _by_tags("port", _ports(target), wanted, since, same)


def _address(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    api = target.connection.network
    held = target.all("addresses", of=lambda: api.ips(project_id=target.project))

    def same(each: Any) -> bool:
        return not each.port_id and (each.description or "") == wanted.text("description")

    return _by_tags("floating IP", held, wanted, since, same)


def _rule(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.network
    held = target.all("rules", of=lambda: api.security_group_rules(project_id=target.project))
    mine = [each for each in held if each.security_group_id == wanted.text("securityGroupId")]
    return _by_description("rule", mine, wanted)


def _interface(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A router has one leg in a subnet: the router and the subnet (or the port) say which. Its id is the port's."""
    for each in _ports(target):
        subnets = {ip.get("subnet_id") for ip in each.fixed_ips or ()}
        if each.device_id and each.device_id == wanted.text("routerId") and (
            each.id == wanted.text("portId") or wanted.text("subnetId") in subnets
        ):  # fmt: skip
            yield Found(each.id, _says("router interface", each), marked=True)


def _route(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A line of its router. Its id is put together by the provider."""
    api = target.connection.network
    router, to, over = (wanted.text(each) for each in ("routerId", "destinationCidr", "nextHop"))
    for each in target.all("routers", of=lambda: api.routers(project_id=target.project)):
        if each.id == router and any(
            (route.get("destination"), route.get("nexthop")) == (to, over)
            for route in each.routes or ()
        ):
            yield Found(f"{router}-route-{to}-{over}", f"route to {to} of router {router}", marked=True)  # fmt: skip


def _bound(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A floating IP that has the port already. Its id is the floating IP's."""
    api = target.connection.network
    for each in target.all("addresses", of=lambda: api.ips(project_id=target.project)):
        if each.floating_ip_address == wanted.text("floatingIp") and each.port_id and each.port_id == wanted.text("portId"):  # fmt: skip
            yield Found(each.id, f"{each.floating_ip_address} at port {each.port_id}", marked=True)


# ---------------------------------------------------------------------------------------- compute, storage


def _server(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.compute
    return _by_metadata("server", target.all("servers", of=lambda: api.servers(details=True)), wanted)  # fmt: skip


def _volume(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.block_storage
    return _by_metadata("volume", target.all("volumes", of=lambda: api.volumes(details=True)), wanted)  # fmt: skip


def _attachment(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A volume is attached to a server once. Its id is `server/volume`."""
    server, volume = wanted.text("instanceId"), wanted.text("volumeId")
    api = target.connection.compute
    if server:
        for each in target.all("attachments", server, of=lambda: api.volume_attachments(server)):
            if each.volume_id == volume:
                yield Found(f"{server}/{volume}", f"volume {volume} at server {server}", marked=True)  # fmt: skip


def _key(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A name is a user's own; the same key under it is the one. Its id is the name."""
    api = target.connection.compute
    for each in target.all("keys", of=api.keypairs):
        if each.name == wanted.text("name") and _same_key(each.public_key, wanted.text("publicKey")):  # fmt: skip
            yield Found(each.name, f"key pair {each.name}", marked=True)


def _same_key(one: str | None, other: str) -> bool:
    return bool(one) and (one or "").split()[:2] == other.split()[:2]


def _server_group(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """It has no mark and no date: its name and policy, as long as nothing is in it yet."""
    api = target.connection.compute
    policies = wanted.props.get("policies")
    for each in target.all("server groups", of=api.server_groups):
        held = each.policies or ([each.policy] if each.policy else [])
        same = policies in held if isinstance(policies, str) else list(policies or ()) == list(held)
        if each.name == wanted.text("name") and same and not each.member_ids:
            yield Found(each.id, _says("server group", each), marked=True)


# -------------------------------------------------------------------------------------------- load balancer


def _balancer(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.load_balancer
    held = target.all("balancers", of=lambda: api.load_balancers(project_id=target.project))
    return _by_tags("load balancer", held, wanted, None, _never)


def _never(each: Any) -> bool:  # noqa: ARG001
    """Octavia's tags come with the create itself: without them, it is not the one."""
    return False


def _listener(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.load_balancer
    held = target.all("listeners", of=lambda: api.listeners(project_id=target.project))
    return _by_tags("listener", held, wanted, None, _never)


def _pool(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.load_balancer
    held = target.all("pools", of=lambda: api.pools(project_id=target.project))
    return _by_tags("pool", held, wanted, None, _never)


def _member(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.load_balancer
    pool = wanted.text("poolId")
    held = target.all("members", pool, of=lambda: api.members(pool)) if pool else []
    return _by_tags("member", held, wanted, None, _never)


def _monitor(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A pool has one at most."""
    api = target.connection.load_balancer
    for each in target.all("monitors", of=lambda: api.health_monitors(project_id=target.project)):
        if wanted.text("poolId") in {pool.get("id") for pool in each.pools or ()}:
            yield Found(each.id, _says("monitor", each), marked=True, status=_status(each))


def _policy(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.load_balancer
    held = target.all("policies", of=lambda: api.l7_policies(project_id=target.project))
    mine = [each for each in held if each.listener_id == wanted.text("listenerId")]
    return _by_description("L7 policy", mine, wanted)


def _policy_rule(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """It has no mark: all that it says, below its policy."""
    api = target.connection.load_balancer
    policy = wanted.text("l7policyId")
    said = tuple(wanted.text(each) for each in ("type", "compareType", "value", "key"))
    for each in target.all("policy rules", policy, of=lambda: api.l7_rules(policy)) if policy else ():  # fmt: skip
        if (each.type, each.compare_type, each.rule_value, each.key or "") == said:
            yield Found(each.id, _says("L7 rule", each), marked=True, status=_status(each))


# -------------------------------------------------------------------------------- names, objects, secrets, files


def _zone(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.dns
    return _by_description("zone", target.all("zones", of=api.zones), wanted)


def _record(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """Its id is `zone/record set`."""
    zone = wanted.text("zoneId")
    api = target.connection.dns
    held = target.all("records", zone, of=lambda: api.recordsets(zone)) if zone else []
    return _by_description("record set", held, wanted, lambda each: f"{zone}/{each.id}")


def _container(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """A name is unique in its account. Its id is the name."""
    from openstack.exceptions import NotFoundException

    name = wanted.text("name")
    if not name:
        return
    api = target.connection.object_store
    try:
        head = api.head(f"/{_quoted(name)}")
    except NotFoundException:
        return
    if head.status_code >= 300:
        return
    given = wanted.props.get("metadata") or {}
    marks = {each: given[each] for each in MARKS if each in given}
    if marks and all(head.headers.get(f"X-Container-Meta-{each}") == held for each, held in marks.items()):  # fmt: skip
        yield Found(name, f"container {name}", marked=True)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


def _secret(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:
    api = target.connection.key_manager
    given = wanted.props.get("metadata") or {}
    marks = {each: given[each] for each in MARKS if each in given}
    for each in target.all("secrets", wanted.text("name"), of=lambda: _secrets(api, wanted.text("name"))):  # fmt: skip
        id_ = str(each["secret_ref"]).rstrip("/").rsplit("/", 1)[-1]
        held = api.get(f"/secrets/{id_}/metadata").json().get("metadata") or {}
        says = f"secret {each.get('name') or ''} ({id_}, made {each.get('created')})"
        status = str(each.get("status") or "").upper()
        if marks and all(held.get(mark) == value for mark, value in marks.items()):
            yield Found(id_, says, marked=True, status=status)
        elif not held:
            made = _time(each.get("created"))
            old = made is None or since is None or made < since - SKEW
            yield Found(id_, says, marked=False, old=old, status=status)


def _secrets(api: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """Secrets of a name, page by page: the SDK's own pages of Barbican never end where a limit is given."""
    offset = 0
    while True:
        page = api.get("/secrets", params={"name": name, "limit": 100, "offset": offset}).json()
        held = page.get("secrets") or []
        yield from held
        offset += len(held)
        if not held or offset >= int(page.get("total") or 0):
            return


def _share(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.shared_file_system
    return _by_metadata("share", target.all("shares", of=lambda: api.shares(details=True)), wanted)


def _share_network(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    api = target.connection.shared_file_system
    held = target.all("share networks", of=lambda: api.share_networks(details=True))
    return _by_description("share network", held, wanted)


def _share_access(target: Target, wanted: Wanted, since: datetime | None) -> Iterator[Found]:  # noqa: ARG001
    """It has no mark: all that it says, below its share."""
    api = target.connection.shared_file_system
    share = wanted.text("shareId")
    said = tuple(wanted.text(each) for each in ("accessType", "accessTo", "accessLevel"))
    for each in target.all("share access", share, of=lambda: api.access_rules(share)) if share else ():  # fmt: skip
        if (each.access_type, each.access_to, each.access_level) == said:
            yield Found(each.id, _says("access", each), marked=True)


_FINDERS: Mapping[str, Callable[[Target, Wanted, datetime | None], Iterator[Found]]] = {
    "openstack:networking/network:Network": _network,
    "openstack:networking/subnet:Subnet": _subnet,
    "openstack:networking/router:Router": _router,
    "openstack:networking/secGroup:SecGroup": _group,
    "openstack:networking/secGroupRule:SecGroupRule": _rule,
    "openstack:networking/port:Port": _port,
    "openstack:networking/floatingIp:FloatingIp": _address,
    "openstack:networking/floatingIpAssociate:FloatingIpAssociate": _bound,
    "openstack:networking/routerInterface:RouterInterface": _interface,
    "openstack:networking/routerRoute:RouterRoute": _route,
    "openstack:compute/instance:Instance": _server,
    "openstack:compute/keypair:Keypair": _key,
    "openstack:compute/serverGroup:ServerGroup": _server_group,
    "openstack:compute/volumeAttach:VolumeAttach": _attachment,
    "openstack:blockstorage/volume:Volume": _volume,
    "openstack:loadbalancer/loadBalancer:LoadBalancer": _balancer,
    "openstack:loadbalancer/listener:Listener": _listener,
    "openstack:loadbalancer/pool:Pool": _pool,
    "openstack:loadbalancer/member:Member": _member,
    "openstack:loadbalancer/monitor:Monitor": _monitor,
    "openstack:loadbalancer/l7PolicyV2:L7PolicyV2": _policy,
    "openstack:loadbalancer/l7RuleV2:L7RuleV2": _policy_rule,
    "openstack:dns/zone:Zone": _zone,
    "openstack:dns/recordSet:RecordSet": _record,
    "openstack:objectstorage/container:Container": _container,
    "openstack:keymanager/secretV1:SecretV1": _secret,
    "openstack:sharedfilesystem/share:Share": _share,
    "openstack:sharedfilesystem/shareNetwork:ShareNetwork": _share_network,
    "openstack:sharedfilesystem/shareAccess:ShareAccess": _share_access,
}
"""Token -> how its objects are found; a test holds it against what the targets emit."""
