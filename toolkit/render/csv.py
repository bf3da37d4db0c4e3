"""Losses of a plan -> a table for spreadsheets; a cell that starts a formula is disarmed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from toolkit.messages import tell

HEAD = (
    "severity",
    "application",
    "wave",
    "type",
    "name",
    "id",
    "account",
    "region",
    "field",
    "reason",
)


def losses_csv(plan: Mapping[str, Any]) -> bytes:
    """RFC 4180 with a byte-order mark (spreadsheets then read UTF-8), one row per loss."""
    language = plan["header"]["language"]
    rank = {"blocker": 0, "major": 1, "minor": 2}
    rows = [
        (
            loss["severity"], item["application"], item["wave"], item["subject"]["type"], item["subject"]["name"],
            item["subject"]["id"], item["subject"]["account"], item["subject"]["region"], loss["field"],
            tell(loss["reason"], language),
        )
        for item in plan["items"]
        for loss in item["losses"]
    ]  # fmt: skip
    rows.sort(key=lambda row: (rank[row[0]], *map(str, row[1:])))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEAD)
    for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _harmless(cell: object) -> object:
    text = str(cell)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
