"""`suite.toml` -> Answers; every fault is named at once with its place, and what is hostile goes no further."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from toolkit.clouds import load as load_cloud
from toolkit.clouds import providers
from toolkit.errors import CatalogError, ConfigError
from toolkit.messages import LANGUAGES
from toolkit.suite.formulas import MOST_USERS

SCHEMA = 1
FILE = "suite.toml"
APPLICATIONS = ("nextcloud", "jitsi", "matrix", "idp", "monitoring")
HOSTNAMES = {
    "cloud": "nextcloud",
    "meet": "jitsi",
    "matrix": "matrix",
    "chat": "matrix",
    "login": "idp",
    "turn": "",
}
"""Name of a service -> the application that it belongs to ("": jitsi or matrix)."""
MOST_PEAK = 10_000
"""People in conferences: above it there are more bridges than the address plan has places for."""

Checked = tuple[Any, str]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a client, with defaults filled in. Sizes in GB, times in days."""

    client: str
    domain: str
    languages: tuple[str, ...]
    names: Mapping[str, str]
    users: int
    active_percent: int
    conference_peak: int
    biggest_room: int
    files_gb: float
    applications: Mapping[str, bool]
    federation: str
    federation_servers: tuple[str, ...]
    backup_days: int
    logs_days: int
    mail: Mapping[str, Any]
    cloud: str
    cloud_file: Path | None
    region: str
    os_cloud: str
    network: str
    operators: tuple[str, ...]
    key: str
    backup: Mapping[str, Any]
    dns: str
    directory: Mapping[str, str]
    tls: Mapping[str, str]
    time_servers: tuple[str, ...]
    packages: Mapping[str, str]
    allow: tuple[Mapping[str, str], ...]

    def name_of(self, service: str) -> str:
        """The full name of a service: `cloud.example.org`."""
        return f"{self.names[service]}.{self.domain}"

    def services(self) -> tuple[str, ...]:
        """The services whose application is installed."""
        on = self.applications
        return tuple(
            name
            for name, application in HOSTNAMES.items()
            if (on[application] if application else on["jitsi"] or on["matrix"])
        )

    def numbers(self) -> dict[str, float]:
        """What the formulas take."""
        return {
            "users": self.users,
            "active_percent": self.active_percent,
            "conference_peak": self.conference_peak if self.applications["jitsi"] else 0,
            "biggest_room": self.biggest_room,
            "files_gb": self.files_gb,
            "backup_days": self.backup_days,
            "open_federation": int(self.federation == "on"),
            "backup": int(bool(self.backup["enabled"])),
            **{name: int(self.applications[name]) for name in APPLICATIONS},
        }

    def json(self) -> dict[str, Any]:
        """As they stand in suite.json; the catalogue file by its name alone."""
        held = {name: getattr(self, name) for name in self.__slots__}
        return held | {"cloud_file": self.cloud_file.name if self.cloud_file else ""}


# --------------------------------------------------------------------------------------- single values

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CLIENT = re.compile(r"[a-z]([a-z0-9-]{0,29}[a-z0-9])?")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]{40,}={0,3}( [A-Za-z0-9._@-]{1,64})?"
)
_SECRET = re.compile(r"pass(word|phrase|wd)?|secret|token|credential|private_?key", re.IGNORECASE)


def _client(value: Any) -> Checked:
    if isinstance(value, str) and _CLIENT.fullmatch(value):
        return value, ""
    return "", "is no short name: a to z first, then a to z, 0 to 9 and -, at most 31 characters"


def _domain(value: Any) -> Checked:
    if not isinstance(value, str):
        return "", "is not a text"
    if value != value.strip() or value.endswith("."):
        return "", f"{value!r} has a dot or a blank too many at its end"
    labels = value.lower().split(".")
    if not value.isascii():
        try:
            written = value.lower().encode("idna").decode()
        except UnicodeError:
            written = ""
        return "", f"{value!r} is not ASCII" + (f"; write {written}" if written else "")
    if len(value) > 200 or len(labels) < 2 or not all(_LABEL.fullmatch(each) for each in labels):
        return "", f"{value!r} is no domain name"
    if labels[-1].isdigit():
        return "", f"{value!r} is an address, and certificates and sign-on need a name"
    return value.lower(), ""


