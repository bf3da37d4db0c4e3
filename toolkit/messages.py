"""English message ids -> the reader's language; code says what, catalogues say how."""

from __future__ import annotations

import json
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
    if message is None:
        return ""
    if isinstance(message, str):
        return _form(message, {}, language)
    if isinstance(message, Text):
        msg, args = message.msg, message.args
    else:
        msg, args = message["msg"], message.get("args", {})
    template = _form(msg, args, language)
    return template.format(**{name: _value(held, language) for name, held in args.items()})


def _form(msg: str, args: Mapping[str, Any], language: str) -> str:
    """The translation; where it counts, the singular for 1 (in French also for 0)."""
    entry = catalogue(language).get(msg, msg)
    if isinstance(entry, str):
        return entry
    count = args.get(entry["by"])
    few = (0, 1) if language == "fr" else (1,)
    return entry["one" if count in few else "other"]


def _value(held: Any, language: str) -> Any:
    """What fills a hole: a message of its own, or a word of ours that the catalogue marks with `…`.

    Anything else is a name from the estate and stays as it is, even where it reads like a message.
    """
    if isinstance(held, (Mapping, Text)):
        return tell(held, language)
    return _form(f"…{held}", {}, language).removeprefix("…") if isinstance(held, str) else held
