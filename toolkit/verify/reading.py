"""A place of the target -> lists of what is there, by Apache Libcloud where its drivers tell all, by openstacksdk elsewhere.

One list call a kind (paged), never one a resource; where an API lists by parent only (members of a
pool, rules of a policy, the head of a container) one call for each parent that the plan names.
Field names are those of the Networking, Compute, ... APIs and of the properties in plan.json.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.engines.openstack import told
from toolkit.errors import TargetError

if TYPE_CHECKING:
    import openstack.connection

Object = dict[str, Any]
Snapshot = dict[str, list[Object]]
"""Listing -> its objects, plain JSON; `networks`, `servers`, ... as in `LISTINGS`."""

AT_ONCE = 6
"""List calls at the same time: what a shared API stands without answering 429."""


@dataclass(slots=True)
class Eye:
    """What a listing reads with. `names` are the planned names of each listing, for those that go by parent."""

    connection: openstack.connection.Connection
    names: Mapping[str, frozenset[str]]
    done: Snapshot = field(default_factory=dict)

    @property
    def project(self) -> str:
        return str(self.connection.current_project_id)

    def driver(self) -> Any:
        """A Libcloud driver on the same token; a new one each time, as it is not safe to share by threads."""
        import libcloud.security
        from libcloud.compute.drivers.openstack import OpenStack_2_NodeDriver

        session = self.connection.session
        libcloud.security.VERIFY_SSL_CERT = session.verify is not False
        if isinstance(session.verify, str):
            libcloud.security.CA_CERTS_PATH = session.verify
        image = self.endpoint("image")
        driver = OpenStack_2_NodeDriver(  # type: ignore[no-untyped-call]
            "token", "", ex_tenant_name="given by the token",
            ex_force_auth_url=self.connection.config.get_auth_args().get("auth_url", ""), ex_force_auth_version="3.x_password",
            ex_force_auth_token=session.get_token(), ex_force_base_url=self.endpoint("compute"),
            ex_force_network_url=self.endpoint("network").removesuffix("/v2.0"),
            ex_force_image_url=image.removesuffix("/v2"), ex_force_volume_url=self.endpoint("block-storage"),
        )  # fmt: skip
        driver.volume_connection = (
            driver.volumev3_connection
        )  # a given token brings no catalogue to choose by
        return driver

    def endpoint(self, service: str) -> str:
        """The service's address in this place; empty where the place has no such service."""
        return str(self.connection.endpoint_for(service) or "").rstrip("/")


PAGE = 100
"""Objects that are asked for at once where this module turns the pages itself (DNS records, secrets)."""


def fields(resource: Any, same: str, **renamed: str) -> Object:
    """Some attributes of an SDK resource: those with the same name, and `ours=theirs`."""
    found = {name: getattr(resource, name) for name in same.split()}
    return found | {ours: getattr(resource, theirs) for ours, theirs in renamed.items()}


# ------------------------------------------------------------------------- Apache Libcloud


def _servers(eye: Eye) -> Iterator[Object]:
    for node in eye.driver().list_nodes():
        extra = node.extra
        yield {
            "id": node.id, "name": node.name, "metadata": extra["metadata"], "flavor_id": extra["flavorId"], "image_id": extra["imageId"],
            "key_pair": extra["key_name"], "availability_zone": extra["availability_zone"], "vm_state": extra["vm_state"],
            "volumes": [each["id"] for each in extra["volumes_attached"] or ()],
        }  # fmt: skip


def _volumes(eye: Eye) -> Iterator[Object]:
    for volume in eye.driver().list_volumes():
        extra = volume.extra
        yield {
            "id": volume.id, "name": volume.name, "size": volume.size, "volume_type": extra["volume_type"], "metadata": extra["metadata"],
            "status": extra["state"], "attachments": [each["server_id"] for each in extra["attachments"]],
        }  # fmt: skip


def _ports(eye: Eye) -> Iterator[Object]:
    names = (
        "name", "network_id", "fixed_ips", "admin_state_up", "port_security_enabled", "allowed_address_pairs", "tags", "device_id", "device_owner",
        "description", "project_id",
    )  # fmt: skip
    for port in eye.driver().ex_list_ports():
        yield {
            "id": port.id, "security_group_ids": port.extra["security_groups"] or [], "status": str(port.state),
            "all_fixed_ips": [each["ip_address"] for each in port.extra["fixed_ips"] or ()], **{name: port.extra[name] for name in names},
        }  # fmt: skip


