"""One person in one application: exported into an archive, closed, or erased. Runs on the application's host, from standard input.

`main` takes what is asked for as JSON in base64: secrets are in no argument list and in no file. Standard library alone.
"""

import base64
import hashlib
import hmac
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

NAME = re.compile(r"[a-z0-9][a-z0-9._@+=-]{0,126}")
"""A login name: what the sign-on takes, and what is a plain file name too."""
TIMEOUT = 60
PAGE = 100
HELPER = "suite-person-"
STALE_MS = 24 * 3600 * 1000


class Refused(Exception):  # noqa: N818 - read as a sentence
    """What cannot be done, said to the operator."""


class Web:
    """An application's HTTP interface. Redirects would carry the token elsewhere, so none is followed."""

    def __init__(self, base):
        self.base, self.token = base, ""
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())

    def ask(self, method, path, body=None, form=None):
        """Status and bytes. Raises Refused where nothing answers."""
        headers, data = {}, None
        if form is not None:
            data, headers["Content-Type"] = (
                urllib.parse.urlencode(form).encode(),
                "application/x-www-form-urlencoded",
            )
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.base + path, data, headers, method=method)  # noqa: S310 - the base is of the wiring
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except (OSError, ValueError) as error:
            raise Refused(f"{self.base} does not answer: {error}") from None

    def json(self, method, path, body=None, form=None, missing=None):
        """The answer; `missing` where it is 404. Raises Refused with what the application said."""
        status, data = self.ask(method, path, body, form)
        if status == 404 and missing is not None:
            return missing
        if not 200 <= status < 300:
            raise Refused(
                f"{method} {path.partition('?')[0]}: {status} {data[:300].decode(errors='replace')}"
            )
        return json.loads(data) if data.strip() else {}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Archive:
    """A tar of what is handed out, readable by the owner of the folder that it lies in."""

    def __init__(self, folder, name):
        self.path = Path(folder) / f"{name}.tar"
        self.not_given = []
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.fchown(descriptor, *_owner(folder))
        self.tar = tarfile.open(fileobj=os.fdopen(descriptor, "wb"), mode="w|")  # noqa: SIM115 - closed by close()

    def put(self, name, data):
        held = tarfile.TarInfo(name)
        held.size, held.mode, held.mtime = len(data), 0o600, int(time.time())
        self.tar.addfile(held, io.BytesIO(data))

    def document(self, name, value):
        self.put(
            name,
            json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode(errors="replace")
            + b"\n",
        )

    def lacks(self, what, why):
        self.not_given.append({"what": what, "why": why})

    def close(self):
        self.tar.close()
        self.tar.fileobj.close()


def _owner(folder):
    held = Path(folder).stat()
    return held.st_uid, held.st_gid


def quote(text):
    return urllib.parse.quote(text, safe="")


