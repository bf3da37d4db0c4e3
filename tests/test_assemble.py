"""Names are forever and stacks are small: what assembly may do, and what it may never do."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InternalError
from toolkit.plan.assemble import (
    MOST_PER_STACK,
    Labels,
    Stack,
    assemble,
    references,
    without_dangling,
)
from toolkit.plan.names import Names, holds_raw_id, parse, slug
from toolkit.program import TIERS, Node, Out


def node(
    origin: str, role: str = "", tier: str = "network", refs: Iterable[Out] = (), vpc: str = "vpc"
) -> Node:
    return Node(
        type="openstack.networking.SecGroupRule", origin=origin, role=role, tier=tier, topic="t", vpc=vpc,
        props={"refs": list(refs)},
    )  # fmt: skip


def labels(nodes: Iterable[Node], text: str = "thing") -> Labels:
    origins = {each.origin for each in nodes} | {"vpc"}
    return Labels(dict.fromkeys(origins, text), dict.fromkeys(origins, "app"), {}, {})


def seats(stacks: Iterable[Stack]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(p.node.origin, p.node.role): (p.name, p.stack) for s in stacks for p in s.resources}


def test_a_group_with_ten_thousand_rules_is_cut_into_small_stacks() -> None:
    nodes = [node("sg"), *(node("sg", f"rule-{n}", refs=[Out("sg")]) for n in range(10_000))]
    stacks = assemble(nodes, Names(), labels(nodes))
    assert sum(len(stack.resources) for stack in stacks) == 10_001
    assert max(len(stack.resources) for stack in stacks) <= MOST_PER_STACK


def test_nothing_moves_when_tags_change_and_rules_come_and_go() -> None:
    rng = random.Random(7)
    names = Names()
    nodes = [node(f"sg-{g}") for g in range(30)]
    nodes += [
        node(f"sg-{g}", f"rule-{n}", refs=[Out(f"sg-{g}"), Out(f"sg-{rng.randrange(30)}")])
        for g in range(30)
        for n in range(rng.choice([2, 15, 60]))
    ]
    first = seats(assemble(nodes, names, labels(nodes, "first")))
    for turn in range(5):
        names = parse(names.dump())
        kept = [each for each in nodes if not each.role or rng.random() < 0.9]
        kept += [
            node("sg-3", f"new-{turn}-{n}", refs=[Out("sg-3"), Out("sg-9")]) for n in range(40)
        ]
        now = seats(assemble(kept, names, labels(kept, f"renamed {turn}")))
        assert {k: v for k, v in now.items() if k in first} == {
            k: v for k, v in first.items() if k in now
        }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_stacks_are_acyclic_small_and_complete(data: st.DataObject) -> None:
    made: list[Node] = []
    for number in range(data.draw(st.integers(1, 60))):
        tier = data.draw(st.sampled_from(TIERS))
        allowed = [
            each
            for each in made
            if TIERS.index(each.tier) < TIERS.index(tier)
            or (each.tier == tier and each.vpc == "vpc")
        ]
        refs = data.draw(st.lists(st.sampled_from(allowed), max_size=3)) if allowed else []
        made.append(node(f"r{number}", tier=tier, refs=[Out(each.origin) for each in refs]))
    names = Names()
    stacks = assemble(made, names, labels(made))
    order = {stack.name: n for n, stack in enumerate(stacks)}
    assert all(order[need] < order[stack.name] for stack in stacks for need in stack.needs)
    assert len(seats(stacks)) == len(made)
    assert len({name for name, _ in seats(stacks).values()}) == len(made)
    assert seats(assemble(made, parse(names.dump()), labels(made, "else"))) == seats(stacks)


def test_a_cycle_between_groups_is_refused() -> None:
    nodes = [node("a", vpc="v1", refs=[Out("b")]), node("b", vpc="v2", refs=[Out("a")])]
    names = Names()
    both = labels([*nodes, node("v1"), node("v2")])
    assemble([node("v1", vpc="v1"), node("v2", vpc="v2")], names, both)
    with pytest.raises(InternalError, match="cycle"):
        assemble(nodes, names, both)


def test_a_reference_to_nothing_is_a_blocker_and_takes_its_dependants_along() -> None:
    nodes = [node("a"), node("b", refs=[Out("gone")]), node("c", refs=[Out("b")])]
    kept, losses = without_dangling(nodes)
    assert [each.origin for each in kept] == ["a"]
    assert sorted(losses) == ["b", "c"]
    assert all(loss.severity == "blocker" for held in losses.values() for loss in held)


@pytest.mark.parametrize(
    "hostile", ['a"b', "x\ny", "{{ 7*7 }}", "$(reboot)", "<b>", "名前", "", "vpc-0123456789abcdef0"]
)
def test_logical_names_are_harmless(hostile: str) -> None:
    nodes = [node("aws.ec2.vpc|1|r|vpc-1")]
    names = Names()
    stacks = assemble(
        nodes, names, Labels({nodes[0].origin: hostile}, {nodes[0].origin: hostile}, {}, {})
    )
    name = stacks[0].resources[0].name
    assert name == slug(name) != ""
    assert not holds_raw_id(name)
    assert parse(names.dump()).entries.keys() == names.entries.keys()


def test_references_are_found_at_any_depth() -> None:
    deep = {"a": [{"b": (Out("x"), [Out("y")])}]}
    assert [out.origin for out in references(deep)] == ["x", "y"]
