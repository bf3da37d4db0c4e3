"""The catalogue's entry of a cloud -> a lab that looks like it: names, sizes, zones, quotas, and what it lacks.

Each part is made to converge, so that a running lab changes its face without being rebuilt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.lab import configuration, daemons, identity, quota
from toolkit.lab.folder import SERVICES, Lab, LabError
from toolkit.lab.identity import Session
from toolkit.lab.namespace import ask, stop

if TYPE_CHECKING:
    from toolkit.clouds import Cloud, Region

MARK = "repatria_lab"
"""A property of the images that a profile made: only these are removed by the next one."""
DEFAULT_TYPES = "3.62"
"""The version of Cinder's API that knows a project's default class of volumes."""
BLANK = 1 << 20
"""Bytes of an image: a lab's servers boot nothing from it."""


@dataclass(frozen=True)
class Profile:
    """What a cloud looks like in one region."""

    cloud: Cloud
    region: Region

    @property
    def zones(self) -> tuple[str, ...]:
        return self.region.zones

    @property
    def volume_types(self) -> tuple[str, ...]:
        names = [n for each in self.cloud.volume_types for n in (each.name, each.encrypted) if n]
        return tuple(dict.fromkeys(names))

    @property
    def share_types(self) -> tuple[str, ...]:
        """The type that plans ask for unless told otherwise: the catalogue says no more of shares."""
        from toolkit.targets.openstack.compute import SHARE_TYPE

        return (SHARE_TYPE,) if self.cloud.has("manila") else ()

    @property
    def signing_region(self) -> str:
        """The region in the signature of S3 requests: a provider's own word, or made of the region's name."""
        told = str(self.cloud.object_storage.get("signing_region") or "{region}")
        return told.format(region=re.sub(r"\d+$", "", self.region.name)).lower()

    def lacks(self, service: str) -> bool:
        """Whether the lab has a service that this cloud does not have."""
        return service in SERVICES and not self.cloud.has(service)

    def without(self) -> tuple[str, ...]:
        """Services that the cloud has and no lab can offer: what needs them is not rehearsed."""
        held: Mapping[str, bool] = self.cloud.profile["services"]
        return tuple(sorted(name for name, has in held.items() if has and name not in SERVICES))


def load(like: str, cloud_file: str, region: str) -> Profile:
    """The profile of a cloud of the catalogue or of a file.

    Without a region: the first of the kind compute. Raises CatalogError for an unknown cloud or region, LabError for
    a cloud that is no OpenStack.
    """
    from toolkit.clouds import load as from_catalogue

    cloud = from_catalogue(like, Path(cloud_file) if cloud_file else None)
    if cloud.kind != "openstack":
        raise LabError(f"{cloud.product} is no OpenStack; the lab cannot look like it", "Choose ovhcloud, infomaniak or openstack.")  # fmt: skip
    found = (
        cloud.region(region) if region else next(r for r in cloud.regions if r.kind == "compute")
    )
    return Profile(cloud, found)


def apply(lab: Lab, profile: Profile) -> None:
    """Make the lab look like the profile: the catalogue and the operator's things, then every project's."""
    _catalog(identity.connect(lab), profile)
    cloud = identity.connect(lab)  # with a token that knows the new catalogue
    parts = (
        _flavors,
        _balancer_flavors,
        _images,
        _external,
        _volume_types,
        _share_types,
        _zones,
        _object_store,
    )
    with ThreadPoolExecutor(len(parts)) as pool:
        for part in [pool.submit(part, lab, cloud, profile) for part in parts]:
            part.result()
    for name in lab.projects():
        project(lab, cloud, profile, name)
    identity.clouds(lab, profile.region.name)


def project(lab: Lab, cloud: Session, profile: Profile, name: str) -> None:
    """A project as a new customer gets it: user and roles, default quotas, default group, default class of volumes."""
    place = identity.project(lab, cloud, name)
    quota.default(cloud, place.id, profile.cloud.quotas)
    _default_group(cloud, place.id, profile)
    _default_volume_type(lab, cloud, place.id, profile)


def used(lab: Lab, cloud: Session) -> str:
    """What projects hold that would not survive another profile, in words; nothing where all is empty."""
    kinds = {
        "servers": cloud.compute.servers(all_projects=True),
        "volumes": cloud.block_storage.volumes(all_projects=True),
    }
    counts = {what: len(list(found)) for what, found in kinds.items()}
    counts["shares"] = len(identity.shares(lab, cloud, "shares?all_tenants=1"))
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _catalog(cloud: Session, profile: Profile) -> None:
    """One region, the profile's; a service that the cloud lacks is disabled, which takes it out of the catalogue."""
    keystone, name = cloud.identity, profile.region.name
    if not any(each.id == name for each in keystone.regions()):
        keystone.create_region(id=name)
    _each((e for e in keystone.endpoints() if e.region_id != name), lambda e: keystone.update_endpoint(e, region_id=name))  # fmt: skip
    for each in keystone.regions():
        if each.id != name:
            keystone.delete_region(each)
    lacked = {type_ for service, type_, _ in identity.CATALOG if profile.lacks(service)}
    for service in keystone.services():
        if service.is_enabled == (service.type in lacked):
            keystone.update_service(service, is_enabled=service.type not in lacked)


