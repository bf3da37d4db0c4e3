"""An empty AWS -> Brasserie Lumière, 120 people: a shop, an intranet, a data pipeline, a platform, and what was forgotten."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3

MAIN, PARTNER = "111122223333", "444455556666"
WEST, CENTRAL = "eu-west-1", "eu-central-1"
_DATABASE = f"shop-orders.aaaaaaaaaa.{WEST}"
"""How moto names an RDS endpoint; the instance is made after what points at it."""


@dataclass(frozen=True, slots=True)
class Company:
    """What was filled in: where to read it and who works there."""

    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    role_arns: tuple[str, ...]
    people: Mapping[str, tuple[str, str]]
    secrets: tuple[str, ...]
    """Secrets planted in user data, environments and parameters: no output may hold them."""


@dataclass
class _Cloud:
    """Clients of one account, and the little that filling it needs again and again."""

    url: str
    session: boto3.Session
    planted: list[str] = field(default_factory=list)

    def client(self, service: str, region: str) -> Any:
        return self.session.client(service, region_name=region, endpoint_url=self.url)

    @cached_property
    def west(self) -> Any:
        return self.client("ec2", WEST)

    def secret(self) -> str:
        """A secret made for this run, remembered so that tests can look for it."""
        self.planted.append(f"S3cr3t-{secrets.token_urlsafe(18)}")
        return self.planted[-1]

    def tags(self, name: str, app: str = "", **more: str) -> list[dict[str, str]]:
        held = {"Name": name, **({"Application": app} if app else {}), **more}
        return [{"Key": key, "Value": value} for key, value in held.items()]

    def spec(self, kind: str, name: str, app: str = "", **more: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": self.tags(name, app, **more)}]


def fill(url: str) -> Company:
    """Fill the AWS at `url`. Names are the same on every run; ids are moto's."""
    main = _Cloud(url, boto3.Session(region_name=WEST))
    _without_defaults(main, (WEST, CENTRAL))
    shop = _shop_network(main)
    _shop(main, shop)
    _shop_data(main, shop)
    _names(main, shop)
    _intranet(main, shop)
    _pipeline(main)
    _platform(main)
    _identity(main)
    role = _partner(main, url)
    return Company(
        accounts=(MAIN, PARTNER), regions=(CENTRAL, WEST), role_arns=(role,),
        people={
            "owner": ("Claire Fontaine", "claire@lumiere.example"), "operator": ("Jonas Weber", "jonas@lumiere.example"), "network": ("Jonas Weber", "jonas@lumiere.example"),
            "database": ("Ines Duarte", "ines@lumiere.example"), "security": ("Mateusz Lis", "mateusz@lumiere.example"), "approver": ("Claire Fontaine", "+33 1 00 00 00 00"),
            "communication": ("Nora Klein", "nora@lumiere.example"),
        },
        secrets=tuple(main.planted),
    )  # fmt: skip


def _without_defaults(cloud: _Cloud, regions: tuple[str, ...]) -> None:
    """The company removed AWS's default VPCs long ago."""
    for region in regions:
        ec2 = cloud.client("ec2", region)
        for vpc in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]:
            for gateway in ec2.describe_internet_gateways(
                Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
            )["InternetGateways"]:
                ec2.detach_internet_gateway(
                    InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc["VpcId"]
                )
                ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
            for subnet in ec2.describe_subnets(
                Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
            )["Subnets"]:
                ec2.delete_subnet(SubnetId=subnet["SubnetId"])
            ec2.delete_vpc(VpcId=vpc["VpcId"])


@dataclass(slots=True)
class _Net:
    vpc: str
    subnets: dict[str, str]
    groups: dict[str, str]
    image: str = ""


