"""AWS answers -> the same answers without secrets; user data is opened, cleaned and put back."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import os
import re
import secrets
import stat
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

from toolkit.errors import ConfigError, InternalError
from toolkit.estate import models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNPACKED_MAX: Final = 1 << 20
"""Bytes that packed text may unfold to; what is larger is kept as length and digest only."""
_NESTING_MAX: Final = 4
_KEY_BYTES: Final = 32


def load_key(path: Path) -> bytes:
    """The 32-byte key of the digests, made with mode 0600 on first use.

    Raises ConfigError for a link, a file that others can read, or one of another length.
    """
    if not os.path.lexists(path):
        _make_key(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read as the redaction key: {error.strerror}",
            "it must be a plain file that you own; remove it and a new key is made",
        ) from error
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise ConfigError(
                f"{path} is readable by others (mode {stat.S_IMODE(mode):04o})",
                f"run: chmod 600 {path}; if others may have read it, remove it instead",
            )
        key = file.read(_KEY_BYTES + 1)
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            f"{path} is not a redaction key: {_KEY_BYTES} bytes were expected",
            "remove it and a new key is made; digests will then differ from earlier ones",
        )
    return key


def _make_key(path: Path) -> None:
    """Link a finished file into place, so that no reader ever meets half a key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):  # another run was first: its key counts
            os.link(draft, path)
    finally:
        draft.unlink()


# --- by shape of the operation: what botocore's model calls sensitive -------------------------

_SENSITIVE: Final = "sensitive"


@dataclass(slots=True)
class _Node:
    """Where sensitive members sit below one shape; recursive shapes make cycles of nodes."""

    sensitive: bool = False
    members: dict[str, _Node] = field(default_factory=dict)
    each: _Node | None = None


@lru_cache(maxsize=4096)
def _node(service: str, operation: str, path: str) -> _Node | None:
    """The node at `path`, or None where nothing below is sensitive; InternalError if no such."""
    model = models.service(service, operation)
    known = {xform_name(name): name for name in model.operation_names}
    name = known.get(xform_name(operation))
    if name is None:
        raise InternalError(f"{service} has no operation {operation}")
    shape: Any = model.operation_model(name).output_shape
    for word in re.findall(r"[^.\[\]{}]+|\[\]|\{\}", path):
        if word == "[]" and isinstance(shape, ListShape):
            shape = shape.member
        elif word == "{}" and isinstance(shape, MapShape):
            shape = shape.value
        elif isinstance(shape, StructureShape) and word in shape.members:
            shape = shape.members[word]
        else:
            raise InternalError(f"{service}.{operation} answers nothing at {path}")
    return _compile(shape) if shape is not None else None


def _compile(shape: Shape) -> _Node | None:
    nodes: dict[tuple[str, bool], _Node] = {}

    def build(part: Shape) -> _Node:
        flagged = bool(part.metadata.get(_SENSITIVE))
        key = (part.name, flagged)
        if key in nodes:
            return nodes[key]
        node = nodes[key] = _Node(sensitive=flagged)
        if isinstance(part, StructureShape):
            node.members = {name: build(member) for name, member in part.members.items()}
        elif isinstance(part, ListShape):
            node.each = build(part.member)
        elif isinstance(part, MapShape):
            node.each = build(part.value)
        return node

    root = build(shape)
    holding = {id(node) for node in nodes.values() if node.sensitive}
    size = -1
    while size != len(holding):
        size = len(holding)
        holding |= {
            id(node)
            for node in nodes.values()
            if (node.each is not None and id(node.each) in holding)
            or any(id(member) in holding for member in node.members.values())
        }
    for node in nodes.values():
        node.members = {k: member for k, member in node.members.items() if id(member) in holding}
        if node.each is not None and id(node.each) not in holding:
            node.each = None
    return root if id(root) in holding else None


# --- by name ----------------------------------------------------------------------------------

