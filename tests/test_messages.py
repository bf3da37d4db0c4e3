"""The message catalogue: what can reach a person is extracted from the code, and French has it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import yaml

from toolkit.messages import catalogue, tell
from toolkit.outcomes import HANDS, joined, text
from toolkit.plan.copies import NO_SIZE
from toolkit.render.summary import decimal, duration

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
COMPUTED = {
    "GB of volume {name}", "node {name}", "server {name}", "tag Application", "tag app", "tag service",
    "Resource Explorer names 1000 resources at most: what no rule knows may be more than is counted here.",
}  # fmt: skip
"""Messages that the code puts together from a few words."""
NAMED = frozenset(
    {
        "reason", "way_out", "work", "alternatives", "says", "why", "label", "consequence", "question", "title", "expected", "undo",
        "basis", "what", "undo_last", "doc",
    }
)  # fmt: skip
CALLED = frozenset(
    {*SAYS, "Step", "Engine", "Decision", "decide", "Move", "way_out", "Rule", "Config"}
)
TABLES = {
    "_HEADINGS",
    "_WHY_STACK",
    "MEANING",
    "told",
    "SECTIONS",
    "FOUND",
    "STATE",
    "SERVICES",
    "NOT_READ",
    "_LOST",
}
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


LOWER_CASE = frozenset(
    {
        "anti-DDoS", "cert-manager", "certbot", "cron", "ext-floating1", "kDrive", "lego", "n8n", "ntfy", "osquery", "ovh", "restic", "step-ca", "strongSwan", "the-bastion",
        "tcp", "udp", "icmp", "vCPU", "vLLM", "vRack", "valkey", "postgresql", "mysql", "mariadb", "memcached", "essential", "business", "enterprise",
    }
)  # fmt: skip
"""Names that do not start with a capital, and would be taken for words."""
_WORD = re.compile(r"(?<![\w.:/@#\-])[a-z][\w\-/]*[a-z](?![\w.:@=\-/])|(?<=\d )[GMT]i?B\b")


def prose(said: str) -> list[str]:
    """Words in a text that are none of the known names: what a French reader should not find in English."""
    return [word for word in _WORD.findall(said) if word not in LOWER_CASE]


def extracted() -> set[str]:
    """Every message id that the code and the templates hold as text."""
    found: set[str] = set()
    for folder in ("rules", "targets", "plan", "assess", "render", "suite", "verify"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            found.update(_said(ast.parse(path.read_text())))
    for name in ("translate.py", "preflight/letter.py"):
        found.update(_said(ast.parse((PACKAGE / name).read_text())))
    for path in sorted((ROOT / "templates/plan").glob("*.j2")):
        found.update(_template_said(path.read_text()))
    from toolkit.clouds import services
    from toolkit.render.html import SECTIONS, _words

    found.update(name for _, name in SECTIONS)
    versions = yaml.safe_load((PACKAGE / "suite/papers/versions.yaml").read_text())["versions"]
    found.update(each["note"] for each in versions)
    found.update((HANDS, NO_SIZE))
    for held in services().values():
        ways = {held.self_hosted, *(way.target for way in held.ways.values())}
        found.update({held.work, *(way for way in ways if way in FRENCH or prose(way))})
    for way in WAYS:
        found |= {way, f"{way} (our judgement)"}
    _words(lambda message: found.add(message["msg"]) or "")
    return {said for said in found if re.search(r"[A-Za-z]{2}", said)}


def words() -> set[str]:
    """Single words and short names that are told: roles, dispositions, severities, grounds for grouping."""
    from toolkit.config import ROLES
    from toolkit.estate.model import GapReason

    return {
        *ROLES, "rehost", "replatform", "repurchase", "refactor", "retire", "retain", "absorbed", "blocker", "major", "minor",
        "critical", "warning", "info", *get_args(GapReason), ",", ".", ":", ";", ", ", "; ", " and ", "anyone", "operators", "read", "inferred",
        "unverified",
    }  # fmt: skip


def holes(message: str) -> list[str]:
    """The names of a message's holes, each as often as it is filled; words that count along fill nothing."""
    names = (name for _, name, _, _ in Formatter().parse(message) if name is not None)
    return sorted(name for name in names if "|" not in name)


def counted(message: str) -> set[str]:
    """The holes along with which words of a message count."""
    return set(re.findall(r"\{(\w+)\|", message))


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
        assert all(isinstance(e, str) or e.keys() == {"by", "one", "other"} for e in known.values())
        assert all(isinstance(e, str) or e["by"] in holes(key) for key, e in known.items())
        assert all(counted(said) <= set(holes(key)) for key, e in known.items() for said in forms(e))  # fmt: skip
        assert all(said.count("|") == 2 * len(re.findall(r"\{\w+\|[^{}|]*\|[^{}|]*\}", said)) for e in known.values() for said in forms(e))  # fmt: skip


