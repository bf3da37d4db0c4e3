"""A planned suite -> installed: landing zone, names in the DNS, playbooks; what happened is in the journal, and a run goes on where it ended."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from toolkit import workspace
from toolkit.console import at
from toolkit.errors import ConfigError, TargetError
from toolkit.journal import Journal, alone
from toolkit.suite import artefacts, ground, play, vault, write
from toolkit.suite.books import playbooks
from toolkit.suite.inventory import HEAD

BOOK = "site.yml"
LEFT_OUT = "inventory/group_vars/all/without.yml"
DNS_PAUSE = 10.0
"""Seconds between two looks whether a name resolves."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. `inventory` stands in place of the plan's: hosts that exist already, with all variables."""

    folder: Path
    inventory: Path | None = None
    stack: bool = True
    artefacts: Path | None = None
    begin: str = ""
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    """Hosts that are other machines than before, at the same address."""
    install: bool = True
    """False: the infrastructure alone; no host is entered."""
    refresh: bool = False
    """Ask the cloud first what still stands: what was lost there is built anew."""
    check: bool = False
    wait_dns: float = 3600.0
    say: Callable[[str], None] = print
    agree: Callable[[list[str]], bool] = lambda _: True
    """Shown what the stack would do; False stops before it."""
    variables: Mapping[str, Any] = field(default_factory=dict)


def plays(book: str = BOOK) -> list[str]:
    """The plays of a playbook, by their first tag, in order."""
    held = yaml.safe_load((playbooks() / book).read_text("utf-8"))
    return [each["tags"][0] for each in held if "tags" in each]


def chosen(request: Request, book: str = BOOK) -> list[str]:
    """The plays that a request asks for, in order. Raises ConfigError for a name that is none."""
    known = plays(book)
    for name in (*request.only, *request.without, *([request.begin] if request.begin else [])):
        if name not in known:
            raise ConfigError(f"{name} is no part of the suite", f"Known: {', '.join(known)}.")
    wanted = request.only or known[known.index(request.begin) if request.begin else 0 :]
    return [name for name in known if name in wanted and name not in request.without]


PARTS = {"keycloak": "idp", "nextcloud": "nextcloud", "synapse": "synapse", "element_web": "element_web", "jitsi": "jitsi"}  # fmt: skip
"""Artefact that a part cannot be installed without -> the part."""

PARTLY = ("jitsi",)
"""Parts that Debian has a useful part of: the signalling is installed, and the role says what is not there."""


def lacking(parts: Sequence[str], groups: Sequence[str], store: Path) -> dict[str, str]:
    """Part -> why its artefact is not usable, of those that are to be installed on some host."""
    known = artefacts.load()
    wanted = [known[name] for name, part in PARTS.items() if part in parts and part in groups]
    return {PARTS[row["name"]]: row["why"] for row in artefacts.check(wanted, store) if row["state"] != "ready"}  # fmt: skip


def apply(request: Request) -> dict[str, Any]:
    """Build and install. Returns what was done; raises TargetError with the first fault and how to go on."""
    document = write.read(request.folder)
    journal = Journal(request.folder, document["header"]["body"], f"suite-{int(time.time())}")
    tags = chosen(request)
    held: dict[str, Any] = {
        "client": document["answers"]["client"],
        "stack": None,
        "made_secrets": 0,
    }
    with alone(request.folder, "suite apply"):
        if request.stack:
            held["stack"] = _ground(request, document, journal)
            if held["stack"]["stopped"]:
                return held
            if not request.install:
                return held
            _names(request, document)
        ground.forget(request.folder, _addresses(request, document))
        roles = {role["role"] for host in document["hosts"] for role in host["roles"]}
        store = request.artefacts or artefacts.folder()
        missing = lacking(tags, sorted(roles), store)
        held["partly"] = {name: missing.pop(name) for name in PARTLY if name in missing}
        for name, why in held["partly"].items():
            request.say(f"{name} will be there in part: {why}")
        if missing:
            raise ConfigError(
                f"what {', '.join(missing)} is installed from is not in {store}: {'; '.join(missing.values())}",
                f"`repatria suite artefacts fetch` brings it; {' '.join(f'--without {name}' for name in missing)} leaves it out, and the suite is not whole then.",
            )
        held["without"] = _left_out(request, tags)
        held["made_secrets"] = len(vault.fill(request.folder))
        result = _play(request, journal, BOOK, tags, request.check)
    return held | {"play": result.json()}


