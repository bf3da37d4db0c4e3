"""What servers share: their distribution, their size, their user data, and how they are built again."""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.clouds import aws_instance_type
from toolkit.outcomes import Attachment, Finding, Loss, Option, Outcome, Task, text
from toolkit.plan.names import slug

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context

NOVA_USER_DATA = 65535
"""Bytes of base64 that Nova accepts as user data."""
_KNOWN = (
    ("windows", "windows2022"), ("ubuntu/images/hvm-ssd-gp3/ubuntu-noble", "ubuntu2404"), ("noble", "ubuntu2404"), ("24.04", "ubuntu2404"), ("jammy", "ubuntu2204"), ("22.04", "ubuntu2204"), ("ubuntu", "ubuntu2404"),
    ("debian-13", "debian13"), ("debian-12", "debian12"), ("debian", "debian12"), ("rocky-9", "rocky9"), ("rhel", "rocky9"), ("red hat", "rocky9"), ("al2023", "rocky9"), ("amzn2", "rocky9"), ("amazon linux", "rocky9"),
)  # fmt: skip


def distribution(
    ctx: Context, image_id: object, record: Mapping[str, object], near: Resource
) -> tuple[str, bool]:
    """(the catalogue's word for the operating system, whether the image is one of your own)."""
    image = ctx.estate.find("aws.ec2.image", image_id, near)
    held = image.record if image else {}
    words = (
        " ".join(
            str(held.get(name, ""))
            for name in ("Name", "Description", "PlatformDetails", "Platform")
        )
        + f" {record.get('PlatformDetails', '')} {record.get('Platform', '')}"
    )
    folded = words.casefold()
    return next((known for word, known in _KNOWN if word in folded), "debian12"), image is not None


def decoded(text_: object) -> str:
    """User data as text: base64 and gzip taken off; "" where it is neither."""
    if not isinstance(text_, str) or not text_:
        return ""
    try:
        raw = base64.b64decode(text_, validate=True)
    except (binascii.Error, ValueError):
        return text_
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError):
            return ""
    return raw.decode("utf-8", "replace")


def about_type(name: str, instance_type: str, extra: Mapping[str, object]) -> Iterator[Outcome]:
    """What an instance type and its options mean that no flavor has."""
    kind = aws_instance_type(instance_type)
    if kind is None:
        yield Loss(
            "InstanceType",
            text(
                "{type} is not in the table of instance types; 2 vCPU and 4 GiB are assumed.",
                type=instance_type or text("no type"),
            ),
            "major",
        )
    elif kind.burstable:
        yield Loss(
            "InstanceType",
            text(
                "{type} saves up CPU credits; its successor has its cores all the time.",
                type=instance_type,
            ),
        )
    if kind is not None and kind.local_disk_gb and not kind.metal:
        yield Loss(
            "InstanceType",
            text(
                "{gb} GB of local disk come with {type}; the flavor's own disk may be smaller.",
                gb=kind.local_disk_gb,
                type=instance_type,
            ),
        )
    if extra.get("spot"):
        yield Loss(
            "InstanceLifecycle",
            "It was a spot instance; its successor costs the list price and is not taken away.",
        )


def user_data(name: str, content: str) -> Iterator[Outcome]:
    """The script beside the stack, for review: a new instance id would run it again."""
    if not content:
        return
    yield Attachment(
        f"user-data/{slug(name) or 'server'}.txt",
        content if content.endswith("\n") else f"{content}\n",
    )
    lines = len(content.splitlines())
    yield Task(
        "user-data-review", text("Read the user data of {name} and carry over what is still needed", name=name),
        "It is never run at the target by itself: on a moved disk a new instance id would run it again.", lead_days=5,
        command=f"less stacks/*/user-data/{slug(name) or 'server'}.txt",
        expected="Each line is either in the server's playbook or image, or struck out with a reason.",
        minutes=max(10, lines), basis=text("{lines} lines, a minute for each, estimated", lines=lines),
    )  # fmt: skip
    size = len(base64.b64encode(content.encode()))
    if size > NOVA_USER_DATA:
        yield Loss(
            "UserData",
            text(
                "{size} bytes of user data exceed the {most} that Nova takes.",
                size=size,
                most=NOVA_USER_DATA,
            ),
            "major",
        )
    if "169.254.169.254" in content:
        yield Finding(
            "metadata-use",
            "warning",
            text(
                "{name} asks AWS's metadata service in its user data; the target's answers other questions.",
                name=name,
            ),
        )


def boot_choice(
    ctx: Context, subject: str, name: str, *, own_image: bool, stateful: bool, windows: bool
) -> str:
    """Decide how a server comes to be: `rebuild`, `image` or `volume`."""
    options = [
        Option(
            "rebuild",
            "From a catalogue image, by Ansible",
            "Clean and repeatable; what was installed by hand is lost.",
        )
    ]
    if ctx.cloud.kind == "openstack":
        options += [
            Option(
                "image",
                "From its moved image",
                "Same system with new drivers; the image is exported and converted first.",
            ),
            Option(
                "volume",
                "From its moved root volume",
                "Same disk, last change included; longer window.",
            ),
        ]
    default = "rebuild"
    why = "Its system comes from a public image and it holds no data of its own."
    if ctx.cloud.kind == "openstack" and windows:
        default, why = (
            "image",
            "Windows is seldom rebuilt by Ansible; licences have to be settled with the provider.",
        )
    elif ctx.cloud.kind == "openstack" and stateful:
        default, why = (
            "volume",
            "It has run for itself with data of its own: what is on its disk counts.",
        )
    elif ctx.cloud.kind == "openstack" and own_image:
        default, why = "image", "It starts from an image of your own."
    return ctx.decide(
        subject,
        "boot",
        text("How is {name} built at the target?", name=name),
        options,
        default,
        why,
    )
