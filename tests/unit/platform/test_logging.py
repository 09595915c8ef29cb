"""Can anything about people, or any secret, reach a log line?"""

from __future__ import annotations

import json
import logging as stdlib
from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.platform import logging
from services.common.platform.config import Secret


@pytest.fixture
def out() -> Iterator[StringIO]:
    root = stdlib.getLogger()
    before = root.handlers[:], root.level
    stream = StringIO()
    logging.configure(service="router", instance="7", log_format="json", stream=stream)
    yield stream
    root.handlers[:], root.level = before


def lines(out: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    "secret",
    [
        "+5511987654321",
        "5511987654321",
        "EAAGm0PX4ZCpsBAKZCZBtoken",
        "Bearer abc.def",
        "sha256=" + "ab" * 32,
        "postgresql://parley:hunter2@db/parley",
    ],
)
def test_numbers_tokens_signatures_and_passwords_are_replaced(out: StringIO, secret: str) -> None:
    logging.get("x").warning("something.happened", detail=f"about {secret}.")
    stdlib.getLogger("some.library").warning("about %s.", secret)
    text = json.dumps(lines(out))
    assert secret not in text
    assert "hunter2" not in text


def test_every_line_says_who_speaks(out: StringIO) -> None:
    logging.get("x").info("a.b", offset=123456789012)
    stdlib.getLogger("some.library").warning("hello")
    found = lines(out)
    assert [(line["service"], line["instance"]) for line in found] == [("router", "7")] * 2
    assert found[0]["offset"] == 123456789012


def test_the_message_of_a_foreign_exception_is_not_printed_but_its_place_is(out: StringIO) -> None:
    try:
        raise psycopg.DataError("DETAIL: Failing row contains (Ana, my secret text)")
    except psycopg.DataError as problem:
        logging.get("x").error("failed", exc_info=problem)
    (line,) = lines(out)
    assert "secret text" not in str(line)
    assert "test_logging.py" in str(line["exception"])
    assert "DataError" in str(line["exception"])


def test_our_own_exceptions_keep_their_message(out: StringIO) -> None:
    logging.get("x").error("failed", exc_info=Unprocessable(Reason.JSON_SYNTAX, pointer="/entry/0"))
    assert "json_syntax at /entry/0" in str(lines(out)[0]["exception"])


def test_control_characters_stay_on_one_line(out: StringIO) -> None:
    logging.get("x").info("a.b", name='Ana\r\n{"event":"forged"}\x1b[2J')
    assert len(lines(out)) == 1


def test_a_secret_prints_as_stars() -> None:
    secret = Secret("hunter2")
    assert {str(secret), f"{secret}", repr(secret)} == {"***", "Secret('***')"}
    assert secret.get_secret_value() == "hunter2"
