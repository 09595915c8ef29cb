"""How are results shown? Plain lines that pipe well; colour and spinners only on a terminal; phone numbers masked."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.status import Status

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
