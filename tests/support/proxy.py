"""The lab's APIs behind one port of our own -> answers lost, refused or late, as a test asks for; addresses in answers lead back here."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import yaml

from tests.support.serve import serving

Fault = Literal["", "500", "401", "lost", "late"]
"""Nothing; an error of the API; an expired token; the request is served and its answer lost; 8 seconds late."""
Decide = Callable[[str, str, str], Fault]
"""(method, path, token) -> what goes wrong with this request."""
LATE = 8.0


def fine(method: str, path: str, token: str) -> Fault:
    """Nothing goes wrong."""
    return ""


@dataclass
class Proxy:
    """A running proxy. `decide` may be changed at any time; `seen` are the requests that something went wrong with."""

    port: int
    decide: Decide = fine
    seen: list[str] = field(default_factory=list)

    def config(self, original: Path, target: Path) -> Path:
        """A clouds.yaml with the same entries, whose auth_url leads through here."""
        held = yaml.safe_load(original.read_text())
        for entry in held["clouds"].values():
            entry["auth"]["auth_url"] = _through(self.port, entry["auth"]["auth_url"].encode()).decode()  # fmt: skip
        target.write_text(yaml.safe_dump(held))
        target.chmod(0o600)
        return target


def _through(port: int, data: bytes) -> bytes:
    return re.sub(rb"http://127\.0\.0\.1:(?!%d\b)(\d{4,5})" % port, rb"http://127.0.0.1:%d/\1" % port, data)  # fmt: skip


@contextmanager
def proxy() -> Iterator[Proxy]:
    """One that ends with the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            port, _, path = self.path.removeprefix("/").partition("/")
            token = self.headers.get("X-Auth-Token", "")
            fault = held.decide(self.command, f"/{path}", token)
            if fault:
                held.seen.append(f"{fault} {self.command} /{path}")
            if fault in ("500", "401"):
                self._answer(int(fault), {}, b'{"error": {"message": "the test says so", "code": %s}}' % fault.encode())  # fmt: skip
                return
            if fault == "late":
                time.sleep(LATE)
            upstream = http.client.HTTPConnection("127.0.0.1", int(port), timeout=300)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}  # fmt: skip
            upstream.request(self.command, f"/{path}", body, headers)
            answer = upstream.getresponse()
            data = answer.read()
            upstream.close()
            if fault == "lost":
                self.close_connection = True
                self.connection.close()
                return
            kept = {k: _through(held.port, v.encode()).decode() for k, v in answer.getheaders() if k.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server")}  # fmt: skip
            if "json" in kept.get("Content-Type", ""):
                data = _through(held.port, data)
            self._answer(answer.status, kept, data)

        def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _serve  # noqa: N815 - the standard library calls them so

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held = Proxy(server.server_port)
    with serving(server):
        yield held
