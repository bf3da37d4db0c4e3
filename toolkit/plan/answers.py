"""Records of a wave -> the change batches that lower their TTL, switch them and take both back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from toolkit.plan.moves import variable
from toolkit.plan.names import slug
from toolkit.program import Out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.plan.step import Material
    from toolkit.plan.waves import Wave

FOLDER = "runbooks/dns"
LOW = 60
"""Seconds that an answer may be remembered around the switch."""
Batch = Literal["ttl", "ttl-undo", "switch", "switch-undo"]


@dataclass(frozen=True, slots=True)
class Change:
    """A record that gets a new answer. `stack` and `output` tell it once it is built; else a person does."""

    record: Resource
    zone: Resource
    variable: str
    stack: str = ""
    output: str = ""

    @property
    def key(self) -> str:
        return self.record.key

    @property
    def name(self) -> str:
        return str(self.record.record["Name"]).replace("\\052", "*")

    @property
    def kind(self) -> str:
        return str(self.record.record.get("Type", "A"))

    @property
    def ttl(self) -> int | None:
        """None for an alias: AWS sets its own, 60 s."""
        held = self.record.record.get("TTL")
        return held if isinstance(held, int) else None


@dataclass(frozen=True, slots=True)
class Listed:
    """Every record of a zone, to compare the old name servers with the new ones."""

    compared: str
    delegated: str
    listed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answers:
    """The records in public zones that name what cuts over in one wave."""

    wave: int
    changed: tuple[Change, ...]

    @staticmethod
    def of(m: Material, wave: Wave) -> Answers:
        """A record outside a zone that was read, or in a private one, is nothing that Route 53 can switch for users."""
        found: dict[str, Change] = {}
        for key in wave.keys:
            for name in m.named.get(key, ()):
                record = m.estate.by_key[name]
                zone = m.estate.find("aws.route53.hosted_zone", record.id.split(" ", 1)[0], record)
                if zone is not None and not _private(zone) and record.key not in found:
                    stack, output = _output(m, record)
                    found[record.key] = Change(record, zone, _variable(record), stack, output)
        return Answers(wave.number, tuple(found[key] for key in sorted(found)))

    @staticmethod
    def every(m: Material, zone: str) -> Listed:
        """All records of a zone but its own NS and SOA."""
        held = m.estate.by_key[zone]
        names = sorted(
            {
                (str(each.record["Name"]), str(each.record.get("Type", "A")))
                for each in m.estate.of("aws.route53.record_set")
                if each.id.split(" ", 1)[0] == held.id and each.account == held.account
                and not (each.record.get("Type") in ("NS", "SOA") and each.record.get("Name") == held.record.get("Name"))
            }
        )  # fmt: skip
        path = f"{FOLDER}/{slug(held.name)}-names.txt"
        old = _at(held)
        return Listed(
            f': "${{NEW_NAME_SERVER:?}}" && while read -r name type; do\n'
            f'  diff <(dig +short {old}"$name" "$type" | sort) <(dig +short @"$NEW_NAME_SERVER" "$name" "$type" | sort) || echo "differs: $name $type"\n'
            f"done < {shlex.quote(path)}",
            f"dig +short NS {shlex.quote(held.name.rstrip('.'))}",
            {path: "".join(f"{name} {kind}\n" for name, kind in names)},
        )

    @property
    def lowered(self) -> tuple[Change, ...]:
        """Those that resolvers would remember for too long."""
        return tuple(each for each in self.changed if (each.ttl or 0) > LOW)

    @property
    def names(self) -> list[str]:
        return sorted({each.name.rstrip(".") for each in self.changed})

    @property
    def remembered_hours(self) -> int:
        return -(-max((each.ttl or 0 for each in self.lowered), default=0) // 3600)

    @property
    def remembered_days(self) -> int:
        return -(-self.remembered_hours // 24)

    def command(self, batch: Batch) -> str:
        """Fills in the new addresses, sends the batch of each zone and waits until its name servers have it."""
        lines = []
        if batch == "switch":
            lines += [
                f"{each.variable}=$(pulumi -C {shlex.quote(f'stacks/{each.stack}')} stack output {shlex.quote(each.output)} --stack main)"
                for each in _once(self.changed)
                if each.stack
            ]
            # a hole that stayed empty must stop everything before the first zone is changed
            lines += [f': "${{{each.variable}:?}}"' for each in _once(self.changed)]
        for zone, changes in self._zones(batch):
            path = self._path(zone, batch)
            if batch == "switch":
                holes = " ".join(
                    f'-e "s/@{each.variable}@/${each.variable}/"' for each in _once(changes)
                )
                read = f'"$(sed {holes} {path})"'
            else:
                read = f"file://{path}"
            send = f"aws route53 change-resource-record-sets --hosted-zone-id {shlex.quote(_id(zone))} --change-batch {read} --query ChangeInfo.Id --output text"
            lines.append(f'aws route53 wait resource-record-sets-changed --id "$({send})"')
        return " &&\n".join(lines)

    def asked(self, changes: Iterable[Change], *, ttl: bool = False) -> str:
        """One question to the zone's own name server per record."""
        how = "+noall +answer" if ttl else "+short"
        asked = {(each.name, each.kind): each for each in changes}
        return "\n".join(
            f"dig {how} {_at(each.zone)}{shlex.quote(name)} {shlex.quote(kind)}"
            for (name, kind), each in sorted(asked.items())
        )

    def files(self, *batches: Batch) -> dict[str, str]:
        """The change batches that `command` names."""
        return {
            self._path(zone, batch): _batch([_set(each, batch) for each in changes])
            for batch in batches
            for zone, changes in self._zones(batch)
        }

    def _zones(self, batch: Batch) -> list[tuple[Resource, list[Change]]]:
        found: dict[str, list[Change]] = {}
        for each in self.changed if batch.startswith("switch") else self.lowered:
            found.setdefault(each.zone.key, []).append(each)
        return [(changes[0].zone, changes) for _, changes in sorted(found.items())]

    def _path(self, zone: Resource, batch: Batch) -> str:
        rivals = {each.zone.key for each in self.changed if each.zone.name == zone.name}
        mark = slug(zone.name) if len(rivals) == 1 else f"{slug(zone.name)}-{slug(_id(zone))}"
        return f"{FOLDER}/w{self.wave:02}-{mark}-{batch}.json"


