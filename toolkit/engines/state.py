"""A workspace -> where Pulumi keeps its state and how it is opened; no service of anybody's is asked.

The layout under the backend (`.pulumi/stacks/PROJECT/STACK.json`, `.pulumi/locks/organization/PROJECT/STACK/*.json`)
is that of Pulumi's own do-it-yourself backends, version 1 (pulumi/pkg v3.259.0, `backend/diy`).
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import gzip
import hashlib
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from toolkit import config
from toolkit.errors import EngineError

PROJECT_STACK = "main"
"""Every rendered folder has one stack of this name."""
HOME = Path(".repatria") / "state"
_PASSPHRASE, _FILE = "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"
_asked: dict[Path, str] = {}
"""Passphrases that were typed in this process, by workspace."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds a stack. `path` is the lock's place in the backend; `time` is aware."""

    who: str
    host: str
    pid: int
    time: datetime.datetime
    path: str

    @property
    def holder(self) -> str:
        """`alive`, `dead` (it ran on this host and is gone for sure) or `elsewhere` (cannot be seen from here).

        Dead: the host booted after the lock was taken, there is no such process, or the process of
        that number started after it.
        """
        if self.host != socket.gethostname():
            return "elsewhere"
        try:
            boot = int(re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)[1])  # type: ignore[index]
        except (OSError, TypeError):
            boot = 0
        taken = self.time.timestamp()
        if boot > taken + 1:
            return "dead"
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return "alive" if _exists(self.pid) else "dead"
        ticks = os.sysconf("SC_CLK_TCK")
        started = boot + int(fields[19]) / ticks
        if fields[0] in "ZX" or started > taken + 2:
            return "dead"
        return "alive"

    def json(self) -> dict[str, Any]:
        """As commands answer it."""
        return {
            "who": self.who, "host": self.host, "pid": self.pid, "time": self.time.isoformat(timespec="seconds"),
            "holder": self.holder,
        }  # fmt: skip


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass(frozen=True, slots=True)
class State:
    """The state of a workspace. `url` is what Pulumi calls the backend."""

    folder: Path
    url: str
    passphrase_file: Path | None = None
    ours: bool = field(default=True)
    """It lies in the workspace, rather than where `[state] backend` says."""

    def environment(self, *, ask: bool = True) -> dict[str, str]:
        """What the engine needs in its environment to open the state. Raises EngineError without a passphrase."""
        if self.url.startswith("file://"):
            place = Path(unquote(urlsplit(self.url).path))
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {"PULUMI_BACKEND_URL": self.url, **self.passphrase(ask=ask)}

    def passphrase(self, *, ask: bool = True) -> dict[str, str]:
        """The variable that holds the passphrase or names its file, from the environment, repatria.toml or a prompt.

        Raises EngineError: a file that cannot be read, or nobody to ask.
        """
        held = os.environ.get(_FILE, "")
        file = Path(held) if held else None
        if file is None and os.environ.get(_PASSPHRASE):
            return {_PASSPHRASE: os.environ[_PASSPHRASE]}
        file = file or self.passphrase_file
        if file is not None:
            try:
                if not file.read_text("utf-8").strip():
                    raise EngineError(
                        f"the passphrase file {file} is empty",
                        "Put the passphrase into it, one line.",
                    )
            except (OSError, UnicodeDecodeError) as error:
                raise EngineError(
                    f"the passphrase file {file} cannot be read: {getattr(error, 'strerror', None) or error}",
                    f"It is named by {_FILE} or by [state] passphrase_file in repatria.toml.",
                ) from error
            return {_FILE: str(file.resolve())}
        key = self.folder.resolve()
        if key in _asked:
            return {_PASSPHRASE: _asked[key]}
        if ask and sys.stdin.isatty():
            import click

            _asked[key] = click.prompt(
                "Passphrase of the state", hide_input=True, err=True,
                confirmation_prompt=not any(self.stacks()),
            )  # fmt: skip
            return {_PASSPHRASE: _asked[key]}
        raise EngineError(
            "no passphrase: Pulumi encrypts the secrets of its state with one",
            f"Make one, `(umask 077; openssl rand -base64 33 > {self.folder / '.repatria' / 'passphrase'})`, name the file in repatria.toml "
            f'([state] passphrase_file = ".repatria/passphrase") or in {_FILE}, and keep a copy elsewhere: without it the state cannot be opened.',
        )

    def opens(self, salt: str) -> bool:
        """Whether the passphrase is the one that a stack's salt was made with.

        `salt` is `v1:SALT:v1:NONCE:TEXT`, as Pulumi keeps it: the word `pulumi` by AES-256-GCM under PBKDF2-HMAC-SHA256 of a
        million rounds (pulumi/sdk, `config/crypt.go`). About half a second.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        held = self.passphrase(ask=False)
        phrase = held.get(_PASSPHRASE) or Path(held[_FILE]).read_text("utf-8").strip()
        try:
            _, grain, _, nonce, text = salt.split(":")
            key = hashlib.pbkdf2_hmac("sha256", phrase.encode(), base64.b64decode(grain), 1_000_000)
            return (
                AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(text), None)
                == b"pulumi"
            )
        except (ValueError, InvalidTag):
            return False

    def stacks(self) -> Iterator[str]:
        """Projects that have a state, which are the names of rendered stacks."""
        for path in self._store().list(".pulumi/stacks/"):
            found = re.fullmatch(rf"\.pulumi/stacks/([^/]+)/{PROJECT_STACK}\.json(\.gz)?", path)
            if found:
                yield found[1]

    def checkpoint(self, stack: str) -> dict[str, Any] | None:
        """The deployment of a stack as the backend holds it (secrets stay encrypted); None where there is none.

        Raises EngineError where it is no checkpoint that this version can read.
        """
        store = self._store()
        data = store.read(f".pulumi/stacks/{stack}/{PROJECT_STACK}.json")
        if data is None:
            packed = store.read(f".pulumi/stacks/{stack}/{PROJECT_STACK}.json.gz")
            if packed is None:
                return None
            data = gzip.decompress(packed)
        try:
            latest = orjson.loads(data)["checkpoint"].get("latest")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(
                f"the state of {stack} is damaged ({error})",
                f"Backups are beside it, in .pulumi/backups of {self.url}; `repatria state export` tells whether the engine can read it.",
            ) from error
        return latest if isinstance(latest, dict) else {}

    def outputs(self, stack: str) -> dict[str, Any] | None:
        """Names and raw values of a stack's outputs, secrets encrypted; None where it was never applied."""
        held = self.checkpoint(stack)
        if held is None:
            return None
        for resource in held.get("resources") or ():
            if resource.get("type") == "pulumi:pulumi:Stack":
                return dict(resource.get("outputs") or {})
        return None

    def lock(self, stack: str) -> Lock | None:
        """Who holds a stack now, or None. Of several locks the oldest."""
        store = self._store()
        found = []
        for path in store.list(f".pulumi/locks/organization/{stack}/{PROJECT_STACK}/"):
            data = store.read(path)
            if data is None:
                continue
            try:
                held = orjson.loads(data)
                found.append(
                    Lock(held["username"], held["hostname"], int(held["pid"]), _time(held["timestamp"]), path)
                )  # fmt: skip
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                found.append(Lock("?", "?", 0, datetime.datetime.now(datetime.UTC), path))
        return min(found, key=lambda lock: lock.time, default=None)

    def _store(self) -> _Files | _Objects:
        parts = urlsplit(self.url)
        if parts.scheme == "file":
            return _Files(Path(unquote(parts.path)))
        return _Objects(parts.netloc, parts.path.strip("/"), parse_qs(parts.query))


