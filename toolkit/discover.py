"""Accounts and regions -> estate.jsonl; what was read survives Ctrl-C and kill -9, and the next run continues."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import orjson
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from toolkit import __version__, workspace
from toolkit.errors import AwsError
from toolkit.estate import models
from toolkit.estate.engine import EXPIRED, Place, Reader
from toolkit.estate.measures import MEASURED, measure
from toolkit.estate.model import GLOBAL, Gap, Resource
from toolkit.estate.redact import Redactor, load_key
from toolkit.estate.unknown import Seen, look, unknown
from toolkit.progress import Progress
from toolkit.rule import Rule
from toolkit.rules import load as load_rules

AT_ONCE = 16
"""Units read side by side: each waits for its own service's rate."""
DETAILS = 4
"""Calls of a unit in flight: enough for its rate at 200 ms an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to read. Empty profiles mean boto3's own chain; empty regions mean the session's own."""

    profiles: tuple[str, ...] = ()
    role_arns: tuple[str, ...] = ()
    org_role: str = ""
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    types: tuple[str, ...] = ()
    fresh: bool = False
    measures: bool = False


@dataclass(slots=True)
class Outcome:
    """What a run read, and what it could not."""

    counts: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    calls: int = 0
    reused: int = 0
    accounts: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The answer of `repatria discover`."""
        return {
            "counts": dict(sorted(self.counts.items())),
            "gaps": [{k: v for k, v in gap.line().items() if k != "kind"} for gap in self.gaps],
            "calls": self.calls,
            "reused_parts": self.reused,
            "accounts": self.accounts,
            "regions": self.regions,
        }


@dataclass(frozen=True, slots=True)
class _Unit:
    place: Place
    service: str
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        return f"{self.place.account} {self.place.region} {self.service}"


def discover(
    folder: Path, request: Request, *, progress: Progress, executor: Executor | None = None
) -> Outcome:
    """Read everything that was asked for and write estate.jsonl and observed.jsonl.

    Raises AwsError: no credentials, expired ones, an unknown profile or region, or no right to
    read anything at all. The old estate.jsonl then stays as it was.
    """
    rules = _rules(request.types)
    shut: list[Gap] = []
    places = list(_places(request, shut, progress))
    redactor = Redactor(load_key(folder / ".repatria" / "redaction.key"))
    units = _units(places, rules)
    spool = _spool(folder, request, rules, units)
    progress.start(len(units))
    outcome = Outcome(
        accounts=sorted({p.account for p in places}),
        regions=sorted({p.region for p in places} - {GLOBAL}),
    )
    kept = [unit for unit in units if _kept(_file(spool, unit))]
    waiting = [unit for unit in units if unit not in kept]
    waiting.sort(key=_calls_per_record, reverse=True)  # the longest begin first
    outcome.reused = len(kept)
    if kept:
        oldest = min(_file(spool, unit).stat().st_mtime for unit in kept)
        age = dt.datetime.now(dt.UTC).timestamp() - oldest
        progress.note(
            f"continuing: {outcome.reused} of {len(units)} parts were read before, the oldest {age / 60:.0f} min ago (--fresh reads all again)"
        )
    stop = threading.Event()
    own = executor is None
    outer = executor or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read")
    try:
        running = [outer.submit(_read, unit, redactor, progress, spool, stop) for unit in waiting]
        # what no rule knows is looked for meanwhile
        regional = [place for place in places if place.region != GLOBAL and not request.types]
        looks = [outer.submit(look, place, progress, stop) for place in regional]
        begun: list[Future[Any]] = [*running, *looks]
        try:
            for done in as_completed(begun):
                done.result()
        except BaseException:
            stop.set()
            for each in begun:
                each.cancel()
            raise
    finally:
        progress.end()
        if own:
            outer.shutdown(wait=True, cancel_futures=True)
    found = [each.result() for each in looks]
    return _together(folder, spool, units, places, found, request, rules, shut, outcome, progress)


def _rules(types: Sequence[str]) -> dict[str, Rule]:
    rules = dict(load_rules())
    if not types:
        return rules
    unknown_types = sorted(set(types) - set(rules))
    if unknown_types:
        raise AwsError(
            f"no rule knows {', '.join(unknown_types)}", "`repatria coverage` lists the types."
        )
    wanted = set(types)
    while grown := {rules[t].fetch.each for t in wanted if rules[t].fetch.each} - wanted:
        wanted |= grown
    return {type_: rule for type_, rule in rules.items() if type_ in wanted}


# ------------------------------------------------------------------------------ accounts and regions


def _places(request: Request, shut: list[Gap], progress: Progress) -> Iterator[Place]:
    """Where to read; what is shut on the way (a region, an account of the Organization) becomes a gap."""
    seen: set[tuple[str, str]] = set()
    for session, via in _sessions(request, shut):
        _known([session.region_name] if session.region_name else [], session)
        account, partition = _identity(session, via)
        home = _HOMES.get(partition, "us-east-1")
        for region in (GLOBAL, *_regions(session, account, request, shut, progress)):
            if (account, region) not in seen:
                seen.add((account, region))
                yield Place(session, account, region, partition, home)


_HOMES = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def _sessions(request: Request, shut: list[Gap]) -> Iterator[tuple[boto3.Session, str]]:
    bases: list[boto3.Session] = []
    for profile in request.profiles or ("",):
        try:
            bases.append(boto3.Session(botocore_session=_core(profile)))
        except ProfileNotFound as error:
            raise AwsError(
                f"there is no AWS profile {profile or str(error)!r}",
                "`aws configure list-profiles` lists those that exist.",
            ) from error
        except BotoCoreError as error:
            raise AwsError(
                f"the AWS configuration cannot be used: {_words(error)}",
                "Look through ~/.aws/config and ~/.aws/credentials.",
            ) from error
        yield bases[-1], profile or "the environment"
    for arn in request.role_arns:
        yield _assumed(bases[0], arn), arn
    if request.org_role:
        yield from _organization(bases[0], request.org_role, shut)


def _core(profile: str = "") -> botocore.session.Session:
    """botocore's session, which shares what it reads of botocore's own data with all others."""
    session = botocore.session.Session(profile=profile or None)
    session.get_component("data_loader").file_loader = models.FILES
    session.register("before-parse.*.*", _is_no_answer)  # for every client made of it
    return session


def _is_no_answer(response_dict: dict[str, Any], **_: Any) -> None:
    """A failing server's or proxy's page of HTML is no answer: botocore takes it for one, fails to read it and does not ask again."""
    body = response_dict.get("body")
    if response_dict["status_code"] >= 500 and isinstance(body, bytes) and body.lstrip()[:9].lower() == b"<!doctype":  # fmt: skip
        response_dict["body"] = b""


def _organization(
    base: boto3.Session, role: str, shut: list[Gap]
) -> Iterator[tuple[boto3.Session, str]]:
    """A session for every other account of the Organization; one that cannot be entered is a gap."""
    own, partition = _identity(base, "the environment")
    try:
        pages = (
            base.client("organizations", region_name=_HOMES.get(partition, "us-east-1"))
            .get_paginator("list_accounts")
            .paginate()
        )
        # AWS replaces Status by State; either may be there
        accounts = {
            str(each["Id"]): str(each.get("State") or each.get("Status") or "ACTIVE")
            for page in pages
            for each in page["Accounts"]
        }
    except (ClientError, BotoCoreError) as error:
        raise AwsError(
            f"the Organization's accounts cannot be listed: {_words(error)}",
            "Run it with the management account, or name roles with --role-arn.",
        ) from error
    for account, state in sorted(accounts.items()):
        if account == own:
            continue
        if state != "ACTIVE":
            detail = f"the account is {state.lower().replace('_', ' ')}"
            shut.append(
                Gap("organizations", "list_accounts", account, GLOBAL, "unavailable", detail)
            )
            continue
        arn = f"arn:{partition}:iam::{account}:role/{role}"
        try:
            session = _assumed(base, arn)
        except AwsError as error:
            shut.append(Gap("sts", "assume_role", account, GLOBAL, "denied", error.message))
            continue
        yield session, arn


def _assumed(base: boto3.Session, arn: str) -> boto3.Session:
    sts = base.client("sts", region_name=base.region_name or "us-east-1")

    def refresh() -> dict[str, str]:
        try:
            held = sts.assume_role(RoleArn=arn, RoleSessionName="repatria")["Credentials"]
        except (ClientError, BotoCoreError) as error:
            raise AwsError(
                f"the role {arn} cannot be assumed: {_words(error)}",
                "Check its trust policy and the name.",
            ) from error
        return {
            "access_key": held["AccessKeyId"],
            "secret_key": held["SecretAccessKey"],
            "token": held["SessionToken"],
            "expiry_time": held["Expiration"].isoformat(),
        }

    session = _core()
    session._credentials = RefreshableCredentials.create_from_metadata(
        metadata=refresh(), refresh_using=refresh, method="sts-assume-role"
    )
    if base.region_name:
        session.set_config_variable("region", base.region_name)
    return boto3.Session(botocore_session=session)


def _identity(session: boto3.Session, via: str) -> tuple[str, str]:
    hint = "Sign in (`aws sso login`, `aws configure`), or name a profile with --profile."
    try:
        who = session.client(
            "sts", region_name=session.region_name or "us-east-1"
        ).get_caller_identity()
    except NoCredentialsError as error:
        raise AwsError("there are no AWS credentials", hint) from error
    except (
        CredentialRetrievalError, PartialCredentialsError, SSOError, TokenRetrievalError, UnauthorizedSSOTokenError,
    ) as error:  # fmt: skip
        raise AwsError(
            f"the AWS credentials of {via} are of no use: {_words(error)}", hint
        ) from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        said = (
            "have expired"
            if code in EXPIRED and code != "InvalidClientTokenId"
            else f"are refused ({code})"
        )
        raise AwsError(f"the AWS credentials of {via} {said}", hint) from error
    except BotoCoreError as error:
        raise AwsError(
            f"AWS cannot be reached: {_words(error)}",
            "Check the network, the region and AWS_ENDPOINT_URL.",
        ) from error
    return str(who["Account"]), str(who["Arn"]).split(":")[1]


def _known(regions: Sequence[str], session: boto3.Session) -> None:
    known = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
    }
    wrong = sorted(set(regions) - known)
    if wrong:
        close = difflib.get_close_matches(wrong[0], sorted(known), n=1)
        raise AwsError(
            f"AWS has no region {', '.join(wrong)}",
            f"Did you mean {close[0]}?" if close else "Regions look like eu-west-1.",
        )


def _regions(
    session: boto3.Session, account: str, request: Request, shut: list[Gap], progress: Progress
) -> list[str]:
    """The regions to read. One that the account has not enabled is said: asked for by name, as a gap."""
    _known(request.regions, session)
    asked = sorted(set(request.regions)) or ([session.region_name] if session.region_name else [])
    if not asked and not request.all_regions:
        raise AwsError(
            "no AWS region is chosen",
            "Name one with --region, or fill in regions in repatria.toml.",
        )
    try:
        answer = session.client(
            "ec2", region_name=session.region_name or (asked[0] if asked else "us-east-1")
        ).describe_regions(AllRegions=True)
    except (ClientError, BotoCoreError) as error:
        if not request.all_regions:
            return asked
        raise AwsError(
            f"the regions cannot be listed: {_words(error)}",
            "Allow ec2:DescribeRegions, or name regions with --region.",
        ) from error
    closed = {
        each["RegionName"]
        for each in answer["Regions"]
        if each.get("OptInStatus") == "not-opted-in"
    }
    if request.all_regions:
        if closed:
            progress.note(f"{account}: not enabled, not read: {', '.join(sorted(closed))}")
        return sorted({each["RegionName"] for each in answer["Regions"]} - closed)
    for region in asked:
        if region in closed:
            detail = "the account has not enabled this region"
            shut.append(Gap("ec2", "describe_regions", account, region, "unavailable", detail))
            progress.note(f"{account} {region}: {detail}; skipped")
    return [region for region in asked if region not in closed]


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "error"))
    return str(error)[:200]


# ------------------------------------------------------------------------------------ units and spool


def _units(places: Sequence[Place], rules: dict[str, Rule]) -> list[_Unit]:
    units: list[_Unit] = []
    for place in places:
        scope = "global" if place.region == GLOBAL else "regional"
        services: dict[str, list[Rule]] = {}
        for rule in rules.values():
            if rule.fetch.scope == scope:
                services.setdefault(rule.fetch.service, []).append(rule)
        for service, group in sorted(services.items()):
            offered = place.session.get_available_regions(service)
            if scope == "regional" and offered and place.region not in offered:
                continue
            units.append(_Unit(place, service, tuple(group)))
    return units


def _spool(folder: Path, request: Request, rules: dict[str, Rule], units: Sequence[_Unit]) -> Path:
    """The spool of exactly this request by exactly these rules; those of others are thrown away."""
    root = folder / ".repatria" / "spool"
    mark = hashlib.sha256(
        workspace.canonical(
            [
                __version__,
                sorted(rules),
                [unit.name for unit in units],
                sorted({r.fetch.operation for r in rules.values()}),
            ]
        )
    ).hexdigest()[:16]
    spool = root / mark
    if root.exists():
        for each in root.iterdir():
            if request.fresh or each != spool:
                shutil.rmtree(each, ignore_errors=True)
    try:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise workspace.write_error(spool, error) from error
    return spool


def _calls_per_record(unit: _Unit) -> int:
    return sum(detail.each for rule in unit.rules for detail in rule.fetch.details)


def _kept(path: Path) -> bool:
    """Whether a part was read whole: one with gaps is read again, since what shut it may be open now."""
    try:
        with path.open("rb") as file:
            return all(orjson.loads(line)["kind"] != "gap" for line in file)
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return False


def _file(spool: Path, unit: _Unit) -> Path:
    return spool / f"{unit.name.replace(' ', '_')}.jsonl"


def _read(
    unit: _Unit,
    redactor: Redactor,
    progress: Progress,
    spool: Path,
    stop: threading.Event,
) -> None:
    if stop.is_set():
        return
    # a pool of its own: in a shared one, calls that wait for one service's rate hold up all others
    with ThreadPoolExecutor(DETAILS, thread_name_prefix="detail") as pool:
        reader = Reader(unit.place, unit.service, unit.rules, redactor, progress, pool, stop)
        begun = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        count = 0
        with workspace.replacing(_file(spool, unit), private=True) as file:
            file.write(
                workspace.canonical({"kind": "read", "part": unit.name, "at": begun}) + b"\n"
            )
            for line in reader.read():
                file.write(workspace.canonical(line) + b"\n")
                count += line["kind"] == "resource"
    progress.unit(unit.name, count)


def _together(
    folder: Path, spool: Path, units: Sequence[_Unit], places: Sequence[Place], looks: Iterable[Seen], request: Request, rules: dict[str, Rule], shut: Sequence[Gap],
    outcome: Outcome, progress: Progress,
) -> Outcome:  # fmt: skip
    """The parts as one estate: of a resource only its identity and its place are held in memory."""
    index: dict[str, tuple[tuple[str, str, str, str], int, int]] = {}
    names: set[str] = set()
    measured: list[Resource] = []
    observed: list[bytes] = []
    gaps: set[Gap] = set(shut)
    with tempfile.TemporaryFile(dir=spool) as whole:
        for unit in units:
            with _file(spool, unit).open("rb") as part:
                for line in part:
                    item = orjson.loads(line)
                    kind = item.pop("kind")
                    if kind == "gap":
                        gaps.add(Gap(**item))
                    if kind in ("read", "volatile"):
                        observed.append(line)
                    if kind != "resource":
                        continue
                    resource = Resource(**item)
                    if resource.key in index:
                        continue
                    identity = (resource.type, resource.account, resource.region, resource.id)
                    index[resource.key] = (identity, whole.tell(), len(line) - 1)
                    whole.write(line)
                    names |= {resource.arn, resource.id}
                    outcome.counts[resource.type] = outcome.counts.get(resource.type, 0) + 1
                    if request.measures and resource.type in MEASURED:
                        measured.append(resource)
        if not index and gaps and all(gap.reason == "denied" for gap in gaps):
            raise AwsError(
                "AWS denied every call",
                "Attach the policies that `repatria policy` prints to this identity.",
            )
        gaps |= set(unknown(looks, names, rules))
        header = {
            "source": {
                "partition": places[0].partition,
                "accounts": outcome.accounts,
                "regions": outcome.regions,
            },
            "partition": places[0].partition,
            "types": sorted(rules),
            "repatria": __version__,
        }
        order = sorted(index.values())

        def sorted_lines() -> Iterator[bytes]:
            for _, offset, length in order:
                whole.seek(offset)
                yield whole.read(length)

        workspace.write_estate_pieces(
            folder / workspace.ESTATE,
            header,
            sorted_lines,
            [workspace.canonical(gap.line()) for gap in gaps],
        )
    workspace.write(folder / workspace.OBSERVED, b"".join(sorted(observed)), private=True)
    if request.measures:
        lines = sorted(measure(places, measured, progress), key=workspace.canonical)
        head: list[dict[str, Any]] = [{"kind": "header", "schema": workspace.SCHEMA}]
        workspace.write(
            folder / workspace.MEASURES,
            b"".join(workspace.canonical(line) + b"\n" for line in [*head, *lines]),
            private=True,
        )
    shutil.rmtree(spool.parent, ignore_errors=True)
    outcome.gaps = sorted(gaps)
    outcome.calls = progress.calls
    return outcome