def _network(
    cloud: _Cloud,
    ec2: Any,
    region: str,
    name: str,
    app: str,
    cidr: str,
    subnets: Mapping[str, tuple[str, str]],
    nat: str = "",
) -> _Net:
    """A VPC with subnets by role: `public-*` routed to the internet, `app-*` through NAT, `data-*` isolated."""
    vpc = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=cloud.spec("vpc", name, app))["Vpc"][
        "VpcId"
    ]
    made = {
        role: ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=net,
            AvailabilityZone=f"{region}{zone}",
            TagSpecifications=cloud.spec("subnet", f"{name}-{role}", app),
        )["Subnet"]["SubnetId"]
        for role, (net, zone) in subnets.items()
    }
    gateway = ec2.create_internet_gateway(
        TagSpecifications=cloud.spec("internet-gateway", f"{name}-igw", app)
    )["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public = ec2.create_route_table(
        VpcId=vpc, TagSpecifications=cloud.spec("route-table", f"{name}-public", app)
    )["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=public, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    outbound = ""
    if nat:
        address = ec2.allocate_address(
            Domain="vpc",
            TagSpecifications=cloud.spec(
                "elastic-ip", f"{name}-nat", app, Note="allow-listed by payment partner"
            ),
        )
        held = ec2.create_nat_gateway(
            SubnetId=made[nat],
            AllocationId=address["AllocationId"],
            TagSpecifications=cloud.spec("natgateway", f"{name}-nat", app),
        )["NatGateway"]["NatGatewayId"]
        outbound = ec2.create_route_table(
            VpcId=vpc, TagSpecifications=cloud.spec("route-table", f"{name}-outbound", app)
        )["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=outbound, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=held)
    for role, subnet in made.items():
        if role.startswith("public"):
            ec2.associate_route_table(RouteTableId=public, SubnetId=subnet)
        elif role.startswith("app") and outbound:
            ec2.associate_route_table(RouteTableId=outbound, SubnetId=subnet)
    return _Net(vpc, made, {})


def _group(
    cloud: _Cloud,
    ec2: Any,
    net: _Net,
    name: str,
    app: str,
    says: str,
    rules: list[tuple[str, int, int, str]],
) -> None:
    id_ = ec2.create_security_group(
        GroupName=name,
        Description=says,
        VpcId=net.vpc,
        TagSpecifications=cloud.spec("security-group", name, app),
    )["GroupId"]
    net.groups[name] = id_
    for protocol, first, last, peer in rules:
        permission: dict[str, Any] = {"IpProtocol": protocol, "FromPort": first, "ToPort": last}
        if peer in net.groups:
            permission["UserIdGroupPairs"] = [{"GroupId": net.groups[peer]}]
        elif peer.startswith("pl-"):
            permission["PrefixListIds"] = [{"PrefixListId": peer}]
        else:
            permission["IpRanges"] = [{"CidrIp": peer}]
        ec2.authorize_security_group_ingress(GroupId=id_, IpPermissions=[permission])


def _shop_network(cloud: _Cloud) -> _Net:
    ec2 = cloud.west
    net = _network(
        cloud, ec2, WEST, "shop", "shop", "10.20.0.0/16",
        {"public-a": ("10.20.0.0/24", "a"), "public-b": ("10.20.1.0/24", "b"), "app-a": ("10.20.10.0/24", "a"), "app-b": ("10.20.11.0/24", "b"), "data-a": ("10.20.20.0/24", "a"), "data-b": ("10.20.21.0/24", "b")},
        nat="public-a",
    )  # fmt: skip
    _group(
        cloud,
        ec2,
        net,
        "shop-lb",
        "shop",
        "load balancer",
        [("tcp", 443, 443, "0.0.0.0/0"), ("tcp", 80, 80, "0.0.0.0/0")],
    )
    _group(cloud, ec2, net, "shop-bastion", "shop", "bastion", [("tcp", 22, 22, "0.0.0.0/0")])
    _group(
        cloud,
        ec2,
        net,
        "shop-web",
        "shop",
        "web tier",
        [
            ("tcp", 8080, 8080, "shop-lb"),
            ("tcp", 22, 22, "shop-bastion"),
            ("icmp", 8, -1, "10.20.0.0/16"),
        ],
    )
    _group(
        cloud,
        ec2,
        net,
        "shop-db",
        "shop",
        "databases",
        [("tcp", 5432, 5432, "shop-web"), ("tcp", 3306, 3306, "shop-web")],
    )
    _group(cloud, ec2, net, "shop-cache", "shop", "sessions", [("tcp", 6379, 6379, "shop-web")])
    _group(
        cloud, ec2, net, "shop-search", "shop", "search, 2019", [("tcp", 9200, 9200, "shop-web")]
    )
    acl = ec2.create_network_acl(
        VpcId=net.vpc, TagSpecifications=cloud.spec("network-acl", "shop-data", "shop")
    )["NetworkAcl"]["NetworkAclId"]
    for egress in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=90,
            Protocol="6",
            RuleAction="deny",
            Egress=egress,
            CidrBlock="10.20.1.0/24",
            PortRange={"From": 0, "To": 65535},
        )
        ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=100,
            Protocol="-1",
            RuleAction="allow",
            Egress=egress,
            CidrBlock="10.20.0.0/16",
        )
    held = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])[
        "NetworkAcls"
    ]
    for association in [
        a for each in held for a in each["Associations"] if a["SubnetId"] == net.subnets["data-a"]
    ]:
        ec2.replace_network_acl_association(
            AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
        )
    tables = [
        t["RouteTableId"]
        for t in ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])[
            "RouteTables"
        ]
    ]
    ec2.create_vpc_endpoint(
        VpcId=net.vpc,
        ServiceName=f"com.amazonaws.{WEST}.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=tables[:1],
    )
    net.image = ec2.register_image(
        Name="shop-web-2024-11",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
    )["ImageId"]
    ec2.create_tags(Resources=[net.image], Tags=cloud.tags("shop-web-2024-11", "shop"))
    return net


