"""A security group for each kind of host; its rules are the table of open ports and nothing else."""

import pulumi_openstack as openstack
import settings

groups = {
    kind: openstack.networking.SecGroup(
        kind,
        name=f"{settings.client}-{kind}",
        description=f"{kind} hosts of the suite",
    )
    for kind in dict.fromkeys(host["kind"] for host in settings.hosts)
}


def sources(source):
    """A source of the table -> what the rule says, and how it is named."""
    if source == "anyone":
        return [("anyone", {"remote_ip_prefix": "0.0.0.0/0"})]
    if source == "operators":
        return [
            (f"operators-{cidr.replace('/', '-')}", {"remote_ip_prefix": cidr})
            for cidr in settings.operators
        ]
    return [(source, {"remote_group_id": groups[source].id})]


for port in settings.ports:
    span = (
        f"{port['first']}" if port["first"] == port["last"] else f"{port['first']}-{port['last']}"
    )
    for label, remote in sources(port["source"]):
        openstack.networking.SecGroupRule(
            f"{port['kind']}-{port['protocol']}-{span}-{label}",
            direction="ingress",
            ethertype="IPv4",
            protocol=port["protocol"],
            port_range_min=port["first"],
            port_range_max=port["last"],
            security_group_id=groups[port["kind"]].id,
            description=port["why"],
            **remote,
        )
