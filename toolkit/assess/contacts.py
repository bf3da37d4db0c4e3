"""The bytes of a file -> every host outside that its text names, with the line, and whether it is a contact or only words.

The text is read as widely as programs read it: quotes, escapes, joined lines and look-alike letters hide nothing. Where it
is unclear whether something is a comment or a value, it is a contact. What is put together at run time, or encoded
(base64), is not seen: the log of real contacts is for that.
"""

from __future__ import annotations

import bisect
import html
import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal
from urllib.parse import unquote

Severity = Literal["contact", "mentioned"]
MOST_BYTES = 20_000_000
"""A file above it is not read, and the answer says so."""


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A host in a line: its name in ASCII or its address, the port (0: none), and what the line says of its use."""

    line: int
    host: str
    port: int
    severity: Severity
    context: str


@cache
def _tlds() -> frozenset[str]:
    text = (resources.files("toolkit") / "assess/tlds.txt").read_text("utf-8")
    return frozenset(" ".join(each for each in text.splitlines() if each[0] != "#").split())


AMBIGUOUS = frozenset(
    [
        "app", "bar", "bin", "cab", "call", "cat", "cc", "cfd", "channel", "click", "codes", "data", "date", "do", "email", "foo", "group", "gz", "here",
        "host", "id", "in", "info", "java", "link", "man", "map", "md", "mobile", "mov", "name", "network", "new", "now", "office", "one", "open",
        "origins", "page", "phone", "php", "pid", "pin", "pl", "play", "plus", "post", "prod", "properties", "property", "ps", "pub", "py", "read", "rest",
        "review", "room", "rs", "run", "safe", "save", "search", "secure", "security", "select", "sh", "show", "so", "style", "tab", "target", "tools",
        "total", "trust", "watch", "win", "zero", "zip",
    ]
)  # fmt: skip
"""Top-level domains that are more often ends of file names, or members in code: a name needs more to be a contact."""
_FILES = frozenset(["bin", "cc", "gz", "java", "md", "mov", "php", "pid", "pl", "ps", "py", "rs", "sh", "so", "zip"])  # fmt: skip
"""Of these, the ends of names of files: also between quotes they are files, unless the key says host."""
_NAMESPACES = frozenset(
    ["ansible", "com", "community", "config", "io", "item", "java", "javax", "jdk", "net", "org", "os", "self", "settings", "sun", "sys", "system", "user", "vars"]
)  # fmt: skip
"""First labels of names in code, which are written the other way round (`org.freedesktop.DBus`)."""
_RESERVED = frozenset(
    ["test", "example", "invalid", "localhost", "local", "internal", "arpa", "onion", "alt", "lan", "home", "corp", "intranet", "private"]
)  # fmt: skip
_EXAMPLES = ("example.com", "example.net", "example.org", "example.edu")

_CODE = frozenset(["js", "mjs", "cjs", "ts", "lua", "php", "py", "java", "go", "rb", "c", "h"])
_PROSE = frozenset(["md", "rst"])
_LINE = {
    **dict.fromkeys(["js", "mjs", "cjs", "ts", "java", "go", "c", "h"], ("//",)),
    "php": ("//", "#"), "apt": ("//", "#"), "lua": ("--",), "sql": ("--",), "zone": (";",),
    **dict.fromkeys(["ini", "service", "socket", "timer", "network", "netdev", "mount"], ("#", ";")),
    **dict.fromkeys(["json", "html", "htm", "xml", "svg", "css", "md", "rst"], ()),
}  # fmt: skip
"""Kind of a file -> what begins a comment; `#` in all others."""
_BLOCK = {
    **dict.fromkeys(["js", "mjs", "cjs", "ts", "java", "go", "c", "h", "php", "css"], ("/*", "*/")),
    **dict.fromkeys(["html", "htm", "xml", "svg"], ("<!--", "-->")),
    "lua": ("--[[", "]]"),
}

_NAME = re.compile(r"[^\W_][\w.\-]*+")
_COLONS = re.compile(r"[0-9A-Fa-f:.]{3,}+")
_URL_BEFORE = re.compile(r"(?:[A-Za-z][\w+.\-]*:[/\\]+|//|\\\\|\b(?:stuns?|turns?|sips?|xmpp|mailto|jdbc:\w+):)(?:[^\s/\\@\"'<>]*@)?\[?$")  # fmt: skip
_PORT = re.compile(r"\]?:(\d{1,5})(?!\d)")
_HOSTISH = re.compile(r"(?i)server|host|pool|peer|relay|upstream|proxy|resolver|dns|ntp|stun|turn|ur[li]|endpoint|address|domain|origin|issuer|mirror|repo|registry|gateway|connect|remote|allow|src|href|push|ping|curl|wget|ssh|forward")  # fmt: skip
_IDENTIFIER = re.compile(r"(?i)(?:xmlns(?::[\w.\-]+)?|\$schema|\$id|@context|\bschemaLocation)[\"']?\s*[:=]\s*[\"'][^\"']*$|<!DOCTYPE\b[^>]*$")  # fmt: skip
_TOLD = re.compile(
    r"(?i)^\s*[\"']?(?:documentation|description|homepage|licen[cs]e|where)[\"']?\s*[:=]"
    r"|^\s*(?:ciphers|macs|\w*algorithms|\w*algorithmtypes)\b"
)
"""Lines that tell people something, or list algorithms of SSH, which are called after domains."""
_DENIED = re.compile(r"(?i)\b(?:deny|denied|block(?:ed)?|blacklist|reject|drop|forbid(?:den)?)\b|_blacklist")  # fmt: skip
_JOINED = re.compile(r"([\"'])\s*(?:\+|\.\.|\.|~)\s*\1")
_ESCAPED = re.compile(r"[\\%&]")
_INVISIBLE = dict.fromkeys([0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF])  # fmt: skip
_DOTS = {0x3002: ".", 0xFF0E: ".", 0xFF61: ".", 0x2024: "."}


_INNER = re.compile(r"\b(?:ext|cfg|jrt):/{0,3}$")
"""Schemes that lead to something inside of a program: of Python's logging, and of Java's modules."""


def contacts(path: str, data: bytes) -> list[Hit]:
    """Every host that a file names, by line: once a line, as a contact where any of its places in it is one."""
    kind, jinja = _kind(path)
    found: dict[tuple[int, str], Hit] = {}
    lines = _text(data).split("\n")
    inside = ""
    for number, raw in enumerate(lines, start=1):
        plain = _plain(raw)
        began = inside
        spans, inside = _comments(plain, kind, jinja, began)
        views = {plain: spans}
        for other in _views(plain, lines, number):
            views.setdefault(other, _comments(other, kind, jinja, began)[0])
        for view, commented in views.items():
            for hit in _hosts(view, commented, kind, number):
                known = found.setdefault((number, hit.host), hit)
                if (hit.severity, -hit.port) < (known.severity, -known.port):
                    found[number, hit.host] = hit
    return sorted(found.values())


# ------------------------------------------------------------------------------------------- reading


def _kind(path: str) -> tuple[str, bool]:
    """The kind of a file by its ending, and whether it is a template (`{# #}` is a comment in it)."""
    parts = path.rpartition("/")[2].lower().split(".")
    jinja = parts[-1] in ("j2", "jinja")
    if jinja:
        parts = parts[:-1]
    if parts[0] == "readme":
        return "md", jinja
    if "/apt.conf.d/" in path:
        return "apt", jinja
    return (parts[-1] if len(parts) > 1 else ""), jinja


def _text(data: bytes) -> str:
    """Text of a file in whatever encoding; a zero byte (UTF-16, or put there to deceive) hides nothing."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace").replace("\r", "\n")
    text = data.replace(b"\0", b"").decode("utf-8", "replace")
    return re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)


