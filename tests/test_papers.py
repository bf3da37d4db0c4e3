"""The papers of a suite: same input same bytes, two languages, nothing named that is not there, nothing that runs or fetches."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
import yaml

from tests.test_messages import FRENCH
from tests.test_suite import TOWNS, raw
from toolkit.cli import commands, run
from toolkit.errors import FileError
from toolkit.messages import tell
from toolkit.outcomes import Text
from toolkit.suite.answers import load, parse
from toolkit.suite.layout import NEED
from toolkit.suite.papers import drill as drills
from toolkit.suite.papers.binder import KEPT, risks
from toolkit.suite.papers.content import Step
from toolkit.suite.papers.runbooks import runbooks
from toolkit.suite.papers.write import one, papers
from toolkit.suite.plan import plan

ROOT = Path(__file__).parents[1]
DRILL = {
    "schema": 1, "when": "2026-11-26T03:00:00Z", "rto_seconds": 1260, "rpo_seconds": 3540, "ok": True,
    "canaries": [{"application": "nextcloud", "ok": True}, {"application": "synapse", "ok": True}],
}  # fmt: skip
ROLES = ROOT / "playbooks/ansible_collections/repatria/suite/roles"

PENDING_PLAYBOOKS: set[str] = set()
"""Playbooks that the papers name and that are not there: this list only gets shorter."""


@cache
def town(n: int) -> dict[str, Any]:
    return plan(load(TOWNS[n]))


def of(**changes: Any) -> dict[str, Any]:
    return plan(parse(raw(**changes), Path()))


def text_of(files: Mapping[str, bytes]) -> str:
    return "\n".join(data.decode() for data in files.values())


# ---------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("n", TOWNS)
def test_same_input_same_bytes_in_every_size(n: int) -> None:
    first = papers(town(n), DRILL)
    assert first == papers(json.loads(json.dumps(town(n), sort_keys=True)), dict(DRILL))
    for language in town(n)["answers"]["languages"]:
        names = {path.removeprefix(f"papers/{language}/") for path in first if f"/{language}/" in path}  # fmt: skip
        assert {"binder.md", "binder.html", "architecture.svg"} < names
        assert len(names) == 12
    assert not re.search(r"Text\(|Name\(|>None<|\| None \|", text_of(first))


def test_every_hosts_loss_is_told() -> None:
    told = papers(town(3000), None)["papers/en/runbooks/host-lost.md"].decode()
    for host in town(3000)["hosts"]:
        assert f"| `{host['name']}` |" in told
    from toolkit.suite.papers.runbooks import _LOST

    assert _LOST.keys() == NEED.keys()


def test_papers_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "w"
    assert run(["suite", "papers", "-C", str(tmp_path)]) == 1
    assert "repatria suite plan" in capsys.readouterr().err
    run(["suite", "init", "town-300", str(folder), "--answers", str(TOWNS[300])])
    run(["suite", "plan", "-C", str(folder)])
    assert run(["suite", "papers", "-C", str(folder), "--check"]) == 3
    assert not (folder / "papers").exists()
    assert run(["suite", "papers", "-C", str(folder)]) == 0
    assert run(["suite", "papers", "-C", str(folder), "--check"]) == 0
    held = {p: p.read_bytes() for p in (folder / "papers").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert run(["suite", "papers", "-C", str(folder)]) == 0
    assert "wrote" not in capsys.readouterr().err
    binder = folder / "papers/en/binder.md"
    binder.write_bytes(binder.read_bytes() + b"x")
    (folder / "papers/en/runbooks/old.md").write_text("gone")
    (folder / "papers/notes.md").write_text("the client's own")
    assert run(["suite", "papers", "-C", str(folder), "--check"]) == 3
    said = capsys.readouterr().out
    assert "binder.md" in said
    assert "old.md" in said
    assert "notes.md" not in said
    assert run(["suite", "papers", "-C", str(folder)]) == 0
    assert {p: p.read_bytes() for p in held} == held
    assert not (folder / "papers/en/runbooks/old.md").exists()
    assert (folder / "papers/notes.md").exists()
    (folder / "drill.json").write_text(json.dumps(DRILL))
    assert run(["suite", "papers", "-C", str(folder), "--check"]) == 3, "the drill is in the binder"
    (folder / "drill.json").write_text("{")
    assert run(["suite", "papers", "-C", str(folder)]) == 1
    assert "drill.json is no JSON" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ what they say


def test_french_is_whole() -> None:
    """Every message that the papers tell has a translation, in all shapes of a suite."""
    left: set[str] = set()

    def t(message: Any) -> str:
        said = message if isinstance(message, str) else message.msg if isinstance(message, Text) else message["msg"]  # fmt: skip
        if re.search(r"[A-Za-z]{2}", re.sub(r"\{\w+\}", "", said)) and said not in FRENCH:
            left.add(said)
        return tell(message, "fr")

    shapes = [
        (town(20), None), (town(300), DRILL), (town(10000), {**DRILL, "ok": False, "canaries": [{"application": "idp", "ok": False}]}),
        (of(backup__enabled=False, federation__mode="on", allow=[{"host": "acme.ca.eu", "reason": "ordered there"}]), None),
        (of(dns__held="elsewhere", directory={"kind": "oidc", "url": "https://sso.town.fr", "base_dn": ""}, applications__idp=False), None),
        (of(applications__matrix=False, applications__jitsi=False, people__conference_peak=0), None),
    ]  # fmt: skip
    for document, drill in shapes:
        one(json.loads(json.dumps(document)), drill, "fr", t)
    assert not left, "\n".join(sorted(left))
    with pytest.raises(KeyError):
        t({"says": "no message"})
    t("Nobody ever translated this.")
    assert left == {"Nobody ever translated this."}


def test_one_of_something_is_singular() -> None:
    said = text_of(papers(of(people__users=1, people__conference_peak=2, people__biggest_room=2, retention__backup_days=1, retention__logs_days=1, languages=["en", "fr"]), {**DRILL, "rto_seconds": 60}))  # fmt: skip
    assert not re.findall(r"\b1 (?:hosts|days|minutes|hôtes|jours)\b", said)
    assert "on 1 host at" in said
    assert "sur 1 hôte chez" in said


def test_numbers_have_the_marks_of_the_language() -> None:
    files = papers(town(300), None)
    assert re.search(r"\d+\.\d+ EUR a month", files["papers/en/binder.md"].decode())
    french = papers({**town(300), "answers": {**town(300)["answers"], "languages": ["fr"]}}, None)
    assert re.search(r"\d+,\d+ EUR par mois", french["papers/fr/binder.md"].decode())


def test_the_drill_is_told_as_it_went() -> None:
    none, good = (papers(town(300), each)["papers/en/binder.md"].decode() for each in (None, DRILL))
    failed = papers(town(300), {**DRILL, "ok": False, "canaries": [{"application": "nextcloud", "ok": False}]})["papers/en/binder.md"].decode()  # fmt: skip
    assert "Last drill: none" in none
    assert "No backup was ever restored." in none
    assert "every canary was found. Working again after 21 minutes (RTO); data of the last 59 minutes were lost (RPO)" in good  # fmt: skip
    assert "No backup was ever restored." not in good
    assert "not every canary was found" in failed
    assert "| nextcloud | no |" in failed
    assert "- The last restore drill failed.\n" in failed


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"when": "yesterday"}, {"when": "2026-11-26T03:00:00"}, {"when": "2026-11-26T03:00:00Z<b>"}, {"rto_seconds": -1}, {"rto_seconds": "60"},
        {"rto_seconds": True}, {"rpo_seconds": None}, {"ok": "yes"}, {"canaries": None}, {"canaries": ["nextcloud"]}, {"canaries": []},
        {"canaries": [{"application": "nextcloud", "ok": False}]}, {"canaries": [{"application": "<script>", "ok": True}]},
    ],
)  # fmt: skip
def test_a_faulty_drill_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "drill.json").write_text(json.dumps({**DRILL, **change}))
    with pytest.raises(FileError, match=re.escape("drill.json")):
        drills.read(tmp_path)
    (tmp_path / "drill.json").write_text(json.dumps(DRILL))
    assert drills.read(tmp_path) == DRILL
    (tmp_path / "drill.json").write_text("[]")
    with pytest.raises(FileError, match="no object"):
        drills.read(tmp_path)


def test_risks_say_what_the_plan_says() -> None:
    document = of(backup__enabled=False, federation__mode="on", allow=[{"host": "acme.ca.eu", "reason": "ordered there"}])  # fmt: skip
    said = [tell(each) for each in risks(document, None)]
    for each in ("There are no backups.", "No backup was ever restored.", "acme.ca.eu outside is contacted: ordered there", "No load test"):  # fmt: skip
        assert any(line.startswith(each) for line in said), each
    assert any("quota" in line for line in said) is any(q["request"] for q in document["quotas"])


def test_without_a_backup_there_is_no_way_back() -> None:
    books = {book.id: book for book in runbooks(of(backup__enabled=False))}
    assert not books["provider-lost"].steps
    assert "backup" not in [step.id for step in books["installation"].steps]


def test_steps_are_whole() -> None:
    for document in (town(20), town(3000)):
        for book in runbooks(document):
            ids = [step.id for step in book.steps]
            assert len(ids) == len(set(ids)), book.id
            for step in book.steps:
                assert step.expected, (book.id, step.id)
                assert step.command or step.check or step.person, (book.id, step.id)
                assert 0 < step.minutes <= 240


def test_a_persons_words_are_quoted() -> None:
    evil = "a|b `c` <script>alert(1)</script> **x** ](http://evil) {{ 7*7 }} \\"
    document = of(allow=[{"host": "acme.ca.eu", "reason": evil}], languages=["en", "fr"])
    for path, data in papers(document, None).items():
        said = data.decode()
        if path.endswith(".html"):
            assert "<script" not in said
            assert "&lt;script&gt;" in said
        elif path.endswith("binder.md"):
            assert "<script>" not in said.replace("\\<script\\>", "")
            rows = [line for line in said.splitlines() if line.startswith("| `acme.ca.eu`")]
            assert len(rows) == 1
            assert len(re.findall(r"(?<!\\)\|", rows[0])) == 3


def test_no_secret_is_asked_for_or_printed() -> None:
    said = text_of(papers(town(300), DRILL)).lower()
    assert not re.search(r"password\s*[=:]\s*\S", said)
    assert "no credential stands in this binder" in said


# -------------------------------------------------------------------------- what they name exists, or is listed


def _steps() -> Iterator[Step]:
    for document in (town(20), town(3000), of(dns__held="elsewhere", federation__mode="on")):
        for book in runbooks(document):
            yield from book.steps


def _named() -> set[tuple[str, ...]]:
    """Every `repatria ...` of the papers, its words up to the end of the line or of the code."""
    said = text_of(papers(town(3000), DRILL)) + text_of(papers(town(20), None))
    lines = re.findall(r"`repatria ([^`\n]+)`", said)
    lines += [line.removeprefix("repatria ") for step in _steps() for line in f"{step.command}\n{step.check}".splitlines() if line.startswith("repatria ")]  # fmt: skip
    return {tuple(line.split()) for line in lines}


def test_commands_that_are_named_exist() -> None:
    missing = set()
    assert len(_named()) > 8
    for words in _named():
        group: click.Command = commands
        path: list[str] = []
        for word in words:
            if not isinstance(group, click.Group):
                break
            path.append(word)
            found = group.commands.get(word)
            if found is None:
                missing.add(" ".join(path))
                break
            group = found
        else:
            assert not isinstance(group, click.Group), words
        if " ".join(path) not in missing:
            known = {option for each in group.params for option in each.opts}
            assert {word for word in words[len(path) :] if word.startswith("-")} <= known, words
    assert missing == set()


def test_playbooks_that_are_named_exist() -> None:
    named = {name for step in _steps() for name in re.findall(r"playbooks/([\w-]+\.yml)", step.command)}  # fmt: skip
    assert len(named) >= 5
    missing = {name for name in named if not (ROOT / "playbooks" / name).exists()}
    assert missing == PENDING_PLAYBOOKS, "take out of PENDING_PLAYBOOKS what is there now"
    assert (ROOT / "playbooks/ansible.cfg").exists()


def test_variables_that_are_named_exist() -> None:
    known: set[str] = set()
    for path in ROLES.glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            known |= (entry.get("options") or {}).keys()
    missing = {variable for _, variable, _ in KEPT} - known
    assert missing == set()
    assert {role for role, _, _ in KEPT} <= {*NEED, "baseline"}


def test_versions_are_those_of_the_artefacts() -> None:
    held = yaml.safe_load((ROOT / "toolkit/suite/papers/versions.yaml").read_text())
    assert {each["role"] for each in held["versions"]} <= {*NEED, ""}
    for each in held["versions"]:
        assert each["source"] in held["sources"]
        assert each["status"] in ("read", "inferred")
        assert not each["until"] or re.fullmatch(r"\d{4}-\d\d-\d\d", each["until"])
    artefacts = ROOT / "playbooks/artefacts.yml"
    if artefacts.exists():
        pinned = yaml.safe_load(artefacts.read_text())
        for each in held["versions"]:
            if "artefact" in each:
                assert str(pinned[each["artefact"]]["version"]) == str(each["version"]), each["name"]  # fmt: skip


# ------------------------------------------------------------------------------------------- how they look


def test_the_page_runs_and_fetches_nothing() -> None:
    page = papers(town(300), DRILL)["papers/en/binder.html"].decode()
    assert "default-src 'none'; style-src 'sha256-" in page
    assert not re.search(r"<script|<img|<link|<iframe|\son\w+=|style=\"|url\(|@import", page)
    assert all(each.startswith("#") for each in re.findall(r"(?:href|src)=\"([^\"]*)\"", page))
    ids = re.findall(r"\sid=\"([^\"]+)\"", page)
    assert len(ids) == len(set(ids))
    assert {each[1:] for each in re.findall(r"href=\"(#[^\"]*)\"", page)} <= set(ids)


@pytest.mark.parametrize("n", TOWNS)
def test_the_picture_is_an_image_of_its_own(n: int) -> None:
    svg = papers(town(n), None)["papers/en/architecture.svg"].decode()
    root = ET.fromstring(svg)  # noqa: S314 - made by us
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"<script|href=|url\(|<image", svg)
    for kind in {host["kind"] for host in town(n)["hosts"]}:
        assert f">{kind}-1" in svg


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_INSIDE = """() => [...document.querySelectorAll('svg.architecture rect.box')].flatMap(box => {
  const b = box.getBBox();
  return [...document.querySelectorAll('svg.architecture text')].filter(t => {
    const r = t.getBBox(); return r.x >= b.x && r.x < b.x + b.width && r.y >= b.y && r.y < b.y + b.height
      && (r.x + r.width > b.x + b.width - 3 || r.y + r.height > b.y + b.height);
  }).map(t => t.textContent)})"""
_WIDE = """() => [...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, pre, nav, .skip')
  && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + ' ' + e.textContent.slice(0, 40))"""


@pytest.mark.browser
@pytest.mark.parametrize(("n", "language"), [(20, "en"), (300, "fr"), (10000, "fr")])
def test_the_binder_in_a_browser(tmp_path: Path, n: int, language: str) -> None:
    """On a wide page, a dark one, a telephone and paper: nothing beside the page, nothing beside its box, no complaint."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "chromium is not installed: sh .ci/system-packages installs it"
    document = {**town(n), "answers": {**town(n)["answers"], "languages": [language]}}
    file = tmp_path / "binder.html"
    file.write_bytes(papers(document, DRILL)[f"papers/{language}/binder.html"])
    told: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((1200, "light"), (1200, "dark"), (400, "light")):
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )  # type: ignore[arg-type]
            page = context.new_page()
            page.on("console", lambda said: told.append(said.text))
            page.on("pageerror", lambda error: told.append(str(error)))
            page.on("request", lambda asked: told.append(asked.url) if not asked.url.startswith("file:") else None)  # fmt: skip
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert not page.evaluate(_WIDE), (width, scheme)
            assert not page.evaluate(_INSIDE), (width, scheme)
            if width == 1200:
                scrolled = "() => [...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
                assert not page.evaluate(scrolled)
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (dark == "rgb(16, 22, 27)") is (scheme == "dark")
            if width == 1200 and scheme == "light":
                page.emulate_media(media="print")
                assert not page.evaluate(_WIDE), "print"
                assert page.locator("nav").is_hidden()
                assert page.locator(".sign").is_visible()
            context.close()
        browser.close()
    assert not told
