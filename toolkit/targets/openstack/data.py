"""Databases, caches, buckets, registries and clusters -> managed where the cloud sells it, else servers with volumes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.clouds import aws_instance_type
from toolkit.intents.data import Bucket, Cache, Cluster, Database, Pool, Registry
from toolkit.outcomes import Disposition, Loss, Option, Task, Text, text
from toolkit.plan.moves import variable
from toolkit.plan.names import slug
from toolkit.program import Config, Lookup, Node, Out
from toolkit.targets.openstack.network import guarded

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise, Target

PROJECT = Config("ovh-project-id", doc="Id of the Public Cloud project, for OVHcloud's own API.")
KEY_PAIR = Config("key-pair", doc="Name of the operator's key pair.")
DISTRIBUTION = "debian12"


def database(intent: Database, t: Target) -> Iterator[object]:
    """The provider's managed engine or servers of one's own: a decision with both, cited from the catalogue."""
    if intent.engine == "other":
        yield Disposition(
            "retain", text("No target runs {engine} as a service, and no free engine reads its data.", engine=intent.source_engine),
            way_out="A server with the engine under a licence of your own, or a conversion to PostgreSQL (ora2pg, pgloader)",
            work="Weigh licence against conversion with the application's owner; months rather than weeks.",
        )  # fmt: skip
        return
    product = _product(intent.engine, t)
    options = [
        Option(
            "server",
            text("{engine} on servers of your own", engine=_TITLES[intent.engine]),
            "Same version and extensions; backups, failover and updates are yours.",
        )
    ]
    if product:
        options.insert(
            0,
            Option(
                "managed",
                text(
                    "{engine} managed by {cloud}",
                    engine=_TITLES[intent.engine],
                    cloud=t.cloud.product,
                ),
                "Backups and updates are the provider's; no superuser, extensions as offered.",
            ),
        )
    choice = t.ctx.decide(
        intent.origin, "database", text("Where does {name} ({engine} {version}) run?", name=intent.name, engine=intent.source_engine, version=intent.version),
        options, "managed" if product and intent.engine != "mariadb" else "server",
        "The catalogue has the engine as a managed product." if product else text("The catalogue has no managed {engine} at {cloud} that a program can create.", engine=_TITLES[intent.engine], cloud=t.cloud.product),
        t.cloud.known("managed_services.databases"),
    )  # fmt: skip
    if choice == "managed":
        yield from _managed_database(intent, t)
    else:
        yield from _servers(
            t, intent, software=intent.engine, nodes=intent.nodes, vcpu=intent.vcpu or 2, ram_gib=intent.ram_gib or 4, disk_gib=intent.storage_gib,
            volume=(intent.storage_kind, intent.iops, intent.throughput, intent.encrypted),
        )  # fmt: skip
        yield Task(
            "database-install",
            text("Install {engine} for {name}", engine=_TITLES[intent.engine], name=intent.name),
            "What RDS did by itself (backups, failover, updates) has to be set up before data is moved.", lead_days=7, role="database",
            settings=(
                (text("version"), intent.version or text("the current one")), (text("servers"), str(intent.nodes)), (text("database"), intent.database or text("as at AWS")), (text("user"), intent.user or text("as at AWS")),
                (text("port"), str(intent.port)), (text("days of backups"), str(intent.backup_days)), *_own(intent).items(),
            ),
            check=_answers(intent), expected="It answers with the version of the table, from the application's servers and from nowhere else; one backup was restored.",
            undo="Remove the package and its data folder; nothing uses it yet.",
            minutes=120 * intent.nodes, basis="two hours per server, estimated", after_build=True,
        )  # fmt: skip


def _answers(intent: Database) -> str:
    """The command that shows that it runs, by the engine's own client."""
    service = slug(intent.name)
    if intent.engine == "postgresql":
        return f"psql service={service} -Atc 'show server_version'"
    if intent.engine in ("mysql", "mariadb"):
        return f"mysql --defaults-file=\"$HOME\"/.{service}.cnf -Ne 'select version()'"
    return ""


_TITLES = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "valkey": "Valkey",
    "memcached": "Memcached",
}


def _product(engine: str, t: Target) -> str | None:
    return t.cloud.managed.get("mysql" if engine == "mariadb" else engine)


