"""Every kind of object that the lab has is found again by its mark, under the id that the engine gives it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.cloud import Project, project
from tests.support.small import KEY
from toolkit.apply.find import Found, Target, Wanted, find

pytestmark = [
    pytest.mark.lab, pytest.mark.timeout(900),
    # openstacksdk's own, of what it will drop some day
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]  # fmt: skip
STACK = "shop-entry"
SINCE = datetime.now(UTC) - timedelta(minutes=30)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(tmp_path_factory.mktemp("project")) as held:
        yield held


def _tags(name: str) -> list[str]:
    return [f"stack={STACK}", f"name={name}"]


def _marks(name: str) -> dict[str, str]:
    return {"repatria-stack": STACK, "repatria-name": name}


def _find(cloud: Project, token: str, name: str, /, **props: Any) -> list[Found]:
    return find(Target(cloud.user), Wanted(f"urn:x::{name}", f"openstack:{token}", name, props), SINCE)  # fmt: skip


def _one(cloud: Project, token: str, name: str, /, **props: Any) -> str:
    found = _find(cloud, token, name, **props)
    assert len(found) == 1, (token, found)
    assert found[0].marked
    return found[0].id


def test_networks_and_what_joins_them(cloud: Project) -> None:
    net = cloud.user.network
    network = net.create_network(name="shop")
    subnet = net.create_subnet(network_id=network.id, name="app", cidr="10.9.0.0/24", ip_version=4)
    router = net.create_router(name="edge")
    port = net.create_port(network_id=network.id, name="foot", fixed_ips=[{"subnet_id": subnet.id}])
    group = net.create_security_group(name="web")
    # without a mark yet: by name, parent and age; and never where the age is not known
    found = _find(cloud, "networking/network:Network", "shop", name="shop", tags=_tags("shop"))
    assert [(each.id, each.marked, each.old) for each in found] == [(network.id, False, False)]
    late = Wanted("urn:x::shop", "openstack:networking/network:Network", "shop", {"name": "shop", "tags": _tags("shop")})  # fmt: skip
    assert find(Target(cloud.user), late, None)[0].old
    assert find(Target(cloud.user), late, datetime.now(UTC) + timedelta(hours=1))[0].old
    assert _find(cloud, "networking/subnet:Subnet", "app", name="app", networkId="other", cidr="10.9.0.0/24") == []  # fmt: skip
    for each, name in ((network, "shop"), (subnet, "app"), (router, "edge"), (port, "foot"), (group, "web")):  # fmt: skip
        net.set_tags(each, _tags(name))
    assert _one(cloud, "networking/network:Network", "shop", name="shop", tags=_tags("shop")) == network.id  # fmt: skip
    assert _find(cloud, "networking/network:Network", "other", name="shop", tags=_tags("other")) == []  # fmt: skip
    assert _one(cloud, "networking/subnet:Subnet", "app", tags=_tags("app")) == subnet.id
    assert _one(cloud, "networking/router:Router", "edge", tags=_tags("edge")) == router.id
    assert _one(cloud, "networking/port:Port", "foot", tags=_tags("foot")) == port.id
    assert _one(cloud, "networking/secGroup:SecGroup", "web", tags=_tags("web")) == group.id
    rule = net.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=22,
        port_range_max=22, description=f"[{STACK}/web-22]",
    )  # fmt: skip
    assert _one(cloud, "networking/secGroupRule:SecGroupRule", "web-22", securityGroupId=group.id, description=f"[{STACK}/web-22]") == rule.id  # fmt: skip
    made = net.add_interface_to_router(router, subnet_id=subnet.id)
    assert _one(cloud, "networking/routerInterface:RouterInterface", "i", routerId=router.id, subnetId=subnet.id) == made["port_id"]  # fmt: skip
    net.update_router(router, routes=[{"destination": "10.8.0.0/24", "nexthop": "10.9.0.77"}])
    assert (
        _one(cloud, "networking/routerRoute:RouterRoute", "r", routerId=router.id, destinationCidr="10.8.0.0/24", nextHop="10.9.0.77")
        == f"{router.id}-route-10.8.0.0/24-10.9.0.77"
    )  # fmt: skip
    assert _find(cloud, "networking/routerRoute:RouterRoute", "r", routerId=router.id, destinationCidr="10.7.0.0/24", nextHop="10.9.0.77") == []  # fmt: skip


def test_addresses(cloud: Project) -> None:
    net = cloud.user.network
    outside = next(each for each in net.networks(is_router_external=True))
    network = net.create_network(name="in")
    subnet = net.create_subnet(network_id=network.id, name="in", cidr="10.6.0.0/24", ip_version=4)
    router = net.create_router(name="out", external_gateway_info={"network_id": outside.id})
    net.add_interface_to_router(router, subnet_id=subnet.id)
    port = net.create_port(network_id=network.id, name="p")
    address = net.create_ip(floating_network_id=outside.id, description="shop")
    token = "networking/floatingIp:FloatingIp"
    assert [(each.id, each.marked) for each in _find(cloud, token, "a", description="shop", tags=_tags("a"))] == [(address.id, False)]  # fmt: skip
    net.set_tags(address, _tags("a"))
    assert _one(cloud, token, "a", description="shop", tags=_tags("a")) == address.id
    bound = "networking/floatingIpAssociate:FloatingIpAssociate"
    held = {"floatingIp": address.floating_ip_address, "portId": port.id}
    assert _find(cloud, bound, "b", **held) == []
    net.update_ip(address, port_id=port.id)
    assert _one(cloud, bound, "b", **held) == address.id


def test_servers_and_disks(cloud: Project) -> None:
    compute, disk = cloud.user.compute, cloud.user.block_storage
    volume = disk.create_volume(size=1, name="data", metadata=_marks("data"))
    token = "blockstorage/volume:Volume"
    assert _one(cloud, token, "data", name="data", metadata=_marks("data")) == volume.id
    assert _find(cloud, token, "other", name="data", metadata=_marks("other")) == []
    compute.create_keypair(name="ops", public_key=KEY)
    assert _one(cloud, "compute/keypair:Keypair", "ops", name="ops", publicKey=f"{KEY}-comment") == "ops"  # fmt: skip
    assert _find(cloud, "compute/keypair:Keypair", "ops", name="ops", publicKey="ssh-ed25519 AAAA x") == []  # fmt: skip
    group = compute.create_server_group(name="apart", policy="soft-anti-affinity")
    assert _one(cloud, "compute/serverGroup:ServerGroup", "g", name="apart", policies="soft-anti-affinity") == group.id  # fmt: skip
    network = cloud.user.network.create_network(name="for-server")
    cloud.user.network.create_subnet(network_id=network.id, cidr="10.5.0.0/24", ip_version=4)
    flavor = min((each for each in compute.flavors() if each.disk), key=lambda each: each.ram)
    image = next(iter(cloud.user.image.images()))
    server = compute.create_server(name="web", flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}], metadata=_marks("web"))  # fmt: skip
    assert _one(cloud, "compute/instance:Instance", "web", metadata=_marks("web")) == server.id
    compute.wait_for_server(server)
    disk.wait_for_status(volume, "available", wait=60)
    compute.create_volume_attachment(server, volume_id=volume.id)
    assert _one(cloud, "compute/volumeAttach:VolumeAttach", "v", instanceId=server.id, volumeId=volume.id) == f"{server.id}/{volume.id}"  # fmt: skip


def test_load_balancers(cloud: Project) -> None:
    lb, net = cloud.user.load_balancer, cloud.user.network
    network = net.create_network(name="for-balancer")
    subnet = net.create_subnet(network_id=network.id, cidr="10.4.0.0/24", ip_version=4)
    balancer = lb.create_load_balancer(name="front", vip_subnet_id=subnet.id, tags=_tags("front"))
    assert _one(cloud, "loadbalancer/loadBalancer:LoadBalancer", "front", tags=_tags("front")) == balancer.id  # fmt: skip
    assert _find(cloud, "loadbalancer/loadBalancer:LoadBalancer", "x", name="front", tags=_tags("x")) == []  # fmt: skip

    def ready() -> None:
        lb.wait_for_load_balancer(balancer.id, wait=120)

    ready()
    pool = lb.create_pool(loadbalancer_id=balancer.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN", name="p", tags=_tags("p"))  # fmt: skip
    ready()
    listener = lb.create_listener(load_balancer_id=balancer.id, protocol="HTTP", protocol_port=80, name="l", tags=_tags("l"), default_pool_id=pool.id)  # fmt: skip
    ready()
    member = lb.create_member(pool, address="10.4.0.9", protocol_port=80, tags=_tags("m"))
    ready()
    monitor = lb.create_health_monitor(pool_id=pool.id, type="TCP", delay=5, timeout=3, max_retries=2)  # fmt: skip
    ready()
    policy = lb.create_l7_policy(listener_id=listener.id, action="REDIRECT_PREFIX", redirect_prefix="https://shop.example", description=f"[{STACK}/to-tls]")  # fmt: skip
    ready()
    rule = lb.create_l7_rule(policy, type="PATH", compare_type="STARTS_WITH", value="/")
    ready()
    assert _one(cloud, "loadbalancer/pool:Pool", "p", tags=_tags("p")) == pool.id
    assert _one(cloud, "loadbalancer/listener:Listener", "l", tags=_tags("l")) == listener.id
    assert (
        _one(cloud, "loadbalancer/member:Member", "m", poolId=pool.id, tags=_tags("m")) == member.id
    )
    assert _one(cloud, "loadbalancer/monitor:Monitor", "c", poolId=pool.id) == monitor.id
    assert _one(cloud, "loadbalancer/l7PolicyV2:L7PolicyV2", "to-tls", listenerId=listener.id, description=f"[{STACK}/to-tls]") == policy.id  # fmt: skip
    assert _one(cloud, "loadbalancer/l7RuleV2:L7RuleV2", "r", l7policyId=policy.id, type="PATH", compareType="STARTS_WITH", value="/") == rule.id  # fmt: skip


def test_names_objects_and_secrets(cloud: Project) -> None:
    zone = cloud.user.dns.create_zone(name=f"{cloud.name}.example.", email="a@b.example", description=f"[{STACK}/zone]")  # fmt: skip
    assert _one(cloud, "dns/zone:Zone", "zone", description=f"[{STACK}/zone]") == zone.id
    record = cloud.user.dns.create_recordset(zone, name=f"www.{cloud.name}.example.", type="A", records=["192.0.2.1"], description=f"[{STACK}/www]")  # fmt: skip
    assert _one(cloud, "dns/recordSet:RecordSet", "www", zoneId=zone.id, description=f"[{STACK}/www]") == f"{zone.id}/{record.id}"  # fmt: skip
    token = "objectstorage/container:Container"
    name = f"{cloud.name} box"
    assert _find(cloud, token, "box", name=name, metadata=_marks("box")) == []
    headers = {f"X-Container-Meta-{key}": value for key, value in _marks("box").items()}
    cloud.user.object_store.put(f"/{name.replace(' ', '%20')}", headers=headers)
    assert _one(cloud, token, "box", name=name, metadata=_marks("box")) == name
    assert _find(cloud, token, "other", name=name, metadata=_marks("other")) == []
    vault = cloud.user.key_manager
    token = "keymanager/secretV1:SecretV1"
    made = vault.create_secret(
        name="cert", payload=base64.b64encode(b"x").decode(), payload_content_type="application/octet-stream",
        payload_content_encoding="base64",
    )  # fmt: skip
    id_ = str(made.secret_ref).rsplit("/", 1)[-1]
    found = _find(cloud, token, "cert", name="cert", metadata=_marks("cert"))
    assert [(each.id, each.marked, each.old) for each in found] == [(id_, False, False)]
    vault.put(f"/secrets/{id_}/metadata", json={"metadata": _marks("cert")})
    assert _one(cloud, token, "cert", name="cert", metadata=_marks("cert")) == id_
