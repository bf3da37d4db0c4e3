"""The catalogue: facts about target clouds as data -> flavors, volume types, prices; nothing is looked up live."""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import CatalogError

HOURS_A_MONTH = 730
"""What a price per hour is multiplied with: 365 x 24 / 12."""
RAM_TOLERANCE = 0.05
"""Providers round: an API may show 7.8 GB for a flavor sold as 8."""
STATUSES = ("read", "measured-by-third-party", "inferred", "unverified")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read. `seen` is the date that the source itself carries."""

    id: str
    url: str
    kind: str
    seen: str

    def __str__(self) -> str:
        return self.url or self.id


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a cloud. `unverified`: nothing that was read proves it."""

    path: str
    value: Any
    status: str
    source: tuple[Source, ...]
    seen: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """A region. `kind` is compute or storage (a name that only the object store uses)."""

    name: str
    country: str
    eu: bool
    kind: str
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size of server: memory and disk in GB, price per hour in the cloud's currency (None: unknown)."""

    name: str
    vcpu: int
    ram_gb: float
    disk_gb: int
    gpu_count: int
    gpu_model: str
    price_hour: float | None
    status: str
    arch: str = "x86_64"

    @property
    def family(self) -> str:
        return self.name.split("-", 1)[0].split(".", 1)[0]


@dataclass(frozen=True, slots=True)
class FlavorChoice:
    """The flavor chosen, by how much it exceeds the need (vcpu, ram_gb, disk_gb), and what else would do."""

    flavor: Flavor
    distance: Mapping[str, float]
    alternatives: tuple[Flavor, ...]

    @property
    def name(self) -> str:
        return self.flavor.name


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A class of volume. Limits are None where the catalogue does not know them. Price per GB and month."""

    name: str
    encrypted: str | None
    max_iops: int | None
    iops_per_gb: float | None
    mb_s: int | None
    max_gb: int | None
    month_gb: float | None


@dataclass(frozen=True, slots=True)
class VolumeChoice:
    """The class chosen and what it lacks: `shortfall` maps iops, mb_s, size_gb or encrypted to the difference."""

    name: str
    type: VolumeType
    shortfall: Mapping[str, int]

    @property
    def satisfied(self) -> bool:
        return not self.shortfall


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An EC2 instance type: memory in GiB, local disk in GB."""

    name: str
    vcpu: int
    ram_gib: float
    arch: str
    gpus: int
    gpu_model: str
    local_disk_gb: int
    metal: bool
    burstable: bool


@dataclass(frozen=True, slots=True)
class Way:
    """What takes the place of an AWS service at one provider."""

    kind: str
    target: str
    status: str
    iac: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """An AWS service and the ways out of it. `work` is what it means for people."""

    key: str
    aws: str
    disposition: str
    migration: str
    self_hosted: str
    traps: tuple[str, ...]
    ways: Mapping[str, Way]

    @property
    def work(self) -> str:
        return self.migration[:1].upper() + self.migration[1:] + "." if self.migration else ""


