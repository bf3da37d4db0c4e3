"""What browsers and bridges do with Jitsi's signalling: `check.py WEB XMPP DOMAIN`, secrets as JSON on stdin.

Sessions over BOSH and WebSocket through nginx, credentials of TURN that allocate on the real server, and the bridges' account over
TLS. One line of JSON for each check; exit code 1 where one of them failed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
MUC = "http://jabber.org/protocol/muc"


class Bosh:
    """A session over BOSH to one virtual host of prosody."""

    def __init__(self, web: tuple[str, int], domain: str, to: str) -> None:
        self.web, self.domain, self.to = web, domain, to
        self.sid, self.rid = "", int.from_bytes(os.urandom(4), "big")

    def post(self, attributes: str, inside: str = "") -> ET.Element:
        """One request; what came back as a tree."""
        self.rid += 1
        sid = f" sid='{self.sid}'" if self.sid else ""
        body = f"<body rid='{self.rid}' xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'{sid} {attributes}>{inside}</body>"
        link = http.client.HTTPConnection(*self.web, timeout=20)
        link.request(
            "POST",
            "/http-bind",
            body,
            {"Host": self.domain, "Content-Type": "text/xml; charset=utf-8"},
        )
        answer = link.getresponse()
        held = answer.read().decode()
        if answer.status != 200:
            raise AssertionError(f"HTTP {answer.status}")
        return ET.fromstring(held)  # noqa: S314 - from our own server

    def open(self) -> set[str]:
        """The mechanisms of signing in that are offered."""
        tree = self.post(
            f"to='{self.to}' xml:lang='en' wait='5' hold='1' content='text/xml; charset=utf-8' ver='1.6' xmpp:version='1.0'"
        )
        self.sid = tree.get("sid") or ""
        return {str(each.text) for each in tree.iter(f"{{{SASL}}}mechanism")}

    def anonymous(self) -> bool:
        """Sign in as nobody in particular."""
        tree = self.post("", f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>")
        return tree.find(f"{{{SASL}}}success") is not None

    def bind(self) -> str:
        """The address that the session got."""
        self.post(f"to='{self.to}' xmpp:restart='true'")
        tree = self.iq("set", "", f"<bind xmlns='{BIND}'/>")
        return str(next(tree.iter(f"{{{BIND}}}jid")).text)

    def iq(self, kind: str, to: str, inside: str) -> ET.Element:
        """A question and its answer."""
        name = f"q{self.rid}"
        where = f" to='{to}'" if to else ""
        tree = self.post(
            "", f"<iq xmlns='jabber:client' type='{kind}' id='{name}'{where}>{inside}</iq>"
        )
        return self._until(tree, lambda each: each.get("id") == name)

    def join(self, room: str) -> ET.Element:
        """What the room says of somebody who enters."""
        tree = self.post(
            "", f"<presence xmlns='jabber:client' to='{room}'><x xmlns='{MUC}'/></presence>"
        )
        return self._until(tree, lambda each: (each.get("from") or "").startswith(room))

    def _until(self, tree: ET.Element, wanted: Callable[[ET.Element], bool]) -> ET.Element:
        for _ in range(6):
            for each in tree:
                if wanted(each):
                    return each
            tree = self.post("")
        raise AssertionError("no answer")


def websocket(web: tuple[str, int], domain: str, to: str) -> str:
    """A session over WebSocket until its features; the text of them."""
    with socket.create_connection(web, timeout=20) as link:
        key = base64.b64encode(os.urandom(16)).decode()
        link.sendall(
            f"GET /xmpp-websocket HTTP/1.1\r\nHost: {domain}\r\nOrigin: https://{domain}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n".encode()
        )
        held = link.makefile("rb")
        head = held.readline().decode()
        if " 101 " not in head:
            raise AssertionError(head)
        while held.readline().strip():
            pass

        def send(text: str) -> None:
            raw, mask = text.encode(), os.urandom(4)
            size = (
                bytes([0x80 | len(raw)])
                if len(raw) < 126
                else bytes([0xFE]) + struct.pack(">H", len(raw))
            )
            link.sendall(
                b"\x81" + size + mask + bytes(each ^ mask[n % 4] for n, each in enumerate(raw))
            )

        def receive() -> str:
            first, size = held.read(2)
            if first & 15 == 8:
                raise AssertionError("closed")
            if size == 126:
                (size,) = struct.unpack(">H", held.read(2))
            return str(held.read(size).decode())

        send(f"<open xmlns='{FRAMING}' to='{to}' version='1.0'/>")
        opened, features = receive(), receive()
        send(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>")
        return opened + features + receive()


def bridge(xmpp: tuple[str, int], domain: str, password: str, name: str = "") -> str:
    """What a bridge does: TLS whose certificate this host trusts, sign in, enter the bridges' room; the last answer."""
    host = f"auth.{domain}"
    with socket.create_connection(xmpp, timeout=20) as plain:
        stream = f"<?xml version='1.0'?><stream:stream to='{host}' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

        def until(link: socket.socket, *words: str) -> str:
            got = ""
            while not any(word in got for word in words):
                more = link.recv(4096).decode()
                if not more:
                    return got
                got += more
            return got

        plain.sendall(stream.encode())
        offered = until(plain, "</stream:features>")
        if "PLAIN" in offered or "<required/>" not in offered:
            raise AssertionError("signing in is offered without TLS")
        plain.sendall(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        until(plain, "<proceed")
        with ssl.create_default_context().wrap_socket(plain, server_hostname=name or host) as link:
            link.sendall(stream.encode())
            until(link, "</stream:features>")
            both = base64.b64encode(f"\0jvb\0{password}".encode()).decode()
            link.sendall(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{both}</auth>".encode())
            said = until(link, "<success", "</failure>")
            if "<success" not in said:
                return said
            link.sendall(stream.encode())
            until(link, "</stream:features>")
            link.sendall(f"<iq type='set' id='b'><bind xmlns='{BIND}'/></iq>".encode())
            until(link, "</iq>")
            link.sendall(
                f"<presence to='jvbbrewery@internal.{host}/check'><x xmlns='{MUC}'/></presence>".encode()
            )
            return until(link, "status code='110'", "type='error'")


def allocate(user: str, password: str, host: str) -> str:
    """What turnutils_uclient says of credentials."""
    command = [
        "timeout",
        "20",
        "turnutils_uclient",
        "-y",
        "-n",
        "5",
        "-m",
        "1",
        "-z",
        "150",
        "-u",
        user,
        "-w",
        password,
        host,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def get(web: tuple[str, int], domain: str, path: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of a page."""
    link = http.client.HTTPConnection(*web, timeout=20)
    link.request("GET", path, headers={"Host": domain})
    answer = link.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()


def closed(host: str, port: int) -> bool:
    """Whether nobody answers there."""
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return True
    return False


def refusal(call: Callable[[], object]) -> str:
    """The error that a call ends with; nothing where it succeeds."""
    try:
        call()
    except (OSError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(web_host: str, xmpp_host: str, domain: str) -> int:
    """All checks, in order."""
    secrets = json.load(sys.stdin)
    web, xmpp = (web_host, 8443), (xmpp_host, 5222)
    guest = Bosh(web, domain, f"guest.{domain}")
    held: dict[str, str] = {}

    def session() -> bool:
        return (
            "ANONYMOUS" in guest.open()
            and guest.anonymous()
            and f"@guest.{domain}/" in guest.bind()
        )

    def credentials() -> bool:
        answer = guest.iq("get", f"guest.{domain}", "<services xmlns='urn:xmpp:extdisco:2'/>")
        services = [each.attrib for each in answer.iter("{urn:xmpp:extdisco:2}service")]
        turn = [each for each in services if each["type"] == "turn"]
        held.update(turn[0])
        good = hmac.new(secrets["turn"].encode(), held["username"].encode(), hashlib.sha1).digest()
        other = hmac.new(b"0" * 64, held["username"].encode(), hashlib.sha1).digest()
        given = base64.b64decode(held["password"])
        left = int(held["username"].partition(":")[0]) - time.time()
        return (
            given == good
            and given != other
            and 0 < left <= 12 * 3600 + 60
            and {each["type"] for each in services} == {"stun", "turn"}
        )

    def refused_here() -> bool:
        user = Bosh(web, domain, domain)
        return "ANONYMOUS" not in user.open() and not user.anonymous()

    def settings() -> bool:
        status, headers, text = get(web, domain, "/config.js")
        found = json.loads(text[text.index("{") :].rstrip().rstrip(";"))
        return (
            status == 200
            and found["p2p"]["stunServers"] == [{"urls": "stun:relay:3478"}]
            and "connect-src 'self'" in headers["content-security-policy"]
        )

    checks: list[tuple[str, Callable[[], bool]]] = [
        ("settings of the pages name our own servers", settings),
        ("a guest has a session over BOSH", session),
        ("the guest gets credentials made from the secret of TURN", credentials),
        ("these credentials allocate on TURN", lambda: "tot_send_msgs=20, tot_recv_msgs=20" in allocate(held["username"], held["password"], held["host"])),
        ("a changed password does not", lambda: "Cannot complete Allocation" in allocate(held["username"], "x" + held["password"], held["host"])),
        ("a guest has a session over WebSocket", lambda: "<success" in websocket(web, domain, f"guest.{domain}")),
        ("without a token nobody signs in as a person with an account", refused_here),
        ("nor over WebSocket", lambda: "<failure" in websocket(web, domain, domain)),
        ("a guest opens no room", lambda: guest.join(f"room@conference.{domain}/guest").get("type") == "error"),
        ("a guest opens no room of the bridges", lambda: guest.join(f"room@internal.auth.{domain}/guest").get("type") == "error"),
        ("a host that does not exist is refused", lambda: "AssertionError" in refusal(lambda: Bosh(web, domain, "other.example.org").bind())),
        ("a bridge signs in over trusted TLS and enters the bridges' room", lambda: "status code='110'" in bridge(xmpp, domain, secrets["bridge"])),
        ("a wrong password of a bridge is refused", lambda: "not-authorized" in bridge(xmpp, domain, "x" * 32)),
        ("a certificate for another name is refused", lambda: "CERTIFICATE_VERIFY_FAILED" in refusal(lambda: bridge(xmpp, domain, secrets["bridge"], "other.example.org"))),
        ("measurements do not leave the host by the web", lambda: get(web, domain, "/metrics")[0] == 404),
        ("no other server is spoken to, and prosody's HTTP is the host's own", lambda: closed(xmpp_host, 5269) and closed(xmpp_host, 5280) and closed(xmpp_host, 80)),
    ]  # fmt: skip
    failed = False
    for name, check in checks:
        try:
            passed, why = check(), "it was otherwise"
        except Exception as error:  # noqa: BLE001 - a crashed check is a failed one, and the others go on
            passed, why = False, f"{type(error).__name__}: {error}"
        failed |= not passed
        print(
            json.dumps(
                {"check": name, "passed": passed}
                | ({} if passed else {"why": re.sub(r"\s+", " ", why)[:400]})
            )
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
