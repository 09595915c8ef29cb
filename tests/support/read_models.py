"""What must the read models hold? A canonical replay of the log by the pure code, and what Postgres really holds, comparable."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
import psycopg
from psycopg.sql import SQL, Composed, Identifier

from services.common.domain import topics
from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    ContactChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    TemplateChanged,
    UnrecognizedChange,
    UserPreferenceChanged,
)
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import record_key
from services.common.domain.reasons import Reason
from services.common.domain.records import TOPIC_OF, Record, RecordConsent, SendingStateChanged, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.envelope import AVRO, JSON, dead_letter_headers
from services.common.platform.kafka import LogRecord, NewRecord
from services.common.platform.postgres import pool
from services.projector.batch import Read
from services.projector.decode import Decoder, set_aside
from services.projector.fold import TABLES, Event, Rows, fold
from services.projector.projections.table import Kind, Row, Table
from services.projector.store import Store, folded
from tests.support.log import read

BEGIN: Final = 1_763_800_000_000
_SPACE: Final = UUID(int=11)
_CODEC: Final = Codec()

ALL_OF_IT: Final = {"PARLEY_DEAD_LETTER_LIMIT": "false"}
"""For who is to read a corpus to its end: more of it is unusable than a reader bears otherwise."""

Tables = dict[str, list[tuple[Any, ...]]]


def corpus(seed: int, size: int) -> list[NewRecord]:
    """About `size` records of every source: repeated, out of order, a few of them unusable. The same for the same seed."""
    rng = random.Random(seed)
    records: list[NewRecord] = []
    while len(records) < size:
        records.extend(_episode(rng, seed, len(records)))
    rng.shuffle(records)
    return records


def _episode(rng: random.Random, seed: int, n: int) -> list[NewRecord]:
    """A customer writes, is answered, the answer's statuses come; sometimes something odd happens."""
    contact, number = f"4915{rng.randrange(60):09d}", str(100 + rng.randrange(3))
    at = BEGIN + rng.randrange(10**9)
    inbound = MessageReceived(
        event_id=_id(seed, n, "in"),
        occurred_at=at,
        recorded_at=at + rng.randrange(9_000),
        waba_id="1",
        phone_number_id=number,
        contact=contact,
        wamid=f"wamid.in.{seed}.{n}",
        type="text",
        raw='{"id":"Grüße 👋"}',
        wa_id=contact,
        profile_name=rng.choice(["Maria", "José", None]),
        text=rng.choice(["hello", "STOP", "START", "how are you", None]),
    )
    outcome = SendOutcome(
        event_id=_id(seed, n, "out"),
        occurred_at=at + 1_000,
        command_id=_id(seed, n, "command"),
        attempt_no=1,
        phone_number_id=number,
        kind=rng.choice(["accepted", "accepted", "refused", "unknown"]),
        lane="bulk",
        type="text",
        waba_id="1",
        attempt_id=_id(seed, n, "attempt"),
        contact=contact,
        to=f"+{contact}",
        wa_id=contact,
        wamid=f"wamid.out.{seed}.{n}",
    )
    state = SendingStateChanged(
        event_id=_id(seed, n, "state"),
        occurred_at=at + 2_000,
        waba_id="1",
        phone_number_id=number,
        state=rng.choice(["stopped", "sending"]),
        source="response",
        cause="131042",
    )
    events: list[Record] = [inbound, outcome, state, *_statuses(rng, (seed, n), contact=contact, number=number, at=at)]
    events += rng.choices(events, k=2)
    records = [in_log(event) for event in events]
    if rng.random() < 0.2:
        records += _odd(rng, (seed, n), contact=contact, number=number, at=at)
    return records


def _statuses(rng: random.Random, place: tuple[int, int], *, contact: str, number: str, at: int) -> list[Record]:
    seed, n = place
    words = rng.choice([("sent", "delivered", "read"), ("sent", "failed"), ("read",), ("sent", "warning")])
    return [
        MessageStatusChanged(
            event_id=_id(seed, n, word),
            occurred_at=at + 2_000 + step * 1_000,
            recorded_at=at + 2_500 + step * 1_000,
            waba_id="1",
            phone_number_id=number,
            wamid=f"wamid.out.{seed}.{n}",
            status=word,
            raw="{}",
            contact=contact,
            wa_id=contact,
            biz_opaque_callback_data=_id(seed, n, "attempt"),
            error_code=131026 if word == "failed" else None,
            error_title="Message undeliverable" if word == "failed" else None,
            pricing_model="PMP" if word != "failed" else None,
        )
        for step, word in enumerate(words)
    ]


