"""Nova's servers -> boxes: what is created, stopped, started, rebooted, rebuilt, attached or deleted there happens here.

Runs as `python -m toolkit.lab.boxes.follow FOLDER ROOT` in the lab. Nova is asked every second; an answer that fails
changes nothing.
"""

from __future__ import annotations

import calendar
import sys
import time
from pathlib import Path
from typing import Any

from toolkit.lab import identity
from toolkit.lab.boxes.box import Box
from toolkit.lab.boxes.processes import collect, tell
from toolkit.lab.boxes.volume import Volume
from toolkit.lab.folder import Lab, find

CALM, BUSY = 1.0, 0.2
"""Seconds between two looks at Nova: usually, and while a box waits for its network."""
SIZES = 5.0
"""Seconds between two looks at the sizes of volumes."""


class Follower:
    """What was seen of each server at the last look."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.lab, self.root = lab, root
        self.cloud = identity.connect(lab)
        self.seen: dict[str, tuple[str, ...]] = {}
        self.measured = 0.0

    def boxes(self) -> list[Box]:
        found = sorted((self.lab.folder / "boxes").glob("*/box.json"))
        return [Box(self.lab, self.cloud, self.root, path.parent.name) for path in found]

    def look(self) -> bool:
        """One look at all servers; whether nothing waits."""
        # an error of the API ends the look here, before anything is removed by mistake
        servers = {each.id: each for each in self.cloud.compute.servers(details=True, all_projects=True)}  # fmt: skip
        for box in self.boxes():
            if box.id not in servers:
                box.remove()
                self.seen.pop(box.id, None)
        calm = True
        for server in servers.values():
            try:
                calm &= self.follow(Box(self.lab, self.cloud, self.root, server.id), server)
            except Exception as error:  # noqa: BLE001 - tried again at the next look; the others go on
                if "NotFound" not in type(error).__name__:
                    tell(server.name, server.id, f"{type(error).__name__}: {error}")
        self.volumes({volume.id for each in servers.values() for volume in each.attached_volumes or ()})  # fmt: skip
        return calm

    def follow(self, box: Box, server: Any) -> bool:
        """Bring one box to its server's state; False while it waits for its network."""
        on = box.state.get("power") == "on"
        state = (server.status, str(server.updated_at), str(server.addresses))
        if server.status == "ACTIVE" and (not on or (box.id not in self.seen and not box.pid)):
            if not box.start(server):
                return False
        elif server.status in ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED") and on:
            box.stop()
            tell(box.name, server.name, "is stopped")
        elif server.status == "ACTIVE" and self.seen.get(box.id) != state:
            self.act(box, server)
            box.plug(server)
        self.seen[box.id] = state
        if box.pid:
            box.sync_volumes(server)
        return True

    def act(self, box: Box, server: Any) -> None:
        """Reboot and rebuild leave no trace in the status: they are read from the server's last action."""
        reply = self.cloud.compute.get(f"/servers/{box.id}/os-instance-actions").json()
        last = (reply.get("instanceActions") or [{}])[0]
        if last.get("action") not in ("reboot", "rebuild") or last["request_id"] == box.state.get("handled"):  # fmt: skip
            return
        began = calendar.timegm(time.strptime(last["start_time"][:19], "%Y-%m-%dT%H:%M:%S"))
        if began < int(box.state["started"]):
            return
        box.stop()
        if last["action"] == "rebuild":
            box.renew()
        box.start(server)
        box.save(handled=last["request_id"])
        tell(box.name, server.name, last["action"])

    def volumes(self, attached: set[str]) -> None:
        """Release what is attached nowhere; a file goes with its volume, and grows with one that is attached."""
        files = list((self.lab.folder / "boxes/volumes").glob("*.img"))
        if files and time.monotonic() - self.measured > SIZES:
            for each in self.cloud.block_storage.volumes(details=True, all_projects=True):
                path = self.lab.folder / f"boxes/volumes/{each.id}.img"
                if each.id in attached and path.exists() and path.stat().st_size < each.size << 30:
                    Volume(path).attach(each.size)
                    tell(f"volume {each.id} has {each.size} GB now")
            self.measured = time.monotonic()
        for path in files:
            if path.stem not in attached:
                volume = Volume(path)
                volume.release()
                if self.cloud.block_storage.get(f"/volumes/{path.stem}").status_code == 404:
                    volume.remove()


def main() -> None:
    follower = Follower(find(Path(sys.argv[1])), Path(sys.argv[2]))
    tell("follows Nova")
    (follower.lab.folder / "run/boxes.ready").touch()
    trouble, calm = "", True
    while True:
        try:
            calm = follower.look()
            trouble = ""
        except Exception as error:  # noqa: BLE001 - the API may be starting; said once
            if trouble != (trouble := type(error).__name__):
                tell(f"{trouble}: {error}")
        collect()
        time.sleep(CALM if calm else BUSY)


if __name__ == "__main__":
    main()
