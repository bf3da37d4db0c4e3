"""`python -m tests.bench [PART...] [--json]`: the figures as a table or as JSON; exit code 3 where a goal is missed."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import discover, engine, plan, start
from tests.bench.part import Figure, table

PARTS = ("discover", "plan", "start", "engine")


def run(part: str, folder: Path) -> tuple[list[Figure], dict[str, Any]]:
    """The figures of a part, and what they were made from."""
    if part == "start":
        return start.measure()
    if part == "engine":
        return engine.measure(folder)
    return (discover if part == "discover" else plan).measure(folder)


def main() -> int:
    """Run the parts that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    if wrong := set(asked.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(wrong))}")
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="repatria-bench-") as folder:
        for part in asked.parts or PARTS:
            print(f"measuring {part}", file=sys.stderr)
            found, details[part] = run(part, Path(folder) / part)
            figures += found
    if asked.json:
        print(json.dumps({"schema": 1, "figures": [each.json() for each in figures], "details": details}, indent=2))  # fmt: skip
    else:
        print(table(figures))
    return 0 if all(each.ok for each in figures) else 3


if __name__ == "__main__":
    sys.exit(main())
