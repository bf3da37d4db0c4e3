"""One request on stdin -> the engine runs a stack's program inside this process; events leave by a pipe.

A process of its own for each stack, since modules of two stacks have the same names. It reads one line of JSON,
`{operation, stack, folder, arguments}`, and takes the end of its stdin as the wish to cancel:
whoever started it may also have died. Started by `toolkit.engines.pulumi`, as `python -P -m toolkit.engines.program FD`.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from pulumi import automation
from pulumi.automation import events
from pulumi.automation._stack import ImportResource  # its only home


def main() -> None:
    """Run one operation and say how it ended."""
    pipe = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8", buffering=1)
    request = json.loads(sys.stdin.readline())
    out = _Out(pipe)
    # the engine is of this group and gets the signal; this process waits for what it then says
    signal.signal(signal.SIGINT, lambda *_: None)
    threading.Thread(target=_cancel_at_end_of_input, args=(out,), daemon=True).start()
    folder = Path(request["folder"])
    end: dict[str, Any] = {"kind": "end", "ok": True}
    try:
        workspace = automation.LocalWorkspaceOptions(
            work_dir=str(folder), pulumi_home=os.environ["PULUMI_HOME"]
        )
        stack = automation.create_or_select_stack(
            request["stack"], project_name=folder.name, program=_program(folder), opts=workspace
        )
        if out.cancelled.is_set():
            end = {"kind": "end", "ok": False, "error": "cancelled", "said": ""}
        else:
            outputs = _run(stack, request["operation"], request["arguments"], out)
            end["outputs"] = {
                name: {"value": held.value, "secret": held.secret} for name, held in outputs.items()
            }
    except (automation.CommandError, automation.InvalidVersionError) as error:
        end = {"kind": "end", "ok": False, "error": type(error).__name__, "said": str(error)}
    out.write({**end, "cancelled": out.cancelled.is_set()})
    pipe.close()
    # threads of gRPC that an unfinished program left behind must not keep the process
    sys.stdout.flush()
    os._exit(0)


def _program(folder: Path) -> Callable[[], None]:
    """What the language host would do: the folder first on sys.path, its `__main__.py` run."""

    def run() -> None:
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")

    return run


def _run(
    stack: automation.Stack, operation: str, arguments: Mapping[str, Any], out: _Out
) -> Mapping[str, Any]:
    if operation == "preview":
        stack.preview(on_event=out.event, color="never", **arguments)
        return {}
    if operation == "preview-destroy":
        stack.preview_destroy(on_event=out.event, color="never", **arguments)
        return {}
    if operation == "up":
        return stack.up(on_event=out.event, color="never", **arguments).outputs
    if operation == "refresh":
        stack.refresh(on_event=out.event, color="never", **arguments)
        return {}
    if operation == "destroy":
        stack.destroy(on_event=out.event, color="never", **arguments)
        return {}
    if operation == "outputs":
        return stack.outputs()
    if operation == "import":
        resources = [
            ImportResource(type=each["type"], name=each["name"], id=each["id"])
            for each in arguments["resources"]
        ]
        stack.import_resources(resources=resources, protect=False, generate_code=False)
        return {}
    raise ValueError(operation)


class _Out:
    """The way up: one JSON object a line, from many threads."""

    def __init__(self, pipe: IO[str]) -> None:
        self.pipe = pipe
        self.lock = threading.Lock()
        self.began = threading.Event()
        self.cancelled = threading.Event()

    def write(self, line: Mapping[str, Any]) -> None:
        with self.lock:
            self.pipe.write(json.dumps(line) + "\n")

    def event(self, event: events.EngineEvent) -> None:
        """What the engine says, without the values of properties."""
        self.began.set()
        for kind, step in (
            ("begun", event.resource_pre_event),
            ("done", event.res_outputs_event),
            ("failed", event.res_op_failed_event),
        ):
            if step is not None:
                held = step.metadata
                self.write(
                    {
                        "kind": kind, "urn": held.urn, "type": held.type, "op": held.op.value,
                        "diffs": sorted(held.detailed_diff or held.diffs or ()),
                        "id": (held.new.id if held.new else "") or (held.old.id if held.old else ""),
                    }
                )  # fmt: skip
        said = event.diagnostic_event
        if said is not None and not said.ephemeral and said.severity != "debug":
            self.write(
                {"kind": "said", "severity": said.severity, "urn": said.urn or "", "message": said.message}
            )  # fmt: skip
        if event.summary_event is not None:
            self.write({"kind": "summary", "seconds": event.summary_event.duration_seconds})


def _cancel_at_end_of_input(out: _Out) -> None:
    """Interrupt the engine once; before its first event it would die of it instead of cancelling."""
    sys.stdin.read()
    out.cancelled.set()
    out.began.wait()
    os.killpg(os.getpgid(0), signal.SIGINT)


if __name__ == "__main__":
    main()
