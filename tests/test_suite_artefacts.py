"""Artefacts of the suite: a real server, checksums and signatures that can fail, half a file that is gone on from."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.serve import serving
from toolkit.cli import run
from toolkit.errors import ConfigError
from toolkit.suite import artefacts
from toolkit.suite.artefacts import UnusableError, check, download, fetch, load

BODY = bytes(range(256)) * 4096
SUM = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Files by path. Knows ranges; `cut` ends a reply after so many bytes, as a broken line does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.cut = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append((self.path, wanted))
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        if wanted and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        body = body[start:]
        self.wfile.write(body[: self.server.cut] if self.server.cut else body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as held:
        yield held


def listed(tmp_path: Path, **entry: Any) -> Path:
    """A list with one artefact."""
    held = {"version": "1", "file": "a.tar.gz", "licence": "MIT", "what": "a thing", "sha256": SUM}
    if not {"maven", "requirements", "hand"} & set(entry):
        held["url"] = "https://makers.example.org/deep/a.tar.gz"
    path = tmp_path / "artefacts.yml"
    path.write_text(yaml.safe_dump({"a": held | entry}))
    return path


def rows(path: Path, into: Path, server: Server | None = None, **options: Any) -> dict[str, str]:
    [row] = fetch(load(path).values(), into, mirror=f"{server.url}/m/" if server else "", root=path.parent, **options)  # fmt: skip
    return row


def test_our_own_list_is_right_and_every_entry_can_be_proven_or_is_refused() -> None:
    held = load()
    assert {
        "keycloak",
        "nextcloud",
        "notify_push",
        "user_oidc",
        "element_web",
        "jitsi",
        "synapse",
    } <= set(held)
    unproven = {n for n, e in held.items() if e.source in ("url", "maven") and not (e.sha256 or e.signature)}  # fmt: skip
    assert unproven == {"notify_push", "user_oidc"}


def test_faults_of_a_list_are_told_at_once(tmp_path: Path) -> None:
    path = listed(tmp_path, url="http://x/y", sha256="abc", file="../a", keys=[], colour="red", maven="a:b")  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        load(path)
    for word in ("a: url is 'http://x/y'", "sha256 is", "file is '../a'", "keys is no list", "colour is unknown", "one of", "maven is"):  # fmt: skip
        assert word in raised.value.message, word
    path.write_text("- a\n")
    with pytest.raises(ConfigError):
        load(path)


def test_a_mirror_has_the_same_path_and_a_right_file_is_not_fetched_again(tmp_path: Path, server: Server) -> None:  # fmt: skip
    server.files["/m/deep/a.tar.gz"] = BODY
    path, into = listed(tmp_path), tmp_path / "into"
    assert rows(path, into, server)["state"] == "ready"
    assert (into / "a.tar.gz").read_bytes() == BODY
    assert rows(path, into, server)["state"] == "ready"
    assert server.asked == [("/m/deep/a.tar.gz", "")]
    (into / "a.tar.gz").write_bytes(BODY[:-1] + b"x")
    assert check(load(path).values(), into)[0]["state"] == "missing"
    assert rows(path, into, server)["state"] == "ready"


def test_a_wrong_checksum_leaves_nothing_to_be_used(tmp_path: Path, server: Server) -> None:
    server.files["/m/deep/a.tar.gz"] = BODY[::-1]
    row = rows(listed(tmp_path), tmp_path / "into", server)
    assert row["state"] == "missing"
    assert SUM in row["why"]
    assert list((tmp_path / "into").iterdir()) == []


def test_a_broken_line_is_told_and_the_next_run_goes_on_from_there(tmp_path: Path, server: Server) -> None:  # fmt: skip
    server.files["/m/deep/a.tar.gz"] = BODY
    server.cut = 1000
    path, into = listed(tmp_path), tmp_path / "into"
    row = rows(path, into, server)
    assert row["state"] == "missing"
    assert "1000 of" in row["why"] + row["hint"] or "broke off" in row["why"]
    assert (into / "a.tar.gz.part").stat().st_size == 1000
    assert not (into / "a.tar.gz").exists()
    server.cut = 0
    assert rows(path, into, server)["state"] == "ready"
    assert server.asked[-1] == ("/m/deep/a.tar.gz", "bytes=1000-")
    assert (into / "a.tar.gz").read_bytes() == BODY


def test_a_whole_part_needs_only_its_check(tmp_path: Path, server: Server) -> None:
    server.files["/m/deep/a.tar.gz"] = BODY
    (tmp_path / "into").mkdir()
    (tmp_path / "into/a.tar.gz.part").write_bytes(BODY)
    assert rows(listed(tmp_path), tmp_path / "into", server)["state"] == "ready"


def test_a_part_of_something_else_is_thrown_away(tmp_path: Path, server: Server) -> None:
    server.files["/m/deep/a.tar.gz"] = BODY
    part = tmp_path / "into/a.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"other" * 10)
    assert rows(listed(tmp_path), part.parent, server)["state"] == "missing"
    assert not part.exists()
    assert rows(listed(tmp_path), part.parent, server)["state"] == "ready"


def test_a_server_that_is_not_there_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as raised:
        download("http://127.0.0.1:9/a", tmp_path / "part")
    assert "127.0.0.1:9" in raised.value.message
    assert "REPATRIA_MIRROR" in raised.value.hint


def test_one_that_is_missing_does_not_stop_the_others(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/b.bin"] = BODY
    one = {"version": "1", "licence": "MIT", "what": "x", "sha256": SUM}
    path = tmp_path / "list.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "a": one | {"file": "a.bin", "url": "https://makers.example.org/a.bin"},
                "b": one | {"file": "b.bin", "url": "https://makers.example.org/b.bin"},
            }
        )
    )
    words = ["suite", "artefacts", "fetch", str(tmp_path / "into"), "--artefacts", str(path), "--mirror", server.url, "--json"]  # fmt: skip
    assert run(words) == 3
    told = {row["name"]: row for row in json.loads(capsys.readouterr().out)["artefacts"]}
    assert (told["a"]["state"], told["b"]["state"]) == ("missing", "ready")
    assert "404" in told["a"]["why"]
    assert run([*words[:4], "b", *words[4:]]) == 0
    assert run([*words[:4], "c", *words[4:]]) == 1
    checked = ["suite", "artefacts", "check", str(tmp_path / "into"), "--artefacts", str(path)]
    assert run(checked) == 3
    assert run([*checked[:4], "b", *checked[4:]]) == 0
    assert run(["suite", "artefacts", "list"]) == 0


def test_what_nobody_can_prove_is_not_even_fetched(tmp_path: Path, server: Server) -> None:
    server.files["/m/deep/a.tar.gz"] = BODY
    row = rows(listed(tmp_path, sha256=None), tmp_path / "into", server)
    assert "no checksum" in row["why"]
    assert server.asked == []
    (tmp_path / "into/a.tar.gz").write_bytes(BODY)
    assert rows(listed(tmp_path, sha256=None), tmp_path / "into", server)["state"] == "missing"


def test_what_a_person_brings_is_looked_for(tmp_path: Path) -> None:
    path = listed(tmp_path, sha256=None, file="debs", hand="Put them into", files=["x_*.deb", "y_*.deb"])  # fmt: skip
    row = rows(path, tmp_path / "into")
    assert "x_*.deb, y_*.deb" in row["why"]
    (tmp_path / "into/debs").mkdir()
    for name in ("x_1.deb", "y_2.deb"):
        (tmp_path / "into/debs" / name).touch()
    assert rows(path, tmp_path / "into")["state"] == "ready"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[str, bytes, bytes]]:
    """Two people with an OpenPGP key each: fingerprint, public key, signature of BODY."""
    if not shutil.which("gpg"):
        pytest.skip("no gpg")
    held = {}
    (tmp_path / "body").write_bytes(BODY)
    for who in ("maker", "other"):
        home = Path("/tmp") / f"repatria-test-gpg-{who}-{tmp_path.name[-20:]}"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]  # fmt: skip

        def made(*words: str, gpg: list[str] = gpg) -> bytes:
            return subprocess.run([*gpg, *words], capture_output=True, check=True).stdout

        made("--quick-generate-key", f"{who}@example.org", "ed25519", "sign", "never")
        listing = made("--with-colons", "--list-keys").decode()
        fingerprint = next(x.split(":")[9] for x in listing.splitlines() if x.startswith("fpr"))
        signature = made("--detach-sign", "--armor", "--output", "-", str(tmp_path / "body"))
        held[who] = (fingerprint, made("--armor", "--export"), signature)
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)
    return held


@pytest.mark.parametrize("case", ["right", "other signed", "other key", "changed", "no signature"])
def test_a_signature_stands_in_for_a_checksum_and_only_that_of_the_pinned_key(
    tmp_path: Path, server: Server, keys: dict[str, tuple[str, bytes, bytes]], case: str
) -> None:
    maker, other = keys["maker"], keys["other"]
    server.files["/m/deep/a.tar.gz"] = BODY + b"!" if case == "changed" else BODY
    server.files["/m/key"] = other[1] if case == "other key" else maker[1] + other[1]
    if case != "no signature":
        server.files["/m/deep/a.tar.gz.asc"] = other[2] if case.startswith("other") else maker[2]
    path = listed(
        tmp_path, sha256=None, signature="https://makers.example.org/deep/a.tar.gz.asc", key_url="https://makers.example.org/key", keys=[maker[0]],
    )  # fmt: skip
    row = rows(path, tmp_path / "into", server)
    assert row["state"] == ("ready" if case == "right" else "missing"), row
    assert (tmp_path / "into/a.tar.gz").exists() == (case == "right")
    if case == "right":
        assert check(load(path).values(), tmp_path / "into")[0]["state"] == "ready"
        (tmp_path / "into/a.tar.gz").write_bytes(BODY + b"x")
        assert check(load(path).values(), tmp_path / "into")[0]["state"] == "missing"


def test_wheels_are_those_of_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real pip, from an index that is a folder."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = shelf / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as held:
        held.writestr("tiny_thing.py", "")
        held.writestr("tiny_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")  # fmt: skip
        held.writestr("tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")  # fmt: skip
        held.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    path = listed(tmp_path, sha256=None, file="things", requirements="things.txt")
    lock, into = tmp_path / "things.txt", tmp_path / "into"
    lock.write_text(f"tiny-thing==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    assert rows(path, into)["state"] == "missing"
    assert list(into.iterdir()) == []
    lock.write_text(f"tiny-thing==1.0 \\\n    --hash=sha256:{artefacts.digest(wheel)}\n")
    assert rows(path, into) | {"hint": ""} == rows(path, into)
    assert rows(path, into)["state"] == "ready"
    assert (into / "things/requirements.txt").read_text() == lock.read_text()
    (into / "things/added-1-py3-none-any.whl").write_bytes(b"x")
    assert "added" in check(load(path).values(), into)[0]["why"]
    (into / "things/added-1-py3-none-any.whl").unlink()
    (into / "things" / wheel.name).rename(into / "things/renamed-1.0-py3-none-any.whl")
    assert "tiny-thing" in check(load(path).values(), into)[0]["why"]


def test_maven_missing_is_told_with_the_place_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    row = rows(listed(tmp_path, maven="org.example:a:1:tar.gz"), tmp_path / "into")
    assert "no mvn" in row["why"]
    (tmp_path / "into/a.tar.gz").write_bytes(BODY)
    assert rows(listed(tmp_path, maven="org.example:a:1:tar.gz"), tmp_path / "into")["state"] == "ready"  # fmt: skip