def _host(value: Any) -> Checked:
    """A name, or an address."""
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_address(value)), ""
        except ValueError:
            pass
    return _domain(value)


def _label(value: Any) -> Checked:
    if isinstance(value, str) and _LABEL.fullmatch(value):
        return value, ""
    return "", f"{value!r} is no single label of a name (a to z, 0 to 9, -)"


def _number(least: float, most: float, whole: bool = True) -> Callable[[Any], Checked]:
    def check(value: Any) -> Checked:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return least, f"{value!r} is no {'whole ' if whole else ''}number"
        if not least <= value <= most:
            return least, f"{value} is not between {least:,} and {most:,}"
        return value, ""

    return check


def _flag(value: Any) -> Checked:
    return (value, "") if isinstance(value, bool) else (False, f"{value!r} is neither true nor false")  # fmt: skip


def _one_of(*known: str) -> Callable[[Any], Checked]:
    def check(value: Any) -> Checked:
        if value in known and isinstance(value, str):
            return value, ""
        close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
        return known[0], f"{value!r}; known: {', '.join(known)}" + (
            f" (did you mean {close[0]}?)" if close else ""
        )

    return check


def _word(value: Any) -> Checked:
    if value == "" or (isinstance(value, str) and _WORD.fullmatch(value)):
        return value, ""
    return "", f"{value!r} has other characters than letters, digits, dot, _ and -"


def _plain(value: Any) -> Checked:
    if value == "" or (isinstance(value, str) and _PLAIN.fullmatch(value)):
        return value, ""
    return "", f"{value!r} has other characters than letters, digits and . _ @ + -"


def _sentence(value: Any) -> Checked:
    if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 300:
        return value, ""
    return "", "is no sentence of one line (at most 300 characters)"


def _path(value: Any) -> Checked:
    if isinstance(value, str) and (not value or value.isprintable()):
        return value, ""
    return "", f"{value!r} is no path"


def _key(value: Any) -> Checked:
    if value == "" or (isinstance(value, str) and _KEY.fullmatch(value)):
        return value, ""
    return "", "is no public SSH key on one line (ssh-ed25519 AAAA... name)"


def _url(*schemes: str) -> Callable[[Any], Checked]:
    def check(value: Any) -> Checked:
        if value == "":
            return "", ""
        try:
            parts = urlsplit(value) if isinstance(value, str) else None
            fine = (
                parts is not None and parts.scheme in schemes and parts.hostname is not None
                and not _host(parts.hostname)[1] and parts.username is None and parts.password is None
                and (parts.port or 1) > 0 and not parts.query and not parts.fragment
                and re.fullmatch(r"[A-Za-z0-9/._~-]*", parts.path) is not None and value.isascii()
            )  # fmt: skip
        except ValueError:
            fine = False
        return (value, "") if fine else ("", f"{value!r} is no {' or '.join(schemes)} address without name and password in it")  # fmt: skip

    return check


def _network(value: Any) -> Checked:
    try:
        held = ipaddress.IPv4Network(value) if isinstance(value, str) else None
    except ValueError as error:
        return "10.20.0.0/24", str(error)
    if held is None or not held.is_private or held.prefixlen != 24:
        return (
            "10.20.0.0/24",
            f"{value!r} is no private IPv4 network of 24 bits, such as 10.20.0.0/24",
        )
    return str(held), ""


def _cidrs(value: Any) -> Checked:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return (), "is not a list of networks"
    found, wrong = [], []
    for each in value:
        try:
            held = ipaddress.IPv4Network(each)
        except ValueError as error:
            wrong.append(f"{each!r}: {error}")
            continue
        if held.prefixlen == 0:
            wrong.append(f"{each}: SSH open to the whole world; name the operators' networks")
        found.append(str(held))
    return tuple(sorted(set(found))), "; ".join(wrong)


def _list_of(check: Callable[[Any], Checked], least: int = 0) -> Callable[[Any], Checked]:
    def checked(value: Any) -> Checked:
        if not isinstance(value, list):
            return (), "is not a list"
        pairs = [check(each) for each in value]
        said = "; ".join(wrong for _, wrong in pairs if wrong)
        if len(value) < least and not said:
            said = "is empty"
        return tuple(dict.fromkeys(held for held, wrong in pairs if not wrong)), said

    return checked


