"""Chat: people on one server and on two, media, what is refused, the key of the federation, TURN."""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from toolkit.smoke import turn
from toolkit.smoke.check import Check, Failed, NotRun, Trial, expect
from toolkit.smoke.settings import Settings
from toolkit.smoke.web import Answer

CLIENT = "/_matrix/client/v3"
PICTURE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")  # fmt: skip
"""One pixel: what people send is pictures."""


@dataclass(slots=True)
class Person:
    """Somebody who is signed in. `ask` raises Failed where the server does not say 200."""

    trial: Trial
    url: str
    id: str
    token: str
    since: str = ""

    def ask(self, method: str, path: str, body: Any = None, *, fine: tuple[int, ...] = (200,)) -> Any:  # fmt: skip
        got = self.trial.web.ask(method, self.url + path, json_body=body, token=self.token)
        if got.status not in fine:
            raise Failed(f"{method} {path.partition('?')[0]} as {self.id}: {_said(got)}")
        return got.json()

    def sync(self, wait: float = 0) -> Any:
        """What is new since the last time."""
        since = f"&since={quote(self.since)}" if self.since else ""
        got = self.ask("GET", f"{CLIENT}/sync?timeout={round(wait * 1000)}{since}")
        self.since = got["next_batch"]
        return got

    def until(self, seen: Callable[[Any], Any], seconds: float, otherwise: str) -> Any:
        """What `seen` finds in the next answers. Raises Failed where it finds nothing in time."""
        end = time.monotonic() + seconds
        wait = 0.0
        while True:
            if found := seen(self.sync(wait)):
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise Failed(otherwise)
            wait = min(left, 3.0)


def _said(got: Answer) -> str:
    try:
        held = got.json()
        return f"{got.status} {held.get('errcode', '')} {held.get('error', '')}".strip()
    except (ValueError, AttributeError):
        return str(got.status)


def _login(trial: Trial, url: str, user: str, password: str) -> Answer:
    return trial.web.ask("POST", f"{url}{CLIENT}/login", json_body={
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password,
        "initial_device_display_name": "repatria smoke",
    })  # fmt: skip


def _person(trial: Trial, name: str, where: str = "") -> Person:
    """Sign in as the settings say; signed out at the end where it was with a password."""
    get = trial.settings.text
    url = get(f"matrix.{where}url")
    user = get(f"matrix.{name}")
    stem = {"user": "matrix.", "other": "matrix.other_", "second_user": "matrix.second_"}[name]
    token, password = get(f"{stem}token"), get(f"{stem}password")
    if not token and not password:
        raise NotRun(f"neither {stem}password nor {stem}token is set")
    if token:
        person = Person(trial, url, user, token)
        person.id = person.ask("GET", f"{CLIENT}/account/whoami")["user_id"]
        return person
    got = _login(trial, url, user, password)
    expect(got.status == 200, f"sign-in of {user}: {_said(got)}")
    held = got.json()
    person = Person(trial, url, held["user_id"], trial.secret(held["access_token"]))
    trial.later(f"session of {person.id}", lambda: person.ask("POST", f"{CLIENT}/logout", {}), at_end=True)  # fmt: skip
    return person


def _first(trial: Trial) -> Person:
    return trial.once("matrix.user", lambda: _person(trial, "user"))


def _other(trial: Trial) -> Person:
    return trial.once("matrix.other", lambda: _person(trial, "other"))


def _second(trial: Trial) -> Person:
    return trial.once("matrix.second", lambda: _person(trial, "second_user", "second_"))


def versions(trial: Trial) -> str:
    got = trial.web.ask("GET", trial.settings.text("matrix.url") + "/_matrix/client/versions")
    expect(got.status == 200, f"the server says {got.status}")
    held = got.json().get("versions")
    expect(held, "the server names no version")
    return f"up to {held[-1]}"


def sign_in(trial: Trial) -> str:
    person = _first(trial)
    expect(person.id.endswith(":" + trial.settings.text("matrix.server_name")), f"signed in as {person.id}, which is not of {trial.settings.text('matrix.server_name')}")  # fmt: skip
    if trial.settings.get("matrix.other"):
        _other(trial)
    return person.id


def wrong_password(trial: Trial) -> str:
    url, user = trial.settings.text("matrix.url"), trial.settings.text("matrix.user")
    got = _login(trial, url, user, "wrong-" + os.urandom(9).hex())
    if got.status == 429:
        raise NotRun("the server counts too many sign-ins; wait and try again")
    expect(got.status in (400, 401, 403), f"a wrong password is answered with {got.status}")
    flows = trial.web.ask("GET", f"{url}{CLIENT}/login").json().get("flows", [])
    off = all(each.get("type") != "m.login.password" for each in flows)
    return f"{got.status}" + (" (passwords are off)" if off else "")


