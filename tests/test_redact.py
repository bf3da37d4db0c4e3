"""Planted secrets -> none of them comes out in any form, and what only looks like one survives."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ConfigError, InternalError
from toolkit.estate.redact import UNPACKED_MAX, Redactor, load_key

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))
REDACTOR = Redactor(KEY)
INSTANCES = ("ec2", "DescribeInstances", "Reservations[].Instances[]")
STACKS = ("cloudformation", "describe_stacks", "Stacks[]")


def made(prefix: str = "", size: int = 20) -> str:
    """A secret of letters and digits that nothing else in a record can equal."""
    return prefix + "q7" + "".join(secrets.choice("abcdefghjkmnXYZ23456789") for _ in range(size))


def b64(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def user_data(text: str | bytes) -> dict[str, Any]:
    return {"LaunchTemplateData": {"UserData": b64(text)}}


def readable(clean: dict[str, Any]) -> str:
    return base64.b64decode(clean["LaunchTemplateData"]["UserData"]).decode()


VERSIONS = ("ec2", "DescribeLaunchTemplateVersions", "LaunchTemplateVersions[]")


def shell(s: str) -> str:
    return f"#!/bin/bash\nexport DB_PASSWORD={s}\nexport DB_HOST=db.internal\npsql -h db.internal\n"


def planted(s: str) -> dict[str, tuple[str, str, str, dict[str, Any]]]:
    lam = ("lambda", "ListFunctions", "Functions[]")
    ecs = ("ecs", "DescribeTaskDefinition", "taskDefinition")
    pem = f"-----BEGIN RSA PRIVATE KEY-----\n{s}\n{s}\n-----END RSA PRIVATE KEY-----"
    jwt = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{s}"
    pad = (s + "A" * 40)[:40]
    mime = (
        'Content-Type: multipart/mixed; boundary="XX"\nMIME-Version: 1.0\n\n--XX\n'
        "Content-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\n"
        f"{base64.encodebytes(shell(s).encode()).decode()}--XX--\n"
    )
    files = "#cloud-config\nwrite_files:\n  - encoding: {}\n    content: {}\n    path: /etc/app\n"

    def env(name: str, value: str) -> tuple[str, str, str, dict[str, Any]]:
        return (*ecs, {"containerDefinitions": [{"environment": [{"name": name, "value": value}]}]})

    def tag(key: str, value: str) -> tuple[str, str, str, dict[str, Any]]:
        return (*INSTANCES, {"Tags": [{"Key": key, "Value": value}]})

    def script(text: str | bytes) -> tuple[str, str, str, dict[str, Any]]:
        return (*VERSIONS, user_data(text))

    return {
        "lambda env": (*lam, {"Environment": {"Variables": {"STRIPE": s}}}),
        "lambda presigned": (
            "lambda", "GetFunction", "",
            {"Code": {"Location": f"https://b.s3.amazonaws.com/k?versionId=1&X-Amz-Signature={s}"}},
        ),
        "ecs password": env("DB_PASSWORD", s),
        "ecs lower": env("dbpassword", s),
        "ecs api key": env("MAPS_API_KEY", s),
        "ecs url": env("DATABASE_URL", f"postgres://app:{s}@db.internal:5432/app"),
        "ecs url with slash": env("DATABASE_URL", f"postgres://app:a/{s}@db.internal/app"),
        "ecs url with at": env("BROKER", f"amqps://app:x@{s}@mq.internal:5671"),
        "ecs connection string": env("MAIN", f"Server=db.internal;User Id=sa;Password={s};"),
        "ecs json": env("SETTINGS", json.dumps({"db": {"password": s, "host": "h"}})),
        "ecs json in json": env("S", json.dumps({"x": json.dumps({"password": s, "a": 1})})),
        "ecs base64 json": env("SETTINGS", b64(json.dumps({"password": s, "host": "h"}))),
        "ecs key": env("COOKIE_SIGNING_KEY", s),
        "ecs weak key": env("FERNET_KEY", s),
        "ecs command": (*ecs, {"containerDefinitions": [{"command": ["app", f"--password={s}"]}]}),
        "ecs flag": (*ecs, {"containerDefinitions": [{"command": [f"app --db-password {s} -v"]}]}),
        "ecs split flag": (*ecs, {"containerDefinitions": [{"command": ["app", "--password", s]}]}),
        "launch shell": script(shell(s)),
        "launch gzip": script(gzip.compress(shell(s).encode(), mtime=0)),
        "launch multipart": script(mime),
        "launch gzip multipart": script(gzip.compress(mime.encode(), mtime=0)),
        "launch write_files b64": script(files.format("b64", b64(shell(s)))),
        "launch write_files gzip": script(
            files.format("gz+b64", b64(gzip.compress(shell(s).encode(), mtime=0)))
        ),
        "launch yaml words": script(f"#cloud-config\npassword: two {s} words\nhost: a\n"),
        "launch mysql": script(f"#!/bin/sh\nmysql -h db -u root -p{s} app\n"),
        "launch curl": script(f"#!/bin/sh\ncurl -fsS -u ci:{s} https://repo.internal/x\n"),
        "launch chpasswd": script(f"#!/bin/sh\necho 'root:{s}' | chpasswd\n"),
        "launch PGPASSWORD": script(f"#!/bin/sh\nPGPASSWORD={s} psql -h db.internal\n"),
        "launch sql": script(f"CREATE USER a IDENTIFIED BY '{s}';"),
        "launch header": script(f"curl -H 'Authorization: Bearer {s}' https://x.internal"),
        "launch aws keys": script(f"[default]\naws_access_key_id = AKIA{'A' * 16}\nx = {pad}\n"),
        "launch quoted": script(f'#!/bin/sh\nDB_PASSWORD="a\\"{s}"\n'),
        "launch powershell": script(f"powershell -e {b64(f'$password = {s!r}'.encode('utf-16-le'))}"),
        "launch binary": script(b"\x7fELF\0\xff" + s.encode()),
        "instance attribute": (
            "ec2", "DescribeInstanceAttribute", "", {"UserData": {"Value": b64(shell(s))}},
        ),
        "launch configuration": (
            "autoscaling", "DescribeLaunchConfigurations", "LaunchConfigurations[]",
            {"UserData": b64(shell(s))},
        ),
        "stack parameter": (
            *STACKS, {"Parameters": [{"ParameterKey": "DbPassword", "ParameterValue": s}]},
        ),
        "stack output": (*STACKS, {"Outputs": [{"OutputKey": "ApiToken", "OutputValue": s}]}),
        "template default": (
            "cloudformation", "GetTemplate", "",
            {"TemplateBody": {"Parameters": {"DbPassword": {"Type": "String", "Default": s}}}},
        ),
        "ssm parameter": (
            "ssm", "GetParameters", "Parameters[]",
            {"Name": "/prod/greeting", "Type": "SecureString", "Value": s},
        ),
        "cloudfront header": (
            "cloudfront", "GetDistributionConfig", "DistributionConfig.Origins.Items[]",
            {"CustomHeaders": {"Items": [{"HeaderName": "X-Origin-Verify", "HeaderValue": s}]}},
        ),
        "tag by name": tag("admin-password", s),
        "tag by shape": tag("note", f"use ghp_{s}{'a' * 20} please"),
        "tag slack": tag("chat", f"https://hooks.slack.com/services/T0/B0/{s}"),
        "tag gitlab": tag("ci", f"glpat-{s}"),
        "tag stripe": tag("pay", f"sk_live_{s}"),
        "tag sendgrid": tag("mail", f"SG.{s}.{s}"),
        "tag jwt": tag("note", jwt),
        "tag pem": tag("note", pem),
        "pem in json": env("CERT", json.dumps({"k": pem})),
        "vpn key": (
            "ec2", "DescribeVpnConnections", "VpnConnections[]",
            {"Options": {"TunnelOptions": [{"PreSharedKey": s, "OutsideIpAddress": "192.0.2.1"}]}},
        ),
        "vpn xml": (
            "ec2", "DescribeVpnConnections", "VpnConnections[]",
            {"CustomerGatewayConfiguration": f"<ike><pre_shared_key>{s}</pre_shared_key></ike>"},
        ),
        "xml elsewhere": tag("note", f"<a><pre_shared_key>{s}</pre_shared_key></a>"),
        "cognito": (
            "cognito-idp", "DescribeUserPoolClient", "UserPoolClient", {"ClientSecret": s},
        ),
        "rds pending": (
            "rds", "DescribeDBInstances", "DBInstances[]",
            {"PendingModifiedValues": {"MasterUserPassword": s}},
        ),
        "dms": (
            "dms", "DescribeEndpoints", "Endpoints[]", {"MySQLSettings": {"Password": s}},
        ),
        "dms attributes": (
            "dms", "DescribeEndpoints", "Endpoints[]",
            {"ExtraConnectionAttributes": f"a=1;authPassword={s};b=2"},
        ),
        "stage variable": (
            "apigateway", "GetStages", "item[]", {"variables": {"upstreamToken": s}},
        ),
        "api key": ("apigateway", "GetApiKeys", "items[]", {"id": "a1", "apiKeyValue": s}),
        "codebuild": (
            "codebuild", "BatchGetProjects", "projects[]",
            {"environment": {"environmentVariables": [{"name": "NPM_TOKEN", "value": s}]}},
        ),
        "batch": (
            "batch", "DescribeJobDefinitions", "jobDefinitions[]",
            {"containerProperties": {"environment": [{"name": "SMTP_PASS", "value": s}]}},
        ),
        "glue": (
            "glue", "GetConnections", "ConnectionList[]",
            {"ConnectionProperties": {"PASSWORD": s, "JDBC_CONNECTION_URL": "jdbc:mysql://h/d"}},
        ),
        "url query": tag("hook", f"https://x.internal/?a=1&token={s}&b=2"),
        "policy document": (
            "iam", "GetRolePolicy", "",
            {"PolicyDocument": {"Condition": {"StringEquals": {"aws:UserAgent": f"Bearer {s}"}}}},
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(planted("x")))
def test_no_planted_secret_comes_out(kind: str) -> None:
    secret = made()
    service, operation, path, record = planted(secret)[kind]
    before = copy.deepcopy(record)
    clean = REDACTOR.record(service, operation, path, record)
    assert record == before
    assert clean != record
    out = json.dumps(clean)
    assert secret not in _unfold(out)
    for spelling in (secret, quote(secret, safe=""), secret[::-1], b64(secret).rstrip("=")):
        assert spelling not in out
    assert REDACTOR.record(service, operation, path, clean) == clean


def _unfold(text: str, depth: int = 4) -> str:
    """The text with everything that base64 and gzip hide in it written behind it."""
    import re

    seen = [text]
    for run in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text.replace("\\n", "")):
        for cut in range(4 if depth else 0):
            body = run[cut:]
            raw = base64.b64decode(body[: len(body) // 4 * 4].rstrip("=") + "==")
            if raw[:2] == b"\x1f\x8b":
                raw = gzip.decompress(raw)
            inner = raw.replace(b"\0", b"").decode("latin-1")
            if cut == 0:
                seen.append(_unfold(inner, depth - 1))
            seen.append(inner)
    return "\n".join(seen)


def test_the_unfolding_of_the_tests_finds_what_is_hidden() -> None:
    for kind in ("launch gzip", "launch multipart", "launch write_files gzip", "launch powershell"):
        secret = made()
        assert secret in _unfold(json.dumps(planted(secret)[kind][3]))


SURVIVORS: dict[str, Any] = {
    "SecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf",
    "MasterUserSecret": {
        "SecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-AbC",
        "SecretStatus": "active",
        "KmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    },
    "KmsKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
    "image": f"1234.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:{'0a1b2c3d' * 8}",
    "ImageId": "ami-0abcdef1234567890",
    "SnapshotId": "snap-0abcdef1234567890",
    "PublicKey": f"ssh-rsa AAAA{b64(bytes(range(200)))} ops@example",
    "Body": f"-----BEGIN PUBLIC KEY-----\n{b64(bytes(range(90)))}\n-----END PUBLIC KEY-----",
    "Certificate": f"-----BEGIN CERTIFICATE-----\n{b64(bytes(range(250)))}\n-----END CERTIFICATE-----",
    "ETag": '"d41d8cd98f00b204e9800998ecf8427e"',
    "VersionId": "L4kqtJlcpXroDTDmpUMLUo0a1b2c3d4e",
    "PolicyDocument": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["secretsmanager:GetSecretValue", "sts:GetSessionToken"],
                    "Resource": "arn:aws:secretsmanager:*:123456789012:secret:*",
                    "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
                }
            ],
        }
    ),
    "Password": "{{resolve:secretsmanager:prod/db:SecretString:password}}",
    "DbSecret": "ssm:/prod/db/password",
    "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "Icon": b64(b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "Description": "token bucket rate limiter with basic authentication and password reset",
    "SecretId": "prod/db",
    "PasswordLastUsed": "2024-05-01T10:00:00Z",
    "TokenKeyId": "abcd1234efgh5678",
    "TokenSigningAlgorithm": "ES256",
    "AuthType": "AWS_IAM",
    "NextToken": "eyJ2IjoiMiJ9abcdef0123456789",
    "ClientToken": "a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6",
    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    "PasswordPolicy": {"MinimumLength": 12, "RequireSymbols": True},
    "Tags": [{"Key": "secret name", "Value": "prod/db"}, {"Key": "secret", "Value": "true"}],
    "secrets": [{"name": "DB_PASSWORD", "valueFrom": "/prod/db/password"}],
    "Endpoint": "https://api.example.internal:8443/v1?page=2&mail=a@b.example",
    "Parameters": [{"ParameterName": "password_encryption", "ParameterValue": "md5"}],
    "KeyName": "ops-2024",
    "UserData": b64("#!/bin/sh\nexport DB_HOST=db.internal\nPW=$(vault read x)\nTOKEN=${T}\n"),
    "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "LastModified": "2024-05-01T10:00:00.000+0000",
    "CodeSha256": b64(bytes(range(32))),
    "created": None,
}


@pytest.mark.parametrize("name", sorted(SURVIVORS))
def test_what_only_looks_like_a_secret_survives_as_the_same_object(name: str) -> None:
    record = {name: SURVIVORS[name]}
    assert REDACTOR.record(*INSTANCES, record) is record


def test_a_sensitive_map_keeps_its_arns_and_loses_the_rest() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:orders"
    record = {"Environment": {"Variables": {"TOPIC": topic, "GREETING": made()}}}
    clean = REDACTOR.record("lambda", "list_functions", "Functions[]", record)
    assert clean["Environment"]["Variables"]["TOPIC"] == topic
    assert clean["Environment"]["Variables"]["GREETING"].startswith("[redacted 22 chars hmac:")


def test_the_rest_of_user_data_stays_readable() -> None:
    packed = user_data(gzip.compress(shell(made()).encode(), mtime=0))
    text = readable(REDACTOR.record(*VERSIONS, packed))
    assert "export DB_HOST=db.internal\npsql -h db.internal\n" in text
    assert "export DB_PASSWORD=[redacted 22 chars hmac:" in text


def test_only_the_password_of_a_url_goes() -> None:
    text = REDACTOR.text(f"see postgres://app:{made()}@db.internal:5432/app?sslmode=require")
    head, _, tail = text.partition("[redacted 22 chars hmac:")
    assert head == "see postgres://app:"
    assert tail[16:] == "]@db.internal:5432/app?sslmode=require"


def test_a_presigned_url_loses_its_query_only() -> None:
    clean = REDACTOR.text(f"https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature={made()}")
    assert clean == "https://b.s3.amazonaws.com/k"


@pytest.mark.parametrize("size", [UNPACKED_MAX + 1, 200 * UNPACKED_MAX])
def test_a_gzip_bomb_is_kept_as_a_digest(size: int) -> None:
    bomb = gzip.compress(bytes(size), mtime=0)
    clean = REDACTOR.record(*VERSIONS, user_data(bomb))
    assert clean["LaunchTemplateData"]["UserData"].startswith("[redacted ")
    nested = user_data(f"#cloud-config\nx: {b64(gzip.compress(b'a ' * UNPACKED_MAX, mtime=0))}\n")
    assert "x: [redacted " in readable(REDACTOR.record(*VERSIONS, nested))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "a_key=",
        "token=$(",
        "https://a?",
        "a:a@",
        " \t",
        "mysql ",
        "://a:",
        "token=",
        'password="',
        "<password>",
        "https://",
        "eyJ",
    ],
)
def test_hostile_text_costs_as_its_length_grows(piece: str) -> None:
    """Sixteen times the text: some sixteen times the time, where a pattern that looks back over and over takes 256."""

    def seconds(length: int) -> float:
        text = "password " + piece * (length // len(piece))
        began = time.process_time()
        REDACTOR.text(text)
        return time.process_time() - began

    assert seconds(200_000) < 80 * max(0.0005, *(seconds(12_500) for _ in range(3)))


def test_equal_secrets_have_equal_digests_under_one_key_only() -> None:
    secret = made()
    tag = {"Tags": [{"Key": "password", "Value": secret}]}
    rds = {"PendingModifiedValues": {"MasterUserPassword": secret}}
    one = REDACTOR.record(*INSTANCES, tag)["Tags"][0]["Value"]
    two = REDACTOR.record("rds", "DescribeDBInstances", "DBInstances[]", rds)
    assert one == two["PendingModifiedValues"]["MasterUserPassword"]
    assert one != Redactor(bytes(32)).record(*INSTANCES, tag)["Tags"][0]["Value"]


def test_a_whole_response_and_a_part_of_it_agree() -> None:
    part = {"Options": {"TunnelOptions": [{"PreSharedKey": made()}]}}
    whole = REDACTOR.response("ec2", "DescribeVpnConnections", {"VpnConnections": [part]})
    assert whole["VpnConnections"][0] == REDACTOR.response(
        "ec2", "describe_vpn_connections", part, "VpnConnections[]"
    )
    assert whole["VpnConnections"][0] != part


def test_a_wrong_operation_or_path_is_a_bug_and_says_so() -> None:
    with pytest.raises(InternalError, match="no operation"):
        REDACTOR.record("ec2", "DescribeNothing", "", {})
    with pytest.raises(InternalError, match="nothing at"):
        REDACTOR.record("ec2", "DescribeInstances", "Reservations[].Nothing[]", {})


def test_the_key_does_not_show_in_its_repr() -> None:
    assert "key" not in repr(REDACTOR)


def test_a_key_is_made_once_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / ".repatria" / "redaction.key"
    seen: list[bytes] = []
    threads = [threading.Thread(target=lambda: seen.append(load_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert len(seen[0]) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["redaction.key"]  # noqa: PTH208


@pytest.mark.parametrize("fault", ["group", "others", "short", "link"])
def test_a_bad_key_file_is_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "redaction.key"
    load_key(path)
    if fault == "short":
        path.write_bytes(b"short")
    elif fault == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.chmod(0o640 if fault == "group" else 0o604)
    with pytest.raises(ConfigError) as caught:
        load_key(path)
    assert caught.value.hint


WORDS = st.sampled_from(
    """password=x PASSWORD: token secret =a\\" "b" ' :// u:p@h ://u:p@h/ Bearer key AKIAAAAAAAAAAAAAAAAA
    --token <pwd>x</pwd> export ; & ?sig=1 https://h/ -----BEGIN\tPRIVATE\tKEY----- a1b2c3d4e5f6g7h8i9
    [redacted chars hmac:0123456789abcdef] [redacted\t3\tchars\thmac:0123456789abcdef]
    cGFzc3dvcmQ9YWJjZGVmZ2hpamtsbW5vcA== eyJhbGciOiJI.eyJzdWIi.abcdefghij""".replace("\t", "\x00").split()
).map(lambda word: word.replace("\x00", " "))  # fmt: skip
TEXTS = st.one_of(st.lists(st.one_of(WORDS, st.sampled_from([" ", "\n", "", "="])), max_size=12).map("".join), st.text(max_size=30))  # fmt: skip
NAMES = st.sampled_from(
    [
        "Name",
        "Value",
        "Key",
        "ParameterValue",
        "Password",
        "UserData",
        "Tags",
        "Default",
        "Environment",
        "Variables",
        "x",
    ]
)
RECORDS = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner)),
        max_leaves=8,
    ),
)


def skeleton(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: skeleton(item) for key, item in value.items()}
    if isinstance(value, list):
        return [skeleton(item) for item in value]
    return "text" if isinstance(value, str) else (type(value), value)


@settings(max_examples=400, deadline=None)
@given(RECORDS)
def test_redaction_is_idempotent_and_keeps_the_structure(record: dict[str, Any]) -> None:
    before = copy.deepcopy(record)
    for place in (INSTANCES, ("lambda", "ListFunctions", "Functions[]")):
        clean = REDACTOR.record(*place, record)
        assert record == before
        assert skeleton(clean) == skeleton(record)
        assert REDACTOR.record(*place, clean) is clean


def instance(number: int) -> dict[str, Any]:
    mark = f"{number:017x}"
    return {
        "Architecture": "x86_64",
        "BlockDeviceMappings": [
            {
                "DeviceName": name,
                "Ebs": {"DeleteOnTermination": True, "Status": "attached", "VolumeId": f"vol-{mark}"},
            }
            for name in ("/dev/xvda", "/dev/sdf")
        ],
        "ClientToken": f"fleet-{mark}-0000-4000-8000-000000000000",
        "EbsOptimized": True,
        "Hypervisor": "xen",
        "IamInstanceProfile": {
            "Arn": f"arn:aws:iam::123456789012:instance-profile/web-{number}",
            "Id": f"AIPA{mark.upper()}",
        },
        "NetworkInterfaces": [
            {
                "Attachment": {"AttachmentId": f"eni-attach-{mark}", "DeviceIndex": 0},
                "Description": "Primary network interface",
                "Groups": [{"GroupName": "web", "GroupId": f"sg-{mark}"}],
                "MacAddress": "02:00:00:00:00:01",
                "NetworkInterfaceId": f"eni-{mark}",
                "OwnerId": "123456789012",
                "PrivateDnsName": f"ip-10-0-{number % 250}-4.eu-west-1.compute.internal",
                "PrivateIpAddress": f"10.0.{number % 250}.4",
                "Status": "in-use",
                "SubnetId": f"subnet-{mark}",
                "VpcId": f"vpc-{mark}",
            }
        ],
        "RootDeviceName": "/dev/xvda",
        "SecurityGroups": [{"GroupName": "web", "GroupId": f"sg-{mark}"}],
        "Tags": [
            {"Key": "Name", "Value": f"web-{number}"},
            {"Key": "owner", "Value": "platform@example.internal"},
            {"Key": "aws:cloudformation:stack-id", "Value": f"arn:aws:cloudformation:x:1:stack/{mark}"},
        ],
        "VirtualizationType": "hvm",
        "MetadataOptions": {"State": "applied", "HttpTokens": "required", "HttpEndpoint": "enabled"},
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "PrivateDnsNameOptions": {"HostnameType": "ip-name"},
        "ImageId": f"ami-{mark}",
        "InstanceId": f"i-{mark}",
        "InstanceType": "m5.large",
        "KeyName": "ops",
        "Placement": {"AvailabilityZone": "eu-west-1a", "Tenancy": "default"},
        "State": {"Code": 16, "Name": "running"},
        "SubnetId": f"subnet-{mark}",
        "VpcId": f"vpc-{mark}",
        "PrivateIpAddress": f"10.0.{number % 250}.4",
    }  # fmt: skip


def test_instances_without_secrets_are_cheap(record_property: pytest.RecordProperty) -> None:
    """Against a walk through the same records that Python's own library does, in the same breath."""
    fleet = [instance(number) for number in range(1000)]
    REDACTOR.record(*INSTANCES, fleet[0])

    def seconds(each: Callable[[dict[str, Any]], object]) -> float:
        began = time.process_time()
        for one in fleet:
            each(one)
        return time.process_time() - began

    assert all(REDACTOR.record(*INSTANCES, one) is one for one in fleet)
    ratios = [seconds(lambda one: REDACTOR.record(*INSTANCES, one)) / seconds(copy.deepcopy) for _ in range(3)]  # fmt: skip
    record_property("times_a_copy", round(min(ratios), 1))
    print(f"{min(ratios):.1f} times a copy")
    assert min(ratios) < 25
