"""The lab -> a project and a user of this test session in it, with nothing of anybody else's; and the counts of what is there."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.lab import customer, empty, secrets_of


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
                "secret": secrets_of(self.user) if has("key-manager") else [],
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
        empty(self.user, self.id, core=core)

    def quota(self, **limits: int) -> None:
        """Set Neutron's quotas, as the lab's operator; -1 is no limit."""
        self.admin.network.update_quota(self.id, **limits)


@contextlib.contextmanager
def project(folder: Path, name: str = "") -> Iterator[Project]:
    """A project that ends with the block, and everything in it."""
    import openstack
    from openstack.config import OpenStackConfig

    name = name or f"apply-{secrets.token_hex(4)}"
    with customer(name) as made:
        config = folder / "clouds.yaml"
        entry = {"auth": made.auth, "region_name": made.admin.config.region_name}
        config.write_text(yaml.safe_dump({"clouds": {name: entry}}))
        config.chmod(0o600)
        user = openstack.connection.Connection(
            config=OpenStackConfig(config_files=[str(config)], load_envvars=False).get_one(name)
        )
        held = Project(name, made.project, config, user, made.admin, made.auth["password"])
        try:
            made.admin.network.update_quota(made.project, port=200, security_group_rule=400)
            yield held
            if any(held.counts(every=True).values()):
                held.empty()
        finally:
            with contextlib.suppress(Exception):
                made.admin.network.delete_quota(made.project)
            user.close()
