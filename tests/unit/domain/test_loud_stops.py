"""Is a reader stopped by what it may not pass over, and by nothing else?"""

from __future__ import annotations

import pytest

from services.common.domain.loud_stops import (
    DeadLetterFlood,
    DeadLetterLimit,
    LogDeleted,
    LogHole,
    LogTruncated,
    LoudStop,
    check_hole,
    check_log_range,
)

WITH_CODES_OF_THEIR_OWN = {70, 75, 76, 78}


def test_each_stop_has_a_name_a_code_and_advice_of_its_own() -> None:
    kinds = LoudStop.__subclasses__()
    assert len({kind.reason for kind in kinds}) == len({kind.exit_code for kind in kinds}) == len(kinds)
    assert not {kind.exit_code for kind in kinds} & WITH_CODES_OF_THEIR_OWN
    assert all(kind.what_to_do for kind in kinds)


@pytest.mark.failure("R7", "R20", "S20")
def test_a_position_must_be_in_the_log_or_at_its_end() -> None:
    for offset in (3, 5, 9):
        check_log_range("t", 0, offset, start=3, end=9)
    with pytest.raises(LogDeleted, match="records 2 to 2 were deleted"):
        check_log_range("t", 0, 2, start=3, end=9)
    with pytest.raises(LogTruncated, match="position 10 is beyond the log's end 9"):
        check_log_range("t", 0, 10, start=3, end=9)
    check_hole("t", 0, 5, 5)
    with pytest.raises(LogHole, match="expected offset 5, got 7"):
        check_hole("t", 0, 5, 7)


@pytest.mark.failure("R5")
def test_fifty_dead_letters_in_a_row_are_borne_and_one_more_is_not() -> None:
    limit = DeadLetterLimit()
    for _ in range(2):
        limit.good()
        for _ in range(50):
            limit.dead()
    with pytest.raises(DeadLetterFlood, match="51 dead letters in a row"):
        limit.dead()


@pytest.mark.failure("R5")
def test_a_hundred_of_the_last_ten_thousand_are_borne_however_many_came_before() -> None:
    limit = DeadLetterLimit()
    for _ in range(500):
        limit.dead()
        limit.good(99)
    limit.dead()
    limit.good(98)
    with pytest.raises(DeadLetterFlood, match="101 dead letters among the last 10000 records"):
        limit.dead()


def test_of_a_few_records_a_hundred_are_borne() -> None:
    limit = DeadLetterLimit()
    for _ in range(100):
        limit.good()
        limit.dead()
    with pytest.raises(DeadLetterFlood, match="101 dead letters among the last 201 records"):
        limit.dead()


def test_a_limit_that_is_off_bears_everything() -> None:
    limit = DeadLetterLimit(is_on=False)
    for _ in range(1_000):
        limit.dead()
