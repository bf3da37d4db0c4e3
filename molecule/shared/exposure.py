"""Run on a host: what systemd says of each unit of `own` that is there (JSON). Input: `all` and `own`, rows of meta/exposure.yml (JSON).

Exit 1 where one of `own` is over its budget, or where somebody confines a unit that is in no row of `all`.
"""

import fnmatch
import json
import pathlib
import re
import subprocess
import sys


def told(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def units():
    """Services that are loaded or could be; a template only by its instances."""
    for line in told(
        "systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service"
    ).splitlines():
        name, state, *_ = line.split()
        if state == "loaded":
            yield name
    for line in told("systemctl", "list-unit-files", "--no-legend", "--type=service").splitlines():
        name, state, *_ = line.split()
        if state not in ("masked", "alias") and "@." not in name:
            yield name


def confined():
    """Units that this machine's administrator made or changed so that they are confined."""
    for path in pathlib.Path("/etc/systemd/system").glob("*.service*"):
        files = path.glob("*.conf") if path.is_dir() else [] if path.is_symlink() else [path]
        if any(
            re.search("^(Protect|Restrict|ProcSubset)", file.read_text(), re.MULTILINE)
            for file in files
        ):
            yield path.name.removesuffix(".d")


rows, there, seen, wrong = json.load(sys.stdin), set(units()), {}, []
for row in rows["own"]:
    for unit in sorted(fnmatch.filter(there, row["unit"])):
        said = told("systemd-analyze", "security", "--no-pager", unit)
        seen[unit] = float(re.search(r"exposure level for .*: ([0-9.]+) ", said)[1])
        if seen[unit] > row["most"]:
            wrong.append(f"{unit}: {seen[unit]} is more than {row['most']}")
wrong += [
    f"{unit} is in no role's meta/exposure.yml"
    for unit in sorted(confined())
    if not any(fnmatch.fnmatch(unit, row["unit"]) for row in rows["all"])
]
print(json.dumps(seen))
sys.exit("\n".join(wrong) or None)
