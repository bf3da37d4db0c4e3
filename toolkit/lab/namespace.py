"""A lab's folder -> its namespaces: brought up, entered, asked, taken down, through the supervisor's socket.

Whether a lab runs is one question: does its socket answer. The kernel names the process behind it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit.lab.folder import HOST, Lab, LabError

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = Path(__file__).parents[2]


def supervisor(lab: Lab) -> int | None:
    """The process id of the lab's supervisor as this machine sees it, or None where the lab is down."""
    try:
        with _connected(lab) as link:
            packed = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    pid: int = struct.unpack("3i", packed)[0]
    return pid


def _connected(lab: Lab) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(str(lab.socket))
    except OSError:
        link.close()
        raise
    return link


def ask(lab: Lab, do: str, **words: Any) -> Any:
    """One request to the supervisor. Raises LabError where the lab is down or the request fails."""
    try:
        with _connected(lab) as link:
            link.sendall(json.dumps({"do": do, **words}).encode() + b"\n")
            with link.makefile("rb") as reply:
                line = reply.readline()
    except OSError as error:
        raise LabError(
            f"the lab in {lab.folder} is not up", "`repatria lab up` brings it up."
        ) from error
    said = json.loads(line or b'{"error": "it ended"}')
    if "error" in said:
        raise LabError(
            f"the lab's supervisor: {said['error']}", f"Look into {lab.log('supervisor')}."
        )
    return said["said"]


def start(
    lab: Lab, name: str, *argv: str | Path | int, descriptors: Iterable[int] = (), **env: str | Path
) -> None:
    """Start a daemon of the lab; one that runs is left alone. Its log is log/NAME.log."""
    ask(
        lab, "start", name=name, argv=[str(word) for word in argv], descriptors=list(descriptors),
        env={key: str(value) for key, value in env.items()},
    )  # fmt: skip


def ours(
    lab: Lab, name: str, module: str, *words: str | Path, descriptors: Iterable[int] = ()
) -> None:
    """Start a module of this package as a daemon of the lab."""
    start(lab, name, sys.executable, "-m", module, *words, descriptors=descriptors, PYTHONPATH=ROOT)


def stop(lab: Lab, name: str, seconds: float = 10) -> None:
    ask(lab, "stop", name=name, seconds=seconds)


def inside(
    lab: Lab, *argv: str | Path, text: str | None = None, env: dict[str, str] | None = None
) -> str:
    """Run a command in the lab and return its output. Raises LabError with what it wrote when it fails."""
    pid = supervisor(lab)
    if pid is None:
        raise LabError(f"the lab in {lab.folder} is not up", "`repatria lab up` brings it up.")
    words = [str(word) for word in argv]
    done = subprocess.run(
        ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--", *words], text=True, input=text or "",
        capture_output=True, check=False, cwd="/",
        env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": str(lab.folder / "home"), "PYTHONWARNINGS": "ignore", **(env or {})},
    )  # fmt: skip
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip())[-1500:]
        raise LabError(f"{' '.join(words[:3])}... failed in the lab: {told}", "Run the same command again; look into the logs in " + str(lab.folder / "log"))  # fmt: skip
    return done.stdout


def up(lab: Lab) -> bool:
    """Make the namespaces, or find them; True where they were made anew.

    The machine's ports are taken first, so a port that somebody else has is told before anything starts.
    """
    if supervisor(lab) is not None:
        return False
    held: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        for name, port in lab.exposed().items():
            made = stack.enter_context(socket.socket())
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                made.bind((HOST, port))
            except OSError as error:
                raise LabError(
                    f"port {port} of {HOST}, for {name}, is taken: {error.strerror}",
                    "Another lab or program has it; `repatria lab up --ports 20000` takes other ones.",
                ) from error
            made.listen(128)
            held[port] = made
        net = os.open("/proc/self/ns/net", os.O_RDONLY)
        stack.callback(os.close, net)
        descriptors = [net, *(each.fileno() for each in held.values())]
        log = stack.enter_context(lab.log("supervisor").open("ab"))
        process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc",
             "--kill-child", sys.executable, "-m", "toolkit.lab.supervisor", str(lab.folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=descriptors,
            cwd=ROOT,
        )  # fmt: skip
        limit = time.monotonic() + 20
        while supervisor(lab) is None:
            if process.poll() is not None or time.monotonic() > limit:
                raise LabError(
                    f"the lab's namespaces could not be made: {tail(lab, 'supervisor')}",
                    "It needs root and a kernel with process, mount and network namespaces.",
                )
            time.sleep(0.02)
        process.returncode = 0  # it lives as long as the lab, not as long as this command
        pairs = [f"{made.fileno()}:{port}" for port, made in held.items()]
        ours(lab, "forward", "toolkit.lab.forward", *pairs, descriptors=descriptors[1:])
        (lab.folder / "run/hostnet").write_text(str(net))
    return True


def down(lab: Lab) -> None:
    """Stop the daemons in order, then end the supervisor; the kernel takes the rest with it."""
    pid = supervisor(lab)
    if pid is None:
        return
    # `unshare` waits outside for the supervisor and holds the machine's ports until it ends too
    handles = [os.pidfd_open(each) for each in (pid, _parent(pid))]
    try:
        with contextlib.suppress(LabError):
            ask(lab, "close")
        if not _ended(handles[0], 5):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handles[0], signal.SIGKILL)
        for handle in handles:
            _ended(handle, 20)
    finally:
        for handle in handles:
            os.close(handle)


def _parent(pid: int) -> int:
    found = re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else pid


def _ended(handle: int, seconds: float) -> bool:
    import select

    return bool(select.select([handle], [], [], seconds)[0])


def tail(lab: Lab, name: str, lines: int = 8) -> str:
    """The last lines of a daemon's log."""
    try:
        held = lab.log(name).read_text(errors="replace").splitlines()
    except OSError:
        return "it wrote nothing"
    return "\n".join(held[-lines:]) or "it wrote nothing"
