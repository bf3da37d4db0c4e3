#!/usr/bin/env python3
"""Throw-away Debian 13 hosts with systemd, in a network of their own: what the scenarios of this folder converge.

    hosts.py up BED NAME[=ADDRESS]...   boot them (those that run stay), print `NAME ADDRESS` of each
    hosts.py run BED COMMAND...         become a command in the bed's network: from there the hosts answer
    hosts.py names BED NAME=ADDRESS...  names that `run` resolves besides those of /etc/hosts
    hosts.py exec BED NAME [COMMAND...] become a command in a host, as root
    hosts.py kill BED NAME              pull the plug and forget the disk: that host is gone
    hosts.py down BED                   everything of the bed is gone

A bed is a network namespace with one bridge in it; each host is a systemd-nspawn container on an overlay over the root
file system that the lab's boxes use too. The one way out is a proxy for Debian's mirrors. Needs root on Debian.

REPATRIA_CONTACTS names a folder: then whom each host contacts is recorded there from before its boot on (NAME-1.jsonl, -2 after a
kill, ...), and there is a server of names, which says of every one that there is no such: so that all ask.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from toolkit.lab.boxes import image  # noqa: E402
from toolkit.lab.boxes.box import EGRESS_PORT, START  # noqa: E402
from toolkit.lab.boxes.egress import Proxy, allowed  # noqa: E402
from toolkit.lab.boxes.processes import alive, child, end, run, tell  # noqa: E402

STATE = Path(os.environ.get("REPATRIA_BEDS", "/var/lib/repatria/beds"))
NETWORK = "10.77.0"
"""Every bed has the same addresses: no two share a network."""
GATEWAY = f"{NETWORK}.1"
CONTACTS = os.environ.get("REPATRIA_CONTACTS", "")
BOOT = 180.0
"""Seconds until systemd must have come to rest; a loaded machine is slow, a broken host says so at once."""
TOOLS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "ip": "iproute2", "ssh-keygen": "openssh-client"}  # fmt: skip


class Bed:
    """Hosts that see each other and nobody else."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,11}", name):
            sys.exit(f"error: {name!r} names no bed: a letter, then letters, digits, dashes; 12 at most")  # fmt: skip
        self.name, self.folder = name, STATE / name
        self.net = f"bed-{name}"
        self.key = self.folder / "id_ed25519"

    def up(self, wanted: dict[str, str]) -> None:
        """The network, the way to the mirrors, then the hosts side by side."""
        root = image.build(lambda line: print(line, file=sys.stderr))
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._network()
            self._egress(root)
            if not self.key.exists():
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.net, "-f", self.key)
            hosts = self._addresses(wanted)
            young = {name for name in hosts if not self.runs(name)}
            for name in young:
                self._boot(root, name, hosts[name], hosts)
            limit = time.monotonic() + BOOT
            for name, address in hosts.items():
                wrong = self._ready(name, limit)
                if wrong and name in young:  # a small machine that does much else
                    print(f"{name} is booted once more: {wrong}", file=sys.stderr)
                    self._boot(root, name, address, hosts)
                    wrong = self._ready(name, time.monotonic() + BOOT)
                if wrong and (name in young or not self._listens(name)):
                    sys.exit(f"error: {wrong}")
                if wrong:  # something ended badly since it came up, which is for its tests to say
                    print(f"warning: {wrong}", file=sys.stderr)
                print(name, address)

    def _addresses(self, wanted: dict[str, str]) -> dict[str, str]:
        """Name -> address of all hosts; one that was given stays."""
        path = self.folder / "hosts.json"
        held: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        for name, address in wanted.items():
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
                sys.exit(f"error: {name!r} names no host")
            used = {int(each.rpartition(".")[2]) for each in held.values()}
            held[name] = address or held.get(name) or f"{NETWORK}.{max({*used, 10}) + 1}"
        path.write_text(json.dumps(held, indent=1))
        return held

    def _network(self) -> None:
        if Path("/run/netns", self.net).exists():
            return
        run("ip", "netns", "add", self.net)
        for words in (
            ("link", "set", "lo", "up"),
            ("link", "add", "bed0", "type", "bridge"),
            ("addr", "add", f"{GATEWAY}/24", "dev", "bed0"),
            ("link", "set", "bed0", "up"),
        ):
            run("ip", "-n", self.net, *words)

    def _egress(self, root: Path) -> None:
        if self._pid("egress", "hosts.py"):
            return
        outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        with (self.folder / "egress.log").open("ab") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.net}", sys.executable, __file__, "egress", self.name, str(outside), str(root)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=[outside],
            )  # fmt: skip
        os.close(outside)
        (self.folder / "egress.pid").write_text(str(process.pid))
        self._wait(lambda: "listens" in (self.folder / "egress.log").read_text(), process, "egress")

    def egress(self, outside: int, root: Path) -> None:
        """Serve Debian's mirrors to the bed; runs in the bed's network and connects from the machine's."""
        listening = socket.create_server((GATEWAY, EGRESS_PORT), backlog=128)
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind((GATEWAY, 53))
        if ctypes.CDLL(None, use_errno=True).setns(outside, 0):
            raise OSError(ctypes.get_errno(), "the machine's network cannot be entered")
        cache = STATE / "packages"
        cache.mkdir(exist_ok=True)
        if CONTACTS:
            threading.Thread(target=nobody, args=[names], daemon=True).start()
        tell(f"listens on {GATEWAY}:{EGRESS_PORT}")
        Proxy(listening, allowed(root), cache).serve_forever()

    def _boot(self, root: Path, name: str, address: str, hosts: dict[str, str]) -> None:
        folder, net = self.folder / name, f"{self.net}-{name}"
        self._unplug(name)
        upper = folder / "upper"
        for place in ("etc/apt/apt.conf.d", "etc/systemd/network", "root/.ssh", "etc/cloud"):
            (upper / place).mkdir(parents=True, exist_ok=True)
        for place in ("work", "root"):
            (folder / place).mkdir(exist_ok=True)
        table = [f"127.0.0.1 localhost\n{address} {name}\n", *(f"{a} {n}\n" for n, a in hosts.items() if n != name)]  # fmt: skip
        files = {
            "etc/hostname": name + "\n",
            "etc/hosts": "".join(table),
            "etc/apt/apt.conf.d/98bed": f'Acquire::http::Proxy "http://{GATEWAY}:{EGRESS_PORT}";\n',
            "etc/systemd/network/10-bed.network": f"[Match]\nName=eth0\n[Network]\nAddress={address}/24\nGateway={GATEWAY}\n"
            + (f"DNS={GATEWAY}\n" if CONTACTS else ""),
            "etc/cloud/cloud-init.disabled": "",
            "root/.ssh/authorized_keys": self.key.with_suffix(".pub").read_text(),
        }
        for place, text in files.items():
            if place == "etc/hosts" or not (upper / place).exists():
                (upper / place).write_text(text)
        (upper / "etc/ssh").mkdir(exist_ok=True)
        run("ssh-keygen", "-A", "-f", upper)
        (upper / "root").chmod(0o700)
        run("ip", "netns", "add", net)
        run("ip", "-n", net, "link", "set", "lo", "up")
        run("ip", "-n", self.net, "link", "add", f"v-{name}"[:15], "type", "veth", "peer", "name", "eth0", "netns", net, "address", _hardware(name))  # fmt: skip
        run("ip", "-n", self.net, "link", "set", f"v-{name}"[:15], "master", "bed0", "up")
        if CONTACTS:
            self._record(name, net)
        top = Path("/sys/fs/cgroup/unified")
        cgroup = (top if top.is_dir() else top.parent) / net
        uuid = f"00000000-0000-4000-8000-{sum(name.encode()):012x}"
        with (folder / "console.log").open("ab") as console:
            keeper = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{net}", "unshare", "--mount", "--propagation", "private", "bash", START, net, folder, root, uuid, cgroup],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        (folder / "pid").write_text(str(keeper.pid))
        # a child has its parent's command line until it has become what it is to be
        self._wait(lambda: self.runs(name), keeper, f"{name}/console")

    def _record(self, name: str, net: str) -> None:
        """Whom the host contacts, seen in its network from outside of it."""
        logs = Path(CONTACTS)
        logs.mkdir(parents=True, exist_ok=True)
        file = logs / f"{name}-{len(list(logs.glob(f'{name}-*.jsonl'))) + 1}.jsonl"
        said = self.folder / name / "record.log"
        with said.open("wb") as log:
            recorder = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{net}", sys.executable, HERE.parent / "playbooks/files/contacts.py", file, "--host", name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (self.folder / name / "record.pid").write_text(str(recorder.pid))
        self._wait(lambda: "listens" in said.read_text(), recorder, f"{name}/record")

    def _ready(self, name: str, limit: float) -> str:
        """Wait until a host has come to rest. Returns what is wrong with it, or nothing."""
        while True:
            if self.runs(name) is None or time.monotonic() > limit:
                log = (self.folder / name / "console.log").read_text(errors="replace")
                return f"{name} did not come up:\n{log[-2000:]}"
            said = self._says(name, "systemctl", "is-system-running")
            if said.startswith("degraded"):
                failed = self._says(name, "systemctl", "--failed", "--plain", "--no-legend")
                units = [line.split()[0] for line in failed.splitlines() if line.split()]
                return f"{name} is degraded: {failed}\n{self._says(name, 'systemctl', 'status', '--no-pager', *units)}"
            if said.startswith("running") and self._listens(name):
                return ""
            time.sleep(0.1)

    def _says(self, name: str, *command: str) -> str:
        """What a command in a host writes, whatever its end; nothing while the host boots."""
        words = self.enter(name, *command)
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout if words else ""  # fmt: skip

    def _listens(self, name: str) -> bool:
        return "LISTEN" in self._says(name, "ss", "-Hltn", "sport = 22")

    def _wait(self, done: object, process: subprocess.Popen[bytes], what: str) -> None:
        limit = time.monotonic() + 20
        while not done():  # type: ignore[operator]
            if process.poll() is not None or time.monotonic() > limit:
                sys.exit(f"error: {what} did not start; see {self.folder}/{what}.log")
            time.sleep(0.05)

    def _pid(self, name: str, word: str) -> int | None:
        path = self.folder / (f"{name}.pid" if name == "egress" else f"{name}/pid")
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            return None
        return pid if alive(pid, word) else None

    def runs(self, name: str) -> int | None:
        """The process that keeps a host, while it runs."""
        return self._pid(name, f"{self.net}-{name}")

    def enter(self, name: str, *command: str) -> list[str]:
        """The words that run a command in a host as root; none while it boots."""
        try:
            leader = child(child(self.runs(name) or 0))
            if Path(f"/proc/{leader}/comm").read_text() != "systemd\n":
                return []
        except (OSError, IndexError):
            return []
        return ["nsenter", "-t", str(leader), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", *command]  # fmt: skip

    def named(self) -> list[str]:
        """The words before a command that give it the bed's names: /etc/hosts of a mount namespace of its own."""
        path = self.folder / "names"
        mounted = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, str(path)] if path.exists() else []  # fmt: skip

    def _unplug(self, name: str) -> None:
        net = f"{self.net}-{name}"
        with contextlib.suppress(OSError, ValueError):
            end(int((self.folder / name / "record.pid").read_text()), "contacts.py", 5)
        for top in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
            group = top / net
            limit = time.monotonic() + 60
            while group.is_dir():
                if time.monotonic() > limit:
                    sys.exit(f"error: processes of {name} do not end")
                try:
                    (group / "cgroup.kill").write_text("1")
                except OSError:
                    for line in (group / "cgroup.procs").read_text().split():
                        run("kill", "-KILL", line, check=False)
                for path in [*sorted(group.rglob("*/"), reverse=True), group]:
                    run("rmdir", path, check=False)
                time.sleep(0.05)
        run("ip", "netns", "delete", net, check=False)
        run("ip", "-n", self.net, "link", "delete", f"v-{name}"[:15], check=False)

    def kill(self, name: str) -> None:
        """The host is gone, and its disk with it; its address stays its own."""
        self._unplug(name)
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def down(self) -> None:
        """Nothing of the bed stays; packages that were fetched do."""
        path = self.folder / "hosts.json"
        for name in json.loads(path.read_text()) if path.exists() else ():
            self.kill(name)
        if pid := self._pid("egress", "hosts.py"):
            os.kill(pid, 15)
        run("ip", "netns", "delete", self.net, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def nobody(asked: socket.socket) -> None:
    """Answer every question of DNS: there is no such name."""
    while True:
        message, who = asked.recvfrom(4096)
        close = message.find(b"\0", 12) + 5
        if len(message) >= close > 12:
            asked.sendto(message[:2] + b"\x81\x83\0\1" + bytes(6) + message[12:close], who)


def _hardware(name: str) -> str:
    """A host's Ethernet address: the same after its disk is gone, so that nobody holds on to an older one."""
    return ":".join(["02", *(f"{byte:02x}" for byte in hashlib.sha256(name.encode()).digest()[:5])])


def main(words: list[str]) -> None:
    """One of the commands above."""
    if len(words) < 2 or words[0] not in ("up", "run", "names", "exec", "kill", "down", "egress"):
        sys.exit(__doc__)
    if os.geteuid() != 0:
        sys.exit("error: only root makes hosts")
    if missing := sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)}):
        sys.exit(f"error: missing packages: {' '.join(missing)}")
    verb, bed, rest = words[0], Bed(words[1]), words[2:]
    if verb == "up":
        bed.up(dict((each + "=").split("=")[:2] for each in rest))
    elif verb == "egress":
        bed.egress(int(rest[0]), Path(rest[1]))
    elif verb == "down":
        bed.down()
    elif verb == "names":
        lines = [
            f"{address} {name}\n" for name, _, address in (each.partition("=") for each in rest)
        ]
        (bed.folder / "names").write_text(Path("/etc/hosts").read_text() + "".join(lines))
    elif verb == "kill":
        bed.kill(rest[0])
    elif verb == "run":
        inside = ["nsenter", f"--net=/run/netns/{bed.net}", "--", *bed.named(), *rest]
        os.execvp(inside[0], inside)  # noqa: S606
    else:
        inside = bed.enter(rest[0], *(rest[1:] or ["bash", "-l"])) or sys.exit(f"error: {rest[0]} is off")  # fmt: skip
        os.execvp(inside[0], inside)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
