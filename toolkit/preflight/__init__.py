"""A plan and the live target -> what apply would fail at, before anything is created; one failing API is one finding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.preflight.letter import letters
from toolkit.preflight.needs import needs
from toolkit.preflight.report import Finding, Report, Request

__all__ = ["Finding", "Report", "Request", "check", "preflight"]


def preflight(folder: Path) -> Report:
    """Check the saved plan of a workspace against its target. Nothing is created or changed.

    Raises StaleError or FileError where the plan may not be used; everything that the target says or
    fails to say becomes a finding.
    """
    from toolkit.stage import read_fresh_plan

    plan, _ = read_fresh_plan(folder)
    return check(plan, folder)


def check(plan: Mapping[str, Any], folder: Path) -> Report:
    """The same for a plan that was read already."""
    target = plan["header"]["target"]
    if target["kind"] == "cloudtemple":
        from toolkit.preflight.cloudtemple import look as look_there

        return look_there(plan, folder)
    from toolkit.preflight.openstack import look

    held = needs(plan, folder)
    looked = [look(each, alone=len(held) == 1) for each in held]
    requests = tuple(request for each in looked for request in each.requests)
    return Report(
        target=str(target["product"]),
        findings=tuple(finding for each in looked for finding in each.findings),
        checked=tuple(dict.fromkeys(words for each in looked for words in each.checked)),
        unchecked=tuple(dict.fromkeys(words for each in looked for words in each.unchecked)),
        requests=requests,
        letters=letters(str(target["product"]), requests),
        calls=sum(each.calls for each in looked),
    )
