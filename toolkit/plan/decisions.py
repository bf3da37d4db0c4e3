"""Open choices -> decisions.yaml, and back; what a person wrote there survives every plan."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping

import yaml

from toolkit.errors import FileError
from toolkit.messages import LANGUAGES, tell
from toolkit.outcomes import Decision, Text, text
from toolkit.translate import Override

SCHEMA = 1
HEAD = (
    text("Choices that the plan made for you. To overrule one, write the option after `choose:`, who decided after `by:` and the reason after `because:`, then run `repatria plan`."),
    text('"<topic>:*" as a key (for instance "boot:*") decides every choice of that topic.'),
)  # fmt: skip
_HINT = "Under a decision, write `choose:`, `by:` and `because:`; leave the rest. `repatria plan` writes the file anew."


def parse(data: bytes) -> dict[str, Override]:
    """The overrides in a `decisions.yaml`: every decision whose `choose` is not empty.

    Raises FileError: no YAML, a newer schema, or a choice that is no text.
    """
    content = data.decode("utf-8", "replace")
    if (
        content.startswith(tuple(_head(language)[0] for language in LANGUAGES))
        and '    choose: ""\n' in content
        and not any(
            line.startswith("    choose: ") and line != '    choose: ""'
            for line in content.splitlines()
        )
    ):
        return {}
    try:
        document = yaml.load(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise FileError(f"decisions.yaml is no YAML: {error}", _HINT) from error
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        schema = document.get("schema") if isinstance(document, dict) else None
        raise FileError(f"decisions.yaml has schema {schema!r}; this version reads {SCHEMA}", _HINT)
    overrides: dict[str, Override] = {}
    held = document.get("decisions") or {}
    if not isinstance(held, dict):
        raise FileError("decisions.yaml: decisions is not a table", _HINT)
    for id_, entry in held.items():
        if not isinstance(entry, dict):
            raise FileError(f"decisions.yaml: {id_} is not a table", _HINT)
        choose = entry.get("choose")
        if isinstance(choose, bool):
            choose = {True: "yes", False: "no"}[choose]
        if choose in (None, ""):
            continue
        if not isinstance(choose, (str, int)):
            raise FileError(f"decisions.yaml: {id_}: choose is not the name of an option", _HINT)
        overrides[str(id_)] = Override(
            str(choose), str(entry.get("by") or ""), str(entry.get("because") or "")
        )
    return overrides


def dump(
    decisions: Mapping[str, Decision],
    overrides: Mapping[str, Override],
    subjects: Mapping[str, Text],
    language: str = "en",
) -> bytes:
    """The file, sorted by decision; overrides that no decision takes up stay, marked as unfit.

    `subjects` names each subject for people (key -> "web-1 (aws.ec2.instance, eu-west-1)"). The
    language changes the prose alone: keys, options and choices stay.
    """
    lines = [
        *_head(language),
        f"schema: {SCHEMA}",
        "decisions:",
    ]
    if not decisions and not overrides:
        lines[-1] = "decisions: {}"
    known = {f"{decision.topic}:*" for decision in decisions.values()}
    for id_ in sorted({*decisions, *overrides}):
        decision, override = decisions.get(id_), overrides.get(id_)
        lines.append(f"  {json.dumps(id_, ensure_ascii=False)}:")
        if decision is not None:
            lines.append(
                f"    about: {_told(subjects.get(decision.subject, decision.subject), language)}"
            )
            lines.append(f"    question: {_told(decision.question, language)}")
            lines.append("    options:")
            for option in decision.options:
                label = tell(option.label, language)
                if option.consequence:
                    stop = "" if label.endswith((".", "?", "!")) else "."
                    label = f"{label}{stop} {tell(option.consequence, language)}"
                lines.append(f"      {json.dumps(option.id)}: {_quoted(label)}")
            if decision.chosen_by == "default":
                lines.append(f"    default: {json.dumps(decision.chosen)}")
            lines.append(f"    why: {_told(decision.why, language)}")
            if override is not None and override.choose not in {o.id for o in decision.options}:
                gone = text("This option is not offered any more; the default holds.")
                lines.append(f"    unfit: {_told(gone, language)}")
        elif id_ not in known:
            gone = text("The plan asks this no more; remove the entry or keep it for later.")
            lines.append(f"    unfit: {_told(gone, language)}")
        lines.append(f"    choose: {json.dumps(override.choose if override else '')}")
        if override is not None:
            lines.append(f"    by: {_quoted(override.by)}")
            lines.append(f"    because: {_quoted(override.why)}")
    return ("\n".join(lines) + "\n").encode()


def unfit(decisions: Mapping[str, Decision], overrides: Mapping[str, Override]) -> list[str]:
    """Overrides that nothing takes up: no such decision, or no such option in it."""
    topics = {f"{decision.topic}:*" for decision in decisions.values()}
    return sorted(
        id_
        for id_, override in overrides.items()
        if id_ not in topics
        and (id_ not in decisions or override.choose not in _ids(decisions[id_]))
    )


def _ids(decision: Decision) -> Iterable[str]:
    return {option.id for option in decision.options}


def _head(language: str) -> list[str]:
    """The lines of comment at the top."""
    return [
        line
        for each in HEAD
        for line in textwrap.wrap(
            tell(each, language), 96, initial_indent="# ", subsequent_indent="# "
        )
    ]


def _told(message: Text | str, language: str) -> str:
    return _quoted(tell(message, language))


def _quoted(said: str) -> str:
    return json.dumps(said, ensure_ascii=False)
