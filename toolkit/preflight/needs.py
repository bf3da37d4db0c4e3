"""plan.json with the user's own stack values -> what each place must have, name by name; asks nobody."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from toolkit.config import Place
from toolkit.errors import FileError

SERVICES = {
    "openstack.compute": "compute",
    "openstack.networking": "network",
    "openstack.blockstorage": "block-storage",
    "openstack.images": "image",
    "openstack.loadbalancer": "load-balancer",
    "openstack.dns": "dns",
    "openstack.keymanager": "key-manager",
    "openstack.objectstorage": "object-store",
    "openstack.sharedfilesystem": "shared-file-system",
}
"""Module of pulumi_openstack -> the service that it talks to, by OpenStack's own type."""
COUNTED = {
    "openstack.loadbalancer.LoadBalancer": "load_balancers",
    "openstack.loadbalancer.Listener": "listeners",
    "openstack.loadbalancer.Pool": "pools",
    "openstack.loadbalancer.Member": "members",
    "openstack.loadbalancer.Monitor": "health_monitors",
    "openstack.loadbalancer.L7PolicyV2": "l7policies",
    "openstack.loadbalancer.L7RuleV2": "l7rules",
    "openstack.compute.Keypair": "key_pairs",
    "openstack.compute.ServerGroup": "server_groups",
    "openstack.dns.Zone": "zones",
    "openstack.keymanager.SecretV1": "secrets",
}
"""Kinds with a quota of their own that plan.json's sums do not have."""
EXTENSIONS = {
    "openstack.networking.Router": "router",
    "openstack.networking.FloatingIp": "router",
    "openstack.networking.RouterRoute": "extraroute",
    "openstack.networking.SecGroup": "security-group",
}
PROPERTY_EXTENSIONS = {
    "port_security_enabled": "port-security",
    "allowed_address_pairs": "allowed-address-pairs",
    "tags": "standard-attr-tag",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """A planned resource as preflight needs it: its class, its stack and logical name, properties with values filled in."""

    type: str
    stack: str
    name: str
    props: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return f"{self.stack}/{self.name}"

    @property
    def marks(self) -> tuple[str, str]:
        """Stack and name as its mark says them (`toolkit.plan.mark`)."""
        return self.stack, self.name


@dataclass
class Needs:
    """What one place must have. Maps lead from a name at the target to the planned resources that need it."""

    place: Place
    things: list[Thing] = field(default_factory=list)
    services: dict[str, list[str]] = field(default_factory=dict)
    extensions: dict[str, list[str]] = field(default_factory=dict)
    flavors: dict[str, list[str]] = field(default_factory=dict)
    images: dict[str, list[str]] = field(default_factory=dict)
    volume_types: dict[str, list[str]] = field(default_factory=dict)
    networks: dict[str, list[str]] = field(default_factory=dict)
    zones: dict[str, list[str]] = field(default_factory=dict)
    balancer_flavors: dict[str, list[str]] = field(default_factory=dict)
    balancer_providers: dict[str, list[str]] = field(default_factory=dict)
    share_types: dict[str, list[str]] = field(default_factory=dict)
    key_pairs: dict[str, list[str]] = field(default_factory=dict)
    volume_ids: dict[str, list[str]] = field(default_factory=dict)
    image_ids: dict[str, list[str]] = field(default_factory=dict)
    quotas: dict[str, int] = field(default_factory=dict)
    settings: dict[str, list[str]] = field(default_factory=dict)
    unset: dict[str, list[str]] = field(default_factory=dict)
    foreign: Counter[str] = field(default_factory=Counter)
    lookups: dict[str, list[str]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return "/".join(each for each in (self.place.project, self.place.region) if each)

    def of(self, type_: str) -> Iterator[Thing]:
        return (each for each in self.things if each.type == type_)

    def subnets(self) -> Iterator[tuple[Thing, ipaddress.IPv4Network | ipaddress.IPv6Network]]:
        """Planned subnets with their ranges; what has no range yet is left out."""
        for each in self.of("openstack.networking.Subnet"):
            try:
                yield each, ipaddress.ip_network(str(each.props.get("cidr")), strict=False)
            except ValueError:
                continue


def needs(plan: Mapping[str, Any], folder: Path) -> list[Needs]:
    """What each place of a plan must have, with the values of `stacks/*/Pulumi.main.yaml` over the defaults.

    Raises FileError where such a file is no YAML of Pulumi's form.
    """
    found: dict[tuple[str, str], Needs] = {}
    for stack in plan["stacks"]:
        key = stack["place"]["project"], stack["place"]["region"]
        held = found.setdefault(key, Needs(Place(*key)))
        own = values(folder / "stacks" / stack["name"] / "Pulumi.main.yaml", stack["name"])
        for resource in stack["resources"]:
            _take(held, resource, stack, own)
    alone = len(found) == 1
    for quota in plan["quotas"]["kinds"]:
        for held in found.values():
            if quota["place"] == held.where or (alone and not quota["place"]):
                held.quotas[quota["kind"]] = int(quota["needed"])
    for held in found.values():
        counts = Counter(COUNTED[each.type] for each in held.things if each.type in COUNTED)
        held.quotas |= dict(counts)
    return [found[key] for key in sorted(found)]


def values(path: Path, stack: str) -> dict[str, Any]:
    """The user's values of a stack: name -> value; a secret is there as `Secret`. Empty where there is no file."""
    try:
        document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader) or {}
        config = document.get("config") or {}
        return {
            str(name).removeprefix(f"{stack}:"): Secret() if isinstance(value, dict) else value
            for name, value in config.items()
        }
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path} is no configuration of Pulumi: {' '.join(str(error).split())[:200]}",
            "It needs `config:` with lines `stack:name: value`; compare with the one that `repatria render` wrote.",
        ) from None
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror or error}", "Check who owns the file."
        ) from error