def registration(trial: Trial) -> str:
    url = trial.settings.text("matrix.url")
    name = "smoke-" + os.urandom(6).hex()
    for body in (
        {"username": name, "password": os.urandom(12).hex(), "auth": {"type": "m.login.dummy"}},
        {"username": name, "password": os.urandom(12).hex()},
    ):
        got = trial.web.ask("POST", f"{url}{CLIENT}/register", json_body=body)
        flows = [] if got.status != 401 else got.json().get("flows", [])
        alone = [flow for flow in flows if set(flow.get("stages", ())) <= {"m.login.dummy"}]
        expect(got.status in (400, 401, 403, 404, 429) and not alone, f"anybody may register: {got.status}")  # fmt: skip
    guest = trial.web.ask("POST", f"{url}{CLIENT}/register?kind=guest", json_body={})
    expect(guest.status in (400, 401, 403, 404, 429), f"guests are let in: {guest.status}")
    return ""


def admin(trial: Trial) -> str:
    """Not even its version may be answered by the public name, whoever asks."""
    url = trial.settings.text("matrix.url")
    for path in ("/_synapse/admin/v1/server_version", "/_synapse/admin/v2/users", "/_synapse/admin/v1/register"):  # fmt: skip
        got = trial.web.ask("GET", url + path)
        expect(got.status in (403, 404), f"{path} is answered with {got.status}")
    return ""


def _room(trial: Trial, owner: Person, guest: Person) -> str:
    made = owner.ask("POST", f"{CLIENT}/createRoom", {
        "preset": "private_chat", "name": "smoke test", "invite": [guest.id], "creation_content": {"m.federate": True},
    })  # fmt: skip
    room: str = made["room_id"]

    def leave(person: Person) -> None:
        person.ask("POST", f"{CLIENT}/rooms/{quote(room)}/leave", {}, fine=(200, 403, 404))
        person.ask("POST", f"{CLIENT}/rooms/{quote(room)}/forget", {}, fine=(200, 400, 403, 404))

    trial.later(f"room {room} of {owner.id}", lambda: leave(owner), at_end=True)
    guest.until(lambda got: room in got.get("rooms", {}).get("invite", {}), 25, f"no invitation reaches {guest.id}")  # fmt: skip
    trial.later(f"room {room} of {guest.id}", lambda: leave(guest), at_end=True)
    guest.ask("POST", f"{CLIENT}/join/{quote(room)}", {})
    owner.until(
        lambda got: any(
            event["type"] == "m.room.member" and event.get("state_key") == guest.id
            and event["content"].get("membership") == "join"
            for event in _events(got, room)
        ), 25, f"{owner.id} does not see that {guest.id} joined",
    )  # fmt: skip
    return room


def _events(got: Any, room: str) -> list[Any]:
    held = got.get("rooms", {}).get("join", {}).get(room, {})
    return [*held.get("state", {}).get("events", []), *held.get("timeline", {}).get("events", [])]


def _say(sender: Person, reader: Person, room: str) -> None:
    word = "smoke " + os.urandom(8).hex()
    reader.sync()
    sender.ask("PUT", f"{CLIENT}/rooms/{quote(room)}/send/m.room.message/{os.urandom(8).hex()}", {"msgtype": "m.text", "body": word})  # fmt: skip
    reader.until(
        lambda got: any(
            event["type"] == "m.room.message" and event.get("sender") == sender.id and event["content"].get("body") == word
            for event in _events(got, room)
        ), 20, f"a message of {sender.id} does not reach {reader.id}",
    )  # fmt: skip


def _upload(person: Person) -> tuple[str, bytes]:
    data = PICTURE + os.urandom(20_000)
    got = person.trial.web.ask("POST", f"{person.url}/_matrix/media/v3/upload?filename=smoke.png", body=data, headers={"Content-Type": "image/png"}, token=person.token)  # fmt: skip
    expect(got.status == 200, f"upload as {person.id}: {_said(got)}")
    address: str = got.json()["content_uri"]
    return address.removeprefix("mxc://"), data


def _download(person: Person, address: str, data: bytes) -> None:
    got = person.trial.web.ask("GET", f"{person.url}/_matrix/client/v1/media/download/{address}?timeout_ms=15000", token=person.token)  # fmt: skip
    expect(got.status == 200, f"download as {person.id}: {_said(got)}")
    expect(got.body == data, f"what {person.id} downloads is not what was sent")


