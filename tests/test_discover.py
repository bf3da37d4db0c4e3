"""Discovery against an AWS that is slow, shut, broken or cut off: nothing is lost, everything is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import orjson
import pytest
from botocore import xform_name

from tests.support.aws import MAIN, REGION, Server, server, xml
from toolkit import policy, workspace
from toolkit.cli import run
from toolkit.estate.engine import Place
from toolkit.estate.unknown import look, unknown
from toolkit.init import init
from toolkit.progress import Progress
from toolkit.rules import load as load_rules

SEVERAL = (
    "aws.sqs.queue", "aws.sns.topic", "aws.dynamodb.table", "aws.logs.log_group", "aws.ecr.repository", "aws.kms.key",
    "aws.ssm.parameter", "aws.secretsmanager.secret",
)  # fmt: skip
"""One type of each of eight services."""


@pytest.fixture(scope="module")
def aws() -> Iterator[Server]:
    with server() as made:
        _fill(made.url)
        yield made


@pytest.fixture(autouse=True)
def _environment(aws: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    aws.order()
    yield
    aws.order()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init(tmp_path / "w", target="ovhcloud", project="p")
    return tmp_path / "w"


def _client(url: str, service: str, region: str = REGION) -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id="AKIATESTTESTTESTTEST",
        aws_secret_access_key="x",
    )


def _fill(url: str) -> None:
    tags = [{"Key": "Name", "Value": "shop"}, {"Key": "app", "Value": "shop"}]
    ec2 = _client(url, "ec2")
    for n in range(2):
        ec2.create_vpc(
            CidrBlock=f"10.{n}.0.0/16",
            TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],
        )
    queue = _client(url, "sqs").create_queue(QueueName="orders", tags={"app": "shop"})["QueueUrl"]
    _client(url, "sqs").send_message(QueueUrl=queue, MessageBody="one")
    _client(url, "sqs", "eu-west-3").create_queue(QueueName="paris")
    _client(url, "sns").create_topic(Name="orders", Tags=tags)
    _client(url, "dynamodb").create_table(
        TableName="carts",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    _client(url, "logs").create_log_group(logGroupName="/shop")
    _client(url, "ecr").create_repository(repositoryName="shop")
    _client(url, "kms").create_key(Description="shop")
    _client(url, "secretsmanager").create_secret(Name="shop/db", SecretString="planted-secret-1")
    _client(url, "ssm").put_parameter(
        Name="/shop/pw", Value="planted-secret-2", Type="SecureString"
    )
    _client(url, "ssm").put_parameter(Name="/shop/url", Value="planted-secret-3", Type="String")
    _client(url, "s3").create_bucket(
        Bucket="shop", CreateBucketConfiguration={"LocationConstraint": REGION}
    )


def _types(*types: str) -> list[str]:
    return [word for each in types for word in ("--type", each)]


def _discover(
    folder: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, Any], str]:
    """(exit code, answer, stderr) of `repatria discover --json`."""
    capsys.readouterr()
    code = run(["discover", "-C", str(folder), "--json", *words])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


def _gaps(answer: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(gap["service"], gap["operation"], gap["reason"]) for gap in answer["gaps"]}


# ------------------------------------------------------------------------------ one whole reading


def _explored() -> dict[str, Any]:
    """Resource Explorer's answer: things that no rule knows, and of another region."""
    held = [("glue:job", REGION, n) for n in range(3)]
    held += [("appstream:fleet", REGION, 0), ("quicksight:dashboard", "eu-west-3", 0)]
    return {
        "Resources": [
            {
                "Arn": f"arn:aws:{kind.split(':')[0]}:{region}:{MAIN}:{kind.split(':')[1]}/x-{n}",
                "OwningAccountId": MAIN,
                "Region": region,
                "ResourceType": kind,
                "Service": kind.split(":")[0],
            }
            for kind, region, n in held
        ],
        "Count": {"Complete": True, "TotalResources": len(held)},
    }


