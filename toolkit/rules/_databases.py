"""What rules of databases and clusters share: engines, sizes, ends of life."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Literal

from toolkit.clouds import aws_instance_type

Engine = Literal["postgresql", "mysql", "mariadb", "other"]

PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "other": 0}

ENDED = {
    ("postgresql", "9"): "2021-11-11", ("postgresql", "10"): "2022-11-10", ("postgresql", "11"): "2023-11-09",
    ("postgresql", "12"): "2024-11-21", ("postgresql", "13"): "2025-11-13",
    ("mysql", "5.5"): "2018-12-03", ("mysql", "5.6"): "2021-02-05", ("mysql", "5.7"): "2023-10-31",
    ("mariadb", "10.3"): "2023-05-25", ("mariadb", "10.4"): "2024-06-18", ("mariadb", "10.5"): "2025-06-24",
    ("kubernetes", "1.22"): "2022-12-08", ("kubernetes", "1.23"): "2023-02-28", ("kubernetes", "1.24"): "2023-07-28",
    ("kubernetes", "1.25"): "2023-10-28", ("kubernetes", "1.26"): "2024-02-28", ("kubernetes", "1.27"): "2024-07-16",
    ("kubernetes", "1.28"): "2024-10-22", ("kubernetes", "1.29"): "2025-02-28", ("kubernetes", "1.30"): "2025-07-15",
    ("kubernetes", "1.31"): "2025-11-11", ("kubernetes", "1.32"): "2026-02-28",
}  # fmt: skip
"""(engine, release) -> end of community support, as the PostgreSQL, MySQL, MariaDB and Kubernetes projects publish it."""


def engine_of(name: str) -> Engine:
    """RDS's engine name -> the engine that it is."""
    folded = name.casefold()
    if "postgres" in folded:
        return "postgresql"
    if "mariadb" in folded:
        return "mariadb"
    if "mysql" in folded or folded == "aurora":
        return "mysql"
    return "other"


def ended(engine: str, version: str) -> str:
    """The date on which a version's community support ended, or ""."""
    parts = version.split(".")
    return ENDED.get((engine, parts[0]), "") or ENDED.get((engine, ".".join(parts[:2])), "")


def size_of(class_: object) -> tuple[int | None, float | None]:
    """(vCPU, GiB) of `db.m5.large` or `cache.r6g.large`; (None, None) where it is no class."""
    if not isinstance(class_, str) or "." not in class_:
        return None, None
    found = aws_instance_type(class_.split(".", 1)[1])
    return (found.vcpu, found.ram_gib) if found else (None, None)


def settings(record: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a group that somebody set."""
    return {
        each["ParameterName"]: each["ParameterValue"]
        for each in record.get("Parameters", [])
        if isinstance(each, Mapping)
        and each.get("ParameterName")
        and each.get("ParameterValue") is not None
    }


def outsiders(group: Mapping[str, Any]) -> bool:
    """Whether a security group admits addresses of the internet; a list of addresses may hold some."""
    for rule in group.get("IpPermissions", []):
        if rule.get("PrefixListIds"):
            return True
        for each in (*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", [])):
            net = ipaddress.ip_network(each.get("CidrIp") or each.get("CidrIpv6"), strict=False)
            if not net.is_private:
                return True
    return False
