"""Discovery against the API's floor: an AWS behind a gate, the least calls, and what `repatria discover` makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.aws import REGIONS
from tests.bench.floor import floor, seconds
from tests.bench.part import Figure

LATENCY, RATE = 0.04, 20.0
MEMORY_MB = 200.0


@contextmanager
def aws(scale: float, latency: float, rate: float, only: frozenset[str]) -> Iterator[str]:
    """A filled AWS in a child process; its URL."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.aws", str(scale), str(latency), str(rate), ",".join(sorted(only))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        url = (child.stdout.readline() if child.stdout else "").strip()
        if not url:
            raise RuntimeError("the AWS of the bench did not start")
        yield url
    finally:
        if child.stdin:
            child.stdin.close()
        child.wait(timeout=30)
        if child.stdout:
            child.stdout.close()


def ask(url: str, what: str) -> dict[str, Any]:
    """Talk to the gate."""
    with urllib.request.urlopen(f"{url}/_bench/{what}", timeout=10) as answer:  # noqa: S310 - our own server
        held: dict[str, Any] = json.load(answer)
    return held


def measure(
    folder: Path, *, scale: float = 1.0, latency: float = LATENCY, rate: float = RATE, only: frozenset[str] = frozenset(), types: tuple[str, ...] = (), regions: tuple[str, ...] = tuple(REGIONS)
) -> tuple[list[Figure], dict[str, Any]]:  # fmt: skip
    """Figures of one discovery, and what they were made from."""
    from toolkit.init import init

    init(folder, target="openstack", project="bench")
    with aws(scale, latency, rate, only) as url:
        least = floor(url, regions, only)
        ask(url, "reset")
        ask(url, "gate")
        command = [sys.executable, "-c", "from toolkit.cli import main; main()", "discover", "-C", str(folder), "--fresh", "--json"]  # fmt: skip
        command += [part for name in regions for part in ("--region", name)]
        command += [part for name in types for part in ("--type", name)]
        environment = {
            **os.environ, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        since = time.monotonic()
        with (folder / "discover.log").open("wb") as log, (folder / "discover.json").open("wb") as out:  # fmt: skip
            child = subprocess.Popen(command, stdout=out, stderr=log, env=environment)
            _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - since
        code = os.waitstatus_to_exitcode(status)
        child.returncode = code
        if code not in (0, 3):
            raise RuntimeError(f"discover ended with {code}: {(folder / 'discover.log').read_text()[-500:]}")  # fmt: skip
        seen = ask(url, "counts")
    calls: Counter[str] = Counter(seen["calls"])
    answer = json.loads((folder / "discover.json").read_text())
    told = {
        "records": sum(answer["counts"].values()), "records in the list calls": sum(least.records.values()), "throttled": sum(seen["throttled"].values()), "cpu": usage.ru_utime + usage.ru_stime,
        "gaps": Counter(gap["reason"] for gap in answer["gaps"]), "said_calls": answer["calls"],
        "over": {name: [calls[name], least.calls[name]] for name in sorted({*calls, *least.calls}) if calls[name] != least.calls[name]},
        "largest": [[name, count] for name, count in least.calls.most_common(3)],
    }  # fmt: skip
    return [
        Figure("discover", "calls", float(calls.total()), float(least.calls.total()), 1.25),
        Figure("discover", "wall", wall, seconds(least.calls, latency, rate) if rate else wall, 1.25, "s"),
        Figure("discover", "memory", usage.ru_maxrss / 1024, MEMORY_MB, 1.0, "MiB"),
    ], told  # fmt: skip
