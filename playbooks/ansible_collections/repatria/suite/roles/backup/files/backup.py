#!/usr/bin/env python3
"""The parts of one backup set that live on this host -> an encrypted restic repository, and back.

    backup.py run [--set ID | --nightly]    quiet, store, resume: what the timer starts
    backup.py quiet|store|resume --set ID   the same in steps, so that several hosts are quiet at the same time
    backup.py list                          sets, newest first, and which of them are whole
    backup.py check [--set ID] [--data N%]  the repository is sound, and holds what the manifests say
    backup.py restore --set ID --part NAME [--to FOLDER]
    backup.py hold --set ID | release       no backup begins between the two; release also ends what has died
    backup.py parts                         names of this host's parts
    backup.py prune                         give back the space of what was forgotten
    backup.py canary plant|check|remove     marks in files and databases; check reads what plant printed

An application's database is dumped on the application's host, by its own role, while it is quiet: files and rows of one part
are of one moment. Dumps go straight into the repository and never lie on a disk. Exit codes: 0 done, 1 refused or failed,
3 finished with a part that failed. The answer is JSON on stdout. Standard library, restic and PostgreSQL's clients.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CONFIG = Path(os.environ.get("SUITE_BACKUP_CONFIG", "/etc/suite/backup.json"))
STATE = Path("/var/lib/suite-backup")
LOCK = Path("/run/suite-backup.lock")
CACHE = Path("/var/cache/suite-backup")
HOOK_SECONDS = 900
ALARM = "suite-backup-wake"
CANARY = ".suite-canary"
WAIT = ["--retry-lock", "30m"]
"""For other hosts: to forget or to check takes the repository alone for a while."""
ABSENT = 10
"""Exit code of restic where there is no repository, and ours."""
PATIENCE = 120
"""Seconds until a repository has to answer."""
KEEP_COMPLETE = 2
"""Complete sets that stay however old they are."""
ROWS = """select format('%I.%I', schemaname, tablename), (xpath('/row/n/text()', query_to_xml(
format('select count(*) as n from %I.%I', schemaname, tablename), false, true, '')))[1]::text
from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1"""
EMPTY = """set role "{owner}";
set lock_timeout = '60s';
do $$ declare s text; begin
  for s in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
    execute format('drop schema %I cascade', s);
  end loop;