_PLAIN, _STRONG, _WEAK, _USER_DATA = range(4)

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_INSIDE: Final = (
    "password", "passwd", "passphrase", "passcode", "secret", "apikey", "privatekey",
    "credential", "connectionstring", "sharedkey", "accesstoken", "authtoken", "accountkey",
)  # fmt: skip
_ALONE: Final = frozenset({
    "pwd", "pass", "pw", "token", "tokens", "dsn", "psk", "jwt", "bearer", "auth",
    "authorization", "apitoken", "pin",
})  # fmt: skip
_RUNS: Final = (
    "api key", "private key", "connection string", "shared key", "account key", "access key",
    "signing key", "master key", "auth key", "service key", "license key", "deploy key",
    "session key", "pass word", "pass phrase",
)  # fmt: skip
# A last word that says "about the secret", not "the secret".
_ABOUT: Final = frozenset({
    "id", "ids", "arn", "arns", "type", "types", "name", "names", "policy", "policies",
    "algorithm", "enabled", "status", "state", "date", "used", "changed", "modified", "updated",
    "count", "length", "size", "expiry", "expiration", "expires", "ttl", "version", "versions",
    "validity", "unit", "units", "age", "lifetime", "path", "mode", "method", "methods",
    "provider", "providers", "endpoint", "url", "uri", "location", "file", "dir", "directory",
    "region", "scope", "scopes", "audience", "issuer", "description", "prefix", "header",
    "required", "rotation", "option", "options", "manager", "alias", "source", "ref",
    "reference", "host", "hostname", "port", "user", "username", "limit", "tier", "format",
    "strategy", "kind", "class", "period", "days", "hours", "minutes", "seconds", "config",
    "configuration", "configurations", "spec", "usage", "rules", "rule", "expression",
    "timeout", "history", "encryption", "reuse", "complexity", "requirement", "requirements",
    "at", "time", "label", "labels", "stage", "stages", "attempts", "com", "net", "org", "io",
})  # fmt: skip
# Paging and idempotency marks; written so only by AWS itself, an environment says CLIENT_TOKEN.
_MARKS: Final = frozenset({
    f"{first}{word}Token"
    for initial, word in (
        ("n", "ext"), ("c", "lient"), ("c", "lientRequest"), ("c", "reation"), ("l", "ock"),
        ("i", "dempotency"), ("p", "agination"), ("c", "ontinuation"), ("r", "equest"),
        ("s", "tarting"), ("p", "age"),
    )
    for first in (initial, initial.upper())
}) | {"HttpTokens", "httpTokens"}  # fmt: skip
_OPEN_KEYS: Final = frozenset({
    "public", "s3", "object", "kms", "sort", "partition", "hash", "range", "primary", "foreign",
    "cache", "routing", "tag",
})  # fmt: skip


@lru_cache(maxsize=65536)
def _hint(name: str) -> int:
    """What the name of a value says about it: plain, strong, weak (look closer) or user data."""
    if name in _MARKS or len(name) > 512:
        return _PLAIN
    words = [word.lower() for word in _WORDS.findall(name)]
    words = [word for word in words if word != "secretsmanager"]  # the service, in policies
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return _PLAIN
    joined = " ".join(words)
    if joined in {"user data", "userdata"}:
        return _USER_DATA
    if words[-1] in _ABOUT or joined.endswith("public key"):
        return _PLAIN
    if (
        any(word in _ALONE for word in words)
        or any(part in word for word in words for part in _INSIDE)
        or any(f" {run} " in f" {joined} " for run in _RUNS)
    ):
        return _STRONG
    if words[-1] in {"key", "salt", "signature"} and len(words) > 1 and words[-2] not in _OPEN_KEYS:
        return _WEAK
    return _PLAIN


