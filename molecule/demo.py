#!/usr/bin/env python3
"""The suite of a small client on one throw-away host of this machine: answers, sizes, installation, smoke tests.

    demo.py up DIR       everything, as far as it can be had here; ends with the smoke table and how to open the pages
    demo.py real DIR     the same where every artefact can be had (ARTEFACTS names a mirror): nothing is left out, every check counts
    demo.py down         the host is gone; DIR stays

The commands are those of a real client (`repatria suite ...`), printed as they run. What cannot be had is left out by
name, and the smoke tests say `not run`. Needs root on Debian 12.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from toolkit.lab.boxes import image  # noqa: E402
from toolkit.suite import artefacts, deploy, vault  # noqa: E402

BED, HOST, ADDRESS = os.environ.get("REPATRIA_DEMO_BED", "demo"), "app-1", "10.77.0.20"
VAULT = "10.77.0.30"
"""Stands in for the second provider: a host with restic's own server."""
DOMAIN = "bakery.example.org"
ANSWERS = f"""client = "bakery"
domain = "{DOMAIN}"
languages = ["en", "fr"]

[people]
users = 20
conference_peak = 10
biggest_room = 10

[mail]
host = "relay.{DOMAIN}"
sender = "suite@{DOMAIN}"

[target]
cloud = "ovhcloud"
region = "GRA11"
network = "10.77.0.0/24"
operators = ["10.77.0.1/32"]

[backup]
cloud = "infomaniak"
region = "dc3-a"
os_cloud = "backup"
"""
HOSTS = [sys.executable, str(HERE / "hosts.py")]
REPATRIA = str(Path(sys.executable).with_name("repatria"))


def run(*words: str, inside: bool = False, accept: tuple[int, ...] = (0,)) -> int:
    """A command as an operator would type it; `inside` the host's network, where its names resolve."""
    print(
        f"\n$ {shlex.join(('repatria', *words[1:]) if words[0] == REPATRIA else words)}", flush=True
    )
    code = subprocess.run([*HOSTS, "run", BED, *words] if inside else words, check=False).returncode
    if code not in accept:
        sys.exit(f"error: it ended with {code}")
    return code


def up(folder: Path, *, whole: bool = False) -> int:
    """The whole way. Exit code 3 where a smoke test failed or was not run. `whole`: an error where an artefact lacks, before a host boots."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answers.toml").write_text(ANSWERS + packages())
    if not (folder / "suite.toml").exists():
        run(
            REPATRIA,
            "suite",
            "init",
            "bakery",
            str(folder),
            "--answers",
            str(folder / "answers.toml"),
        )
    run(REPATRIA, "suite", "plan", "-C", str(folder), accept=(0, 3))
    mirror = ["--mirror", os.environ["ARTEFACTS"]] if os.environ.get("ARTEFACTS") else []
    fetch(*(mirror if whole else obtainable()))
    document = json.loads((folder / "suite.json").read_text())
    groups = [role["role"] for each in document["hosts"] for role in each["roles"]]
    lacking = [
        part
        for part in deploy.lacking(deploy.plays(), groups, artefacts.folder())
        if whole or part not in deploy.PARTLY
    ]
    if whole and lacking:
        sys.exit(
            f"error: without {', '.join(lacking)} the suite is not whole: what is missing is above"
        )
    names = host(folder)
    without = [word for part in lacking for word in ("--without", part)]
    run(
        REPATRIA,
        "suite",
        "apply",
        "-C",
        str(folder),
        "--no-stack",
        *without,
        *os.environ.get("DEMO_APPLY", "").split(),
        accept=(0, 3),
    )
    settings(folder, names, [*HOSTS, "exec", BED, HOST], ADDRESS, whole=whole)
    with tunnel() if whole else contextlib.nullcontext():
        code = run(REPATRIA, "suite", "smoke", "-C", str(folder), inside=True, accept=(0, 3))
    print(
        f"\n{time.monotonic() - began:.0f} s. Left out, as their archives cannot be had here: {', '.join(lacking) or 'nothing'}."
    )
    print("The pages open in a browser that is started in the host's network:")
    print(
        f"  {shlex.join([*HOSTS, 'run', BED, 'chromium', '--no-sandbox', '--user-data-dir=/tmp/suite-demo', *(f'https://{each}/' for each in names.values())])}"
    )
    print(f"  {shlex.join([*HOSTS, 'exec', BED, HOST])}    a shell on the host")
    print(f"  {shlex.join([sys.executable, str(HERE / 'demo.py'), 'down'])}    the end of it")
    return code


def obtainable() -> list[str]:
    """Artefacts that package registries have, which more machines reach than their makers' own servers."""
    return [name for name, each in artefacts.load().items() if each.source in ("maven", "requirements")]  # fmt: skip


