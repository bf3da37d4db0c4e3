"""The suite on servers of the lab that are machines: built by the engine, installed, saved, lost with its disks, built anew, restored.

What stands in: the second provider is another project of the lab, whose object store keeps the backups by its S3 API. What cannot be
had here (Nextcloud's and Element's archives, Jitsi's packages) is left out by name, and the smoke tests say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import alike, connect, empty, root, until
from tests.support.smoke import Authority
from tests.support.suite import WITHOUT, as_much_as_can_be, came_back, demo, ended
from toolkit.lab import profile, projects
from toolkit.lab.folder import Lab

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.lab, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(5400),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"), pytest.mark.filterwarnings("ignore::ResourceWarning"),
]  # fmt: skip
OWN, SECOND = "bakery", "second"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    root()
    with alike("ovhcloud", OWN, SECOND) as held:
        try:
            yield held
        finally:
            for name in (OWN, SECOND):
                emptied(name)


def emptied(name: str) -> None:
    """Take away what a project holds, whoever made it."""
    with connect(name) as user:
        empty(user, user.current_project_id)


@dataclass
class Client:
    """Runs commands in the lab's network, where floating IPs answer."""

    lab: Lab
    folder: Path
    name: str

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        inside = [demo.REPATRIA, "lab", "run", "--lab", str(self.lab.folder), "--", *words]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("OS_")
        }
        return subprocess.run(
            inside, input=given, capture_output=True, text=True, check=False, cwd=ROOT,
            env=environment | {"OS_CLIENT_CONFIG_FILE": str(self.lab.clouds), "OS_CLOUD": OWN},
        )  # fmt: skip

    def __call__(self, *words: str, given: str = "") -> dict[str, Any]:
        done = self.run(
            demo.REPATRIA, "suite", *words, "-C", str(self.folder), "--json", given=given
        )
        assert done.returncode in (0, 3), f"{words}: {done.returncode}\n{done.stderr[-4000:]}"
        held: dict[str, Any] = json.loads(done.stdout)
        return held

    def smoke(self) -> dict[str, str]:
        """Check -> how it ended; whoever fails says why."""
        done = self.run(demo.REPATRIA, "suite", "smoke", "-C", str(self.folder), "--json")
        return ended(done)

    def inside(self, host: str) -> list[str]:
        """The words that run a command on a host, as root."""
        return [demo.REPATRIA, "lab", "exec", "--lab", str(self.lab.folder), f"{self.name}-{host}"]  # fmt: skip


def planned(lab: Lab, folder: Path, answers: str, os_cloud: str) -> Client:
    """A workspace for a client with these answers, at this project of the lab and with the other one as its second provider."""
    key = folder / "operator"
    folder.mkdir()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", key], check=True
    )
    held = tomllib.loads(answers)
    region = str(connect(os_cloud).config.region_name)
    held["target"] |= {
        "cloud": "ovhcloud", "region": region, "os_cloud": os_cloud, "operators": [f"{lab.gateway}/32"], "key": key.with_suffix(".pub").read_text().strip(),
    }  # fmt: skip
    held["backup"] = {"cloud": "openstack", "region": region, "os_cloud": SECOND}
    (folder / "answers.toml").write_text(toml(held))
    client = Client(lab, folder, held["client"])
    done = client.run(
        demo.REPATRIA,
        "suite",
        "init",
        held["client"],
        str(folder),
        "--answers",
        str(folder / "answers.toml"),
    )
    assert done.returncode == 0, done.stderr
    client("plan")
    return client


def toml(held: dict[str, Any]) -> str:
    """Plain values, then tables, then lists of tables."""

    def rows(table: dict[str, Any]) -> list[str]:
        return [f"{name} = {json.dumps(value)}" for name, value in table.items()]

    listed = {name: value for name, value in held.items() if isinstance(value, list) and value and isinstance(value[0], dict)}  # fmt: skip
    tables = {name: value for name, value in held.items() if isinstance(value, dict)}
    lines = rows({name: value for name, value in held.items() if name not in listed | tables})
    for name, value in tables.items():
        lines += [f"[{name}]", *rows(value)]
    for name, value in listed.items():
        for each in value:
            lines += [f"[[{name}]]", *rows(each)]
    return "\n".join(lines) + "\n"


