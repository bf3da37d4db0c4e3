"""A lab that is up: every service makes and unmakes what plans need, as a customer's project. Needs REPATRIA_LAB."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support import lab as support
from tests.support.lab import until

pytestmark = [
    pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]  # fmt: skip
PATIENCE = 120.0
Undo = Callable[..., Any]


@pytest.fixture(scope="module")
def cloud() -> Any:
    """The first project's user, who has a customer's rights."""
    return support.connect("lab")


@pytest.fixture(scope="module")
def name() -> str:
    return f"proof-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def undo() -> Iterator[Undo]:
    """Whatever was made is unmade in the reverse order, and its failure is a failure."""
    with ExitStack() as stack:
        yield stack.callback


def gone(find: Callable[[], object], what: str) -> None:
    until(lambda: not find(), PATIENCE, f"{what} is gone")


@pytest.fixture(scope="module")
def network(cloud: Any, name: str, undo: Undo) -> Any:
    made = cloud.network.create_network(name=name)
    undo(cloud.network.delete_network, made)
    return made


@pytest.fixture(scope="module")
def subnet(cloud: Any, name: str, network: Any) -> Any:
    return cloud.network.create_subnet(
        name=name,
        network_id=network.id,
        ip_version=4,
        cidr="10.20.0.0/24",
        dns_nameservers=["9.9.9.9"],
    )


@pytest.fixture(scope="module")
def external(cloud: Any) -> Any:
    return next(iter(cloud.network.networks(is_router_external=True)))


@pytest.fixture(scope="module")
def router(cloud: Any, name: str, subnet: Any, external: Any, undo: Undo) -> Any:
    made = cloud.network.create_router(name=name, external_gateway_info={"network_id": external.id})
    undo(cloud.network.delete_router, made)
    cloud.network.add_interface_to_router(made, subnet_id=subnet.id)
    undo(cloud.network.remove_interface_from_router, made, subnet_id=subnet.id)
    return made


@pytest.fixture(scope="module")
def group(cloud: Any, name: str, undo: Undo) -> Any:
    made = cloud.network.create_security_group(name=name)
    undo(cloud.network.delete_security_group, made)
    for protocol, low, high in (("tcp", 22, 22), ("tcp", 80, 443), ("icmp", None, None)):
        cloud.network.create_security_group_rule(
            security_group_id=made.id, direction="ingress", ether_type="IPv4", protocol=protocol, port_range_min=low,
            port_range_max=high, remote_ip_prefix="0.0.0.0/0",
        )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def server(cloud: Any, name: str, network: Any, router: Any, group: Any, undo: Undo) -> Any:
    pair = cloud.compute.create_keypair(name=name)
    undo(cloud.compute.delete_keypair, pair)
    smallest = min((f for f in cloud.compute.flavors() if f.disk), key=lambda flavor: flavor.ram)
    made = cloud.compute.create_server(
        name=name, image_id=next(iter(cloud.image.images())).id, flavor_id=smallest.id, networks=[{"uuid": network.id}],
        key_name=name, security_groups=[{"name": name}], user_data=base64.b64encode(b"#cloud-config\n").decode(),
    )  # fmt: skip

    def delete() -> None:
        cloud.compute.delete_server(made)
        cloud.compute.wait_for_delete(made, interval=0.3, wait=int(PATIENCE))

    undo(delete)
    return cloud.compute.wait_for_server(made, interval=0.3, wait=int(PATIENCE))


def test_a_server_becomes_active_on_its_network(cloud: Any, server: Any, network: Any) -> None:
    assert server.status == "ACTIVE"
    port = next(iter(cloud.network.ports(device_id=server.id)))
    assert port.network_id == network.id
    assert port.binding_vif_type != "binding_failed"


def test_a_server_of_each_zone(cloud: Any, name: str, server: Any, network: Any) -> None:
    zones = [zone.name for zone in cloud.compute.availability_zones() if zone.state["available"]]
    for zone in zones:
        made = cloud.compute.create_server(
            name=f"{name}-{zone}", image_id=server.image.id, flavor_id=_flavor(cloud, server), networks=[{"uuid": network.id}],
            availability_zone=zone,
        )  # fmt: skip
        try:
            seen = cloud.compute.wait_for_server(made, interval=0.3, wait=int(PATIENCE))
            assert seen.availability_zone == zone
        finally:
            cloud.compute.delete_server(made)
            cloud.compute.wait_for_delete(made, interval=0.3, wait=int(PATIENCE))


def _flavor(cloud: Any, server: Any) -> str:
    found: str = next(
        f.id for f in cloud.compute.flavors() if f.name == server.flavor.original_name
    )
    return found


def test_a_floating_ip_reaches_its_router(cloud: Any, server: Any, external: Any) -> None:
    port = next(iter(cloud.network.ports(device_id=server.id)))
    made = cloud.network.create_ip(floating_network_id=external.id)
    try:
        cloud.network.update_ip(made, port_id=port.id)
        until(
            lambda: cloud.network.get_ip(made).status == "ACTIVE",
            PATIENCE,
            "the floating IP is ACTIVE",
        )
    finally:
        cloud.network.delete_ip(made)


def test_volumes_of_any_size_attach_and_have_snapshots(cloud: Any, name: str, server: Any) -> None:
    storage = cloud.block_storage
    made = storage.create_volume(name=name, size=500)
    try:
        storage.wait_for_status(made, "available", interval=0.3, wait=int(PATIENCE))
        cloud.compute.create_volume_attachment(server, volume_id=made.id)
        until(
            lambda: storage.get_volume(made.id).status == "in-use", PATIENCE, "the volume is in use"
        )
        snapshot = storage.create_snapshot(volume_id=made.id, name=name, force=True)
        storage.wait_for_status(snapshot, "available", interval=0.3, wait=int(PATIENCE))
        storage.delete_snapshot(snapshot)
        storage.wait_for_delete(snapshot, interval=0.3, wait=int(PATIENCE))
        cloud.compute.delete_volume_attachment(server, made)
        until(
            lambda: storage.get_volume(made.id).status == "available",
            PATIENCE,
            "the volume is free",
        )
    finally:
        storage.delete_volume(made)
        storage.wait_for_delete(made, interval=0.3, wait=int(PATIENCE))


def test_a_server_boots_from_a_volume_of_an_image(cloud: Any, name: str, subnet: Any) -> None:
    """As plans do where a flavor has no disk, or too little; from the image alone Nova refuses the first."""
    import openstack.exceptions

    storage, compute = cloud.block_storage, cloud.compute
    image = next(iter(cloud.image.images()))
    network = [{"uuid": subnet.network_id}]
    flavor = min(compute.flavors(), key=lambda each: (each.disk, each.ram))
    if not flavor.disk:
        with pytest.raises(openstack.exceptions.ForbiddenException, match="zero disk"):
            compute.create_server(name=name, image_id=image.id, flavor_id=flavor.id, networks=network)  # fmt: skip
    volume = storage.create_volume(name=name, size=8, image_id=image.id)
    try:
        volume = storage.wait_for_status(volume, "available", interval=0.3, wait=int(PATIENCE))
        assert volume.is_bootable
        device = {"uuid": volume.id, "source_type": "volume", "destination_type": "volume", "boot_index": 0, "delete_on_termination": False}  # fmt: skip
        made = compute.create_server(name=name, flavor_id=flavor.id, networks=network, block_device_mapping=[device])  # fmt: skip
        try:
            made = compute.wait_for_server(made, interval=0.3, wait=int(PATIENCE))
            assert made.status == "ACTIVE"
            assert storage.get_volume(volume.id).status == "in-use"
        finally:
            compute.delete_server(made)
            compute.wait_for_delete(made, interval=0.3, wait=int(PATIENCE))
        until(lambda: storage.get_volume(volume.id).status == "available", PATIENCE, "the volume is free")  # fmt: skip
    finally:
        storage.delete_volume(volume)
        storage.wait_for_delete(volume, interval=0.3, wait=int(PATIENCE))


def test_objects_by_both_apis(cloud: Any, name: str) -> None:
    """What Swift's API stores, the S3 API reads, with keys that the user made."""
    if not cloud.endpoint_for("object-store"):
        pytest.skip("this profile has no object store")
    import boto3
    from botocore.config import Config

    store = cloud.object_store
    store.create_container(name)
    store.upload_object(name, "a/b.txt", data=b"hello")
    path = f"/users/{cloud.current_user_id}/credentials/OS-EC2"
    keys = cloud.identity.post(path, json={"tenant_id": cloud.current_project_id}).json()[
        "credential"
    ]
    try:
        region = (
            "us-east-1"
            if cloud.config.region_name in ("dc3-a", "RegionOne")
            else cloud.config.region_name.rstrip("0123456789").lower()
        )
        s3 = boto3.client(
            "s3", endpoint_url=cloud.endpoint_for("object-store").split("/v1/")[0], aws_access_key_id=keys["access"],
            aws_secret_access_key=keys["secret"], region_name=region,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required", response_checksum_validation="when_required"),
        )  # fmt: skip
        assert s3.get_object(Bucket=name, Key="a/b.txt")["Body"].read() == b"hello"
        s3.put_object(Bucket=name, Key="c", Body=b"there")
        assert store.download_object("c", name) == b"there"
    finally:
        cloud.identity.delete(f"{path}/{keys['access']}")
        for key in ("a/b.txt", "c"):
            store.delete_object(key, container=name, ignore_missing=True)
        store.delete_container(name)


