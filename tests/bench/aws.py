"""An AWS of its own process: moto with so many resources, behind a gate with latency and a rate limit.

Run as `python -m tests.bench.aws SCALE LATENCY RATE`: prints its URL, then serves until stdin closes.
`GET /_bench/counts` gives the calls since `POST /_bench/reset`; `POST /_bench/gate` shuts the gate.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.support.serve import serving

REGIONS = {"eu-west-1": 2 / 3, "eu-central-1": 1 / 3}
AMOUNTS = {
    "servers": 240, "volumes": 240, "interfaces": 120, "groups": 240, "snapshots": 120, "subnets": 60, "keys": 60, "addresses": 60, "templates": 15,
    "queues": 120, "topics": 60, "parameters": 300, "log groups": 240, "alarms": 180, "secrets": 90, "tables": 45, "kms": 60, "rules": 90, "databases": 30,
    "repositories": 36, "balancers": 9, "certificates": 30, "buckets": 18, "roles": 120, "users": 45, "records": 180,
}  # fmt: skip
"""How many of what at scale 1; a server comes with a volume and an interface of its own."""

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Gate:
    """Every request waits `latency`; more than `rate` a second per service and region are throttled."""

    inner: Wsgi
    latency: float
    rate: float
    shut: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_bench/"):
            return self._own(path.rsplit("/", 1)[-1], start)
        service, region = scope(environ)
        passed = self._take(f"{service} {region}")
        if self.shut:
            time.sleep(self.latency)
            if not passed:
                status, kind, body, code = refusal(service, environ.get("CONTENT_TYPE", ""))
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-ErrorType", code)])  # fmt: skip
                return [body]
        if (service, path) == ("s3", "/") and "max-buckets" in environ.get("QUERY_STRING", ""):
            return _with_regions(self.inner, environ, start)
        return self.inner(environ, start)

    def _take(self, key: str) -> bool:
        with self.lock:
            now = time.monotonic()
            tokens, stamp = self.buckets.get(key, (self.rate, now))
            tokens = min(self.rate, tokens + (now - stamp) * self.rate)
            passed = tokens >= 1 or not self.rate
            self.buckets[key] = (tokens - passed, now)
            self.calls[key] += 1
            self.throttled[key] += not passed and self.shut
            return passed

    def _own(self, what: str, start: Callable[..., Any]) -> Iterable[bytes]:
        with self.lock:
            body = json.dumps({"calls": self.calls, "throttled": self.throttled}).encode()
            if what == "reset":
                self.calls, self.throttled = Counter(), Counter()
                self.buckets.clear()
            self.shut |= what == "gate"
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _with_regions(inner: Wsgi, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """A list of buckets with their region, as AWS gives it since 2024 and moto does not yet."""
    told: list[Any] = []
    body = b"".join(inner(environ, lambda *said: told.append(said)))
    body = body.replace(b"</Bucket>", b"<BucketRegion>eu-west-1</BucketRegion></Bucket>")
    status, headers = told[0][0], told[0][1]
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start(status, [*kept, ("Content-Length", str(len(body)))])
    return [body]


def scope(environ: dict[str, Any]) -> tuple[str, str]:
    """(service, region) that a request is signed for."""
    parts = environ.get("HTTP_AUTHORIZATION", "").split("Credential=", 1)[-1].split("/")
    return (parts[3], parts[2]) if len(parts) > 3 else ("", "")


def refusal(service: str, kind: str) -> tuple[str, str, bytes, str]:
    """(status, content type, body, code) of a throttling error as that service words it."""
    if service == "s3":
        return "503 Slow Down", "text/xml", b"<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>", "SlowDown"  # fmt: skip
    if service == "ec2":
        return "503 Unavailable", "text/xml", b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>1</RequestID></Response>", "RequestLimitExceeded"  # fmt: skip
    if "form-urlencoded" in kind or service in ("route53", "cloudfront"):
        return "400 Bad Request", "text/xml", b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>", "Throttling"  # fmt: skip
    return "400 Bad Request", "application/x-amz-json-1.1", b'{"__type":"ThrottlingException","message":"Rate exceeded"}', "ThrottlingException"  # fmt: skip


# ----------------------------------------------------------------------------------------- contents


def amounts(scale: float, share: float = 1.0) -> dict[str, int]:
    """How many of what at a scale, in a region that has a share of it."""
    return {what: max(1, round(count * scale * share)) for what, count in AMOUNTS.items()}


def fill(url: str, scale: float, only: frozenset[str] = frozenset()) -> None:
    """Make the resources of a scale in the AWS at `url`; with `only`, of these services."""
    import boto3

    session = boto3.Session(
        aws_access_key_id="bench", aws_secret_access_key="bench", region_name="eu-west-1"
    )
    with ThreadPoolExecutor(4) as pool:
        jobs = []
        for service, make in FILL.items():
            if only and service not in only:
                continue
            for region, share in {"eu-west-1": 1.0}.items() if service in GLOBAL else REGIONS.items():  # fmt: skip
                client = session.client(service, region_name=region, endpoint_url=url)
                jobs.append(pool.submit(make, client, amounts(scale, share)))
        for job in jobs:
            job.result()


def _ec2(ec2: Any, n: dict[str, int]) -> None:
    zone = f"{ec2.meta.region_name}a"
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{k}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for k in range(n["subnets"])
    ]  # fmt: skip
    groups = [
        ec2.create_security_group(GroupName=f"group-{k}", Description="bench", VpcId=vpc)["GroupId"]
        for k in range(n["groups"])
    ]
    for group in groups[: len(groups) // 2]:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": groups[0]}]}])  # fmt: skip
    left = n["servers"]
    for k, subnet in enumerate(subnets):
        here = left if k == len(subnets) - 1 else min(left, -(-n["servers"] // len(subnets)))
        if here:
            ec2.run_instances(ImageId="ami-12c6146b", InstanceType="t3.micro", MinCount=here, MaxCount=here, SubnetId=subnet, SecurityGroupIds=groups[:1], UserData="#!/bin/sh\necho bench\n")  # fmt: skip
        left -= here
    volumes = [
        ec2.create_volume(AvailabilityZone=zone, Size=10 + k)["VolumeId"]
        for k in range(n["volumes"])
    ]
    for k in range(n["snapshots"]):
        ec2.create_snapshot(VolumeId=volumes[k % len(volumes)], Description=f"bench {k}")
    for k in range(n["interfaces"]):
        ec2.create_network_interface(SubnetId=subnets[k % len(subnets)], Groups=groups[:2])
    for k in range(n["keys"]):
        ec2.create_key_pair(KeyName=f"key-{k}")
    for _ in range(n["addresses"]):
        ec2.allocate_address(Domain="vpc")
    for k in range(n["templates"]):
        ec2.create_launch_template(
            LaunchTemplateName=f"template-{k}", LaunchTemplateData={"InstanceType": "t3.micro"}
        )


def _sqs(sqs: Any, n: dict[str, int]) -> None:
    for k in range(n["queues"]):
        sqs.create_queue(QueueName=f"queue-{k}", tags={"Application": f"app-{k % 7}"})


def _sns(sns: Any, n: dict[str, int]) -> None:
    for k in range(n["topics"]):
        sns.create_topic(Name=f"topic-{k}")


def _ssm(ssm: Any, n: dict[str, int]) -> None:
    for k in range(n["parameters"]):
        ssm.put_parameter(Name=f"/bench/{k}", Value="on", Type="String")


def _logs(logs: Any, n: dict[str, int]) -> None:
    for k in range(n["log groups"]):
        logs.create_log_group(logGroupName=f"/bench/{k}")


def _cloudwatch(cloudwatch: Any, n: dict[str, int]) -> None:
    for k in range(n["alarms"]):
        cloudwatch.put_metric_alarm(AlarmName=f"alarm-{k}", MetricName="CPUUtilization", Namespace="AWS/EC2", Statistic="Sum", Period=300, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold")  # fmt: skip


def _secretsmanager(secrets: Any, n: dict[str, int]) -> None:
    for k in range(n["secrets"]):
        secrets.create_secret(Name=f"bench/{k}", SecretString="none")


def _dynamodb(dynamodb: Any, n: dict[str, int]) -> None:
    for k in range(n["tables"]):
        dynamodb.create_table(TableName=f"table-{k}", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")  # fmt: skip


def _kms(kms: Any, n: dict[str, int]) -> None:
    for k in range(n["kms"]):
        kms.create_key(Description=f"bench {k}")


def _events(events: Any, n: dict[str, int]) -> None:
    for k in range(n["rules"]):
        events.put_rule(Name=f"rule-{k}", ScheduleExpression="rate(1 hour)")


def _rds(rds: Any, n: dict[str, int]) -> None:
    for k in range(n["databases"]):
        rds.create_db_instance(DBInstanceIdentifier=f"db-{k}", DBInstanceClass="db.t3.medium", Engine="postgres", AllocatedStorage=20, MasterUsername="bench", MasterUserPassword="bench-bench")  # fmt: skip


def _ecr(ecr: Any, n: dict[str, int]) -> None:
    for k in range(n["repositories"]):
        ecr.create_repository(repositoryName=f"bench/{k}")


def _elbv2(elbv2: Any, n: dict[str, int]) -> None:
    import boto3

    ec2 = boto3.client("ec2", region_name=elbv2.meta.region_name, endpoint_url=elbv2.meta.endpoint_url, aws_access_key_id="bench", aws_secret_access_key="bench")  # fmt: skip
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{k}.0/24", AvailabilityZone=f"{elbv2.meta.region_name}{'ab'[k]}")["Subnet"]["SubnetId"]
        for k in range(2)
    ]  # fmt: skip
    for k in range(n["balancers"]):
        balancer = elbv2.create_load_balancer(Name=f"balancer-{k}", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]  # fmt: skip
        group = elbv2.create_target_group(Name=f"targets-{k}", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])  # fmt: skip


def _acm(acm: Any, n: dict[str, int]) -> None:
    for k in range(n["certificates"]):
        acm.request_certificate(DomainName=f"c{k}.bench.example", ValidationMethod="DNS")


def _s3(s3: Any, n: dict[str, int]) -> None:
    for k in range(n["buckets"]):
        s3.create_bucket(
            Bucket=f"bench-{k}", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )


def _iam(iam: Any, n: dict[str, int]) -> None:
    for k in range(n["roles"]):
        iam.create_role(RoleName=f"role-{k}", AssumeRolePolicyDocument="{}")
    for k in range(n["users"]):
        iam.create_user(UserName=f"user-{k}")


def _route53(route53: Any, n: dict[str, int]) -> None:
    zone = route53.create_hosted_zone(Name="bench.example", CallerReference="1")["HostedZone"]["Id"]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
        {"Action": "CREATE", "ResourceRecordSet": {"Name": f"h{k}.bench.example", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}} for k in range(n["records"])
    ]})  # fmt: skip


FILL: dict[str, Callable[[Any, dict[str, int]], None]] = {
    "ec2": _ec2, "sqs": _sqs, "sns": _sns, "ssm": _ssm, "logs": _logs, "cloudwatch": _cloudwatch, "secretsmanager": _secretsmanager, "dynamodb": _dynamodb, "kms": _kms,
    "events": _events, "rds": _rds, "ecr": _ecr, "elbv2": _elbv2, "acm": _acm, "s3": _s3, "iam": _iam, "route53": _route53,
}  # fmt: skip
GLOBAL = ("s3", "iam", "route53")


def main(scale: float, latency: float, rate: float, only: frozenset[str]) -> None:
    """Serve until stdin closes."""
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    from toolkit.demo.recorded import with_recorded

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: object) -> None:
            """The gate counts."""

    gate = Gate(with_recorded(DomainDispatcherApplication(create_backend_app)), latency, rate)
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Quiet)
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        fill(url, scale, only)
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(
        float(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]),
        frozenset(filter(None, sys.argv[4].split(","))),
    )  # fmt: skip