class Secret:
    """A value that is set and encrypted: that it is there is all that may be known."""


class Unset:
    """A value that nobody has set and that has no default."""


def filled(value: Any, own: Mapping[str, Any], used: dict[str, Any]) -> Any:
    """Configuration put in, and each setting's value noted in `used`; references and lookups stay what they are."""
    if isinstance(value, list):
        return [filled(each, own, used) for each in value]
    if not isinstance(value, dict):
        return value
    if "$config" in value:
        name = value["$config"]
        given = (own.get(name), value.get("default"))
        used[name] = next((each for each in given if each not in (None, "")), Unset())
        return used[name]
    if "$concat" in value:
        parts = [filled(each, own, used) for each in value["$concat"]]
        return "".join(map(str, parts)) if all(isinstance(p, (str, int)) for p in parts) else value
    return {key: filled(each, own, used) for key, each in value.items()}


def _take(held: Needs, resource: Mapping[str, Any], stack: Mapping[str, Any], own: Mapping[str, Any]) -> None:  # fmt: skip
    used: dict[str, Any] = {}
    props = filled(resource["props"], own, used)
    type_: str = resource["type"]
    thing = Thing(type_, stack["name"], resource["name"], props)
    subject = thing.subject
    for name, value in used.items():
        setting = f"{stack['name']}:{name}"
        if isinstance(value, Unset):
            held.unset.setdefault(setting, []).append(subject)
        elif isinstance(value, str) and setting not in held.settings.setdefault(value, []):
            held.settings[value].append(setting)
    module = type_.rpartition(".")[0]
    if module not in SERVICES:
        held.foreign[type_] += 1
        if "flavor_name" in props and type_ == "ovh.cloudproject.KubeNodePool":
            add(held.flavors, props["flavor_name"], subject)
        return
    held.things.append(thing)
    add(held.services, SERVICES[module], subject)
    if type_ in EXTENSIONS:
        add(held.extensions, EXTENSIONS[type_], subject)
    if module == "openstack.networking":
        for name, extension in PROPERTY_EXTENSIONS.items():
            if name in props:
                add(held.extensions, extension, subject)
    for function, args in lookups(props):
        _lookup(held, function, args, subject)
    if type_ == "openstack.compute.Instance":
        add(held.flavors, props.get("flavor_name"), subject)
        add(held.zones, props.get("availability_zone"), subject)
        add(held.image_ids, props.get("image_id"), subject)
        add(held.key_pairs, props.get("key_pair"), subject)
        for device in props.get("block_devices") or ():
            if device.get("source_type") == "volume":
                add(held.volume_ids, device.get("uuid"), subject)
    elif type_ == "openstack.blockstorage.Volume":
        add(held.volume_types, props.get("volume_type"), subject)
        add(held.image_ids, props.get("image_id"), subject)
    elif type_ == "openstack.sharedfilesystem.Share":
        add(held.share_types, props.get("share_type"), subject)
    elif type_ == "openstack.networking.FloatingIp":
        add(held.networks, props.get("pool"), subject)
    elif type_ == "openstack.loadbalancer.LoadBalancer":
        add(held.balancer_providers, props.get("loadbalancer_provider"), subject)


def add(names: dict[str, list[str]], name: Any, subject: str) -> None:
    if isinstance(name, str) and name:
        names.setdefault(name, []).append(subject)


def lookups(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        if "$lookup" in value:
            yield value["$lookup"], value["args"]
        for each in value.values():
            yield from lookups(each)
    elif isinstance(value, list):
        for each in value:
            yield from lookups(each)


def _lookup(held: Needs, function: str, args: Mapping[str, Any], subject: str) -> None:
    name = args.get("name")
    match function:
        case "openstack.networking.get_network":
            add(held.networks, name, subject)
            add(held.services, "network", subject)
        case "openstack.images.get_image":
            add(held.images, name, subject)
            add(held.services, "image", subject)
        case "openstack.loadbalancer.get_flavor_v2":
            add(held.balancer_flavors, name, subject)
        case _:
            add(held.lookups, function, subject)


def users(subjects: Iterable[str], most: int = 3) -> str:
    """`shop-servers/web-1, shop-servers/web-2 and 4 more`: who needs it."""
    held = list(dict.fromkeys(subjects))
    said = ", ".join(held[:most])
    return said + (f" and {len(held) - most} more" if len(held) > most else "")
