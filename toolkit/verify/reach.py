"""Paths that the plan allows, and some that it forbids -> which of them answer, tried from here and from server to server.

From here: TCP to floating IPs. Between servers: over SSH with the operator's key, directly or through a
server of the network that the plan lets be reached by SSH from outside; `probe.py` is what runs there.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from toolkit.verify import probe as probe_module
from toolkit.verify.admission import Admitted, Interval, asked
from toolkit.verify.compare import Comparison, FindingKind, Planned, finding
from toolkit.verify.probe import probe_all
from toolkit.verify.unplanned import BALANCER, PORT, SERVER
from toolkit.verify.values import Unknown

TCP, SSH = 6, 22
COMMON = (22, 80, 443, 3306, 5432, 6379, 8080, 9200, 23)
"""Ports of which the first that nobody admits is the forbidden sample of a pair."""
MOST_FORBIDDEN = 60
SSH_SECONDS = 60
NOT_IN = "SSH with that key does not get in, or there is no python3"
BARRED = "the plan admits no SSH to it from"
"""Why nothing could be tried from a server: it does not let in who is expected, or nobody is."""


@dataclass(frozen=True, slots=True)
class End:
    """A planned server's interface, or the public address of a balancer."""

    planned: Planned
    address: str
    network: str
    groups: frozenset[str]
    openings: tuple[Admitted, ...]
    floating: str = ""


@dataclass(frozen=True, slots=True)
class Path_:  # noqa: N801 - `Path` is taken
    """One try: from a server (or from here: None) to an address and port; `allowed` as the plan has it."""

    source: End | None
    to: End
    address: str
    port: int
    allowed: bool
    answer: str = ""

    def json(self) -> dict[str, Any]:
        return {
            "from": self.source.planned.name if self.source else "", "to": self.to.planned.name, "address": self.address, "port": self.port,
            "allowed": self.allowed, "answer": self.answer,
        }  # fmt: skip


def ends(comparison: Comparison) -> list[End]:
    """Every interface of a planned server that is there, with what its planned groups admit."""
    servers = {
        each["id"]: planned
        for planned in comparison.planned.values()
        if planned.type == SERVER and comparison.readable(planned)
        for each in comparison.all_found(planned)[:1]
    }
    found = []
    for planned in comparison.planned.values():
        if planned.type != PORT or not comparison.readable(planned):
            continue
        for port in comparison.all_found(planned)[:1]:
            if port["device_id"] in servers and port["all_fixed_ips"]:
                names = _groups(planned)
                bound = comparison.children(planned.place, "bindings", "port_id", port["id"])
                found.append(End(
                    servers[port["device_id"]], port["all_fixed_ips"][0], port["network_id"],
                    frozenset(each["id"] for name in names for each in comparison.all_found(comparison.planned[name])[:1]),
                    tuple(_openings(comparison, names)), bound[0]["floating_ip"] if bound else "",
                ))  # fmt: skip
    return found


def _groups(planned: Planned) -> list[str]:
    return [each["$ref"] for each in planned.props.get("security_group_ids", ()) if isinstance(each, dict)]  # fmt: skip


def _openings(comparison: Comparison, groups: Iterable[str]) -> Iterator[Admitted]:
    for group in groups:
        for each in comparison.rules_of.get(group, ()):
            try:
                yield asked(comparison.values(each.stack).of(dict(each.props)))
            except Unknown:
                continue


def admits(end: End, direction: str, peer: End | None, port: int) -> bool:
    """Whether the planned groups of an interface let TCP to a port pass; a peer of None is anybody on the internet."""
    return any(_matches(each, direction, peer) and _within(port, each.box[1]) for each in end.openings)  # fmt: skip


def _matches(each: Admitted, direction: str, peer: End | None) -> bool:
    if each.side[0] != direction or each.side[1] != "IPv4" or not _within(TCP, each.box[0]):
        return False
    if each.side[2]:
        return peer is not None and each.side[2] in peer.groups
    if peer is None:
        return each.box[3] == (0, (1 << 32) - 1)
    return _within(int(ipaddress.IPv4Address(peer.address)), each.box[3])


def _within(value: int, span: Interval) -> bool:
    return span[0] <= value <= span[1]


