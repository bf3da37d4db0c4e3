"""What is retired and holds data -> a decision whether a copy is kept, and the step that makes it before anything is deleted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.outcomes import MB_PER_SECOND, Option, Outcome, Task, Text, text
from toolkit.plan.names import slug

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context

TOPIC = "keep-copy"
WHY = text(
    "It is retired: nothing moves it, and once it is deleted at AWS nobody can ask what was on it."
)


def keep_copy(
    ctx: Context,
    source: Resource,
    *,
    gib: float | None,
    snapshots: Sequence[str] = (),
    volume: str = "",
) -> Iterator[Outcome]:
    """The decision and its step, for a volume or for snapshots (of an image, or one by itself).

    `gib` is the size as the record has it, None where it has none.
    """
    choice = ctx.decide(
        source.key, TOPIC, text("{name} is retired and holds data: is a copy kept?", name=source.name),
        (
            Option("target", "Yes, in a bucket at the target", "It outlives the account at AWS; storage is billed there."),
            Option("aws", "Yes, as a snapshot at AWS", "It ends with the account, and is billed until then."),
            Option("none", "No", "What it holds is gone once it is deleted."),
        ),
        "target", "Nobody has said that its data may go, and an account that is closed takes its snapshots along.",
    )  # fmt: skip
    if choice == "none":
        return
    aws = f"aws ec2 --region {shlex.quote(source.region)}"
    name = slug(f"{source.name}-{source.id}" if source.name != source.id else source.id)
    taken = f'SNAPSHOT=$({aws} create-snapshot --volume-id {shlex.quote(volume)} --description repatria-last-copy --query SnapshotId --output text) &&\n{aws} wait snapshot-completed --snapshot-ids "$SNAPSHOT"'  # fmt: skip
    listed = " ".join(map(shlex.quote, snapshots))
    what: Text = text("Keep a last copy of {name}", name=source.name)
    if choice == "aws":
        found = f"--snapshot-ids {listed}" if snapshots else f"--filters Name=volume-id,Values={shlex.quote(volume)}"  # fmt: skip
        yield Task(
            "keep", what, WHY, command=taken if volume else "",
            check=f"{aws} describe-snapshots {found} --query 'Snapshots[].[SnapshotId,State,StartTime]' --output text",
            expected="The check shows a snapshot that is completed; its owner knows that it ends with the account.",
            undo="Delete the snapshot.", minutes=10, basis="AWS copies in the background; the rest is hands-on time, estimated",
        )  # fmt: skip
        return
    lines = [taken] if volume else []
    images = []
    for id_ in snapshots or ('"$SNAPSHOT"',):
        image = f"{name}.img" if len(snapshots) < 2 else f"{name}-{slug(id_)}.img"
        images.append(image)
        held = id_ if id_.startswith('"$') else shlex.quote(id_)
        lines += [
            f"AWS_REGION={shlex.quote(source.region)} coldsnap download --force {held} {image}",
            f'rclone copyto {image} target:"${{ARCHIVE_BUCKET:?}}"/retired/{image} --checksum',
        ]
    yield Task(
        "keep", what, WHY, command=" &&\n".join(lines),
        check="\n".join(f'rclone check . target:"${{ARCHIVE_BUCKET:?}}"/retired --one-way --include /{image}' for image in images),
        expected="The check finds no difference; then the file here may go.",
        undo=text("{command} (the source is untouched).", command=" && ".join(f'rclone deletefile target:"${{ARCHIVE_BUCKET:?}}"/retired/{image}' for image in images)),
        minutes=None if gib is None else round(max(1.0, 2 * gib * 1073.741824 / MB_PER_SECOND / 60), 1),
        basis="its size is in no record that was read" if gib is None else text("{gib} GiB, once down and once up, at {speed} MB/s", gib=gib, speed=MB_PER_SECOND),
    )  # fmt: skip