end $$;
create schema public;
"""


class Failure(Exception):  # noqa: N818 - as the field says it: a step that failed
    """What went wrong, and what a person can do."""

    def __init__(self, message: str, hint: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.hint, self.code = hint, code


def tell(*words: object) -> None:
    """Progress, for the journal."""
    print(*words, file=sys.stderr, flush=True)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def seconds_since(moment: str) -> int:
    return round((datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)).total_seconds())  # fmt: skip


class Host:
    """This host's configuration, and the programs that it is worked with."""

    def __init__(self) -> None:
        try:
            held = json.loads(CONFIG.read_text())
        except (OSError, ValueError) as error:
            raise Failure(f"{CONFIG}: {error}", "the role `backup` writes it") from error
        self.name: str = held["host"]
        self.hosts: list[str] = held["hosts"]
        self.days: int = held["days"]
        self.parts: list[dict[str, Any]] = held["parts"]
        self.metrics: str = held.get("metrics", "")
        self.env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
        }
        self.restic_env = {
            **self.env,
            **held.get("environment", {}),
            "RESTIC_REPOSITORY": held["repository"],
            "RESTIC_PASSWORD": held["password"],
            "RESTIC_CACHE_DIR": str(CACHE),
            "RESTIC_PROGRESS_FPS": "0.01",
        }
        if held["repository"].startswith("/"):
            place = held["repository"].rstrip("/") + "/"
            for path in (path for part in self.parts for path in paths_of(part)):
                if place.startswith(path.rstrip("/") + "/") or (path + "/").startswith(place):
                    raise Failure(f"the repository {place} and the data {path} lie in each other", "a backup needs a place of its own")  # fmt: skip

    def restic(self, *words: str, into: Path | None = None) -> str:
        """Run restic. Raises Failure with what it wrote."""
        with contextlib.ExitStack() as stack:
            out: IO[bytes] | int = stack.enter_context(into.open("wb")) if into else subprocess.PIPE
            patience = WAIT if words[0] in ("forget", "check", "prune", "backup") else []
            done = subprocess.run(["restic", *words[:1], *patience, *words[1:]], env=self.restic_env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, check=False)  # fmt: skip
        if done.returncode:
            raise _restic_failure(words[0], done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="replace") if done.stdout else ""

    def repository(self, make: bool) -> dict[str, bool]:
        """Whether there is a repository that this password opens; `make` one where there is none."""
        try:
            self._asked("cat", "config", "--no-lock")
        except Failure as error:
            if error.code != ABSENT or not make:
                raise
            self._asked("init")
            return {"made": True}
        return {"made": False}

    def _asked(self, *words: str) -> None:
        # restic tries again for a quarter of an hour, also where a key or a region is wrong
        try:
            done = subprocess.run(["restic", *words, "--quiet"], env=self.restic_env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)  # fmt: skip
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode(errors="replace").strip()[-800:]
            raise Failure(f"the repository of the backups does not answer within {PATIENCE} s: {said}", "look at its address, at the keys, and for S3 at the region that requests are signed for (AWS_DEFAULT_REGION)") from None  # fmt: skip
        if done.returncode:
            raise _restic_failure(words[0], done.returncode, done.stderr.decode(errors="replace"))

    def snapshots(self, *tags: str) -> list[dict[str, Any]]:
        """Snapshots that carry all tags, oldest first, with their tags as a mapping."""
        held = json.loads(self.restic("snapshots", "--json", "--no-lock", "--tag", ",".join(("suite", *tags)))) or []  # fmt: skip
        for each in held:
            each["is"] = dict(tag.partition("=")[::2] for tag in each["tags"])
        return sorted(held, key=lambda each: str(each["time"]))

    def manifests(self, set_id: str) -> dict[str, dict[str, Any]]:
        """Host -> its newest manifest of a set."""
        return {
            each["is"]["host"]: json.loads(
                self.restic("dump", "--no-lock", each["id"], "/manifest.json")
            )  # fmt: skip
            for each in self.snapshots(f"set={set_id}", "manifest")
        }


def _restic_failure(verb: str, code: int, text: str) -> Failure:
    hints = {
        10: "there is no repository: the role `backup` makes it",
        11: "another run holds the repository; wait, or `restic unlock` where it has died",
        12: "the password of the repository is another one",
    }
    return Failure(f"restic {verb} failed ({code}): {text.strip()[-800:]}", hints.get(code, ""), ABSENT if code == ABSENT else 1)  # fmt: skip


def paths_of(part: dict[str, Any]) -> list[str]:
    return [*part.get("paths", []), *part.get("optional", [])]


# --- commands of other programs


def hook(argv: list[str], env: dict[str, str]) -> str:
    """Run a command of the configuration; its output. Raises Failure."""
    try:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HOOK_SECONDS, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{argv[0]}: {error}") from error
    if done.returncode:
        raise Failure(f"{' '.join(argv)} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-500:]}")  # fmt: skip
    return done.stdout.strip()


