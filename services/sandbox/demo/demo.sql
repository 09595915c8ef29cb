-- What the demo's view shows. The closing line is not made of this.

-- funnel --
-- Commands by state, and how far the sent messages came; each step counts what went past it, too.
SELECT
    (SELECT count(*) FROM sender.send_commands),
    (SELECT count(*) FROM sender.send_commands WHERE state IN ('waiting', 'retry', 'started')),
    (SELECT count(*) FROM sender.send_commands WHERE state = 'accepted'),
    count(*) FILTER (WHERE m.sent_at IS NOT NULL OR m.delivered_at IS NOT NULL OR m.read_at IS NOT NULL),
    count(*) FILTER (WHERE m.delivered_at IS NOT NULL OR m.read_at IS NOT NULL),
    count(*) FILTER (WHERE m.read_at IS NOT NULL),
    count(*) FILTER (WHERE m.failed_at IS NOT NULL),
    (SELECT count(*) FROM sender.send_commands WHERE state = 'rejected'),
    (SELECT count(*) FROM sender.send_commands WHERE state = 'unknown'),
    (SELECT count(*) FROM sender.send_commands WHERE state = 'unresolved')
FROM projector.messages AS m
WHERE m.direction = 'outbound';

-- refused --
-- Refusals of the gate by reason.
SELECT reason, count(*) FROM sender.send_commands WHERE state IN ('refused', 'expired') GROUP BY reason ORDER BY count(*) DESC, reason;

-- waiting --
-- Commands of each number that wait for their turn.
SELECT phone_number_id, count(*) FROM sender.send_commands WHERE state IN ('waiting', 'retry') GROUP BY phone_number_id;

-- people --
-- Open windows, and people whose last word about anything was no.
SELECT
    (SELECT count(*) FROM projector.conversations WHERE last_inbound_at > now() - interval '24 hours'),
    (
        SELECT count(DISTINCT (phone_number_id, contact)) FROM projector.consents
        WHERE category = 'all' AND withdrawn_at IS NOT NULL AND (granted_at IS NULL OR granted_at <= withdrawn_at)
    ),
    (SELECT count(*) FROM projector.dead_letters);

-- last --
-- The messages that something happened to last.
SELECT
    greatest(accepted_at, sent_at, delivered_at, read_at, failed_at, occurred_at) AS at,
    coalesce(contact, ''),
    CASE
        WHEN direction = 'inbound' THEN 'writes'
        WHEN failed_at IS NOT NULL THEN 'failed'
        WHEN read_at IS NOT NULL THEN 'read'
        WHEN delivered_at IS NOT NULL THEN 'delivered'
        WHEN sent_at IS NOT NULL THEN 'sent'
        ELSE 'accepted'
    END,
    coalesce(template_name, type, '')
FROM projector.messages
ORDER BY 1 DESC NULLS LAST
LIMIT 12;

-- noted --
-- Whether a piece of evidence is there.
SELECT 1 FROM projector.consent_events WHERE consent_id = %s;

-- decided --
-- Whether a command is at its end.
SELECT 1 FROM sender.send_commands WHERE command_id = %s AND state IN ('accepted', 'refused', 'rejected', 'expired', 'unresolved');
