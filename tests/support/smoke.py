"""What the smoke tests are tried on: a gate with TLS whose answers can be broken one at a time, and real servers behind it.

Synapse, Radicale and WsgiDAV come from PyPI into environments of their own, coturn and prosody from Debian. All listen on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import re
import select
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.missing import missing
from tests.support.serve import serving
from toolkit.smoke.check import chosen, run
from toolkit.smoke.checks import checks
from toolkit.smoke.settings import load

HOST = "127.0.0.1"
SYNAPSE = ("synapse-1.163.2", "matrix-synapse==1.163.2")
DAV = ("dav-1", "radicale==3.9.0", "wsgidav==4.4.0", "cheroot==11.1.2")


def environment(name: str, *packages: str) -> Path:
    """The Python of an environment with these packages, made once and kept outside of the repository."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repatria/smoke"
    cache.mkdir(parents=True, exist_ok=True)
    home, done = cache / name, cache / name / ".done"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            uv = Path(sys.executable).with_name("uv")
            shutil.rmtree(home, ignore_errors=True)
            for line in (["venv", "-q", "--python", sys.executable, str(home)], ["pip", "install", "-q", "--python", str(home / "bin/python"), *packages]):  # fmt: skip
                got = subprocess.run([str(uv), *line], capture_output=True, text=True, timeout=240, check=False)  # fmt: skip
                if got.returncode:
                    missing(f"{', '.join(packages)} cannot be installed: {got.stderr[-300:]}")
            done.touch()
    return home / "bin/python"


def free_port() -> int:
    with socket.socket() as held:
        held.bind((HOST, 0))
        port: int = held.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"ended at once: {process.args!r}"
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), timeout=1).close()
            return
        time.sleep(0.2)
    raise AssertionError(f"nobody listens on {port}: {process.args!r}")


@contextlib.contextmanager
def running(line: list[str], port: int, log: Path, seconds: float = 60, **more: Any) -> Iterator[subprocess.Popen[bytes]]:  # fmt: skip
    """A program for as long as it is needed, once its port answers."""
    with log.open("ab") as out:
        process = subprocess.Popen(line, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **more)
    try:
        try:
            wait_for(port, process, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text('utf-8', 'replace')[-2000:]}") from None
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# ------------------------------------------------------------------------------------ certificates


