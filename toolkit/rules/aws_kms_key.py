"""KMS key -> re-encryption: no key ever leaves AWS, and what only it can decrypt is lost with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.secrets import Key
from toolkit.outcomes import Disposition, Finding, Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """AWS's own keys are absorbed; a key of yours becomes a decision and a re-encryption."""
    meta = source.record.get("Key") or {}
    aliases = [
        a["AliasName"].removeprefix("alias/")
        for a in source.record.get("Aliases", [])
        if a.get("AliasName")
    ]
    name = aliases[0] if aliases else source.name
    if meta.get("KeyManager") == "AWS" or any(each.startswith("aws/") for each in aliases):
        yield Disposition(
            "absorbed",
            text(
                "AWS made and manages {name}; the target encrypts with keys of its own.", name=name
            ),
        )
        return
    if meta.get("KeyState") == "PendingDeletion":
        yield Finding(
            "key-pending-deletion",
            "critical",
            text("{name} is being deleted; what it encrypted is unreadable after that.", name=name),
        )
        yield Disposition("retire", "It is waiting for its deletion.")
        return
    yield Key(
        origin=source.key,
        name=name,
        purpose=meta.get("KeyUsage", "ENCRYPT_DECRYPT"),
        algorithm=meta.get("KeySpec", "SYMMETRIC_DEFAULT"),
        rotated=bool((source.record.get("Rotation") or {}).get("KeyRotationEnabled")),
    )
    yield Finding(
        "kms-ciphertext",
        "warning",
        text(
            "What {name} ({spec}, {usage}{state}) encrypted can only be decrypted by KMS: decrypt it before AWS is out of reach.{note}",
            name=name,
            spec=meta.get("KeySpec") or text("symmetric"),
            usage=meta.get("KeyUsage", "ENCRYPT_DECRYPT"),
            state="" if meta.get("Enabled", True) else text(", disabled"),
            note=text(" Its purpose: {purpose}.", purpose=meta["Description"])
            if meta.get("Description")
            else "",
        ),
    )
    if (source.record.get("Rotation") or {}).get("KeyRotationEnabled"):
        yield Loss(
            "Rotation.KeyRotationEnabled",
            "Yearly rotation of the key material ends; the successor's rotation is set up there.",
        )
    if meta.get("MultiRegion"):
        yield Loss("Key.MultiRegion", "Replicas in other regions have no successor.")


RULE = Rule(
    type="aws.kms.key",
    title="KMS key",
    service="kms",
    fetch=Fetch(
        "kms",
        "list_keys",
        "Keys[]",
        id="KeyId",
        name="Aliases.AliasName",
        arn="KeyArn",
        details=(
            Detail("describe_key", {"KeyId": "KeyId"}, into="Key", path="KeyMetadata"),
            Detail("list_aliases", {}, into="Aliases", path="Aliases[]", match="TargetKeyId"),
            Detail(
                "list_resource_tags",
                {"KeyId": "KeyId"},
                into="Tags",
                path="Tags[]",
                absent=("AccessDeniedException",),
                when="Key.KeyManager",
            ),
            Detail(
                "get_key_rotation_status",
                {"KeyId": "KeyId"},
                into="Rotation",
                absent=(
                    "AccessDeniedException",
                    "UnsupportedOperationException",
                    "KMSInvalidStateException",
                ),
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "Key.KeyManager Key.KeyState Key.KeyUsage Key.KeySpec Key.Enabled Key.Description Key.MultiRegion Aliases.AliasName Rotation.KeyRotationEnabled"
    ),
    lost={
        "Key.Origin": Lost(
            "Imported or external key material: its owner has a copy and can import it elsewhere.",
            unless="AWS_KMS",
        ),
        "Key.CustomKeyStoreId": "The custom key store has no successor in the catalogue.",
        "Key.XksKeyConfiguration": "The external key store must be connected to the successor.",
        "Rotation.RotationPeriodInDays": Lost(
            "The rotation period is set up at the successor.", unless=365
        ),
        "Tags": "The successor is tagged where it is made.",
    },
    noise=noise(
        id="KeyId KeyArn Key.KeyId Key.Arn Key.AWSAccountId Aliases.AliasArn Aliases.TargetKeyId Key.CloudHsmClusterId Key.CurrentKeyMaterialId Rotation.KeyId",
        timestamp="Key.CreationDate Key.DeletionDate Key.ValidTo Aliases.CreationDate Aliases.LastUpdatedDate Rotation.OnDemandRotationStartDate",
        internal="Key.ExpirationModel Key.PendingDeletionWindowInDays",
        derived="Key.CustomerMasterKeySpec Key.EncryptionAlgorithms Key.SigningAlgorithms Key.KeyAgreementAlgorithms Key.EncapsulationAlgorithms Key.MacAlgorithms Key.MultiRegionConfiguration",
    ),
    volatile=fields("Rotation.NextRotationDate"),
)
