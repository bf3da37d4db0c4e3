"""An XMPP session as a browser opens it: over BOSH (XEP-0206) or WebSocket (RFC 7395), with SASL ANONYMOUS, as Jitsi's clients do."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from types import TracebackType
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from toolkit.smoke.web import Web

BODY, FRAME, SASL = "{http://jabber.org/protocol/httpbind}", "{urn:ietf:params:xml:ns:xmpp-framing}", "{urn:ietf:params:xml:ns:xmpp-sasl}"  # fmt: skip
BIND, DISCO, CLIENT = "{urn:ietf:params:xml:ns:xmpp-bind}", "{urn:xmpp:extdisco:2}", "{jabber:client}"  # fmt: skip
MOST = 1024 * 1024
"""Bytes of a frame."""


class Closed(Exception):  # noqa: N818 - what a negative control hopes for
    """The server does not let this client in, or ends the session; its reason as far as it tells one."""


class Bosh:
    """Stanzas in the bodies of HTTP requests; each answer may hold several, or none yet."""

    def __init__(self, web: Web, url: str, domain: str) -> None:
        self.web, self.url, self.domain, self.sid = web, url, domain, ""
        self.rid = secrets.randbelow(2**40) + 1

    def open(self) -> None:
        got = self._post(f"to={quoteattr(self.domain)} wait='10' hold='1' ver='1.6' xmpp:version='1.0' xml:lang='en' content='text/xml; charset=utf-8'")  # fmt: skip
        self.sid = got.get("sid", "")
        self._held = list(got)

    def restart(self) -> None:
        self._held = list(self._post(f"to={quoteattr(self.domain)} xmpp:restart='true' xml:lang='en'"))  # fmt: skip

    def send(self, stanza: str) -> None:
        self._held = list(self._post("", stanza))

    def receive(self) -> Iterator[ET.Element]:
        while True:
            yield from self._held
            self._held = list(self._post(""))

    def close(self) -> None:
        if self.sid:
            self._post("type='terminate'", "<presence type='unavailable' xmlns='jabber:client'/>")

    def _post(self, attributes: str, stanza: str = "") -> ET.Element:
        self.rid += 1
        sid = f"sid={quoteattr(self.sid)} " if self.sid else ""
        data = f"<body rid='{self.rid}' {sid}xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' {attributes}>{stanza}</body>"  # fmt: skip
        got = self.web.ask("POST", self.url, headers={"Content-Type": "text/xml; charset=utf-8"}, body=data.encode())  # fmt: skip
        if got.status != 200:
            raise Closed(f"{urlsplit(self.url).path} is answered with {got.status}")
        body = _parsed(got.body)
        if body.get("type") == "terminate" and "terminate" not in attributes:
            raise Closed(f"the session is ended: {body.get('condition', '') or _why(body)}")
        return body


class WebSocket:
    """A stanza a frame, over a connection that stays."""

    def __init__(self, web: Web, url: str, domain: str) -> None:
        self.web, self.url, self.domain = web, url, domain

    def open(self) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        tls = parts.scheme in ("https", "wss")
        self.line = self.web.dial(host, parts.port or (443 if tls else 80), tls=tls)
        key = base64.b64encode(os.urandom(16)).decode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self.line.sendall((
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\nOrigin: https://{host}\r\n\r\n"
        ).encode())  # fmt: skip
        self.file = self.line.makefile("rb")
        status = self.file.readline(1000).split()
        headers = {}
        while row := self.file.readline(10_000).strip():
            name, _, value = row.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if status[1:2] != [b"101"]:
            raise Closed(f"{parts.path} is answered with {b' '.join(status[1:2]).decode() or 'nothing'}, not as a WebSocket")  # fmt: skip
        mark = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False)  # fmt: skip
        if headers.get("sec-websocket-accept") != base64.b64encode(mark.digest()).decode():
            raise Closed("the WebSocket is not accepted for this key")
        self.restart()

    def restart(self) -> None:
        self.send(f"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to={quoteattr(self.domain)} version='1.0'/>")  # fmt: skip

    def send(self, stanza: str) -> None:
        self._frame(1, stanza.encode())

    def receive(self) -> Iterator[ET.Element]:
        while True:
            head = self._read(2)
            size = head[1] & 127
            if size > 125:
                size = struct.unpack("!H" if size == 126 else "!Q", self._read(2 if size == 126 else 8))[0]  # fmt: skip
            if size > MOST:
                raise Closed("a frame is too large")
            data = self._read(size)
            match head[0] & 15:
                case 1:
                    held = _parsed(data)
                    if held.tag == f"{FRAME}close":
                        raise Closed("the session is ended")
                    yield held
                case 8:
                    raise Closed("the WebSocket is closed")
                case 9:
                    self._frame(10, data)

    def close(self) -> None:
        try:
            if hasattr(self, "file"):
                self.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
        finally:
            if hasattr(self, "file"):
                self.file.close()
            if hasattr(self, "line"):
                self.line.close()

    def _frame(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        size = bytes((len(data) | 128,)) if len(data) < 126 else struct.pack("!BH", 254, len(data))
        self.line.sendall(bytes((kind | 128,)) + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))  # fmt: skip

    def _read(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) < count:
            raise Closed("the connection is closed")
        return data


class Session:
    """Signed in anonymously (a token, where one is asked for, is part of the address), with an address of its own. Raises Closed."""

    def __init__(self, way: Bosh | WebSocket) -> None:
        self.way, self.jid = way, ""

    def __enter__(self) -> Session:
        try:
            self._open()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:  # fmt: skip
        try:
            self.way.close()
        except (OSError, Closed):
            return  # ended already

    def _open(self) -> None:
        self.way.open()
        features = self._until(_features)
        offered = {each.text for each in features.iter(f"{SASL}mechanism")}
        if "ANONYMOUS" not in offered:
            raise Closed(f"no anonymous sign-in; offered: {', '.join(sorted(filter(None, offered))) or 'none'}")  # fmt: skip
        self.way.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
        said = self._until(lambda each: each.tag in (f"{SASL}success", f"{SASL}failure"))
        if said.tag != f"{SASL}success":
            raise Closed(f"sign-in is refused: {_why(said)}")
        self.way.restart()
        self._until(_features)
        self.jid = self.ask("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", kind="set").findtext(f"{BIND}bind/{BIND}jid", "")  # fmt: skip

    def ask(self, content: str, *, kind: str = "get", to: str = "") -> ET.Element:
        """The answer to an iq. Raises Closed where it is an error."""
        number = secrets.token_hex(6)
        where = f" to={quoteattr(to)}" if to else ""
        self.way.send(f"<iq xmlns='jabber:client' type='{kind}' id='{number}'{where}>{content}</iq>")  # fmt: skip
        got = self._until(lambda each: each.get("id") == number)
        if got.get("type") != "result":
            raise Closed(f"an iq is refused: {_why(got)}")
        return got

    def services(self) -> list[dict[str, str]]:
        """STUN and TURN servers that XEP-0215 tells, with credentials."""
        got = self.ask("<services xmlns='urn:xmpp:extdisco:2'/>", to=self.way.domain)
        return [dict(each.attrib) for each in got.iter(f"{DISCO}service")]

    def _until(self, seen: Callable[[ET.Element], bool]) -> ET.Element:
        for each in self.way.receive():
            if seen(each):
                return each
            if each.tag.endswith("}error") and each.tag.startswith("{http://etherx.jabber.org"):
                raise Closed(f"the stream is ended: {_why(each)}")
        raise AssertionError


def _features(each: ET.Element) -> bool:
    return each.tag == "{http://etherx.jabber.org/streams}features"


def _why(held: ET.Element) -> str:
    return ", ".join(each.tag.rpartition("}")[2] for each in held.iter() if each is not held)[:100] or "no reason told"  # fmt: skip


def _parsed(data: bytes) -> ET.Element:
    try:
        return ET.fromstring(data)  # noqa: S314 - the suite's own server, at most a frame
    except ET.ParseError as error:
        raise Closed(f"the answer is no XML: {error}") from None
