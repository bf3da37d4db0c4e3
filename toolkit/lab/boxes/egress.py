"""The one way out of a box: a proxy that reaches Debian's mirrors of this machine and nothing else.

Runs as `python -m toolkit.lab.boxes.egress FOLDER HOSTNET ROOT` in the lab: it listens on the external network's
gateway, then moves to the machine's network (descriptor HOSTNET) to connect from there. Hosts named in
REPATRIA_LAB_EGRESS, apart by blanks, are let through too.
"""

from __future__ import annotations

import ctypes
import http.server
import os
import re
import select
import socket
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from toolkit.lab.boxes.box import EGRESS_PORT
from toolkit.lab.boxes.processes import tell
from toolkit.lab.folder import find

PASSED = ("if-modified-since", "range", "if-range", "user-agent", "accept")
RETURNED = ("content-type", "content-length", "content-range", "last-modified", "etag", "accept-ranges", "location")  # fmt: skip


def allowed(root: Path) -> frozenset[str]:
    """The hosts of the image's apt sources, and those that the environment adds."""
    places = [*root.glob("etc/apt/sources.list"), *root.glob("etc/apt/sources.list.d/*")]
    found = re.findall(r"https?://([^/\s]+)", "\n".join(path.read_text() for path in places))
    return frozenset([*found, *os.environ.get("REPATRIA_LAB_EGRESS", "").split()])


class Proxy(http.server.ThreadingHTTPServer):
    """Serves on a socket that was made elsewhere; packages are kept in `cache`."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, hosts: frozenset[str], cache: Path) -> None:
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.hosts, self.cache = hosts, cache


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, format: str, *args: Any) -> None:
        """Packages are not news."""

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        if url.scheme != "http" or url.netloc not in self.server.hosts:
            self.send_error(HTTPStatus.FORBIDDEN, f"{url.netloc} is not reachable from the lab")
            return
        package = url.path.endswith(".deb")
        file = self.server.cache / re.sub(r"[^A-Za-z0-9._+~-]", "_", url.netloc + url.path)
        if package and file.exists():
            self.pass_on(200, {"Content-Length": str(file.stat().st_size)}, file.open("rb"), None)
            return
        headers = {} if package else {k: v for k, v in self.headers.items() if k.lower() in PASSED}
        asked = urllib.request.Request(self.path, headers=headers, method=self.command)  # noqa: S310 - http only, see above
        try:
            reply = urllib.request.urlopen(asked, timeout=60)  # noqa: S310
        except urllib.error.HTTPError as error:
            reply = error
        except OSError as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error))
            return
        held = {name: value for name, value in reply.headers.items() if name.lower() in RETURNED}
        keep = file if package and reply.status == 200 and self.command == "GET" else None
        self.pass_on(reply.status, held, reply, keep)

    do_HEAD = do_GET  # noqa: N815 - its name in the standard library

    def pass_on(self, status: int, headers: dict[str, str], body: IO[bytes], keep: Path | None) -> None:  # fmt: skip
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        length = next((int(v) for k, v in headers.items() if k.lower() == "content-length"), None)
        if length is None:
            self.send_header(*(("Content-Length", "0") if status == 304 else ("Connection", "close")))  # fmt: skip
        self.end_headers()
        part = keep and keep.with_name(f"{keep.name}.{threading.get_ident()}")
        with body, (part or Path(os.devnull)).open("wb") as copy:
            while self.command == "GET" and (block := body.read(1 << 16)):
                self.wfile.write(block)
                copy.write(block)
        if part and keep and part.stat().st_size == length:
            part.rename(keep)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.partition(":")
        if host not in self.server.hosts or port != "443":
            self.send_error(HTTPStatus.FORBIDDEN, f"{self.path} is not reachable from the lab")
            return
        try:
            far = socket.create_connection((host, 443), 30)
        except OSError as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error))
            return
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        pair = {self.connection: far, far: self.connection}
        with far:
            while ready := select.select(list(pair), [], [], 300)[0]:
                for each in ready:
                    data = each.recv(1 << 16)
                    if not data:
                        return
                    pair[each].sendall(data)


def main() -> None:
    lab, net, root = find(Path(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3])
    listening = socket.create_server((lab.gateway, EGRESS_PORT), backlog=128)
    if ctypes.CDLL(None, use_errno=True).setns(net, 0):
        raise OSError(ctypes.get_errno(), "the machine's network cannot be entered")
    cache = lab.folder / "boxes/packages"
    cache.mkdir(exist_ok=True)
    hosts = allowed(root)
    tell(f"listens on {lab.gateway}:{EGRESS_PORT} for {', '.join(sorted(hosts))}")
    (lab.folder / "run/egress.ready").touch()
    Proxy(listening, hosts, cache).serve_forever()


if __name__ == "__main__":
    main()