def test_growing_from_300_to_600_people_replaces_nothing(lab: Lab, tmp_path: Path) -> None:
    """Flavors and volumes become larger; hosts, volumes and addresses are those that were there."""
    answers = (ROOT / "tests/estates/town-300/suite.toml").read_text()
    projects.quotas(lab, OWN, {"cores": -1, "instances": -1, "ram_gb": -1, "volumes": -1, "volume_gb": -1})  # fmt: skip
    town = planned(lab, tmp_path / "town", answers, OWN)
    cloud = connect(OWN)

    def there() -> dict[str, dict[str, Any]]:
        servers = {each.name: each for each in cloud.compute.servers()}
        return {
            "hosts": {name: each.id for name, each in servers.items()},
            "flavors": {name: each.flavor.original_name for name, each in servers.items()},
            "volumes": {each.name: each.id for each in cloud.block_storage.volumes()},
            "sizes": {each.name: each.size for each in cloud.block_storage.volumes()},
            "addresses": {each.floating_ip_address: each.port_id for each in cloud.network.ips()},
        }

    try:
        made = town("apply", "--stack-only", "--yes")["stack"]
        before = there()
        assert before["hosts"]
        assert made["counts"] == {"create": made["counts"]["create"]}
        text = (town.folder / "suite.toml").read_text()
        assert "users = 300" in text
        (town.folder / "suite.toml").write_text(text.replace("users = 300", "users = 600"))
        town("plan")
        grown = town("apply", "--stack-only", "--yes")["stack"]
        after = there()
        assert set(grown["counts"]) == {"update"}
        for what in ("hosts", "volumes", "addresses"):
            assert after[what] == before[what], what
        document = json.loads((town.folder / "suite.json").read_text())
        assert after["flavors"] == {f"{town.name}-{each['name']}": each["flavor"]["name"] for each in document["hosts"]}  # fmt: skip
        assert after["flavors"] != before["flavors"]
        assert after["sizes"] == {f"{town.name}-{each['name']}": each["gb"] for each in document["volumes"]}  # fmt: skip
        assert all(after["sizes"][name] >= gb for name, gb in before["sizes"].items())
        assert after["sizes"] != before["sizes"]
        assert town("apply", "--stack-only", "--yes")["stack"]["counts"] == {}
    finally:
        emptied(OWN)
        emptied(SECOND)
        cloud.close()


def test_a_host_that_is_lost_with_its_disks_comes_back_with_what_was_in_it(
    lab: Lab, tmp_path: Path
) -> None:
    if not lab.settings.boxes:
        pytest.skip("the lab has no boxes: `repatria lab up --boxes`")
    bakery = planned(lab, tmp_path / "bakery", demo.ANSWERS + demo.packages(), OWN)
    cloud = connect(OWN)
    served = front(bakery, tmp_path)
    try:
        store(bakery)
        demo.fetch(*demo.obtainable())
        done = bakery("apply", "--stack-only", "--yes")
        assert set(done["stack"]["counts"]) == {"create"}
        document = json.loads((bakery.folder / "suite.json").read_text())
        gate, host = done["stack"]["gate"], document["hosts"][0]["name"]
        trusted(bakery, host, tmp_path)
        bakery("apply", "--yes", *WITHOUT)
        names = {
            service: f"{label}.{demo.DOMAIN}"
            for service, label in document["answers"]["names"].items()
        }
        demo.settings(bakery.folder, names, bakery.inside(host), gate, connect=True)
        first = bakery.smoke()
        as_much_as_can_be(first)
        mounted = subprocess.run([*bakery.inside(host), "findmnt", "--json", "--real"], capture_output=True, text=True, check=True).stdout  # fmt: skip
        assert all(f'"{volume["mount"]}"' in mounted for volume in document["volumes"]), mounted

        again = bakery("apply", "--yes", *WITHOUT)
        assert (again["stack"]["counts"], again["play"]["changed"]) == ({}, 0)
        assert bakery("status")["problems"] == []

        assert bakery("drill", "start")["complete"]
        lose(cloud)
        back = bakery("apply", "--yes", "--refresh", "--stack-only")
        assert not {"replace", "delete"} & set(back["stack"]["counts"])
        trusted(bakery, host, tmp_path)
        bakery("apply", "--yes", *WITHOUT)
        assert bakery("restore", given=f"{OWN}\n")["ok"]
        drill = bakery("drill", "finish")
        came_back(drill)
        assert bakery.smoke() == first
    finally:
        served.terminate()
        served.wait()
        emptied(OWN)
        emptied(SECOND)
        cloud.close()


