"""A move -> the commands of the engine that does it; credentials stay in the engines' own files, never in argv."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from toolkit.outcomes import Move, Text, text
from toolkit.plan.names import slug

if TYPE_CHECKING:
    from toolkit.estate.model import Resource

Window = Literal["none", "delta", "whole", "only"]
"""What a mover does while the source is frozen: nothing, what changed since, everything again, or all of it for the first time."""

LARGE_GB = 20
"""From here on a dump that is made again in the window costs more than replication that runs before it."""

SQL = "runbooks/sql"
POSTGRES_COUNTS = """-- every table with its number of rows, every sequence with its value
select format('%I.%I', n.nspname, c.relname),
       (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', n.nspname, c.relname), false, true, '')))[1]
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')
order by 1;
select schemaname, sequencename, last_value from pg_sequences order by 1, 2;
"""
POSTGRES_SEQUENCES = """-- what sets every sequence to the value it has here
select format('select setval(%L, %s);', format('%I.%I', schemaname, sequencename), last_value)
from pg_sequences where last_value is not null order by 1;
"""
MYSQL_TABLES = """-- a checksum of every table
select concat('checksum table `', table_schema, '`.`', table_name, '` extended;')
from information_schema.tables
where table_type = 'BASE TABLE' and table_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')
order by table_schema, table_name;
"""
POSTGRES_LAG = "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) from pg_replication_slots where slot_name = 'repatria'"
"""Bytes that the subscription has not applied yet."""


@dataclass(frozen=True, slots=True)
class Instead:
    """Another way to do a step: when it is better, and its commands before the window and in it."""

    why: Text | str
    before: str
    during: str


@dataclass(frozen=True, slots=True)
class Engine:
    """How to move one thing. `window` is what its pass in the window does; `title` replaces "Copy ..." there.

    `undo_last` takes only that pass back, never what the first copy brought. `minutes` is its
    length where it does not depend on a size. `files` are written beside the runbook.
    """

    why: Text | str
    copy: str
    expected: Text | str
    check: str
    undo: Text | str
    window: Window = "none"
    person: bool = False
    role: str = "operator"
    title: Text | str = ""
    undo_last: Text | str = (
        "Nothing to take back: the source is complete. Until the switch, the same command brings the target level again."
    )
    minutes: float | None = None
    instead: Instead | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def variable(prefix: str, name: str) -> str:
    """A shell variable's name: `DEVICE_SHOP_DATA`."""
    return f"{prefix}_{slug(name).replace('-', '_').upper()}"


def root_volume(target: str) -> str:
    """The name of the volume that a server's root disk is moved to."""
    return f"{target}-root"


def device(disk: str) -> str:
    """The shell variable that names a new volume's device; `disk` is a name that no other volume has."""
    return variable("DEVICE", disk)


def is_root(resource: Resource, move: Move) -> bool:
    """A root disk is moved with its server: no stack makes the volume that it goes to."""
    return resource.type == "aws.ec2.instance" and move.mover == "volume" and "volume" in move.facts


def secret_value(source: Resource) -> str:
    """The command that prints a secret's value, for a pipe and nothing else."""
    region, id_ = shlex.quote(source.region), shlex.quote(source.id)
    if source.type.startswith("aws.secretsmanager"):
        return f"aws secretsmanager get-secret-value --region {region} --secret-id {id_} --query SecretString --output text"
    return f"aws ssm get-parameter --region {region} --name {id_} --with-decryption --query Parameter.Value --output text"


def commands(
    move: Move, source: Resource, target: str, *, disk: str = "", last: bool = False
) -> Engine:
    """The commands for a move into `target` (the name at the target); `last` for the pass in the window.

    `disk` is what a volume's device and file are called by, the name at the target where it is left out.

    They use what the operator has configured once: rclone remotes `aws` and `target`, libpq services
    and MySQL option files called after the database, `$EXPORT_BUCKET` (a bucket for exports), and
    `$DEVICE_...` for each volume (a new volume as the server that copies sees it).
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
                undo=text("rclone delete target:{name} (it empties the bucket; the bucket stays, its stack made it).", name=to),
                undo_last="Nothing to take back: the source is complete. Never run it again after the switch: sync deletes what was written at the target.",
                window="delta",
            )  # fmt: skip
        case "volume":
            volume = shlex.quote(move.facts.get("volume", source.id))
            disk = disk or target
            named, image = device(disk), f"{slug(disk)}.img"
            return Engine(
                why="On a server at the target that has the new volume attached: a snapshot does not change while it is read. Every pass copies all blocks.",
                copy=f': "${{{named}:?}}" && SNAPSHOT=$(aws ec2 create-snapshot --region {region} --volume-id {volume} --description {shlex.quote(f"repatria {source.name}")} --query SnapshotId --output text) && '
                f'aws ec2 wait snapshot-completed --region {region} --snapshot-ids "$SNAPSHOT" && '
                f'AWS_REGION={region} coldsnap download --force "$SNAPSHOT" {image} && '
                f'sudo dd if={image} of="${named}" bs=4M conv=fsync status=progress',
                expected="dd reports as many bytes as the volume has.",
                check=f'sudo cmp -n "$(stat -c %s {image})" {image} "${named}"',
                undo="The source volume is untouched; delete the snapshot, and copy again before anything mounts the target volume.",
                undo_last="The source volume is untouched; delete the snapshot. What the target volume held before is overwritten: copy again before anything mounts it.",
                window="whole",
            )  # fmt: skip
        case "image":
            return _image(move, source, to, region)
        case "database":
            return _database(source, target, last=last)
        case "cache":
            return Engine(
                why="A cache fills itself again; only what is no cache (sessions, queues) has to be copied.",
                title=text("Let {name} start empty, unless it holds what is no cache", name=source.name),
                copy="", expected="The application starts with an empty cache and is slow for a while.", check="",
                undo="None needed.", undo_last="None needed.", window="only", person=True, minutes=5,
            )  # fmt: skip
        case "files":
            return Engine(
                why="rsync keeps owners, hard links and attributes, and a second pass only carries what changed.",
                copy=f'rsync -aHAX --numeric-ids --delete /mnt/{name}/ "$COPY_HOST":/mnt/{to}/',
                expected="No error, exit code 0.",
                check=f'rsync -aHAXnc --numeric-ids --delete --itemize-changes /mnt/{name}/ "$COPY_HOST":/mnt/{to}/',
                undo="The source is untouched; empty the target before the next try.",
                undo_last="Nothing to take back: the source is complete. Never run it again after the switch: it deletes what was written at the target.",
                window="delta",
            )  # fmt: skip
        case "registry":
            uri = source.record.get("repositoryUri")
            registry = uri.split("/", 1)[0] if isinstance(uri, str) else "REGISTRY"
            folder = shlex.quote(source.id.rpartition("/")[0])
            into = f'"$TARGET_REGISTRY"/{folder}' if "/" in source.id else '"$TARGET_REGISTRY"'
            return Engine(
                why="skopeo copies every tag with its digest; a pull by digest then works at both ends. Let pipelines push to both registries from now on: then nothing is left for the window.",
                copy=f"skopeo sync --all --preserve-digests --src docker --dest docker {shlex.quote(f'{registry}/{source.id}')} {into}",
                expected="Every tag is there, with the digest it had.",
                check=f'skopeo list-tags docker://"$TARGET_REGISTRY"/{plain}',
                undo="Delete the copied tags at the target registry; the repository stays, an earlier step made it.",
            )  # fmt: skip
        case "secrets":
            return Engine(
                why="A person with the right to read it carries the value from vault to vault; it is in no file and no log.",
                copy=f"{secret_value(source)} | openstack secret store --name {to} --file /dev/stdin",
                expected="The secret's address at the target; the application's configuration names it.",
                check=f"openstack secret list --name {to} -f value -c Status",
                undo="Delete the secret at the target; rotate it if anybody may have seen it.", person=True, role="security",
            )  # fmt: skip
        case "queue":
            url = shlex.quote(str(source.record.get("QueueUrl", source.id)))
            return Engine(
                why="Messages are not copied: producers stop, consumers drain the queue, then both start at the target.",
                title=text("Drain the queue {name}", name=source.name),
                copy=f"aws sqs get-queue-attributes --region {region} --queue-url {url} --attribute-names ApproximateNumberOfMessages ApproximateNumberOfMessagesNotVisible",
                expected="Both numbers are 0, twice, five minutes apart.", check="", undo="Start the producers at the source again.",
                undo_last="Start the producers at the source again.", window="only", person=True, minutes=15,
            )  # fmt: skip
        case "dns":
            return Engine(
                why="The whole zone must exist outside AWS first: if AWS is cut off, so is the zone.",
                copy=f"aws route53 list-resource-record-sets --hosted-zone-id {plain} --output json > zone-{to}.json",
                expected="The same answers from the old and the new name servers.", check="",
                undo="The old name servers still answer until the delegation is changed.", role="network",
            )  # fmt: skip
        case "mail":
            both = (
                '--host1 "$SOURCE_IMAP" --user1 "$user" --passfile1 ~/.imap/"$user".old '
                '--host2 "$TARGET_IMAP" --user2 "$user" --passfile2 ~/.imap/"$user".new'
            )
            return Engine(
                why="imapsync copies mailbox by mailbox and can be repeated until the switch.",
                copy=f"while IFS=';' read -r user; do imapsync {both} || echo \"failed: $user\"; done < mailboxes.txt",
                expected="imapsync reports 0 errors for each mailbox.",
                check=f"while IFS=';' read -r user; do imapsync {both} --justfoldersizes; done < mailboxes.txt",
                undo="The source mailboxes are untouched.", window="delta",
            )  # fmt: skip
        case "identity":
            return Engine(
                why="Accounts can be exported, passwords cannot: people sign in once through the old pool, or set a new password.",
                copy=f"aws cognito-idp list-users --region {region} --user-pool-id {plain} > users-{to}.json",
                expected="As many users at the target as in the pool.", check="", undo="Keep the pool until nobody uses it.",
                person=True, role="security",
            )  # fmt: skip


def _image(move: Move, source: Resource, to: str, region: str) -> Engine:
    """An AMI is exported as it is; a server's own disk first becomes one (AWS exports no image of somebody else's)."""
    if source.type == "aws.ec2.instance":
        made = (
            f"IMAGE=$(aws ec2 create-image --region {region} --instance-id {shlex.quote(source.id)} --name repatria-{to} --no-reboot --query ImageId --output text) && "
            f'aws ec2 wait image-available --region {region} --image-ids "$IMAGE" && '
        )
    else:
        made = f"IMAGE={shlex.quote(move.facts.get('image', source.id))} && "
    status = f"aws ec2 describe-export-image-tasks --region {region} --export-image-task-ids \"$TASK\" --query 'ExportImageTasks[0].Status' --output text"
    return Engine(
        why="The image is exported once, converted, and registered at the target; servers start from that id.",
        copy=f'{made}TASK=$(aws ec2 export-image --region {region} --image-id "$IMAGE" --disk-image-format RAW --s3-export-location S3Bucket="$EXPORT_BUCKET",S3Prefix={to}/ --query ExportImageTaskId --output text) && '
        f'while [ "$({status})" = active ]; do sleep 30; done && [ "$({status})" = completed ] && '
        f'rclone copy aws:"$EXPORT_BUCKET"/{to}/ {to}/ && qemu-img convert -f raw -O qcow2 {to}/*.raw {to}.qcow2 && '
        f"openstack image create {to} --disk-format qcow2 --container-format bare --file {to}.qcow2",
        expected="An active image; a step of its own writes its id into the stack's configuration."
        if source.type == "aws.ec2.instance"
        else "An active image under its own name. Servers that are built from a catalogue image do not use it, unless the stack's setting `image-...` is set to this name.",
        check=f"openstack image show {to} -f value -c status",
        undo=text("openstack image delete {name}", name=to),
    )


def _database(source: Resource, target: str, *, last: bool) -> Engine:
    engine = str(source.record.get("Engine", "")).casefold()
    name = shlex.quote(source.name)
    # these stand inside quoted connection strings, where quoting again would not hold
    service, to = slug(source.name), slug(target)
    dump = f"{to}.{'last' if last else 'first'}.dump"
    untouched = "Nothing to take back: the source is complete, and the next pass replaces what this one wrote."
    if "postgres" in engine:
        counts = f"{SQL}/postgres-counts.sql"
        sequences = f"{SQL}/postgres-sequences.sql"
        old, new = f"service={service}-aws", f"service={to}"
        return Engine(
            why="A logical dump crosses versions and collations safely; every pass copies everything.",
            copy=f"rm -rf {dump} && pg_dump -Fd -j 4 --no-owner --no-privileges -f {dump} {old} && pg_restore -j 4 --no-owner --clean --if-exists -d {new} {dump}",
            expected="pg_restore ends with exit code 0.",
            check=f"diff <(psql {old} -At -f {counts}) <(psql {new} -At -f {counts})",
            undo=text("Drop and create the database at the target; {name} at AWS is untouched.", name=source.name),
            undo_last=untouched, window="whole", role="database",
            instead=Instead(
                "Logical replication: the copy runs while users work, the window only waits until it has caught up. Tables need a primary key, the target must allow subscriptions, and its server must reach the source.",
                f"pg_dump --schema-only --no-owner --no-privileges {old} | psql {new} -v ON_ERROR_STOP=1 &&\n"
                f"psql {old} -c 'create publication repatria for all tables' &&\n"
                f"psql {new} -c \"create subscription repatria connection '{old}' publication repatria\"",
                f"until [ \"$(psql {old} -Atc \"{POSTGRES_LAG}\")\" = 0 ]; do sleep 1; done &&\n"
                f"psql {old} -At -f {sequences} | psql {new} -v ON_ERROR_STOP=1 && psql {new} -c 'drop subscription repatria'",
            ),
            files={counts: POSTGRES_COUNTS, sequences: POSTGRES_SEQUENCES},
        )  # fmt: skip
    if any(word in engine for word in ("mysql", "mariadb")):
        tables = f"{SQL}/mysql-tables.sql"
        old, new = (
            f'--defaults-file="$HOME"/.{service}-aws.cnf',
            f'--defaults-file="$HOME"/.{to}.cnf',
        )
        return Engine(
            why="mydumper takes a consistent dump in parallel; every pass copies everything.",
            copy=f"rm -rf {dump} && mydumper {old} --threads 4 --outputdir {dump} && myloader {new} --threads 4 --overwrite-tables --directory {dump}",
            expected="myloader ends with exit code 0.",
            check=f"diff <(mysql {old} -N < {tables} | mysql {old} -N) <(mysql {old} -N < {tables} | mysql {new} -N)",
            undo=text("Drop the schemas at the target; {name} at AWS is untouched.", name=source.name),
            undo_last=untouched, window="whole", role="database",
            instead=Instead(
                "Binlog replication from the position in the dump's file `metadata`: the target follows while users work, the window only waits until it has caught up. The target must allow an outside source; its administrator starts it, so that the password is in no command.",
                f"mysql {old} -e 'call mysql.rds_set_configuration(\"binlog retention hours\", 168)' && cat {dump}/metadata",
                f"mysql {new} -e 'show replica status\\G' | grep -E 'Running|Behind|Error'",
            ),
            files={tables: MYSQL_TABLES},
        )  # fmt: skip
    region = shlex.quote(source.region)
    if source.type == "aws.dynamodb.table":
        items = shlex.quote(f"{target}.{'last' if last else 'first'}.json")
        return Engine(
            why="The whole table is read into a file and loaded into what was chosen for it; every pass copies everything.",
            copy=f"aws dynamodb scan --region {region} --table-name {name} --output json > {items}",
            expected="As many items at the target as the table has.",
            check=f"aws dynamodb scan --region {region} --table-name {name} --select COUNT --query Count",
            undo="Empty the target; the table at AWS is untouched.", undo_last=untouched,
            window="whole", person=True, role="database",
        )  # fmt: skip
    return Engine(
        why=text("Its data leaves by the engine's own export ({engine}); a person designs that with the application's owner.", engine=engine or source.type),
        copy="", expected="Counts on both sides agree.", check="", undo="The source is untouched.", undo_last=untouched,
        window="whole", person=True, role="database",
    )  # fmt: skip
