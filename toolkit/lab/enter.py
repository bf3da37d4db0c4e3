"""A command -> the same command in the lab's network namespace, with the machine's files and the caller's identity."""

from __future__ import annotations

import os
import sys

from toolkit.lab.folder import Lab, LabError
from toolkit.lab.namespace import ROOT, supervisor


def _network(lab: Lab) -> list[str]:
    pid = supervisor(lab)
    if pid is None:
        raise LabError(f"the lab in {lab.folder} is not up", "`repatria lab up` brings it up.")
    if os.geteuid() != 0:
        raise LabError("only root may enter the lab's network", "Run the same command with sudo.")
    return ["nsenter", f"--net=/proc/{pid}/ns/net"]


def run(lab: Lab, command: list[str]) -> None:
    """Become the command, inside; called through sudo it runs as that user. Does not return."""
    words = [*_network(lab), "--"]
    environment = {"OS_CLIENT_CONFIG_FILE": str(lab.clouds), "OS_CLOUD": "lab", **os.environ}
    if user := os.environ.get("SUDO_UID"):
        import pwd

        who = pwd.getpwuid(int(user))
        words += ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups", "--"]  # fmt: skip
        environment.update(HOME=who.pw_dir, USER=who.pw_name, LOGNAME=who.pw_name)
    words += command or [os.environ.get("SHELL", "/bin/sh")]
    sys.stdout.flush()
    os.execvpe(words[0], words, environment)  # noqa: S606 - that is what it is for


def connect(lab: Lab, host: str, port: int) -> None:
    """Become a pipe between stdin/stdout and a TCP port in the lab. Does not return."""
    words = [*_network(lab), "--", sys.executable, "-m", "toolkit.lab.pipe", host, str(port)]
    os.execvp(words[0], words)  # noqa: S606


def box(lab: Lab, server: str, command: list[str]) -> None:
    """Become a command in a server's box, as root there. Does not return."""
    pid = supervisor(lab)
    _network(lab)
    words = ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--", sys.executable, "-m", "toolkit.lab.boxes.shell", str(lab.folder), server, *command]  # fmt: skip
    os.execvpe(words[0], words, {**os.environ, "PYTHONPATH": str(ROOT)})  # noqa: S606
