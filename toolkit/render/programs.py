"""plan.json's stacks -> Pulumi programs that a person would sign: one folder per stack, split by topic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from toolkit.render.python import (
    WIDTH,
    Call,
    Raw,
    aligned,
    assign,
    comment,
    either,
    flat,
    identifier,
    source,
)

PINS = {
    "openstack": ("pulumi==3.259.0", "pulumi-openstack==5.5.1"),
    "ovh": ("pulumi==3.259.0", "pulumi-ovh==2.22.0"),
    "cloudtemple": ("pulumi==3.259.0",),
}
TABLE_FROM = 4
"""So many like resources become a table and a loop."""
_MADE = (
    "Made by repatria from the plan; made again on every render. Changes belong into overrides.py."
)


def render_stacks(plan: Mapping[str, Any]) -> Iterator[tuple[str, bytes, str]]:
    """(path, content, "generated" or "once") of every file of every stack."""
    origins = {
        "|".join(str(item["subject"][part]) for part in ("type", "account", "region", "id")): item[
            "subject"
        ]
        for item in plan["items"]
    }
    where = {
        resource["name"]: stack["name"]
        for stack in plan["stacks"]
        for resource in stack["resources"]
    }
    exported: dict[str, set[tuple[str, str]]] = {}
    for stack in plan["stacks"]:
        for name, attr in _foreign(stack, where):
            exported.setdefault(where[name], set()).add((name, attr))
    for stack in plan["stacks"]:
        program = _Program(stack, where, origins, sorted(exported.get(stack["name"], ())))
        root = f"stacks/{stack['name']}"
        for name, content, kind in program.files(plan):
            yield f"{root}/{name}", content.encode(), kind


def _refs(value: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[tuple[str, str]]) -> None:
    if isinstance(value, dict):
        if "$ref" in value:
            found.append((value["$ref"], value["attr"]))
            return
        value = value.values()
    elif not isinstance(value, list):
        return
    for held in value:
        if isinstance(held, (dict, list)):
            _gather(held, found)


def _foreign(stack: Mapping[str, Any], where: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for resource in stack["resources"]:
        for name, attr in _refs(resource["props"]):
            if where[name] != stack["name"]:
                yield name, attr


@dataclass
class _Program:
    stack: Mapping[str, Any]
    where: Mapping[str, str]
    origins: Mapping[str, Mapping[str, Any]]
    exported: list[tuple[str, str]]
    names: dict[str, str] = field(default_factory=dict)
    module_of: dict[str, str] = field(default_factory=dict)
    settings: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    lookups: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    upstream: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken: set[str] = set()
        for resource in self.stack["resources"]:
            self.names[resource["name"]] = identifier(resource["name"], taken)
        self.taken = taken
        refs = [_refs(r["props"]) for r in self.stack["resources"]]
        self.referenced = (
            {name for found in refs for name, _ in found}
            | {name for r in self.stack["resources"] for name in r.get("depends_on", [])}
            | {name for name, _ in self.exported}
        )
        topics: nx.DiGraph[str] = nx.DiGraph()
        topic = {r["name"]: r["topic"] for r in self.stack["resources"]}
        for resource, found in zip(self.stack["resources"], refs, strict=True):
            topics.add_node(resource["topic"])
            for name in (
                *(n for n, _ in found),
                *resource.get("depends_on", []),
            ):
                if name in topic and topic[name] != resource["topic"]:
                    topics.add_edge(resource["topic"], topic[name])
        for part in nx.strongly_connected_components(topics):
            joint = min(part)
            for name in part:
                self.module_of[name] = joint

    # ------------------------------------------------------------------------------------- files

    def files(self, plan: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        package = self.stack["package"]
        modules: dict[str, list[Mapping[str, Any]]] = {}
        for resource in self.stack["resources"]:
            modules.setdefault(self.module_of[resource["topic"]], []).append(resource)
        rendered = {
            name: self._module(name, resources) for name, resources in sorted(modules.items())
        }
        for name, content in rendered.items():
            yield f"{name}.py", content, "generated"
        if self.settings:
            yield "settings.py", self._settings(), "generated"
        if self.lookups:
            yield "lookups.py", self._lookups(), "generated"
        if self.upstream:
            yield "upstream.py", self._upstream(), "generated"
        yield "outputs.py", self._outputs(), "generated"
        yield "stack.py", self._stack(sorted(rendered)), "generated"
        yield "__main__.py", _MAIN, "once"
        yield "overrides.py", _OVERRIDES, "once"
        yield "ruff.toml", _RUFF, "generated"
        yield "requirements.txt", "".join(f"{pin}\n" for pin in PINS[package]), "generated"
        yield "Pulumi.yaml", self._project(), "generated"
        yield "Pulumi.main.yaml", self._config(), "once"
        yield "README.md", self._readme(plan), "generated"
        for path, content in sorted(self.stack.get("attachments", {}).items()):
            yield path, content, "generated"

    def _project(self) -> str:
        lines = [
            f"name: {self.stack['name']}",
            "runtime:",
            "  name: python",
            "  options:",
            "    virtualenv: .venv",
            f"description: {json.dumps(self._title())}",
        ]
        if self.stack["package"] == "cloudtemple":
            lines += [
                "packages:",
                "  cloudtemple:",
                "    source: terraform-provider",
                "    parameters: [Cloud-Temple/cloudtemple, 1.10.0]",
            ]
        return "\n".join(lines) + "\n"

    def _title(self) -> str:
        said = {
            "network": "network, groups and addresses",
            "data": "volumes, buckets, databases and secrets",
            "servers": "servers",
            "entry": "load balancers and bound addresses",
            "dns": "zones and records",
        }
        return f"{self.stack['group']}: {said[self.stack['tier']]}"

    def _config(self) -> str:
        lines = [
            "# Values of this stack; yours. Secrets are set with `pulumi config set --secret`.",
            "config:",
        ]
        body = []
        for name, (_, held) in sorted(self.settings.items()):
            key = f"{self.stack['name']}:{name}"
            if held.get("secret"):
                body += [
                    f"  # {_one_line(held['doc'])}",
                    f"  # pulumi config set --secret {name} ...",
                ]
            elif "default" in held:
                body += [f"  # {_one_line(held['doc'])}", f"  {key}: {json.dumps(held['default'])}"]
            else:
                body += [f"  # {_one_line(held['doc'])} Required.", f"  # {key}: ..."]
        values = any(not line.lstrip().startswith("#") for line in body)
        if not values:
            lines[-1] = "config: {}"
        return "\n".join([*lines, *body]) + "\n"

    def _readme(self, plan: Mapping[str, Any]) -> str:
        needs = self.stack["needs"]
        target = plan["header"]["target"]
        place = self.stack["place"]
        count = len(self.stack["resources"])
        lines = [
            f"# {self.stack['name']}", "",
            f"{self._title()}. {count} resources for {target['product']}, project `{place['project'] or '?'}`, region `{place['region'] or '?'}`.", "",
            f"Apply first: {', '.join(f'`{need}`' for need in needs)}." if needs else "It needs no other stack.", "",
            "    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
            *(["    pulumi package add terraform-provider Cloud-Temple/cloudtemple 1.10.0"] if self.stack["package"] == "cloudtemple" else []),
            "    pulumi stack init main",
            "    pulumi preview --stack main",
            "    pulumi up --stack main", "",
            "| file | whose |", "|---|---|",
            "| `overrides.py`, `__main__.py`, `Pulumi.main.yaml` | yours: written once, never touched again |",
            "| everything else | made again by `repatria render` |", "",
        ]  # fmt: skip
        required = sorted(
            name for name, (_, held) in self.settings.items() if "default" not in held
        )
        if required:
            lines += [
                "Set before the first preview:",
                "",
                *(f"- `{name}`: {_one_line(self.settings[name][1]['doc'])}" for name in required),
                "",
            ]
        return "\n".join(lines)

    # ----------------------------------------------------------------------------------- modules

    def _module(self, module: str, resources: list[Mapping[str, Any]]) -> str:
        package = self.stack["package"]
        body: list[str] = []
        tables: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for resource in resources:
            if resource["name"] not in self.referenced:
                tables.setdefault(self._shape(resource), []).append(resource)
        looped = {
            r["name"]: key
            for key, group in tables.items()
            if len(group) >= TABLE_FROM
            for r in group
        }
        used: set[str] = set()
        self._used: dict[str, set[str]] = {}
        for resource in resources:
            key = looped.get(resource["name"])
            if key is None:
                body += ["", *self._one(resource, module)]
            elif resource is tables[key][-1]:  # all that its rows refer to stands above
                table = self._table(tables[key])
                if table is not None:
                    body += ["", *table]
                else:
                    for each in tables[key]:
                        body += ["", *self._one(each, module)]
        used |= set(self._used)
        lines = [f'"""{_docstring(self._heading(module))}"""', "", f"# {_MADE}", ""]
        imports = [_IMPORT[package]]
        if any("pulumi." in line for line in body):
            imports.insert(0, "import pulumi")
        if package == "ovh":
            imports = sorted(imports)
        lines += imports
        local = [
            f"from {name} import {', '.join(sorted(self._used[name]))}"
            for name in sorted(used)
            if self._used[name] and name != module
        ]
        local = [self._import(line) for line in local]
        if local:
            lines += ["", *local] if package else local
        return "\n".join([*lines, *body]) + "\n"

    def _import(self, line: str) -> str:
        if len(line) <= 88:
            return line
        head, names = line.split(" import ", 1)
        return f"{head} import (\n" + "".join(f"    {name},\n" for name in names.split(", ")) + ")"

    def _heading(self, module: str) -> str:
        return f"{module.replace('_', ' ').capitalize()} of {self.stack['group']}."

    def _shape(self, resource: Mapping[str, Any]) -> tuple[Any, ...]:
        return (
            resource["type"], resource["origin"], tuple(resource["props"]), bool(resource.get("protect")), tuple(resource.get("depends_on", [])),
            tuple(resource.get("ignore_changes", [])), resource.get("comment", ""),
        )  # fmt: skip

    def _said(self, resource: Mapping[str, Any]) -> str:
        subject = self.origins.get(resource["origin"])
        if subject is None:
            return str(resource.get("comment", ""))
        account = (
            f"{subject['account'][:4]}-{subject['account'][4:8]}-{subject['account'][8:]}"
            if len(subject["account"]) == 12
            else subject["account"]
        )
        name = f" {flat(subject['name'])}" if subject["name"] != subject["id"] else ""
        said = f"From {subject['type']}{name} in {subject['region']} (account {account})."
        return f"{said} {resource['comment']}" if resource.get("comment") else said

    def _options(self, resource: Mapping[str, Any], module: str) -> list[tuple[str, Any]]:
        options: list[tuple[str, Any]] = []
        if resource.get("protect"):
            options.append(("protect", True))
        if resource.get("depends_on"):
            options.append(
                (
                    "depends_on",
                    [
                        Raw(self._variable(name, module))
                        for name in resource["depends_on"]
                        if self.where[name] == self.stack["name"]
                    ],
                )
            )
        if resource.get("ignore_changes"):
            options.append(("ignore_changes", list(resource["ignore_changes"])))
        if resource.get("delete_before_replace"):
            options.append(("delete_before_replace", True))
        return [("opts", Call("pulumi.ResourceOptions", (), tuple(options)))] if options else []

    def _one(self, resource: Mapping[str, Any], module: str) -> list[str]:
        kwargs = [
            (name, self._value(held, module)) for name, held in _name_first(resource["props"])
        ]
        call = Call(
            _class(resource["type"]),
            (resource["name"],),
            (*kwargs, *self._options(resource, module)),
        )
        lines = comment(self._said(resource))
        if resource["name"] in self.referenced:
            return [*lines, assign(self.names[resource["name"]], call)]
        return [*lines, source(call)]

    def _table(self, group: list[Mapping[str, Any]]) -> list[str] | None:
        """A table and a loop, or None where the rows differ in more than literals and references."""
        first = group[0]
        module = self.module_of[first["topic"]]
        names = [r["name"] for r in group]
        columns: dict[tuple[str, ...], str] = {}
        cells: list[list[Any]] = []
        kwargs: list[tuple[str, Any]] = []
        one_port = all(
            r["props"].get("port_range_min") == r["props"].get("port_range_max") for r in group
        )
        for name, _ in _name_first(first["props"]):
            values = [self._value(r["props"][name], module) for r in group]
            label = "port" if one_port and name.startswith("port_range_") else name
            body = _common(values, label, names, columns, cells)
            if body is None:
                return None
            kwargs.append((name, body))
        rows = [tuple(row) for row in zip(names, *cells, strict=True)]
        if not aligned(rows):
            return None
        variables = ["name", *columns.values()]
        head = f"for {', '.join(variables)} in ("
        heads = (
            [head]
            if len(head) <= WIDTH
            else ["for (", *(f"    {each}," for each in variables), ") in ("]
        )
        lines = comment(self._said(first))
        lines += heads
        lines += [f"    {source(row if columns else row[0], 4, 0, 1)}," for row in rows]
        lines.append("):")
        call = Call(_class(first["type"]), (Raw("name"),), (*kwargs, *self._options(first, module)))
        lines.append(f"    {source(call, 4)}")
        return lines

    # ------------------------------------------------------------------------------------ values

    def _value(self, held: Any, module: str) -> Any:
        if isinstance(held, dict):
            if "$ref" in held:
                return self._reference(held, module)
            if "$config" in held:
                return Raw(self._setting(held))
            if "$lookup" in held:
                return Raw(f"{self._lookup(held)}.{held['attr']}")
            if "$concat" in held:
                self._used.setdefault("", set())
                return Call(
                    "pulumi.Output.concat",
                    tuple(self._value(part, module) for part in held["$concat"]),
                )
            return {name: self._value(each, module) for name, each in held.items()}
        if isinstance(held, list):
            return [self._value(each, module) for each in held]
        return held

    def _use(self, module: str, name: str) -> str:
        self._used.setdefault(module, set()).add(name)
        return name

    def _variable(self, name: str, module: str) -> str:
        home = self.module_of[next(r["topic"] for r in self._by_name(name))]
        return self.names[name] if home == module else self._use(home, self.names[name])

    def _by_name(self, name: str) -> Iterator[Mapping[str, Any]]:
        if not hasattr(self, "_index"):
            self._index = {r["name"]: r for r in self.stack["resources"]}
        yield self._index[name]

    def _reference(self, held: Mapping[str, Any], module: str) -> Raw:
        name, attr = held["$ref"], held["attr"]
        if self.where[name] == self.stack["name"]:
            return Raw(f"{self._variable(name, module)}.{attr}")
        key = (name, attr)
        if key not in self.upstream:
            self.upstream[key] = identifier(f"{name}-{attr}", self.taken)
        return Raw(self._use("upstream", self.upstream[key]))

    def _setting(self, held: Mapping[str, Any]) -> str:
        name = held["$config"]
        if name not in self.settings:
            self.settings[name] = (identifier(name, self.taken), held)
        return self._use("settings", self.settings[name][0])

    def _lookup(self, held: Mapping[str, Any]) -> str:
        key = json.dumps([held["$lookup"], held["args"]], sort_keys=True)
        if key not in self.lookups:
            said = (
                next(
                    (
                        str(v.get("$config", ""))
                        for v in held["args"].values()
                        if isinstance(v, dict) and "$config" in v
                    ),
                    "",
                )
                or held["$lookup"].rsplit(".", 1)[-1]
            )
            self.lookups[key] = (
                identifier(said if said not in self.settings else f"{said}-found", self.taken),
                held,
            )
            for each in held["args"].values():
                if (
                    isinstance(each, dict)
                    and "$config" in each
                    and each["$config"] not in self.settings
                ):
                    self.settings[each["$config"]] = (
                        identifier(f"{each['$config']}-name", self.taken),
                        each,
                    )
        return self._use("lookups", self.lookups[key][0])

    # -------------------------------------------------------------------------- supporting modules

    def _settings(self) -> str:
        lines = [
            f'"""What the operator sets for {_docstring(self.stack["name"])}, in Pulumi.main.yaml."""',
            "",
            f"# {_MADE}",
            "",
            "import pulumi",
            "",
            "config = pulumi.Config()",
        ]
        for name, (variable, held) in sorted(self.settings.items()):
            lines += ["", *comment(held["doc"])] if held.get("doc") else [""]
            if held.get("secret"):
                lines.append(assign(variable, Call("config.require_secret", (name,))))
            elif "default" not in held:
                lines.append(assign(variable, Call("config.require", (name,))))
            elif isinstance(held["default"], int):
                lines.append(assign(variable, Call("config.get_int", (name, held["default"]))))
            else:
                lines += either(variable, f"config.get({flat(name)})", flat(held["default"]))
        return "\n".join(lines) + "\n"

    def _lookups(self) -> str:
        self._used = {}
        lines = [
            f'"""What exists at the target already and {_docstring(self.stack["name"])} builds on."""',
            "",
            f"# {_MADE}",
            "",
            _IMPORT[self.stack["package"]],
        ]
        body = []
        for variable, held in sorted(self.lookups.values(), key=lambda pair: pair[0]):
            args = tuple(
                (name, self._value(each, "lookups")) for name, each in held["args"].items()
            )
            body.append(assign(variable, Call(f"{_class(held['$lookup'])}_output", (), args)))
        names = sorted(self._used.get("settings", ()))
        if names:
            lines += ["", self._import(f"from settings import {', '.join(names)}")]
        return "\n".join([*lines, "", *body]) + "\n"

    def _upstream(self) -> str:
        lines = [
            f'"""What other stacks made and {_docstring(self.stack["name"])} uses."""',
            "",
            f"# {_MADE}",
            "",
            "import pulumi",
            "",
            "config = pulumi.Config()",
        ]
        by_stack: dict[str, list[tuple[str, str, str]]] = {}
        for (name, attr), variable in self.upstream.items():
            by_stack.setdefault(self.where[name], []).append((variable, name, attr))
        for stack, uses in sorted(by_stack.items()):
            holder = identifier(f"{stack}-stack", self.taken)
            place = f"{holder}_name"
            lines += [
                "",
                *either(
                    place,
                    f"config.get({flat(f'stack-{stack}')})",
                    flat(f"organization/{stack}/main"),
                ),
            ]
            lines.append(assign(holder, Call("pulumi.StackReference", (Raw(place),))))
            for variable, name, attr in sorted(uses):
                lines.append(
                    assign(variable, Call(f"{holder}.require_output", (f"{name}.{attr}",)))
                )
        return "\n".join(lines) + "\n"

    def _outputs(self) -> str:
        lines = [
            f'"""What other stacks and people need of {_docstring(self.stack["name"])}."""',
            "",
            f"# {_MADE}",
            "",
        ]
        if not self.exported:
            return "\n".join(lines).rstrip("\n") + "\n"
        self._used = {}
        body = [
            source(
                Call(
                    "pulumi.export",
                    (f"{name}.{attr}", Raw(f"{self._variable(name, 'outputs')}.{attr}")),
                )
            )
            for name, attr in self.exported
        ]
        local = [
            self._import(f"from {module} import {', '.join(sorted(names))}")
            for module, names in sorted(self._used.items())
        ]
        return "\n".join([*lines, "import pulumi", "", *local, "", *body]) + "\n"

    def _stack(self, modules: list[str]) -> str:
        names = ["outputs", *modules]
        lines = [
            f'"""Everything of {_docstring(self.stack["name"])}: importing it makes it."""',
            "",
            f"# {_MADE}",
            "",
        ]
        lines += [f"import {name}" for name in sorted(names)]
        return "\n".join([*lines, "", assign("__all__", sorted(names))]) + "\n"


_IMPORT = {
    "openstack": "import pulumi_openstack as openstack",
    "ovh": "import pulumi_ovh as ovh",
    "cloudtemple": "import pulumi_cloudtemple as cloudtemple",
}
_RUFF = """# How the generated modules are laid out; `ruff check` and `ruff format` agree with them.
line-length = 88

