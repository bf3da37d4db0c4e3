"""What the client sees of the edge: `outside.py open|closed|fingerprint`. A line for each check; exit 1 where one is red."""

import concurrent.futures
import hashlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
import urllib.request

CLOUD, MATRIX, CHAT, GATE = (
    "cloud.town.example",
    "matrix.town.example",
    "chat.town.example",
    "10.77.0.11",
)
red = []


def check(what, held, seen=""):
    print("ok  " if held else "FAIL", what, "" if held else repr(seen))
    if not held:
        red.append(what)


def roots():
    """Root of the certificates that the ACME server issues."""
    loose = ssl._create_unverified_context()
    return urllib.request.urlopen("https://127.0.0.1:15000/roots/0", context=loose).read().decode()


TRUST = ssl.create_default_context(cadata=roots())


class Answer:
    def __init__(self, name, path="/", method="GET", body=None, headers=(), port=443):
        made = (
            http.client.HTTPSConnection(name, timeout=20, context=TRUST)
            if port == 443
            else http.client.HTTPConnection(name, 80, timeout=20)
        )
        made.request(method, path, body, dict(headers))
        got = made.getresponse()
        self.status, self.headers = got.status, got.headers
        self.body = got.read() if got.status != 101 else b""
        made.close()

    def json(self):
        return json.loads(self.body)


def handshake(*words, name=CLOUD):
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"{GATE}:443", "-servername", name, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return said.returncode == 0 and "Cipher is (NONE)" not in said.stdout


def tls():
    check("TLS 1.3", handshake("-tls1_3"))
    check("TLS 1.2", handshake("-tls1_2"))
    check("no TLS 1.1", not handshake("-tls1_1", "-cipher", "ALL@SECLEVEL=0"))
    check(
        "no CBC",
        not handshake(
            "-tls1_2",
            "-cipher",
            "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA",
        ),
    )
    check("post-quantum exchange of keys", handshake("-tls1_3", "-groups", "X25519MLKEM768"))
    check("unknown name has no handshake", not handshake(name="other.town.example"))
    try:
        ssl.create_default_context().wrap_socket(
            socket.create_connection((GATE, 443), 10), server_hostname=CLOUD
        )
        check("a root that nobody trusts is refused", False)
    except ssl.SSLCertVerificationError:
        check("a root that nobody trusts is refused", True)


def plain():
    got = Answer(CLOUD, "/x?y=1", port=80)
    check(
        "HTTP is sent on",
        (got.status, got.headers["Location"]) == (301, f"https://{CLOUD}/x?y=1"),
        got.headers.items(),
    )
    try:
        got = Answer("other.town.example", port=80)
        check("unknown name gets no answer", False, got.status)
    except (http.client.RemoteDisconnected, ConnectionError):
        check("unknown name gets no answer", True)
    got = Answer("www.town.example", "/x")
    check(
        "an alias is sent on",
        (got.status, got.headers["Location"]) == (301, f"https://{CLOUD}/x"),
        got.headers.items(),
    )


def headers():
    got = Answer(
        CLOUD,
        "/hello?a=b",
        headers={
            "X-Forwarded-For": "192.0.2.9",
            "Forwarded": "for=192.0.2.9",
            "X-Forwarded-Proto": "http",
            "Proxy": "evil",
        }.items(),
    )
    seen = got.json()["headers"]
    check(
        "the application is reached",
        got.status == 200 and got.json()["path"] == "/hello?a=b",
        got.body,
    )
    check(
        "it sees who asks, whatever he says",
        (seen["x-forwarded-for"], seen["x-real-ip"]) == ("10.77.0.12", "10.77.0.12"),
        seen,
    )
    check(
        "it sees HTTPS and its name",
        (seen["x-forwarded-proto"], seen["host"]) == ("https", CLOUD),
        seen,
    )
    check("nothing forged gets through", "forwarded" not in seen and "proxy" not in seen, seen)
    for name, value in {
        "Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "same-origin",
    }.items():  # fmt: skip
        check(f"{name} once", got.headers.get_all(name) == [value], got.headers.get_all(name))
    check("a header is left to the application", got.headers.get_all("X-Robots-Tag") is None)
    check("no version of nginx", got.headers["Server"] == "nginx", got.headers["Server"])
    check(
        "headers of errors too", Answer(MATRIX, "/").headers["X-Content-Type-Options"] == "nosniff"
    )
    check(
        "headers of a path, quotes and all",
        Answer(CLOUD, "/camera").headers.get_all("Permissions-Policy")
        == ['camera=(self "https://a.b"); return 200 "x"'],
    )


