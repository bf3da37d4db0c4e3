"""The demo company, read once and planned for every target: what the tests of the demo share."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolkit import workspace
from toolkit.demo import embedded_aws, fill
from toolkit.demo.environment import environment
from toolkit.discover import Request, discover
from toolkit.init import init
from toolkit.progress import Progress
from toolkit.stage import plan, render

TARGETS = ("ovhcloud", "infomaniak", "cloudtemple", "openstack")


class Demo:
    """One estate, read once; a workspace per target."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.progress = Progress()
        with embedded_aws() as aws, environment(aws.environment):
            self.company = fill(aws.endpoint_url)
            first = root / TARGETS[0]
            init(first, target=TARGETS[0], project="p")
            request = Request(
                role_arns=self.company.role_arns,
                regions=self.company.regions,
                measures=True,
                fresh=True,
            )
            self.outcome = discover(first, request, progress=self.progress)
            self.first = (first / workspace.ESTATE).read_bytes()
            discover(first, request, progress=Progress())
            self.second = (first / workspace.ESTATE).read_bytes()
        for target in TARGETS[1:]:
            init(root / target, target=target, project="p")
            for name in (workspace.ESTATE, workspace.MEASURES):
                shutil.copy(first / name, root / target / name)
        self.plans = {target: plan(root / target).document for target in TARGETS}
        self.reports = {target: render(root / target) for target in TARGETS}
