"""What will be created at the target -> nodes that refer to each other; stacks are cut from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from toolkit.outcomes import Text

Tier = Literal["network", "data", "servers", "entry", "dns"]
"""Stacks are cut along these, in this order: a node refers only to its own tier or an earlier one.

network: networks, routers, groups and rules, public addresses, of one VPC.
data: volumes, buckets, databases, secrets, queues: what must be there before data is moved.
servers: ports, servers, attachments. entry: load balancers, addresses bound to ports.
dns: zones and records, last, because they point at everything.
"""

TIERS: tuple[Tier, ...] = ("network", "data", "servers", "entry", "dns")


@dataclass(frozen=True, slots=True)
class Out:
    """An attribute of another node, named by the AWS resource it comes from and its role there."""

    origin: str
    role: str = ""
    attr: str = "id"


@dataclass(frozen=True, slots=True)
class Config:
    """A value that the operator sets in `Pulumi.<stack>.yaml`. Without default it is required."""

    name: str
    default: str | int | bool | None = None
    secret: bool = False
    doc: Text | str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A read of something that exists at the target already (an image, an external network).

    `function` is the Pulumi function's Python path, `openstack.networking.get_network`.
    """

    function: str
    args: tuple[tuple[str, Any], ...]
    attr: str = "id"


@dataclass(frozen=True, slots=True)
class Render:
    """Text put together from parts: strings and Outs (`Output.concat`)."""

    parts: tuple[Any, ...]


Value = Any
"""str | int | float | bool | None | list | dict | Out | Config | Lookup | Render."""


@dataclass(slots=True)
class Node:
    """One Pulumi resource to be.

    `type` is the Python path of its class (`openstack.networking.Network`); `props` are keyword
    arguments in snake_case. `role` tells apart the nodes of one origin and becomes part of the
    logical name; it must not depend on tags, so a role that names another AWS resource holds its
    key, and `label` is what people read instead, taken once. `vpc` is the key of the VPC whose network tier
    holds it (tier `network` only). `topic` is the module of the stack it is written to.
    """

    type: str
    origin: str
    props: dict[str, Value]
    tier: Tier
    topic: str
    role: str = ""
    label: str = ""
    vpc: str = ""
    protect: bool = False
    depends_on: tuple[Out, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    delete_before_replace: bool = False
    comment: str = ""
    units: dict[str, float] = field(default_factory=dict)
    """What it takes of the target's quotas (instances, cores, ram_gb, ports, ...)."""


def token_of(type_: str) -> str:
    """`openstack.networking.Network` -> `openstack:networking/network:Network`, Pulumi's token."""
    package, *module, cls = type_.split(".")
    folder = "/".join(module) or "index"
    return f"{package}:{folder}/{cls[0].lower()}{cls[1:]}:{cls}"
