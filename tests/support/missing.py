"""What a test needs and does not find."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(why: str) -> NoReturn:
    """Skip where a person tries it, fail in CI, where everything has to be tried."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
