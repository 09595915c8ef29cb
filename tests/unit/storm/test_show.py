"""Does who watches a storm see its faults, its traffic and what is late, on a terminal and in a log?"""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from tests.faults.storm.inflict import Done
from tests.faults.storm.schedule import Fault, Kind
from tests.faults.storm.show import Moment, Plain, Terminal, told

SLOW = Fault(at=5.0, kind=Kind.SLOW, target="graph", seconds=12.0, strength=20_000.0)
DONE = Done(fault=SLOW, target="graph", began=105.0, ended=117.0)
LASTS = Done(fault=SLOW, target="graph", began=105.0)
MOMENT = Moment(
    elapsed=65.0,
    seconds=300.0,
    phase="storm",
    faults=3,
    planned=22,
    traffic={"messages": 120, "commands": 80},
    restarts=2,
    late={"rows": 7, "sends": 0},
    lag="router 4",
    last=[DONE, LASTS],
)


def test_a_fault_is_told_when_it_begins_and_when_it_is_over() -> None:
    assert told(LASTS, 100.0) == "00:05 ! slow 20000: graph, 12.0 s"
    assert told(DONE, 100.0) == "00:17   over: slow: graph"


def test_a_log_gets_a_line_now_and_then() -> None:
    out = StringIO()
    show = Plain(Console(file=out))
    for elapsed in (65.0, 66.0, 74.0, 75.0):
        show.update(replace(MOMENT, elapsed=elapsed))
    show.close()
    lines = out.getvalue().splitlines()
    assert [line[:5] for line in lines] == ["01:05", "01:15"]
    assert "3 of 22 faults, messages 120, commands 80, restarts 2, late rows 7, sends 0, on the way: router 4" in lines[0]


def test_what_cannot_be_asked_is_unknown() -> None:
    out = StringIO()
    Plain(Console(file=out)).update(replace(MOMENT, lag=None))
    assert "on the way: unknown" in out.getvalue()


def test_a_terminal_shows_a_bar_the_figures_and_the_last_faults() -> None:
    out = StringIO()
    show = Terminal(Console(file=out, force_terminal=True, width=100, color_system=None))
    show.say("starting")
    show.update(MOMENT)
    show.say("not while the picture is there")
    picture = out.getvalue()
    show.close()
    show.close()
    for text in ("starting", "01:05 of 05:00", "3 of 22", "messages 120", "rows 7", "router 4", "over after 12.0 s", "━"):
        assert text in picture
    assert "not while" not in picture
