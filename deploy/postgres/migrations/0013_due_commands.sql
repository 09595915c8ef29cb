-- What is due, what expires and whom Meta refused is found by index alone, however much waits.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

DROP INDEX sender.send_commands_due;
CREATE INDEX send_commands_due ON sender.send_commands (phone_number_id, shard, lane, next_action_at, seq)
WHERE state IN ('waiting', 'retry');
COMMENT ON INDEX sender.send_commands_due IS 'Each lane is served by what has been due longest: what is parked or set aside is out of the way';

CREATE INDEX send_commands_expiring ON sender.send_commands (phone_number_id, shard, expires_at)
WHERE state IN ('waiting', 'retry');

CREATE INDEX send_commands_refused_pairs ON sender.send_commands (shard)
WHERE state = 'retry' AND reason = 'pair_limit';

COMMENT ON COLUMN sender.send_commands.lane IS '0 otp, 1 transactional, 2 bulk; they share what the number may send';
COMMENT ON COLUMN sender.send_commands.reason IS 'Why it ended, or what it waits for';