@dataclass(frozen=True)
class Cloud:
    """One target cloud. `profile` holds what the planner reads, `facts()` what decisions cite."""

    name: str
    product: str
    kind: str
    currency: str
    regions: tuple[Region, ...]
    profile: Mapping[str, Any]
    flavors: tuple[Flavor, ...]
    volume_types: tuple[VolumeType, ...]
    sources: Mapping[str, Source]
    traps: tuple[Mapping[str, Any], ...]
    raw_facts: Mapping[str, Any] = field(repr=False)
    digest: str = ""

    def region(self, name: str) -> Region:
        """A region by name. Raises CatalogError with the names that exist."""
        for region in self.regions:
            if region.name == name:
                return region
        names = [region.name for region in self.regions]
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        raise CatalogError(
            f"{self.product} has no region {name!r}"
            + (f"; did you mean {close[0]}?" if close else ""),
            f"Known: {', '.join(names)}.",
        )

    @property
    def external_network(self) -> str:
        return str(self.profile["external_network"])

    @property
    def floating_pool(self) -> str:
        return str(self.profile["floating_pool"])

    @property
    def images(self) -> Mapping[str, str]:
        """Distribution (`debian12`, `windows2022`) -> the exact name of its image."""
        held: Mapping[str, str] = self.profile["images"]
        return held

    @property
    def users(self) -> Mapping[str, str]:
        """Distribution -> the user that its image lets in."""
        held: Mapping[str, str] = self.profile["users"]
        return held

    @property
    def quotas(self) -> Mapping[str, int | None]:
        """Default quota by kind; None where it is unknown."""
        held: Mapping[str, int | None] = self.profile["quotas"]
        return held

    @property
    def prices(self) -> Mapping[str, float | None]:
        """Price per month by kind (floating_ip, router, load_balancer, object_gb, ...); None: unknown."""
        held: Mapping[str, float | None] = self.profile["prices"]
        return held

    @property
    def managed(self) -> Mapping[str, str]:
        """Managed product (postgresql, valkey, kubernetes, ...) -> its Pulumi class."""
        held: Mapping[str, str] = self.profile["managed"]
        return held

    @property
    def object_storage(self) -> Mapping[str, Any]:
        held: Mapping[str, Any] = self.profile["object_storage"]
        return held

    def has(self, service: str) -> bool:
        """Whether an OpenStack service (octavia, designate, barbican, manila, ...) exists there."""
        return bool(self.profile["services"].get(service))

    def about(self, topic: str) -> str:
        """The path of the fact that a topic (flavors, quotas, prices) rests on."""
        return str(self.profile["facts"].get(topic, topic))

    @cached_property
    def _facts(self) -> Mapping[str, Fact]:
        return {fact.path: fact for fact in _walk(self.raw_facts, "", self.sources)}

    def facts(self) -> Iterator[Fact]:
        """Every fact, sorted by path."""
        for path in sorted(self._facts):
            yield self._facts[path]

    def fact(self, path: str) -> Fact:
        """A fact by path (`networks.router`). Raises CatalogError with near paths."""
        found = self._facts.get(path)
        if found is None:
            close = difflib.get_close_matches(path, self._facts, n=3)
            raise CatalogError(
                f"the catalogue of {self.product} has no fact {path!r}",
                f"Near: {', '.join(close)}." if close else "",
            )
        return found

    def known(self, *paths: str) -> tuple[str, ...]:
        """Those of the paths that this cloud has facts for: what a decision may cite."""
        return tuple(path for path in paths if path in self._facts)

    def flavor_for(
        self,
        vcpu: int,
        ram_gb: float,
        *,
        gpu: int = 0,
        gpu_model: str = "",
        arch: str = "x86_64",
        disk_gb: int = 0,
        bare_metal: bool = False,
        burstable: bool = False,
    ) -> FlavorChoice | None:
        """The flavor that satisfies every need with the least waste, or None.

        Waste is the relative excess of vCPU plus that of memory. The current generation goes
        before older ones, shared flavors (discovery) only where `burstable`; then the price, then
        the name decide. `ram_gb` may exceed a flavor's by 5 %.
        """
        needs = (vcpu, ram_gb, gpu, gpu_model, arch, disk_gb, bare_metal, burstable)
        return _choose(self, needs)

    def volume_type_for(
        self,
        kind: str,
        size_gb: int,
        iops: int = 0,
        throughput_mb_s: int = 0,
        encrypted: bool = False,
    ) -> VolumeChoice:
        """The cheapest class that gives what an EBS volume had, else the one that lacks least.

        Where the volume names no IOPS its kind does: gp3 3,000 and 125 MB/s; gp2 3 IOPS per GB, at
        least 100; st1, sc1 and standard ask for none (AWS's documented baselines).
        """
        wanted = iops or {"gp3": 3000, "gp2": max(100, min(16000, 3 * size_gb))}.get(kind, 0)
        speed = throughput_mb_s or (125 if kind == "gp3" else 0)
        ranked = sorted(
            ((_lack(each, size_gb, wanted, speed, encrypted), each) for each in self.volume_types),
            key=lambda pair: (
                sum(_weight(k, v) for k, v in pair[0].items()),
                pair[1].month_gb or 0,
                pair[1].name,
            ),
        )
        shortfall, best = ranked[0]
        return VolumeChoice(
            best.encrypted if encrypted and best.encrypted else best.name, best, shortfall
        )