def fetch(*words: str) -> None:
    """Artefacts by name, all where none is given; what cannot be had is told and not waited for."""
    run(REPATRIA, "suite", "artefacts", "fetch", str(artefacts.folder()), *words, accept=(0, 3))


@contextlib.contextmanager
def tunnel() -> Iterator[None]:
    """Jicofo's and the bridge's health, which the host alone reaches, on the same ports of the loopback in the bed's network."""
    ways = [word for port in (8888, 8080) for word in ("-L", f"127.0.0.1:{port}:127.0.0.1:{port}")]
    plain = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes"]  # fmt: skip
    line = [*HOSTS, "run", BED, "ssh", "-N", "-i", str(key()), *plain, *ways, f"root@{ADDRESS}"]
    held = subprocess.Popen(line)
    try:
        yield
    finally:
        held.terminate()
        held.wait()


def key() -> Path:
    """The operator's key of the bed."""
    return Path(os.environ.get("REPATRIA_BEDS", "/var/lib/repatria/beds")) / BED / "id_ed25519"


def packages() -> str:
    """Where this machine has its packages from, as an answer of the client: the hosts reach nothing else."""
    text = (image.build(print) / "etc/apt/sources.list").read_text()
    held = {
        words[2]: words[1] for words in map(str.split, text.splitlines()) if words[:1] == ["deb"]
    }
    main, security = held[image.SUITE], held.get(f"{image.SUITE}-security")
    if security is None:  # then the image's own list stays
        return f'\n[[allow]]\nhost = {json.dumps(urlsplit(main).hostname)}\nreason = "this machine has its packages from there"\n'
    return f"\n[packages]\nmirror = {json.dumps(main)}\nsecurity = {json.dumps(security)}\n"


