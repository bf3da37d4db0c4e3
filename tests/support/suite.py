"""The suite's demo (molecule/demo.py) as a module, and what cannot be tried where its archives cannot be had."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

NEVER_HERE = ("nextcloud.", "jitsi.token-refused", "jitsi.conference", "jitsi.bridge-health", "jitsi.media", "idp.applications")  # fmt: skip
"""Checks of what cannot be had here, or that the demo gives no credentials for."""

WITHOUT = ("--without", "nextcloud", "--without", "element_web")
"""Parts whose archives cannot be had here, for `suite apply`."""


def ended(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What `suite smoke --json` said: check -> how it ended. Nothing failed, and what was not run is told by the exit code."""
    assert done.stdout, done.stderr[-4000:]
    said = json.loads(done.stdout)
    assert [each for each in said["checks"] if each["status"] == "failed"] == []
    assert done.returncode == 3, "a partial suite never looks whole"
    return {each["id"]: each["status"] for each in said["checks"]}


def as_much_as_can_be(checks: Mapping[str, str]) -> None:
    """Only what cannot be had here was not run."""
    left = [name for name, how in checks.items() if how == "not run" and not name.startswith(NEVER_HERE)]  # fmt: skip
    assert left == []
    assert sum(how == "ok" for how in checks.values()) >= 25


def came_back(drill: Mapping[str, Any]) -> None:
    """A drill that is done found the marks of every application, and says how long it took."""
    assert drill["ok"], drill
    assert {each["application"] for each in drill["canaries"]} >= {"synapse", "idp", "edge"}
    print(f"\nRTO {drill['rto_seconds']} s, RPO {drill['rpo_seconds']} s")


def loaded() -> ModuleType:
    """Anew, as the environment is now: REPATRIA_DEMO_BED names its bed."""
    found = importlib.util.spec_from_file_location("suite_demo", Path(__file__).parents[2] / "molecule/demo.py")  # fmt: skip
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


demo = loaded()
