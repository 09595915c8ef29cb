"""Does time go on when the clock on the wall is set back, and is nothing sent that the true time forbids?"""

from __future__ import annotations

from itertools import pairwise

from services.common.domain.steady_clock import SteadyClock
from services.common.domain.window import is_open, open_until

SECOND = 1_000_000_000
FIVE_MINUTES = 300 * SECOND


def test_the_wall_is_believed_until_it_is_set_back_and_again_when_it_has_caught_up() -> None:
    clock = SteadyClock()
    assert clock.read(wall=1_000 * SECOND, monotonic=10 * SECOND) == 1_000 * SECOND
    assert clock.read(wall=1_500 * SECOND, monotonic=11 * SECOND) == 1_500 * SECOND
    back = {"wall": 1_500 * SECOND - FIVE_MINUTES + SECOND, "monotonic": 12 * SECOND}
    assert clock.read(**back) == 1_501 * SECOND
    assert clock.behind(**back) == FIVE_MINUTES
    forth = {"wall": 1_600 * SECOND, "monotonic": 13 * SECOND}
    assert clock.read(**forth) == 1_600 * SECOND
    assert clock.behind(**forth) == 0


def test_no_window_is_open_again_and_no_difference_negative_after_five_minutes_back() -> None:
    """Every second for ten minutes around the end of a window, and the wall is set back at its end."""
    clock, begun = SteadyClock(), 1_800_000_000
    last_inbound_at = (begun - 86_400 + 300) * 1000
    sent_at: list[int] = []
    times: list[int] = []
    for second in range(600):
        wall = begun + second - (300 if second >= 240 else 0)
        now = clock.read(wall=wall * SECOND, monotonic=(50 + second) * SECOND) // 1_000_000
        times.append(now)
        if is_open(last_inbound_at, now=now):
            sent_at.append(begun + second)
    assert max(sent_at) * 1000 < open_until(last_inbound_at)
    assert all(later - earlier == 1_000 for earlier, later in pairwise(times))
    by_the_wall = [s for s in range(600) if is_open(last_inbound_at, now=(begun + s - (300 if s >= 240 else 0)) * 1000)]
    assert (begun + max(by_the_wall)) * 1000 > open_until(last_inbound_at), "the scene would show nothing"