def _shop(cloud: _Cloud, net: _Net) -> None:
    ec2 = cloud.west
    ec2.create_key_pair(KeyName="operations")
    ec2.create_key_pair(KeyName="left-over")
    iam = cloud.client("iam", WEST)
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "ec2.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )
    iam.create_role(
        RoleName="shop-web",
        AssumeRolePolicyDocument=trust,
        Tags=[{"Key": "Application", "Value": "shop"}],
    )
    iam.put_role_policy(
        RoleName="shop-web",
        PolicyName="assets",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["s3:GetObject", "sqs:SendMessage"],
                        "Resource": "*",
                    }
                ],
            }
        ),
    )
    iam.create_instance_profile(InstanceProfileName="shop-web")
    iam.add_role_to_instance_profile(InstanceProfileName="shop-web", RoleName="shop-web")
    script = f"#!/bin/bash\nexport DB_HOST={_DATABASE}.rds.amazonaws.com\nexport DB_PASSWORD={cloud.secret()}\nexport QUEUE=https://sqs.{WEST}.amazonaws.com/{MAIN}/shop-orders\nexport INVOICES=https://sqs.{WEST}.amazonaws.com/{MAIN}/invoices.fifo\ncurl -s http://169.254.169.254/latest/meta-data/instance-id\naws s3 sync s3://lumiere-shop-assets /var/www\n"
    ec2.create_launch_template(
        LaunchTemplateName="shop-web",
        LaunchTemplateData={
            "ImageId": net.image, "InstanceType": "m5.large", "KeyName": "operations", "SecurityGroupIds": [net.groups["shop-web"]], "UserData": base64.b64encode(script.encode()).decode(),
            "IamInstanceProfile": {"Name": "shop-web"}, "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}}],
        }, TagSpecifications=cloud.spec("launch-template", "shop-web", "shop"),
    )  # fmt: skip
    elb = cloud.client("elbv2", WEST)
    balancer = elb.create_load_balancer(
        Name="shop",
        Subnets=[net.subnets["public-a"], net.subnets["public-b"]],
        SecurityGroups=[net.groups["shop-lb"]],
        Type="application",
        Tags=cloud.tags("shop", "shop"),
    )["LoadBalancers"][0]
    group = elb.create_target_group(
        Name="shop-web",
        Protocol="HTTP",
        Port=8080,
        VpcId=net.vpc,
        HealthCheckPath="/health",
        TargetType="instance",
        Tags=cloud.tags("shop-web", "shop"),
    )["TargetGroups"][0]["TargetGroupArn"]
    admin = elb.create_target_group(
        Name="shop-admin",
        Protocol="HTTP",
        Port=8081,
        VpcId=net.vpc,
        HealthCheckPath="/",
        TargetType="instance",
        Tags=cloud.tags("shop-admin", "shop"),
    )["TargetGroups"][0]["TargetGroupArn"]
    acm = cloud.client("acm", WEST)
    certificate = acm.request_certificate(
        DomainName="shop.lumiere.example",
        ValidationMethod="DNS",
        Tags=[{"Key": "Application", "Value": "shop"}],
    )["CertificateArn"]
    acm.request_certificate(DomainName="old.lumiere.example", ValidationMethod="DNS")
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[
            {
                "Type": "redirect",
                "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
            }
        ],
    )
    secure = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]
    elb.create_rule(
        ListenerArn=secure,
        Priority=10,
        Conditions=[{"Field": "path-pattern", "Values": ["/admin/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": admin}],
    )
    elb.create_rule(
        ListenerArn=secure,
        Priority=20,
        Conditions=[{"Field": "host-header", "Values": ["status.lumiere.example"]}],
        Actions=[
            {
                "Type": "fixed-response",
                "FixedResponseConfig": {
                    "StatusCode": "200",
                    "ContentType": "text/plain",
                    "MessageBody": "ok",
                },
            }
        ],
    )
    auto = cloud.client("autoscaling", WEST)
    auto.create_auto_scaling_group(
        AutoScalingGroupName="shop-web", LaunchTemplate={"LaunchTemplateName": "shop-web", "Version": "$Default"}, MinSize=2, MaxSize=6, DesiredCapacity=3, VPCZoneIdentifier=f"{net.subnets['app-a']},{net.subnets['app-b']}",
        TargetGroupARNs=[group], HealthCheckType="ELB", HealthCheckGracePeriod=120, Tags=[{"Key": "Application", "Value": "shop", "PropagateAtLaunch": True}],
    )  # fmt: skip
    bastion = ec2.run_instances(
        ImageId=net.image, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName="operations", SubnetId=net.subnets["public-a"], SecurityGroupIds=[net.groups["shop-bastion"]], TagSpecifications=cloud.spec("instance", "shop-bastion", "shop"),
    )["Instances"][0]  # fmt: skip
    address = ec2.allocate_address(
        Domain="vpc",
        TagSpecifications=cloud.spec(
            "elastic-ip", "shop-bastion", "shop", Note="allow-listed by the bank"
        ),
    )
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=bastion["InstanceId"])
    worker = ec2.run_instances(
        ImageId=net.image, InstanceType="c5.xlarge", MinCount=1, MaxCount=1, KeyName="operations", SubnetId=net.subnets["app-a"], SecurityGroupIds=[net.groups["shop-web"]], IamInstanceProfile={"Name": "shop-web"},
        UserData=script, TagSpecifications=cloud.spec("instance", "shop-invoices", "invoicing"),
    )["Instances"][0]  # fmt: skip
    data = ec2.create_volume(
        AvailabilityZone=f"{WEST}a",
        Size=200,
        VolumeType="gp3",
        Iops=6000,
        Encrypted=True,
        TagSpecifications=cloud.spec("volume", "shop-invoices-data", "invoicing"),
    )["VolumeId"]
    ec2.attach_volume(VolumeId=data, InstanceId=worker["InstanceId"], Device="/dev/sdf")
    ec2.create_snapshot(
        VolumeId=data,
        Description="before the upgrade of 2024",
        TagSpecifications=cloud.spec("snapshot", "shop-invoices-2024", "invoicing"),
    )
    ec2.create_volume(
        AvailabilityZone=f"{WEST}b",
        Size=500,
        VolumeType="gp2",
        TagSpecifications=cloud.spec("volume", "old-catalogue", "shop"),
    )
    sqs, sns = cloud.client("sqs", WEST), cloud.client("sns", WEST)
    dead = sqs.create_queue(QueueName="shop-orders-dead", tags={"Application": "shop"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sqs.create_queue(
        QueueName="shop-orders",
        Attributes={
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5}),
            "VisibilityTimeout": "60",
        },
        tags={"Application": "shop"},
    )
    sqs.create_queue(
        QueueName="invoices.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
        tags={"Application": "invoicing"},
    )
    topic = sns.create_topic(Name="order-placed", Tags=[{"Key": "Application", "Value": "shop"}])[
        "TopicArn"
    ]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="kitchen@lumiere.example")
    ssm = cloud.client("ssm", WEST)
    ssm.put_parameter(
        Name="/invoicing/orders-queue",
        Value=f"https://sqs.{WEST}.amazonaws.com/{MAIN}/shop-orders",
        Type="String",
        Description="where invoicing fetches orders",
        Tags=[{"Key": "Application", "Value": "invoicing"}],
    )
    ssm.put_parameter(
        Name="/shop/payment-key",
        Value=cloud.secret(),
        Type="SecureString",
        Tags=[{"Key": "Application", "Value": "shop"}],
    )
    vault = cloud.client("secretsmanager", WEST)
    vault.create_secret(
        Name="shop/orders-db",
        SecretString=cloud.secret(),
        Tags=[{"Key": "Application", "Value": "shop"}],
    )
    vault.create_secret(
        Name="invoicing/smtp",
        SecretString=cloud.secret(),
        Tags=[{"Key": "Application", "Value": "invoicing"}],
    )


