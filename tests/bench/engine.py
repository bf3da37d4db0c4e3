"""What our way to the engine costs: a generated stack as large as they come against a program written by hand of the same.

The cloud is a stand-in on 127.0.0.1 that keeps what Neutron is told and answers at once, so that no cloud's time hides
ours. Both sides use the same engine, plugin, state backend and resources; `python -m tests.bench.engine STACKS FOLDER OPERATION`
is the peer: the Automation API with nothing around it.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.bench.part import Figure
from tests.support.serve import serving
from toolkit.engines import pulumi
from toolkit.engines.installed import QUIET
from toolkit.estate.model import Resource
from toolkit.init import init
from toolkit.stage import plan, render
from toolkit.workspace import ESTATE, write_estate

RESOURCES = 271
"""The largest stack that a first plan makes: up to 300 it may grow."""
GOAL = 1.2
STACK = "office-network"


def measure(folder: Path, *, resources: int = RESOURCES, repeat: int = 3) -> tuple[list[Figure], dict[str, Any]]:  # fmt: skip
    """Preview and up of both, interleaved, the least of each; and what was run."""
    generated = _workspace(folder / "generated", resources)
    stacks = pulumi.Stacks.of(generated)
    count = len(stacks[STACK]["resources"])
    written = _by_hand(folder / "by-hand", stacks[STACK])
    times: dict[str, list[float]] = {}
    with _cloud() as place:
        environment = {"PULUMI_CONFIG_PASSPHRASE": "bench", **place}
        for _ in range(repeat):
            for side, home in (("generated", generated), ("by hand", written)):
                run = _ours if side == "generated" else _peer
                (home / ".repatria" / "state").mkdir(parents=True, exist_ok=True)
                shutil.rmtree(home / ".repatria" / "state")
                for operation in ("preview", "up"):
                    started = time.perf_counter()
                    made = run(home, operation, environment)
                    times.setdefault(f"{operation} {side}", []).append(
                        time.perf_counter() - started
                    )
                    if made != count:
                        raise RuntimeError(f"{side} {operation}: {made} of {count} resources")
    figures = [
        Figure("engine", f"{operation} of {count} resources", min(times[f"{operation} generated"]), min(times[f"{operation} by hand"]), GOAL, "s")
        for operation in ("preview", "up")
    ]  # fmt: skip
    return figures, {"resources": count, "times": times}


def _workspace(folder: Path, resources: int) -> Path:
    """One VPC, and groups of nine rules, the last of more, so that there are that many resources."""
    account, region, vpc = "111122223333", "eu-west-1", "vpc-0a0a0a0a0a0a0a0a0"
    init(folder, target="openstack", project="p")

    def one(type_: str, id_: str, name: str, record: dict[str, Any]) -> Resource:
        return Resource(type_, id_, f"arn:aws:ec2:{region}:{account}:x/{id_}", account, region, name, {"Name": name}, record)  # fmt: skip

    held = [one("aws.ec2.vpc", vpc, "office", {"VpcId": vpc, "CidrBlock": "10.0.0.0/16", "State": "available", "IsDefault": False})]  # fmt: skip
    groups, more = divmod(resources - 1, 10)
    for n in range(groups):
        id_ = f"sg-{n:017x}"
        rules = [
            {"IpProtocol": "tcp", "FromPort": 1000 + r, "ToPort": 1000 + r, "IpRanges": [{"CidrIp": f"10.{n % 250}.{r}.0/24"}], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
            for r in range(9 + (more if n == groups - 1 else 0))
        ]  # fmt: skip
        held.append(one("aws.ec2.security_group", id_, f"office-{n:02}", {"GroupId": id_, "GroupName": f"office-{n:02}", "VpcId": vpc, "Description": "g", "IpPermissions": rules, "IpPermissionsEgress": []}))  # fmt: skip
    write_estate(folder / ESTATE, {"source": {"partition": "aws", "accounts": [account], "regions": [region]}, "partition": "aws", "types": [], "repatria": "bench"}, [each.line() for each in held])  # fmt: skip
    plan(folder)
    render(folder)
    return folder


def _by_hand(folder: Path, stack: Mapping[str, Any]) -> Path:
    """The same resources as a person with a table and a loop would write them."""
    home = folder / "stacks" / STACK
    home.mkdir(parents=True)
    (home / "Pulumi.yaml").write_text(f"name: {STACK}\nruntime: python\n")
    rows = [(each["type"], each["name"], each["props"], each.get("protect", False)) for each in stack["resources"]]  # fmt: skip
    (home / "__main__.py").write_text(
        "import pulumi\nimport pulumi_openstack as openstack\n\n"
        f"ROWS = {rows!r}\nmade = {{}}\n\n"
        "for kind, name, props, protect in ROWS:\n"
        "    module, cls = kind.split('.')[1:]\n"
        "    held = {k: getattr(made[v['$ref']], v['attr']) if isinstance(v, dict) and '$ref' in v else v for k, v in props.items()}\n"
        "    made[name] = getattr(getattr(openstack, module), cls)(name, **held, opts=pulumi.ResourceOptions(protect=protect))\n"
    )
    return folder


def _ours(home: Path, operation: str, environment: Mapping[str, str]) -> int:
    run = pulumi.preview if operation == "preview" else pulumi.up
    with patch.dict(os.environ, environment):
        return run(home, STACK).count("create")


def _peer(home: Path, operation: str, environment: Mapping[str, str]) -> int:
    engine = pulumi.locate()
    state = home / ".repatria" / "state"
    state.mkdir(parents=True, exist_ok=True)
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.engine", str(home / "stacks" / STACK), operation], check=True,
        capture_output=True, text=True,
        env={
            **os.environ, **environment, **QUIET, "PULUMI_HOME": str(engine.home), "PULUMI_BACKEND_URL": state.as_uri(),
            "PATH": f"{engine.pulumi.parent}:{os.environ['PATH']}",
        },
    )  # fmt: skip
    return int(said.stdout.strip().splitlines()[-1])


def _plain(folder: Path, operation: str) -> int:
    """The Automation API with nothing around it: an inline program, its events counted."""
    import runpy

    from pulumi import automation

    made: set[str] = set()

    def seen(event: automation.EngineEvent) -> None:
        if event.resource_pre_event and not event.resource_pre_event.metadata.type.startswith("pulumi:"):  # fmt: skip
            made.add(event.resource_pre_event.metadata.urn)

    stack = automation.create_or_select_stack(
        "main", project_name=STACK, program=lambda: runpy.run_path(str(folder / "__main__.py")),
        opts=automation.LocalWorkspaceOptions(work_dir=str(folder)),
    )  # fmt: skip
    if operation == "preview":
        stack.preview(on_event=seen)
    else:
        stack.up(on_event=seen)
    return len(made)


@contextmanager
def _cloud() -> Iterator[dict[str, str]]:
    """Keystone's sign-in and a Neutron that believes everything; gives the environment that leads there."""
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    lock = threading.Lock()

    class Cloud(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Silent."""

        def answer(self, status: int, body: Any = None, **headers: str) -> None:
            data = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def given(self) -> Any:
            return json.loads(
                self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"
            )

        def parts(self) -> list[str]:
            return self.path.partition("?")[0].strip("/").split("/")

        def do_GET(self) -> None:
            parts = self.parts()
            if parts in ([""], ["v3"]):
                version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{base}/v3"}]}  # fmt: skip
                return self.answer(200, {"version": version} if parts == ["v3"] else {"versions": {"values": [version]}})  # fmt: skip
            kind = kept.get(parts[1], {}) if len(parts) > 1 else {}
            if len(parts) == 3 and parts[2] in kind:
                return self.answer(200, {_single(parts[1]): kind[parts[2]]})
            return self.answer(404 if len(parts) == 3 else 200, {parts[1]: []})

        def do_POST(self) -> None:
            given = self.given()
            if self.path.endswith("/auth/tokens"):
                catalog = [{"type": "network", "name": "neutron", "endpoints": [{"interface": "public", "region": "R", "region_id": "R", "url": base}]}]  # fmt: skip
                token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2026-01-01T00:00:00.000000Z", "catalog": catalog, "project": {"id": "p", "name": "p", "domain": {"id": "default", "name": "Default"}}, "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}}, "roles": [{"name": "member"}]}  # fmt: skip
                return self.answer(201, {"token": token}, X_Subject_Token="t")
            kind = self.parts()[1]
            id_ = str(uuid.uuid4())
            held = {"id": id_, "status": "ACTIVE", "tags": [], "tenant_id": "p", "project_id": "p", "security_group_rules": [], **given[_single(kind)]}  # fmt: skip
            with lock:
                kept.setdefault(kind, {})[id_] = held
            return self.answer(201, {_single(kind): held})

        def do_PUT(self) -> None:
            parts, given = self.parts(), self.given()
            with lock:
                held = kept[parts[1]][parts[2]]
                held.update(given if parts[3:] == ["tags"] else given[_single(parts[1])])
            return self.answer(200, given)

        def do_DELETE(self) -> None:
            return self.answer(204)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        yield {
            "OS_AUTH_URL": f"{base}/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "p", "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default", "OS_REGION_NAME": "R", "OS_CLOUD": "", "OS_CLIENT_CONFIG_FILE": "",
        }  # fmt: skip


def _single(kind: str) -> str:
    return kind.removesuffix("s").replace("-", "_")


if __name__ == "__main__":
    print(_plain(Path(sys.argv[1]), sys.argv[2]))