@dataclass
class Authority:
    """A private CA in a folder: `root.crt`, and certificates of it."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))  # fmt: skip

    def __post_init__(self) -> None:
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"smoke test root {self.folder.name}")]
        )
        self.root = self._builder(name, name, self.key.public_key(), 30).add_extension(x509.BasicConstraints(True, 0), True).add_extension(  # fmt: skip
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), True
        ).sign(self.key, hashes.SHA256())  # fmt: skip
        self.file = self.folder / "root.crt"
        self.file.write_bytes(self.root.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: float) -> x509.CertificateBuilder:  # fmt: skip
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=days))
        )  # fmt: skip

    def certificate(self, stem: str, *names: str, days: float = 60) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem)])
        held: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(each))
            if re.fullmatch(r"[\d.]+", each)
            else x509.DNSName(each)
            for each in (HOST, *names)
        ]
        made = (
            self._builder(subject, self.root.subject, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName(held), False)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .sign(self.key, hashes.SHA256())
        )
        chain, secret = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        chain.write_bytes(made.public_bytes(serialization.Encoding.PEM) + self.file.read_bytes())
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
        return chain, secret


# --------------------------------------------------------------------------------------- the gate


@dataclass(frozen=True)
class Asked:
    method: str
    host: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Site = str | Callable[[Asked], Said]
SECURITY = {"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}  # fmt: skip


def found(body: Any, status: int = 200, **headers: str) -> Said:
    return Said(status, {"content-type": "application/json", **headers}, json.dumps(body).encode())


class Gate:
    """A reverse proxy with TLS in front of sites (name -> upstream or function); `broken` changes what it answers."""

    def __init__(self, authority: Authority, sites: Mapping[str, Site], *, days: float = 60, port: int = 0, old: bool = False, name: str = "gate") -> None:  # fmt: skip
        self.sites = dict(sites)
        self.faults: list[tuple[Callable[[Asked], bool], Callable[[Asked, Callable[[], Said]], Said]]] = []  # fmt: skip
        self.asked: list[Asked] = []
        self.security, self.server = dict(SECURITY), "gate"
        names = [each for each in sites if not re.fullmatch(r"[\d.:]+", each)]
        chain, key = authority.certificate(name, *names, days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if old:
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(chain, key)
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30
            connection: ssl.SSLSocket

            def version_string(self) -> str:
                return gate.server

            def log_message(self, *_: object) -> None:
                return

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    super().handle()

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                asked = Asked(self.command, self.headers.get("Host", "").partition(":")[0], self.path, {k.lower(): v for k, v in self.headers.items()}, body)  # fmt: skip
                upstream = getattr(gate.sites.get(asked.host), "websocket", "")
                if upstream and asked.headers.get("upgrade") == "websocket":
                    tunnel(upstream, asked, self.connection)
                    self.close_connection = True
                    return
                said = gate.answer(asked)
                self.send_response(said.status)
                for each, value in {**gate.security, **said.headers}.items():
                    for one in value.split("\n"):
                        self.send_header(each, one)
                self.send_header("Content-Length", str(len(said.body)))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said.body)
                self.close_connection = True

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._answer
                raise AttributeError(name)

        class Plain(Handler):
            def _answer(self) -> None:
                asked = Asked(self.command, self.headers.get("Host", "").partition(":")[0], self.path, {}, b"")  # fmt: skip
                said = gate.through(asked, lambda: Said(301, {"Location": f"https://{asked.host}{asked.path}"}), plain=True)  # fmt: skip
                self.send_response(said.status)
                for each, value in said.headers.items():
                    self.send_header(each, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                return

            def finish_request(self, request: Any, address: Any) -> None:
                request.settimeout(30)
                super().finish_request(context.wrap_socket(request, server_side=True), address)

        class PlainServer(ThreadingHTTPServer):
            daemon_threads = True

        self.servers = (Server((HOST, port), Handler), PlainServer((HOST, 0), Plain))
        self.port, self.plain_port = (server.server_address[1] for server in self.servers)
        self.serving = contextlib.ExitStack()
        for server in self.servers:
            self.serving.enter_context(serving(server))

    def close(self) -> None:
        self.serving.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> dict[str, str]:
        """Table `connect` of the settings: the names' ports 443 and 80 are ours."""
        return {f"{name}:443": f"{HOST}:{self.port}" for name in self.sites} | {f"{name}:80": f"{HOST}:{self.plain_port}" for name in self.sites}  # fmt: skip

    def answer(self, asked: Asked) -> Said:
        self.asked.append(asked)
        return self.through(asked, lambda: self._site(asked))

    def through(self, asked: Asked, inner: Callable[[], Said], *, plain: bool = False) -> Said:
        for matches, fault in self.faults:
            if matches(asked) and (plain == (asked.headers == {})):
                return fault(asked, inner)
        return inner()

    def _site(self, asked: Asked) -> Said:
        site = self.sites.get(asked.host)
        if site is None:
            return Said(404)
        return forward(site, asked) if isinstance(site, str) else site(asked)

    @contextlib.contextmanager
    def broken(self, path: str, *, method: str = "", said: Said | None = None, change: Callable[[Said], Said] | None = None, site: Site | None = None, token: str = "") -> Iterator[None]:  # fmt: skip
        """While this lasts, requests whose path matches (of one session, by its token) are answered by `said`, by another site, or changed."""
        pattern = re.compile(path)

        def matches(asked: Asked) -> bool:
            return bool(pattern.search(asked.path)) and method in ("", asked.method) and (not token or asked.headers.get("authorization") == f"Bearer {token}")  # fmt: skip

        def fault(asked: Asked, inner: Callable[[], Said]) -> Said:
            if said is not None:
                return said
            if site is not None:
                return forward(site, asked) if isinstance(site, str) else site(asked)
            assert change is not None
            return change(inner())

        self.faults.insert(0, (matches, fault))
        try:
            yield
        finally:
            self.faults.pop(0)