def pour(source: list[str], source_env: dict[str, str], sink: list[str], sink_env: dict[str, str], first: bytes = b"") -> tuple[str, int, str]:  # fmt: skip
    """Output of one command -> input of another; digest and size of it, and what the second wrote.

    The second sees the end of its input only when the first has ended well: a half dump never becomes a snapshot, and a half
    script is never committed.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wrote, tempfile.TemporaryFile() as groaned:  # fmt: skip
        giver = subprocess.Popen(source, env=source_env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)  # fmt: skip
        taker = subprocess.Popen(sink, env=sink_env, stdin=subprocess.PIPE, stdout=wrote, stderr=groaned)  # fmt: skip
        if giver.stdout is None or taker.stdin is None:
            raise Failure("no pipe")
        digest, size, broken = hashlib.sha256(), 0, False
        try:
            taker.stdin.write(first)
            while piece := giver.stdout.read(1 << 20):
                digest.update(piece)
                size += len(piece)
                taker.stdin.write(piece)
            taker.stdin.flush()
        except BrokenPipeError:
            broken = True
            giver.kill()
        code = giver.wait()
        if code and not broken:
            taker.send_signal(signal.SIGINT)  # restic lets go of its lock
            try:
                taker.wait(30)
            except subprocess.TimeoutExpired:
                taker.kill()
        with contextlib.suppress(BrokenPipeError):
            taker.stdin.close()
        end = taker.wait()
        texts = []
        for file in (said, wrote, groaned):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        if code and not broken:
            raise Failure(f"{source[0]} failed ({code}): {texts[0].strip()[-500:]}")
        if end or broken:
            raise Failure(f"{sink[0]} failed ({end}): {texts[2].strip()[-500:]}")
        return digest.hexdigest(), size, texts[1]


class Database:
    """A database as a part names it: `host` empty is the socket, `user` empty the superuser there."""

    def __init__(self, held: dict[str, Any], env: dict[str, str]) -> None:
        self.name: str = held["name"]
        self.excluded: list[str] = held.get("exclude_table_data", [])
        self.env = {
            **env,
            "PGHOST": held.get("host") or "/var/run/postgresql",
            "PGPORT": str(held.get("port", 5432)),
            "PGUSER": held.get("user") or "postgres",
            "PGDATABASE": self.name,
            "PGCONNECT_TIMEOUT": "10",
        }
        if held.get("password"):
            self.env["PGPASSWORD"] = held["password"]

    def ask(self, query: str) -> list[list[str]]:
        """Rows of a query. Raises Failure."""
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-c", query], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise Failure(f"database {self.name}: {done.stderr.strip()[-500:]}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def rows(self) -> dict[str, int]:
        """Table -> number of rows."""
        return {table: int(number) for table, number in self.ask(ROWS)}

    @contextlib.contextmanager
    def moment(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Name of a snapshot that stays for the while, and the rows of each table in it."""
        session = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t"], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        if session.stdin is None or session.stdout is None or session.stderr is None:
            raise Failure("no pipe")
        try:
            session.stdin.write(f"begin isolation level repeatable read read only; select pg_export_snapshot();\n{ROWS};\nselect 'end';\n")  # fmt: skip
            session.stdin.flush()
            lines = []
            while (line := session.stdout.readline()) not in ("", "end\n"):
                lines.append(line.rstrip("\n"))
            if line == "" or not lines:
                raise Failure(f"database {self.name}: {session.stderr.read().strip()[-500:]}")
            held = dict(each.split("\t") for each in lines[1:])
            yield lines[0], {table: int(number) for table, number in held.items()}
        finally:
            with contextlib.suppress(BrokenPipeError):
                session.stdin.close()
            session.stdout.close()
            session.stderr.close()
            session.wait()


# --- the lock


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One of these programs at a time. Raises Failure."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failure(
                "another backup or restore runs on this host", "wait until it has ended"
            ) from error
        yield


def held() -> dict[str, Any] | None:
    """What holds this host beyond a single command; none where nothing does."""
    try:
        found: dict[str, Any] = json.loads((STATE / "hold.json").read_text())
    except FileNotFoundError:
        return None
    return found


def hold(what: str, set_id: str, process: bool) -> dict[str, Any]:
    """Hold this host. Raises Failure where something else does."""
    other = held()
    if other and (other["what"], other["set"]) != (what, set_id):
        raise Failure(f"a {other['what']} of set {other['set']} holds this host since {other['since']}", "when it is over: backup.py release")  # fmt: skip
    if other:
        return other
    state = {"what": what, "set": set_id, "since": now(), "boot": _boot(), "pid": os.getpid() if process else 0, "parts": {}}  # fmt: skip
    keep(state)
    return state


def keep(state: dict[str, Any]) -> None:
    write(STATE / "hold.json", json.dumps(state, indent=1))


def write(path: Path, text: str, mode: int = 0o600) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def dead(state: dict[str, Any]) -> bool:
    """Whether what held this host has gone without a word: a process that is no more, or a reboot."""
    if state["what"] != "backup":
        return False
    return state["boot"] != _boot() or bool(state["pid"] and not Path(f"/proc/{state['pid']}").exists())  # fmt: skip


def recover(host: Host) -> None:
    """End a backup that has died: its applications are still quiet."""
    state = held()
    if state and dead(state):
        tell(f"the backup {state['set']} has died: its applications are woken")
        resume(host, state["set"])


# --- backup