def _odd(rng: random.Random, place: tuple[int, int], *, contact: str, number: str, at: int) -> list[NewRecord]:
    seed, n = place
    consent = RecordConsent(
        consent_id=_id(seed, n, "consent"),
        occurred_at=at,
        phone_number_id=number,
        contact=f"+{contact}",
        category=rng.choice(["marketing", "all"]),
        decision=rng.choice(["granted", "withdrawn"]),
        source="web",
    )
    change = UnrecognizedChange(event_id=_id(seed, n, "change"), recorded_at=at, pointer="/entry/0", raw=f'{{"n":{n}}}')
    common: dict[str, Any] = {"recorded_at": at, "occurred_at": at, "waba_id": "1", "raw": f'{{"n":{n}}}'}
    bsuid = f"DE.{contact[-4:]}"
    others: list[Record] = [
        ContactChanged(
            event_id=_id(seed, n, "moved"),
            field="messages",
            type="user_changed_number",
            contact=bsuid,
            bsuid=bsuid,
            wa_id=f"49160{contact[-4:]}",
            previous_wa_id=contact,
            **common,
        ),
        MessageCopied(
            event_id=_id(seed, n, "copy"),
            phone_number_id=number,
            field=rng.choice(["standby", "history"]),
            direction=rng.choice(["inbound", "outbound"]),
            wamid=rng.choice([f"wamid.in.{seed}.{n}", f"wamid.copy.{seed}.{n}"]),
            type="text",
            contact=contact,
            text="STOP",
            **common,
        ),
        UserPreferenceChanged(
            event_id=_id(seed, n, "preference"),
            phone_number_id=number,
            field="user_preferences",
            contact=contact,
            category="marketing_messages",
            value=rng.choice(["stop", "resume"]),
            **common,
        ),
        CallChanged(
            event_id=_id(seed, n, "call"), phone_number_id=number, wacid=f"wacid.{n}", event="connect", contact=contact, **common
        ),
        TemplateChanged(
            event_id=_id(seed, n, "template"),
            field=("message_template_status_update", "template_category_update")[n % 2],
            event=("PAUSED", "APPROVED", "components_changed")[n % 3],
            template_id=str(n % 5),
            template_name=("order_update", "offer", None)[n % 7 % 3],
            template_language=("en", "pt_BR")[n % 11 % 2],
            category=("UTILITY", "MARKETING", None)[n % 13 % 3],
            new_quality_score=("GREEN", None)[n % 17 % 2],
            **common,
        ),
        AccountChanged(
            event_id=_id(seed, n, "limit"),
            field="business_capability_update",
            event="business_capability_update",
            messaging_limit=("TIER_250", "TIER_2K", None)[n % 3],
            **common,
        ),
    ]
    as_json = orjson.dumps({name: getattr(consent, name) for name in RecordConsent.__dataclass_fields__})
    key = f"{number}/{contact}".encode()
    raw = LogRecord(topics.WEBHOOKS, 1, seed * 1_000_000 + n, at, None, b"\xff\0", [("content-type", b"application/json")])
    problem = Unprocessable(Reason.JSON_SYNTAX, pointer="/entry/1")
    letter = NewRecord(topics.ROUTER_DEAD_LETTERS, None, raw.value, dead_letter_headers(raw, problem, group="parley.router"))
    return [
        in_log(consent),
        NewRecord(topics.CONSENT_RECORDS, key, as_json, [("content-type", JSON)]),
        in_log(change),
        *map(in_log, others),
        letter,
        letter,
        *poison(key),
    ]


def poison(key: bytes = b"100/poison") -> list[NewRecord]:
    """One record of each kind that no reader can use."""
    nul = MessageReceived(
        event_id="e",
        occurred_at=1,
        recorded_at=1,
        waba_id="1",
        phone_number_id="100",
        contact="49151",
        wamid="wamid.nul",
        type="text",
        raw="{}",
        text="a\0b",
    )
    before_time = SendOutcome(
        event_id="e",
        occurred_at=-1,
        command_id="c",
        attempt_no=0,
        phone_number_id="100",
        kind="refused",
        lane="bulk",
        type="text",
    )
    return [
        NewRecord(topics.MESSAGE_STATUSES, key, b"\0\0\0\0\2broken", [("content-type", AVRO), ("odd", b"\xff")]),
        NewRecord(topics.INBOUND_MESSAGES, key, None, []),
        NewRecord(topics.CONSENT_RECORDS, key, b"{", [("content-type", JSON)]),
        in_log(nul),
        in_log(before_time),
    ]


def in_log(event: Record) -> NewRecord:
    """The record that a service would append."""
    key = record_key(getattr(event, "phone_number_id", None) or "", getattr(event, "contact", None))
    return NewRecord(TOPIC_OF[type(event)], key.encode(), _CODEC.encode(event), [("content-type", AVRO)])


