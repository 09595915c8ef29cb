"""How is the router wired? The only place that constructs its clients.

Crash thinking, for each raw record: the effect is the appended events and their copies; the commit is the consumer group's
offset, acknowledged only after the brokers have all of the batch. Dying between appends the same with the same ids again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer

from services.common.domain import topics
from services.common.domain.events import UnrecognizedChange
from services.common.domain.failure import Unprocessable
from services.common.domain.loud_stops import DeadLetterLimit
from services.common.platform import logging, metrics
from services.common.platform.avro import Codec
from services.common.platform.faults import fault
from services.common.platform.kafka import (
    FETCH_BYTES,
    SESSION_SECONDS,
    LogRecord,
    NewRecord,
    Pile,
    Producer,
    in_piles,
    in_turns,
    wait_for_topics,
)
from services.common.platform.kafka_access import client_options
from services.common.platform.lifecycle import EXIT_FATAL, exit_now
from services.common.platform.ops import Ops
from services.common.platform.stream import Stream
from services.router.config import RouterSettings
from services.router.parked import GROUP as PARKED_GROUP
from services.router.parked import Parked
from services.router.routes import Routes
from services.router.routing import GROUP, Router
from services.router.webhook import FIELDS

log = logging.get(__name__)

_STOP_REOPENING_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.02
"""With the moments of ingest's appender it makes rows a third earlier at 700 webhooks a second on one core (ADR 32)."""
TOPICS: Final = (
    *topics.ROUTER_SOURCES,
    topics.PARKED_COMMANDS,
    *topics.WEBHOOK_EVENTS,
    *topics.SENDS.values(),
    topics.ROUTER_DEAD_LETTERS,
)
"""What it reads and what it writes, beside the topics of rules."""
UNPUBLISHED_FIELDS: Final = 100
LONGEST_FIELD: Final = 64


Batch = tuple[Pile, AsyncIterator[Pile] | None]
"""What is appended first, which is nearly always all of it, and what then, if anything may come."""


class RouterApp:
    """Reads webhooks and send-commands, appends typed events and lane commands."""

    def __init__(self, settings: RouterSettings) -> None:
        self._settings = settings
        self._routes = settings.routes_file or Routes()
        self._codec = Codec()
        self._limit = DeadLetterLimit(is_on=settings.dead_letter_limit)
        self._router = Router(
            self._codec,
            on_dead_letter=_count_dead_letter,
            on_unrecognized=_count_unrecognized,
            on_record=self._heed,
            routes=settings.routes_file,
            sublanes=settings.sublanes,
            on_copied=_count_copied,
            on_empty=metrics.EMPTY_WEBHOOKS.inc,
            on_tombstone=metrics.TOMBSTONES.labels(GROUP).inc,
            on_ignored=metrics.IGNORED_FIELDS.inc,
            on_parked=metrics.PARKED_COMMANDS.inc,
        )
        self._producer = Producer(bootstrap_servers=settings.kafka, client_id=f"{GROUP}-{settings.instance}")
        self._stream = Stream(
            group=GROUP,
            topics=topics.ROUTER_SOURCES,
            bootstrap_servers=settings.kafka,
            instance=settings.instance,
            buffer_bytes=settings.stream_buffer_bytes,
            shown_seconds=settings.stop_shown_seconds,
            strike_out=settings.strike_out,
            with_gaps=topics.FOREIGN,
            prepare=self._prepare,
            commit=self._commit,
            refuse=self._refuse,
            before_ack="router.after_emit_before_commit",
            on_revoke="router.on_revoke",
            on_assign="router.on_assign",
            pause_seconds=_PAUSE_SECONDS,
        )
        self._partitions: dict[str, int] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until asked to stop."""
        settings = self._settings
        ops = Ops(service="router", host=settings.ops_host, port=settings.ops_port, ready=self._why_not_ready)
        await ops.start()
        for route in self._routes.all:
            log.info("route.loaded", route=route.name, topic=route.topic)
            metrics.ROUTED_COPIES.labels(route.name)  # 0 until it copies: a rule that never does can be seen
        wanted = {*TOPICS, *self._routes.topics}
        self._partitions = await wait_for_topics(settings.kafka, wanted, stopping)
        if self._partitions and await self._producer.start(stopping):
            reopening = asyncio.create_task(self._reopen(stopping))
            await self._stream.run(stopping)
            # With Kafka away it may be within a wait that has no end of its own; what it did is repeated under the same ids.
            await asyncio.wait({reopening}, timeout=_STOP_REOPENING_SECONDS)
            reopening.cancel()
            await self._producer.stop()
        await ops.stop()

    def _why_not_ready(self) -> str | None:
        return self._stream.why_not_ready() if self._partitions else "waiting for Kafka and its topics"

    async def _reopen(self, stopping: asyncio.Event) -> None:
        """Beside the stream, which does not wait for it. What breaks it but Kafka is a mistake of ours, and ends the process."""
        settings = self._settings
        parked = Parked(
            new_consumer=lambda: AIOKafkaConsumer(
                topics.PARKED_COMMANDS,
                **client_options(settings.kafka),
                client_id=f"{PARKED_GROUP}-{settings.instance}",
                group_id=PARKED_GROUP,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=int(SESSION_SECONDS * 1000),
                max_partition_fetch_bytes=FETCH_BYTES,
            ),
            producer=self._producer,
            codec=self._codec,
            partitions=self._partitions,
        )
        try:
            await parked.reopen(stopping)
        except Exception as problem:  # the task's boundary
            log.critical("parked.fatal", error=type(problem).__name__, exc_info=problem)
            exit_now(EXIT_FATAL)

    async def _prepare(self, records: Sequence[LogRecord]) -> Batch:
        fault("router.after_fetch")
        piles = in_piles(self._routed(records), self._new_pile)
        return await anext(piles), piles

    async def _routed(self, records: Sequence[LogRecord]) -> AsyncIterator[list[NewRecord]]:
        async for few in in_turns(records):
            for found in self._router.in_parts(few):
                yield found

    def _new_pile(self) -> Pile:
        return self._producer.pile(self._partitions)

    def _refuse(self, record: LogRecord, problem: Unprocessable) -> Batch:
        self._limit.dead()
        pile = self._new_pile()
        pile.add([self._router.aside(record, problem)])
        return pile, None

    def _heed(self, is_dead: bool) -> None:
        if is_dead:
            self._limit.dead()
        else:
            self._limit.good()

    async def _commit(self, batch: Batch) -> None:
        pile, more = batch
        await self._append(pile)
        if more is not None:
            async for pile in more:
                await self._append(pile)

    async def _append(self, pile: Pile) -> None:
        await self._producer.append_pile(pile, midway=lambda: fault("router.mid_batch_emit"))
        pile.clear()


def _count_dead_letter(problem: Unprocessable) -> None:
    metrics.DEAD_LETTERS.labels(GROUP, problem.reason).inc()
    log.warning("record.dead_lettered", reason=str(problem.reason), pointer=problem.pointer)


_seen_fields: set[str] = set()


def _count_unrecognized(event: UnrecognizedChange) -> None:
    """By field name, which is the sender's word: of names that Meta does not publish only so many get a series of their own."""
    name = event.field or ""
    if name not in FIELDS and name not in _seen_fields:
        if len(_seen_fields) < UNPUBLISHED_FIELDS and len(name) <= LONGEST_FIELD:
            _seen_fields.add(name)
        else:
            name = "(other)"
    metrics.UNRECOGNIZED.labels(name).inc()


def _count_copied(route: str) -> None:
    metrics.ROUTED_COPIES.labels(route).inc()
