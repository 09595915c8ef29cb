"""How do outcomes and other events get from Postgres to the log? Appended, acknowledged, then deleted.

A crash in between tells them twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError

from services.common.domain.records import FULL_NAMES, SendingStateChanged, SendOutcome
from services.common.domain.topics import ACCOUNT_EVENTS, SEND_OUTCOMES
from services.common.platform import logging, postgres
from services.common.platform.envelope import cloud_event
from services.common.platform.faults import fault
from services.common.platform.kafka import NewRecord, Producer
from services.common.platform.lifecycle import Rounds, sleep_unless
from services.sender.store import Store, Told

log = logging.get(__name__)

_ROUND_SECONDS: Final = 0.06
"""How far apart batches are told at least."""
_TYPES: Final = {SEND_OUTCOMES: FULL_NAMES[SendOutcome], ACCOUNT_EVENTS: FULL_NAMES[SendingStateChanged]}
"""What we tell in each topic."""


class Outbox:
    """Emits what the owned shards have to tell, oldest first."""

    def __init__(
        self,
        store: Store,
        producer: Producer,
        *,
        partitions: Mapping[str, int],
        shards: Callable[[], Sequence[int]],
        some: asyncio.Event,
        abandon: asyncio.Event,
    ) -> None:
        self._store, self._producer, self._partitions, self._shards = store, producer, partitions, shards
        self._some, self._abandon = some, abandon
        self._idle = asyncio.Event()

    async def flushed(self) -> None:
        """Return when everything that stands in the outbox now has been told; waits for Kafka as long as it takes."""
        self._idle.clear()
        self._some.set()
        await self._idle.wait()

    async def run(self) -> None:
        """Emit whenever `some` is set, until it is time to abandon."""
        rounds = Rounds(_ROUND_SECONDS)
        while not self._abandon.is_set():
            await self._some.wait()
            await rounds.begin()
            self._some.clear()
            while not self._abandon.is_set() and await self._emit():
                pass
            if not self._some.is_set():
                self._idle.set()

    async def _emit(self) -> bool:
        """One batch; True when there may be more."""
        shards = self._shards()
        outcomes = await postgres.retrying(lambda: self._store.untold(shards), service="sender", stopping=self._abandon)
        if not outcomes:
            return False
        if not await self._append(outcomes):
            await sleep_unless(self._abandon, 0.5)
            return True
        fault("sender.after_emit_before_commit")
        seqs = [outcome.seq for outcome in outcomes]
        await postgres.retrying(lambda: self._store.told(seqs), service="sender", stopping=self._abandon)
        return True

    async def _append(self, outcomes: Sequence[Told]) -> bool:
        """True when the brokers have them all. While Kafka is away this waits, so that nothing is appended twice for it."""
        records = [NewRecord(one.topic, one.key, one.value, _headers(one)) for one in outcomes]
        appending = asyncio.create_task(self._producer.append_all(records, self._partitions))
        giving_up = asyncio.create_task(self._abandon.wait())
        await asyncio.wait({appending, giving_up}, return_when=asyncio.FIRST_COMPLETED)
        giving_up.cancel()
        if not appending.done():
            appending.cancel()
            return False
        problem = appending.exception()
        if isinstance(problem, KafkaError):
            log.warning("outbox.append_failed", error=type(problem).__name__, waiting=len(outcomes))
        elif problem is not None:
            raise problem
        return problem is None


def _headers(one: Told) -> list[tuple[str, bytes]]:
    return cloud_event(event_id=one.event_id, event_type=_TYPES[one.topic], source="parley/sender", at=one.occurred_at)
