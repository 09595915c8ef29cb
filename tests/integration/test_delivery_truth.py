"""Does everybody learn how far messages came, of which Meta says nothing, and which numbers' webhooks stopped?"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from services.cli.sql import CATALOGUE
from services.common.platform.statements import queries
from tests.support.read_models import project
from tests.support.told import NUMBER, received, sent, status

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

Analyst = psycopg.Connection[DictRow]


def ago(milliseconds: int) -> int:
    """In whole seconds, as Meta tells them."""
    return int(time.time()) * _SECOND - milliseconds


@pytest.fixture
def analyst(postgres: str) -> Iterator[Analyst]:
    """Where the number that messages are told of is registered, and one more."""
    with psycopg.connect(postgres) as operator:
        operator.execute(
            "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token) VALUES (%s, '1', ''), ('200', '1', '')",
            (NUMBER,),
        )
    with psycopg.connect(postgres, autocommit=True, options="-c role=parley_analytics", row_factory=dict_row) as connection:
        yield connection


def answers(analyst: Analyst, name: str, **given: str) -> list[DictRow]:
    """What a named question is answered."""
    query = next(one for one in CATALOGUE if one.name == name)
    return analyst.execute(query.statement, query.values(given)).fetchall()


def deliveries(analyst: Analyst) -> dict[str, DictRow]:
    """Each outbound message by the name it was told under; another system's by its origin."""
    rows = analyst.execute("SELECT * FROM analytics.fct_delivery").fetchall()
    return {(row["command_id"] or row["origin"]).removeprefix("c "): row for row in rows}


def silences(analyst: Analyst) -> dict[str, str | None]:
    """What is said of each message's silence."""
    return {name: row["silence"] for name, row in deliveries(analyst).items()}


def number(analyst: Analyst, phone_number_id: str = NUMBER) -> DictRow:
    """What is said of a number."""
    row = analyst.execute("SELECT * FROM analytics.ops_number WHERE phone_number_id = %s", (phone_number_id,)).fetchone()
    assert row is not None
    return row


# one message


def test_each_stage_is_kept_with_the_seconds_between_which_are_never_negative(postgres: str, analyst: Analyst) -> None:
    at = ago(_HOUR)
    told = [status("1", "sent", at=at), status("1", "delivered", at=at + 2_000), status("1", "read", at=at + 12_000)]
    project(postgres, [sent("1", at=at + 400), *told, sent("2", at=at), status("2", "read", at=at + 5_000)])
    found = deliveries(analyst)
    names = ("stage", "accepted_to_sent_seconds", "sent_to_delivered_seconds", "delivered_to_read_seconds", "is_failed")
    assert [found["1"][name] for name in names] == ["read", 0, 2, 10, False]
    assert [found["2"][name] for name in names] == ["read", None, None, None, False], "what was not told took no time"


def test_a_failure_stands_beside_the_stage(postgres: str, analyst: Analyst) -> None:
    at = ago(_HOUR)
    failed = status("1", "failed", at=at + 3_000, error_code=131036)
    project(postgres, [sent("1", at=at), failed, status("1", "delivered", at=at + 1_000)])
    found = deliveries(analyst)["1"]
    assert (found["stage"], found["is_failed"], found["error_code"]) == ("delivered", True, 131036)
    assert (found["accepted_to_failed_seconds"], found["silence"]) == (3, None)


@pytest.mark.failure("R16")
def test_a_message_of_another_system_is_kept_and_marked_and_nobody_waits_for_it(postgres: str, analyst: Analyst) -> None:
    project(postgres, [status("1", "delivered", at=ago(_DAY)), received("2", at=ago(_DAY))])
    [found] = deliveries(analyst).values()
    assert (found["origin"], found["stage"], found["accepted_at"], found["silence"]) == ("other_system", "delivered", None, None)


def test_a_message_without_any_status_is_awaited_and_then_silent_by_its_lane(postgres: str, analyst: Analyst) -> None:
    told = {
        "code": sent("code", at=ago(9 * _MINUTE), lane="otp"),
        "dead code": sent("dead code", at=ago(11 * _MINUTE), lane="otp"),
        "order": sent("order", at=ago(59 * _MINUTE), lane="transactional"),
        "lost order": sent("lost order", at=ago(61 * _MINUTE), lane="transactional"),
        "offer": sent("offer", at=ago(23 * _HOUR), lane="bulk"),
        "lost offer": sent("lost offer", at=ago(25 * _HOUR), lane="bulk"),
    }
    project(postgres, list(told.values()))
    awaited, silent = (
        dict.fromkeys(("code", "order", "offer"), "awaited"),
        dict.fromkeys(told.keys() - {"code", "order", "offer"}, "silent"),
    )
    assert silences(analyst) == {**awaited, **silent}

    late = [
        status("dead code", "failed", at=ago(0)),
        status("lost order", "read", at=ago(0)),
        status("lost offer", "sent", at=ago(0)),
    ]
    project(postgres, late)
    assert silences(analyst) == {**awaited, **dict.fromkeys(silent)}, "a status that comes late ends it"

    with psycopg.connect(postgres) as operator:
        operator.execute("UPDATE registry.silence SET seconds = 3000 WHERE subject = 'transactional'")
    assert silences(analyst)["order"] == "silent", "the operator decides"


