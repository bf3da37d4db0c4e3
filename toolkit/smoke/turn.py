"""A TURN client (RFC 8489, RFC 8656) over UDP, TCP and TLS: allocates with credentials, asks for a permission, gives back."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from toolkit.smoke.web import Web

COOKIE = 0x2112A442
ALLOCATE, REFRESH, PERMISSION = 0x003, 0x004, 0x008
SUCCESS, ERROR = 0x100, 0x110
USERNAME, INTEGRITY, ERROR_CODE, LIFETIME, PEER = 0x0006, 0x0008, 0x0009, 0x000D, 0x0012
REALM, NONCE, RELAYED, TRANSPORT = 0x0014, 0x0015, 0x0016, 0x0019
UDP = struct.pack("!B3x", 17)
WAITS = (0.5, 1.0, 2.0, 3.0)
"""Seconds until a request over UDP is sent again."""


class Refused(Exception):  # noqa: N818 - what a negative control hopes for
    """The server's error: `code` as in 401 (credentials), 403 (peer), 486 (quota)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the TURN server says {code} {reason}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """A `turn:` or `turns:` URI (RFC 7065)."""

    host: str
    port: int
    transport: str
    """`udp`, `tcp` or `tls`."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port} over {self.transport}"


def place(uri: str) -> Place:
    """`turns:turn.example.org:5349?transport=tcp` -> Place. Raises ValueError: no such URI, or DTLS, which is not spoken here."""
    scheme, _, rest = uri.partition(":")
    where, _, query = rest.partition("?")
    if scheme not in ("turn", "turns") or not where:
        raise ValueError(f"{uri!r} is no address of a TURN server")
    host, _, port = where.rpartition(":") if where.rpartition(":")[2].isdigit() else (where, "", "")
    asked = parse_qs(query).get("transport", ["tcp" if scheme == "turns" else "udp"])[0]
    if scheme == "turns" and asked != "tcp":
        raise ValueError(f"{uri}: DTLS is not spoken here")
    return Place(host, int(port or (5349 if scheme == "turns" else 3478)), "tls" if scheme == "turns" else asked)  # fmt: skip


class Line:
    """A connection to a TURN server with long-term credentials. Use it in `with`: what was allocated is given back."""

    def __init__(self, web: Web, to: Place, user: str, password: str) -> None:
        self.to, self.user, self.password = to, user, password
        self.realm, self.nonce = b"", b""
        self.allocated = False
        if to.transport == "udp":
            host, port = web.place(to.host, to.port)
            kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self.line = socket.socket(kind, socket.SOCK_DGRAM)
            self.line.connect(address)
        else:
            self.line = web.dial(to.host, to.port, tls=to.transport == "tls")

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.allocated:
                with contextlib.suppress(Refused, OSError):
                    self._ask(REFRESH, {LIFETIME: struct.pack("!I", 0)})
        finally:
            self.line.close()

    def allocate(self) -> str:
        """The relayed address. Raises Refused where the credentials do not hold."""
        try:
            held = self._exchange(ALLOCATE, {TRANSPORT: UDP})
        except _Challenge as challenge:  # the first answer says realm and nonce
            self.realm, self.nonce = challenge.realm, challenge.nonce
            held = self._ask(ALLOCATE, {TRANSPORT: UDP})
        self.allocated = True
        if RELAYED not in held:
            raise OSError(0, "the TURN server allocates without an address")
        return _address(held[RELAYED])

    def permit(self, peer: str) -> None:
        """Ask to send to an IPv4 address. Raises Refused where the server keeps it apart."""
        number = int(ipaddress.IPv4Address(peer)) ^ COOKIE
        self._ask(PERMISSION, {PEER: struct.pack("!BBHI", 0, 1, 9 ^ (COOKIE >> 16), number)})

    def _ask(self, method: int, attributes: Mapping[int, bytes]) -> Mapping[int, bytes]:
        """A request with credentials; a nonce that is over is taken from the answer once."""
        for again in (False, True):
            signed = {**attributes, USERNAME: self.user.encode(), REALM: self.realm, NONCE: self.nonce}  # fmt: skip
            key = hashlib.md5(f"{self.user}:{self.realm.decode()}:{self.password}".encode(), usedforsecurity=False)  # fmt: skip
            try:
                return self._exchange(method, signed if self.realm else attributes, key.digest() if self.realm else b"")  # fmt: skip
            except _Challenge as challenge:
                if again or challenge.code != 438:
                    raise Refused(challenge.code, challenge.reason) from None
                self.nonce = challenge.nonce
        raise AssertionError

    def _exchange(self, method: int, attributes: Mapping[int, bytes], key: bytes = b"") -> Mapping[int, bytes]:  # fmt: skip
        number = os.urandom(12)
        request = message(method, number, attributes, key)
        for answer in self._answers(request):
            kind, told = struct.unpack("!H2xI", answer[:8])
            if told != COOKIE or answer[8:20] != number:
                continue  # somebody else's, or one that came late
            held = dict(_attributes(answer))
            if kind == method | SUCCESS:
                if key and not _signed(answer, key):
                    raise OSError(0, "the TURN server's answer is not signed by the password")
                return held
            if kind == method | ERROR:
                code = held.get(ERROR_CODE, b"\0\0\0\0")
                reason = code[4:].decode("utf-8", "replace")
                if code[2] * 100 + code[3] in (401, 438) and NONCE in held:
                    raise _Challenge(code[2] * 100 + code[3], reason, held.get(REALM, self.realm), held[NONCE])  # fmt: skip
                raise Refused(code[2] * 100 + code[3], reason)
        raise TimeoutError

    def _answers(self, request: bytes) -> Iterator[bytes]:
        if self.to.transport != "udp":
            self.line.sendall(request)
            while True:
                head = self._read(20)
                yield head + self._read(struct.unpack("!2xH", head[:4])[0])
        for wait in WAITS:
            self.line.send(request)
            until = time.monotonic() + wait
            while (left := until - time.monotonic()) > 0:
                self.line.settimeout(left)
                with contextlib.suppress(TimeoutError):
                    answer = self.line.recv(4096)
                    if len(answer) >= 20:
                        yield answer

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.line.recv(count - len(data))
            if not more:
                raise ConnectionResetError(0, "the TURN server hangs up")
            data += more
        return data


class _Challenge(Exception):  # noqa: N818 - the first half of signing in
    def __init__(self, code: int, reason: str, realm: bytes, nonce: bytes) -> None:
        super().__init__(code)
        self.code, self.reason, self.realm, self.nonce = code, reason, realm, nonce


def message(method: int, number: bytes, attributes: Mapping[int, bytes], key: bytes = b"") -> bytes:
    """A request in bytes; with a key it ends in MESSAGE-INTEGRITY (HMAC-SHA1 over a head that counts it already)."""
    body = b"".join(
        struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in attributes.items()
    )
    if key:
        head = struct.pack("!HHI", method, len(body) + 24, COOKIE) + number
        body += struct.pack("!HH", INTEGRITY, 20) + hmac.digest(key, head + body, "sha1")
    return struct.pack("!HHI", method, len(body), COOKIE) + number + body


def _attributes(answer: bytes) -> Iterator[tuple[int, bytes]]:
    at = 20
    while at + 4 <= len(answer):
        kind, size = struct.unpack("!HH", answer[at : at + 4])
        yield kind, answer[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


def _signed(answer: bytes, key: bytes) -> bool:
    at = 20
    while at + 24 <= len(answer):
        kind, size = struct.unpack("!HH", answer[at : at + 4])
        if kind == INTEGRITY:
            head = answer[:2] + struct.pack("!H", at + 24 - 20) + answer[4:20]
            return hmac.compare_digest(hmac.digest(key, head + answer[20:at], "sha1"), answer[at + 4 : at + 24])  # fmt: skip
        at += 4 + size + -size % 4
    return False


def _address(value: bytes) -> str:
    _, family, port, number = struct.unpack("!BBHI", value[:8])
    if family != 1:
        return "an IPv6 address"
    return f"{ipaddress.IPv4Address(number ^ COOKIE)}:{port ^ (COOKIE >> 16)}"
