"""A bare Keystone -> projects, users, roles and the catalogue; and the clouds.yaml that lets people in."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any, TypeAlias

from toolkit.lab.folder import Lab, LabError, write

Session: TypeAlias = Any
"""openstacksdk's Connection: its proxies are unions over versions of an API, which no type checker can follow."""
CATALOG = (
    ("placement", "placement", ""), ("glance", "image", ""), ("nova", "compute", "/v2.1"), ("neutron", "network", ""),
    ("cinder", "block-storage", "/v3/%(project_id)s"), ("cinder", "volumev3", "/v3/%(project_id)s"),
    ("swift", "object-store", "/v1/AUTH_%(project_id)s"), ("octavia", "load-balancer", ""), ("designate", "dns", ""),
    ("barbican", "key-manager", ""), ("heat", "orchestration", "/v1/%(project_id)s"),
    ("manila", "shared-file-system", "/v2/%(project_id)s"), ("manila", "sharev2", "/v2/%(project_id)s"),
)  # fmt: skip
"""Service, type in Keystone's catalogue, path of its endpoint."""
CUSTOMER = (
    "member",
    "reader",
    "load-balancer_member",
    "creator",
    "SwiftOperator",
    "heat_stack_owner",
)
"""The roles of a customer: what OVHcloud and Infomaniak give to a project's user, and no more."""


def connect(lab: Lab) -> Session:
    """A session as the lab's operator, in whatever region the lab has now; nothing of the environment enters."""
    import openstack

    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="password", identity_api_version="3", interface="public",
        auth={
            "auth_url": lab.auth_url, "username": "admin", "password": lab.secrets["admin"], "project_name": "admin",
            "user_domain_name": "Default", "project_domain_name": "Default",
        },
    )  # fmt: skip


def clouds(lab: Lab, region: str) -> None:
    """Write clouds.yaml: each project under its own name, the first also as `lab`, the operator as `lab-admin`."""
    import yaml

    def entry(user: str, password: str, project: str) -> dict[str, Any]:
        return {
            "auth": {
                "auth_url": lab.auth_url, "username": user, "password": password, "project_name": project,
                "user_domain_name": "Default", "project_domain_name": "Default",
            },
            "region_name": region, "identity_api_version": "3", "interface": "public",
        }  # fmt: skip

    entries = {name: entry(name, lab.password(name), name) for name in lab.projects()}
    first = lab.settings.project
    entries["lab"] = entry(first, lab.password(first), first)
    entries["lab-admin"] = entry("admin", lab.secrets["admin"], "admin")
    write(lab.clouds, yaml.safe_dump({"clouds": entries}, sort_keys=False))
    if (user := os.environ.get("SUDO_UID")) and (group := os.environ.get("SUDO_GID")):
        os.chown(lab.clouds, int(user), int(group))


def register(lab: Lab, cloud: Session, region: str) -> None:
    """Roles, the services' own user, Heat's domain, and an endpoint for each service; what is there stays."""
    identity = cloud.identity
    roles = {role.name: role for role in identity.roles()}
    for name in ("service", *CUSTOMER, "heat_stack_user"):
        if name not in roles:
            roles[name] = identity.create_role(name=name)
    _user(cloud, "svc", lab.secrets["service"], "service", [roles["admin"], roles["service"]])
    admin = identity.find_user("admin")
    identity.assign_project_role_to_user(identity.find_project("admin"), admin, roles["creator"])
    if lab.has("heat"):
        domain = identity.find_domain("heat") or identity.create_domain(name="heat")
        user = identity.find_user("heat_admin", domain_id=domain.id) or identity.create_user(
            name="heat_admin", password=lab.secrets["heat"], domain_id=domain.id
        )
        identity.put(f"/domains/{domain.id}/users/{user.id}/roles/{roles['admin'].id}")
    if not any(each.id == region for each in identity.regions()):
        identity.create_region(id=region)
    have = {service.type: service for service in identity.services()}
    reached = {(each.service_id, each.interface) for each in identity.endpoints()}
    for name, type_, path in CATALOG:
        if not lab.has(name):
            continue
        service = have.get(type_) or identity.create_service(name=name, type=type_)
        for interface in ("public", "internal", "admin"):
            if (service.id, interface) not in reached:
                identity.create_endpoint(service_id=service.id, interface=interface, region_id=region, url=lab.url(name, path))  # fmt: skip


