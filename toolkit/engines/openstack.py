"""A place of the target -> credentials and a connection; which entry of clouds.yaml is whose is said here, once.

Credentials come from openstacksdk's own chain: `clouds.yaml` (in the folder, `~/.config/openstack`,
`/etc/openstack`, or OS_CLIENT_CONFIG_FILE), `secure.yaml` beside it, and OS_*. To a project belongs

1. the entry that OS_CLOUD names (or OS_* itself), where its `project_name` or `project_id` is the project, or its own name is;
2. else the one other entry of which that holds. An entry with an application credential says no
   project, so it is named after it;
3. else, where the plan has one place only, what OS_CLOUD or OS_* say.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.config import Place
from toolkit.errors import TargetError

if TYPE_CHECKING:
    import openstack.connection
    from keystoneauth1.access import AccessInfo

SECONDS = 60.0
"""How long one answer of the target may take; openstacksdk itself would wait for ever."""
ENVVARS = "envvars"
"""openstacksdk's name of the entry that OS_* make."""
SELECTORS = ("OS_CLOUD", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE")


@dataclass(frozen=True, slots=True)
class Entry:
    """Credentials by name, without the credentials: `file` is "" for OS_*, `project` "" where it says none.

    `projects` is all that the entry says of its project: name, id.
    """

    name: str
    file: str
    region: str
    kind: str
    projects: tuple[str, ...] = ()

    @property
    def project(self) -> str:
        return self.projects[0] if self.projects else ""

    def fits(self, project: str) -> bool:
        """Whether it is the project's: by what it says of it, or by its own name where it says nothing."""
        return project in self.projects or (not self.projects and project == self.name)

    def __str__(self) -> str:
        return f"{self.name} of {self.file}" if self.file else "the OS_* variables"


def places(stacks: Iterable[Mapping[str, Any]]) -> tuple[Place, ...]:
    """The places of plan.json's `stacks`, each once, sorted."""
    found = {(held["place"]["project"], held["place"]["region"]) for held in stacks}
    return tuple(Place(*each) for each in sorted(found))


def entry(place: Place, *, alone: bool = False) -> Entry:
    """The credentials of a place; nothing is asked of the target. `alone`: the plan has no other place.

    Raises TargetError: no clouds.yaml and no OS_*, a name in OS_CLOUD that nothing has, no entry
    for the project, or several.
    """
    held, default = _entries()
    if not held:
        raise TargetError(
            "no credentials of the target were found",
            "Put an entry into clouds.yaml and name it in OS_CLOUD, or set the OS_* variables; docs/preflight.md shows one.",
        )
    chosen = held.get(default)
    if chosen is None and os.environ.get("OS_CLOUD"):
        raise TargetError(
            f"OS_CLOUD names {default}, but clouds.yaml has no such entry",
            f"It has: {', '.join(sorted(held))}.",
        )
    if not place.project or (chosen is not None and chosen.fits(place.project)):
        return _only(chosen, held, "")
    fitting = [each for each in held.values() if each.fits(place.project)]
    named = [each for each in fitting if each.name == place.project]
    here = [each for each in fitting if place.region and each.region == place.region]
    for few in (fitting, here, named):
        if len(few) == 1:
            return few[0]
    if fitting:
        raise TargetError(
            f"several entries of clouds.yaml are for the project {place.project}: {', '.join(sorted(each.name for each in fitting))}",
            "Name the one to use in OS_CLOUD, or give it the project's name.",
        )
    if alone:
        return _only(chosen, held, place.project)
    raise TargetError(
        f"no credentials for the project {place.project}: no entry of clouds.yaml has it as project_name or project_id, or as its own name",
        f"Add one (an application credential's entry is named after the project). There are: {', '.join(sorted(held))}.",
    )


def _only(chosen: Entry | None, held: Mapping[str, Entry], project: str) -> Entry:
    if chosen is not None:
        return chosen
    if len(held) == 1:
        return next(iter(held.values()))
    raise TargetError(
        "clouds.yaml has several entries, and nothing says which one "
        + (f"is for {project}" if project else "to use"),
        f"Name it in OS_CLOUD: {', '.join(sorted(held))}.",
    )


def _entries() -> tuple[dict[str, Entry], str]:
    """Every entry that openstacksdk sees, and the name of the one that OS_CLOUD or OS_* make the default."""
    import yaml
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    try:
        config = OpenStackConfig()
    except (ConfigException, yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise TargetError(
            f"clouds.yaml cannot be read: {_plain(error)}",
            "Compare with the example in docs/preflight.md.",
        ) from None
    file = str(Path(config.config_filename).absolute()) if config.config_filename else ""
    found: dict[str, Entry] = {}
    for name, said in config.cloud_config["clouds"].items():
        if not isinstance(said, Mapping) or (name == "defaults" and not said.get("auth")):
            continue
        own = name == ENVVARS and not os.environ.get("OS_CLOUD")
        if name == ENVVARS and not own:
            continue
        auth = said if own else said.get("auth")
        auth = auth if isinstance(auth, Mapping) else {}
        projects = tuple(
            str(auth[key])
            for key in ("project_name", "project_id", "tenant_name", "tenant_id")
            if auth.get(key)
        )
        kind = str(said.get("auth_type") or "password")
        if auth.get("application_credential_id") or auth.get("application_credential_name"):
            kind = "v3applicationcredential"
        region = str(said.get("region_name") or os.environ.get("OS_REGION_NAME") or "")
        found[name] = Entry(name, "" if own else file, region, kind, projects)
    return found, str(os.environ.get("OS_CLOUD") or (ENVVARS if ENVVARS in found else ""))


def environment(place: Place, *, alone: bool = False) -> dict[str, str]:
    """What a child process (Pulumi, Ansible) needs to work as that project in that region.

    Give it in place of every OS_* of this process, not beside them: OS_PASSWORD and the like
    overrule an entry's own. Nothing is asked of the target. With OS_* instead of a clouds.yaml it
    holds a secret: environments are for children, never for a log. Raises what `entry` raises.
    """
    held = entry(place, alone=alone)
    region = place.region or held.region
    said = {"OS_REGION_NAME": region} if region else {}
    if not held.file:
        own = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("OS_") and name not in SELECTORS
        }
        return {**own, **said}
    said |= {"OS_CLOUD": held.name, "OS_CLIENT_CONFIG_FILE": held.file}
    if secure := os.environ.get("OS_CLIENT_SECURE_FILE"):
        said["OS_CLIENT_SECURE_FILE"] = str(Path(secure).absolute())
    return said


def connect(
    place: Place | None = None, *, alone: bool = False, seconds: float = SECONDS
) -> openstack.connection.Connection:
    """Sign in as the place's project, in its region. Without a place: what OS_CLOUD or OS_* say.

    Raises TargetError with a hint: what `entry` raises, refused or expired credentials, a region
    that the catalogue of services does not have, no answer within `seconds`, a certificate that
    is not trusted.
    """
    import keystoneauth1.exceptions as faults
    from openstack.config import OpenStackConfig
    from openstack.connection import Connection

    from toolkit import __version__

    place = place or Place("", "")
    held = entry(place, alone=alone)
    region = place.region or held.region
    with told(held):
        config = OpenStackConfig(app_name="repatria", app_version=__version__)
        said = config.cloud_config["clouds"][held.name]
        listed = {r["name"] if isinstance(r, dict) else r for r in said.get("regions") or ()}
        if region and region not in listed:
            # openstacksdk takes an entry's region_name for the only one that the cloud has
            config.cloud_config["clouds"][held.name] = {
                **{key: value for key, value in said.items() if key != "regions"},
                "region_name": region,
            }
        connection = Connection(
            config=config.get_one(held.name, region_name=region or None, api_timeout=seconds)
        )
        _quiet()
        _not_walled(connection)
        try:
            access = signed_in(connection)
        except faults.NotFound as error:
            raise faults.Unauthorized(str(error), http_status=404) from error
    if not access.project_id:
        raise TargetError(
            f"the credentials ({held}) are not for a project",
            "Add project_name (or project_id) and its domain to the entry of clouds.yaml.",
        )
    known = regions(access)
    if region and known and region not in known:
        raise TargetError(
            f"the target has no region {region}; it has {', '.join(known)}",
            "Correct target.region in repatria.toml, or region_name in clouds.yaml.",
        )
    if not region and len(known) > 1:
        raise TargetError(
            f"the target has several regions ({', '.join(known)}), and none is chosen",
            "Write target.region into repatria.toml, or region_name into clouds.yaml.",
        )
    return connection


def _not_walled(connection: openstack.connection.Connection) -> None:
    """Refuse an auth_url that asks for a sign-in of its own: keystoneauth would wait for itself there, for ever."""
    url = connection.config.auth.get("auth_url")
    if not url:
        return
    status = connection.session.get(url, authenticated=False, raise_exc=False).status_code
    if status in (401, 403, 407):
        raise TargetError(
            f"auth_url does not lead to Keystone: it answers HTTP {status} before any sign-in",
            "Check auth_url in clouds.yaml: a proxy or a firewall stands before the target.",
        )


def signed_in(connection: openstack.connection.Connection) -> AccessInfo:
    """What the token says: `project_id`, `project_name`, `user_id`, `role_names`, `expires`, the catalogue of services."""
    from keystoneauth1.exceptions import MissingAuthPlugin
    from keystoneauth1.identity import BaseIdentityPlugin

    auth = connection.session.auth
    if not isinstance(auth, BaseIdentityPlugin):
        raise MissingAuthPlugin("this kind of sign-in has no project")
    return auth.get_access(connection.session)


def regions(access: AccessInfo) -> tuple[str, ...]:
    """The regions that the catalogue of services of this sign-in names, sorted."""
    return tuple(
        sorted(
            {
                str(end.get("region_id") or end.get("region"))
                for service in access.service_catalog.catalog
                for end in service.get("endpoints", ())
                if end.get("region_id") or end.get("region")
            }
        )
    )


def _quiet() -> None:
    """What keystoneauth warns of ends in our error: without a handler of its own it would reach stderr twice."""
    for name in ("keystoneauth", "openstack"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


_REFUSED = {
    "v3applicationcredential": "An application credential that expired or was revoked looks like this, and so does one of a user who left: make a new one, put it into clouds.yaml",
    "v3token": "A token ends within hours: sign in anew",
    "password": "Check user name, password, project and the domains of both in clouds.yaml",
}


@contextmanager
def told(held: Entry | None = None) -> Iterator[None]:
    """Faults of openstacksdk and keystoneauth -> TargetError with what to do about them.

    A refusal that means more to the caller (NotFound, Conflict, a quota) is not touched.
    """
    import keystoneauth1.exceptions as faults
    import openstack.exceptions as answers

    try:
        yield
    except (faults.MissingRequiredOptions, faults.AuthPluginException, answers.ConfigException) as error:  # fmt: skip
        raise TargetError(
            f"the credentials{f' ({held})' if held else ''} are not complete: {_plain(error)}",
            "An entry needs auth_url and either an application credential (id and secret) or user, password, project and domains.",
        ) from error
    except faults.Unauthorized as error:
        kind = held.kind if held else ""
        hint = _REFUSED.get(kind) or "A credential that expired or was revoked looks like this"
        raise TargetError(
            f"the target refuses the credentials{f' ({held})' if held else ''}: {_plain(error)}",
            f"{hint}; then run the same command again.",
        ) from error
    except (faults.Forbidden, answers.ForbiddenException) as error:
        raise TargetError(
            f"the target forbids this to the credentials: {_plain(error)}",
            "A role is missing in the project (member, load-balancer_member, creator), or the application credential was made with fewer; see `repatria preflight`.",
        ) from error
    except faults.SSLError as error:
        raise TargetError(
            f"the target's certificate is not trusted: {_plain(error)}",
            "Where the target has a certificate authority of its own, name its file in clouds.yaml (`cacert`); do not turn `verify` off.",
        ) from error
    except faults.ConnectTimeout as error:
        raise TargetError(
            f"the target does not answer in time: {_plain(error)}",
            "Check the network and the provider's status page, then run the same command again.",
        ) from error
    except (faults.ConnectionError, faults.DiscoveryFailure) as error:
        raise TargetError(
            f"the target does not answer: {_plain(error)}",
            "Check auth_url in clouds.yaml and the network, then run the same command again.",
        ) from error
    except faults.CatalogException as error:
        raise TargetError(
            f"the target offers no such service there: {_plain(error)}",
            "Check the region; `repatria preflight` says which services the plan needs.",
        ) from error
    except (faults.HttpError, answers.HttpException) as error:
        status = getattr(error, "http_status", None) or getattr(error, "status_code", None) or 0
        if 400 <= int(status) < 500 and int(status) not in (408, 429):
            raise
        raise TargetError(
            f"the target fails (HTTP {status}): {_plain(error)}",
            "It is the provider's fault; look at its status page, then run the same command again.",
        ) from error
    except faults.ClientException as error:
        raise TargetError(
            f"the target does not answer as OpenStack does: {_plain(error)}",
            "Check auth_url in clouds.yaml: a proxy or a sign-in page may stand before the target.",
        ) from error


def _plain(error: BaseException) -> str:
    """An error's words on one line, without what an address may carry before its @."""
    words = " ".join(str(error).split())
    return re.sub(r"//[^/@\s]+@", "//", words)[:400]
