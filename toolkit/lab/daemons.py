"""A configured lab -> its daemons, each started once its database and what it calls are there."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolkit.lab import configuration, schemas
from toolkit.lab.configuration import SWIFT_PORTS, file
from toolkit.lab.folder import HOST, Lab, LabError
from toolkit.lab.namespace import ask, inside, start, tail

PATIENCE = 180.0
"""Seconds until a daemon that runs but does not answer is given up."""
ANSWERS = {
    "keystone": "/v3", "placement": "/", "glance": "/", "nova": "/", "neutron": "/", "cinder": "/", "swift": "/healthcheck",
    "octavia": "/", "designate": "/", "barbican": "/", "heat": "/", "manila": "/",
}  # fmt: skip
"""Service -> a path of its API that answers without a token."""
API = {"nova": "nova-api", "cinder": "cinder-api", "swift": "swift-proxy", "designate": "designate-api", "heat": "heat-api"}  # fmt: skip
"""The daemon behind an API, where it does not bear the service's name."""


def network(lab: Lab) -> None:
    """The lab's own links: the bridge of the external network with the gateway, and a leg for VXLAN."""
    from ipaddress import ip_network

    length = ip_network(lab.settings.external).prefixlen
    inside(lab, "sh", "-ec", f"""
        sysctl -qw net.ipv4.ip_forward=1
        for kind in ip ip6; do sysctl -qw net.bridge.bridge-nf-call-${{kind}}tables=1 || true; done
        ip link show br-ex >/dev/null 2>&1 || ip link add br-ex type bridge
        ip address replace {lab.gateway}/{length} dev br-ex
        ip link set br-ex up
        ip link show tun0 >/dev/null 2>&1 || ip link add tun0 type veth peer name tun1  # VXLAN wants multicast
        ip address replace 10.254.254.1/24 dev tun0
        ip link set tun0 up
        ip link set tun1 up
    """)  # fmt: skip


def infrastructure(lab: Lab) -> None:
    """MariaDB, RabbitMQ and memcached; returns when the database answers."""
    folder = lab.folder
    schemas.initialise(lab)
    start(
        lab, "mysql", "mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}/mysql", f"--socket={folder}/run/mysql.sock",
        f"--pid-file={folder}/run/mysql.pid", "--skip-networking", "--max-connections=600", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0", "--sync-binlog=0", "--skip-log-bin", "--performance-schema=0", "--innodb-buffer-pool-size=256M",
        "--skip-name-resolve",
    )  # fmt: skip
    start(
        lab, "rabbit", "/usr/lib/rabbitmq/bin/rabbitmq-server", HOME=folder / "rabbit", ERL_EPMD_ADDRESS=HOST,
        RABBITMQ_NODENAME="lab@localhost", RABBITMQ_NODE_IP_ADDRESS=HOST, RABBITMQ_NODE_PORT="5672", RABBITMQ_DIST_PORT="25672",
        RABBITMQ_MNESIA_BASE=folder / "rabbit", RABBITMQ_LOG_BASE=folder / "log", RABBITMQ_LOGS="-",
        RABBITMQ_CONFIG_FILE=folder / "etc/rabbitmq", RABBITMQ_ENABLED_PLUGINS_FILE="/dev/null",
        RABBITMQ_CONF_ENV_FILE="/dev/null", RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none",
        RABBITMQ_PID_FILE=folder / "run/rabbit.pid",
    )  # fmt: skip
    start(lab, "memcached", "memcached", "-u", "root", "-l", HOST, "-p", 11211, "-m", 64)
    until(lab, "mysql", lambda: bool(schemas.sql(lab, "select 1;")))


def _wsgi(lab: Lab, name: str, program: str, *more: str | Path, processes: int = 1, threads: int = 4, **env: Any) -> None:  # fmt: skip
    start(
        lab, name, "uwsgi_python3", "--http-socket", f"{HOST}:{lab.port(name)}", "--wsgi-file", f"/usr/bin/{program}", "--master",
        "--die-on-term", "--processes", processes, "--threads", threads, "--enable-threads", "--lazy-apps", "--buffer-size", 65535,
        "--socket-timeout", 120, "--add-header", "Connection: close", "--log-5xx", "--disable-logging", *more, **env,
    )  # fmt: skip


def _named(lab: Lab, service: str, *names: str) -> None:
    """Daemons whose program bears their name."""
    for name in names:
        start(lab, name, name, "--config-file", file(lab, service))


def keystone(lab: Lab) -> None:
    _wsgi(lab, "keystone", "keystone-wsgi-public", processes=2, OS_KEYSTONE_CONFIG_FILES=file(lab, "keystone"), OS_KEYSTONE_CONFIG_DIR=lab.folder / "etc/keystone")  # fmt: skip


