"""The folder -> the rules, found by walking it; two rules for one type refuse to load."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.rule import Rule


@cache
def load() -> Mapping[str, Rule]:
    """Type -> rule, sorted by type. A module that starts with `_` holds what several rules share.

    Raises ValueError where two files claim a type, or a file is not named after its type.
    """
    rules: dict[str, Rule] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
        if module.name.startswith("_"):
            continue
        rule: Rule = importlib.import_module(f"{__name__}.{module.name}").RULE
        if rule.type in rules:
            raise ValueError(f"two rules for {rule.type}")
        if rule.type.replace(".", "_") != module.name:
            raise ValueError(f"{module.name}.py holds the rule of {rule.type}")
        rules[rule.type] = rule
    return dict(sorted(rules.items()))
