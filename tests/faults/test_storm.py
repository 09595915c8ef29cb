"""Is every promise kept when a broker, a service, a way and the database fail in turn, on three brokers and a standby?

A short storm with a fixed seed; `make storm MINUTES=60` is the long one, with every kind of fault.
"""

from __future__ import annotations

from typing import Final

import pytest
from rich.console import Console

from tests.faults.storm.report import as_markdown
from tests.faults.storm.run import rage
from tests.faults.storm.schedule import Kind, draw
from tests.faults.storm.show import Plain

KINDS: Final = {Kind.BROKER_KILL, Kind.KILL, Kind.BLACK_HOLE, Kind.POSTGRES_CRASH}
SECONDS: Final = 20.0
STORM: Final = draw(seed=8, seconds=SECONDS, kinds=KINDS, tempo=0.3)


@pytest.mark.timeout(300)
@pytest.mark.failure("I3", "R24", "S21")
def test_a_short_storm_costs_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert {fault.kind for fault in STORM.faults} == KINDS
    report = rage(STORM, tmp_path_factory.mktemp("storm"), Plain(Console()), people=40)
    assert report.is_clean, as_markdown(report)
    assert len(report.recoveries) == len(STORM.faults)
    assert report.verdict.commands == report.traffic["commands"] > 0
    assert report.verdict.accepted + report.verdict.unresolved == report.verdict.commands, "what nobody can know is held, no more"
    assert all(figure.n > 0 for figure in report.verdict.figures), as_markdown(report)