def _id(*parts: object) -> str:
    return str(uuid5(_SPACE, "/".join(map(str, parts))))


def events_of(records: Iterable[LogRecord]) -> Iterator[Event]:
    """What the records mean, dead letters included."""
    decoder = Decoder(_CODEC)
    for record in records:
        try:
            yield decoder.decode(record)
        except Unprocessable as problem:
            yield set_aside(record, problem)


def replayed(bootstrap_servers: str) -> Tables:
    """The rows that the log as it is now makes, folded at once and in another order than it was read."""
    return comparable(_replay(bootstrap_servers))


def _replay(bootstrap_servers: str) -> Rows:
    return fold(events_of(_backwards(read(bootstrap_servers, *topics.PROJECTOR_SOURCES))))


def _backwards(records: list[LogRecord]) -> Iterator[LogRecord]:
    """The last one first, each let go of when it is read: an hour of traffic is some hundred thousand."""
    while records:
        yield records.pop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Read models beside a replay of the log. `n`: how many had any row, here or there."""

    differing: tuple[str, ...]
    """Each with how many of its rows differ, and in which columns; never what stands there."""
    n: int


def compared(bootstrap_servers: str, dsn: str) -> Compared:
    """Every column of every row of every read model, when the projector has read all there is and nothing moves any more."""
    wanted = _replay(bootstrap_servers)
    told: list[str | None] = []
    with psycopg.connect(dsn, options="-c role=none") as connection:
        for table in TABLES:
            stored, replayed = (
                Counter(_parsed(table, row) for row in rows)
                for rows in (connection.execute(_select(table, "projector")), wanted.get(table.name, ()))
            )
            if stored or replayed:
                told.append(_difference(table, stored - replayed, replayed - stored))
    return Compared(differing=tuple(one for one in told if one is not None), n=len(told))


def _difference(table: Table, stored: Counter[Row], replayed: Counter[Row]) -> str | None:
    """`stored` and `replayed`: rows that the other side has not, or not as often."""
    if not stored and not replayed:
        return None
    others = {row[: table.key]: row for row in replayed}
    count = len({row[: table.key] for row in (*stored, *replayed)})
    both = [(row, others[row[: table.key]]) for row in stored if row[: table.key] in others]
    columns = [name for place, name in enumerate(table.columns) if any(row[place] != other[place] for row, other in both)]
    where = f" in {', '.join(columns)}" if columns else ""
    return f"{table.name}: {count} of its rows differ from those of a replay{where}"


def comparable(rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> Tables:
    """With every table present, rows sorted, and JSON parsed."""
    return {table.name: sorted((_parsed(table, row) for row in rows.get(table.name, ())), key=repr) for table in TABLES}


def project(dsn: str, *batches: Sequence[Event]) -> None:
    """Events in the tables, a transaction a batch, by the projector's own statements."""
    asyncio.run(_project(dsn, batches))


async def _project(dsn: str, batches: Sequence[Sequence[Event]]) -> None:
    async def nothing(_: object) -> None:
        return None

    async with pool(dsn, service="test", size=1, search_path="projector") as connections:
        store = Store(connections, projection="test")
        offset = (await store.next_offsets()).get(("t", 0), 0)
        for batch in batches:
            reads = [Read(LogRecord("t", 0, offset + place, 0, None, None, ()), event) for place, event in enumerate(batch)]
            await store.apply(folded(reads), nothing)
            offset += len(batch)


def stored(dsn: str, schema: str = "projector") -> Tables:
    """The rows that Postgres has."""
    with psycopg.connect(dsn, options="-c role=none") as connection:
        return comparable({table.name: connection.execute(_select(table, schema)).fetchall() for table in TABLES})


def reached(dsn: str, schema: str = "projector") -> int:
    """How many records the positions say are in the tables."""
    with psycopg.connect(dsn, options="-c role=none") as connection:
        statement = SQL("SELECT coalesce(sum(next_offset), 0) FROM {}").format(Identifier(schema, "positions"))
        row = connection.execute(statement).fetchone()
        return int(row[0]) if row else 0


def _select(table: Table, schema: str) -> Composed:
    columns = [
        SQL("(extract(epoch FROM {}) * 1000)::int8").format(Identifier(name))
        if kind is Kind.INSTANT
        else SQL("{}::text").format(Identifier(name))
        if name == "headers"
        else Identifier(name)
        for name, kind in table.columns.items()
    ]
    return SQL("SELECT {} FROM {}").format(SQL(", ").join(columns), Identifier(schema, table.name))


def _parsed(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    if "headers" not in table.columns:
        return tuple(row)
    return (*row[:-1], json.dumps(json.loads(row[-1])))
