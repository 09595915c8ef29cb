"""What is going on right now? Looked up twice a second from outside: the simulator, Postgres and Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from services.common.platform.statements import queries
from services.sandbox.demo.business import NUMBERS
from services.sandbox.demo.play import Diary
from services.sandbox.demo.snapshot import LastEvent, NumberNow, Snapshot, masked
from services.sandbox.settling import Lookout
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.policy import worst_second
from services.sandbox.simulator.records import Arrival, Summary

_SQL: Final = queries("services.sandbox.demo", "demo.sql")
_NOTED: Final = _SQL.pop("noted")
_DECIDED: Final = _SQL.pop("decided")
_FUNNEL: Final = ("taken in", "waiting", "accepted", "sent", "delivered", "read", "failed", "rejected", "unknown", "unresolved")


@dataclass(slots=True)
class Observer:
    """Builds snapshots; keeps only what a rate needs."""

    simulator: SimulatorClient
    lookout: Lookout
    dsn: str
    diary: Diary
    seconds: float
    phase: str = "starting"
    _posts: int = 0
    _arrivals: list[Arrival] = field(default_factory=list)
    _looked: float = 0.0
    _webhooks_per_second: float = 0.0
    _sends_per_second: float = 0.0

    async def look(self) -> Snapshot:
        """One snapshot. What cannot be asked at this moment raises; the caller decides what that means."""
        summary = await self.simulator.summary()
        fresh = await self.simulator.requests(after=self._arrivals[-1].seq if self._arrivals else 0)
        self._arrivals.extend(fresh)
        rows = await asyncio.to_thread(self._rows)
        backlog = await self.lookout.backlog()
        self._rates(summary, len(fresh))
        windows, opted_out, dead_letters = rows["people"][0]
        waiting = dict(rows["waiting"])
        return Snapshot(
            phase=self.phase,
            elapsed=self.diary.elapsed,
            seconds=self.seconds,
            webhooks_per_second=self._webhooks_per_second,
            webhook_posts=summary.webhook_posts,
            webhook_errors=summary.webhook_posts - summary.webhook_answers.get("200", 0),
            sends_per_second=self._sends_per_second,
            numbers=tuple(self._numbers(waiting)),
            funnel=dict(zip(_FUNNEL, rows["funnel"][0], strict=True)),
            refused=dict(rows["refused"]),
            windows_open=windows,
            opted_out=opted_out,
            backlog={"router": backlog.router, "sender": backlog.intake, "projector": backlog.projector},
            dead_letters=dead_letters,
            last=tuple(_last(rows["last"])),
            notes=tuple(self.diary.notes),
        )

    def _rates(self, summary: Summary, sends: int) -> None:
        now = time.monotonic()
        passed = max(0.1, now - self._looked)
        self._webhooks_per_second = (summary.webhook_posts - self._posts) / passed if self._looked else 0.0
        self._sends_per_second = sends / passed if self._looked else 0.0
        self._looked, self._posts = now, summary.webhook_posts

    def _numbers(self, waiting: Mapping[str, int]) -> list[NumberNow]:
        since = time.monotonic() - 1.0
        numbers = []
        for number in NUMBERS:
            stamps = [one.read_monotonic for one in self._arrivals if one.phone_number_id == number.phone_number_id]
            numbers.append(
                NumberNow(
                    name=number.name,
                    limit=number.limit,
                    sends=sum(stamp > since for stamp in stamps),
                    worst_second=worst_second(stamps),
                    waiting=waiting.get(number.phone_number_id, 0),
                )
            )
        return numbers

    def _rows(self) -> dict[str, list[tuple[Any, ...]]]:
        with psycopg.connect(self.dsn, application_name="parley-demo", autocommit=True) as connection:
            return {name: connection.execute(statement).fetchall() for name, statement in _SQL.items()}


def is_noted(dsn: str, consent_id: str) -> bool:
    """Whether a piece of evidence of consent is in Postgres."""
    return _has(dsn, _NOTED, consent_id)


def is_decided(dsn: str, command_id: str) -> bool:
    """Whether a command has come to its end."""
    return _has(dsn, _DECIDED, command_id)


def _has(dsn: str, statement: LiteralString, wanted: str) -> bool:
    with psycopg.connect(dsn, application_name="parley-demo", autocommit=True) as connection:
        return connection.execute(statement, (wanted,)).fetchone() is not None


def _last(rows: Sequence[tuple[Any, ...]]) -> list[LastEvent]:
    return [
        LastEvent(clock=at.astimezone().strftime("%H:%M:%S"), who=masked(contact), what=f"{word} {what}".strip())
        for at, contact, word, what in rows
        if at is not None
    ]
