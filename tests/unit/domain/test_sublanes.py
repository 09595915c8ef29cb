"""Is a recipient always in the same sub-lane, for ever, and a limit never dealt out twice?"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import sublanes
from services.common.domain.records import SendMessage

NUMBER = "106540352242922"
ID = "0b6f0d0e-6c0e-4a3c-9f43-0d3a5be0c001"


def command(**fields: Any) -> SendMessage:
    return SendMessage(**{"command_id": ID, "phone_number_id": NUMBER, "type": "text", "content": "{}", **fields})


@pytest.mark.parametrize(
    ("fields", "of_2", "of_4", "of_16"),
    [
        ({"to": "+49 170 0000001"}, 0, 0, 12),
        ({"to": "491700000001", "recipient": "DE.1A2B3C"}, 0, 0, 12),
        ({"recipient": "DE.1A2B3C"}, 0, 2, 2),
        ({"group_id": "Y2FwaV9ncm91cDox"}, 1, 1, 9),
        ({"to": "gr\u00fc\u00dfe"}, 1, 1, 13),
    ],
)
def test_a_recipients_sublane_never_changes(fields: dict[str, str], of_2: int, of_4: int, of_16: int) -> None:
    for count, sublane in ((2, of_2), (4, of_4), (16, of_16)):
        assert sublanes.key_of(command(**fields), {NUMBER: count}) == f"{NUMBER}#{sublane}".encode()


def test_what_is_no_message_is_spread_by_its_id() -> None:
    assert sublanes.key_of(command(type="read"), {NUMBER: 4}) == f"{NUMBER}#2".encode()
    assert sublanes.key_of(command(type="read", to="+491700000001"), {NUMBER: 4}) == f"{NUMBER}#2".encode()


@pytest.mark.parametrize("counts", [{}, {NUMBER: 1}, {"1": 4}])
def test_without_sublanes_the_key_is_the_number(counts: dict[str, int]) -> None:
    assert sublanes.key_of(command(to="+491700000001"), counts) == NUMBER.encode()


@pytest.mark.parametrize("count", range(2, sublanes.MOST + 1))
def test_recipients_are_spread_over_all_sublanes(count: int) -> None:
    found = Counter(sublanes.key_of(command(to=f"+4917000{n:05d}"), {NUMBER: count}) for n in range(5_000))
    assert set(found) == set(sublanes.keys(NUMBER, count))
    assert max(found.values()) <= 1.15 * 5_000 / count


def test_a_setting_is_read() -> None:
    assert sublanes.parse("") == sublanes.parse("  ") == {}
    assert sublanes.parse("106540352242922=4") == {NUMBER: 4}
    assert sublanes.parse(" 106540352242922=16, 7=1 ,8=02") == {NUMBER: 16, "7": 1, "8": 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1", "entry 1 is not"),
        ("1=", "entry 1 is not"),
        ("=4", "entry 1 is not"),
        ("1=0", "entry 1 is not"),
        ("1=17", "entry 1 is not"),
        ("1=-2", "entry 1 is not"),
        ("1=4.0", "entry 1 is not"),
        ("1=\u0664", "entry 1 is not"),
        ("hunter2=4", "entry 1 is not"),
        ("1=4,", "entry 2 is not"),
        ("1=4;2=2", "entry 1 is not"),
        ("1=4,2=2,1=4", "entry 3 names a number that another one names"),
    ],
)
def test_a_setting_that_is_none_is_named_without_its_text(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        sublanes.parse(text)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("count", range(1, sublanes.MOST + 1))
def test_a_limit_is_dealt_out_whole_and_a_higher_one_takes_nothing_from_anybody(count: int) -> None:
    before = [0] * count
    for limit in range(1, 1_101):
        parts = [sublanes.part(limit, n, count=count) for n in range(count)]
        assert sum(parts) == limit
        assert max(parts) - min(parts) <= 1
        assert all(now >= was for now, was in zip(parts, before, strict=True))
        before = parts


@given(
    st.integers(1, 1_000),
    st.integers(1, sublanes.MOST),
    st.lists(st.integers(1, 2_000), max_size=40),
)
def test_together_all_take_off_what_was_received_and_less_than_one_more_each(limit: int, count: int, received: list[int]) -> None:
    shares = [sublanes.part(limit, n, count=count) for n in range(count)]
    owed, taken = [0] * count, [0] * count
    for until, some in enumerate(received, 1):
        for n, share in enumerate(shares):
            more, owed[n] = sublanes.debit(owed[n], some, share=share, limit=limit)
            assert more >= 0
            taken[n] += more
        assert 0 <= sum(taken) - sum(received[:until]) < count


@given(st.integers(1, 1_000), st.lists(st.integers(0, 2_000), max_size=40))
def test_who_has_the_whole_limit_takes_off_exactly_what_was_received(limit: int, received: list[int]) -> None:
    for some in received:
        assert sublanes.debit(0, some, share=limit, limit=limit) == (some, 0)
