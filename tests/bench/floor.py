"""What is in an AWS -> the least number of calls that sees it all; knows AWS's API and none of our rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import boto3
import jmespath
from botocore.config import Config

from tests.bench.aws import REGIONS


@dataclass(frozen=True)
class Listing:
    """One list call: where its records stand, its largest page, and the calls that each record needs besides.

    `each` counts detail calls per record for which AWS has no batch form; `many` the size of a
    batch where it has one. `below` lists children, which AWS gives only parent by parent.
    """

    service: str
    operation: str
    path: str
    size: int = 0
    each: int = 0
    many: int = 0
    params: tuple[tuple[str, Any], ...] = ()
    below: tuple[tuple[str, str, str, str], ...] = ()
    """(operation, request member, member of the parent, path to the children), one level or two."""
    sized: int = 0
    """Further list calls in batch form (all subscriptions, all aliases), each for this many records."""


def ec2(operation: str, path: str, each: int = 0, **params: Any) -> Listing:
    return Listing("ec2", operation, path, 0, each, params=tuple(params.items()))


LISTINGS = (
    # user data and the entries of prefix lists are asked for one by one; a default version of every template in one call
    ec2("describe_instances", "Reservations[].Instances[]", 1), ec2("describe_volumes", "Volumes"), ec2("describe_network_interfaces", "NetworkInterfaces"),
    ec2("describe_security_groups", "SecurityGroups"), ec2("describe_subnets", "Subnets"), ec2("describe_vpcs", "Vpcs"), ec2("describe_route_tables", "RouteTables"),
    ec2("describe_network_acls", "NetworkAcls"), ec2("describe_internet_gateways", "InternetGateways"), ec2("describe_nat_gateways", "NatGateways"), ec2("describe_addresses", "Addresses"),
    ec2("describe_images", "Images", Owners=["self"]), ec2("describe_snapshots", "Snapshots", OwnerIds=["self"]), ec2("describe_key_pairs", "KeyPairs"), ec2("describe_dhcp_options", "DhcpOptions"),
    ec2("describe_customer_gateways", "CustomerGateways"), ec2("describe_vpn_connections", "VpnConnections"), ec2("describe_vpc_endpoints", "VpcEndpoints"),
    ec2("describe_vpc_peering_connections", "VpcPeeringConnections"), ec2("describe_transit_gateways", "TransitGateways"), ec2("describe_transit_gateway_attachments", "TransitGatewayAttachments"),
    ec2("describe_managed_prefix_lists", "PrefixLists", 1), Listing("ec2", "describe_launch_templates", "LaunchTemplates", many=200),
    Listing("s3", "list_buckets", "Buckets", each=13),  # the region comes with the list
    Listing("sqs", "list_queues", "QueueUrls", 1000, each=2), Listing("sns", "list_topics", "Topics", each=2, sized=100),
    Listing("ssm", "describe_parameters", "Parameters", 50), Listing("logs", "describe_log_groups", "logGroups", 50),
    Listing("cloudwatch", "describe_alarms", "MetricAlarms", 100), Listing("secretsmanager", "list_secrets", "SecretList", 100),
    Listing("dynamodb", "list_tables", "TableNames", 100, each=3), Listing("kms", "list_keys", "Keys", 1000, each=3, sized=100),
    Listing("events", "list_rules", "Rules", 100, each=1), Listing("ecr", "describe_repositories", "repositories", 1000, each=3), Listing("acm", "list_certificates", "CertificateSummaryList", 1000, each=2),
    Listing("rds", "describe_db_instances", "DBInstances", 100), Listing("rds", "describe_db_clusters", "DBClusters", 100), Listing("rds", "describe_db_subnet_groups", "DBSubnetGroups", 100),
    Listing("rds", "describe_db_parameter_groups", "DBParameterGroups", 100, each=1),
    Listing("elbv2", "describe_load_balancers", "LoadBalancers", 400, each=1, many=20, below=(("describe_listeners", "LoadBalancerArn", "LoadBalancerArn", "Listeners"), ("describe_rules", "ListenerArn", "ListenerArn", "Rules"))),
    Listing("elbv2", "describe_target_groups", "TargetGroups", 400, each=2, many=20), Listing("elb", "describe_load_balancers", "LoadBalancerDescriptions", 400),
    # users, groups, roles and own policies come together
    Listing("iam", "get_account_authorization_details", "[UserDetailList,GroupDetailList,RoleDetailList,Policies][]", 1000, params=(("Filter", ["User", "Group", "Role", "LocalManagedPolicy"]),)),
    Listing("iam", "list_instance_profiles", "InstanceProfiles", 1000), Listing("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList"), Listing("iam", "list_saml_providers", "SAMLProviderList"),
    Listing("route53", "list_hosted_zones", "HostedZones", 100, each=1, below=(("list_resource_record_sets", "HostedZoneId", "Id", "ResourceRecordSets"),)),
    Listing("organizations", "list_accounts", "Accounts"), Listing("cloudfront", "list_distributions", "DistributionList.Items"),
    *(Listing(service, operation, path, params=params) for service, operation, path, params in (
        ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", ()), ("apigateway", "get_rest_apis", "items", ()), ("apigatewayv2", "get_apis", "Items", ()), ("backup", "list_backup_plans", "BackupPlansList", ()),
        ("cloudformation", "describe_stacks", "Stacks", ()), ("cognito-idp", "list_user_pools", "UserPools", (("MaxResults", 60),)), ("ecs", "list_clusters", "clusterArns", ()), ("ecs", "list_task_definitions", "taskDefinitionArns", ()),
        ("efs", "describe_file_systems", "FileSystems", ()), ("eks", "list_clusters", "clusters", ()), ("elasticache", "describe_cache_clusters", "CacheClusters", ()),
        ("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups", ()), ("elasticache", "describe_replication_groups", "ReplicationGroups", ()), ("kinesis", "list_streams", "StreamNames", ()),
        ("lambda", "list_functions", "Functions", ()), ("opensearch", "list_domain_names", "DomainNames", ()), ("sesv2", "list_email_identities", "EmailIdentities", ()),
        ("stepfunctions", "list_state_machines", "stateMachines", ()), ("wafv2", "list_web_acls", "WebACLs", (("Scope", "REGIONAL"),)), ("workmail", "list_organizations", "OrganizationSummaries", ()),
    )),
)  # fmt: skip
_EVERYWHERE = ("iam", "s3", "route53", "organizations", "cloudfront")


@dataclass(frozen=True)
class Floor:
    """Least calls per `service region` (names as requests are signed for), and the records seen."""

    calls: Counter[str]
    records: Counter[str]


def floor(url: str, regions: Iterable[str] = tuple(REGIONS), only: frozenset[str] = frozenset()) -> Floor:  # fmt: skip
    """List everything in the AWS at `url` by the largest pages, count, and add what details need.

    With `only`, services; what no list call names (the tagging API, Resource Explorer) counts
    where everything is read.
    """
    session = boto3.Session(aws_access_key_id="bench", aws_secret_access_key="bench", region_name="us-east-1")  # fmt: skip
    calls: Counter[str] = Counter({"sts us-east-1": 1})
    records: Counter[str] = Counter()
    for listing in LISTINGS:
        if only and listing.service not in only:
            continue
        for region in ("us-east-1",) if listing.service in _EVERYWHERE else regions:
            client = session.client(listing.service, region_name=region, endpoint_url=url, config=Config(retries={"max_attempts": 1}))  # fmt: skip
            name = f"{client.meta.service_model.signing_name} {region}"
            pages, found = _pages(client, listing.operation, listing.path, listing.size, dict(listing.params))  # fmt: skip
            calls[name] += pages + len(found) * listing.each
            for batch in (listing.many, listing.sized):
                calls[name] += -(-len(found) // batch) if batch else 0
            records[f"{listing.service} {listing.operation}"] += len(found)
            for operation, member, of, path in listing.below:
                children: list[Any] = []
                for parent in found:
                    pages, below = _pages(client, operation, path, 0, {member: parent[of]})
                    calls[name] += pages
                    children += below
                records[f"{listing.service} {operation}"] += len(children)
                found = children
    if not only:
        for region in regions:
            tagging = session.client("resourcegroupstaggingapi", region_name=region, endpoint_url=url)  # fmt: skip
            calls[f"tagging {region}"] += _pages(tagging, "get_resources", "ResourceTagMappingList", 100, {})[0]  # fmt: skip
            calls[f"resource-explorer-2 {region}"] += 1
            calls[f"config {region}"] += 1  # whether AWS Config records there
    return Floor(calls, records)


def _pages(client: Any, operation: str, path: str, size: int, params: dict[str, Any]) -> tuple[int, list[Any]]:  # fmt: skip
    """(pages, records) of a list call."""
    expression = jmespath.compile(path)
    if not client.can_paginate(operation):
        return 1, list(expression.search(getattr(client, operation)(**params)) or [])
    config = {"PageSize": size} if size else {}
    found: list[Any] = []
    pages = 0
    for page in client.get_paginator(operation).paginate(PaginationConfig=config, **params):
        pages += 1
        found += expression.search(page) or []
    return max(1, pages), found


def seconds(calls: Counter[str], latency: float, rate: float) -> float:
    """The least wall time of so many calls: each service and region at its rate after a first burst, side by side."""
    return max(latency + max(0.0, count - rate) / rate for count in calls.values())
