"""Answers -> the plan of a suite: hosts with flavors, volumes, ports, addresses, quotas, cost; pure, same input, same bytes.

Growth replaces nothing: for more users every host and volume of fewer is there again, and none is smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.clouds import HOURS_A_MONTH, Cloud, FlavorChoice, VolumeChoice
from toolkit.clouds import load as load_cloud
from toolkit.outcomes import Text, text
from toolkit.plan.quotas import Quota
from toolkit.suite import formulas, layout
from toolkit.suite.answers import Answers
from toolkit.suite.formulas import MOST_USERS, SOURCES, Figure
from toolkit.suite.layout import NEED, Host
from toolkit.workspace import canonical, digest

SCHEMA = 1
SYSTEM_DISK_GB = 20
IMAGE = "debian13"
"""Nextcloud names Debian 13 and not 12; its PHP 8.4 is valid for all supported versions of Nextcloud."""
SMALL_PEAK = 25
"""Up to so many people in conferences the bridge stays on the one host of stage 1 (formula `bridge_apart`)."""

Needs = dict[str, tuple[float, float]]


def plan(answers: Answers) -> dict[str, Any]:
    """The plan: the content of `suite.json`. Raises CatalogError for a cloud file that cannot be read."""
    cloud = load_cloud(answers.cloud, answers.cloud_file)
    held = answers.json() | {"region": answers.region or next((r.name for r in cloud.regions), "")}
    numbers = answers.numbers()
    figures, hosts, needs = _sized(numbers, answers.network)
    floor = _floor(numbers, answers.network)
    classes = {
        "files": cloud.volume_type_for("standard", 100, encrypted=True),
        "database": cloud.volume_type_for("gp3", 100, encrypted=True),
    }  # of 100 GB, whatever they will have: a volume keeps its class when it grows
    volumes = layout.volumes(figures, {work: held_.type.max_gb for work, held_ in classes.items()})
    ports = layout.ports(hosts, bool(numbers["monitoring"]))
    chosen = {host.name: _chosen(cloud, needs[host.name], floor.get(host.name)) for host in hosts}
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "suite",
        "answers": held,
        "figures": {name: figure.json() for name, figure in figures.items()},
        "hosts": [_host(host, figures, needs, floor, chosen[host.name], cloud) for host in hosts],
        "volumes": [
            {
                "name": volume.name,
                "role": volume.role,
                "host": next(h.name for h in hosts if volume.role in h.roles),
                "gb": volume.gb,
                "mount": volume.mount,
                "type": classes[volume.work].name,
                "lacks": dict(classes[volume.work].shortfall),
                "month": _times(classes[volume.work].type.month_gb, volume.gb),
            }
            for volume in volumes
        ],
        "network": {
            "cidr": answers.network,
            "gateway": answers.network.replace(".0/24", ".1"),
            "pool": [answers.network.replace(".0/24", f".{byte}") for byte in layout.POOL],
            "external": cloud.external_network,
            "mbit": {
                name: figures[f"{name}_mbit"].value for name in ("edge", "bridge", "turn")
            },
        },
        "addresses": [
            {"name": host.public, "host": host.name} for host in hosts if host.public
        ],
        "ports": [
            {
                "kind": port.kind,
                "role": port.role,
                "protocol": port.protocol,
                "first": port.first,
                "last": port.last,
                "source": port.source,
                "why": port.why.json(),
            }
            for port in ports
        ],
        "dns": _dns(answers, hosts),
        "backup": _backup(answers, figures),
        "stack": _stack(answers, cloud),
        "next": _next(numbers, answers, hosts),
    }  # fmt: skip
    document["quotas"] = [
        {"kind": q.kind, "needed": q.needed, "default": q.default, "request": q.request}
        for q in _quotas(document, cloud)
    ]
    document["cost"] = _cost(document, cloud)
    document["blockers"] = [each.json() for each in _blockers(answers, cloud, chosen, needs)]
    document["findings"] = [
        {"severity": severity, "says": says.json()}
        for severity, says in _findings(answers, document, cloud, classes)
    ]
    document["unverified"] = sorted(
        name for name, figure in figures.items() if figure.formula.status == "unverified"
    )
    document["sources"] = {
        id_: {"title": s.title, "where": s.where, "seen": s.seen} for id_, s in SOURCES.items()
    }
    return {
        **document,
        "header": {
            "client": answers.client,
            "made_from": {
                "answers": digest(canonical(held)),
                "catalogue": cloud.digest,
                "formulas": formulas.digest(),
            },
            "body": digest(canonical(document)),
        },
    }


# -------------------------------------------------------------------------------------------- sizes


def _sized(numbers: Mapping[str, float], network: str) -> tuple[dict[str, Figure], tuple[Host, ...], Needs]:  # fmt: skip
    first = formulas.evaluate(numbers)
    hosts = layout.hosts(first, network)
    figures = formulas.evaluate({**numbers, "hosts": len(hosts)}, after=first)
    value = {name: figure.value for name, figure in figures.items()}
    needs = {}
    for host in hosts:
        taken = [(value[NEED[role][0]], value[NEED[role][1]]) for role in host.roles if NEED[role]]
        cores = sum(vcpu for vcpu, _ in taken) * value["overlap"]
        most = max((vcpu for vcpu, _ in taken), default=0)
        needs[host.name] = (
            float(max(1, math.ceil(round(max(cores, most), 6)))),
            round(value["system_gb"] + sum(gb for _, gb in taken), 2),
        )
    return figures, hosts, needs


def _floor(numbers: Mapping[str, float], network: str) -> Needs:
    """What a host had for the largest client that still fitted the layouts before this one: it never shrinks."""
    floor: Needs = {}
    stages = {n: _stage(numbers, n) for n in (1, int(numbers["users"]))}
    last = [int(numbers["users"])]
    for stage in range(int(stages[1]), int(stages[int(numbers["users"])])):
        low, high = 1, int(numbers["users"])
        while high - low > 1:  # the last number of users of that stage
            middle = (low + high) // 2
            low, high = (middle, high) if _stage(numbers, middle) <= stage else (low, middle)
        last.append(low)
    for users in last:
        for peak in {numbers["conference_peak"], min(numbers["conference_peak"], SMALL_PEAK)}:
            _, _, needs = _sized({**numbers, "users": users, "conference_peak": peak}, network)
            for name, (vcpu, gb) in needs.items():
                before = floor.get(name, (0.0, 0.0))
                floor[name] = (max(before[0], vcpu), max(before[1], gb))
    return floor


def _stage(numbers: Mapping[str, float], users: int) -> float:
    return formulas.evaluate({**numbers, "users": users})["stage"].value


def _chosen(cloud: Cloud, need: tuple[float, float], floor: tuple[float, float] | None) -> tuple[FlavorChoice | None, int]:  # fmt: skip
    """The flavor, and the GB of a system volume where no flavor has a disk that is large enough."""
    vcpu, gb = (max(a, b) for a, b in zip(need, floor or need, strict=True))
    choice = cloud.flavor_for(math.ceil(vcpu), gb, disk_gb=SYSTEM_DISK_GB)
    if choice is None:
        return cloud.flavor_for(math.ceil(vcpu), gb), SYSTEM_DISK_GB
    return choice, 0


def _host(
    host: Host, figures: Mapping[str, Figure], needs: Needs, floor: Needs, chosen: tuple[FlavorChoice | None, int], cloud: Cloud
) -> dict[str, Any]:  # fmt: skip
    need = needs[host.name]
    least = floor.get(host.name, need)
    choice, system_gb = chosen
    price_fact = cloud.known(cloud.about("price_flavor"))
    return {
        "name": host.name,
        "kind": host.kind,
        "address": host.address,
        "public": host.public,
        "roles": [
            {"role": role, "vcpu": figures[NEED[role][0]].value, "gb": figures[NEED[role][1]].value}
            if NEED[role]
            else {"role": role, "vcpu": 0, "gb": 0}
            for role in host.roles
        ],
        "need": {
            "vcpu": max(need[0], least[0]),
            "gb": max(need[1], least[1]),
            "formula": "ceil(max(largest role, overlap * sum of roles)) vCPU; system_gb + sum of roles GB",
            "kept": least[0] > need[0] or least[1] > need[1],
        },
        "system_volume_gb": system_gb,
        "flavor": None
        if choice is None
        else {
            "name": choice.flavor.name,
            "vcpu": choice.flavor.vcpu,
            "gb": choice.flavor.ram_gb,
            "disk_gb": choice.flavor.disk_gb,
            "status": choice.flavor.status,
            "month": _times(choice.flavor.price_hour, HOURS_A_MONTH),
            "currency": cloud.currency,
            "seen": (cloud.fact(price_fact[0]).seen or "") if price_fact else "",
            "source": [str(each) for each in cloud.fact(price_fact[0]).source] if price_fact else [],
            "alternatives": [each.name for each in choice.alternatives],
        },
    }  # fmt: skip


def _times(price: float | None, number: float) -> float | None:
    return None if price is None else round(price * number, 2)


def _next(numbers: Mapping[str, float], answers: Answers, hosts: tuple[Host, ...]) -> dict[str, Any] | None:  # fmt: skip
    """At how many users a job moves to a host of its own, and which: a maintenance window, said in advance."""
    stage = _stage(numbers, answers.users)
    low, high = answers.users, MOST_USERS
    if _stage(numbers, high) == stage:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _stage(numbers, middle) == stage else (low, middle)
    later = layout.hosts(formulas.evaluate({**numbers, "users": high}), answers.network)
    now = {role: {h.name for h in hosts if role in h.roles} for h in hosts for role in h.roles}
    then = {role: {h.name for h in later if role in h.roles} for h in later for role in h.roles}
    return {
        "users": high,
        "moves": [
            {"role": role, "from": sorted(now[role]), "to": sorted(then[role])}
            for role in layout.ROLES
            if role in now and now[role] - then[role]
        ],
    }


# ------------------------------------------------------------------------------------ around the hosts


def _dns(answers: Answers, hosts: tuple[Host, ...]) -> dict[str, Any]:
    public = {host.public for host in hosts}
    turn = "turn" if "turn" in public else "edge"
    return {
        "held": answers.dns,
        "zone": answers.domain,
        "records": [
            {
                "name": answers.names[service],
                "type": "A",
                "ttl": 300,
                "address": turn if service == "turn" else "edge",
            }
            for service in answers.services()
        ],
        "well_known": f"https://{answers.domain}/.well-known/matrix/server"
        if answers.applications["matrix"] and answers.federation != "off"
        else "",
    }


def _backup(answers: Answers, figures: Mapping[str, Figure]) -> dict[str, Any] | None:
    if not answers.backup["enabled"]:
        return None
    second = answers.backup["cloud"]
    catalogue = None if second == "openstack" else load_cloud(second)
    price = catalogue.prices.get("object_gb") if catalogue else None
    gb = figures["backup_volume_gb"].value
    return {
        "cloud": second,
        "region": answers.backup["region"],
        "os_cloud": answers.backup["os_cloud"],
        "container": f"{answers.client}-suite-backup",
        "made_by": "stack" if _reachable(answers, catalogue) else "hand",
        "gb": gb,
        "days": answers.backup_days,
        "month": _times(price, gb),
        "currency": catalogue.currency if catalogue else "",
    }


def _reachable(answers: Answers, second: Cloud | None) -> bool:
    """Whether the stack can sign in at the second place: the same provider, or an entry of clouds.yaml."""
    openstack = second is None or second.kind == "openstack"
    return openstack and bool(
        answers.backup["os_cloud"] or answers.backup["cloud"] == answers.cloud
    )


def _stack(answers: Answers, cloud: Cloud) -> dict[str, Any]:
    return {
        "image": cloud.images.get(IMAGE, ""),
        "user": cloud.users.get(IMAGE, ""),
        "floating_pool": cloud.floating_pool,
        "volume_zone": str(cloud.profile["volume_zone"]),
        "designate": answers.dns == "target",
        "renders": cloud.kind == "openstack",
    }


def _rules(document: Mapping[str, Any]) -> int:
    operators = len(document["answers"]["operators"])
    return sum(operators if port["source"] == "operators" else 1 for port in document["ports"])


def _quotas(document: Mapping[str, Any], cloud: Cloud) -> Iterator[Quota]:
    """What a new project must allow; OpenStack adds two rules to each group, and has a group `default` with four."""
    hosts, volumes = document["hosts"], document["volumes"]
    kinds = {host["kind"] for host in hosts}
    system = [host["system_volume_gb"] for host in hosts if host["system_volume_gb"]]
    flavors = [host["flavor"] or host["need"] for host in hosts]
    needed = {
        "instances": len(hosts),
        "cores": sum(math.ceil(each["vcpu"]) for each in flavors),
        "ram_gb": sum(math.ceil(each["gb"]) for each in flavors),
        "networks": 1,
        "subnets": 1,
        "routers": 1,
        "ports": len(hosts) + int(cloud.profile["dhcp_ports"]) + 1,
        "security_groups": len(kinds) + 1,
        "security_group_rules": _rules(document) + 2 * len(kinds) + 4,
        "volumes": len(volumes) + len(system),
        "volume_gb": sum(each["gb"] for each in volumes) + sum(system),
        "floating_ips": len(document["addresses"]),
    }
    for kind, number in needed.items():
        default = cloud.quotas.get(kind)
        short = default is not None and 0 <= default < number
        yield Quota(kind, "", number, default, number if short else 0)


def _cost(document: Mapping[str, Any], cloud: Cloud) -> dict[str, Any]:
    """List prices a month, excluding tax; what has none is counted, never taken for nothing."""
    lines = [("servers", each["flavor"]["month"] if each["flavor"] else None) for each in document["hosts"]]  # fmt: skip
    lines += [("volumes", each["month"]) for each in document["volumes"]]
    lines += [("floating_ips", cloud.prices.get("floating_ip")) for _ in document["addresses"]]
    if cloud.profile["router_gateway_paid"]:
        lines.append(("router", cloud.prices.get("router")))
    kinds = {}
    for kind in dict.fromkeys(name for name, _ in lines):
        prices = [price for name, price in lines if name == kind]
        known = [price for price in prices if price is not None]
        kinds[kind] = {
            "month": round(sum(known), 2) if known else None,
            "unpriced": len(prices) - len(known),
        }
    priced = [price for _, price in lines if price is not None]
    return {
        "currency": cloud.currency,
        "kinds": kinds,
        "month": round(sum(priced), 2) if priced else None,
        "unpriced": len(lines) - len(priced),
        "facts": list(cloud.known(cloud.about("prices"), cloud.about("price_flavor"))),
    }


# ------------------------------------------------------------------------------------ what to look at


def _blockers(answers: Answers, cloud: Cloud, chosen: Mapping[str, tuple[FlavorChoice | None, int]], needs: Needs) -> Iterator[Text]:  # fmt: skip
    largest = max(cloud.flavors, key=lambda f: (f.gpu_count == 0, f.ram_gb), default=None)
    for name, (choice, _) in chosen.items():
        if choice is None:
            vcpu, gb = needs[name]
            yield text(
                "{host} needs {vcpu} vCPU and {gb} GB, more than any flavor of {cloud} has (largest: {largest}). Another target, or fewer users.",
                host=name, vcpu=int(vcpu), gb=gb, cloud=cloud.product, largest=largest.name if largest else "",
            )  # fmt: skip
    if not cloud.images.get(IMAGE):
        yield text("{cloud} has no image of Debian 13 in the catalogue.", cloud=cloud.product)
    if cloud.kind != "openstack":
        yield text(
            "{cloud} is no OpenStack: the stack of the suite cannot be made there. Hosts, volumes and ports below hold; order them by hand.",
            cloud=cloud.product,
        )  # fmt: skip
    if answers.directory["kind"] == "ldap" and answers.directory["url"].startswith("ldap://"):
        yield text("The directory is asked in clear text (ldap://): passwords would cross the network readable. Use ldaps://.")  # fmt: skip


def _findings(answers: Answers, document: Mapping[str, Any], cloud: Cloud, classes: Mapping[str, VolumeChoice]) -> Iterator[tuple[str, Text]]:  # fmt: skip
    for host in document["hosts"]:
        flavor = host["flavor"]
        if flavor and flavor["status"] not in ("read", "measured-by-third-party"):
            yield "warning", text("The flavor {flavor} of {host} is {status} in the catalogue: look whether the cloud has it.", flavor=flavor["name"], host=host["name"], status=text(flavor["status"]))  # fmt: skip
        if host["need"]["kept"]:
            yield "info", text("{host} is kept as large as a smaller client's had been: growing never shrinks a host.", host=host["name"])  # fmt: skip
    for work in dict.fromkeys("database" if v["role"].startswith("postgres") else "files" for v in document["volumes"]):  # fmt: skip
        held = classes[work]
        if "encrypted" in held.shortfall:
            yield "warning", text("Volumes of the class {type} are not encrypted by {cloud} as far as the catalogue knows.", type=held.name, cloud=cloud.product)  # fmt: skip
        if "iops" in held.shortfall:
            yield "info", text("The class {type} gives {lack} IOPS less than the 3,000 that the databases are planned with.", type=held.name, lack=held.shortfall["iops"])  # fmt: skip
    if not answers.backup["enabled"]:
        yield "warning", text("There is no backup: nothing that is lost comes back.")
    elif document["backup"]["made_by"] == "hand":
        yield "warning", text("The container {container} for backups is made by hand: no OpenStack there, or backup.os_cloud names no entry of clouds.yaml.", container=document["backup"]["container"])  # fmt: skip
    if not answers.key:
        yield "warning", text("No public SSH key is named: the stack takes the name of one that the project has.")  # fmt: skip
    if answers.federation == "list":
        yield "info", text("Chat with a list of servers is sized like chat without: the source knows closed and open alone.")  # fmt: skip
    if document["stack"]["designate"]:
        yield "warning", text("The zone {zone} must exist at the target; the stack fills it.", zone=answers.domain)  # fmt: skip
    if int(document["figures"]["stage"]["value"]) == 3:
        yield "info", text("files-1 serves the files of all application hosts over NFS: while it is down, so is Nextcloud.")  # fmt: skip
    if document["network"]["mbit"]["bridge"]:
        yield (
            "info",
            text("A bridge is planned with 1 Gbit/s; what the flavors really get is unverified."),
        )
    if answers.mail["user"] == "":
        yield "info", text("The mail relay {host} is used without a user: it must know the addresses of the hosts.", host=answers.mail["host"])  # fmt: skip