def _weight(what: str, missing: int) -> float:
    return {"iops": missing / 1000, "mb_s": missing / 100, "size_gb": 1000.0, "encrypted": 0.5}[
        what
    ]


def _lack(type_: VolumeType, size_gb: int, iops: int, mb_s: int, encrypted: bool) -> dict[str, int]:
    gives = type_.max_iops
    if type_.iops_per_gb is not None:
        scaled = int(type_.iops_per_gb * size_gb)
        gives = scaled if gives is None else min(gives, scaled)
    lack: dict[str, int] = {}
    if gives is not None and gives < iops:
        lack["iops"] = iops - gives
    if type_.mb_s is not None and type_.mb_s < mb_s:
        lack["mb_s"] = mb_s - type_.mb_s
    if type_.max_gb is not None and type_.max_gb < size_gb:
        lack["size_gb"] = size_gb - type_.max_gb
    if encrypted and type_.encrypted is None:
        lack["encrypted"] = 1
    return lack


_choices: dict[tuple[str, tuple[Any, ...]], FlavorChoice | None] = {}


def _choose(cloud: Cloud, needs: tuple[Any, ...]) -> FlavorChoice | None:
    key = (cloud.digest, needs)
    if key in _choices:
        return _choices[key]
    vcpu, ram_gb, gpu, gpu_model, arch, disk_gb, bare_metal, burstable = needs
    current = cloud.profile.get("generations") or []

    def rank(flavor: Flavor) -> tuple[Any, ...]:
        shared = flavor.family in ("d2", "dev")
        return (
            flavor.family not in current if current else False,
            shared != burstable if shared or burstable else False,
            round((flavor.vcpu - vcpu) / vcpu + max(0.0, flavor.ram_gb - ram_gb) / ram_gb, 6),
            flavor.price_hour is None,
            flavor.price_hour or 0.0,
            flavor.disk_gb,
            flavor.name,
        )

    fit = [
        flavor
        for flavor in cloud.flavors
        if flavor.vcpu >= vcpu
        and flavor.ram_gb * (1 + RAM_TOLERANCE) >= ram_gb
        and flavor.arch == arch
        and (flavor.disk_gb >= disk_gb if disk_gb else True)
        and (flavor.gpu_count >= gpu if gpu else flavor.gpu_count == 0)
        and (not gpu or not gpu_model or flavor.gpu_model.casefold() == gpu_model.casefold())
        and bare_metal == flavor.name.startswith("bm-")
        and (burstable or flavor.family not in ("d2", "dev"))
    ]
    fit.sort(key=rank)
    choice = None
    if fit:
        best = fit[0]
        distance = {
            "vcpu": best.vcpu - vcpu,
            "ram_gb": round(best.ram_gb - ram_gb, 2),
            "disk_gb": best.disk_gb - disk_gb,
        }
        choice = FlavorChoice(best, distance, tuple(fit[1:4]))
    _choices[key] = choice
    return choice


def _walk(node: Mapping[str, Any], path: str, sources: Mapping[str, Source]) -> Iterator[Fact]:
    if "status" in node and "value" in node:
        yield Fact(
            path,
            node["value"],
            str(node["status"]),
            tuple(sources[id_] for id_ in node.get("source") or () if id_ in sources),
            str(node["seen"]) if node.get("seen") else None,
            str(node.get("note") or ""),
        )
        return
    for name, held in node.items():
        below = f"{path}.{name}" if path else str(name)
        if isinstance(held, Mapping):
            yield from _walk(held, below, sources)
        elif isinstance(held, list):
            for number, each in enumerate(held):
                if isinstance(each, Mapping):
                    yield from _walk(each, f"{below}.{each.get('name', number)}", sources)


