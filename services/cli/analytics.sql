-- delivery_funnel --
-- Of what was sent for commands, how much was delivered, read and answered, by template and country?
-- days = 7: sent in the last so many days
-- number = : only this phone_number_id
WITH sends AS (
    SELECT
        message_key, template_name, country,
        delivery = 'failed' AS is_failed,
        coalesce(delivered_at, read_at, played_at) IS NOT NULL AS is_delivered,
        coalesce(read_at, played_at) IS NOT NULL AS is_read
    FROM analytics.fct_message
    WHERE origin = 'command' AND occurred_at >= now() - make_interval(days => %(days)s::int)
        AND (%(number)s = '' OR phone_number_id = %(number)s)
),

answers AS (
    SELECT DISTINCT reply_to_message_key AS message_key
    FROM analytics.fct_message
    WHERE direction = 'inbound' AND reply_to_message_key IS NOT NULL
        AND occurred_at >= now() - make_interval(days => %(days)s::int)
)

SELECT
    s.template_name, s.country, count(*) AS accepted,
    count(*) FILTER (WHERE s.is_delivered) AS delivered,
    count(*) FILTER (WHERE s.is_read) AS read,
    count(a.message_key) AS answered,
    count(*) FILTER (WHERE s.is_failed) AS failed,
    round(100.0 * count(*) FILTER (WHERE s.is_delivered) / count(*), 1) AS delivered_percent,
    round(100.0 * count(*) FILTER (WHERE s.is_read) / nullif(count(*) FILTER (WHERE s.is_delivered), 0), 1) AS read_percent
FROM sends AS s
LEFT JOIN answers AS a USING (message_key)
GROUP BY s.template_name, s.country
ORDER BY accepted DESC, s.template_name, s.country

-- delivery_by_hour --
-- How many messages were accepted, delivered, read and failed in each hour (UTC)?
-- days = 2: accepted in the last so many days
-- number = : only this phone_number_id
SELECT
    date_trunc('hour', accepted_at, 'UTC') AS hour, phone_number_id, count(*) AS accepted,
    count(*) FILTER (WHERE coalesce(delivered_at, read_at, played_at) IS NOT NULL) AS delivered,
    count(*) FILTER (WHERE coalesce(read_at, played_at) IS NOT NULL) AS read,
    count(*) FILTER (WHERE delivery = 'failed') AS failed
FROM analytics.fct_message
WHERE origin = 'command' AND occurred_at >= now() - make_interval(days => %(days)s::int)
    AND (%(number)s = '' OR phone_number_id = %(number)s)
GROUP BY 1, 2
ORDER BY 1, 2

-- time_to_read --
-- How many seconds (whole ones, as Meta tells them) pass from acceptance to delivery and from there to reading?
-- days = 7: accepted in the last so many days
WITH stages AS (
    SELECT
        template_name,
        CASE WHEN delivered_at IS NOT NULL THEN greatest(0, extract(EPOCH FROM delivered_at - accepted_at)) END AS to_delivery,
        CASE WHEN delivered_at IS NOT NULL AND read_at IS NOT NULL THEN greatest(0, extract(EPOCH FROM read_at - delivered_at)) END AS to_read
    FROM analytics.fct_message
    WHERE origin = 'command' AND occurred_at >= now() - make_interval(days => %(days)s::int)
)

SELECT
    template_name, count(*) AS accepted,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY to_delivery))::numeric, 1) AS delivered_p50,
    round((percentile_cont(0.9) WITHIN GROUP (ORDER BY to_delivery))::numeric, 1) AS delivered_p90,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY to_read))::numeric, 1) AS read_p50,
    round((percentile_cont(0.9) WITHIN GROUP (ORDER BY to_read))::numeric, 1) AS read_p90
FROM stages
GROUP BY template_name
ORDER BY accepted DESC, template_name

-- failures --
-- With which of Meta's codes did accepted messages fail, how often, and in which countries?
-- days = 7: failed in the last so many days
SELECT error_code, template_name, country, count(*) AS failed
FROM analytics.fct_message
WHERE delivery = 'failed' AND failed_at >= now() - make_interval(days => %(days)s::int)
    -- Meta gives a message up after 30 days: what is older did not fail on these.
    AND occurred_at >= now() - make_interval(days => %(days)s::int + 32)
