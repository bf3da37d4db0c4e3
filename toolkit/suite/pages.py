"""suite.json -> what people read: the table on the terminal, `suite.md`, the zone fragment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.messages import tell
from toolkit.render.markdown import code, md
from toolkit.render.summary import Teller, decimal
from toolkit.show import table as columns


def must_look(document: Mapping[str, Any]) -> bool:
    """Whether a person has something to do before this can be built."""
    return bool(
        document["blockers"]
        or any(each["request"] for each in document["quotas"])
        or any(each["severity"] == "warning" for each in document["findings"])
    )


def zone(document: Mapping[str, Any], known: Mapping[str, str] | None = None) -> str:
    """The records for a zone that is held elsewhere; addresses that are not known yet stay comments."""
    held = document["dns"]
    lines = [f"$ORIGIN {held['zone']}."]
    for record in held["records"]:
        address = (known or {}).get(record["address"], "")
        mark, value = ("", address) if address else ("; ", f"<address {record['address']}>")
        lines.append(f"{mark}{record['name']} {record['ttl']} IN {record['type']} {value}")
    return "\n".join(lines) + "\n"


def table(document: Mapping[str, Any]) -> str:
    """Hosts, volumes, what must be asked for, what stands in the way."""
    parts = [
        columns(
            [
                (
                    host["name"],
                    _cores(host["need"]["vcpu"]),
                    host["need"]["gb"],
                    host["flavor"]["name"] if host["flavor"] else "none",
                    _price(host["flavor"]),
                    ", ".join(role["role"] for role in host["roles"]),
                )
                for host in document["hosts"]
            ],
            ("host", "vCPU", "GB", "flavor", "a month", "roles"),
        ),
        columns(
            [(v["name"], v["gb"], v["type"], v["host"]) for v in document["volumes"]],
            ("volume", "GB", "class", "on"),
        ),
    ]
    backup = document["backup"]
    if backup:
        place = " ".join(each for each in (backup["cloud"], backup["region"]) if each)
        price = "price unknown" if backup["month"] is None else f"{backup['month']:.2f} {backup['currency']} a month besides"  # fmt: skip
        parts.append(f"backup  {backup['gb']} GB at {place}, {backup['days']} days, {price}")
    mbit = document["network"]["mbit"]
    parts.append(f"network at peak  {mbit['edge']} Mbit/s web, {mbit['bridge']} conferences, {mbit['turn']} TURN")  # fmt: skip
    cost = document["cost"]
    count = cost["unpriced"]
    unpriced = f", and {count} item{'s' if count > 1 else ''} without a price" if count else ""
    parts.append(
        f"a month  {cost['month']} {cost['currency']} excluding tax{unpriced}"
        if cost["month"] is not None
        else "a month  unknown: the catalogue has no prices"
    )
    parts += [
        f"quota  ask for {quota['kind']} {quota['request']} (default {quota['default']})"
        for quota in document["quotas"]
        if quota["request"]
    ]
    parts += [f"BLOCKER  {tell(each)}" for each in document["blockers"]]
    parts += [
        f"look  {tell(each['says'])}"
        for each in document["findings"]
        if each["severity"] == "warning"
    ]
    parts.append(f"{len(document['unverified'])} of {len(document['figures'])} figures are our judgement; docs/sizing.md has every formula")  # fmt: skip
    if document["dns"]["held"] == "elsewhere":
        parts.append("\n" + zone(document).rstrip())
    return "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:])


def _cores(value: float) -> int:
    return int(value)


def _price(flavor: Mapping[str, Any] | None) -> str:
    if flavor is None or flavor["month"] is None:
        return "unknown"
    return f"{flavor['month']:.2f} {flavor['currency']}"


# ------------------------------------------------------------------------------------------ suite.md


def markdown(document: Mapping[str, Any]) -> bytes:
    """`suite.md` in the first language of the answers."""
    language = document["answers"]["languages"][0]

    def t(message: Any, **args: Any) -> str:
        return tell({"msg": message, "args": args} if isinstance(message, str) and args else message, language)  # fmt: skip

    return ("\n".join(_lines(document, t)) + "\n").encode()


def _lines(document: Mapping[str, Any], t: Teller) -> Iterator[str]:
    answers, cost, backup = document["answers"], document["cost"], document["backup"]
    yield f"# {t('Suite of {client}', client=md(answers['client']))}"
    yield ""
    yield t(
        "For {users} people ({active} at work at the same time, {peak} in conferences) on {cloud} {region}. This page is a plan: it has created nothing. `repatria suite apply` builds and installs it.",
        users=answers["users"], active=document["figures"]["active"]["value"], peak=answers["conference_peak"],
        cloud=md(answers["cloud"]), region=md(answers["region"]),
    )  # fmt: skip
    yield ""
    if document["blockers"]:
        yield from _heading(t("What stands in the way"))
        yield from (f"- {md(t(each))}" for each in document["blockers"])
        yield ""
    yield from _heading(t("Hosts"))
    yield from _head(
        t("host"), "vCPU", t("GB"), t("flavor"), t("a month"), t("address"), t("roles")
    )
    for host in document["hosts"]:
        flavor = host["flavor"]
        price = t("unknown") if flavor is None or flavor["month"] is None else f"{decimal(flavor['month'], 2, t)} {flavor['currency']}"  # fmt: skip
        name = code(flavor["name"]) if flavor else t("none")
        roles = ", ".join(role["role"] for role in host["roles"])
        yield f"| {code(host['name'])} | {int(host['need']['vcpu'])} | {decimal(host['need']['gb'], 2, t)} | {name} | {price} | {host['address']} | {roles} |"
    yield ""
    if cost["month"] is None:
        yield t("What it costs is unknown: the catalogue has no prices.")
    else:
        yield t("{amount} {currency} a month, list price, excluding tax; {unpriced} items have no price in the catalogue.", amount=decimal(cost["month"], 2, t), currency=cost["currency"], unpriced=cost["unpriced"])  # fmt: skip
    dates = sorted({host["flavor"]["seen"] for host in document["hosts"] if host["flavor"]} - {""})
    if dates:
        yield t("Prices of flavors as seen {date}.", date=", ".join(dates))
    if document["next"]:
        moves = ", ".join(f"{each['role']} ({', '.join(each['to'])})" for each in document["next"]["moves"])  # fmt: skip
        yield ""
        yield t("From {users} users on, these move to hosts of their own, with their volumes, in a maintenance window: {moves}.", users=document["next"]["users"], moves=moves)  # fmt: skip
    yield ""
    yield from _heading(t("Volumes"))
    yield from _head(t("volume"), t("GB"), t("class"), t("host"), t("mounted at"))
    for volume in document["volumes"]:
        yield f"| {code(volume['name'])} | {volume['gb']} | {code(volume['type'])} | {code(volume['host'])} | {code(volume['mount'])} |"
    yield ""
    if backup:
        yield t("Backups: {gb} GB for {days} days in the container {container} at {place}.", gb=backup["gb"], days=backup["days"], container=code(backup["container"]), place=md(f"{backup['cloud']} {backup['region']}".strip()))  # fmt: skip
        if backup["month"] is None:
            yield t("What they cost there is not in the catalogue.")
        else:
            yield t("They cost about {amount} {currency} a month there, besides the sum above.", amount=decimal(backup["month"], 2, t), currency=backup["currency"])  # fmt: skip
        yield ""
    asked = [each for each in document["quotas"] if each["request"]]
    if asked:
        yield from _heading(t("What the provider must allow first"))
        yield t("Send this before anything is created:")
        yield ""
        yield from _head(t("quota"), t("default"), t("request"))
        yield from (f"| {code(each['kind'])} | {each['default']} | {each['request']} |" for each in asked)  # fmt: skip
        yield ""
    yield from _ports(document, t)
    yield from _names(document, t)
    yield from _heading(t("What to look at"))
    yield from (f"- {md(t(each['says']))}" for each in document["findings"])
    yield f"- {t('{n} of {all} figures are our judgement, to be held against a load test of the installed suite.', n=len(document['unverified']), all=len(document['figures']))}"
    yield ""
    if answers["allow"]:
        yield from _heading(t("Hosts outside that may be contacted"))
        yield from (f"- {code(each['host'])}{t(':')} {md(each['reason'])}" for each in answers["allow"])  # fmt: skip
        yield ""
    yield from _heading(t("Figures"))
    yield t("A name is that of the variable in the inventory. Formulas are explained in docs/sizing.md.")  # fmt: skip
    yield ""
    yield from _head(t("name"), t("value"), t("unit"), t("formula"), t("status"))
    for name, figure in document["figures"].items():
        yield f"| {code(name)} | {decimal(figure['value'], 0 if isinstance(figure['value'], int) else 2, t)} | {md(t(figure['unit']))} | {code(figure['formula'])} | {t(figure['status'])} |"


def _ports(document: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield from _heading(t("Open ports"))
    yield t("All else is closed. The security groups are made from this table.")
    yield ""
    yield from _head(t("hosts"), t("port"), t("for"), t("why"))
    for port in document["ports"]:
        number = str(port["first"]) if port["first"] == port["last"] else f"{port['first']}-{port['last']}"  # fmt: skip
        source = t(port["source"]) if port["source"] in ("anyone", "operators") else code(port["source"])  # fmt: skip
        yield f"| {code(port['kind'])} | {number}/{port['protocol']} | {source} | {md(t(port['why']))} |"
    yield ""


def _names(document: Mapping[str, Any], t: Teller) -> Iterator[str]:
    held, answers = document["dns"], document["answers"]
    yield from _heading(t("Names and mail"))
    if held["held"] == "elsewhere":
        yield t("The zone is held elsewhere. Add these records as soon as the addresses are known; certificates wait until they resolve.")  # fmt: skip
    else:
        yield t("The stack makes these records in the zone at the target.")
    yield ""
    yield "```"
    yield from zone(document).splitlines()
    yield "```"
    yield ""
    if held["well_known"]:
        yield t("The web site of the domain must answer {url} with the name of the chat's server; servers elsewhere look there.", url=code(held["well_known"]))  # fmt: skip
        yield ""
    yield t("Mail goes through {host}, port {port}, as {sender}; its owner must let the suite send for {domain} (SPF, DKIM).", host=code(answers["mail"]["host"]), port=answers["mail"]["port"], sender=code(answers["mail"]["sender"]), domain=code(answers["domain"]))  # fmt: skip
    yield ""


def _heading(said: str) -> Iterator[str]:
    yield f"## {said}"
    yield ""


def _head(*names: str) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"


def applied(document: Mapping[str, Any]) -> str:
    """What `suite apply` did, play by play."""
    lines = []
    if stack := document["stack"]:
        counts = ", ".join(f"{number} {op}" for op, number in stack["counts"].items()) or "nothing to do"  # fmt: skip
        lines.append(f"stack: {counts}")
    for each in document.get("play", {}).get("plays", ()):
        changed = sum(host["changed"] for host in each["hosts"].values())
        lines.append(f"{each['title']}: {len(each['hosts'])} hosts, {changed} changed, {each['seconds']:.0f} s")  # fmt: skip
    return "\n".join(lines)
