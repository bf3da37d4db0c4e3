"""Conferences: sessions by both ways of a browser, tokens, TURN, jicofo, bridges, and media between three browsers."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from urllib.parse import quote, urlencode, urlsplit

from toolkit.smoke import browser, idp, xmpp
from toolkit.smoke.check import Check, Failed, NotRun, Trial, expect
from toolkit.smoke.matrix import allocate, places

PATIENCE = 60.0
"""Seconds until three people have to hear and see each other."""


def _domain(trial: Trial) -> str:
    return trial.settings.text("jitsi.domain") or urlsplit(trial.settings.text("jitsi.url")).hostname or ""  # fmt: skip


def signed(app: str, secret: str, domain: str, now: float) -> str:
    """A token (JWT, HS256) for every room, good for ten minutes."""

    def part(held: object) -> str:
        data = held if isinstance(held, bytes) else json.dumps(held, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    said = {"iss": app, "aud": app, "sub": domain, "room": "*", "nbf": int(now) - 30, "exp": int(now) + 600, "context": {"user": {"name": "smoke"}}}  # fmt: skip
    head = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(said)}"
    return f"{head}.{part(hmac.digest(secret.encode(), head.encode(), 'sha256'))}"


def _token(trial: Trial) -> str:
    """The token of the settings, one made with their secret or had from the sign-on, or none where the conferences ask for none."""
    get = trial.settings.text
    if get("jitsi.token"):
        return get("jitsi.token")
    if get("jitsi.client"):
        client = idp.Client(get("jitsi.client"), get("jitsi.client_redirect") or get("jitsi.url") + "/")  # fmt: skip
        return trial.once("jitsi.token", lambda: idp.token_of(trial, client))
    if not get("jitsi.app_secret"):
        return ""
    return trial.secret(signed(get("jitsi.app_id"), get("jitsi.app_secret"), _domain(trial), time.time()))  # fmt: skip


def _way(trial: Trial, kind: type[xmpp.Bosh] | type[xmpp.WebSocket], token: str) -> xmpp.Session:
    path = "/http-bind" if kind is xmpp.Bosh else "/xmpp-websocket"
    query = {"room": "smoke-" + os.urandom(6).hex(), **({"token": token} if token else {})}
    return xmpp.Session(kind(trial.web, f"{trial.settings.text('jitsi.url')}{path}?{urlencode(query)}", _domain(trial)))  # fmt: skip


def _session(trial: Trial, kind: type[xmpp.Bosh] | type[xmpp.WebSocket]) -> str:
    try:
        with _way(trial, kind, _token(trial)) as session:
            expect("@" in session.jid, "no address is given to the client")
            return session.jid.partition("@")[2].partition("/")[0]
    except xmpp.Closed as error:
        raise Failed(str(error)) from None


def bosh(trial: Trial) -> str:
    return _session(trial, xmpp.Bosh)


def websocket(trial: Trial) -> str:
    return _session(trial, xmpp.WebSocket)


def token_refused(trial: Trial) -> str:
    """None, one that is no token, one signed by another secret, and one that is over: all are kept out."""
    app = trial.settings.text("jitsi.app_id") or "jitsi"
    forged = signed(app, os.urandom(16).hex(), _domain(trial), time.time())
    tries = {"no token": "", "a word instead of a token": "let-me-in", "a token signed by somebody else": forged}  # fmt: skip
    if secret := trial.settings.text("jitsi.app_secret"):
        tries["a token that is over"] = signed(app, secret, _domain(trial), time.time() - 86400)
    for what, token in tries.items():
        try:
            with _way(trial, xmpp.Bosh, token) as session:
                raise Failed(f"{what} is let in, as {session.jid.partition('/')[0]}")
        except xmpp.Closed:
            continue
    return f"{len(tries)} ways"


def turn(trial: Trial) -> str:
    """TURN as the conferences tell it must be ours, and must allocate."""
    try:
        with _way(trial, xmpp.Bosh, _token(trial)) as session:
            services = session.services()
    except xmpp.Closed as error:
        raise Failed(str(error)) from None
    held = [each for each in services if each.get("type") in ("turn", "turns")]
    expect(held, "no TURN server is told")
    # by the name that people type: guests have a domain of their own in XMPP, below it
    own = _zone(urlsplit(trial.settings.text("jitsi.url")).hostname or "")
    for each in services:
        host = each.get("host", "")
        foreign = not host.replace(".", "").isdigit() and _zone(host) != own
        expect(not foreign, f"{host} is none of the suite's servers")
    seen = []
    for each in held:
        transport = each.get("transport", "tcp" if each["type"] == "turns" else "udp")
        uri = f"{each['type']}:{each['host']}:{each.get('port', '3478')}?transport={transport}"
        password = trial.secret(each.get("password", ""))
        seen.append(allocate(trial, each.get("username", ""), password, places([uri])))
    return f"{len(seen)} allocated"


def _zone(host: str) -> str:
    return host.partition(".")[2] or host


def conference(trial: Trial) -> str:
    """Jicofo finds a bridge for a room: what a first person in a conference waits for."""
    room = f"smoke-{os.urandom(6).hex()}@conference.{_domain(trial)}"
    got = trial.web.ask("POST", trial.settings.text("jitsi.jicofo") + "/conference-request/v1", json_body={"room": room, "properties": {}})  # fmt: skip
    expect(got.status == 200, f"jicofo says {got.status}")
    held = got.json()
    expect(held.get("ready") is True, f"jicofo is not ready: {held.get('ready')}")
    return str(held.get("focusJid", ""))


def bridge_health(trial: Trial) -> str:
    for url in trial.settings.get("jitsi.bridges"):
        got = trial.web.ask("GET", f"{url.rstrip('/')}/about/health")
        expect(got.status == 200, f"{url} says {got.status}")
    return f"{len(trial.settings.get('jitsi.bridges'))} bridges"


def media(trial: Trial) -> str:
    """Three people, because two would talk to each other without a bridge; each must receive from the others."""
    token = _token(trial)
    room = f"smoke{os.urandom(6).hex()}"
    query = f"?jwt={quote(token)}" if token else ""
    options = "&".join(f"config.{each}" for each in ("prejoinConfig.enabled=false", "p2p.enabled=false", "startWithAudioMuted=false", "disableDeepLinking=true"))  # fmt: skip
    url = f"{trial.settings.text('jitsi.url')}/{room}{query}#{options}"
    with browser.Chromium(trial, fake_media=True) as chromium:
        people = [chromium.person() for _ in range(3)]
        for person in people:
            person.goto(url, wait_until="commit")
        end = time.monotonic() + PATIENCE
        while True:
            received = [browser.received(person) for person in people]
            if all(received):
                return f"{', '.join(map(str, received))} bytes"
            if time.monotonic() > end:
                raise Failed(f"bytes received by three people within {PATIENCE:g} s: {', '.join(map(str, received))}")  # fmt: skip
            people[0].wait_for_timeout(1000)


def _not_open(trial: Trial) -> str:
    if not any(trial.settings.get(f"jitsi.{each}") for each in ("token", "client", "app_secret")):
        raise NotRun("none of jitsi.token, client and app_secret is set: what a token opens cannot be tried")  # fmt: skip
    return token_refused(trial)


CHECKS = (
    Check("jitsi.bosh", "a browser opens a session by BOSH, with its token", bosh),
    Check("jitsi.websocket", "a browser opens a session by WebSocket, with its token", websocket),
    Check("jitsi.token-refused", "without a token, or with a wrong one, nobody comes in", _not_open, 40, ("jitsi.bosh",)),
    Check("jitsi.turn", "TURN servers told to browsers are the suite's own, and allocate", turn, 40, ("jitsi.bosh",)),
    Check("jitsi.conference", "jicofo has a bridge ready for a room", conference, wants=("jitsi.jicofo",)),
    Check("jitsi.bridge-health", "every bridge is well", bridge_health, wants=("jitsi.bridges",)),
    Check("jitsi.media", "three browsers with false cameras receive sound and pictures", media, 120, ("jitsi.conference", "jitsi.bridge-health")),
)  # fmt: skip
