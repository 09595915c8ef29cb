-- Views of which a range of time reads what is near it: messages, and how long sends took.

-- In two halves, for an index of a column does not find what is compared with an expression of several.
CREATE OR REPLACE VIEW analytics.fct_message AS
SELECT
    encode(sha256(convert_to(m.wamid, 'UTF8')), 'hex') AS message_key,
    m.direction,
    m.phone_number_id,
    m.waba_id,
    m.type,
    m.lane,
    m.template_name,
    m.command_id,
    m.known_at AS occurred_at,
    m.recorded_at,
    m.accepted_at,
    m.sent_at,
    m.delivered_at,
    m.read_at,
    m.played_at,
    m.failed_at,
    m.error_code,
    nullif(m.pricing_model, '') AS pricing_model,
    nullif(m.pricing_type, '') AS pricing_type,
    nullif(m.pricing_category, '') AS pricing_category,
    CASE
        WHEN m.direction = 'inbound' THEN NULL
        WHEN m.played_at IS NOT NULL THEN 'played'
        WHEN m.read_at IS NOT NULL THEN 'read'
        WHEN m.delivered_at IS NOT NULL THEN 'delivered'
        WHEN m.failed_at IS NOT NULL THEN 'failed'
        WHEN m.sent_at IS NOT NULL THEN 'sent'
        ELSE 'accepted'
    END AS delivery,
    encode(sha256(k.secret || convert_to(m.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    encode(sha256(convert_to(m.context_wamid, 'UTF8')), 'hex') AS reply_to_message_key,
    m.group_id,
    CASE
        WHEN m.command_id IS NOT NULL THEN 'command'
        WHEN m.is_copy THEN 'copy'
        WHEN m.direction = 'inbound' THEN 'contact'
        ELSE 'other_system'
    END AS origin
FROM (
    SELECT
        d.wamid, d.direction, d.phone_number_id, d.waba_id, d.contact, d.type, d.lane, d.template_name, d.command_id, d.recorded_at,
        d.accepted_at, d.sent_at, d.delivered_at, d.read_at, d.played_at, d.failed_at, d.error_code, d.pricing_model,
        d.pricing_type, d.pricing_category, d.context_wamid, d.group_id, d.is_copy, d.occurred_at AS known_at
    FROM projector.messages AS d
    WHERE d.occurred_at IS NOT NULL
    UNION ALL
    SELECT
        u.wamid, u.direction, u.phone_number_id, u.waba_id, u.contact, u.type, u.lane, u.template_name, u.command_id, u.recorded_at,
        u.accepted_at, u.sent_at, u.delivered_at, u.read_at, u.played_at, u.failed_at, u.error_code, u.pricing_model,
        u.pricing_type, u.pricing_category, u.context_wamid, u.group_id, u.is_copy,
        least(u.sent_at, u.delivered_at, u.read_at, u.played_at, u.failed_at)
    FROM projector.messages AS u
    WHERE u.occurred_at IS NULL
) AS m
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = m.contact;
COMMENT ON COLUMN analytics.fct_message.occurred_at IS 'When it was written or accepted; where only statuses are known, the first of them. A range of it reads the messages of that range, a range of another time all there are';
COMMENT ON COLUMN analytics.fct_message.accepted_at IS 'When Meta accepted it from us: then the same as occurred_at, by which it is found';

-- A sender's attempts are found by shard and time, and there are as many shards as partitions.
CREATE OR REPLACE VIEW analytics.fct_send_latency AS
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
FROM sender.shards AS s
INNER JOIN sender.send_attempts AS a ON a.shard = s.shard
CROSS JOIN LATERAL (
    -- OFFSET: row by row by its key, never by a join with all commands.
    SELECT k.phone_number_id, k.lane, k.type, k.appended_at, k.send_at FROM sender.send_commands AS k
    WHERE k.command_id = a.command_id AND k.period = a.period
    OFFSET 0
) AS c
WHERE a.outcome = 'accepted';
COMMENT ON COLUMN analytics.fct_send_latency.started_at IS 'When the call to Meta began. A range of it reads the attempts of that range';
