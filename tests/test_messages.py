"""The message catalogue: what can reach a person is extracted from the code, and French has it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any

from toolkit.messages import catalogue, tell
from toolkit.outcomes import text
from toolkit.render.summary import decimal, duration, teller

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "toolkit"
PENDING: frozenset[str] = frozenset()
"""Messages of the code that wait for their translation: this list only gets shorter."""

SAYS = {
    "text": (0,), "Text": (0,), "t": (0,), "Loss": (1,), "Lost": (0,), "Disposition": (1,), "Finding": (2,), "Task": (1, 2), "Option": (1, 2),
    "decide": (2, 5), "Instead": (0,),
}  # fmt: skip
"""Callable -> the positions of what it says to a person."""
WAYS = (
    "{target} (managed by the provider)", "{target}", "{target} (included)", "{target} (ordered or designed by hand)",
    "{target}, on servers of your own", "no product of the provider; of your own: {own}",
)  # fmt: skip
"""What `_services.way_out` puts together."""
COMPUTED = {"…its ACL grants READ to everybody"}
"""Words of ours that the code puts together."""
NAMED = frozenset(
    {
        "reason", "way_out", "work", "alternatives", "says", "why", "label", "consequence", "question", "title", "expected", "undo",
        "basis", "what", "undo_last",
    }
)  # fmt: skip
CALLED = frozenset({*SAYS, "Step", "Engine", "Decision", "decide", "Move", "way_out", "Rule"})
TABLES = {"_HEADINGS", "_WHY_STACK", "MEANING", "told", "SECTIONS"}
"""Dictionaries and pairs of messages that are looked up and then told."""


def _constants(node: ast.expr) -> Iterator[str]:
    """The plain strings that an argument may be: choices and sums of choices, never what is computed."""
    match node:
        case ast.Constant(value=str(said)):
            yield said
        case ast.IfExp(body=body, orelse=other):
            yield from _constants(body)
            yield from _constants(other)
        case ast.BoolOp(values=values):
            for each in values:
                yield from _constants(each)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for each in parts:
                yield from _constants(each)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _said(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call():
                name = _called(node)
                for place in SAYS.get(name, ()):
                    if place < len(node.args):
                        yield from _constants(node.args[place])
                if name in CALLED:
                    for keyword in node.keywords:
                        if keyword.arg in NAMED and name not in {"text", "t", "Text", "Rule"}:
                            yield from _constants(keyword.value)
                        elif keyword.arg == "lost" and isinstance(keyword.value, ast.Dict):
                            for value in keyword.value.values:
                                yield from _constants(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values)) if (
                name in TABLES
            ):
                for value in values:
                    yield from _constants(value)


def _template_said(source: str) -> Iterator[str]:
    for quoted in re.findall(r"""\bt\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", source):
        yield ast.literal_eval(quoted)
    for call in re.findall(r"\{\{ table\((.*?)\) \}\}", source):
        _, caption, heads, facets = ast.literal_eval(f"({call})")
        yield from (caption, *heads, *facets)


