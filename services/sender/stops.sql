-- lock --
-- Whoever changes stops does so alone, so that each change is told once. Held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('sender.stops'))

-- stops --
-- The newest that is known of each cause.
SELECT
    scope, scope_id, cause, (extract(epoch FROM at) * 1000)::bigint, is_stopped, source, covers, area, reason, error_code, trace_id,
    (extract(epoch FROM until) * 1000)::bigint, (extract(epoch FROM since) * 1000)::bigint,
    (extract(epoch FROM probe_at) * 1000)::bigint, probes, is_told
FROM sender.stops

-- put --
-- What is known of these causes from now on.
INSERT INTO sender.stops (
    scope, scope_id, cause, at, is_stopped, source, covers, area, reason, error_code, trace_id, until, since, probe_at, probes, is_told
)
SELECT
    g.scope, g.scope_id, g.cause, to_timestamp(g.at / 1000.0), g.is_stopped, g.source, g.covers, g.area, g.reason, g.error_code,
    g.trace_id, to_timestamp(g.until / 1000.0), to_timestamp(g.since / 1000.0), to_timestamp(g.probe_at / 1000.0), g.probes, g.is_told
FROM unnest(
    %(scope)s::text[], %(scope_id)s::text[], %(cause)s::text[], %(at)s::bigint[], %(is_stopped)s::boolean[], %(source)s::text[],
    %(covers)s::text[], %(area)s::text[], %(reason)s::text[], %(error_code)s::int[], %(trace_id)s::text[], %(until)s::bigint[],
    %(since)s::bigint[], %(probe_at)s::bigint[], %(probes)s::int[], %(is_told)s::boolean[]
) AS g (
    scope, scope_id, cause, at, is_stopped, source, covers, area, reason, error_code, trace_id, until, since, probe_at, probes, is_told
)
ON CONFLICT (scope, scope_id, cause) DO UPDATE SET
    at = excluded.at, is_stopped = excluded.is_stopped, source = excluded.source, covers = excluded.covers, area = excluded.area,
    reason = excluded.reason, error_code = excluded.error_code, trace_id = excluded.trace_id, until = excluded.until,
    since = excluded.since, probe_at = excluded.probe_at, probes = excluded.probes, is_told = excluded.is_told

-- tell --
-- Changes that are to go to the log, by the owner of a shard.
INSERT INTO sender.outbox (shard, topic, key, value, event_id, occurred_at)
SELECT %(shard)s, %(topic)s, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
FROM unnest(%(key)s::bytea[], %(value)s::bytea[], %(event_id)s::text[], %(occurred_at)s::bigint[])
    AS g (key, value, event_id, occurred_at)

-- claim --
-- One message may try these stops, and whoever asks next comes later. Fewer rows than asked for: somebody else was faster.
UPDATE sender.stops AS s SET
    probe_at = now() + make_interval(secs => g.seconds), probes = s.probes + 1, tried_by = NULL, tried_at = NULL
FROM unnest(%(scope)s::text[], %(scope_id)s::text[], %(cause)s::text[], %(seconds)s::float8[]) AS g (scope, scope_id, cause, seconds)
WHERE s.scope = g.scope AND s.scope_id = g.scope_id AND s.cause = g.cause
    AND s.is_stopped AND s.until IS NULL AND s.probe_at <= now()
RETURNING s.cause

-- unclaim --
-- No message tried them: the next may, after so many seconds.
UPDATE sender.stops AS s SET probe_at = now() + make_interval(secs => %(seconds)s), probes = s.probes - 1
FROM unnest(%(scope)s::text[], %(scope_id)s::text[], %(cause)s::text[]) AS g (scope, scope_id, cause)
WHERE s.scope = g.scope AND s.scope_id = g.scope_id AND s.cause = g.cause AND s.is_stopped AND s.probes > 0

-- tried --
-- Meta accepted a message that tries these stops, and may still tell that it failed.
UPDATE sender.stops AS s SET tried_by = %(attempt_id)s, tried_at = to_timestamp(%(begun)s / 1000.0)
FROM unnest(%(scope)s::text[], %(scope_id)s::text[], %(cause)s::text[]) AS g (scope, scope_id, cause)
WHERE s.scope = g.scope AND s.scope_id = g.scope_id AND s.cause = g.cause AND s.is_stopped

