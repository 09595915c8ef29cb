"""What does Meta's answer to an upload prove?"""

from __future__ import annotations

import orjson
import pytest

from services.sender.media.upload import NotUploaded, Uploaded, read_answer


def error(code: object) -> bytes:
    return orjson.dumps({"error": {"message": "no", "code": code}})


def test_an_id_is_an_upload() -> None:
    assert read_answer(200, b'{"id": "4490709327384033"}') == Uploaded(media_id="4490709327384033")


@pytest.mark.parametrize(
    ("status", "payload", "is_final"),
    [
        (200, b"{}", False),
        (200, b'{"id": 7}', False),
        (200, b'{"id": "a b"}', False),
        (200, b"<html>", False),
        (502, b"<html>", False),
        (500, b"", False),
        (500, error(131000), False),
        (503, error(2), False),
        (500, error(100), False),
        (400, error(4), False),
        (400, error(80007), False),
        (400, error(80008), False),
        (400, error(130429), False),
        (401, error(190), False),
        (400, error(1), False),
        (400, error("100"), False),
        (400, error(True), False),
        (400, error(100), True),
        (400, error(131009), True),
        (400, error(131051), True),
        (400, error(131052), True),
        (400, error(131053), True),
    ],
)
def test_what_is_not_known_to_be_refused_for_good_is_tried_again(status: int, payload: bytes, is_final: bool) -> None:
    answer = read_answer(status, payload)
    assert isinstance(answer, NotUploaded)
    assert answer.is_final == is_final


@pytest.mark.parametrize("code", [4, 80007, 80008, 130429])
def test_a_throttle_is_waited_for(code: int) -> None:
    answer = read_answer(400, error(code))
    assert isinstance(answer, NotUploaded)
    assert answer.wait_seconds >= 60.0