def tunnel(upstream: str, asked: Asked, client: ssl.SSLSocket) -> None:
    """Bytes both ways until one end is closed: what a proxy does with a WebSocket. By one thread: OpenSSL's connections hold no two."""
    parts = urlsplit(upstream)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30) as server:
        rows = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
        server.sendall(f"{asked.method} {asked.path} HTTP/1.1\r\n{rows}\r\n".encode())
        other = {client: server, server: client}
        while True:
            ready = [client] if client.pending() else select.select(list(other), [], [], 30)[0]
            if not ready:
                return
            for one in ready:
                try:
                    data = one.recv(65536)
                except ssl.SSLWantReadError:
                    continue
                if not data:
                    return
                other[one].sendall(data)


def forward(upstream: str, asked: Asked) -> Said:
    """Ask the server behind."""
    parts = urlsplit(upstream)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        headers = {name: value for name, value in asked.headers.items() if name not in ("connection", "content-length")}  # fmt: skip
        line.request(asked.method, asked.path, asked.body, {**headers, "x-forwarded-for": HOST, "x-forwarded-proto": "https"})  # fmt: skip
        got = line.getresponse()
        body = got.read()
        held: dict[str, str] = {}
        for name, value in got.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "server", "date", "keep-alive"):  # fmt: skip
                held[name.lower()] = f"{held[name.lower()]}\n{value}" if name.lower() in held else value  # fmt: skip
        return Said(got.status, held, body)
    except OSError:
        return Said(502)
    finally:
        line.close()


def body(change: Callable[[Any], Any]) -> Callable[[Said], Said]:
    """A JSON answer whose content is changed."""
    return lambda said: replace(said, body=json.dumps(change(json.loads(said.body))).encode())


# ------------------------------------------------------------------------------------ running them


def smoke_toml(folder: Path, **tables: Any) -> Path:
    """`smoke.toml` of these tables (and `ca_file`)."""
    path = folder / "smoke.toml"
    lines = []
    for name, held in sorted(tables.items(), key=lambda each: isinstance(each[1], dict)):
        if isinstance(held, dict):
            lines += [f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in held.items())]  # fmt: skip
        else:
            lines.append(f"{name} = {json.dumps(str(held))}")
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def tried(config: Path, *only: str, plan: Mapping[str, Any] | None = None) -> dict[str, tuple[str, str]]:  # fmt: skip
    """Check -> status and detail. Nothing may be left behind."""
    document = run(chosen(checks(), only), load(config, plan))
    assert document["left"] == []
    return {each["id"]: (each["status"], each["detail"]) for each in document["checks"]}


def reds(got: Mapping[str, tuple[str, str]]) -> set[str]:
    return {name for name, (status, _) in got.items() if status == "failed"}


# ----------------------------------------------------------------------------------------- servers


@dataclass
class Homeserver:
    """A Synapse with SQLite behind a gate of its own; `name` is its address, so that no DNS is needed."""

    name: str
    port: int
    gate: Gate
    secret: str

    def register(self, user: str, password: str) -> None:
        line = http.client.HTTPConnection(HOST, self.port, timeout=30)
        path = "/_synapse/admin/v1/register"
        line.request("GET", path)
        nonce = json.loads(line.getresponse().read())["nonce"]
        mac = hmac.new(self.secret.encode(), f"{nonce}\0{user}\0{password}\0notadmin".encode(), hashlib.sha1)  # fmt: skip
        line.request("POST", path, json.dumps({"nonce": nonce, "username": user, "password": password, "admin": False, "mac": mac.hexdigest()}))  # fmt: skip
        got = line.getresponse()
        assert got.status == 200, got.read()
        line.close()


