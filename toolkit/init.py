"""A target -> a workspace: repatria.toml, .gitignore, README; never over something that is there."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from toolkit import workspace
from toolkit.clouds import load as load_cloud
from toolkit.errors import ConfigError, FileError


def template(name: str) -> str:
    """A template of the package: `templates/` beside the package in a checkout, inside it when installed."""
    for root in (resources.files("toolkit") / "templates", Path(__file__).parents[1] / "templates"):
        found = root / name
        if found.is_file():
            return found.read_text("utf-8")
    raise FileError(f"the template {name} is not installed", "Reinstall repatria.")


def init(
    folder: Path,
    *,
    target: str,
    region: str = "",
    project: str = "",
    cloud_file: Path | None = None,
) -> list[Path]:
    """Make a workspace and return the files written.

    Raises ConfigError where one of them is there already, or the target has no such region.
    """
    if cloud_file is not None and target != "openstack":
        raise ConfigError(
            "--cloud-file goes with --target openstack",
            "The other targets bring their own catalogue.",
        )
    cloud = load_cloud(target, cloud_file)
    region = (
        region
        or next((each.name for each in cloud.regions if each.eu and each.kind == "compute"), "")
        or (cloud.regions[0].name if cloud.regions else "")
    )
    if region:
        cloud.region(region)
    held = ""
    if cloud_file is not None:
        held = (
            cloud_file.name
            if cloud_file.resolve().parent == folder.resolve()
            else str(cloud_file.resolve())
        )
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - TOML, quoted by a filter
    environment.filters["toml"] = lambda text: json.dumps(str(text), ensure_ascii=False)
    facts = {
        "target": target, "region": region, "project": project, "cloud_file": held, "product": cloud.product,
        "regions": [each.name for each in cloud.regions],
    }  # fmt: skip
    files = {
        folder / name: environment.from_string(template(f"workspace/{source}")).render(facts).encode()
        for name, source in (
            (workspace.CONFIG, "repatria.toml.j2"), (".gitignore", "gitignore"), ("README.md", "README.md.j2"),
        )
    }  # fmt: skip
    there = [path.name for path in files if path.exists()]
    if workspace.CONFIG in there:
        raise ConfigError(
            f"{folder} is a workspace already", "Edit its repatria.toml, or name another folder."
        )
    written: list[Path] = []
    for path, content in files.items():
        if path.name not in there:
            workspace.write(path, content)
            written.append(path)
    return written
