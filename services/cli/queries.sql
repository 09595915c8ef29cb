-- moment --
-- The clock that dates the rows of the ledger.
SELECT (extract(epoch FROM now()) * 1000)::bigint

-- counts --
-- How many commands there are, by state and lane.
SELECT state, lane, count(*) FROM sender.send_commands
WHERE %(number)s::text IS NULL OR phone_number_id = %(number)s::text GROUP BY state, lane

-- soonest --
-- Commands of a state that is looked at again, in the order of that look. Neither the recipient nor the content is read.
SELECT
    command_id, phone_number_id, lane, type, reason, error_code, attempts,
    (extract(epoch FROM appended_at) * 1000)::bigint, (extract(epoch FROM next_action_at) * 1000)::bigint
FROM sender.send_commands
WHERE state = %(state)s AND (%(number)s::text IS NULL OR phone_number_id = %(number)s::text)
ORDER BY next_action_at, seq LIMIT %(limit)s

-- newest --
-- Commands of a state that has no next look, the last that came first. Of a state that ends a command this reads the whole ledger.
SELECT
    command_id, phone_number_id, lane, type, reason, error_code, attempts,
    (extract(epoch FROM appended_at) * 1000)::bigint, NULL
FROM sender.send_commands
WHERE state = %(state)s AND (%(number)s::text IS NULL OR phone_number_id = %(number)s::text)
ORDER BY seq DESC LIMIT %(limit)s

-- command --
-- One command, how many go before it because they came first for the same recipient, and when stops that may hold it are looked at.
SELECT
    c.phone_number_id, c.lane, c.type, c.state, c.reason, c.error_code, c.wamid, c.attempts, c.outcome IS NOT NULL, c.policy,
    c.possible_duplicate, c.is_duplicate,
    (extract(epoch FROM c.appended_at) * 1000)::bigint, (extract(epoch FROM c.received_at) * 1000)::bigint,
    (extract(epoch FROM c.expires_at) * 1000)::bigint, (extract(epoch FROM c.next_action_at) * 1000)::bigint,
    (extract(epoch FROM c.updated_at) * 1000)::bigint,
    (
        SELECT (extract(epoch FROM max(coalesce(s.until, s.probe_at))) * 1000)::bigint
        FROM sender.stops AS s
        LEFT JOIN registry.phone_numbers AS n ON n.phone_number_id = c.phone_number_id
        WHERE s.is_stopped AND s.cause <> 'operator' AND (s.until IS NULL OR s.until > now())
            AND (s.covers = 'everything' OR c.held_by IS NOT NULL)
            AND s.scope_id = CASE s.scope WHEN 'number' THEN c.phone_number_id ELSE n.waba_id END
    ),
    (
        SELECT count(*) FROM sender.send_commands AS e
        WHERE e.phone_number_id = c.phone_number_id AND e.lane = c.lane AND e.pair = c.pair AND e.seq < c.seq
            AND e.state IN ('waiting', 'retry', 'started') AND e.held_by IS NULL
    )
FROM sender.send_commands AS c
WHERE c.command_id = %(command_id)s

-- attempts --
-- Its calls to Meta.
SELECT
    attempt_no, attempt_id, (extract(epoch FROM started_at) * 1000)::bigint, (extract(epoch FROM finished_at) * 1000)::bigint,
    outcome, reason, error_code, wamid, trace_id
FROM sender.send_attempts WHERE command_id = %(command_id)s ORDER BY attempt_no

-- resends --
-- Who wanted it sent again.
SELECT (extract(epoch FROM asked_at) * 1000)::bigint, asked_by, why, is_sent
FROM sender.resends WHERE command_id = %(command_id)s ORDER BY resend_id

-- ask_resend --
-- An operator wants a command sent again, if it is in one of these states.
INSERT INTO sender.resends (command_id, period, shard, asked_by, why)
SELECT c.command_id, c.period, c.shard, %(asked_by)s, %(why)s FROM sender.send_commands AS c
WHERE c.command_id = %(command_id)s AND c.state = ANY(%(states)s::text[])
RETURNING resend_id

-- resend_done --
-- Whether the sender has come to it, and whether it was still to be sent.
SELECT done_at IS NOT NULL, is_sent FROM sender.resends WHERE resend_id = %(resend_id)s

-- statuses --
-- What Meta's webhooks told of these attempts and messages of a number. Nobody's name and no raw webhook is read.
SELECT
    status, type, wamid,
    CASE WHEN biz_opaque_callback_data = ANY(%(attempt_id)s::text[]) THEN biz_opaque_callback_data END, error_code,
    (extract(epoch FROM occurred_at) * 1000)::bigint, (extract(epoch FROM recorded_at) * 1000)::bigint
