"""A lab that is up -> more projects in it, and their quotas, as a provider's support grants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toolkit.lab import identity, profile, quota
from toolkit.lab.folder import Lab, LabError
from toolkit.lab.identity import Session
from toolkit.lab.namespace import supervisor


def _operator(lab: Lab) -> Session:
    if supervisor(lab) is None:
        raise LabError(f"the lab in {lab.folder} is not up", "`repatria lab up` brings it up.")
    return identity.connect(lab)


def _changed(lab: Lab, projects: tuple[str, ...], region: str) -> None:
    made = Lab(lab.folder, replace(lab.settings, projects=projects))
    made.save()
    identity.clouds(made, region)


def add(lab: Lab, name: str) -> None:
    """A project with its user; one that exists gets the profile's quotas and its password again."""
    looks = profile.load(lab.settings.like, lab.settings.cloud_file, lab.settings.region)
    with lab.alone():
        profile.project(lab, _operator(lab), looks, name)
        _changed(lab, tuple(dict.fromkeys((*lab.settings.projects, name))), looks.region.name)


def remove(lab: Lab, name: str) -> None:
    """Remove an empty project and its entry in clouds.yaml. Raises LabError with what it still holds."""
    looks = profile.load(lab.settings.like, lab.settings.cloud_file, lab.settings.region)
    with lab.alone():
        identity.forget(lab, _operator(lab), name)
        _changed(lab, tuple(each for each in lab.settings.projects if each != name), looks.region.name)  # fmt: skip


def quotas(lab: Lab, name: str, limits: Mapping[str, int]) -> dict[str, Any]:
    """The quotas of a project after setting `limits`: kind -> limit, -1 for none."""
    cloud = _operator(lab)
    name = name or lab.settings.project
    place = cloud.identity.find_project(name)
    if place is None:
        raise LabError(f"the lab has no project {name!r}", f"It has: {', '.join(lab.projects())}.")
    quota.change(cloud, place.id, limits)
    return {"project": name, "quotas": quota.read(cloud, place.id)}
