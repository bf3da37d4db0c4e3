"""Graph and applications -> circles, single users, hard-coded names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import networkx as nx

from toolkit.outcomes import Finding, joined, text
from toolkit.plan.applications import SHARED
from toolkit.plan.waves import dependencies as needs_of

if TYPE_CHECKING:
    from toolkit.estate.model import Estate
    from toolkit.plan.applications import Applications
    from toolkit.plan.graph import Graph

_STORES = (
    "aws.rds.db_instance",
    "aws.rds.db_cluster",
    "aws.dynamodb.table",
    "aws.elasticache.replication_group",
    "aws.sqs.queue",
)
_HOST = re.compile(r"[A-Za-z0-9.-]+\.amazonaws\.com")


def dependencies(
    estate: Estate, graph: Graph, applications: Applications
) -> Iterator[tuple[str, Finding]]:
    """Circles between applications, stores that one application uses, endpoints written into code."""
    needs = needs_of(estate, graph, applications)
    digraph: nx.DiGraph[str] = nx.DiGraph(list(needs))
    for part in sorted(sorted(p) for p in nx.strongly_connected_components(digraph) if len(p) > 1):
        first = next(app.members[0] for app in applications.all if app.name == part[0])
        evidence = tuple(
            path
            for (a, b), paths in sorted(needs.items())
            if a in part and b in part
            for path in paths[:2]
        )
        yield (
            first,
            Finding(
                "circle",
                "warning",
                text(
                    "{names} need each other: they cut over together, or one call is cut first.",
                    names=joined(part, " and "),
                ),
                evidence[:6],
            ),
        )
    for type_ in _STORES:
        for store in estate.of(type_):
            users = sorted(
                {
                    applications.of[e.src]
                    for e in graph.incoming.get(store.key, ())
                    if applications.of[e.src] != applications.of[store.key]
                }
            )
            if len(users) > 1:
                yield (
                    store.key,
                    Finding(
                        "shared-store",
                        "warning",
                        text(
                            "{name} is used by {count} other applications: {users}.",
                            name=store.name,
                            count=len(users),
                            users=", ".join(users),
                        ),
                    ),
                )
            home = applications.of[store.key]
            own = any(applications.of[e.src] == home for e in graph.incoming.get(store.key, ()))
            if len(users) == 1 and not own and users[0] != SHARED:
                yield (
                    store.key,
                    Finding(
                        "single-user",
                        "info",
                        text(
                            "Only {user} uses {name}, though {home} owns it: it can move with {user}.",
                            user=users[0],
                            name=store.name,
                            home=home,
                        ),
                    ),
                )
    for list_ in estate.of("aws.ec2.managed_prefix_list"):
        vpcs = {
            str(estate.by_key[e.src].record.get("VpcId"))
            for e in graph.incoming.get(list_.key, ())
            if e.src.startswith("aws.ec2.security_group|")
        }
        if len(vpcs) > 2:
            yield (
                list_.key,
                Finding(
                    "list-shared",
                    "warning",
                    text(
                        "Groups of {count} VPCs admit the list {name}: once written out, a changed address is changed in each.",
                        count=len(vpcs),
                        name=list_.name,
                    ),
                ),
            )
    for key, field, value in graph.mentions:
        if "UserData" in field and "aws:autoscaling:groupName" not in estate.by_key[key].tags:
            hosts = sorted(set(_HOST.findall(value)))
            if hosts:
                yield (
                    key,
                    Finding(
                        "hard-coded-endpoint",
                        "warning",
                        text(
                            "{name} has {hosts} written into its user data.",
                            name=estate.by_key[key].name,
                            hosts=", ".join(hosts),
                        ),
                        (field,),
                    ),
                )
