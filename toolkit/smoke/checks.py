"""Every check that there is: what the modules of this room hold, in the order of the settings' tables."""

from __future__ import annotations

import importlib
from functools import cache

from toolkit.smoke.check import Check
from toolkit.smoke.settings import TABLES


@cache
def checks() -> tuple[Check, ...]:
    """All checks; a module is named like its application."""
    return tuple(check for table in TABLES for check in _of(table))


def _of(table: str) -> tuple[Check, ...]:
    held: tuple[Check, ...] = importlib.import_module(f"toolkit.smoke.{table}").CHECKS
    return held
