"""A connection -> what is at the target, in few bulk calls; a call that fails becomes a fault and the rest goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from toolkit.engines.openstack import told
from toolkit.errors import TargetError

if TYPE_CHECKING:
    import openstack.connection
    import requests

PAGE = 1000
AT_ONCE = 4
"""Calls side by side: few, so that nobody's rate limit minds."""

Fetch = Callable[["openstack.connection.Connection", str], Any]


def _json(service: str, path: str, member: str = "") -> Fetch:
    """A document of a service: `{project}` in the path is the project's id."""

    def get(connection: openstack.connection.Connection, project: str) -> Any:
        from openstack.exceptions import raise_from_response

        response = getattr(connection, service).get(path.format(project=project))
        raise_from_response(response)
        held = response.json()
        return held[member] if member else held

    return get


FETCHES: dict[str, tuple[str, str, Fetch]] = {
    "flavors": ("compute", "flavors", lambda c, _: list(c.compute.flavors(limit=PAGE))),
    "limits": ("compute", "compute quotas", _json("compute", "/limits", "limits")),
    "availability_zones": ("compute", "availability zones", _json("compute", "/os-availability-zone", "availabilityZoneInfo")),
    "key_pairs": ("compute", "key pairs", lambda c, _: list(c.compute.keypairs())),
    "servers": ("compute", "servers", lambda c, _: list(c.compute.servers(limit=PAGE))),
    "server_groups": ("compute", "server groups", lambda c, _: list(c.compute.server_groups())),
    "images": ("image", "images", lambda c, _: list(c.image.images(limit=PAGE))),
    "volume_types": ("block-storage", "volume types", lambda c, _: list(c.block_storage.types())),
    "volume_quotas": ("block-storage", "volume quotas", _json("block_storage", "/os-quota-sets/{project}?usage=True", "quota_set")),
    "volumes": ("block-storage", "volumes", lambda c, _: list(c.block_storage.volumes(limit=PAGE))),
    "networks": ("network", "networks", lambda c, _: list(c.network.networks())),
    "subnets": ("network", "subnets", lambda c, _: list(c.network.subnets())),
    "ports": ("network", "ports", lambda c, p: list(c.network.ports(project_id=p))),
    "routers": ("network", "routers", lambda c, p: list(c.network.routers(project_id=p))),
    "groups": ("network", "security groups", lambda c, p: list(c.network.security_groups(project_id=p))),
    "addresses": ("network", "floating IPs", lambda c, p: list(c.network.ips(project_id=p))),
    "network_quotas": ("network", "network quotas", _json("network", "/quotas/{project}/details", "quota")),
    "extensions": ("network", "network extensions", lambda c, _: list(c.network.extensions())),
    "balancers": ("load-balancer", "load balancers", lambda c, p: list(c.load_balancer.load_balancers(project_id=p))),
    "balancer_quotas": ("load-balancer", "load balancer quotas", _json("load_balancer", "/lbaas/quotas/{project}", "quota")),
    "balancer_flavors": ("load-balancer", "sizes of load balancers", lambda c, _: list(c.load_balancer.flavors())),
    "balancer_providers": ("load-balancer", "providers of load balancers", lambda c, _: list(c.load_balancer.providers())),
    "listeners": ("load-balancer", "listeners", lambda c, p: list(c.load_balancer.listeners(project_id=p))),
    "pools": ("load-balancer", "pools", lambda c, p: list(c.load_balancer.pools(project_id=p))),
    "health_monitors": ("load-balancer", "health monitors", lambda c, p: list(c.load_balancer.health_monitors(project_id=p))),
    "l7policies": ("load-balancer", "L7 policies", lambda c, p: list(c.load_balancer.l7_policies(project_id=p))),
    "zones": ("dns", "DNS zones", lambda c, _: list(c.dns.zones())),
    "zone_quotas": ("dns", "DNS quotas", _json("dns", "/quotas/{project}")),
    "secrets": ("key-manager", "secrets", _json("key_manager", "/secrets?limit=1")),
    "secret_quotas": ("key-manager", "secret quotas", _json("key_manager", "/quotas", "quotas")),
    "containers": ("object-store", "containers", lambda c, _: list(c.object_store.containers())),
    "share_types": ("shared-file-system", "share types", _json("shared_file_system", "/types", "share_types")),
}  # fmt: skip
"""What is read: service, words for it, call. Only what the plan needs is asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A call that failed: what it was to read, what the target said, and the HTTP status (0: none came)."""

    what: str
    service: str
    says: str
    hint: str
    status: int

    @property
    def hidden(self) -> bool:
        """A quota that this cloud does not show its customers: no fault of anybody."""
        return self.what.endswith("quotas") and self.status in (403, 404, 405)


