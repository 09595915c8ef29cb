"""What are the projector's tables in a run? The rows that `fold` makes, batch merged into batch by the tables' own merges.

Kept of Postgres: one transaction for rows and positions, which are locked while it lasts. That the statements merge as the tables
do is tested on a real one (`tests/integration/test_projector.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from services.common.domain.consent import ConsentCategory, ConsentState
from services.projector.batch import Partition, Progress, Read, advance, first_offsets
from services.projector.fold import _TOLD_FIRST, EVERY, TABLES, Event, Rows, _gather, _sorted
from services.projector.projections import consents, conversations, message_statuses
from services.projector.projections.message_statuses import StatusRow
from services.projector.store import BeforeCommit, Folded, Store
from tests.support.simulation.machine import Process


class ReadModels:
    """The tables and positions of the one projection."""

    def __init__(self) -> None:
        self.positions: dict[Partition, int] = {}
        self.applied: Counter[tuple[str, int, int]] = Counter()
        """How often each record of the log was made rows of."""
        self.batches: list[list[Event]] = []
        self.locked = asyncio.Lock()
        self._folded: dict[str, dict[Any, Any]] = {table.name: {} for table in TABLES}
        self._written_at: dict[Any, float] = {}
        self._by_attempt: dict[str, list[StatusRow]] = {}

    def write(self, fresh: Sequence[Read]) -> None:
        """Rows of these records."""
        events = [read.event for read in fresh if read.event is not None]
        self.applied.update(read.record[:3] for read in fresh)
        self.batches.append(events)
        told: dict[str, dict[Any, Any]] = {table.name: {} for table, _ in _TOLD_FIRST}
        folded = {**self._folded, **told}
        before = len(folded[message_statuses.TABLE.name])
        _gather(events, EVERY, folded)
        for table, _ in _TOLD_FIRST:
            _gather(told[table.name].values(), EVERY, folded)
        if len(folded[message_statuses.TABLE.name]) > before:
            self._index()

    def _index(self) -> None:
        self._by_attempt = {}
        for key, row in self._folded[message_statuses.TABLE.name].items():
            self._written_at.setdefault(key, time.time())
            if row.biz_opaque_callback_data is not None and row.type == "message":
                self._by_attempt.setdefault(row.biz_opaque_callback_data, []).append(row)

    def forget(self, table: str, keys: Iterable[Any]) -> None:
        """Rows of a table are gone; those that are not there are none the less."""
        for key in keys:
            self._folded[table].pop(key, None)

    def rows(self) -> Rows:
        """As `fold` gives them."""
        return {table.name: _sorted(table, self._folded[table.name]) for table in TABLES if self._folded[table.name]}

    def status_of(self, attempt_id: str, phone_number_id: str) -> StatusRow | None:
        """The first that Meta told of an attempt."""
        rows = [one for one in self._by_attempt.get(attempt_id, ()) if one.phone_number_id == phone_number_id]
        return min(rows, key=lambda one: one.occurred_at) if rows else None

    def failures(self, since: float) -> list[tuple[StatusRow, float]]:
        """`failed` statuses of attempts, by when they were written."""
        found = [
            (row, self._written_at[key])
            for key, row in self._folded[message_statuses.TABLE.name].items()
            if row.status == "failed" and row.type == "message" and row.biz_opaque_callback_data is not None
        ]
        return sorted([one for one in found if one[1] >= since], key=lambda one: one[1])

    def last_inbound_at(self, phone_number_id: str, contact: str) -> int | None:
        """When a person wrote last."""
        row = self._folded[conversations.TABLE.name].get((phone_number_id, contact))
        found: int | None = None if row is None else row.last_inbound_at
        return found

    def consent(self, phone_number_id: str, contact: str, category: ConsentCategory) -> ConsentState:
        """What a person decided."""
        row = self._folded[consents.CONSENTS.name].get((phone_number_id, contact, category.value))
        if row is None:
            return ConsentState()
        told = dict(zip(consents.CONSENTS.columns, consents.CONSENTS.flat(row), strict=True))
        return ConsentState(granted_at=told["granted_at"], withdrawn_at=told["withdrawn_at"])


class ReadModelStore(Store):
    """The projector's store over tables in memory: what it does with batch and positions is the projector's own."""

    def __init__(self, process: Process, tables: ReadModels) -> None:
        self._process, self._tables = process, tables

    def folded(self, batch: Sequence[Read]) -> Folded:
        """Rows are made when it is applied."""
        return Folded(batch, ())

    async def next_offsets(self) -> dict[Partition, int]:
        """As the store's."""
        return await self._process.call("postgres", "reads positions", lambda: dict(self._tables.positions))

    async def apply(self, batch: Folded, before_commit: BeforeCommit) -> Progress:
        """As the store's."""
        tables = self._tables
        await self._process.call("postgres", "begins", lambda: None)
        async with tables.locked:
            progress = self._progress(batch.batch)
            if len(progress.fresh) < len(batch.batch):
                self._process.world.saw("projector: records dropped that the tables had")
            if progress.fresh:
                await before_commit(progress.fresh)

            def commit() -> None:
                if progress.fresh:
                    self.write(progress.fresh)
                    tables.positions.update(progress.reached)

            await self._process.call("postgres", f"saves {len(progress.fresh)} records", commit)
        return progress

    def write(self, fresh: Sequence[Read]) -> None:
        """Rows of these records, merged into those that are there."""
        self._tables.write(fresh)

    def _progress(self, batch: Sequence[Read]) -> Progress:
        first = first_offsets(batch)
        return advance(batch, {place: self._tables.positions.get(place, offset) for place, offset in first.items()})
