"""The settings that a host of the suite holds, as one archive: what `repatria suite lint --hosts` reads. Standard library only; runs there.

`settings.py ARCHIVE PATH...`: every text file below /etc and PATHs. Keys and hashes of passwords stay on the host. `.manifest.json` in
the archive says which files are as the distribution ships them (`pristine`), what was left there on purpose, and what could not be read.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOTS = ("/etc", "/run/systemd/resolve/resolv.conf")
MOST_BYTES = 20_000_000
MOST_ALL = 300_000_000
SECRET = re.compile(
    r"/etc/(g?shadow-?|ssh/ssh_host_\w+_key|ssl/private/.*|krb5\.keytab|.*\.(key|p12|pfx|jks|keystore))"
)
"""Never of use to a reader of settings."""
COMPILED = re.compile(
    r"/etc/(ld\.so\.cache|aliases\.db|udev/hwdb\.bin|ssl/certs/java/cacerts|java-[^/]+/security/public_suffix_list\.dat|mtab)|.*\.pyc|.*/\.suite-canary"
)
"""Made by a program from other files, which are read; and the marks of a drill, which are random bytes."""
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def walk(root):
    """Files below a place, which may be a file; links are not followed, but the place itself may be one."""
    path = Path(root)
    if path.is_file():
        yield str(path)
    for folder, names, files in os.walk(path):
        names.sort()
        for name in sorted(files):
            held = os.path.join(folder, name)  # noqa: PTH118 - text is what is wanted
            if os.path.isfile(held) and not os.path.islink(held):  # noqa: PTH113, PTH114
                yield held


def shipped():
    """Path -> MD5 of files of settings as Debian's packages brought them."""
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Conffiles}\\n"], capture_output=True, text=True, check=False).stdout  # fmt: skip
    found = dict(re.findall(r"^ (/\S+) ([0-9a-f]{32})", said, re.MULTILINE))
    ucf = Path("/var/lib/ucf/hashfile")
    if ucf.exists():
        found |= {path: md5 for md5, path in re.findall(r"^([0-9a-f]{32})\s+(/\S+)$", ucf.read_text("utf-8"), re.MULTILINE)}  # fmt: skip
    return found


def gather(roots, archive):
    """Put everything into an open archive, and the manifest at its end."""
    known = shipped()
    told = {"pristine": [], "secret": [], "compiled": [], "unread": []}
    room = MOST_ALL
    for path in sorted({each for root in roots for each in walk(root)}):
        if SECRET.fullmatch(path) or COMPILED.fullmatch(path):
            told["secret" if SECRET.fullmatch(path) else "compiled"].append(path)
            continue
        try:
            size = os.stat(path).st_size  # noqa: PTH116
            data = Path(path).read_bytes() if size <= min(MOST_BYTES, room) else None
        except OSError as error:
            told["unread"].append([path, error.strerror])
            continue
        if data is None:
            told["unread"].append([path, f"{size} bytes are too many"])
            continue
        if KEY.search(data):
            told["secret"].append(path)
            continue
        if known.get(path) == hashlib.md5(data, usedforsecurity=False).hexdigest():
            told["pristine"].append(path)
        room -= len(data)
        _put(archive, path.lstrip("/"), data)
    _put(archive, ".manifest.json", json.dumps(told).encode())


def _put(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def main(words):
    """The archive that the first word names, readable by its owner alone."""
    place, *more = words
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as archive:  # fmt: skip
        gather([*ROOTS, *more], archive)


if __name__ == "__main__":
    main(sys.argv[1:])
