"""S3 bucket -> bucket at the target; policies, events and locks are told, objects are moved."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.data import Bucket
from toolkit.outcomes import Disposition, Finding, Loss, Move, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Lost, Rule, fields, noise
from toolkit.rules._buckets import only_read, public, restricted

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The bucket with what the target can do; everything else is a loss with its reason."""
    record = source.record
    name = record["Name"]
    open_ = public(record)
    measured = ctx.measures.get(source.key, {})
    if measured.get("NumberOfObjects") == 0:
        yield Finding("bucket-empty", "info", text("{name} holds no object.", name=name))
        yield Disposition("retire", "It is empty.")
        yield Task(
            "keep", text("See that {name} is still empty", name=name), "It was empty when it was measured; what came since would be deleted with it.",
            command=f"aws s3api list-object-versions --region {shlex.quote(source.region)} --bucket {shlex.quote(name)} --max-items 1 --query '[Versions,DeleteMarkers]' --output text",
            expected="None, twice. Anything else: it is not empty, and has to be planned.", undo="None needed.", minutes=2,
        )  # fmt: skip
        return
    rules = [
        each
        for each in record.get("Lifecycle", {}).get("Rules", [])
        if each.get("Status") == "Enabled"
    ]
    whole = [
        r["Expiration"]["Days"]
        for r in rules
        if (r.get("Expiration") or {}).get("Days") and not _narrow(r)
    ]
    website = record.get("Website") or {}
    cors = record.get("Cors", {}).get("CORSRules", [])
    encryption = next(
        (
            (r.get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm", "")
            for r in record.get("Encryption", {}).get("Rules", [])
        ),
        "AES256",
    )
    versioning = record.get("Versioning", {}).get("Status") == "Enabled"
    yield Bucket(
        origin=source.key, name=name, versioning=versioning, encryption=encryption, public_read=bool(open_),
        cors_origins=tuple(sorted({o for r in cors for o in r.get("AllowedOrigins", [])})), cors_headers=tuple(sorted({h for r in cors for h in r.get("ExposeHeaders", [])})),
        index=(website.get("IndexDocument") or {}).get("Suffix", ""), error=(website.get("ErrorDocument") or {}).get("Key", ""),
        expire_days=min(whole, default=0), tags=source.tags,
    )  # fmt: skip
    size = measured.get("BucketSizeBytes")
    yield Move(
        "objects",
        text("the objects of {name}", name=name),
        gb=size / 1e9 if size is not None else None,
        facts={"bucket": name},
    )
    if open_:
        site = website and only_read(record)
        yield Finding(
            "bucket-public",
            "info" if site else "critical",
            text(
                "Anybody can read {name}: {how}, as a website needs it."
                if site
                else "Anybody can read {name}: {how}.",
                name=name,
                how=open_,
            ),
        )
    elif record.get("Policy") and restricted(record["Policy"]):
        yield Loss(
            "Policy",
            "The policy admits everybody from one network or endpoint only; the target has no such condition, so access needs a credential.",
            "major",
        )
    if record.get("Policy"):
        yield Loss(
            "Policy",
            text(
                "The bucket policy ({length} characters) is not translated; users of the object store get credentials instead.",
                length=len(record["Policy"]),
            ),
            "major",
        )
    if record.get("Versioning", {}).get("MFADelete") == "Enabled":
        yield Loss("Versioning.MFADelete", "Deleting versions no longer asks for a second factor.")
    if versioning:
        yield Loss(
            "Versioning.Status",
            "Old versions are not copied by a sync; replay them oldest first where the law asks for them.",
        )
    if "kms" in encryption:
        key = next(
            (
                (r.get("ApplyServerSideEncryptionByDefault") or {}).get("KMSMasterKeyID")
                for r in record["Encryption"]["Rules"]
            ),
            None,
        )
        held = ctx.estate.find(
            "aws.kms.key", (key or "").rsplit("/", 1)[-1], source
        ) or ctx.estate.find("aws.kms.key", key, source)
        yield Loss(
            "Encryption.Rules.ApplyServerSideEncryptionByDefault.SSEAlgorithm",
            text(
                "Objects are encrypted by KMS{key}; they are decrypted on the way out and encrypted by the target's own keys.",
                key=text(" with {name}", name=held.name) if held else "",
            ),
        )
    if record.get("Replication"):
        to = sorted(
            {
                str((r.get("Destination") or {}).get("Bucket", "")).rsplit(":", 1)[-1]
                for r in record["Replication"].get("Rules", [])
                if r.get("Status") != "Disabled"
            }
        )
        if to:
            yield Loss(
                "Replication.Rules.Destination.Bucket",
                text(
                    "Replication to {to} ends; a scheduled rclone to a second provider takes its place.",
                    to=", ".join(to),
                ),
                "major",
            )
    lock = record.get("ObjectLock") or {}
    if lock.get("ObjectLockEnabled") == "Enabled":
        keep = (lock.get("Rule") or {}).get("DefaultRetention") or {}
        yield Finding(
            "bucket-locked",
            "warning",
            text(
                "{name} keeps objects under lock{how}; the locks do not travel and must be set again.",
                name=name,
                how=text(
                    " ({mode}, {n} days)" if keep.get("Days") else " ({mode}, {n} years)",
                    mode=keep["Mode"].lower(),
                    n=keep.get("Days") or keep.get("Years") or 0,
                )
                if keep.get("Mode")
                else "",
            ),
        )
        if keep.get("Mode") == "COMPLIANCE":
            yield Finding(
                "account-held",
                "warning",
                text(
                    "Nobody can delete the locked objects of {name} at AWS before their time: the account stays open and paid until the last lock ends.",
                    name=name,
                ),
            )
        yield Loss(
            "ObjectLock.ObjectLockEnabled",
            "Retention must be applied again object by object after the copy.",
            "major",
        )
    events = record.get("Notification") or {}
    for member, arn in (
        ("TopicConfigurations", "TopicArn"),
        ("QueueConfigurations", "QueueArn"),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
    ):
        for each in events.get(member, []):
            hit = ctx.estate.by_arn.get(each.get(arn, ""))
            yield Loss(
                f"Notification.{member}.{arn}",
                text(
                    "Nothing tells {who} of {events}; the application must do it, or poll.",
                    who=hit.name if hit else each.get(arn, "?").rsplit(":", 1)[-1],
                    events=", ".join(each.get("Events", [])),
                ),
                "major",
            )
    frozen = sorted(
        (int(step.get("Days") or 0), str(step["StorageClass"]))
        for each in rules
        for step in each.get("Transitions", [])
        if step.get("StorageClass") in _FROZEN
    )
    if frozen:
        yield Finding(
            "bucket-frozen",
            "warning",
            text(
                "Objects of {name} older than {days} days are in {kind}: they must be restored, which takes hours to days and is billed, before they can be copied.",
                name=name,
                days=frozen[0][0],
                kind=frozen[0][1],
            ),
        )
    for each in rules:
        for step in each.get("Transitions", []):
            yield Loss(
                "Lifecycle.Rules.Transitions.StorageClass",
                text(
                    "Objects no longer go to {kind} after {days} days.",
                    kind=step.get("StorageClass", "?"),
                    days=step.get("Days", "?"),
                ),
            )
        if (each.get("Expiration") or {}).get("Days") and _narrow(each):
            yield Loss(
                "Lifecycle.Rules.Expiration.Days",
                text(
                    "Expiry after {days} days of only some objects has to be a job.",
                    days=each["Expiration"]["Days"],
                ),
            )
    if website.get("RoutingRules") or website.get("RedirectAllRequestsTo"):
        redirect = (website.get("RedirectAllRequestsTo") or {}).get("HostName")
        yield Loss(
            "Website.RedirectAllRequestsTo.HostName" if redirect else "Website.RoutingRules",
            text(
                "Redirects{to} have to be a web server's.",
                to=text(" to {host}", host=redirect) if redirect else "",
            ),
            "major",
        )
    logs = record.get("Logging") or {}
    if logs.get("TargetBucket"):
        yield Loss(
            "Logging.TargetBucket",
            text("Access logs to {bucket} end.", bucket=logs["TargetBucket"]),
        )
    if "." in name:
        yield Finding(
            "bucket-name-dots",
            "info",
            text(
                "{name} has dots: TLS certificates of virtual-hosted addresses do not cover it; use path style.",
                name=name,
            ),
        )


def _narrow(rule: dict[str, object]) -> bool:
    held = rule.get("Filter")
    return bool(rule.get("Prefix")) or bool(
        held and any(value not in ("", None, {}, []) for value in held.values())
        if isinstance(held, dict)
        else False
    )


_NONE = ("NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "NoSuchCORSConfiguration", "NoSuchWebsiteConfiguration", "ReplicationConfigurationNotFoundError",
         "ObjectLockConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration", "NoSuchTagSet", "ServerSideEncryptionConfigurationNotFoundError", "OwnershipControlsNotFoundError")  # fmt: skip
_BY_NAME = {"Bucket": "Name"}
_FROZEN = ("GLACIER", "DEEP_ARCHIVE")
"""Classes whose objects cannot be read before they are restored."""

RULE = Rule(
    type="aws.s3.bucket",
    title="S3 bucket",
    service="s3",
    fetch=Fetch(
        "s3",
        "list_buckets",
        "Buckets[]",
        id="Name",
        arn="arn:{partition}:s3:::{id}",
        scope="global",
        params={"MaxBuckets": 1000},  # with any parameter AWS says the region of each as well
        region_from="Location",
        details=(
            Detail(
                "get_bucket_location",
                _BY_NAME,
                into="Location",
                path="LocationConstraint",
                known="BucketRegion",
            ),
            Detail("get_bucket_policy", _BY_NAME, into="Policy", path="Policy", absent=_NONE),
            Detail("get_bucket_acl", _BY_NAME, into="Acl", path="Grants[]"),
            Detail(
                "get_public_access_block",
                _BY_NAME,
                into="PublicAccessBlock",
                path="PublicAccessBlockConfiguration",
                absent=_NONE,
            ),
            Detail("get_bucket_versioning", _BY_NAME, into="Versioning"),
            Detail(
                "get_bucket_encryption",
                _BY_NAME,
                into="Encryption",
                path="ServerSideEncryptionConfiguration",
                absent=_NONE,
            ),
            Detail("get_bucket_lifecycle_configuration", _BY_NAME, into="Lifecycle", absent=_NONE),
            Detail("get_bucket_cors", _BY_NAME, into="Cors", absent=_NONE),
            Detail("get_bucket_website", _BY_NAME, into="Website", absent=_NONE),
            Detail(
                "get_bucket_replication",
                _BY_NAME,
                into="Replication",
                path="ReplicationConfiguration",
                absent=_NONE,
            ),
            Detail(
                "get_object_lock_configuration",
                _BY_NAME,
                into="ObjectLock",
                path="ObjectLockConfiguration",
                absent=_NONE,
            ),
            Detail("get_bucket_notification_configuration", _BY_NAME, into="Notification"),
            Detail("get_bucket_logging", _BY_NAME, into="Logging", path="LoggingEnabled"),
            Detail("get_bucket_tagging", _BY_NAME, into="Tags", path="TagSet[]", absent=_NONE),
        ),
    ),
    translate=translate,
    carried=fields(
        "Name Policy Acl.Grantee.URI Acl.Permission PublicAccessBlock.IgnorePublicAcls PublicAccessBlock.RestrictPublicBuckets Versioning.Status Versioning.MFADelete "
        "Encryption.Rules.ApplyServerSideEncryptionByDefault.SSEAlgorithm Encryption.Rules.ApplyServerSideEncryptionByDefault.KMSMasterKeyID "
        "Lifecycle.Rules.Status Lifecycle.Rules.Expiration.Days Lifecycle.Rules.Prefix Lifecycle.Rules.Filter.Prefix Lifecycle.Rules.Transitions.Days Lifecycle.Rules.Transitions.StorageClass "
        "Cors.CORSRules.AllowedOrigins Cors.CORSRules.ExposeHeaders Website.IndexDocument.Suffix Website.ErrorDocument.Key Website.RedirectAllRequestsTo.HostName "
        "Replication.Rules.Status Replication.Rules.Destination.Bucket ObjectLock.ObjectLockEnabled ObjectLock.Rule.DefaultRetention.Mode ObjectLock.Rule.DefaultRetention.Days ObjectLock.Rule.DefaultRetention.Years "
        "Notification.TopicConfigurations.TopicArn Notification.TopicConfigurations.Events Notification.QueueConfigurations.QueueArn Notification.QueueConfigurations.Events "
        "Notification.LambdaFunctionConfigurations.LambdaFunctionArn Notification.LambdaFunctionConfigurations.Events Logging.TargetBucket Tags.Key Tags.Value"
    ),
    lost={
        "Lifecycle.Rules.Expiration.Date": "Expiry on a date has to be a job.",
        "Lifecycle.Rules.Expiration.ExpiredObjectDeleteMarker": "Delete markers are no longer cleaned up.",
        "Lifecycle.Rules.NoncurrentVersionTransitions": "Old versions no longer go to a cheaper class.",
        "Lifecycle.Rules.NoncurrentVersionExpiration": "Old versions no longer expire by themselves.",
        "Lifecycle.Rules.AbortIncompleteMultipartUpload": "Unfinished uploads are no longer cleaned up.",
        "Lifecycle.Rules.Filter.Tag": "Rules by tag have to be a job.",
        "Lifecycle.Rules.Filter.And": "Rules by tag have to be a job.",
        "Lifecycle.Rules.Filter.ObjectSizeGreaterThan": "Rules by size have to be a job.",
        "Lifecycle.Rules.Filter.ObjectSizeLessThan": "Rules by size have to be a job.",
        "Lifecycle.Rules.Transitions.Date": "Moves on a date have to be a job.",
        "Cors.CORSRules.AllowedMethods": "All methods are allowed to the allowed origins.",
        "Cors.CORSRules.AllowedHeaders": "All headers are allowed to the allowed origins.",
        "Cors.CORSRules.MaxAgeSeconds": "Browsers ask more often.",
        "Website.RoutingRules": Lost("Redirects have to be a web server's.", "major"),
        "Website.RedirectAllRequestsTo.Protocol": "Redirects have to be a web server's.",
        "Notification.TopicConfigurations.Filter": "Filters of events go with the events.",
        "Notification.QueueConfigurations.Filter": "Filters of events go with the events.",
        "Notification.LambdaFunctionConfigurations.Filter": "Filters of events go with the events.",
        "Notification.EventBridgeConfiguration": Lost("Events to EventBridge end.", "major"),
        "Logging.TargetGrants": "Access logs end.",
        "ObjectLock.Rule.DefaultRetention.DefaultEventHold": Lost(
            "Retention must be applied again object by object after the copy.", "major"
        ),
        "Encryption.Rules.BlockedEncryptionTypes": "Which kinds of encryption clients may use is not limited.",
    },
    noise=noise(
        id="BucketArn Acl.Grantee.ID Acl.Grantee.DisplayName Acl.Grantee.EmailAddress Acl.Grantee.Type Lifecycle.Rules.ID Cors.CORSRules.ID Notification.TopicConfigurations.Id "
        "Notification.QueueConfigurations.Id Notification.LambdaFunctionConfigurations.Id",
        timestamp="CreationDate",
        internal="PublicAccessBlock.BlockPublicAcls PublicAccessBlock.BlockPublicPolicy Encryption.Rules.BucketKeyEnabled Lifecycle.TransitionDefaultMinimumObjectSize Replication Logging.TargetPrefix Logging.TargetObjectKeyFormat",
        derived="BucketRegion Location",
    ),
    unordered=fields("Tags Acl"),
)