def _each(found: Iterable[Any], do: Callable[[Any], object]) -> None:
    """The same call for many objects, four at a time."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(do, list(found)))


def _flavors(lab: Lab, cloud: Session, profile: Profile) -> None:  # noqa: ARG001
    wanted = {f.name: (f.vcpu, round(f.ram_gb * 1024), f.disk_gb) for f in profile.cloud.flavors}
    have = {f.name: f for f in cloud.compute.flavors(is_public=None)}
    right = {name for name, f in have.items() if wanted.get(name) == (f.vcpus, f.ram, f.disk)}
    _each((f for name, f in have.items() if name not in right), cloud.compute.delete_flavor)

    def make(name: str) -> None:
        vcpus, ram, disk = wanted[name]
        cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk)

    _each(sorted(set(wanted) - right), make)


def _balancer_flavors(lab: Lab, cloud: Session, profile: Profile) -> None:
    """Sizes of load balancers by name; all are the same amphora that does not exist."""
    if not lab.has("octavia") or profile.lacks("octavia"):
        return
    import openstack.exceptions

    balancers = cloud.load_balancer
    wanted = set(profile.cloud.profile["load_balancer_flavors"])
    have = {each.name: each for each in balancers.flavors()}
    bodies = {each.name: each for each in balancers.flavor_profiles()}
    if wanted and "lab" not in bodies:
        data = json.dumps({"loadbalancer_topology": "SINGLE"})
        bodies["lab"] = balancers.create_flavor_profile(name="lab", provider_name="amphora", flavor_data=data)  # fmt: skip
    for name, each in have.items():
        if name not in wanted:
            try:
                balancers.delete_flavor(each)
            except openstack.exceptions.ConflictException:  # a balancer was made with it
                balancers.update_flavor(each, is_enabled=False)
        elif not each.is_enabled:
            balancers.update_flavor(each, is_enabled=True)
    for name in sorted(wanted - set(have)):
        balancers.create_flavor(name=name, flavor_profile_id=bodies["lab"].id, is_enabled=True)


def _images(lab: Lab, cloud: Session, profile: Profile) -> None:  # noqa: ARG001
    wanted = {name: distribution for distribution, name in profile.cloud.images.items()}
    have = {each.name: each for each in cloud.image.images() if (each.properties or {}).get(MARK)}
    kept = {name for name, each in have.items() if name in wanted and each.status == "active"}
    _each((each for name, each in have.items() if name not in kept), cloud.image.delete_image)

    def make(name: str) -> None:
        cloud.create_image(
            name, data=bytes(BLANK), disk_format="raw", container_format="bare", visibility="public", wait=True,
            validate_checksum=False, use_import=False, meta={MARK: wanted[name]}, min_disk=0,
        )  # fmt: skip

    _each(sorted(set(wanted) - kept), make)


def _external(lab: Lab, cloud: Session, profile: Profile) -> None:
    """The one network that leads out, under the cloud's name for it."""
    name, network = profile.cloud.external_network, cloud.network
    out = next(iter(network.networks(is_router_external=True)), None)
    if out is None:
        out = network.create_network(
            name=name, is_router_external=True, provider_network_type="flat", provider_physical_network="public", is_shared=False,
        )  # fmt: skip
    elif out.name != name:
        network.update_network(out, name=name)
    if not list(network.subnets(network_id=out.id)):
        network.create_subnet(
            name="external", network_id=out.id, ip_version=4, cidr=lab.settings.external, gateway_ip=lab.gateway, is_dhcp_enabled=False,
        )  # fmt: skip


def _volume_types(lab: Lab, cloud: Session, profile: Profile) -> None:
    """Classes of volumes by name; one that Cinder does not let go (its own default, or a vanished project's) is hidden."""
    storage, wanted = cloud.block_storage, set(profile.volume_types)
    have = {each["name"]: each for each in _said(storage.get("/types?is_public=None"))["volume_types"]}  # fmt: skip
    for place in cloud.identity.projects():
        storage.delete(_default_type(lab, place.id), microversion=DEFAULT_TYPES)
    for name, each in have.items():
        if name not in wanted and storage.delete(f"/types/{each['id']}").status_code < 400:
            continue
        if each["is_public"] != (name in wanted):
            body = {"volume_type": {"is_public": name in wanted}}
            _said(storage.put(f"/types/{each['id']}", json=body))
    for name in sorted(wanted - set(have)):
        storage.create_type(name=name, is_public=True)


