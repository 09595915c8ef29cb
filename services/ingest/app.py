"""What runs in an ingest process, and in which order does it come up and go down?"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Final

from services.common.domain.topics import WEBHOOKS
from services.common.platform import config, logging
from services.common.platform.kafka import Producer, wait_for_topics
from services.common.platform.lifecycle import EXIT_FATAL, exit_now, wait_any
from services.common.platform.ops import Ops
from services.ingest.appender import Appender
from services.ingest.breaker import Breaker
from services.ingest.budget import Budget
from services.ingest.config import IngestSettings
from services.ingest.guards import GuardedServer, Limits
from services.ingest.handlers import Webhooks
from services.ingest.patience import Patience
from services.ingest.rotation import Rotation

log = logging.get(__name__)

_BACKLOG: Final = 1024
_REFUSALS_PER_SECOND: Final = 200.0
_REFUSALS_AT_ONCE: Final = 100
_REFUSAL_SECONDS: Final = 2.0
"""What is refused for its signature or its path is answered at this rate. Of Meta's requests that is none, but for a secret that
is not ours yet: those come again for days."""
_CLOSE_SECONDS: Final = 0.5
_PRODUCER_STOP_SECONDS: Final = 2.5


async def serve(settings: IngestSettings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set. Listens at once; until Kafka is there POSTs get 503 and challenges are answered."""
    fatal = asyncio.Event()
    producer = Producer(bootstrap_servers=settings.kafka, client_id=f"parley-ingest-{settings.instance}")
    appender = Appender(
        producer=producer,
        topic=WEBHOOKS,
        budget=Budget(settings.ingest_inflight_bytes),
        breaker=Breaker(misses=settings.ingest_breaker_misses, probe_seconds=settings.ingest_breaker_probe_seconds),
        deadline_seconds=settings.ingest_deadline_seconds,
        fatal=fatal,
    )
    webhooks = Webhooks(
        apps=settings.apps(),
        appender=appender,
        body_bytes=settings.ingest_body_bytes,
        reading=Budget(settings.ingest_reading_bytes),
        patience=Patience(per_second=_REFUSALS_PER_SECOND, burst=_REFUSALS_AT_ONCE, longest=_REFUSAL_SECONDS),
    )
    ops = Ops(
        service="ingest",
        host=settings.ops_host,
        port=settings.ops_port,
        ready=lambda: "draining" if webhooks.draining else appender.not_ready(),
    )
    rotation = Rotation(
        config.secret_files(IngestSettings),
        served=settings.apps(),
        read=lambda: config.read(IngestSettings).apps(),
        take=webhooks.serve,
    )
    server = GuardedServer(webhooks.handle, _limits(settings))
    listener = await _listen(server, settings)
    await ops.start()
    connecting = asyncio.create_task(_connect(producer, appender, settings, stopping))
    rotating = asyncio.create_task(rotation.run(stopping))
    for task in (connecting, rotating):
        task.add_done_callback(partial(_heed, fatal=fatal))
    await wait_any(stopping, fatal)
    rotating.cancel()
    listener.close()
    await webhooks.drain(settings.ingest_drain_seconds)
    server.stop_sweeping()
    await server.shutdown(_CLOSE_SECONDS)
    await appender.stop()
    connecting.cancel()
    await asyncio.wait([connecting])
    await producer.stop(seconds=_PRODUCER_STOP_SECONDS)
    await ops.stop()
    if fatal.is_set():
        exit_now(EXIT_FATAL)


def _heed(task: asyncio.Task[None], *, fatal: asyncio.Event) -> None:
    """A task's exception would wait until somebody asks."""
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.critical("ingest.task_failed", error=type(problem).__name__, exc_info=problem)
        fatal.set()


async def _listen(server: GuardedServer, settings: IngestSettings) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server, settings.ingest_host, settings.ingest_port, backlog=_BACKLOG)
    server.start_sweeping()
    bound: socket.socket = listener.sockets[0]
    log.info("ingest.listening", host=settings.ingest_host, port=int(bound.getsockname()[1]))
    return listener


async def _connect(producer: Producer, appender: Appender, settings: IngestSettings, stopping: asyncio.Event) -> None:
    partitions = await wait_for_topics(settings.kafka, [WEBHOOKS], stopping)
    if partitions and await producer.start(stopping):
        appender.start(partitions[WEBHOOKS])
        log.info("ingest.ready", partitions=partitions[WEBHOOKS])


def _limits(settings: IngestSettings) -> Limits:
    return Limits(
        header_seconds=settings.ingest_header_seconds,
        body_seconds=settings.ingest_body_seconds,
        body_grace_seconds=settings.ingest_body_grace_seconds,
        body_bytes_per_second=settings.ingest_body_bytes_per_second,
        connections=settings.ingest_connections,
        connections_per_source=settings.ingest_connections_per_source,
        keepalive_seconds=settings.ingest_keepalive_seconds,
    )
