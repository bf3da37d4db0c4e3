"""The suite's demo (molecule/demo.py) as a module, and what cannot be tried where its archives cannot be had."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

NEVER_HERE = ("nextcloud.", "jitsi.token-refused", "jitsi.conference", "jitsi.bridge-health", "jitsi.media", "idp.applications")  # fmt: skip
"""Checks of what cannot be had here, or that the demo gives no credentials for."""


def loaded() -> ModuleType:
    """Anew, as the environment is now: REPATRIA_DEMO_BED names its bed."""
    found = importlib.util.spec_from_file_location("suite_demo", Path(__file__).parents[2] / "molecule/demo.py")  # fmt: skip
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


demo = loaded()