def paths(comparison: Comparison) -> list[Path_]:
    """Every allowed TCP path (the first port of each opening), and a sample of forbidden ones."""
    held = ends(comparison)
    allowed: dict[tuple[str, str, int], Path_] = {}
    forbidden: list[Path_] = []
    for to in held:
        if to.floating:
            allowed |= {("", to.floating, port): Path_(None, to, to.floating, port, True) for port in _ports(to, None)}  # fmt: skip
            forbidden += _forbidden(None, to, to.floating)
        for source in held:
            if source.planned is to.planned or source.network != to.network:
                continue
            tried = [port for port in _ports(to, source) if admits(source, "egress", to, port)]
            allowed |= {(source.planned.name, to.address, port): Path_(source, to, to.address, port, True) for port in tried}  # fmt: skip
            forbidden += _forbidden(source, to, to.address)
    for path in _listeners(comparison):
        allowed["", path.address, path.port] = path
    step = max(1, -(-len(forbidden) // MOST_FORBIDDEN))
    return [*allowed.values(), *forbidden[::step]]


def _ports(to: End, peer: End | None) -> list[int]:
    """The first port of each opening that a peer may use; 22 where an opening has all of them."""
    return sorted(
        {each.box[1][0] or SSH for each in to.openings if _matches(each, "ingress", peer)}
    )


def _forbidden(source: End | None, to: End, address: str) -> list[Path_]:
    for port in COMMON:
        if not admits(to, "ingress", source, port):
            return [Path_(source, to, address, port, False)]
    return []


def _listeners(comparison: Comparison) -> Iterator[Path_]:
    """The public address of each balancer, at each port that anybody may connect to."""
    for planned in comparison.planned.values():
        if planned.type != BALANCER or not comparison.readable(planned):
            continue
        for balancer in comparison.all_found(planned)[:1]:
            for bound in comparison.children(planned.place, "bindings", "port_id", balancer["vip_port_id"]):  # fmt: skip
                end = End(planned, balancer["vip_address"], "", frozenset(), (), bound["floating_ip"])  # fmt: skip
                for each in comparison.children(planned.place, "listeners", "loadbalancer_id", balancer["id"]):  # fmt: skip
                    if each["protocol"] != "UDP" and set(each["allowed_cidrs"] or ["0.0.0.0/0"]) >= {"0.0.0.0/0"}:  # fmt: skip
                        yield Path_(None, end, end.floating, int(each["protocol_port"]), True)


def reach(
    said: dict[str, Any], comparison: Comparison, key: Path, user: str, known_hosts: Path
) -> None:
    """Try the paths of the plan and put what came of it into the document: `reach`, findings and totals."""
    done, untold = try_all(paths(comparison), key, user, known_hosts)
    record(said, done, untold)


def record(
    said: dict[str, Any], done: Sequence[Path_], untold: Sequence[Mapping[str, Any]]
) -> None:
    """What came of the tries, into the document: a path is a finding where its answer is not what its kind is for."""
    allowed = [each for each in done if each.allowed]
    forbidden = [each for each in done if not each.allowed]
    said["reach"] = {
        "allowed": len(allowed), "answered": sum(each.answer != "silent" for each in allowed),
        "forbidden": len(forbidden), "silent": sum(each.answer == "silent" for each in forbidden),
        "not_tried": list(untold), "paths": [each.json() for each in done],
    }  # fmt: skip
    for each in done:
        if each.allowed == (each.answer == "silent"):
            kind: FindingKind = "does not answer" if each.allowed else "answers"
            said["findings"].append(finding(each.to.planned, kind, id=each.address, property=f"tcp {each.port}", planned="allowed" if each.allowed else "forbidden", found=each.json()).json())  # fmt: skip
    said["totals"]["findings"] = dict(sorted(Counter(each["kind"] for each in said["findings"]).items()))  # fmt: skip


def try_all(
    tried: Sequence[Path_], key: Path, user: str, known_hosts: Path
) -> tuple[list[Path_], list[dict[str, Any]]]:
    """The paths with their answers, and the servers from which nothing could be tried, with the reason."""
    here = [each for each in tried if each.source is None]
    answers = probe_all([[each.address, each.port] for each in here])
    done = [replace(path, answer=answer) for path, answer in zip(here, answers, strict=True)]
    by_source: dict[str, list[Path_]] = {}
    for each in tried:
        if each.source is not None:
            by_source.setdefault(each.source.planned.name, []).append(each)
    # the way in leads through whoever the plan lets be reached by SSH from outside
    doors = {
        each.to.network: each.to
        for each in here
        if each.allowed and each.port == SSH and each.to.floating
    }
    untold = []
    with ThreadPoolExecutor(4) as pool:
        running = {
            name: pool.submit(_from_server, held, doors.get(_source(held).network), key, user, known_hosts)
            for name, held in by_source.items()
        }  # fmt: skip
        for name, future in running.items():
            result = future.result()
            if isinstance(result, str):
                untold.append({"from": name, "reason": result, "paths": len(by_source[name])})
            else:
                done += result
    return done, untold


def _source(held: Sequence[Path_]) -> End:
    source = held[0].source
    assert source is not None  # noqa: S101 - grouped by it
    return source


def _from_server(
    held: Sequence[Path_], door: End | None, key: Path, user: str, known_hosts: Path
) -> list[Path_] | str:
    source = _source(held)
    if source.floating:
        line = ssh(user, source.floating, key, known_hosts)
    elif door is not None:
        line = ssh(user, source.address, key, known_hosts, door.floating)
    else:
        return "no server of its network can be reached by SSH from outside"
    program = Path(probe_module.__file__).read_bytes()
    targets = orjson.dumps([[each.address, each.port] for each in held]).decode()
    try:
        run = subprocess.run(
            [*line, "python3", "-", f"'{targets}'"], input=program, capture_output=True, timeout=SSH_SECONDS + len(held), check=False
        )  # fmt: skip
        answers = orjson.loads(run.stdout) if run.returncode == 0 else []
    except (subprocess.TimeoutExpired, orjson.JSONDecodeError):
        answers = []
    if len(answers) != len(held):
        if source.floating or door is None:
            return NOT_IN
        let = admits(door, "egress", source, SSH) and admits(source, "ingress", door, SSH)
        return NOT_IN if let else f"{BARRED} {door.planned.name}"
    return [replace(path, answer=answer) for path, answer in zip(held, answers, strict=True)]


def ssh(user: str, address: str, key: Path, known_hosts: Path, through: str = "") -> list[str]:
    """The command line of SSH to a server: no question, no agent; a host key is learnt once and then held to."""
    options = [
        "-i", str(key), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ForwardAgent=no", "-o", "ConnectTimeout=10",
        "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known_hosts}",
    ]  # fmt: skip
    if through:
        import shlex

        hop = shlex.join(["ssh", *options, "-W", "%h:%p", f"{user}@{through}"])
        options += ["-o", f"ProxyCommand={hop}"]
    return ["ssh", *options, f"{user}@{address}"]


def reasons(untold: Iterable[Mapping[str, Any]]) -> list[str]:
    """What could not be tried, for people."""
    return [f"{each['from']}: {each['reason']} ({each['paths']} paths)" for each in untold]
