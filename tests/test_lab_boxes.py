"""Boxes: servers of the lab as machines, behind Neutron's own groups and floating IPs. Needs a lab with --boxes."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support import lab as support
from tests.support.lab import until
from toolkit.lab import namespace
from toolkit.lab.folder import LabError, find

pytestmark = [
    pytest.mark.lab, pytest.mark.boxes, pytest.mark.slow, pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]  # fmt: skip
PATIENCE = 180.0
USER_DATA = "#cloud-config\nwrite_files: [{{path: /etc/made-by-user-data, content: 'server {}'}}]\n"


@dataclass
class Site:
    """Two servers on one network, the first with a floating IP."""

    cloud: Any
    group: Any
    servers: list[Any]
    addresses: list[str]
    floating: str
    key: Path
    inside: list[str]

    @property
    def options(self) -> list[str]:
        return ["-i", str(self.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"]  # fmt: skip

    def run(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """A command in the lab's network, with this machine's files."""
        return subprocess.run(
            [*self.inside, *words], capture_output=True, text=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def ssh(self, command: str, user: str = "debian") -> str:
        return self.run("ssh", *self.options, f"{user}@{self.floating}", command).stdout.strip()

    def second(self, command: str) -> str:
        """On the second server, by way of the first."""
        return self.ssh(
            f"ssh -o StrictHostKeyChecking=no -o ConnectTimeout=5 {self.addresses[1]} {command}"
        )

    def answers(self, port: int) -> bool:
        """Whether the first server's port answers at the floating IP."""
        return (
            self.run(
                "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{self.floating}/{port}"
            ).returncode
            == 0
        )

    def allow(self, port: int) -> None:
        self.cloud.network.create_security_group_rule(
            security_group_id=self.group.id, direction="ingress", ether_type="IPv4", protocol="tcp", port_range_min=port, port_range_max=port,
        )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    support.root()
    folder = support.folder()
    try:
        lab = find(folder)
    except LabError as error:
        pytest.skip(f"{error.message}: boxes need a lab of this program")
    if not lab.settings.boxes:
        pytest.skip("the lab has no boxes: `repatria lab up --boxes`")
    cloud, name = support.connect("lab"), f"boxes-{uuid4().hex[:6]}"
    key = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    inside = ["nsenter", f"--net=/proc/{namespace.supervisor(lab)}/ns/net", "--"]
    with ExitStack() as undo:
        network = cloud.network.create_network(name=name)
        undo.callback(cloud.network.delete_network, network)
        subnet = cloud.network.create_subnet(
            name=name, network_id=network.id, ip_version=4, cidr="10.77.0.0/24"
        )
        external = next(iter(cloud.network.networks(is_router_external=True)))
        router = cloud.network.create_router(
            name=name, external_gateway_info={"network_id": external.id}
        )
        undo.callback(cloud.network.delete_router, router)
        cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
        undo.callback(cloud.network.remove_interface_from_router, router, subnet_id=subnet.id)
        group = cloud.network.create_security_group(name=name)
        undo.callback(cloud.network.delete_security_group, group)
        pair = cloud.compute.create_keypair(
            name=name, public_key=key.with_suffix(".pub").read_text()
        )
        undo.callback(cloud.compute.delete_keypair, pair)
        smallest = min(
            (f for f in cloud.compute.flavors() if f.disk), key=lambda flavor: flavor.ram
        )
        servers = []
        for number in (1, 2):
            data = base64.b64encode(USER_DATA.format(number).encode()).decode()
            made = cloud.compute.create_server(
                name=f"{name}-{number}", image_id=next(iter(cloud.image.images())).id, flavor_id=smallest.id, key_name=name,
                networks=[{"uuid": network.id}], security_groups=[{"name": name}], user_data=data,
            )  # fmt: skip
            undo.callback(cloud.compute.wait_for_delete, made, interval=0.5, wait=int(PATIENCE))
            undo.callback(cloud.compute.delete_server, made)
            servers.append(made)
        servers = [
            cloud.compute.wait_for_server(each, interval=0.5, wait=int(PATIENCE))
            for each in servers
        ]
        ports = [next(iter(cloud.network.ports(device_id=each.id))) for each in servers]
        floating = cloud.network.create_ip(floating_network_id=external.id, port_id=ports[0].id)
        undo.callback(cloud.network.delete_ip, floating)
        made = Site(
            cloud,
            group,
            servers,
            [p.fixed_ips[0]["ip_address"] for p in ports],
            floating.floating_ip_address,
            key,
            inside,
        )
        for port in (22, 80):
            made.allow(port)
        until(lambda: made.ssh("true; echo yes") == "yes", PATIENCE, "SSH over the floating IP")
        made.run("scp", "-q", *made.options, str(key), f"debian@{made.floating}:.ssh/id_ed25519")
        yield made


def test_it_boots_with_key_name_address_and_user_data(site: Site) -> None:
    assert site.ssh("systemctl is-system-running --wait") == "running"
    assert site.ssh("cloud-init status --wait").endswith("done")
    assert site.ssh("sudo -n id -u") == "0"
    assert site.ssh("id -un", "root") == "root"
    assert site.ssh("hostname") == site.servers[0].name
    assert site.ssh("cat /etc/made-by-user-data") == "server 1"
    assert f"{site.addresses[0]}/24" in site.ssh("ip -4 -br address show scope global")


