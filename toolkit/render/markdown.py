"""plan.json -> plan.md: a page for who decides, then applications and waves, then each resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from toolkit.render.summary import (
    MEANING,
    RANK,
    Teller,
    billed,
    decimal,
    duration,
    needed,
    summary,
    teller,
)

_SPECIAL = str.maketrans({"&": "&amp;"} | {char: f"\\{char}" for char in "\\`*_[]<>#|~"})
_ANY_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&]")
MOST_NAMED = 12
MOST_LOSSES = 10


def md(text: object) -> str:
    """Text from AWS as one harmless line of Markdown, also inside a table."""
    line = " ".join(str(text).split())
    return line.translate(_SPECIAL) if _ANY_SPECIAL.search(line) else line


def code(text: object) -> str:
    """Text as inline code; backticks inside become apostrophes, pipes and line ends are harmless."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def plan_markdown(plan: Mapping[str, Any]) -> bytes:
    """The whole document, in the plan's language."""
    return ("\n".join(_lines(plan)) + "\n").encode()


def _lines(plan: Mapping[str, Any]) -> Iterator[str]:
    t = teller(plan)
    told = summary(plan)
    yield from _page(plan, told, t)
    yield from _decided(told, t)
    yield from _people(plan, t)
    yield from _applications(plan, t)
    yield from _waves(plan, told, t)
    yield from _cost(plan, told, t)
    yield from _decisions(told, t)
    yield from _findings(plan, t)
    yield from _rewire(plan, t)
    yield from _gaps(plan, t)
    yield from _resources(plan, t)


def _page(plan: Mapping[str, Any], told: Mapping[str, Any], t: Teller) -> Iterator[str]:
    """What a director reads: what, how much, what is lost, how long, what is in the way."""
    target, totals, cost, source = (
        plan["header"]["target"],
        plan["totals"],
        plan["cost"],
        plan["header"]["source"],
    )
    yield f"# {t('The way out of AWS, to {product}', product=md(target['product']))}"
    yield ""
    yield t(
        "{read} resources were read. {planned} become {creates} resources in {stacks} stacks; each of the other {explained} has its reason below.",
        read=totals["read"], planned=totals["planned"], creates=totals["creates"], stacks=totals["stacks"], explained=totals["explained"],
    )  # fmt: skip
    yield ""
    yield f"| {t('In short')} | |"
    yield "|---|---|"
    severe = totals["by_severity"].get("blocker", 0) + totals["by_severity"].get("major", 0)
    lead = told["lead"]
    for name, value in (
        (t("From"), f"AWS{t(':')} {', '.join(md(a) for a in source['accounts'][:MOST_NAMED])}{t(';')} {', '.join(md(r) for r in source['regions'])}"),
        (t("To"), ", ".join(md(each) for each in (target["product"], target["region"], target["project"]) if each)),
        (t("What moves"), t("{n} applications in {waves} waves; {rewire} places in them still name AWS.", n=totals["applications"], waves=totals["waves"], rewire=totals["rewire"])),
        (t("What it costs a month"), f"**{t('unknown')}**. {t('None of {n} items has a price in the catalogue.', n=cost['unpriced'])}" if told["priceless"] else f"**{decimal(cost['total_month'], 0, t)} {cost['currency']}**. {t('List price, excluding tax.')} " + (t("At least: {n} items have no price in the catalogue.", n=cost["unpriced"]) if cost["unpriced"] else "")),
        (t("What is lost"), f"**{severe}** {t('major losses')}. " + t("{blockers} stand in the way; {minor} more are minor.", blockers=totals["by_severity"].get("blocker", 0), minor=totals["by_severity"].get("minor", 0))),
        (t("What must be decided"), f"**{totals['decisions']}** {t('choices')}. " + t("Each has a default; {n} answers cover all of them.", n=len(told["decisions"])) + _first_due(told, t)),
        (t("How long"), f"**{told['days']}** {t('days at least')}. "
         + (t("The longest lead time: {what}, {days} days.", what=md(t(lead["title"])), days=lead["lead_days"]) + " " if lead and lead["lead_days"] else "")
         + (t("The longest interruption: {time}.", time=duration(told["longest_window"]["minutes"], t)) if told["longest_window"] else "")),
        (t("What is not known"), f"**{totals['gaps']}** {t('gaps')}. " + t("Things in AWS that could not be read; {unknown} steps have no known length.", unknown=told["unknown"])),
    ):  # fmt: skip
        yield f"| {name} | {value.strip()} |"
    yield ""
    yield f"| {t('What becomes of everything')} | {t('resources')} | |"
    yield "|---|--:|---|"
    for kind, number in sorted(totals["by_disposition"].items(), key=lambda p: (-p[1], p[0])):
        yield f"| {t(kind)} | {number} | {t(MEANING.get(kind, ''))} |"
    yield ""
    if told["blockers"]:
        yield f"## {t('What stands in the way')}"
        yield ""
        for item, loss in told["blockers"]:
            yield f"- {_name(item)}{t(':')} {md(t(loss['reason']))}"
        yield ""
    if told["critical"]:
        yield f"## {t('What is dangerous today')}"
        yield ""
        for item, finding in told["critical"]:
            yield f"- {_name(item)}{t(':')} {md(t(finding['says']))}"
        yield ""
    heavy = [each for each in told["losses"] if each["severity"] != "minor"][:MOST_LOSSES]
    if heavy:
        yield f"## {t('The heaviest losses')}"
        yield ""
        for each in heavy:
            alike = (
                f"{t(';')} {t('likewise {names}', names=_some([md(n) for n in each['alike']], t))}"
                if each["alike"]
                else ""
            )
            yield f"- **{t(each['severity'])}**{t(':')} {md(t(each['reason']))} ({_some([md(n) for n in each['names']], t)}{alike})"
        yield ""
        yield t("All of them are in losses.csv, and below with each resource.")
        yield ""
    if told["quotas"]:
        yield f"## {t('What the provider must raise first')}"
        yield ""
        yield f"| {t('quota')} | {t('needed')} | {t('default')} |"
        yield "|---|--:|--:|"
        for q in told["quotas"]:
            place = f" ({md(q['place'])})" if q["place"] else ""
            yield f"| {md(t(q['kind']))}{place} | {q['needed']} | {'?' if q['default'] is None else q['default']} |"
        yield ""


