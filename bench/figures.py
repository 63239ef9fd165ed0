"""Figures: a measured value with its unit, its promise and its ratio, and the table of them.

Pure. It promises that a figure is never rounded before it is judged, and that a figure
without a promise is never called good or bad.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEADINGS: Final = ("", "measured", "promised", "", "ratio")


@dataclass(frozen=True, slots=True)
class Target:
    """What the project promises: at least, or at most, so much."""

    limit: float
    is_floor: bool

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.is_floor else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {number(self.limit)}"


def at_least(limit: float) -> Target:
    """More is better."""
    return Target(limit, is_floor=True)


def at_most(limit: float) -> Target:
    """Less is better."""
    return Target(limit, is_floor=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `ratio` compares with `ratio_of`, measured in the same run."""

    name: str
    value: float
    unit: str
    target: Target | None = None
    ratio: float | None = None
    ratio_of: str = ""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed (nearest rank). Needs at least one value."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def number(value: float) -> str:
    """Two or three digits that mean something; thousands apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def table(sections: Sequence[tuple[str, Sequence[Figure]]]) -> str:
    """All sections under one row of headings, columns as wide as their widest cell."""
    rows: list[tuple[str, ...] | str] = [HEADINGS]
    for title, figures in sections:
        rows += [title, *map(_cells, figures)]
    cells = [row for row in rows if isinstance(row, tuple)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _cells(figure: Figure) -> tuple[str, ...]:
    target, verdict = figure.target, ""
    if target is not None:
        verdict = "met" if target.is_met(figure.value) else "MISSED"
    ratio = "" if figure.ratio is None else f"{number(figure.ratio)} × {figure.ratio_of}"
    measured = f"{number(figure.value)} {figure.unit}"
    return f"  {figure.name}", measured, str(target or ""), verdict, ratio


def _line(row: tuple[str, ...] | str, widths: Sequence[int]) -> str:
    if isinstance(row, str):
        return f"\n{row}"
    name, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([name, *rest]).rstrip()