def test_a_whole_reading_twice(
    aws: Server,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded: set[tuple[str, str]] = set()
    inner = botocore.client.BaseClient._make_api_call

    def recording(self: Any, operation: str, params: Any) -> Any:
        recorded.add((self.meta.service_model.service_name, xform_name(operation)))
        return inner(self, operation, params)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", recording)
    explorer = {"contains": '"QueryString"', "status": 200, "body": json.dumps(_explored())}
    aws.order(faults=[explorer])
    code, answer, _ = _discover(folder, capsys, "--measures")
    assert code == 3
    first = (folder / workspace.ESTATE).read_bytes()
    before = (folder / workspace.OBSERVED).read_bytes()
    called = frozenset(recorded)

    # what moves by itself: a counter of a queue and of every subnet, and the order of tags
    queue = _client(aws.url, "sqs").get_queue_url(QueueName="orders")["QueueUrl"]
    _client(aws.url, "sqs").send_message(QueueUrl=queue, MessageBody="two")
    two = r"(<item>\s*<key>Name</key>.*?</item>)\s*(<item>\s*<key>app</key>.*?</item>)"
    aws.order(
        faults=[explorer],
        rewrite=[
            (r"(<availableIpAddressCount>)\d+", r"\g<1>7"),
            (two, r"\2\1"),
        ],
    )
    _discover(folder, capsys)
    assert (folder / workspace.ESTATE).read_bytes() == first
    assert (folder / workspace.OBSERVED).read_bytes() != before

    # what was called: nothing that gives a secret, everything that the policy allows
    assert len(called) > 100
    giving = {
        "get_secret_value", "batch_get_secret_value", "get_parameter", "get_parameters", "get_parameters_by_path", "get_parameter_history",
        "decrypt", "get_password_data", "get_object", "get_authorization_token", "generate_data_key", "receive_message", "select_object_content",
    }  # fmt: skip
    assert not {pair for pair in called if pair[1] in giving}
    reading = ("list_", "describe_", "get_", "search", "batch_get_")
    assert not {pair for pair in called if not pair[1].startswith(reading)}
    allowed = {
        each
        for document in policy.policies()
        for s in document["Statement"]
        for each in s["Action"]
    }
    said = {
        (rule.fetch.service, rule.fetch.operation): rule.fetch.action.split()
        for rule in load_rules().values()
        if rule.fetch.action
    }
    needed = {pair: said.get(pair) or [policy.action(*pair)] for pair in called}
    assert not {pair: words for pair, words in needed.items() if not set(words) <= allowed}

    # what no rule knows, and no planted secret
    unknown = {(g["service"], g["count"]) for g in answer["gaps"] if g["reason"] == "no-rule"}
    assert {("appstream", 1), ("glue", 3)} <= unknown
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"planted-secret" not in path.read_bytes(), path.name


def test_what_one_list_call_says_is_not_asked_record_by_record(
    aws: Server,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sns, kms, ec2 = (_client(aws.url, service) for service in ("sns", "kms", "ec2"))
    queue = f"arn:aws:sqs:{REGION}:{MAIN}:orders"
    topics = [sns.create_topic(Name=name)["TopicArn"] for name in ("own", "foreign")]
    for topic in topics:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    for name in ("one", "two"):
        data = {"InstanceType": f"t3.{name}"}
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    called: Counter[str] = Counter()
    inner = botocore.client.BaseClient._make_api_call

    def counting(self: Any, operation: str, params: Any) -> Any:
        called[operation] += 1
        answer = inner(self, operation, params)
        if operation == "ListSubscriptions":  # the subscriber of another account lists it, not we
            own = [s for s in answer["Subscriptions"] if s["TopicArn"] != topics[1]]
            answer = {**answer, "Subscriptions": own}
        if operation == "GetTopicAttributes":  # moto counts none
            confirmed = str(int(params["TopicArn"] in topics))
            answer["Attributes"]["SubscriptionsConfirmed"] = confirmed
        return answer

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", counting)
    aws.order(rewrite=[("</Bucket>", "<BucketRegion>eu-west-3</BucketRegion></Bucket>")])
    types = (
        "aws.sns.topic", "aws.kms.key", "aws.ec2.launch_template", "aws.s3.bucket",
        "aws.iam.user", "aws.iam.group", "aws.iam.role", "aws.iam.policy",
    )  # fmt: skip
    _discover(folder, capsys, *_types(*types))
    once = ("ListSubscriptions", "ListAliases", "DescribeLaunchTemplateVersions", "GetAccountAuthorizationDetails")  # fmt: skip
    assert {name: called[name] for name in once} == dict.fromkeys(once, 1)
    assert called["ListSubscriptionsByTopic"] == 1, "only where somebody else subscribes"
    assert not called["GetBucketLocation"]
    read = {(r.type, r.name): r for r in workspace.read_estate(folder / workspace.ESTATE)}
    for topic in topics:
        held = read["aws.sns.topic", topic.rsplit(":", 1)[-1]].record["Subscriptions"]
        assert [s["Endpoint"] for s in held] == [queue]
    assert "Subscriptions" not in read["aws.sns.topic", "shop"].record
    assert [a["TargetKeyId"] for a in read["aws.kms.key", "alias/a"].record["Aliases"]] == [key]
    for name in ("one", "two"):
        (version,) = read["aws.ec2.launch_template", name].record["Version"]
        assert version["LaunchTemplateData"]["InstanceType"] == f"t3.{name}"
    bucket = read["aws.s3.bucket", "shop"]
    assert (bucket.region, bucket.record["Location"]) == ("eu-west-3", "eu-west-3")
    assert "BucketRegion" not in bucket.record


# -------------------------------------------------------------------------------- cut off, continued


_STOPPABLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""Whoever runs the tests in the background of a script has Ctrl-C ignored, and children inherit that."""


def _begin(folder: Path, aws: Server, *words: str) -> subprocess.Popen[str]:
    """A discovery in a child process, slow, with at least two of its parts read."""
    aws.order(delay=0.4)
    child = subprocess.Popen(
        [sys.executable, "-c", _STOPPABLE + "from toolkit.cli import main; main()", "discover", "-C", str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    until = time.monotonic() + 30
    while len(_parts(folder)) < 2 and time.monotonic() < until:
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    return child


def _parts(folder: Path) -> list[Path]:
    return list((folder / ".repatria" / "spool").glob("*/*.jsonl"))


def test_kill_9_loses_nothing_that_was_read(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = _begin(folder, aws, *_types(*SEVERAL))
    child.kill()
    child.communicate(timeout=10)
    parts = _parts(folder)
    assert 2 <= len(parts) < len(SEVERAL)
    assert not (folder / workspace.ESTATE).exists()
    for each in parts:
        os.utime(each, (time.time() - 420, time.time() - 420))

    aws.order()
    code, answer, said = _discover(folder, capsys, *_types(*SEVERAL))
    assert code == 0
    assert answer["reused_parts"] == len(parts)
    assert f"continuing: {len(parts)} of {len(SEVERAL)} parts were read before" in said
    assert "the oldest 7 min ago" in said
    continued = (folder / workspace.ESTATE).read_bytes()
    assert not _parts(folder)

    code, whole, said = _discover(folder, capsys, *_types(*SEVERAL))
    assert (folder / workspace.ESTATE).read_bytes() == continued
    assert answer["calls"] < whole["calls"]
    assert "continuing" not in said


def test_fresh_starts_again(aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = _begin(folder, aws, *_types(*SEVERAL))
    child.kill()
    child.communicate(timeout=10)
    aws.order()
    code, answer, said = _discover(folder, capsys, "--fresh", *_types(*SEVERAL))
    assert (code, answer["reused_parts"]) == (0, 0)
    assert "continuing" not in said


def test_ctrl_c_keeps_what_was_read(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = _begin(folder, aws, *_types(*SEVERAL))
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "again to continue" in err
    assert "Traceback" not in err
    assert out == ""
    kept = len(_parts(folder))
    assert kept >= 2
    aws.order()
    code, answer, _ = _discover(folder, capsys, *_types(*SEVERAL))
    assert (code, answer["reused_parts"]) == (0, kept)
    assert set(answer["counts"]) == set(SEVERAL)


def test_a_part_with_gaps_is_read_again(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.order(faults=[_denied("AmazonSQS.ListQueues")])
    code, _, said = _discover(folder, capsys, *_types("aws.sqs.queue"))
    assert code == 1
    assert "error: AWS denied every call" in said
    assert "repatria policy" in said
    aws.order()
    code, answer, _ = _discover(folder, capsys, *_types("aws.sqs.queue"))
    assert (code, answer["counts"]) == (0, {"aws.sqs.queue": 1})


# ------------------------------------------------------------------------------- refused and broken


def test_where_nobody_can_look_for_the_rest_it_is_said(
    aws: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(boto3.Session(), MAIN, REGION, "aws", "us-east-1")
    progress = Progress()
    counted = {gap.service: gap.count for gap in unknown([look(place, progress)], set(), ())}
    assert counted["sqs"] == 1, "tagged, and taken for unread"
    assert progress.calls >= 1
    _no_backoff(monkeypatch)
    aws.order(faults=[_denied('"QueryString"'), _denied("ResourceGroupsTaggingAPI")])
    (gap,) = unknown([look(place, Progress())], set(), ())
    assert (gap.service, gap.reason) == ("resource-explorer-2", "unavailable")
    many = [
        {**_explored()["Resources"][0], "Arn": f"arn:aws:glue:{REGION}:{MAIN}:job/{n}"}
        for n in range(1000)
    ]
    cut = {"contains": '"QueryString"', "status": 200, "body": json.dumps({"Resources": many})}
    aws.order(faults=[cut])
    reasons = {gap.reason for gap in unknown([look(place, Progress())], set(), ())}
    assert reasons == {"truncated", "no-rule"}


def test_aws_config_counts_what_nobody_else_names(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {
        "AWS::EC2::Instance": 4, "AWS::EC2::EIP": 2, "AWS::ElasticLoadBalancingV2::LoadBalancer": 1, "AWS::RDS::DBInstance": 1,
        "AWS::Glue::Job": 3, "AWS::CloudTrail::Trail": 2, "AWS::Config::ResourceCompliance": 9,
    }  # fmt: skip
    recorders = {"ConfigurationRecorders": [{"name": "default"}]}
    pages = [list(counts.items())[:4], list(counts.items())[4:]]
    bodies = [
        {"resourceCounts": [{"resourceType": k, "count": n} for k, n in page], **more}
        for page, more in zip(pages, ({"nextToken": "2"}, {}), strict=True)
    ]
    asked = "GetDiscoveredResourceCounts"
    aws.order(
        faults=[
            {"contains": '"QueryString"', "status": 200, "body": json.dumps(_explored())},
            {"contains": "DescribeConfigurationRecorders", "status": 200, "body": json.dumps(recorders)},
            {"contains": asked, "status": 200, "body": json.dumps(bodies[0]), "times": 1},
            {"contains": asked, "status": 200, "body": json.dumps(bodies[1])},
        ]
    )  # fmt: skip
    place = Place(boto3.Session(), MAIN, REGION, "aws", "us-east-1")
    gaps = list(unknown([look(place, Progress())], set(), load_rules()))
    said = {gap.detail.partition(" × ")[2]: (gap.service, gap.count) for gap in gaps}
    assert said["AWS::CloudTrail::Trail"] == ("cloudtrail", 2)
    assert said["glue:job"] == ("glue", 3), "named by Resource Explorer: not counted again"
    assert [kind for kind in said if kind.startswith("AWS::")] == ["AWS::CloudTrail::Trail"]


def _denied(contains: str) -> dict[str, Any]:
    return {
        "contains": contains,
        "status": 400,
        "body": json.dumps({"__type": "AccessDeniedException"}),
    }


@pytest.mark.parametrize(
    ("fault", "gap"),
    [
        ({"status": 403, "body": xml("UnauthorizedOperation")}, "denied"),
        ({"status": 503, "body": xml("RequestLimitExceeded")}, "throttled"),
        ({"status": 503, "body": xml("Unavailable")}, "unavailable"),
        ({"status": 500, "body": xml("InternalError")}, "unavailable"),
        (
            {"status": 502, "body": "<!doctype html>\n<html lang=en><title>502 Bad Gateway"},
            "unavailable",
        ),
        ({"status": 200, "body": "<no"}, "error"),
        ({"status": 400, "body": xml("SomethingNew")}, "error"),
    ],
)
def test_a_failing_call_is_a_gap_and_the_rest_is_read(
    aws: Server,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    gap: str,
) -> None:
    _no_backoff(monkeypatch)
    aws.order(faults=[{"contains": "Action=DescribeVpcs", **fault}])
    types = ("aws.ec2.vpc", "aws.ec2.subnet", "aws.sqs.queue")
    code, answer, said = _discover(folder, capsys, *_types(*types))
    assert code == 3
    assert _gaps(answer) == {("ec2", "describe_vpcs", gap)}
    assert answer["counts"]["aws.ec2.subnet"] >= 1
    assert answer["counts"]["aws.sqs.queue"] == 1
    assert "Traceback" not in said
    assert workspace.read_estate(folder / workspace.ESTATE).gaps[0].reason == gap


def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.retries.standard import ExponentialBackoff

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.0)


@pytest.mark.parametrize("call", ["DescribeVpcs", "GetCallerIdentity", "DescribeRegions"])
def test_a_page_of_html_in_the_place_of_an_answer_is_asked_again(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:  # fmt: skip
    _no_backoff(monkeypatch)
    page = "<!DOCTYPE html>\n<html lang=en><title>500 Internal Server Error</title>"
    aws.order(faults=[{"contains": f"Action={call}", "status": 500, "body": page, "times": 2}])
    code, answer, _ = _discover(folder, capsys, *_types("aws.ec2.vpc"))
    assert (code, _gaps(answer)) == (0, set())
    assert answer["counts"]["aws.ec2.vpc"] >= 1


def test_throttling_that_ends_costs_nothing(
    aws: Server,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from toolkit.estate.engine import Limiter

    slower: list[float] = []
    inner = Limiter.slower

    def watched(self: Limiter) -> None:
        inner(self)
        slower.append(self.rate)

    monkeypatch.setattr(Limiter, "slower", watched)
    _no_backoff(monkeypatch)
    fault = {"contains": "Action=DescribeVpcs", "status": 503, "body": xml("RequestLimitExceeded")}
    aws.order(faults=[{**fault, "times": 3}])
    code, answer, _ = _discover(folder, capsys, *_types("aws.ec2.vpc"))
    assert (code, answer["gaps"]) == (0, [])
    assert slower == [10.0, 10.0, 10.0], "refusals at once halve the rate once"


def test_a_garbled_answer_names_its_type(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.order(rewrite=[(r'"CreationDateTime": ?[0-9.]+', '"CreationDateTime": "nonsense"')])
    code, answer, said = _discover(folder, capsys, *_types("aws.dynamodb.table", "aws.sqs.queue"))
    assert code == 3
    assert {gap["reason"] for gap in answer["gaps"]} == {"error"}
    assert any("aws.dynamodb.table" in gap["detail"] for gap in answer["gaps"])
    assert answer["counts"]["aws.sqs.queue"] == 1
    assert "Traceback" not in said


def test_a_record_without_an_id_names_its_type(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, whole, _ = _discover(folder, capsys, *_types("aws.ec2.vpc"))
    assert code == 0
    held = _client(aws.url, "ec2").describe_vpcs()["Vpcs"][-1]["VpcId"]
    aws.order(rewrite=[(f"<vpcId>{held}</vpcId>", "")])
    code, answer, _ = _discover(folder, capsys, *_types("aws.ec2.vpc"))
    assert code == 3
    assert answer["counts"]["aws.ec2.vpc"] == whole["counts"]["aws.ec2.vpc"] - 1
    assert [gap["reason"] for gap in answer["gaps"]] == ["error"]
    assert "aws.ec2.vpc" in answer["gaps"][0]["detail"]


# ------------------------------------------------------------------------------ regions and accounts


def test_a_region_that_is_not_enabled_is_said(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shut = r"(<regionName>eu-west-3</regionName>.*?<optInStatus>)[^<]*"
    other = r"(<optInStatus>)[^<]*(</optInStatus>\s*<regionName>eu-west-3<)"
    aws.order(rewrite=[(shut, r"\g<1>not-opted-in"), (other, r"\1not-opted-in\2")])
    words = ("--region", REGION, "--region", "eu-west-3", *_types("aws.sqs.queue"))
    code, answer, said = _discover(folder, capsys, *words)
    assert code == 3
    assert answer["regions"] == [REGION]
    assert [(gap["region"], gap["reason"]) for gap in answer["gaps"]] == [
        ("eu-west-3", "unavailable")
    ]
    assert "not enabled" in said
    code, answer, said = _discover(folder, capsys, "--all-regions", *_types("aws.sqs.queue"))
    assert code == 0
    assert len(answer["regions"]) > 10
    assert "eu-west-3" not in answer["regions"]
    assert "not enabled, not read: " in said


def test_all_regions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, _ = _discover(folder, capsys, "--all-regions", *_types("aws.sqs.queue"))
    assert (code, answer["counts"]) == (0, {"aws.sqs.queue": 2})
    assert {REGION, "eu-west-3"} <= set(answer["regions"])


def test_many_accounts_by_role(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roles = [word for n in (1, 2) for word in ("--role-arn", f"arn:aws:iam::{n:012}:role/repatria")]
    code, answer, _ = _discover(folder, capsys, *roles, *_types("aws.ec2.vpc"))
    assert code == 0
    assert answer["accounts"] == [f"{1:012}", f"{2:012}", MAIN]
    found = {r.account for r in workspace.read_estate(folder / workspace.ESTATE)}
    assert found == set(answer["accounts"])


def test_a_role_that_cannot_be_assumed(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.order(
        faults=[{"contains": "Action=AssumeRole", "status": 403, "body": xml("AccessDenied")}]
    )
    role = "arn:aws:iam::000000000001:role/wrong"
    code, _, said = _discover(folder, capsys, "--role-arn", role)
    assert code == 1
    assert f"error: the role {role} cannot be assumed: AccessDenied" in said
    assert "hint: " in said


def test_an_organization_with_a_shut_and_a_closed_account(
    aws: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    organization = _client(aws.url, "organizations", "us-east-1")
    organization.create_organization(FeatureSet="ALL")
    made = [
        organization.create_account(AccountName=name, Email=f"{name}@example.org")[
            "CreateAccountStatus"
        ]["AccountId"]
        for name in ("open", "shut", "closed")
    ]
    organization.close_account(AccountId=made[2])
    aws.order(
        faults=[{"contains": f"{made[1]}%3Arole", "status": 403, "body": xml("AccessDenied")}]
    )
    code, answer, _ = _discover(folder, capsys, "--org-role", "reader", *_types("aws.ec2.vpc"))
    assert code == 3
    assert answer["accounts"] == sorted([MAIN, made[0]])
    gaps = {(gap["account"], gap["operation"], gap["reason"]) for gap in answer["gaps"]}
    assert gaps == {
        (made[1], "assume_role", "denied"),
        (made[2], "list_accounts", "unavailable"),
    }


def test_an_account_with_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, _ = _discover(folder, capsys, *_types("aws.efs.file_system"))
    assert (code, answer["counts"], answer["gaps"]) == (0, {}, [])
    assert run(["plan", "-C", str(folder), "--json"]) in (0, 3)
    plan = orjson.loads(capsys.readouterr().out)
    assert plan["totals"]["read"] == 0
    assert run(["render", "-C", str(folder)]) == 0
