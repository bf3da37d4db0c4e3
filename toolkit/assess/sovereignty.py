"""Rendered files, and the log of what services contacted -> hosts outside the client's own, whose they are, who allowed them.

Every host is a finding until somebody decided: `[[allow]]` in suite.toml, or an answer that names it (the mail relay).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import yaml

from toolkit.assess.contacts import MOST_BYTES, binary, contacts, special

SCHEMA = 1
UNKNOWN = "unknown: decide"


@dataclass(frozen=True, slots=True)
class Known:
    """Whose a host is. `country` is where its operator is at home; "" where nobody knows or it is anywhere."""

    operator: str
    country: str
    kind: str
    source: str
    seen: str
    status: str


@dataclass(frozen=True, slots=True)
class Own:
    """What is the client's: the domain, its hosts' addresses, what the answers name, what was allowed (host -> reason)."""

    domain: str = ""
    answered: Mapping[str, str] = field(default_factory=dict)
    allow: Mapping[str, str] = field(default_factory=dict)
    addresses: Collection[str] = ()

    def has(self, host: str) -> bool:
        """A name of the client's own domain, which may be one of those that examples use; an address of its hosts."""
        if host in self.addresses:
            return True
        return bool(self.domain) and (host == self.domain or host.endswith("." + self.domain))


@cache
def _table() -> dict[str, Any]:
    text = (resources.files("toolkit") / "assess/hosts.yaml").read_text("utf-8")
    held: dict[str, Any] = yaml.safe_load(text)
    return held


@cache
def _rows() -> tuple[dict[str, Known], tuple[tuple[Any, Known], ...]]:
    held = _table()

    def known(row: list[str]) -> Known:
        operator, country, kind, source, status = row
        about = held["sources"][source]
        return Known(operator, country, kind, about["title"], about["seen"], status)

    names = {row[0]: known(row[1:]) for row in held["hosts"]}
    networks = tuple((ipaddress.ip_network(row[0]), known(row[1:])) for row in held["networks"])
    return names, networks


def whose(host: str) -> Known | None:
    """The row of the longest name that a host is, or is below; of the network that an address is in."""
    names, networks = _rows()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        tails = (".".join(labels[place:]) for place in range(len(labels)))
        return next((names[tail] for tail in tails if tail in names), None)
    return next((row for net, row in networks if address.version == net.version and address in net), None)  # fmt: skip


def of_answers(answers: Any, addresses: Collection[str] = ()) -> Own:
    """What the answers of a client (`Answers`) make the client's own, or allow. `addresses` are those of its hosts outside."""
    named = {answers.mail["host"]: "mail.host"}
    named |= dict.fromkeys(answers.federation_servers, "federation.servers")
    named |= dict.fromkeys(answers.time_servers, "time.servers")
    urls = {
        "directory.url": answers.directory["url"], "tls.directory": answers.tls["directory"],
        "packages.mirror": answers.packages["mirror"], "packages.security": answers.packages["security"],
    }  # fmt: skip
    named |= {urlsplit(url).hostname or "": place for place, url in urls.items() if url}
    return Own(
        answers.domain,
        {host.lower(): place for host, place in named.items()},
        {each["host"].lower(): each["reason"] for each in answers.allow},
        addresses,
    )


