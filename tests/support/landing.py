"""A program: previews the suite's stack on the real engine, from a state that is given, and prints what would happen as JSON.

Arguments: folder of the stack, its name, a file with the resources of the state (or `-` for none).
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from pulumi import automation


def main(folder: Path, name: str, held: list[dict[str, Any]] | None) -> None:
    def program() -> None:
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")

    options = automation.LocalWorkspaceOptions(
        work_dir=str(folder), pulumi_home=os.environ["PULUMI_HOME"]
    )
    stack = automation.create_or_select_stack(
        name, project_name=folder.name, program=program, opts=options
    )
    if held is not None:
        before = dict(stack.export_stack().deployment or {})
        stack.import_stack(
            automation.Deployment(version=3, deployment={**before, "resources": held})
        )
    steps: list[dict[str, Any]] = []
    said: list[str] = []

    def event(each: Any) -> None:
        meta = each.resource_pre_event.metadata if each.resource_pre_event else None
        if meta is not None:
            op = str(getattr(meta.op, "value", meta.op))
            steps.append(
                {"op": op, "type": meta.type.rpartition(":")[2], "token": meta.type, "name": meta.urn.rpartition("::")[2], "diffs": list(meta.diffs or [])}
            )  # fmt: skip
        if each.diagnostic_event and each.diagnostic_event.severity in ("error", "warning"):
            said.append(each.diagnostic_event.message)

    stack.preview(on_event=event, color="never")
    print(json.dumps({"steps": steps, "said": said}))


if __name__ == "__main__":
    state = None if sys.argv[3] == "-" else json.loads(Path(sys.argv[3]).read_text())
    main(Path(sys.argv[1]), sys.argv[2], state)
