"""Which rate cards are taken, and what is said about the others?"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.rate_card import COLUMNS, Rate, RateCardError, parse

HEAD = ",".join(COLUMNS)


def test_a_card_is_read_whole_and_in_metas_words() -> None:
    rates = parse(f"\ufeff{HEAD}\nbr, Marketing ,2026-07-01,0.0625,usd\r\nDE,authentication_international,2026-07-01,0,EUR\n")
    assert rates == (
        Rate(country="BR", category="marketing", valid_from=date(2026, 7, 1), price=Decimal("0.0625"), currency="USD"),
        Rate(
            country="DE", category="authentication-international", valid_from=date(2026, 7, 1), price=Decimal(0), currency="EUR"
        ),
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("BRA,marketing,2026-07-01,1,USD", "line 2: country: two letters"),
        ("BR,,2026-07-01,1,USD", "line 2: category: a word"),
        ("BR,marketing,01.07.2026,1,USD", "line 2: valid_from: a day"),
        ("BR,marketing,2026-07-01,-1,USD", "line 2: price: a number that is not negative"),
        ("BR,marketing,2026-07-01,NaN,USD", "line 2: price: a number that is not negative"),
        ('BR,marketing,2026-07-01,"0,06",USD', "line 2: price: a number that is not negative"),
        ("BR,marketing,2026-07-01,1,$", "line 2: currency: three letters"),
        ("BR,marketing,2026-07-01,1", "line 2: 5 cells are needed"),
        ("BR,marketing,2026-07-01,1,USD,x", "line 2: 5 cells are needed"),
        ('BR,marketing,2026-07-01,1,"USD', "line 2: "),
        ("BR,marketing,2026-07-01,1,USD\nBR,marketing,2026-07-01,2,USD", "line 3: another price for BR marketing 2026-07-01"),
        ("", "line 2: there is no rate"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line: str, says: str) -> None:
    with pytest.raises(RateCardError) as refused:
        parse(f"{HEAD}\n{line}")
    assert [one for one in refused.value.problems if one.startswith(says)], refused.value.problems


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RateCardError) as refused:
        parse(f"{HEAD}\nBRA,marketing,never,1,USD\nDE,marketing,2026-07-01,much,EUR")
    assert len(refused.value.problems) == 3


def test_other_columns_are_no_rate_card() -> None:
    with pytest.raises(RateCardError, match="the columns have to be"):
        parse("market;category;price\nBR;marketing;1")


@given(st.text(max_size=200))
def test_whatever_is_in_a_file_is_a_card_or_a_sentence(text: str) -> None:
    for whole in (text, f"{HEAD}\n{text}"):
        assert all(one.startswith("line ") for one in problems(whole))


def problems(text: str) -> tuple[str, ...]:
    try:
        parse(text)
    except RateCardError as refused:
        return refused.problems
    return ()
