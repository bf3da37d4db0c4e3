"""plan.json -> what a director reads in a minute; plan.md and plan.html say the same, because both ask here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolkit.messages import tell
from toolkit.outcomes import Text, text

Teller = Callable[..., str]

MEANING = {
    "rehost": "the same thing at the target",
    "replatform": "another product that does the same",
    "repurchase": "bought as a service elsewhere",
    "refactor": "the application has to change",
    "absorbed": "part of something else there",
    "retire": "no longer needed",
    "retain": "stays at AWS for now",
}

RANK = {"blocker": 0, "critical": 0, "major": 1, "warning": 1, "minor": 2, "info": 2}

ROLE_OF = {
    "balancer-members": "network", "balancer-size": "network", "boot": "operator", "cache": "operator", "database": "database",
    "files": "operator", "group-size": "operator", "keep-addresses": "network", "key": "security", "nat-protocols": "network", "public-bucket": "security",
    "public-egress": "network", "table": "database",
}  # fmt: skip
"""Who decides a topic; everything else is the owner's."""


def teller(plan: Mapping[str, Any]) -> Teller:
    """Says messages in the plan's language."""
    language = plan["header"]["language"]

    def t(message: Any, **args: Any) -> str:
        return tell({"msg": message, "args": args} if args else message, language)

    return t


def names(plan: Mapping[str, Any]) -> dict[str, str]:
    """Key of a resource -> its name."""
    return {key(item["subject"]): str(item["subject"]["name"]) for item in plan["items"]}


def key(subject: Mapping[str, Any]) -> str:
    """The key by which decisions, steps and rewirings name a resource."""
    return "|".join(str(subject[part]) for part in ("type", "account", "region", "id"))


def calendar(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per wave: the earliest day of its window when all preparation starts on day 0, one window a day.

    `lead` is days, `minutes` the known part of the window, `unknown` counts its steps without a length.
    """
    lead: dict[int, int] = {}
    minutes: dict[int, float] = {}
    unknown: dict[int, int] = {}
    for step in plan["steps"]:
        number = step["wave"]
        lead[number] = max(lead.get(number, 0), step["lead_days"])
        if step["phase"] == "during":
            minutes[number] = minutes.get(number, 0) + (step["minutes"] or 0)
            unknown[number] = unknown.get(number, 0) + (step["minutes"] is None)
    found: list[dict[str, Any]] = []
    day = -1
    for wave in plan["waves"]:
        number = wave["number"]
        day = max(day + 1, lead.get(number, 0))
        found.append(
            {
                "number": number, "applications": wave["applications"], "needs": wave["needs"], "lead": lead.get(number, 0),
                "opens": day, "minutes": minutes.get(number, 0), "unknown": unknown.get(number, 0),
            }
        )  # fmt: skip
        day += int(minutes.get(number, 0) // 1440)
    return found


def decisions(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Decisions of one topic with one answer and the same options together: who, before which wave, how many days ahead.

    The most urgent first: latest day counted from day 0 of the calendar.
    """
    said = names(plan)
    wave_of = {key(item["subject"]): item["wave"] for item in plan["items"]}
    days = {each["number"]: each for each in calendar(plan)}
    first_wave = min(days, default=1)
    people = plan["header"]["people"]
    groups: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}
    for decision in plan["decisions"]:
        mark = (decision["topic"], decision["chosen"], tuple(o["id"] for o in decision["options"]))
        held = groups.setdefault(mark, {"first": decision, "names": [], "waves": []})
        held["names"].append(said.get(decision["subject"], decision["subject"]))
        held["waves"].append(wave_of.get(decision["subject"]) or first_wave)
    found = []
    for mark in sorted(groups):
        held = groups[mark]
        first = held["first"]
        role = ROLE_OF.get(first["topic"], "owner")
        wave = min(held["waves"])
        at = days.get(wave, {"opens": 0, "lead": 0})
        label = next((o["label"] for o in first["options"] if o["id"] == first["chosen"]), "")
        found.append(
            {
                "first": first, "names": held["names"], "role": role, "who": people.get(role, {}).get("name", ""),
                "wave": wave, "lead": at["lead"], "by": at["opens"] - at["lead"], "label": label,
                "others": [o for o in first["options"] if o["id"] != first["chosen"]],
            }
        )  # fmt: skip
    return sorted(found, key=lambda each: (each["by"], each["wave"], -len(each["names"])))


