"""Sign-on: code flow with PKCE by the form a person sees, what is refused, one login for every application, a disabled person."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from toolkit.smoke import browser
from toolkit.smoke.check import Check, Failed, NotRun, Trial, expect
from toolkit.smoke.web import Answer, Browser

SLACK = 120
"""Seconds by which two clocks may differ."""


class _Forms(HTMLParser):
    """Forms of a page: action, and the fields with their values."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((held.get("action", ""), {}))
        elif tag == "input" and self.forms and held.get("name"):
            self.forms[-1][1][held["name"]] = held.get("value", "")


@dataclass(frozen=True, slots=True)
class Client:
    """An application to the sign-on: a public one, without a secret."""

    id: str
    redirect: str


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that has begun: for whom, what the answer must repeat, and the secret half of PKCE."""

    client: Client
    state: str
    nonce: str
    verifier: str
    page: Answer


def _discovered(trial: Trial) -> Mapping[str, Any]:
    def ask() -> Mapping[str, Any]:
        issuer = trial.settings.text("idp.issuer")
        got = trial.web.ask("GET", issuer + "/.well-known/openid-configuration")
        expect(got.status == 200, f"the discovery says {got.status}")
        held: Mapping[str, Any] = got.json()
        expect(held.get("issuer") == issuer, f"the issuer calls itself {held.get('issuer')}")
        return held

    return trial.once("idp.discovery", ask)


def discovery(trial: Trial) -> str:
    held = _discovered(trial)
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"):  # fmt: skip
        expect(str(held.get(name, "")).startswith("https://"), f"{name} is {held.get(name, 'not there')}")  # fmt: skip
    expect("S256" in held.get("code_challenge_methods_supported", ()), "PKCE with S256 is not offered")  # fmt: skip
    expect(trial.web.ask("GET", held["jwks_uri"]).json().get("keys"), "there are no keys")
    return ""


def _own(trial: Trial) -> Client:
    return Client(trial.settings.text("idp.client"), trial.settings.text("idp.redirect"))


def _begin(
    trial: Trial, person: Browser, client: Client | None = None, *, prompt: str = ""
) -> Flow:
    """Ask for a code, as an application does: the form, or where the redirect leads."""
    state, nonce, verifier = (base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode() for _ in range(3))  # fmt: skip
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()  # fmt: skip
    client = client or _own(trial)
    asked = {
        "client_id": client.id, "redirect_uri": client.redirect, "response_type": "code", "scope": "openid",
        "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256", **({"prompt": prompt} if prompt else {}),
    }  # fmt: skip
    url = f"{_discovered(trial)['authorization_endpoint']}?{urlencode(asked)}"
    return Flow(client, state, nonce, verifier, person.ask("GET", url, stop=client.redirect))


def _submit(person: Browser, flow: Flow, user: str, password: str) -> Answer:
    """Fill in the form of the page: the one that has a field for a password."""
    forms = _Forms()
    forms.feed(flow.page.text)
    form = next(((action, fields) for action, fields in forms.forms if "password" in fields), None)
    if form is None:
        raise Failed(f"no form for a password at {urlsplit(flow.page.url).netloc}: {flow.page.status}")  # fmt: skip
    action, fields = form
    name = next((each for each in ("username", "user", "email") if each in fields), "username")
    return person.ask(
        "POST", urljoin(flow.page.url, action), form={**fields, name: user, "password": password},
        stop=flow.client.redirect,
    )  # fmt: skip


def _answer(flow: Flow, got: Answer | None = None) -> dict[str, str]:
    """What a redirect to the client says; nothing where it is none."""
    got = got or flow.page
    to = got.headers.get("location", "")
    if got.status not in (302, 303) or not to.startswith(flow.client.redirect):
        return {}
    return {name: held[0] for name, held in parse_qs(urlsplit(to).query).items()}


def _tokens(trial: Trial, form: Mapping[str, str]) -> Answer:
    """Ask for tokens, for our own client where the form names no other."""
    return trial.web.ask("POST", _discovered(trial)["token_endpoint"], form={"client_id": trial.settings.text("idp.client"), **form})  # fmt: skip


def _redeem(trial: Trial, flow: Flow, code: str) -> dict[str, Any]:
    got = _tokens(trial, {"grant_type": "authorization_code", "client_id": flow.client.id, "code": code, "redirect_uri": flow.client.redirect, "code_verifier": flow.verifier})  # fmt: skip
    expect(got.status == 200, f"the code is not taken: {got.status}")
    held: dict[str, Any] = got.json()
    for name in ("access_token", "refresh_token", "id_token"):
        if name in held:
            trial.secret(held[name])
    return held


def _login(
    trial: Trial, person: Browser, user: str, password: str, client: Client | None = None
) -> tuple[Flow, dict[str, Any]]:
    flow = _begin(trial, person, client)
    said = _answer(flow, _submit(person, flow, user, password))
    expect("code" in said, f"sign-in of {user}: the form does not lead back to the application")
    expect(said.get("state") == flow.state, "the answer belongs to another question (state)")
    return flow, _redeem(trial, flow, trial.secret(said["code"]))


def claims(token: str, keys: Mapping[str, Any], wanted: Mapping[str, str], now: float) -> dict[str, Any]:  # fmt: skip
    """What an id token says (JWT, RS256 or ES256). Raises Failed: no signature of these keys, over, or another's."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    def part(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    try:
        head_text, body_text, signature_text = token.split(".")
        head, held, signature = json.loads(part(head_text)), json.loads(part(body_text)), part(signature_text)  # fmt: skip
        key = next(each for each in keys["keys"] if each.get("kid") == head.get("kid"))
        number = {name: int.from_bytes(part(key[name])) for name in ("n", "e", "x", "y") if name in key}  # fmt: skip
        data = f"{head_text}.{body_text}".encode()
        if head.get("alg") == "RS256":
            rsa.RSAPublicNumbers(number["e"], number["n"]).public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())  # fmt: skip
        elif head.get("alg") == "ES256":
            pair = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))  # fmt: skip
            ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key().verify(pair, data, ec.ECDSA(hashes.SHA256()))  # fmt: skip
        else:
            raise Failed(f"the id token is signed by {head.get('alg')}")
    except (ValueError, KeyError, StopIteration, InvalidSignature):
        raise Failed("the id token is not signed by the keys of the sign-on") from None
    audience = held.get("aud")
    expect(wanted["aud"] in (audience if isinstance(audience, list) else [audience]), "the id token is for somebody else")  # fmt: skip
    for name in ("iss", "nonce"):
        expect(held.get(name) == wanted[name], f"the id token has another {name}")
    expect(held.get("exp", 0) > now - SLACK, "the id token is over")
    return dict(held)