# ------------------------------------------------------------------------------------------ the file

_MUST = object()
FIELDS: Mapping[str, tuple[Any, Callable[[Any], Checked]]] = {
    "client": (_MUST, _client),
    "domain": (_MUST, _domain),
    "languages": (["en"], _list_of(_one_of(*LANGUAGES), least=1)),
    **{f"names.{name}": (name, _label) for name in HOSTNAMES},
    "people.users": (_MUST, _number(1, MOST_USERS)),
    "people.active_percent": (30, _number(1, 100)),
    "people.conference_peak": (_MUST, _number(0, MOST_PEAK)),
    "people.biggest_room": (25, _number(2, MOST_PEAK)),
    "people.files_gb": (5, _number(0, 10_000, whole=False)),
    **{f"applications.{name}": (True, _flag) for name in APPLICATIONS},
    "federation.mode": ("off", _one_of("off", "on", "list")),
    "federation.servers": ([], _list_of(_domain)),
    "retention.backup_days": (30, _number(1, 3650)),
    "retention.logs_days": (30, _number(1, 3650)),
    "mail.host": (_MUST, _host),
    "mail.port": (587, _number(1, 65535)),
    "mail.user": ("", _plain),
    "mail.sender": (_MUST, _plain),
    "target.cloud": (_MUST, _one_of(*providers())),
    "target.cloud_file": ("", _path),
    "target.region": ("", _word),
    "target.os_cloud": ("", _word),
    "target.network": ("10.20.0.0/24", _network),
    "target.operators": (_MUST, _cidrs),
    "target.key": ("", _key),
    "backup.enabled": (True, _flag),
    "backup.cloud": ("", lambda value: ("", "") if value == "" else _one_of(*providers())(value)),
    "backup.region": ("", _word),
    "backup.os_cloud": ("", _word),
    "dns.held": ("elsewhere", _one_of("elsewhere", "target")),
    "tls.mode": ("ca", _one_of("ca", "acme")),
    "tls.directory": ("", _url("https")),
    "tls.email": ("", _plain),
    "time.servers": (
        ["ptbtime1.ptb.de", "ptbtime2.ptb.de", "ntp.metas.ch"],
        _list_of(_host, least=1),
    ),  # fmt: skip
    "packages.mirror": ("", _url("http", "https")),
    "packages.security": ("", _url("http", "https")),
    "directory.kind": ("none", _one_of("none", "ldap", "oidc")),
    "directory.url": ("", _url("ldaps", "ldap", "https")),
    "directory.base_dn": ("", lambda value: ("", "") if value == "" else _sentence(value)),
}
"""Place in the file -> its default (or that there is none), and the check. Order is that of the questions."""
_TABLES = frozenset(place.split(".")[0] for place in FIELDS if "." in place)


