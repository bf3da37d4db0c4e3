"""plan.json's steps -> one runbook per wave, in the order in which a tired person works through it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.plan.step import PHASES
from toolkit.render.markdown import code, md
from toolkit.render.summary import Teller, calendar, duration, names, teller

ENGINES = frozenset({"aws", "bao", "kcadm.sh", "openstack", "pulumi", "rabbitmqadmin", "rclone"})
"""Words that start a command: an undo that starts with one can be copied."""

_HEADINGS = {"before": "Before the window", "during": "In the window", "after": "Afterwards"}


def runbooks(plan: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(`runbooks/wave-NN.md`, content) per wave, what the commands read, and `runbooks/README.md` with the order."""
    steps: dict[int, list[Mapping[str, Any]]] = {}
    for step in plan["steps"]:
        steps.setdefault(step["wave"], []).append(step)
    known = _Known(
        teller(plan),
        {each["number"]: each for each in calendar(plan)},
        names(plan),
        len({each["subject"]["account"] for each in plan["items"]}) > 1,
        _by_wave(plan),
    )
    for wave in plan["waves"]:
        mine = steps.get(wave["number"], [])
        yield (
            f"runbooks/wave-{wave['number']:02}.md",
            ("\n".join(_runbook(plan, wave, mine, known)) + "\n").encode(),
        )
    files = {path: said for step in plan["steps"] for path, said in step.get("files", {}).items()}
    yield from ((path, files[path].encode()) for path in sorted(files))
    yield "runbooks/README.md", ("\n".join(_readme(plan, steps)) + "\n").encode()


@dataclass(frozen=True, slots=True)
class _Known:
    """What every runbook of a plan needs, worked out once: days of waves, names of keys, several accounts, places to rewire."""

    t: Teller
    days: Mapping[int, Mapping[str, Any]]
    called: Mapping[str, str]
    several: bool
    rewire: Mapping[int, list[Mapping[str, Any]]]


def _by_wave(plan: Mapping[str, Any]) -> dict[int, list[Mapping[str, Any]]]:
    """Places that name AWS, by the number of the wave that cuts their application over; in the plan's order."""
    waves: dict[str, list[int]] = {}
    for wave in plan["waves"]:
        for name in dict.fromkeys(wave["applications"]):
            waves.setdefault(name, []).append(wave["number"])
    found: dict[int, list[Mapping[str, Any]]] = {}
    for each in plan["rewire"]:
        for number in waves.get(each["application"], ()):
            found.setdefault(number, []).append(each)
    return found


def _runbook(
    plan: Mapping[str, Any],
    wave: Mapping[str, Any],
    steps: list[Mapping[str, Any]],
    whole: _Known,
) -> Iterator[str]:
    t = whole.t
    people = plan["header"]["people"]
    apps = ", ".join(md(name) for name in wave["applications"])
    told = whole.days[wave["number"]]
    yield f"# {t('Wave {number}', number=wave['number'])}{t(':')} {apps}"
    yield ""
    yield md(t(wave["why"]))
    yield ""
    known, unknown = told["minutes"], told["unknown"]
    yield f"| {t('In short')} | |"
    yield "|---|---|"
    yield f"| {t('Preparation')} | {t('starts {days} days before the window', days=told['lead'])} |"
    yield f"| {t('Window')} | {t('on')} ____, {t('from')} ____{t(';')} {duration(known, t)}{', ' + t('steps of unknown length: {n}', n=unknown) if unknown else ''} |"
    turn = next((n for n, step in enumerate(steps, 1) if step["turn"]), None)
    if turn is not None:
        yield f"| {t('Point of no return')} | {t('step {n}', n=turn)} |"
    yield f"| {t('Steps')} | {len(steps)}{t(';')} {t('{n} by a person', n=sum(step['person'] for step in steps))} |"
    if wave["needs"]:
        yield f"| {t('After')} | {', '.join(t('wave {number}', number=n) for n in wave['needs'])} |"
    yield ""
    yield from _roles(steps, people, t)
    if wave["cycle"]:
        yield t(
            "These need each other in a circle and cut over together: {names}.",
            names=", ".join(md(n) for n in wave["cycle"]),
        )
        yield ""
    if wave["crossings"]:
        yield f"**{t('Connections that still cross to AWS while it runs:')}**"
        yield ""
        for crossing in wave["crossings"]:
            said = t("{here} to {there}, until wave {number}", here=md(crossing["from"]), there=md(crossing["to"]), number=crossing["until"])  # fmt: skip
            yield f"- {said}{t(':')} {md(crossing['path'])}"
        yield ""
    yield from _set_once(steps, t)

    def concerned(step: Mapping[str, Any]) -> list[str]:
        return _concerned(step, whole.called, t, several=whole.several)

    numbers = {step["id"]: number for number, step in enumerate(steps, 1)}
    yield from _starts(steps, numbers, t)
    for phase in PHASES:
        mine = [step for step in steps if step["phase"] == phase]
        if not mine:
            continue
        yield f"## {t(_HEADINGS[phase])}"
        yield ""
        if phase == "during":
            yield t(
                "T+ is the earliest time from the start of the window. The way back, up to the point of no return: undo the steps that are done, the last one first."
            )
            yield ""
        clock: float = 0
        sure = True
        for step in mine:
            when = ("T+" if sure else "T+ ≥ ") + _clock(clock) if phase == "during" else ""
            yield from _step(numbers, step, people, when, t, concerned(step))
            clock += step["minutes"] or 0
            sure = sure and step["minutes"] is not None
    yield from _rewiring(whole.rewire.get(wave["number"], []), t)
    yield from _communication(plan, wave, known, t)