def _first_due(told: Mapping[str, Any], t: Teller) -> str:
    if not told["decisions"]:
        return ""
    first = told["decisions"][0]
    who = md(first["who"]) or t(first["role"])
    return " " + t("The first is due on day {day}: {who}.", day=first["by"], who=who)


def _decided(told: Mapping[str, Any], t: Teller) -> Iterator[str]:
    if not told["decisions"]:
        return
    yield f"## {t('What must be decided, by whom, by when')}"
    yield ""
    yield t(
        "The plan chose a default for each. Who disagrees writes the other answer into decisions.yaml before the day; day 0 is when preparation starts."
    )
    yield ""
    yield f"| {t('by day')} | {t('who')} | {t('question')} | {t('default')} |"
    yield "|--:|---|---|---|"
    for each in told["decisions"]:
        who = t(each["role"]) + (f" ({md(each['who'])})" if each["who"] else "")
        more = f" ({t('and {n} more', n=len(each['names']) - 1)})" if len(each["names"]) > 1 else ""
        yield f"| {each['by']} ({t('wave {number}', number=each['wave'])}) | {who} | {md(t(each['first']['question']))}{more} | {md(t(each['label']))} |"
    yield ""


def _decisions(told: Mapping[str, Any], t: Teller) -> Iterator[str]:
    if not told["decisions"]:
        return
    yield f"## {t('The decisions in full')}"
    yield ""
    for each in told["decisions"]:
        first = each["first"]
        yield f"- {md(t(first['question']))} ({code(first['topic'])})"
        yield f"  - {t('chosen')}{t(':')} {code(first['chosen'])}, {_said(t(each['label']))} {md(t(first['why']))}".rstrip()
        for option in each["others"]:
            yield f"  - {t('instead')}{t(':')} {code(option['id'])}, {_said(t(option['label']))} {md(t(option['consequence']))}".rstrip()
        yield f"  - {t('concerns')}{t(':')} {_some([md(name) for name in each['names']], t)}"
    yield ""


