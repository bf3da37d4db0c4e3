"""The plan of a suite -> one SVG: people, hosts by what they carry, data behind them, backups elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from toolkit.outcomes import text

_FRONT = ("app", "edge", "turn", "bridge")
_DATA = ("db", "chatdb", "files", "ops")
_Place = tuple[float, float, float]
"""Left, top and height of a box."""
_WIDTH, _LINE = 232.0, 17.0
_QUIET = frozenset([22, 8080, 8888, 9000, 9001, 9100, 9113, 9187, 9188])
"""SSH and measurements: every host has them, and a line for each would hide the others."""


def architecture(document: Mapping[str, Any], t: Any, *, alone: bool = False) -> str:
    """The picture; `alone`: with its own colours, for a file beside the Markdown."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for host in document["hosts"]:
        kinds.setdefault(host["kind"], []).append(host)
    front = [kind for kind in kinds if any(host["public"] for host in kinds[kind])]
    data = [kind for kind in kinds if kind not in front and kind in _DATA]
    inner = [kind for kind in kinds if kind not in front and kind not in data]
    columns = [column for column in (front, inner, data) if column]
    people, gap = 150.0, 74.0
    body: list[str] = []
    places: dict[str, _Place] = {}
    boxes: list[str] = []
    bottom = 0.0
    for number, column in enumerate(columns):
        x = people + gap + number * (_WIDTH + gap)
        y = 62.0
        for kind in column:
            height = _height(kind, kinds[kind], document)
            places[kind] = (x, y, height)
            boxes += _box(kind, kinds[kind], document, x, y, height)
            y += height + 22
        bottom = max(bottom, y)
    right = people + gap + len(columns) * (_WIDTH + gap) - gap
    frame = people + gap - 22
    body.append(f'<rect x="{frame:g}" y="36" width="{right - frame + 22:g}" height="{bottom - 40:g}" rx="12" class="net"/>')  # fmt: skip
    answers = document["answers"]
    place = f"{answers['cloud']} {answers['region']}".strip()
    body.append(_text(frame + 12, 54, f"{place}, {document['network']['cidr']}", "small"))
    middle = 62 + (bottom - 84) / 2
    body.append(_text(people / 2, middle - 32, t(text("people")), "label", "middle"))
    body.append(f'<circle cx="{people / 2:g}" cy="{middle - 10:g}" r="9" class="man"/><path d="M{people / 2 - 17:g} {middle + 26:g} a17 19 0 0 1 34 0 z" class="man"/>')  # fmt: skip
    body.append(_text(people / 2, middle + 46, str(answers["users"]), "small", "middle"))
    for kind in front:
        x, y, height = places[kind]
        body.append(_curve(people / 2 + 26, middle, x - 4, y + min(height / 2, 30), "in"))
    for source, target in _flows(document):
        if source in places and target in places:
            between = [
                places[kind]
                for column in columns
                for kind in column
                if places[source][0] < places[kind][0] < places[target][0]
            ]
            body.append(
                _around(places[source], places[target], between)
                if between
                else _link(places[source], places[target])
            )
    backup = document["backup"]
    width = right + 24
    if backup:
        x = right + gap
        y = max(62.0, bottom - 124)
        # each host sends its own parts: the line begins at the network, not at one of them
        body.append(_curve(right + 22, y + 36, x - 4, y + 36, "in away"))
        there = f"{backup['cloud']} {backup['region']}".strip()
        boxes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH:g}" height="78" rx="8" class="box away"/>'
        )
        boxes.append(_text(x + 14, y + 24, t(text("backups")), "label"))
        boxes.append(_text(x + 14, y + 43, _short(there, 28), "small"))
        boxes.append(_text(x + 14, y + 61, t(text("{gb} GB, {days} days, encrypted", gb=backup["gb"], days=backup["days"])), "small"))  # fmt: skip
        width = x + _WIDTH + 6
    title = t(text("Architecture: who reaches which host, and what stands on it"))
    style = f"<style>{_STYLE}</style>" if alone else ""
    ground = f'<rect width="{width:g}" height="{bottom + 10:g}" class="ground"/>' if alone else ""
    return str(
        Markup(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {bottom + 10:g}" width="{width:g}" height="{bottom + 10:g}" role="img" aria-labelledby="architecture-title" class="architecture">'
            f'<title id="architecture-title">{escape(title)}</title>{style}{ground}{"".join(body)}{"".join(boxes)}</svg>'
        )
    )


_STYLE = (
    ".ground{fill:#fff}text{font:13px system-ui,sans-serif;fill:#17212b}.small{font-size:12px;fill:#55616e}.mono{font-family:monospace;font-size:11.5px}"
    ".label{font-weight:600}.net{fill:#eef4f6;stroke:#a9cdd8}.box{fill:#fff;stroke:#5795a8;stroke-width:1.2}.away{stroke-dasharray:5 4}.man{fill:#0e5a70}"
    ".in{fill:none;stroke:#0e5a70;stroke-width:1.8}.flow{fill:none;stroke:#5795a8;stroke-width:1.3}"
)


