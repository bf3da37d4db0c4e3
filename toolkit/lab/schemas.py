"""An empty MariaDB -> every service's schema, three at a time; one that was cut off is made anew from nothing."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from toolkit.lab.configuration import database, file
from toolkit.lab.folder import Lab, LabError
from toolkit.lab.namespace import ask, inside, start, stop, tail

DATABASES = {"nova": ("nova", "nova_api", "nova_cell0")}
"""Of services that have another set than the one of their own name."""


def order(lab: Lab) -> list[str]:
    """The services with a database: Keystone first since all wait for it, then the slowest."""
    named = (
        "keystone",
        "neutron",
        "nova",
        "cinder",
        "glance",
        "placement",
        "heat",
        "manila",
        "octavia",
        "designate",
        "barbican",
    )
    return [name for name in named if lab.has(name)]


def _commands(lab: Lab, service: str) -> list[str]:
    config = f"--config-file {file(lab, service)}"
    cell0 = database(lab, "nova_cell0")
    return {
        "keystone": [
            f"keystone-manage {config} db_sync",
            f"keystone-manage {config} fernet_setup --keystone-user root --keystone-group root",
            f"keystone-manage {config} credential_setup --keystone-user root --keystone-group root",
            f"keystone-manage {config} bootstrap",
        ],
        "neutron": [f"neutron-db-manage {config} upgrade heads"],
        "nova": [
            f"nova-manage {config} api_db sync",
            f"nova-manage {config} cell_v2 map_cell0 --database_connection '{cell0}'",
            f"nova-manage {config} db sync",
            f"nova-manage {config} cell_v2 create_cell --name cell1",
        ],
        "cinder": [f"cinder-manage {config} db sync"],
        "glance": [f"glance-manage {config} db_sync"],
        "placement": [f"placement-manage {config} db sync"],
        "heat": [f"heat-manage {config} db_sync"],
        "manila": [f"manila-manage {config} db sync"],
        "octavia": [f"octavia-db-manage {config} upgrade head"],
        "designate": [f"designate-manage {config} database sync"],
        "barbican": [f"barbican-db-manage -d '{database(lab, 'barbican')}' upgrade"],
    }[service]


def make(lab: Lab, service: str) -> str:
    """Make the schema of a service unless it is done; a half-made one is dropped first. Returns the service.

    It is made by a child of the supervisor: where this command is killed it goes on, and the next one waits for it.
    Raises LabError with its last words.
    """
    mark = f"schema-{service}"
    if lab.did(mark):
        return service
    state = ask(lab, "list").get(mark)
    if state is None or state["status"] not in (None, 0):
        names = DATABASES.get(service, (service,))
        anew = "".join(f"DROP DATABASE IF EXISTS {n}; CREATE DATABASE {n} CHARACTER SET utf8;" for n in names)  # fmt: skip
        commands = [f"{shlex.join(map(str, client(lab)))} -e '{anew}'", *_commands(lab, service)]
        start(lab, mark, "sh", "-ec", "\n".join(commands), **(_bootstrap(lab) if service == "keystone" else {}))  # fmt: skip
    while (state := ask(lab, "list").get(mark)) and state["up"]:
        time.sleep(0.1)
    if state is None or state["status"]:
        raise LabError(
            f"the schema of {service} could not be made: {tail(lab, mark)}",
            f"All it wrote is in {lab.log(mark)}; the same command makes it anew.",
        )
    lab.done(mark)
    stop(lab, mark)
    return service


def _bootstrap(lab: Lab) -> dict[str, Any]:
    """What keystone-manage takes from its environment: no password in an argument list."""
    return {
        "OS_BOOTSTRAP_PASSWORD": lab.secrets["admin"],
        **{f"OS_BOOTSTRAP_{kind}_URL": lab.auth_url for kind in ("PUBLIC", "INTERNAL", "ADMIN")},
        "OS_BOOTSTRAP_REGION_ID": "lab",
    }


def initialise(lab: Lab) -> None:
    """Make MariaDB's own tables; an interrupted making starts anew."""
    data = lab.folder / "mysql"
    if lab.did("mysql"):
        return
    for path in data.iterdir():
        subprocess.run(["rm", "-rf", "--", path], check=True)
    with lab.log("mysql-install").open("wb") as log:
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db"], stdout=log, stderr=log, check=True,
        )  # fmt: skip
    lab.done("mysql")


def client(lab: Lab, program: str = "mariadb") -> list[str | Path]:
    return [program, "--no-defaults", "-uroot", "-S", lab.folder / "run/mysql.sock"]


def sql(lab: Lab, text: str) -> str:
    """Run SQL as MariaDB's root."""
    return inside(lab, *client(lab), "-N", text=text)