GROUP BY error_code, template_name, country
ORDER BY failed DESC, error_code, template_name, country

-- silent_messages --
-- Which messages did Meta accept without ever saying what became of them, and for how long now?
-- days = 2: accepted in the last so many days
-- number = : only this phone_number_id
SELECT
    phone_number_id, lane, template_name, country, message_key, command_id, accepted_at,
    floor(extract(EPOCH FROM now() - accepted_at) / 60)::int AS minutes_without_status
FROM analytics.fct_delivery
WHERE silence = 'silent' AND occurred_at >= now() - make_interval(days => %(days)s::int)
    AND (%(number)s = '' OR phone_number_id = %(number)s)
ORDER BY accepted_at, message_key

-- stopped_webhooks --
-- Of which numbers does nothing come any more although Meta accepts messages from them, and since when?
SELECT
    phone_number_id, waba_id, unheard_since, floor(extract(EPOCH FROM now() - unheard_since) / 60)::int AS minutes_unheard,
    last_accepted_at, last_status_at, last_inbound_at, accepted_last_hour, without_status_last_hour
FROM analytics.ops_number
WHERE webhooks = 'stopped'
ORDER BY unheard_since, phone_number_id

-- timeline --
-- When did one message reach each stage, and how many seconds after the stage before?
-- command = : the command it was sent for
-- message = : its message_key, which reads through all messages: command is quicker
WITH wanted AS (
    SELECT message_key, origin, accepted_at, sent_at, delivered_at, read_at, played_at, failed_at, error_code, silence
    FROM analytics.fct_delivery
    WHERE %(command)s <> '' AND command_id = %(command)s
    UNION
    SELECT message_key, origin, accepted_at, sent_at, delivered_at, read_at, played_at, failed_at, error_code, silence
    FROM analytics.fct_delivery
    WHERE %(message)s <> '' AND message_key = %(message)s
)

SELECT
    message_key, origin, stage, reached_at,
    CASE WHEN before IS NOT NULL THEN round(greatest(0, extract(EPOCH FROM reached_at - before)), 3) END AS seconds,
    code AS error_code, CASE WHEN stage = 'accepted' THEN silence END AS silence
FROM (
    SELECT
        message_key, origin, silence, place, stage, reached_at, code, greatest(accepted_at, reached_at) AS ordered_at,
        lag(reached_at) OVER (PARTITION BY message_key ORDER BY greatest(accepted_at, reached_at), place) AS before
    FROM wanted
    CROSS JOIN LATERAL (
        VALUES
        (1, 'accepted', accepted_at, NULL),
        (2, 'sent', sent_at, NULL),
        (3, 'delivered', delivered_at, NULL),
        (4, 'read', read_at, NULL),
        (5, 'played', played_at, NULL),
        (6, 'failed', failed_at, error_code)
    ) AS stages (place, stage, reached_at, code)
    WHERE reached_at IS NOT NULL
) AS reached
ORDER BY message_key, ordered_at, place

-- costs --
-- What was spent, by country and category, and of how many messages is the rate unknown?
-- days = 30: delivered in the last so many days (UTC)
SELECT
    country, pricing_category, currency, count(*) AS messages, sum(cost) AS cost,
    count(*) FILTER (WHERE is_rate_unknown) AS messages_of_unknown_rate
FROM analytics.fct_cost
WHERE cost_state IN ('regular', 'free')
    AND (coalesce(billed_at, occurred_at) AT TIME ZONE 'UTC')::date >= (now() AT TIME ZONE 'UTC')::date - %(days)s::int
    -- Meta gives a message up after 30 days: what is older was not delivered on these.
    AND occurred_at >= now() - make_interval(days => %(days)s::int + 32)
GROUP BY country, pricing_category, currency
ORDER BY cost DESC NULLS LAST, country, pricing_category

