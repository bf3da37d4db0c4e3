"""A folder -> every stage of the pipeline on the demo company; says where AWS was only imitated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolkit.demo import embedded_aws, fill
from toolkit.demo.environment import environment
from toolkit.discover import Request, discover
from toolkit.errors import ConfigError
from toolkit.init import init
from toolkit.journal import JOURNAL
from toolkit.progress import Progress
from toolkit.show import plan_summary
from toolkit.stage import plan, render
from toolkit.workspace import CONFIG, write


def run(
    folder: Path, target: str, *, onto: str = "", say: Callable[[str], None], progress: Progress
) -> dict[str, Any]:
    """The company's way out planned in `folder`; with `onto` also built, on the lab.

    A demo that was begun to be built is continued. Raises ToolkitError.
    """
    begun = (folder / JOURNAL).exists()
    answer: dict[str, Any] = (
        {"folder": str(folder)} if onto and begun else _planned(folder, target, say, progress)
    )
    if onto:
        from toolkit.apply.watch import watch
        from toolkit.demo.rehearsal import rehearse
        from toolkit.lab.folder import DEFAULT

        lab = Path(os.environ.get("REPATRIA_LAB") or DEFAULT)
        with watch() as seen:
            answer["rehearsal"] = rehearse(folder, lab, say=seen.note, event=seen.event)
    return answer


def _planned(
    folder: Path, target: str, say: Callable[[str], None], progress: Progress
) -> dict[str, Any]:
    """Fill an embedded AWS, then init, discover, plan and render into `folder`.

    An earlier demo in that folder is continued (same names). Raises ConfigError where the folder
    holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / CONFIG).exists():
        raise ConfigError(
            f"{folder} is not empty and no workspace",
            "Name an empty folder: `repatria demo out/demo`.",
        )
    if (folder / JOURNAL).exists():
        raise ConfigError(
            f"the demo in {folder} was applied already: filling AWS anew would make another company of it",
            f"`repatria demo {folder} --apply lab` continues it, `repatria destroy -C {folder} --including-data` unmakes it; or name another folder.",
        )
    seconds: dict[str, float] = {}

    def timed(stage: str, since: float) -> float:
        now = time.monotonic()
        seconds[stage] = now - since
        return now

    clock = time.monotonic()
    say("starting an embedded AWS (moto) on 127.0.0.1 and filling it with a company")
    with embedded_aws() as aws, environment(aws.environment):
        company = fill(aws.endpoint_url)
        clock = timed("fill", clock)
        if not (folder / CONFIG).exists():
            init(folder, target=target, project="brasserie")
            write(folder / CONFIG, _filled_in((folder / CONFIG).read_text(), company).encode())
        request = Request(
            profiles=(), role_arns=company.role_arns, org_role="", regions=company.regions, all_regions=False,
            types=(), fresh=True, measures=True,
        )  # fmt: skip
        outcome = discover(folder, request, progress=progress)
        clock = timed("discover", clock)
    made = plan(folder, target)
    clock = timed("plan", clock)
    render(folder)
    timed("render", clock)
    return {
        **plan_summary(made.document),
        "folder": str(folder),
        "seconds": seconds,
        "aws": {"moto": version("moto"), "recorded": list(aws.recorded)},
        "discovered": outcome.json()["counts"],
    }


def _filled_in(text: str, company: Any) -> str:
    """The workspace's answers with the company's people in it."""
    for role, (name, contact) in company.people.items():
        text = text.replace(
            f'[people.{role}]\nname = ""\ncontact = ""',
            f'[people.{role}]\nname = "{name}"\ncontact = "{contact}"',
        )
    return text
