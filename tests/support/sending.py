"""How does a test run the sender: a simulated Meta, read models written by hand, commands put into the lanes?"""

from __future__ import annotations

import asyncio
import base64
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, LiteralString, TypeVar

import aiohttp
import orjson
import psycopg

from services.common.domain import sublanes, topics
from services.common.domain.lanes import Lane
from services.common.domain.records import SendingStateChanged, SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.kafka import NewRecord, Producer, wait_for_topics
from services.common.platform.registry import add_number
from services.common.platform.tokens import TokenBox
from services.sandbox.providers import Kafka
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.records import Arrival
from services.sandbox.simulator.rules import Action
from services.sender.sharing import Sharing
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for

T = TypeVar("T")

NUMBER: Final = "106540352242922"
OWN_PHONE: Final = "15550100001"
WABA: Final = "102290129340398"
PERSON: Final = "491700000001"
TOKEN: Final = "token-of-the-number"
APP_SECRET: Final = "secret-of-the-app"
_INGEST: Final = {"PARLEY_APP_SECRET": APP_SECRET, "PARLEY_VERIFY_TOKEN": "token-of-ours", "PARLEY_INGEST_PORT": "0"}
TOKEN_KEY: Final = base64.b64encode(bytes(range(32))).decode()
CODEC: Final = Codec()
UNSHARED: Final = Sharing(counts={}, partitions=24)
_DEAF: Final = "http://127.0.0.1:9/webhooks"
"""Nobody listens there: in these tests the read models are written by hand."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def text(body: str = "hello", **fields: Any) -> SendMessage:
    """A free-form command to PERSON, as a producer would write it."""
    given: dict[str, Any] = {
        "command_id": str(uuid.uuid4()),
        "phone_number_id": NUMBER,
        "to": f"+{PERSON}",
        "type": "text",
        "content": orjson.dumps({"body": body}).decode(),
    }
    return SendMessage(**{**given, **fields})


def template(name: str = "order_update", **fields: Any) -> SendMessage:
    """A template command to PERSON."""
    content = {"name": name, "language": {"code": "en_US"}}
    return text(**{"type": "template", "content": orjson.dumps(content).decode(), **fields})


class Scene:
    """One Kafka, one database, one simulated Meta; senders come and go."""

    def __init__(self, kafka: Kafka, dsn: str, simulator: ServiceProcess, url: str) -> None:
        self.kafka, self.dsn, self.simulator, self.graph_url = kafka, dsn, simulator, url
        self.sublanes: dict[str, int] = {}
        """Of numbers that have any, for senders that start from now on and for what is put into the lanes."""

    @property
    def env(self) -> dict[str, str]:
        """What a sender needs to know."""
        return {
            "PARLEY_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "PARLEY_POSTGRES_DSN": self.dsn,
            "PARLEY_GRAPH_URL": self.graph_url,
            "PARLEY_TOKEN_KEY": TOKEN_KEY,
            "PARLEY_SENDER_REGISTRY_SECONDS": "0.3",
            "PARLEY_SENDER_TEMPLATE_DEMAND_SECONDS": "0.2",
            # Most tests write to one person; the simulator allows the same burst.
            "PARLEY_SENDER_PAIR_BURST": "45",
            "PARLEY_SUBLANES": ",".join(f"{number}={count}" for number, count in self.sublanes.items()),
        }

    def sender(self, **more: str) -> ServiceProcess:
        """A sender process, to be used as a context manager."""
        return ServiceProcess("sender", {**self.env, **more})

    def register(
        self,
        phone_number_id: str = NUMBER,
        *,
        limit: int = 80,
        throughput: int | None = None,
        phone: str = OWN_PHONE,
        waba_id: str = WABA,
    ) -> None:
        """A number that Meta knows and that we may send from."""

        async def both() -> None:
            connection = await psycopg.AsyncConnection.connect(self.dsn)
            async with connection:
                await add_number(
                    connection,
                    TokenBox.from_base64(TOKEN_KEY),
                    phone_number_id=phone_number_id,
                    waba_id=waba_id,
                    access_token=TOKEN,
                    display_phone_number=phone,
                    messages_per_second=limit,
                )

        asyncio.run(both())
        self.ask(
            lambda client: client.add_number(
                phone_number_id,
                waba_id=waba_id,
                display_phone_number=phone,
                throughput=throughput or limit,
                token=TOKEN,
            )
        )

    def ask(self, question: Callable[[SimulatorClient], Awaitable[T]]) -> T:
        """One call of the simulator's control interface."""

        async def asking() -> T:
            async with aiohttp.ClientSession() as session:
                return await question(SimulatorClient(self.graph_url, session))

        return asyncio.run(asking())

    def misbehave(self, action: Action, *, times: int = 1, seconds: float | None = None) -> None:
        """A rule for the next requests, or for some time."""
        self.ask(lambda client: client.rules(action, times=None if seconds else times, seconds=seconds))

    def arrivals(self) -> list[Arrival]:
        """Everything that reached Meta."""
        return self.ask(lambda client: client.requests())

    def accepted(self) -> list[Arrival]:
        """What Meta took, whatever it answered."""
        return [arrival for arrival in self.arrivals() if arrival.is_accepted]

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the operator."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description is not None else []

    def dsn_of_sender(self) -> str:
        """The database as the sender's own role."""
        password = uuid.uuid4().hex
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE parley_sender PASSWORD '{password}'".encode())
            parts = connection.info
            return f"host={parts.host} port={parts.port} dbname={parts.dbname} user=parley_sender password={password}"

    def open_window(self, contact: str = PERSON, phone_number_id: str = NUMBER, *, minutes_ago: int = 1) -> None:
        """The person wrote so long ago."""
        self.sql(
            "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at)"
            " VALUES (%s, %s, now() - make_interval(mins => %s))",
            phone_number_id,
            contact,
            minutes_ago,
        )

    def consent(self, category: str, decision: str, contact: str = PERSON, phone_number_id: str = NUMBER) -> None:
        """Evidence of this moment."""
        self.sql(
            "INSERT INTO projector.consents (phone_number_id, contact, category, granted_at, withdrawn_at)"
            " VALUES (%s, %s, %s, CASE %s WHEN 'granted' THEN now() END, CASE %s WHEN 'withdrawn' THEN now() END)",
            phone_number_id,
            contact,
            category,
            decision,
            decision,
        )

    def told(
        self,
        field: str,
        value: Mapping[str, Any],
        *,
        at: int | None = None,
        phone_number_id: str | None = None,
        record: str | None = None,
    ) -> None:
        """Meta has sent this about the account, as of `at` in milliseconds, and it was projected."""
        event_id, raw = str(uuid.uuid4()), orjson.dumps(value).decode()
        self.sql(
            "INSERT INTO projector.account_events (content_sha256, event_id, recorded_at, occurred_at, waba_id, phone_number_id,"
            " field, raw, record, event)"
            " VALUES (sha256(%s::bytea), %s, now(), to_timestamp(%s / 1000.0), %s, %s, %s, %s, %s, %s)",
            event_id.encode(),
            event_id,
            at or now_ms(),
            WABA,
            phone_number_id,
            field,
            raw,
            record or ("AccountChanged" if field == "account_update" else "PhoneNumberChanged"),
            value.get("event"),
        )

    def changes(self) -> list[SendingStateChanged]:
        """What the log was told of what may be sent, in order of time; each event once."""
        records = [CODEC.decode(record.value or b"") for record in log.read(self.kafka.bootstrap_servers, topics.ACCOUNT_EVENTS)]
        found = {record.event_id: record for record in records if isinstance(record, SendingStateChanged)}
        return sorted(found.values(), key=lambda one: one.occurred_at)

    def probe_now(self) -> None:
        """The time has come to try every stop."""
        self.sql("UPDATE sender.stops SET probe_at = now() WHERE probe_at IS NOT NULL")

    def status_of(self, *arrivals: Arrival) -> None:
        """Meta's status webhooks have come and were projected."""
        with psycopg.connect(self.dsn, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO projector.message_statuses (wamid, status, occurred_at, contact, type, event_id, recorded_at,"
                " phone_number_id, waba_id, biz_opaque_callback_data, raw)"
                " VALUES (%s, 'sent', now(), '', 'message', %s, now(), %s, %s, %s, '{}')"
                " ON CONFLICT DO NOTHING",
                [(one.wamid, str(uuid.uuid4()), one.phone_number_id, WABA, one.opaque) for one in arrivals],
            )

    def fail(self, arrival: Arrival, code: int) -> None:
        """Meta's `failed` webhook has come and was projected."""
        self.sql(
            "INSERT INTO projector.message_statuses (wamid, status, occurred_at, contact, type, event_id, recorded_at,"
            " phone_number_id, waba_id, biz_opaque_callback_data, error_code, raw)"
            " VALUES (%s, 'failed', now(), '', 'message', %s, now() - interval '2 days', %s, %s, %s, %s, '{}')",
            arrival.wamid,
            str(uuid.uuid4()),
            arrival.phone_number_id,
            WABA,
            arrival.opaque,
            code,
        )

    def status_of_number(self, number: str, status: str, *, seconds_ago: float, error_code: int | None = None) -> None:
        """Meta's word, of so long ago, on a message that another program sent has come and was projected."""
        self.sql(
            "INSERT INTO projector.message_statuses (wamid, status, occurred_at, contact, type, event_id, recorded_at,"
            " phone_number_id, waba_id, error_code, raw)"
            " VALUES (%s, %s, date_trunc('second', now() - make_interval(secs => %s)), '', 'message', %s, now(), %s, %s, %s,"
            " '{}')",
            uuid.uuid4().hex,
            status,
            seconds_ago,
            str(uuid.uuid4()),
            number,
            WABA,
            error_code,
        )

    def settle_everything(self) -> None:
        """Every acceptance has had its status webhook by now."""
        self.status_of(*self.accepted())

    def put(self, *commands: SendMessage) -> None:
        """Into their lanes, as the router does."""
        self.put_records(
            NewRecord(topics.SENDS[Lane(one.lane)], sublanes.key_of(one, self.sublanes), CODEC.encode(one), ())
            for one in commands
        )

    def put_records(self, records: Iterable[NewRecord]) -> None:
        """Append records as they are."""
        put_records(self.kafka.bootstrap_servers, records)

    def outcomes(self, *kinds: str) -> list[SendOutcome]:
        """What the log was told, in order of time; each event once, however often it was told."""
        records = [CODEC.decode(record.value or b"") for record in log.read(self.kafka.bootstrap_servers, topics.SEND_OUTCOMES)]
        found = {record.event_id: record for record in records if isinstance(record, SendOutcome)}
        return sorted((o for o in found.values() if not kinds or o.kind in kinds), key=lambda o: o.occurred_at)

    def outcomes_of(self, command: SendMessage) -> list[SendOutcome]:
        """What the log was told about one command."""
        return [outcome for outcome in self.outcomes() if outcome.command_id == command.command_id]

    def wait_outcome(self, command: SendMessage, *kinds: str, seconds: float = 20.0) -> SendOutcome:
        """The last outcome of a command, once it has one of these kinds; of any kind but that it waits, when none is named."""

        def last() -> SendOutcome | None:
            found = [o for o in self.outcomes_of(command) if (o.kind in kinds if kinds else o.kind != "deferred")]
            return found[-1] if found else None

        wait_for(lambda: last() is not None, seconds, f"an outcome {kinds}; there are {self.outcomes_of(command)}")
        outcome = last()
        assert outcome is not None
        return outcome

    def states(self) -> dict[str, str]:
        """State of every command in the ledger."""
        return {row[0]: row[1] for row in self.sql("SELECT command_id, state FROM sender.send_commands")}


@contextmanager
def webhook_services(kafka: Kafka, dsn: str) -> Iterator[str]:
    """Whatever takes webhooks to the read models, ready; where Meta sends them."""
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    with (
        ServiceProcess("ingest", {**env, **_INGEST}) as ingest,
        ServiceProcess("router", env) as router,
        ServiceProcess("projector", {**env, "PARLEY_POSTGRES_DSN": dsn}) as projector,
    ):
        port = ingest.wait_for_event("ingest.listening")["port"]
        for process in (ingest, router, projector):
            process.wait_ready()
        yield f"http://127.0.0.1:{port}/webhooks"


@contextmanager
def scene(kafka: Kafka, dsn: str, *, ingest_url: str = _DEAF, **behaviour: str) -> Iterator[Scene]:
    """A scene with a fresh simulator; `behaviour` as its environment has it, in lower case."""
    env = {
        "PARLEY_INGEST_URL": ingest_url,
        "PARLEY_APP_SECRET": APP_SECRET,
        "PARLEY_SIMULATOR_BEHAVIOUR__WINDOW": "off",
        "PARLEY_SIMULATOR_BEHAVIOUR__RETRY_GAP_SECONDS": "600",
        **{f"PARLEY_SIMULATOR_BEHAVIOUR__{name.upper()}": value for name, value in behaviour.items()},
    }
    with ServiceProcess("simulator", env, module="services.sandbox.simulator") as simulator:
        simulator.wait_until(lambda: "listening on http" in simulator.log, 20.0, "listen")
        line = next(line for line in simulator.log.splitlines() if "listening on http" in line)
        yield Scene(kafka, dsn, simulator, line.split("listening on ")[1].strip())


def put_records(bootstrap_servers: str, records: Iterable[NewRecord]) -> None:
    """Append records as they are, each to the partition that our own services would choose."""
    asyncio.run(_append(bootstrap_servers, list(records)))


async def _append(bootstrap_servers: str, records: list[NewRecord]) -> None:
    never = asyncio.Event()
    producer = Producer(bootstrap_servers=bootstrap_servers, client_id=f"test-{os.getpid()}")
    partitions = await wait_for_topics(bootstrap_servers, {record.topic for record in records}, never)
    await producer.start(never)
    await producer.append_all(records, partitions)
    await producer.stop()
