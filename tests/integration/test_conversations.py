"""Are windows told as the conversations they were, with the answers they got, and Meta's own as Meta counted them?"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from services.common.domain.events import CallChanged, MessageCopied
from services.projector.fold import Event
from tests.support.analyst import Select, selecting
from tests.support.command_line import parley
from tests.support.read_models import project
from tests.support.told import BRAZILIAN, GERMAN, JULY, NUMBER, received, sent, status

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
_DAY: Final = 24 * _HOUR
_NOVEMBER_2024: Final = 1_730_419_200_000


@pytest.fixture
def select(postgres: str) -> Select:
    """A query, as an analyst."""
    return selecting(postgres)


def copied(name: str, direction: str, at: int, field: str, **fields: Any) -> MessageCopied:
    """The app on the phone, history, or another app's conversation."""
    values: dict[str, Any] = {
        "event_id": f"copied {name}",
        "recorded_at": at,
        "waba_id": "1",
        "phone_number_id": NUMBER,
        "type": "text",
        "raw": "{}",
        "contact": BRAZILIAN,
        **fields,
    }
    return MessageCopied(**values, field=field, direction=direction, wamid=f"wamid.{name}", occurred_at=at)


_SHORT: Final = (
    "SELECT (extract(epoch FROM opened_at) * 1000)::bigint AS opened, (extract(epoch FROM closes_at) * 1000)::bigint AS closes,"
    " inbound, outbound, templates, response_seconds::float AS waited FROM analytics.fct_conversation ORDER BY opened_at"
)


def test_a_window_lasts_until_a_day_after_the_last_message_of_the_person(postgres: str, select: Select) -> None:
    project(
        postgres,
        [
            sent("before", at=JULY - _SECOND),
            received("1", at=JULY),
            sent("2", at=JULY + _MINUTE, type="text", template_name=None),
            received("3", at=JULY + _DAY - _SECOND),
            sent("4", at=JULY + 2 * _DAY - 2 * _SECOND),
            sent("outside", at=JULY + 2 * _DAY - _SECOND),
            received("5", at=JULY + 2 * _DAY),
            received("6", at=JULY + 3 * _DAY),
            sent("7", at=JULY + 3 * _DAY, type="text", template_name=None),
        ],
    )
    day = JULY + 2 * _DAY
    assert [tuple(row.values()) for row in select(_SHORT)] == [
        (JULY, day - _SECOND, 2, 2, 1, 60.0),
        (day, day + _DAY, 1, 0, 0, None),
        (day + _DAY, day + 2 * _DAY, 1, 1, 0, 0.0),
    ]


def test_only_what_a_person_writes_to_the_number_opens_a_window(postgres: str, select: Select) -> None:
    call = CallChanged(
        event_id="call",
        occurred_at=JULY,
        recorded_at=JULY,
        waba_id="1",
        phone_number_id=NUMBER,
        field="calls",
        wacid="wacid.1",
        event="connect",
        direction="USER_INITIATED",
        contact=BRAZILIAN,
        raw="{}",
    )
    others: list[Event] = [
        *(received(kind, type=kind) for kind in ("edit", "revoke", "system", "request_welcome")),
        received("group", group_id="g1"),
        copied("past", "inbound", JULY, "history"),
        copied("handled elsewhere", "inbound", JULY, "standby"),
        copied("app", "outbound", JULY, "smb_message_echoes"),
        status("other system", "sent"),
        call,
        sent("template"),
    ]
    project(postgres, others)
    assert select(_SHORT) == []
    project(postgres, [received(kind, at=JULY + _HOUR, type=kind) for kind in ("reaction", "unsupported")])
    assert [(row["opened"], row["inbound"], row["outbound"]) for row in select(_SHORT)] == [(JULY + _HOUR, 2, 0)]


