-- Windows as conversations, business hours for how long people wait, Meta's conversations while it priced by them, scores that
-- people give, and how long commands take to be accepted.

CREATE TABLE registry.business_calendars (
    scope text NOT NULL CHECK (scope IN ('number', 'tenant')),
    scope_id text NOT NULL,
    time_zone text NOT NULL CHECK (to_timestamp(0) AT TIME ZONE time_zone IS NOT NULL),
    PRIMARY KEY (scope, scope_id)
);
COMMENT ON TABLE registry.business_calendars IS 'Who has business hours: a tenant for all of its numbers, or a number for itself, which counts before its tenant''s';
COMMENT ON COLUMN registry.business_calendars.scope_id IS 'phone_number_id or tenant_id';
COMMENT ON COLUMN registry.business_calendars.time_zone IS 'Of the hours: a name of the IANA database. The check fails for a name that Postgres does not know, so that no view does';

CREATE TABLE registry.business_hours (
    scope text NOT NULL,
    scope_id text NOT NULL,
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    opens time NOT NULL,
    closes time NOT NULL CHECK (opens < closes),
    PRIMARY KEY (scope, scope_id, weekday, opens),
    FOREIGN KEY (scope, scope_id) REFERENCES registry.business_calendars ON DELETE CASCADE
);
COMMENT ON TABLE registry.business_hours IS 'When a business answers, by the clock of its time zone; a day without a row is closed';
COMMENT ON COLUMN registry.business_hours.weekday IS '1 Monday to 7 Sunday';
COMMENT ON COLUMN registry.business_hours.closes IS 'Up to 24:00; what is open over midnight has a row on either day. Rows of a day do not overlap';

