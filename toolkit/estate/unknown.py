"""What no rule knows -> gaps with counts, seen through Resource Explorer, the tagging API and AWS Config."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from toolkit.estate.engine import Place
from toolkit.estate.model import Gap
from toolkit.progress import Progress

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=20
)

MOST = 1000
"""Results of one search, whatever its pages (AWS)."""


@dataclass
class Seen:
    """What the three sources name in one account and region."""

    place: Place
    kinds: dict[str, str] = field(default_factory=dict)
    """ARN -> kind (`glue:job`)."""
    counted: dict[str, int] = field(default_factory=dict)
    """AWS Config's type (`AWS::Glue::Job`) -> how many."""
    explored: int = 0
    answered: bool = False


def look(place: Place, progress: Progress, stop: threading.Event | None = None) -> Seen:
    """Ask all three sources; one that is shut or not set up says nothing."""
    seen = Seen(place)
    for source in (_explorer, _tagged, _recorded):
        if stop is not None and stop.is_set():
            break
        try:
            source(seen, progress)
        except (ClientError, BotoCoreError):
            continue
    return seen


def unknown(looks: Iterable[Seen], read: set[str], types: Collection[str]) -> Iterator[Gap]:
    """One gap per account, region and kind of thing that exists but was not read.

    AWS Config counts types and names nothing: only a type that neither a rule (`types`) nor another
    source knows counts. Where no source answers, one gap says that nobody could look.
    """
    for seen in looks:
        account, region = seen.place.account, seen.place.region
        if not seen.answered:
            yield Gap(
                "resource-explorer-2",
                "search",
                account,
                region,
                "unavailable",
                "Neither Resource Explorer, the tagging API nor AWS Config answered: what no rule knows could not be looked for.",
            )
            continue
        if seen.explored >= MOST:
            yield Gap(
                "resource-explorer-2",
                "search",
                account,
                region,
                "truncated",
                f"Resource Explorer names {MOST} resources at most: what no rule knows may be more than is counted here.",
            )
        counts = Counter(kind for arn, kind in seen.kinds.items() if not _known(arn, read))
        named = {_word(kind) for kind in seen.kinds.values()} | {_word(type_) for type_ in types}
        counts.update({t: n for t, n in seen.counted.items() if n and _word(t) not in named})
        for kind, count in sorted(counts.items()):
            service = kind.removeprefix("AWS::").split(":", 1)[0].lower()
            yield Gap(
                service,
                "",
                account,
                region,
                "no-rule",
                f"{count} × {kind}",
                count,
            )


def _known(arn: str, read: set[str]) -> bool:
    tail = arn.split(":", 5)[-1].split("/", 1)[-1]
    return any(name in read for name in (arn, arn.rstrip(":*"), f"{arn}:*", tail, f"/{tail}"))


def _explorer(seen: Seen, progress: Progress) -> None:
    place = seen.place
    client = place.client("resource-explorer-2", _CONFIG)
    for page in client.get_paginator("search").paginate(QueryString=f"region:{place.region}"):
        progress.call()
        for each in page.get("Resources", []):
            if (
                each.get("OwningAccountId", place.account) == place.account
                and each.get("Region", place.region) == place.region
            ):
                seen.kinds[each["Arn"]] = str(each.get("ResourceType") or kind_of(each["Arn"]))
                seen.explored += 1
    seen.answered = True


def _tagged(seen: Seen, progress: Progress) -> None:
    client = seen.place.client("resourcegroupstaggingapi", _CONFIG)
    for page in client.get_paginator("get_resources").paginate(ResourcesPerPage=100):
        progress.call()
        for each in page.get("ResourceTagMappingList", []):
            seen.kinds[each["ResourceARN"]] = kind_of(each["ResourceARN"])
    seen.answered = True


def _recorded(seen: Seen, progress: Progress) -> None:
    """AWS Config's counts, where somebody has set up a recorder."""
    client = seen.place.client("config", _CONFIG)
    progress.call()
    if not client.describe_configuration_recorders().get("ConfigurationRecorders"):
        return
    more: dict[str, Any] = {}
    while True:
        progress.call()
        page = client.get_discovered_resource_counts(limit=100, **more)
        for each in page.get("resourceCounts", []):
            if each["resourceType"] not in _NONE:
                seen.counted[each["resourceType"]] = int(each["count"])
        if not page.get("nextToken"):
            break
        more = {"nextToken": page["nextToken"]}
    seen.answered = True


def kind_of(arn: str) -> str:
    """`arn:aws:ec2:r:a:vpc/vpc-1` -> `ec2:vpc`."""
    parts: list[Any] = arn.split(":", 5)
    if len(parts) < 6:
        return arn
    rest = parts[5].replace("/", ":").split(":")
    return f"{parts[2]}:{rest[0]}" if len(rest) > 1 else parts[2]


_NONE = frozenset({"AWS::Config::ResourceCompliance", "AWS::Config::ConformancePackCompliance"})
"""AWS Config's own verdicts: no resources."""
_SERVICES = {
    "elasticloadbalancing": "elb", "elasticloadbalancingv2": "elbv2", "elasticfilesystem": "efs", "cognito": "cognitoidp", "states": "stepfunctions",
    "ses": "sesv2", "es": "opensearch", "elasticsearch": "opensearch",
}  # fmt: skip
_NOUNS = {
    "ec2 eip": "ec2 address", "ec2 elasticip": "ec2 address", "ec2 eipassociation": "ec2 address", "ec2 subnetroutetableassociation": "ec2 routetable",
    "ec2 vpcgatewayattachment": "ec2 internetgateway", "ec2 prefixlist": "ec2 managedprefixlist",
    "iam oidcprovider": "iam openidconnectprovider", "elasticache subnetgroup": "elasticache cachesubnetgroup",
}  # fmt: skip
"""What AWS Config calls otherwise, or keeps apart of what we read with its owner."""


def _word(kind: str) -> str:
    """`AWS::EC2::Instance`, `ec2:instance` and `aws.ec2.instance` -> `ec2 instance`."""
    words = re.sub(r"^aws(::|\.)", "", kind.lower())
    service, _, noun = words.replace("::", ":").replace(".", ":").partition(":")
    service, noun = (re.sub(r"[^a-z0-9]", "", each) for each in (service, noun))
    named = f"{_SERVICES.get(service, service)} {noun}"
    return _NOUNS.get(named, named)