def test_an_answer_is_what_did_not_fail_from_whichever_app(postgres: str, select: Select) -> None:
    project(
        postgres,
        [
            received("1", at=JULY),
            sent("2", at=JULY + _MINUTE),
            status("2", "failed", at=JULY + _MINUTE, error_code=131026),
            status("other system", "sent", at=JULY + 2 * _MINUTE),
            copied("app", "outbound", JULY + 3 * _MINUTE, "smb_message_echoes"),
            sent("4", at=JULY + 4 * _MINUTE),
            received("german", GERMAN, at=JULY),
            sent("5", GERMAN, at=JULY + _MINUTE),
            status("5", "failed", GERMAN, at=JULY + _MINUTE, error_code=131026),
        ],
    )
    rows = select(
        "SELECT country, outbound, is_answered, response_seconds::float FROM analytics.fct_conversation ORDER BY country"
    )
    assert [tuple(row.values()) for row in rows] == [("BR", 3, True, 180.0), ("DE", 1, False, None)]


@dataclass(slots=True)
class Conversation:
    """As a loop over a person's messages finds it."""

    opened: int
    last: int
    inbound: int = 0
    outbound: int = 0
    answered: int | None = None


def conversations(messages: Iterable[tuple[int, str]]) -> list[Conversation]:
    found: list[Conversation] = []
    for at, direction in sorted(messages):
        is_open = bool(found) and at < found[-1].last + _DAY
        if direction == "inbound":
            if not is_open:
                found.append(Conversation(at, at))
            found[-1].last = at
            found[-1].inbound += 1
        elif is_open:
            found[-1].outbound += 1
            found[-1].answered = at if found[-1].answered is None else found[-1].answered
    return found


def test_whatever_order_messages_come_in_conversations_are_what_a_loop_over_them_finds(postgres: str, select: Select) -> None:
    rng = random.Random(22)
    steps = (0, _SECOND, _HOUR, _DAY - _SECOND, _DAY, _DAY + _SECOND, 3 * _DAY)
    events: list[Event] = []
    expected = []
    for person in range(300):
        contact, at, messages = f"49152{person:08}", JULY, []
        for place in range(rng.randrange(1, 12)):
            at += rng.choice(steps)
            direction = rng.choice(("inbound", "outbound"))
            messages.append((at, direction))
            told = received if direction == "inbound" else sent
            events.append(told(f"{person} {place}", contact, at))
        expected += conversations(messages)
    rng.shuffle(events)
    project(postgres, events[::2], events[1::2])
    assert len(expected) > 300
    for since, until in ((JULY, JULY + 40 * _DAY), (JULY + _DAY, JULY + 2 * _DAY), (JULY + 5 * _DAY + _HOUR, JULY + 9 * _DAY)):
        rows = select(
            "SELECT (extract(epoch FROM opened_at) * 1000)::bigint, (extract(epoch FROM last_inbound_at) * 1000)::bigint AS last,"
            " inbound, outbound, (extract(epoch FROM first_response_at) * 1000)::bigint AS answered"
            " FROM analytics.fct_conversation"
            " WHERE opened_at >= to_timestamp(%s / 1000.0) AND opened_at < to_timestamp(%s / 1000.0)",
            since,
            until,
        )
        found = sorted(repr(tuple(row.values())) for row in rows)
        assert found == sorted(
            repr((one.opened, one.last, one.inbound, one.outbound, one.answered))
            for one in expected
            if since <= one.opened < until
        )
        assert found
    [keys] = select("SELECT count(DISTINCT conversation_key) AS n FROM analytics.fct_conversation")
    assert keys == {"n": len(expected)}


def test_a_free_entry_point_begins_in_the_window_in_which_it_was_answered(postgres: str, select: Select) -> None:
    of_entry: dict[str, Any] = {
        "conversation_id": "entry",
        "conversation_origin_type": "referral_conversion",
        "pricing_type": "free_entry_point",
        "pricing_category": "referral_conversion",
    }
    answered = JULY + 2 * _HOUR
    project(
        postgres,
        [
            received("1", at=JULY),
            sent("2", at=answered, type="text", template_name=None),
            status("2", "sent", at=answered, conversation_expires_at=answered + 3 * _DAY, **of_entry),
            received("3", at=JULY + 2 * _DAY),
            sent("4", at=JULY + 2 * _DAY + _HOUR),
            status("4", "sent", at=JULY + 2 * _DAY + _HOUR, conversation_expires_at=answered + 3 * _DAY, **of_entry),
            received("german", GERMAN, at=JULY),
            sent("5", GERMAN, at=JULY + _HOUR),
        ],
    )
    rows = select(
        "SELECT country, is_free_entry_point, (extract(epoch FROM free_until) * 1000)::bigint AS until"
        " FROM analytics.fct_conversation ORDER BY country, opened_at"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("BR", True, answered + 3 * _DAY),
        ("BR", False, None),
        ("DE", False, None),
    ]


