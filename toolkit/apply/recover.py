"""What a killed engine left -> a state that is true again: processes ended, lock broken, cut-off creates found and taken in.

Measured: a killed `up` leaves its lock, and an object whose create was under way is at the target but not in the
state, which only knows that the create was pending. The target would take a second one of the same name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.apply.find import SKEW, Found, Target, Wanted, every, find, knows
from toolkit.apply.places import looking
from toolkit.engines.outcome import name_of
from toolkit.errors import EngineError, FileError, TargetError, ToolkitError
from toolkit.journal import Entry, actor

if TYPE_CHECKING:
    from toolkit.engines.state import Lock

RUN = "REPATRIA_RUN"
"""The variable that marks every process of a run: engine, plugin, program."""
SETTLE = 20.0
"""Seconds that a request which was under way at the kill may still take to show in a listing. One that takes
longer is found by `twice`, after the stack is built."""
PATIENCE = 600.0
"""Seconds that an object may take to be ready."""
GRACE = 30.0
"""Seconds that what a dead run left running gets to end by itself."""


class Unclear(ToolkitError):  # noqa: N818 - not a failure: a person must look
    """The target does not say by itself which object is the one: a person must look (exit code 3)."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was put right. Each of `adopted` and `removed` says the object and its id."""

    stack: str
    unlocked: bool = False
    adopted: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    refreshed: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether there was anything to put right."""
        return self.unlocked or bool(
            self.adopted or self.removed or self.cleared or self.refreshed or self.freed
        )

    def json(self) -> dict[str, Any]:
        """As the journal and the answer tell it."""
        return {
            "unlocked": self.unlocked, "adopted": list(self.adopted), "removed": list(self.removed),
            "cleared": list(self.cleared), "refreshed": list(self.refreshed), "freed": list(self.freed),
        }  # fmt: skip


# --------------------------------------------------------------------------------------- what still runs


def end_leftovers(runs: Iterable[str], note: Callable[[str], None]) -> int:
    """End what dead runs of this workspace left running, found by the mark in its environment; how many there were.

    The engine notices by itself that its parent is gone and ends after what is under way; who does
    not within GRACE seconds is killed, which the rest of this module puts right.
    """
    marks = {f"{RUN}={run}".encode() for run in runs}
    left = _marked(marks)
    if not left:
        return 0
    note(f"an earlier run left {len(left)} processes at work: waiting for them to end")
    count = len(left)
    for sent, seconds in ((0, GRACE / 2), (signal.SIGINT, GRACE / 2), (signal.SIGKILL, 10.0)):
        for pid in left if sent else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        until = time.monotonic() + seconds
        while left and time.monotonic() < until:
            time.sleep(0.2)
            left = _marked(marks)
        if not left:
            return count
    raise ToolkitError(
        f"an earlier run left processes that do not end: {', '.join(map(str, left))}",
        "Look at them with `ps`, end them, then run the same command again.",
    )


def _marked(marks: set[bytes]) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        pid = int(path.parent.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if marks & set(path.read_bytes().split(b"\0")) and _state(pid) not in "ZX":
                found.append(pid)
    return found


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# ----------------------------------------------------------------------------------------------- the lock


def may_break(lock: Lock, entries: Sequence[Entry]) -> bool:
    """Whether the holder of a lock is dead for certain: it ran on this host in this boot, as the journal
    of this workspace tells, and no process of that number from that time is left.
    """
    me = actor()
    if not me.boot or lock.holder != "dead":
        return False
    return any(
        (entry.host, entry.boot, entry.space) == (me.host, me.boot, me.space)
        and lock.host == me.host and entry.event in ("begun", "continued", "recovered")
        and entry.when.timestamp() <= lock.time.timestamp() + 2
        for entry in entries
    )  # fmt: skip


# --------------------------------------------------------------------------------------- what is at the target


@dataclass
class Case:
    """Everything that one stack's recovery needs to know."""

    folder: Path
    plan: Mapping[str, Any]
    stack: str
    entries: Sequence[Entry]
    connect: Callable[[], Any]
    environment: Mapping[str, str]
    note: Callable[[str], None]
    unfinished: bool
    """The journal says that the last attempt on this stack did not end well."""
    record: Callable[[Recovered], None]
    """Writes into the journal what is about to be put right: a crash of the recovery itself loses nothing."""
    started: float = field(default_factory=time.monotonic)

    @property
    def mine(self) -> list[Entry]:
        """The journal's lines on this stack."""
        return [entry for entry in self.entries if entry.stack == self.stack]

    @property
    def since(self) -> datetime | None:
        """When the unfinished attempts began: the oldest since the stack was last whole."""
        first: datetime | None = None
        for entry in self.mine:
            if entry.event in ("done", "destroyed"):
                first = None
            elif first is None and entry.event in ("begun", "continued"):
                first = entry.when
        return first

    @property
    def cleared(self) -> set[str]:
        """Creates that were cut off and had left nothing when it was looked for."""
        return self._named("cleared")

    @property
    def unread(self) -> set[str]:
        """What was taken into the state: read again, for a recovery that was cut off before it did."""
        return self._named("refreshed")

    def _named(self, what: str) -> set[str]:
        """Logical names in the journal's recoveries since the stack was last whole."""
        names: set[str] = set()
        for entry in self.mine:
            if entry.event in ("done", "destroyed"):
                names.clear()
            elif entry.event == "recovered":
                held = entry.says.get(what)
                names.update(held if isinstance(held, list) else ())
        return names


