"""The lab without its services: settings, secrets, files, profiles, namespaces. What runs in it is in test_lab_services."""

from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.support import lab as support
from toolkit.cli import run
from toolkit.lab import configuration, lifecycle, namespace, packages, profile, quota
from toolkit.lab.folder import SERVICES, Lab, LabError, Settings, find, find_or_new

RELEASE = 'ID=debian\nVERSION_ID="{}"\nPRETTY_NAME="Debian {}"\n'


def made(tmp_path: Path, **settings: object) -> Lab:
    lab = Lab(tmp_path / "lab", replace(Settings(ports=22000), **settings))  # type: ignore[arg-type]
    lab.make()
    return lab


# ------------------------------------------------------------------ the folder


def test_settings_are_kept_and_changed_one_by_one(tmp_path: Path) -> None:
    lab = made(tmp_path, like="ovhcloud", region="GRA11")
    assert find(lab.folder) == lab
    again = find_or_new(lab.folder, like=None, region=None, project="other")
    assert again.settings == replace(lab.settings, project="other")


def test_passwords_are_made_for_each_lab_and_only_its_owner_reads_them(tmp_path: Path) -> None:
    one, two = made(tmp_path / "1"), made(tmp_path / "2")
    assert not set(one.secrets.values()) & set(two.secrets.values())
    assert min(map(len, one.secrets.values())) >= 20
    password = one.password("demo")
    assert find(one.folder).password("demo") == password
    assert stat.S_IMODE((one.folder / "secrets.json").stat().st_mode) == 0o600


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text("clouds: {}")
    with pytest.raises(LabError, match="something else"):
        Lab(tmp_path).make()
    assert [path.name for path in tmp_path.iterdir()] == ["clouds.yaml"]
    with pytest.raises(LabError, match="holds no lab"):
        Lab(tmp_path).purge()
    assert (tmp_path / "clouds.yaml").exists()


def test_a_path_that_sockets_cannot_bear_is_told_before_anything_is_made(tmp_path: Path) -> None:
    far = tmp_path / ("x" * 90)
    with pytest.raises(LabError, match="longer than"):
        Lab(far).make()
    assert not far.exists()


def test_only_one_command_changes_a_lab_at_a_time(tmp_path: Path) -> None:
    lab = made(tmp_path)
    with lab.alone(), pytest.raises(LabError, match="another command"), lab.alone():
        pytest.fail("two at once")
    with lab.alone():
        pass


# ------------------------------------------------------------------ files of the services


@pytest.mark.parametrize(
    "services", [SERVICES, (), ("octavia", "barbican")], ids=["all", "core", "some"]
)
def test_every_configuration_is_whole(tmp_path: Path, services: tuple[str, ...]) -> None:
    lab = made(tmp_path, services=services)
    configuration.write_all(lab)
    files = [
        path
        for path in (lab.folder / "etc").rglob("*.conf")
        if path.parent.name not in ("bind", "etc")
    ]
    files += [configuration.file(lab, "barbican")] if lab.has("barbican") else []
    assert len(files) >= 8
    for path in files:
        parsed = configparser.RawConfigParser(strict=True, allow_no_value=True)
        parsed.read_string(path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert "{{" not in path.read_text()
    names = {path.parent.name for path in files}
    assert ("octavia" in names) == ("octavia" in services)
    assert ("swift" in names) == ("swift" in services)
    before = {path: path.stat().st_mtime_ns for path in files}
    configuration.write_all(lab)
    assert {path: path.stat().st_mtime_ns for path in files} == before, (
        "what is the same is not written"
    )


def test_no_compute_reads_the_database(tmp_path: Path) -> None:
    lab = made(tmp_path)
    configuration.write_all(lab)
    assert "mysql" in (lab.folder / "etc/nova/nova.conf").read_text()
    assert "mysql" not in (lab.folder / "etc/nova/compute.conf").read_text()


def test_the_zone_file_is_in_the_syntax_of_designate(tmp_path: Path) -> None:
    lab = made(tmp_path)
    configuration.write_all(lab)
    pools = yaml.safe_load((lab.folder / "etc/designate/pools.yaml").read_text())
    assert pools[0]["nameservers"] == [{"host": "127.0.0.1", "port": 23053}]


# ------------------------------------------------------------------ the machine


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RELEASE.format(11, 11), "Debian 11"),
        ("ID=fedora\nVERSION_ID=41\nPRETTY_NAME=Fedora\n", "Fedora"),
    ],
)
def test_another_system_is_refused_politely(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "release").write_text(text)
    with pytest.raises(LabError, match=says) as told:
        packages.check_machine(tmp_path / "release")
    assert "Nothing was changed" in told.value.hint


