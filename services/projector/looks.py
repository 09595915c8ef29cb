"""What is wrong that only the tables say? Looked for now and then, and told in metrics.

Messages without any status, numbers whose webhooks stopped, templates that Meta stopped, messages that no rate is loaded for.
What counts as such say views of `analytics`, for people and for metrics alike. Crash thinking: nothing is written. A look that
fails is repeated and keeps nothing waiting, least of all the projection and the other looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg_pool import PoolTimeout

from services.common.platform import logging, metrics
from services.common.platform.postgres import Pool
from services.common.platform.statements import queries

log = logging.get(__name__)

_SQL: Final = queries("services.projector")
LOOK_SECONDS: Final = 5
"""A look that takes longer is given up: the swap of a rebuild waits for whoever reads the tables."""

Rows = Sequence[tuple[Any, ...]]


class Looks:
    """Keeps the metrics as the views are. `pool` is for nothing else: a slow look takes no connection from the projection."""

    def __init__(self, pool: Pool, *, every_seconds: float) -> None:
        self._pool, self._every_seconds = pool, every_seconds

    async def run(self) -> None:
        """Look until cancelled. What Postgres refuses is said once, until that look succeeds: its metrics stay as they were."""
        told: set[str] = set()
        while True:
            for name, show in LOOKS.items():
                try:
                    show(await self._rows(name))
                    told.discard(name)
                except (psycopg.Error, PoolTimeout) as problem:
                    if name not in told:
                        sqlstate = getattr(problem, "sqlstate", None)
                        log.warning("look.failed", look=name, error=type(problem).__name__, sqlstate=sqlstate)
                    told.add(name)
            await asyncio.sleep(self._every_seconds)

    async def _rows(self, name: str) -> Rows:
        async with self._pool.connection() as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{LOOK_SECONDS}s'")
            return await (await connection.execute(_SQL[name])).fetchall()


def show_silence(numbers: Rows) -> None:
    """Of each business number, how many of its messages became silent in the last hour, and whether its webhooks stopped.

    As for every look, only what is wrong has a series: there may be thousands of numbers.
    """
    metrics.SILENT_MESSAGES.clear()
    metrics.WEBHOOKS_STOPPED.clear()
    for phone_number_id, silent, is_stopped in numbers:
        if silent:
            metrics.SILENT_MESSAGES.labels(phone_number_id).set(silent)
        if is_stopped:
            metrics.WEBHOOKS_STOPPED.labels(phone_number_id).set(1)


def show_templates(templates: Rows) -> None:
    """Account, name and status of each template that Meta stopped."""
    metrics.TEMPLATES_STOPPED.clear()
    for waba_id, name, status in templates:
        metrics.TEMPLATES_STOPPED.labels(waba_id, name, status).set(1)


def show_unpriced(messages: Rows) -> None:
    """Country, category and how many messages no rate is loaded for."""
    metrics.UNPRICED_MESSAGES.clear()
    for country, category, count in messages:
        metrics.UNPRICED_MESSAGES.labels(country, category).set(count)


LOOKS: Final[Mapping[str, Callable[[Rows], None]]] = {
    "silence": show_silence,
    "stopped_templates": show_templates,
    "unpriced": show_unpriced,
}
"""The statement of each look, and what shows its rows."""
