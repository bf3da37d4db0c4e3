"""`playbooks/smoke.yml` run by ansible-playbook itself: green where all is well or accepted, red where a check is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.smoke import Authority, Gate, Said, smoke_toml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def _play(folder: Path) -> subprocess.CompletedProcess[str]:
    line = [
        str(BIN / "ansible-playbook"), "-i", "localhost,", "smoke.yml", "-e", f"smoke_workspace={folder}", "-e", f"smoke_command={BIN / 'repatria'}",
        "-e", '{"smoke_only": ["tls", "jitsi.bosh"]}',
    ]  # fmt: skip
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "playbooks/ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "PATH": f"{BIN}:{os.environ['PATH']}"}  # fmt: skip
    return subprocess.run(line, cwd=ROOT / "playbooks", env=env, capture_output=True, text=True, timeout=200, check=False)  # fmt: skip


def test_the_play_is_red_where_a_check_is(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Gate(authority, {"cloud.smoke.test": lambda _asked: Said(200)}) as gate:
        path = smoke_toml(tmp_path, ca_file=authority.file, connect=gate.connect(), tls={"names": ["cloud.smoke.test"]})  # fmt: skip
        partial = _play(tmp_path)
        assert partial.returncode != 0, "what is not installed is not run"
        assert "not installed: no [jitsi]" in " ".join(partial.stdout.split())
        assert "0 checks failed, 1 were not run" in " ".join((partial.stdout + partial.stderr).split())  # fmt: skip
        path.write_text(path.read_text() + '[[accept]]\ncheck = "jitsi.*"\nreason = "no conferences here"\n')  # fmt: skip
        whole = _play(tmp_path)
        assert whole.returncode == 0, whole.stdout + whole.stderr
        assert "accepted: no conferences here" in " ".join(whole.stdout.split()), whole.stdout
        assert "changed=0" in whole.stdout
        del gate.security["Referrer-Policy"]
        broken = _play(tmp_path)
        assert broken.returncode != 0
        assert "cloud.smoke.test: no Referrer-Policy" in " ".join(broken.stdout.split())
