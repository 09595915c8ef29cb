-- Which country a person is of, what messages cost, people as keys that nobody can count back, and how fresh the tables are.

ALTER TABLE projector.contacts ADD COLUMN country text COLLATE "C";
COMMENT ON COLUMN projector.contacts.country IS 'ISO 3166-1 alpha-2, as the number or user id tells it; null where it tells none';

CREATE TABLE registry.rates (
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    category text NOT NULL,
    valid_from date NOT NULL,
    price numeric NOT NULL CHECK (price >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (country, category, valid_from)
);
COMMENT ON TABLE registry.rates IS 'Meta''s rate card, as an operator loaded it: the price of one delivered message from a day on';
COMMENT ON COLUMN registry.rates.category IS 'Meta''s word in lower case with hyphens, as marketing-lite';

CREATE TABLE registry.contact_secret (
    only_one boolean PRIMARY KEY DEFAULT TRUE CHECK (only_one),
    secret bytea NOT NULL
);
COMMENT ON TABLE registry.contact_secret IS 'What keys of people are made with in analytics: without it nobody can tell whose a key is by trying numbers';
INSERT INTO registry.contact_secret (secret) VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

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
    coalesce(m.occurred_at, least(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at)) AS occurred_at,
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
FROM projector.messages AS m
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = m.contact;

CREATE VIEW analytics.dim_rate_card AS
SELECT country, category, valid_from, price, currency FROM registry.rates;
COMMENT ON VIEW analytics.dim_rate_card IS 'The rate card as it was loaded: one price a country, category and first day';

CREATE VIEW analytics.fct_cost AS
SELECT
    b.message_key,
    b.phone_number_id,
    b.waba_id,
    b.template_name,
    b.lane,
    b.contact_key,
    b.country,
    b.pricing_model,
    b.pricing_type,
    b.pricing_category,
    b.occurred_at,
    b.billed_at,
    b.cost_state,
    CASE b.cost_state WHEN 'free' THEN 0 WHEN 'regular' THEN r.price END AS cost,
    CASE b.cost_state WHEN 'regular' THEN r.currency END AS currency,
    b.cost_state = 'regular' AND r.price IS NULL AS is_rate_unknown
FROM (
    SELECT
        m.message_key,
        m.phone_number_id,
        m.waba_id,
        m.template_name,
        m.lane,
        m.contact_key,
        m.country,
        m.pricing_model,
        m.pricing_type,
        m.pricing_category,
        m.occurred_at,
        least(m.delivered_at, m.read_at, m.played_at) AS billed_at,
        CASE
            WHEN m.pricing_model = 'CBP' THEN 'by_conversation'
            WHEN m.pricing_category IS NULL OR m.pricing_type IS NULL THEN 'unpriced'
            WHEN m.pricing_type <> 'regular' THEN 'free'
            WHEN least(m.delivered_at, m.read_at, m.played_at) IS NULL THEN 'undelivered'
            ELSE 'regular'
        END AS cost_state
    FROM analytics.fct_message AS m
    WHERE m.direction = 'outbound'
) AS b
LEFT JOIN LATERAL (
    SELECT card.price, card.currency
    FROM registry.rates AS card
    WHERE card.country = b.country
        AND card.category = replace(lower(b.pricing_category), '_', '-')
        AND card.valid_from <= (b.billed_at AT TIME ZONE 'UTC')::date
    ORDER BY card.valid_from DESC
    LIMIT 1
) AS r ON b.cost_state = 'regular';
COMMENT ON VIEW analytics.fct_cost IS 'What each outbound message cost: Meta''s words of its price and the rate of its country on the day it was delivered';

CREATE VIEW analytics.agg_cost_day AS
SELECT
    (coalesce(billed_at, occurred_at) AT TIME ZONE 'UTC')::date AS day,
    waba_id,
    phone_number_id,
    country,
    pricing_category,
    cost_state,
    currency,
    count(*) AS messages,
    sum(cost) AS cost,
    count(*) FILTER (WHERE is_rate_unknown) AS messages_of_unknown_rate
FROM analytics.fct_cost
GROUP BY 1, 2, 3, 4, 5, 6, 7;
COMMENT ON VIEW analytics.agg_cost_day IS 'Costs by day (UTC), number, country and category; a message of an unknown rate has no cost and is counted';

GRANT SELECT ON analytics.dim_rate_card, analytics.fct_cost, analytics.agg_cost_day TO parley_analytics;

COMMENT ON COLUMN analytics.fct_message.contact_key IS 'The person, as a key that only this database can make; null of a group''s message or where nobody was named';
COMMENT ON COLUMN analytics.fct_message.country IS 'ISO 3166-1 alpha-2, as the person''s number or user id tells it';
COMMENT ON COLUMN analytics.fct_message.reply_to_message_key IS 'message_key of the message this one answers; that one may be unknown here';
COMMENT ON COLUMN analytics.fct_message.group_id IS 'Meta''s id of the group it was written in';
COMMENT ON COLUMN analytics.fct_message.origin IS 'command: sent for a command; contact: written by a person; copy: known from another app or history only; other_system: known by its statuses only';
COMMENT ON COLUMN analytics.fct_cost.billed_at IS 'When it was first known to be delivered: Meta bills what is delivered';
COMMENT ON COLUMN analytics.fct_cost.cost_state IS 'regular: billed; free: Meta says so; undelivered: not billed; by_conversation: priced with a conversation (until July 2025); unpriced: Meta named no price';
COMMENT ON COLUMN analytics.fct_cost.cost IS 'In `currency`, by the rate card; null where nothing is billed for it alone or the rate is unknown';
COMMENT ON COLUMN analytics.fct_cost.is_rate_unknown IS 'Billed, but no rate of the country and category is loaded for that day: counted, never guessed';

ALTER TABLE projector.positions ADD COLUMN last_record_at timestamptz, ADD COLUMN written_at timestamptz;
COMMENT ON COLUMN projector.positions.last_record_at IS 'When the last record before next_offset was appended to the log';
COMMENT ON COLUMN projector.positions.written_at IS 'When that was written here';

CREATE OR REPLACE VIEW analytics.ops_projection AS
SELECT
    projection,
    topic,
    partition,
    next_offset,
    last_record_at,
    written_at,
    extract(EPOCH FROM written_at - last_record_at) AS lag_seconds,
    extract(EPOCH FROM now() - written_at) AS idle_seconds
FROM projector.positions;
COMMENT ON COLUMN analytics.ops_projection.next_offset IS 'Everything before this offset of the partition is in the tables';
COMMENT ON COLUMN analytics.ops_projection.last_record_at IS 'When the last record that is in the tables was appended to the log';
COMMENT ON COLUMN analytics.ops_projection.lag_seconds IS 'How old that record was when it came into the tables';
COMMENT ON COLUMN analytics.ops_projection.idle_seconds IS 'How long ago that was: nothing came since, or nobody reads';
