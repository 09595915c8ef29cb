"""Does an attempt ever begin whose recipient's withdrawal was committed before the gate began to look? To the millisecond.

The gate is the sender's own statement and decision, on one connection; on another one people withdraw, one after the other. What
both were told, and when, is compared. `PARLEY_RACES=10000` for more of them.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
import pytest

from services.common.domain import lane_shares
from services.common.domain.lane_shares import Shares
from services.common.domain.lanes import Lane
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.platform import postgres as platform_postgres
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.sender import options
from services.sender.commands import TakenIn, fingerprint
from services.sender.knowledge import Candidate, Knowledge
from services.sender.store import Batch, Pick, Store
from tests.support.gate import gated
from tests.support.sending import NUMBER, WABA, text

RACES: Final = int(os.environ.get("PARLEY_RACES", "1500"))
SEED: Final = int(os.environ.get("PARLEY_RACES_SEED", "1"))
AT_ONCE: Final = 30
"""People whom one look of the gate finds."""
SHARD: Final = 0


@dataclass(frozen=True, slots=True)
class Span:
    """When something was asked for and when it was known to be done, on one clock."""

    begun: float
    done: float


def taken(person: str) -> TakenIn:
    message = text(to=f"+{person}")
    return TakenIn(
        message=message,
        shard=SHARD,
        lane=Lane.TRANSACTIONAL,
        fingerprint=fingerprint(message),
        pair=person,
        appended_at=now_ms(),
        expires_at=now_ms() + 3_600_000,
        send_at=None,
        not_before=None,
        options=options.of(message),
    )


def judge(candidates: Sequence[Candidate], known: Knowledge) -> Batch:
    """As a sender whose read models are up to date."""
    batch, _ = gated(candidates, known, retries_left=AT_ONCE)
    return batch


class Gate:
    """A number with an open window to everybody, the sender's gate, and the connection on which people withdraw."""

    def __init__(self, store: Store, withdrawing: psycopg.AsyncConnection, epoch: int) -> None:
        self._store, self._withdrawing, self._epoch = store, withdrawing, epoch
        self._pick = Pick(
            limit=AT_ONCE, sending=True, orders=lane_shares.orders(Shares(), AT_ONCE), pairs=PairPolicy(burst=AT_ONCE)
        )

    async def _look(self) -> tuple[Batch, Span]:
        begun = time.monotonic()
        batch = await self._store.start(NUMBER, SHARD, self._epoch, pick=self._pick, judge=judge)
        return batch, Span(begun, time.monotonic())

    async def _withdraw(self, person: str) -> Span:
        begun = time.monotonic()
        await self._withdrawing.execute(
            "INSERT INTO projector.consents (phone_number_id, contact, category, withdrawn_at) VALUES (%s, %s, 'all', now())",
            (NUMBER, person),
        )
        return Span(begun, time.monotonic())

    async def play(self, people: Sequence[str], after: int) -> tuple[list[bool], list[Span], Span]:
        """All withdraw in turn, and after so many of them the gate begins. Who was told no, when each withdrew, when it looked.

        People are in the order in which they withdrew; AssertionError when one was neither started nor told no for that.
        """
        commands = {person: taken(person) for person in people}
        shuffled = sorted(commands.values(), key=lambda one: one.message.command_id)  # ids are random
        await self._store.take_in(shuffled)
        spans: list[Span] = []
        async with asyncio.TaskGroup() as group:
            for n, person in enumerate(people):
                if n == after:
                    look = group.create_task(self._look())
                spans.append(await self._withdraw(person))
        batch, looked = look.result()
        started = {attempt.command_id for attempt in batch.start}
        refused = {attempt.command_id for attempt, outcome in batch.give_up if outcome.reason == Reason.OPTED_OUT}
        ids = [commands[person].message.command_id for person in people]
        assert started | refused == set(ids)
        assert not started & refused
        return [one in refused for one in ids], spans, looked


async def races(dsn: str) -> Counter[str]:
    """Play them all; how many there were of each kind, and AssertionError at the first that ends as it must not."""
    chance, kinds = random.Random(SEED), Counter[str]()
    pool = platform_postgres.pool(dsn, service="races", probing=True)
    await pool.open()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as withdrawing:
        try:
            store = Store(pool, Codec())
            gate = Gate(store, withdrawing, (await store.take_over([SHARD], "1"))[SHARD])
            for first in range(0, RACES, AT_ONCE):
                people = [f"4917{first + n:09d}" for n in range(AT_ONCE)]
                told_no, withdrawn, looked = await gate.play(people, chance.randrange(AT_ONCE))
                assert told_no == sorted(told_no, reverse=True), "the gate saw a withdrawal and not the one before it"
                for was_told_no, span in zip(told_no, withdrawn, strict=True):
                    if span.done < looked.begun:
                        kinds["before"] += 1
                        assert was_told_no, "an attempt began after its recipient's withdrawal had been committed"
                    elif span.begun > looked.done:
                        kinds["after"] += 1
                        assert not was_told_no
                    else:
                        kinds["meanwhile, seen" if was_told_no else "meanwhile, not seen"] += 1
        finally:
            await pool.close()
    return kinds


@pytest.mark.failure("S18")
def test_no_attempt_begins_after_its_recipient_has_withdrawn(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token) VALUES (%s, %s, '')", (NUMBER, WABA)
        )
        connection.execute(
            "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at)"
            " SELECT %s, '4917' || lpad(n::text, 9, '0'), now() - interval '1 minute' FROM generate_series(0, %s) AS n",
            (NUMBER, RACES + AT_ONCE),
        )
    kinds = asyncio.run(races(postgres))
    with psycopg.connect(postgres) as connection:
        found = connection.execute("SELECT count(*) FROM sender.send_attempts").fetchone()
    assert found == (kinds["after"] + kinds["meanwhile, not seen"],), "an attempt was written down that the gate did not tell of"
    assert min(kinds["before"], kinds["meanwhile, not seen"]) > RACES // 100, kinds
