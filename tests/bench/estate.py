"""A number -> that many believable records in the shape of `estate.jsonl`; the same ones every time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.estate.model import Gap, Resource
from toolkit.workspace import ESTATE, write_estate

REGIONS = ("eu-west-1", "eu-central-1")
APPLICATIONS_PER_ACCOUNT = 40
SERVERS = 12
_TIERS = ("web", "app", "data", "bastion")
_SIZES = ("t3.medium", "m5.large", "c5.xlarge", "r5.large")
_WHEN = "2026-01-01T00:00:00+00:00"


def generate(count: int) -> list[Resource]:
    """`count` resources of as many whole applications as fit; parameters fill up the rest."""
    out: list[Resource] = []
    number = 0
    while True:
        block = list(_Application(number).resources())
        if len(out) + len(block) > count:
            break
        out += block
        number += 1
    rest = _Application(number)
    out += [rest.parameter(f"spare-{n:04}") for n in range(count - len(out))]
    return out


def write(folder: Path, count: int) -> int:
    """Write the estate of `count` resources into a workspace; returns how many there are."""
    resources = generate(count)
    accounts = sorted({each.account for each in resources})
    gap = Gap("glue", "get_jobs", accounts[0], REGIONS[0], "no-rule", "job", 3)
    write_estate(
        folder / ESTATE,
        {
            "source": {"partition": "aws", "accounts": accounts, "regions": sorted(REGIONS)},
            "partition": "aws",
            "types": sorted({each.type for each in resources}),
            "repatria": "bench",
        },
        [*(each.line() for each in resources), gap.line()],
    )
    return len(resources)


@dataclass(frozen=True)
class _Application:
    """One application in a VPC of its own: some hundred resources that refer to each other."""

    number: int

    @property
    def name(self) -> str:
        return f"app{self.number:04}"

    @property
    def account(self) -> str:
        return f"{100000000000 + self.number // APPLICATIONS_PER_ACCOUNT:012}"

    @property
    def region(self) -> str:
        return REGIONS[self.number % len(REGIONS)]

    def ip(self, third: int, last: object = 0) -> str:
        """An address in the application's own /20; the third byte counts from its beginning."""
        return f"10.{self.number // 16 % 256}.{self.number % 16 * 16 + third}.{last}"

    @property
    def cidr(self) -> str:
        return f"{self.ip(0)}/20"

    def id(self, kind: str, what: object = "") -> str:
        """An id like AWS's, the same for the same words."""
        digest = hashlib.sha256(f"{self.number} {kind} {what}".encode()).hexdigest()
        return f"{kind}-{digest[:17]}"

    def arn(self, service: str, path: str, region: str | None = None) -> str:
        return (
            f"arn:aws:{service}:{self.region if region is None else region}:{self.account}:{path}"
        )

    def tags(self, name: str) -> list[dict[str, str]]:
        return [{"Key": "Name", "Value": name}, {"Key": "Application", "Value": self.name}]

    def make(
        self, type_: str, id_: str, record: dict[str, Any], name: str = "", arn: str = "", *, tagged: bool = True, region: str = ""
    ) -> Resource:  # fmt: skip
        tags = {"Name": name, "Application": self.name} if tagged and name else {}
        return Resource(
            type_, id_, arn, self.account, region or self.region, name or id_, tags, record
        )

    def ec2(
        self, noun: str, kind: str, member: str, what: str, record: dict[str, Any], tags: str = "Tags"
    ) -> Resource:  # fmt: skip
        id_ = self.id(kind, what)
        name = f"{self.name}-{what}" if what else self.name
        return self.make(
            f"aws.ec2.{noun}",
            id_,
            {member: id_, **record, tags: self.tags(name)},
            name,
            self.arn("ec2", f"{noun.replace('_', '-')}/{id_}"),
        )

    # ----------------------------------------------------------------------------------- contents

    def resources(self) -> Iterator[Resource]:
        yield from self.network()
        yield from self.groups()
        yield from self.servers()
        yield from self.entry()
        yield from self.data()
        yield from self.names()
        yield from self.messages()

    def network(self) -> Iterator[Resource]:
        vpc = self.id("vpc")
        yield self.ec2("vpc", "vpc", "VpcId", "", {
            "CidrBlock": self.cidr, "DhcpOptionsId": "default", "InstanceTenancy": "default", "IsDefault": False, "OwnerId": self.account,
            "State": "available", "CidrBlockAssociationSet": [{"AssociationId": self.id("vpc-cidr-assoc"), "CidrBlock": self.cidr, "CidrBlockState": {"State": "associated"}}],
        })  # fmt: skip
        yield self.ec2("internet_gateway", "igw", "InternetGatewayId", "igw", {
            "Attachments": [{"State": "available", "VpcId": vpc}], "OwnerId": self.account,
        })  # fmt: skip
        for n, side in enumerate(("public-a", "public-b", "private-a", "private-b")):
            yield self.ec2("subnet", "subnet", "SubnetId", side, {
                "AvailabilityZone": f"{self.region}{side[-1]}", "CidrBlock": f"{self.ip(n)}/24", "VpcId": vpc, "OwnerId": self.account,
                "State": "available", "MapPublicIpOnLaunch": False, "DefaultForAz": False, "AssignIpv6AddressOnCreation": False,
            })  # fmt: skip
        local = {"DestinationCidrBlock": self.cidr, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}  # fmt: skip
        out = {"DestinationCidrBlock": "0.0.0.0/0", "Origin": "CreateRoute", "State": "active"}
        for side, route in (
            ("main", {}),
            ("public", {"GatewayId": self.id("igw", "igw")}),
            ("private", {"NatGatewayId": self.id("nat", "nat")}),
        ):
            table = self.id("rtb", side)
            yield self.ec2("route_table", "rtb", "RouteTableId", side, {
                "VpcId": vpc, "OwnerId": self.account, "Routes": [local, *([{**out, **route}] if route else [])],
                "Associations": [{"Main": True, "RouteTableId": table}] if side == "main" else [
                    {"Main": False, "RouteTableId": table, "SubnetId": self.id("subnet", f"{side}-{zone}"), "AssociationState": {"State": "associated"}} for zone in "ab"
                ],
            })  # fmt: skip
        entry = {"CidrBlock": "0.0.0.0/0", "Protocol": "-1"}
        yield self.ec2("network_acl", "acl", "NetworkAclId", "acl", {
            "VpcId": vpc, "OwnerId": self.account, "IsDefault": True, "Associations": [],
            "Entries": [
                {**entry, "Egress": way, "RuleAction": what, "RuleNumber": number}
                for way in (False, True) for what, number in (("allow", 100), ("deny", 32767))
            ],
        })  # fmt: skip
        yield self.ec2("nat_gateway", "nat", "NatGatewayId", "nat", {
            "State": "available", "SubnetId": self.id("subnet", "public-a"), "VpcId": vpc, "CreateTime": _WHEN,
            "NatGatewayAddresses": [{"AllocationId": self.id("eipalloc", "nat-ip"), "PublicIp": self.address(1), "PrivateIp": self.ip(0, 9)}],
        })  # fmt: skip
        yield self.ec2("address", "eipalloc", "AllocationId", "nat-ip", {
            "Domain": "vpc", "PublicIp": self.address(1), "AssociationId": self.id("eipassoc", "nat"),
        })  # fmt: skip
        yield self.ec2("address", "eipalloc", "AllocationId", "bastion-ip", {
            "Domain": "vpc", "PublicIp": self.address(2), "InstanceId": self.id("i", "bastion-00"), "NetworkInterfaceId": self.id("eni", "bastion-00"),
            "AssociationId": self.id("eipassoc", "bastion"), "PrivateIpAddress": self.ip(0, 10),
        })  # fmt: skip

    def address(self, n: int) -> str:
        """A public address from the ranges for benchmarks (RFC 2544)."""
        return f"198.18.{self.number // 64 % 256}.{self.number % 64 * 4 + n}"

    def groups(self) -> Iterator[Resource]:
        def opened(port: int, *sources: str) -> dict[str, Any]:
            cidrs = [{"CidrIp": each} for each in sources if "/" in each]
            pairs = [
                {"GroupId": self.id("sg", each), "UserId": self.account}
                for each in sources
                if "/" not in each
            ]
            return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": cidrs, "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": pairs}  # fmt: skip

        rules = {
            "balancer": [opened(443, "0.0.0.0/0"), opened(80, "0.0.0.0/0")],
            "web": [opened(8080, "balancer"), opened(22, "bastion")],
            "app": [opened(9000, "web"), opened(9001, "web", "app"), opened(22, "bastion")],
            "data": [opened(5432, "app"), opened(6379, "app", "web"), opened(22, "bastion")],
            "bastion": [opened(22, "203.0.113.0/28")],
            "unused": [opened(3306, self.cidr)],
        }
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}  # fmt: skip
        for tier, permissions in rules.items():
            yield self.ec2("security_group", "sg", "GroupId", tier, {
                "GroupName": f"{self.name}-{tier}", "Description": f"{tier} tier", "OwnerId": self.account, "VpcId": self.id("vpc"),
                "IpPermissions": permissions, "IpPermissionsEgress": [everything],
            })  # fmt: skip

    def servers(self) -> Iterator[Resource]:
        yield self.make("aws.ec2.key_pair", f"{self.name}-key", {
            "KeyName": f"{self.name}-key", "KeyPairId": self.id("key"), "KeyType": "rsa", "CreateTime": _WHEN, "Tags": [],
        }, arn=self.arn("ec2", f"key-pair/{self.name}-key"))  # fmt: skip
        yield self.ec2("image", "ami", "ImageId", "image", {
            "Name": f"{self.name}-ubuntu-24.04", "OwnerId": self.account, "State": "available", "Public": False, "ImageType": "machine", "RootDeviceName": "/dev/sda1",
            "RootDeviceType": "ebs", "CreationDate": _WHEN, "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": self.id("snap", "image"), "VolumeSize": 20}}],
        })  # fmt: skip
        for what, volume in (("image", "none"), ("kept", "data-00-data"), ("old", "gone")):
            yield self.ec2("snapshot", "snap", "SnapshotId", what, {
                "VolumeId": self.id("vol", volume), "VolumeSize": 20, "Description": what, "State": "completed", "StorageTier": "standard", "OwnerId": self.account, "StartTime": _WHEN,
            })  # fmt: skip
        for n in range(SERVERS):
            tier = _TIERS[0 if n < 5 else 1 if n < 8 else 2 if n < 11 else 3]
            yield from self.server(
                tier, n - {"web": 0, "app": 5, "data": 8, "bastion": 11}[tier], n
            )
        user_data = base64.b64encode(self.script().encode()).decode()
        template = self.id("lt", "fleet")
        yield self.ec2("launch_template", "lt", "LaunchTemplateId", "fleet", {
            "LaunchTemplateName": f"{self.name}-fleet", "DefaultVersionNumber": 1, "LatestVersionNumber": 1, "CreateTime": _WHEN,
            "Version": [{"LaunchTemplateId": template, "VersionNumber": 1, "DefaultVersion": True, "LaunchTemplateData": {
                "ImageId": self.id("ami", "image"), "InstanceType": "m5.large", "KeyName": f"{self.name}-key", "SecurityGroupIds": [self.id("sg", "web")], "UserData": user_data,
            }}],
        })  # fmt: skip
        yield self.make("aws.autoscaling.auto_scaling_group", f"{self.name}-fleet", {
            "AutoScalingGroupName": f"{self.name}-fleet", "MinSize": 1, "MaxSize": 4, "DesiredCapacity": 2, "HealthCheckType": "ELB", "DefaultCooldown": 300, "CreatedTime": _WHEN,
            "LaunchTemplate": {"LaunchTemplateId": template, "LaunchTemplateName": f"{self.name}-fleet", "Version": "$Default"}, "TargetGroupARNs": [self.target_group("web")],
            "VPCZoneIdentifier": f"{self.id('subnet', 'private-a')},{self.id('subnet', 'private-b')}", "AvailabilityZones": [f"{self.region}a", f"{self.region}b"],
            "Tags": [{"Key": "Application", "Value": self.name, "PropagateAtLaunch": True}],
        }, f"{self.name}-fleet", self.arn("autoscaling", f"autoScalingGroup:{self.number}:autoScalingGroupName/{self.name}-fleet"))  # fmt: skip
        yield self.make("aws.iam.instance_profile", f"{self.name}-server", {
            "InstanceProfileName": f"{self.name}-server", "Arn": self.arn("iam", f"instance-profile/{self.name}-server", ""), "Path": "/",
            "Roles": [{"RoleName": f"{self.name}-server", "Arn": self.arn("iam", f"role/{self.name}-server", "")}],
        }, arn=self.arn("iam", f"instance-profile/{self.name}-server", ""), region="global")  # fmt: skip
        for role, service in (("server", "ec2"), ("jobs", "lambda")):
            yield self.make("aws.iam.role", f"{self.name}-{role}", {
                "RoleName": f"{self.name}-{role}", "Arn": self.arn("iam", f"role/{self.name}-{role}", ""), "Path": "/", "CreateDate": _WHEN, "AttachedManagedPolicies": [],
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}]},
                "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{self.name}-bench-assets/*"},
                    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": self.arn("sqs", f"{self.name}-orders")},
                ]}}], "InstanceProfileList": [], "Tags": self.tags(f"{self.name}-{role}"),
            }, f"{self.name}-{role}", self.arn("iam", f"role/{self.name}-{role}", ""), region="global")  # fmt: skip

    def script(self) -> str:
        """User data; four applications of five use the database of the one before them."""
        other = _Application(self.number - 1) if self.number % 5 else self
        return (
            f"#!/bin/bash\nexport DB_HOST={self.endpoint('main')}\n"
            f"export QUEUE={self.queue('orders')}\nexport OTHER_DB={other.endpoint('main')}\n"
            f"aws s3 sync s3://{self.name}-bench-assets /var/www\n"
        )

    def server(self, tier: str, n: int, number: int) -> Iterator[Resource]:
        what = f"{tier}-{n:02}"
        side = "public-a" if tier == "bastion" else f"private-{'ab'[n % 2]}"
        instance, nic, subnet, vpc = self.id("i", what), self.id("eni", what), self.id("subnet", side), self.id("vpc")  # fmt: skip
        groups = [{"GroupId": self.id("sg", tier), "GroupName": f"{self.name}-{tier}"}]
        address = self.ip(
            {"public-a": 0, "private-a": 2, "private-b": 3}[side],
            10 if tier == "bastion" else 10 + number,
        )
        volumes = [("root", "/dev/sda1", 20), *([("data", "/dev/sdf", 200)] if tier == "data" or number == 0 else [])]  # fmt: skip
        zone = f"{self.region}{side[-1]}"
        yield self.ec2("instance", "i", "InstanceId", what, {
            "ImageId": self.id("ami", "image"), "InstanceType": _SIZES[number % len(_SIZES)], "KeyName": f"{self.name}-key", "LaunchTime": _WHEN, "SubnetId": subnet, "VpcId": vpc,
            "State": {"Code": 16, "Name": "running"}, "PrivateIpAddress": address, "PrivateDnsName": f"ip-{address.replace('.', '-')}.ec2.internal", "SecurityGroups": groups,
            "Placement": {"AvailabilityZone": zone, "Tenancy": "default"}, "RootDeviceName": "/dev/sda1", "RootDeviceType": "ebs", "SourceDestCheck": True,
            "EbsOptimized": False, "Monitoring": {"State": "disabled"}, "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "State": "applied"},
            "IamInstanceProfile": {"Arn": self.arn("iam", f"instance-profile/{self.name}-server", "")},
            "BlockDeviceMappings": [{"DeviceName": device, "Ebs": {"VolumeId": self.id("vol", f"{what}-{kind}"), "DeleteOnTermination": kind == "root", "Status": "attached"}} for kind, device, _ in volumes],
            "NetworkInterfaces": [{"NetworkInterfaceId": nic, "SubnetId": subnet, "VpcId": vpc, "Groups": groups, "PrivateIpAddress": address, "Attachment": {"DeviceIndex": 0, "Status": "attached"},
                                   "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": address}], "SourceDestCheck": True, "Status": "in-use"}],
            **({"UserData": base64.b64encode(self.script().encode()).decode()} if tier == "app" else {}),
        })  # fmt: skip
        yield self.ec2("network_interface", "eni", "NetworkInterfaceId", what, {
            "SubnetId": subnet, "VpcId": vpc, "Groups": groups, "PrivateIpAddress": address, "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": address}], "AvailabilityZone": zone,
            "Attachment": {"InstanceId": instance, "DeviceIndex": 0, "Status": "attached"}, "InterfaceType": "interface", "SourceDestCheck": True, "Status": "in-use", "OwnerId": self.account,
            "Description": "Primary network interface", "RequesterManaged": False,
            **({"Association": {"AllocationId": self.id("eipalloc", "bastion-ip"), "PublicIp": self.address(2)}} if tier == "bastion" else {}),
        }, "TagSet")  # fmt: skip
        for kind, device, size in volumes:
            volume = self.id("vol", f"{what}-{kind}")
            yield self.ec2("volume", "vol", "VolumeId", f"{what}-{kind}", {
                "Size": size, "VolumeType": "gp3", "Iops": 3000, "Encrypted": True, "AvailabilityZone": zone, "State": "in-use", "CreateTime": _WHEN, "KmsKeyId": self.key(),
                "Attachments": [{"InstanceId": instance, "VolumeId": volume, "Device": device, "State": "attached"}],
            })  # fmt: skip

    def key(self) -> str:
        return self.arn("kms", f"key/{self.id('key', 'data')}")

    def target_group(self, what: str) -> str:
        return self.arn(
            "elasticloadbalancing", f"targetgroup/{self.name}-{what}/{self.id('t', what)[2:]}"
        )

    def entry(self) -> Iterator[Resource]:
        path = f"app/{self.name}/{self.id('lb')[3:]}"
        balancer = self.arn("elasticloadbalancing", f"loadbalancer/{path}")
        certificate = self.arn("acm", f"certificate/{self.id('c')[2:]}")
        yield self.make("aws.elbv2.load_balancer", balancer, {
            "LoadBalancerArn": balancer, "LoadBalancerName": self.name, "DNSName": self.balancer_name(), "Scheme": "internet-facing", "Type": "application", "VpcId": self.id("vpc"),
            "AvailabilityZones": [{"SubnetId": self.id("subnet", f"public-{zone}"), "ZoneName": f"{self.region}{zone}"} for zone in "ab"], "SecurityGroups": [self.id("sg", "balancer")],
            "IpAddressType": "ipv4", "State": {"Code": "active"}, "CreatedTime": _WHEN, "Attributes": [{"Key": "deletion_protection.enabled", "Value": "false"}],
        }, self.name, balancer)  # fmt: skip
        yield self.make("aws.acm.certificate", certificate, {
            "CertificateArn": certificate, "DomainName": self.zone(),
            "Certificate": {"CertificateArn": certificate, "DomainName": self.zone(), "SubjectAlternativeNames": [f"www.{self.zone()}"], "Type": "AMAZON_ISSUED", "InUseBy": [balancer],
                            "DomainValidationOptions": [{"DomainName": self.zone(), "ValidationMethod": "DNS"}]},
        }, self.zone(), certificate, tagged=False)  # fmt: skip
        for port, protocol in ((443, "HTTPS"), (80, "HTTP")):
            listener = self.arn("elasticloadbalancing", f"listener/{path}/{self.id('l', port)[2:]}")
            forward = [{"Type": "forward", "TargetGroupArn": self.target_group("web")}]
            away = [{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}]  # fmt: skip
            yield self.make("aws.elbv2.listener", listener, {
                "ListenerArn": listener, "LoadBalancerArn": balancer, "Port": port, "Protocol": protocol, "DefaultActions": forward if port == 443 else away,
                **({"Certificates": [{"CertificateArn": certificate}], "SslPolicy": "ELBSecurityPolicy-2016-08"} if port == 443 else {}),
            }, f"{protocol} {port}", listener, tagged=False)  # fmt: skip
            for priority in ("default", "10") if port == 443 else ("default",):
                rule = f"{listener.replace(':listener/', ':listener-rule/')}/{self.id('r', f'{port}{priority}')[2:]}"
                yield self.make("aws.elbv2.rule", rule, {
                    "RuleArn": rule, "Priority": priority, "IsDefault": priority == "default",
                    "Conditions": [] if priority == "default" else [{"Field": "path-pattern", "Values": ["/api/*"]}],
                    "Actions": (forward if port == 443 else away) if priority == "default" else [{"Type": "forward", "TargetGroupArn": self.target_group("app")}],
                }, f"rule {priority}", rule, tagged=False)  # fmt: skip
        for tier, port, members in (("web", 8080, 5), ("app", 9000, 3)):
            arn = self.target_group(tier)
            yield self.make("aws.elbv2.target_group", arn, {
                "TargetGroupArn": arn, "TargetGroupName": f"{self.name}-{tier}", "Protocol": "HTTP", "ProtocolVersion": "HTTP1", "Port": port, "TargetType": "instance", "VpcId": self.id("vpc"),
                "LoadBalancerArns": [balancer] if tier == "web" else [], "HealthCheckPath": "/health", "HealthCheckPort": "traffic-port", "HealthCheckProtocol": "HTTP", "HealthCheckEnabled": True,
                "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "Matcher": {"HttpCode": "200"},
                "Targets": [{"Target": {"Id": self.id("i", f"{tier}-{n:02}"), "Port": port}, "HealthCheckPort": "traffic-port"} for n in range(members)],
                "Attributes": [{"Key": "stickiness.enabled", "Value": "false"}],
            }, f"{self.name}-{tier}", arn)  # fmt: skip

    def balancer_name(self) -> str:
        return f"{self.name}-{self.number}.{self.region}.elb.amazonaws.com"

    def endpoint(self, what: str) -> str:
        return f"{self.name}-{what}.abcdefghijkl.{self.region}.rds.amazonaws.com"

    def data(self) -> Iterator[Resource]:
        subnets = [{"SubnetIdentifier": self.id("subnet", f"private-{zone}"), "SubnetStatus": "Active", "SubnetAvailabilityZone": {"Name": f"{self.region}{zone}"}} for zone in "ab"]  # fmt: skip
        group = {"DBSubnetGroupName": f"{self.name}-data", "DBSubnetGroupDescription": "data", "VpcId": self.id("vpc"), "SubnetGroupStatus": "Complete", "Subnets": subnets}  # fmt: skip
        yield self.make(
            "aws.rds.db_subnet_group",
            f"{self.name}-data",
            {**group, "DBSubnetGroupArn": self.arn("rds", f"subgrp:{self.name}-data")},
            arn=self.arn("rds", f"subgrp:{self.name}-data"),
        )
        yield self.make("aws.rds.db_parameter_group", f"{self.name}-pg16", {
            "DBParameterGroupName": f"{self.name}-pg16", "DBParameterGroupFamily": "postgres16", "Description": "own", "DBParameterGroupArn": self.arn("rds", f"pg:{self.name}-pg16"),
            "Parameters": [{"ParameterName": "max_connections", "ParameterValue": "400"}, {"ParameterName": "rds.force_ssl", "ParameterValue": "1"}],
        }, arn=self.arn("rds", f"pg:{self.name}-pg16"))  # fmt: skip
        for what, size in (("main", "db.m5.large"), ("reports", "db.t3.medium")):
            id_ = f"{self.name}-{what}"
            yield self.make("aws.rds.db_instance", id_, {
                "DBInstanceIdentifier": id_, "DBInstanceClass": size, "Engine": "postgres", "EngineVersion": "16.3", "AllocatedStorage": 100, "StorageType": "gp3", "StorageEncrypted": True,
                "DBInstanceStatus": "available", "MasterUsername": "app", "DBName": what, "Endpoint": {"Address": self.endpoint(what), "Port": 5432}, "MultiAZ": what == "main",
                "DBParameterGroups": [{"DBParameterGroupName": f"{self.name}-pg16", "ParameterApplyStatus": "in-sync"}], "DBSubnetGroup": group, "BackupRetentionPeriod": 7,
                "VpcSecurityGroups": [{"VpcSecurityGroupId": self.id("sg", "data"), "Status": "active"}], "PubliclyAccessible": False, "DeletionProtection": True, "KmsKeyId": self.key(),
                "DBInstanceArn": self.arn("rds", f"db:{id_}"), "InstanceCreateTime": _WHEN, "AvailabilityZone": f"{self.region}a", "TagList": self.tags(id_),
            }, id_, self.arn("rds", f"db:{id_}"))  # fmt: skip
        for what in ("assets", "logs", "backups"):
            id_ = f"{self.name}-bench-{what}"
            yield self.make("aws.s3.bucket", id_, {
                "Name": id_, "CreationDate": _WHEN, "Location": self.region, "Tags": self.tags(id_), "Acl": [],
                "PublicAccess": {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True},
                "Versioning": {"Status": "Enabled"} if what == "backups" else {},
                **({"Lifecycle": {"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}]}} if what == "logs" else {}),
            }, id_, f"arn:aws:s3:::{id_}")  # fmt: skip
        yield self.make("aws.kms.key", self.id("key", "data"), {
            "KeyId": self.id("key", "data"), "KeyArn": self.key(), "Rotation": {"KeyRotationEnabled": True}, "Aliases": [{"AliasName": f"alias/{self.name}"}],
            "Key": {"KeyId": self.id("key", "data"), "Arn": self.key(), "KeyManager": "CUSTOMER", "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "Enabled": True, "Origin": "AWS_KMS"},
        }, f"alias/{self.name}", self.key(), tagged=False)  # fmt: skip
        yield self.make("aws.dynamodb.table", f"{self.name}-sessions", {
            "TableName": f"{self.name}-sessions", "TimeToLive": {"TimeToLiveStatus": "DISABLED"},
            "Table": {"TableName": f"{self.name}-sessions", "TableArn": self.arn("dynamodb", f"table/{self.name}-sessions"), "TableStatus": "ACTIVE",
                      "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                      "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}},
        }, f"{self.name}-sessions", self.arn("dynamodb", f"table/{self.name}-sessions"))  # fmt: skip

    def zone(self) -> str:
        return f"{self.name}.bench.example"

    def names(self) -> Iterator[Resource]:
        zone = f"/hostedzone/Z{self.id('z')[2:].upper()}"
        held = {"Id": zone, "Name": f"{self.zone()}.", "CallerReference": "1", "Config": {"PrivateZone": False}}  # fmt: skip
        yield self.make("aws.route53.hosted_zone", zone, {
            **held, "ResourceRecordSetCount": 8, "Zone": {"HostedZone": held, "DelegationSet": {"NameServers": [f"ns-{n}.bench.example" for n in range(4)]}},
        }, f"{self.zone()}.", tagged=False, region="global")  # fmt: skip
        alias = {"HostedZoneId": "Z1", "DNSName": f"dualstack.{self.balancer_name()}.", "EvaluateTargetHealth": False}  # fmt: skip
        for host, kind, record in (
            ("", "A", {"AliasTarget": alias}),
            ("www.", "CNAME", {"TTL": 300, "ResourceRecords": [{"Value": self.balancer_name()}]}),
            ("db.", "CNAME", {"TTL": 60, "ResourceRecords": [{"Value": self.endpoint("main")}]}),
            ("bastion.", "A", {"TTL": 300, "ResourceRecords": [{"Value": self.address(2)}]}),
            ("", "MX", {"TTL": 3600, "ResourceRecords": [{"Value": "10 mail.bench.example"}]}),
            ("", "TXT", {"TTL": 3600, "ResourceRecords": [{"Value": '"v=spf1 -all"'}]}),
            ("", "NS", {"TTL": 172800, "ResourceRecords": [{"Value": f"ns-{n}.bench.example"} for n in range(4)]}),
            ("internal.", "A", {"TTL": 60, "ResourceRecords": [{"Value": self.ip(2, 10)}]}),
        ):  # fmt: skip
            name = f"{host}{self.zone()}."
            yield self.make(
                "aws.route53.record_set",
                f"{zone} {name} {kind}",
                {"Name": name, "Type": kind, **record},
                name,
                tagged=False,
                region="global",
            )

    def queue(self, what: str) -> str:
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{self.name}-{what}"

    def messages(self) -> Iterator[Resource]:
        dead = self.arn("sqs", f"{self.name}-dead")
        for what in ("orders", "mails", "dead"):
            arn = self.arn("sqs", f"{self.name}-{what}")
            redrive = {} if what == "dead" else {"RedrivePolicy": f'{{"deadLetterTargetArn":"{dead}","maxReceiveCount":5}}'}  # fmt: skip
            yield self.make("aws.sqs.queue", self.queue(what), {
                "QueueUrl": self.queue(what), "Tags": {"Application": self.name},
                "Attributes": {"QueueArn": arn, "VisibilityTimeout": "30", "MessageRetentionPeriod": "345600", "DelaySeconds": "0", "MaximumMessageSize": "262144", **redrive},
            }, f"{self.name}-{what}", arn)  # fmt: skip
        topic = self.arn("sns", f"{self.name}-events")
        yield self.make("aws.sns.topic", topic, {
            "TopicArn": topic, "Attributes": {"TopicArn": topic, "Owner": self.account, "DisplayName": ""}, "Tags": self.tags(f"{self.name}-events"),
            "Subscriptions": [{"TopicArn": topic, "Protocol": "sqs", "Endpoint": self.arn("sqs", f"{self.name}-mails"), "SubscriptionArn": f"{topic}:1", "Owner": self.account}],
        }, f"{self.name}-events", topic)  # fmt: skip
        for what in ("db-host", "queue", "bucket", "level", "mode", "mail-from"):
            yield self.parameter(what)
        for what in ("database", "smtp"):
            arn = self.arn("secretsmanager", f"secret:{self.name}/{what}-abcdef")
            yield self.make("aws.secretsmanager.secret", f"{self.name}/{what}", {
                "ARN": arn, "Name": f"{self.name}/{what}", "CreatedDate": _WHEN, "Tags": self.tags(f"{self.name}/{what}"), "SecretVersionsToStages": {"1": ["AWSCURRENT"]},
            }, f"{self.name}/{what}", arn)  # fmt: skip
        for what in ("web", "app", "jobs"):
            name = f"/{self.name}/{what}"
            yield self.make("aws.logs.log_group", name, {
                "logGroupName": name, "arn": self.arn("logs", f"log-group:{name}:*"), "creationTime": 1767225600000, "retentionInDays": 30, "metricFilterCount": 0,
            }, name, self.arn("logs", f"log-group:{name}:*"), tagged=False)  # fmt: skip
        for what, metric in (("5xx", "HTTPCode_Target_5XX_Count"), ("cpu", "CPUUtilization"), ("depth", "ApproximateNumberOfMessagesVisible")):  # fmt: skip
            name, arn = f"{self.name}-{what}", self.arn("cloudwatch", f"alarm:{self.name}-{what}")
            yield self.make("aws.cloudwatch.alarm", name, {
                "AlarmName": name, "AlarmArn": arn, "ActionsEnabled": True, "AlarmActions": [topic], "MetricName": metric, "Namespace": "AWS/Bench", "Statistic": "Sum", "Period": 300,
                "EvaluationPeriods": 2, "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold", "Dimensions": [],
            }, name, arn, tagged=False)  # fmt: skip

    def parameter(self, what: str) -> Resource:
        name = f"/{self.name}/{what}"
        return self.make("aws.ssm.parameter", name, {
            "Name": name, "Type": "String", "Tier": "Standard", "DataType": "text", "Version": 1, "Description": f"{what} of {self.name}", "LastModifiedDate": _WHEN,
        }, name, self.arn("ssm", f"parameter{name}"), tagged=False)  # fmt: skip
