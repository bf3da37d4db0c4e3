"""What tests of the engine need: the engine itself, the lab, and a reason where one is missing."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.bench import estate
from toolkit.engines import pulumi
from toolkit.errors import EngineError
from toolkit.init import init
from toolkit.stage import plan, render
from toolkit.workspace import ESTATE, write_estate


def engine() -> pulumi.Engine:
    """The engine. Where there is none the test is skipped, and fails in CI."""
    try:
        return pulumi.locate()
    except EngineError as error:
        missing(f"{error.message}; {error.hint}")


def lab() -> Path:
    """The folder that holds the lab's clouds.yaml. Where there is none the test is skipped, and fails in CI."""
    named = os.environ.get("REPATRIA_LAB", "")
    if not named or not (Path(named) / "clouds.yaml").is_file():
        missing("no OpenStack lab: REPATRIA_LAB names no folder with a clouds.yaml")
    return Path(named)


def missing(why: str) -> NoReturn:
    """Fail in CI, skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def workspace(folder: Path) -> Path:
    """A small estate planned and rendered: a VPC with a subnet, three groups, a bastion with a public address."""
    init(folder, target="openstack", project="p")
    wanted = {f"app0000{end}" for end in ("", "-public-a", "-igw", "-main", "-public", "-balancer", "-web", "-bastion", "-bastion-00")}  # fmt: skip
    held = [
        each
        for each in estate.generate(114)
        if each.name in wanted and each.type.startswith("aws.ec2.")
    ]
    header = {
        "source": {"partition": "aws", "accounts": ["100000000000"], "regions": ["eu-west-1"]},
        "partition": "aws", "types": sorted({each.type for each in held}), "repatria": "test",
    }  # fmt: skip
    write_estate(folder / ESTATE, header, [each.line() for each in held])
    plan(folder)
    render(folder)
    return folder


@contextlib.contextmanager
def project(lab_: Path, folder: Path, name: str) -> Iterator[dict[str, str]]:
    """A project and a user of its own in the lab, gone at the end; gives the environment that signs in."""
    import openstack
    import yaml

    clouds = yaml.safe_load((lab_ / "clouds.yaml").read_text("utf-8"))["clouds"]
    admin = openstack.connect(config=None, **_flat(clouds["lab-admin"]))
    made = admin.identity.create_project(name=name, domain_id="default")
    password = secrets.token_hex(16)
    user = admin.identity.create_user(name=name, password=password, domain_id="default", default_project_id=made.id)  # fmt: skip
    entry = {
        **clouds["lab-admin"],
        "auth": {**clouds["lab-admin"]["auth"], "username": name, "password": password, "project_name": name},
    }  # fmt: skip
    try:
        for role in ("member", "reader", "creator", "load-balancer_member"):
            admin.identity.assign_project_role_to_user(made, user, admin.identity.find_role(role))
        file = folder / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"lab": entry}}))
        file.chmod(0o600)
        yield {"OS_CLIENT_CONFIG_FILE": str(file), "OS_CLOUD": "lab"}
    finally:
        # what a test that failed has left, from the outside in
        own = openstack.connect(config=None, **_flat(entry))
        for server in own.compute.servers():
            own.compute.delete_server(server)
            own.compute.wait_for_delete(server)
        for address in own.network.ips():
            own.network.delete_ip(address)
        for router in own.network.routers():
            own.network.update_router(router, routes=[])
            for port in own.network.ports(device_id=router.id):
                if port.device_owner == "network:router_interface":
                    own.network.remove_interface_from_router(router, port_id=port.id)
            own.network.delete_router(router)
        for port in own.network.ports():
            if not port.device_owner.startswith("network:"):
                own.network.delete_port(port)
        for network in own.network.networks(project_id=made.id):
            own.network.delete_network(network)
        for group in admin.network.security_groups(project_id=made.id):
            admin.network.delete_security_group(group)
        admin.identity.delete_user(user)
        admin.identity.delete_project(made)


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry["auth"], **{name: held for name, held in entry.items() if name != "auth"}}
