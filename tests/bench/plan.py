"""Planning and rendering of generated estates: how time grows with size, and the memory it takes.

Run as `python -m tests.bench.plan FOLDER STAGE`: one stage in a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.part import Figure

SMALL, LARGE = 10_000, 100_000
SECONDS, MEMORY_MB = 60.0, 1536.0
"""For 100,000 resources: less than a coffee break, on a machine that also runs a browser."""
GROWTH = 11.0


def measure(folder: Path, *, small: int = SMALL, large: int = LARGE, repeat: int = 2) -> tuple[list[Figure], dict[str, Any]]:  # fmt: skip
    """Figures, small and large interleaved, the least of each; and what they were made from."""
    from tests.bench.estate import write
    from toolkit.init import init

    runs: dict[int, list[dict[str, Any]]] = {small: [], large: []}
    for count in runs:
        home = folder / str(count)
        init(home, target="ovhcloud", project="bench")
        if write(home, count) != count:
            raise RuntimeError("the generator made another number of resources")
    for _ in range(repeat):
        for count, found in runs.items():
            found.append({stage: _stage(folder / str(count), stage) for stage in ("plan", "render")})  # fmt: skip
    best = {count: min(map(_cpu, found)) for count, found in runs.items()}
    wall = min(sum(run[stage]["wall"] for stage in run) for run in runs[large])
    peak = max(run[stage]["mb"] for run in runs[large] for stage in run)
    scale = large / LARGE
    figures = [
        Figure("plan", "wall of the large estate", wall, SECONDS * scale, 1.0, "s"),
        Figure("plan", "memory of the large estate", peak, MEMORY_MB, 1.0, "MiB"),
        Figure(
            "plan",
            "CPU, large to small",
            best[large],
            best[small],
            GROWTH * scale * SMALL / small,
            "s",
        ),  # fmt: skip
    ]
    return figures, {"runs": {str(count): found for count, found in runs.items()}}


def _cpu(run: dict[str, Any]) -> float:
    return float(sum(stage["cpu"] for stage in run.values()))


def _stage(folder: Path, stage: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.plan", str(folder), stage],
        check=True, capture_output=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    held: dict[str, Any] = json.loads(done.stdout)
    return held


def main(folder: Path, stage: str) -> None:
    """One stage here, and what it took as JSON."""
    from toolkit import stage as stages

    since, wall = time.process_time(), time.monotonic()
    getattr(stages, stage)(folder)
    took = {"cpu": time.process_time() - since, "wall": time.monotonic() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**took, "mb": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
