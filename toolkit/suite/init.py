"""Answers -> `suite.toml`: asked on a terminal or taken from a file; never over one that is there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from toolkit import workspace
from toolkit.errors import ConfigError
from toolkit.init import template
from toolkit.suite.answers import FIELDS, FILE, Answers, load, parse

TYPED = "suite.typed.toml"
Ask = Callable[[str, str], str]
"""Question and default -> the answer as typed."""

QUESTIONS = (
    ("domain", "Domain of the client", ""),
    ("people.users", "People with an account", "100"),
    ("people.active_percent", "Percent of them at work at the same time", "30"),
    ("people.conference_peak", "People in conferences at the same time", "20"),
    ("people.biggest_room", "People in the biggest conference", "10"),
    ("people.files_gb", "Files of a user, GB", "5"),
    ("federation.mode", "Chat with other servers (off, on, list)", "off"),
    ("mail.host", "Mail relay of the client", ""),
    ("mail.port", "Its port", "587"),
    ("mail.user", "Its user (the password is asked for later)", ""),
    ("mail.sender", "Sender of the suite's mail", ""),
    ("target.cloud", "Target cloud (ovhcloud, infomaniak, openstack)", "ovhcloud"),
    ("target.region", "Its region", ""),
    ("target.operators", "Networks that may use SSH, with commas between", ""),
    ("target.key", "Public SSH key of the first operator", ""),
    ("backup.cloud", "Cloud of the backups", "infomaniak"),
    ("backup.region", "Its region", ""),
)  # fmt: skip
"""What is asked; the rest has a default that stands in the file with its meaning."""


def init(client: str, folder: Path, *, answers: Path | None, ask: Ask | None) -> Path:
    """Write `suite.toml` and return its path.

    Raises ConfigError: one is there already, nobody to ask and no file of answers, or answers with faults
    (those typed are then kept in a file). A single answer that cannot be is asked for again.
    """
    path = folder / FILE
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path} is there already", "Edit it, or name another folder.")
    if answers is not None:
        held = load(answers)
        if held.client != client:
            raise ConfigError(
                f"{answers} is of the client {held.client!r}, not {client!r}",
                "Name the client as the file does, or change `client` in it.",
            )
    elif ask is not None:
        raw = _asked(client, ask)
        try:
            held = parse(raw, folder)
        except ConfigError as error:
            kept = folder / TYPED
            workspace.write(kept, _dumped(raw).encode())
            raise ConfigError(
                error.message,
                f"What was typed is kept in {kept}: mend it there, then give it as --answers.",
            ) from error
    else:
        raise ConfigError(
            "there is no terminal to ask on",
            "Give the answers: --answers FILE (tests/estates/town-3000/suite.toml is an example).",
        )
    workspace.write(path, text(held, folder).encode())
    return path


def text(answers: Answers, folder: Path) -> str:
    """`suite.toml` as text, with comments."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - TOML, quoted by a filter
    environment.filters["toml"] = _toml
    cloud_file = ""
    if answers.cloud_file is not None:
        here = answers.cloud_file.resolve()
        cloud_file = here.name if here.parent == folder.resolve() else str(here)
    return environment.from_string(template("suite/suite.toml.j2")).render(
        a=answers, cloud_file=cloud_file
    )


def _toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _asked(client: str, ask: Ask) -> Mapping[str, Any]:
    raw: dict[str, Any] = {"client": client}
    for place, question, default in QUESTIONS:
        table, _, name = place.rpartition(".")
        held = raw.setdefault(table, {}) if table else raw
        wrong, again = "", 0
        while again < _PATIENCE:
            held[name] = _value(place, ask(f"{wrong}{question}", default).strip())
            wrong = FIELDS[place][1](held[name])[1]
            if not wrong:
                break
            wrong, again = f"({wrong}) ", again + 1
    return raw


_PATIENCE = 3
"""How often a question is asked; then its answer is left as it is, and named with the others."""


def _dumped(raw: Mapping[str, Any]) -> str:
    plain = [f"{name} = {_toml(held)}" for name, held in raw.items() if not isinstance(held, dict)]
    tables = [
        "\n".join([f"\n[{table}]", *(f"{name} = {_toml(held)}" for name, held in inner.items())])
        for table, inner in raw.items()
        if isinstance(inner, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _value(place: str, typed: str) -> Any:
    """What was typed, as the file would hold it; what is no number stays text, and is a fault there."""
    if place == "target.operators":
        return [each.strip() for each in typed.split(",") if each.strip()]
    if place.startswith("people.") or place == "mail.port":
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(typed)
    return typed