def _text(x: float, y: float, words: object, cls: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{cls}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str, room: int) -> str:
    return words if len(words) <= room else f"{words[: room - 1]}…"


def _roles(hosts: list[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(each["role"] for host in hosts for each in host["roles"]))


def _wrapped(words: list[str], room: int = 33) -> list[str]:
    lines = [""]
    for number, word in enumerate(words):
        said = word + ("," if number < len(words) - 1 else "")
        if lines[-1] and len(lines[-1]) + len(said) + 1 > room:
            lines.append(said)
        else:
            lines[-1] = f"{lines[-1]} {said}".strip()
    return lines


def _open(kind: str, document: Mapping[str, Any]) -> list[str]:
    """Ports that anyone may reach, as they are written in a box."""
    found = [
        f"{p['first']}{'' if p['first'] == p['last'] else '-' + str(p['last'])}/{p['protocol']}"
        for p in document["ports"]
        if p["kind"] == kind and p["source"] == "anyone"
    ]
    return _wrapped(found) if found else []


def _height(kind: str, hosts: list[Mapping[str, Any]], document: Mapping[str, Any]) -> float:
    return 54 + _LINE * (len(_wrapped(_roles(hosts))) + len(_open(kind, document)))


def _box(kind: str, hosts: list[Mapping[str, Any]], document: Mapping[str, Any], x: float, y: float, height: float) -> list[str]:  # fmt: skip
    first, last = hosts[0], hosts[-1]
    name = first["name"] if len(hosts) == 1 else f"{first['name']} … {last['name']}"
    address = first["address"] if len(hosts) == 1 else f"{first['address']} … {last['address'].rpartition('.')[2]}"  # fmt: skip
    lines = [
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH:g}" height="{height:g}" rx="8" class="box"/>',
        _text(x + 14, y + 23, name, "label"),
        _text(x + 14, y + 40, address, "small mono"),
    ]
    at = y + 40 + _LINE
    for line in _wrapped(_roles(hosts)):
        lines.append(_text(x + 14, at, line, "small"))
        at += _LINE
    for line in _open(kind, document):
        lines.append(_text(x + 14, at, line, "small mono"))
        at += _LINE
    return lines


def _flows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    kinds = {host["kind"] for host in document["hosts"]}
    pairs = [
        (port["source"], port["kind"])
        for port in document["ports"]
        if port["source"] in kinds
        and port["source"] != port["kind"]
        and port["first"] not in _QUIET
    ]
    return list(dict.fromkeys(pairs))


def _curve(x: float, y: float, to_x: float, to_y: float, cls: str) -> str:
    half = (to_x - x) / 2
    return (
        f'<path d="M{x:g} {y:g} C{x + half:g} {y:g} {to_x - half:g} {to_y:g} {to_x:g} {to_y:g}" class="{cls}"/>'
        f'<path d="M{to_x - 6:g} {to_y - 4:g} L{to_x + 3:g} {to_y:g} L{to_x - 6:g} {to_y + 4:g}" class="{cls.split(maxsplit=1)[0]}"/>'
    )


def _around(source: _Place, target: _Place, between: list[_Place]) -> str:
    """From a box to one two columns on: through the gap between the boxes of the column that lies between."""
    x, y, height = source
    to_x, to_y, to_height = target
    start, end = y + height / 2, to_y + to_height / 2
    column = [place for place in between if place[0] == between[0][0]]
    gap = min(
        (place[1] + place[2] + 11 for place in column), key=lambda at: abs(at - (start + end) / 2)
    )
    left, right = column[0][0] - 6, column[0][0] + _WIDTH + 6
    half = (left - x - _WIDTH) / 2
    return (
        f'<path d="M{x + _WIDTH:g} {start:g} C{x + _WIDTH + half:g} {start:g} {left - half:g} {gap:g} {left:g} {gap:g} H{right:g}" class="flow"/>'
        + _curve(right, gap, to_x - 4, end, "flow")
    )


def _link(source: _Place, target: _Place) -> str:
    x, y, height = source
    to_x, to_y, to_height = target
    if to_x > x:
        return _curve(x + _WIDTH, y + height / 2, to_x - 4, to_y + to_height / 2, "flow")
    if to_x < x:
        half = (x - to_x - _WIDTH) / 2
        end = to_x + _WIDTH + 4
        start_y, end_y = y + height / 2, to_y + to_height / 2
        return (
            f'<path d="M{x:g} {start_y:g} C{x - half:g} {start_y:g} {end + half:g} {end_y:g} {end:g} {end_y:g}" class="flow"/>'
            f'<path d="M{end + 6:g} {end_y - 4:g} L{end - 3:g} {end_y:g} L{end + 6:g} {end_y + 4:g}" class="flow"/>'
        )
    side = x - 14 if to_y > y else x + _WIDTH + 14
    edge = x if to_y > y else x + _WIDTH
    return f'<path d="M{edge:g} {y + height / 2:g} C{side:g} {y + height / 2:g} {side:g} {to_y + to_height / 2:g} {edge:g} {to_y + to_height / 2:g}" class="flow"/>'
