-- The sender's ledger: every command, every attempt, who may send, and what is still to be told to the log.

CREATE SCHEMA sender;
COMMENT ON SCHEMA sender IS 'Commands, attempts and ownership of the service that calls Meta';
GRANT USAGE ON SCHEMA sender TO parley_sender;

CREATE TABLE sender.shards (
    shard integer PRIMARY KEY,
    epoch bigint NOT NULL,
    instance text NOT NULL,
    owned_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sender.shards IS 'Who may send for partition n of every sends.* topic: only the process that holds the newest epoch';

CREATE TABLE sender.send_commands (
    command_id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    shard integer NOT NULL,
    fingerprint bytea NOT NULL,
    phone_number_id text NOT NULL,
    lane smallint NOT NULL CHECK (lane BETWEEN 0 AND 2),
    policy text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (
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
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
COMMENT ON TABLE sender.send_commands IS 'Every command ever taken in, by its producer''s idempotency key';
COMMENT ON COLUMN sender.send_commands.seq IS 'Order of arrival: what the order per recipient within a lane is kept by';
COMMENT ON COLUMN sender.send_commands.fingerprint IS 'SHA-256 of the command: the same id with another one is a conflict';
COMMENT ON COLUMN sender.send_commands.lane IS '0 otp, 1 transactional, 2 bulk: served strictly in this order';
COMMENT ON COLUMN sender.send_commands.pair IS 'The recipient as order and pair back-off know it: digits, else the BSUID, else as given';
COMMENT ON COLUMN sender.send_commands.appended_at IS 'When the command was put into the lane''s topic';
COMMENT ON COLUMN sender.send_commands.next_action_at IS 'waiting, retry: not before. unknown: when the wait for evidence is over';
COMMENT ON COLUMN sender.send_commands.outcome IS 'The last outcome as it went to the log: told again, byte for byte, when the command comes again';

CREATE INDEX send_commands_due ON sender.send_commands (phone_number_id, lane, seq) WHERE state IN ('waiting', 'retry');
CREATE INDEX send_commands_order ON sender.send_commands (phone_number_id, lane, pair, seq)
WHERE state IN ('waiting', 'retry', 'started');
CREATE INDEX send_commands_open ON sender.send_commands (shard) WHERE state IN ('started', 'unknown', 'unresolved');

CREATE TABLE sender.send_attempts (
    command_id text NOT NULL REFERENCES sender.send_commands,
    attempt_no integer NOT NULL,
    attempt_id text NOT NULL,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    phone_number_id text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    outcome text CHECK (outcome IN ('accepted', 'rejected', 'retry', 'not_sent', 'unknown', 'unresolved')),
    finished_at timestamptz,
    reason text,
    error_code integer,
    wamid text,
    PRIMARY KEY (command_id, attempt_no)
) WITH (fillfactor = 80);
COMMENT ON TABLE sender.send_attempts IS 'A row is committed before any byte of its call goes out; no outcome yet means: may have reached Meta';
COMMENT ON COLUMN sender.send_attempts.attempt_id IS 'What biz_opaque_callback_data carries: uuid5 of command_id and attempt_no';
COMMENT ON COLUMN sender.send_attempts.epoch IS 'The owner that started it';
CREATE INDEX send_attempts_started ON sender.send_attempts (shard, started_at);

CREATE TABLE sender.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard integer NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    event_id text NOT NULL,
    occurred_at timestamptz NOT NULL
);
COMMENT ON TABLE sender.outbox IS 'Outcomes written and not yet acknowledged by the log; a row goes when the brokers have it';

CREATE TABLE sender.number_state (
    phone_number_id text PRIMARY KEY,
    paused_until timestamptz NOT NULL,
    reason text NOT NULL,
    error_code integer,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sender.number_state IS 'Numbers whose token or account Meta refused: one probe when the pause is over, all commands kept meanwhile';

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sender TO parley_sender;