@dataclass
class Seen:
    """What was read, by name of FETCHES, and the faults of what could not be."""

    project: str
    held: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    calls: int = 0

    def __contains__(self, name: str) -> bool:
        return name in self.held

    def __getitem__(self, name: str) -> Any:
        return self.held[name]

    def get(self, name: str, default: Any = ()) -> Any:
        return self.held.get(name, default)

    def read(self, connection: openstack.connection.Connection, names: Iterable[str]) -> None:
        """Read what is named and not yet read, some calls side by side."""
        wanted = [each for each in dict.fromkeys(names) if each not in self.held and each not in self.faults]  # fmt: skip
        for (
            name
        ) in wanted:  # the clients of services are made here: making them is not safe in threads
            _client(connection, FETCHES[name][0])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name, found in zip(wanted, pool.map(lambda n: self._one(connection, n), wanted), strict=True):  # fmt: skip
                if isinstance(found, Fault):
                    self.faults[name] = found
                else:
                    self.held[name] = found

    def _one(self, connection: openstack.connection.Connection, name: str) -> Any:
        import openstack.exceptions as answers

        service, words, fetch = FETCHES[name]
        try:
            with told():
                return fetch(connection, self.project)
        except TargetError as error:
            return Fault(words, service, error.message, error.hint, _status(error.__cause__))
        except (answers.SDKException, KeyError, TypeError, ValueError) as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            hint = "The target answers otherwise than OpenStack's API says; ask its support."
            return Fault(words, service, said, hint, _status(error))


def _status(error: BaseException | None) -> int:
    said = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    return int(said) if said else 0


def _client(connection: openstack.connection.Connection, service: str) -> None:
    with contextlib.suppress(Exception):  # one that cannot be made says so when it is used
        getattr(connection, service.replace("-", "_"))


@dataclass
class Watch:
    """What each answer of the target says by the way: that it was one more, and what time it is there."""

    seen: Seen
    identity: str
    there: list[float] = field(default_factory=list)
    keystone: list[float] = field(default_factory=list)

    def __call__(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self.seen.calls += 1
        said = response.headers.get("Date")
        with contextlib.suppress(ValueError, TypeError):
            if said:
                middle = time.time() - response.elapsed.total_seconds() / 2
                # the header counts whole seconds
                ahead = middle - (parsedate_to_datetime(said).timestamp() + 0.5)
                (self.keystone if response.url.startswith(self.identity) else self.there).append(ahead)  # fmt: skip

    @property
    def skew(self) -> float | None:
        """Seconds that this machine's clock is ahead: of Keystone's, else of the other services' (the median)."""
        held = sorted(self.keystone or self.there)
        return held[len(held) // 2] if held else None


def watch(connection: openstack.connection.Connection, seen: Seen) -> Watch:
    """Watch every answer from now on, beginning with one of Keystone's. Raises TargetError where it gives none."""
    url = str(connection.config.auth.get("auth_url") or "").rstrip("/")
    held = Watch(seen, url)
    with told():
        connection.session.session.hooks["response"].append(held)
        connection.session.get(url, authenticated=False, raise_exc=False)
    return held
