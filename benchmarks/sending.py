"""How is the sender measured? Real senders, commands put into the lanes, Meta's arrival log as the judge."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString, TypeVar

import aiohttp
import orjson
import psycopg

from benchmarks.bench import Bench
from benchmarks.certificate import throw_away
from benchmarks.processes import Process, wait_until
from services.common.domain import topics
from services.common.domain.ids import attempt_id
from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.common.platform.kafka import NewRecord, Producer, wait_for_topics
from services.common.platform.registry import add_number
from services.common.platform.tokens import KEY_BYTES, TokenBox
from services.sandbox.roles import SENDER, role_dsns
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.config import Number, Template
from services.sandbox.simulator.records import Arrival

T = TypeVar("T")

TOKEN: Final = "benchmark-access-token"  # noqa: S105 - of this run only
_WABA: Final = "102290129340398"
_TEXT: Final = "Your order has left our warehouse and will be with you tomorrow between 9 and 12."
_CODE: Final = "login_code"
_LANGUAGE: Final = "en_US"
_ATTEMPTS: Final = 10
"""A call that was not made in time is made again under another id; so often at most is looked for."""
_APPENDED_AT_ONCE: Final = 5_000
_PAUSE_SECONDS: Final = 0.01
_CODEC: Final = Codec()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command with the instant its record was handed to the producer, in seconds since the epoch."""

    message: SendMessage
    appended_at: float = 0.0


def phone_number_ids(count: int) -> list[str]:
    """The business numbers of a run."""
    return [f"1065403522{n:05d}" for n in range(count)]


def person(n: int) -> str:
    """One of the people who wrote to every number of the run."""
    return f"49160{n:08d}"


def message(number: str, to: int, **fields: Any) -> SendMessage:
    """A text to a person, in the lane `transactional` unless another is named."""
    given: dict[str, Any] = {
        "command_id": str(uuid.uuid4()),
        "phone_number_id": number,
        "to": f"+{person(to)}",
        "type": "text",
        "content": orjson.dumps({"body": _TEXT}).decode(),
    }
    return SendMessage(**{**given, **fields})


def code(number: str, to: int) -> SendMessage:
    """A one-time code."""
    content = {"name": _CODE, "language": {"code": _LANGUAGE}}
    return message(number, to, type="template", lane="otp", content=orjson.dumps(content).decode())


class Stage:
    """Numbers, people and a simulated Meta; senders come and go."""

    def __init__(self, bench: Bench, dsn: str, meta: Process, *, key: str, certificate: Path | None) -> None:
        self._bench, self.dsn, self._meta, self._key, self._certificate = bench, dsn, meta, key, certificate
        self.url = _address(meta, "http")

    @property
    def meta_pid(self) -> int:
        """The simulated Meta's process."""
        return self._meta.pid

    def sender(self, instance: str = "1", *, core: int | None = None, **more: str) -> Process:
        """A sender process that has joined its group; on every core unless one is named."""
        env = {
            "PARLEY_KAFKA_BOOTSTRAP_SERVERS": self._bench.servers.kafka,
            "PARLEY_POSTGRES_DSN": role_dsns(self.dsn)[SENDER],
            "PARLEY_TOKEN_KEY": self._key,
            "PARLEY_INSTANCE": instance,
            "PARLEY_GRAPH_URL": self.url,
            **more,
        }
        if self._certificate is not None:
            env |= {"PARLEY_GRAPH_URL": _address(self._meta, "https"), "PARLEY_GRAPH_CA_FILE": str(self._certificate)}
        return Process("services.sender", env, core=core, folder=self._bench.folder)

    def append(
        self, messages: Sequence[SendMessage], *, rate: float = 0.0, while_: Callable[[], bool] = lambda: True
    ) -> list[Command]:
        """Put commands into their lanes, at a steady rate or as fast as the brokers take them; stops when `while_` is false."""
        return asyncio.run(_append(self._bench.servers.kafka, messages, rate, while_))

    def ask(self, question: Callable[[SimulatorClient], Awaitable[T]]) -> T:
        """One call of the simulator's control interface."""

        async def asking() -> T:
            async with aiohttp.ClientSession() as session:
                return await question(SimulatorClient(self.url, session))

        return asyncio.run(asking())

    def arrivals(self) -> list[Arrival]:
        """Everything that has reached Meta."""
        return self.ask(lambda client: client.requests())

    def arrived(self) -> int:
        """How many requests have reached Meta."""
        return self.ask(lambda client: client.summary()).requests

    def wait_arrived(self, count: int, seconds: float) -> None:
        """Return when so many requests have reached Meta."""
        wait_until(lambda: self.arrived() >= count, seconds, f"{count} requests at Meta", every_seconds=0.25)

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the operator."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description is not None else []

    def states(self) -> dict[str, int]:
        """How many commands are in each state."""
        return {row[0]: row[1] for row in self.sql("SELECT state, count(*) FROM sender.send_commands GROUP BY state")}


