"""Values -> Python source that `ruff format` leaves as it is: flat where it fits, else one item per line."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 88


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression that stands as it is."""

    code: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call: positional arguments, then keyword arguments in order."""

    function: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()


def string(text: str) -> str:
    """A string literal in double quotes, or single ones where that saves escapes, as the formatter has it."""
    quote = "'" if '"' in text and text.count('"') > text.count("'") else '"'
    if quote not in text and "\\" not in text and text.isprintable():
        return f"{quote}{text}{quote}"
    out: list[str] = []
    for char in text:
        if char == "\\":
            out.append("\\\\")
        elif char == quote:
            out.append(f"\\{quote}")
        elif char == "\n":
            out.append("\\n")
        elif char == "\r":
            out.append("\\r")
        elif char == "\t":
            out.append("\\t")
        elif char.isprintable():
            out.append(char)
        elif ord(char) < 256:
            out.append(f"\\x{ord(char):02x}")
        elif ord(char) < 65536:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(f"\\U{ord(char):08x}")
    return f"{quote}{''.join(out)}{quote}"


def flat(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, str):
        return string(value)
    match value:
        case Raw():
            return value.code
        case bool() | None | int() | float():
            return repr(value)
        case Call():
            parts = [
                *(flat(each) for each in value.args),
                *(f"{name}={flat(each)}" for name, each in value.kwargs),
            ]
            return f"{value.function}({', '.join(parts)})"
        case tuple():
            return f"({', '.join(map(flat, value))}{',' if len(value) == 1 else ''})"
        case list():
            return f"[{', '.join(map(flat, value))}]"
        case dict():
            return f"{{{', '.join(f'{flat(k)}: {flat(v)}' for k, v in value.items())}}}"
        case _:
            raise TypeError(f"no Python source for {type(value).__name__}")


def source(value: Any, indent: int = 0, before: int = 0, after: int = 0) -> str:
    """The value as source; `before` and `after` are the characters already on its first and last line."""
    line = flat(value)
    if indent + before + len(line) + after <= WIDTH or not _opens(value):
        return line
    pad, inner = " " * indent, " " * (indent + 4)

    def block(opening: str, items: Iterable[tuple[str, Any]], closing: str) -> str:
        body = "".join(
            f"{inner}{head}{source(each, indent + 4, len(head), 1)},\n" for head, each in items
        )
        return f"{opening}\n{body}{pad}{closing}"

    match value:
        case Call():
            return block(
                f"{value.function}(",
                [*(("", a) for a in value.args), *((f"{n}=", a) for n, a in value.kwargs)],
                ")",
            )
        case tuple():
            return block("(", (("", each) for each in value), ")")
        case list():
            return block("[", (("", each) for each in value), "]")
        case _:
            return block("{", ((f"{flat(k)}: ", v) for k, v in value.items()), "}")


def _opens(value: Any) -> bool:
    return (isinstance(value, (tuple, list, dict)) and len(value) > 0) or (
        isinstance(value, Call) and bool(value.args or value.kwargs)
    )


def assign(name: str, value: Any) -> str:
    """`name = value` at the margin."""
    return f"{name} = {source(value, 0, len(name) + 3)}"


def either(name: str, first: str, second: str) -> list[str]:
    """`name = first or second`, in parentheses where it does not fit on one line."""
    line = f"{name} = {first} or {second}"
    if len(line) <= WIDTH:
        return [line]
    if 4 + len(first) + len(second) + 4 <= WIDTH:
        return [f"{name} = (", f"    {first} or {second}", ")"]
    return [f"{name} = (", f"    {first}", f"    or {second}", ")"]


def comment(text: str, indent: int = 0) -> list[str]:
    """Comment lines; no character of the text can end the comment."""
    room = WIDTH - indent - 2
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    words = text.split()
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [f"{' ' * indent}# {line}" for line in lines]


_RESERVED = {
    "pulumi", "openstack", "ovh", "cloudtemple", "ct", "config", "settings", "lookups", "upstream", "outputs", "stack", "overrides", "name", "list", "dict", "str",
    "int", "float", "bool", "tuple", "set", "type", "id", "object", "print", "input", "open", "min", "max", "sum", "all", "any", "map", "filter", "hash", "format", "vars", "dir", "iter", "next", "range", "len", "zip",
}  # fmt: skip


def identifier(text: str, taken: set[str]) -> str:
    """A safe, unused variable name for a logical name; it is added to `taken`."""
    base = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "thing"
    if base[0].isdigit():
        base = f"n{base}"
    if keyword.iskeyword(base) or keyword.issoftkeyword(base) or base in _RESERVED:
        base = f"{base}_"
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return name


def aligned(rows: Sequence[tuple[Any, ...]]) -> bool:
    """Whether every column of a table holds one kind of literal, so that a type checker follows it."""
    return all(len({type(row[n]) for row in rows}) == 1 for n in range(len(rows[0])))