def _addresses(request: Request, document: Mapping[str, Any]) -> list[str]:
    """Of the hosts that are said to be new. Raises ConfigError for a name that is none."""
    known = {each["name"]: each["address"] for each in document["hosts"]}
    if unknown := [name for name in request.new if name not in known]:
        raise ConfigError(
            f"{', '.join(unknown)} is no host of the plan", f"Known: {', '.join(known)}."
        )
    told = yaml.safe_load(workspace.read_optional(request.folder / ground.OUTPUTS)) or {}
    gate = next(each["name"] for each in document["hosts"] if any(role["role"] == "edge" for role in each["roles"]))  # fmt: skip
    outside = [told["suite_gate"]] if gate in request.new and told.get("suite_gate") else []
    return [*(known[name] for name in request.new), *outside]


def _left_out(request: Request, installed: Sequence[str]) -> list[str]:
    """Keep which parts are not installed, for backups and measurements; one that is installed now is taken off the list."""
    path = request.folder / LEFT_OUT
    before = (yaml.safe_load(workspace.read_optional(path)) or {}).get("suite_without", [])
    now = sorted({*request.without, *(name for name in before if name not in installed)})
    if now != before and not request.check:
        workspace.write(path, (HEAD + yaml.safe_dump({"suite_without": now})).encode())
    return now


def book(request: Request, name: str, tags: Sequence[str] = ()) -> play.Result:
    """One of the other playbooks (backup, restore, upgrade), in the same way."""
    document = write.read(request.folder)
    journal = Journal(request.folder, document["header"]["body"], f"suite-{int(time.time())}")
    with alone(request.folder, f"suite {name.removesuffix('.yml')}"):
        return _play(request, journal, name, tags, request.check)


