"""plan.json's steps -> one runbook per wave, in the order in which a tired person works through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from toolkit.messages import tell
from toolkit.plan.steps import PHASES
from toolkit.render.markdown import md

Teller = Callable[..., str]

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
    yield "runbooks/README.md", ("\n".join(_readme(plan, steps)) + "\n").encode()


def duration(minutes: float | None, t: Teller) -> str:
    """Minutes as people say them; None is 'unknown'."""
    if minutes is None:
        return t("unknown")
    if minutes < 90:
        return t("{n} min", n=max(1, round(minutes)))
    if minutes < 48 * 60:
        return t("{n} h", n=f"{minutes / 60:.1f}")
    return t("{n} days", n=f"{minutes / 1440:.1f}")


def _teller(plan: Mapping[str, Any]) -> Teller:
    language = plan["header"]["language"]

    def t(message: Any, **args: Any) -> str:
        return tell(
            {"msg": message, "args": args} if isinstance(message, str) else message, language
        )

    return t


def _runbook(
    plan: Mapping[str, Any], wave: Mapping[str, Any], steps: list[Mapping[str, Any]]
) -> Iterator[str]:
    t = _teller(plan)
    people = plan["header"]["people"]
    apps = ", ".join(md(name) for name in wave["applications"])
    yield f"# {t('Wave {number}', number=wave['number'])}: {apps}"
    yield ""
    yield md(t(wave["why"]))
    yield ""
    lead = max((step["lead_days"] for step in steps), default=0)
    window = [step["minutes"] for step in steps if step["phase"] == "during"]
    known = sum(minutes for minutes in window if minutes is not None)
    unknown = sum(minutes is None for minutes in window)
    yield f"| {t('what')} | |"
    yield "|---|---|"
    yield f"| {t('start')} | {t('{days} days before the window', days=lead)} |"
    yield f"| {t('window')} | {duration(known, t)}{t(', and {n} steps of unknown length', n=unknown) if unknown else ''} |"
    yield f"| {t('steps')} | {len(steps)}, {t('{n} by a person', n=sum(step['person'] for step in steps))} |"
    if wave["needs"]:
        yield f"| {t('after')} | {', '.join(t('wave {number}', number=n) for n in wave['needs'])} |"
    yield ""
    if wave["cycle"]:
        yield t(
            "These need each other in a circle and cut over together: {names}.",
            names=", ".join(md(n) for n in wave["cycle"]),
        )
        yield ""
    if wave["crossings"]:
        yield f"**{t('Connections that still cross to AWS while this wave runs')}**"
        yield ""
        for crossing in wave["crossings"]:
            yield f"- {md(crossing['from'])} {t('to')} {md(crossing['to'])}: {md(crossing['path'])}"
        yield ""
    yield from _set_once(steps, t)
    number = 0
    for phase in PHASES:
        mine = [step for step in steps if step["phase"] == phase]
        if not mine:
            continue
        yield f"## {t(_HEADINGS[phase])}"
        yield ""
        for step in mine:
            number += 1
            yield from _step(number, step, people, t)
    yield from _communication(plan, wave, known, t)


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
    number: int, step: Mapping[str, Any], people: Mapping[str, Any], t: Teller
) -> Iterator[str]:
    turn = (
        f" ({t('point of no return')})"
        if step["turn"] and "return" not in str(step["title"])
        else ""
    )
    yield f"### {number}. {md(t(step['title']))}{turn}"
    yield ""
    who = people.get(step["role"], {}).get("name") or ""
    named = f" ({md(who)})" if who else ""
    by_hand = f", {t('by hand')}" if step["person"] else ""
    basis = f" ({md(t(step['basis']))})" if step["basis"] else ""
    facts = [
        f"{t('who')}: {t(step['role'])}{named}{by_hand}",
        f"{t('takes')}: {duration(step['minutes'], t)}{basis}",
    ]
    if step["lead_days"]:
        facts.append(t("start {days} days ahead", days=step["lead_days"]))
    if step["needs"]:
        facts.append(f"{t('needs')}: {', '.join(f'`{need}`' for need in step['needs'])}")
    yield f"`{step['id']}` · {' · '.join(facts)}"
    yield ""
    yield f"{t('Why')}: {md(t(step['why']))}"
    yield ""
    if step["command"]:
        yield from _block(step["command"])
    if step["expected"]:
        yield f"- {t('Expected')}: {md(t(step['expected']))}"
    if step["check"]:
        yield f"- {t('Check')}:"
        yield ""
        yield from _block(step["check"])
    if step["undo"]:
        yield f"- {t('Undo')}: {md(t(step['undo']))}"
    yield f"- [ ] {t('done, at')} ____ {t('by')} ____"
    yield ""


def _block(command: str) -> Iterator[str]:
    """A code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(run) for run in _runs(command)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}sh"
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
    plan: Mapping[str, Any], wave: Mapping[str, Any], minutes: float, t: Any
) -> Iterator[str]:
    who = plan["header"]["people"].get("communication", {})
    apps = ", ".join(md(name) for name in wave["applications"])
    yield f"## {t('What to tell people')}"
    yield ""
    for heading, body in (
        (
            t("A week before"),
            t(
                "On ____ from ____ for about {time}, {apps} will be interrupted while we move them to {product}. Your data stays yours and moves with them. Addresses change: partners who allow our addresses in a firewall, please reply to this message.",
                time=duration(minutes, t),
                apps=apps,
                product=md(plan["header"]["target"]["product"]),
            ),
        ),
        (
            t("When it starts"),
            t("The move of {apps} has started. Next message at ____.", apps=apps),
        ),
        (
            t("When it is done"),
            t(
                "{apps} are back, from {product}. If something is not as it was, write to {contact}.",
                apps=apps,
                product=md(plan["header"]["target"]["product"]),
                contact=md(who.get("contact") or "____"),
            ),
        ),
        (
            t("If it is called off"),
            t(
                "We have stopped the move of {apps}; everything runs as before. A new date follows.",
                apps=apps,
            ),
        ),
    ):
        yield f"- **{heading}**: {body}"
    yield ""


def _readme(plan: Mapping[str, Any], steps: Mapping[int, list[Mapping[str, Any]]]) -> Iterator[str]:
    t = _teller(plan)
    yield f"# {t('Runbooks')}"
    yield ""
    yield t(
        "One per wave, in this order. Each prints the steps of plan.json; nothing here was run for you."
    )
    yield ""
    yield f"| {t('wave')} | {t('applications')} | {t('steps')} | {t('start')} | {t('window')} |"
    yield "|---|---|---|---|---|"
    for wave in plan["waves"]:
        mine = steps.get(wave["number"], [])
        lead = max((step["lead_days"] for step in mine), default=0)
        window = sum(step["minutes"] or 0 for step in mine if step["phase"] == "during")
        yield f"| [{wave['number']}](wave-{wave['number']:02}.md) | {', '.join(md(a) for a in wave['applications'])} | {len(mine)} | {t('{days} days ahead', days=lead)} | {duration(window, t)} |"
    yield ""
