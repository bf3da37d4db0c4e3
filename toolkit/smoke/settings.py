"""smoke.toml -> Settings: what to try, and as whom. It holds passwords, so nobody else may read it."""

from __future__ import annotations

import difflib
import json
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from toolkit.errors import ConfigError, FileError
from toolkit.workspace import read_optional, replacing, write

FILE = "smoke.toml"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Field:
    """A place of the file: its kind (`text`, `url`, `secret`, `number`, `words`, or the words it may be), and what it means."""

    kind: str
    says: str
    default: Any = ""


FIELDS: Mapping[str, Field] = {
    "tls.names": Field("words", "every name that the edge answers with a certificate", []),
    "tls.days_left": Field("number", "days that a certificate must still hold", 14),
    "ports.addresses": Field("words", "`edge=ADDRESS`, `turn=ADDRESS`, `bridge-1=ADDRESS`: public addresses of suite.json; no other host is tried", []),
    "nextcloud.url": Field("url", "address of the files"),
    "nextcloud.user": Field("text", "a person made for these checks"),
    "nextcloud.password": Field("secret", "their app password"),
    "nextcloud.occ": Field("words", "the command line of `occ` on the host, such as `ssh app-1 sudo suite-occ`, a word each", []),
    "nextcloud.serverinfo_token": Field("secret", "token of the app `serverinfo`, where `occ` is not given"),
    "matrix.url": Field("url", "address of the client API"),
    "matrix.server_name": Field("text", "what stands after the colon in @name:server"),
    "matrix.federation": Field("off|on|list", "as in suite.toml", "off"),
    "matrix.user": Field("text", "a person made for these checks, without @ and server"),
    "matrix.password": Field("secret", "their password, where the server takes passwords"),
    "matrix.token": Field("secret", "or an access token of theirs"),
    "matrix.other": Field("text", "a second person on the same server"),
    "matrix.other_password": Field("secret", "their password"),
    "matrix.other_token": Field("secret", "or their access token"),
    "matrix.second_url": Field("url", "address of another server, for what goes between servers"),
    "matrix.second_server_name": Field("text", "its name"),
    "matrix.second_user": Field("text", "a person there"),
    "matrix.second_password": Field("secret", "their password"),
    "matrix.second_token": Field("secret", "or their access token"),
    "jitsi.url": Field("url", "address of the conferences"),
    "jitsi.domain": Field("text", "domain in XMPP; the host of the url where it is empty"),
    "jitsi.token": Field("secret", "a token that opens every room (JWT)"),
    "jitsi.client": Field("text", "or: client of the conferences at the sign-on; a token is had there as the person of [idp]"),
    "jitsi.client_redirect": Field("url", "its redirect address; that of the conferences where it is empty"),
    "jitsi.app_id": Field("text", "or: issuer and audience of tokens that are made here"),
    "jitsi.app_secret": Field("secret", "and the secret they are signed with (HS256)"),
    "jitsi.jicofo": Field("url", "REST of jicofo (port 8888), as it is reached from here"),
    "jitsi.bridges": Field("words", "REST of each bridge (port 8080), as it is reached from here", []),
    "idp.issuer": Field("url", "issuer of the sign-on, with its realm"),
    "idp.client": Field("text", "public client of these checks, PKCE alone"),
    "idp.redirect": Field("url", "its redirect address; nothing needs to answer there"),
    "idp.user": Field("text", "a person made for these checks"),
    "idp.password": Field("secret", "their password"),
    "idp.admin": Field("text", "an administrator of the realm; for the check that a disabled person is out"),
    "idp.admin_password": Field("secret", "their password"),
    "idp.admin_realm": Field("text", "realm that they sign in to, that of the people where it is empty; Keycloak's own is `master`"),
    "idp.admin_api": Field("url", "admin API with its realm: https://.../admin/realms/NAME"),
    "idp.opens": Field("words", "pages that one login must open: `ADDRESS what the page shows then`", []),
}  # fmt: skip
"""Place -> what it is. Order is that of the file."""
TABLES = tuple(dict.fromkeys(place.partition(".")[0] for place in FIELDS))


