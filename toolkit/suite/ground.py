"""The landing zone of a suite: its stack on the engine, and what the inventory learns from its outputs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from toolkit import workspace
from toolkit.engines import pulumi
from toolkit.engines.outcome import Event, Outcome
from toolkit.engines.state import HOME, State
from toolkit.errors import EngineError, TargetError
from toolkit.suite import vault
from toolkit.suite.inventory import HEAD
from toolkit.suite.stack import FOLDER

OUTPUTS = "inventory/group_vars/all/stack.yml"
KNOWN = ".repatria/known_hosts"
"""SSH keys of the hosts, learnt at the first meeting and then held to."""
PASSPHRASE = ".repatria/passphrase"  # noqa: S105 - the name of the file
KEEPS = ("openstack:blockstorage", "openstack:compute/instance", "openstack:networking/floatingIp:", "openstack:objectstorage")  # fmt: skip
"""Types that hold data or an address: what would replace or remove one stops."""


def state(folder: Path) -> State:
    """Where the stack's state is; its passphrase is made with the first use, and is to be kept elsewhere too."""
    path = folder / PASSPHRASE
    named = any(os.environ.get(name) for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"))  # fmt: skip
    if not named and not path.exists():
        vault.key(path)
    return State(folder, (folder / HOME).resolve().as_uri(), None if named else path)


def operate(folder: Path, client: str, operation: str, *, on_event: Callable[[Event], None] | None = None, **arguments: Any) -> Outcome:  # fmt: skip
    """One operation of the engine on the suite's stack. Raises EngineError, TargetError with what the cloud said."""
    if not (folder / FOLDER / "Pulumi.yaml").exists():
        raise EngineError(f"there is no {folder / FOLDER}", "`repatria suite plan` writes it, where it knows the cloud; hosts of your own are given with --inventory.")  # fmt: skip
    outcome = pulumi.program(folder / FOLDER, client, operation, state(folder), arguments=arguments, on_event=on_event)  # fmt: skip
    if not outcome.ok:
        said = (
            " | ".join(" ".join(each.message.split()) for each in outcome.failures)
            or outcome.reason
        )
        raise TargetError(f"the stack of {client}: {said}", "What was built is in the state and stays. Mend what it says, then run the same command again.")  # fmt: skip
    return outcome


def lost(outcome: Outcome) -> list[str]:
    """What an operation would take away or make anew of hosts, volumes, addresses and containers."""
    return [f"{change.op} {change.name}" for change in outcome.changes if change.op in ("delete", "replace") and change.type.startswith(KEEPS)]  # fmt: skip


def tell(folder: Path, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The stack's outputs -> variables of all hosts: the way in, public addresses, ids of the volumes.

    A host with another id than before is another machine: its SSH key is learnt anew.
    """
    hosts = outputs["hosts"]
    before = (yaml.safe_load(workspace.read_optional(folder / OUTPUTS)) or {}).get(
        "suite_host_ids", {}
    )
    new = [name for name, each in hosts.items() if before.get(name, each["id"]) != each["id"]]
    forget(
        folder,
        [
            place
            for name in new
            for place in (hosts[name]["address"], hosts[name]["floating_address"])
            if place
        ],
    )
    gate = next(held["floating_address"] for held in hosts.values() if "edge" in held["roles"])
    held = {
        "suite_gate": gate,
        "suite_addresses": dict(sorted(outputs["addresses"].items())),
        "suite_host_ids": {name: each["id"] for name, each in sorted(hosts.items())},
        "suite_volume_ids": {
            name: volume["id"] for name, volume in sorted(outputs["volumes"].items())
        },
    }
    workspace.write(folder / OUTPUTS, (HEAD + yaml.safe_dump(held, sort_keys=True)).encode())
    return held


def forget(folder: Path, addresses: Sequence[str]) -> None:
    """Take the SSH keys of these addresses out of the workspace's list: the machines behind them are new."""
    path = folder / KNOWN
    for each in addresses if path.exists() else ():
        subprocess.run(
            ["ssh-keygen", "-R", each, "-f", str(path)], capture_output=True, check=False
        )