def plain(text, number):
    """Text of somebody else -> one part of a path that is harmless everywhere."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-")[:80]
    return f"{number:04d}-{kept}" if kept else f"{number:04d}"


# ---------------------------------------------------------------------------------------------- the sign-on


class Keycloak:
    """Administration of one realm, signed in for this run."""

    def __init__(self, ask):
        self.web, self.user, self.password = Web(ask["url"]), ask["admin"], ask["password"]
        self.realm = f"/admin/realms/{quote(ask['realm'])}"
        self.refresh = ""

    def __enter__(self):
        self._sign_in()
        return self

    def _sign_in(self):
        self.web.token = ""
        said = self.web.json(
            "POST", "/realms/master/protocol/openid-connect/token",
            form={"grant_type": "password", "client_id": "admin-cli", "username": self.user, "password": self.password},
        )  # fmt: skip
        self.web.token, self.refresh, self.until = (
            said["access_token"],
            said["refresh_token"],
            time.monotonic() + said["expires_in"] / 2,
        )

    def __exit__(self, *_):
        self._sign_out()

    def _sign_out(self):
        self.web.token = ""
        self.web.ask(
            "POST",
            "/realms/master/protocol/openid-connect/logout",
            form={"client_id": "admin-cli", "refresh_token": self.refresh},
        )

    def call(self, method, path, body=None, missing=None):
        if time.monotonic() > self.until:  # a token of an administrator lives for a minute
            self._sign_out()
            self._sign_in()
        return self.web.json(method, self.realm + path, body, missing=missing)

    def find(self, name):
        """The account with exactly this name, or None."""
        held = [
            each
            for each in self.call("GET", f"/users?exact=true&max=2&username={quote(name)}")
            if each["username"] == name
        ]
        return held[0] if held else None

    def pages(self, path):
        """All rows of a list that comes in pages."""
        first, rows = 0, []
        while True:
            got = self.call("GET", f"{path}{'&' if '?' in path else '?'}first={first}&max={PAGE}")
            rows += got
            if len(got) < PAGE:
                return rows
            first += PAGE


def keycloak_export(ask):
    with Keycloak(ask) as idp:
        found = idp.find(ask["user"])
        if found is None:
            return {"state": "absent", "subject": ""}
        person = f"/users/{quote(found['id'])}"
        archive = Archive(ask["into"], "keycloak")
        archive.document("profile.json", idp.call("GET", person))
        archive.document("groups.json", idp.pages(f"{person}/groups"))
        for part in ("role-mappings", "sessions", "consents", "federated-identity"):
            archive.document(f"{part}.json", idp.call("GET", f"{person}/{part}"))
        # when each was made and of which kind; hashes are never given out, and are no use to anybody
        kept = ("id", "type", "userLabel", "createdDate")
        archive.document(
            "credentials.json",
            [
                {key: each[key] for key in kept if key in each}
                for each in idp.call("GET", f"{person}/credentials")
            ],
        )
        archive.document("events.json", idp.pages(f"/events?user={quote(found['id'])}"))
        archive.document(
            "changes.json",
            idp.pages(f"/admin-events?resourcePath={quote('users/' + found['id'] + '*')}"),
        )
        archive.close()
    return {
        "state": "exported",
        "subject": found["id"],
        "archives": [str(archive.path)],
        "not_given": archive.not_given,
    }


def keycloak_close(ask):
    """Nobody signs in with it from now on, and who is in is out. The account itself stays until everything else is gone."""
    with Keycloak(ask) as idp:
        found = idp.find(ask["user"])
        if found is None:
            return {"state": "absent", "subject": ""}
        person = f"/users/{quote(found['id'])}"
        whole = idp.call("GET", person)
        if whole["enabled"]:
            try:
                idp.call("PUT", person, {**whole, "enabled": False})
            except Refused as error:
                if whole.get("federationLink"):
                    raise Refused(
                        f"the account lives in the directory: disable it there first, then run this again ({error})"
                    ) from None
                raise
            if idp.call("GET", person)["enabled"]:
                raise Refused(
                    "the account is still enabled at the sign-on; where it lives in a directory, disable it there first"
                )
        sessions = idp.call("GET", f"{person}/sessions")
        idp.call("POST", f"{person}/logout")
        return {
            "state": "disabled" if whole["enabled"] else "was disabled", "subject": found["id"], "sessions": len(sessions),
            "directory": bool(whole.get("federationLink")),
        }  # fmt: skip


def keycloak_erase(ask):
    with Keycloak(ask) as idp:
        found = idp.find(ask["user"])
        if found is None:
            return {"state": "absent"}
        idp.call("DELETE", f"/users/{quote(found['id'])}")
        back = idp.find(ask["user"])
        if back is not None:
            if back.get("federationLink"):
                return {"state": "erased", "directory": True}
            raise Refused("the account is still there after it was deleted")
    return {"state": "erased"}


# ---------------------------------------------------------------------------------------------- chat


class Synapse:
    """The homeserver's administration, by an account that lives for this run alone."""

    def __init__(self, ask):
        self.web, self.domain, self.secret = Web(ask["url"]), ask["domain"], ask["secret"]

    def __enter__(self):
        name = f"{HELPER}{secrets.token_hex(6)}"
        password = secrets.token_urlsafe(32)
        nonce = self.web.json("GET", "/_synapse/admin/v1/register")["nonce"]
        text = f"{nonce}\0{name}\0{password}\0admin"
        mac = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).hexdigest()
        said = self.web.json(
            "POST", "/_synapse/admin/v1/register",
            {"nonce": nonce, "username": name, "displayname": "", "password": password, "admin": True, "mac": mac},
        )  # fmt: skip
        self.web.token, self.me = said["access_token"], said["user_id"]
        return self

    def __exit__(self, *_):
        self._sweep()
        self._end(self.me)

    def _end(self, who):
        self.web.json("POST", f"/_synapse/admin/v1/deactivate/{quote(who)}", {"erase": True})

    def _sweep(self):
        """Accounts of runs that were killed. Those of the last day may be of a run that goes on."""
        said = self.web.json(
            "GET", f"/_synapse/admin/v2/users?name={HELPER}&deactivated=false&limit={PAGE}"
        )
        for each in said["users"]:
            if (
                each["name"].startswith(f"@{HELPER}")
                and each["name"] != self.me
                and each["creation_ts"] < time.time() * 1000 - STALE_MS
            ):
                self._end(each["name"])

    def find(self, ask):
        """The account of this person: by what the sign-on calls them, else by name. Empty where there is none.

        A name alone is not enough where the account belongs to another person of the sign-on.
        """
        if ask.get("matrix_user"):
            who = ask["matrix_user"]
            return who if self.account(who) else ""
        provider, subject = ask["provider"], ask["subject"]
        if subject:
            said = self.web.json(
                "GET",
                f"/_synapse/admin/v1/auth_providers/{quote(provider)}/users/{quote(subject)}",
                missing={},
            )
            if said:
                return said["user_id"]
        who = f"@{ask['user']}:{self.domain}"
        held = self.account(who)
        if not held:
            return ""
        if gone(held):
            return who
        linked = [
            each["external_id"]
            for each in held.get("external_ids", ())
            if each["auth_provider"] == provider
        ]
        if linked or subject:  # of another person, or of nobody whom the sign-on has let in
            raise Refused(
                f"{who} is not what the sign-on calls {ask['user']}: it may be another person's; where it is theirs, say so by -e matrix_user={who} (--matrix-user)"
            )
        return who

    def account(self, who):
        return self.web.json("GET", f"/_synapse/admin/v2/users/{quote(who)}", missing={})

    def media(self, who):
        """What they uploaded, all pages."""
        rows, since = [], 0
        while True:
            said = self.web.json(
                "GET", f"/_synapse/admin/v1/users/{quote(who)}/media?limit={PAGE}&from={since}"
            )
            rows += said["media"]
            if "next_token" not in said:
                return rows
            since = said["next_token"]

    def messages(self, room, who):
        """What they wrote in a room, oldest first."""
        chosen, rows, since = quote(json.dumps({"senders": [who]})), [], ""
        while True:
            said = self.web.json(
                "GET", f"/_synapse/admin/v1/rooms/{quote(room)}/messages?dir=b&limit={PAGE}&filter={chosen}{since and '&from=' + quote(since)}",
                missing={"chunk": []},
            )  # fmt: skip
            rows += said["chunk"]
            if not said.get("end") or said["end"] == since:
                return rows[::-1]
            since = said["end"]


