"""Do windows and consents follow a person through every change of number and id, whatever the order in which it is told?

The events are folded and written by the projector's own code, one transaction each, and asked for by the statement of the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, Final, NamedTuple

import psycopg
import pytest

from services.common.domain import lane_shares
from services.common.domain.consent import ConsentCategory, ConsentState, decide
from services.common.domain.events import ContactChanged, MessageReceived, UserPreferenceChanged
from services.common.domain.lane_shares import Shares
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.records import RecordConsent, SendOutcome
from services.common.platform.kafka import LogRecord
from services.common.platform.statements import queries
from services.projector.batch import Read
from services.projector.fold import Event
from services.projector.store import folded
from services.sender.store import Pick

DAY = 24 * 3600 * 1000
BEGIN = 1_763_800_000_000
NUMBER = "106540352242922"
BULK, TRANSACTIONAL = 2, 1
_SQL = queries("services.sender")
_RECORD = LogRecord("t", 0, 0, 0, None, None, ())


def at(hour: int) -> int:
    return BEGIN + hour * 3_600_000


def wrote(hour: int, text: str = "hello", *, wa_id: str | None = None, bsuid: str | None = None) -> MessageReceived:
    contact = bsuid or wa_id
    assert contact is not None
    return MessageReceived(
        event_id=f"in-{hour}-{contact}",
        occurred_at=at(hour),
        recorded_at=at(hour),
        waba_id="1",
        phone_number_id=NUMBER,
        contact=contact,
        wamid=f"wamid.{hour}.{contact}",
        type="text",
        raw="{}",
        wa_id=wa_id,
        bsuid=bsuid,
        text=text,
    )


def changed(hour: int, **names: str) -> ContactChanged:
    return ContactChanged(
        event_id=f"changed-{hour}",
        occurred_at=at(hour),
        recorded_at=at(hour),
        waba_id="1",
        field="messages",
        type="user_changed_number",
        raw=f'{{"hour":{hour}}}',
        contact=names.get("bsuid") or names["wa_id"],
        **names,
    )


def agreed(hour: int, contact: str, decision: str = "granted") -> RecordConsent:
    return RecordConsent(
        consent_id=f"{decision}-{hour}",
        occurred_at=at(hour),
        phone_number_id=NUMBER,
        contact=contact,
        category="marketing",
        decision=decision,
        source="web",
    )


def switched(hour: int, value: str, contact: str) -> UserPreferenceChanged:
    return UserPreferenceChanged(
        event_id=f"switch-{hour}",
        occurred_at=at(hour),
        recorded_at=at(hour),
        waba_id="1",
        phone_number_id=NUMBER,
        field="user_preferences",
        contact=contact,
        category="marketing_messages",
        value=value,
        raw="{}",
        wa_id=contact,
    )


def answered(hour: int, *, to: str, wa_id: str) -> SendOutcome:
    return SendOutcome(
        event_id=f"out-{hour}",
        occurred_at=at(hour),
        command_id=f"c-{hour}",
        attempt_no=1,
        phone_number_id=NUMBER,
        kind="accepted",
        lane="bulk",
        type="template",
        contact=wa_id,
        to=to,
        wa_id=wa_id,
        wamid=f"wamid.out.{hour}",
    )


class Expected(NamedTuple):
    """Asked for under one name: the hour of the last word (None: no window ever), and whether marketing may be sent."""

    name: str
    last_inbound: int | None
    may_market: bool


SCENARIOS: dict[str, tuple[list[Event], list[Expected]]] = {
    "a STOP and a window follow a new user id": (
        [
            wrote(1, bsuid="DE.a", wa_id="491"),
            agreed(0, "491"),
            wrote(2, "STOP", bsuid="DE.a"),
            changed(3, bsuid="DE.b", previous_bsuid="DE.a"),
        ],
        [Expected("DE.b", 2, may_market=False), Expected("DE.a", 2, may_market=False), Expected("491", 2, may_market=False)],
    ),
    "a grant by number follows two changes of number": (
        [
            agreed(0, "491"),
            wrote(1, wa_id="491"),
            changed(2, wa_id="492", previous_wa_id="491"),
            changed(4, wa_id="493", bsuid="DE.c", previous_wa_id="492"),
            wrote(3, wa_id="492"),
        ],
        [Expected("DE.c", 3, may_market=True), Expected("493", 3, may_market=True), Expected("491", None, may_market=False)],
    ),
    "newer evidence after a merge wins, older does not": (
        [agreed(1, "491"), agreed(5, "DE.a", "withdrawn"), wrote(6, bsuid="DE.a", wa_id="491"), agreed(3, "491")],
        [Expected("DE.a", 6, may_market=False), Expected("491", 6, may_market=False)],
    ),
    "a resume after a stop under another name allows again": (
        [switched(5, "stop", "491"), wrote(2, bsuid="DE.a", wa_id="491"), agreed(1, "DE.a"), agreed(9, "DE.a")],
        [Expected("DE.a", 2, may_market=True), Expected("491", 2, may_market=True)],
    ),
    "a number that somebody else has now proves nothing for the one before": (
        [
            wrote(2, "STOP", bsuid="DE.a", wa_id="491"),
            changed(6, bsuid="DE.b", wa_id="492", previous_bsuid="DE.a", previous_wa_id="491"),
            wrote(10, bsuid="DE.new", wa_id="491"),
            agreed(11, "DE.new"),
            agreed(12, "491"),
        ],
        [
            Expected("DE.b", 2, may_market=False),
            Expected("492", 2, may_market=False),
            Expected("DE.new", 10, may_market=True),
            Expected("491", 10, may_market=True),
        ],
    ),
    "a number given up has no window and no grant of its former owner": (
        [agreed(0, "491"), wrote(1, wa_id="491"), changed(2, wa_id="492", previous_wa_id="491")],
        [Expected("491", None, may_market=False), Expected("492", 1, may_market=True)],
    ),
    "a person without a number is one by id": (
        [wrote(1, "START", bsuid="DE.a"), changed(2, bsuid="DE.b", previous_bsuid="DE.a"), wrote(3, bsuid="DE.b")],
        [Expected("DE.b", 3, may_market=True), Expected("DE.a", 3, may_market=True)],
    ),
    "the number that was dialled in Brazil is an alias of what Meta made of it": (
        [answered(1, to="+5511987654321", wa_id="551187654321"), wrote(2, wa_id="551187654321"), agreed(0, "5511987654321")],
        [Expected("5511987654321", 2, may_market=True), Expected("551187654321", 2, may_market=True)],
    ),
}


@pytest.fixture
def database(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres) as connection:
        yield connection


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_order_of_arrival_ends_in_the_same_answers(database: psycopg.Connection[Any], name: str) -> None:
    events, expected = SCENARIOS[name]
    for order in permutations(events):
        with database.transaction(force_rollback=True):
            project(database, order)
            for one in expected:
                assert answer(database, one.name) == one, [type(event).__name__ for event in order]


def test_the_contact_of_before_points_to_the_one_of_now(database: psycopg.Connection[Any]) -> None:
    events, _ = SCENARIOS["a STOP and a window follow a new user id"]
    with database.transaction(force_rollback=True):
        project(database, events)
        row = database.execute("SELECT superseded_by FROM projector.contacts WHERE contact = 'DE.a'").fetchone()
    assert row == ("DE.b",)


def project(database: psycopg.Connection[Any], events: Sequence[Event]) -> None:
    """One by one, as if each had come alone."""
    database.execute("SET LOCAL search_path TO projector")
    with psycopg.RawCursor(database) as cursor:
        for event in events:
            for statement, columns in folded([Read(_RECORD, event)]).upserts:
                cursor.execute(statement, columns)


_PICK: Final = Pick(limit=1, sending=True, orders=lane_shares.orders(Shares(), 1), pairs=PairPolicy())


def answer(database: psycopg.Connection[Any], name: str) -> Expected:
    """What the gate would look at for a command in bulk to this name."""
    with database.transaction(force_rollback=True):
        is_bsuid = "." in name
        database.execute("INSERT INTO sender.shards (shard, epoch, instance) VALUES (0, 1, 'test')")
        database.execute(
            "INSERT INTO sender.send_commands (command_id, period, shard, fingerprint, phone_number_id, lane, policy, type,"
            " content, to_number, bsuid, pair, appended_at, expires_at)"
            " VALUES ('c', sender.period_of(now()), 0, '\\x00', %s, %s, 'hold', 'template', '{}',"
            " %s, %s, %s, now(), now() + interval '1 hour')",
            (NUMBER, BULK, None if is_bsuid else name, name if is_bsuid else None, name),
        )
        found = database.execute(
            _SQL["pick"],
            {"phone_number_id": NUMBER, "shard": 0, "epoch": 1, "undeliverable": 3, **_PICK.values()},
        ).fetchone()
    assert found is not None
    last_inbound, all_granted, all_withdrawn = found[16:19]
    granted, withdrawn = found[23:25]
    decision = decide(
        ConsentState(granted_at=all_granted, withdrawn_at=all_withdrawn),
        ConsentState(granted_at=granted, withdrawn_at=withdrawn),
        ConsentCategory.MARKETING,
    )
    hour = None if last_inbound is None else (last_inbound - BEGIN) // 3_600_000
    return Expected(name, hour, decision.allowed)