def _share_types(lab: Lab, cloud: Session, profile: Profile) -> None:
    """Types of shared file systems by name, each with share servers of its own on the customer's network."""
    if not lab.has("manila") or profile.lacks("manila"):
        return
    files, wanted = cloud.shared_file_system, set(profile.share_types)
    have = {each["name"]: each for each in identity.shares(lab, cloud, "types?is_public=all")}
    for name, each in have.items():
        if name not in wanted:
            _said(files.delete(f"/types/{each['id']}"))
    specs = {"driver_handles_share_servers": "True", "snapshot_support": "True"}
    for name in sorted(wanted - set(have)):
        _said(files.post("/types", json={"share_type": {"name": name, "extra_specs": specs}}))


def _default_type(lab: Lab, project: str) -> str:
    """Cinder's one address that has no project in its path, hence whole."""
    return lab.url("cinder", f"/v3/default-types/{project}")


def _default_volume_type(lab: Lab, cloud: Session, project: str, profile: Profile) -> None:
    """What a volume without a type becomes in this project: the cloud's first class."""
    body = {"default_type": {"volume_type": profile.volume_types[0]}}
    place = _default_type(lab, project)
    _said(cloud.block_storage.put(place, json=body, microversion=DEFAULT_TYPES))


def _said(reply: Any) -> Any:
    """The body of an answer. Raises LabError where it is a refusal."""
    if reply.status_code >= 400:
        raise LabError(
            f"the lab refuses its operator: HTTP {reply.status_code} at {reply.url}: {reply.text[:300]}",
            "Its logs say why; `repatria lab up` continues.",
        )
    return reply.json() if reply.content else None


def hosts(profile: Profile) -> dict[str, str]:
    """Compute host -> its zone: one host for each zone, since Nova puts a host into one."""
    return {"lab" if not n else f"lab-{n + 1}": zone for n, zone in enumerate(profile.zones)}


def _zones(lab: Lab, cloud: Session, profile: Profile) -> None:
    compute, wanted = cloud.compute, hosts(profile)
    for host in wanted:
        daemons.compute(lab, host)
    running = {s.host: s for s in compute.services(binary="nova-compute")}
    for host, service in running.items():
        if host != "lab" and host not in wanted:
            stop(lab, f"nova-compute-{host}")
            compute.delete_service(service)
    have = {each.name: each for each in compute.aggregates()}
    for each in have.values():
        for host in each.hosts or ():
            if wanted.get(host) != each.name:
                compute.remove_host_from_aggregate(each, host)
        if each.name not in wanted.values():
            compute.delete_aggregate(each)
    for host, zone in wanted.items():
        daemons.until(lab, _compute(host), lambda host=host: _discovered(cloud, host))  # type: ignore[misc]
        each = have.get(zone) or compute.create_aggregate(name=zone, availability_zone=zone)
        if host not in (each.hosts or ()):
            compute.add_host_to_aggregate(each, host)


def _compute(host: str) -> str:
    return "nova-compute" if host == "lab" else f"nova-compute-{host}"


def _discovered(cloud: Session, host: str) -> bool:
    """Whether Nova's cell knows a compute host: its scheduler looks for new ones every 3 s."""
    return any(each.name == host for each in cloud.compute.hypervisors())


def _object_store(lab: Lab, cloud: Session, profile: Profile) -> None:  # noqa: ARG001
    """The region that S3 signatures name is in the proxy's file: it starts anew when that changes."""
    if lab.has("swift") and configuration.swift_proxy(lab, profile.signing_region):
        if ask(lab, "list").get("swift-proxy", {}).get("up"):
            stop(lab, "swift-proxy")
        daemons.swift(lab)
        daemons.wait(lab, "swift")


def _default_group(cloud: Session, project: str, profile: Profile) -> None:
    """What the project's default group admits: its own members, everything, or nothing."""
    network = cloud.network
    group = next(iter(network.security_groups(project_id=project, name="default")))
    says = profile.cloud.profile["default_group"]
    rules = [r for r in network.security_group_rules(security_group_id=group.id) if r.direction == "ingress"]  # fmt: skip
    same = [r for r in rules if r.remote_group_id == group.id]
    open_ = [
        r for r in rules if not r.remote_group_id and not r.protocol and not r.remote_ip_prefix
    ]
    everything = says in ("allow-all", "everything")
    for rule in [*(open_ if not everything else ()), *(same if says == "nothing" else ())]:
        network.delete_security_group_rule(rule)
    for family in ("IPv4", "IPv6"):
        if everything and not any(r.ether_type == family for r in open_):
            network.create_security_group_rule(
                security_group_id=group.id,
                project_id=project,
                direction="ingress",
                ether_type=family,
            )
        if says != "nothing" and not any(r.ether_type == family for r in same):
            network.create_security_group_rule(
                security_group_id=group.id, project_id=project, direction="ingress", ether_type=family, remote_group_id=group.id
            )  # fmt: skip