def _shop_data(cloud: _Cloud, net: _Net) -> None:
    rds = cloud.client("rds", WEST)
    rds.create_db_subnet_group(
        DBSubnetGroupName="shop-data",
        DBSubnetGroupDescription="data",
        SubnetIds=[net.subnets["data-a"], net.subnets["data-b"]],
    )
    rds.create_db_parameter_group(
        DBParameterGroupName="shop-pg11", DBParameterGroupFamily="postgres11", Description="orders"
    )
    common: dict[str, Any] = {
        "DBSubnetGroupName": "shop-data",
        "VpcSecurityGroupIds": [net.groups["shop-db"]],
        "MasterUsername": "shop",
        "MasterUserPassword": cloud.secret(),
    }
    rds.create_db_instance(
        DBInstanceIdentifier="shop-orders",
        DBInstanceClass="db.m5.large",
        Engine="postgres",
        EngineVersion="11.22",
        AllocatedStorage=200,
        StorageType="gp3",
        MultiAZ=True,
        StorageEncrypted=True,
        BackupRetentionPeriod=7,
        DBName="orders",
        DBParameterGroupName="shop-pg11",
        Tags=cloud.tags("shop-orders", "shop"),
        **common,
    )
    rds.create_db_instance(
        DBInstanceIdentifier="shop-blog",
        DBInstanceClass="db.t3.small",
        Engine="mysql",
        EngineVersion="8.0.35",
        AllocatedStorage=20,
        BackupRetentionPeriod=0,
        MultiAZ=False,
        PubliclyAccessible=True,
        Tags=cloud.tags("shop-blog", "blog"),
        **common,
    )
    cache = cloud.client("elasticache", WEST)
    cache.create_cache_subnet_group(
        CacheSubnetGroupName="shop-cache",
        CacheSubnetGroupDescription="sessions",
        SubnetIds=[net.subnets["data-a"], net.subnets["data-b"]],
    )
    cache.create_replication_group(
        ReplicationGroupId="shop-sessions",
        ReplicationGroupDescription="sessions",
        Engine="redis",
        CacheNodeType="cache.t3.medium",
        NumCacheClusters=2,
        CacheSubnetGroupName="shop-cache",
        SecurityGroupIds=[net.groups["shop-cache"]],
        TransitEncryptionEnabled=True,
        Tags=cloud.tags("shop-sessions", "shop"),
    )
    for number in (1, 2):  # AWS lists a group's nodes as clusters; moto makes none
        cache.create_cache_cluster(
            CacheClusterId=f"shop-sessions-00{number}",
            ReplicationGroupId="shop-sessions",
            Engine="redis",
            EngineVersion="7.0",
            CacheNodeType="cache.t3.medium",
            NumCacheNodes=1,
            CacheSubnetGroupName="shop-cache",
            SecurityGroupIds=[net.groups["shop-cache"]],
        )
    kms = cloud.client("kms", WEST)
    key = kms.create_key(
        Description="orders and archives", Tags=[{"TagKey": "Application", "TagValue": "shop"}]
    )["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/lumiere-orders", TargetKeyId=key)
    s3 = cloud.client("s3", WEST)
    where = {"LocationConstraint": WEST}

    def bucket(name: str, app: str, **more: Any) -> None:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=where, **more)
        if app:
            s3.put_bucket_tagging(
                Bucket=name, Tagging={"TagSet": [{"Key": "Application", "Value": app}]}
            )

    bucket("lumiere-shop-assets", "shop")
    s3.put_bucket_cors(
        Bucket="lumiere-shop-assets",
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedMethods": ["GET"],
                    "AllowedOrigins": ["https://shop.lumiere.example"],
                    "ExposeHeaders": ["ETag"],
                }
            ]
        },
    )
    s3.put_bucket_versioning(
        Bucket="lumiere-shop-assets", VersioningConfiguration={"Status": "Enabled"}
    )
    bucket("lumiere-backups", "shop")
    s3.put_bucket_encryption(
        Bucket="lumiere-backups",
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": key,
                    }
                }
            ]
        },
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket="lumiere-backups",
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
                    "Expiration": {"Days": 365},
                }
            ]
        },
    )
    bucket("lumiere-logs", "shop")
    bucket("www.lumiere.example", "website")
    s3.put_bucket_website(
        Bucket="www.lumiere.example",
        WebsiteConfiguration={
            "IndexDocument": {"Suffix": "index.html"},
            "ErrorDocument": {"Key": "404.html"},
        },
    )
    s3.put_bucket_policy(
        Bucket="www.lumiere.example",
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "s3:GetObject",
                        "Resource": "arn:aws:s3:::www.lumiere.example/*",
                    }
                ],
            }
        ),
    )
    bucket("lumiere-suppliers", "shop")
    s3.put_bucket_policy(
        Bucket="lumiere-suppliers",
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": "arn:aws:s3:::lumiere-suppliers/*",
                        "Condition": {"StringEquals": {"aws:SourceVpc": net.vpc}},
                    }
                ],
            }
        ),
    )
    bucket("lumiere-invoices", "invoicing", ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(
        Bucket="lumiere-invoices",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 10}},
        },
    )
    ecr = cloud.client("ecr", WEST)
    for name in ("shop/web", "shop/invoices"):
        ecr.create_repository(
            repositoryName=name,
            tags=[{"Key": "Application", "Value": "shop"}],
            imageScanningConfiguration={"scanOnPush": True},
        )
    efs = cloud.client("efs", WEST)
    files = efs.create_file_system(
        CreationToken="shop-media", Encrypted=True, Tags=cloud.tags("shop-media", "shop")
    )["FileSystemId"]
    for role in ("app-a", "app-b"):
        efs.create_mount_target(
            FileSystemId=files, SubnetId=net.subnets[role], SecurityGroups=[net.groups["shop-web"]]
        )
    logs, watch = cloud.client("logs", WEST), cloud.client("cloudwatch", WEST)
    for name, days in (("/shop/web", 30), ("/shop/audit", 0)):
        logs.create_log_group(logGroupName=name, tags={"Application": "shop"})
        if days:
            logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    for name, space, metric in (
        ("shop-cpu", "AWS/EC2", "CPUUtilization"),
        ("shop-5xx", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
    ):
        watch.put_metric_alarm(
            AlarmName=name,
            Namespace=space,
            MetricName=metric,
            Statistic="Sum",
            Period=300,
            EvaluationPeriods=2,
            Threshold=10,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[f"arn:aws:sns:{WEST}:{MAIN}:order-placed"],
        )
    cloud.client("backup", WEST).create_backup_plan(
        BackupPlan={
            "BackupPlanName": "shop-daily",
            "Rules": [
                {
                    "RuleName": "daily",
                    "TargetBackupVaultName": "Default",
                    "ScheduleExpression": "cron(0 3 * * ? *)",
                }
            ],
        }
    )
    cloud.client("wafv2", WEST).create_web_acl(
        Name="shop",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={
            "SampledRequestsEnabled": True,
            "CloudWatchMetricsEnabled": True,
            "MetricName": "shop",
        },
        Rules=[],
    )


def _names(cloud: _Cloud, net: _Net) -> None:
    dns = cloud.client("route53", WEST)
    zone = dns.create_hosted_zone(Name="lumiere.example", CallerReference="1")["HostedZone"]["Id"]
    private = dns.create_hosted_zone(
        Name="shop.internal",
        CallerReference="2",
        VPC={"VPCRegion": WEST, "VPCId": net.vpc},
        HostedZoneConfig={"PrivateZone": True},
    )["HostedZone"]["Id"]
    elb = cloud.client("elbv2", WEST).describe_load_balancers(Names=["shop"])["LoadBalancers"][0]
    front = cloud.client("cloudfront", WEST).create_distribution(
        DistributionConfig={
            "CallerReference": "1", "Comment": "website", "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [{"Id": "site", "DomainName": f"www.lumiere.example.s3.{WEST}.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}, "CustomHeaders": {"Quantity": 1, "Items": [{"HeaderName": "X-Origin-Secret", "HeaderValue": cloud.secret()}]}}]},
            "DefaultCacheBehavior": {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https", "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}}, "MinTTL": 0, "TrustedSigners": {"Enabled": False, "Quantity": 0}},
        }
    )["Distribution"]["DomainName"]  # fmt: skip

    def record(
        zone_id: str,
        name: str,
        kind: str,
        values: list[str] | None = None,
        ttl: int = 300,
        alias: tuple[str, str] | None = None,
        **more: Any,
    ) -> None:
        held: dict[str, Any] = {"Name": name, "Type": kind, **more}
        if alias:
            held["AliasTarget"] = {
                "HostedZoneId": alias[0],
                "DNSName": alias[1],
                "EvaluateTargetHealth": False,
            }
        else:
            held |= {"TTL": ttl, "ResourceRecords": [{"Value": value} for value in values or []]}
        dns.change_resource_record_sets(
            HostedZoneId=zone_id,
            ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": held}]},
        )

    address = next(
        a["PublicIp"]
        for a in cloud.west.describe_addresses()["Addresses"]
        if any(t["Value"] == "shop-bastion" for t in a["Tags"])
    )
    record(zone, "shop.lumiere.example", "A", alias=(elb["CanonicalHostedZoneId"], elb["DNSName"]))
    record(zone, "www.lumiere.example", "A", alias=("Z2FDTNDATAQYW2", front))
    record(zone, "bastion.lumiere.example", "A", [address], ttl=172800)
    record(zone, "lumiere.example", "MX", ["10 inbound-smtp.eu-west-1.amazonaws.com"], ttl=3600)
    record(
        zone,
        "lumiere.example",
        "TXT",
        [f'"v=spf1 include:amazonses.com ip4:{address} -all"'],
        ttl=3600,
    )
    record(zone, "lumiere.example", "CAA", ['0 issue "amazon.com"'])
    for name, weight in (("blue", 90), ("green", 10)):
        record(
            zone,
            "api.lumiere.example",
            "CNAME",
            [f"{name}.lumiere.example"],
            ttl=60,
            SetIdentifier=name,
            Weight=weight,
        )
    record(
        private,
        "orders.shop.internal",
        "CNAME",
        [f"{_DATABASE}.rds.amazonaws.com"],
        ttl=60,
    )


def _intranet(cloud: _Cloud, shop: _Net) -> None:
    ec2 = cloud.west
    net = _network(
        cloud,
        ec2,
        WEST,
        "intranet",
        "intranet",
        "10.30.0.0/16",
        {"public-a": ("10.30.0.0/24", "a"), "app-a": ("10.30.10.0/24", "a")},
    )
    peering = ec2.create_vpc_peering_connection(
        VpcId=net.vpc,
        PeerVpcId=shop.vpc,
        TagSpecifications=cloud.spec("vpc-peering-connection", "intranet-shop", "intranet"),
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    for vpc, cidr in ((net.vpc, "10.20.0.0/16"), (shop.vpc, "10.30.0.0/16")):
        for table in ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
            "RouteTables"
        ]:
            ec2.create_route(
                RouteTableId=table["RouteTableId"],
                DestinationCidrBlock=cidr,
                VpcPeeringConnectionId=peering,
            )
    offices = ec2.create_managed_prefix_list(
        PrefixListName="offices",
        MaxEntries=5,
        AddressFamily="IPv4",
        Entries=[
            {"Cidr": "198.51.100.0/28", "Description": "Lyon"},
            {"Cidr": "203.0.113.16/28", "Description": "Gent"},
        ],
    )["PrefixList"]["PrefixListId"]
    _stores(cloud, shop, offices)
    _group(
        cloud,
        ec2,
        net,
        "intranet-web",
        "intranet",
        "intranet",
        [
            ("tcp", 443, 443, offices),
            ("tcp", 443, 443, "10.30.0.0/16"),
            ("tcp", 445, 445, "10.30.0.0/16"),
        ],
    )
    options = ec2.create_dhcp_options(
        DhcpConfigurations=[
            {"Key": "domain-name", "Values": ["corp.lumiere.example"]},
            {"Key": "domain-name-servers", "Values": ["10.30.10.53", "AmazonProvidedDNS"]},
        ],
        TagSpecifications=cloud.spec("dhcp-options", "intranet", "intranet"),
    )["DhcpOptions"]["DhcpOptionsId"]
    ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=net.vpc)
    for name, kind, size in (
        ("intranet-wiki", "t4g.medium", 100),
        ("intranet-files", "m5.xlarge", 800),
    ):
        server = ec2.run_instances(
            ImageId=shop.image,
            InstanceType=kind,
            MinCount=1,
            MaxCount=1,
            KeyName="operations",
            SubnetId=net.subnets["app-a"],
            SecurityGroupIds=[net.groups["intranet-web"]],
            TagSpecifications=cloud.spec("instance", name, "intranet", **{"cost/center": "IT"}),
        )["Instances"][0]["InstanceId"]
        volume = ec2.create_volume(
            AvailabilityZone=f"{WEST}a",
            Size=size,
            VolumeType="gp3",
            TagSpecifications=cloud.spec("volume", f"{name}-data", "intranet"),
        )["VolumeId"]
        ec2.attach_volume(VolumeId=volume, InstanceId=server, Device="/dev/sdf")
    cloud.client("elb", WEST).create_load_balancer(
        LoadBalancerName="intranet",
        Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 443, "InstancePort": 443}],
        Subnets=[net.subnets["public-a"]],
        SecurityGroups=[net.groups["intranet-web"]],
        Tags=[{"Key": "Application", "Value": "intranet"}],
    )
    office = ec2.create_customer_gateway(
        Type="ipsec.1",
        PublicIp="203.0.113.20",
        BgpAsn=65010,
        TagSpecifications=cloud.spec("customer-gateway", "office-gent", "intranet"),
    )["CustomerGateway"]["CustomerGatewayId"]
    gateway = ec2.create_vpn_gateway(
        Type="ipsec.1", TagSpecifications=cloud.spec("vpn-gateway", "intranet", "intranet")
    )["VpnGateway"]["VpnGatewayId"]
    ec2.create_vpn_connection(
        Type="ipsec.1",
        CustomerGatewayId=office,
        VpnGatewayId=gateway,
        Options={"StaticRoutesOnly": True},
        TagSpecifications=cloud.spec("vpn-connection", "office-gent", "intranet"),
    )


def _stores(cloud: _Cloud, shop: _Net, offices: str) -> None:
    """Where the tills of the restaurants call in; offices maintain it, and the bastion of the shop too."""
    ec2 = cloud.west
    net = _network(
        cloud,
        ec2,
        WEST,
        "stores",
        "stores",
        "10.60.0.0/16",
        {"public-a": ("10.60.0.0/24", "a"), "app-a": ("10.60.10.0/24", "a")},
    )
    _group(
        cloud, ec2, net, "stores-gateway", "stores", "till gateway", [("tcp", 8443, 8443, offices)]
    )
    _group(cloud, ec2, shop, "shop-admin", "shop", "back office", [("tcp", 9443, 9443, offices)])
    script = (
        f"#!/bin/sh\nexport TILLS=arn:aws:dynamodb:{CENTRAL}:{MAIN}:table/tills\n/opt/gateway/run\n"
    )
    ec2.run_instances(
        ImageId=shop.image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        KeyName="operations",
        SubnetId=net.subnets["app-a"],
        SecurityGroupIds=[net.groups["stores-gateway"]],
        UserData=script,
        TagSpecifications=cloud.spec("instance", "stores-gateway", "stores"),
    )


def _zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return event\n")
    return held.getvalue()


def _pipeline(cloud: _Cloud) -> None:
    ec2 = cloud.client("ec2", CENTRAL)
    _network(
        cloud,
        ec2,
        CENTRAL,
        "pipeline",
        "pipeline",
        "10.20.0.0/16",
        {
            "public-a": ("10.20.0.0/24", "a"),
            "app-a": ("10.20.10.0/24", "a"),
            "app-b": ("10.20.11.0/24", "b"),
        },
        nat="public-a",
    )
    iam = cloud.client("iam", CENTRAL)
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {
                        "Service": [
                            "lambda.amazonaws.com",
                            "states.amazonaws.com",
                            "eks.amazonaws.com",
                            "ecs-tasks.amazonaws.com",
                        ]
                    },
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )
    role = iam.create_role(
        RoleName="pipeline",
        AssumeRolePolicyDocument=trust,
        Tags=[{"Key": "Application", "Value": "pipeline"}],
    )["Role"]["Arn"]
    sqs = cloud.client("sqs", CENTRAL)
    queue = sqs.create_queue(QueueName="sales-events", tags={"app": "pipeline"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    functions = cloud.client("lambda", CENTRAL)
    made = {}
    for name, memory in (("collect-sales", 256), ("clean-sales", 512), ("report-sales", 1024)):
        made[name] = functions.create_function(
            FunctionName=name, Runtime="python3.12", Role=role, Handler="main.handler", Code={"ZipFile": _zip()}, MemorySize=memory, Timeout=60, Tags={"app": "pipeline"},
            Environment={"Variables": {"QUEUE_URL": f"https://sqs.{CENTRAL}.amazonaws.com/{MAIN}/sales-events", "TABLE": "sales", "API_TOKEN": cloud.secret(), "SHOP_API": "https://api.lumiere.example"}},
        )["FunctionArn"]  # fmt: skip
    functions.create_event_source_mapping(
        EventSourceArn=arn, FunctionName="clean-sales", BatchSize=10
    )
    dynamo = cloud.client("dynamodb", CENTRAL)
    for name, stream in (("sales", True), ("tills", False)):
        dynamo.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={
                "StreamEnabled": stream,
                **({"StreamViewType": "NEW_IMAGE"} if stream else {}),
            },
            Tags=[{"Key": "app", "Value": "pipeline"}],
        )
    cloud.client("kinesis", CENTRAL).create_stream(StreamName="till-events", ShardCount=2)
    cloud.client("stepfunctions", CENTRAL).create_state_machine(
        name="nightly-sales",
        roleArn=role,
        definition=json.dumps(
            {
                "StartAt": "Clean",
                "States": {
                    "Clean": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::lambda:invoke",
                        "Parameters": {"FunctionName": made["clean-sales"]},
                        "Next": "Report",
                    },
                    "Report": {"Type": "Task", "Resource": made["report-sales"], "End": True},
                },
            }
        ),
        tags=[{"key": "app", "value": "pipeline"}],
    )
    events = cloud.client("events", CENTRAL)
    events.put_rule(Name="nightly", ScheduleExpression="cron(0 2 * * ? *)", State="ENABLED")
    events.put_targets(Rule="nightly", Targets=[{"Id": "1", "Arn": made["collect-sales"]}])
    events.put_rule(
        Name="instance-stopped",
        EventPattern=json.dumps(
            {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]}
        ),
        State="ENABLED",
    )
    events.put_targets(Rule="instance-stopped", Targets=[{"Id": "1", "Arn": made["report-sales"]}])
    api = cloud.client("apigateway", CENTRAL)
    api.create_rest_api(name="sales-api", description="for the tills", tags={"app": "pipeline"})
    cloud.client("opensearch", CENTRAL).create_domain(
        DomainName="sales-search",
        EngineVersion="OpenSearch_2.11",
        ClusterConfig={"InstanceType": "m5.large.search", "InstanceCount": 2},
        EBSOptions={"EBSEnabled": True, "VolumeType": "gp3", "VolumeSize": 100},
        TagList=[{"Key": "app", "Value": "pipeline"}],
    )
    cloud.client("s3", CENTRAL).create_bucket(
        Bucket="lumiere-sales-lake", CreateBucketConfiguration={"LocationConstraint": CENTRAL}
    )
    cloud.client("s3", CENTRAL).put_bucket_tagging(
        Bucket="lumiere-sales-lake", Tagging={"TagSet": [{"Key": "app", "Value": "pipeline"}]}
    )
    cloud.client("s3", CENTRAL).put_bucket_notification_configuration(
        Bucket="lumiere-sales-lake",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": made["collect-sales"], "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    hub = ec2.create_transit_gateway(
        Description="between the regions",
        TagSpecifications=cloud.spec("transit-gateway", "hub", "network"),
    )["TransitGateway"]["TransitGatewayId"]
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]
    ec2.create_transit_gateway_vpc_attachment(
        TransitGatewayId=hub, VpcId=vpc, SubnetIds=subnets[:1]
    )


def _platform(cloud: _Cloud) -> None:
    ec2 = cloud.client("ec2", CENTRAL)
    net = _network(
        cloud,
        ec2,
        CENTRAL,
        "platform",
        "platform",
        "10.40.0.0/16",
        {
            "public-a": ("10.40.0.0/24", "a"),
            "app-a": ("10.40.10.0/24", "a"),
            "app-b": ("10.40.11.0/24", "b"),
        },
        nat="public-a",
    )
    _group(
        cloud,
        ec2,
        net,
        "platform-nodes",
        "platform",
        "nodes",
        [("tcp", 30000, 32767, "10.40.0.0/16")],
    )
    role = cloud.client("iam", CENTRAL).get_role(RoleName="pipeline")["Role"]["Arn"]
    eks = cloud.client("eks", CENTRAL)
    eks.create_cluster(
        name="platform",
        version="1.29",
        roleArn=role,
        resourcesVpcConfig={
            "subnetIds": [net.subnets["app-a"], net.subnets["app-b"]],
            "endpointPublicAccess": True,
        },
        tags={"service": "platform"},
    )
    eks.create_nodegroup(
        clusterName="platform",
        nodegroupName="workers",
        nodeRole=role,
        subnets=[net.subnets["app-a"]],
        instanceTypes=["m5.large"],
        scalingConfig={"minSize": 2, "maxSize": 5, "desiredSize": 3},
        capacityType="SPOT",
        tags={"service": "platform"},
    )
    ecs = cloud.client("ecs", CENTRAL)
    ecs.create_cluster(
        clusterName="reservations", tags=[{"key": "service", "value": "reservations"}]
    )
    ecs.register_task_definition(
        family="reservations",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="512",
        memory="1024",
        containerDefinitions=[
            {
                "name": "api",
                "image": f"{MAIN}.dkr.ecr.{WEST}.amazonaws.com/shop/web:7",
                "portMappings": [{"containerPort": 8080}],
                "environment": [
                    {"name": "ORDERS_URL", "value": "https://shop.lumiere.example/orders"},
                    {"name": "DB_PASSWORD", "value": cloud.secret()},
                ],
            }
        ],
        tags=[{"key": "service", "value": "reservations"}],
    )
    ecs.create_service(
        cluster="reservations",
        serviceName="reservations",
        taskDefinition="reservations",
        desiredCount=2,
        launchType="FARGATE",
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": [net.subnets["app-a"]],
                "securityGroups": [net.groups["platform-nodes"]],
                "assignPublicIp": "DISABLED",
            }
        },
        tags=[{"key": "service", "value": "reservations"}],
    )
    cloud.client("cloudformation", CENTRAL).create_stack(
        StackName="menu-board",
        TemplateBody=json.dumps({"Resources": {
            "Menus": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "lumiere-menus"}},
            "Changes": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "menu-changes"}},
            "Notice": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "menu-published"}},
        }}),
    )  # fmt: skip


def _identity(cloud: _Cloud) -> None:
    iam = cloud.client("iam", WEST)
    everything = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
    )
    admin = iam.create_policy(PolicyName="AdministratorAccess", PolicyDocument=everything)[
        "Policy"
    ]["Arn"]
    iam.create_group(GroupName="operations")
    iam.attach_group_policy(GroupName="operations", PolicyArn=admin)
    for name in ("ines", "jonas", "mateusz"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="operations", UserName=name)
    iam.create_user(UserName="ci-deploy")
    iam.attach_user_policy(UserName="ci-deploy", PolicyArn=admin)
    iam.create_policy(
        PolicyName="read-menus",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "s3:GetObject",
                        "Resource": "arn:aws:s3:::lumiere-menus/*",
                    }
                ],
            }
        ),
    )
    iam.create_open_id_connect_provider(
        Url="https://gitlab.lumiere.example",
        ClientIDList=["https://gitlab.lumiere.example"],
        ThumbprintList=["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
    )
    auditor = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::777788889999:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )
    iam.create_role(RoleName="external-audit", AssumeRolePolicyDocument=auditor)
    cognito = cloud.client("cognito-idp", WEST)
    pool = cognito.create_user_pool(
        PoolName="customers", MfaConfiguration="OFF", UserPoolTags={"Application": "shop"}
    )["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="web", GenerateSecret=True)
    cloud.client("sesv2", WEST).create_email_identity(EmailIdentity="lumiere.example")


def _partner(cloud: _Cloud, url: str) -> str:
    """The second account: backups, a catalogue in Aurora, and a machine that nobody remembers."""
    orgs = cloud.client("organizations", "us-east-1")
    orgs.create_organization(FeatureSet="ALL")
    orgs.create_account(Email="archive@lumiere.example", AccountName="archive")
    role = f"arn:aws:iam::{PARTNER}:role/repatria-read"
    held = cloud.client("sts", WEST).assume_role(RoleArn=role, RoleSessionName="demo")[
        "Credentials"
    ]
    other = _Cloud(
        url,
        boto3.Session(
            aws_access_key_id=held["AccessKeyId"],
            aws_secret_access_key=held["SecretAccessKey"],
            aws_session_token=held["SessionToken"],
            region_name=CENTRAL,
        ),
    )
    _without_defaults(other, (WEST, CENTRAL))
    ec2 = other.client("ec2", CENTRAL)
    net = _network(
        other,
        ec2,
        CENTRAL,
        "archive",
        "archive",
        "10.50.0.0/16",
        {
            "public-a": ("10.50.0.0/24", "a"),
            "data-a": ("10.50.20.0/24", "a"),
            "data-b": ("10.50.21.0/24", "b"),
        },
    )
    _group(
        other, ec2, net, "archive-db", "archive", "catalogue", [("tcp", 5432, 5432, "10.50.0.0/16")]
    )
    _group(other, ec2, net, "legacy", "", "opened once for a test", [("-1", -1, -1, "0.0.0.0/0")])
    image = ec2.register_image(
        Name="legacy-2016", Architecture="x86_64", RootDeviceName="/dev/sda1"
    )["ImageId"]
    old = ec2.run_instances(
        ImageId=image,
        InstanceType="t2.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=net.subnets["public-a"],
        SecurityGroupIds=[net.groups["legacy"]],
        TagSpecifications=other.spec("instance", "legacy-till-sync", "legacy"),
    )["Instances"][0]["InstanceId"]
    ec2.stop_instances(InstanceIds=[old])
    ec2.create_volume(
        AvailabilityZone=f"{CENTRAL}a",
        Size=50,
        VolumeType="standard",
        TagSpecifications=other.spec("volume", "legacy-till-data", "legacy"),
    )
    ec2.allocate_address(
        Domain="vpc", TagSpecifications=other.spec("elastic-ip", "legacy-till", "legacy")
    )
    s3 = other.client("s3", CENTRAL)
    for name in ("lumiere-archive-2019", "lumiere-archive-2020", "lumiere-photos"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": CENTRAL})
    s3.put_bucket_acl(Bucket="lumiere-photos", ACL="public-read")
    rds = other.client("rds", CENTRAL)
    rds.create_db_subnet_group(
        DBSubnetGroupName="archive",
        DBSubnetGroupDescription="archive",
        SubnetIds=[net.subnets["data-a"], net.subnets["data-b"]],
    )
    rds.create_db_cluster(
        DBClusterIdentifier="catalogue",
        Engine="aurora-postgresql",
        EngineVersion="13.9",
        MasterUsername="catalogue",
        MasterUserPassword=cloud.secret(),
        DBSubnetGroupName="archive",
        VpcSecurityGroupIds=[net.groups["archive-db"]],
        Tags=other.tags("catalogue", "archive"),
    )
    rds.create_db_instance(
        DBInstanceIdentifier="catalogue-1",
        DBClusterIdentifier="catalogue",
        DBInstanceClass="db.r5.large",
        Engine="aurora-postgresql",
    )
    watch = other.client("cloudwatch", CENTRAL)
    now = dt.datetime.now(dt.UTC)
    for name, size, count in (
        ("lumiere-archive-2019", 812e9, 120000.0),
        ("lumiere-archive-2020", 0.0, 0.0),
    ):
        for metric, value, kind in (
            ("BucketSizeBytes", size, "StandardStorage"),
            ("NumberOfObjects", count, "AllStorageTypes"),
        ):
            watch.put_metric_data(
                Namespace="AWS/S3",
                MetricData=[
                    {
                        "MetricName": metric,
                        "Dimensions": [
                            {"Name": "BucketName", "Value": name},
                            {"Name": "StorageType", "Value": kind},
                        ],
                        "Value": value,
                        "Timestamp": now - dt.timedelta(days=2),
                    }
                ],
            )
    return role