def test_without_root_it_is_refused_before_anything_is_made() -> None:
    """In a process that has given its rights up."""
    support.root()
    program = (
        "import os, sys, toolkit.lab.lifecycle, toolkit.lab.show; from toolkit.cli import run; "
        "os.seteuid(65534); sys.exit(run(sys.argv[1:]))"
    )
    where = Path("/no-such-folder/lab")
    done = subprocess.run([sys.executable, "-c", program, "lab", "up", "--lab", where], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "needs root" in done.stderr
    assert "hint: " in done.stderr
    assert not where.exists()


def test_what_is_installed_is_not_missing() -> None:
    if not Path("/usr/bin/dpkg-query").exists():
        pytest.skip("no Debian")
    assert packages.missing(["dpkg", "no-such-package-of-debian"]) == ["no-such-package-of-debian"]
    assert "bind9" in packages.needed(("designate",), boxes=False)
    assert "bind9" not in packages.needed((), boxes=False)
    assert "mmdebstrap" in packages.needed((), boxes=True)


# ------------------------------------------------------------------ profiles


@pytest.mark.parametrize("like", ["ovhcloud", "infomaniak", "openstack"])
def test_a_profile_has_all_that_a_lab_needs(like: str) -> None:
    found = profile.load(like, "", "")
    assert found.region.kind == "compute"
    assert found.volume_types
    assert found.cloud.images
    assert found.cloud.external_network
    assert found.signing_region


def test_profiles_of_three_zones_have_three_hosts() -> None:
    assert profile.hosts(profile.load("infomaniak", "", "dc3-a")) == {
        "lab": "dc3-a-04",
        "lab-2": "dc3-a-09",
        "lab-3": "dc3-a-10",
    }
    assert list(profile.hosts(profile.load("ovhcloud", "", "GRA11"))) == ["lab"]


def test_encrypted_classes_of_volumes_and_lacking_services_follow_the_catalogue() -> None:
    ovh = profile.load("ovhcloud", "", "GRA11")
    assert {"classic", "classic-luks"} <= set(ovh.volume_types)
    assert ovh.lacks("designate")
    assert not ovh.lacks("octavia")
    assert ovh.share_types == ("standard-1az",)
    assert not profile.load("infomaniak", "", "").share_types
    assert profile.load("infomaniak", "", "").lacks("manila")
    assert ovh.signing_region == "gra"


def test_cloud_temple_and_unknown_clouds_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for like, says in (("cloudtemple", "no OpenStack"), ("ovh", "ovhcloud")):
        assert run(["lab", "up", "--lab", str(tmp_path / "lab"), "--like", like]) == 1
        assert says in capsys.readouterr().err
    assert (
        run(
            ["lab", "up", "--lab", str(tmp_path / "lab"), "--like", "ovhcloud", "--region", "GRA99"]
        )
        == 1
    )
    assert "GRA11" in capsys.readouterr().err
    assert not (tmp_path / "lab").exists()


def test_each_quota_of_the_plan_can_be_set() -> None:
    from toolkit.plan.quotas import KINDS

    assert set(quota.KINDS) == set(KINDS)


# ------------------------------------------------------------------ commands


@pytest.mark.parametrize(
    "words",
    [["up", "--without", "nova"], ["up", "--external", "10.0.0.0/30"], ["up", "--external", "x"], ["quota", "ram_gb=much"],
     ["quota", "ports"], ["quota", "ports=-2"], ["connect", "10.0.0.1", "0"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_words_are_usage(words: list[str], tmp_path: Path) -> None:
    assert run(["lab", words[0], "--lab", str(tmp_path), *words[1:]]) == 2


@pytest.mark.parametrize(
    "words",
    [["down"], ["purge"], ["status"], ["run", "true"], ["quota"], ["project", "x"]],
    ids=lambda w: w[0],
)
def test_where_there_is_no_lab_the_way_to_one_is_told(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lab", words[0], "--lab", str(tmp_path), *words[1:]]) == 1
    assert "repatria lab up" in capsys.readouterr().err


def test_a_lab_that_is_down_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = made(tmp_path)
    assert run(["lab", "status", "--lab", str(lab.folder), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["up"], document["schema"]) == (False, 1)
    assert run(["lab", "run", "--lab", str(lab.folder), "true"]) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ports": 21000}, "other ports"),
        ({"external": "203.0.113.0/24"}, "another external network"),
        ({"services": ("swift",)}, "other services"),
        ({"project": "b"}, "another first project"),
        ({"like": "ovhcloud"}, "is down"),
        ({"project": "admin"}, "the lab's own"),
        ({"project": "a b"}, "no name for a project"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else each,
)
def test_a_lab_is_not_made_into_another(
    tmp_path: Path, changed: dict[str, object], says: str
) -> None:
    support.root()
    before = made(tmp_path)
    before.done("mysql")
    before.done("up")
    after = Lab(before.folder, replace(before.settings, **changed))  # type: ignore[arg-type]
    with pytest.raises(LabError, match=says):
        lifecycle.up(after, print, before=before)
    assert find(before.folder) == before, "its settings are as they were"
    assert namespace.supervisor(before) is None


# ------------------------------------------------------------------ namespaces: real ones


@pytest.fixture
def empty(tmp_path: Path) -> Lab:
    """A lab's namespaces with nothing in them."""
    support.root()
    lab = made(tmp_path, services=())
    yield lab  # type: ignore[misc]
    namespace.down(lab)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _processes(lab: Lab) -> list[str]:
    """Command lines that name the lab's folder, anywhere on the machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(lab.folder) in words:
            found.append(words)
    return found


SERVER = "import http.server as h; h.HTTPServer(('127.0.0.1', {}), h.SimpleHTTPRequestHandler).serve_forever()"


def test_what_listens_inside_answers_outside_and_nothing_is_left(empty: Lab) -> None:
    assert namespace.up(empty)
    assert not namespace.up(empty), "a second time it is found"
    port = empty.port("keystone")
    namespace.start(empty, "web", "python3", "-c", SERVER.format(port))

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as link:
                link.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
                return link.recv(16).startswith(b"HTTP/1.0 200")
        except ConnectionError:  # the forwarder is there before the server
            return False

    support.until(answers, 20, "the server inside answers")
    assert namespace.ask(empty, "list")["web"]["up"]
    namespace.down(empty)
    assert namespace.supervisor(empty) is None
    assert _free(port)
    assert not _processes(empty)


def test_routers_of_others_are_not_seen_and_ours_are_not_shown(empty: Lab) -> None:
    """An agent of Neutron deletes the routers that it does not know."""
    there = set(
        subprocess.run(
            ["ip", "netns", "list"], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    namespace.up(empty)
    assert namespace.inside(empty, "ip", "netns", "list") == ""
    namespace.inside(empty, "ip", "netns", "add", "qrouter-test-of-ours")
    assert "qrouter-test-of-ours" in namespace.inside(empty, "ip", "netns", "list")
    assert not Path("/run/netns/qrouter-test-of-ours").exists()
    namespace.inside(empty, "ip", "link", "add", "br-of-ours", "type", "bridge")
    assert not Path("/sys/class/net/br-of-ours").exists()
    namespace.down(empty)
    after = set(
        subprocess.run(
            ["ip", "netns", "list"], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert "qrouter-test-of-ours" not in after
    assert there - after <= {word for word in there if word.startswith(("q", "("))}, (
        "others may come and go; ours never"
    )


def test_kill_9_of_the_supervisor_takes_everything_with_it(empty: Lab) -> None:
    namespace.up(empty)
    namespace.start(empty, "sleeper", "sh", "-c", f"sleep 1000 # {empty.folder}")
    assert len(_processes(empty)) >= 2
    os.kill(namespace.supervisor(empty) or 0, signal.SIGKILL)
    support.until(lambda: not _processes(empty), 10, "no process is left")
    assert namespace.supervisor(empty) is None
    # a process that ends has no command line any more before its sockets are closed
    support.until(lambda: all(map(_free, empty.exposed().values())), 10, "no port is taken")
    assert namespace.up(empty), "and it comes up again"


def test_a_daemon_that_ends_is_known_with_its_status_and_started_anew(empty: Lab) -> None:
    namespace.up(empty)
    namespace.start(empty, "once", "sh", "-c", "echo last words; exit 7")
    support.until(lambda: not namespace.ask(empty, "list")["once"]["up"], 10, "it ended")
    assert namespace.ask(empty, "list")["once"]["status"] == 7
    assert "last words" in namespace.tail(empty, "once")
    namespace.start(empty, "once", "sleep", "1000")
    pid = namespace.ask(empty, "list")["once"]["pid"]
    namespace.start(empty, "once", "sleep", "1000")
    assert namespace.ask(empty, "list")["once"]["pid"] == pid, "one that runs is left alone"
    began = time.monotonic()
    namespace.stop(empty, "once", 120)
    assert time.monotonic() - began < 60, "it did not wait for one that has ended"
    assert "once" not in namespace.ask(empty, "list")


def test_one_that_does_not_heed_is_ended_by_force(empty: Lab) -> None:
    namespace.up(empty)
    namespace.start(
        empty, "deaf", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    )
    support.until(lambda: "ready" in namespace.tail(empty, "deaf"), 10, "it is deaf")
    namespace.stop(empty, "deaf", 0.3)
    assert "deaf" not in namespace.ask(empty, "list")


def test_a_port_that_is_taken_is_told_by_name(empty: Lab) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", empty.port("glance")))
        with pytest.raises(LabError, match=f"{empty.port('glance')} .*glance"):
            namespace.up(empty)
    assert namespace.supervisor(empty) is None
    assert namespace.up(empty)


def test_daemons_get_nothing_of_the_callers_environment(
    empty: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    namespace.up(empty)
    namespace.start(empty, "env", "env")
    told = support.until(
        lambda: "PATH=" in (t := namespace.tail(empty, "env", 99)) and t, 10, "its environment"
    )
    assert "SOME_TOKEN" not in told
    assert "SOME_TOKEN" not in namespace.inside(empty, "env")


def test_a_command_that_fails_inside_says_what_it_wrote(empty: Lab) -> None:
    namespace.up(empty)
    with pytest.raises(LabError, match="its reason"):
        namespace.inside(empty, "sh", "-c", "echo its reason >&2; exit 4")


def test_run_enters_the_network_and_keeps_the_files(empty: Lab) -> None:
    namespace.up(empty)
    namespace.inside(empty, "ip", "link", "add", "br-of-ours", "type", "bridge")
    done = subprocess.run(
        [Path(sys.executable).with_name("repatria"), "lab", "run", "--lab", empty.folder, "sh", "-c", "ip -br link; cat /proc/net/dev; echo $OS_CLOUD; exit 5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert "br-of-ours" in done.stdout
    assert done.stdout.splitlines()[-1] == "lab"


def test_down_lets_go_of_loop_devices(empty: Lab) -> None:
    backing = empty.folder / "boxes/volumes/v.img"
    backing.parent.mkdir(parents=True)
    with backing.open("wb") as file:
        file.truncate(1 << 20)
    made_ = subprocess.run(
        ["losetup", "--find", "--show", backing], capture_output=True, text=True, check=False
    )
    if made_.returncode:
        pytest.skip(f"no loop devices: {made_.stderr}")
    lifecycle.down(empty.folder, print)
    left = subprocess.run(
        ["losetup", "--associated", backing], capture_output=True, text=True, check=True
    ).stdout
    assert left == ""
