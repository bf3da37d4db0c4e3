"""This machine and workspace -> what each part of the tool needs, what is there, and the command that gets the rest.

Missing is only what the next step of this workspace needs; all else that is absent is said and is no fault.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from toolkit import workspace
from toolkit.errors import ToolkitError

State = Literal["ok", "absent", "broken"]
"""there, not there, there but not usable."""
PYTHON = (3, 11)
SECONDS = 15.0
STEPS = ("init", "discover", "plan", "render", "preflight", "preview")
"""In the order of a way out; `preview` stands for all that drives the engine."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a part of the tool needs: `serves` says which part, `needed` whether the next step is of it.

    `get` is the exact command, "" where there is nothing to get.
    """

    name: str
    state: State
    needed: bool
    found: str
    serves: str
    get: str = ""

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "needed": self.needed,
            "found": self.found,
            "serves": self.serves,
            "get": self.get,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All parts, and the next step of the workspace (one of STEPS)."""

    parts: tuple[Part, ...]
    next: str

    @property
    def missing(self) -> tuple[Part, ...]:
        """What keeps the next step from working."""
        return tuple(part for part in self.parts if part.needed and part.state != "ok")

    def json(self) -> dict[str, Any]:
        return {
            "next": self.next,
            "ready": not self.missing,
            "parts": [part.json() for part in self.parts],
        }


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look gave: `good` None is "not there", False "there and not usable"."""

    good: bool | None
    words: str
    get: str = ""


def doctor(folder: Path) -> Diagnosis:
    """Look at every part. Calls the target and the lab; changes nothing. Raises nothing that is expected."""
    step = _next(folder)
    parts = [_part(name, serves, steps, look, step) for name, serves, steps, look in _looks(folder)]
    return Diagnosis(tuple(parts), step)


def _part(
    name: str, serves: str, steps: tuple[str, ...], look: Callable[[], _Found], step: str
) -> Part:
    found = look()
    state: State = "ok" if found.good else "absent" if found.good is None else "broken"
    return Part(name, state, step in steps, found.words, serves, "" if found.good else found.get)


def _looks(folder: Path) -> Iterator[tuple[str, str, tuple[str, ...], Callable[[], _Found]]]:
    """(name, what it serves, the steps that need it, how to look)."""
    live = ("preflight", "preview")
    yield "python", "everything", STEPS, _python
    yield "packages", "everything", STEPS, _packages
    yield "git", "the review: the workspace is a repository", (), lambda: _program("git", "--version", "apt-get install git")  # fmt: skip
    yield "workspace", "every step after init", STEPS[1:], lambda: _workspace(folder)
    yield "aws", "discover", ("discover",), lambda: _aws(folder)
    yield "target", "preflight, apply, verify, destroy", live, lambda: _target(folder)
    yield "engine", "preview, apply, destroy", ("preview",), _engine
    yield "go", "make engine, where no Pulumi of your own is used", (), _go
    yield "ansible", "playbooks of applications", (), _ansible
    yield "ansible-runner", "playbooks of applications", (), lambda: _package("ansible-runner", "pip install ansible-runner")  # fmt: skip
    yield "lab", "rehearsals without a cloud account, tests", (), _lab
    yield "demo", "repatria demo", (), lambda: _package("moto", "pip install 'repatria[demo]'")
    yield "chromium", "tests of plan.html", (), _chromium


def _next(folder: Path) -> str:
    """The next step of a workspace, by the files that are there."""
    for step, name in (
        ("init", workspace.CONFIG), ("discover", workspace.ESTATE), ("plan", workspace.PLAN), ("render", "rendered.json"),
    ):  # fmt: skip
        if not (folder / name).is_file():
            return step
    return "preview"


# ---------------------------------------------------------------------------------- this machine


def _python() -> _Found:
    said = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro} ({sys.executable})"
    return _Found(sys.version_info >= PYTHON, said, "make install PYTHON=python3.11")


def _packages() -> _Found:
    """The packages that the installed metadata asks for, without extras, each in a version that satisfies it."""
    try:
        wanted = importlib.metadata.requires("repatria") or []
    except importlib.metadata.PackageNotFoundError:
        return _Found(None, "repatria is not installed as a package", "make install")
    faults, count = [], 0
    for line in wanted:
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*([^;]*)", line)
        if match is None or "extra ==" in line:
            continue
        name, bounds = match[1], match[2].strip(" ()")
        count += 1
        try:
            held = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            faults.append(f"{name} is not there")
            continue
        faults += [
            f"{name} is {held}, {bound.strip()} is asked for"
            for bound in bounds.split(",")
            if bound.strip() and not _satisfies(held, bound.strip())
        ]
    if faults:
        return _Found(False, "; ".join(faults), "make install")
    return _Found(True, f"{count} packages, as asked for")


def _satisfies(held: str, bound: str) -> bool:
    operator, wanted = re.match(r"([<>=!~]+)\s*(.*)", bound).groups()  # type: ignore[union-attr]
    ours, theirs = _numbers(held), _numbers(wanted)
    width = max(len(ours), len(theirs))
    left, right = ours + (0,) * (width - len(ours)), theirs + (0,) * (width - len(theirs))
    return {
        ">=": left >= right, "==": left == right, "<=": left <= right, ">": left > right, "<": left < right, "!=": left != right,
        "~=": left >= right and ours[: len(theirs) - 1] == theirs[:-1],
    }.get(operator, True)  # fmt: skip


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version.partition("+")[0])[:4])


def _package(name: str, get: str) -> _Found:
    try:
        return _Found(True, f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return _Found(None, f"{name} is not installed", get)


def _program(name: str, argument: str, get: str) -> _Found:
    """A program of the PATH, or of the folder that this Python lies in, with the first line that it says of itself."""
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if path is None:
        return _Found(None, f"{name} is not on the PATH", get)
    try:
        said = subprocess.run(
            [path, argument], capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return _Found(False, f"{path} does not run: {type(error).__name__}", get)
    lines = (said.stdout or said.stderr).strip().splitlines()
    if said.returncode:
        return _Found(False, f"{path} ends with {said.returncode}: {lines[-1][:200] if lines else ''}", get)  # fmt: skip
    return _Found(True, f"{lines[0][:100] if lines else name} ({path})")


def _go() -> _Found:
    found = _program("go", "version", "install Go 1.26 or newer from your distribution or go's own site")  # fmt: skip
    version = re.search(r"go(\d+)\.(\d+)", found.words)
    if found.good and (version is None or (int(version[1]), int(version[2])) < (1, 26)):
        return _Found(False, f"{found.words}; the engine needs 1.26", "install Go 1.26 or newer")
    return found


def _ansible() -> _Found:
    return _program("ansible-playbook", "--version", "pip install 'repatria[suite]'")


def _chromium() -> _Found:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return _program(name, "--version", "apt-get install chromium")
    return _Found(None, "no chromium is on the PATH", "apt-get install chromium")


def _engine() -> _Found:
    from toolkit.engines.installed import locate

    try:
        engine = locate()
    except ToolkitError as error:
        return _Found(None, error.message, "make engine")
    return _Found(True, f"Pulumi {engine.version} with the OpenStack plugin {engine.plugin}, by {engine.source} ({engine.pulumi})")  # fmt: skip


# --------------------------------------------------------------------------- workspace and clouds


def _workspace(folder: Path) -> _Found:
    from toolkit.config import load

    if not (folder / workspace.CONFIG).is_file():
        return _Found(None, f"there is no {workspace.CONFIG} in {folder}", "repatria init --target CLOUD")  # fmt: skip
    try:
        config = load(folder)
        if (folder / workspace.PLAN).is_file():
            from toolkit.stage import read_fresh_plan

            plan, _ = read_fresh_plan(folder)
            return _Found(True, f"a plan of {len(plan['stacks'])} stacks for {plan['header']['target']['product']}")  # fmt: skip
    except ToolkitError as error:
        return _Found(False, error.message, error.hint)
    return _Found(True, f"for {config.target}, next is `repatria {_next(folder)}`")


def _aws(folder: Path) -> _Found:
    """Credentials that boto3 would take; AWS itself is not called."""
    import boto3
    import botocore.exceptions

    from toolkit.config import load

    profiles: tuple[str, ...] = ()
    if (folder / workspace.CONFIG).is_file():
        try:
            profiles = load(folder).profiles
        except ToolkitError:
            profiles = ()
    for profile in profiles or (None,):
        try:
            session = boto3.Session(profile_name=profile)
            # without the metadata service: looking for it takes seconds
            resolver = session._session.get_component("credential_provider")
            resolver.remove("iam-role")
            resolver.remove("container-role")
            held = session.get_credentials()
        except botocore.exceptions.BotoCoreError as error:
            return _Found(False, f"{' '.join(str(error).split())[:200]}", "aws configure, or correct source.profiles in repatria.toml")  # fmt: skip
        if held is None:
            return _Found(None, "no credentials in files or variables" + (f" for the profile {profile}" if profile else ""), "aws configure")  # fmt: skip
    return _Found(True, f"credentials by {held.method}" if held else "credentials")


def _target(folder: Path) -> _Found:
    """Sign in as each place of the plan, else of repatria.toml, else as what OS_CLOUD or OS_* say."""
    from toolkit.config import Place, load

    places: tuple[Place, ...] = (Place("", ""),)
    try:
        if (folder / workspace.CONFIG).is_file():
            config = load(folder)
            if config.target == "cloudtemple":
                return _temple()
            places = tuple(dict.fromkeys([Place(config.project, config.region), *config.places.values()]))  # fmt: skip
        if (folder / workspace.PLAN).is_file():
            from toolkit.engines.openstack import places as of

            places = of(workspace.read_plan(folder / workspace.PLAN)["stacks"]) or places
        return _signed_in(places)
    except ToolkitError as error:
        return _Found(False if _any_credentials() else None, error.message, error.hint)


def _signed_in(places: tuple[Any, ...]) -> _Found:
    from toolkit.engines.openstack import connect, entry, signed_in

    said = []
    for place in places:
        alone = len(places) == 1
        connection = connect(place, alone=alone, seconds=SECONDS)
        access = signed_in(connection)
        connection.session.session.close()
        region = connection.config.region_name
        said.append(f"{access.project_name} in {region} by {entry(place, alone=alone)}, roles {', '.join(sorted(access.role_names or ()))}")  # fmt: skip
    return _Found(True, "; ".join(said))


def _any_credentials() -> bool:
    from toolkit.engines.openstack import entry

    try:
        from toolkit.config import Place

        entry(Place("", ""), alone=True)
    except ToolkitError as error:
        return "no credentials" not in error.message
    return True


def _temple() -> _Found:
    from toolkit.preflight.cloudtemple import signs_in

    fault = signs_in()
    if fault is None:
        return _Found(True, "Cloud Temple's API takes the personal access token")
    given = os.environ.get("CLOUDTEMPLE_CLIENT_ID") and os.environ.get("CLOUDTEMPLE_SECRET_ID")
    return _Found(False if given else None, *fault)


def _lab() -> _Found:
    """The lab's folder is REPATRIA_LAB's or the usual one; up is what answers at its auth_url."""
    import yaml

    folder = Path(os.environ.get("REPATRIA_LAB") or "/var/lib/repatria/lab")
    get = "make lab-up"
    try:
        clouds = yaml.safe_load((folder / "clouds.yaml").read_text("utf-8"))["clouds"]
        url = next(urlsplit(str(each["auth"]["auth_url"])) for each in clouds.values())
    except OSError:
        return _Found(None, f"there is no lab in {folder}", get)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, StopIteration, UnicodeDecodeError):
        return _Found(False, f"clouds.yaml in {folder} is damaged", get)
    try:
        with socket.create_connection((url.hostname or "", url.port or 443), timeout=3):
            return _Found(True, f"up, at {url.geturl()} ({folder})")
    except OSError:
        return _Found(None, f"down: nothing answers at {url.geturl()} ({folder})", get)
