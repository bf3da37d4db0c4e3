"""A demo workspace -> applied to the lab, previewed again and verified; says where people and moved data were stood in for."""

from __future__ import annotations

import base64
import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from toolkit import previews, workspace
from toolkit.apply import run as applying
from toolkit.apply.order import Choice
from toolkit.config import Place
from toolkit.demo.environment import environment
from toolkit.engines import pulumi
from toolkit.engines.openstack import connect
from toolkit.engines.outcome import OPS
from toolkit.errors import TargetError
from toolkit.lab import lifecycle, projects
from toolkit.lab.folder import Lab, find_or_new
from toolkit.preflight import preflight
from toolkit.verify.check import must_look, verify

if TYPE_CHECKING:
    from toolkit.preflight import Report

PRIVATE = Path(".repatria")
DEMO_KEY = f"{PRIVATE}/demo-key"
"""In the workspace: the operator's key that stands in for a real one."""
NOBODY = "the demo (nobody did this)"
"""Who confirms a person's step of the demo: the journal must not claim that somebody did it."""
KEY = "repatria-demo"
"""A key pair that stands in for the operator's own at the target."""
_MB = 1 << 20


def rehearse(
    folder: Path, lab_folder: Path, *, say: Callable[[str], None], event: Callable[[Any], None]
) -> dict[str, Any]:
    """Bring the lab up in the target's likeness, raise the quotas that preflight asks for, apply, preview again, verify.

    Where a move would bring a disk, an empty one stands in; where a person would act, the demo confirms
    in nobody's name. Raises ToolkitError where a part fails.
    """
    plan = workspace.read_plan(folder / workspace.PLAN)
    seconds: dict[str, float] = {}
    pulumi.locate()
    with _timed(seconds, "lab"):
        lab = lab_for(plan, lab_folder, say)
    with environment(credentials(folder, lab), alone="OS_"):
        with _timed(seconds, "preflight"):
            requests = raise_quotas(folder, lab, say)
        with _timed(seconds, "stand-ins"):
            stood_in = stand_ins(folder, plan, say)
        with _timed(seconds, "apply"):
            report = _apply(folder, plan, say, event)
        with _timed(seconds, "second preview"):
            again = previews.run(folder)
        with _timed(seconds, "verify"):
            said, _ = verify(folder, plan)
    changes = sum(again["totals"][op] for op in OPS if op not in ("same", "read"))
    return {
        "lab": str(lab.folder), "quotas_raised": requests, "stood_in": stood_in, "seconds": seconds,
        "applied": report["totals"], "not_run": sorted(each["stack"] for each in again["stacks"] if each["status"] == "not-run"),
        "changes_on_second_preview": changes, "differences": said["findings"],
        "verified": not must_look(said), "look": bool(changes) or must_look(said),
    }  # fmt: skip


@contextlib.contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[what] = round(time.monotonic() - began, 1)


def lab_for(plan: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> Lab:
    """The lab in the likeness of the plan's cloud, with the plan's project in it. Raises LabError."""
    target = plan["header"]["target"]
    places = {(each["place"]["project"], each["place"]["region"]) for each in plan["stacks"]}
    if len(places) != 1:
        raise TargetError(
            f"the demo goes to {len(places)} places, and the lab is one", "Plan it into one."
        )
    ((project, region),) = places
    before = find_or_new(folder)
    known = before if (before.folder / "lab.json").exists() else None
    wanted = {"like": target["cloud"], "region": region, "cloud_file": ""}
    if known is None:
        wanted["project"] = project
    lab = find_or_new(folder, **wanted)
    lifecycle.up(lab, say, before=known)
    if project not in lab.projects():
        projects.add(lab, project)
        lab = find_or_new(folder)
    return lab


def credentials(folder: Path, lab: Lab) -> dict[str, str]:
    """The environment in which the customer works: the project's entry, and a passphrase made for this demo."""
    private = folder / PRIVATE
    private.mkdir(mode=0o700, exist_ok=True)
    passphrase = private / "demo-passphrase"
    if not passphrase.exists():
        workspace.write(passphrase, secrets.token_urlsafe(24).encode() + b"\n", private=True)
    plan = workspace.read_plan(folder / workspace.PLAN)
    project = plan["stacks"][0]["place"]["project"]
    return {
        "OS_CLIENT_CONFIG_FILE": str(lab.clouds), "OS_CLOUD": project,
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase.absolute()),
    }  # fmt: skip


