"""Where the playbooks and roles are: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from toolkit.errors import FileError


def playbooks() -> Path:
    """The folder of the playbooks. Raises FileError where it is not installed."""
    for root in (Path(str(resources.files("toolkit"))) / "playbooks", Path(__file__).parents[2] / "playbooks"):  # fmt: skip
        if root.is_dir():
            return root
    raise FileError("the playbooks of the suite are not installed", "Reinstall repatria.")


def roles() -> Path:
    """The folder of the roles."""
    return playbooks() / "ansible_collections/repatria/suite/roles"
