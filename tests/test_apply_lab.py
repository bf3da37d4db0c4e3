"""apply and destroy against a real OpenStack with the real engine, in a project of this session's own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud import Project, project
from tests.support.killer import Ended, during, killed, run
from tests.support.proxy import Fault, Proxy, fine, proxy
from tests.support.small import TINY, names_workspace, small_workspace
from toolkit.engines.state import state_of
from toolkit.journal import read

pytestmark = [
    pytest.mark.lab, pytest.mark.engine, pytest.mark.timeout(1800),
    # openstacksdk's own, of what it will drop some day
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]  # fmt: skip


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(tmp_path_factory.mktemp("project")) as held:
        yield held


@dataclass
class Site:
    """A workspace of its own in the session's project."""

    folder: Path
    cloud: Project
    plan: dict[str, Any]
    confirmed: Path

    @property
    def stacks(self) -> list[str]:
        return [stack["name"] for stack in self.plan["stacks"]]

    def apply(self, *arguments: str, given: str = "", **more: str) -> Ended:
        return run(["apply", "-C", str(self.folder), *arguments], {**self.cloud.environment, **more}, given)  # fmt: skip

    def whole(self, *arguments: str, **more: str) -> Ended:
        """Everything, with what people did."""
        return self.apply("--yes", "--confirmed", str(self.confirmed), *arguments, **more)

    def destroy(self, *arguments: str, given: str = "") -> Ended:
        return run(["destroy", "-C", str(self.folder), *arguments], self.cloud.environment, given)

    def events(self, stack: str = "") -> list[str]:
        return [entry.event for entry in read(self.folder) if not stack or entry.stack == stack]

    def state(self) -> dict[str, list[str]]:
        """Type and name of every resource of every stack's state; nothing may be pending in it."""
        found = {}
        for stack in self.stacks:
            checkpoint = state_of(self.folder).checkpoint(stack) or {}
            assert not checkpoint.get("pending_operations"), stack
            assert not any(each.get("delete") for each in checkpoint.get("resources", ())), stack
            found[stack] = sorted(each["urn"] for each in checkpoint.get("resources", ()))
        return found

    def ids(self) -> set[str]:
        return {
            str(each["id"])
            for stack in self.stacks
            for each in (state_of(self.folder).checkpoint(stack) or {}).get("resources", ())
            if each.get("id") and not each["type"].startswith("pulumi:")
        }

    def configure(self, stack: str, name: str, value: str) -> None:
        path = self.folder / "stacks" / stack / "Pulumi.main.yaml"
        lines = [line for line in path.read_text().splitlines() if f"{stack}:{name}:" not in line]
        path.write_text("\n".join([*lines, f"  {stack}:{name}: {value}"]) + "\n")

    def secrets(self) -> tuple[str, ...]:
        return (self.cloud.password, "only for this test")

    def leaks(self) -> list[str]:
        """Files of the workspace that hold a secret in clear."""
        found = []
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name != "passphrase":
                data = path.read_bytes()
                found += [f"{path}: {each}" for each in self.secrets() if each.encode() in data]
                found += [f"{path}: a token"] if b"gAAAA" in data else []
        return found


