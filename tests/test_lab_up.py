"""A lab of our own from nothing: killed on its way, continued, down without a trace. Core services only; needs root."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import lab as support
from tests.test_lab import _free, _processes
from toolkit.lab.folder import SERVICES, find

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1500)]
REPATRIA = Path(sys.executable).with_name("repatria")
PORTS = 21500


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([REPATRIA, "lab", *words], capture_output=True, text=True, check=False)


def test_killed_anywhere_it_continues_and_leaves_nothing(tmp_path: Path) -> None:
    support.root()
    support.folder()  # where labs are tested at all
    if not shutil.which("mariadbd") or not shutil.which("nova-api"):
        pytest.skip("the lab's packages are not installed: `repatria lab up` installs them")
    folder = tmp_path / "lab"
    asked = ["up", "--lab", str(folder), "--ports", str(PORTS), "--like", "openstack"]
    asked += [word for service in SERVICES for word in ("--without", service)]
    seed = random.randrange(1 << 16)
    points = sorted(random.Random(seed).uniform(1, 40) for _ in range(3))
    try:
        for seconds in points:
            process = subprocess.Popen(
                [REPATRIA, "lab", *asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = _run(*asked, "--json")
        assert done.returncode == 0, f"seed {seed}: {done.stderr}"
        assert json.loads(done.stdout)["region"] == "RegionOne"
        said = _run("status", "--lab", str(folder), "--json")
        document = json.loads(said.stdout)
        assert said.returncode == 0, document["amiss"]
        assert {each["name"] for each in document["services"]} == {
            "keystone",
            "placement",
            "glance",
            "nova",
            "neutron",
            "cinder",
        }
        assert document["memory_mib"] > 500
        lab = find(folder)
        assert _run("down", "--lab", str(folder)).returncode == 0
        assert not _processes(lab)
        assert all(map(_free, lab.exposed().values()))
        assert str(folder) not in Path("/proc/self/mountinfo").read_text()
        assert _run("up", "--lab", str(folder)).returncode == 0, "what was down comes up again"
    finally:
        purged = _run("purge", "--lab", str(folder))
    assert purged.returncode == 0, purged.stderr
    assert not folder.exists()
