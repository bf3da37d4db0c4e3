"""Templates of Synapse's and Element Web's roles by themselves: what federation means, which workers there are, whom files name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path("playbooks/ansible_collections/repatria/suite/roles")
LOCK = Path("playbooks/artefacts/synapse.txt")
SYNAPSE = {
    "synapse_server_name": "town.example",
    "synapse_public_baseurl": "https://matrix.town.example/",
    "synapse_lock": str(LOCK.resolve()),
    "synapse_database_password": "p:w\\d",
    "ansible_managed": "Ansible managed",
    **{f"synapse_{each}_secret": each for each in ("registration", "macaroon", "form", "worker")},
}
ELEMENT = {
    "element_web_url": "https://chat.town.example/",
    "element_web_homeserver_url": "https://matrix.town.example",
    "element_web_server_name": "town.example",
    "element_web_jitsi_domain": "meet.town.example",
}


def templar(role: str, given: dict[str, Any]) -> Templar:
    """Ansible's own engine with the role's variables, under what is given."""
    held: dict[str, Any] = {}
    for name in ("defaults", "vars"):
        held |= yaml.safe_load((ROLES / role / name / "main.yml").read_text())
    return Templar(DataLoader(), variables=_trusted(held) | given)


def _trusted(held: Any) -> Any:
    match held:
        case dict():
            return {name: _trusted(each) for name, each in held.items()}
        case list():
            return [_trusted(each) for each in held]
        case str():
            return trust_as_template(held)
        case _:
            return held


def rendered(role: str, name: str, given: dict[str, Any]) -> str:
    text = (ROLES / role / "templates" / f"{name}.j2").read_text()
    return str(templar(role, given).template(trust_as_template(text)))


def synapse(name: str, **given: Any) -> Any:
    return yaml.safe_load(rendered("synapse", name, SYNAPSE | given))


def listeners(**given: Any) -> set[str]:
    held = synapse("homeserver.yaml", **given)["listeners"]
    return {name for each in held for part in each.get("resources", []) for name in part["names"]}


@pytest.mark.parametrize(
    ("mode", "servers", "whitelist", "heard"),
    [
        ("off", ["no.example"], [], False),
        ("on", ["no.example"], None, True),
        ("list", ["ally.example"], ["ally.example"], True),
    ],
)
def test_federation(
    mode: str, servers: list[str], whitelist: list[str] | None, heard: bool
) -> None:
    given = {"synapse_federation": mode, "synapse_federation_servers": servers}
    found = synapse("conf.d/federation.yaml", **given)
    assert found.get("federation_domain_whitelist") == whitelist
    assert found["trusted_key_servers"] == []
    for workers in (0, 6):
        assert ("federation" in listeners(**given, synapse_workers=workers)) is heard
        proxy = rendered("synapse", "proxy.conf", SYNAPSE | given | {"synapse_workers": 6})
        assert ("/_matrix/federation/" in proxy) is heard
        held = synapse("worker.yaml", item="generic1", **given, synapse_workers=workers)[
            "worker_listeners"
        ]
        assert ("federation" in held[0]["resources"][0]["names"]) is heard


@pytest.mark.parametrize(
    ("workers", "senders"),
    [
        (workers, senders)
        for workers in (1, 2, 3, 4, 5, 6, 8, 9, 10, 13, 14)
        for senders in (0, 3)
        if workers > senders
    ],
)
def test_workers(workers: int, senders: int) -> None:
    given = {"synapse_workers": workers, "synapse_federation_senders": senders}
    names = templar("synapse", SYNAPSE | given).template(
        trust_as_template("{{ _synapse_worker_names }}")
    )
    assert len(names) == len(set(names)) == workers
    assert "generic1" in names
    shared = synapse("conf.d/workers.yaml", **given)
    assert set(shared["instance_map"]) == {"main", *names}
    assert len(shared.get("federation_sender_instances", [])) == senders
    for writers in shared.get("stream_writers", {}).values():
        assert set(writers) <= set(names)
    proxy = rendered("synapse", "proxy.conf", SYNAPSE | given)
    pools = set(re.findall(r"upstream (\w+) {", proxy))
    used = set(
        re.findall(
            r'^\s+(?:"~[^"]+"|default) (\w+);$',
            proxy.partition("$pool {")[2].partition("}\n\n    upstream")[0],
            re.MULTILINE,
        )
    )
    assert used <= pools, "a path leads to a pool that is not there"
    assert pools - used <= {"servers"}
    assert set(re.findall(r"synapse/(\w+)\.sock;", proxy)) <= {"main", *names}


def test_one_process_has_no_worker_in_its_settings() -> None:
    assert synapse("conf.d/workers.yaml") == {"redis": {"enabled": False}}


def test_a_password_is_quoted_for_libpq() -> None:
    held = templar("synapse", SYNAPSE).template(
        trust_as_template("{{ _synapse_secrets.database }}")
    )
    assert held == "*:*:*:*:p\\:w\\\\d"


def test_no_secret_is_in_a_settings_file() -> None:
    given = SYNAPSE | {
        f"synapse_{each}_secret": f"hidden-{each}"
        for each in ("registration", "macaroon", "form", "worker", "turn", "oidc_client")
    }
    given |= {
        "synapse_redis_password": "hidden-redis",
        "synapse_database_password": "hidden-database",
        "synapse_workers": 6,
        "item": "generic1",
    }
    given |= {
        "synapse_turn_uris": ["turn:turn.town.example"],
        "synapse_oidc_issuer": "https://login.town.example/realms/town",
        "synapse_redis_host": "10.0.0.1",
    }
    templates = ROLES / "synapse/templates"
    for path in sorted(templates.rglob("*.j2")):
        if path.stem != "_hardening" and not path.name.endswith(".service.j2"):
            assert "hidden" not in rendered(
                "synapse", str(path.relative_to(templates))[:-3], given
            ), path.name


def test_password_login_goes_when_told() -> None:
    given = {
        "synapse_oidc_issuer": "https://login.town.example/realms/town",
        "synapse_password_login": False,
    }
    found = synapse("conf.d/accounts.yaml", **given)
    assert found["password_config"]["enabled"] is False
    [provider] = found["oidc_providers"]
    assert (provider["pkce_method"], provider["backchannel_logout_enabled"]) == ("always", True)
    assert (
        provider["user_mapping_provider"]["config"]["localpart_template"]
        == "{{ user.preferred_username }}"
    )
    assert "oidc_providers" not in synapse("conf.d/accounts.yaml")


@pytest.mark.parametrize(("days", "wanted"), [(0, None), (30, "30d")])
def test_messages_are_kept_as_told(days: int, wanted: str | None) -> None:
    held = synapse("conf.d/retention.yaml", synapse_message_days=days)
    assert (
        held["retention"]["default_policy"]["max_lifetime"] if days else held.get("retention")
    ) == wanted


def _texts(held: Any) -> Iterator[str]:
    """Every string that is a value."""
    if isinstance(held, dict | list):
        for each in held.values() if isinstance(held, dict) else held:
            yield from _texts(each)
    elif isinstance(held, str):
        yield held


def test_element_web_names_nobody_else() -> None:
    held = json.loads(rendered("element_web", "config.json", ELEMENT))
    found = {
        name
        for text in _texts(held)
        for name in re.findall(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}", text)
    }
    assert found == {
        "matrix.town.example",
        "chat.town.example",
        "meet.town.example",
        "town.example",
    }
    assert held["default_server_config"] == {
        "m.homeserver": {"base_url": "https://matrix.town.example", "server_name": "town.example"}
    }
    assert held["jitsi"]["preferred_domain"] == "meet.town.example"
    assert held["default_federate"] is False


def test_element_web_extra_wins() -> None:
    held = json.loads(
        rendered(
            "element_web",
            "config.json",
            ELEMENT
            | {
                "element_web_extra": {
                    "jitsi": {"preferred_domain": "other.example"},
                    "brand": "Town",
                }
            },
        )
    )
    assert (held["jitsi"], held["brand"]) == ({"preferred_domain": "other.example"}, "Town")


def test_specs_and_defaults_agree() -> None:
    for role in ("synapse", "element_web"):
        options = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())[
            "argument_specs"
        ]["main"]["options"]
        held = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
        assert {
            name: each["default"] for name, each in options.items() if not each.get("required")
        } == held


def test_every_package_is_locked_by_hash() -> None:
    packages = re.split(r"\n(?=[a-z])", LOCK.read_text().strip())
    assert any(each.startswith("matrix-synapse==") for each in packages)
    assert all("--hash=sha256:" in each for each in packages if not each.startswith("#"))
