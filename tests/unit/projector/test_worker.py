"""Does a batch wait for what passes by itself, without a record given up for it? In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest
from aiokafka.errors import KafkaConnectionError, NotEnoughReplicasError
from psycopg_pool import PoolTimeout

from services.common.domain.loud_stops import DeadLetterLimit
from services.common.domain.topics import INBOUND_MESSAGES, PROJECTOR_DEAD_LETTERS
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, NewRecord
from services.projector.batch import Progress, Read, advance, first_offsets
from services.projector.decode import Decoder
from services.projector.store import BeforeCommit, Folded, Store
from services.projector.worker import PUBLISH_SECONDS, Worker
from tests.support.read_models import in_log
from tests.support.simulation.virtual_time import VirtualLoop, since_start, virtual_clock
from tests.support.told import received

GOOD = LogRecord(INBOUND_MESSAGES, 0, 0, 0, None, in_log(received("1")).value, ())
DEAD = LogRecord(INBOUND_MESSAGES, 0, 1, 0, None, b"no event", ())
PASSING = [
    psycopg.errors.DeadlockDetected(),
    psycopg.errors.SerializationFailure(),
    psycopg.errors.LockNotAvailable(),
    psycopg.errors.TooManyConnections(),
    psycopg.errors.DiskFull(),
    psycopg.errors.AdminShutdown(),
    psycopg.OperationalError("the server closed the connection unexpectedly"),
    PoolTimeout(),
]


class Postgres(Store):
    """Tables that take a batch when their troubles are over, each of which comes at the end of a transaction."""

    def __init__(self, *troubles: Exception) -> None:
        self._troubles = list(troubles)
        self.tries = 0
        self.committed: list[Read] = []
        self.refuses: set[bytes | None] = set()
        """Values that it takes in no row but a dead letter's."""

    def folded(self, batch: Sequence[Read]) -> Folded:
        """Rows are nobody's concern here."""
        return Folded(batch, ())

    async def apply(self, batch: Folded, before_commit: BeforeCommit) -> Progress:
        """As the store's."""
        self.tries += 1
        if not await self.accepts(batch.batch):
            raise psycopg.errors.NumericValueOutOfRange
        await before_commit(batch.batch)
        if self._troubles:
            raise self._troubles.pop(0)
        self.committed += batch.batch
        return advance(batch.batch, first_offsets(batch.batch))

    async def accepts(self, batch: Sequence[Read]) -> bool:
        """As the store's."""
        return not any(read.problem is None and read.record.value in self.refuses for read in batch)


class Brokers:
    """They refuse the first few appends, or do not answer them."""

    def __init__(self, *troubles: Exception | None) -> None:
        self._troubles = list(troubles)
        self.has: list[NewRecord] = []

    async def publish(self, records: Sequence[NewRecord]) -> None:
        """Return when they have the records."""
        if self._troubles:
            trouble = self._troubles.pop(0)
            if trouble is None:
                await asyncio.Event().wait()
            else:
                raise trouble
        self.has += records


def commit(postgres: Postgres, brokers: Brokers, *records: LogRecord) -> float:
    """One batch through a worker; the virtual seconds that it took."""

    async def work() -> float:
        decoder = Decoder(Codec())
        worker = Worker(
            store=postgres, decoder=decoder, stopping=asyncio.Event(), publish=brokers.publish, limit=DeadLetterLimit()
        )
        await worker.commit(await worker.prepare(records))
        return since_start()

    loop = VirtualLoop()
    with virtual_clock(loop):
        try:
            return loop.run_until_complete(work())
        finally:
            loop.close()


@pytest.mark.failure("R9", "R10", "R11")
@pytest.mark.parametrize("problem", PASSING, ids=lambda problem: type(problem).__name__)
def test_what_passes_by_itself_is_tried_again_and_sets_nothing_aside(problem: Exception) -> None:
    postgres, brokers = Postgres(problem, problem, problem), Brokers()
    commit(postgres, brokers, GOOD)
    assert postgres.tries == 4
    assert [read.problem for read in postgres.committed] == [None]
    assert brokers.has == []


@pytest.mark.failure("R22")
def test_nothing_is_committed_before_the_brokers_have_its_dead_letters() -> None:
    postgres, brokers = Postgres(), Brokers(NotEnoughReplicasError(), KafkaConnectionError(), None, NotEnoughReplicasError())
    assert PUBLISH_SECONDS < commit(postgres, brokers, GOOD, DEAD) < PUBLISH_SECONDS + 5.0, "one append never came to an end"
    assert postgres.tries == 5
    assert [read.record for read in postgres.committed] == [GOOD, DEAD]
    assert [(letter.topic, letter.value) for letter in brokers.has] == [(PROJECTOR_DEAD_LETTERS, b"no event")]


@pytest.mark.failure("R22")
def test_a_dead_letter_is_told_again_rather_than_not_at_all_when_the_commit_fails_after_it() -> None:
    postgres, brokers = Postgres(psycopg.errors.AdminShutdown()), Brokers()
    commit(postgres, brokers, DEAD)
    assert len(brokers.has) == 2
    assert [read.record for read in postgres.committed] == [DEAD]


@pytest.mark.failure("R5")
def test_a_record_that_is_tried_often_counts_once_among_the_dead_letters() -> None:
    postgres, brokers = Postgres(), Brokers(*[KafkaConnectionError()] * 3 * DeadLetterLimit.IN_A_ROW)
    postgres.refuses = {GOOD.value}
    commit(postgres, brokers, GOOD)
    assert [letter.value for letter in brokers.has] == [GOOD.value]


@pytest.mark.failure("R3")
@pytest.mark.parametrize(
    "problem", [KeyError("a mistake of ours"), psycopg.errors.UndefinedColumn()], ids=["ours", "a wrong table"]
)
def test_what_does_not_pass_reaches_the_stream_and_nothing_is_committed(problem: Exception) -> None:
    postgres = Postgres(problem)
    with pytest.raises(type(problem)):
        commit(postgres, Brokers(), GOOD)
    assert (postgres.tries, postgres.committed) == (1, [])
