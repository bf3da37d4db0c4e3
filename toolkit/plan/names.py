"""AWS identity -> logical name and stacks, assigned once; no edit in AWS may ever move an entry."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from toolkit.errors import FileError

SCHEMA = 1
_LINE = re.compile(r'("(?:[^"\\]|\\.)*"): (\{.*\})')
_RAW_ID = re.compile(
    r"\b(?:[a-z]{1,8}(?:-[a-z]+)?-(?:[0-9a-f]{17}|[0-9a-f]{8})|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}"
    r"-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}|arn:\S+|[A-Z0-9]{12,})\b"
)


@lru_cache(maxsize=65536)
def slug(text: str, most: int = 48) -> str:
    """Lower-case letters, digits and single dashes, `most` at most; "" where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:most].strip("-")


def holds_raw_id(text: str) -> bool:
    """Whether a text carries something that looks like an AWS id or ARN."""
    return _RAW_ID.search(text) is not None


def is_raw_id(text: str) -> bool:
    """Whether a text is such an id and nothing else: what AWS made up for something that nobody named."""
    return _RAW_ID.fullmatch(text) is not None


@dataclass(slots=True)
class Entry:
    """What was assigned to one AWS identity.

    `stacks` maps a tier (with `/<package>` where a stack is on a provider's own API) to a stack;
    `parts` maps the role of a node that had to go elsewhere to its stack; `labels` a role that is
    made of other identities to the words that stand for it in the logical name.
    """

    name: str
    stacks: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name, "stacks": self.stacks}
        if self.parts:
            out["parts"] = self.parts
        if self.labels:
            out["labels"] = self.labels
        return out


@dataclass(slots=True)
class Names:
    """The registry: `names.yaml` in memory. Entries are added, never changed or removed."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def dump(self) -> bytes:
        """YAML, one identity per line (each line is JSON too, which is what makes it quick)."""
        lines = [
            "# Logical names and stacks, assigned once. Pulumi deletes and creates what is renamed here:",
            "# commit this file, and never edit it unless a stack was moved by hand.",
            f"schema: {SCHEMA}",
            "names:",
        ]
        lines += [
            f"  {json.dumps(key)}: {json.dumps(entry.json(), sort_keys=True)}"
            for key, entry in sorted(self.entries.items())
        ]
        if not self.entries:
            lines[-1] = "names: {}"
        return ("\n".join(lines) + "\n").encode()


def parse(data: bytes) -> Names:
    """`names.yaml` as it was dumped, or as a person re-formatted it.

    Raises FileError where it is no YAML, of a newer schema, or an entry is malformed.
    """
    names = Names()
    lines = data.decode("utf-8", "replace").splitlines()
    matched = [_LINE.fullmatch(line.strip()) for line in lines if line.startswith("  ")]
    rest = [line for line in lines if line and not line.startswith(("#", "  "))]
    if rest == [f"schema: {SCHEMA}", "names:"] and all(matched):
        try:
            raw = {json.loads(hit[1]): json.loads(hit[2]) for hit in matched if hit}
        except ValueError as error:
            raise FileError(f"names.yaml cannot be read: {error}", _HINT) from error
    else:
        try:
            document = yaml.load(data, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise FileError(f"names.yaml is no YAML: {error}", _HINT) from error
        if document is None:
            return names
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            held = document.get("schema") if isinstance(document, dict) else None
            raise FileError(f"names.yaml has schema {held!r}; this version reads {SCHEMA}", _HINT)
        raw = document.get("names") or {}
        if not isinstance(raw, dict):
            raise FileError("names.yaml: names is not a table", _HINT)
    for key, entry in raw.items():
        try:
            names.entries[key] = Entry(
                str(entry["name"]),
                dict(entry.get("stacks", {})),
                dict(entry.get("parts", {})),
                dict(entry.get("labels", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(f"names.yaml: the entry of {key} is malformed", _HINT) from error
    return names


_HINT = "names.yaml decides which cloud resources Pulumi keeps: restore it from Git rather than delete it."
