"""Accounts and regions -> estate.jsonl; what was read survives Ctrl-C and kill -9, and the next run continues."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import orjson
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from toolkit import __version__, workspace
from toolkit.errors import AwsError
from toolkit.estate.engine import EXPIRED, Place, Reader, Reading
from toolkit.estate.measures import measure
from toolkit.estate.model import GLOBAL, Gap, Resource
from toolkit.estate.redact import Redactor, load_key
from toolkit.estate.unknown import unknown
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
    redactor = Redactor(load_key(folder / ".repatria" / "redaction.key"))
    places = list(_places(request))
    units = _units(places, rules)
    spool = _spool(folder, request, rules, units)
    progress.start(len(units))
    outcome = Outcome(
        accounts=sorted({p.account for p in places}),
        regions=sorted({p.region for p in places} - {GLOBAL}),
    )
    waiting = [unit for unit in units if not _file(spool, unit).exists()]
    waiting.sort(key=_calls_per_record, reverse=True)  # the longest begin first
    outcome.reused = len(units) - len(waiting)
    if outcome.reused:
        oldest = min(
            _file(spool, unit).stat().st_mtime for unit in units if _file(spool, unit).exists()
        )
        age = dt.datetime.now(dt.UTC).timestamp() - oldest
        progress.note(
            f"continuing: {outcome.reused} of {len(units)} parts were read before, the oldest {age / 60:.0f} min ago (--fresh reads all again)"
        )
    stop = threading.Event()
    own = executor is None
    outer = executor or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read")
    try:
        running = [outer.submit(_read, unit, redactor, progress, spool, stop) for unit in waiting]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:
            stop.set()
            for each in running:
                each.cancel()
            raise
    finally:
        progress.end()
        if own:
            outer.shutdown(wait=True, cancel_futures=True)
    return _together(folder, spool, units, places, request, rules, outcome, progress)


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


def _places(request: Request) -> Iterator[Place]:
    seen: set[str] = set()
    for session, via in _sessions(request):
        account, partition = _identity(session, via)
        if account in seen:
            continue
        seen.add(account)
        home = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}.get(partition, "us-east-1")
        yield Place(session, account, GLOBAL, partition, home)
        for region in _regions(session, request):
            yield Place(session, account, region, partition, home)


def _sessions(request: Request) -> Iterator[tuple[boto3.Session, str]]:
    bases: list[boto3.Session] = []
    for profile in request.profiles or ("",):
        try:
            bases.append(boto3.Session(profile_name=profile or None))
        except ProfileNotFound as error:
            raise AwsError(
                f"there is no AWS profile {profile!r}",
                "`aws configure list-profiles` lists those that exist.",
            ) from error
        yield bases[-1], profile or "the environment"
    arns = list(request.role_arns)
    if request.org_role:
        try:
            pages = (
                bases[0]
                .client("organizations", region_name="us-east-1")
                .get_paginator("list_accounts")
                .paginate()
            )
            arns += [
                f"arn:aws:iam::{each['Id']}:role/{request.org_role}"
                for page in pages
                for each in page["Accounts"]
                if each.get("Status") == "ACTIVE"
            ]
        except (ClientError, BotoCoreError) as error:
            raise AwsError(
                f"the Organization's accounts cannot be listed: {_words(error)}",
                "Run it with the management account, or name roles with --role-arn.",
            ) from error
    for arn in arns:
        yield _assumed(bases[0], arn), arn


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

    session = botocore.session.get_session()
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


def _regions(session: boto3.Session, request: Request) -> list[str]:
    known = {
        region
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in session.get_available_regions("ec2", partition_name=partition)
    }
    wrong = sorted(set(request.regions) - known)
    if wrong:
        import difflib

        close = difflib.get_close_matches(wrong[0], sorted(known), n=1)
        raise AwsError(
            f"AWS has no region {', '.join(wrong)}",
            f"Did you mean {close[0]}?" if close else "Regions look like eu-west-1.",
        )
    if request.all_regions:
        try:
            answer = session.client(
                "ec2", region_name=session.region_name or "us-east-1"
            ).describe_regions(AllRegions=False)
        except (ClientError, BotoCoreError) as error:
            raise AwsError(
                f"the regions cannot be listed: {_words(error)}",
                "Allow ec2:DescribeRegions, or name regions with --region.",
            ) from error
        return sorted(each["RegionName"] for each in answer["Regions"])
    if request.regions:
        return sorted(set(request.regions))
    if session.region_name:
        return [session.region_name]
    raise AwsError(
        "no AWS region is chosen", "Name one with --region, or fill in regions in repatria.toml."
    )


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
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    return spool


def _calls_per_record(unit: _Unit) -> int:
    return sum(not detail.batch for rule in unit.rules for detail in rule.fetch.details)


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
        reading: Reading = Reader(
            unit.place, unit.service, unit.rules, redactor, progress, pool
        ).read()
    lines = [
        {
            "kind": "read",
            "part": unit.name,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        },
        *(resource.line() for resource in reading.resources),
        *(gap.line() for gap in reading.gaps),
        *reading.observed,
    ]
    workspace.write(
        _file(spool, unit),
        b"".join(workspace.canonical(line) + b"\n" for line in lines),
        private=True,
    )
    progress.unit(unit.name, len(reading.resources))


def _together(
    folder: Path, spool: Path, units: Sequence[_Unit], places: Sequence[Place], request: Request, rules: dict[str, Rule], outcome: Outcome, progress: Progress
) -> Outcome:  # fmt: skip
    resources: list[Resource] = []
    observed: list[dict[str, Any]] = []
    gaps: set[Gap] = set()
    seen: set[str] = set()
    for unit in units:
        for line in _file(spool, unit).read_bytes().splitlines():
            item = orjson.loads(line)
            match item["kind"]:
                case "resource":
                    resource = Resource(
                        item["type"],
                        item["id"],
                        item["arn"],
                        item["account"],
                        item["region"],
                        item["name"],
                        item["tags"],
                        item["record"],
                    )
                    if resource.key not in seen:
                        seen.add(resource.key)
                        resources.append(resource)
                case "gap":
                    gaps.add(
                        Gap(
                            item["service"],
                            item["operation"],
                            item["account"],
                            item["region"],
                            item["reason"],
                            item["detail"],
                            item.get("count"),
                        )
                    )
                case _:
                    observed.append(item)
    if not resources and gaps and all(gap.reason == "denied" for gap in gaps):
        raise AwsError(
            "AWS denied every call",
            "Attach the policies that `repatria policy` prints to this identity.",
        )
    if not request.types:
        gaps |= set(
            unknown(
                places,
                {name for resource in resources for name in (resource.arn, resource.id)},
                progress,
            )
        )
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
    workspace.write_estate(
        folder / workspace.ESTATE,
        header,
        [*(r.line() for r in resources), *(g.line() for g in gaps)],
    )
    observed.sort(key=workspace.canonical)
    workspace.write(
        folder / workspace.OBSERVED,
        b"".join(workspace.canonical(line) + b"\n" for line in observed),
        private=True,
    )
    if request.measures:
        lines = sorted(measure(places, resources, progress), key=workspace.canonical)
        head: list[dict[str, Any]] = [{"kind": "header", "schema": workspace.SCHEMA}]
        workspace.write(
            folder / workspace.MEASURES,
            b"".join(workspace.canonical(line) + b"\n" for line in [*head, *lines]),
            private=True,
        )
    shutil.rmtree(spool.parent, ignore_errors=True)
    for resource in resources:
        outcome.counts[resource.type] = outcome.counts.get(resource.type, 0) + 1
    outcome.gaps = sorted(gaps)
    outcome.calls = progress.calls
    return outcome