@dataclass(frozen=True)
class Settings:
    """What `smoke.toml` says, with defaults filled in; an application without a table is not installed."""

    values: Mapping[str, Any]
    tables: frozenset[str]
    connect: Mapping[str, str] = field(default_factory=dict)
    ca_file: str = ""
    accept: tuple[Mapping[str, str], ...] = ()
    plan: Mapping[str, Any] | None = None
    """`suite.json`, where the workspace has one."""

    def get(self, place: str) -> Any:
        return self.values[place]

    def text(self, place: str) -> str:
        held: str = self.values[place]
        return held

    def has(self, application: str) -> bool:
        return application in self.tables

    def secrets(self) -> set[str]:
        """What must never be printed."""
        return {str(held) for place, held in self.values.items() if FIELDS[place].kind == "secret" and len(held) >= 4}  # fmt: skip

    def accepted(self, check: str) -> str:
        """The reason for which a check of this id may be `not run`, or nothing."""
        return next((row["reason"] for row in self.accept if fnmatchcase(check, row["check"])), "")


def load(path: Path, plan: Mapping[str, Any] | None = None) -> Settings:
    """Read the file. Raises ConfigError with every fault of it: unreadable, readable by others, unknown places."""
    hint = "docs/smoke.md has all of them; `repatria suite smoke --write-config` writes a file to fill in."  # fmt: skip
    try:
        mode = path.stat().st_mode
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}", "`repatria suite smoke --write-config` writes one to fill in.") from None  # fmt: skip
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "Check the path and its permissions.") from error  # fmt: skip
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}", "Text values need quotes.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} holds passwords, and others may read it", f"`chmod 600 {path}`")
    faults: list[str] = []
    if raw.get("schema", SCHEMA) != SCHEMA:
        faults.append(f"schema {raw['schema']!r}; this version reads {SCHEMA}")
    values = {place: each.default for place, each in FIELDS.items()}
    for table, held in raw.items():
        if table in TABLES and isinstance(held, dict):
            for name, value in held.items():
                _take(f"{table}.{name}", value, values, faults)
        elif table in TABLES or table not in ("schema", "ca_file", "connect", "accept"):
            faults.append(f"{table} is no table" if table in TABLES else _unknown(table, [*TABLES, "connect", "accept", "ca_file"]))  # fmt: skip
    connect = _connect(raw.get("connect", {}), faults)
    accept = _accept(raw.get("accept", []), faults)
    ca_file = raw.get("ca_file", "")
    if not isinstance(ca_file, str) or (ca_file and not (path.parent / ca_file).is_file()):
        faults.append(f"ca_file: there is no {ca_file!r}")
        ca_file = ""
    must = [f"{table}.{name}" for table, names in _MUST.items() if table in raw for name in names]
    faults += [f"{place} is empty" for place in must if not values[place]]
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}", hint)
    return Settings(
        values, frozenset(table for table in TABLES if table in raw), connect,
        str(path.parent / ca_file) if ca_file else "", accept, plan,
    )  # fmt: skip


_MUST = {
    "tls": ("names",), "nextcloud": ("url", "user", "password"), "matrix": ("url", "server_name"), "jitsi": ("url",),
    "idp": ("issuer",),
}  # fmt: skip
"""Table -> what it is nothing without."""


def _take(place: str, value: Any, values: dict[str, Any], faults: list[str]) -> None:
    known = FIELDS.get(place)
    if known is None:
        faults.append(_unknown(place, FIELDS))
        return
    values[place] = value
    match known.kind:
        case "number":
            fine = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case "words":
            fine = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
        case "url":
            fine = value == "" or _url(value)
            values[place] = value.rstrip("/") if isinstance(value, str) else value
        case "text" | "secret":
            fine = isinstance(value, str) and (not value or value.isprintable())
        case kinds:
            fine = value in kinds.split("|")
    if not fine:
        shown = "what is given" if known.kind == "secret" else json.dumps(value, default=str)[:60]
        faults.append(f"{place}: {shown} is no {known.kind}")
        values[place] = known.default


def _url(value: Any) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0  # fmt: skip
    except ValueError:
        return False


def _unknown(place: str, known: Any) -> str:
    close = difflib.get_close_matches(place, list(known), n=1)
    return f"{place[:60]} is unknown" + (f" (did you mean {close[0]}?)" if close else "")


