"""HTTP as a client of the suite speaks it: names led to given addresses, a private CA, no redirect followed unasked."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

MOST = 64 * 1024 * 1024
"""Bytes of an answer that are read."""
AGENT = "repatria-smoke"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case; several `set-cookie` side by side) and body; `url` is what was asked."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    def json(self) -> Any:
        """The body. Raises json.JSONDecodeError."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Web:
    """Requests, each on a connection of its own. Raises OSError and http.client.HTTPException."""

    def __init__(
        self, connect: Mapping[str, str], ca_file: str = "", seconds: float = 20.0
    ) -> None:
        self.connect = connect
        self.seconds = seconds
        self.tls = ssl.create_default_context()
        if ca_file:
            self.tls.load_verify_locations(ca_file)

    def place(self, host: str, port: int) -> tuple[str, int]:
        """Where a name leads: what the settings say of `host:port` or `host`, else itself."""
        to = self.connect.get(f"{host}:{port}") or self.connect.get(host)
        if not to:
            return host, port
        address, _, own = to.rpartition(":") if to.count(":") == 1 else (to, "", "")
        return (address, int(own)) if own else (to, port)

    def dial(self, host: str, port: int, *, tls: bool) -> socket.socket:
        """A connected socket, in TLS where asked, the certificate checked against the name."""
        plain = socket.create_connection(self.place(host, port), timeout=self.seconds)
        if not tls:
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None,
        json_body: Any = None, form: Mapping[str, str] | None = None, user: str = "", password: str = "",
        token: str = "",
    ) -> Answer:  # fmt: skip
        """One request, no redirect followed."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = parts.hostname or ""
        sent = {"User-Agent": AGENT, "Accept": "*/*", **(headers or {})}
        if json_body is not None:
            body, sent["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        if form is not None:
            body, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"  # fmt: skip
        if user:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()  # fmt: skip
        if token:
            sent["Authorization"] = f"Bearer {token}"
        line = http.client.HTTPConnection(host, port, timeout=self.seconds)
        try:
            line.sock = self.dial(host, port, tls=parts.scheme == "https")
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            line.request(method, target, body, {"Host": parts.netloc, "Connection": "close", **sent})  # fmt: skip
            got = line.getresponse()
            data = got.read(MOST)
            return Answer(
                url, got.status, {name.lower(): value for name, value in got.getheaders()}, data,
                tuple(got.headers.get_all("set-cookie") or ()),
            )  # fmt: skip
        finally:
            line.close()


class Browser:
    """A client that keeps cookies for each host and follows redirects of GET, as a sign-on by form needs it."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.jar: dict[str, dict[str, str]] = {}

    def ask(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, stop: str = ""
    ) -> Answer:
        """The last answer; where a redirect leads to an address that begins with `stop`, the redirect itself."""
        for _ in range(12):
            host = urlsplit(url).netloc
            held = "; ".join(f"{name}={value}" for name, value in self.jar.get(host, {}).items())
            got = self.web.ask(method, url, form=form, headers={"Cookie": held} if held else {})
            for each in got.cookies:
                name, _, value = each.partition(";")[0].strip().partition("=")
                self.jar.setdefault(host, {})[name] = value
            if got.status not in (301, 302, 303, 307, 308):
                return got
            onward = urljoin(url, got.headers.get("location", ""))
            if stop and onward.startswith(stop):
                return got
            method, url, form = "GET", onward, None
        raise OSError(0, f"more than 12 redirects, the last one to {urlsplit(url).netloc}")