def quiet(host: Host, set_id: str, process: bool) -> None:
    """Hooks `before` of all parts. One that fails is noted: the part is not stored, the others are."""
    state = hold("backup", set_id, process)
    for part in host.parts:
        note: dict[str, Any] = {"quiet": now()}
        state["parts"][part["name"]] = note
        keep(state)  # before the hook: whoever dies in it is woken
        try:
            for argv in part.get("before", []):
                hook(argv, host.env)
            note["quiet"] = now()
        except Failure as error:
            note["error"] = f"before: {error}"
            tell(f"{part['name']}: {note['error']}")
        keep(state)


def store(host: Host, set_id: str) -> dict[str, Any]:
    """All parts into the repository, and a manifest of them; the manifest."""
    state = held()
    if not state or (state["what"], state["set"]) != ("backup", set_id):
        raise Failure(f"this host is not quiet for the set {set_id}", "backup.py quiet comes first")
    began = time.monotonic()
    host.restic("unlock")  # of processes of this host that are no more
    parts = []
    for part in host.parts:
        note = state["parts"].get(part["name"], {"error": "was not made quiet"})
        entry: dict[str, Any] = {"name": part["name"], "quiet": note.get("quiet", ""), "ok": False, "databases": [], "files": None}  # fmt: skip
        parts.append(entry)
        if "error" in note:
            entry["error"] = note["error"]
            continue
        start = time.monotonic()
        try:
            store_part(host, set_id, part, entry)
            entry["ok"] = True
        except Failure as error:
            entry["error"] = str(error)
            tell(f"{part['name']}: {error}")
        entry["seconds"] = round(time.monotonic() - start, 1)
    manifest = {
        "schema": 1,
        "set": set_id,
        "host": host.name,
        "hosts": host.hosts,
        "quiet": max((each["quiet"] for each in parts), default=now()),
        "stored": now(),
        "ok": all(each["ok"] for each in parts),
        "restic": json.loads(host.restic("version", "--json"))["version"],
        "seconds": round(time.monotonic() - began, 1),
        "parts": parts,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        path = Path(folder, "manifest.json")
        path.write_text(text)
        tags = [*_tags(host, set_id), "--tag", "manifest", "--tag", "ok" if manifest["ok"] else "failed"]  # fmt: skip
        pour(["cat", str(path)], host.env, ["restic", "backup", *WAIT, "--json", *tags, "--stdin", "--stdin-filename", "/manifest.json"], host.restic_env)  # fmt: skip
    results = STATE / "results"
    results.mkdir(mode=0o700, exist_ok=True)
    write(results / f"{set_id}.json", text)
    return manifest


def _tags(host: Host, set_id: str) -> list[str]:
    return ["--host", host.name, "--tag", "suite", "--tag", f"set={set_id}", "--tag", f"host={host.name}"]  # fmt: skip


def store_part(host: Host, set_id: str, part: dict[str, Any], entry: dict[str, Any]) -> None:
    """One part: its databases, then its files."""
    tags = [*_tags(host, set_id), "--tag", f"part={part['name']}"]
    if part.get("version"):
        entry["version"] = hook(part["version"], host.env)[:300]
    for declared in part.get("databases", []):
        database = Database(declared, host.env)
        with database.moment() as (moment, rows):
            name = f"/{part['name']}.{database.name}.dump"
            dump = ["pg_dump", "--format=custom", "--compress=none", f"--snapshot={moment}"]
            dump += [f"--exclude-table-data={table}" for table in database.excluded]
            sink = ["restic", "backup", *WAIT, "--json", *tags, "--tag", f"database={database.name}", "--stdin", "--stdin-filename", name]  # fmt: skip
            sha256, size, said = pour(dump, database.env, sink, host.restic_env)
        entry["databases"].append({
            "name": database.name, "path": name, "snapshot": _summary(said)["snapshot_id"], "sha256": sha256, "bytes": size,
            "rows": rows, "excluded": database.excluded, "server": database.ask("show server_version")[0][0],
        })  # fmt: skip
    wanted = part.get("paths", [])
    if missing := [path for path in wanted if not os.path.lexists(path)]:
        raise Failure(f"not there: {', '.join(missing)}", "a path that may be missing belongs into `optional`")  # fmt: skip
    there = [*wanted, *(path for path in part.get("optional", []) if os.path.lexists(path))]
    if there:
        excluded = [f"--exclude={each}" for each in part.get("exclude", [])]
        summary = _summary(host.restic("backup", "--json", *tags, "--tag", "files", *excluded, "--", *there))  # fmt: skip
        snapshot = json.loads(host.restic("snapshots", "--json", "--no-lock", summary["snapshot_id"]))[0]  # fmt: skip
        entry["files"] = {
            "snapshot": snapshot["id"], "tree": snapshot["tree"], "bytes": summary["total_bytes_processed"],
            "number": summary["total_files_processed"], "paths": {path: "folder" if Path(path).is_dir() else "file" for path in there},
            "exclude": part.get("exclude", []),
        }  # fmt: skip


def _summary(said: str) -> dict[str, Any]:
    for line in reversed(said.splitlines()):
        held = json.loads(line)
        if held.get("message_type") == "summary":
            return dict(held)
    raise Failure("restic made no snapshot")


def resume(host: Host, set_id: str) -> list[str]:
    """Hooks `after` of every part that was made quiet or tried to; what failed of them."""
    state = held()
    faults = []
    if state and state["what"] == "backup" and state["set"] != set_id:
        raise Failure(f"the backup that holds this host is {state['set']}, not {set_id}")
    if not state or state["what"] != "backup":
        return []
    for part in host.parts:
        if part["name"] in state["parts"]:
            for argv in part.get("after", []):
                try:
                    hook(argv, host.env)
                except Failure as error:
                    faults.append(f"{part['name']}: after: {error}")
                    tell(faults[-1])
    (STATE / "hold.json").unlink()
    with contextlib.suppress(Failure):
        hook(["systemctl", "stop", f"{ALARM}.timer"], host.env)
    return faults


def alarm(host: Host, set_id: str) -> None:
    """Who made this host quiet from afar may never come back: then it wakes itself, as soon as nothing is being stored."""
    when = ["--on-active=1h", "--on-unit-inactive=10min"]
    hook(["systemd-run", "--quiet", "--collect", f"--unit={ALARM}", *when, "--", sys.argv[0], "resume", "--set", set_id], host.env)  # fmt: skip


def run(host: Host, set_id: str) -> dict[str, Any]:
    """A whole backup of this host; its manifest. Whatever fails, the applications wake up."""
    manifest: dict[str, Any] = {"set": set_id, "host": host.name, "ok": False, "seconds": 0.0, "parts": []}  # fmt: skip
    try:
        quiet(host, set_id, True)
        manifest = store(host, set_id)
    except Failure as error:
        manifest["error"] = str(error)
        raise
    finally:
        if (state := held()) and state["what"] == "backup" and state["set"] == set_id:
            manifest["faults"] = resume(host, set_id)
        measure(host, manifest)
    if manifest["ok"]:
        manifest["forgotten"] = tidy(host, manifest["faults"])
    return manifest


def measure(host: Host, manifest: dict[str, Any]) -> None:
    """For Prometheus; the time of the last good set stays where this one is none."""
    last = STATE / "last-good"
    good = manifest["ok"] and not manifest.get("faults")
    if good:
        write(last, str(int(time.time())))
    if not host.metrics or not Path(host.metrics).parent.is_dir():
        return
    stamp = last.read_text() if last.exists() else "0"
    lines = [
        "# HELP suite_backup_last_good_timestamp_seconds When this host's parts were last all stored.",
        "# TYPE suite_backup_last_good_timestamp_seconds gauge",
        f"suite_backup_last_good_timestamp_seconds {stamp}",
        "# HELP suite_backup_last_run_good Whether the last run stored all parts and woke all applications.",
        "# TYPE suite_backup_last_run_good gauge",
        f"suite_backup_last_run_good {int(good)}",
        "# HELP suite_backup_last_run_seconds How long storing took.",
        "# TYPE suite_backup_last_run_seconds gauge",
        f"suite_backup_last_run_seconds {manifest['seconds']}",
    ]
    write(Path(host.metrics), "\n".join(lines) + "\n", 0o644)


# --- sets


def sets(host: Host) -> list[dict[str, Any]]:
    """Sets, newest first: which hosts have a manifest in, and whether that is all of them."""
    found: dict[str, dict[str, Any]] = {}
    for each in host.snapshots("manifest"):
        entry = found.setdefault(each["is"]["set"], {"set": each["is"]["set"], "hosts": {}})
        entry["hosts"][each["is"]["host"]] = "ok" if "ok" in each["is"] else "failed"
        entry["stored"] = each["time"]
    for entry in found.values():
        entry["complete"] = all(entry["hosts"].get(name) == "ok" for name in host.hosts)
    return sorted(found.values(), key=lambda entry: str(entry["stored"]), reverse=True)


def forget(host: Host) -> list[str]:
    """Drop this host's snapshots of sets that are too old; the newest complete sets stay. Ids of the sets."""
    held_sets = sets(host)
    safe = {each["set"] for each in held_sets if each["complete"]}
    safe = {
        each["set"] for each in [one for one in held_sets if one["set"] in safe][:KEEP_COMPLETE]
    }
    old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=host.days)
    gone = [
        each
        for each in host.snapshots(f"host={host.name}")
        if each["is"].get("set") not in safe and datetime.datetime.fromisoformat(each["time"]) < old
    ]
    if gone:
        host.restic("forget", *(each["id"] for each in gone))
    return sorted({each["is"]["set"] for each in gone})