[lint]
select = ["B", "C4", "E", "F", "I", "SIM", "UP"]
ignore = ["E501"] # long strings are values
"""
_MAIN = '''"""The program. Written once and yours: repatria never touches it again."""

import importlib

import overrides

overrides.register()
importlib.import_module("stack")
overrides.after()
'''
_OVERRIDES = '''"""Your changes to what the plan says. Written once and yours: repatria never touches it again."""

from __future__ import annotations

from typing import Any

import pulumi


def adjust(kind: str, name: str, props: dict[str, Any]) -> dict[str, Any]:
    """Change the properties of a resource before it is made.

    For example: `if name == "shop-db-1": props["flavorName"] = "b3-16"`.
    """
    return props


def after() -> None:
    """Make more resources, once everything of the plan is declared."""


def register() -> None:
    """Send every resource through `adjust`."""
    pulumi.runtime.register_stack_transformation(_transform)


def _transform(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    if args.type_.startswith("pulumi:"):
        return None
    props = adjust(args.type_, args.name, dict(args.props))
    return pulumi.ResourceTransformationResult(props, args.opts)
'''


def _name_first(props: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Properties by name, the cloud name before all others."""
    return sorted(props.items(), key=lambda pair: (pair[0] != "name", pair[0]))


def _common(
    values: list[Any],
    label: str,
    names: list[str],
    columns: dict[tuple[str, ...], str],
    cells: list[list[Any]],
) -> Any:
    """What values of many resources have in common, with a variable of the loop where they differ.

    `columns` maps the cells of a column to its variable, so that equal columns share one. None
    where they differ in their shape.
    """
    first = values[0]
    if all(flat(each) == flat(first) for each in values):
        return first
    if all(isinstance(each, dict) and list(each) == list(first) for each in values):
        found = {
            key: _common([each[key] for each in values], str(key), names, columns, cells)
            for key in first
        }
        return None if None in found.values() else found
    if all(isinstance(each, list) and len(each) == len(first) for each in values):
        held = [
            _common([each[n] for each in values], label, names, columns, cells)
            for n in range(len(first))
        ]
        return None if None in held else held
    if not all(isinstance(each, (str, int, Raw)) for each in values):
        return None
    if all(isinstance(each, str) for each in values) and (around := _around(values, names)):
        return around
    key = tuple(map(flat, values))
    if key not in columns:
        columns[key] = identifier(label, {"name", *columns.values()})
        cells.append(values)
    return Raw(columns[key])


def _around(values: list[str], names: list[str]) -> Raw | None:
    """`f"...{name}..."` where each text is its resource's name with the same words around it."""
    before, found, after = values[0].partition(names[0])
    plain = f"{before}{after}"
    if not found or not plain.isprintable() or any(char in plain for char in "{}\\\"'"):
        return None
    if any(value != f"{before}{name}{after}" for value, name in zip(values, names, strict=True)):
        return None
    return Raw(f'f"{before}{{name}}{after}"' if plain else "name")


def _class(type_: str) -> str:
    return type_


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")


def _one_line(text: str) -> str:
    return " ".join(text.split())
