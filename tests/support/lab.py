"""The OpenStack lab that REPATRIA_LAB names -> a project of the test's own in it, dressed as a plan wants; undone at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import yaml

from tests.support.missing import missing

T = TypeVar("T")
ROLES = ("member", "load-balancer_member", "creator")


def folder() -> Path:
    """The lab's folder. Where there is none: a failure in CI, a skip with the reason elsewhere."""
    named = os.environ.get("REPATRIA_LAB", "")
    if not named or not (Path(named) / "clouds.yaml").exists():
        missing("no lab: `repatria lab up`, then set REPATRIA_LAB to its folder")
    return Path(named)


def root() -> None:
    """Tests that make namespaces need root: a failure in CI, a skip elsewhere."""
    if os.geteuid() != 0:
        missing("needs root")


def connect(name: str) -> Any:
    """A session by an entry of the lab's clouds.yaml and nothing of the environment."""
    import openstack
    from openstack.config import OpenStackConfig

    config = OpenStackConfig(config_files=[str(folder() / "clouds.yaml")], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one(name))


def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """Poll until `look` gives something true; fails with `what` after `seconds`."""
    limit = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > limit:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.3)


@dataclass
class Lab:
    """A project and a user of their own; `admin` is the lab's operator, `own` the customer."""

    name: str
    clouds: Path
    admin: Any
    own: Any
    project: str
    user: str
    auth: dict[str, str]
    undo: list[Any] = field(default_factory=list)

    def entry(self, **changed: str) -> dict[str, Any]:
        """The customer's entry of clouds.yaml."""
        region = str(self.own.config.region_name)
        return {"auth": {**self.auth, **changed}, "region_name": region, "interface": "public"}

    def write(self, path: Path, **entries: dict[str, Any]) -> Path:
        """A clouds.yaml of these entries, readable by its owner only."""
        path.touch(0o600)
        path.write_text(yaml.safe_dump({"clouds": entries}))
        return path

    def quota(self, **limits: int) -> None:
        """Set limits of the project as the provider's support would: kinds as in the requests."""
        nova = {"instances": "instances", "cores": "cores", "ram_gb": "ram", "key_pairs": "key_pairs", "server_groups": "server_groups", "server_group_members": "server_group_members"}  # fmt: skip
        neutron = {"ports": "ports", "networks": "networks", "subnets": "subnets", "routers": "routers", "floating_ips": "floating_ips", "security_groups": "security_groups", "security_group_rules": "security_group_rules"}  # fmt: skip
        cinder = {"volumes": "volumes", "volume_gb": "gigabytes", "gb_of_one_volume": "per_volume_gigabytes"}  # fmt: skip
        octavia = {"load_balancers": "load_balancer", "listeners": "listener", "pools": "pool", "members": "member", "health_monitors": "health_monitor", "l7policies": "l7policy", "l7rules": "l7rule"}  # fmt: skip
        scale = {"ram_gb": 1024}
        of = lambda table: {table[k]: v * (scale.get(k, 1) if v > 0 else 1) for k, v in limits.items() if k in table}  # fmt: skip # noqa: E731
        if said := of(nova):
            self.admin.compute.update_quota_set(self.project, **said)
        if said := of(cinder):
            self.admin.block_storage.update_quota_set(self.project, **said)
        if said := of(neutron):
            self.admin.network.update_quota(self.project, **said)
        if said := of(octavia):
            answer = self.admin.load_balancer.put(f"/lbaas/quotas/{self.project}", json={"quota": said})  # fmt: skip
            assert answer.status_code == 202, answer.text
        if "zones" in limits:
            answer = self.admin.dns.patch(f"/quotas/{self.project}", json={"zones": limits["zones"]}, headers={"X-Auth-All-Projects": "true"})  # fmt: skip
            assert answer.status_code == 200, answer.text
        known = {*nova, *neutron, *cinder, *octavia, "zones"}
        assert not set(limits) - known, f"no such quota: {set(limits) - known}"

    def flavor(self, name: str, vcpus: int, ram_mb: int, disk: int) -> None:
        """A flavor that this project sees: made for it alone, or the lab's own of that name where it is the same."""
        compute = self.admin.compute
        held = next((f for f in compute.flavors(is_public=None) if f.name == name), None)
        if held is None:
            held = compute.create_flavor(name=name, vcpus=vcpus, ram=ram_mb, disk=disk, is_public=False)  # fmt: skip
            made = held
            self.undo.append(lambda: compute.delete_flavor(made))
        assert (held.vcpus, held.ram, held.disk) == (vcpus, ram_mb, disk), f"another flavor {name}"
        if not held.is_public:
            compute.flavor_add_tenant_access(held, self.project)

    def image(self, name: str, **said: Any) -> None:
        """An image that only this project sees: a megabyte of zeros."""
        made = self.own.image.create_image(name=name, container_format="bare", disk_format="raw", data=bytes(1 << 20), **said)  # fmt: skip
        self.undo.append(lambda: self.own.image.delete_image(made))

    def volume_type(self, name: str) -> None:
        """A volume type that this project sees: made for it alone, or the lab's own of that name."""
        volumes = self.admin.block_storage
        held = next((t for t in volumes.types(is_public="None") if t.name == name), None)
        if held is None:
            held = volumes.create_type(name=name, is_public=False)
            made = held
            self.undo.append(lambda: volumes.delete_type(made))
        if not held.is_public:
            volumes.add_type_access(held, self.project)

    def external(self, name: str, cidr: str) -> None:
        """An external network that only this project sees."""
        made = self.admin.network.create_network(name=name)
        self.undo.append(lambda: self.admin.network.delete_network(made))
        self.admin.network.create_subnet(network_id=made.id, cidr=cidr, ip_version=4, enable_dhcp=False)  # fmt: skip
        self.admin.network.create_rbac_policy(object_type="network", object_id=made.id, action="access_as_external", target_tenant=self.project)  # fmt: skip

    def interface(self, router: str, **where: str) -> None:
        """Give a router a foot (subnet_id or port_id)."""
        answer = self.own.network.put(f"/routers/{router}/add_router_interface", json=where)
        assert answer.status_code == 200, answer.text


