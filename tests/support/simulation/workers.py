"""How are router, projector and sender put together in a run? As their `app.py` does it, over what only looks like servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp
from aiokafka.errors import KafkaError

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.domain.loud_stops import DeadLetterLimit
from services.common.domain.pair_limit import PairPolicy
from services.common.platform import postgres
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, NewRecord, in_turns
from services.common.platform.lifecycle import sleep_unless
from services.common.platform.registry import RegisteredNumber
from services.common.platform.tokens import TokenBox
from services.projector.decode import Decoder
from services.projector.worker import Worker
from services.router.routing import Router
from services.sender.catch_up import CatchUp
from services.sender.dispatcher import Dispatcher
from services.sender.distrust import Distrust
from services.sender.intake import Intake
from services.sender.late_codes import LateCodes
from services.sender.media.preparing import Preparing
from services.sender.number_client import NumberClient
from services.sender.numbers import Numbers
from services.sender.outbox import Outbox
from services.sender.outcomes import Attempt
from services.sender.recorder import Recorder
from services.sender.settle import Settler
from services.sender.shards import Shards
from services.sender.sharing import Sharing
from services.sender.stop_ledger import StopLedger
from services.sender.stops import Stops
from services.sender.template_poller import TemplatePoller
from tests.support.simulation.ledger import LedgerStore, Tables
from tests.support.simulation.log import PARTITIONS, EndsConsumer, Group, GroupConsumer, Log, LogProducer, Member, Place
from tests.support.simulation.machine import Process, World
from tests.support.simulation.meta import ANSWER_SECONDS, JITTER_SECONDS, WABA, Meta, SimulatedGraph
from tests.support.simulation.plan import NUMBERS, PAIR_SECONDS
from tests.support.simulation.read_models import ReadModels, ReadModelStore

CODEC: Final = Codec()
_NO_POOL: Final = cast("postgres.Pool", None)
"""Of what is there and never asked."""
PAIRS: Final = PairPolicy(interval_seconds=PAIR_SECONDS, burst=1, jitter_seconds=JITTER_SECONDS)
HORIZON_SECONDS: Final = 6.0
_SETTLE_SECONDS: Final = 2.0
_REFRESH_SECONDS: Final = 4.0
_REMEMBERED_SECONDS: Final = 0.25 + ANSWER_SECONDS + max(1.05, PAIRS.remembered_seconds) + 0.2
_INFLIGHT_SECONDS: Final = 2.0
_BATCH: Final = 50
_TOKENS: Final = TokenBox(bytes(32))
_SEALED: Final = {number: _TOKENS.seal("token", phone_number_id=number) for number in NUMBERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What the processes of a run share."""

    world: World
    log: Log
    groups: Mapping[str, Group]
    read_models: ReadModels
    ledger: Tables
    meta: Meta


