"""On a million messages, is everything that is asked often found by an index, and is every index there for something?"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import psycopg
import pytest

from services.cli.named_queries import NamedQuery
from services.cli.sql import CATALOGUE
from services.common.platform.statements import queries
from services.projector.fold import TABLES
from services.projector.store import SQL as PROJECTOR
from services.sandbox.postgres_dsn import drop_database, make_database, with_database
from services.sandbox.providers import Postgres
from tests.support.million import fill
from tests.support.plans import KEPT, Plan, plan, plan_for

_SENDER: Final[Mapping[str, Any]] = {**queries("services.sender", "stops.sql"), **queries("services.sender")}
_QUESTIONS: Final = {query.name: query for query in CATALOGUE}
_HOUR_MS: Final = 3_600_000


@pytest.fixture(scope="module")
def dsn(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """Half a year, and a ledger of five weeks."""
    postgres_server.start()
    made = with_database(postgres_server.dsn, f"parley_test_{uuid.uuid4().hex[:12]}")
    make_database(made, template=migrated_template)
    try:
        fill(made)
        yield made
    finally:
        drop_database(made)


Asked = Callable[[str], Plan]
"""Called with the name of a statement, its owner before a colon."""


@pytest.fixture(scope="module")
def asked(dsn: str) -> Asked:
    """How each statement runs, as its owner runs it. Of the analysts' questions, the last day is asked for."""

    @cache
    def one(name: str) -> Plan:
        owner, _, statement = name.partition(":")
        if owner == "projector":
            return plan(dsn, PROJECTOR[statement], search_path="projector", options=KEPT)
        if owner == "sender":
            return plan(dsn, _SENDER[statement], {"since": round(time.time() * 1000) - _HOUR_MS})
        if owner == "cli":
            values = {"phone_number_id": "1", "attempt_id": ["a4"], "wamid": ["w4"]}
            return plan_for(dsn, queries("services.cli")[statement], values)
        query = _QUESTIONS[statement]
        return plan_for(dsn, query.statement, query.values(_of_a_day(query)), options="-c role=parley_analytics")

    return one


def _of_a_day(query: NamedQuery) -> Mapping[str, str]:
    day = {"days": "1", "hours": "24", "command": "c4"}
    return {one.name: day[one.name] for one in query.parameters if one.name in day}


_BIG: Final = """
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace IN ('projector'::regnamespace, 'sender'::regnamespace) AND c.relkind = 'r' AND c.reltuples > 5000
"""
PEOPLE: Final = {"contacts", "contact_aliases", "conversations", "consents"}
"""What grows with people and not with messages: to look up all who wrote on a day may well take longer than to read the table."""


@pytest.fixture(scope="module")
def big(dsn: str) -> frozenset[str]:
    """Tables and partitions that nobody may read as a whole."""
    with psycopg.connect(dsn) as connection:
        found = {name for (name,) in connection.execute(_BIG)}
    assert {"messages", "consent_events", "account_events", *PEOPLE} < found
    return frozenset(found)


# the services


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_the_projector_finds_what_it_writes_over_by_keys(asked: Asked, big: frozenset[str], table: str) -> None:
    found = asked(f"projector:upsert_{table}")
    assert not found.read_whole & big
    assert found.arbiters or table in found.wholly_unique


ASKED_OFTEN: Final = (
    *("sender:pick", "sender:next_due", "sender:record", "sender:open", "sender:orphans", "sender:recent_starts"),
    *("sender:refused_pairs", "sender:evidence", "sender:contradictions", "sender:find_failures"),
    *("sender:late_codes", "sender:last_sent", "sender:sent", "sender:account_events", "sender:late_errors"),
    *("projector:silence", "projector:unpriced", "cli:statuses"),
)
"""What is asked of the read models and the ledger with each send, each few seconds, or each time something is unclear.

The router and the ingest service ask Postgres nothing; the registry's few rows are no read model.
"""


@pytest.mark.parametrize("name", ASKED_OFTEN)
def test_what_is_asked_often_is_found_by_an_index(asked: Asked, big: frozenset[str], name: str) -> None:
    found = asked(name)
    assert found.found_by
    assert not found.read_whole & big


# the analysts


@pytest.mark.parametrize("name", _QUESTIONS)
def test_a_question_about_a_day_reads_no_big_table_and_no_index_of_one_as_a_whole(
    asked: Asked, big: frozenset[str], name: str
) -> None:
    found = asked(f"question:{name}")
    assert not found.read_whole & (big - PEOPLE)
    assert not found.read_through


