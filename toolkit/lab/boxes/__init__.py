"""A real machine behind every server of a lab: systemd, SSH, cloud-init, volumes as block devices.

Nova's fake driver says ACTIVE and runs nothing. `follow` watches Nova and backs each server with a box: a
systemd-nspawn container on a Debian root, plugged into the server's Neutron ports as a hypervisor would do it. So
security groups, routers, floating IPs, DHCP and metadata are Neutron's own; keys, host name and user data reach the
box through cloud-init. All of it runs inside the lab's namespaces and ends with them.
"""

from __future__ import annotations

from collections.abc import Callable

from toolkit.lab import daemons
from toolkit.lab.boxes import image
from toolkit.lab.folder import Lab
from toolkit.lab.namespace import ours


def up(lab: Lab, say: Callable[[str], None]) -> None:
    """Make the boxes' root file system unless it is there, then follow Nova."""
    root = image.build(say)
    net = int((lab.folder / "run/hostnet").read_text())
    ours(lab, "egress", "toolkit.lab.boxes.egress", lab.folder, str(net), root, descriptors=[net])
    ours(lab, "boxes", "toolkit.lab.boxes.follow", lab.folder, root)
    for name in ("egress", "boxes"):
        daemons.until(lab, name, (lab.folder / f"run/{name}.ready").exists)
