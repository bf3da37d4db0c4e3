"""What users and machines get wrong: each a clear error with a hint or a gap, the right exit code, nothing lost."""

from __future__ import annotations

import contextlib
import html.parser
import io
import json
import os
import re
import resource as limits
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
import yaml
from markdown_it import MarkdownIt

from tests.support import aws
from tests.support.cases import resource
from tests.support.serve import serving
from toolkit import workspace
from toolkit.cli import commands, run
from toolkit.estate.model import Resource
from toolkit.init import init

MAIN = "import sys; from toolkit.cli import main; main(sys.argv[1:])"
HEADER = {"source": {"partition": "aws", "accounts": ["111122223333"], "regions": ["eu-west-1"]}, "partition": "aws", "types": [], "repatria": "0"}  # fmt: skip


def _things(name: str, tags: dict[str, str] | None = None, rules: int = 1) -> list[Resource]:
    """A network with a server, a volume, a bucket and a queue, all called `name`."""
    tags = {"Name": name, "app": name, **(tags or {})}
    listed = [{"Key": k, "Value": v} for k, v in tags.items()]
    ranges = [{"CidrIp": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}/32", "Description": name} for n in range(rules)]  # fmt: skip
    records: list[tuple[str, str, dict[str, Any]]] = [
        ("aws.ec2.vpc", "vpc-1", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "IsDefault": False, "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}}]}),
        ("aws.ec2.subnet", "subnet-1", {"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"}),
        ("aws.ec2.security_group", "sg-1", {"GroupId": "sg-1", "GroupName": name, "VpcId": "vpc-1", "Description": name, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": ranges}], "IpPermissionsEgress": []}),
        ("aws.ec2.instance", "i-1", {"InstanceId": "i-1", "InstanceType": "t3.micro", "ImageId": "ami-gone", "SubnetId": "subnet-1", "VpcId": "vpc-1", "State": {"Name": "running"}, "KeyName": name, "SecurityGroups": [{"GroupId": "sg-1", "GroupName": name}], "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1", "DeleteOnTermination": True}}], "RootDeviceName": "/dev/xvda", "PrivateIpAddress": "10.0.0.4", "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.0.4", "Attachment": {"DeviceIndex": 0, "DeleteOnTermination": True}, "Groups": [{"GroupId": "sg-1"}], "Status": "in-use"}]}),
        ("aws.ec2.volume", "vol-1", {"VolumeId": "vol-1", "Size": 8, "VolumeType": "gp3", "Encrypted": False, "AvailabilityZone": "eu-west-1a", "Attachments": [{"InstanceId": "i-1", "Device": "/dev/xvda", "VolumeId": "vol-1"}]}),
        ("aws.s3.bucket", "b-1", {"Name": "b-1", "Location": "eu-west-1"}),
        ("aws.sqs.queue", "q-1", {"QueueUrl": "q-1", "Attributes": {"VisibilityTimeout": "30"}}),
    ]  # fmt: skip
    return [
        resource({"type": type_, "id": id_, "name": name, "tags": tags, "record": {**record, "Tags": listed}})
        for type_, id_, record in records
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws.environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    made = tmp_path / "w"
    init(made, target="ovhcloud", project="p")
    return made


@pytest.fixture
def planned(folder: Path) -> Path:
    _write(folder, _things("web"))
    assert _quiet("plan", folder) in (0, 3)
    assert _quiet("render", folder) == 0
    return folder


def _write(folder: Path, things: Iterable[Resource]) -> None:
    workspace.write_estate(folder / workspace.ESTATE, HEADER, [thing.line() for thing in things])


def _quiet(stage: str, folder: Path, *words: str) -> int:
    return run([stage, "-C", str(folder), *words])


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".repatria" not in path.parts
    }


def _refused(
    capsys: pytest.CaptureFixture[str], folder: Path, stage: str, says: str, *words: str, code: int = 1
) -> str:  # fmt: skip
    """The stage ends with `code`, `error:` and `hint:`, no traceback, and every file as it was."""
    before = _tree(folder)
    capsys.readouterr()
    assert _quiet(stage, folder, *words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"^error: .*{says}", err, re.MULTILINE | re.DOTALL), err
    assert re.search(r"^hint: \S", err, re.MULTILINE), err
    assert "Traceback" not in err
    assert _tree(folder) == before
    return err


# ---------------------------------------------------------------------------- AWS that does not answer


