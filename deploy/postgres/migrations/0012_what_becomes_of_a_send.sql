-- Tenants and what they opt into, and everything that can become of a command: expired, deferred, resent, failed later, accepted twice.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file adding-foreign-key-constraint, ban-drop-constraint, constraint-missing-not-valid, require-concurrent-index-creation

CREATE TABLE registry.tenants (
    tenant_id text PRIMARY KEY CHECK (tenant_id <> ''),
    name text NOT NULL,
    resend_once text [] NOT NULL DEFAULT '{}' CHECK (resend_once <@ ARRAY['otp', 'transactional']),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE registry.tenants IS 'Whose numbers they are';
COMMENT ON COLUMN registry.tenants.resend_once IS 'Lanes in which a command''s policy resend_once is honoured: a lost answer may then become a second message. Never bulk';
INSERT INTO registry.tenants (tenant_id, name) VALUES ('default', 'Everybody who is nobody else');
GRANT SELECT ON registry.tenants TO parley_sender;

ALTER TABLE registry.phone_numbers ADD COLUMN tenant_id text NOT NULL DEFAULT 'default' REFERENCES registry.tenants;
COMMENT ON COLUMN registry.phone_numbers.tenant_id IS 'A command that names another tenant is refused';
COMMENT ON COLUMN registry.phone_numbers.state IS 'active: sends; paused, disabled: its commands wait, until it is active or their time is over';

ALTER TABLE sender.send_commands DROP CONSTRAINT send_commands_state_check;
ALTER TABLE sender.send_commands ADD CONSTRAINT send_commands_state_check CHECK (
    state IN ('waiting', 'retry', 'started', 'accepted', 'refused', 'rejected', 'expired', 'unknown', 'unresolved')
);
ALTER TABLE sender.send_commands
    ADD COLUMN possible_duplicate boolean NOT NULL DEFAULT FALSE,
    ADD COLUMN is_duplicate boolean NOT NULL DEFAULT FALSE,
    ADD COLUMN deferred text [] NOT NULL DEFAULT '{}';
UPDATE sender.send_commands SET state = 'expired' WHERE state = 'refused' AND reason = 'expired';
COMMENT ON COLUMN sender.send_commands.possible_duplicate IS 'Tried again although Meta may have an earlier attempt: by policy, once, or by an operator';
COMMENT ON COLUMN sender.send_commands.is_duplicate IS 'Meta accepted two attempts, and the log was told so';
COMMENT ON COLUMN sender.send_commands.deferred IS 'The causes of waiting that the log was told, each once';

ALTER TABLE sender.send_attempts ADD COLUMN trace_id text;
COMMENT ON COLUMN sender.send_attempts.trace_id IS 'Meta''s own name of a refusal (fbtrace_id)';
CREATE INDEX send_attempts_id ON sender.send_attempts (attempt_id);
CREATE INDEX send_attempts_lost ON sender.send_attempts (shard) WHERE outcome IN ('unknown', 'unresolved');

CREATE TABLE sender.late_failures (
    command_id text NOT NULL,
    period integer NOT NULL,
    error_code integer NOT NULL,
    attempt_no integer NOT NULL,
    shard integer NOT NULL,
    wamid text NOT NULL,
    told_at timestamptz,
    PRIMARY KEY (command_id, error_code, period)
) PARTITION BY LIST (period);
COMMENT ON TABLE sender.late_failures IS 'What Meta accepted and told later that it did not deliver: each code of a command once';
COMMENT ON COLUMN sender.late_failures.error_code IS '-1 when Meta named none';
COMMENT ON COLUMN sender.late_failures.told_at IS 'Null while the log was not told, as long as the attempt is not known to be accepted';
CREATE INDEX late_failures_untold ON sender.late_failures (shard) WHERE told_at IS NULL;
DO $$
BEGIN
    PERFORM sender.add_period(substring(c.relname FROM '\d+$')::integer)
    FROM pg_class AS c
    JOIN pg_inherits AS i ON i.inhrelid = c.oid
    WHERE i.inhparent = 'sender.send_commands'::regclass;
END
$$;

CREATE TABLE sender.failures_read (
    shard integer PRIMARY KEY,
    read_to timestamptz NOT NULL,
    relation bigint NOT NULL
);
COMMENT ON TABLE sender.failures_read IS 'Up to which written_at of projector.message_statuses failures were looked through';
COMMENT ON COLUMN sender.failures_read.relation IS 'Which table that was: after a rebuild it is another one, and read from its beginning';

CREATE TABLE sender.resends (
    resend_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command_id text NOT NULL,
    period integer NOT NULL,
    shard integer NOT NULL,
    asked_by text NOT NULL,
    why text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    is_sent boolean
);
COMMENT ON TABLE sender.resends IS 'Who wanted a command sent again, and why; the sender that owns the shard does it';
COMMENT ON COLUMN sender.resends.is_sent IS 'False: the command had gone on before the sender came to it';
CREATE INDEX resends_asked ON sender.resends (shard, resend_id) WHERE done_at IS NULL;
CREATE INDEX resends_command ON sender.resends (command_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON sender.late_failures, sender.failures_read, sender.resends TO parley_sender;

ALTER TABLE projector.message_statuses ADD COLUMN written_at timestamptz;
ALTER TABLE projector.message_statuses ALTER COLUMN written_at SET DEFAULT clock_timestamp();
COMMENT ON COLUMN projector.message_statuses.written_at IS 'When the row was written here, however late: what the sender reads new failures by. Null before there was this column';
CREATE INDEX message_statuses_failed ON projector.message_statuses (written_at)
WHERE status = 'failed' AND biz_opaque_callback_data IS NOT NULL;

ALTER TABLE projector.send_outcomes
    ADD COLUMN trace_id text,
    ADD COLUMN not_before_at timestamptz,
    ADD COLUMN group_id text,
    ADD COLUMN possible_duplicate boolean,
    ADD COLUMN biz_opaque_callback_data text;
COMMENT ON TABLE projector.send_outcomes IS 'What the sender said became of commands: docs/producers.md has every kind and reason';
