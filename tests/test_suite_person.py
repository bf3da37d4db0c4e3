"""One person of a suite: names that are none are refused everywhere, archives of hosts are not believed, nothing is erased unasked."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import json
import re
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.serve import serving
from toolkit.cli import run
from toolkit.suite import people, play
from toolkit.suite.books import playbooks

PROGRAM = playbooks() / "files/person.py"
HOSTILE = [
    "", "o'x", 'a"b', "Gärda", "Upper", "a b", "../etc", "a/b", "..", ".a", "-a", "@a", "$(id)", "{{ 7 * 7 }}", "a\n", "a\\b", "a" * 128,
]  # fmt: skip
GOOD = ["ada", "ada.lovelace", "a-b_c", "ada@town.example", "ada+chat", "0x"]


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("person", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_login_name_is_refused_before_anything_is_asked(program: ModuleType, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert not program.NAME.fullmatch(name)
    for deed in ("export", "erase"):
        assert run(["suite", "person", deed, "-C", str(tmp_path), "--", name]) == 1
        assert "is no login name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", GOOD)
def test_login_names_are_taken(program: ModuleType, name: str) -> None:
    people.known(name)
    assert program.NAME.fullmatch(name)


def test_playbooks_and_program_hold_names_to_the_same(program: ModuleType) -> None:
    held = (playbooks() / "tasks/person_name.yml").read_text()
    patterns = re.findall(r"- user is match\('\^(.+)\\Z'\)", held)
    assert patterns == [people.NAME.pattern] == [program.NAME.pattern]


def test_results_of_ada_are_not_those_of_another_ada(tmp_path: Path) -> None:
    for name in ("ada-20261126T050215Z", "ada-2-20261126T050215Z", "ada-x"):
        (tmp_path / name).touch()
    assert [path.name for path in tmp_path.glob(people._glob("ada"))] == ["ada-20261126T050215Z"]


# ---------------------------------------------------------------------------------------------- refusals


def test_an_erasure_asks_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    for typed in ("ben\n", "", "ADA\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert run(["suite", "person", "erase", "ada", "-C", str(tmp_path)]) == 2
        assert "nothing was changed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("book", "variables", "says"),
    [
        ("user_erase.yml", {"user": "ada", "confirm": "ben"}, "confirm=ada"),
        ("user_erase.yml", {"user": "ada"}, "confirm=ada"),
        ("user_erase.yml", {"user": "admin", "confirm": "admin"}, "administrator of the suite"),
        ("user_erase.yml", {"user": "../x", "confirm": "../x"}, "takes a login name"),
        ("user_export.yml", {"user": "a'b"}, "takes a login name"),
        ("user_export.yml", {"user": "ada", "matrix_user": "@x y:z"}, "takes an account"),
        ("user_export.yml", {"user": "ada", "suite_run_dir": "here"}, "a whole path"),
    ],
)
def test_playbooks_refuse_before_any_host(tmp_path: Path, book: str, variables: dict[str, str], says: str) -> None:  # fmt: skip
    hosts = (
        tmp_path / "hosts.ini"
    )  # nothing listens there: a play that went on would be unreachable
    hosts.write_text(
        "[idp]\napp-1 ansible_host=127.0.0.1 ansible_port=9\n[synapse]\napp-1\n[nextcloud]\napp-1\n"
    )
    result = play.run(book, hosts, variables={"suite_run_dir": str(tmp_path / "out"), **variables})
    assert not result.ok
    assert [fault["host"] for fault in result.faults] == ["localhost"]
    assert says in result.faults[0]["message"]
    assert not (tmp_path / "out").exists()


def test_secrets_are_asked_for_without_being_shown() -> None:
    (block,) = yaml.safe_load((playbooks() / "tasks/person.yml").read_text())
    asking = [task for task in block["block"] if "_person_whole" in str(task)]
    assert len(asking) == 1
    assert asking[0]["no_log"] is True
    assert asking[0]["ansible.builtin.command"]["argv"] == ["python3", "-"]


# ---------------------------------------------------------------------------------------------- the program


def ask(**what: Any) -> str:
    return base64.b64encode(json.dumps(what).encode()).decode()


def through_stdin(**what: Any) -> subprocess.CompletedProcess[str]:
    """As the playbook runs it."""
    text = f'{PROGRAM.read_text()}\nmain("{ask(**what)}")\n'
    return subprocess.run(
        [sys.executable, "-"], input=text, capture_output=True, text=True, check=False
    )


def test_an_archive_comes_back_as_private_files_with_their_sums(program: ModuleType, tmp_path: Path) -> None:  # fmt: skip
    archive = program.Archive(tmp_path, "synapse")
    archive.document("profile.json", {"name": "Gärda 'x'"})
    archive.put("media/0001-a.bin", b"\0\1")
    archive.close()
    assert stat.S_IMODE((tmp_path / "synapse.tar").stat().st_mode) == 0o600
    done = through_stdin(deed="unpack", user="ada", archive=str(tmp_path / "synapse.tar"), to=str(tmp_path / "synapse"))  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "synapse.tar").exists()
    assert json.loads((tmp_path / "synapse/profile.json").read_text()) == {"name": "Gärda 'x'"}
    done = through_stdin(deed="manifest", user="ada", when="now", folder=str(tmp_path), parts={}, complete=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    held = json.loads((tmp_path / "manifest.json").read_text())
    assert [each["file"] for each in held["files"]] == ["synapse/media/0001-a.bin", "synapse/profile.json"]  # fmt: skip
    assert held["files"][0] == {"file": "synapse/media/0001-a.bin", "bytes": 2, "sha256": hashlib.sha256(b"\0\1").hexdigest()}  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()} == {0o600}  # fmt: skip


@pytest.mark.parametrize("name", ["../out", "/tmp/repatria-out", "a/../../out", "link"])
def test_an_archive_that_reaches_out_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        held = tarfile.TarInfo(name)
        if name == "link":
            held.type, held.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(held, io.BytesIO(b""))
    done = through_stdin(deed="unpack", user="ada", archive=str(tmp_path / "x.tar"), to=str(tmp_path / "to"))  # fmt: skip
    assert done.returncode == 1
    assert "does not belong" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]


def test_names_of_other_peoples_files_become_harmless(program: ModuleType) -> None:
    for text in ("../../etc/passwd", "/etc/passwd", "..", "", "a\0b", "x" * 500, "päß 'x' \"y\".txt", ".bashrc", "-rf"):  # fmt: skip
        made = program.plain(text, 7)
        assert re.fullmatch(r"0007(-[A-Za-z0-9_][A-Za-z0-9._-]*)?", made)
        assert len(made) < 100
    assert program.plain("plan.pdf", 1) == "0001-plan.pdf"


def test_files_are_packed_without_links_and_owners(program: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "files").mkdir(parents=True)
    (folder / "files/Pläne 'x'.txt").write_text("mine")
    (folder / "files/link").symlink_to("/etc/shadow")
    into = tmp_path / "into"
    into.mkdir()
    path = program.pack(folder, into)
    with tarfile.open(path) as tar:
        held = {each.name: each for each in tar}
    assert set(held) == {"nextcloud-files", "nextcloud-files/files", "nextcloud-files/files/Pläne 'x'.txt"}  # fmt: skip
    assert {(each.uid, each.uname) for each in held.values()} == {(0, "")}


def test_an_application_that_is_not_installed_says_so(tmp_path: Path) -> None:
    for deed in ("nextcloud_export", "nextcloud_erase"):
        done = through_stdin(deed=deed, user="ada", occ=str(tmp_path / "occ"))
        assert json.loads(done.stdout) == {"state": "not installed"}


def test_an_application_that_does_not_answer_is_said_without_secrets(tmp_path: Path) -> None:
    secret = "very-secret-word"
    for deed in ("keycloak_close", "synapse_erase"):
        done = through_stdin(
            deed=deed, user="ada", into=str(tmp_path), url="http://127.0.0.1:9", realm="town", admin="operator", password=secret,
            domain="town.example", secret=secret, provider="oidc-suite", subject="",
        )  # fmt: skip
        assert done.returncode == 1
        assert "does not answer" in done.stderr
        assert secret not in done.stderr + done.stdout
        assert "Traceback" not in done.stderr


def test_an_account_is_gone_only_when_both_is_done(program: ModuleType) -> None:
    assert program.gone({"deactivated": True, "erased": True})
    assert not program.gone({"deactivated": True, "erased": False})
    assert not program.gone({"deactivated": False, "erased": True})
    assert not program.gone({})


# ---------------------------------------------------------------------------------------------- whose account it is


@pytest.fixture
def homeserver() -> Iterator[tuple[str, dict[str, Any]]]:
    """A server that answers paths with what the test puts there, and 404 else."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held = answers.get(self.path)
            data = json.dumps({} if held is None else held).encode()
            self.send_response(404 if held is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}", answers


