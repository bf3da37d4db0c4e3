"""The plan of a suite -> its runbooks as data: installation, upgrade, people, certificates, losses, incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.outcomes import Text, joined, text
from toolkit.suite.pages import zone
from toolkit.suite.papers.content import Block, Items, Lines, Name, Para, Runbook, Step, Table

PLAY = (
    "ANSIBLE_CONFIG=playbooks/ansible.cfg ansible-playbook -i inventory --ask-vault-pass playbooks/"
)
"""From the client's workspace, with the collection's `playbooks/` in it or linked into it."""


def runbooks(document: Mapping[str, Any]) -> tuple[Runbook, ...]:
    """All runbooks, in the order of a suite's life."""
    return (
        _installation(document), _upgrade(), _arrives(document), _leaves(document), _certificates(document),
        _host(document), _database(), _provider(document), _incident(document),
    )  # fmt: skip


def names(document: Mapping[str, Any]) -> dict[str, str]:
    """Service -> its full name, of those that are installed."""
    answers = document["answers"]
    labels = {record["name"] for record in document["dns"]["records"]}
    return {
        service: f"{label}.{answers['domain']}"
        for service, label in answers["names"].items()
        if label in labels
    }


def _has(document: Mapping[str, Any], application: str) -> bool:
    return bool(document["answers"]["applications"][application])


def _smoke(id_: str = "smoke") -> Step:
    return Step(
        id=id_, role="operator", minutes=10, title="Let a test do what people do",
        why="A service that runs is not yet one that works: the test signs in, uploads, sends, calls, and tries what must be refused.",
        command="repatria suite smoke -C .",
        expected="Every line says ok. A line that says not run is a part that nobody has tried: it counts as open.",
    )  # fmt: skip


def _announce(what: Text, id_: str = "announce") -> Step:
    return Step(id=id_, role="communication", minutes=15, person=True, title="Tell the people", why=what, expected="Sent to everybody who is concerned, with the time of the next message.")  # fmt: skip


# ------------------------------------------------------------------------------------ from nothing to handed over


def _installation(document: Mapping[str, Any]) -> Runbook:
    return Runbook(
        "installation",
        text("Installation"),
        text("From the answers to a suite that has been handed over. Also for hosts that exist already, with an inventory of your own."),
        tuple(_install(document)),
        after=(Para(text("The records, once the addresses are known:")), Lines(zone(document).rstrip())) if document["dns"]["held"] == "elsewhere" else (),
    )  # fmt: skip