def gone(account):
    return bool(account.get("deactivated")) and bool(account.get("erased"))


def synapse_export(ask):
    with Synapse(ask) as chat:
        who = chat.find(ask)
        if not who:
            return {"state": "absent"}
        person = quote(who)
        archive = Archive(ask["into"], "synapse")
        profile = chat.account(who)
        profile.pop("password_hash", None)
        archive.document("profile.json", profile)
        for name, path in (
            ("devices", f"/_synapse/admin/v2/users/{person}/devices"),
            ("connections", f"/_synapse/admin/v1/whois/{person}"),
            ("pushers", f"/_synapse/admin/v1/users/{person}/pushers"),
            ("settings", f"/_synapse/admin/v1/users/{person}/accountdata"),
        ):
            archive.document(f"{name}.json", chat.web.json("GET", path))
        said = chat.web.json("GET", f"/_synapse/admin/v1/users/{person}/memberships", missing={})
        if not said:  # servers before 1.136
            said = {
                "memberships": dict.fromkeys(
                    chat.web.json("GET", f"/_synapse/admin/v1/users/{person}/joined_rooms")[
                        "joined_rooms"
                    ],
                    "join",
                )
            }
            archive.lacks("rooms that they left", "the homeserver does not tell them")
        rooms = [
            {"room": room, "membership": state, **_room(chat, room)}
            for room, state in sorted(said["memberships"].items())
        ]
        archive.document("rooms.json", rooms)
        for number, each in enumerate(rooms, 1):
            held = chat.messages(each["room"], who)
            if any(event["type"] == "m.room.encrypted" for event in held):
                archive.lacks(
                    f"messages of {each['room']} in the clear",
                    "they are encrypted: only the person's own devices have the keys, and export them",
                )
            archive.document(f"messages/{plain(each['room'], number)}.json", held)
        media = chat.media(who)
        archive.document("media.json", media)
        for number, each in enumerate(media, 1):
            status, data = chat.web.ask(
                "GET",
                f"/_matrix/client/v1/media/download/{quote(chat.domain)}/{quote(each['media_id'])}",
            )
            if status == 200:
                archive.put(
                    f"media/{plain(each.get('upload_name') or each['media_id'], number)}", data
                )
            else:
                archive.lacks(f"file {each['media_id']}", f"the homeserver answered {status}")
        archive.close()
    return {
        "state": "exported",
        "account": who,
        "archives": [str(archive.path)],
        "not_given": archive.not_given,
        "rooms": len(rooms),
        "media": len(media),
    }