-- first_response --
-- How long do people wait for the first answer after they wrote, in seconds of the calendar, by number and hour (UTC)?
-- days = 7: written in the last so many days
WITH turns AS (
    SELECT
        phone_number_id, contact_key, direction, occurred_at,
        lag(direction) OVER one_conversation IS DISTINCT FROM direction AS is_first
    FROM analytics.fct_message
    WHERE contact_key IS NOT NULL AND group_id IS NULL AND occurred_at >= now() - make_interval(days => %(days)s::int)
    WINDOW one_conversation AS (PARTITION BY phone_number_id, contact_key ORDER BY occurred_at, direction)
),

waits AS (
    SELECT
        phone_number_id, direction, occurred_at,
        lead(occurred_at) OVER (PARTITION BY phone_number_id, contact_key ORDER BY occurred_at, direction) - occurred_at AS wait
    FROM turns
    WHERE is_first
)

SELECT
    phone_number_id, extract(HOUR FROM occurred_at AT TIME ZONE 'UTC')::int AS hour, count(*) AS conversations,
    count(wait) AS answered,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(EPOCH FROM wait)))::numeric, 1) AS wait_p50,
    round((percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(EPOCH FROM wait)))::numeric, 1) AS wait_p90
FROM waits
WHERE direction = 'inbound'
GROUP BY 1, 2
ORDER BY 1, 2

-- response_times --
-- How long did people wait for the first answer in a conversation, in seconds of the calendar and of business hours, by number?
-- days = 7: opened in the last so many days
SELECT
    phone_number_id, count(*) AS conversations,
    count(*) FILTER (WHERE is_answered) AS answered,
    count(*) FILTER (WHERE NOT is_answered AND closes_at <= now()) AS never_answered,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY response_seconds))::numeric, 1) AS wait_p50,
    round((percentile_cont(0.9) WITHIN GROUP (ORDER BY response_seconds))::numeric, 1) AS wait_p90,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY response_business_seconds))::numeric, 1) AS business_wait_p50,
    round((percentile_cont(0.9) WITHIN GROUP (ORDER BY response_business_seconds))::numeric, 1) AS business_wait_p90
FROM analytics.fct_conversation
WHERE opened_at >= now() - make_interval(days => %(days)s::int)
GROUP BY phone_number_id
ORDER BY phone_number_id

-- unanswered --
-- Who wrote last and has no answer yet, and for how long may it still be a free one?
-- hours = 24: written in the last so many hours: after 24 only a template may answer
SELECT
    phone_number_id, contact_key, country, occurred_at AS written_at,
    round(extract(EPOCH FROM now() - occurred_at) / 60)::int AS minutes_waiting,
    greatest(0, round(extract(EPOCH FROM occurred_at + interval '24 hours' - now()) / 60))::int AS minutes_left
FROM (
    SELECT DISTINCT ON (phone_number_id, contact_key) phone_number_id, contact_key, country, direction, occurred_at
    FROM analytics.fct_message
    WHERE contact_key IS NOT NULL AND group_id IS NULL
        AND occurred_at >= now() - make_interval(hours => %(hours)s::int)
    ORDER BY phone_number_id, contact_key, occurred_at DESC, direction DESC
) AS last_word
WHERE direction = 'inbound'
ORDER BY written_at

-- send_reasons --
-- Why were commands deferred, refused, rejected or left unknown, how often, and how many commands is that about?
-- days = 7: told in the last so many days
SELECT kind, reason, error_code, lane, count(*) AS outcomes, count(DISTINCT command_id) AS commands
FROM analytics.fct_send_attempt
WHERE kind <> 'accepted' AND occurred_at >= now() - make_interval(days => %(days)s::int)
GROUP BY kind, reason, error_code, lane
ORDER BY outcomes DESC, kind, reason, error_code, lane

-- retries --
-- How many attempts did accepted messages take, by lane?
-- days = 7: accepted in the last so many days
SELECT lane, attempt_no AS attempts, count(*) AS accepted
FROM analytics.fct_send_attempt
WHERE kind = 'accepted' AND occurred_at >= now() - make_interval(days => %(days)s::int)
GROUP BY lane, attempt_no
ORDER BY lane, attempt_no