def test_what_counts_has_a_singular_in_both_languages() -> None:
    message = "Build the stack {name} ({count} resources)"
    said = [
        tell(text(message, name="s", count=n), lang) for lang in ("en", "fr") for n in (0, 1, 2)
    ]
    assert [re.findall(r"\(\d (\w+)\)", each)[0] for each in said] == [
        "resources", "resource", "resources", "ressource", "ressource", "ressources",
    ]  # fmt: skip
    assert all(e["other"] == key for key, e in catalogue("en").items() if not isinstance(e, str))


def test_words_count_along_with_each_hole() -> None:
    message = text("{shards} shards, kept {hours} h, {consumers} registered consumers: a topic with as many partitions.", shards=1, hours=24, consumers=0)  # fmt: skip
    assert tell(message).startswith("1 shard, kept 24 h, 0 registered consumers:")
    assert tell(message, "fr").startswith("1 partition, conservation 24\u00a0h, 0 consommateur enregistré")  # fmt: skip
    assert tell(text("{n} networks before and after", n="1"), "fr") == "1 réseau avant et après"


def test_dates_are_written_out_where_a_hole_holds_one() -> None:
    ended = text("{engine} {version} has had no community support since {date}: move to a current release on the way.", engine="mysql", version="2024-03-01", date="2025-11-01")  # fmt: skip
    assert tell(ended, "fr").startswith("mysql 2024-03-01 n'a plus de support communautaire depuis le 1er\u00a0novembre 2025")  # fmt: skip
    assert "since 2025-11-01:" in tell(ended)


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
        if re.search(r" [:;?!»]|« |\w[;?!](?!\w)|[\d}] (Gio|Go|Mio|Mo|min)\b", s)
    ]
    assert not wrong


def test_words_of_ours_that_fill_a_hole_are_told_and_names_are_not() -> None:
    said = text(
        "Copy {what} ({size})", size="1 GB", what=text("the objects of {name}", name="nothing")
    )
    assert tell(said.json(), "fr") == tell(said, "fr") == "Copier les objets de nothing (1 GB)"
    assert tell(text("In front of {origins}.", origins=text("nothing")), "fr") == "Devant rien."
    assert tell(text("In front of {origins}.", origins="nothing"), "fr") == "Devant nothing."


def test_parts_and_their_marks_are_told() -> None:
    own = text("own rules for {services}", services="s3, sqs")
    assert str(joined(["ReadOnly", own], "; ")) == "ReadOnly; own rules for s3, sqs"
    assert tell(joined(["ReadOnly", own], "; "), "fr") == "ReadOnly\u00a0; règles propres pour s3, sqs"  # fmt: skip
    assert tell(joined(["a", "b"], " and "), "fr") == "a et b"
    assert (joined([]), joined(["a"], "; "), joined(["a", "b"])) == ("", "a", "a, b")


def test_french_elides_before_a_vowel() -> None:
    said = [
        tell(text("DNS of {cloud}", cloud=c), "fr") for c in ("OVHcloud", "Cloud Temple", "a2-ram4")
    ]
    assert said == ["Le DNS d'OVHcloud", "Le DNS de Cloud Temple", "Le DNS de a2-ram4"]


def test_no_translation_outlives_its_message() -> None:
    """What French says must still be in the code, the templates or the catalogue of services."""
    code = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    gone = FRENCH.keys() - code - extracted() - words() - COMPUTED
    assert not gone, "\n".join(sorted(gone))
    assert catalogue("en").keys() <= FRENCH.keys()


def test_numbers_have_the_marks_of_the_language() -> None:
    def t(message: Any, **args: Any) -> str:
        return tell({"msg": message, "args": args}, "fr")

    assert decimal(1234.5, 1, t) == "1\u202f234,5"
    assert duration(150, t) == "2,5\u00a0h"
    assert (duration(1440, t), duration(5040, t)) == ("24\u00a0h", "3,5 jours")
    assert duration(2880 - 1, t) == "48\u00a0h"
    assert tell(text("{n} days", n="1,5"), "fr") == "1,5 jour"
    assert t("{gb} GB at {speed} MB/s", gb=21.5, speed=100.0) == "21,5\u00a0Go à 100\u00a0Mo/s"


def test_another_language_does_not_make_a_plan_stale() -> None:
    from toolkit.config import parse
    from toolkit.plan.make import digest_of_config

    config = parse({"target": {"cloud": "ovhcloud", "project": "p"}}, Path())
    assert digest_of_config(config) == digest_of_config(replace(config, language="fr"))
    assert digest_of_config(config) != digest_of_config(replace(config, project="q"))