def _room(chat, room):
    held = chat.web.json("GET", f"/_synapse/admin/v1/rooms/{quote(room)}", missing={})
    return {
        key: held.get(key) for key in ("name", "topic", "encryption", "canonical_alias", "creator")
    }


def synapse_erase(ask):
    with Synapse(ask) as chat:
        who = chat.find(ask)
        if not who:
            return {"state": "absent"}
        before = chat.account(who)
        files = 0
        while True:  # a call takes the first hundred
            took = chat.web.json(
                "DELETE", f"/_synapse/admin/v1/users/{quote(who)}/media?limit={PAGE}"
            )["total"]
            files += took
            if not took:
                break
        if gone(before) and not files:
            return {"state": "absent", "account": who}
        if not gone(before):
            chat._end(who)
        chat.web.json(
            "PUT", f"/_synapse/admin/v2/users/{quote(who)}", {"external_ids": []}
        )  # last: until here it was found by them
        after = chat.account(who)
        if not gone(after) or after.get("external_ids"):
            raise Refused(f"{who} is still there after it was erased")
        return {"state": "erased", "account": who, "media": files}


# ---------------------------------------------------------------------------------------------- files and calendars


def nextcloud_rows(ask):
    """What Nextcloud's database says of the person, by a small program of Nextcloud's own."""
    held = subprocess.run(
        ["setpriv", "--reset-env", f"--reuid={ask['account']}", f"--regid={ask['account']}", "--init-groups", "/usr/bin/php", "--", ask["user"]],
        input=base64.b64decode(ask["program"]), capture_output=True, check=False, cwd=ask["root"],
    )  # fmt: skip
    if held.returncode:
        raise Refused(
            f"Nextcloud: {held.stderr.decode(errors='replace').strip() or held.stdout[:300].decode(errors='replace')}"
        )
    return json.loads(held.stdout)


