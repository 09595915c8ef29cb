"""How do we talk to Kafka without hanging, losing or doubling? Producer, membership watch, start-up checks."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

from aiokafka import AIOKafkaClient, AIOKafkaProducer, TopicPartition
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.platform import logging, metrics
from services.common.platform.clock import now_ms
from services.common.platform.kafka_access import Brokers, client_options
from services.common.platform.lifecycle import EXIT_DUPLICATE_INSTANCE, EXIT_FATAL, exit_now, sleep_unless

log = logging.get(__name__)

MAX_RECORD_BYTES: Final = 5 * 1024 * 1024
"""Meta posts up to 3 MB; the same limit stands in `deploy/kafka/topics.yaml` and in the broker."""
MAX_KEPT_BYTES: Final = 6 * 1024 * 1024
"""Of a dead letter and of a parked command, by their topics' limits: a whole record has room there, and what is said of it."""
_FRAME_BYTES: Final = 1_024
"""What Kafka writes around a record that is alone in its batch; much less as a rule."""
FETCH_BYTES: Final = 1024 * 1024
"""Of a partition at a time. A larger record comes all the same, alone; what comes at once should not outgrow the caches."""
SESSION_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 1.0
_TWIN_LOSSES: Final = 3
_TWIN_SECONDS: Final = 60.0
TURN: Final = 50
"""Records between two turns of the event loop."""
PILE_BYTES: Final = 8 * 1024 * 1024
"""Enough to append at once; the last part that was added may make it more."""
_TURN_BYTES: Final = 64 * 1024
"""Of such records together; one may have more."""

Headers = Sequence[tuple[str, bytes]]


def _lost_when_closed(write: Callable[..., Any]) -> Callable[..., Any]:
    """A write to a connection that has just been closed is a connection lost, for which aiokafka has its ways.

    uvloop answers it with a RuntimeError, asyncio with silence; aiokafka knows OSError alone (its issue 1038). The other ends
    whichever of its tasks was writing, most often the one that keeps the metadata: nothing that client does comes to an end any
    more, and nobody is told.
    """

    @functools.wraps(write)
    def told(connection: AIOKafkaConnection, *args: Any, **options: Any) -> Any:
        try:
            return write(connection, *args, **options)
        except RuntimeError as closed:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"connection at {connection.host}:{connection.port} closed") from closed

    return told


for _name in ("send", "_send_sasl_token"):  # all that writes to a connection; aiokafka is pinned
    setattr(AIOKafkaConnection, _name, _lost_when_closed(getattr(AIOKafkaConnection, _name)))


class LogRecord(NamedTuple):
    """A record as read from the log, by whichever client. `appended_at` is Kafka's timestamp of it, milliseconds."""

    topic: str
    partition: int
    offset: int
    appended_at: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @classmethod
    def of(cls, record: Any) -> LogRecord:
        """From aiokafka's ConsumerRecord."""
        told = (record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers or ())
        return tuple.__new__(cls, told)  # its own constructor takes twice as long, and there are millions


class NewRecord(NamedTuple):
    """A record to append."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    def fits(self, limit: int) -> bool:
        """Whether a topic with this limit takes it, uncompressed and alone."""
        own = len(self.key or b"") + len(self.value or b"") + sum([len(name) + len(told) for name, told in self.headers])
        return own + _FRAME_BYTES <= limit


async def in_turns(records: Sequence[LogRecord]) -> AsyncIterator[Sequence[LogRecord]]:
    """The records, a few at a time, with a turn for the rest of the process in between: what waits for an answer gets on."""
    few: list[LogRecord] = []
    size = 0
    for record in records:
        own = len(record.value or b"")
        if few and (len(few) == TURN or size + own > _TURN_BYTES):
            yield few
            await asyncio.sleep(0)
            few, size = [], 0
        few.append(record)
        size += own
    if few:
        yield few
        await asyncio.sleep(0)


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key: stable for ever. Records without a key are spread."""
    return (crc32(key) if key else random.getrandbits(31)) % partitions


class Pile:
    """Records that are to be appended together, each at once in the bytes of its partition's batch.

    They are not kept as objects until then: thousands of them, with their headers, are more than a processor's cache holds.
    """

    def __init__(self, new_batch: Callable[[], Any], partitions: Mapping[str, int]) -> None:
        self._new_batch, self._partitions = new_batch, partitions
        self.batches: dict[tuple[str, int], list[Any]] = {}
        self.bytes = 0

    def add(self, records: Iterable[NewRecord]) -> None:
        """In this order. A batch that is full is followed by another."""
        now = now_ms()
        for topic, key, value, headers in records:
            place = (topic, partition_of(key, self._partitions[topic]))
            batches = self.batches.get(place)
            if batches is None:
                batches = self.batches[place] = [self._new_batch()]
            while (added := batches[-1].append(timestamp=now, key=key, value=value, headers=list(headers))) is None:
                batches.append(self._new_batch())
            self.bytes += added.size

    def clear(self) -> None:
        """Let go of what has been appended."""
        self.batches.clear()
        self.bytes = 0


