"""Stage files: written whole or not at all, and refused when they are not what they say."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.bench.estate import write as generated
from toolkit import planfile, stage, workspace
from toolkit.config import parse as parse_config
from toolkit.errors import ConfigError, FileError, StaleError
from toolkit.estate.model import Gap, Resource
from toolkit.init import init
from toolkit.outcomes import Decision, Option, text
from toolkit.plan import decisions, names
from toolkit.render import write
from toolkit.translate import Override

RESOURCE = Resource("aws.ec2.vpc", "vpc-1", "arn:x", "1", "r", "n", {"a": "b"}, {"VpcId": "vpc-1"})
GAP = Gap("ec2", "describe_vpcs", "1", "r", "denied", "no", 3)


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    path = tmp_path / workspace.ESTATE
    workspace.write_estate(path, {"source": {}}, [GAP.line(), RESOURCE.line()])
    return path


def test_an_estate_is_read_as_it_was_written(estate: Path) -> None:
    read = workspace.read_estate(estate)
    assert read.resources == (RESOURCE,)
    assert read.gaps == (GAP,)
    assert estate.stat().st_mode & 0o777 == 0o600


def test_order_of_reading_does_not_matter(tmp_path: Path) -> None:
    lines = [RESOURCE.line(), GAP.line(), {**RESOURCE.line(), "id": "vpc-0"}]
    for name, order in (("a", lines), ("b", lines[::-1])):
        workspace.write_estate(tmp_path / name, {}, order)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _edit(path: Path, change: Mapping[str, Any]) -> None:
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(orjson.dumps({**orjson.loads(first), **change}) + b"\n" + rest)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-20]), "cut off or was edited"),
        (
            lambda p: p.write_bytes(p.read_bytes().replace(b"vpc-1", b"vpc-2")),
            "cut off or was edited",
        ),
        (lambda p: p.write_bytes(b""), "does not start with a header"),
        (lambda p: p.write_bytes(b"\x00\xff"), "does not start with a header"),
        (lambda p: p.write_bytes(b"[]\n"), "does not start with a header"),
        (lambda p: _edit(p, {"schema": 99}), "has schema 99"),
        (lambda p: p.unlink(), "there is no estate.jsonl"),
    ],
)
def test_a_damaged_estate_is_refused_with_a_hint(estate: Path, damage: Any, says: str) -> None:
    damage(estate)
    with pytest.raises(FileError, match=says) as caught:
        workspace.read_estate(estate)
    assert caught.value.hint


def test_the_same_resource_twice_is_refused(tmp_path: Path) -> None:
    workspace.write_estate(tmp_path / "e", {}, [RESOURCE.line(), RESOURCE.line()])
    with pytest.raises(FileError, match="twice"):
        workspace.read_estate(tmp_path / "e")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(workspace.os, "fsync", full)
    with pytest.raises(FileError, match="no room left"):
        workspace.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_is_told_as_such() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as file,
        pytest.raises(OSError, match="space") as caught,
    ):
        file.write(b"x")
    assert "no room left" in workspace.write_error(Path("x"), caught.value).message


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError):
        workspace.write(tmp_path / "file" / "plan.json", b"x")


def test_plans_are_refused_when_stale_or_edited(tmp_path: Path) -> None:
    plan: dict[str, Any] = {"kind": "plan", "schema": 1, "items": []}
    plan["header"] = {"made_from": {"estate": "a"}, "body": workspace.plan_digest(plan)}
    path = tmp_path / "plan.json"
    path.write_bytes(orjson.dumps(plan))
    workspace.check_fresh(workspace.read_plan(path), {"estate": "a"})
    with pytest.raises(StaleError, match="estate changed"):
        workspace.check_fresh(plan, {"estate": "b"})
    path.write_bytes(orjson.dumps({**plan, "items": [1]}))
    with pytest.raises(FileError, match="edited by hand"):
        workspace.read_plan(path)
    for data, says in (
        (b"{", "no JSON"),
        (b"{}", "not a plan"),
        (b'{"kind":"plan","schema":2}', "schema 2"),
    ):
        path.write_bytes(data)
        with pytest.raises(FileError, match=says):
            workspace.read_plan(path)


def _plan(**more: Any) -> dict[str, Any]:
    """A plan in shape, whose lists are long enough to be read in pieces of 100 bytes."""
    row = {"application": "a", "says": ',"kind":"plan"],"steps":[{', "n": [{"application": 1}]}
    return {
        "applications": [1], "header": {"made_from": {}}, "kind": "plan", "schema": 1, "misfits": [], "items": [row] * 9,
        "stacks": [{"name": str(n), "resources": []} for n in range(9)], "steps": [{"id": "é\x7f"}] * 9, "totals": {}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"items": [], "stacks": []},
        {"items": [{"application": "a"}, {"b": [{"application": "c"}] * 20}]},  # cut too deep
        {"items": [1, "x", {}] * 20},
        {"jobs": [{}]},
        {"kinds": {"kind": "plan"}, "step": [{"steps": [{"totals": {"a": 1}}]}]},
    ],
)
def test_a_plan_that_is_read_in_pieces_is_the_same(
    more: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planfile, "_PIECE", 100)
    plan = _plan(**more)
    plan["header"]["body"] = workspace.plan_digest(plan)
    data = b"".join(workspace.pieces(plan)) + b"\n"
    assert planfile.loads(data) == plan == orjson.loads(data)
    assert planfile.holds(data, plan["header"])
    for end in range(0, len(data) - 1, 7):
        with pytest.raises(orjson.JSONDecodeError):
            planfile.loads(data[:end])
    changed = data.replace(b'"misfits":[]', b'"misfits":[0]')
    assert not planfile.holds(changed, plan["header"])
    laid_out = orjson.dumps(plan, option=orjson.OPT_INDENT_2)
    assert not planfile.holds(laid_out, plan["header"])
    path = tmp_path / "plan.json"
    for same in (data, laid_out):
        path.write_bytes(same)
        assert workspace.read_plan(path) == plan
    path.write_bytes(changed)
    with pytest.raises(FileError, match="edited by hand"):
        workspace.read_plan(path)


def test_a_plan_as_it_is_written_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planfile, "_PIECE", 1000)
    init(tmp_path, target="ovhcloud", project="bench")
    generated(tmp_path, 120)
    made = stage.plan(tmp_path).document
    data = (tmp_path / workspace.PLAN).read_bytes()
    assert planfile.holds(data, made["header"])
    longest = []
    once = planfile.orjson.loads
    monkeypatch.setattr(
        planfile.orjson, "loads", lambda part: longest.append(len(part)) or once(part)
    )
    assert planfile.loads(data) == once(data)
    assert max(longest) < len(data) / 3, "read at once: the cuts are not where the plan has them"


DECISION = Decision(
    "boot:k",
    "k",
    "boot",
    "How?",
    (Option("image", "Its image"), Option("rebuild", 'A "new"\none', "x: y")),
    "image",
    "why",
)


def test_decisions_survive_and_unfit_ones_are_told() -> None:
    overrides = {
        "boot:k": Override("rebuild", "Ana", 'she "knows"'),
        "boot:gone": Override("image"),
        "boot:*": Override("image"),
    }
    data = decisions.dump({"boot:k": DECISION}, overrides, {"k": text("web: 1")})
    assert decisions.parse(data) == overrides
    assert (
        decisions.dump({"boot:k": DECISION}, decisions.parse(data), {"k": text("web: 1")}) == data
    )
    assert decisions.unfit({"boot:k": DECISION}, overrides) == ["boot:gone"]
    assert decisions.unfit({"boot:k": DECISION}, {"boot:k": Override("fly")}) == ["boot:k"]


def test_decisions_are_asked_in_the_readers_language_and_answered_in_one() -> None:
    asked = replace(
        DECISION,
        question=text("How is {name} built at the target?", name="web"),
        options=(Option("image", "From its moved image", "Costs storage."),),
    )
    overrides = {"boot:k": Override("image", "Ana"), "boot:gone": Override("image")}
    data = decisions.dump({"boot:k": asked}, overrides, {}, "fr")
    said = data.decode()
    assert said.startswith("# Choix faits par le plan")
    assert 'question: "Comment web est-il construit à la cible\u00a0?"' in said
    assert '"image": "Depuis son image transférée. Coûte du stockage."' in said
    assert 'unfit: "Le plan ne pose plus cette question' in said
    assert decisions.parse(data) == overrides


@pytest.mark.parametrize("language", ["en", "fr"])
def test_untouched_decisions_are_no_overrides(language: str) -> None:
    data = decisions.dump({"boot:k": DECISION}, {}, {}, language)
    assert decisions.parse(data) == {}
    assert decisions.parse(data.replace(b'choose: ""', b"choose: image")) == {
        "boot:k": Override("image")
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "schema: 7\n",
        "schema: 1\ndecisions: {x: 3}\n",
        "- 1\n",
        "schema: 1\ndecisions: {x: {choose: [1]}}",
    ],
)
def test_broken_decisions_are_refused(text: str) -> None:
    with pytest.raises(FileError):
        decisions.parse(text.encode())


def test_names_are_read_in_any_yaml_form() -> None:
    held = names.Names({"a|b": names.Entry("x", {"data": "s"}, {"data:r": "s--2"})})
    assert names.parse(held.dump()) == held
    import yaml

    again = yaml.safe_dump(yaml.safe_load(held.dump()), default_flow_style=False)
    assert names.parse(again.encode()) == held
    assert names.parse(names.Names().dump()) == names.Names()
    for damaged in ("schema: 2\nnames: {}", "schema: 1\nnames: {a: 1}", "a: ["):
        with pytest.raises(FileError):
            names.parse(damaged.encode())


def test_every_fault_of_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    raw = {
        "source": {"regions": ["Paris"], "rolearns": []},
        "target": {"cloud": "ovh", "language": "de", "map": [{"account": "1"}, {"account": "1"}]},
        "people": {"boss": {}},
        "plan": {"operator_cidrs": ["1.2.3.4/99"]},
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, tmp_path)
    for part in (
        "Paris",
        "rolearns is unknown (did you mean role_arns?)",
        "did you mean ovhcloud",
        "'de'",
        "mapped twice",
        "people.boss",
        "1.2.3.4/99",
    ):
        assert part in caught.value.message


def test_places_go_from_special_to_general(tmp_path: Path) -> None:
    rows = [
        {"account": "1", "region": "eu-west-1", "to_project": "p1"},
        {"account": "1", "to_project": "p2", "to_region": "R2"},
    ]
    config = parse_config(
        {"target": {"cloud": "openstack", "region": "R", "project": "p", "map": rows}}, tmp_path
    )
    got = [
        config.place(*pair) for pair in (("1", "eu-west-1"), ("1", "eu-west-3"), ("2", "eu-west-1"))
    ]
    assert [(p.project, p.region) for p in got] == [("p1", "R"), ("p2", "R2"), ("p", "R")]


def _files(text: str, count: int = 1200) -> list[tuple[str, bytes, str]]:
    return [(f"stacks/{n}.py", f"{text} {n}\n".encode() * 3, "generated") for n in range(count)]


def test_a_render_that_was_cut_off_is_repaired_by_the_next(tmp_path: Path) -> None:
    write.write_tree(tmp_path, _files("old"))
    written = (tmp_path / write.MANIFEST).read_bytes()
    cut = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from tests.test_files import _files
from toolkit.render import write

def files():
    for n, each in enumerate(_files("new")):
        if n == 1100:
            os.kill(os.getpid(), signal.SIGKILL)
        yield each

write.write_tree(Path({str(tmp_path)!r}), files())
"""
    done = subprocess.run([sys.executable, "-c", cut], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / write.MANIFEST).read_bytes() == written
    assert (tmp_path / "stacks/0.py").read_bytes() == _files("new")[0][1]
    # what a power cut leaves besides: empty files, zeros, beginnings; and a person's hand
    (tmp_path / "stacks/1.py").write_bytes(b"")
    (tmp_path / "stacks/2.py").write_bytes(b"newer 2\n" + bytes(20))
    (tmp_path / "stacks/3.py").write_text("mine")
    (tmp_path / "stacks/1150.py").write_text("mine")
    (tmp_path / "stacks/.0.py.ab_12xyz").write_bytes(b"new")
    (tmp_path / "stacks/.mine.py.ab_12xyz").write_text("mine")
    report = write.write_tree(tmp_path, _files("newer"))  # the plan has changed meanwhile
    assert sorted(report.changed_by_user) == ["stacks/1150.py", "stacks/3.py"]
    assert len(report.written) == 1198
    assert not (tmp_path / write.JOURNAL).exists()
    assert [each.name for each in tmp_path.glob("stacks/.*")] == [".mine.py.ab_12xyz"]
    again = write.write_tree(tmp_path, _files("newer"))
    assert (len(again.unchanged), again.written) == (1198, [])
    assert sorted(again.changed_by_user) == ["stacks/1150.py", "stacks/3.py"]


