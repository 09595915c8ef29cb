"""Which messages did Meta accept and then not deliver? Found by their `failed` statuses, told as outcomes of their commands.

Statuses are read in the order in which the projector wrote them (`written_at`, by the clock of Postgres, whatever Meta's or ours
said when they happened), so one that is projected late is read late and not missed. A row becomes visible some time after it was
written: each pass begins that much before the last one began. How far the passes came is kept by shard and taken over with it.

A failure is first noted, which makes it one row for each code of a command, and told once its attempt is known to be accepted: a
status may be faster than the answer. When projections are rebuilt their rows were written before they took their place, so a
table that is another one than at the last look is read from its beginning; what was told before stands in `sender.late_failures`
and is not told again. Nothing is missed while a rebuild runs, for the live tables are written until then. What a period of the
ledger takes along when it is dropped, after 37 days, is not told any more. A media id that Meta could not use is forgotten
before its failure is told; dying in between does that again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from services.common.platform import metrics
from services.common.platform.clock import now_ms
from services.sender import outcomes
from services.sender.numbers import Numbers
from services.sender.outcomes import Attempt
from services.sender.store import Store

Heed = Callable[[Attempt, int | None], Awaitable[None]]

_OVERLAP: Final = timedelta(minutes=5)
"""No transaction of the projector lasts so long: its statements and its idling end after half a minute each."""
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LOOKS: Final = 20
"""Batches in one go; the rest comes at the next."""
_KEPT_EVERY: Final = timedelta(minutes=1)


class LateFailures:
    """Passes over the statuses from the kept instant to the newest, in batches; then from where late rows may appear."""

    def __init__(self, store: Store, numbers: Numbers, heed: Heed) -> None:
        """`heed`: hears of each failure before the log is told of it."""
        self._store, self._numbers, self._heed = store, numbers, heed
        self._shards: tuple[int, ...] = ()
        self._read_to = _BEGINNING
        self._kept = _BEGINNING
        self._place = _BEGINNING
        self._began: datetime | None = None
        self._relation: int | None = None

    async def tell(self, shards: Sequence[int]) -> bool:
        """Note what is new and tell what may be told; True when the log will hear of something."""
        if tuple(shards) != self._shards:
            self._read_to = await self._store.failures_read_to(shards) or _BEGINNING
            self._shards, self._kept, self._place = tuple(shards), self._read_to, self._read_to
            self._began = self._relation = None
        for _ in range(_LOOKS):
            if not await self._look():
                break
        if self._read_to - self._kept >= _KEPT_EVERY and self._relation is not None:
            await self._store.keep_read_to(shards, self._read_to, self._relation)
            self._kept = self._read_to
        return await self._tell()

    async def _look(self) -> bool:
        """One batch; True when there may be more. At the end of a pass, what was visible when it began has been read."""
        looked = await self._store.find_failures(self._shards, self._place)
        is_another_table = self._relation not in (None, looked.relation)
        self._relation = looked.relation
        if is_another_table:
            self._read_to = self._kept = self._place = _BEGINNING
            self._began = None
            return True
        self._began = self._began or looked.now
        if looked.is_full and looked.last is not None and looked.last > self._place:
            self._place = looked.last
            return True
        self._read_to = max(self._read_to, self._began - _OVERLAP)
        self._place, self._began = self._read_to, None
        return False

    async def _tell(self) -> bool:
        found = await self._store.untold_failures(self._shards)
        if not found:
            return False
        at = now_ms()
        given = [
            (
                one,
                outcomes.late_failure(
                    one.attempt, one.wamid, one.error_code, at=at, waba_id=self._numbers.waba_id(one.attempt.phone_number_id)
                ),
            )
            for one in found
        ]
        for one, _ in given:
            await self._heed(one.attempt, one.error_code)
        told = await self._store.tell_failures(given)
        for _, outcome in given:
            if outcome.event_id in told:
                metrics.SEND_OUTCOMES.labels(outcome.kind, outcome.reason).inc()
        return bool(told)
