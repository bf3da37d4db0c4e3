#!/usr/bin/env python3
"""A test double of a Nextcloud release: build.py FOLDER VERSION... -> nextcloud-VERSION.tar.bz2 and its .sha256.

THIS IS NOT NEXTCLOUD, and no test against it says anything about Nextcloud. It has the layout of a release, an occ
that records how it is called and keeps its state in the real database, and a small file endpoint, so that the role
around it (PHP-FPM, nginx, PostgreSQL, Valkey, timers, checks, upgrades) is exercised for real.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from pathlib import Path

TREE = Path(__file__).parent / "tree"
APPS = ("activity", "admin_audit", "dav", "files", "files_sharing", "firstrunwizard", "nextcloud_announcements", "survey_client", "weather_status")  # fmt: skip
DEFAULT_OFF = ("admin_audit",)


def info(app: str, most: int) -> bytes:
    return (
        f'<?xml version="1.0"?>\n<info><id>{app}</id><version>1.0.0</version><default_enable/>'
        f'<dependencies><nextcloud min-version="30" max-version="{most}"/></dependencies></info>\n'
    ).encode()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o644, 1000, 1000
    tar.addfile(entry, io.BytesIO(content))


def release(folder: Path, version: str) -> None:
    major = int(version.split(".", maxsplit=1)[0])
    with tarfile.open(folder / f"nextcloud-{version}.tar.bz2", "w:bz2") as tar:
        numbers = ", ".join([*version.split("."), "1"])
        says = f"<?php\n$OC_Version = [{numbers}];\n$OC_VersionString = '{version}';\n$OC_Channel = 'stable';\n$vendor = 'nextcloud';\n"
        add(tar, "nextcloud/version.php", says.encode())
        add(tar, "nextcloud/config/config.sample.php", b"<?php\n")
        for path in sorted(TREE.rglob("*")):
            if path.is_file():
                add(tar, f"nextcloud/{path.relative_to(TREE)}", path.read_bytes())
        for app in APPS:
            add(tar, f"nextcloud/apps/{app}/appinfo/info.xml", info(app, major))


def application(folder: Path, name: str, most: int) -> None:
    with tarfile.open(folder / f"{name}-for-{most}.tar.gz", "w:gz") as tar:
        add(tar, f"{name}/appinfo/info.xml", info(name, most))


def main(folder: Path, versions: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for version in versions:
        release(folder, version)
    for most in (31, 32):
        application(folder, "user_oidc", most)
    for path in [*folder.glob("*.tar.bz2"), *folder.glob("*.tar.gz")]:
        path.with_name(path.name + ".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