def sign_in(trial: Trial) -> str:
    person = Browser(trial.web)
    flow, tokens = _login(trial, person, trial.settings.text("idp.user"), trial.settings.text("idp.password"))  # fmt: skip
    keys = trial.web.ask("GET", _discovered(trial)["jwks_uri"]).json()
    wanted = {"aud": trial.settings.text("idp.client"), "iss": trial.settings.text("idp.issuer"), "nonce": flow.nonce}  # fmt: skip
    held = claims(tokens.get("id_token", ""), keys, wanted, time.time())
    got = trial.web.ask("GET", _discovered(trial)["userinfo_endpoint"], token=tokens["access_token"])  # fmt: skip
    expect(got.status == 200 and got.json().get("sub") == held["sub"], f"userinfo says {got.status}")  # fmt: skip
    trial.made["idp.session"] = (person, tokens)
    trial.later("the sign-on session", lambda: _end(trial), at_end=True)
    return trial.settings.text("idp.user")


def _end(trial: Trial) -> None:
    person, tokens = trial.made.pop("idp.session", (None, {}))
    if person is not None:
        _logout(trial, person, tokens)


def _logout(trial: Trial, person: Browser, tokens: Mapping[str, Any]) -> None:
    url = _discovered(trial)["end_session_endpoint"]
    got = person.ask("GET", f"{url}?{urlencode({'id_token_hint': tokens['id_token']})}")
    expect(got.status == 200, f"signing out: {got.status}")


def token_of(trial: Trial, client: Client) -> str:
    """An access token that another application gets for the person of these checks; signed out at the end. Raises Failed."""
    person = Browser(trial.web)
    _, tokens = _login(trial, person, trial.settings.text("idp.user"), trial.settings.text("idp.password"), client)  # fmt: skip
    trial.later(f"a session of {client.id}", lambda: _logout(trial, person, tokens), at_end=True)
    held: str = tokens["access_token"]
    return held


