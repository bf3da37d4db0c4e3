"""What no rule knows -> gaps with counts, seen through Resource Explorer and the tagging API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from toolkit.estate.engine import Place
from toolkit.estate.model import GLOBAL, Gap
from toolkit.progress import Progress

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=20
)

MOST = 1000
"""Results of one search, whatever its pages (AWS)."""


def unknown(places: Sequence[Place], read: set[str], progress: Progress) -> Iterator[Gap]:
    """One gap per account, region and kind of thing that exists but was not read.

    Where neither source answers, one gap says that nobody could look.
    """
    for place in places:
        if place.region == GLOBAL:
            continue
        arns: dict[str, str] = {}
        looked = False
        found = {_explorer: 0, _tagged: 0}
        for look in (_explorer, _tagged):
            try:
                for arn, kind in look(place, progress):
                    arns[arn] = kind
                    found[look] += 1
                looked = True
            except (ClientError, BotoCoreError):
                continue
        if not looked:
            yield Gap(
                "resource-explorer-2",
                "search",
                place.account,
                place.region,
                "unavailable",
                "Neither Resource Explorer nor the tagging API answered: what no rule knows could not be looked for.",
            )
            continue
        if found[_explorer] >= MOST:
            yield Gap(
                "resource-explorer-2",
                "search",
                place.account,
                place.region,
                "truncated",
                f"Resource Explorer names {MOST} resources at most: what no rule knows may be more than is counted here.",
            )
        counts = Counter(kind for arn, kind in arns.items() if not _known(arn, read))
        for kind, count in sorted(counts.items()):
            service = kind.split(":", 1)[0]
            yield Gap(
                service,
                "",
                place.account,
                place.region,
                "no-rule",
                f"{kind}: {count} seen, no rule of this version reads them",
                count,
            )


def _known(arn: str, read: set[str]) -> bool:
    tail = arn.split(":", 5)[-1].split("/", 1)[-1]
    return any(name in read for name in (arn, arn.rstrip(":*"), f"{arn}:*", tail, f"/{tail}"))


def _explorer(place: Place, progress: Progress) -> Iterator[tuple[str, str]]:
    client = place.session.client("resource-explorer-2", region_name=place.region, config=_CONFIG)
    for page in client.get_paginator("search").paginate(QueryString=f"region:{place.region}"):
        progress.call()
        for each in page.get("Resources", []):
            if (
                each.get("OwningAccountId", place.account) == place.account
                and each.get("Region", place.region) == place.region
            ):
                yield each["Arn"], str(each.get("ResourceType") or kind_of(each["Arn"]))


def _tagged(place: Place, progress: Progress) -> Iterator[tuple[str, str]]:
    client = place.session.client(
        "resourcegroupstaggingapi", region_name=place.region, config=_CONFIG
    )
    for page in client.get_paginator("get_resources").paginate(ResourcesPerPage=100):
        progress.call()
        for each in page.get("ResourceTagMappingList", []):
            yield each["ResourceARN"], kind_of(each["ResourceARN"])


def kind_of(arn: str) -> str:
    """`arn:aws:ec2:r:a:vpc/vpc-1` -> `ec2:vpc`."""
    parts: list[Any] = arn.split(":", 5)
    if len(parts) < 6:
        return arn
    rest = parts[5].replace("/", ":").split(":")
    return f"{parts[2]}:{rest[0]}" if len(rest) > 1 else parts[2]
