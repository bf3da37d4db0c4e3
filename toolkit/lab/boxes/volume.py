"""A Cinder volume of the lab -> a sparse file behind a loop device; its data outlive detaching, stop and reboot."""

from __future__ import annotations

from pathlib import Path

from toolkit.lab.boxes.processes import run


class Volume:
    """One volume, by its file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def device(self) -> str | None:
        """The loop device that shows the file, if any."""
        said = run("losetup", "--associated", self.file, "--noheadings", "--output", "NAME", check=False)  # fmt: skip
        return said.split()[0] if said else None

    def attach(self, gib: int) -> str:
        """Its loop device; the file is made where it is missing and grown where the volume was."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            if self.file.stat().st_size < gib << 30:
                file.truncate(gib << 30)
        found = self.device()
        if found:
            run("losetup", "--set-capacity", found)
        return found or run("losetup", "--find", "--show", self.file)

    def release(self) -> None:
        if found := self.device():
            run("losetup", "--detach", found, check=False)

    def remove(self) -> None:
        self.release()
        self.file.unlink(missing_ok=True)
