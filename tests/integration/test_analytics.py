"""What do analysts see, and what can they not? As their role, of events that the projector's statements put there."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from services.common.domain.events import MessageCopied
from services.projector.fold import Event
from tests.support.analyst import Select, selecting
from tests.support.command_line import parley
from tests.support.read_models import project
from tests.support.told import BRAZILIAN, GERMAN, JULY, received, sent, status

_DAY = 86_400_000


@pytest.fixture
def select(postgres: str) -> Select:
    """A query, as an analyst."""
    return selecting(postgres)


_BEYOND_THEIR_VIEWS = """
    SELECT n.nspname, c.relname FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'analytics'
        AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
"""
_THEIR_RIGHTS = """
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind IN ('v', 'm')
        AND has_table_privilege('parley_analytics', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
    UNION ALL
    SELECT nspname FROM pg_namespace WHERE has_schema_privilege('parley_analytics', oid, 'CREATE')
    UNION ALL
    SELECT p.proname FROM pg_proc AS p INNER JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('projector', 'sender', 'registry', 'analytics')
        AND has_schema_privilege('parley_analytics', n.oid, 'USAGE')
        AND has_function_privilege('parley_analytics', p.oid, 'EXECUTE')
"""


def test_analysts_read_the_views_and_nothing_else(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True, options="-c role=parley_analytics") as connection:
        views = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'analytics'").fetchall()
        assert len(views) > 4
        for (name,) in views:
            connection.execute(SQL("TABLE {}").format(Identifier("analytics", name)))
        others = connection.execute(_BEYOND_THEIR_VIEWS).fetchall()
        assert len(others) > 30
        for schema, name in others:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(SQL("SELECT FROM {}").format(Identifier(schema, name)))
        assert connection.execute(_THEIR_RIGHTS).fetchall() == [], "they change and call nothing"
        settings = connection.execute("SELECT rolconfig FROM pg_roles WHERE rolname = 'parley_analytics'").fetchone()
        assert settings == (["default_transaction_read_only=on", "statement_timeout=30s"],)


def test_every_view_and_every_column_says_what_it_means(select: Select) -> None:
    silent = select(
        "SELECT a.attrelid::regclass::text AS view, a.attname AS name FROM pg_attribute AS a"
        " INNER JOIN pg_class AS c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'analytics'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"
        " AND (col_description(a.attrelid, a.attnum) IS NULL OR obj_description(a.attrelid, 'pg_class') IS NULL)"
    )
    assert silent == []


def test_no_view_shows_who_somebody_is_or_what_was_said(postgres: str, select: Select) -> None:
    secret = "the words of a person"
    events: list[Event] = [
        received("1", BRAZILIAN, text=secret, profile_name="Maria", payload=secret, raw=secret),
        sent("2"),
        status("2", "read"),
        sent("3", contact="DE.1234567890"),
    ]
    project(postgres, events)
    for view in select("SELECT viewname FROM pg_views WHERE schemaname = 'analytics'"):
        shown = repr(select(f"TABLE analytics.{view['viewname']}"))
        for word in (BRAZILIAN, BRAZILIAN[2:], "DE.1234567890", "Maria", secret, "wamid."):
            assert word not in shown, view


def test_a_person_is_one_key_that_another_database_would_not_make(postgres: str, select: Select) -> None:
    project(postgres, [sent("1"), sent("2"), sent("3", contact=GERMAN), received("4", GERMAN)])
    rows = select("SELECT contact_key, count(*) AS n FROM analytics.fct_message GROUP BY contact_key")
    assert [row["n"] for row in rows] == [2, 2]
    [plain] = select("SELECT encode(sha256(convert_to(%s, 'UTF8')), 'hex') AS digest", GERMAN)
    assert plain["digest"] not in {row["contact_key"] for row in rows}
    with psycopg.connect(postgres) as connection:
        row = connection.execute("SELECT octet_length(secret) FROM registry.contact_secret").fetchone()
        assert row == (32,)


def test_where_a_message_comes_from_is_told(postgres: str, select: Select) -> None:
    copy = MessageCopied(
        event_id="k",
        occurred_at=JULY,
        recorded_at=JULY,
        waba_id="1",
        phone_number_id="100",
        field="smb_message_echoes",
        direction="outbound",
        wamid="wamid.copy",
        type="text",
        raw="{}",
        contact=GERMAN,
    )
    answer = received("4", GERMAN, context_wamid="wamid.1")
    project(postgres, [sent("1"), copy, status("9", "delivered"), answer])
    rows = select("SELECT origin, country, message_key, reply_to_message_key FROM analytics.fct_message ORDER BY origin")
    assert [(row["origin"], row["country"]) for row in rows] == [
        ("command", "BR"),
        ("contact", "DE"),
        ("copy", "DE"),
        ("other_system", "BR"),
    ]
    assert rows[1]["reply_to_message_key"] == rows[0]["message_key"]


def load(postgres: str, folder: Path, *lines: str) -> Any:
    card = folder / "rates.csv"
    card.write_text("\n".join(("country,category,valid_from,price,currency", *lines)))
    return parley(folder, "rates", "load", str(card), PARLEY_POSTGRES_DSN=postgres)


def test_rates_are_loaded_whole_or_not_at_all_and_the_same_file_changes_nothing(postgres: str, tmp_path: Path) -> None:
    lines = ("BR,marketing,2026-07-01,0.0625,USD", "BR,utility,2026-07-01,0.0080,USD")
    assert load(postgres, tmp_path, *lines).stdout == "Added: 2, changed: 0, as before: 0.\n"
    assert load(postgres, tmp_path, *lines).stdout == "Added: 0, changed: 0, as before: 2.\n"
    done = load(postgres, tmp_path, "BR,marketing,2026-07-01,0.07,USD", "BR,utility,someday,0.0080,USD")
    assert (done.returncode, done.stdout) == (2, "")
    assert "line 3: valid_from" in done.stderr
    assert load(postgres, tmp_path, "BR,marketing,2026-07-01,0.07,USD").stdout == "Added: 0, changed: 1, as before: 0.\n"
    listed = parley(tmp_path, "rates", "list", "--json", "--country", "br", PARLEY_POSTGRES_DSN=postgres)
    assert listed.stdout.splitlines() == [
        '{"country":"BR","category":"marketing","valid_from":"2026-07-01","price":"0.07","currency":"USD"}',
        '{"country":"BR","category":"utility","valid_from":"2026-07-01","price":"0.0080","currency":"USD"}',
    ]
    assert parley(tmp_path, "rates", "load", "nowhere.csv", PARLEY_POSTGRES_DSN=postgres).returncode == 2


def test_each_message_costs_what_the_card_says_for_its_country_category_and_day(
    postgres: str, select: Select, tmp_path: Path
) -> None:
    dated = ("BR,marketing,2026-06-01,0.05,USD", "BR,marketing,2026-07-02,0.0625,USD", "BR,utility,2026-06-01,0.01,USD")
    load(postgres, tmp_path, *dated)
    project(
        postgres,
        [
            *(event for wamid in ("regular", "twice") for event in (sent(wamid), status(wamid, "delivered"))),
            status("twice", "read", at=JULY + 5),
            *(sent("before", at=JULY - _DAY), status("before", "delivered", at=JULY - _DAY)),
            *(sent("too early"), status("too early", "delivered", at=JULY - 60 * _DAY)),
            *(sent("no rate", GERMAN), status("no rate", "delivered", GERMAN)),
            *(sent("free"), status("free", "delivered", pricing_type="free_customer_service")),
            *(sent("only sent"), status("only sent", "sent")),
            *(sent("unpriced"), status("unpriced", "delivered", pricing_type=None, pricing_category=None, pricing_model=None)),
            *(sent("old"), status("old", "delivered", pricing_model="CBP")),
            *(sent("utility"), status("utility", "delivered", pricing_category="UTILITY")),
        ],
    )
    found = select(
        "SELECT c.cost_state, c.cost, c.currency, c.is_rate_unknown, m.command_id FROM analytics.fct_cost AS c"
        " INNER JOIN analytics.fct_message AS m USING (message_key) ORDER BY m.command_id"
    )
    assert {row.pop("command_id").removeprefix("c "): tuple(row.values()) for row in found} == {
        "regular": ("regular", Decimal("0.0625"), "USD", False),
        "twice": ("regular", Decimal("0.0625"), "USD", False),
        "before": ("regular", Decimal("0.05"), "USD", False),
        "too early": ("regular", None, None, True),
        "no rate": ("regular", None, None, True),
        "free": ("free", Decimal(0), None, False),
        "only sent": ("undelivered", None, None, False),
        "unpriced": ("unpriced", None, None, False),
        "old": ("by_conversation", None, None, False),
        "utility": ("regular", Decimal("0.01"), "USD", False),
    }
    [day] = select(
        "SELECT messages, cost, currency, messages_of_unknown_rate FROM analytics.agg_cost_day"
        " WHERE day = '2026-07-02' AND pricing_category = 'marketing' AND cost_state = 'regular' AND country = 'BR'"
    )
    assert day == {"messages": 2, "cost": Decimal("0.1250"), "currency": "USD", "messages_of_unknown_rate": 0}
    [unknown] = select("SELECT sum(messages_of_unknown_rate) AS n FROM analytics.agg_cost_day")
    assert unknown == {"n": 2}


def test_how_fresh_the_tables_are_is_told_for_each_partition(postgres: str, select: Select) -> None:
    project(postgres, [sent("1")], [sent("2")])
    [row] = select("SELECT * FROM analytics.ops_projection")
    assert (row["topic"], row["partition"], row["next_offset"]) == ("t", 0, 2)
    assert row["last_record_at"].timestamp() == 0.0
    assert row["lag_seconds"] > 1e9
    assert 0 <= row["idle_seconds"] < 60
