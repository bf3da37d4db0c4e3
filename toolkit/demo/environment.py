"""Variables of the environment for a block, and as they were after it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment(values: Mapping[str, str], *, alone: str = "") -> Iterator[None]:
    """`values` are set; of those whose names begin with `alone`, no others are."""
    names = {name for name in os.environ if alone and name.startswith(alone)} | set(values)
    before = {name: os.environ.get(name) for name in names}
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