def room(trial: Trial) -> str:
    return trial.once("matrix.room", lambda: _room(trial, _first(trial), _other(trial)))


def messages(trial: Trial) -> None:
    _say(_first(trial), _other(trial), trial.made["matrix.room"])
    _say(_other(trial), _first(trial), trial.made["matrix.room"])


def media(trial: Trial) -> None:
    for owner, reader in ((_first(trial), _other(trial)), (_other(trial), _first(trial))):
        address, data = _upload(owner)
        _download(reader, address, data)


def media_refused(trial: Trial) -> str:
    """The way without a token is closed for what is new, in the new path and in the old one."""
    address, _ = _upload(_first(trial))
    for path in ("/_matrix/client/v1/media/download/", "/_matrix/media/v3/download/"):
        got = trial.web.ask("GET", f"{trial.settings.text('matrix.url')}{path}{address}")
        expect(got.status in (401, 403, 404), f"{path} gives a picture without a token: {got.status}")  # fmt: skip
    return ""


def federated_room(trial: Trial) -> str:
    return trial.once("matrix.federated-room", lambda: _room(trial, _first(trial), _second(trial)))


def federated_messages(trial: Trial) -> None:
    room = trial.made["matrix.federated-room"]
    _say(_first(trial), _second(trial), room)
    _say(_second(trial), _first(trial), room)


def federated_media(trial: Trial) -> None:
    for owner, reader in ((_first(trial), _second(trial)), (_second(trial), _first(trial))):
        address, data = _upload(owner)
        _download(reader, address, data)


def _federation(trial: Trial) -> str:
    """Where other servers are led to: the delegation, else port 8448 (SRV records are not read here)."""
    name = trial.settings.text("matrix.server_name")
    if ":" in name:
        return f"https://{name}"
    got = trial.web.ask("GET", f"https://{name}/.well-known/matrix/server")
    if got.status != 200:
        return f"https://{name}:8448"
    held = got.json().get("m.server", "")
    expect(held, "/.well-known/matrix/server names no server")
    return f"https://{held}" if ":" in held else f"https://{held}:8448"


def federation_version(trial: Trial) -> str:
    got = trial.web.ask("GET", _federation(trial) + "/_matrix/federation/v1/version")
    expect(got.status == 200, f"the server says {got.status}")
    held = got.json()["server"]
    return f"{held['name']} {held['version']}"


def federation_key(trial: Trial) -> str:
    got = trial.web.ask("GET", _federation(trial) + "/_matrix/key/v2/server")
    expect(got.status == 200, f"the server says {got.status}")
    return key_holds(got.json(), trial.settings.text("matrix.server_name"), time.time())


def key_holds(document: Any, server: str, now: float) -> str:
    """The key ids by which a server signs its own keys. Raises Failed: another name, over, no signature, or one that does not hold."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    expect(document.get("server_name") == server, f"the keys are those of {document.get('server_name')}")  # fmt: skip
    expect(document.get("valid_until_ts", 0) / 1000 > now, "the keys are over")
    signed = {name: held for name, held in document.items() if name not in ("signatures", "unsigned")}  # fmt: skip
    data = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signatures = document.get("signatures", {}).get(server, {})
    keys = {name: held for name, held in document.get("verify_keys", {}).items() if name.startswith("ed25519:")}  # fmt: skip
    expect(keys, "no key of kind ed25519")
    for name, held in keys.items():
        expect(name in signatures, f"not signed by {name}")
        try:
            Ed25519PublicKey.from_public_bytes(_bytes(held["key"])).verify(_bytes(signatures[name]), data)  # fmt: skip
        except (InvalidSignature, ValueError, KeyError):
            raise Failed(f"the signature of {name} does not hold") from None
    return ", ".join(sorted(keys))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


def federation_closed(trial: Trial) -> str:
    """Federation is off by the answers: nobody may be answered where other servers would ask."""
    name = trial.settings.text("matrix.server_name")
    where = {trial.settings.text("matrix.url"), f"https://{name}"}
    for url in sorted(where):
        for path in ("/_matrix/federation/v1/version", "/_matrix/key/v2/server"):
            try:
                got = trial.web.ask("GET", url + path)
            except OSError:
                continue  # nothing listens there: closed
            expect(not _speaks(got), f"{url}{path} is answered with {got.status}")
    return ""


def _speaks(got: Answer) -> bool:
    """Whether this is a homeserver's answer, and not the page of a website that has the same name."""
    try:
        held = got.json()
    except ValueError:
        return False
    return got.status == 200 and isinstance(held, dict) and bool({"server", "verify_keys"} & set(held))  # fmt: skip


