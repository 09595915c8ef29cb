-- The sender's ledger by periods of ten days. What is old goes by dropping a period as a whole, never row by row; a command_id is
-- remembered for 30 days at least, whatever becomes of its command. Stop the senders before: their statements change with it.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file ban-drop-constraint, ban-drop-table, renaming-object, renaming-table, require-concurrent-index-deletion

CREATE FUNCTION sender.period_of(at timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT floor(extract(epoch FROM at) / 864000)::integer $$;
COMMENT ON FUNCTION sender.period_of IS 'The number of an instant''s period: ten days each, counted from 1970';

ALTER TABLE sender.send_attempts RENAME TO send_attempts_before;
ALTER TABLE sender.send_commands RENAME TO send_commands_before;
ALTER TABLE sender.send_attempts_before DROP CONSTRAINT send_attempts_command_id_fkey;
ALTER TABLE sender.send_attempts_before DROP CONSTRAINT send_attempts_pkey;
DROP INDEX sender.send_attempts_started, sender.send_attempts_not_accepted;
DROP INDEX sender.send_commands_due, sender.send_commands_order, sender.send_commands_open;
ALTER INDEX sender.send_commands_pkey RENAME TO send_commands_before_pkey;

CREATE SEQUENCE sender.command_seq;
COMMENT ON SEQUENCE sender.command_seq IS 'One order of arrival over all periods';

CREATE TABLE sender.send_commands (
    command_id text NOT NULL,
    period integer NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('sender.command_seq'),
    shard integer NOT NULL,
    fingerprint bytea NOT NULL,
    phone_number_id text NOT NULL,
    lane smallint NOT NULL CHECK (lane BETWEEN 0 AND 2),
    policy text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CONSTRAINT send_commands_state_check CHECK (
        state IN ('waiting', 'retry', 'started', 'accepted', 'refused', 'rejected', 'unknown', 'unresolved')
    ),
    type text NOT NULL,
    content text NOT NULL,
    to_number text,
    bsuid text,
    pair text NOT NULL,
    context_wamid text,
    appended_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    next_action_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    reason text,
    error_code integer,
    wamid text,
    outcome bytea,
    updated_at timestamptz NOT NULL DEFAULT now(),
    options text,
    PRIMARY KEY (command_id, period)
) PARTITION BY LIST (period);
COMMENT ON TABLE sender.send_commands IS 'Every command of the last 37 days and more, by its producer''s idempotency key';
COMMENT ON COLUMN sender.send_commands.command_id IS 'One row over all periods: whoever takes commands in holds a lock on each id and looks it up in all of them';
COMMENT ON COLUMN sender.send_commands.period IS 'Of received_at; an attempt has that of its command, so that both go together';
COMMENT ON COLUMN sender.send_commands.seq IS 'Order of arrival: what the order per recipient within a lane is kept by';
COMMENT ON COLUMN sender.send_commands.fingerprint IS 'SHA-256 of the command: the same id with another one is a conflict';
COMMENT ON COLUMN sender.send_commands.lane IS '0 otp, 1 transactional, 2 bulk: served strictly in this order';
COMMENT ON COLUMN sender.send_commands.pair IS 'The recipient as order and pair back-off know it: digits, else the BSUID, else as given';
COMMENT ON COLUMN sender.send_commands.appended_at IS 'When the command was put into the lane''s topic';
COMMENT ON COLUMN sender.send_commands.next_action_at IS 'waiting, retry: not before. unknown: when the wait for evidence is over';
COMMENT ON COLUMN sender.send_commands.outcome IS 'The last outcome as it went to the log: told again, byte for byte, when the command comes again';
COMMENT ON COLUMN sender.send_commands.options IS 'JSON of the command''s seldom fields, by their names; null where it has none of them';
ALTER SEQUENCE sender.command_seq OWNED BY sender.send_commands.seq;

CREATE INDEX send_commands_due ON sender.send_commands (phone_number_id, lane, seq) WHERE state IN ('waiting', 'retry');
CREATE INDEX send_commands_order ON sender.send_commands (phone_number_id, lane, pair, seq)
WHERE state IN ('waiting', 'retry', 'started');
CREATE INDEX send_commands_open ON sender.send_commands (shard) WHERE state IN ('started', 'unknown', 'unresolved');

-- No foreign key to the commands: both rows are written by the same few statements, both go with their period, and a key would make
-- every drop of a period wait for a look at all attempts.
CREATE TABLE sender.send_attempts (
    command_id text NOT NULL,
    period integer NOT NULL,
    attempt_no integer NOT NULL,
    attempt_id text NOT NULL,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    phone_number_id text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    outcome text CONSTRAINT send_attempts_outcome_check CHECK (
        outcome IN ('accepted', 'rejected', 'retry', 'not_sent', 'unknown', 'unresolved')
    ),
    finished_at timestamptz,
    reason text,
    error_code integer,
    wamid text,
    PRIMARY KEY (command_id, attempt_no, period)
) PARTITION BY LIST (period);
COMMENT ON TABLE sender.send_attempts IS 'A row is committed before any byte of its call goes out; no outcome yet means: may have reached Meta';
COMMENT ON COLUMN sender.send_attempts.attempt_id IS 'What biz_opaque_callback_data carries: uuid5 of command_id and attempt_no';
COMMENT ON COLUMN sender.send_attempts.epoch IS 'The owner that started it';
CREATE INDEX send_attempts_started ON sender.send_attempts (shard, started_at);
CREATE INDEX send_attempts_not_accepted ON sender.send_attempts (shard, finished_at)
WHERE outcome IN ('rejected', 'retry', 'not_sent');

-- A period is made beside the table and then attached, which no statement of the sender waits for.
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
COMMENT ON FUNCTION sender.add_period IS 'Make room for a period, unless it is there; true when it was not';

CREATE FUNCTION sender.drop_period(old integer) RETURNS boolean
LANGUAGE plpgsql
AS $$
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
$$;
COMMENT ON FUNCTION sender.drop_period IS 'Drop a period in which nothing is open; false when something is';

CREATE FUNCTION sender.keep_periods(OUT added integer, OUT dropped integer)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
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
$$;
COMMENT ON FUNCTION sender.keep_periods IS 'Make this period and the next, drop those that ended 37 days ago and have nothing open: 30 days of idempotency, which is also the longest life of a command, and 7 in which Meta may tell of its message';

REVOKE EXECUTE ON FUNCTION sender.add_period, sender.drop_period, sender.keep_periods FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sender.keep_periods TO parley_sender;

DO $$
BEGIN
    PERFORM sender.add_period(p.period)
    FROM (
        SELECT DISTINCT sender.period_of(c.received_at) AS period FROM sender.send_commands_before AS c
        UNION SELECT sender.period_of(now()) + ahead FROM generate_series(0, 1) AS ahead
    ) AS p;
END
$$;

INSERT INTO sender.send_commands (
    command_id, period, seq, shard, fingerprint, phone_number_id, lane, policy, state, type, content, to_number, bsuid, pair,
    context_wamid, appended_at, received_at, expires_at, next_action_at, attempts, reason, error_code, wamid, outcome, updated_at,
    options
)
SELECT
    command_id, sender.period_of(received_at), seq, shard, fingerprint, phone_number_id, lane, policy, state, type, content,
    to_number, bsuid, pair, context_wamid, appended_at, received_at, expires_at, next_action_at, attempts, reason, error_code,
    wamid, outcome, updated_at, options
FROM sender.send_commands_before;

INSERT INTO sender.send_attempts (
    command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id, started_at, outcome, finished_at, reason,
    error_code, wamid
)
SELECT
    a.command_id, sender.period_of(c.received_at), a.attempt_no, a.attempt_id, a.shard, a.epoch, a.phone_number_id, a.started_at,
    a.outcome, a.finished_at, a.reason, a.error_code, a.wamid
FROM sender.send_attempts_before AS a
JOIN sender.send_commands_before AS c ON c.command_id = a.command_id;

DO $$ BEGIN PERFORM setval('sender.command_seq', coalesce(max(seq), 0) + 1, FALSE) FROM sender.send_commands; END $$;
DROP TABLE sender.send_attempts_before, sender.send_commands_before;

GRANT SELECT, INSERT, UPDATE, DELETE ON sender.send_commands, sender.send_attempts TO parley_sender;
GRANT USAGE ON SEQUENCE sender.command_seq TO parley_sender;
