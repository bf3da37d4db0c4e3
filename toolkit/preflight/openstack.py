"""Needs of a place and what is seen there -> findings: each name that the plan says, against what the target has."""

from __future__ import annotations

import datetime
import difflib
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.engines.openstack import connect, entry, signed_in, told
from toolkit.errors import TargetError
from toolkit.preflight import amounts, routes
from toolkit.preflight.marks import Marks
from toolkit.preflight.needs import Needs, Secret, users
from toolkit.preflight.report import Finding, Request, Severity
from toolkit.preflight.seen import Seen, watch

if TYPE_CHECKING:
    import openstack.connection
    from keystoneauth1.access import AccessInfo

SKEW_WARNING, SKEW_ERROR = 30.0, 300.0
"""Seconds. S3 signatures fail beyond 300 at Swift, and a token's end is reckoned by this machine's clock."""
EXPIRES_SOON = datetime.timedelta(days=14)
ROLES = {
    "load-balancer": "load-balancer_member",
    "key-manager": "creator",
    "object-store": "member (at some providers SwiftOperator)",
}
"""Service -> the role that its upstream policy asks for besides `member`."""
READS_ONLY = {"reader", "observer", "load-balancer_observer", "audit", "auditor"}
MIGHTY = {"admin", "cloud_admin", "load-balancer_admin", "heat_stack_admin"}
READS: Mapping[str, tuple[str, ...]] = {
    "compute": ("flavors", "limits", "servers", "server_groups", "key_pairs"),
    "image": ("images",),
    "block-storage": ("volume_types", "volume_quotas", "volumes"),
    "network": ("networks", "subnets", "ports", "routers", "groups", "addresses", "network_quotas", "extensions"),
    "load-balancer": ("balancers", "balancer_quotas"),
    "dns": ("zones", "zone_quotas"),
    "key-manager": ("secrets", "secret_quotas"),
    "object-store": ("containers",),
    "shared-file-system": ("share_types",),
}  # fmt: skip
"""What is always read of a service that the plan needs."""
HEADS = 50
"""Containers of which the plan's mark is asked one by one, where their names are taken."""


@dataclass
class Looked:
    """What looking at one place gave."""

    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    calls: int = 0


def look(held: Needs, *, alone: bool) -> Looked:
    """Look at one place. Never raises TargetError: a sign-in that fails is the one finding then."""
    out = Looked()
    where = held.where
    try:
        connection = connect(held.place, alone=alone)
        seen = Seen(str(signed_in(connection).project_id))
        clock = watch(connection, seen)
    except TargetError as error:
        out.findings.append(Finding("sign-in", where, "credentials", error.message, error.hint))
        out.unchecked.append(f"everything else of {where or 'the target'}: nobody could sign in")
        return out
    out.checked.append("credentials")
    try:
        _Look(held, connection, seen, out, alone).all()
    finally:
        connection.session.session.close()
    out.findings += _skew(where, clock.skew)
    out.checked.append("clock")
    out.calls = seen.calls
    return out


def _skew(where: str, ahead: float | None) -> Iterator[Finding]:
    if ahead is None or abs(ahead) < SKEW_WARNING:
        return
    way = "ahead of" if ahead > 0 else "behind"
    yield Finding(
        "clock", where, "this machine",
        f"the clock of this machine is {abs(ahead):.0f} s {way} the target's",
        "Set it by NTP (chrony, systemd-timesyncd): tokens end at the wrong time, and S3 signatures are refused beyond 5 minutes.",
        "error" if abs(ahead) >= SKEW_ERROR else "warning",
    )  # fmt: skip


