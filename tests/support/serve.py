"""A server of the standard library (or of werkzeug) that answers while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

S = TypeVar("S", bound=Any)


@contextmanager
def serving(server: S) -> Iterator[S]:
    """In a thread of its own; closed when the block ends, also by a failure."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