-- An inbound message opens a window or lengthens it, as in services/projector/projections/conversations.py (ADR 10). `before` is
-- the last such message before a row; where 24 hours have passed since, another conversation begins. Inbound sorts first.
CREATE VIEW analytics.fct_conversation AS
SELECT
    encode(
        sha256(k.secret || convert_to(s.phone_number_id || '/' || s.contact || '/' || extract(EPOCH FROM s.opened_at), 'UTF8')),
        'hex'
    ) AS conversation_key,
    s.phone_number_id,
    s.waba_id,
    encode(sha256(k.secret || convert_to(s.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    s.opened_at,
    s.last_inbound_at,
    s.last_inbound_at + interval '24 hours' AS closes_at,
    s.inbound,
    s.outbound,
    s.templates,
    s.first_response_at,
    s.first_response_at IS NOT NULL AS is_answered,
    extract(EPOCH FROM s.first_response_at - s.opened_at) AS response_seconds,
    CASE
        WHEN h.time_zone IS NOT NULL AND s.first_response_at IS NOT NULL THEN (
            SELECT coalesce(sum(extract(EPOCH FROM least(s.first_response_at, o.until) - greatest(s.opened_at, o.since))), 0)
            FROM (
                SELECT
                    (d.day + b.opens) AT TIME ZONE h.time_zone AS since,
                    (d.day + b.closes) AT TIME ZONE h.time_zone AS until
                FROM (
                    SELECT (s.opened_at AT TIME ZONE h.time_zone)::date + n AS day
                    FROM generate_series(
                        0, (s.first_response_at AT TIME ZONE h.time_zone)::date - (s.opened_at AT TIME ZONE h.time_zone)::date
                    ) AS n
                ) AS d
                INNER JOIN registry.business_hours AS b
                    ON b.scope = h.scope AND b.scope_id = h.scope_id AND b.weekday = extract(ISODOW FROM d.day)
            ) AS o
            WHERE least(s.first_response_at, o.until) > greatest(s.opened_at, o.since)
        )
    END AS response_business_seconds,
    EXISTS (
        SELECT FROM projector.priced_conversations AS p
        WHERE p.phone_number_id = s.phone_number_id AND p.contact = s.contact AND p.origin_type = 'referral_conversion'
            AND p.first_status_at >= s.opened_at AND p.first_status_at < s.last_inbound_at + interval '24 hours'
    ) AS is_free_entry_point,
    (
        SELECT max(coalesce(p.expires_at, p.first_status_at + interval '72 hours'))
        FROM projector.priced_conversations AS p
        WHERE p.phone_number_id = s.phone_number_id AND p.contact = s.contact AND p.origin_type = 'referral_conversion'
            AND p.first_status_at >= s.opened_at AND p.first_status_at < s.last_inbound_at + interval '24 hours'
    ) AS free_until
FROM (
    SELECT
        phone_number_id,
        contact,
        min(waba_id) AS waba_id,
        min(occurred_at) FILTER (WHERE opens) AS opened_at,
        max(occurred_at) FILTER (WHERE opens) AS last_inbound_at,
        count(*) FILTER (WHERE opens) AS inbound,
        count(*) FILTER (WHERE NOT opens) AS outbound,
        count(*) FILTER (WHERE NOT opens AND is_template) AS templates,
        min(occurred_at) FILTER (WHERE NOT opens AND NOT is_failed) AS first_response_at
    FROM (
        SELECT
            w.*,
            count(*) FILTER (WHERE w.opens AND (w.before IS NULL OR w.occurred_at >= w.before + interval '24 hours'))
                OVER (PARTITION BY w.phone_number_id, w.contact ORDER BY w.occurred_at, w.direction) AS nth
        FROM (
            SELECT
                t.*,
                max(t.occurred_at) FILTER (WHERE t.opens) OVER (
                    PARTITION BY t.phone_number_id, t.contact ORDER BY t.occurred_at, t.direction
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS before
            FROM (
                SELECT
                    m.phone_number_id,
                    m.contact,
                    m.waba_id,
                    m.direction,
                    m.occurred_at,
                    m.direction = 'inbound' AS opens,
                    m.type = 'template' AS is_template,
                    m.failed_at IS NOT NULL AND coalesce(m.delivered_at, m.read_at, m.played_at) IS NULL AS is_failed
                FROM projector.messages AS m
                WHERE m.contact IS NOT NULL AND m.group_id IS NULL AND m.occurred_at IS NOT NULL
                    AND (
                        m.direction = 'outbound'
                        OR (m.field = 'messages' AND m.type NOT IN ('system', 'request_welcome', 'edit', 'revoke'))
                    )
            ) AS t
        ) AS w
    ) AS numbered
    WHERE opens OR occurred_at < before + interval '24 hours'
    GROUP BY phone_number_id, contact, nth
) AS s
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = s.contact
LEFT JOIN (
    SELECT DISTINCT ON (n.phone_number_id) n.phone_number_id, g.scope, g.scope_id, g.time_zone
    FROM registry.phone_numbers AS n
    INNER JOIN registry.business_calendars AS g
        ON (g.scope = 'number' AND g.scope_id = n.phone_number_id) OR (g.scope = 'tenant' AND g.scope_id = n.tenant_id)
    ORDER BY n.phone_number_id, g.scope
) AS h ON h.phone_number_id = s.phone_number_id;
COMMENT ON VIEW analytics.fct_conversation IS 'One row a customer service window: what a person and a business number wrote each other from the message that opened it until 24 hours after the person''s last one. What went out while none was open, as templates do, is in fct_message only; messages in groups, and calls, open none here';
COMMENT ON COLUMN analytics.fct_conversation.conversation_key IS 'One conversation; another one when an earlier message of it turns up';
COMMENT ON COLUMN analytics.fct_conversation.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_conversation.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_conversation.contact_key IS 'The person, as in fct_message';
COMMENT ON COLUMN analytics.fct_conversation.country IS 'ISO 3166-1 alpha-2, as the person''s number or user id tells it';
COMMENT ON COLUMN analytics.fct_conversation.opened_at IS 'Meta''s instant of the person''s first message in it';
COMMENT ON COLUMN analytics.fct_conversation.last_inbound_at IS 'Meta''s instant of the person''s last message in it, as far as is known';
COMMENT ON COLUMN analytics.fct_conversation.closes_at IS 'The first instant at which the window is closed: 24 hours after last_inbound_at';
COMMENT ON COLUMN analytics.fct_conversation.inbound IS 'Messages of the person in it; an edit, a message taken back and Meta''s own notices are none';
COMMENT ON COLUMN analytics.fct_conversation.outbound IS 'Messages to the person in it, for commands or copied from another app, failed ones too; those known by statuses only are not counted';
COMMENT ON COLUMN analytics.fct_conversation.templates IS 'Of outbound, how many are templates: free-form messages were allowed in their place';
COMMENT ON COLUMN analytics.fct_conversation.first_response_at IS 'When the first outbound message in it that did not fail was accepted or written; null while there is none';
COMMENT ON COLUMN analytics.fct_conversation.is_answered IS 'Whether there is such a message';
COMMENT ON COLUMN analytics.fct_conversation.response_seconds IS 'Seconds of the calendar from opened_at to first_response_at';
COMMENT ON COLUMN analytics.fct_conversation.response_business_seconds IS 'How many of these seconds were in the business hours that hold now; null where the number and its tenant have none';
COMMENT ON COLUMN analytics.fct_conversation.is_free_entry_point IS 'Meta says that a free entry point began in it: the person came from an advertisement or a page''s button and was answered within 24 hours';
COMMENT ON COLUMN analytics.fct_conversation.free_until IS 'Until when everything to the person is free then: Meta''s instant, 72 hours after the answer; no permission to write after closes_at';

CREATE VIEW analytics.fct_legacy_conversation AS
SELECT
    encode(sha256(k.secret || convert_to(p.conversation_id, 'UTF8')), 'hex') AS conversation_key,
    p.phone_number_id,
    p.waba_id,
    encode(sha256(k.secret || convert_to(p.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    p.category,
    p.origin_type AS origin,
    p.began_at,
    p.expires_at,
    p.is_free_entry_point,
    p.is_billable,
    p.month,
    p.service_number,
    p.service_number <= 1000 AS is_free_tier,
    CASE
        WHEN p.is_free_entry_point THEN TRUE
        WHEN p.service_number IS NULL THEN FALSE
        ELSE p.service_number <= 1000 OR p.month >= '2024-11-01'
    END AS is_free
FROM (
    SELECT
        b.*,
        CASE WHEN b.is_service THEN count(*) FILTER (WHERE b.is_service) OVER (
            PARTITION BY b.waba_id, b.month ORDER BY b.began_at, b.conversation_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) END AS service_number
    FROM (
        SELECT
            a.*,
            date_trunc('month', a.began_at AT TIME ZONE 'UTC')::date AS month,
            a.category IN ('service', 'user_initiated', 'customer_initiated') AND NOT a.is_free_entry_point AS is_service
        FROM (
            SELECT
                told.conversation_id,
                told.phone_number_id,
                told.waba_id,
                told.contact,
                told.origin_type,
                told.expires_at,
                told.is_billable,
                f.is_free_entry_point,
                lower(coalesce(told.pricing_category, told.origin_type)) AS category,
                least(
                    told.first_status_at,
                    told.expires_at - CASE WHEN f.is_free_entry_point THEN interval '72 hours' ELSE interval '24 hours' END
                ) AS began_at
            FROM projector.priced_conversations AS told
            CROSS JOIN LATERAL (
                SELECT coalesce(told.origin_type, told.pricing_category, '') = 'referral_conversion' AS is_free_entry_point
            ) AS f
            WHERE told.pricing_model = 'CBP'
        ) AS a
    ) AS b
) AS p
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = p.contact;
COMMENT ON VIEW analytics.fct_legacy_conversation IS 'One row a conversation that Meta priced as one (until July 2025): 24 hours of one category with one person, or 72 hours from a free entry point';
COMMENT ON COLUMN analytics.fct_legacy_conversation.conversation_key IS 'One conversation of Meta''s; a digest of its id';
COMMENT ON COLUMN analytics.fct_legacy_conversation.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_legacy_conversation.waba_id IS 'Meta''s id of the business account, which Meta billed';
COMMENT ON COLUMN analytics.fct_legacy_conversation.contact_key IS 'The person, as in fct_message';
COMMENT ON COLUMN analytics.fct_legacy_conversation.country IS 'ISO 3166-1 alpha-2 of the person';
COMMENT ON COLUMN analytics.fct_legacy_conversation.category IS 'Meta''s word in lower case: marketing, utility, authentication, service; until June 2023 user_initiated or business_initiated';
COMMENT ON COLUMN analytics.fct_legacy_conversation.origin IS 'Meta''s word for what opened it; referral_conversion is a free entry point';
COMMENT ON COLUMN analytics.fct_legacy_conversation.began_at IS 'Its end less its length, or the first status of it if that is earlier or no end is known: Meta told no beginning';
COMMENT ON COLUMN analytics.fct_legacy_conversation.expires_at IS 'Its end, as Meta told it with the status sent; null where that status is not known';
COMMENT ON COLUMN analytics.fct_legacy_conversation.is_free_entry_point IS 'Whether the person came from an advertisement or a page''s button: all categories free for 72 hours from the answer';
COMMENT ON COLUMN analytics.fct_legacy_conversation.is_billable IS 'Meta''s word; true within the free tier too';
COMMENT ON COLUMN analytics.fct_legacy_conversation.month IS 'First day of the month of began_at in UTC. Meta counted by the time zone of the account, which it does not tell: at the turn of a month some stand in the other one';
COMMENT ON COLUMN analytics.fct_legacy_conversation.service_number IS 'Of service conversations: which of the account''s in that month it is, as far as they are known here; null of other categories and free entry points';
COMMENT ON COLUMN analytics.fct_legacy_conversation.is_free_tier IS 'Whether it is one of the first 1,000 service conversations of the account in the month; null of others';
COMMENT ON COLUMN analytics.fct_legacy_conversation.is_free IS 'Free entry points, the free tier, and from November 2024 every service conversation';

-- Ids that a business gave its buttons and rows, and fields of its flows: docs/csat.md. The JSON of a flow is searched and not
-- parsed: one that Postgres does not take for JSON would fail the view. A quotation mark within a text of it has a backslash.
CREATE VIEW analytics.fct_csat AS
SELECT
    encode(sha256(convert_to(a.wamid, 'UTF8')), 'hex') AS message_key,
    a.phone_number_id,
    a.waba_id,
    encode(sha256(k.secret || convert_to(a.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    a.occurred_at,
    a.survey,
    a.score::smallint AS score,
    encode(sha256(convert_to(a.context_wamid, 'UTF8')), 'hex') AS reply_to_message_key
FROM (
    SELECT
        m.wamid,
        m.phone_number_id,
        m.waba_id,
        m.contact,
        m.occurred_at,
        m.context_wamid,
        coalesce(
            substring(m.payload FROM '^parley\.csat\.([A-Za-z][A-Za-z0-9_-]{0,63})\.[1-5]$'),
            substring(m.payload FROM '^\s*\{.*"csat_survey"\s*:\s*"([A-Za-z][A-Za-z0-9_-]{0,63})"')
        ) AS survey,
        coalesce(
            substring(m.payload FROM '^parley\.csat\.[A-Za-z][A-Za-z0-9_-]{0,63}\.([1-5])$'),
            substring(m.payload FROM '^\s*\{.*"csat_score"\s*:\s*"?([1-5])"?\s*[,}]')
        ) AS score
    FROM projector.messages AS m
    WHERE m.direction = 'inbound' AND NOT m.is_copy AND m.type IN ('interactive', 'button')
        AND (m.payload LIKE 'parley.csat.%' OR m.payload LIKE '%"csat_score"%')
) AS a
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = a.contact
WHERE a.score IS NOT NULL;
COMMENT ON VIEW analytics.fct_csat IS 'Scores that people gave by a button, a row of a list or a flow, one row an answer: docs/csat.md';
COMMENT ON COLUMN analytics.fct_csat.message_key IS 'The answer, as in fct_message';
COMMENT ON COLUMN analytics.fct_csat.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_csat.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_csat.contact_key IS 'The person, as in fct_message';
COMMENT ON COLUMN analytics.fct_csat.country IS 'ISO 3166-1 alpha-2 of the person';
COMMENT ON COLUMN analytics.fct_csat.occurred_at IS 'When it was given, by Meta''s clock';
COMMENT ON COLUMN analytics.fct_csat.survey IS 'What was asked, as the business calls it; null of a flow that does not say';
COMMENT ON COLUMN analytics.fct_csat.score IS '1 (worst) to 5 (best)';
COMMENT ON COLUMN analytics.fct_csat.reply_to_message_key IS 'message_key of the question; one question may be answered several times, and the last answer counts';

CREATE VIEW analytics.fct_send_latency AS
SELECT
    a.command_id,
    a.attempt_no,
    c.phone_number_id,
    (ARRAY['otp', 'transactional', 'bulk'])[c.lane + 1] AS lane,
    c.type,
    greatest(c.appended_at, c.send_at) AS due_at,
    a.started_at,
    a.finished_at,
    extract(EPOCH FROM a.started_at - greatest(c.appended_at, c.send_at)) AS wait_seconds,
    extract(EPOCH FROM a.finished_at - a.started_at) AS call_seconds
FROM sender.send_attempts AS a
INNER JOIN sender.send_commands AS c ON c.command_id = a.command_id AND c.period = a.period
WHERE a.outcome = 'accepted';
COMMENT ON VIEW analytics.fct_send_latency IS 'How long commands took to be accepted, one row an accepted attempt, for as long as the sender''s ledger keeps them: 37 days and more';
COMMENT ON COLUMN analytics.fct_send_latency.command_id IS 'The producer''s id of the command';
COMMENT ON COLUMN analytics.fct_send_latency.attempt_no IS 'Which attempt was accepted';
COMMENT ON COLUMN analytics.fct_send_latency.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_send_latency.lane IS 'otp, transactional or bulk';
COMMENT ON COLUMN analytics.fct_send_latency.type IS 'Kind of message: text, template, image …';
COMMENT ON COLUMN analytics.fct_send_latency.due_at IS 'When the command was put into its lane''s topic, or the later instant before which it was not to be sent';
COMMENT ON COLUMN analytics.fct_send_latency.started_at IS 'When the call to Meta began';
COMMENT ON COLUMN analytics.fct_send_latency.finished_at IS 'When Meta answered it, or when it was given up if a webhook told of the acceptance';
COMMENT ON COLUMN analytics.fct_send_latency.wait_seconds IS 'Seconds from due_at to started_at: limits, order, stops and earlier attempts';
COMMENT ON COLUMN analytics.fct_send_latency.call_seconds IS 'Seconds from started_at to finished_at';

GRANT SELECT ON
analytics.fct_conversation, analytics.fct_legacy_conversation, analytics.fct_csat, analytics.fct_send_latency
TO parley_analytics;
