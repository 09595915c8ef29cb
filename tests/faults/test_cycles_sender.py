"""Is a command lost, sent twice, or told another fate than it had, when the sender dies at any of its fault points?"""

from __future__ import annotations

import pytest

from tests.faults.conftest import Inhabited
from tests.faults.test_cycles import CYCLES, assert_clean, points


@pytest.mark.timeout(300 + 10 * CYCLES)
@pytest.mark.parametrize("point", points(of_sender=True))
@pytest.mark.failure("S1", "S2", "S3", "S4", "S5", "S12")
def test_lives_that_end_at_a_point_leave_nothing_wrong(inhabited: Inhabited, point: str) -> None:
    assert_clean(inhabited, point)
