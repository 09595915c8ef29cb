"""How is the projector wired? The only place that constructs its clients.

Crash thinking, for each batch: rows, positions and dead letters' rows are one Postgres transaction; the acknowledgement to Kafka
comes after and is for lag tools only, because the positions that count are read from Postgres at every assignment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from services.common.domain.loud_stops import DeadLetterLimit
from services.common.domain.topics import FOREIGN, PROJECTOR_DEAD_LETTERS, PROJECTOR_SOURCES
from services.common.platform import logging, metrics
from services.common.platform.avro import Codec
from services.common.platform.kafka import NewRecord, Producer, wait_for_topics
from services.common.platform.lifecycle import sleep_unless
from services.common.platform.ops import Ops
from services.common.platform.postgres import pool
from services.common.platform.stream import Stream
from services.projector.config import ProjectorSettings
from services.projector.decode import GROUP, Decoder
from services.projector.looks import Looks
from services.projector.store import Folded, Store
from services.projector.worker import Worker

log = logging.get(__name__)

SCHEMA = "projector"
_MONTHS_SECONDS = 3600.0


class ProjectorApp:
    """Reads typed events, outcomes and consent records; keeps the read models."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self._settings = settings
        self._waiting_for: str | None = "waiting for Kafka and its topics"
        self._partitions: dict[str, int] = {}
        self._producer = Producer(bootstrap_servers=settings.kafka, client_id=f"{GROUP}-{settings.instance}")
        self._stream: Stream[Folded] | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until asked to stop."""
        settings = self._settings
        ops = Ops(service="projector", host=settings.ops_host, port=settings.ops_port, ready=self._why_not_ready)
        await ops.start()
        self._partitions = await wait_for_topics(settings.kafka, [*PROJECTOR_SOURCES, PROJECTOR_DEAD_LETTERS], stopping)
        if self._partitions and await self._producer.start(stopping):
            await self._project(stopping)
            await self._producer.stop()
        await ops.stop()

    async def _project(self, stopping: asyncio.Event) -> None:
        self._waiting_for = "waiting for Postgres and its tables"
        settings = self._settings
        connections = pool(settings.postgres_dsn.get_secret_value(), service="projector", size=2, search_path=SCHEMA)
        await connections.open()
        try:
            store = Store(connections, projection=GROUP)
            if not await _wait_for_tables(store, stopping):
                return
            worker = Worker(
                store=store,
                decoder=Decoder(Codec()),
                stopping=stopping,
                publish=self._publish,
                on_abandon=self._withdraw,
                limit=DeadLetterLimit(is_on=settings.dead_letter_limit),
            )
            self._stream = Stream(
                group=GROUP,
                topics=PROJECTOR_SOURCES,
                bootstrap_servers=settings.kafka,
                instance=settings.instance,
                buffer_bytes=settings.stream_buffer_bytes,
                shown_seconds=settings.stop_shown_seconds,
                strike_out=settings.strike_out,
                with_gaps=FOREIGN,
                prepare=worker.prepare,
                commit=worker.commit,
                refuse=worker.refuse,
                before_ack="projector.after_pg_commit_before_offset",
                on_revoke="projector.on_revoke",
                on_assign="projector.on_assign",
                positions=worker,
            )
            self._waiting_for = None
            async with _beside(_keep_months(store, settings.projector_keep_months, stopping)), self._looked_at():
                await self._stream.run(stopping)
        finally:
            await connections.close(timeout=1.0)

    @asynccontextmanager
    async def _looked_at(self) -> AsyncIterator[None]:
        """With a connection of its own."""
        settings = self._settings
        connections = pool(settings.postgres_dsn.get_secret_value(), service="projector", size=1)
        await connections.open()
        try:
            async with _beside(Looks(connections, every_seconds=settings.projector_silence_seconds).run()):
                yield
        finally:
            await connections.close(timeout=1.0)

    async def _publish(self, records: Sequence[NewRecord]) -> None:
        await self._producer.append_all(records, self._partitions)

    async def _withdraw(self) -> None:
        if self._stream is not None:
            await self._stream.withdraw()

    def _why_not_ready(self) -> str | None:
        if self._waiting_for is not None or self._stream is None:
            return self._waiting_for or "starting"
        return self._stream.why_not_ready()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Done beside the projection, and ended with it at once, however that ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)


async def _keep_months(store: Store, kept: int, stopping: asyncio.Event) -> None:
    """Months are made long before they begin. What goes wrong is tried again: until then there is the rest."""
    while True:
        try:
            added, dropped = await store.keep_months(kept)
            metrics.ROOM_UNTIL_SECONDS.labels("projector").set(await store.room_until())
            if added or dropped:
                log.info("projector.months", added=added, dropped=dropped)
        except (psycopg.Error, PoolTimeout) as problem:
            log.warning("projector.months_failed", error=type(problem).__name__, sqlstate=getattr(problem, "sqlstate", None))
        if await sleep_unless(stopping, _MONTHS_SECONDS):
            return


async def _wait_for_tables(store: Store, stopping: asyncio.Event) -> bool:
    """Wait until the database is migrated; False when asked to stop meanwhile."""
    while not stopping.is_set():
        try:
            if await store.is_there():
                return True
            log.warning("postgres.tables_missing", hint="run the migrations")
        except (psycopg.Error, PoolTimeout) as problem:
            metrics.POSTGRES_RETRIES.labels("projector").inc()
            log.warning("postgres.unreachable", error=type(problem).__name__, sqlstate=getattr(problem, "sqlstate", None))
        await sleep_unless(stopping, 0.5)
    return False