def _connect(held: Any, faults: list[str]) -> dict[str, str]:
    if isinstance(held, dict) and all(isinstance(each, str) and each for each in held.values()):
        wrong = [to for to in held.values() if to.count(":") == 1 and not to.rpartition(":")[2].isdigit()]  # fmt: skip
        faults += [f"connect: {to!r} is no address or address:port" for to in wrong]
        return dict(held) if not wrong else {}
    faults.append("connect is no table of name -> address")
    return {}


def _accept(rows: Any, faults: list[str]) -> tuple[Mapping[str, str], ...]:
    fine = isinstance(rows, list) and all(
        isinstance(row, dict) and set(row) == {"check", "reason"}
        and all(isinstance(each, str) and each.strip() for each in row.values())
        for row in rows
    )  # fmt: skip
    if not fine:
        faults.append("[[accept]] is no list of tables with check and reason")
        return ()
    return tuple(rows)


def write_config(folder: Path, plan: Mapping[str, Any]) -> Path:
    """Write `smoke.toml` for this plan, passwords empty, readable by its owner alone, and keep it out of Git. Raises FileError where there is one."""
    path = folder / FILE
    if path.exists():
        raise FileError(f"{path} is there already", "Edit it, or move it away first.")
    with replacing(path, private=True) as file:
        file.write(text(plan).encode())
    ignored = folder / ".gitignore"
    held = read_optional(ignored).decode("utf-8", "replace")
    if FILE not in held.split():
        write(
            ignored,
            f"{held}{'' if held.endswith(chr(10)) or not held else chr(10)}{FILE}\n".encode(),
        )
    return path


def text(plan: Mapping[str, Any]) -> str:
    """`smoke.toml` for a plan: a table for each application that is on, addresses filled in."""
    answers = plan["answers"]
    domain, on = answers["domain"], answers["applications"]
    names = {service: f"{label}.{domain}" for service, label in answers["names"].items()}
    there = {f"{record['name']}.{domain}" for record in plan["dns"]["records"]}
    web = [name for service, name in names.items() if name in there and service != "turn"]
    public = [host["public"] for host in plan["hosts"] if host["public"]]
    given: dict[str, Any] = {
        "tls.names": web,
        "ports.addresses": [f"{name}=" for name in dict.fromkeys(public)],
        "nextcloud.url": f"https://{names['cloud']}",
        "nextcloud.user": "smoke",
        "matrix.url": f"https://{names['matrix']}",
        "matrix.server_name": domain,
        "matrix.federation": answers["federation"],
        "matrix.user": "smoke",
        "matrix.other": "smoke-2",
        "jitsi.url": f"https://{names['meet']}",
        "jitsi.client": "jitsi" if on["idp"] else "",
        "idp.issuer": f"https://{names['login']}/realms/{answers['client']}",
        "idp.user": "smoke",
        "idp.client": "smoke",
        "idp.redirect": f"https://{names['login']}/smoke",
        "idp.admin": "operator",
        "idp.admin_realm": "master",
        "idp.admin_api": f"https://{names['login']}/admin/realms/{answers['client']}",
    }
    lines = [
        f"# What `repatria suite smoke` tries, and as whom, for {answers['client']}. docs/smoke.md says what each means.",
        "# It holds passwords: keep it out of Git and readable by you alone.",
        f"schema = {SCHEMA}",
        'ca_file = ""                             # root of a private CA, PEM',
        "",
        "[connect]                                # name -> address, where the DNS does not lead there yet",
    ]
    for table in TABLES:
        if table in on and not on[table]:
            continue
        lines += ["", f"[{table}]"]
        for place, known in FIELDS.items():
            if place.partition(".")[0] == table:
                value = json.dumps(given.get(place, known.default), ensure_ascii=False)
                lines.append(f"{place.partition('.')[2]} = {value}".ljust(40) + f" # {known.says}")
    lines += ["", "# What may be `not run` all the same is your decision, with a reason:", "# [[accept]]", '# check = "matrix.federated-*"', '# reason = "no second server yet"', ""]  # fmt: skip
    return "\n".join(lines)
