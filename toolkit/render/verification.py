"""A verification -> verify.md: what agrees, what differs and where it came from, for who signs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from toolkit.messages import tell
from toolkit.render.markdown import code, md
from toolkit.render.summary import Teller

FOUND = {
    "missing": "It is not there.",
    "different": "It is not as planned.",
    "twice": "It is there more than once.",
    "admits more": "It admits what nobody planned.",
    "admits less": "It does not admit what is planned.",
    "not planned": "Nobody planned it.",
    "does not answer": "A path that is allowed does not answer.",
    "answers": "A path that is not allowed answers.",
}
STATE = {
    "as planned": "as planned",
    "different": "different",
    "not there yet": "not there yet",
    "not run": "not run",
}


def verification_markdown(said: Mapping[str, Any]) -> bytes:
    """The whole document, in `said["language"]`."""

    def t(message: Any, **args: Any) -> str:
        return (
            tell(message, said["language"])
            if isinstance(message, Mapping)
            else tell({"msg": message, "args": args} if args else message, said["language"])
        )

    return ("\n".join(_lines(said, t)) + "\n").encode()


def _lines(said: Mapping[str, Any], t: Teller) -> Iterator[str]:
    target, totals = said["target"], said["totals"]
    yield f"# {t('The target, read back: {product}', product=md(target['product']))}"
    yield ""
    yield t(
        "{there} of {resources} planned resources are there, {compared} properties were compared, {findings} findings.",
        there=totals["there"], resources=totals["resources"], compared=totals["compared"], findings=len(said["findings"]),
    )  # fmt: skip
    yield t("It was read from the target's own interfaces, without Pulumi and without its state.")
    yield ""
    yield t("Plan: {digest}", digest=code(said["plan"]))
    yield from _stacks(said, t)
    yield from _findings(said, t)
    yield from _reach(said, t)
    yield from _open(said, t)


def _stacks(said: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield from ("", f"## {t('Stacks')}", "")
    yield f"| {t('stack')} | {t('state')} | {t('there')} | {t('planned')} | {t('properties')} | {t('findings')} |"  # fmt: skip
    yield "|---|---|---:|---:|---:|---:|"
    for each in said["stacks"]:
        state = t(STATE[each["state"]])
        if each["reason"]:
            state = f"{state}{t(':')} {md(t(each['reason']))}"
        yield f"| {code(each['name'])} | {state} | {each['there']} | {each['resources']} | {each['compared']} | {each['findings']} |"  # fmt: skip


def _findings(said: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield from ("", f"## {t('Findings')}", "")
    if not said["findings"]:
        yield t("None: what is there is what was planned.")
        return
    for each in said["findings"]:
        yield f"### {code(each['stack'])} {code(each['name'])}{t(':')} {t(FOUND[each['kind']])}"
        yield ""
        for name, value in _facts(each, t):
            if value:
                yield f"- {name}{t(':')} {value}"
        yield ""


def _facts(each: Mapping[str, Any], t: Teller) -> Iterator[tuple[str, str]]:
    kind = each["type"].rsplit(".", 1)[-1]
    nothing = t("nothing") if each["kind"] == "different" else ""
    type_, *where = each["origin"].split("|")
    yield t("What"), f"{code(kind)} {code(each['property'])}".strip()
    yield t("Planned"), _value(each["planned"]) or nothing
    yield t("Found"), _value(each["found"]) or nothing
    yield t("At the target"), code(each["id"])
    yield t("At AWS"), f"{code(type_)} {code(where[-1])} ({', '.join(map(md, where[:-1]))})" if where else ""  # fmt: skip
    yield t("Follows from"), code(each["because"]) if each["because"] != each["name"] else ""


def _reach(said: Mapping[str, Any], t: Teller) -> Iterator[str]:
    tried = said["reach"]
    yield from ("", f"## {t('Paths')}", "")
    if tried is None:
        yield t("Not tried.")
        return
    yield t(
        "{answered} of {allowed} allowed paths answered; {silent} of {forbidden} forbidden ones that were tried stayed silent.",
        answered=tried["answered"], allowed=tried["allowed"], silent=tried["silent"], forbidden=tried["forbidden"],
    )  # fmt: skip


def _open(said: Mapping[str, Any], t: Teller) -> Iterator[str]:
    yield from ("", f"## {t('What was not compared, and what explains itself')}", "")
    for each in said["not_compared"]:
        kind = f"{each['type'].rsplit('.', 1)[-1]}.{each['property']}"
        yield f"- {code(kind)} ({each['count']}){t(':')} {md(t(each['reason']))}"
    for each in said["explained"]:
        yield f"- {t('{count} ports', count=each['count'])}{t(':')} {md(t(each['what']))}"
    if not said["not_compared"] and not said["explained"]:
        yield t("Nothing.")


def _value(value: Any) -> str:
    if value is None:
        return ""
    return code(
        value
        if isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    )