def wrong_password(trial: Trial) -> None:
    person = Browser(trial.web)
    flow = _begin(trial, person)
    got = _submit(person, flow, trial.settings.text("idp.user"), "wrong-" + os.urandom(9).hex())  # fmt: skip
    expect(not _answer(flow, got), "a wrong password leads back to the application")


def pkce(trial: Trial) -> str:
    """Who steals a code cannot use it: without the secret half, or with another one, it is worth nothing."""
    for verifier in ({}, {"code_verifier": base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()}):  # fmt: skip
        person = Browser(trial.web)
        flow = _begin(trial, person)
        said = _answer(flow, _submit(person, flow, trial.settings.text("idp.user"), trial.settings.text("idp.password")))  # fmt: skip
        expect("code" in said, "the form does not lead back to the application")
        got = _tokens(trial, {"grant_type": "authorization_code", "code": trial.secret(said["code"]), "redirect_uri": trial.settings.text("idp.redirect"), **verifier})  # fmt: skip
        expect(got.status in (400, 401), f"a code is taken {'with another' if verifier else 'without a'} verifier: {got.status}")  # fmt: skip
    return ""


def redirect(trial: Trial) -> str:
    """Nobody's code may be led to a stranger's page."""
    strange = "https://stranger.invalid/callback"
    got = _begin(trial, Browser(trial.web), Client(_own(trial).id, strange)).page
    expect(got.status >= 400 and strange not in got.headers.get("location", ""), f"a stranger's address is taken: {got.status}")  # fmt: skip
    return f"{got.status}"


def logout(trial: Trial) -> str:
    """Signed in, the next application asks nothing; signed out, it would have to ask, and the old refresh token is worth nothing."""
    person, tokens = trial.made["idp.session"]
    before = _answer(_begin(trial, person, prompt="none"))
    expect("code" in before, "a second application asks for the password again")
    _logout(trial, person, tokens)
    after = _answer(_begin(trial, person, prompt="none"))
    expect("code" not in after and after.get("error"), "signed out, and the next application still opens")  # fmt: skip
    got = _tokens(trial, {"grant_type": "refresh_token", "refresh_token": tokens.get("refresh_token", "")})  # fmt: skip
    expect(got.status in (400, 401), f"signed out, and the session can still be renewed: {got.status}")  # fmt: skip
    return str(after["error"])


def _admin(trial: Trial) -> str:
    """A token of the administrator, by `admin-cli` of their own realm of Keycloak."""
    realm, place = trial.settings.text("idp.admin_realm"), _discovered(trial)["token_endpoint"]
    if realm:
        root = trial.settings.text("idp.admin_api").partition("/admin/realms/")[0]
        place = f"{root}/realms/{realm}/protocol/openid-connect/token"
    got = trial.web.ask("POST", place, form={
        "grant_type": "password", "client_id": "admin-cli", "username": trial.settings.text("idp.admin"),
        "password": trial.settings.text("idp.admin_password"),
    })  # fmt: skip
    if got.status != 200:
        raise NotRun(f"sign-in of the administrator: {got.status}")
    return trial.secret(got.json()["access_token"])


