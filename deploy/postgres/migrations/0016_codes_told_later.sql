-- Codes that Meta tells of messages it had accepted, and of numbers and accounts: what the sender looks for every few seconds.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file require-concurrent-index-creation

-- Failures are many; those with a code that stops a number or an account are few.
CREATE INDEX message_statuses_codes ON projector.message_statuses (error_code, occurred_at) WHERE status = 'failed';
-- When a number was last told to have sent something.
CREATE INDEX message_statuses_sent ON projector.message_statuses (phone_number_id, occurred_at) WHERE status = 'sent';
CREATE INDEX account_events_errors ON projector.account_events (recorded_at) WHERE record = 'ErrorReported';

ALTER TABLE sender.stops ADD COLUMN tried_by text, ADD COLUMN tried_at timestamptz;
COMMENT ON COLUMN sender.stops.tried_by IS 'The attempt id of the probe that Meta accepted, where its code comes after the answer: what Meta tells of it next decides';
COMMENT ON COLUMN sender.stops.tried_at IS 'When that call was begun';
