"""Does every lane get what it has coming to it, and does none stand still for another that has nothing?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import lane_shares
from services.common.domain.lane_shares import Shares
from services.common.domain.lanes import RANK, Lane

COUNTS = (1, 2, 3, 4, 20, 50)
SHARES: dict[frozenset[Lane], dict[Lane, float]] = {
    frozenset({Lane.OTP}): {Lane.OTP: 1.0},
    frozenset({Lane.TRANSACTIONAL}): {Lane.TRANSACTIONAL: 1.0},
    frozenset({Lane.BULK}): {Lane.BULK: 1.0},
    frozenset({Lane.OTP, Lane.TRANSACTIONAL}): {Lane.OTP: 0.9, Lane.TRANSACTIONAL: 0.1},
    frozenset({Lane.OTP, Lane.BULK}): {Lane.OTP: 0.9, Lane.BULK: 0.1},
    frozenset({Lane.TRANSACTIONAL, Lane.BULK}): {Lane.TRANSACTIONAL: 0.75, Lane.BULK: 0.25},
    frozenset(Lane): {Lane.OTP: 0.9, Lane.TRANSACTIONAL: 0.05, Lane.BULK: 0.05},
}


def pick(shares: Shares, count: int, have: Mapping[Lane, int]) -> Counter[Lane]:
    """What the statement `pick` makes of the orders."""
    places = []
    for order in lane_shares.orders(shares, count):
        for k in range(1, min(count, have.get(order.lane, 0)) + 1):
            is_urgent = k <= order.urgent
            place = RANK[order.lane] if is_urgent else order.offset + order.step * k
            places.append((not is_urgent, place, RANK[order.lane], k, order.lane))
    return Counter(place[-1] for place in sorted(places)[:count])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("full", SHARES, ids=lambda lanes: "+".join(sorted(lanes)))
def test_lanes_that_always_have_something_get_their_shares(full: frozenset[Lane], count: int) -> None:
    shares, total = Shares(), Counter[Lane]()
    for _ in range(6000 // count):
        picked = pick(shares, count, dict.fromkeys(full, count))
        shares = lane_shares.served(shares, picked)
        total += picked
    assert total.total() == 6000 // count * count
    assert {lane: total[lane] / total.total() for lane in total} == pytest.approx(SHARES[full], abs=0.002)


@pytest.mark.parametrize("others", [(), (Lane.TRANSACTIONAL,), (Lane.BULK,), (Lane.TRANSACTIONAL, Lane.BULK)])
def test_a_one_time_code_is_the_next_message_whatever_went_before(others: tuple[Lane, ...]) -> None:
    shares = Shares()
    for _ in range(1000):
        shares = lane_shares.served(shares, pick(shares, 1, dict.fromkeys(others, 1)))
        assert pick(shares, 1, dict.fromkeys((*others, Lane.OTP), 1)) == Counter({Lane.OTP: 1})


@given(
    st.lists(st.tuples(st.sampled_from(COUNTS), st.fixed_dictionaries({lane: st.integers(0, 60) for lane in Lane})), max_size=200)
)
def test_no_slot_is_left_while_a_lane_has_something_and_what_is_owed_stays_small(
    rounds: list[tuple[int, dict[Lane, int]]],
) -> None:
    shares = Shares()
    for count, have in rounds:
        picked = pick(shares, count, have)
        assert picked.total() == min(count, sum(min(count, some) for some in have.values()))
        shares = lane_shares.served(shares, picked)
        assert 0.0 <= shares.otp <= 1.0
        assert 0.0 <= shares.bulk <= 1.0
        assert -1.0 <= shares.bulk_ahead <= 1.0


def test_a_lane_that_had_nothing_does_not_make_up_for_it() -> None:
    shares = Shares()
    for _ in range(500):
        shares = lane_shares.served(shares, Counter({Lane.TRANSACTIONAL: 1}))
    picked = Counter[Lane]()
    for _ in range(12):
        one = pick(shares, 1, {Lane.TRANSACTIONAL: 1, Lane.BULK: 1})
        shares = lane_shares.served(shares, one)
        picked += one
    assert 3 <= picked[Lane.BULK] <= 5
