"""The plan of a suite and its last drill -> the handover binder as content: what somebody needs who never saw it before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from toolkit.outcomes import Text, joined, text
from toolkit.suite.pages import zone
from toolkit.suite.papers.content import (
    Block,
    Cell,
    Items,
    Lines,
    Name,
    Para,
    Picture,
    Section,
    Table,
)
from toolkit.suite.papers.runbooks import names


@cache
def _versions() -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load(
        (resources.files("toolkit") / "suite/papers/versions.yaml").read_text("utf-8")
    )
    return held


def sections(document: Mapping[str, Any], drill: Mapping[str, Any] | None, picture: Picture) -> tuple[Section, ...]:  # fmt: skip
    """The binder, in the order in which somebody asks."""
    return (
        Section("short", text("In short"), tuple(_short(document, drill))),
        Section("architecture", text("Architecture"), (picture, _hosts(document), _volumes(document))),
        Section("addresses", text("Addresses"), tuple(_addresses(document))),
        Section("ports", text("Open ports"), (Para(text("All else is closed. What the hosts send is not limited by the network.")), _ports(document))),
        Section("credentials", text("Where credentials are"), tuple(_credentials(document))),
        Section("backups", text("Backups and the last drill"), tuple(_backups(document, drill))),
        Section("versions", text("Versions and the end of their support"), tuple(_support(document))),
        Section("risks", text("Open risks"), (Items(tuple(risks(document, drill))),)),
        Section("privacy", text("Data protection"), tuple(_privacy(document))),
        Section("people", text("Who is who"), (_people(),)),
        Section("sizes", text("Sizes and their formulas"), tuple(_sizes(document))),
    )  # fmt: skip


def _plain(words: object) -> Name:
    return Name(str(words))


def _code(words: object) -> Name:
    return Name(str(words), code=True)


def _short(document: Mapping[str, Any], drill: Mapping[str, Any] | None) -> Iterator[Block]:
    answers, cost, figures = document["answers"], document["cost"], document["figures"]
    yield Para(
        text(
            "An office suite for {users} people with an account, {active} of them at work at the same time and {peak} in conferences, on {hosts} hosts at {place}.",
            users=answers["users"], active=figures["active"]["value"], peak=answers["conference_peak"], hosts=len(document["hosts"]),
            place=f"{answers['cloud']} {answers['region']}".strip(),
        )
    )  # fmt: skip
    held = names(document)
    yield Table(
        text("Services"),
        (text("service"), text("address"), text("for")),
        tuple((_plain(service), _code(f"https://{host}" if service != "turn" else host), _FOR[service]) for service, host in held.items()),
    )  # fmt: skip
    if cost["month"] is not None:
        yield Para(text("{amount} {currency} a month, list price, excluding tax; {unpriced} items have no price in the catalogue.", amount=float(cost["month"]), currency=cost["currency"], unpriced=cost["unpriced"]))  # fmt: skip
    if drill is None:
        yield Para(text("No restore has been tried yet: until then nobody knows whether the backups are any good."), mark=True)  # fmt: skip
    elif not drill["ok"]:
        yield Para(text("The last restore drill failed. Until one succeeds the backups are not to be relied on."), mark=True)  # fmt: skip


_FOR = {
    "cloud": text("files, calendars, contacts"),
    "meet": text("conferences"),
    "matrix": text("chat, the server that clients speak to"),
    "chat": text("chat in the browser"),
    "login": text("sign-on for all of them"),
    "turn": text("a way through strict networks, for sound and pictures"),
}


def _hosts(document: Mapping[str, Any]) -> Table:
    def flavor(host: Mapping[str, Any]) -> Name | Text:
        return _code(host["flavor"]["name"]) if host["flavor"] else text("none")

    return Table(
        text("Hosts"),
        (text("host"), text("address"), text("public address"), "vCPU", text("GB"), text("flavor"), text("roles")),
        tuple(
            (
                _code(host["name"]), _code(host["address"]), _plain(host["public"] or "-"), int(host["need"]["vcpu"]), _value(host["need"]["gb"]),
                flavor(host), _plain(", ".join(each["role"] for each in host["roles"])),
            )
            for host in document["hosts"]
        ),
    )  # fmt: skip


def _volumes(document: Mapping[str, Any]) -> Table:
    return Table(
        text("Volumes"),
        (text("volume"), text("GB"), text("class"), text("host"), text("mounted at")),
        tuple(
            (_code(v["name"]), _value(v["gb"]), _code(v["type"]), _code(v["host"]), _code(v["mount"]))
            for v in document["volumes"]
        ),
    )  # fmt: skip


def _addresses(document: Mapping[str, Any]) -> Iterator[Block]:
    answers = document["answers"]
    yield Para(text("Public addresses are known when the stack is built: `pulumi stack output` prints them. Private ones are fixed."))  # fmt: skip
    yield Table(
        text("Addresses"),
        (text("name"), text("host"), text("used by")),
        tuple(
            (
                _code(each["name"]), _code(each["host"]),
                _plain(", ".join(f"{r['name']}.{answers['domain']}" for r in document["dns"]["records"] if r["address"] == each["name"]) or "-"),
            )
            for each in document["addresses"]
        ),
    )  # fmt: skip
    held = document["dns"]["held"] == "elsewhere"
    yield Para(text("The zone is held elsewhere; its owner keeps these records:") if held else text("The stack keeps these records in the zone at the target:"))  # fmt: skip
    yield Lines(zone(document).rstrip())
    yield Para(text("Operators reach one host by SSH, and all others through it, from these networks:"))  # fmt: skip
    yield Items(tuple(_code(each) for each in answers["operators"]))
    yield Para(text("Mail goes out through {host}, port {port}, as {sender}.", host=answers["mail"]["host"], port=answers["mail"]["port"], sender=answers["mail"]["sender"]))  # fmt: skip
    if answers["allow"]:
        yield Table(
            text("Hosts outside that may be contacted"), (text("host"), text("why")),
            tuple((_code(each["host"]), _plain(each["reason"])) for each in answers["allow"]),
        )  # fmt: skip


def _ports(document: Mapping[str, Any]) -> Table:
    known = ("anyone", "operators")
    return Table(
        text("Open ports"),
        (text("hosts"), text("port"), text("for"), text("why")),
        tuple(
            (
                _code(p["kind"]), _code(f"{p['first']}{'' if p['first'] == p['last'] else '-' + str(p['last'])}/{p['protocol']}"),
                text(p["source"]) if p["source"] in known else _code(p["source"]), p["why"],
            )
            for p in document["ports"]
        ),
    )  # fmt: skip


def _credentials(document: Mapping[str, Any]) -> Iterator[Block]:
    answers, backup = document["answers"], document["backup"]
    yield Para(text("No credential stands in this binder. Where one is, who holds it, and what stops without it:"))  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (text("Password of the vault"), text("two people of the client, in sealed envelopes"), text("no secret of the suite can be read: nothing can be installed or restored")),
        (text("Secrets of the suite"), text("the encrypted vault file of the inventory (`suite_secrets`), in the client's Git repository"), text("they are made anew, and every service is installed again")),
        (text("Credential of the target"), text("`clouds.yaml` of the operators, entry {name}", name=answers["os_cloud"] or "OS_CLOUD"), text("hosts cannot be built or changed; they go on")),
        (text("SSH keys of the operators"), text("with each operator; the public halves are in suite.toml and in the settings"), text("nobody reaches the hosts but by the provider's console")),
        (text("State of the stack and its passphrase"), text("the place that the stack was initialised with; the passphrase is with the password of the vault"), text("hosts must be imported by hand before they can be changed")),
        (text("Account at the mail relay"), text("the owner of {host}; a copy is in the vault", host=answers["mail"]["host"]), text("no invitation, no reset of a password, no warning is sent")),
    ]  # fmt: skip
    if backup:
        rows.append((text("Password of the backups"), text("the vault, and a copy on paper that is not at the target"), text("the backups are lost for ever")))  # fmt: skip
        if backup["made_by"] == "stack":
            rows.append((text("Credential of the backups' place"), text("`clouds.yaml`, entry {name}; what writes there is in the vault", name=backup["os_cloud"] or answers["os_cloud"] or "OS_CLOUD"), text("no backup and no restore")))  # fmt: skip
        else:
            rows.append((text("Credential of the backups' place"), text("made by hand at {cloud}; a copy is in the vault", cloud=backup["cloud"]), text("no backup and no restore")))  # fmt: skip
    if answers["applications"]["matrix"]:
        rows.append((text("Signing key of the chat's server"), text("on the host of the role synapse, and in each backup set"), text("other servers no longer believe that it is the same one")))  # fmt: skip
    if answers["applications"]["idp"]:
        rows.append((text("First administrator of the sign-on"), text("the vault; each administrator has an own account besides"), text("nobody can manage people")))  # fmt: skip
    rows.append((text("Keys of the certificates, and of the suite's own authority"), text("on the hosts (`/etc/ssl/suite`); the authority's key on the operators' machine, its passphrase in the vault"), text("certificates are ordered anew; with an own authority every device must trust a new one")))  # fmt: skip
    yield Table(text("Where credentials are"), (text("what"), text("where"), text("without it")), tuple(rows))  # fmt: skip


def _backups(document: Mapping[str, Any], drill: Mapping[str, Any] | None) -> Iterator[Block]:
    backup, answers = document["backup"], document["answers"]
    if backup is None:
        yield Para(text("There are no backups: the answers switch them off. Whatever destroys the target destroys the data."), mark=True)  # fmt: skip
    else:
        place = f"{backup['cloud']} {backup['region']}".strip()
        yield Para(text("Every night one set over all applications, encrypted, into the container {container} at {place}, kept for {days} days; {gb} GB are reckoned for it.", container=backup["container"], place=place, days=backup["days"], gb=backup["gb"]))  # fmt: skip
        on = answers["applications"]
        rows: list[tuple[Cell, ...]] = []
        if on["nextcloud"]:
            rows.append((_plain("Nextcloud"), text("database, files, configuration")))
        if on["matrix"]:
            rows.append((_plain("Synapse"), text("database without one-time keys, media of the own server, signing key, configuration")))  # fmt: skip
        if on["idp"]:
            rows.append((_plain("Keycloak"), text("database, an export of the realm")))
        if on["jitsi"]:
            rows.append((_plain("Jitsi"), text("configuration; conferences leave nothing behind")))
        rows.append((text("certificates"), text("keys and certificates, the authority's where there is an own one")))  # fmt: skip
        yield Table(text("What is in a set"), (text("application"), text("parts")), tuple(rows))
        yield Para(text("Not in it: measurements, logs, caches, the hosts themselves. They are made again."))  # fmt: skip
    if drill is None:
        yield Para(text("Last drill: none. The file drill.json of this folder holds the result of the last one, and there is no such file."), mark=True)  # fmt: skip
        return
    yield Para(
        text("Last drill: {when}, {result}. Working again after {rto} minutes (RTO); data of the last {rpo} minutes were lost (RPO).",
             when=drill["when"], result=text("every canary was found") if drill["ok"] else text("not every canary was found"), rto=_minutes(drill["rto_seconds"]), rpo=_minutes(drill["rpo_seconds"])),
        mark=not drill["ok"],
    )  # fmt: skip
    yield Table(
        text("Canaries of the last drill"), (text("application"), text("found")),
        tuple((_plain(each["application"]), text("yes") if each["ok"] else text("no")) for each in drill["canaries"]),
    )  # fmt: skip


def _minutes(seconds: float) -> str:
    return f"{-(-seconds // 60):.0f}"


def _support(document: Mapping[str, Any]) -> Iterator[Block]:
    held = _versions()
    roles = {each["role"] for host in document["hosts"] for each in host["roles"]} | {""}
    rows = tuple(
        (
            _plain(each["name"]), _plain(each["version"]), text("{date}", date=each["until"]) if each["until"] else text("no date is published"), each["note"],
            text("{title} ({date}, {status})", title=held["sources"][each["source"]]["title"], date=held["sources"][each["source"]]["seen"], status=text(each["status"])),
        )
        for each in held["versions"]
        if each["role"] in roles
    )  # fmt: skip
    yield Para(text("As this version of repatria installs them; `repatria suite status` says what runs."))  # fmt: skip
    yield Table(text("Versions"), (text("program"), text("version"), text("mended until"), text("besides"), text("source")), rows)  # fmt: skip


NEVER_RUN = (
    text("No load test: sizes come from published tables and our judgement."),
    text(
        "The archive of Nextcloud, and Jitsi's own packages: their roles were tried with everything around them, not with these."
    ),
    text("A restore onto the second provider in earnest, unless the drill above was one."),
)
"""What the project itself never ran, and says so; empty when it has."""


def risks(document: Mapping[str, Any], drill: Mapping[str, Any] | None) -> Iterator[Any]:
    """What may go wrong and is not taken care of, gravest first."""
    yield from document["blockers"]
    if document["backup"] is None:
        yield text("There are no backups.")
    if drill is None:
        yield text("No backup was ever restored.")
    elif not drill["ok"]:
        yield text("The last restore drill failed.")
    yield from (each["says"] for each in document["findings"] if each["severity"] == "warning")
    if any(each["request"] for each in document["quotas"]):
        yield text("The provider must raise quotas first; at the second provider nobody has asked yet.")  # fmt: skip
    singles = [role for role in ("edge", "postgres_apps", "postgres_chat", "files") if sum(role in [r["role"] for r in host["roles"]] for host in document["hosts"]) == 1]  # fmt: skip
    yield text("One host each for {roles}: where it fails, the service stops until it is built again.", roles=", ".join(singles))  # fmt: skip
    if document["answers"]["federation"] == "on":
        yield text("The chat talks to any server: what people write in shared rooms is copied there.")  # fmt: skip
    yield from (
        text("{host} outside is contacted: {reason}", host=each["host"], reason=each["reason"]) for each in document["answers"]["allow"]
    )  # fmt: skip
    yield text("{n} of {all} figures of the sizing are our judgement.", n=len(document["unverified"]), all=len(document["figures"]))  # fmt: skip
    yield text("IPv4 alone; what hosts send is not limited by the network.")
    yield from NEVER_RUN


KEPT = (
    ("edge", "edge_log_days", text("access log of all services")),
    ("edge", "edge_log_addresses", text("how addresses are written: `truncated` to /24 and /48, `full`, `none`")),
    ("baseline", "baseline_log_days", text("journal of each host")),
    ("nextcloud", "nextcloud_log_days", text("log of Nextcloud, with whole addresses")),
    ("nextcloud", "nextcloud_activity_days", text("activities that people see")),
    ("nextcloud", "nextcloud_trash_days", text("deleted files")),
    ("nextcloud", "nextcloud_version_days", text("old versions of files")),
    ("synapse", "synapse_log_days", text("log of the chat")),
    ("synapse", "synapse_address_days", text("addresses of devices in the chat's database")),
    ("synapse", "synapse_redaction_days", text("removed messages in the chat's database")),
    ("synapse", "synapse_message_days", text("messages; 0 keeps them")),
    ("idp", "idp_events_days", text("sign-ins and changes by administrators")),
    ("jitsi", "jitsi_log_days", text("log of conferences; their content is never kept")),
    ("turn", "turn_log_days", text("log of TURN")),
    ("postgres_apps", "postgres_logs_days", text("log of the databases")),
)  # fmt: skip
"""(role, variable, what it bounds): the settings of data protection, by the names that the roles take."""


def _privacy(document: Mapping[str, Any]) -> Iterator[Block]:
    answers = document["answers"]
    roles = {each["role"] for host in document["hosts"] for each in host["roles"]} | {"baseline"}
    yield Para(text("The client is the controller; who operates the hosts is a processor and needs a contract (article 28 of the GDPR), and so does the provider. This page is part of the record of processing (article 30), and no legal advice."))  # fmt: skip
    yield Para(text("Logs that hold addresses of people are kept for {logs} days (`suite_logs_days`), backups for {backups} days (`suite_backup_days`). These variables of the roles bound what is kept:", logs=answers["logs_days"], backups=answers["backup_days"]))  # fmt: skip
    yield Table(
        text("What is kept, and what bounds it"), (text("variable"), text("what it bounds")),
        tuple((_code(variable), says) for role, variable, says in KEPT if role in roles),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    on = answers["applications"]
    if on["idp"]:
        rows.append((_plain("Keycloak"), text("name, mail address, groups, times of sign-ins"), text("account console, or an export of the user"), text("the account is deleted; events follow by themselves")))  # fmt: skip
    if on["nextcloud"]:
        rows.append((_plain("Nextcloud"), text("files, calendars, contacts, shares, comments, activities"), text("files by WebDAV, calendars and contacts as files"), text("the user is deleted with all files; shared folders of others stay")))  # fmt: skip
    if on["matrix"]:
        rows.append((_plain("Synapse"), text("messages, media, rooms, devices and their addresses"), text("an export of the rooms that the person is in; encrypted ones only the person can export"), text("the account is deactivated and its messages are hidden; other servers are asked, and may not follow")))  # fmt: skip
    if on["jitsi"]:
        rows.append((_plain("Jitsi"), text("the shown name while a conference lasts; nothing is recorded"), text("nothing is kept"), text("nothing is kept")))  # fmt: skip
    yield Table(text("Export and erasure of one person"), (text("application"), text("data"), text("export"), text("erasure")), tuple(rows))  # fmt: skip
    yield Para(text("The commands are in the runbook “A person leaves”. A restore brings back whom the set still held: erase again."))  # fmt: skip


def _people() -> Table:
    roles = ("owner", "operator", "security", "network", "database", "communication")
    blank = _plain("")
    return Table(
        text("Who is who"), (text("role"), text("name"), text("telephone"), text("substitute")),
        (*((text(role), blank, blank, blank) for role in roles), (text("data protection officer"), blank, blank, blank), (text("provider's support"), blank, blank, blank)),
    )  # fmt: skip


def _sizes(document: Mapping[str, Any]) -> Iterator[Block]:
    yield Para(text("A name is that of the variable in the inventory. `read`: a source says it; `inferred`: it follows from what was read; `unverified`: our judgement, until a load test."))  # fmt: skip
    yield Table(
        text("Sizes and their formulas"),
        (text("name"), text("value"), text("unit"), text("formula"), text("status"), text("source")),
        tuple(
            (_code(name), _value(figure["value"]), figure["unit"], _code(figure["formula"]), text(figure["status"]), _plain(", ".join(document["sources"][s]["title"] for s in figure["sources"]) or "-"))
            for name, figure in document["figures"].items()
        ),
    )  # fmt: skip
    following = document["next"]
    if following:
        moves = joined([f"{each['role']} ({', '.join(each['to'])})" for each in following["moves"]])
        yield Para(text("From {users} users on, these move to hosts of their own, with their volumes, in a maintenance window: {moves}.", users=following["users"], moves=moves))  # fmt: skip


def _value(value: float) -> float:
    """A figure as people read it: whole where it is, three digits below 1, else two behind the point."""
    return int(value) if float(value).is_integer() else round(value, 3 if value < 1 else 2)
