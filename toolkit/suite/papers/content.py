"""What a paper consists of, apart from how it looks: the same content becomes Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.outcomes import Text

Said = Text | str | Mapping[str, Any]
"""A message of ours, as it is told in the reader's language; words between backticks are code."""


@dataclass(frozen=True, slots=True)
class Name:
    """Words that are nobody's message: a host, an address, what the client wrote."""

    text: str
    code: bool = False


Cell = Said | Name | float
"""A number is written with the marks of the language."""


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph; `mark`: one that must not be overlooked."""

    says: Said
    mark: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list of points."""

    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; `caption` is for who does not see the page."""

    caption: Said
    heads: tuple[Said, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Something to copy: commands, a zone fragment."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG that stands in the page, and as a file beside the Markdown."""

    svg: str
    file: str
    says: Said


Block = Para | Items | Table | Lines | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the binder, with the anchor that its heading has."""

    id: str
    title: Said
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `person`: no command does it. `minutes` are our judgement until somebody measured them."""

    id: str
    title: Said
    role: str
    minutes: int
    why: Said = ""
    command: str = ""
    expected: Said = ""
    check: str = ""
    undo: Said = ""
    person: bool = False


@dataclass(frozen=True, slots=True)
class Runbook:
    """What to do on one occasion, in order; `after` stands behind the steps (templates, tables)."""

    id: str
    title: Said
    when: Said
    steps: tuple[Step, ...]
    before: tuple[Block, ...] = ()
    after: tuple[Block, ...] = ()
