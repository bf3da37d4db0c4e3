"""Go modules pinned here -> the Pulumi engine in a cache outside the tree; what is there already is not made again.

Standard library only, so that it runs before anything is installed: `python3 engine/build.py`, or `make engine`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN_VERSION = "5.5.1"
"""Of the official OpenStack plugin and of `pulumi-openstack` on PyPI, which ours stands in for."""
INPUTS = ("cli/go.mod", "cli/go.sum", "openstack/go.mod", "openstack/go.sum", "openstack/main.go", "openstack/tokens.json")  # fmt: skip
GO_AT_LEAST = (1, 26)
"""What both go.mod files ask for; an older Go would try to fetch a newer one."""


def main() -> int:
    """Build, or say that it is built. Exit code 0 or 1."""
    target = cache() / key()
    if (target / "engine.json").is_file():
        report(target, "already built")
        return 0
    go = find_go()
    if go is None:
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        # two at once would use the same two cores twice
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (target / "engine.json").is_file():
            report(target, "already built")
            return 0
        for left in target.parent.glob("*.part"):
            shutil.rmtree(left)
        return build(go, target)


def build(go: str, target: Path) -> int:
    """Build both binaries into a folder of another name, try them, then give it its name."""
    part = target.with_name(target.name + ".part")
    plugin = part / "home" / "plugins" / f"resource-openstack-v{PLUGIN_VERSION}"
    (part / "bin").mkdir(parents=True)
    plugin.mkdir(parents=True)
    version = cli_version()
    sdk = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
    started = time.monotonic()
    try:
        say(f"building Pulumi {version} (minutes, once) ...")
        compile_(
            go, HERE / "cli", part / "bin" / "pulumi", f"-X {sdk}=v{version}",
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        )  # fmt: skip
        first = time.monotonic()
        say(f"building the OpenStack plugin {PLUGIN_VERSION} ({first - started:.0f} s so far) ...")
        compile_(
            go, HERE / "openstack", plugin / "pulumi-resource-openstack",
            f"-X main.Version={PLUGIN_VERSION}", ".",
        )  # fmt: skip
        quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        said = subprocess.run([part / "bin" / "pulumi", "version"], check=True, capture_output=True, text=True, env=quiet)  # fmt: skip
        own = subprocess.run([plugin / "pulumi-resource-openstack", "-version"], check=True, capture_output=True, text=True)  # fmt: skip
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(part, ignore_errors=True)
        say(f"error: the engine could not be built: {error}")
        say("hint: what Go said is above; nothing half built is left. Run `make engine` again.")
        return 1
    built = {
        "pulumi": said.stdout.strip().removeprefix("v"),
        "plugin": own.stdout.strip().removeprefix("v"),
        "seconds": {"cli": round(first - started), "plugin": round(time.monotonic() - first)},
    }
    if (built["pulumi"], built["plugin"]) != (version, PLUGIN_VERSION):
        shutil.rmtree(part, ignore_errors=True)
        say(f"error: built {built}, where Pulumi {version} and plugin {PLUGIN_VERSION} were meant")
        return 1
    (part / "engine.json").write_text(json.dumps(built, indent=1, sort_keys=True) + "\n")
    part.rename(target)
    report(target, f"built in {time.monotonic() - started:.0f} s")
    return 0


def compile_(go: str, module: Path, output: Path, flags: str, package: str) -> None:
    """`go build` of one package, with exactly the modules that go.sum names."""
    subprocess.run(
        [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {flags}", "-o", output, package],
        cwd=module, check=True, stdout=sys.stderr, env={**os.environ, "GOTOOLCHAIN": "local"},
    )  # fmt: skip


def cli_version() -> str:
    """The CLI's version, as cli/go.mod pins it."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (HERE / "cli/go.mod").read_text())
    if found is None:
        raise SystemExit("error: engine/cli/go.mod pins no version of pulumi/pkg/v3")
    return found[1]


def key() -> str:
    """What the binaries are made from, as a name: any change of an input is another engine."""
    total = hashlib.sha256(f"{platform.system()} {platform.machine()} {PLUGIN_VERSION}".encode())
    for name in INPUTS:
        total.update(hashlib.sha256((HERE / name).read_bytes()).digest())
    return total.hexdigest()[:16]


def cache() -> Path:
    """Where engines are kept: `$XDG_CACHE_HOME/repatria/engine`, by default under ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"
    return base / "repatria" / "engine"


def find_go() -> str | None:
    """Go on the PATH, new enough; None after saying what is missing."""
    go = shutil.which("go")
    if go is None:
        say("error: the engine is built from Go sources, and there is no `go` on the PATH")
        say(f"hint: install Go {GO_AT_LEAST[0]}.{GO_AT_LEAST[1]} or newer, or put Pulumi and its OpenStack plugin on the PATH.")  # fmt: skip
        return None
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"})  # fmt: skip
    found = re.match(r"go(\d+)\.(\d+)", said.stdout)
    if found is None or (int(found[1]), int(found[2])) < GO_AT_LEAST:
        say(f"error: {go} is {said.stdout.strip() or 'no working Go'}; the engine needs Go {GO_AT_LEAST[0]}.{GO_AT_LEAST[1]}")  # fmt: skip
        say("hint: install a newer Go, or put Pulumi and its OpenStack plugin on the PATH.")
        return None
    return go


def report(target: Path, what: str) -> None:
    """Versions and place, on stdout; of several engines the one named last is the one in use."""
    os.utime(target / "engine.json")
    built = json.loads((target / "engine.json").read_text())
    print(f"pulumi {built['pulumi']}, openstack plugin {built['plugin']}: {what}")
    print(target)


def say(message: str) -> None:
    """A line for the person."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
