"""Ports of the suite's own public addresses, from here, against the table of suite.json. TCP; what UDP hides only its users see."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toolkit.smoke.check import Check, NotRun, Trial, expect

INNER = (
    21, 23, 25, 53, 80, 110, 111, 139, 143, 389, 443, 445, 587, 636, 873, 993, 2049, 2375, 3000, 3306, 3389, 3478, 5000, 5222,
    5269, 5280, 5281, 5347, 5349, 5432, 5433, 5665, 5766, 6379, 6380, 8000, 8008, 8080, 8081, 8088, 8443, 8444, 8445, 8448,
    8787, 8888, 9000, 9001, 9090, 9091, 9093, 9100, 9113, 9115, 9187, 9188, 9222, 9418, 9641, 10050, 11211, 27017,
)  # fmt: skip
"""Ports behind which the suite, its roles' programs and their defaults would answer, and the usual forgotten ones."""
SECONDS = 2.0


def _addresses(trial: Trial) -> dict[str, str]:
    """Name of a floating address -> the address, as far as they are given."""
    held = dict(each.partition("=")[::2] for each in trial.settings.get("ports.addresses"))
    if trial.settings.plan is None:
        raise NotRun("there is no suite.json that declares ports")
    wanted = [host["public"] for host in trial.settings.plan["hosts"] if host["public"]]
    missing = [name for name in dict.fromkeys(wanted) if not held.get(name)]
    if missing:
        raise NotRun(f"ports.addresses has no address for {', '.join(missing)}")
    return {name: held[name] for name in dict.fromkeys(wanted)}


def declared(plan: Mapping[str, Any], public: str) -> tuple[set[int], set[int]]:
    """TCP ports of a public address: for anyone; and those that may be open or not, seen from here at this moment."""
    kinds = {host["kind"] for host in plan["hosts"] if host["public"] == public}
    wide, some = set(), set()
    for port in plan["ports"]:
        if port["kind"] in kinds and port["protocol"] == "tcp":
            held = range(port["first"], port["last"] + 1)
            if port["role"] == "turn" and port["first"] == 80:
                some |= set(held)  # somebody listens there while a certificate is renewed
            elif port["source"] == "anyone":
                wide |= set(held)
            elif port["source"] == "operators":
                some |= set(held)
    return wide, some - wide


def _answers(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=SECONDS).close()
    except OSError:
        return False
    return True


def _scan(places: list[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], bool]]:
    with ThreadPoolExecutor(16) as pool:
        yield from zip(places, pool.map(_answers, places), strict=True)


def open_(trial: Trial) -> str:
    places = []
    for name, address in _addresses(trial).items():
        wide, _ = declared(trial.settings.plan or {}, name)
        places += [(address, port) for port in sorted(wide)]
    shut = [f"{address}:{port}" for (address, port), there in _scan(places) if not there]
    expect(not shut, f"declared, and nobody answers: {', '.join(shut)}")
    return f"{len(places)} ports"


def closed(trial: Trial) -> str:
    places = []
    for name, address in _addresses(trial).items():
        wide, some = declared(trial.settings.plan or {}, name)
        places += [(address, port) for port in INNER if port not in wide | some]
    found = [f"{address}:{port}" for (address, port), there in _scan(places) if there]
    expect(not found, f"open, and not declared: {', '.join(found)}")
    return f"{len(places)} ports"


CHECKS = (
    Check("ports.open", "what is declared for anyone answers (TCP)", open_, 60),
    Check("ports.closed", "nothing else of the suite answers from here (TCP)", closed, 90),
)