def _user(cloud: Session, name: str, password: str, project: str, roles: list[Any]) -> Any:
    identity = cloud.identity
    place = identity.find_project(project) or identity.create_project(name=project, domain_id="default")  # fmt: skip
    user = identity.find_user(name) or identity.create_user(
        name=name, password=password, domain_id="default", default_project_id=place.id
    )
    for role in roles:
        identity.assign_project_role_to_user(place, user, role)
    return place


def shares(lab: Lab, cloud: Session, what: str) -> list[dict[str, Any]]:
    """A list that Manila keeps (`services`, `shares?all_tenants=1`), as the operator; none in a lab without it.

    Not by the catalogue: a cloud that lacks Manila has none there, though the lab's daemons run.
    """
    if not lab.has("manila"):
        return []
    url = lab.url("manila", f"/v2/{cloud.current_project_id}/{what}")
    reply = cloud.session.get(
        url, headers={"X-OpenStack-Manila-API-Version": "2.42"}, raise_exc=False
    )
    if reply.status_code >= 400:
        raise LabError(
            f"Manila refuses its operator: HTTP {reply.status_code} {reply.text[:200]}",
            f"Its log is {lab.log('manila')}; `repatria lab up` continues.",
        )
    found: list[dict[str, Any]] = next(iter(reply.json().values()))
    return found


def check_name(name: str) -> None:
    """Raises LabError for what cannot name a customer's project."""
    if name in ("admin", "service", "lab", "lab-admin", "svc"):
        raise LabError(f"{name!r} is the lab's own", "Choose another name for the project.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise LabError(f"{name!r} is no name for a project", "Letters, digits, dots, dashes; 63 at most.")  # fmt: skip


def project(lab: Lab, cloud: Session, name: str) -> Any:
    """A project and its user of the same name with a customer's roles. Returns the project."""
    check_name(name)
    roles = {role.name: role for role in cloud.identity.roles()}
    return _user(cloud, name, lab.password(name), name, [roles[each] for each in CUSTOMER])


def forget(lab: Lab, cloud: Session, name: str) -> None:
    """Remove a project and its user; what is in the project must be gone before."""
    if name == lab.settings.project:
        raise LabError(f"{name} is the lab's first project", "`repatria lab purge` removes the lab.")  # fmt: skip
    place = cloud.identity.find_project(name)
    if place is None:
        raise LabError(f"the lab has no project {name!r}", f"It has: {', '.join(lab.projects())}.")
    left = {
        "servers": len(list(cloud.compute.servers(all_projects=True, project_id=place.id))),
        "volumes": len(list(cloud.block_storage.volumes(all_projects=True, project_id=place.id))),
        "shares": len(shares(lab, cloud, f"shares?all_tenants=1&project_id={place.id}")),
        "share networks": len(
            shares(lab, cloud, f"share-networks?all_tenants=1&project_id={place.id}")
        ),
        "networks": len(list(cloud.network.networks(project_id=place.id))),
        "routers": len(list(cloud.network.routers(project_id=place.id))),
        "floating IPs": len(list(cloud.network.ips(project_id=place.id))),
    }
    if found := ", ".join(f"{count} {what}" for what, count in left.items() if count):
        raise LabError(f"project {name} still holds {found}", "Remove these first: the lab keeps no orphans.")  # fmt: skip
    for group in cloud.network.security_groups(project_id=place.id):
        with suppress(Exception):
            cloud.network.delete_security_group(group)
    if user := cloud.identity.find_user(name):
        cloud.identity.delete_user(user)
    cloud.identity.delete_project(place)