@contextlib.contextmanager
def homeserver(folder: Path, authority: Authority, stem: str, turn: Mapping[str, Any]) -> Iterator[Homeserver]:  # fmt: skip
    python = environment(*SYNAPSE)
    home = folder / stem
    home.mkdir()
    port = free_port()
    secret = os.urandom(16).hex()

    def site(asked: Asked) -> Said:
        if asked.path.startswith("/_synapse/admin"):
            return Said(404)  # as the edge does
        return forward(f"http://{HOST}:{port}", asked)

    with Gate(authority, {HOST: site}, name=stem) as gate:
        name = f"{HOST}:{gate.port}"
        much = {"per_second": 1000, "burst_count": 1000}
        settings = {
            "server_name": name, "public_baseurl": f"https://{name}/", "pid_file": str(home / "pid"),
            "listeners": [{"port": port, "bind_addresses": [HOST], "type": "http", "x_forwarded": True, "tls": False,
                           "resources": [{"names": ["client", "federation"]}]}],
            "database": {"name": "sqlite3", "args": {"database": str(home / "db")}},
            "media_store_path": str(home / "media"), "signing_key_path": str(home / "key"),
            "log_config": str(home / "log.yaml"), "report_stats": False, "trusted_key_servers": [],
            "suppress_key_server_warning": True, "registration_shared_secret": secret, "enable_registration": False,
            "federation_custom_ca_list": [str(authority.file)], "federation_ip_range_blacklist": [], "ip_range_blacklist": [],
            "federation_ip_range_blocklist": [], "ip_range_blocklist": [], "use_presence": False,
            "rc_login": {"address": much, "account": much, "failed_attempts": much}, "rc_message": much, "rc_registration": much,
            "rc_joins": {"local": much, "remote": much}, "rc_invites": {"per_room": much, "per_user": much, "per_issuer": much},
            "rc_room_creation": much, "macaroon_secret_key": os.urandom(16).hex(), "form_secret": os.urandom(16).hex(),
            "bcrypt_rounds": 4, **turn,
        }  # fmt: skip
        (home / "log.yaml").write_text("version: 1\nformatters: {f: {format: '%(message)s'}}\nhandlers: {c: {class: logging.StreamHandler, formatter: f}}\nroot: {level: WARNING, handlers: [c]}\ndisable_existing_loggers: false\n")  # fmt: skip
        (home / "homeserver.yaml").write_text(json.dumps(settings))
        start = [str(python), "-m", "synapse.app.homeserver", "-c", str(home / "homeserver.yaml")]
        subprocess.run([*start, "--generate-keys"], check=True, capture_output=True, timeout=120, cwd=home)  # fmt: skip
        with running(start, port, home / "out", cwd=home):
            yield Homeserver(name, port, gate, secret)


@dataclass(frozen=True)
class Turn:
    port: int
    tls_port: int
    secret: str

    @property
    def uris(self) -> list[str]:
        return [f"turn:{HOST}:{self.port}?transport=udp", f"turn:{HOST}:{self.port}?transport=tcp", f"turns:{HOST}:{self.tls_port}?transport=tcp"]  # fmt: skip

    def credentials(self) -> tuple[str, str]:
        """As a homeserver or prosody makes them: a time, and its HMAC by the shared secret."""
        import base64

        user = f"{int(time.time()) + 600}:smoke"
        return user, base64.b64encode(hmac.digest(self.secret.encode(), user.encode(), "sha1")).decode()  # fmt: skip


@contextlib.contextmanager
def coturn(folder: Path, authority: Authority, stem: str = "turn", *more: str, auth: bool = True) -> Iterator[Turn]:  # fmt: skip
    program = shutil.which("turnserver")
    if program is None:
        missing("turnserver is not installed: the package coturn of Debian")
    chain, key = authority.certificate(stem)
    held = Turn(free_port(), free_port(), os.urandom(16).hex())
    how = ["use-auth-secret", f"static-auth-secret={held.secret}"] if auth else ["no-auth"]
    config = folder / f"{stem}.conf"
    config.write_text("\n".join([
        f"listening-ip={HOST}", f"relay-ip={HOST}", f"listening-port={held.port}", f"tls-listening-port={held.tls_port}",
        f"cert={chain}", f"pkey={key}", "realm=smoke.test", "fingerprint", "no-cli", "no-multicast-peers", "log-file=stdout",
        f"pidfile={folder / stem}.pid", f"userdb={folder / stem}.db", "min-port=40000", "max-port=40999", *how,
        *(f"denied-peer-ip={span}" for span in ("10.0.0.0-10.255.255.255", "172.16.0.0-172.31.255.255", "192.168.0.0-192.168.255.255", "169.254.0.0-169.254.255.255", "100.64.0.0-100.127.255.255")),
        *more, "",
    ]))  # fmt: skip
    with running([str(program), "-c", str(config)], held.port, folder / f"{stem}.log"):
        yield held