def binary(data: bytes) -> bool:
    """Whether most of a file is no text: names in it are chance, and it is said to be unread."""
    head = data[:8192]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return (
        sum(0 < byte < 9 or 13 < byte < 27 for byte in head) * 10 > len(head) > 0 and b"\0" in head
    )


def _plain(line: str) -> str:
    """Without what a reader does not see, in the forms that a resolver would take."""
    if line.isascii():
        return line
    return unicodedata.normalize("NFKC", line.translate(_INVISIBLE).translate(_DOTS)).translate(_INVISIBLE)  # fmt: skip


_MOST_JOINED = 20


def _views(plain: str, lines: list[str], number: int) -> Iterator[str]:
    """The line as programs read it: escapes resolved, what continues on the next lines joined, sums of strings made."""
    forms = [plain]
    if plain.rstrip(" \t").endswith("\\") and (number < 2 or not lines[number - 2].rstrip(" \t").endswith("\\")):  # fmt: skip
        tight = loose = plain.rstrip(" \t")[:-1]
        for later in lines[number : number + _MOST_JOINED]:
            told = _plain(later)
            ends = told.rstrip(" \t").endswith("\\")
            told = told.rstrip(" \t")[:-1] if ends else told
            loose, tight = loose + told, tight + told.lstrip(" \t")
            if not ends:
                break
        forms += [loose, tight]
    for form in forms:
        yield form
        once = form
        for _ in range(3):
            if not _ESCAPED.search(once):
                break
            again = _plain(_unescaped(once))
            if again == once:
                break
            once = again
            yield once
        summed = _JOINED.sub("", once)
        if summed != once:
            yield summed