@contextmanager
def stage(
    bench: Bench, *, numbers: int = 1, limit: int = 80, people: int = 1_000, tls: bool = False, **behaviour: object
) -> Iterator[Stage]:
    """Empty topics and tables, `people` with open windows at each number, and a simulated Meta that enforces its limits."""
    dsn = bench.servers.fresh()
    bench.servers.pin(bench.cores.measured, bench.cores.other)
    listed = [
        Number(phone_number_id=one, waba_id=_WABA, display_phone_number=f"1555{n:07d}", throughput=limit, token=TOKEN)
        for n, one in enumerate(phone_number_ids(numbers))
    ]
    key = base64.b64encode(os.urandom(KEY_BYTES)).decode()
    asyncio.run(register(dsn, key, listed))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at)"
            " SELECT number, '49160' || lpad(n::text, 8, '0'), now()"
            " FROM unnest(%s::text[]) AS number, generate_series(0, %s) AS n",
            (phone_number_ids(numbers), people - 1),
        )
        connection.execute("ANALYZE projector.conversations")
    with ExitStack() as stack:
        nobody = stack.enter_context(Process("benchmarks.noop", {}, core=bench.cores.other, folder=bench.folder))
        port = int(nobody.wait_for_event("noop.listening")["port"])
        env, certificate = _meta_env(bench, listed, port, {"window": "off", "statuses": "never", **behaviour}), None
        if tls:
            certificate, secret = throw_away(bench.folder)
            env |= {"PARLEY_SIMULATOR_CERTIFICATE": str(certificate), "PARLEY_SIMULATOR_CERTIFICATE_KEY": str(secret)}
        meta = stack.enter_context(Process("services.sandbox.simulator", env, core=None, folder=bench.folder))
        yield Stage(bench, dsn, meta, key=key, certificate=certificate)


def owners(commands: Sequence[Command]) -> dict[str, int]:
    """Attempt id -> place of its command among these."""
    return {
        attempt_id(command.message.command_id, n): place
        for place, command in enumerate(commands)
        for n in range(1, _ATTEMPTS + 1)
    }


def doubles(arrivals: Sequence[Arrival], commands: Sequence[Command]) -> int:
    """How many commands Meta accepted more than once."""
    owner = owners(commands)
    accepted = [owner[arrival.opaque] for arrival in arrivals if arrival.is_accepted and arrival.opaque in owner]
    return len(accepted) - len(set(accepted))


async def _append(
    bootstrap_servers: str, messages: Sequence[SendMessage], rate: float, while_: Callable[[], bool]
) -> list[Command]:
    never = asyncio.Event()
    producer = Producer(bootstrap_servers=bootstrap_servers, client_id="parley-bench-sending")
    partitions = await wait_for_topics(bootstrap_servers, set(topics.SENDS.values()), never)
    await producer.start(never)
    commands: list[Command] = []
    began = time.monotonic()
    while len(commands) < len(messages) and while_():
        due = int((time.monotonic() - began) * rate) + 1 if rate else len(commands) + _APPENDED_AT_ONCE
        batch = messages[len(commands) : due]
        at = time.time()
        commands += [Command(message=one, appended_at=at) for one in batch]
        await producer.append_all([_record(one) for one in batch], partitions)
        if rate:
            await asyncio.sleep(max(_PAUSE_SECONDS, began + len(commands) / rate - time.monotonic()))
    await producer.stop()
    return commands


def _record(one: SendMessage) -> NewRecord:
    return NewRecord(topics.SENDS[Lane(one.lane)], one.phone_number_id.encode(), _CODEC.encode(one), ())


def _meta_env(bench: Bench, numbers: Sequence[Number], port: int, behaviour: dict[str, object]) -> dict[str, str]:
    template = Template(waba_id=_WABA, name=_CODE, language=_LANGUAGE, category="AUTHENTICATION")
    listed = [{**number.model_dump(), "token": TOKEN} for number in numbers]
    world = bench.folder / "sending.json"
    world.write_text(json.dumps({"numbers": listed, "templates": [template.model_dump()]}))
    return {
        "PARLEY_SIMULATOR_CONFIG": str(world),
        "PARLEY_INGEST_URL": f"http://127.0.0.1:{port}/webhooks",
        "PARLEY_APP_SECRET": "benchmark-app-secret",
        "PARLEY_SIMULATOR_KEEP": "2000000",
        **{f"PARLEY_SIMULATOR_BEHAVIOUR__{name.upper()}": str(value) for name, value in behaviour.items()},
    }


def _address(meta: Process, scheme: str) -> str:
    return meta.wait_for_text(re.compile(rf"^simulator listening on ({scheme}://\S+)$", re.MULTILINE), 30.0).group(1)


async def register(dsn: str, key: str, numbers: Iterable[Number]) -> None:
    """Let the sender send from these."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        for number in numbers:
            await add_number(
                connection,
                TokenBox.from_base64(key),
                phone_number_id=number.phone_number_id,
                waba_id=number.waba_id,
                access_token=TOKEN,
                display_phone_number=number.display_phone_number,
                messages_per_second=number.throughput,
            )
