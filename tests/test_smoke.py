"""The smoke tests' own manners: settings, results, times, cleaning up, exit codes, secrets, and the page that lists the checks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.serve import serving
from tests.support.smoke import HOST, free_port, smoke_toml
from toolkit.cli import run as cli
from toolkit.errors import ConfigError
from toolkit.smoke.check import Check, Failed, NotRun, Trial, chosen, must_look, run
from toolkit.smoke.checks import checks
from toolkit.smoke.settings import FIELDS, TABLES, load, text
from toolkit.smoke.web import Web
from toolkit.suite.answers import load as load_answers
from toolkit.suite.plan import plan

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "toolkit/schemas/smoke.json").read_text())
MATRIX = {"url": "https://chat.smoke.test", "server_name": "smoke.test", "user": "ada", "password": "tr0ub4dor-and-3"}  # fmt: skip


def settings(folder: Path, **tables: Any) -> Any:
    return load(smoke_toml(folder, **(tables or {"matrix": MATRIX})))


def only(how: Any, name: str = "matrix.thing", **more: Any) -> Check:
    return Check(name, "a thing is done", how, **more)


# ----------------------------------------------------------------------------------------- results


def test_each_ending_is_a_result(tmp_path: Path) -> None:
    def fails(_: Trial) -> None:
        raise Failed("it is red")

    def cannot(_: Trial) -> None:
        raise NotRun("nobody is there")

    def breaks(_: Trial) -> None:
        raise KeyError("x")

    document = run(
        [
            only(lambda _: "seen", "matrix.ok"), only(fails, "matrix.red"), only(cannot, "matrix.not"), only(breaks, "matrix.bug"),
            only(lambda _: None, "matrix.after", needs=("matrix.red",)), only(lambda _: None, "nextcloud.thing"),
            only(lambda _: None, "matrix.wants", wants=("matrix.token",)),
        ],
        settings(tmp_path),
    )  # fmt: skip
    assert {each["id"]: (each["status"], each["detail"]) for each in document["checks"]} == {
        "matrix.ok": ("ok", "seen"),
        "matrix.red": ("failed", "it is red"),
        "matrix.not": ("not run", "nobody is there"),
        "matrix.bug": ("failed", "KeyError: 'x'"),
        "matrix.after": ("not run", "needs matrix.red, which is failed"),
        "nextcloud.thing": ("not run", "not installed: no [nextcloud] in the settings"),
        "matrix.wants": ("not run", "matrix.token is not set"),
    }
    assert document["summary"] == {"ok": 1, "failed": 2, "not_run": 4, "accepted": 0, "asked": 7, "known": 7}  # fmt: skip
    jsonschema.validate({"schema": 1, **document}, SCHEMA)


@pytest.mark.parametrize(
    ("status", "accept", "look"),
    [("ok", False, False), ("failed", False, True), ("not run", False, True), ("not run", True, False), ("failed", True, True)],
)  # fmt: skip
def test_a_partial_suite_never_looks_whole(tmp_path: Path, status: str, accept: bool, look: bool) -> None:  # fmt: skip
    """Only what was not run may be accepted, with a reason; never what failed."""

    def thing(_: Trial) -> None:
        if status != "ok":
            raise {"failed": Failed, "not run": NotRun}[status]("why")

    path = smoke_toml(tmp_path, matrix=MATRIX)
    if accept:
        path.write_text(path.read_text() + '[[accept]]\ncheck = "matrix.*"\nreason = "not yet"\n')
    document = run([only(thing)], load(path))
    assert document["checks"][0]["accepted"] == ("not yet" if accept and status == "not run" else "")  # fmt: skip
    assert must_look(document) is look


def test_nothing_asked_for_is_nothing_proven(tmp_path: Path) -> None:
    assert must_look(run([only(lambda _: None, applies=lambda _: False)], settings(tmp_path)))


def test_a_check_has_its_own_time(tmp_path: Path) -> None:
    def waits(_: Trial) -> None:
        try:
            time.sleep(30)
        except Exception:
            time.sleep(30)

    began = time.monotonic()
    document = run([only(waits, "matrix.slow", seconds=0.3), only(lambda _: None, "matrix.next")], settings(tmp_path))  # fmt: skip
    assert time.monotonic() - began < 30, "it was not waited for"
    assert [each["status"] for each in document["checks"]] == ["failed", "ok"]
    assert document["checks"][0]["detail"] == "not done within 0.3 s"


def test_the_alarm_of_somebody_else_goes_on(tmp_path: Path) -> None:
    """pytest-timeout and others use the same clock."""
    before = signal.getitimer(signal.ITIMER_REAL)
    try:
        signal.setitimer(signal.ITIMER_REAL, 100)
        run([only(lambda _: None)], settings(tmp_path))
        assert 80 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


def test_a_server_that_never_answers_is_left_in_time_without_the_main_thread(tmp_path: Path) -> None:  # fmt: skip
    import socket

    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}/"
        held: list[Any] = []
        check = only(lambda trial: trial.web.ask("GET", url) and None, seconds=1)
        thread = threading.Thread(target=lambda: held.append(run([check], settings(tmp_path))))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert held[0]["checks"][0]["detail"] == "no answer in time"


# ------------------------------------------------------------------------------------- cleaning up


def test_what_was_made_is_taken_away_in_reverse_also_when_it_breaks(tmp_path: Path) -> None:
    done: list[str] = []

    def makes(trial: Trial) -> None:
        trial.later("a room", lambda: done.append("room"), at_end=True)
        trial.later("one", lambda: done.append("one"))
        trial.later("two", lambda: done.append("two"))
        raise Failed("red")

    document = run([only(makes), only(lambda _: done.append("next"), "matrix.next")], settings(tmp_path))  # fmt: skip
    assert done == ["two", "one", "next", "room"]
    assert document["left"] == []


def test_what_stays_behind_is_told_and_the_rest_is_taken_away(tmp_path: Path) -> None:
    done: list[str] = []

    def cannot() -> None:
        raise Failed("423")

    def makes(trial: Trial) -> None:
        trial.later("a folder", lambda: done.append("folder"), at_end=True)
        trial.later("a room", cannot, at_end=True)
        trial.later("a share", cannot)

    document = run([only(makes)], settings(tmp_path))
    assert document["checks"][0]["detail"] == "left behind: a share: 423"
    assert document["checks"][0]["status"] == "failed"
    assert document["left"] == ["a room: 423"]
    assert done == ["folder"]
    assert must_look(document)


def test_ctrl_c_cleans_up_and_goes_on_out(tmp_path: Path) -> None:
    done: list[str] = []

    def stopped(trial: Trial) -> None:
        trial.later("a room", lambda: done.append("room"), at_end=True)
        trial.later("a share", lambda: done.append("share"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([only(stopped), only(lambda _: done.append("next"), "matrix.next")], settings(tmp_path))
    assert done == ["share", "room"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_signal_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    """The whole program, stopped while a check waits for a server that took its folder and never answers again."""
    import http.server

    seen: list[str] = []
    waiting = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            seen.append(f"{self.command} {self.path.rpartition('/')[2][:5]}")
            if self.command == "PUT":
                waiting.set()
                time.sleep(3)
            self.send_response({"PROPFIND": 207, "MKCOL": 201}.get(self.command, 204))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    path = smoke_toml(tmp_path, nextcloud={"url": f"http://{HOST}:{server.server_address[1]}", "user": "ada", "password": "long enough"})  # fmt: skip
    # a shell that runs this in the background has told its children to ignore Ctrl-C
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    line = [sys.executable, "-c", f"{heed}from toolkit.cli import main; main()", "suite", "smoke", "--config", str(path), "--only", "nextcloud.upload"]  # fmt: skip
    with serving(server):
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert waiting.wait(60)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "DELETE smoke" in seen


# ---------------------------------------------------------------------------------------- settings


def test_every_fault_of_the_settings_is_told_with_its_place(tmp_path: Path) -> None:
    path = smoke_toml(tmp_path, tls={"names": []}, matrix={"url": "ftp://x", "pasword": "x", "federation": "maybe"}, moodle={"url": "x"}, connect={"a": "b:c"}, ca_file="nowhere.pem")  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        load(path)
    for says in (
        "tls.names is empty", "matrix.url: \"ftp://x\" is no url", "matrix.pasword is unknown (did you mean matrix.password?)",
        "matrix.federation: \"maybe\" is no off|on|list", "moodle is unknown", "'b:c' is no address", "there is no 'nowhere.pem'",
    ):  # fmt: skip
        assert says in raised.value.message


def test_a_secret_of_the_wrong_kind_is_not_told(tmp_path: Path) -> None:
    path = smoke_toml(tmp_path, matrix={**MATRIX, "password": 12345678})
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert "12345678" not in raised.value.message
    assert "matrix.password: what is given is no secret" in raised.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_passwords_that_others_may_read_are_refused(tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    path = smoke_toml(tmp_path, matrix=MATRIX)
    path.chmod(mode)
    assert cli(["suite", "smoke", "--config", str(path)]) == 2
    assert "others may read it" in capsys.readouterr().err


@pytest.mark.parametrize("town", [20, 3000])
def test_what_write_config_writes_is_read_again(tmp_path: Path, town: int, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "suite.toml").write_text((ROOT / f"tests/estates/town-{town}/suite.toml").read_text())  # fmt: skip
    assert cli(["suite", "plan", "-C", str(tmp_path)]) in (0, 3)
    (tmp_path / ".gitignore").write_text("out")
    assert cli(["suite", "smoke", "-C", str(tmp_path), "--write-config"]) == 0
    path = tmp_path / "smoke.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".gitignore").read_text() == "out\nsmoke.toml\n"
    path.write_text(path.read_text().replace('password = ""', 'password = "something long"'))
    held = load(path)
    assert held.tables == set(TABLES)
    assert held.text("nextcloud.url").startswith("https://cloud.")
    assert cli(["suite", "smoke", "-C", str(tmp_path), "--write-config"]) == 1, "it never overwrites"  # fmt: skip
    assert "is there already" in capsys.readouterr().err


def test_an_application_that_is_off_gets_no_table() -> None:
    held = plan(load_answers(ROOT / "tests/estates/town-20/suite.toml"))
    held = {**held, "answers": {**held["answers"], "applications": {**held["answers"]["applications"], "jitsi": False}}}  # fmt: skip
    assert "[jitsi]" not in text(held)
    assert "[matrix]" in text(held)


# ----------------------------------------------------------------------------------------- command


def test_what_is_not_installed_is_not_run_and_exit_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """A server that nobody reaches: red, the rest not run, nothing of the password anywhere, JSON as its schema says."""
    port = free_port()
    path = smoke_toml(tmp_path, matrix={**MATRIX, "url": f"https://{HOST}:{port}"})
    assert cli(["suite", "smoke", "--config", str(path), "--only", "matrix", "--only", "nextcloud.*", "--json"]) == 3  # fmt: skip
    out, err = capsys.readouterr()
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    held = {each["id"]: each for each in document["checks"]}
    assert held["matrix.versions"]["status"] == "failed"
    assert "ConnectionRefusedError" in held["matrix.versions"]["detail"]
    assert {each["status"] for name, each in held.items() if name.startswith("nextcloud")} == {"not run"}  # fmt: skip
    assert MATRIX["password"] not in out + err
    assert document["summary"]["asked"] < document["summary"]["known"]


def test_a_check_that_nobody_knows_is_a_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    path = smoke_toml(tmp_path, matrix=MATRIX)
    assert cli(["suite", "smoke", "--config", str(path), "--only", "matrix.telepathy"]) == 2
    assert "matrix.telepathy" in capsys.readouterr().err
    assert cli(["suite", "smoke", "--config", str(tmp_path / "none.toml")]) == 2


def test_what_is_accepted_has_to_be_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    path = smoke_toml(tmp_path, matrix=MATRIX)
    path.write_text(path.read_text() + '[[accept]]\ncheck = "jitsi.medai"\nreason = "no bridge"\n')
    assert cli(["suite", "smoke", "--config", str(path)]) == 2
    assert "jitsi.medai: no check is named so" in capsys.readouterr().err


def test_the_table_has_a_line_for_each_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    path = smoke_toml(tmp_path, matrix={**MATRIX, "url": f"https://{HOST}:{free_port()}"})
    path.write_text(path.read_text() + '[[accept]]\ncheck = "jitsi.*"\nreason = "no conferences here"\n')  # fmt: skip
    assert cli(["suite", "smoke", "--config", str(path), "--only", "matrix.versions", "--only", "jitsi.bosh"]) == 3  # fmt: skip
    out, err = capsys.readouterr()
    rows = out.splitlines()
    assert re.fullmatch(r"failed   matrix\.versions +\d+ ms  ConnectionRefusedError: .*", rows[0])
    assert re.fullmatch(r"not run  jitsi\.bosh +not installed: .* \(accepted: no conferences here\)", rows[1])  # fmt: skip
    assert rows[-1].startswith("0 ok, 1 failed, 1 not run (1 of them accepted); 2 of ")
    assert "--only matrix.versions" in err


def test_needs_come_with_what_is_asked_for() -> None:
    held = [check.id for check in chosen(checks(), ["matrix.media"])]
    assert held == ["matrix.sign-in", "matrix.room", "matrix.media"]


def test_secrets_are_never_told(tmp_path: Path) -> None:
    """Neither those of the file nor those that a server gave in the meantime."""
    given = "sess-" + os.urandom(8).hex()

    def leaks(trial: Trial) -> None:
        trial.secret(given)
        trial.later(f"session {given}", lambda: (_ for _ in ()).throw(Failed(given)), at_end=True)
        raise Failed(f"{MATRIX['password']} and {given} were refused")

    document = run([only(leaks)], settings(tmp_path))
    assert document["checks"][0]["detail"] == "*** and *** were refused"
    assert given not in json.dumps(document)


# -------------------------------------------------------------------------------------------- laws


def test_ids_are_stable_words_and_needs_come_before() -> None:
    seen: set[str] = set()
    for check in checks():
        assert re.fullmatch(r"[a-z]+\.[a-z][a-z-]*[a-z]", check.id)
        assert check.id not in seen
        assert set(check.needs) <= seen, check.id
        assert set(check.wants) <= set(FIELDS)
        assert check.application in TABLES
        assert 0 < check.seconds <= 300
        seen.add(check.id)


def test_the_page_lists_every_check_and_every_setting() -> None:
    page = (ROOT / "docs/smoke.md").read_text()
    rows = re.findall(r"^\| `([a-z]+\.[a-z-]+)` \| ([^|]+) \|", page.partition("## Settings")[0], re.MULTILINE)  # fmt: skip
    assert rows == [(check.id, check.what) for check in checks()]
    told = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", page.partition("## Settings")[2], re.MULTILINE)  # fmt: skip
    assert told == list(FIELDS)


def test_a_name_leads_where_the_settings_say() -> None:
    web = Web({"a.test": "127.0.0.2", "b.test:443": "127.0.0.3:8443", "c.test": "::1"})
    assert web.place("a.test", 80) == ("127.0.0.2", 80)
    assert web.place("b.test", 443) == ("127.0.0.3", 8443)
    assert web.place("b.test", 80) == ("b.test", 80)
    assert web.place("c.test", 443) == ("::1", 443)