_BACKSLASH = re.compile(
    r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|([nrtfv0])|(.))"
)


def _unescaped(line: str) -> str:
    def one(hit: re.Match[str]) -> str:
        number = hit[1] or hit[2] or hit[3]
        if number or hit[4]:
            code = int(number, 16) if number else int(hit[4], 8)
            return chr(code) if 31 < code < 0x110000 and not 0xD800 <= code < 0xE000 else " "
        return " " if hit[5] else hit[6]

    return html.unescape(unquote(_BACKSLASH.sub(one, line), errors="replace"))


def _comments(line: str, kind: str, jinja: bool, inside: str) -> tuple[list[tuple[int, int]], str]:
    """Where a line is comment, and the end mark of a block that goes on after it."""
    blocks = [_BLOCK[kind]] if kind in _BLOCK else []
    if jinja:
        blocks.append(("{#", "#}"))
    marks = _LINE.get(kind, ("#",))
    spans: list[tuple[int, int]] = []
    at, quote, lead = 0, "", len(line) - len(line.lstrip())
    if inside:
        end = line.find(inside)
        if end < 0:
            return [(0, len(line))], inside
        at = end + len(inside)
        spans.append((0, at))
    for hit in re.finditer(r"[\"'`]|(?:\\.)+|[/*<!{\-\[;]+|#+", line[at:]):
        start, said = at + hit.start(), hit[0]
        if spans and start < spans[-1][1]:
            continue
        if said in ('"', "'", "`"):
            apostrophe = said == "'" and start > 0 and line[start - 1].isalnum()
            quote = "" if quote == said else quote if quote or apostrophe else said
            continue
        if quote:
            continue
        for begin, over in blocks:
            if line.startswith(begin, start):
                end = line.find(over, start + len(begin))
                if end < 0:
                    return [*spans, (start, len(line))], over
                spans.append((start, end + len(over)))
                break
        else:
            spaced = start <= lead or (line[start - 1].isspace() and said[0] != ";")
            if spaced and any(line.startswith(mark, start) for mark in marks):
                return [*spans, (start, len(line))], ""
    return spans, ""


# --------------------------------------------------------------------------------------- what is a host


def _hosts(line: str, commented: list[tuple[int, int]], kind: str, number: int) -> Iterator[Hit]:
    told = kind in _PROSE or _TOLD.match(line) is not None
    for start, end, host, form in _candidates(line):
        before, after = line[max(0, start - 200) : start], line[end : end + 8]
        port = _PORT.match(after)
        in_url = _URL_BEFORE.search(before) is not None
        quoted = before[-1:] in ('"', "'", "`") and (after[:1] == before[-1:] or port is not None)
        if form == "address":
            network = re.match(r"/\d", after) and not re.match(r"/(32|128)\b", after)
            range_ = before.endswith("-") or after.startswith("-")
            words = bool(network or range_ or _DENIED.search(before))
        elif form == "number":
            if not in_url:
                continue
            words = False
        else:
            said = _named(host, before, after, kind, in_url, bool(port), quoted)
            if said is None:
                continue
            words = said
        words = words or told or _IDENTIFIER.search(before) is not None
        place = bisect.bisect_right(commented, (start, len(line))) - 1
        if place >= 0 and start < commented[place][1]:
            words = True
        context = " ".join(re.findall(r"[A-Za-z][\w.\-]*", before)[-6:]).lower()
        yield Hit(number, host, int(port[1]) if port and int(port[1]) < 65536 else 0, "mentioned" if words else "contact", f"{context}\n{line[end:end + 60]}" if in_url else context)  # fmt: skip


def _named(host: str, before: str, after: str, kind: str, in_url: bool, port: bool, quoted: bool) -> bool | None:  # fmt: skip
    """Of a name: whether it is only words; None where it is no host at all, but a file or a member in code."""
    tld = host.rpartition(".")[2]
    known = tld in _tlds() or tld.startswith("xn--")
    if in_url:
        return None if _INNER.search(before) else False
    if not known:
        return False if port and _HOSTISH.search(before) and not tld.isdigit() else None
    if before.endswith("@"):
        return False
    path = before.endswith(("/", "\\", "./", "~"))
    inside = before.rfind("{{") > before.rfind("}}") or before.rfind("{%") > before.rfind("%}")
    code = (kind in _CODE or inside) and not quoted and before.count("\"") % 2 == 0 and before.count("'") % 2 == 0 and "[[" not in before  # fmt: skip
    if kind in _CODE and before.endswith("{") and after.startswith("}"):
        return None  # a member that a string of code is filled with
    asked = port or _HOSTISH.search(re.split(r"[;{},]", before)[-1]) is not None
    if tld in _FILES:
        return None if path or code or after.startswith("(") else not asked
    if before.endswith("--"):
        return True  # an option of a command
    if tld in AMBIGUOUS or host.partition(".")[0] in _NAMESPACES:
        if path or after.startswith("(") or code or before.endswith("$"):
            return None
        return not (asked or quoted)
    if path or code:
        return not port
    return re.match(r"[\"']?\s*=(?![=>])", after) is not None and not before.strip(" \t\"'[(,-")


