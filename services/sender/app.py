"""How is the sender wired? The only place that constructs its clients, and the order in which they stop.

Crash thinking: everything that must survive is in Postgres before it matters. So any task that breaks ends the process at once,
and the next owner goes on from the rows.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import aiohttp
import psycopg
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from psycopg_pool import PoolTimeout

from services.common.domain.loud_stops import DeadLetterLimit, LoudStop
from services.common.domain.topics import ACCOUNT_EVENTS, SEND_OUTCOMES, SENDER_DEAD_LETTERS, SENDER_SOURCES
from services.common.platform import logging, metrics, postgres
from services.common.platform.avro import Codec
from services.common.platform.kafka import FETCH_BYTES, SESSION_SECONDS, Producer, bounded, wait_for_topics, watch_membership
from services.common.platform.kafka_access import client_options
from services.common.platform.lifecycle import EXIT_FATAL, exit_now, sleep_unless, stop_loudly
from services.common.platform.ops import Ops
from services.common.platform.tokens import TokenBox
from services.sender.account_events import AccountEvents
from services.sender.catch_up import CatchUp
from services.sender.config import SenderSettings
from services.sender.dispatcher import Dispatcher
from services.sender.distrust import Distrust
from services.sender.graph_client import GraphClient, session_options
from services.sender.inbound import InboundTail
from services.sender.intake import GROUP, Intake
from services.sender.knowledge import CAUSES
from services.sender.late_codes import LateCodes
from services.sender.limits import Limits
from services.sender.media import fetch, links, upload
from services.sender.media.fetch import PUBLIC, Fetcher, Surroundings
from services.sender.media.ledger import Ledger
from services.sender.media.making import Making
from services.sender.media.preparing import Preparing
from services.sender.media.upload import Uploader
from services.sender.number_client import NumberClient
from services.sender.numbers import Numbers
from services.sender.outbox import Outbox
from services.sender.recorder import Recorder
from services.sender.settle import Settler
from services.sender.shards import DRAIN_SECONDS, Shards
from services.sender.sharing import Sharing
from services.sender.stop_ledger import StopLedger
from services.sender.stops import Stops
from services.sender.store import Store
from services.sender.template_list import TemplateList
from services.sender.template_poller import TemplatePoller
from services.sender.template_store import TemplateStore

log = logging.get(__name__)

_TOPICS: Final = (*SENDER_SOURCES, SEND_OUTCOMES, SENDER_DEAD_LETTERS, *CAUSES, ACCOUNT_EVENTS)
_HEARTBEAT_SECONDS: Final = 0.5
"""A rebalance stops sending; members hear of it this soon."""
_NEVER_MS: Final = 24 * 3600 * 1000
"""aiokafka would leave the group after this long without a poll; our intake waits for Postgres as long as it takes."""
_PERIODS_SECONDS: Final = 3600.0
_STOP_INTAKE_SECONDS: Final = 1.0
_STOP_CALLS_SECONDS: Final = 4.5
_STOP_OUTBOX_SECONDS: Final = 1.0
_STOP_CLIENT_SECONDS: Final = 0.5


class _Sessions(NamedTuple):
    """One for each kind of call: what is right for one of them is wrong for the next."""

    messages: aiohttp.ClientSession
    uploads: aiohttp.ClientSession
    downloads: aiohttp.ClientSession
    plain: aiohttp.ClientSession
    """For calls about numbers, which need no token of a limiter."""


class SenderApp:
    """Reads the lanes, calls Meta, tells the log what became of it."""

    def __init__(self, settings: SenderSettings, *, surroundings: Surroundings = PUBLIC) -> None:
        """`surroundings`: what the names in links mean; another one than the internet only in tests."""
        self._settings, self._surroundings = settings, surroundings
        self._waiting_for: str | None = "waiting for Kafka and its topics"
        self._shards: Shards | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until asked to stop. A failure of any part ends the process."""
        settings = self._settings
        ops = Ops(service="sender", host=settings.ops_host, port=settings.ops_port, ready=self._why_not_ready)
        await ops.start()
        producer = Producer(bootstrap_servers=settings.kafka, client_id=f"{GROUP}-{settings.instance}")
        partitions = await wait_for_topics(settings.kafka, _TOPICS, stopping)
        if partitions and await producer.start(stopping):
            dsn = settings.postgres_dsn.get_secret_value()
            pool = postgres.pool(dsn, service="sender", size=settings.postgres_pool, probing=True)
            await pool.open()
            trust = None if settings.graph_ca_file is None else ssl.create_default_context(cafile=settings.graph_ca_file)
            try:
                async with (
                    aiohttp.ClientSession(**session_options(settings.sender_connect_seconds, trust=trust)) as session,
                    aiohttp.ClientSession(**upload.session_options(settings.sender_connect_seconds, trust=trust)) as uploads,
                    aiohttp.ClientSession(**fetch.session_options(self._surroundings)) as downloads,
                    aiohttp.ClientSession(
                        connector=aiohttp.TCPConnector(ssl=trust or True),
                        headers={"User-Agent": "parley"},
                        cookie_jar=aiohttp.DummyCookieJar(),
                    ) as plain,
                ):
                    await self._send(_Sessions(session, uploads, downloads, plain), pool, producer, partitions, stopping)
            except LoudStop as stop:
                await self._show(stop, stopping)
            except Exception as problem:  # the process's boundary: whatever broke, nothing may go on
                log.critical("sender.fatal", error=type(problem).__name__, exc_info=problem)
                exit_now(EXIT_FATAL)
            await pool.close(timeout=_STOP_CLIENT_SECONDS)
            await producer.stop(seconds=_STOP_CLIENT_SECONDS)
        await ops.stop()

    async def _show(self, stop: LoudStop, stopping: asyncio.Event) -> None:
        """Never returns. What was under way has been given up: the next owner goes on from the rows."""
        self._waiting_for = f"stopped for good: {stop.reason}"
        stop_loudly(stop, group=GROUP, shown_seconds=self._settings.stop_shown_seconds)
        await stopping.wait()
        exit_now(stop.exit_code)

    async def _send(
        self,
        sessions: _Sessions,
        pool: postgres.Pool,
        producer: Producer,
        partitions: dict[str, int],
        stopping: asyncio.Event,
    ) -> None:
        settings = self._settings
        told, abandon = asyncio.Event(), asyncio.Event()
        fail: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        codec = Codec()
        store = Store(pool, codec)
        tokens = TokenBox.from_base64(settings.token_key.get_secret_value())
        numbers = Numbers(
            pool,
            tokens,
            jitter_seconds=settings.sender_jitter_seconds,
            pair_policy=settings.pair_policy,
            sharing=Sharing(counts=settings.sublanes, partitions=partitions[SENDER_SOURCES[0]]),
        )
        graph = GraphClient(
            sessions.messages,
            base_url=settings.graph_url,
            version=settings.graph_version,
            answer_seconds=settings.sender_answer_seconds,
        )
        distrust = Distrust(store)
        recorder = Recorder(store, distrust, abandon=abandon, told=told)
        catch_up = CatchUp(
            store,
            new_consumer=lambda: AIOKafkaConsumer(
                **client_options(settings.kafka),
                client_id=f"{GROUP}-{settings.instance}-ends",
                enable_auto_commit=False,
            ),
            partitions=partitions,
        )
        inbound = InboundTail(
            new_consumer=lambda: AIOKafkaConsumer(
                **client_options(settings.kafka),
                client_id=f"{GROUP}-{settings.instance}-inbound",
                enable_auto_commit=False,
                auto_offset_reset="latest",
                max_partition_fetch_bytes=FETCH_BYTES,
            ),
            partitions=partitions,
            debit=numbers.received,
        )
        media_ledger = Ledger(pool)
        making = Making(
            media_ledger,
            Fetcher(sessions.downloads, hosts=links.host_rules(settings.media_hosts)),
            Uploader(sessions.uploads, base_url=settings.graph_url, version=settings.graph_version),
            directory=settings.media_dir,
            spool_directory=settings.media_spool_dir,
            token=numbers.token,
            stopping=stopping,
        )
        media = Preparing(media_ledger, making, wake=numbers.wake)

        def owned() -> Sequence[int]:
            return () if self._shards is None else self._shards.owned()

        client = NumberClient(sessions.plain, base_url=settings.graph_url, version=settings.graph_version)
        stops = Stops(ledger=StopLedger(pool, codec), late_codes=LateCodes(pool), numbers=numbers, client=client, shards=owned)
        limits = Limits(pool=pool, codec=codec, numbers=numbers, client=client, shards=owned)
        refresh = _Refresh(numbers, AccountEvents(pool), stops, limits, told)
        templates = TemplatePoller(
            TemplateStore(pool),
            TemplateList(sessions.plain, base_url=settings.graph_url, version=settings.graph_version),
            accounts=numbers.tokens_by_account,
            every_seconds=settings.sender_template_seconds,
            demand_seconds=settings.sender_template_demand_seconds,
        )
        calm = asyncio.Event()
        dispatcher = Dispatcher(
            store=store,
            numbers=numbers,
            stops=stops,
            graph=graph,
            recorder=recorder,
            catch_up=catch_up,
            distrust=distrust,
            media=media,
            templates=templates,
            horizons=settings.horizons,
            inflight_seconds=settings.sender_inflight_seconds,
            calm=calm,
            told=told,
            abandon=abandon,
            fail=fail,
        )
        settler = Settler(
            store,
            recorder,
            numbers,
            distrust,
            heed_late=media.heed_late,
            horizons=settings.horizons,
            every_seconds=settings.sender_settle_seconds,
            told=told,
        )
        intake = Intake(
            store=store,
            producer=producer,
            codec=codec,
            partitions=partitions,
            sublanes=settings.sublanes,
            lifetimes=settings.lifetimes,
            limit=DeadLetterLimit(is_on=settings.dead_letter_limit),
            strike_out=settings.strike_out,
            calm=calm,
            told=told,
            stopping=stopping,
        )
        shards = Shards(
            store=store,
            numbers=numbers,
            stops=stops,
            dispatcher=dispatcher,
            adopt=settler.adopt,
            instance=settings.instance,
            remembered_seconds=settings.remembered_seconds,
            told=told,
            stopping=stopping,
            commit=intake.commit,
            begin=intake.begin,
            fail=fail,
        )
        outbox = Outbox(store, producer, partitions=partitions, shards=shards.owned, some=told, abandon=abandon)
        self._shards = shards
        self._waiting_for = "waiting for Postgres and its tables"
        if not await _wait_for_tables(numbers, store, stopping):
            return
        self._waiting_for = None
        consumer = await _joined(settings, shards, stopping)
        if consumer is None:
            return
        reading = _task(intake.run(consumer, shards.notify))
        background = [
            _task(intake.watch()),
            _task(recorder.run()),
            _task(outbox.run()),
            _task(settler.run(shards.owned, shards.notify, stopping)),
            _task(_keep_periods(store, stopping)),
            _task(catch_up.run(stopping)),
            _task(media.run()),
            _task(inbound.run(stopping)),
            _task(refresh.run(settings.sender_registry_seconds, stopping)),
            _task(templates.run(stopping)),
        ]
        log.info("sender.started", group=GROUP)
        await _until_stopped(stopping, [reading, *background], fail)
        await asyncio.wait({reading}, timeout=_STOP_INTAKE_SECONDS)
        await dispatcher.drain(_STOP_CALLS_SECONDS)
        await bounded(outbox.flushed(), _STOP_OUTBOX_SECONDS)
        abandon.set()
        for task in (reading, *background):
            task.cancel()
        await catch_up.stop()
        await inbound.stop()
        await bounded(consumer.stop(), _STOP_CLIENT_SECONDS)

    def _why_not_ready(self) -> str | None:
        if self._waiting_for is not None or self._shards is None:
            return self._waiting_for or "starting"
        return None if self._shards.is_settled else "taking shards over"


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)


