"""Secrets of a suite in their vault, and playbooks through ansible-runner: real Ansible on this machine, no host of the suite."""

from __future__ import annotations

import io
import json
import re
import stat
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolkit.cli import run
from toolkit.errors import ConfigError
from toolkit.suite import deploy, play, vault
from toolkit.suite.books import playbooks, roles

HERE = "localhost ansible_connection=local ansible_python_interpreter={{ansible_playbook_python}}\n"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.ini"
    path.write_text(HERE)
    return path


def book(tmp_path: Path, text: str) -> str:
    path = tmp_path / "book.yml"
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_secrets_are_made_once_and_are_not_readable_in_the_vault(tmp_path: Path) -> None:
    made = vault.fill(tmp_path)
    assert made
    assert set(made) == set(vault.needs())
    held = vault.read(tmp_path)
    assert all(len(value) >= 16 for value in held.values())
    assert len(set(held.values())) == len(held)
    data = (tmp_path / vault.FILE).read_bytes()
    assert data.startswith(b"$ANSIBLE_VAULT;")
    assert vault.fill(tmp_path) == []
    assert (tmp_path / vault.FILE).read_bytes() == data, "nothing new, nothing written"
    assert stat.S_IMODE((tmp_path / vault.PASSWORD).stat().st_mode) == 0o600


def test_a_secret_that_a_role_needs_later_is_added_and_the_others_stay(tmp_path: Path) -> None:
    vault.fill(tmp_path)
    held = vault.read(tmp_path)
    name = min(held)
    vault._write(tmp_path, {each: value for each, value in held.items() if each != name})
    assert vault.fill(tmp_path) == [name]
    after = vault.read(tmp_path)
    assert {each: after[each] for each in held if each != name} == {each: held[each] for each in held if each != name}  # fmt: skip


def test_a_vault_without_its_password_is_refused_and_stays(tmp_path: Path) -> None:
    vault.fill(tmp_path)
    data = (tmp_path / vault.FILE).read_bytes()
    (tmp_path / vault.PASSWORD).unlink()
    with pytest.raises(ConfigError, match="is not there"):
        vault.fill(tmp_path)
    (tmp_path / vault.PASSWORD).write_text("another\n")
    with pytest.raises(ConfigError, match="Decryption failed"):
        vault.fill(tmp_path)
    assert (tmp_path / vault.FILE).read_bytes() == data


def test_the_vault_is_what_ansible_reads(tmp_path: Path, inventory: Path) -> None:
    vault.fill(tmp_path)
    name, value = min(vault.read(tmp_path).items())
    text = f"""
        - name: "look: at it"
          hosts: all
          gather_facts: false
          vars_files: [{tmp_path / vault.FILE}]
          tasks:
            - ansible.builtin.assert:
                that: suite_secrets.{name} | length == {len(value)}
    """
    result = play.run(book(tmp_path, text), inventory, vault=tmp_path / vault.PASSWORD)
    assert result.ok, result.faults


def test_plays_are_counted_by_host_and_a_fault_says_where(tmp_path: Path, inventory: Path) -> None:
    text = """
        - name: "First: what works"
          hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.file: {path: "{{ target }}", state: touch, mode: "0600"}
            - ansible.builtin.command: "true"
              changed_when: false
        - name: "Second: what does not"
          hosts: all
          gather_facts: false
          tasks:
            - name: Ask for it
              ansible.builtin.fail: {msg: the relay is not there}
    """
    said: list[str] = []
    result = play.run(
        book(tmp_path, text), inventory, variables={"target": str(tmp_path / "with 'a quote")}, said=lambda each: said.append(each.name),
    )  # fmt: skip
    assert (result.ok, result.status) == (False, "failed")
    assert said == ["first", "second"]
    first, second = result.plays
    assert first.hosts["localhost"] == {"ok": 1, "changed": 1, "failed": 0, "unreachable": 0, "skipped": 0}  # fmt: skip
    assert second.failed
    assert result.faults == [
        {"host": "localhost", "role": "second", "task": "Ask for it", "message": "the relay is not there"}
    ]  # fmt: skip
    assert (tmp_path / "with 'a quote").exists()
    error = play.failed(result, "repatria suite apply --from second")
    assert "localhost (second): Ask for it: the relay is not there" in error.message
    assert "--from second" in error.hint