def state_of(folder: Path) -> State:
    """Where a workspace's state is. Raises ConfigError."""
    held = config.load(folder)
    if held.state_backend:
        return State(folder, held.state_backend, held.state_passphrase_file, ours=False)
    return State(folder, (folder / HOME).resolve().as_uri(), held.state_passphrase_file)


def _time(text: str) -> datetime.datetime:
    """RFC 3339 with Go's nanoseconds."""
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


@dataclass(frozen=True, slots=True)
class _Files:
    root: Path

    def list(self, prefix: str) -> list[str]:
        base = self.root / prefix
        return sorted(
            str(path.relative_to(self.root))
            for path in base.rglob("*.json*")
            if path.is_file() and not path.name.endswith((".bak", ".attrs"))
        )

    def read(self, path: str) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.root / path).read_bytes()
        return None


@dataclass(frozen=True, slots=True)
class _Objects:
    bucket: str
    prefix: str
    query: Mapping[str, list[str]]

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        def said(*names: str) -> str:
            return next((self.query[name][0] for name in names if name in self.query), "")

        endpoint = said("endpoint")
        if endpoint and "://" not in endpoint:
            endpoint = f"{'http' if said('disableSSL', 'disable_https') == 'true' else 'https'}://{endpoint}"
        session = boto3.session.Session(
            profile_name=said("profile") or None, region_name=said("region") or None
        )
        path_style = said("s3ForcePathStyle", "use_path_style") == "true"
        return session.client(
            "s3", endpoint_url=endpoint or None,
            config=Config(
                s3={"addressing_style": "path" if path_style else "auto"},
                request_checksum_calculation="when_required", response_checksum_validation="when_required",
            ),
        )  # fmt: skip

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def list(self, prefix: str) -> list[str]:
        strip = len(self.prefix) + 1 if self.prefix else 0
        with _told(self.bucket):
            pages = self._client().get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(prefix)
            )  # fmt: skip
            return sorted(
                each["Key"][strip:]
                for page in pages
                for each in page.get("Contents", ())
                if each["Key"].endswith((".json", ".json.gz"))
            )

    def read(self, path: str) -> bytes | None:
        client = self._client()
        with _told(self.bucket):
            try:
                return bytes(
                    client.get_object(Bucket=self.bucket, Key=self._key(path))["Body"].read()
                )
            except client.exceptions.NoSuchKey:
                return None


@contextlib.contextmanager
def _told(bucket: str) -> Iterator[None]:
    """Faults of the object store -> EngineError with what to do about them."""
    import botocore.exceptions as faults

    try:
        yield
    except (faults.ClientError, faults.BotoCoreError) as error:
        raise EngineError(
            f"the bucket {bucket} that holds the state cannot be read: {error}",
            "Check [state] backend in repatria.toml and the credentials for it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the object store, or a profile named in the URL.",
        ) from error