async def _joined(settings: SenderSettings, shards: Shards, stopping: asyncio.Event) -> AIOKafkaConsumer | None:
    """The consumer, a member of the group; None when asked to stop before Kafka answered."""
    while not stopping.is_set():
        consumer = AIOKafkaConsumer(
            **client_options(settings.kafka),
            client_id=f"{GROUP}-{settings.instance}",
            group_id=GROUP,
            group_instance_id=f"{GROUP}-{settings.instance}",
            partition_assignment_strategy=(RangePartitionAssignor,),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(SESSION_SECONDS * 1000),
            heartbeat_interval_ms=int(_HEARTBEAT_SECONDS * 1000),
            rebalance_timeout_ms=int((DRAIN_SECONDS + 3.0) * 1000),
            max_poll_interval_ms=_NEVER_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        consumer.subscribe(SENDER_SOURCES, listener=shards)
        try:
            await consumer.start()
        except (KafkaError, OSError) as problem:
            log.warning("kafka.unreachable", error=type(problem).__name__)
            await bounded(consumer.stop(), _STOP_CLIENT_SECONDS)
            await sleep_unless(stopping, 0.5)
        else:
            watch_membership(consumer, group=GROUP, instance=settings.instance)
            return consumer
    return None


async def _wait_for_tables(numbers: Numbers, store: Store, stopping: asyncio.Event) -> bool:
    """Wait until Postgres is there, migrated, and has room for this period; False when asked to stop meanwhile."""
    while not stopping.is_set():
        try:
            await numbers.reload()
            await _kept_periods(store)
        except (psycopg.Error, PoolTimeout) as problem:
            metrics.POSTGRES_RETRIES.labels("sender").inc()
            log.warning("postgres.not_ready", error=type(problem).__name__)
            await sleep_unless(stopping, 0.5)
        else:
            return True
    return False


class _Refresh:
    """A change in the registry, or of what Meta allows, counts within seconds, without a restart."""

    def __init__(self, numbers: Numbers, events: AccountEvents, stops: Stops, limits: Limits, told: asyncio.Event) -> None:
        self._numbers, self._events, self._stops, self._limits, self._told = numbers, events, stops, limits, told

    async def run(self, every_seconds: float, stopping: asyncio.Event) -> None:
        """Until asked to stop."""
        while not await sleep_unless(stopping, every_seconds):
            await postgres.retrying(self._once, service="sender", stopping=stopping)

    async def _once(self) -> None:
        await self._numbers.reload()
        events = await self._events.newest()
        await self._stops.sync(events)
        await self._limits.sync(events)
        self._events.taken(events)
        self._told.set()


async def _keep_periods(store: Store, stopping: asyncio.Event) -> None:
    """Periods are made long before they begin, and dropped when they are old. A lock that is not free is left for later."""
    while not await sleep_unless(stopping, _PERIODS_SECONDS):
        kept = await postgres.retrying(partial(_kept_periods, store), service="sender", stopping=stopping)
        if kept is not None and any(kept):
            log.info("ledger.periods", added=kept[0], dropped=kept[1])


async def _kept_periods(store: Store) -> tuple[int, int]:
    """How many were made and dropped; until when there is room is told in a metric."""
    kept = await store.keep_periods()
    metrics.ROOM_UNTIL_SECONDS.labels("sender").set(await store.room_until())
    return kept


async def _until_stopped(stopping: asyncio.Event, tasks: list[asyncio.Task[None]], fail: asyncio.Future[None]) -> None:
    """Return when asked to stop; raise what broke before that."""
    asked = asyncio.create_task(_set(stopping))
    parts: list[asyncio.Future[None]] = [fail, *tasks]
    await asyncio.wait([asked, *parts], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    for ended in parts:
        if ended.done():
            ended.result()
            if not stopping.is_set():
                raise RuntimeError("a part of the sender ended by itself")


async def _set(event: asyncio.Event) -> None:
    await event.wait()
