"""Are times and ids short enough to be read, and long enough to be true?"""

from __future__ import annotations

import base64
import io
from datetime import datetime

import pytest
from rich.console import Console

from services.cli.show import Meter, instant, meter, short_wamid, span

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


def test_a_meter_tells_how_much_how_fast_and_how_long_and_goes_away() -> None:
    seen = io.StringIO()
    with Meter(Console(file=seen, force_terminal=True, width=100)) as shown:
        for done in (0, 500, 800, 1_000):
            shown.at("Reading the log", done, 4_000)
        shown.refresh()
        told = seen.getvalue()
        shown.at("Making indexes", 0, 0)
    assert "Reading the log" in told
    assert "1,000 of 4,000" in told
    assert "/s" in told
    assert ":" in told, "how long it will take"
    assert seen.getvalue().endswith("\x1b[2K"), "the last thing is that the line is cleared"


def test_nothing_is_metered_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with meter() as at:
        at("Reading the log", 1, 2)
    assert capsys.readouterr() == ("", "")
