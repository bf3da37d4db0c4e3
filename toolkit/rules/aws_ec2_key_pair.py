"""Key pair -> key pair with the operator's own public key: Nova must never make one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.compute import KeyPair
from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Kept by name where a server uses it."""
    name = source.record["KeyName"]
    users = [
        each
        for each in ctx.estate.where("aws.ec2.instance", "KeyName", name)
        if each.region == source.region
    ]
    users += ctx.estate.having("aws.ec2.launch_template", _keys, name)
    if not users:
        yield Disposition("retire", text("No server uses {name}.", name=name))
        return
    yield KeyPair(origin=source.key, name=name)
    yield Loss(
        "PublicKey",
        text(
            "The public part of {name} ({kind}) is set by the operator; the private part is with whoever has it today.",
            name=name,
            kind=source.record.get("KeyType", "rsa"),
        ),
    )


def _keys(template: Resource) -> Iterator[object]:
    yield ((template.record.get("Version") or [{}])[0].get("LaunchTemplateData") or {}).get(
        "KeyName"
    )


RULE = Rule(
    type="aws.ec2.key_pair",
    title="Key pair",
    service="ec2",
    fetch=Fetch(
        "ec2",
        "describe_key_pairs",
        "KeyPairs[]",
        id="KeyName",
        arn="arn:{partition}:ec2:{region}:{account}:key-pair/{id}",
    ),
    translate=translate,
    carried=fields("KeyName KeyType"),
    noise=noise(id="KeyPairId KeyFingerprint", timestamp="CreateTime", internal="PublicKey Tags"),
)
