"""What the cases became is recorded beside the rules, and COVERAGE.md is printed from both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support import cases
from toolkit.cli import commands
from toolkit.rules import load

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "toolkit" / "coverage.json"
CLOUDS = ("openstack", "ovhcloud", "infomaniak", "cloudtemple")
FIRST_TIER = [
    "ec2.vpc",
    "ec2.subnet",
    "ec2.route_table",
    "ec2.internet_gateway",
    "ec2.nat_gateway",
    "ec2.network_acl",
    "ec2.security_group",
    "ec2.network_interface",
    "ec2.address",
    "ec2.vpc_peering_connection",
    "ec2.vpc_endpoint",
    "ec2.transit_gateway",
    "ec2.transit_gateway_attachment",
    "ec2.vpn_connection",
    "ec2.customer_gateway",
    "ec2.dhcp_options",
    "ec2.managed_prefix_list",
    "ec2.key_pair",
    "ec2.image",
    "ec2.instance",
    "ec2.volume",
    "ec2.snapshot",
    "ec2.launch_template",
    "autoscaling.auto_scaling_group",
    "elbv2.load_balancer",
    "elbv2.listener",
    "elbv2.rule",
    "elbv2.target_group",
    "elb.load_balancer",
    "rds.db_instance",
    "rds.db_cluster",
    "rds.db_subnet_group",
    "rds.db_parameter_group",
    "elasticache.replication_group",
    "elasticache.cache_cluster",
    "s3.bucket",
    "efs.file_system",
    "route53.hosted_zone",
    "route53.record_set",
    "acm.certificate",
    "kms.key",
    "secretsmanager.secret",
    "ssm.parameter",
    "eks.cluster",
    "eks.nodegroup",
    "ecs.cluster",
    "ecs.service",
    "ecs.task_definition",
    "ecr.repository",
    "sqs.queue",
    "sns.topic",
    "iam.user",
    "iam.group",
    "iam.role",
    "iam.policy",
    "iam.instance_profile",
    "iam.saml_provider",
    "iam.open_id_connect_provider",
]


def test_recorded(request: pytest.FixtureRequest) -> None:
    found: dict[str, dict[str, list[str]]] = {}
    for type_ in load():
        files = sorted((cases.CASES / type_.replace(".", "_")).glob("*.json"))
        kinds: dict[str, set[str]] = {"openstack": set(), "cloudtemple": set()}
        for file in files:
            case = cases.load(file)
            origin = cases.resource(case["source"]).key
            for cloud in CLOUDS:
                _, nodes, ctx = cases.run(case, cloud)
                kinds[ctx.cloud.kind] |= {node.type for node in nodes if node.origin == origin}
        found[type_] = {"cases": [file.stem for file in files]}
        found[type_] |= {kind: sorted(held) for kind, held in kinds.items() if held}
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    if request.config.getoption("--golden"):
        RECORD.write_text(text)
    assert RECORD.read_text() == text, "make golden records what the cases became"


def test_coverage_md_is_printed_and_recorded(request: pytest.FixtureRequest) -> None:
    printed = CliRunner().invoke(commands, ["coverage"])
    assert printed.exit_code == 0, printed.output
    if request.config.getoption("--golden"):
        (ROOT / "COVERAGE.md").write_text(printed.stdout)
    assert (ROOT / "COVERAGE.md").read_text() == printed.stdout


def test_the_whole_first_tier_has_cases() -> None:
    document = json.loads(CliRunner().invoke(commands, ["coverage", "--json"]).stdout)
    rows = {row["type"].removeprefix("aws."): row for row in document["types"]}
    assert document["counts"]["without_case"] == []
    assert [each for each in FIRST_TIER if each not in rows or rows[each]["tier"] != 1] == []


@pytest.mark.parametrize("type_", FIRST_TIER)
def test_what_a_case_proves_is_more_than_that_it_was_read(type_: str) -> None:
    """Some case of each first-tier type becomes a resource, or says with a reason why it does not."""
    said = False
    for file in (cases.CASES / f"aws_{type_.replace('.', '_')}").glob("*.json"):
        expect = cases.load(file)["expect"]
        for each in [expect, *(held for held in expect.values() if isinstance(held, dict))]:
            said = said or bool(each.get("nodes") or each.get("disposition") or each.get("tasks"))
    assert said
