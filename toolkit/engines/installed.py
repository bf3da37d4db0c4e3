"""The Pulumi engine of this machine: the user's own, or the one that `make engine` built."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import EngineError

_BUILD = "`make engine` in a checkout builds it (Go, minutes, once); `repatria doctor` says what is there."


@dataclass(frozen=True, slots=True)
class Engine:
    """A Pulumi that can run our stacks. `home` is its PULUMI_HOME, which holds the plugin."""

    pulumi: Path
    home: Path
    version: str
    plugin: str
    source: str
    """`REPATRIA_ENGINE`, `PATH` or `cache`."""


def locate() -> Engine:
    """The engine: the folder in REPATRIA_ENGINE, `pulumi` on the PATH with its plugin, or what `make engine` built.

    Supported is Pulumi 3 from the version of the installed `pulumi` package on, with the OpenStack plugin of the
    version of `pulumi-openstack`. Raises EngineError that says what was found and what is missing.
    """
    wanted, plugin = wanted_versions()
    notes = []
    named = os.environ.get("REPATRIA_ENGINE")
    if named:
        engine, note = _try(Path(named) / "bin" / "pulumi", Path(named) / "home", "REPATRIA_ENGINE")
        if engine is None:
            raise EngineError(f"REPATRIA_ENGINE: {note}", _BUILD)
        return engine
    found = shutil.which("pulumi")
    if found is not None:
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        engine, note = _try(Path(found), home, "PATH")
        if engine is not None:
            return engine
        notes.append(note)
    for folder in _built():
        engine, note = _try(folder / "bin" / "pulumi", folder / "home", "cache")
        if engine is not None:
            return engine
        notes.append(note)
    raise EngineError(
        f"there is no Pulumi engine ({'; '.join(notes)})" if notes
        else f"there is no Pulumi engine: Pulumi {wanted} with its OpenStack plugin {plugin} is needed",
        _BUILD,
    )  # fmt: skip


def wanted_versions() -> tuple[str, str]:
    """Of Pulumi and its OpenStack plugin: those of the installed Python packages."""
    return importlib.metadata.version("pulumi"), importlib.metadata.version("pulumi-openstack")


def _built() -> list[Path]:
    """Engines in the cache of `engine/build.py`, the one that was asked for last first."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"
    marks = (base / "repatria" / "engine").glob("*/engine.json")
    return [mark.parent for mark in sorted(marks, key=lambda each: each.stat().st_mtime, reverse=True)]  # fmt: skip


def _try(pulumi: Path, home: Path, source: str) -> tuple[Engine | None, str]:
    wanted, plugin = wanted_versions()
    held = home / "plugins" / f"resource-openstack-v{plugin}" / "pulumi-resource-openstack"
    version = _version(pulumi)
    if not version:
        return None, f"{pulumi} does not run"
    if not re.fullmatch(r"3\.\d+\.\d+.*", version) or _number(version) < _number(wanted):
        return None, f"{pulumi} is {version}, and 3 from {wanted} on is needed"
    if not os.access(held, os.X_OK):
        return None, f"{pulumi} is {version}, without the OpenStack plugin {plugin} in {home}"
    return Engine(pulumi.absolute(), home.absolute(), version, plugin, source), ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])


@functools.cache
def _version(pulumi: Path) -> str:
    """What `pulumi version` says, or nothing where it does not run."""
    try:
        said = subprocess.run(
            [pulumi, "version"], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, **QUIET},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip().removeprefix("v") if said.returncode == 0 else ""


QUIET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",  # `locate` has looked
    # a Pulumi.main.yaml that lost its salt still opens the state
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
}
"""Nothing is asked of anybody but the target and the state's backend."""
