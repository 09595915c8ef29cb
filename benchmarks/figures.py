"""What is a figure? The median of several rounds with its spread, and tables of them for people and for machines."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median with the lowest and the highest of its rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(median=statistics.median(values), low=min(values), high=max(values), rounds=len(values))

    def text(self, digits: int) -> str:
        """`median (low–high)`."""
        return f"{_number(self.median, digits)} ({_number(self.low, digits)}–{_number(self.high, digits)})"

    def data(self) -> dict[str, float]:
        """For machines."""
        return {"median": self.median, "low": self.low, "high": self.high, "rounds": self.rounds}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours divided by theirs, round by round: the two of a round ran next to each other, so a slow minute slows both."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank): always one that occurred."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def against(goal: float, spread: Spread) -> str:
    """The goal and whether the median reaches it."""
    return f"≥ {goal:g} {'✓' if spread.median >= goal else '✗'}"


def judged(value: float, *, at_least: float | None = None, at_most: float | None = None, digits: int) -> str:
    """The value and whether it is within its bar."""
    is_within = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    return f"{_number(value, digits)} {'✓' if is_within else '✗'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table: `rows` for people, `data` the same figures for machines, `notes` what a reader must know about them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)


def show(section: Section) -> None:
    """Print a table: framed on a terminal, plain lines otherwise."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_framed(section))
    else:
        print(markdown(section), flush=True)


def _framed(section: Section) -> Table:
    table = Table(title=section.title, title_justify="left", caption="\n".join(section.notes), caption_justify="left")
    for index, column in enumerate(section.columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in section.rows:
        table.add_row(*row)
    return table


def markdown(section: Section) -> str:
    """The table as text that is also Markdown, its columns aligned."""
    lines = [list(section.columns), *(list(row) for row in section.rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(section.columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    table = [
        "| "
        + " | ".join(_padded(cell, width, left=index == 0) for index, (cell, width) in enumerate(zip(line, widths, strict=True)))
        + " |"
        for line in [lines[0], rule, *lines[1:]]
    ]
    return "\n".join([f"\n### {section.title}\n", *table, "", *(f"- {note}" for note in section.notes)])


def as_json(header: dict[str, Any], sections: Sequence[Section]) -> str:
    """Everything of a run, for machines."""
    return json.dumps({**header, "sections": {section.title: section.data for section in sections}}, indent=2)


def _padded(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"