@pytest.fixture(scope="module")
def model(cloud: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planned and rendered workspace; the plan of a session is made once."""
    folder = tmp_path_factory.mktemp("model") / "ws"
    small_workspace(folder, cloud.name)
    return folder


@pytest.fixture(scope="module")
def tiny_model(cloud: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of one network and one group: what can go wrong needs no more."""
    folder = tmp_path_factory.mktemp("tiny") / "ws"
    small_workspace(folder, cloud.name, only=TINY)
    return folder


def _site(cloud: Project, model: Path, root: Path) -> Iterator[Site]:
    """A copy of a model; what a test leaves in the project is taken away after it."""
    folder = root / "ws"
    shutil.copytree(model, folder)
    plan = json.loads((folder / "plan.json").read_text())
    confirmed = root / "confirmed.jsonl"
    confirmed.write_text(
        "".join(
            json.dumps({"step": step["id"], "name": "Nora Klein", "time": "2026-02-01T10:00:00Z"}) + "\n"
            for step in plan["steps"] if "run" not in step
        )
    )  # fmt: skip
    yield Site(folder, cloud, plan, confirmed)
    core = any(stack["tier"] == "network" for stack in plan["stacks"])
    if any(cloud.counts(every=not core, core=core).values()):
        cloud.empty(core=core)


@pytest.fixture
def site(cloud: Project, model: Path, tmp_path: Path) -> Iterator[Site]:
    yield from _site(cloud, model, tmp_path)


@pytest.fixture
def names(cloud: Project, tmp_path: Path) -> Iterator[Site]:
    """A zone, its records and containers: what no network is needed for."""
    names_workspace(tmp_path / "model", cloud.name)
    yield from _site(cloud, tmp_path / "model", tmp_path)


@pytest.fixture
def tiny(cloud: Project, tiny_model: Path, tmp_path: Path) -> Iterator[Site]:
    yield from _site(cloud, tiny_model, tmp_path)


def _clean(site: Site, **kinds: bool) -> None:
    """Everything goes, and the project is as empty as before."""
    done = site.destroy("--including-data", given=f"{site.cloud.name}\n")
    assert done.code == 0, done.err
    assert not any(site.cloud.counts(**kinds).values()), site.cloud.things(**kinds)


# --------------------------------------------------------------------------------------------- the whole


def test_from_nothing_to_everything_and_back(site: Site) -> None:
    before = site.cloud.counts(every=True)
    assert not any(before.values())
    wrong = site.apply("shared-network", given="another\n")
    assert wrong.code == 3
    assert "'another' is not" in wrong.out
    nobody = site.apply("shared-network")
    assert nobody.code == 1
    assert "nobody typed" in nobody.err
    assert site.events() == ["refused"]
    assert not any(site.cloud.counts().values())

    right = site.apply("shared-network", given=f"{site.cloud.name}\n")
    assert right.code == 0, right.err
    assert site.events("shared-network") == ["refused", "begun", "done"]
    assert site.cloud.counts()["key"] == 1

    done = site.whole("--json")
    assert done.code == 0, done.err
    answer = done.answer
    assert answer["totals"] == {
        "steps": 23, "done_before": 2, "built": 3, "confirmed": 18, "failed": 0, "open": 0,
    }  # fmt: skip
    assert site.cloud.counts(every=True) == {
        **before, "network": 1, "subnet": 3, "router": 2, "port": 6, "security group": 1, "rule": 4, "server": 1,
        "volume": 1, "key": 1,
    }  # fmt: skip
    things = site.cloud.things()

    again = site.whole()
    assert again.code == 0
    assert "23 of 23 steps done" in again.out
    assert site.leaks() == []

    used = site.destroy("shop-network", "--yes")
    assert used.code == 1
    assert "shop-network is still used by shared-servers" in used.err
    data = site.destroy("--yes")
    assert data.code == 1
    assert "hold data or an address: Volume disk-data" in data.err
    unsaid = site.destroy("--yes", "--including-data", given="yes\n")
    assert unsaid.code == 1
    assert "nothing was destroyed" in unsaid.err
    assert site.cloud.things() == things
    one = site.destroy("shared-servers", "--yes")
    assert one.code == 0, one.err
    assert site.cloud.counts()["server"] == 0
    rebuilt = site.apply("shared-servers", "--yes")
    assert rebuilt.code == 0, rebuilt.err
    assert site.cloud.things() == things
    _clean(site)
    assert site.cloud.counts(every=True) == before
    assert site.events()[-1] == "destroyed"


# ------------------------------------------------------------------------------------------------ kill -9


@pytest.mark.parametrize("which", ["names", "tiny", pytest.param("site", marks=pytest.mark.slow)])
def test_killed_at_five_random_points_it_ends_the_same(
    request: pytest.FixtureRequest, which: str
) -> None:
    """Five kills in a row, of the whole tree or only of the parent, each continued by the same command.

    REPATRIA_SEED gives other points.
    """
    site: Site = request.getfixturevalue(which)
    kinds = {"every": which == "names", "core": which != "names"}
    uninterrupted = site.whole()
    assert uninterrupted.code == 0, uninterrupted.err + uninterrupted.out
    state, things = site.state(), site.cloud.things(**kinds)
    _clean(site, **kinds)

    chance = random.Random(f"{which}-{os.environ.get('REPATRIA_SEED', '')}")
    arguments = ["apply", "-C", str(site.folder), "--yes", "--confirmed", str(site.confirmed)]
    kills = 0
    stacks = [step["run"]["stack"] for step in site.plan["steps"] if "run" in step]
    for number in range(5):
        noted = f"{stacks[number * len(stacks) // 5]}: building"  # spread over all stacks
        ended = killed(
            arguments, site.cloud.environment, after=chance.randrange(3), delay=chance.random() * 1.5,
            whole=chance.random() < 0.7, noted=noted,
        )  # fmt: skip
        if ended.code == 0:
            break  # it was done before its point came
        assert ended.code == -signal.SIGKILL, ended.err
        kills += 1
    last = site.whole()
    assert last.code == 0, last.err + last.out
    assert kills >= 3
    assert site.state() == state
    assert site.cloud.things(**kinds) == things
    assert site.leaks() == []
    check = run(["preview", "-C", str(site.folder), "--refresh", "--json"], site.cloud.environment)
    assert check.code == 0, check.err
    totals = json.loads(check.out)["totals"]
    assert (totals["create"], totals["update"], totals["replace"], totals["delete"]) == (0, 0, 0, 0)
    _clean(site, **kinds)


# ------------------------------------------------------------------------------------------- what goes wrong


def _intact(site: Site, stack: str = "shop-network") -> None:
    """The journal reads, the state has nothing under way, nothing secret is anywhere."""
    assert site.events(stack)[-1] in ("failed", "interrupted", "waiting", "refused", "done")
    site.state()
    assert site.leaks() == []


def test_a_quota_that_is_too_small_stops_it_before_anything(tiny: Site) -> None:
    tiny.cloud.quota(router=0)
    try:
        ended = tiny.apply("shop-network", "--yes", "--json")
    finally:
        tiny.cloud.quota(router=10)
    assert ended.code == 3, ended.err
    stopped = ended.answer["stopped"]
    assert stopped["why"] == "preflight"
    assert "router" in stopped["says"]
    assert not any(tiny.cloud.counts().values())
    assert "begun" not in tiny.events()


def test_a_quota_that_shrinks_meanwhile_stops_it_and_it_goes_on_when_raised(tiny: Site) -> None:
    arguments = ["apply", "shop-network", "-C", str(tiny.folder), "--yes"]
    ended = during(
        arguments, tiny.cloud.environment, "shop-network: building", lambda: tiny.cloud.quota(router=0)
    )  # fmt: skip
    tiny.cloud.quota(router=10)
    assert ended.code == 1
    assert "shop-network was not built: " in ended.err
    assert "Quota exceeded for resources: ['router']" in ended.err
    assert "once more, one object at a time" in ended.err
    assert "continue with: repatria apply shop-network" in ended.err
    _intact(tiny)
    again = tiny.apply("shop-network", "--yes")
    assert again.code == 0, again.err
    assert tiny.cloud.counts()["router"] == 1


@pytest.mark.parametrize(("name", "what"), [("flavor-web-1", "flavor"), ("image-ubuntu2204", "image")])  # fmt: skip
def test_what_the_target_lacks_stops_it_before_anything(site: Site, name: str, what: str) -> None:
    site.configure("shared-servers", name, "no-such-thing")
    ended = site.whole("--json")
    assert ended.code == 3, ended.err
    stopped = ended.answer["stopped"]
    assert stopped["why"] == "preflight"
    assert what in stopped["says"]
    assert "no-such-thing" in stopped["says"]
    assert not any(site.cloud.counts().values())


@pytest.fixture
def between(cloud: Project, tmp_path: Path) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """The APIs behind a proxy, and the environment that leads through it."""
    with proxy() as held:
        config = held.config(cloud.config, tmp_path / "through.yaml")
        yield held, {"OS_CLIENT_CONFIG_FILE": str(config)}


def _made(site: Site) -> tuple[int, int, int]:
    counts = site.cloud.counts(every=True, core=False)
    return counts["container"], counts["zone"], counts["record"]


def test_an_api_that_fails_for_a_while(names: Site, between: tuple[Proxy, dict[str, str]]) -> None:
    held, environment = between

    def broken(method: str, path: str, token: str) -> Fault:
        return "500" if method == "PUT" and path.endswith("-photos") else ""

    held.decide = broken
    ended = names.apply("shared-data", "--yes", **environment)
    assert ended.code == 1
    assert "the test says so" in ended.err
    assert "continue with: repatria apply shared-data" in ended.err
    assert held.seen
    _intact(names, "shared-data")
    assert _made(names)[0] == 4
    held.decide = fine
    again = names.apply("shared-data", "--yes", **environment)
    assert again.code == 0, again.err
    assert _made(names)[0] == 5


def test_answers_that_come_late_or_never(
    names: Site, between: tuple[Proxy, dict[str, str]]
) -> None:
    """A create that was served and whose answer was lost failed for the engine: its object is found, not made twice."""
    held, environment = between
    lost: set[str] = set()

    def flaky(method: str, path: str, token: str) -> Fault:
        if method == "POST" and path == "/v2/zones" and "zone" not in lost:
            lost.add("zone")
            return "lost"
        if method == "POST" and path.endswith("/recordsets") and len(lost) == 2:
            lost.add("late")
            return "late"
        if method == "POST" and path.endswith("/recordsets") and len(lost) == 1:
            lost.add("record")
            return "lost"
        return ""

    held.decide = flaky
    ended = names.whole(**environment)
    assert ended.code == 1
    assert [each.split()[0] for each in held.seen] == ["lost"]
    _intact(names, "dns")
    again = names.whole("--json", **environment)
    assert again.code == 1, again.err
    assert f"zone {names.cloud.name}.example." in again.answer["recovered"][0]["adopted"][0]
    last = names.whole("--json", **environment)
    assert last.code == 0, last.err
    assert "record set" in last.answer["recovered"][0]["adopted"][0]
    assert {each.split()[0] for each in held.seen} == {"lost", "late"}
    assert _made(names) == (5, 1, 6)


def test_a_token_that_expires_in_the_middle_is_renewed(
    names: Site, between: tuple[Proxy, dict[str, str]]
) -> None:
    held, environment = between
    old: set[str] = set()

    def expired(method: str, path: str, token: str) -> Fault:
        if method == "PUT" and path.endswith("-photos") and not old:
            old.add(token)
        return "401" if token and token in old else ""

    held.decide = expired
    ended = names.apply("shared-data", "--yes", **environment)
    assert ended.code == 0, ended.err
    assert any(each.startswith("401") for each in held.seen)
    assert not any(token in ended.err + ended.out for token in old)
    assert _made(names)[0] == 5


def test_credentials_that_are_revoked_in_the_middle(names: Site) -> None:
    identity = names.cloud.admin.identity
    person = identity.find_user(names.cloud.name)
    arguments = ["apply", "shared-data", "-C", str(names.folder), "--yes"]
    ended = during(
        arguments, names.cloud.environment, "shared-data: building",
        lambda: identity.update_user(person, enabled=False),
    )  # fmt: skip
    identity.update_user(person, enabled=True)
    assert ended.code == 1
    assert names.cloud.password not in ended.err + ended.out
    assert names.events("shared-data")[-1] == "failed"
    names.cloud.user.authorize()
    again = names.apply("shared-data", "--yes")
    assert again.code == 0, again.err
    assert _made(names)[0] == 5


def test_a_disk_that_is_nearly_full_stops_it_before_anything(names: Site) -> None:
    """The engine's state would be torn: measured with a disk of 40 KiB, which it filled."""
    state = names.folder / ".repatria/state"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(state)],
        check=False, capture_output=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        ended = names.apply("shared-data", "--yes")
        assert ended.code == 1, ended.err
        assert "only 0 MiB are free where the state is kept" in ended.err
        assert names.events() == []
        subprocess.run(["mount", "-o", "remount,size=80m", str(state)], check=True)
        again = names.apply("shared-data", "--yes")
        assert again.code == 0, again.err
        assert _made(names)[0] == 5
        _intact(names, "shared-data")
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_an_interrupt_ends_it_cleanly_and_it_goes_on(names: Site) -> None:
    arguments = ["apply", "shared-data", "-C", str(names.folder), "--yes"]
    ended = killed(
        arguments, names.cloud.environment, after=1, delay=0.0, whole=False, sent=signal.SIGINT
    )
    assert ended.code == 130, ended.err
    assert "continue with: repatria apply shared-data" in ended.err
    assert names.events("shared-data")[-1] == "interrupted"
    checkpoint = state_of(names.folder).checkpoint("shared-data") or {}
    assert state_of(names.folder).lock("shared-data") is None
    assert not checkpoint.get("pending_operations")
    again = names.apply("shared-data", "--yes")
    assert again.code == 0, again.err
    assert _made(names)[0] == 5