def _own(intent: Database) -> dict[str, str]:
    """The parameters that somebody chose, at most 20, without those that only AWS knows."""
    held = {
        name: str(value)
        for name, value in sorted(intent.parameters.items())
        if not name.startswith(("rds.", "aurora_"))
    }
    return dict(list(held.items())[:20])


def _settings(intent: Database) -> Text | str:
    own = _own(intent)
    return (
        text(
            ", with {settings}",
            settings=", ".join(f"{name} = {value}" for name, value in own.items()),
        )
        if own
        else ""
    )


def _managed_database(intent: Database, t: Target) -> Iterator[object]:
    plan = "essential" if intent.nodes == 1 else "business" if intent.nodes == 2 else "enterprise"
    yield from _ovh_database(
        intent,
        t,
        "mysql" if intent.engine == "mariadb" else intent.engine,
        plan,
        intent.nodes,
        intent.version,
        intent.ram_gib,
        intent.subnets,
        disk=intent.storage_gib,
    )
    if intent.version:
        yield Loss(
            "EngineVersion",
            text(
                "Which versions of {engine} are offered is not in the catalogue: check that {version} is, or upgrade on the way.",
                engine=_TITLES[intent.engine],
                version=intent.version,
            ),
        )
    if intent.user or intent.database:
        yield Loss(
            "MasterUsername",
            text(
                "The managed product makes its own main user; {user} and the database {database} are made after it.",
                user=intent.user or text("the main user"),
                database=intent.database or text("of the application"),
            ),
        )
    if own := _settings(intent):
        yield Loss(
            "DBParameterGroups.DBParameterGroupName",
            text(
                "Only some settings can be changed at the managed product{settings}.", settings=own
            ),
        )
    if intent.port not in (5432, 3306):
        yield Loss(
            "Endpoint.Port",
            text("The managed product chooses its own port instead of {port}.", port=intent.port),
        )
    if intent.backup_days:
        yield Loss(
            "BackupRetentionPeriod",
            text(
                "Backups are kept as the plan {plan} says, not {days} days.",
                plan=plan,
                days=intent.backup_days,
            ),
        )
    if intent.iops > 3000:
        yield Loss("Iops", text("{iops} IOPS cannot be asked for.", iops=intent.iops), "major")
    if intent.throughput > 125:
        yield Loss(
            "StorageThroughput",
            text("{n} MiB/s cannot be asked for.", n=intent.throughput),
            "major",
        )
    if intent.groups:
        yield Loss(
            "VpcSecurityGroups.VpcSecurityGroupId",
            "Security groups do not reach it: its own list of addresses lets the private subnet in.",
        )


def _ovh_database(
    intent: Database | Cache,
    t: Target,
    engine: str,
    plan: str,
    nodes: int,
    version: str,
    ram_gib: float | None,
    subnets: tuple[str, ...],
    disk: int | None = None,
) -> Iterator[object]:
    release = ".".join(version.split(".")[:1]) if engine != "mysql" else "8"
    subnet = next((key for key in subnets if t.node(key)), None)
    held = t.node(subnet)
    where: dict[str, Any] = {"region": _region(t)}
    if subnet and held is not None:
        where |= {"network_id": held.props.get("network_id"), "subnet_id": t.out(subnet)}
    size = next((each for each in (4, 8, 16, 32, 64, 120) if each >= (ram_gib or 4)), 120)
    props: dict[str, Any] = {
        "service_name": PROJECT,
        "description": intent.name,
        "engine": engine,
        "version": Config(
            f"{slug(intent.name)}-version",
            release or "16",
            doc=text(
                "Version of {engine}; the source has {version}.",
                engine=engine,
                version=version or text("an unknown one"),
            ),
        ),
        "plan": Config(f"{slug(intent.name)}-plan", plan, doc="Plan of the managed product."),
        "flavor": Config(
            f"{slug(intent.name)}-flavor", f"db1-{size}", doc="Flavor of the managed product."
        ),
        "nodes": [dict(where) for _ in range(max(1, nodes))],
        "deletion_protection": True,
    }
    cidr = held.props.get("cidr") if held else None
    if isinstance(cidr, str):
        props["ip_restrictions"] = [{"ip": cidr, "description": "the subnet it is in"}]
    if disk and engine != "valkey":
        props["disk_size"] = disk
    yield Node(
        type="ovh.cloudproject.Database",
        origin=intent.origin,
        tier="data",
        topic="databases",
        props=props,
        protect=True,
    )