_MARKER: Final = re.compile(r"\[redacted \d+ chars hmac:[0-9a-f]{16}\]")
_ARN: Final = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:\d{12}|aws)?:[\w+./:*!-]+")
_RESOLVED: Final = r"\{\{resolve:(?:ssm|ssm-secure|secretsmanager):[^{}\s]*\}\}"
_KEPT: Final = re.compile(rf"{_MARKER.pattern}|(?<!\w){_ARN.pattern}|{_RESOLVED}")
_OPEN_VALUE: Final = re.compile(
    r"(?i:true|false|yes|no|on|off|none|null|enabled|disabled|optional|required|\*+)"
    rf"|{_RESOLVED}"
    r"|ssm(?:-secure)?:/[\w./-]+"
    r"|ssh-(?:rsa|ed25519|dss) [A-Za-z0-9+/=]+(?: \S+)?"
    r"|-----BEGIN (?:PUBLIC KEY|CERTIFICATE)-----[^-]*-----END (?:PUBLIC KEY|CERTIFICATE)-----\s*"
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DENSE: Final = re.compile(
    r"(?=[^\n]*\d)(?=[^\n]*[A-Za-z])(?!(?:[a-z]+-)+[0-9a-f]+$)[\w+/=.~-]{16,}"
)


def _is_open(value: str) -> bool:
    """Whether a value cannot be a secret whatever its name: a reference, a switch, an ARN."""
    return bool(not value or _ARN.fullmatch(value) or _OPEN_VALUE.fullmatch(value))


def _is_dense(value: str) -> bool:
    return bool(_DENSE.fullmatch(value) and not _UUID.fullmatch(value))


# --- by shape of the text ---------------------------------------------------------------------

_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_TOKENS: Final = re.compile(
    r"""(?x)
    (?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{4,}\.[\w-]{8,}
    | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_\w{22,} | glpat-[\w-]{20,}
    | xox[abposre]-[\w-]{10,} | xapp-[\w-]{20,}
    | (?<=hooks\.slack\.com/services/)[\w/]{20,}
    | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,} | whsec_[A-Za-z0-9+/=]{16,}
    | (?<![\w.])SG\.[\w-]{16,}\.[\w-]{16,}
    | sk-(?:ant|proj)-[\w-]{20,} | npm_[A-Za-z0-9]{36} | pypi-AgE[\w-]{40,}
    | dop_v1_[0-9a-f]{64} | hvs\.[\w-]{24,} | AIza[\w-]{35}
    | (?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[\w+/=%]{100,}
    """
)
_QUERIED: Final = re.compile(r"(https?://[^\s?\"'<>]{1,2048}+)\?([^\s\"'<>]*+)")
_SIGNED: Final = re.compile(
    r"(?i:(?:^|[&;])(?:X-(?:Amz|Goog)-(?:Signature|Security-Token|Credential)|Signature|sig)=)"
)
_SHELL_REFERENCE: Final = re.compile(r"\$\(.*|\$\{?\w+(?:[:\-?+][^}]*)?\}?|`.*|\$\{\{.*|\{\{.*")
# What holds a secret in its group `s`; the text around it stays.
_AROUND: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"://[^\s:/@\"'<>]{0,256}:(?P<s>[^\s/?#\"'<>]{1,512})@",
        r"://[^\s:/@\"'<>]{0,256}:(?!\d+[/?#])(?P<s>[^\s\"'<>]{1,512}?)@",
        r"(?i:jdbc:oracle:\w+:)[^\s/@:]{1,256}/(?P<s>[^\s@\"']{1,512})@",
        r"(?i:authorization)\\?[\"']?\s*[:=]\s*\\?[\"']?(?i:bearer|basic|token|apikey)\s+(?P<s>[^\s\"'\\,;]+)",
        r"(?i:\bbearer|\bbasic)\s+(?=[\w.~+/=-]*\d)(?P<s>[\w.~+/=-]{16,})",
        r"\b(?:mysql|mysqldump|mysqladmin|mariadb|sshpass)\b[^\n|;&]{0,400}?\s-p\s*[\"']?(?P<s>[^\s\"'-][^\s\"']*)",
        r"\b(?:curl|wget|http)\b[^\n|;&]{0,400}?\s(?:-u\s*|--user[ =])[\"']?[^\s:\"']+:(?P<s>[^\s\"']+)",
        r"(?i:\becho)\s+(?:-\w+\s+)?[\"']?(?:[\w.-]+:)?(?P<s>[^\"'\s|]+)[\"']?\s*\|\s*(?:sudo\s+)?(?:chpasswd|passwd\s+--stdin)",
        r"(?i:\bidentified\s+by|\bpassword)\s+(?P<q>[\"'])(?P<s>[^\"'\n]+)(?P=q)",
        r"\blogin\s+\S+\s+password\s+(?P<s>\S+)",
        r"(?m)^\s*(?:requirepass|masterauth)\s+(?P<s>\S+)",
    )
)
_NAME: Final = r"(?P<n>[A-Za-z_][\w.-]{0,80})"
_QUOTED: Final = r"\\\"(?P<e>(?:(?!\\\").)+)\\\"|\"(?P<d>(?:\\.|[^\"\\])+)\"|'(?P<a>[^']+)'"
# How a name leads to its value, and the value: apart, because only few names are worth the second.
_NAMED: Final = tuple(
    (re.compile(head), re.compile(value, re.DOTALL))
    for head, value in (
        (r"<(?P<n>[A-Za-z_][\w:.-]{0,80})(?:\s[^<>]*)?>", r"(?P<d>[^<>]+)(?=</)"),
        (rf"[?&]{_NAME}=", r"(?P<u>[^\s&\"'<>#]+)"),
        (rf"(?<![\w.]){_NAME}\\?[\"']?\s{{0,80}}(?:=>|:=|[:=])\s{{0,80}}", _QUOTED),
        (
            rf"(?m)^[ \t]*(?:-[ \t]+)?{_NAME}[ \t]*:[ \t]+",
            r"(?![|>&*!\[{\"'])(?P<u>[^\n\r]*[^\s])",
        ),
        (
            rf"(?<![\w.?&]){_NAME}\\?[\"']?[ \t]{{0,80}}(?:=>|:=|[:=])[ \t]{{0,80}}",
            r"(?P<u>[^\s;\"'\\\[{][^\s;\"']*)",
        ),
        (rf"(?<![\w-])--?{_NAME}[ \t]+", rf"{_QUOTED}|(?P<u>[^\s;\"'|&-][^\s;\"']*)"),
    )
)
_REFERENCE_MAX: Final = 4096
_VALUE_GROUPS: Final = ("e", "d", "a", "u")
_FLAG: Final = re.compile(r"--?[A-Za-z][\w.-]{1,80}")
_KEY_PAIR: Final = re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{16}")
_KEY_SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9/+])(?![0-9a-f]{40})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)
_BLOB: Final = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{60,}\r?\n[ \t]*)*[A-Za-z0-9+/]{16,}={0,2}"
    r"(?:\r?\n[ \t]*[A-Za-z0-9+/]+={1,2})?(?![A-Za-z0-9+/=])"
)
# One look that lets nearly every string of an estate go: nothing above matches without one.
_TRIGGERS: Final = (
    "pass", "pwd", "pw", "secret", "token", "key", "credential", "connection", "auth", "dsn", "psk",
    "jwt", "bearer", "basic", "pin", "salt", "signature", "sig=", "x-amz-", "x-goog-", "-----begin",
    "jdbc:oracle", "eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
    "xapp-", "hooks.slack", "sk_", "rk_", "whsec_", "sg.", "sk-", "npm_", "pypi-", "dop_v1",
    "hvs.", "aiza", "fwog", "iqoj", "akia", "asia", "identified", "mysql", "mariadb", "curl",
    "wget", "http ",
)  # fmt: skip
_RUN: Final = re.compile(r"[A-Za-z0-9+/]{16}")
_USERINFO: Final = re.compile(r"://[^\s:/@]{0,256}:\S{1,512}?@")