def tidy(host: Host, faults: list[str]) -> list[str]:
    """`forget`, whose failure does not make a good set bad."""
    try:
        return forget(host)
    except Failure as error:
        faults.append(f"old sets are still there: {error}")
        return []


def newest(host: Host) -> str:
    """The newest complete set. Raises Failure."""
    for each in sets(host):
        if each["complete"]:
            return str(each["set"])
    raise Failure("there is no complete set", "backup.py list shows which hosts are missing")


def check(host: Host, set_id: str, data: str) -> dict[str, Any]:
    """The repository is sound and holds what the manifests of a set say. Raises Failure."""
    host.restic("check", *([f"--read-data-subset={data}"] if data else []))
    manifests = host.manifests(set_id)
    if missing := [name for name in host.hosts if not manifests.get(name, {}).get("ok")]:
        raise Failure(f"set {set_id} is not complete: {', '.join(missing)}")
    known = {each["id"]: each for each in host.snapshots(f"set={set_id}")}
    checked = 0
    for manifest in manifests.values():
        for part in manifest["parts"]:
            files = part["files"]
            if files and known.get(files["snapshot"], {}).get("tree") != files["tree"]:
                raise Failure(f"{part['name']}: the files in the repository are not those of the manifest")  # fmt: skip
            for database in part["databases"]:
                with tempfile.TemporaryDirectory(dir=STATE) as folder:
                    fetch(host, database, Path(folder, "dump"))
                checked += database["bytes"]
    return {"set": set_id, "hosts": sorted(manifests), "dumped_bytes": checked, "ok": True}