def _region(t: Target) -> Any:
    return Config("region", t.ctx.target_region or None, doc="Region of the target.")


def _servers(
    t: Target,
    intent: Database | Cache,
    *,
    software: str,
    nodes: int,
    vcpu: int,
    ram_gib: float,
    disk_gib: int,
    volume: tuple[str, int, int, bool] | None,
) -> Iterator[object]:
    """Port, server, volume and attachment per node; tier `data`, since data is moved into them."""
    choice = t.cloud.flavor_for(vcpu, ram_gib)
    if choice is None:
        yield Loss(
            "*",
            text(
                "No flavor of {cloud} has {vcpu} vCPU and {ram} GiB.",
                cloud=t.cloud.product,
                vcpu=vcpu,
                ram=ram_gib,
            ),
            "blocker",
        )
        return
    subnets = [key for key in intent.subnets if t.node(key)]
    if not subnets:
        yield Loss(
            "*",
            "The subnets that it was in were not read or not planned, so there is no network to put it into.",
            "blocker",
        )
        return
    image = Lookup(
        "openstack.images.get_image",
        (
            (
                "name",
                Config(
                    f"image-{DISTRIBUTION}",
                    t.cloud.images.get(DISTRIBUTION),
                    doc="Image of the servers.",
                ),
            ),
            ("most_recent", True),
        ),
    )
    flavor = Config(
        f"flavor-{slug(intent.name)}", choice.name, doc=f"{vcpu} vCPU and {ram_gib:g} GiB at AWS."
    )
    for number in range(1, nodes + 1):
        subnet = subnets[(number - 1) % len(subnets)]
        network = t.node(subnet)
        name = intent.name if nodes == 1 else f"{intent.name}-{number}"
        port = Node(
            type="openstack.networking.Port", origin=intent.origin, role=f"port-{number}", tier="data", topic="databases",
            props={
                "name": name, "network_id": network.props.get("network_id") if network else None,
                "fixed_ips": [{"subnet_id": t.out(subnet)}], **guarded(t, intent.groups, subnet), "admin_state_up": True,
            }, units={"ports": 1},
        )  # fmt: skip
        yield port
        if "no_security_groups" in port.props:
            yield Loss(
                "VpcSecurityGroups",
                "None of its groups is planned: nothing passes until one is set.",
                "major",
            )
        boot: dict[str, Any] = {"image_id": image}
        units: dict[str, float] = {
            "instances": 1,
            "cores": choice.flavor.vcpu,
            "ram_gb": choice.flavor.ram_gb,
        }
        if choice.flavor.disk_gb == 0:
            yield Node(
                type="openstack.blockstorage.Volume", origin=intent.origin, role=f"boot-{number}", tier="data", topic="databases", protect=True,
                props={"name": f"{name}-boot", "size": 20, "image_id": image, "volume_type": _class(t, "gp2")}, units={"volumes": 1, "volume_gb": 20},
            )  # fmt: skip
            boot = {
                "block_devices": [
                    {
                        "uuid": Out(intent.origin, f"boot-{number}"),
                        "source_type": "volume",
                        "destination_type": "volume",
                        "boot_index": 0,
                        "delete_on_termination": False,
                    }
                ]
            }
        yield Node(
            type="openstack.compute.Instance", origin=intent.origin, role=f"server-{number}", tier="data", topic="databases",
            props={
                "name": name, "flavor_name": flavor, "key_pair": KEY_PAIR, "networks": [{"port": Out(intent.origin, f"port-{number}")}],
                "metadata": {"software": software}, **boot,
            }, units=units, comment=f"Server for {_TITLES[software]}; Ansible installs it.",
        )  # fmt: skip
        if volume is not None:
            kind, iops, throughput, encrypted = volume
            held = t.cloud.volume_type_for(kind, disk_gib, iops, throughput, encrypted)
            if number == 1:
                for what, missing in held.shortfall.items():
                    yield Loss(
                        {"iops": "Iops", "mb_s": "StorageThroughput", "encrypted": "StorageEncrypted", "size_gb": "AllocatedStorage"}[what],
                        text("{name} lacks {missing} {what} against the source.", name=held.name, missing=missing, what=text(UNITS[what])) if what != "encrypted" else text("{name} is not encrypted.", name=held.name), "major",
                    )  # fmt: skip
            yield Node(
                type="openstack.blockstorage.Volume", origin=intent.origin, role=f"data-{number}", tier="data", topic="databases", protect=True,
                props={"name": f"{name}-data", "size": disk_gib, "volume_type": Config(f"volume-type-{kind}{'-encrypted' if encrypted else ''}", held.name, doc=f"Volume type for EBS {kind}.")},
                units={"volumes": 1, "volume_gb": disk_gib},
            )  # fmt: skip
            yield Node(
                type="openstack.compute.VolumeAttach", origin=intent.origin, role=f"attach-{number}", tier="data", topic="databases",
                props={"instance_id": Out(intent.origin, f"server-{number}"), "volume_id": Out(intent.origin, f"data-{number}")},
            )  # fmt: skip