# one number


def test_a_number_is_idle_flowing_and_stopped_by_what_is_sent_and_what_comes(postgres: str, analyst: Analyst) -> None:
    assert (number(analyst)["webhooks"], number(analyst)["unheard_since"]) == ("idle", None)

    first = ago(30 * _MINUTE)
    project(postgres, [sent("1", at=first), status("1", "sent", at=first + 1_000)])
    assert number(analyst)["webhooks"] == "flowing"

    project(postgres, [sent("2", at=ago(9 * _MINUTE))])
    assert number(analyst)["webhooks"] == "flowing", "it is early yet"

    project(postgres, [sent("3", at=ago(11 * _MINUTE))])
    stopped = number(analyst)
    assert stopped["webhooks"] == "stopped"
    assert stopped["unheard_since"].timestamp() * 1_000 == pytest.approx(ago(11 * _MINUTE), abs=5_000)
    assert stopped["last_status_at"].timestamp() * 1_000 == first + 1_000
    assert stopped["last_inbound_at"] is None

    project(postgres, [received("4", at=ago(0))])
    assert number(analyst)["webhooks"] == "flowing", "what comes of anything proves that webhooks come"
    assert number(analyst, "200")["webhooks"] == "idle", "each number for itself"


def test_another_systems_status_proves_too_that_webhooks_come(postgres: str, analyst: Analyst) -> None:
    project(postgres, [sent("1", at=ago(11 * _MINUTE))])
    assert number(analyst)["webhooks"] == "stopped"
    project(postgres, [status("2", "sent", at=ago(0))])
    assert number(analyst)["webhooks"] == "flowing"


def test_failures_alone_prove_that_webhooks_come(postgres: str, analyst: Analyst) -> None:
    project(postgres, [sent("1", at=ago(30 * _MINUTE)), sent("2", at=ago(12 * _MINUTE))])
    assert number(analyst)["webhooks"] == "stopped"
    project(postgres, [status("2", "failed", at=ago(11 * _MINUTE), error_code=131042)])
    assert number(analyst)["webhooks"] == "flowing"


def test_a_status_before_the_answer_it_is_about_stops_no_webhooks(postgres: str, analyst: Analyst) -> None:
    project(postgres, [status("1", "sent", at=ago(20 * _MINUTE)), sent("1", at=ago(20 * _MINUTE) + 900)])
    assert (number(analyst)["webhooks"], number(analyst)["unheard_since"]) == ("flowing", None)


def test_after_seven_days_nothing_is_expected_any_more(postgres: str, analyst: Analyst) -> None:
    project(postgres, [sent("1", at=ago(6 * _DAY))])
    assert number(analyst)["webhooks"] == "stopped"
    with psycopg.connect(postgres) as operator:
        operator.execute("UPDATE projector.send_outcomes SET occurred_at = occurred_at - interval '2 days'")
    assert number(analyst)["webhooks"] == "idle"


def test_what_a_number_accepted_and_was_not_told_in_the_last_hour_is_counted(postgres: str, analyst: Analyst) -> None:
    project(
        postgres,
        [
            *(sent("told", at=ago(5 * _MINUTE), lane="otp"), status("told", "sent", at=ago(4 * _MINUTE))),
            sent("early", at=ago(5 * _MINUTE), lane="otp"),
            sent("silent code", at=ago(20 * _MINUTE), lane="otp"),
            sent("silent order", at=ago(90 * _MINUTE), lane="transactional"),
            sent("long silent code", at=ago(90 * _MINUTE), lane="otp"),
            sent("offer", at=ago(90 * _MINUTE), lane="bulk"),
            sent("silent offer", at=ago(24 * _HOUR + 30 * _MINUTE), lane="bulk"),
            sent("mark as read", at=ago(20 * _MINUTE), lane="otp", type="read", wamid=None),
        ],
    )
    found = number(analyst)
    names = ("accepted_last_hour", "without_status_last_hour", "silent_last_hour")
    assert [found[name] for name in names] == [3, 2, 3]
    assert [number(analyst, "200")[name] for name in names] == [0, 0, 0]


# the questions


def test_silent_messages_and_stopped_webhooks_are_listed(postgres: str, analyst: Analyst) -> None:
    project(postgres, [sent("1", at=ago(20 * _MINUTE), lane="otp"), sent("2", at=ago(20 * _MINUTE))])
    [silent] = answers(analyst, "silent_messages")
    assert (silent["command_id"], silent["country"], silent["minutes_without_status"]) == ("c 1", "BR", 20)
    assert answers(analyst, "silent_messages", number="200") == []
    [stopped] = answers(analyst, "stopped_webhooks")
    assert (stopped["phone_number_id"], stopped["minutes_unheard"], stopped["last_status_at"]) == (NUMBER, 20, None)
    assert stopped["without_status_last_hour"] == 2


