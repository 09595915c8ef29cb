"""How are results shown? Plain lines that pipe well; colour and spinners only on a terminal; phone numbers masked."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import orjson
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.status import Status
from rich.text import Text

_NUMBER = re.compile(r"(?<![\w.-])\+?(\d{2})\d{3,11}(\d{4})(?![\w-])")
_WAMID_NUMBER = 30
"""A number of 15 digits ends before here, with what Meta puts before it."""
_WAMID_END = 12


def masked(text: str) -> str:
    """A phone number by its first two and last four digits: enough to tell two apart, too little to call."""
    return _NUMBER.sub(r"+\1••••\2", text)


def short_wamid(wamid: str) -> str:
    """The end of Meta's message id: enough to tell two apart. Its beginning is base64 of the recipient's number."""
    return f"wamid.…{wamid.removeprefix('wamid.')[_WAMID_NUMBER:][-_WAMID_END:]}"


def instant(at: int) -> str:
    """Milliseconds since the epoch, in the time of this machine."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")


def span(milliseconds: int) -> str:
    """A length of time in its two largest units, cut off below them."""
    seconds = milliseconds // 1000
    if seconds < 1:
        return f"{milliseconds} ms"
    if seconds < 60:
        return f"{milliseconds // 100 / 10} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def line(text: str = "") -> None:
    print(text, flush=True)


def aside(text: str) -> None:
    """For people, out of the way of a pipe."""
    print(text, file=sys.stderr, flush=True)


def as_json(value: object) -> None:
    """One line of JSON."""
    print(orjson.dumps(value).decode(), flush=True)


def table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their content."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Progress:
    """Tells the steps of something slow, on stderr."""

    def step(self, text: str) -> None:
        aside(text)


class Silence(Progress):
    """Tells nothing."""

    def step(self, text: str) -> None:
        pass


class Spinner(Progress):
    """On a terminal the step in progress is one line that goes away; the first text stays."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._has_spoken = False

    def step(self, text: str) -> None:
        if not self._has_spoken:
            self._has_spoken = True
            self._status.console.print(text, highlight=False, markup=False)
            return
        self._status.update(text)


@contextmanager
def progress(*, only_on_terminal: bool = False) -> Iterator[Progress]:
    """A spinner on a terminal, else one line for each step, or none."""
    if not sys.stderr.isatty():
        yield Silence() if only_on_terminal else Progress()
        return
    with Console(stderr=True).status("") as status:
        yield Spinner(status)


class _Rate(ProgressColumn):
    """How many a second, of late."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


class Meter:
    """One line on a terminal: what is being done, how much of it is done, how fast, and how long it will take; it goes away."""

    def __init__(self, console: Console) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._text: str | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def refresh(self) -> None:
        """Show it now; else it is ten times a second."""
        self._progress.refresh()

    def at(self, text: str, done: int, total: int) -> None:
        """Without a total nobody knows how long it will take."""
        if text != self._text:
            for task in self._progress.task_ids:
                self._progress.remove_task(task)
            self._text = text
            self._progress.add_task(text, total=total or None, completed=done, count="")
        for task in self._progress.task_ids:
            count = f"{done:,} of {total:,}" if total else ""
            self._progress.update(task, total=total or None, completed=done, count=count)


@contextmanager
def meter() -> Iterator[Callable[[str, int, int], None]]:
    """What tells the meter of a terminal how far it is; nobody hears it where stderr is none."""
    if not sys.stderr.isatty():
        yield lambda _text, _done, _total: None
        return
    with Meter(Console(stderr=True)) as one:
        yield one.at
