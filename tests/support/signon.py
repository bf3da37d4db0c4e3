"""A real Keycloak in its developers' mode behind the gate, and three small applications that sign on with it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.smoke import HOST, Asked, Said, free_port, running
from toolkit.smoke.web import Web

NAME, REALM = "login.smoke.test", "smoke"
ISSUER = f"https://{NAME}/realms/{REALM}"
REDIRECT = "https://nowhere.smoke.test/back"
APPLICATIONS = ("files.smoke.test", "chat.smoke.test", "meet.smoke.test")


def artefact() -> Path:
    """Keycloak's archive, as `repatria suite artefacts fetch` brings it; it is too large to be fetched by a test."""
    place = Path(os.environ.get("REPATRIA_ARTEFACTS") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repatria/artefacts")  # fmt: skip
    held = sorted(place.glob("keycloak-*.tar.gz"))
    if not held:
        (pytest.fail if "REPATRIA_ARTEFACTS" in os.environ else pytest.skip)(f"there is no keycloak-*.tar.gz in {place}")  # fmt: skip
    if shutil.which("java") is None:
        (pytest.fail if "REPATRIA_ARTEFACTS" in os.environ else pytest.skip)("Java is not installed")  # fmt: skip
    return held[-1]


def _realm(password: str, admin: str) -> dict[str, Any]:
    def person(name: str, word: str, **more: Any) -> dict[str, Any]:
        return {
            "username": name, "enabled": True, "email": f"{name}@smoke.test", "emailVerified": True, "firstName": name, "lastName": "Test",
            "credentials": [{"type": "password", "value": word, "temporary": False}], **more,
        }  # fmt: skip

    def client(name: str, *redirects: str) -> dict[str, Any]:
        return {
            "clientId": name, "publicClient": True, "standardFlowEnabled": True, "directAccessGrantsEnabled": False,
            "redirectUris": list(redirects), "attributes": {"pkce.code.challenge.method": "S256"},
        }  # fmt: skip

    return {
        "realm": REALM, "enabled": True,
        "users": [person("ada", password), person("root", admin, clientRoles={"realm-management": ["realm-admin"]})],
        "clients": [client("smoke", REDIRECT), client("apps", *(f"https://{each}/*" for each in APPLICATIONS))],
    }  # fmt: skip


@contextlib.contextmanager
def keycloak(folder: Path, password: str, admin: str) -> Iterator[str]:
    """Its upstream; the realm is there once this is entered."""
    archive = artefact()
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True, timeout=120)
    home = folder / archive.name.removesuffix(".tar.gz")
    (home / "data/import").mkdir(parents=True)
    (home / "data/import/smoke.json").write_text(json.dumps(_realm(password, admin)))
    port, inner = free_port(), free_port()
    line = [
        str(home / "bin/kc.sh"), "start-dev", "--import-realm", f"--http-port={port}", f"--http-host={HOST}", f"--hostname=https://{NAME}",
        "--proxy-headers=xforwarded", f"--http-management-port={inner}", "--log-level=warn",
    ]  # fmt: skip
    env = {**os.environ, "KC_BOOTSTRAP_ADMIN_USERNAME": "operator", "KC_BOOTSTRAP_ADMIN_PASSWORD": admin, "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}  # fmt: skip
    with running(line, port, folder / "keycloak.log", seconds=240, env=env):
        yield f"http://{HOST}:{port}"


@dataclass
class Application:
    """A page for who is signed in. It asks the sign-on at each visit whether the session still is; the switches are faults."""

    web: Web
    name: str
    sessions: dict[str, str] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)
    forgets_to_ask: bool = False
    asks_again: bool = False
    open_to_all: bool = False
    is_broken: bool = False

    def __call__(self, asked: Asked) -> Said:
        held = SimpleCookie(asked.headers.get("cookie", ""))
        sid = held["sid"].value if "sid" in held else ""
        parts = urlsplit(asked.path)
        query = {name: each[0] for name, each in parse_qs(parts.query).items()}
        if parts.path == "/callback" and query.get("state") in self.begun:
            return self._back(query)
        if self.open_to_all or (sid in self.sessions and self._lives(sid)):
            word = "something went wrong" if self.is_broken else f"welcome to {self.name}"
            return Said(
                200, {"content-type": "text/html"}, f"<!doctype html><p>{word}</p>".encode()
            )
        import base64
        import hashlib

        state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(40)
        self.begun[state] = verifier
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()  # fmt: skip
        words = {
            "client_id": "apps", "redirect_uri": f"https://{self.name}/callback", "response_type": "code", "scope": "openid",
            "state": state, "code_challenge": challenge, "code_challenge_method": "S256", **({"prompt": "login"} if self.asks_again else {}),
        }  # fmt: skip
        return Said(302, {"location": f"{ISSUER}/protocol/openid-connect/auth?{urlencode(words)}"})

    def _back(self, query: dict[str, str]) -> Said:
        form = {
            "grant_type": "authorization_code", "client_id": "apps", "code": query["code"], "redirect_uri": f"https://{self.name}/callback",
            "code_verifier": self.begun.pop(query["state"]),
        }  # fmt: skip
        got = self.web.ask("POST", f"{ISSUER}/protocol/openid-connect/token", form=form)
        sid = secrets.token_urlsafe(16)
        self.sessions[sid] = got.json()["access_token"]
        return Said(302, {"location": "/", "set-cookie": f"sid={sid}; Secure; HttpOnly; Path=/"})

    def _lives(self, sid: str) -> bool:
        if self.forgets_to_ask:
            return True
        got = self.web.ask("GET", f"{ISSUER}/protocol/openid-connect/userinfo", token=self.sessions[sid])  # fmt: skip
        return got.status == 200
