"""What is Kafka in a run? Partitions in memory, groups that rebalance, clients that may be taken for dead and not know it.

Kept: order within a partition and none between them, offsets, a commit that only the current generation may make, static members
that get their partitions back, a session that outlives its process, zombies that go on with what they had. Left out: anything a
broker does with its disk, and transactions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata

from services.common.domain import topics
from services.common.platform.kafka import LogRecord, NewRecord, Producer, partition_of
from tests.support.simulation.machine import Process, World

PARTITIONS: Final[Mapping[str, int]] = dict.fromkeys(topics.ALL, 2)
SESSION_SECONDS: Final = 10.0
_REVOKE_SECONDS: Final = 15.0

Place = tuple[str, int]


class Log:
    """All topics. `now` gives Kafka's timestamps."""

    def __init__(self) -> None:
        self.records: dict[Place, list[LogRecord]] = {
            (topic, number): [] for topic in topics.ALL for number in range(PARTITIONS[topic])
        }
        self._waiting: dict[asyncio.Future[None], Collection[str]] = {}

    def append(self, record: NewRecord) -> None:
        """At the end of its partition, at this instant."""
        place = (record.topic, partition_of(record.key, PARTITIONS[record.topic]))
        records = self.records[place]
        at = int(time.time() * 1000)
        records.append(LogRecord(*place, len(records), at, record.key, record.value, record.headers))
        self.wake(record.topic)

    def ends(self, place: Place) -> int:
        """The next offset."""
        return len(self.records[place])

    def of(self, *names: str) -> list[LogRecord]:
        """Everything in these topics, by partition and offset."""
        return [record for name in names for number in range(PARTITIONS[name]) for record in self.records[name, number]]

    def more(self, names: Collection[str]) -> asyncio.Future[None]:
        """Done when something is appended to one of these topics, or its reader is to look again."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = names
        return future

    def wake(self, topic: str) -> None:
        """Let the readers of a topic look again."""
        concerned = [future for future, names in self._waiting.items() if topic in names]
        for future in concerned:
            del self._waiting[future]
            if not future.done():
                future.set_result(None)


class LogProducer(Producer):
    """A process's producer: what one call appends may be in some partitions before others, or in some only."""

    def __init__(self, process: Process, log: Log) -> None:
        self._process, self._log = process, log

    async def append_all(
        self, records: Iterable[NewRecord], partitions: Mapping[str, int], *, midway: Callable[[], None] = lambda: None
    ) -> None:
        """As the producer's: each partition's records in their order, all acknowledged or the first failure raised."""
        del midway
        batches: dict[Place, list[NewRecord]] = {}
        for record in records:
            batches.setdefault((record.topic, partition_of(record.key, partitions[record.topic])), []).append(record)
        await asyncio.gather(*(self._append_batch(place, batch) for place, batch in batches.items()))

    async def _append_batch(self, place: Place, batch: Sequence[NewRecord]) -> None:
        def effect() -> None:
            for record in batch:
                self._log.append(record)

        await self._process.call("kafka", f"appends {len(batch)} to {place[0]}/{place[1]}", effect)


@dataclass(eq=False)
class Member:
    """A client in a group. `revoked` and `assigned` are its listeners."""

    process: Process
    revoked: Callable[[Sequence[Place]], Awaitable[None]]
    assigned: Callable[[Sequence[Place]], Awaitable[None]]
    positions: dict[Place, int] = field(default_factory=dict)
    generation: int = -1
    is_zombie: bool = False
    under_way: int = 0
    """Batches that were fetched and are not done with."""