-- send_latency --
-- How many seconds do commands wait until they are sent, and how many does Meta take to accept them, by number and lane?
-- days = 1: accepted in the last so many days
SELECT
    phone_number_id, lane, count(*) AS accepted,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_seconds))::numeric, 3) AS wait_p50,
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY wait_seconds))::numeric, 3) AS wait_p99,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY call_seconds))::numeric, 3) AS call_p50,
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY call_seconds))::numeric, 3) AS call_p99
FROM analytics.fct_send_latency
WHERE started_at >= now() - make_interval(days => %(days)s::int)
GROUP BY phone_number_id, lane
ORDER BY phone_number_id, lane

-- template_performance --
-- How do templates do, and which are held back, or unreachable or silent, as they are where people block the number?
-- days = 7: accepted in the last so many days
WITH sends AS (
    SELECT
        waba_id, template_name, error_code,
        delivery = 'failed' AS is_failed,
        coalesce(delivered_at, read_at, played_at) IS NOT NULL AS is_delivered,
        coalesce(read_at, played_at) IS NOT NULL AS is_read,
        delivery IN ('accepted', 'sent') AND accepted_at < now() - interval '1 day' AS is_silent
    FROM analytics.fct_message
    WHERE origin = 'command' AND template_name IS NOT NULL AND occurred_at >= now() - make_interval(days => %(days)s::int)
),

states AS (
    SELECT
        waba_id, template_name, string_agg(DISTINCT status, ', ' ORDER BY status) AS status,
        string_agg(DISTINCT quality_score, ', ' ORDER BY quality_score) AS quality_score
    FROM analytics.dim_template
    GROUP BY waba_id, template_name
)

SELECT
    s.waba_id, s.template_name, t.status, t.quality_score, count(*) AS accepted,
    count(*) FILTER (WHERE s.is_delivered) AS delivered,
    count(*) FILTER (WHERE s.is_read) AS read,
    count(*) FILTER (WHERE s.is_failed) AS failed,
    count(*) FILTER (WHERE s.is_failed AND s.error_code IN (130472, 131049, 131050)) AS held_back,
    count(*) FILTER (WHERE s.is_failed AND s.error_code = 131026) AS unreachable,
    count(*) FILTER (WHERE s.is_silent) AS silent,
    round(100.0 * count(*) FILTER (WHERE s.is_delivered) / count(*), 1) AS delivered_percent
FROM sends AS s
LEFT JOIN states AS t ON t.waba_id = s.waba_id AND t.template_name = s.template_name
GROUP BY s.waba_id, s.template_name, t.status, t.quality_score
ORDER BY accepted DESC, s.waba_id, s.template_name

-- opt_outs --
-- How many people withdrew within a day of a marketing template, and of how many that got it?
-- days = 30: templates accepted in the last so many days
-- hours = 24: how long after the delivery a withdrawal counts
WITH offers AS (
    SELECT message_key, template_name, phone_number_id, contact_key, coalesce(delivered_at, read_at) AS delivered_at
    FROM analytics.fct_message
    WHERE origin = 'command' AND template_name IS NOT NULL AND starts_with(lower(pricing_category), 'marketing')
        AND occurred_at >= now() - make_interval(days => %(days)s::int) AND coalesce(delivered_at, read_at) IS NOT NULL
)

SELECT
    o.template_name, count(DISTINCT o.contact_key) AS reached, count(DISTINCT e.contact_key) AS withdrew,
    round(100.0 * count(DISTINCT e.contact_key) / count(DISTINCT o.contact_key), 2) AS withdrew_percent
FROM offers AS o
LEFT JOIN analytics.fct_consent_event AS e
    ON e.contact_key = o.contact_key AND e.phone_number_id = o.phone_number_id AND e.decision = 'withdrawn'
    AND e.occurred_at BETWEEN o.delivered_at AND o.delivered_at + make_interval(hours => %(hours)s::int)
    AND e.occurred_at >= now() - make_interval(days => %(days)s::int + 1)
GROUP BY o.template_name
ORDER BY withdrew DESC, reached DESC, o.template_name