def raise_quotas(folder: Path, lab: Lab, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """What the provider's support would do with the letter: raise exactly what it asks for, to the unit."""
    report: Report = preflight(folder)
    asked = [each.json() for each in report.requests]
    if asked:
        say(
            "preflight refuses: " + ", ".join(f"{each['kind']} {each['limit']}, needed {each['request']}" for each in asked)
            + "; the lab's operator raises exactly these"
        )  # fmt: skip
        project = asked[0]["place"].partition("/")[0]
        projects.quotas(lab, project, {each["kind"]: each["request"] for each in asked})
    return asked


def stand_ins(folder: Path, plan: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, str]:
    """Set what an operator would set: a key, secrets, the ids of moved disks. Setting -> what stands in for it."""
    stacks = pulumi.Stacks(folder, plan)
    place = Place(**plan["stacks"][0]["place"])
    with contextlib.closing(connect(place, alone=True)) as cloud:
        done: dict[str, str] = {}
        for stack in stacks.order():
            if stacks[stack]["package"] not in pulumi.PLUGINS:
                continue
            for name in stacks.missing(stack):
                value, what = _stand_in(folder, cloud, stacks, stack, name)
                secret = stacks.settings(stack)[name]["secret"]
                pulumi.set_config(folder, stack, name, value, secret=secret)
                done[f"{stack}:{name}"] = what
    if done:
        say(f"{len(done)} settings stood in for: {', '.join(sorted(set(done.values())))}")
    return done


def _stand_in(
    folder: Path, cloud: Any, stacks: pulumi.Stacks, stack: str, name: str
) -> tuple[str, str]:
    """(value, what it is) of a setting, by what it goes into. Raises TargetError for one that this demo has no answer for."""
    into = {
        (resource["type"], prop)
        for resource in stacks[stack]["resources"]
        for prop, held in resource["props"].items()
        if name in _configs(held)
    }
    match min(into):
        case ("openstack.compute.Keypair", "public_key"):
            return _public_key(folder), "a key made for this demo"
        case ("openstack.keymanager.SecretV1", "payload") if name.startswith("certificate-"):
            return _certificate(), "a certificate that signed itself"
        case ("openstack.keymanager.SecretV1", "payload"):
            return secrets.token_urlsafe(18), "a random secret"
        case ("openstack.compute.Instance" | "openstack.blockstorage.Volume", "image_id"):
            image = cloud.image.create_image(
                name=name.removesuffix("-id"), disk_format="raw", container_format="bare", data=bytes(_MB), wait=True,
            )  # fmt: skip
            return str(image.id), "an empty image"
        case ("openstack.compute.Instance", "key_pair"):
            if cloud.compute.find_keypair(KEY) is None:
                cloud.compute.create_keypair(name=KEY, public_key=_public_key(folder))
            return KEY, "a key made for this demo"
        case ("openstack.dns.Zone", "email"):
            return "hostmaster@demo.example", "an address that nobody reads"
        case ("openstack.compute.Instance", "block_devices"):
            volume = cloud.block_storage.create_volume(name=name.removesuffix("-id"), size=_size(stacks, stack, name))  # fmt: skip
            cloud.block_storage.wait_for_status(volume, "available", interval=1, wait=120)
            cloud.block_storage.set_volume_bootable_status(volume, True)
            return str(volume.id), "an empty volume"
        case (kind, prop):
            raise TargetError(
                f"{stack} needs {name} for {prop} of {kind}, and this demo has no stand-in for that",
                f"`repatria set {stack} {name} -C {folder}` sets it.",
            )
    raise AssertionError(name)


def _configs(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {str(value["$config"])} if "$config" in value else set()
        return own.union(*map(_configs, value.values()))
    if isinstance(value, list):
        return set().union(*map(_configs, value))
    return set()


def _size(stacks: pulumi.Stacks, stack: str, name: str) -> int:
    """GiB of the disk that the server had at AWS, as the plan says; else 1."""
    for resource in stacks[stack]["resources"]:
        for device in resource["props"].get("block_devices") or ():
            if name in _configs(device) and isinstance(device.get("volume_size"), int):
                return int(device["volume_size"])
    return 1


def _public_key(folder: Path) -> str:
    """The public half of a key made for this demo; the private half stays in the workspace's private folder."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = folder / DEMO_KEY
    if path.exists():
        key = form.load_ssh_private_key(path.read_bytes(), None)
    else:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
        workspace.write(path, pem, private=True)
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return f"{public.decode()} demo"


def _certificate() -> str:
    """PKCS#12 in base64 of a certificate that is valid for a day."""
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo.invalid")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    packed = pkcs12.serialize_key_and_certificates(
        b"demo", key, certificate, None, serialization.NoEncryption()
    )
    return base64.b64encode(packed).decode()


def confirmations(folder: Path, plan: Mapping[str, Any]) -> Path:
    """A file that confirms, in nobody's name, each step that `apply` does not do itself."""
    packages = {each["name"]: each["package"] for each in plan["stacks"]}
    others = [
        step["id"] for step in plan["steps"]
        if "run" not in step or packages[step["run"]["stack"]] not in pulumi.PLUGINS
    ]  # fmt: skip
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path = folder / PRIVATE / "demo-confirmed.jsonl"
    lines = (orjson.dumps({"step": step, "name": NOBODY, "time": now}) for step in others)
    workspace.write(path, b"\n".join(lines) + b"\n", private=True)
    return path


def _apply(
    folder: Path, plan: Mapping[str, Any], say: Callable[[str], None], event: Callable[[Any], None]
) -> dict[str, Any]:
    """Run all steps. Raises what stopped it."""
    confirmed = confirmations(folder, plan)
    say("applying; steps of people and of other engines are only confirmed, in nobody's name")
    report = applying.apply(
        applying.Request(folder, Choice(), yes=True, confirmed=confirmed, note=say, event=event)
    )
    if report.interrupted:
        raise KeyboardInterrupt
    if report.failure is not None:
        raise report.failure
    if report.stopped is not None:
        raise TargetError(report.stopped["says"], report.stopped["hint"])
    return report.json()