def _private(zone: Resource) -> bool:
    return bool((zone.record.get("Config") or {}).get("PrivateZone"))


def _id(zone: Resource) -> str:
    return zone.id.rpartition("/")[2]


def _at(zone: Resource) -> str:
    """`@server `: a name server of the zone at AWS; a zone that was read without any is asked through the resolver."""
    held = ((zone.record.get("Zone") or {}).get("DelegationSet") or {}).get("NameServers") or []
    return f"@{shlex.quote(str(held[0]))} " if held else ""


def _variable(record: Resource) -> str:
    parts = [str(record.record["Name"]).rstrip("."), str(record.record.get("Type", "A"))]
    if record.record.get("SetIdentifier"):
        parts.append(str(record.record["SetIdentifier"]))
    return variable("NEW", "-".join(parts))


def _once(changes: Iterable[Change]) -> list[Change]:
    """Each variable once: two records of one name may share it."""
    return list({each.variable: each for each in changes}.values())


def _output(m: Material, record: Resource) -> tuple[str, str]:
    """(stack, output) that tells the new address: what the record's own resource at the target reads."""
    placed = m.placed.get((record.key, ""))
    if placed is not None:
        held = placed.node.props.get("target") or placed.node.props.get("records")
        out = held[0] if isinstance(held, list) and len(held) == 1 else held
        if isinstance(out, Out) and (hit := m.placed.get((out.origin, out.role))) is not None:
            return hit.stack, f"{hit.name}.{out.attr}"
    return "", ""


def _set(change: Change, batch: Batch) -> dict[str, Any]:
    """The record set as it shall be. What AWS routes by stays; a health check of the old address does not."""
    held = change.record.record
    kept = {name: value for name, value in held.items() if value is not None}
    if batch == "ttl-undo" or (batch == "switch-undo" and change.ttl is None):
        return kept
    if batch == "switch":
        for gone in ("AliasTarget", "ResourceRecords", *(() if kept.get("Failover") else ("HealthCheckId",))):  # fmt: skip
            kept.pop(gone, None)
        kept["ResourceRecords"] = [{"Value": f"@{change.variable}@"}]
    kept["TTL"] = min(change.ttl or LOW, LOW)
    return kept


def _batch(sets: list[dict[str, Any]]) -> str:
    changes = [{"Action": "UPSERT", "ResourceRecordSet": each} for each in sets]
    return json.dumps({"Changes": changes}, indent=2, sort_keys=True) + "\n"