def disabled(trial: Trial) -> str:
    """A person is made, signs in, is disabled: neither the form nor the old session opens anything any more."""
    api, token = trial.settings.text("idp.admin_api"), _admin(trial)
    name, password = "smoke-" + os.urandom(6).hex(), trial.secret("Aa1!" + os.urandom(12).hex())
    made = trial.web.ask("POST", f"{api}/users", token=token, json_body={
        "username": name, "enabled": True, "email": f"{name}@smoke.invalid", "emailVerified": True, "firstName": "Smoke", "lastName": "Test",
        "credentials": [{"type": "password", "value": password, "temporary": False}],
    })  # fmt: skip
    expect(made.status == 201, f"a person cannot be made: {made.status}")
    user = f"{api}/users/{urlsplit(made.headers['location']).path.rpartition('/')[2]}"

    def delete() -> None:
        got = trial.web.ask("DELETE", user, token=_admin(trial))
        expect(got.status in (204, 404), f"a person cannot be deleted: {got.status}")

    trial.later(f"person {name}", delete)
    person = Browser(trial.web)
    _, tokens = _login(trial, person, name, password)
    got = trial.web.ask("PUT", user, token=token, json_body={"enabled": False})
    expect(got.status == 204, f"a person cannot be disabled: {got.status}")
    renewed = _tokens(trial, {"grant_type": "refresh_token", "refresh_token": tokens.get("refresh_token", "")})  # fmt: skip
    expect(renewed.status in (400, 401), f"disabled, and the session can still be renewed: {renewed.status}")  # fmt: skip
    again = _answer(_begin(trial, person, prompt="none"))
    expect("code" not in again, "disabled, and the next application still opens")
    other = Browser(trial.web)
    flow = _begin(trial, other)
    said = _answer(flow, _submit(other, flow, name, password))
    expect("code" not in said, "disabled, and the form still lets in")
    return ""


def _pages(trial: Trial) -> list[tuple[str, str]]:
    held = [each.partition(" ")[::2] for each in trial.settings.get("idp.opens")]
    wrong = [address for address, word in held if not address.startswith("https://") or not word]
    expect(not wrong, f"idp.opens: {', '.join(wrong)} is no `ADDRESS words`")
    return held


def applications(trial: Trial) -> str:
    """One login for all of them, and one logout: afterwards each asks again."""
    pages = _pages(trial)
    issuer = urlsplit(trial.settings.text("idp.issuer")).netloc
    with browser.Chromium(trial) as chromium:
        person = chromium.person()
        typed = 0
        for address, word in pages:
            person.goto(address)
            if urlsplit(person.url).netloc == issuer:
                expect(typed == 0, f"{address} asks for the password again")
                _type(trial, person)
                typed += 1
            _shows(person, address, word)
        expect(typed == 1, "no page asked for the password: they are open to anybody")
        person.goto(_discovered(trial)["end_session_endpoint"])
        if (button := person.locator("button[type=submit], input[type=submit]")).count():
            button.first.click()
            person.wait_for_load_state()
        for address, word in pages:
            person.goto(address)
            person.wait_for_load_state()
            still = urlsplit(person.url).netloc != issuer and person.get_by_text(word).count()
            expect(not still, f"signed out, and {address} still shows {word!r}")
    return f"{len(pages)} pages"


def _type(trial: Trial, person: Any) -> None:
    person.locator("input[name=username]").fill(trial.settings.text("idp.user"))
    person.locator("input[name=password]").fill(trial.settings.text("idp.password"))
    person.locator("input[name=password]").press("Enter")
    person.wait_for_load_state()


def _shows(person: Any, address: str, word: str) -> None:
    from playwright.sync_api import TimeoutError as Late

    try:
        person.get_by_text(word).first.wait_for()
    except Late:
        raise Failed(f"{address} does not show {word!r}; it ends at {urlsplit(person.url).netloc}{urlsplit(person.url).path}") from None  # fmt: skip


PERSON = ("idp.client", "idp.redirect", "idp.user", "idp.password")
CHECKS = (
    Check("idp.discovery", "applications find what they need from the issuer alone", discovery),
    Check("idp.sign-in", "a person signs in by the form, and the token is theirs (code flow, PKCE)", sign_in, 40, ("idp.discovery",), PERSON),
    Check("idp.wrong-password", "a wrong password is refused", wrong_password, needs=("idp.discovery",), wants=PERSON),
    Check("idp.pkce", "a stolen code is worth nothing", pkce, 40, ("idp.sign-in",), PERSON),
    Check("idp.redirect", "no code is led to a stranger's page", redirect, needs=("idp.discovery",), wants=PERSON),
    Check("idp.logout", "signed in once is enough; signed out, nothing opens", logout, 40, ("idp.sign-in",), PERSON),
    Check("idp.disabled", "a disabled person is out", disabled, 60, ("idp.sign-in",), (*PERSON, "idp.admin", "idp.admin_password", "idp.admin_api")),
    Check("idp.applications", "one login opens every application, one logout closes them (headless browser)", applications, 180, ("idp.sign-in",), (*PERSON, "idp.opens")),
)  # fmt: skip
