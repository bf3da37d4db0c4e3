"""The user's folder -> stage files: schema, digest, sorted keys, atomic rename; half a file is refused."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from toolkit import planfile
from toolkit.errors import FileError, StaleError, ToolkitError
from toolkit.estate.model import Estate, Gap, Resource

SCHEMA = 1
ESTATE, OBSERVED, MEASURES = "estate.jsonl", "observed.jsonl", "measures.jsonl"
NAMES, DECISIONS, PLAN, CONFIG = "names.yaml", "decisions.yaml", "plan.json", "repatria.toml"


def canonical(value: Any) -> bytes:
    """JSON with sorted keys: same value, same bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def pieces(value: Mapping[str, Any]) -> Iterator[bytes]:
    """`canonical` of a map, piece by piece, so that a large plan is never held twice."""
    before = b"{"
    for name in sorted(value):
        yield before + canonical(name) + b":"
        before = b","
        held = value[name]
        if not isinstance(held, list) or len(held) <= _PIECE:
            yield canonical(held)
            continue
        for number in range(0, len(held), _PIECE):
            part = canonical(held[number : number + _PIECE])
            yield (b"," if number else b"[") + part[1:-1]
        yield b"]"
    yield b"}" if value else b"{}"


_PIECE = 200
"""Elements of a list that are written together."""


def digest(*parts: bytes) -> str:
    """sha256 over parts, as `sha256:<hex>`."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return f"sha256:{total.hexdigest()}"


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: a temporary beside it, fsync, rename.

    Without `durable` there is no fsync: a power cut may leave it empty, for who can write it again.
    Raises ToolkitError (with a hint) where the disk is full or the folder may not be written; the
    old file is then still there, untouched.
    """
    handle: int | None = None
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.fchmod(handle, 0o600 if private else 0o644)
        with os.fdopen(handle, "wb") as file:
            handle = None
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = ""
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if handle is not None:
            os.close(handle)
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def replaced(name: str) -> str:
    """Whose temporary a file name is (`replacing` makes it, and only a kill leaves it), or nothing."""
    found = _TEMPORARY.fullmatch(name)
    return found[1] if found else ""


_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}")


def create(path: Path, data: bytes) -> None:
    """Write a file that is not there yet without a temporary, and without an fsync: half the cost of `replacing`.

    For at most a `PAGE` of what can be written again: the kernel copies a page in one go, so that a
    kill leaves the file whole, empty or missing, as a power cut does. Raises ToolkitError as
    `replacing` does, and leaves nothing then.
    """
    try:
        handle = _created(path)
    except FileExistsError:  # a dangling link, or somebody was faster
        with replacing(path, durable=False) as file:
            file.write(data)
        return
    except OSError as error:
        raise write_error(path, error) from error
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            os.fchmod(handle, 0o644)
            while data:
                data = data[file.write(data) :]
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise write_error(path, error) from error


PAGE = 4096
"""Bytes that Linux and macOS write whole or not at all, the smallest page of both."""


def _created(path: Path) -> int:
    try:
        return os.open(path, _NEW, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, _NEW, 0o644)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def write_error(path: Path, error: OSError) -> ToolkitError:
    """What a failed write means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FileError(
            f"no room left on the disk while writing {path}",
            "Free some space and run the same command again; the old file is unharmed.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FileError(
            f"{path} may not be written", "Check who owns the folder, or work on a copy of it."
        )
    return FileError(
        f"{path} could not be written: {error.strerror or error}",
        "Nothing was changed; run the same command again.",
    )


def write(path: Path, data: bytes, *, private: bool = False) -> bool:
    """Write a file whole; False (and no write) where it holds these bytes already."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == data:
            return False
    with replacing(path, private=private) as file:
        file.write(data)
    return True


def write_pieces(path: Path, data: Callable[[], Iterable[bytes]], *, private: bool = False) -> None:
    """Write a file whole from pieces (given twice: to compare, to write); none where it holds them already."""
    with contextlib.suppress(OSError), path.open("rb") as held:
        if all(held.read(len(piece)) == piece for piece in data()) and not held.read(1):
            return
    with replacing(path, private=private) as file:
        for piece in data():
            file.write(piece)


def read(path: Path, made_by: str) -> bytes:
    """A file's bytes. Raises FileError that names the command which makes it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(
            f"there is no {path.name} in {path.parent}", f"`{made_by}` writes it."
        ) from None
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror or error}",
            "Check the path and its permissions.",
        ) from error


def read_optional(path: Path) -> bytes:
    """A file's bytes; none where there is no file. Raises FileError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror or error}",
            "Check the path and its permissions.",
        ) from error


# ------------------------------------------------------------------------------------- estate.jsonl


