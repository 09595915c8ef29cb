-- What Meta does not let numbers and accounts send, since when and why; limits as Meta changes them.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file ban-drop-table, constraint-missing-not-valid, require-concurrent-index-creation

CREATE TABLE sender.stops (
    scope text NOT NULL CHECK (scope IN ('number', 'waba')),
    scope_id text NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL,
    is_stopped boolean NOT NULL,
    source text NOT NULL,
    covers text NOT NULL,
    area text,
    reason text NOT NULL,
    error_code integer,
    trace_id text,
    until timestamptz,
    since timestamptz NOT NULL,
    probe_at timestamptz,
    probes integer NOT NULL DEFAULT 0,
    is_told boolean NOT NULL,
    PRIMARY KEY (scope, scope_id, cause)
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

INSERT INTO sender.stops (
    scope, scope_id, cause, at, is_stopped, source, covers, reason, error_code, since, probe_at, is_told
)
SELECT
    'number', phone_number_id, 'access_token', updated_at, TRUE, 'response', 'everything', reason, error_code, updated_at,
    paused_until, FALSE
FROM sender.number_state;
DROP TABLE sender.number_state;

CREATE TABLE sender.limits (
    phone_number_id text PRIMARY KEY,
    messages_per_second integer NOT NULL,
    upgraded_at timestamptz
);
COMMENT ON TABLE sender.limits IS 'The limit of each number as the log was last told of it';
COMMENT ON COLUMN sender.limits.upgraded_at IS 'The newest THROUGHPUT_UPGRADE of Meta''s that was followed';

GRANT SELECT, INSERT, UPDATE, DELETE ON sender.stops, sender.limits TO parley_sender;

ALTER TABLE sender.outbox ADD COLUMN topic text NOT NULL DEFAULT 'parley.send-outcomes.v1';
COMMENT ON TABLE sender.outbox IS 'Outcomes and other events written and not yet acknowledged by the log; a row goes when the brokers have it';

ALTER TABLE sender.send_commands ADD COLUMN held_by text;
COMMENT ON COLUMN sender.send_commands.held_by IS 'Why a stop of its number or account holds it, if one does: it then keeps nothing else of its recipient waiting';

ALTER TABLE registry.phone_numbers
    ADD COLUMN is_coexistence boolean NOT NULL DEFAULT FALSE,
    ADD CONSTRAINT phone_numbers_coexistence_check CHECK (NOT is_coexistence OR messages_per_second <= 20);
COMMENT ON COLUMN registry.phone_numbers.is_coexistence IS 'Shared with the WhatsApp Business app: Meta allows such a number 20 messages a second, whatever happens';
GRANT UPDATE (messages_per_second, is_coexistence, updated_at) ON registry.phone_numbers TO parley_sender;

-- What the sender looks for every few seconds.
CREATE INDEX account_events_of_accounts ON projector.account_events (recorded_at)
WHERE field IN ('account_update', 'phone_number_quality_update', 'history', 'smb_app_state_sync');
GRANT SELECT ON projector.account_events TO parley_sender;