def losses(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Losses with the same words together: worst and most frequent first, with the names they touch.

    `reason` is the first one's, `names` are all of it; `alike` those with the same words about something else.
    """
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for item in plan["items"]:
        for loss in item["losses"]:
            words = loss["reason"] if isinstance(loss["reason"], str) else loss["reason"]["msg"]
            held = groups.setdefault(
                (loss["severity"], words),
                {
                    "severity": loss["severity"],
                    "reason": loss["reason"],
                    "names": {},
                    "alike": {},
                    "count": 0,
                },
            )
            held["count"] += 1
            # once each, in the order of the plan
            held["names" if loss["reason"] == held["reason"] else "alike"][
                item["subject"]["name"]
            ] = None
    return sorted(
        (
            {
                **held,
                "names": list(held["names"]),
                "alike": [n for n in held["alike"] if n not in held["names"]],
            }
            for held in groups.values()
        ),
        key=lambda each: (RANK[each["severity"]], -each["count"], str(each["reason"])),
    )


def summary(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The answers of the first page: what, how much, what is lost, when, and what stands in the way."""
    waves = calendar(plan)
    longest = max(plan["steps"], key=lambda step: step["lead_days"], default=None)
    of = [(item, kind) for item in plan["items"] for kind in ("losses", "findings")]
    return {
        "waves": waves,
        "decisions": decisions(plan),
        "losses": losses(plan),
        "days": max((wave["opens"] for wave in waves), default=0),
        "minutes": sum(wave["minutes"] for wave in waves),
        "longest_window": max(waves, key=lambda wave: wave["minutes"], default=None),
        "unknown": sum(wave["unknown"] for wave in waves),
        "lead": longest,
        "priceless": bool(plan["cost"]["unpriced"]) and all(line["month"] is None for line in plan["cost"]["lines"]),
        "unpriced": [line for line in plan["cost"]["lines"] if line["month"] is None],
        "priced": sorted(
            (line for line in plan["cost"]["lines"] if line["month"]), key=lambda line: -line["month"]
        ),
        "quotas": [quota for quota in plan["quotas"]["kinds"] if quota["request"]],
        "blockers": [(i, each) for i, kind in of for each in i[kind] if each["severity"] == "blocker"],
        "critical": [(i, each) for i, kind in of for each in i[kind] if each["severity"] == "critical"],
    }  # fmt: skip


def needed(waves: Sequence[int]) -> Text:
    """The waves that a wave waits for, one or several."""
    if len(waves) == 1:
        return text("Needs wave {number}.", number=waves[0])
    return text("Needs the waves {numbers}.", numbers=", ".join(map(str, waves)))


BILLED = ("GB of volume", "server", "node")
"""What starts the name of a billed thing; a flavor's or a type's name follows."""


def billed(what: str, t: Teller) -> str:
    """A line of the cost as the reader reads it: `server b3-8`."""
    for kind in BILLED:
        if what.startswith(f"{kind} "):
            return t(f"{kind} {{name}}", name=what.removeprefix(f"{kind} "))
    return t(what)


def duration(minutes: float | None, t: Teller) -> str:
    """Minutes as people say them; None is 'unknown'."""
    if minutes is None:
        return t("unknown")
    if minutes < 90:
        return t("{n} min", n=max(1, round(minutes)))
    value, unit = (minutes / 60, "{n} h") if minutes < 48 * 60 else (minutes / 1440, "{n} days")
    rounded = round(value, 1)
    return t(unit, n=decimal(rounded, 0 if rounded == round(rounded) else 1, t))


def decimal(value: float, digits: int, t: Teller) -> str:
    """A number with the reader's marks: 1,234.5 in English, 1 234,5 in French (no-break space)."""
    plain = f"{value:,.{digits}f}"
    return plain.translate({ord(mark): t(mark) for mark in ",."})
