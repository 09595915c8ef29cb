"""Do projectors that write at the same moment double, lose or block each other's rows? On a real Postgres, without a log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import psycopg
import pytest
from prometheus_client import REGISTRY

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.topics import INBOUND_MESSAGES
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord
from services.common.platform.postgres import pool
from services.projector.batch import Read
from services.projector.decode import Decoder, set_aside
from services.projector.fold import Event, fold
from services.projector.store import Folded, Store, folded
from services.projector.worker import Worker
from services.sandbox.witness import install
from tests.support.read_models import comparable, stored
from tests.support.told import received, sent, status
from tests.support.witness import advances_without_gap_or_overlap

WORKERS: Final = 8
PEOPLE: Final = 4
BATCHES: Final = 12
WAITS: Final = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def batch(events: Sequence[Event], *, partition: int = 0, begin: int = 0) -> Folded:
    """Events as the log would hand them over, one at each offset."""
    return folded(
        [Read(LogRecord(INBOUND_MESSAGES, partition, begin + n, 0, None, None, ()), event) for n, event in enumerate(events)]
    )


def about_everybody(chance: random.Random, worker: int) -> list[Event]:
    """All that becomes of a message to each of a few people, and what they say, in any order: rows that others write, too."""
    events: list[Event] = []
    for person in range(PEOPLE):
        contact, at = f"491510000000{person}", 1_783_000_800_000 + chance.randrange(10**6)
        events += [sent(f"{person}", contact, at), received(f"{person}.{worker}.{at}", contact, at)]
        events += [status(f"{person}", word, contact, at) for word in ("sent", "delivered", "read")]
    chance.shuffle(events)
    return events


@pytest.mark.failure("R10")
def test_eight_workers_on_the_rows_of_four_people_never_wait_for_each_other_in_a_ring(postgres: str) -> None:
    """Rows are written in the order of their keys, so there is no deadlock to be tried again."""
    chance = random.Random(10)
    told = [[about_everybody(chance, worker) for _ in range(BATCHES)] for worker in range(WORKERS)]

    async def work(worker: int) -> None:
        async with pool(postgres, service="test", size=1, search_path="projector") as connections:
            projector = Worker(store=Store(connections, projection="test"), decoder=Decoder(Codec()), stopping=asyncio.Event())
            begin = 0
            for events in told[worker]:
                await projector.commit(batch(events, partition=worker, begin=begin))
                begin += len(events)

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as tasks:
            for worker in range(WORKERS):
                tasks.create_task(work(worker))

    before = retries()
    asyncio.run(all_at_once())
    assert retries() == before
    assert stored(postgres) == comparable(fold([event for batches in told for events in batches for event in events]))


@pytest.mark.failure("R9")
def test_who_stands_still_while_its_dead_letters_are_appended_is_idle_to_postgres_and_so_in_time_put_out(postgres: str) -> None:
    """Else no time-out would end its session, and whoever has its partitions by then would wait for its locks."""
    record = LogRecord(INBOUND_MESSAGES, 0, 1, 0, None, b"no event", ())
    problem = Unprocessable(Reason.AVRO_SYNTAX)
    letter = Read(record, set_aside(record, problem), problem)
    some = folded([*batch([received("1", "4915100000000", 1_783_000_800_000)]).batch, letter])
    is_idle = "SELECT FROM pg_stat_activity WHERE application_name = 'parley-still' AND state = 'idle in transaction'"

    async def look() -> None:
        stands_still = asyncio.Event()

        async def before_commit(fresh: Sequence[Read]) -> None:
            assert len(fresh) == 2
            stands_still.set()
            await asyncio.Event().wait()

        async with pool(postgres, service="still", size=1, search_path="projector") as connections:
            standing = asyncio.create_task(Store(connections, projection="test").apply(some, before_commit))
            await stands_still.wait()
            async with (
                await psycopg.AsyncConnection.connect(postgres, autocommit=True) as looking,
                asyncio.timeout(10.0),
            ):
                while not (await (await looking.execute(is_idle)).fetchall()):
                    assert not standing.done()
            standing.cancel()
            await asyncio.wait({standing})

    asyncio.run(look())


def retries() -> float:
    """How often a batch of ours was tried again."""
    return REGISTRY.get_sample_value("parley_postgres_retries_total", {"service": "projector"}) or 0.0


@pytest.mark.failure("R6", "R8")
def test_who_was_taken_for_dead_writes_nothing_that_its_successor_has(postgres: str) -> None:
    """While its transaction is open the successor waits for it; afterwards it finds its own records dropped, and no gap."""
    install(postgres)
    events: list[Event] = [received(f"{n}") for n in range(6)]

    async def nothing(_: object) -> None:
        return None

    async def both() -> list[int]:
        async with (
            pool(postgres, service="test", size=1, search_path="projector") as of_zombie,
            pool(postgres, service="test", size=1, search_path="projector") as of_successor,
        ):
            zombie, successor = Store(of_zombie, projection="test"), Store(of_successor, projection="test")
            await zombie.apply(batch(events[:1]), nothing)
            stands_still, goes_on = asyncio.Event(), asyncio.Event()

            async def stand_still(_: object) -> None:
                stands_still.set()
                await goes_on.wait()

            held = asyncio.create_task(zombie.apply(batch(events[1:3], begin=1), stand_still))
            await stands_still.wait()
            taking_over = asyncio.create_task(successor.apply(batch(events[1:4], begin=1), nothing))
            async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as looking:
                while not (await (await looking.execute(WAITS)).fetchall()):
                    assert not taking_over.done(), "the position was not locked"
            goes_on.set()
            progress = [await held, await taking_over]
            progress.append(await zombie.apply(batch(events[1:3], begin=1), nothing))
            progress.append(await zombie.apply(batch(events[3:6], begin=3), nothing))
            return [len(one.fresh) for one in progress]

    assert asyncio.run(both()) == [2, 1, 0, 2]
    assert advances_without_gap_or_overlap(postgres) == len(events)
    assert stored(postgres) == comparable(fold(events))