def lint(
    files: Mapping[str, bytes], own: Own, logs: Collection[tuple[str, bytes]] = (), pristine: Collection[str] = ()
) -> dict[str, Any]:  # fmt: skip
    """The answer of `suite lint`: contacts, allowed, shipped, mentioned, allowances without use, what was not read.

    `logs`: their names, and JSON lines of what services contacted: `time` (ISO 8601), `host` (which machine),
    `process`, `destination` (an address, or with a port), `name` (as it was resolved, or ""); `lost` counts what was not seen.
    `pristine`: those of `files` (HOST/path) that are as the host's distribution ships them: what hosts.yaml knows of these is `shipped`.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    unread: list[dict[str, Any]] = []
    unchanged = frozenset(pristine)
    for path in sorted(files):
        data = files[path]
        if len(data) > MOST_BYTES:
            unread.append({"file": path, "why": f"larger than {MOST_BYTES // 1_000_000} MB"})
            continue
        if binary(data):
            unread.append({"file": path, "why": "binary"})
            continue
        for hit in contacts(path, data):
            severity = _severity(hit)
            if (
                severity == "contact"
                and path in unchanged
                and shipped(path.partition("/")[2], hit.host)
            ):
                severity = "shipped"
            _add(rows, own, hit.host, hit.port, severity, _hint(f"{hit.context} {path.rpartition('/')[2]} {hit.host}"), {"file": path, "line": hit.line})  # fmt: skip
    records = [each for log in logs for each in _records(log, unread)]
    _logged(rows, own, records)
    found = [rows[key] for key in sorted(rows)]
    used = {row["allowed_by"] for row in found}
    return {
        "schema": SCHEMA,
        "kind": "lint",
        "files": len(files),
        "lines": len(records),
        "contacts": [row for row in found if row["severity"] == "contact" and not row["allowed_by"]],
        "allowed": [row for row in found if row["severity"] == "contact" and row["allowed_by"]],
        "shipped": [row | {"reason": shipped(row["places"][0]["file"].partition("/")[2], row["host"])} for row in found if row["severity"] == "shipped"],
        "mentioned": [row for row in found if row["severity"] == "mentioned"],
        "unused": [
            {"host": host, "reason": reason}
            for host, reason in sorted(own.allow.items())
            if host not in used and files
        ],
        "unread": unread,
    }  # fmt: skip


def shipped(path: str, host: str) -> str:
    """Why a host that a file of the distribution names is no contact of the suite; "" where nothing is known of it."""
    return next((why for files, name, why in _table()["shipped"] if fnmatchcase(path, files) and name in ("*", host)), "")  # fmt: skip


def _severity(hit: Any) -> str:
    """A contact, unless the address only names something (`http://www.w3.org/...`)."""
    names = (each.partition("/") for each in _table()["identifiers"])
    rest = hit.context.rpartition("\n")[2]
    for host, _, path in names:
        if hit.host == host and rest.startswith("/" + path) and "src" not in hit.context and "href" not in hit.context:  # fmt: skip
            return "mentioned"
    return str(hit.severity)


def _hint(words: str) -> str:
    return next((kind for word, kind in _table()["hints"] if word in words.lower()), "unknown")


def _add(
    rows: dict[tuple[str, str], dict[str, Any]], own: Own, host: str, port: int, severity: str, hint: str, place: Mapping[str, Any]
) -> None:  # fmt: skip
    if own.has(host) or special(host):
        return
    known = whose(host)
    row = rows.setdefault(
        (severity, host),
        {
            "severity": severity,
            "host": host,
            "ports": [],
            "kind": known.kind if known else hint,
            "operator": known.operator if known else UNKNOWN,
            "country": known.country if known else "",
            "status": known.status if known else "unknown",
            "source": known.source if known else "",
            "seen": known.seen if known else "",
            "allowed_by": host if host in own.allow or host in own.answered else "",
            "reason": own.allow.get(host) or own.answered.get(host, ""),
            "places": [],
        },
    )
    if port and port not in row["ports"]:
        row["ports"] = sorted([*row["ports"], port])
    if row["kind"] == "unknown":
        row["kind"] = hint
    row["places"].append(dict(place))


# ------------------------------------------------------------------------------------- what was contacted

_FIELDS = ("time", "host", "process", "destination", "name")


def _records(log: tuple[str, bytes], unread: list[dict[str, Any]]) -> list[tuple[str, int, dict[str, str]]]:  # fmt: skip
    """(file, line, fields) of a log; what is no record goes to `unread`."""
    path, data = log
    found: list[tuple[str, int, dict[str, str]]] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            held = json.loads(line)
        except (ValueError, RecursionError):
            held = None
        if isinstance(held, dict) and isinstance(held.get("lost"), int):
            unread.append({"file": path, "line": number, "why": f"{held['lost']} packets or lines more were not seen"})  # fmt: skip
            continue
        if not isinstance(held, dict) or not all(isinstance(held.get(each, ""), str) for each in _FIELDS) or not (held.get("destination") or held.get("name")):  # fmt: skip
            unread.append({"file": path, "line": number, "why": "no record of a contact"})
            continue
        found.append((path, number, {each: held.get(each, "") for each in _FIELDS}))
    return found


_RESOLVERS = (53, 853)
"""Ports on which a name is asked for, and not contacted: whoever answers for the client's names is not the client's by that."""


def _logged(
    rows: dict[tuple[str, str], dict[str, Any]], own: Own, records: Collection[tuple[str, int, dict[str, str]]]
) -> None:  # fmt: skip
    """A line whose name is the client's says whose its address is; other lines may have the address alone."""
    mine = set()
    for _, _, each in records:
        address, port = _split(each["destination"])
        if own.has(_clean(each["name"])) and port not in _RESOLVERS:
            mine.add(address)
    for path, number, each in records:
        address, port = _split(each["destination"])
        if _clean(each["name"]):
            host = _clean(each["name"])
        elif address in mine or not _global(address):
            continue
        else:
            host = address
        place = {"file": path, "line": number, "time": each["time"], "on": each["host"], "process": each["process"]}  # fmt: skip
        if "." not in host and ":" not in host:
            continue
        if host.endswith((".local", ".internal", ".arpa", ".localhost", ".lan")):
            continue
        _add(rows, own, host, port, "contact", _hint(f"{each['process']} {host}"), place)