UNITS = {"iops": "IOPS", "mb_s": "MB/s", "size_gb": "GB"}
"""What a volume type may lack -> its unit; `encrypted` is said in words of its own."""


def _class(t: Target, kind: str) -> Config:
    held = t.cloud.volume_type_for(kind, 20)
    return Config(f"volume-type-{kind}", held.name, doc=f"Volume type for EBS {kind}.")


def cache(intent: Cache, t: Target) -> Iterator[object]:
    """Valkey managed where the catalogue has it, else a server per node."""
    product = t.cloud.managed.get("valkey") if intent.engine == "valkey" else None
    options = [
        Option(
            "server",
            text("{engine} on servers of your own", engine=_TITLES[intent.engine]),
            "Failover by Sentinel or the cluster protocol, set up by you.",
        )
    ]
    if product:
        options.insert(
            0,
            Option(
                "managed",
                text("Valkey managed by {cloud}", cloud=t.cloud.product),
                "Backups and failover are the provider's.",
            ),
        )
    choice = t.ctx.decide(
        intent.origin, "cache", text("Where does {name} ({engine} {version}) run?", name=intent.name, engine=intent.engine, version=intent.version or "?"), options,
        "managed" if product and intent.shards == 1 else "server",
        "The catalogue has Valkey as a managed product." if product and intent.shards == 1 else "Several shards, or an engine that nobody sells: servers of your own." if product or intent.engine != "valkey" else "The catalogue has no managed Valkey that a program can create.",
        t.cloud.known("managed_services.databases"),
    )  # fmt: skip
    if choice == "managed":
        yield from _ovh_database(
            intent,
            t,
            "valkey",
            "essential" if intent.nodes == 1 else "business",
            intent.nodes,
            intent.version or "8",
            intent.ram_gib,
            intent.subnets,
        )
        yield Loss(
            "Engine",
            text(
                "{name} moves from {version} to the Valkey version on offer; its port and addresses are the product's own, not {port}{tls}.",
                name=intent.name,
                version=intent.version or text("its version"),
                port=intent.port,
                tls="" if intent.tls else text("; connections are encrypted there"),
            ),
        )
        if intent.groups:
            yield Loss(
                "SecurityGroups.SecurityGroupId",
                "Security groups do not reach it: its own list of addresses lets the private subnet in.",
            )
        return
    yield from _servers(
        t,
        intent,
        software=intent.engine,
        nodes=intent.shards * intent.nodes,
        vcpu=intent.vcpu or 2,
        ram_gib=intent.ram_gib or 2,
        disk_gib=0,
        volume=None,
    )
    yield Task(
        "cache-install", text("Install {engine} for {name}", engine=_TITLES[intent.engine], name=intent.name),
        "What ElastiCache did by itself (failover, snapshots, updates) has to be set up.", lead_days=5, role="database",
        settings=(
            (text("version"), intent.version or text("the current one")), (text("port"), str(intent.port)), (text("TLS"), text("yes") if intent.tls else text("no")),
            (text("shards"), str(intent.shards)), (text("nodes per shard"), str(intent.nodes)),
        ),
        check=f'valkey-cli -h "${{{variable("CACHE", intent.name)}:?}}" -p {intent.port}{" --tls" if intent.tls else ""} info server' if intent.engine != "memcached" else "",
        expected="It answers with the version of the table, from the application's servers and from nowhere else.",
        undo="Remove the package; nothing uses it yet.",
        minutes=60 * intent.shards * intent.nodes, basis="an hour per node, estimated", after_build=True,
    )  # fmt: skip