class Group:
    """One consumer group, and its coordinator."""

    def __init__(self, world: World, log: Log, sources: Sequence[str]) -> None:
        self._world, self._log, self.sources = world, log, sources
        self.committed: dict[Place, int] = {}
        self.beside: dict[Place, str] = {}
        self.members: dict[str, Member] = {}
        self._unsettled = asyncio.Event()
        self._generation = 0

    @property
    def is_settled(self) -> bool:
        """No rebalance is due, and every member is alive."""
        return not self._unsettled.is_set() and all(not member.process.is_dead for member in self.members.values())

    def join(self, member: Member) -> None:
        """A slot that comes back in time gets what it had; anybody else makes a rebalance."""
        slot = member.process.slot
        before = self.members.get(slot)
        self.members[slot] = member
        if before is not None and before.positions and before.generation == self._generation:
            self._world.spawn(self._assign(member, sorted(before.positions)))
        else:
            self._unsettled.set()

    def leave(self, member: Member) -> None:
        """It says goodbye."""
        if self.members.get(member.process.slot) is member:
            del self.members[member.process.slot]
            self._unsettled.set()

    def lose(self, process: Process) -> None:
        """It is dead; the group finds out when its session is over, unless its slot is back by then."""
        member = self.members.get(process.slot)
        if member is not None and member.process is process:
            self._world.spawn(self._forget(member))

    async def _forget(self, member: Member) -> None:
        await asyncio.sleep(SESSION_SECONDS)
        if self.members.get(member.process.slot) is member:
            self._world.saw("member: session over")
            self.leave(member)

    async def expel(self, slot: str, seconds: float) -> None:
        """Its heartbeats are lost: others get its partitions, and it goes on with them until it hears of it."""
        member = self.members.get(slot)
        if member is None or member.process.is_dead:
            return
        self._world.saw("member: zombie")
        member.is_zombie = True
        self.leave(member)
        await asyncio.sleep(seconds)
        if not member.process.is_dead:
            await self._revoke(member)
            member.is_zombie = False
            if not member.process.is_dead and slot not in self.members:
                self.join(member)

    async def run(self) -> None:
        """Rebalance whenever it is due."""
        while True:
            await self._unsettled.wait()
            await asyncio.sleep(self._world.rng.uniform(0.02, 0.2))
            self._unsettled.clear()
            await asyncio.gather(*(self._revoke(one) for one in self.members.values() if one.positions))
            if self._unsettled.is_set():
                continue
            self._generation += 1
            self._world.saw("group: rebalanced")
            members = sorted(self.members.items())
            await asyncio.gather(*(self._assign(one, self._share(nth, len(members))) for nth, (_, one) in enumerate(members)))

    def _share(self, nth: int, count: int) -> list[Place]:
        """The range assignor: the same numbers of every topic."""
        return [(topic, number) for topic in self.sources for number in _range(PARTITIONS[topic], nth, count)]

    async def _revoke(self, member: Member) -> None:
        if not member.process.is_dead:
            task = member.process.spawn(_called(member.revoked, sorted(member.positions)))
            await asyncio.wait({task}, timeout=_REVOKE_SECONDS)
        member.positions = {}

    async def _assign(self, member: Member, places: Sequence[Place]) -> None:
        if member.process.is_dead:
            return
        member.generation = self._generation
        member.positions = {place: self.committed.get(place, 0) for place in places}
        self._world.note(f"{member.process.slot} is assigned {len(places)} partitions")
        await asyncio.wait({member.process.spawn(_called(member.assigned, places))}, timeout=_REVOKE_SECONDS)
        self._log.wake(self.sources[0])

    def fetch(self, member: Member, most: int) -> list[LogRecord]:
        """The next records of what it has, some of each partition, in no order between them."""
        rng = self._world.rng
        found: list[LogRecord] = []
        places = [place for place, position in member.positions.items() if position < self._log.ends(place)]
        rng.shuffle(places)
        for place in places:
            position = member.positions[place]
            some = self._log.records[place][position : position + rng.randint(1, 8)]
            some = some[: most - len(found)]
            if some:
                found += some
                member.positions[place] = position + len(some)
        return found

    def has_more(self, member: Member) -> bool:
        """Whether a fetch brings anything."""
        return any(position < self._log.ends(place) for place, position in member.positions.items())

    async def commit(self, member: Member, offsets: Mapping[Place, int], *, beside: Mapping[Place, str] | None = None) -> None:
        """`beside`: the text of each, none for the others. CommitFailedError for whom the group does not count any more."""

        def effect() -> None:
            if member.is_zombie or member.generation != self._generation or self.members.get(member.process.slot) is not member:
                self._world.saw("commit of a zombie refused")
                raise CommitFailedError
            self.committed.update(offsets)
            self.beside.update({place: (beside or {}).get(place, "") for place in offsets})

        await member.process.call("kafka", f"commits {sum(offsets.values())}", effect)

    @property
    def has_read_all(self) -> bool:
        """Every partition is somebody's, and read to its end, and nothing of it is under way."""
        if any(member.under_way for member in self.members.values()):
            return False
        held = {place: at for one in self.members.values() if not one.process.is_dead for place, at in one.positions.items()}
        places = [(topic, number) for topic in self.sources for number in range(PARTITIONS[topic])]
        return all(held.get(place, -1) == self._log.ends(place) for place in places)


