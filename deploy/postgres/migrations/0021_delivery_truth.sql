-- How far each outbound message came and in what time, what Meta never said a word of, and numbers whose webhooks stopped.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file require-concurrent-index-creation

CREATE TABLE registry.silence (
    subject text PRIMARY KEY CHECK (subject IN ('otp', 'transactional', 'bulk', 'webhooks')),
    seconds integer NOT NULL CHECK (seconds > 0)
);
COMMENT ON TABLE registry.silence IS 'How long Meta may say nothing: of a message of the lane, or (webhooks) of everything about a number it accepts messages from. Change it by UPDATE';
COMMENT ON COLUMN registry.silence.seconds IS 'From the acceptance; a change counts at once, for what was accepted before too';
-- `delivered` waits for the person's phone and may take the TTL: 10 minutes of a code, 30 days of everything else. `sent` or `failed` comes when
-- a message leaves Meta, within seconds, so where there is no word at all X need not be a delivery's. otp: the TTL, after which Meta drops a
-- code unsaid. transactional: an hour, which leaves room for a webhook that Meta has to deliver again. bulk: a day, for Meta may hold templates
-- back to look at their quality. webhooks: of a number that messages are accepted from, minutes without a word of any message are too many.
INSERT INTO registry.silence (subject, seconds) VALUES ('otp', 600), ('transactional', 3600), ('bulk', 86400), ('webhooks', 600);

-- Acceptances are found where nothing is ever updated, and messages from there by their key. In an index of messages by their acceptance each
-- update by a status that leaves its page would write too: measured, 6 % more of Postgres' time for a message and its three statuses.
-- A mark as read is accepted without a message.
CREATE INDEX send_outcomes_accepted ON projector.send_outcomes (phone_number_id, occurred_at, lane)
WHERE kind = 'accepted' AND wamid IS NOT NULL;
CREATE INDEX messages_received ON projector.messages (phone_number_id, recorded_at) WHERE direction = 'inbound';

CREATE VIEW analytics.fct_delivery AS
SELECT
    m.message_key,
    m.command_id,
    m.origin,
    m.phone_number_id,
    m.waba_id,
    m.type,
    m.lane,
    m.template_name,
    m.country,
    m.occurred_at,
    m.accepted_at,
    m.sent_at,
    m.delivered_at,
    m.read_at,
    m.played_at,
    m.failed_at,
    m.error_code,
    CASE
        WHEN m.played_at IS NOT NULL THEN 'played'
        WHEN m.read_at IS NOT NULL THEN 'read'
        WHEN m.delivered_at IS NOT NULL THEN 'delivered'
        WHEN m.sent_at IS NOT NULL THEN 'sent'
        ELSE 'accepted'
    END AS stage,
    m.failed_at IS NOT NULL AS is_failed,
    CASE WHEN m.sent_at <= m.accepted_at THEN 0 ELSE extract(EPOCH FROM m.sent_at - m.accepted_at) END AS accepted_to_sent_seconds,
    CASE WHEN m.delivered_at <= m.sent_at THEN 0 ELSE extract(EPOCH FROM m.delivered_at - m.sent_at) END AS sent_to_delivered_seconds,
    CASE WHEN m.read_at <= m.delivered_at THEN 0 ELSE extract(EPOCH FROM m.read_at - m.delivered_at) END AS delivered_to_read_seconds,
    CASE WHEN m.failed_at <= m.accepted_at THEN 0 ELSE extract(EPOCH FROM m.failed_at - m.accepted_at) END AS accepted_to_failed_seconds,
    CASE
        WHEN m.origin <> 'command' OR num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at) > 0 THEN NULL
        WHEN m.accepted_at <= now() - make_interval(secs => x.seconds) THEN 'silent'
        ELSE 'awaited'
    END AS silence
