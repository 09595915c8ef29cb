"""How do we talk to Kafka without hanging, losing or doubling? Producer, membership watch, start-up checks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaClient, AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.common.platform import logging
from services.common.platform.lifecycle import EXIT_DUPLICATE_INSTANCE, exit_now, sleep_unless

log = logging.get(__name__)

MAX_RECORD_BYTES: Final = 5 * 1024 * 1024
"""Meta posts up to 3 MB; the same limit stands in `deploy/kafka/topics.yaml` and in the broker."""
FETCH_BYTES: Final = 8 * 1024 * 1024
SESSION_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 1.0

Headers = Sequence[tuple[str, bytes]]


class LogRecord(Protocol):
    """A record as read from the log, by whichever client."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


class Producer:
    """Appends with acks=all and idempotence.

    aiokafka's idempotent producer never gives up by itself: while Kafka is away a send and a stop hang for ever. So every wait
    on it has a deadline of ours. A record whose deadline passed may still be appended later; readers dedupe.
    """

    def __init__(self, *, bootstrap_servers: str, client_id: str, linger_ms: int = 0) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers,
            client_id=client_id,
            enable_idempotence=True,
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=256 * 1024,
            linger_ms=linger_ms,
            request_timeout_ms=10_000,
            retry_backoff_ms=100,
        )

    async def start(self, stopping: asyncio.Event) -> bool:
        """Connect, trying again until Kafka is there; False when asked to stop meanwhile."""
        while not stopping.is_set():
            try:
                await self._producer.start()
            except (KafkaError, OSError) as problem:
                log.warning("kafka.unreachable", error=type(problem).__name__)
                await sleep_unless(stopping, 0.5)
            else:
                return True
        return False

    async def append(self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers = ()) -> asyncio.Future[Any]:
        """Hand a record to the producer; the future resolves when the brokers acknowledged it."""
        future: asyncio.Future[Any] = await self._producer.send(topic, value=value, key=key, headers=list(headers))
        return future

    async def stop(self, *, seconds: float = 3.0) -> None:
        """Flush what can be flushed within the time; never hangs."""
        try:
            async with asyncio.timeout(seconds):
                await self._producer.stop()
        except TimeoutError:
            log.warning("kafka.producer_abandoned")


async def wait_for_topics(bootstrap_servers: str, topics: Iterable[str], stopping: asyncio.Event) -> dict[str, int]:
    """Wait until Kafka answers and every topic exists; topic -> partitions. Empty when asked to stop meanwhile."""
    wanted = sorted(topics)
    while not stopping.is_set():
        client = AIOKafkaClient(bootstrap_servers=bootstrap_servers, client_id="parley-check")
        try:
            await client.bootstrap()
            await client.set_topics(wanted)
            found = {topic: len(client.cluster.partitions_for_topic(topic) or ()) for topic in wanted}
        except (KafkaError, OSError) as problem:
            log.warning("kafka.unreachable", error=type(problem).__name__)
        else:
            missing = [topic for topic, partitions in found.items() if not partitions]
            if not missing:
                return found
            log.warning("kafka.topics_missing", topics=missing)
        finally:
            await client.close()
        await sleep_unless(stopping, 0.5)
    return {}


def watch_membership(consumer: Any, *, group: str, instance: str) -> None:
    """End the process when another one uses the same static instance id.

    Two holders of one id push each other out for as long as they live, and aiokafka knows no fencing error: each sees its
    member id forgotten again and again. A broker restart or a long pause does that once, so three times in a minute is a twin.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - aiokafka is pinned; there is no public hook
    forgotten: list[float] = []
    reset: Callable[[], None] = coordinator.reset_generation

    def counted() -> None:
        now = time.monotonic()
        forgotten[:] = [*(at for at in forgotten if now - at < 60.0), now]
        if len(forgotten) >= 3:
            log.critical(
                "instance.duplicate", group=group, hint=f"another process runs with PARLEY_INSTANCE={instance}; give each its own"
            )
            exit_now(EXIT_DUPLICATE_INSTANCE)
        reset()

    coordinator.reset_generation = counted


async def all_acknowledged(futures: Iterable[Awaitable[Any]]) -> None:
    """Return when every append is acknowledged; raise the first failure."""
    await asyncio.gather(*futures)
