"""TLS, headers and ports: a good gate is green, and each fault of it turns its own check red."""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.smoke import HOST, Authority, Gate, Said, free_port, reds, smoke_toml, tried
from toolkit.smoke import ports, tls
from toolkit.suite.answers import load
from toolkit.suite.plan import plan

ROOT = Path(__file__).parents[1]
NAMES = ("cloud.smoke.test", "meet.smoke.test")


def _site(_asked: object) -> Said:
    return Said(200, body=b"a page")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "ca"
    folder.mkdir()
    return Authority(folder)


def gate(authority: Authority, **how: Any) -> Gate:
    return Gate(authority, dict.fromkeys(NAMES, _site), **how)


def config(folder: Path, authority: Authority, gate: Gate, *more: str) -> Path:
    connect = gate.connect() | {f"{name}:443": f"{HOST}:{gate.port}" for name in more} | {f"{name}:80": f"{HOST}:{gate.plain_port}" for name in more}  # fmt: skip
    return smoke_toml(folder, ca_file=authority.file, connect=connect, tls={"names": [*NAMES, *more]})  # fmt: skip


def test_a_good_edge(tmp_path: Path, authority: Authority) -> None:
    with gate(authority) as edge:
        got = tried(config(tmp_path, authority, edge), "tls")
    assert {name: held[0] for name, held in got.items()} == dict.fromkeys((check.id for check in tls.CHECKS), "ok")  # fmt: skip
    assert got["tls.versions"][1] == "TLSv1.3"
    assert got["tls.days-left"][1] == "60 days"


def _without(name: str) -> Callable[[Gate, ExitStack], None]:
    return lambda edge, _stack: edge.security.__delitem__(name)


def _set(**headers: str) -> Callable[[Gate, ExitStack], None]:
    return lambda edge, _stack: edge.security.update({name.replace("_", "-"): value for name, value in headers.items()})  # fmt: skip


def _tells_version(edge: Gate, _stack: ExitStack) -> None:
    edge.server = "nginx/1.26.3"


def _plain(said: Said) -> Callable[[Gate, ExitStack], None]:
    return lambda edge, stack: stack.enter_context(edge.broken("^/a", said=said))


@pytest.mark.parametrize(
    ("check", "how", "fault"),
    [
        ("tls.versions", {"old": True}, None),
        ("tls.days-left", {"days": 5}, None),
        ("tls.headers", {}, _without("Strict-Transport-Security")),
        ("tls.headers", {}, _set(Strict_Transport_Security="max-age=300")),
        ("tls.headers", {}, _without("X-Content-Type-Options")),
        ("tls.headers", {}, _without("Referrer-Policy")),
        ("tls.headers", {}, _set(X_Powered_By="PHP/8.4.11")),
        ("tls.headers", {}, _tells_version),
        ("tls.redirect", {}, _plain(Said(200))),
        ("tls.redirect", {}, _plain(Said(302, {"Location": "https://cloud.smoke.test/a?b=c"}))),
        ("tls.redirect", {}, _plain(Said(301, {"Location": "https://elsewhere.test/a?b=c"}))),
    ],
)
def test_each_fault_turns_its_own_check_red(
    tmp_path: Path, authority: Authority, check: str, how: dict[str, Any],
    fault: Callable[[Gate, ExitStack], None] | None,
) -> None:  # fmt: skip
    with gate(authority, **how) as edge, ExitStack() as stack:
        if fault:
            fault(edge, stack)
        got = tried(config(tmp_path, authority, edge), "tls")
    assert reds(got) == {check}, got


@pytest.mark.parametrize("fault", ["name", "authority", "over"])
def test_a_certificate_that_a_browser_refuses(tmp_path: Path, authority: Authority, fault: str) -> None:  # fmt: skip
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other") if fault == "authority" else authority
    with gate(authority, days=-0.01 if fault == "over" else 60) as edge:
        got = tried(config(tmp_path, other, edge, *(["chat.smoke.test"] if fault == "name" else [])), "tls")  # fmt: skip
    assert reds(got) == {"tls.chain"}, got
    says = {"name": "chat.smoke.test: Hostname mismatch", "authority": "self-signed certificate in certificate chain", "over": "has expired"}  # fmt: skip
    assert says[fault] in got["tls.chain"][1]


# ------------------------------------------------------------------------------------------- ports


@cache
def _planned() -> dict[str, Any]:
    return plan(load(ROOT / "tests/estates/town-20/suite.toml"))


def declaring(*numbers: int) -> dict[str, Any]:
    """The plan of a suite on one host that declares these TCP ports instead of its own."""
    held = copy.deepcopy(_planned())
    row = next(port for port in held["ports"] if port["source"] == "anyone")
    held["ports"] = [{**row, "protocol": "tcp", "first": number, "last": number} for number in numbers]  # fmt: skip
    return held


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as held:
        yield held.getsockname()[1]


def _addresses(folder: Path, address: str = HOST) -> Path:
    return smoke_toml(folder, ports={"addresses": [f"edge={address}"]})


def test_ports_are_those_that_are_declared(tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(ports, "INNER", (listening, free_port()))
    got = tried(_addresses(tmp_path), "ports", plan=declaring(listening))
    assert {name: held[0] for name, held in got.items()} == {"ports.open": "ok", "ports.closed": "ok"}  # fmt: skip


def test_a_declared_port_that_is_shut(tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    shut = free_port()
    monkeypatch.setattr(ports, "INNER", (free_port(),))
    got = tried(_addresses(tmp_path), "ports", plan=declaring(listening, shut))
    assert reds(got) == {"ports.open"}
    assert str(shut) in got["ports.open"][1]
    assert str(listening) not in got["ports.open"][1]


def test_an_open_port_that_is_not_declared(tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    with socket.create_server((HOST, 0)) as database:
        number = database.getsockname()[1]
        monkeypatch.setattr(ports, "INNER", (number,))
        got = tried(_addresses(tmp_path), "ports", plan=declaring(listening))
    assert reds(got) == {"ports.closed"}
    assert str(number) in got["ports.closed"][1]


def test_only_addresses_of_the_suite_are_tried(tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """An address under a name that suite.json does not have is no host of the suite."""
    monkeypatch.setattr(ports, "INNER", (listening,))
    path = smoke_toml(tmp_path, ports={"addresses": [f"neighbour={HOST}"]})
    got = tried(path, "ports", plan=declaring())
    assert got["ports.closed"] == ("not run", "ports.addresses has no address for edge")
    assert tried(_addresses(tmp_path), "ports.closed")["ports.closed"] == ("not run", "there is no suite.json that declares ports")  # fmt: skip


def test_ports_of_a_large_suite_belong_to_their_own_address() -> None:
    held = plan(load(ROOT / "tests/estates/town-3000/suite.toml"))
    wide, some = ports.declared(held, "edge")
    assert (wide, some) == ({80, 443}, {22})
    wide, some = ports.declared(held, "turn")
    assert (wide, some) == ({3478, 5349}, {80})
    assert not {5432, 5433, 6379, 8008, 8443, 8444, 8445, 8888} - set(ports.INNER)
