"""Does Meta still tell us what it should? Messages without any status, and numbers whose webhooks stopped, in metrics.

What counts as either says the view `analytics.ops_number`, for people and for metrics alike. Crash thinking: nothing is written.
A look that fails is repeated and keeps nothing waiting, least of all the projection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from services.common.platform import logging, metrics
from services.common.platform.postgres import Pool
from services.common.platform.statements import queries

log = logging.get(__name__)

_SQL: Final = queries("services.projector")
LOOK_SECONDS: Final = 5
"""A look that takes longer is given up: the swap of a rebuild waits for whoever reads the tables."""


class Silence:
    """Keeps the metrics as the view is. `pool` is for nothing else: a slow look takes no connection from the projection."""

    def __init__(self, pool: Pool, *, every_seconds: float) -> None:
        self._pool, self._every_seconds = pool, every_seconds

    async def run(self) -> None:
        """Look until cancelled. What Postgres refuses is said once, until a look succeeds: the metrics stay as they were."""
        is_told = False
        while True:
            try:
                show(await self.look())
                is_told = False
            except (psycopg.Error, PoolTimeout) as problem:
                if not is_told:
                    sqlstate = getattr(problem, "sqlstate", None)
                    log.warning("silence.unknown", error=type(problem).__name__, sqlstate=sqlstate)
                is_told = True
            await asyncio.sleep(self._every_seconds)

    async def look(self) -> list[tuple[str, int, bool]]:
        """Each business number, how many of its messages became silent in the last hour, and whether its webhooks stopped."""
        async with self._pool.connection() as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{LOOK_SECONDS}s'")
            rows = await (await connection.execute(_SQL["silence"])).fetchall()
            return [(phone_number_id, silent, is_stopped) for phone_number_id, silent, is_stopped in rows]


def show(numbers: Iterable[tuple[str, int, bool]]) -> None:
    """Only what is wrong has a series: there may be thousands of numbers."""
    metrics.SILENT_MESSAGES.clear()
    metrics.WEBHOOKS_STOPPED.clear()
    for phone_number_id, silent, is_stopped in numbers:
        if silent:
            metrics.SILENT_MESSAGES.labels(phone_number_id).set(silent)
        if is_stopped:
            metrics.WEBHOOKS_STOPPED.labels(phone_number_id).set(1)
