"""The plan of a suite -> files of the client's workspace: suite.json, suite.md, inventory/, stacks/suite/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from toolkit import workspace
from toolkit.errors import ConfigError, FileError
from toolkit.suite import pages, stack
from toolkit.suite.inventory import HEAD, inventory

PLAN = "suite.json"


def write(folder: Path, document: Mapping[str, Any]) -> list[Path]:
    """Write what changed and return its paths; whoever reads Git sees the difference between two sizes.

    Raises ConfigError where the plan that is there may have been built, and this one would shrink or
    replace something of it; FileError where that plan cannot be read.
    """
    if (folder / PLAN).exists():
        try:
            before = read(folder)
        except FileError as error:
            raise FileError(error.message, _UNBUILT) from error
        lost = list(shrinks(before, document))
        if lost:
            raise ConfigError(f"what {PLAN} holds would shrink or be replaced: {'; '.join(lost)}", _UNBUILT)  # fmt: skip
    files = {
        PLAN: orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n",
        "suite.md": pages.markdown(document),
        **inventory(document),
    }
    if document["stack"]["renders"]:
        files |= stack.files(folder, document)
    _sweep(folder, files)
    return [folder / name for name, data in files.items() if workspace.write(folder / name, data)]


_UNBUILT = f"Put suite.toml back or take {PLAN} from Git; where nothing has been built yet, remove {PLAN} and run it again."  # fmt: skip
_FIXED = ("client", "cloud", "region", "network")


def shrinks(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What a stack of `before` would lose with `after`: OpenStack shrinks neither volumes nor disks."""
    for name in _FIXED:
        old, new = before["answers"][name], after["answers"][name]
        if old != new:
            yield f"{name} was {old}, is {new}"
    hosts = {each["name"]: each for each in after["hosts"]}
    for host in before["hosts"]:
        later = hosts.get(host["name"])
        if later is None:
            yield f"the host {host['name']} would go"
        elif host["flavor"] and later["flavor"] and later["flavor"]["disk_gb"] < host["flavor"]["disk_gb"]:  # fmt: skip
            yield f"the disk of {host['name']} was {host['flavor']['disk_gb']} GB, would be {later['flavor']['disk_gb']}"
    volumes = {each["name"]: each for each in after["volumes"]}
    for volume in before["volumes"]:
        grown = volumes.get(volume["name"])
        if grown is None:
            yield f"the volume {volume['name']} would go"
        elif grown["gb"] < volume["gb"]:
            yield f"the volume {volume['name']} was {volume['gb']} GB, would be {grown['gb']}"
        elif grown["type"] != volume["type"]:
            yield f"the class of {volume['name']} was {volume['type']}, would be {grown['type']}"


def _sweep(folder: Path, files: Mapping[str, bytes]) -> None:
    """Variables of a role that is gone go with it, where the file is ours by its first line."""
    for path in sorted((folder / "inventory/group_vars").glob("*.yml")):
        if path.relative_to(folder).as_posix() not in files and path.read_text("utf-8", "replace").startswith(HEAD):  # fmt: skip
            path.unlink()


def read(folder: Path) -> dict[str, Any]:
    """`suite.json`. Raises FileError: no file, no JSON, another schema, or edited by hand."""
    hint = "Run `repatria suite plan` again; answers belong in suite.toml, not in this file."
    path = folder / PLAN
    try:
        held = orjson.loads(workspace.read(path, "repatria suite plan"))
    except orjson.JSONDecodeError as error:
        raise FileError(f"{path} is no JSON: {error}", hint) from None
    if not isinstance(held, dict) or held.get("kind") != "suite":
        raise FileError(f"{path} is no plan of a suite", hint)
    if held.get("schema") != 1:
        raise FileError(f"{path} has schema {held.get('schema')!r}; this version reads 1", hint)
    body = {name: value for name, value in held.items() if name != "header"}
    if workspace.digest(workspace.canonical(body)) != (held.get("header") or {}).get("body"):
        raise FileError(f"{path} was edited by hand (its digest does not agree)", hint)
    return held
