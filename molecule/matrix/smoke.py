"""What people and servers do with two homeservers, run on one of them; prints one line of JSON per check.

smoke.py user NAME PASSWORD [admin]     make an account through the admin interface of this host (its socket)
smoke.py all NAME PASSWORD OTHER        NAME of this host and OTHER of the other one do everything
smoke.py stream NAME PASSWORD COUNT     send COUNT messages, come what may, then read them back
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import sys
import time
import urllib.parse
from pathlib import Path

from signedjson.key import decode_verify_key_bytes
from signedjson.sign import SignatureVerifyException, verify_signed_json

HERE = socket.gethostname()
THERE = "two" if HERE == "one" else "one"
TRUST = ssl.create_default_context(cafile="/etc/ssl/certs/test-ca.pem")
failed: list[str] = []


class Socket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/synapse/main.sock")


def call(method: str, url: str, body: object = None, token: str = "", kind: str = "application/json", headers: dict[str, str] | None = None):  # fmt: skip
    """-> status, JSON (or the bytes of anything else)."""
    parts = urllib.parse.urlsplit(url)
    match parts.scheme:
        case "unix":
            line: http.client.HTTPConnection = Socket("localhost", timeout=60)
        case "https":
            line = http.client.HTTPSConnection(parts.netloc, timeout=60, context=TRUST)
        case _:
            line = http.client.HTTPConnection(parts.netloc, timeout=60)
    sent = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    said = {
        "Content-Type": kind,
        **({"Authorization": f"Bearer {token}"} if token else {}),
        **(headers or {}),
    }
    line.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), sent, said)
    answer = line.getresponse()
    content = answer.read()
    try:
        return answer.status, json.loads(content)
    except ValueError:
        return answer.status, content


def check(name: str, right: object, seen: object = "") -> None:
    """Print the verdict; a failure is counted, the rest goes on."""
    if not right:
        failed.append(name)
    print(
        json.dumps(
            {"check": name, "ok": bool(right)} | ({} if right else {"seen": repr(seen)[:400]})
        ),
        flush=True,
    )


def client(host: str) -> str:
    return f"https://matrix.{host}.test/_matrix/client/v3"


def login(host: str, name: str, password: str):
    return call("POST", client(host) + "/login", {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password})  # fmt: skip


def make(name: str, password: str, admin: bool) -> None:
    secret = Path("/etc/synapse/secrets/registration").read_bytes().strip()
    _, first = call("GET", "unix:///_synapse/admin/v1/register")
    words = [first["nonce"], name, password, "admin" if admin else "notadmin"]
    mac = hmac.new(secret, "\0".join(words).encode(), hashlib.sha1).hexdigest()
    body = {
        "nonce": first["nonce"],
        "username": name,
        "password": password,
        "admin": admin,
        "mac": mac,
    }
    status, said = call("POST", "unix:///_synapse/admin/v1/register", body)
    check(
        "account made with the secret",
        status == 200 or said.get("errcode") == "M_USER_IN_USE",
        said,
    )
    _, again = call("GET", "unix:///_synapse/admin/v1/register")
    status, said = call(
        "POST",
        "unix:///_synapse/admin/v1/register",
        body | {"nonce": again["nonce"], "username": "mallory"},
    )
    check("wrong secret refused", status == 403, said)


def until(what, seconds: float = 60):
    """Ask until the answer is truthy."""
    limit = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < limit:
        time.sleep(1)
    return found


def messages(host: str, token: str, room: str) -> list[dict]:
    _, said = call(
        "GET",
        f"{client(host)}/rooms/{urllib.parse.quote(room)}/messages?dir=b&limit=200",
        token=token,
    )
    return [each for each in said.get("chunk", []) if each["type"] == "m.room.message"]


def say(host: str, token: str, room: str, text: str, number: str):
    return call("PUT", f"{client(host)}/rooms/{urllib.parse.quote(room)}/send/m.room.message/{number}", {"msgtype": "m.text", "body": text}, token)  # fmt: skip


def everything(name: str, password: str, other: str) -> None:
    mine, theirs = f"@{name}:{HERE}.test", f"@{other}:{THERE}.test"
    status, said = call("GET", f"https://matrix.{HERE}.test/_matrix/client/versions")
    check("versions", status == 200 and said["versions"], said)
    status, said = login(HERE, name, "not " + password)
    check("wrong password refused", (status, said.get("errcode")) == (403, "M_FORBIDDEN"), said)
    status, said = call(
        "POST", client(HERE) + "/register", {"username": "mallory", "password": password}
    )
    check("registration refused", status == 403, said)
    status, said = call("POST", client(HERE) + "/register?kind=guest", {})
    check("guests refused", status == 403, said)

    for host in (HERE, THERE):
        status, said = call("GET", client(host) + "/login")
        flows = {each["type"] for each in said["flows"]}
        check(
            f"ways in of {host}",
            {"m.login.password"} <= flows and ("m.login.sso" in flows) == (host == "two"),
            flows,
        )
    tokens = {}
    for host, who in ((HERE, name), (THERE, other)):
        status, said = login(host, who, password)
        check(f"sign-in at {host}", status == 200, said)
        tokens[host] = said["access_token"]
    here, there = tokens[HERE], tokens[THERE]

    status, said = call(
        "POST",
        client(HERE) + "/createRoom",
        {"preset": "private_chat", "invite": [theirs], "initial_state": []},
        here,
    )
    check("room with an invitation to the other server", status == 200, said)
    room = said["room_id"]

    def invited():
        _, seen = call("GET", client(THERE) + "/sync?timeout=1000", token=there)
        return room in seen.get("rooms", {}).get("invite", {})

    check("invitation arrives", until(invited))
    status, said = call(
        "POST",
        f"{client(THERE)}/join/{urllib.parse.quote(room)}?server_name={HERE}.test",
        {},
        there,
    )
    check("join", status == 200, said)
    canary = f"canary {os.urandom(8).hex()}"
    check("message from here", say(HERE, here, room, canary, "a")[0] == 200)
    check(
        "is read there",
        until(
            lambda: canary in [each["content"].get("body") for each in messages(THERE, there, room)]
        ),
    )
    check("message from there", say(THERE, there, room, canary + " too", "b")[0] == 200)
    check(
        "is read here",
        until(
            lambda: (
                canary + " too"
                in [each["content"].get("body") for each in messages(HERE, here, room)]
            )
        ),
    )
    status, said = call("POST", client(HERE) + "/publicRooms", {}, there)
    check("token of the other server refused", status == 401, said)
    status, said = call(
        "PUT",
        f"{client(HERE)}/directory/list/room/{urllib.parse.quote(room)}",
        {"visibility": "public"},
        here,
    )
    check("room directory closed", status == 403, said)

    content = os.urandom(300_000)
    for owner, reader, token, token_other in (
        (HERE, THERE, here, there),
        (THERE, HERE, there, here),
    ):
        status, said = call(
            "POST",
            f"https://matrix.{owner}.test/_matrix/media/v3/upload?filename=a.bin",
            content,
            token,
            "application/octet-stream",
        )
        check(f"upload at {owner}", status == 200, said)
        place = urllib.parse.urlsplit(said["content_uri"])
        path = f"_matrix/client/v1/media/download/{place.netloc}{place.path}"
        status, found = call("GET", f"https://matrix.{reader}.test/{path}", token=token_other)
        check(f"download at {reader}", status == 200 and found == content, (status, len(found)))
        status, said = call("GET", f"https://matrix.{owner}.test/{path}")
        check(f"download at {owner} without a token refused", status == 401, said)
        status, said = call(
            "GET",
            f"https://matrix.{owner}.test/_matrix/media/v3/download/{place.netloc}{place.path}",
        )
        check(f"download at {owner} by the old path refused", status == 404, said)

    status, said = call("GET", f"https://matrix.{THERE}.test/_matrix/federation/v1/version")
    check("version for servers", said.get("server", {}).get("name") == "Synapse", said)
    status, said = call("GET", f"https://matrix.{THERE}.test/_matrix/key/v2/server")
    name_of_key, held = next(iter(said["verify_keys"].items()))
    algorithm, _, version = name_of_key.partition(":")
    raw = held["key"] + "=" * (-len(held["key"]) % 4)
    public = decode_verify_key_bytes(f"{algorithm}:{version}", base64.b64decode(raw))
    try:
        verify_signed_json(said, f"{THERE}.test", public)
        check("signature of the server's key", True)
    except SignatureVerifyException as error:
        check("signature of the server's key", False, error)
    try:
        verify_signed_json(said | {"valid_until_ts": 1}, f"{THERE}.test", public)
        check("a forged key is seen", False)
    except SignatureVerifyException:
        check("a forged key is seen", True)

    status, said = call("GET", f"{client(HERE)}/profile/{urllib.parse.quote(theirs)}", token=here)
    check("server on the list is asked", status == 200, said)
    status, said = call("GET", f"{client(HERE)}/profile/@eve:three.test", token=here)
    check(
        "server outside of the list is not asked",
        status == 403 and "denied" in said.get("error", ""),
        said,
    )
    for host in (HERE, THERE):
        for origin, wanted in (
            (f"{THERE if host == HERE else HERE}.test", 401),
            ("three.test", 403),
        ):
            forged = {
                "Authorization": f'X-Matrix origin="{origin}",destination="{host}.test",key="ed25519:a_b",sig="AAAA"'
            }
            status, said = call(
                "GET",
                f"https://matrix.{host}.test/_matrix/federation/v1/query/profile?user_id=@a:{host}.test",
                headers=forged,
            )
            check(
                f"{host} says {wanted} to a forged request of {origin}",
                status == wanted,
                (status, said),
            )

    for host in (HERE, THERE):
        status, _ = call(
            "GET",
            f"https://matrix.{host}.test/_synapse/admin/v1/server_version",
            token=tokens[host],
        )
        check(f"admin interface of {host} is not public", status == 404, status)
    status, said = call(
        "GET", "http://two.test:8008/_synapse/admin/v1/server_version", token=tokens["two"]
    )
    check("nor behind the proxy of the workers", status == 404, said)
    status, said = call("GET", "unix:///_synapse/admin/v1/rooms", token=here)
    check("a person is no administrator", status == 403, said)

    status, said = call("GET", client(HERE) + "/voip/turnServer", token=here)
    secret = Path("/etc/synapse/secrets/turn").read_bytes().strip()
    mac = base64.b64encode(
        hmac.new(secret, said.get("username", "").encode(), hashlib.sha1).digest()
    ).decode()
    check(
        "credentials for TURN",
        mine in said.get("username", "") and said.get("password") == mac,
        said,
    )
    for host, workers in (
        ("one", [""]),
        ("two", ["", "/generic1", "/generic2", "/media1", "/background1", "/writer1", "/sender1"]),
    ):
        for each in workers:
            status, said = call("GET", f"http://{host}.test:9001/_synapse/metrics{each}")
            check(
                f"measurements of {host}{each}",
                status == 200 and b"process_cpu_seconds_total" in said,
                status,
            )


def stream(name: str, password: str, count: int) -> None:
    token = login(HERE, name, password)[1]["access_token"]
    room = call("POST", client(HERE) + "/createRoom", {"preset": "private_chat"}, token)[1][
        "room_id"
    ]
    retried = 0
    for number in range(count):
        limit = time.monotonic() + 240
        while True:
            try:
                if say(HERE, token, room, f"message {number}", f"stream-{number}")[0] == 200:
                    break
            except OSError:
                pass
            retried += 1
            if time.monotonic() > limit:
                sys.exit(f"message {number} was never taken")
            time.sleep(1)
        time.sleep(0.4)
    found = sorted(each["content"]["body"] for each in messages(HERE, token, room))
    check(
        "each message is there once", found == sorted(f"message {n}" for n in range(count)), found
    )
    check("the restart was felt", retried > 0, retried)


if __name__ == "__main__":
    password = os.environ["WORD"]
    match sys.argv[1:]:
        case ["user", name, *rest]:
            make(name, password, rest == ["admin"])
        case ["all", name, other]:
            everything(name, password, other)
        case ["stream", name, count]:
            stream(name, password, int(count))
        case _:
            sys.exit(__doc__)
    sys.exit(1 if failed else 0)
