"""Planning and rendering of generated estates: how time grows with size, and the memory it takes.

Run as `python -m tests.bench.plan STAGE FOLDER [COUNT]`: `generate`, `plan` or `render`, in a process of its own.
"""

from __future__ import annotations

import json
import resource
import shutil
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


def measure(folder: Path, *, small: int = SMALL, large: int = LARGE) -> tuple[list[Figure], dict[str, Any]]:  # fmt: skip
    """Figures: small, large, small again, the lesser of the small ones; and what they were made from.

    The large estate is planned and rendered once: that takes a minute, and the ratio of a single
    run to the lesser of two errs on the side of caution.
    """
    runs: dict[int, list[dict[str, Any]]] = {small: [], large: []}
    for count in runs:
        _child("generate", folder / str(count), str(count))
    for count in (small, large, small):
        home = folder / str(count)
        for made in ("stacks", "runbooks"):
            shutil.rmtree(home / made, ignore_errors=True)
        runs[count].append({stage: _child(stage, home) for stage in ("plan", "render")})
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


def _child(*arguments: object) -> dict[str, Any]:
    """One stage in a process of its own: a peak of memory is inherited, so this one stays small."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.plan", *map(str, arguments)],
        check=True, capture_output=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    held: dict[str, Any] = json.loads(done.stdout)
    return held


def main(stage: str, folder: Path, count: int) -> None:
    """One stage here, and what it took as JSON."""
    from tests.bench.estate import write
    from toolkit import stage as stages
    from toolkit.init import init

    since, wall = time.process_time(), time.monotonic()
    if stage == "generate":
        init(folder, target="ovhcloud", project="bench")
        write(folder, count)
    else:
        getattr(stages, stage)(folder)
    took = {"cpu": time.process_time() - since, "wall": time.monotonic() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**took, "mb": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