def _clean(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _split(destination: str) -> tuple[str, int]:
    """`192.0.2.1:443`, `[2001:db8::1]:443`, or an address alone."""
    address, _, port = destination.strip().rpartition(":")
    if port.isdigit() and len(port) < 6 and (address.endswith("]") or address.count(":") == 0) and address:  # fmt: skip
        return address.strip("[]"), int(port)
    return destination.strip().strip("[]"), 0


def _global(address: str) -> bool:
    """Whether it is an address outside; what is no address at all is a name, and outside too."""
    try:
        held = ipaddress.ip_address(address)
    except ValueError:
        return True
    return held.is_global and not held.is_multicast


# ---------------------------------------------------------------------------------------------- table


def table(document: Mapping[str, Any]) -> str:
    """The answer for a terminal: one paragraph a host."""
    lines: list[str] = []
    for row in document["contacts"]:
        home = row["country"] or "country unknown"
        owner = UNKNOWN if row["operator"] == UNKNOWN else f"{row['operator']}, {home}"
        lines += [f"CONTACT  {row['host']}{_ports(row)}  {row['kind']}  {owner}", *_places(row)]
    lines += [
        f"allowed  {row['host']}{_ports(row)}  {row['reason']}  ({len(row['places'])} places)"
        for row in document["allowed"]
    ]
    lines += [f"unused   [[allow]] {each['host']}: nothing names it; take it out of suite.toml" for each in document["unused"]]  # fmt: skip
    lines += [
        f"unread   {each['file']}{':' + str(each['line']) if 'line' in each else ''}: {each['why']}"
        for each in document["unread"]
    ]
    lines.append(
        f"{document['files']} files{_lines(document)}: {len(document['contacts'])} hosts outside, {len(document['allowed'])} allowed, {len(document['shipped'])} in unchanged files of the distribution, {len(document['mentioned'])} only mentioned (--json shows them)"
    )
    return "\n".join(lines)


def _lines(document: Mapping[str, Any]) -> str:
    return f", {document['lines']} lines of what was contacted" if document["lines"] else ""


_MOST_PLACES = 5


def _places(row: Mapping[str, Any]) -> list[str]:
    said = [
        f"    {each['file']}:{each['line']}" + (f"  {each['process']} on {each['on']}, {each['time']}" if "on" in each else "")
        for each in row["places"][:_MOST_PLACES]
    ]  # fmt: skip
    rest = len(row["places"]) - _MOST_PLACES
    return said + ([f"    and {rest} more"] if rest > 0 else [])


def _ports(row: Mapping[str, Any]) -> str:
    return "".join(f":{port}" for port in row["ports"][:3])