def priced(name: str, category: str, at: int, contact: str = BRAZILIAN, **fields: Any) -> Event:
    """The status that tells a conversation of those days."""
    length = 3 * _DAY if category == "referral_conversion" else _DAY
    values: dict[str, Any] = {
        "pricing_model": "CBP",
        "pricing_type": None,
        "pricing_category": category,
        "pricing_billable": category != "referral_conversion",
        "conversation_id": f"conversation {name}",
        "conversation_origin_type": category,
        "conversation_expires_at": at + length,
        **fields,
    }
    return status(name, "sent", contact, at, **values)


def test_metas_conversations_are_told_with_category_origin_and_length(postgres: str, select: Select) -> None:
    project(
        postgres,
        [
            priced("1", "marketing", JULY),
            priced("2", "service", JULY + _HOUR, GERMAN),
            priced("2", "service", JULY + 2 * _HOUR, GERMAN, event_id="again", conversation_expires_at=None),
            priced("3", "referral_conversion", JULY + 3 * _HOUR),
            priced("4", "referral_conversion", JULY, conversation_id="by message", pricing_model="PMP"),
            status(
                "5", "delivered", at=JULY + 5 * _HOUR, pricing_model="CBP", pricing_category="utility", conversation_id="no end"
            ),
        ],
    )
    rows = select(
        "SELECT country, category, origin, (extract(epoch FROM began_at) * 1000)::bigint AS began,"
        " (extract(epoch FROM expires_at - began_at) / 3600)::int AS hours, is_free_entry_point, is_billable, service_number,"
        " is_free_tier, is_free FROM analytics.fct_legacy_conversation ORDER BY began_at"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("BR", "marketing", "marketing", JULY, 24, False, True, None, None, False),
        ("DE", "service", "service", JULY + _HOUR, 24, False, True, 1, True, True),
        ("BR", "referral_conversion", "referral_conversion", JULY + 3 * _HOUR, 72, True, False, None, None, True),
        ("BR", "utility", None, JULY + 5 * _HOUR, None, False, None, None, None, False),
    ]


def test_the_first_thousand_service_conversations_of_an_account_and_month_are_free(postgres: str, select: Select) -> None:
    october = _NOVEMBER_2024 - 20 * _DAY
    events: list[Event] = [
        *(priced(f"o{n}", "service", october + n * _MINUTE, phone_number_id=str(100 + n % 2)) for n in range(1_003)),
        *(priced(f"m{n}", "marketing", october + n) for n in range(3)),
        priced("entry", "referral_conversion", october),
        priced("other account", "service", october + _DAY, waba_id="2"),
        *(priced(f"n{n}", "service", _NOVEMBER_2024 + n * _SECOND) for n in range(1_001)),
    ]
    project(postgres, events)
    rows = select(
        "SELECT waba_id, month::text, count(*) AS n, max(service_number) AS last, count(*) FILTER (WHERE is_free_tier) AS tier,"
        " count(*) FILTER (WHERE is_free) AS free FROM analytics.fct_legacy_conversation GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("1", "2024-10-01", 1_007, 1_003, 1_000, 1_001),
        ("1", "2024-11-01", 1_001, 1_001, 1_000, 1_001),
        ("2", "2024-10-01", 1, 1, 1, 1),
    ]


# named questions


