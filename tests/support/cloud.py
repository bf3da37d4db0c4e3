"""The lab -> a project and a user of this test session in it, with nothing of anybody else's; and the counts of what is there."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from tests.support.lab import folder as lab_folder

ROLES = ("member", "load-balancer_member", "creator")


@dataclass
class Project:
    """A project of the lab's own, its clouds.yaml, and connections as its user and as the lab's operator."""

    name: str
    id: str
    config: Path
    user: Any
    admin: Any
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """What the commands under test need to work as this project."""
        return {"OS_CLIENT_CONFIG_FILE": str(self.config), "OS_CLOUD": self.name}

    def things(self, *, every: bool = False, core: bool = True) -> dict[str, list[str]]:
        """Objects of the project by kind, as names: `core` are networks and servers, with `every` also the other kinds.

        What Neutron makes by itself (the default group, ports of DHCP) and a zone's own records are left out.
        """
        net, compute, disk = self.user.network, self.user.compute, self.user.block_storage
        found: dict[str, list[Any]] = {}
        if core:
            groups = [g for g in net.security_groups(project_id=self.id) if g.name != "default"]
            mine = {g.id for g in groups}
            rules = [r for r in net.security_group_rules(project_id=self.id) if r.security_group_id in mine]  # fmt: skip
            found |= {
                "network": list(net.networks(project_id=self.id)),
                "subnet": list(net.subnets(project_id=self.id)),
                "router": list(net.routers(project_id=self.id)),
                "port": [p for p in net.ports(project_id=self.id) if p.device_owner != "network:dhcp"],
                "security group": groups,
                "rule": rules,
                "server": list(compute.servers()),
                "volume": list(disk.volumes()),
                "key": list(compute.keypairs()),
            }  # fmt: skip
        if every and core:
            found["floating ip"] = list(net.ips(project_id=self.id))
        if every:
            has = self.user.has_service
            zones = list(self.user.dns.zones()) if has("dns") else []
            records = [r for zone in zones for r in self.user.dns.recordsets(zone)]
            balancers = self.user.load_balancer.load_balancers(project_id=self.id) if has("load-balancer") else ()  # fmt: skip
            shares = self.user.shared_file_system.shares() if has("shared-file-system") else ()
            found |= {
                "server group": list(compute.server_groups()),
                "secret": self._secrets() if has("key-manager") else [],
                "zone": zones,
                "record": [r for r in records if r.type not in ("SOA", "NS")],
                "balancer": list(balancers),
                "share": list(shares),
                "container": list(self.user.object_store.containers())
                if has("object-store")
                else [],
            }
        return {
            kind: sorted(getattr(each, "description" if kind == "rule" else "name", "") or "" for each in held)
            for kind, held in found.items()
        }  # fmt: skip

    def counts(self, *, every: bool = False, core: bool = True) -> dict[str, int]:
        """How many of each kind."""
        return {kind: len(held) for kind, held in self.things(every=every, core=core).items()}

    def empty(self, *, core: bool = True) -> None:
        """Take away everything in it, whoever made it; without `core` only names, secrets and containers."""
        has = self.user.has_service
        if core:
            self._empty_core()
        for zone in self.user.dns.zones() if has("dns") else ():
            self.user.dns.delete_zone(zone)
        for secret in self._secrets() if has("key-manager") else ():
            self.user.key_manager.delete(f"/secrets/{secret.id}")
        with contextlib.suppress(Exception):
            for container in self.user.object_store.containers():
                for held in self.user.object_store.objects(container):
                    self.user.object_store.delete_object(held, container=container)
                self.user.object_store.delete_container(container)

    def _empty_core(self) -> None:
        net, compute, disk, lb = (self.user.network, self.user.compute, self.user.block_storage, self.user.load_balancer)  # fmt: skip
        if self.user.has_service("shared-file-system"):
            files = self.user.shared_file_system
            for share in files.shares():
                files.delete_share(share, ignore_missing=True)
                files.wait_for_delete(share, interval=1, wait=60)
            for held in files.share_networks():
                files.delete_share_network(held)
        for balancer in (
            lb.load_balancers(project_id=self.id) if self.user.has_service("load-balancer") else ()
        ):
            lb.delete_load_balancer(balancer, cascade=True)
            lb.wait_for_delete(balancer)
        for server in compute.servers():
            compute.delete_server(server)
            compute.wait_for_delete(server)
        for volume in disk.volumes():
            _until_gone(disk, volume)
        for address in net.ips(project_id=self.id):
            net.delete_ip(address)
        for router in net.routers(project_id=self.id):
            net.update_router(router, routes=[])
            for port in net.ports(device_id=router.id):
                if port.device_owner != "network:router_gateway":
                    net.remove_interface_from_router(router, port_id=port.id)
            net.delete_router(router)
        for port in net.ports(project_id=self.id):
            if not port.device_owner:
                net.delete_port(port)
        for network in net.networks(project_id=self.id):
            net.delete_network(network)
        for group in net.security_groups(project_id=self.id):
            if group.name != "default":
                net.delete_security_group(group)
        for key in compute.keypairs():
            compute.delete_keypair(key)
        for group in compute.server_groups():
            compute.delete_server_group(group)

    def _secrets(self) -> list[Any]:
        held = self.user.key_manager.get("/secrets", params={"limit": 100}).json()["secrets"]
        return [SimpleNamespace(name=each["name"], id=each["secret_ref"].rsplit("/", 1)[-1]) for each in held]  # fmt: skip

    def quota(self, **limits: int) -> None:
        """Set Neutron's quotas, as the lab's operator; -1 is no limit."""
        self.admin.network.update_quota(self.id, **limits)


def _until_gone(disk: Any, volume: Any) -> None:
    import time

    deadline = time.monotonic() + 60
    while True:
        held = disk.find_volume(volume.id)
        if held is None:
            return
        if held.status in ("available", "error"):
            disk.delete_volume(held.id)
        assert time.monotonic() < deadline, held.status
        time.sleep(0.5)


@contextlib.contextmanager
def project(folder: Path, name: str = "") -> Iterator[Project]:
    """A project that ends with the block, and everything in it."""
    import openstack
    from openstack.config import OpenStackConfig

    lab = lab_folder() / "clouds.yaml"
    # not from this process's own variables
    operator = OpenStackConfig(config_files=[str(lab)], load_envvars=False).get_one("lab-admin")
    admin = openstack.connection.Connection(config=operator)
    name = name or f"apply-{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(18)
    made = admin.identity.create_project(name=name, domain_id="default")
    person = admin.identity.create_user(name=name, password=password, default_project_id=made.id, domain_id="default")  # fmt: skip
    for role in admin.identity.roles():
        if role.name in ROLES:
            admin.identity.assign_project_role_to_user(made, person, role)
    auth: Mapping[str, Any] = {
        "auth_url": operator.get_auth_args()["auth_url"], "username": name, "password": password, "project_name": name,
        "user_domain_name": "Default", "project_domain_name": "Default",
    }  # fmt: skip
    config = folder / "clouds.yaml"
    region = operator.get_region_name()
    config.write_text(yaml.safe_dump({"clouds": {name: {"auth": dict(auth), "region_name": region}}}))  # fmt: skip
    config.chmod(0o600)
    user = openstack.connection.Connection(
        config=OpenStackConfig(config_files=[str(config)], load_envvars=False).get_one(name)
    )
    held = Project(name, made.id, config, user, admin, password)
    try:
        admin.network.update_quota(made.id, port=200, security_group_rule=400)
        yield held
        if any(held.counts(every=True).values()):
            held.empty()
    finally:
        for group in list(admin.network.security_groups(project_id=made.id)):
            with contextlib.suppress(Exception):
                admin.network.delete_security_group(group)
        with contextlib.suppress(Exception):
            admin.network.delete_quota(made.id)
        admin.identity.delete_user(person)
        admin.identity.delete_project(made)
        user.close()
        admin.close()
