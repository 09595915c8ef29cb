-- Error codes that came for messages which Meta had taken: they are no proof of a refusal any more.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file require-concurrent-index-creation

CREATE TABLE sender.distrusted_codes (
    error_code integer PRIMARY KEY,
    attempt_id text NOT NULL,
    distrusted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sender.distrusted_codes IS 'Codes that the sender reads as unknown; delete a row to trust the code again';
COMMENT ON COLUMN sender.distrusted_codes.attempt_id IS 'The first attempt that was answered with the code although Meta had its message';
GRANT SELECT, INSERT, UPDATE, DELETE ON sender.distrusted_codes TO parley_sender;

CREATE INDEX send_attempts_not_accepted ON sender.send_attempts (shard, finished_at)
WHERE outcome IN ('rejected', 'retry', 'not_sent');