-- sent --
-- Stops whose probe was sent, or of whose probe nothing was told in so many seconds; when each probe was begun.
SELECT s.scope, s.scope_id, s.cause, (extract(epoch FROM s.tried_at) * 1000)::bigint
FROM sender.stops AS s
WHERE s.is_stopped AND s.tried_at IS NOT NULL AND (
    s.tried_at < now() - make_interval(secs => %(seconds)s) OR EXISTS (
        SELECT FROM projector.message_statuses AS m
        WHERE m.biz_opaque_callback_data = s.tried_by AND m.status IN ('sent', 'delivered', 'read')
    )
)

-- release --
-- What a stop held is looked at again at once. Where another stop covers it, the gate holds it again.
UPDATE sender.send_commands SET held_by = NULL, next_action_at = now()
WHERE phone_number_id = ANY(%(phone_number_id)s::text[]) AND state IN ('waiting', 'retry') AND held_by IS NOT NULL

-- account_events --
-- What Meta told of accounts and numbers in elements recorded since then.
SELECT
    waba_id, phone_number_id, field, event, raw, (extract(epoch FROM coalesce(occurred_at, recorded_at)) * 1000)::bigint,
    (extract(epoch FROM recorded_at) * 1000)::bigint
FROM projector.account_events
WHERE field IN ('account_update', 'phone_number_quality_update', 'history', 'smb_app_state_sync')
    AND recorded_at >= to_timestamp(%(since)s / 1000.0)
    AND (field <> 'account_update' OR event = ANY(%(stopping)s::text[]))

-- late_codes --
-- The newest failure with each code since then, of each of these numbers; the country of the recipient where a code is about one.
SELECT
    phone_number_id, error_code, CASE WHEN error_code = ANY(%(of_countries)s::int[]) THEN left(contact, 4) ELSE '' END,
    (extract(epoch FROM max(occurred_at)) * 1000)::bigint
FROM projector.message_statuses
WHERE status = 'failed' AND type = 'message' AND error_code = ANY(%(codes)s::int[])
    AND occurred_at >= to_timestamp(%(since)s / 1000.0) AND phone_number_id = ANY(%(numbers)s::text[])
GROUP BY 1, 2, 3

-- late_errors --
-- Errors about numbers and accounts that were recorded since then.
SELECT waba_id, phone_number_id, raw, (extract(epoch FROM coalesce(occurred_at, recorded_at)) * 1000)::bigint
FROM projector.account_events
WHERE record = 'ErrorReported' AND recorded_at >= to_timestamp(%(since)s / 1000.0)

-- last_sent --
-- When Meta last said of each of these numbers that it sent something.
SELECT n.phone_number_id, (extract(epoch FROM m.occurred_at) * 1000)::bigint
FROM unnest(%(numbers)s::text[]) AS n (phone_number_id)
CROSS JOIN LATERAL (
    SELECT s.occurred_at FROM projector.message_statuses AS s
    WHERE s.phone_number_id = n.phone_number_id AND s.status = 'sent'
    ORDER BY s.occurred_at DESC LIMIT 1
) AS m

-- limits --
-- What the log was last told of each limit, and which upgrade was followed last.
SELECT phone_number_id, messages_per_second, (extract(epoch FROM upgraded_at) * 1000)::bigint FROM sender.limits

-- put_limits --
-- The limits as they are told now.
INSERT INTO sender.limits (phone_number_id, messages_per_second, upgraded_at)
SELECT g.phone_number_id, g.messages_per_second, to_timestamp(g.upgraded_at / 1000.0)
FROM unnest(%(phone_number_id)s::text[], %(messages_per_second)s::int[], %(upgraded_at)s::bigint[])
    AS g (phone_number_id, messages_per_second, upgraded_at)
ON CONFLICT (phone_number_id) DO UPDATE SET
    messages_per_second = excluded.messages_per_second, upgraded_at = excluded.upgraded_at

-- limit_number --
-- Meta allows a number another rate from now on, or shares it with the Business app.
UPDATE registry.phone_numbers
SET messages_per_second = %(messages_per_second)s, is_coexistence = %(is_coexistence)s, updated_at = now()
WHERE phone_number_id = %(phone_number_id)s
