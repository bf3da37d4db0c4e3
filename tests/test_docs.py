"""What the documents say is tried: the example cloud plans, names exist, printed help is the real one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from toolkit import workspace
from toolkit.cli import commands
from toolkit.clouds import load
from toolkit.config import load as load_config
from toolkit.init import init

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def _example() -> str:
    text = (ROOT / "docs/catalog.md").read_text()
    return text.split("```yaml\n", 1)[1].split("```", 1)[0]


def test_the_example_cloud_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "my-cloud.yaml"
    file.write_text(_example())
    cloud = load("openstack", file)
    assert (cloud.product, cloud.kind) == ("My Cloud", "openstack")
    assert cloud.has("octavia")
    assert not cloud.has("designate")
    assert cloud.has("swift"), "what it leaves out is as on a plain OpenStack cloud"
    assert cloud.volume_type_for("gp3", 50).name == "ssd"
    init(tmp_path / "exit", target="openstack", project="p", cloud_file=file)
    assert load_config(tmp_path / "exit").cloud_file == file


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "schema is 2"),
        ({"flavors": [["small", 0, 4, 0, 0, "", 0.1, "read"]]}, "vCPU and memory above 0"),
        ({"flavors": [["small", 2, 4, 0, 0, "", 0.1, "guessed"]]}, "guessed"),
        ({"kind": "vmware"}, "vmware"),
        ({"regions": [{}]}, "regions[0]"),
        ({"profile": {"volume_types": []}}, "volume_types is empty"),
        ({"profile": {"services": []}}, "profile.services"),
    ],
)
def test_a_faulty_cloud_is_refused_with_its_place(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    file = tmp_path / "faulty.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(_example()), **change}))
    asked = ["init", str(tmp_path / "w"), "--target", "openstack", "--cloud-file", str(file)]
    from toolkit.cli import run

    assert run(asked) == 1
    with pytest.raises(Exception, match=re.escape(says)):
        load("openstack", file)
    assert not (tmp_path / "w" / workspace.CONFIG).exists()


@pytest.mark.parametrize("path", DOCS, ids=[p.name for p in DOCS])
def test_files_and_commands_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    for held in re.findall(r"`((?:toolkit|tests|docs|templates)/[\w./-]+)`", text):
        assert list(ROOT.glob(held.rstrip("/"))), held
    for command in set(re.findall(r"`repatria ([a-z]+)", text)):
        assert command in commands.commands, command


def test_the_readme_prints_the_real_help() -> None:
    printed = CliRunner().invoke(commands, ["--help"], prog_name="repatria").output
    block = "\n".join(f"    {line}".rstrip() for line in printed.strip().splitlines())
    assert block in (ROOT / "README.md").read_text()


def test_the_lock_is_of_what_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = (ROOT / "requirements.lock").read_text()
    wanted = [*declared["dependencies"]]
    for extra in declared["optional-dependencies"].values():
        wanted += extra
    for each in wanted:
        name = re.split(r"[\[<>=~! ]", each, maxsplit=1)[0].lower()
        assert re.search(rf"^{re.escape(name)}==", locked, re.MULTILINE), name
