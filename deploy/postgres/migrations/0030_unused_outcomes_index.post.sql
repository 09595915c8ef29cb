-- Nothing of ours looks for outcomes by their command: who asks is told from the ledger, from the messages, or for a range of time.
-- A partitioned table's index goes with those of all parts, at once, which no CONCURRENTLY allows; it takes no longer than its lock.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX projector.send_outcomes_command;
