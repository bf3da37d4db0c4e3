"""Roles' needs -> secrets made once, in a vault beside the inventory; what opens it stays out of Git."""

from __future__ import annotations

import base64
import os
import re
import secrets
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from toolkit import workspace
from toolkit.errors import ConfigError, FileError
from toolkit.suite.books import playbooks, roles

FILE = "inventory/group_vars/all/secrets.yml"
PASSWORD = ".repatria/vault-password"  # noqa: S105 - the name of the file
GIVEN = {
    "mail_password": "Password of the client's mail relay.",
    "nextcloud_oidc_client_secret": "Nextcloud's, where the client's own provider does the sign-on.",
    "synapse_oidc_client_secret": "Synapse's, where the client's own provider does the sign-on.",
    "backup_auth_url": "Keystone's address of the second provider, where backups go.",
    "backup_credential_id": "Application credential there, for the backups' container alone.",
    "backup_credential_secret": "Its secret.",
}
"""Secrets that nobody can make: the client has them."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WORD = string.ascii_letters + string.digits
_MAKE = {
    "password": lambda length: "".join(secrets.choice(_WORD) for _ in range(length)),
    "hex": lambda length: secrets.token_hex((length + 1) // 2)[:length],
    "base64": lambda length: base64.b64encode(secrets.token_bytes(length)).decode(),
}
"""Kind -> what makes one of a length (characters; for base64: bytes)."""


def needs() -> dict[str, Mapping[str, Any]]:
    """Name -> {kind, length, what, role}, from every role's `meta/secrets.yml`. Raises FileError where two roles own one."""
    found: dict[str, Mapping[str, Any]] = {}
    for role in sorted(roles().iterdir()):
        path = role / "meta/secrets.yml"
        if not path.is_file():
            continue
        for each in yaml.safe_load(path.read_text("utf-8")) or ():
            if each["name"] in found:
                raise FileError(f"{each['name']} belongs to {found[each['name']]['role']} and to {role.name}", "One role owns a secret; the other takes it.")  # fmt: skip
            found[each["name"]] = {**each, "role": role.name}
    return found


def fill(folder: Path) -> list[str]:
    """Make what is missing; what is there stays as it is. Returns the names of the new ones.

    Raises FileError, ConfigError: a vault that cannot be opened is never written over.
    """
    held = read(folder)
    wanted = needs()
    new = [name for name in wanted if name not in held]
    if new:
        held |= {name: _MAKE[wanted[name]["kind"]](int(wanted[name]["length"])) for name in new}
        _write(folder, held)
    return new


def put(folder: Path, name: str, value: str) -> None:
    """Keep what only the client knows (`mail_password`), or another value of one that was made."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} names no secret", "Letters a to z, digits and _; the roles' are listed by `repatria suite secret`.")  # fmt: skip
    if not value or not value.isprintable():
        raise ConfigError(f"the value of {name} is empty or has characters that cannot be typed", "Nothing was changed.")  # fmt: skip
    _write(folder, read(folder) | {name: value})


def password(folder: Path) -> Path:
    """The file that opens the vault, made with the first use: readable by its owner only."""
    path = folder / PASSWORD
    if not path.exists():
        if (folder / FILE).exists():
            raise ConfigError(f"{path} is not there, and {FILE} is closed with it", "Put it back from where you keep a copy: without it the secrets cannot be read.")  # fmt: skip
        key(path)
    return path


def key(path: Path) -> None:
    """Make a file with a random password of one line, which its owner alone reads. Never writes over one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(33) + "\n")


def read(folder: Path) -> dict[str, str]:
    """Name -> secret; empty before the first. Raises ConfigError where the password does not open it."""
    path = folder / FILE
    if not path.exists():
        return {}
    document = yaml.safe_load(_vault(folder, "decrypt", path.read_bytes())) or {}
    held: dict[str, str] = document.get("suite_secrets") or {}
    return held


def _write(folder: Path, held: Mapping[str, str]) -> None:
    text = yaml.safe_dump({"suite_secrets": dict(held)}, sort_keys=True)
    workspace.write(folder / FILE, _vault(folder, "encrypt", text.encode()))


def _vault(folder: Path, verb: str, data: bytes) -> bytes:
    """ansible-vault by pipes: no secret is an argument or a file."""
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-vault"), verb, "--vault-password-file", password(folder).absolute(), "--output", "-", "-"],
        input=data, capture_output=True, check=False, env={**os.environ, "ANSIBLE_CONFIG": str(playbooks() / "ansible.cfg")},
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigError(
            f"{folder / FILE}: {said[-1] if said else verb}",
            f"{PASSWORD} must be the file that it was made with; nothing was changed.",
        )
    return done.stdout
