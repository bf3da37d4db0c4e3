"""Estate -> plan.json's content: every resource once, planned or explained; the sums are checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toolkit import __version__
from toolkit.assess import assess
from toolkit.assess.addresses import addresses
from toolkit.errors import InternalError
from toolkit.outcomes import Decision, Disposition, Loss, Text, text
from toolkit.plan.applications import Applications, group
from toolkit.plan.assemble import (
    Labels,
    Placed,
    Stack,
    assemble,
    index,
    resource_json,
    without_dangling,
)
from toolkit.plan.cost import price
from toolkit.plan.decisions import unfit
from toolkit.plan.graph import connect
from toolkit.plan.mark import mark
from toolkit.plan.names import Names, holds_raw_id
from toolkit.plan.quotas import sum_up
from toolkit.plan.rewire import rewire
from toolkit.plan.step import Material
from toolkit.plan.steps import steps
from toolkit.plan.waves import schedule
from toolkit.rules import load as load_rules
from toolkit.targets import realise
from toolkit.translate import Context, Override, Translation, translate
from toolkit.workspace import SCHEMA, canonical, digest, plan_digest

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.config import Config
    from toolkit.estate.model import Estate, Resource


@dataclass(slots=True)
class Plan:
    """A plan and what it leaves in the workspace besides."""

    document: dict[str, Any]
    names: Names
    decisions: Mapping[str, Decision]
    subjects: Mapping[str, Text]


def make(
    estate: Estate,
    config: Config,
    cloud: Cloud,
    names: Names,
    overrides: Mapping[str, Override],
    measures: Mapping[str, Mapping[str, float]] | None = None,
) -> Plan:
    """Plan the way out of an estate. `names` gets the new entries; nothing else is changed.

    Raises InternalError where the sums do not agree: a resource lost, or told twice.
    """
    ctx = Context(
        estate=estate, cloud=cloud, target_region=config.region, settings=config.settings,
        overrides=overrides, measures=measures or {},
    )  # fmt: skip
    said = translate(ctx, load_rules())
    nodes, _ = realise(ctx, said)
    nodes, dangling = without_dangling(nodes)
    for key, losses in dangling.items():
        said[key].losses.extend(losses)
    graph = connect(estate)
    applications = group(estate, graph)
    for key, finding in assess(estate, graph, applications):
        said[key].findings.append(finding)
    for key, finding in addresses(estate, partial(_goes_to, said=said, config=config)):
        said[key].findings.append(finding)
    stacks = assemble(nodes, names, _labels(estate, said, applications, config))
    placed = index(stacks)
    waves = schedule(estate, graph, applications, ctx)
    quotas = sum_up(stacks, cloud)
    cost = price(stacks, cloud, said)
    wiring = rewire(estate, graph, applications, cloud)
    items = _items(estate, said, stacks, applications, waves, ctx)
    stack_json = [_stack_json(stack, placed, said, config) for stack in stacks]
    material = Material(
        estate=estate, config=config, cloud=cloud, said=said, stacks=stacks, placed=placed,
        applications=applications, waves=waves, quotas=quotas, rewire=wiring, decisions=ctx.decisions,
        graph=graph, measures=measures or {},
    )  # fmt: skip
    document: dict[str, Any] = {
        "kind": "plan",
        "schema": SCHEMA,
        "header": {
            "repatria": __version__,
            "source": _source(estate),
            "target": {
                "cloud": cloud.name,
                "product": cloud.product,
                "kind": cloud.kind,
                "region": config.region,
                "project": config.project,
            },
            "language": config.language,
            "people": {
                role: {"name": p.name, "contact": p.contact}
                for role, p in sorted(config.people.items())
            },
        },
        "items": items,
        "stacks": stack_json,
        "gaps": [_without_kind(gap.line()) for gap in estate.gaps],
        "applications": applications.json(),
        "waves": [wave.json() for wave in waves],
        "decisions": [_decision_json(each) for _, each in sorted(ctx.decisions.items())],
        "misfits": unfit(ctx.decisions, overrides),
        "quotas": quotas.json(),
        "cost": cost.json(),
        "rewire": wiring,
        "steps": [step.json() for step in steps(material)],
    }
    document["totals"] = totals(document, len(estate))
    document["header"]["made_from"] = {
        "estate": str(estate.header.get("body", "")),
        "decisions": digest_of_overrides(overrides),
        "catalogue": cloud.digest,
        "config": digest_of_config(config),
    }
    decisions = ctx.decisions
    subjects = _subjects(estate, decisions.values())
    # the plan says it all now; of 100,000 resources these would be held twice over
    del material, said, graph, stacks, placed, nodes, wiring, waves, ctx, estate
    document["header"]["body"] = plan_digest(document)
    return Plan(document, names, decisions, subjects)


def digest_of_overrides(overrides: Mapping[str, Override]) -> str:
    """The digest of what people decided: `decisions.yaml` without its prose."""
    return digest(canonical({id_: [o.choose, o.by, o.why] for id_, o in overrides.items()}))


def digest_of_config(config: Config) -> str:
    """The digest of the answers that a plan depends on: not the language, which only rendering reads."""
    places = {f"{a}/{r}": [p.project, p.region] for (a, r), p in config.places.items()}
    people = {role: [p.name, p.contact] for role, p in config.people.items()}
    return digest(
        canonical(
            [
                config.target,
                config.region,
                config.project,
                places,
                people,
                dict(config.settings),
            ]
        )
    )


def totals(document: Mapping[str, Any], read: int) -> dict[str, Any]:
    """The sums of a plan. Raises InternalError where read is not planned + explained."""
    items = document["items"]
    planned = sum(1 for item in items if item["becomes"])
    explained = sum(
        1 for item in items if not item["becomes"] and item["disposition"] and item["reason"]
    )
    identities = {
        tuple(item["subject"][part] for part in ("type", "account", "region", "id"))
        for item in items
    }
    if not (read == len(items) == len(identities) == planned + explained):
        raise InternalError(
            f"the sums do not agree: {read} read, {len(items)} in the plan ({len(identities)} different), "
            f"{planned} planned + {explained} explained",
            "Please report this with the plan's totals; the old plan.json is untouched.",
        )
    dispositions: dict[str, int] = {}
    severities: dict[str, int] = {}
    for item in items:
        dispositions[item["disposition"]] = dispositions.get(item["disposition"], 0) + 1
        for loss in item["losses"]:
            severities[loss["severity"]] = severities.get(loss["severity"], 0) + 1
    return {
        "read": read,
        "planned": planned,
        "explained": explained,
        "creates": sum(len(stack["resources"]) for stack in document["stacks"]),
        "stacks": len(document["stacks"]),
        "applications": len(document["applications"]),
        "waves": len(document["waves"]),
        "decisions": len(document["decisions"]),
        "gaps": len(document["gaps"]),
        "losses": sum(severities.values()),
        "findings": sum(len(item["findings"]) for item in items),
        "rewire": len(document["rewire"]),
        "steps": len(document["steps"]),
        "by_disposition": dict(sorted(dispositions.items())),
        "by_severity": dict(sorted(severities.items())),
    }


def _source(estate: Estate) -> dict[str, Any]:
    accounts = sorted({resource.account for resource in estate})
    regions = sorted({resource.region for resource in estate})
    return {
        "accounts": accounts,
        "regions": regions,
        **{name: estate.header[name] for name in ("partition",) if name in estate.header},
    }


def _goes_to(vpc: Resource, said: Mapping[str, Translation], config: Config) -> str | None:
    if not said[vpc.key].intents:
        return None
    spot = config.place(vpc.account, vpc.region)
    return f"{spot.project}/{spot.region}"


def _labels(
    estate: Estate,
    said: Mapping[str, Translation],
    applications: Applications,
    config: Config,
) -> Labels:
    """Words for the names that are assigned now: what the target's resource is called, else AWS's name."""
    label: dict[str, str] = {}
    vpc: dict[str, str] = {}
    place: dict[str, str] = {}
    many = (
        len(
            {(p.project, p.region) for p in config.places.values()}
            | {(config.project, config.region)}
        )
        > 1
    )
    for resource in estate:
        called = next((each.name for each in said[resource.key].intents if each.name), "")
        if not called or called == resource.id or holds_raw_id(called):
            called = resource.name
        label[resource.key] = called if called != resource.id else ""
        if many:
            spot = config.place(resource.account, resource.region)
            place[resource.key] = f"{spot.project}/{spot.region}"
        if (held := estate.find("aws.ec2.vpc", resource.record.get("VpcId"), resource)) is not None:
            vpc[resource.key] = held.key
        if label[resource.key] == "" and resource.type not in _NAMELESS:
            label[resource.key] = resource.id
    return Labels(label, applications.of, place, vpc)


_NAMELESS = frozenset({"aws.ec2.vpc", "aws.ec2.subnet"})


def _items(
    estate: Estate,
    said: Mapping[str, Translation],
    stacks: Iterable[Stack],
    applications: Applications,
    waves: Iterable[Any],
    ctx: Context,
) -> list[dict[str, Any]]:
    becomes: dict[str, list[dict[str, str]]] = {}
    for stack in stacks:
        for placed in stack.resources:
            becomes.setdefault(placed.node.origin, []).append(
                {"stack": stack.name, "type": placed.node.type, "name": placed.name}
            )
    wave_of = {key: wave.number for wave in waves for key in wave.keys}
    decisions: dict[str, list[str]] = {}
    for id_ in sorted(ctx.decisions):
        decisions.setdefault(ctx.decisions[id_].subject, []).append(id_)
    return [
        _item(
            resource,
            said[resource.key],
            becomes.get(resource.key, []),
            applications,
            wave_of,
            decisions,
        )
        for resource in estate
    ]


def _item(
    resource: Resource,
    told: Translation,
    becomes: list[dict[str, str]],
    applications: Applications,
    wave_of: Mapping[str, int],
    decisions: Mapping[str, list[str]],
) -> dict[str, Any]:
    disposition = told.disposition or _default(told, becomes)
    item: dict[str, Any] = {
        "subject": {
            "type": resource.type, "id": resource.id, "account": resource.account,
            "region": resource.region, "name": resource.name,
        },
        "disposition": disposition.kind,
        "reason": _json(disposition.reason),
        "becomes": becomes,
        "losses": [_loss_json(loss) for loss in told.losses],
        "findings": [
            {"code": f.code, "severity": f.severity, "says": _json(f.says), "evidence": list(f.evidence)}
            for f in told.findings
        ],
        "decisions": decisions.get(resource.key, []),
        "application": applications.of.get(resource.key, ""),
        "wave": wave_of.get(resource.key, 0),
    }  # fmt: skip
    if disposition.into:
        item["into"] = disposition.into
    if disposition.way_out:
        item["way_out"] = _json(disposition.way_out)
    if disposition.work:
        item["work"] = _json(disposition.work)
    if disposition.alternatives:
        item["alternatives"] = [_json(each) for each in disposition.alternatives]
    if told.moves:
        item["moves"] = [
            {"mover": m.mover, "what": _json(m.what), "gb": m.gb, "facts": dict(m.facts)}
            for m in told.moves
        ]
    return item


def _default(told: Translation, becomes: list[dict[str, str]]) -> Disposition:
    if becomes:
        return Disposition("rehost", "The target has the same thing.")
    blocker = next((loss for loss in told.losses if loss.severity == "blocker"), None)
    if blocker is not None:
        return Disposition("retain", blocker.reason)
    if told.tasks:
        return Disposition("replatform", told.tasks[0].why)
    if told.intents:
        return Disposition("absorbed", "The target needs no resource of its own for this.")
    raise InternalError("a rule said nothing of a resource", "Please report which AWS type it was.")


def _loss_json(loss: Loss) -> dict[str, Any]:
    return {"field": loss.field, "reason": _json(loss.reason), "severity": loss.severity}


def _json(message: Text | str) -> Any:
    return message.json() if isinstance(message, Text) else message


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "subject": decision.subject,
        "topic": decision.topic,
        "question": _json(decision.question),
        "options": [
            {"id": o.id, "label": _json(o.label), "consequence": _json(o.consequence)}
            for o in decision.options
        ],
        "chosen": decision.chosen,
        "chosen_by": decision.chosen_by,
        "why": _json(decision.why),
        "facts": list(decision.facts),
    }


def _stack_json(
    stack: Stack,
    placed: Mapping[tuple[str, str], Placed],
    said: Mapping[str, Translation],
    config: Config,
) -> dict[str, Any]:
    project, _, region = stack.place.partition("/")
    attachments: dict[str, str] = {}
    for origin in sorted({each.node.origin for each in stack.resources}):
        for attachment in said[origin].attachments:
            attachments[attachment.path] = attachment.content
    out: dict[str, Any] = {
        "name": stack.name,
        "tier": stack.tier,
        "group": stack.group,
        "package": stack.package,
        "place": {"project": project or config.project, "region": region or config.region},
        "needs": list(stack.needs),
        "resources": [mark(resource_json(each, placed), stack.name) for each in stack.resources],
    }
    if attachments:
        out["attachments"] = attachments
    return out


def _without_kind(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "kind"}


def _subjects(estate: Estate, decisions: Iterable[Decision]) -> dict[str, Text]:
    subjects: dict[str, Text] = {}
    for decision in decisions:
        if (resource := estate.by_key.get(decision.subject)) is not None:
            subjects[decision.subject] = text(
                "{name} ({type}, {region}, account {account})",
                name=resource.name,
                type=resource.type,
                region=resource.region,
                account=resource.account,
            )
    return subjects
