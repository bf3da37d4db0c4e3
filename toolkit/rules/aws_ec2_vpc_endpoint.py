"""VPC endpoint -> absorbed: without AWS services there is nothing to reach privately."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Disposition, Loss, Outcome, Task, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Traffic to the successors goes the router's way; an endpoint to a partner needs a new path."""
    record = source.record
    service = record.get("ServiceName", "?")
    vpc = ctx.key("aws.ec2.vpc", record.get("VpcId"), source)
    if record.get("State") not in (None, "available", "pendingAcceptance"):
        yield Disposition("retire", text("It is {state}.", state=str(record["State"])))
        return
    if ".vpce-svc-" in service or record.get("VpcEndpointType") in (
        "GatewayLoadBalancer",
        "Resource",
        "ServiceNetwork",
    ):
        yield Task(
            "private-partner",
            text("Agree on a new private path to {service}", service=service),
            "PrivateLink of a partner ends with AWS.",
            lead_days=30,
            role="network",
            expected="The partner's written word which address and port it will be, and one request that it answered.",
            minutes=None,
            basis="the partner decides what it offers and when",
        )
        yield Disposition(
            "refactor",
            "A private path to somebody else's service.",
            way_out="A tunnel to the partner, or its public address with an allow-list",
            work="Negotiate, build, test.",
        )
        return
    if record.get("PolicyDocument") and '"Resource":"*"' not in record["PolicyDocument"].replace(
        " ", ""
    ):
        yield Loss(
            "PolicyDocument",
            "Its policy limited what could be reached; the target's object store has no such fence.",
            "major",
        )
    yield Disposition(
        "absorbed",
        text(
            "It made {service} reachable privately{kind}; its successor is reached through the router.",
            service=service,
            kind=f" ({record['VpcEndpointType'].lower()})" if record.get("VpcEndpointType") else "",
        ),
        into=vpc or "",
    )


RULE = Rule(
    type="aws.ec2.vpc_endpoint",
    title="VPC endpoint",
    service="vpc_endpoint",
    fetch=Fetch(
        "ec2",
        "describe_vpc_endpoints",
        "VpcEndpoints[]",
        id="VpcEndpointId",
        arn="arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}",
    ),
    translate=translate,
    carried=fields("VpcId ServiceName State VpcEndpointType PolicyDocument"),
    lost={
        "ServiceNetworkArn": Lost("VPC Lattice ends.", "major"),
        "ResourceConfigurationArn": Lost("VPC Lattice ends.", "major"),
    },
    noise=noise(
        id="VpcEndpointId OwnerId NetworkInterfaceIds",
        timestamp="CreationTimestamp",
        internal="RequesterManaged IpAddressType DnsOptions PrivateDnsEnabled PayerResponsibilities Ipv4Prefixes Ipv6Prefixes Tags",
        derived="RouteTableIds SubnetIds Groups DnsEntries LastError FailureReason ServiceRegion",
    ),
    unordered=fields("RouteTableIds SubnetIds NetworkInterfaceIds Groups"),
)
