"""Roles' meta/ -> README.md of the collection and of each role: every variable and every secret is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from toolkit.messages import tell
from toolkit.render.markdown import code, md
from toolkit.suite.layout import wanted

NAME = "README.md"
_MADE = "<!-- Made by `make golden` from meta/ and defaults/; edit those. -->"
_TOKEN = re.compile(r"\b[BCEIOV]\(([^()]*)\)|`([^`]+)`| |[^ `BCEIOV]+|.")
"""Ansible's markup of descriptions (it does not nest), code in backticks, and the text between."""


def readmes(collection: Path) -> dict[str, str]:
    """Path below the folder of the collection -> text, for the collection and each of its roles."""
    roles = sorted(path for path in (collection / "roles").iterdir() if path.is_dir())
    return {NAME: _overview(collection, roles)} | {f"roles/{role.name}/{NAME}": readme(role) for role in roles}  # fmt: skip


def readme(role: Path) -> str:
    """README.md of the role in this folder."""
    specs = _load(role / "meta/argument_specs.yml")["argument_specs"]
    defaults = _load(role / "defaults/main.yml") or {}
    main = specs["main"]
    lines = [f"# {role.name}", "", _MADE, "", *_about(main), *_use(role), "## Variables", ""]
    lines += _variables(main["options"], defaults)
    for name, spec in specs.items():
        if name == "main":
            continue
        lines += [f"## Entry point {code(name)}", "", *_about(spec)]
        lines += ["It takes the variables above.", ""] if spec["options"] == main["options"] else _variables(spec["options"], defaults)  # fmt: skip
    return "\n".join([*lines, *_secrets(role, specs), *_ports(role), *_units(role)]).rstrip() + "\n"


def options(held: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every option and those inside of it, by its path: `edge_sites[].paths[].match`; the outer one first."""
    for name, option in held.items():
        yield before + name, option
        inside = "[]." if option["type"] == "list" else "."
        yield from options(option.get("options") or {}, before + name + inside)


def prose(text: object) -> str:
    """A description as one line of Markdown, harmless in a table too."""
    return "".join(
        " " if found[0] == " " else code(found[1] or found[2] or "") or md(found[0])
        for found in _TOKEN.finditer(" ".join(str(text).split()))
    )


def _overview(collection: Path, roles: list[Path]) -> str:
    galaxy = _load(collection / "galaxy.yml")
    lines = [f"# {galaxy['namespace']}.{galaxy['name']}", "", _MADE, "", prose(galaxy["description"]), ""]  # fmt: skip
    lines += ["| role | what it is |", "|---|---|"]
    for role in roles:
        main = _load(role / "meta/argument_specs.yml")["argument_specs"]["main"]
        lines.append(f"| [{md(role.name)}](roles/{role.name}/{NAME}) | {prose(main['short_description']).rstrip('.')} |")  # fmt: skip
    needs = ", ".join(f"{code(name)} {md(version)}" for name, version in galaxy["dependencies"].items())  # fmt: skip
    return "\n".join([*lines, "", f"Collections that they take: {needs}.", ""])


def _about(spec: Mapping[str, Any]) -> list[str]:
    said = spec.get("description", ())
    paragraph = [said] if isinstance(said, str) else said
    lines = [f"**{prose(spec['short_description']).rstrip('.')}.**", ""]
    return lines + ([" ".join(prose(each) for each in paragraph), ""] if paragraph else [])


def _use(role: Path) -> list[str]:
    held = _load(role / "meta/main.yml")["galaxy_info"]
    systems = ", ".join(f"{each['name']} {'/'.join(each['versions'])}" for each in held["platforms"])  # fmt: skip
    return [
        f"In a play: {code(f'roles: [repatria.suite.{role.name}]')}. {md(systems)}; ansible-core {md(held['min_ansible_version'])} or newer.",
        "",
    ]


def _variables(held: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    lines = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for path, option in options(held):
        value = defaults.get(path, option.get("default"))
        default = "**required**" if option.get("required") else "" if value is None else code(_value(value))  # fmt: skip
        lines.append(f"| {code(path)} | {_type(option)} | {default} | {prose(option['description'])} |")  # fmt: skip
    return [*lines, ""]


def _type(option: Mapping[str, Any]) -> str:
    kind = f"list of {option.get('elements', 'raw')}" if option["type"] == "list" else option["type"]  # fmt: skip
    choices = ", ".join(code(_value(each)) for each in option.get("choices", ()))
    return f"{md(kind)}{': ' if choices else ''}{choices}"


def _value(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _secrets(role: Path, specs: Mapping[str, Any]) -> list[str]:
    """Those that `repatria suite` makes for this role, and what else is not to be logged."""
    path = role / "meta/secrets.yml"
    made = {each["name"]: each for each in (_load(path) if path.is_file() else None) or ()}
    rows = {name: (f"made, {_length(each)}", each["what"]) for name, each in made.items()}
    for spec in specs.values():
        for name, option in options(spec["options"]):
            if option.get("no_log"):
                rows.setdefault(name, ("given", option["description"]))
    if not rows:
        return []
    lines = [
        "## Secrets",
        "",
        "`made`: the role owns it, and the suite makes it once, into the client's vault. `given`: it is the client's, or another role's.",
        "",
        "| secret | from | meaning |",
        "|---|---|---|",
    ]
    return [*lines, *(f"| {code(name)} | {origin} | {prose(what)} |" for name, (origin, what) in rows.items()), ""]  # fmt: skip


def _length(secret: Mapping[str, Any]) -> str:
    unit = "bytes in base64" if secret["kind"] == "base64" else {"hex": "hexadecimal digits", "password": "letters and digits"}[secret["kind"]]  # fmt: skip
    return f"{secret['length']} {unit}"


def _ports(role: Path) -> list[str]:
    """What the suite's firewall opens to others; a cluster of the databases is a role of its own there."""
    lines = []
    for owner, protocol, first, last, source, why in wanted():
        if owner == role.name or (owner.startswith(f"{role.name}_") and not (role.parent / owner).exists()):  # fmt: skip
            number = str(first) if first == last else f"{first}-{last}"
            lines.append(f"| {protocol} {number} | {md(source)} | {md(tell(why))} |")
    if not lines:
        return []
    return [
        "## Ports",
        "",
        "What the suite opens to others than the host itself, with the defaults of above; `baseline` closes all else.",
        "",
        "| port | open to | for |",
        "|---|---|---|",
        *lines,
        "",
    ]


def _units(role: Path) -> list[str]:
    """What each unit may be exposed, as the scenarios of molecule/ hold it."""
    path = role / "meta/exposure.yml"
    if not path.is_file():
        return []
    rows = [
        f"| {code(each['unit'])} | {each['most']} | {prose('Never tried: ' + each['untried'] if 'untried' in each else each.get('why', ''))} |"
        for each in _load(path)
    ]
    return [
        "## Units",
        "",
        "How exposed `systemd-analyze security` may find each: 0 is confined, 10 is not at all; Debian's own units are mostly over 9.",
        "",
        "| unit | at most | why not less |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))
