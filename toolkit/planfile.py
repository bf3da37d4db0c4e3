"""plan.json's bytes -> its document, and whether its digest holds; in pieces, because a parser takes twice what it reads besides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

_CUTS = (b',"items":[', b',"kind":"plan"', b',"stacks":[', b',"steps":[', b',"totals":{')
"""Before the long lists and before what follows them, in the order of the sorted keys."""
_PIECE = 4 << 20
"""Bytes of a list that are read together, or a little more."""


def loads(data: bytes) -> Any:
    """What `orjson.loads` gives, without the memory that it takes for all of a large plan at once.

    A cut in a wrong place cannot pass: where `{a}` and `{b}` are JSON, `{a,b}` is and means both,
    and so with lists. Where one is not, all is read at once. Raises orjson.JSONDecodeError.
    """
    try:
        return _members(data)
    except (orjson.JSONDecodeError, ValueError):
        return orjson.loads(data)


def _members(data: bytes) -> dict[str, Any]:
    """Raises ValueError where the bytes are not laid out as `repatria plan` does it."""
    last = len(data) - len(b"}\n")
    if data[:1] != b"{" or data[last:] != b"}\n":
        raise ValueError
    found: dict[str, Any] = {}
    start = 1
    for end in _ends(data, last):
        name, _, value = data[start : start + 64].partition(b":")
        if end - start > _PIECE and value[:2] == b"[{" and data[end - 1 : end] == b"]":
            found[orjson.loads(name)] = _elements(data, start + len(name) + 2, end - 1)
        else:
            found |= orjson.loads(b"{%b}" % data[start:end])
        start = end + 1
    return found


def _ends(data: bytes, last: int) -> list[int]:
    ends = [0]
    for cut in _CUTS:
        ends.append(data.index(cut, ends[-1]))
    return [*ends[1:], last]


def _elements(data: bytes, start: int, end: int) -> list[Any]:
    """The maps that stand between two offsets, cut before a first key that many of them share."""
    before = b",%b" % data[start : data.index(b":", start) + 1]
    found: list[Any] = []
    while start < end:
        cut = data.find(before, start + _PIECE, end)
        cut = end if cut < 0 else cut
        found += orjson.loads(b"[%b]" % data[start:cut])
        start = cut + 1
    return found


def holds(data: bytes, header: Mapping[str, Any]) -> bool:
    """Whether the digest in the header is that of these bytes without the header, as `repatria plan` lays them out.

    False also for the same plan in another layout: `workspace.plan_digest` then knows.
    """
    told = b'"header":%b,' % orjson.dumps(header, option=orjson.OPT_SORT_KEYS)
    at = data.find(told)
    if at < 0 or data[-1:] != b"\n":
        return False
    whole = memoryview(data)
    body = (whole[:at], whole[at + len(told) : -1])
    total = hashlib.sha256(sum(map(len, body)).to_bytes(8, "big"))
    for part in body:
        total.update(part)
    return header.get("body") == f"sha256:{total.hexdigest()}"