def paths():
    check("8 MB", Answer(CLOUD, "/up", "PUT", b"x" * 7_900_000).json()["size"] == 7_900_000)
    try:
        check("more is refused", Answer(CLOUD, "/up", "PUT", b"x" * 9_000_000).status == 413)
    except (ConnectionError, ssl.SSLError):
        check("more is refused", True)
    check("a path has a size of its own", Answer(CLOUD, "/small", "PUT", b"x" * 2000).status == 413)
    check("a closed network is refused", Answer(CLOUD, "/admin/x").status == 403)
    check("an open network is not", Answer(CLOUD, "/operators/x").status == 200)
    check(
        "an expression refuses",
        (Answer(CLOUD, "/a.secret").status, Answer(CLOUD, "/a.secrets").status) == (404, 200),
    )
    got = Answer(CLOUD, "/dav")
    check(
        "a path is sent on",
        got.status == 301 and got.headers["Location"].endswith("/remote.php/dav/"),
        got.headers.items(),
    )
    check(
        "only what is asked of a site is open",
        (Answer(MATRIX, "/_matrix/x").status, Answer(MATRIX, "/_synapse/admin").status)
        == (200, 404),
    )
    check(
        "of two backends one is dead and nobody sees it",
        {Answer(MATRIX, "/_matrix/x").status for _ in range(6)} == {200},
    )
    got = Answer(MATRIX, "/.well-known/matrix/server")
    check(
        "a document",
        (got.json(), got.headers["Access-Control-Allow-Origin"], got.headers["Content-Type"])
        == ({"m.server": f"{MATRIX}:443"}, "*", "application/json"),
        got.body,
    )
    check("static files", Answer(CHAT).body == b"<p>chat</p>\n")
    check("nothing above them", Answer(CHAT, "/../../etc/passwd").status in (400, 404))
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }.items()
    check("a WebSocket where one belongs", Answer(CLOUD, "/ws/x", headers=upgrade).status == 101)
    check("none elsewhere", Answer(CLOUD, "/x", headers=upgrade).status == 200)
    check(
        "an application's own 503 stays its own",
        Answer(CLOUD, "/own-503").json()["path"] == "/own-503",
    )
    check("no page of ours by its address", Answer(CLOUD, "/.suite-maintenance").status == 404)


def limits():
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        seen = [got.status for got in pool.map(lambda _: Answer(CLOUD, "/login"), range(60))]
    check(
        "too many are answered 429", 429 in seen and 200 in seen and set(seen) == {200, 429}, seen
    )
    check("elsewhere they are not", Answer(CLOUD, "/x").status == 200)


def ports():
    def is_open(port):
        try:
            socket.create_connection((GATE, port), 3).close()
        except OSError:
            return False
        return True

    asked = [
        21,
        22,
        25,
        53,
        80,
        111,
        443,
        2049,
        3478,
        5222,
        5355,
        5432,
        5433,
        6379,
        8008,
        8080,
        8089,
        8099,
        8443,
        8444,
        9100,
        9113,
        14000,
    ]
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        seen = [port for port, held in zip(asked, pool.map(is_open, asked), strict=True) if held]
    check("ports from outside are the declared ones", seen == [22, 80, 443, 9113], seen)
    said = urllib.request.urlopen(f"http://{GATE}:9113/metrics", timeout=10).read().decode()
    check("measurements", "\nnginx_up 1" in said and "nginx_http_requests_total" in said)


def closed():
    for words, language, text in (
        (("fr-CH, fr;q=0.9, en;q=0.8"), "fr", "cours de maintenance"),
        ("en-GB", "en", "being maintained"),
        ("de", "en", "being maintained"),
    ):
        got = Answer(CLOUD, "/any/path", headers={"Accept-Language": words}.items())
        check(
            f"page for {words}",
            got.status == 503
            and f'lang="{language}"' in got.body.decode()
            and text in got.body.decode(),
            got.body,
        )
        check(
            "it says when to come back",
            got.headers["Retry-After"] == "600" and got.headers["Cache-Control"] == "no-store",
            got.headers.items(),
        )
    got = Answer(CLOUD, "/up", "POST", b"x" * 1000)
    check("who sends is told too", got.status == 503 and b"<h1>" in got.body, got.body)
    check("others are open", Answer(MATRIX, "/_matrix/x").status == 200)
    check("HTTP is sent on still", Answer(CLOUD, "/", port=80).status == 301)


def fingerprint():
    with TRUST.wrap_socket(
        socket.create_connection((GATE, 443), 10), server_hostname=CLOUD
    ) as made:
        print(hashlib.sha256(made.getpeercert(binary_form=True)).hexdigest())


if sys.argv[1] == "fingerprint":
    fingerprint()
elif sys.argv[1] == "closed":
    closed()
else:
    for each in (tls, plain, headers, paths, limits, ports):
        each()
sys.exit(1 if red else 0)