def fetch(host: Host, database: dict[str, Any], path: Path) -> None:
    """A dump out of the repository, compared with its manifest. Raises Failure."""
    host.restic("dump", "--no-lock", database["snapshot"], database["path"], into=path)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != database["sha256"]:
            raise Failure(f"the dump of {database['name']} is not the one of the manifest")


# --- restore


def restore(host: Host, set_id: str, name: str, to: str) -> dict[str, Any]:
    """A part as of a set, in its place or into a folder; what was restored and how long it took. Raises Failure."""
    began = time.monotonic()
    found = [(manifest, part) for manifest in host.manifests(set_id).values() for part in manifest["parts"] if part["name"] == name]  # fmt: skip
    if not found:
        raise Failure(f"set {set_id} has no part {name}", "backup.py list")
    manifest, entry = found[-1]
    if not entry["ok"]:
        raise Failure(f"part {name} of set {set_id} failed when it was made: {entry['error']}")
    result = {"set": set_id, "part": name, "from": manifest["host"], "host": host.name, "lost_seconds": seconds_since(entry["quiet"]), "rows": {}}  # fmt: skip
    stage = Path(to) if to else STATE / "stage"
    stage.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        for database in entry["databases"]:  # all of them are whole before anything is touched
            fetch(host, database, stage / f"{database['name']}.dump")
        if to:
            if entry["files"]:
                host.restic("restore", "--no-lock", "--verify", "--target", str(stage / "files"), entry["files"]["snapshot"])  # fmt: skip
        else:
            in_place(host, name, entry, stage, result)
    finally:
        if not to:
            shutil.rmtree(stage, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def in_place(
    host: Host, name: str, entry: dict[str, Any], stage: Path, result: dict[str, Any]
) -> None:
    """Stop, rows, files, hooks, start. Where something fails the services stay stopped: nobody works on half of the data."""
    part = next((each for each in host.parts if each["name"] == name), None)
    if part is None:
        raise Failure(f"this host has no part {name}", "restore it with --to FOLDER, or on the host that has it")  # fmt: skip
    declared = {each["name"]: each for each in part.get("databases", [])}
    if missing := [each["name"] for each in entry["databases"] if each["name"] not in declared]:
        raise Failure(f"the configuration of part {name} has no database {', '.join(missing)}")
    services = [unit for unit in part.get("services", []) if hook(["systemctl", "show", "-P", "LoadState", unit], host.env) != "not-found"]  # fmt: skip
    for unit in services:
        hook(["systemctl", "stop", unit], host.env)
    for each in entry["databases"]:
        database = Database(declared[each["name"]], host.env)
        load(database, stage / f"{each['name']}.dump")
        excluded = {table.rpartition(".")[2] for table in each["excluded"]}
        wanted = {table: 0 if table.rpartition(".")[2] in excluded else number for table, number in each["rows"].items()}  # fmt: skip
        rows = database.rows()
        if rows != wanted:
            differ = sorted(
                table for table in {*rows, *wanted} if rows.get(table) != wanted.get(table)
            )
            raise Failure(f"{each['name']}: rows differ from the manifest in {', '.join(differ[:5])}")  # fmt: skip
        result["rows"][each["name"]] = sum(rows.values())
    if entry["files"]:
        snapshot = entry["files"]["snapshot"]
        for path, kind in entry["files"]["paths"].items():
            if kind == "folder":
                # What is not in the set goes: a file that was deleted stays deleted. What was left out of the set stays.
                left_out = [f"--exclude={each.removeprefix(path)}" for each in entry["files"]["exclude"]]  # fmt: skip
                host.restic("restore", "--no-lock", "--verify", "--delete", *left_out, "--target", path, f"{snapshot}:{path}")  # fmt: skip
            else:
                host.restic("restore", "--no-lock", "--verify", "--target", "/", "--include", path, snapshot)  # fmt: skip
        result["files"], result["bytes"] = entry["files"]["number"], entry["files"]["bytes"]
    for argv in [*part.get("restored", []), *part.get("after", [])]:
        hook(argv, host.env)
    for unit in reversed(services):
        hook(["systemctl", "start", unit], host.env)


def load(database: Database, dump: Path) -> None:
    """A dump in place of what the database holds, in one transaction. Raises Failure; then all is as it was."""
    owner = database.ask("select pg_get_userbyid(datdba) from pg_database where datname = current_database()")[0][0]  # fmt: skip
    source = ["pg_restore", "--no-owner", "--no-privileges", "--file=-", str(dump)]
    sink = ["psql", "-Xq", "--single-transaction", "-v", "ON_ERROR_STOP=1"]
    pour(source, database.env, sink, {**database.env, "PGOPTIONS": "-c client_min_messages=warning"}, EMPTY.format(owner=owner.replace('"', '""')).encode())  # fmt: skip


# --- canaries


def canary(host: Host, verb: str) -> dict[str, Any]:
    """Plant marks in every part, tell whether they are the ones that stdin names, or take them away."""
    wanted: dict[str, Any] = json.load(sys.stdin) if verb == "check" else {}
    found: dict[str, Any] = {}
    for part in host.parts:
        for declared in part.get("databases", []):
            database, key = Database(declared, host.env), f"{part['name']}:{declared['name']}"
            if verb == "plant":
                word = secrets.token_hex(16)
                database.ask(f"drop schema if exists suite_canary cascade; create schema suite_canary; create table suite_canary.mark as select '{word}'::text as word")  # fmt: skip
            if verb == "remove":
                database.ask("drop schema if exists suite_canary cascade")
            else:
                with contextlib.suppress(Failure):
                    found[key] = database.ask("select word from suite_canary.mark")[0][0]
        for path in (path for path in paths_of(part) if Path(path).is_dir()):
            mark = Path(path, CANARY)
            if verb == "plant":
                mark.write_bytes(secrets.token_bytes(1 << 16))
            if verb == "remove":
                mark.unlink(missing_ok=True)
            elif mark.exists():
                found[f"{part['name']}:{path}"] = hashlib.sha256(mark.read_bytes()).hexdigest()
    if verb == "check":
        if differ := sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key)):
            raise Failure(f"not as planted: {', '.join(differ)}")
        if not wanted:
            raise Failure("nothing was planted")
    return found


