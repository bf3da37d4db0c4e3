"""A move -> the commands of the engine that does it; credentials stay in the engines' own files, never in argv."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.outcomes import Move, Text, text

if TYPE_CHECKING:
    from toolkit.estate.model import Resource


@dataclass(frozen=True, slots=True)
class Engine:
    """How to move one thing. `again` repeats it as the last pass in the window; `only_frozen` does it only there."""

    why: Text | str
    copy: str
    expected: Text | str
    check: str
    undo: Text | str
    again: bool = False
    only_frozen: bool = False
    person: bool = False
    role: str = "operator"


def commands(move: Move, source: Resource, target: str) -> Engine:
    """The commands for a move into `target` (the name at the target).

    They use what the operator has configured once: rclone remotes `aws` and `target`, libpq services
    and MySQL option files called after the database, `$EXPORT_BUCKET` (a bucket for exports), and
    `$TARGET_DEVICE` (a new volume as the server that copies sees it).
    """
    name, to = shlex.quote(source.name), shlex.quote(target)
    plain = shlex.quote(source.id)
    region = shlex.quote(source.region)
    match move.mover:
        case "objects":
            return Engine(
                why="rclone copies objects with their metadata, continues after an interruption and compares checksums. Tags, ACLs, versions and locks do not travel.",
                copy=f"rclone sync aws:{plain} target:{to} --metadata --checksum --transfers 32",
                expected="No error; the number of objects and bytes is the same on both sides.",
                check=f"rclone check aws:{plain} target:{to} --one-way",
                undo=text("rclone purge target:{name}", name=to), again=True,
            )  # fmt: skip
        case "volume":
            volume = shlex.quote(move.facts.get("volume", source.id))
            return Engine(
                why="On a server at the target that has the new volume attached as $TARGET_DEVICE: a snapshot does not change while it is read. Every pass copies all blocks.",
                copy=f"SNAPSHOT=$(aws ec2 create-snapshot --region {region} --volume-id {volume} --description {shlex.quote(f'repatria {source.name}')} --query SnapshotId --output text) && "
                f"aws ec2 wait snapshot-completed --region {region} --snapshot-ids \"$SNAPSHOT\" && "
                f"AWS_REGION={region} coldsnap download --force \"$SNAPSHOT\" {to}.img && "
                f"sudo dd if={to}.img of=\"$TARGET_DEVICE\" bs=4M conv=fsync status=progress",
                expected="dd reports as many bytes as the volume has.",
                check=f"sudo cmp -n \"$(stat -c %s {to}.img)\" {to}.img \"$TARGET_DEVICE\"",
                undo="The source volume is untouched; delete the snapshot, and copy again before anything mounts the target volume.", again=True,
            )  # fmt: skip
        case "image":
            image = shlex.quote(move.facts.get("image", source.id))
            return Engine(
                why="The image is exported once, converted, and registered at the target; servers start from that id.",
                copy=f"aws ec2 export-image --region {region} --image-id {image} --disk-image-format RAW --s3-export-location S3Bucket=\"$EXPORT_BUCKET\",S3Prefix={to}/ && "
                f"rclone copy aws:\"$EXPORT_BUCKET\"/{to}/ . && qemu-img convert -O qcow2 *.raw {to}.qcow2 && "
                f"openstack image create {to} --disk-format qcow2 --container-format bare --file {to}.qcow2",
                expected="An active image; its id goes into the stack's configuration.",
                check=f"openstack image show {to} -f value -c status",
                undo=text("openstack image delete {name}", name=to),
            )  # fmt: skip
        case "database":
            return _database(source, target)
        case "cache":
            return Engine(
                why="A cache fills itself again; only what is no cache (sessions, queues) has to be copied.",
                copy="", expected="The application starts with an empty cache and is slow for a while.", check="",
                undo="None needed.", only_frozen=True, person=True,
            )  # fmt: skip
        case "files":
            return Engine(
                why="rsync keeps owners, hard links and attributes, and a second pass only carries what changed.",
                copy=f"rsync -aHAX --numeric-ids --delete /mnt/{name}/ \"$COPY_HOST\":/mnt/{to}/",
                expected="No error, exit code 0.",
                check=f"rsync -aHAXnc --numeric-ids --delete --itemize-changes /mnt/{name}/ \"$COPY_HOST\":/mnt/{to}/",
                undo="The source is untouched; empty the target before the next try.", again=True,
            )  # fmt: skip
        case "registry":
            uri = source.record.get("repositoryUri")
            registry = uri.split("/", 1)[0] if isinstance(uri, str) else "REGISTRY"
            return Engine(
                why="skopeo copies every tag with its digest; a pull by digest then works at both ends.",
                copy=f"skopeo sync --src docker --dest docker {shlex.quote(f'{registry}/{source.id}')} \"$TARGET_REGISTRY\"/",
                expected="Every tag is there, with the digest it had.",
                check=f"skopeo list-tags docker://\"$TARGET_REGISTRY\"/{plain}",
                undo="Delete the repository at the target registry.", again=True,
            )  # fmt: skip
        case "secrets":
            return Engine(
                why="A person with the right to read it carries the value from vault to vault; it is in no file and no log.",
                copy=f"aws secretsmanager get-secret-value --region {region} --secret-id {plain} --query SecretString --output text | "
                f"openstack secret store --name {to} --file /dev/stdin"
                if source.type.startswith("aws.secretsmanager") else
                f"aws ssm get-parameter --region {region} --name {plain} --with-decryption --query Parameter.Value --output text | "
                f"openstack secret store --name {to} --file /dev/stdin",
                expected="The secret's address at the target; the application's configuration names it.",
                check=f"openstack secret list --name {to} -f value -c Status",
                undo="Delete the secret at the target; rotate it if anybody may have seen it.", person=True, role="security",
            )  # fmt: skip
        case "queue":
            return Engine(
                why="Messages are not copied: producers stop, consumers drain the queue, then both start at the target.",
                copy=f"aws sqs get-queue-attributes --region {region} --queue-url {shlex.quote(str(source.record.get('QueueUrl', source.id)))} --attribute-names ApproximateNumberOfMessages ApproximateNumberOfMessagesNotVisible",
                expected="Both numbers are 0, twice, five minutes apart.", check="", undo="Start the producers at the source again.",
                only_frozen=True, person=True,
            )  # fmt: skip
        case "dns":
            return Engine(
                why="The whole zone must exist outside AWS first: if AWS is cut off, so is the zone.",
                copy=f"aws route53 list-resource-record-sets --hosted-zone-id {plain} --output json > zone-{to}.json",
                expected="The same answers from the old and the new name servers.", check="",
                undo="The old name servers still answer until the delegation is changed.", role="network",
            )  # fmt: skip
        case "mail":
            return Engine(
                why="imapsync copies mailbox by mailbox and can be repeated until the switch.",
                copy="while IFS=';' read -r user; do imapsync --host1 \"$SOURCE_IMAP\" --user1 \"$user\" --passfile1 ~/.imap/\"$user\".old "
                "--host2 \"$TARGET_IMAP\" --user2 \"$user\" --passfile2 ~/.imap/\"$user\".new; done < mailboxes.txt",
                expected="imapsync reports 0 errors for each mailbox.", check="", undo="The source mailboxes are untouched.", again=True,
            )  # fmt: skip
        case "identity":
            return Engine(
                why="Accounts can be exported, passwords cannot: people sign in once through the old pool, or set a new password.",
                copy=f"aws cognito-idp list-users --region {region} --user-pool-id {plain} > users-{to}.json",
                expected="As many users at the target as in the pool.", check="", undo="Keep the pool until nobody uses it.",
                person=True, role="security",
            )  # fmt: skip


def _database(source: Resource, target: str) -> Engine:
    engine = str(source.record.get("Engine", "")).casefold()
    name, to = shlex.quote(source.name), shlex.quote(target)
    if "postgres" in engine:
        return Engine(
            why="A logical dump crosses versions and collations safely; logical replication shortens the window where the dump takes too long.",
            copy=f"pg_dump -Fd -j 4 --no-owner --no-privileges -f {to}.dump service={name}-aws && pg_restore -j 4 --no-owner --clean --if-exists -d service={to} {to}.dump",
            expected="pg_restore ends with exit code 0.",
            check=f"diff <(psql service={name}-aws -Atf counts.sql) <(psql service={to} -Atf counts.sql)",
            undo=text("Drop and create the database at the target; {name} at AWS is untouched.", name=source.name),
            again=True, role="database",
        )  # fmt: skip
    if any(word in engine for word in ("mysql", "mariadb")):
        return Engine(
            why="mydumper takes a consistent dump in parallel; binlog replication shortens the window where the dump takes too long.",
            copy=f"mydumper --defaults-file=\"$HOME\"/.{name}-aws.cnf --threads 4 --outputdir {to}.dump && myloader --defaults-file=\"$HOME\"/.{to}.cnf --threads 4 --overwrite-tables --directory {to}.dump",
            expected="myloader ends with exit code 0.",
            check=f"diff <(mysql --defaults-file=\"$HOME\"/.{name}-aws.cnf -N < checksums.sql) <(mysql --defaults-file=\"$HOME\"/.{to}.cnf -N < checksums.sql)",
            undo=text("Drop the schemas at the target; {name} at AWS is untouched.", name=source.name),
            again=True, role="database",
        )  # fmt: skip
    return Engine(
        why=text("Its data leaves by the engine's own export ({engine}); a person designs that with the application's owner.", engine=engine or source.type),
        copy="", expected="Counts on both sides agree.", check="", undo="The source is untouched.", person=True, role="database",
    )  # fmt: skip


def _first(held: Any, member: str) -> str:
    if isinstance(held, list) and held and isinstance(held[0], dict):
        value = held[0].get(member)
        return value if isinstance(value, str) else ""
    return ""