def load(path: Path) -> Answers:
    """Read `suite.toml`. Raises ConfigError with every fault of it, each with its place."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {path}", "`repatria suite init CLIENT DIR` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "Check the path and its permissions.") from error  # fmt: skip
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}", "Text values need quotes; compare with docs/suite.md.") from error  # fmt: skip
    return parse(raw, path.parent, path.name)


def parse(raw: Mapping[str, Any], folder: Path, where: str = FILE) -> Answers:
    """The content of `suite.toml` -> Answers. Raises ConfigError with all faults."""
    if raw.get("schema", SCHEMA) != SCHEMA:
        raise ConfigError(
            f"{where} has schema {raw.get('schema')!r}; this version reads {SCHEMA}",
            "Use the version of repatria that wrote it.",
        )
    faults = list(_unknown(raw))
    held: dict[str, Any] = {}
    for place, (default, check) in FIELDS.items():
        given = _at(raw, place)
        if given is None and default is _MUST:
            faults.append(f"{place} is missing")
            given = None
            held[place] = check("")[0]
            continue
        if given is None and place == "people.biggest_room":
            # never above the peak, which stands before it; 2 is the least room
            given = max(2, min(default, held["people.conference_peak"]))
        value, wrong = check(default if given is None else given)
        held[place] = value
        if wrong:
            faults.append(f"{place}: {wrong}")
    allow = _allowed(raw.get("allow", []), faults)
    cloud_file = (folder / held["target.cloud_file"]) if held["target.cloud_file"] else None
    _together(held, cloud_file, faults)
    if faults:
        raise ConfigError(
            f"{where}: " + "; ".join(dict.fromkeys(faults)),
            "Compare with docs/suite.md, then run the same command again.",
        )
    return Answers(
        client=held["client"], domain=held["domain"], languages=held["languages"],
        names={name: held[f"names.{name}"] for name in HOSTNAMES},
        users=held["people.users"], active_percent=held["people.active_percent"], conference_peak=held["people.conference_peak"],
        biggest_room=held["people.biggest_room"], files_gb=held["people.files_gb"],
        applications={name: held[f"applications.{name}"] for name in APPLICATIONS},
        federation=held["federation.mode"], federation_servers=held["federation.servers"],
        backup_days=held["retention.backup_days"], logs_days=held["retention.logs_days"],
        mail={name: held[f"mail.{name}"] for name in ("host", "port", "user", "sender")},
        cloud=held["target.cloud"], cloud_file=cloud_file, region=held["target.region"], os_cloud=held["target.os_cloud"],
        network=held["target.network"], operators=held["target.operators"], key=held["target.key"],
        backup={name: held[f"backup.{name}"] for name in ("enabled", "cloud", "region", "os_cloud")},
        dns=held["dns.held"],
        directory={name: held[f"directory.{name}"] for name in ("kind", "url", "base_dn")},
        tls={name: held[f"tls.{name}"] for name in ("mode", "directory", "email")},
        time_servers=held["time.servers"],
        packages={name: held[f"packages.{name}"] for name in ("mirror", "security")},
        allow=allow,
    )  # fmt: skip


def _at(raw: Mapping[str, Any], place: str) -> Any:
    table, _, name = place.rpartition(".")
    held = raw.get(table, {}) if table else raw
    return held.get(name) if isinstance(held, Mapping) else None


def _unknown(raw: Mapping[str, Any]) -> list[str]:
    said = []
    for name, held in raw.items():
        if name in _TABLES:
            if isinstance(held, Mapping):
                said += [_not_known(f"{name}.{each}", FIELDS) for each in held if f"{name}.{each}" not in FIELDS]  # fmt: skip
            else:
                said.append(f"[{name}] is not a table")
        elif name not in FIELDS and name not in ("schema", "allow"):
            said.append(_not_known(name, [*FIELDS, *_TABLES, "allow"]))
    return said


def _not_known(place: str, known: Any) -> str:
    shown = place if place.isprintable() and len(place) < 80 else ascii(place[:60])
    if _SECRET.search(place):
        return f"{shown}: no secret belongs into this file; it is asked for when it is needed"
    close = difflib.get_close_matches(place, list(known), n=1)
    return f"{shown} is unknown" + (f" (did you mean {close[0]}?)" if close else "")


def _allowed(rows: Any, faults: list[str]) -> tuple[Mapping[str, str], ...]:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        faults.append("[[allow]] is not a list of tables with host and reason")
        return ()
    found = []
    for number, row in enumerate(rows, start=1):
        where = f"allow #{number}"
        faults += [_not_known(f"{where} {each}", ()) for each in row if each not in ("host", "reason")]  # fmt: skip
        host, wrong = _host(row.get("host"))
        if wrong:
            faults.append(f"{where} host: {wrong}")
        reason, why = _sentence(row.get("reason"))
        if why:
            faults.append(f"{where} reason: {why}")
        found.append({"host": host, "reason": reason})
    return tuple(found)


def _together(held: Mapping[str, Any], cloud_file: Path | None, faults: list[str]) -> None:
    """What only shows when answers are held side by side."""
    labels = [held[f"names.{name}"] for name in HOSTNAMES]
    faults += [f"names: {each!r} stands there twice" for each in sorted({n for n in labels if labels.count(n) > 1})]  # fmt: skip
    on = {name: held[f"applications.{name}"] for name in APPLICATIONS}
    if not any(on[name] for name in ("nextcloud", "jitsi", "matrix")):
        faults.append("applications: none of nextcloud, jitsi and matrix is on")
    if held["tls.mode"] == "acme" and not (held["tls.directory"] and "@" in held["tls.email"]):
        faults.append('tls.mode is "acme": tls.directory (the address of the authority, https://...) and tls.email are needed')  # fmt: skip
    if held["tls.mode"] == "ca" and (held["tls.directory"] or held["tls.email"]):
        faults.append('tls.directory and tls.email go with tls.mode = "acme"')
    if bool(held["packages.mirror"]) != bool(held["packages.security"]):
        faults.append("packages: mirror and security go together: Debian's archive, and that of its security updates")  # fmt: skip
    kind, url = held["directory.kind"], held["directory.url"]
    if kind == "none" and (url or held["directory.base_dn"]):
        faults.append('directory.kind is "none", and an address or base_dn is given')
    if kind == "ldap" and (not url.startswith("ldap") or not held["directory.base_dn"]):
        faults.append("directory: ldap needs url (ldaps://...) and base_dn")
    if kind == "oidc" and not url.startswith("https"):
        faults.append("directory: oidc needs url (https://..., the issuer)")
    if not on["idp"] and kind != "oidc":
        faults.append("applications.idp is off: the applications need the sign-on of a directory of kind oidc then")  # fmt: skip
    if held["federation.mode"] == "list" and not held["federation.servers"]:
        faults.append('federation.servers is empty, and federation.mode is "list"')
    if held["federation.mode"] != "list" and held["federation.servers"]:
        faults.append('federation.servers goes with federation.mode = "list"')
    if held["federation.mode"] != "off" and not on["matrix"]:
        faults.append("federation is on, and applications.matrix is not")
    peak = held["people.conference_peak"]
    if on["jitsi"] and peak and held["people.biggest_room"] > max(2, peak):
        faults.append("people.biggest_room is above people.conference_peak")
    if on["jitsi"] and not peak:
        faults.append("people.conference_peak is 0, and applications.jitsi is on")
    if not held["target.operators"] and not any(f.startswith("target.operators") for f in faults):
        faults.append("target.operators is empty: nobody could reach the hosts by SSH")
    if held["mail.port"] == 25:
        faults.append("mail.port is 25: most clouds close it; ask for the relay's submission port (587 or 465)")  # fmt: skip
    sender = held["mail.sender"]
    if sender and ("@" not in sender or _domain(sender.rpartition("@")[2])[1]):
        faults.append(f"mail.sender: {sender!r} is no mail address")
    if cloud_file is not None and held["target.cloud"] != "openstack":
        faults.append('target.cloud_file goes with target.cloud = "openstack"')
        return
    _places(held, cloud_file, faults)


def _places(held: Mapping[str, Any], cloud_file: Path | None, faults: list[str]) -> None:
    try:
        cloud = load_cloud(held["target.cloud"], cloud_file)
        if held["target.region"]:
            cloud.region(held["target.region"])
        elif len(cloud.regions) > 1:
            names = ", ".join(each.name for each in cloud.regions if each.kind == "compute")
            faults.append(f"target.region is missing; {cloud.product} has {names}")
        if held["dns.held"] == "target" and not cloud.has("designate"):
            faults.append(f"dns.held: {cloud.product} has no DNS service that a stack could fill; elsewhere")  # fmt: skip
    except CatalogError as error:
        faults.append(f"target: {error.message}")
    if not held["backup.enabled"]:
        return
    if not held["backup.cloud"]:
        faults.append("backup.cloud is missing (or set backup.enabled = false)")
        return
    same_cloud = held["backup.cloud"] == held["target.cloud"]
    if held["backup.cloud"] != "openstack":  # of which every cloud names its regions itself
        try:
            if held["backup.region"]:
                load_cloud(held["backup.cloud"]).region(held["backup.region"])
        except CatalogError as error:
            faults.append(f"backup: {error.message}")
    if same_cloud and held["backup.region"] == held["target.region"] and (
        held["target.cloud"] != "openstack" or held["backup.os_cloud"] == held["target.os_cloud"]
    ):  # fmt: skip
        faults.append("backup is the place of the target: name a second provider or region")
