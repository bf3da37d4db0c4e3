"""The stacks of a workspace: what each needs of the others, which settings it reads, where it lies."""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.engines.state import PROJECT_STACK
from toolkit.errors import EngineError
from toolkit.workspace import PLAN, read_plan


@dataclass(frozen=True)
class Stacks:
    """The stacks of a workspace, as its saved plan has them."""

    folder: Path
    plan: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> Stacks:
        """Read plan.json, once for as long as it is the same file. Raises FileError."""
        try:
            seen = (folder / PLAN).stat()
        except OSError:
            return cls(folder, read_plan(folder / PLAN))
        return _stacks(folder, seen.st_ino, seen.st_mtime_ns, seen.st_size)

    @functools.cached_property
    def _by_name(self) -> dict[str, Mapping[str, Any]]:
        return {stack["name"]: stack for stack in self.plan["stacks"]}

    def names(self) -> tuple[str, ...]:
        """Every stack, by name."""
        return tuple(sorted(self._by_name))

    def order(self) -> tuple[str, ...]:
        """Every stack, what it needs before it."""
        graph = graphlib.TopologicalSorter({name: self[name]["needs"] for name in self.names()})
        return tuple(graph.static_order())

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """A stack of plan.json. Raises EngineError for a name that the plan lacks."""
        try:
            return self._by_name[name]
        except KeyError:
            import difflib

            close = difflib.get_close_matches(name, self._by_name, n=1)
            raise EngineError(
                f"the plan has no stack {name!r}",
                f"Did you mean {close[0]}?" if close else f"It has {', '.join(self.names())}.",
            ) from None

    def path(self, name: str) -> Path:
        """The rendered folder. Raises EngineError where it is not there."""
        self[name]
        path = self.folder.resolve() / "stacks" / name
        if not (path / "Pulumi.yaml").is_file() or not (path / "__main__.py").is_file():
            raise EngineError(f"{path} is no rendered stack", "`repatria render` writes it.")
        return path

    @functools.cached_property
    def _home(self) -> dict[str, str]:
        return {resource["name"]: stack["name"] for stack in self.plan["stacks"] for resource in stack["resources"]}  # fmt: skip

    def upstream(self, name: str) -> dict[str, set[str]]:
        """Stacks that it reads from -> the outputs that it requires of them."""
        found: dict[str, set[str]] = {}
        for resource in self[name]["resources"]:
            for held in _marked(resource["props"], "$ref"):
                home = self._home[held["$ref"]]
                if home != name:
                    found.setdefault(home, set()).add(f"{held['$ref']}.{held['attr']}")
        return found

    def settings(self, name: str) -> dict[str, dict[str, Any]]:
        """Configuration that it reads: name -> {required, secret, doc}."""
        found: dict[str, dict[str, Any]] = {}
        for resource in self[name]["resources"]:
            for held in _marked(resource["props"], "$config"):
                secret = bool(held.get("secret"))
                found[held["$config"]] = {
                    "required": secret or "default" not in held, "secret": secret, "doc": held.get("doc", ""),
                }  # fmt: skip
        return found

    def missing(self, name: str) -> tuple[str, ...]:
        """Required configuration that Pulumi.main.yaml does not set; a key without a value sets nothing."""
        required = [key for key, held in self.settings(name).items() if held["required"]]
        if not required:
            return ()
        path = self.path(name) / f"Pulumi.{PROJECT_STACK}.yaml"
        held = yaml_of(path).get("config") or {}
        if not isinstance(held, dict):
            raise EngineError(f"{path}: `config` is not a map", "Compare with what `repatria render` writes elsewhere.")  # fmt: skip
        return tuple(sorted(key for key in required if held.get(f"{name}:{key}") in (None, "")))

    def environment(self, name: str) -> dict[str, str]:
        """The OS_* of a stack's place, for `environment` of the operations. Raises TargetError."""
        from toolkit.config import Place
        from toolkit.engines.openstack import environment, places

        held = self[name]["place"]
        alone = len(places(self.plan["stacks"])) == 1
        return environment(Place(held["project"], held["region"]), alone=alone)

    def about(self, name: str) -> dict[str, tuple[str, str]]:
        """Logical name -> (AWS key, application), for each resource of a stack."""
        application = self._applications
        return {
            resource["name"]: (resource["origin"], application.get(resource["origin"], ""))
            for resource in self[name]["resources"]
        }

    @functools.cached_property
    def _applications(self) -> dict[str, str]:
        return {
            "|".join(item["subject"][part] for part in ("type", "account", "region", "id")): item["application"]
            for item in self.plan["items"]
        }  # fmt: skip


@functools.lru_cache(maxsize=4)
def _stacks(folder: Path, *_: int) -> Stacks:
    """A large plan takes seconds to read, and every operation on a stack needs it."""
    return Stacks(folder, read_plan(folder / PLAN))


def _marked(value: Any, mark: str) -> Iterator[Mapping[str, Any]]:
    """Every `{mark: ...}` inside a property's value."""
    if isinstance(value, dict):
        if mark in value:
            yield value
        for held in value.values():
            yield from _marked(held, mark)
    elif isinstance(value, list):
        for held in value:
            yield from _marked(held, mark)


def yaml_of(path: Path) -> dict[str, Any]:
    """The map in a file, empty where there is none. Raises EngineError for one that cannot be read."""
    import yaml

    try:
        held = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EngineError(f"{path} cannot be read: {error}", "Mend it, or compare with the last commit.") from error  # fmt: skip
    return held if isinstance(held, dict) else {}
