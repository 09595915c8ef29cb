"""Where does the picture go: onto a terminal, into a log, or nowhere because only the verdict is wanted?"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live

from services.sandbox.demo import view
from services.sandbox.demo.snapshot import Snapshot
from services.sandbox.ledger import Kind, Verdict

PLAIN_SECONDS = 3.0


class Show(Protocol):
    """An audience."""

    def say(self, text: str) -> None:
        """A step of the start or the end."""

    def open(self, describe: str) -> None:
        """Traffic begins."""

    def update(self, snapshot: Snapshot) -> None:
        """A new picture."""

    def close(self) -> None:
        """No further pictures. Again: does nothing."""

    def verdict(self, verdict: Verdict, leftover: str) -> None:
        """The end; the closing line comes last."""


class Terminal:
    """A picture that changes in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._describe = ""

    def say(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False, markup=False)

    def open(self, describe: str) -> None:
        self._describe = describe
        self._live = Live(console=self._console, auto_refresh=False, screen=True)
        self._live.start()

    def update(self, snapshot: Snapshot) -> None:
        if self._live is not None:
            self._live.update(view.screen(snapshot, self._describe, height=self._console.height), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def verdict(self, verdict: Verdict, leftover: str) -> None:
        _print_verdict(self._console, verdict, leftover)


class Plain:
    """Lines, for a log: one every few seconds, and one for each trouble."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = 0.0
        self._noted = 0

    def say(self, text: str) -> None:
        self._line(text)

    def open(self, describe: str) -> None:
        """The first line of the start has said it already."""

    def update(self, snapshot: Snapshot) -> None:
        for note in snapshot.notes[self._noted :]:
            self._line(view.note_line(note))
        self._noted = len(snapshot.notes)
        if snapshot.elapsed >= self._due:
            self._due = snapshot.elapsed + PLAIN_SECONDS
            self._line(view.line(snapshot))

    def close(self) -> None:
        """Nothing is open."""

    def verdict(self, verdict: Verdict, leftover: str) -> None:
        _print_verdict(self._console, verdict, leftover)

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
        sys.stdout.flush()


class Json:
    """The verdict as one line of JSON and nothing else."""

    def say(self, text: str) -> None:
        """Not here."""

    def open(self, describe: str) -> None:
        """Not here."""

    def update(self, snapshot: Snapshot) -> None:
        """Not here."""

    def close(self) -> None:
        """Nothing is open."""

    def verdict(self, verdict: Verdict, leftover: str) -> None:
        print(json.dumps(as_json(verdict, leftover)))


def as_json(verdict: Verdict, leftover: str) -> Mapping[str, Any]:
    """Every figure of a verdict."""
    broken = {kind.value.replace(" ", "_"): verdict.count(kind) for kind in Kind}
    return {"ok": verdict.is_clean, **dataclasses.asdict(verdict), "broken": broken, "not_settled": leftover}


def _print_verdict(console: Console, verdict: Verdict, leftover: str) -> None:
    console.print(view.report(verdict, leftover))
    console.print(verdict.line, style="bold green" if verdict.is_clean else "bold red", highlight=False, soft_wrap=True)