FROM analytics.fct_message AS m
LEFT JOIN registry.silence AS x ON x.subject = m.lane
WHERE m.direction = 'outbound';
COMMENT ON VIEW analytics.fct_delivery IS 'The way of each outbound message, one row a message: when it reached each stage, in what time, and whether Meta said anything';
COMMENT ON COLUMN analytics.fct_delivery.message_key IS 'The message, as in fct_message';
COMMENT ON COLUMN analytics.fct_delivery.command_id IS 'The producer''s id of the command it was sent for';
COMMENT ON COLUMN analytics.fct_delivery.origin IS 'command: sent for a command; other_system: known by its statuses only, so another system of the account sent it; copy: sent by hand in the app';
COMMENT ON COLUMN analytics.fct_delivery.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_delivery.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_delivery.type IS 'Meta''s word for the kind of message; null while only statuses are known';
COMMENT ON COLUMN analytics.fct_delivery.lane IS 'otp, transactional or bulk; null for what was not sent for a command';
COMMENT ON COLUMN analytics.fct_delivery.template_name IS 'Of a template message';
COMMENT ON COLUMN analytics.fct_delivery.country IS 'ISO 3166-1 alpha-2 of the recipient';
COMMENT ON COLUMN analytics.fct_delivery.occurred_at IS 'When it was written or accepted; where only statuses are known, the first of them';
COMMENT ON COLUMN analytics.fct_delivery.accepted_at IS 'When Meta accepted it from us, by our clock, in milliseconds; null for what was not sent for a command';
COMMENT ON COLUMN analytics.fct_delivery.sent_at IS 'First status sent, by Meta''s clock, in whole seconds; a later status may come without it';
COMMENT ON COLUMN analytics.fct_delivery.delivered_at IS 'First status delivered, likewise';
COMMENT ON COLUMN analytics.fct_delivery.read_at IS 'First status read, likewise; people may switch it off';
COMMENT ON COLUMN analytics.fct_delivery.played_at IS 'First status played, likewise, of voice messages';
COMMENT ON COLUMN analytics.fct_delivery.failed_at IS 'First status failed, likewise';
COMMENT ON COLUMN analytics.fct_delivery.error_code IS 'Meta''s code of that failure';
COMMENT ON COLUMN analytics.fct_delivery.stage IS 'The furthest that it came: accepted, sent, delivered, read or played, whether or not it failed too';
COMMENT ON COLUMN analytics.fct_delivery.is_failed IS 'Whether Meta ever said that it failed; beside the stage, for Meta may tell both: one device of a person got it, another did not';
COMMENT ON COLUMN analytics.fct_delivery.accepted_to_sent_seconds IS 'Seconds from acceptance to sent, true to one second; 0 where Meta''s whole seconds would make it negative. Null where either is not known';
COMMENT ON COLUMN analytics.fct_delivery.sent_to_delivered_seconds IS 'Seconds from sent to delivered, likewise';
COMMENT ON COLUMN analytics.fct_delivery.delivered_to_read_seconds IS 'Seconds from delivered to read, likewise';
COMMENT ON COLUMN analytics.fct_delivery.accepted_to_failed_seconds IS 'Seconds from acceptance to failed, likewise';
COMMENT ON COLUMN analytics.fct_delivery.silence IS 'Of what was sent for a command and has no status of any kind: awaited, or silent once it was accepted longer ago than its lane''s time in registry.silence. Null as soon as there is a status';

CREATE VIEW analytics.ops_number AS
SELECT
    n.phone_number_id,
    n.waba_id,
    n.state,
    accepted.last_accepted_at,
    status.last_status_at,
    inbound.last_inbound_at,
    unheard.unheard_since,
    (
        SELECT count(*)
        FROM projector.send_outcomes AS o
        WHERE o.phone_number_id = n.phone_number_id AND o.kind = 'accepted' AND o.wamid IS NOT NULL
            AND o.occurred_at > now() - interval '1 hour'
    ) AS accepted_last_hour,
    (
        SELECT count(*)
        FROM projector.send_outcomes AS o
        WHERE o.phone_number_id = n.phone_number_id AND o.kind = 'accepted' AND o.wamid IS NOT NULL
            AND o.occurred_at > now() - interval '1 hour'
            AND (
                SELECT num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at)
                FROM projector.messages AS m
                WHERE m.wamid = o.wamid
            ) = 0
    ) AS without_status_last_hour,
    (
        SELECT coalesce(sum(lane.messages), 0)::bigint
        FROM registry.silence AS x
        CROSS JOIN LATERAL (
            SELECT count(*) AS messages
            FROM (
                SELECT o.wamid
                FROM projector.send_outcomes AS o
                WHERE o.phone_number_id = n.phone_number_id AND o.kind = 'accepted' AND o.wamid IS NOT NULL
                    AND o.lane = x.subject
                    AND o.occurred_at > now() - make_interval(hours => 1, secs => x.seconds)
                    AND o.occurred_at <= now() - make_interval(secs => x.seconds)
                ORDER BY o.occurred_at DESC
                LIMIT 20000
            ) AS due
            WHERE (
                SELECT num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at)
                FROM projector.messages AS m
                WHERE m.wamid = due.wamid
            ) = 0
        ) AS lane
    ) AS silent_last_hour,
    CASE
        WHEN unheard.unheard_since <= now() - make_interval(secs => patience.seconds) THEN 'stopped'
        WHEN greatest(accepted.last_accepted_at, status.last_status_at, inbound.last_inbound_at) > now() - interval '1 day'
            THEN 'flowing'
        ELSE 'idle'
    END AS webhooks
