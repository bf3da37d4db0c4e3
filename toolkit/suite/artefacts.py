"""`playbooks/artefacts.yml` -> files in a folder of the controller, each checked; what cannot be had does not stop the rest."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from toolkit.errors import ConfigError, ToolkitError
from toolkit.suite.books import playbooks

FILE = "artefacts.yml"
MIRROR = "REPATRIA_MIRROR"
SECONDS = 60
"""Without a byte for so long, a server is taken for gone."""
CHUNK = 1 << 20
PYTHON = ("--python-version", "3.13", "--implementation", "cp", "--abi", "cp313", "--abi", "abi3", "--abi", "none")  # fmt: skip
"""What Debian 13 runs."""
PLATFORMS = ("manylinux_2_41_x86_64", "manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")  # fmt: skip
"""Debian 13 has glibc 2.41; pip wants each tag that may come by its name."""


class UnusableError(ToolkitError):
    """An artefact cannot be had, or is not what it should be."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """An entry of `artefacts.yml`; exactly one of url, maven, requirements, hand is there."""

    name: str
    version: str
    file: str
    licence: str
    what: str
    sha256: str = ""
    url: str = ""
    maven: str = ""
    requirements: str = ""
    hand: str = ""
    files: tuple[str, ...] = ()
    signature: str = ""
    key_url: str = ""
    keys: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Which of the four ways it comes by."""
        return next(each for each in SOURCES if getattr(self, each))


SOURCES = ("url", "maven", "requirements", "hand")
_TEXTS = {"version", "file", "licence", "what", "sha256", "url", "maven", "requirements", "hand", "signature", "key_url"}  # fmt: skip
_LISTS = {"files", "keys"}
_PATTERNS = {
    "file": r"[\w][\w.+-]*",
    "sha256": r"[0-9a-f]{64}",
    "url": r"https://[^\s/]+/\S+",
    "signature": r"https://[^\s/]+/\S+",
    "key_url": r"https://[^\s/]+/\S+",
    "maven": r"[\w.-]+(:[\w.-]+){3}",
    "requirements": r"[\w][\w./-]*\.txt",
}


