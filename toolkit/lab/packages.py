"""The Debian packages that a lab needs -> which are missing, and their installation without starting a daemon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.lab.folder import LabError

ALWAYS = [
    "mariadb-server",
    "rabbitmq-server",
    "memcached",
    "uwsgi-core",
    "uwsgi-plugin-python3",
    "keystone",
    "placement-api",
    "glance-api",
    "nova-api",
    "nova-conductor",
    "nova-scheduler",
    "nova-compute",
    "neutron-server",
    "neutron-linuxbridge-agent",
    "neutron-l3-agent",
    "neutron-dhcp-agent",
    "neutron-metadata-agent",
    "cinder-api",
    "cinder-scheduler",
    "cinder-volume",
    "iproute2",
    "iptables",
    "qemu-utils",
    "openssl",
]
SERVICE = {
    "swift": ["swift-proxy", "swift-account", "swift-container", "swift-object"],
    "octavia": ["octavia-api", "octavia-worker"],
    "designate": [
        "designate-api",
        "designate-central",
        "designate-producer",
        "designate-worker",
        "designate-mdns",
        "bind9",
    ],
    "barbican": ["barbican-api"],
    "heat": ["heat-api", "heat-engine"],
    "manila": ["manila-api", "manila-scheduler", "manila-share"],
}
BOXES = ["systemd-container", "mmdebstrap"]
POLICY = Path("/usr/sbin/policy-rc.d")


def needed(services: Iterable[str], boxes: bool) -> list[str]:
    """All packages that a lab with these services names; their dependencies come with them."""
    named = {*ALWAYS, *(BOXES if boxes else ())}
    return sorted(named.union(*(SERVICE[service] for service in services)))


def missing(named: Iterable[str]) -> list[str]:
    """Those of the packages that are not installed."""
    wanted = sorted(named)
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *wanted], capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    have = {line.split()[0] for line in said.splitlines() if line.split()[1:] == ["ii"]}
    return [name for name in wanted if name not in have]


def version(package: str) -> str:
    """The installed version of a package, or nothing."""
    return subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def check_machine(release: Path = Path("/etc/os-release")) -> None:
    """Raises LabError where a lab cannot be brought up: not Debian 12, or not as root."""
    try:
        lines = release.read_text().splitlines()
    except OSError:
        lines = []
    said = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    if (said.get("ID"), said.get("VERSION_ID")) != ("debian", "12"):
        raise LabError(
            f"the lab is made of Debian 12's packages; this is {said.get('PRETTY_NAME', 'another system')}",
            "Use a virtual machine with Debian 12, 2 cores and 8 GB of memory. Nothing was changed here.",
        )
    if os.geteuid() != 0:
        raise LabError(
            "the lab needs root: it makes namespaces, bridges and firewall rules of its own",
            "Run the same command with sudo. Nothing was changed.",
        )


def install(names: list[str], log: Path, say: Callable[[str], None]) -> None:
    """Install packages by this machine's own apt. Raises LabError with apt's last words."""
    say(f"installing {len(names)} packages and what they depend on: {' '.join(names)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    options = [
        "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
        "-o", "Dpkg::Options::=--force-unsafe-io",
    ]  # fmt: skip
    with _daemons_stay_off(), log.open("ab") as out:
        for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *names]):
            done = subprocess.run(
                ["apt-get", *options, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, check=False,
            )  # fmt: skip
            if done.returncode and words[0] == "install":
                told = log.read_text(errors="replace").splitlines()[-6:]
                raise LabError(
                    "apt could not install the lab's packages: " + "; ".join(told),
                    f"All it wrote is in {log}; mend its sources, then run the same command again.",
                )


@contextmanager
def _daemons_stay_off() -> Iterator[None]:
    """No package starts its daemon on the machine itself; a policy that was there stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\n# made by repatria lab while it installs packages\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