def _install(document: Mapping[str, Any]) -> Iterator[Step]:
    answers = document["answers"]
    yield Step(
        id="answers", role="operator", minutes=30, title="Check the answers and size the suite",
        why="What is wrong here is cheap; after the installation, domain, network and region cannot change any more.",
        command="repatria suite plan -C .", expected="suite.md says the hosts, the volumes, the cost, and what must be asked for. Read it with the client, then commit.",
        undo="Edit suite.toml and run it again.",
    )  # fmt: skip
    if any(each["request"] for each in document["quotas"]):
        yield Step(
            id="quotas", role="owner", minutes=30, person=True, title="Ask the provider for larger quotas",
            why="The hosts do not fit into what a new project may have; raising it takes the provider days.",
            expected="The provider confirmed the numbers of suite.md in writing.",
        )  # fmt: skip
    yield Step(
        id="artefacts", role="operator", minutes=30, title="Fetch what Debian does not have",
        why="Hosts never reach out for software: it is fetched once, checked against its sum or signature, and copied.",
        command="repatria suite artefacts fetch artefacts", check="repatria suite artefacts check artefacts",
        expected="Each file is there and its sum agrees. What cannot be had is named, with the setting for a mirror.",
    )  # fmt: skip
    yield Step(
        id="mail", role="owner", minutes=30, person=True, title="Let the suite send mail",
        why=text("Mail goes through {host}, port {port}. Without SPF and DKIM of {domain} it ends up as spam.", host=answers["mail"]["host"], port=answers["mail"]["port"], domain=answers["domain"]),
        expected="The owner of the relay gave an account, and says that it may send for the domain.",
    )  # fmt: skip
    yield Step(
        id="apply", role="operator", minutes=90, title="Build and install",
        why="The stack makes the hosts, the playbooks install them, role by role. It can be interrupted: the same command continues.",
        command="repatria suite apply -C .",
        expected="It ends with the addresses to open. Where certificates wait for the records in the DNS, it says so.",
        undo="Before anybody uses it: the stack can be destroyed. Afterwards: no.",
    )  # fmt: skip
    yield Step(
        id="by-hand", role="operator", minutes=60, title="Or install on hosts that exist already",
        why="Without a stack: write inventory/hosts.yml yourself, with the same groups and variables.",
        command=f"{PLAY}site.yml", expected="No task failed; a second run changes nothing.",
    )  # fmt: skip
    if document["dns"]["held"] == "elsewhere":
        yield Step(
            id="dns", role="network", minutes=30, person=True, title="Add the records to the zone",
            why="Certificates are given only to names that resolve.",
            check="\n".join(f"dig +short {name}" for name in names(document).values()),
            expected="Each name answers with the address that the stack printed.",
        )  # fmt: skip
    if document["dns"]["well_known"]:
        yield Step(
            id="well-known", role="network", minutes=20, person=True, title="Let the web site name the chat's server",
            why="Servers elsewhere look at the domain first.", check=f"curl --fail {document['dns']['well_known']}",
            expected=text("The answer names {host}, port 443.", host=names(document).get("matrix", "")),
        )  # fmt: skip
    yield _smoke()
    yield Step(
        id="outside", role="security", minutes=20, title="Look for hosts outside",
        why="No service may contact anybody whom the client did not allow. Work with the suite while it is recorded.",
        command="repatria suite lint --hosts -C .\nrepatria suite contacts -C . --minutes 15", expected="No contact; what is allowed has its reason.",
        undo="Take the host out of the configuration, or allow it in suite.toml with a reason.",
    )  # fmt: skip
    if document["backup"]:
        yield Step(
            id="backup", role="operator", minutes=30, title="Make the first backup",
            why="Nobody works in the suite before it has one.", command="repatria suite backup -C .",
            expected="One complete set, with its number; the check of its sums is green.",
        )  # fmt: skip
        yield Step(
            id="drill", role="operator", minutes=120, title="Restore it once, elsewhere",
            why="A backup that nobody restored is a hope. Follow the runbook of the database, or of the provider, on hosts that are thrown away.",
            command="repatria suite restore -C drill", expected="The canaries are there, byte for byte; drill.json holds the date and the times.",
        )  # fmt: skip
    yield Step(
        id="hand-over", role="owner", minutes=60, person=True, title="Hand over",
        why="From here on the client can run it, or give it to somebody else.", command="repatria suite papers -C .",
        expected="The binder is signed; vault password and recovery keys are where it says, with two people.",
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- in operation


def _upgrade() -> Runbook:
    steps = [
        Step(
            id="read", role="operator", minutes=30, title="Read what changes",
            why="Release notes name what breaks. Nextcloud goes up one major version at a time and never down.",
            command="repatria suite status -C .", check="repatria suite artefacts check artefacts",
            expected="The versions that run, the age of the last backup, the new files with agreeing sums.",
        ),
        _announce(text("People forgive an announced interruption. Choose an hour without conferences.")),
        Step(
            id="backup", role="operator", minutes=30, title="Make a backup now",
            why="It is the only way back: databases do not go down to an older version.",
            command="repatria suite backup -C .", expected="A complete set that is not older than this window.",
        ),
        Step(
            id="upgrade", role="operator", minutes=60, title="Upgrade",
            why="Only what has a new version stops; its users see a page that says so.", command="repatria suite upgrade -C .",
            expected="It shows the steps and asks; each ends with a healthy service. What fails stays in maintenance, with the old version beside it.",
            undo="Put the old version back into the settings and restore the set of this window (runbook of the database).",
        ),
        Step(
            id="plain", role="operator", minutes=60, title="Or the same by Ansible alone", command=f"{PLAY}upgrade.yml",
            expected="No task failed.",
        ),
        _smoke(),
        Step(
            id="papers", role="operator", minutes=10, title="Make the papers again", why="The binder names versions and the end of their support.",
            command="repatria suite papers -C .", expected="The difference is committed.",
        ),
    ]  # fmt: skip
    return Runbook("upgrade", text("Upgrade"), text("A new version of an application, or a security notice. The system updates itself at night; a restart that it needs is planned like an upgrade."), tuple(steps))  # fmt: skip


def _arrives(document: Mapping[str, Any]) -> Runbook:
    directory = document["answers"]["directory"]["kind"]
    held = names(document)
    steps = [
        Step(
            id="account", role="operator", minutes=10, person=True, title="Create the account",
            why=text("In the client's directory: the suite takes people from there.") if directory != "none"
            else text("In the sign-on ({url}), realm of the suite: applications make theirs at the first sign-in.", url=f"https://{held.get('login', '')}"),
            expected="Name, mail address, groups; the person must choose a password at the first sign-in.",
            undo="Delete the account before its first sign-in.",
        ),
        Step(
            id="groups", role="owner", minutes=5, person=True, title="Give the groups, and nothing more",
            why="Shared folders and rooms come by groups; rights of single people are forgotten when they change jobs.",
            expected="The groups that the job needs. Administrators have a second account for it.",
        ),
        Step(
            id="first", role="operator", minutes=15, person=True, title="Be there at the first sign-in",
            why="One sign-in opens everything. The key of the encrypted chat exists only with the person: without it old messages are lost.",
            check="\n".join(f"https://{held[service]}" for service in ("cloud", "chat", "meet") if service in held),
            expected="Each address opens without a second password; the recovery key is kept by the person.",
        ),
        Step(
            id="rules", role="communication", minutes=10, person=True, title="Say what is kept, and for how long",
            why="Information under articles 13 and 14 of the GDPR: the page on data protection of the binder says it.",
            expected="The person has the page.",
        ),
    ]  # fmt: skip
    return Runbook("person-arrives", text("A person arrives"), text("Somebody begins to work with the suite."), tuple(steps))  # fmt: skip


def _leaves(document: Mapping[str, Any]) -> Runbook:
    steps = [
        Step(
            id="disable", role="security", minutes=5, person=True, title="Disable the account",
            why="At the moment of leaving, not at the end of the month. Disabled first, erased later: what was disabled can come back.",
            expected="The sign-on refuses the person; open sessions of all applications end.",
            undo="Enable the account again.",
        ),
        Step(
            id="tokens", role="security", minutes=10, person=True, title="End what does not ask the sign-on",
            why="Application passwords of synchronising devices and sessions of the chat outlive the account.",
            expected="No device is left in Nextcloud's list and in the list of sessions of the chat.",
        ),
        Step(
            id="hand-on", role="owner", minutes=30, person=True, title="Hand on what belongs to the work",
            why="Files in shared folders stay. Files of the person alone, calendars and rooms without another administrator do not.",
            expected="Somebody owns each of them.",
        ),
        Step(
            id="export", role="operator", minutes=30, title="Give the person their data, where they ask for it",
            why="Articles 15 and 20 of the GDPR: within a month, in a common format.",
            command=f"{PLAY}user_export.yml -e user=NAME -e suite_run_dir=$PWD/.repatria/people", expected="One folder, handed over on a way that the person chose; the copy here is deleted.",
        ),
        Step(
            id="erase", role="operator", minutes=30, title="Erase when the time is over",
            why="Article 17 of the GDPR, and what the client decided to keep by law.",
            command=f"{PLAY}user_erase.yml -e user=NAME -e confirm=NAME -e suite_run_dir=$PWD/.repatria/people",
            expected=text("The account is gone from all applications. Backups forget it after {days} days; until then a restore must erase it again.", days=document["answers"]["backup_days"]),
            undo="There is none but a restore.",
        ),
        Step(
            id="note", role="owner", minutes=5, person=True, title="Write it down", why="Who, when, what was exported, what was erased: without the data themselves.",
            expected="A line in the register of the client.",
        ),
    ]  # fmt: skip
    return Runbook("person-leaves", text("A person leaves"), text("Somebody leaves, or asks for their data or their erasure."), tuple(steps))  # fmt: skip


def _certificates(document: Mapping[str, Any]) -> Runbook:
    held = names(document)
    steps = [
        Step(
            id="see", role="operator", minutes=10, title="See what runs out, and when",
            why="Certificates renew themselves two thirds into their life. A warning means that this did not work.",
            command="\n".join(f"openssl s_client -connect {name}:{5349 if service == 'turn' else 443} -servername {name} </dev/null | openssl x509 -noout -dates -issuer" for service, name in held.items()),
            expected="Each with more than 14 days left, and the issuer that the client chose.",
        ),
        Step(
            id="reach", role="network", minutes=20, person=True, title="See whether the issuer can look",
            why="Nearly always a record has changed, port 80 is closed, or the issuer's directory moved.",
            check="\n".join(f"curl --head http://{name}/.well-known/acme-challenge/x" for name in held.values()),
            expected="Each answers, with 404: the name leads here and port 80 is open.",
        ),
        Step(
            id="renew", role="operator", minutes=15, title="Renew now", why="The role orders what runs out and reloads only what uses it.",
            command=f"{PLAY}site.yml --tags pki", expected="New dates in the first step; no service restarted without need.",
            undo="The old certificate stays until a new one is there.",
        ),
        Step(
            id="other", role="security", minutes=60, person=True, title="Change the issuer where it is lost",
            why="An issuer can revoke, stop, or be out of reach by law. Any ACME directory or the suite's own authority takes its place by one setting.",
            expected="The new directory stands in the settings; it is allowed in suite.toml with a reason. Then renew now.",
            undo="Put the old directory back.",
        ),
        _smoke(),
    ]  # fmt: skip
    return Runbook("certificates", text("Certificates"), text("Monitoring warns of a certificate, a browser refuses one, or a key may be known to others."), tuple(steps))  # fmt: skip


# ------------------------------------------------------------------------------------------------- losses

_LOST = {
    "edge": "nothing can be reached",
    "nextcloud": "files, calendars and contacts are gone for users",
    "files": "Nextcloud has no files",
    "cache": "Nextcloud and the chat's processes stop",
    "postgres_apps": "Nextcloud and the sign-on stop",
    "postgres_chat": "the chat stops",
    "synapse": "the chat stops",
    "element_web": "the chat has no page for browsers",
    "jitsi": "no conference can begin",
    "jitsi_bridge": "conferences of that bridge break off and begin again elsewhere, where there is another one",
    "turn": "conferences fail for people behind strict networks",
    "idp": "nobody else can sign in",
    "monitoring": "nobody is warned",
    "backup": "no new backups are made",
}


def _lost(role: str) -> Text:
    return text(_LOST[role])


def _host(document: Mapping[str, Any]) -> Runbook:
    rows = tuple(
        (
            Name(host["name"], code=True),
            Name(", ".join(each["role"] for each in host["roles"])),
            joined([_lost(each["role"]) for each in host["roles"]], "; "),
        )
        for host in document["hosts"]
    )
    steps = [
        Step(
            id="sure", role="operator", minutes=10, title="Make sure that it is lost", why="A host that is only out of reach and comes back beside its successor destroys data.",
            command="repatria suite status -C .", check="openstack server show HOST" if document["stack"]["renders"] else "",
            expected="The host is named as lost. At the provider it is gone, or you stopped it yourself.",
        ),
        _announce(text("Say what does not work, not what broke. The table below says what each host carries.")),
        Step(
            id="volume", role="operator", minutes=10, person=True, title="Look whether its volumes live",
            why="Data are on volumes of their own. If they live, nothing is lost, and nothing must be restored.",
            expected="The state of each volume in suite.md: available, in use, or gone.",
        ),
        Step(
            id="rebuild", role="operator", minutes=45, title="Build it again", why="Same name, same private address, same volumes: no other host notices.",
            command="repatria suite apply -C . --refresh", expected="Only that host is made; the playbooks install its roles.",
            undo="Destroy it at the provider and begin again.",
        ),
        Step(
            id="restore", role="database", minutes=60, title="Restore what its volumes held, where they are gone",
            why="The last complete set; what was written since is lost. Say so.", command="repatria suite restore -C .",
            expected="It names the set and its time, and ends with the canaries found.",
        ),
        _smoke(),
    ]  # fmt: skip
    table: tuple[Block, ...] = (Table(text("What a host carries"), (text("host"), text("roles"), text("without it")), rows),)  # fmt: skip
    return Runbook("host-lost", text("A host is lost"), text("A host does not answer and will not come back: hardware, a deletion, an intrusion."), tuple(steps), after=table)  # fmt: skip


def _database() -> Runbook:
    steps = [
        Step(
            id="stop", role="database", minutes=5, person=True, title="Stop and think", why="A restore overwrites. Somebody who deleted one folder needs the bin, or one file, and no restore of a database.",
            expected="Two people agree on what is restored, from when, and what is lost by it.",
        ),
        Step(
            id="choose", role="database", minutes=15, title="Choose the moment", why="A nightly set holds all applications at one time. A single cluster can also go back to any minute of its archived log.",
            command="repatria suite status -C .", expected="The number and the time of the set, or the minute before the damage.",
        ),
        Step(
            id="keep", role="database", minutes=20, title="Keep what is there now", why="The damaged state may still hold what the backup lacks.",
            command="repatria suite backup -C .", expected="A set with the time of now. It is no good one: write its number down.",
            undo="None needed.",
        ),
        _announce(text("Say from when the data will be, and that what came later must be done again.")),
        Step(
            id="restore", role="database", minutes=60, title="Restore",
            why="The application stops, the database is made anew from the set, its files and keys with it, then it starts. Backups wait meanwhile.",
            command="repatria suite restore -C .", expected="It shows what it will overwrite and asks; it ends with the canaries found.",
            undo="Restore the set of the step before.",
        ),
        Step(
            id="plain", role="database", minutes=60, title="Or the same by Ansible alone", command=f"{PLAY}restore.yml", expected="No task failed."),
        _smoke(),
        Step(
            id="erase", role="security", minutes=15, person=True, title="Erase again whom the set brought back",
            why="People who were erased after the set are in it.", expected="The register of the client names nobody who is there again.",
        ),
    ]  # fmt: skip
    return Runbook("database", text("A database is restored"), text("Data were deleted, damaged or encrypted, or a drill is due."), tuple(steps))  # fmt: skip


def _provider(document: Mapping[str, Any]) -> Runbook:
    backup, answers = document["backup"], document["answers"]
    if backup is None:
        return Runbook(
            "provider-lost", text("The provider is lost"),
            text("The provider, its region or the contract ends from one day to the next."), (),
            before=(Para(text("No backup outside of the provider was chosen: there is nothing to begin from. Set [backup] in suite.toml first."), mark=True),),
        )  # fmt: skip
    place = f"{backup['cloud']} {backup['region']}".strip()
    steps = [
        Step(
            id="decide", role="owner", minutes=30, person=True, title="Decide that it is lost", why=text("From here on {here} is given up. What is not in the last set at {there} is lost.", here=f"{answers['cloud']} {answers['region']}".strip(), there=place),
            expected="The owner said so, in writing, with the time.",
        ),
        _announce(text("Nothing works yet. Say when the next message comes, and how people reach each other until then: by telephone.")),
        Step(
            id="seize", role="security", minutes=15, person=True, title="Take the keys", why="They must not be with the provider that is lost: the binder says where they are.",
            expected="You have: this workspace, the vault password, the password of the backups, the credential of the second provider.",
        ),
        Step(
            id="answers", role="operator", minutes=30, person=True, title="Write the answers for the other place",
            why=text("A copy of suite.toml in a new folder: target is {there} now, backup another place again.", there=place),
            command="repatria suite init CLIENT ../elsewhere --answers elsewhere.toml", expected="The file is taken. Quotas there should have been asked for long ago.",
        ),
        Step(
            id="plan", role="operator", minutes=15, title="Size it there", command="repatria suite plan -C ../elsewhere", expected="No blocker; flavors of that provider.",
        ),
        Step(
            id="apply", role="operator", minutes=90, title="Build and install there", why="Artefacts come from your folder, not from their makers.",
            command="repatria suite apply -C ../elsewhere", expected="It waits for the records of the DNS, or has certificates of the suite's own authority.",
        ),
        Step(
            id="restore", role="database", minutes=120, title="Restore the last set there", why="All applications, with their keys: the chat's signing key and the identities stay the same.",
            command="repatria suite restore -C ../elsewhere", expected="The canaries are there; the time of the set is the moment until which data exist.",
        ),
        Step(
            id="dns", role="network", minutes=30, person=True, title="Lead the names there", why="The records live for 300 seconds; the zone must not be with the provider that is lost.",
            check="\n".join(f"dig +short {name}" for name in names(document).values()), expected="Each name answers with its new address.",
        ),
        _smoke(),
        Step(
            id="again", role="operator", minutes=60, title="Back up again, at a third place", why="The second provider is the first one now, and nothing protects it yet.",
            command="repatria suite backup -C ../elsewhere", expected="A complete set that is not where the suite is.",
        ),
    ]  # fmt: skip
    return Runbook("provider-lost", text("The provider is lost"), text("The provider, its region or the contract ends from one day to the next."), tuple(steps))  # fmt: skip


def _incident(document: Mapping[str, Any]) -> Runbook:
    steps = [
        Step(
            id="name", role="owner", minutes=5, person=True, title="Name one who leads, and one who speaks",
            why="Who repairs does not answer the telephone, and who speaks does not repair.", expected="Both names, and the time, are written down. Everything else is written down from now on too.",
        ),
        Step(
            id="grade", role="owner", minutes=5, person=True, title="Grade it",
            why="Red: nobody can work, or data are lost or with others. Yellow: a service is missing or slow. White: nobody notices.",
            expected="A colour. Red wakes people at night.",
        ),
        Step(
            id="facts", role="operator", minutes=10, title="Collect facts", command="repatria suite status -C .", check="repatria suite smoke -C .",
            expected="What works and what does not, since when. Not why: that comes later.",
        ),
        Step(
            id="first", role="communication", minutes=10, person=True, title="Send the first message within half an hour",
            why="On a way that does not depend on the suite: chat and mail may be what is down. People forgive a fault, but not silence.",
            expected="Sent; the time of the next message stands in it and is kept, even with nothing new.",
        ),
        Step(
            id="data", role="security", minutes=30, person=True, title="Ask whether data of people are concerned",
            why="Lost, changed, or seen by others: then article 33 of the GDPR gives 72 hours from the moment of knowing to tell the supervisory authority, and article 34 may ask to tell the people.",
            expected="The data protection officer decided, and the decision with its reason is written down. The clock began when it was known, not when it was understood.",
        ),
        Step(
            id="evidence", role="security", minutes=30, person=True, title="Keep the traces, where somebody broke in",
            why=text("Logs with addresses are deleted after {days} days; a host that is built again has none.", days=document["answers"]["logs_days"]),
            expected="Snapshots of the volumes and copies of the journal, before anything is rebuilt. Secrets that the host held are changed.",
        ),
        Step(
            id="end", role="communication", minutes=15, person=True, title="Send the last message", expected="What happened, from when to when, what is lost, what people must do, whom they ask.",
        ),
        Step(
            id="learn", role="owner", minutes=60, person=True, title="Look back within a week", why="Without guilt: what let it happen, what let it last.",
            expected="Each finding has an owner and a day; open risks of the binder are up to date.",
        ),
    ]  # fmt: skip
    client = document["answers"]["client"]
    templates: tuple[Block, ...] = (
        Para(text("Words to begin with. What is in brackets is yours.")),
        Items(
            (
                text("First: “Since [time], [service] of {client} does not work for [whom]. We know of it and work on it. Until then please [other way]. Next message at [time].”", client=client),
                text("Between: “[Service] still does not work. We know that [fact]. Nothing is known yet of [question]. Next message at [time].”"),
                text("End: “Since [time] [service] works again. What was entered between [time] and [time] is [there / lost: please enter it again]. We are sorry. We will say by [date] what we change.”"),
                text("Data: “Between [time] and [time] [data] of [whom] may have been [seen / changed / lost]. We told the supervisory authority on [date]. Please [change the password / watch for]. Questions to [name, telephone].”"),
            )
        ),
    )  # fmt: skip
    return Runbook("incident", text("Communication in an incident"), text("Something is wrong and people notice, or would want to know. Runs beside the runbook that repairs."), tuple(steps), after=templates)  # fmt: skip