# ------------------------------------------------------------------------------------------ loading


def providers() -> tuple[str, ...]:
    """The clouds of the catalogue."""
    return ("ovhcloud", "infomaniak", "cloudtemple", "openstack")


def load(provider: str, cloud_file: Path | None = None) -> Cloud:
    """A cloud of the catalogue, or one from a user's file.

    Raises CatalogError: an unknown provider (with the nearest name), a file that cannot be read,
    or one with faults (all of them at once, each with its place in the file).
    """
    if cloud_file is not None:
        try:
            return _parse(cloud_file.read_bytes(), str(cloud_file))
        except OSError as error:
            raise CatalogError(
                f"{cloud_file} cannot be read: {error.strerror or error}",
                "Check the path given as cloud file.",
            ) from error
    if provider not in providers():
        close = difflib.get_close_matches(provider, providers(), n=1, cutoff=0.4)
        raise CatalogError(
            f"the catalogue has no {provider!r}" + (f"; did you mean {close[0]}?" if close else ""),
            f"Known: {', '.join(providers())}; any other OpenStack cloud goes into one file, see docs/catalog.md.",
        )
    return _packaged(provider)


@cache
def _packaged(provider: str) -> Cloud:
    return _parse((resources.files(__name__) / f"{provider}.yaml").read_bytes(), provider)


_PROFILE: Mapping[str, type | tuple[type, ...]] = {
    "external_network": str, "floating_pool": str, "min_subnet_prefix": int, "dhcp_ports": int, "router_gateway_paid": bool,
    "default_group": str, "availability_zones": bool, "volume_zone": str, "snat_can_be_off": bool, "services": dict, "images": dict,
    "users": dict, "volume_types": list, "quotas": dict, "prices": dict, "managed": dict, "object_storage": dict, "generations": list,
    "load_balancer_flavors": list, "router_sizes": list, "facts": dict,
}  # fmt: skip