def ask(postgres: str, folder: Path, name: str) -> list[dict[str, Any]]:
    dsn = make_conninfo(postgres, options="-c role=parley_analytics")
    done = parley(folder, "sql", name, "--format", "json", PARLEY_ANALYTICS_DSN=dsn)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_how_long_people_waited_and_what_became_of_windows(postgres: str, tmp_path: Path) -> None:
    begin = int(time.time()) * 1000 - 3 * _DAY
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token) VALUES ('100', '1', '')")
    hours = ("mon-sun=00:00-24:00", "--zone", "UTC", "--number", NUMBER)
    assert parley(tmp_path, "hours", "set", *hours, PARLEY_POSTGRES_DSN=postgres).returncode == 0
    project(
        postgres,
        [
            received("1", at=begin),
            received("2", at=begin + _MINUTE),
            sent("3", at=begin + 5 * _MINUTE, type="text", template_name=None),
            sent("4", at=begin + 6 * _MINUTE),
            received("5", GERMAN, at=begin),
        ],
    )
    assert ask(postgres, tmp_path, "response_times") == [
        {
            "phone_number_id": NUMBER,
            "conversations": 2,
            "answered": 1,
            "never_answered": 1,
            "wait_p50": "300.0",
            "wait_p90": "300.0",
            "business_wait_p50": "300.0",
            "business_wait_p90": "300.0",
        }
    ]
    assert ask(postgres, tmp_path, "window_use") == [
        {
            "phone_number_id": NUMBER,
            "conversations": 2,
            "answered": 1,
            "free_entry_points": 0,
            "inbound": 3,
            "outbound": 2,
            "templates": 1,
            "answered_percent": "50.0",
            "templates_percent": "50.0",
        }
    ]


def test_how_templates_do_and_what_holds_them_back(postgres: str, tmp_path: Path) -> None:
    now = int(time.time()) * 1000
    events: list[Event] = [sent(name, at=now - 2 * _DAY) for name in ("1", "2", "3", "silent")]
    events += [
        status("1", "delivered", at=now - 2 * _DAY),
        status("1", "read", at=now - 2 * _DAY),
        status("2", "failed", at=now - 2 * _DAY, error_code=131049),
        status("3", "failed", at=now - 2 * _DAY, error_code=131026),
        sent("on its way", at=now - _MINUTE),
    ]
    project(postgres, events)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO projector.templates (waba_id, name, language, template_id, template_id_at, status, quality_score)"
            " VALUES ('1', 'offer', 'en', '1', now(), 'APPROVED', 'GREEN'), ('1', 'offer', 'de', '2', now(), 'PAUSED', 'RED')"
        )
    assert ask(postgres, tmp_path, "template_performance") == [
        {
            "waba_id": "1",
            "template_name": "offer",
            "status": "APPROVED, PAUSED",
            "quality_score": "GREEN, RED",
            "accepted": 5,
            "delivered": 1,
            "read": 1,
            "failed": 2,
            "held_back": 1,
            "unreachable": 1,
            "silent": 1,
            "delivered_percent": "20.0",
        }
    ]


_COMMAND: Final = """
    WITH clock AS (SELECT now() - interval '1 hour' AS at, sender.period_of(now()) AS period)
    , command AS (
        INSERT INTO sender.send_commands (
            command_id, period, shard, fingerprint, phone_number_id, lane, policy, state, type, content, pair, appended_at,
            send_at, expires_at
        )
        SELECT %(id)s, period, 0, '', '100', 2, 'never', 'accepted', 'text', '', '1', at, at + %(not_before)s::interval, at
        FROM clock
    )
    INSERT INTO sender.send_attempts (
        command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id, started_at, outcome, finished_at
    )
    SELECT %(id)s, period, nth, %(id)s || nth, 0, 1, '100', at + nth * interval '2 seconds', outcome,
        at + nth * interval '2 seconds' + interval '0.25 seconds'
    FROM clock, (VALUES (1, 'retry'), (2, 'accepted')) AS tried (nth, outcome)
"""


def test_how_long_commands_wait_and_calls_take(postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SELECT sender.add_period(sender.period_of(now()))")
        connection.execute("INSERT INTO sender.shards (shard, epoch, instance) VALUES (0, 1, 'one')")
        connection.execute(_COMMAND, {"id": "a", "not_before": None})
        connection.execute(_COMMAND, {"id": "b", "not_before": "3 seconds"})
    assert ask(postgres, tmp_path, "send_latency") == [
        {
            "phone_number_id": NUMBER,
            "lane": "bulk",
            "accepted": 2,
            "wait_p50": "2.500",
            "wait_p99": "3.970",
            "call_p50": "0.250",
            "call_p99": "0.250",
        }
    ]
