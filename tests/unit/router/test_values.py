"""Is what a body holds counted rightly before it is parsed, quickly, and whatever the bytes are?"""

from __future__ import annotations

import json
import random
import time
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.router.body import MAX_VALUES, document, values
from services.router.reading import Position
from services.router.webhook import split
from tests.support.webhook_corpus import around, message

SIZE: Final = 4 * 1024 * 1024
MARKS: Final = ',[{"\\:]} xé\n'
NO_BOUND: Final = 2**60

texts = st.text(MARKS, max_size=12)
scalars = st.none() | st.integers(-(2**53), 2**53) | texts
documents = st.recursive(scalars, lambda of: st.lists(of) | st.dictionaries(texts, of), max_leaves=12)


def counted(found: Any) -> int:
    """What is in there: an opening bracket for each object and array, a comma for each of their parts but the first."""
    if not isinstance(found, list | dict):
        return 0
    parts = found if isinstance(found, list) else found.values()
    return 1 + max(len(parts) - 1, 0) + sum(map(counted, parts))


@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_the_count_is_that_of_the_parsed_document(found: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(found, ensure_ascii=is_ascii, indent=indent).encode(errors="surrogatepass")
    assert values(text, NO_BOUND) == counted(found)


@settings(max_examples=30)
@given(st.lists(documents, min_size=1, max_size=3), st.text(MARKS, max_size=20), st.integers(0, 200))
def test_it_is_the_same_across_the_stretches_that_it_is_taken_in(found: list[Any], text: str, before: int) -> None:
    whole = [*found, text * 9_000, *found, "," * (64 * 1024 - before), text, *found]
    assert values(orjson.dumps(whole), NO_BOUND) == counted(whole)


@given(st.integers(0, 30), st.integers(0, 30))
def test_it_ends_early_when_there_are_more_than_asked_for(have: int, enough: int) -> None:
    found = values(json.dumps([0] * have).encode(), enough)
    assert found == max(1, have) or found > enough


@given(documents, st.text(MARKS, max_size=30))
def test_what_a_parser_takes_before_it_meets_an_error_is_counted(found: Any, behind: str) -> None:
    assert values(orjson.dumps(found) + behind.encode(), NO_BOUND) >= counted(found)


HOSTILE: Final = {
    "commas": b"," * SIZE,
    "brackets": b"[" * SIZE,
    "quotes": b'"' * SIZE,
    "backslashes": b"\\" * SIZE,
    "a string without an end": b'"' + b"," * SIZE,
    "backslashes and commas in a string without an end": b'"' + b"\\\\," * (SIZE // 3),
    "quotes behind backslashes": b'"' + b',\\"' * (SIZE // 3),
    "a comma in each string": b'",",' * (SIZE // 4),
    "a comma in each name": b'",":' * (SIZE // 4),
    "strings side by side": b'","' * (SIZE // 3),
    "backslashes at the end of strings": b'"\\\\",' * (SIZE // 5),
    "anything": bytes(random.Random(1).choices(b',[{"\\x', k=SIZE)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_four_megabytes_of_hostile_bytes_are_counted_in_no_time(text: bytes) -> None:
    began = time.process_time()
    values(text, MAX_VALUES)
    assert time.process_time() - began < 0.15  # measured: 30 ms; what grows with the square takes hours


@pytest.mark.failure("I10")
@pytest.mark.parametrize("part", [b"[]", b'{"a":0}', b'{"a":{}}', b'"a"', b"[" * 200 + b"]" * 200])
def test_of_more_values_than_any_webhook_has_none_is_made(part: bytes) -> None:
    body = around("@@").replace(b'"@@"', b",".join([part] * (2 * MAX_VALUES // (part.count(b"[") + part.count(b"{") + 1) + 1)))
    with pytest.raises(Unprocessable) as caught:
        split(body, Position("a/0/0", 1_795_000_000_000))
    assert (caught.value.reason, caught.value.pointer) == (Reason.TOO_MANY, "")


def test_what_stands_in_a_text_is_no_value() -> None:
    text = ',[{"\\' * (MAX_VALUES // 2)
    assert (
        document(around(message(9, text={"body": text})))["entry"][0]["changes"][0]["value"]["messages"][1]["text"]["body"]
        == text
    )


def test_what_looks_like_a_text_to_one_and_not_to_the_other_is_counted_by_both() -> None:
    """Outside of strings a backslash is no JSON; the reader of damaged bodies sees a string begin behind it."""
    hidden = b'"a"\\" " ' + b",".join([b"[]"] * MAX_VALUES)
    body = around("@@").replace(b'"@@"', b'"\xff",' + hidden)
    assert values(body, NO_BOUND) < MAX_VALUES
    with pytest.raises(Unprocessable) as caught:
        document(body)
    assert caught.value.reason is Reason.TOO_MANY