def recover(case: Case) -> Recovered:
    """Put a stack right. Raises EngineError for a lock that may not be broken, Unclear where a person must look, TargetError.

    Run again after a kill of its own, it does the same again: the state is written once, whole.
    """
    from toolkit.engines import pulumi as engine
    from toolkit.engines.state import state_of

    unlocked = False
    lock = engine.lock_of(case.folder, case.stack)
    if lock is not None:
        if not may_break(lock, case.mine):
            error = engine.locked(case.stack, lock)
            if lock.holder != "dead":
                raise error
            raise EngineError(
                error.message,
                "Its process is gone, but nothing proves that it was this workspace's and of this boot of this machine. "
                f"If nobody else works on this state: `repatria state unlock {case.stack}`, then run the same command again.",
            )
        engine.break_lock(case.folder, case.stack)
        unlocked = True
        case.note(f"{case.stack}: the lock of process {lock.pid}, which is dead, was broken")
    checkpoint = state_of(case.folder).checkpoint(case.stack) or {}
    if half := _half_made(case, checkpoint.get("resources") or ()):
        _free(case, half)
    open_ = engine.pending({"version": 3, "deployment": checkpoint})
    wanted = _wanted(case, checkpoint) if open_ or case.unfinished else {}
    known = {str(each.get("id")) for each in checkpoint.get("resources") or () if each.get("id")}
    choices = _look(case, wanted, known) if wanted else {}
    if choices or open_ or case.unread:
        return _take_in(case, choices, unlocked, [each.urn for each in open_])
    found = Recovered(case.stack, unlocked)
    if found.anything:
        case.record(found)
    return found


def _half_made(case: Case, resources: Iterable[Mapping[str, Any]]) -> set[str]:
    """URNs of protected objects whose very create failed half way in the unfinished attempts: nobody can have put anything in.

    The engine will make them anew, and its own protection would forbid that for ever. What was whole once
    (older than the attempts, or changed since it was made) stays protected.
    """
    since = case.since
    if not case.unfinished or since is None:
        return set()
    found = set()
    for each in resources:
        made = str(each.get("created") or "")
        if not each.get("initErrors") or not each.get("protect") or made != each.get("modified"):
            continue
        # without its nanoseconds, which Python does not read
        if made and datetime.fromisoformat(f"{made[:19]}+00:00") >= since - SKEW:
            found.add(str(each["urn"]))
    return found


def _free(case: Case, urns: set[str]) -> None:
    """Take the engine's protection from what is to be made anew."""
    from toolkit.engines import pulumi as engine

    names = tuple(sorted(name_of(urn) for urn in urns))
    case.record(Recovered(case.stack, freed=names))
    case.note(f"{case.stack}: half made, to be made anew: {', '.join(names)}")
    state = engine.export_state(case.folder, case.stack)
    for each in state["deployment"].get("resources", ()):
        if each["urn"] in urns:
            each.pop("protect", None)
    engine.import_state(case.folder, case.stack, state)


