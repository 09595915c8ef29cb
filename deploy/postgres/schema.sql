-- Everything that the migrations make, in one file, to be read. Written by `make schema`; a test holds it against the migrations.
-- A database is made by `parley migrate`: this file has no rows, no roles and no partitions, of which there are others each day.

SET check_function_bodies = false;

CREATE SCHEMA analytics;

COMMENT ON SCHEMA analytics IS 'Views over the read models for analysts; nobody can be recognised in them';

CREATE SCHEMA projector;

COMMENT ON SCHEMA projector IS 'Read models, rebuilt from the log at any time; written by the projector alone';

CREATE SCHEMA registry;

COMMENT ON SCHEMA registry IS 'What operators declare: business numbers, their limits and access tokens';

CREATE SCHEMA sender;

COMMENT ON SCHEMA sender IS 'Commands, attempts and ownership of the service that calls Meta';

CREATE FUNCTION projector.add_month(wanted date) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
DECLARE
    since timestamptz := date_trunc('month', wanted::timestamp) AT TIME ZONE 'UTC';
    ends timestamptz := (date_trunc('month', wanted::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    parent name;
    part name;
    added integer := 0;
BEGIN
    FOR parent IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'projector'::regnamespace AND c.relkind = 'p' ORDER BY c.relname
    LOOP
        part := parent || to_char(wanted, '_YYYYMM');
        CONTINUE WHEN to_regclass(format('projector.%I', part)) IS NOT NULL;
        EXECUTE format('CREATE TABLE projector.%I (LIKE projector.%I INCLUDING ALL EXCLUDING COMMENTS)', part, parent);
        -- What came before its month was made stands in the rest; nobody adds to it until the month is there.
        EXECUTE format('LOCK TABLE projector.%I IN SHARE ROW EXCLUSIVE MODE', parent || '_rest');
        EXECUTE format(
            'WITH moved AS (DELETE FROM projector.%I WHERE occurred_at >= $1 AND occurred_at < $2 RETURNING *)'
            ' INSERT INTO projector.%I SELECT * FROM moved', parent || '_rest', part
        ) USING since, ends;
        EXECUTE format(
            'ALTER TABLE projector.%I ATTACH PARTITION projector.%I FOR VALUES FROM (%L) TO (%L)', parent, part, since, ends
        );
        added := added + 1;
    END LOOP;
    RETURN added;
END
$_$;

COMMENT ON FUNCTION projector.add_month(wanted date) IS 'Make room for a month, where there is none; how many partitions that made';

CREATE FUNCTION projector.drop_months(ended timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
DECLARE
    parent name;
    part name;
    dropped integer := 0;
BEGIN
    FOR parent IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'projector'::regnamespace AND c.relkind = 'p' ORDER BY c.relname
    LOOP
        FOR part IN
            SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid
            WHERE i.inhparent = format('projector.%I', parent)::regclass AND c.relname ~ '_\d{6}$'
                AND (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC' <= ended
            ORDER BY c.relname
        LOOP
            EXECUTE format('DROP TABLE projector.%I', part);
            dropped := dropped + 1;
        END LOOP;
        EXECUTE format('DELETE FROM projector.%I WHERE occurred_at < $1', parent || '_rest') USING ended;
        INSERT INTO registry.dropped_months AS known (relation, before) VALUES (parent, ended)
        ON CONFLICT (relation) DO UPDATE SET before = greatest(known.before, excluded.before);
    END LOOP;
    RETURN dropped;
END
$_$;

COMMENT ON FUNCTION projector.drop_months(ended timestamp with time zone) IS 'Drop the months that ended by then, and what came late for them';

CREATE FUNCTION projector.keep_months(kept integer, OUT added integer, OUT dropped integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
    this timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    past date;
BEGIN
    added := 0;
    dropped := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('projector.keep_months', 0));
    FOR ahead IN 0..2 LOOP
        added := added + projector.add_month((this + make_interval(months => ahead))::date);
    END LOOP;
    -- Of a log that is older than the tables: months that are worth a part of their own.
    FOR past IN
        SELECT date_trunc('month', r.occurred_at AT TIME ZONE 'UTC')::date
        FROM (
            SELECT s.occurred_at FROM projector.message_statuses_rest AS s
            UNION ALL SELECT o.occurred_at FROM projector.send_outcomes_rest AS o
        ) AS r
        WHERE r.occurred_at BETWEEN now() - interval '10 years' AND now()
        GROUP BY 1
        HAVING count(*) >= 1000
    LOOP
        added := added + projector.add_month(past);
    END LOOP;
    IF kept > 0 THEN
        dropped := projector.drop_months((this - make_interval(months => kept)) AT TIME ZONE 'UTC');
    END IF;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    added := 0;
    dropped := 0;  -- somebody reads for long: the next call does it, and until then the rest has room
END
$$;

COMMENT ON FUNCTION projector.keep_months(kept integer, OUT added integer, OUT dropped integer) IS 'Make this month, the next two and past ones of which there is much; with `kept`, drop those that ended so many months before this one';

CREATE FUNCTION projector.names_of(given text[]) RETURNS TABLE(name text, since timestamp with time zone, until timestamp with time zone)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    WITH RECURSIVE known (name, at) AS (
        SELECT g.name COLLATE "C", 'infinity'::timestamptz FROM unnest(given) AS g (name) WHERE g.name IS NOT NULL
        UNION
        SELECT link.name, link.at
        FROM known AS k
        CROSS JOIN LATERAL (
            SELECT a.contact AS name, a.first_seen_at AS at FROM projector.contact_aliases AS a WHERE a.alias = k.name
            UNION ALL
            SELECT a.alias, a.first_seen_at FROM projector.contact_aliases AS a WHERE a.contact = k.name
            UNION ALL
            SELECT m.contact, m.moved_at FROM projector.contact_moves AS m WHERE m.alias = k.name
            UNION ALL
            SELECT m.alias, m.moved_at FROM projector.contact_moves AS m WHERE m.contact = k.name
        ) AS link
        WHERE NOT EXISTS (
            SELECT FROM projector.contact_moves AS gone
            WHERE gone.alias = k.name AND gone.moved_at >= least(k.at, link.at) AND gone.moved_at < greatest(k.at, link.at)
        )
    )

    SELECT DISTINCT
        k.name,
        (SELECT max(m.moved_at) FROM projector.contact_moves AS m WHERE m.alias = k.name AND m.moved_at < k.at),
        (SELECT min(m.moved_at) FROM projector.contact_moves AS m WHERE m.alias = k.name AND m.moved_at >= k.at)
    FROM known AS k
$$;

COMMENT ON FUNCTION projector.names_of(given text[]) IS 'Every name of the person who has the given ones today. A number changes hands: what was written under it counts for this person after `since` and until `until`; null is no bound';

CREATE FUNCTION sender.add_period(wanted integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    parent name;
    is_new boolean := FALSE;
BEGIN
    FOR parent IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'sender'::regnamespace AND c.relkind = 'p' ORDER BY c.relname DESC
    LOOP
        IF to_regclass(format('sender.%I', parent || '_' || wanted)) IS NULL THEN
            EXECUTE format('CREATE TABLE sender.%I (LIKE sender.%I INCLUDING ALL) WITH (fillfactor = 80)', parent || '_' || wanted, parent);
            EXECUTE format('ALTER TABLE sender.%I ATTACH PARTITION sender.%I FOR VALUES IN (%s)', parent, parent || '_' || wanted, wanted);
            is_new := TRUE;
        END IF;
    END LOOP;
    RETURN is_new;
END
$$;

COMMENT ON FUNCTION sender.add_period(wanted integer) IS 'Make room for a period, unless it is there; true when it was not';

CREATE FUNCTION sender.drop_period(old integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
DECLARE
    parents name [] := ARRAY(
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'sender'::regnamespace AND c.relkind = 'p' ORDER BY c.relname DESC
    );
    parent name;
    is_open boolean := FALSE;
BEGIN
    FOR attempt IN 1..2 LOOP
        -- Looked at before anything is locked, and again when nobody can write any more.
        EXECUTE format(
            'SELECT EXISTS (SELECT FROM sender.%1$I WHERE state IN (''waiting'', ''retry''))'
            ' OR EXISTS (SELECT FROM sender.%1$I WHERE state IN (''started'', ''unknown''))',
            'send_commands_' || old
        ) INTO is_open;
        IF is_open THEN
            RETURN FALSE;
        END IF;
        IF attempt = 1 THEN
            FOREACH parent IN ARRAY parents LOOP
                EXECUTE format('LOCK TABLE ONLY sender.%I IN ACCESS EXCLUSIVE MODE', parent);
            END LOOP;
        END IF;
    END LOOP;
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('DROP TABLE sender.%I', parent || '_' || old);
    END LOOP;
    RETURN TRUE;
END
$_$;

COMMENT ON FUNCTION sender.drop_period(old integer) IS 'Drop a period in which nothing is open; false when something is';

CREATE FUNCTION sender.keep_periods(OUT added integer, OUT dropped integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $_$
DECLARE
    this integer := sender.period_of(now());
    old integer;
BEGIN
    added := 0;
    dropped := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('sender.keep_periods', 0));
    FOR wanted IN this..this + 1 LOOP
        added := added + sender.add_period(wanted)::integer;
    END LOOP;
    FOR old IN
        SELECT substring(c.relname FROM '\d+$')::integer FROM pg_class AS c JOIN pg_inherits AS i ON i.inhrelid = c.oid
        WHERE i.inhparent = 'sender.send_commands'::regclass
            AND substring(c.relname FROM '\d+$')::integer < sender.period_of(now() - interval '37 days')
        ORDER BY 1
    LOOP
        BEGIN
            dropped := dropped + sender.drop_period(old)::integer;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RETURN;  -- somebody reads for long: the next call drops it
        END;
    END LOOP;
END
$_$;

COMMENT ON FUNCTION sender.keep_periods(OUT added integer, OUT dropped integer) IS 'Make this period and the next, drop those that ended 37 days ago and have nothing open: 30 days of idempotency, which is also the longest life of a command, and 7 in which Meta may tell of its message';

CREATE FUNCTION sender.period_of(at timestamp with time zone) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT floor(extract(epoch FROM at) / 864000)::integer $$;

COMMENT ON FUNCTION sender.period_of(at timestamp with time zone) IS 'The number of an instant''s period: ten days each, counted from 1970';

CREATE TABLE projector.contacts (
    contact text NOT NULL COLLATE pg_catalog."C",
    bsuid text COLLATE pg_catalog."C",
    wa_id text COLLATE pg_catalog."C",
    wa_id_at timestamp with time zone,
    profile_name text COLLATE pg_catalog."C",
    profile_name_at timestamp with time zone,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone,
    superseded_by text COLLATE pg_catalog."C",
    superseded_at timestamp with time zone,
    country text COLLATE pg_catalog."C"
)
WITH (fillfactor='85');

COMMENT ON TABLE projector.contacts IS 'People: key is the BSUID where Meta gave one, else the wa_id';

COMMENT ON COLUMN projector.contacts.wa_id IS 'As Meta last told it with a message of the contact, at wa_id_at; contact_aliases has every one';

COMMENT ON COLUMN projector.contacts.profile_name IS 'As Meta last told it, at profile_name_at';

COMMENT ON COLUMN projector.contacts.first_seen_at IS 'First event of any kind that named the contact';

COMMENT ON COLUMN projector.contacts.last_seen_at IS 'Last message from the contact; null when there was none';

COMMENT ON COLUMN projector.contacts.superseded_by IS 'The contact that this one became: another number or user id of the same person, as of superseded_at';

COMMENT ON COLUMN projector.contacts.country IS 'ISO 3166-1 alpha-2, as the number or user id tells it; null where it tells none';

CREATE TABLE projector.messages (
    wamid text NOT NULL COLLATE pg_catalog."C",
    direction text NOT NULL COLLATE pg_catalog."C",
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    waba_id text COLLATE pg_catalog."C",
    contact text COLLATE pg_catalog."C",
    event_id text COLLATE pg_catalog."C",
    recorded_at timestamp with time zone,
    occurred_at timestamp with time zone,
    type text,
    text text,
    payload text,
    context_wamid text,
    group_id text,
    raw text,
    command_id text,
    attempt_id text,
    attempt_no integer,
    lane text,
    template_name text,
    accepted_at timestamp with time zone,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    played_at timestamp with time zone,
    failed_at timestamp with time zone,
    error_code integer,
    error_title text COLLATE pg_catalog."C",
    priced_at timestamp with time zone,
    pricing_model text COLLATE pg_catalog."C",
    pricing_type text COLLATE pg_catalog."C",
    pricing_category text COLLATE pg_catalog."C",
    is_copy boolean,
    field text
)
WITH (fillfactor='80');

COMMENT ON TABLE projector.messages IS 'One row a message, both directions, from inbound messages, accepted sends and statuses in any order';

COMMENT ON COLUMN projector.messages.event_id IS 'The first event that described the message; null while only statuses are known';

COMMENT ON COLUMN projector.messages.priced_at IS 'Of the status that carried the pricing kept here: the last one that had any';

COMMENT ON COLUMN projector.messages.is_copy IS 'Known only as an echo, from history or from a conversation that another app handled; the message itself takes its place';

COMMENT ON COLUMN projector.messages.field IS 'Webhook field that described the message; null for our own sends';

CREATE TABLE registry.contact_secret (
    only_one boolean DEFAULT true NOT NULL,
    secret bytea NOT NULL,
    CONSTRAINT contact_secret_only_one_check CHECK (only_one)
);

COMMENT ON TABLE registry.contact_secret IS 'What keys of people are made with in analytics: without it nobody can tell whose a key is by trying numbers';

CREATE VIEW analytics.fct_message AS
 SELECT encode(sha256(convert_to(m.wamid, 'UTF8'::name)), 'hex'::text) AS message_key,
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
    NULLIF(m.pricing_model, ''::text) AS pricing_model,
    NULLIF(m.pricing_type, ''::text) AS pricing_type,
    NULLIF(m.pricing_category, ''::text) AS pricing_category,
        CASE
            WHEN (m.direction = 'inbound'::text) THEN NULL::text
            WHEN (m.played_at IS NOT NULL) THEN 'played'::text
            WHEN (m.read_at IS NOT NULL) THEN 'read'::text
            WHEN (m.delivered_at IS NOT NULL) THEN 'delivered'::text
            WHEN (m.failed_at IS NOT NULL) THEN 'failed'::text
            WHEN (m.sent_at IS NOT NULL) THEN 'sent'::text
            ELSE 'accepted'::text
        END AS delivery,
    encode(sha256((k.secret || convert_to(m.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    encode(sha256(convert_to(m.context_wamid, 'UTF8'::name)), 'hex'::text) AS reply_to_message_key,
    m.group_id,
        CASE
            WHEN (m.command_id IS NOT NULL) THEN 'command'::text
            WHEN m.is_copy THEN 'copy'::text
            WHEN (m.direction = 'inbound'::text) THEN 'contact'::text
            ELSE 'other_system'::text
        END AS origin
   FROM ((( SELECT d.wamid,
            d.direction,
            d.phone_number_id,
            d.waba_id,
            d.contact,
            d.type,
            d.lane,
            d.template_name,
            d.command_id,
            d.recorded_at,
            d.accepted_at,
            d.sent_at,
            d.delivered_at,
            d.read_at,
            d.played_at,
            d.failed_at,
            d.error_code,
            d.pricing_model,
            d.pricing_type,
            d.pricing_category,
            d.context_wamid,
            d.group_id,
            d.is_copy,
            d.occurred_at AS known_at
           FROM projector.messages d
          WHERE (d.occurred_at IS NOT NULL)
        UNION ALL
         SELECT u.wamid,
            u.direction,
            u.phone_number_id,
            u.waba_id,
            u.contact,
            u.type,
            u.lane,
            u.template_name,
            u.command_id,
            u.recorded_at,
            u.accepted_at,
            u.sent_at,
            u.delivered_at,
            u.read_at,
            u.played_at,
            u.failed_at,
            u.error_code,
            u.pricing_model,
            u.pricing_type,
            u.pricing_category,
            u.context_wamid,
            u.group_id,
            u.is_copy,
            LEAST(u.sent_at, u.delivered_at, u.read_at, u.played_at, u.failed_at) AS "least"
           FROM projector.messages u
          WHERE (u.occurred_at IS NULL)) m
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = m.contact)));

COMMENT ON VIEW analytics.fct_message IS 'One row a message, both directions; delivery is the one word for an outbound message';

COMMENT ON COLUMN analytics.fct_message.message_key IS 'One message; a digest of Meta''s id, the same in every table that names the message';

COMMENT ON COLUMN analytics.fct_message.direction IS 'inbound: from a contact; outbound: to one';

COMMENT ON COLUMN analytics.fct_message.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_message.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_message.type IS 'Meta''s word for the kind of message: text, template, image …; null while only statuses are known';

COMMENT ON COLUMN analytics.fct_message.lane IS 'otp, transactional or bulk; null for what was not sent for a command';

COMMENT ON COLUMN analytics.fct_message.template_name IS 'Of a template message';

COMMENT ON COLUMN analytics.fct_message.command_id IS 'The producer''s id of the command it was sent for';

COMMENT ON COLUMN analytics.fct_message.occurred_at IS 'When it was written or accepted; where only statuses are known, the first of them. A range of it reads the messages of that range, a range of another time all there are';

COMMENT ON COLUMN analytics.fct_message.recorded_at IS 'When the webhook or answer that describes it came to us';

COMMENT ON COLUMN analytics.fct_message.accepted_at IS 'When Meta accepted it from us: then the same as occurred_at, by which it is found';

COMMENT ON COLUMN analytics.fct_message.sent_at IS 'First status sent; a later status may come without it';

COMMENT ON COLUMN analytics.fct_message.delivered_at IS 'First status delivered';

COMMENT ON COLUMN analytics.fct_message.read_at IS 'First status read; people may switch it off';

COMMENT ON COLUMN analytics.fct_message.played_at IS 'First status played, of voice messages';

COMMENT ON COLUMN analytics.fct_message.failed_at IS 'First status failed; kept beside the others, for Meta may tell both';

COMMENT ON COLUMN analytics.fct_message.error_code IS 'Meta''s code of that failure';

COMMENT ON COLUMN analytics.fct_message.pricing_model IS 'Meta''s word: PMP by message, CBP by conversation (until July 2025)';

COMMENT ON COLUMN analytics.fct_message.pricing_type IS 'Meta''s word: regular is billed, the others are free';

COMMENT ON COLUMN analytics.fct_message.pricing_category IS 'Meta''s word: marketing, utility, authentication, service …';

COMMENT ON COLUMN analytics.fct_message.delivery IS 'The furthest that is known of an outbound message: accepted, sent, delivered, read, played, or failed where it got no further than sent';

COMMENT ON COLUMN analytics.fct_message.contact_key IS 'The person, as a key that only this database can make; null of a group''s message or where nobody was named';

COMMENT ON COLUMN analytics.fct_message.country IS 'ISO 3166-1 alpha-2, as the person''s number or user id tells it';

COMMENT ON COLUMN analytics.fct_message.reply_to_message_key IS 'message_key of the message this one answers; that one may be unknown here';

COMMENT ON COLUMN analytics.fct_message.group_id IS 'Meta''s id of the group it was written in';

COMMENT ON COLUMN analytics.fct_message.origin IS 'command: sent for a command; contact: written by a person; copy: known from another app or history only; other_system: known by its statuses only';

CREATE TABLE registry.rates (
    country text NOT NULL,
    category text NOT NULL,
    valid_from date NOT NULL,
    price numeric NOT NULL,
    currency text NOT NULL,
    CONSTRAINT rates_country_check CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT rates_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT rates_price_check CHECK ((price >= (0)::numeric))
);

COMMENT ON TABLE registry.rates IS 'Meta''s rate card, as an operator loaded it: the price of one delivered message from a day on';

COMMENT ON COLUMN registry.rates.category IS 'Meta''s word in lower case with hyphens, as marketing-lite';

CREATE VIEW analytics.fct_cost AS
 SELECT b.message_key,
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
        CASE b.cost_state
            WHEN 'free'::text THEN (0)::numeric
            WHEN 'regular'::text THEN r.price
            ELSE NULL::numeric
        END AS cost,
        CASE b.cost_state
            WHEN 'regular'::text THEN r.currency
            ELSE NULL::text
        END AS currency,
    ((b.cost_state = 'regular'::text) AND (r.price IS NULL)) AS is_rate_unknown
   FROM (( SELECT m.message_key,
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
            LEAST(m.delivered_at, m.read_at, m.played_at) AS billed_at,
                CASE
                    WHEN (m.pricing_model = 'CBP'::text) THEN 'by_conversation'::text
                    WHEN ((m.pricing_category IS NULL) OR (m.pricing_type IS NULL)) THEN 'unpriced'::text
                    WHEN (m.pricing_type <> 'regular'::text) THEN 'free'::text
                    WHEN (LEAST(m.delivered_at, m.read_at, m.played_at) IS NULL) THEN 'undelivered'::text
                    ELSE 'regular'::text
                END AS cost_state
           FROM analytics.fct_message m
          WHERE (m.direction = 'outbound'::text)) b
     LEFT JOIN LATERAL ( SELECT card.price,
            card.currency
           FROM registry.rates card
          WHERE ((card.country = b.country) AND (card.category = replace(lower(b.pricing_category), '_'::text, '-'::text)) AND (card.valid_from <= ((b.billed_at AT TIME ZONE 'UTC'::text))::date))
          ORDER BY card.valid_from DESC
         LIMIT 1) r ON ((b.cost_state = 'regular'::text)));

COMMENT ON VIEW analytics.fct_cost IS 'What each outbound message cost: Meta''s words of its price and the rate of its country on the day it was delivered';

COMMENT ON COLUMN analytics.fct_cost.message_key IS 'The message, as in fct_message';

COMMENT ON COLUMN analytics.fct_cost.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_cost.waba_id IS 'Meta''s id of the business account, which Meta bills';

COMMENT ON COLUMN analytics.fct_cost.template_name IS 'Of a template message';

COMMENT ON COLUMN analytics.fct_cost.lane IS 'otp, transactional or bulk; null for what was not sent for a command';

COMMENT ON COLUMN analytics.fct_cost.contact_key IS 'The person, as in fct_message';

COMMENT ON COLUMN analytics.fct_cost.country IS 'ISO 3166-1 alpha-2 of the recipient: the rate is that of its market';

COMMENT ON COLUMN analytics.fct_cost.pricing_model IS 'Meta''s word: PMP by message, CBP by conversation (until July 2025)';

COMMENT ON COLUMN analytics.fct_cost.pricing_type IS 'Meta''s word: regular is billed, the others are free';

COMMENT ON COLUMN analytics.fct_cost.pricing_category IS 'Meta''s word; in the rate card with hyphens';

COMMENT ON COLUMN analytics.fct_cost.occurred_at IS 'When the message was accepted, or first heard of';

COMMENT ON COLUMN analytics.fct_cost.billed_at IS 'When it was first known to be delivered: Meta bills what is delivered';

COMMENT ON COLUMN analytics.fct_cost.cost_state IS 'regular: billed; free: Meta says so; undelivered: not billed; by_conversation: priced with a conversation (until July 2025); unpriced: Meta named no price';

COMMENT ON COLUMN analytics.fct_cost.cost IS 'In `currency`, by the rate card; null where nothing is billed for it alone or the rate is unknown';

COMMENT ON COLUMN analytics.fct_cost.currency IS 'ISO 4217; null where there is no cost';

COMMENT ON COLUMN analytics.fct_cost.is_rate_unknown IS 'Billed, but no rate of the country and category is loaded for that day: counted, never guessed';

CREATE VIEW analytics.agg_cost_day AS
 SELECT ((COALESCE(billed_at, occurred_at) AT TIME ZONE 'UTC'::text))::date AS day,
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
  GROUP BY (((COALESCE(billed_at, occurred_at) AT TIME ZONE 'UTC'::text))::date), waba_id, phone_number_id, country, pricing_category, cost_state, currency;

COMMENT ON VIEW analytics.agg_cost_day IS 'Costs by day (UTC), number, country and category; a message of an unknown rate has no cost and is counted';

COMMENT ON COLUMN analytics.agg_cost_day.day IS 'UTC; of delivery, where it was delivered';

COMMENT ON COLUMN analytics.agg_cost_day.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.agg_cost_day.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.agg_cost_day.country IS 'ISO 3166-1 alpha-2 of the recipients';

COMMENT ON COLUMN analytics.agg_cost_day.pricing_category IS 'Meta''s word';

COMMENT ON COLUMN analytics.agg_cost_day.cost_state IS 'As in fct_cost';

COMMENT ON COLUMN analytics.agg_cost_day.currency IS 'ISO 4217; sums are never of several';

COMMENT ON COLUMN analytics.agg_cost_day.messages IS 'How many';

COMMENT ON COLUMN analytics.agg_cost_day.cost IS 'Sum of what is known, in currency; null where nothing is';

COMMENT ON COLUMN analytics.agg_cost_day.messages_of_unknown_rate IS 'How many of them are billed and have no rate: their cost is missing in the sum';

CREATE VIEW analytics.agg_number_hour AS
 SELECT hour,
    phone_number_id,
    (sum(accepted))::bigint AS accepted,
    (sum(received))::bigint AS received,
    (sum(failed))::bigint AS failed,
    max((accepted + received)) AS busiest_second
   FROM ( SELECT date_trunc('hour'::text, fct_message.occurred_at, 'UTC'::text) AS hour,
            date_trunc('second'::text, fct_message.occurred_at) AS second,
            fct_message.phone_number_id,
            count(*) FILTER (WHERE (fct_message.direction = 'outbound'::text)) AS accepted,
            count(*) FILTER (WHERE (fct_message.direction = 'inbound'::text)) AS received,
            count(*) FILTER (WHERE (fct_message.delivery = 'failed'::text)) AS failed
           FROM analytics.fct_message
          WHERE (fct_message.origin = ANY (ARRAY['command'::text, 'contact'::text]))
          GROUP BY (date_trunc('hour'::text, fct_message.occurred_at, 'UTC'::text)), (date_trunc('second'::text, fct_message.occurred_at)), fct_message.phone_number_id) seconds
  GROUP BY hour, phone_number_id;

COMMENT ON VIEW analytics.agg_number_hour IS 'What a business number sent for commands and received, by hour';

COMMENT ON COLUMN analytics.agg_number_hour.hour IS 'Its beginning, UTC';

COMMENT ON COLUMN analytics.agg_number_hour.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.agg_number_hour.accepted IS 'Messages that Meta accepted in it';

COMMENT ON COLUMN analytics.agg_number_hour.received IS 'Messages that people wrote in it';

COMMENT ON COLUMN analytics.agg_number_hour.failed IS 'Of those accepted, how many failed and were not delivered';

COMMENT ON COLUMN analytics.agg_number_hour.busiest_second IS 'Most messages in one second of the clock, both directions: Meta counts both against the limit of the number';

CREATE VIEW analytics.agg_template_day AS
 SELECT ((accepted_at AT TIME ZONE 'UTC'::text))::date AS day,
    waba_id,
    phone_number_id,
    template_name,
    country,
    count(*) AS accepted,
    count(*) FILTER (WHERE (COALESCE(delivered_at, read_at, played_at) IS NOT NULL)) AS delivered,
    count(*) FILTER (WHERE (COALESCE(read_at, played_at) IS NOT NULL)) AS read,
    count(*) FILTER (WHERE (delivery = 'failed'::text)) AS failed,
    count(*) FILTER (WHERE ((delivery = 'failed'::text) AND (error_code = ANY (ARRAY[130472, 131049, 131050])))) AS held_back
   FROM analytics.fct_message
  WHERE ((origin = 'command'::text) AND (template_name IS NOT NULL))
  GROUP BY (((accepted_at AT TIME ZONE 'UTC'::text))::date), waba_id, phone_number_id, template_name, country;

COMMENT ON VIEW analytics.agg_template_day IS 'What became of template messages, by the day on which they were accepted';

COMMENT ON COLUMN analytics.agg_template_day.day IS 'UTC';

COMMENT ON COLUMN analytics.agg_template_day.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.agg_template_day.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.agg_template_day.template_name IS 'Name of the template';

COMMENT ON COLUMN analytics.agg_template_day.country IS 'ISO 3166-1 alpha-2 of the recipients';

COMMENT ON COLUMN analytics.agg_template_day.accepted IS 'How many Meta accepted';

COMMENT ON COLUMN analytics.agg_template_day.delivered IS 'Of these, how many were delivered';

COMMENT ON COLUMN analytics.agg_template_day.read IS 'Of these, how many were read';

COMMENT ON COLUMN analytics.agg_template_day.failed IS 'Of those accepted, how many failed and were not delivered';

COMMENT ON COLUMN analytics.agg_template_day.held_back IS 'Of those failed, how many because people or Meta want less of them: 130472, 131049, 131050';

CREATE TABLE projector.contact_aliases (
    alias text NOT NULL COLLATE pg_catalog."C",
    contact text NOT NULL COLLATE pg_catalog."C",
    first_seen_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE projector.contact_aliases IS 'Every name a contact was met under: its key, wa_id, BSUID, and the number a command was addressed to';

CREATE TABLE projector.contact_moves (
    alias text NOT NULL COLLATE pg_catalog."C",
    contact text NOT NULL COLLATE pg_catalog."C",
    moved_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE projector.contact_moves IS 'A number (alias) named this contact until moved_at; after that it may be somebody else''s';

CREATE VIEW analytics.dim_contact AS
 SELECT encode(sha256((k.secret || convert_to(c.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    c.first_seen_at,
    c.last_seen_at,
    (EXISTS ( SELECT
           FROM projector.contact_aliases a
          WHERE ((a.contact = c.contact) AND (a.alias ~ '^[0-9]+$'::text)))) AS has_number,
    (EXISTS ( SELECT
           FROM projector.contact_aliases a
          WHERE ((a.contact = c.contact) AND (a.alias ~ '^[A-Z]{2}[.]'::text)))) AS has_user_id,
    ( SELECT max(m.moved_at) AS max
           FROM projector.contact_moves m
          WHERE (m.contact = c.contact)) AS number_given_up_at,
    encode(sha256((k.secret || convert_to(c.superseded_by, 'UTF8'::name))), 'hex'::text) AS superseded_by_contact_key,
    c.superseded_at
   FROM (projector.contacts c
     CROSS JOIN registry.contact_secret k);

COMMENT ON VIEW analytics.dim_contact IS 'People as they are known now, one row a key; somebody who was met under a number before Meta gave a user id may have two';

COMMENT ON COLUMN analytics.dim_contact.contact_key IS 'The person, the same key in every table';

COMMENT ON COLUMN analytics.dim_contact.country IS 'ISO 3166-1 alpha-2, as the number or user id tells it; null where it tells none';

COMMENT ON COLUMN analytics.dim_contact.first_seen_at IS 'The first event of any kind that named the person';

COMMENT ON COLUMN analytics.dim_contact.last_seen_at IS 'The last message from the person; null when there was none';

COMMENT ON COLUMN analytics.dim_contact.has_number IS 'Whether the person was ever met under a phone number';

COMMENT ON COLUMN analytics.dim_contact.has_user_id IS 'Whether Meta ever gave a business-scoped user id';

COMMENT ON COLUMN analytics.dim_contact.number_given_up_at IS 'When the person last changed the phone number; null when Meta told of no change';

COMMENT ON COLUMN analytics.dim_contact.superseded_by_contact_key IS 'The key that this one became: the same person under a new number or user id';

COMMENT ON COLUMN analytics.dim_contact.superseded_at IS 'When it became that one';

CREATE TABLE projector.group_members (
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    group_id text NOT NULL COLLATE pg_catalog."C",
    contact text NOT NULL COLLATE pg_catalog."C",
    added_at timestamp with time zone,
    removed_at timestamp with time zone
);

COMMENT ON TABLE projector.group_members IS 'The last time that somebody came into a group and the last time out; of one instant out counts';

CREATE TABLE projector.groups (
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    group_id text NOT NULL COLLATE pg_catalog."C",
    waba_id text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone,
    deleted_at timestamp with time zone,
    subject text COLLATE pg_catalog."C",
    subject_at timestamp with time zone,
    description text COLLATE pg_catalog."C",
    description_at timestamp with time zone,
    invite_link text COLLATE pg_catalog."C",
    invite_link_at timestamp with time zone,
    join_approval_mode text COLLATE pg_catalog."C",
    join_approval_mode_at timestamp with time zone,
    suspension text COLLATE pg_catalog."C",
    suspension_at timestamp with time zone
);

COMMENT ON TABLE projector.groups IS 'Groups of business numbers, each setting as last told';

COMMENT ON COLUMN projector.groups.suspension IS 'suspended or cleared, as last told; null when neither was';

CREATE VIEW analytics.dim_group AS
 SELECT g.phone_number_id,
    g.group_id,
    g.waba_id,
    g.created_at,
    g.deleted_at,
    g.join_approval_mode,
    g.suspension,
    g.suspension_at,
    COALESCE(m.members, (0)::bigint) AS members,
    COALESCE(m.members_ever, (0)::bigint) AS members_ever
   FROM (projector.groups g
     LEFT JOIN ( SELECT group_members.phone_number_id,
            group_members.group_id,
            count(*) FILTER (WHERE ((group_members.added_at IS NOT NULL) AND ((group_members.removed_at IS NULL) OR (group_members.added_at > group_members.removed_at)))) AS members,
            count(*) AS members_ever
           FROM projector.group_members
          GROUP BY group_members.phone_number_id, group_members.group_id) m ON (((m.phone_number_id = g.phone_number_id) AND (m.group_id = g.group_id))));

COMMENT ON VIEW analytics.dim_group IS 'Groups of business numbers as they are now: settings as last told, and how many are in them';

COMMENT ON COLUMN analytics.dim_group.phone_number_id IS 'Meta''s id of the business number that the group is of';

COMMENT ON COLUMN analytics.dim_group.group_id IS 'Meta''s id of the group';

COMMENT ON COLUMN analytics.dim_group.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.dim_group.created_at IS 'When it was created; null when that was not told';

COMMENT ON COLUMN analytics.dim_group.deleted_at IS 'When it was deleted; null while it exists';

COMMENT ON COLUMN analytics.dim_group.join_approval_mode IS 'Meta''s word: whether somebody has to let people in';

COMMENT ON COLUMN analytics.dim_group.suspension IS 'suspended or cleared, as last told; null when neither was';

COMMENT ON COLUMN analytics.dim_group.suspension_at IS 'When that was told';

COMMENT ON COLUMN analytics.dim_group.members IS 'How many people are in it, as Meta told of them coming and going';

COMMENT ON COLUMN analytics.dim_group.members_ever IS 'How many people are or were in it';

CREATE VIEW analytics.dim_group_member AS
 SELECT m.phone_number_id,
    m.group_id,
    encode(sha256((k.secret || convert_to(m.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    m.added_at,
    m.removed_at,
    ((m.added_at IS NOT NULL) AND ((m.removed_at IS NULL) OR (m.added_at > m.removed_at))) AS is_member
   FROM ((projector.group_members m
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = m.contact)));

COMMENT ON VIEW analytics.dim_group_member IS 'Who is and was in a group, as keys: the last time in and the last time out';

COMMENT ON COLUMN analytics.dim_group_member.phone_number_id IS 'Meta''s id of the business number that the group is of';

COMMENT ON COLUMN analytics.dim_group_member.group_id IS 'Meta''s id of the group';

COMMENT ON COLUMN analytics.dim_group_member.contact_key IS 'The person, as in dim_contact';

COMMENT ON COLUMN analytics.dim_group_member.country IS 'ISO 3166-1 alpha-2 of that person; null where only the group named them';

COMMENT ON COLUMN analytics.dim_group_member.added_at IS 'The last time that they came in; null when only their leaving was told';

COMMENT ON COLUMN analytics.dim_group_member.removed_at IS 'The last time that they left or were removed; null when they never did';

COMMENT ON COLUMN analytics.dim_group_member.is_member IS 'Whether they are in it now';

CREATE TABLE projector.messaging_limits (
    waba_id text NOT NULL COLLATE pg_catalog."C",
    messaging_limit text NOT NULL COLLATE pg_catalog."C",
    told_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE projector.messaging_limits IS 'How many people a day the portfolio of an account may write to first, as last told: a tier or a number, -1 for no limit';

CREATE TABLE registry.phone_numbers (
    phone_number_id text NOT NULL,
    waba_id text NOT NULL,
    display_phone_number text,
    messages_per_second integer DEFAULT 80 NOT NULL,
    access_token bytea NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    portfolio_id text,
    is_coexistence boolean DEFAULT false NOT NULL,
    tenant_id text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT phone_numbers_coexistence_check CHECK (((NOT is_coexistence) OR (messages_per_second <= 20))),
    CONSTRAINT phone_numbers_messages_per_second_check CHECK (((messages_per_second >= 1) AND (messages_per_second <= 1000))),
    CONSTRAINT phone_numbers_state_check CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text, 'disabled'::text])))
);

COMMENT ON TABLE registry.phone_numbers IS 'Business numbers that Parley may send from';

COMMENT ON COLUMN registry.phone_numbers.messages_per_second IS 'Meta''s throughput limit of the number: 80 by default, 1000 upgraded, 20 coexistence';

COMMENT ON COLUMN registry.phone_numbers.access_token IS 'AES-256-GCM under PARLEY_TOKEN_KEY: 12 bytes nonce, then ciphertext; bound to the phone_number_id';

COMMENT ON COLUMN registry.phone_numbers.state IS 'active: sends; paused, disabled: its commands wait, until it is active or their time is over';

COMMENT ON COLUMN registry.phone_numbers.portfolio_id IS 'Business portfolio that the account belongs to: its numbers share one messaging limit. Null: the account alone';

COMMENT ON COLUMN registry.phone_numbers.is_coexistence IS 'Shared with the WhatsApp Business app: Meta allows such a number 20 messages a second, whatever happens';

COMMENT ON COLUMN registry.phone_numbers.tenant_id IS 'A command that names another tenant is refused';

CREATE VIEW analytics.dim_phone_number AS
 SELECT n.phone_number_id,
    n.waba_id,
    n.tenant_id,
    n.state,
    n.messages_per_second,
    n.is_coexistence,
    l.messaging_limit
   FROM (registry.phone_numbers n
     LEFT JOIN projector.messaging_limits l ON ((l.waba_id = n.waba_id)));

COMMENT ON VIEW analytics.dim_phone_number IS 'Business numbers as they are now';

COMMENT ON COLUMN analytics.dim_phone_number.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.dim_phone_number.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.dim_phone_number.tenant_id IS 'Whose it is';

COMMENT ON COLUMN analytics.dim_phone_number.state IS 'active, paused or disabled, as the operator says';

COMMENT ON COLUMN analytics.dim_phone_number.messages_per_second IS 'What Meta allows it';

COMMENT ON COLUMN analytics.dim_phone_number.is_coexistence IS 'Whether it is shared with the WhatsApp Business app';

COMMENT ON COLUMN analytics.dim_phone_number.messaging_limit IS 'People a day that its portfolio may write to first: a tier or a number, -1 for no limit; null when it was not told yet';

CREATE VIEW analytics.dim_rate_card AS
 SELECT country,
    category,
    valid_from,
    price,
    currency
   FROM registry.rates;

COMMENT ON VIEW analytics.dim_rate_card IS 'The rate card as it was loaded: one price a country, category and first day';

COMMENT ON COLUMN analytics.dim_rate_card.country IS 'ISO 3166-1 alpha-2';

COMMENT ON COLUMN analytics.dim_rate_card.category IS 'Meta''s word, in lower case with hyphens';

COMMENT ON COLUMN analytics.dim_rate_card.valid_from IS 'First day (UTC) on which it holds, until a later one does';

COMMENT ON COLUMN analytics.dim_rate_card.price IS 'Of one delivered message, in units of currency';

COMMENT ON COLUMN analytics.dim_rate_card.currency IS 'ISO 4217';

CREATE TABLE projector.templates (
    waba_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    language text NOT NULL COLLATE pg_catalog."C",
    template_id text NOT NULL COLLATE pg_catalog."C",
    template_id_at timestamp with time zone NOT NULL,
    status text COLLATE pg_catalog."C",
    status_at timestamp with time zone,
    category text COLLATE pg_catalog."C",
    category_at timestamp with time zone,
    quality_score text COLLATE pg_catalog."C",
    quality_score_at timestamp with time zone,
    components_at timestamp with time zone
);

COMMENT ON TABLE projector.templates IS 'What webhooks told of templates, each word as last told; sender.templates has what Graph lists';

COMMENT ON COLUMN projector.templates.status IS 'Meta''s word: APPROVED, PAUSED, DISABLED …; an open set';

COMMENT ON COLUMN projector.templates.category IS 'The category that holds, in capitals; never one that is only announced';

COMMENT ON COLUMN projector.templates.components_at IS 'When the content last changed';

CREATE TABLE sender.templates (
    waba_id text NOT NULL,
    name text NOT NULL,
    language text NOT NULL,
    template_id text NOT NULL,
    status text,
    category text,
    parameter_format text,
    components text NOT NULL,
    quality_score text,
    polled_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE sender.templates IS 'What Graph lists; a template that is no longer listed has no row';

COMMENT ON COLUMN sender.templates.components IS 'JSON as Graph gave it';

COMMENT ON COLUMN sender.templates.polled_at IS 'When the poll that found it so began';

CREATE VIEW analytics.dim_template AS
 SELECT COALESCE(listed.waba_id, told.waba_id) AS waba_id,
    COALESCE(listed.name, told.name) AS template_name,
    COALESCE(listed.language, told.language) AS language,
        CASE
            WHEN (told.status_at > listed.polled_at) THEN told.status
            ELSE COALESCE(listed.status, told.status)
        END AS status,
        CASE
            WHEN (told.category_at > listed.polled_at) THEN told.category
            ELSE COALESCE(listed.category, told.category)
        END AS category,
        CASE
            WHEN (told.quality_score_at > listed.polled_at) THEN told.quality_score
            ELSE COALESCE(listed.quality_score, told.quality_score)
        END AS quality_score,
    (listed.waba_id IS NOT NULL) AS is_listed,
    GREATEST(told.status_at, told.category_at, told.quality_score_at, told.components_at) AS changed_at
   FROM (sender.templates listed
     FULL JOIN projector.templates told ON (((told.waba_id = listed.waba_id) AND (told.name = listed.name) AND (told.language = listed.language))));

COMMENT ON VIEW analytics.dim_template IS 'Templates as they are now: Meta''s list, and what webhooks told since';

COMMENT ON COLUMN analytics.dim_template.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.dim_template.template_name IS 'Name, one of several languages';

COMMENT ON COLUMN analytics.dim_template.language IS 'Meta''s code, as pt_BR';

COMMENT ON COLUMN analytics.dim_template.status IS 'Meta''s word: APPROVED, PAUSED, DISABLED …';

COMMENT ON COLUMN analytics.dim_template.category IS 'Meta''s word in capitals: the one that holds now';

COMMENT ON COLUMN analytics.dim_template.quality_score IS 'Meta''s word: GREEN, YELLOW, RED, UNKNOWN';

COMMENT ON COLUMN analytics.dim_template.is_listed IS 'Whether Meta listed it the last time it was asked';

COMMENT ON COLUMN analytics.dim_template.changed_at IS 'The last change that a webhook told';

CREATE TABLE projector.account_events (
    content_sha256 bytea NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone,
    waba_id text,
    phone_number_id text,
    field text,
    pointer text,
    raw text NOT NULL,
    record text NOT NULL,
    event text,
    contact text COLLATE pg_catalog."C"
);

COMMENT ON TABLE projector.account_events IS 'What Meta told besides messages and their statuses: of accounts, numbers, templates, flows, groups, calls, people; each content once';

COMMENT ON COLUMN projector.account_events.record IS 'Name of the event, as in docs/events.md';

COMMENT ON COLUMN projector.account_events.event IS 'Meta''s word for what happened';

CREATE VIEW analytics.fct_account_event AS
 SELECT e.event_id,
    COALESCE(e.occurred_at, e.recorded_at) AS occurred_at,
    e.recorded_at,
    e.waba_id,
    e.phone_number_id,
    e.record AS type,
    e.field,
    e.event,
    encode(sha256((k.secret || convert_to(e.contact, 'UTF8'::name))), 'hex'::text) AS contact_key
   FROM (projector.account_events e
     CROSS JOIN registry.contact_secret k);

COMMENT ON VIEW analytics.fct_account_event IS 'What Meta told besides messages and their statuses, and what stopped sending: one row each, without its words';

COMMENT ON COLUMN analytics.fct_account_event.event_id IS 'Id of the event in the log: one row an id';

COMMENT ON COLUMN analytics.fct_account_event.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';

COMMENT ON COLUMN analytics.fct_account_event.recorded_at IS 'When the webhook came to us, or the sender told it';

COMMENT ON COLUMN analytics.fct_account_event.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_account_event.phone_number_id IS 'Meta''s id of the business number; null where it is about the account';

COMMENT ON COLUMN analytics.fct_account_event.type IS 'Name of the event, as in docs/events.md: AccountChanged, CallChanged, UnrecognizedChange …';

COMMENT ON COLUMN analytics.fct_account_event.field IS 'Webhook field; null for what the sender told';

COMMENT ON COLUMN analytics.fct_account_event.event IS 'Meta''s word for what happened';

COMMENT ON COLUMN analytics.fct_account_event.contact_key IS 'The person it is about, as in dim_contact; null where it is about nobody';

CREATE TABLE projector.calls (
    wacid text NOT NULL COLLATE pg_catalog."C",
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    waba_id text NOT NULL COLLATE pg_catalog."C",
    contact text COLLATE pg_catalog."C",
    direction text COLLATE pg_catalog."C",
    connected_at timestamp with time zone,
    ringing_at timestamp with time zone,
    accepted_at timestamp with time zone,
    rejected_at timestamp with time zone,
    terminated_at timestamp with time zone,
    termination text COLLATE pg_catalog."C",
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    duration_seconds bigint,
    error_code integer,
    biz_opaque_callback_data text COLLATE pg_catalog."C",
    cta_payload text COLLATE pg_catalog."C",
    deeplink_payload text COLLATE pg_catalog."C",
    recording_at timestamp with time zone
)
WITH (fillfactor='80');

COMMENT ON TABLE projector.calls IS 'One row a call, both directions; answered is what has started_at';

COMMENT ON COLUMN projector.calls.direction IS 'USER_INITIATED or BUSINESS_INITIATED';

COMMENT ON COLUMN projector.calls.termination IS 'COMPLETED or FAILED; an unanswered call of ours is COMPLETED too';

COMMENT ON COLUMN projector.calls.recording_at IS 'When a recording or transcript was first ready; Meta keeps it for 7 days';

CREATE VIEW analytics.fct_call AS
 SELECT encode(sha256(convert_to(v.wacid, 'UTF8'::name)), 'hex'::text) AS call_key,
    LEAST(v.connected_at, v.ringing_at, v.accepted_at, v.rejected_at, v.started_at, v.terminated_at, v.recording_at) AS occurred_at,
    v.phone_number_id,
    v.waba_id,
    encode(sha256((k.secret || convert_to(v.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    v.direction,
    (v.started_at IS NOT NULL) AS is_answered,
    v.connected_at,
    v.ringing_at,
    v.accepted_at,
    v.rejected_at,
    v.started_at,
    v.ended_at,
    v.terminated_at,
    v.termination,
    v.duration_seconds,
    v.error_code,
    v.recording_at
   FROM ((projector.calls v
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = v.contact)));

COMMENT ON VIEW analytics.fct_call IS 'One row a call, both directions; instants are Meta''s, the first of each kind';

COMMENT ON COLUMN analytics.fct_call.call_key IS 'One call; a digest of Meta''s id';

COMMENT ON COLUMN analytics.fct_call.occurred_at IS 'The first instant below; null while none is known';

COMMENT ON COLUMN analytics.fct_call.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_call.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_call.contact_key IS 'The person, as in dim_contact';

COMMENT ON COLUMN analytics.fct_call.country IS 'ISO 3166-1 alpha-2 of that person';

COMMENT ON COLUMN analytics.fct_call.direction IS 'USER_INITIATED or BUSINESS_INITIATED';

COMMENT ON COLUMN analytics.fct_call.is_answered IS 'Whether somebody picked it up';

COMMENT ON COLUMN analytics.fct_call.connected_at IS 'When it began to be connected';

COMMENT ON COLUMN analytics.fct_call.ringing_at IS 'When it rang at the person; of calls of the business';

COMMENT ON COLUMN analytics.fct_call.accepted_at IS 'When the person took it; of calls of the business';

COMMENT ON COLUMN analytics.fct_call.rejected_at IS 'When the person refused it; of calls of the business';

COMMENT ON COLUMN analytics.fct_call.started_at IS 'When it was picked up; null when it was not';

COMMENT ON COLUMN analytics.fct_call.ended_at IS 'When who spoke hung up; null when nobody picked it up';

COMMENT ON COLUMN analytics.fct_call.terminated_at IS 'When Meta told its end, answered or not';

COMMENT ON COLUMN analytics.fct_call.termination IS 'COMPLETED or FAILED; an unanswered call of the business is COMPLETED too';

COMMENT ON COLUMN analytics.fct_call.duration_seconds IS 'Seconds, of calls that were picked up';

COMMENT ON COLUMN analytics.fct_call.error_code IS 'Meta''s code, of a failure';

COMMENT ON COLUMN analytics.fct_call.recording_at IS 'When a recording or transcript was first ready; Meta keeps it for 7 days';

CREATE TABLE projector.consent_events (
    consent_id text NOT NULL COLLATE pg_catalog."C",
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    contact text NOT NULL COLLATE pg_catalog."C",
    category text NOT NULL COLLATE pg_catalog."C",
    decision text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    wording text COLLATE pg_catalog."C",
    occurred_at timestamp with time zone NOT NULL,
    wamid text COLLATE pg_catalog."C"
);

COMMENT ON TABLE projector.consent_events IS 'Evidence of consent, explicit (the producer''s consent_id) or by keyword (keyword:<wamid>)';

COMMENT ON COLUMN projector.consent_events.wamid IS 'The message that says it, or that Meta did not deliver for it; null for a producer''s record';

CREATE VIEW analytics.fct_consent_event AS
 SELECT encode(sha256((k.secret || convert_to(e.consent_id, 'UTF8'::name))), 'hex'::text) AS consent_key,
    e.occurred_at,
    e.phone_number_id,
    encode(sha256((k.secret || convert_to(e.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    e.category,
    e.decision,
    e.source,
    encode(sha256(convert_to(e.wamid, 'UTF8'::name)), 'hex'::text) AS message_key
   FROM ((projector.consent_events e
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = e.contact)));

COMMENT ON VIEW analytics.fct_consent_event IS 'Evidence that somebody allowed or withdrew a category of messages, one row a piece';

COMMENT ON COLUMN analytics.fct_consent_event.consent_key IS 'One piece of evidence';

COMMENT ON COLUMN analytics.fct_consent_event.occurred_at IS 'When it was given';

COMMENT ON COLUMN analytics.fct_consent_event.phone_number_id IS 'Meta''s id of the business number it is about';

COMMENT ON COLUMN analytics.fct_consent_event.contact_key IS 'The person as the evidence names it: a number here may be a user id in fct_message';

COMMENT ON COLUMN analytics.fct_consent_event.country IS 'ISO 3166-1 alpha-2, where the person is known under that name';

COMMENT ON COLUMN analytics.fct_consent_event.category IS 'marketing, utility, authentication or all';

COMMENT ON COLUMN analytics.fct_consent_event.decision IS 'granted or withdrawn';

COMMENT ON COLUMN analytics.fct_consent_event.source IS 'keyword, user_preferences, error_131050, or the producer''s word';

COMMENT ON COLUMN analytics.fct_consent_event.message_key IS 'The message that says it, or that was not delivered for it';

CREATE TABLE projector.priced_conversations (
    conversation_id text NOT NULL COLLATE pg_catalog."C",
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    waba_id text NOT NULL COLLATE pg_catalog."C",
    contact text COLLATE pg_catalog."C",
    origin_type text COLLATE pg_catalog."C",
    first_status_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    pricing_model text COLLATE pg_catalog."C",
    pricing_type text COLLATE pg_catalog."C",
    pricing_type_at timestamp with time zone,
    pricing_category text COLLATE pg_catalog."C",
    pricing_category_at timestamp with time zone,
    is_billable boolean
)
WITH (fillfactor='80');

COMMENT ON TABLE projector.priced_conversations IS 'What Meta counted as one conversation: priced as such (until July 2025), or a free entry point';

COMMENT ON COLUMN projector.priced_conversations.origin_type IS 'Meta''s word; referral_conversion is a free entry point, free for 72 h from the answer until expires_at';

COMMENT ON COLUMN projector.priced_conversations.first_status_at IS 'The first status that named it: Meta tells no beginning';

COMMENT ON COLUMN projector.priced_conversations.is_billable IS 'True when any status of it says so';

CREATE TABLE registry.business_calendars (
    scope text NOT NULL,
    scope_id text NOT NULL,
    time_zone text NOT NULL,
    CONSTRAINT business_calendars_scope_check CHECK ((scope = ANY (ARRAY['number'::text, 'tenant'::text]))),
    CONSTRAINT business_calendars_time_zone_check CHECK (((to_timestamp((0)::double precision) AT TIME ZONE time_zone) IS NOT NULL))
);

COMMENT ON TABLE registry.business_calendars IS 'Who has business hours: a tenant for all of its numbers, or a number for itself, which counts before its tenant''s';

COMMENT ON COLUMN registry.business_calendars.scope_id IS 'phone_number_id or tenant_id';

COMMENT ON COLUMN registry.business_calendars.time_zone IS 'Of the hours: a name of the IANA database. The check fails for a name that Postgres does not know, so that no view does';

CREATE TABLE registry.business_hours (
    scope text NOT NULL,
    scope_id text NOT NULL,
    weekday smallint NOT NULL,
    opens time without time zone NOT NULL,
    closes time without time zone NOT NULL,
    CONSTRAINT business_hours_check CHECK ((opens < closes)),
    CONSTRAINT business_hours_weekday_check CHECK (((weekday >= 1) AND (weekday <= 7)))
);

COMMENT ON TABLE registry.business_hours IS 'When a business answers, by the clock of its time zone; a day without a row is closed';

COMMENT ON COLUMN registry.business_hours.weekday IS '1 Monday to 7 Sunday';

COMMENT ON COLUMN registry.business_hours.closes IS 'Up to 24:00; what is open over midnight has a row on either day. Rows of a day do not overlap';

CREATE VIEW analytics.fct_conversation AS
 WITH words AS NOT MATERIALIZED (
         SELECT m.phone_number_id,
            m.contact,
            m.waba_id,
            m.occurred_at,
            (m.direction = 'inbound'::text) AS opens,
            (m.type = 'template'::text) AS is_template,
            ((m.failed_at IS NOT NULL) AND (COALESCE(m.delivered_at, m.read_at, m.played_at) IS NULL)) AS is_failed
           FROM projector.messages m
          WHERE ((m.contact IS NOT NULL) AND (m.group_id IS NULL) AND (m.occurred_at IS NOT NULL) AND ((m.direction = 'outbound'::text) OR ((m.field = 'messages'::text) AND (m.type <> ALL (ARRAY['system'::text, 'request_welcome'::text, 'edit'::text, 'revoke'::text])))))
        )
 SELECT encode(sha256((k.secret || convert_to(((((s.phone_number_id || '/'::text) || s.contact) || '/'::text) || EXTRACT(epoch FROM s.opened_at)), 'UTF8'::name))), 'hex'::text) AS conversation_key,
    s.phone_number_id,
    w.waba_id,
    encode(sha256((k.secret || convert_to(s.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    s.opened_at,
    l.last_inbound_at,
    (l.last_inbound_at + '24:00:00'::interval) AS closes_at,
    w.inbound,
    w.outbound,
    w.templates,
    w.first_response_at,
    (w.first_response_at IS NOT NULL) AS is_answered,
    EXTRACT(epoch FROM (w.first_response_at - s.opened_at)) AS response_seconds,
        CASE
            WHEN ((h.time_zone IS NOT NULL) AND (w.first_response_at IS NOT NULL)) THEN ( SELECT COALESCE(sum(EXTRACT(epoch FROM (LEAST(w.first_response_at, o.until) - GREATEST(s.opened_at, o.since)))), (0)::numeric) AS "coalesce"
               FROM ( SELECT ((d.day + b.opens) AT TIME ZONE h.time_zone) AS since,
                        ((d.day + b.closes) AT TIME ZONE h.time_zone) AS until
                       FROM (( SELECT (((s.opened_at AT TIME ZONE h.time_zone))::date + n.n) AS day
                               FROM generate_series(0, (((w.first_response_at AT TIME ZONE h.time_zone))::date - ((s.opened_at AT TIME ZONE h.time_zone))::date)) n(n)) d
                         JOIN registry.business_hours b ON (((b.scope = h.scope) AND (b.scope_id = h.scope_id) AND ((b.weekday)::numeric = EXTRACT(isodow FROM d.day)))))) o
              WHERE (LEAST(w.first_response_at, o.until) > GREATEST(s.opened_at, o.since)))
            ELSE NULL::numeric
        END AS response_business_seconds,
    (EXISTS ( SELECT
           FROM projector.priced_conversations p
          WHERE ((p.phone_number_id = s.phone_number_id) AND (p.contact = s.contact) AND (p.origin_type = 'referral_conversion'::text) AND (p.first_status_at >= s.opened_at) AND (p.first_status_at < (l.last_inbound_at + '24:00:00'::interval))))) AS is_free_entry_point,
    ( SELECT max(COALESCE(p.expires_at, (p.first_status_at + '72:00:00'::interval))) AS max
           FROM projector.priced_conversations p
          WHERE ((p.phone_number_id = s.phone_number_id) AND (p.contact = s.contact) AND (p.origin_type = 'referral_conversion'::text) AND (p.first_status_at >= s.opened_at) AND (p.first_status_at < (l.last_inbound_at + '24:00:00'::interval)))) AS free_until
   FROM (((((( SELECT DISTINCT f.phone_number_id,
            f.contact,
            f.occurred_at AS opened_at
           FROM words f
          WHERE f.opens) s
     CROSS JOIN LATERAL ( SELECT i.occurred_at AS last_inbound_at
           FROM ( SELECT n.occurred_at,
                    lead(n.occurred_at) OVER (ORDER BY n.occurred_at) AS next_at
                   FROM words n
                  WHERE ((n.phone_number_id = s.phone_number_id) AND (n.contact = s.contact) AND n.opens AND (n.occurred_at >= s.opened_at))) i
          WHERE COALESCE((i.next_at >= (i.occurred_at + '24:00:00'::interval)), true)
          ORDER BY i.occurred_at
         LIMIT 1) l)
     CROSS JOIN LATERAL ( SELECT min(a.waba_id) AS waba_id,
            count(*) FILTER (WHERE a.opens) AS inbound,
            count(*) FILTER (WHERE (NOT a.opens)) AS outbound,
            count(*) FILTER (WHERE ((NOT a.opens) AND a.is_template)) AS templates,
            min(a.occurred_at) FILTER (WHERE ((NOT a.opens) AND (NOT a.is_failed))) AS first_response_at
           FROM words a
          WHERE ((a.phone_number_id = s.phone_number_id) AND (a.contact = s.contact) AND (a.occurred_at >= s.opened_at) AND (a.occurred_at < (l.last_inbound_at + '24:00:00'::interval)))) w)
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = s.contact)))
     LEFT JOIN ( SELECT DISTINCT ON (n.phone_number_id) n.phone_number_id,
            g.scope,
            g.scope_id,
            g.time_zone
           FROM (registry.phone_numbers n
             JOIN registry.business_calendars g ON ((((g.scope = 'number'::text) AND (g.scope_id = n.phone_number_id)) OR ((g.scope = 'tenant'::text) AND (g.scope_id = n.tenant_id)))))
          ORDER BY n.phone_number_id, g.scope) h ON ((h.phone_number_id = s.phone_number_id)))
  WHERE (( SELECT max(b.occurred_at) AS max
           FROM words b
          WHERE ((b.phone_number_id = s.phone_number_id) AND (b.contact = s.contact) AND b.opens AND (b.occurred_at < s.opened_at) AND (b.occurred_at > (s.opened_at - '24:00:00'::interval)))) IS NULL);

COMMENT ON VIEW analytics.fct_conversation IS 'One row a customer service window: what a person and a business number wrote each other from the message that opened it until 24 hours after the person''s last one. What went out while none was open, as templates do, is in fct_message only; messages in groups, and calls, open none here';

COMMENT ON COLUMN analytics.fct_conversation.conversation_key IS 'One conversation; another one when an earlier message of it turns up';

COMMENT ON COLUMN analytics.fct_conversation.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_conversation.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_conversation.contact_key IS 'The person, as in fct_message';

COMMENT ON COLUMN analytics.fct_conversation.country IS 'ISO 3166-1 alpha-2, as the person''s number or user id tells it';

COMMENT ON COLUMN analytics.fct_conversation.opened_at IS 'Meta''s instant of the person''s first message in it. A range of it reads the messages of that range and of the conversations that it finds; a range of another time reads all there are';

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

CREATE VIEW analytics.fct_csat AS
 SELECT encode(sha256(convert_to(a.wamid, 'UTF8'::name)), 'hex'::text) AS message_key,
    a.phone_number_id,
    a.waba_id,
    encode(sha256((k.secret || convert_to(a.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    a.occurred_at,
    a.survey,
    (a.score)::smallint AS score,
    encode(sha256(convert_to(a.context_wamid, 'UTF8'::name)), 'hex'::text) AS reply_to_message_key
   FROM ((( SELECT m.wamid,
            m.phone_number_id,
            m.waba_id,
            m.contact,
            m.occurred_at,
            m.context_wamid,
            COALESCE("substring"(m.payload, '^parley\.csat\.([A-Za-z][A-Za-z0-9_-]{0,63})\.[1-5]$'::text), "substring"(m.payload, '^\s*\{.*"csat_survey"\s*:\s*"([A-Za-z][A-Za-z0-9_-]{0,63})"'::text)) AS survey,
            COALESCE("substring"(m.payload, '^parley\.csat\.[A-Za-z][A-Za-z0-9_-]{0,63}\.([1-5])$'::text), "substring"(m.payload, '^\s*\{.*"csat_score"\s*:\s*"?([1-5])"?\s*[,}]'::text)) AS score
           FROM projector.messages m
          WHERE ((m.direction = 'inbound'::text) AND (NOT m.is_copy) AND (m.type = ANY (ARRAY['interactive'::text, 'button'::text])) AND ((m.payload ~~ 'parley.csat.%'::text) OR (m.payload ~~ '%"csat_score"%'::text)))) a
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = a.contact)))
  WHERE (a.score IS NOT NULL);

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

CREATE TABLE registry.silence (
    subject text NOT NULL,
    seconds integer NOT NULL,
    CONSTRAINT silence_seconds_check CHECK ((seconds > 0)),
    CONSTRAINT silence_subject_check CHECK ((subject = ANY (ARRAY['otp'::text, 'transactional'::text, 'bulk'::text, 'webhooks'::text])))
);

COMMENT ON TABLE registry.silence IS 'How long Meta may say nothing: of a message of the lane, or (webhooks) of everything about a number it accepts messages from. Change it by UPDATE';

COMMENT ON COLUMN registry.silence.seconds IS 'From the acceptance; a change counts at once, for what was accepted before too';

CREATE VIEW analytics.fct_delivery AS
 SELECT m.message_key,
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
            WHEN (m.played_at IS NOT NULL) THEN 'played'::text
            WHEN (m.read_at IS NOT NULL) THEN 'read'::text
            WHEN (m.delivered_at IS NOT NULL) THEN 'delivered'::text
            WHEN (m.sent_at IS NOT NULL) THEN 'sent'::text
            ELSE 'accepted'::text
        END AS stage,
    (m.failed_at IS NOT NULL) AS is_failed,
        CASE
            WHEN (m.sent_at <= m.accepted_at) THEN (0)::numeric
            ELSE EXTRACT(epoch FROM (m.sent_at - m.accepted_at))
        END AS accepted_to_sent_seconds,
        CASE
            WHEN (m.delivered_at <= m.sent_at) THEN (0)::numeric
            ELSE EXTRACT(epoch FROM (m.delivered_at - m.sent_at))
        END AS sent_to_delivered_seconds,
        CASE
            WHEN (m.read_at <= m.delivered_at) THEN (0)::numeric
            ELSE EXTRACT(epoch FROM (m.read_at - m.delivered_at))
        END AS delivered_to_read_seconds,
        CASE
            WHEN (m.failed_at <= m.accepted_at) THEN (0)::numeric
            ELSE EXTRACT(epoch FROM (m.failed_at - m.accepted_at))
        END AS accepted_to_failed_seconds,
        CASE
            WHEN ((m.origin <> 'command'::text) OR (num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at) > 0)) THEN NULL::text
            WHEN (m.accepted_at <= (now() - make_interval(secs => (x.seconds)::double precision))) THEN 'silent'::text
            ELSE 'awaited'::text
        END AS silence
   FROM (analytics.fct_message m
     LEFT JOIN registry.silence x ON ((x.subject = m.lane)))
  WHERE (m.direction = 'outbound'::text);

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

CREATE TABLE projector.flow_changes (
    content_sha256 bytea NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone,
    waba_id text,
    flow_id text,
    event text NOT NULL,
    previous_status text,
    status text,
    alert_state text,
    threshold double precision,
    error_rate double precision,
    availability double precision,
    p50_latency double precision,
    p90_latency double precision,
    requests_count bigint,
    message text
);

COMMENT ON TABLE projector.flow_changes IS 'Every change of state of a flow and every alert about it, each content once; numbers in Meta''s units';

CREATE VIEW analytics.fct_flow_change AS
 SELECT event_id,
    COALESCE(occurred_at, recorded_at) AS occurred_at,
    recorded_at,
    waba_id,
    flow_id,
    event,
    previous_status,
    status,
    alert_state,
    threshold,
    error_rate,
    availability,
    p50_latency,
    p90_latency,
    requests_count
   FROM projector.flow_changes;

COMMENT ON VIEW analytics.fct_flow_change IS 'Every change of state of a flow and every alert about it, one row each';

COMMENT ON COLUMN analytics.fct_flow_change.event_id IS 'Id of the event in the log: one row an id';

COMMENT ON COLUMN analytics.fct_flow_change.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';

COMMENT ON COLUMN analytics.fct_flow_change.recorded_at IS 'When the webhook came to us';

COMMENT ON COLUMN analytics.fct_flow_change.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_flow_change.flow_id IS 'Meta''s id of the flow';

COMMENT ON COLUMN analytics.fct_flow_change.event IS 'Meta''s word: FLOW_STATUS_CHANGE, ENDPOINT_ERROR_RATE, ENDPOINT_LATENCY …';

COMMENT ON COLUMN analytics.fct_flow_change.previous_status IS 'DRAFT, PUBLISHED, DEPRECATED, BLOCKED or THROTTLED, until then';

COMMENT ON COLUMN analytics.fct_flow_change.status IS 'The same from then on; null in an alert';

COMMENT ON COLUMN analytics.fct_flow_change.alert_state IS 'ACTIVATED or DEACTIVATED; null in a change of state';

COMMENT ON COLUMN analytics.fct_flow_change.threshold IS 'What the figure passed, in the unit of the figure';

COMMENT ON COLUMN analytics.fct_flow_change.error_rate IS 'Percent of requests, as Meta tells it';

COMMENT ON COLUMN analytics.fct_flow_change.availability IS 'Percent, as Meta tells it';

COMMENT ON COLUMN analytics.fct_flow_change.p50_latency IS 'Milliseconds, the median';

COMMENT ON COLUMN analytics.fct_flow_change.p90_latency IS 'Milliseconds, which nine of ten requests kept below';

COMMENT ON COLUMN analytics.fct_flow_change.requests_count IS 'How many requests the figure is about';

CREATE VIEW analytics.fct_legacy_conversation AS
 SELECT encode(sha256((k.secret || convert_to(p.conversation_id, 'UTF8'::name))), 'hex'::text) AS conversation_key,
    p.phone_number_id,
    p.waba_id,
    encode(sha256((k.secret || convert_to(p.contact, 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    p.category,
    p.origin_type AS origin,
    p.began_at,
    p.expires_at,
    p.is_free_entry_point,
    p.is_billable,
    p.month,
    p.service_number,
    (p.service_number <= 1000) AS is_free_tier,
        CASE
            WHEN p.is_free_entry_point THEN true
            WHEN (p.service_number IS NULL) THEN false
            ELSE ((p.service_number <= 1000) OR (p.month >= '2024-11-01'::date))
        END AS is_free
   FROM ((( SELECT b.conversation_id,
            b.phone_number_id,
            b.waba_id,
            b.contact,
            b.origin_type,
            b.expires_at,
            b.is_billable,
            b.is_free_entry_point,
            b.category,
            b.began_at,
            b.month,
            b.is_service,
                CASE
                    WHEN b.is_service THEN count(*) FILTER (WHERE b.is_service) OVER (PARTITION BY b.waba_id, b.month ORDER BY b.began_at, b.conversation_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
                    ELSE NULL::bigint
                END AS service_number
           FROM ( SELECT a.conversation_id,
                    a.phone_number_id,
                    a.waba_id,
                    a.contact,
                    a.origin_type,
                    a.expires_at,
                    a.is_billable,
                    a.is_free_entry_point,
                    a.category,
                    a.began_at,
                    (date_trunc('month'::text, (a.began_at AT TIME ZONE 'UTC'::text)))::date AS month,
                    ((a.category = ANY (ARRAY['service'::text, 'user_initiated'::text, 'customer_initiated'::text])) AND (NOT a.is_free_entry_point)) AS is_service
                   FROM ( SELECT told.conversation_id,
                            told.phone_number_id,
                            told.waba_id,
                            told.contact,
                            told.origin_type,
                            told.expires_at,
                            told.is_billable,
                            f.is_free_entry_point,
                            lower(COALESCE(told.pricing_category, told.origin_type)) AS category,
                            LEAST(told.first_status_at, (told.expires_at -
                                CASE
                                    WHEN f.is_free_entry_point THEN '72:00:00'::interval
                                    ELSE '24:00:00'::interval
                                END)) AS began_at
                           FROM (projector.priced_conversations told
                             CROSS JOIN LATERAL ( SELECT (COALESCE(told.origin_type, told.pricing_category, ''::text) = 'referral_conversion'::text) AS is_free_entry_point) f)
                          WHERE (told.pricing_model = 'CBP'::text)) a) b) p
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = p.contact)));

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

CREATE TABLE projector.phone_number_changes (
    content_sha256 bytea NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone,
    waba_id text,
    phone_number_id text,
    display_phone_number text,
    field text,
    event text NOT NULL,
    messaging_limit text,
    previous_limit text,
    messages_per_second integer,
    requested_verified_name text,
    decision text,
    rejection_reason text,
    username text,
    status text,
    calling_status text
);

COMMENT ON TABLE projector.phone_number_changes IS 'Limits, tiers, rates, names and stops of business numbers over time, each content once; without a number it is about all of the account';

COMMENT ON COLUMN projector.phone_number_changes.display_phone_number IS 'The business'' own number: some of Meta''s events name no other';

COMMENT ON COLUMN projector.phone_number_changes.field IS 'Webhook field; null for what the sender told';

COMMENT ON COLUMN projector.phone_number_changes.event IS 'Meta''s word, or the sender''s: stopped, sending, limit';

COMMENT ON COLUMN projector.phone_number_changes.messaging_limit IS 'People a day that may be written to first: a tier or a number, -1 for no limit';

COMMENT ON COLUMN projector.phone_number_changes.messages_per_second IS 'The rate that the sender keeps to from then on';

COMMENT ON COLUMN projector.phone_number_changes.status IS 'Meta''s word for a username or setting; of a stop its reason';

CREATE VIEW analytics.fct_number_change AS
 SELECT event_id,
    COALESCE(occurred_at, recorded_at) AS occurred_at,
    recorded_at,
    waba_id,
    COALESCE(phone_number_id, ( SELECT min(n.phone_number_id) AS min
           FROM registry.phone_numbers n
          WHERE (regexp_replace(n.display_phone_number, '[^0-9]'::text, ''::text, 'g'::text) = regexp_replace(c.display_phone_number, '[^0-9]'::text, ''::text, 'g'::text)))) AS phone_number_id,
    ((phone_number_id IS NULL) AND (display_phone_number IS NULL)) AS is_of_account,
    field,
    event,
    messaging_limit,
    previous_limit,
    messages_per_second,
    decision,
    rejection_reason,
    status,
    calling_status
   FROM projector.phone_number_changes c;

COMMENT ON VIEW analytics.fct_number_change IS 'Limits, rates, decisions about names, and stops of business numbers, one row a change; dim_phone_number is what holds now';

COMMENT ON COLUMN analytics.fct_number_change.event_id IS 'Id of the event in the log: one row an id';

COMMENT ON COLUMN analytics.fct_number_change.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';

COMMENT ON COLUMN analytics.fct_number_change.recorded_at IS 'When the webhook came to us, or the sender told it';

COMMENT ON COLUMN analytics.fct_number_change.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_number_change.phone_number_id IS 'Meta''s id of the business number; null for all numbers of the account, and for one that is not registered here';

COMMENT ON COLUMN analytics.fct_number_change.is_of_account IS 'Whether it is about all numbers of the account';

COMMENT ON COLUMN analytics.fct_number_change.field IS 'Webhook field; null for what the sender told';

COMMENT ON COLUMN analytics.fct_number_change.event IS 'Meta''s word, or the sender''s: stopped, sending, limit';

COMMENT ON COLUMN analytics.fct_number_change.messaging_limit IS 'People a day that may be written to first, from then on: a tier or a number, -1 for no limit';

COMMENT ON COLUMN analytics.fct_number_change.previous_limit IS 'The same until then';

COMMENT ON COLUMN analytics.fct_number_change.messages_per_second IS 'The rate that the sender keeps to from then on';

COMMENT ON COLUMN analytics.fct_number_change.decision IS 'About the name that was asked for: APPROVED, DEFERRED, PENDING or REJECTED';

COMMENT ON COLUMN analytics.fct_number_change.rejection_reason IS 'Why that name was refused, in Meta''s word';

COMMENT ON COLUMN analytics.fct_number_change.status IS 'Meta''s word for a username or setting; of a stop its reason';

COMMENT ON COLUMN analytics.fct_number_change.calling_status IS 'Whether the number takes calls: ENABLED or DISABLED';

CREATE TABLE projector.send_outcomes (
    event_id text NOT NULL COLLATE pg_catalog."C",
    occurred_at timestamp with time zone NOT NULL,
    command_id text NOT NULL,
    attempt_no integer NOT NULL,
    attempt_id text,
    kind text NOT NULL,
    lane text NOT NULL,
    type text NOT NULL,
    phone_number_id text NOT NULL,
    waba_id text,
    contact text,
    addressed_to text,
    wa_id text,
    bsuid text,
    wamid text,
    template_name text,
    reason text,
    detail text,
    error_code integer,
    source text NOT NULL,
    trace_id text,
    not_before_at timestamp with time zone,
    group_id text,
    possible_duplicate boolean,
    biz_opaque_callback_data text
)
PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE projector.send_outcomes IS 'What the sender said became of commands, each once however often it was told';

CREATE VIEW analytics.fct_send_attempt AS
 SELECT o.event_id AS outcome_id,
    o.command_id,
    o.attempt_no,
    o.attempt_id,
    o.occurred_at,
    o.kind,
    o.reason,
    o.error_code,
    o.source,
    o.lane,
    o.type,
    o.template_name,
    o.phone_number_id,
    o.waba_id,
    encode(sha256((k.secret || convert_to(COALESCE(o.contact, o.bsuid, o.wa_id), 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    encode(sha256(convert_to(o.wamid, 'UTF8'::name)), 'hex'::text) AS message_key,
    o.possible_duplicate,
    o.trace_id
   FROM ((projector.send_outcomes o
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = COALESCE(o.contact, o.bsuid, o.wa_id))));

COMMENT ON VIEW analytics.fct_send_attempt IS 'What the sender told of commands, one row a word: accepted, deferred, refused, rejected, unknown and so on';

COMMENT ON COLUMN analytics.fct_send_attempt.outcome_id IS 'Id of the outcome event; the same however often it was told';

COMMENT ON COLUMN analytics.fct_send_attempt.command_id IS 'The producer''s id of the command';

COMMENT ON COLUMN analytics.fct_send_attempt.attempt_no IS 'Which attempt it is about; 0 for a command that was never tried';

COMMENT ON COLUMN analytics.fct_send_attempt.attempt_id IS 'Id of that attempt, which Meta gives back with statuses';

COMMENT ON COLUMN analytics.fct_send_attempt.occurred_at IS 'When the sender knew it';

COMMENT ON COLUMN analytics.fct_send_attempt.kind IS 'accepted, deferred, refused, rejected, failed, unknown, unresolved, expired, late_failure';

COMMENT ON COLUMN analytics.fct_send_attempt.reason IS 'Why, one word of docs/producers.md';

COMMENT ON COLUMN analytics.fct_send_attempt.error_code IS 'Meta''s code, where it gave one';

COMMENT ON COLUMN analytics.fct_send_attempt.source IS 'What proved it: response, webhook, operator or the sender''s own rules';

COMMENT ON COLUMN analytics.fct_send_attempt.lane IS 'otp, transactional or bulk';

COMMENT ON COLUMN analytics.fct_send_attempt.type IS 'Kind of message: text, template, image …';

COMMENT ON COLUMN analytics.fct_send_attempt.template_name IS 'Of a template message';

COMMENT ON COLUMN analytics.fct_send_attempt.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_send_attempt.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_send_attempt.contact_key IS 'The person, as in fct_message; null where nobody knew yet whose the number is';

COMMENT ON COLUMN analytics.fct_send_attempt.country IS 'ISO 3166-1 alpha-2 of that person';

COMMENT ON COLUMN analytics.fct_send_attempt.message_key IS 'The message, as in fct_message, once Meta named it';

COMMENT ON COLUMN analytics.fct_send_attempt.possible_duplicate IS 'True where the person may have it twice';

COMMENT ON COLUMN analytics.fct_send_attempt.trace_id IS 'Meta''s fbtrace_id, for its support';

CREATE TABLE sender.send_attempts (
    command_id text CONSTRAINT send_attempts_command_id_not_null1 NOT NULL,
    period integer NOT NULL,
    attempt_no integer CONSTRAINT send_attempts_attempt_no_not_null1 NOT NULL,
    attempt_id text CONSTRAINT send_attempts_attempt_id_not_null1 NOT NULL,
    shard integer CONSTRAINT send_attempts_shard_not_null1 NOT NULL,
    epoch bigint CONSTRAINT send_attempts_epoch_not_null1 NOT NULL,
    phone_number_id text CONSTRAINT send_attempts_phone_number_id_not_null1 NOT NULL,
    started_at timestamp with time zone DEFAULT now() CONSTRAINT send_attempts_started_at_not_null1 NOT NULL,
    outcome text,
    finished_at timestamp with time zone,
    reason text,
    error_code integer,
    wamid text,
    trace_id text,
    CONSTRAINT send_attempts_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'rejected'::text, 'retry'::text, 'not_sent'::text, 'unknown'::text, 'unresolved'::text])))
)
PARTITION BY LIST (period);

COMMENT ON TABLE sender.send_attempts IS 'A row is committed before any byte of its call goes out; no outcome yet means: may have reached Meta';

COMMENT ON COLUMN sender.send_attempts.attempt_id IS 'What biz_opaque_callback_data carries: uuid5 of command_id and attempt_no';

COMMENT ON COLUMN sender.send_attempts.epoch IS 'The owner that started it';

COMMENT ON COLUMN sender.send_attempts.trace_id IS 'Meta''s own name of a refusal (fbtrace_id)';

CREATE TABLE sender.send_commands (
    command_id text CONSTRAINT send_commands_command_id_not_null1 NOT NULL,
    period integer NOT NULL,
    seq bigint CONSTRAINT send_commands_seq_not_null1 NOT NULL,
    shard integer CONSTRAINT send_commands_shard_not_null1 NOT NULL,
    fingerprint bytea CONSTRAINT send_commands_fingerprint_not_null1 NOT NULL,
    phone_number_id text CONSTRAINT send_commands_phone_number_id_not_null1 NOT NULL,
    lane smallint CONSTRAINT send_commands_lane_not_null1 NOT NULL,
    policy text CONSTRAINT send_commands_policy_not_null1 NOT NULL,
    state text DEFAULT 'waiting'::text CONSTRAINT send_commands_state_not_null1 NOT NULL,
    type text CONSTRAINT send_commands_type_not_null1 NOT NULL,
    content text CONSTRAINT send_commands_content_not_null1 NOT NULL,
    to_number text,
    bsuid text,
    pair text CONSTRAINT send_commands_pair_not_null1 NOT NULL,
    context_wamid text,
    appended_at timestamp with time zone CONSTRAINT send_commands_appended_at_not_null1 NOT NULL,
    received_at timestamp with time zone DEFAULT now() CONSTRAINT send_commands_received_at_not_null1 NOT NULL,
    expires_at timestamp with time zone CONSTRAINT send_commands_expires_at_not_null1 NOT NULL,
    next_action_at timestamp with time zone DEFAULT now() CONSTRAINT send_commands_next_action_at_not_null1 NOT NULL,
    attempts integer DEFAULT 0 CONSTRAINT send_commands_attempts_not_null1 NOT NULL,
    reason text,
    error_code integer,
    wamid text,
    outcome bytea,
    updated_at timestamp with time zone DEFAULT now() CONSTRAINT send_commands_updated_at_not_null1 NOT NULL,
    options text,
    held_by text,
    possible_duplicate boolean DEFAULT false NOT NULL,
    is_duplicate boolean DEFAULT false NOT NULL,
    deferred text[] DEFAULT '{}'::text[] NOT NULL,
    send_at timestamp with time zone,
    CONSTRAINT send_commands_lane_check1 CHECK (((lane >= 0) AND (lane <= 2))),
    CONSTRAINT send_commands_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'retry'::text, 'started'::text, 'accepted'::text, 'refused'::text, 'rejected'::text, 'expired'::text, 'unknown'::text, 'unresolved'::text])))
)
PARTITION BY LIST (period);

COMMENT ON TABLE sender.send_commands IS 'Every command of the last 37 days and more, by its producer''s idempotency key';

COMMENT ON COLUMN sender.send_commands.command_id IS 'One row over all periods: whoever takes commands in holds a lock on each id and looks it up in all of them';

COMMENT ON COLUMN sender.send_commands.period IS 'Of received_at; an attempt has that of its command, so that both go together';

COMMENT ON COLUMN sender.send_commands.seq IS 'Order of arrival: what the order per recipient within a lane is kept by';

COMMENT ON COLUMN sender.send_commands.fingerprint IS 'SHA-256 of the command: the same id with another one is a conflict';

COMMENT ON COLUMN sender.send_commands.lane IS '0 otp, 1 transactional, 2 bulk; they share what the number may send';

COMMENT ON COLUMN sender.send_commands.pair IS 'The recipient as order and pair back-off know it: digits, else the BSUID, else as given';

COMMENT ON COLUMN sender.send_commands.appended_at IS 'When the command was put into the lane''s topic';

COMMENT ON COLUMN sender.send_commands.next_action_at IS 'waiting, retry: not before. unknown: when the wait for evidence is over';

COMMENT ON COLUMN sender.send_commands.reason IS 'Why it ended, or what it waits for';

COMMENT ON COLUMN sender.send_commands.outcome IS 'The last outcome as it went to the log: told again, byte for byte, when the command comes again';

COMMENT ON COLUMN sender.send_commands.options IS 'JSON of the command''s seldom fields, by their names; null where it has none of them';

COMMENT ON COLUMN sender.send_commands.held_by IS 'Why a stop of its number or account holds it, if one does: it then keeps nothing else of its recipient waiting';

COMMENT ON COLUMN sender.send_commands.possible_duplicate IS 'Tried again although Meta may have an earlier attempt: by policy, once, or by an operator';

COMMENT ON COLUMN sender.send_commands.is_duplicate IS 'Meta accepted two attempts, and the log was told so';

COMMENT ON COLUMN sender.send_commands.deferred IS 'The causes of waiting that the log was told, each once';

COMMENT ON COLUMN sender.send_commands.send_at IS 'Not before: until then it keeps no later command of its recipient waiting; null where the command did not say';

CREATE TABLE sender.shards (
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    instance text NOT NULL,
    owned_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE sender.shards IS 'Who may send for partition n of every sends.* topic: only the process that holds the newest epoch';

CREATE VIEW analytics.fct_send_latency AS
 SELECT a.command_id,
    a.attempt_no,
    c.phone_number_id,
    (ARRAY['otp'::text, 'transactional'::text, 'bulk'::text])[(c.lane + 1)] AS lane,
    c.type,
    GREATEST(c.appended_at, c.send_at) AS due_at,
    a.started_at,
    a.finished_at,
    EXTRACT(epoch FROM (a.started_at - GREATEST(c.appended_at, c.send_at))) AS wait_seconds,
    EXTRACT(epoch FROM (a.finished_at - a.started_at)) AS call_seconds
   FROM ((sender.shards s
     JOIN sender.send_attempts a ON ((a.shard = s.shard)))
     CROSS JOIN LATERAL ( SELECT k.phone_number_id,
            k.lane,
            k.type,
            k.appended_at,
            k.send_at
           FROM sender.send_commands k
          WHERE ((k.command_id = a.command_id) AND (k.period = a.period))
         OFFSET 0) c)
  WHERE (a.outcome = 'accepted'::text);

COMMENT ON VIEW analytics.fct_send_latency IS 'How long commands took to be accepted, one row an accepted attempt, for as long as the sender''s ledger keeps them: 37 days and more';

COMMENT ON COLUMN analytics.fct_send_latency.command_id IS 'The producer''s id of the command';

COMMENT ON COLUMN analytics.fct_send_latency.attempt_no IS 'Which attempt was accepted';

COMMENT ON COLUMN analytics.fct_send_latency.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_send_latency.lane IS 'otp, transactional or bulk';

COMMENT ON COLUMN analytics.fct_send_latency.type IS 'Kind of message: text, template, image …';

COMMENT ON COLUMN analytics.fct_send_latency.due_at IS 'When the command was put into its lane''s topic, or the later instant before which it was not to be sent';

COMMENT ON COLUMN analytics.fct_send_latency.started_at IS 'When the call to Meta began. A range of it reads the attempts of that range';

COMMENT ON COLUMN analytics.fct_send_latency.finished_at IS 'When Meta answered it, or when it was given up if a webhook told of the acceptance';

COMMENT ON COLUMN analytics.fct_send_latency.wait_seconds IS 'Seconds from due_at to started_at: limits, order, stops and earlier attempts';

COMMENT ON COLUMN analytics.fct_send_latency.call_seconds IS 'Seconds from started_at to finished_at';

CREATE TABLE projector.message_statuses (
    wamid text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    occurred_at timestamp with time zone NOT NULL,
    contact text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    event_id text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    phone_number_id text NOT NULL,
    waba_id text NOT NULL,
    biz_opaque_callback_data text,
    error_code integer,
    error_title text,
    pricing_model text,
    pricing_type text,
    pricing_category text,
    conversation_id text,
    raw text NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp(),
    pricing_billable boolean,
    conversation_origin_type text,
    conversation_expires_at timestamp with time zone
)
PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE projector.message_statuses IS 'Every status Meta reported, each once however often it was delivered';

COMMENT ON COLUMN projector.message_statuses.contact IS 'Empty when Meta named nobody';

COMMENT ON COLUMN projector.message_statuses.biz_opaque_callback_data IS 'The attempt id of our own sends; at most 512 characters, a longer one stands in raw only';

COMMENT ON COLUMN projector.message_statuses.written_at IS 'When the row was written here, however late: what the sender reads new failures by. Null before there was this column';

COMMENT ON COLUMN projector.message_statuses.pricing_billable IS 'As Meta sent it; deprecated there, pricing_type says more';

CREATE VIEW analytics.fct_status AS
 SELECT s.event_id,
    encode(sha256(convert_to(s.wamid, 'UTF8'::name)), 'hex'::text) AS message_key,
    s.status,
    s.type,
    s.occurred_at,
    s.recorded_at,
    s.phone_number_id,
    s.waba_id,
    encode(sha256((k.secret || convert_to(NULLIF(s.contact, ''::text), 'UTF8'::name))), 'hex'::text) AS contact_key,
    c.country,
    s.error_code,
    s.pricing_model,
    s.pricing_type,
    s.pricing_category,
    s.pricing_billable,
    s.conversation_origin_type
   FROM ((projector.message_statuses s
     CROSS JOIN registry.contact_secret k)
     LEFT JOIN projector.contacts c ON ((c.contact = s.contact)));

COMMENT ON VIEW analytics.fct_status IS 'Every status that Meta reported, each once however often it was delivered; fct_message has what follows from them';

COMMENT ON COLUMN analytics.fct_status.event_id IS 'Id of the event in the log: one row an id';

COMMENT ON COLUMN analytics.fct_status.message_key IS 'The message, as in fct_message; it may be unknown there';

COMMENT ON COLUMN analytics.fct_status.status IS 'Meta''s word: sent, delivered, read, played, failed …';

COMMENT ON COLUMN analytics.fct_status.type IS 'What it is a status of: message, payment …';

COMMENT ON COLUMN analytics.fct_status.occurred_at IS 'Meta''s time of it, in whole seconds';

COMMENT ON COLUMN analytics.fct_status.recorded_at IS 'When the webhook came to us';

COMMENT ON COLUMN analytics.fct_status.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_status.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_status.contact_key IS 'The person who got the message, in a group one of several; null where Meta named nobody';

COMMENT ON COLUMN analytics.fct_status.country IS 'ISO 3166-1 alpha-2 of that person';

COMMENT ON COLUMN analytics.fct_status.error_code IS 'Meta''s code, of a failure';

COMMENT ON COLUMN analytics.fct_status.pricing_model IS 'Meta''s word: PMP by message, CBP by conversation (until July 2025)';

COMMENT ON COLUMN analytics.fct_status.pricing_type IS 'Meta''s word: regular is billed, the others are free';

COMMENT ON COLUMN analytics.fct_status.pricing_category IS 'Meta''s word: marketing, utility, authentication, service …';

COMMENT ON COLUMN analytics.fct_status.pricing_billable IS 'As Meta sent it; deprecated there, pricing_type says more';

COMMENT ON COLUMN analytics.fct_status.conversation_origin_type IS 'Meta''s word for what began the conversation that it counted; null where it counted none';

CREATE TABLE projector.template_changes (
    content_sha256 bytea NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone,
    waba_id text,
    template_id text NOT NULL,
    template_name text,
    template_language text,
    field text NOT NULL,
    event text NOT NULL,
    category text,
    previous_category text,
    correct_category text,
    category_update_at timestamp with time zone,
    previous_quality_score text,
    new_quality_score text,
    reason text,
    recommendation text,
    disable_date text
);

COMMENT ON TABLE projector.template_changes IS 'Every change of status, category, quality or content of a template, each content once';

COMMENT ON COLUMN projector.template_changes.occurred_at IS 'Meta''s instant; null where it gave none';

COMMENT ON COLUMN projector.template_changes.event IS 'Meta''s word for what happened';

COMMENT ON COLUMN projector.template_changes.category_update_at IS 'When an announced category begins to hold';

CREATE VIEW analytics.fct_template_change AS
 SELECT event_id,
    COALESCE(occurred_at, recorded_at) AS occurred_at,
    recorded_at,
    waba_id,
    template_id,
    template_name,
    template_language AS language,
    field,
    event,
    category,
    previous_category,
    correct_category,
    category_update_at,
    previous_quality_score,
    new_quality_score,
    reason
   FROM projector.template_changes;

COMMENT ON VIEW analytics.fct_template_change IS 'Every change of status, category, quality or content of a template, one row a change; dim_template is what holds now';

COMMENT ON COLUMN analytics.fct_template_change.event_id IS 'Id of the event in the log: one row an id';

COMMENT ON COLUMN analytics.fct_template_change.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';

COMMENT ON COLUMN analytics.fct_template_change.recorded_at IS 'When the webhook came to us';

COMMENT ON COLUMN analytics.fct_template_change.waba_id IS 'Meta''s id of the business account';

COMMENT ON COLUMN analytics.fct_template_change.template_id IS 'Meta''s id of the template in this language';

COMMENT ON COLUMN analytics.fct_template_change.template_name IS 'Name, one of several languages';

COMMENT ON COLUMN analytics.fct_template_change.language IS 'Meta''s code, as pt_BR';

COMMENT ON COLUMN analytics.fct_template_change.field IS 'Webhook field it came by: status, category, quality or components';

COMMENT ON COLUMN analytics.fct_template_change.event IS 'Meta''s word: APPROVED, PAUSED …; of a category impending, completed or detected; quality_changed; components_changed';

COMMENT ON COLUMN analytics.fct_template_change.category IS 'The category that holds from then on';

COMMENT ON COLUMN analytics.fct_template_change.previous_category IS 'The category until then';

COMMENT ON COLUMN analytics.fct_template_change.correct_category IS 'What Meta holds for right; it comes into force only with a completed change';

COMMENT ON COLUMN analytics.fct_template_change.category_update_at IS 'When an announced category begins to hold';

COMMENT ON COLUMN analytics.fct_template_change.previous_quality_score IS 'GREEN, YELLOW, RED or UNKNOWN, until then';

COMMENT ON COLUMN analytics.fct_template_change.new_quality_score IS 'GREEN, YELLOW, RED or UNKNOWN, from then on';

COMMENT ON COLUMN analytics.fct_template_change.reason IS 'Why Meta refused or stopped it, in its words';

CREATE TABLE projector.conversations (
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    contact text NOT NULL COLLATE pg_catalog."C",
    waba_id text COLLATE pg_catalog."C",
    first_inbound_at timestamp with time zone,
    last_inbound_at timestamp with time zone,
    last_outbound_at timestamp with time zone
)
WITH (fillfactor='85');

COMMENT ON TABLE projector.conversations IS 'One business number and one contact, or one group under its id; the window is read from last_inbound_at';

COMMENT ON COLUMN projector.conversations.last_inbound_at IS 'Last message that opens the 24 h window, by Meta''s clock';

CREATE VIEW analytics.fct_window AS
 SELECT phone_number_id,
    count(*) AS conversations,
    count(*) FILTER (WHERE (last_inbound_at > (now() - '24:00:00'::interval))) AS open_windows,
    count(*) FILTER (WHERE (last_inbound_at <= (now() - '24:00:00'::interval))) AS closed_windows,
    count(*) FILTER (WHERE (last_inbound_at IS NULL)) AS never_opened
   FROM projector.conversations
  GROUP BY phone_number_id;

COMMENT ON VIEW analytics.fct_window IS 'Customer service windows by business number, as of now';

COMMENT ON COLUMN analytics.fct_window.phone_number_id IS 'Meta''s id of the business number';

COMMENT ON COLUMN analytics.fct_window.conversations IS 'People and groups that it ever exchanged a message with';

COMMENT ON COLUMN analytics.fct_window.open_windows IS 'Of these, who wrote in the last 24 hours: they may be answered freely';

COMMENT ON COLUMN analytics.fct_window.closed_windows IS 'Of these, who wrote longer ago';

COMMENT ON COLUMN analytics.fct_window.never_opened IS 'Of these, who never wrote';

CREATE TABLE projector.dead_letters (
    topic text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    pointer text NOT NULL COLLATE pg_catalog."C",
    recorded_at timestamp with time zone NOT NULL,
    consumer_group text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    error text NOT NULL COLLATE pg_catalog."C",
    record_key bytea,
    record_value bytea,
    headers jsonb NOT NULL
);

COMMENT ON TABLE projector.dead_letters IS 'Records, or elements of them, that a service set aside: where they stood, why, and their bytes';

COMMENT ON COLUMN projector.dead_letters.headers IS 'The original headers: [[name, text]], or [[name, null, base64]] for bytes that are no text';

CREATE TABLE registry.dead_letter_decisions (
    decision_id bigint NOT NULL,
    topic text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    pointer text NOT NULL COLLATE pg_catalog."C",
    consumer_group text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    decision text NOT NULL COLLATE pg_catalog."C",
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    decided_by text NOT NULL,
    why text NOT NULL,
    redrive_id uuid,
    looked_from bigint,
    appended_offset bigint,
    outcome text COLLATE pg_catalog."C",
    settled_at timestamp with time zone,
    state text GENERATED ALWAYS AS (
CASE
    WHEN (decision = 'discard'::text) THEN 'discarded'::text
    WHEN (outcome = 'not_appended'::text) THEN 'open'::text
    WHEN (outcome IS NOT NULL) THEN outcome
    WHEN (appended_offset IS NOT NULL) THEN 'redriven'::text
    ELSE 'begun'::text
END) STORED NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT dead_letter_decisions_check CHECK (((decision = 'redrive'::text) = ((redrive_id IS NOT NULL) AND (looked_from IS NOT NULL)))),
    CONSTRAINT dead_letter_decisions_decision_check CHECK ((decision = ANY (ARRAY['redrive'::text, 'discard'::text]))),
    CONSTRAINT dead_letter_decisions_outcome_check CHECK ((outcome = ANY (ARRAY['resolved'::text, 'returned'::text, 'not_appended'::text])))
);

COMMENT ON TABLE registry.dead_letter_decisions IS 'What was decided about dead letters, by whom and why. Of several about one, the last counts. Rows are never deleted';

COMMENT ON COLUMN registry.dead_letter_decisions.topic IS 'With partition, offset and pointer: the dead letter, as projector.dead_letters names it';

COMMENT ON COLUMN registry.dead_letter_decisions.consumer_group IS 'Of the service that set it aside, and that reads it again';

COMMENT ON COLUMN registry.dead_letter_decisions.reason IS 'Why it had been set aside';

COMMENT ON COLUMN registry.dead_letter_decisions.why IS 'The operator''s words';

COMMENT ON COLUMN registry.dead_letter_decisions.redrive_id IS 'In the header of the record that was appended; letters of one record have it together';

COMMENT ON COLUMN registry.dead_letter_decisions.looked_from IS 'End of the partition before the append: not before it is what was appended';

COMMENT ON COLUMN registry.dead_letter_decisions.appended_offset IS 'Where the record stands again; null until that is known';

COMMENT ON COLUMN registry.dead_letter_decisions.outcome IS 'resolved: it went through. returned: it was set aside again. not_appended: a redrive that was interrupted before it had done anything';

COMMENT ON COLUMN registry.dead_letter_decisions.state IS 'What the dead letter is by this: discarded, begun, redriven, resolved, returned, open';

CREATE VIEW registry.dead_letters AS
 SELECT l.topic,
    l.partition,
    l."offset" AS record_offset,
    l.recorded_at AS appended_at,
    l.consumer_group,
    l.reason,
    l.pointer,
        CASE
            WHEN ((l.topic ~~ 'parley.sends.%'::text) OR (l.topic = ANY (ARRAY['parley.webhooks.v1'::text, 'parley.inbound-messages.v1'::text, 'parley.message-copies.v1'::text, 'parley.message-statuses.v1'::text, 'parley.contact-events.v1'::text, 'parley.send-outcomes.v1'::text]))) THEN "substring"(encode(l.record_key, 'escape'::text), '^([0-9]{1,32})(?:[/#]|$)'::text)
            ELSE NULL::text
        END AS phone_number_id,
    COALESCE(d.state, 'open'::text) AS state,
    d.decided_at
   FROM (projector.dead_letters l
     LEFT JOIN LATERAL ( SELECT e.state,
            e.decided_at
           FROM registry.dead_letter_decisions e
          WHERE ((e.topic = l.topic) AND (e.partition = l.partition) AND (e."offset" = l."offset") AND (e.pointer = l.pointer))
          ORDER BY e.decision_id DESC
         LIMIT 1) d ON (true));

COMMENT ON VIEW registry.dead_letters IS 'Dead letters with the state that the last decision gave them; neither keys nor bytes';

CREATE VIEW analytics.ops_dead_letter AS
 SELECT topic,
    partition,
    record_offset,
    appended_at,
    consumer_group,
    reason,
    phone_number_id,
    state,
    decided_at
   FROM registry.dead_letters;

COMMENT ON VIEW analytics.ops_dead_letter IS 'Records, or elements of them, that a service set aside: where they stood, why, and what became of them. Several elements of one record are several rows';

COMMENT ON COLUMN analytics.ops_dead_letter.topic IS 'Topic of the record';

COMMENT ON COLUMN analytics.ops_dead_letter.partition IS 'Partition of the topic';

COMMENT ON COLUMN analytics.ops_dead_letter.record_offset IS 'Offset in the partition';

COMMENT ON COLUMN analytics.ops_dead_letter.appended_at IS 'When the record was appended to the log';

COMMENT ON COLUMN analytics.ops_dead_letter.consumer_group IS 'Kafka''s consumer group of the service that set it aside';

COMMENT ON COLUMN analytics.ops_dead_letter.reason IS 'Why, in one word';

COMMENT ON COLUMN analytics.ops_dead_letter.phone_number_id IS 'Our number, where the record''s key names it';

COMMENT ON COLUMN analytics.ops_dead_letter.state IS 'open: nobody has decided. begun: a redrive was interrupted. redriven: in the log again, and nobody has looked what became of it. resolved: it went through. returned: it was set aside again, as a row of its own. discarded: an operator gave it up';

COMMENT ON COLUMN analytics.ops_dead_letter.decided_at IS 'When an operator last redrove or discarded it';

CREATE VIEW analytics.ops_number AS
 SELECT n.phone_number_id,
    n.waba_id,
    n.state,
    accepted.last_accepted_at,
    status.last_status_at,
    inbound.last_inbound_at,
    unheard.unheard_since,
    ( SELECT count(*) AS count
           FROM projector.send_outcomes o
          WHERE ((o.phone_number_id = n.phone_number_id) AND (o.kind = 'accepted'::text) AND (o.wamid IS NOT NULL) AND (o.occurred_at > (now() - '01:00:00'::interval)))) AS accepted_last_hour,
    ( SELECT count(*) AS count
           FROM projector.send_outcomes o
          WHERE ((o.phone_number_id = n.phone_number_id) AND (o.kind = 'accepted'::text) AND (o.wamid IS NOT NULL) AND (o.occurred_at > (now() - '01:00:00'::interval)) AND (( SELECT num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at) AS num_nonnulls
                   FROM projector.messages m
                  WHERE (m.wamid = o.wamid)) = 0))) AS without_status_last_hour,
    ( SELECT (COALESCE(sum(lane.messages), (0)::numeric))::bigint AS "coalesce"
           FROM (registry.silence x
             CROSS JOIN LATERAL ( SELECT count(*) AS messages
                   FROM ( SELECT o.wamid
                           FROM projector.send_outcomes o
                          WHERE ((o.phone_number_id = n.phone_number_id) AND (o.kind = 'accepted'::text) AND (o.wamid IS NOT NULL) AND (o.lane = x.subject) AND (o.occurred_at > (now() - make_interval(hours => 1, secs => (x.seconds)::double precision))) AND (o.occurred_at <= (now() - make_interval(secs => (x.seconds)::double precision))))
                          ORDER BY o.occurred_at DESC
                         LIMIT 20000) due
                  WHERE (( SELECT num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at) AS num_nonnulls
                           FROM projector.messages m
                          WHERE (m.wamid = due.wamid)) = 0)) lane)) AS silent_last_hour,
        CASE
            WHEN (unheard.unheard_since <= (now() - make_interval(secs => (patience.seconds)::double precision))) THEN 'stopped'::text
            WHEN (GREATEST(accepted.last_accepted_at, status.last_status_at, inbound.last_inbound_at) > (now() - '1 day'::interval)) THEN 'flowing'::text
            ELSE 'idle'::text
        END AS webhooks
   FROM (((((registry.phone_numbers n
     LEFT JOIN registry.silence patience ON ((patience.subject = 'webhooks'::text)))
     CROSS JOIN LATERAL ( SELECT max(o.occurred_at) AS last_accepted_at
           FROM projector.send_outcomes o
          WHERE ((o.phone_number_id = n.phone_number_id) AND (o.kind = 'accepted'::text) AND (o.wamid IS NOT NULL))) accepted)
     CROSS JOIN LATERAL ( SELECT GREATEST(( SELECT max(s.occurred_at) AS max
                   FROM projector.message_statuses s
                  WHERE ((s.phone_number_id = n.phone_number_id) AND (s.status = 'sent'::text))), max(( SELECT GREATEST(m.delivered_at, m.read_at, m.played_at, m.failed_at) AS "greatest"
                   FROM projector.messages m
                  WHERE (m.wamid = newest.wamid)))) AS last_status_at
           FROM ( SELECT o.wamid
                   FROM projector.send_outcomes o
                  WHERE ((o.phone_number_id = n.phone_number_id) AND (o.kind = 'accepted'::text) AND (o.wamid IS NOT NULL))
                  ORDER BY o.occurred_at DESC
                 LIMIT 100) newest) status)
     CROSS JOIN LATERAL ( SELECT max(m.recorded_at) AS last_inbound_at
           FROM projector.messages m
          WHERE ((m.phone_number_id = n.phone_number_id) AND (m.direction = 'inbound'::text))) inbound)
     CROSS JOIN LATERAL ( SELECT min(later.occurred_at) AS unheard_since
           FROM ( SELECT o.occurred_at,
                    o.wamid
                   FROM projector.send_outcomes o
                  WHERE ((o.phone_number_id = n.phone_number_id) AND (o.kind = 'accepted'::text) AND (o.wamid IS NOT NULL) AND (o.occurred_at > GREATEST(status.last_status_at, inbound.last_inbound_at, (now() - '7 days'::interval))))
                  ORDER BY o.occurred_at
                 LIMIT 1000) later
          WHERE (( SELECT num_nonnulls(m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at) AS num_nonnulls
                   FROM projector.messages m
                  WHERE (m.wamid = later.wamid)) = 0)) unheard);

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

CREATE TABLE projector.positions (
    projection text NOT NULL COLLATE pg_catalog."C",
    topic text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    last_record_at timestamp with time zone,
    written_at timestamp with time zone,
    CONSTRAINT positions_next_offset_check CHECK ((next_offset >= 0))
)
WITH (fillfactor='50');

COMMENT ON TABLE projector.positions IS 'How far each partition is in the tables; committed together with the rows';

COMMENT ON COLUMN projector.positions.last_record_at IS 'When the last record before next_offset was appended to the log';

COMMENT ON COLUMN projector.positions.written_at IS 'When that was written here';

CREATE VIEW analytics.ops_projection AS
 SELECT projection,
    topic,
    partition,
    next_offset,
    last_record_at,
    written_at,
    EXTRACT(epoch FROM (written_at - last_record_at)) AS lag_seconds,
    EXTRACT(epoch FROM (now() - written_at)) AS idle_seconds
   FROM projector.positions;

COMMENT ON VIEW analytics.ops_projection IS 'How far the read models are in each partition of the log';

COMMENT ON COLUMN analytics.ops_projection.projection IS 'Which read models';

COMMENT ON COLUMN analytics.ops_projection.topic IS 'Topic of the log';

COMMENT ON COLUMN analytics.ops_projection.partition IS 'Partition of the topic';

COMMENT ON COLUMN analytics.ops_projection.next_offset IS 'Everything before this offset of the partition is in the tables';

COMMENT ON COLUMN analytics.ops_projection.last_record_at IS 'When the last record that is in the tables was appended to the log';

COMMENT ON COLUMN analytics.ops_projection.written_at IS 'When the tables last took something in from the partition';

COMMENT ON COLUMN analytics.ops_projection.lag_seconds IS 'How old that record was when it came into the tables';

COMMENT ON COLUMN analytics.ops_projection.idle_seconds IS 'How long ago that was: nothing came since, or nobody reads';

CREATE TABLE projector.consents (
    phone_number_id text NOT NULL COLLATE pg_catalog."C",
    contact text NOT NULL COLLATE pg_catalog."C",
    category text NOT NULL COLLATE pg_catalog."C",
    granted_at timestamp with time zone,
    withdrawn_at timestamp with time zone
);

COMMENT ON TABLE projector.consents IS 'Last grant and last withdrawal by category; contact is digits or a BSUID as the evidence named it';

ALTER TABLE registry.dead_letter_decisions ALTER COLUMN decision_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registry.dead_letter_decisions_decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE registry.dropped_months (
    relation text NOT NULL,
    before timestamp with time zone NOT NULL
);

COMMENT ON TABLE registry.dropped_months IS 'Up to which event time months of a read model were dropped: a rebuild from the log leaves the same out';

CREATE TABLE registry.tenants (
    tenant_id text NOT NULL,
    name text NOT NULL,
    resend_once text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tenants_resend_once_check CHECK ((resend_once <@ ARRAY['otp'::text, 'transactional'::text])),
    CONSTRAINT tenants_tenant_id_check CHECK ((tenant_id <> ''::text))
);

COMMENT ON TABLE registry.tenants IS 'Whose numbers they are';

COMMENT ON COLUMN registry.tenants.resend_once IS 'Lanes in which a command''s policy resend_once is honoured: a lost answer may then become a second message. Never bulk';

CREATE SEQUENCE sender.command_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE sender.command_seq OWNED BY sender.send_commands.seq;

COMMENT ON SEQUENCE sender.command_seq IS 'One order of arrival over all periods';

CREATE TABLE sender.distrusted_codes (
    error_code integer NOT NULL,
    attempt_id text NOT NULL,
    distrusted_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE sender.distrusted_codes IS 'Codes that the sender reads as unknown; delete a row to trust the code again';

COMMENT ON COLUMN sender.distrusted_codes.attempt_id IS 'The first attempt that was answered with the code although Meta had its message';

CREATE TABLE sender.failures_read (
    shard integer NOT NULL,
    read_to timestamp with time zone NOT NULL,
    relation bigint NOT NULL
);

COMMENT ON TABLE sender.failures_read IS 'Up to which written_at of projector.message_statuses failures were looked through';

COMMENT ON COLUMN sender.failures_read.relation IS 'Which table that was: after a rebuild it is another one, and read from its beginning';

CREATE TABLE sender.late_failures (
    command_id text NOT NULL,
    period integer NOT NULL,
    error_code integer NOT NULL,
    attempt_no integer NOT NULL,
    shard integer NOT NULL,
    wamid text NOT NULL,
    told_at timestamp with time zone
)
PARTITION BY LIST (period);

COMMENT ON TABLE sender.late_failures IS 'What Meta accepted and told later that it did not deliver: each code of a command once';

COMMENT ON COLUMN sender.late_failures.error_code IS '-1 when Meta named none';

COMMENT ON COLUMN sender.late_failures.told_at IS 'Null while the log was not told, as long as the attempt is not known to be accepted';

CREATE TABLE sender.limits (
    phone_number_id text NOT NULL,
    messages_per_second integer NOT NULL,
    upgraded_at timestamp with time zone
);

COMMENT ON TABLE sender.limits IS 'The limit of each number as the log was last told of it';

COMMENT ON COLUMN sender.limits.upgraded_at IS 'The newest THROUGHPUT_UPGRADE of Meta''s that was followed';

CREATE TABLE sender.media (
    media_id text NOT NULL,
    phone_number_id text NOT NULL,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    size bigint NOT NULL,
    uploaded_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    gone_at timestamp with time zone
);

COMMENT ON TABLE sender.media IS 'Every upload that Meta took: its id belongs to one number';

COMMENT ON COLUMN sender.media.expires_at IS 'When Meta''s thirty days end';

COMMENT ON COLUMN sender.media.gone_at IS 'When Meta said that it does not know the id any more';

CREATE TABLE sender.media_leases (
    phone_number_id text NOT NULL,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    holder text NOT NULL,
    until timestamp with time zone NOT NULL
);

COMMENT ON TABLE sender.media_leases IS 'Uploads under way: who holds one renews it, so that one of a process that died is over in seconds';

CREATE TABLE sender.media_sources (
    source bytea NOT NULL,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    size bigint NOT NULL,
    is_animated boolean NOT NULL,
    etag text,
    last_modified text,
    checked_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE sender.media_sources IS 'What was last found behind a file name or a link';

COMMENT ON COLUMN sender.media_sources.source IS 'SHA-256 of the name or link: a link may carry secrets';

COMMENT ON COLUMN sender.media_sources.etag IS 'What tells that it is unchanged: a link''s ETag, a file''s time, size and inode';

COMMENT ON COLUMN sender.media_sources.checked_at IS 'When it was last seen to be this content';

CREATE TABLE sender.outbox (
    seq bigint NOT NULL,
    shard integer NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    event_id text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    topic text DEFAULT 'parley.send-outcomes.v1'::text NOT NULL
);

COMMENT ON TABLE sender.outbox IS 'Outcomes and other events written and not yet acknowledged by the log; a row goes when the brokers have it';

ALTER TABLE sender.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sender.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE sender.portfolio_recipients (
    portfolio_id text NOT NULL,
    recipient text NOT NULL,
    started_at timestamp with time zone NOT NULL
)
WITH (fillfactor='85');

COMMENT ON TABLE sender.portfolio_recipients IS 'To whom the business last began to write outside an open window, and when';

CREATE TABLE sender.portfolios (
    portfolio_id text NOT NULL,
    room integer NOT NULL,
    messaging_limit integer NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    next_room_at timestamp with time zone
);

COMMENT ON TABLE sender.portfolios IS 'How many more people may be written to first: counted now and then, and less by one for each that was started since';

COMMENT ON COLUMN sender.portfolios.next_room_at IS 'When the first of those who count stops counting';

CREATE TABLE sender.resends (
    resend_id bigint NOT NULL,
    command_id text NOT NULL,
    period integer NOT NULL,
    shard integer NOT NULL,
    asked_by text NOT NULL,
    why text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone,
    is_sent boolean
);

COMMENT ON TABLE sender.resends IS 'Who wanted a command sent again, and why; the sender that owns the shard does it';

COMMENT ON COLUMN sender.resends.is_sent IS 'False: the command had gone on before the sender came to it';

ALTER TABLE sender.resends ALTER COLUMN resend_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sender.resends_resend_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE sender.stops (
    scope text NOT NULL,
    scope_id text NOT NULL,
    cause text NOT NULL,
    at timestamp with time zone NOT NULL,
    is_stopped boolean NOT NULL,
    source text NOT NULL,
    covers text NOT NULL,
    area text,
    reason text NOT NULL,
    error_code integer,
    trace_id text,
    until timestamp with time zone,
    since timestamp with time zone NOT NULL,
    probe_at timestamp with time zone,
    probes integer DEFAULT 0 NOT NULL,
    is_told boolean NOT NULL,
    tried_by text,
    tried_at timestamp with time zone,
    CONSTRAINT stops_scope_check CHECK ((scope = ANY (ARRAY['number'::text, 'waba'::text])))
);

COMMENT ON TABLE sender.stops IS 'The newest that is known of each cause for which a number or an account may not send: read by every sender, so that one finds out for all';

COMMENT ON COLUMN sender.stops.cause IS 'Meta''s word or error code; access_token; operator';

COMMENT ON COLUMN sender.stops.at IS 'When this was so: newer evidence takes its place, older never';

COMMENT ON COLUMN sender.stops.is_stopped IS 'False: whatever it was is over. The row stays, so that older evidence that comes late changes nothing';

COMMENT ON COLUMN sender.stops.covers IS 'What may not be sent: everything, business_initiated, replies, templates, utility_templates, direct_send_utility, marketing, country';

COMMENT ON COLUMN sender.stops.area IS 'covers country: its calling code with +, or the two letters of its BSUIDs';

COMMENT ON COLUMN sender.stops.until IS 'When it ends by itself; null where Meta does not tell';

COMMENT ON COLUMN sender.stops.since IS 'Since when it has been so';

COMMENT ON COLUMN sender.stops.probe_at IS 'When one command may be sent to find out whether it still holds';

COMMENT ON COLUMN sender.stops.is_told IS 'Whether the log was told that it is stopped; an end is told of those only, once';

COMMENT ON COLUMN sender.stops.tried_by IS 'The attempt id of the probe that Meta accepted, where its code comes after the answer: what Meta tells of it next decides';

COMMENT ON COLUMN sender.stops.tried_at IS 'When that call was begun';

CREATE TABLE sender.template_polls (
    waba_id text NOT NULL,
    lease bigint DEFAULT 0 NOT NULL,
    leased_until timestamp with time zone,
    begun_at timestamp with time zone,
    polled_at timestamp with time zone,
    next_poll_at timestamp with time zone DEFAULT now() NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    error_code integer
);

COMMENT ON TABLE sender.template_polls IS 'Who reads an account''s template list now, and when it was read and is to be read again';

COMMENT ON COLUMN sender.template_polls.lease IS 'Counts up with every poll: only the newest one may write what it found';

COMMENT ON COLUMN sender.template_polls.polled_at IS 'When the last complete poll began';

ALTER TABLE ONLY sender.send_commands ALTER COLUMN seq SET DEFAULT nextval('sender.command_seq'::regclass);

ALTER TABLE ONLY projector.account_events
    ADD CONSTRAINT account_events_pkey PRIMARY KEY (content_sha256);

ALTER TABLE ONLY projector.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (wacid);

ALTER TABLE ONLY projector.consent_events
    ADD CONSTRAINT consent_events_pkey PRIMARY KEY (consent_id);

ALTER TABLE ONLY projector.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (phone_number_id, contact, category);

ALTER TABLE ONLY projector.contact_aliases
    ADD CONSTRAINT contact_aliases_pkey PRIMARY KEY (alias, contact);

ALTER TABLE ONLY projector.contact_moves
    ADD CONSTRAINT contact_moves_pkey PRIMARY KEY (alias, contact, moved_at);

ALTER TABLE ONLY projector.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (contact);

ALTER TABLE ONLY projector.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (phone_number_id, contact);

ALTER TABLE ONLY projector.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, "offset", pointer);

ALTER TABLE ONLY projector.flow_changes
    ADD CONSTRAINT flow_changes_pkey PRIMARY KEY (content_sha256);

ALTER TABLE ONLY projector.group_members
    ADD CONSTRAINT group_members_pkey PRIMARY KEY (phone_number_id, group_id, contact);

ALTER TABLE ONLY projector.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (phone_number_id, group_id);

ALTER TABLE ONLY projector.message_statuses
    ADD CONSTRAINT message_statuses_pkey PRIMARY KEY (wamid, status, occurred_at, contact, type);

ALTER TABLE ONLY projector.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (wamid);

ALTER TABLE ONLY projector.messaging_limits
    ADD CONSTRAINT messaging_limits_pkey PRIMARY KEY (waba_id);

ALTER TABLE ONLY projector.phone_number_changes
    ADD CONSTRAINT phone_number_changes_pkey PRIMARY KEY (content_sha256);

ALTER TABLE ONLY projector.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (projection, topic, partition);

ALTER TABLE ONLY projector.priced_conversations
    ADD CONSTRAINT priced_conversations_pkey PRIMARY KEY (conversation_id);

ALTER TABLE ONLY projector.send_outcomes
    ADD CONSTRAINT send_outcomes_pkey PRIMARY KEY (event_id, occurred_at);

ALTER TABLE ONLY projector.template_changes
    ADD CONSTRAINT template_changes_pkey PRIMARY KEY (content_sha256);

ALTER TABLE ONLY projector.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (waba_id, name, language);

ALTER TABLE ONLY registry.business_calendars
    ADD CONSTRAINT business_calendars_pkey PRIMARY KEY (scope, scope_id);

ALTER TABLE ONLY registry.business_hours
    ADD CONSTRAINT business_hours_pkey PRIMARY KEY (scope, scope_id, weekday, opens);

ALTER TABLE ONLY registry.contact_secret
    ADD CONSTRAINT contact_secret_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY registry.dead_letter_decisions
    ADD CONSTRAINT dead_letter_decisions_pkey PRIMARY KEY (decision_id);

ALTER TABLE ONLY registry.dropped_months
    ADD CONSTRAINT dropped_months_pkey PRIMARY KEY (relation);

ALTER TABLE ONLY registry.phone_numbers
    ADD CONSTRAINT phone_numbers_pkey PRIMARY KEY (phone_number_id);

ALTER TABLE ONLY registry.rates
    ADD CONSTRAINT rates_pkey PRIMARY KEY (country, category, valid_from);

ALTER TABLE ONLY registry.silence
    ADD CONSTRAINT silence_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY registry.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY sender.distrusted_codes
    ADD CONSTRAINT distrusted_codes_pkey PRIMARY KEY (error_code);

ALTER TABLE ONLY sender.failures_read
    ADD CONSTRAINT failures_read_pkey PRIMARY KEY (shard);

ALTER TABLE ONLY sender.late_failures
    ADD CONSTRAINT late_failures_pkey PRIMARY KEY (command_id, error_code, period);

ALTER TABLE ONLY sender.limits
    ADD CONSTRAINT limits_pkey PRIMARY KEY (phone_number_id);

ALTER TABLE ONLY sender.media_leases
    ADD CONSTRAINT media_leases_pkey PRIMARY KEY (phone_number_id, sha256, mime_type);

ALTER TABLE ONLY sender.media
    ADD CONSTRAINT media_pkey PRIMARY KEY (media_id);

ALTER TABLE ONLY sender.media_sources
    ADD CONSTRAINT media_sources_pkey PRIMARY KEY (source);

ALTER TABLE ONLY sender.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY sender.portfolio_recipients
    ADD CONSTRAINT portfolio_recipients_pkey PRIMARY KEY (portfolio_id, recipient);

ALTER TABLE ONLY sender.portfolios
    ADD CONSTRAINT portfolios_pkey PRIMARY KEY (portfolio_id);

ALTER TABLE ONLY sender.resends
    ADD CONSTRAINT resends_pkey PRIMARY KEY (resend_id);

ALTER TABLE ONLY sender.send_attempts
    ADD CONSTRAINT send_attempts_pkey PRIMARY KEY (command_id, attempt_no, period);

ALTER TABLE ONLY sender.send_commands
    ADD CONSTRAINT send_commands_pkey PRIMARY KEY (command_id, period);

ALTER TABLE ONLY sender.shards
    ADD CONSTRAINT shards_pkey PRIMARY KEY (shard);

ALTER TABLE ONLY sender.stops
    ADD CONSTRAINT stops_pkey PRIMARY KEY (scope, scope_id, cause);

ALTER TABLE ONLY sender.template_polls
    ADD CONSTRAINT template_polls_pkey PRIMARY KEY (waba_id);

ALTER TABLE ONLY sender.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (waba_id, name, language);

CREATE INDEX account_events_errors ON projector.account_events USING btree (recorded_at) WHERE (record = 'ErrorReported'::text);

CREATE INDEX account_events_of_accounts ON projector.account_events USING btree (recorded_at) WHERE (field = ANY (ARRAY['account_update'::text, 'phone_number_quality_update'::text, 'history'::text, 'smb_app_state_sync'::text]));

CREATE INDEX consent_events_time ON projector.consent_events USING brin (occurred_at) WITH (autosummarize='on');

CREATE INDEX contact_aliases_contact ON projector.contact_aliases USING btree (contact);

CREATE INDEX contact_moves_contact ON projector.contact_moves USING btree (contact);

CREATE INDEX message_statuses_codes ON ONLY projector.message_statuses USING btree (error_code, occurred_at) WHERE (status = 'failed'::text);

CREATE INDEX message_statuses_failed ON ONLY projector.message_statuses USING btree (written_at) WHERE ((status = 'failed'::text) AND (biz_opaque_callback_data IS NOT NULL));

CREATE INDEX message_statuses_opaque ON ONLY projector.message_statuses USING btree (biz_opaque_callback_data) WHERE (biz_opaque_callback_data IS NOT NULL);

CREATE INDEX message_statuses_sent ON ONLY projector.message_statuses USING btree (phone_number_id, occurred_at) WHERE (status = 'sent'::text);

CREATE INDEX messages_command ON projector.messages USING btree (command_id) WHERE (command_id IS NOT NULL);

CREATE INDEX messages_conversation ON projector.messages USING btree (phone_number_id, contact, occurred_at);

CREATE INDEX messages_received ON projector.messages USING btree (phone_number_id, recorded_at) WHERE (direction = 'inbound'::text);

CREATE INDEX messages_time ON projector.messages USING btree (occurred_at);

CREATE INDEX priced_conversations_contact ON projector.priced_conversations USING btree (phone_number_id, contact, expires_at);

CREATE INDEX send_outcomes_accepted ON ONLY projector.send_outcomes USING btree (phone_number_id, occurred_at, lane) WHERE ((kind = 'accepted'::text) AND (wamid IS NOT NULL));

CREATE INDEX send_outcomes_time ON ONLY projector.send_outcomes USING brin (occurred_at) WITH (autosummarize='on');

CREATE INDEX dead_letter_decisions_place ON registry.dead_letter_decisions USING btree (topic, partition, "offset", pointer, decision_id);

CREATE INDEX dead_letter_decisions_unsettled ON registry.dead_letter_decisions USING btree (decision_id) WHERE ((decision = 'redrive'::text) AND (outcome IS NULL));

CREATE INDEX late_failures_untold ON ONLY sender.late_failures USING btree (shard) WHERE (told_at IS NULL);

CREATE INDEX media_content ON sender.media USING btree (phone_number_id, sha256, mime_type, expires_at);

CREATE INDEX portfolio_recipients_started ON sender.portfolio_recipients USING btree (portfolio_id, started_at);

CREATE INDEX resends_asked ON sender.resends USING btree (shard, resend_id) WHERE (done_at IS NULL);

CREATE INDEX resends_command ON sender.resends USING btree (command_id);

CREATE INDEX send_attempts_id ON ONLY sender.send_attempts USING btree (attempt_id);

CREATE INDEX send_attempts_lost ON ONLY sender.send_attempts USING btree (shard) WHERE (outcome = ANY (ARRAY['unknown'::text, 'unresolved'::text]));

CREATE INDEX send_attempts_not_accepted ON ONLY sender.send_attempts USING btree (shard, finished_at) WHERE (outcome = ANY (ARRAY['rejected'::text, 'retry'::text, 'not_sent'::text]));

CREATE INDEX send_attempts_started ON ONLY sender.send_attempts USING btree (shard, started_at);

CREATE INDEX send_commands_due ON ONLY sender.send_commands USING btree (phone_number_id, shard, lane, next_action_at, seq) WHERE (state = ANY (ARRAY['waiting'::text, 'retry'::text]));

COMMENT ON INDEX sender.send_commands_due IS 'Each lane is served by what has been due longest: what is parked or set aside is out of the way';

CREATE INDEX send_commands_expiring ON ONLY sender.send_commands USING btree (phone_number_id, shard, expires_at) WHERE (state = ANY (ARRAY['waiting'::text, 'retry'::text]));

CREATE INDEX send_commands_open ON ONLY sender.send_commands USING btree (shard) WHERE (state = ANY (ARRAY['started'::text, 'unknown'::text, 'unresolved'::text]));

CREATE INDEX send_commands_order ON ONLY sender.send_commands USING btree (phone_number_id, lane, pair, seq) WHERE (state = ANY (ARRAY['waiting'::text, 'retry'::text, 'started'::text]));

CREATE INDEX send_commands_refused_pairs ON ONLY sender.send_commands USING btree (shard) WHERE ((state = 'retry'::text) AND (reason = 'pair_limit'::text));

ALTER TABLE ONLY registry.business_hours
    ADD CONSTRAINT business_hours_scope_scope_id_fkey FOREIGN KEY (scope, scope_id) REFERENCES registry.business_calendars(scope, scope_id) ON DELETE CASCADE;

ALTER TABLE ONLY registry.phone_numbers
    ADD CONSTRAINT phone_numbers_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES registry.tenants(tenant_id);

GRANT USAGE ON SCHEMA analytics TO parley_analytics;
GRANT USAGE ON SCHEMA analytics TO parley_projector;

GRANT USAGE ON SCHEMA projector TO parley_projector;
GRANT USAGE ON SCHEMA projector TO parley_sender;

GRANT USAGE ON SCHEMA registry TO parley_sender;

GRANT USAGE ON SCHEMA sender TO parley_sender;

REVOKE ALL ON FUNCTION projector.add_month(wanted date) FROM PUBLIC;

REVOKE ALL ON FUNCTION projector.drop_months(ended timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION projector.keep_months(kept integer, OUT added integer, OUT dropped integer) FROM PUBLIC;
GRANT ALL ON FUNCTION projector.keep_months(kept integer, OUT added integer, OUT dropped integer) TO parley_projector;

REVOKE ALL ON FUNCTION sender.add_period(wanted integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION sender.drop_period(old integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION sender.keep_periods(OUT added integer, OUT dropped integer) FROM PUBLIC;
GRANT ALL ON FUNCTION sender.keep_periods(OUT added integer, OUT dropped integer) TO parley_sender;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.contacts TO parley_projector;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.messages TO parley_projector;
GRANT SELECT ON TABLE projector.messages TO parley_sender;

GRANT SELECT ON TABLE analytics.fct_message TO parley_analytics;

GRANT SELECT ON TABLE analytics.fct_cost TO parley_analytics;
GRANT SELECT ON TABLE analytics.fct_cost TO parley_projector;

GRANT SELECT ON TABLE analytics.agg_cost_day TO parley_analytics;

GRANT SELECT ON TABLE analytics.agg_number_hour TO parley_analytics;

GRANT SELECT ON TABLE analytics.agg_template_day TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.contact_aliases TO parley_projector;
GRANT SELECT ON TABLE projector.contact_aliases TO parley_sender;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.contact_moves TO parley_projector;
GRANT SELECT ON TABLE projector.contact_moves TO parley_sender;

GRANT SELECT ON TABLE analytics.dim_contact TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.group_members TO parley_projector;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.groups TO parley_projector;

GRANT SELECT ON TABLE analytics.dim_group TO parley_analytics;

GRANT SELECT ON TABLE analytics.dim_group_member TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.messaging_limits TO parley_projector;
GRANT SELECT ON TABLE projector.messaging_limits TO parley_sender;

GRANT SELECT ON TABLE registry.phone_numbers TO parley_sender;

GRANT UPDATE(messages_per_second) ON TABLE registry.phone_numbers TO parley_sender;

GRANT UPDATE(updated_at) ON TABLE registry.phone_numbers TO parley_sender;

GRANT UPDATE(is_coexistence) ON TABLE registry.phone_numbers TO parley_sender;

GRANT SELECT ON TABLE analytics.dim_phone_number TO parley_analytics;

GRANT SELECT ON TABLE analytics.dim_rate_card TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.templates TO parley_projector;
GRANT SELECT ON TABLE projector.templates TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.templates TO parley_sender;

GRANT SELECT ON TABLE analytics.dim_template TO parley_analytics;
GRANT SELECT ON TABLE analytics.dim_template TO parley_projector;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.account_events TO parley_projector;
GRANT SELECT ON TABLE projector.account_events TO parley_sender;

GRANT SELECT ON TABLE analytics.fct_account_event TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.calls TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_call TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.consent_events TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_consent_event TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.priced_conversations TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_conversation TO parley_analytics;

GRANT SELECT ON TABLE analytics.fct_csat TO parley_analytics;

GRANT SELECT ON TABLE analytics.fct_delivery TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.flow_changes TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_flow_change TO parley_analytics;

GRANT SELECT ON TABLE analytics.fct_legacy_conversation TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.phone_number_changes TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_number_change TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.send_outcomes TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_send_attempt TO parley_analytics;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.send_attempts TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.send_commands TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.shards TO parley_sender;

GRANT SELECT ON TABLE analytics.fct_send_latency TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.message_statuses TO parley_projector;
GRANT SELECT ON TABLE projector.message_statuses TO parley_sender;

GRANT SELECT ON TABLE analytics.fct_status TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.template_changes TO parley_projector;

GRANT SELECT ON TABLE analytics.fct_template_change TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.conversations TO parley_projector;
GRANT SELECT ON TABLE projector.conversations TO parley_sender;

GRANT SELECT ON TABLE analytics.fct_window TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.dead_letters TO parley_projector;

GRANT SELECT ON TABLE analytics.ops_dead_letter TO parley_analytics;

GRANT SELECT ON TABLE analytics.ops_number TO parley_analytics;
GRANT SELECT ON TABLE analytics.ops_number TO parley_projector;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.positions TO parley_projector;
GRANT SELECT ON TABLE projector.positions TO parley_sender;

GRANT SELECT ON TABLE analytics.ops_projection TO parley_analytics;

GRANT SELECT,INSERT,UPDATE ON TABLE projector.consents TO parley_projector;
GRANT SELECT ON TABLE projector.consents TO parley_sender;

GRANT SELECT ON TABLE registry.tenants TO parley_sender;

GRANT USAGE ON SEQUENCE sender.command_seq TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.distrusted_codes TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.failures_read TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.late_failures TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.limits TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.media TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.media_leases TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.media_sources TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.outbox TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.portfolio_recipients TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.portfolios TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.resends TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.stops TO parley_sender;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sender.template_polls TO parley_sender;
