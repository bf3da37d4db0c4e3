"""What a host of the suite says of itself, as JSON: units, disks, certificates, the last backup. Standard library only; runs there."""

import json
import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path

UNITS = ("nginx", "postgresql@*", "valkey-server", "coturn", "prosody", "jicofo", "jitsi-videobridge2", "keycloak", "php8.4-fpm", "synapse*", "matrix-synapse*", "prometheus", "alertmanager", "restic*", "suite-*")  # fmt: skip
METRICS = Path("/var/lib/prometheus/node-exporter")


def units():
    """Name -> active, failed, ...: services of the suite that the host has, and whatever failed."""
    found = {}
    for arguments in (("--type=service", *UNITS), ("--state=failed",)):
        words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", *arguments]
        for line in subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines():  # fmt: skip
            name, load, active = line.split()[:3]
            if load == "loaded":
                found[name] = active
    return found


def disks():
    """Mount -> bytes and the part that is used, of the system and of the volumes."""
    found = {}
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        path = line.split()[1].encode().decode("unicode_escape")
        if path == "/" or path.startswith("/srv/"):
            held = shutil.disk_usage(path)
            found[path] = {"bytes": held.total, "used": round(held.used / held.total, 3)}
    return found


def certificates():
    """File -> days that are left, or what openssl says of it."""
    found = {}
    for path in sorted(Path("/etc/ssl/suite").glob("*.crt")):
        said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], capture_output=True, text=True, check=False)  # fmt: skip
        ends = said.stdout.strip().removeprefix("notAfter=")
        found[path.name] = (
            round((ssl.cert_time_to_seconds(ends) - time.time()) / 86400, 1) if ends else said.stderr.strip()[:200]
        )  # fmt: skip
    return found


def backups():
    """Hours since the last good set, by metric; empty where this host has none."""
    found = {}
    for path in METRICS.glob("*.prom"):
        for name, value in re.findall(r"^(suite_backup_\w*timestamp\w*)(?:\{[^}]*\})? ([\d.e+]+)$", path.read_text("utf-8"), re.MULTILINE):  # fmt: skip
            found[name] = round((time.time() - float(value)) / 3600, 1)
    return found


def main():
    """All of it."""
    up = float(Path("/proc/uptime").read_text().split()[0])
    state = subprocess.run(["systemctl", "is-system-running"], capture_output=True, text=True, check=False).stdout.strip()  # fmt: skip
    print(json.dumps({
        "state": state, "up_hours": round(up / 3600, 1), "units": units(), "disks": disks(), "certificates": certificates(),
        "backups": backups(), "reboot_wanted": Path("/run/reboot-required").exists(),
    }))  # fmt: skip


main()