def _parse(data: bytes, where: str) -> Cloud:
    try:
        document = yaml.load(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise CatalogError(
            f"{where} is no YAML: {error}", "Compare with the example in docs/catalog.md."
        ) from error
    if where not in providers():
        document = _completed(document)
    faults = list(_faults(document))
    if faults:
        raise CatalogError(
            f"{where}: " + "; ".join(faults), "Compare with the example in docs/catalog.md."
        )
    sources = {
        id_: Source(
            id_, str(held.get("url", "")), str(held.get("kind", "")), str(held.get("seen", ""))
        )
        for id_, held in (document.get("sources") or {}).items()
    }
    return Cloud(
        name=document["provider"],
        product=document["product"],
        kind=document["kind"],
        currency=document["currency"],
        regions=tuple(
            Region(
                r["name"],
                r.get("country", ""),
                bool(r.get("eu", False)),
                r.get("kind", "compute"),
                tuple(r.get("zones") or ()),
            )
            for r in document["regions"]
        ),
        profile=document["profile"],
        flavors=tuple(Flavor(*row) for row in document["flavors"]),
        volume_types=tuple(VolumeType(**row) for row in document["profile"]["volume_types"]),
        sources=sources,
        traps=tuple(document.get("traps") or ()),
        raw_facts=document.get("facts") or {},
        digest=f"sha256:{hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()}",
    )


def _completed(document: Any) -> Any:
    """A cloud file of a user's own -> the same with what it leaves out as on a plain OpenStack cloud."""
    if not isinstance(document, dict) or document.get("kind") != "openstack":
        return document
    plain = yaml.load(
        (resources.files(__name__) / "openstack.yaml").read_bytes(), Loader=yaml.CSafeLoader
    )
    own = document.get("profile")
    if not isinstance(own, dict | None):
        return document
    profile = plain["profile"]
    for name, value in (own or {}).items():
        both = isinstance(value, dict) and isinstance(profile.get(name), dict)
        profile[name] = {**profile[name], **value} if both else value
    for row in profile["volume_types"]:
        if isinstance(row, dict):
            for name in VolumeType.__dataclass_fields__:
                row.setdefault(name, None)
    return {"currency": "EUR", **document, "profile": profile}


def _faults(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "it is not a table"
        return
    if document.get("schema") != 1:
        yield f"schema is {document.get('schema')!r}; this version reads 1"
    for name, kind in (
        ("provider", str), ("product", str), ("kind", str), ("currency", str), ("regions", list), ("profile", dict), ("flavors", list),
    ):  # fmt: skip
        if not isinstance(document.get(name), kind):
            yield f"{name} is missing or no {kind.__name__}"
    if document.get("kind") not in ("openstack", "cloudtemple", None):
        yield f"kind is {document['kind']!r}; known: openstack, cloudtemple"
    profile = document.get("profile")
    if isinstance(profile, dict):
        for name, expected in _PROFILE.items():
            if not isinstance(profile.get(name), expected):
                yield f"profile.{name} is missing or no {getattr(expected, '__name__', expected)}"
        for number, row in enumerate(profile.get("volume_types") or []):
            if not isinstance(row, dict) or set(row) != set(VolumeType.__dataclass_fields__):
                yield f"profile.volume_types[{number}] needs exactly {', '.join(VolumeType.__dataclass_fields__)}"
        if profile.get("volume_types") == []:
            yield "profile.volume_types is empty"
    for number, row in enumerate(document.get("regions") or []):
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            yield f"regions[{number}] has no name"
    names: set[str] = set()
    for number, row in enumerate(document.get("flavors") or []):
        if not isinstance(row, list) or len(row) not in (8, 9):
            yield f"flavors[{number}] is not name, vCPU, GB, GB of disk, GPUs, GPU model, price, status"
        elif row[0] in names:
            yield f"flavors[{number}]: {row[0]} stands there twice"
        elif not (
            isinstance(row[1], int)
            and row[1] > 0
            and isinstance(row[2], (int, float))
            and row[2] > 0
        ):
            yield f"flavors[{number}]: {row[0]} needs vCPU and memory above 0"
        elif row[7] not in STATUSES:
            yield f"flavors[{number}]: {row[0]} has the status {row[7]!r}; known: {', '.join(STATUSES)}"
        else:
            names.add(row[0])


@cache
def services() -> Mapping[str, Service]:
    """AWS service key (`lambda`, `rds`) -> the ways out of it."""
    document = yaml.load(
        (resources.files(__name__) / "services.yaml").read_bytes(), Loader=yaml.CSafeLoader
    )
    return {
        key: Service(
            key, held["aws"], held["disposition"], held["migration"], held["self_hosted"], tuple(str(t) for t in held["traps"]),
            {p: Way(w["kind"], w["target"], w["status"], tuple(w["iac"])) for p, w in held["targets"].items()},
        )
        for key, held in document["services"].items()
    }  # fmt: skip


@cache
def _instance_types() -> Mapping[str, InstanceType]:
    text = (resources.files(__name__) / "aws_instance_types.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        row["name"]: InstanceType(
            row["name"], int(row["vcpu"]), float(row["ram_gib"]), row["arch"], int(row["gpus"]), row["gpu_model"],
            int(row["local_disk_gb"]), row["metal"] == "1", row["burstable"] == "1",
        )
        for row in rows
    }  # fmt: skip


def aws_instance_type(name: str) -> InstanceType | None:
    """An EC2 instance type by name, or None where the table does not know it."""
    return _instance_types().get(name)


@cache
def cloudtemple_schema() -> Mapping[str, Any]:
    """Cloud Temple's provider: `resources` and `functions` with the properties that Pulumi gives them."""
    found: Mapping[str, Any] = json.loads(
        (resources.files(__name__) / "cloudtemple-schema.json").read_text("utf-8")
    )
    return found


def monthly(price_hour: float | None) -> float | None:
    """A price per hour as one per month of 730 hours."""
    return None if price_hour is None else price_hour * HOURS_A_MONTH
