"""Is every promise kept when a broker, a service, a way and the database fail in turn, on three brokers and a standby?

A short storm with a fixed seed; `make storm MINUTES=60` is the long one, with every kind of fault.
"""

from __future__ import annotations

from typing import Final

import pytest
from rich.console import Console

from tests.faults.storm import emitted
from tests.faults.storm.report import as_markdown
from tests.faults.storm.run import rage
from tests.faults.storm.schedule import Kind, draw
from tests.faults.storm.show import Plain
from tests.support.canaries import PHONE

KINDS: Final = {Kind.BROKER_KILL, Kind.KILL, Kind.BLACK_HOLE, Kind.POSTGRES_CRASH}
SECONDS: Final = 20.0
STORM: Final = draw(seed=8, seconds=SECONDS, kinds=KINDS, tempo=0.3)


@pytest.mark.timeout(300)
@pytest.mark.failure("I3", "R24", "S21")
def test_a_short_storm_costs_nothing_and_tells_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert {fault.kind for fault in STORM.faults} == KINDS
    folder = tmp_path_factory.mktemp("storm")
    report = rage(STORM, folder, Plain(Console()), people=40)
    verdict, traffic = report.verdict, report.traffic
    assert report.is_clean, as_markdown(report)
    assert len(report.recoveries) == len(STORM.faults)
    assert verdict.commands == traffic["commands"] > 0
    ended = verdict.accepted + verdict.rejected + traffic["commands nobody can read"]
    assert ended + verdict.unresolved == verdict.commands, "what nobody can know is held, no more"
    assert all(figure.n > 0 for figure in report.figures), as_markdown(report)
    assert traffic["dead letters"] > traffic["commands nobody can read"] > 0
    assert all(one.places > 0 and one.size > 0 for one in report.searches.values()), as_markdown(report)
    with (folder / "stack" / "logs" / "sender-2.log").open("a") as log:
        log.write(f'{{"event": "send.begun", "to": "+{PHONE}001"}}\n')
    seen = [sighting for one in emitted.afterwards({"a number": PHONE}, folder).values() for sighting in one.sightings]
    assert seen == ["a number in stack/logs/sender-2.log"]
