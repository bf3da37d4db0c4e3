"""plan.json -> plan.md: a page for who decides, then applications and waves, then each resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from toolkit.messages import tell

Teller = Callable[..., str]
_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>#|~"})
MOST_NAMED = 12


def md(text: object) -> str:
    """Text from AWS as one harmless line of Markdown, also inside a table."""
    line = " ".join(str(text).split())
    return line.translate(_SPECIAL).replace("&", "&amp;")


def code(text: object) -> str:
    """Text as inline code; backticks inside become apostrophes, pipes and line ends are harmless."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def plan_markdown(plan: Mapping[str, Any]) -> bytes:
    """The whole document, in the plan's language."""
    return ("\n".join(_lines(plan)) + "\n").encode()


def _lines(plan: Mapping[str, Any]) -> Iterator[str]:
    language = plan["header"]["language"]

    def t(message: Any, **args: Any) -> str:
        return tell(
            {"msg": message, "args": args} if isinstance(message, str) else message, language
        )

    target, totals, cost, source = (
        plan["header"]["target"],
        plan["totals"],
        plan["cost"],
        plan["header"]["source"],
    )
    yield f"# {t('The way out of AWS, to {product}', product=md(target['product']))}"
    yield ""
    yield t(
        "{read} resources were read in {accounts} accounts and {regions} regions. {planned} of them become {creates} resources in {stacks} stacks; {explained} are explained below. {gaps} things could not be read.",
        read=totals["read"], accounts=len(source["accounts"]), regions=len([r for r in source["regions"] if r != "global"]),
        planned=totals["planned"], creates=totals["creates"], stacks=totals["stacks"], explained=totals["explained"], gaps=totals["gaps"],
    )  # fmt: skip
    yield ""
    yield f"| {t('what')} | {t('how much')} |"
    yield "|---|---|"
    for name, value in (
        (t("target"), f"{md(target['product'])}, {md(target['region'])}"),
        (t("applications and waves"), f"{totals['applications']}, {totals['waves']}"),
        (t("list price a month, excluding tax"), _price(cost, t)),
        (t("decisions to take or confirm"), totals["decisions"]),
        (
            t("losses"),
            ", ".join(
                f"{n} {t(s)}"
                for s, n in sorted(totals["by_severity"].items(), key=lambda p: _RANK[p[0]])
            )
            or "0",
        ),
        (t("findings"), totals["findings"]),
        (t("not read"), totals["gaps"]),
    ):
        yield f"| {name} | {value} |"
    yield ""
    yield f"| {t('disposition')} | {t('resources')} |"
    yield "|---|---|"
    for kind, number in totals["by_disposition"].items():
        yield f"| {t(kind)} | {number} |"
    yield ""
    yield from _blockers(plan, t)
    yield from _quotas(plan, t)
    yield from _decisions(plan, t)
    yield from _findings(plan, t)
    yield from _gaps(plan, t)
    yield from _people(plan, t)
    yield from _applications(plan, t)
    yield from _waves(plan, t)
    yield from _rewire(plan, t)
    yield from _resources(plan, t)


_RANK = {"blocker": 0, "major": 1, "minor": 2}


def _price(cost: Mapping[str, Any], t: Teller) -> str:
    return t(
        "{total} {currency}, prices of {seen}; {unpriced} items have no price in the catalogue",
        total=f"{cost['total_month']:.2f}", currency=cost["currency"], seen=cost.get("seen") or "?", unpriced=cost["unpriced"],
    )  # fmt: skip