async def in_piles(parts: AsyncIterator[list[NewRecord]], new_pile: Callable[[], Pile]) -> AsyncIterator[Pile]:
    """The records of all parts in their order, at least one pile. Whoever takes them appends one before it asks for the next.

    A part is let go of once it is on a pile, and nothing is asked of `parts` while a pile that has PILE_BYTES waits: what a batch
    becomes may be hundreds of times as long as it is.
    """
    pile = new_pile()
    async for some in parts:
        pile.add(some)
        some.clear()
        if pile.bytes >= PILE_BYTES:
            yield pile
            pile = new_pile()
    yield pile


class Producer:
    """Appends with acks=all and idempotence.

    aiokafka's idempotent producer never gives up by itself: while Kafka is away a send and a stop hang for ever. So `stop` has a
    deadline, and whoever cannot wait for ever for an append sets one. Its records may still be appended later; readers dedupe.
    """

    def __init__(self, *, bootstrap_servers: Brokers, client_id: str, linger_ms: int = 0) -> None:
        self._producer = AIOKafkaProducer(
            **client_options(bootstrap_servers),
            client_id=client_id,
            enable_idempotence=True,
            max_request_size=MAX_KEPT_BYTES,
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
                watch_metadata(self._producer.client)
                return True
        return False

    async def append(self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers = ()) -> asyncio.Future[Any]:
        """Hand a record to the producer; the future resolves when the brokers acknowledged it."""
        future: asyncio.Future[Any] = await self._producer.send(topic, value=value, key=key, headers=list(headers))
        return future

    def new_batch(self) -> Any:
        """An empty batch for `submit`: aiokafka's BatchBuilder."""
        return self._producer.create_batch()

    async def submit(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        """Queue a batch; the future resolves when the brokers acknowledged it.

        It is closed here: aiokafka counts its records for the sequence number before it builds the bytes, so a record that is
        added in between breaks the sequence. Waits while an earlier batch of the partition is queued; KafkaTimeoutError when
        that took too long, and nothing is queued.
        """
        batch.close()
        future: asyncio.Future[Any] = await self._producer.send_batch(batch, topic, partition=partition)
        return future

    def leader_of(self, topic: str, partition: int) -> int | None:
        """The broker that leads a partition, as last heard. aiokafka keeps one produce request in flight to each broker."""
        leader: int | None = self._producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
        return leader

    def pile(self, partitions: Mapping[str, int]) -> Pile:
        """For records to append together; `partitions` is what `wait_for_topics` found."""
        return Pile(self._producer.create_batch, partitions)

    async def append_all(
        self, records: Iterable[NewRecord], partitions: Mapping[str, int], *, midway: Callable[[], None] = lambda: None
    ) -> None:
        """Append every record, as `append_pile` does."""
        pile = self.pile(partitions)
        pile.add(records)
        await self.append_pile(pile, midway=midway)

    async def append_pile(self, pile: Pile, *, midway: Callable[[], None] = lambda: None) -> None:
        """Append all that is on it and return when all is acknowledged; raises the first failure.

        `midway` is called when the first partition has acknowledged and others may not have.

        One batch for each partition touched: a third of the cost of sending record by record. Order within a partition is the
        order in which the records were added.
        """
        if not pile.batches:
            return
        sends = [asyncio.ensure_future(self._append_batches(place, batches)) for place, batches in pile.batches.items()]
        try:
            await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
            midway()
            await asyncio.gather(*sends)
        finally:  # whoever stops waiting does it all again: what is not queued yet should not come as well
            for send in sends:
                send.cancel()

    async def _append_batches(self, place: tuple[str, int], batches: Sequence[Any]) -> None:
        for builder in batches:
            await self._send_batch(builder, place)

    async def _send_batch(self, builder: Any, place: tuple[str, int]) -> None:
        topic, partition = place
        builder.close()
        while True:
            try:
                acknowledged = await self._producer.send_batch(builder, topic, partition=partition)
                break
            except (KafkaTimeoutError, UnknownTopicOrPartitionError):
                # Nothing was enqueued: an earlier batch still waits for its broker, or no broker says who leads the topic.
                log.warning("kafka.append_waiting", topic=topic, partition=partition)
        await asyncio.shield(acknowledged)  # aiokafka's own: a cancellation of ours is none of it

    async def stop(self, *, seconds: float = 3.0) -> None:
        """Flush what can be flushed within the time; never hangs."""
        await bounded(self._producer.stop(), seconds)


async def bounded(closing: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait as long as that for a client's last work. What is left of it then, or fails with its server, is given up and logged.

    It runs in a task of its own: with Kafka away aiokafka's `stop` may end in the cancellation of one of its own parts, and
    here that would look like a cancellation of ours.
    """
    task = asyncio.create_task(closing)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        log.warning("kafka.client_abandoned", error="TimeoutError")
    elif task.cancelled():
        log.warning("kafka.client_abandoned", error="CancelledError")
    elif (problem := task.exception()) is not None:
        if not isinstance(problem, KafkaError | OSError):
            raise problem
        log.warning("kafka.client_abandoned", error=type(problem).__name__)


async def wait_for_topics(bootstrap_servers: Brokers, topics: Iterable[str], stopping: asyncio.Event) -> dict[str, int]:
    """Wait until Kafka answers and every topic exists; topic -> partitions. Empty when asked to stop meanwhile."""
    wanted = sorted(topics)
    while not stopping.is_set():
        client = AIOKafkaClient(**client_options(bootstrap_servers), client_id="parley-check")
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
            if forbidden := [topic for topic in missing if topic in client.cluster.unauthorized_topics]:
                log.warning(
                    "kafka.topics_forbidden", topics=forbidden, hint="give this principal its rights: deploy/kafka/users.yaml"
                )
            else:
                log.warning("kafka.topics_missing", topics=missing)
        finally:
            await client.close()
        await sleep_unless(stopping, 0.5)
    return {}


def watch_metadata(client: Any) -> None:
    """End the process when the task is dead that keeps a client's metadata: every call of that client would wait for ever.

    aiokafka catches what it knows there, and looks at the task no more. `client` is connected.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.critical("kafka.client_dead", error=type(problem).__name__, exc_info=problem)
            exit_now(EXIT_FATAL)

    client._sync_task.add_done_callback(ended)  # noqa: SLF001 - aiokafka is pinned; there is no public hook


class Memberships:
    """How often a group forgot this member. A broker's restart or a long pause does that once: three times in a minute is a twin.

    aiokafka gives the membership up once for each partition of a commit that is answered so, and for each request that waited
    while the network paused: that is one loss. Only who has been a member again can be forgotten again, or who still is none a
    heartbeat later.
    """

    def __init__(self) -> None:
        self._losses: list[float] = []

    def lost(self, now: float, *, was_member: bool) -> bool:
        """The group did not know us, at `now` in monotonic seconds; True when this tells of a twin."""
        if not was_member and self._losses and now - self._losses[-1] < HEARTBEAT_SECONDS:
            return False
        self._losses = [*(at for at in self._losses if now - at < _TWIN_SECONDS), now]
        return len(self._losses) >= _TWIN_LOSSES


def watch_membership(consumer: Any, *, group: str, instance: str) -> None:
    """End the process when another one uses the same static instance id, or when the consumer can learn nothing any more.

    Two holders of one id push each other out for as long as they live, and aiokafka knows no fencing error: each sees its
    member id forgotten again and again. See Memberships for what is a twin.
    """
    watch_metadata(consumer._client)  # noqa: SLF001 - aiokafka is pinned; there is no public hook
    coordinator = consumer._coordinator  # noqa: SLF001 - as above
    # It is forgotten when a heartbeat fails, and found again when a broker answers.
    metrics.KAFKA_ANSWERS.labels(group).set_function(lambda: float(coordinator.coordinator_id is not None))
    memberships = Memberships()
    reset: Callable[[], None] = coordinator.reset_generation

    def counted() -> None:
        if memberships.lost(time.monotonic(), was_member=bool(coordinator.member_id)):
            log.critical(
                "instance.duplicate", group=group, hint=f"another process runs with PARLEY_INSTANCE={instance}; give each its own"
            )
            exit_now(EXIT_DUPLICATE_INSTANCE)
        reset()

    coordinator.reset_generation = counted


async def committed_with_marks(consumer: Any, places: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, str]]:
    """The group's offsets and what stands beside them; a partition without is absent. Tries again until the group answers."""
    found = await consumer._coordinator.fetch_committed_offsets(places)  # noqa: SLF001 - `committed` leaves the text out
    return {place: (told.offset, told.metadata) for place, told in found.items() if told.offset >= 0}


def careful(topic: str, partition: int, offset: int, strikes: int, *, group: str) -> None:
    """Say in the log that lives before have ended at a position, and that less is taken at once there."""
    log.warning("stream.careful", group=group, topic=topic, partition=partition, offset=offset, strikes=strikes)


def struck_out(record: LogRecord, *, group: str) -> Unprocessable:
    """Why a record is set aside: the process died with it, and with nothing else, in hand. Said in the log, too."""
    log.error(
        "record.struck_out",
        group=group,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        hint="the process died three times with this record in hand; it is a dead letter now: see docs/stops.md",
    )
    return Unprocessable(Reason.CRASH_LOOP, detail="the process died three times with it in hand")