def empty(user: Any, project: str, *, core: bool = True) -> None:
    """Take away everything in the user's project, whoever made it; without `core` only names, secrets and containers."""
    has = user.has_service
    if core:
        _empty_core(user, project)
    for zone in user.dns.zones() if has("dns") else ():
        user.dns.delete_zone(zone)
    for secret in secrets_of(user) if has("key-manager") else ():
        user.key_manager.delete(f"/secrets/{secret.id}")
    with contextlib.suppress(Exception):
        for container in user.object_store.containers():
            for held in user.object_store.objects(container):
                user.object_store.delete_object(held, container=container)
            user.object_store.delete_container(container)


def _empty_core(user: Any, project: str) -> None:
    net, compute, disk, lb = (user.network, user.compute, user.block_storage, user.load_balancer)  # fmt: skip
    if user.has_service("shared-file-system"):
        files = user.shared_file_system
        for share in files.shares():
            files.delete_share(share, ignore_missing=True)
            files.wait_for_delete(share, interval=1, wait=60)
        for held in files.share_networks():
            files.delete_share_network(held)
    for balancer in (
        lb.load_balancers(project_id=project) if user.has_service("load-balancer") else ()
    ):
        lb.delete_load_balancer(balancer, cascade=True)
        lb.wait_for_delete(balancer)
    for server in compute.servers():
        compute.delete_server(server)
        compute.wait_for_delete(server)
    for volume in disk.volumes():
        until(partial(_gone, disk, volume.id), 60, f"volume {volume.id} is gone")
    for address in net.ips(project_id=project):
        net.delete_ip(address)
    for router in net.routers(project_id=project):
        net.update_router(router, routes=[])
        for port in net.ports(device_id=router.id):
            if port.device_owner != "network:router_gateway":
                net.remove_interface_from_router(router, port_id=port.id)
        net.delete_router(router)
    for port in net.ports(project_id=project):
        if not port.device_owner:
            net.delete_port(port)
    for network in net.networks(project_id=project):
        net.delete_network(network)
    for group in net.security_groups(project_id=project):
        if group.name != "default":
            net.delete_security_group(group)
    for key in compute.keypairs():
        compute.delete_keypair(key)
    for group in compute.server_groups():
        compute.delete_server_group(group)