def extracted() -> set[str]:
    """Every message id that the code and the templates hold as text."""
    found: set[str] = set()
    for folder in ("rules", "targets", "plan", "assess", "render"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            found.update(_said(ast.parse(path.read_text())))
    found.update(_said(ast.parse((PACKAGE / "translate.py").read_text())))
    for path in sorted((ROOT / "templates/plan").glob("*.j2")):
        found.update(_template_said(path.read_text()))
    from toolkit.clouds import services
    from toolkit.render.html import SECTIONS, _words

    found.update(name for _, name in SECTIONS)
    found.update(held.work for held in services().values() if held.work)
    for way in WAYS:
        found |= {way, f"{way} (our judgement)"}
    _words(lambda message: found.add(message["msg"]) or "")
    return {said for said in found if re.search(r"[A-Za-z]{2}", said)}


def words() -> set[str]:
    """Single words and short names that are told: roles, dispositions, severities, grounds for grouping."""
    from toolkit.config import ROLES

    return {
        *ROLES, "rehost", "replatform", "repurchase", "refactor", "retire", "retain", "absorbed", "blocker", "major", "minor",
        "critical", "warning", "info", "no-rule", "error", "denied", ",", ".", ":", ";",
    }  # fmt: skip


def holes(message: str) -> list[str]:
    """The names of a message's holes, each as often as it is filled."""
    return sorted({name for _, name, _, _ in Formatter().parse(message) if name is not None})


FRENCH = catalogue("fr")


def forms(entry: Any) -> tuple[str, ...]:
    """Everything that a catalogue says for one message."""
    return (entry,) if isinstance(entry, str) else (entry["one"], entry["other"])


def test_the_extractor_sees_the_code() -> None:
    found = extracted()
    assert len(found) > 600
    assert "Decide: go or not" in found
    assert "The target has the same thing." in found
    assert "Skip to the plan" in found


def test_french_has_what_the_code_says() -> None:
    missing = (extracted() | words()) - FRENCH.keys()
    assert not missing - PENDING, "\n".join(sorted(missing - PENDING))
    assert not PENDING - missing


def test_placeholders_of_key_and_translation_agree() -> None:
    for known in (FRENCH, catalogue("en")):
        assert not {k: e for k, e in known.items() for said in forms(e) if holes(k) != holes(said)}
        assert all(isinstance(e, str) or e["by"] in holes(key) for key, e in known.items())


def test_what_counts_has_a_singular_in_both_languages() -> None:
    message = "Build the stack {name} ({count} resources)"
    said = [
        tell(text(message, name="s", count=n), lang) for lang in ("en", "fr") for n in (0, 1, 2)
    ]
    assert [re.findall(r"\(\d (\w+)\)", each)[0] for each in said] == [
        "resources", "resource", "resources", "ressource", "ressource", "ressources",
    ]  # fmt: skip
    assert all(e["other"] == key for key, e in catalogue("en").items() if not isinstance(e, str))


def test_the_catalogue_is_sorted_and_each_translation_says_something() -> None:
    for language in ("en", "fr"):
        raw, known = (PACKAGE / f"locale/{language}.json").read_text("utf-8"), catalogue(language)
        assert raw == json.dumps(known, ensure_ascii=False, indent=0, sort_keys=True) + "\n"
        assert all(said for entry in known.values() for said in forms(entry))


def test_french_typography() -> None:
    """A no-break space before double punctuation and units, so that no line starts with them."""
    wrong = [
        s
        for e in FRENCH.values()
        for s in forms(e)
        if re.search(r" [:;?!»]|[\d}] (Gio|Go|Mio|Mo|min)\b", s)
    ]
    assert not wrong


def test_a_filled_message_in_a_message_is_told_too() -> None:
    plan = {
        "header": {"language": "fr"},
        "items": [{"moves": [{"what": text("the objects of {name}", name="box").json()}]}],
    }
    t = teller(plan)
    said = t(text("Copy {what} ({size})", what="the objects of box", size="1.0 GB").json())
    assert said == "Copier les objets de box (1.0 GB)"


def test_words_of_ours_that_fill_a_hole_are_told_and_names_are_not() -> None:
    said = text("The tunnel's public ends ({ends}) change.", ends="not read").json()
    assert tell(said, "fr") == "Les extrémités publiques du tunnel (non lus) changent."
    assert tell(text("{name} allows everything.", name="database").json(), "fr").startswith("database ")  # fmt: skip


def test_a_word_of_ours_is_really_one() -> None:
    """A key marked with `…` fills a hole, so the code or the catalogue of services must hold it."""
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    code += "\n".join(path.read_text() for path in (PACKAGE / "clouds").rglob("*") if path.suffix in (".json", ".toml", ".yaml"))  # fmt: skip
    gone = [
        key for key in FRENCH if key.startswith("…") and key[1:] not in code and key not in COMPUTED
    ]
    assert not gone


def test_numbers_have_the_marks_of_the_language() -> None:
    def t(message: Any, **args: Any) -> str:
        return tell({"msg": message, "args": args}, "fr")

    assert decimal(1234.5, 1, t) == "1\u202f234,5"
    assert duration(150, t) == "2,5\u00a0h"


def test_another_language_does_not_make_a_plan_stale() -> None:
    from toolkit.config import parse
    from toolkit.plan.make import digest_of_config

    config = parse({"target": {"cloud": "ovhcloud", "project": "p"}}, Path())
    assert digest_of_config(config) == digest_of_config(replace(config, language="fr"))
    assert digest_of_config(config) != digest_of_config(replace(config, project="q"))
