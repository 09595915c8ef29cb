"""Is every failure that Meta tells of an accepted message found, however late, and told once? On a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final, LiteralString

import psycopg
import pytest

from services.common.domain.pair_limit import PairPolicy
from services.common.platform import postgres as platform_postgres
from services.common.platform.avro import Codec
from services.common.platform.tokens import TokenBox
from services.sender.late_failures import LateFailures
from services.sender.numbers import Numbers
from services.sender.outcomes import Attempt
from services.sender.store import Store
from tests.support.sending import TOKEN_KEY, UNSHARED

_COMMANDS: Final = """
INSERT INTO sender.send_commands (command_id, period, shard, fingerprint, phone_number_id, lane, policy, state, type, content,
    pair, appended_at, expires_at, attempts)
SELECT 'c' || n, sender.period_of(now()), n % 2, 'x', '1', 1, 'hold', 'accepted', 'text', '{}', '1', now(), now(), 1
FROM generate_series(1, 1200) AS n
"""
_ATTEMPTS: Final = """
INSERT INTO sender.send_attempts (command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id, outcome)
SELECT command_id, period, 1, 'a/' || command_id, shard, 1, '1', 'accepted' FROM sender.send_commands
"""
_FAILED: Final = """
INSERT INTO projector.message_statuses (wamid, status, occurred_at, contact, type, event_id, recorded_at, phone_number_id,
    waba_id, biz_opaque_callback_data, error_code, raw)
SELECT 'w' || n, 'failed', now(), '', 'message', 'e' || n, now() - interval '3 days', '1', '1', 'a/c' || n, 131026, '{}'
FROM generate_series(%s::int, %s::int) AS n
"""
_ANOTHER_TABLE: Final = """
CREATE TABLE projector.rebuilt (LIKE projector.message_statuses INCLUDING ALL);
INSERT INTO projector.rebuilt SELECT * FROM projector.message_statuses;
UPDATE projector.rebuilt SET written_at = now() - interval '3 hours';
ALTER TABLE projector.message_statuses RENAME TO replaced;
ALTER TABLE projector.rebuilt RENAME TO message_statuses;
"""


async def unheeded(_attempt: Attempt, _code: int | None) -> None:
    """What a failure says about media is of no interest here."""


class Ledger:
    """Commands that Meta accepted, in two shards, and senders that come and go."""

    def __init__(self, dsn: str, runner: asyncio.Runner) -> None:
        self._runner, self.dsn = runner, dsn
        self.pool = platform_postgres.pool(dsn, service="failures")
        runner.run(self.pool.open())
        self._store = Store(self.pool, Codec())
        runner.run(self._store.keep_periods())
        self.sql(_COMMANDS)
        self.sql(_ATTEMPTS)

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description is not None else []

    def owner(self) -> LateFailures:
        numbers = Numbers(
            self.pool, TokenBox.from_base64(TOKEN_KEY), jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=UNSHARED
        )
        return LateFailures(self._store, numbers, unheeded)

    def look(self, owner: LateFailures, *shards: int) -> int:
        """Until nothing more is told; how many events the log gets that it did not have."""
        before = self.told()
        while self._runner.run(owner.tell(shards or (0, 1))):
            pass
        return self.told() - before

    def told(self) -> int:
        [(events, distinct)] = self.sql("SELECT count(*), count(DISTINCT event_id) FROM sender.outbox")
        assert events == distinct, "told twice"
        return int(events)


@pytest.fixture
def ledger(postgres: str) -> Iterator[Ledger]:
    with asyncio.Runner() as runner:
        made = Ledger(postgres, runner)
        yield made
        runner.run(made.pool.close())


def test_more_failures_than_one_batch_are_told_once_and_by_the_owner_of_their_shard(ledger: Ledger) -> None:
    ledger.sql(_FAILED, 1, 1200)
    assert ledger.look(ledger.owner(), 1) == 600
    assert ledger.look(ledger.owner(), 0, 1) == 600
    ledger.sql(_FAILED.replace("131026", "131049").replace("'w'", "'v'"), 7, 8)
    assert ledger.look(ledger.owner(), 0, 1) == 2


def test_a_status_that_becomes_visible_late_is_not_missed(ledger: Ledger) -> None:
    owner = ledger.owner()
    ledger.sql(_FAILED, 1, 5)
    with psycopg.connect(ledger.dsn) as slow:
        slow.execute(_FAILED.encode(), (6, 7))
        ledger.sql(_FAILED, 8, 9)
        assert ledger.look(owner) == 7
        slow.commit()
    assert ledger.look(owner) == 2


def test_a_failure_that_is_faster_than_its_answer_is_told_after_it(ledger: Ledger) -> None:
    owner = ledger.owner()
    ledger.sql("UPDATE sender.send_attempts SET outcome = 'unknown' WHERE command_id = 'c1'")
    ledger.sql(_FAILED, 1, 2)
    assert ledger.look(owner) == 1
    ledger.sql("UPDATE sender.send_attempts SET outcome = 'accepted' WHERE command_id = 'c1'")
    assert ledger.look(owner) == 1


@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_rebuild_brought_is_told_although_it_was_written_long_before(ledger: Ledger, *, restarts: bool) -> None:
    owner = ledger.owner()
    ledger.sql(_FAILED, 1, 3)
    assert ledger.look(owner) == 3
    assert ledger.sql("SELECT count(*) FROM sender.failures_read") == [(2,)]
    ledger.sql(_FAILED, 4, 5)
    ledger.sql(_ANOTHER_TABLE)
    assert ledger.look(ledger.owner() if restarts else owner) == 2
