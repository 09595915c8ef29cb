"""Which business hours are taken, and what is said about the others?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.business_hours import BusinessHoursError, Opening, in_words, parse


def test_hours_are_read_for_each_day_in_the_order_of_the_week() -> None:
    openings = parse(["SAT=10:00-24:00", "mon-tue=13:00-18:00,09:00-12:00"])
    assert openings == (
        Opening(1, 540, 720),
        Opening(1, 780, 1080),
        Opening(2, 540, 720),
        Opening(2, 780, 1080),
        Opening(6, 600, 1440),
    )
    assert in_words(openings) == "mon-tue=09:00-12:00,13:00-18:00 sat=10:00-24:00"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["weekdays=09:00-18:00"], "days and hours are needed"),
        (["mon"], "days and hours are needed"),
        (["mon-xyz=09:00-18:00"], "days and hours are needed"),
        (["fri-mon=09:00-18:00"], "fri comes after mon"),
        (["mon=9-18"], "hours are written as 09:00-18:00"),
        (["mon=09:00-18:60"], "a day has the times 00:00 to 24:00"),
        (["mon=09:00-24:01"], "a day has the times 00:00 to 24:00"),
        (["fri=22:00-02:00"], "over midnight write fri=22:00-24:00 sat=00:00-02:00"),
        (["mon=09:00-09:00"], "it closes before it opens"),
        (["mon-fri=09:00-12:00", "wed=11:59-13:00"], "wed=09:00-12:00 and wed=11:59-13:00 overlap"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], says: str) -> None:
    with pytest.raises(BusinessHoursError, match=says):
        parse(words)


@st.composite
def weeks(draw: st.DrawFn) -> list[Opening]:
    """Openings of which none overlaps another."""
    week = []
    for weekday in range(1, 8):
        times = sorted(draw(st.sets(st.integers(0, 1440), max_size=6)))
        week += [Opening(weekday, *pair) for pair in zip(times[::2], times[1::2], strict=False)]
    return week


@given(weeks())
def test_what_is_written_is_read_again(week: list[Opening]) -> None:
    assert parse(in_words(week).split()) == tuple(week)