def test_two_objects_that_may_be_the_one_are_left_to_a_person(
    tiny: Site, between: tuple[Proxy, dict[str, str]]
) -> None:
    """The answer to a create was lost, and a second object has the same marks: neither is taken, both are named."""
    held, environment = between

    def lost(method: str, path: str, token: str) -> Fault:
        return "lost" if method == "POST" and path.rstrip("/") == "/v2.0/networks" else ""

    held.decide = lost
    assert tiny.apply("shop-network", "--yes", **environment).code == 1
    held.decide = fine
    net = tiny.cloud.user.network
    net.create_network(name="shop")
    twins = list(net.networks(project_id=tiny.cloud.id))
    assert len(twins) == 2
    for each in twins:
        net.set_tags(each, ["stack=shop-network", "name=shop"])
    ended = tiny.apply("shop-network", "--yes", "--json")
    assert ended.code == 3, ended.err
    stopped = ended.answer["stopped"]
    assert stopped["why"] == "unclear"
    assert all(each.id in stopped["says"] for each in twins)
    assert len(list(net.networks(project_id=tiny.cloud.id))) == 2
    net.delete_network(twins[0])
    again = tiny.apply("shop-network", "--yes")
    assert again.code == 0, again.err
    assert [each.id for each in net.networks(project_id=tiny.cloud.id)] == [twins[1].id]


