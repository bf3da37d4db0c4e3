"""The OpenStack lab that REPATRIA_LAB names -> a project of the test's own in it, dressed as a plan wants; undone at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

T = TypeVar("T")
ROLES = ("member", "load-balancer_member", "creator")


def folder() -> Path:
    """The lab's folder. Where there is none: a failure in CI, a skip with the reason elsewhere."""
    named = os.environ.get("REPATRIA_LAB", "")
    if named and (Path(named) / "clouds.yaml").exists():
        return Path(named)
    reason = "no lab: `repatria lab up`, then set REPATRIA_LAB to its folder"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def root() -> None:
    """Tests that make namespaces need root: a failure in CI, a skip elsewhere."""
    if os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("this test needs root")
        pytest.skip("needs root")


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

    def interface(self, router: str, verb: str = "add", **where: str) -> None:
        """Give a router a foot (subnet_id or port_id), or take it away."""
        answer = self.own.network.put(f"/routers/{router}/{verb}_router_interface", json=where)
        assert answer.status_code == 200, answer.text

    def sweep(self) -> None:
        """Remove everything that the project holds, in an order that works."""
        own, net = self.own, self.own.network
        for each in own.load_balancer.load_balancers(project_id=self.project):
            own.load_balancer.delete_load_balancer(each, cascade=True)
            own.load_balancer.wait_for_delete(each, interval=1, wait=60)
        for each in own.compute.servers():
            own.compute.delete_server(each)
            own.compute.wait_for_delete(each, interval=1, wait=60)
        for each in own.compute.keypairs():
            own.compute.delete_keypair(each)
        for each in own.block_storage.volumes():
            own.block_storage.delete_volume(each)
        for each in net.ips(project_id=self.project):
            net.delete_ip(each)
        for router in net.routers(project_id=self.project):
            net.update_router(router, routes=[])
            for port in net.ports(device_id=router.id):
                if str(port.device_owner).startswith("network:router_interface"):
                    self.interface(router.id, "remove", port_id=port.id)
            net.delete_router(router)
        for port in net.ports(project_id=self.project):
            if not str(port.device_owner).startswith("network:dhcp"):
                net.delete_port(port)
        for each in net.networks(project_id=self.project):
            net.delete_network(each)
        for each in net.security_groups(project_id=self.project):
            if each.name != "default":
                net.delete_security_group(each)
        for each in own.dns.zones():
            own.dns.delete_zone(each)
        for each in own.object_store.containers():
            for item in own.object_store.objects(each):
                own.object_store.delete_object(item)
            own.object_store.delete_container(each)


@contextlib.contextmanager
def project(tmp: Path, name: str) -> Iterator[Lab]:
    """A project `name-<random>` with a user who has a customer's roles; afterwards it is gone with all it held."""
    import openstack
    from openstack.config import OpenStackConfig

    lab = folder()
    config = OpenStackConfig(config_files=[str(lab / "clouds.yaml")], load_envvars=False)
    admin = openstack.connection.Connection(config=config.get_one("lab-admin"))
    label = f"{name}-{secrets.token_hex(3)}"
    password = secrets.token_urlsafe(16)
    made = admin.identity.create_project(name=label, domain_id="default")
    user = admin.identity.create_user(name=label, password=password, domain_id="default", default_project_id=made.id)  # fmt: skip
    for role in ROLES:
        admin.identity.assign_project_role_to_user(made, user, admin.identity.find_role(role))
    auth = {
        "auth_url": str(admin.config.auth["auth_url"]), "username": label, "password": password, "project_name": label,
        "user_domain_name": "Default", "project_domain_name": "Default",
    }  # fmt: skip
    own = openstack.connect(**auth, region_name=admin.config.region_name, interface="public", load_yaml_config=False, load_envvars=False)  # fmt: skip
    held = Lab(label, tmp / "clouds.yaml", admin, own, made.id, user.id, auth)
    held.write(held.clouds, **{label: held.entry()})
    try:
        yield held
    finally:
        try:
            held.sweep()
        finally:
            for step in reversed(held.undo):
                with contextlib.suppress(openstack.exceptions.NotFoundException):
                    step()
            for group in list(admin.network.security_groups(project_id=made.id)):
                admin.network.delete_security_group(group)
            admin.identity.delete_user(user)
            admin.identity.delete_project(made)


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
