"""When does a business answer people? Hours of the week, written as `mon-fri=09:00-12:00,13:00-18:00 sat=10:00-24:00`.

They are hours of the clock; which clock is said beside them. What is open over midnight is written for both days.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Final, NamedTuple

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60
_WORD: Final = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?=(.+)")
_SPAN: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


class BusinessHoursError(Exception):
    """The hours are not taken. The text is a sentence that says which word is wrong, and how it has to be."""


class Opening(NamedTuple):
    """`weekday`: 1 Monday to 7 Sunday. `opens` and `closes`: minutes since midnight, `closes` up to 1440."""

    weekday: int
    opens: int
    closes: int


def parse(words: Iterable[str]) -> tuple[Opening, ...]:
    """Every opening in the order of the week, or BusinessHoursError. Openings of a day do not overlap."""
    openings = sorted(opening for word in words for opening in _openings(word))
    for one, next_one in pairwise(openings):
        if one.weekday == next_one.weekday and next_one.opens < one.closes:
            raise BusinessHoursError(f"{in_words([one])} and {in_words([next_one])} overlap.")
    return tuple(openings)


def in_words(openings: Iterable[Opening]) -> str:
    """The same as `parse` reads, shortest first: neighbouring days with the same hours are one word."""
    of_day = {
        weekday: ",".join(f"{_clock(one.opens)}-{_clock(one.closes)}" for one in day)
        for weekday, day in groupby(sorted(openings), key=lambda one: one.weekday)
    }
    runs = groupby(enumerate(sorted(of_day)), key=lambda place: (place[1] - place[0], of_day[place[1]]))
    return " ".join(f"{_days([weekday for _, weekday in run])}={spans}" for (_, spans), run in runs)


def _openings(word: str) -> list[Opening]:
    found = _WORD.fullmatch(word.strip().lower())
    if found is None or not {found[1], found[2] or found[1]} <= set(DAYS):
        raise BusinessHoursError(f"{word}: days and hours are needed, as mon-fri=09:00-18:00 or sat=10:00-13:00.")
    first, last = DAYS.index(found[1]) + 1, DAYS.index(found[2] or found[1]) + 1
    if last < first:
        raise BusinessHoursError(f"{word}: {found[1]} comes after {found[2]} in a week that begins with mon.")
    spans = [_span(word, text) for text in found[3].split(",")]
    return [Opening(weekday, opens, closes) for weekday in range(first, last + 1) for opens, closes in spans]


def _span(word: str, text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise BusinessHoursError(f"{word}: hours are written as 09:00-18:00, several with commas between them.")
    opens_hour, opens_minute, closes_hour, closes_minute = map(int, found.groups())
    opens, closes = opens_hour * 60 + opens_minute, closes_hour * 60 + closes_minute
    if max(opens_minute, closes_minute) > 59 or closes > _DAY_MINUTES:
        raise BusinessHoursError(f"{word}: a day has the times 00:00 to 24:00.")
    if closes <= opens:
        raise BusinessHoursError(f"{word}: it closes before it opens; over midnight write fri=22:00-24:00 sat=00:00-02:00.")
    return opens, closes


def _days(weekdays: Sequence[int]) -> str:
    first, last = DAYS[weekdays[0] - 1], DAYS[weekdays[-1] - 1]
    return first if first == last else f"{first}-{last}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
