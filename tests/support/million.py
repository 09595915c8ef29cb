"""What do the tables hold after half a year? A million messages of 50,000 people with 50 numbers, and what belongs to them.

In the order in which they would have come. Every person writes each five weeks and is answered three times.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg.sql import SQL

_ROWS: Final = """
    SELECT projector.add_month((now() - make_interval(months => ago))::date) FROM generate_series(0, 6) AS ago;
    SELECT sender.add_period(sender.period_of(now()) - ago) FROM generate_series(0, 4) AS ago;

    INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token)
    SELECT n::text, '1', '' FROM generate_series(0, 49) AS n;
    INSERT INTO sender.shards (shard, epoch, instance) SELECT n, 1, 'one' FROM generate_series(0, 23) AS n;

    INSERT INTO projector.contacts (contact, wa_id, wa_id_at, first_seen_at, last_seen_at, country)
    SELECT n::text, n::text, now(), now() - interval '1 year', now(), 'DE' FROM generate_series(0, 49999) AS n;
    INSERT INTO projector.contact_aliases (alias, contact, first_seen_at) SELECT contact, contact, now() FROM projector.contacts;
    INSERT INTO projector.contact_moves (alias, contact, moved_at)
    SELECT 'old' || n, n::text, now() FROM generate_series(0, 49999, 10) AS n;
    INSERT INTO projector.conversations (phone_number_id, contact, waba_id, last_inbound_at, last_outbound_at)
    SELECT (n % 50)::text, n::text, '1', now() - n * interval '1 minute', now() FROM generate_series(0, 49999) AS n;
    INSERT INTO projector.consent_events (consent_id, occurred_at, phone_number_id, contact, category, decision, source)
    SELECT 'k' || n, now() - n * interval '5 minutes', (n % 50)::text, n::text, 'marketing', 'granted', 'web'
    FROM generate_series(49999, 0, -1) AS n;
    INSERT INTO projector.consents (phone_number_id, contact, category, granted_at)
    SELECT phone_number_id, contact, category, occurred_at FROM projector.consent_events;
    INSERT INTO projector.priced_conversations (conversation_id, phone_number_id, waba_id, contact, origin_type, first_status_at)
    SELECT 'p' || n, (n % 50)::text, '1', n::text, 'referral_conversion', now() - n * interval '5 minutes'
    FROM generate_series(0, 49999) AS n;
    INSERT INTO projector.account_events (content_sha256, event_id, recorded_at, waba_id, field, raw, record)
    SELECT sha256(n::text::bytea), 'b' || n, now() - n * interval '5 minutes', '1',
        CASE n % 100 WHEN 0 THEN 'account_update' WHEN 1 THEN 'messages' ELSE 'user_preferences' END, '{}',
        CASE n % 100 WHEN 1 THEN 'ErrorReported' ELSE 'AccountChanged' END
    FROM generate_series(49999, 0, -1) AS n;

    CREATE TEMPORARY TABLE one AS
    SELECT
        'w' || n AS wamid, 'c' || n AS command_id, 'a' || n AS attempt_id, (n / 4 % 50)::text AS phone_number_id,
        (n / 4 % 50000)::text AS contact, now() - n * interval '180 days' / 1000000 AS at,
        n % 4 = 3 AS is_inbound, n % 1000 <> 2 AS is_told, n % 4 <> 3 AND n % 1000 <> 2 AS is_ours, n % 100 = 1 AS is_failed, n
    FROM generate_series(999999, 0, -1) AS n;
    INSERT INTO projector.messages (
        wamid, direction, phone_number_id, waba_id, contact, field, event_id, is_copy, type, occurred_at, recorded_at,
        accepted_at, command_id, lane, template_name, sent_at, delivered_at, failed_at, error_code
    )
    SELECT
        wamid, CASE WHEN is_inbound THEN 'inbound' ELSE 'outbound' END, phone_number_id, '1', contact,
        CASE WHEN is_inbound THEN 'messages' END, CASE WHEN is_told THEN 'e' || n END, CASE WHEN is_told THEN FALSE END,
        CASE WHEN is_inbound THEN 'text' WHEN is_told THEN 'template' END, CASE WHEN is_told THEN at END,
        CASE WHEN is_told THEN at END, CASE WHEN is_ours THEN at END, CASE WHEN is_ours THEN command_id END,
        CASE WHEN is_ours THEN 'bulk' END, CASE WHEN is_ours THEN 'offer' END, CASE WHEN NOT is_inbound THEN at END,
        CASE WHEN NOT is_inbound AND NOT is_failed THEN at END, CASE WHEN is_failed THEN at END,
        CASE WHEN is_failed THEN 131026 END
    FROM one ORDER BY at;
    INSERT INTO projector.message_statuses (
        wamid, status, occurred_at, contact, type, event_id, recorded_at, phone_number_id, waba_id, biz_opaque_callback_data, raw,
        error_code
    )
    SELECT
        wamid, CASE WHEN is_failed THEN 'failed' WHEN n % 100 = 5 THEN 'sent' ELSE 'delivered' END, at, contact, 'message',
        's' || n, at, phone_number_id, '1', attempt_id, '{}', CASE WHEN is_failed THEN 131026 END
    FROM one;
    INSERT INTO projector.send_outcomes (
        event_id, occurred_at, command_id, attempt_no, kind, lane, type, phone_number_id, source, contact, wamid
    )
    SELECT 'o' || n, at, command_id, 1, CASE WHEN n % 100 = 1 THEN 'refused' ELSE 'accepted' END, 'bulk', 'template',
        phone_number_id, 'response', contact, CASE WHEN n % 100 <> 1 THEN wamid END
    FROM one WHERE n % 4 = 1;
    INSERT INTO sender.send_commands (
        command_id, period, shard, fingerprint, phone_number_id, lane, policy, state, type, content, pair, appended_at,
        received_at, expires_at, next_action_at, reason
    )
    SELECT
        command_id, sender.period_of(started_at), n % 24, '', phone_number_id, 2, 'fail', CASE n % 1000
            WHEN 1 THEN 'waiting' WHEN 5 THEN 'retry' WHEN 9 THEN 'unknown' WHEN 13 THEN 'started' ELSE 'accepted'
        END, 'template', '{}', contact, started_at, started_at, started_at + interval '60 days',
        started_at + interval '40 days', CASE n % 1000 WHEN 5 THEN 'pair_limit' END
    FROM (SELECT *, now() - n * interval '37 days' / 1000000 AS started_at FROM one WHERE n % 4 = 1) AS c;
    INSERT INTO sender.send_attempts (
        command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id, started_at, finished_at, outcome
    )
    SELECT
        command_id, period, 1, 'a' || substring(command_id FROM 2), shard, 1, phone_number_id, received_at, received_at,
        CASE state WHEN 'accepted' THEN 'accepted' WHEN 'retry' THEN 'rejected' WHEN 'unknown' THEN 'unknown' END
    FROM sender.send_commands WHERE state <> 'waiting';
    DROP TABLE one;
"""

_INDEXES: Final = """
    SELECT i.indexrelid::regclass::text, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
    WHERE c.relnamespace IN ('projector'::regnamespace, 'sender'::regnamespace) AND NOT i.indisprimary AND NOT c.relispartition
"""


def fill(dsn: str) -> None:
    """Put it into a database that has every migration and no rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Indexes are made at once afterwards: a third of the time.
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(SQL("DROP INDEX {}").format(SQL(name)))
        connection.execute(_ROWS.encode())
        for _, definition in indexes:
            connection.execute(SQL(definition))
        connection.execute("VACUUM ANALYZE")
