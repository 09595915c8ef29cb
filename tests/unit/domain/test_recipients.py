"""Is a recipient understood as written, and never changed into somebody else?"""

from __future__ import annotations

import pytest

from services.common.domain.recipients import Recipient, pair_of, parse, phone_digits


@pytest.mark.parametrize("text", ["+49 170 0000001", "49-170-0000001", "(49) 170.0000001", " 491700000001 ", "491700000001"])
def test_a_number_is_read_however_people_write_it(text: str) -> None:
    assert phone_digits(text) == "491700000001"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "12345",
        "123456",
        "1234567890123456",
        "0491700000001",
        "00491700000001",
        "49170000000a",
        "++491700000001",
        "٤٩١٧٠٠٠٠٠٠٠١",
    ],
)
def test_what_is_no_international_number_is_none(text: str) -> None:
    assert phone_digits(text) is None


def test_seven_and_fifteen_digits_are_the_ends() -> None:
    assert phone_digits("1234567") == "1234567"
    assert phone_digits("123456789012345") == "123456789012345"


def test_a_brazilian_ninth_digit_is_neither_added_nor_taken_away() -> None:
    assert phone_digits("+55 11 99999-0001") == "5511999990001"
    assert phone_digits("+55 11 9999-0001") == "551199990001"


@pytest.mark.parametrize("bsuid", ["DE.1234567890", "US.ENT.abc123"])
def test_a_user_id_is_a_recipient(bsuid: str) -> None:
    assert parse(to=None, bsuid=bsuid) == Recipient(digits=None, bsuid=bsuid)


@pytest.mark.parametrize("bsuid", ["", "DE.", "de.123", "123", "DE.12 34", "DE." + "1" * 129])
def test_what_is_no_user_id_makes_no_recipient(bsuid: str) -> None:
    assert parse(to=None, bsuid=bsuid) is None


def test_both_are_kept_and_neither_is_nobody() -> None:
    both = parse(to="+491700000001", bsuid="DE.1")
    assert both == Recipient(digits="491700000001", bsuid="DE.1")
    assert (both.bsuid, both.digits) == ("DE.1", "491700000001")
    assert parse(to=None, bsuid=None) is None


def test_a_group_stands_alone() -> None:
    group_id = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
    assert parse(to=None, bsuid=None, group_id=group_id) == Recipient(digits=None, bsuid=None, group_id=group_id)
    assert parse(to="+491700000001", bsuid=None, group_id=group_id) is None
    assert parse(to=None, bsuid="DE.1", group_id=group_id) is None
    assert pair_of(to=None, bsuid=None, group_id=group_id) == group_id


@pytest.mark.parametrize("group_id", ["", " ", "a b", "a\nb", "g" * 257, '"}],"to":"1'])
def test_what_is_no_group_makes_no_recipient(group_id: str) -> None:
    assert parse(to=None, bsuid=None, group_id=group_id) is None


def test_a_bad_number_beside_a_good_user_id_is_refused() -> None:
    assert parse(to="12", bsuid="DE.1") is None


def test_order_is_kept_by_the_number_whatever_its_spelling() -> None:
    assert pair_of(to="+49 170 0000001", bsuid="DE.1") == pair_of(to="491700000001", bsuid=None)
    assert pair_of(to="nonsense", bsuid=None) == "nonsense"
    assert pair_of(to=None, bsuid="DE.1") == "DE.1"
    assert pair_of(to=None, bsuid=None) == ""
