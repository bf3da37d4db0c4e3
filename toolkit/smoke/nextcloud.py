"""Files: a person's WebDAV, shares and calendar, and what must be refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from toolkit.smoke.check import Check, Failed, NotRun, Trial, expect
from toolkit.smoke.web import Answer, Browser

MB = 1024 * 1024
FRESH = 600
"""Seconds since the last background job: it runs every five minutes."""
PROTECTED = (
    "/data/", "/data/nextcloud.log", "/config/", "/config/config.php", "/lib/versioncheck.php", "/3rdparty/autoload.php",
    "/templates/404.php", "/.htaccess", "/.git/config", "/occ", "/console.php", "/db_structure.xml", "/autotest.sh",
)  # fmt: skip
DAV, CAL = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"


def _url(trial: Trial) -> str:
    return trial.settings.text("nextcloud.url")


def _dav(trial: Trial, kind: str) -> str:
    return f"{_url(trial)}/remote.php/dav/{kind}/{quote(trial.settings.text('nextcloud.user'))}"


def _ask(trial: Trial, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:  # fmt: skip
    return trial.web.ask(
        method, url, headers=headers, body=body, user=trial.settings.text("nextcloud.user"),
        password=trial.settings.text("nextcloud.password"),
    )  # fmt: skip


def _fine(got: Answer, *statuses: int) -> Answer:
    expect(got.status in statuses, f"{urlsplit(got.url).path} is answered with {got.status}")
    return got


def _folder(trial: Trial) -> str:
    """A folder for these checks, deleted at the end, from the trash too."""

    def make() -> str:
        name = "smoke-" + os.urandom(6).hex()
        _fine(_ask(trial, "MKCOL", f"{_dav(trial, 'files')}/{name}"), 201)
        trial.later(f"folder {name}", lambda: _delete(trial, name), at_end=True)
        return name

    name = trial.once("nextcloud.folder", make)
    return f"{_dav(trial, 'files')}/{name}"


def _delete(trial: Trial, name: str) -> None:
    _fine(_ask(trial, "DELETE", f"{_dav(trial, 'files')}/{name}"), 204, 404)
    trash = _dav(trial, "trashbin") + "/trash/"
    got = _ask(trial, "PROPFIND", trash, headers={"Depth": "1"})
    if got.status != 207:
        return  # the trash is off
    for each in _xml(got).iter(f"{DAV}href"):
        if f"/trash/{name}" in unquote(each.text or ""):
            _fine(_ask(trial, "DELETE", _url(trial) + urlsplit(each.text or "").path), 204, 404)


def _xml(got: Answer) -> ET.Element:
    try:
        return ET.fromstring(got.body)  # noqa: S314 - the suite's own server, at most 64 MiB
    except ET.ParseError as error:
        raise Failed(f"the answer is no XML: {error}") from None


def status(trial: Trial) -> str:
    held = _fine(trial.web.ask("GET", _url(trial) + "/status.php"), 200).json()
    expect(held.get("installed") is True, "it is not installed")
    expect(held.get("maintenance") is False, "it is in maintenance")
    expect(held.get("needsDbUpgrade") is False, "its database waits for an upgrade")
    return str(held.get("versionstring", ""))


def sign_in(trial: Trial) -> None:
    got = _ask(trial, "PROPFIND", _dav(trial, "files") + "/", headers={"Depth": "0"})
    expect(got.status == 207, f"sign-in of {trial.settings.text('nextcloud.user')}: {got.status}")


def wrong_password(trial: Trial) -> str:
    url, user = _dav(trial, "files") + "/", trial.settings.text("nextcloud.user")
    nobody = trial.web.ask("PROPFIND", url, headers={"Depth": "0"})
    expect(nobody.status == 401, f"without a password: {nobody.status}")
    wrong = trial.web.ask("PROPFIND", url, headers={"Depth": "0"}, user=user, password="wrong-" + os.urandom(9).hex())  # fmt: skip
    if wrong.status == 429:
        raise NotRun("the server counts too many sign-ins; wait and try again")
    expect(wrong.status == 401, f"a wrong password is answered with {wrong.status}")
    return ""


def _same(trial: Trial, url: str, data: bytes) -> None:
    got = _fine(_ask(trial, "GET", url), 200)
    told, there = hashlib.sha256(data).hexdigest(), hashlib.sha256(got.body).hexdigest()
    expect(told == there, f"{len(data)} bytes were sent, {len(got.body)} come back, and their sha256 differ")  # fmt: skip


def upload(trial: Trial) -> str:
    url, data = f"{_folder(trial)}/five.bin", os.urandom(5 * MB)
    _fine(_ask(trial, "PUT", url, body=data), 201, 204)
    _same(trial, url, data)
    return "5 MB"


def upload_chunked(trial: Trial) -> str:
    """Chunking of the second version: a folder for the pieces, ten MB each, put together by MOVE."""
    url, data = f"{_folder(trial)}/thirty.bin", os.urandom(30 * MB)
    pieces = f"{_dav(trial, 'uploads')}/smoke-{os.urandom(6).hex()}"
    to = {"Destination": url, "OC-Total-Length": str(len(data))}
    _fine(_ask(trial, "MKCOL", pieces, headers=to), 201)
    trial.later("pieces of an upload", lambda: _fine(_ask(trial, "DELETE", pieces), 204, 404))
    for number in range(3):
        part = data[number * 10 * MB : (number + 1) * 10 * MB]
        _fine(_ask(trial, "PUT", f"{pieces}/{number + 1:05d}", headers=to, body=part), 201, 204)
    _fine(_ask(trial, "MOVE", f"{pieces}/.file", headers=to), 201, 204)
    _same(trial, url, data)
    return "30 MB in 3 pieces"


def mtime(trial: Trial) -> None:
    url, then = f"{_folder(trial)}/old.txt", 1_000_000_007
    _fine(_ask(trial, "PUT", url, headers={"X-OC-Mtime": str(then)}, body=b"from 2001"), 201, 204)
    got = _fine(_ask(trial, "PROPFIND", url, headers={"Depth": "0"}), 207)
    seen = next((each.text for each in _xml(got).iter(f"{DAV}getlastmodified")), "") or ""
    expect(seen, "no time of change is told")
    expect(parsedate_to_datetime(seen).timestamp() == then, f"a file of 2001 is now of {seen}")


def share(trial: Trial) -> str:
    """A link for strangers; it must end with the share, and give nothing but this file."""
    url, data = f"{_folder(trial)}/shared.bin", os.urandom(50_000)
    _fine(_ask(trial, "PUT", url, body=data), 201, 204)
    shares = _url(trial) + "/ocs/v2.php/apps/files_sharing/api/v1/shares"
    path = urlsplit(url).path.removeprefix(urlsplit(_dav(trial, "files")).path)
    ocs = {"OCS-APIRequest": "true", "Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
    made = _ask(trial, "POST", shares, headers=ocs, body=f"path={quote(path, safe='')}&shareType=3&permissions=1".encode())  # fmt: skip
    expect(made.status == 200, f"a link cannot be made: {made.status}")
    held = made.json()["ocs"]["data"]
    undo = f"{shares}/{held['id']}"
    trial.later("a share", lambda: _fine(_ask(trial, "DELETE", undo, headers=ocs), 200, 404))
    link = f"{_url(trial)}/s/{held['token']}/download"
    got = Browser(trial.web).ask("GET", link)
    expect(got.status == 200 and got.body == data, f"the link gives a stranger {got.status} and {len(got.body)} bytes")  # fmt: skip
    _fine(_ask(trial, "DELETE", undo, headers=ocs), 200)
    after = Browser(trial.web).ask("GET", link)
    expect(after.status in (403, 404), f"the link still answers after its share is gone: {after.status}")  # fmt: skip
    return ""


def calendar(trial: Trial) -> None:
    home = f"{_dav(trial, 'calendars')}/smoke-{os.urandom(6).hex()}"
    _fine(_ask(trial, "MKCALENDAR", home + "/"), 201)
    trial.later("a calendar", lambda: _fine(_ask(trial, "DELETE", home + "/", headers={"X-NC-CalDAV-No-Trashbin": "1"}), 200, 204, 404))  # fmt: skip
    uid, word = os.urandom(8).hex(), "smoke " + os.urandom(6).hex()
    day = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    form = "%Y%m%dT%H%M%SZ"
    event = "\r\n".join((
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//repatria//smoke//EN", "BEGIN:VEVENT", f"UID:{uid}",
        f"DTSTAMP:{datetime.now(UTC):{form}}", f"DTSTART:{day:{form}}", f"DTEND:{day + timedelta(hours=1):{form}}",
        f"SUMMARY:{word}", "END:VEVENT", "END:VCALENDAR", "",
    ))  # fmt: skip
    url = f"{home}/{uid}.ics"
    _fine(_ask(trial, "PUT", url, headers={"Content-Type": "text/calendar; charset=utf-8", "If-None-Match": "*"}, body=event.encode()), 201, 204)  # fmt: skip
    expect(word in _fine(_ask(trial, "GET", url), 200).text, "the event that comes back is another one")  # fmt: skip

    def found(start: datetime) -> bool:
        query = (
            '<?xml version="1.0"?><c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:prop><c:calendar-data/></d:prop>'
            '<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">'
            f'<c:time-range start="{start:{form}}" end="{start + timedelta(hours=2):{form}}"/>'
            "</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>"
        )
        got = _ask(trial, "REPORT", home + "/", headers={"Depth": "1", "Content-Type": "application/xml"}, body=query.encode())  # fmt: skip
        return any(word in (each.text or "") for each in _xml(_fine(got, 207)).iter(f"{CAL}calendar-data"))  # fmt: skip

    expect(found(day - timedelta(minutes=30)), "a search by time does not find the event")
    expect(not found(day + timedelta(days=7)), "a search a week later finds the event")
    _fine(_ask(trial, "DELETE", url), 200, 204)
    _fine(_ask(trial, "GET", url), 404)


def well_known(trial: Trial) -> str:
    for service in ("caldav", "carddav"):
        got = trial.web.ask("GET", f"{_url(trial)}/.well-known/{service}")
        to = urlsplit(got.headers.get("location", "")).path
        expect(got.status in (301, 302, 307, 308) and to.rstrip("/") == "/remote.php/dav", f"/.well-known/{service}: {got.status} {to}")  # fmt: skip
    return ""


def protected(trial: Trial) -> str:
    for path in PROTECTED:
        got = trial.web.ask("GET", _url(trial) + path)
        expect(got.status in (403, 404), f"{path} is answered with {got.status}")
    return f"{len(PROTECTED)} paths"


def _occ(trial: Trial, *words: str) -> str:
    line = [*trial.settings.get("nextcloud.occ"), *words]
    try:
        got = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotRun(f"occ cannot be run: {error}") from None
    expect(got.returncode == 0, f"occ {' '.join(words)}: {(got.stderr or got.stdout).strip()[:200] or got.returncode}")  # fmt: skip
    return got.stdout.strip()


def background(trial: Trial) -> str:
    told = _occ(trial, "config:app:get", "core", "lastcron")
    expect(told.isdigit(), "no background job ever ran")
    age = time.time() - int(told)
    expect(age < FRESH, f"the last background job ran {age / 60:.0f} minutes ago")
    return f"{age:.0f} s ago"


def locking(trial: Trial) -> str:
    if trial.settings.get("nextcloud.occ"):
        held = _occ(trial, "config:system:get", "memcache.locking")
    elif token := trial.settings.text("nextcloud.serverinfo_token"):
        got = trial.web.ask("GET", _url(trial) + "/ocs/v2.php/apps/serverinfo/api/v1/info?format=json", headers={"NC-Token": token, "OCS-APIRequest": "true"})  # fmt: skip
        system: Mapping[str, Any] = _fine(got, 200).json()["ocs"]["data"]["nextcloud"]["system"]
        expect(system.get("filelocking.enabled") in ("yes", True), "locking is off")
        held = str(system.get("memcache.locking", ""))
    else:
        raise NotRun("neither nextcloud.occ nor nextcloud.serverinfo_token is set")
    expect(held.rpartition("\\")[2] == "Redis", f"files are locked by {held or 'the database'}")
    return held


FILES = ("nextcloud.sign-in",)
CHECKS = (
    Check("nextcloud.status", "installed, not in maintenance, no upgrade waits", status),
    Check("nextcloud.sign-in", "a person signs in with an app password", sign_in),
    Check("nextcloud.wrong-password", "without or with a wrong password nothing is given", wrong_password),
    Check("nextcloud.upload", "5 MB sent and read back equal", upload, 60, FILES),
    Check("nextcloud.upload-chunked", "30 MB sent in pieces and read back equal", upload_chunked, 180, FILES),
    Check("nextcloud.mtime", "the time of change of a file is kept", mtime, needs=FILES),
    Check("nextcloud.share", "a link opens for a stranger, and no more when its share is deleted", share, 40, FILES),
    Check("nextcloud.calendar", "an event goes into a calendar, is found by its time, and goes", calendar, 40, FILES),
    Check("nextcloud.well-known", "calendars and contacts are found from the name alone", well_known),
    Check("nextcloud.protected-paths", "data, configuration and code are not given out", protected),
    Check("nextcloud.background-job", "the background job ran within ten minutes", background, 40, wants=("nextcloud.occ",)),
    Check("nextcloud.locking", "files are locked by Valkey", locking, 40),
)  # fmt: skip
