"""One measured figure against its floor or peer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """`figure` over `floor` is the `ratio`; it should not be above the `goal`."""

    part: str
    what: str
    figure: float
    floor: float
    goal: float
    unit: str = ""

    @property
    def ratio(self) -> float:
        return self.figure / self.floor

    @property
    def ok(self) -> bool:
        return self.ratio <= self.goal

    def json(self) -> dict[str, Any]:
        """A row of the answer."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "ok": self.ok}


def table(figures: list[Figure]) -> str:
    """The rows for a person."""
    rows = [("part", "what", "figure", "floor", "ratio", "goal", "ok")]
    rows += [
        (f.part, f.what, f"{f.figure:.4g} {f.unit}".strip(), f"{f.floor:.4g} {f.unit}".strip(), f"{f.ratio:.2f}", f"{f.goal:g}", "yes" if f.ok else "NO")
        for f in figures
    ]  # fmt: skip
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
