"""Databases, caches, buckets and clusters -> what Cloud Temple sells, ordered by a person; buckets by its provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.intents.data import Bucket, Cache, Cluster, Database, Pool, Registry
from toolkit.outcomes import Disposition, Loss, Option, Task, text
from toolkit.plan.names import slug
from toolkit.program import Config, Node
from toolkit.targets.openstack.data import pool, registry

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target

_SOLD = {
    "postgresql": "managed_databases.postgresql",
    "mariadb": "managed_databases.mariadb",
    "mysql": "managed_databases.mariadb",
}


def database(intent: Database, t: Target) -> Iterator[object]:
    """Managed PostgreSQL and MariaDB are ordered; anything else runs on servers of one's own."""
    sold = _SOLD.get(intent.engine)
    options = [
        Option(
            "server",
            "On servers of your own, by Ansible",
            "Same version and extensions; backups and failover are yours.",
        )
    ]
    if sold:
        options.insert(
            0,
            Option(
                "ordered",
                "Managed by Cloud Temple, ordered",
                "Backups and updates are the provider's; weeks of lead time; MySQL becomes MariaDB.",
            ),
        )
    choice = t.ctx.decide(
        intent.origin, "database", text("Where does {name} ({engine} {version}) run?", name=intent.name, engine=intent.source_engine, version=intent.version), options,
        "ordered" if sold else "server", "The catalogue names it as a managed product that is ordered." if sold else "No managed product of this engine.", t.cloud.known(sold or ""),
    )  # fmt: skip
    size = text(
        "{vcpu} vCPU, {ram} GiB, {gib} GiB of storage, {nodes} nodes",
        vcpu=intent.vcpu or 2,
        ram=f"{intent.ram_gib or 4:g}",
        gib=intent.storage_gib,
        nodes=intent.nodes,
    )
    if choice == "ordered":
        yield Task(
            "database-order",
            text(
                "Order managed {engine} for {name}",
                engine="MariaDB" if intent.engine != "postgresql" else "PostgreSQL",
                name=intent.name,
            ),
            "No resource of the provider creates it.",
            lead_days=15,
            role="database",
            settings=(
                (text("size"), size),
                (text("port"), str(intent.port)),
                (text("database"), intent.database or text("as at AWS")),
                (text("user"), intent.user or text("as at AWS")),
                (text("days of backups"), str(intent.backup_days)),
            ),
            expected="It answers at the address that the provider named, from the application's network and from nowhere else.",
            undo="Cancel the order; nothing uses it yet.",
            minutes=45,
        )
        yield Disposition(
            "replatform",
            "Ordered from the provider.",
            way_out="Managed PostgreSQL (CloudNativePG) or MariaDB of Cloud Temple",
            work="Order, load, switch.",
        )
    else:
        yield Task(
            "database-server",
            text("Order a server for {name}", name=intent.name),
            "It runs on a server of your own.",
            lead_days=10,
            role="database",
            settings=(
                (text("engine"), f"{intent.source_engine} {intent.version}".strip()),
                (text("size"), size),
            ),
            expected="It answers with the version of the table, from the application's servers and from nowhere else; one backup was restored.",
            undo="Cancel the order; nothing uses it yet.",
            minutes=120 * intent.nodes,
            basis="two hours per server, estimated",
        )
        yield Disposition(
            "replatform",
            "A server of your own.",
            way_out="The engine on a VM Instance",
            work="Order the server, install, load, switch.",
        )


def cache(intent: Cache, t: Target) -> Iterator[object]:
    """Nobody sells it there: a server of one's own."""
    yield Task(
        "cache-server",
        text("Order servers for the cache {name}", name=intent.name),
        "Cloud Temple sells no cache.",
        lead_days=10,
        settings=(
            (text("servers"), str(intent.shards * intent.nodes)),
            (text("engine"), f"{intent.engine} {intent.version}".strip()),
            (
                text("each has"),
                text(
                    "{vcpu} vCPU, {ram} GiB", vcpu=intent.vcpu or 2, ram=f"{intent.ram_gib or 2:g}"
                ),
            ),
            (text("port"), str(intent.port)),
        ),
        expected="It answers with the version of the table, from the application's servers and from nowhere else.",
        undo="Cancel the order; nothing uses it yet.",
        minutes=60 * intent.shards * intent.nodes,
        basis="an hour per node, estimated",
    )
    yield Disposition(
        "replatform",
        "A server of your own.",
        way_out="Valkey on VM Instances",
        work="Order, install, switch.",
    )


def bucket(intent: Bucket, t: Target) -> Iterator[object]:
    """A bucket; its life cycle, locks, CORS and policies are set by the S3 API afterwards, if at all."""
    name = "".join(char if char.isalnum() or char in "-_" else "-" for char in intent.name)
    if name != intent.name:
        yield Loss(
            "Name",
            text("{old} becomes {new}: names have no dots there.", old=intent.name, new=name),
        )
    props: dict[str, Any] = {
        "name": Config(
            f"bucket-{slug(intent.name)}", name, doc="Names are unique at the provider."
        ),
        "access_type": "private",
    }
    if intent.versioning:
        props["versioning"] = "Enabled"
    if intent.public_read:
        choice = t.ctx.decide(
            intent.origin, "public-bucket", text("May anybody still read {name}?", name=intent.name),
            (Option("private", "No: private from now on", "Whoever reads it without credentials today stops."), Option("public", "Yes: public for reading", "Anybody on the internet may read every object.")),
            "private", "Public buckets are more often forgotten than meant.",
        )  # fmt: skip
        props["access_type"] = choice
    yield Node(
        type="cloudtemple.ObjectStorageBucket",
        origin=intent.origin,
        tier="data",
        topic="buckets",
        protect=True,
        props=props,
    )
    for asked, field, what in (
        (intent.cors_origins, "Cors.CORSRules.AllowedOrigins", "Cross-origin access"), (intent.index, "Website.IndexDocument.Suffix", "Serving a website"), (intent.expire_days, "Lifecycle.Rules.Expiration.Days", "Expiry"),
    ):  # fmt: skip
        if asked:
            yield Loss(
                field,
                text(
                    "{what} is not set by the provider; try the S3 API with the account's keys.",
                    what=text(what),
                ),
                "major",
            )
    if intent.tags:
        yield Loss("Tags.Key", "Buckets have no tags there.")


def cluster(intent: Cluster, t: Target) -> Iterator[object]:
    """Managed Kubernetes (Talos) or OpenShift, ordered."""
    yield Task(
        "kubernetes-order",
        text("Order a managed Kubernetes cluster for {name}", name=intent.name),
        "No resource of the provider creates it.",
        lead_days=20,
        settings=((text("version"), intent.version or text("the current one")),),
        check="kubectl get nodes",
        expected="Every node is Ready and has the version of the table.",
        undo="Cancel the order; nothing runs there yet.",
        minutes=60,
    )
    yield Disposition(
        "replatform",
        "Ordered from the provider, then filled by GitOps or Kasten.",
        way_out="Managed Kubernetes or OpenShift of Cloud Temple",
        work="Order, deploy, copy volumes, switch.",
    )


REALISE: Mapping[type[Intent], Realise] = {
    Database: database, Cache: cache, Bucket: bucket, Registry: registry, Cluster: cluster, Pool: pool,
}  # fmt: skip