LINK = "/_synapse/admin/v1/auth_providers/oidc-suite/users/"
ACCOUNT = "/_synapse/admin/v2/users/"
ADA = "%40ada%3Atown.example"
MINE, THEIRS = ({"auth_provider": "oidc-suite", "external_id": each} for each in ("1-a", "2-b"))


@pytest.mark.parametrize(
    ("subject", "matrix_user", "answers", "found"),
    [
        ("1-a", "", {LINK + "1-a": {"user_id": "@ada1:town.example"}, ACCOUNT + ADA: {"external_ids": [THEIRS]}}, "@ada1:town.example"),
        ("1-a", "", {}, ""),
        ("1-a", "", {ACCOUNT + ADA: {"external_ids": [THEIRS]}}, None),
        ("1-a", "", {ACCOUNT + ADA: {"external_ids": []}}, None),
        ("", "", {ACCOUNT + ADA: {"external_ids": [THEIRS]}}, None),
        ("", "", {ACCOUNT + ADA: {"external_ids": []}}, "@ada:town.example"),
        ("", "", {ACCOUNT + ADA: {"external_ids": [MINE], "deactivated": True, "erased": True}}, "@ada:town.example"),
        ("", "", {ACCOUNT + ADA: {"external_ids": [MINE], "deactivated": True, "erased": False}}, None),
        ("", "@ada:town.example", {ACCOUNT + ADA: {"external_ids": [THEIRS]}}, "@ada:town.example"),
        ("1-a", "@ada:town.example", {LINK + "1-a": {"user_id": "@x:town.example"}}, ""),
    ],
)  # fmt: skip
def test_an_account_of_somebody_else_is_not_taken_for_theirs(
    program: ModuleType, homeserver: tuple[str, dict[str, Any]], subject: str, matrix_user: str, answers: dict[str, Any], found: str | None
) -> None:  # fmt: skip
    url, held = homeserver
    held.update(answers)
    asked = {"user": "ada", "provider": "oidc-suite", "subject": subject, "matrix_user": matrix_user, "url": url, "domain": "town.example", "secret": "x"}  # fmt: skip
    chat = program.Synapse(asked)
    if found is None:
        with pytest.raises(program.Refused, match=r"matrix_user=@ada:town\.example"):
            chat.find(asked)
    else:
        assert chat.find(asked) == found


def test_a_redirect_does_not_carry_the_token_elsewhere(program: ModuleType, homeserver: tuple[str, dict[str, Any]]) -> None:  # fmt: skip
    handler = program._Stay()
    assert handler.redirect_request(None, None, 302, "", {}, "http://127.0.0.1:9/") is None
    web = program.Web(homeserver[0])
    with pytest.raises(program.Refused, match="GET /nothing: 404"):
        web.json("GET", "/nothing")
    assert web.json("GET", "/nothing", missing={"none": 1}) == {"none": 1}