def test_the_timeline_of_a_message_is_told_by_its_command_and_by_its_key(postgres: str, analyst: Analyst) -> None:
    at = ago(_HOUR)
    told = [
        status("1", "read", at=at + 9_000),
        status("1", "sent", at=at),
        status("1", "failed", at=at + 4_000, error_code=131036),
    ]
    project(postgres, [sent("1", at=at + 400), *told, sent("2", at=at)])
    rows = answers(analyst, "timeline", command="c 1")
    assert [(row["stage"], row["seconds"], row["error_code"]) for row in rows] == [
        ("accepted", None, None),
        ("sent", 0, None),
        ("failed", 4, 131036),
        ("read", 5, None),
    ]
    assert answers(analyst, "timeline", message=rows[0]["message_key"]) == rows
    [waiting] = answers(analyst, "timeline", command="c 2")
    assert (waiting["stage"], waiting["silence"]) == ("accepted", "awaited")
    assert answers(analyst, "timeline") == []


# what it costs

_MESSAGES: Final = """
INSERT INTO projector.messages (wamid, direction, phone_number_id, waba_id, contact, is_copy, event_id, recorded_at, occurred_at,
    type, command_id, lane, accepted_at, sent_at)
SELECT 'w' || n, CASE n %% 4 WHEN 0 THEN 'inbound' ELSE 'outbound' END, CASE n %% 3 WHEN 0 THEN '200' ELSE %(number)s END, '1',
    (n %% 5000)::text, FALSE, 'e' || n, t.at, t.at, 'text', CASE n %% 4 WHEN 0 THEN NULL ELSE 'c' || n END,
    CASE n %% 4 WHEN 0 THEN NULL ELSE (ARRAY['otp', 'transactional', 'bulk'])[1 + n %% 3] END,
    CASE n %% 4 WHEN 0 THEN NULL ELSE t.at END, CASE n %% 4 WHEN 0 THEN NULL WHEN 1 THEN NULL ELSE t.at END
FROM generate_series(1, 120000) AS n CROSS JOIN LATERAL (SELECT now() - n * interval '6 seconds' AS at) AS t
"""
_ACCEPTED: Final = """
INSERT INTO projector.send_outcomes
(event_id, occurred_at, command_id, attempt_no, kind, lane, type, phone_number_id, wamid, source)
SELECT event_id, accepted_at, command_id, 1, 'accepted', lane, type, phone_number_id, wamid, 'response'
FROM projector.messages WHERE accepted_at IS NOT NULL
"""
_STATUSES: Final = """
INSERT INTO projector.message_statuses
(wamid, status, occurred_at, contact, type, event_id, recorded_at, phone_number_id, waba_id, raw)
SELECT wamid, 'sent', sent_at, '', 'message', event_id, sent_at, phone_number_id, '1', '{}'
FROM projector.messages WHERE sent_at IS NOT NULL
"""
_WRITTEN_BY_STATUSES: Final = """
SELECT d.objid::regclass::text AS index, a.attname AS name
FROM pg_depend AS d
JOIN pg_index AS i ON i.indexrelid = d.objid AND i.indrelid = d.refobjid
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refobjid = 'projector.messages'::regclass
    AND (a.attname IN ('sent_at', 'delivered_at', 'read_at', 'played_at', 'failed_at') OR a.attname ~ '^(error|pric)')
"""


@pytest.mark.usefixtures("analyst")
def test_the_look_for_the_metrics_reads_no_table_of_messages_as_a_whole(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(_MESSAGES, {"number": NUMBER})
        connection.execute(_ACCEPTED)
        connection.execute(_STATUSES)
        connection.execute("VACUUM ANALYZE projector.messages, projector.send_outcomes, projector.message_statuses")
        look = queries("services.projector")["silence"]
        [[[explained]]] = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + look.encode()).fetchall()
    nodes = list(_nodes(explained["Plan"]))
    reads = [node for node in nodes if re.match(r"messages|send_outcomes|message_statuses", node.get("Relation Name", ""))]
    read = {node["Relation Name"]: _rows(node) for node in reads if node["Node Type"] == "Seq Scan"}
    assert not any(read.values()), f"only months without a row are cheaper so: {read}"
    indexes = " ".join(node.get("Index Name", "") for node in reads)
    for name in ("send_outcomes_", "messages_received", "message_statuses_", "messages_pkey"):
        assert name in indexes
    assert sum(map(_rows, reads)) < 3_000, "an hour of each lane, and the newest hundred of each number"


def _rows(node: dict[str, Any]) -> float:
    """How many it looked at."""
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def test_no_index_of_messages_names_what_statuses_write(postgres: str) -> None:
    """Their updates stay in the row's page (HOT) as long as this holds, predicates of indexes included."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        assert connection.execute(_WRITTEN_BY_STATUSES).fetchall() == []
