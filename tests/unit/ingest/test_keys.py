"""Is the conversation found in the bytes, and is the search bounded on hostile ones?"""

from __future__ import annotations

import random
import time

import pytest

from services.ingest.keys import WINDOW, record_key
from tests.support.webhooks import PHONE_NUMBER_ID, body, message, status

PHONE = PHONE_NUMBER_ID.encode()


def test_one_message_is_keyed_by_its_sender() -> None:
    assert record_key(body(messages=[message("wamid.1", "5511999990001")])) == PHONE + b"/5511999990001"


def test_one_status_is_keyed_by_its_recipient() -> None:
    assert record_key(body(statuses=[status("wamid.1", recipient="5511999990002")])) == PHONE + b"/5511999990002"


def test_the_business_scoped_user_id_goes_before_the_number() -> None:
    assert record_key(body(messages=[message("wamid.1", from_user_id="BR.99")])) == PHONE + b"/BR.99"
    assert record_key(body(statuses=[status("wamid.1", recipient_user_id="BR.98")])) == PHONE + b"/BR.98"


def test_a_message_and_its_status_share_a_partition() -> None:
    spoken = body(messages=[message("wamid.1", "5511999990001")])
    delivered = body(statuses=[status("wamid.2", recipient="5511999990001")])
    assert record_key(spoken) == record_key(delivered)


def test_the_other_side_named_in_a_reply_is_not_the_contact() -> None:
    raw = (
        b'{"entry":[{"changes":[{"value":{"metadata":{"phone_number_id":"12"},"contacts":[{"wa_id":"34"}],'
        b'"messages":[{"context":{"from":"56","id":"wamid.0"},"from":"34","id":"wamid.1","timestamp":"1"}]}}]}]}'
    )
    assert record_key(raw) == b"12/34"


def test_several_elements_are_keyed_by_the_number_alone() -> None:
    assert record_key(body(messages=[message("wamid.1", "1"), message("wamid.2", "2")])) == PHONE
    assert record_key(body(messages=[message("wamid.1")], statuses=[status("wamid.2")])) == PHONE


def test_spaces_and_line_ends_around_the_colon_do_not_matter() -> None:
    assert record_key(b'{"phone_number_id" :\r\n "12", "wa_id" : "34", "timestamp" : "1"}') == b"12/34"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b'{"entry":[]}',
        b'{"phone_number_id":12}',
        b'{"phone_number_id":""}',
        b'{"phone_number_id":"1 2"}',
        b'{"phone_number_id":"' + b"1" * 500 + b'"}',
        b'{"phone_number_id":"12',
        b'"phone_number_id"',
    ],
)
def test_without_a_number_there_is_no_key(raw: bytes) -> None:
    assert record_key(raw) is None


def test_a_text_that_looks_like_a_key_is_not_one() -> None:
    raw = rb'{"body":"\"phone_number_id\":\"66\" \"wa_id\":\"77\"","phone_number_id":"12","wa_id":"34","timestamp":"1"}'
    assert record_key(raw) == b"12/34"


def test_a_value_named_like_a_key_is_passed_over() -> None:
    assert record_key(b'{"body":"wa_id","phone_number_id":"12","wa_id":"34","timestamp":"1"}') == b"12/34"


def test_a_body_beyond_the_window_is_keyed_by_its_number() -> None:
    raw = body(messages=[message("wamid.1", text={"body": "x" * WINDOW})])
    assert record_key(raw) == PHONE


@pytest.mark.parametrize(
    "unit",
    [
        b'"phone_number_id"',
        b'"phone_number_id":',
        b'"phone_number_id":"',
        b'"phone_number_id"' + b" " * 400,
        b'"timestam',
        b'"timestamp"',
        b'"',
        b'""',
        b"\\",
        b" ",
        b'"user_id":"',
        b'"phone_number_id":"1","wa_id"',
        b"\x00",
        b"\xff",
    ],
)
@pytest.mark.failure("I9")
def test_three_megabytes_of_hostile_bytes_take_under_five_milliseconds(unit: bytes) -> None:
    raw = (unit * (3_000_000 // len(unit) + 1))[:3_000_000]
    fastest = min(_seconds(raw) for _ in range(5))
    assert fastest < 0.005


def test_random_bytes_never_raise() -> None:
    dice = random.Random(2)
    parts = [b'"phone_number_id"', b'"wa_id"', b'"timestamp"', b":", b'"', b"12", b" ", b"\xff", b"{", b"\x00"]
    for _ in range(3_000):
        record_key(b"".join(dice.choices(parts, k=30)))


def _seconds(raw: bytes) -> float:
    began = time.perf_counter()
    record_key(raw)
    return time.perf_counter() - began
