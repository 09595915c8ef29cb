-- Conversations are found from the messages that open them, one by one: a range of time no longer sorts all messages there ever
-- were. Asked for without one, the view takes three to four times as long as before.

-- An inbound message opens a window or lengthens it, as in services/projector/projections/conversations.py (ADR 10). Whether it
-- opens one is known from the 24 hours before it, and where the window ends from the messages that follow: for a range of opened_at
-- nothing else is read.
CREATE OR REPLACE VIEW analytics.fct_conversation AS
WITH words AS NOT MATERIALIZED (
    SELECT
        m.phone_number_id,
        m.contact,
        m.waba_id,
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
)

SELECT
    encode(
        sha256(k.secret || convert_to(s.phone_number_id || '/' || s.contact || '/' || extract(EPOCH FROM s.opened_at), 'UTF8')),
        'hex'
    ) AS conversation_key,
    s.phone_number_id,
    w.waba_id,
    encode(sha256(k.secret || convert_to(s.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    s.opened_at,
    l.last_inbound_at,
    l.last_inbound_at + interval '24 hours' AS closes_at,
    w.inbound,
    w.outbound,
    w.templates,
    w.first_response_at,
    w.first_response_at IS NOT NULL AS is_answered,
    extract(EPOCH FROM w.first_response_at - s.opened_at) AS response_seconds,
    CASE
        WHEN h.time_zone IS NOT NULL AND w.first_response_at IS NOT NULL THEN (
            SELECT coalesce(sum(extract(EPOCH FROM least(w.first_response_at, o.until) - greatest(s.opened_at, o.since))), 0)
            FROM (
                SELECT
                    (d.day + b.opens) AT TIME ZONE h.time_zone AS since,
                    (d.day + b.closes) AT TIME ZONE h.time_zone AS until
                FROM (
                    SELECT (s.opened_at AT TIME ZONE h.time_zone)::date + n AS day
                    FROM generate_series(
                        0, (w.first_response_at AT TIME ZONE h.time_zone)::date - (s.opened_at AT TIME ZONE h.time_zone)::date
                    ) AS n
                ) AS d
                INNER JOIN registry.business_hours AS b
                    ON b.scope = h.scope AND b.scope_id = h.scope_id AND b.weekday = extract(ISODOW FROM d.day)
            ) AS o
            WHERE least(w.first_response_at, o.until) > greatest(s.opened_at, o.since)
        )
    END AS response_business_seconds,
    EXISTS (
        SELECT FROM projector.priced_conversations AS p
        WHERE p.phone_number_id = s.phone_number_id AND p.contact = s.contact AND p.origin_type = 'referral_conversion'
            AND p.first_status_at >= s.opened_at AND p.first_status_at < l.last_inbound_at + interval '24 hours'
    ) AS is_free_entry_point,
    (
        SELECT max(coalesce(p.expires_at, p.first_status_at + interval '72 hours'))
        FROM projector.priced_conversations AS p
        WHERE p.phone_number_id = s.phone_number_id AND p.contact = s.contact AND p.origin_type = 'referral_conversion'
            AND p.first_status_at >= s.opened_at AND p.first_status_at < l.last_inbound_at + interval '24 hours'
    ) AS free_until
FROM (
    SELECT DISTINCT f.phone_number_id, f.contact, f.occurred_at AS opened_at
    FROM words AS f
    WHERE f.opens
) AS s
CROSS JOIN LATERAL (
    -- In the order of the index, and no further than to the first silence.
    SELECT i.occurred_at AS last_inbound_at
    FROM (
        SELECT n.occurred_at, lead(n.occurred_at) OVER (ORDER BY n.occurred_at) AS next_at
        FROM words AS n
        WHERE n.phone_number_id = s.phone_number_id AND n.contact = s.contact AND n.opens AND n.occurred_at >= s.opened_at
    ) AS i
    WHERE coalesce(i.next_at >= i.occurred_at + interval '24 hours', TRUE)
    ORDER BY i.occurred_at LIMIT 1
) AS l
CROSS JOIN LATERAL (
    SELECT
        min(a.waba_id) AS waba_id,
        count(*) FILTER (WHERE a.opens) AS inbound,
        count(*) FILTER (WHERE NOT a.opens) AS outbound,
        count(*) FILTER (WHERE NOT a.opens AND a.is_template) AS templates,
        min(a.occurred_at) FILTER (WHERE NOT a.opens AND NOT a.is_failed) AS first_response_at
    FROM words AS a
    WHERE a.phone_number_id = s.phone_number_id AND a.contact = s.contact
        AND a.occurred_at >= s.opened_at AND a.occurred_at < l.last_inbound_at + interval '24 hours'
) AS w
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = s.contact
LEFT JOIN (
    SELECT DISTINCT ON (n.phone_number_id) n.phone_number_id, g.scope, g.scope_id, g.time_zone
    FROM registry.phone_numbers AS n
    INNER JOIN registry.business_calendars AS g
        ON (g.scope = 'number' AND g.scope_id = n.phone_number_id) OR (g.scope = 'tenant' AND g.scope_id = n.tenant_id)
    ORDER BY n.phone_number_id, g.scope
) AS h ON h.phone_number_id = s.phone_number_id
WHERE (
    SELECT max(b.occurred_at) FROM words AS b
    WHERE b.phone_number_id = s.phone_number_id AND b.contact = s.contact AND b.opens
        AND b.occurred_at < s.opened_at AND b.occurred_at > s.opened_at - interval '24 hours'
) IS NULL;
COMMENT ON COLUMN analytics.fct_conversation.opened_at IS 'Meta''s instant of the person''s first message in it. A range of it reads the messages of that range and of the conversations that it finds; a range of another time reads all there are';
