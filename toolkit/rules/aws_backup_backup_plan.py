"""Backup plan -> the target's own backups or restic: rules are written anew, old recovery points stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Finding, Loss, Outcome, Text, joined, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Recovery points cannot leave AWS; what the plan selects has to be named in the new schedule."""
    name = source.record.get("BackupPlanName") or source.name
    yield way_out(ctx, "backup", text("The plan {name}.", name=name))
    listed = source.record.get("Selections")
    chosen = source.record.get("Selected") or []
    if listed is not None and not listed.get("BackupSelectionsList"):
        yield Finding(
            "backup-selects-nothing",
            "warning",
            text("{name} selects no resource: nothing is backed up by it.", name=name),
        )
    said = [what for each in chosen for what in _selected(each, ctx)]
    if said:
        yield Loss(
            "Selected",
            text("It backed up {what}: name the successors in the new schedule.", what=joined(said)),
            "major",
        )  # fmt: skip
    yield Loss(
        "BackupPlanName",
        "Recovery points cannot be taken along: keep the vault until their retention ends.",
        "major",
    )


def _selected(selection: Mapping[str, Any], ctx: Context) -> Iterator[Text | str]:
    """What one selection takes in, in words: names, tags, and what it leaves out."""
    for arn in selection.get("Resources") or []:
        held = ctx.estate.by_arn.get(arn)
        yield held.name if held else str(arn)
    for each in selection.get("ListOfTags") or []:
        yield f"{each.get('ConditionKey', '?')}={each.get('ConditionValue', '?')}"
    for kind, conditions in sorted((selection.get("Conditions") or {}).items()):
        for each in conditions or []:
            yield f"{each.get('ConditionKey', '?')} {kind} {each.get('ConditionValue', '?')}"
    for arn in selection.get("NotResources") or []:
        held = ctx.estate.by_arn.get(arn)
        yield text("not {name}", name=held.name if held else str(arn))


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
        details=(
            # the whole answer: an empty list says that nothing is selected, and no list that nobody asked
            Detail(
                "list_backup_selections",
                {"BackupPlanId": "BackupPlanId"},
                into="Selections",
                absent=("ResourceNotFoundException",),
            ),
            Detail(
                "get_backup_selection",
                {"BackupPlanId": "BackupPlanId", "SelectionId": "SelectionId"},
                into="Selected",
                path="BackupSelection",
                every="Selections.BackupSelectionsList",
            ),
        ),
    ),
    translate=translate,
    carried=fields("BackupPlanName Selections Selected"),
    noise=noise(
        id="BackupPlanId BackupPlanArn VersionId CreatorRequestId",
        timestamp="CreationDate DeletionDate",
        internal="AdvancedBackupSettings",
    ),
    volatile=fields("LastExecutionDate"),
)
