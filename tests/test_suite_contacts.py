"""The recorder of contacts on real wires, its reading of whatever comes, and the settings of hosts as the lint gets them."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import secrets
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lab import root
from toolkit.assess.sovereignty import Own, lint
from toolkit.cli import run
from toolkit.errors import FileError
from toolkit.suite import outside
from toolkit.suite.books import playbooks, roles

ROOT = Path(__file__).parents[1]
RECORDER = playbooks() / "files/contacts.py"
OWN = Own("town.example.org")
HERE = "here ansible_connection=local ansible_python_interpreter={{ansible_playbook_python}}\n"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"on_host_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recorder = loaded(RECORDER)
settings_program = loaded(playbooks() / "files/settings.py")


# -------------------------------------------------------------------------------------- a wire of the test's own


@dataclass
class Wire:
    """Two namespaces with a cable between: the host, and all that is outside of it. `log`: what was recorded."""

    host: str
    far: str
    log: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def record(self, *words: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            ["ip", "netns", "exec", self.host, sys.executable, RECORDER, self.log, "--host", "app-1", *words], stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(made)
        assert made.stderr is not None
        assert made.stderr.readline() == "listens\n"
        return made

    def do(self, code: str, where: str = "", group: Path | None = None) -> str:
        """Python in the host's network, or in that outside; in a control group, as units are."""
        join = (
            ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs")] if group else []
        )
        done = subprocess.run(
            [*join, "ip", "netns", "exec", where or self.host, sys.executable, "-c", "import socket, ssl, struct, time\n" + code],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def serve(self, code: str) -> None:
        """The same outside, until the end of the test; says `up` when it is ready."""
        made = subprocess.Popen(
            ["ip", "netns", "exec", self.far, sys.executable, "-c", "import socket, struct, time\n" + code], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(made)
        assert made.stdout is not None
        assert made.stdout.readline() == "up\n"

    def end(self, made: subprocess.Popen[str]) -> list[dict[str, Any]]:
        made.send_signal(signal.SIGTERM)
        assert made.wait(20) == 0
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def found(self, own: Own = OWN) -> dict[str, list[int]]:
        """Hosts that the lint has something to say of, with their ports."""
        said = lint({}, own, [("log", self.log.read_bytes())])
        assert said["unread"] == []
        return {row["host"]: row["ports"] for row in said["contacts"]}


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    root()
    word = secrets.token_hex(3)
    host, far = f"ct{word}h", f"ct{word}f"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    made = Wire(host, far, tmp_path / "log.jsonl")
    try:
        for each in (host, far):
            ip("netns", "add", each)
            ip("-n", each, "link", "set", "lo", "up")
        ip("-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far)
        for each, four, six in ((host, "10.9.0.2/24", "fd00:9::2/64"), (far, "10.9.0.1/24", "fd00:9::1/64")):  # fmt: skip
            ip("-n", each, "addr", "add", four, "dev", "eth0")
            ip("-n", each, "addr", "add", six, "dev", "eth0", "nodad")
            ip("-n", each, "link", "set", "eth0", "up")
        ip("-n", far, "addr", "add", "9.9.9.8/32", "dev", "eth0")
        ip("-n", host, "route", "add", "default", "via", "10.9.0.1")
        ip("-n", host, "-6", "route", "add", "default", "via", "fd00:9::1")
        yield made
    finally:
        for each in made.started:
            each.kill()
            each.wait()
        for name in (host, far):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def ask(name: str, number: int = 7) -> bytes:
    """A question of DNS."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


SEND = "u = socket.socket(socket.AF_INET6 if ':' in {to!r} else socket.AF_INET, socket.SOCK_DGRAM); u.sendto({data!r}, ({to!r}, {port}))\n"
CALL = """
s = socket.socket(socket.AF_INET6 if ':' in {to!r} else socket.AF_INET); s.settimeout(0.3)
try: s.connect(({to!r}, {port}))
except OSError: pass
"""


def test_a_foreign_name_and_a_connection_outside_are_found(wire: Wire) -> None:
    made = wire.record()
    wire.do(
        SEND.format(data=ask("Stun.Foreign.fr"), to="10.9.0.1", port=53)
        + CALL.format(to="185.1.2.3", port=8443) + CALL.format(to="2a00:1450::8", port=853)
        + SEND.format(data=b"x", to="8.8.4.4", port=3478) + SEND.format(data=b"x", to="2a00:1450::9", port=443)
    )  # fmt: skip
    rows = wire.end(made)
    assert wire.found() == {"stun.foreign.fr": [], "185.1.2.3": [8443], "2a00:1450::8": [853], "8.8.4.4": [3478], "2a00:1450::9": [443]}  # fmt: skip
    (called,) = [row for row in rows if row["destination"] == "185.1.2.3:8443"]
    assert (called["host"], called["process"]) == ("app-1", Path(sys.executable).name)
    assert wire.log.stat().st_mode & 0o77 == 0


def test_what_stays_inside_is_not_found(wire: Wire) -> None:
    """Private addresses, loopback, the client's own names and those of no dot; nothing of it is written but names."""
    made = wire.record()
    wire.do(
        CALL.format(to="10.9.0.1", port=5432) + CALL.format(to="fd00:9::1", port=443) + CALL.format(to="127.0.0.1", port=80) + CALL.format(to="192.0.2.1", port=80)
        + SEND.format(data=b"x", to="10.9.0.1", port=123) + SEND.format(data=b"x", to="224.0.0.251", port=5353) + SEND.format(data=b"x", to="127.0.0.1", port=9)
        + SEND.format(data=ask("login.town.example.org"), to="127.0.0.53", port=53) + SEND.format(data=ask("app-1"), to="10.9.0.1", port=53)
        + SEND.format(data=ask("2.0.9.10.in-addr.arpa"), to="10.9.0.1", port=53)
    )  # fmt: skip
    rows = wire.end(made)
    assert [row["destination"] for row in rows if row["destination"]] == []
    assert {row["name"] for row in rows} == {
        "login.town.example.org",
        "app-1",
        "2.0.9.10.in-addr.arpa",
    }
    assert wire.found() == {}


def test_the_resolver_of_a_name_is_a_contact_and_never_the_clients_own(wire: Wire) -> None:
    made = wire.record()
    wire.do(SEND.format(data=ask("cloud.town.example.org"), to="9.9.9.8", port=53))
    wire.end(made)
    assert wire.found() == {"9.9.9.8": [53]}


ANSWER = """
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("10.9.0.1", 53)); print("up", flush=True)
while True:
    m, who = u.recvfrom(4096)
    q = m[12:m.index(0, 12) + 5]
    alias = b"\\xc0\\x0c\\0\\5\\0\\1" + struct.pack(">IH", 60, 8) + b"\\5alias\\xc0\\x12"
    u.sendto(m[:2] + b"\\x81\\x80\\0\\1\\0\\2\\0\\0\\0\\0" + q + alias + b"\\xc0\\x0c\\0\\1\\0\\1" + struct.pack(">IH4s", 60, 4, bytes([185, 1, 2, 3])), who)
"""


def test_an_address_has_the_name_that_led_to_it(wire: Wire) -> None:
    wire.serve(ANSWER)
    made = wire.record()
    code = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5); u.sendto({data!r}, ('10.9.0.1', 53)); u.recv(512)\n"
    wire.do(code.format(data=ask("relay.mailer.fr")) + CALL.format(to="185.1.2.3", port=587))
    rows = wire.end(made)
    assert ("185.1.2.3:587", "relay.mailer.fr") in {
        (row["destination"], row["name"]) for row in rows
    }
    assert wire.found() == {"relay.mailer.fr": [587]}
    assert wire.found(Own("town.example.org", allow={"relay.mailer.fr": "theirs"})) == {}


def test_names_over_tcp_in_tls_and_to_a_proxy_are_seen(wire: Wire) -> None:
    """The far end takes connections and says nothing: what is seen is what the host says of itself."""
    wire.serve(
        "held = [socket.create_server(each) for each in (('9.9.9.8', 443), ('10.9.0.1', 53), ('10.9.0.1', 3128), ('10.9.0.1', 443))]\nprint('up', flush=True); time.sleep(60)"
    )  # fmt: skip
    made = wire.record()
    message = ask("tcp.foreign.fr")
    wire.do(f"""
def tls(to, name):
    s = socket.create_connection((to, 443), 5); s.settimeout(0.3)
    try: ssl.create_default_context().wrap_socket(s, server_hostname=name)
    except OSError: pass
tls("9.9.9.8", "telemetry.foreign.fr")
tls("10.9.0.1", "meet.town.example.org")
def say(port, *data):
    s = socket.create_connection(("10.9.0.1", port), 5); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for each in data: s.sendall(each); time.sleep(0.1)
say(53, {len(message).to_bytes(2, "big") + message!r})
say(53, {len(message).to_bytes(2, "big")!r}, {ask("parts.foreign.fr")!r})
say(3128, b"CONNECT connect.foreign.fr:8443 HTTP/1.1\\r\\n\\r\\n")
say(3128, b"GET http://get.foreign.fr/x HTTP/1.1\\r\\n\\r\\n")
say(3128, b"POST http://user@post.foreign.fr:81/ HTTP/1.1\\r\\n\\r\\n")
say(3128, b"GET /http://path.foreign.fr/ HTTP/1.1\\r\\nHost: own\\r\\n\\r\\n")
""")  # fmt: skip
    wire.end(made)
    assert wire.found() == {
        "telemetry.foreign.fr": [443], "tcp.foreign.fr": [], "parts.foreign.fr": [], "connect.foreign.fr": [], "get.foreign.fr": [], "post.foreign.fr": [],
    }  # fmt: skip


def test_who_comes_from_outside_is_no_contact(wire: Wire) -> None:
    """A client from outside is answered, over TCP and UDP; the same address that the host calls by itself is found."""
    made = wire.record()
    serving = subprocess.Popen(
        ["ip", "netns", "exec", wire.host, sys.executable, "-c", """
import socket
t = socket.create_server(("10.9.0.2", 443)); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("10.9.0.2", 3478)); print("up", flush=True)
for _ in range(3):
    m, who = u.recvfrom(99); u.sendto(m, who)
c, _ = t.accept(); c.sendall(b"hello")
"""], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wire.started.append(serving)
    assert serving.stdout is not None
    assert serving.stdout.readline() == "up\n"
    wire.do(
        """
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("9.9.9.8", 0)); u.settimeout(5)
for _ in range(3): u.sendto(b"x", ("10.9.0.2", 3478)); assert u.recv(9) == b"x"
s = socket.create_connection(("10.9.0.2", 443), 5, ("9.9.9.8", 0)); assert s.recv(9) == b"hello"
""",
        wire.far,
    )  # fmt: skip
    serving.wait(10)
    assert wire.found() == {}
    wire.do(SEND.format(data=b"x", to="9.9.9.8", port=3478))
    wire.end(made)
    assert wire.found() == {"9.9.9.8": [3478]}


def cgroup() -> Path:
    top = Path("/sys/fs/cgroup/unified")
    return top if top.is_dir() else top.parent


@pytest.mark.parametrize(("port", "served"), [(10000, "10000"), (50123, "49152-65535")])
def test_addresses_of_people_who_are_served_are_not_kept(wire: Wire, port: int, served: str) -> None:  # fmt: skip
    """From a port that the kernel gives to anyone, it depends on the unit that holds it; from another one nothing is looked at."""
    group = cgroup() / f"ct{secrets.token_hex(3)}" / "relay.service"
    group.mkdir(parents=True)
    try:
        made = wire.record("--served", f"{served}:relay.service")
        bound = f"u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0', {port}))\nu.sendto(b'x', ('185.1.2.3', 40000))\ntime.sleep(0.7)\n"
        wire.do(bound, group=group)
        if port > 32768:
            wire.do(bound.replace("185.1.2.3", "185.1.2.4"))  # another unit's socket on such a port
        rows = wire.end(made)
        assert "185.1.2.3" not in wire.log.read_text()
        assert wire.found() == ({"185.1.2.4": [40000]} if port > 32768 else {})
        assert len(rows) == (port > 32768)
    finally:
        group.rmdir()
        group.parent.rmdir()


def test_the_unit_of_a_contact_is_said(wire: Wire) -> None:
    group = cgroup() / f"ct{secrets.token_hex(3)}" / "chatty.service"
    group.mkdir(parents=True)
    try:
        made = wire.record()
        wire.do(CALL.format(to="185.1.2.3", port=443), group=group)
        assert wire.end(made)[0]["process"] == f"chatty.service ({Path(sys.executable).name})"
    finally:
        group.rmdir()
        group.parent.rmdir()


def test_what_could_not_be_looked_at_is_said(wire: Wire) -> None:
    """A recorder that is held up loses packets; the lint then does not say that all is well."""
    made = wire.record()
    os.kill(made.pid, signal.SIGSTOP)
    wire.do("u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor n in range(120000): u.sendto(b'x', ('10.9.0.1', 9))")  # fmt: skip
    os.kill(made.pid, signal.SIGCONT)
    rows = wire.end(made)
    assert rows[-1]["lost"] > 0
    said = lint({}, OWN, [("log", wire.log.read_bytes())])
    assert [each["why"] for each in said["unread"]] == [f"{rows[-1]['lost']} packets or lines more were not seen"]  # fmt: skip


def test_it_ends_when_its_time_is_over(wire: Wire) -> None:
    made = wire.record("--seconds", "1")
    wire.do(CALL.format(to="185.1.2.3", port=443))
    assert made.wait(10) == 0
    assert wire.found() == {"185.1.2.3": [443]}, "also what still waited for its name"


# ------------------------------------------------------------------------------------------ whatever comes


def watched() -> tuple[Any, io.StringIO]:
    file = io.StringIO()
    return recorder.Recorder(file, "app-1"), file


def packet(protocol: int, payload: bytes, target: str = "9.9.9.9") -> bytes:
    """An IPv4 packet from 10.9.0.2."""
    return b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + bytes(5) + bytes([protocol]) + b"\0\0" + socket.inet_aton("10.9.0.2") + socket.inet_aton(target) + payload  # fmt: skip


def udp(data: bytes, port: int = 53, local: int = 40000) -> bytes:
    return struct.pack(">HHHH", local, port, 8 + len(data), 0) + data


def tcp(data: bytes, port: int = 443, flags: int = 0x18) -> bytes:
    return struct.pack(">HHIIBBHHH", 40001, port, 1, 1, 0x50, flags, 9, 0, 0) + data


MADE: dict[str, Callable[[bytes], bytes]] = {
    "anything": lambda data: data, "a question": lambda data: packet(17, udp(data)), "a question over TCP": lambda data: packet(6, tcp(data, 53)),
    "an answer": lambda data: packet(17, udp(data, 40000, 53)), "a hello": lambda data: packet(6, tcp(b"\x16\x03\x01\x02\0\x01" + data)),
    "a request": lambda data: packet(6, tcp(b"CONNECT " + data)), "a segment": lambda data: packet(6, data), "an echo": lambda data: packet(1, data),
    "of six": lambda data: b"\x60" + data, "with headers before": lambda data: b"\x60" + bytes(5) + b"\0" + bytes(33) + data,
}  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(sorted(MADE)), st.booleans(), st.sampled_from([0x0800, 0x86DD]))  # fmt: skip
def test_no_packet_is_a_crash(data: bytes, form: str, outgoing: bool, protocol: int) -> None:
    held, file = watched()
    for each in (MADE[form](data), ask("a.fr") + data):
        held.packet(each, protocol, outgoing)
    held.close()
    said = lint({}, OWN, [("log", file.getvalue().encode())])
    assert said["unread"] == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_message_that_was_cut_or_turned_is_no_crash(data: Any) -> None:
    hello = ssl.MemoryBIO()
    asked = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="a.foreign.fr")  # fmt: skip
    with pytest.raises(ssl.SSLWantReadError):
        asked.do_handshake()
    whole = data.draw(st.sampled_from([packet(17, udp(ask("a.foreign.fr"))), packet(6, tcp(hello.read()))]))  # fmt: skip
    held, file = watched()
    held.packet(whole, 0x0800, True)
    assert "a.foreign.fr" in file.getvalue()
    turned = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4)) if turned else 0):
        turned[data.draw(st.integers(0, len(turned) - 1))] = data.draw(st.integers(0, 255))
    held.packet(bytes(turned), 0x0800, True)
    held.close()
    assert lint({}, OWN, [("log", file.getvalue().encode())])["unread"] == []


