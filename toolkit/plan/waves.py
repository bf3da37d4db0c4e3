"""Applications and their connections -> waves in the order that a cut-over needs; cycles are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from toolkit.plan.applications import SHARED, Applications
from toolkit.plan.graph import PLACEMENT, Graph

if TYPE_CHECKING:
    from toolkit.estate.model import Estate
    from toolkit.translate import Context

KEEP = "keep-addresses"
_TOUCHY = {
    "aws.rds.db_instance": 5, "aws.rds.db_cluster": 5, "aws.dynamodb.table": 4, "aws.elasticache.replication_group": 2,
    "aws.elbv2.load_balancer": 3, "aws.route53.hosted_zone": 3, "aws.efs.file_system": 3, "aws.opensearch.domain": 3,
    "aws.eks.cluster": 4, "aws.cognito_idp.user_pool": 4,
}  # fmt: skip
"""How much a mistake with a type hurts; the sum is the risk of an application."""
_EVERYWHERE = PLACEMENT | {
    "aws.kms.key",
    "aws.iam.role",
    "aws.iam.user",
    "aws.iam.group",
    "aws.iam.instance_profile",
    "aws.cloudformation.stack",
    "aws.backup.backup_plan",
}
"""Using the same key or role does not make two applications depend on each other."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A connection between two applications that still crosses to AWS while waves lie between them."""

    src: str
    dst: str
    path: str
    until: int


@dataclass(frozen=True, slots=True)
class Wave:
    """What cuts over together. `crossings` are the connections that cross to AWS while it runs."""

    number: int
    applications: tuple[str, ...]
    keys: tuple[str, ...]
    needs: tuple[int, ...]
    risk: int
    why: str
    cycle: tuple[str, ...]
    crossings: tuple[Crossing, ...]

    def json(self) -> dict[str, Any]:
        """One of plan.json's `waves`; its resources say their wave themselves."""
        return {
            "number": self.number,
            "applications": list(self.applications),
            "resources": len(self.keys),
            "needs": list(self.needs),
            "risk": self.risk,
            "why": self.why,
            "cycle": list(self.cycle),
            "crossings": [
                {"from": c.src, "to": c.dst, "path": c.path, "until": c.until}
                for c in self.crossings
            ],
        }


_ONCE = ("ImageId)", "SnapshotId)")
"""Fields whose reference is followed when something is built, never while it runs."""


def dependencies(
    estate: Estate, graph: Graph, applications: Applications
) -> dict[tuple[str, str], list[str]]:
    """(application, application it needs) -> the connections that say so, as `src -> dst` texts."""
    found: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        if edge.dst.split("|", 1)[0] in _EVERYWHERE or edge.src.split("|", 1)[0] in _EVERYWHERE:
            continue
        a, b = applications.of[edge.src], applications.of[edge.dst]
        if a != b and SHARED not in (a, b) and not _group_reference(edge.src, edge.dst):
            src, dst = estate.by_key[edge.src], estate.by_key[edge.dst]
            found.setdefault((a, b), []).append(f"{src.name} -> {dst.name} ({edge.field})")
    return found


def _group_reference(src: str, dst: str) -> bool:
    """A security group that admits another one's members is a door, not a need."""
    return src.startswith("aws.ec2.security_group|") or dst.startswith("aws.ec2.security_group|")


def schedule(
    estate: Estate,
    graph: Graph,
    applications: Applications,
    ctx: Context,
) -> list[Wave]:
    """Waves, numbered from 1: the shared foundation, then applications after what they need.

    Applications that need each other in a circle cut over together, as do those of one VPC whose
    addresses are kept. Of what may go next the least risky goes first.
    """
    names = [app.name for app in applications.all if app.name != SHARED]
    needs = dependencies(estate, graph, applications)
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(names)
    digraph.add_edges_from(needs)
    cycles = [
        tuple(sorted(part)) for part in nx.strongly_connected_components(digraph) if len(part) > 1
    ]
    digraph.add_edges_from(_bound_by_addresses(estate, applications, ctx))
    condensed: nx.DiGraph[int] = nx.condensation(digraph)
    members = {number: tuple(sorted(condensed.nodes[number]["members"])) for number in condensed}
    risk = {
        app.name: sum(_TOUCHY.get(key.split("|", 1)[0], 0) for key in app.members)
        for app in applications.all
    }
    total = {number: sum(risk[name] for name in group) for number, group in members.items()}
    order = list(
        nx.lexicographical_topological_sort(
            condensed.reverse(), key=lambda number: f"{total[number]:09}{members[number][0]}"
        )
    )
    keys = {app.name: app.members for app in applications.all}
    groups: list[tuple[tuple[str, ...], int, str]] = []
    if SHARED in keys:
        groups.append(((SHARED,), risk[SHARED], "What several applications share comes first."))
    for number in order:
        bound = len(members[number]) > 1
        groups.append(
            (
                members[number],
                total[number],
                "They need each other or keep their VPC's addresses, so they cut over together."
                if bound
                else "After what it needs; of those that may go, the least risky first.",
            )
        )
    wave_of = {
        name: number for number, (group, _, _) in enumerate(groups, start=1) for name in group
    }
    waves: list[Wave] = []
    crossings: list[list[Crossing]] = [[] for _ in range(len(groups) + 1)]
    needed: dict[str, set[str]] = {}
    for (a, b), paths in sorted(needs.items()):
        needed.setdefault(a, set()).add(b)
        first, last = sorted((wave_of[a], wave_of[b]))
        live = sorted({path for path in paths if not path.endswith(_ONCE)})
        told = [Crossing(a, b, path, last) for path in live[:10]]
        for number in range(first, last):
            crossings[number] += told
    circle = {name: number for number, cycle in enumerate(cycles) for name in cycle}
    for number, (group, risk_, why) in enumerate(groups, start=1):
        circles = sorted({circle[name] for name in group if name in circle})
        waves.append(
            Wave(
                number=number,
                applications=group,
                keys=tuple(sorted(key for name in group for key in keys[name])),
                needs=tuple(
                    sorted({wave_of[b] for a in group for b in needed.get(a, ())} - {number})
                ),
                risk=risk_,
                why=why,
                cycle=cycles[circles[0]] if circles else (),
                crossings=tuple(crossings[number]),
            )
        )
    return waves


def _bound_by_addresses(
    estate: Estate, applications: Applications, ctx: Context
) -> list[tuple[str, str]]:
    """Pairs both ways between applications in one VPC that keeps its addresses."""
    inside: dict[str, set[str]] = {}
    for resource in estate:
        home = estate.find("aws.ec2.vpc", resource.record.get("VpcId"), resource)
        if (
            home is not None
            and applications.of[resource.key] != SHARED
            and said_of_servers(resource.type)
        ):
            inside.setdefault(home.key, set()).add(applications.of[resource.key])
    pairs: list[tuple[str, str]] = []
    for vpc, names in sorted(inside.items()):
        decision = ctx.decisions.get(f"{KEEP}:{vpc}")
        if decision is not None and decision.chosen == "keep":
            ordered = sorted(names)
            pairs += [(a, b) for a in ordered for b in ordered if a != b]
    return pairs


def said_of_servers(type_: str) -> bool:
    """Types that have an address of their own in a VPC."""
    return type_ in {
        "aws.ec2.instance",
        "aws.elbv2.load_balancer",
        "aws.ec2.network_interface",
        "aws.elb.load_balancer",
    }