def test_no_secret_is_in_an_argument_of_any_process(names: Site) -> None:
    seen: list[bytes] = []

    def look() -> None:
        until = time.monotonic() + 30
        while not any(b"pulumi" in each and b"up" in each.split(b"\0") for each in seen):
            assert time.monotonic() < until, "the engine was never seen at work"
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.append(path.read_bytes())

    arguments = ["apply", "shared-data", "-C", str(names.folder), "--yes"]
    ended = during(arguments, names.cloud.environment, "shared-data: building", look)
    assert ended.code == 0, ended.err
    for secret in names.secrets():
        assert not [each for each in seen if secret.encode() in each and b"pytest" not in each]
        assert secret not in ended.out + ended.err
    assert not [each for each in seen if b"gAAAA" in each]
    assert names.leaks() == []


def test_containers_go_with_all_that_is_in_them(names: Site) -> None:
    done = names.apply("shared-data", "--yes")
    assert done.code == 0, done.err
    store = names.cloud.user.object_store
    box = f"{names.cloud.name}-photos"
    for number in range(3):
        store.put(f"/{box}/a%20b%3F{number}", data=b"x")
    refused = names.destroy("--yes")
    assert refused.code == 1
    assert "5 resources hold data or an address: Container" in refused.err
    assert len(list(store.objects(box))) == 3
    _clean(names, every=True, core=False)
