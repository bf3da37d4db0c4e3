"""A playbook on an inventory -> what happened, play by play and host by host; through ansible-runner's events, never its prose."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError, TargetError
from toolkit.suite.books import playbooks

_CHANGED = re.compile(r"^(\x1b\[[0-9;]*m)*changed: \[", re.MULTILINE)
COUNTED = ("ok", "changed", "failed", "unreachable", "skipped")


@dataclass(slots=True)
class Play:
    """One play: `name` is its first tag (a role of the suite), `hosts` counts of tasks by host."""

    name: str
    title: str
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, host: str, what: str) -> None:
        self.hosts.setdefault(host, dict.fromkeys(COUNTED, 0))[what] += 1

    @property
    def failed(self) -> bool:
        return any(each["failed"] or each["unreachable"] for each in self.hosts.values())

    def json(self) -> dict[str, Any]:
        return {"role": self.name, "title": self.title, "seconds": round(self.seconds, 1), "hosts": self.hosts, "failed": self.failed}  # fmt: skip


@dataclass(slots=True)
class Result:
    """How a playbook ended: `status` successful, failed, unreachable, canceled; `faults` what failed where."""

    playbook: str
    status: str = ""
    plays: list[Play] = field(default_factory=list)
    faults: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == "successful"

    @property
    def changed(self) -> int:
        return sum(host["changed"] for play in self.plays for host in play.hosts.values())

    def json(self) -> dict[str, Any]:
        """As commands answer it."""
        return {
            "playbook": self.playbook, "status": self.status, "ok": self.ok, "changed": self.changed, "seconds": round(self.seconds, 1),
            "plays": [play.json() for play in self.plays], "faults": self.faults,
        }  # fmt: skip


def run(
    book: str, inventory: Path, *, tags: Sequence[str] = (), variables: Mapping[str, Any] | None = None, vault: Path | None = None,
    check: bool = False, known_hosts: Path | None = None, said: Callable[[Play], None] | None = None, interrupted: Callable[[], bool] | None = None,
) -> Result:  # fmt: skip
    """Run `book` of our playbooks on an inventory. `said` is told of every play that ended.

    Raises ConfigError where ansible is missing or the inventory does not read, KeyboardInterrupt after a Ctrl-C.
    """
    import ansible_runner

    ansible = Path(sys.executable).with_name("ansible-playbook")
    if not ansible.exists():
        raise ConfigError("ansible is not installed beside repatria", "Install `repatria[suite]`.")
    result, began = Result(book), time.monotonic()
    listener = _Listener(result, said)
    words = ["--inventory", str(inventory.absolute())]
    words += ["--tags", ",".join(tags)] if tags else []
    words += ["--vault-password-file", str(vault.absolute())] if vault else []
    words += ["--check", "--diff"] if check else []
    environment = {
        "ANSIBLE_CONFIG": str(playbooks() / "ansible.cfg"),
        "PATH": f"{ansible.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    if known_hosts is not None:
        known_hosts.parent.mkdir(parents=True, exist_ok=True)
        environment["ANSIBLE_SSH_ARGS"] = (
            f"-o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={known_hosts.absolute()}"
        )
    # the folder holds secrets while it lives: memory where there is one, and for this user alone. Connections are kept in it too:
    # clients may have the same private addresses, and Ansible tells connections apart by the address
    private = tempfile.mkdtemp(prefix="repatria-play-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # fmt: skip # noqa: S108
    environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = f"{private}/c"
    try:
        done = ansible_runner.run(
            private_data_dir=private, project_dir=str(playbooks()), playbook=book, cmdline=_quoted(words), extravars=dict(variables or {}),
            envvars=environment, event_handler=listener, quiet=True, settings={"suppress_ansible_output": True, "pexpect_use_poll": True},
            cancel_callback=interrupted or (lambda: False),
        )  # fmt: skip
        result.status = done.status
        if not result.ok and not result.faults:
            result.faults.append({"host": "", "role": "", "task": "", "message": _tail(done)})
    finally:
        shutil.rmtree(private, ignore_errors=True)
    listener.close()
    result.seconds = time.monotonic() - began
    return result


class Failed(TargetError):  # noqa: N818 - read as a sentence
    """A playbook ended with a fault on a host."""


def failed(result: Result, again: str) -> Failed:
    """The first fault of a run as an error. `again` is the command that goes on."""
    first = result.faults[0] if result.faults else {"host": "", "task": "", "message": result.status, "role": ""}  # fmt: skip
    where = " ".join(
        each for each in (first["host"], first["role"] and f"({first['role']})") if each
    )
    rest = f"; {len(result.faults) - 1} more" if len(result.faults) > 1 else ""
    if "IDENTIFICATION HAS CHANGED" in first["message"]:
        return Failed(
            f"{first['host']} shows another SSH key than at the first meeting: it is another machine, or somebody is in between",
            f"Where it was made anew, `repatria suite apply --new-host {first['host']}` learns the key of the new one; else find out first.",
        )
    return Failed(
        f"{where or result.playbook}: {first['task'] + ': ' if first['task'] else ''}{first['message']}{rest}",
        f"What was done stays. Mend what it says, then `{again}` goes on.",
    )


def _quoted(words: Sequence[str]) -> str:
    import shlex

    return shlex.join(words)


def _tail(done: Any) -> str:
    try:
        lines = Path(done.stdout.name).read_text(errors="replace").strip().splitlines()
    except (OSError, AttributeError):
        lines = []
    return " ".join(line.strip() for line in lines[-6:]) or f"ansible ended with {done.rc}"


class _Listener:
    """Events of ansible-runner -> the result."""

    def __init__(self, result: Result, said: Callable[[Play], None] | None) -> None:
        self.result, self.said = result, said

    def __call__(self, event: Mapping[str, Any]) -> bool:
        data = event.get("event_data") or {}
        kind = event.get("event", "")
        if kind == "playbook_on_play_start":
            self.close()
            title = str(data.get("play") or data.get("name") or "")
            self.result.plays.append(Play(title.partition(":")[0].lower(), title))
        elif kind.startswith(("runner_on_", "runner_item_")) and self.result.plays:
            self._task(kind, data, str(event.get("stdout", "")))
        return False

    def _task(self, kind: str, data: Mapping[str, Any], shown: str) -> None:
        play, host, held = self.result.plays[-1], str(data.get("host", "")), data.get("res") or {}
        if kind == "runner_on_ok":
            # of a task that hides what it did, the line that people see is all that tells
            changed = held.get("changed", _CHANGED.search(shown) is not None)
            play.count(host, "changed" if changed else "ok")
        elif kind == "runner_on_skipped":
            play.count(host, "skipped")
        elif kind in ("runner_on_failed", "runner_on_unreachable") and not data.get(
            "ignore_errors"
        ):
            play.count(host, kind.removeprefix("runner_on_"))
            self.result.faults.append(
                {"host": host, "role": str(data.get("role") or play.name), "task": str(data.get("task", "")), "message": _message(held)}
            )  # fmt: skip

    def close(self) -> None:
        """The play that runs has ended."""
        if self.result.plays and not self.result.plays[-1].seconds:
            play = self.result.plays[-1]
            play.seconds = time.monotonic() - play.began
            if self.said is not None:
                self.said(play)


def _message(held: Mapping[str, Any]) -> str:
    """What a module said, without the values that it was given; Ansible hides what a task marks as secret."""
    parts = [
        str(held[name]).strip() for name in ("msg", "stderr", "module_stderr") if held.get(name)
    ]
    for item in held.get("results") or ():
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            parts += [str(item[name]).strip() for name in ("msg", "stderr") if item.get(name)]
    return " ".join(" ".join(dict.fromkeys(parts)).split())[:2000] or "failed without a word"
