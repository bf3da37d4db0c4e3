#!/usr/bin/env python3
"""Ask Nextcloud's host as the edge would: ask.py ADDRESS VERSION ADMIN-PASSWORD-FILE. One line a check; exit 1 where one fails.

Runs in the bed's network at the edge's address. What answers behind nginx and PHP-FPM is the test double: the checks
are of nginx, of PHP-FPM, and of the way to them.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path

ADDRESS, VERSION, PASSWORD = sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_text().strip()
DOMAIN = "cloud.example.org"
failed: list[str] = []


def ask(
    method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection(ADDRESS, 8444, timeout=60)
    link.request(method, path, body, {"Host": DOMAIN, "X-Forwarded-For": "198.51.100.77", "X-Forwarded-Proto": "https"} | {k.replace("_", "-"): v for k, v in headers.items()})  # fmt: skip
    got = link.getresponse()
    return got.status, {k.lower(): v for k, v in got.getheaders()}, got.read()


def check(what: str, right: bool, saw: object = "") -> None:
    if not right:
        failed.append(what)
    print("ok  " if right else "FAIL", what, "" if right else saw)


def raw(head: str, *parts: bytes, wait: float = 20) -> bytes:
    with socket.create_connection((ADDRESS, 8444), timeout=20) as link:
        link.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        for part in parts:
            link.sendall(part)
        link.settimeout(wait)
        got = b""
        try:
            while piece := link.recv(65536):
                got += piece
        except TimeoutError:
            pass
        return got


status, _, body = ask("GET", "/status.php")
said = json.loads(body)
check("status.php answers", status == 200 and said["installed"] and said["versionstring"] == VERSION and not said["maintenance"], body)  # fmt: skip
check("it is the double and says so", said["productname"] == "test double", body)

# what lies in the release and is nobody's business; each file is really there
for path in ("/config/config.php", "/config/release.config.php", "/lib/secret.txt", "/lib/double.php", "/3rdparty/secret.txt", "/console.php", "/occ", "/data/", "/.user.ini", "/build/x", "/templates/x", "/tests/x"):  # fmt: skip
    status, _, body = ask("GET", path)
    check(f"{path} is not there", status == 404 and b"not for anybody" not in body and b"CONFIG" not in body, (status, body[:80]))  # fmt: skip
status, _, body = ask("GET", "/resources/seen.txt")
check("a file beside them is", status == 200 and body == b"not for anybody\n", (status, body[:80]))

for path, to in (("/.well-known/caldav", "/remote.php/dav/"), ("/.well-known/carddav", "/remote.php/dav/"), ("/.well-known/webfinger?resource=x", "/index.php/.well-known/webfinger?resource=x")):  # fmt: skip
    status, headers, _ = ask("GET", path)
    check(f"{path} -> {to}, without host and port", status == 301 and headers.get("location") == to, (status, headers))  # fmt: skip
check(
    "/.well-known/acme-challenge/x belongs to the edge",
    ask("GET", "/.well-known/acme-challenge/x")[0] == 404,
)
status, headers, _ = ask("GET", "/", User_Agent="DavClnt/1.0")
check("Windows' DAV client is sent on", status == 302 and "/remote.php/webdav/" in headers.get("location", ""), (status, headers))  # fmt: skip

status, headers, _ = ask("GET", "/dist/double.mjs?v=1")
check(".mjs is JavaScript", headers.get("content-type", "").startswith("text/javascript"), headers)
check(
    "a versioned asset is kept",
    headers.get("cache-control") == "public, max-age=15778463, immutable",
    headers,
)
check("and keeps the headers", headers.get("x-content-type-options") == "nosniff" and "noindex" in headers.get("x-robots-tag", ""), headers)  # fmt: skip
check(
    "one without a version is not for ever",
    "immutable" not in ask("GET", "/dist/double.mjs")[1]["cache-control"],
)

status, headers, body = ask("GET", "/apps/files/some/page?x=1", Proxy="http://203.0.113.1")
seen = json.loads(body)
wanted = {"referrer-policy": "no-referrer", "x-content-type-options": "nosniff", "x-frame-options": "SAMEORIGIN", "x-permitted-cross-domain-policies": "none", "x-robots-tag": "noindex, nofollow"}  # fmt: skip
check(
    "pages have the headers, once",
    wanted.items() <= headers.items() and "x-powered-by" not in headers,
    headers,
)
check("nginx does not tell its version", headers["server"] == "nginx", headers["server"])
check("a page without index.php reaches it", seen["path"] == "/apps/files/some/page?x=1" and seen["script"].endswith(f"/{VERSION}/index.php"), seen)  # fmt: skip
check(
    "PHP sees the client, not the edge",
    seen["client"] == "198.51.100.77" and not seen["forwarded"],
    seen,
)
check("PHP sees https", seen["https"] == "on", seen)
check("a Proxy header is dropped", not seen["proxy"], seen)
check("PHP runs as its user, cannot change the release, sees no home", seen["user"] == "nextcloud" and not seen["can_write_release"] and not seen["sees_home"], seen)  # fmt: skip
check("APCu works", seen["apcu"] is True, seen)
need = {"apcu", "bcmath", "bz2", "curl", "exif", "fileinfo", "gd", "gmp", "igbinary", "imagick", "intl", "ldap", "mbstring", "openssl", "pcntl", "pdo_pgsql", "posix", "redis", "sodium", "sysvsem", "xml", "zip", "Zend OPcache"}  # fmt: skip
check("extensions", need - {"pcntl"} <= set(seen["extensions"]), need - set(seen["extensions"]))
ini = {"memory_limit": "512M", "upload_max_filesize": "600M", "post_max_size": "600M", "max_execution_time": "3600", "output_buffering": "0", "opcache.interned_strings_buffer": "32", "opcache.max_accelerated_files": "10000", "opcache.memory_consumption": "256", "opcache.revalidate_freq": "60", "opcache.jit": "1255", "apc.enabled": "1", "apc.shm_size": "128M", "session.save_handler": "redis"}  # fmt: skip
check(
    "settings of the running pool",
    seen["ini"] == ini,
    {k: v for k, v in seen["ini"].items() if ini.get(k) != v},
)
cookie = headers["set-cookie"].split(";")[0]
check(
    "a session is found again in Valkey",
    json.loads(ask("GET", "/", Cookie=cookie)[2])["visits"] == 2,
)
check("another is not", json.loads(ask("GET", "/")[2])["visits"] == 1)
check("a script that is not an entry is not run", json.loads(ask("GET", "/custom_apps/x.php")[2])["info"].endswith("/custom_apps/x.php"))  # fmt: skip

# uploads
mine = {"Authorization": "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()}
wrong = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
check(
    "a wrong password is refused",
    ask("PROPFIND", "/remote.php/dav/files/admin/", **wrong)[0] == 401,
)
check("none is refused", ask("PROPFIND", "/remote.php/dav/files/admin/")[0] == 401)
data = os.urandom(5_000_000)
ask("DELETE", "/remote.php/dav/files/admin/five.bin", **mine)
status, headers, _ = ask(
    "PUT", "/remote.php/dav/files/admin/five.bin", data, X_OC_MTime="1600000000", **mine
)
check("5 MB go up", status == 201 and headers.get("x-oc-mtime") == "accepted", (status, headers))
check("and come back", ask("GET", "/remote.php/dav/files/admin/five.bin", **mine)[2] == data)
ask("MKCOL", "/remote.php/dav/uploads/admin/up1", **mine)
parts = [os.urandom(3_000_000) for _ in range(3)]
for number, part in enumerate(parts, 1):
    ask("PUT", f"/remote.php/dav/uploads/admin/up1/{number:05d}", part, **mine)
status, *_ = ask("MOVE", "/remote.php/dav/uploads/admin/up1/.file", Destination=f"https://{DOMAIN}/remote.php/dav/files/admin/nine.bin", **mine)  # fmt: skip
check("three parts become a file", status in (201, 204) and ask("GET", "/remote.php/dav/files/admin/nine.bin", **mine)[2] == b"".join(parts), status)  # fmt: skip
head = f"PUT /remote.php/dav/files/admin/big.bin HTTP/1.1\nHost: {DOMAIN}\nConnection: close\n"
check(
    "600 MB and a byte are too much",
    b" 413 " in raw(head + f"Content-Length: {600 * 2**20 + 1}").split(b"\r\n")[0],
)
check(
    "600 MB are not: they are waited for",
    raw(head + f"Content-Length: {600 * 2**20}", wait=3) == b"",
)
word = os.urandom(8).hex()
with socket.create_connection((ADDRESS, 8444), timeout=20) as link:
    link.sendall(
        f"PUT /index.php/double/started?{word} HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 200000\r\n\r\n".encode()
    )
    link.sendall(b"x" * 1000)
    time.sleep(2)
    check("PHP begins before the body is there: nothing holds an upload back", ask("GET", "/index.php/double/last")[2] == word.encode())  # fmt: skip
chunked = f"PUT /remote.php/dav/files/admin/chunked.bin HTTP/1.1\nHost: {DOMAIN}\nTransfer-Encoding: chunked\nConnection: close\nAuthorization: {mine['Authorization']}"  # fmt: skip
raw(chunked, b"5\r\nhello\r\n", b"0\r\n\r\n")
status, _, body = ask("GET", "/remote.php/dav/files/admin/chunked.bin", **mine)
check("a body of unknown length arrives whole", body == b"hello", (status, body[:50]))

sys.exit(1 if failed else 0)