def secrets_of(user: Any) -> list[Any]:
    """Name and id of each secret that Barbican holds of the project."""
    held = user.key_manager.get("/secrets", params={"limit": 100}).json()["secrets"]
    return [SimpleNamespace(name=each["name"], id=each["secret_ref"].rsplit("/", 1)[-1]) for each in held]  # fmt: skip


def _gone(disk: Any, volume: str) -> bool:
    """Whether it is; it is deleted as soon as it can be."""
    held = disk.find_volume(volume)
    if held is not None and held.status in ("available", "error"):
        disk.delete_volume(held.id)
    return held is None


@dataclass(frozen=True)
class Customer:
    """A project and its one user, made by the lab's operator (`admin`); `auth` as clouds.yaml has it."""

    admin: Any
    project: str
    user: str
    auth: dict[str, str]


@contextlib.contextmanager
def customer(name: str) -> Iterator[Customer]:
    """A project and a user of this name, with a customer's roles; afterwards both are gone. Who fills the project empties it."""
    admin, password = connect("lab-admin"), secrets.token_urlsafe(16)
    made = admin.identity.create_project(name=name, domain_id="default")
    user = admin.identity.create_user(name=name, password=password, domain_id="default", default_project_id=made.id)  # fmt: skip
    for role in ROLES:
        admin.identity.assign_project_role_to_user(made, user, admin.identity.find_role(role))
    auth = {
        "auth_url": str(admin.config.auth["auth_url"]), "username": name, "password": password, "project_name": name,
        "user_domain_name": "Default", "project_domain_name": "Default",
    }  # fmt: skip
    try:
        yield Customer(admin, made.id, user.id, auth)
    finally:
        for group in list(admin.network.security_groups(project_id=made.id)):
            with contextlib.suppress(Exception):
                admin.network.delete_security_group(group)
        admin.identity.delete_user(user)
        admin.identity.delete_project(made)
        admin.close()


@contextlib.contextmanager
def project(tmp: Path, name: str) -> Iterator[Lab]:
    """A project `name-<random>` with a user who has a customer's roles; afterwards it is gone with all it held."""
    import openstack

    label = f"{name}-{secrets.token_hex(3)}"
    with customer(label) as made:
        own = openstack.connect(**made.auth, region_name=made.admin.config.region_name, interface="public", load_yaml_config=False, load_envvars=False)  # fmt: skip
        held = Lab(label, tmp / "clouds.yaml", made.admin, own, made.project, made.user, made.auth)
        held.write(held.clouds, **{label: held.entry()})
        try:
            yield held
        finally:
            try:
                empty(own, made.project)
            finally:
                for step in reversed(held.undo):
                    with contextlib.suppress(openstack.exceptions.NotFoundException):
                        step()


@contextlib.contextmanager
def alike(cloud: str, *names: str) -> Iterator[Any]:
    """The lab that REPATRIA_LAB names with a cloud's face, and new customers' projects in it; both as they were afterwards."""
    from toolkit.lab import lifecycle, projects
    from toolkit.lab.folder import find, find_or_new

    before = find(folder())
    lab = find_or_new(before.folder, like=cloud, region="", cloud_file="")
    lifecycle.up(lab, print, before=before)
    try:
        for name in names:
            projects.add(find(lab.folder), name)
        yield find(lab.folder)
    finally:
        for name in names:
            projects.remove(find(lab.folder), name)
        now = find(lab.folder)
        back = find_or_new(lab.folder, like=before.settings.like, region=before.settings.region, cloud_file=before.settings.cloud_file)  # fmt: skip
        lifecycle.up(back, print, before=now)
