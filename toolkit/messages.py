"""English message ids -> the reader's language; code says what, catalogues say how."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from toolkit.outcomes import Text

LANGUAGES = ("en", "fr")
Entry = str | Mapping[str, str]
"""A translation, or its forms: `by` names the hole that counts, `one` and `other` are what is said."""


@cache
def catalogue(language: str) -> Mapping[str, Entry]:
    """Message id -> translation. English is the ids themselves, so its catalogue only has what counts."""
    file = resources.files("toolkit") / "locale" / f"{language}.json"
    found: dict[str, Entry] = json.loads(file.read_text("utf-8"))
    return found


def tell(message: Text | str | Mapping[str, Any] | None, language: str = "en") -> str:
    """A message as the reader reads it: a Text, plan.json's form of one, or a plain string.

    A message without translation stays English: better than nothing, and a test counts them.
    """
    if isinstance(message, str):
        return _form(message, {}, language)
    if message is None:
        return ""
    if isinstance(message, Text):
        msg, args = message.msg, message.args
    else:
        msg, args = message["msg"], message.get("args", {})
    template = _form(msg, args, language)
    if not args:
        return template  # nothing to fill: braces are its own
    told = {name: _value(name, held, language) for name, held in args.items()}
    if language == "fr" and "e {" in template:
        template = _elided(template, told)
    return template.format(**told)


def _form(msg: str, args: Mapping[str, Any], language: str) -> str:
    """The translation; where it counts, the singular for 1 (in French also for 0)."""
    entry = catalogue(language).get(msg, msg)
    if not isinstance(entry, str):
        return entry["one" if _one(args.get(entry["by"]), language) else "other"]
    if "|" not in entry:
        return entry
    return _COUNTED.sub(lambda hit: hit[2 if _one(args.get(hit[1]), language) else 3], entry)


_COUNTED = re.compile(r"\{(\w+)\|([^{}|]*)\|([^{}|]*)\}")
"""`{nodes|node|nodes}`: a word that counts along with a hole, for messages that count more than one thing."""


def _one(count: Any, language: str) -> bool:
    """Whether a number takes the singular: in French all below 2 do, 0 and 1,5 among them."""
    said = str(count)
    if language != "fr":
        return said == "1"
    return re.fullmatch(r"[01]([.,]\d+)?", said) is not None


_ELISION = re.compile(r"\b([Dd]|[Qq]u)e \{(\w+)\}")
_VOWEL = re.compile(r"[aeiouàâéèêëîïôû][^\W\d_]{2}", re.IGNORECASE)


def _elided(template: str, told: Mapping[str, Any]) -> str:
    """French drops the e of `de` and `que` before a vowel: d'OVHcloud, but de a2-ram4."""
    return _ELISION.sub(
        lambda hit: f"{hit[1]}'{{{hit[2]}}}" if _VOWEL.match(str(told[hit[2]])) else hit[0],
        template,
    )


DATES = frozenset({"date", "seen"})
"""Holes that hold a date; elsewhere what looks like one is a name."""
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip


def _value(name: str, held: Any, language: str) -> Any:
    """What fills a hole: a message of its own, a number or a date as the language writes it, or a name.

    A name stays as it is, even where it reads like a message.
    """
    if isinstance(held, str):
        hit = _DATE.fullmatch(held) if name in DATES and language == "fr" else None
        if hit is None:
            return held
        day, month = int(hit[3]), _MONTHS[int(hit[2]) - 1]
        return f"{'1er' if day == 1 else day}\u00a0{month} {hit[1]}"
    if isinstance(held, float):
        plain = f"{held:.0f}" if held.is_integer() else str(held)
        return plain.replace(".", ",") if language == "fr" else plain
    return tell(held, language) if isinstance(held, (dict, Text, Mapping)) else held
