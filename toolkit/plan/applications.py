"""Tags, stacks, VPCs and connections -> applications, each resource with the reason why it is in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.estate.model import Estate, Resource
from toolkit.plan.graph import PLACEMENT, Graph
from toolkit.plan.names import slug

_TAGS = ("application", "app", "service", "project", "product", "system", "workload")
_STACK = "aws:cloudformation:stack-name"
SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Application:
    """A group of resources that moves as one. `reasons` counts why its members are in it."""

    name: str
    members: tuple[str, ...]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Applications:
    """Key -> application, why, and the applications themselves, sorted by name."""

    of: Mapping[str, str]
    why: Mapping[str, str]
    all: tuple[Application, ...]

    def json(self) -> list[dict[str, Any]]:
        """plan.json's `applications`."""
        return [
            {"name": app.name, "members": len(app.members), "reasons": dict(app.reasons)}
            for app in self.all
        ]


def group(estate: Estate, graph: Graph) -> Applications:
    """Every resource in exactly one application; what nothing speaks for goes to `shared`.

    Evidence, strongest first: a tag that names the application, the CloudFormation stack, the
    Kubernetes cluster, the VPC's own application, then the application it is connected to most.
    """
    of: dict[str, str] = {}
    why: dict[str, str] = {}

    def put(key: str, name: str, reason: str) -> None:
        of[key], why[key] = name, reason

    for resource in estate:
        named = _by_tag(resource)
        if named:
            put(resource.key, *named)
    vpc_of = {
        resource.key: home.key
        for resource in estate
        if (home := estate.find("aws.ec2.vpc", _vpc_id(resource), resource)) is not None
    }
    majority: dict[str, Counter[str]] = {}
    for key, vpc in vpc_of.items():
        if key in of and why[key].startswith("tag"):
            majority.setdefault(vpc, Counter())[of[key]] += 1
    for vpc, votes in majority.items():
        if vpc not in of and len(votes) == 1:
            put(vpc, next(iter(votes)), "all tagged members of the VPC")
    spread(estate, graph, of, why)
    for key, vpc in vpc_of.items():
        if key not in of and vpc in of:
            put(key, of[vpc], "in the VPC")
    known = set(of.values()) - {SHARED}
    for resource in estate:
        if resource.key not in of:
            called = known.intersection(slug(resource.name).split("-"))
            if match := min(called, key=lambda name: (-len(name), name), default=""):
                put(resource.key, match, "its name")
    spread(estate, graph, of, why)
    for resource in estate:
        if resource.key not in of:
            put(resource.key, SHARED, "nothing speaks for an application")
    members: dict[str, list[str]] = {}
    for key in sorted(of):
        members.setdefault(of[key], []).append(key)
    applications = tuple(
        Application(name, tuple(keys), dict(sorted(Counter(why[key] for key in keys).items())))
        for name, keys in sorted(members.items())
    )
    return Applications(of, why, applications)


def spread(
    estate: Estate, graph: Graph, of: dict[str, str], why: dict[str, str], rounds: int = 4
) -> None:
    """Give what has no application that of most of its neighbours, round by round; a tie decides nothing."""
    for _ in range(rounds):
        found: dict[str, tuple[str, str]] = {}
        for resource in estate:
            if resource.key in of or resource.type in PLACEMENT:
                continue
            votes: Counter[str] = Counter()
            for edge in graph.incoming.get(resource.key, ()):
                if edge.src in of and of[edge.src] != SHARED:
                    votes[of[edge.src]] += 2
            for edge in graph.outgoing.get(resource.key, ()):
                if (
                    edge.dst in of
                    and of[edge.dst] != SHARED
                    and edge.dst.split("|", 1)[0] not in PLACEMENT
                ):
                    votes[of[edge.dst]] += 1
            ranked = sorted(votes.items(), key=lambda pair: (-pair[1], pair[0]))
            if ranked and (len(ranked) == 1 or ranked[0][1] > ranked[1][1]):
                found[resource.key] = (ranked[0][0], "connected to it")
        if not found:
            return
        for key, (name, reason) in found.items():
            of[key], why[key] = name, reason


def _by_tag(resource: Resource) -> tuple[str, str] | None:
    folded = {name.casefold(): (name, value) for name, value in sorted(resource.tags.items())}
    for wanted in _TAGS:
        if wanted in folded and (name := slug(folded[wanted][1])):
            return name, f"tag {folded[wanted][0]}"
    if resource.tags.get(_STACK) and (name := slug(resource.tags[_STACK])):
        return name, "CloudFormation stack"
    for name in sorted(resource.tags):
        if name.startswith("kubernetes.io/cluster/") and (cluster := slug(name.rsplit("/", 1)[1])):
            return cluster, "Kubernetes cluster"
    return None


def _vpc_id(resource: Resource) -> object:
    record = resource.record
    for held in (
        record.get("VpcId"),
        record.get("VPCId"),
        (record.get("DBSubnetGroup") or {}).get("VpcId")
        if isinstance(record.get("DBSubnetGroup"), dict)
        else None,
        (record.get("VpcConfig") or {}).get("VpcId")
        if isinstance(record.get("VpcConfig"), dict)
        else None,
        (record.get("resourcesVpcConfig") or {}).get("vpcId")
        if isinstance(record.get("resourcesVpcConfig"), dict)
        else None,
        (record.get("VPCOptions") or {}).get("VPCId")
        if isinstance(record.get("VPCOptions"), dict)
        else None,
    ):
        if held:
            return held
    return None
