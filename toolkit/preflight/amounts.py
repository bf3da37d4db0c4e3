"""Sums of the plan, limits of the project and what is used -> the quotas that are too small, to the unit.

A limit must hold what others use and all of the plan: used - the plan's own that exists + the whole
plan. What a quota counts was measured on a real Neutron, see `toolkit.plan.quotas.sum_up`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolkit.plan.quotas import DEFAULT_GROUPS, DEFAULT_RULES
from toolkit.preflight.report import Request
from toolkit.preflight.routes import INTERFACES

if TYPE_CHECKING:
    from toolkit.preflight.marks import Marks
    from toolkit.preflight.needs import Needs
    from toolkit.preflight.seen import Seen

NETWORK = {
    "networks": "network", "subnets": "subnet", "ports": "port", "routers": "router", "floating_ips": "floatingip",
    "security_groups": "security_group", "security_group_rules": "security_group_rule",
}  # fmt: skip
"""Our kind -> Neutron's word for it."""
BALANCERS = {
    "load_balancers": ("load_balancer", "loadbalancer"), "listeners": ("listener",), "pools": ("pool",), "members": ("member",),
    "health_monitors": ("health_monitor", "healthmonitor"), "l7policies": ("l7policy",), "l7rules": ("l7rule",),
}  # fmt: skip
"""Our kind -> Octavia's words for it (older releases write them otherwise)."""


def balancer_limits(quota: Mapping[str, Any]) -> dict[str, int]:
    """Octavia's quotas under our kinds; -1 is none."""
    return {
        kind: int(quota[word])
        for kind, words in BALANCERS.items()
        for word in words
        if quota.get(word) is not None
    }


def short(needs: Needs, seen: Seen, marks: Marks) -> tuple[list[Request], list[str], list[str]]:
    """(requests, kinds that were compared, kinds that could not be)."""
    held = _Amounts(needs, seen, marks)
    held.compute()
    held.network()
    held.volumes()
    held.balancers()
    held.others()
    missing = sorted(set(needs.quotas) - set(held.compared))
    return held.requests, held.compared, missing