def _flavors(eye: Eye) -> Iterator[Object]:
    for size in eye.driver().list_sizes():
        yield {"id": size.id, "name": size.name, "vcpus": size.vcpus, "ram": size.ram, "disk": size.disk}  # fmt: skip


def _images(eye: Eye) -> Iterator[Object]:
    for image in eye.driver().list_images():
        yield {"id": image.id, "name": image.name, "created_at": image.extra["created"], "status": image.extra["status"]}  # fmt: skip


def _key_pairs(eye: Eye) -> Iterator[Object]:
    for pair in eye.driver().list_key_pairs():
        yield {"id": pair.name, "name": pair.name, "public_key": pair.public_key}


def _server_groups(eye: Eye) -> Iterator[Object]:
    for group in eye.driver().ex_list_server_groups():
        yield {"id": group.id, "name": group.name, "policies": group.policy, "members": group.members or []}  # fmt: skip


# ----------------------------------------------------------------------------- openstacksdk


def _networks(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.network.networks():
        yield fields(each, "id name tags project_id", admin_state_up="is_admin_state_up", external="is_router_external")  # fmt: skip


def _subnets(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.network.subnets(project_id=eye.project):
        yield fields(
            each, "id name tags network_id cidr ip_version gateway_ip allocation_pools dns_nameservers host_routes", enable_dhcp="is_dhcp_enabled"
        )  # fmt: skip


def _routers(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.network.routers(project_id=eye.project):
        gateway = each.external_gateway_info or {}
        yield fields(each, "id name tags routes", admin_state_up="is_admin_state_up") | {"external_network_id": gateway.get("network_id")}  # fmt: skip


def _security_groups(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.network.security_groups(project_id=eye.project):
        yield fields(each, "id name tags description stateful", rules="security_group_rules")


def _floating_ips(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.network.ips(project_id=eye.project):
        yield fields(
            each, "id tags description floating_network_id port_id", address="floating_ip_address", fixed_ip="fixed_ip_address"
        ) | {"name": each.floating_ip_address}  # fmt: skip


def _volume_images(eye: Eye) -> Iterator[Object]:
    """Libcloud leaves out which image a volume was made from."""
    for each in eye.connection.block_storage.volumes(details=True):
        yield {"id": each.id, "image_id": (each.volume_image_metadata or {}).get("image_id")}


def _load_balancers(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.load_balancer.load_balancers(project_id=eye.project):
        yield fields(
            each, "id name tags vip_subnet_id vip_port_id vip_address flavor_id provisioning_status", admin_state_up="is_admin_state_up"
        )  # fmt: skip


def _load_balancer_flavors(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.load_balancer.flavors():
        yield fields(each, "id name", flavor_id="id")


def _listeners(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.load_balancer.listeners(project_id=eye.project):
        yield fields(
            each, "id name tags protocol protocol_port default_pool_id default_tls_container_ref insert_headers allowed_cidrs "
            "timeout_client_data timeout_member_data", admin_state_up="is_admin_state_up",
        ) | {"loadbalancer_id": _first(each.load_balancers)}  # fmt: skip


def _pools(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.load_balancer.pools(project_id=eye.project):
        yield fields(each, "id name tags protocol", lb_method="lb_algorithm", admin_state_up="is_admin_state_up", persistence="session_persistence") | {
            "loadbalancer_id": _first(each.loadbalancers)
        }  # fmt: skip


def _members(eye: Eye) -> Iterator[Object]:
    for pool in _named(eye, "pools"):
        for each in eye.connection.load_balancer.members(pool["id"]):
            yield fields(each, "id name tags address protocol_port subnet_id weight backup", admin_state_up="is_admin_state_up") | {"pool_id": pool["id"]}  # fmt: skip


def _monitors(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.load_balancer.health_monitors(project_id=eye.project):
        yield fields(
            each, "id name delay max_retries max_retries_down timeout type expected_codes http_method url_path", admin_state_up="is_admin_state_up"
        ) | {"pool_id": _first(each.pools)}  # fmt: skip


def _l7_policies(eye: Eye) -> Iterator[Object]:
    """Read page by page: the SDK's own class leaves out redirect_http_code."""
    names = (
        "id", "name", "listener_id", "action", "position", "redirect_pool_id", "redirect_prefix", "redirect_http_code", "description", "admin_state_up",
    )  # fmt: skip
    marker: dict[str, Any] = {"project_id": eye.project}
    while True:
        answer = _json(eye.connection.load_balancer.get("/lbaas/l7policies", params=marker))
        page = answer["l7policies"]
        yield from ({name: each.get(name) for name in names} for each in page)
        if not page or not any(each["rel"] == "next" for each in answer.get("l7policies_links", ())):  # fmt: skip
            return
        marker["marker"] = page[-1]["id"]


def _l7_rules(eye: Eye) -> Iterator[Object]:
    for policy in _named(eye, "l7_policies"):
        for each in eye.connection.load_balancer.l7_rules(policy["id"]):
            yield fields(each, "id type compare_type key invert", value="rule_value") | {"l7policy_id": policy["id"], "name": each.id}  # fmt: skip


def _zones(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.dns.zones():
        yield fields(each, "id name email ttl description")


def _record_sets(eye: Eye) -> Iterator[Object]:
    """Of all zones in one list, page by page; the SDK's own call for it asks for a zone after all."""
    marker: dict[str, Any] = {}
    while True:
        answer = _json(eye.connection.dns.get("/recordsets", params={"limit": PAGE, **marker}))
        page = answer["recordsets"]
        for each in page:
            yield {name: each.get(name) for name in ("id", "name", "type", "ttl", "records", "description", "zone_id")}  # fmt: skip
        if not page or "next" not in answer.get("links", {}):
            return
        marker = {"marker": page[-1]["id"]}


def _secrets(eye: Eye) -> Iterator[Object]:
    """Names and kinds, never a payload. A secret's metadata is a call of its own: only where two have one name."""
    api = eye.connection.key_manager
    found: list[Object] = []
    while True:
        page = _json(api.get("/secrets", params={"limit": PAGE, "offset": len(found)}))["secrets"]
        found += [
            {
                "id": each["secret_ref"].rsplit("/", 1)[-1], "name": each["name"], "secret_ref": each["secret_ref"], "secret_type": each["secret_type"],
                "payload_content_type": (each.get("content_types") or {}).get("default"), "status": each["status"], "metadata": {},
            }
            for each in page
        ]  # fmt: skip
        if len(page) < PAGE:
            break
    names = [each["name"] for each in found]
    for each in found:
        if names.count(each["name"]) > 1 and each["name"] in eye.names["secrets"]:
            each["metadata"] = _json(api.get(f"/secrets/{each['id']}/metadata"))["metadata"]
    yield from found


def _containers(eye: Eye) -> Iterator[Object]:
    """Swift says versioning, access and metadata in the head of each container only."""
    api = eye.connection.object_store
    there = {each.name for each in api.containers()}
    for name in sorted(eye.names["containers"] & there):
        head = api.head(f"/{urllib.parse.quote(name, safe='')}").headers
        yield {
            "id": name, "name": name, "versioning": head.get("X-Versions-Enabled", "").lower() == "true" or "X-Versions-Location" in head,
            "container_read": head.get("X-Container-Read", ""),
            "metadata": {key.lower().removeprefix("x-container-meta-"): value for key, value in head.items() if key.lower().startswith("x-container-meta-")},
        }  # fmt: skip


def _share_networks(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.shared_file_system.share_networks():
        first = (each.share_network_subnets or [{}])[0]
        yield fields(each, "id name description") | {
            "neutron_net_id": each.neutron_net_id or first.get("neutron_net_id"), "neutron_subnet_id": each.neutron_subnet_id or first.get("neutron_subnet_id"),
        }  # fmt: skip


def _shares(eye: Eye) -> Iterator[Object]:
    for each in eye.connection.shared_file_system.shares():
        # without a microversion Manila gives the type's name as share_type
        yield fields(each, "id name metadata share_network_id size", share_proto="share_protocol") | {"share_type": each.share_type_name or each.share_type}  # fmt: skip


def _share_accesses(eye: Eye) -> Iterator[Object]:
    for share in _named(eye, "shares"):
        for each in eye.connection.shared_file_system.access_rules(share["id"]):
            yield fields(each, "id access_level access_to access_type") | {"share_id": share["id"], "name": each.access_to}  # fmt: skip


def _first(refs: Iterable[Mapping[str, Any]] | None) -> Any:
    return next((each["id"] for each in refs or ()), None)


def _named(eye: Eye, listing: str) -> list[Object]:
    """The objects of a listing whose name the plan has."""
    return [each for each in eye.done[listing] if each["name"] in eye.names[listing]]


def _json(response: Any) -> Any:
    response.raise_for_status()
    return response.json()


@dataclass(frozen=True, slots=True)
class Listing:
    """How a kind of object is listed, by which service, and what has to be listed before it."""

    service: str
    read: Callable[[Eye], Iterator[Object]]
    after: str = ""


LISTINGS: Mapping[str, Listing] = {
    "networks": Listing("network", _networks),
    "subnets": Listing("network", _subnets),
    "routers": Listing("network", _routers),
    "security_groups": Listing("network", _security_groups),
    "ports": Listing("network", _ports),
    "floating_ips": Listing("network", _floating_ips),
    "servers": Listing("compute", _servers),
    "flavors": Listing("compute", _flavors),
    "images": Listing("image", _images),
    "key_pairs": Listing("compute", _key_pairs),
    "server_groups": Listing("compute", _server_groups),
    "volumes": Listing("block-storage", _volumes),
    "volume_images": Listing("block-storage", _volume_images),
    "load_balancers": Listing("load-balancer", _load_balancers),
    "load_balancer_flavors": Listing("load-balancer", _load_balancer_flavors),
    "listeners": Listing("load-balancer", _listeners),
    "pools": Listing("load-balancer", _pools),
    "monitors": Listing("load-balancer", _monitors),
    "l7_policies": Listing("load-balancer", _l7_policies),
    "members": Listing("load-balancer", _members, after="pools"),
    "l7_rules": Listing("load-balancer", _l7_rules, after="l7_policies"),
    "zones": Listing("dns", _zones),
    "record_sets": Listing("dns", _record_sets),
    "secrets": Listing("key-manager", _secrets),
    "containers": Listing("object-store", _containers),
    "share_networks": Listing("shared-file-system", _share_networks),
    "shares": Listing("shared-file-system", _shares),
    "share_accesses": Listing("shared-file-system", _share_accesses, after="shares"),
}


def read(
    connection: openstack.connection.Connection,
    wanted: Iterable[str],
    names: Mapping[str, frozenset[str]],
) -> Snapshot:
    """The wanted listings of one place, several at a time.

    `names`: listing -> planned names. A service that the place does not have has nothing in it. Raises
    TargetError: a call that fails is never an empty list.
    """
    order = _with_parents(wanted)
    eye = Eye(connection, names)
    with _told_by_libcloud(), told(), ThreadPoolExecutor(AT_ONCE) as pool:
        connection.authorize()
        for round_ in (
            [name for name in order if not LISTINGS[name].after],
            [name for name in order if LISTINGS[name].after],
        ):
            running = {name: pool.submit(_listed, eye, name) for name in round_}
            for name, future in running.items():
                eye.done[name] = future.result()
    return eye.done


def _with_parents(wanted: Iterable[str]) -> list[str]:
    order: dict[str, None] = {}
    for name in wanted:
        if LISTINGS[name].after:
            order[LISTINGS[name].after] = None
        order[name] = None
    return list(order)


def _listed(eye: Eye, name: str) -> list[Object]:
    listing = LISTINGS[name]
    return list(listing.read(eye)) if eye.endpoint(listing.service) else []


@contextmanager
def _told_by_libcloud() -> Iterator[None]:
    """Faults of Libcloud, and the answers that `told` leaves to its caller -> TargetError."""
    import openstack.exceptions
    import requests
    from libcloud.common.exceptions import BaseHTTPError
    from libcloud.common.types import LibcloudError

    again = "Nothing was changed; run the same command again. If it stays, ask the provider."
    try:
        yield
    except (
        BaseHTTPError,
        LibcloudError,
        openstack.exceptions.SDKException,
        requests.RequestException,
    ) as error:
        raise TargetError(f"the target could not be read: {error}", again) from error