FRONT = 8443
CA = "/etc/ssl/second-provider.pem"


def front(client: Client, folder: Path) -> subprocess.Popen[str]:
    """TLS before the lab's object store, as providers have it: over plain HTTP restic signs in pieces, which Swift's S3 API (Zed) refuses."""
    chain, key = Authority(folder).certificate("store", client.lab.gateway)
    words = [ROOT / "tests/support/tls.py", client.lab.gateway, FRONT, "127.0.0.1", client.lab.port("swift"), chain, key]  # fmt: skip
    line = [demo.REPATRIA, "lab", "run", "--lab", str(client.lab.folder), "--", sys.executable, *map(str, words)]  # fmt: skip
    served = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    assert served.stdout.readline() == "ready\n"
    return served


def trusted(client: Client, host: str, folder: Path) -> None:
    """The host knows the second provider's authority, which is nobody's that Debian knows; one that is young is waited for."""
    enter = [*client.inside(host), "sh", "-c", f"cat > {CA}"]
    given = (folder / "root.crt").read_text()
    until(lambda: subprocess.run(enter, input=given, text=True, capture_output=True, check=False).returncode == 0, 300, "the host is there")  # fmt: skip


def store(client: Client) -> None:
    """What the inventory cannot know: the operator's key, people of the sign-on, and the S3 keys of the second provider's object store."""
    document = json.loads((client.folder / "suite.json").read_text())
    with connect(SECOND) as second:
        made = second.identity.post(f"/users/{second.current_user_id}/credentials/OS-EC2", json={"tenant_id": second.current_project_id})  # fmt: skip
    assert made.status_code == 201, made.text
    keys = made.json()["credential"]
    own = {
        "ansible_ssh_private_key_file": str(client.folder / "operator"),
        "suite_lvm": Path("/sys/class/misc/device-mapper").exists(),
        "idp_users": demo.kept(client.folder)["people"],
        "suite_backup_repository": f"s3:https://{client.lab.gateway}:{FRONT}/{document['backup']['container']}",
        "suite_backup_environment": {
            "AWS_ACCESS_KEY_ID": keys["access"], "AWS_SECRET_ACCESS_KEY": keys["secret"], "RESTIC_CACERT": CA, "AWS_DEFAULT_REGION": profile.load("ovhcloud", "", "").signing_region,
        },
    }  # fmt: skip
    demo.write(client.folder / "inventory/own.yml", json.dumps({"all": {"vars": own}}))


def lose(cloud: Any) -> None:
    """Somebody deletes the server and every volume at the provider."""
    servers = list(cloud.compute.servers())
    for each in servers:
        cloud.compute.delete_server(each)
    for each in servers:
        cloud.compute.wait_for_delete(each, interval=1, wait=120)
    until(lambda: all(each.status == "available" for each in cloud.block_storage.volumes()), 60, "volumes are detached")  # fmt: skip
    for each in cloud.block_storage.volumes():
        cloud.block_storage.delete_volume(each)
    until(lambda: not list(cloud.block_storage.volumes()), 60, "volumes are gone")