def _rewiring(mine: list[Mapping[str, Any]], t: Teller) -> Iterator[str]:
    """The places that still name AWS: whoever rewires at night should not have to look for them."""
    if not mine:
        return
    yield f"## {t('What still names AWS')}"
    yield ""
    yield f"| | {t('where')} | {t('today')} | {t('becomes')} |"
    yield "|---|---|---|---|"
    for each in mine:
        yield f"| \\[ \\] | {md(each['where'])} | {code(each['value'])} | {md(t(each['replaced_by']))} |"
    yield ""


def _clock(minutes: float) -> str:
    return f"{int(minutes // 60)}:{int(minutes % 60):02}"


def _roles(steps: list[Mapping[str, Any]], people: Mapping[str, Any], t: Teller) -> Iterator[str]:
    """Who is needed, and how to reach them at night."""
    used = list(dict.fromkeys(step["role"] for step in steps))
    if not used:
        return
    yield f"| {t('role')} | {t('name')} | {t('contact')} | {t('steps')} |"
    yield "|---|---|---|--:|"
    for role in sorted(used, key=lambda role: (role != "approver", role)):
        who = people.get(role) or {}
        count = sum(step["role"] == role for step in steps)
        yield f"| {t(role)} | {md(who.get('name') or '____')} | {md(who.get('contact') or '____')} | {count} |"
    yield ""


def _starts(steps: list[Mapping[str, Any]], numbers: Mapping[str, int], t: Teller) -> Iterator[str]:
    """What has a lead time, longest first: the calendar of the preparation."""
    early = [step for step in steps if step["lead_days"]]
    if not early:
        return
    yield f"**{t('What has to start early')}**"
    yield ""
    yield f"| {t('days before the window')} | {t('step')} | {t('who')} |"
    yield "|--:|---|---|"
    for step in sorted(early, key=lambda step: (-step["lead_days"], numbers[step["id"]])):
        yield f"| {step['lead_days']} | {numbers[step['id']]}. {md(t(step['title']))} | {t(step['role'])} |"
    yield ""