def _suspect(text: str) -> bool:
    low = text.lower()
    for trigger in _TRIGGERS:  # a loop, not any(): this is the hottest line of discovery
        if trigger in low:
            return True
    return bool(
        (len(text) >= 16 and _RUN.search(text)) or ("://" in text and _USERINFO.search(text))
    )


_ASSIGNS: Final = frozenset("=: ")


@dataclass(frozen=True, slots=True)
class Redactor:
    """Takes secrets out of AWS answers; the same key gives the same digest for the same secret.

    A secret becomes `[redacted 24 chars hmac:1a2b3c4d5e6f7a8b]` (characters; HMAC-SHA256, first
    16 hex digits). Never changes its input; hands the same object back when it holds no secret.
    """

    key: bytes = field(repr=False)

    def record(
        self, service: str, operation: str, path: str, record: dict[str, Any]
    ) -> dict[str, Any]:
        """One record as it sits at `path` ("Reservations[].Instances[]") of the operation's output.

        `service` is boto3's name, `operation` either spelling. InternalError when there is no such.
        """
        return cast("dict[str, Any]", self._walk(record, _node(service, operation, path), ""))

    def response(self, service: str, operation: str, data: Any, path: str = "") -> Any:
        """A whole response, or the part of one that sits at `path`."""
        return self._walk(data, _node(service, operation, path), "")

    def text(self, text: str) -> str:
        """Free text (a script, a template, a message) without the secrets known by their shape."""
        return self._clean(text, 0)

    def _mark(self, value: str | bytes) -> str:
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        digest = hmac.digest(self.key, raw, "sha256").hex()[:16]
        return f"[redacted {len(value)} chars hmac:{digest}]"

    def _walk(self, value: Any, node: _Node | None, name: str) -> Any:
        if isinstance(value, str):
            return self._leaf(value, node, name)
        if isinstance(value, dict):
            if node is not None and node.sensitive:
                return self._all(value)
            return self._walk_map(value, node, name)
        if isinstance(value, list):
            if node is not None and node.sensitive:
                return self._all(value)
            each = node.each if node is not None else None
            items: list[Any] = []
            flag = ""
            for item in value:
                items.append(self._walk(item, each, flag or name))
                # ["--password", "x"]: the words of a command name each other.
                flag = item if isinstance(item, str) and _FLAG.fullmatch(item) else ""
            return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        if isinstance(value, bytes):
            return self._bytes(value, node, name)
        return value

    def _walk_map(self, value: dict[str, Any], node: _Node | None, name: str) -> dict[str, Any]:
        said = self._pair_name(value)
        outer = name if _hint(name) in {_STRONG, _USER_DATA} else ""
        changed: dict[str, Any] = {}
        for key, item in value.items():
            if item is None or item is True or item is False or isinstance(item, int | float):
                continue
            below = None if node is None else node.members.get(key, node.each)
            label = key
            if key in _PAIR_VALUES:
                label = said or outer or key
            clean = self._walk(item, below, label)
            if clean is not item:
                changed[key] = clean
        return {**value, **changed} if changed else value

    def _pair_name(self, value: dict[str, Any]) -> str:
        """The name half of a {Name, Value} pair, cleaned first so that a second pass agrees."""
        for key in _PAIR_NAMES:
            said = value.get(key)
            if isinstance(said, str) and not _PAIR_VALUES.isdisjoint(value):
                return self._clean(said, 0)
        return ""

    def _all(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if _is_open(value) or _MARKER.fullmatch(value) else self._mark(value)
        if isinstance(value, bytes):
            return self._mark(value)
        if isinstance(value, dict):
            items = {key: self._all(item) for key, item in value.items()}
            return items if any(items[key] is not value[key] for key in value) else value
        if isinstance(value, list):
            parts = [self._all(item) for item in value]
            return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
        return value

    def _leaf(self, value: str, node: _Node | None, name: str) -> str:
        if value.startswith("arn:") and _ARN.fullmatch(value):
            return value
        hint = _hint(name)
        if hint == _USER_DATA:
            return self._user_data(value)
        if node is not None and node.sensitive:
            return cast("str", self._all(value))
        if hint != _PLAIN and not _is_open(value) and (hint == _STRONG or _is_dense(value)):
            return value if _MARKER.fullmatch(value) else self._mark(value)
        if len(value) < 8 or (len(value) < 24 and _ASSIGNS.isdisjoint(value)):
            return value
        return self._clean(value, 0)

    def _bytes(self, value: bytes, node: _Node | None, name: str) -> bytes | str:
        if _hint(name) == _STRONG or (node is not None and node.sensitive):
            return self._mark(value)
        text = _as_text(value)
        if text is None:
            return value
        clean = self._clean(text[0], 0)
        return value if clean == text[0] else clean.encode(text[1])

    def _user_data(self, value: str) -> str:
        if not value or _MARKER.fullmatch(value):
            return value
        raw = _unbase64(value)
        opened = None if raw is None else self._open(raw, 0)
        if raw is not None and opened is not None:
            return _rebase64(value, raw, opened)
        # A template carries the script itself; anything else is not understood, so not kept.
        return self._clean(value, 0) if " " in value else self._mark(value)

    def _open(self, raw: bytes, depth: int) -> bytes | None:
        """Packed bytes -> clean plain bytes; None when they are no text, too large or too deep."""
        plain = _gunzip(raw) if raw[:2] == b"\x1f\x8b" else raw
        if plain is None or len(plain) > UNPACKED_MAX or depth > _NESTING_MAX:
            return None
        text = _as_text(plain)
        if text is None:
            return self._open(plain, depth + 1) if plain[:2] == b"\x1f\x8b" else None
        return self._clean(text[0], depth + 1).encode(text[1])

    def _clean(self, text: str, depth: int) -> str:
        """Repeated until nothing changes, so cleaning twice is cleaning once."""
        while _suspect(text):
            at, parts = 0, []
            for kept in _KEPT.finditer(text):
                parts += [self._once(text[at : kept.start()], depth), kept.group()]
                at = kept.end()
            clean = "".join([*parts, self._once(text[at:], depth)])
            if clean == text:
                break
            text = clean
        return text

    def _once(self, text: str, depth: int) -> str:
        """The first kind of secret found is replaced everywhere; the caller comes again."""
        steps: tuple[Callable[[str], str], ...] = (
            lambda t: _PRIVATE_KEY.sub(lambda m: self._mark(m.group()), t),
            lambda t: _QUERIED.sub(lambda m: m[1] if _SIGNED.search(m[2]) else m.group(), t),
            *(self._around(pattern) for pattern in _AROUND),
            *(self._named(head, value) for head, value in _NAMED),
            lambda t: _TOKENS.sub(lambda m: self._mark(m.group()), t),
            self._key_pairs,
            lambda t: _BLOB.sub(lambda m: self._blob(m.group(), depth), t),
        )
        for step in steps:
            clean = step(text)
            if clean != text:
                return clean
        return text

    def _around(self, pattern: re.Pattern[str]) -> Callable[[str], str]:
        def swap(match: re.Match[str]) -> str:
            found = match["s"]
            if _SHELL_REFERENCE.fullmatch(found) or _is_open(found):
                return match.group()
            return self._swap(match, "s")

        return lambda text: pattern.sub(swap, text)

    def _named(self, head: re.Pattern[str], value: re.Pattern[str]) -> Callable[[str], str]:
        # A name that is plain may swallow the start of one that is not: search on from its end.
        def scan(text: str) -> str:
            parts, at, start = [], 0, 0
            while name := head.search(text, start):
                start = name.end("n")
                span = self._named_value(name, value, text)
                if span is not None:
                    parts += [text[at : span[0]], self._mark(text[span[0] : span[1]])]
                    at = start = span[1]
            return "".join([*parts, text[at:]]) if parts else text

        return scan

    def _named_value(
        self, name: re.Match[str], value: re.Pattern[str], text: str
    ) -> tuple[int, int] | None:
        """Where the secret sits that follows a name; None where it is none."""
        hint = _hint(name["n"])
        if hint not in {_STRONG, _WEAK}:
            return None
        at = name.end()
        match = value.match(text, at, at + _REFERENCE_MAX)  # bounded: hostile text repeats itself
        if match is not None and match.end() < at + _REFERENCE_MAX:
            groups = match.groupdict()
            found = next(groups[group] for group in _VALUE_GROUPS if groups.get(group)).strip()
            reference = not groups.get("a") and _SHELL_REFERENCE.fullmatch(found)
            if reference or _is_open(found) or (hint == _WEAK and not _is_dense(found)):
                return None
        elif hint == _WEAK:
            return None
        else:
            match = value.match(text, at)
        if match is None:
            return None
        groups = match.groupdict()
        return match.span(next(group for group in _VALUE_GROUPS if groups.get(group)))

    def _swap(self, match: re.Match[str], group: str) -> str:
        start, end, shift = match.start(group), match.end(group), match.start()
        whole = match.group()
        return f"{whole[: start - shift]}{self._mark(match[group])}{whole[end - shift :]}"

    def _key_pairs(self, text: str) -> str:
        if not _KEY_PAIR.search(text):
            return text
        return _KEY_SECRET.sub(lambda m: self._mark(m.group()), text)

    def _blob(self, blob: str, depth: int) -> str:
        """A run of base64 in a text; the last line may be a word of what follows it."""
        head, line, _ = blob.rpartition("\n")
        for part, rest in ((blob, ""), (head.rstrip("\r"), blob[len(head.rstrip("\r")) :])):
            raw = _unbase64(part) if part else None
            if raw is None:
                continue
            opened = self._open(raw, depth)
            if opened is not None:
                return _rebase64(part, raw, opened) + rest
            if raw[:2] == b"\x1f\x8b" and not (line and rest == ""):
                return self._mark(part) + rest
        return blob


_PAIR_NAMES: Final = (
    "Name", "Key", "ParameterKey", "ParameterName", "OutputKey", "HeaderName", "OptionName",
    "name", "key", "headerName",
)  # fmt: skip
_PAIR_VALUES: Final = frozenset({
    "Value", "ParameterValue", "OutputValue", "HeaderValue", "ResolvedValue", "DefaultValue",
    "Default", "StringValue", "Values", "value", "headerValue", "defaultValue", "values",
})  # fmt: skip


def _unbase64(text: str) -> bytes | None:
    packed = "".join(text.split())
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _rebase64(text: str, raw: bytes, clean: bytes) -> str:
    """The original spelling when nothing was changed, else base64 of the clean plain bytes."""
    return text if clean == raw else base64.b64encode(clean).decode()


def _gunzip(raw: bytes) -> bytes | None:
    """None for damaged data, for more than UNPACKED_MAX, and for data with something after it."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(raw, UNPACKED_MAX + 1)
    except zlib.error:
        return None
    return plain if unpack.eof and not unpack.unused_data else None


_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def _as_text(raw: bytes) -> tuple[str, str] | None:
    """Text and its encoding; None for what is not text. PowerShell packs UTF-16."""
    codec = "utf-16-le" if raw[1::2].count(0) * 4 > len(raw) else "utf-8"
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else (text, codec)
