"""Rules -> AWS calls -> redacted records and gaps; one bad record or denied call costs nothing else."""

from __future__ import annotations

import base64
import datetime as dt
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from toolkit.errors import AwsError, ToolkitError
from toolkit.estate.model import GLOBAL, Gap, GapReason, Resource
from toolkit.estate.redact import Redactor
from toolkit.progress import Progress
from toolkit.rule import Detail, Fetch, Rule
from toolkit.workspace import canonical

RATE = 20.0
"""Calls per second and (account, region, service) to begin with."""
BURST = 0.75
"""Seconds' worth of calls that may go out at once."""
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "TokenRefreshRequired",
    }
)
_DENIED = (
    "AccessDenied",
    "UnauthorizedOperation",
    "AuthorizationError",
    "Forbidden",
    "NotAuthorized",
    "AccessDeniedException",
    "403",
)
_THROTTLED = ("Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "LimitExceeded")
_ABSENT_SERVICE = (
    "OptInRequired",
    "SubscriptionRequired",
    "UnknownEndpoint",
    "InvalidAction",
    "UnrecognizedClient",
    "NotSignedUp",
    "UnknownOperation",
    "InvalidEndpoint",
)


class Stopped(Exception):  # noqa: N818 - nobody's fault: the run was interrupted
    """The run ends; what is half read is not written."""


@dataclass
class Limiter:
    """A token bucket that halves its rate when AWS throttles, once a second at most, and recovers with every answer.

    It holds three quarters of a second: AWS's own bucket is fuller, so that calls which the
    network bunches together still pass.
    """

    rate: float = RATE
    tokens: float = RATE * BURST
    stamp: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    throttles: int = 0
    slowed: float = field(default_factory=lambda: time.monotonic() - 1)

    def take(self) -> None:
        """Wait for a token."""
        while True:
            with self.lock:
                now = time.monotonic()
                self.tokens = min(
                    max(1.0, self.rate * BURST), self.tokens + (now - self.stamp) * self.rate
                )
                self.stamp = now
                if self.tokens >= 1:
                    self.tokens -= 1
                    return
                wait = (1 - self.tokens) / self.rate
            time.sleep(wait)

    def slower(self) -> None:
        with self.lock:
            self.throttles += 1
            now = time.monotonic()
            # the calls in flight are all refused together: that is one answer, not many
            if now - self.slowed >= 1:
                self.slowed = now
                self.rate = max(1.0, self.rate / 2)

    def faster(self) -> None:
        with self.lock:
            self.rate = min(RATE, self.rate + 0.25)


@dataclass(frozen=True)
class Place:
    """One account in one region (or `global`), and the session that reads it."""

    session: boto3.Session
    account: str
    region: str
    partition: str
    home: str
    """The region that global services are asked in."""

    @property
    def endpoint_region(self) -> str:
        return self.home if self.region == GLOBAL else self.region

    def client(self, service: str, config: Config) -> Any:
        """A client of that service here; boto3 sessions make one at a time."""
        with _client_lock:
            return self.session.client(service, region_name=self.endpoint_region, config=config)


_client_lock = threading.Lock()


@dataclass
class Reader:
    """Reads one service in one place: all its types, parents before children."""

    place: Place
    service: str
    rules: Sequence[Rule]
    redactor: Redactor
    progress: Progress
    pool: Executor
    stop: threading.Event = field(default_factory=threading.Event)
    limiter: Limiter = field(default_factory=Limiter)
    clients: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    listed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What a listing that several types share held for those still to come."""
    _denied: dict[tuple[str, str, GapReason, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> Iterator[dict[str, Any]]:
        """Everything of this service here, line by line; what could not be read comes last.

        Raises AwsError only where credentials have expired, Stopped where the run was interrupted.
        """
        try:
            for rule in _parents_first(self.rules):
                for resource, observed in self._type(rule):
                    yield resource.line()
                    if observed:
                        yield {"kind": "volatile", "key": resource.key, "fields": observed}
        finally:
            for client in self.clients.values():
                client.close()
        for (service, operation, reason, detail), count in sorted(self._denied.items()):
            place = self.place
            gap = Gap(service, operation, place.account, place.region, reason, detail, count)
            yield gap.line()

    # ------------------------------------------------------------------------------------- calls

    def client(self, service: str) -> Any:
        with self._lock:
            if service not in self.clients:
                config = Config(
                    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60,
                    max_pool_connections=32, user_agent_extra="repatria",
                )  # fmt: skip
                client = self.place.client(service, config)
                client.meta.events.register("needs-retry.*.*", self._watch)
                client.meta.events.register("before-send.*.*", self._count)
                self.clients[service] = client
            return self.clients[service]

    def _watch(self, response: Any = None, **_: Any) -> None:
        code = (
            response[1].get("Error", {}).get("Code", "")
            if response and len(response) == 2 and isinstance(response[1], dict)
            else ""
        )
        if any(word in code for word in _THROTTLED):
            self.limiter.slower()

    def _count(self, **_: Any) -> None:
        """Every request waits for its token here, where repeated ones pass as well."""
        if self.stop.is_set():
            raise Stopped
        self.limiter.take()
        self.progress.call()

    def _pages(
        self, service: str, operation: str, params: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        client = self.client(service)
        if client.can_paginate(operation):
            for page in client.get_paginator(operation).paginate(**params):
                self.limiter.faster()
                yield page
        else:
            answer = getattr(client, operation)(**params)
            self.limiter.faster()
            yield answer
            if any(
                answer.get(name)
                for name in ("NextToken", "nextToken", "NextMarker", "nextPageToken")
            ):
                self._gap(
                    service,
                    operation,
                    "truncated",
                    "AWS has more than one answer holds and offers no way to page here.",
                )

    def _gap(self, service: str, operation: str, reason: GapReason, detail: str) -> None:
        with self._lock:
            key = (service, operation, reason, detail)
            self._denied[key] = self._denied.get(key, 0) + 1

    def _fail(
        self, rule: Rule, service: str, operation: str, error: Exception, quiet: Sequence[str] = ()
    ) -> None:
        """File an error as a gap; expired credentials end the run, since nothing more can be read."""
        if self.stop.is_set():
            raise Stopped from error
        if isinstance(error, ToolkitError):
            raise error
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in quiet:
                return
            if code in EXPIRED:
                raise AwsError(
                    f"the credentials for account {self.place.account} have expired",
                    "Sign in again, then run the same command: what was read is kept.",
                ) from error
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if any(word in code for word in _DENIED):
                self._gap(service, operation, "denied", code)
            elif any(word in code for word in _THROTTLED):
                self._gap(service, operation, "throttled", code)
            elif any(word in code for word in _ABSENT_SERVICE) or (status or 0) >= 500:
                self._gap(service, operation, "unavailable", code)
            else:
                self._gap(service, operation, "error", code or f"HTTP {status}")
        elif isinstance(error, (HTTPClientError, NoConnection)):
            self._gap(service, operation, "unavailable", type(error).__name__)
        else:
            self._gap(
                service,
                operation,
                "error",
                f"{rule.type}: {type(error).__name__}: {str(error)[:120]}",
            )

    # ------------------------------------------------------------------------------------ records

    def _type(self, rule: Rule) -> Iterator[tuple[Resource, dict[str, Any]]]:
        fetch = rule.fetch
        records: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
        parents: list[dict[str, Any] | None] = (
            list(self.raw.get(fetch.each, [])) if fetch.each else [None]
        )
        lists = (
            self.pool.map(lambda parent: self._list(rule, parent), parents)
            if len(parents) > 1
            else (self._list(rule, parent) for parent in parents)
        )
        for parent, found in zip(parents, lists, strict=True):
            records += [(record, parent) for record in found]
        if fetch.details and records:
            self._details(rule, records)
        if any(other.fetch.each == rule.type for other in self.rules):
            self.raw[rule.type] = [record for record, _ in records]
        records.reverse()
        while records:
            record, parent = records.pop()  # and gone, once it is written
            if fetch.keep is not None and not fetch.keep(record):
                continue
            try:
                yield self._resource(rule, record, parent)
            except Exception as error:  # noqa: BLE001 - one bad record must not lose its type
                self._fail(rule, fetch.service, fetch.operation, error)

    def _list(self, rule: Rule, parent: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        fetch = rule.fetch
        params = dict(fetch.params)
        for name, path in fetch.each_params.items():
            params[name] = dig(parent, path)
        if rule.type in self.listed:
            return self.listed.pop(rule.type)
        found: list[dict[str, Any]] = []
        lists = [(fetch, found)]
        lists += [
            (other.fetch, self.listed.setdefault(other.type, []))
            for other in self.rules
            if other is not rule and _shared(other.fetch, fetch)
        ]
        try:
            for page in self._pages(fetch.service, fetch.operation, params):
                for each, held in lists:
                    for element in walk(page, each.path):
                        if isinstance(element, dict):
                            held.append(plain(element))
                        elif element is not None:
                            held.append({each.element or each.id: element})
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read must not lose the rest
            self._fail(rule, fetch.service, fetch.operation, error, fetch.unavailable)
        return found

    def _details(
        self, rule: Rule, records: list[tuple[dict[str, Any], dict[str, Any] | None]]
    ) -> None:
        for detail in rule.fetch.details:
            if detail.batch:
                groups = _batches(detail, records)
                list(self.pool.map(lambda group, d=detail: self._batch(rule, d, group), groups))
            elif detail.match:
                self._matched(rule, detail, records)
            else:
                list(self.pool.map(lambda pair, d=detail: self._detail(rule, d, *pair), records))

    def _detail(
        self, rule: Rule, detail: Detail, record: dict[str, Any], parent: Mapping[str, Any] | None
    ) -> None:
        if detail.known and (known := record.pop(detail.known, None)):
            record[detail.into] = known
            return
        if callable(detail.when):
            if not detail.when(record):
                return
        elif detail.when and not dig(record, detail.when):
            return
        if detail.every:
            for element in dig(record, detail.every) or []:
                if (params := _params(detail, {**record, **element}, parent)) is not None:
                    answer = self._answer(rule, detail, params)
                    if answer not in (None, [], {}):
                        record.setdefault(detail.into, []).append(answer)
            return
        params = _params(detail, record, parent)
        if params is None:
            return
        answer = self._answer(rule, detail, params)
        if answer in (None, [], {}):
            return
        if detail.into:
            record[detail.into] = answer
        elif isinstance(answer, dict):
            record.update(answer)

    def _answer(self, rule: Rule, detail: Detail, params: Mapping[str, Any]) -> Any:
        """What one call answers, or None where it failed; that is a gap then."""
        service = detail.service or rule.fetch.service
        try:
            many = detail.path.endswith("[]")
            held: list[Any] = []
            for page in self._pages(service, detail.operation, params):
                page.pop("ResponseMetadata", None)
                if many:
                    held += [plain(each) for each in walk(page, detail.path)]
                else:
                    found = dig(page, detail.path) if detail.path else page
                    if found is not None:
                        held.append(plain(found))
                    break
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read must not lose the rest
            self._fail(rule, service, detail.operation, error, detail.absent)
            return None
        return held if many else (held[0] if held else None)

    def _matched(
        self,
        rule: Rule,
        detail: Detail,
        records: list[tuple[dict[str, Any], dict[str, Any] | None]],
    ) -> None:
        service = detail.service or rule.fetch.service
        by_id = {dig(record, rule.fetch.id): record for record, _ in records}
        try:
            for page in self._pages(service, detail.operation, detail.constants):
                for each in walk(page, detail.path):
                    if (record := by_id.get(dig(each, detail.match))) is not None:
                        record.setdefault(detail.into, []).append(plain(each))
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read must not lose the rest
            self._fail(rule, service, detail.operation, error, detail.absent)

    def _batch(
        self, rule: Rule, detail: Detail, group: list[tuple[dict[str, Any], dict[str, Any] | None]]
    ) -> None:
        service = detail.service or rule.fetch.service
        params = dict(detail.constants)
        listed = ""
        for name, path in detail.params.items():
            if path.startswith("^"):
                params[name] = dig(group[0][1], path[1:])
            else:
                listed = path
                params[name] = [dig(record, path) for record, _ in group]
        try:
            answers = {
                str(dig(each, detail.match)): plain(each)
                for page in self._pages(service, detail.operation, params)
                for each in walk(page, detail.path)
                if isinstance(each, dict)
            }
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read must not lose the rest
            self._fail(rule, service, detail.operation, error, detail.absent)
            return
        for record, _ in group:
            found = answers.get(str(dig(record, listed)))
            if found is None:
                continue
            if detail.into:
                record[detail.into] = found
            else:
                record.update(found)

    def _resource(
        self, rule: Rule, record: dict[str, Any], parent: Mapping[str, Any] | None
    ) -> tuple[Resource, dict[str, Any]]:
        fetch = rule.fetch
        clean = self.redactor.record(fetch.service, fetch.operation, fetch.path, record)
        region = self.place.region
        if fetch.region_from:
            region = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(
                dig(clean, fetch.region_from), dig(clean, fetch.region_from)
            )
        id_ = " ".join(
            str(value)
            for part in fetch.id.split("+")
            if (value := dig(parent, part[1:]) if part.startswith("^") else dig(clean, part))
            not in (None, "")
        )
        if not id_:
            raise ValueError(f"a record of {rule.type} without {fetch.id}")
        arn = fetch.arn
        if "{" in arn:
            arn = arn.format(
                partition=self.place.partition, region=region, account=self.place.account, id=id_
            )
        elif arn:
            arn = str(dig(clean, arn) or "")
        tags = tags_of(dig(clean, fetch.tags))
        name = tags.get("Name") or _named(fetch.name, clean) or short(id_)
        if name.startswith("[redacted "):
            name = short(id_)
        observed = {
            path: taken for path in sorted(rule.volatile) if (taken := cut(clean, path.split(".")))
        }
        for path in sorted({*rule.unordered, *([fetch.tags] if fetch.tags else [])}):
            sort(clean, path.split("."))
        return Resource(
            rule.type, id_, arn, self.place.account, region, name, tags, clean
        ), observed


def _shared(one: Fetch, other: Fetch) -> bool:
    """Whether one listing answers both."""
    return (one.operation, one.params, one.each, "") == (
        other.operation,
        other.params,
        "",
        other.each,
    )


def _parents_first(rules: Sequence[Rule]) -> list[Rule]:
    known = {rule.type for rule in rules}
    done: list[Rule] = []
    waiting = sorted(rules, key=lambda rule: rule.type)
    while waiting:
        ready = [
            r
            for r in waiting
            if not r.fetch.each
            or r.fetch.each not in known
            or any(d.type == r.fetch.each for d in done)
        ]
        done += ready
        waiting = [r for r in waiting if r not in ready]
    return done


def _params(
    detail: Detail, record: Mapping[str, Any], parent: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """What a call is asked with, or None where the record lacks a part of it."""
    params = dict(detail.constants)
    for name, path in detail.params.items():
        value = dig(parent, path[1:]) if path.startswith("^") else dig(record, path)
        if value is None:
            return None
        params[name] = value
    return params


def _batches(
    detail: Detail, records: list[tuple[dict[str, Any], dict[str, Any] | None]]
) -> list[list[tuple[dict[str, Any], dict[str, Any] | None]]]:
    by_parent: dict[int, list[tuple[dict[str, Any], dict[str, Any] | None]]] = {}
    for pair in records:
        by_parent.setdefault(id(pair[1]), []).append(pair)
    return [
        group[n : n + detail.batch]
        for group in by_parent.values()
        for n in range(0, len(group), detail.batch)
    ]


def walk(value: Any, path: str) -> Iterator[Any]:
    """What a path like `Reservations[].Instances[]` leads to; a null on the way is an empty list."""
    steps = path.split(".") if path else []
    if not steps:
        yield value
        return
    member, rest = steps[0], ".".join(steps[1:])
    held = value.get(member.removesuffix("[]")) if isinstance(value, Mapping) else None
    if member.endswith("[]"):
        for each in held or ():
            yield from walk(each, rest)
    elif held is not None:
        yield from walk(held, rest)


def dig(value: Any, path: str) -> Any:
    """A dotted member of a record, or None; of a list on the way the first element counts."""
    for member in path.split("."):
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(member) if isinstance(value, Mapping) else None
    return value


def plain(value: Any) -> Any:
    """botocore's answer as JSON can hold it: times as ISO text in UTC, bytes as base64."""
    if isinstance(value, dict):
        return {
            str(name): plain(held) for name, held in value.items() if name != "ResponseMetadata"
        }
    if isinstance(value, (list, tuple)):
        return [plain(held) for held in value]
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def short(id_: str) -> str:
    """The last part of an id that is a URL or an ARN; any other id as it is."""
    return re.split(r"[:/]", id_.rstrip("/"))[-1] if id_.startswith(("http", "arn:")) else id_


def tags_of(held: Any) -> dict[str, str]:
    """Tags from a map, or from a list of Key/Value pairs in any of AWS's spellings."""
    if isinstance(held, Mapping):
        return {str(k): str(v) for k, v in held.items()}
    tags: dict[str, str] = {}
    for each in held if isinstance(held, list) else ():
        if isinstance(each, Mapping):
            name = next((each[k] for k in ("Key", "key", "TagKey") if k in each), None)
            if name is not None:
                tags[str(name)] = str(
                    next(
                        (
                            each[k]
                            for k in ("Value", "value", "TagValue")
                            if each.get(k) is not None
                        ),
                        "",
                    )
                )
    return tags


def cut(record: Any, path: Sequence[str]) -> list[Any]:
    """Take a field out of a record, wherever the path leads, and return what was there."""
    if isinstance(record, list):
        return [taken for each in record for taken in cut(each, path)]
    if not isinstance(record, dict) or path[0] not in record:
        return []
    if len(path) == 1:
        return [record.pop(path[0])]
    return cut(record[path[0]], path[1:])


def sort(record: Any, path: Sequence[str]) -> None:
    """Sort the list that a path leads to by its canonical JSON."""
    if isinstance(record, list):
        for each in record:
            sort(each, path)
    elif isinstance(record, dict) and path[0] in record:
        held = record[path[0]]
        if len(path) == 1 and isinstance(held, list):
            record[path[0]] = sorted(held, key=canonical)
        elif len(path) > 1:
            sort(held, path[1:])


def _named(name: str, record: Mapping[str, Any]) -> str:
    """What people call a record: a member of it, or words with members in braces."""
    if "{" not in name:
        return str((name and dig(record, name)) or "")
    return re.sub(r"\{([\w.]+)\}", lambda hit: str(dig(record, hit[1]) or "?"), name)
