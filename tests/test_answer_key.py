"""A consultant's answer key of the demo company against its plan: each fact is said, no trap is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.demo import Demo
from toolkit.messages import tell

KEY: dict[str, list[Any]] = yaml.safe_load(
    (Path(__file__).parent / "answer_key.yaml").read_text("utf-8")
)


def _of(document: dict[str, Any], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The items that a place names: by name, the start of one where an id is in it, or by type."""
    for item in document["items"]:
        subject = item["subject"]
        if "name" in place and not (
            subject["name"] == place["name"]
            or (place["name"].endswith("-") and subject["name"].startswith(place["name"]))
        ):
            continue
        if place.get("type") in (None, subject["type"]):
            yield item


def _sentences(document: dict[str, Any], place: dict[str, Any]) -> Iterator[str]:
    """What the plan says at a place of the key, in English, as a reader sees it."""
    match place:
        case {"finding": code}:
            for item in _of(document, place):
                for found in item["findings"]:
                    if found["code"] == code and place.get("severity") in (None, found["severity"]):
                        yield tell(found["says"], "en")
        case {"loss": field}:
            for item in _of(document, place):
                yield from (tell(x["reason"], "en") for x in item["losses"] if x["field"] == field)
        case {"move": mover}:
            for item in _of(document, place):
                yield from (
                    tell(x["what"], "en") for x in item.get("moves", ()) if x["mover"] == mover
                )
        case {"disposition": kind}:
            for item in _of(document, place):
                if item["disposition"] == kind:
                    yield tell(item["reason"], "en")
        case {"decision": topic}:
            keys = {
                "|".join(item["subject"][part] for part in ("type", "account", "region", "id"))
                for item in _of(document, place)
            }
            for each in document["decisions"]:
                held, _, subject = each["id"].partition(":")
                if held == topic and subject in keys:
                    yield tell(each["question"], "en")
        case {"rewire": kind, "in": name, "value": value}:
            for each in document["rewire"]:
                here = each["kind"] == kind and each["where"].startswith(f"{name} ")
                if here and value in each["value"]:
                    yield tell(each["replaced_by"], "en")
        case {"wave": together}:
            for wave in document["waves"]:
                if wave["cycle"] == together:
                    yield tell(wave["why"], "en")
        case {"crossing": [source, target]}:
            for wave in document["waves"]:
                for each in wave["crossings"]:
                    if (each["from"], each["to"]) == (source, target):
                        yield each["path"]
        case {"gap": service}:
            yield from (g["detail"] for g in document["gaps"] if g["service"] == service)
        case {"step": code}:
            for step in document["steps"]:
                if f"-{code}" in step["id"]:
                    yield f"{tell(step['title'], 'en')} {tell(step['why'], 'en')}"
        case _:
            raise ValueError(place)


def _said(document: dict[str, Any], place: dict[str, Any]) -> bool:
    return any(
        all(word in sentence for word in place.get("words", ()))
        for sentence in _sentences(document, place)
    )


def _cases(entries: list[dict[str, Any]]) -> list[Any]:
    return [
        pytest.param(
            entry,
            id=entry["id"],
            marks=[pytest.mark.xfail(strict=True, reason=entry["left"])] if "left" in entry else [],
        )
        for entry in entries
    ]


@pytest.mark.parametrize("fact", _cases(KEY["facts"]))
def test_the_plan_says_it_where_the_key_says(demo: Demo, fact: dict[str, Any]) -> None:
    missing = [each for each in fact["seen"] if not _said(demo.plans["ovhcloud"], each)]
    assert fact["seen"]
    assert not missing, fact["says"]


@pytest.mark.parametrize("trap", _cases(KEY["traps"]))
def test_the_plan_does_not_fall_into_it(demo: Demo, trap: dict[str, Any]) -> None:
    told = [each for each in trap["unseen"] if _said(demo.plans["ovhcloud"], each)]
    assert trap["unseen"]
    assert not told, trap["why"]


@pytest.mark.parametrize(("code", "name"), KEY["also"], ids=lambda held: held)
def test_it_says_this_too(demo: Demo, code: str, name: str) -> None:
    assert _said(demo.plans["ovhcloud"], {"finding": code, "name": name})


@pytest.mark.parametrize(("code", "name"), KEY["also_not"], ids=lambda held: held)
def test_what_only_looks_so_is_not_reported(demo: Demo, code: str, name: str) -> None:
    assert not _said(demo.plans["ovhcloud"], {"finding": code, "name": name})


def test_the_key_is_whole() -> None:
    ids = [entry["id"] for part in ("facts", "traps") for entry in KEY[part]]
    assert len(ids) == len(set(ids))
    assert len(KEY["facts"]) >= 40
    assert len(KEY["traps"]) >= 10
