"""The checks of the sign-on against a real Keycloak and a real browser; each goes red by its own fault."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.signon import (
    APPLICATIONS,
    ISSUER,
    NAME,
    REALM,
    REDIRECT,
    Application,
    keycloak,
)
from tests.support.smoke import (
    Asked,
    Authority,
    Gate,
    Said,
    body,
    forward,
    found,
    reds,
    smoke_toml,
    tried,
)
from toolkit.smoke import idp, jitsi
from toolkit.smoke.check import Failed, Trial
from toolkit.smoke.settings import load
from toolkit.smoke.web import Web

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class SignOn:
    authority: Authority
    gate: Gate
    upstream: str
    password: str
    admin: str
    applications: dict[str, Application]

    def config(self, folder: Path, **changes: Any) -> Path:
        held = {
            "issuer": ISSUER, "client": "smoke", "redirect": REDIRECT, "user": "ada", "password": self.password,
            "admin": "root", "admin_password": self.admin, "admin_api": f"https://{NAME}/admin/realms/{REALM}",
            "opens": [f"https://{name}/ welcome to {name}" for name in APPLICATIONS],
        }  # fmt: skip
        return smoke_toml(folder, ca_file=self.authority.file, connect=self.gate.connect(), idp={**held, **changes})  # fmt: skip


@pytest.fixture(scope="module")
def signon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignOn]:
    folder = tmp_path_factory.mktemp("signon")
    password, admin = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    authority = Authority(folder)
    with keycloak(folder, password, admin) as upstream, Gate(authority, dict.fromkeys((NAME, *APPLICATIONS), upstream)) as gate:  # fmt: skip
        web = Web(gate.connect(), str(authority.file), 60)
        applications = {name: Application(web, name) for name in APPLICATIONS}
        gate.sites.update(applications)
        yield SignOn(authority, gate, upstream, password, admin, applications)


def test_a_person_signs_in_and_out(signon: SignOn, tmp_path: Path) -> None:
    got = tried(signon.config(tmp_path), "idp")
    assert {name: held for name, held in got.items() if held[0] != "ok"} == {}
    assert len(got) == 8
    assert got["idp.applications"][1] == "3 pages"


Fault = Callable[[SignOn, ExitStack], dict[str, Any] | None]


def breaks(path: str, **how: Any) -> Fault:
    def fault(signon: SignOn, stack: ExitStack) -> None:
        stack.enter_context(signon.gate.broken(path, **how))

    return fault


def _any_password(signon: SignOn, stack: ExitStack) -> None:
    """Whatever ada types is taken for her password."""

    def site(asked: Asked) -> Said:
        form = {name: held[0] for name, held in parse_qs(asked.body.decode()).items()}
        if form.get("username") == "ada":
            asked = replace(asked, body=urlencode({**form, "password": signon.password}).encode())
        return forward(signon.upstream, asked)

    stack.enter_context(signon.gate.broken("/login-actions/authenticate", method="POST", site=site))


def _any_verifier(signon: SignOn, stack: ExitStack) -> None:
    def site(asked: Asked) -> Said:
        said = forward(signon.upstream, asked)
        stolen = said.status == 400 and b"grant_type=authorization_code" in asked.body
        return found({"access_token": "x"}) if stolen else said

    stack.enter_context(signon.gate.broken("/openid-connect/token$", method="POST", site=site))


def _forged(held: dict[str, Any]) -> dict[str, Any]:
    """The id token says the same, and another key signed it."""
    if "id_token" not in held:
        return held
    head, said, signature = held["id_token"].split(".")
    return {**held, "id_token": ".".join((head, said, ("B" if signature[0] == "A" else "A") + signature[1:]))}  # fmt: skip


def application(name: str, switch: str) -> Fault:
    def fault(signon: SignOn, stack: ExitStack) -> None:
        stack.callback(setattr, signon.applications[name], switch, False)
        setattr(signon.applications[name], switch, True)

    return fault


ONE, _, LAST = APPLICATIONS
FAULTS: dict[str, list[tuple[str, Fault]]] = {
    "idp.discovery": [("another issuer", breaks("/openid-configuration$", change=body(lambda held: {**held, "issuer": "https://other.test"})))],
    "idp.sign-in": [
        ("another password", lambda _signon, _stack: {"password": "another one"}),
        ("a forged token", breaks("/openid-connect/token$", change=body(_forged))),
        ("nobody known", breaks("/openid-connect/userinfo$", said=found({"sub": "somebody else"}))),
    ],
    "idp.wrong-password": [("any is taken", _any_password)],
    "idp.pkce": [("any verifier is taken", _any_verifier)],
    "idp.redirect": [("a stranger is taken", breaks("stranger.invalid", said=Said(302, {"location": "https://stranger.invalid/callback?code=x"})))],
    "idp.logout": [("does nothing", breaks(r"/logout\?id_token_hint=", said=Said(200)))],
    "idp.disabled": [("does nothing", breaks("/admin/realms/smoke/users/", method="PUT", said=Said(204)))],
    "idp.applications": [
        ("one asks again", application(LAST, "asks_again")),
        ("one keeps its session", application(ONE, "forgets_to_ask")),
        ("one is open to all", application(LAST, "open_to_all")),
        ("one is broken", application(ONE, "is_broken")),
    ],
}  # fmt: skip
NEEDING = {
    "idp.discovery": {f"idp.{each}" for each in ("sign-in", "wrong-password", "pkce", "redirect", "logout", "disabled", "applications")},
    "idp.sign-in": {f"idp.{each}" for each in ("pkce", "logout", "disabled", "applications")},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fault"),
    [pytest.param(name, fault, id=f"{name}: {how}") for name, held in FAULTS.items() for how, fault in held],
)  # fmt: skip
def test_each_fault_turns_its_own_check_red(signon: SignOn, tmp_path: Path, name: str, fault: Fault) -> None:  # fmt: skip
    """The browser is started for the faults of its own check alone, and by the test of all."""
    asked = set(FAULTS) - ({"idp.applications"} - NEEDING.get(name, set()) - {name})
    with ExitStack() as stack:
        changes = fault(signon, stack) or {}
        got = tried(signon.config(tmp_path, **changes), *asked)
    assert reds(got) == {name}, got
    assert {each for each, held in got.items() if held[0] == "not run"} == NEEDING.get(name, set())


def test_every_check_has_its_fault() -> None:
    assert set(FAULTS) == {check.id for check in idp.CHECKS}


def test_the_person_that_was_made_is_gone_also_after_a_fault(signon: SignOn, tmp_path: Path) -> None:  # fmt: skip
    with signon.gate.broken("/admin/realms/smoke/users/", method="PUT", said=Said(204)):
        assert reds(tried(signon.config(tmp_path), "idp.disabled")) == {"idp.disabled"}
    web = Web(signon.gate.connect(), str(signon.authority.file))
    form = {"grant_type": "password", "client_id": "admin-cli", "username": "root", "password": signon.admin}  # fmt: skip
    token = web.ask("POST", f"{ISSUER}/protocol/openid-connect/token", form=form).json()["access_token"]  # fmt: skip
    people = web.ask("GET", f"https://{NAME}/admin/realms/{REALM}/users", token=token).json()
    assert {each["username"] for each in people} == {"ada", "root"}


def test_an_administrator_of_the_whole_sign_on(signon: SignOn, tmp_path: Path) -> None:
    """Keycloak's own, of the realm `master`; nobody knows them in the realm of the people."""
    theirs = {"admin": "operator", "admin_realm": "master"}
    assert tried(signon.config(tmp_path, **theirs), "idp.disabled")["idp.disabled"][0] == "ok"
    elsewhere = tried(signon.config(tmp_path, admin="operator"), "idp.disabled")["idp.disabled"]
    assert elsewhere[0] == "not run"


