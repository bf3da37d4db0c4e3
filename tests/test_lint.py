"""The sovereignty lint: shipped defaults are found, the client's own is not, and no way of writing hides a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.assess import contacts as reading
from toolkit.assess.contacts import contacts
from toolkit.assess.sovereignty import UNKNOWN, Own, lint, table, whose
from toolkit.cli import run

ROOT = Path(__file__).parents[1]
OWN = Own("town.example.org")


def found(path: str, text: str | bytes, own: Own = OWN) -> dict[str, str]:
    """Host -> severity of all that a file names and the client does not own."""
    data = text if isinstance(text, bytes) else text.encode()
    said = lint({path: data}, own)
    assert not said["unread"]
    return {row["host"]: row["severity"] for row in said["mentioned"] + said["contacts"]}


def kinds(path: str, text: str) -> dict[str, tuple[str, str]]:
    said = lint({path: text.encode()}, OWN)
    return {row["host"]: (row["kind"], row["country"]) for row in said["contacts"]}


# ------------------------------------------------------------------- what applications ship as defaults


def test_a_prosody_that_names_a_foreign_stun() -> None:
    text = """
-- external services, XEP-0215
external_services = {
  { type = "stun", host = "meet-jit-si-turnrelay.jitsi.net", port = 443, transport = "udp" };
  { type = "turn", host = "turn.town.example.org", port = 3478, secret = true };
}
VirtualHost "meet.town.example.org"
-- VirtualHost "jigasi.meet.jitsi"  asap_key_server = "https://jaas-public-keys.jitsi.net/"
"""
    assert kinds("meet.cfg.lua", text) == {"meet-jit-si-turnrelay.jitsi.net": ("stun", "US")}
    assert found("meet.cfg.lua", text)["jaas-public-keys.jitsi.net"] == "mentioned"


def test_a_conference_page_that_calls_third_parties() -> None:
    text = """var config = {
  p2p: { stunServers: [ { urls: 'stun:stun.l.google.com:19302' },{urls:"stun:198.41.200.9:3478"} ] }, // own: stun:turn.town.example.org
  hosts: { domain: 'meet.town.example.org', muc: 'conference.' + subdomain + 'meet.town.example.org' },
  gravatarBaseURL: 'https://www.gravatar.com/avatar/',
  analytics: { scriptURLs: ["//cdn.amplitude.com/a.js"] },
  // callStatsID: '', callStatsConfIDNamespace: 'callstats.io',
};
config.enabled = window.location.host; log.info('x');
"""
    assert kinds("config.js", text) == {
        "stun.l.google.com": ("stun", "US"), "198.41.200.9": ("stun", ""), "www.gravatar.com": ("avatar", "US"),
        "cdn.amplitude.com": ("telemetry", "US"),
    }  # fmt: skip
    assert found("config.js", text)["callstats.io"] == "mentioned"


def test_a_homeserver_that_trusts_a_foreign_key_server() -> None:
    text = """
server_name: town.example.org
public_baseurl: https://matrix.town.example.org/
trusted_key_servers:
  - server_name: "matrix.org"
    verify_keys: {"ed25519:auto": "Noi6WqcDj0QmPxCNQqgezwTlBKrfqehY1u2FyWP9uYw"}
turn_uris: ["turn:turn.town.example.org?transport=udp", 'turns:turn.evil.cloud:5349']
email:
  notif_from: "chat <no-reply@town.example.org>"
  smtp_host: relay.mailer.fr   # theirs