class Wiring:
    """Makes each process's `main`. A test plants a bug by putting something else in one of these places."""

    router = Router
    recorder = Recorder
    settler = Settler
    outbox = Outbox
    intake = Intake
    graph = SimulatedGraph
    ledger_store = LedgerStore
    read_model_store = ReadModelStore
    acks_first = False
    """Whether readers acknowledge a batch before its effect."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.senders: dict[str, Sender] = {}
        """By slot."""

    async def main(self, process: Process) -> None:
        """One life of a process."""
        service = process.slot.partition("-")[0]
        if service == "router":
            await self._router(process)
        elif service == "projector":
            await self._projector(process)
        else:
            self.senders[process.slot] = Sender(self, process)
            await self.senders[process.slot].run()

    async def _router(self, process: Process) -> None:
        def count(_: object) -> None:
            self.servers.world.saw("router: element set aside or unknown")

        router = self.router(CODEC, on_dead_letter=count, on_unrecognized=count)
        producer = LogProducer(process, self.servers.log)

        async def prepare(records: Sequence[LogRecord]) -> list[NewRecord]:
            return [new async for few in in_turns(records) for new in router.route(*few)]

        async def commit(prepared: list[NewRecord]) -> None:
            await producer.append_all(prepared, PARTITIONS)

        await Reader(self.servers, process, prepare, commit, acks_first=self.acks_first).run()

    async def _projector(self, process: Process) -> None:
        producer = LogProducer(process, self.servers.log)

        async def publish(records: Sequence[NewRecord]) -> None:
            await producer.append_all(records, PARTITIONS)

        worker = Worker(
            store=self.read_model_store(process, self.servers.read_models),
            decoder=Decoder(CODEC),
            stopping=asyncio.Event(),
            publish=publish,
        )
        await Reader(self.servers, process, worker.prepare, worker.commit, positions=worker, acks_first=self.acks_first).run()


class Reader:
    """A worker's stream: batch after batch, the next one prepared meanwhile, acknowledged after the effect.

    It stands for `Stream`, whose Faust has a clock and threads of its own. A rebalance waits for the batch under way.
    """

    def __init__(
        self,
        servers: Servers,
        process: Process,
        prepare: Any,
        commit: Any,
        *,
        positions: Worker | None = None,
        acks_first: bool = False,
    ) -> None:
        self._servers, self._process, self._prepare, self._commit = servers, process, prepare, commit
        self._positions, self._acks_first = positions, acks_first
        self._group = servers.groups[process.slot.partition("-")[0]]
        self._member = Member(process, self._revoked, self._assigned)
        self._flows = asyncio.Event()
        self._ready: asyncio.Queue[tuple[int, list[LogRecord], Any]] = asyncio.Queue(1)
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Until something breaks."""
        self._group.join(self._member)
        reading, writing = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        await asyncio.wait({reading, writing, self._broken}, return_when=asyncio.FIRST_COMPLETED)
        for one in (reading, writing, self._broken):
            if one.done():
                one.result()

    async def _revoked(self, _: Sequence[Place]) -> None:
        """Nothing more is fetched; what is under way ends."""
        self._flows.clear()
        await self._idle.wait()

    async def _assigned(self, places: Sequence[Place]) -> None:
        """The places of the group's, or those of the reader's own store, which are the truth where there are any."""
        try:
            if self._positions is not None:
                stored = await self._positions.next_offsets(places)
                self._member.positions = {place: stored.get(place, 0) for place in places}
        except Exception as problem:  # noqa: BLE001 - a listener's failure ends the process
            if not self._broken.done():
                self._broken.set_exception(problem)
            return
        self._flows.set()

    async def _read(self) -> None:
        while True:
            await self._flows.wait()
            generation = self._member.generation
            records = self._group.fetch(self._member, _BATCH) if self._flows.is_set() else []
            if records:
                self._member.under_way += 1
                await self._process.call("kafka", f"fetches {len(records)}", lambda: None)
                await self._ready.put((generation, records, await self._prepare(records)))
            else:
                await self._servers.log.more(self._group.sources)

    async def _write(self) -> None:
        while True:
            generation, records, prepared = await self._ready.get()
            if generation != self._member.generation or not self._flows.is_set():
                self._member.under_way -= 1
                continue  # of before a rebalance: whoever has the partitions reads them again
            self._idle.clear()
            try:
                if self._acks_first:
                    await self._acknowledge(records)
                await self._commit(prepared)
            finally:
                self._idle.set()
            self._member.under_way -= 1
            if not self._acks_first and self._servers.world.rng.random() < 0.5:
                await self._acknowledge(records)

    async def _acknowledge(self, records: Sequence[LogRecord]) -> None:
        try:
            await self._group.commit(self._member, {record[:2]: record.offset + 1 for record in records})
        except KafkaError:
            self._servers.world.saw("reader: acknowledgement failed")


class _NoMedia(Preparing):
    """No command here shows any."""

    def __init__(self) -> None:
        self.failures = {}


class _NoStops(StopLedger):
    """Stops of Meta's are not part of a run."""

    def __init__(self) -> None:
        pass

    async def read(self) -> dict[Any, Any]:
        """There are none."""
        return {}

    async def release(self, phone_number_ids: Sequence[str]) -> None:
        """Nothing is held."""


class _NoTemplates(TemplatePoller):
    """Every command here is free-form."""

    def __init__(self) -> None:
        pass


class _Registry(Numbers):
    """The numbers of a run."""

    def __init__(self, process: Process, limit: int) -> None:
        sharing = Sharing(counts={}, partitions=PARTITIONS[topics.SENDER_SOURCES[0]])
        super().__init__(_NO_POOL, _TOKENS, jitter_seconds=JITTER_SECONDS, pair_policy=PAIRS, sharing=sharing)
        self._process, self._limit = process, limit

    async def reload(self) -> None:
        """From the registry's rows, which do not change."""
        await self._process.call("postgres", "reads the registry", lambda: None)
        self.know(
            RegisteredNumber(
                phone_number_id=number,
                waba_id=WABA,
                display_phone_number=None,
                messages_per_second=self._limit,
                state="active",
                sealed_token=sealed,
                is_coexistence=False,
                updated_at=0,
                tenant_id="default",
            )
            for number, sealed in _SEALED.items()
        )


async def _unheeded(_attempt: Attempt, _code: int | None) -> None:
    """No message here shows media."""


