"""Are times and ids short enough to be read, and long enough to be true?"""

from __future__ import annotations

import base64
from datetime import datetime

import pytest

from services.cli.show import instant, short_wamid, span

PERSON = "491700000001234"
WAMID = (
    "wamid." + base64.b64encode(b"\x1c\x18\x0f" + PERSON.encode() + b"\x15\x02\x00\x11\x18\x125F425A74F13033492A\x00").decode()
)


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0 ms"),
        (132, "132 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_999, "59.9 s"),
        (60_000, "1 min 0 s"),
        (3_599_999, "59 min 59 s"),
        (7_800_000, "2 h 10 min"),
        (86_400_000, "1 d 0 h"),
        (278_000_000, "3 d 5 h"),
    ],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(milliseconds: int, said: str) -> None:
    assert span(milliseconds) == said


def test_an_instant_names_its_time_zone_so_that_it_can_be_told_apart_from_every_other() -> None:
    assert datetime.fromisoformat(instant(1_700_000_000_123)).timestamp() == pytest.approx(1_700_000_000.123)


def test_the_end_of_a_message_id_tells_nothing_of_the_number_in_its_beginning() -> None:
    assert PERSON.encode() in base64.b64decode(WAMID.removeprefix("wamid."))
    short = short_wamid(WAMID)
    assert short == f"wamid.…{WAMID[-12:]}"
    assert PERSON.encode()[-4:] not in base64.b64decode(short.removeprefix("wamid.…"))


@pytest.mark.parametrize("wamid", ["wamid.HBgMNDkxNzAwMDAwMDAx", "gBGGFlA5FpafAgkOuJbRq54qwbM", ""])
def test_a_message_id_too_short_to_hold_more_than_the_number_is_not_shown(wamid: str) -> None:
    assert short_wamid(wamid) == "wamid.…"
