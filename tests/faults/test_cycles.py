"""Is anything lost, doubled, invented or reordered when ingest, router, projector or a rebuild dies at any of its fault points?

`PARLEY_CYCLES=100` for more lives; `make faults POINT=… CYCLES=…` for a night of them. The sender's points have their own file.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import cycle, islice
from typing import Final

import pytest

from tests.faults.conftest import Inhabited
from tests.faults.cycles.points import PLANS
from tests.faults.cycles.running import MIXED, run

CYCLES: Final = int(os.environ.get("PARLEY_CYCLES", "20"))
SEED: Final = int(os.environ.get("PARLEY_CYCLES_SEED", "1"))


def points(*, of_sender: bool) -> list[str]:
    """Those that want the whole log first: later it lacks its beginning."""
    wanted = [point for point, plan in PLANS.items() if (plan.victim == "sender") is of_sender]
    return sorted(wanted, key=lambda point: not PLANS[point].is_whole_log)


def assert_clean(inhabited: Inhabited, point: str) -> None:
    """So many lives end at the point, and every figure is 0."""
    lives = (CYCLES + 1) // 2 if PLANS[point].is_slow else CYCLES
    report = inhabited.loop.run(run(inhabited.world, point, cycles=lives, actions=MIXED, batch=lives, seed=SEED))
    assert report.is_clean, f"{report}\nmake faults POINT={point} CYCLES={lives} ACTION=mixed SEED={SEED}"
    assert report.lives == Counter(islice(cycle(MIXED), lives))
    assert all(figure.n for figure in report.figures.values()), report
    inhabited.loop.run(inhabited.world.forget())


@pytest.mark.timeout(300 + 10 * CYCLES)
@pytest.mark.parametrize("point", points(of_sender=False))
@pytest.mark.failure("I1", "I2", "I6", "R1", "R2", "R6", "R8", "R23")
def test_lives_that_end_at_a_point_leave_nothing_wrong(inhabited: Inhabited, point: str) -> None:
    assert_clean(inhabited, point)