def test_a_name_that_is_none_cannot_break_a_line() -> None:
    held, file = watched()
    held.packet(packet(17, udp(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b'\x08"\n{}\\.\xff\0\2fr\0\0\1\0\1')), 0x0800, True)  # fmt: skip
    (name, *_) = [json.loads(line)["name"] for line in file.getvalue().splitlines()]
    assert name == "????????.fr"


def test_memory_and_the_file_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MOST", 100)
    monkeypatch.setattr(recorder, "MOST_LINES", 500)
    held, file = watched()
    for number in range(2000):
        held.packet(packet(17, udp(b"x", 443, 1024 + number), f"185.1.{number // 250}.{number % 250 + 1}"), 0x0800, True)  # fmt: skip
        held.packet(packet(17, udp(ask(f"n{number}.fr"))), 0x0800, True)
        held.packet(packet(17, udp(b"x", 1024 + number, 5000), "10.9.0.2"), 0x0800, False)
    assert max(len(each) for each in (held.written, held.flows, held.theirs, held.names, held.pending)) <= 100  # fmt: skip
    held.close()
    lines = file.getvalue().splitlines()
    assert len(lines) == 501
    assert json.loads(lines[-1])["lost"] > 3000


# ----------------------------------------------------------------------------------- settings of the hosts


