"""CloudWatch -> sizes and loads of 14 days, for estimates; 500 questions a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from toolkit.estate.engine import Place
from toolkit.estate.model import GLOBAL, Resource
from toolkit.progress import Progress

DAYS = 14
A_CALL = 500
MEASURED: dict[str, tuple[tuple[str, str, str, str, str], ...]] = {
    "aws.s3.bucket": (
        ("BucketSizeBytes", "AWS/S3", "BucketName", "Average", "B"),
        ("NumberOfObjects", "AWS/S3", "BucketName", "Average", "count"),
    ),
    "aws.rds.db_instance": (
        ("CPUUtilization", "AWS/RDS", "DBInstanceIdentifier", "Average", "%"),
        ("FreeStorageSpace", "AWS/RDS", "DBInstanceIdentifier", "Minimum", "B"),
    ),
    "aws.ec2.instance": (("CPUUtilization", "AWS/EC2", "InstanceId", "Average", "%"),),
    "aws.ec2.nat_gateway": (
        ("BytesOutToDestination", "AWS/NATGateway", "NatGatewayId", "Sum", "B"),
    ),
    "aws.efs.file_system": (("StoredBytes", "AWS/EFS", "FileSystemId", "Average", "B"),),
}
_EXTRA = {
    "BucketSizeBytes": [("StorageType", "StandardStorage")],
    "NumberOfObjects": [("StorageType", "AllStorageTypes")],
    "StoredBytes": [("StorageClass", "Total")],
}


def measure(
    places: Sequence[Place], resources: Sequence[Resource], progress: Progress
) -> Iterator[dict[str, Any]]:
    """A line per resource and metric that has data points: the mean (or sum, or least) of 14 days."""
    end = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    for place in places:
        if place.region == GLOBAL:
            continue
        asked = [
            (r, *wanted)
            for r in resources
            if r.account == place.account and r.region == place.region
            for wanted in MEASURED.get(r.type, ())
        ]
        client = place.client("cloudwatch", Config(retries={"mode": "standard", "max_attempts": 4}))
        for start in range(0, len(asked), A_CALL):
            part = asked[start : start + A_CALL]
            queries = [
                {
                    "Id": f"q{n}",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": space, "MetricName": metric,
                            "Dimensions": [{"Name": dimension, "Value": r.id}, *({"Name": k, "Value": v} for k, v in _EXTRA.get(metric, []))],
                        },
                        "Period": 86400, "Stat": stat,
                    },
                }
                for n, (r, metric, space, dimension, stat, _) in enumerate(part)
            ]  # fmt: skip
            try:
                progress.call()
                pages = client.get_paginator("get_metric_data").paginate(
                    MetricDataQueries=queries, StartTime=end - dt.timedelta(days=DAYS), EndTime=end
                )
                values: dict[str, list[float]] = {}
                for page in pages:
                    for each in page["MetricDataResults"]:
                        values.setdefault(each["Id"], []).extend(each["Values"])
            except (ClientError, BotoCoreError) as error:
                progress.note(
                    f"no measures of {place.account} {place.region}: {type(error).__name__}"
                )
                continue
            for n, (r, metric, _, _, stat, unit) in enumerate(part):
                if held := values.get(f"q{n}"):
                    value = (
                        sum(held)
                        if stat == "Sum"
                        else min(held)
                        if stat == "Minimum"
                        else sum(held) / len(held)
                    )
                    yield {
                        "kind": "measure",
                        "key": r.key,
                        "metric": metric,
                        "value": round(value, 3),
                        "unit": unit,
                        "days": DAYS,
                    }