def leaving(request: Request, name: str, folder: Path, pattern: str) -> list[Path]:
    """`book` of one that leaves its result in `folder`: the new files there that match `pattern`, in their order."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = set(folder.glob(pattern))
    book(replace(request, variables={**request.variables, "suite_run_dir": str(folder.absolute())}), name)  # fmt: skip
    return sorted(set(folder.glob(pattern)) - before)


def _ground(request: Request, document: Mapping[str, Any], journal: Journal) -> dict[str, Any]:
    client = document["answers"]["client"]
    seen = ground.operate(request.folder, client, "preview", refresh=request.refresh)
    if gone := ground.lost(seen):
        raise TargetError(
            f"the stack of {client} would take away what holds data or an address: {', '.join(gone)}",
            "Nothing was changed. Compare suite.json with its last version in Git, or take the change back with `repatria suite plan`.",
        )
    counts = {op: n for op in ("create", "update", "replace", "delete") if (n := seen.count(op))}
    touched = [f"{change.op} {change.name}" for change in seen.changes if change.op not in ("same", "read")]  # fmt: skip
    if request.check or (touched and not request.agree(touched)):
        return {"counts": counts, "stopped": not request.check or bool(touched)}
    if touched:
        journal.add("begun", "suite:stack", stack="suite")
        started = time.monotonic()
        try:
            ground.operate(request.folder, client, "up", refresh=request.refresh)
        except TargetError as error:
            journal.add("failed", "suite:stack", stack="suite", message=error.message)
            raise
        journal.add("done", "suite:stack", stack="suite", seconds=round(time.monotonic() - started, 1), changes=counts)  # fmt: skip
    outputs = {name: held.value for name, held in ground.operate(request.folder, client, "outputs").outputs.items()}  # fmt: skip
    told = ground.tell(request.folder, outputs)
    request.say(f"the stack stands; the way in is {told['suite_gate']}")
    return {"counts": counts, "gate": told["suite_gate"], "stopped": False}


def _names(request: Request, document: Mapping[str, Any]) -> None:
    """Where the zone is held elsewhere: the records with their addresses, then wait until they are there.

    Only an authority that looks at the names from outside needs them before the certificates.
    """
    if document["answers"]["tls"]["mode"] != "acme" or document["stack"]["designate"]:
        return
    told = yaml.safe_load((request.folder / ground.OUTPUTS).read_text("utf-8"))
    domain, addresses = document["answers"]["domain"], told["suite_addresses"]
    wanted = {f"{each['name']}.{domain}": addresses[each["address"]] for each in document["dns"]["records"]}  # fmt: skip
    missing = _unresolved(wanted)
    if not missing:
        return
    lines = [f"{each['name']} {each['ttl']} IN A {addresses[each['address']]}" for each in document["dns"]["records"]]  # fmt: skip
    request.say(
        "\n".join([f"the zone {domain} needs these records:", f"$ORIGIN {domain}.", *lines])
    )
    limit = time.monotonic() + request.wait_dns
    while missing:
        if time.monotonic() > limit:
            raise TargetError(
                f"{', '.join(missing)} do not resolve to the suite yet",
                "Put the records above into the zone, then run the same command again: the hosts stand already.",
            )
        time.sleep(DNS_PAUSE)
        missing = _unresolved(wanted)


def _unresolved(wanted: Mapping[str, str]) -> list[str]:
    found = []
    for name, address in wanted.items():
        try:
            held = {each[4][0] for each in socket.getaddrinfo(name, 443, socket.AF_INET)}
        except OSError:
            held = set()
        if address not in held:
            found.append(name)
    return found


def _play(request: Request, journal: Journal, name: str, tags: Sequence[str], check: bool) -> play.Result:  # fmt: skip
    step = f"suite:{name.removesuffix('.yml')}"
    folder = request.folder
    inventory = request.inventory or folder / "inventory"
    if not inventory.exists():
        raise ConfigError(f"there is no {inventory}", "`repatria suite plan` writes one.")
    variables: dict[str, Any] = {
        "suite_artefacts": str((request.artefacts or artefacts.folder()).absolute()),
        "suite_workspace": str(folder.absolute()),
        **request.variables,
    }
    journal.add("begun", step, roles=list(tags))

    def said(each: play.Play) -> None:
        state: Literal["failed", "done"] = "failed" if each.failed else "done"
        counts = {what: sum(host[what] for host in each.hosts.values()) for what in ("ok", "changed", "failed")}  # fmt: skip
        journal.add(state, f"{step}:{each.name}", seconds=round(each.seconds, 1), tasks=counts)
        for host, held in sorted(each.hosts.items()):
            bad = held["failed"] + held["unreachable"]
            request.say(f"{each.name:<14} {host:<12} {held['ok'] + held['changed']:>4} ok {held['changed']:>4} changed{f' {bad} failed' if bad else ''}  {each.seconds:.0f} s")  # fmt: skip

    try:
        result = play.run(
            name, inventory, tags=tags, variables=variables, vault=vault.password(folder), check=check,
            known_hosts=folder / ground.KNOWN, said=said,
        )  # fmt: skip
    except KeyboardInterrupt:
        journal.add("interrupted", step)
        raise
    if result.ok:
        journal.add("done", step, seconds=round(result.seconds, 1), changed=result.changed)
        return result
    journal.add(
        "failed", step, message=result.faults[0]["message"] if result.faults else result.status
    )
    last = result.plays[-1].name if result.plays else ""
    again = f"repatria suite {'apply' if name == BOOK else name.removesuffix('.yml')}{at(folder)}"
    begin = f" --from {last}" if name == BOOK and last in plays(name) else ""
    raise play.failed(result, again + begin)
