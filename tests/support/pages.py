"""The demo company's plan for the tests of pages: made once per run from the embedded AWS."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.demo import embedded_aws, fill
from toolkit.demo.environment import environment
from toolkit.discover import Request, discover
from toolkit.init import init
from toolkit.progress import Progress
from toolkit.stage import plan


@cache
def demo_plan() -> dict[str, Any]:
    """Its plan.json, with people named, for one target."""
    with tempfile.TemporaryDirectory() as folder, embedded_aws() as aws, environment(aws.environment):  # fmt: skip
        root = Path(folder)
        company = fill(aws.endpoint_url)
        init(root, target="ovhcloud", project="p")
        request = Request(role_arns=company.role_arns, regions=company.regions, measures=True, fresh=True)  # fmt: skip
        discover(root, request, progress=Progress())
        document: dict[str, Any] = plan(root).document
    return document