def _turn(trial: Trial) -> tuple[str, str, list[turn.Place]]:
    held = _first(trial).ask("GET", f"{CLIENT}/voip/turnServer")
    expect(held.get("uris"), "the server gives no TURN server")
    trial.secret(held["password"])
    return held["username"], held["password"], places(held["uris"])


def places(uris: list[str]) -> list[turn.Place]:
    """Raises Failed for a URI that is none."""
    try:
        return [turn.place(uri) for uri in uris]
    except ValueError as error:
        raise Failed(str(error)) from None


def allocate(trial: Trial, user: str, password: str, places: list[turn.Place]) -> str:
    """Allocate on each of them and give it back."""
    for to in places:
        with turn.Line(trial.web, to, user, password) as line:
            try:
                line.allocate()
            except turn.Refused as error:
                raise Failed(f"{to}: {error}") from None
            except OSError as error:
                raise Failed(f"{to}: {error.strerror or 'no answer in time'}") from None
    return f"{len(places)} allocated: " + ", ".join(dict.fromkeys(each.transport for each in places))  # fmt: skip


def turn_allocates(trial: Trial) -> str:
    return allocate(trial, *_turn(trial))


def turn_wrong(trial: Trial) -> str:
    user, _, places = _turn(trial)
    for to in places:
        with turn.Line(trial.web, to, user, "wrong") as line:
            try:
                got = line.allocate()
            except turn.Refused as error:
                expect(error.code in (401, 441), f"{to}: {error}")
            else:
                raise Failed(f"{to} relays to anybody: {got}")
    return ""


PRIVATE = ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1")


def turn_private(trial: Trial) -> str:
    """A relay is behind the firewall: it must not lead to neighbours, nor to the cloud's metadata."""
    user, password, places = _turn(trial)
    for peer in PRIVATE:  # each on a line of its own: some servers end the allocation
        with turn.Line(trial.web, places[0], user, password) as line:
            line.allocate()
            try:
                line.permit(peer)
            except turn.Refused as error:
                expect(error.code == 403, f"{peer}: {error}")
            else:
                raise Failed(f"{places[0]} leads to {peer}")
    return ""


def _federates(settings: Settings) -> bool:
    return settings.text("matrix.federation") != "off" or not settings.has("matrix")


USER, OTHER = ("matrix.user",), ("matrix.user", "matrix.other")
SECOND = ("matrix.user", "matrix.second_url", "matrix.second_user")
CHECKS = (
    Check("matrix.versions", "the server names the versions of the client API", versions),
    Check("matrix.sign-in", "people sign in", sign_in, wants=USER),
    Check("matrix.wrong-password", "a wrong password is refused", wrong_password, wants=USER),
    Check("matrix.registration", "nobody may register, no guest is let in", registration),
    Check("matrix.admin", "the admin API is not answered by the public name", admin),
    Check("matrix.room", "a room, an invitation, a person who joins", room, 60, ("matrix.sign-in",), OTHER),
    Check("matrix.messages", "messages arrive, both ways", messages, 45, ("matrix.room",)),
    Check("matrix.media", "pictures arrive as they were sent, both ways", media, 45, ("matrix.room",)),
    Check("matrix.media-refused", "no picture without a token", media_refused, needs=("matrix.sign-in",)),
    Check("matrix.federation-closed", "federation is off, so other servers are not answered", federation_closed,
          applies=lambda settings: settings.has("matrix") and not _federates(settings)),
    Check("matrix.federation-version", "other servers find this one", federation_version, applies=_federates),
    Check("matrix.federation-key", "the server's keys are signed by themselves (ed25519) and hold", federation_key, applies=_federates),
    Check("matrix.federated-room", "a room over two servers", federated_room, 90, ("matrix.sign-in",), SECOND, _federates),
    Check("matrix.federated-messages", "messages between servers arrive, both ways", federated_messages, 60, ("matrix.federated-room",), SECOND, _federates),
    Check("matrix.federated-media", "pictures between servers arrive, both ways", federated_media, 60, ("matrix.federated-room",), SECOND, _federates),
    Check("matrix.turn", "TURN credentials allocate, over each transport", turn_allocates, 40, ("matrix.sign-in",)),
    Check("matrix.turn-wrong-credential", "a wrong TURN credential is refused", turn_wrong, 40, ("matrix.turn",)),
    Check("matrix.turn-private-peer", "TURN does not lead to private addresses", turn_private, 40, ("matrix.turn",)),
)  # fmt: skip
