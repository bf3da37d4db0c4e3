#!/usr/bin/env python3
"""Sign in as a browser does, and try what must be refused; one line a check, exit code 1 where one fails.

Reads JSON on stdin: `secret` (what all passwords begin with) and `wait` (whether an account is locked already). Speaks to the
server as the proxy does: plain HTTP, with the name and the scheme in headers.
"""

from __future__ import annotations

import base64
import hashlib
import html
import http.client
import json
import re
import secrets
import sys
from urllib.parse import parse_qs, urlencode, urlsplit

NAME, REALM, PORT = "login.suite.test", "/realms/suite", 8445
AUTH = REALM + "/protocol/openid-connect"
CODE = "https://cloud.suite.test/apps/user_oidc/code"
failed = 0


class Browser:
    """Cookies, and requests that follow nothing by themselves."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def __call__(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        *,
        port: int = PORT,
        **headers: str,
    ) -> tuple[int, dict[str, str], str]:
        sent = {
            "Host": NAME,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": NAME,
            "X-Forwarded-Port": "443",
            "X-Forwarded-For": "192.0.2.7",
            **headers,
        }
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{n}={v}" for n, v in self.cookies.items())
        body = None
        if form is not None:
            body = urlencode(form)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        line.request(method, path, body, sent)
        reply = line.getresponse()
        text = reply.read().decode()
        for name, value in reply.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return reply.status, {n.lower(): v for n, v in reply.getheaders()}, text


def check(what: str, right: object, said: object = "") -> None:
    global failed
    failed += not right
    print(f"{'ok  ' if right else 'FAIL'} {what}" + ("" if right else f": {str(said)[:400]}"))


def begin(
    browser: Browser,
    client: str = "nextcloud",
    redirect: str = CODE,
    pkce: str = "",
    kind: str = "code",
    **more: str,
) -> tuple[int, dict[str, str], str]:
    asked = {
        "client_id": client,
        "redirect_uri": redirect,
        "response_type": kind,
        "scope": "openid profile email",
        "state": "s",
        "nonce": "n",
        **more,
    }
    if pkce:
        digest = hashlib.sha256(pkce.encode()).digest()
        asked |= {
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
    return browser("GET", f"{AUTH}/auth?{urlencode(asked)}")


def sign_in(browser: Browser, page: str, name: str, password: str) -> tuple[str, str]:
    """(Where the answer leads, text of the page)."""
    action = html.unescape(re.search(r'action="([^"]+)"', page)[1])
    where = urlsplit(action)
    if f"{where.scheme}://{where.netloc}" != f"https://{NAME}":
        check("the form is posted to the public name", False, action)
    _, headers, text = browser(
        "POST", f"{where.path}?{where.query}", {"username": name, "password": password}
    )
    return headers.get("location", ""), text


def token(form: dict[str, str]) -> tuple[int, dict[str, str]]:
    status, _, text = Browser()("POST", f"{AUTH}/token", form)
    return status, json.loads(text)


def tokens(
    client: str, secret: str, redirect: str, name: str, password: str
) -> tuple[Browser, int, dict[str, str]]:
    browser, verifier = Browser(), secrets.token_urlsafe(48)
    _, _, page = begin(browser, client, redirect, verifier)
    where, text = sign_in(browser, page, name, password)
    code = parse_qs(urlsplit(where).query).get("code", [""])[0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "client_id": client,
        "code_verifier": verifier,
    }
    if not code:
        return browser, 0, {"error": text}
    if secret:
        form["client_secret"] = secret
    wrong, _ = token(form | {"code_verifier": secrets.token_urlsafe(48)})
    check(f"{client}: a code without its verifier is refused", wrong == 400, wrong)
    # a code is spent by the failed try: sign in again, by the session, without a password
    _, headers, _ = begin(browser, client, redirect, verifier)
    form["code"] = parse_qs(urlsplit(headers.get("location", "")).query).get("code", [""])[0]
    check(f"{client}: the session signs in without a password", form["code"])
    return browser, *token(form)


def claims(jwt: str) -> dict[str, object]:
    part = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def main() -> None:
    given = json.load(sys.stdin)
    secret, locked = given["secret"], given["locked"]
    plain = Browser()
    status, _, text = plain("GET", f"{REALM}/.well-known/openid-configuration")
    found = json.loads(text)
    check(
        "the issuer is the public name",
        status == 200 and found["issuer"] == f"https://{NAME}{REALM}",
        text,
    )
    check(
        "all its addresses are public",
        all(
            v.startswith(f"https://{NAME}/")
            for n, v in found.items()
            if n.endswith("_endpoint") and isinstance(v, str)
        ),
        found,
    )

    browser, status, held = tokens(
        "nextcloud", f"{secret}-nextcloud", CODE, "alice", f"{secret}-alice"
    )
    check("alice signs in", status == 200, held)
    if status == 200:
        status, _, text = Browser()(
            "GET", f"{AUTH}/userinfo", Authorization=f"Bearer {held['access_token']}"
        )
        told = json.loads(text)
        check(
            "who she is, and her groups",
            (told.get("email"), told.get("groups"), told.get("preferred_username"))
            == ("alice@suite.test", ["staff"], "alice"),
            text,
        )
        bad = held["access_token"][:-6] + "AAAAAA"
        check(
            "a token that was changed is refused",
            Browser()("GET", f"{AUTH}/userinfo", Authorization=f"Bearer {bad}")[0] == 401,
        )
        again = {
            "grant_type": "refresh_token",
            "client_id": "nextcloud",
            "client_secret": f"{secret}-nextcloud",
            "refresh_token": held["refresh_token"],
        }
        status, newer = token(again)
        check("her token is renewed", status == 200, newer)
        check(
            "but not with a wrong secret of the application",
            token(again | {"client_secret": "x"})[0] == 401,
        )
        out = {
            "id_token_hint": held["id_token"],
            "post_logout_redirect_uri": "https://cloud.suite.test/done",
        }
        status, headers, text = browser("GET", f"{AUTH}/logout?{urlencode(out)}")
        check(
            "she signs out",
            status == 302 and headers["location"].startswith("https://cloud.suite.test/done"),
            text,
        )
        check(
            "after which her token is worth nothing",
            token(again | {"refresh_token": newer.get("refresh_token", "")})[0] == 400,
        )
        _, headers, page = begin(browser, pkce="v" * 48)
        check("and the form asks again", "location" not in headers and 'name="password"' in page)
        out["post_logout_redirect_uri"] = "https://elsewhere.example.org/"
        check(
            "nobody is sent elsewhere after signing out",
            Browser()("GET", f"{AUTH}/logout?{urlencode(out)}")[0] == 400,
        )

    _, status, held = tokens(
        "jitsi", "", "https://meet.suite.test/static/sso.html", "alice", f"{secret}-alice"
    )
    told = claims(held["access_token"]) if status == 200 else {}
    check(
        "a token for the meetings has its audience and who it is",
        "meet" in told.get("aud", [])
        and told.get("context") == {"user": {"name": "alice", "email": "alice@suite.test"}},
        told or held,
    )

    _, status, held = tokens("nextcloud", f"{secret}-nextcloud", CODE, "dora", f"{secret}-dora")
    told = claims(held["id_token"]) if status == 200 else {}
    check(
        "dora of the directory signs in",
        (told.get("email"), told.get("given_name"), told.get("family_name"))
        == ("dora@suite.test", "Dora", "Noir"),
        told or held,
    )

    for what, changed in {
        "without PKCE": {},
        "with an address that is not known": {
            "redirect": "https://evil.example.org/",
            "pkce": "v" * 48,
        },
        "of an unknown application": {"client": "nobody", "pkce": "v" * 48},
        "by the implicit flow": {"kind": "id_token token", "pkce": "v" * 48},
    }.items():
        status, headers, page = begin(Browser(), **changed)
        check(
            f"a sign-in {what} is refused",
            status == 400 or "error=" in headers.get("location", ""),
            page,
        )

    def refused(name: str, password: str) -> bool:
        one = Browser()
        where, page = sign_in(one, begin(one, pkce="v" * 48)[2], name, password)
        return not where and 'name="password"' in page or "disabled" in page

    check("a wrong password is refused", refused("alice", "wrong"))
    check("a wrong password of the directory is refused", refused("dora", f"{secret}-alice"))
    check("one who is disabled is refused", refused("bob", f"{secret}-bob"))
    if not locked:
        check("carol signs in", not refused("carol", f"{secret}-carol"))
    for _ in range(5):
        refused("carol", "wrong")
    check(
        "after too many wrong passwords the right one is refused too",
        refused("carol", f"{secret}-carol"),
    )
    check(
        "no password goes to the token endpoint",
        token(
            {
                "grant_type": "password",
                "client_id": "jitsi",
                "username": "alice",
                "password": f"{secret}-alice",
            }
        )[0]
        in (400, 401),
    )
    one = Browser()
    _, _, page = begin(one, pkce="v" * 48)
    check("no way to register is shown", "registration" not in page)
    asked = urlencode(
        {
            "client_id": "nextcloud",
            "redirect_uri": CODE,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": "x" * 43,
            "code_challenge_method": "S256",
        }
    )
    status, _, text = Browser()("GET", f"{AUTH}/registrations?{asked}")
    check("nor is there one", status >= 400 or 'name="firstName"' not in text, text)
    _, _, page = begin(Browser(), pkce="v" * 48, ui_locales="fr")
    check("the form speaks French", "Mot de passe" in page, page)
    foreign = [
        u
        for u in re.findall(r'(?:src|href)="(https?://[^"]+)', page)
        if urlsplit(u).hostname != NAME
    ]
    check("and loads nothing from others", not foreign, foreign)
    check("a lost password can be asked for", "reset-credentials" in page)

    for name, ends in {"operator": f"{secret}-admin", "bootstrap": "x"}.items():
        status, _, _ = Browser()(
            "POST",
            "/realms/master/protocol/openid-connect/token",
            {
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": name,
                "password": ends,
            },
        )
        check(
            f"the administrator {name} is {'let in' if name == 'operator' else 'not there'}",
            (status == 200) == (name == "operator") and status in (200, 400, 401),
            status,
        )
    check("it is ready", Browser()("GET", "/health/ready", port=9000)[0] == 200)
    check("it is measured", "jvm_memory" in Browser()("GET", "/metrics", port=9000)[2])
    check(
        "people cannot see that",
        Browser()("GET", "/metrics")[0] == 404 and Browser()("GET", "/health/ready")[0] == 404,
    )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