def test_a_file_of_the_users_own_is_written_once_and_mended_only_where_a_cut_tore_it(
    tmp_path: Path,
) -> None:
    files = [("stacks/a/__main__.py", b"main\n", "once"), ("stacks/a/x.py", b"x\n", "generated")]
    mine = tmp_path / "stacks/a/__main__.py"
    announced = orjson.dumps(["stacks/a/__main__.py", "0" * 64]) + b"\n"
    assert write.write_tree(tmp_path, files).written == ["stacks/a/__main__.py", "stacks/a/x.py"]
    mine.write_bytes(b"mine\n")
    assert write.write_tree(tmp_path, files).written == []
    (tmp_path / write.JOURNAL).write_bytes(announced)
    assert write.write_tree(tmp_path, files).removed == []
    assert mine.read_bytes() == b"mine\n"
    (tmp_path / write.JOURNAL).write_bytes(announced)
    mine.write_bytes(b"")
    assert write.write_tree(tmp_path, files).written == ["stacks/a/__main__.py"]
    assert mine.read_bytes() == b"main\n"


def test_what_was_not_asked_for_stays(tmp_path: Path) -> None:
    files = [(name, b"x\n", "generated") for name in ("plan.md", "stacks/a.py", "stacks/b.py")]
    write.write_tree(tmp_path, files)
    assert write.write_tree(tmp_path, files[:1]).removed == []
    assert write.write_tree(tmp_path, files[:1], check=True).differs == []
    assert write.write_tree(tmp_path, files[:2]).removed == ["stacks/b.py"]
    assert sorted(each.name for each in (tmp_path / "stacks").iterdir()) == ["a.py"]


def test_a_new_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.py"
    mask = os.umask(0o077)
    try:
        workspace.create(path, b"x")
    finally:
        os.umask(mask)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"x", 0o644)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    workspace.create(path, b"y")
    assert (path.is_symlink(), path.read_bytes()) == (False, b"y")
    cut = f"""
import resource
from pathlib import Path
from toolkit import workspace
from toolkit.errors import FileError
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    workspace.create(Path({str(tmp_path)!r}, "c.py"), bytes(400))
except FileError as error:
    print(error.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", cut], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )  # fmt: skip
    assert "no room left" in done.stdout
    assert not (tmp_path / "c.py").exists()
