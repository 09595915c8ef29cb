"""Is the age of what is left right when a reader is at work, stuck, without work, and when nothing of what is left is in hand?"""

from __future__ import annotations

import pytest

from services.common.domain.arrears import Arrears

TOPICS = ("a", "b")
NOW = 1_000_000_000


def ages(arrears: Arrears, left: dict[tuple[str, int], int | None], *, now: int = NOW) -> tuple[float, float]:
    found = arrears.ages(TOPICS, left, now=now)
    return found["a"], found["b"]


def test_nothing_left_is_no_age_however_old_the_last_record_is() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=7, appended_at=NOW - 86_400_000)
    arrears.finished(("a", 0), offset=7, appended_at=NOW - 86_400_000)
    assert ages(arrears, {("a", 0): 0}) == (0, 0)


def test_a_record_in_hand_grows_older_until_it_is_processed() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=7, appended_at=NOW - 5_000)
    assert ages(arrears, {("a", 0): 1}) == (5, 0)
    assert ages(arrears, {("a", 0): 1}, now=NOW + 60_000) == (65, 0)
    arrears.finished(("a", 0), offset=7, appended_at=NOW - 5_000)
    assert ages(arrears, {("a", 0): 0}, now=NOW + 60_000) == (0, 0)


def test_the_oldest_of_all_partitions_counts_and_each_topic_for_itself() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=1, appended_at=NOW - 1_000)
    arrears.took(("a", 1), offset=1, appended_at=NOW - 9_000)
    arrears.took(("a", 1), offset=2, appended_at=NOW - 8_000)
    arrears.took(("b", 0), offset=1, appended_at=NOW - 2_000)
    left: dict[tuple[str, int], int | None] = {("a", 0): 1, ("a", 1): 2, ("b", 0): 1}
    assert ages(arrears, left) == (9, 2)
    arrears.finished(("a", 1), offset=1, appended_at=NOW - 9_000)
    assert ages(arrears, left) == (8, 2)


def test_what_is_left_after_a_batch_is_as_old_as_what_was_in_it() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=1, appended_at=NOW - 9_000)
    arrears.finished(("a", 0), offset=1, appended_at=NOW - 7_000)
    assert ages(arrears, {("a", 0): 500}) == (7, 0)


def test_what_comes_after_silence_is_not_as_old_as_the_silence() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=1, appended_at=NOW - 86_400_000)
    arrears.finished(("a", 0), offset=1, appended_at=NOW - 86_400_000)
    assert ages(arrears, {("a", 0): 0}) == (0, 0)
    assert ages(arrears, {("a", 0): 1}, now=NOW + 3_000) == (3, 0)
    assert ages(arrears, {("a", 0): 1}, now=NOW + 90_000) == (90, 0)


def test_a_log_whose_end_is_not_known_is_not_taken_for_empty() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=1, appended_at=NOW - 9_000)
    assert ages(arrears, {("a", 0): None}) == (9, 0)
    arrears.finished(("a", 0), offset=1, appended_at=NOW - 9_000)
    assert ages(arrears, {("a", 0): None}) == (0, 0)
    assert ages(arrears, {("a", 0): 1}) == (9, 0), "nobody saw that there was nothing left"


def test_a_partition_of_which_nothing_was_seen_has_no_age_and_one_of_another_reader_none_either() -> None:
    arrears = Arrears()
    assert ages(arrears, {("a", 0): 5}) == (0, 0)
    arrears.took(("a", 1), offset=1, appended_at=NOW - 9_000)
    assert ages(arrears, {("a", 0): 5}) == (0, 0)


def test_partitions_that_are_given_anew_begin_anew() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=1, appended_at=NOW - 9_000)
    arrears.forget()
    assert ages(arrears, {("a", 0): 1}) == (0, 0)
    arrears.took(("a", 0), offset=3, appended_at=NOW - 4_000)
    arrears.finished(("a", 0), offset=1, appended_at=NOW - 9_000)
    assert ages(arrears, {("a", 0): 1}) == (4, 0), "an effect that ends late ends nothing else"


@pytest.mark.failure("R21")
def test_a_clock_that_is_ahead_makes_no_age_below_0() -> None:
    arrears = Arrears()
    arrears.took(("a", 0), offset=1, appended_at=NOW + 9_000)
    assert ages(arrears, {("a", 0): 1}) == (0, 0)
