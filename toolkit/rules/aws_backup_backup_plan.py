"""Backup plan -> the target's own backups or restic: rules are written anew, old recovery points stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Recovery points cannot leave AWS."""
    yield way_out(
        ctx,
        "backup",
        text("The plan {name}.", name=source.record.get("BackupPlanName") or source.name),
    )
    yield Loss(
        "BackupPlanName",
        "Recovery points cannot be taken along: keep the vault until their retention ends.",
        "major",
    )


RULE = Rule(
    type="aws.backup.backup_plan",
    title="Backup plan",
    service="backup",
    tier=2,
    fetch=Fetch(
        "backup",
        "list_backup_plans",
        "BackupPlansList[]",
        id="BackupPlanId",
        name="BackupPlanName",
        arn="BackupPlanArn",
    ),
    translate=translate,
    carried=fields("BackupPlanName"),
    noise=noise(
        id="BackupPlanId BackupPlanArn VersionId CreatorRequestId",
        timestamp="CreationDate DeletionDate",
        internal="AdvancedBackupSettings",
    ),
    volatile=fields("LastExecutionDate"),
)
