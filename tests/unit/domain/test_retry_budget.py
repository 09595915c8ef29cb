"""Do further tries stay a small part of what a number sends, and is each made in the end?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import retry_budget
from services.common.domain.retry_budget import RetryBudget

LIMIT = 80


def test_while_everything_fails_a_tenth_is_tried_again() -> None:
    budget, firsts, agains = RetryBudget(), 0, 0
    for second in range(600):
        for slot in range(LIMIT):
            now = second + slot / LIMIT
            again = retry_budget.left(budget, limit=LIMIT, now=now) > 0
            budget = retry_budget.tried(budget, first=not again, again=again, limit=LIMIT, now=now)
            firsts, agains = firsts + (not again), agains + again
    assert agains / (firsts + agains) <= 0.115


def test_a_number_with_nothing_new_gets_rid_of_what_it_has() -> None:
    budget, now, left = RetryBudget(), 0.0, 160
    while left:
        again = min(left, retry_budget.left(budget, limit=LIMIT, now=now))
        budget = retry_budget.tried(budget, first=0, again=again, limit=LIMIT, now=now)
        left, now = left - again, now + 1.0
    assert 30 < now < 90


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(0, 50), st.integers(0, 50)), max_size=50),
)
def test_no_more_than_a_second_is_saved_up_and_nothing_is_spent_that_is_not_there(
    limit: int, steps: list[tuple[float, int, int]]
) -> None:
    budget, now = RetryBudget(), 0.0
    for gap, first, wanted in steps:
        now += gap
        left = retry_budget.left(budget, limit=limit, now=now)
        assert 0 <= left <= limit
        budget = retry_budget.tried(budget, first=first, again=min(wanted, left), limit=limit, now=now)
