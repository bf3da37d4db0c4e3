"""Secrets -> Barbican where the cloud has it; keys -> the provider's key service or OpenBao, by decision."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.intents.secrets import Key, Secret
from toolkit.outcomes import Disposition, Option, Task, text
from toolkit.plan.names import slug
from toolkit.program import Config, Node

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target


def secret(intent: Secret, t: Target) -> Iterator[object]:
    """A Barbican secret whose payload the operator sets; nothing of the value is in the plan."""
    if not t.cloud.has("barbican"):
        yield Task(
            "secret-store",
            text("Keep {name} in a secret store of your own (OpenBao)", name=intent.name),
            text("{cloud} has no secret store in the catalogue.", cloud=t.cloud.product),
            lead_days=5,
            role="security",
            command=f"bao kv put secret/{shlex.quote(intent.name)} value=-",
            check=f"bao kv metadata get secret/{shlex.quote(intent.name)}",
            expected="The check shows version 1; the application reads it with a policy of its own.",
            undo=text("bao kv metadata delete secret/{name}", name=shlex.quote(intent.name)),
            minutes=15,
        )
        yield Disposition(
            "replatform",
            "The target has no secret store; OpenBao on a server of your own.",
            way_out="OpenBao",
        )
        return
    said = " ".join(intent.description.split()).rstrip(".")
    about = text(": {said}", said=said) if said else ""
    yield Node(
        type="openstack.keymanager.SecretV1",
        origin=intent.origin,
        tier="data",
        topic="vault",
        props={
            "name": intent.name,
            "payload": Config(
                f"secret-{slug(intent.name)}",
                secret=True,
                doc=text("The value of {name}{about}.", name=intent.name, about=about),
            ),
            "payload_content_type": "text/plain",
            "secret_type": "passphrase",
        },
        protect=True,
    )


def key(intent: Key, t: Target) -> Iterator[object]:
    """No key leaves KMS: what it encrypted is decrypted there and encrypted anew here."""
    options = [
        Option(
            "openbao",
            "OpenBao transit on a server of your own",
            "Keeps an encrypt/decrypt API; you run and unseal it.",
        ),
        Option(
            "storage",
            "Rely on the target's encrypted volumes and buckets",
            "Nothing to run; applications that call KMS themselves must change.",
        ),
    ]
    default = "openbao" if intent.purpose != "ENCRYPT_DECRYPT" else "storage"
    if t.cloud.name == "ovhcloud":
        options.insert(
            0, Option("okms", "OVHcloud KMS (OKMS)", "REST and KMIP with an own API; billed.")
        )
    t.ctx.decide(
        intent.origin,
        "key",
        text("What encrypts for {name} after KMS?", name=intent.name),
        options,
        default,
        "Volumes and buckets are encrypted by the target itself; a key that signs or computes MACs needs a service."
        if intent.purpose != "ENCRYPT_DECRYPT"
        else "Nothing read here shows an application that calls KMS itself; if one does, choose a service.",
    )
    source = t.ctx.estate.by_key[intent.origin]
    yield Task(
        "key-reencrypt",
        text(
            "Decrypt what {name} protects while KMS still answers, and encrypt it anew",
            name=intent.name,
        ),
        "Key material cannot be exported: what only KMS can decrypt is lost on the day that AWS is cut off.",
        lead_days=30,
        role="security",
        command=f"aws cloudtrail lookup-events --region {shlex.quote(source.region)} --lookup-attributes AttributeKey=ResourceName,AttributeValue={shlex.quote(source.arn or source.id)} --max-results 50 --query 'Events[].[EventName,Username,EventTime]' --output text",
        expected="The command names who uses the key; each of them has an owner, and nothing that it encrypted is only readable through it any more.",
        undo="Keep the key at AWS; encrypting anew harms nothing.",
        minutes=None,
        basis="how much is encrypted with the key is in no record that was read",
    )
    yield Disposition(
        "refactor",
        "Keys never leave KMS.",
        way_out="The target's own encryption, OKMS at OVHcloud, or OpenBao.",
        work="Find every caller of KMS, re-encrypt what it holds, then switch the callers.",
    )


REALISE: Mapping[type[Intent], Realise] = {Secret: secret, Key: key}