def _set_once(steps: list[Mapping[str, Any]], t: Teller) -> Iterator[str]:
    """What the commands of this runbook take for granted: files with credentials, and shell variables."""
    said = "\n".join(
        f"{step['command']}\n{step['check']}\n{step.get('instead', {}).get('command', '')}"
        for step in steps
    )
    told = {
        "$COPY_SERVER": "the name or id at the target of the server that copies volumes, in their zone",
        "$ARCHIVE_BUCKET": "a private bucket at the target for what is kept and not used",
        "$REALM": "the Keycloak realm of your people",
        "$BROKER_URL": "the address of the ElasticMQ that takes the queues, such as https://queues.example",
        "$S3_URL": "the address of the target's object store by its S3 API",
        "$IDENTITY_PROVIDER": "the name that the provider gave to your issuer",
        "$ACME_EMAIL": "who hears of certificates that end",
        "$DNS_PROVIDER": "lego's word for the new DNS host; its credentials are in lego's variables",
        "$DKIM_SELECTOR": "the selector of the new relay's key",
        "$RESOLVER": "the address of the new resolver",
        "$COPY_HOST": "a server at the target that has the new volumes attached, reachable by SSH",
        "$EXPORT_BUCKET": "a bucket in the source region that AWS may export images to",
        "$TARGET_REGISTRY": "the registry at the target, host and project; `skopeo login` was done for both registries",
        "$SOURCE_IMAP": "the old mail host",
        "$TARGET_IMAP": "the new mail host",
        "$NEW_NAME_SERVER": "a name server of the new DNS host",
    }
    kept = {
        "kcadm.sh ": "`kcadm.sh config credentials` to the target's Keycloak",
        "rabbitmqadmin ": "the broker's host, user and password in ~/.rabbitmqadmin.conf",
        "kubectl ": "a kubeconfig for the cluster that the step speaks of",
        "openstack ": "`OS_CLOUD`, with the credential in clouds.yaml",
        "rclone": "the remotes `aws` and `target`, set up once with `rclone config`",
        "service=": "a libpq service for each database, in ~/.pg_service.conf with the password in ~/.pgpass",
        "--defaults-file=": "an option file with host, user and password for each MySQL database, readable by you alone",
        "/.imap/": "one file with the password for each mailbox and side, and mailboxes.txt with one user a line",
        "pulumi ": "`pulumi login` to where the state is kept, and the passphrase of the stacks",
    }
    lines = [f"`{name}`{t(':')} {t(told[name])}" for name in told if name in said or f"${{{name[1:]}" in said]  # fmt: skip
    device = t("the new volume of this copy as the server that copies sees it, such as /dev/vdb")
    address = t("the new address of this record (a name, where it is a CNAME)")
    host = t("the address of the server that was built for it")
    asked = sorted(set(re.findall(r"\$\{((?:DEVICE|NEW|NFS|CACHE)_[A-Z0-9_]+):\?", said)) - {"NEW_NAME_SERVER"})  # fmt: skip
    lines += [
        f"`${name}`{t(':')} {device if name.startswith('DEVICE') else address if name.startswith('NEW') else host}"
        for name in asked
        if f"{name}=$(" not in said
    ]
    held = [t(kept[word]) for word in kept if word in said]
    if said.strip():
        yield t("Commands are for bash and run in the folder that holds `repatria.toml`.")
        yield ""
    if held:
        yield f"**{t('Must be in place')}**"
        yield ""
        yield from (f"- {each}" for each in held)
        yield ""
    if lines:
        yield f"**{t('Set once, in the shell that you work in')}**"
        yield ""
        yield from (f"- {line}" for line in lines)
        yield ""


def _step(
    numbers: Mapping[str, int],
    step: Mapping[str, Any],
    people: Mapping[str, Any],
    when: str,
    t: Teller,
    concerned: list[str],
) -> Iterator[str]:
    yield f"### {numbers[step['id']]}. {md(t(step['title']))}"
    yield ""
    if step["turn"]:
        yield f"> **{t('Point of no return.')}** {t('Stop here and ask once more: from this step on, going back means moving data back.')}"
        yield ""
    who = people.get(step["role"], {}).get("name") or ""
    named = f" ({md(who)})" if who else ""
    by_hand = f", {t('by hand')}" if step["person"] else ""
    basis = f" ({md(t(step['basis'])).rstrip('.')})" if step["basis"] else ""
    facts = [when] if when else []
    facts += [
        f"{t('who')}{t(':')} **{t(step['role'])}**{named}{by_hand}",
        f"{t('takes')}{t(':')} {duration(step['minutes'], t)}{basis}",
    ]
    if step["lead_days"]:
        facts.append(t("start {days} days before the window", days=step["lead_days"]))
    if step["needs"]:
        facts.append(f"{t('needs')}{t(':')} {', '.join(_needs(step['needs'], numbers, t))}")
    facts += concerned
    yield f"`{step['id']}` · {' · '.join(facts)}"
    yield ""
    yield f"**{t('Why')}.** {md(t(step['why']))}"
    yield ""
    if table := step.get("settings"):
        yield f"| {t('setting')} | {t('value')} |"
        yield "|---|---|"
        yield from (f"| {_cell(name, t)} | {_cell(value, t)} |" for name, value in table)
        yield ""
    if step["command"]:
        yield f"**{t('Command')}.**"
        yield ""
        yield from _block(step["command"])
    if "run" in step:
        command = code(f"repatria apply {step['run']['stack']}")
        yield t("{command} runs it, checks it and writes it into journal.jsonl.", command=command)
        yield ""
    if other := step.get("instead"):
        yield f"**{t('Or instead')}.** {md(t(other['why']))}"
        yield ""
        yield from _block(other["command"])
    if step["expected"]:
        yield f"**{t('Expected')}.** {md(t(step['expected']))}"
        yield ""
    if step["check"]:
        yield f"**{t('Check')}.**"
        yield ""
        yield from _block(step["check"])
    if step["undo"]:
        yield from _undo(t(step["undo"]), t)
    yield f"- [ ] {t('done, at')} ____ {t('by')} ____"
    yield ""


def _cell(said: Any, t: Teller) -> str:
    """A name or a value of a setting: words of ours in the reader's language, names as they are."""
    return md(t(said if isinstance(said, Mapping) else {"msg": "{said}", "args": {"said": said}}))