FROM projector.message_statuses
WHERE phone_number_id = %(phone_number_id)s
    AND (biz_opaque_callback_data = ANY(%(attempt_id)s::text[]) OR wamid = ANY(%(wamid)s::text[]))
ORDER BY recorded_at, occurred_at, status

-- untold --
-- Which of these outcomes the log has not acknowledged.
SELECT event_id, (extract(epoch FROM occurred_at) * 1000)::bigint
FROM sender.outbox WHERE event_id = ANY(%(event_id)s::text[]) ORDER BY seq

-- number_stops --
-- What Meta does not let registered numbers send now, by themselves or with their account. An operator's pause is in the registry.
SELECT
    n.phone_number_id, s.cause, s.covers, s.area, s.scope = 'waba', s.reason, s.error_code, s.source,
    (extract(epoch FROM s.since) * 1000)::bigint, (extract(epoch FROM s.until) * 1000)::bigint,
    CASE WHEN s.until IS NULL THEN (extract(epoch FROM s.probe_at) * 1000)::bigint END
FROM registry.phone_numbers AS n
JOIN sender.stops AS s ON (s.scope = 'number' AND s.scope_id = n.phone_number_id) OR (s.scope = 'waba' AND s.scope_id = n.waba_id)
WHERE s.is_stopped AND s.cause <> 'operator' AND (s.until IS NULL OR s.until > now())
ORDER BY n.phone_number_id, s.since, s.cause

-- rates --
-- The rate card.
SELECT country, category, valid_from, price, currency FROM registry.rates ORDER BY country, category, valid_from

-- keep_rates --
-- These rates from now on, besides those that are not named.
INSERT INTO registry.rates (country, category, valid_from, price, currency)
SELECT g.country, g.category, g.valid_from, g.price, g.currency
FROM unnest(%(country)s::text[], %(category)s::text[], %(valid_from)s::date[], %(price)s::numeric[], %(currency)s::text[])
    AS g (country, category, valid_from, price, currency)
ON CONFLICT (country, category, valid_from) DO UPDATE SET price = excluded.price, currency = excluded.currency

-- zone_is_known --
-- Whether Postgres has a time zone under this name.
SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = %(time_zone)s)

-- keep_calendar --
-- A number or tenant, if there is one, has business hours by this clock.
INSERT INTO registry.business_calendars (scope, scope_id, time_zone)
SELECT known.scope, known.scope_id, %(time_zone)s
FROM (
    SELECT 'number' AS scope, phone_number_id AS scope_id FROM registry.phone_numbers
    UNION ALL
    SELECT 'tenant', tenant_id FROM registry.tenants
) AS known
WHERE known.scope = %(scope)s AND known.scope_id = %(scope_id)s
ON CONFLICT (scope, scope_id) DO UPDATE SET time_zone = excluded.time_zone
RETURNING scope_id

-- clear_hours --
-- Closed all week.
DELETE FROM registry.business_hours WHERE scope = %(scope)s AND scope_id = %(scope_id)s

-- keep_hours --
-- These hours besides those that there are.
INSERT INTO registry.business_hours (scope, scope_id, weekday, opens, closes)
SELECT
    %(scope)s, %(scope_id)s, g.weekday, make_time(g.opens / 60, mod(g.opens, 60), 0), make_time(g.closes / 60, mod(g.closes, 60), 0)
FROM unnest(%(weekday)s::int2[], %(opens)s::int4[], %(closes)s::int4[]) AS g (weekday, opens, closes)

-- clear_calendar --
-- No business hours at all.
DELETE FROM registry.business_calendars WHERE scope = %(scope)s AND scope_id = %(scope_id)s RETURNING scope_id

-- business_hours --
-- The hours of everybody, in minutes of the day.
SELECT
    c.scope, c.scope_id, c.time_zone, h.weekday,
    (extract(epoch FROM h.opens) / 60)::int, (extract(epoch FROM h.closes) / 60)::int
FROM registry.business_calendars AS c
JOIN registry.business_hours AS h ON h.scope = c.scope AND h.scope_id = c.scope_id
ORDER BY c.scope, c.scope_id, h.weekday, h.opens

-- analytics_views --
-- The views that this role may read: name, comment, and the names and types of their columns, in order.
SELECT
    c.relname::text,
    obj_description(c.oid, 'pg_class'),
    array_agg(a.attname::text ORDER BY a.attnum),
    array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum)
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind IN ('v', 'm') AND has_table_privilege(c.oid, 'SELECT')
GROUP BY c.oid, c.relname
ORDER BY c.relname
