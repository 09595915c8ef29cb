from __future__ import annotations

from functools import reduce
from itertools import combinations_with_replacement, permutations, product

import pytest

from services.common.domain.status import (
    Delivery,
    DeliveryStatus,
    current,
    has_failed,
    merge,
    progress,
    report,
)

S = DeliveryStatus
REPORTS = [report(status, at=at) for status in (S.SENT, S.DELIVERED, S.READ, S.PLAYED) for at in (1, 2)] + [
    report(S.FAILED, at=at, code=code) for at in (1, 2) for code in (None, 131026, 131036)
]
FAILURES = [Delivery()] + [Delivery(failed_at=at, failed_code=code) for at in (-1, 0, 1) for code in (None, 0, 131026)]


@pytest.mark.failure("R14")
def test_any_order_and_repetition_of_reports_ends_in_the_same_delivery() -> None:
    for count in (2, 3, 4):
        for seen in combinations_with_replacement(REPORTS, count):
            assert len({reduce(merge, order, Delivery()) for order in permutations(seen)}) == 1


def test_repeated_reports_add_nothing() -> None:
    for seen in product(REPORTS, repeat=3):
        known = reduce(merge, seen)
        assert all(merge(known, again) == known for again in seen)
        assert merge(known, known) == merge(known, Delivery()) == merge(Delivery(), known) == known


def test_failures_merge_alike_however_they_are_grouped() -> None:
    for a, b, c in product(FAILURES, repeat=3):
        assert merge(a, merge(b, c)) == merge(merge(a, b), c)
        assert merge(a, b) == merge(b, a)


def test_no_report_takes_a_message_back() -> None:
    rank = [S.ACCEPTED, S.SENT, S.DELIVERED, S.READ, S.PLAYED].index
    for seen in product(REPORTS, repeat=3):
        known = reduce(merge, seen[:2])
        after = merge(known, seen[2])
        assert rank(progress(after)) >= rank(progress(known))
        assert has_failed(after) >= has_failed(known)


def test_the_first_instant_of_every_status_is_kept() -> None:
    late, early = report(S.READ, at=9), report(S.READ, at=4)
    assert merge(merge(late, early), report(S.SENT, at=7)) == Delivery(read_at=4, sent_at=7)


def test_the_epoch_itself_is_an_instant() -> None:
    assert current(report(S.SENT, at=0)) is S.SENT
    assert merge(report(S.FAILED, at=0, code=1), report(S.FAILED, at=1, code=2)).failed_code == 1


def test_of_failures_at_the_same_instant_the_one_that_says_why_is_kept() -> None:
    silent, telling = report(S.FAILED, at=1), report(S.FAILED, at=1, code=131026)
    assert merge(silent, telling).failed_code == merge(telling, silent).failed_code == 131026


def test_a_code_is_kept_for_failures_only() -> None:
    assert report(S.SENT, at=1, code=131026) == Delivery(sent_at=1)


@pytest.mark.parametrize(
    ("statuses", "expected", "failed"),
    [
        pytest.param([], S.ACCEPTED, False, id="nothing heard yet"),
        pytest.param([S.ACCEPTED], S.ACCEPTED, False, id="accepted"),
        pytest.param([S.SENT], S.SENT, False, id="sent"),
        pytest.param([S.READ], S.READ, False, id="read without delivered"),
        pytest.param([S.PLAYED, S.READ, S.SENT], S.PLAYED, False, id="played first"),
        pytest.param([S.READ, S.DELIVERED, S.SENT], S.READ, False, id="late sent and delivered"),
        pytest.param([S.FAILED], S.FAILED, True, id="failed at once"),
        pytest.param([S.SENT, S.FAILED], S.FAILED, True, id="failed after sent"),
        pytest.param([S.FAILED, S.SENT], S.FAILED, True, id="sent heard after failed"),
        pytest.param([S.DELIVERED, S.FAILED], S.DELIVERED, True, id="a companion device had it"),
        pytest.param([S.FAILED, S.READ], S.READ, True, id="read after all"),
    ],
)
def test_failed_is_final_unless_the_message_arrived(
    statuses: list[DeliveryStatus], expected: DeliveryStatus, failed: bool
) -> None:
    delivery = reduce(merge, (report(status, at=at) for at, status in enumerate(statuses)), Delivery())
    assert current(delivery) is expected
    assert has_failed(delivery) is failed