def test_a_zone_is_answered_by_its_name_server(cloud: Any, name: str) -> None:
    if not cloud.endpoint_for("dns"):
        pytest.skip("this profile has no DNS service")
    made = cloud.dns.create_zone(name=f"{name}.example.", email="a@example.org", ttl=300)
    try:
        until(
            lambda: cloud.dns.get_zone(made.id).status == "ACTIVE", PATIENCE, "the zone is ACTIVE"
        )
        record = cloud.dns.create_recordset(
            made, name=f"www.{made.name}", type="A", ttl=60, records=["203.0.113.10"]
        )
        until(
            lambda: cloud.dns.get_recordset(record.id, made).status == "ACTIVE",
            PATIENCE,
            "the record is ACTIVE",
        )
        port = int(cloud.endpoint_for("dns").rsplit(":", 1)[1].split("/")[0]) - 9001 + 1053
        assert _asked(f"www.{made.name}", port) == "203.0.113.10"
    finally:
        cloud.dns.delete_zone(made)
        gone(lambda: [z for z in cloud.dns.zones() if z.id == made.id], "the zone")


def _asked(name: str, port: int) -> str:
    """The address in a name server's answer over TCP."""
    import socket
    import struct

    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".")) + b"\0"
    query = struct.pack(">6H", 7, 0, 1, 0, 0, 0) + labels + struct.pack(">2H", 1, 1)
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.sendall(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", link.recv(2))
        reply = b""
        while len(reply) < length and (data := link.recv(length - len(reply))):
            reply += data
    assert struct.unpack(">H", reply[6:8])[0] == 1, "one answer"
    return socket.inet_ntoa(reply[-4:])


def test_a_secret_comes_back(cloud: Any, name: str) -> None:
    if not cloud.endpoint_for("key-manager"):
        pytest.skip("this profile has no key manager")
    made = cloud.key_manager.create_secret(
        name=name, payload="quiet", payload_content_type="text/plain"
    )
    try:
        assert (
            cloud.session.get(f"{made.secret_ref}/payload", headers={"Accept": "text/plain"}).text
            == "quiet"
        )
    finally:
        cloud.key_manager.delete_secret(made.secret_id or made.id)


@pytest.mark.parametrize("provider", [None, "amphora", "octavia"])
def test_a_load_balancer_is_whole_and_goes_with_all_it_has(
    cloud: Any, name: str, subnet: Any, provider: str | None
) -> None:
    """Its VIP is a real port of Neutron; behind it is no machine (docs/lab.md)."""
    if not cloud.endpoint_for("load-balancer"):
        pytest.skip("this profile has no load balancers")
    balancers = cloud.load_balancer
    more = {"provider": provider} if provider else {}
    made = balancers.create_load_balancer(name=name, vip_subnet_id=subnet.id, **more)

    def settled() -> None:
        until(
            lambda: balancers.get_load_balancer(made.id).provisioning_status == "ACTIVE",
            PATIENCE,
            "the balancer is ACTIVE",
        )

    settled()
    port = cloud.network.get_port(balancers.get_load_balancer(made.id).vip_port_id)
    assert port.device_owner == "Octavia"
    assert port.network_id == subnet.network_id
    listener = balancers.create_listener(
        load_balancer_id=made.id, protocol="HTTP", protocol_port=80, name=name
    )
    settled()
    pool = balancers.create_pool(
        listener_id=listener.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN"
    )
    settled()
    member = balancers.create_member(
        pool, address="10.20.0.50", protocol_port=80, subnet_id=subnet.id
    )
    settled()
    monitor = balancers.create_health_monitor(
        pool_id=pool.id, type="HTTP", delay=5, timeout=3, max_retries=3
    )
    settled()
    assert {balancers.get_listener(listener).provisioning_status, balancers.get_member(member, pool).provisioning_status,
            balancers.get_health_monitor(monitor).provisioning_status} == {"ACTIVE"}  # fmt: skip
    balancers.delete_load_balancer(made, cascade=True)
    gone(lambda: balancers.find_load_balancer(made.id), "the balancer")
    gone(lambda: list(cloud.network.ports(id=port.id)), "the VIP's port")


def test_a_share_has_an_address_on_its_network_and_admits_by_rule(
    cloud: Any, name: str, subnet: Any
) -> None:
    """Its server is a real port of Neutron; nobody exports there (docs/lab.md)."""
    if not cloud.endpoint_for("shared-file-system"):
        pytest.skip("this profile has no shared file systems")
    files = cloud.shared_file_system
    type_ = next(iter(files.get("/types").json()["share_types"]))["name"]
    place = files.create_share_network(
        name=name, neutron_net_id=subnet.network_id, neutron_subnet_id=subnet.id
    )
    ports = lambda: list(cloud.network.ports(network_id=subnet.network_id, device_owner="manila:share"))  # fmt: skip # noqa: E731
    try:
        share = files.create_share(
            name=name, size=300, share_protocol="NFS", share_type=type_, share_network_id=place.id
        )
        share = files.wait_for_status(share, "available", ["error"], interval=0.5, wait=PATIENCE)
        (port,) = ports()
        address = port.fixed_ips[0]["ip_address"]
        (export,) = files.export_locations(share.id)
        assert export.path.startswith(f"{address}:/")
        for kind, to, state in (("ip", "10.20.0.0/24", "active"), ("user", "alice", "error")):
            rule = files.create_access_rule(
                share.id, access_type=kind, access_to=to, access_level="rw"
            )
            until(lambda: files.get_access_rule(rule.id).state == state, PATIENCE, f"the rule for {to} is {state}")  # fmt: skip # noqa: B023
            files.delete_access_rule(rule.id, share.id)
            gone(lambda: list(files.access_rules(share.id)), "the rule")
        files.delete_share(share)
        gone(lambda: list(files.shares(details=False)), "the share")
    finally:
        for each in files.shares(details=False):
            files.delete_share(each)
        gone(lambda: list(files.shares(details=False)), "the share")
        files.delete_share_network(place)
    gone(lambda: list(files.share_networks(details=False)), "the share network")
    gone(ports, "the share server's port")


@pytest.mark.engine
def test_a_planned_share_by_the_engine(
    cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An EFS file system of a case, planned, rendered, applied, seen and unmade as on OVHcloud."""
    from tests.support import cases
    from tests.support.engine import engine
    from toolkit.cli import run as main
    from toolkit.destroy import Request, destroy
    from toolkit.engines import pulumi
    from toolkit.init import init
    from toolkit.stage import plan, render
    from toolkit.workspace import ESTATE, write_estate

    engine()
    if not cloud.endpoint_for("shared-file-system"):
        pytest.skip("this profile has no shared file systems")
    for each in [each for each in os.environ if each.startswith("OS_")]:
        monkeypatch.delenv(each)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(support.folder() / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "lab")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a word")
    case = cases.load(cases.CASES / "aws_efs_file_system/two_targets.json")
    held = [cases.resource(each) for each in (case["source"], *case["others"])]
    header = {
        "source": {"partition": "aws", "accounts": ["111122223333"], "regions": ["eu-west-1"]},
        "partition": "aws", "types": sorted({each.type for each in held}), "repatria": "test",
    }  # fmt: skip
    init(tmp_path, target="ovhcloud", region=cloud.config.region_name, project="demo")
    write_estate(tmp_path / ESTATE, header, [each.line() for each in held])
    plan(tmp_path)
    render(tmp_path)
    stacks = pulumi.Stacks.of(tmp_path).order()
    assert stacks[-1] == "shared-data"

    def counts(outcome: pulumi.Outcome) -> dict[str, int]:
        assert outcome.ok, [each.message for each in outcome.failures] or outcome.reason
        told: dict[str, int] = outcome.json()["counts"]
        return told

    try:
        for stack in stacks:
            assert set(counts(pulumi.up(tmp_path, stack))) == {"create"}, stack
        (share,) = cloud.shared_file_system.shares()
        assert (share.name, share.status) == ("media", "available")
        assert main(["verify", "--json", "-C", str(tmp_path)]) in (0, 3)
        seen = json.loads(capsys.readouterr().out)
        assert [each for each in seen["findings"] if each["stack"] == "shared-data"] == []
        (of_share,) = [each for each in seen["stacks"] if each["name"] == "shared-data"]
        assert (of_share["there"], of_share["resources"]) == (3, 3)
        assert of_share["compared"] > 10
        for stack in stacks:
            assert set(counts(pulumi.preview(tmp_path, stack))) == {"same"}, stack
            assert set(counts(pulumi.refresh(tmp_path, stack))) == {"same"}, stack
    finally:
        # the plan protects the share: only naming the project takes it away
        report = destroy(Request(tmp_path, including_data=True, ask=lambda *_: "demo"))
        assert report.failure is None, report.failure
    assert not list(cloud.shared_file_system.shares())
    assert not list(cloud.shared_file_system.share_networks())
    assert not list(cloud.network.networks(name="shop"))


def test_a_heat_stack(cloud: Any, name: str, tmp_path: Any) -> None:
    if not cloud.endpoint_for("orchestration"):
        pytest.skip("this profile has no orchestration")
    template = tmp_path / "stack.yaml"
    template.write_text(
        "heat_template_version: 2018-08-31\nresources:\n  net: {type: OS::Neutron::Net}\n"
    )
    made = cloud.create_stack(name, template_file=str(template), wait=True, timeout=int(PATIENCE))
    try:
        assert made.status == "CREATE_COMPLETE" or made["stack_status"] == "CREATE_COMPLETE"
    finally:
        cloud.delete_stack(name, wait=True)


def test_a_customer_is_no_operator(cloud: Any) -> None:
    """What a provider never lets its customers do."""
    import openstack.exceptions

    for forbidden in (
        lambda: cloud.compute.create_flavor(name="mine", vcpus=1, ram=64, disk=0),
        lambda: cloud.network.create_network(name="mine", is_router_external=True),
        lambda: list(cloud.identity.users()),
    ):
        with pytest.raises(openstack.exceptions.ForbiddenException):
            forbidden()
    assert not list(cloud.network.agents())


def test_it_looks_like_its_profile(cloud: Any) -> None:
    """What a customer sees against what the catalogue says of the cloud."""
    from toolkit.lab import profile, quota
    from toolkit.lab.folder import LabError, find

    try:
        settings = find(support.folder()).settings
    except LabError as error:
        pytest.skip(f"{error.message}: only a lab of this program has a profile")
    looks = profile.load(settings.like, settings.cloud_file, settings.region)
    assert cloud.config.region_name == looks.region.name
    seen = {f.name: (f.vcpus, f.ram, f.disk) for f in cloud.compute.flavors()}
    assert seen == {
        f.name: (f.vcpu, round(f.ram_gb * 1024), f.disk_gb) for f in looks.cloud.flavors
    }
    assert set(looks.cloud.images.values()) <= {image.name for image in cloud.image.images()}
    assert {type_.name for type_ in cloud.block_storage.types()} == set(looks.volume_types)
    if cloud.endpoint_for("shared-file-system"):
        types = cloud.shared_file_system.get("/types").json()["share_types"]
        assert {each["name"] for each in types} == set(looks.share_types)
    zones = {zone.name for zone in cloud.compute.availability_zones()}
    assert zones == set(looks.zones or ("nova",))
    external = [network.name for network in cloud.network.networks(is_router_external=True)]
    assert external == [looks.cloud.external_network]
    for service, type_ in (
        ("octavia", "load-balancer"),
        ("designate", "dns"),
        ("barbican", "key-manager"),
        ("manila", "shared-file-system"),
        ("manila", "sharev2"),
    ):
        here = service in settings.services and looks.cloud.has(service)
        assert (cloud.endpoint_for(type_) is not None) == here, service
    operator = support.connect("lab-admin")
    limits = quota.read(operator, operator.identity.find_project(settings.project).id)
    assert limits["instances"] == looks.cloud.quotas["instances"]
    assert limits["ram_gb"] == looks.cloud.quotas["ram_gb"]
