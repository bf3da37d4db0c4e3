"""The checks of conferences against a real prosody and a real TURN server; jicofo, bridges and pages are played here, which is said so."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.missing import missing
from tests.support.smoke import (
    HOST,
    Asked,
    Authority,
    Gate,
    Said,
    Turn,
    coturn,
    forward,
    found,
    free_port,
    reds,
    running,
    smoke_toml,
    tried,
)
from toolkit.smoke import jitsi

pytestmark = [pytest.mark.slow]
NAME, INNER = "meet.smoke.test", "inner.smoke.test"
APP = "smoke"
MODULES = Path(__file__).parent / "support/prosody"


@contextmanager
def prosody(folder: Path, stem: str, services: list[Mapping[str, Any]], *, secret: str, websocket: bool = True, token: bool = True) -> Iterator[str]:  # fmt: skip
    program = shutil.which("prosody")
    if program is None:
        missing("prosody is not installed: the package prosody of Debian")
    home, port = folder / stem, free_port()
    home.mkdir()

    def lua(held: Mapping[str, Any]) -> str:
        return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in held.items()) + " }"  # fmt: skip

    modules = ["bosh", "saslauth", "disco", "external_services", *(["websocket"] if websocket else [])]  # fmt: skip
    (home / "prosody.cfg.lua").write_text("\n".join([
        "daemonize = false", "run_as_root = true", f'pidfile = "{home}/pid"', f'data_path = "{home}"', f'plugin_paths = {{ "{MODULES}" }}',
        f'http_ports = {{ {port} }}', 'http_interfaces = { "127.0.0.1" }', "https_ports = {}", 'modules_disabled = { "s2s" }', "c2s_ports = {}", "c2s_direct_tls_ports = {}",
        "modules_enabled = { " + ", ".join(map(json.dumps, modules)) + " }", 'http_paths = { bosh = "/http-bind"; websocket = "/xmpp-websocket" }',
        "consider_bosh_secure = true", "consider_websocket_secure = true", "c2s_require_encryption = false", 'log = { info = "*console" }',
        "external_services = { " + ", ".join(map(lua, services)) + " }", f'http_default_host = "{NAME}"', f'VirtualHost "{NAME}"',
        f'authentication = "{"smoke_token" if token else "anonymous"}"', f'smoke_token_secret = "{secret}"', f'smoke_token_app = "{APP}"', "",
    ]))  # fmt: skip
    with running([str(program), "--config", str(home / "prosody.cfg.lua"), "-F"], port, home / "out"):  # fmt: skip
        yield f"http://{HOST}:{port}"


def services(turn: Turn) -> list[Mapping[str, Any]]:
    held = {"host": HOST, "secret": turn.secret, "algorithm": "turn", "ttl": 600, "username": "smoke"}  # fmt: skip
    return [
        {**held, "type": "turn", "port": turn.port, "transport": "udp"},
        {**held, "type": "turns", "port": turn.tls_port, "transport": "tcp"},
        {"type": "stun", "host": "turn.smoke.test", "port": turn.port, "transport": "udp"},
    ]


LOOP = b"""<!doctype html><title>not a conference</title><script>
(async () => {
  const one = new RTCPeerConnection(), two = new RTCPeerConnection();
  one.onicecandidate = e => e.candidate && two.addIceCandidate(e.candidate);
  two.onicecandidate = e => e.candidate && one.addIceCandidate(e.candidate);
  const held = await navigator.mediaDevices.getUserMedia({audio: true, video: true});
  held.getTracks().forEach(track => one.addTrack(track, held));
  await one.setLocalDescription(); await two.setRemoteDescription(one.localDescription);
  await two.setLocalDescription(); await one.setRemoteDescription(two.localDescription);
})();
</script>"""
"""Real media between two ends of one page: what the browser's numbers are read from, without a conference."""


@dataclass(frozen=True)
class Meet:
    folder: Path
    authority: Authority
    gate: Gate
    turn: Turn
    secret: str

    def config(self, folder: Path, **changes: Any) -> Path:
        held = {
            "url": f"https://{NAME}", "app_id": APP, "app_secret": self.secret, "jicofo": f"https://{INNER}",
            "bridges": [f"https://{INNER}/bridge-1", f"https://{INNER}/bridge-2"],
        }  # fmt: skip
        return smoke_toml(folder, ca_file=self.authority.file, connect=self.gate.connect(), jitsi={**held, **changes})  # fmt: skip


@pytest.fixture(scope="module")
def meet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meet]:
    folder = tmp_path_factory.mktemp("meet")
    authority, secret = Authority(folder), secrets.token_urlsafe(16)

    def inner(asked: Asked) -> Said:
        if asked.path == "/conference-request/v1" and asked.method == "POST":
            return found({"ready": json.loads(asked.body)["room"].endswith(f"@conference.{NAME}"), "focusJid": "focus@played.test"})  # fmt: skip
        return Said(200 if asked.path.endswith("/about/health") else 404)

    with ExitStack() as stack:
        turn = stack.enter_context(coturn(folder, authority))
        upstream = stack.enter_context(prosody(folder, "prosody", services(turn), secret=secret))
        gate = stack.enter_context(Gate(authority, {NAME: Web(upstream), INNER: inner}))
        yield Meet(folder, authority, gate, turn, secret)


