"""SSM parameter -> secret or plain configuration; SecureStrings are never decrypted here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.secrets import Secret
from toolkit.outcomes import Disposition, Loss, Move, Outcome, Task, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """A SecureString becomes a secret; the rest is configuration that goes with the application."""
    record = source.record
    name, kind = record["Name"], record.get("Type", "String")
    if policies := [p for p in record.get("Policies", []) if p.get("PolicyType")]:
        yield Loss(
            "Policies",
            text(
                "Nothing expires or announces it any more ({kinds}).",
                kinds=", ".join(p["PolicyType"] for p in policies),
            ),
        )
    if kind == "SecureString":
        yield Secret(origin=source.key, name=name, description=record.get("Description", ""))
        yield Move("secrets", text("the value of {name}", name=name))
        return
    said = record.get("Description") or ""
    yield Task(
        "configuration",
        text("Put {name} into the application's configuration", name=name),
        text(
            "The target has no parameter store; plain values belong into Ansible's group variables.{description}",
            description=text(' Its description at AWS: "{said}".', said=said) if said else "",
        ),
        command=f"aws ssm get-parameter --region {shlex.quote(source.region)} --name {shlex.quote(name)} --query Parameter.Value --output text",
        check=f"grep -rn {shlex.quote(name.rpartition('/')[2] or name)} inventory/",
        expected="The value stands in the inventory under its name, and nothing reads the parameter any more.",
        minutes=10,
    )
    yield Disposition(
        "replatform",
        text(
            "A {kind} without secrecy ({data}) is configuration.",
            kind=kind,
            data=record.get("DataType", "text"),
        ),
        way_out="Ansible group variables, or a key-value store of your own",
    )


RULE = Rule(
    type="aws.ssm.parameter",
    title="SSM parameter",
    service="ssm",
    fetch=Fetch("ssm", "describe_parameters", "Parameters[]", id="Name", arn="ARN"),
    translate=translate,
    carried=fields("Name Type Description DataType Policies.PolicyType"),
    lost={
        "KeyId": "The target encrypts secrets with its own key.",
        "AllowedPattern": "Nothing checks the form of the value any more.",
    },
    noise=noise(
        id="ARN",
        timestamp="LastModifiedDate",
        internal="LastModifiedUser Version Tier",
        derived="Policies",
    ),
)
