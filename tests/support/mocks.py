"""Runs one rendered stack under Pulumi's mocks and prints what it registered, as JSON. A program: one stack a process."""

from __future__ import annotations

import json
import os
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime.config import set_all_config

REGISTERED: list[dict[str, Any]] = []


class Mocks(mocks.Mocks):
    """Answers with the inputs; every attribute that a stack may ask for is there."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            name = str(args.inputs["name"])
            outputs = {key: f"{key}-of-{name}" for key in json.loads(os.environ["UPSTREAM"])}
            return name, {"name": name, "outputs": outputs, "secretOutputNames": []}
        REGISTERED.append({"token": args.typ, "name": args.name, "props": args.inputs})
        extra = {
            "allFixedIps": ["192.0.2.1"],
            "address": "192.0.2.9",
            "secretRef": "ref",
            "vipPortId": "port",
            "ipAddress": "192.0.2.8",
        }
        return f"{args.name}-id", {**extra, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        return {**args.args, "id": "found-id", "flavorId": "flavor-id"}


def _stand_in() -> None:
    """A `pulumi_cloudtemple` made of the provider's schema facts: it can be had from no registry here."""
    from toolkit.clouds import cloudtemple_schema

    schema = cloudtemple_schema()
    module = types.ModuleType("pulumi_cloudtemple")

    def resource(name: str, held: dict[str, Any]) -> type:
        known = {prop.get("py", key) for key, prop in held["properties"].items()}

        class Resource(pulumi.CustomResource):
            def __init__(self, resource_name: str, opts: Any = None, **props: Any) -> None:
                unknown = set(props) - known
                if unknown:
                    raise TypeError(f"{name} has no {', '.join(sorted(unknown))}")
                super().__init__(held["token"], resource_name, props, opts)

        Resource.__name__ = name
        return Resource

    def function(token: str) -> Any:
        return lambda **args: pulumi.Output.from_input(types.SimpleNamespace(id="found-id", **args))

    for name, held in schema["resources"].items():
        setattr(module, name, resource(name, dict(held)))
    for name, held in schema["functions"].items():
        setattr(module, f"{name}_output", function(held["token"]))
    sys.modules["pulumi_cloudtemple"] = module


def main(folder: Path, config: dict[str, str]) -> None:
    sys.path.insert(0, str(folder))
    _stand_in()
    set_all_config(config)
    mocks.set_mocks(Mocks(), project=folder.name, stack="main", preview=False)

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")

    program()
    print(
        json.dumps(
            [each for each in REGISTERED if not each["token"].startswith("pulumi:")], default=str
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
