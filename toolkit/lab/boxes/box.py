"""One server of Nova -> one box: plugged, booted, stopped, removed; what is known of it is in its box.json."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from toolkit.lab.boxes.processes import CommandError, alive, child, end, run, tell
from toolkit.lab.boxes.volume import Volume
from toolkit.lab.folder import Lab
from toolkit.lab.identity import Session

EGRESS_PORT = 3142
WIRED = 20.0
"""Seconds to wait for Neutron's agent before a boot: one without a network loses longer to DHCP."""
START = Path(__file__).parent / "etc/start.sh"


class Box:
    """A box, by the id of its server. Lives in the lab's namespaces; so does whoever uses it."""

    def __init__(self, lab: Lab, cloud: Session, root: Path, server_id: str) -> None:
        self.lab, self.cloud, self.root, self.id = lab, cloud, root, server_id
        self.name = f"box-{server_id[:8]}"
        self.folder = lab.folder / "boxes" / server_id
        top = Path("/sys/fs/cgroup/unified")
        self.cgroup = (top if top.is_dir() else top.parent) / lab.cgroup / self.name
        self.state: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError):
            self.state = json.loads((self.folder / "box.json").read_text())

    def save(self, **changed: Any) -> None:
        self.state.update(changed)
        part = self.folder / "box.part"
        part.write_text(json.dumps(self.state, indent=1))
        part.replace(self.folder / "box.json")

    @property
    def pid(self) -> int | None:
        """The process that keeps the box, while it runs."""
        pid = self.state.get("pid")
        return pid if pid and alive(pid, self.name) else None

    @property
    def leader(self) -> int | None:
        """systemd in the box: child of nspawn, child of the keeper; another one after each boot."""
        with contextlib.suppress(OSError, IndexError, TypeError):
            pid = child(child(self.pid or 0))
            # not before nspawn has entered the box and executed init there
            return pid if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else None
        return None

    def enter(self, *command: str) -> list[str]:
        """The words that run a command in the box as root."""
        return [
            "nsenter", "-t", str(self.leader), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
            "TERM=" + os.environ.get("TERM", "dumb"), *command,
        ]  # fmt: skip

    def plug(self, server: Any) -> bool:
        """Every Neutron port becomes an interface (what os-vif does on a hypervisor); whether all are wired."""
        network = self.cloud.network
        order = [a.get("OS-EXT-IPS-MAC:mac_addr") for n in server.addresses.values() for a in n]
        ports = sorted(
            network.ports(device_id=self.id),
            key=lambda port: order.index(port.mac_address) if port.mac_address in order else 99,
        )
        if not Path("/run/netns", self.name).exists():
            run("ip", "netns", "add", self.name)
            run("ip", "-n", self.name, "link", "set", "lo", "up")
        there = {link["ifname"] for link in json.loads(run("ip", "-j", "link", "show"))}
        mine = json.loads(run("ip", "-n", self.name, "-j", "link", "show"))
        used = {link["ifname"]: link.get("address") for link in mine}
        for port in ports:
            tap, bridge = f"tap{port.id[:11]}", f"brq{port.network_id[:11]}"
            if bridge not in there:  # the agent fills it, but only a hypervisor makes it
                run("ip", "link", "add", bridge, "type", "bridge", check=False)
                run("ip", "link", "set", bridge, "up")
                there.add(bridge)
            if tap in there:
                continue
            device = next(f"ens{n}" for n in range(3, 30) if f"ens{n}" not in used)
            used[device] = port.mac_address
            mtu = network.get_network(port.network_id).mtu
            run("ip", "link", "add", tap, "mtu", mtu, "type", "veth", "peer", "name", device, "netns", self.name, "address", port.mac_address, "mtu", mtu)  # fmt: skip
            run("ip", "link", "set", tap, "master", bridge, "up")
            run("ip", "-n", self.name, "link", "set", device, "up")
        addresses = {port.mac_address for port in ports}
        for device, mac in used.items():  # a port that was detached
            if device.startswith("ens") and mac not in addresses:
                run("ip", "-n", self.name, "link", "delete", device, check=False)
        self.save(ports=[p.id for p in ports], addresses=[f["ip_address"] for p in ports for f in p.fixed_ips])  # fmt: skip
        return all(port.status == "ACTIVE" for port in ports)

    def start(self, server: Any) -> bool:
        """Plug and boot; False while the ports are not wired yet."""
        for name in ("upper/etc/apt/apt.conf.d", "work", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        proxy = self.folder / "upper/etc/apt/apt.conf.d/98lab"
        proxy.write_text(f'Acquire::http::Proxy "http://{self.lab.gateway}:{EGRESS_PORT}";\n')
        self.save(name=server.name, plugged=self.state.get("plugged") or time.time())
        if not self.plug(server) and time.time() - self.state["plugged"] < WIRED:
            return False
        with (self.folder / "console.log").open("ab") as console:
            # nspawn itself must be in the network too: /sys/class/net of the box is that of whoever mounts /sys
            keeper = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "--propagation", "private", "bash", START, self.name,
                 self.folder, self.root, self.id, self.cgroup],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        keeper.returncode = 0  # `collect` reaps it
        tell(self.name, server.name, f"starts {time.time() - self.state['plugged']:.1f} s after plugging")  # fmt: skip
        self.save(pid=keeper.pid, power="on", started=time.time(), plugged=None)
        return True

    def stop(self, seconds: float = 15.0) -> None:
        """Shut down; after `seconds` (at once if 0) pull the plug."""
        if seconds and self.leader:
            with contextlib.suppress(OSError, IndexError):
                end(
                    child(self.pid or 0), self.name, seconds
                )  # nspawn passes it on as an orderly shutdown
        limit = time.monotonic() + 5
        while self.cgroup.exists() and time.monotonic() < limit:
            with contextlib.suppress(OSError):
                (self.cgroup / "cgroup.kill").write_text("1")
            for path in [*sorted(self.cgroup.rglob("*/"), reverse=True), self.cgroup]:
                with contextlib.suppress(OSError):
                    path.rmdir()
            time.sleep(0.05)
        self.save(power="off", pid=None, volumes=[])

    def renew(self) -> None:
        """Forget the disk: what a rebuild does."""
        for name in ("upper", "work"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def remove(self) -> None:
        self.stop(0)
        for port in self.state.get("ports", ()):
            run("ip", "link", "delete", f"tap{port[:11]}", check=False)
        run("ip", "netns", "delete", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        tell(self.name, self.state.get("name"), "is removed")

    def sync_volumes(self, server: Any) -> None:
        """Attached volumes as the device that Nova names, with the link under /dev/disk/by-id that a KVM guest has."""
        leader, wanted = self.leader, {volume.id for volume in server.attached_volumes or ()}
        same = self.state.get("volumes_of") == leader
        have = set(self.state.get("volumes", ())) if same else set()
        if not leader or wanted == have:
            return
        reply = self.cloud.compute.get(f"/servers/{self.id}/os-volume_attachments").json()
        devices = {each["volumeId"]: each["device"] for each in reply["volumeAttachments"]}
        for id_ in wanted - have:
            node = Path(devices.get(id_) or "/dev/vdz").name
            if node.endswith("da"):
                continue  # boot volume: the box has its own root
            gib = self.cloud.block_storage.get_volume(id_).size
            loop = self.volume(id_).attach(gib)
            minor = os.minor(Path(loop).stat().st_rdev)
            run(*self.enter("sh", "-ec", f"rm -f /dev/{node}; mknod -m 660 /dev/{node} b 7 {minor}; chgrp disk /dev/{node}; mkdir -p /dev/disk/by-id; ln -sf ../../{node} /dev/disk/by-id/virtio-{id_[:20]}"))  # fmt: skip
            tell(self.name, f"volume {id_} is /dev/{node}")
        for id_ in have - wanted:
            link = f"/dev/disk/by-id/virtio-{id_[:20]}"
            run(*self.enter("sh", "-c", f'rm -f "$(readlink -f {link})" {link}'), check=False)
            self.volume(id_).release()
            tell(self.name, f"volume {id_} is detached")
        self.save(volumes=sorted(wanted), volumes_of=leader)

    def volume(self, id_: str) -> Volume:
        return Volume(self.lab.folder / "boxes/volumes" / f"{id_}.img")


__all__ = ["Box", "CommandError"]