def twice(case: Case) -> None:
    """Look once more after the build: a cut-off request that came through late made a second object.

    Raises Unclear that names both, and says which of them the state has.
    """
    late = case.cleared
    if not late:
        return
    from toolkit.engines.state import state_of

    checkpoint = state_of(case.folder).checkpoint(case.stack) or {}
    with looking():
        target = Target(case.connect())
        for held in checkpoint.get("resources") or ():
            name = name_of(held["urn"])
            if name not in late or not knows(held["type"]):
                continue
            wanted = Wanted(held["urn"], held["type"], name, held.get("inputs") or {})
            found = [each for each in every(target, wanted, case.since) if not each.old]
            other = [each for each in found if each.id != held.get("id")]
            if other:
                raise Unclear(
                    f"{case.stack}: {name} is there twice, since a request that a crash cut off came through late: "
                    + "; ".join(each.says for each in other) + f" besides {held.get('id')}, which is the one in use",
                    "Delete the other one (nothing uses it), then run the same command again.",
                )  # fmt: skip


def _wanted(case: Case, checkpoint: Mapping[str, Any]) -> dict[str, _Open]:
    """URN -> what may be at the target and is not in the state: pending creates, and the plan's after a failure."""
    resources = checkpoint.get("resources") or []
    there = {each["urn"] for each in resources}
    found: dict[str, _Open] = {}
    for each in checkpoint.get("pending_operations") or ():
        resource = each["resource"]
        if each["type"] in ("creating", "importing"):
            name = name_of(resource["urn"])
            wanted = Wanted(resource["urn"], resource["type"], name, resource.get("inputs") or {})
            found[resource["urn"]] = _Open(wanted, dict(resource), pending=True)
    provider = next(
        (each for each in reversed(resources) if each["type"] == "pulumi:providers:openstack"), None
    )
    if not case.unfinished or provider is None:
        return found
    root = next((each["urn"] for each in resources if each["type"] == "pulumi:pulumi:Stack"), "")
    known = _Known(case, resources)
    for planned in next(s for s in case.plan["stacks"] if s["name"] == case.stack)["resources"]:
        urn = f"urn:pulumi:main::{case.stack}::{planned['token']}::{planned['name']}"
        if urn in there or urn in found:
            continue
        props = known.inputs(planned["props"])
        resource = {
            "urn": urn, "custom": True, "type": planned["token"], "inputs": props, "parent": root,
            "provider": f"{provider['urn']}::{provider['id']}",
            **({"protect": True} if planned.get("protect") else {}),
        }  # fmt: skip
        found[urn] = _Open(Wanted(urn, planned["token"], planned["name"], props), resource)
    return found


@dataclass(slots=True)
class _Open:
    wanted: Wanted
    resource: dict[str, Any]
    pending: bool = False


@dataclass
class _Known:
    """Values of a plan's properties, as far as the state and the outputs of other stacks tell them."""

    case: Case
    resources: Sequence[Mapping[str, Any]]

    def __post_init__(self) -> None:
        self.by_name = {name_of(each["urn"]): each for each in self.resources if each.get("custom")}
        self.home = {
            resource["name"]: stack["name"]
            for stack in self.case.plan["stacks"]
            for resource in stack["resources"]
        }
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.settings = _settings(self.case.folder, self.case.stack)

    def inputs(self, props: Mapping[str, Any]) -> dict[str, Any]:
        """snake_case with references -> the engine's names with values; what is not known is left out."""
        found = {_camel(name): self._value(held, inside=False) for name, held in props.items()}
        return {name: held for name, held in found.items() if held is not None}

    def _value(self, held: Any, *, inside: bool) -> Any:
        if isinstance(held, dict):
            if "$ref" in held:
                return self._ref(held["$ref"], held["attr"])
            if "$config" in held:
                given = self.settings.get(held["$config"], held.get("default"))
                return given if isinstance(given, (str, int, float, bool)) else None
            if "$lookup" in held or "$concat" in held:
                return None
            # inside a list it is a block with properties; else a map with keys of the user's own
            return {
                (_camel(name) if inside else name): value
                for name, each in held.items()
                if (value := self._value(each, inside=inside)) is not None
            }
        if isinstance(held, list):
            values = [self._value(each, inside=True) for each in held]
            return None if None in values else values
        return held

    def _ref(self, name: str, attr: str) -> Any:
        plain, _, index = attr.partition("[")
        home = self.home.get(name)
        if home != self.case.stack:
            return self._foreign(str(home), f"{name}.{attr}")
        resource = self.by_name.get(name)
        if resource is None:
            return None
        if plain == "id":
            return resource.get("id")
        held = (resource.get("outputs") or {}).get(_camel(plain))
        if index and isinstance(held, list):
            number = int(index.rstrip("]"))
            held = held[number] if number < len(held) else None
        return held if isinstance(held, (str, int, float, bool)) else None

    def _foreign(self, stack: str, output: str) -> Any:
        from toolkit.engines.state import state_of

        if stack not in self.outputs:
            self.outputs[stack] = state_of(self.case.folder).outputs(stack) or {}
        held = self.outputs[stack].get(output)
        return held if isinstance(held, (str, int, float, bool)) else None