def test_what_a_task_hides_counts_all_the_same(tmp_path: Path, inventory: Path) -> None:
    text = """
        - name: "Hidden: two"
          hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.command: {argv: ["true"]}
              no_log: true
            - ansible.builtin.command: {argv: ["true"]}
              no_log: true
              changed_when: false
    """
    result = play.run(book(tmp_path, text), inventory)
    assert result.plays[0].hosts["localhost"]["changed"] == 1
    assert result.plays[0].hosts["localhost"]["ok"] == 1


def test_a_playbook_that_does_not_read_says_so(tmp_path: Path, inventory: Path) -> None:
    result = play.run(book(tmp_path, "- hosts: all\n  tasks: [{no_such_module: {}}]\n"), inventory)
    assert not result.ok
    assert "no_such_module" in result.faults[0]["message"]


def test_what_a_task_hides_is_not_in_the_fault(tmp_path: Path, inventory: Path) -> None:
    text = """
        - name: "hidden: one"
          hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.command: {argv: ["false", "s3cr3t-word"]}
              no_log: true
    """
    result = play.run(book(tmp_path, text), inventory)
    assert not result.ok
    assert "s3cr3t-word" not in json.dumps(result.json())


def test_every_play_of_the_suite_names_its_role_and_its_wiring() -> None:
    held = yaml.safe_load((playbooks() / deploy.BOOK).read_text())
    used = set()
    for each in held:
        name = each["tags"][0]
        assert each["name"].lower().startswith(f"{name}: ")
        assert each["vars_files"] == [f"wiring/{name}.yml"]
        assert (playbooks() / each["vars_files"][0]).is_file(), each["vars_files"]
        role = each["roles"][0] if "roles" in each else each["tasks"][0]["ansible.builtin.import_role"]["name"]  # fmt: skip
        assert (roles() / role.rpartition(".")[2] / "tasks/main.yml").is_file(), role
        used.add(role.rpartition(".")[2])
    assert used == {path.parent.name for path in roles().glob("*/tasks")}, "every role has its play"
    assert {path.stem for path in (playbooks() / "wiring").glob("*.yml")} == set(deploy.plays())


def test_parts_are_chosen_by_name_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    known = deploy.plays()
    assert deploy.chosen(deploy.Request(tmp_path)) == known
    assert deploy.chosen(deploy.Request(tmp_path, without=(known[0], known[4]))) == [
        *known[1:4],
        *known[5:],
    ]
    assert deploy.chosen(deploy.Request(tmp_path, begin=known[3])) == known[3:]
    assert deploy.chosen(deploy.Request(tmp_path, only=(known[5], known[1]))) == [
        known[1],
        known[5],
    ]
    with pytest.raises(ConfigError, match="nextcluod"):
        deploy.chosen(deploy.Request(tmp_path, only=("nextcluod",)))


def test_apply_without_a_plan_names_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert run(["suite", "apply", "-C", str(tmp_path)]) == 1
    assert "repatria suite plan" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_status_asks_every_host_and_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """This machine answers for itself; a host that is not there is told as such, and the others still answer."""
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        HERE.replace("localhost", "here") + "there ansible_host=127.0.0.1 ansible_port=1 ansible_connection=ssh\n"
    )  # fmt: skip
    code = run(["suite", "status", "-C", str(tmp_path), "--inventory", str(inventory), "--json"])
    out, err = capsys.readouterr()
    assert code == 3, err
    said = json.loads(out)
    assert list(said["hosts"]) == ["here"]
    assert "/" in said["hosts"]["here"]["disks"]
    assert [each for each in said["problems"] if each.startswith("there: does not answer")]


