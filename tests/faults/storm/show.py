"""What does somebody see who watches a storm? A bar and a table that change in place; in a log, a line now and then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.sandbox.demo.view import clock
from tests.faults.storm.inflict import Done

_LINE_SECONDS: Final = 10.0
_LAST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is so now. `lag` is None when no service can be asked."""

    elapsed: float
    seconds: float
    phase: str
    faults: int
    planned: int
    traffic: Mapping[str, int]
    restarts: int
    late: Mapping[str, int]
    lag: str | None
    last: Sequence[Done]


class Show(Protocol):
    """An audience."""

    def say(self, text: str) -> None:
        """A step, or a fault that begins or ends."""

    def update(self, moment: Moment) -> None:
        """A new picture."""

    def close(self) -> None:
        """No further pictures. Again: does nothing."""


class Terminal:
    """A picture that changes in place, under the lines of the start."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._console = console
        self._is_open = False

    def say(self, text: str) -> None:
        if not self._is_open:
            self._console.print(text, style="dim", highlight=False, markup=False)

    def update(self, moment: Moment) -> None:
        if not self._is_open:
            self._live.start()
            self._is_open = True
        self._live.update(_picture(moment), refresh=True)

    def close(self) -> None:
        if self._is_open:
            self._live.stop()
            self._is_open = False


class Plain:
    """Lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = 0.0

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, moment: Moment) -> None:
        if moment.elapsed >= self._due:
            self._due = moment.elapsed + _LINE_SECONDS
            self.say(line(moment))

    def close(self) -> None:
        """Nothing is open."""


def line(moment: Moment) -> str:
    """A moment in one line."""
    return (
        f"{clock(moment.elapsed)} {moment.phase}: {moment.faults} of {moment.planned} faults, {_figures(moment.traffic)},"
        f" restarts {moment.restarts}, late {_figures(moment.late)}, on the way: {moment.lag or 'unknown'}"
    )


def told(done: Done, began: float) -> str:
    """A fault that begins, or that is over, in one line."""
    fault = done.fault
    strength = f" {fault.toxic.strength:g}" if fault.toxic is not None and fault.toxic.strength else ""
    if done.ended is None:
        return f"{clock(done.began - began)} ! {fault.kind}{strength}: {done.target}, {fault.seconds:.1f} s"
    return f"{clock(done.ended - began)}   over: {fault.kind}: {done.target}"


def _figures(figures: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {figure}" for name, figure in figures.items())


def _picture(moment: Moment) -> Group:
    head = Table.grid(padding=(0, 1))
    share = min(moment.elapsed, moment.seconds)
    head.add_row(
        Text(moment.phase, style="bold yellow"),
        ProgressBar(total=moment.seconds, completed=share, width=40),
        f"{clock(moment.elapsed)} of {clock(moment.seconds)}",
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    table.add_row("faults", f"{moment.faults} of {moment.planned}")
    table.add_row("traffic", _figures(moment.traffic))
    table.add_row("restarts", str(moment.restarts))
    table.add_row("late", _figures(moment.late))
    table.add_row("on the way", moment.lag or "unknown")
    for nth, done in enumerate(reversed(moment.last[-_LAST:])):
        state = "" if done.ended is None else f", over after {done.ended - done.began:.1f} s"
        table.add_row(
            "last" if nth == 0 else "", Text(f"{done.fault.kind}: {done.target}{state}", style="dim" if state else "yellow")
        )
    return Group(head, table)