FROM registry.phone_numbers AS n
LEFT JOIN registry.silence AS patience ON patience.subject = 'webhooks'
CROSS JOIN LATERAL (
    SELECT max(o.occurred_at) AS last_accepted_at
    FROM projector.send_outcomes AS o
    WHERE o.phone_number_id = n.phone_number_id AND o.kind = 'accepted' AND o.wamid IS NOT NULL
) AS accepted
-- Of each message Meta says `sent` or `failed` first; for failures, and for what is read long after, the newest messages are looked at.
CROSS JOIN LATERAL (
    SELECT greatest(
        (SELECT max(s.occurred_at) FROM projector.message_statuses AS s WHERE s.phone_number_id = n.phone_number_id AND s.status = 'sent'),
        max(
            (
                SELECT greatest(m.delivered_at, m.read_at, m.played_at, m.failed_at)
                FROM projector.messages AS m
                WHERE m.wamid = newest.wamid
            )
        )
    ) AS last_status_at
    FROM (
        SELECT o.wamid
        FROM projector.send_outcomes AS o
        WHERE o.phone_number_id = n.phone_number_id AND o.kind = 'accepted' AND o.wamid IS NOT NULL
        ORDER BY o.occurred_at DESC
        LIMIT 100
    ) AS newest
) AS status
CROSS JOIN LATERAL (
    SELECT max(m.recorded_at) AS last_inbound_at
    FROM projector.messages AS m
    WHERE m.phone_number_id = n.phone_number_id AND m.direction = 'inbound'
) AS inbound
-- A status may come before the answer that it is about: such a message waits for no word.
CROSS JOIN LATERAL (
    SELECT min(later.occurred_at) AS unheard_since
    FROM (
        SELECT o.occurred_at, o.wamid
        FROM projector.send_outcomes AS o
        WHERE o.phone_number_id = n.phone_number_id AND o.kind = 'accepted' AND o.wamid IS NOT NULL
            AND o.occurred_at > greatest(status.last_status_at, inbound.last_inbound_at, now() - interval '7 days')
        ORDER BY o.occurred_at
        LIMIT 1000
    ) AS later
    WHERE (
        SELECT num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at)
        FROM projector.messages AS m
        WHERE m.wamid = later.wamid
    ) = 0
) AS unheard;
COMMENT ON VIEW analytics.ops_number IS 'Whether Meta tells us of each business number what it should, by what is in the tables: how far these are behind, ops_projection shows';
COMMENT ON COLUMN analytics.ops_number.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.ops_number.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.ops_number.state IS 'active, paused or disabled, as the operator says';
COMMENT ON COLUMN analytics.ops_number.last_accepted_at IS 'When Meta last accepted a message from us';
COMMENT ON COLUMN analytics.ops_number.last_status_at IS 'What Meta last said of a message of the number, by its clock, in whole seconds: sent of any message, another system''s too, or any status of the hundred that were accepted last';
COMMENT ON COLUMN analytics.ops_number.last_inbound_at IS 'When the last webhook with a message of a person came to us';
COMMENT ON COLUMN analytics.ops_number.unheard_since IS 'When the first of the messages was accepted after which nothing came of this number; null where something did, or none was accepted in 7 days: as long as Meta delivers a webhook again';
COMMENT ON COLUMN analytics.ops_number.accepted_last_hour IS 'Messages accepted in the last hour';
COMMENT ON COLUMN analytics.ops_number.without_status_last_hour IS 'Of these, how many have no status of any kind yet';
COMMENT ON COLUMN analytics.ops_number.silent_last_hour IS 'Messages that became silent, as in fct_delivery, in the last hour and are still; of each lane the last 20,000 that could have are looked at';
COMMENT ON COLUMN analytics.ops_number.webhooks IS 'stopped: messages were accepted, and neither a status nor a message came for longer than registry.silence allows; flowing: something was accepted or came in the last day, and nothing is overdue; idle: nothing was, so nothing is to be expected';

GRANT SELECT ON analytics.fct_delivery, analytics.ops_number TO parley_analytics;
-- The projector shows in its metrics what people read here.
GRANT USAGE ON SCHEMA analytics TO parley_projector;
GRANT SELECT ON analytics.ops_number TO parley_projector;
