"""What the roles of TURN, Jitsi and its bridges write, for one host and for three bridges: rendered as Ansible does, no host needed."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("ansible")
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parent.parent / "playbooks/ansible_collections/repatria/suite/roles"
OTHERS = re.compile(
    r"jitsi\.net|jit\.si|jitsi\.org|8x8|google|gravatar\.com|amazonaws|callstats|giphy\.com|dropbox\.com|cloudflare",
    re.IGNORECASE,
)
JITSI = {
    "jitsi_domain": "meet.example.org",
    "jitsi_focus_password": "f" * 32,
    "jitsi_bridge_password": "b" * 32,
    "jitsi_turn_host": "turn.example.org",
    "jitsi_turn_secret": "5" * 64,
    "jitsi_oidc_issuer": "https://login.example.org/realms/suite",
}
BRIDGE = {
    "jitsi_bridge_domain": "meet.example.org",
    "jitsi_bridge_password": "b" * 32,
    "jitsi_bridge_address": "10.20.0.100",
}
PLUGINS = [
    "auth_jitsi-anonymous",
    "auth_token",
    "av_moderation_component",
    "client_proxy",
    "conference_duration",
    "end_conference",
    "features_identity",
    "limits_exception",
    "muc_breakout_rooms",
    "muc_domain_mapper",
    "muc_filter_access",
    "muc_hide_all",
    "muc_lobby_rooms",
    "muc_meeting_id",
    "muc_password_whitelist",
    "muc_rate_limit",
    "muc_resource_validate",
    "muc_wait_for_host",
    "persistent_lobby",
    "polls_component",
    "room_metadata_component",
    "roster_command",
    "speakerstats_component",
    "token_verification",
]


def render(role: str, template: str, **given: Any) -> str:
    """A template of a role with its defaults, its own variables and these."""
    loader = DataLoader()
    held: dict[str, Any] = {
        "ansible_managed": "Managed",
        "inventory_hostname": "bridge-1",
        "ansible_facts": {},
    }
    for part in ("defaults", "vars"):
        held |= loader.load_from_file(
            str(ROLES / role / part / "main.yml"), trusted_as_template=True
        )
    held |= given
    text = (ROLES / role / "templates" / template).read_text()
    return str(Templar(loader=loader, variables=held).template(trust_as_template(text)))


def object_of(text: str) -> dict[str, Any]:
    """The one object of a file in JSON with a line of comment, or of an assignment in JavaScript."""
    found = json.loads(text[text.index("{") :].rstrip().rstrip(";"))
    assert isinstance(found, dict)
    return found


def lua(text: str) -> str:
    """The text, once it is well-formed as far as can be told here."""
    if program := shutil.which("luac5.4") or shutil.which("luac"):
        subprocess.run([program, "-p", "-"], input=text, text=True, check=True)
    bare = re.sub(r'"[^"\n]*"|--.*', "", text)
    depth = 0
    for sign in bare:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0, "a brace closes what none has opened"
    assert depth == 0
    assert '"' not in bare
    return text


def hosts(text: str) -> dict[str, str]:
    """Name of each virtual host and component -> its part of the file."""
    parts = re.split(r'^(?:VirtualHost|Component) "([^"]+)".*$', text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def modules(part: str) -> set[str]:
    """The modules that a part enables."""
    found = re.search(r"modules_enabled = \{(.*?)\}", part, re.DOTALL)
    return set(re.findall(r'"([^"]+)"', found[1])) if found else set()


@pytest.mark.parametrize("role", ["turn", "jitsi", "jitsi_bridge"])
def test_specs_and_defaults_agree(role: str) -> None:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())[
        "argument_specs"
    ]["main"]["options"]
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
    assert {
        name: spec["default"] for name, spec in specs.items() if not spec.get("required")
    } == defaults
    assert all(name.startswith(f"{role}_") and spec["description"] for name, spec in specs.items())
    secret = {name for name in specs if name.endswith(("_secret", "_password"))}
    assert secret == {name for name, spec in specs.items() if spec.get("no_log")}


@pytest.mark.parametrize("role", ["turn", "jitsi", "jitsi_bridge"])
def test_wiring_gives_what_the_role_takes(role: str) -> None:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())[
        "argument_specs"
    ]["main"]["options"]
    wiring = yaml.safe_load((ROLES.parents[3] / "wiring" / f"{role}.yml").read_text())
    assert set(wiring) <= set(specs)
    assert {name for name, spec in specs.items() if spec.get("required")} <= set(wiring)


def test_turn_refuses_every_special_network() -> None:
    text = render("turn", "turnserver.conf.j2", turn_realm="turn.example.org", turn_secret="5" * 64)
    denied = []
    for words in re.findall(r"^denied-peer-ip=(.+)$", text, re.MULTILINE):
        first, _, last = words.partition("-")
        assert first != "::", "coturn takes it as any address, and refuses everybody"
        denied.append((ipaddress.ip_address(first), ipaddress.ip_address(last or first)))
    special = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "::1/128",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
    ]
    for network in map(ipaddress.ip_network, special):
        assert any(
            first.version == network.version and first <= network[0] and network[-1] <= last
            for first, last in denied
        ), network
    for public in map(ipaddress.ip_address, ("193.0.14.129", "185.1.2.3", "2001:7fd::1")):
        assert not any(
            first.version == public.version and first <= public <= last for first, last in denied
        )
    for word in (
        "no-multicast-peers",
        "no-cli",
        "no-tcp-relay",
        "use-auth-secret",
        "no-tls",
        "no-dtls",
    ):
        assert f"\n{word}\n" in text
    assert "allow-loopback-peers" not in text


def test_turn_behind_a_floating_ip_with_tls() -> None:
    text = render(
        "turn", "turnserver.conf.j2",
        turn_realm="turn.example.org", turn_secret="5" * 64, turn_listen_addresses=["10.20.0.65"], turn_public_address="198.51.100.7",
        turn_certificate="/etc/ssl/suite/turn.example.org.crt", turn_key="/etc/ssl/suite/turn.example.org.key", turn_total_quota=1920,
    )  # fmt: skip
    for line in (
        "external-ip=198.51.100.7/10.20.0.65", "listening-ip=10.20.0.65", "relay-ip=10.20.0.65", "tls-listening-port=5349",
        "pkey=/etc/ssl/suite/turn.example.org.key", "no-tlsv1", "no-tlsv1_1", "total-quota=1920", "min-port=49152", "max-port=65535",
    ):  # fmt: skip
        assert f"\n{line}\n" in text
    assert "\nno-tls\n" not in text


def test_prosody_without_the_packages_of_jitsi() -> None:
    text = lua(render("jitsi", "host.cfg.lua.j2", **JITSI))
    parts = hosts(text)
    own = {"bosh", "websocket", "smacks", "external_services"}
    assert set(parts) == {
        "meet.example.org", "guest.meet.example.org", "auth.meet.example.org", "internal.auth.meet.example.org", "conference.meet.example.org",
    }  # fmt: skip
    assert set().union(*map(modules, parts.values())) == own
    assert 'authentication = "internal_hashed"' in parts["meet.example.org"]
    assert "anonymous" not in parts["meet.example.org"]
    assert 'authentication = "anonymous"' in parts["guest.meet.example.org"]
    assert "plugin_paths" not in lua(render("jitsi", "prosody.cfg.lua.j2", **JITSI))


def test_prosody_with_tokens_of_the_sign_on() -> None:
    text = lua(render("jitsi", "host.cfg.lua.j2", **JITSI, _jitsi_plugins=PLUGINS))
    parts = hosts(text)
    main, conference = parts["meet.example.org"], parts["conference.meet.example.org"]
    for line in (
        'authentication = "token"', 'app_id = "jitsi"', "allow_empty_token = false",
        'cache_keys_url = "https://login.example.org/realms/suite/protocol/openid-connect/certs"',
    ):  # fmt: skip
        assert line in main
    assert 'asap_accepted_issuers = { "https://login.example.org/realms/suite" }' in text
    assert 'asap_accepted_audiences = { "jitsi" }' in text
    assert "asap_require_room_claim = false" in text
    assert {"muc_lobby_rooms", "persistent_lobby", "external_services", "websocket"} <= modules(
        main
    )
    assert {"token_verification", "muc_wait_for_host"} <= modules(conference)
    assert 'authentication = "jitsi-anonymous"' in parts["guest.meet.example.org"]
    assert "muc_filter_access" in modules(parts["internal.auth.meet.example.org"])
    assert 'target_address = "focus@auth.meet.example.org"' in parts["focus.meet.example.org"]
    assert {
        "lobby",
        "breakout",
        "speakerstats",
        "endconference",
        "avmoderation",
        "metadata",
        "polls",
    } <= {name.partition(".")[0] for name in parts}
    # The packages' scripts look for these words where they stand, and edit the file where they do not.
    assert re.search(
        r'Component "conference\.meet\.example\.org" "muc"\n +restrict_room_creation', text
    )
    assert "unlimited_jids" in text
    assert "app_secret" not in text


def test_prosody_without_guests_and_with_tokens_of_another_application() -> None:
    text = lua(render(
        "jitsi", "host.cfg.lua.j2", **JITSI, _jitsi_plugins=PLUGINS, jitsi_guests=False, jitsi_authentication="secret", jitsi_token_secret="7" * 64,
    ))  # fmt: skip
    parts = hosts(text)
    assert "guest.meet.example.org" not in parts
    assert f'app_secret = "{"7" * 64}"' in parts["meet.example.org"]
    assert "anonymous" not in text
    assert "muc_wait_for_host" not in text


def test_prosody_speaks_to_no_other_server() -> None:
    text = lua(
        render(
            "jitsi",
            "prosody.cfg.lua.j2",
            **JITSI,
            jitsi_xmpp_addresses=["127.0.0.1", "10.20.0.60"],
            _jitsi_plugins=PLUGINS,
        )
    )
    for line in (
        'c2s_interfaces = { "127.0.0.1", "10.20.0.60" }', 'http_interfaces = { "127.0.0.1" }', "s2s_ports = {}", "https_ports = {}",
        "c2s_require_encryption = true", 'plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins" }',
    ):  # fmt: skip
        assert line in text
    assert '"s2s"' in text.partition("modules_disabled")[2].partition("}")[0]


def test_pages_speak_to_nobody_else() -> None:
    config = object_of(render("jitsi", "config.js.j2", **JITSI))
    assert config["hosts"] == {
        "domain": "meet.example.org", "muc": "conference.meet.example.org", "focus": "focus.meet.example.org",
        "anonymousdomain": "guest.meet.example.org",
    }  # fmt: skip
    assert config["p2p"]["stunServers"] == [{"urls": "stun:turn.example.org:3478"}]
    assert config["disableThirdPartyRequests"] is True
    assert config["analytics"]["disabled"] is True
    assert config["bridgeChannel"] == {"preferSctp": True}
    assert "code_challenge={code_challenge}&code_challenge_method=S256" in config["tokenAuthUrl"]
    assert config["sso"]["tokenService"] == "login.example.org/realms/suite/protocol/openid-connect"
    addresses = set(re.findall(r"(?:https?|wss?|stun|turns?):/*([a-z0-9.-]+)", json.dumps(config)))
    assert addresses == {"meet.example.org", "turn.example.org", "login.example.org"}
    assert (
        object_of(render("jitsi", "interface_config.js.j2", **JITSI))["JITSI_WATERMARK_LINK"] == ""
    )
    site = render(
        "jitsi", "nginx.conf.j2", **JITSI, jitsi_frame_ancestors=["https://cloud.example.org"]
    )
    policy = re.search(r'Content-Security-Policy "([^"]+)"', site)
    assert policy
    assert (
        "connect-src 'self' data: blob: wss://meet.example.org https://login.example.org;"
        in policy[1]
    )
    assert "frame-ancestors 'self' https://cloud.example.org;" in policy[1]
    assert site.count("{") == site.count("}")


@pytest.mark.parametrize(
    ("bridges", "strategy"),
    [(1, "SingleBridgeSelectionStrategy"), (3, "RegionBasedBridgeSelectionStrategy")],
)
def test_jicofo_for_one_bridge_and_for_three(bridges: int, strategy: str) -> None:
    jicofo = object_of(render("jitsi", "jicofo.conf.j2", **JITSI, jitsi_bridges=bridges))["jicofo"]
    assert jicofo["authentication"] == {"enabled": False}
    assert jicofo["bridge"]["selection-strategy"] == strategy
    assert jicofo["octo"]["enabled"] is (bridges > 1)
    assert jicofo["sctp"]["enabled"] is True
    assert jicofo["conference"]["enable-auto-owner"] is False
    assert jicofo["xmpp"]["client"]["disable-certificate-verification"] is False
    assert jicofo["xmpp"]["client"]["password"] == "f" * 32


def test_three_bridges_share_conferences() -> None:
    names = set()
    for number in (1, 2, 3):
        held = object_of(render(
            "jitsi_bridge", "jvb.conf.j2", **BRIDGE, jitsi_bridge_relay=True, jitsi_bridge_name=f"bridge-{number}",
            jitsi_bridge_public_address=f"198.51.100.{number}", jitsi_bridge_xmpp_address="10.20.0.60",
        ))  # fmt: skip
        bridge = held["videobridge"]
        assert bridge["relay"] == {
            "enabled": True,
            "region": "suite",
            "relay-id": f"bridge-{number}",
        }
        assert bridge["sctp"]["enabled"] is True
        assert bridge["websockets"]["enabled"] is False
        account = bridge["apis"]["xmpp-client"]["configs"]["suite"]
        assert account["domain"] == "auth.meet.example.org"
        assert account["disable_certificate_verification"] is False
        mapping = held["ice4j"]["harvest"]["mapping"]
        assert mapping["aws"]["enabled"] is False
        assert mapping["stun"] == {"enabled": False, "addresses": []}
        assert mapping["static-mappings"] == [
            {
                "local-address": "10.20.0.100",
                "public-address": f"198.51.100.{number}",
                "name": "public",
            }
        ]
        names.add(account["muc_nickname"])
    assert len(names) == 3


def test_one_bridge_on_the_host_of_everything() -> None:
    held = object_of(render("jitsi_bridge", "jvb.conf.j2", **BRIDGE))
    assert "relay" not in held["videobridge"]
    assert held["videobridge"]["http-servers"]["private"]["host"] == "127.0.0.1"
    assert held["videobridge"]["apis"]["rest"]["enabled"] is False
    assert held["ice4j"]["harvest"]["mapping"]["static-mappings"] == []
    assert "LimitNOFILE=65000" in render("jitsi_bridge", "hardening.conf.j2", **BRIDGE)
    assert "65000" not in render(
        "jitsi_bridge", "hardening.conf.j2", **BRIDGE, jitsi_bridge_open_files=0
    )


def test_nothing_that_is_written_names_hosts_of_others() -> None:
    seen = 0
    for role, given in (
        ("jitsi", JITSI),
        ("jitsi_bridge", BRIDGE),
        ("turn", {"turn_realm": "turn.example.org", "turn_secret": "5" * 64}),
    ):
        for path in sorted((ROLES / role / "templates").iterdir()):
            text = render(role, path.name, **given, _jitsi_plugins=PLUGINS)
            assert not OTHERS.search(text), path
            seen += 1
    assert seen >= 15
    assert OTHERS.search("stun:meet-jit-si-turnrelay.jitsi.net:443")
