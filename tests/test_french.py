"""Plans of the demo and of every case: nothing that a French reader gets holds words of ours in English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import pytest

from tests.support.cases import all_cases, load, run
from tests.support.demo import TARGETS, Demo
from tests.test_messages import FRENCH, prose
from toolkit.clouds import load as load_cloud
from toolkit.outcomes import Text, text

SAID = frozenset(
    {
        "alternatives", "basis", "consequence", "expected", "instead", "label", "question", "reason", "replaced_by", "says", "title",
        "undo", "undo_last", "way_out", "what", "why", "work",
    }
)  # fmt: skip
"""Members of outcomes and of plan.json that hold a message."""


def _messages(value: Any, said: bool = False) -> Iterator[Any]:
    """Every message in outcomes or in plan.json: a Text's JSON, or the plain string where there is nothing to fill."""
    match value:
        case Text():
            yield from _messages(value.json(), True)
        case str():
            if said:
                yield value
        case Mapping():
            if value.keys() == {"msg", "args"}:
                yield value
                for each in value["args"].values():
                    if isinstance(each, Mapping):
                        yield from _messages(each)
            else:
                for name, each in value.items():
                    yield from _messages(_cells(each) if name == "settings" else each, name in SAID)
        case list() | tuple():
            for each in value:
                yield from _messages(each, said)
        case _ if is_dataclass(value):
            for each in fields(value):
                held = getattr(value, each.name)
                yield from _messages(
                    _cells(held) if each.name == "settings" else held, each.name in SAID
                )


def _cells(table: Any) -> list[Any]:
    """Names and values of settings: a plain string is somebody's own, as in a hole."""
    return [
        text("{cell}", cell=each) if isinstance(each, str) else each
        for row in table
        for each in row
    ]


def english(value: Any, known: frozenset[str]) -> Iterator[str]:
    """What stays English: messages without a translation, and words of ours that fill a hole as a plain string.

    `known` are the words of the estate and of the target: names, or somebody's own text.
    """
    for message in _messages(value):
        msg, args = (message, {}) if isinstance(message, str) else (message["msg"], message["args"])
        if msg not in FRENCH and prose(re.sub(r"\{\w+\}", "", msg)):
            yield f"no translation: {msg!r}"
        for name, held in args.items():
            if isinstance(held, str) and name != "command" and f"`{{{name}}}`" not in msg:
                ours = [word for word in prose(held) if not _is(word, known)]
                if ours:
                    yield f"words in {{{name}}} of {msg!r}: {held!r} ({', '.join(ours)})"


def _is(said: str, known: frozenset[str]) -> bool:
    """Whether a word comes from there, or a name that begins and ends with such words."""
    parts = re.split(r"[-/_]", said.casefold())
    return parts[0] in known and parts[-1] in known


def _words(*texts: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", " ".join(texts).casefold())) - {"none"}


@cache
def _target(cloud: str) -> frozenset[str]:
    return _words(str(load_cloud(cloud)))


@pytest.mark.parametrize("path", all_cases(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case_in_french(path: Any) -> None:
    case = load(path)
    source = {name: case.get(name) for name in ("source", "others", "settings", "overrides")}
    known = _words(json.dumps(source, ensure_ascii=False))
    left: list[str] = []
    for cloud in TARGETS:
        said, _, ctx = run(case, cloud)
        told = [(e.losses, e.findings, e.moves, e.tasks, e.disposition) for e in said.values()]
        left += english([*told, *ctx.decisions.values()], known | _target(cloud))
    assert not left, "\n".join(dict.fromkeys(left))


@pytest.mark.parametrize("target", TARGETS)
def test_demo_in_french(demo: Demo, target: str) -> None:
    plan = demo.plans[target]
    # a setting is called as the stack's program calls it
    stacks = " ".join(
        (
            *(stack["name"] for stack in plan["stacks"]),
            *re.findall(r'"\$config": "([^"]+)"', json.dumps(plan["stacks"])),
        )
    )
    # a line of the cost is a name, told by `billed`
    left = list(
        english({**plan, "cost": None}, _words(demo.first.decode(), stacks) | _target(target))
    )
    assert not left, "\n".join(dict.fromkeys(left))


def test_what_stays_english_is_found() -> None:
    """The check itself: a fragment in a hole, a message that nobody translated, and a unit; a name is none."""
    planted = [
        text("Access logs to {bucket} end.", bucket="the group logs"),
        text("Never translated, {name}.", name="x"),
        {"why": "Never translated either."},
        text("In front of {origins}.", origins=text("whatever this is")),
        text("{gb} GB at {speed} MB/s", gb="2 GB", speed=100),
        {"settings": [[{"msg": "Never translated, either.", "args": {}}, "whatever this is"]]},
        text("Access logs to {bucket} end.", bucket="frozen-desserts"),
    ]
    found = [list(english(each, _words("frozen-desserts"))) for each in planted]
    assert [len(each) for each in found] == [1, 1, 1, 1, 1, 2, 0], found
    assert re.search(r"\(the, group, logs\)$", found[0][0])
