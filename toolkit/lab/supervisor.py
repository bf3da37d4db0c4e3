"""PID 1 of a lab: keeps its namespaces, starts and stops its daemons on request; when it ends, all of the lab ends.

Runs as `python -m toolkit.lab.supervisor FOLDER` in new process, mount and network namespaces. It inherits the
sockets that listen outside and a descriptor of the machine's network namespace, and hands them to the daemons that
need them. Requests are JSON lines on a socket; daemons are its children, so their end and its cause are known
without pid files.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ORDERLY = ("mysql", "rabbit")
"""Stopped last, in this order, since the others write to them until they end."""


class Supervisor:
    """The daemons of one lab, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pids: dict[str, int] = {}
        self.since: dict[str, float] = {}
        self.ended: dict[int, int] = {}
        self.lock = threading.Lock()
        self.closing = False
        self.over = threading.Event()

    def start(self, name: str, argv: list[str], env: dict[str, str], descriptors: list[int]) -> int:
        """Start a daemon with these descriptors open, or return the one that runs."""
        with self.lock:
            if self.closing:
                raise RuntimeError("the lab is being taken down")
            if self.runs(name):
                return self.pids[name]
            with (self.folder / "log" / f"{name}.log").open("ab") as log:
                child = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env={**os.environ, **env}, cwd="/", pass_fds=descriptors,
                )  # fmt: skip
            child.returncode = 0  # it is reaped by `reap`, not by Popen
            self.pids[name], self.since[name] = child.pid, time.time()
            return child.pid

    def runs(self, name: str) -> bool:
        return name in self.pids and self.pids[name] not in self.ended

    def stop(self, name: str, seconds: float) -> None:
        """End a daemon and what it started; by force after `seconds`."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if not self.runs(name):
                break
            _kill(self.pids[name], sent)
            limit = time.monotonic() + seconds
            while self.runs(name) and time.monotonic() < limit:
                time.sleep(0.02)
        _kill(self.pids.pop(name, 0), signal.SIGKILL)

    def close(self) -> None:
        """Stop all, what writes first; then end, and the kernel ends whatever is left."""
        with self.lock:
            self.closing = True
        others = [name for name in self.pids if name not in ORDERLY]
        for name in others:
            _kill(self.pids[name], signal.SIGTERM)
        limit = time.monotonic() + 8
        while any(map(self.runs, others)) and time.monotonic() < limit:
            time.sleep(0.05)
        for name in ORDERLY:
            self.stop(name, 15)
        self.over.set()

    def list(self) -> dict[str, dict[str, Any]]:
        """Each daemon: pid (as seen in the lab), whether it runs, since when (Unix time), exit status."""
        return {
            name: {
                "pid": pid,
                "up": pid not in self.ended,
                "since": self.since[name],
                "status": os.waitstatus_to_exitcode(self.ended[pid]) if pid in self.ended else None,
            }
            for name, pid in sorted(self.pids.items())
        }

    def reap(self) -> None:
        """Collect every child that ends, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, 0)
                self.ended[pid] = status
            except ChildProcessError:
                time.sleep(0.1)


def _kill(group: int, sent: signal.Signals) -> None:
    if group > 1:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, sent)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        supervisor: Supervisor = self.server.supervisor  # type: ignore[attr-defined]
        try:
            match asked["do"]:
                case "start":
                    said: Any = supervisor.start(asked["name"], asked["argv"], asked["env"], asked["descriptors"])  # fmt: skip
                case "stop":
                    said = None
                    supervisor.stop(asked["name"], asked["seconds"])
                case "close":
                    said = None
                    supervisor.close()
                case "list":
                    said = supervisor.list()
                case _:
                    raise ValueError(asked["do"])
            reply = {"said": said}
        except Exception as error:  # noqa: BLE001 - told to who asked
            reply = {"error": f"{type(error).__name__}: {error}"}
        self.wfile.write(json.dumps(reply).encode() + b"\n")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def enclose(folder: Path) -> None:
    """Make the namespaces a place of their own: a private list of network namespaces, /sys of this network."""

    def mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True)

    Path("/run/netns").mkdir(parents=True, exist_ok=True)
    # Neutron's agents delete routers that they do not know: no lab may see another's, nor the machine's
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run/netns")
    held = folder / "run/cgroup"
    held.mkdir(exist_ok=True)
    mount("--rbind", "/sys/fs/cgroup", str(held))
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--rbind", str(held), "/sys/fs/cgroup")
    subprocess.run(["umount", "--lazy", str(held)], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def main() -> None:
    folder = Path(sys.argv[1])
    # the lab's programs are Debian's: nothing of whoever started it reaches them
    os.environ.clear()
    os.environ.update(
        PATH=f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8", HOME=str(folder / "home"), PYTHONWARNINGS="ignore"
    )  # fmt: skip
    os.umask(0o022)
    enclose(folder)
    supervisor = Supervisor(folder)
    socket = folder / "run/supervisor.sock"
    socket.unlink(missing_ok=True)
    server = _Server(str(socket), _Handler)
    server.supervisor = supervisor  # type: ignore[attr-defined]
    threading.Thread(target=supervisor.reap, daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=supervisor.close).start())
    supervisor.over.wait()
    socket.unlink(missing_ok=True)
    os._exit(0)


if __name__ == "__main__":
    main()
