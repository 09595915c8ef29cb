"""How much of what a batch becomes is in memory at once? No more than a pile and a part, however short the webhooks are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from services.common.domain import topics
from services.common.platform.avro import Codec
from services.common.platform.kafka import PILE_BYTES, LogRecord, NewRecord, Pile, in_piles, in_turns
from services.router.routing import Router
from tests.support import samples
from tests.support.webhook_corpus import message, packed, post, value

PARTITIONS: Final = {topics.INBOUND_MESSAGES: 1}


def router() -> Router:
    return Router(Codec(), on_dead_letter=lambda _: None, on_unrecognized=lambda _: None)


def parts(records: Sequence[LogRecord]) -> list[int]:
    """How many records of theirs are written at a time; together they are what all become at once."""
    found = list(router().in_parts(records))
    assert [new for part in found for new in part] == router().route(*records)
    return [len(part) for part in found]


def test_short_webhooks_are_written_together() -> None:
    assert parts([samples.record(post(value(messages=[message(n)])), n) for n in range(50)]) == [50]


def test_what_has_many_elements_is_written_before_the_next_is_read() -> None:
    full = post(value(messages=[message(n) for n in range(1_200)]))
    gzip = ("content-encoding", b"gzip")
    assert parts([samples.record(full), samples.record(packed(full), 1, [gzip]), samples.record(full, 2)]) == [1_200] * 3


def test_what_is_long_once_unpacked_is_written_before_the_next_is_read() -> None:
    long = packed(post(value(messages=[message(text={"body": "x" * 300_000})])))
    assert parts([samples.record(long, n, [("content-encoding", b"gzip")]) for n in range(3)]) == [1, 1, 1]


def test_a_turn_has_no_more_bytes_than_records_of_the_usual_length_have() -> None:
    async def turns(*lengths: int) -> list[int]:
        return [len(few) async for few in in_turns([samples.record(b"x" * length) for length in lengths])]

    assert asyncio.run(turns(*[1_000] * 120)) == [50, 50, 20]
    assert asyncio.run(turns(1, 4_000_000, 1, 40_000, 40_000, 40_000)) == [1, 1, 2, 1, 1]
    assert asyncio.run(turns()) == []


@pytest.mark.failure("I10")
def test_nothing_more_is_made_while_a_pile_waits_to_be_appended() -> None:
    made: list[int] = []

    async def each() -> AsyncIterator[list[NewRecord]]:
        for n in range(20):
            made.append(n)
            yield [NewRecord(topics.INBOUND_MESSAGES, b"1", b"%d" % n + b"x" * 1_000_000, [])]

    def new_batch() -> Any:
        return BatchBuilder(2_500_000, 0)

    async def taken() -> list[tuple[int, int, int]]:
        piles = in_piles(each(), lambda: Pile(new_batch, PARTITIONS))
        return [(pile.bytes // 1_000_000, records(pile), len(made)) async for pile in piles]

    def records(pile: Pile) -> int:
        return sum(batch.record_count() for batches in pile.batches.values() for batch in batches)

    assert PILE_BYTES == 8 * 1024 * 1024
    assert asyncio.run(taken()) == [(9, 9, 9), (9, 9, 18), (2, 2, 20)]


def test_what_becomes_nothing_is_one_pile_without_records() -> None:
    async def nothing() -> AsyncIterator[list[NewRecord]]:
        yield []
        yield []

    async def taken() -> list[int]:
        return [pile.bytes async for pile in in_piles(nothing(), lambda: Pile(lambda: None, PARTITIONS))]

    assert asyncio.run(taken()) == [0]