def bucket(intent: Bucket, t: Target) -> Iterator[object]:
    """A bucket with what the target's object store can do; what it cannot is a loss."""
    name = intent.name.replace(".", "-").replace("_", "-").lower()
    if name != intent.name:
        yield Loss(
            "Name",
            text(
                "{old} becomes {new}: dots break TLS of virtual-hosted addresses.",
                old=intent.name,
                new=name,
            ),
        )
    config = Config(
        f"bucket-{slug(intent.name)}",
        name,
        doc="Names are unique at the provider: choose another where this one is taken.",
    )
    features = t.cloud.object_storage
    for feature, asked, field in (
        ("cors", intent.cors_origins, "Cors.CORSRules.AllowedOrigins"), ("website", intent.index, "Website.IndexDocument.Suffix"), ("lifecycle", intent.expire_days, "Lifecycle.Rules.Expiration.Days"),
    ):  # fmt: skip
        if asked and features.get(feature) is not True:
            yield Loss(
                field,
                text(
                    "{what} is {state} at {cloud}'s object store.",
                    what=text(
                        {
                            "cors": "Cross-origin access",
                            "website": "Serving a website",
                            "lifecycle": "Expiry by the store",
                        }[feature]
                    ),
                    state=text("not offered")
                    if features.get(feature) is False
                    else text("not proven by the catalogue"),
                    cloud=t.cloud.product,
                ),
                "major",
            )
    public = intent.public_read and t.ctx.decide(
        intent.origin, "public-bucket", text("May anybody still read {name}?", name=intent.name),
        (Option("private", "No: private from now on", "Whoever reads it without credentials today stops."), Option("public", "Yes: public for reading", "Anybody on the internet may read every object.")),
        "private", "Public buckets are more often forgotten than meant.",
    ) == "public"  # fmt: skip
    if t.cloud.name == "ovhcloud":
        yield Node(
            type="ovh.cloudproject.Storage", origin=intent.origin, tier="data", topic="buckets", protect=True,
            props={
                "service_name": PROJECT, "region_name": Config("storage-region", _storage_region(t), doc="Region of the object store (it has other names than compute)."),
                "name": config, "versioning": {"status": "enabled" if intent.versioning else "suspended"}, "encryption": {"sse_algorithm": "AES256"},
                "tags": {k: v for k, v in intent.tags.items() if not k.startswith("aws:")},
            },
        )  # fmt: skip
        if public:
            yield Task(
                "bucket-public",
                text("Make {name} readable by everybody", name=intent.name),
                "The provider's API has no policy for it; set the ACL by S3.",
                command=f'aws --endpoint-url "${{S3_URL:?}}" s3api put-bucket-acl --bucket {shlex.quote(name)} --acl public-read',
                check=f"curl --silent --output /dev/null --write-out '%{{http_code}}\\n' \"${{S3_URL:?}}\"/{shlex.quote(name)}",
                expected="The check prints 200 without any credential.",
                undo=text(
                    "{command} (from then on nobody reads it without a credential).",
                    command=f'aws --endpoint-url "${{S3_URL:?}}" s3api put-bucket-acl --bucket {shlex.quote(name)} --acl private',
                ),
                minutes=5,
                after_build=True,
            )
    else:
        metadata: dict[str, Any] = {}
        if intent.cors_origins:
            metadata["access-control-allow-origin"] = " ".join(intent.cors_origins)
        if intent.cors_headers:
            metadata["access-control-expose-headers"] = " ".join(intent.cors_headers)
        if intent.index:
            metadata["web-index"] = intent.index
        if intent.error:
            metadata["web-error"] = intent.error
        metadata |= {
            f"tag-{slug(k)}": v
            for k, v in sorted(intent.tags.items())
            if slug(k) and not k.startswith("aws:")
        }
        props: dict[str, Any] = {
            "name": config,
            "versioning": intent.versioning,
            "metadata": metadata,
        }
        if public:
            props["container_read"] = ".r:*,.rlistings"
        yield Node(
            type="openstack.objectstorage.Container",
            origin=intent.origin,
            tier="data",
            topic="buckets",
            protect=True,
            props=props,
        )
    if intent.expire_days:
        yield Task(
            "bucket-expiry",
            text(
                "Let objects of {name} expire after {days} days",
                name=intent.name,
                days=intent.expire_days,
            ),
            "No resource of the provider carries the rule; set it by the S3 API or a job.",
            command=f'aws --endpoint-url "${{S3_URL:?}}" s3api put-bucket-lifecycle-configuration --bucket {shlex.quote(name)} --lifecycle-configuration '
            + shlex.quote(json.dumps({"Rules": [{"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": intent.expire_days}}]})),
            check=f'aws --endpoint-url "${{S3_URL:?}}" s3api get-bucket-lifecycle-configuration --bucket {shlex.quote(name)}',
            expected="The check shows one enabled rule with these days.",
            undo=text(
                "{command} (objects then stay for ever).",
                command=f'aws --endpoint-url "${{S3_URL:?}}" s3api delete-bucket-lifecycle --bucket {shlex.quote(name)}',
            ),
            minutes=5,
            after_build=True,
        )  # fmt: skip