def test_a_secret_of_the_clients_own_goes_in_by_stdin_and_never_comes_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("r3lay 'word\"\n"))
    assert run(["suite", "secret", "mail_password", "-C", str(tmp_path)]) == 0
    assert vault.read(tmp_path)["mail_password"] == "r3lay 'word\""
    assert run(["suite", "secret", "-C", str(tmp_path), "--json"]) == 0
    said = capsys.readouterr()
    assert "r3lay" not in said.out + said.err
    rows = {row["name"]: row["there"] for row in json.loads(said.out)["secrets"]}
    assert rows["mail_password"]
    assert not rows["turn_secret"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run(["suite", "secret", "mail_password", "-C", str(tmp_path)]) == 1
    assert run(["suite", "secret", "no/name", "-C", str(tmp_path)]) == 1


def test_every_scenario_runs_in_ci() -> None:
    root = Path(__file__).parents[1]
    there = {path.parent.name for path in (root / "molecule").glob("*/molecule.yml")}
    named = re.search(r"for each in ([a-z ]+); do", (root / ".ci/molecule").read_text())
    assert named
    assert set(named[1].split()) == there


def test_what_is_left_out_is_kept_until_it_is_installed(tmp_path: Path) -> None:
    def kept(**asked: Any) -> list[str]:
        request = deploy.Request(tmp_path, **asked)
        deploy._left_out(request, deploy.chosen(request))
        path = tmp_path / deploy.LEFT_OUT
        return yaml.safe_load(path.read_text())["suite_without"] if path.exists() else []

    assert kept() == []
    assert kept(without=("nextcloud", "element_web")) == ["element_web", "nextcloud"]
    assert kept(only=("idp",)) == ["element_web", "nextcloud"], "another part says nothing of them"
    assert kept(only=("nextcloud",)) == ["element_web"]
    assert kept() == []


def test_the_key_of_a_new_machine_is_learnt_anew_and_the_others_stay(tmp_path: Path) -> None:
    from toolkit.suite import ground

    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJd5Yw5dDk5kGkQ0v1yT0v9m9q3m1lq1mJ0Q7mQ0m0mQ"
    path = tmp_path / ground.KNOWN
    path.parent.mkdir()
    path.write_text(f"10.20.0.20 {key}\n10.20.0.50 {key}\n")
    outputs = {
        "hosts": {
            name: {"id": id_, "address": address, "floating_address": "", "roles": ["edge"]}
            for name, id_, address in (
                ("app-1", "one", "10.20.0.20"),
                ("db-1", "two", "10.20.0.50"),
            )
        },
        "addresses": {"edge": "192.0.2.1"},
        "volumes": {},
    }
    ground.tell(tmp_path, outputs)
    assert path.read_text().count(key) == 2, "nothing was there before, so nothing is new"
    outputs["hosts"]["app-1"]["id"] = "three"
    ground.tell(tmp_path, outputs)
    assert path.read_text() == f"10.20.0.50 {key}\n"


def test_only_a_new_gate_makes_the_way_in_forgotten(tmp_path: Path) -> None:
    from toolkit.suite import ground

    path = tmp_path / ground.OUTPUTS
    path.parent.mkdir(parents=True)
    path.write_text("suite_gate: 192.0.2.1\n")
    hosts = [
        {"name": "app-1", "address": "10.20.0.20", "roles": [{"role": "edge"}]},
        {"name": "db-1", "address": "10.20.0.50", "roles": [{"role": "postgres_apps"}]},
    ]

    def forgotten(*new: str) -> list[str]:
        return deploy._addresses(deploy.Request(tmp_path, new=new), {"hosts": hosts})

    assert forgotten() == []
    assert forgotten("db-1") == ["10.20.0.50"]
    assert forgotten("app-1") == ["10.20.0.20", "192.0.2.1"]
    with pytest.raises(ConfigError, match="db-2"):
        forgotten("db-2")
