"""The policies that discovery asks for: least, read-only, real actions, within AWS's size."""

from __future__ import annotations

import fnmatch
import json

import pytest

from toolkit import policy
from toolkit.cli import run
from toolkit.rules import load

ACTIONS = policy.actions(load().values())
GIVING = (
    "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath",
    "ssm:GetParameterHistory", "kms:Decrypt", "s3:GetObject", "s3:GetObjectVersion", "ec2:GetPasswordData", "ecr:GetAuthorizationToken",
    "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "sqs:ReceiveMessage", "kinesis:GetRecords", "logs:GetLogEvents", "logs:FilterLogEvents",
    "iam:CreateAccessKey", "cognito-idp:ListUsers", "rds:DownloadDBLogFilePortion",
)  # fmt: skip
"""Actions that give away content rather than configuration."""


def test_each_policy_is_read_only_and_small_enough() -> None:
    made = policy.policies()
    listed = [action for each in made for s in each["Statement"] for action in s["Action"]]
    assert sorted(listed) == ACTIONS
    assert len(set(listed)) == len(listed) > 100
    for document in made:
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144
        assert document["Version"] == "2012-10-17"
    for action in listed:
        service, _, name = action.partition(":")
        assert service
        assert "*" not in action
        assert name == "GET" or name.startswith(("Describe", "List", "Get", "Search", "AssumeRole"))
        assert action not in GIVING
    assert len(made) <= 10, "a role holds ten managed policies at most"


def test_every_action_is_one_that_aws_knows() -> None:
    held = pytest.importorskip("moto.iam.aws_managed_policies")
    document = json.loads(held.aws_managed_policies_data)
    known: set[str] = set()
    for name in ("ReadOnlyAccess", "SecurityAudit", "ViewOnlyAccess"):
        for statement in document[name]["Document"]["Statement"]:
            actions = statement.get("Action", [])
            known.update([actions] if isinstance(actions, str) else actions)
    wrong = {
        action
        for action in ACTIONS
        if not any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in known)
    }
    assert wrong <= {"sts:AssumeRole"}


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert run(["policy", "--part", "1"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == whole[0]
    assert f"{len(whole)} managed policies" in said.err
    assert run(["policy", "--part", str(len(whole) + 1)]) == 2
    assert "there are" in capsys.readouterr().err