def _storage_region(t: Target) -> str | None:
    region = (t.ctx.target_region or "").rstrip("0123456789")
    names = [each.name for each in t.cloud.regions]
    return region if region in names else t.ctx.target_region or None


def registry(intent: Registry, t: Target) -> Iterator[object]:
    """A repository needs a registry: the provider's where it sells one, else Harbor or Zot."""
    first = next(iter(t.all(Registry)))
    product = t.cloud.managed.get("registry")
    if product and first.origin == intent.origin:
        yield Node(
            type=product, origin=intent.origin, tier="data", topic="registry", protect=True,
            props={"service_name": PROJECT, "region": _region(t), "name": "registry", "plan_id": Config("registry-plan-id", doc="Plan of the registry (S, M or L), by id.")},
            comment="One registry holds every repository.",
        )  # fmt: skip
    yield Task(
        "registry-project", text("Create the repository {name} in the registry", name=intent.name),
        "Repositories are made in the registry itself, with robots that push and pull.", lead_days=3,
        settings=((text("tags"), text("immutable") if intent.immutable else text("may be overwritten")),),
        check='skopeo login --get-login "${TARGET_REGISTRY:?}"',
        expected="The repository's project is there with a robot that pushes and one that pulls; the check names the robot that you signed in with.",
        undo="Delete the project while it is empty.", minutes=10, after_build=True,
    )  # fmt: skip
    if not product:
        yield Disposition(
            "replatform",
            text("{cloud} has no managed registry in the catalogue.", cloud=t.cloud.product),
            way_out="Harbor or Zot on a server, storing into a bucket",
            work="Run it, copy the images, change every pull.",
        )
    elif first.origin != intent.origin:
        yield Disposition("absorbed", "The one registry holds every repository.", into=first.origin)