def _settings(folder: Path, stack: str) -> dict[str, Any]:
    """What the user's Pulumi.main.yaml sets; a secret is a map there, and is left out by who reads it."""
    import yaml

    path = folder / "stacks" / stack / "Pulumi.main.yaml"
    try:
        held = (yaml.safe_load(path.read_text("utf-8")) or {}).get("config") or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise FileError(f"{path} cannot be read: {error}", "Compare with the last commit.") from error  # fmt: skip
    return {str(name).removeprefix(f"{stack}:"): value for name, value in held.items()}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda hit: hit[1].upper(), name)


# ----------------------------------------------------------------------------------------------- choosing


def _look(case: Case, wanted: Mapping[str, _Open], known: set[str]) -> dict[str, tuple[_Open, Found]]:  # fmt: skip
    """URN -> the one object at the target. Raises Unclear: two may be it, or one that may be a stranger's."""

    with looking():
        target = Target(case.connect())
        chosen = _choose(case, target, wanted, known)
        late = [urn for urn, each in wanted.items() if each.pending and urn not in chosen]
        if late and (rest := SETTLE - (time.monotonic() - case.started)) > 0:
            case.note(f"{case.stack}: {len(late)} creates were cut off and nothing is there yet: looking again in {rest:.0f} s")  # fmt: skip
            time.sleep(rest)
            target.forget()
            chosen |= _choose(case, target, {urn: wanted[urn] for urn in late}, known)
        return {
            urn: (each, found)
            for urn, (each, found) in chosen.items()
            if _until_ready(case, target, each.wanted, found)
        }


def _choose(
    case: Case, target: Target, wanted: Mapping[str, _Open], known: set[str]
) -> dict[str, tuple[_Open, Found]]:
    chosen: dict[str, tuple[_Open, Found]] = {}
    for urn, each in wanted.items():
        if not knows(each.wanted.token):
            if each.pending:
                raise Unclear(
                    f"{case.stack}: the create of {each.wanted.name} ({each.wanted.token}) was cut off, and such objects cannot be found by themselves",
                    f"Look whether it is at the target; if so, `pulumi -C stacks/{case.stack} import --stack main {each.wanted.token} {each.wanted.name} ID`, then run the same command again.",
                )
            continue
        found = [held for held in find(target, each.wanted, case.since) if held.id not in known]
        if not each.pending:
            # nobody began it for certain: an old object without a mark is somebody else's
            found = [held for held in found if not held.old]
        if len(found) > 1:
            raise Unclear(
                f"{case.stack}: {len(found)} objects may be {each.wanted.name}: " + "; ".join(held.says for held in found),
                "Delete the one that is not it (the younger one, where both are the plan's), then run the same command again.",
            )  # fmt: skip
        if found and found[0].old:
            raise Unclear(
                f"{case.stack}: {found[0].says} has the name of {each.wanted.name} and no mark of anybody's, and it may be older than this attempt",
                "If it is the plan's, delete it (it is empty); if it is somebody else's, rename it; then run the same command again.",
            )
        if found:
            chosen[urn] = (each, found[0])
    return chosen


_SETTLING = ("BUILD", "CREATING", "PENDING", "DOWNLOADING", "DELETING")
_BROKEN = ("ERROR", "FAILED")


