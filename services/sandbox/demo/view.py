"""How does a moment of the demo look: as a screen in a terminal, as one line in a log, and as a report at the end?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from services.sandbox.demo.business import name_of
from services.sandbox.demo.play import Note
from services.sandbox.demo.snapshot import NumberNow, Snapshot
from services.sandbox.ledger import Kind, NumberVerdict, Verdict, grouped

_BAR_CELLS = 16
SMALLEST_HEIGHT = 24
_EVENTS_SHOWN, _NOTES_SHOWN = 3, 6
_FINDINGS_SHOWN = 20
_LABEL, _GOOD, _BAD, _QUIET = "bold cyan", "green", "bold red", "dim"


def screen(snapshot: Snapshot, describe: str, *, height: int = SMALLEST_HEIGHT) -> RenderableType:
    """The whole picture, for 80 columns and 24 lines or more; what is higher shows more of the past."""
    events, notes = _shares(height - SMALLEST_HEIGHT)
    table = Table.grid(padding=(0, 2))
    table.add_column(style=_LABEL, no_wrap=True)
    table.add_column()
    table.add_row("pipeline", _pipeline(snapshot))
    for nth, number in enumerate(snapshot.numbers):
        table.add_row("numbers" if nth == 0 else "", _number(number))
    table.add_row("commands", _figures(snapshot.funnel, ("taken in", "waiting", "rejected", "unknown", "unresolved")))
    table.add_row("messages", _figures(snapshot.funnel, ("accepted", "sent", "delivered", "read", "failed")))
    table.add_row("refused", _figures(snapshot.refused) if snapshot.refused else Text("none yet", style=_QUIET))
    people = {"windows open": snapshot.windows_open, "opted out": snapshot.opted_out, "dead letters": snapshot.dead_letters}
    table.add_row("people", _figures(people))
    table.add_row("lag", _figures(snapshot.backlog))
    for nth, event in enumerate(snapshot.last[:events]):
        table.add_row(
            "last" if nth == 0 else "", Text(f"{event.clock}  {event.who}  {event.what}", no_wrap=True, overflow="ellipsis")
        )
    for nth, note in enumerate(snapshot.notes[-notes:]):
        table.add_row("troubles" if nth == 0 else "", _note(note))
    return Group(_head(snapshot), Text(describe, style=_QUIET, no_wrap=True, overflow="ellipsis"), Rule(style=_QUIET), table)


def line(snapshot: Snapshot) -> str:
    """The same in one line, for a log."""
    funnel = snapshot.funnel
    sends = " ".join(f"{number.sends}/{number.limit}" for number in snapshot.numbers)
    reached = ", ".join(f"{name} {grouped(funnel.get(name, 0))}" for name in ("accepted", "delivered", "read", "waiting"))
    return (
        f"{clock(snapshot.elapsed)} {snapshot.phase}: webhooks {snapshot.webhooks_per_second:.0f}/s, sends {sends} per s,"
        f" {reached}, refused {sum(snapshot.refused.values())}, lag {sum(snapshot.backlog.values())}"
    )


def note_line(note: Note) -> str:
    """A trouble, for a log."""
    return f"{clock(note.at)} ! {note.text}"


def report(verdict: Verdict, leftover: str) -> RenderableType:
    """What the ledger says, above the closing line."""
    numbers = Table(box=None, padding=(0, 2), pad_edge=False)
    for column in ("number", "limit/s", "worst second", "sends", "accepted"):
        numbers.add_column(column, justify="left" if column == "number" else "right", header_style=_LABEL)
    for number in verdict.numbers:
        numbers.add_row(*_judged(number))
    rows: list[RenderableType] = [numbers]
    rows.append(Text())
    accounts = {"commands": verdict.commands, "accepted": verdict.accepted, "rejected by Meta": verdict.rejected}
    accounts |= {"refused": sum(verdict.refused.values()), "unresolved": verdict.unresolved}
    rows.append(_figures(accounts))
    rows.append(Text("refused   ", style=_LABEL) + _figures(verdict.refused))
    rows.append(
        Text("besides   ", style=_LABEL)
        + _figures({"dead letters": verdict.dead_letters, "refused while read models lagged": verdict.surprises})
    )
    rows.extend(_findings(verdict))
    if leftover != "nothing":
        rows.append(Text(f"not settled in time: {leftover}", style=_BAD))
    return Group(*rows)


def clock(seconds: float) -> str:
    """Minutes and seconds since the first traffic."""
    whole = max(0, math.floor(seconds))
    return f"{whole // 60:02}:{whole % 60:02}"


def _shares(more_lines: int) -> tuple[int, int]:
    """How many events and troubles fit; what is beyond the smallest screen is for both."""
    extra = max(0, more_lines)
    return _EVENTS_SHOWN + extra // 3, _NOTES_SHOWN + extra - extra // 3


def _head(snapshot: Snapshot) -> Text:
    head = Text("parley demo", style="bold")
    head.append(f"   {clock(snapshot.elapsed)} of {clock(snapshot.seconds)}", style="default")
    return head.append(f"   {snapshot.phase}", style="bold yellow")


def _pipeline(snapshot: Snapshot) -> Text:
    text = Text("webhooks ")
    text.append(f"{snapshot.webhooks_per_second:>4.0f}/s", style="bold")
    text.append(f" ({grouped(snapshot.webhook_posts)} posted")
    if snapshot.webhook_errors:
        text.append(f", {snapshot.webhook_errors} not 200", style="yellow")
    return text.append(")   sends ").append(f"{snapshot.sends_per_second:>3.0f}/s", style="bold")


def _number(number: NumberNow) -> Text:
    cells = min(_BAR_CELLS, math.ceil(_BAR_CELLS * number.sends / number.limit))
    text = Text(f"{number.name:<14}", no_wrap=True)
    text.append("█" * cells, style=_GOOD if number.worst_second <= number.limit else _BAD).append(
        "░" * (_BAR_CELLS - cells), style=_QUIET
    )
    text.append(f" {number.sends:>3}/{number.limit}/s")
    text.append(f"  worst {number.worst_second:>2}", style="default" if number.worst_second <= number.limit else _BAD)
    return text.append(f"  waiting {number.waiting}", style="default" if number.waiting else _QUIET)


def _figures(figures: Mapping[str, int], names: Iterable[str] | None = None) -> Text:
    text = Text()
    for name in names if names is not None else figures:
        figure = figures.get(name, 0)
        if text.plain:
            text.append(" · ", style=_QUIET)
        text.append(f"{name} ", style="default" if figure else _QUIET).append(grouped(figure), style="bold" if figure else _QUIET)
    return text


def _note(note: Note) -> Text:
    return Text(f"{clock(note.at)}  {note.text}", style="yellow", no_wrap=True, overflow="ellipsis")


def _judged(number: NumberVerdict) -> list[RenderableType]:
    worst = Text(str(number.worst_second), style=_GOOD if number.worst_second <= number.limit else _BAD)
    return [name_of(number.phone_number_id), str(number.limit), worst, grouped(number.arrivals), grouped(number.accepted)]


def _findings(verdict: Verdict) -> list[Text]:
    found = [Text(f"{finding.kind}: {finding.what}: {finding.why}", style=_BAD) for finding in verdict.findings[:_FINDINGS_SHOWN]]
    left = len(verdict.findings) - len(found)
    if left > 0:
        found.append(Text(f"and {left} more", style=_BAD))
    if found:
        kinds = {kind.value: verdict.count(kind) for kind in Kind if verdict.count(kind)}
        found.insert(0, Text("broken promises: ", style=_BAD) + _figures(kinds))
    return found