def test_an_administrator_who_is_not_let_in_is_not_run(signon: SignOn, tmp_path: Path) -> None:
    got = tried(signon.config(tmp_path, admin_password="another one"), "idp.disabled")
    assert got["idp.disabled"][0] == "not run"
    assert tried(signon.config(tmp_path, admin=""), "idp.disabled")["idp.disabled"] == ("not run", "idp.admin is not set")  # fmt: skip


def test_the_conferences_get_their_token_from_the_sign_on(signon: SignOn, tmp_path: Path) -> None:
    """As a browser does that is led to the sign-on by a conference: the token says for which client it is."""
    held = load(signon.config(tmp_path))
    values = {**held.values, "jitsi.url": "https://meet.smoke.test", "jitsi.client": "apps"}
    trial = Trial(replace(held, values=values), Web(held.connect, held.ca_file))
    token = jitsi._token(trial)
    said = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (said["iss"], said["azp"]) == (ISSUER, "apps")
    assert jitsi._token(trial) == token, "one for all checks"
    assert token in trial.secrets
    assert trial.clean(at_end=True) == []
    got = trial.web.ask("GET", f"{ISSUER}/protocol/openid-connect/userinfo", token=token)
    assert got.status == 401, "signed out again"


# ------------------------------------------------------------------------------------- id tokens


def _jwt(key: Any, said: dict[str, Any], **head: Any) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = f"{part(json.dumps({'alg': 'RS256', 'kid': 'k', **head}).encode())}.{part(json.dumps(said).encode())}"  # fmt: skip
    return f"{text}.{part(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.mark.parametrize(
    ("change", "head", "says"),
    [
        ({"aud": "other"}, {}, "for somebody else"),
        ({"aud": ["other", "smoke"]}, {}, ""),
        ({"iss": "https://other.test"}, {}, "another iss"),
        ({"nonce": "old"}, {}, "another nonce"),
        ({"exp": 1000}, {}, "is over"),
        ({}, {"alg": "none"}, "signed by none"),
        ({}, {"alg": "HS256"}, "signed by HS256"),
        ({}, {"kid": "unknown"}, "not signed by the keys"),
        ({}, {}, ""),
    ],
)
def test_only_a_token_that_is_ours_is_taken(change: dict[str, Any], head: dict[str, Any], says: str) -> None:  # fmt: skip
    key = rsa.generate_private_key(65537, 2048)
    number = key.public_key().public_numbers()

    def part(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()  # fmt: skip

    keys = {"keys": [{"kid": "k", "kty": "RSA", "n": part(number.n), "e": part(number.e)}]}
    said = {"aud": "smoke", "iss": ISSUER, "nonce": "n", "exp": 2000, "sub": "ada", **change}
    wanted = {"aud": "smoke", "iss": ISSUER, "nonce": "n"}
    if not says:
        assert idp.claims(_jwt(key, said, **head), keys, wanted, 1500)["sub"] == "ada"
        return
    with pytest.raises(Failed, match=says):
        idp.claims(_jwt(key, said, **head), keys, wanted, 1500)