def _until_ready(case: Case, target: Target, wanted: Wanted, found: Found) -> bool:
    """Wait until an object is made; False where it is gone, since what made it is unmade.

    Raises Unclear where its making went wrong: taking it in would call it done.
    """
    until = time.monotonic() + PATIENCE
    status = found.status
    while status.startswith(_SETTLING) and time.monotonic() < until:
        case.note(f"{case.stack}: {found.says} is still being made ({status})")
        time.sleep(2)
        target.forget()
        now = [each for each in find(target, wanted, case.since) if each.id == found.id]
        status = now[0].status if now else "GONE"
    if status.startswith((*_BROKEN, *_SETTLING)):
        raise Unclear(
            f"{case.stack}: the create of {wanted.name} was cut off, and {found.says} is in the state {status}",
            "Delete it at the target, then run the same command again: it is then made anew.",
        )
    return status != "GONE"


# ------------------------------------------------------------------------------------------------ taking in


def _take_in(
    case: Case, chosen: Mapping[str, tuple[_Open, Found]], unlocked: bool, pending: Sequence[str]
) -> Recovered:  # fmt: skip
    """Write the state: found objects in, pending operations out; then read them back from the target."""
    from toolkit.engines import pulumi as engine

    adopted: list[str] = []
    removed: list[str] = []
    state = engine.export_state(case.folder, case.stack)
    deployment = state["deployment"]
    resources = deployment.setdefault("resources", [])
    there = {each["urn"] for each in resources}
    fresh: list[str] = []
    for urn, (open_, found) in chosen.items():
        if not found.marked and _remove_half(case, open_.wanted, found):
            removed.append(f"{open_.wanted.name}: {found.says}")
            continue
        for old in resources:
            if old["urn"] == urn:  # it was to be replaced: what the engine would have noted
                old["delete"] = True
                old.pop("protect", None)
        resources.append(_resource(open_.resource, found.id))
        adopted.append(f"{open_.wanted.name}: {found.says}")
        fresh.append(urn)
    unread = case.unread
    again = [
        urn for urn in there
        if urn not in fresh and (urn in pending or name_of(urn) in unread)
    ]  # fmt: skip
    cleared = tuple(name_of(urn) for urn in pending if urn not in there and urn not in fresh)
    read = tuple(sorted(name_of(urn) for urn in (*fresh, *again)))
    done = Recovered(case.stack, unlocked, tuple(adopted), tuple(removed), cleared, read)
    case.record(done)
    if fresh or pending:
        deployment.pop("pending_operations", None)
        engine.import_state(case.folder, case.stack, state)
    if fresh or again:
        outcome = engine.refresh(
            case.folder, case.stack, targets=[*fresh, *again], environment=case.environment
        )
        if not outcome.ok:
            said = "; ".join(each.message for each in outcome.failures) or outcome.reason
            raise TargetError(
                f"{case.stack}: what was cut off cannot be read back: {said}",
                "Run the same command again: it goes on from there.",
            )
    return done


def _resource(resource: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """A resource of the state: what was asked for counts as what is there until it is read back.

    So properties that the target never tells (whether default rules were deleted, what a server
    was made from) are not taken for a change, which would replace the object.
    """
    held = dict(resource)
    inputs = dict(held.get("inputs") or {})
    outputs = {name: value for name, value in inputs.items() if not name.startswith("__")}
    data = outputs.get("userData")
    if isinstance(data, str):
        outputs["userData"] = hashlib.sha1(data.encode()).hexdigest()  # noqa: S324 - the provider keeps this digest
    held |= {"id": id_, "custom": True, "outputs": {**outputs, "id": id_}}
    return held


def _remove_half(case: Case, wanted: Wanted, found: Found) -> bool:
    """What is done with an object that was cut off before its mark: True where it was deleted, to be made anew.

    A security group may still have the rules that Neutron gives to each: nothing of the plan can be in
    it yet, so they go. A secret may lack its payload: nothing can use it yet, so it goes itself.
    """

    with looking():
        connection = case.connect()
        kind = wanted.token.rsplit(":", 1)[-1]
        if kind == "SecGroup" and wanted.props.get("deleteDefaultRules"):
            for rule in list(connection.network.security_group_rules(security_group_id=found.id)):
                connection.network.delete_security_group_rule(rule)
        elif kind == "SecretV1":
            connection.key_manager.delete(f"/secrets/{found.id}")
            return True
    return False
