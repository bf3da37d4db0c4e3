"""plan.json's steps -> one runbook per wave, in the order in which a tired person works through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.plan.steps import PHASES
from toolkit.render.markdown import md
from toolkit.render.summary import Teller, calendar, duration, teller

ENGINES = frozenset({"aws", "openstack", "pulumi", "rclone"})
"""Words that start a command: an undo that starts with one can be copied."""

_HEADINGS = {"before": "Before the window", "during": "In the window", "after": "Afterwards"}


def runbooks(plan: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(`runbooks/wave-NN.md`, content) per wave, and `runbooks/README.md` with the order and the variables."""
    steps: dict[int, list[Mapping[str, Any]]] = {}
    for step in plan["steps"]:
        steps.setdefault(step["wave"], []).append(step)
    for wave in plan["waves"]:
        mine = steps.get(wave["number"], [])
        yield (
            f"runbooks/wave-{wave['number']:02}.md",
            ("\n".join(_runbook(plan, wave, mine)) + "\n").encode(),
        )
    yield "runbooks/README.md", ("\n".join(_readme(plan)) + "\n").encode()


def _runbook(
    plan: Mapping[str, Any], wave: Mapping[str, Any], steps: list[Mapping[str, Any]]
) -> Iterator[str]:
    t = teller(plan)
    people = plan["header"]["people"]
    apps = ", ".join(md(name) for name in wave["applications"])
    told = {each["number"]: each for each in calendar(plan)}[wave["number"]]
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
            yield from _step(numbers, step, people, when, t)
            clock += step["minutes"] or 0
            sure = sure and step["minutes"] is not None
    yield from _communication(plan, wave, known, t)


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
    """Shell variables that the commands of this runbook use."""
    told = {
        "$TARGET_DEVICE": "a new volume at the target as the server that copies sees it, such as /dev/vdb",
        "$COPY_HOST": "a server at the target that has the new volumes attached, reachable by SSH",
        "$EXPORT_BUCKET": "a bucket in the source region that AWS may export images to",
        "$TARGET_REGISTRY": "the registry at the target, host and project",
        "$SOURCE_IMAP": "the old mail host",
        "$TARGET_IMAP": "the new mail host",
    }
    used = [
        name for name in told if any(name in f"{step['command']} {step['check']}" for step in steps)
    ]
    if used:
        yield f"**{t('Set once, in the shell that you work in')}**"
        yield ""
        for name in used:
            yield f"- `{name}`: {t(told[name])}"
        yield ""


def _step(
    numbers: Mapping[str, int],
    step: Mapping[str, Any],
    people: Mapping[str, Any],
    when: str,
    t: Teller,
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
        facts.append(
            f"{t('needs')}{t(':')} {', '.join(_need(need, numbers, t) for need in step['needs'])}"
        )
    yield f"`{step['id']}` · {' · '.join(facts)}"
    yield ""
    yield f"**{t('Why')}.** {md(t(step['why']))}"
    yield ""
    if step["command"]:
        yield f"**{t('Command')}.**"
        yield ""
        yield from _block(step["command"])
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


def _need(need: str, numbers: Mapping[str, int], t: Teller) -> str:
    """A step of this runbook by its number, one of another wave by its id."""
    return t("step {n}", n=numbers[need]) if need in numbers else f"`{need}`"


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
    longest = max((len(run) for run in _runs(command)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}bash"
    yield command
    yield fence
    yield ""


def _runs(text: str) -> Iterator[str]:
    run = ""
    for char in f"{text} ":
        if char == "`":
            run += char
        elif run:
            yield run
            run = ""


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
                "{apps} are back, from {product}. If something is not as it was, write to {contact}.",
                apps=apps, product=product, contact=md(who.get("contact") or contact),
            ),
        ),
        (t("If it is called off"), t("We have stopped the move of {apps}; everything runs as before. A new date follows.", apps=apps)),
    ):  # fmt: skip
        yield f"**{heading}**"
        yield ""
        yield f"> {body}"
        yield ""


def _readme(plan: Mapping[str, Any]) -> Iterator[str]:
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
        steps = sum(step["wave"] == wave["number"] for step in plan["steps"])
        apps = ", ".join(md(a) for a in wave["applications"])
        needs = ", ".join(t("wave {number}", number=need) for need in wave["needs"])
        yield f"| [{wave['number']}](wave-{wave['number']:02}.md) | {apps} | {steps} | {wave['lead']} | {duration(wave['minutes'], t)} | {needs} |"
    yield ""
    yield t(
        "Before the first wave: read each runbook once from top to bottom, with the people in it."
    )
    yield ""
