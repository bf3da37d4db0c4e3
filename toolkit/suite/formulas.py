"""Answers -> figures. A formula is text that is evaluated, so what the papers print is what was calculated.

Names in a formula are answers, tables or earlier formulas. Units: vCPU, GB (10^9 bytes), MB, Mbit/s, people. `read` means
that the source says it; `inferred` that it is worked out from what was read; `unverified` that it is our judgement, to be
held against a load test of the installed suite.
"""

from __future__ import annotations

import ast
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

MOST_USERS = 10_000
"""The published tables end here."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number was read, and the date that the source itself carries."""

    id: str
    title: str
    where: str
    seen: str


@dataclass(frozen=True, slots=True)
class Table:
    """Steps: the first row whose limit is not below the argument holds. Rows up to `ours` are not in the source."""

    name: str
    of: str
    unit: str
    rows: tuple[tuple[int, float], ...]
    sources: tuple[str, ...]
    status: str = "read"
    ours: int = 0
    note: str = ""

    def __call__(self, value: float) -> float:
        for limit, held in self.rows:
            if value <= limit:
                return held
        return self.rows[-1][1]


@dataclass(frozen=True, slots=True)
class Formula:
    """One figure: its name is that of the variable which the roles get."""

    name: str
    unit: str
    text: str
    says: str
    sources: tuple[str, ...] = ()
    status: str = "inferred"


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with the formula it came from and what went into it."""

    value: float
    formula: Formula
    inputs: Mapping[str, float]

    def json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "unit": self.formula.unit,
            "formula": self.formula.text,
            "inputs": dict(self.inputs),
            "says": self.formula.says,
            "sources": list(self.formula.sources),
            "status": self.formula.status,
        }


SOURCES = {
    each.id: each
    for each in (
        Source("ess", "Element Server Suite, sizing", "ems-docs.element.io", "undated, read 2026-11"),
        Source("opendesk", "openDesk, docs/scaling.md", "gitlab.opencode.de", "undated, read 2026-11"),
        Source("jitsi", "Jitsi handbook, devops guide, requirements.md", "github.com/jitsi/handbook", "undated, read 2026-11"),
        Source("nextcloud", "Nextcloud admin manual, deployment recommendations", "docs.nextcloud.com", "old stored text, read 2026-11"),
        Source("keycloak", "Keycloak, concepts for sizing CPU and memory resources", "keycloak.org", "undated, read 2026-11"),
        Source("synapse", "Synapse, docs/setup/turn/coturn.md", "github.com/element-hq/synapse", "1.163, read 2026-11"),
        Source("mdad", "matrix-docker-ansible-deploy, cache of Synapse by memory", "github.com/spantaleev/matrix-docker-ansible-deploy", "2026-08"),
        Source("postgresql", "PostgreSQL documentation, resource consumption", "postgresql.org/docs/18", "18"),
        Source("prometheus", "Prometheus, storage, operational aspects", "prometheus.io", "undated, read 2026-11"),
        Source("measured", "Measured: memory of an idle process of Synapse 1.163.2 is 128 to 131 MB", "a Debian machine of 2 cores", "2026-11"),
    )
}  # fmt: skip

_SMALL = "The row for 50 users is ours: unverified."

TABLES = {
    each.name: each
    for each in (
        Table("synapse_cpu", "users", "vCPU", ((50, 1), (500, 2), (2500, 6), (10000, 10)), ("ess", "measured"), ours=50, note=_SMALL),
        Table("synapse_cpu_open", "users", "vCPU", ((50, 2), (500, 5), (2500, 9), (10000, 15)), ("ess", "opendesk"), ours=50, note=_SMALL),
        Table("synapse_memory", "users", "GB", ((50, 1), (500, 2), (2500, 5.65), (10000, 8.15)), ("ess", "measured"), ours=50, note=_SMALL),
        Table("synapse_memory_open", "users", "GB", ((50, 2), (500, 4.5), (2500, 8.15), (10000, 11.65)), ("ess", "opendesk"), ours=50, note=_SMALL),
        Table("chat_db_cpu", "users", "vCPU", ((50, 0.5), (500, 1), (2500, 2), (10000, 4)), ("ess",), ours=50, note=_SMALL),
        Table("chat_db_cpu_open", "users", "vCPU", ((50, 1), (500, 3), (2500, 5), (10000, 10)), ("ess",), ours=50, note=_SMALL),
        Table("chat_db_memory", "users", "GB", ((50, 1.5), (500, 4), (2500, 12), (10000, 16)), ("ess",), ours=50, note=_SMALL),
        Table("chat_db_memory_open", "users", "GB", ((50, 3), (500, 8), (2500, 24), (10000, 32)), ("ess",), ours=50, note=_SMALL),
        Table("apps_db_cpu", "users", "vCPU", ((50, 0.5), (150, 1), (500, 2), (1000, 4), (5000, 8), (10000, 16)), ("opendesk",), ours=1000,
              note="openDesk has several database nodes of 8 and 16 vCPU; one of that size is taken. Rows up to 1,000 users are ours: unverified."),
        Table("apps_db_memory", "users", "GB", ((50, 1), (150, 2), (500, 6), (1000, 16), (5000, 64), (10000, 128)), ("opendesk",), ours=1000,
              note="As above. Nextcloud's own page asks for two database servers of 64 GB from 150 users on: more than is taken here."),
        Table("nextcloud_memory", "users", "GB", ((50, 2), (150, 12), (1000, 28), (10000, 31.25)), ("nextcloud", "opendesk"), ours=50,
              note="The sources say 16 and 32 GB for the host; what the system and its neighbours take is subtracted. " + _SMALL),
        Table("bridge_memory", "conference_peak", "GB", ((25, 2), (50, 3.25), (100000, 7.25)), ("jitsi", "opendesk"), ours=50,
              note="The sources say 8 GB for the host, 0.75 of it for the system. Rows up to 50 people are ours: unverified."),
        Table("jitsi_cpu", "conference_peak", "vCPU", ((25, 2), (100000, 4)), ("opendesk",), ours=25, note="The row for 25 people is ours: unverified."),
        Table("jitsi_memory", "conference_peak", "GB", ((25, 3), (100000, 7.25)), ("opendesk",), ours=25,
              note="The source says 8 GB for the host, 0.75 of it for the system. The row for 25 people is ours: unverified."),
    )
}  # fmt: skip

ANSWERS = {
    "users": "people with an account",
    "active_percent": "share of them at work at the same time, percent",
    "conference_peak": "people in conferences at the same time",
    "biggest_room": "people in the biggest conference",
    "files_gb": "files of a user, GB",
    "backup_days": "days that a backup is kept",
    "open_federation": "1 where the chat talks to any server, 0 where it does not or to a list",
    "nextcloud": "1 where installed",
    "jitsi": "1 where installed",
    "matrix": "1 where installed",
    "idp": "1 where installed",
    "monitoring": "1 where installed",
    "backup": "1 where a second place is named",
    "hosts": "hosts of the layout (known once it is)",
}
"""What a formula may name besides tables and earlier formulas."""

F = Formula
FORMULAS: tuple[Formula, ...] = (
    F("active", "people", "ceil(users * active_percent / 100)", "people at work at the same time"),
    # -- Nextcloud
    F("nextcloud_children", "processes", "nextcloud * max(8, ceil(active / 5))", "PHP-FPM children of all hosts: one for five people at work", (), "unverified"),
    F("stage", "", "1 if users <= 50 else 3 if nextcloud and (users > 1000 or nextcloud_children > 72) else 2",
      "1: one host; 2: a host for each job; 3: several hosts run Nextcloud, files and edge leave the first", (), "unverified"),
    F("app_hosts", "hosts", "1 if stage < 3 else max(2, ceil(nextcloud_children / 96))", "hosts that run Nextcloud: 96 children each (8 vCPU, 32 GB)", ("opendesk", "nextcloud")),
    F("nextcloud_fpm_max_children", "processes", "0 if not nextcloud else nextcloud_children if stage < 3 else 96", "PHP-FPM children of a host"),
    F("nextcloud_fpm_start_servers", "processes", "ceil(nextcloud_fpm_max_children / 4)", "children at the start (pm = dynamic)", (), "unverified"),
    F("nextcloud_fpm_max_spare_servers", "processes", "ceil(nextcloud_fpm_max_children / 2)", "idle children that are kept", (), "unverified"),
    F("nextcloud_vcpu", "vCPU", "0 if not nextcloud else 8 if stage == 3 else max(2, ceil(nextcloud_children / 12))", "of a host: a core for twelve children", ("opendesk",), "unverified"),
    F("nextcloud_child_mb", "MB", "100", "memory of a PHP-FPM child; the role measures it", (), "unverified"),
    F("nextcloud_gb", "GB", "0 if not nextcloud else max(1 + nextcloud_fpm_max_children * nextcloud_child_mb / 1000, nextcloud_memory(users))", "of a host: children and what the sources ask for", ("nextcloud", "opendesk")),
    F("nextcloud_memory_limit_mb", "MB", "512", "PHP's memory_limit", ("nextcloud",), "read"),
    # -- the edge, files, cache
    F("edge_vcpu", "vCPU", "0.25 if stage == 1 else 1 if stage == 2 else 2", "nginx in front of all", (), "unverified"),
    F("edge_gb", "GB", "0.5 if stage == 1 else 1 if stage == 2 else 3.25", "nginx in front of all", (), "unverified"),
    F("edge_worker_connections", "connections", "max(1024, active * 10)", "a person at work holds up to ten connections (browser, sync, chat), each twice", (), "unverified"),
    F("edge_mbit", "Mbit/s", "ceil(active * 0.5)", "web, synchronisation and chat at peak, without conferences", (), "unverified"),
    F("files_vcpu", "vCPU", "0 if not nextcloud else 0.25 if stage < 3 else 2", "the file system of Nextcloud; NFS in stage 3", (), "unverified"),
    F("files_gb_memory", "GB", "0 if not nextcloud else 0.25 if stage < 3 else 4", "page cache of NFS in stage 3", (), "unverified"),
    F("cache_maxmemory_mb", "MB", "max(64, ceil(active * 0.5))", "Valkey: sessions, locks, stream of Synapse's workers", (), "unverified"),
    F("cache_vcpu", "vCPU", "0.25", "Valkey: one thread", (), "unverified"),
    F("cache_gb", "GB", "0.25 + cache_maxmemory_mb / 1000", "maxmemory and the copy while it is saved"),
    # -- chat
    F("synapse_vcpu", "vCPU", "0 if not matrix else synapse_cpu_open(users) if open_federation else synapse_cpu(users)", "Synapse with its workers", ("ess",), "read"),
    F("synapse_gb", "GB", "0 if not matrix else synapse_memory_open(users) if open_federation else synapse_memory(users)", "Synapse with its workers", ("ess",), "read"),
    F("synapse_workers", "processes", "max(0, ceil(synapse_vcpu) - 2)", "processes besides the main one: a core each, two for the main one and nginx", ("ess",)),
    F("synapse_federation_senders", "processes", "0 if not open_federation or synapse_workers < 3 else max(1, ceil(synapse_workers / 4))", "of the workers, those that send to other servers", (), "unverified"),
    F("synapse_cache_max_mb", "MB", "min(2000, ceil(synapse_gb * 1000 / 8))", "caches: memory at which they are emptied", ("mdad",), "read"),
    F("synapse_cache_target_mb", "MB", "min(1000, ceil(synapse_gb * 1000 / 16))", "caches: memory they are brought back to", ("mdad",), "read"),
    # -- conferences
    F("streams", "streams", "min(9, max(1, biggest_room - 1))", "pictures that a person sees", (), "unverified"),
    F("receive_mbit", "Mbit/s", "2.5 + 0.2 * (streams - 1)", "of a person: one picture of 720 lines, the others of 180", ("jitsi",)),
    F("bridges", "hosts", "0 if not jitsi else max(1, ceil(conference_peak / 200), ceil(conference_peak * receive_mbit / (0.5 * 1000)))", "200 people a bridge, and half of its 1 Gbit/s", ("opendesk", "jitsi")),
    F("bridge_apart", "", "0 if not jitsi or (stage == 1 and conference_peak <= 25) else 1", "1: bridges have hosts of their own", (), "unverified"),
    F("bridge_vcpu", "vCPU", "0 if not jitsi else 8 if bridges > 1 else min(8, max(1, ceil(conference_peak / 25)))", "of a bridge: 8 vCPU for 200 people", ("opendesk",)),
    F("bridge_gb", "GB", "0 if not jitsi else 7.25 if bridges > 1 else bridge_memory(conference_peak)", "of a bridge", ("jitsi", "opendesk")),
    F("bridge_mbit", "Mbit/s", "ceil(jitsi * conference_peak * receive_mbit)", "sent by all bridges at peak", ("jitsi",)),
    F("jitsi_vcpu", "vCPU", "0 if not jitsi else jitsi_cpu(conference_peak)", "web, prosody (one core) and jicofo", ("opendesk", "jitsi"), "read"),
    F("jitsi_gb", "GB", "0 if not jitsi else jitsi_memory(conference_peak)", "web, prosody and jicofo", ("opendesk",), "read"),
    # -- TURN
    F("turn_relayed", "people", "ceil(jitsi * conference_peak * 0.1) + ceil(matrix * active * 0.02)", "people whose network lets nothing but TURN through", (), "unverified"),
    F("turn_user_quota", "allocations", "12", "of a user", ("synapse",), "read"),
    F("turn_total_quota", "allocations", "max(120, turn_user_quota * turn_relayed)", "of all", ("synapse",)),
    F("turn_mbit", "Mbit/s", "ceil(turn_relayed * receive_mbit * 2)", "in and out again"),
    F("turn_vcpu", "vCPU", "0 if not (jitsi or matrix) else 0.25 if stage == 1 else max(1, ceil(turn_mbit / 500))", "a core for 500 Mbit/s", (), "unverified"),
    F("turn_gb", "GB", "0 if not (jitsi or matrix) else 0.25 if stage == 1 else 1", "coturn", (), "unverified"),
    # -- sign-on
    F("idp_logins_second", "logins/s", "active / 900", "all who work sign in within a quarter of an hour", (), "unverified"),
    F("idp_vcpu", "vCPU", "idp * max(1, ceil(idp_logins_second / 15))", "a core for 15 logins a second", ("keycloak",)),
    F("idp_gb", "GB", "0 if not idp else 1.5 if stage == 1 else 3.25", "1.25 GB hold the realm and 10,000 sessions", ("keycloak",)),
    F("idp_heap_mb", "MB", "0 if not idp else ceil((idp_gb * 1000 - 300) * 0.7)", "70 percent of what is left besides 300 MB", ("keycloak",)),
    F("idp_db_pool_max", "connections", "0 if not idp else 20 if stage == 1 else 50", "connections to PostgreSQL", (), "unverified"),
    # -- PostgreSQL: one cluster for Nextcloud and the sign-on, one for the chat, which wants the C locale
    F("postgres_apps", "", "1 if nextcloud or idp else 0", "1 where the cluster exists"),
    F("postgres_apps_max_connections", "connections", "0 if not postgres_apps else nextcloud_fpm_max_children * app_hosts + idp_db_pool_max + 20", "one for each child, the pool of the sign-on, 20 for people and backups"),
    F("postgres_apps_vcpu", "vCPU", "0 if not postgres_apps else apps_db_cpu(users)", "cluster of Nextcloud and the sign-on", ("opendesk",)),
    F("postgres_apps_gb", "GB", "0 if not postgres_apps else max(apps_db_memory(users), postgres_apps_max_connections * 10 / 1000 * 2)", "by users, and twice what 10 MB for each connection take", ("opendesk",)),
    F("postgres_apps_shared_buffers_mb", "MB", "floor(postgres_apps_gb * 1000 * 0.25)", "a quarter of the memory", ("postgresql",), "read"),
    F("postgres_apps_effective_cache_size_mb", "MB", "floor(postgres_apps_gb * 1000 * 0.75)", "what the system caches, shared buffers included"),
    F("postgres_apps_maintenance_work_mem_mb", "MB", "min(2000, max(64, floor(postgres_apps_gb * 1000 / 16)))", "for vacuum and indexes", (), "unverified"),
    F("postgres_apps_work_mem_mb", "MB", "8", "of a sort; twice the default", ("postgresql",), "unverified"),
    F("postgres_apps_max_wal_size_gb", "GB", "min(8, max(1, ceil(postgres_apps_gb / 8)))", "larger shared buffers want more", ("postgresql",), "unverified"),
    F("postgres_chat_max_connections", "connections", "0 if not matrix else 10 * (1 + synapse_workers) + 20", "ten for each process of Synapse, 20 for people and backups"),
    F("postgres_chat_vcpu", "vCPU", "0 if not matrix else chat_db_cpu_open(users) if open_federation else chat_db_cpu(users)", "cluster of the chat", ("ess",), "read"),
    F("postgres_chat_gb", "GB", "0 if not matrix else chat_db_memory_open(users) if open_federation else chat_db_memory(users)", "cluster of the chat", ("ess",), "read"),
    F("postgres_chat_shared_buffers_mb", "MB", "floor(postgres_chat_gb * 1000 * 0.25)", "a quarter of the memory", ("postgresql",), "read"),
    F("postgres_chat_effective_cache_size_mb", "MB", "floor(postgres_chat_gb * 1000 * 0.75)", "what the system caches, shared buffers included"),
    F("postgres_chat_maintenance_work_mem_mb", "MB", "0 if not matrix else min(2000, max(64, floor(postgres_chat_gb * 1000 / 16)))", "for vacuum and indexes", (), "unverified"),
    F("postgres_chat_work_mem_mb", "MB", "8 * matrix", "of a sort; twice the default", ("postgresql",), "unverified"),
    F("postgres_chat_max_wal_size_gb", "GB", "0 if not matrix else min(8, max(1, ceil(postgres_chat_gb / 8)))", "larger shared buffers want more", ("postgresql",), "unverified"),
    # -- watching, backing up
    F("monitoring_vcpu", "vCPU", "0 if not monitoring else 0.5 if stage == 1 else 1", "Prometheus", (), "unverified"),
    F("monitoring_gb", "GB", "0 if not monitoring else 1 if stage == 1 else 2 if stage == 2 else 4", "Prometheus", (), "unverified"),
    F("backup_vcpu", "vCPU", "0 if not backup else 0.25 if stage == 1 else 0.5 if stage == 2 else 1", "restic: encrypting and checking", (), "unverified"),
    F("backup_gb_memory", "GB", "0 if not backup else 0.5 if stage == 1 else 1 if stage == 2 else 3", "restic's index", (), "unverified"),
    F("system_gb", "GB", "0.75", "the system, exporters and logs of a host", (), "unverified"),
    F("overlap", "", "0.35 if stage == 1 else 1", "on one host the jobs' peaks seldom meet: share of the sum of their vCPU", (), "unverified"),
    # -- volumes
    F("files_volume_gb", "GB", "0 if not nextcloud else max(20, ceil(users * files_gb * 1.15))", "files, versions and trash"),
    F("media_volume_gb", "GB", "0 if not matrix else 20 + users", "pictures and files of the chat: a GB a user", (), "unverified"),
    F("postgres_apps_volume_gb", "GB", "0 if not postgres_apps else 20 + ceil(users * 0.1)", "tables, indexes and the log of a day", (), "unverified"),
    F("postgres_chat_volume_gb", "GB", "0 if not matrix else 20 + ceil(users * (0.4 if open_federation else 0.1))", "tables, indexes and the log of a day; rooms of other servers weigh more", (), "unverified"),
    F("metrics_days", "days", "90", "that measurements are kept", (), "unverified"),
    F("metrics_volume_gb", "GB", "0 if not monitoring else 10 + ceil(hosts * 2000 / 15 * 86400 * metrics_days * 2 / 10**9)", "2,000 series a host every 15 s, two bytes each", ("prometheus",)),
    F("backup_volume_gb", "GB", "0 if not backup else ceil((files_volume_gb / 1.15 + media_volume_gb + postgres_apps_volume_gb + postgres_chat_volume_gb) * (1 + 0.01 * backup_days))", "all data once, and one percent of it for each day that is kept", (), "unverified"),
)  # fmt: skip

_CALLS: dict[str, Callable[..., Any]] = {
    "ceil": lambda value: math.ceil(round(value, 9)),  # 0.1 * 30 is not above 3
    "floor": lambda value: math.floor(round(value, 9)),
    "min": min,
    "max": max,
    **TABLES,
}


def evaluate(answers: Mapping[str, float], *, after: Mapping[str, Figure] | None = None) -> dict[str, Figure]:  # fmt: skip
    """Figures in the order of the formulas; those that want an answer which is not there yet (`hosts`) are left out.

    `after` holds figures that are known already. Raises KeyError for a name that is nothing of all that.
    """
    figures = dict(after or {})
    known: dict[str, float] = {**answers, **{name: held.value for name, held in figures.items()}}
    for formula in FORMULAS:
        if formula.name in figures:
            continue
        names = _names(formula.text)
        if any(name not in known and name in ANSWERS for name in names):
            continue
        inputs = {name: known[name] for name in names}
        value = eval(_code(formula.text), {"__builtins__": {}}, {**_CALLS, **inputs})  # noqa: S307 - text of this module alone
        value = round(float(value), 3)
        figures[formula.name] = Figure(int(value) if value.is_integer() else value, formula, inputs)
        known[formula.name] = figures[formula.name].value
    return figures


@cache
def _code(text: str) -> Any:
    return compile(text, "<formula>", "eval")


@cache
def _names(text: str) -> tuple[str, ...]:
    """What a formula is made of, in the order in which it stands there."""
    found = (node for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name))
    ordered = sorted(found, key=lambda node: node.col_offset)
    return tuple(dict.fromkeys(node.id for node in ordered if node.id not in _CALLS))


def tables_of(text: str) -> tuple[str, ...]:
    """The tables that a formula looks into."""
    found: Iterable[ast.AST] = ast.walk(ast.parse(text, mode="eval"))
    return tuple(dict.fromkeys(n.id for n in found if isinstance(n, ast.Name) and n.id in TABLES))


def digest() -> str:
    """The digest of all formulas and tables: a plan says by which it was made."""
    total = hashlib.sha256()
    for held in (*FORMULAS, *TABLES.values(), *SOURCES.values()):
        total.update(repr(held).encode())
    return f"sha256:{total.hexdigest()}"
