"""Zones, certificates and distributions together -> names that fail today or at the switch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Finding, text
from toolkit.plan.graph import bare_host

if TYPE_CHECKING:
    from toolkit.estate.model import Estate, Resource

_MAIL = (".amazonaws.com", ".awsapps.com")


def names(estate: Estate) -> Iterator[tuple[str, Finding]]:
    """Mail that arrives at AWS, names that lead nowhere, certificates that nobody can validate."""
    zones = _Zones(estate)
    yield from _mail(estate)
    yield from _dangling(estate, zones)
    yield from _certificates(estate, zones)
    yield from _distributions(estate)


class _Zones:
    """Which names the zones of the estate hold; a zone without its SOA was not read to the end."""

    def __init__(self, estate: Estate) -> None:
        held: dict[str, set[str]] = {}
        ids = {zone.id: _plain(zone.name) for zone in estate.of("aws.route53.hosted_zone")}
        read = set()
        self.delegated: set[str] = set()
        for record in estate.of("aws.route53.record_set"):
            zone = ids.get(record.id.split(" ", 1)[0])
            if zone is None:
                continue
            name = _plain(record.record.get("Name"))
            if record.record.get("Type") == "SOA":
                read.add(zone)
            if record.record.get("Type") == "NS" and name != zone:
                self.delegated.add(name)
            held.setdefault(zone, set()).add(name)
        self.names: Mapping[str, set[str]] = {zone: held[zone] for zone in sorted(read)}

    def of(self, name: str) -> str:
        """The nearest zone above a name, or ""."""
        parts = name.split(".")
        above = (".".join(parts[n:]) for n in range(len(parts)))
        return next((zone for zone in above if zone in self.names), "")

    def lacks(self, name: str) -> str:
        """The zone that should hold a name and does not; "" where it does, or is not of the estate."""
        zone = self.of(name)
        if not zone:
            return ""
        held = self.names[zone]
        below = name.removesuffix(zone).rstrip(".").split(".")
        above = [".".join([*below[n:], zone]) for n in range(1, len(below) + 1)]
        # a wildcard answers for it, or servers of somebody else to whom it is delegated
        found = (
            name in held
            or any(f"*.{each}" in held for each in above)
            or any(each in self.delegated for each in (name, *above))
        )
        return "" if found else zone


def _plain(name: object) -> str:
    return str(name or "").replace("\\052", "*").rstrip(".").lower()


def _values(record: Resource) -> list[str]:
    return [
        str(each.get("Value", ""))
        for each in record.record.get("ResourceRecords") or []
        if isinstance(each, dict)
    ]


def _mail(estate: Estate) -> Iterator[tuple[str, Finding]]:
    for record in estate.of("aws.route53.record_set"):
        if record.record.get("Type") == "MX" and any(
            _plain(value).endswith(_MAIL) for value in _values(record)
        ):
            yield (
                record.key,
                Finding(
                    "mx-amazon",
                    "warning",
                    text(
                        "Mail for {name} arrives at AWS: it is lost if the account ends before the record has changed everywhere.",
                        name=record.name,
                    ),
                ),
            )


def _dangling(estate: Estate, zones: _Zones) -> Iterator[tuple[str, Finding]]:
    found: dict[tuple[str, str], tuple[str, set[str]]] = {}
    for record in estate.of("aws.route53.record_set"):
        values = _values(record) if record.record.get("Type") == "CNAME" else []
        alias = (record.record.get("AliasTarget") or {}).get("DNSName")
        for value in [*values, *([alias] if alias else [])]:
            if zones.lacks(_plain(value)):
                place = record.id.split(" ", 1)[0], record.name
                found.setdefault(place, (record.key, set()))[1].add(_plain(value))
    for (_, name), (key, targets) in sorted(found.items()):
        yield (
            key,
            Finding(
                "record-dangling",
                "warning",
                text(
                    "{name} points at {targets}, which the zone does not have: nobody gets an answer today.",
                    name=name,
                    targets=", ".join(sorted(targets)),
                ),
            ),
        )


def _certificates(estate: Estate, zones: _Zones) -> Iterator[tuple[str, Finding]]:
    for certificate in estate.of("aws.acm.certificate"):
        held: Mapping[str, Any] = certificate.record.get("Certificate") or {}
        if not held.get("InUseBy"):
            continue
        for option in held.get("DomainValidationOptions") or []:
            wanted = _plain((option.get("ResourceRecord") or {}).get("Name"))
            if not wanted or not (zone := zones.lacks(wanted)):
                continue
            yield (
                certificate.key,
                Finding(
                    "certificate-unvalidated",
                    "warning",
                    text(
                        "AWS cannot renew the certificate of {name}: its validation record {record} is missing in {zone}."
                        if option.get("ValidationStatus") == "SUCCESS"
                        else "The certificate of {name} is not validated: its record {record} is missing in {zone}.",
                        name=option.get("DomainName") or certificate.name,
                        record=wanted,
                        zone=zone,
                    ),
                ),
            )


def _distributions(estate: Estate) -> Iterator[tuple[str, Finding]]:
    hosts = {
        bare_host(str(each.record.get("DomainName", ""))): each
        for each in estate.of("aws.cloudfront.distribution")
    }
    if not hosts:
        return
    for record in estate.of("aws.route53.record_set"):
        alias = (record.record.get("AliasTarget") or {}).get("DNSName")
        for value in [*_values(record), *([alias] if alias else [])]:
            front = hosts.get(bare_host(value))
            if front is None:
                continue
            known = {_plain(each) for each in (front.record.get("Aliases") or {}).get("Items", [])}
            name = _plain(record.name)
            if name not in known and f"*.{name.partition('.')[2]}" not in known:
                yield (
                    record.key,
                    Finding(
                        "name-unserved",
                        "warning",
                        text(
                            "{name} leads to the distribution {id}, which does not know this name and has no certificate for it: it fails today.",
                            name=record.name,
                            id=front.id,
                        ),
                    ),
                )
                break