def _candidates(line: str) -> Iterator[tuple[int, int, str, str]]:
    """(start, end, host in ASCII, form) of all that may be a host outside: a name, an address, a number in a URL."""
    for hit in _NAME.finditer(line):
        token = hit[0].rstrip(".-_")
        if re.fullmatch(r"[\d.\-]+", token):
            offset = 0
            for part in token.split("-"):
                address = _four(part)
                if address is not None and _outside(address):
                    yield hit.start() + offset, hit.start() + offset + len(part), str(address), "address"  # fmt: skip
                offset += len(part) + 1
        else:
            start = hit.start()
            while token[:1] in ".-_" and token:
                token, start = token[1:], start + 1
            name = _ascii(token)
            if name:
                yield start, hit.start() + len(hit[0].rstrip(".-_")), name, "name"
        packed = _packed(token)
        if packed is not None and _outside(packed):
            yield hit.start(), hit.start() + len(token), str(packed), "number"
    for hit in _COLONS.finditer(line):
        said = hit[0].strip(".")
        for tried in dict.fromkeys((said, said.rstrip(":"), said.lstrip(":"), said.strip(":"))):
            if tried.count(":") < 2:
                continue
            try:
                six = ipaddress.IPv6Address(tried)
            except ValueError:
                continue
            meant = six.ipv4_mapped or six
            if _outside(meant):
                start = hit.start() + hit[0].index(tried)
                yield start, start + len(tried), str(meant), "address"
            break


def _four(token: str) -> ipaddress.IPv4Address | None:
    """Four numbers with dots between, leading zeros as a person means them."""
    parts = token.split(".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) < 5 and int(part) < 256 for part in parts):  # fmt: skip
        return None
    return ipaddress.IPv4Address(".".join(str(int(part)) for part in parts))


def _packed(token: str) -> ipaddress.IPv4Address | None:
    """An address as one number, or in hexadecimal or octal parts, as `inet_aton` takes them."""
    parts = token.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|\d{1,12}", part) for part in parts):  # fmt: skip
        return None
    if len(parts) == 4 and not any(part[:1] == "0" and len(part) > 1 for part in parts):
        return None  # the plain form
    try:
        numbers = [int(p, 16) if p[:2].lower() == "0x" else int(p, 8 if p[0] == "0" and len(p) > 1 else 10) for p in parts]  # fmt: skip
    except ValueError:
        return None
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(parts)):
        return None
    whole = sum(number << (8 * (3 - place)) for place, number in enumerate(numbers[:-1]))
    return ipaddress.IPv4Address(whole + numbers[-1])


def _outside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """An address of the Internet that somebody has: no private, documentation, multicast or reserved one."""
    return (
        address.is_global and not address.is_multicast and not address.is_reserved
        and not any(address in net for net in _NOBODY if net.version == address.version)
    )  # fmt: skip


_NOBODY = (ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("3fff::/20"))
"""Site-local, and documentation: the table of the interpreter lacks them."""


def _ascii(token: str) -> str:
    """A name of two labels at least, in lower case and in the form that goes over the wire; "" where it is none.

    What the resolver of the house or nobody holds (`.internal`, `.test`, `example.org`) is none.
    """
    labels = [label for label in token.lower().split(".") if label]
    if len(labels) < 2 or len(token) > 2000:
        return ""
    written = []
    for label in labels:
        if label.isascii():
            written.append(label)
            continue
        try:
            written.append(label.encode("idna").decode())
        except UnicodeError:
            written.append("xn--" + label.encode("punycode", "replace").decode())
    last = written[-1].strip("-_")
    if not last or last.isdigit() or len(last) < 2 or "_" in last:
        return ""
    name = ".".join(written)
    if last in _RESERVED:
        return ""
    return name[-253:]


def special(host: str) -> bool:
    """A name that documents use as an example, and nobody has."""
    return host.endswith(_EXAMPLES) and any(host == each or host.endswith("." + each) for each in _EXAMPLES)  # fmt: skip
