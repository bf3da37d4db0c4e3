"""The chat's checks against two real homeservers (Synapse) and a real TURN server (coturn): all green, and each red by its own fault."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.smoke import (
    HOST,
    Authority,
    Homeserver,
    Said,
    Turn,
    body,
    coturn,
    found,
    homeserver,
    reds,
    smoke_toml,
    tried,
)  # fmt: skip
from toolkit.smoke.matrix import CHECKS
from toolkit.smoke.web import Web

pytestmark = [pytest.mark.slow]


@dataclass(frozen=True)
class Chat:
    folder: Path
    authority: Authority
    one: Homeserver
    two: Homeserver
    turn: Turn
    matrix: dict[str, Any]

    def config(self, folder: Path, **changes: Any) -> Path:
        return smoke_toml(folder, ca_file=self.authority.file, matrix={**self.matrix, **changes})


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    folder = tmp_path_factory.mktemp("chat")
    authority = Authority(folder)
    with ExitStack() as stack:
        turn = stack.enter_context(coturn(folder, authority))
        how = {"turn_uris": turn.uris, "turn_shared_secret": turn.secret, "turn_user_lifetime": 600000}  # fmt: skip
        one = stack.enter_context(homeserver(folder, authority, "one", how))
        two = stack.enter_context(homeserver(folder, authority, "two", {}))
        passwords = [secrets.token_urlsafe(12) for _ in range(3)]
        for server, user, password in ((one, "ada", passwords[0]), (one, "ben", passwords[1]), (two, "eve", passwords[2])):  # fmt: skip
            server.register(user, password)
        yield Chat(folder, authority, one, two, turn, {
            "url": f"https://{one.name}", "server_name": one.name, "federation": "on",
            "user": "ada", "password": passwords[0], "other": "ben", "other_password": passwords[1],
            "second_url": f"https://{two.name}", "second_server_name": two.name, "second_user": "eve", "second_password": passwords[2],
        })  # fmt: skip


def test_two_people_on_two_servers(chat: Chat, tmp_path: Path) -> None:
    got = tried(chat.config(tmp_path), "matrix")
    assert {name: held for name, held in got.items() if held[0] != "ok"} == {}
    assert len(got) == 17
    assert got["matrix.turn"][1] == "3 allocated: udp, tcp, tls"
    assert got["matrix.federation-version"][1] == "Synapse 1.163.2"


Fault = Callable[[Chat, ExitStack], dict[str, Any] | None]
"""Breaks one thing for as long as the stack is open; may return changed settings."""


def breaks(path: str, *, two: bool = False, **how: Any) -> Fault:
    """An answer of the first server's gate (or the second's) is another one."""

    def fault(chat: Chat, stack: ExitStack) -> None:
        stack.enter_context((chat.two if two else chat.one).gate.broken(path, **how))

    return fault


def _open_admin(chat: Chat, stack: ExitStack) -> None:
    """What the edge of a careless operator does: everything is led to Synapse."""
    stack.enter_context(chat.one.gate.broken("^/_synapse/admin", site=f"http://{HOST}:{chat.one.port}"))  # fmt: skip


def for_ben(path: str, **how: Any) -> Fault:
    """Only for the second person of the first server, who writes to nobody elsewhere."""

    def fault(chat: Chat, stack: ExitStack) -> dict[str, Any]:
        token = login(chat, "ben", chat.matrix["other_password"])
        stack.enter_context(chat.one.gate.broken(path, token=token, **how))
        return {"other_password": "", "other_token": token}

    return fault


def login(chat: Chat, user: str, password: str) -> str:
    said = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password}  # fmt: skip
    got = Web({}, str(chat.authority.file)).ask("POST", f"https://{chat.one.name}/_matrix/client/v3/login", json_body=said)  # fmt: skip
    token: str = got.json()["access_token"]
    return token


def _dummy_registration(said: Said) -> Said:
    return found({"flows": [{"stages": ["m.login.dummy"]}], "session": "s"}, 401)


def _turn(*more: str, auth: bool = True, stem: str) -> Fault:
    """The homeserver names another TURN server, one that was configured without care."""

    def fault(chat: Chat, stack: ExitStack) -> None:
        other = stack.enter_context(coturn(chat.folder, chat.authority, stem, *more, auth=auth))
        user, password = other.credentials()
        said = found({"username": user, "password": password, "ttl": 600, "uris": other.uris})
        stack.enter_context(chat.one.gate.broken("/voip/turnServer", said=said))

    return fault


def _turn_of_another_secret(chat: Chat, stack: ExitStack) -> None:
    user, password = replace(chat.turn, secret="another").credentials()
    said = found({"username": user, "password": password, "ttl": 600, "uris": chat.turn.uris})
    stack.enter_context(chat.one.gate.broken("/voip/turnServer", said=said))


def _another_password(_chat: Chat, _stack: ExitStack) -> dict[str, Any]:
    return {"password": "another one"}


def _off(_chat: Chat, _stack: ExitStack) -> dict[str, Any]:
    """The answers say that federation is off, and the server federates."""
    return {"federation": "off"}


FAULTS: dict[str, Fault] = {
    "matrix.sign-in": _another_password,
    "matrix.room": breaks("/_matrix/client/v3/join/", said=found({"errcode": "M_FORBIDDEN"}, 403)),
    "matrix.versions": breaks("^/_matrix/client/versions", said=Said(502)),
    "matrix.wrong-password": breaks("/login$", method="POST", change=lambda said: replace(said, status=200)),
    "matrix.registration": breaks("^/_matrix/client/.*/register$", change=_dummy_registration),
    "matrix.admin": _open_admin,
    "matrix.messages": for_ben("/send/m.room.message/", said=found({"event_id": "$lost"})),
    "matrix.media": for_ben("/media/download/", change=lambda said: replace(said, body=said.body[:-1])),
    "matrix.media-refused": breaks("/_matrix/media/v3/download/", said=Said(200, body=b"picture")),
    "matrix.federation-version": breaks("/federation/v1/version", said=Said(502)),
    "matrix.federation-key": breaks("/key/v2/server$", change=body(lambda held: {**held, "valid_until_ts": held["valid_until_ts"] + 1})),
    "matrix.federation-closed": _off,
    "matrix.federated-room": breaks("/federation/v2/invite/", two=True, said=Said(403, body=b"{}")),
    "matrix.federated-messages": breaks("/federation/v1/send/", two=True, said=found({"pdus": {}})),
    "matrix.federated-media": breaks("/media/(v3/)?download/", two=True, said=Said(404, body=b"{}")),
    "matrix.turn": _turn_of_another_secret,
    "matrix.turn-wrong-credential": _turn(auth=False, stem="open"),
    "matrix.turn-private-peer": _turn("allow-loopback-peers", "no-rfc5780", stem="loopback"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_turns_its_own_check_red(chat: Chat, tmp_path: Path, name: str) -> None:
    """All checks of the chat are tried each time; what needs the broken one is not run, all others are ok."""
    with ExitStack() as stack:
        changes = FAULTS[name](chat, stack) or {}
        got = tried(chat.config(tmp_path, **changes), "matrix")
    assert reds(got) == {name}, got
    needing = {held for held, (status, _) in got.items() if status == "not run"}
    assert needing == NEEDING.get(name, set())


NEEDING = {
    "matrix.sign-in": {f"matrix.{each}" for each in ("room", "messages", "media", "media-refused", "federated-room", "federated-messages", "federated-media", "turn", "turn-wrong-credential", "turn-private-peer")},
    "matrix.room": {"matrix.messages", "matrix.media"},
    "matrix.federated-room": {"matrix.federated-messages", "matrix.federated-media"},
    "matrix.turn": {"matrix.turn-wrong-credential", "matrix.turn-private-peer"},
}  # fmt: skip


def test_every_check_has_its_fault() -> None:
    assert set(FAULTS) == {check.id for check in CHECKS}


def test_a_server_that_does_not_federate_is_green(chat: Chat, tmp_path: Path) -> None:
    with chat.one.gate.broken("^/_matrix/(federation|key)/", said=Said(404)):
        got = tried(chat.config(tmp_path, federation="off"), "matrix")
    assert {name: held for name, held in got.items() if held[0] != "ok"} == {}
    assert "matrix.federation-closed" in got
    assert not {name for name in got if "federated" in name}


def test_one_server_alone_does_not_look_whole(chat: Chat, tmp_path: Path) -> None:
    got = tried(chat.config(tmp_path, second_url=""), "matrix")
    assert {name: held[1] for name, held in got.items() if held[0] != "ok"} == dict.fromkeys(
        ("matrix.federated-room", "matrix.federated-messages", "matrix.federated-media"), "matrix.second_url is not set"
    )  # fmt: skip


def test_nothing_is_left_in_the_rooms(chat: Chat, tmp_path: Path) -> None:
    """After it, also after a fault, nobody of them is in a room any more, and the sessions are over."""
    chat.one.gate.asked.clear()
    with chat.one.gate.broken("/send/m.room.message/", said=Said(500)):
        tried(chat.config(tmp_path), "matrix.messages")
    tokens = {asked.headers["authorization"] for asked in chat.one.gate.asked if "authorization" in asked.headers}  # fmt: skip
    assert len(tokens) == 2
    web = Web({}, str(chat.authority.file))
    for token in tokens:
        got = web.ask("GET", f"https://{chat.one.name}/_matrix/client/v3/account/whoami", headers={"Authorization": token})  # fmt: skip
        assert got.status == 401
    token = login(chat, "ben", chat.matrix["other_password"])
    rooms = web.ask("GET", f"https://{chat.one.name}/_matrix/client/v3/joined_rooms", token=token)  # fmt: skip
    assert rooms.json() == {"joined_rooms": []}
