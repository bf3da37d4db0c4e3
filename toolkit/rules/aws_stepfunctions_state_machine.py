"""Step Functions -> Temporal or Argo Workflows: the language of its states runs nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """How many states there are says how much has to be written again."""
    definition = (source.record.get("Detail") or {}).get("definition") or ""
    states = definition.count('"Type"')
    yield way_out(
        ctx,
        "stepfunctions",
        text(
            "A {kind} workflow of {states} states.",
            kind=source.record.get("type", "STANDARD").lower(),
            states=states,
        ),
    )
    services = sorted({part.split(":", 1)[0] for part in definition.split("arn:aws:states:::")[1:]})
    if services:
        yield Loss(
            "Detail.definition",
            text(
                "Calls {services} by itself; the workflow's workers must do that.",
                services=", ".join(services),
            ),
            "major",
        )


RULE = Rule(
    type="aws.stepfunctions.state_machine",
    title="Step Functions state machine",
    service="stepfunctions",
    tier=2,
    fetch=Fetch(
        "stepfunctions",
        "list_state_machines",
        "stateMachines[]",
        id="name",
        arn="stateMachineArn",
        tags="Tags",
        details=(
            Detail("describe_state_machine", {"stateMachineArn": "stateMachineArn"}, into="Detail"),
            Detail(
                "list_tags_for_resource",
                {"resourceArn": "stateMachineArn"},
                into="Tags",
                path="tags[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields("type Detail"),
    noise=noise(id="name stateMachineArn", timestamp="creationDate", internal="Tags"),
)