def _blockers(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    rows = [
        (item, loss)
        for item in plan["items"]
        for loss in item["losses"]
        if loss["severity"] == "blocker"
    ]
    if rows:
        yield f"## {t('What stands in the way')}"
        yield ""
        for item, loss in rows:
            yield f"- {_name(item)}: {md(t(loss['reason']))}"
        yield ""


def _quotas(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    asked = [q for q in plan["quotas"]["kinds"] if q["request"]]
    if asked:
        yield f"## {t('What the provider must raise first')}"
        yield ""
        yield f"| {t('quota')} | {t('needed')} | {t('default')} |"
        yield "|---|---|---|"
        for q in asked:
            place = f" ({md(q['place'])})" if q["place"] else ""
            yield f"| {md(q['kind'])}{place} | {q['needed']} | {q['default']} |"
        yield ""


def _decisions(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    names = _names(plan)
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for decision in plan["decisions"]:
        options = ",".join(option["id"] for option in decision["options"])
        groups.setdefault((decision["topic"], decision["chosen"], options), []).append(decision)
    if not groups:
        return
    yield f"## {t('What must be decided')}"
    yield ""
    yield t("The plan chose a default for each; `decisions.yaml` is where you overrule it.")
    yield ""
    for (topic, chosen, _), members in sorted(groups.items()):
        first = members[0]
        label = next(option["label"] for option in first["options"] if option["id"] == chosen)
        yield f"- **{md(topic)}**: {md(t(first['question']))}"
        yield f"  - {t('chosen')}: {code(chosen)}, {md(t(label))} {md(t(first['why']))}"
        others = "; ".join(
            f"{code(option['id'])} {md(t(option['label']))} {md(t(option['consequence']))}".strip()
            for option in first["options"]
            if option["id"] != chosen
        )
        yield f"  - {t('instead')}: {others}"
        yield f"  - {t('for')}: {_some([md(names.get(each['subject'], each['subject'])) for each in members], t)}"
    yield ""


def _findings(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    rank = {"critical": 0, "warning": 1, "info": 2}
    rows = sorted(
        ((f, item) for item in plan["items"] for f in item["findings"] if f["severity"] != "info"),
        key=lambda pair: (rank[pair[0]["severity"]], pair[0]["code"]),
    )
    if rows:
        yield f"## {t('What was found on the way')}"
        yield ""
        for finding, item in rows:
            yield f"- **{t(finding['severity'])}** {_name(item)}: {md(t(finding['says']))}"
        yield ""


def _gaps(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    if plan["gaps"]:
        yield f"## {t('What could not be read')}"
        yield ""
        yield f"| {t('service')} | {t('account')} | {t('region')} | {t('because')} | |"
        yield "|---|---|---|---|---|"
        for gap in plan["gaps"]:
            yield f"| {md(gap['service'])} {md(gap['operation'])} | {md(gap['account'])} | {md(gap['region'])} | {t(gap['reason'])} | {md(gap['detail'])} |"
        yield ""


def _people(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    people = {role: who for role, who in plan["header"]["people"].items() if who["name"]}
    yield f"## {t('Who')}"
    yield ""
    if not people:
        yield t("Nobody is named yet: fill in `[people]` in `repatria.toml`.")
    for role, who in people.items():
        contact = f", {md(who['contact'])}" if who["contact"] else ""
        yield f"- {t(role)}: {md(who['name'])}{contact}"
    yield ""


def _applications(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield f"## {t('Applications')}"
    yield ""
    yield f"| {t('application')} | {t('resources')} | {t('why they belong together')} |"
    yield "|---|---|---|"
    for app in plan["applications"]:
        reasons = ", ".join(f"{md(t(why))} ({n})" for why, n in app["reasons"].items())
        yield f"| {md(app['name'])} | {app['members']} | {reasons} |"
    yield ""


def _waves(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield f"## {t('Waves')}"
    yield ""
    for wave in plan["waves"]:
        yield f"### {t('Wave {number}', number=wave['number'])}: {', '.join(md(a) for a in wave['applications'])}"
        yield ""
        yield f"{wave['resources']} {t('resources')}. {md(t(wave['why']))} {t('Runbook')}: [wave-{wave['number']:02}](runbooks/wave-{wave['number']:02}.md)"
        if wave["cycle"]:
            yield ""
            yield t(
                "These need each other in a circle: {names}.",
                names=", ".join(md(n) for n in wave["cycle"]),
            )
        if wave["crossings"]:
            yield ""
            yield t("Connections that still cross to AWS while it runs:")
            yield ""
            for crossing in wave["crossings"]:
                yield f"- {md(crossing['from'])} {t('to')} {md(crossing['to'])}: {md(crossing['path'])} ({t('until wave {number}', number=crossing['until'])})"
        yield ""


def _rewire(plan: Mapping[str, Any], t: Teller) -> Iterator[str]:
    if not plan["rewire"]:
        return
    yield f"## {t('What must be rewired')}"
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
    yield f"- **{md(subject['name'])}** {code(subject['type'])} {code(subject['id'])} ({md(where)}): **{t(item['disposition'])}**. {md(t(item['reason']))}"
    if item["becomes"]:
        stacks: dict[str, list[str]] = {}
        for each in item["becomes"]:
            stacks.setdefault(each["stack"], []).append(
                f"{each['type'].split('.', 1)[1]} {each['name']}"
            )
        for stack, made in stacks.items():
            yield f"  - {t('becomes')} {_some([code(each) for each in made], t)} {t('in')} {code(stack)}"
    if item.get("way_out"):
        yield f"  - {t('way out')}: {md(t(item['way_out']))} {md(t(item.get('work', '')))}".rstrip()
    for loss in item["losses"]:
        yield f"  - {t('loses')} {code(loss['field'])} ({t(loss['severity'])}): {md(t(loss['reason']))}"
    for finding in item["findings"]:
        yield f"  - {t('found')} ({t(finding['severity'])}): {md(t(finding['says']))}"


def _names(plan: Mapping[str, Any]) -> dict[str, str]:
    return {
        "|".join(str(item["subject"][part]) for part in ("type", "account", "region", "id")): str(
            item["subject"]["name"]
        )
        for item in plan["items"]
    }


def _name(item: Mapping[str, Any]) -> str:
    subject = item["subject"]
    return f"{md(subject['name'])} ({code(subject['type'])}, {md(subject['region'])})"


def _some(names: Iterable[str], t: Teller) -> str:
    every = list(names)
    if len(every) <= MOST_NAMED:
        return ", ".join(every)
    return ", ".join(every[:MOST_NAMED]) + t(" and {more} more", more=len(every) - MOST_NAMED)
