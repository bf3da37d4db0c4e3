"""A folder -> every stage of the pipeline on the demo company; says where AWS was only imitated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolkit.demo import embedded_aws, fill
from toolkit.discover import Request, discover
from toolkit.errors import ConfigError
from toolkit.init import init
from toolkit.progress import Progress
from toolkit.show import plan_summary
from toolkit.stage import plan, render
from toolkit.workspace import CONFIG, write


def run(
    folder: Path, target: str, *, say: Callable[[str], None], progress: Progress
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
    seconds: dict[str, float] = {}

    def timed(stage: str, since: float) -> float:
        now = time.monotonic()
        seconds[stage] = now - since
        return now

    clock = time.monotonic()
    say("starting an embedded AWS (moto) on 127.0.0.1 and filling it with a company")
    with embedded_aws() as aws, _environment(aws.environment):
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


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """The embedded AWS's endpoint and throw-away credentials, for this block only."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