sentry: {dsn: "https://key:secret@o1.ingest.sentry.io/7"}
"""
    assert kinds("homeserver.yaml", text) == {
        "matrix.org": ("key server", "GB"), "turn.evil.cloud": ("stun", ""), "relay.mailer.fr": ("mail", ""),
        "o1.ingest.sentry.io": ("telemetry", "US"),
    }  # fmt: skip
    assert "secret" not in json.dumps(lint({"homeserver.yaml": text.encode()}, OWN))


def test_a_chat_client_with_the_defaults_of_its_sample() -> None:
    text = json.dumps(
        {
            "default_server_config": {"m.homeserver": {"base_url": "https://matrix.town.example.org"}, "m.identity_server": {"base_url": "https://vector.im"}},
            "integrations_ui_url": "https://scalar.vector.im/", "map_style_url": "https://api.maptiler.com/maps/streets/style.json?key=x",
            "room_directory": {"servers": ["matrix.org"]}, "jitsi": {"preferred_domain": "meet.element.io"},
        }, indent=1,
    )  # fmt: skip
    assert kinds("config.json", text) == {
        "vector.im": ("identity server", "GB"), "scalar.vector.im": ("integrations", "GB"), "api.maptiler.com": ("map", "CH"),
        "matrix.org": ("key server", "GB"), "meet.element.io": ("web", "GB"),
    }  # fmt: skip
    assert kinds("config.json", text.replace("/", "\\/")) == kinds("config.json", text)


def test_time_certificates_names_and_updates() -> None:
    assert kinds("chrony.conf", "pool 2.pool.ntp.org iburst\nserver ntp1.uni.at\n# server time.google.com\n") == {
        "2.pool.ntp.org": ("time", ""), "ntp1.uni.at": ("time", ""),
    }  # fmt: skip
    assert kinds("timesyncd.conf", "[Time]\nFallbackNTP=time1.google.com") == {"time1.google.com": ("web", "US")}  # fmt: skip
    assert kinds("cli.ini", "server = https://acme-v02.api.letsencrypt.org/directory") == {"acme-v02.api.letsencrypt.org": ("acme", "US")}  # fmt: skip
    assert kinds("resolv.conf", "nameserver 9.9.9.9\nnameserver 10.20.0.53\nnameserver 2001:4860:4860::8888") == {
        "9.9.9.9": ("dns", "CH"), "2001:4860:4860::8888": ("dns", "US"),
    }  # fmt: skip
    php = "<?php\n$CONFIG = ['updater.server.url' => 'https://updates.nextcloud.com/updater_server/', 'appstoreenabled' => false,\n 'overwrite.cli.url' => 'https://cloud.town.example.org', 'log.condition' => [], 'memcache.local' => '\\OC\\Memcache\\APCu'];\n# 'lookup_server' => 'https://lookup.nextcloud.com',\n"
    assert kinds("config.php", php) == {"updates.nextcloud.com": ("updates", "DE")}
    assert found("config.php", php)["lookup.nextcloud.com"] == "mentioned"
    assert kinds("sources.list", "deb http://packages.vendor.dev/debian trixie main") == {"packages.vendor.dev": ("registry", "")}  # fmt: skip


CLEAN = {
    "nginx.conf": "worker_processes auto;\ninclude /etc/nginx/conf.d/*.conf;\nserver { server_name cloud.town.example.org; listen 10.20.0.5:443 ssl; ssl_certificate /etc/ssl/suite/cloud.town.example.org.crt;\n proxy_pass http://127.0.0.1:8008; resolver [::1]:53; set $x $request.id; }",
    "99-suite.conf": "net.ipv4.conf.all.rp_filter = 1\nnet.core.somaxconn=1024\n",
    "x.service": "[Unit]\nDocumentation=man:nginx(8)\nAfter=network-online.target systemd-resolved.service\n[Service]\nExecStart=/usr/lib/app/run.sh --config /etc/app/app.yaml\nIPAddressAllow=10.0.0.0/8 169.254.0.0/16 fe80::/10 ::1\n",
    "sshd.conf": "KexAlgorithms curve25519-sha256@libssh.org\nCiphers chacha20-poly1305@openssh.com\n",
    "tasks.yml": "- name: x\n  ansible.builtin.fail:\n    msg: '{{ item.name }} {{ item.claims }}'\n- ansible.builtin.command: {argv: [\"kc.sh\", build, --collector.textfile.directory=/x]}\n",
    "deny.conf": "denied-peer-ip=192.31.196.0-192.31.196.255\ndenied-peer-ip=2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff\nip_range_blacklist: ['8.8.8.8']\ndeny 9.9.9.9;\ndenied-peer-ip=3fff::1\nx fec0::1\n",
    "java.security": "package.access=sun.misc,jdk.internal.vm.compiler\norg.freedesktop.dbus.properties=1\n",
    "turnserver.conf": "denied-peer-ip=0.0.0.0-0.255.255.255\ndenied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip=fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff\nrealm=turn.town.example.org\nlistening-port=3478\n",
    "pool.conf": "pm = dynamic\npm.max_children = 18\nphp_admin_value[opcache.interned_strings_buffer] = 32\nlisten = /run/php/cloud.sock\n",
    "jvb.conf": 'videobridge { stats { enabled = true } ice { udp { port = 10000 } } apis.xmpp-client.configs.shard { HOSTNAME = "meet.town.example.org", DOMAIN = "auth.meet.town.example.org" } }\nice4j { harvest.mapping.aws.enabled = false }\n',
    "prometheus.yml": "scrape_configs:\n- job_name: node\n  static_configs: [{targets: ['10.20.0.5:9100', 'db-1:9100', 'ops-1.suite.internal:9100']}]\n",
    "a.xml": '<?xml version="1.0"?><!DOCTYPE x PUBLIC "-//W3C//DTD" "http://www.w3.org/TR/x.dtd"><a xmlns="http://www.w3.org/2000/svg"/>',
    "x.json": '{"$schema": "https://json-schema.org/draft/2020-12/schema", "mac": "52:54:00:12:34:56", "at": "12:30:45", "version": "8.4.24"}',
    "app.py": "import os.path\nfrom a.b import c\nlogging.info('started')\nself.name = config.id\nprint(f'{settings.zone}')\n",
    "hosts": "127.0.0.1 localhost\n10.20.0.5 app-1 app-1.lan\n192.0.2.7 doc.example.com www.example.net\n",
}  # fmt: skip


@pytest.mark.parametrize("path", CLEAN)
def test_the_clients_own_and_plain_settings_are_no_contacts(path: str) -> None:
    said = found(path, CLEAN[path])
    assert "contact" not in said.values(), said


def test_words_are_told_from_contacts() -> None:
    assert found("a.svg", '<svg xmlns="http://www.w3.org/2000/svg"><image href="https://www.w3.org/x.png"/></svg>') == {"www.w3.org": "contact"}  # fmt: skip
    assert found("disco.lua", 'local ns = "http://jabber.org/protocol/disco#info"') == {"jabber.org": "mentioned"}  # fmt: skip
    assert found("disco.lua", 'connect("http://jabber.org/feed")') == {"jabber.org": "contact"}
    assert found("x.service", "Documentation=https://docs.foreign.eu/x\nEnvironment=URL=https://api.foreign.eu") == {"docs.foreign.eu": "mentioned", "api.foreign.eu": "contact"}  # fmt: skip
    assert found("nft.conf", "ip saddr 198.41.200.0/24 accept\nip daddr 198.41.201.9/32 accept") == {"198.41.200.0": "mentioned", "198.41.201.9": "contact"}  # fmt: skip
    assert found("readme.md", "see https://foreign.eu/doc") == {"foreign.eu": "mentioned"}


def test_forms_that_installed_hosts_have() -> None:
    """Seen on hosts: comments of apt, what is read by people, streams of Python and modules of Java, files of processes."""
    apt = '// see http://docs.foreign.eu/x\nUnattended-Upgrade::Mail "root";\nAcquire::http::Proxy "http://proxy.foreign.eu:3128";\n'
    assert found("app-1/etc/apt/apt.conf.d/50x", apt) == {"docs.foreign.eu": "mentioned", "proxy.foreign.eu": "contact"}  # fmt: skip
    assert found("consoles/README.consoles", "see https://foreign.eu/doc") == {
        "foreign.eu": "mentioned"
    }
    assert found("log.yaml", "stream: ext://sys.stderr\nhost: https://sys.foreign.eu") == {"sys.foreign.eu": "contact"}  # fmt: skip
    assert found("a.policy", 'grant codeBase "jrt:/java.compiler" {') == {}
    assert "contact" not in found("init.d/x", "PIDFILE=/run/$NAME.pid\n--pidfile $PROCNAME.pid\n").values()  # fmt: skip
    assert found("init.d/x", "URL=https://name.pid/x\n") == {"name.pid": "contact"}
    assert found("java.security", "disallow http://www.w3.org/TR/1999/x, \\\n   and more\n") == {"www.w3.org": "mentioned"}  # fmt: skip


def test_names_that_only_look_like_the_clients_own() -> None:
    said = found("x.conf", "a https://town.example.org.evil.fr\nb https://eviltown.example.org.\nc https://xtown.example.org\nd https://example.com@evil.ch/\ne https://evil.example.com.br")  # fmt: skip
    assert said == {"town.example.org.evil.fr": "contact", "evil.ch": "contact", "evil.example.com.br": "contact"}  # fmt: skip
    assert found("x.conf", "https://a.town.example.org", Own("other.fr")) == {}, "an example's name"
    assert set(found("x.conf", "https://a.city.fr", Own("ity.fr"))) == {"a.city.fr"}


# --------------------------------------------------------------------------- no way of writing hides a host

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda s: not s.startswith("xn--"))  # fmt: skip
HOST = st.builds(
    lambda labels, tld: ".".join([*labels, tld]), st.lists(LABEL, min_size=1, max_size=3), st.sampled_from(["com", "fr", "net", "io", "ch", "dev", "cloud", "ninja"])
).filter(lambda h: whose(h) is None and not reading.special(h))  # fmt: skip
VALUES = (
    ("a.yaml", "url: https://{h}/x"), ("a.yaml", "url: 'https://{h}/x'  # own"), ("a.yaml", 'url: "https:\\/\\/{h}"'), ("a.yaml", "- {h}"),
    ("a.yaml", "text: >\n  folded\n  https://{h}/"), ("a.yaml", "server: {h}:8443"), ("a.yaml", "x: 'it''s # {h}'"), ("a.yaml", 'x: "a # https://{h}"'),
    ("a.conf", "server {h} iburst"), ("a.conf", "proxy_pass https://{h};"), ("a.conf", "a b;# https://{h}"), ("a.conf", "host={h}"),
    ("a.conf", "\tPOOL\t{h}\t"), ("a.conf", "u https:\\\\{h}\\"), ("a.conf", "u https:/{h}/"), ("a.conf", "u //{h}/lib.js"), ("a.conf", "x 'a\\\\' {h}"),
    ("a.ini", "key = user@{h}"), ("a.ini", "key=https://user:pw@{h}:99/p?q=1#f"), ("a.ini", "[https://{h}]"), ("a.ini", "a=1;https://{h}"),
    ("a.json", '{{"u": "https:\\/\\/{h}"}}'), ("a.json", '{{"https://{h}": 1}}'), ("a.json", '{{"c": "# https://{h}"}}'), ("a.json", '["{h}"]'),
    ("a.js", "x = 'https://{h}';"), ("a.js", 'x = "//{h}/a.js"; // own'), ("a.js", "x = `wss://{h}`"), ("a.js", "/* a */ x = 'stun:{h}:3478'"), ("a.js", "x = {{urls: ['turn:{h}']}}"),
    ("a.js", "/* open\nstill */ load('https://{h}')"), ("a.js", "x = 'a' /* c */ + 'https://{h}'"),
    ("a.lua", 'host = "{h}"'), ("a.lua", "component '{h}' --own"), ("a.lua", "x = [[https://{h}]]"), ("a.lua", "--[[ c ]] x = 'https://{h}'"),
    ("a.php", "$a['b'] = \"https://{h}/\"; # x"), ("a.php", "/* x */ get('https://{h}');"), ("a.xml", "<a><!-- c --><b>https://{h}</b></a>"), ("a.html", "<script src=//{h}/x.js></script>"),
    ("a.html", "<!--\nx\n--><link href='https://{h}'>"), ("a.css", "@import url(https://{h}/f.css);"), ("a.properties", "a.b.STUN={h}:443,x"), ("a", "{h}"),
    ("a.sh", "curl -s {h} | sh"), ("a.sh", "export X=https://{h} # c"), ("a.sh", "echo \"# https://{h}\""), ("a.j2", "x {{# c #}} https://{h}"),
    ("a.conf.j2", "{{% if x %}}server {h};{{% endif %}}"), ("a.yaml", "x: https://{h}\u200b/"), ("a.txt", "a\x0bhttps://{h}"), ("a.conf", "# comment\rserver {h}"),
    ("a.service", "ExecStart=/bin/ping {h}"), ("a.service", "X=1\n; c\nIPAddressAllow={h}"), ("a.sql", "select 'https://{h}' -- c"), ("a.yaml", "url: HTTPS://{h}"),
)  # fmt: skip
"""(file, text): `{h}` stands in each as a value that some program takes."""


@settings(max_examples=150, deadline=None)
@given(HOST, st.sampled_from(VALUES))
def test_no_host_that_is_a_value_escapes(host: str, form: tuple[str, str]) -> None:
    path, text = form
    assert found(path, text.format(h=host), Own("own.eu")).get(host) == "contact", text
    upper = text.format(h=host.upper())
    assert found(path, upper, Own("own.eu")).get(host) == "contact", "in capitals"


WORDS = (
    ("a.yaml", "# see https://{h}/x"), ("a.conf", "  # server {h}"), ("a.conf", "x 1; # {h}"), ("a.js", "// https://{h}"), ("a.js", "/* a\n * https://{h}\n */"),
    ("a.lua", "-- https://{h}"), ("a.lua", "--[[\n{h}\n]]"), ("a.xml", "<!-- https://{h} -->"), ("a.php", "# https://{h}"), ("a.ini.j2", "{{# {h} #}}"),
    ("a.service", "; {h}"), ("a.md", "[x](https://{h})"), ("a.css", "/* https://{h} */"), ("a.yaml", "x: /srv/mirror/{h}"),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(HOST, st.sampled_from(WORDS))
def test_a_host_in_words_is_mentioned_and_not_lost(host: str, form: tuple[str, str]) -> None:
    assert found(form[0], form[1].format(h=host), Own("own.eu")).get(host) == "mentioned", form


def test_every_form_is_tried_once() -> None:
    for path, text in VALUES:
        assert found(path, text.format(h="evil.fr"), Own("own.eu")).get("evil.fr") == "contact", text  # fmt: skip
    for path, text in WORDS:
        assert found(path, text.format(h="evil.fr"), Own("own.eu")).get("evil.fr") == "mentioned", text  # fmt: skip


def _u(host: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in host)


ENCODED = {
    "unicode escapes": lambda h: f'{{"u": "https://{_u(h)}/"}}', "hex escapes": lambda h: "u = \"" + "".join(f"\\x{ord(c):02x}" for c in h) + '"',
    "octal escapes": lambda h: "u = \"https://" + "".join(f"\\{ord(c):03o}" for c in h) + '"', "percent": lambda h: "https://" + "".join(f"%{ord(c):02x}" for c in h),
    "percent twice": lambda h: "https://" + "".join(f"%25{ord(c):02x}" for c in h), "entities": lambda h: "<a href='https://" + "".join(f"&#{ord(c)};" for c in h) + "'>",
    "regex": lambda h: "~^https://" + h.replace(".", "\\."), "escaped newline": lambda h: f'"a\\n{h}\\nb"', "continued": lambda h: f"url https://{h[:3]}\\\n{h[3:]}/x",
    "continued, indented": lambda h: f"url=https://{h[:3]}\\\n      {h[3:]}", "summed": lambda h: f"u = 'https://{h[:3]}' + '{h[3:]}'", "summed in Lua": lambda h: f'u = "https://{h[:3]}" .. "{h[3:]}"',
    "wide letters": lambda h: "https://" + "".join(chr(ord(c) + 0xFEE0) for c in h), "ideographic dots": lambda h: "https://" + h.replace(".", "\u3002"),
    "soft hyphens": lambda h: "https://" + "\u00ad".join(h), "zero bytes": lambda h: "https://" + "\0".join(h),
}  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(HOST, st.sampled_from(sorted(ENCODED)))
def test_no_encoding_hides_a_host(host: str, how: str) -> None:
    assert host in found("a.conf", ENCODED[how](host), Own("own.eu")), how


def test_utf_16_is_read() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert found("a.conf", "server evil.fr".encode(encoding)) == {"evil.fr": "contact"}


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://www.аpple.fr/", "www.xn--pple-43d.fr"), ("server münchen.de", "xn--mnchen-3ya.de"), ("https://例え.テスト/", "xn--r8jz45g.xn--zckzah"),
        ("https://xn--mnchen-3ya.de", "xn--mnchen-3ya.de"), ("http://[2a00:1450::8]:443/", "2a00:1450::8"), ("x [::ffff:8.8.8.8]:53", "8.8.8.8"),
        ("bind 2a00:1450:4001:82f::200e", "2a00:1450:4001:82f::200e"), ("http://134744072/", "8.8.8.8"), ("http://0x08.8.8.8/", "8.8.8.8"), ("http://010.8.8.8", "10.8.8.8"),
        ("http://0x8080808/", "8.8.8.8"), ("dns 8.8.8.8:53", "8.8.8.8"), ("https://evil.fr./x", "evil.fr"), ("*.evil.fr", "evil.fr"), ("_matrix._tcp.evil.fr", "matrix._tcp.evil.fr"),
        ("${host}.evil.fr", "evil.fr"), ("{{ label }}.evil.fr", "evil.fr"), ("https://my_host.evil.fr", "my_host.evil.fr"), ("https://a.zzzz/", "a.zzzz"), ("git@evil.fr:x/y", "evil.fr"),
        ("https://foo.py/x", "foo.py"), ("foo.py:443", "foo.py"), ("host = com.evil.fr", "com.evil.fr"), ("https://io.evil.fr", "io.evil.fr"), ("server = notes.id", "notes.id"), ("x notes.id:443", "notes.id"), ('server: "evil.sh"', "evil.sh"),
    ],
)  # fmt: skip
def test_rare_forms(text: str, host: str) -> None:
    said = found("a.conf", text)
    if host == "10.8.8.8":  # as octal it is 8.8.8.8, as decimal it is private
        host = "8.8.8.8"
    assert said.get(host) == "contact", said


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a", "a.lua", "a.js", "a.json", "a.php", "a.html", "a.conf.j2", "a.md"]))  # fmt: skip
def test_no_bytes_are_a_crash(data: bytes, path: str) -> None:
    said = lint({path: data}, OWN)
    assert all("\n" not in row["host"] for row in said["contacts"])


def test_what_is_not_read_is_said() -> None:
    said = lint(
        {"key.p12": bytes(range(32)) * 40, "big.conf": b"x" * (reading.MOST_BYTES + 1)}, OWN
    )
    assert [(each["file"], each["why"]) for each in said["unread"]] == [("big.conf", "larger than 20 MB"), ("key.p12", "binary")]  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("text", ["a." * 500_000, "a-" * 500_000, ":" * 1_000_000, "1." * 500_000, "\\" * 500_000, "'" * 500_000, "https://" * 100_000, "%25" * 300_000, "/*" * 400_000, "é." * 200_000])  # fmt: skip
def test_a_huge_line_is_read_in_time(text: str) -> None:
    contacts("a.js", (text + "\nserver evil.fr").encode())
    assert "evil.fr" in found("a.conf", text + "\nserver evil.fr")


# ------------------------------------------------------------------------------- whose, and who allowed it


def test_the_table_of_hosts_is_sound() -> None:
    held = yaml.safe_load((ROOT / "toolkit/assess/hosts.yaml").read_text())
    names = [row[0] for row in held["hosts"]]
    assert len(names) == len(set(names)) > 100
    for row in held["hosts"] + held["networks"]:
        assert len(row) == len(held["columns"]) == 6, row
        assert row[2] == "" or (len(row[2]) == 2 and row[2].isupper()), row
        assert row[4] in held["sources"], row
        assert row[5] in ("read", "inferred"), row
    assert all(each["seen"] and each["title"] for each in held["sources"].values())
    assert {row[4] for row in held["hosts"]} == set(held["sources"])
    assert all(len(row) == 3 and row[0].startswith("etc/") and len(row[2]) > 20 for row in held["shipped"])  # fmt: skip
    assert whose("fcm.googleapis.com").kind == "push"  # type: ignore[union-attr]
    assert whose("x.fonts.googleapis.com").kind == "fonts"  # type: ignore[union-attr]
    assert whose("notgoogleapis.com") is None
    assert whose("8.8.8.9").operator == "Google"  # type: ignore[union-attr]


def test_what_is_allowed_is_shown_and_what_has_no_use_too() -> None:
    own = Own("town.fr", {"relay.mailer.fr": "mail.host"}, {"acme.ca.eu": "ordered there", "old.eu": "gone"})  # fmt: skip
    text = b"a https://acme.ca.eu/dir\nrelay relay.mailer.fr:587\nb https://x.acme.ca.eu\n"
    said = lint({"a.conf": text}, own)
    assert [(row["host"], row["reason"]) for row in said["allowed"]] == [("acme.ca.eu", "ordered there"), ("relay.mailer.fr", "mail.host")]  # fmt: skip
    assert [row["host"] for row in said["contacts"]] == ["x.acme.ca.eu"], "only what is named"
    assert said["unused"] == [{"host": "old.eu", "reason": "gone"}]
    assert said["contacts"][0]["operator"] == UNKNOWN
    told = table(said)
    for each in ("CONTACT  x.acme.ca.eu", "unknown: decide", "a.conf:3", "allowed  acme.ca.eu  ordered there", "unused   [[allow]] old.eu"):  # fmt: skip
        assert each in told, told


LOG = [
    {"time": "2026-11-26T03:00:00Z", "host": "app-1", "process": "php-fpm", "destination": "10.20.0.21:5432", "name": ""},
    {"time": "2026-11-26T03:00:01Z", "host": "app-1", "process": "php-fpm", "destination": "", "name": "updates.nextcloud.com."},
    {"time": "2026-11-26T03:00:02Z", "host": "chat-1", "process": "synapse", "destination": "8.8.4.4:53", "name": ""},
    {"time": "2026-11-26T03:00:03Z", "host": "chat-1", "process": "synapse", "destination": "5.196.1.1:443", "name": "cloud.town.example.org"},
    {"time": "2026-11-26T03:00:04Z", "host": "chat-1", "process": "synapse", "destination": "5.196.1.1:443", "name": ""},
    {"time": "2026-11-26T03:00:05Z", "host": "meet-1", "process": "jvb", "destination": "[2a00:1450::7]:443", "name": ""},
    {"time": "2026-11-26T03:00:06Z", "host": "meet-1", "process": "jvb", "destination": "10.20.0.53:53", "name": "stun.l.google.com"},
]  # fmt: skip


def test_what_was_contacted_is_held_against_the_same_rules() -> None:
    log = "\n".join(json.dumps(each) for each in LOG).encode()
    said = lint(
        {}, Own("town.example.org", allow={"8.8.4.4": "for a week"}), [("egress.jsonl", log)]
    )
    assert [(row["host"], row["ports"]) for row in said["contacts"]] == [("2a00:1450::7", [443]), ("stun.l.google.com", [53]), ("updates.nextcloud.com", [])]  # fmt: skip
    assert [row["host"] for row in said["allowed"]] == ["8.8.4.4"]
    place = said["contacts"][2]["places"][0]
    assert (place["on"], place["process"], place["line"]) == ("app-1", "php-fpm", 2)
    bad = lint({}, OWN, [("egress.jsonl", b'{"name": 7}\nnothing\n[]\n{"name": ""}\n\n' + log)])
    assert [each["line"] for each in bad["unread"]] == [1, 2, 3, 4]
    assert len(bad["contacts"]) == 4


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_log_is_a_crash(data: bytes) -> None:
    lint({}, OWN, [("x", data)])


# ----------------------------------------------------------------------------------------- the command


def test_lint_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    town = (ROOT / "tests/estates/town-300/suite.toml").read_text()
    folder = tmp_path / "rendered"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a.conf").write_text("server pool.ntp.org\n")
    (folder / "link").symlink_to("/etc/passwd")
    (tmp_path / "suite.toml").write_text(town)
    words = ["suite", "lint", str(folder), "--answers", str(tmp_path / "suite.toml")]
    assert run([*words, "--json"]) == 3
    out, err = capsys.readouterr()
    said: dict[str, Any] = json.loads(out)
    assert [row["host"] for row in said["contacts"]] == ["pool.ntp.org"]
    assert said["files"] == 1
    assert "next: take each host out" in err
    (tmp_path / "suite.toml").write_text(
        town + '\n[[allow]]\nhost = "pool.ntp.org"\nreason = "time"\n'
    )
    assert run(words) == 0
    assert "allowed  pool.ntp.org  time" in capsys.readouterr().out
    (tmp_path / "log").write_text(json.dumps(LOG[1]))
    assert run(["suite", "lint", "--contacts", str(tmp_path / "log")]) == 3
    assert "php-fpm on app-1" in capsys.readouterr().out
    assert run(["suite", "lint"]) == 2
    assert run(["suite", "lint", str(tmp_path / "missing")]) == 2