def cluster(intent: Cluster, t: Target) -> Iterator[object]:
    """Managed Kubernetes by the provider's own API, or an order."""
    product = t.cloud.managed.get("kubernetes")
    if not product:
        yield Task(
            "kubernetes-order",
            text("Order a managed Kubernetes cluster for {name}", name=intent.name),
            text(
                "{cloud} sells Kubernetes, but not by the interface that the stacks use.",
                cloud=t.cloud.product,
            ),
            lead_days=10,
            settings=(
                (text("version"), intent.version or text("the current one")),
                *(
                    ((text("its API is open for"), ", ".join(intent.api_cidrs)),)
                    if intent.public_api and intent.api_cidrs
                    else ()
                ),
            ),
            check="kubectl get nodes",
            expected="Every node is Ready and has the version of the table.",
            undo="Cancel the order; nothing runs there yet.",
            minutes=60,
        )
        yield Disposition(
            "replatform",
            "Ordered by hand, then filled by GitOps or Velero.",
            way_out=text(
                "Managed Kubernetes of {cloud}, or Talos on servers", cloud=t.cloud.product
            ),
            work="Order, deploy, copy volumes, switch.",
        )
        return
    subnet = next((key for key in intent.subnets if t.node(key)), None)
    held = t.node(subnet)
    release = ".".join(intent.version.split(".")[:2])
    props: dict[str, Any] = {
        "service_name": PROJECT, "region": _region(t), "name": intent.name,
        "version": Config(f"{slug(intent.name)}-version", release or None, doc=text("Version of {engine}; the source has {version}.", engine="Kubernetes", version=intent.version or text("an unknown one"))),
    }  # fmt: skip
    if held is not None and subnet:
        props |= {
            "private_network_id": held.props.get("network_id"),
            "nodes_subnet_id": t.out(subnet),
        }
    yield Node(
        type=product,
        origin=intent.origin,
        tier="data",
        topic="kubernetes",
        props=props,
        protect=True,
    )
    if intent.api_cidrs:
        yield Task(
            "kubernetes-api",
            text("Let only known networks reach the API of {name}", name=intent.name),
            "The list is set in the provider's console or API after the cluster is made.",
            settings=((text("networks"), ", ".join(intent.api_cidrs)),),
            check="kubectl --request-timeout=5s get --raw /readyz",
            expected="The check says ok from one of these networks, and times out from any other.",
            undo="Set the list to the networks that it had before.",
            minutes=10,
            after_build=True,
        )


def pool(intent: Pool, t: Target) -> Iterator[object]:
    """A node pool of the cluster, in the flavor nearest to its instance type."""
    product = t.cloud.managed.get("node_pool")
    kind = aws_instance_type(intent.instance_type)
    choice = t.cloud.flavor_for(kind.vcpu if kind else 2, kind.ram_gib if kind else 4)
    flavor = choice.name if choice else None
    if not product or t.node(intent.cluster) is None:
        yield Disposition(
            "replatform", text("Nodes of the ordered cluster: {count} of {flavor} ({type} at AWS), up to {most}, {disk} GB of disk each{labels}.", count=max(intent.fewest, intent.wanted), flavor=flavor or text("the nearest size"),
                               type=intent.instance_type, most=intent.most, disk=intent.disk_gib, labels=text(", labelled {labels}", labels=", ".join(f"{k}={v}" for k, v in sorted(intent.labels.items()))) if intent.labels else ""),
            into=intent.cluster, way_out="Node pool of the ordered cluster", work="Ask for it with the cluster.",
        )  # fmt: skip
        return
    yield Node(
        type=product, origin=intent.origin, tier="data", topic="kubernetes",
        props={
            "service_name": PROJECT, "kube_id": Out(intent.cluster), "name": slug(intent.name),
            "flavor_name": Config(f"flavor-{slug(intent.name)}", flavor, doc=f"{intent.instance_type} at AWS."),
            "min_nodes": intent.fewest, "max_nodes": max(intent.most, 1), "desired_nodes": max(intent.fewest, intent.wanted), "autoscale": intent.most > intent.fewest,
            "template": {"metadata": {"labels": dict(sorted(intent.labels.items())), "annotations": {}, "finalizers": []}, "spec": {"unschedulable": False, "taints": []}},
        },
        units={"instances": max(intent.fewest, intent.wanted), "cores": (choice.flavor.vcpu if choice else 2) * max(intent.fewest, 1), "ram_gb": (choice.flavor.ram_gb if choice else 4) * max(intent.fewest, 1)},
    )  # fmt: skip
    if choice and choice.flavor.disk_gb != intent.disk_gib:
        yield Loss(
            "Nodegroup.diskSize",
            text(
                "Nodes have the flavor's {have} GB of disk instead of {had}.",
                have=choice.flavor.disk_gb,
                had=intent.disk_gib,
            ),
        )


REALISE: Mapping[type[Intent], Realise] = {
    Database: database, Cache: cache, Bucket: bucket, Registry: registry, Cluster: cluster, Pool: pool,
}  # fmt: skip