@pytest.mark.parametrize("name", ["response_times", "window_use"])
def test_conversations_of_a_day_are_found_from_the_messages_of_that_day(asked: Asked, name: str) -> None:
    scans = [node for node in asked(f"question:{name}").nodes if node.get("Relation Name") == "messages"]
    [by_time] = [node for node in scans if node.get("Index Name") == "messages_time"]
    assert "occurred_at >= " in by_time["Index Cond"]
    others = [node for node in scans if node is not by_time]
    assert {node.get("Index Name") for node in others} == {"messages_conversation"}
    assert all("contact = " in node["Index Cond"] for node in others), "of one person each time"


# the indexes


SERVES: Final = {
    "account_events_errors": "sender:late_errors",
    "account_events_of_accounts": "sender:account_events",
    "consent_events_time": "question:opt_outs",
    "contact_aliases_contact": "sender:pick",
    "contact_moves_contact": "sender:pick",
    "message_statuses_codes": "sender:late_codes",
    "message_statuses_failed": "sender:find_failures",
    "message_statuses_opaque": "sender:evidence",
    "message_statuses_sent": "sender:last_sent",
    "messages_command": "question:timeline",
    "messages_conversation": "sender:pick",
    "messages_received": "projector:silence",
    "messages_time": "question:delivery_by_hour",
    "priced_conversations_contact": "question:window_use",
    "send_outcomes_accepted": "projector:silence",
    "send_outcomes_time": "question:send_reasons",
    "send_attempts_id": "sender:find_failures",
    "send_attempts_lost": "sender:evidence",
    "send_attempts_not_accepted": "sender:contradictions",
    "send_attempts_pkey": "sender:record",
    "send_attempts_started": "sender:recent_starts",
    "send_commands_due": "sender:pick",
    "send_commands_expiring": "sender:next_due",
    "send_commands_open": "sender:open",
    "send_commands_order": "sender:pick",
    "send_commands_pkey": "sender:record",
    "send_commands_refused_pairs": "sender:refused_pairs",
}
"""For each index that no ON CONFLICT of the projector needs, a statement that is asked often. Who adds one says here for what."""

_INDEXES: Final = """
    SELECT i.relname::text, t.relname::text, x.indisunique
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS t ON t.oid = x.indrelid
    WHERE NOT t.relispartition AND (
        t.relnamespace = 'projector'::regnamespace
        OR t.oid IN ('sender.send_commands'::regclass, 'sender.send_attempts'::regclass)
    )
"""


def test_every_index_is_needed_to_write_over_rows_or_finds_them_for_somebody(dsn: str, asked: Asked) -> None:
    upserts = [asked(f"projector:{name}") for name in PROJECTOR if name.startswith("upsert_") or name == "begin_positions"]
    arbiters = {index for found in upserts for index in found.arbiters}
    wholly_unique = {table for found in upserts for table in found.wholly_unique}
    with psycopg.connect(dsn) as connection:
        indexes = connection.execute(_INDEXES).fetchall()
    others = {
        index for index, table, is_unique in indexes if index not in arbiters and not (is_unique and table in wholly_unique)
    }
    assert len(indexes) > len(others) > 0
    assert others == set(SERVES), "an index that serves nothing is only more work with every row"


@pytest.mark.parametrize(("index", "statement"), SERVES.items())
def test_an_index_finds_rows_for_the_statement_that_it_is_for(asked: Asked, index: str, statement: str) -> None:
    assert index in asked(statement).found_by


def test_indexes_are_what_these_plans_rest_on(dsn: str) -> None:
    """Else the tests above could not fail."""
    week = _QUESTIONS["delivery_by_hour"]
    with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction(force_rollback=True):
        connection.execute("DROP INDEX projector.message_statuses_opaque, projector.messages_time")
        opaque = "EXPLAIN SELECT FROM projector.message_statuses WHERE biz_opaque_callback_data = 'a1'"
        by_time = connection.execute(f"EXPLAIN {week.statement}".encode(), week.values({"days": "1"})).fetchall()
        rows = [*connection.execute(opaque).fetchall(), *by_time]
    text = "\n".join(row[0] for row in rows)
    assert "Seq Scan on message_statuses_" in text
    assert "Seq Scan on messages " in text
