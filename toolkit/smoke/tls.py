"""The edge as a stranger meets it: versions of TLS, chain and name, days left, headers, and where plain HTTP leads."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator

from toolkit.smoke.check import Check, Failed, Trial, expect
from toolkit.smoke.web import Web

HALF_A_YEAR = 15_768_000
"""Seconds for which a browser must remember to use HTTPS."""
OLD = {"TLS 1.0": 1, "TLS 1.1": 2}
"""Version -> its minor number on the wire (major is 3)."""
_CIPHERS = (0xC013, 0xC014, 0xC009, 0xC00A, 0x0035, 0x002F, 0x000A)
"""What a client of that time offers: ECDHE and RSA with AES-CBC, 3DES."""


def _names(trial: Trial) -> Iterator[str]:
    yield from trial.settings.get("tls.names")


def offers_old(web: Web, name: str, minor: int) -> bool:
    """Whether the server goes on with a hello of an old version; spoken by hand, since our own library refuses to."""
    host = name.encode()
    extensions = b"".join(
        struct.pack("!HH", kind, len(data)) + data
        for kind, data in (
            (0, struct.pack("!HBH", len(host) + 3, 0, len(host)) + host),
            (10, struct.pack("!HHHH", 6, 29, 23, 24)),
            (11, b"\x01\x00"),
        )
    )
    suites = struct.pack(f"!{len(_CIPHERS)}H", *_CIPHERS)
    body = bytes((3, minor)) + os.urandom(32) + b"\0" + struct.pack("!H", len(suites)) + suites + b"\x01\x00"  # fmt: skip
    body += struct.pack("!H", len(extensions)) + extensions
    hello = b"\x01" + struct.pack("!I", len(body))[1:] + body
    with web.dial(name, 443, tls=False) as line:
        line.sendall(b"\x16\x03\x01" + struct.pack("!H", len(hello)) + hello)
        with contextlib.suppress(ConnectionError, TimeoutError):
            head = line.recv(11, socket.MSG_WAITALL)
            return len(head) == 11 and head[0] == 0x16 and head[5] == 2 and head[10] == minor
    return False


def versions(trial: Trial) -> str:
    seen = set()
    for name in _names(trial):
        with trial.web.dial(name, 443, tls=True) as line:
            seen.add(line.version() if isinstance(line, ssl.SSLSocket) else "")
        old = [version for version, minor in OLD.items() if offers_old(trial.web, name, minor)]
        expect(not old, f"{name} still speaks {' and '.join(old)}")
    return ", ".join(sorted(filter(None, seen)))


def chain(trial: Trial) -> str:
    for name in _names(trial):
        try:
            trial.web.dial(name, 443, tls=True).close()
        except ssl.SSLCertVerificationError as error:
            raise Failed(f"{name}: {error.verify_message}") from None
    return f"{len(list(_names(trial)))} names"


def days_left(trial: Trial) -> str:
    least, soonest = trial.settings.get("tls.days_left"), float("inf")
    for name in _names(trial):
        with trial.web.dial(name, 443, tls=True) as line:
            held = line.getpeercert() if isinstance(line, ssl.SSLSocket) else None
        days = (ssl.cert_time_to_seconds(str((held or {})["notAfter"])) - time.time()) / 86400
        expect(days >= least, f"{name}: {days:.1f} days left, {least} are asked for")
        soonest = min(soonest, days)
    return f"{soonest:.0f} days"


def headers(trial: Trial) -> str:
    for name in _names(trial):
        got = trial.web.ask("GET", f"https://{name}/").headers
        age = re.search(r"max-age=\"?(\d+)", got.get("strict-transport-security", ""))
        expect(age and int(age[1]) >= HALF_A_YEAR, f"{name}: Strict-Transport-Security is {got.get('strict-transport-security', 'not there')}")  # fmt: skip
        expect(got.get("x-content-type-options", "").lower() == "nosniff", f"{name}: X-Content-Type-Options is not nosniff")  # fmt: skip
        expect(got.get("referrer-policy"), f"{name}: no Referrer-Policy")
        expect(not re.search(r"\d", got.get("server", "")), f"{name}: tells its version: {got.get('server')}")  # fmt: skip
        expect("x-powered-by" not in got, f"{name}: tells what it is made with: {got.get('x-powered-by')}")  # fmt: skip
    return ""


def redirect(trial: Trial) -> str:
    for name in _names(trial):
        got = trial.web.ask("GET", f"http://{name}/a?b=c")
        to = got.headers.get("location", "")
        expect(got.status in (301, 308) and to == f"https://{name}/a?b=c", f"http://{name}/a?b=c: {got.status} {to}")  # fmt: skip
    return ""


CHECKS = (
    Check("tls.chain", "certificates are whole, trusted, and of their names", chain, 40),
    Check("tls.versions", "TLS 1.2 or 1.3, nothing older", versions, 60, ("tls.chain",)),
    Check("tls.days-left", "certificates hold long enough to be renewed", days_left, 40, ("tls.chain",)),
    Check("tls.headers", "security headers are there, versions are not told", headers, 40, ("tls.chain",)),
    Check("tls.redirect", "plain HTTP leads to the same page in HTTPS, for good", redirect, 40),
)  # fmt: skip