class Sender:
    """One life of a sender."""

    def __init__(self, wiring: Wiring, process: Process) -> None:
        servers = wiring.servers
        self._servers, self._process = servers, process
        self.stopping = asyncio.Event()
        self._abandon = asyncio.Event()
        self._fail: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told = self._told = asyncio.Event()
        producer = LogProducer(process, servers.log)
        store = wiring.ledger_store(process, servers.ledger, CODEC)
        numbers = self._numbers = _Registry(process, servers.world.plan.limit)
        distrust = Distrust(store)
        self._recorder = wiring.recorder(store, distrust, abandon=self._abandon, told=told)
        self._catch_up = CatchUp(store, new_consumer=lambda: EndsConsumer(process, servers.log), partitions=PARTITIONS)
        media = _NoMedia()

        def owned() -> Sequence[int]:
            return self._shards.owned()

        stops = Stops(
            ledger=_NoStops(),
            late_codes=LateCodes(_NO_POOL),
            numbers=numbers,
            client=NumberClient(cast("aiohttp.ClientSession", None), base_url="", version=""),
            shards=owned,
        )
        horizons = dict.fromkeys(Lane, HORIZON_SECONDS)
        calm = asyncio.Event()
        self._dispatcher = Dispatcher(
            store=store,
            numbers=numbers,
            stops=stops,
            graph=wiring.graph(process, servers.meta),
            recorder=self._recorder,
            catch_up=self._catch_up,
            distrust=distrust,
            media=media,
            templates=_NoTemplates(),
            horizons=horizons,
            inflight_seconds=_INFLIGHT_SECONDS,
            calm=calm,
            told=told,
            abandon=self._abandon,
            fail=self._fail,
        )
        self._settler = wiring.settler(
            store,
            self._recorder,
            numbers,
            distrust,
            heed_late=_unheeded,
            horizons=horizons,
            every_seconds=_SETTLE_SECONDS,
            told=told,
        )
        self._intake = wiring.intake(
            store=store,
            producer=producer,
            codec=CODEC,
            partitions=PARTITIONS,
            sublanes={},
            lifetimes=dict.fromkeys(Lane, 60.0),
            limit=DeadLetterLimit(),
            strike_out=True,
            calm=calm,
            told=told,
            stopping=self.stopping,
        )
        self._shards = Shards(
            store=store,
            numbers=numbers,
            stops=stops,
            dispatcher=self._dispatcher,
            adopt=self._settler.adopt,
            instance=process.slot,
            remembered_seconds=_REMEMBERED_SECONDS,
            told=told,
            stopping=self.stopping,
            begin=self._intake.begin,
            commit=self._intake.commit,
            fail=self._fail,
        )
        self._outbox = wiring.outbox(
            store, producer, partitions=PARTITIONS, shards=self._shards.owned, some=told, abandon=self._abandon
        )
        self._member = Member(process, self._revoked, self._assigned)

    async def run(self) -> None:
        """Until asked to stop, or until a part of it breaks."""
        group = self._servers.groups["sender"]
        group.join(self._member)
        consumer: Any = GroupConsumer(group, self._servers.log, self._member)
        reading = asyncio.create_task(self._intake.run(consumer, self._shards.notify))
        background = [
            asyncio.create_task(self._recorder.run()),
            asyncio.create_task(self._outbox.run()),
            asyncio.create_task(self._settler.run(self._shards.owned, self._shards.notify, self.stopping)),
            asyncio.create_task(self._catch_up.run(self.stopping)),
            asyncio.create_task(self._refresh()),
        ]
        asked = asyncio.create_task(self.stopping.wait())
        parts: list[asyncio.Future[None]] = [self._fail, reading, *background]
        watched: list[asyncio.Future[Any]] = [asked, *parts]
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        for ended in parts:
            if ended.done():
                ended.result()
        if not self.stopping.is_set():
            raise AssertionError("a part of the sender ended by itself")
        await asyncio.wait({reading}, timeout=1.0)
        await self._dispatcher.drain(4.5)
        await asyncio.wait({asyncio.create_task(self._outbox.flushed())}, timeout=1.0)
        self._abandon.set()
        group.leave(self._member)

    async def _refresh(self) -> None:
        """The registry is read again, and the outbox looked at: another process may have put something in for a shard of ours."""
        while not await sleep_unless(self.stopping, _REFRESH_SECONDS):
            await postgres.retrying(self._numbers.reload, service="sender", stopping=self.stopping)
            self._told.set()

    async def _revoked(self, places: Sequence[Place]) -> None:
        await self._shards.on_partitions_revoked([_Place(*one) for one in places])

    async def _assigned(self, places: Sequence[Place]) -> None:
        await self._shards.on_partitions_assigned([_Place(*one) for one in places])


@dataclass(frozen=True, slots=True)
class _Place:
    topic: str
    partition: int
