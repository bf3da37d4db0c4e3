"""The user's folder -> stage files: schema, digest, sorted keys, atomic rename; half a file is refused."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import IO, Any

import orjson

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


_PIECE = 2000
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
    for number, line in enumerate(body.splitlines(), start=2):
        try:
            item = orjson.loads(line)
            if item["kind"] == "resource":
                # the same few words on every line are kept once
                resource = Resource(
                    intern(item["type"]), item["id"], item["arn"], intern(item["account"]), intern(item["region"]),
                    item["name"], item["tags"], item["record"],
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
        plan = orjson.loads(data)
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
    if head.get("body") != plan_digest(plan):
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
