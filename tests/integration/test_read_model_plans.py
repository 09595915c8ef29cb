"""On a million messages, is everything that is asked often found by an index?"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import SQL

from services.common.platform.statements import queries
from services.projector.fold import TABLES
from services.projector.store import SQL as PROJECTOR
from services.sandbox.postgres_dsn import drop_database, make_database, with_database
from services.sandbox.providers import Postgres
from tests.support.plans import plan

_ROWS: Final = """
    SELECT projector.add_month((now() - make_interval(months => ago))::date) FROM generate_series(0, 6) AS ago;

    INSERT INTO projector.contacts (contact, wa_id, wa_id_at, first_seen_at, last_seen_at, country)
    SELECT n::text, n::text, now(), now() - interval '1 year', now(), 'DE' FROM generate_series(1, 50000) AS n;
    INSERT INTO projector.contact_aliases (alias, contact, first_seen_at)
    SELECT n::text, n::text, now() FROM generate_series(1, 50000) AS n;
    INSERT INTO projector.conversations (phone_number_id, contact, waba_id, last_inbound_at, last_outbound_at)
    SELECT (n % 50)::text, n::text, '1', now() - n * interval '1 minute', now() FROM generate_series(1, 50000) AS n;
    INSERT INTO projector.consent_events (consent_id, occurred_at, phone_number_id, contact, category, decision, source)
    SELECT 'k' || n, now() - n * interval '1 minute', (n % 50)::text, n::text, 'marketing', 'granted', 'web'
    FROM generate_series(1, 50000) AS n;
    INSERT INTO projector.consents (phone_number_id, contact, category, granted_at)
    SELECT phone_number_id, contact, category, occurred_at FROM projector.consent_events;

    CREATE TEMPORARY TABLE one AS
    SELECT n, now() - n * interval '180 days' / 1000000 AS at FROM generate_series(1, 1000000) AS n;
    INSERT INTO projector.messages (
        wamid, direction, phone_number_id, waba_id, contact, type, occurred_at, recorded_at, accepted_at, command_id, sent_at,
        delivered_at, lane, template_name
    )
    SELECT
        'w' || n, CASE n % 4 WHEN 0 THEN 'inbound' ELSE 'outbound' END, (n % 50)::text, '1', (n % 50000)::text, 'template', at,
        at, CASE n % 4 WHEN 0 THEN NULL ELSE at END, CASE n % 4 WHEN 0 THEN NULL ELSE 'c' || n END, at, at, 'bulk', 'offer'
    FROM one;
    INSERT INTO projector.message_statuses (
        wamid, status, occurred_at, contact, type, event_id, recorded_at, phone_number_id, waba_id, biz_opaque_callback_data, raw
    )
    SELECT
        'w' || n, CASE n % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'sent' ELSE 'delivered' END, at, (n % 50000)::text, 'message',
        'e' || n, at, (n % 50)::text, '1', 'a' || n, '{}'
    FROM one;
    INSERT INTO projector.send_outcomes (
        event_id, occurred_at, command_id, attempt_no, kind, lane, type, phone_number_id, source
    )
    SELECT 'o' || n, at, 'c' || n, 1, 'accepted', 'bulk', 'template', (n % 50)::text, 'response' FROM one WHERE n % 4 = 1;
"""


_INDEXES: Final = """
    SELECT i.indexrelid::regclass::text, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
    WHERE c.relnamespace = 'projector'::regnamespace AND NOT i.indisprimary AND NOT c.relispartition
"""


@pytest.fixture(scope="module")
def dsn(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """Half a year: a million messages of 50,000 people, a status each, and a quarter of a million outcomes."""
    postgres_server.start()
    made = with_database(postgres_server.dsn, f"parley_test_{uuid.uuid4().hex[:12]}")
    make_database(made, template=migrated_template)
    try:
        with psycopg.connect(made, autocommit=True) as connection:
            # Indexes are made at once afterwards: a third of the time.
            indexes = connection.execute(_INDEXES).fetchall()
            for name, _ in indexes:
                connection.execute(SQL("DROP INDEX {}").format(SQL(name)))
            connection.execute(_ROWS.encode())
            for _, definition in indexes:
                connection.execute(SQL(definition))
            connection.execute("VACUUM ANALYZE")
        yield made
    finally:
        drop_database(made)


LARGE: Final = r"Seq Scan on (messages|message_statuses\w*|send_outcomes\w*|contacts|contact_aliases|conversations|consent\w+) "

_SENDER: Final[dict[str, Any]] = {**queries("services.sender"), **queries("services.sender", "stops.sql")}
ASKED_OFTEN: Final = ("pick", "evidence", "contradictions", "find_failures", "late_codes", "last_sent", "sent")
"""What the sender asks of the read models, with each send, each second or each time something is unclear."""


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_the_projector_finds_what_it_writes_over_by_keys(dsn: str, table: str) -> None:
    found = plan(dsn, PROJECTOR[f"upsert_{table}"], search_path="projector", options="")
    assert not re.findall(LARGE, found), found


@pytest.mark.parametrize("name", ASKED_OFTEN)
def test_the_sender_finds_what_it_asks_by_an_index(dsn: str, name: str) -> None:
    found = plan(dsn, _SENDER[name])
    assert not re.findall(LARGE, found), found


def test_the_story_of_a_command_is_found_by_an_index(dsn: str) -> None:
    found = plan(dsn, queries("services.cli")["statuses"], options="")
    assert not re.findall(LARGE, found), found


def test_an_index_is_what_these_plans_rest_on(dsn: str) -> None:
    """Else the test above could not fail."""
    with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction(force_rollback=True):
        connection.execute("DROP INDEX projector.message_statuses_opaque")
        rows = connection.execute(
            "EXPLAIN SELECT FROM projector.message_statuses WHERE biz_opaque_callback_data = 'a1'"
        ).fetchall()
    assert re.findall(LARGE, "\n".join(row[0] for row in rows))
