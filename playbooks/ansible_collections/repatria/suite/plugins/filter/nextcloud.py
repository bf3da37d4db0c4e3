"""Settings that are wanted -> those that Nextcloud has not; applications -> those that a version refuses."""

from __future__ import annotations

import base64
import json
import re
from typing import Any


def nextcloud_drift(wanted: dict[str, Any], listed: str) -> list[str]:
    """`wanted` as `occ config:import` takes it, `listed` as `occ config:list --private --output=json` prints it.

    A wanted null means that the key must not be there. Only names are returned, so that the answer may be shown.
    """
    has = json.loads(listed[listed.index("{") :])
    pairs = [
        (("system", key), value, has.get("system") or {})
        for key, value in wanted.get("system", {}).items()
    ]
    for app, values in wanted.get("apps", {}).items():
        held = (has.get("apps") or {}).get(app) or {}
        text = {key: _text(value) for key, value in held.items()} if held else {}
        pairs += [(("apps", app, key), _text(value), text) for key, value in values.items()]
    return sorted("/".join(path) for path, value, held in pairs if _differs(path[-1], value, held))


def _differs(key: str, value: Any, held: dict[str, Any]) -> bool:
    if value is None:
        return key in held
    return key not in held or held[key] != value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(int(value)) if isinstance(value, bool) else str(value)


def nextcloud_made_for_older(infos: list[dict[str, Any]], version: str) -> list[str]:
    """Results of reading each `info.xml` -> names of the applications whose max-version is below `version`'s major.

    An application that names no max-version is refused too: Nextcloud would not enable it.
    """
    major = int(version.split(".", maxsplit=1)[0])
    found = []
    for each in infos:
        if "content" in each:
            text = base64.b64decode(each["content"]).decode()
            most = re.search(r"<nextcloud\b[^>]*\bmax-version=[\"'](\d+)", text)
            if not most or int(most[1]) < major:
                found.append(each["item"]["name"])
    return found


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "nextcloud_drift": nextcloud_drift,
            "nextcloud_made_for_older": nextcloud_made_for_older,
        }
