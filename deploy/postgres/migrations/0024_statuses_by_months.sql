-- The full history of statuses and what the sender told, by months of their event time (UTC): what grows with every message is made
-- and dropped a month at a time. Stop the projectors before: their statements change with it.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file ban-drop-schema, ban-drop-table, ban-set-schema

CREATE TABLE registry.dropped_months (
    relation text PRIMARY KEY,
    before timestamptz NOT NULL
);
COMMENT ON TABLE registry.dropped_months IS 'Up to which event time months of a read model were dropped: a rebuild from the log leaves the same out';

CREATE FUNCTION projector.add_month(wanted date) RETURNS integer
LANGUAGE plpgsql
AS $$
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
$$;
COMMENT ON FUNCTION projector.add_month IS 'Make room for a month, where there is none; how many partitions that made';

CREATE FUNCTION projector.drop_months(ended timestamptz) RETURNS integer
LANGUAGE plpgsql
AS $$
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
$$;
COMMENT ON FUNCTION projector.drop_months IS 'Drop the months that ended by then, and what came late for them';

CREATE FUNCTION projector.keep_months(kept integer, OUT added integer, OUT dropped integer)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
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
COMMENT ON FUNCTION projector.keep_months IS 'Make this month, the next two and past ones of which there is much; with `kept`, drop those that ended so many months before this one';

REVOKE EXECUTE ON FUNCTION projector.add_month, projector.drop_months, projector.keep_months FROM PUBLIC;
GRANT EXECUTE ON FUNCTION projector.keep_months TO parley_projector;

-- Tables of before go aside with their indexes, so that the names are free; views are bound to them until they are told otherwise.
CREATE SCHEMA projector_before;
ALTER TABLE projector.message_statuses SET SCHEMA projector_before;
ALTER TABLE projector.send_outcomes SET SCHEMA projector_before;

CREATE TABLE projector.message_statuses (LIKE projector_before.message_statuses INCLUDING DEFAULTS INCLUDING COMMENTS)
PARTITION BY RANGE (occurred_at);
ALTER TABLE projector.message_statuses ADD PRIMARY KEY (wamid, status, occurred_at, contact, type);
COMMENT ON TABLE projector.message_statuses IS 'Every status Meta reported, each once however often it was delivered';
CREATE INDEX message_statuses_opaque ON projector.message_statuses (biz_opaque_callback_data)
WHERE biz_opaque_callback_data IS NOT NULL;
CREATE INDEX message_statuses_failed ON projector.message_statuses (written_at)
WHERE status = 'failed' AND biz_opaque_callback_data IS NOT NULL;
CREATE INDEX message_statuses_codes ON projector.message_statuses (error_code, occurred_at) WHERE status = 'failed';
CREATE INDEX message_statuses_sent ON projector.message_statuses (phone_number_id, occurred_at) WHERE status = 'sent';
CREATE TABLE projector.message_statuses_rest PARTITION OF projector.message_statuses DEFAULT;

CREATE TABLE projector.send_outcomes (LIKE projector_before.send_outcomes INCLUDING DEFAULTS INCLUDING COMMENTS)
PARTITION BY RANGE (occurred_at);
ALTER TABLE projector.send_outcomes ADD PRIMARY KEY (event_id, occurred_at);
COMMENT ON TABLE projector.send_outcomes IS 'What the sender said became of commands, each once however often it was told';
CREATE INDEX send_outcomes_command ON projector.send_outcomes (command_id);
CREATE INDEX send_outcomes_accepted ON projector.send_outcomes (phone_number_id, occurred_at, lane)
WHERE kind = 'accepted' AND wamid IS NOT NULL;
CREATE TABLE projector.send_outcomes_rest PARTITION OF projector.send_outcomes DEFAULT;

GRANT SELECT, INSERT, UPDATE ON projector.message_statuses, projector.send_outcomes TO parley_projector;
GRANT SELECT ON projector.message_statuses TO parley_sender;

DO $$
BEGIN
    PERFORM projector.add_month(months.month::date)
    FROM (
        SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC') AS month FROM projector_before.message_statuses
        WHERE occurred_at BETWEEN now() - interval '5 years' AND now()
        UNION SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC') FROM projector_before.send_outcomes
        WHERE occurred_at BETWEEN now() - interval '5 years' AND now()
        UNION SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead) FROM generate_series(0, 2) AS ahead
    ) AS months;
END
$$;

INSERT INTO projector.message_statuses SELECT * FROM projector_before.message_statuses;
INSERT INTO projector.send_outcomes SELECT * FROM projector_before.send_outcomes;

DO $$
DECLARE
    bound record;
BEGIN
    SET LOCAL search_path = pg_catalog;
    FOR bound IN
        SELECT DISTINCT
            v.oid,
            v.oid::regclass::text AS name,
            replace(pg_get_viewdef(v.oid), 'projector_before.', 'projector.') AS definition
        FROM pg_depend AS d
        JOIN pg_rewrite AS r ON r.oid = d.objid
        JOIN pg_class AS v ON v.oid = r.ev_class
        JOIN pg_class AS t ON t.oid = d.refobjid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
            AND t.relnamespace = 'projector_before'::regnamespace AND v.relkind = 'v'
        ORDER BY v.oid
    LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', bound.name, bound.definition);
    END LOOP;
END
$$;
DROP TABLE projector_before.message_statuses, projector_before.send_outcomes;
DROP SCHEMA projector_before;
