-- Views for analysts: no phone number, no name, no text, no raw webhook. Their role reads these and nothing else.
-- Meta's message id is base64 of the contact's number and more, so it leaves as a digest.

CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'Views over the read models for analysts; nobody can be recognised in them';

CREATE VIEW analytics.fct_message AS
SELECT
    encode(sha256(convert_to(wamid, 'UTF8')), 'hex') AS message_key,
    direction,
    phone_number_id,
    waba_id,
    type,
    lane,
    template_name,
    command_id,
    coalesce(occurred_at, least(sent_at, delivered_at, read_at, played_at, failed_at)) AS occurred_at,
    recorded_at,
    accepted_at,
    sent_at,
    delivered_at,
    read_at,
    played_at,
    failed_at,
    error_code,
    nullif(pricing_model, '') AS pricing_model,
    nullif(pricing_type, '') AS pricing_type,
    nullif(pricing_category, '') AS pricing_category,
    CASE
        WHEN direction = 'inbound' THEN NULL
        WHEN played_at IS NOT NULL THEN 'played'
        WHEN read_at IS NOT NULL THEN 'read'
        WHEN delivered_at IS NOT NULL THEN 'delivered'
        WHEN failed_at IS NOT NULL THEN 'failed'
        WHEN sent_at IS NOT NULL THEN 'sent'
        ELSE 'accepted'
    END AS delivery
FROM projector.messages;
COMMENT ON VIEW analytics.fct_message IS 'One row a message, both directions; delivery is the one word for an outbound message';

CREATE VIEW analytics.fct_window AS
SELECT
    phone_number_id,
    count(*) AS conversations,
    count(*) FILTER (WHERE last_inbound_at > now() - interval '24 hours') AS open_windows,
    count(*) FILTER (WHERE last_inbound_at <= now() - interval '24 hours') AS closed_windows,
    count(*) FILTER (WHERE last_inbound_at IS NULL) AS never_opened
FROM projector.conversations
GROUP BY phone_number_id;
COMMENT ON VIEW analytics.fct_window IS 'Customer service windows by business number, as of now';

CREATE VIEW analytics.ops_projection AS
SELECT projection, topic, partition, next_offset
FROM projector.positions;
COMMENT ON VIEW analytics.ops_projection IS 'How far the read models are in each partition of the log';

GRANT USAGE ON SCHEMA analytics TO parley_analytics;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO parley_analytics;
-- Views of a schema read what their owner may read, so the role needs no right on the tables beneath.

-- Settings of a role belong to the cluster, so another database of it may be setting the same at this moment.
DO $$
BEGIN
    ALTER ROLE parley_analytics SET default_transaction_read_only = on;
    ALTER ROLE parley_analytics SET statement_timeout = '30s';
EXCEPTION WHEN internal_error THEN
    IF SQLERRM <> 'tuple concurrently updated' THEN
        RAISE;
    END IF;
END
$$;