class _Fetched(NamedTuple):
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class GroupConsumer:
    """What the intake sees of aiokafka's consumer."""

    _IDLE: Final = 20
    """An empty poll lasts so many times longer than asked for once there was nothing: a run is mostly waiting."""

    def __init__(self, group: Group, log: Log, member: Member) -> None:
        self._group, self._log, self.member = group, log, member
        self._is_idle = False

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Records by partition; empty when there are none for so long."""
        self.member.under_way = 0
        await self.member.process.call("kafka", "polls", lambda: None, at_once=True)
        if not self._group.has_more(self.member):
            with_patience = timeout_ms / 1000 * (self._IDLE if self._is_idle else 1)
            await asyncio.wait({self._log.more(self._group.sources)}, timeout=with_patience)
        found: dict[TopicPartition, list[Any]] = {}
        for record in self._group.fetch(self.member, max_records):
            found.setdefault(TopicPartition(*record[:2]), []).append(_Fetched(*record))
        self._is_idle = not found
        self.member.under_way = len(found)
        return found

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """As the group's."""
        told = {(place.topic, place.partition): at for place, (at, _) in offsets.items()}
        beside = {(place.topic, place.partition): text for place, (_, text) in offsets.items()}
        await self._group.commit(self.member, told, beside=beside)

    @property
    def _coordinator(self) -> GroupConsumer:
        """Whom the service asks for what stands beside the offsets."""
        return self

    async def fetch_committed_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """Where the group goes on; -1 where it never was."""
        await self.member.process.call("kafka", "asks", lambda: None, at_once=True)
        told = {place: (place.topic, place.partition) for place in places}
        group = self._group
        return {tp: OffsetAndMetadata(group.committed.get(at, -1), group.beside.get(at, "")) for tp, at in told.items()}

    async def position(self, place: TopicPartition) -> int:
        """What the next fetch begins with."""
        held = self.member.positions.get((place.topic, place.partition))
        if held is None:
            raise IllegalStateError
        return held

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Nothing is ever deleted."""
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where each partition ends."""
        await self.member.process.call("kafka", "asks", lambda: None, at_once=True)
        return {place: self.highwater(place) for place in places}

    def assignment(self) -> set[TopicPartition]:
        """What it has."""
        return {TopicPartition(*place) for place in self.member.positions}

    def highwater(self, place: TopicPartition) -> int:
        """Where the partition ends."""
        return self._log.ends((place.topic, place.partition))


class EndsConsumer:
    """What `CatchUp` sees of aiokafka's consumer."""

    def __init__(self, process: Process, log: Log) -> None:
        self._process, self._log = process, log

    async def start(self) -> None:
        """Connect."""
        await self._process.call("kafka", "connects", lambda: None)

    async def stop(self) -> None:
        """Close."""

    def assign(self, _places: Sequence[TopicPartition]) -> None:
        """Nothing is fetched."""

    def pause(self, *_places: TopicPartition) -> None:
        """Nothing is fetched."""

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where these end."""
        return await self._process.call(
            "kafka", "asks for ends", lambda: {place: self._log.ends((place.topic, place.partition)) for place in places}
        )


async def _called(listener: Callable[[Sequence[Place]], Awaitable[None]], places: Sequence[Place]) -> None:
    await listener(places)


def _range(partitions: int, nth: int, count: int) -> range:
    each, more = divmod(partitions, count)
    first = nth * each + min(nth, more)
    return range(first, first + each + (nth < more))