def folder() -> Path:
    """Where artefacts are kept when nobody says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "repatria" / "artefacts"


def load(path: Path | None = None) -> dict[str, Artefact]:
    """Name -> artefact. Raises ConfigError with all faults of the file."""
    path = path or playbooks() / FILE
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "Its head says what an entry is.") from error  # fmt: skip
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} is no mapping of names to entries", "Its head says what an entry is.")  # fmt: skip
    faults = [f"{name}: {fault}" for name, entry in raw.items() for fault in _faults(entry)]
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}", "Its head says what an entry is.")
    return {name: _artefact(str(name), entry) for name, entry in raw.items()}


def _artefact(name: str, entry: Mapping[str, Any]) -> Artefact:
    values: dict[str, Any] = {key: str(entry[key]) for key in _TEXTS if entry.get(key) is not None}
    values |= {key: tuple(map(str, entry[key])) for key in _LISTS if key in entry}
    return Artefact(name=name, **values)


def _faults(entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "not a mapping"
        return
    for key in sorted({"version", "file", "licence", "what", "sha256"} - set(entry)):
        yield f"{key} is missing"
    for key, value in entry.items():
        if key not in _TEXTS | _LISTS:
            yield f"{key} is unknown"
        elif key in _LISTS:
            if not isinstance(value, list) or not value:
                yield f"{key} is no list"
        elif value is None and key != "sha256":
            yield f"{key} is empty"
        elif value is not None and not re.fullmatch(_PATTERNS.get(key, r"(?s).+"), str(value)):
            yield f"{key} is {value!r}"
    if sum(key in entry for key in SOURCES) != 1:
        yield f"one of {', '.join(SOURCES)} must be there"
    if ("signature" in entry) != ("keys" in entry) or ("signature" in entry) != ("key_url" in entry):  # fmt: skip
        yield "signature, key_url and keys go together"
    if "maven" in entry and entry.get("sha256") is None:
        yield "what comes by Maven has a sha256"
    if ("hand" in entry) != ("files" in entry):
        yield "hand and files go together"


def some(held: Mapping[str, Artefact], names: Collection[str]) -> list[Artefact]:
    """Those that are named; all where none is. Raises ConfigError for a name that is not there."""
    if unknown := sorted(set(names) - set(held)):
        raise ConfigError(f"there is no artefact {', '.join(unknown)}", f"Known: {', '.join(held)}.")  # fmt: skip
    return [each for name, each in held.items() if not names or name in set(names)]


def fetch(
    wanted: Iterable[Artefact], into: Path, *, mirror: str = "", root: Path | None = None, said: Callable[[str], None] = lambda _: None,
) -> list[dict[str, str]]:  # fmt: skip
    """Bring what is not there yet, and check all; one row for each, `state` is `ready` or `missing`.

    What fails does not stop the others; a file that is whole and right is not fetched again.
    """
    into.mkdir(parents=True, exist_ok=True)
    rows = []
    for each in wanted:
        row = state(each, into)
        if row["state"] != "ready":
            if each.source != "hand":
                said(f"{each.name} {each.version}: {_from(each, mirror)}")
            try:
                _bring(each, into, mirror, root or playbooks())
                row = state(each, into)
            except UnusableError as error:
                row |= {"state": "missing", "why": error.message, "hint": error.hint}
        rows.append(row)
    return rows


def check(wanted: Iterable[Artefact], into: Path) -> list[dict[str, str]]:
    """What is there and right, and what is not, without any network."""
    return [state(each, into) for each in wanted]


def state(artefact: Artefact, into: Path) -> dict[str, str]:
    """`ready`, or `missing` with the reason."""
    row = {"name": artefact.name, "version": artefact.version, "file": artefact.file, "licence": artefact.licence, "source": artefact.source, "state": "ready", "why": "", "hint": ""}  # fmt: skip
    try:
        _check(artefact, into)
    except UnusableError as error:
        row |= {"state": "missing", "why": error.message, "hint": error.hint}
    return row


def table(document: Mapping[str, Any]) -> str:
    """The rows as a table, reasons below it."""
    rows = [("name", "version", "from", "state"), *((r["name"], r["version"], r["source"], r["state"]) for r in document["artefacts"])]  # fmt: skip
    width = [max(len(row[n]) for row in rows) for n in range(4)]
    lines = ["  ".join(cell.ljust(width[n]) for n, cell in enumerate(row)).rstrip() for row in rows]
    for row in document["artefacts"]:
        if row["why"]:
            lines += ["", f"{row['name']}: {row['why']}", *([f"  {row['hint']}"] if row["hint"] else [])]  # fmt: skip
    return "\n".join(lines)


def _from(artefact: Artefact, mirror: str) -> str:
    held: str = getattr(artefact, artefact.source)
    return _mirrored(held, mirror) if artefact.source == "url" else held


def _mirrored(url: str, mirror: str) -> str:
    """The same path at the mirror: `https://host/a/b` at `https://mirror/base` is `https://mirror/base/a/b`."""
    if not mirror:
        return url
    base, held = urlsplit(mirror), urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + held.path, held.query, ""))


# --------------------------------------------------------------------------------------------- is it right


def _check(artefact: Artefact, into: Path) -> None:
    path = into / artefact.file
    if artefact.source == "requirements":
        if not any(path.glob("*.whl")):
            raise UnusableError(f"there are no wheels in {path}", "Fetch it.")
        if not (path / LOCK).is_file():
            raise UnusableError(f"{path} was not fetched whole", "Fetch it again.")
        _wheels(path)
        return
    if artefact.source == "hand":
        held = [each.name for each in path.iterdir()] if path.is_dir() else []
        lost = [each for each in artefact.files if not fnmatch.filter(held, each)]
        if lost:
            raise UnusableError(f"{path} has no {', '.join(lost)}", f"{artefact.hand} {path}.")
        return
    if not (artefact.sha256 or artefact.signature):
        raise UnusableError(
            f"no checksum of {artefact.file} is pinned and it has no signature",
            f"Compare it with what its makers say, and write its sha256 into {FILE}.",
        )
    if not path.is_file():
        raise UnusableError(f"{path} is not there", "Fetch it.")
    _verify(artefact, path, into)


def _verify(artefact: Artefact, path: Path, into: Path) -> None:
    if artefact.sha256:
        found = digest(path)
        if found != artefact.sha256:
            raise UnusableError(f"{path} has the checksum {found}, not {artefact.sha256}", "It is damaged, or somebody changed it. Remove it and fetch it again.")  # fmt: skip
    if artefact.signature:
        signed, key = into / f"{artefact.file}.asc", into / f"{artefact.file}.key"
        if not (signed.is_file() and key.is_file()):
            if artefact.sha256:
                return
            raise UnusableError(f"{path} has no signature or key beside it", "Fetch it.")
        _signed(path, signed, key, artefact.keys)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as held:
        return hashlib.file_digest(held, "sha256").hexdigest()


def _signed(path: Path, signature: Path, key: Path, fingerprints: tuple[str, ...]) -> None:
    """Raises UnusableError unless one of the pinned keys made the signature of the file."""
    gpg = shutil.which("gpg")
    if gpg is None:
        raise UnusableError(f"the signature of {path.name} cannot be verified: there is no gpg", "Install gnupg.")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="repatria-gpg-", dir="/tmp") as home_:
        words = [gpg, "--homedir", home_, "--batch", "--no-autostart", "--status-fd", "1"]
        subprocess.run([*words, "--import", str(key)], capture_output=True, check=False)
        said = subprocess.run([*words, "--verify", str(signature), str(path)], capture_output=True, text=True, check=False)  # fmt: skip
    # VALIDSIG: [GNUPG:] VALIDSIG <fingerprint> ... <fingerprint of the primary key>
    valid = [line.split() for line in said.stdout.splitlines() if line.startswith("[GNUPG:] VALIDSIG ")]  # fmt: skip
    by = {word.upper() for words in valid for word in (words[2], words[-1])}
    if said.returncode != 0 or not by & set(fingerprints):
        raise UnusableError(f"{path.name} is not signed by {' or '.join(fingerprints)}", "Do not use it. Ask its makers before a key is added.")  # fmt: skip


# --------------------------------------------------------------------------------------------- bring it


def _bring(artefact: Artefact, into: Path, mirror: str, root: Path) -> None:
    match artefact.source:
        case "url":
            _url(artefact, into, mirror)
        case "maven":
            _maven(artefact, into)
        case "requirements":
            _python(artefact, into, root)
        case _:
            _check(artefact, into)


def _url(artefact: Artefact, into: Path, mirror: str) -> None:
    if not artefact.sha256 and not artefact.signature:
        _check(artefact, into)
        return
    part = into / f"{artefact.file}.part"
    if artefact.signature:
        for url, end in ((artefact.signature, "asc"), (artefact.key_url, "key")):
            beside = into / f"{artefact.file}.{end}"
            beside.unlink(missing_ok=True)
            try:
                download(_mirrored(url, mirror), into / f"{beside.name}.part", mirror)
            except UnusableError:
                if not artefact.sha256:
                    raise
                continue
            (into / f"{beside.name}.part").replace(beside)
    download(_mirrored(artefact.url, mirror), part, mirror)
    try:
        _verify(artefact, part, into) if artefact.sha256 else _signed(part, into / f"{artefact.file}.asc", into / f"{artefact.file}.key", artefact.keys)  # fmt: skip
    except UnusableError:
        part.unlink()  # half a file of another version would be resumed for ever
        raise
    part.replace(into / artefact.file)


def download(url: str, part: Path, mirror: str = "") -> None:
    """A URL into a file; what is there already is its beginning, and is gone on from. Raises UnusableError."""
    hint = f"A mirror that has the same path may stand in: --mirror URL, or {MIRROR}. Or put the file there by hand."
    if mirror:
        hint = "See whether the mirror has it under this path."
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - https, or what the operator says
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310
            goes_on = reply.status == http.HTTPStatus.PARTIAL_CONTENT
            length = reply.headers.get("Content-Length")
            with part.open("ab" if goes_on else "wb") as held:
                before = held.tell()
                shutil.copyfileobj(reply, held, CHUNK)
                got = held.tell() - before
    except urllib.error.HTTPError as error:
        if have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there: its checksum tells
        raise UnusableError(f"{url} answers {error.code}", hint) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnusableError(f"{url} cannot be had: {getattr(error, 'reason', error)}", f"{hint} What has come is kept.") from error  # fmt: skip
    if length is not None and got < int(length):
        raise UnusableError(f"{url} broke off after {got} of {length} bytes", "Run it again: it goes on from there.")  # fmt: skip


def _maven(artefact: Artefact, into: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise UnusableError(f"{artefact.maven} comes by Maven, and there is no mvn", f"Install maven, or put the file there by hand as {into / artefact.file}.")  # fmt: skip
    group, name, version, packaging = artefact.maven.split(":")
    with tempfile.TemporaryDirectory(prefix=".maven-", dir=into) as repository:
        said = subprocess.run(
            [mvn, "-q", "-B", f"-Dmaven.repo.local={repository}", "dependency:get", f"-Dartifact={artefact.maven}", "-Dtransitive=false"],
            capture_output=True, text=True, check=False, cwd=repository,
        )  # fmt: skip
        got = Path(repository, *group.split("."), name, version, f"{name}-{version}.{packaging}")
        if said.returncode != 0 or not got.is_file():
            raise UnusableError(f"mvn did not get {artefact.maven}: {_last(said.stdout + said.stderr)}", "A mirror goes into Maven's own settings.xml.")  # fmt: skip
        _verify(artefact, got, into)
        got.replace(into / artefact.file)


LOCK = "requirements.txt"
"""The lock beside its wheels: written last, and what a host installs by."""


def _python(artefact: Artefact, into: Path, root: Path) -> None:
    lock = root / artefact.requirements
    if not lock.is_file():
        raise UnusableError(f"{lock} is not there", "It is written together with the role.")
    target = into / artefact.file
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=into) as held:
        said = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:",
             *PYTHON, *(word for each in PLATFORMS for word in ("--platform", each)), "--dest", held, "--requirement", str(lock)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if said.returncode != 0:
            raise UnusableError(f"pip did not get what {lock} locks: {_last(said.stderr)}", "A mirror goes into pip's own configuration (PIP_INDEX_URL).")  # fmt: skip
        shutil.copyfile(lock, Path(held, LOCK))
        _wheels(Path(held))
        shutil.rmtree(target, ignore_errors=True)
        Path(held).chmod(0o755)
        Path(held).rename(target)
        Path(held).mkdir()  # for the one who tidies up


def _wheels(path: Path) -> None:
    """Every wheel has a hash of the lock: what somebody added or changed is told."""
    locked = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", (path / LOCK).read_text("utf-8")))
    wrong = sorted(each.name for each in path.glob("*.whl") if digest(each) not in locked)
    if wrong:
        raise UnusableError(f"{path}: {', '.join(wrong)} is not of the lock", "Remove the folder and fetch it again.")  # fmt: skip
    names = {re.sub(r"[-_.]+", "-", each.name.partition("-")[0]).lower() for each in path.glob("*.whl")}  # fmt: skip
    asked = {re.sub(r"[-_.]+", "-", line[1]).lower() for line in re.finditer(r"(?m)^([\w.-]+)(?:\[[\w,-]*\])?==[^;\\\n]*(?=\\?$)", (path / LOCK).read_text("utf-8"))}  # fmt: skip
    if lost := sorted(asked - names):
        raise UnusableError(f"{path}: no wheel of {', '.join(lost)}", "Fetch it again.")


def _last(text: str) -> str:
    """The last line that says something: for a person, never for a decision."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line.upper()] or lines
    with contextlib.suppress(IndexError):
        return errors[0][:300]
    return "it said nothing"