def service(lab: Lab, name: str) -> None:
    """Start the daemons of a service that need nothing but its schema and Keystone."""
    plugins = lab.folder / "plugins"
    match name:
        case "placement":
            _wsgi(lab, "placement", "placement-api", OS_PLACEMENT_CONFIG_DIR=lab.folder / "etc/placement")  # fmt: skip
        case "neutron":
            start(lab, "neutron", "neutron-server", "--config-file", file(lab, "neutron"))
        case "nova":
            _named(lab, "nova", "nova-api", "nova-conductor", "nova-scheduler")
        case "glance":
            start(lab, "glance", "glance-api", "--config-file", file(lab, "glance"))
        case "cinder":
            _named(lab, "cinder", "cinder-api", "cinder-scheduler")
            start(
                lab,
                "cinder-volume",
                "cinder-volume",
                "--config-file",
                file(lab, "cinder"),
                PYTHONPATH=plugins,
            )
        case "barbican":
            # two at once that set metadata lock each other out in MariaDB (1213), and Barbican does not try again
            _wsgi(lab, "barbican", "barbican-wsgi-api", threads=1, HOME=lab.folder / "home")  # fmt: skip
        case "octavia":
            config = file(lab, "octavia")
            _wsgi(lab, "octavia", "octavia-wsgi", "--pyargv", f"--config-file {config}", "--pythonpath", plugins)  # fmt: skip
            start(lab, "octavia-worker", "octavia-worker", "--config-file", config, PYTHONPATH=plugins)  # fmt: skip
        case "designate":
            start(lab, "named", "named", "-f", "-c", lab.folder / "etc/bind/named.conf", "-u", "root")  # fmt: skip
            _named(lab, "designate", *(f"designate-{part}" for part in ("central", "api", "mdns", "producer", "worker")))  # fmt: skip
        case "heat":
            _named(lab, "heat", "heat-api", "heat-engine")
        case "manila":
            config = file(lab, "manila")
            _wsgi(lab, "manila", "manila-wsgi", "--pyargv", f"--config-file {config}")
            start(
                lab,
                "manila-scheduler",
                lab.folder / "bin/manila-scheduler",
                "--config-file",
                config,
            )
            start(lab, "manila-share", "manila-share", "--config-file", config, PYTHONPATH=plugins)


def agents(lab: Lab) -> None:
    """Neutron's agents: they wait a minute for an answer that comes too late, so only once its API answers."""
    etc = lab.folder / "etc/neutron"
    start(lab, "neutron-bridge", "neutron-linuxbridge-agent", "--config-file", etc / "bridge.conf")
    start(lab, "neutron-l3", "neutron-l3-agent", "--config-file", etc / "l3.conf")
    for name in ("dhcp", "metadata"):
        start(
            lab, f"neutron-{name}", f"neutron-{name}-agent", "--config-file", file(lab, "neutron")
        )


def compute(lab: Lab, host: str = "lab") -> None:
    """A nova-compute; one more for each availability zone after the first."""
    config = lab.folder / "etc/nova/compute.conf"
    name = "nova-compute" if host == "lab" else f"nova-compute-{host}"
    more = () if host == "lab" else ("--config-file", configuration.compute_of_zone(lab, host))
    start(lab, name, lab.folder / "bin/nova-compute", "--config-file", config, *more)


def swift(lab: Lab) -> None:
    """Swift's rings, made once, and its four daemons; it has no database."""
    etc = lab.folder / "etc/swift"
    if not lab.did("rings"):
        for kind, port in SWIFT_PORTS.items():
            build = f"swift-ring-builder {kind}.builder"
            inside(lab, "sh", "-ec", f"cd {etc}; rm -f {kind}.builder {kind}.ring.gz; {build} create 6 1 1; {build} add --region 1 --zone 1 --ip {HOST} --port {port} --device d1 --weight 1; {build} rebalance")  # fmt: skip
        lab.done("rings")
    for kind in (*SWIFT_PORTS, "proxy"):
        start(lab, f"swift-{kind}", f"swift-{kind}-server", etc / f"{kind}-server.conf")


def pool(lab: Lab) -> None:
    """Tell Designate of its name server, once."""
    if not lab.did("pool"):
        inside(lab, "designate-manage", "--config-file", file(lab, "designate"), "pool", "update", "--file", lab.folder / "etc/designate/pools.yaml")  # fmt: skip
        lab.done("pool")


def answers(lab: Lab, name: str) -> bool:
    """Whether a service's API answers at all (a refusal is an answer)."""
    try:
        with _direct.open(lab.url(name, ANSWERS[name]), timeout=10):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait(lab: Lab, *names: str) -> None:
    """Until these APIs answer. Raises LabError with the log of one whose daemon ended."""
    for name in names:
        until(lab, API.get(name, name), lambda name=name: answers(lab, name))  # type: ignore[misc]


def until(lab: Lab, daemon: str, holds: Callable[[], bool]) -> None:
    """Poll; raises LabError when the daemon has ended or patience has."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            if holds():
                return
        except LabError:
            pass
        state = ask(lab, "list").get(daemon)
        if state is not None and not state["up"]:
            raise LabError(
                f"{daemon} ended with status {state['status']}: {tail(lab, daemon)}",
                f"All it wrote is in {lab.log(daemon)}; `repatria lab up` continues from here.",
            )
        if time.monotonic() > limit:
            raise LabError(
                f"{daemon} does not answer after {PATIENCE:.0f} s: {tail(lab, daemon)}",
                "A machine under load may need longer: run the same command again, it continues.",
            )
        time.sleep(0.15)