def _needs(needs: list[str], numbers: Mapping[str, int], t: Teller) -> Iterator[str]:
    """Steps of this runbook by their numbers, runs of them as `steps 3 to 9`; those of other waves by their ids."""
    yield from (f"`{need}`" for need in needs if need not in numbers)
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers[need] for need in needs if need in numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    for first, last in runs:
        yield t("step {n}", n=first) if first == last else t("steps {n} to {last}", n=first, last=last)  # fmt: skip


def _concerned(
    step: Mapping[str, Any], called: Mapping[str, str], t: Teller, *, several: bool
) -> list[str]:
    """Whose credentials a command at AWS needs, and what a person stops at the freeze."""
    found = []
    accounts = sorted({key.split("|")[1] for key in step["about"]})
    if several and accounts and any(word in step["command"] for word in ("aws ", "aws:")) and "--endpoint-url" not in step["command"]:  # fmt: skip
        found.append(f"{t('AWS account')}{t(':')} {', '.join(md(each) for each in accounts)}")
    if step["phase"] == "during" and step["person"] and step["about"] and not step["command"]:
        listed = ", ".join(md(called.get(key, key)) for key in step["about"])
        found.append(f"{t('concerns')}{t(':')} {listed}")
    return found


def _undo(said: str, t: Teller) -> Iterator[str]:
    """How to take the step back: a command becomes a block that can be copied, its caution stays prose."""
    if said.split(" ", 1)[0] in ENGINES:
        command, _, caution = said.partition(" (")
        said = f"{caution[:1].upper()}{caution[1:].rstrip(').')}." if caution else ""
        yield f"**{t('Undo')}.** {md(said)}".rstrip()
        yield ""
        yield from _block(command)
    else:
        yield f"**{t('Undo')}.** {md(said)}"
        yield ""


def _block(command: str) -> Iterator[str]:
    """A code block for bash (checks compare two commands' output), whose fence is longer than any run of backticks inside it."""
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}bash"
    yield command
    yield fence
    yield ""


def _communication(
    plan: Mapping[str, Any], wave: Mapping[str, Any], minutes: float, t: Teller
) -> Iterator[str]:
    people = plan["header"]["people"]
    who, contact = people.get("communication", {}), t("the service desk")
    apps = ", ".join(md(name) for name in wave["applications"])
    product = md(plan["header"]["target"]["product"])
    yield f"## {t('What to tell people')}"
    yield ""
    yield t(
        "Sent by {who}; fill in the blanks, change the tone, keep the facts.",
        who=md(who.get("name") or t("communication")),
    )
    yield ""
    for heading, body in (
        (
            t("A week before"),
            t(
                "On ____ from ____ for about {time}, {apps} will be interrupted while we move them to {product}. Your data moves with them. Addresses change: if you allow our addresses in a firewall, please reply to this message.",
                time=duration(minutes, t), apps=apps, product=product,
            ),
        ),
        (t("When it starts"), t("The move of {apps} has started. Next message at ____.", apps=apps)),
        (t("When it takes longer"), t("The move of {apps} takes longer than planned; we expect it to end at ____. Next message at ____.", apps=apps)),
        (
            t("When it is done"),
            t(
                "Back in service, from {product}: {apps}. If something is not as it was, write to {contact}.",
                apps=apps, product=product, contact=md(who.get("contact") or contact),
            ),
        ),
        (t("If it is called off"), t("We have stopped the move of {apps}; everything runs as before. A new date follows.", apps=apps)),
    ):  # fmt: skip
        yield f"**{heading}**"
        yield ""
        yield f"> {body}"
        yield ""


def _readme(plan: Mapping[str, Any], steps: Mapping[int, list[Mapping[str, Any]]]) -> Iterator[str]:
    t = teller(plan)
    yield f"# {t('Runbooks')}"
    yield ""
    yield t(
        "One per wave, in this order. Each prints the steps of plan.json; nothing here was run for you."
    )
    yield ""
    yield f"| {t('wave')} | {t('applications')} | {t('steps')} | {t('days of preparation')} | {t('interruption')} | {t('after')} |"
    yield "|--:|---|--:|--:|--:|---|"
    for wave in calendar(plan):
        count = len(steps.get(wave["number"], ()))
        apps = ", ".join(md(a) for a in wave["applications"])
        needs = ", ".join(t("wave {number}", number=need) for need in wave["needs"])
        yield f"| [{wave['number']}](wave-{wave['number']:02}.md) | {apps} | {count} | {wave['lead']} | {duration(wave['minutes'], t)} | {needs} |"
    yield ""
    yield t(
        "Before the first wave: read each runbook once from top to bottom, with the people in it."
    )
    yield ""
