"""Values of plan.json -> what they stand for at the target: configuration overlaid, references and lookups resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import FileError
from toolkit.outcomes import Text, text
from toolkit.verify.kinds import OneOf
from toolkit.verify.reading import Object, Snapshot

CONFIG = "Pulumi.main.yaml"


class Unknown(Exception):  # noqa: N818 - not an error: a value that can't be told here
    """Why a planned value can't be compared, for people."""

    def __init__(self, why: Text) -> None:
        super().__init__(str(why))
        self.why = why


SECRET = object()
"""A value that is encrypted in the stack's configuration: it is set, and nobody reads it here."""


def settings(folder: Path, stack: str) -> Mapping[str, Any]:
    """`stacks/<stack>/Pulumi.main.yaml` -> name -> value, `SECRET` for what is encrypted; empty where there is none.

    Raises FileError where the file is no YAML.
    """
    path = folder / "stacks" / stack / CONFIG
    try:
        held = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FileError(
            f"{path} cannot be read: {' '.join(str(error).split())}",
            "Mend the file, or remove it and run `repatria render`.",
        ) from error
    config = held.get("config") if isinstance(held, dict) else None
    if not isinstance(config, dict):
        return {}
    found: dict[str, Any] = {}
    for key, value in config.items():
        project, _, name = str(key).rpartition(":")
        if project in ("", stack):
            found[name] = SECRET if isinstance(value, dict) and "secure" in value else value
    return found


@dataclass(slots=True)
class Values:
    """Resolves values of one stack. `find`: logical name -> the object found for it, or None where it is missing.

    `find` raises Unknown for what no stack that is read here makes.
    """

    config: Mapping[str, Any]
    there: Snapshot
    find: Callable[[str], Object | None]

    def of(self, value: Any) -> Any:
        """The value with nothing left to resolve. Raises Unknown."""
        if isinstance(value, list):
            return [self.of(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return self._attribute(value["$ref"], value["attr"])
        if "$config" in value:
            return self._setting(value)
        if "$lookup" in value:
            return self._looked_up(value)
        if "$concat" in value:
            return "".join(str(self.of(each)) for each in value["$concat"])
        return {key: self.of(each) for key, each in value.items()}

    def _attribute(self, name: str, attr: str) -> Any:
        held = self.find(name)
        if held is None:
            raise Unknown(text("It refers to {name}, which is not there.", name=name))
        plain, _, index = attr.rstrip("]").partition("[")
        found: Any = held.get(plain)
        try:
            return found[int(index)] if index else found
        except (IndexError, TypeError):
            raise Unknown(text("It refers to {attr} of {name}, which it does not have.", attr=attr, name=name)) from None  # fmt: skip

    def _setting(self, value: Mapping[str, Any]) -> Any:
        name = value["$config"]
        found = self.config.get(name, value.get("default"))
        if found is SECRET or value.get("secret"):
            raise Unknown(text("{name} is a secret.", name=name))
        if found is None:
            raise Unknown(text("{name} is not set in {file}.", name=name, file=CONFIG))
        return found

    def _looked_up(self, value: Mapping[str, Any]) -> Any:
        listing = LOOKUPS.get(value["$lookup"])
        if listing is None:
            raise Unknown(text("Nothing reads {function} here.", function=value["$lookup"]))
        args = {key: self.of(each) for key, each in value["args"].items() if key != "most_recent"}
        found = [
            each for each in self.there[listing]
            if all(str(each.get(key)) == str(wanted) for key, wanted in args.items())
        ]  # fmt: skip
        if not found:
            words = ", ".join(f"{key} {wanted}" for key, wanted in sorted(args.items()))
            raise Unknown(text("The target has no such thing any more: {words}.", words=words))
        return OneOf(tuple(each[value["attr"]] for each in found))


LOOKUPS = {
    "openstack.networking.get_network": "networks",
    "openstack.images.get_image": "images",
    "openstack.loadbalancer.get_flavor_v2": "load_balancer_flavors",
}
"""Pulumi function -> the listing that answers it."""
