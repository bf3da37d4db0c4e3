"""Debian's packages by the machine's own apt -> a root file system for boxes; the tar is what a CI should cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from toolkit.lab.folder import LabError

SUITE = "trixie"
HERE = Path(__file__).parent
PACKAGES = [
    "ca-certificates", "cloud-init", "curl", "dbus", "e2fsprogs", "iproute2", "iputils-ping", "less", "libnss-resolve", "netbase",
    "openssh-server", "procps", "python3", "python3-apt", "sudo", "systemd-resolved", "systemd-sysv",
]  # fmt: skip
FILES = {
    "cloud.cfg": "etc/cloud/cloud.cfg.d/90_lab.cfg",
    "dhcpcd.conf": "etc/dhcpcd.conf",
    "fstab.service": "etc/systemd/system/lab-fstab.service",
    "resolved.conf": "etc/systemd/resolved.conf.d/lab.conf",
    "apt.conf": "etc/apt/apt.conf.d/99lab",
    "dpkg.cfg": "etc/dpkg/dpkg.cfg.d/99lab",
}
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "cloud-init-hotplugd.socket"]  # fmt: skip


def cache() -> Path:
    """Where root file systems are kept, outside every lab: they are the same for all."""
    return Path(os.environ.get("REPATRIA_CACHE", "/var/cache/repatria"))


def build(say: Callable[[str], None]) -> Path:
    """The root file system: made by mmdebstrap, or unpacked from the tar in the cache. Returns its folder.

    Raises LabError with mmdebstrap's last words.
    """
    texts = {name: (HERE / "etc" / name).read_text() for name in FILES}
    tar = cache() / f"{SUITE}-{_key(PACKAGES)}.tar"
    root = cache() / f"{SUITE}-{_key([PACKAGES, sorted(texts.items()), MASKED])}"
    if root.exists():
        return root
    cache().mkdir(parents=True, exist_ok=True)
    if not tar.exists():
        say(f"making the boxes' Debian ({SUITE}) by mmdebstrap; kept as {tar}")
        _bootstrap(tar)
    part = root.with_name(f"{root.name}.{os.getpid()}")
    part.mkdir()
    try:
        subprocess.run(["tar", "-xf", tar, "--numeric-owner", "-C", part], check=True)
        _furnish(part, texts)
        part.rename(root)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(part, ignore_errors=True)
        if root.exists():  # another lab was faster
            return root
        raise LabError(f"the boxes' root file system could not be unpacked: {error}", f"Remove {tar}, then run the same command again.") from error  # fmt: skip
    return root


def _key(made_of: object) -> str:
    return hashlib.sha256(repr((SUITE, made_of)).encode()).hexdigest()[:12]


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _bootstrap(tar: Path) -> None:
    """mmdebstrap with the machine's own sites, in the place of its own release's suites."""
    found = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    codename = found[1] if found else "bookworm"
    rows = _said(
        "apt-get", "indextargets", "--format", "$(RELEASE)|$(SITE)", "Created-By: Packages"
    )
    site = dict(row.split("|", 1) for row in rows.splitlines())
    suffixes = [s for s in ("", "-updates", "-security") if codename + s in site]
    if not suffixes:
        raise LabError(f"apt knows no source of {codename}", "`apt-get update` first; the boxes come from the same place.")  # fmt: skip
    sources = "\n".join(f"deb {site[codename + s]} {SUITE}{s} main" for s in suffixes)
    proxy = _said("apt-config", "shell", "P", "Acquire::http::Proxy").removeprefix("P=").strip().strip("'")  # fmt: skip
    options = ['Acquire::Languages "none"', 'Acquire::Check-Valid-Until "false"', 'APT::Install-Recommends "false"']  # fmt: skip
    options += [f'Acquire::http::Proxy "{proxy}"'] if proxy else []
    part = tar.with_name(f"{tar.name}.{os.getpid()}")
    done = subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=apt", "--format=tar", "--include=" + ",".join(PACKAGES),
         *(f"--aptopt={option}" for option in options), SUITE, part, "-"],
        input=sources, text=True, capture_output=True, check=False, env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
    )  # fmt: skip
    if done.returncode:
        part.unlink(missing_ok=True)
        raise LabError(
            f"mmdebstrap could not make Debian {SUITE}: "
            + "; ".join(done.stderr.splitlines()[-4:]),
            "It uses this machine's apt sources; check that they have that release too.",
        )
    part.rename(tar)


def _furnish(root: Path, texts: dict[str, str]) -> None:
    """What makes a Debian a box: no keys, no identity, the lab's settings, a private authority of this machine."""
    for name, place in FILES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(texts[name])
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    for place, text in {"etc/hostname": "localhost\n", "etc/machine-id": "", "etc/default/locale": "LANG=C.UTF-8\n"}.items():  # fmt: skip
        (root / place).write_text(text)
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(certificate, root / "usr/local/share/ca-certificates")
    subprocess.run(
        ["chroot", root, "sh", "-ec", "update-ca-certificates; systemctl enable systemd-networkd lab-fstab"],
        check=True, capture_output=True,
    )  # fmt: skip
