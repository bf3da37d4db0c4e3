"""Not Nextcloud: what its clients see of it, put together for the smoke tests where Nextcloud itself cannot be had.

Files are WsgiDAV's and calendars Radicale's, real servers both. What only Nextcloud speaks (status.php, chunks of the second version,
X-OC-Mtime, shares, trash, serverinfo) is answered here as its documentation says, and can be told to do it wrong.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.smoke import (  # fmt: skip
    DAV,
    HOST,
    Asked,
    Said,
    environment,
    forward,
    found,
    free_port,
    running,
)

USER = "ada"
_WSGIDAV = """
import json, sys
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp
c = json.load(open(sys.argv[1]))
app = WsgiDAVApp({"host": c["host"], "port": c["port"], "provider_mapping": {c["path"]: c["root"]}, "verbose": 1, "logging": {"enable": False},
    "simple_dc": {"user_mapping": {"*": {c["user"]: {"password": c["password"]}}}},
    "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False}, "lock_storage": True, "property_manager": None,
    "dir_browser": {"enable": False}})
wsgi.Server((c["host"], c["port"]), app).start()
"""


@dataclass
class Files:
    """The site; each switch is one thing that it does wrong."""

    folder: Path
    dav: str
    calendars: str
    password: str
    uploads: dict[str, dict[str, bytes]] = field(default_factory=dict)
    shares: dict[str, tuple[str, str]] = field(default_factory=dict)
    trash: list[str] = field(default_factory=list)
    serverinfo_token: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    keeps_mtime: bool = True
    ends_shares: bool = True
    loses_a_piece: bool = False

    @property
    def authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()

    def __call__(self, asked: Asked) -> Said:
        path = unquote(urlsplit(asked.path).path)
        if path == "/status.php":
            return found({"installed": True, "maintenance": False, "needsDbUpgrade": False, "versionstring": "0.0 (not Nextcloud)"})  # fmt: skip
        if path in ("/.well-known/caldav", "/.well-known/carddav"):
            return Said(301, {"location": f"https://{asked.host}/remote.php/dav/"})
        if path.startswith("/s/") or path.startswith("/public.php/dav/files/"):
            return self._link(asked, path)
        if path.startswith("/ocs/v2.php/apps/serverinfo/") and asked.headers.get("nc-token") == self.serverinfo_token:  # fmt: skip
            return found({"ocs": {"data": {"nextcloud": {"system": {"filelocking.enabled": "yes", "memcache.locking": "\\OC\\Memcache\\Redis"}}}}})  # fmt: skip
        if path.startswith("/remote.php/dav/files/"):
            return self._file(asked, path)
        if path.startswith("/remote.php/dav/calendars/"):
            inner = asked.path.removeprefix("/remote.php/dav/calendars")
            return forward(self.calendars, Asked(asked.method, asked.host, inner, {**asked.headers, "x-script-name": "/remote.php/dav/calendars"}, asked.body))  # fmt: skip
        if not path.startswith(("/remote.php/dav/", "/ocs/")):
            return Said(404)
        if asked.headers.get("authorization") != self.authorization:
            return Said(401, {"www-authenticate": "Basic"})
        if path.startswith(f"/remote.php/dav/uploads/{USER}/"):
            return self._piece(asked, path)
        if path.startswith(f"/remote.php/dav/trashbin/{USER}/trash"):
            return self._trash(asked, path)
        if path.startswith("/ocs/v2.php/apps/files_sharing/api/v1/shares"):
            return self._share(asked, path)
        return Said(404)

    def _file(self, asked: Asked, path: str) -> Said:
        said = forward(self.dav, asked)
        inner = path.removeprefix(f"/remote.php/dav/files/{USER}").strip("/")
        if asked.method == "PUT" and said.status < 300 and self.keeps_mtime and "x-oc-mtime" in asked.headers:  # fmt: skip
            then = int(asked.headers["x-oc-mtime"])
            os.utime(self.folder / inner, (then, then))
        if asked.method == "DELETE" and said.status < 300:
            self.trash.append(f"{inner}.d1700000000")
        return said

    def _piece(self, asked: Asked, path: str) -> Said:
        """MKCOL makes an upload, PUT adds a piece, MOVE of `.file` joins them in the order of their names."""
        upload, _, name = path.removeprefix(f"/remote.php/dav/uploads/{USER}/").partition("/")
        match asked.method:
            case "MKCOL":
                self.uploads[upload] = {}
                return Said(201)
            case "PUT" if upload in self.uploads and asked.headers.get("oc-total-length"):
                self.uploads[upload][name] = asked.body
                return Said(201)
            case "MOVE" if upload in self.uploads and name == ".file":
                pieces = [data for _, data in sorted(self.uploads.pop(upload).items())]
                data = b"".join(pieces[1:] if self.loses_a_piece else pieces)
                to = urlsplit(asked.headers["destination"]).path
                if len(data) != int(asked.headers["oc-total-length"]) and not self.loses_a_piece:
                    return Said(400)
                return forward(self.dav, Asked("PUT", asked.host, to, {"authorization": self.authorization}, data))  # fmt: skip
            case "DELETE":
                return Said(204 if self.uploads.pop(upload, None) is not None else 404)
        return Said(404)

    def _trash(self, asked: Asked, path: str) -> Said:
        name = path.rstrip("/").rpartition("/")[2]
        if asked.method == "DELETE" and name in self.trash:
            self.trash.remove(name)
            return Said(204)
        if asked.method != "PROPFIND":
            return Said(404)
        base = f"/remote.php/dav/trashbin/{USER}/trash/"
        rows = "".join(f"<d:response><d:href>{base}{each}</d:href></d:response>" for each in ["", *self.trash])  # fmt: skip
        return Said(207, {"content-type": "application/xml"}, f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{rows}</d:multistatus>'.encode())  # fmt: skip

    def _share(self, asked: Asked, path: str) -> Said:
        if "ocs-apirequest" not in asked.headers:
            return Said(412)
        if asked.method == "POST":
            asked_for = parse_qs(asked.body.decode())
            inner = asked_for["path"][0].strip("/")
            if asked_for.get("shareType") != ["3"] or not (self.folder / inner).is_file():
                return Said(404)
            number, token = str(len(self.shares) + 1), secrets.token_hex(8)
            self.shares[number] = (token, inner)
            return found({"ocs": {"meta": {"statuscode": 200}, "data": {"id": number, "token": token}}})  # fmt: skip
        number = path.rpartition("/")[2]
        if asked.method == "DELETE" and number in self.shares:
            if self.ends_shares:
                del self.shares[number]
            return found({"ocs": {"meta": {"statuscode": 200}, "data": []}})
        return Said(404)

    def _link(self, asked: Asked, path: str) -> Said:
        """As since release 31: the page of a link leads on to the public WebDAV."""
        token = path.split("/")[2 if path.startswith("/s/") else 4]
        inner = next((inner for each, inner in self.shares.values() if each == token), "")
        if not inner:
            return Said(404)
        if path.startswith("/s/"):
            return Said(303, {"location": f"https://{asked.host}/public.php/dav/files/{token}"})
        return Said(200, {"content-type": "application/octet-stream"}, (self.folder / inner).read_bytes())  # fmt: skip


@contextlib.contextmanager
def files(folder: Path) -> Iterator[Files]:
    python = environment(*DAV)
    root, calendars = folder / "root", folder / "calendars"
    root.mkdir()
    password, dav_port, cal_port = secrets.token_urlsafe(12), free_port(), free_port()
    (folder / "dav.json").write_text(json.dumps({"host": HOST, "port": dav_port, "path": f"/remote.php/dav/files/{USER}", "root": str(root), "user": USER, "password": password}))  # fmt: skip
    (folder / "people").write_text(f"{USER}:{password}\n")
    (folder / "radicale").write_text(
        f"[server]\nhosts = {HOST}:{cal_port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {folder / 'people'}\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {calendars}\n[web]\ntype = none\n"
    )
    with (
        running(
            [str(python), "-c", _WSGIDAV, str(folder / "dav.json")], dav_port, folder / "dav.log"
        ),  # fmt: skip
        running(
            [str(python), "-m", "radicale", "-C", str(folder / "radicale")],
            cal_port,
            folder / "cal.log",
        ),  # fmt: skip
    ):
        try:
            yield Files(root, f"http://{HOST}:{dav_port}", f"http://{HOST}:{cal_port}", password)
        finally:
            shutil.rmtree(calendars, ignore_errors=True)