def write_estate(path: Path, header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> str:
    """Write `estate.jsonl` from lines in any order; returns the digest of its body.

    `lines` are resource and gap lines (`Resource.line()`). The header gets schema, counts and the
    digest of the body, so that a hand-edited or cut-off file is known as such.
    """
    resources: list[tuple[tuple[str, str, str, str], bytes]] = []
    gaps: list[bytes] = []
    for line in lines:
        if line["kind"] == "resource":
            identity = (line["type"], line["account"], line["region"], line["id"])
            resources.append((identity, canonical(line)))
        else:
            gaps.append(canonical(line))
    resources.sort()
    return write_estate_pieces(path, header, lambda: (data for _, data in resources), gaps)


def write_estate_pieces(
    path: Path,
    header: Mapping[str, Any],
    resources: Callable[[], Iterable[bytes]],
    gaps: Iterable[bytes],
) -> str:
    """Write `estate.jsonl` from canonical lines, resources by identity (given twice: to count, to write)."""
    gaps = sorted(gaps)
    body = hashlib.sha256()
    count = 0
    for data in resources():
        body.update(data + b"\n")
        count += 1
    for data in gaps:
        body.update(data + b"\n")
    head = {
        **header,
        "kind": "header",
        "schema": SCHEMA,
        "resources": count,
        "gaps": len(gaps),
        "body": f"sha256:{body.hexdigest()}",
    }
    with replacing(path, private=True) as file:
        file.write(canonical(head) + b"\n")
        for data in resources():
            file.write(data + b"\n")
        for data in gaps:
            file.write(data + b"\n")
    return str(head["body"])


_TEXTS = ("type", "id", "arn", "account", "region", "name")


def _shared(value: Any, words: dict[str, str]) -> Any:
    """The value itself, in which equal texts are one: ids, accounts, regions stand in many records, and take a third of the memory."""
    if type(value) is str:
        return words.setdefault(value, value)
    held = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()  # fmt: skip
    for place, each in held:
        if type(each) in (str, dict, list):
            value[place] = _shared(each, words)
    return value


def read_estate(path: Path) -> Estate:
    """`estate.jsonl` -> Estate.

    Raises FileError: no file, no JSON, a newer schema, a line too few, or a body that was edited
    by hand (its digest does not agree with the header).
    """
    hint = "Run `repatria discover` again; decisions belong in decisions.yaml, not in this file."
    data = read(path, "repatria discover")
    first, _, body = data.partition(b"\n")
    try:
        header = orjson.loads(first)
        kind = header.get("kind")
    except (orjson.JSONDecodeError, AttributeError):
        raise FileError(f"{path} does not start with a header line", hint) from None
    if kind != "header":
        raise FileError(f"{path} does not start with a header line", hint)
    if header.get("schema") != SCHEMA:
        raise FileError(
            f"{path} has schema {header.get('schema')!r}; this version reads {SCHEMA}",
            "Use the version of repatria that wrote it, or run `repatria discover` again.",
        )
    if f"sha256:{hashlib.sha256(body).hexdigest()}" != header.get("body"):
        raise FileError(
            f"{path} is cut off or was edited by hand (its digest does not agree)", hint
        )
    resources: list[Resource] = []
    gaps: list[Gap] = []
    seen: set[str] = set()
    words: dict[str, str] = {}
    for number, line in enumerate(io.BytesIO(body), start=2):  # not all lines at once
        try:
            item = _shared(orjson.loads(line), words)
            if item["kind"] == "resource":
                resource = Resource(
                    item["type"], item["id"], item["arn"], item["account"], item["region"], item["name"], item["tags"], item["record"],
                )  # fmt: skip
                if not all(isinstance(item[n], str) for n in _TEXTS) or not (
                    isinstance(resource.tags, dict) and isinstance(resource.record, dict)
                ):
                    raise FileError(f"{path}:{number}: a member of the wrong kind", hint)
                if resource.key in seen:
                    raise FileError(f"{path}:{number}: {resource.key} stands there twice", hint)
                seen.add(resource.key)
                resources.append(resource)
            elif item["kind"] == "gap":
                gaps.append(
                    Gap(item["service"], item["operation"], item["account"], item["region"],
                        item["reason"], item["detail"], item.get("count"))
                )  # fmt: skip
            else:
                raise FileError(f"{path}:{number}: a line of kind {item['kind']!r}", hint)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise FileError(f"{path}:{number}: not a line of an estate ({error})", hint) from error
    return Estate(header, tuple(resources), tuple(gaps))


# ---------------------------------------------------------------------------------------- plan.json


@dataclass(frozen=True, slots=True)
class Made:
    """What a plan was made from; compared before it is used."""

    estate: str
    decisions: str
    names: str
    catalogue: str


def read_plan(path: Path) -> dict[str, Any]:
    """`plan.json`. Raises FileError: no file, no JSON, a newer schema, or edited by hand."""
    hint = "Run `repatria plan` again; choices belong in decisions.yaml, not in this file."
    data = read(path, "repatria plan")
    try:
        plan = planfile.loads(data)
    except orjson.JSONDecodeError as error:
        raise FileError(f"{path} is no JSON: {error}", hint) from None
    if not isinstance(plan, dict) or plan.get("kind") != "plan":
        raise FileError(f"{path} is not a plan", hint)
    if plan.get("schema") != SCHEMA:
        raise FileError(
            f"{path} has schema {plan.get('schema')!r}; this version reads {SCHEMA}",
            "Use the version of repatria that wrote it, or run `repatria plan` again.",
        )
    head = plan.get("header")
    if not isinstance(head, dict) or not isinstance(head.get("made_from"), dict):
        raise FileError(f"{path} has no header that says what it was made from", hint)
    if not planfile.holds(data, head) and head.get("body") != plan_digest(plan):
        raise FileError(f"{path} was edited by hand (its digest does not agree)", hint)
    return plan


def plan_digest(plan: Mapping[str, Any]) -> str:
    """The digest of everything in a plan but its header."""
    body = {key: value for key, value in plan.items() if key != "header"}
    total = hashlib.sha256(sum(map(len, pieces(body))).to_bytes(8, "big"))
    for piece in pieces(body):
        total.update(piece)
    return f"sha256:{total.hexdigest()}"


def check_fresh(plan: Mapping[str, Any], current: Mapping[str, str]) -> None:
    """Raise StaleError where the plan was made from something else than what is there now."""
    made = plan["header"]["made_from"]
    stale = sorted(name for name, value in current.items() if made.get(name) != value)
    if stale:
        raise StaleError(
            f"plan.json is stale: {', '.join(stale)} changed since",
            "Run `repatria plan` again, then review `repatria diff`.",
        )
