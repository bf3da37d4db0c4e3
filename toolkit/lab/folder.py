"""A lab's folder -> its settings, passwords, ports and paths; all that is known of a lab without asking it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from toolkit.errors import ToolkitError

HOST = "127.0.0.1"
DEFAULT = Path("/var/lib/repatria/lab")
LONGEST = 80
"""Characters of a folder's path: the sockets in it must stay below Linux's 108 bytes."""
SERVICES = ("swift", "octavia", "designate", "barbican", "heat", "manila")
"""What a lab may do without; Keystone, Placement, Glance, Nova, Neutron and Cinder are always there."""
PORTS = {
    "keystone": 5000, "placement": 8778, "glance": 9292, "nova": 8774, "neutron": 9696, "cinder": 8776, "swift": 8080,
    "octavia": 9876, "designate": 9001, "barbican": 9311, "heat": 8004, "manila": 8786, "dns": 1053,
}  # fmt: skip
"""OpenStack's standard ports; a lab adds its own number to each. Only these are seen on the machine's 127.0.0.1."""


class LabError(ToolkitError):
    """The lab cannot be brought up, is not there, or one of its daemons does not answer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a lab was made with. `ports` is added to every standard port; `external` is the floating IPs' network."""

    ports: int = 10000
    services: tuple[str, ...] = SERVICES
    external: str = "198.51.100.0/24"
    like: str = "openstack"
    cloud_file: str = ""
    region: str = ""
    project: str = "demo"
    projects: tuple[str, ...] = ()
    boxes: bool = False


@dataclass(frozen=True)
class Lab:
    """One lab: everything it is lies below `folder`."""

    folder: Path
    settings: Settings = field(default_factory=Settings)

    @property
    def auth_url(self) -> str:
        return f"http://{HOST}:{self.port('keystone')}/v3"

    @property
    def clouds(self) -> Path:
        """The clouds.yaml with an entry for each project, `lab` for the first, and `lab-admin`."""
        return self.folder / "clouds.yaml"

    @property
    def socket(self) -> Path:
        return self.folder / "run/supervisor.sock"

    @property
    def gateway(self) -> str:
        """The first address of the external network: the lab's own leg in it."""
        import ipaddress

        return str(next(ipaddress.ip_network(self.settings.external).hosts()))

    @property
    def cgroup(self) -> str:
        """The name of the control group that boxes live in: one for each lab."""
        return f"repatria-lab-{self.settings.ports}"

    def port(self, service: str) -> int:
        return PORTS[service] + self.settings.ports

    def url(self, service: str, path: str = "/") -> str:
        return f"http://{HOST}:{self.port(service)}{path}"

    def has(self, service: str) -> bool:
        return service not in SERVICES or service in self.settings.services

    def exposed(self) -> dict[str, int]:
        """Service -> port, of what listens on the machine's 127.0.0.1."""
        return {
            name: self.port(name)
            for name in PORTS
            if self.has("designate" if name == "dns" else name)
        }

    def log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The lab's passwords and keys: made once, kept in a file that only its owner reads."""
        path = self.folder / "secrets.json"
        held: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        kept = dict(held)
        for name in (
            "admin",
            "service",
            "rabbit",
            "heat",
            "metadata",
            "authority",
            "heartbeat",
            "swift",
        ):
            held.setdefault(name, secrets.token_urlsafe(18))
        for name in ("wrap", "rndc"):
            held.setdefault(name, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
        if held != kept:
            write(path, json.dumps(held, indent=1))
        return held

    def password(self, project: str) -> str:
        """The password of a project's user; made when it is first asked for."""
        name = f"project {project}"
        if name not in self.secrets:
            self.secrets[name] = secrets.token_urlsafe(18)
            write(self.folder / "secrets.json", json.dumps(self.secrets, indent=1))
        return self.secrets[name]

    def projects(self) -> tuple[str, ...]:
        """The first project, then those that were added."""
        return (self.settings.project, *(each for each in self.settings.projects if each != self.settings.project))  # fmt: skip

    def did(self, what: str) -> bool:
        """Whether a part of the making is done for good (a schema, the catalogue)."""
        return (self.folder / "done" / what).exists()

    def done(self, what: str) -> None:
        (self.folder / "done" / what).touch()

    def begun(self) -> bool:
        """Whether anything was made with these settings that another one would contradict."""
        return any((self.folder / "done").glob("*"))

    def save(self) -> None:
        write(self.folder / "lab.json", json.dumps(asdict(self.settings), indent=1))

    def make(self) -> None:
        """The folders, of which only clouds.yaml's is open to others."""
        if len(str(self.folder)) > LONGEST:
            raise LabError(
                f"the path of the lab's folder is longer than {LONGEST} characters: {self.folder}",
                "Sockets live in it, and Linux bounds their names; choose a shorter folder.",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "lab.json").exists() and any(self.folder.iterdir()):
            raise LabError(
                f"{self.folder} holds something else than a lab of this program",
                "Name an empty folder with --lab. Nothing was changed.",
            )
        self.save()
        for name in (
            "bin", "bind", "boxes", "cinder", "done", "etc", "glance/images", "glance/staging", "home", "keystone/credential",
            "keystone/fernet", "lock", "log", "manila", "mysql", "neutron", "nova/instances", "rabbit", "run", "swift/d1",
        ):  # fmt: skip
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            # dnsmasq reads its hosts as nobody; all else holds passwords, keys or data
            top = self.folder / name.split("/", maxsplit=1)[0]
            top.chmod(0o755 if top.name == "neutron" else 0o700)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lab's lock: only one command may change it at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LabError(
                    f"another command is changing the lab in {self.folder}",
                    "Wait for it to end, then run this again.",
                ) from error
            yield

    def purge(self) -> None:
        """Remove the folder; refuses one that holds no lab."""
        if not (self.folder / "lab.json").exists():
            raise LabError(f"{self.folder} holds no lab", "Nothing was removed.")
        shutil.rmtree(self.folder)


def find(folder: Path) -> Lab:
    """The lab of a folder. Raises LabError where there is none."""
    folder = folder.absolute()
    try:
        held = json.loads((folder / "lab.json").read_text())
    except FileNotFoundError as error:
        raise LabError(
            f"there is no lab in {folder}",
            "`repatria lab up` makes one; --lab names another folder.",
        ) from error
    lists = {name: tuple(held[name]) for name in ("services", "projects")}
    return Lab(folder, Settings(**{**held, **lists}))


def find_or_new(folder: Path, **wanted: object) -> Lab:
    """The lab of a folder with these settings changed (None: as it was), or a new one."""
    folder = folder.absolute()
    lab = find(folder) if (folder / "lab.json").exists() else Lab(folder)
    given = {name: value for name, value in wanted.items() if value is not None}
    return Lab(folder, replace(lab.settings, **given))  # type: ignore[arg-type]


def write(path: Path, text: str, mode: int = 0o600) -> bool:
    """Replace a file at once, readable as `mode` says; False where it already was so."""
    if path.exists() and path.read_text() == text:
        path.chmod(mode)
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    part.replace(path)
    return True
