"""Where do the cycles happen? One Kafka, one database, a simulated Meta and the four services, each quick to start again."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from psycopg.sql import SQL, Identifier

from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import record_key
from services.common.domain.reasons import Reason
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import AVRO, dead_letter_headers
from services.common.platform.kafka import LogRecord
from services.common.platform.registry import add_number
from services.common.platform.tokens import TokenBox
from services.projector.decode import GROUP as PROJECTOR_GROUP
from services.router.parked import GROUP as PARKED_GROUP
from services.router.routing import GROUP as ROUTER_GROUP
from services.sandbox import witness
from services.sandbox.ledger import Ledger, Publication, Verdict, judge
from services.sandbox.ledger_reader import read
from services.sandbox.ports import free_port
from services.sandbox.settling import Backlog, Lookout
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.config import Number
from services.sandbox.simulator.config import World as Configuration
from services.sandbox.simulator.rules import DropAfter
from services.sender.intake import GROUP as SENDER_GROUP
from tests.support import log
from tests.support.clean_broker import dismiss
from tests.support.media_files import PDF
from tests.support.processes import ServiceProcess
from tests.support.read_models import Compared, compared
from tests.support.sending import APP_SECRET, NUMBER, OWN_PHONE, TOKEN, TOKEN_KEY, WABA, text
from tests.support.sent_once import QUICK

LIMIT: Final = 1000
"""Messages a second, of both directions: cycles are about crashes, not about the rate."""
PEOPLE: Final = tuple(f"4917{n:09d}" for n in range(1, 61))
SETTLE_SECONDS: Final = 120.0
_BEHAVIOUR: Final = {
    "window": "off",
    "pair_limit": "false",
    "retry_gap_seconds": "0.05",
    "retry_growth": "1.2",
    "retry_max_gap_seconds": "0.3",
    "answer_timeout_seconds": "5",
    "delivered_after_seconds": "0.05",
    "read_after_seconds": "0.1",
    "duplicate_probability": "0.1",
    "reorder_probability": "0.2",
    "batch_max": "3",
}
_POLL_SECONDS: Final = 0.01
_GUEST_SECONDS: Final = 3.0
_GROUPS: Final = {
    "router": (ROUTER_GROUP, topics.ROUTER_SOURCES, RoundRobinPartitionAssignor),
    "projector": (PROJECTOR_GROUP, topics.PROJECTOR_SOURCES, RoundRobinPartitionAssignor),
    "sender": (SENDER_GROUP, topics.SENDER_SOURCES, RangePartitionAssignor),
}
"""In which a guest can be: what it reads, and how its members share that."""
_CODEC: Final = Codec()


class World:
    """An async context manager. The `victim` may be started and killed at will; the others are expected to live.

    What was published and where it stands in the log is written down here, apart from all services: it is the producers' ledger.
    """

    def __init__(self, *, bootstrap_servers: str, dsn: str, directory: Path) -> None:
        """`dsn` is the operator's, of a migrated database that nobody uses; the topics are empty."""
        self.bootstrap_servers, self.dsn = bootstrap_servers, dsn
        self._media, self._configuration = directory / "media", directory / "meta.json"
        self._stack = AsyncExitStack()
        self._published: list[Publication] = []
        self._services: dict[str, ServiceProcess] = {}
        self._guest: Any = None
        self._leaving: list[asyncio.Task[None]] = []
        self.simulator: SimulatorClient
        self._lookout: Lookout
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        self._media.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(witness.install, self.dsn)
        ingest_port = free_port()
        number = Number(phone_number_id=NUMBER, waba_id=WABA, display_phone_number=OWN_PHONE, throughput=LIMIT, token=TOKEN)
        self._configuration.write_text(Configuration(numbers=(number,)).model_dump_json())
        meta = {
            "PARLEY_SIMULATOR_CONFIG": str(self._configuration),
            "PARLEY_INGEST_URL": f"http://127.0.0.1:{ingest_port}/webhooks",
            "PARLEY_APP_SECRET": APP_SECRET,
            **{f"PARLEY_SIMULATOR_BEHAVIOUR__{name.upper()}": value for name, value in _BEHAVIOUR.items()},
        }
        simulator = self._enter("simulator", meta, module="services.sandbox.simulator")
        await until(lambda: "listening on http" in simulator.log, 30.0, "the simulator to listen")
        url = next(line for line in simulator.log.splitlines() if "listening on http" in line).split("listening on ")[1].strip()
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        self.simulator = SimulatorClient(url, session)
        # Lives that end at one point in a row look like a record that kills: what is in hand would be set aside.
        kafka = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers, "PARLEY_STRIKE_OUT": "false"}
        postgres = {"PARLEY_POSTGRES_DSN": self.dsn}
        graph = {
            "PARLEY_GRAPH_URL": url,
            "PARLEY_TOKEN_KEY": TOKEN_KEY,
            "PARLEY_SENDER_REGISTRY_SECONDS": "1",
            "PARLEY_SENDER_PAIR_BURST": "45",
            "PARLEY_MEDIA_DIR": str(self._media),
            **QUICK,
        }
        secrets = {
            "PARLEY_APP_SECRET": APP_SECRET,
            "PARLEY_VERIFY_TOKEN": "token-of-ours",
            "PARLEY_INGEST_PORT": str(ingest_port),
        }
        await self._register()
        self._enter("ingest", {**kafka, **secrets})
        self._enter("router", kafka)
        self._enter("projector", {**kafka, **postgres})
        self._enter("sender", {**kafka, **postgres, **graph})
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, client_id="cycles", enable_idempotence=True)
        await self._producer.start()
        self._stack.push_async_callback(self._producer.stop)
        self._lookout = await self._stack.enter_async_context(
            Lookout(bootstrap_servers=self.bootstrap_servers, dsn=self.dsn, simulator=self.simulator)
        )
        for process in self._services.values():
            if process is not simulator:
                await until(partial(_is_ready, process), 60.0, f"{process.name} to be ready")
        await self.greet()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.let_guest_go()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._stack.aclose()

    def _enter(self, name: str, env: dict[str, str], *, module: str | None = None) -> ServiceProcess:
        process = ServiceProcess(name, env, module=module)
        self._services[name] = self._stack.enter_context(process)
        return process

    def service(self, name: str) -> ServiceProcess:
        """A service, or the `rebuild` of an operator, which does not run until it is started."""
        if name not in self._services:
            env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers, "PARLEY_POSTGRES_DSN": self.dsn}
            process = ServiceProcess(name, env, module="services.cli", arguments=[name])
            self._stack.push(process)
            self._services[name] = process
        return self._services[name]

    def ended(self, besides: str) -> list[str]:
        """Services that ended although nobody killed them."""
        return [name for name, process in self._services.items() if name not in (besides, "rebuild") and not process.alive]

    def complaints(self) -> str:
        """What the services warned of in their present lives, and how often."""
        told = Counter(
            f"{name} {event['event']}"
            for name, process in self._services.items()
            for event in process.events()
            if event.get("level") in {"warning", "error", "critical"}
        )
        return ", ".join(f"{what} {times}" for what, times in told.most_common())

    async def _register(self) -> None:
        """The number, which Meta knows by its configuration."""
        connection = await psycopg.AsyncConnection.connect(self.dsn)
        async with connection:
            await add_number(
                connection,
                TokenBox.from_base64(TOKEN_KEY),
                phone_number_id=NUMBER,
                waba_id=WABA,
                access_token=TOKEN,
                display_phone_number=OWN_PHONE,
                messages_per_second=LIMIT,
            )

    async def greet(self) -> None:
        """Everybody writes once, so that they may be answered; returns when the read models know it."""
        await asyncio.gather(*(self.simulator.inbound(NUMBER, person, "hello") for person in PEOPLE))
        left = await self.settle()
        assert left.is_settled, f"the first messages are still on their way: {left}"

    async def traffic(self, rng: random.Random, *, media: bool = False) -> None:
        """A few customers write, a few commands are published, some of them twice; now and then an answer of Meta's gets lost."""
        if rng.random() < 0.1:
            await self.simulator.rules(DropAfter(), times=1)
        writing = (self.simulator.inbound(NUMBER, rng.choice(PEOPLE), f"message {n}") for n in range(rng.randint(1, 3)))
        commands = [self._command(rng, media=media) for _ in range(rng.randint(1, 3))]
        await asyncio.gather(*writing, *(self.publish(one, copies=1 + (rng.random() < 0.1)) for one in commands))

    def _command(self, rng: random.Random, *, media: bool) -> SendMessage:
        fields: dict[str, Any] = {"to": f"+{rng.choice(PEOPLE)}", "lane": rng.choice(("transactional", "bulk"))}
        if not media:
            return text(**fields)
        name = f"{uuid.uuid4()}.pdf"
        (self._media / name).write_bytes(PDF + name.encode())  # each an upload of its own
        return text(type="document", content=f'{{"file":"{name}"}}', **fields)

    async def publish(self, command: SendMessage, *, copies: int = 1, must_refuse: str | None = None) -> None:
        """As a producer does; `must_refuse`: why the gate has to, if it has to."""
        key, value = command.command_id.encode(), _CODEC.encode(command)
        headers = [("content-type", AVRO)]
        sent = [await self._producer.send(topics.SEND_COMMANDS, value, key, headers=headers) for _ in range(copies)]
        self._note(command, [await one for one in sent], must_refuse=must_refuse)

    async def park(self, rng: random.Random, count: int = 2) -> None:
        """Commands that an earlier router could not read stand parked; the present one can."""
        problem = Unprocessable(Reason.VERSION, pointer="")
        for _ in range(count):
            command = self._command(rng, media=False)
            value = _CODEC.encode(command)
            record = LogRecord(topics.SEND_COMMANDS, 0, 0, int(time.time() * 1000), None, value, [("content-type", AVRO)])
            headers = list(dead_letter_headers(record, problem, group=PARKED_GROUP))
            key = record_key(NUMBER, command.to).encode()
            self._note(command, [await self._producer.send_and_wait(topics.PARKED_COMMANDS, value, key, headers=headers)])

    def _note(self, command: SendMessage, told: Iterable[Any], *, must_refuse: str | None = None) -> None:
        self._published.append(
            Publication(
                command_id=command.command_id,
                phone_number_id=NUMBER,
                places=tuple((one.topic, one.partition, one.offset) for one in told),
                must_refuse=must_refuse,
            )
        )

    async def let_guest_come(self, victim: str) -> None:
        """Another member of a service's group: some partitions are to be its own, and nobody reads them. Returns before that."""
        group, sources, assignor = _GROUPS[victim]
        self._guest = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            client_id="cycles-guest",
            group_id=group,
            partition_assignment_strategy=(assignor,),
            enable_auto_commit=False,
            heartbeat_interval_ms=300,
        )
        await self._guest.start()
        self._guest.subscribe(sources)

    async def let_guest_go(self) -> None:
        """It gives back what it had, at last when a dead member's session ends for which the group waits.

        It is never cut off: that would leave its sockets open.
        """
        guest, self._guest = self._guest, None
        if guest is not None:
            self._leaving.append(asyncio.create_task(guest.stop()))
            await asyncio.wait(self._leaving[-1:], timeout=_GUEST_SECONDS)

    @property
    def has_guest(self) -> bool:
        """Whether somebody else is in a service's group."""
        return self._guest is not None

    async def bury(self, group: str) -> None:
        """Members of a group that died without leaving are put out of it now, not when their sessions end."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            await dismiss(admin, group)
        finally:
            await admin.close()

    async def settle(self) -> Backlog:
        """Wait until nothing moves any more."""
        return await self._lookout.settle(SETTLE_SECONDS)

    async def settle_read_models(self) -> None:
        """Wait until the projector has all that is in the log now."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := await self._lookout.backlog()).projector or left.router or left.webhooks:
            assert time.monotonic() < deadline, f"still on its way: {left}"
            await asyncio.sleep(_POLL_SECONDS)

    async def end_leases(self) -> None:
        """The time of an upload's lease is over: who held it is dead."""
        await self._execute("UPDATE sender.media_leases SET until = now()")

    async def ledger(self) -> Ledger:
        """Both sides of everything since the last `forget`."""
        return await read(
            simulator=self.simulator,
            bootstrap_servers=self.bootstrap_servers,
            dsn=self.dsn,
            published=self._published,
            consents=(),
            limits={NUMBER: LIMIT},
        )

    async def verdict(self) -> Verdict:
        """What the ledger says."""
        return await asyncio.to_thread(judge, await self.ledger())

    async def tables(self) -> Compared:
        """Whether the read models are what a replay of the log by the pure code makes."""
        return await asyncio.to_thread(compared, self.bootstrap_servers, self.dsn)

    async def forget(self) -> None:
        """Begin anew with everything running: Meta, the log and the tables hold nothing, positions and epochs stay."""
        assert not self.has_guest
        await self.simulator.reset()
        await asyncio.to_thread(log.forget, self.bootstrap_servers, *topics.ALL)
        await asyncio.to_thread(self._empty_tables)
        self._published.clear()
        await self.greet()

    def _empty_tables(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname IN ('projector', 'sender') OR tablename = 'advances'"
            ).fetchall()
            emptied = [Identifier(*row) for row in rows if row[1] not in _KEPT]
            # The services read in an order of their own: with one of their statements this may be a deadlock.
            while True:
                with suppress(psycopg.errors.DeadlockDetected):
                    connection.execute(SQL("TRUNCATE {}").format(SQL(", ").join(emptied)))
                    return

    async def _execute(self, statement: Any) -> None:
        connection = await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)
        async with connection:
            await connection.execute(statement)


_KEPT: Final = frozenset({"positions", "shards", "template_polls", "templates", "portfolios", "limits"})


def _is_ready(process: ServiceProcess) -> bool:
    return process.get("/ready")[0] == 200


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when it holds; AssertionError naming `what` after the time. The loop goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        await asyncio.sleep(_POLL_SECONDS)
