"""plan.json's steps and the journal -> what is done, what is next, what waits for whom."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolkit import workspace
from toolkit.errors import EngineError, ToolkitError
from toolkit.journal import Entry

if TYPE_CHECKING:
    from toolkit.engines.stacks import Stacks

By = Literal["apply", "person", "hand"]
"""Who does a step: this tool; a person by its nature; or somebody with the printed command, since no engine here does it."""

_SAYS = ("id", "title", "command", "files", "about", "turn")
"""What makes a step that a person did another step: its reasons and estimates may change."""
_OWN = ("Pulumi.main.yaml",)
_LEFT = frozenset({".venv", "__pycache__", ".pulumi", "node_modules"})


@dataclass(frozen=True, slots=True)
class Todo:
    """One step and where it stands. `of` is the digest of what it is made of; `why_hand` says why no engine does it."""

    step: Mapping[str, Any] = field(repr=False)
    of: str
    by: By
    done: bool
    begun: bool = False
    why_hand: str = ""
    sets: str = ""
    """The stack whose settings it sets: done by itself once Pulumi.main.yaml has each that is required."""

    @property
    def id(self) -> str:
        """The step's id."""
        return str(self.step["id"])

    @property
    def stack(self) -> str:
        """The stack that it builds, or ""."""
        return stack_of(self.step)


def stack_of(step: Mapping[str, Any]) -> str:
    """The stack that a step builds, or ""."""
    return str(step["run"]["stack"]) if "run" in step else ""


def todos(
    plan: Mapping[str, Any], folder: Path, entries: Sequence[Entry], packages: Iterable[str],
    digests: dict[str, str] | None = None,
) -> list[Todo]:  # fmt: skip
    """Every step in the order of the plan. `packages` are those that the engine has plugins for.

    `digests` keeps what each step is made of from one call to the next: files are read once.

    A step is done when the journal says so of the step as it is now: a stack that was rendered or
    configured anew, or whose upstream changed after it, is open again; so is one that was destroyed.
    The step that sets what a stack needs is also done once its Pulumi.main.yaml has each required
    setting and the steps before it are done: an id from before the disk was moved is not the disk's.
    """
    from toolkit.engines.stacks import Stacks
    from toolkit.plan.stacks import listed

    held = Stacks(folder, plan)
    stacks = {stack["name"]: stack for stack in plan["stacks"]}
    sets = {listed(name): name for name in stacks}
    here = frozenset(packages)
    done_at: dict[str, int] = {}
    begun: set[str] = set()
    changed_at: dict[str, int] = {}
    said: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(entries):
        if entry.event in ("done", "confirmed"):
            said[entry.step, entry.of] = number
            begun.discard(entry.step)
            if entry.event == "done" and entry.stack and entry.says.get("changes", 1):
                changed_at[entry.stack] = number
        elif entry.says.get("destroy"):
            done_at[entry.stack] = number  # what it had is partly gone
        elif entry.event in ("begun", "continued", "failed", "interrupted", "recovered"):
            begun.add(entry.step)
        elif entry.event == "destroyed":
            done_at[entry.stack] = number  # nothing before it counts
            changed_at[entry.stack] = number
            begun.discard(entry.step)
    found: list[Todo] = []
    finished: set[str] = set()
    for step in plan["steps"]:
        name = stack_of(step)
        if digests is None or step["id"] not in digests:
            of = digest_of(step, stacks.get(name), folder)
        else:
            of = digests[step["id"]]
        if digests is not None:
            digests[step["id"]] = of
        at = said.get((step["id"], of), -1)
        done = at >= 0
        by: By = "person" if step["person"] else "hand"
        why = ""
        if name:
            stack = stacks[name]
            after = [changed_at.get(need, -1) for need in stack["needs"]]
            done = done and at > max([done_at.get(name, -1), *after])
            if stack["package"] in here:
                by = "apply"
            else:
                why = f"there is no plugin for {stack['package']} here"
        elif by == "hand":
            why = "no engine of this version does it"
        wanted = "" if name else sets.get(step["check"], "")
        done = done or (
            bool(wanted) and finished.issuperset(step["needs"]) and is_set(held, wanted)
        )
        if done:
            finished.add(step["id"])
        found.append(Todo(step, of, by, done, step["id"] in begun, why, wanted))
    return found


def is_set(stacks: Stacks, name: str) -> bool:
    """Whether a stack has every required setting; a file that cannot be read has none, and building it says why."""
    try:
        return not stacks.missing(name)
    except EngineError:
        return False


def digest_of(step: Mapping[str, Any], stack: Mapping[str, Any] | None, folder: Path) -> str:
    """What a step is made of: for a stack its plan, its files on disk and its configuration without the engine's salt."""
    said = {name: step[name] for name in _SAYS if name in step}
    if stack is None:
        return workspace.digest(workspace.canonical(said))
    parts = [workspace.canonical({"id": step["id"]}), workspace.canonical(dict(stack))]
    root = folder / "stacks" / stack["name"]
    for path in sorted(_files(root)):
        data = path.read_bytes()
        if path.name in _OWN:
            data = b"\n".join(
                line for line in data.splitlines() if not line.startswith(b"encryptionsalt:")
            )
        parts += [str(path.relative_to(root)).encode(), data]
    return workspace.digest(*parts)


def _files(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        return
    for path in root.iterdir():
        if path.is_dir() and path.name not in _LEFT:
            yield from _files(path)
        elif path.is_file() and path.suffix not in (".pyc", ".md"):
            yield path


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be done: everything, one wave, or one stack with the steps that it needs."""

    stack: str = ""
    wave: int = 0

    def of(self, plan: Mapping[str, Any], every: Sequence[Todo]) -> list[Todo]:
        """The steps, in the order of the list. Raises ToolkitError for a stack or wave that the plan lacks."""
        if self.wave:
            numbers = sorted({todo.step["wave"] for todo in every})
            if self.wave not in numbers:
                raise ToolkitError(
                    f"the plan has no wave {self.wave}",
                    f"It has {', '.join(map(str, numbers))}." if numbers else "It has no steps.",
                )
            return [todo for todo in every if todo.step["wave"] == self.wave]
        if not self.stack:
            return list(every)
        mine = [todo for todo in every if todo.stack == self.stack]
        if not mine:
            names = sorted(stack["name"] for stack in plan["stacks"])
            close = difflib.get_close_matches(self.stack, names, n=1)
            raise ToolkitError(
                f"the plan has no stack {self.stack!r}",
                f"Did you mean {close[0]}?" if close else f"It has {', '.join(names) or 'none'}.",
            )
        by_id = {todo.id: todo for todo in every}
        wanted: set[str] = set()
        open_ = [mine[0].id]
        while open_:
            id_ = open_.pop()
            if id_ not in wanted:
                wanted.add(id_)
                open_ += by_id[id_].step["needs"]
        return [todo for todo in every if todo.id in wanted]

    def builds(self, todo: Todo) -> bool:
        """Whether a stack's step is to be run, and not only waited for."""
        return not self.stack or todo.stack == self.stack

    def words(self) -> str:
        """As it is typed."""
        return f" {self.stack}" if self.stack else f" --wave {self.wave}" if self.wave else ""
