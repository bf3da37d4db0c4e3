"""Network interfaces -> what of AWS they belong to, and whether anything uses them; AWS's flags are not enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.rules._groups import at

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context

_NAMED = (
    ("aws.ec2.nat_gateway", at("NatGatewayAddresses.NetworkInterfaceId")),
    ("aws.efs.file_system", at("MountTargets.NetworkInterfaceId")),
    ("aws.ec2.vpc_endpoint", at("NetworkInterfaceIds")),
)
"""What names its interfaces: type, where."""


def owner_of(ctx: Context, interface: Resource) -> Resource | None:
    """The NAT gateway, file system, endpoint or balancer that an interface belongs to, or None."""
    for type_, names in _NAMED:
        for hit in ctx.estate.having(type_, names, interface.id):
            if _near(hit, interface):
                return hit
    # Balancers do not name their interfaces: AWS writes theirs into the description of each.
    said = str(interface.record.get("Description") or "")
    for type_, described in (
        ("aws.elbv2.load_balancer", _tail),
        ("aws.elb.load_balancer", _name),
    ):
        for hit in ctx.estate.having(type_, described, said):
            if _near(hit, interface):
                return hit
    return None


def unused(ctx: Context, interface: Resource) -> bool:
    """Whether an interface is attached to nothing and belongs to nothing."""
    record = interface.record
    return (
        record.get("Status") == "available"
        and not record.get("Attachment")
        and not record.get("RequesterManaged")
        and owner_of(ctx, interface) is None
    )


def _near(one: Resource, other: Resource) -> bool:
    return (one.account, one.region) == (other.account, other.region)


def _tail(balancer: Resource) -> Iterator[object]:
    _, found, tail = balancer.id.partition(":loadbalancer/")
    if found:
        yield f"ELB {tail}"


def _name(balancer: Resource) -> Iterator[object]:
    yield f"ELB {balancer.id}"
