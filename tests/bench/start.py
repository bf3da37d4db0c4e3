"""Start-up: `repatria --help` against nothing but `import click`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from tests.bench.part import Figure

PEER = ["-c", "import click"]
OURS = ["-c", "from toolkit.cli import main; main(['--help'])"]
GOAL = 2.0


def measure(*, repeat: int = 15) -> tuple[list[Figure], dict[str, Any]]:
    """The medians of interleaved runs, after one of each that warms the disk."""
    took: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(repeat + 1):
        for name, arguments in (("ours", OURS), ("peer", PEER)):
            since = time.monotonic()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            took[name].append(time.monotonic() - since)
    ours, peer = (statistics.median(took[name][1:]) for name in ("ours", "peer"))
    return [Figure("start", "repatria --help", ours, peer, GOAL, "s")], {"runs": took}