-- utilisation --
-- How much of its limit did each number use in its busiest second, hour by hour (UTC)?
-- days = 1: in the last so many days
WITH seconds AS (
    SELECT
        date_trunc('hour', occurred_at, 'UTC') AS hour, phone_number_id,
        count(*) FILTER (WHERE direction = 'outbound') AS accepted,
        count(*) FILTER (WHERE direction = 'inbound') AS received
    FROM analytics.fct_message
    WHERE origin IN ('command', 'contact')
        AND occurred_at >= date_trunc('hour', now() - make_interval(days => %(days)s::int), 'UTC')
    GROUP BY 1, 2, date_trunc('second', occurred_at)
),

hours AS (
    SELECT
        hour, phone_number_id, sum(accepted)::bigint AS accepted, sum(received)::bigint AS received,
        max(accepted + received) AS busiest_second
    FROM seconds
    GROUP BY hour, phone_number_id
)

SELECT
    h.hour, h.phone_number_id, h.accepted, h.received, h.busiest_second, n.messages_per_second,
    round(100.0 * h.busiest_second / n.messages_per_second, 1) AS busiest_percent
FROM hours AS h
LEFT JOIN analytics.dim_phone_number AS n ON n.phone_number_id = h.phone_number_id
ORDER BY h.hour, h.phone_number_id

-- windows --
-- How many conversations of each number have an open window now?
SELECT phone_number_id, conversations, open_windows, closed_windows, never_opened
FROM analytics.fct_window
ORDER BY phone_number_id

-- window_use --
-- What became of the windows that people opened: how many were answered and with how much, and how many templates went into them?
-- days = 7: opened in the last so many days
SELECT
    phone_number_id, count(*) AS conversations,
    count(*) FILTER (WHERE is_answered) AS answered,
    count(*) FILTER (WHERE is_free_entry_point) AS free_entry_points,
    sum(inbound)::bigint AS inbound, sum(outbound)::bigint AS outbound, sum(templates)::bigint AS templates,
    round(100.0 * count(*) FILTER (WHERE is_answered) / count(*), 1) AS answered_percent,
    round(100.0 * sum(templates) / nullif(sum(outbound), 0), 1) AS templates_percent
FROM analytics.fct_conversation
WHERE opened_at >= now() - make_interval(days => %(days)s::int)
GROUP BY phone_number_id
ORDER BY phone_number_id

-- csat --
-- How content are people, by survey, where the last answer to a question counts, and 4 and 5 are satisfied?
-- days = 30: answered in the last so many days
-- number = : only this phone_number_id
WITH answers AS (
    SELECT DISTINCT ON (phone_number_id, contact_key, survey, coalesce(reply_to_message_key, message_key))
        survey, contact_key, score
    FROM analytics.fct_csat
    WHERE occurred_at >= now() - make_interval(days => %(days)s::int) AND (%(number)s = '' OR phone_number_id = %(number)s)
    ORDER BY
        phone_number_id, contact_key, survey, coalesce(reply_to_message_key, message_key), occurred_at DESC, message_key
)

SELECT
    survey, count(*) AS answers, count(DISTINCT contact_key) AS people, round(avg(score), 2) AS mean,
    round(100.0 * count(*) FILTER (WHERE score >= 4) / count(*), 1) AS satisfied_percent,
    count(*) FILTER (WHERE score = 1) AS score_1,
    count(*) FILTER (WHERE score = 2) AS score_2,
    count(*) FILTER (WHERE score = 3) AS score_3,
    count(*) FILTER (WHERE score = 4) AS score_4,
    count(*) FILTER (WHERE score = 5) AS score_5
FROM answers
GROUP BY survey
ORDER BY answers DESC, survey

-- freshness --
-- How old was what came last into the tables, and how long ago did it come, by topic?
SELECT
    topic, count(*) AS partitions, max(last_record_at) AS last_record_at,
    round(max(lag_seconds), 3) AS worst_lag_seconds, round(min(idle_seconds), 1) AS idle_seconds
FROM analytics.ops_projection
GROUP BY topic
ORDER BY topic