def archive(*roots: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as file:
        settings_program.gather([str(each) for each in roots], file)
    installed = outside.Installed()
    outside.unpack("app-1", held.getvalue(), installed)
    with tarfile.open(fileobj=io.BytesIO(held.getvalue())) as file:
        member = file.extractfile(outside.MANIFEST)
        assert member is not None
        return installed.files, json.loads(member.read())


def test_settings_come_without_keys_and_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.conf").write_text("server stun.foreign.fr\n")
    (tmp_path / "sub/key").write_text("-----BEGIN RSA PRIVATE KEY-----\nabc\n")
    (tmp_path / "sub/link").symlink_to("/etc/passwd")
    (tmp_path / "sub/.suite-canary").write_bytes(bytes(range(32, 256)) * 9)
    (tmp_path / "large").write_bytes(bytes(settings_program.MOST_BYTES + 1))
    (tmp_path / "current").symlink_to(tmp_path / "sub")
    files, told = archive(tmp_path, tmp_path / "current", tmp_path / "missing")
    assert sorted(files) == [f"app-1{tmp_path}/current/a.conf", f"app-1{tmp_path}/sub/a.conf"]
    assert [path.rpartition("/")[2] for path in told["secret"]] == ["key", "key"]
    assert told["compiled"] == [f"{tmp_path}/{name}/.suite-canary" for name in ("current", "sub")]
    assert [(path, "too many" in why) for path, why in told["unread"]] == [(f"{tmp_path}/large", True)]  # fmt: skip
    assert [row["host"] for row in lint(files, OWN)["contacts"]] == ["stun.foreign.fr"]


def test_of_this_machine_no_hash_of_a_password_is_taken_and_what_debian_ships_is_known() -> None:
    if not Path("/etc/debian_version").exists():
        pytest.skip("what is shipped is asked of dpkg")
    files, told = archive(Path("/etc"))
    assert "app-1/etc/passwd" in files
    assert not [path for path in files if "shadow" in path or b"PRIVATE KEY-----" in files[path]]
    assert "/etc/debconf.conf" in told["pristine"]
    assert "/etc/hosts" not in told["pristine"]


def test_a_known_file_of_the_distribution_is_told_apart_only_while_nobody_changed_it() -> None:
    files = {
        "app-1/etc/ssl/openssl.cnf": b"[insta]\nserver = pki.certificate.fi:8700\n",
        "app-1/etc/cloud/templates/ntp.conf.tmpl": b"server 0.debian.pool.ntp.org\n",
        "app-1/etc/ntp.conf": b"server 0.debian.pool.ntp.org\n",
    }
    said = lint(files, OWN, pristine=list(files))
    assert [row["host"] for row in said["contacts"]] == ["0.debian.pool.ntp.org"], "of a file that is read"  # fmt: skip
    assert {row["host"] for row in said["shipped"]} == {"pki.certificate.fi", "0.debian.pool.ntp.org"}  # fmt: skip
    assert all(row["reason"] for row in said["shipped"])
    changed = lint(files, OWN)
    assert {row["host"] for row in changed["contacts"]} == {"pki.certificate.fi", "0.debian.pool.ntp.org"}  # fmt: skip
    assert changed["shipped"] == []


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b\x08\0"])
def test_a_host_that_sends_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(FileError, match="app-1 sent is no archive"):
        outside.unpack("app-1", data, outside.Installed())
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w:gz").close()
    with pytest.raises(FileError, match="no archive of settings"):
        outside.unpack("app-1", empty.getvalue(), outside.Installed())


def written() -> Iterator[tuple[str, str]]:
    """(role, place) of every file that a role renders or brings along; a part that is not known here is `current`."""
    for role in sorted(path.name for path in roles().iterdir()):
        known: dict[str, Any] = {}
        for part in ("defaults", "vars"):
            path = roles() / role / part / "main.yml"
            known |= (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
        for path in sorted((roles() / role / "tasks").glob("*.yml")):
            for task in steps(yaml.safe_load(path.read_text()) or []):
                for name in ("template", "copy", "blockinfile"):
                    held = task.get(f"ansible.builtin.{name}")
                    if held is None or (name == "copy" and "content" not in held and not PROGRAMS.match(held["dest"])):  # fmt: skip
                        continue
                    loop = task.get("loop")
                    for item in loop if isinstance(loop, list) else [{}]:
                        yield role, place(held.get("dest") or held["path"], known, item)


def steps(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        for part in ("block", "rescue", "always"):
            yield from steps(task.get(part, []))


def place(text: str, known: dict[str, Any], item: Any) -> str:
    def one(hit: re.Match[str]) -> str:
        name = hit[1]
        if name.startswith("item"):
            held = item.get(name.partition(".")[2]) if isinstance(item, dict) else item
        else:
            held = None if name.endswith("_version") else known.get(name)
        return held if isinstance(held, str) else "current"

    for _ in range(6):
        text = re.sub(r"\{\{ ([\w.]+) \}\}", one, text)
    return re.sub(r"\{\{.*?\}\}", "current", text)


PROGRAMS = re.compile(r"/usr/local/(?!share/ca-certificates/)|\{\{ _backup_program \}\}")
MARKS = (".crt", ".options", ".built", ".unpacked", ".complete", "complete", "lock.txt")
"""Certificates, notes of roles to themselves, and sums of packages: no program takes a setting from them."""


def test_the_lint_reads_every_file_that_a_role_renders() -> None:
    read = ("/etc/", *outside.rendered())
    found = list(written())
    assert len(found) > 90
    assert [each for each in found if not each[1].startswith(read) and not each[1].endswith(MARKS)] == []  # fmt: skip


@pytest.mark.parametrize("declared", outside.rendered())
def test_what_a_role_declares_it_renders(declared: str) -> None:
    assert [where for _, where in written() if where.startswith(declared)]


def test_the_settings_of_hosts_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This machine stands for a host; one that does not answer is unread, and what was fetched is nowhere afterwards."""
    root()
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(HERE + "there ansible_host=127.0.0.1 ansible_port=1 ansible_connection=ssh\n")  # fmt: skip
    (tmp_path / "suite.toml").write_text((ROOT / "tests/estates/town-300/suite.toml").read_text())
    assert run(["suite", "lint", "--hosts", "-C", str(tmp_path), "--inventory", str(inventory), "--json"]) == 3  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    assert said["files"] > 50
    assert "here/etc/shadow" in said["kept_there"]
    assert [each["file"] for each in said["unread"] if each["file"].startswith("there")] == ["there"]  # fmt: skip
    assert all(place["file"].startswith("here/") for row in said["mentioned"] for place in row["places"])  # fmt: skip
    assert not Path("/run/suite-settings.tar.gz").exists()
    assert not list(Path("/dev/shm").glob("repatria-outside-*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".repatria",
        "hosts.ini",
        "suite.toml",
    ]
    assert [path.name for path in (tmp_path / ".repatria").iterdir()] == ["vault-password"]


def test_the_answers_say_what_is_the_clients(tmp_path: Path) -> None:
    text = (ROOT / "tests/estates/town-300/suite.toml").read_text()
    (tmp_path / "suite.toml").write_text(text + '\n[time]\nservers = ["ntp.town.fr"]\n\n[packages]\nmirror = "http://mirror.fr:8080/debian"\nsecurity = "https://security.fr/d"\n')  # fmt: skip
    stack = tmp_path / "inventory/group_vars/all/stack.yml"
    stack.parent.mkdir(parents=True)
    stack.write_text("suite_gate: 5.196.1.1\nsuite_addresses: {edge: 5.196.1.1, turn: 5.196.1.2}\n")
    own = outside.own(tmp_path)
    lines = [
        {"time": "", "host": "app-1", "process": "", "destination": where, "name": name}
        for where, name in (("5.196.1.2:3478", ""), ("5.196.1.3:443", ""), ("", "ntp.town.fr"), ("", "mirror.fr"), ("", "security.fr"), ("", "other.fr"))
    ]  # fmt: skip
    said = lint({}, own, [("log", "\n".join(map(json.dumps, lines)).encode())])
    assert [row["host"] for row in said["contacts"]] == ["5.196.1.3", "other.fr"]
    assert {row["host"]: row["reason"] for row in said["allowed"]} == {
        "ntp.town.fr": "time.servers", "mirror.fr": "packages.mirror", "security.fr": "packages.security",
    }  # fmt: skip
