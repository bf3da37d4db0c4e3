"""Installed version and wanted version of Nextcloud -> the steps between; a step that Nextcloud forbids is never among them.

Nextcloud goes one major version at a time, from the last release of the one that is left, and never back. The table of
releases is data with sources; the role executes a step and refuses by itself what this module would not have planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from toolkit.errors import ConfigError

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Release:
    """Last known release of a major version."""

    version: str
    source: str
    seen: str


RELEASES: Mapping[int, Release] = {
    31: Release("31.0.14", "others' configurations that download it from download.nextcloud.com", "2026-11"),
    32: Release("32.0.15", "github.com/nextcloud/docker, versions.json", "2026-11"),
    33: Release("33.0.9", "github.com/nextcloud/docker, versions.json", "2026-11"),
    34: Release("34.0.4", "github.com/nextcloud/docker, versions.json", "2026-11"),
    35: Release("35.0.2", "Alpine, edge, community/nextcloud", "2026-10-27"),
}  # fmt: skip
PHP = "8.4"
"""Of Debian 13. Nextcloud's wiki (Releases and PHP versions, read 2026-11) has it for 31 to 35: no step changes PHP."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next; `latest` is what must be installed before a major version is left."""

    start: str
    version: str
    latest: str

    @property
    def major(self) -> bool:
        return _read(self.start)[0] != _read(self.version)[0]


def chain(
    installed: str, wanted: str, releases: Mapping[int, Release] = RELEASES
) -> tuple[Step, ...]:
    """The steps from `installed` to `wanted`, in order; none where they are equal.

    Raises ConfigError where the way goes back, or where a major version between them is not in the table.
    """
    start, goal = _read(installed), _read(wanted)
    if goal < start:
        raise ConfigError(
            f"Nextcloud {installed} is installed and cannot go back to {wanted}",
            "restore a backup set that was made with the older version",
        )
    steps: list[Step] = []
    here = installed
    for major in range(start[0], goal[0] + 1):
        if major == goal[0]:
            there = wanted
        elif major in releases:
            # A release that came out after the table was written is not gone back from.
            there = (
                max(releases[major].version, here, key=_read)
                if _read(here)[0] == major
                else releases[major].version
            )
        else:
            raise ConfigError(
                f"no release of Nextcloud {major} is known, and none may be skipped",
                "add it to toolkit/suite/upgrade.py with its source",
            )
        if there != here:
            left = here if _read(there)[0] != _read(here)[0] else ""
            steps.append(Step(here, there, left))
        here = there
    return tuple(steps)


def blocked(step: Step, apps: Mapping[str, int | None]) -> tuple[str, ...]:
    """Applications (name -> highest major version that their archive for this step allows) that the step would lose.

    None stands for an application of which there is no archive.
    """
    goal = _read(step.version)[0]
    return tuple(sorted(name for name, most in apps.items() if most is None or most < goal))


def pages(steps: Iterable[Step], release_mb: int, database_mb: int) -> str:
    """The plan as text: steps, downtimes' causes, room. MB: of one unpacked release, and of the database."""
    held = list(steps)
    if not held:
        return "Nothing to do: this version is installed.\n"
    lines = []
    for number, step in enumerate(held, 1):
        kind = "next major version" if step.major else "same major version"
        lines.append(
            f"{number}. {step.start} -> {step.version} ({kind}): backup set, maintenance on, new release, occ upgrade, indices, repair, maintenance off"
        )
    room = len(held) * release_mb
    backup = -(-database_mb * 12 // 10)
    lines.append(
        f"Room: {room} MB for {len(held)} releases beside the old one, {backup} MB for a dump of the database (a fifth more than it has)."
    )
    lines.append(
        f"PHP stays {PHP}. There is no way back from a step but the restore of its backup set."
    )
    return "\n".join(lines) + "\n"


def _read(version: str) -> Version:
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise ConfigError(f"{version!r} is no version of Nextcloud", "three numbers, as 31.0.14")
    return int(parts[0]), int(parts[1]), int(parts[2])