def test_a_group_admits_what_it_says_and_nothing_else(site: Site) -> None:
    """The same program on a port that is allowed and on one that is not: only then is silence the group's."""
    get = "curl -s -o /dev/null -m 4 -w '%{{http_code}}' http://{}:{}/"
    until(
        lambda: site.second("systemctl is-system-running") == "running",
        PATIENCE,
        "the second server has booted",
    )
    for port in (80, 8080):
        serve = f"sudo systemd-run -q --unit=web{port} python3 -m http.server {port} -d /etc/cloud"
        site.ssh(serve)
        site.second(serve)
    until(
        lambda: site.ssh(get.format(site.addresses[1], 80)) == "200",
        30,
        "80 answers the first server",
    )
    assert site.answers(80)
    assert site.ssh(get.format("127.0.0.1", 8080)) == "200", "it does listen"
    assert site.ssh(get.format(site.addresses[1], 8080)) == "000"
    assert not site.answers(8080)
    site.allow(8080)
    until(lambda: site.answers(8080), 30, "8080 answers once it is allowed")
    until(
        lambda: site.ssh(get.format(site.addresses[1], 8080)) == "200",
        30,
        "and answers the first server",
    )


def test_packages_come_by_the_proxy_and_nothing_else_does(site: Site) -> None:
    done = site.run("ssh", *site.options, f"debian@{site.floating}", "sudo apt-get -q update && sudo apt-get -qy install tree", seconds=300)  # fmt: skip
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]
    assert site.ssh("tree --version").startswith("tree")
    proxy = site.ssh("apt-config shell P Acquire::http::Proxy").removeprefix("P=").strip("'")
    assert (
        site.ssh(f"curl -s -o /dev/null -m 9 -w '%{{http_code}}' -x {proxy} http://192.0.2.1/")
        == "403"
    )
    assert site.ssh("curl -s -o /dev/null -m 4 -w '%{http_code}' http://192.0.2.1/") == "000"


def test_ansible_reboots_it(site: Site) -> None:
    before = site.ssh("cat /proc/sys/kernel/random/boot_id")
    ansible = str(Path(sys.executable).with_name("ansible"))
    done = site.run(
        ansible, "all", "-i", f"{site.floating},", "-u", "debian", "-b", "--private-key", str(site.key), f"--ssh-common-args={' '.join(site.options[2:6])}", "-m", "ansible.builtin.reboot", "-a", "reboot_timeout=120", seconds=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]
    assert site.ssh("cat /proc/sys/kernel/random/boot_id") not in ("", before)


def test_a_volume_is_a_disk_whose_data_outlive_a_stop(site: Site) -> None:
    storage, compute, server = site.cloud.block_storage, site.cloud.compute, site.servers[0]
    made = storage.create_volume(name=server.name, size=1)
    storage.wait_for_status(made, "available", interval=0.5, wait=int(PATIENCE))
    device = f"/dev/disk/by-id/virtio-{made.id[:20]}"
    try:
        compute.create_volume_attachment(server, volume_id=made.id)
        until(lambda: site.ssh(f"test -b {device} && echo yes") == "yes", 60, "the disk appears")
        assert site.ssh(f"sudo blockdev --getsize64 {device}") == str(1 << 30)
        site.ssh(
            f"sudo mkfs.ext4 -q {device} && sudo mkdir -p /data && echo {device} /data ext4 nofail 0 2 | sudo tee -a /etc/fstab && sudo mount /data && echo kept | sudo tee /data/file && sync"
        )
        compute.stop_server(server)
        until(lambda: not site.answers(22), 60, "it stops")
        compute.wait_for_server(server, status="SHUTOFF", interval=0.5, wait=int(PATIENCE))
        compute.start_server(server)
        until(
            lambda: site.ssh("cat /data/file") == "kept",
            PATIENCE,
            "the data are there after a start",
        )
        site.ssh("sudo umount /data && sudo sed -i '/\\/data/d' /etc/fstab")
    finally:
        compute.delete_volume_attachment(server, made, ignore_missing=True)
        # by a fresh look: the object in hand still says what it was before it was attached
        until(
            lambda: storage.get_volume(made.id).status == "available",
            PATIENCE,
            "the volume is free",
        )
        storage.delete_volume(made)


def test_nova_reboots_and_deletes_it(site: Site) -> None:
    before = site.ssh("cat /proc/sys/kernel/random/boot_id")
    site.cloud.compute.reboot_server(site.servers[0], "SOFT")
    until(
        lambda: site.ssh("cat /proc/sys/kernel/random/boot_id") not in ("", before),
        PATIENCE,
        "a new boot",
    )
    lab = find(support.folder())
    box = lab.folder / "boxes" / site.servers[1].id
    assert box.exists()
    site.cloud.compute.delete_server(site.servers[1])
    until(lambda: not box.exists(), PATIENCE, "the box of a deleted server is gone")
    assert f"box-{site.servers[1].id[:8]}" not in namespace.inside(lab, "ip", "netns", "list")