def _said(label: str) -> str:
    """A label as a sentence of its own."""
    return md(label) if label.endswith((".", "?", "!")) else f"{md(label)}."


def _findings(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    rows = sorted(
        ((f, item) for item in plan["items"] for f in item["findings"]),
        key=lambda pair: (RANK[pair[0]["severity"]], pair[0]["code"]),
    )
    if rows:
        yield f"## {t('What was found on the way')}"
        yield ""
        for finding, item in rows:
            yield f"- **{t(finding['severity'])}** {_name(item)}{t(':')} {md(t(finding['says']))}"
        yield ""


def _gaps(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    if plan["gaps"]:
        yield f"## {t('What could not be read')}"
        yield ""
        yield f"| {t('service')} | {t('account')} | {t('region')} | {t('because')} | {t('detail')} |"
        yield "|---|---|---|---|---|"
        for gap in plan["gaps"]:
            service = f"{md(gap['service'])} {md(gap['operation'])}".strip()
            yield f"| {service} | {md(gap['account'])} | {md(gap['region'])} | {t(gap['reason'])} | {md(t(gap['detail']))} |"
        yield ""


def _people(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    people = {role: who for role, who in plan["header"]["people"].items() if who["name"]}
    yield f"## {t('Who answers for what')}"
    yield ""
    if people:
        yield f"| {t('role')} | {t('name')} | {t('contact')} |"
        yield "|---|---|---|"
        for role, who in people.items():
            yield f"| {t(role)} | {md(who['name'])} | {md(who['contact'])} |"
    else:
        yield t("Nobody is named yet: fill in `[people]` in `repatria.toml`.")
    yield ""


def _applications(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    wave_of = {name: wave["number"] for wave in plan["waves"] for name in wave["applications"]}
    yield f"## {t('Applications')}"
    yield ""
    yield f"| {t('application')} | {t('wave')} | {t('resources')} | {t('why they belong together')} |"
    yield "|---|--:|--:|---|"
    for app in plan["applications"]:
        reasons = ", ".join(f"{md(t(why))} ({n})" for why, n in app["reasons"].items())
        yield f"| {md(app['name'])} | {wave_of.get(app['name'], '')} | {app['members']} | {reasons} |"
    yield ""


def _waves(plan: Mapping[str, Any], told: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield f"## {t('Waves')}"
    yield ""
    yield t(
        "The earliest days, when the preparation of every wave starts on day 0 and each day has at most one window."
    )
    yield ""
    yield f"| {t('wave')} | {t('applications')} | {t('prepare from')} | {t('window')} | {t('interruption')} |"
    yield "|--:|---|--:|--:|--:|"
    for each in told["waves"]:
        apps = ", ".join(md(name) for name in each["applications"])
        more = (
            f" ({t('steps of unknown length: {n}', n=each['unknown'])})" if each["unknown"] else ""
        )
        yield f"| {each['number']} | {apps} | {t('day {n}', n=each['opens'] - each['lead'])} | {t('day {n}', n=each['opens'])} | {duration(each['minutes'], t)}{more} |"
    yield ""
    for wave in plan["waves"]:
        yield f"### {t('Wave {number}', number=wave['number'])}{t(':')} {', '.join(md(a) for a in wave['applications'])}"
        yield ""
        needs = " " + t(needed(wave["needs"])) if wave["needs"] else ""
        link = f"[{t('Runbook of wave {number}', number=wave['number'])}](runbooks/wave-{wave['number']:02}.md)"
        yield f"{t('{n} resources', n=wave['resources'])}. {md(t(wave['why']))}{needs} {link}"
        if wave["cycle"]:
            yield ""
            yield t(
                "These need each other in a circle and cut over together: {names}.",
                names=", ".join(md(n) for n in wave["cycle"]),
            )
        if wave["crossings"]:
            yield ""
            yield t("Connections that still cross to AWS while it runs:")
            yield ""
            for crossing in wave["crossings"]:
                said = t(
                    "{here} to {there}, until wave {number}",
                    here=md(crossing["from"]),
                    there=md(crossing["to"]),
                    number=crossing["until"],
                )
                yield f"- {said}{t(':')} {md(crossing['path'])}"
        yield ""


def _cost(plan: Mapping[str, Any], told: Mapping[str, Any], t: Teller) -> Iterator[str]:
    cost = plan["cost"]
    yield f"## {t('What it costs a month')}"
    yield ""
    yield t(
        "List prices of the catalogue, seen {seen}, excluding tax; traffic, licences, support and work are not in them.",
        seen=cost["seen"] or "?",
    )
    yield ""
    yield f"| {t('what')} | {t('amount')} | {t('each')} | {cost['currency']} |"
    yield "|---|--:|--:|--:|"
    for line in told["priced"]:
        yield f"| {md(billed(line['what'], t))} | {decimal(line['count'], 0, t)} | {decimal(line['each_month'], 2, t)} | {decimal(line['month'], 2, t)} |"
    for line in told["unpriced"]:
        yield f"| {md(billed(line['what'], t))} | {decimal(line['count'], 0, t)} | ? | {t('no price')} |"
    total = t("total, at least") if cost["unpriced"] else t("total")
    yield f"| **{total}** | | | **{t('unknown') if told['priceless'] else decimal(cost['total_month'], 2, t)}** |"
    yield ""


def _rewire(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    if not plan["rewire"]:
        return
    yield f"## {t('What must be rewired')}"
    yield ""
    yield t("Places that name AWS today, and what takes the name's place.")
    yield ""
    yield f"| {t('application')} | {t('where')} | {t('what stands there')} | {t('what replaces it')} |"
    yield "|---|---|---|---|"
    for entry in plan["rewire"]:
        yield f"| {md(entry['application'])} | {md(entry['where'])} | {code(entry['value'])} | {md(t(entry['replaced_by']))} |"
    yield ""


def _resources(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield f"## {t('Every resource')}"
    yield ""
    by_app: dict[str, list[Mapping[str, Any]]] = {}
    for item in plan["items"]:
        by_app.setdefault(item["application"], []).append(item)
    for app, items in sorted(by_app.items()):
        yield f"### {md(app)}"
        yield ""
        for item in items:
            yield from _resource(item, t)
        yield ""


def _resource(item: Mapping[str, Any], t: Teller) -> Iterator[str]:
    subject = item["subject"]
    where = f"{subject['region']}, {subject['account']}"
    yield f"- **{md(subject['name'])}** {code(subject['type'])} {code(subject['id'])} ({md(where)}){t(':')} **{t(item['disposition'])}**. {md(t(item['reason']))}"
    if item["becomes"]:
        stacks: dict[str, list[str]] = {}
        for each in item["becomes"]:
            stacks.setdefault(each["stack"], []).append(
                f"{each['type'].split('.', 1)[1]} {each['name']}"
            )
        for stack, made in stacks.items():
            yield f"  - {t('becomes')} {_some([code(each) for each in made], t)} {t('in')} {code(stack)}"
    if item.get("way_out"):
        yield f"  - {t('way out')}{t(':')} {_said(t(item['way_out']))} {md(t(item.get('work', '')))}".rstrip()
    for loss in item["losses"]:
        yield f"  - {t('loses')} {code(loss['field'])} ({t(loss['severity'])}){t(':')} {md(t(loss['reason']))}"
    for finding in item["findings"]:
        yield f"  - {t('found')} ({t(finding['severity'])}){t(':')} {md(t(finding['says']))}"


def _name(item: Mapping[str, Any]) -> str:
    subject = item["subject"]
    return f"{md(subject['name'])} ({code(subject['type'])}, {md(subject['region'])})"


def _some(names: Iterable[str], t: Teller) -> str:
    every = list(names)
    if len(every) <= MOST_NAMED:
        return ", ".join(every)
    return f"{', '.join(every[:MOST_NAMED])} {t('and {n} more', n=len(every) - MOST_NAMED)}"
