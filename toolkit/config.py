"""`repatria.toml` -> what to read, where it goes, who does it; every fault is named at once."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError
from toolkit.workspace import CONFIG

SCHEMA = 1
TARGETS = ("ovhcloud", "infomaniak", "cloudtemple", "openstack")
LANGUAGES = ("en", "fr")
ROLES = ("owner", "operator", "network", "database", "security", "approver", "communication")


@dataclass(frozen=True, slots=True)
class Place:
    """A project and a region of the target."""

    project: str
    region: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who answers for a role in the runbooks."""

    name: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """The answers of `repatria.toml`, with defaults filled in."""

    target: str
    region: str
    project: str
    cloud_file: Path | None = None
    language: str = "en"
    profiles: tuple[str, ...] = ()
    role_arns: tuple[str, ...] = ()
    org_role: str = ""
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    types: tuple[str, ...] = ()
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    state_backend: str = ""
    """Where Pulumi keeps state: `s3://...` or `file://...`; empty: in the workspace."""
    state_passphrase_file: Path | None = None

    def place(self, account: str, region: str) -> Place:
        """Where an (account, region) goes: its own line, else its account's, else the target."""
        for pair in ((account, region), (account, "*"), ("*", region)):
            if pair in self.places:
                return self.places[pair]
        return Place(self.project, self.region)


_KEYS = {
    "": {"schema", "source", "target", "people", "plan", "state"},
    "source": {"profiles", "role_arns", "org_role", "regions", "all_regions", "types"},
    "target": {"cloud", "cloud_file", "region", "project", "language", "map"},
    "plan": {"operator_cidrs", "office_cidrs"},
    "state": {"backend", "passphrase_file"},
}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d|\*|global")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")


def load(folder: Path) -> Config:
    """Read `repatria.toml` of a workspace.

    Raises ConfigError that lists every fault of the file, each with its place in it.
    """
    path = folder / CONFIG
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{folder} is no workspace: there is no {CONFIG} in it",
            "`repatria init DIR --target CLOUD` makes one.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", "Check the path and its permissions."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is no TOML: {error}",
            "Text values need quotes; compare with the file that `repatria init` writes.",
        ) from error
    return parse(raw, folder)


def parse(raw: Mapping[str, Any], folder: Path) -> Config:
    """The content of `repatria.toml` -> Config. Raises ConfigError with all faults."""
    faults: list[str] = []

    def table(name: str) -> dict[str, Any]:
        held = raw.get(name, {})
        if not isinstance(held, dict):
            faults.append(f"[{name}] is not a table")
            return {}
        if name in _KEYS:
            _unknown(held, _KEYS[name], f"{name}.", faults)
        return held

    def texts(held: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
        value = held.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            faults.append(f"{where}.{name} is not a list of texts")
            return ()
        return tuple(value)

    def one(held: Mapping[str, Any], name: str, where: str, default: str = "") -> str:
        value = held.get(name, default)
        if not isinstance(value, str):
            faults.append(f"{where}.{name} is not a text")
            return default
        return value

    _unknown(raw, _KEYS[""], "", faults)
    if raw.get("schema", SCHEMA) != SCHEMA:
        raise ConfigError(
            f"repatria.toml has schema {raw.get('schema')!r}; this version reads {SCHEMA}",
            "Use the version of repatria that made this workspace.",
        )
    source, target, people, plan = table("source"), table("target"), table("people"), table("plan")
    state = table("state")
    backend = one(state, "backend", "state")
    if backend and not re.match(r"(s3|file)://[^/?]*", backend):
        faults.append(f"state.backend is {backend!r}; it starts with s3:// or file://")
    if "@" in backend.partition("?")[0]:
        faults.append(
            "state.backend holds credentials; name a profile in it: s3://bucket?profile=..."
        )
    passphrase_file = one(state, "passphrase_file", "state")
    cloud = one(target, "cloud", "target")
    if cloud not in TARGETS:
        close = difflib.get_close_matches(cloud, TARGETS, n=1, cutoff=0.5)
        faults.append(
            f"target.cloud is {cloud!r}; known: {', '.join(TARGETS)}"
            + (f" (did you mean {close[0]}?)" if close else "")
        )
    language = one(target, "language", "target", "en")
    if language not in LANGUAGES:
        faults.append(f"target.language is {language!r}; known: {', '.join(LANGUAGES)}")
    regions = texts(source, "regions", "source")
    faults += [
        f"source.regions: {each!r} is no AWS region"
        for each in regions
        if not _REGION.fullmatch(each)
    ]
    roles = texts(source, "role_arns", "source")
    faults += [
        f"source.role_arns: {each!r} is no role ARN" for each in roles if not _ROLE.fullmatch(each)
    ]
    places: dict[tuple[str, str], Place] = {}
    rows = target.get("map", [])
    if not isinstance(rows, list):
        faults.append("[[target.map]] is not a list of tables")
        rows = []
    for number, row in enumerate(rows, start=1):
        where = f"target.map #{number}"
        if not isinstance(row, dict):
            faults.append(f"{where} is not a table")
            continue
        _unknown(row, {"account", "region", "to_project", "to_region"}, f"{where} ", faults)
        pair = (one(row, "account", where, "*"), one(row, "region", where, "*"))
        if pair in places:
            faults.append(f"{where}: {pair[0]}/{pair[1]} is mapped twice")
        places[pair] = Place(
            one(row, "to_project", where) or one(target, "project", "target"),
            one(row, "to_region", where) or one(target, "region", "target"),
        )
    known_people: dict[str, Person] = {}
    for role, who in people.items():
        if role not in ROLES:
            faults.append(f"people.{role}: known roles are {', '.join(ROLES)}")
        elif not isinstance(who, dict):
            faults.append(f"people.{role} is not a table with name and contact")
        else:
            known_people[role] = Person(
                one(who, "name", f"people.{role}"), one(who, "contact", f"people.{role}")
            )
    for name in ("operator_cidrs", "office_cidrs"):
        for cidr in texts(plan, name, "plan"):
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                faults.append(f"plan.{name}: {error}")
    if not isinstance(source.get("all_regions", False), bool):
        faults.append("source.all_regions is neither true nor false")
    cloud_file = one(target, "cloud_file", "target")
    config = Config(
        target=cloud,
        region=one(target, "region", "target"),
        project=one(target, "project", "target"),
        cloud_file=(folder / cloud_file) if cloud_file else None,
        language=language,
        profiles=texts(source, "profiles", "source"),
        role_arns=roles,
        org_role=one(source, "org_role", "source"),
        regions=regions,
        all_regions=bool(source.get("all_regions", False)),
        types=texts(source, "types", "source"),
        places=places,
        people=known_people,
        settings={
            **plan,
            "region": one(target, "region", "target"),
            "project": one(target, "project", "target"),
        },
        state_backend=backend,
        state_passphrase_file=(folder / passphrase_file) if passphrase_file else None,
    )
    if faults:
        raise ConfigError(
            "repatria.toml: " + "; ".join(faults),
            "Compare with docs/files.md, then run the same command again.",
        )
    return config


def _unknown(held: Mapping[str, Any], known: set[str], where: str, faults: list[str]) -> None:
    for name in held:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            faults.append(
                f"{where}{name} is unknown" + (f" (did you mean {close[0]}?)" if close else "")
            )
