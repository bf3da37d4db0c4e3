"""Overlaps of addresses: every pair that nests is told, nothing that stands apart."""

from __future__ import annotations

import ipaddress
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import resource
from toolkit.assess.addresses import addresses
from toolkit.estate.model import Estate

_NETS = st.builds(
    lambda value, prefix: str(ipaddress.IPv4Network((10 << 24 | value << 8, prefix), strict=False)),
    st.integers(0, 1023),
    st.sampled_from([16, 18, 20, 24]),
)


@settings(derandomize=True, max_examples=300)
@given(st.lists(st.tuples(_NETS, st.sampled_from("ab")), max_size=8))
def test_who_overlaps_is_told_and_nobody_else(vpcs: list[tuple[str, str]]) -> None:
    estate = Estate(
        {},
        tuple(
            resource({"type": "aws.ec2.vpc", "id": f"vpc-{n}", "record": {"CidrBlock": net}})
            for n, (net, _) in enumerate(vpcs)
        ),
    )
    place = {f"vpc-{n}": where for n, (_, where) in enumerate(vpcs)}
    told = {estate.by_key[key].id for key, _ in addresses(estate, lambda vpc: place[vpc.id])}
    wanted = {
        f"vpc-{n}"
        for pair in combinations(range(len(vpcs)), 2)
        for n in pair
        if vpcs[pair[0]][1] == vpcs[pair[1]][1]
        and ipaddress.ip_network(vpcs[pair[0]][0]).overlaps(ipaddress.ip_network(vpcs[pair[1]][0]))
    }
    assert told == wanted