class _Amounts:
    def __init__(self, needs: Needs, seen: Seen, marks: Marks) -> None:
        self.needs, self.seen, self.marks = needs, seen, marks
        self.requests: list[Request] = []
        self.compared: list[str] = []

    def compare(
        self, kind: str, limit: int, used: float, own: float, needed: float, unit: int = 1
    ) -> None:
        """Amounts in the API's unit; `unit` of them are one of the request's (1024 MB a GB)."""
        if not needed:
            return
        self.compared.append(kind)
        others = max(0.0, used - min(own, needed))
        if limit < 0 or others + needed <= limit:
            return
        self.requests.append(
            Request(
                kind,
                self.needs.where,
                limit // unit,
                math.ceil(others / unit),
                math.ceil(needed / unit),
                math.ceil((others + needed) / unit),
            )
        )

    # ----------------------------------------------------------------------------------- compute

    def compute(self) -> None:
        if "limits" not in self.seen:
            return
        limits = self.seen["limits"]["absolute"]
        n, marks = self.needs, self.marks
        flavors = {str(f.name): f for f in self.seen.get("flavors")}
        by_id = {str(f.id): f for f in flavors.values()}
        own = [s for s in self.seen.get("servers") if marks.own("servers", s)]  # fmt: skip
        cores = ram = 0
        for server in own:
            said = server.flavor or {}
            flavor = flavors.get(str(said.get("original_name"))) or by_id.get(str(said.get("id")))
            cores += int(said.get("vcpus") or (flavor.vcpus if flavor else 0))
            ram += int(said.get("ram") or (flavor.ram if flavor else 0))
        wanted = [flavors.get(str(each.props.get("flavor_name"))) for each in n.of("openstack.compute.Instance")]  # fmt: skip
        need_cores, need_ram = n.quotas.get("cores", 0), n.quotas.get("ram_gb", 0) * 1024
        pools = any(type_.endswith("NodePool") for type_ in n.foreign)
        if wanted and all(wanted) and not pools:
            # the target's own sizes: what a catalogue calls 8 GB may be 7.8 there
            need_cores = sum(int(each.vcpus) for each in wanted if each)
            need_ram = sum(int(each.ram) for each in wanted if each)
        self.compare("instances", int(limits["maxTotalInstances"]), int(limits["totalInstancesUsed"]), len(own), n.quotas.get("instances", 0))  # fmt: skip
        self.compare("cores", int(limits["maxTotalCores"]), int(limits["totalCoresUsed"]), cores, need_cores)  # fmt: skip
        self.compare("ram_gb", int(limits["maxTotalRAMSize"]), int(limits["totalRAMUsed"]), ram, need_ram, 1024)  # fmt: skip
        if "key_pairs" in self.seen:
            there = {str(each.name) for each in self.seen["key_pairs"]}
            planned = {str(each.props.get("name")) for each in n.of("openstack.compute.Keypair")}
            self.compare("key_pairs", int(limits.get("maxTotalKeypairs", -1)), len(there), len(there & planned), n.quotas.get("key_pairs", 0))  # fmt: skip
        if "server_groups" in self.seen:
            groups = {str(each.name) for each in self.seen["server_groups"]}
            planned = {str(each.props.get("name")) for each in n.of("openstack.compute.ServerGroup")}  # fmt: skip
            self.compare("server_groups", int(limits.get("maxServerGroups", -1)), int(limits.get("totalServerGroupsUsed", 0)), len(groups & planned), n.quotas.get("server_groups", 0))  # fmt: skip
        members = Counter(
            str(hint["group"].get("$ref"))
            for each in n.of("openstack.compute.Instance")
            for hint in each.props.get("scheduler_hints") or ()
            if isinstance(hint.get("group"), dict)
        )
        if members:
            self.compare("server_group_members", int(limits.get("maxServerGroupMembers", -1)), 0, 0, max(members.values()))  # fmt: skip

    # ----------------------------------------------------------------------------------- network

    def network(self) -> None:
        if "network_quotas" not in self.seen:
            return
        own = self._own_network()
        for kind, word in NETWORK.items():
            said = self.seen["network_quotas"].get(word)
            if said is not None:
                used = int(said["used"]) + int(said.get("reserved") or 0)
                self.compare(kind, int(said["limit"]), used, own.get(kind, 0), self.needs.quotas.get(kind, 0))  # fmt: skip

    def _own_network(self) -> dict[str, int]:
        """How much of what is used is the plan's: its objects, and the ports that come with them."""
        marks, seen = self.marks, self.seen
        own = {
            "networks": marks.count("networks"), "subnets": marks.count("subnets"), "routers": marks.count("routers"),
            "floating_ips": marks.count("addresses"),
        }  # fmt: skip
        if "ports" in seen:
            vips = {str(b.vip_port_id) for b in seen.get("balancers") if marks.own("balancers", b)}  # fmt: skip
            own["ports"] = sum(
                marks.own("ports", port)
                or str(port.id) in vips
                or (port.device_owner == "network:dhcp" and str(port.network_id) in marks.ids["networks"])
                or (str(port.device_owner).startswith((INTERFACES, "network:ha_router")) and str(port.device_id) in marks.ids["routers"])
                for port in seen["ports"]
            )  # fmt: skip
        if "groups" in seen:
            default = [g for g in seen["groups"] if g.name == "default"]
            mine = [g for g in seen["groups"] if marks.own("groups", g)]
            own["security_groups"] = len(mine) + min(DEFAULT_GROUPS, len(default))
            own["security_group_rules"] = sum(
                len(g.security_group_rules or ()) for g in mine
            ) + min(DEFAULT_RULES, sum(len(g.security_group_rules or ()) for g in default))
        return own

    # ----------------------------------------------------------------------------------- volumes

    def volumes(self) -> None:
        if "volume_quotas" not in self.seen or "volumes" not in self.seen:
            return
        quotas, n = self.seen["volume_quotas"], self.needs
        # a moved root volume has no mark of the plan: it is the plan's by the id that the operator set
        own = [v for v in self.seen["volumes"] if self.marks.own("volumes", v) or str(v.id) in n.volume_ids]  # fmt: skip
        self._volume("volumes", quotas.get("volumes"), len(own), n.quotas.get("volumes", 0))
        self._volume("volume_gb", quotas.get("gigabytes"), sum(int(v.size) for v in own), n.quotas.get("volume_gb", 0))  # fmt: skip
        planned = [each for each in n.of("openstack.blockstorage.Volume") if isinstance(each.props.get("size"), int)]  # fmt: skip
        largest = max((each.props["size"] for each in planned), default=0)
        each_most = quotas.get("per_volume_gigabytes")
        if each_most is not None:
            self.compare("gb_of_one_volume", int(each_most["limit"]), 0, 0, largest)
        for type_ in sorted({t for each in planned if isinstance(t := each.props.get("volume_type"), str)}):  # fmt: skip
            mine = [v for v in own if v.volume_type == type_]
            of_type = [each for each in planned if each.props.get("volume_type") == type_]
            self._volume(f"volumes of {type_}", quotas.get(f"volumes_{type_}"), len(mine), len(of_type))  # fmt: skip
            self._volume(f"volume_gb of {type_}", quotas.get(f"gigabytes_{type_}"), sum(int(v.size) for v in mine), sum(each.props["size"] for each in of_type))  # fmt: skip

    def _volume(self, kind: str, said: Mapping[str, Any] | None, own: int, needed: int) -> None:
        if said is not None:
            self.compare(kind, int(said["limit"]), int(said["in_use"]) + int(said.get("reserved") or 0), own, needed)  # fmt: skip

    # --------------------------------------------------------------------------- load balancers

    def balancers(self) -> None:
        if "balancer_quotas" not in self.seen or "balancers" not in self.seen:
            return
        limits = balancer_limits(self.seen["balancer_quotas"])
        for kind in BALANCERS:
            needed = self.needs.quotas.get(kind, 0)
            limit = limits.get(kind, -1)
            source = "balancers" if kind == "load_balancers" else kind
            if limit < 0 or source in self.seen:
                held = self.seen.get(source)
                self.compare(kind, limit, len(held), self.marks.count(source), needed)
            elif kind in ("members", "l7rules"):
                # Octavia lists these per pool and policy only: what others use of them stays unknown
                self.compare(kind, limit, 0, 0, needed)

    # ------------------------------------------------------------------------------------ others

    def others(self) -> None:
        n, seen = self.needs, self.seen
        if "zone_quotas" in seen and "zones" in seen:
            self.compare("zones", int(seen["zone_quotas"].get("zones", -1)), len(seen["zones"]), self.marks.count("zones"), n.quotas.get("zones", 0))  # fmt: skip
        if "secret_quotas" in seen and "secrets" in seen:
            limit = int(seen["secret_quotas"].get("secrets", -1))
            self.compare("secrets", limit, int(seen["secrets"].get("total", 0)), 0, n.quotas.get("secrets", 0))  # fmt: skip