def host(folder: Path) -> dict[str, str]:
    """Boot the one host, and tell the inventory how it is reached. Returns the suite's names."""
    line = [*HOSTS, "up", BED, f"{HOST}={ADDRESS}", f"vault={VAULT}"]
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    sys.stderr.write(done.stderr)
    vault_password = kept(folder)["vault"]
    subprocess.run(
        [*HOSTS, "exec", BED, "vault", "sh", "-c", SERVE],
        input=vault_password,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    answers = json.loads((folder / "suite.json").read_text())["answers"]
    names = {service: f"{label}.{DOMAIN}" for service, label in answers["names"].items()}
    subprocess.run(
        [*HOSTS, "names", BED, *(f"{each}={ADDRESS}" for each in [DOMAIN, *names.values()])],
        check=True,
    )
    proxy = f"nsenter --net=/run/netns/bed-{BED} {sys.executable} {HERE.parent / 'toolkit/lab/pipe.py'} %h %p"
    own: dict[str, Any] = {
        "all": {
            "hosts": {
                HOST: {
                    "ansible_host": ADDRESS, "ansible_user": "root", "ansible_ssh_private_key_file": str(key()), "suite_gate": ADDRESS,
                    "ansible_ssh_common_args": f'-o ProxyCommand="{proxy}" -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR',
                    "idp_users": kept(folder)["people"],
                    "suite_backup_repository": f"rest:http://{VAULT}:8000/suite/",
                    "suite_backup_environment": {"RESTIC_REST_USERNAME": "suite", "RESTIC_REST_PASSWORD": vault_password},
                    "suite_volumes": [],  # directories of the one disk
                }
            }
        }
    }  # fmt: skip
    write(folder / "inventory/own.yml", json.dumps(own, indent=1))
    return names


SERVE = """
set -e
export DEBIAN_FRONTEND=noninteractive
command -v restic-rest-server >/dev/null || { apt-get -qq update; apt-get -qq -y --no-install-recommends install restic-rest-server apache2-utils; }
mkdir -p /srv/vault
htpasswd -iBc /srv/vault/.htpasswd suite 2>/dev/null
systemctl is-active -q vault || systemd-run -q --unit=vault restic-rest-server --path /srv/vault --listen :8000 --private-repos
"""

REGISTER = """
import hashlib, hmac, json, sys, urllib.request
asked = json.load(sys.stdin)
place = "http://127.0.0.1:8008/_synapse/admin/v1/register"
tokens = {}
for name in asked["names"]:
    nonce = json.load(urllib.request.urlopen(place))["nonce"]
    words = [nonce, name, asked["password"], "notadmin"]
    mac = hmac.new(asked["secret"].encode(), b"\\0".join(map(str.encode, words)), hashlib.sha1).hexdigest()
    body = json.dumps({"nonce": nonce, "username": name, "password": asked["password"], "admin": False, "mac": mac})
    reply = urllib.request.urlopen(urllib.request.Request(place, body.encode(), {"Content-Type": "application/json"}))
    tokens[name] = json.load(reply)["access_token"]
print(json.dumps(tokens))
"""
"""On the host: people of the chat for the smoke tests, by the admin API that only the host itself reaches."""

FILES = """
import base64, json, sys, urllib.parse, urllib.request
asked = json.load(sys.stdin)
who = base64.b64encode(f"admin:{asked['admin_password']}".encode()).decode()
headers = {"Host": asked["name"], "OCS-APIRequest": "true", "Authorization": f"Basic {who}", "X-Forwarded-Proto": "https"}
body = urllib.parse.urlencode({"userid": "smoke", "password": asked["password"]}).encode()
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8444/ocs/v2.php/cloud/users?format=json", body, headers))
"""
"""On the host: a person of the files, by Nextcloud's provisioning API."""


def settings(folder: Path, names: dict[str, str], host: list[str], address: str, *, connect: bool = False, whole: bool = False) -> None:  # fmt: skip
    """smoke.toml for this client: what was made for the checks, once. `host`: words that run a command there; `connect`: names lead nowhere yet."""
    path = folder / "smoke.toml"
    if path.exists():
        return
    held, ada = vault.read(folder), kept(folder)["people"][0]
    asked = {
        "names": ["smoke", "smoke-2"],
        "password": secrets.token_urlsafe(18),
        "secret": held["synapse_registration_secret"],
    }
    done = subprocess.run(
        [*host, "python3", "-c", REGISTER],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    tokens = json.loads(done.stdout)
    realm = f"https://{names['login']}/realms/bakery"
    tables = {
        "tls": {"names": [names["matrix"], names["login"], names["meet"]]},
        "ports": {"addresses": [f"edge={address}"]},
        "matrix": {
            "url": f"https://{names['matrix']}", "server_name": DOMAIN, "federation": "off", "user": "smoke", "token": tokens["smoke"],
            "other": "smoke-2", "other_token": tokens["smoke-2"],
        },
        "jitsi": {"url": f"https://{names['meet']}", "domain": f"guest.{names['meet']}"},
        "idp": {
            "issuer": realm, "client": "smoke", "redirect": f"https://{names['login']}/smoke", "user": ada["name"], "password": ada["password"],
            "admin": "operator", "admin_realm": "master", "admin_password": held["idp_admin_password"], "admin_api": realm.replace("/realms/", "/admin/realms/"),
        },
    }  # fmt: skip
    if whole:
        word = secrets.token_urlsafe(18)
        asked = {"name": names["cloud"], "password": word, "admin_password": held["nextcloud_admin_password"]}  # fmt: skip
        subprocess.run([*host, "python3", "-c", FILES], input=json.dumps(asked), text=True, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        cloud = f"https://{names['cloud']}"
        tables["nextcloud"] = {"url": cloud, "user": "smoke", "password": word, "occ": [*host, "nextcloud-occ"]}  # fmt: skip
        tables["jitsi"] = {
            "url": f"https://{names['meet']}", "client": "jitsi", "jicofo": "http://127.0.0.1:8888", "bridges": ["http://127.0.0.1:8080"],
        }  # fmt: skip
        tables["idp"]["opens"] = [f"{cloud}/apps/files/ All files"]
    if connect:
        tables["connect"] = dict.fromkeys([DOMAIN, *names.values()], address)
    lines = ['ca_file = "pki/root.crt"']
    for table, values in tables.items():
        lines += [
            "",
            f"[{table}]",
            *(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items()),
        ]
    write(path, "\n".join(lines) + "\n")


def kept(folder: Path) -> dict[str, Any]:
    """People of the demo, made once: their passwords are in a file that only root reads."""
    path = folder / "people.json"
    if not path.exists():
        people = [
            {"name": name, "email": f"{name}@{DOMAIN}", "first": name.title(), "last": "Demo", "password": secrets.token_urlsafe(15), "temporary": False}
            for name in ("ada", "ben")
        ]  # fmt: skip
        write(path, json.dumps({"people": people, "vault": secrets.token_urlsafe(18)}))
    held: dict[str, Any] = json.loads(path.read_text())
    return held


def write(path: Path, text: str) -> None:
    """A file that only its owner reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def main(words: list[str]) -> None:
    """One of the commands above."""
    if words[:1] == ["down"]:
        sys.exit(subprocess.run([*HOSTS, "down", BED], check=False).returncode)
    if words[:1] not in (["up"], ["real"]) or len(words) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        sys.exit("error: only root makes hosts")
    sys.exit(up(Path(words[1]).absolute(), whole=words[0] == "real"))


if __name__ == "__main__":
    main(sys.argv[1:])
