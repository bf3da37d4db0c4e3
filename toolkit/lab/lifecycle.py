"""A folder -> a lab that is up, down or gone; `up` is one path for a new lab, an interrupted one and one that runs."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from toolkit.lab import configuration, daemons, identity, namespace, packages, profile, schemas
from toolkit.lab.folder import Lab, LabError, find

SCHEMAS_AT_ONCE = 3
Say = Callable[[str], None]


def up(lab: Lab, say: Say, *, before: Lab | None = None) -> dict[str, Any]:
    """Bring a lab up, or bring it to other settings. `before`: what it was, where it was one already.

    Idempotent, and continues what was interrupted. Raises LabError with the log's last lines of what failed, and
    CatalogError for a profile that does not exist; then nothing has changed.
    """
    packages.check_machine()
    looks = profile.load(lab.settings.like, lab.settings.cloud_file, lab.settings.region)
    identity.check_name(lab.settings.project)
    began = time.monotonic()
    seconds: dict[str, float] = {}

    def timed(stage: str, words: str) -> None:
        seconds[stage] = round(time.monotonic() - began, 1)
        say(f"{seconds[stage]:6.1f} s  {words}")

    if before is None:
        lab.make()
    with lab.alone():
        _may_change(lab, before, looks)
        lab.make()
        named = packages.needed(lab.settings.services, lab.settings.boxes)
        if absent := packages.missing(named):
            packages.install(absent, lab.log("apt"), say)
            timed("packages", f"{len(absent)} packages installed")
        configuration.write_all(lab)
        namespace.up(lab)
        daemons.network(lab)
        daemons.infrastructure(lab)
        timed("infrastructure", "MariaDB, RabbitMQ and memcached are up")
        _services(lab, looks, timed)
        _ready(lab)
        timed("ready", "all services answer and report")
        _face(lab, looks)
        timed("profile", f"it looks like {looks.cloud.product}, region {looks.region.name}")
        if lab.settings.boxes:
            from toolkit.lab import boxes

            boxes.up(lab, say)
            timed("boxes", "every server becomes a machine")
        lab.done("up")
    return {
        "folder": str(lab.folder), "clouds": str(lab.clouds), "auth_url": lab.auth_url, "like": lab.settings.like,
        "region": looks.region.name, "projects": list(lab.projects()), "seconds": seconds,
        "without": [*looks.without()], "lacks": [each for each in lab.settings.services if looks.lacks(each)],
    }  # fmt: skip


def _face(lab: Lab, looks: profile.Profile) -> None:
    import openstack.exceptions

    try:
        profile.apply(lab, looks)
    except openstack.exceptions.SDKException as error:
        raise LabError(
            f"the lab refuses its operator: {error}",
            f"The logs are in {lab.folder / 'log'}; `repatria lab up` continues.",
        ) from error


def _may_change(lab: Lab, before: Lab | None, looks: profile.Profile) -> None:
    """Refuse what a lab that exists cannot become."""
    if before is None or not before.begun():
        return
    old, new = before.settings, lab.settings
    for what, was, wanted in (
        ("other ports", old.ports, new.ports),
        ("another external network", old.external, new.external),
        ("other services", set(old.services), set(new.services)),
        ("another first project (`repatria lab project` adds more)", old.project, new.project),
    ):
        if was != wanted:
            raise LabError(
                f"the lab in {lab.folder} was made with {what}",
                "`repatria lab purge` removes it, and `up` makes another; or use another folder with --lab.",
            )
    if not before.did("up") or (old.like, old.region, old.cloud_file) == (
        new.like,
        new.region,
        new.cloud_file,
    ):
        return
    had = profile.load(old.like, old.cloud_file, old.region)
    if (had.cloud.digest, had.region) == (looks.cloud.digest, looks.region):
        return
    if namespace.supervisor(lab) is None:
        raise LabError(
            f"the lab in {lab.folder} is down; what its projects hold cannot be seen",
            "`repatria lab up` first, then the same command again.",
        )
    if held := profile.used(lab, identity.connect(lab)):
        raise LabError(
            f"projects of the lab hold {held}; a lab changes its face only while they are empty",
            "Destroy these first; `repatria lab up` alone keeps the face that it has.",
        )


def _services(lab: Lab, looks: profile.Profile, timed: Callable[[str, str], None]) -> None:
    """Schemas are made while the services whose schema is ready come up."""
    with ThreadPoolExecutor(SCHEMAS_AT_ONCE) as pool:
        order = schemas.order(lab)
        keystone = pool.submit(schemas.make, lab, order[0])
        rest: list[Future[str]] = [pool.submit(schemas.make, lab, name) for name in order[1:]]
        try:
            keystone.result()
            daemons.keystone(lab)
            daemons.wait(lab, "keystone")
            identity.register(lab, identity.connect(lab), looks.region.name)
            timed("catalogue", "Keystone is up, the catalogue is registered")
            if lab.has("swift"):
                daemons.swift(lab)
            for ready in as_completed(rest):
                daemons.service(lab, ready.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    timed("schemas", "all schemas are made")
    daemons.wait(lab, "placement", "nova")
    daemons.compute(lab)
    daemons.wait(lab, "neutron")
    daemons.agents(lab)
    daemons.wait(lab, *(name for name in daemons.ANSWERS if lab.has(name)))
    timed("answers", "all APIs answer")
    if lab.has("designate"):
        daemons.pool(lab)


def _ready(lab: Lab) -> None:
    """A volume or share made before its pools report, or a port before the agents do, would fail for good."""
    cloud = identity.connect(lab)
    agents = {"neutron-linuxbridge-agent", "neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent"}  # fmt: skip

    def holds() -> bool:
        return (
            bool(list(cloud.block_storage.backend_pools()))
            and bool(list(cloud.compute.hypervisors()))
            and all(each.state == "up" for each in cloud.compute.services())
            and (
                not lab.has("manila") or bool(identity.shares(lab, cloud, "scheduler-stats/pools"))
            )
            and {each.binary for each in cloud.network.agents() if each.is_alive} >= agents
        )

    daemons.until(lab, "nova-compute", holds)


def down(folder: Path, say: Say) -> bool:
    """Take a lab down; its folder stays, so that `up` continues it. False where it was down already."""
    lab = find(folder)
    packages.check_machine()
    with lab.alone():
        ran = namespace.supervisor(lab) is not None
        namespace.down(lab)
        _let_go(lab)
        for stale in ("neutron/external", "neutron/dhcp", "neutron/ns-metadata-proxy", "run"):
            shutil.rmtree(lab.folder / stale, ignore_errors=True)
    if ran:
        say("the lab is down: no process, namespace, mount or device of it is left")
    return ran


def purge(folder: Path, say: Say) -> None:
    """Take a lab down and remove its folder."""
    lab = find(folder)
    down(folder, say)
    lab.purge()
    say(f"{lab.folder} is removed; Debian's packages stay (`apt-get autoremove` after removing them is yours to do)")  # fmt: skip


def _let_go(lab: Lab) -> None:
    """What the kernel does not take with the namespaces: loop devices of volumes, control groups of boxes."""
    if shutil.which("losetup"):
        said = subprocess.run(
            ["losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"], capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        for line in said.splitlines():
            device, _, backing = line.partition(" ")
            if backing.startswith(f"{lab.folder}/"):
                subprocess.run(["losetup", "--detach", device], check=False)
    for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        top = Path(root) / lab.cgroup
        if top.is_dir():
            for path in [*sorted(top.rglob("*/"), reverse=True), top]:
                try:
                    path.rmdir()
                except OSError:
                    continue