@contextlib.contextmanager
def _answering(status: str, body: str, who: bool = True) -> Iterator[str]:
    """An AWS that knows who is asking (or not) and gives one answer to everything else."""
    identity = (
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/x</Arn>"
        "<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        known = who and b"GetCallerIdentity" in data
        start("200 OK" if known else status, [("Content-Type", "text/xml")])
        return [(identity if known else body).encode()]

    with serving(aws.serve(app)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_no_credentials(
    planned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    _refused(capsys, planned, "discover", "there are no AWS credentials")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
    _refused(capsys, planned, "discover", "the AWS credentials of the environment")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredToken", "have expired"),
        ("InvalidClientTokenId", "are refused"),
        ("SignatureDoesNotMatch", "are refused"),
    ],
)
def test_bad_credentials(
    planned: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    says: str,
) -> None:
    with _answering("403 Forbidden", aws.xml(code), who=False) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        _refused(capsys, planned, "discover", f"the AWS credentials of the environment {says}")


def test_a_token_that_expires_on_the_way(
    planned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _answering("403 Forbidden", aws.xml("ExpiredToken")) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        said = _refused(capsys, planned, "discover", "have expired", "--type", "aws.ec2.vpc")
    assert "what was read is kept" in said


def test_denied_everywhere(
    planned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _answering("403 Forbidden", aws.xml("AccessDenied")) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        words = ("--type", "aws.ec2.vpc", "--type", "aws.sns.topic", "--type", "aws.iam.role")
        said = _refused(capsys, planned, "discover", "AWS denied every call", *words)
    assert "`repatria policy`" in said


def test_wrong_names(
    planned: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with _answering("403 Forbidden", aws.xml("AccessDenied")) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        said = _refused(capsys, planned, "discover", "no region eu-wset-1", "--region", "eu-wset-1")
        assert "Did you mean eu-west-1?" in said
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-99")
        _refused(capsys, planned, "discover", "no region eu-west-99")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "not a region!")
        _refused(capsys, planned, "discover", "no region not a region!")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        _refused(capsys, planned, "discover", "no AWS region is chosen")
    _refused(capsys, planned, "discover", "no AWS profile 'wrong'", "--profile", "wrong")
    _refused(capsys, planned, "discover", "no rule knows aws.ec2.vcp", "--type", "aws.ec2.vcp")
    monkeypatch.setenv("AWS_PROFILE", "wrong")
    _refused(capsys, planned, "discover", "no AWS profile")
    monkeypatch.delenv("AWS_PROFILE")
    (tmp_path / "config").write_text("[profile half\nregion eu")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    _refused(capsys, planned, "discover", "the AWS configuration cannot be used")


def test_an_endpoint_that_is_down(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, planned, "discover", "AWS cannot be reached")


# ----------------------------------------------------------------------------------- damaged files


def _redone(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """An estate edited by somebody who made the digest fit."""
    lines = [orjson.loads(line) for line in (folder / "estate.jsonl").read_bytes().splitlines()[1:]]
    change(lines[0])
    (folder / workspace.ESTATE).unlink()
    workspace.write_estate(folder / workspace.ESTATE, HEADER, lines)


def _head(path: Path, **change: Any) -> None:
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(orjson.dumps({**orjson.loads(first), **change}) + b"\n" + rest)


def _plan(folder: Path, change: Callable[[dict[str, Any]], Any], digest: bool = False) -> None:
    path = folder / workspace.PLAN
    document = orjson.loads(path.read_bytes())
    change(document)
    if digest:
        document["header"]["body"] = workspace.plan_digest(document)
    path.write_bytes(orjson.dumps(document))


ESTATES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut": (lambda w: (w / "estate.jsonl").write_bytes((w / "estate.jsonl").read_bytes()[:900]), "cut off or was edited"),
    "cut in the header": (lambda w: (w / "estate.jsonl").write_bytes((w / "estate.jsonl").read_bytes()[:40]), "header"),
    "empty": (lambda w: (w / "estate.jsonl").write_bytes(b""), "header"),
    "newer": (lambda w: _head(w / "estate.jsonl", schema=2), "has schema 2"),
    "edited": (lambda w: (w / "estate.jsonl").write_bytes((w / "estate.jsonl").read_bytes().replace(b"10.0.0.0", b"10.9.0.0")), "edited by hand"),
    "record no table": (lambda w: _redone(w, lambda line: line.update(record=[1])), "wrong kind"),
    "tags no table": (lambda w: _redone(w, lambda line: line.update(tags=["x"])), "wrong kind"),
    "name no text": (lambda w: _redone(w, lambda line: line.update(name={"a": 1})), "wrong kind"),
    "gone": (lambda w: (w / "estate.jsonl").unlink(), "there is no estate.jsonl"),
    "a folder": (lambda w: ((w / "estate.jsonl").unlink(), (w / "estate.jsonl").mkdir()), "cannot be read"),
    "config": (lambda w: (w / "repatria.toml").write_text("schema = 1\n[target"), "no TOML"),
    "config of latin-1": (lambda w: (w / "repatria.toml").write_bytes(b"# \xe9\n"), "cannot be read"),
    "unknown region": (lambda w: _toml(w, 'region = "', 'region = "NOWHERE'), "NOWHERE"),
    "unknown cloud": (lambda w: _toml(w, '"ovhcloud"', '"ovhclod"'), "did you mean ovhcloud"),
    "names": (lambda w: (w / "names.yaml").write_text("schema: 1\nnames: [1"), "names.yaml"),
    "names of a list": (lambda w: (w / "names.yaml").write_text("schema: 1\nnames: [a]\n"), "names.yaml"),
    "decisions": (lambda w: (w / "decisions.yaml").write_text("schema: 1\ndecisions: {a"), "decisions.yaml"),
    "decisions of a list": (lambda w: (w / "decisions.yaml").write_text("schema: 1\ndecisions: [a]\n"), "decisions.yaml"),
    "measures": (lambda w: (w / "measures.jsonl").write_text("[]\n"), "measures"),
}  # fmt: skip


def _toml(folder: Path, old: str, new: str) -> None:
    text = (folder / "repatria.toml").read_text()
    assert old in text
    (folder / "repatria.toml").write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("fault", list(ESTATES))
def test_a_damaged_workspace_is_not_planned(
    planned: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    damage, says = ESTATES[fault]
    damage(planned)
    _refused(capsys, planned, "plan", says)


PLANS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "stale estate": (lambda w: _write(w, _things("api")), "stale: estate"),
    "stale config": (lambda w: _toml(w, 'project = "p"', 'project = "q"'), "stale: config"),
    "cut": (lambda w: (w / "plan.json").write_bytes((w / "plan.json").read_bytes()[:500]), "no JSON"),
    "edited": (lambda w: _plan(w, lambda p: p["items"].clear()), "edited by hand"),
    "newer": (lambda w: _plan(w, lambda p: p.update(schema=2)), "has schema 2"),
    "no header": (lambda w: _plan(w, lambda p: p.pop("header")), "header"),
    "half a header": (lambda w: _plan(w, lambda p: p["header"].pop("made_from")), "header"),
    "no target": (lambda w: _plan(w, lambda p: p["header"].pop("target")), "which cloud"),
    "estate of a list": (lambda w: (w / "estate.jsonl").write_text("[]\n"), "header"),
    "gone": (lambda w: (w / "plan.json").unlink(), "there is no plan.json"),
    "manifest": (lambda w: (w / "rendered.json").write_text("{"), "rendered.json"),
    "manifest of a list": (lambda w: (w / "rendered.json").write_text("[1]"), "rendered.json"),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(PLANS))
def test_a_damaged_or_stale_plan_is_not_rendered(
    planned: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    damage, says = PLANS[fault]
    damage(planned)
    _refused(capsys, planned, "render", says)


def test_wrong_usage_is_exit_2(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["plan", "--target", "mars"], ["nothing"], ["discover", "--wrong"], ["explain"]):
        assert run(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Error: " in err
    where = planned / "new"
    assert run(["init", str(where), "--target", "ovhcloud", "--region", "NOWHERE"]) == 1
    assert "error: " in (said := capsys.readouterr().err)
    assert "hint: " in said
    assert not where.exists()
    assert run(["plan", "-C", str(where)]) == 1
    assert "is no workspace" in capsys.readouterr().err


# --------------------------------------------------------------------- machines that are full or shut


def _child(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[1], **more
    )  # fmt: skip


def _said(done: subprocess.CompletedProcess[str], says: str) -> None:
    assert done.returncode == 1, done.stderr
    assert re.search(rf"^error: .*{says}", done.stderr, re.MULTILINE), done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stage", ["plan", "render"])
def test_a_file_that_may_not_grow(planned: Path, stage: str) -> None:
    _write(planned, _things("api"))
    if stage == "render":
        assert _quiet("plan", planned) in (0, 3)
    before = _tree(planned)

    def small() -> None:
        limits.setrlimit(limits.RLIMIT_FSIZE, (300, 300))

    done = _child([sys.executable, "-c", MAIN, stage, "-C", str(planned)], preexec_fn=small)
    _said(done, "no room left")
    after = _tree(planned)
    assert all(after[name] == content for name, content in before.items() if len(content) > 300)
    assert not [path for path in planned.rglob(".*.??????*") if path.suffix not in ("", ".jsonl")]


def _mounts() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return _child(["unshare", "-m", "true"]).returncode == 0


def test_a_full_disk(planned: Path, tmp_path: Path) -> None:
    if not _mounts():
        pytest.skip("needs root and mount namespaces")
    disk = tmp_path / "disk"
    disk.mkdir()
    _write(planned, _things("api"))
    ours, small = shlex.quote(str(planned)), shlex.quote(str(disk))
    script = f"""
        mount -t tmpfs -o size=2m tmpfs {small} && cp -r {ours}/. {small}/ || exit 99
        sha256sum {small}/plan.json {small}/decisions.yaml
        head -c 4m /dev/zero > {small}/filler 2>/dev/null
        {shlex.quote(sys.executable)} -c {shlex.quote(MAIN)} plan -C {small}; code=$?
        sha256sum {small}/plan.json {small}/decisions.yaml
        ls -A {small} | grep '^[.]plan' ; exit $code"""
    done = _child(["unshare", "-m", "sh", "-c", script])
    if done.returncode == 99:
        pytest.skip("no tmpfs may be mounted")
    _said(done, "no room left")
    marks = done.stdout.split()
    assert len(marks) == 8
    assert marks[:4] == marks[4:]


@pytest.mark.parametrize("stage", ["discover", "plan", "render"])
def test_a_read_only_folder(planned: Path, stage: str) -> None:
    _write(planned, _things("api"))
    if stage == "render":
        assert _quiet("plan", planned) in (0, 3)
    before = _tree(planned)
    where = shlex.quote(str(planned))
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(MAIN)} {stage} -C {where}"
    with _answering("403 Forbidden", aws.xml("AccessDenied")) as url:
        env = {**os.environ, "AWS_ENDPOINT_URL": url}
        if _mounts():
            bind = f"mount --bind {where} {where} && mount -o remount,ro,bind {where} && {command}"
            done = _child(["unshare", "-m", "sh", "-c", bind], env=env)
        else:
            planned.chmod(0o555)
            done = _child(["sh", "-c", command], env=env)
            planned.chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert _tree(planned) == before


def test_an_answer_that_nobody_can_take(planned: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "show", "-C", str(planned)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "error: No space left" in done.stderr


@pytest.mark.parametrize("stage", ["plan", "render"])
def test_ctrl_c_leaves_the_files(
    planned: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(planned, _things("api"))
    if stage == "render":
        assert _quiet("plan", planned) in (0, 3)
    before = _tree(planned)
    # a real signal, at the moment when a file is written and not yet in its place
    # (whoever runs the tests in the background of a script has it ignored, and children inherit that)
    stopped = "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); real = os.fsync; os.fsync = lambda fd: (os.kill(os.getpid(), signal.SIGINT), real(fd)); "
    done = _child([sys.executable, "-c", stopped + MAIN, stage, "-C", str(planned)])
    assert done.returncode == 130
    assert "again to continue" in done.stderr
    assert "Traceback" not in done.stderr
    assert _tree(planned) == before
    capsys.readouterr()
    assert _quiet(stage, planned, "--json") in (0, 3)
    if stage == "render":
        assert orjson.loads(capsys.readouterr().out)["changed_by_user"] == []


# ------------------------------------------------------------------------------------ hostile names

HOSTILE = {
    "quotes": 'it\'s "quoted" \'\'\'and\'\'\' """more""" \\',
    "lines": "first\nsecond\r\nthird\u2028fourth\ttab",
    "jinja": "{{ 7 * 191 }}{% raw %}{# no #}",
    "shell": "$(touch owned) `touch owned`; touch owned && ${HOME}",
    "html": "</title></td><script>alert(1)</script><img src=x onerror=alert(1)>",
    "markdown": "a|b|c `code` **bold** [x](y) | # no",
    "yaml": ": - #  & * ! % @ {a: b}",
    "format": "%s {0} {name} f'{x}' \x1b[31m \u202e",
}


class _Live(html.parser.HTMLParser):
    """Tags and handlers of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def _live(text: str) -> _Live:
    page = _Live()
    page.feed(text)
    return page


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_stay_text(
    folder: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(folder, _things(HOSTILE[kind], {"k" + HOSTILE[kind][:120]: HOSTILE[kind]}))
    assert _quiet("plan", folder) in (0, 3)
    pages = ("stacks", "markdown", "runbooks", "csv")
    assert _quiet("render", folder, *(word for each in pages for word in ("--format", each))) == 0
    assert _quiet("show", folder) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert {".py", ".yaml", ".md", ".csv"} <= {path.suffix for path in folder.rglob("*")}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".py":
            compile(path.read_text(), str(path), "exec")
        elif path.suffix in (".yaml", ".yml"):
            list(yaml.safe_load_all(path.read_text()))
        elif path.suffix == ".json":
            orjson.loads(path.read_bytes())
        elif path.suffix == ".md":
            text = path.read_text()
            _columns(path)
            parsed = MarkdownIt("commonmark").enable("table").parse(text)
            blocks = [each for each in parsed if each.type == "fence"]
            prose = text.split("\n")
            for block in reversed(blocks):
                assert block.map is not None
                del prose[slice(*block.map)]
            assert not re.search(r"(?<!\\)<(script|img)", "\n".join(prose)), path.name
            page = _live(MarkdownIt("commonmark").enable("table").render(text))
            assert not page.handlers, path.name
            assert not {"script", "img"} & page.tags.keys(), path.name
            assert "1337" not in text
            for block in blocks:
                assert "touch owned" not in re.sub(r"'[^']*'", "", block.content), path.name


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_names_stay_text_in_the_page(folder: Path, kind: str) -> None:
    _write(folder, _things(HOSTILE[kind], {"k" + HOSTILE[kind][:120]: HOSTILE[kind]}))
    assert _quiet("plan", folder) in (0, 3)
    assert _quiet("render", folder, "--format", "html") == 0
    text = (folder / "plan.html").read_text()
    page = _live(text)
    assert not page.handlers
    assert page.tags.get("img", 0) == 0
    assert "alert(1)</script>" not in text
    assert "1337" not in text


def _columns(path: Path) -> None:
    """Every row of a Markdown table has as many cells as its head."""
    wide = 0
    for number, line in enumerate(path.read_text().split("\n"), start=1):
        bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not wide or not bars or bars == wide, f"{path.name}:{number}: {line}"
        wide = bars


def test_tags_as_long_as_aws_allows(folder: Path) -> None:
    tags = {f"{n:02}" + "k" * 126: "v" * 256 for n in range(49)}
    _write(folder, _things("n" * 256, tags))
    assert _quiet("plan", folder) in (0, 3)
    assert _quiet("render", folder) == 0
    assert max(len(path.name) for path in folder.rglob("*")) <= 120


def test_ten_thousand_rules_in_a_group(folder: Path) -> None:
    """Five times the rules: some five times the work, where comparing each with each takes 25."""

    def seconds(rules: int) -> float:
        _write(folder, _things("web", rules=rules))
        since = time.process_time()
        assert _quiet("plan", folder) in (0, 3)
        return time.process_time() - since

    assert seconds(2_000) * 12 > seconds(10_000)
    document = orjson.loads((folder / workspace.PLAN).read_bytes())
    assert document["totals"]["creates"] >= 10_000
    assert all(len(stack["resources"]) <= 300 for stack in document["stacks"])


def test_what_refers_to_something_unread_is_said(folder: Path) -> None:
    things = [t for t in _things("web") if t.type not in ("aws.ec2.subnet", "aws.ec2.volume", "aws.ec2.vpc")]  # fmt: skip
    _write(folder, things)
    assert _quiet("plan", folder) in (0, 3)
    assert _quiet("render", folder) == 0
    document = orjson.loads((folder / workspace.PLAN).read_bytes())
    server = next(item for item in document["items"] if item["subject"]["id"] == "i-1")
    assert server["becomes"] == []
    assert server["findings"] or server["losses"] or server["reason"]
    assert document["totals"]["by_severity"]["blocker"] >= 1
    assert _quiet("plan", folder) == 3


# --------------------------------------------------------------------------------- answers and words


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials of a target and no engine, whatever this machine has."""
    for name in [name for name in os.environ if name.startswith(("OS_", "PULUMI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("REPATRIA_ENGINE", str(tmp_path / "none"))


TOWN = Path(__file__).parent / "estates/town-3000/suite.toml"


def test_json_answers_have_a_schema_and_stdout_to_themselves(planned: Path, nowhere: None) -> None:
    at = ["-C", str(planned)]
    shutil.copy(planned / "plan.json", planned / "old.json")
    for words in (
        ["show", *at], ["show", "aws.ec2.vpc", *at], ["show", "i-1", *at], ["explain", "i-1", *at],
        ["plan", *at], ["render", *at], ["render", "--check", *at], ["diff", "--against", str(planned / "old.json"), *at],
        ["catalog"], ["catalog", "ovhcloud"], ["doctor", *at], ["apply", *at], ["destroy", *at], ["state", *at], ["preflight", *at],
        ["suite", "plan", "--answers", str(TOWN)],
    ):  # fmt: skip
        done = _answer(words)
        assert done[0] in (0, 3), words
        assert done[1]["schema"] == 1, words
    assert _with_json(commands) == {
        "apply", "catalog", "coverage", "demo", "destroy", "diff", "discover", "doctor", "explain", "lab quota", "lab status", "lab up",
        "plan", "preflight", "preview", "render", "show", "state", "verify",
        *(f"suite {each}" for each in (
            "apply", "artefacts check", "artefacts fetch", "artefacts list", "backup", "contacts", "drill finish", "drill start", "lint", "person erase",
            "person export", "plan", "restore", "secret", "smoke", "status", "upgrade",
        )),
    }  # fmt: skip


def test_what_needs_a_target_says_so_and_answers_nothing(
    planned: Path, nowhere: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _refused(capsys, planned, "verify", "no credentials of the target", "--json")
    _refused(capsys, planned, "preview", "REPATRIA_ENGINE", "--json")
    for words in (["lab", "status"], ["lab", "quota"]):
        assert run([*words, "--lab", str(tmp_path / "none"), "--json"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert re.search(r"^error: \S[^\n]*\nhint: \S", err, re.MULTILINE), err


def _with_json(group: click.Group, before: str = "") -> set[str]:
    """Every command that answers in JSON, those of groups by both names."""
    found: set[str] = set()
    for name, command in group.commands.items():
        if "as_json" in {each.name for each in command.params}:
            found.add(before + name)
        if isinstance(command, click.Group):
            found |= _with_json(command, f"{before}{name} ")
    return found


@pytest.mark.parametrize("words", [["coverage"], ["explain", "aws.ec2.vpc"]])
def test_answers_from_the_rules(folder: Path, words: list[str]) -> None:
    code, document = _answer([*words, *(["-C", str(folder)] if len(words) > 1 else [])])
    assert (code, document["schema"]) == (0, 1)


def _answer(words: list[str]) -> tuple[int, Any]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*words, "--json"])
    return code, json.loads(out.getvalue())


def test_help_is_quick_and_needs_no_sdk() -> None:
    script = """
import contextlib, io, sys
from toolkit.cli import commands, run
said = io.StringIO()
with contextlib.redirect_stdout(said):
    codes = [run(words) for words in ([], ["--help"], ["--version"], *([name, "-h"] for name in commands.commands))][1:]
assert codes == [0] * len(codes), codes
heavy = {name.split(".")[0] for name in sys.modules} & {"boto3", "botocore", "pulumi", "moto", "networkx", "jinja2", "yaml"}
print(sorted(heavy)); print(said.getvalue())
"""
    done = _child([sys.executable, "-c", script])
    assert done.returncode == 0, done.stderr
    heavy, _, text = done.stdout.partition("\n")
    assert heavy == "[]"
    assert text.count("Usage: ") >= len(commands.commands) + 1
    assert "repatria, version " in text
    for name, command in commands.commands.items():
        assert command.help, name
        assert all(p.help for p in command.params if p.param_type_name == "option"), name  # type: ignore[attr-defined]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_REPATRIA_COMPLETE" in script
    if shell == "bash":
        assert _child(["bash", "-n", "-c", script]).returncode == 0
    words = {"COMP_WORDS": "repatria di", "COMP_CWORD": "1", "_REPATRIA_COMPLETE": f"{shell}_complete"}  # fmt: skip
    if shell == "fish":
        words["COMP_CWORD"] = "di"
    done = _child([sys.executable, "-c", "from toolkit.cli import main; main()"], env={**os.environ, **words})  # fmt: skip
    assert "discover" in done.stdout
