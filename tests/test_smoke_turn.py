"""The TURN client: addresses, bytes, answers that must not be trusted; and a homeserver that is found by delegation."""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.smoke import HOST, Authority, Gate, Said, found, reds, smoke_toml, tried
from toolkit.smoke import turn
from toolkit.smoke.web import Web


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("turn:turn.example.org", ("turn.example.org", 3478, "udp")),
        ("turn:turn.example.org:3479?transport=tcp", ("turn.example.org", 3479, "tcp")),
        ("turns:turn.example.org", ("turn.example.org", 5349, "tls")),
        ("turns:turn.example.org:443?transport=tcp", ("turn.example.org", 443, "tls")),
    ],
)
def test_an_address_says_where_and_how(uri: str, place: tuple[str, int, str]) -> None:
    assert turn.place(uri) == turn.Place(*place)


@pytest.mark.parametrize("uri", ["stun:turn.example.org", "turn:", "turns:turn.example.org?transport=udp", "https://turn.example.org"])  # fmt: skip
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="turn"):
        turn.place(uri)


def test_a_signature_covers_all_that_is_before_it() -> None:
    """RFC 8489, 14.5: the length in the head counts the signature, the HMAC ends before it."""
    held = turn.message(turn.ALLOCATE, b"x" * 12, {turn.USERNAME: b"ada"}, b"key")
    kind, size, cookie = struct.unpack("!HHI", held[:8])
    assert (kind, size, cookie) == (3, len(held) - 20, turn.COOKIE)
    assert held[20:28] == b"\x00\x06\x00\x03ada\x00", "padded to four bytes"
    assert held[28:32] == b"\x00\x08\x00\x14"
    assert held[32:] == hmac.digest(b"key", held[:28], "sha1")


@contextmanager
def played(answers: Callable[[bytes, int], list[bytes]]) -> Iterator[int]:
    """A server over UDP that answers the n-th request with these bytes; no real one says such things."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind((HOST, 0))
        line.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:
            number = 0
            while not over.is_set():
                try:
                    request, peer = line.recvfrom(2048)
                except TimeoutError:
                    continue
                for each in answers(request, number):
                    line.sendto(each, peer)
                number += 1

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield line.getsockname()[1]
        finally:
            over.set()
            thread.join(5)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _answer(request: bytes, kind: int, body: bytes, number: bytes = b"") -> bytes:
    return struct.pack("!HHI", kind, len(body), turn.COOKIE) + (number or request[8:20]) + body


_ASKS = _attribute(turn.ERROR_CODE, b"\0\0\4\1Unauthorized") + _attribute(turn.REALM, b"r") + _attribute(turn.NONCE, b"n")  # fmt: skip
_RELAYED = _attribute(turn.RELAYED, struct.pack("!BBHI", 0, 1, 0, 0))


def _line(port: int) -> turn.Line:
    return turn.Line(Web({}), turn.Place(HOST, port, "udp"), "ada", "word")


def test_an_answer_that_the_password_did_not_sign_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Whoever sits between could say that everything is well."""
    monkeypatch.setattr(turn, "WAITS", (0.5,))

    def unsigned(request: bytes, number: int) -> list[bytes]:
        if number == 0:
            return [_answer(request, turn.ALLOCATE | turn.ERROR, _ASKS)]
        return [_answer(request, turn.ALLOCATE | turn.SUCCESS, _RELAYED)]

    with played(unsigned) as port, _line(port) as line, pytest.raises(OSError, match="not signed"):
        line.allocate()


def test_a_strange_answer_is_passed_over_and_a_lost_request_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(turn, "WAITS", (0.3, 2.0))
    key = hashlib.md5(b"ada:r:word", usedforsecurity=False).digest()

    def slow(request: bytes, number: int) -> list[bytes]:
        if number == 0:
            return []  # lost
        if number == 1:
            return [b"noise", _answer(request, turn.ALLOCATE | turn.SUCCESS, _RELAYED, b"y" * 12), _answer(request, turn.ALLOCATE | turn.ERROR, _ASKS)]  # fmt: skip
        head = struct.pack("!HHI", turn.ALLOCATE | turn.SUCCESS, len(_RELAYED) + 24, turn.COOKIE) + request[8:20]  # fmt: skip
        return [head + _RELAYED + _attribute(turn.INTEGRITY, hmac.digest(key, head + _RELAYED, "sha1"))]  # fmt: skip

    with played(slow) as port:
        line = _line(port)
        assert line.allocate() == f"33.18.164.66:{turn.COOKIE >> 16}", (
            "zero, as the cookie covers it"
        )
        line.line.close()


def test_a_server_that_is_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "WAITS", (0.1, 0.1))
    with played(lambda _request, _number: []) as port, _line(port) as line, pytest.raises(TimeoutError):  # fmt: skip
        line.allocate()


# ------------------------------------------------------------------------- a homeserver by its name


def _chat(authority: Authority, sites: dict[str, Any]) -> Gate:
    return Gate(authority, sites)


def _tried(folder: Path, authority: Authority, gate: Gate) -> dict[str, tuple[str, str]]:
    matrix = {"url": "https://matrix.smoke.test", "server_name": "smoke.test", "federation": "on"}
    connect = {**gate.connect(), "matrix.smoke.test:8448": f"{HOST}:{gate.port}", "smoke.test:8448": f"{HOST}:{gate.port}"}  # fmt: skip
    config = smoke_toml(folder, ca_file=authority.file, connect=connect, matrix=matrix)
    return tried(config, "matrix.federation-version")


def _version(_asked: object) -> Said:
    return found({"server": {"name": "played", "version": "1"}})


@pytest.mark.parametrize(
    ("delegation", "seen"),
    [
        (found({"m.server": "matrix.smoke.test:443"}), "ok"),
        (found({"m.server": "matrix.smoke.test"}), "ok"),
        (Said(404), "ok"),
        (found({}), "failed"),
        (Said(200, body=b"<html>"), "failed"),
        (found({"m.server": "nowhere.smoke.test:443"}), "failed"),
    ],
)
def test_other_servers_are_led_by_the_delegation(tmp_path: Path, delegation: Said, seen: str) -> None:  # fmt: skip
    authority = Authority(tmp_path)

    def domain(asked: Any) -> Said:
        return delegation if asked.path == "/.well-known/matrix/server" else _version(asked)

    with _chat(authority, {"smoke.test": domain, "matrix.smoke.test": _version}) as gate:
        got = _tried(tmp_path, authority, gate)
    assert got["matrix.federation-version"][0] == seen, got
    assert reds(got) == ({"matrix.federation-version"} if seen == "failed" else set())
