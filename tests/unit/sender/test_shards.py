"""Is every number served whose commands arrive while its shard is being taken over?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from services.common.domain.topics import SENDER_SOURCES
from services.sender.pacer import Past
from services.sender.shards import Shards

SHARD = 7
NUMBER = "106540352242922"


class Ledger:
    """A store whose backlog is read, and then something happens before the answer is there."""

    def __init__(self, backlog: dict[tuple[str, int], int], meanwhile: Callable[[], None]) -> None:
        self._backlog, self._meanwhile = backlog, meanwhile

    async def take_over(self, shards: Sequence[int], _: str) -> dict[int, int]:
        return dict.fromkeys(shards, 1)

    async def past(self, *_: object) -> dict[tuple[str, int], Past]:
        return {}

    async def backlog(self, _: Sequence[int]) -> dict[tuple[str, int], int]:
        found = dict(self._backlog)
        self._meanwhile()
        return found


async def nothing(*_: object) -> None:
    """What a take-over asks of others and this test does not."""


async def taken_over(backlog: dict[tuple[str, int], int], *, meanwhile: Callable[[Shards], None]) -> dict[str, int]:
    """The commands known to wait of each number that is served after the take-over."""
    waiting: dict[str, Any] = {}
    served: list[Any] = []

    def serve(phone_number_id: str, **_: object) -> Any:
        fresh = SimpleNamespace(phone_number_id=phone_number_id, waiting=0, wake=asyncio.Event())
        return waiting.setdefault(phone_number_id, fresh)

    told = asyncio.Event()
    shards: Shards
    store: Any = Ledger(backlog, lambda: meanwhile(shards))
    numbers: Any = SimpleNamespace(reload=nothing, serve=serve)
    stops: Any = SimpleNamespace(load=nothing)
    dispatcher: Any = SimpleNamespace(resume=lambda: None, serve=served.append)
    shards = Shards(
        store=store,
        numbers=numbers,
        stops=stops,
        dispatcher=dispatcher,
        adopt=nothing,
        instance="1",
        remembered_seconds=6.0,
        told=told,
        stopping=asyncio.Event(),
        commit=nothing,
        begin=lambda: None,
        fail=asyncio.get_running_loop().create_future(),
    )
    await shards.on_partitions_assigned([TopicPartition(topic, SHARD) for topic in SENDER_SOURCES])
    async with asyncio.timeout(5):
        await told.wait()
    return {number.phone_number_id: number.waiting for number in served}


def test_a_command_that_comes_after_the_backlog_was_read_wakes_its_number() -> None:
    assert asyncio.run(taken_over({}, meanwhile=lambda shards: shards.notify(NUMBER, SHARD, 3))) == {NUMBER: 0}


def test_what_the_backlog_holds_is_counted_once_though_it_was_told_too() -> None:
    found = asyncio.run(taken_over({(NUMBER, SHARD): 3}, meanwhile=lambda shards: shards.notify(NUMBER, SHARD, 3)))
    assert found == {NUMBER: 3}


def test_a_shard_that_is_not_ours_stays_unserved() -> None:
    assert asyncio.run(taken_over({}, meanwhile=lambda shards: shards.notify(NUMBER, SHARD + 1, 3))) == {}
