"""Has everything that was begun come to its end? Only then is a ledger worth reading."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.common.domain import topics
from services.common.platform.statements import queries
from services.sandbox.simulator.client import SimulatorClient

_SQL: Final = queries("services.sandbox", "ledger.sql")
ROUTER_GROUP: Final = "parley.router"
_POLL_SECONDS: Final = 0.25
_CALM_LOOKS: Final = 6
"""Together longer than what a sender looks at now and then takes to be looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is still on its way, part by part."""

    router: int = 0
    intake: int = 0
    commands: int = 0
    unknown: int = 0
    outbox: int = 0
    projector: int = 0
    webhooks: bool = False
    """True while Meta has webhooks to deliver."""

    @property
    def is_settled(self) -> bool:
        """Nothing moves any more; what Meta never answered is parked at the end of its horizon."""
        return not (self.router or self.intake or self.commands or self.unknown or self.outbox or self.projector or self.webhooks)

    def __str__(self) -> str:
        parts = {
            "router": self.router,
            "intake": self.intake,
            "commands": self.commands,
            "unknown": self.unknown,
            "outbox": self.outbox,
            "projector": self.projector,
            "webhooks": int(self.webhooks),
        }
        return " · ".join(f"{name} {count}" for name, count in parts.items() if count) or "nothing"


@dataclass(slots=True)
class Lookout:
    """Looks at Kafka, Postgres and the simulator from outside. An async context manager."""

    bootstrap_servers: str
    dsn: str
    simulator: SimulatorClient
    _consumer: Any = field(init=False)
    _admin: Any = field(init=False)

    async def __aenter__(self) -> Self:
        names = (*topics.ROUTER_SOURCES, *topics.PROJECTOR_SOURCES, *topics.SENDER_SOURCES)
        self._consumer = AIOKafkaConsumer(
            *names, bootstrap_servers=self.bootstrap_servers, client_id="parley-lookout", enable_auto_commit=False
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, client_id="parley-lookout")
        try:
            await self._consumer.start()
            self._consumer.pause(*self._consumer.assignment())
            await self._admin.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._admin.close()
        await self._consumer.stop()

    async def backlog(self) -> Backlog:
        """What is on its way at this moment; the parts are read one after the other, sources first."""
        webhooks = not await self.simulator.wait_idle(0.0)
        ends = await self._ends(topics.ROUTER_SOURCES)
        router = _behind(ends, await self._committed(ROUTER_GROUP))
        sends = await self._ends(topics.SENDER_SOURCES)
        intake = _behind(sends, await self._committed("parley.sender"))
        commands, unknown, outbox, positions = await asyncio.to_thread(self._rows)
        projector = _behind(await self._ends(topics.PROJECTOR_SOURCES), positions)
        return Backlog(
            router=router,
            intake=intake,
            commands=commands,
            unknown=unknown,
            outbox=outbox,
            projector=projector,
            webhooks=webhooks,
        )

    async def settle(self, seconds: float) -> Backlog:
        """Wait until nothing moved in several looks, or until the time is over; the last look."""
        deadline = time.monotonic() + seconds
        calm = 0
        while True:
            seen = await self.backlog()
            calm = calm + 1 if seen.is_settled else 0
            if calm >= _CALM_LOOKS or time.monotonic() > deadline:
                return seen
            await asyncio.sleep(_POLL_SECONDS)

    async def is_empty(self) -> bool:
        """True when no topic has any record: nothing happened here before."""
        return not any((await self._ends((*topics.ROUTER_SOURCES, *topics.PROJECTOR_SOURCES))).values())

    async def _ends(self, names: Sequence[str]) -> Mapping[tuple[str, int], int]:
        wanted = [partition for partition in self._consumer.assignment() if partition.topic in names]
        return {(one.topic, one.partition): end for one, end in (await self._consumer.end_offsets(wanted)).items()}

    async def _committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """A group's committed offsets; none while its coordinator cannot be asked."""
        try:
            offsets = await self._admin.list_consumer_group_offsets(group)
        except KafkaError:
            return {}
        return {(one.topic, one.partition): told.offset for one, told in offsets.items()}

    def _rows(self) -> tuple[int, int, int, Mapping[tuple[str, int], int]]:
        with psycopg.connect(self.dsn, application_name="parley-lookout") as connection:
            row = connection.execute(_SQL["unsettled"]).fetchone() or (0, 0, 0)
            positions = connection.execute(_SQL["positions"]).fetchall()
        return row[0], row[1], row[2], {(topic, partition): offset for topic, partition, offset in positions}


def _behind(ends: Mapping[tuple[str, int], int], reached: Mapping[tuple[str, int], int]) -> int:
    return sum(max(0, end - max(0, reached.get(partition, 0))) for partition, end in ends.items())