@dataclass(frozen=True)
class Web:
    """The edge of the conferences: sessions to prosody, everything else is a page."""

    websocket: str
    page: bytes = LOOP

    def __call__(self, asked: Asked) -> Said:
        if asked.path.startswith(("/http-bind", "/xmpp-websocket")):
            return forward(self.websocket, asked)
        return Said(200, {"content-type": "text/html"}, self.page)


def test_a_session_by_both_ways_and_turn(meet: Meet, tmp_path: Path) -> None:
    got = tried(meet.config(tmp_path), "jitsi")
    assert {name: held for name, held in got.items() if held[0] != "ok"} == {}
    assert got["jitsi.turn"][1] == "2 allocated"
    assert got["jitsi.token-refused"][1] == "4 ways"


Fault = Callable[[Meet, ExitStack], None]


def breaks(path: str, **how: Any) -> Fault:
    return lambda meet, stack: stack.enter_context(meet.gate.broken(path, **how))


def another(stem: str, change: Callable[[list[Mapping[str, Any]]], list[Mapping[str, Any]]] = list, **how: Any) -> Fault:  # fmt: skip
    """Another prosody takes the place, configured with a fault."""

    def fault(meet: Meet, stack: ExitStack) -> None:
        upstream = stack.enter_context(prosody(meet.folder, stem, change(services(meet.turn)), secret=meet.secret, **how))  # fmt: skip
        stack.callback(meet.gate.sites.__setitem__, NAME, meet.gate.sites[NAME])
        meet.gate.sites[NAME] = Web(upstream)

    return fault


def _silent_page(meet: Meet, stack: ExitStack) -> None:
    stack.enter_context(meet.gate.broken("^/smoke", said=Said(200, {"content-type": "text/html"}, b"<!doctype html>a page without media")))  # fmt: skip


def _foreign(held: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A server of somebody else, as the packages come with."""
    return [
        *held,
        {"type": "stun", "host": "stun.stranger.example", "port": 443, "transport": "udp"},
    ]


FAULTS: dict[str, list[tuple[str, Fault]]] = {
    "jitsi.bosh": [("gone", breaks("^/http-bind", said=Said(502)))],
    "jitsi.websocket": [("not loaded", another("deaf", websocket=False))],
    "jitsi.token-refused": [("open to anybody", another("open", token=False))],
    "jitsi.turn": [
        ("another secret", another("secret", lambda held: [{**each, "secret": "another"} if "secret" in each else each for each in held])),
        ("a stranger's server", another("foreign", _foreign)),
        ("none", another("none", lambda held: held[2:])),
    ],
    "jitsi.conference": [("not ready", breaks("^/conference-request/", said=found({"ready": False})))],
    "jitsi.bridge-health": [("one is ill", breaks("^/bridge-2/about/health", said=Said(500)))],
    "jitsi.media": [("nothing flows", _silent_page)],
}  # fmt: skip
NEEDING = {
    "jitsi.bosh": {"jitsi.token-refused", "jitsi.turn"},
    "jitsi.conference": {"jitsi.media"},
    "jitsi.bridge-health": {"jitsi.media"},
}


@pytest.mark.parametrize(
    ("name", "fault"),
    [pytest.param(name, fault, id=f"{name}: {how}") for name, held in FAULTS.items() for how, fault in held],
)  # fmt: skip
def test_each_fault_turns_its_own_check_red(
    meet: Meet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Fault
) -> None:
    """The browsers are started for the fault of theirs alone, and by the test of all."""
    monkeypatch.setattr(jitsi, "PATIENCE", 8.0)
    asked = set(FAULTS) - ({"jitsi.media"} - NEEDING.get(name, set()) - {name})
    with ExitStack() as stack:
        fault(meet, stack)
        got = tried(meet.config(tmp_path), *asked)
    assert reds(got) == {name}, got
    assert {each for each, held in got.items() if held[0] == "not run"} == NEEDING.get(name, set())


def test_every_check_has_its_fault() -> None:
    assert set(FAULTS) == {check.id for check in jitsi.CHECKS}


def test_what_is_not_there_is_not_run(meet: Meet, tmp_path: Path) -> None:
    """No jicofo, no bridge, no token to try with: none of it looks whole."""
    got = tried(meet.config(tmp_path, jicofo="", bridges=[], app_secret=""), "jitsi")
    assert {name: held[0] for name, held in got.items()} == {
        "jitsi.bosh": "failed", "jitsi.websocket": "failed", "jitsi.token-refused": "not run", "jitsi.turn": "not run",
        "jitsi.conference": "not run", "jitsi.bridge-health": "not run", "jitsi.media": "not run",
    }  # fmt: skip
    assert "not-allowed" in got["jitsi.bosh"][1]


def test_a_token_of_the_settings_is_taken_as_it_is(meet: Meet, tmp_path: Path) -> None:
    import time

    token = jitsi.signed(APP, meet.secret, NAME, time.time())
    got = tried(meet.config(tmp_path, app_id="", app_secret="", token=token), "jitsi.token-refused")  # fmt: skip
    assert got["jitsi.token-refused"] == ("ok", "3 ways")


def test_a_turn_secret_is_not_told(meet: Meet, tmp_path: Path) -> None:
    with ExitStack() as stack:
        another("told", lambda held: [{**each, "secret": "another"} if "secret" in each else each for each in held])(meet, stack)  # fmt: skip
        got = tried(meet.config(tmp_path), "jitsi.turn")
    assert "401" in got["jitsi.turn"][1]
    assert replace(meet.turn, secret="another").credentials()[1] not in got["jitsi.turn"][1]