@dataclass
class _Look:
    needs: Needs
    connection: openstack.connection.Connection
    seen: Seen
    out: Looked
    alone: bool

    def say(self, code: str, subject: str, says: str, hint: str, severity: Severity = "error") -> None:  # fmt: skip
        self.out.findings.append(Finding(code, self.needs.where, subject, says, hint, severity))

    def all(self) -> None:
        """Every check, in the order in which a reader wants them."""
        access = signed_in(self.connection)
        self.credentials(access)
        there = self.services(access)
        wanted = [name for service in there for name in READS.get(service, ())]
        if self.needs.zones:
            wanted.append("availability_zones")
        if self.needs.balancer_flavors:
            wanted.append("balancer_flavors")
        if self.needs.balancer_providers:
            wanted.append("balancer_providers")
        self.seen.read(self.connection, wanted)
        if "balancer_quotas" in self.seen:  # children are counted where there is a limit to them
            limits = amounts.balancer_limits(self.seen["balancer_quotas"])
            more = [k for k in ("listeners", "pools", "health_monitors", "l7policies") if limits.get(k, -1) >= 0]  # fmt: skip
            self.seen.read(self.connection, more)
        self.faults()
        marks = Marks.of(self.needs, self.seen)
        self.names()
        self.networks()
        self.extensions()
        self.images_fit()
        self.given()
        self.taken(marks)
        for finding in routes.clashes(self.needs, self.seen, marks):
            self.out.findings.append(finding)
        if {"subnets", "ports", "routers", "networks"} <= self.seen.held.keys():
            self.out.checked.append("address clashes")
        self.quotas(marks)
        self.left_out()

    # ------------------------------------------------------------------------------ credentials

    def credentials(self, access: AccessInfo) -> None:
        place, project = self.needs.place, f"{access.project_name}"
        if place.project and place.project not in (access.project_name, access.project_id):
            used = entry(place, alone=self.alone)
            self.say(
                "project", place.project,
                f"the credentials ({used}) are for the project {project}, the plan is for {place.project}",
                "If that is the one, write its name into repatria.toml (target.project) and plan again; else correct OS_CLOUD.", "warning",
            )  # fmt: skip
        roles = {str(each) for each in access.role_names or ()}
        if mighty := sorted(roles & MIGHTY):
            self.say(
                "least-privilege", project, f"the credentials have the role {', '.join(mighty)}",
                "A migration needs no administrator: make an application credential with member and the roles of the services it uses.", "warning",
            )  # fmt: skip
        if roles and roles <= READS_ONLY:
            self.say(
                "roles", project, f"the credentials have only {', '.join(sorted(roles))}",
                "To create what the plan names, the role member is needed in the project.", "warning",
            )  # fmt: skip
        self._application_credential(access, project)
        self.out.checked.append("roles")

    def _application_credential(self, access: AccessInfo, project: str) -> None:
        said = access._data["token"].get("application_credential")  # keystoneauth shows only its id
        if not said:
            self.say(
                "application-credential", project, "the sign-in is by a user's password or token, not by an application credential",
                "`openstack application credential create repatria --role member` (one --role for each that the plan needs) makes one that can be revoked by itself.", "advice",
            )  # fmt: skip
            return
        if said.get("restricted") is False:
            self.say(
                "application-credential", project, "the application credential is unrestricted: it can make others of its kind",
                "Make one without --unrestricted.", "advice",
            )  # fmt: skip
        self.out.checked.append("application credential")
        end = self._expiry(str(access.user_id), str(said["id"]))
        if end is not None and end - datetime.datetime.now(datetime.UTC) < EXPIRES_SOON:
            self.say(
                "application-credential", project, f"the application credential ends on {end:%Y-%m-%d %H:%M} UTC",
                "Make one that outlives the last wave.", "warning",
            )  # fmt: skip

    def _expiry(self, user: str, id_: str) -> datetime.datetime | None:
        from keystoneauth1.exceptions import ClientException

        try:
            said = self.connection.identity.get(
                f"/users/{user}/application_credentials/{id_}"
            ).json()
            text = said["application_credential"]["expires_at"]
            end = datetime.datetime.fromisoformat(text) if text else None
        except (ClientException, KeyError, TypeError, ValueError):
            self.out.unchecked.append(
                "when the application credential ends: the target does not say"
            )
            return None
        return end.replace(tzinfo=end.tzinfo or datetime.UTC) if end else None

    # --------------------------------------------------------------------------------- services

    def services(self, access: AccessInfo) -> list[str]:
        """The needed services that the catalogue has in this region; a finding for each that it has not."""
        from os_service_types import ServiceTypes

        types = ServiceTypes()
        region = self.connection.config.region_name
        has = {
            str(service["type"])
            for service in access.service_catalog.catalog
            if any(not region or region in (e.get("region_id"), e.get("region")) for e in service.get("endpoints", ()))
        }  # fmt: skip
        there: list[str] = []
        for service, subjects in sorted(self.needs.services.items()):
            if has & set(types.get_all_types(service) or [service]):
                there.append(service)
            else:
                self.say(
                    "service", service, f"the target has no service {service}{f' in {region}' if region else ''}; {users(subjects)} need it",
                    "Where it is in another region, map to that; else decide otherwise in decisions.yaml and plan again.",
                )  # fmt: skip
        self.out.checked.append("services")
        return there

    def faults(self) -> None:
        """A finding for each service that failed or forbade; what could not be read is told as unchecked."""
        by_service: dict[str, list[Any]] = {}
        hidden = sorted(f.what for f in self.seen.faults.values() if f.hidden)
        if hidden:
            self.out.unchecked.append(f"{', '.join(hidden)} of {self.needs.where or 'the target'}: the target does not show them")  # fmt: skip
        for fault in self.seen.faults.values():
            if fault.hidden:
                continue
            by_service.setdefault(fault.service, []).append(fault)
        for service, faults in sorted(by_service.items()):
            what = ", ".join(sorted({each.what for each in faults}))
            if any(each.status == 403 for each in faults):
                role = ROLES.get(service, "member")
                self.say(
                    "roles", service, f"{service} forbids the credentials to read {what}, so it will not let them create either",
                    f"Give the credentials the role {role} in the project; an application credential has to be made anew to get it.",
                )  # fmt: skip
            else:
                self.say("api", service, f"{what} could not be read: {faults[0].says}", faults[0].hint)  # fmt: skip
            self.out.unchecked.append(f"{what} of {self.needs.where or 'the target'}")

    # ------------------------------------------------------------------------------------ names

    def names(self) -> None:
        """Flavors, images, volume types, zones, sizes and providers of load balancers, key pairs."""
        n = self.needs
        for code, words, wanted, source in (
            ("flavor", "flavor", n.flavors, "flavors"),
            ("image", "image", n.images, "images"),
            ("volume-type", "volume type", n.volume_types, "volume_types"),
            ("balancer-flavor", "size of load balancer", n.balancer_flavors, "balancer_flavors"),
            ("balancer-provider", "provider of load balancers", n.balancer_providers, "balancer_providers"),
        ):  # fmt: skip
            if wanted and source in self.seen:
                self._each(code, words, wanted, [str(each.name) for each in self.seen[source]])
        if n.share_types and "share_types" in self.seen:
            self._each("share-type", "type of shared file systems", n.share_types, [str(each["name"]) for each in self.seen["share_types"]])  # fmt: skip
        if n.zones and "availability_zones" in self.seen:
            zones = self.seen["availability_zones"]
            open_ = [z["zoneName"] for z in zones if z.get("zoneState", {}).get("available")]
            self._each("zone", "availability zone", n.zones, open_)
        if n.key_pairs and "key_pairs" in self.seen:
            planned = {str(each.props.get("name")) for each in n.of("openstack.compute.Keypair")}
            wanted = {name: who for name, who in n.key_pairs.items() if name not in planned}
            self._each("key-pair", "key pair", wanted, [str(k.name) for k in self.seen["key_pairs"]])  # fmt: skip

    def _each(self, code: str, words: str, wanted: Mapping[str, list[str]], has: list[str]) -> None:
        for name, subjects in sorted(wanted.items()):
            if name in has:
                continue
            near = difflib.get_close_matches(name, has, n=3, cutoff=0.3) or sorted(has)[:5]
            settings = self.needs.settings.get(name, [])
            where = f" Set another in {users(settings)} (Pulumi.main.yaml of the stack)." if settings else ""  # fmt: skip
            self.say(
                code, name, f"the target has no {words} {name!r}; {users(subjects)} need it",
                (f"It has {', '.join(near)}." if near else f"It shows this project no {words} at all.") + where,
            )  # fmt: skip
        self.out.checked.append(f"{words}s ({len(wanted)})")

    def networks(self) -> None:
        """The external networks that routers and public addresses name: there, external, and one of that name."""
        if not self.needs.networks or "networks" not in self.seen:
            return
        named: dict[str, list[Any]] = {}
        for each in self.seen["networks"]:
            named.setdefault(str(each.name), []).append(each)
        outside = sorted({str(n.name) for n in self.seen["networks"] if n.is_router_external})
        for name, subjects in sorted(self.needs.networks.items()):
            found = [each for each in named.get(name, ()) if each.is_router_external]
            settings = self.needs.settings.get(name, [])
            where = f" Set it in {users(settings, 2)} (Pulumi.main.yaml of the stack)." if settings else ""  # fmt: skip
            has = f"External networks here: {', '.join(outside) or 'none'}."
            if not found and name in named:
                self.say("external-network", name, f"the network {name!r} is not external; {users(subjects)} need one that is", has + where)  # fmt: skip
            elif not found:
                self.say("external-network", name, f"the target has no external network {name!r}; {users(subjects)} need it", has + where)  # fmt: skip
            elif len(found) > 1:
                self.say("external-network", name, f"{len(found)} external networks are called {name!r}, so the name says not which", "Ask the provider which one is meant." + where)  # fmt: skip
        self.out.checked.append(f"external networks ({len(self.needs.networks)})")

    def extensions(self) -> None:
        """Extensions of Neutron that planned properties need."""
        if "extensions" not in self.seen:
            return
        has = {str(each.alias) for each in self.seen["extensions"]}
        for name, subjects in sorted(self.needs.extensions.items()):
            if name not in has:
                self.say("extension", name, f"the network service has no extension {name}; {users(subjects)} need it", "Ask the provider whether it can be had; without it these resources are refused.")  # fmt: skip
        self.out.checked.append(f"network extensions ({len(self.needs.extensions)})")

    def images_fit(self) -> None:
        """Whether each image fits into the flavor or the boot volume that is to hold it."""
        if "images" not in self.seen or "flavors" not in self.seen:
            return
        images = {str(each.name): each for each in self.seen["images"]}
        flavors = {str(each.name): each for each in self.seen["flavors"]}
        told: set[tuple[str, str]] = set()
        for each in self.needs.things:
            source = each.props.get("image_id")
            name = source["args"].get("name") if isinstance(source, dict) and "$lookup" in source else None  # fmt: skip
            image = images.get(name) if isinstance(name, str) else None
            if image is None:
                continue
            if each.type == "openstack.blockstorage.Volume":
                size = each.props.get("size")
                if isinstance(size, int) and size < (image.min_disk or 0) and (str(name), str(size)) not in told:  # fmt: skip
                    told.add((str(name), str(size)))
                    self.say("image", str(name), f"the image {name!r} needs {image.min_disk} GB of disk; {each.subject} has {size}", "Make the volume larger in overrides.py, or choose another image.")  # fmt: skip
            elif (flavor := flavors.get(str(each.props.get("flavor_name")))) is not None:
                disk_short = not each.props.get("block_devices") and (flavor.disk or 0) < (image.min_disk or 0)  # fmt: skip
                if (disk_short or flavor.ram < (image.min_ram or 0)) and (str(name), flavor.name) not in told:  # fmt: skip
                    told.add((str(name), flavor.name))
                    self.say("image", str(name), f"the image {name!r} needs {image.min_ram or 0} MB of memory and {image.min_disk or 0} GB of disk; {flavor.name} of {each.subject} has {flavor.ram} and {flavor.disk}", "Choose a larger flavor.")  # fmt: skip

    def given(self) -> None:
        """Ids that the operator set after a move: each must be there, and a volume must be free."""
        for words, wanted, source in (
            ("volume", self.needs.volume_ids, "volumes"), ("image", self.needs.image_ids, "images"),
        ):  # fmt: skip
            if not wanted or source not in self.seen:
                continue
            has = {str(each.id): each for each in self.seen[source]}
            for id_, subjects in sorted(wanted.items()):
                if id_ not in has:
                    self.say(f"moved-{words}", id_, f"there is no {words} {id_}; {users(subjects)} need it", f"Set the id that the move printed in {users(self.needs.settings.get(id_, ['the stack']))}.")  # fmt: skip
            self.out.checked.append(f"moved {words}s ({len(wanted)})")

    # ------------------------------------------------------------------------------- name clashes

    def taken(self, marks: Marks) -> None:
        """Names that exist already and are not the plan's own."""
        for type_, words, source in (
            ("openstack.networking.Network", "network", "networks"), ("openstack.networking.Router", "router", "routers"),
            ("openstack.networking.SecGroup", "security group", "groups"), ("openstack.blockstorage.Volume", "volume", "volumes"),
            ("openstack.compute.Instance", "server", "servers"), ("openstack.loadbalancer.LoadBalancer", "load balancer", "balancers"),
        ):  # fmt: skip
            if source not in self.seen:
                continue
            planned = {str(each.props["name"]): each.subject for each in self.needs.of(type_) if isinstance(each.props.get("name"), str)}  # fmt: skip
            twice = sorted({
                str(each.name) for each in self.seen[source]
                if each.name in planned and not marks.own(source, each)
                and str(getattr(each, "project_id", None) or self.seen.project) == self.seen.project
            })  # fmt: skip
            for name in twice:
                self.say(
                    "name", name, f"a {words} {name!r} is there already and not of this plan; {planned[name]} would become a second one",
                    "Rename or remove the other one; where it is what an earlier run left, `repatria apply` finds its own by their marks.", "warning",
                )  # fmt: skip
        self._key_pairs()
        self._zones(marks)
        self._containers()
        self.out.checked.append("names that exist")

    def _key_pairs(self) -> None:
        if "key_pairs" not in self.seen:
            return
        has = {str(each.name): each for each in self.seen["key_pairs"]}
        for each in self.needs.of("openstack.compute.Keypair"):
            held = has.get(str(each.props.get("name")))
            key = each.props.get("public_key")
            if held is None or (isinstance(key, str) and _key(key) == _key(held.public_key or "")):
                continue
            self.say(
                "key-pair-taken", held.name, f"a key pair {held.name!r} is there already" + (" with another key" if isinstance(key, str) else ""),
                f"Key pairs are one a name and user: remove it, or name another in overrides.py ({each.subject}).",
            )  # fmt: skip

    def _zones(self, marks: Marks) -> None:
        if "zones" not in self.seen:
            return
        has = {str(each.name).rstrip("."): each for each in self.seen["zones"]}
        for each in self.needs.of("openstack.dns.Zone"):
            held = has.get(str(each.props.get("name")).rstrip("."))
            if held is not None and not marks.own("zones", held):
                self.say("name", held.name, f"the DNS zone {held.name} is there already and not of this plan; {each.subject} would be refused", "Import it into the stack, or remove it.")  # fmt: skip

    def _containers(self) -> None:
        """A container of the same name would be taken over in silence, so each is asked whose it is."""
        if "containers" not in self.seen:
            return
        has = {str(each.name) for each in self.seen["containers"]}
        taken = [each for each in self.needs.of("openstack.objectstorage.Container") if each.props.get("name") in has]  # fmt: skip
        for each in taken[:HEADS]:
            try:
                with told():
                    path = urllib.parse.quote(str(each.props["name"]), safe="")
                    headers = self.connection.object_store.head(f"/{path}").headers
            except TargetError as error:
                self.out.unchecked.append(f"whose the container {each.props['name']} is: {error.message}")  # fmt: skip
                continue
            stack = headers.get("X-Container-Meta-Repatria-Stack", "")
            name = headers.get("X-Container-Meta-Repatria-Name", "")
            if (stack, name) != each.marks:
                self.say("name", str(each.props["name"]), f"a container {each.props['name']!r} is there already and not of this plan; {each.subject} would take it over", f"Choose another name in {users(self.needs.settings.get(str(each.props['name']), ['the stack']))}.")  # fmt: skip
        if len(taken) > HEADS:
            self.out.unchecked.append(f"whose {len(taken) - HEADS} more containers are")

    # ----------------------------------------------------------------------------------- amounts

    def quotas(self, marks: Marks) -> None:
        """Quotas against sums; what is too small becomes a request for exactly what is needed."""
        found, checked, unchecked = amounts.short(self.needs, self.seen, marks)
        for each in found:
            self.out.requests.append(each)
            self.say(
                "quota", each.kind,
                f"the quota {each.kind} is {each.limit}; the plan takes {each.needed}" + (f" beside {each.used} that others use" if each.used else ""),
                f"Ask the provider for {each.request}; the text to send is in the answer.",
            )  # fmt: skip
        self.out.checked.append(f"quotas ({len(checked)})")
        if unchecked:
            self.out.unchecked.append(f"quotas of {', '.join(unchecked)}: the target does not show them")  # fmt: skip

    def left_out(self) -> None:
        """What preflight cannot look at, said plainly; what is still to be set, as advice."""
        n = self.needs
        for type_, count in sorted(n.foreign.items()):
            self.out.unchecked.append(f"{count} x {type_}: made by the provider's own API, which is not OpenStack's")  # fmt: skip
        for function, subjects in sorted(n.lookups.items()):
            self.out.unchecked.append(f"{function} of {users(subjects)}")
        if any(n.of("openstack.sharedfilesystem.Share")):
            self.out.unchecked.append("quotas of shared file systems")
        if any(n.of("openstack.dns.Zone")):
            self.out.unchecked.append("whether another customer holds a zone of the same name")
        if n.unset:
            self.say(
                "unset", users(sorted(n.unset), 4), f"{len(n.unset)} values of stacks are not set yet",
                "Each stack's Pulumi.main.yaml says which; `repatria apply` stops before a stack that lacks one.", "advice",
            )  # fmt: skip


def _key(public: str | Secret) -> tuple[str, ...]:
    """Kind and body of a public key: the comment behind is no part of it."""
    return tuple(str(public).split()[:2])