def occ(ask, *words):
    return subprocess.run(
        [ask["occ"], *words, "--no-interaction", "--no-warnings"],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def nextcloud_export(ask):
    if not Path(ask["occ"]).exists():
        return {"state": "not installed"}
    rows = nextcloud_rows(ask)
    if not rows["exists"]:
        return {"state": "absent"}
    archive = Archive(ask["into"], "nextcloud")
    said = occ(ask, "user:info", ask["user"], "--output=json")
    if said.returncode:
        raise Refused(
            f"occ user:info: {said.stderr.decode(errors='replace').strip() or said.stdout.decode(errors='replace').strip()}"
        )
    archive.document("profile.json", json.loads(said.stdout))
    for name, held in sorted(rows["tables"].items()):
        if isinstance(held, str):
            archive.lacks(name, held)
            continue
        archive.document(f"{name}.json", held)
    for table, folder, key, suffix in (
        ("calendar_objects", "calendars", "calendardata", "ics"),
        ("contacts", "contacts", "carddata", "vcf"),
    ):
        held = rows["tables"].get(table)
        for number, each in enumerate(held if isinstance(held, list) else (), 1):
            archive.put(
                f"{folder}/{plain(str(each['uri']).removesuffix('.' + suffix), number)}.{suffix}",
                each[key].encode(),
            )
    archive.close()
    archives = [str(archive.path)]
    folder = Path(ask["data"]) / ask["user"]
    if folder.is_dir():
        archives.append(str(pack(folder, ask["into"])))
    else:
        archive.lacks(
            "files",
            f"there is no {folder}: where an object store is used, the files are in it under numbers; the person downloads them signed in",
        )
    return {"state": "exported", "archives": archives, "not_given": archive.not_given}


def pack(folder, into):
    """The folder of a person -> a tar: no link is followed, and no owner of this host is in it."""
    needs = sum(path.lstat().st_size for path in folder.rglob("*"))
    if (room := shutil.disk_usage(into).free) < needs * 1.05 + 512 * 2**20:
        raise Refused(
            f"{folder} has {needs >> 20} MB, and {into} has room for {room >> 20} MB: name another folder by -e suite_scratch=FOLDER"
        )
    path = Path(into) / "nextcloud-files.tar"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    os.fchown(descriptor, *_owner(into))

    def bare(held):
        held.uid = held.gid = 0
        held.uname = held.gname = ""
        return held if held.isreg() or held.isdir() else None

    with (
        os.fdopen(descriptor, "wb") as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.add(folder, arcname="nextcloud-files", filter=bare)
    return path


def nextcloud_erase(ask):
    if not Path(ask["occ"]).exists():
        return {"state": "not installed"}
    if not nextcloud_rows(ask)["exists"]:
        return {"state": "absent"}
    said = occ(ask, "user:delete", ask["user"])
    if said.returncode:
        raise Refused(
            f"occ user:delete: {said.stderr.decode(errors='replace').strip() or said.stdout.decode(errors='replace').strip()}"
        )
    if nextcloud_rows(ask)["exists"]:
        raise Refused("the account is still there after it was deleted")
    return {"state": "erased"}


# ---------------------------------------------------------------------------------------------- on the controller


def unpack(ask):
    """An archive of a host -> files below `to`, whatever it says of itself: only plain files, only there. Removes the archive."""
    to = Path(ask["to"])
    with tarfile.open(ask["archive"]) as tar:
        for held in tar:
            parts = Path(held.name).parts
            if not held.isreg() or held.name.startswith("/") or ".." in parts:
                raise Refused(f"{ask['archive']} has what does not belong into it: {held.name!r}")
            path = to.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                shutil.copyfileobj(tar.extractfile(held), out)
    Path(ask["archive"]).unlink()
    return {"state": "unpacked"}


def manifest(ask):
    """Every file with its size and sum, and what each application said."""
    folder, files = Path(ask["folder"]), []
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o700)
            continue
        path.chmod(0o600)
        with path.open("rb") as held:
            digest = hashlib.file_digest(held, "sha256").hexdigest()
        files.append(
            {
                "file": path.relative_to(folder).as_posix(),
                "bytes": path.stat().st_size,
                "sha256": digest,
            }
        )
    held = {
        "schema": 1,
        "user": ask["user"],
        "when": ask["when"],
        "parts": ask["parts"],
        "complete": ask["complete"],
        "files": files,
    }
    with os.fdopen(
        os.open(folder / "manifest.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
        "w",
        encoding="utf-8",
    ) as out:
        json.dump(held, out, indent=2, sort_keys=True, ensure_ascii=False)
        out.write("\n")
    return {"state": "written", "files": len(files)}


DEEDS = {
    "keycloak_export": keycloak_export, "keycloak_close": keycloak_close, "keycloak_erase": keycloak_erase,
    "synapse_export": synapse_export, "synapse_erase": synapse_erase,
    "nextcloud_export": nextcloud_export, "nextcloud_erase": nextcloud_erase,
    "unpack": unpack, "manifest": manifest,
}  # fmt: skip


def main(text):
    ask = json.loads(base64.b64decode(text))
    try:
        if not NAME.fullmatch(ask["user"]):
            raise Refused("that is no login name")
        print(json.dumps(DEEDS[ask["deed"]](ask)))
    except Refused as error:
        sys.exit(str(error))