# --- command line


def main(words: list[str]) -> int:
    """One of the commands above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("quiet", "store", "resume", "hold"):
        verbs.add_parser(verb).add_argument("--set", required=True)
    for verb in ("release", "list", "parts", "prune"):
        verbs.add_parser(verb)
    one = verbs.add_parser("run").add_mutually_exclusive_group()
    one.add_argument("--set")
    one.add_argument(
        "--nightly", action="store_true", help="the set of this day, the same on all hosts"
    )
    two = verbs.add_parser("check")
    two.add_argument("--set", default="")
    two.add_argument(
        "--data", default="", metavar="N%", help="share of the data that is read again"
    )
    three = verbs.add_parser("restore")
    three.add_argument("--set", required=True, help="id, or `newest`")
    three.add_argument("--part", required=True)
    three.add_argument("--to", default="", help="a folder: nothing in its place is touched")
    verbs.add_parser("repository").add_argument("--make", action="store_true")
    verbs.add_parser("canary").add_argument("act", choices=["plant", "check", "remove"])
    args = parser.parse_args(words)
    try:
        host = Host()
        answer, code = act(host, args)
    except Failure as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.code
    print(json.dumps(answer, indent=1, sort_keys=True))
    return code


def act(host: Host, args: argparse.Namespace) -> tuple[Any, int]:
    """A command -> its answer and the exit code."""
    match args.verb:
        case "repository":
            return host.repository(args.make), 0
        case "list":
            return sets(host), 0
        case "parts":
            return [part["name"] for part in host.parts], 0
        case "prune":
            host.restic("prune")
            return {"ok": True}, 0
        case "canary":
            return canary(host, args.act), 0
        case "check":
            return check(host, args.set or newest(host), args.data), 0
    with locked():
        match args.verb:
            case "run":
                recover(host)
                if other := held():
                    raise Failure(f"a {other['what']} of set {other['set']} holds this host since {other['since']}", "when it is over: backup.py release")  # fmt: skip
                clock = datetime.datetime.now(datetime.UTC)
                set_id = args.set or clock.strftime("%Y%m%d-nightly" if args.nightly else "%Y%m%dT%H%M%SZ")  # fmt: skip
                manifest = run(host, set_id)
                return manifest, 0 if manifest["ok"] and not manifest["faults"] else 3
            case "quiet":
                recover(host)
                alarm(host, args.set)
                quiet(host, args.set, False)
                return held(), 0
            case "store":
                manifest = store(host, args.set)
                return manifest, 0 if manifest["ok"] else 3
            case "resume":
                faults = resume(host, args.set)
                path = STATE / "results" / f"{args.set}.json"
                manifest = json.loads(path.read_text()) if path.exists() else {"ok": False, "seconds": 0.0}  # fmt: skip
                measure(host, {**manifest, "faults": faults})
                gone = tidy(host, faults) if manifest["ok"] else []
                return {"faults": faults, "forgotten": gone}, 3 if faults else 0
            case "hold":
                recover(host)
                return hold("restore", args.set, False), 0
            case "release":
                state = held()
                if state and state["what"] == "backup":
                    return {"faults": resume(host, state["set"])}, 0
                (STATE / "hold.json").unlink(missing_ok=True)
                return {"released": state}, 0
            case _:  # restore
                set_id = newest(host) if args.set == "newest" else args.set
                if args.to:
                    return restore(host, set_id, args.part, args.to), 0
                before = held()
                hold("restore", set_id, True)
                try:
                    result = restore(host, set_id, args.part, "")
                except Failure as error:
                    error.hint = error.hint or "no backup begins here until: backup.py release"
                    raise
                if before is None:  # who held it for several parts lets go of it
                    (STATE / "hold.json").unlink()
                return result, 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
