"""How are stops kept, and how is the log told of them? Rows that all senders share; whoever changes one tells it, once.

Crash thinking: a change and its event are one transaction, and changes are made one after another. So each is told by the process
that made it, or by the next owner of that shard, with the same event id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from psycopg import Rollback

from services.common.domain import account_state, ids
from services.common.domain.account_state import OPERATOR, Entry, Evidence, Key, Source, State
from services.common.domain.covers import Covers
from services.common.domain.graph_codes import Scope
from services.common.domain.reasons import Reason
from services.common.domain.records import SendingStateChanged
from services.common.domain.topics import ACCOUNT_EVENTS
from services.common.platform import logging, metrics, postgres
from services.common.platform.avro import Codec
from services.common.platform.statements import queries

log = logging.get(__name__)

SQL: Final = queries("services.sender", "stops.sql")


class StopLedger:
    """Statements on `sender.stops`. Every method is one transaction; errors pass through."""

    def __init__(self, pool: postgres.Pool, codec: Codec) -> None:
        self._pool, self._codec = pool, codec

    async def read(self) -> State:
        """What is known of every cause."""
        async with self._pool.connection() as connection:
            return await _read(connection)

    async def change(
        self, told: Callable[[State], Mapping[Key, Evidence]], *, now: int, shard: int, waba_of: Mapping[str, str]
    ) -> State:
        """Take over what is told of the state as it is then; the state after it. What changes by it is put into the outbox."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(SQL["lock"])
            before = await _read(connection)
            changed = account_state.fold(before, told(before), now=now)
            after = {**before, **changed}
            news = account_state.untold(after, now=now)
            rows = {**changed, **news}
            if rows:
                await connection.execute(SQL["put"], _columns(rows))
            if news:
                events = [event_of(key, entry, now=now, waba_of=waba_of) for key, entry in news.items()]
                await tell(connection, self._codec, events, shard=shard)
        for key, entry in news.items():
            _log(key, entry)
        return {**after, **news}

    async def claim(self, seconds: Mapping[Key, float]) -> bool:
        """True when one message may try all of these stops; the next may after that many seconds. Else nothing is changed."""
        is_ours = False
        async with self._pool.connection() as connection, connection.transaction() as transaction:
            asked = {**_keys(seconds), "seconds": list(seconds.values())}
            rows = await (await connection.execute(SQL["claim"], asked)).fetchall()
            is_ours = len(rows) == len(seconds)
            if not is_ours:
                raise Rollback(transaction)
        return is_ours

    async def unclaim(self, keys: Iterable[Key], *, seconds: float = 0.0) -> None:
        """Nothing tried them: something may, after so long."""
        async with self._pool.connection() as connection:
            await connection.execute(SQL["unclaim"], {**_keys(keys), "seconds": seconds})

    async def tried(self, keys: Iterable[Key], *, attempt_id: str | None, begun: int) -> None:
        """Remember whose status decides about these stops."""
        async with self._pool.connection() as connection:
            await connection.execute(SQL["tried"], {**_keys(keys), "attempt_id": attempt_id, "begun": begun})

    async def sent(self, *, seconds: float) -> dict[Key, int]:
        """The stops whose probe Meta sent, or told nothing of in so many seconds, and when that probe was begun."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(SQL["sent"], {"seconds": seconds})).fetchall()
        return {Key(Scope(row[0]), row[1], row[2]): row[3] for row in rows}

    async def release(self, phone_number_ids: Sequence[str]) -> None:
        """Look again at what stops held of these numbers."""
        async with self._pool.connection() as connection:
            await connection.execute(SQL["release"], {"phone_number_id": list(phone_number_ids)})


async def tell(connection: Any, codec: Codec, events: Sequence[SendingStateChanged], *, shard: int) -> None:
    """Put changes into the outbox, within the caller's transaction."""
    boxed = {
        "key": [event.waba_id.encode() for event in events],
        "value": [codec.encode(event) for event in events],
        "event_id": [event.event_id for event in events],
        "occurred_at": [event.occurred_at for event in events],
    }
    await connection.execute(SQL["tell"], {"shard": shard, "topic": ACCOUNT_EVENTS, **boxed})


def event_of(key: Key, entry: Entry, *, now: int, waba_of: Mapping[str, str]) -> SendingStateChanged:
    """What the log is told of an entry that has changed."""
    evidence = entry.evidence
    is_over_in_time = evidence.is_stopped and not entry.is_told
    state = "stopped" if entry.is_told else "sending"
    number = key.scope_id if key.scope is Scope.NUMBER else None
    return SendingStateChanged(
        event_id=ids.named("/".join(map(str, (*key, state, evidence.at, evidence.until)))),
        occurred_at=now,
        waba_id=waba_of.get(key.scope_id, "") if key.scope is Scope.NUMBER else key.scope_id,
        phone_number_id=number,
        state=state,
        source=evidence.source,
        cause=key.cause,
        covers=evidence.covers,
        area=evidence.area,
        reason=evidence.reason,
        error_code=evidence.error_code,
        trace_id=evidence.trace_id,
        since_at=evidence.until if is_over_in_time else entry.since,
        until_at=evidence.until if entry.is_told else None,
    )


def _log(key: Key, entry: Entry) -> None:
    evidence = entry.evidence
    state = "stopped" if entry.is_told else "sending"
    metrics.STOPS.labels(state, evidence.reason).inc()
    is_meta = entry.is_told and key.cause != OPERATOR
    (log.error if is_meta else log.info)(
        f"sending.{state}",
        scope=str(key.scope),
        id=key.scope_id,
        cause=key.cause,
        covers=str(evidence.covers),
        reason=str(evidence.reason),
        source=str(evidence.source),
    )


async def _read(connection: Any) -> dict[Key, Entry]:
    rows = await (await connection.execute(SQL["stops"])).fetchall()
    return {Key(Scope(row[0]), row[1], row[2]): _entry(row[3:]) for row in rows}


def _entry(row: Sequence[Any]) -> Entry:
    at, is_stopped, source, covers, area, reason, error_code, trace_id, until, since, probe_at, probes, is_told = row
    evidence = Evidence(
        at=at,
        is_stopped=is_stopped,
        source=Source(source),
        covers=Covers(covers),
        area=area,
        reason=Reason(reason),
        error_code=error_code,
        trace_id=trace_id,
        until=until,
    )
    return Entry(evidence=evidence, since=since, probe_at=probe_at, probes=probes, is_told=is_told)


def _keys(keys: Iterable[Key]) -> dict[str, list[Any]]:
    given = list(keys)
    return {
        "scope": [str(key.scope) for key in given],
        "scope_id": [key.scope_id for key in given],
        "cause": [key.cause for key in given],
    }


def _columns(rows: Mapping[Key, Entry]) -> dict[str, list[Any]]:
    entries = list(rows.values())
    evidence = [entry.evidence for entry in entries]
    return {
        **_keys(rows),
        "at": [one.at for one in evidence],
        "is_stopped": [one.is_stopped for one in evidence],
        "source": [str(one.source) for one in evidence],
        "covers": [str(one.covers) for one in evidence],
        "area": [one.area for one in evidence],
        "reason": [str(one.reason) for one in evidence],
        "error_code": [one.error_code for one in evidence],
        "trace_id": [one.trace_id for one in evidence],
        "until": [one.until for one in evidence],
        "since": [entry.since for entry in entries],
        "probe_at": [entry.probe_at for entry in entries],
        "probes": [entry.probes for entry in entries],
        "is_told": [entry.is_told for entry in entries],
    }
