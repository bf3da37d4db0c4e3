"""Command lines show no secrets: `environment` of a task stands in those of sudo and ssh, a secret in `cmd` or `argv` in its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

BOOKS = Path(__file__).parents[1] / "playbooks"
PLAIN = {"JAVA_HOME"}
"""Names that may stand in the environment of a task."""
SECRET = re.compile(r"\{[{%][^}]*(password|passphrase|secret|token|credential|private_key)")
RUNS = ("ansible.builtin.command", "ansible.builtin.shell", "ansible.builtin.raw", "ansible.builtin.script")  # fmt: skip


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def tasks(held: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a file that may be a task or a play."""
    for each in held if isinstance(held, list) else [held]:
        if isinstance(each, dict):
            yield each
            for value in each.values():
                if isinstance(value, list):
                    yield from tasks(value)


def faults(task: dict[str, Any]) -> Iterator[str]:
    environment = task.get("environment", {})
    names = environment if isinstance(environment, dict) else {str(environment)}
    yield from (f"environment: {name}" for name in set(names) - PLAIN)
    for run in RUNS:
        said = task.get(run)
        words = [said.get("cmd", ""), *said.get("argv", ())] if isinstance(said, dict) else [said]
        yield from (f"{run}: {word}" for word in words if SECRET.search(str(word or "")))


@pytest.mark.parametrize("path", sorted(BOOKS.rglob("*.yml")), ids=lambda path: str(path.relative_to(BOOKS)))  # fmt: skip
def test_no_secret_in_a_command_line(path: Path) -> None:
    held = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - plain values
    found = [f"{task.get('name')}: {fault}" for task in tasks(held) for fault in faults(task)]
    assert found == []


@pytest.mark.parametrize(
    "task",
    [
        {"ansible.builtin.command": {"argv": ["psql", "{{ idp_database_password }}"]}},
        {"ansible.builtin.shell": {"cmd": "echo {{ suite_secrets.word | quote }}"}},
        {"ansible.builtin.command": "restic {{ backup_passphrase }}"},
        {"environment": {"RESTIC_PASSWORD": "{{ x }}"}, "ansible.builtin.command": "restic"},
        {"environment": "{{ held }}"},
    ],
)
def test_one_that_is_there_is_found(task: dict[str, Any]) -> None:
    assert list(faults(task))
