"""A server's name -> a command in its box, as root. Runs as `python -m toolkit.lab.boxes.shell FOLDER NAME CMD...`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from toolkit.lab.boxes.box import Box
from toolkit.lab.folder import find


def main() -> None:
    lab, name, command = find(Path(sys.argv[1])), sys.argv[2], sys.argv[3:]
    found = []
    for path in (lab.folder / "boxes").glob("*/box.json"):
        box = Box(lab, None, Path(), path.parent.name)
        if name in (box.id, box.name, json.loads(path.read_text()).get("name")):
            found.append(box)
    if len(found) != 1 or found[0].leader is None:
        sys.exit(f"error: {len(found)} boxes are called {name}" if len(found) != 1 else f"error: {name} is off")  # fmt: skip
    words = found[0].enter(*(command or ["bash", "-l"]))
    os.execvp(words[0], words)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main()
