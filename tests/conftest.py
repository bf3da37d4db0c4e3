"""Options and paths that several tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.demo import Demo


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        action="store_true",
        help="rewrite the expected part of the cases; review the diff",
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Read once for each worker: it takes half a minute, and its tests put back what they change."""
    from tests.support.demo import Demo

    return Demo(tmp_path_factory.mktemp("demo"))
