"""Workspace files -> one stage of the pipeline -> workspace files; all the reading and writing of plan and render."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from toolkit import workspace
from toolkit.clouds import load as load_cloud
from toolkit.config import TARGETS, Config
from toolkit.config import load as load_config
from toolkit.errors import FileError
from toolkit.plan import decisions, names
from toolkit.plan.make import Plan, digest_of_config, digest_of_overrides, make

if TYPE_CHECKING:
    from toolkit.clouds import Cloud
    from toolkit.estate.model import Estate
    from toolkit.render.write import Report

FORMATS = ("stacks", "markdown", "html", "runbooks", "csv")
PLANNING = "repatria plan"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made from, read and checked."""

    config: Config
    cloud: Cloud
    overrides: Mapping[str, Any]
    names: names.Names
    measures: Mapping[str, Mapping[str, float]]


def inputs(folder: Path, target: str = "") -> Inputs:
    """Configuration, catalogue, decisions, names and measures of a workspace.

    `target` overrules the cloud of `repatria.toml`. Raises ToolkitError where one cannot be read.
    """
    config = load_config(folder)
    if target and target != config.target:
        from dataclasses import replace

        config = replace(
            config,
            target=target,
            region="",
            cloud_file=None,
            settings={**config.settings, "region": ""},
        )
    cloud = load_cloud(config.target, config.cloud_file)
    if config.region:
        cloud.region(config.region)
    for place in config.places.values():
        if place.region:
            cloud.region(place.region)
    return Inputs(
        config=config,
        cloud=cloud,
        overrides=decisions.parse(workspace.read_optional(folder / workspace.DECISIONS)),
        names=names.parse(workspace.read_optional(folder / workspace.NAMES)),
        measures=measures(folder / workspace.MEASURES),
    )


def measures(path: Path) -> dict[str, dict[str, float]]:
    """`measures.jsonl` -> key -> metric -> value; empty where it was never taken."""
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(workspace.read_optional(path).splitlines(), start=1):
        try:
            item = orjson.loads(line)
            if item.get("kind") != "header":
                found.setdefault(item["key"], {})[item["metric"]] = float(item["value"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(
                f"{path}:{number}: not a line of measures ({error})",
                "Run `repatria discover --measures` again, or remove the file.",
            ) from error
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector: a plan has no cycles, and walking a million live records again and again costs half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def plan(folder: Path, target: str = "") -> Plan:
    """Make the plan and write plan.json, names.yaml and decisions.yaml, in an order that a crash survives.

    Names first: a logical name that was shown to anybody must never be assigned anew.
    """
    told = inputs(folder, target)
    made = _make(folder, told)
    workspace.write(folder / workspace.NAMES, made.names.dump())
    workspace.write(
        folder / workspace.DECISIONS,
        decisions.dump(made.decisions, told.overrides, made.subjects, told.config.language),
    )
    workspace.write_pieces(
        folder / workspace.PLAN,
        lambda: chain(workspace.pieces(made.document), (b"\n",)),
        private=True,
    )
    return made


def dry(folder: Path, target: str = "") -> Plan:
    """Make the plan and write nothing."""
    return _make(folder, inputs(folder, target))


def _make(folder: Path, told: Inputs) -> Plan:
    with _uncollected():
        # nobody else holds the estate, so that its memory is free once the plan is made
        return make(
            workspace.read_estate(folder / workspace.ESTATE),
            told.config,
            told.cloud,
            told.names,
            told.overrides,
            told.measures,
        )


def read_fresh_plan(folder: Path) -> tuple[dict[str, Any], Inputs]:
    """The saved plan, refused where what it was made from has changed. Raises StaleError, FileError."""
    document = workspace.read_plan(folder / workspace.PLAN)
    target = document["header"].get("target")
    if not isinstance(target, dict) or target.get("cloud") not in TARGETS:
        raise FileError(
            f"{folder / workspace.PLAN} does not say which cloud it is for",
            "Run `repatria plan` again.",
        )
    told = inputs(folder, target["cloud"])
    header = estate_header(folder / workspace.ESTATE)
    workspace.check_fresh(
        document,
        {
            "estate": str(header.get("body", "")),
            "decisions": digest_of_overrides(told.overrides),
            "catalogue": told.cloud.digest,
            "config": digest_of_config(told.config),
        },
    )
    return document, told


def estate_header(path: Path) -> dict[str, Any]:
    """The first line of `estate.jsonl`, without reading the rest."""
    try:
        with path.open("rb") as file:
            header: dict[str, Any] = orjson.loads(file.readline())
    except FileNotFoundError:
        raise FileError(
            f"there is no {path.name} in {path.parent}", "`repatria discover` writes it."
        ) from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise FileError(
            f"{path} cannot be read: {error}", "Run `repatria discover` again."
        ) from error
    if not isinstance(header, dict):
        raise FileError(
            f"{path} does not start with a header line", "Run `repatria discover` again."
        )
    return header


def render(folder: Path, formats: Iterable[str] = FORMATS, *, check: bool = False) -> Report:
    """Write what people review and run from the saved plan, in today's language; with `check`, only compare.

    Raises StaleError where the plan is older than the estate, the decisions or the catalogue.
    """
    from toolkit.render.write import write_tree

    with _uncollected():
        document, told = read_fresh_plan(folder)
        document["header"]["language"] = told.config.language
        return write_tree(folder, rendered(document, formats), check=check)


def rendered(
    document: dict[str, Any], formats: Iterable[str] = FORMATS
) -> Iterable[tuple[str, bytes, str]]:
    """(path, content, "generated" | "once") of everything that a plan renders to."""
    from toolkit.render.csv import losses_csv
    from toolkit.render.html import plan_html
    from toolkit.render.markdown import plan_markdown
    from toolkit.render.programs import render_stacks
    from toolkit.render.runbooks import runbooks

    wanted = set(formats)
    if "stacks" in wanted:
        yield from render_stacks(document)
    if "markdown" in wanted:
        yield "plan.md", plan_markdown(document), "generated"
    if "html" in wanted:
        yield "plan.html", plan_html(document), "generated"
    if "runbooks" in wanted:
        yield from ((path, content, "generated") for path, content in runbooks(document))
    if "csv" in wanted:
        yield "losses.csv", losses_csv(document), "generated"


def read_estate(folder: Path) -> Estate:
    """The estate of a workspace."""
    return workspace.read_estate(folder / workspace.ESTATE)
